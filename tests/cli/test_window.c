/* -display sdl without a display: SDL's dummy driver, with events of our own. */
#include "emu/cli/window.h"

#include "tests/check_main.h"

#include <SDL.h>
#include <stdlib.h>
#include <string.h>

#define OUT_BYTES 256
#define LOAD 0x100000u

/* The mouse reports; then what port 60h has goes to COM1, for ever. */
static const uint8_t code[] = {
    0x02, 0xb0, 0xad, 0x1b, 0x00, 0x00, 0x01, 0x00,
    0xfe, 0x4f, 0x51, 0xe4, /* Multiboot header */
    0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x10, 0x00,
    0x00, 0x00, 0x00, 0x00,                         /* at 1 MiB, all of the file */
    0x00, 0x00, 0x00, 0x00, 0x20, 0x00, 0x10, 0x00, /* it starts behind this */
    0xb0, 0xa8, 0xe6, 0x64,             /* mov al, a8h; out 64h, al: the mouse is enabled */
    0xb0, 0xd4, 0xe6, 0x64,             /* mov al, d4h; out 64h, al: to the mouse */
    0xb0, 0xf4, 0xe6, 0x60,             /* mov al, f4h; out 60h, al: report */
    0xe4, 0x64, 0xa8, 0x01, 0x74, 0xfa, /* 1: in al, 64h; test al, 1; jz 1 */
    0xe4, 0x60,                         /* in al, 60h */
    0x66, 0xba, 0xf8, 0x03, 0xee,       /* mov dx, 3f8h; out dx, al */
    0xeb, 0xf1                          /* jmp 1 */
};

struct box {
    struct pacifica_machine *machine;
    struct window *window;
    uint8_t out[OUT_BYTES];
    size_t count;
    uint64_t now_ns;
};

static void keep(void *self, const void *bytes, size_t size)
{
    struct box *box = self;
    ck_assert_uint_le(box->count + size, OUT_BYTES);
    memcpy(box->out + box->count, bytes, size);
    box->count += size;
}

static void run(struct box *box)
{
    struct pacifica_limits limits = PACIFICA_LIMITS_INIT;
    struct pacifica_result result;
    limits.max_ns = box->now_ns += UINT64_C(20000000); /* a mouse reports every 10 ms */
    pacifica_machine_run(box->machine, &limits, &result);
    ck_assert_int_eq(result.stop, PACIFICA_STOP_LIMIT_TIME);
}

static void box_open(struct box *box)
{
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    struct pacifica_kernel kernel = { .image = { code, sizeof(code) } };
    struct pacifica_diag diag = { 0 };
    *box = (struct box){ .now_ns = 0 };
    options.ram_bytes = UINT64_C(16) << 20;
    options.vga = PACIFICA_VGA_STD;
    options.serial = (struct pacifica_output){ .write = keep, .self = box };
    ck_assert_int_eq(pacifica_machine_new(&options, &box->machine, &diag), PACIFICA_OK);
    ck_assert_msg(pacifica_machine_load_kernel(box->machine, &kernel, &diag) == PACIFICA_OK, "%s",
                  diag.what);
    ck_assert_int_eq(setenv("SDL_VIDEODRIVER", "dummy", 1), 0);
    ck_assert_msg(window_open(&box->window, box->machine, &diag) == PACIFICA_OK, "%s", diag.what);
    ck_assert(window_look(box->window));
    run(box);
    box->count = 0; /* what the mouse said to its command */
}

static void box_close(struct box *box)
{
    window_close(box->window);
    pacifica_machine_free(box->machine);
}

static void push(SDL_Event event)
{
    ck_assert_int_eq(SDL_PushEvent(&event), 1);
}

static void key(bool down, SDL_Scancode code_of_key, Uint16 mod)
{
    push((SDL_Event){ .key = { .type = down ? SDL_KEYDOWN : SDL_KEYUP,
                               .keysym = { .scancode = code_of_key, .mod = mod } } });
}

static void button(bool down, Uint8 which)
{
    push((SDL_Event){
        .button = { .type = down ? SDL_MOUSEBUTTONDOWN : SDL_MOUSEBUTTONUP, .button = which } });
}

static void motion(int x, int y)
{
    push((SDL_Event){ .motion = { .type = SDL_MOUSEMOTION, .xrel = x, .yrel = y } });
}

/* What the guest gets of what was pushed. */
static void expect(struct box *box, size_t count, const uint8_t *bytes)
{
    ck_assert(window_look(box->window));
    run(box);
    ck_assert_uint_eq(box->count, count);
    if (count)
        ck_assert_mem_eq(box->out, bytes, count);
    box->count = 0;
}
#define EXPECT(...)                             \
    do {                                        \
        const uint8_t want[] = { __VA_ARGS__ }; \
        expect(&box, sizeof(want), want);       \
    } while (0)

START_TEST(keys_reach_the_guest)
{
    struct box box;
    box_open(&box);
    key(true, SDL_SCANCODE_A, 0);
    key(false, SDL_SCANCODE_A, 0);
    key(true, SDL_SCANCODE_RIGHT, 0);
    key(false, SDL_SCANCODE_RIGHT, 0);
    EXPECT(0x1e, 0x9e, 0xe0, 0x4d, 0xe0, 0xcd);
    key(false, SDL_SCANCODE_B, 0); /* pressed elsewhere */
    key(true, SDL_SCANCODE_AUDIOMUTE, 0);
    key(true, SDL_SCANCODE_C, 0);
    EXPECT(0x2e);
    box_close(&box);
}
END_TEST

START_TEST(keys_are_released_with_the_focus)
{
    struct box box;
    box_open(&box);
    key(true, SDL_SCANCODE_LALT, 0);
    key(true, SDL_SCANCODE_TAB, 0);
    EXPECT(0x38, 0x0f);
    push((SDL_Event){ .window = { .type = SDL_WINDOWEVENT, .event = SDL_WINDOWEVENT_FOCUS_LOST } });
    EXPECT(0x8f, 0xb8);
    box_close(&box);
}
END_TEST

START_TEST(a_click_gives_the_mouse_and_ctrl_alt_g_takes_it)
{
    struct box box;
    box_open(&box);
    motion(5, 6);
    expect(&box, 0, NULL);
    button(true, SDL_BUTTON_LEFT);
    button(false, SDL_BUTTON_LEFT);
    expect(&box, 0, NULL); /* the click itself is not for the guest */
    motion(5, 6);          /* down is negative */
    EXPECT(0x28, 0x05, 0xfa);
    button(true, SDL_BUTTON_RIGHT);
    EXPECT(0x0a, 0x00, 0x00);
    key(true, SDL_SCANCODE_G, KMOD_LCTRL | KMOD_LALT);
    EXPECT(0x08, 0x00, 0x00); /* what was pressed is released */
    motion(5, 6);
    key(false, SDL_SCANCODE_G, KMOD_LCTRL | KMOD_LALT);
    expect(&box, 0, NULL);
    key(true, SDL_SCANCODE_G, KMOD_LCTRL | KMOD_LALT); /* and it takes the mouse, too */
    expect(&box, 0, NULL);                             /* SDL forgets movements from before */
    motion(1, 0);
    EXPECT(0x08, 0x01, 0x00);
    box_close(&box);
}
END_TEST

START_TEST(closing_is_told)
{
    struct box box;
    box_open(&box);
    push((SDL_Event){ .quit = { .type = SDL_QUIT } });
    ck_assert(!window_look(box.window));
    box_close(&box);
}
END_TEST

START_TEST(window_is_as_large_as_the_screen)
{
    struct box box;
    struct pacifica_screen screen;
    int width = 0, height = 0;
    box_open(&box);
    ck_assert_int_eq(pacifica_machine_screen(box.machine, &screen), PACIFICA_OK);
    SDL_GetWindowSize(SDL_GetWindowFromID(1), &width, &height);
    ck_assert_int_eq(width, (int)screen.width);
    ck_assert_int_eq(height, (int)screen.height);
    box_close(&box);
}
END_TEST

START_TEST(without_a_screen_there_is_no_window)
{
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    struct pacifica_machine *machine;
    struct window *window;
    struct pacifica_diag diag = { 0 };
    options.ram_bytes = UINT64_C(16) << 20;
    ck_assert_int_eq(pacifica_machine_new(&options, &machine, &diag), PACIFICA_OK);
    ck_assert_int_eq(window_open(&window, machine, &diag), PACIFICA_EUNSUPPORTED);
    ck_assert_ptr_null(window);
    ck_assert_str_eq(diag.what, "there is no screen");
    pacifica_machine_free(machine);
}
END_TEST

CHECK_MAIN("window", keys_reach_the_guest, keys_are_released_with_the_focus,
           a_click_gives_the_mouse_and_ctrl_alt_g_takes_it, closing_is_told,
           window_is_as_large_as_the_screen, without_a_screen_there_is_no_window)

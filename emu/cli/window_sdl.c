/* -display sdl with SDL2. Its scan codes are the USB usages that pacifica_machine_key() takes. */
#include "emu/cli/window.h"

#include "emu/base/diag.h"

#include <SDL.h>
#include <stdlib.h>
#include <string.h>

#define PICTURE_MS 25
#define USAGES 0xe8 /* up to the right GUI key; what SDL has beyond is its own */
#define SIDE_MOST 4096

/* Invariant: pixels and shown have room for `screen`; texture is of its size, and shows `shown`. */
struct window {
    struct pacifica_machine *machine;
    SDL_Window *window;
    SDL_Renderer *renderer;
    SDL_Texture *texture;
    struct pacifica_screen screen;
    uint32_t *pixels, *shown;
    Uint64 next_ms; /* when the next picture is due */
    bool grabbed;   /* the mouse is the guest's */
    unsigned buttons;
    bool down[USAGES];
};

static enum pacifica_status sdl_failed(struct pacifica_diag *diag)
{
    return diag_set(diag, PACIFICA_EIO, "-display", NULL, "%s", SDL_GetError());
}

/* --- keyboard and mouse ----------------------------------------------------------------- */

static void grab(struct window *window, bool yes)
{
    window->grabbed = yes; /* a display without such a mode gives movements within the window */
    (void)SDL_SetRelativeMouseMode(yes ? SDL_TRUE : SDL_FALSE);
    SDL_SetWindowKeyboardGrab(window->window, window->grabbed ? SDL_TRUE : SDL_FALSE);
    SDL_SetWindowTitle(window->window,
                       window->grabbed ? "pacifica - Ctrl-Alt-G releases the mouse" : "pacifica");
    if (!window->grabbed && window->buttons) {
        window->buttons = 0;
        pacifica_machine_mouse(window->machine, 0, 0, 0, 0);
    }
}

static void press(struct window *window, unsigned usage, bool down)
{
    if (usage >= USAGES || (!down && !window->down[usage]))
        return;
    window->down[usage] = down;
    pacifica_machine_key(window->machine, usage, down);
}

/* No key stays down when its release goes to another window. */
static void release_all(struct window *window)
{
    for (unsigned usage = 0; usage < USAGES; usage++)
        press(window, usage, false);
}

static void take_key(struct window *window, const SDL_KeyboardEvent *event)
{
    const Uint16 mod = event->keysym.mod;
    bool down = event->type == SDL_KEYDOWN;
    if (down && event->keysym.scancode == SDL_SCANCODE_G && (mod & KMOD_CTRL) && (mod & KMOD_ALT)) {
        if (!event->repeat)
            grab(window, !window->grabbed);
        return;
    }
    press(window, event->keysym.scancode, down);
}

static unsigned button_bit(Uint8 button)
{
    switch (button) {
    case SDL_BUTTON_LEFT: return 0x1;
    case SDL_BUTTON_RIGHT: return 0x2;
    case SDL_BUTTON_MIDDLE: return 0x4;
    case SDL_BUTTON_X1: return 0x8;
    case SDL_BUTTON_X2: return 0x10;
    default: return 0;
    }
}

/* The click that gives the mouse to the guest is not for the guest. */
static void take_button(struct window *window, const SDL_MouseButtonEvent *event)
{
    unsigned bit = button_bit(event->button);
    bool down = event->type == SDL_MOUSEBUTTONDOWN;
    if (!window->grabbed) {
        if (down)
            grab(window, true);
        return;
    }
    window->buttons = down ? window->buttons | bit : window->buttons & ~bit;
    pacifica_machine_mouse(window->machine, 0, 0, 0, window->buttons);
}

/* Returns false if the window is to be closed. */
static bool take_event(struct window *window, const SDL_Event *event)
{
    switch (event->type) {
    case SDL_QUIT: return false;
    case SDL_KEYDOWN:
    case SDL_KEYUP: take_key(window, &event->key); break;
    case SDL_MOUSEBUTTONDOWN:
    case SDL_MOUSEBUTTONUP: take_button(window, &event->button); break;
    case SDL_MOUSEMOTION:
        if (window->grabbed)
            pacifica_machine_mouse(window->machine, event->motion.xrel, -event->motion.yrel, 0,
                                   window->buttons);
        break;
    case SDL_MOUSEWHEEL:
        if (window->grabbed)
            pacifica_machine_mouse(window->machine, 0, 0, -event->wheel.y, window->buttons);
        break;
    case SDL_WINDOWEVENT:
        if (event->window.event == SDL_WINDOWEVENT_FOCUS_LOST) {
            release_all(window);
            grab(window, false);
        } else if (event->window.event == SDL_WINDOWEVENT_EXPOSED) {
            window->next_ms = 0;
        }
        break;
    default: break;
    }
    return true;
}

/* --- the picture --------------------------------------------------------------------------- */

/* Room for a picture of another size. On failure the old one stays. */
static bool resize(struct window *window, const struct pacifica_screen *screen)
{
    size_t bytes = (size_t)screen->width * screen->height * sizeof(*window->pixels);
    uint32_t *pixels = malloc(bytes), *shown = calloc(1, bytes);
    SDL_Texture *texture =
        SDL_CreateTexture(window->renderer, SDL_PIXELFORMAT_RGB888, SDL_TEXTUREACCESS_STREAMING,
                          (int)screen->width, (int)screen->height);
    if (!pixels || !shown || !texture) {
        free(pixels);
        free(shown);
        if (texture)
            SDL_DestroyTexture(texture);
        return false;
    }
    free(window->pixels);
    free(window->shown);
    if (window->texture)
        SDL_DestroyTexture(window->texture);
    window->pixels = pixels;
    window->shown = shown;
    window->texture = texture;
    window->screen = *screen;
    SDL_SetWindowSize(window->window, (int)screen->width, (int)screen->height);
    (void)SDL_RenderSetLogicalSize(window->renderer, (int)screen->width, (int)screen->height);
    (void)SDL_UpdateTexture(texture, NULL, shown, (int)(screen->width * sizeof(*shown)));
    return true;
}

static void show(struct window *window)
{
    struct pacifica_screen screen;
    if (pacifica_machine_screen(window->machine, &screen) != PACIFICA_OK || screen.width == 0 ||
        screen.height == 0 || screen.width > SIDE_MOST || screen.height > SIDE_MOST)
        return;
    bool same = window->texture && screen.width == window->screen.width &&
                screen.height == window->screen.height;
    if (!same && !resize(window, &screen))
        return;
    size_t pitch = screen.width * sizeof(*window->pixels);
    pacifica_machine_draw(window->machine, &screen, window->pixels);
    if (memcmp(window->pixels, window->shown, pitch * screen.height) != 0) {
        uint32_t *pixels = window->shown;
        window->shown = window->pixels;
        window->pixels = pixels;
        (void)SDL_UpdateTexture(window->texture, NULL, window->shown, (int)pitch);
    }
    (void)SDL_RenderClear(window->renderer);
    (void)SDL_RenderCopy(window->renderer, window->texture, NULL, NULL);
    SDL_RenderPresent(window->renderer);
}

bool window_look(struct window *window)
{
    SDL_Event event;
    while (SDL_PollEvent(&event))
        if (!take_event(window, &event))
            return false;
    Uint64 now_ms = SDL_GetTicks64();
    if (now_ms >= window->next_ms) {
        window->next_ms = now_ms + PICTURE_MS;
        show(window);
    }
    return true;
}

/* --- beginning and end ------------------------------------------------------------------------ */

/* SDL would take SIGINT and SIGTERM for itself. */
static enum pacifica_status begin(struct window *window, const struct pacifica_screen *screen,
                                  struct pacifica_diag *diag)
{
    (void)SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1");
    (void)SDL_SetHint(SDL_HINT_VIDEO_ALLOW_SCREENSAVER, "1");
    (void)SDL_SetHint(SDL_HINT_RENDER_SCALE_QUALITY, "linear");
    if (SDL_Init(SDL_INIT_VIDEO) != 0)
        return sdl_failed(diag);
    window->window =
        SDL_CreateWindow("pacifica", SDL_WINDOWPOS_UNDEFINED, SDL_WINDOWPOS_UNDEFINED,
                         (int)screen->width, (int)screen->height, SDL_WINDOW_RESIZABLE);
    if (window->window)
        window->renderer = SDL_CreateRenderer(window->window, -1, 0);
    return window->renderer ? PACIFICA_OK : sdl_failed(diag);
}

enum pacifica_status window_open(struct window **out, struct pacifica_machine *machine,
                                 struct pacifica_diag *diag)
{
    struct pacifica_screen screen;
    *out = NULL;
    if (pacifica_machine_screen(machine, &screen) != PACIFICA_OK)
        return diag_set(diag, PACIFICA_EUNSUPPORTED, "-display", "-vga std adds one",
                        "there is no screen");
    struct window *window = calloc(1, sizeof(*window));
    if (!window)
        return diag_set(diag, PACIFICA_ENOMEM, NULL, NULL, "no memory for a window");
    window->machine = machine;
    enum pacifica_status status = begin(window, &screen, diag);
    if (status != PACIFICA_OK) {
        window_close(window);
        return status;
    }
    *out = window;
    return PACIFICA_OK;
}

void window_close(struct window *window)
{
    if (!window)
        return;
    if (window->texture)
        SDL_DestroyTexture(window->texture);
    if (window->renderer)
        SDL_DestroyRenderer(window->renderer);
    if (window->window)
        SDL_DestroyWindow(window->window);
    SDL_Quit();
    free(window->pixels);
    free(window->shown);
    free(window);
}

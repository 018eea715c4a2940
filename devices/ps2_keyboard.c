/* A keyboard with 104 keys.
 *
 * CHOICE: scan code set 3 does not exist, and its commands (F7h-FDh, F0h with 3) are answered with "resend", as others
 * that a keyboard does not know: no system software was found that asks for it. A key repeats when whoever presses it
 * says so, not by the rate of command F3h. */
#include "devices/ps2.h"
#include "devices/ps2_translate.h"

#include <string.h>

enum keyboard_command {
    KBD_LEDS = 0xed,
    KBD_ECHO = 0xee,
    KBD_SET = 0xf0,
    KBD_ID = 0xf2,
    KBD_RATE = 0xf3,
    KBD_ENABLE = 0xf4,
    KBD_DISABLE = 0xf5,
    KBD_DEFAULT = 0xf6,
    KBD_RESEND = 0xfe,
    KBD_RESET = 0xff
};

#define RATE_DEFAULT 0x2b /* 10.9 characters a second after 500 ms */
#define RELEASED 0xf0
#define OVERRUN_SET1 0xff
#define OVERRUN_SET2 0x00

#define EXTENDED 0x100
#define KEY(usage, code) [usage] = (code),
static const uint16_t set2_of[256] = {
#include "devices/ps2_keys.def"
};
#undef KEY

#define USAGE_PRINT 0x46
#define USAGE_PAUSE 0x48

static void answer(struct ps2_keyboard *keyboard, uint8_t byte)
{
    ps2_answer(&keyboard->out, &byte, 1);
}

static void set_defaults(struct ps2_keyboard *keyboard)
{
    keyboard->set = 2;
    keyboard->rate = RATE_DEFAULT;
    keyboard->out.events_count = 0;
}

void ps2_keyboard_reset(struct ps2_keyboard *keyboard)
{
    memset(keyboard, 0, sizeof(*keyboard));
    set_defaults(keyboard);
    keyboard->scanning = true;
}

static void take_argument(struct ps2_keyboard *keyboard, uint8_t command, uint8_t byte)
{
    if (command == KBD_LEDS) {
        keyboard->leds = byte & 7;
    } else if (command == KBD_RATE) {
        keyboard->rate = byte & 0x7f;
    } else if (byte == 0) {
        ps2_answer(&keyboard->out, (const uint8_t[]){ PS2_ACK, keyboard->set }, 2);
        return;
    } else if (byte == 1 || byte == 2) {
        keyboard->set = byte;
        keyboard->out.events_count = 0;
    } else {
        answer(keyboard, PS2_RESEND);
        return;
    }
    answer(keyboard, PS2_ACK);
}

static void take_command(struct ps2_keyboard *keyboard, uint8_t command)
{
    switch (command) {
    case KBD_LEDS:
    case KBD_SET:
    case KBD_RATE: keyboard->command = command; break;
    case KBD_ENABLE:
        keyboard->out.events_count = 0;
        keyboard->scanning = true;
        break;
    case KBD_DISABLE:
    case KBD_DEFAULT:
        set_defaults(keyboard);
        keyboard->scanning = command == KBD_DEFAULT && keyboard->scanning;
        break;
    case KBD_ECHO: answer(keyboard, KBD_ECHO); return;
    case KBD_RESEND: answer(keyboard, keyboard->out.last); return;
    case KBD_ID: ps2_answer(&keyboard->out, (const uint8_t[]){ PS2_ACK, 0xab, 0x83 }, 3); return;
    case KBD_RESET:
        ps2_keyboard_reset(keyboard);
        ps2_answer(&keyboard->out, (const uint8_t[]){ PS2_ACK, PS2_PASSED }, 2);
        return;
    default: answer(keyboard, PS2_RESEND); return;
    }
    answer(keyboard, PS2_ACK);
}

/* No argument is as high as a command: what is one cancels the command that waited. */
void ps2_keyboard_write(struct ps2_keyboard *keyboard, uint8_t byte)
{
    uint8_t command = keyboard->command;
    keyboard->command = 0;
    if (command && byte < KBD_LEDS)
        take_argument(keyboard, command, byte);
    else
        take_command(keyboard, byte);
}

/* Bytes of set 2, in the set that was chosen. Without room a code that says so, if that has room. */
static void send(struct ps2_keyboard *keyboard, const uint8_t *code, unsigned count)
{
    uint8_t bytes[8], released = 0;
    const uint8_t overrun = keyboard->set == 1 ? OVERRUN_SET1 : OVERRUN_SET2;
    unsigned n = 0;
    for (unsigned i = 0; i < count; i++)
        if (keyboard->set == 2) {
            bytes[n++] = code[i];
        } else if (code[i] == RELEASED) {
            released = 0x80;
        } else {
            bytes[n++] = ps2_translate(code[i]) | released;
            released = 0;
        }
    /* One place is kept for the overrun. */
    if (keyboard->out.events_count + n < PS2_EVENTS)
        ps2_event(&keyboard->out, bytes, n);
    else if (keyboard->out.events_count < PS2_EVENTS)
        ps2_event(&keyboard->out, &overrun, 1);
}

static void send_print(struct ps2_keyboard *keyboard, bool down)
{
    static const uint8_t make[] = { 0xe0, 0x12, 0xe0, 0x7c };
    static const uint8_t release[] = { 0xe0, 0xf0, 0x7c, 0xe0, 0xf0, 0x12 };
    send(keyboard, down ? make : release, down ? sizeof(make) : sizeof(release));
}

/* This key tells that it was pressed and released when it is pressed. */
static void send_pause(struct ps2_keyboard *keyboard, bool down)
{
    static const uint8_t both[] = { 0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77 };
    if (down)
        send(keyboard, both, sizeof(both));
}

void ps2_keyboard_key(struct ps2_keyboard *keyboard, unsigned usage, bool down)
{
    if (!keyboard->scanning || usage >= 256)
        return;
    if (usage == USAGE_PRINT) {
        send_print(keyboard, down);
    } else if (usage == USAGE_PAUSE) {
        send_pause(keyboard, down);
    } else if (set2_of[usage]) {
        uint8_t bytes[3];
        unsigned n = 0;
        if (set2_of[usage] & EXTENDED)
            bytes[n++] = 0xe0;
        if (!down)
            bytes[n++] = RELEASED;
        bytes[n++] = (uint8_t)set2_of[usage];
        send(keyboard, bytes, n);
    }
}

void ps2_keyboard_state(struct ps2_keyboard *keyboard, struct snap *snap)
{
    ps2_output_state(&keyboard->out, snap);
    SNAP(snap, keyboard, command);
    SNAP(snap, keyboard, set);
    SNAP(snap, keyboard, leds);
    SNAP(snap, keyboard, rate);
    SNAP(snap, keyboard, scanning);
    uint8_t command = keyboard->command;
    if (command && command != KBD_LEDS && command != KBD_SET && command != KBD_RATE)
        snap_refuse(snap, "command");
    if (keyboard->set != 1 && keyboard->set != 2)
        snap_refuse(snap, "set");
}

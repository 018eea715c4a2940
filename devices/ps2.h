/* The keyboard and the mouse on a PC's PS/2 ports, seen from the controller: bytes go in, bytes come out.
 * IBM Personal System/2 Hardware Interface Technical Reference, "Keyboard" and "Auxiliary device". */
#ifndef DEVICES_PS2_H
#define DEVICES_PS2_H

#include "devices/bus.h"

#define PS2_ACK 0xfa
#define PS2_RESEND 0xfe
#define PS2_PASSED 0xaa /* the basic assurance test */

#define PS2_REPLY 8   /* the longest answer has four bytes */
#define PS2_EVENTS 32 /* bytes of keys or movements that nobody has read; a key has up to eight */

/* What a device has to say: answers come before events. */
struct ps2_output {
    uint8_t reply[PS2_REPLY], events[PS2_EVENTS];
    uint8_t reply_first, reply_count, events_first, events_count;
    uint8_t last; /* for the command "resend" */
};

/* The next byte, which is taken; false: there is none. */
bool ps2_take(struct ps2_output *out, uint8_t *byte);
bool ps2_has_output(const struct ps2_output *out);

/* Answers replace what is left of earlier ones: a command ends what a device was sending. */
void ps2_answer(struct ps2_output *out, const uint8_t *bytes, unsigned count);
/* All of the bytes or, without room, none. */
bool ps2_event(struct ps2_output *out, const uint8_t *bytes, unsigned count);
void ps2_output_state(struct ps2_output *out, struct snap *snap);

struct ps2_keyboard {
    struct ps2_output out;
    uint8_t command; /* whose argument is awaited; 0: none */
    uint8_t set;     /* of scan codes: 1 or 2 */
    uint8_t leds, rate;
    bool scanning;
};

void ps2_keyboard_reset(struct ps2_keyboard *keyboard);
void ps2_keyboard_write(struct ps2_keyboard *keyboard, uint8_t byte);
/* A key goes down, or down still (it repeats), or up. `usage` is that of USB's "Keyboard/Keypad" page (HID Usage Tables,
 * 10); those that a keyboard with 104 keys lacks are ignored. */
void ps2_keyboard_key(struct ps2_keyboard *keyboard, unsigned usage, bool down);
void ps2_keyboard_state(struct ps2_keyboard *keyboard, struct snap *snap);

struct ps2_mouse {
    struct ps2_output out;
    uint8_t command;
    uint8_t id;                /* 0, 3 with a wheel, 4 with five buttons */
    uint8_t resolution;        /* counts per millimetre as a power of two */
    uint8_t rate, rate_before; /* samples a second, and what was set before */
    uint8_t buttons, sent_buttons;
    bool reporting, remote, wrap, scaling;
    int32_t dx, dy, dz; /* moved, not reported */
};

void ps2_mouse_reset(struct ps2_mouse *mouse);
void ps2_mouse_write(struct ps2_mouse *mouse, uint8_t byte);
/* It moves by counts (right, up, wheel towards the user) and its buttons (bit 0 left, 1 right, 2 middle, 3 and 4 beside)
 * are so. */
void ps2_mouse_move(struct ps2_mouse *mouse, int dx, int dy, int dz, uint8_t buttons);
/* Report what has accumulated, if there is room. */
void ps2_mouse_flush(struct ps2_mouse *mouse);
void ps2_mouse_state(struct ps2_mouse *mouse, struct snap *snap);

#endif

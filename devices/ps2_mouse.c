/* A mouse with a wheel and five buttons, which shows them to those who know the sequences of sample rates that ask for
 * them: 200, 100, 80 for the wheel (ID 3) and 200, 200, 80 for two more buttons (ID 4). Microsoft's IntelliMouse and
 * IntelliMouse Explorer. */
#include "devices/ps2.h"

#include <string.h>

enum mouse_command {
    MOUSE_SCALE_1 = 0xe6,
    MOUSE_SCALE_2 = 0xe7,
    MOUSE_RESOLUTION = 0xe8,
    MOUSE_STATUS = 0xe9,
    MOUSE_STREAM = 0xea,
    MOUSE_READ = 0xeb,
    MOUSE_NO_WRAP = 0xec,
    MOUSE_WRAP = 0xee,
    MOUSE_REMOTE = 0xf0,
    MOUSE_ID = 0xf2,
    MOUSE_RATE = 0xf3,
    MOUSE_ENABLE = 0xf4,
    MOUSE_DISABLE = 0xf5,
    MOUSE_DEFAULT = 0xf6,
    MOUSE_RESEND = 0xfe,
    MOUSE_RESET = 0xff
};

#define ID_WHEEL 3
#define ID_BUTTONS 4

#define PACKET_BYTES(mouse) ((mouse)->id ? 4u : 3u)
#define PACKET_ALWAYS 0x08
#define PACKET_X_NEGATIVE 0x10
#define PACKET_Y_NEGATIVE 0x20

#define MOVED_MAX 0xffff /* what is not reported does not grow without end */

static void answer(struct ps2_mouse *mouse, uint8_t byte)
{
    ps2_answer(&mouse->out, &byte, 1);
}

static void forget_movement(struct ps2_mouse *mouse)
{
    mouse->out.events_count = 0;
    mouse->dx = mouse->dy = mouse->dz = 0;
}

static void set_defaults(struct ps2_mouse *mouse)
{
    mouse->rate = 100;
    mouse->rate_before = 0;
    mouse->resolution = 2;
    mouse->reporting = mouse->remote = mouse->scaling = false;
    forget_movement(mouse);
}

void ps2_mouse_reset(struct ps2_mouse *mouse)
{
    uint8_t buttons = mouse->buttons; /* fingers stay where they are */
    memset(mouse, 0, sizeof(*mouse));
    mouse->buttons = mouse->sent_buttons = buttons;
    set_defaults(mouse);
}

static int clamp(int value, int low, int high)
{
    return value < low ? low : value > high ? high : value;
}

/* As 2:1 scaling makes of what a packet would tell. */
static int scaled(int count)
{
    static const int small[] = { 0, 1, 1, 3, 6, 9 };
    int size = count < 0 ? -count : count;
    size = size < 6 ? small[size] : clamp(2 * size, 0, 255);
    return count < 0 ? -size : size;
}

/* A packet of what has accumulated, of which it takes as much as it can hold. */
static unsigned make_packet(struct ps2_mouse *mouse, bool scale, uint8_t packet[4])
{
    int x = clamp(mouse->dx, -255, 255), y = clamp(mouse->dy, -255, 255);
    int z = clamp(mouse->dz, -8, 7);
    mouse->dx -= x;
    mouse->dy -= y;
    mouse->dz -= z;
    mouse->sent_buttons = mouse->buttons;
    if (scale)
        x = scaled(x), y = scaled(y);
    packet[0] = (uint8_t)(PACKET_ALWAYS | (mouse->buttons & 7) | (x < 0 ? PACKET_X_NEGATIVE : 0) |
                          (y < 0 ? PACKET_Y_NEGATIVE : 0));
    packet[1] = (uint8_t)x;
    packet[2] = (uint8_t)y;
    packet[3] = (uint8_t)z;
    if (mouse->id == ID_BUTTONS)
        packet[3] = (uint8_t)((z & 0x0f) | (mouse->buttons & 0x18) << 1);
    return PACKET_BYTES(mouse);
}

void ps2_mouse_flush(struct ps2_mouse *mouse)
{
    uint8_t shown = mouse->id == ID_BUTTONS ? 0x1f : 7;
    if (!mouse->reporting || mouse->remote || mouse->wrap)
        return;
    if (!mouse->id)
        mouse->dz = 0;
    while (
        (mouse->dx || mouse->dy || mouse->dz || ((mouse->buttons ^ mouse->sent_buttons) & shown)) &&
        mouse->out.events_count + PACKET_BYTES(mouse) <= PS2_EVENTS) {
        uint8_t packet[4];
        unsigned count = make_packet(mouse, mouse->scaling, packet);
        ps2_event(&mouse->out, packet, count);
    }
}

void ps2_mouse_move(struct ps2_mouse *mouse, int dx, int dy, int dz, uint8_t buttons)
{
    mouse->dx = clamp(mouse->dx + clamp(dx, -MOVED_MAX, MOVED_MAX), -MOVED_MAX, MOVED_MAX);
    mouse->dy = clamp(mouse->dy + clamp(dy, -MOVED_MAX, MOVED_MAX), -MOVED_MAX, MOVED_MAX);
    mouse->dz = clamp(mouse->dz + clamp(dz, -MOVED_MAX, MOVED_MAX), -MOVED_MAX, MOVED_MAX);
    mouse->buttons = buttons & 0x1f;
    ps2_mouse_flush(mouse);
}

static void set_rate(struct ps2_mouse *mouse, uint8_t rate)
{
    if (rate == 80 && mouse->rate == 100 && mouse->rate_before == 200)
        mouse->id = ID_WHEEL;
    if (rate == 80 && mouse->rate == 200 && mouse->rate_before == 200)
        mouse->id = ID_BUTTONS;
    mouse->rate_before = mouse->rate;
    mouse->rate = rate;
}

static void answer_status(struct ps2_mouse *mouse)
{
    uint8_t state = (uint8_t)((mouse->remote ? 0x40 : 0) | (mouse->reporting ? 0x20 : 0) |
                              (mouse->scaling ? 0x10 : 0) | (mouse->buttons & 1) << 2 |
                              (mouse->buttons & 4) >> 1 | (mouse->buttons & 2) >> 1);
    ps2_answer(&mouse->out, (const uint8_t[]){ PS2_ACK, state, mouse->resolution, mouse->rate }, 4);
}

static void answer_data(struct ps2_mouse *mouse)
{
    uint8_t packet[5] = { PS2_ACK };
    unsigned count = make_packet(mouse, false, packet + 1);
    ps2_answer(&mouse->out, packet, 1 + count);
}

static void take_command(struct ps2_mouse *mouse, uint8_t command)
{
    switch (command) {
    case MOUSE_SCALE_1:
    case MOUSE_SCALE_2: mouse->scaling = command == MOUSE_SCALE_2; break;
    case MOUSE_RESOLUTION:
    case MOUSE_RATE: mouse->command = command; break;
    case MOUSE_STATUS: answer_status(mouse); return;
    case MOUSE_STREAM: mouse->remote = false; break;
    case MOUSE_READ: answer_data(mouse); return;
    case MOUSE_NO_WRAP: break;
    case MOUSE_WRAP: mouse->wrap = true; break;
    case MOUSE_REMOTE: mouse->remote = true; break;
    case MOUSE_ID: ps2_answer(&mouse->out, (const uint8_t[]){ PS2_ACK, mouse->id }, 2); return;
    case MOUSE_ENABLE:
    case MOUSE_DISABLE:
        forget_movement(mouse);
        mouse->reporting = command == MOUSE_ENABLE;
        break;
    case MOUSE_DEFAULT: set_defaults(mouse); break;
    case MOUSE_RESEND: answer(mouse, mouse->out.last); return;
    case MOUSE_RESET:
        ps2_mouse_reset(mouse);
        ps2_answer(&mouse->out, (const uint8_t[]){ PS2_ACK, PS2_PASSED, mouse->id }, 3);
        return;
    default: answer(mouse, PS2_RESEND); return;
    }
    answer(mouse, PS2_ACK);
}

void ps2_mouse_write(struct ps2_mouse *mouse, uint8_t byte)
{
    uint8_t command = mouse->command;
    mouse->command = 0;
    if (mouse->wrap && byte != MOUSE_NO_WRAP && byte != MOUSE_RESET) {
        answer(mouse, byte);
        return;
    }
    mouse->wrap = false;
    if (!command) {
        take_command(mouse, byte);
        return;
    }
    if (command == MOUSE_RATE)
        set_rate(mouse, byte);
    else
        mouse->resolution = byte & 3;
    answer(mouse, PS2_ACK);
}

static void movement_state(struct snap *snap, const char *name, int32_t *moved)
{
    snap_s32(snap, name, moved);
    if (*moved < -MOVED_MAX || *moved > MOVED_MAX) {
        snap_refuse(snap, name);
        *moved = 0;
    }
}

void ps2_mouse_state(struct ps2_mouse *mouse, struct snap *snap)
{
    ps2_output_state(&mouse->out, snap);
    SNAP(snap, mouse, command);
    SNAP(snap, mouse, id);
    SNAP(snap, mouse, resolution);
    SNAP(snap, mouse, rate);
    SNAP(snap, mouse, rate_before);
    SNAP_BELOW(snap, mouse, buttons, 0x20);
    SNAP_BELOW(snap, mouse, sent_buttons, 0x20);
    SNAP(snap, mouse, reporting);
    SNAP(snap, mouse, remote);
    SNAP(snap, mouse, wrap);
    SNAP(snap, mouse, scaling);
    movement_state(snap, "dx", &mouse->dx);
    movement_state(snap, "dy", &mouse->dy);
    movement_state(snap, "dz", &mouse->dz);
    if (mouse->command && mouse->command != MOUSE_RESOLUTION && mouse->command != MOUSE_RATE)
        snap_refuse(snap, "command");
    if (mouse->id && mouse->id != ID_WHEEL && mouse->id != ID_BUTTONS)
        snap_refuse(snap, "id");
}

/* What a PS/2 device has to say. */
#include "devices/ps2.h"

bool ps2_has_output(const struct ps2_output *out)
{
    return out->reply_count || out->events_count;
}

bool ps2_take(struct ps2_output *out, uint8_t *byte)
{
    if (out->reply_count) {
        *byte = out->reply[out->reply_first++];
        out->reply_count--;
    } else if (out->events_count) {
        *byte = out->events[out->events_first];
        out->events_first = (uint8_t)((out->events_first + 1) % PS2_EVENTS);
        out->events_count--;
    } else {
        return false;
    }
    out->last = *byte;
    return true;
}

void ps2_answer(struct ps2_output *out, const uint8_t *bytes, unsigned count)
{
    out->reply_first = 0;
    out->reply_count = (uint8_t)count;
    for (unsigned i = 0; i < count; i++)
        out->reply[i] = bytes[i];
}

bool ps2_event(struct ps2_output *out, const uint8_t *bytes, unsigned count)
{
    if (out->events_count + count > PS2_EVENTS)
        return false;
    for (unsigned i = 0; i < count; i++)
        out->events[(out->events_first + out->events_count++) % PS2_EVENTS] = bytes[i];
    return true;
}

void ps2_output_state(struct ps2_output *out, struct snap *snap)
{
    uint32_t first = out->reply_first, count = out->reply_count;
    snap_ring(snap, "reply", out->reply, PS2_REPLY, &first, &count);
    out->reply_first = (uint8_t)first;
    out->reply_count = (uint8_t)count;
    first = out->events_first;
    count = out->events_count;
    snap_ring(snap, "events", out->events, PS2_EVENTS, &first, &count);
    out->events_first = (uint8_t)first;
    out->events_count = (uint8_t)count;
    SNAP(snap, out, last);
}

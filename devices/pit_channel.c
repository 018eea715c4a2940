/* The counters of the 8254. Intel 8254 data sheet (order number 231164): "Mode definitions", "Read operations",
 * "Operation common to all modes".
 *
 * Nothing counts here: the counting element's value and OUT are functions of the ticks since the count was loaded.
 * A new count in mode 3 takes effect at the end of a half cycle: if that is the high one, the cycle then counts as begun
 * as many ticks earlier as the new high half is long. */
#include "devices/pit_channel.h"

static uint64_t elapsed(const struct channel *ch, uint64_t tick)
{
    if (ch->held)
        return ch->held_elapsed;
    return tick > ch->start ? tick - ch->start : 0;
}

/* Mode 3: the first half of a cycle; an odd count makes it the longer one. */
static uint32_t high_ticks(const struct channel *ch)
{
    return (ch->count + 1) / 2;
}

/* Bring a pending reload up to date. */
void channel_sync(struct channel *ch, uint64_t tick)
{
    if ((ch->mode != 2 && ch->mode != 3) || !ch->next_valid || ch->held || tick < ch->next_at)
        return;
    bool cycle_ends = (ch->next_at - ch->start) % ch->count == 0;
    ch->count = ch->next;
    ch->start = ch->next_at - (cycle_ends ? 0 : high_ticks(ch));
    ch->next_valid = false;
}

bool channel_out(const struct channel *ch, uint64_t tick)
{
    uint64_t gone = elapsed(ch, tick);
    switch (ch->mode) {
    case 0: return ch->loaded && gone >= ch->count;
    case 1:
        if (tick < ch->start)
            return ch->out_before;
        return !(ch->triggered && gone < ch->count);
    case 2: return !ch->loaded || ch->held || gone % ch->count != ch->count - 1 || ch->count == 1;
    case 3: return !ch->loaded || ch->held || gone % ch->count < high_ticks(ch);
    case 4: return !(ch->loaded && gone == ch->count);
    default:
        if (tick < ch->start)
            return ch->out_before;
        return !(ch->triggered && gone == ch->count);
    }
}

uint64_t channel_next_edge(const struct channel *ch, uint64_t tick)
{
    if (!ch->loaded || ch->held)
        return PIT_NEVER;
    uint64_t gone = elapsed(ch, tick);
    uint64_t begin = ch->start + gone - gone % ch->count; /* of this period */
    uint64_t middle;
    switch (ch->mode) {
    case 0:
    case 1:
        return gone < ch->count && (ch->mode == 0 || ch->triggered) ? ch->start + ch->count
                                                                    : PIT_NEVER;
    case 2:
    case 3:
        if (ch->count == 1) /* not allowed by the data sheet: OUT stays high */
            return ch->next_valid ? ch->next_at : PIT_NEVER;
        middle = begin + (ch->mode == 2 ? ch->count - 1 : high_ticks(ch));
        return tick < middle ? middle : begin + ch->count;
    default:
        if (ch->mode == 5 && !ch->triggered)
            return PIT_NEVER;
        if (gone < ch->count)
            return ch->start + ch->count;
        return gone == ch->count ? ch->start + ch->count + 1 : PIT_NEVER;
    }
}

static uint16_t to_bcd(uint32_t value)
{
    uint32_t bcd = 0;
    for (unsigned digit = 0; digit < 4; digit++, value /= 10)
        bcd |= (value % 10) << (4 * digit);
    return (uint16_t)bcd;
}

static uint32_t from_bcd(uint32_t bcd)
{
    return (bcd & 15) + (bcd >> 4 & 15) * 10 + (bcd >> 8 & 15) * 100 + (bcd >> 12 & 15) * 1000;
}

/* The counting element as a program reads it. */
static uint16_t channel_value(const struct channel *ch, uint64_t tick)
{
    uint32_t modulus = ch->bcd ? 10000 : 65536;
    uint64_t gone = elapsed(ch, tick);
    uint64_t value;
    if (!ch->loaded) {
        value = ch->next_valid ? ch->next : 0;
    } else if (ch->mode == 2) {
        value = ch->count - gone % ch->count;
    } else if (ch->mode == 3) { /* counts by two, an odd count from one less */
        uint64_t half = high_ticks(ch);
        uint64_t phase = gone % ch->count;
        value = (ch->count & ~1u) - 2 * (phase < half ? phase : phase - half);
    } else {
        value = ch->count + modulus - gone % modulus;
    }
    value %= modulus;
    return ch->bcd ? to_bcd((uint32_t)value) : (uint16_t)value;
}

uint8_t channel_status(const struct channel *ch, uint64_t tick)
{
    bool null_count = !ch->loaded || ch->next_valid || tick < ch->start;
    return (uint8_t)(channel_out(ch, tick) << 7 | null_count << 6 | ch->control);
}

/* A complete count was written. */
static void channel_load(struct channel *ch, uint32_t written, uint64_t tick)
{
    uint32_t count = ch->bcd ? from_bcd(written) : written;
    if (count == 0)
        count = ch->bcd ? 10000 : 65536;
    bool by_trigger = ch->mode == 1 || ch->mode == 5;
    bool periodic = ch->mode == 2 || ch->mode == 3;
    if (by_trigger || (periodic && ch->loaded)) {
        if (periodic && !ch->next_valid) {
            uint64_t gone = elapsed(ch, tick), phase = gone % ch->count;
            bool high_half = ch->mode == 3 && phase < high_ticks(ch);
            ch->next_at =
                ch->start + gone - phase + (high_half && !ch->held ? high_ticks(ch) : ch->count);
        }
        ch->next = count;
        ch->next_valid = true;
        return;
    }
    ch->count = count;
    ch->start = tick + 1;
    ch->loaded = true;
    ch->held = !ch->gate;
    ch->held_elapsed = 0;
}

void channel_gate(struct channel *ch, bool gate, uint64_t tick)
{
    if (gate == ch->gate)
        return;
    channel_sync(ch, tick);
    uint64_t gone = elapsed(ch, tick);
    ch->gate = gate;
    if (ch->mode == 1 || ch->mode == 5) {
        if (gate && (ch->next_valid || ch->loaded)) {
            ch->out_before = channel_out(ch, tick);
            if (ch->next_valid)
                ch->count = ch->next;
            ch->next_valid = false;
            ch->loaded = ch->triggered = true;
            ch->start = tick + 1;
        }
    } else if (ch->mode == 2 || ch->mode == 3) {
        if (gate && ch->loaded) { /* the edge reloads */
            if (ch->next_valid)
                ch->count = ch->next;
            ch->next_valid = false;
            ch->start = tick + 1;
        }
        ch->held = !gate;
        ch->held_elapsed = gone;
    } else {
        ch->held_elapsed = gone;
        ch->held = !gate;
        if (gate)
            ch->start = tick - gone;
    }
}

void channel_write(struct channel *ch, uint8_t value, uint64_t tick)
{
    switch (ch->access) {
    case ACCESS_LOW: channel_load(ch, value, tick); break;
    case ACCESS_HIGH: channel_load(ch, (uint32_t)value << 8, tick); break;
    default:
        if (ch->high_write_next) {
            channel_load(ch, (uint32_t)value << 8 | ch->low_written, tick);
        } else {
            ch->low_written = value;
            if (ch->mode == 0) /* the first byte stops the count */
                ch->loaded = false;
        }
        ch->high_write_next = !ch->high_write_next;
        break;
    }
}

uint8_t channel_read(struct channel *ch, uint64_t tick)
{
    if (ch->status_latched) {
        ch->status_latched = false;
        return ch->status;
    }
    uint16_t value = ch->latched ? ch->latch : channel_value(ch, tick);
    bool high = ch->access == ACCESS_HIGH || (ch->access == ACCESS_BOTH && ch->high_read_next);
    if (ch->access == ACCESS_BOTH)
        ch->high_read_next = !ch->high_read_next;
    if (ch->access != ACCESS_BOTH || high)
        ch->latched = false;
    return (uint8_t)(high ? value >> 8 : value);
}

void channel_latch_count(struct channel *ch, uint64_t tick)
{
    if (ch->latched) /* the first latch stays until it is read */
        return;
    ch->latch = channel_value(ch, tick);
    ch->latched = true;
}

void channel_latch_status(struct channel *ch, uint64_t tick)
{
    if (ch->status_latched) /* the first latch stays until it is read */
        return;
    ch->status = channel_status(ch, tick);
    ch->status_latched = true;
}

void channel_program(struct channel *ch, uint8_t control)
{
    unsigned mode = control >> 1 & 7;
    *ch = (struct channel){ .control = control & 0x3f,
                            .mode = (uint8_t)(mode > 5 ? mode - 4 : mode),
                            .access = control >> 4 & 3,
                            .bcd = control & 1,
                            .gate = ch->gate,
                            .held = !ch->gate && mode != 1 && mode != 5 };
}

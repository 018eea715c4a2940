/* 8254. Intel 8254 data sheet (order number 231164): "Mode definitions", "Read operations", "Operation
 * common to all modes". Port 61h: channel 2's gate, the speaker, the refresh toggle.
 *
 * Nothing counts here: the counting element's value and OUT are functions of virtual time since the
 * count was loaded. Only channel 0 has a deadline, at its next change of OUT.
 * A new count in mode 3 takes effect at the end of a half cycle: if that is the high one, the cycle then counts as begun
 * as many ticks earlier as the new high half is long. */
#include "devices/pit.h"

#define NEVER UINT64_MAX
#define REFRESH_TICKS 18 /* 15.1 microseconds, half a period of the toggle */

enum access { ACCESS_LATCH, ACCESS_LOW, ACCESS_HIGH, ACCESS_BOTH };

struct channel {
    uint8_t mode, access;
    bool bcd, gate;

    bool high_write_next, high_read_next;
    uint8_t low_written;
    bool latched, status_latched;
    uint16_t latch;
    uint8_t status;

    bool loaded;    /* the counting element holds `count` since tick `start` */
    bool triggered; /* modes 1, 5: a gate edge was seen */
    bool held;      /* the gate stops counting at `held_elapsed` */
    uint32_t count; /* 1 to 65536 */
    uint64_t start;
    bool out_before; /* modes 1, 5: OUT until then */
    uint64_t held_elapsed;

    bool next_valid; /* a count was written that is not yet in the counting element */
    uint32_t next;
    uint64_t next_at; /* modes 2, 3: the tick when it goes there */
};

struct pit {
    struct channel channel[3];
    uint8_t port61; /* bits 3:0 */
    struct irq_line irq0;
    struct vclock *clock;
    struct deadline edge;
};

/* Ticks are counted from before time 0, so that a cycle may have begun there. A multiple of the toggle's period. */
#define FIRST_TICK (UINT64_C(4096) * 2 * REFRESH_TICKS)

static uint64_t ns_tick(uint64_t ns)
{
    return (uint64_t)((emu_u128)ns * PIT_HZ / 1000000000u) + FIRST_TICK;
}

static uint64_t tick_now(const struct pit *pit)
{
    return ns_tick(clock_now_ns(pit->clock));
}

/* The first nanosecond that belongs to `tick`. */
static uint64_t tick_ns(uint64_t tick)
{
    return (uint64_t)(((emu_u128)(tick - FIRST_TICK) * 1000000000u + PIT_HZ - 1) / PIT_HZ);
}

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

/* Bring a channel's pending reload up to date. Must precede every look at the channel. */
static void channel_sync(struct channel *ch, uint64_t tick)
{
    if ((ch->mode != 2 && ch->mode != 3) || !ch->next_valid || ch->held || tick < ch->next_at)
        return;
    bool cycle_ends = (ch->next_at - ch->start) % ch->count == 0;
    ch->count = ch->next;
    ch->start = ch->next_at - (cycle_ends ? 0 : high_ticks(ch));
    ch->next_valid = false;
}

static bool channel_out(const struct channel *ch, uint64_t tick)
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

/* The tick after `tick` at which OUT may change, or NEVER. */
static uint64_t channel_next_edge(const struct channel *ch, uint64_t tick)
{
    if (!ch->loaded || ch->held)
        return NEVER;
    uint64_t gone = elapsed(ch, tick);
    uint64_t begin = ch->start + gone - gone % ch->count; /* of this period */
    uint64_t middle;
    switch (ch->mode) {
    case 0:
    case 1:
        return gone < ch->count && (ch->mode == 0 || ch->triggered) ? ch->start + ch->count : NEVER;
    case 2:
    case 3:
        if (ch->count == 1) /* not allowed by the data sheet: OUT stays high */
            return ch->next_valid ? ch->next_at : NEVER;
        middle = begin + (ch->mode == 2 ? ch->count - 1 : high_ticks(ch));
        return tick < middle ? middle : begin + ch->count;
    default:
        if (ch->mode == 5 && !ch->triggered)
            return NEVER;
        if (gone < ch->count)
            return ch->start + ch->count;
        return gone == ch->count ? ch->start + ch->count + 1 : NEVER;
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

static uint8_t channel_status(const struct channel *ch, uint64_t tick)
{
    bool null_count = !ch->loaded || ch->next_valid || tick < ch->start;
    return (uint8_t)(channel_out(ch, tick) << 7 | null_count << 6 | ch->access << 4 |
                     ch->mode << 1 | ch->bcd);
}

/* Channel 0's OUT to the interrupt controller, and the next deadline. */
static void pit_update(struct pit *pit, uint64_t tick)
{
    struct channel *ch = &pit->channel[0];
    channel_sync(ch, tick);
    irq_set(&pit->irq0, channel_out(ch, tick));
    uint64_t next = channel_next_edge(ch, tick);
    if (next == NEVER)
        clock_cancel(pit->clock, &pit->edge);
    else
        clock_arm(pit->clock, &pit->edge, tick_ns(next));
}

/* Takes the edge's own time, so that a late call loses no edge: the next one follows at once. */
static void edge_fire(void *self, uint64_t now_ns)
{
    struct pit *pit = self;
    (void)now_ns;
    pit_update(pit, ns_tick(pit->edge.when_ns));
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

static void channel_gate(struct channel *ch, bool gate, uint64_t tick)
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

static void write_count(struct channel *ch, uint8_t value, uint64_t tick)
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

static uint8_t read_count(struct channel *ch, uint64_t tick)
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

static void latch_count(struct channel *ch, uint64_t tick)
{
    if (ch->latched) /* the first latch stays until it is read */
        return;
    ch->latch = channel_value(ch, tick);
    ch->latched = true;
}

static void read_back(struct pit *pit, uint8_t value, uint64_t tick)
{
    for (unsigned i = 0; i < 3; i++) {
        struct channel *ch = &pit->channel[i];
        if (!(value & (2u << i)))
            continue;
        channel_sync(ch, tick);
        if (!(value & 0x10) && !ch->status_latched) {
            ch->status = channel_status(ch, tick);
            ch->status_latched = true;
        }
        if (!(value & 0x20))
            latch_count(ch, tick);
    }
}

static void write_control(struct pit *pit, uint8_t value, uint64_t tick)
{
    if (value >> 6 == 3) {
        read_back(pit, value, tick);
        return;
    }
    struct channel *ch = &pit->channel[value >> 6];
    channel_sync(ch, tick);
    if ((value >> 4 & 3) == ACCESS_LATCH) {
        latch_count(ch, tick);
        return;
    }
    unsigned mode = value >> 1 & 7;
    *ch = (struct channel){ .mode = (uint8_t)(mode > 5 ? mode - 4 : mode),
                            .access = value >> 4 & 3,
                            .bcd = value & 1,
                            .gate = ch->gate,
                            .held = !ch->gate && mode != 1 && mode != 5 };
}

static uint32_t pit_read(void *self, uint16_t port, unsigned size)
{
    struct pit *pit = self;
    uint64_t tick = tick_now(pit);
    (void)size;
    if (port == 0x43)
        return 0xff; /* the control word cannot be read */
    if (port != 0x61) {
        channel_sync(&pit->channel[port & 3], tick);
        return read_count(&pit->channel[port & 3], tick);
    }
    channel_sync(&pit->channel[2], tick);
    return (uint32_t)(pit->port61 | (tick / REFRESH_TICKS & 1) << 4 |
                      (uint32_t)channel_out(&pit->channel[2], tick) << 5);
}

static void pit_write(void *self, uint16_t port, unsigned size, uint32_t value)
{
    struct pit *pit = self;
    uint64_t tick = tick_now(pit);
    (void)size;
    if (port == 0x61) {
        pit->port61 = value & 0x0f;
        channel_gate(&pit->channel[2], value & 1, tick);
        return;
    }
    if (port == 0x43) {
        write_control(pit, (uint8_t)value, tick);
    } else {
        channel_sync(&pit->channel[port & 3], tick);
        write_count(&pit->channel[port & 3], (uint8_t)value, tick);
    }
    pit_update(pit, tick);
}

/* CHOICE: after reset every channel waits in mode 0, OUT low, nothing loaded; the data sheet leaves the
 * mode undefined. */
static void pit_reset(void *self)
{
    struct pit *pit = self;
    for (unsigned i = 0; i < 3; i++)
        pit->channel[i] = (struct channel){ .access = ACCESS_BOTH, .gate = i != 2, .held = i == 2 };
    pit->port61 = 0;
    pit_update(pit, tick_now(pit));
}

static void pit_fini(void *self)
{
    struct pit *pit = self;
    clock_cancel(pit->clock, &pit->edge);
}

static void mix_channel(struct channel ch, uint64_t tick, const struct dev_mixer *mixer)
{
    channel_sync(&ch, tick); /* of a copy */
    dev_mix(mixer, ch.mode | (uint64_t)ch.access << 4 | (uint64_t)ch.bcd << 8 |
                       (uint64_t)ch.gate << 9 | (uint64_t)ch.high_write_next << 10 |
                       (uint64_t)ch.high_read_next << 11 | (uint64_t)ch.latched << 12 |
                       (uint64_t)ch.status_latched << 13 | (uint64_t)ch.loaded << 14 |
                       (uint64_t)ch.triggered << 15 | (uint64_t)ch.low_written << 16 |
                       (uint64_t)(ch.latched ? ch.latch : 0) << 24 |
                       (uint64_t)(ch.status_latched ? ch.status : 0) << 40 |
                       (uint64_t)ch.held << 48 | (uint64_t)ch.next_valid << 49);
    dev_mix(mixer, ch.count | (uint64_t)(ch.next_valid ? ch.next : 0) << 32);
    dev_mix(mixer, ch.held ? ch.held_elapsed : ch.start);
    dev_mix(mixer, tick < ch.start && ch.out_before);
    dev_mix(mixer, ch.next_valid ? ch.next_at : 0);
}

static void pit_mix(const void *self, const struct dev_mixer *mixer)
{
    const struct pit *pit = self;
    uint64_t tick = ns_tick(dev_mix_ns(pit->clock));
    for (unsigned i = 0; i < 3; i++)
        mix_channel(pit->channel[i], tick, mixer);
    dev_mix(mixer, pit->port61);
}

static const struct dev_class dev_pit = {
    .name = "pit8254",
    .ports = { { 0x40, 4 }, { 0x61, 1 } },
    .port_size = 1,
    .state_size = sizeof(struct pit),
    .reset = pit_reset,
    .fini = pit_fini,
    .port_read = pit_read,
    .port_write = pit_write,
    .mix = pit_mix,
};

struct pit *pit_add(struct bus *bus, struct irq_line irq0)
{
    struct pit *pit = bus_add(bus, &dev_pit);
    if (!pit)
        return NULL;
    pit->irq0 = irq0;
    pit->clock = bus_clock(bus);
    pit->edge = (struct deadline){ .fire = edge_fire, .self = pit };
    pit_reset(pit);
    return pit;
}

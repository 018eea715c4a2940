/* 8254: its ports and channel 0's interrupt line. Intel 8254 data sheet (order number 231164). Port 61h: channel 2's gate,
 * the speaker, the refresh toggle.
 *
 * Only channel 0 has a deadline, at its next change of OUT. */
#include "devices/pit.h"

#include "devices/pit_channel.h"

#define COUNT_MOST 65536u
#define REFRESH_TICKS 18 /* 15.1 microseconds, half a period of the toggle */

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

/* Channel 0's OUT to the interrupt controller, and the next deadline. */
static void pit_update(struct pit *pit, uint64_t tick)
{
    struct channel *ch = &pit->channel[0];
    channel_sync(ch, tick);
    irq_set(&pit->irq0, channel_out(ch, tick));
    uint64_t next = channel_next_edge(ch, tick);
    if (next == PIT_NEVER)
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

static void read_back(struct pit *pit, uint8_t value, uint64_t tick)
{
    for (unsigned i = 0; i < 3; i++) {
        struct channel *ch = &pit->channel[i];
        if (!(value & (2u << i)))
            continue;
        channel_sync(ch, tick);
        if (!(value & 0x10))
            channel_latch_status(ch, tick);
        if (!(value & 0x20))
            channel_latch_count(ch, tick);
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
    if ((value >> 4 & 3) == ACCESS_LATCH)
        channel_latch_count(ch, tick);
    else
        channel_program(ch, value);
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
        return channel_read(&pit->channel[port & 3], tick);
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
        channel_write(&pit->channel[port & 3], (uint8_t)value, tick);
    }
    pit_update(pit, tick);
}

/* CHOICE: after reset every channel waits in mode 0, OUT low, nothing loaded; the data sheet leaves the
 * mode undefined. */
static void pit_reset(void *self)
{
    struct pit *pit = self;
    for (unsigned i = 0; i < 3; i++)
        pit->channel[i] = (struct channel){
            .control = ACCESS_BOTH << 4, .access = ACCESS_BOTH, .gate = i != 2, .held = i == 2
        };
    pit->port61 = 0;
    pit_update(pit, tick_now(pit));
}

static void pit_fini(void *self)
{
    struct pit *pit = self;
    clock_cancel(pit->clock, &pit->edge);
}

/* Ticks are of a time that can come, and the cycle before them is not before tick 0. */
static bool is_tick(uint64_t tick)
{
    return tick >= FIRST_TICK / 2 && tick <= ns_tick(CLOCK_LAST) + FIRST_TICK;
}

static bool channel_is_possible(const struct channel *ch, uint64_t now)
{
    bool periodic = ch->mode == 2 || ch->mode == 3;
    if (ch->held_elapsed > now || (ch->loaded && (ch->count == 0 || !is_tick(ch->start))))
        return false;
    return !ch->next_valid ||
           (ch->next != 0 && (!periodic || (ch->loaded && is_tick(ch->next_at))));
}

static void channel_state(struct channel *ch, struct snap *snap, uint64_t now)
{
    SNAP(snap, ch, control);
    SNAP_BELOW(snap, ch, mode, 6);
    SNAP_BELOW(snap, ch, access, ACCESS_BOTH + 1);
    SNAP(snap, ch, bcd);
    SNAP(snap, ch, gate);
    SNAP(snap, ch, high_write_next);
    SNAP(snap, ch, high_read_next);
    SNAP(snap, ch, low_written);
    SNAP(snap, ch, latched);
    SNAP(snap, ch, status_latched);
    SNAP(snap, ch, latch);
    SNAP(snap, ch, status);
    SNAP(snap, ch, loaded);
    SNAP(snap, ch, triggered);
    SNAP(snap, ch, held);
    SNAP_BELOW(snap, ch, count, COUNT_MOST + 1);
    SNAP(snap, ch, start);
    SNAP(snap, ch, out_before);
    SNAP(snap, ch, held_elapsed);
    SNAP(snap, ch, next_valid);
    SNAP_BELOW(snap, ch, next, COUNT_MOST + 1);
    SNAP(snap, ch, next_at);
    if (snap_loading(snap) && !channel_is_possible(ch, now)) {
        snap_refuse(snap, "count");
        ch->held_elapsed = 0;
        ch->loaded = ch->next_valid = false;
    }
}

/* Channel 0 is up to date: it is called at every change. */
static void pit_state(void *self, struct snap *snap)
{
    struct pit *pit = self;
    uint64_t tick = ns_tick(pit->clock->highest_ns);
    for (unsigned i = 0; i < 3; i++) {
        if (i != 0 && !snap_loading(snap))
            channel_sync(&pit->channel[i], tick);
        channel_state(&pit->channel[i], snap, tick);
    }
    SNAP_BELOW(snap, pit, port61, 0x10);
    snap_deadline(snap, "edge", pit->clock, &pit->edge);
}

static const struct dev_class dev_pit = {
    .name = "pit8254",
    .ports = { { 0x40, 4 }, { 0x61, 1 } },
    .port_size = 1,
    .access_ns = BUS_ACCESS_NS,
    .state_size = sizeof(struct pit),
    .reset = pit_reset,
    .fini = pit_fini,
    .port_read = pit_read,
    .port_write = pit_write,
    .state = pit_state,
    .state_version = 1,
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

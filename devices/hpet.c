/* HPET. IA-PC HPET Specification 1.0a, chapter 2 "Hardware Overview"; number of timers, frequency and interrupt routes
 * as in QEMU's `pc` machine.
 *
 * Time is counted in ticks of the main counter; while it stands, nothing moves. A comparator acts at the tick that
 * equals it (2.3.9.2), so one that is set to a time gone by waits for the counter to come round.
 * CHOICE: an edge at IRQ 0 or IRQ 8 is a line that falls and rises and stays high until the next one, as the PIT's does:
 * so the edge survives until the PIC is asked. At the IOAPIC's input, which others share, it is a pulse.
 * CHOICE: accesses of other than four or eight aligned bytes are answered for reading and ignored for writing; the
 * specification leaves them open. */
#include "devices/hpet.h"

enum { CAPABILITIES = 0x000, CONFIG = 0x010, STATUS = 0x020, COUNTER = 0x0f0, TIMERS = 0x100 };
enum { TIMER_CONFIG = 0x00, TIMER_COMPARATOR = 0x08, TIMER_BYTES = 0x20 };

#define CONFIG_ENABLE 1u
#define CONFIG_LEGACY 2u

#define TIMER_LEVEL 0x0002u
#define TIMER_ENABLE 0x0004u
#define TIMER_PERIODIC 0x0008u
#define TIMER_CAN_PERIODIC 0x0010u
#define TIMER_IS_64 0x0020u
#define TIMER_SET_VALUE 0x0040u
#define TIMER_FORCE_32 0x0100u
#define TIMER_ROUTE 0x3e00u
#define TIMER_ROUTE_SHIFT 9
#define TIMER_WRITABLE \
    (TIMER_LEVEL | TIMER_ENABLE | TIMER_PERIODIC | TIMER_SET_VALUE | TIMER_FORCE_32)
#define ROUTES (1u << HPET_ROUTE)

#define CAPABILITIES_VALUE (HPET_ID | (uint64_t)HPET_PERIOD_NS * 1000000u << 32) /* femtoseconds */

struct hpet_timer {
    struct hpet *hpet;
    struct deadline match;
    uint32_t config;
    uint64_t comparator, period;
    uint64_t seen; /* matches of ticks up to this one have had their effect */
    bool high;     /* it asserts the line that it has replaced */
};

struct hpet {
    struct vclock *clock;
    struct hpet_wires wires;
    uint32_t config, status;
    uint64_t counter;       /* at `since`, or where it stands */
    uint64_t since;         /* time in ticks when it was enabled */
    bool pit, rtc;          /* levels of the lines it replaces */
    bool irq0, irq8, route; /* what it drives */
    struct hpet_timer timer[HPET_TIMERS];
};

/* --- time ---------------------------------------------------------------------------------------- */

static uint64_t counter_at(const struct hpet *hpet, uint64_t ns)
{
    return hpet->config & CONFIG_ENABLE ? hpet->counter + (ns / HPET_PERIOD_NS - hpet->since)
                                        : hpet->counter;
}

static uint64_t counter_mask(const struct hpet_timer *timer)
{
    return timer->config & TIMER_FORCE_32 ? UINT32_MAX : UINT64_MAX;
}

/* Ticks from counter value `from` to the next match behind it: 1 to 2^32 or 2^64, which is 0. */
static uint64_t ticks_to_match(const struct hpet_timer *timer, uint64_t from)
{
    uint64_t mask = counter_mask(timer);
    return ((timer->comparator - from - 1) & mask) + 1;
}

static bool is_periodic(const struct hpet_timer *timer)
{
    return (timer->config & TIMER_PERIODIC) && (timer->period & counter_mask(timer)) != 0;
}

/* Let the comparator of a periodic timer follow the counter, which has come to `now`. True: it has matched. */
static bool timer_advance(struct hpet_timer *timer, uint64_t now)
{
    uint64_t mask = counter_mask(timer), period = timer->period & mask;
    uint64_t ahead = ticks_to_match(timer, timer->seen), gone = now - timer->seen;
    if (gone >> 63) /* never: time does not go back */
        return false;
    timer->seen = now;
    if (ahead == 0 || gone < ahead)
        return false;
    if (is_periodic(timer))
        timer->comparator = (timer->comparator + ((gone - ahead) / period + 1) * period) & mask;
    return true;
}

/* --- lines ----------------------------------------------------------------------------------------- */

static void drive(const struct irq_line *line, bool *was, bool level)
{
    if (*was == level)
        return;
    *was = level;
    irq_set(line, level);
}

/* Does a timer have the line of the PIT or the clock? */
static bool is_replacing(const struct hpet *hpet, unsigned index)
{
    return (hpet->config & CONFIG_LEGACY) && index < 2;
}

static bool is_routed(const struct hpet *hpet, unsigned index)
{
    unsigned to = (hpet->timer[index].config & TIMER_ROUTE) >> TIMER_ROUTE_SHIFT;
    return to == HPET_ROUTE && !is_replacing(hpet, index);
}

static bool timer_asserts(const struct hpet *hpet, unsigned index)
{
    const struct hpet_timer *timer = &hpet->timer[index];
    if (!(timer->config & TIMER_ENABLE))
        return false;
    return timer->config & TIMER_LEVEL ? hpet->status >> index & 1 : timer->high;
}

static void update_lines(struct hpet *hpet)
{
    bool legacy = hpet->config & CONFIG_LEGACY, route = false;
    for (unsigned i = 0; i < HPET_TIMERS; i++)
        route = route || (is_routed(hpet, i) && timer_asserts(hpet, i));
    drive(&hpet->wires.irq0, &hpet->irq0, legacy ? timer_asserts(hpet, 0) : hpet->pit);
    drive(&hpet->wires.irq8, &hpet->irq8, legacy ? timer_asserts(hpet, 1) : hpet->rtc);
    drive(&hpet->wires.route, &hpet->route, route);
}

static void timer_matched(struct hpet *hpet, unsigned index)
{
    struct hpet_timer *timer = &hpet->timer[index];
    if (timer->config & TIMER_LEVEL) {
        hpet->status |= 1u << index;
    } else if (timer->config & TIMER_ENABLE) {
        timer->high = false;
        update_lines(hpet);
        timer->high = is_replacing(hpet, index);
        if (is_routed(hpet, index))
            drive(&hpet->wires.route, &hpet->route, true);
    }
    update_lines(hpet);
}

/* Bring a timer up to the counter, and ask to be called at its next match if that shows. */
static void timer_update(struct hpet *hpet, unsigned index, uint64_t ns)
{
    struct hpet_timer *timer = &hpet->timer[index];
    uint64_t now = counter_at(hpet, ns);
    if (timer_advance(timer, now))
        timer_matched(hpet, index);
    uint64_t ahead = ticks_to_match(timer, now);
    bool shows = timer->config & (TIMER_LEVEL | TIMER_ENABLE);
    if (!(hpet->config & CONFIG_ENABLE) || !shows || ahead == 0 ||
        ahead > CLOCK_LAST / HPET_PERIOD_NS)
        clock_cancel(hpet->clock, &timer->match);
    else
        clock_arm(hpet->clock, &timer->match, (ns / HPET_PERIOD_NS + ahead) * HPET_PERIOD_NS);
}

static void match_fire(void *self, uint64_t now_ns)
{
    struct hpet_timer *timer = self;
    struct hpet *hpet = timer->hpet;
    (void)
        now_ns; /* its own time, so that a late call loses no match: the next one follows at once */
    timer_update(hpet, (unsigned)(timer - hpet->timer), timer->match.when_ns);
}

static void update_all(struct hpet *hpet, uint64_t ns)
{
    for (unsigned i = 0; i < HPET_TIMERS; i++)
        timer_update(hpet, i, ns);
}

/* --- registers --------------------------------------------------------------------------------------- */

static uint64_t timer_register(const struct hpet_timer *timer, unsigned at)
{
    switch (at) {
    case TIMER_CONFIG:
        return (timer->config & ~TIMER_SET_VALUE) | TIMER_CAN_PERIODIC | TIMER_IS_64 |
               (uint64_t)ROUTES << 32;
    case TIMER_COMPARATOR: return timer->comparator;
    default: return 0; /* no interrupt messages */
    }
}

static uint64_t read_register(struct hpet *hpet, unsigned at, uint64_t ns)
{
    if (at >= TIMERS && at < TIMERS + HPET_TIMERS * TIMER_BYTES)
        return timer_register(&hpet->timer[(at - TIMERS) / TIMER_BYTES], at % TIMER_BYTES);
    switch (at) {
    case CAPABILITIES: return CAPABILITIES_VALUE;
    case CONFIG: return hpet->config;
    case STATUS: return hpet->status;
    case COUNTER: return counter_at(hpet, ns);
    default: return 0;
    }
}

static uint64_t hpet_read(void *self, uint64_t offset, unsigned size)
{
    struct hpet *hpet = self;
    unsigned at = (unsigned)offset & ~7u, shift = 8 * (offset & 7);
    uint64_t ns = clock_now_ns(hpet->clock);
    (void)size; /* what is too much is cut off by the reader */
    if (at >= TIMERS)
        update_all(hpet, ns); /* comparators move */
    return read_register(hpet, at, ns) >> shift;
}

static void write_config(struct hpet *hpet, uint32_t value, uint64_t ns)
{
    uint64_t now = counter_at(hpet, ns);
    hpet->config = value & (CONFIG_ENABLE | CONFIG_LEGACY);
    hpet->counter = now;
    hpet->since = ns / HPET_PERIOD_NS;
    if (hpet->config !=
        (CONFIG_ENABLE | CONFIG_LEGACY)) /* their lines fall: what is pending is forgotten */
        for (unsigned i = 0; i < HPET_TIMERS; i++)
            hpet->timer[i].high = false;
    update_lines(hpet);
}

static void write_timer_config(struct hpet *hpet, unsigned index, uint32_t value)
{
    struct hpet_timer *timer = &hpet->timer[index];
    uint32_t old = timer->config;
    unsigned to = (value & TIMER_ROUTE) >> TIMER_ROUTE_SHIFT;
    timer->config = value & TIMER_WRITABLE;
    timer->config |= (ROUTES >> to & 1 ? value : old) & TIMER_ROUTE;
    if (!(value & TIMER_PERIODIC))
        timer->config &= ~TIMER_SET_VALUE;
    if (!(value & TIMER_ENABLE) || (value & TIMER_LEVEL))
        timer->high = false;
    if (value & TIMER_FORCE_32) {
        timer->comparator = (uint32_t)timer->comparator;
        timer->period = (uint32_t)timer->period;
    }
    if (old & ~value & TIMER_LEVEL)
        hpet->status &= ~(1u << index);
    update_lines(hpet);
}

/* 2.3.9.2.2 "Periodic Mode": what is written last is the period; the comparator itself takes it only if that was asked. */
static void write_comparator(struct hpet_timer *timer, uint64_t value, uint64_t mask)
{
    mask &= counter_mask(timer);
    if (!(timer->config & TIMER_PERIODIC) || (timer->config & TIMER_SET_VALUE))
        timer->comparator = (timer->comparator & ~mask) | (value & mask);
    if (timer->config & TIMER_PERIODIC)
        timer->period = (timer->period & ~mask) | (value & mask);
    timer->config &= ~TIMER_SET_VALUE;
}

static void write_register(struct hpet *hpet, unsigned at, uint64_t value, uint64_t mask,
                           uint64_t ns)
{
    uint64_t merged = (read_register(hpet, at, ns) & ~mask) | (value & mask);
    unsigned index = (at - TIMERS) / TIMER_BYTES;
    if (at >= TIMERS && index < HPET_TIMERS) {
        if (at % TIMER_BYTES == TIMER_CONFIG)
            write_timer_config(hpet, index, (uint32_t)merged);
        else if (at % TIMER_BYTES == TIMER_COMPARATOR)
            write_comparator(&hpet->timer[index], value, mask);
    } else if (at == CONFIG) {
        write_config(hpet, (uint32_t)merged, ns);
    } else if (at == STATUS) {
        hpet->status &= ~(uint32_t)(value & mask);
        update_lines(hpet);
    } else if (at == COUNTER && !(hpet->config & CONFIG_ENABLE)) {
        hpet->counter = merged;
        for (unsigned i = 0; i < HPET_TIMERS; i++)
            hpet->timer[i].seen = merged;
    }
}

static void hpet_write(void *self, uint64_t offset, unsigned size, uint64_t value)
{
    struct hpet *hpet = self;
    uint64_t ns = clock_now_ns(hpet->clock);
    unsigned shift = 8 * (offset & 7);
    if (size < 4 || offset % size)
        return;
    update_all(hpet, ns);
    write_register(hpet, (unsigned)offset & ~7u, value << shift,
                   (size == 8 ? UINT64_MAX : (uint64_t)UINT32_MAX) << shift, ns);
    update_all(hpet, ns);
}

/* --- the lines it may replace ---------------------------------------------------------------------- */

static void set_pit(void *self, unsigned line, bool level)
{
    struct hpet *hpet = self;
    (void)line;
    hpet->pit = level;
    update_lines(hpet);
}

static void set_clock(void *self, unsigned line, bool level)
{
    struct hpet *hpet = self;
    (void)line;
    hpet->rtc = level;
    update_lines(hpet);
}

struct irq_line hpet_pit_line(struct hpet *hpet)
{
    return (struct irq_line){ .set = set_pit, .self = hpet };
}

struct irq_line hpet_clock_line(struct hpet *hpet)
{
    return (struct irq_line){ .set = set_clock, .self = hpet };
}

/* --- the device -------------------------------------------------------------------------------------- */

/* 2.3.9 "Timer N Registers": comparators are all ones. CHOICE: the counter is 0, which the specification leaves open. */
static void hpet_reset(void *self)
{
    struct hpet *hpet = self;
    hpet->config = hpet->status = 0;
    hpet->counter = hpet->since = 0;
    for (unsigned i = 0; i < HPET_TIMERS; i++) {
        struct hpet_timer *timer = &hpet->timer[i];
        clock_cancel(hpet->clock, &timer->match);
        timer->config = 0;
        timer->comparator = UINT64_MAX;
        timer->period = timer->seen = 0;
        timer->high = false;
    }
    update_lines(hpet);
}

static void hpet_fini(void *self)
{
    struct hpet *hpet = self;
    for (unsigned i = 0; i < HPET_TIMERS; i++)
        clock_cancel(hpet->clock, &hpet->timer[i].match);
}

/* Let the counter count from the time that state is named as of, and comparators follow it. A match that was not acted on
 * yet waits for its deadline. */
static void settle(struct hpet *hpet)
{
    uint64_t ns = hpet->clock->highest_ns, now = counter_at(hpet, ns);
    for (unsigned i = 0; i < HPET_TIMERS; i++) {
        struct hpet_timer *timer = &hpet->timer[i];
        if (!timer->match.queued || timer->match.when_ns > ns)
            (void)timer_advance(timer, now);
    }
    hpet->counter = now;
    hpet->since = ns / HPET_PERIOD_NS;
}

static void timer_state(struct hpet *hpet, struct hpet_timer *timer, struct snap *snap)
{
    SNAP(snap, timer, config);
    SNAP(snap, timer, comparator);
    SNAP(snap, timer, period);
    SNAP(snap, timer, seen);
    SNAP(snap, timer, high);
    snap_deadline(snap, "match", hpet->clock, &timer->match);
    if (timer->config & ~(TIMER_WRITABLE | TIMER_ROUTE))
        snap_refuse(snap, "config");
}

static void hpet_state(void *self, struct snap *snap)
{
    struct hpet *hpet = self;
    if (!snap_loading(snap))
        settle(hpet);
    SNAP_BELOW(snap, hpet, config, (CONFIG_ENABLE | CONFIG_LEGACY) + 1);
    SNAP_BELOW(snap, hpet, status, 1u << HPET_TIMERS);
    SNAP(snap, hpet, counter);
    SNAP(snap, hpet, pit);
    SNAP(snap, hpet, rtc);
    SNAP(snap, hpet, irq0);
    SNAP(snap, hpet, irq8);
    SNAP(snap, hpet, route);
    for (unsigned i = 0; i < HPET_TIMERS; i++)
        timer_state(hpet, &hpet->timer[i], snap);
    if (snap_loading(snap))
        hpet->since = hpet->clock->highest_ns / HPET_PERIOD_NS;
}

static const struct dev_class dev_hpet = {
    .name = "hpet",
    .mmio_base = HPET_SPA,
    .mmio_size = HPET_BYTES,
    .access_ns = BUS_ACCESS_NS,
    .state_size = sizeof(struct hpet),
    .reset = hpet_reset,
    .fini = hpet_fini,
    .mmio_read = hpet_read,
    .mmio_write = hpet_write,
    .state = hpet_state,
    .state_version = 1,
};

struct hpet *hpet_add(struct bus *bus, const struct hpet_wires *wires)
{
    struct hpet *hpet = bus_add(bus, &dev_hpet);
    if (!hpet)
        return NULL;
    hpet->clock = bus_clock(bus);
    hpet->wires = *wires;
    for (unsigned i = 0; i < HPET_TIMERS; i++) {
        hpet->timer[i].hpet = hpet;
        hpet->timer[i].match = (struct deadline){ .fire = match_fire, .self = &hpet->timer[i] };
    }
    hpet_reset(hpet);
    return hpet;
}

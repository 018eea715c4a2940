/* The APIC timer. APM vol 2, 16.4.1 "APIC Timer Interrupt"; TSC-deadline mode as Intel's manual, volume 3, "APIC Timer"
 * has it.
 *
 * Nothing counts: the current count is a function of virtual time. A deadline is queued only while reaching zero would
 * change something, so that a masked or unserved periodic timer costs nothing and does not keep a halted machine
 * looking alive.
 * CHOICE: a change of the divide value or between one-shot and periodic mode goes on from the current count.
 * CHOICE: timer mode 3, which is reserved, stops the timer. */
#include "devices/lapic_priv.h"

/* log2 of the nanoseconds a tick takes: Table 16-3 "Divide Values". */
static unsigned tick_shift(const struct lapic *lapic)
{
    unsigned dv = (lapic->divide >> 1 & 4) | (lapic->divide & 3);
    return (dv + 1) & 7;
}

static uint64_t now_of(const struct lapic *lapic)
{
    return clock_now_ns(lapic->apics->clock);
}

static bool is_periodic(const struct lapic *lapic)
{
    return lapic->lvt[LVT_TIMER] & LVT_PERIODIC;
}

/* Bits 18:17 are 2: the TSC decides. */
static bool is_deadline_mode(uint32_t entry)
{
    return (entry & (LVT_DEADLINE | LVT_PERIODIC)) == LVT_DEADLINE;
}

/* A processor that is a little behind may look at a timer another has moved: no time has gone then. */
static uint64_t ticks_gone(const struct lapic *lapic, uint64_t now)
{
    return now > lapic->at ? (now - lapic->at) >> tick_shift(lapic) : 0;
}

/* TSC-deadline mode: is it waiting? */
static bool is_armed(const struct lapic *lapic, uint64_t now)
{
    return lapic->tsc_deadline && now < lapic->at;
}

uint32_t lapic_timer_count(const struct lapic *lapic)
{
    if (!lapic->timer_on)
        return 0;
    uint64_t ticks = ticks_gone(lapic, now_of(lapic));
    if (ticks < lapic->from)
        return lapic->from - (uint32_t)ticks;
    if (!is_periodic(lapic))
        return 0;
    return lapic->initial - (uint32_t)((ticks - lapic->from) % lapic->initial);
}

/* Let it go on to `now`. True: it has expired. */
static bool advance(struct lapic *lapic, uint64_t now)
{
    if (lapic->tsc_deadline && !is_armed(lapic, now)) {
        lapic->tsc_deadline = 0;
        return true;
    }
    uint64_t ticks = ticks_gone(lapic, now);
    if (!lapic->timer_on || ticks < lapic->from)
        return false;
    if (is_periodic(lapic)) {
        uint64_t periods = (ticks - lapic->from) / lapic->initial;
        lapic->at += (lapic->from + periods * lapic->initial) << tick_shift(lapic);
        lapic->from = lapic->initial;
    } else {
        lapic->timer_on = false;
    }
    return true;
}

void lapic_timer_sync(struct lapic *lapic)
{
    if (advance(lapic, now_of(lapic)))
        lapic_deliver(lapic, LVT_TIMER);
}

/* Would the interrupt be seen? Not if it is masked, or its vector is requested already. */
static bool expiry_matters(const struct lapic *lapic)
{
    uint32_t entry = lapic->lvt[LVT_TIMER];
    unsigned vector = entry & LVT_VECTOR;
    if (entry & LVT_MASKED)
        return false;
    if (vector < 16)
        return !(lapic->errors & ESR_RECEIVED_VECTOR);
    return !vector_bit(lapic->irr, vector) || vector_bit(lapic->tmr, vector);
}

void lapic_timer_arm(struct lapic *lapic)
{
    struct vclock *clock = lapic->apics->clock;
    uint64_t when = CLOCK_NEVER;
    if (lapic->timer_on)
        when = lapic->at + ((uint64_t)lapic->from << tick_shift(lapic));
    else if (lapic->tsc_deadline)
        when = lapic->at;
    if (when == CLOCK_NEVER || !expiry_matters(lapic))
        clock_cancel(clock, &lapic->expiry);
    else if (!lapic->expiry.queued || lapic->expiry.when_ns != when)
        clock_arm(clock, &lapic->expiry, when);
}

void lapic_timer_reset(struct lapic *lapic)
{
    clock_cancel(lapic->apics->clock, &lapic->expiry);
    lapic->timer_on = false;
    lapic->initial = lapic->divide = lapic->from = 0;
    lapic->tsc_deadline = 0;
}

void lapic_timer_set_initial(struct lapic *lapic, uint32_t initial)
{
    if (lapic->lvt[LVT_TIMER] & LVT_DEADLINE) /* without effect in this mode */
        return;
    lapic_timer_sync(lapic);
    lapic->initial = lapic->from = initial;
    lapic->at = now_of(lapic);
    lapic->timer_on = initial != 0;
    lapic_timer_arm(lapic);
}

void lapic_timer_set_divide(struct lapic *lapic, uint32_t value)
{
    lapic_timer_sync(lapic);
    if (lapic->timer_on) {
        lapic->from = lapic_timer_count(lapic);
        lapic->at = now_of(lapic);
    }
    lapic->divide = value & 0x0b;
    lapic_timer_arm(lapic);
}

/* The way into TSC-deadline mode and out of it disarms the timer. */
void lapic_timer_mode_changed(struct lapic *lapic, uint32_t old_entry)
{
    const uint32_t mode = LVT_DEADLINE | LVT_PERIODIC;
    uint32_t entry = lapic->lvt[LVT_TIMER];
    if ((entry & mode) == (old_entry & mode) || !((entry | old_entry) & LVT_DEADLINE))
        return;
    lapic->timer_on = false;
    lapic->tsc_deadline = 0;
}

void lapic_timer_fire(void *self, uint64_t now_ns)
{
    struct lapic *lapic = self;
    (void)now_ns;
    lapic_timer_sync(lapic);
    lapic_timer_arm(lapic);
}

uint64_t lapic_read_tsc_deadline(void *self)
{
    const struct lapic *lapic = self;
    return is_armed(lapic, now_of(lapic)) ? lapic->tsc_deadline : 0;
}

void lapic_write_tsc_deadline(void *self, uint64_t tsc, uint64_t when_ns)
{
    struct lapic *lapic = self;
    if (!is_deadline_mode(lapic->lvt[LVT_TIMER]))
        return;
    lapic_timer_sync(lapic);
    lapic->tsc_deadline = tsc;
    lapic->at = when_ns;
    lapic_timer_arm(lapic);
}

/* What has expired unseen is forgotten; an interrupt that is still to come waits for its deadline. */
static void settle(struct lapic *lapic)
{
    if (!expiry_matters(lapic))
        (void)advance(lapic, lapic->apics->clock->highest_ns);
    if (!lapic->timer_on)
        lapic->from = 0;
    if (!lapic->timer_on && !lapic->tsc_deadline)
        lapic->at = 0;
}

void lapic_timer_state(struct lapic *lapic, struct snap *snap)
{
    if (!snap_loading(snap))
        settle(lapic);
    SNAP(snap, lapic, timer_on);
    SNAP(snap, lapic, initial);
    SNAP(snap, lapic, divide);
    SNAP(snap, lapic, from);
    SNAP(snap, lapic, at);
    SNAP(snap, lapic, tsc_deadline);
    snap_deadline(snap, "expiry", lapic->apics->clock, &lapic->expiry);
    if (snap_loading(snap) && lapic->timer_on && (!lapic->initial || lapic->at > CLOCK_LAST)) {
        snap_refuse(snap, "initial");
        lapic->timer_on = false;
    }
}

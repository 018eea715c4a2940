/* The APIC timer. APM vol 2, 16.4.1 "APIC Timer Interrupt".
 *
 * Nothing counts: the current count is a function of virtual time. A deadline is queued only while reaching zero would
 * change something, so that a masked or unserved periodic timer costs nothing and does not keep a halted machine
 * looking alive.
 * CHOICE: a change of the divide value or of the mode goes on from the current count. */
#include "devices/lapic_priv.h"

/* log2 of the nanoseconds a tick takes: Table 16-3 "Divide Values". */
static unsigned tick_shift(const struct lapic *lapic)
{
    unsigned dv = (lapic->divide >> 1 & 4) | (lapic->divide & 3);
    return (dv + 1) & 7;
}

static bool is_periodic(const struct lapic *lapic)
{
    return lapic->lvt[LVT_TIMER] & LVT_PERIODIC;
}

static uint64_t ticks_gone(const struct lapic *lapic)
{
    return (clock_now_ns(lapic->clock) - lapic->at) >> tick_shift(lapic);
}

uint32_t lapic_timer_count(const struct lapic *lapic)
{
    if (!lapic->timer_on)
        return 0;
    uint64_t ticks = ticks_gone(lapic);
    if (ticks < lapic->from)
        return lapic->from - (uint32_t)ticks;
    if (!is_periodic(lapic))
        return 0;
    return lapic->initial - (uint32_t)((ticks - lapic->from) % lapic->initial);
}

void lapic_timer_sync(struct lapic *lapic)
{
    if (!lapic->timer_on)
        return;
    uint64_t ticks = ticks_gone(lapic);
    if (ticks < lapic->from)
        return;
    if (is_periodic(lapic)) {
        uint64_t periods = (ticks - lapic->from) / lapic->initial;
        lapic->at += (lapic->from + periods * lapic->initial) << tick_shift(lapic);
        lapic->from = lapic->initial;
    } else {
        lapic->timer_on = false;
    }
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
    if (lapic->timer_on && expiry_matters(lapic)) {
        uint64_t when = lapic->at + ((uint64_t)lapic->from << tick_shift(lapic));
        if (!lapic->expiry.queued || lapic->expiry.when_ns != when)
            clock_arm(lapic->clock, &lapic->expiry, when);
    } else {
        clock_cancel(lapic->clock, &lapic->expiry);
    }
}

void lapic_timer_set_initial(struct lapic *lapic, uint32_t initial)
{
    lapic_timer_sync(lapic);
    lapic->initial = lapic->from = initial;
    lapic->at = clock_now_ns(lapic->clock);
    lapic->timer_on = initial != 0;
    lapic_timer_arm(lapic);
}

void lapic_timer_set_divide(struct lapic *lapic, uint32_t value)
{
    lapic_timer_sync(lapic);
    if (lapic->timer_on) {
        lapic->from = lapic_timer_count(lapic);
        lapic->at = clock_now_ns(lapic->clock);
    }
    lapic->divide = value & 0x0b;
    lapic_timer_arm(lapic);
}

void lapic_timer_fire(void *self, uint64_t now_ns)
{
    struct lapic *lapic = self;
    (void)now_ns;
    lapic_timer_sync(lapic);
    lapic_timer_arm(lapic);
}

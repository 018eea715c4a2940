/* The deadline queue: a sorted list, for there are never more than a few deadlines. */
#include "emu/base/clock.h"

#include <stddef.h>

static void note_move(struct vclock *clock)
{
    clock->changed = true;
    if (clock->moved)
        clock->moved(clock->self);
}

void clock_cancel(struct vclock *clock, struct deadline *d)
{
    if (!d->queued)
        return;
    for (struct deadline **at = &clock->first; *at; at = &(*at)->next) {
        if (*at == d) {
            *at = d->next;
            break;
        }
    }
    d->queued = false;
    d->next = NULL;
    note_move(clock);
}

void clock_arm(struct vclock *clock, struct deadline *d, uint64_t when_ns)
{
    clock_cancel(clock, d);
    if (when_ns > CLOCK_LAST)
        return;
    struct deadline **at = &clock->first;
    while (*at && (*at)->when_ns <= when_ns)
        at = &(*at)->next;
    d->when_ns = when_ns;
    d->queued = true;
    d->next = *at;
    *at = d;
    note_move(clock);
}

void clock_clear(struct vclock *clock)
{
    while (clock->first)
        clock_cancel(clock, clock->first);
}

void clock_restore(struct vclock *clock, struct deadline *d, uint64_t when_ns, uint32_t place)
{
    clock_cancel(clock, d);
    if (when_ns > CLOCK_LAST)
        return;
    struct deadline **at = &clock->first;
    while (*at && ((*at)->when_ns < when_ns || ((*at)->when_ns == when_ns && (*at)->place < place)))
        at = &(*at)->next;
    d->place = place;
    d->when_ns = when_ns;
    d->queued = true;
    d->next = *at;
    *at = d;
    note_move(clock);
}

uint64_t clock_next_ns(const struct vclock *clock)
{
    return clock->first ? clock->first->when_ns : CLOCK_NEVER;
}

void clock_run(struct vclock *clock, uint64_t now_ns)
{
    while (clock->first && clock->first->when_ns <= now_ns) {
        struct deadline *d = clock->first;
        clock->first = d->next;
        d->queued = false;
        d->next = NULL;
        d->fire(d->self, now_ns);
    }
    note_move(clock);
}

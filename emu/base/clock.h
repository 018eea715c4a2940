/* Virtual time and the deadline queue.
 *
 * One instruction takes `ns_per_insn` nanoseconds (1); HLT skips ahead. Devices ask for a callback
 * at a time; the run loop never executes an instruction past the first deadline. */
#ifndef EMU_BASE_CLOCK_H
#define EMU_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_NEVER UINT64_MAX

/* A deadline belongs to its device; zero-initialise, set fire and self once. */
struct deadline {
    uint64_t when_ns; /* CLOCK_NEVER: not queued */
    bool queued;
    void (*fire)(void *self, uint64_t now_ns);
    void *self;
    struct deadline *next;
};

struct vclock {
    /* Virtual time now, exact also in the middle of a block. */
    uint64_t (*now)(void *self);
    /* Called when deadlines moved, so that a running chain of blocks is left; may be NULL. */
    void (*moved)(void *self);
    void *self;
    struct deadline *first; /* sorted by time, then by order of arming */
    bool changed;           /* deadlines moved: the run loop must look again */
};

static inline uint64_t clock_now_ns(const struct vclock *clock)
{
    return clock->now(clock->self);
}

/* Queue `d` for `when_ns`, moving it if it was queued. A time in the past fires at the next
 * instruction boundary. */
void clock_arm(struct vclock *clock, struct deadline *d, uint64_t when_ns);
void clock_cancel(struct vclock *clock, struct deadline *d);

/* Time of the first deadline or CLOCK_NEVER. */
uint64_t clock_next_ns(const struct vclock *clock);

/* Fire every deadline due at `now_ns`, in order. */
void clock_run(struct vclock *clock, uint64_t now_ns);

#endif

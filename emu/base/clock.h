/* Virtual time and the deadline queue.
 *
 * One instruction takes one nanosecond, and accesses to slow devices what these say; HLT skips ahead. With several vCPUs each has its own time, a little ahead of or behind
 * the others'; what is read never goes back. Devices ask for a callback
 * at a time; the run loop never executes an instruction past the first deadline. */
#ifndef EMU_BASE_CLOCK_H
#define EMU_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_NEVER UINT64_MAX
#define CLOCK_LAST \
    (UINT64_C(1)   \
     << 62) /* 146 years: so that sums of times do not overflow, no deadline comes later */

/* A deadline belongs to its device; zero-initialise, set fire and self once. */
struct deadline {
    uint64_t when_ns; /* CLOCK_NEVER: not queued */
    bool queued;
    uint32_t place; /* clock_restore()'s */
    void (*fire)(void *self, uint64_t now_ns);
    void *self;
    struct deadline *next;
};

struct vclock {
    /* Virtual time of the running vCPU, exact also in the middle of a block. */
    uint64_t (*now)(void *self);
    /* Called when deadlines moved, so that a running chain of blocks is left; may be NULL. */
    void (*moved)(void *self);
    /* The running vCPU waits so long for what it accesses; may be NULL: it need not. */
    void (*spend)(void *self, uint64_t ns);
    void *self;
    struct deadline *first; /* sorted by time, then by order of arming */
    bool changed;           /* deadlines moved: the run loop must look again */
    uint64_t
        highest_ns; /* the latest time that was handed out; devices name their state as of it */
};

/* A deadline fires at most so late: what a vCPU may be ahead of the slowest one, and more. */
#define CLOCK_LATE_NS 1000000u

/* The time as anything a guest can see must take it: of the running vCPU, but no less than any vCPU has read before. */
static inline uint64_t clock_now_ns(struct vclock *clock)
{
    uint64_t now = clock->now(clock->self);
    if (now > clock->highest_ns)
        clock->highest_ns = now;
    return clock->highest_ns;
}

/* No vCPU's time is below `ns`. To be said before state is named, that it may be as of then: nobody can see it. */
static inline void clock_settle(struct vclock *clock, uint64_t ns)
{
    if (ns > clock->highest_ns)
        clock->highest_ns = ns;
}

/* Queue `d` for `when_ns`, moving it if it was queued. A time in the past fires at the next
 * instruction boundary; one behind CLOCK_LAST never does, and is not queued. */
void clock_arm(struct vclock *clock, struct deadline *d, uint64_t when_ns);
void clock_cancel(struct vclock *clock, struct deadline *d);

/* For loading a saved machine: empty the queue, then queue each deadline anew. Of those for the same time the one with
 * the smaller `place` comes first. CLOCK_NEVER: it is not queued. */
void clock_clear(struct vclock *clock);
void clock_restore(struct vclock *clock, struct deadline *d, uint64_t when_ns, uint32_t place);

/* Time of the first deadline or CLOCK_NEVER. */
uint64_t clock_next_ns(const struct vclock *clock);

/* Fire every deadline due at `now_ns`, in order. */
void clock_run(struct vclock *clock, uint64_t now_ns);

#endif

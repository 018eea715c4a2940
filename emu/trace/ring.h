/* The last events of a trace. */
#ifndef EMU_TRACE_RING_H
#define EMU_TRACE_RING_H

#include "emu/trace/record.h"

struct ring;

/* A ring of `size` events, or NULL without memory. */
struct ring *ring_new(uint32_t size);
void ring_free(struct ring *ring);

/* Keep an event instead of the oldest. Without memory it is dropped. */
void ring_push(struct ring *ring, const struct record *kept);

/* Take the oldest event; false: there is none. */
bool ring_take(struct ring *ring, struct record *kept);

/* How many events it holds; how many have gone unread since it was last empty. */
uint64_t ring_held(const struct ring *ring);
uint64_t ring_dropped(const struct ring *ring);
void ring_forget_dropped(struct ring *ring);

#endif

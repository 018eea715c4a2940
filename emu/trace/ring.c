/* The last events of a trace: kept records without the room that they do not use. */
#include "emu/trace/ring.h"

#include <stdlib.h>
#include <string.h>

struct ring_slot {
    size_t room; /* bytes that `bytes` has */
    const char *event;
    bool cut;
    unsigned count;
    size_t used;
    unsigned char *bytes; /* members, then texts */
};

/* Invariant: the `held` slots from `first` on, modulo `size`, hold events. */
struct ring {
    uint32_t size, first, held;
    uint64_t dropped;
    struct ring_slot slot[];
};

struct ring *ring_new(uint32_t size)
{
    struct ring *ring = calloc(1, sizeof(*ring) + (size_t)size * sizeof(ring->slot[0]));
    if (ring)
        ring->size = size;
    return ring;
}

void ring_free(struct ring *ring)
{
    if (!ring)
        return;
    for (uint32_t i = 0; i < ring->size; i++)
        free(ring->slot[i].bytes);
    free(ring);
}

static bool slot_fill(struct ring_slot *slot, const struct record *kept)
{
    size_t members = kept->count * sizeof(kept->member[0]);
    size_t size = members + kept->used;
    if (size > slot->room) {
        unsigned char *bytes = realloc(slot->bytes, size);
        if (!bytes)
            return false;
        slot->bytes = bytes;
        slot->room = size;
    }
    slot->event = kept->event;
    slot->cut = kept->cut;
    slot->count = kept->count;
    slot->used = kept->used;
    if (members)
        memcpy(slot->bytes, kept->member, members);
    if (kept->used)
        memcpy(slot->bytes + members, kept->line, kept->used);
    return true;
}

void ring_push(struct ring *ring, const struct record *kept)
{
    if (ring->held == ring->size) {
        ring->first = (ring->first + 1) % ring->size;
        ring->held--;
        ring->dropped++;
    }
    if (slot_fill(&ring->slot[(ring->first + ring->held) % ring->size], kept))
        ring->held++;
    else
        ring->dropped++;
}

bool ring_take(struct ring *ring, struct record *kept)
{
    if (!ring->held)
        return false;
    const struct ring_slot *slot = &ring->slot[ring->first];
    size_t members = slot->count * sizeof(kept->member[0]);
    record_begin(kept, RECORD_KEPT, slot->event);
    kept->cut = slot->cut;
    kept->count = slot->count;
    kept->used = slot->used;
    if (members)
        memcpy(kept->member, slot->bytes, members);
    if (slot->used)
        memcpy(kept->line, slot->bytes + members, slot->used);
    ring->first = (ring->first + 1) % ring->size;
    ring->held--;
    return true;
}

uint64_t ring_held(const struct ring *ring)
{
    return ring->held;
}

uint64_t ring_dropped(const struct ring *ring)
{
    return ring->dropped;
}

void ring_forget_dropped(struct ring *ring)
{
    ring->dropped = 0;
}

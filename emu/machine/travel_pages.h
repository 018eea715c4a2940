/* What pages of memory held at checkpoints. A checkpoint has versions of the pages that were written since the one before it,
 * and the first has all that hold anything. Checkpoints are told apart by their steps, of which no two have the same. */
#ifndef EMU_MACHINE_TRAVEL_PAGES_H
#define EMU_MACHINE_TRAVEL_PAGES_H

#include "paging/memory.h"

/* A page as it was at a checkpoint and until its next version. */
struct version {
    uint64_t steps; /* of the checkpoint */
    uint64_t page;
    struct version *older; /* of this page */
    struct version *next;  /* of this checkpoint */
    uint8_t *bytes;        /* NULL: zeros */
};

/* The versions of a checkpoint, in no order. */
struct version_list {
    struct version *first;
    uint64_t *
        same; /* pages that were written, and have no version because they hold the same as before */
    size_t same_count, same_room;
};

/* Owner of all versions. `base`: memory is as it was at this checkpoint, but for the pages of the dirty map. */
struct travel_pages {
    struct memory *memory;
    struct version **newest; /* of each page; NULL: it held zeros at every checkpoint */
    uint64_t count;          /* pages */
    uint64_t base;
    uint64_t bytes; /* that versions take */
};

/* Nothing is kept yet. false without memory. */
bool travel_pages_init(struct travel_pages *pages, struct memory *memory);
/* Free all; the dirty map tells which pages may hold anything again. */
void travel_pages_fini(struct travel_pages *pages);

/* The lists of a checkpoint and of the one behind it; later.list is NULL if there is none. */
struct version_place {
    uint64_t steps;
    struct version_list *list;
};

/* Keep what pages hold now that are in the dirty map, which is empty then: for a new checkpoint, which is behind `base` and
 * before all others that are behind it. false without memory: *now.list has what could be kept, to be merged. */
bool travel_pages_keep(struct travel_pages *pages, struct version_place now,
                       struct version_place later);

/* Memory holds what it did at `steps`. `between`: the lists of all checkpoints behind the earlier and up to the later
 * of base and steps. */
void travel_pages_return(struct travel_pages *pages, uint64_t steps,
                         const struct version_list *const *between, size_t count);

/* A checkpoint goes that is not `base`. What only it has is `later`'s from then on. */
void travel_pages_merge(struct travel_pages *pages, struct version_list *list,
                        struct version_place later);

/* May a page have been written between the checkpoint before and this one? */
bool travel_pages_has(const struct version_list *list, uint64_t page);

#endif

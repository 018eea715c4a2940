/* What breaks.c and breaks_memory.c share. */
#ifndef EMU_MACHINE_BREAKS_PRIV_H
#define EMU_MACHINE_BREAKS_PRIV_H

#include "emu/machine/access.h"
#include "emu/machine/breaks.h"
#include "emu/machine/machine.h"

#define PLACES 4u
#define PLACE_TABLES (2 * WALK_STEPS)

/* Everything that decides how linear addresses are translated, but for the tables. */
struct break_context {
    uint64_t cr0, cr3, cr4, efer, n_cr3;
    bool nested, smm;
};

/* A range of one page at most. */
struct break_part {
    uint64_t page; /* backing page */
    unsigned offset, size;
};

/* Where the watched bytes are, in one context. Invariant: only a mapped one has parts, and `old` is what they held. */
struct break_place {
    bool used, touched; /* touched: written since `old` was taken */
    struct break_context context;
    unsigned part_count, table_count;
    struct break_part part[2];
    uint64_t table[PLACE_TABLES]; /* backing pages of the entries that led there */
    uint64_t stamp;               /* when it was last the current one */
    uint8_t *old;
};

struct break_item {
    struct pacifica_break what;
    unsigned id;
    uint64_t hits;
    bool met;                         /* and not yet told */
    bool unsettled;                   /* perhaps met: bytes were written */
    struct break_place place[PLACES]; /* WRITE, READ, ACCESS */
    uint8_t *old;                     /* behind all places */
};

/* A page that is marked, and how. */
struct break_page {
    uint64_t page;
    uint8_t marks;
};

struct break_stand { /* a processor stood at an EXECUTE break, which was told */
    bool valid;
    uint64_t la, rsp, cr3;
};

struct breaks {
    struct pacifica_machine *machine;
    struct break_item *item[PACIFICA_BREAKS_MOST]; /* by rising id */
    unsigned count, next_id;
    unsigned of_kind[PACIFICA_BREAK_KINDS];
    struct probe_client client;
    struct run_watch watch;
    bool running, held, quiet;
    bool met;      /* some item is met or unsettled */
    unsigned told; /* the id of the last stop */

    /* EXECUTE */
    uint64_t execute[PACIFICA_BREAKS_MOST]; /* addresses, rising */
    uint64_t page_filter[64];               /* a bit for each hash of a page that holds one */
    struct break_stand stand[VCPUS_MAX];

    /* MODE */
    uint8_t mode[VCPUS_MAX];

    /* WRITE, READ, ACCESS */
    unsigned linear; /* such items by linear address */
    bool stale;      /* tables were written, or items came: resolve at the next boundary */
    struct break_context context; /* that was last resolved for, and by which processor */
    unsigned context_cpu;
    uint64_t clock;
    struct break_page *page;
    unsigned page_count, page_room;
};

static inline bool break_is_memory(const struct break_item *item)
{
    return item->what.kind == PACIFICA_BREAK_WRITE || item->what.kind == PACIFICA_BREAK_READ ||
           item->what.kind == PACIFICA_BREAK_ACCESS;
}

static inline bool break_is_of_cpu(const struct break_item *item, const struct vcpu *cpu)
{
    return item->what.cpu == PACIFICA_CPU_ANY || item->what.cpu == cpu->index;
}

/* breaks.c: an item is met, or may be; the run stops at the next boundary. */
void breaks_meet(struct breaks *breaks, struct break_item *item, bool surely);

/* --- breaks_memory.c --- */

/* Find where a new item's bytes are. NULL; or why it cannot be watched. */
const char *breaks_watch(struct breaks *breaks, struct break_item *item);

/* Items have come or gone: mark the pages of those that are there. false: no memory. */
bool breaks_mark(struct breaks *breaks);

/* At a boundary of `cpu`: follow its context. */
void breaks_follow(struct breaks *breaks, struct vcpu *cpu);

/* vcpu_hear_writes() and PROBE_TOUCH. */
void breaks_written(void *self, uint64_t page, unsigned offset, unsigned size);
void breaks_touched(struct breaks *breaks, const struct probe_event *event);

/* Do bytes of an unsettled item differ from the old ones? They are the old ones then. */
bool breaks_changed(struct breaks *breaks, struct break_item *item);

/* Take what is there for the old bytes. */
void breaks_remember(struct breaks *breaks);

#endif

/* WRITE, READ and ACCESS breaks: where the watched bytes are, and what happens to them.
 *
 * Pages that hold such bytes are marked, so that every write comes here, whoever makes it; it is compared with the old
 * bytes at the next boundary. A range of linear addresses has a place in each context (control registers) that was current
 * lately: places stay watched when another context comes, so that what #VMEXIT or another program writes
 * there is seen. The tables that led to a place are marked too: when one is written, the place is looked for again. A new place
 * is no change of bytes. */
#include "emu/machine/breaks_priv.h"

#include "emu/cpu/smm.h"
#include "svm/svm.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES UINT64_C(4096)

static struct break_context context_of(const struct vcpu *cpu)
{
    const struct cpu_regs *regs = &cpu->regs;
    bool nested = cpu->svm->guest && cpu->svm->nested_paging;
    return (struct break_context){ .cr0 = regs->cr0 & CR0_PG,
                                   .cr3 = regs->cr3,
                                   .cr4 = regs->cr4 & (CR4_PAE | CR4_LA57 | CR4_PSE),
                                   .efer = regs->efer & (EFER_LMA | EFER_NXE),
                                   .n_cr3 = nested ? cpu->svm->n_cr3 : 0,
                                   .nested = nested,
                                   .smm = regs->smm };
}

static bool same_context(const struct break_context *a, const struct break_context *b)
{
    return a->cr0 == b->cr0 && a->cr3 == b->cr3 && a->cr4 == b->cr4 && a->efer == b->efer &&
           a->n_cr3 == b->n_cr3 && a->nested == b->nested && a->smm == b->smm;
}

/* --- places -------------------------------------------------------------------------------------- */

static void take_old(const struct breaks *breaks, struct break_place *place)
{
    uint8_t *to = place->old;
    for (unsigned i = 0; i < place->part_count; i++) {
        const struct break_part *part = &place->part[i];
        memcpy(to, memory_page_ptr(breaks->machine->memory, part->page) + part->offset, part->size);
        to += part->size;
    }
    place->touched = false;
}

static bool is_changed(const struct breaks *breaks, const struct break_place *place)
{
    const uint8_t *old = place->old;
    for (unsigned i = 0; i < place->part_count; i++) {
        const struct break_part *part = &place->part[i];
        const uint8_t *now = memory_page_ptr(breaks->machine->memory, part->page) + part->offset;
        if (memcmp(old, now, part->size) != 0)
            return true;
        old += part->size;
    }
    return false;
}

static void note_tables(const struct memory *memory, struct break_place *place,
                        const struct walk_log *log)
{
    for (unsigned i = 0; i < log->count && place->table_count < PLACE_TABLES; i++) {
        uint64_t page = memory_backing(memory, log->step[i].spa);
        if (page != UINT64_MAX)
            place->table[place->table_count++] = page;
    }
}

/* Where [address, address + size) is in a view: all of it, or nothing. */
static void locate(struct vcpu *cpu, const struct break_item *item, struct break_place *place)
{
    struct access_view view;
    struct walk_log log;
    struct walk_result res;
    unsigned size = item->what.size, done = 0;
    place->part_count = place->table_count = 0;
    if (access_view(cpu, item->what.space, &view))
        return;
    while (done < size) {
        uint64_t at = item->what.address + done;
        unsigned rest = (unsigned)(PAGE_BYTES - at % PAGE_BYTES);
        bool walked = access_walk(cpu, &view, at, &log, &res);
        note_tables(cpu->memory, place, &log);
        uint64_t page =
            walked && res.status == WALK_OK ? memory_backing(cpu->memory, res.spa) : UINT64_MAX;
        if (page == UINT64_MAX) {
            place->part_count = 0;
            return;
        }
        rest = rest < size - done ? rest : size - done;
        place->part[place->part_count++] =
            (struct break_part){ page, (unsigned)(res.spa % PAGE_BYTES), rest };
        done += rest;
    }
}

static bool same_parts(const struct break_place *a, const struct break_place *b)
{
    if (a->part_count != b->part_count)
        return false;
    for (unsigned i = 0; i < a->part_count; i++)
        if (a->part[i].page != b->part[i].page || a->part[i].offset != b->part[i].offset)
            return false;
    return true;
}

/* The place of a context: the one it has, else a free one, else the one that was current longest ago. */
static struct break_place *place_for(struct break_item *item, const struct break_context *context)
{
    struct break_place *best = &item->place[0];
    for (unsigned i = 0; i < PLACES; i++) {
        struct break_place *place = &item->place[i];
        if (place->used && same_context(&place->context, context))
            return place;
        if (best->used && (!place->used || place->stamp < best->stamp))
            best = place;
    }
    best->used = false;
    return best;
}

/* Look for the place of an item in the context of `cpu`. Returns true if what is to be marked has changed. */
static bool resolve(struct breaks *breaks, struct vcpu *cpu, struct break_item *item)
{
    struct break_context context = context_of(cpu);
    struct break_place *place = place_for(item, &context), before = *place;
    locate(cpu, item, place);
    place->stamp = ++breaks->clock;
    place->context = context;
    place->used = true;
    if (before.used && same_parts(&before, place))
        return before.table_count != place->table_count ||
               memcmp(before.table, place->table, place->table_count * sizeof(place->table[0]));
    take_old(breaks, place);
    return true;
}

const char *breaks_watch(struct breaks *breaks, struct break_item *item)
{
    struct vcpu *cpu = machine_current(breaks->machine);
    item->old = malloc((size_t)item->what.size * PLACES);
    if (!item->old)
        return "no memory";
    for (unsigned i = 0; i < PLACES; i++)
        item->place[i].old = item->old + (size_t)item->what.size * i;
    if (item->what.space != PACIFICA_SPACE_PHYSICAL)
        return NULL; /* followed at the next boundary */
    locate(cpu, item, &item->place[0]);
    if (item->place[0].part_count == 0)
        return "neither RAM nor ROM";
    item->place[0].used = true;
    take_old(breaks, &item->place[0]);
    return NULL;
}

/* --- marks ---------------------------------------------------------------------------------------- */

struct page_list {
    struct break_page *page;
    unsigned count, room;
    bool failed;
};

static void add_page(struct page_list *list, uint64_t page, uint8_t marks)
{
    if (list->count == list->room) {
        unsigned room = list->room ? 2 * list->room : 64;
        struct break_page *more = realloc(list->page, room * sizeof(*more));
        if (!more) {
            list->failed = true;
            return;
        }
        list->page = more;
        list->room = room;
    }
    list->page[list->count++] = (struct break_page){ page, marks };
}

static int compare_pages(const void *a, const void *b)
{
    uint64_t x = ((const struct break_page *)a)->page, y = ((const struct break_page *)b)->page;
    return x < y ? -1 : x > y;
}

/* Sorted, each page once. */
static void sort_pages(struct page_list *list)
{
    unsigned kept = 0;
    if (list->count == 0)
        return;
    qsort(list->page, list->count, sizeof(list->page[0]), compare_pages);
    for (unsigned i = 1; i < list->count; i++) {
        if (list->page[i].page == list->page[kept].page)
            list->page[kept].marks |= list->page[i].marks;
        else
            list->page[++kept] = list->page[i];
    }
    list->count = kept + 1;
}

static void add_item_pages(struct page_list *list, const struct break_item *item)
{
    uint8_t marks = PAGE_WATCHED | (item->what.kind == PACIFICA_BREAK_WRITE ? 0 : PAGE_TOLD);
    for (unsigned i = 0; i < PLACES; i++) {
        const struct break_place *place = &item->place[i];
        if (!place->used)
            continue;
        for (unsigned part = 0; part < place->part_count; part++)
            add_page(list, place->part[part].page, marks);
        for (unsigned table = 0; table < place->table_count; table++)
            add_page(list, place->table[table], PAGE_WATCHED);
    }
}

/* Go over from the old list to the new one. */
static void apply_marks(struct breaks *breaks, const struct page_list *list)
{
    struct memory *memory = breaks->machine->memory;
    bool told = false;
    for (unsigned i = 0, n = 0; i < breaks->page_count; i++) {
        while (n < list->count && list->page[n].page < breaks->page[i].page)
            n++;
        bool stays = n < list->count && list->page[n].page == breaks->page[i].page;
        uint8_t gone = breaks->page[i].marks & (uint8_t) ~(stays ? list->page[n].marks : 0);
        if (gone)
            memory_set_marks(memory, breaks->page[i].page, 0, gone);
    }
    for (unsigned i = 0; i < list->count; i++) {
        uint8_t lacks = list->page[i].marks & (uint8_t)~memory_marks(memory, list->page[i].page);
        if (lacks)
            memory_set_marks(memory, list->page[i].page, lacks, 0);
        told |= (lacks & PAGE_TOLD) != 0;
    }
    for (unsigned i = 0; told && i < breaks->machine->cpu_count; i++)
        paging_drop_fast(breaks->machine->cpu[i]->paging);
}

bool breaks_mark(struct breaks *breaks)
{
    struct page_list list = { 0 };
    for (unsigned i = 0; i < breaks->count; i++)
        if (break_is_memory(breaks->item[i]))
            add_item_pages(&list, breaks->item[i]);
    if (list.failed) {
        free(list.page);
        return false;
    }
    sort_pages(&list);
    apply_marks(breaks, &list);
    free(breaks->page);
    breaks->page = list.page;
    breaks->page_count = list.count;
    return true;
}

/* --- following --------------------------------------------------------------------------------------- */

void breaks_follow(struct breaks *breaks, struct vcpu *cpu)
{
    struct break_context context = context_of(cpu);
    bool changed = false;
    if (!breaks->stale && breaks->context_cpu == cpu->index &&
        same_context(&context, &breaks->context))
        return;
    breaks->stale = false;
    breaks->context = context;
    breaks->context_cpu = cpu->index;
    for (unsigned i = 0; i < breaks->count; i++) {
        struct break_item *item = breaks->item[i];
        if (break_is_memory(item) && item->what.space == PACIFICA_SPACE_LINEAR &&
            break_is_of_cpu(item, cpu))
            changed |= resolve(breaks, cpu, item);
    }
    if (changed && !breaks_mark(breaks))
        breaks->stale = true; /* try again */
}

/* --- hearing -------------------------------------------------------------------------------------------- */

static bool part_overlaps(const struct break_part *part, uint64_t page, unsigned offset,
                          unsigned size)
{
    return part->page == page && offset < part->offset + part->size && part->offset < offset + size;
}

static bool overlaps(const struct break_place *place, uint64_t page, unsigned offset, unsigned size)
{
    bool any = false;
    for (unsigned i = 0; i < place->part_count; i++)
        any |= part_overlaps(&place->part[i], page, offset, size);
    return any;
}

static bool leads_through(const struct break_place *place, uint64_t page)
{
    for (unsigned i = 0; i < place->table_count; i++)
        if (place->table[i] == page)
            return true;
    return false;
}

static void written(struct breaks *breaks, struct break_item *item, struct break_place *place,
                    const struct vcpu *cpu)
{
    if (breaks->quiet || item->what.kind == PACIFICA_BREAK_READ || !break_is_of_cpu(item, cpu)) {
        take_old(breaks, place);
        return;
    }
    place->touched = true;
    breaks_meet(breaks, item, false);
}

/* A table that led to a place was written. */
static void moved(struct breaks *breaks, struct break_place *place, struct vcpu *cpu)
{
    if (!same_context(&place->context, &breaks->context)) {
        place->used = false; /* looked for again when its context comes */
    } else if (!breaks->stale) {
        breaks->stale = true;
        cpu_attention(cpu);
    }
}

void breaks_written(void *self, uint64_t page, unsigned offset, unsigned size)
{
    struct breaks *breaks = self;
    struct vcpu *cpu = machine_current(breaks->machine);
    for (unsigned i = 0; cpu && i < breaks->count; i++) {
        struct break_item *item = breaks->item[i];
        for (unsigned n = 0; n < PLACES && break_is_memory(item); n++) {
            struct break_place *place = &item->place[n];
            if (!place->used)
                continue;
            if (overlaps(place, page, offset, size))
                written(breaks, item, place, cpu);
            if (leads_through(place, page))
                moved(breaks, place, cpu);
        }
    }
}

void breaks_touched(struct breaks *breaks, const struct probe_event *event)
{
    uint64_t page = memory_backing(breaks->machine->memory, event->a);
    bool write = event->b >> 8;
    for (unsigned i = 0; i < breaks->count; i++) {
        struct break_item *item = breaks->item[i];
        bool wants = item->what.kind == PACIFICA_BREAK_ACCESS ||
                     (item->what.kind == PACIFICA_BREAK_READ && !write);
        for (unsigned n = 0; n < PLACES && wants && break_is_of_cpu(item, event->cpu); n++)
            if (item->place[n].used &&
                overlaps(&item->place[n], page, (unsigned)(event->a % PAGE_BYTES),
                         (unsigned)(event->b & 0xff)))
                breaks_meet(breaks, item, true);
    }
}

bool breaks_changed(struct breaks *breaks, struct break_item *item)
{
    bool changed = false;
    for (unsigned i = 0; i < PLACES; i++) {
        struct break_place *place = &item->place[i];
        if (!place->used || !place->touched)
            continue;
        changed |= is_changed(breaks, place);
        take_old(breaks, place);
    }
    return changed;
}

void breaks_remember(struct breaks *breaks)
{
    for (unsigned i = 0; i < breaks->count; i++) {
        struct break_item *item = breaks->item[i];
        if (!break_is_memory(item))
            continue;
        for (unsigned n = 0; n < PLACES; n++) {
            if (item->what.space == PACIFICA_SPACE_LINEAR)
                item->place[n].used = false; /* looked for again at the next boundary */
            else if (item->place[n].used)
                take_old(breaks, &item->place[n]);
        }
    }
    breaks->stale = true;
}

/* The architectural TLB: its arrays, replacement, and every flush. APM vol 2, 5.5 "Translation-Lookaside
 * Buffer (TLB)", 15.16 "TLB Control". */
#include "paging/paging_priv.h"

#include <string.h>

const struct tlb_geometry tlb_geometry[TLB_ARRAYS] = {
    [TLB_D4K] = { TLB_D4K_SET, TLB_D4K_BITS, 12 }, [TLB_D2M] = { TLB_D2M_SET, TLB_D2M_BITS, 21 },
    [TLB_D1G] = { TLB_D1G_SET, TLB_D1G_BITS, 30 }, [TLB_I4K] = { TLB_I4K_SET, TLB_I4K_BITS, 12 },
    [TLB_I2M] = { TLB_I2M_SET, TLB_I2M_BITS, 21 }, [TLB_I1G] = { TLB_I1G_SET, TLB_I1G_BITS, 30 },
    [TLB_N4K] = { TLB_N4K_SET, TLB_N4K_BITS, 12 }, [TLB_N2M] = { TLB_N2M_SET, TLB_N2M_BITS, 21 },
    [TLB_N1G] = { TLB_N1G_SET, TLB_N1G_BITS, 30 },
};

static bool is_data(unsigned array)
{
    return array <= TLB_D1G;
}

static bool is_insn(unsigned array)
{
    return array >= TLB_I4K && array <= TLB_I1G;
}

static bool is_nested(unsigned array)
{
    return array >= TLB_N4K;
}

struct asid_state *tlb_asid(struct paging *paging, uint16_t asid)
{
    struct asid_state *state = &paging->asids[asid];

    if (EMU_UNLIKELY(!state->touched)) {
        state->touched = true;
        paging->touched[paging->touched_count++] = asid;
    }
    return state;
}

static EMU_COLD void tell_probes(const struct paging *paging, enum probe_tlb what, uint64_t la,
                                 uint64_t asid)
{
    struct probe_event event = { .kind = PROBE_TLB, .a = what, .b = la, .c = asid };

    probes_fire(paging->probes, &event);
}

static void tell(const struct paging *paging, enum probe_tlb what, uint64_t la, uint64_t asid)
{
    if (EMU_UNLIKELY(paging->probes && probes_want(paging->probes, PROBE_TLB)))
        tell_probes(paging, what, la, asid);
}

static void link_entry(struct paging *paging, struct asid_state *state, struct tlb_entry *e)
{
    uint16_t id = (uint16_t)(e - paging->entries + 1);

    e->prev = 0;
    e->next = state->head;
    if (state->head)
        paging->entries[state->head - 1].prev = id;
    state->head = id;
}

static void unlink_entry(struct paging *paging, struct asid_state *state, struct tlb_entry *e)
{
    if (e->next)
        paging->entries[e->next - 1].prev = e->prev;
    if (e->prev)
        paging->entries[e->prev - 1].next = e->next;
    else
        state->head = e->next;
}

static bool is_fractured(const struct tlb_entry *e)
{
    return e->is.guest_shift != e->is.shift;
}

/* Make an entry invalid; the callers count. */
static void drop(struct paging *paging, struct tlb_entry *e)
{
    struct asid_state *state = &paging->asids[e->is.asid];

    if (is_data(e->array) && e->banks)
        fast_withdraw(paging, e);
    else if (is_insn(e->array))
        paging->itlb_generation++;
    state->fractured -= is_fractured(e);
    unlink_entry(paging, state, e);
    paging->live[e->array]--;
    paging->tags[e - paging->entries] = 0;
}

void tlb_remove(struct paging *paging, struct tlb_entry *e)
{
    if (!is_nested(e->array))
        paging->asids[e->is.asid].counters.flushes++;
    drop(paging, e);
}

/* The way of a set that a new entry takes: an older entry for the same page (there can be one when
 * tables changed without a flush, or when a page becomes global), else the first free way, else
 * round robin. Hits play no part. */
static unsigned choose_way(struct paging *paging, unsigned set, uint64_t tag, struct tlb_tags tags)
{
    unsigned first = set * TLB_WAYS, chosen, ways;

    for (ways = tlb_ways_with(&paging->tags[first], tag); ways; ways &= ways - 1) {
        struct tlb_entry *e = &paging->entries[first + EMU_CTZ64(ways)];

        if (e->is.pcid == tags.pcid || ((e->is.flags | tags.flags) & TLB_G))
            tlb_remove(paging, e);
    }
    ways = tlb_ways_with(&paging->tags[first], 0);
    if (ways)
        return EMU_CTZ64(ways);
    chosen = paging->next_way[set];
    paging->next_way[set] = (uint8_t)((chosen + 1) % TLB_WAYS);
    return chosen;
}

/* A hint outlives its entry, and is right again if the same entry comes back: except for a large
 * page, because in between smaller ones may have come, which answer first. So all hints go when a
 * large page comes. */
static void drop_hints(struct paging *paging)
{
    if (++paging->hint_generation == 0)
        memset(paging->hints, 0, sizeof(paging->hints)); /* none from 2^32 changes ago */
}

void tlb_forget(struct paging *paging)
{
    for (uint32_t i = 0; i < paging->touched_count; i++)
        paging->asids[paging->touched[i]] = (struct asid_state){ .touched = false };
    paging->touched_count = 0;
    memset(paging->tags, 0, sizeof(paging->tags));
    memset(paging->live, 0, sizeof(paging->live));
    memset(paging->next_way, 0, sizeof(paging->next_way));
    paging->pcids = false;
    drop_hints(paging);
    paging_remapped(paging);
}

void tlb_place(struct paging *paging, unsigned at, const struct tlb_entry *entry, uint64_t tag)
{
    struct tlb_entry *e = &paging->entries[at];
    struct asid_state *state = tlb_asid(paging, entry->is.asid);

    *e = *entry;
    link_entry(paging, state, e);
    state->fractured += is_fractured(e);
    paging->live[e->array]++;
    paging->tags[at] = tag;
    paging->pcids |= e->is.pcid != 0;
}

struct tlb_entry *tlb_insert(struct paging *paging, enum tlb_array first, uint64_t page,
                             uint64_t gpa, uint64_t spa, struct tlb_tags tags)
{
    unsigned array = (unsigned)first + (tags.shift > 12) + (tags.shift > 21);
    const struct tlb_geometry *geometry = &tlb_geometry[array];
    uint64_t number = tlb_page_number(page, geometry->shift);
    uint64_t tag = tlb_tag(number, tags.asid);
    unsigned set = geometry->first_set + tlb_set(number, tags.asid, geometry->set_bits);
    unsigned at = set * TLB_WAYS + choose_way(paging, set, tag, tags);
    struct tlb_entry *e = &paging->entries[at];
    struct asid_state *state = tlb_asid(paging, tags.asid);

    if (paging->tags[at] != 0) {
        if (!is_nested(array)) {
            paging->asids[e->is.asid].counters.evictions++;
            tell(paging, PROBE_TLB_EVICT, e->page, e->is.asid);
        }
        drop(paging, e);
    }
    e->page = page;
    e->gpa = gpa;
    e->spa = spa;
    e->is = tags;
    e->array = (uint8_t)array;
    e->banks = 0;
    link_entry(paging, state, e);
    state->fractured += is_fractured(e);
    paging->live[array]++;
    paging->tags[at] = tag;
    paging->pcids |= e->is.pcid != 0;
    if (paging->pcids && (e->is.flags & TLB_G)) {
        fast_shadow(paging, e);
        paging->itlb_generation += is_insn(array);
    }
    if (!is_nested(array)) {
        state->counters.fills++;
        tell(paging, PROBE_TLB_FILL, e->page, e->is.asid);
    } else if (e->is.shift != PAGE_SHIFT) {
        drop_hints(paging);
    }
    return e;
}

/* Every flush of an ASID: entries that are global stay unless `globals`; only one PCID's go if
 * pcid is not negative. Nested translations belong to the ASID's physical address space and have
 * no global bit: they go only when everything does.
 * CHOICE: TLB_CONTROL 7 therefore keeps them, as MOV CR3 does; a hypervisor that changes nested
 * tables uses 3 or 1. */
static void flush_list(struct paging *paging, uint16_t asid, bool globals, int pcid)
{
    for (uint16_t id = paging->asids[asid].head; id;) {
        struct tlb_entry *e = &paging->entries[id - 1];

        id = e->next;
        if (is_nested(e->array)
                ? globals && pcid < 0
                : (globals || !(e->is.flags & TLB_G)) && (pcid < 0 || e->is.pcid == pcid))
            tlb_remove(paging, e);
    }
}

void paging_flush_asid(struct paging *paging, uint16_t asid, bool globals)
{
    flush_list(paging, asid, globals, -1);
    tell(paging, PROBE_TLB_FLUSH, UINT64_MAX, asid);
}

void paging_flush_pcid(struct paging *paging, uint16_t asid, uint16_t pcid)
{
    flush_list(paging, asid, false, pcid);
    tell(paging, PROBE_TLB_FLUSH, UINT64_MAX, asid);
}

void paging_flush_all(struct paging *paging)
{
    for (uint32_t i = 0; i < paging->touched_count; i++)
        flush_list(paging, paging->touched[i], true, -1);
    tell(paging, PROBE_TLB_FLUSH, UINT64_MAX, UINT64_MAX);
}

/* Does INVLPG or one of its relatives act on this entry? pcid is negative for any. */
static bool flush_matches(const struct tlb_entry *e, int pcid, bool globals)
{
    return e->is.flags & TLB_G ? globals : pcid < 0 || e->is.pcid == pcid;
}

/* The entries of one page in one array. */
static void flush_in_array(struct paging *paging, unsigned array, uint16_t asid, int pcid,
                           uint64_t la, bool globals)
{
    const struct tlb_geometry *geometry = &tlb_geometry[array];
    uint64_t number = tlb_page_number(la, geometry->shift);
    uint64_t tag = tlb_tag(number, asid);
    unsigned first;

    if (!paging->live[array])
        return;
    first = (geometry->first_set + tlb_set(number, asid, geometry->set_bits)) * TLB_WAYS;
    for (unsigned at = first; at < first + TLB_WAYS; at++)
        if (paging->tags[at] == tag && flush_matches(&paging->entries[at], pcid, globals))
            tlb_remove(paging, &paging->entries[at]);
}

static void flush_page(struct paging *paging, uint16_t asid, int pcid, uint64_t la, bool globals)
{
    for (unsigned array = TLB_D4K; array <= TLB_I1G; array++)
        flush_in_array(paging, array, asid, pcid, la, globals);
    /* A guest's large page on smaller nested pages has entries for its parts: all of them go. */
    for (uint16_t id = paging->asids[asid].fractured ? paging->asids[asid].head : 0; id;) {
        struct tlb_entry *e = &paging->entries[id - 1];

        id = e->next;
        if (!is_nested(e->array) && is_fractured(e) && flush_matches(e, pcid, globals) &&
            tlb_page_number(e->page ^ la, e->is.guest_shift) == 0)
            tlb_remove(paging, e);
    }
    tell(paging, PROBE_TLB_FLUSH, la, asid);
}

void paging_flush_page(struct paging *paging, uint16_t asid, uint16_t pcid, uint64_t la,
                       bool globals)
{
    flush_page(paging, asid, pcid, la, globals);
}

void paging_flush_page_any_pcid(struct paging *paging, uint16_t asid, uint64_t la)
{
    flush_page(paging, asid, -1, la, true);
}

/* CHOICE: nested translations are not of linear pages, so that a linear address does not choose among them. */
static void flush_matching_of(struct paging *paging, uint16_t asid, const struct tlb_flush *flush)
{
    if (flush->by_page)
        flush_page(paging, asid, flush->pcid, flush->la, flush->globals);
    for (uint16_t id = paging->asids[asid].head; id;) {
        struct tlb_entry *e = &paging->entries[id - 1];

        id = e->next;
        if (is_nested(e->array) ? flush->nested
                                : !flush->by_page && flush_matches(e, flush->pcid, flush->globals))
            tlb_remove(paging, e);
    }
    if (!flush->by_page)
        tell(paging, PROBE_TLB_FLUSH, UINT64_MAX, asid);
}

void paging_flush_matching(struct paging *paging, const struct tlb_flush *flush)
{
    if (flush->asid != TLB_FLUSH_ANY) {
        flush_matching_of(paging, (uint16_t)flush->asid, flush);
        return;
    }
    for (uint32_t i = 0; i < paging->touched_count; i++)
        flush_matching_of(paging, paging->touched[i], flush);
}

const struct tlb_counters *paging_counters(const struct paging *paging, uint16_t asid)
{
    return paging->asids[asid].touched ? &paging->asids[asid].counters : NULL;
}

uint64_t paging_itlb_generation(const struct paging *paging)
{
    return paging->itlb_generation;
}

void paging_each(const struct paging *paging, void (*each)(void *self, const struct tlb_view *view),
                 void *self)
{
    for (unsigned i = 0; i < TLB_ENTRIES; i++) {
        const struct tlb_entry *e = &paging->entries[i];

        if (!paging->tags[i])
            continue;
        each(self, &(struct tlb_view){
                       .kind = is_nested(e->array) ? TLB_NESTED
                               : is_insn(e->array) ? TLB_CODE
                                                   : TLB_DATA,
                       .page = e->page,
                       .gpa = e->gpa,
                       .spa = e->spa,
                       .page_bytes = 1ull << e->is.shift,
                       .guest_page_bytes = 1ull << e->is.guest_shift,
                       .asid = e->is.asid,
                       .pcid = e->is.pcid,
                       .pkey = (uint8_t)tlb_pkey(e->is),
                       .writable = (e->is.flags & TLB_W) && (e->is.flags & TLB_NESTED_W),
                       .user = e->is.flags & TLB_U,
                       .nx = e->is.flags & TLB_NX,
                       .global = e->is.flags & TLB_G,
                       .dirty = e->is.flags & TLB_D,
                   });
    }
}

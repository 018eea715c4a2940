/* Translation as the processor does it: the TLB, then a walk that fills it. */
#include "paging/paging_priv.h"
#include "paging/rights_priv.h"

#include <stdlib.h>
#include <string.h>

struct paging *paging_new(struct memory *memory, struct probes *probes)
{
    size_t bytes = (sizeof(struct paging) + 63) / 64 * 64;
    struct paging *paging = aligned_alloc(64, bytes); /* the tags of a set are one cache line */

    if (!paging)
        return NULL;
    memset(paging, 0, bytes);
    paging->memory = memory;
    paging->probes = probes;
    paging->asids = calloc(ASID_COUNT, sizeof(paging->asids[0]));
    paging->touched = calloc(ASID_COUNT, sizeof(paging->touched[0]));
    if (!paging->asids || !paging->touched || !fast_init(paging)) {
        free(paging->touched);
        free(paging->asids);
        free(paging);
        return NULL;
    }
    return paging;
}

void paging_free(struct paging *paging)
{
    if (!paging)
        return;
    fast_fini(paging);
    free(paging->touched);
    free(paging->asids);
    free(paging);
}

void paging_reset(struct paging *paging)
{
    paging_flush_all(paging);
    memset(paging->next_way, 0, sizeof(paging->next_way));
    for (uint32_t i = 0; i < paging->touched_count; i++)
        paging->asids[paging->touched[i]] = (struct asid_state){ .touched = false };
    paging->touched_count = 0;
    fast_reset(paging);
}

/* The answer of an entry for one address of its page. */
EMU_INLINE struct walk_result entry_result(const struct tlb_entry *e, uint64_t la)
{
    uint64_t page_bytes = 1ull << e->is.shift;
    uint64_t offset = la & (page_bytes - 1);

    return (struct walk_result){
        .status = WALK_OK,
        .gpa = e->gpa | offset,
        .spa = e->spa | offset,
        .page_bytes = page_bytes,
        .global = e->is.flags & TLB_G,
        .writable = (e->is.flags & (TLB_W | TLB_NESTED_W)) == (TLB_W | TLB_NESTED_W),
        .user = e->is.flags & TLB_U,
        .nx = e->is.flags & TLB_NX,
        .dirty = e->is.flags & TLB_D,
        .apic = e->is.flags & TLB_APIC,
        .pkey = (uint8_t)tlb_pkey(e->is),
    };
}

/* The same for an access of shadow stacks. Its supervisor's pages are those of the nested tables' check, if that is on.
 * APM vol 2, 15.25.14 "Supervisor Shadow Stacks". */
static EMU_NOINLINE bool entry_answers_shadow_stack(const struct tlb_entry *e,
                                                    const struct walk_regime *regime,
                                                    struct access access)
{
    bool write = access.kind == ACCESS_WRITE;
    bool sss = access.supervisor && regime->nested && regime->nested->sss;
    unsigned needed = (write ? TLB_D : 0) | (sss ? TLB_SSS : write ? TLB_NESTED_W : 0);
    uint32_t code = 0;

    return (e->is.flags & needed) == needed &&
           walk_allows(regime, access, e->is.flags, tlb_pkey(e->is), &code);
}

/* May the access be answered without a walk? A write needs the nested tables' permission and set
 * dirty bits too. A guest without paging has only nested rights. */
EMU_INLINE bool entry_answers(const struct tlb_entry *e, const struct walk_regime *regime,
                              struct access access)
{
    unsigned writing = TLB_NESTED_W | TLB_D;
    uint32_t code = 0;

    if (EMU_UNLIKELY(access.shadow_stack))
        return entry_answers_shadow_stack(e, regime, access);
    if (access.kind == ACCESS_WRITE && (e->is.flags & writing) != writing)
        return false;
    if (EMU_UNLIKELY(regime->mode == WALK_NONE))
        return access.kind != ACCESS_EXEC || walk_executes(e->is.flags, regime->cpl == 3);
    return walk_allows(regime, access, e->is.flags, tlb_pkey(e->is), &code);
}

/* No entry answers: walk. An entry that was found but does not allow the access is dropped first,
 * so that rights which were raised in the tables count without a flush. APM vol 2, 5.5.3 "Use of
 * Cached Entries When Reporting a Page Fault Exception". */
static EMU_NOINLINE struct walk_result translate_slowly(struct paging *paging,
                                                        const struct walk_regime *regime,
                                                        uint64_t la, struct access access,
                                                        struct tlb_entry **entry)
{
    enum tlb_array first = access.kind == ACCESS_EXEC ? TLB_I4K : TLB_D4K;
    struct tlb_tags tags;
    struct walk_leaf leaf;
    struct walk_result res;
    uint64_t page;
    unsigned shift;

    tlb_asid(paging, regime->asid)->counters.misses++;
    if (*entry)
        tlb_remove(paging, *entry);
    *entry = NULL;
    walk_tables(paging->memory, paging, regime, la, access, &res, &leaf);
    if (EMU_UNLIKELY(res.status != WALK_OK))
        return res;
    shift = tlb_cached_shift(leaf.shift);
    page = ~((1ull << shift) - 1);
    tags = tlb_make_tags(regime->asid, regime_pcid(regime), leaf.flags, leaf.pkey, shift,
                         leaf.guest_shift);
    *entry = tlb_insert(paging, first, la & page, res.gpa & page, res.spa & page, tags);
    return entry_result(*entry, la);
}

EMU_INLINE struct walk_result translate(struct paging *paging, const struct walk_regime *regime,
                                        uint64_t la, struct access access, struct tlb_entry **entry)
{
    struct tlb_entry *e;

    if (EMU_UNLIKELY(regime_is_identity(regime))) { /* no tables, no TLB */
        *entry = NULL;
        return (struct walk_result){ .status = WALK_OK,
                                     .gpa = la,
                                     .spa = la,
                                     .page_bytes = PAGE_BYTES,
                                     .writable = true,
                                     .user = true,
                                     .dirty = true };
    }
    if (access.kind == ACCESS_EXEC)
        e = tlb_find_insn(paging, la, regime->asid, regime_pcid(regime));
    else
        e = tlb_find_data(paging, la, regime->asid, regime_pcid(regime));
    *entry = e;
    if (EMU_LIKELY(e && entry_answers(e, regime, access))) {
        paging->asids[regime->asid].counters.hits++;
        return entry_result(e, la);
    }
    return translate_slowly(paging, regime, la, access, entry);
}

struct walk_result paging_translate(struct paging *paging, const struct walk_regime *regime,
                                    uint64_t la, struct access access)
{
    struct tlb_entry *entry;

    return translate(paging, regime, la, access, &entry);
}

struct walk_result paging_translate_entry(struct paging *paging, const struct walk_regime *regime,
                                          uint64_t la, struct access access,
                                          struct tlb_entry **entry)
{
    return translate(paging, regime, la, access, entry);
}

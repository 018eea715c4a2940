/* The way down through page tables: every format, in system memory and in guest memory. Part of walk.c alone.
 * APM vol 2, 5.2 "Legacy-Mode Page Translation", 5.3 "Long-Mode Page Translation". */
#ifndef PAGING_DESCEND_PRIV_H
#define PAGING_DESCEND_PRIV_H

#include "paging/paging_priv.h"

#include <string.h>

#define ENTRY_P (1ull << 0)
#define ENTRY_W (1ull << 1)
#define ENTRY_U (1ull << 2)
#define ENTRY_A (1ull << 5)
#define ENTRY_D (1ull << 6)
#define ENTRY_PS (1ull << 7)
#define ENTRY_G (1ull << 8)
#define ENTRY_NX (1ull << 63)
#define ENTRY_PKEY_SHIFT 59
#define ENTRY_ADDRESS 0x000ffffffffff000ull

/* What kind of descent this is; a constant everywhere, so that each kind is compiled for itself. */
#define HOW_GUEST 1u /* the tables lie in guest physical memory */
#define HOW_FULL 2u  /* for walk() and walk_explain(): fills walker.log if there is one */

struct walker {
    struct memory *memory;
    struct paging *paging;            /* holds the nested cache; NULL: none */
    const struct walk_regime *nested; /* NULL: no second stage */
    uint16_t asid;
    bool fill_ad;
    /* The nested walk is that of an access to its final address: at level 0-2, of a shadow stack. */
    bool supervisor, shadow_stack;
    struct walk_log *log; /* HOW_FULL only; may be NULL */
    uint64_t npf_code;    /* why a nested walk failed: as a #PF code, and NPF_SSS */
};

/* The end of a descent: the leaf entry, and what its path allows. */
struct leaf {
    uint64_t entry;
    uint64_t spa;    /* of the entry itself */
    uint64_t base;   /* of the page */
    uint64_t allow;  /* ENTRY_W, ENTRY_U: AND over all levels */
    uint64_t above;  /* the same over the levels above the leaf */
    uint64_t forbid; /* ENTRY_NX: OR over all levels */
    uint64_t gpa;    /* of the entry in guest tables; END_NPF: which entry could not be reached */
    uint8_t entry_bytes;
    uint8_t shift;
};

enum descent { END_LEAF, END_ABSENT, END_RESERVED, END_NPF };

/* A walk without effects leaves devices alone, which may notice that they are read: their entries count as ones, like those
 * where nothing is. */
EMU_INLINE uint64_t entry_load(const struct walker *w, unsigned how, uint64_t spa, unsigned bytes)
{
    uint64_t page = memory_page_of(w->memory, spa), entry = 0;

    if (EMU_UNLIKELY(page == MEMORY_NONE))
        return (how & HOW_FULL) && !w->fill_ad ? UINT64_MAX >> (64 - 8 * bytes)
                                               : phys_read(w->memory, spa, bytes);
    memcpy(&entry, memory_native(w->memory, page) + spa % PAGE_BYTES, bytes);
    return entry;
}

/* Set A or D in a table entry. Always through phys_write(): a table may lie in a watched page or
 * hold code. */
static EMU_NOINLINE void entry_store(struct memory *memory, uint64_t spa, unsigned bytes,
                                     uint64_t entry)
{
    phys_write(memory, spa, bytes, entry);
}

/* Physical address bits that the processor does not have. */
EMU_INLINE uint64_t beyond_physical(const struct walk_regime *regime)
{
    return regime->maxphyaddr < 52 ? 0x000fffffffffffffull & ~((1ull << regime->maxphyaddr) - 1)
                                   : 0;
}

static bool nested_walk(struct walker *w, uint64_t gpa, enum access_kind kind, struct leaf *leaf);
static bool nested_walk_full(struct walker *w, uint64_t gpa, enum access_kind kind,
                             struct leaf *leaf);

/* Note an entry that was read. */
static EMU_NOINLINE void log_entry(const struct walker *w, bool guest, unsigned level,
                                   uint64_t address, uint64_t spa, uint64_t entry)
{
    struct walk_log *log = w->log;

    if (log && log->count < WALK_STEPS)
        log->step[log->count++] = (struct walk_step){
            .address = address, .spa = spa, .entry = entry, .level = (uint8_t)level, .guest = guest
        };
}

/* How guest tables are reached: as if each access wrote, except with read-only guest page tables. APM vol 2, 15.25.5
 * "Nested Table Walk". */
EMU_INLINE enum access_kind table_kind(const struct walker *w)
{
    return EMU_UNLIKELY(w->nested->rogpt) ? ACCESS_READ : ACCESS_WRITE;
}

/* Before A or D is set in the guest's table entry at `address`, which was reached as by a read: do the nested tables let it be
 * written? The walk sets their own bits, and is not cached. */
static EMU_NOINLINE bool table_opens(struct walker *w, uint64_t address)
{
    struct leaf leaf;

    return (w->log ? nested_walk_full : nested_walk)(w, address, ACCESS_WRITE, &leaf);
}

EMU_INLINE bool table_may_change(struct walker *w, unsigned how, uint64_t address)
{
    return !(how & HOW_GUEST) || EMU_LIKELY(!w->nested->rogpt) || table_opens(w, address);
}

/* Where a table entry lies in system memory. With nested paging its guest physical address is
 * translated as that of a user, see table_kind().
 * CHOICE: only these translations are cached (tagged by ASID like the rest of the TLB, dropped
 * with all of the ASID, not by INVLPG or MOV CR3); N_CR3 takes no part in the tag, so a changed
 * N_CR3 without a flush stays invisible, as on silicon. */
EMU_INLINE bool table_spa(struct walker *w, unsigned how, uint64_t address, uint64_t *spa)
{
    struct tlb_entry *cached = NULL;
    struct leaf leaf;

    if (!(how & HOW_GUEST)) {
        *spa = address;
        return true;
    }
    if (w->paging)
        cached = tlb_find_nested(w->paging, address, w->asid);
    if (cached) {
        *spa = cached->spa | (address & ((1ull << cached->is.shift) - 1));
        return true;
    }
    if (!(how & HOW_FULL ? nested_walk_full : nested_walk)(w, address, table_kind(w), &leaf))
        return false;
    *spa = leaf.base | (address & ((1ull << leaf.shift) - 1));
    if (w->paging) {
        unsigned shift = tlb_cached_shift(leaf.shift);
        uint64_t page = ~((1ull << shift) - 1);
        struct tlb_tags tags = tlb_make_tags(w->asid, 0, 0, 0, shift, shift);

        tlb_insert(w->paging, TLB_N4K, address & page, address & page, *spa & page, tags);
    }
    return true;
}

/* Which bits must be 0 in an entry of a level (1: page table). `common` holds those of all levels.
 * APM vol 2, 5.3 figures 5-20 to 5-34. */
EMU_INLINE uint64_t reserved_bits(const struct walk_regime *regime, uint64_t common, unsigned level,
                                  uint64_t entry)
{
    if (level >= 4)
        return common | ENTRY_PS | ENTRY_G;
    if (level == 1 || !(entry & ENTRY_PS))
        return common;
    if (level == 2)
        return common | 0x001fe000;
    return regime->page_1gb ? common | 0x3fffe000 : common | ENTRY_PS;
}

/* From the table at `table`, of the given level, down to a leaf. 8-byte entries. */
EMU_INLINE enum descent descend_64(struct walker *w, const struct walk_regime *regime, unsigned how,
                                   uint64_t common, unsigned level, uint64_t table, uint64_t la,
                                   struct leaf *leaf)
{
    leaf->allow = ENTRY_W | ENTRY_U;
    leaf->forbid = 0;
    leaf->entry_bytes = 8;
    for (;; level--) {
        unsigned shift = PAGE_SHIFT + 9 * (level - 1);
        uint64_t address = table + ((la >> shift) & 511) * 8;
        uint64_t entry, spa;

        if (EMU_UNLIKELY(!table_spa(w, how, address, &spa))) {
            leaf->gpa = address;
            return END_NPF;
        }
        entry = entry_load(w, how, spa, 8);
        if (how & HOW_FULL)
            log_entry(w, how & HOW_GUEST, level, address, spa, entry);
        if (EMU_UNLIKELY(!(entry & ENTRY_P)))
            return END_ABSENT;
        if (EMU_UNLIKELY(entry & reserved_bits(regime, common, level, entry)))
            return END_RESERVED;
        leaf->forbid |= entry & ENTRY_NX;
        if (level == 1 || (entry & ENTRY_PS)) {
            leaf->above = leaf->allow;
            leaf->allow &= entry;
            leaf->entry = entry;
            leaf->spa = spa;
            if (how & HOW_GUEST)
                leaf->gpa = address;
            leaf->shift = (uint8_t)shift;
            leaf->base = entry & ENTRY_ADDRESS & ~((1ull << shift) - 1);
            return END_LEAF;
        }
        leaf->allow &= entry;
        if (EMU_UNLIKELY(!(entry & ENTRY_A))) {
            if (!table_may_change(w, how, address)) {
                leaf->gpa = address;
                return END_NPF;
            }
            if (w->fill_ad)
                entry_store(w->memory, spa, 8, entry | ENTRY_A);
        }
        table = entry & ENTRY_ADDRESS;
    }
}

/* PAE in legacy mode. CHOICE: PDPTEs are read and checked when they are needed, as current parts do, and as nested paging
 * demands; older ones load all four with CR3. APM vol 2, 5.2.3 "PAE Paging". */
EMU_INLINE enum descent descend_pae(struct walker *w, const struct walk_regime *regime,
                                    unsigned how, uint64_t la, struct leaf *leaf)
{
    uint64_t beyond = beyond_physical(regime);
    uint64_t common = beyond | 0x7ffull << 52 | (regime->nxe ? 0 : ENTRY_NX);
    uint64_t address, pdpte, spa;

    la &= 0xffffffff;
    address = (regime->root & 0xffffffe0) + (la >> 30) * 8;
    if (!table_spa(w, how, address, &spa)) {
        leaf->gpa = address;
        return END_NPF;
    }
    pdpte = entry_load(w, how, spa, 8);
    if (how & HOW_FULL)
        log_entry(w, how & HOW_GUEST, 3, address, spa, pdpte);
    if (!(pdpte & ENTRY_P))
        return END_ABSENT;
    if (walk_pdpte_reserved(pdpte, regime->maxphyaddr))
        return END_RESERVED;
    return descend_64(w, regime, how, common, 2, pdpte & ENTRY_ADDRESS, la, leaf);
}

/* Two levels of 4-byte entries; with CR4.PSE pages of 4 MiB whose PDE holds physical address bits
 * 39:32 in bits 20:13. APM vol 2, 5.2.2 "Normal (Non-PAE) Paging". */
EMU_INLINE enum descent descend_32(struct walker *w, const struct walk_regime *regime, unsigned how,
                                   uint64_t la, struct leaf *leaf)
{
    uint64_t table = regime->root & 0xfffff000;

    leaf->allow = ENTRY_W | ENTRY_U;
    leaf->forbid = 0;
    leaf->entry_bytes = 4;
    la &= 0xffffffff;
    for (unsigned shift = 22;; shift = 12) {
        uint64_t address = table + ((la >> shift) & 1023) * 4;
        uint64_t entry, spa;
        bool large;

        if (!table_spa(w, how, address, &spa)) {
            leaf->gpa = address;
            return END_NPF;
        }
        entry = entry_load(w, how, spa, 4);
        if (how & HOW_FULL)
            log_entry(w, how & HOW_GUEST, shift == 22 ? 2 : 1, address, spa, entry);
        if (!(entry & ENTRY_P))
            return END_ABSENT;
        large = shift == 22 && regime->pse && (entry & ENTRY_PS);
        leaf->base = entry & 0xfffff000;
        if (large) {
            leaf->base = (entry & 0xffc00000) | ((entry >> 13) & 0xff) << 32;
            if ((entry & 1u << 21) || (leaf->base & beyond_physical(regime)))
                return END_RESERVED;
        }
        leaf->above = leaf->allow;
        leaf->allow &= entry;
        if (large || shift == 12) {
            leaf->entry = entry;
            leaf->spa = spa;
            if (how & HOW_GUEST)
                leaf->gpa = address;
            leaf->shift = (uint8_t)shift;
            return END_LEAF;
        }
        if (!(entry & ENTRY_A)) {
            if (!table_may_change(w, how, address)) {
                leaf->gpa = address;
                return END_NPF;
            }
            if (w->fill_ad)
                entry_store(w->memory, spa, 4, entry | ENTRY_A);
        }
        table = leaf->base;
    }
}

EMU_INLINE enum descent descend(struct walker *w, const struct walk_regime *regime, unsigned how,
                                uint64_t la, struct leaf *leaf)
{
    uint64_t common = beyond_physical(regime) | (regime->nxe ? 0 : ENTRY_NX);

    switch (regime->mode) {
    case WALK_4LEVEL:
        return descend_64(w, regime, how, common, 4, regime->root & ENTRY_ADDRESS, la, leaf);
    case WALK_5LEVEL:
        return descend_64(w, regime, how, common, 5, regime->root & ENTRY_ADDRESS, la, leaf);
    case WALK_PAE: return descend_pae(w, regime, how, la, leaf);
    case WALK_32: return descend_32(w, regime, how, la, leaf);
    case WALK_NONE: break;
    }
    *leaf = (struct leaf){ .entry = ENTRY_A | ENTRY_D,
                           .allow = ENTRY_W | ENTRY_U,
                           .shift = 30,
                           .base = la & ~((1ull << 30) - 1) };
    return END_LEAF;
}

/* Each kind of descent: tables in system memory (without nesting, and the nested tables), and tables in guest memory. */
static enum descent descend_system(struct walker *w, const struct walk_regime *regime, uint64_t la,
                                   struct leaf *leaf)
{
    return descend(w, regime, 0, la, leaf);
}

static enum descent descend_guest(struct walker *w, const struct walk_regime *regime, uint64_t la,
                                  struct leaf *leaf)
{
    return descend(w, regime, HOW_GUEST, la, leaf);
}

static EMU_NOINLINE enum descent descend_system_full(struct walker *w,
                                                     const struct walk_regime *regime, uint64_t la,
                                                     struct leaf *leaf)
{
    return descend(w, regime, HOW_FULL, la, leaf);
}

static EMU_NOINLINE enum descent descend_guest_full(struct walker *w,
                                                    const struct walk_regime *regime, uint64_t la,
                                                    struct leaf *leaf)
{
    return descend(w, regime, HOW_GUEST | HOW_FULL, la, leaf);
}

#endif

/* Page table walks: every mode of the guest's tables, and nested tables under them.
 * APM vol 2, 5.2 "Legacy-Mode Page Translation", 5.3 "Long-Mode Page Translation", 15.25 "Nested Paging". */
#include "paging/paging_priv.h"
#include "paging/rights_priv.h"

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

struct walker {
    struct memory *memory;
    struct paging *paging;            /* holds the nested cache; NULL: none */
    const struct walk_regime *nested; /* NULL: no second stage */
    uint16_t asid;
    bool fill_ad;
    uint32_t npf_code; /* why a nested walk failed: as a #PF code */
};

/* The end of a descent: the leaf entry, and what its path allows. */
struct leaf {
    uint64_t entry;
    uint64_t spa;    /* of the entry itself */
    uint64_t base;   /* of the page */
    uint64_t allow;  /* ENTRY_W, ENTRY_U: AND over all levels */
    uint64_t forbid; /* ENTRY_NX: OR over all levels */
    uint64_t gpa;    /* END_NPF: which table entry could not be reached */
    uint8_t entry_bytes;
    uint8_t shift;
};

enum descent { END_LEAF, END_ABSENT, END_RESERVED, END_NPF };

EMU_INLINE uint64_t entry_load(struct memory *memory, uint64_t spa, unsigned bytes)
{
    uint64_t page = memory_page_of(memory, spa), entry = 0;

    if (EMU_UNLIKELY(page == MEMORY_NONE))
        return phys_read(memory, spa, bytes);
    memcpy(&entry, memory_native(memory, page) + spa % PAGE_BYTES, bytes);
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

/* Where a table entry lies in system memory. With nested paging its guest physical address is
 * translated as that of a user write, whatever the access is. APM vol 2, 15.25.5 "Nested Table
 * Walk".
 * CHOICE: only these translations are cached (tagged by ASID like the rest of the TLB, dropped
 * with all of the ASID, not by INVLPG or MOV CR3); N_CR3 takes no part in the tag, so a changed
 * N_CR3 without a flush stays invisible, as on silicon. */
EMU_INLINE bool table_spa(struct walker *w, bool guest, uint64_t address, uint64_t *spa)
{
    struct tlb_entry *cached = NULL;
    struct leaf leaf;

    if (!guest) {
        *spa = address;
        return true;
    }
    if (w->paging)
        cached = tlb_find_nested(w->paging, address, w->asid);
    if (cached) {
        *spa = cached->spa | (address & ((1ull << cached->is.shift) - 1));
        return true;
    }
    if (!nested_walk(w, address, ACCESS_WRITE, &leaf))
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
EMU_INLINE enum descent descend_64(struct walker *w, const struct walk_regime *regime, bool guest,
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

        if (EMU_UNLIKELY(!table_spa(w, guest, address, &spa))) {
            leaf->gpa = address;
            return END_NPF;
        }
        entry = entry_load(w->memory, spa, 8);
        if (EMU_UNLIKELY(!(entry & ENTRY_P)))
            return END_ABSENT;
        if (EMU_UNLIKELY(entry & reserved_bits(regime, common, level, entry)))
            return END_RESERVED;
        leaf->allow &= entry;
        leaf->forbid |= entry & ENTRY_NX;
        if (level == 1 || (entry & ENTRY_PS)) {
            leaf->entry = entry;
            leaf->spa = spa;
            leaf->shift = (uint8_t)shift;
            leaf->base = entry & ENTRY_ADDRESS & ~((1ull << shift) - 1);
            return END_LEAF;
        }
        if (EMU_UNLIKELY(!(entry & ENTRY_A)) && w->fill_ad)
            entry_store(w->memory, spa, 8, entry | ENTRY_A);
        table = entry & ENTRY_ADDRESS;
    }
}

/* PAE in legacy mode. CHOICE: PDPTEs are read and checked when they are needed, as current parts do, and as nested paging
 * demands; older ones load all four with CR3. APM vol 2, 5.2.3 "PAE Paging". */
EMU_INLINE enum descent descend_pae(struct walker *w, const struct walk_regime *regime, bool guest,
                                    uint64_t la, struct leaf *leaf)
{
    uint64_t beyond = beyond_physical(regime);
    uint64_t common = beyond | 0x7ffull << 52 | (regime->nxe ? 0 : ENTRY_NX);
    uint64_t address, pdpte, spa;

    la &= 0xffffffff;
    address = (regime->root & 0xffffffe0) + (la >> 30) * 8;
    if (!table_spa(w, guest, address, &spa)) {
        leaf->gpa = address;
        return END_NPF;
    }
    pdpte = entry_load(w->memory, spa, 8);
    if (!(pdpte & ENTRY_P))
        return END_ABSENT;
    if (pdpte & (beyond | 0xfffull << 52 | 0x1e6))
        return END_RESERVED;
    return descend_64(w, regime, guest, common, 2, pdpte & ENTRY_ADDRESS, la, leaf);
}

/* Two levels of 4-byte entries; with CR4.PSE pages of 4 MiB whose PDE holds physical address bits
 * 39:32 in bits 20:13. APM vol 2, 5.2.2 "Normal (Non-PAE) Paging". */
EMU_INLINE enum descent descend_32(struct walker *w, const struct walk_regime *regime, bool guest,
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

        if (!table_spa(w, guest, address, &spa)) {
            leaf->gpa = address;
            return END_NPF;
        }
        entry = entry_load(w->memory, spa, 4);
        if (!(entry & ENTRY_P))
            return END_ABSENT;
        large = shift == 22 && regime->pse && (entry & ENTRY_PS);
        leaf->base = entry & 0xfffff000;
        if (large) {
            leaf->base = (entry & 0xffc00000) | ((entry >> 13) & 0xff) << 32;
            if ((entry & 1u << 21) || (leaf->base & beyond_physical(regime)))
                return END_RESERVED;
        }
        leaf->allow &= entry;
        if (large || shift == 12) {
            leaf->entry = entry;
            leaf->spa = spa;
            leaf->shift = (uint8_t)shift;
            return END_LEAF;
        }
        if (!(entry & ENTRY_A) && w->fill_ad)
            entry_store(w->memory, spa, 4, entry | ENTRY_A);
        table = leaf->base;
    }
}

EMU_INLINE enum descent descend(struct walker *w, const struct walk_regime *regime, bool guest,
                                uint64_t la, struct leaf *leaf)
{
    uint64_t common = beyond_physical(regime) | (regime->nxe ? 0 : ENTRY_NX);

    switch (regime->mode) {
    case WALK_4LEVEL:
        return descend_64(w, regime, guest, common, 4, regime->root & ENTRY_ADDRESS, la, leaf);
    case WALK_5LEVEL:
        return descend_64(w, regime, guest, common, 5, regime->root & ENTRY_ADDRESS, la, leaf);
    case WALK_PAE: return descend_pae(w, regime, guest, la, leaf);
    case WALK_32: return descend_32(w, regime, guest, la, leaf);
    case WALK_NONE: break;
    }
    *leaf = (struct leaf){ .entry = ENTRY_A | ENTRY_D,
                           .allow = ENTRY_W | ENTRY_U,
                           .shift = 30,
                           .base = la & ~((1ull << 30) - 1) };
    return END_LEAF;
}

/* Two copies: tables in system memory (without nesting, and the nested tables), and tables in
 * guest memory. */
static enum descent descend_system(struct walker *w, const struct walk_regime *regime, uint64_t la,
                                   struct leaf *leaf)
{
    return descend(w, regime, false, la, leaf);
}

static enum descent descend_guest(struct walker *w, const struct walk_regime *regime, uint64_t la,
                                  struct leaf *leaf)
{
    return descend(w, regime, true, la, leaf);
}

/* The access is allowed: A, and D for a write, are set in the leaf.
 * CHOICE: a leaf whose access faults keeps its A bit; the levels above it have theirs set. */
EMU_INLINE void leaf_accessed(struct walker *w, struct leaf *leaf, bool write)
{
    uint64_t bits = write ? ENTRY_A | ENTRY_D : ENTRY_A;

    if (EMU_LIKELY((leaf->entry & bits) == bits) || !w->fill_ad)
        return;
    leaf->entry |= bits;
    entry_store(w->memory, leaf->spa, leaf->entry_bytes, leaf->entry);
}

/* The ID bit is reported only where fetches are told from reads. APM vol 2, 8.4.2 "Page-Fault Error Code". */
static uint32_t fetch_bit(const struct walk_regime *regime, enum access_kind kind)
{
    bool nx_exists = regime->nxe && regime->mode >= WALK_PAE;

    return kind == ACCESS_EXEC && (nx_exists || regime->smep) ? PF_ID : 0;
}

/* Does a guest physical address lie beyond what the nested tables can map?
 * CHOICE: such an address is not present. */
static bool beyond_nested(const struct walk_regime *nested, uint64_t gpa)
{
    switch (nested->mode) {
    case WALK_4LEVEL: return gpa >> 48 != 0;
    case WALK_PAE:
    case WALK_32: return gpa >> 32 != 0;
    default: return false;
    }
}

/* Guest physical to system physical. Every access is a user access; the nested tables' read-only
 * pages can be written by nobody, whatever CR0.WP says. APM vol 2, 15.25.5, 15.25.7 "Combining
 * Nested and Guest Attributes". */
static bool nested_walk(struct walker *w, uint64_t gpa, enum access_kind kind, struct leaf *leaf)
{
    struct walker host = { .memory = w->memory, .fill_ad = w->fill_ad };
    const struct walk_regime *nested = w->nested;
    enum descent end = END_ABSENT;
    uint32_t code = PF_US | (kind == ACCESS_WRITE ? PF_RW : 0) | fetch_bit(nested, kind);

    if (EMU_LIKELY(!beyond_nested(nested, gpa)))
        end = descend_system(&host, nested, gpa, leaf);
    if (EMU_UNLIKELY(end != END_LEAF)) {
        w->npf_code = end == END_RESERVED ? code | PF_P | PF_RSV : code;
        return false;
    }
    if (EMU_UNLIKELY(!(leaf->allow & ENTRY_U) ||
                     (kind == ACCESS_WRITE && !(leaf->allow & ENTRY_W)) ||
                     (kind == ACCESS_EXEC && leaf->forbid))) {
        w->npf_code = code | PF_P;
        return false;
    }
    leaf_accessed(&host, leaf, kind == ACCESS_WRITE);
    return true;
}

static unsigned leaf_flags(const struct walk_regime *regime, const struct leaf *leaf)
{
    return (leaf->allow & ENTRY_W ? TLB_W : 0) | (leaf->allow & ENTRY_U ? TLB_U : 0) |
           (leaf->forbid ? TLB_NX : 0) | (regime->pge && (leaf->entry & ENTRY_G) ? TLB_G : 0) |
           (leaf->entry & ENTRY_D ? TLB_D : 0) | TLB_NESTED_W;
}

/* The second stage for the address the guest asked for. false: res is the nested page fault. */
static bool walk_final(struct walker *w, enum access_kind kind, struct walk_result *res,
                       struct walk_leaf *details)
{
    struct leaf leaf;

    if (EMU_UNLIKELY(!nested_walk(w, res->gpa, kind, &leaf))) {
        res->status = WALK_NPF;
        res->info1 = NPF_FINAL | w->npf_code;
        return false;
    }
    res->spa = leaf.base | (res->gpa & ((1ull << leaf.shift) - 1));
    if (leaf.shift < details->shift)
        details->shift = leaf.shift;
    if (!(leaf.allow & ENTRY_W))
        details->flags &= ~TLB_NESTED_W;
    if (leaf.forbid)
        details->flags |= TLB_NX;
    if (!(leaf.entry & ENTRY_D))
        details->flags &= ~TLB_D;
    return true;
}

/* The order is that of APM vol 2, 15.25.6 "Nested versus Guest Page Faults, Fault Ordering". */
void walk_tables(struct memory *memory, struct paging *paging, const struct walk_regime *regime,
                 uint64_t la, struct access access, bool fill_ad, struct walk_result *res,
                 struct walk_leaf *details)
{
    struct walker w = { .memory = memory,
                        .paging = paging,
                        .nested = regime->nested,
                        .asid = regime->asid,
                        .fill_ad = fill_ad };
    struct leaf leaf;
    bool write = access.kind == ACCESS_WRITE;
    bool user = regime->cpl == 3 && !access.supervisor;
    uint32_t code = (write ? PF_RW : 0) | (user ? PF_US : 0) | fetch_bit(regime, access.kind);
    enum descent end = regime->nested ? descend_guest(&w, regime, la, &leaf)
                                      : descend_system(&w, regime, la, &leaf);

    *res = (struct walk_result){ .status = WALK_FAULT, .code = code };
    if (EMU_UNLIKELY(end == END_NPF))
        *res = (struct walk_result){ .status = WALK_NPF,
                                     .info1 = NPF_TABLE | w.npf_code,
                                     .gpa = leaf.gpa };
    if (EMU_UNLIKELY(end == END_RESERVED))
        res->code |= PF_P | PF_RSV;
    if (EMU_UNLIKELY(end != END_LEAF))
        return;
    details->flags = leaf_flags(regime, &leaf);
    details->pkey = 0;
    if (regime->pke && regime_is_long(regime))
        details->pkey = (leaf.entry >> ENTRY_PKEY_SHIFT) & 15;
    if (regime->mode != WALK_NONE) {
        if (EMU_UNLIKELY(!walk_allows(regime, access, details->flags, details->pkey, &res->code)))
            return;
        leaf_accessed(&w, &leaf, write);
        if (leaf.entry & ENTRY_D)
            details->flags |= TLB_D;
    }
    res->code = 0;
    res->gpa = res->spa = leaf.base | (la & ((1ull << leaf.shift) - 1));
    details->shift = details->guest_shift = leaf.shift;
    if (regime->nested) {
        if (!walk_final(&w, access.kind, res, details))
            return;
        if (regime->mode == WALK_NONE)
            details->guest_shift = details->shift; /* no guest page to speak of */
    }
    res->status = WALK_OK;
    res->page_bytes = 1ull << details->shift;
}

struct walk_result walk(struct memory *memory, const struct walk_regime *regime, uint64_t la,
                        struct access access, bool fill_ad)
{
    struct walk_leaf leaf;
    struct walk_result res;

    walk_tables(memory, NULL, regime, la, access, fill_ad, &res, &leaf);
    if (res.status == WALK_OK) {
        res.global = leaf.flags & TLB_G;
        res.writable = (leaf.flags & TLB_W) && (leaf.flags & TLB_NESTED_W);
        res.user = leaf.flags & TLB_U;
        res.nx = leaf.flags & TLB_NX;
        res.dirty = leaf.flags & TLB_D;
        res.pkey = leaf.pkey;
    }
    return res;
}

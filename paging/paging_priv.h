/* The insides of struct paging: the architectural TLB, the ASIDs that use it, and the banks of
 * fast entries. */
#ifndef PAGING_PAGING_PRIV_H
#define PAGING_PAGING_PRIV_H

#include <string.h>

#include "emu/compiler.h"
#include "paging/memory_priv.h"
#include "paging/paging.h"

/* The arrays of the TLB: data, instruction, and the nested translations of guest page tables, each for
 * three page sizes. All are 8-way. */
/* clang-format off */
enum tlb_array {
    TLB_D4K, TLB_D2M, TLB_D1G,
    TLB_I4K, TLB_I2M, TLB_I1G,
    TLB_N4K, TLB_N2M, TLB_N1G,
    TLB_ARRAYS
};
/* clang-format on */
#define TLB_WAYS 8u

/* Sets of each array as a power of two, and where they begin.
 * CHOICE: about half of what current processors have; a miss costs less here. */
#define TLB_D4K_BITS 6u
#define TLB_D2M_BITS 3u
#define TLB_D1G_BITS 0u
#define TLB_I4K_BITS 5u
#define TLB_I2M_BITS 2u
#define TLB_I1G_BITS 0u
#define TLB_N4K_BITS 5u
#define TLB_N2M_BITS 3u
#define TLB_N1G_BITS 0u
#define TLB_D4K_SET 0u
#define TLB_D2M_SET (TLB_D4K_SET + (1u << TLB_D4K_BITS))
#define TLB_D1G_SET (TLB_D2M_SET + (1u << TLB_D2M_BITS))
#define TLB_I4K_SET (TLB_D1G_SET + (1u << TLB_D1G_BITS))
#define TLB_I2M_SET (TLB_I4K_SET + (1u << TLB_I4K_BITS))
#define TLB_I1G_SET (TLB_I2M_SET + (1u << TLB_I2M_BITS))
#define TLB_N4K_SET (TLB_I1G_SET + (1u << TLB_I1G_BITS))
#define TLB_N2M_SET (TLB_N4K_SET + (1u << TLB_N4K_BITS))
#define TLB_N1G_SET (TLB_N2M_SET + (1u << TLB_N2M_BITS))
#define TLB_SETS (TLB_N1G_SET + (1u << TLB_N1G_BITS))
#define TLB_ENTRIES (TLB_SETS * TLB_WAYS)
static_assert(TLB_ENTRIES < UINT16_MAX, "the lists of the ASIDs hold an index + 1 in 16 bits");

struct tlb_geometry {
    uint16_t first_set;
    uint8_t set_bits, shift;
};
extern const struct tlb_geometry tlb_geometry[TLB_ARRAYS];

/* Rights of a translation. W, U, NX and G are those of the guest's tables (of the only tables
 * without nesting), ANDed or ORed over the levels; NX also holds the nested tables' NX. */
#define TLB_W 0x01u
#define TLB_NESTED_W 0x02u /* the nested tables allow writing; 1 without nesting */
#define TLB_U 0x04u
#define TLB_NX 0x08u
#define TLB_G 0x10u
#define TLB_APIC 0x80u /* the AVIC backing page stands for what the nested leaf says */
#define TLB_D 0x20u    /* dirty in every leaf: a write needs no walk */
#define TLB_SUPERVISOR_NX \
    0x40u /* the nested tables' guest mode execute trap: levels 0-2 must not execute */
#define TLB_SHADOW_STACK \
    0x100u /* the leaf has W = 0 and D = 1, all above it W = 1. APM vol 2, 5.7.2 "Shadow Stack Pages" */
#define TLB_SSS \
    0x200u /* the nested tables' supervisor shadow stack check lets their accesses through */
#define TLB_PKEY_SHIFT 12 /* above: the protection key */

/* Small fields of a translation; fits a register, as which it is passed. */
struct tlb_tags {
    uint16_t asid, pcid;
    uint16_t flags;      /* TLB_*, and the protection key */
    uint8_t shift;       /* log2 of the bytes translated: the smaller of guest's and nested page */
    uint8_t guest_shift; /* log2 of the guest's page: INVLPG acts on all of it */
};

/* Made in a register: byte stores that are read back as a whole stall. */
EMU_INLINE struct tlb_tags tlb_make_tags(uint16_t asid, uint16_t pcid, unsigned flags,
                                         unsigned pkey, unsigned shift, unsigned guest_shift)
{
    uint64_t word = asid | (uint64_t)pcid << 16 | (uint64_t)flags << 32 |
                    (uint64_t)pkey << (32 + TLB_PKEY_SHIFT) | (uint64_t)shift << 48 |
                    (uint64_t)guest_shift << 56;
    struct tlb_tags tags;

    memcpy(&tags, &word, sizeof(tags));
    return tags;
}

EMU_INLINE unsigned tlb_pkey(struct tlb_tags tags)
{
    return tags.flags >> TLB_PKEY_SHIFT;
}

/* One translation. Invariant: it is valid exactly when its tag is not 0; then it is in the list of
 * its ASID. */
struct tlb_entry {
    uint64_t page; /* linear address of the page (N arrays: guest physical) */
    uint64_t gpa, spa;
    uint64_t banks; /* bit n: bank n may hold fast entries made from this one */
    struct tlb_tags is;
    uint16_t prev, next; /* in the list of the ASID: index + 1, 0 ends it */
    uint8_t array;
};

/* Which entry answered for a page of guest tables; it still does while it has the same tag.
 * Derived; see drop_hints(). */
struct nested_hint {
    uint64_t key, tag;
    uint32_t generation; /* of all hints: those of another generation are dropped */
    uint16_t entry;
};
#define NESTED_HINTS 128u

/* What an ASID has in the TLB. All zero when unused. */
struct asid_state {
    struct tlb_counters counters;
    uint32_t fractured; /* entries whose page is only a part of the guest's page */
    uint16_t head;      /* list of entries: index + 1 */
    bool touched;
};
#define ASID_COUNT 65536u

#define BANK_COUNT 64u
#define BANK_WAYS 4u
#define BANK_SETS (BANK_COUNT / BANK_WAYS)
static_assert(BANK_COUNT <= 64, "struct tlb_entry has a bit for each bank");

#define FAST_FILTER_WORDS 64u

struct bank {
    struct fast_entry entries[FAST_ENTRIES];
};

/* What decides whether a cached translation answers an access. Two regimes with equal keys share a bank. */
struct bank_key {
    uint64_t context; /* 0: the bank was never used */
    uint64_t pkru;
};

struct paging {
    uint64_t tags[TLB_ENTRIES]; /* by entry: page number, ASID, valid bit; see tlb_tag() */
    struct tlb_entry entries[TLB_ENTRIES];
    uint8_t next_way[TLB_SETS]; /* round robin replacement */
    uint16_t live[TLB_ARRAYS];  /* valid entries */
    struct nested_hint hints[NESTED_HINTS];
    uint32_t hint_generation;
    uint64_t itlb_generation;
    struct asid_state *asids; /* ASID_COUNT, touched lazily */
    uint16_t *touched;        /* ASIDs in use, touched_count of them */
    uint32_t touched_count;
    bool pcids; /* a PCID other than 0 was seen */

    struct bank *current; /* what paging_bank() returned last */
    struct bank_key current_key;
    struct bank_key keys[BANK_COUNT];
    uint8_t bank_next[BANK_SETS];
    struct bank *banks; /* BANK_COUNT, touched lazily */
    bool allow_fast;
    /* Backing pages, modulo the bits there are, that a fast entry may write. */
    uint64_t write_filter[FAST_FILTER_WORDS];

    struct memory *memory;
    struct probes *probes;
};

/* What the TLB keeps of a walk besides its addresses. */
struct walk_leaf {
    unsigned flags, pkey, shift, guest_shift;
};

/* walk() of the processor, with its cache of nested translations and what the TLB keeps. In *res neither rights
 * nor PAT indices are filled in. */
void walk_tables(struct memory *memory, struct paging *paging, const struct walk_regime *regime,
                 uint64_t la, struct access access, struct walk_result *res,
                 struct walk_leaf *details);

EMU_INLINE bool regime_is_identity(const struct walk_regime *regime)
{
    return regime->mode == WALK_NONE && !regime->nested;
}

EMU_INLINE bool regime_is_long(const struct walk_regime *regime)
{
    return regime->mode >= WALK_4LEVEL;
}

EMU_INLINE uint16_t regime_pcid(const struct walk_regime *regime)
{
    return regime->pcide ? regime->root & 0xfff : 0;
}

/* A page number has at most 45 bits (linear addresses of 57), so nothing is lost; never 0. */
EMU_INLINE uint64_t tlb_tag(uint64_t page_number, uint16_t asid)
{
    return page_number << 17 | (uint64_t)asid << 1 | 1;
}

EMU_INLINE uint64_t tlb_page_number(uint64_t address, unsigned shift)
{
    return (address & 0x01ffffffffffffffull) >> shift;
}

/* The set of a page. The ASID takes part, so that guests alike do not meet in the same sets. */
EMU_INLINE unsigned tlb_set(uint64_t page_number, uint16_t asid, unsigned bits)
{
    return (unsigned)(page_number ^ (page_number >> bits) ^ asid * 5u) & ((1u << bits) - 1);
}

/* Bit n: way n of a set has this tag. Not a loop, and without a branch for each way, which would
 * be mispredicted: this is the hit path. */
EMU_INLINE unsigned tlb_ways_with(const uint64_t *tags, uint64_t tag)
{
    static_assert(TLB_WAYS == 8, "the comparison is written out");
    return (unsigned)(tags[0] == tag) | (unsigned)(tags[1] == tag) << 1 |
           (unsigned)(tags[2] == tag) << 2 | (unsigned)(tags[3] == tag) << 3 |
           (unsigned)(tags[4] == tag) << 4 | (unsigned)(tags[5] == tag) << 5 |
           (unsigned)(tags[6] == tag) << 6 | (unsigned)(tags[7] == tag) << 7;
}

EMU_INLINE struct nested_hint *nested_hint(struct paging *paging, uint64_t page_number,
                                           uint16_t asid)
{
    return &paging->hints[(page_number ^ asid * 37u) % NESTED_HINTS];
}

/* The valid entry of one array that answers for a page, or NULL.
 * CHOICE: a global entry answers for every PCID of its ASID. */
EMU_INLINE struct tlb_entry *tlb_probe(struct paging *paging, unsigned first_set, unsigned bits,
                                       unsigned shift, uint64_t address, uint16_t asid,
                                       uint16_t pcid)
{
    uint64_t number = tlb_page_number(address, shift);
    unsigned first = (first_set + tlb_set(number, asid, bits)) * TLB_WAYS;
    unsigned found = tlb_ways_with(&paging->tags[first], tlb_tag(number, asid));

    for (; found; found &= found - 1) {
        struct tlb_entry *e = &paging->entries[first + EMU_CTZ64(found)];

        if (EMU_LIKELY(e->is.pcid == pcid || (e->is.flags & TLB_G)))
            return e;
    }
    return NULL;
}

#define TLB_PROBE(paging, array, shift, address, asid, pcid) \
    tlb_probe(paging, array##_SET, array##_BITS, shift, address, asid, pcid)

/* The entry that answers for a linear address. CHOICE: if pages of several sizes answer (tables
 * changed without a flush), the smallest does. */
EMU_INLINE struct tlb_entry *tlb_find_data(struct paging *paging, uint64_t la, uint16_t asid,
                                           uint16_t pcid)
{
    struct tlb_entry *e = TLB_PROBE(paging, TLB_D4K, 12, la, asid, pcid);

    if (!e && paging->live[TLB_D2M])
        e = TLB_PROBE(paging, TLB_D2M, 21, la, asid, pcid);
    if (!e && paging->live[TLB_D1G])
        e = TLB_PROBE(paging, TLB_D1G, 30, la, asid, pcid);
    return e;
}

EMU_INLINE struct tlb_entry *tlb_find_insn(struct paging *paging, uint64_t la, uint16_t asid,
                                           uint16_t pcid)
{
    struct tlb_entry *e = TLB_PROBE(paging, TLB_I4K, 12, la, asid, pcid);

    if (!e && paging->live[TLB_I2M])
        e = TLB_PROBE(paging, TLB_I2M, 21, la, asid, pcid);
    if (!e && paging->live[TLB_I1G])
        e = TLB_PROBE(paging, TLB_I1G, 30, la, asid, pcid);
    return e;
}

/* A nested walk asks this up to five times, so the last answers are remembered. */
EMU_INLINE struct tlb_entry *tlb_find_nested(struct paging *paging, uint64_t gpa, uint16_t asid)
{
    uint64_t key = tlb_tag(gpa >> PAGE_SHIFT, asid);
    struct nested_hint *hint = nested_hint(paging, gpa >> PAGE_SHIFT, asid);
    struct tlb_entry *e;

    if (EMU_LIKELY(hint->key == key && hint->generation == paging->hint_generation &&
                   paging->tags[hint->entry] == hint->tag))
        return &paging->entries[hint->entry];
    e = TLB_PROBE(paging, TLB_N4K, 12, gpa, asid, 0);
    if (!e && paging->live[TLB_N2M])
        e = TLB_PROBE(paging, TLB_N2M, 21, gpa, asid, 0);
    if (!e && paging->live[TLB_N1G])
        e = TLB_PROBE(paging, TLB_N1G, 30, gpa, asid, 0);
    if (e) {
        hint->key = key;
        hint->entry = (uint16_t)(e - paging->entries);
        hint->tag = paging->tags[hint->entry];
        hint->generation = paging->hint_generation;
    }
    return e;
}

/* The shift of the array that holds pages of 2^shift bytes. CHOICE: a 4 MiB page is cached as the
 * 2 MiB asked for. */
EMU_INLINE unsigned tlb_cached_shift(unsigned shift)
{
    return shift >= 30 ? 30 : shift >= 21 ? 21 : 12;
}

/* Put a translation in array `first` + 0, 1 or 2 by size (shift 12, 21 or 30), replacing one if
 * the set is full. The addresses are those of the page. */
struct tlb_entry *tlb_insert(struct paging *paging, enum tlb_array first, uint64_t page,
                             uint64_t gpa, uint64_t spa, struct tlb_tags tags);

/* Remove a valid entry with the fast entries made from it. */
void tlb_remove(struct paging *paging, struct tlb_entry *e);

/* For loading a TLB: forget all of it, and what is derived from it, without telling anybody; then put a translation to its
 * place, which is free. `tag` is the one that belongs to both. */
void tlb_forget(struct paging *paging);
void tlb_place(struct paging *paging, unsigned at, const struct tlb_entry *entry, uint64_t tag);

struct asid_state *tlb_asid(struct paging *paging, uint16_t asid); /* marks it as touched */

/* The fast entries made from an architectural entry of a data array go. */
void fast_withdraw(struct paging *paging, const struct tlb_entry *e);
/* A global entry was made: it answers for all PCIDs now, in place of larger pages that answered until now. */
void fast_shadow(struct paging *paging, const struct tlb_entry *e);
void fast_mark_changed(void *self, uint64_t page); /* memory's mark listener; self is the paging */
bool fast_init(struct paging *paging);             /* false: no memory */
void fast_reset(struct paging *paging);
void fast_fini(struct paging *paging);

/* paging_translate(), and which entry answered (NULL: no TLB in this regime, or a fault). */
struct walk_result paging_translate_entry(struct paging *paging, const struct walk_regime *regime,
                                          uint64_t la, struct access access,
                                          struct tlb_entry **entry);

#endif

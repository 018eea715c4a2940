/* Walks, the architectural TLB and the fast tables of one vCPU. */
#ifndef PAGING_PAGING_H
#define PAGING_PAGING_H

#include "emu/base/probe.h"
#include "emu/cpu/state.h"
#include "paging/memory.h"
#include "paging/regime.h"

struct snap;

/* Make and free the paging state of one vCPU; registers with memory's mark listeners.
 * probes may be NULL. Returns NULL without memory. */
struct paging *paging_new(struct memory *memory, struct probes *probes);
void paging_free(struct paging *paging);
void paging_reset(struct paging *paging);

/* Walk without any TLB. fill_ad: set A/D bits and count as an access (false for debuggers: no effects). */
struct walk_result walk(struct memory *memory, const struct walk_regime *regime, uint64_t la,
                        struct access access, bool fill_ad);

/* walk() without effects, with every entry that was read, in order: the way to explain a translation. The entries of
 * nested tables stand before what they led to. */
struct walk_result walk_explain(struct memory *memory, const struct walk_regime *regime,
                                uint64_t la, struct access access, struct walk_log *log);

/* The reserved bits that are set in an entry of such a walk; `regime` is that of the entry's own tables. */
uint64_t walk_reserved(const struct walk_regime *regime, const struct walk_step *step);

/* The translation the hardware would use: architectural TLB, then a walk that fills it. `la` must
 * be canonical already. Changes: TLB content, counters, A/D bits. */
struct walk_result paging_translate(struct paging *paging, const struct walk_regime *regime,
                                    uint64_t la, struct access access);

/* Choose the bank for a regime: returns its FAST_ENTRIES entries, which stay its own until the
 * next call. Cheap when the bank exists (a world switch calls it twice). Entries not there are
 * filled by paging_fast_fill(). */
struct fast_entry *paging_bank(struct paging *paging, const struct walk_regime *regime);

/* paging_translate(), which also tries to make a fast entry for `la` in the current bank. *filled
 * tells whether that entry now answers this kind of access (RAM; for writes: dirty set, no code,
 * not watched, written before). An implicit supervisor access makes none where its rights differ
 * from those of the bank. */
struct walk_result paging_fast_fill(struct paging *paging, const struct walk_regime *regime,
                                    uint64_t la, struct access access, bool *filled);

/* With fast == false no fast entry is made or answers (mem probes, --drop-fast-tables). */
void paging_allow_fast(struct paging *paging, bool allow);
void paging_drop_fast(struct paging *paging); /* all entries; derived state only */
/* Another page may answer a physical address: what was derived from the routing goes, fetch pages and jump caches
 * included (their key changes). The architectural TLB stays. */
void paging_remapped(struct paging *paging);

/* Counts the removals and replacements of instruction-TLB entries, and banks given to another regime. */
uint64_t paging_itlb_generation(const struct paging *paging);

/* The bank's number (16 bits) << 48 | that generation (48 bits). While it stays the same, a fetch
 * that was allowed stays allowed and goes to the same physical address: the key of jump caches and
 * of the current fetch page. Decode mode is no part of it. */
uint64_t paging_context(const struct paging *paging, const struct fast_entry *bank);

/* Flushes. Each does exactly what the manual says of its cause. APM vol 2, 5.5.3 "TLB Management",
 * 15.16 "TLB Control". PROBE_TLB_FLUSH tells the linear address and the ASID; UINT64_MAX: all of
 * them. */

/* MOV CR3 and TLB_CONTROL 7 (globals false), TLB_CONTROL 3, changes of CR0.PG and CR4 (true).
 * With globals the nested translations of the ASID go too. */
void paging_flush_asid(struct paging *paging, uint16_t asid, bool globals);
/* MOV CR3 with PCIDE: the entries of one PCID that are not global. */
void paging_flush_pcid(struct paging *paging, uint16_t asid, uint16_t pcid);
/* TLB_CONTROL 1, SMI, RSM, writes to MTRRs. */
void paging_flush_all(struct paging *paging);
/* INVLPG (globals true), INVPCID type 0 (false). */
void paging_flush_page(struct paging *paging, uint16_t asid, uint16_t pcid, uint64_t la,
                       bool globals);
/* INVLPGA. */
void paging_flush_page_any_pcid(struct paging *paging, uint16_t asid, uint64_t la);

/* INVLPGB: entries that match everything that is given. */
#define TLB_FLUSH_ANY (-1)
struct tlb_flush {
    int asid, pcid; /* or TLB_FLUSH_ANY */
    bool by_page;   /* of linear address `la` only */
    uint64_t la;
    bool globals; /* global entries too, whatever their PCID */
    bool nested;  /* nested translations of the ASID too, all of them */
};
void paging_flush_matching(struct paging *paging, const struct tlb_flush *flush);

/* hits: lookups answered without a walk; the fast tables answer most accesses before, and those
 * are not counted. misses: walks, also those to set a dirty bit or to confirm a fault. flushes:
 * entries removed other than by replacement, so that fills - evictions - flushes entries are
 * there. Nested translations of guest page tables are not counted. */
struct tlb_counters {
    uint64_t hits, misses, fills, evictions, flushes;
};
/* Counters of an ASID, or NULL if it never translated anything. */
const struct tlb_counters *paging_counters(const struct paging *paging, uint16_t asid);

/* One entry of the TLB, for reports. */
struct tlb_view {
    enum {
        TLB_DATA,
        TLB_CODE,
        TLB_NESTED
    } kind;        /* TLB_NESTED: guest physical address of a guest's tables */
    uint64_t page; /* linear; TLB_NESTED: guest physical */
    uint64_t gpa, spa;
    uint64_t page_bytes, guest_page_bytes;
    uint16_t asid, pcid;
    uint8_t pkey;
    bool writable, user, nx, global, dirty; /* writable: at both stages */
};
void paging_each(const struct paging *paging, void (*each)(void *self, const struct tlb_view *view),
                 void *self);

/* The section "tlb": the architectural content with what decides about replacement, and, but for hashing, the counters. */
void paging_state(struct paging *paging, struct snap *snap, unsigned instance);

static inline bool paging_is_canonical(uint64_t la, bool la57)
{
    unsigned shift = la57 ? 7 : 16;
    return (uint64_t)((int64_t)(la << shift) >> shift) == la;
}

#endif

/* What a page walk needs to know of a CPU, as plain data: paging never sees a vCPU. */
#ifndef PAGING_REGIME_H
#define PAGING_REGIME_H

#include <stdbool.h>
#include <stdint.h>

#include "emu/cpu/state.h"

enum walk_mode { WALK_NONE, WALK_32, WALK_PAE, WALK_4LEVEL, WALK_5LEVEL };

/* How the control registers have linear addresses translated. APM vol 2, 5.1 "Page Translation Overview". */
static inline enum walk_mode walk_mode_of(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
    if (!(cr0 & CR0_PG))
        return WALK_NONE;
    if (!(cr4 & CR4_PAE))
        return WALK_32;
    if (!(efer & EFER_LMA))
        return WALK_PAE;
    return cr4 & CR4_LA57 ? WALK_5LEVEL : WALK_4LEVEL;
}

/* Invariant: nested is NULL or points to a regime whose own nested is NULL. */
struct walk_regime {
    enum walk_mode mode;
    uint64_t root; /* CR3 or N_CR3 */
    bool wp, nxe, smep, smap, pse, pge, pcide, pke;
    uint32_t pkru;
    uint8_t cpl;        /* 3: user */
    bool ac;            /* RFLAGS.AC: lifts SMAP for explicit accesses */
    uint16_t asid;      /* 0: host */
    uint8_t maxphyaddr; /* bits */
    bool page_1gb;      /* 1 GiB pages exist */
    /* Of nested tables: guest mode execute trap, read-only guest page tables, supervisor shadow stack check. */
    bool gmet, rogpt, sss;
    bool smm; /* the processor is in SMM: other physical memory */
    bool
        shadow_stack; /* code runs with shadow stacks: it has banks, and so jump caches, of its own */
    const struct walk_regime *nested; /* the host's regime with N_CR3, when NP_ENABLE = 1 */
    /* Of nested tables: the guest physical page where the guest has its local APIC | 1, 0: none, and where reads and
     * writes of it go instead. APM vol 2, 15.29.3 "AVIC Backing Page". */
    uint64_t apic_gpa, apic_spa;
};

enum access_kind { ACCESS_READ, ACCESS_WRITE, ACCESS_EXEC };

struct access {
    enum access_kind kind;
    bool supervisor; /* implicit supervisor access (descriptor tables, TSS): ignores CPL and AC */
    bool
        shadow_stack; /* of shadow stacks, read or write: a supervisor or, whatever CPL, a user access */
};

/* Page-fault error code bits. APM vol 2, 8.4.2 "Page-Fault Error Code". */
#define PF_P 0x1u
#define PF_RW 0x2u
#define PF_US 0x4u
#define PF_RSV 0x8u
#define PF_ID 0x10u
#define PF_PK 0x20u
#define PF_SS 0x40u
/* EXITINFO1 of VMEXIT_NPF: also the final address or a table walk, and whether the page is one for supervisor shadow
 * stacks. APM vol 2, 15.25.6. */
#define NPF_FINAL (1ull << 32)
#define NPF_TABLE (1ull << 33)
#define NPF_SSS (1ull << 37)

enum walk_status { WALK_OK, WALK_FAULT, WALK_NPF };

/* The answer of a walk. On WALK_FAULT code is the #PF error code; on WALK_NPF info1 and gpa (info2) are
 * EXITINFO1 and EXITINFO2. On WALK_OK spa is the address of the byte asked for, page_bytes the size
 * of the smallest page on the way (guest and nested). */
struct walk_result {
    enum walk_status status;
    uint32_t code;
    uint64_t info1;
    uint64_t gpa; /* address after the first stage */
    uint64_t spa;
    uint64_t page_bytes;
    bool global, writable, user, nx, dirty;
    bool apic; /* it is the page of walk_regime.apic_spa */
    uint8_t pkey;
    /* From walk() and walk_explain() only: the PAT index (PAT, PCD, PWT) of the leaf, with nested paging of the guest's
     * leaf and of the nested one. 0 where there are no tables. */
    uint8_t pat, nested_pat;
};

/* Does a PDPTE of legacy PAE have reserved bits set? They are 2:1, 8:5 and those above the physical address width. One that
 * is not present may hold anything. APM vol 2, 5.2.3 "PAE Paging". The one definition for walks, VMRUN and #VMEXIT. */
static inline bool walk_pdpte_reserved(uint64_t pdpte, unsigned maxphyaddr)
{
    return (pdpte & 1) && (pdpte & (0x1e6 | ~(uint64_t)0 << maxphyaddr));
}

/* One table entry that a walk read. */
struct walk_step {
    uint64_t address; /* of the entry: guest physical in the guest's tables under nested paging */
    uint64_t spa;     /* of the entry: system physical */
    uint64_t entry;
    uint8_t level; /* 5: PML5E, 4: PML4E, 3: PDPE, 2: PDE, 1: PTE */
    bool guest;    /* read through the nested tables */
};

/* At most five levels of guest tables, each behind five nested levels, and five for the final address. */
#define WALK_STEPS 35u
struct walk_log {
    unsigned count;
    struct walk_step step[WALK_STEPS];
};

#endif

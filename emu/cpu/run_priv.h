/* Shared by run.c and fetch.c: what the run loop keeps of a vCPU. */
#ifndef EMU_CPU_RUN_PRIV_H
#define EMU_CPU_RUN_PRIV_H

#include "decoder/block.h"
#include "emu/cpu/raise.h"

struct run_state {
    struct block_cache *cache;
    struct lowering lowering;
    struct jump_entry jumps[JUMP_ENTRIES];

    /* The current fetch page: what the instruction TLB last answered, good while `fetch_key` is the context. */
    uint64_t fetch_la, fetch_key;
    uint64_t fetch_spa;
    uint64_t fetch_page; /* backing page, or BLOCK_NO_PAGE for MMIO */

    const struct op *link; /* wants the block at link_rip as its target */
    uint64_t link_rip;
    uint64_t next_drop; /* steps: see run_limits.drop_fast_every */
};

/* The block at RIP, decoded if need be: `exact` of one instruction. *la is its linear address. STEP_NEXT; or
 * STEP_RAISED for the faults of the fetch (canonical form or CS limit, page faults), STEP_STOP for modes that are not
 * emulated. Changes: the fetch page, the instruction TLB, the block cache. */
EMU_MUST_USE enum step fetch_block(struct vcpu *cpu, bool exact, uint64_t *la,
                                   struct block **block);

#endif

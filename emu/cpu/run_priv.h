/* Shared by run.c, turns.c and fetch.c: what the run loop keeps of a vCPU and of its group. */
#ifndef EMU_CPU_RUN_PRIV_H
#define EMU_CPU_RUN_PRIV_H

#include "decoder/block.h"
#include "emu/cpu/raise.h"
#include "emu/cpu/run.h"

#define IDLE_ROUNDS_MAX 1000000u /* deadlines that may pass in HLT before it counts as for ever */

struct vcpu_group {
    struct vcpu *cpu[VCPUS_MAX];
    unsigned count, room; /* vCPUs made, and how many there are to be */
    struct block_cache *cache;
    struct lowering lowering;
    struct vclock *clock;
    struct memory *memory;
    void (*turn)(void *self, unsigned index);
    void *turn_self;
    void (*heard)(void *self, uint64_t page, unsigned offset, unsigned len); /* or NULL */
    void *heard_self;

    unsigned current; /* whose turn it is */
    uint64_t turns;   /* that have ended; decides about nothing */
    uint64_t end_ns;  /* the turns of this round end here; moves forward only between rounds */
    uint64_t now_ns;  /* between two rounds: the time of the vCPU that is behind all others */
    bool between;     /* no vCPU runs: now_ns is the time */
    bool alone;     /* at most one vCPU had work when this round began: PAUSE gives nothing away */
    bool idle;      /* none had */
    unsigned skips; /* rounds in a row in which no vCPU did anything */
    uint64_t other_steps; /* during a turn: steps of all vCPUs but the current one */
    uint64_t next_drop;   /* steps: see run_limits.drop_fast_every */
};

struct run_state {
    struct vcpu_group *group;
    struct block_cache *cache; /* the group's */
    bool woken;                /* an event was seen in HLT and nothing has run since */
    bool built;                /* decoded code was added: the cache may be full */
    bool jumped;               /* something was put into jumps since they were cleared */
    struct jump_entry jumps[JUMP_ENTRIES];

    /* The current fetch page: what the instruction TLB last answered, good while `fetch_key` is the context. */
    uint64_t fetch_la, fetch_key;
    uint64_t fetch_spa;
    uint64_t fetch_page; /* backing page, or BLOCK_NO_PAGE for MMIO */

    struct deadline monitor_deadline; /* ends the wait of MWAITX */

    const struct op *link; /* wants the block at link_rip as its target */
    uint64_t link_rip;
};

/* turns.c: a group with its first vCPU to come, or NULL without memory. */
struct vcpu_group *group_new(const struct vcpu_parts *parts);
void group_free(struct vcpu_group *group);
void group_take_clock(
    struct vcpu_group *group); /* the clock reads the running vCPU's time from now on */

/* run.c: let time pass for a vCPU in the middle of an instruction. */
void vcpu_spend(struct vcpu *cpu, uint64_t ns);

/* All decoded code and what leads to it goes. Not while a chain runs. */
void group_forget_code(struct vcpu_group *group);

/* The vCPU has nothing to do until the end of its turn. Of a round in which nobody has, that goes for all of them. */
void group_pass_time(struct vcpu_group *group);

/* Is the vCPU waiting for something from outside (HLT, MWAIT, wait for SIPI) that has not come? */
bool vcpu_is_idle(const struct vcpu *cpu);

/* run.c: run the current vCPU until its turn is over: PACIFICA_STOP_NONE, or why the machine stops. */
EMU_MUST_USE int run_turn(struct vcpu *cpu, const struct run_limits *limits);

/* The block at RIP, decoded if need be: `exact` of one instruction. *la is its linear address. STEP_NEXT; or
 * STEP_RAISED for the faults of the fetch (canonical form or CS limit, page faults), STEP_STOP for modes that are not
 * emulated. Changes: the fetch page, the instruction TLB, the block cache. */
EMU_MUST_USE enum step fetch_block(struct vcpu *cpu, bool exact, uint64_t *la,
                                   struct block **block);

#endif

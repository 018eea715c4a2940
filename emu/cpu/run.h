/* The run loop: the only place where instructions, events and time meet.
 *
 * The vCPUs of a machine form a group with one clock, one memory and one cache of decoded code. They take turns on one thread of
 * the workstation; each turn of a round ends at the same virtual time, so that the order of everything is a function of the
 * image (docs/architecture.md). */
#ifndef EMU_CPU_RUN_H
#define EMU_CPU_RUN_H

#include "emu/cpu/state.h"

/* What a vCPU is made of. All pointers are borrowed and must outlive it; probes may not be NULL. */
struct vcpu_parts {
    struct memory *memory;
    struct probes *probes;
    struct vclock *clock; /* its now() is set to read the running vCPU's time */
    const struct intc_ops *intc;
    void *intc_self;
    const struct port_ops *ports;
    void *ports_self;
    const struct cpu_model *model;
    struct random_source *random; /* NULL: RDRAND and RDSEED never succeed */
    struct vcpu *bsp; /* the bootstrap processor whose group it joins; NULL: it is one */
    unsigned count;   /* of the bootstrap processor: how many there will be; 0 counts as 1 */
    /* Of the bootstrap processor: vCPU `index` is about to run, devices answer it from now on. May be NULL. */
    void (*turn)(void *self, unsigned index);
    void *turn_self;
};
#define VCPUS_MAX 64u

/* Make a vCPU in its reset state, or NULL without memory or when the group is full (its `count`). Its index is the number of
 * vCPUs that were there before. */
struct vcpu *vcpu_new(const struct vcpu_parts *parts);
/* Free a vCPU; with the bootstrap processor, which is freed last, its group. NULL is allowed. */
void vcpu_free(struct vcpu *cpu);

/* Back to the reset state: registers, SVM, TLBs, decoded code. Time and counters go on. An application processor waits for
 * SIPI then. */
void vcpu_reset(struct vcpu *cpu);

/* The vCPU of cpu's group whose turn it is, or was when the run stopped. */
struct vcpu *vcpu_current(const struct vcpu *cpu);

/* Somebody who looks at boundaries between instructions and may stop the machine there: breaks. Such stops change nothing: a
 * further run goes on as if there had been none. */
struct run_watch {
    /* All that one step has done is there, and nothing of the next one: PACIFICA_STOP_NONE, or why to stop. */
    int (*behind)(void *self, struct vcpu *cpu);
    /* The same directly before an instruction, whose turn it is before every event. `*exact` may be set: it is executed alone.
     * All instructions of a linear page of which that is ever wanted must be, and vcpu_forget_code() is called when
     * such a page is added. */
    int (*ahead)(void *self, struct vcpu *cpu, bool *exact);
    void *self;
};

struct run_limits {
    uint64_t max_steps; /* absolute: stop when group_steps() reaches it; UINT64_MAX: never */
    uint64_t from_turn; /* but not before this turn: waiting takes turns and may take no steps */
    const volatile bool *stop_request; /* looked at often; may be NULL */
    bool exact_blocks;                 /* one-instruction blocks only (state-hash tests) */
    uint64_t
        drop_fast_every; /* steps between drops of the fast tables and decoded code; 0: never */
    const struct run_watch *watch; /* may be NULL */
    /* Stop when vcpu_steps() of this vCPU reaches step_end: PACIFICA_STOP_STEP. May be NULL. */
    const struct vcpu *step_cpu;
    uint64_t step_end;
    bool rare; /* run_vcpu()'s own: any of those that ordinary runs lack */
};

/* Run all vCPUs of cpu's group until something stops the machine. Returns enum pacifica_stop; stop of vcpu_current() holds
 * feature and text when they exist. Can be called again after LIMIT_INSNS and REQUEST. */
int run_vcpu(struct vcpu *cpu, const struct run_limits *limits);

/* Ask the run loop to stop at the next instruction boundary, from a device or a probe client of the same thread:
 * run_vcpu() returns `reason` (enum pacifica_stop). The first reason asked for wins, but STOP_BREAK gives way to every other. */
void vcpu_stop(struct vcpu *cpu, int reason);

/* Forget all decoded code, which no program can see. Not while it runs. */
void vcpu_forget_code(struct vcpu *cpu);

/* Let somebody hear of writes to pages with PAGE_WATCHED or PAGE_HAS_CODE, behind each; NULL: nobody. */
void vcpu_hear_writes(struct vcpu *cpu,
                      void (*heard)(void *self, uint64_t page, unsigned offset, unsigned len),
                      void *self);

/* Instructions, string iterations, event deliveries and #VMEXITs so far: of one vCPU, of all. */
uint64_t vcpu_steps(const struct vcpu *cpu);
uint64_t group_steps(const struct vcpu *cpu);
/* Instructions that all vCPUs retired. */
uint64_t group_insns(const struct vcpu *cpu);

/* Turns that have ended so far. It may be set, for a machine that is loaded. */
uint64_t group_turns(const struct vcpu *cpu);
void group_set_turns(struct vcpu *cpu, uint64_t turns);

/* Virtual time of a vCPU in nanoseconds: its instructions, plus what it spent waiting. Guests are shown clock_now_ns(). */
uint64_t vcpu_now_ns(const struct vcpu *cpu);

/* vCPU n of cpu's group; NULL behind the last. One that was made by hand is alone. */
struct vcpu *group_vcpu(struct vcpu *cpu, unsigned n);

/* The vCPU of cpu's group whose turn it is; NULL between turns. */
const struct vcpu *group_current(const struct vcpu *cpu);

#endif

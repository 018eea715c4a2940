/* The run loop: the only place where instructions, events and time meet. */
#ifndef EMU_CPU_RUN_H
#define EMU_CPU_RUN_H

#include "emu/cpu/state.h"

/* What a vCPU is made of. All pointers are borrowed and must outlive it; probes may not be NULL. */
struct vcpu_parts {
    struct memory *memory;
    struct probes *probes;
    struct vclock *clock; /* its now() is set to read this vCPU's time */
    const struct intc_ops *intc;
    void *intc_self;
    const struct port_ops *ports;
    void *ports_self;
    const struct cpu_model *model;
    struct random_source *random; /* NULL: RDRAND and RDSEED never succeed */
    unsigned index, count;        /* count 0 counts as 1 */
};

/* Make a vCPU in its reset state, or NULL without memory; free it (NULL is allowed). */
struct vcpu *vcpu_new(const struct vcpu_parts *parts);
void vcpu_free(struct vcpu *cpu);

/* Back to the reset state: registers, SVM, TLBs, decoded code. Time and counters go on. */
void vcpu_reset(struct vcpu *cpu);

struct run_limits {
    uint64_t max_steps; /* absolute: stop when vcpu_steps() reaches it; UINT64_MAX: never */
    const volatile bool *stop_request; /* looked at often; may be NULL */
    bool exact_blocks;                 /* one-instruction blocks only (state-hash tests) */
    uint64_t
        drop_fast_every; /* steps between drops of the fast tables and decoded code; 0: never */
};

/* Run until something stops the machine. Returns enum pacifica_stop; cpu->stop holds feature and
 * text when they exist. Can be called again after LIMIT_INSNS and REQUEST. */
int run_vcpu(struct vcpu *cpu, const struct run_limits *limits);

/* Ask the run loop to stop at the next instruction boundary, from a device or a probe client of the same thread:
 * run_vcpu() returns `reason` (enum pacifica_stop). The first reason asked for wins. */
void vcpu_stop(struct vcpu *cpu, int reason);

/* Instructions, string iterations, event deliveries and #VMEXITs so far. */
uint64_t vcpu_steps(const struct vcpu *cpu);

/* Virtual time in nanoseconds: instructions times the rate, plus what HLT skipped. */
uint64_t vcpu_now_ns(const struct vcpu *cpu);

#endif

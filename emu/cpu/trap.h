/* What follows an instruction: interrupt shadows, RFLAGS.RF, and the causes of a #DB trap, which wait in cpu->traps for
 * event_boundary(). APM vol 2, 13.1 "Software-Debug Resources". */
#ifndef EMU_CPU_TRAP_H
#define EMU_CPU_TRAP_H

#include "emu/cpu/raise.h"

/* RFLAGS.TF and RF when an instruction starts. */
struct trap_start {
    bool tf, rf;
};

static inline struct trap_start trap_start(const struct vcpu *cpu)
{
    return (struct trap_start){ .tf = (cpu->rflags & FLAG_TF) != 0,
                                .rf = (cpu->rflags & FLAG_RF) != 0 };
}

void trap_reset(struct vcpu *cpu);

/* An instruction retired. */
void trap_retired(struct vcpu *cpu, struct trap_start start);

/* A string instruction stopped between two iterations: it has not retired. */
void trap_iteration(struct vcpu *cpu, struct trap_start start);

/* An exception was recorded by an instruction, or by its fetch: what it had caused is forgotten; event_raised(). */
EMU_MUST_USE enum step trap_raised(struct vcpu *cpu);

/* #VMEXIT loaded the host: what the guest had caused is forgotten, and the host's own trap flag acts. */
void trap_vmexit(struct vcpu *cpu);

#endif

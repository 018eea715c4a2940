/* What comes round an instruction: instruction breakpoints before it; behind it interrupt shadows, RFLAGS.RF, the last
 * branch, and the causes of a #DB trap, which wait in cpu->traps for event_boundary(). APM vol 2, 13.1 "Software-Debug
 * Resources". */
#ifndef EMU_CPU_TRAP_H
#define EMU_CPU_TRAP_H

#include "decoder/insn.h"
#include "emu/cpu/debug.h"

/* An instruction as it starts. */
struct trap_start {
    bool tf, rf;
    uint64_t rip;
    const struct insn *insn; /* as soon as it is known */
};

static inline struct trap_start trap_start(const struct vcpu *cpu)
{
    return (struct trap_start){ .tf = (cpu->rflags & FLAG_TF) != 0,
                                .rf = (cpu->rflags & FLAG_RF) != 0,
                                .rip = cpu->r[REG_RIP] };
}

/* Must instructions be looked at one by one? */
static inline bool trap_wants_exact(const struct vcpu *cpu)
{
    return cpu->regs.shadow || (cpu->rflags & (FLAG_TF | FLAG_RF)) || debug_armed(cpu) ||
           (cpu->msr.debugctl & DEBUGCTL_LBR) || cpu->perf.branches;
}

void trap_reset(struct vcpu *cpu);

/* Before the fetch of an instruction, so that a #DB comes before all its faults. STEP_NEXT or STEP_RAISED. */
EMU_MUST_USE enum step trap_before(struct vcpu *cpu, struct trap_start start);

/* An instruction retired. */
void trap_retired(struct vcpu *cpu, struct trap_start start);

/* A string instruction stopped between two iterations: it has not retired. */
void trap_iteration(struct vcpu *cpu, struct trap_start start);

/* An exception was recorded by an instruction, or by its fetch: what it had caused is forgotten; event_raised(). */
EMU_MUST_USE enum step trap_raised(struct vcpu *cpu);

/* #VMEXIT loaded the host: what the guest had caused is forgotten, and the host's own trap flag acts. */
void trap_vmexit(struct vcpu *cpu);

/* A task switch, by an instruction or by the delivery of an event, has passed the point from where faults are the new
 * task's: clears the local enables of DR7, and lets RF be what the TSS held. If the T bit of the new TSS is set, the caller
 * adds DR6_BT to cpu->traps when all is done. */
void trap_task_switch(struct vcpu *cpu);

/* Round the delivery of an event. */
struct trap_delivery {
    uint32_t held; /* causes that MOV SS held before a software interrupt */
    bool branches; /* each control transfer is single-stepped */
    uint64_t from;
};
struct trap_delivery trap_deliver(const struct vcpu *cpu, const struct event *event);
void trap_delivered(struct vcpu *cpu, const struct trap_delivery *before,
                    const struct event *event);

#endif

/* Hardware task switches, outside long mode. APM vol 2, 12.3 "Hardware Task-Management in Legacy Mode". */
#ifndef EMU_CPU_TASK_H
#define EMU_CPU_TASK_H

#include "emu/cpu/raise.h"

enum task_cause { TASK_JMP, TASK_CALL, TASK_IRET, TASK_EVENT };

struct task_switch {
    enum task_cause cause;
    uint16_t selector;   /* of the new TSS; privileges and gates were checked by the caller */
    uint32_t return_eip; /* EIP to store in the old TSS */
    bool rf;             /* and RF */
    bool has_code;       /* an event pushes its error code on the new task's stack */
    uint32_t code;
};

/* Switch. STEP_NEXT: the registers are the new task's, RIP included; its T bit has put a #DB trap into cpu->traps.
 * STEP_RAISED: a fault, of the old task with nothing changed, or of the new one behind the commit point: RIP tells.
 * STEP_VMEXIT: intercepted. */
EMU_MUST_USE enum step task_switch(struct vcpu *cpu, const struct task_switch *how);

/* IRET with RFLAGS.NT = 1: back to the task that the link of the current TSS names. */
EMU_MUST_USE enum step task_return(struct vcpu *cpu, uint32_t return_eip);

#endif

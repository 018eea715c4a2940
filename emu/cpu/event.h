/* Which event comes next at an instruction boundary, and delivery through the IDT. */
#ifndef EMU_CPU_EVENT_H
#define EMU_CPU_EVENT_H

#include "emu/cpu/raise.h"

/* Deal with cpu->raised after STEP_RAISED; cpu->r[REG_RIP] is the boundary (the instruction's own address).
 * A nested page fault or an intercepted exception makes #VMEXIT; otherwise the event is combined with
 * cpu->delivering (double fault, shutdown) and delivered through the IDT.
 * Returns STEP_JUMP (delivered), STEP_VMEXIT or STEP_STOP (shutdown of the host, not emulated).
 * Counts a step in cpu->extra_steps for each delivery. APM vol 2, 8.2, 8.9, 15.12. */
EMU_MUST_USE enum step event_raised(struct vcpu *cpu);

/* At an instruction boundary: take the highest-priority event that is pending and not masked, in the order of
 * APM vol 2, 8.5 and 15.21: EVENTINJ of a VMRUN just done, machine check, INIT, SIPI, SMI, the traps of the last instruction,
 * NMI, INTR, virtual INTR; GIF, IF, shadow, TPR and V_INTR_MASKING decide. STEP_NEXT: none; the rest as event_raised(). */
EMU_MUST_USE enum step event_boundary(struct vcpu *cpu);

/* Would event_boundary() take something now? The end of HLT. No effects. */
bool event_pending(const struct vcpu *cpu);

#endif

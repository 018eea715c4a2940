/* Delivery of one event through the IDT: the steps of APM vol 2, 8.7 "Legacy Protected-Mode Interrupt Control
 * Transfers" and 8.9 "Long-Mode Interrupt Control Transfers". */
#ifndef EMU_CPU_DELIVERY_H
#define EMU_CPU_DELIVERY_H

#include "emu/cpu/raise.h"

/* Deliver. return_rip is the RIP to push, rf the RF of the pushed image. STEP_NEXT: RIP, RSP, RFLAGS, CS, SS and CPL are
 * the handler's; STEP_RAISED: cpu->raised says why not, and nothing but memory below the stack pointer has changed;
 * STEP_STOP: not emulated. Error codes carry EXT as the event demands. */
EMU_MUST_USE enum step delivery_through_idt(struct vcpu *cpu, const struct event *event,
                                            uint64_t return_rip, bool rf);

/* Is the event a software interrupt: gate DPL counts, and faults on the way have EXT = 0? (INT n, INT3, INTO) */
static inline bool event_is_software(const struct event *event)
{
    return event->type == EVENT_SOFT ||
           (event->type == EVENT_EXCEPTION && (event->vector == EXC_BP || event->vector == EXC_OF));
}

#endif

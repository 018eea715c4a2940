/* Delivery of one event through the IDT: the steps of APM vol 2, 8.6 "Real-Mode Interrupt Control Transfers", 8.7 "Legacy
 * Protected-Mode Interrupt Control Transfers", 8.8 "Virtual-8086 Mode Interrupt Control Transfers" and 8.9 "Long-Mode
 * Interrupt Control Transfers". */
#ifndef EMU_CPU_DELIVERY_H
#define EMU_CPU_DELIVERY_H

#include "emu/cpu/raise.h"

/* Deliver. return_rip is the RIP to push, rf the RF of the pushed image. STEP_NEXT: RIP, RSP, RFLAGS, CS, SS and CPL are
 * the handler's; STEP_RAISED: cpu->raised says why not, and nothing but memory below the stack pointer has changed, unless a
 * task gate had already switched to the new task (then RIP is that task's); STEP_VMEXIT: an intercepted task switch;
 * STEP_STOP. Error codes carry EXT as the event demands. */
EMU_MUST_USE enum step delivery_through_idt(struct vcpu *cpu, const struct event *event,
                                            uint64_t return_rip, bool rf);

/* Is the event a software interrupt: gate DPL counts, and faults on the way have EXT = 0? (INT n, INT3, INTO) */
static inline bool event_is_software(const struct event *event)
{
    return event->type == EVENT_SOFT ||
           (event->type == EVENT_EXCEPTION && (event->vector == EXC_BP || event->vector == EXC_OF));
}

/* Where INT n goes in virtual-8086 mode. APM vol 2, table 8-11 "Virtual-8086 Mode Interrupt Mechanisms". */
enum v86_route {
    V86_TO_IDT,
    V86_TO_IVT,   /* the 8086 program's own handler, through the table at linear address 0 */
    V86_FORBIDDEN /* #GP(0) */
};

/* Ask IOPL, CR4.VME and the TSS's redirection bitmap. STEP_NEXT, or STEP_RAISED when the bitmap cannot be read. */
EMU_MUST_USE enum step delivery_v86_route(struct vcpu *cpu, uint8_t vector, enum v86_route *route);

#endif

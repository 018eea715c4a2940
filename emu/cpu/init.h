/* INIT and Startup IPIs. APM vol 2, 14.1 "Processor Initialization", 15.21.8 "INIT Support", 16.5 "Interprocessor
 * Interrupts (IPI)". */
#ifndef EMU_CPU_INIT_H
#define EMU_CPU_INIT_H

#include "emu/cpu/raise.h"

/* What INIT and SKINIT share: registers as INIT leaves them, no guest mode, GIF 1. The caller completes it with
 * cpu_update_mode() and cpu_attention(). */
void init_processor(struct vcpu *cpu);

/* Take a pending INIT that is neither masked, intercepted nor redirected. The bootstrap processor goes on at the reset
 * vector; the others set regs.wait_sipi and wait. Guest mode ends without a #VMEXIT. Returns STEP_JUMP. */
EMU_MUST_USE enum step init_take(struct vcpu *cpu);

/* Take a pending Startup IPI: STEP_JUMP, or STEP_NEXT where nobody waits for one (it is dropped). */
EMU_MUST_USE enum step sipi_take(struct vcpu *cpu);

#endif

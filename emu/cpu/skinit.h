/* SKINIT: the processor begins anew in a secure loader. APM vol 2, 15.27 "Secure Startup with SKINIT". */
#ifndef EMU_CPU_SKINIT_H
#define EMU_CPU_SKINIT_H

#include "emu/cpu/raise.h"

/* SKINIT behind its checks and its intercept: EAX names the secure loader block. What was measured is in
 * cpu->svm->launch (svm/launch.h). Returns STEP_JUMP. */
EMU_MUST_USE enum step skinit_take(struct vcpu *cpu);

/* What a Startup IPI does besides if the boot processor has executed SKINIT: GIF is cleared; DPD, R_INIT and DIS_A20M of
 * VM_CR are set. 15.27.8 "Secure Multiprocessor Initialization". */
void skinit_startup(struct vcpu *cpu);

#endif

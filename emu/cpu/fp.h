/* What keeps floating-point and vector instructions from use. */
#ifndef EMU_CPU_FP_H
#define EMU_CPU_FP_H

#include "decoder/insn.h"

/* An instruction whose `need` is not in cpu->ready: bring that up to date and execute it, or raise what it meets: #UD, #NM or #MF, in
 * that order. */
EMU_MUST_USE enum step fp_unready(struct vcpu *cpu, const struct insn *in);

/* An x87 exception is pending and an instruction waits for it. #MF with CR0.NE = 1. Else the legacy way of PCs: STEP_NEXT when
 * IGNNE# lets the instruction run; or FERR# rises, which raises IRQ 13, and the processor freezes until an
 * interrupt comes (STEP_FREEZE), or exits. APM vol 2, 8.2.16 "#MF", 15.12 "Exception Intercepts". */
EMU_MUST_USE enum step fp_pending(struct vcpu *cpu);

/* Has IGNNE# released the instruction that froze? */
bool fp_thawed(const struct vcpu *cpu);

#endif

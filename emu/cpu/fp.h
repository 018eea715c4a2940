/* What keeps floating-point and vector instructions from use. */
#ifndef EMU_CPU_FP_H
#define EMU_CPU_FP_H

#include "decoder/insn.h"

/* Raise what an instruction meets whose `need` is not ready: #UD, #NM or #MF, in that order. */
EMU_MUST_USE enum step fp_unready(struct vcpu *cpu, const struct insn *in);

#endif

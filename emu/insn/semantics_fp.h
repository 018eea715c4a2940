/* What floating-point instructions of vector registers compute with: MXCSR as an environment, and the exceptions.
 * Shared by plain bodies and hot handlers. APM vol 1, 4.10 "SIMD Floating-Point Exceptions". */
#ifndef EMU_INSN_SEMANTICS_FP_H
#define EMU_INSN_SEMANTICS_FP_H

#include "emu/compiler.h"
#include "emu/cpu/raise.h"
#include "emu/fpu/fpu.h"

#define MXCSR_MASKS_SHIFT 7
#define MXCSR_RC_SHIFT 13

/* Exceptions that are known before an operation is done; the others come with its result. */
#define FP_BEFORE (FP_IE | FP_DE | FP_ZE)

/* The environment that MXCSR describes, with no exception yet. */
EMU_INLINE struct fp_env fp_env_simd(const struct vcpu *cpu)
{
    uint32_t mxcsr = cpu->simd.mxcsr;
    return (struct fp_env){ .rounding = (uint8_t)(mxcsr >> MXCSR_RC_SHIFT & 3),
                            .masks = (uint8_t)(mxcsr >> MXCSR_MASKS_SHIFT & FP_EXCEPTIONS),
                            .daz = (mxcsr & MXCSR_DAZ) != 0,
                            .ftz = (mxcsr & MXCSR_FTZ) != 0 };
}

/* Set MXCSR's flags and raise #XF, or #UD if CR4.OSXMMEXCPT is 0, for an exception that is not masked. */
EMU_MUST_USE enum step fp_raise_simd(struct vcpu *cpu, uint8_t flags);

/* The exceptions of all elements together: those that are masked set their flags; one that is not stops the instruction,
 * whose destination must not have changed. */
EMU_MUST_USE EMU_INLINE enum step fp_report(struct vcpu *cpu, const struct fp_env *env)
{
    if (EMU_UNLIKELY(env->flags & ~env->masks))
        return fp_raise_simd(cpu, env->flags);
    cpu->simd.mxcsr |= env->flags;
    return STEP_NEXT;
}

#endif

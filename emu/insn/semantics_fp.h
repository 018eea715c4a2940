/* What floating-point instructions of vector registers compute with: MXCSR as an environment, and the exceptions.
 * Shared by plain bodies and hot handlers. APM vol 1, 4.10 "SIMD Floating-Point Exceptions". */
#ifndef EMU_INSN_SEMANTICS_FP_H
#define EMU_INSN_SEMANTICS_FP_H

#include "emu/compiler.h"
#include "emu/cpu/raise.h"
#include "emu/fpu/fpu.h"

#define MXCSR_MASKS_SHIFT 7
#define MXCSR_PM (FP_PE << MXCSR_MASKS_SHIFT)
#define MXCSR_RC_SHIFT 13
#define MXCSR_RC (3u << MXCSR_RC_SHIFT)

/* Exceptions that are known before an operation is done; the others come with its result. */
#define FP_BEFORE (FP_IE | FP_DE | FP_ZE)

/* The environment that MXCSR describes, with no exception yet. By members: a whole struct is built slowly. */
EMU_INLINE void fp_env_simd(const struct vcpu *cpu, struct fp_env *env)
{
    uint32_t mxcsr = cpu->simd.mxcsr;
    env->rounding = (uint8_t)(mxcsr >> MXCSR_RC_SHIFT & 3);
    env->masks = (uint8_t)(mxcsr >> MXCSR_MASKS_SHIFT & FP_EXCEPTIONS);
    env->flags = 0;
    env->precision = 0;
    env->daz = (mxcsr & MXCSR_DAZ) != 0;
    env->ftz = (mxcsr & MXCSR_FTZ) != 0;
    env->x87 = false;
    env->rounded_up = false;
}

/* The fast paths of emu/fpu/fast.h round to nearest, and meet no exception but PE: nothing that could stop them.
 * `flags` starts as fp_fast_flags(), which saves them the search for a PE that is there already. */
EMU_INLINE bool fp_fast_allowed(const struct vcpu *cpu)
{
    return EMU_LIKELY((cpu->simd.mxcsr & (MXCSR_RC | MXCSR_PM)) == MXCSR_PM);
}

EMU_INLINE uint8_t fp_fast_flags(const struct vcpu *cpu)
{
    return cpu->simd.mxcsr & FP_EXCEPTIONS;
}

EMU_INLINE void fp_fast_commit(struct vcpu *cpu, uint8_t flags)
{
    cpu->simd.mxcsr |= flags;
}

/* Set MXCSR's flags and raise #XF, or #UD if CR4.OSXMMEXCPT is 0, for an exception that is not masked. */
EMU_MUST_USE enum step fp_raise_simd(struct vcpu *cpu, uint8_t flags);

/* The exceptions of all elements together: those that are masked set their flags; one that is not stops the
 * instruction, whose destination must not have changed. */
EMU_MUST_USE EMU_INLINE enum step fp_report(struct vcpu *cpu, const struct fp_env *env)
{
    if (EMU_UNLIKELY(env->flags & ~env->masks))
        return fp_raise_simd(cpu, env->flags);
    cpu->simd.mxcsr |= env->flags;
    return STEP_NEXT;
}

#endif

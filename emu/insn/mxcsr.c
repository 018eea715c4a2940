/* MXCSR: loading and storing it, and the exceptions that it does not mask. APM vol 1, 4.2.2 "MXCSR Register". */
#include "emu/cpu/xstate.h"
#include "emu/insn/semantics_fp.h"
#include "emu/insn/vector.h"

/* LDMXCSR, VLDMXCSR. APM vol 4, "LDMXCSR": reserved bits are #GP(0). Bit 17 (MM) exists with misaligned SSE mode. */
enum step insn_ldmxcsr(struct vcpu *cpu, const struct insn *in)
{
    uint32_t value;
    enum step step = vector_load(cpu, in, sizeof(value), &value);
    if (step != STEP_NEXT)
        return step;
    if (value & ~xstate_mxcsr_mask(cpu))
        return cpu_raise_code(cpu, EXC_GP, 0);
    cpu->simd.mxcsr = value;
    return STEP_NEXT;
}

/* STMXCSR, VSTMXCSR. */
enum step insn_stmxcsr(struct vcpu *cpu, const struct insn *in)
{
    return vector_store(cpu, in, sizeof(cpu->simd.mxcsr), &cpu->simd.mxcsr);
}

/* With an unmasked exception of those found before the operation, no element reports what comes after it (measured on
 * Zen 4: the flags of IE, DE and ZE alone are set, masked ones too). APM vol 1, 4.10.3 "SIMD Floating-Point Exception
 * Priority". */
EMU_COLD enum step fp_raise_simd(struct vcpu *cpu, uint8_t flags)
{
    unsigned masks = cpu->simd.mxcsr >> MXCSR_MASKS_SHIFT;
    if (flags & ~masks & FP_BEFORE)
        flags &= FP_BEFORE;
    cpu->simd.mxcsr |= flags;
    return cpu_raise(cpu, cpu->regs.cr4 & CR4_OSXMMEXCPT ? EXC_XF : EXC_UD);
}

/* What keeps floating-point and vector instructions from use. APM vol 2, 8.2.7 "#UD", 8.2.8 "#NM", 8.2.16 "#MF". */
#include "emu/cpu/fp.h"

#include "emu/cpu/raise.h"

static bool avx_enabled(const struct vcpu *cpu)
{
    const uint64_t avx = XCR0_SSE | XCR0_AVX;
    return cpu_protected(cpu) && (cpu->regs.cr4 & CR4_OSXSAVE) && (cpu->simd.xcr0 & avx) == avx;
}

/* MMX and SSE: CR0.EM makes them undefined; x87: not available. AVX does not look at EM and OSFXSR. */
static bool undefined(const struct vcpu *cpu, uint8_t need)
{
    const struct cpu_regs *regs = &cpu->regs;
    if ((need & (READY_MMX | READY_SSE)) && (regs->cr0 & CR0_EM))
        return true;
    if ((need & READY_SSE) && !(regs->cr4 & CR4_OSFXSR))
        return true;
    return (need & READY_AVX) && !avx_enabled(cpu);
}

enum step fp_unready(struct vcpu *cpu, const struct insn *in)
{
    if (undefined(cpu, in->need))
        return cpu_raise(cpu, EXC_UD);
    bool em_counts = in->need & (READY_X87 | READY_CONTROL);
    if ((cpu->regs.cr0 & CR0_TS) || (em_counts && (cpu->regs.cr0 & CR0_EM)))
        return cpu_raise(cpu, EXC_NM);
    return cpu_raise(cpu, EXC_MF);
}

/* What keeps floating-point and vector instructions from use, and who counts locks. APM vol 2, 8.2.7 "#UD", 8.2.8 "#NM", 8.2.16
 * "#MF". */
#include "emu/cpu/fp.h"

#include "emu/cpu/msr.h"
#include "emu/cpu/raise.h"
#include "emu/insn/lock.h"
#include "svm/svm.h"

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
    cpu_update_fp(cpu);
    if (!svm_intercepts(cpu, INTERCEPT_BUSLOCK))
        cpu->ready |= READY_LOCK;
    if (!(in->need & ~cpu->ready))
        return in->body(cpu, in);
    if (in->need & READY_LOCK)
        return insn_locked(cpu, in);
    if (undefined(cpu, in->need))
        return cpu_raise(cpu, EXC_UD);
    bool em_counts = in->need & (READY_X87 | READY_CONTROL);
    if ((cpu->regs.cr0 & CR0_TS) || (em_counts && (cpu->regs.cr0 & CR0_EM)))
        return cpu_raise(cpu, EXC_NM);
    enum step step = fp_pending(cpu);
    return step == STEP_NEXT ? in->body(cpu, in) : step;
}

/* --- pending x87 exceptions -------------------------------------------------------------------- */

/* IGNNE# as the processor sees it: the pin, or the MSR where HWCR says so. */
static bool ignne(const struct vcpu *cpu)
{
    return cpu->msr.hwcr & HWCR_IGNNE_EM ? cpu->msr.ignne & 1 : cpu->pins.ignne;
}

/* CHOICE: FERR# rises when a waiting instruction meets the exception, not when the exception becomes pending; so no
 * interrupt comes in code that clears the exception first. */
enum step fp_pending(struct vcpu *cpu)
{
    struct cpu_ferr *ferr = &cpu->ferr;
    if (cpu->regs.cr0 & CR0_NE)
        return cpu_raise(cpu, EXC_MF);
    if (ignne(cpu))
        return STEP_NEXT;
    if (!ferr->asserted && ferr->changed)
        ferr->changed(ferr->self, cpu->index);
    ferr->asserted = true;
    if (svm_intercepts(cpu, INTERCEPT_FERR_FREEZE))
        return svm_vmexit(cpu, VMEXIT_FERR_FREEZE, 0, 0);
    cpu->regs.shadow = false; /* of an STI before it: who waits for an interrupt takes it */
    ferr->frozen = true;
    cpu->regs.halted = true;
    return STEP_FREEZE;
}

bool fp_thawed(const struct vcpu *cpu)
{
    return cpu->ferr.frozen && ignne(cpu);
}

/* kit.c: see kit.h. */
#include "test-roms/fp/kit.h"

#include "test-roms/lib/rom.h"

const struct fp_mode fp_modes[FP_MODES] = {
    { MODE_REAL, 0, false, false, "real" },
    { MODE_V86, 0, false, true, "v86" },
    { MODE_PROT16, 0, true, false, "16-bit protected" },
    { MODE_PROT16_USER, 0, true, true, "16-bit protected, CPL 3" },
    { MODE_PROT32, 1, true, false, "32-bit protected" },
    { MODE_PROT32_USER, 1, true, true, "32-bit protected, CPL 3" },
    { MODE_COMPAT16, 0, true, false, "16-bit compatibility" },
    { MODE_COMPAT32, 1, true, false, "32-bit compatibility" },
    { MODE_COMPAT32_USER, 1, true, true, "32-bit compatibility, CPL 3" },
    { MODE_LONG, 2, true, false, "64-bit" },
    { MODE_LONG_USER, 2, true, true, "64-bit, CPL 3" },
};

bool fp_present(void)
{
    struct cpuid_result one = cpuid_checked(1, 0);
    const uint32_t edx = 1u | 1u << 23 | 1u << 24 | 1u << 25 | 1u << 26; /* FPU MMX FXSR SSE SSE2 */
    const uint32_t ecx = 1u << 26 | 1u << 28;                            /* XSAVE AVX */

    return (one.edx & edx) == edx && (one.ecx & ecx) == ecx;
}

void fp_set_xcr0(uint32_t value)
{
    __asm__ volatile("xsetbv" : : "a"(value), "d"(0), "c"(0));
}

void fp_start(void)
{
    write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE);
    fp_set_xcr0(XCR0_X87 | XCR0_SSE | XCR0_AVX);
    fp_set_pending(false);
    fp_set_mxcsr(0x1f80);
}

void fp_set_pending(bool pending)
{
    static const uint16_t unmasked = 0x37b; /* all but ZE masked */

    __asm__ volatile("fninit");
    if (pending)
        __asm__ volatile("fldcw %0\n\tfld1\n\tfldz\n\tfdivrp" : : "m"(unmasked));
}

void fp_set_mxcsr(uint32_t value)
{
    __asm__ volatile("ldmxcsr %0" : : "m"(value));
}

uint32_t fp_mxcsr(void)
{
    uint32_t value;

    __asm__ volatile("stmxcsr %0" : "=m"(value));
    return value;
}

void fp_set_xmm0(uint64_t low, uint64_t high)
{
    const uint64_t value[2] = { low, high };

    __asm__ volatile("movups %0, %%xmm0" : : "m"(value));
}

uint64_t fp_xmm0_low(void)
{
    uint64_t value;

    __asm__ volatile("movlps %%xmm0, %0" : "=m"(value));
    return value;
}

struct mode_event fp_run(struct modes_state *m, const struct fp_code *code, unsigned width)
{
    modes_gdt[MSEL_TSS / 8] &= ~(UINT64_C(2) << 40); /* not busy, for LTR */
    /* IRET to a 16-bit stack keeps the rest of our RSP, and gates of long mode push there: well below what we use. */
    if (m->kind == KIND_LONG && m->ss == MSEL_DATA16)
        m->regs[M_SP] = ((uintptr_t)__builtin_frame_address(0) - 0x4000) & 0xfff0;
    m->rip = (uintptr_t)code->begin[width];
    return modes_run();
}

unsigned fp_outcome(const struct mode_event *e, const struct fp_code *code, unsigned width)
{
    if (modes_done(e, code->end[width]))
        return EXC_NONE;
    return e->vector | (e->ip == (uintptr_t)code->begin[width] ? 0 : 0x1000);
}

/* FXSAVE, FXRSTOR. APM vol 5, "FXSAVE", "FXRSTOR"; vol 2, 11.4.4 "Saving Media and x87 Execution Unit State". */
#include "emu/insn/xsave_image.h"

/* An operand that is not aligned to 16 bytes: the segment's limit comes first (not its rights), then #AC where accesses are
 * checked and it is not even aligned to 4; else it is #GP. Measured on Zen 4. */
static enum step misaligned(struct vcpu *cpu, const struct image *image)
{
    uint64_t la;
    enum step step = mem_linear(cpu, image->seg, image->off, 16, ACCESS_READ, &la);
    if (step != STEP_NEXT)
        return step;
    bool ac = (la & 3) && mem_alignment_checked(cpu);
    return cpu_raise_code(cpu, ac ? EXC_AC : EXC_GP, 0);
}

/* #NM, then the operand. CR0.EM counts as for x87: not as for SSE. A pending x87 exception is not looked at. */
static enum step begin(struct vcpu *cpu, const struct insn *in, struct image *image)
{
    if (cpu->regs.cr0 & (CR0_EM | CR0_TS))
        return cpu_raise(cpu, EXC_NM);
    enum step step = image_open(cpu, in, 1, image);
    return step == STEP_NEXT && (image->la & 15) ? misaligned(cpu, image) : step;
}

/* EFER.FFXSR: level 0 in 64-bit mode leaves XMM registers out. APM vol 2, 3.1.7 "Extended Feature Enable Register (EFER)". */
static bool moves_xmm(const struct vcpu *cpu)
{
    bool fast = (cpu->regs.efer & EFER_FFXSR) && cpu_long64(cpu) && cpu->regs.cpl == 0;
    return (cpu->regs.cr4 & CR4_OSFXSR) && !fast;
}

/* CHOICE: without CR4.OSFXSR neither MXCSR nor MXCSR_MASK is stored; the manual says so of the first alone (11.4.4). */
enum step insn_fxsave(struct vcpu *cpu, const struct insn *in)
{
    struct image image;
    enum step step = begin(cpu, in, &image);
    if (step != STEP_NEXT)
        return step;
    image_put_x87(cpu, &image);
    if (cpu->regs.cr4 & CR4_OSFXSR)
        image_put_mxcsr(cpu, &image);
    if (moves_xmm(cpu))
        image_put_xmm(cpu, &image);
    step = image_probe(cpu, &image);
    return step == STEP_NEXT ? image_store(cpu, &image) : step;
}

/* The modified optimization of XSAVEOPT ends, as seen on Zen 4. */
enum step insn_fxrstor(struct vcpu *cpu, const struct insn *in)
{
    struct image image;
    struct cpu_x87 x87;
    bool sse = cpu->regs.cr4 & CR4_OSFXSR, xmm = moves_xmm(cpu);
    enum step step = begin(cpu, in, &image);
    if (step != STEP_NEXT)
        return step;
    image_add_x87(&image);
    if (sse)
        image_add(&image, 24, 4);
    if (xmm)
        image_add_xmm(&image);
    step = image_load(cpu, &image);
    if (step != STEP_NEXT)
        return step;
    if (sse && (image_get_mxcsr(&image) & ~xstate_mxcsr_mask(cpu)))
        return cpu_raise_code(cpu, EXC_GP, 0);
    image_get_x87(cpu, &image, &x87);
    cpu->x87 = x87;
    if (sse)
        cpu->simd.mxcsr = image_get_mxcsr(&image);
    if (xmm)
        image_get_xmm(cpu, &image);
    cpu->simd.restored.valid = false;
    cpu_update_fp(cpu);
    return STEP_NEXT;
}

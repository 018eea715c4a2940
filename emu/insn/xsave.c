/* XSAVE and its kin, XGETBV, XSETBV. APM vol 4 describes each; vol 2, 11.5 "XSAVE/XRSTOR Instructions".
 *
 * Three ways to save less than what is asked for: the init optimization leaves out components in their initial state, the
 * modified optimization those that are still as the last XRSTOR of the same area left them. What the manual leaves open is as
 * measured on Zen 4. */
#include "emu/cpu/xstate.h"
#include "emu/insn/system_priv.h"
#include "emu/insn/xsave_image.h"

#include <Zydis/Mnemonic.h>
#include <string.h>

#define AT_XSTATE_BV XSTATE_HEADER
#define AT_XCOMP_BV (XSTATE_HEADER + 8)
#define MXCSR_USERS (XCR0_SSE | XCR0_AVX)

/* #UD, #NM, privilege. CHOICE: XSAVES and XRSTORS look at the level last. */
static enum step check(struct vcpu *cpu, bool privileged)
{
    if (!(cpu->regs.cr4 & CR4_OSXSAVE))
        return cpu_raise(cpu, EXC_UD);
    if (cpu->regs.cr0 & CR0_TS)
        return cpu_raise(cpu, EXC_NM);
    if (privileged && cpu->regs.cpl != 0)
        return cpu_raise_code(cpu, EXC_GP, 0);
    return STEP_NEXT;
}

/* The components that EDX:EAX asks for, as far as they are enabled (RFBM). */
static uint64_t requested(const struct vcpu *cpu, bool supervisor)
{
    uint64_t mask = (uint32_t)cpu->r[REG_RAX] | cpu->r[REG_RDX] << 32;
    return mask & (cpu->simd.xcr0 | (supervisor ? cpu->msr.xss : 0));
}

static bool has(uint64_t mask, enum xstate n)
{
    return mask >> xstates[n].bit & 1;
}

static uint64_t word(const struct image *image, unsigned at)
{
    uint64_t value;
    memcpy(&value, image->bytes + at, 8);
    return value;
}

static void put_word(struct image *image, unsigned at, uint64_t value)
{
    memcpy(image->bytes + at, &value, 8);
}

/* --- the modified optimization --- */

static bool same_x87(const struct cpu_x87 *a, const struct cpu_x87 *b)
{
    bool same = a->fcw == b->fcw && a->fsw == b->fsw && a->used == b->used && a->fop == b->fop &&
                a->fcs == b->fcs && a->fds == b->fds && a->fip == b->fip && a->fdp == b->fdp;
    for (unsigned i = 0; i < 8; i++)
        same = same && a->reg[i].mant == b->reg[i].mant && a->reg[i].se == b->reg[i].se;
    return same;
}

static bool same_halves(const union vector *a, const union vector *b, unsigned half)
{
    uint64_t differ = 0;
    for (unsigned i = 0; i < 16; i++)
        differ |= (a[i].u64[2 * half] ^ b[i].u64[2 * half]) |
                  (a[i].u64[2 * half + 1] ^ b[i].u64[2 * half + 1]);
    return differ == 0;
}

/* Components that the last XRSTOR, or XRSTORS, loaded from this area and that have not been modified since. CHOICE: by value,
 * so that writing the value again is no modification; processors may think otherwise. */
static uint64_t unmodified(const struct vcpu *cpu, const struct image *image, uint64_t layout)
{
    const struct xstate_restored *restored = &cpu->simd.restored;
    uint64_t mask = 0;
    if (!restored->valid || restored->la != image->la || restored->layout != layout ||
        restored->cpl != cpu->regs.cpl || restored->guest != svm_guest(cpu))
        return 0;
    if (same_x87(&cpu->x87, &restored->x87))
        mask |= XCR0_X87;
    if (same_halves(cpu->simd.v, restored->v, 0) && (!layout || cpu->simd.mxcsr == restored->mxcsr))
        mask |= XCR0_SSE;
    if (same_halves(cpu->simd.v, restored->v, 1))
        mask |= XCR0_AVX;
    if (cpu->regs.pkru == restored->pkru)
        mask |= XCR0_PKRU;
    return mask & restored->mask;
}

static void remember(struct vcpu *cpu, const struct image *image, uint64_t layout, uint64_t mask)
{
    struct xstate_restored *restored = &cpu->simd.restored;
    restored->valid = true;
    restored->cpl = cpu->regs.cpl;
    restored->guest = svm_guest(cpu);
    restored->la = image->la;
    restored->layout = layout;
    restored->mask = mask;
    restored->x87 = cpu->x87;
    memcpy(restored->v, cpu->simd.v, sizeof(restored->v));
    restored->mxcsr = cpu->simd.mxcsr;
    restored->pkru = cpu->regs.pkru;
}

/* --- saving --- */

/* XSAVE stores what is asked for, whatever it holds; XSAVEOPT leaves out. Both change the header's bits of what is asked for,
 * and store MXCSR, which has no initial state here, with SSE or AVX. */
static enum step save_standard(struct vcpu *cpu, const struct insn *in, bool optimize)
{
    struct image image;
    enum step step = check(cpu, false);
    if (step == STEP_NEXT)
        step = image_open(cpu, in, 64, &image);
    if (step != STEP_NEXT)
        return step;
    uint64_t rfbm = requested(cpu, false), in_use = xstate_in_use(cpu), old;
    uint64_t save = optimize ? rfbm & in_use & ~unmodified(cpu, &image, 0) : rfbm;
    if (has(save, XSTATE_X87))
        image_put_component(cpu, &image, XSTATE_X87, 0);
    if (rfbm & MXCSR_USERS)
        image_put_mxcsr(cpu, &image);
    for (unsigned n = XSTATE_SSE; n < XSTATE_COUNT; n++)
        if (has(save, (enum xstate)n))
            image_put_component(cpu, &image, (enum xstate)n, xstates[n].offset);
    image_add(&image, AT_XSTATE_BV, 8);
    step = image_probe(cpu, &image);
    if (step == STEP_NEXT)
        step = mem_load(cpu, image.seg, (image.off + AT_XSTATE_BV) & size_mask(in->addr_size), 8,
                        &old);
    if (step != STEP_NEXT)
        return step;
    put_word(&image, AT_XSTATE_BV, (old & ~rfbm) | (in_use & rfbm));
    return image_store(cpu, &image);
}

/* XSAVEC and XSAVES: the compacted form. MXCSR is a part of SSE, and the header is written without being read. */
static enum step save_compacted(struct vcpu *cpu, const struct insn *in, bool supervisor)
{
    struct image image;
    enum step step = check(cpu, supervisor);
    if (step == STEP_NEXT)
        step = image_open(cpu, in, 64, &image);
    if (step != STEP_NEXT)
        return step;
    uint64_t rfbm = requested(cpu, supervisor), layout = rfbm | XSTATE_COMPACTED;
    uint64_t in_use = xstate_in_use(cpu) | (cpu->simd.mxcsr != MXCSR_RESET ? XCR0_SSE : 0);
    uint64_t save = rfbm & in_use;
    if (supervisor)
        save &= ~unmodified(cpu, &image, layout);
    if (has(save, XSTATE_SSE))
        image_put_mxcsr(cpu, &image);
    for (unsigned n = 0; n < XSTATE_COUNT; n++)
        if (has(save, (enum xstate)n))
            image_put_component(cpu, &image, (enum xstate)n,
                                xstate_compacted_offset(layout, (enum xstate)n));
    put_word(&image, AT_XSTATE_BV, rfbm & in_use);
    put_word(&image, AT_XCOMP_BV, layout);
    image_add(&image, AT_XSTATE_BV, 16);
    step = image_probe(cpu, &image);
    return step == STEP_NEXT ? image_store(cpu, &image) : step;
}

enum step insn_xsave(struct vcpu *cpu, const struct insn *in)
{
    return save_standard(cpu, in, false);
}

enum step insn_xsaveopt(struct vcpu *cpu, const struct insn *in)
{
    return save_standard(cpu, in, true);
}

enum step insn_xsavec(struct vcpu *cpu, const struct insn *in)
{
    return save_compacted(cpu, in, false);
}

enum step insn_xsaves(struct vcpu *cpu, const struct insn *in)
{
    return save_compacted(cpu, in, true);
}

/* --- restoring --- */

/* The header, as measured: the standard form ignores its last 40 bytes. */
static bool header_ok(const struct vcpu *cpu, const struct image *image, bool supervisor)
{
    uint64_t bv = word(image, AT_XSTATE_BV), xcomp = word(image, AT_XCOMP_BV);
    uint64_t enabled = cpu->simd.xcr0 | (supervisor ? cpu->msr.xss : 0), reserved = 0;
    bool compaction = cpu_has(cpu, CPU_FEATURE_XSAVEC) || cpu_has(cpu, CPU_FEATURE_XSAVES);
    if (!(xcomp & XSTATE_COMPACTED) || !compaction)
        return !supervisor && !(bv & ~enabled) && !xcomp && !word(image, XSTATE_HEADER + 16);
    for (unsigned at = XSTATE_HEADER + 16; at < XSTATE_EXTENDED; at += 8)
        reserved |= word(image, at);
    xcomp &= ~XSTATE_COMPACTED;
    return !(xcomp & ~enabled) && !(bv & ~xcomp) && !reserved;
}

/* Where MXCSR comes from: the standard form loads it with SSE or AVX, whatever XSTATE_BV says; in the compacted form it is a
 * part of SSE. APM vol 2, 11.5.9 "MXCSR State Management". */
enum mxcsr_source { MXCSR_KEPT, MXCSR_LOADED, MXCSR_INITIAL };

static enum mxcsr_source mxcsr_source(uint64_t rfbm, uint64_t bv, uint64_t layout)
{
    if (!layout)
        return rfbm & MXCSR_USERS ? MXCSR_LOADED : MXCSR_KEPT;
    if (!(rfbm & XCR0_SSE))
        return MXCSR_KEPT;
    return bv & XCR0_SSE ? MXCSR_LOADED : MXCSR_INITIAL;
}

static unsigned place_of(uint64_t layout, unsigned n)
{
    return layout ? xstate_compacted_offset(layout, (enum xstate)n) : xstates[n].offset;
}

static enum step restore(struct vcpu *cpu, const struct insn *in, bool supervisor)
{
    struct image image;
    enum step step = check(cpu, supervisor);
    if (step == STEP_NEXT)
        step = image_open(cpu, in, 64, &image);
    if (step != STEP_NEXT)
        return step;
    image_add(&image, XSTATE_HEADER, XSTATE_EXTENDED - XSTATE_HEADER);
    step = image_load(cpu, &image);
    if (step != STEP_NEXT)
        return step;
    if (!header_ok(cpu, &image, supervisor))
        return cpu_raise_code(cpu, EXC_GP, 0);

    uint64_t rfbm = requested(cpu, supervisor), bv = word(&image, AT_XSTATE_BV);
    uint64_t layout = word(&image, AT_XCOMP_BV);
    enum mxcsr_source mxcsr = mxcsr_source(rfbm, bv, layout);
    if (mxcsr == MXCSR_LOADED)
        image_add(&image, XSTATE_MXCSR, 4);
    for (unsigned n = 0; n < XSTATE_COUNT; n++)
        if (has(rfbm & bv, (enum xstate)n))
            image_add_component(&image, (enum xstate)n, place_of(layout, n));
    step = image_load(cpu, &image);
    if (step != STEP_NEXT)
        return step;
    if (mxcsr == MXCSR_LOADED && (image_get_mxcsr(&image) & ~xstate_mxcsr_mask(cpu)))
        return cpu_raise_code(cpu, EXC_GP, 0);

    for (unsigned n = 0; n < XSTATE_COUNT; n++)
        if (has(rfbm & bv, (enum xstate)n) &&
            !image_component_ok(cpu, &image, (enum xstate)n, place_of(layout, n)))
            return cpu_raise_code(cpu, EXC_GP, 0);

    if (mxcsr != MXCSR_KEPT)
        cpu->simd.mxcsr = mxcsr == MXCSR_LOADED ? image_get_mxcsr(&image) : MXCSR_RESET;
    for (unsigned n = 0; n < XSTATE_COUNT; n++) {
        if (has(rfbm & bv, (enum xstate)n))
            image_get_component(cpu, &image, (enum xstate)n, place_of(layout, n));
        else if (has(rfbm, (enum xstate)n))
            image_init_component(cpu, &image, (enum xstate)n);
    }
    remember(cpu, &image, layout, rfbm);
    cpu_update_mode(cpu); /* rights of pages follow PKRU */
    cpu_update_fp(cpu);
    return STEP_LEAVE;
}

enum step insn_xrstor(struct vcpu *cpu, const struct insn *in)
{
    return restore(cpu, in, false);
}

enum step insn_xrstors(struct vcpu *cpu, const struct insn *in)
{
    return restore(cpu, in, true);
}

/* --- extended control registers --- */

/* ECX 1: those of them that are in use, SSE with MXCSR. */
enum step insn_xgetbv(struct vcpu *cpu, const struct insn *in)
{
    (void)in;
    uint32_t n = (uint32_t)cpu->r[REG_RCX];
    if (!(cpu->regs.cr4 & CR4_OSXSAVE))
        return cpu_raise(cpu, EXC_UD);
    if (n > 1 || (n == 1 && !cpu_has(cpu, CPU_FEATURE_XGETBV1)))
        return cpu_raise_code(cpu, EXC_GP, 0);
    uint64_t value = cpu->simd.xcr0;
    if (n == 1)
        value &= xstate_in_use(cpu) | (cpu->simd.mxcsr != MXCSR_RESET ? XCR0_SSE : 0);
    write_edx_eax(cpu, value);
    return STEP_NEXT;
}

/* The intercept comes before every #GP. */
enum step insn_xsetbv(struct vcpu *cpu, const struct insn *in)
{
    uint64_t value = (uint32_t)cpu->r[REG_RAX] | cpu->r[REG_RDX] << 32;
    if (!(cpu->regs.cr4 & CR4_OSXSAVE))
        return cpu_raise(cpu, EXC_UD);
    if (svm_intercepts(cpu, INTERCEPT_XSETBV))
        return svm_vmexit_insn(cpu, VMEXIT_XSETBV, 0, 0, in->len);
    if (cpu->regs.cpl != 0 || (uint32_t)cpu->r[REG_RCX] != 0 || !xstate_xcr0_ok(cpu, value))
        return cpu_raise_code(cpu, EXC_GP, 0);
    cpu->simd.xcr0 = value;
    cpu_update_fp(cpu);
    return STEP_LEAVE;
}

/* faults.c: the exceptions of x87, SSE and AVX instructions that may run, in every mode: alignment, #XF, #MF, reserved bits of
 * MXCSR, prefixes of VEX, segments and pages. APM vol 2, 8.2.7 "#UD", 8.2.13 "#SS" to 8.2.19 "#XF"; vol 1, 4.2.2 "MXCSR Register"; vol 4,
 * "Exceptions" of the instructions. */
#include "test-roms/fp/kit.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define MM 0x20000u /* of MXCSR */
#define ZM 0x200u   /* the mask of a division by zero */
#define ZE 0x4u     /* and its flag */
#define MASKED 0x1f80u

FP_CODE(f_movaps, "movaps 0xa01, %xmm0");
FP_CODE(f_movntdq, "movntdq %xmm0, 0xa08");
FP_CODE(f_xorps, "xorps 0xa01, %xmm0");
FP_CODE(f_pand, "pand 0xa08, %xmm0");
FP_CODE(f_movups, "movups 0xa01, %xmm0");
FP_CODE(f_movdqu, "movdqu %xmm0, 0xa24");
FP_CODE(f_aligned, "movaps 0xa10, %xmm0");
FP_CODE(f_movq, "movq 0xa04, %mm0");
FP_CODE(f_fld, "fldl 0xa04");
FP_CODE(f_movss, "movss 0xa02, %xmm0");
FP_CODE(f_vxorps, ".byte 0xc5, 0xf8, 0x57, 0x07");  /* VXORPS XMM0, XMM0, [(E/R)DI], 16-bit: [BX] */
FP_CODE(f_vmovups, ".byte 0xc5, 0xfc, 0x10, 0x07"); /* VMOVUPS YMM0 */
FP_CODE(f_vmovaps, ".byte 0xc5, 0xfc, 0x28, 0x07"); /* VMOVAPS YMM0 */
FP_CODE(f_fxsave, "fxsave 0x608");
FP_CODE(f_fxrstor, "fxrstor 0x601");
FP_CODE(f_xsave, "xsave 0x620");
FP_CODE(f_divps, "divps 0xa40, %xmm0");
FP_CODE(f_divss, "divss 0xa40, %xmm0");
FP_CODE(f_fadd, "fadd %st(1), %st");
FP_CODE(f_ldmxcsr, "ldmxcsr 0xa60");
FP_CODE(f_ldmxcsr_mm, "ldmxcsr 0xa64");
FP_CODE(f_fxrstor_mxcsr, "fxrstor 0xc00");
FP_CODE(f_lock, ".byte 0xf0, 0x0f, 0x57, 0xc0");           /* LOCK XORPS XMM0, XMM0 */
FP_CODE(f_vex_lock, ".byte 0xf0, 0xc5, 0xf8, 0x57, 0xc0"); /* LOCK VXORPS */
FP_CODE(f_vex_66, ".byte 0x66, 0xc5, 0xf8, 0x57, 0xc0");   /* 66h before VEX */
FP_CODE(f_vex_f3, ".byte 0xf3, 0xc5, 0xf8, 0x57, 0xc0");
FP_CODE(f_vvvv, ".byte 0xc5, 0xf0, 0x10, 0xc1");               /* VMOVUPS with VEX.vvvv = 1 */
FP_CODE(f_length, ".byte 0xc5, 0xfc, 0x6e, 0xc0");             /* VMOVD would be 66h; L = 1 */
FP_CODE(f_gather, ".byte 0xc4, 0xe2, 0x79, 0x92, 0x04, 0x48"); /* destination and mask coincide */
MODE_CODE16(f_offset, "movups 0xfff8, %xmm0");
MODE_CODE16(f_stack, "movups -8(%bp), %xmm0");

/* How a point differs from "through". `vector`: without protection, with it at levels 0-2, at level 3. */
enum { THROUGH = EXC_NONE };
static const struct row {
    struct fp_code code;
    uint32_t mxcsr;
    bool ac, no_xmmexcpt, pending;
    uint16_t real, system,
        user; /* v86 has the vector of `real`, but that #AC comes as at level 3 */
    const char *name;
} rows[] = {
#define ALL(vector) vector, vector, vector
#define VEX(vector) EXC_UD, vector, vector
    /* rows: pitfalls 7.8 */
    { FP_CODE_OF(f_movaps), MASKED, 0, 0, 0, ALL(EXC_GP), "MOVAPS, misaligned: #GP(0)" },
    { FP_CODE_OF(f_movaps), MASKED | MM, 1, 0, 0, ALL(EXC_GP),
      "MOVAPS with MXCSR.MM and AC: #GP(0)" },
    { FP_CODE_OF(f_movntdq), MASKED | MM, 1, 0, 0, ALL(EXC_GP),
      "MOVNTDQ with MXCSR.MM and AC: #GP(0)" },
    { FP_CODE_OF(f_aligned), MASKED, 1, 0, 0, ALL(THROUGH), "MOVAPS, aligned" },
    { FP_CODE_OF(f_xorps), MASKED, 0, 0, 0, ALL(EXC_GP), "XORPS, misaligned: #GP(0)" },
    { FP_CODE_OF(f_xorps), MASKED, 1, 0, 0, ALL(EXC_GP), "XORPS, misaligned, with AC: #GP(0)" },
    { FP_CODE_OF(f_xorps), MASKED | MM, 0, 0, 0, ALL(THROUGH), "XORPS, misaligned, with MXCSR.MM" },
    { FP_CODE_OF(f_xorps), MASKED | MM, 1, 0, 0, THROUGH, THROUGH, EXC_AC,
      "XORPS, misaligned, with MXCSR.MM and AC: #AC(0)" },
    { FP_CODE_OF(f_pand), MASKED | MM, 1, 0, 0, THROUGH, THROUGH, EXC_AC,
      "PAND, 8 bytes off, the same: #AC(0)" },
    { FP_CODE_OF(f_movups), MASKED, 0, 0, 0, ALL(THROUGH), "MOVUPS, misaligned" },
    { FP_CODE_OF(f_movups), MASKED, 1, 0, 0, THROUGH, THROUGH, EXC_AC, "MOVUPS with AC: #AC(0)" },
    { FP_CODE_OF(f_movdqu), MASKED, 1, 0, 0, THROUGH, THROUGH, EXC_AC,
      "MOVDQU to memory with AC: #AC(0)" },
    { FP_CODE_OF(f_movss), MASKED, 1, 0, 0, THROUGH, THROUGH, EXC_AC, "MOVSS with AC: #AC(0)" },
    { FP_CODE_OF(f_movq), MASKED, 1, 0, 0, THROUGH, THROUGH, EXC_AC, "MOVQ MM0 with AC: #AC(0)" },
    { FP_CODE_OF(f_fld), MASKED, 1, 0, 0, THROUGH, THROUGH, EXC_AC,
      "FLD of a double with AC: #AC(0)" },
    { FP_CODE_OF(f_vxorps), MASKED, 0, 0, 0, VEX(THROUGH), "VXORPS, misaligned" },
    { FP_CODE_OF(f_vxorps), MASKED, 1, 0, 0, EXC_UD, THROUGH, EXC_AC, "VXORPS with AC: #AC(0)" },
    { FP_CODE_OF(f_vmovups), MASKED, 1, 0, 0, EXC_UD, THROUGH, EXC_AC,
      "VMOVUPS YMM0 with AC: #AC(0)" },
    { FP_CODE_OF(f_vmovaps), MASKED | MM, 0, 0, 0, VEX(EXC_GP), "VMOVAPS, misaligned: #GP(0)" },
    /* rows: pitfalls 7.9 */
    { FP_CODE_OF(f_fxsave), MASKED, 0, 0, 0, ALL(EXC_GP), "FXSAVE off 16 bytes: #GP(0)" },
    { FP_CODE_OF(f_fxrstor), MASKED, 0, 0, 0, ALL(EXC_GP), "FXRSTOR off 16 bytes: #GP(0)" },
    { FP_CODE_OF(f_xsave), MASKED, 0, 0, 0, ALL(EXC_GP), "XSAVE off 64 bytes: #GP(0)" },
    /* rows: pitfalls 7.21 */
    { FP_CODE_OF(f_divps), MASKED, 0, 0, 0, ALL(THROUGH), "DIVPS by 0, masked" },
    { FP_CODE_OF(f_divps), MASKED & ~ZM, 0, 0, 0, ALL(EXC_XF), "DIVPS by 0, unmasked: #XF" },
    { FP_CODE_OF(f_divps), MASKED & ~ZM, 0, 1, 0, ALL(EXC_UD),
      "DIVPS by 0, without OSXMMEXCPT: #UD" },
    { FP_CODE_OF(f_divss), MASKED & ~ZM, 0, 0, 0, ALL(EXC_XF), "DIVSS by 0, unmasked: #XF" },
    /* rows: pitfalls 7.4 */
    { FP_CODE_OF(f_fadd), MASKED, 0, 0, 1, ALL(EXC_MF), "FADD behind an unmasked exception: #MF" },
    { FP_CODE_OF(f_divps), MASKED & ~ZM, 0, 0, 1, ALL(EXC_XF), "DIVPS behind it: #XF alone" },
    { FP_CODE_OF(f_movq), MASKED, 0, 0, 1, ALL(EXC_MF), "MOVQ MM0 behind it: #MF" },
    /* rows: pitfalls 10.10 */
    { FP_CODE_OF(f_fld), MASKED, 1, 0, 1, ALL(EXC_MF), "#MF comes before #AC" },
    /* rows: pitfalls 7.7 */
    { FP_CODE_OF(f_ldmxcsr), MASKED, 0, 0, 0, ALL(EXC_GP), "LDMXCSR with a reserved bit: #GP(0)" },
    { FP_CODE_OF(f_ldmxcsr_mm), MASKED, 0, 0, 0, ALL(THROUGH), "LDMXCSR with all bits that exist" },
    { FP_CODE_OF(f_fxrstor_mxcsr), MASKED, 0, 0, 0, ALL(EXC_GP), "FXRSTOR with a reserved bit" },
    { FP_CODE_OF(f_lock), MASKED, 0, 0, 0, ALL(EXC_UD), "LOCK XORPS: #UD" },
    { FP_CODE_OF(f_vex_lock), MASKED, 0, 0, 0, ALL(EXC_UD), "LOCK before VEX: #UD" },
    { FP_CODE_OF(f_vex_66), MASKED, 0, 0, 0, ALL(EXC_UD), "66h before VEX: #UD" },
    { FP_CODE_OF(f_vex_f3), MASKED, 0, 0, 0, ALL(EXC_UD), "F3h before VEX: #UD" },
    { FP_CODE_OF(f_vvvv), MASKED, 0, 0, 0, ALL(EXC_UD), "VMOVUPS with VEX.vvvv in use: #UD" },
    { FP_CODE_OF(f_length), MASKED, 0, 0, 0, ALL(EXC_UD), "no such VEX instruction: #UD" },
    { FP_CODE_OF(f_gather), MASKED, 0, 0, 0, ALL(EXC_UD), "a gather into its mask: #UD" },
};
#define ROWS (sizeof rows / sizeof rows[0])

static unsigned expected(const struct row *row, const struct fp_mode *mode)
{
    if (mode->mode == MODE_V86 && row->user == EXC_AC && row->real == THROUGH)
        return EXC_AC;
    return !mode->protected ? row->real : mode->user ? row->user : row->system;
}

#define LOW32(address) (*(volatile uint32_t *)(uintptr_t)(address))

static void fill_memory(void)
{
    for (unsigned i = 0; i < 0x100; i += 4)
        LOW32(FP_DATA + i) = 0;
    for (unsigned i = 0; i < 512; i += 4)
        LOW32(0xc00 + i) = 0;
    LOW32(0xa60) = MASKED | 0x10000;
    LOW32(0xa64) = 0x2ffbf & ~0x3fu; /* MM, FTZ, rounding and all masks: no flags, no DAZ */
    LOW32(0xc18) = 0x40000;          /* MXCSR of FXRSTOR's image */
}

static struct modes_state *m;
static uint64_t cr0, cr4, rflags;

static struct mode_event run(const struct row *row, const struct fp_mode *mode)
{
    m->cr0 = cr0 | CR0_AM;
    m->cr4 = (cr4 & ~CR4_OSXMMEXCPT) | CR4_OSFXSR | CR4_OSXSAVE |
             (row->no_xmmexcpt ? 0 : CR4_OSXMMEXCPT);
    m->rflags = rflags | (row->ac ? RFLAGS_AC : 0);
    m->regs[M_BX] = m->regs[M_DI] = FP_DATA + 4;
    m->regs[M_AX] = 3;
    fill_memory();
    fp_set_pending(row->pending);
    fp_set_mxcsr(row->mxcsr);
    fp_set_xmm0(UINT64_C(0x3f8000003f800000), UINT64_C(0x3f8000003f800000)); /* ones */
    return fp_run(m, &row->code, mode->width);
}

static void point(const struct row *row, const struct fp_mode *mode)
{
    struct mode_event e = run(row, mode);
    unsigned got = fp_outcome(&e, &row->code, mode->width), want = expected(row, mode);

    tap_ok(got == want && (e.real || e.error == 0), "%s: %s", mode->name, row->name);
    if (got != want)
        rom_printf("#   vector %x, want %x\n", got, want);
}

/* What #XF leaves behind: the flag, and the destination as it was. */
static void after_xf(const struct fp_mode *mode)
{
    static const struct row row = { .code = FP_CODE_OF(f_divps), .mxcsr = MASKED & ~ZM };

    (void)run(&row, mode);
    tap_eq(fp_mxcsr(), (MASKED & ~ZM) | ZE, "%s: #XF sets the flag in MXCSR", mode->name);
    tap_eq(fp_xmm0_low(), UINT64_C(0x3f8000003f800000), "%s: #XF leaves the destination",
           mode->name);
}

/* ---- segments ---------------------------------------------------------------------------------- */

static void segments(const struct fp_mode *mode)
{
    static const struct row offset = { .code = { { f_offset }, { f_offset_end } },
                                       .mxcsr = MASKED };
    static const struct row stack = { .code = { { f_stack }, { f_stack_end } }, .mxcsr = MASKED };
    struct mode_event e = run(&offset, mode);

    tap_ok(fp_outcome(&e, &offset.code, 0) == EXC_GP && (e.real || e.error == 0),
           "%s: MOVUPS beyond the limit: #GP(0)", mode->name);
    m->regs[M_BP] = 0;
    e = run(&stack, mode);
    tap_ok(fp_outcome(&e, &stack.code, 0) == EXC_SS && (e.real || e.error == 0),
           "%s: MOVUPS beyond the limit of the stack: #SS(0)", mode->name);
}

/* ---- pages --------------------------------------------------------------------------------------- */

MODE_CODE32(p_store32, "movups %xmm0, (%ebx)");
MODE_CODE64(p_store64, "movups %xmm0, (%rbx)");
MODE_CODE32(p_load32, "movups (%ebx), %xmm0");
MODE_CODE64(p_load64, "movups (%rbx), %xmm0");
MODE_CODE64(p_odd, "p_odd_insn: movups (%rbx), %xmm0");
MODE_CODE64(p_odd_stack, "p_odd_stack_insn: movups (%rbp), %xmm0");

static void pages(enum mode mode, bool wide, bool user, const char *name)
{
    uint8_t *page = rom_pages(2);
    uint64_t next = (uintptr_t)page + 4096, error = (user ? PF_US : 0);
    struct mode_event e;

    for (unsigned store = 0; store < 2; store++) {
        const char *code = store ? (wide ? p_store64 : p_store32) : (wide ? p_load64 : p_load32);

        memset(page, 0x55, 4096);
        m = modes_begin(mode, code);
        m->cr4 |= CR4_OSFXSR;
        if (mode == MODE_PROT32 || mode == MODE_PROT32_USER)
            modes_map32(modes_paging_pse(), (uint32_t)next, next, 0);
        else
            paging_map(paging_root(), next, next, PAGE_4K, 0);
        write_cr3(read_cr3());
        m->regs[M_BX] = next - 15;
        fp_set_xmm0(1, 2);
        e = modes_run();
        tap_ok(e.vector == EXC_PF && e.error == (error | (store ? PF_RW : 0)) && e.cr2 == next &&
                   e.ip == (uintptr_t)code,
               "%s: MOVUPS %s the next page: #PF there", name, store ? "into" : "from");
        tap_ok(store ? page[4095] == 0x55 : fp_xmm0_low() == 1,
               "%s: MOVUPS %s the next page: nothing is done", name, store ? "into" : "from");
    }
}

static void not_canonical(void)
{
    m = modes_begin(MODE_LONG, p_odd);
    m->cr4 |= CR4_OSFXSR;
    m->regs[M_BX] = UINT64_C(0x7ffffffffff1);
    RUN_FAULT(p_odd, EXC_GP, 0, "64-bit: MOVUPS across the end of the canonical range: #GP(0)");
    m = modes_begin(MODE_LONG, p_odd_stack);
    m->cr4 |= CR4_OSFXSR;
    m->regs[M_BP] = UINT64_C(0x7ffffffffff1);
    RUN_FAULT(p_odd_stack, EXC_SS, 0, "64-bit: MOVUPS across it, by rBP: #SS(0)");
}

static void all(void)
{
    for (unsigned i = 0; i < FP_MODES; i++) {
        const struct fp_mode *mode = &fp_modes[i];

        m = modes_begin(mode->mode, rows[0].code.begin[0]);
        cr0 = m->cr0;
        cr4 = m->cr4;
        rflags = m->rflags;
        for (unsigned row = 0; row < ROWS; row++)
            point(&rows[row], mode);
        after_xf(mode);
        if (mode->width == 0)
            segments(mode);
    }
    pages(MODE_PROT32, false, false, "32-bit protected");
    pages(MODE_PROT32_USER, false, true, "32-bit protected, CPL 3");
    pages(MODE_COMPAT32, false, false, "32-bit compatibility");
    pages(MODE_LONG, true, false, "64-bit");
    pages(MODE_LONG_USER, true, true, "64-bit, CPL 3");
    not_canonical();
}

int rom_main(void)
{
    if (fp_present()) {
        fp_start();
        all();
    } else {
        tap_skip("no AVX", "faults of floating point");
    }
    tap_done();
}

/* state.c: the instructions that save and restore the state of x87, SSE and AVX, in every mode. APM vol 2, 11.4.4 "Saving Media and x87
 * Execution Unit State", 11.5 "XSAVE/XRSTOR Instructions"; vol 5, "FNSAVE", "FNSTENV"; vol 4, "FXSAVE", "XSAVE", "VZEROALL". */
#include "test-roms/fp/kit.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define AREA ((volatile uint8_t *)(uintptr_t)FP_AREA)
#define AREA_BYTES 0x340u
#define UNTOUCHED 0xcc
#define HEADER 512u
#define YMM_HIGH 576u
#define EFER_FFXSR UINT64_C(0x4000)

FP_CODE(s_fxsave, "fxsave 0x600");
FP_CODE(s_fxrstor, "fxrstor 0x600");
FP_CODE(s_fnstenv, "fld1\n fnstenv 0x600");
FP_CODE(s_fnsave, "fnsave 0x600");
FP_CODE(s_frstor, "frstor 0x600");
FP_CODE(s_mmx, "pcmpeqd %mm5, %mm5\n fxsave 0x600");
FP_CODE(s_emms, "emms\n fxsave 0x600");
FP_CODE(s_xsave, "xsave 0x600");
FP_CODE(s_xrstor, "xrstor 0x600");
FP_CODE(s_xsetbv, "xsetbv");
FP_CODE(s_xgetbv, "xgetbv");
FP_CODE(s_vzeroall, ".byte 0xc5, 0xfc, 0x77");
FP_CODE(s_vzeroupper, ".byte 0xc5, 0xf8, 0x77");

static struct modes_state *m;
static const struct fp_mode *now;

static bool wide(void)
{
    return now->width == 2;
}

/* ---- the host's side ----------------------------------------------------------------------------- */

static void fill_area(uint8_t value)
{
    for (unsigned i = 0; i < AREA_BYTES; i++)
        AREA[i] = value;
}

static uint64_t area(unsigned at, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)AREA[at + i] << 8 * i;
    return value;
}

static bool area_is(unsigned at, unsigned bytes, uint8_t value)
{
    for (unsigned i = 0; i < bytes; i++)
        if (AREA[at + i] != value)
            return false;
    return true;
}

/* All vector registers: byte i of every one. */
static const uint8_t ones[32] = { [0 ... 31] = 0x11 }, twos[32] = { [0 ... 31] = 0x22 };

static void set_vectors(const uint8_t *value)
{
    __asm__ volatile("vmovdqu (%0), %%ymm0\n vmovdqa %%ymm0, %%ymm1\n vmovdqa %%ymm0, %%ymm7\n"
                     "vmovdqa %%ymm0, %%ymm8\n vmovdqa %%ymm0, %%ymm15"
                     :
                     : "r"(value)
                     : "memory");
}

/* Byte `at` of YMM0, 7, 8, 15. */
static uint32_t vector_bytes(unsigned at)
{
    uint8_t v[4][32];

    __asm__ volatile("vmovdqu %%ymm0, (%0)\n vmovdqu %%ymm7, 32(%0)\n vmovdqu %%ymm8, 64(%0)\n"
                     "vmovdqu %%ymm15, 96(%0)"
                     :
                     : "r"(v)
                     : "memory");
    return v[0][at] | (uint32_t)v[1][at] << 8 | (uint32_t)v[2][at] << 16 | (uint32_t)v[3][at] << 24;
}

/* TOP = 6: ST0 = 1, ST1 = pi. */
static void set_x87(void)
{
    __asm__ volatile("fninit\n fldpi\n fld1");
}

static uint16_t control_word(void)
{
    uint16_t value;

    __asm__ volatile("fnstcw %0" : "=m"(value));
    return value;
}

static uint16_t status_word(void)
{
    uint16_t value;

    __asm__ volatile("fnstsw %0" : "=m"(value));
    return value;
}

/* ---- runs ------------------------------------------------------------------------------------------ */

static void begin(void)
{
    m = modes_begin(now->mode, s_fxsave16);
    m->cr4 |= CR4_OSFXSR | CR4_OSXSAVE;
    m->regs[M_AX] = XCR0_X87 | XCR0_SSE | XCR0_AVX;
    fill_area(UNTOUCHED);
    set_x87();
    fp_set_mxcsr(0x1f81);
    set_vectors(ones);
}

static struct mode_event last;

static unsigned go(const struct fp_code *code)
{
    last = fp_run(m, code, now->width);
    return fp_outcome(&last, code, now->width);
}

#define GO(name) go(&(const struct fp_code)FP_CODE_OF(name))
#define POINT(passed, what) tap_ok(passed, "%s: %s", now->name, what)

/* rows: pitfalls 7.2 */
static void fxsave(void)
{
    begin();
    POINT(GO(s_fxsave) == EXC_NONE && area(0, 2) == 0x37f && (area(2, 2) >> 11 & 7) == 6 &&
              area(4, 1) == 0xc0,
          "FXSAVE: control, status and abridged tag word");
    POINT(area(32, 8) == UINT64_C(0x8000000000000000) && area(40, 2) == 0x3fff &&
              area(56, 2) == 0x4000,
          "FXSAVE: ST0 and ST1");
    POINT(area(24, 4) == 0x1f81 && area(28, 4) == 0x2ffff, "FXSAVE: MXCSR and its mask");
    POINT(area_is(160, 16, 0x11) && area_is(272, 16, 0x11), "FXSAVE: XMM0 to XMM7");
    POINT(area_is(288, 128, wide() ? 0x11 : UNTOUCHED) ||
              (wide() && area_is(288, 16, 0x11) && area_is(400, 16, 0x11)),
          "FXSAVE: XMM8 to XMM15 in 64-bit mode alone");
    POINT(area_is(464, 48, UNTOUCHED), "FXSAVE: the last 48 bytes are the program's");
    POINT(fp_mxcsr() == 0x1f81 && (status_word() >> 11 & 7) == 6, "FXSAVE changes nothing");
}

static void fxrstor(void)
{
    begin();
    (void)GO(s_fxsave);
    for (unsigned i = 160; i < 416; i++)
        AREA[i] = 0x22;
    AREA[24] = 0x80; /* MXCSR 1f80 */
    AREA[0] = 0x7e;  /* FCW 037e */
    set_vectors(ones);
    fp_set_pending(false);
    POINT(GO(s_fxrstor) == EXC_NONE && (control_word() & 0xff) == 0x7e &&
              (status_word() >> 11 & 7) == 6 && fp_mxcsr() == 0x1f80,
          "FXRSTOR: control words and TOP");
    POINT(vector_bytes(0) == (wide() ? 0x22222222 : 0x11112222),
          "FXRSTOR: XMM8 to XMM15 in 64-bit mode alone");
    POINT(vector_bytes(16) == 0x11111111, "FXRSTOR: the upper halves stay");
}

/* rows: pitfalls 7.10 */
static void fast_fxsave(void)
{
    bool fast = wide() && !now->user;

    begin();
    m->efer |= EFER_FFXSR;
    POINT(GO(s_fxsave) == EXC_NONE && area(24, 4) == 0x1f81 &&
              area_is(160, 16, fast ? UNTOUCHED : 0x11),
          "EFER.FFXSR: no XMM registers at level 0 of 64-bit mode, but MXCSR");
}

static void x87_environment(void)
{
    unsigned width = now->width == 0 ? 2 : 4; /* the operand size is the code's */

    begin();
    POINT(GO(s_fnsave) == EXC_NONE && area(0, 2) == 0x37f && (area(width, 2) >> 11 & 7) == 6 &&
              area(2 * width, 2) == 0x0fff,
          "FNSAVE: control, status and tag word by the operand size");
    POINT(area(7 * width, 8) == UINT64_C(0x8000000000000000) && area(7 * width + 8, 2) == 0x3fff &&
              area_is(7 * width + 80, 16, UNTOUCHED),
          "FNSAVE: ST0 behind 14 or 28 bytes, 94 or 108 in all");
    POINT(control_word() == 0x37f && status_word() == 0, "FNSAVE: initializes");
    POINT(GO(s_frstor) == EXC_NONE && (status_word() >> 11 & 7) == 6, "FRSTOR: and back");
    begin();
    POINT(GO(s_fnstenv) == EXC_NONE && (area(width, 2) >> 11 & 7) == 5 &&
              area(2 * width, 2) == 0x03ff && area_is(7 * width, 16, UNTOUCHED),
          "FNSTENV: 14 or 28 bytes");
}

static void mmx(void)
{
    begin();
    POINT(GO(s_mmx) == EXC_NONE && (area(2, 2) >> 11 & 7) == 0 && area(4, 1) == 0xff &&
              area(32 + 16 * 5, 8) == UINT64_MAX && area(40 + 16 * 5, 2) == 0xffff,
          "an MMX instruction: TOP 0, all in use, exponent ffff");
    begin();
    POINT(GO(s_emms) == EXC_NONE && area(4, 1) == 0 && (area(2, 2) >> 11 & 7) == 0,
          "EMMS: all empty, TOP 0");
}

/* rows: pitfalls 7.11, 7.14 */
static void xsave(void)
{
    begin();
    for (unsigned i = 0; i < 64; i++)
        AREA[HEADER + i] = 0;
    POINT(GO(s_xsave) == EXC_NONE && area(HEADER, 8) == 7 && area_is(HEADER + 8, 56, 0),
          "XSAVE: XSTATE_BV, and nothing else of the header");
    POINT(area_is(160, 16, 0x11) && area_is(YMM_HIGH, 16, 0x11) &&
              area_is(YMM_HIGH + 112, 16, 0x11),
          "XSAVE: XMM and YMM registers");
    POINT(wide() ? area_is(288, 16, 0x11) && area_is(YMM_HIGH + 128, 16, 0x11)
                 : area_is(288, 128, UNTOUCHED) && area_is(YMM_HIGH + 128, 128, UNTOUCHED),
          "XSAVE: registers 8 to 15 in 64-bit mode alone");

    set_vectors(twos);
    fp_set_mxcsr(0x1f80);
    POINT(GO(s_xrstor) == EXC_NONE && fp_mxcsr() == 0x1f81 &&
              vector_bytes(16) == (wide() ? 0x11111111 : 0x22221111),
          "XRSTOR: what was saved");
    AREA[HEADER] = XCR0_X87 | XCR0_SSE; /* AVX in its initial state */
    set_vectors(twos);
    POINT(GO(s_xrstor) == EXC_NONE && vector_bytes(0) == (wide() ? 0x11111111 : 0x22221111) &&
              vector_bytes(16) == (wide() ? 0 : 0x22220000),
          "XRSTOR: a component that is not in XSTATE_BV becomes zero");
    m->regs[M_AX] = XCR0_AVX;
    AREA[HEADER] = XCR0_AVX;
    fp_set_mxcsr(0x1f80);
    set_vectors(twos);
    POINT(GO(s_xrstor) == EXC_NONE && (vector_bytes(0) & 0xffff) == 0x2222 &&
              (vector_bytes(16) & 0xffff) == 0x1111,
          "XRSTOR: no more than the mask says");
}

static void xrstor_faults(void)
{
    static const struct {
        unsigned at;
        uint8_t value;
        const char *what;
    } rows[] = {
        { HEADER, 0x0f, "XRSTOR, XSTATE_BV has a bit that XCR0 has not: #GP(0)" },
        { HEADER + 7, 0x40, "XRSTOR, XSTATE_BV bit 62: #GP(0)" },
        { HEADER + 8, 0x01, "XRSTOR, XCOMP_BV of the standard form: #GP(0)" },
        { HEADER + 16, 0x01, "XRSTOR, a reserved byte of the header: #GP(0)" },
        { HEADER + 23, 0x80, "XRSTOR, the last byte that must be zero: #GP(0)" },
        { 26, 0x04, "XRSTOR, a reserved bit of MXCSR: #GP(0)" },
    };

    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        begin();
        fill_area(0);
        AREA[24] = 0x80, AREA[25] = 0x1f;
        AREA[HEADER] = 7;
        AREA[rows[i].at] = rows[i].value;
        set_vectors(twos);
        POINT(GO(s_xrstor) == EXC_GP && (last.real || last.error == 0) &&
                  vector_bytes(0) == 0x22222222,
              rows[i].what);
    }
}

static void xcr0(void)
{
    static const struct {
        uint32_t eax, edx, ecx;
        bool good;
        const char *what;
    } rows[] = {
        { 7, 0, 0, true, "XSETBV of all, level 0 alone" },
        { 3, 0, 0, true, "XSETBV of x87 and SSE, level 0 alone" },
        { 1, 0, 0, true, "XSETBV of x87, level 0 alone" },
        { 6, 0, 0, false, "XSETBV without x87: #GP(0)" },
        { 5, 0, 0, false, "XSETBV of AVX without SSE: #GP(0)" },
        { 7, 1u << 30, 0, false, "XSETBV of a bit that is not there: #GP(0)" },
        { 7, 0, 1, false, "XSETBV of XCR1: #GP(0)" },
    };

    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool good = rows[i].good && !now->user;

        begin();
        m->regs[M_AX] = rows[i].eax;
        m->regs[M_DX] = rows[i].edx;
        m->regs[M_CX] = rows[i].ecx;
        POINT(GO(s_xsetbv) == (good ? EXC_NONE : EXC_GP) && (last.real || last.error == 0),
              rows[i].what);
        m->regs[M_CX] = 0;
        tap_ok(GO(s_xgetbv) == EXC_NONE &&
                   (modes_reg(M_AX) & 0xffffffff) == (good ? rows[i].eax : 7),
               "%s: XGETBV behind %s", now->name, rows[i].what);
        fp_set_xcr0(7);
    }
}

/* Registers that have no name outside 64-bit mode stay. */
static void zero(void)
{
    begin();
    POINT(GO(s_vzeroupper) == EXC_NONE && vector_bytes(0) == 0x11111111 &&
              vector_bytes(16) == (wide() ? 0 : 0x11110000),
          "VZEROUPPER: the registers that the mode has");
    begin();
    POINT(GO(s_vzeroall) == EXC_NONE && vector_bytes(0) == (wide() ? 0 : 0x11110000) &&
              vector_bytes(16) == (wide() ? 0 : 0x11110000),
          "VZEROALL: the registers that the mode has");
}

static void all(void)
{
    bool ffxsr = (cpuid_checked(0x80000001, 0).edx & 1u << 25) != 0;

    for (unsigned i = 0; i < FP_MODES; i++) {
        now = &fp_modes[i];
        fxsave();
        fxrstor();
        if (ffxsr)
            fast_fxsave();
        x87_environment();
        mmx();
        xsave();
        xrstor_faults();
        xcr0();
        if (now->protected)
            zero();
    }
}

int rom_main(void)
{
    if (fp_present()) {
        fp_start();
        all();
    } else {
        tap_skip("no AVX", "state of floating point");
    }
    tap_done();
}

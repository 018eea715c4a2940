/* compact.c: XSAVEOPT, XSAVEC, XSAVES and their way back in every mode: what is left out, the compacted form, who may run them.
 * APM vol 2, 11.5.7 "Initializing the XSAVE Area" to 11.5.9 "MXCSR State Management"; vol 4, "XSAVEOPT", "XSAVEC", "XSAVES", "XRSTOR", "XRSTORS",
 * "XGETBV". */
#include "test-roms/fp/kit.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define AREA ((volatile uint8_t *)(uintptr_t)FP_AREA)
#define AREA_BYTES 0x340u
#define UNTOUCHED 0xcc
#define XSTATE_BV 512u
#define XCOMP_BV 520u
#define EXTENDED 576u /* where the first component behind the header lies in both forms */
#define COMPACTED UINT64_C(0x8000000000000000)
#define ALL_STATE (XCR0_X87 | XCR0_SSE | XCR0_AVX)

FP_CODE(c_xsave, "xsave 0x600");
FP_CODE(c_xsaveopt, "xsaveopt 0x600");
FP_CODE(c_xsavec, "xsavec 0x600");
FP_CODE(c_xsaves, "xsaves 0x600");
FP_CODE(c_xrstor, "xrstor 0x600");
FP_CODE(c_xrstors, "xrstors 0x600");
FP_CODE(c_restore_save, "xrstor 0x600\n movb $0x33, 0x840\n xsaveopt 0x600");
FP_CODE(c_misaligned, "xsavec 0x620");
FP_CODE(c_xgetbv, "xgetbv");

static struct modes_state *m;
static const struct fp_mode *now;
static struct mode_event last;

/* ---- the host's side ----------------------------------------------------------------------------- */

static uint64_t area(unsigned at)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < 8; i++)
        value |= (uint64_t)AREA[at + i] << 8 * i;
    return value;
}

static void put(unsigned at, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        AREA[at + i] = (uint8_t)(value >> 8 * i);
}

static bool area_is(unsigned at, unsigned bytes, uint8_t value)
{
    for (unsigned i = 0; i < bytes; i++)
        if (AREA[at + i] != value)
            return false;
    return true;
}

static void fill(unsigned from, unsigned to, uint8_t value)
{
    for (unsigned i = from; i < to; i++)
        AREA[i] = value;
}

/* All in the initial state; then YMM0 with this byte everywhere. */
static void vectors(uint8_t low, uint8_t high)
{
    uint8_t value[32];

    __asm__ volatile("vzeroall");
    memset(value, low, 16);
    memset(value + 16, high, 16);
    __asm__ volatile("vmovdqu (%0), %%ymm0" : : "r"(value) : "memory");
}

static bool vector_is(uint8_t low, uint8_t high)
{
    uint8_t value[32];

    __asm__ volatile("vmovdqu %%ymm0, (%0)" : : "r"(value) : "memory");
    for (unsigned i = 0; i < 32; i++)
        if (value[i] != (i < 16 ? low : high))
            return false;
    return true;
}

/* ---- runs ------------------------------------------------------------------------------------------ */

static void begin(uint64_t mask)
{
    m = modes_begin(now->mode, c_xsave16);
    m->cr4 |= CR4_OSFXSR | CR4_OSXSAVE;
    m->regs[M_AX] = mask;
    fill(0, AREA_BYTES, UNTOUCHED);
    fill(XSTATE_BV, EXTENDED, 0);
    fp_set_pending(false);
    fp_set_mxcsr(0x1f80);
    vectors(0, 0);
}

static unsigned go(const struct fp_code *code)
{
    last = fp_run(m, code, now->width);
    return fp_outcome(&last, code, now->width);
}

#define GO(name) go(&(const struct fp_code)FP_CODE_OF(name))
#define POINT(passed, what) tap_ok(passed, "%s: %s", now->name, what)

/* rows: pitfalls 7.14 */
static void optimized(void)
{
    begin(ALL_STATE);
    vectors(0x11, 0);
    put(XSTATE_BV, ALL_STATE);
    POINT(GO(c_xsaveopt) == EXC_NONE && area(XSTATE_BV) == XCR0_SSE && area_is(160, 16, 0x11),
          "XSAVEOPT: XSTATE_BV has what is in use");
    POINT(area_is(0, 24, UNTOUCHED) && area_is(EXTENDED, 256, UNTOUCHED),
          "XSAVEOPT: what is in its initial state is not written");
    begin(ALL_STATE);
    fill(0, XSTATE_BV, 0);
    put(24, 0x1f80);
    put(XSTATE_BV, XCR0_AVX);
    POINT(GO(c_restore_save) == EXC_NONE && AREA[EXTENDED] == 0x33 && area(XSTATE_BV) == XCR0_AVX &&
              vector_is(0, UNTOUCHED),
          "XSAVEOPT: what is as XRSTOR left it is not written");
    begin(ALL_STATE);
    POINT(GO(c_xsave) == EXC_NONE && area_is(160, 16, 0) && area_is(EXTENDED, 16, 0),
          "XSAVE writes it all");
}

/* rows: pitfalls 7.11, 7.13 */
static void compacted(void)
{
    begin(ALL_STATE);
    vectors(0x11, 0x22);
    fill(XSTATE_BV, EXTENDED, UNTOUCHED);
    POINT(GO(c_xsavec) == EXC_NONE && area(XSTATE_BV) == (XCR0_SSE | XCR0_AVX) &&
              area(XCOMP_BV) == (COMPACTED | ALL_STATE) && area_is(XCOMP_BV + 8, 48, UNTOUCHED),
          "XSAVEC: XSTATE_BV and XCOMP_BV, the rest of the header stays");
    POINT(area_is(160, 16, 0x11) && area_is(EXTENDED, 16, 0x22) && area_is(0, 24, UNTOUCHED),
          "XSAVEC: what is in use alone");
    fill(XCOMP_BV + 8, EXTENDED, 0);
    vectors(0x44, 0x44);
    fp_set_mxcsr(0x1f81);
    POINT(GO(c_xrstor) == EXC_NONE && vector_is(0x11, 0x22) && fp_mxcsr() == 0x1f80,
          "XRSTOR of the compacted form: what was saved");
    put(XSTATE_BV, XCR0_AVX);
    fp_set_mxcsr(0x1f81);
    POINT(GO(c_xrstor) == EXC_NONE && vector_is(0, 0x22) && fp_mxcsr() == 0x1f80,
          "and a component that XSTATE_BV lacks is initialized, MXCSR with SSE");
}

/* rows: pitfalls 7.11 */
static void bad_headers(void)
{
    static const struct {
        unsigned at;
        uint64_t value;
        const char *what;
    } rows[] = {
        { XSTATE_BV, ALL_STATE, "XRSTOR, XSTATE_BV has a bit that XCOMP_BV has not: #GP(0)" },
        { XCOMP_BV, COMPACTED | 0xb, "XRSTOR, XCOMP_BV has a bit that XCR0 has not: #GP(0)" },
        { XCOMP_BV, XCR0_SSE, "XRSTOR, XCOMP_BV without bit 63: #GP(0)" },
        { EXTENDED - 8, 1, "XRSTOR, the last of the header is not zero: #GP(0)" },
    };

    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        begin(ALL_STATE);
        put(24, 0x1f80);
        put(XSTATE_BV, XCR0_SSE);
        put(XCOMP_BV, COMPACTED | XCR0_X87 | XCR0_SSE);
        put(rows[i].at, rows[i].value);
        vectors(0x44, 0x44);
        POINT(GO(c_xrstor) == EXC_GP && (last.real || last.error == 0) && vector_is(0x44, 0x44),
              rows[i].what);
    }
    begin(ALL_STATE);
    POINT(GO(c_misaligned) == EXC_GP && (last.real || last.error == 0),
          "XSAVEC off 64 bytes: #GP(0)");
}

/* Level 0 alone. */
static void privileged(void)
{
    unsigned right = now->user ? EXC_GP : EXC_NONE;

    begin(ALL_STATE);
    vectors(0x11, 0x22);
    POINT(GO(c_xsaves) == right && (last.real || last.error == 0) &&
              area(XCOMP_BV) == (now->user ? 0 : COMPACTED | ALL_STATE),
          "XSAVES: the compacted form, at level 0 alone");
    begin(ALL_STATE);
    vectors(0x11, 0x22);
    (void)GO(c_xsavec);
    vectors(0x44, 0x44);
    POINT(GO(c_xrstors) == right && (now->user ? vector_is(0x44, 0x44) : vector_is(0x11, 0x22)),
          "XRSTORS: what was saved, at level 0 alone");
    begin(ALL_STATE);
    fill(0, XSTATE_BV, 0);
    put(24, 0x1f80);
    POINT(GO(c_xrstors) == EXC_GP, "XRSTORS of the standard form: #GP(0)");
}

static void enabled(void)
{
    static const struct {
        struct fp_code code;
        const char *ud, *nm;
    } rows[] = {
#define ROW(code, name) \
    { FP_CODE_OF(code), name " without CR4.OSXSAVE: #UD", name " with CR0.TS: #NM" }
        ROW(c_xsaveopt, "XSAVEOPT"), ROW(c_xsavec, "XSAVEC"),   ROW(c_xsaves, "XSAVES"),
        ROW(c_xrstor, "XRSTOR"),     ROW(c_xrstors, "XRSTORS"),
    };

    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        begin(ALL_STATE);
        m->cr4 &= ~CR4_OSXSAVE;
        POINT(go(&rows[i].code) == EXC_UD, rows[i].ud);
        begin(ALL_STATE);
        m->cr0 |= CR0_TS;
        POINT(go(&rows[i].code) == EXC_NM, rows[i].nm);
        write_cr0(read_cr0() & ~CR0_TS);
    }
}

static void in_use(void)
{
    begin(0);
    m->regs[M_CX] = 1;
    vectors(0, 0x22);
    POINT(GO(c_xgetbv) == EXC_NONE && (modes_reg(M_AX) & 0xffffffff) == XCR0_AVX,
          "XGETBV with ECX 1: what is in use");
    vectors(0, 0);
    fp_set_mxcsr(0x1fa0);
    POINT(GO(c_xgetbv) == EXC_NONE && (modes_reg(M_AX) & 0xffffffff) == XCR0_SSE,
          "XGETBV with ECX 1: MXCSR is SSE");
}

int rom_main(void)
{
    if (!fp_present() || (cpuid(0xd, 1).eax & 0xf) != 0xf) {
        tap_skip("no AVX, or not every kind of XSAVE", "the compacted form");
        tap_done();
    }
    fp_start();
    for (unsigned i = 0; i < FP_MODES; i++) {
        now = &fp_modes[i];
        optimized();
        compacted();
        bad_headers();
        privileged();
        enabled();
        in_use();
    }
    tap_done();
}

/* enable.c: what lets x87, MMX, SSE and AVX instructions run, in every mode: CR0.EM, TS and MP, CR4.OSFXSR and OSXSAVE, XCR0,
 * and a pending x87 exception. APM vol 2, 3.1.1 "CR0 Register", 3.1.3 "CR4 Register", 8.2.7 "#UD", 8.2.8 "#NM", 8.2.17
 * "#MF", 11.5.2 "XFEATURE_ENABLED_MASK"; vol 4, "Exceptions" of the instructions. */
#include "test-roms/fp/kit.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

FP_CODE(e_fld, "fld1");
FP_CODE(e_fnstsw, "fnstsw %ax");
FP_CODE(e_fninit, "fninit");
FP_CODE(e_fwait, "fwait");
FP_CODE(e_pxor, "pxor %mm0, %mm0");
FP_CODE(e_emms, "emms");
FP_CODE(e_xorps, "xorps %xmm0, %xmm0");
FP_CODE(e_pand, "pand 0xa10, %xmm0");
FP_CODE(e_ldmxcsr, "ldmxcsr 0xa00");
FP_CODE(e_movq2dq, "movq2dq %mm0, %xmm0");
FP_CODE(e_movnti, "movnti %eax, 0xa20\n prefetchnta 0xa20\n sfence");
FP_CODE(e_vxorps, ".byte 0xc5, 0xf8, 0x57, 0xc0");    /* VXORPS XMM0, XMM0, XMM0 */
FP_CODE(e_vxorps256, ".byte 0xc5, 0xfc, 0x57, 0xc0"); /* VXORPS YMM0, YMM0, YMM0 */
FP_CODE(e_vzeroupper, ".byte 0xc5, 0xf8, 0x77");
FP_CODE(e_fxsave, "fxsave 0x600");
FP_CODE(e_fxrstor, "fxrstor 0xc00");
FP_CODE(e_xsave, "xsave 0x600");
FP_CODE(e_xgetbv, "xgetbv");

/* What an instruction looks at. */
enum kind { X87, X87_CONTROL, WAIT, MMX, SSE, SSE_MMX, NOTHING, AVX, FXSAVE, XSAVE, XGETBV };

static const struct {
    enum kind kind;
    struct fp_code code;
    const char *name;
} rows[] = {
    { X87, FP_CODE_OF(e_fld), "FLD1: EM or TS is #NM, then #MF" },
    { X87_CONTROL, FP_CODE_OF(e_fnstsw), "FNSTSW: EM or TS is #NM, never #MF" },
    { X87_CONTROL, FP_CODE_OF(e_fninit), "FNINIT: EM or TS is #NM, never #MF" },
    { WAIT, FP_CODE_OF(e_fwait), "FWAIT: #NM if both MP and TS, then #MF" },
    { MMX, FP_CODE_OF(e_pxor), "PXOR MM0: EM is #UD, TS #NM, then #MF" },
    { MMX, FP_CODE_OF(e_emms), "EMMS: EM is #UD, TS #NM, then #MF" },
    { SSE, FP_CODE_OF(e_xorps), "XORPS: EM is #UD, OSFXSR=0 too, then TS is #NM, never #MF" },
    { SSE, FP_CODE_OF(e_pand), "PAND XMM0: EM is #UD, OSFXSR=0 too, then TS is #NM" },
    { SSE, FP_CODE_OF(e_ldmxcsr), "LDMXCSR: EM is #UD, OSFXSR=0 too, then TS is #NM" },
    { SSE_MMX, FP_CODE_OF(e_movq2dq),
      "MOVQ2DQ: EM is #UD, OSFXSR=0 too, then TS is #NM, then #MF" },
    { NOTHING, FP_CODE_OF(e_movnti), "MOVNTI, PREFETCHNTA, SFENCE: nothing keeps them" },
    { AVX, FP_CODE_OF(e_vxorps), "VXORPS XMM0: OSXSAVE and XCR0[2:1] else #UD, then TS is #NM" },
    { AVX, FP_CODE_OF(e_vxorps256), "VXORPS YMM0: OSXSAVE and XCR0[2:1] else #UD, then TS is #NM" },
    { AVX, FP_CODE_OF(e_vzeroupper), "VZEROUPPER: OSXSAVE and XCR0[2:1] else #UD, then TS is #NM" },
    { FXSAVE, FP_CODE_OF(e_fxsave), "FXSAVE: EM or TS is #NM, never #MF" },
    { FXSAVE, FP_CODE_OF(e_fxrstor), "FXRSTOR: EM or TS is #NM, never #MF" },
    { XSAVE, FP_CODE_OF(e_xsave), "XSAVE: OSXSAVE=0 is #UD, TS #NM" },
    { XGETBV, FP_CODE_OF(e_xgetbv), "XGETBV: OSXSAVE=0 is #UD" },
};
#define ROWS (sizeof rows / sizeof rows[0])

/* One world. */
struct setting {
    bool em, ts, mp, osfxsr, osxsave, pending;
    uint32_t xcr0;
};

static unsigned expected(enum kind kind, const struct fp_mode *mode, const struct setting *s)
{
    unsigned mf = s->pending ? EXC_MF : EXC_NONE;
    bool avx = mode->protected && s->osxsave && (s->xcr0 & XCR0_AVX) != 0;

    switch (kind) {
    case X87: return s->em || s->ts ? EXC_NM : mf;
    case X87_CONTROL:
    case FXSAVE: return s->em || s->ts ? EXC_NM : EXC_NONE;
    case WAIT: return s->mp && s->ts ? EXC_NM : mf;
    case MMX: return s->em ? EXC_UD : s->ts ? EXC_NM : mf;
    case SSE: return s->em || !s->osfxsr ? EXC_UD : s->ts ? EXC_NM : EXC_NONE;
    case SSE_MMX: return s->em || !s->osfxsr ? EXC_UD : s->ts ? EXC_NM : mf;
    case AVX: return !avx ? EXC_UD : s->ts ? EXC_NM : EXC_NONE;
    case XSAVE: return !s->osxsave ? EXC_UD : s->ts ? EXC_NM : EXC_NONE;
    case XGETBV: return !s->osxsave ? EXC_UD : EXC_NONE;
    case NOTHING: break;
    }
    return EXC_NONE;
}

/* Settings by number: all of the first six, each with AVX on; or with what else XCR0 and OSXSAVE can say. */
#define SETTINGS 72u
static struct setting setting(unsigned n)
{
    static const uint32_t masks[] = { XCR0_X87, XCR0_X87 | XCR0_SSE,
                                      XCR0_X87 | XCR0_SSE | XCR0_AVX };
    struct setting s = {
        n & 1, n >> 1 & 1, n >> 2 & 1, n >> 3 & 1, n >> 4 & 1, n >> 5 & 1, masks[2]
    };

    if (n >= 64)
        s = (struct setting){ false, n & 1, true, true, true, false, masks[(n - 64) / 2 % 3] };
    return s;
}

static struct modes_state *m;
static uint64_t cr0, cr4;

static unsigned run(unsigned row, const struct fp_mode *mode, const struct setting *s)
{
    struct mode_event e;

    m->cr0 = (cr0 & ~(CR0_EM | CR0_TS | CR0_MP)) | (s->em ? CR0_EM : 0) | (s->ts ? CR0_TS : 0) |
             (s->mp ? CR0_MP : 0);
    m->cr4 = (cr4 & ~(CR4_OSFXSR | CR4_OSXSAVE)) | (s->osfxsr ? CR4_OSFXSR : 0) |
             (s->osxsave ? CR4_OSXSAVE : 0);
    fp_set_pending(s->pending);
    fp_set_xcr0(s->xcr0);
    e = fp_run(m, &rows[row].code, mode->width);
    return fp_outcome(&e, &rows[row].code, mode->width);
}

static void point(unsigned row, const struct fp_mode *mode)
{
    unsigned wrong = 0;

    for (unsigned n = 0; n < SETTINGS; n++) {
        struct setting s = setting(n);
        unsigned want = expected(rows[row].kind, mode, &s), got = run(row, mode, &s);

        if (got != want && wrong++ == 0)
            rom_printf(
                "#   EM %u TS %u MP %u OSFXSR %u OSXSAVE %u pending %u XCR0 %u: %x, want %x\n",
                s.em, s.ts, s.mp, s.osfxsr, s.osxsave, s.pending, s.xcr0, got, want);
    }
    tap_ok(wrong == 0, "%s: %s", mode->name, rows[row].name);
}

int rom_main(void)
{
    bool present = fp_present();
    volatile uint32_t *mxcsr = (volatile uint32_t *)(uintptr_t)FP_DATA;
    volatile uint32_t *image =
        (volatile uint32_t *)(uintptr_t)0xc00; /* FXRSTOR's: all zero but these */

    if (present) {
        fp_start();
        *mxcsr = image[6] = 0x1f80;
        image[0] = 0x37f;
    }
    /* rows: pitfalls 7.5, 7.6 */
    for (unsigned i = 0; i < FP_MODES; i++) {
        m = modes_begin(fp_modes[i].mode, rows[0].code.begin[0]);
        m->regs[M_AX] = XCR0_X87 | XCR0_SSE; /* XSAVE's mask */
        cr0 = m->cr0;
        cr4 = m->cr4;
        for (unsigned row = 0; row < ROWS; row++) {
            if (present)
                point(row, &fp_modes[i]);
            else
                tap_skip("no AVX", "%s: %s", fp_modes[i].name, rows[row].name);
        }
    }
    tap_done();
}

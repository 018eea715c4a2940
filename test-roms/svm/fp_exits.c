/* fp_exits.c: exceptions of floating point that a hypervisor intercepts, XSETBV, writes of CR0.TS, and the freeze of legacy x87 errors. APM
 * vol 2, 15.12 "Exception Intercepts", 15.9 "Instruction Intercepts", 15.8.1 "MOV CRx/DRx Intercepts", 15.13.5 "FERR_FREEZE
 * Intercept", 8.2.16 "#MF", 8.2.19 "#XF". */
#include "test-roms/lib/apic.h"
#include "test-roms/svm/fp_kit.h"

#define MSR_HWCR 0xc0010015u
#define MSR_IGNNE 0xc0010115u
#define HWCR_IGNNE_EM 0x100u
#define VMEXIT_FERR_FREEZE UINT64_C(0x7e)
#define GPR_VALID (UINT64_C(1) << 63)
#define IRQ13_VECTOR 0x7d

#define CODE(name, setup, insn)      \
    extern const char name##_insn[]; \
    GUEST_CODE(name, setup "\n" #name "_insn: " insn)

/* x87 with 1/0 pending. */
#define PENDING "fninit\nfldcw (%rsi)\nfld1\nfldz\nfdivrp"

CODE(x_nm, "", "fld1");
CODE(x_mf, PENDING, "fld1");
CODE(x_mf_wait, PENDING, "fwait");
CODE(x_mf_mmx, PENDING, "movq %mm1, %mm0");
CODE(x_xf, "movups (%rdi), %xmm0\nxorps %xmm1, %xmm1\nldmxcsr 16(%rdi)", "divps %xmm1, %xmm0");
CODE(x_ac, "", "movq 1(%rdi), %xmm0");
CODE(x_ud, "", "vaddps %ymm1, %ymm2, %ymm0");
CODE(x_xsetbv, "", "xsetbv");
CODE(x_xgetbv, "xorl %ecx, %ecx", "xgetbv");
CODE(x_clts, "", "clts");
CODE(x_lmsw, "", "lmsw %bx");
CODE(x_mov, "", "movq %rbx, %cr0");

static struct svm_guest g;
static const uint16_t unmasked = 0x37b; /* FCW: all but ZE masked */
static struct {
    float value[4];
    uint32_t mxcsr, masked;
} operand __attribute__((aligned(16))) = { { 1, 2, 3, 4 }, 0x1d80, 0x1f80 };
static const float ones[4] __attribute__((aligned(16))) = { 1, 1, 1, 1 };
static struct fp_area before, after;
static uint64_t cr0, cr4;

static void begin(const char *code)
{
    kit_guest(&g, code);
    svm_set(&g, VMCB_CR0, cr0);
    svm_set(&g, VMCB_CR4, cr4);
    g.rdi = (uintptr_t)&operand;
    g.rsi = (uintptr_t)&unmasked;
    fp_set_mxcsr(0x1f80);
    __asm__ volatile("fninit\n\tmovups %0, %%xmm0" : : "m"(ones));
}

/* ---- exceptions ----------------------------------------------------------------------------------- */

static void expect_exit(unsigned vector, const char *insn, const char *what)
{
    tap_eq(svm_run(&g), VMEXIT_EXCP0 + vector, "%s: exit code", what);
    tap_eq(svm_get(&g, VMCB_RIP), (uintptr_t)insn, "%s: RIP is at the instruction", what);
    tap_ok(svm_get(&g, VMCB_EXITINFO1) == 0 && svm_get(&g, VMCB_EXITINTINFO) == 0,
           "%s: EXITINFO1 and EXITINTINFO are 0", what);
}

static void expect_delivered(unsigned vector, const char *insn, const char *what)
{
    struct kit_end end = kit_run(&g);

    tap_ok(end.event != NULL && end.event->vector == vector && end.event->rip == (uintptr_t)insn,
           "%s: not intercepted, delivered in the guest", what);
}

/* What lets it pass when the hypervisor has done its part: the guest goes on at the same instruction. */
static void expect_resumed(const char *what)
{
    svm_set8(&g, VMCB_TLB_CONTROL, TLB_CONTROL_NONE);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "%s: goes on when the cause is gone", what);
}

/* rows: pitfalls 7.5, exit 4.6 */
static void test_nm(void)
{
    begin(x_nm);
    svm_set(&g, VMCB_CR0, cr0 | CR0_TS);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_NM);
    expect_exit(EXC_NM, x_nm_insn, "#NM");
    tap_eq(svm_get(&g, VMCB_CR0) & CR0_TS, CR0_TS, "#NM: CR0.TS is saved");
    svm_set(&g, VMCB_CR0, cr0);
    expect_resumed("#NM");
    begin(x_nm);
    svm_set(&g, VMCB_CR0, cr0 | CR0_TS);
    expect_delivered(EXC_NM, x_nm_insn, "#NM");
}

/* rows: pitfalls 7.4, exit 4.11 */
static void test_mf(void)
{
    static const struct {
        const char *code, *insn, *what;
    } rows[] = {
        { x_mf, x_mf_insn, "#MF at FLD1" },
        { x_mf_wait, x_mf_wait_insn, "#MF at FWAIT" },
        { x_mf_mmx, x_mf_mmx_insn, "#MF at an MMX instruction" },
    };

    for (unsigned i = 0; i < 3; i++) {
        begin(rows[i].code);
        svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_MF);
        expect_exit(EXC_MF, rows[i].insn, rows[i].what);
        __asm__ volatile("fnclex"); /* the host works on the guest's x87 */
        expect_resumed(rows[i].what);
        begin(rows[i].code);
        expect_delivered(EXC_MF, rows[i].insn, rows[i].what);
    }
    /* The host's own next instruction finds it as well. */
    begin(x_mf);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_MF);
    svm_run(&g);
    tap_eq(trap_try((void (*)(void *))(uintptr_t)x_nm, NULL).vector, EXC_MF,
           "a pending exception is the host's, too");
    __asm__ volatile("fninit");
}

/* rows: pitfalls 7.21, exit 4.14 */
static void test_xf(void)
{
    begin(x_xf);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_XF | 1u << EXC_UD);
    expect_exit(EXC_XF, x_xf_insn, "#XF");
    tap_eq(fp_mxcsr(), 0x1d84, "#XF: MXCSR.ZE is set");
    fp_save(&after);
    tap_ok(memcmp(after.byte + 160, operand.value, 16) == 0, "#XF: the destination is as it was");
    fp_set_mxcsr(0x1f80);
    expect_resumed("#XF");
    begin(x_xf);
    expect_delivered(EXC_XF, x_xf_insn, "#XF");
    begin(x_xf);
    svm_set(&g, VMCB_CR4, cr4 & ~CR4_OSXMMEXCPT);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_XF | 1u << EXC_UD);
    expect_exit(EXC_UD, x_xf_insn, "#UD for want of CR4.OSXMMEXCPT");
    tap_eq(fp_mxcsr(), 0x1d84, "its MXCSR.ZE is set");
    fp_set_mxcsr(0x1f80);
}

/* rows: exit 4.6 */
static void test_ud(void)
{
    begin(x_ud);
    svm_set(&g, VMCB_CR4, cr4 & ~CR4_OSXSAVE);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_UD | 1u << EXC_NM);
    svm_set(&g, VMCB_CR0, cr0 | CR0_TS);
    expect_exit(EXC_UD, x_ud_insn, "AVX without CR4.OSXSAVE");
    svm_set(&g, VMCB_CR4, cr4);
    expect_exit(EXC_NM, x_ud_insn, "AVX with CR0.TS");
    svm_set(&g, VMCB_CR0, cr0);
    expect_resumed("AVX");
}

/* rows: exit 4.12 */
static void test_ac(void)
{
    begin(x_ac);
    kit_guest_user(&g);
    svm_set(&g, VMCB_CR0, cr0 | CR0_AM);
    svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE | RFLAGS_AC);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_AC);
    expect_exit(EXC_AC, x_ac_insn, "#AC");
    svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE);
    expect_resumed("#AC");
}

/* ---- XSETBV ------------------------------------------------------------------------------------------ */

static void xsetbv(uint32_t eax, uint32_t ecx, bool user, bool intercept)
{
    begin(x_xsetbv);
    if (user)
        kit_guest_user(&g);
    svm_set(&g, VMCB_RAX, eax);
    g.rcx = ecx;
    if (intercept)
        svm_intercept(&g, VMCB_INTERCEPT_4, INTERCEPT4_XSETBV);
}

/* rows: pitfalls 9.6, exit 1.3.14, 2.21 */
static void test_xsetbv(void)
{
    static const struct {
        const char *what;
        uint32_t eax, ecx;
        bool user;
    } rows[] = {
        { "a value without x87", 6, 0, false },
        { "AVX without SSE", 5, 0, false },
        { "XCR1", 7, 1, false },
        { "CPL 3", 7, 0, true },
    };
    struct kit_end end;

    xsetbv(3, 0, false, true);
    tap_eq(svm_run(&g), VMEXIT_XSETBV, "XSETBV: exit code");
    tap_ok(svm_get(&g, VMCB_RIP) == (uintptr_t)x_xsetbv_insn && fp_xcr0() == XCR0_ALL,
           "XSETBV: nothing is done");
    if (svm_has(SVM_FEATURE_NRIPS))
        tap_eq(svm_get(&g, VMCB_NRIP), (uintptr_t)x_xsetbv_end, "XSETBV: nRIP");
    else
        tap_skip("no NRIPS", "XSETBV: nRIP");
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        xsetbv(rows[i].eax, rows[i].ecx, rows[i].user, true);
        tap_eq(svm_run(&g), VMEXIT_XSETBV, "XSETBV, %s: the intercept comes before #GP",
               rows[i].what);
        xsetbv(rows[i].eax, rows[i].ecx, rows[i].user, false);
        end = kit_run(&g);
        tap_ok(end.event != NULL && end.event->vector == EXC_GP && end.event->error == 0,
               "XSETBV, %s: #GP(0) without it", rows[i].what);
    }
    xsetbv(3, 0, false, true);
    svm_set(&g, VMCB_CR4, cr4 & ~CR4_OSXSAVE);
    end = kit_run(&g);
    tap_ok(end.event != NULL && end.event->vector == EXC_UD,
           "XSETBV without CR4.OSXSAVE: #UD comes before the intercept");
    begin(x_xgetbv);
    svm_set32(&g, VMCB_INTERCEPT_4, ~0u);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "XGETBV has no intercept");
}

/* ---- CR0.TS -------------------------------------------------------------------------------------------- */

#define CR0_WRITE (1u << 16)
#define SELECTIVE INTERCEPT3_CR0_SEL_WRITE

/* MOV with RBX = CR0 of the guest XOR flip, LMSW with BX so; the guest starts with CR0.TS = 1. */
static void cr0_row(const char *code, const char *insn, uint64_t flip, uint32_t cr_bits,
                    uint32_t bits3, uint64_t code_wanted, const char *what)
{
    uint64_t start = cr0 | CR0_TS, info = insn == x_mov_insn ? GPR_VALID | 3 : 0, exitcode;

    begin(code);
    svm_set(&g, VMCB_CR0, start);
    g.rbx = start ^ flip;
    svm_intercept(&g, VMCB_INTERCEPT_CR, cr_bits);
    svm_intercept(&g, VMCB_INTERCEPT_3, bits3);
    exitcode = svm_run(&g);
    tap_eq(exitcode, code_wanted, "%s: %s", what,
           code_wanted == VMEXIT_VMMCALL ? "no exit" : "exit code");
    if (code_wanted == VMEXIT_VMMCALL) {
        tap_eq(svm_get(&g, VMCB_CR0), code == x_clts ? cr0 : start ^ flip, "%s: CR0 is written",
               what);
        return;
    }
    tap_eq(svm_get(&g, VMCB_CR0), start, "%s: CR0 is as it was", what);
    tap_eq(svm_get(&g, VMCB_RIP), (uintptr_t)insn, "%s: RIP", what);
    if (svm_has(SVM_FEATURE_DECODE_ASSISTS))
        tap_eq(svm_get(&g, VMCB_EXITINFO1), info, "%s: EXITINFO1", what);
    else
        tap_skip("no decode assists", "%s: EXITINFO1", what);
}

static void test_ts(void)
{
    cr0_row(x_clts, x_clts_insn, 0, CR0_WRITE, 0, VMEXIT_CR0_WRITE, "CLTS, CR0 write");
    cr0_row(x_clts, x_clts_insn, 0, 0, SELECTIVE, VMEXIT_VMMCALL, "CLTS, selective");
    cr0_row(x_lmsw, x_lmsw_insn, CR0_TS, CR0_WRITE, SELECTIVE, VMEXIT_CR0_WRITE, "LMSW, both");
    cr0_row(x_lmsw, x_lmsw_insn, 0, 0, SELECTIVE, VMEXIT_CR0_SEL_WRITE,
            "LMSW of the same value, selective");
    cr0_row(x_lmsw, x_lmsw_insn, CR0_TS, 0, 0, VMEXIT_VMMCALL, "LMSW without TS");
    cr0_row(x_mov, x_mov_insn, CR0_TS, CR0_WRITE, 0, VMEXIT_CR0_WRITE, "MOV without TS, CR0 write");
    cr0_row(x_mov, x_mov_insn, CR0_TS | CR0_MP, 0, SELECTIVE, VMEXIT_VMMCALL,
            "MOV of other TS and MP, selective");
    cr0_row(x_mov, x_mov_insn, CR0_EM, 0, SELECTIVE, VMEXIT_CR0_SEL_WRITE,
            "MOV of another EM, selective");
    cr0_row(x_mov, x_mov_insn, CR0_NE, 0, SELECTIVE, VMEXIT_CR0_SEL_WRITE,
            "MOV of another NE, selective");
}

/* ---- the freeze -------------------------------------------------------------------------------------------- */

static void legacy(const char *code)
{
    begin(code);
    svm_set(&g, VMCB_CR0, cr0 & ~CR0_NE);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_MF);
}

/* IRQ 13 of the PICs to a vector, or all masked again. */
static void pics(bool open)
{
    static const uint8_t words[2][4] = { { 0x11, 0x70, 4, 1 }, { 0x11, 0x78, 2, 1 } };

    for (unsigned i = 0; i < 2; i++) {
        outb(i ? 0xa0 : 0x20, words[i][0]);
        for (unsigned word = 1; word < 4; word++)
            outb(i ? 0xa1 : 0x21, words[i][word]);
    }
    outb(0x21, open ? 0xfb : 0xff);
    outb(0xa1, open ? 0xdf : 0xff);
}

static void clear_ferr(void)
{
    __asm__ volatile("fninit");
    outb(0xf0, 0);
}

/* rows: exit 1.2.25, 2.32 */
static void test_freeze(void)
{
    legacy(x_mf_wait);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_FERR_FREEZE);
    tap_eq(svm_run(&g), VMEXIT_FERR_FREEZE,
           "CR0.NE = 0 of the guest alone: exit code of the freeze");
    tap_eq(svm_get(&g, VMCB_RIP), (uintptr_t)x_mf_wait_insn,
           "the freeze: RIP is at the instruction that waits");
    tap_ok(svm_get(&g, VMCB_EXITINFO1) == 0 && svm_get(&g, VMCB_EXITINFO2) == 0,
           "the freeze: EXITINFO1 and EXITINFO2 are 0");
    tap_eq(svm_run(&g), VMEXIT_FERR_FREEZE, "run again it freezes again");
    svm_set(&g, VMCB_CR0, cr0);
    tap_eq(svm_run(&g), VMEXIT_EXCP0 + EXC_MF, "with CR0.NE = 1 it is #MF instead");
    clear_ferr();
    expect_resumed("the freeze");

    /* HWCR.IGNNE_EM puts the MSR into the pin's place. */
    wrmsr(MSR_HWCR, rdmsr(MSR_HWCR) | HWCR_IGNNE_EM);
    wrmsr(MSR_IGNNE, 1);
    legacy(x_mf_wait);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_FERR_FREEZE);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "IGNNE: the instruction runs, nothing freezes");
    clear_ferr();
    wrmsr(MSR_IGNNE, 0);
    legacy(x_mf_wait);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_FERR_FREEZE);
    tap_eq(svm_run(&g), VMEXIT_FERR_FREEZE, "not IGNNE: it does");
    clear_ferr();
    wrmsr(MSR_HWCR, rdmsr(MSR_HWCR) & ~(uint64_t)HWCR_IGNNE_EM);
}

/* Without the intercept the guest stands still until the interrupt that FERR# is for. */
static void test_interrupt(void)
{
    apic_init();
    apic_write(APIC_LVT_LINT0, 0x700); /* ExtINT */
    pics(true);
    legacy(x_mf_wait);
    svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE | RFLAGS_IF);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_INTR);
    g.keep_gif = true;
    tap_eq(svm_run(&g), VMEXIT_INTR, "frozen without the intercept: FERR# brings IRQ 13");
    tap_eq(svm_get(&g, VMCB_RIP), (uintptr_t)x_mf_wait_insn,
           "which finds the guest at the instruction that waits");
    clear_ferr();
    pics(false);
    svm_stgi();
    legacy(x_mf_wait);
    pics(true);
    svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE | RFLAGS_IF);
    g.keep_gif = false;
    {
        struct kit_end end = kit_run(&g);

        tap_ok(end.event != NULL && end.event->vector == IRQ13_VECTOR &&
                   end.event->rip == (uintptr_t)x_mf_wait_insn,
               "not intercepted it is the guest's interrupt, there");
    }
    clear_ferr();
    outb(0xa0, 0x20);
    outb(0x20, 0x20);
    pics(false);
    apic_write(APIC_LVT_LINT0, APIC_LVT_MASKED);
}

int rom_main(void)
{
    fp_init();
    cr0 = (read_cr0() & ~(CR0_TS | CR0_EM)) | CR0_NE | CR0_MP;
    cr4 = read_cr4();
    write_cr0(cr0);
    fp_save(&before);
    test_nm();
    test_mf();
    test_xf();
    test_ud();
    test_ac();
    test_xsetbv();
    test_ts();
    test_freeze();
    test_interrupt();
    tap_done();
}

/* fp_faults.c: page faults in the middle of the operands of vectors and saved state, nested ones and the guest's own: what the exit
 * reports, that nothing was done, and that the instruction can be started again. APM vol 2, 15.25.6 "Nested versus Guest Page Faults,
 * Fault Ordering", 15.8.4 "Nested and Intercepted #PF", 15.12 "Exception Intercepts". */
#include "test-roms/svm/fp_kit.h"

#define PWU (PAGE_P | PAGE_W | PAGE_U)
#define WINDOW (PAGING_WINDOW + UINT64_C(0x6000000))
#define PAIR (2 * PAGE_4K)
#define USED 1024u /* round the place where the pages meet */

#define CODE(name, setup, insn)      \
    extern const char name##_insn[]; \
    GUEST_CODE(name, setup "\n" #name "_insn: " insn)

CODE(f_movups_r, "", "movups (%rdi), %xmm1");
CODE(f_movups_w, "", "movups %xmm2, (%rdi)");
CODE(f_vmovups_r, "", "vmovups (%rdi), %ymm1");
CODE(f_vmovups_w, "", "vmovups %ymm2, (%rdi)");
CODE(f_vaddps, "", "vaddps (%rdi), %ymm2, %ymm1");
CODE(f_lddqu, "", "lddqu (%rdi), %xmm1");
CODE(f_movq_r, "", "movq (%rdi), %mm1");
CODE(f_movntq, "", "movq %mm2, (%rdi)");
CODE(f_broadcast, "", "vbroadcastf128 (%rdi), %ymm1");
CODE(f_pmovzx, "", "vpmovzxbw (%rdi), %ymm1");
CODE(f_extract, "", "vextractf128 $1, %ymm2, (%rdi)");
CODE(f_ph, "", "vcvtps2ph $0, %ymm2, (%rdi)");
CODE(f_pcmpistri, "", "pcmpistrm $0x0c, (%rdi), %xmm2");
CODE(f_maskmov, "pcmpeqd %xmm3, %xmm3", "maskmovdqu %xmm3, %xmm2");
CODE(f_vmaskmov_r, "vpcmpeqd %ymm3, %ymm3, %ymm3", "vmaskmovps (%rdi), %ymm3, %ymm1");
CODE(f_vmaskmov_w, "vpcmpeqd %ymm3, %ymm3, %ymm3", "vmaskmovps %ymm2, %ymm3, (%rdi)");
CODE(f_fld, "", "fldt (%rdi)");
CODE(f_fstp, "", "fstpt (%rdi)");
CODE(f_fldl, "", "fldl (%rdi)");
CODE(f_fistp, "", "fistpll (%rdi)");
CODE(f_fbstp, "", "fbstp (%rdi)");
CODE(f_fnstenv, "", "fnstenv (%rdi)");
CODE(f_fnsave, "", "fnsave (%rdi)");
CODE(f_frstor, "", "frstor (%rdi)");
CODE(f_fxsave, "", "fxsave64 (%rdi)");
CODE(f_fxrstor, "", "fxrstor64 (%rdi)");
CODE(f_xsave, "movl $7, %eax\nxorl %edx, %edx", "xsave64 (%rdi)");
CODE(f_xsaveopt, "movl $7, %eax\nxorl %edx, %edx", "xsaveopt64 (%rdi)");
CODE(f_xsavec, "movl $7, %eax\nxorl %edx, %edx", "xsavec64 (%rdi)");
CODE(f_xrstor, "movl $7, %eax\nxorl %edx, %edx", "xrstor64 (%rdi)");

/* Lanes that nobody asks for are in the page that is not there. */
CODE(f_none_r, "vpxor %ymm3, %ymm3, %ymm3\npcmpeqd %xmm3, %xmm3",
     "vmaskmovps (%rdi), %ymm3, %ymm1");
CODE(f_none_w, "vpxor %ymm3, %ymm3, %ymm3\npcmpeqd %xmm3, %xmm3",
     "vmaskmovps %ymm2, %ymm3, (%rdi)");
/* Dwords at RDI + 4 * 0, 1, 2, ... */
CODE(f_gather, "vpcmpeqd %ymm3, %ymm3, %ymm3\nvmovdqu (%rsi), %ymm4",
     "vpgatherdd %ymm3, (%rdi,%ymm4,4), %ymm1");

static const struct row {
    const char *name, *code, *insn;
    uint16_t bytes, align;
    bool write, image, needs_image;
} rows[] = {
    { "MOVUPS load", f_movups_r, f_movups_r_insn, 16, 1, false, false, false },
    { "MOVUPS store", f_movups_w, f_movups_w_insn, 16, 1, true, false, false },
    { "VMOVUPS load of 32 bytes", f_vmovups_r, f_vmovups_r_insn, 32, 1, false, false, false },
    { "VMOVUPS store of 32 bytes", f_vmovups_w, f_vmovups_w_insn, 32, 1, true, false, false },
    { "VADDPS", f_vaddps, f_vaddps_insn, 32, 1, false, false, false },
    { "LDDQU", f_lddqu, f_lddqu_insn, 16, 1, false, false, false },
    { "MOVQ load of an MMX register", f_movq_r, f_movq_r_insn, 8, 1, false, false, false },
    { "MOVQ store of an MMX register", f_movntq, f_movntq_insn, 8, 1, true, false, false },
    { "VBROADCASTF128", f_broadcast, f_broadcast_insn, 16, 1, false, false, false },
    { "VPMOVZXBW", f_pmovzx, f_pmovzx_insn, 16, 1, false, false, false },
    { "VEXTRACTF128", f_extract, f_extract_insn, 16, 1, true, false, false },
    { "VCVTPS2PH", f_ph, f_ph_insn, 16, 1, true, false, false },
    { "PCMPISTRM", f_pcmpistri, f_pcmpistri_insn, 16, 1, false, false, false },
    { "MASKMOVDQU", f_maskmov, f_maskmov_insn, 16, 1, true, false, false },
    { "VMASKMOVPS load", f_vmaskmov_r, f_vmaskmov_r_insn, 32, 4, false, false, false },
    { "VMASKMOVPS store", f_vmaskmov_w, f_vmaskmov_w_insn, 32, 4, true, false, false },
    { "FLD m80", f_fld, f_fld_insn, 10, 1, false, false, false },
    { "FSTP m80", f_fstp, f_fstp_insn, 10, 1, true, false, false },
    { "FLD m64", f_fldl, f_fldl_insn, 8, 1, false, false, false },
    { "FISTP m64", f_fistp, f_fistp_insn, 8, 1, true, false, false },
    { "FBSTP", f_fbstp, f_fbstp_insn, 10, 1, true, false, false },
    { "FNSTENV", f_fnstenv, f_fnstenv_insn, 28, 1, true, true, false },
    { "FNSAVE", f_fnsave, f_fnsave_insn, 108, 1, true, true, false },
    { "FRSTOR", f_frstor, f_frstor_insn, 108, 1, false, true, false },
    { "FXSAVE", f_fxsave, f_fxsave_insn, 416, 16, true, true, false },
    { "FXRSTOR", f_fxrstor, f_fxrstor_insn, 416, 16, false, true, true },
    { "XSAVE", f_xsave, f_xsave_insn, 832, 64, true, true, false },
    { "XSAVEOPT", f_xsaveopt, f_xsaveopt_insn, 832, 64, true, true, false },
    { "XSAVEC", f_xsavec, f_xsavec_insn, 832, 64, true, true, false },
    { "XRSTOR", f_xrstor, f_xrstor_insn, 832, 64, false, true, true },
};

static uint8_t pair[PAIR] __attribute__((aligned(4096)));
static uint8_t *const used = pair + PAGE_4K - USED / 2;
static uint8_t memory_before[USED], memory_after[USED];
static struct fp_area initial, now, golden, image;
static const uint32_t indices[8] = { 0, 1, 2, 3, 4, 5, 6, 7 };
static struct svm_guest g;
static uint64_t *nested;
static volatile uint64_t *nested_leaf[2], *guest_leaf[2];

/* ---- worlds --------------------------------------------------------------------------------------- */

/* Registers that differ from each other and hold numbers. */
static void make_initial(void)
{
    static const float value[8] = { 1.5f, 2, 3, 4, 5, 6, 7, 8 };

    __asm__ volatile(
        "fninit\n fld1\n fldpi\n fldl2e\n vmovups %0, %%ymm2\n vaddps %%ymm2, %%ymm2, %%ymm1\n"
        "vaddps %%ymm1, %%ymm2, %%ymm3\n vaddps %%ymm1, %%ymm3, %%ymm4"
        :
        : "m"(value));
    fp_save(&initial);
    memcpy(&image, &initial, sizeof image);
    memset(image.byte + 160, 0x3e, 256);
    memset(image.byte + 576, 0x3f, 256);
}

static uint64_t place(const struct row *r)
{
    uint64_t half = r->align > 1 ? (uint64_t)(r->bytes / 2 + r->align - 1) / r->align * r->align
                                 : (uint64_t)r->bytes / 2 + 1;

    return PAGE_4K - half;
}

static void fill(const struct row *r)
{
    for (unsigned i = 0; i < USED; i++)
        used[i] = (uint8_t)(i * 7 + 1);
    if (r->needs_image)
        memcpy(pair + place(r), image.byte, r->bytes);
    else if (r->image) /* the header of XSAVE, and what FRSTOR takes */
        memset(pair + place(r), 0, r->bytes);
    memcpy(memory_before, used, USED);
}

static void begin(const struct row *r)
{
    fill(r);
    *nested_leaf[0] = *nested_leaf[0] | PWU;
    *nested_leaf[1] = *nested_leaf[1] | PWU;
    *guest_leaf[0] = (uintptr_t)pair | PWU;
    *guest_leaf[1] = ((uintptr_t)pair + PAGE_4K) | PWU;
    kit_guest(&g, r->code);
    svm_set_nested(&g, nested);
    g.rdi = WINDOW + place(r);
    g.rsi = (uintptr_t)indices;
    fp_restore(&initial);
}

/* Vectors, x87 and MXCSR as one area. */
static bool state_is(const struct fp_area *area)
{
    memset(&now, 0, sizeof now);
    fp_save(&now);
    return memcmp(&now, area, XSTATE_BYTES) == 0;
}

/* ---- rows ------------------------------------------------------------------------------------------- */

static bool bytes_stored(const struct row *r)
{
    unsigned length = (unsigned)(r->code == f_maskmov ? 4 : 3); /* not longer than any of them */

    return svm_get8(&g, VMCB_INSN_BYTES) >= length &&
           memcmp(g.vmcb + VMCB_INSN_BYTES + 1, r->insn, length) == 0;
}

/* The page that faults: 0 or 1. Its first byte that is used. */
static uint64_t fault_offset(const struct row *r, unsigned page)
{
    return page == 0 ? place(r) : PAGE_4K;
}

static void check_exit(const struct row *r, uint64_t code, uint64_t info1, uint64_t info2,
                       const char *what)
{
    uint64_t got = svm_run(&g), mask = r->image ? ~(PAGE_4K - 1) : ~UINT64_C(0);
    bool right = got == code && svm_get(&g, VMCB_EXITINFO1) == info1 &&
                 (svm_get(&g, VMCB_EXITINFO2) & mask) == (info2 & mask) &&
                 svm_get(&g, VMCB_RIP) == (uintptr_t)r->insn;

    tap_ok(right, "%s, %s: exit, EXITINFO, RIP", r->name, what);
    if (!right)
        rom_printf("#   exit code %lx, EXITINFO1 %lx, EXITINFO2 %lx (want %lx), RIP %lx\n", got,
                   svm_get(&g, VMCB_EXITINFO1), svm_get(&g, VMCB_EXITINFO2), info2,
                   svm_get(&g, VMCB_RIP));
    if (svm_has(SVM_FEATURE_DECODE_ASSISTS))
        tap_ok(bytes_stored(r), "%s, %s: instruction bytes", r->name, what);
    else
        tap_skip("no decode assists", "%s, %s: instruction bytes", r->name, what);
}

/* The hypervisor has repaired the page and its guest goes on. */
static void check_again(const struct row *r, const char *what)
{
    bool done;

    tap_ok(memcmp(used, memory_before, USED) == 0, "%s, %s: nothing was stored", r->name, what);
    svm_set8(&g, VMCB_TLB_CONTROL, TLB_CONTROL_FLUSH_ALL);
    done =
        svm_run(&g) == VMEXIT_VMMCALL && state_is(&golden) && memcmp(used, memory_after, USED) == 0;
    tap_ok(done, "%s, %s: started again it does all", r->name, what);
}

static bool setup_matters(const struct row *r)
{
    return r->code != r->insn; /* code before the instruction that changes registers */
}

static void check_kept(const struct row *r, const char *what)
{
    static struct fp_area changed;

    if (setup_matters(r)) { /* run the setup alone: the exit has left its registers */
        fp_save(&changed);
        tap_ok(memcmp(changed.byte, initial.byte, 160) == 0 &&
                   memcmp(changed.byte + 160, initial.byte + 160, 48) == 0,
               "%s, %s: no register has changed", r->name, what);
    } else {
        tap_ok(state_is(&initial), "%s, %s: no register has changed", r->name, what);
    }
}

static void check_fault(const struct row *r, unsigned page, bool own)
{
    static const char *const whats[2][2] = {
        { "nested fault in the first page", "nested fault in the second page" },
        { "#PF in the first page", "#PF in the second page" }
    };
    const char *what = whats[own][page];
    uint64_t error = r->write ? PF_RW : 0, offset = fault_offset(r, page);

    begin(r);
    if (own) {
        *guest_leaf[page] &= ~PAGE_P;
        svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_PF);
        check_exit(r, VMEXIT_EXCP0 + EXC_PF, error, WINDOW + offset, what);
        *guest_leaf[page] |= PAGE_P;
    } else {
        *nested_leaf[page] &= ~PAGE_P;
        check_exit(r, VMEXIT_NPF, NPF_FINAL | PF_US | error, (uintptr_t)pair + offset, what);
        *nested_leaf[page] |= PAGE_P;
    }
    check_kept(r, what);
    check_again(r, what);
}

/* A nested page that is there but read-only: what emulators of devices and dirty logs use. */
static void check_read_only(const struct row *r)
{
    begin(r);
    *nested_leaf[1] &= ~PAGE_W;
    if (r->write) {
        check_exit(r, VMEXIT_NPF, NPF_FINAL | PF_US | PF_RW | PF_P, (uintptr_t)pair + PAGE_4K,
                   "second page read-only");
        *nested_leaf[1] |= PAGE_W;
        check_again(r, "second page read-only");
    } else {
        tap_ok(svm_run(&g) == VMEXIT_VMMCALL && state_is(&golden),
               "%s, second page read-only: passes", r->name);
    }
}

static bool exists(const struct row *r)
{
    uint32_t have = cpuid_checked(0xd, 1).eax; /* bit 0: XSAVEOPT, 1: XSAVEC */

    return (r->code != f_xsaveopt || (have & 1) != 0) && (r->code != f_xsavec || (have & 2) != 0);
}

static void check_row(const struct row *r)
{
    if (!exists(r)) {
        tap_skip("no such instruction", "%s", r->name);
        return;
    }
    begin(r);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "%s across two pages", r->name);
    fp_save(&golden);
    memcpy(memory_after, used, USED);
    for (unsigned page = 0; page < 2; page++) {
        check_fault(r, page, false);
        check_fault(r, page, true);
    }
    check_read_only(r);
}

/* ---- elements -------------------------------------------------------------------------------------------- */

/* rows: pitfalls 7.16 */
static void check_masked(void)
{
    static const struct row read = {
        "VMASKMOVPS load", f_none_r, f_none_r_insn, 32, 16, false, false, false
    };
    static const struct row write = {
        "VMASKMOVPS store", f_none_w, f_none_w_insn, 32, 16, true, false, false
    };

    begin(&read);
    *nested_leaf[1] &= ~PAGE_P;
    tap_eq(svm_run(&g), VMEXIT_VMMCALL,
           "VMASKMOVPS load: elements that are not asked for do not fault");
    begin(&write);
    *nested_leaf[1] &= ~PAGE_P;
    tap_eq(svm_run(&g), VMEXIT_VMMCALL,
           "VMASKMOVPS store: elements that are not asked for do not fault");
    tap_ok(memcmp(used + USED / 2, memory_before + USED / 2, USED / 2) == 0 &&
               memcmp(pair + PAGE_4K - 16, initial.byte + 160 + 32, 16) == 0,
           "VMASKMOVPS store: the others are stored");
}

/* Elements 0 to 3 are in the first page, 4 to 7 in the second. */
static void check_gather(void)
{
    static const struct row r = {
        "VPGATHERDD", f_gather, f_gather_insn, 32, 16, false, false, false
    };
    uint64_t code;

    begin(&r);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "VPGATHERDD across two pages");
    fp_save(&golden);
    begin(&r);
    *nested_leaf[1] &= ~PAGE_P;
    code = svm_run(&g);
    tap_ok(code == VMEXIT_NPF && svm_get(&g, VMCB_EXITINFO1) == (NPF_FINAL | PF_US) &&
               svm_get(&g, VMCB_EXITINFO2) == (uintptr_t)pair + PAGE_4K &&
               svm_get(&g, VMCB_RIP) == (uintptr_t)f_gather_insn,
           "VPGATHERDD, nested fault at element 4: exit, EXITINFO, RIP");
    fp_save(&now);
    tap_ok(memcmp(now.byte + 160 + 16, pair + PAGE_4K - 16, 16) == 0 &&
               fp_word(&now, 160 + 48) == 0 && fp_word(&now, 160 + 56) == 0 &&
               fp_word(&now, 576 + 48) == UINT64_MAX && fp_word(&now, 576 + 56) == UINT64_MAX,
           "VPGATHERDD: elements 0 to 3 are there, their masks clear, the others wait");
    *nested_leaf[1] |= PAGE_P;
    memset(pair, 0xee, PAGE_4K); /* nobody looks at them again */
    tap_ok(svm_run(&g) == VMEXIT_VMMCALL && state_is(&golden),
           "VPGATHERDD: started again it reads the rest alone");
}

int rom_main(void)
{
    fp_init();
    if (!svm_has(SVM_FEATURE_NP)) {
        tap_skip("no nested paging", "everything");
        tap_done();
    }
    make_initial();
    nested = kit_nested_identity();
    for (unsigned i = 0; i < 2; i++) {
        uint64_t spa = (uintptr_t)pair + i * PAGE_4K;

        nested_leaf[i] = paging_map(nested, spa, spa, PAGE_4K, PWU);
        guest_leaf[i] = paging_map(paging_root(), WINDOW + i * PAGE_4K, spa, PAGE_4K, PWU);
    }
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_row(&rows[i]);
    check_masked();
    check_gather();
    tap_done();
}

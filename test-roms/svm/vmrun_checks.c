/* vmrun_checks.c: the consistency checks of VMRUN, each with values on both sides of its boundary.
 * APM vol 2, 15.5.1 "Basic Operation", "Canonicalization and Consistency Checks". */
#include "test-roms/svm/kit.h"

GUEST_CODE(guest_nothing, "");

static struct svm_guest g;

static void fresh(void)
{
    kit_guest(&g, guest_nothing);
}

/* Run the guest as prepared; valid means that it gets to its VMMCALL. */
static void expect(bool valid, const char *what)
{
    static const uint64_t mark = UINT64_C(0x1122334455667788);
    uint64_t code;

    g.rbx = mark;
    code = svm_run(&g);
    if (valid)
        tap_eq(code, VMEXIT_VMMCALL, "%s is accepted", what);
    else
        tap_ok(code == VMEXIT_INVALID && g.rbx == mark, "%s is VMEXIT_INVALID", what);
}

static void with(unsigned offset, uint64_t value, bool valid, const char *what)
{
    fresh();
    svm_set(&g, offset, value);
    expect(valid, what);
}

/* rows: svmop 4.2-4.3, 4.34 */
static void test_cr0(void)
{
    uint64_t cr0 = read_cr0();

    with(VMCB_CR0, cr0 | CR0_CD, true, "CR0.CD=1 NW=0");
    with(VMCB_CR0, cr0 | CR0_CD | CR0_NW, true, "CR0.CD=1 NW=1");
    with(VMCB_CR0, cr0 | CR0_NW, false, "CR0.CD=0 NW=1");
    with(VMCB_CR0, cr0 | UINT64_C(1) << 32, false, "CR0 bit 32");
    with(VMCB_CR0, cr0 | UINT64_C(1) << 63, false, "CR0 bit 63");
    with(VMCB_CR0, cr0 | UINT64_C(1) << 28, true, "CR0 bit 28 (reserved, ignored)");
    with(VMCB_CR0, cr0 & ~CR0_ET, true, "CR0.ET=0");
    with(VMCB_CR0, cr0 & ~CR0_NE, true, "CR0.NE=0");
}

/* rows: svmop 4.4-4.5 */
static void test_cr3_cr4(void)
{
    uint64_t cr3 = read_cr3(), cr4 = read_cr4();
    unsigned width = cpu_maxphyaddr();

    with(VMCB_CR3, cr3 | 0x018, true, "CR3.PCD and PWT");
    with(VMCB_CR3, cr3 | 0xfe7, true, "CR3 bits 11:5 and 2:0 in long mode");
    if (width < 52)
        with(VMCB_CR3, cr3 | UINT64_C(1) << width, false, "CR3 bit MAXPHYADDR in long mode");
    else
        tap_skip("52 address bits", "CR3 bit MAXPHYADDR in long mode");
    with(VMCB_CR3, cr3 | UINT64_C(1) << 52, false, "CR3 bit 52 in long mode");
    with(VMCB_CR3, cr3 | UINT64_C(1) << 63, false, "CR3 bit 63 in long mode");
    with(VMCB_CR4, cr4 | CR4_TSD | CR4_PGE, true, "CR4 with TSD and PGE");
    with(VMCB_CR4, cr4 | UINT64_C(1) << 13, false, "CR4 bit 13 (no VMX on AMD)");
    with(VMCB_CR4, cr4 | UINT64_C(1) << 15, false, "CR4 bit 15");
    with(VMCB_CR4, cr4 | UINT64_C(1) << 19, false, "CR4 bit 19");
    with(VMCB_CR4, cr4 | UINT64_C(1) << 31, false, "CR4 bit 31");
    with(VMCB_CR4, cr4 | UINT64_C(1) << 32, false, "CR4 bit 32");
    with(VMCB_CR4, cr4 | UINT64_C(1) << 63, false, "CR4 bit 63");
}

/* rows: svmop 4.1, 4.7, 4.9-4.11 */
static void test_efer(void)
{
    static const uint8_t bits[] = { 9, 16, 24, 32, 63 };
    uint64_t efer = rdmsr(MSR_EFER), cr4 = read_cr4(), cr0 = read_cr0();

    with(VMCB_EFER, efer & ~EFER_SVME, false, "EFER.SVME=0");
    with(VMCB_EFER, efer & ~EFER_SCE, true, "EFER.SCE=0");
    for (unsigned i = 0; i < sizeof bits; i++) {
        fresh();
        svm_set(&g, VMCB_EFER, efer | UINT64_C(1) << bits[i]);
        tap_eq(svm_run(&g), VMEXIT_INVALID, "EFER bit %u is VMEXIT_INVALID", bits[i]);
    }
    with(VMCB_CR4, cr4 & ~CR4_PAE, false, "LME=1 PG=1 PAE=0");
    with(VMCB_CR0, cr0 & ~CR0_PE, false, "LME=1 PG=1 PE=0");
    fresh();
    svm_set_segment(&g, VMCB_CS, SEL_CODE64, SEGMENT_CODE64 | 0x400, 0xffffffffu, 0);
    expect(false, "LME=1 PG=1 PAE=1 CS.L=1 CS.D=1");
}

/* rows: svmop 4.6 */
static void test_dr(void)
{
    with(VMCB_DR6, UINT64_C(0x00000000ffff0ff0), true, "DR6 without upper bits");
    with(VMCB_DR6, UINT64_C(0x00000001ffff0ff0), false, "DR6 bit 32");
    with(VMCB_DR6, UINT64_C(0x80000000ffff0ff0), false, "DR6 bit 63");
    with(VMCB_DR7, UINT64_C(0x0000000100000400), false, "DR7 bit 32");
    with(VMCB_DR7, UINT64_C(0x8000000000000400), false, "DR7 bit 63");
    with(VMCB_DR7, UINT64_C(0x0000000000000000), true, "DR7 with bit 10 clear");
}

/* rows: svmop 4.12-4.13, 4.15, vmcb 6.3.1 */
static void test_control(void)
{
    uint64_t limit = UINT64_C(1) << cpu_maxphyaddr();

    fresh();
    svm_set32(&g, VMCB_INTERCEPT_4, INTERCEPT4_VMMCALL);
    expect(false, "VMRUN intercept clear");
    fresh();
    svm_set32(&g, VMCB_ASID, 0);
    expect(false, "ASID 0");
    fresh();
    svm_set32(&g, VMCB_ASID, 1);
    expect(true, "ASID 1");
    with(VMCB_IOPM_BASE_PA, limit - 0x4000, true, "IOPM four pages below the limit");
    with(VMCB_IOPM_BASE_PA, limit - 0x3000, true, "IOPM three pages below the limit");
    with(VMCB_IOPM_BASE_PA, limit - 0x1000, false, "IOPM one page below the limit");
    with(VMCB_IOPM_BASE_PA, limit, false, "IOPM at the limit");
    with(VMCB_IOPM_BASE_PA, UINT64_C(0x100fff), true, "IOPM with low bits (ignored)");
    with(VMCB_MSRPM_BASE_PA, limit - 0x3000, true, "MSRPM three pages below the limit");
    with(VMCB_MSRPM_BASE_PA, limit - 0x1000, false, "MSRPM one page below the limit");
    with(VMCB_MSRPM_BASE_PA, limit, false, "MSRPM at the limit");
    with(VMCB_MSRPM_BASE_PA, UINT64_C(0x100fff), true, "MSRPM with low bits (ignored)");
}

static void inject(uint64_t event, bool valid, const char *what)
{
    struct kit_end end;

    fresh();
    svm_set(&g, VMCB_EVENTINJ, event | EVENT_V);
    end = kit_run(&g);
    if (valid)
        tap_ok(end.event != NULL, "EVENTINJ: %s is accepted", what);
    else
        tap_eq(end.exitcode, VMEXIT_INVALID, "EVENTINJ: %s is VMEXIT_INVALID", what);
}

/* rows: svmop 4.14, 6.5-6.7, 6.9 */
static void test_eventinj(void)
{
    inject(UINT64_C(1) << 8 | 0x40, false, "type 1");
    inject(UINT64_C(5) << 8 | 0x40, false, "type 5");
    inject(UINT64_C(6) << 8 | 0x40, false, "type 6");
    inject(UINT64_C(7) << 8 | 0x40, false, "type 7");
    inject(EVENT_EXCEPTION | 2, false, "exception with vector 2");
    inject(EVENT_EXCEPTION | 5, false, "exception with vector 5 (#BR) in 64-bit mode");
    inject(EVENT_EXCEPTION | 31, true, "exception with vector 31");
    inject(EVENT_EXCEPTION | 32, false, "exception with vector 32");
    inject(EVENT_EXCEPTION | 255, false, "exception with vector 255");
    inject(EVENT_INTR | 255, true, "interrupt with vector 255");
    inject(EVENT_INTR | 0, true, "interrupt with vector 0");
    inject(EVENT_NMI | 77, true, "NMI with any vector");
    fresh();
    svm_set(&g, VMCB_EVENTINJ, UINT64_C(7) << 8);
    expect(true, "EVENTINJ with a reserved type and V=0");
}

/* rows: svmop 4.20-4.21 */
static void test_nested(void)
{
    uint64_t width = cpu_maxphyaddr();
    uint64_t root;

    if (!svm_has(SVM_FEATURE_NP)) {
        tap_skip("no nested paging", "nested paging checks");
        return;
    }
    root = (uintptr_t)kit_nested_identity();
    fresh();
    svm_set_nested(&g, (void *)root);
    expect(true, "nested paging");
    fresh();
    svm_set_nested(&g, (void *)(root | UINT64_C(1) << 52));
    expect(false, "N_CR3 bit 52");
    fresh();
    svm_set_nested(&g, (void *)(root | UINT64_C(1) << 63));
    expect(false, "N_CR3 bit 63");
    if (width < 52) {
        fresh();
        svm_set_nested(&g, (void *)(root | UINT64_C(1) << width));
        expect(false, "N_CR3 bit MAXPHYADDR");
    } else {
        tap_skip("52 address bits", "N_CR3 bit MAXPHYADDR");
    }
    for (unsigned type = 0; type < 9; type++) {
        bool valid = type != 2 && type != 3 && type < 8;

        fresh();
        svm_set_nested(&g, (void *)root);
        svm_set(&g, VMCB_G_PAT, UINT64_C(0x0007040600070400) | (type < 8 ? type : 0x08));
        tap_eq(svm_run(&g), valid ? VMEXIT_VMMCALL : VMEXIT_INVALID, "G_PAT type %u is %s", type,
               valid ? "accepted" : "VMEXIT_INVALID");
    }
    fresh();
    svm_set(&g, VMCB_N_CR3, UINT64_MAX);
    svm_set(&g, VMCB_G_PAT, UINT64_MAX);
    expect(true, "N_CR3 and G_PAT garbage without nested paging");
}

/* rows: svmop 3.30-3.31, 4.35-4.36 */
static void test_legal(void)
{
    struct kit_end end;

    fresh();
    svm_set(&g, VMCB_RSP, UINT64_C(0x8000000000000000));
    expect(true, "a non-canonical RSP");
    fresh();
    svm_set(&g, VMCB_RIP, UINT64_C(0x8000000000000000));
    end = kit_run(&g);
    tap_ok(end.event != NULL && end.event->vector == EXC_GP && end.event->error == 0,
           "a non-canonical RIP is #GP(0) in the guest");
    fresh();
    svm_set_segment(&g, VMCB_DS, 0xffff, 0xffff, 7, UINT64_MAX);
    expect(true, "nonsense in DS");
}

/* rows: exit 1.4.8, 6.8 */
static void test_invalid_exit(void)
{
    fresh();
    svm_set32(&g, VMCB_ASID, 0);
    svm_set(&g, VMCB_EXITINTINFO, UINT64_MAX);
    svm_run(&g);
    tap_eq(svm_get(&g, VMCB_EXITCODE), UINT64_MAX, "VMEXIT_INVALID is stored with 64 bits");
    tap_eq(svm_get(&g, VMCB_RIP), (uintptr_t)guest_nothing, "VMEXIT_INVALID leaves the save area");
    tap_ok((svm_get(&g, VMCB_EXITINTINFO) & EVENT_V) == 0, "VMEXIT_INVALID clears EXITINTINFO.V");
}

int rom_main(void)
{
    kit_init();
    fresh();
    expect(true, "the guest that the rows start from");
    test_cr0();
    test_cr3_cr4();
    test_efer();
    test_dr();
    test_control();
    test_eventinj();
    test_nested();
    test_legal();
    test_invalid_exit();
    tap_done();
}

/* smm_ctl.c: a hypervisor runs the platform's SMM in a container: the SMI of a guest exits, SMM_CTL enters SMM, and the handler
 * runs as a guest of its own, in paged real mode, until its RSM exits. Needs SMM_CTL, which newer parts have not.
 * APM vol 2, 15.22.3 "Containerizing Platform SMM", 15.30.3 "SMM_CTL MSR (C001_0116h)", appendix D "SMM Containerization". */
#include "test-roms/lib/apic.h"
#include "test-roms/svm/kit.h"

#define MSR_HWCR 0xc0010015u
#define MSR_SMM_MASK 0xc0010113u
#define MSR_SMM_CTL 0xc0010116u
#define CTL_DISMISS 1u
#define CTL_ENTER 2u
#define CTL_SMI_CYCLE 4u
#define CTL_EXIT 8u
#define CTL_RSM_CYCLE 16u
#define HWCR_SMM_LOCK 1u
#define SMM_MASK_AE 1u
#define CR4_PSE UINT64_C(0x10)
#define EFER_SVME UINT64_C(0x1000)

#define APM_CONTROL 0xb2u
#define SMBASE 0x30000u
#define SMM_ENTRY 0x8000u
#define SMM_COUNT (*(volatile uint8_t *)UINT64_C(0x39000))
#define SAVE_AREA UINT64_C(0x3fe00)
#define SAVE_BYTES 512u
#define SAVE_CR0 0x158u
#define SAVE_RFLAGS 0x170u
#define SAVE_RIP 0x178u
#define SAVE_RBX 0x1e0u
#define SAVE_RAX 0x1f8u
#define SAVE_REVISION 0x0fcu
#define ASEG (*(volatile uint32_t *)UINT64_C(0xa0000))

/* INC byte CS:[9000h]; ADD dword CS:[FFE0h], 5: the saved RBX; RSM */
static const uint8_t handler[] = { 0x2e, 0xfe, 0x06, 0x00, 0x90, 0x66, 0x2e,
                                   0x83, 0x06, 0xe0, 0xff, 0x05, 0x0f, 0xaa };
#define RSM_AT (SMM_ENTRY + sizeof handler - 2)

extern const char g_smi_insn[];
GUEST_CODE(g_smi, "g_smi_insn: outb %al, $0xb2\n nop");

static struct svm_guest g, smm;
static volatile unsigned nmis;

static void on_nmi(struct trap_frame *frame)
{
    (void)frame;
    nmis++;
}

static void save_field(unsigned at, uint64_t value)
{
    *(volatile uint64_t *)(SAVE_AREA + at) = value;
}

static uint64_t saved_field(unsigned at)
{
    return *(volatile uint64_t *)(SAVE_AREA + at);
}

/* ---- the container ---------------------------------------------------------------------------------- */

/* What the handler sees of the guest. */
static void write_save_area(void)
{
    for (uint64_t at = 0; at < SAVE_BYTES; at += 8)
        save_field((unsigned)at, 0);
    save_field(SAVE_CR0, svm_get(&g, VMCB_CR0));
    save_field(SAVE_RFLAGS, svm_get(&g, VMCB_RFLAGS));
    save_field(SAVE_RIP, svm_get(&g, VMCB_RIP));
    save_field(SAVE_RAX, svm_get(&g, VMCB_RAX));
    save_field(SAVE_RBX, g.rbx);
    *(volatile uint32_t *)(SAVE_AREA + SAVE_REVISION) = 0x30064;
}

/* The state of SMM entry, but for CR0.PG and CR3: 4 MiB pages map everything to itself. */
static void make_container(void)
{
    uint32_t *directory = rom_pages(1);

    for (uint32_t i = 0; i < 1024; i++)
        directory[i] = i << 22 | PAGE_P | PAGE_W | PAGE_U | PAGE_PS_BIT;
    kit_guest(&smm, (const char *)(uintptr_t)SMM_ENTRY);
    svm_set32(&smm, VMCB_ASID, 2);
    svm_intercept(&smm, VMCB_INTERCEPT_3, INTERCEPT3_RSM);
    svm_intercept(&smm, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_PF);
    svm_set_segment(&smm, VMCB_CS, SMBASE >> 4, 0x89b, 0xffffffff, SMBASE);
    for (unsigned seg = VMCB_ES; seg <= VMCB_GS; seg += 0x10)
        if (seg != VMCB_CS)
            svm_set_segment(&smm, seg, 0, 0x893, 0xffffffff, 0);
    svm_set(&smm, VMCB_EFER, EFER_SVME);
    svm_set(&smm, VMCB_CR4, CR4_PSE);
    svm_set(&smm, VMCB_CR3, (uintptr_t)directory);
    svm_set(&smm, VMCB_CR0, (svm_get(&g, VMCB_CR0) & ~(CR0_PE | CR0_EM | CR0_TS)) | CR0_PG);
}

static void test_container(void)
{
    kit_guest(&g, g_smi);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_SMI);
    g.rbx = 100;
    g.keep_gif = true;
    tap_eq(svm_run(&g), VMEXIT_SMI, "SMI exits");
    make_container();
    wrmsr(MSR_SMM_CTL, CTL_DISMISS | CTL_ENTER | CTL_SMI_CYCLE);
    svm_stgi();
    tap_eq(SMM_COUNT, 0, "DISMISS: it is no longer pending");
    write_save_area();
    tap_eq(svm_run(&smm), 0x73, "the handler runs until its RSM");
    tap_eq(svm_get(&smm, VMCB_RIP), RSM_AT, "which has not happened");
    tap_eq(svm_get(&smm, VMCB_NRIP), RSM_AT + 2, "nRIP is behind it");
    tap_eq(SMM_COUNT, 1, "it has done its work");
    g.rbx = saved_field(SAVE_RBX);
    wrmsr(MSR_SMM_CTL, CTL_EXIT | CTL_RSM_CYCLE);
    g.keep_gif = false;
    svm_set32(&g, VMCB_INTERCEPT_3, 0);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "the guest goes on");
    tap_ok(g.rbx == 105 && SMM_COUNT == 1, "with what the handler has changed");
}

/* ---- SMM_CTL by itself -------------------------------------------------------------------------------- */

static void test_nmi(void)
{
    nmis = 0;
    wrmsr(MSR_SMM_CTL, CTL_ENTER);
    apic_self_nmi();
    __asm__ volatile("nop");
    tap_eq(nmis, 0, "ENTER blocks NMI");
    outb(APM_CONTROL, 0);
    tap_eq(SMM_COUNT, 1, "and SMI");
    wrmsr(MSR_SMM_CTL, CTL_EXIT);
    __asm__ volatile("nop");
    tap_ok(nmis == 1 && SMM_COUNT == 2, "EXIT lets both in");
}

static void test_smram(void)
{
    wrmsr(MSR_SMM_MASK, SMM_MASK_AE);
    wrmsr(MSR_SMM_CTL, CTL_ENTER | CTL_SMI_CYCLE);
    ASEG = 0x12345678;
    tap_eq(ASEG, 0x12345678, "ENTER maps ASeg");
    wrmsr(MSR_SMM_CTL, CTL_EXIT | CTL_RSM_CYCLE);
    tap_ok(ASEG != 0x12345678, "EXIT unmaps it");
    wrmsr(MSR_SMM_MASK, 0);
}

static void write_ctl(void *arg)
{
    wrmsr(MSR_SMM_CTL, *(const uint64_t *)arg);
}

static void read_ctl(void *arg)
{
    *(volatile uint64_t *)arg = rdmsr(MSR_SMM_CTL);
}

static void test_refusals(void)
{
    uint64_t value = 0x20;

    tap_eq(trap_try(write_ctl, &value).vector, EXC_GP, "reserved bits: #GP");
    tap_eq(trap_try(read_ctl, &value).vector, EXC_GP, "it is write-only");
}

/* Firmware keeps SMM for itself: neither intercept nor SMM_CTL. */
static void test_locked(void)
{
    uint64_t value = CTL_DISMISS;

    wrmsr(MSR_HWCR, rdmsr(MSR_HWCR) | HWCR_SMM_LOCK);
    tap_eq(trap_try(write_ctl, &value).vector, EXC_GP, "with HWCR.SmmLock SMM_CTL is #GP");
    kit_guest(&g, g_smi);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_SMI);
    g.rbx = 7;
    SMM_COUNT = 0;
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "and the SMI intercept does not act");
    tap_ok(SMM_COUNT == 1 && g.rbx == 12,
           "SMM was entered from the guest, and its changes are the guest's");
}

int rom_main(void)
{
    uint64_t nothing = 0;

    kit_init();
    apic_init();
    trap_set_handler(EXC_NMI, on_nmi);
    if (trap_try(write_ctl, &nothing).vector != EXC_NONE) {
        tap_skip("no SMM_CTL", "everything");
        tap_done();
    }
    memcpy((void *)(uintptr_t)(SMBASE + SMM_ENTRY), handler, sizeof handler);
    SMM_COUNT = 0;
    test_container();
    test_nmi();
    test_smram();
    test_refusals();
    test_locked();
    tap_done();
}

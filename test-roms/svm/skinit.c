/* skinit.c: a secure loader starts, comes back, and starts the other processor. With two processors.
 * APM vol 2, 15.27 "Secure Startup with SKINIT", 15.28 "Security Exception (#SX)". */
#include "test-roms/lib/apic.h"
#include "test-roms/lib/smp.h"
#include "test-roms/svm/kit.h"
#include "test-roms/svm/skinit_layout.h"

#define EXC_SX 30
#define SLB_BYTES 0x10000u
#define EFER_SVME UINT64_C(0x1000)
#define SECURE_VM_CR 7u /* DPD, R_INIT, DIS_A20M */
#define CPUID_SKINIT (1u << 12)

extern const uint8_t skinit_image[], skinit_image_end[];
extern volatile uint32_t skinit_out[SKINIT_COUNT];
void skinit_call(uint32_t eax);

extern const char g_skinit_insn[];
GUEST_CODE(g_skinit, "movl $0x1234, %eax\n g_skinit_insn: skinit\n nop");

static uint8_t room[2 * SLB_BYTES];
static uint8_t *slb;
static volatile uint32_t nmis, sx_count;
static volatile uint64_t sx_code;

static void on_nmi(struct trap_frame *frame)
{
    (void)frame;
    nmis++;
}

static void on_sx(struct trap_frame *frame)
{
    sx_count++;
    sx_code = frame->error;
}

static void fresh_block(void)
{
    memset(slb, 0, SLB_BYTES);
    memcpy(slb, skinit_image, (size_t)(skinit_image_end - skinit_image));
}

/* ---- the checks ------------------------------------------------------------------------------------ */

static void test_intercept(void)
{
    struct svm_guest g;

    kit_guest(&g, g_skinit);
    svm_intercept(&g, VMCB_INTERCEPT_4, INTERCEPT4_SKINIT);
    tap_eq(kit_run(&g).exitcode, 0x86, "SKINIT intercept");
    tap_eq(svm_get(&g, VMCB_RIP), (uintptr_t)g_skinit_insn, "nothing has happened");
    kit_guest(&g, g_skinit);
    kit_guest_user(&g);
    svm_intercept(&g, VMCB_INTERCEPT_4, INTERCEPT4_SKINIT);
    const struct kit_end end = kit_run(&g);
    tap_ok(end.event && end.event->vector == EXC_GP, "at level 3 #GP comes first");
}

/* ---- the loader ------------------------------------------------------------------------------------ */

static void expect(unsigned index, uint32_t want, const char *what)
{
    tap_eq(skinit_out[index], want, "%s", what);
}

static void test_state(void)
{
    uint32_t base = (uint32_t)(uintptr_t)slb, entry = base + *(const uint16_t *)skinit_image;

    expect(SKINIT_EAX, base, "EAX: the block, bits 15:0 cleared");
    expect(SKINIT_EDX, cpuid(1, 0).eax, "EDX: family, model, stepping");
    tap_eq(skinit_out[SKINIT_EBX] | skinit_out[SKINIT_ECX] | skinit_out[SKINIT_EBP] |
               skinit_out[SKINIT_ESI] | skinit_out[SKINIT_EDI],
           0, "the other registers are 0");
    expect(SKINIT_ESP, base + SLB_BYTES, "ESP: the end of the block");
    tap_ok(skinit_out[SKINIT_EIP] - entry < 0x80, "EIP: where the header says");
    expect(SKINIT_TOP, skinit_out[SKINIT_EFLAGS], "what is pushed lies at the top of the block");
    expect(SKINIT_EFLAGS, 2, "EFLAGS");
    tap_eq(skinit_out[SKINIT_CR0] & ~(uint32_t)(CR0_CD | CR0_NW), CR0_PE | CR0_ET,
           "CR0: protected mode, no paging");
    tap_eq(skinit_out[SKINIT_CR3] | skinit_out[SKINIT_CR4], 0, "CR3 and CR4 are 0");
    tap_ok(skinit_out[SKINIT_CS] == 8 && skinit_out[SKINIT_SS] == 0x10 &&
               skinit_out[SKINIT_DS] == 0,
           "CS is 8, SS is 10h, DS is 0");
    expect(SKINIT_EFER, 0, "EFER is 0");
    expect(SKINIT_VM_CR, SECURE_VM_CR, "VM_CR: DPD, R_INIT, DIS_A20M");
}

static void test_launch(void)
{
    uint64_t efer = rdmsr(MSR_EFER);

    fresh_block();
    wrmsr(MSR_EFER, efer & ~EFER_SVME); /* the CPUID bit is enough */
    skinit_call((uint32_t)(uintptr_t)slb + 0x1234);
    trap_init(); /* no IDT, no TSS was left */
    trap_set_handler(EXC_NMI, on_nmi);
    trap_set_handler(EXC_SX, on_sx);
    test_state();
    apic_self_nmi();
    apic_send(0, ICR_INIT);
    __asm__ volatile("nop");
    tap_ok(nmis == 0 && sx_count == 0, "GIF = 0: NMI and INIT wait");
    svm_stgi(); /* without EFER.SVME */
    __asm__ volatile("nop");
    tap_ok(sx_count == 1 && sx_code == 1, "STGI: R_INIT makes INIT #SX with code 1");
    tap_eq(nmis, 1, "and the NMI comes");
    wrmsr(MSR_EFER, efer);
}

/* ---- the other processor ---------------------------------------------------------------------------- */

static volatile uint32_t ap_vm_cr, ap_before, ap_after, ap_step;

static void ap_task(void *arg)
{
    (void)arg;
    ap_vm_cr = (uint32_t)rdmsr(MSR_VM_CR);
    nmis = 0;
    ap_step = 1;
    (void)smp_until(&ap_step, 2);
    smp_delay(SMP_A_WHILE);
    ap_before = nmis;
    svm_stgi();
    __asm__ volatile("nop");
    ap_after = nmis;
    wrmsr(MSR_VM_CR, 0);
}

static void test_other(void)
{
    if (smp_start() < 2) {
        tap_skip("one processor", "Startup IPI behind SKINIT");
        return;
    }
    smp_run(1, ap_task, NULL);
    (void)smp_until(&ap_step, 1);
    apic_send(1, ICR_NMI);
    ap_step = 2;
    smp_wait(1);
    tap_eq(ap_vm_cr, SECURE_VM_CR, "Startup IPI behind SKINIT: DPD, R_INIT, DIS_A20M are set");
    tap_ok(ap_before == 0 && ap_after == 1, "and GIF is 0 until STGI");
}

int rom_main(void)
{
    kit_init();
    apic_init();
    slb = (uint8_t *)(((uintptr_t)room + SLB_BYTES - 1) & ~(uintptr_t)(SLB_BYTES - 1));
    test_intercept();
    if (!(cpuid(0x80000001u, 0).ecx & CPUID_SKINIT)) {
        tap_skip("no SKINIT", "the secure loader");
        tap_done();
    }
    test_launch();
    test_other();
    wrmsr(MSR_VM_CR, 0);
    tap_done();
}

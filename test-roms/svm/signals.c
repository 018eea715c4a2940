/* signals.c: SMI and INIT in a guest: their exits, SMM out of a guest, INIT redirected to #SX. The SMI comes from the APM
 * control port. APM vol 2, 15.13.3 "SMI Intercept", 15.13.4 "INIT Intercept", 15.21.8 "INIT Support", 15.22 "SMM Support",
 * 15.28 "Security Exception (#SX)". */
#include "test-roms/svm/mode_kit.h"

#define EXC_SX 30
#define APM_CONTROL 0xb2u
#define SMM_ENTRY UINT64_C(0x38000)
#define SMM_COUNT (*(volatile uint8_t *)UINT64_C(0x39000))
#define APIC_ICR UINT64_C(0xfee00300)
#define VM_CR_R_INIT 2u
#define SMI_EXTERNAL UINT64_C(1)
#define SMI_VAL (UINT64_C(1) << 33)
#define SMI_SZ8 (UINT64_C(1) << 36)
#define SMI_A16 (UINT64_C(1) << 39)
#define SMI_A64 (UINT64_C(1) << 41)
#define SMI_PORT(port) ((uint64_t)(port) << 48)

MODE_CODE16(n_smi16, "n_smi16_insn: outb %al, $0xb2\n movw $7, %bx");
MODE_CODE64(n_smi64, "n_smi64_insn: outb %al, $0xb2\n movw $7, %bx");
/* INIT to itself: the physical destination is APIC ID 0. */
MODE_CODE64(n_init, "movl $0, 0x10(%rdi)\n movl $0x4500, (%rdi)\n n_init_insn: nop\n nop");
MODE_CODE64(n_sx, "popq %rax\n popq %rbx");

static struct svm_guest g;
static volatile unsigned host_sx;
static volatile uint64_t host_sx_code;

static void on_sx(struct trap_frame *frame)
{
    host_sx++;
    host_sx_code = frame->error;
}

/* INCB CS:[9000h]; RSM */
static void install_smm_handler(void)
{
    static const uint8_t handler[] = { 0x2e, 0xfe, 0x06, 0x00, 0x90, 0x0f, 0xaa };

    memcpy((void *)SMM_ENTRY, handler, sizeof handler);
    SMM_COUNT = 0;
}

/* ---- SMI ------------------------------------------------------------------------------------------- */

static void prepare(enum mode mode, const char *code)
{
    modes_begin(mode, code);
    if (mode == MODE_V86)
        modes_open_ports();
    guest_make(&g, false);
}

/* rows: svmop 8.4, 17.1-17.3, exit 1.2.3, 3.8.1, 3.8.4-3.8.5, 3.8.7-3.8.8, 3.8.11 */
static void test_smi(enum mode mode, const char *code, const char *end, uint64_t address_size)
{
    uint64_t next = (uintptr_t)code + 2;

    prepare(mode, code);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_SMI);
    SMM_COUNT = 0;
    g.keep_gif = true;
    guest_exits(&g, VMEXIT_SMI, (const char *)next, "SMI by a port write: exit behind it");
    guest_field(&g, VMCB_EXITINFO1,
                SMI_EXTERNAL | SMI_VAL | SMI_SZ8 | address_size | SMI_PORT(APM_CONTROL),
                "EXITINFO1 tells the access");
    guest_field(&g, VMCB_EXITINFO2, (uintptr_t)code, "EXITINFO2 is its RIP");
    guest_field(&g, VMCB_NRIP, 0, "there is no nRIP");
    tap_eq(SMM_COUNT, 0, "GIF = 0 holds the SMI in the host");
    svm_stgi();
    __asm__ volatile("nop");
    tap_eq(SMM_COUNT, 1, "STGI lets it in");
    g.keep_gif = false;
    svm_intercept(&g, VMCB_INTERCEPT_3, 0);
    guest_pass(&g, end, "the guest goes on");
    /* Without the intercept SMM is entered from the guest. */
    prepare(mode, code);
    svm_set(&g, VMCB_CR2, 0x1234);
    guest_pass(&g, end, "without the intercept: SMM and back into the guest");
    tap_ok(SMM_COUNT == 2 && (uint16_t)g.rbx == 7 && svm_get(&g, VMCB_CR2) == 0x1234,
           "as if nothing had been");
}

/* ---- INIT ------------------------------------------------------------------------------------------ */

static void prepare_init(void)
{
    modes_begin(MODE_LONG, n_init);
    *modes_idt_gate64(EXC_SX) = modes_gate(SEL_CODE64, (uint32_t)(uintptr_t)n_sx, 0x8e, 0);
    guest_make(&g, false);
    g.rdi = APIC_ICR;
}

/* rows: svmop 11.1-11.2, 11.4, exit 1.2.4, 4.17 */
static void test_init(void)
{
    wrmsr(MSR_VM_CR, rdmsr(MSR_VM_CR) | VM_CR_R_INIT);
    trap_set_handler(EXC_SX, on_sx);
    prepare_init();
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_INIT);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_SX);
    g.keep_gif = true;
    guest_exits(&g, VMEXIT_INIT, n_init_insn, "INIT exits before it is redirected");
    guest_field(&g, VMCB_NRIP, 0, "there is no nRIP");
    tap_eq(host_sx, 0, "GIF = 0 holds the INIT in the host");
    svm_stgi();
    __asm__ volatile("nop");
    tap_ok(host_sx == 1 && host_sx_code == 1, "STGI: #SX with code 1, for VM_CR.R_INIT is set");
    g.keep_gif = false;
    prepare_init();
    guest_pass(&g, n_sx_end, "without the intercept: #SX in the guest");
    tap_ok(svm_get(&g, VMCB_RAX) == 1 && g.rbx == (uintptr_t)n_init_insn,
           "code 1, at the next instruction");
    prepare_init();
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_SX);
    guest_exits(&g, VMEXIT_EXCP0 + EXC_SX, n_init_insn, "which its exception intercept catches");
    guest_field(&g, VMCB_EXITINFO1, 1, "with its code");
    tap_eq(host_sx, 1, "the INIT is gone");
    trap_set_handler(EXC_SX, NULL);
}

int rom_main(void)
{
    kit_init();
    install_smm_handler();
    test_smi(MODE_REAL, n_smi16, n_smi16_end, SMI_A16);
    test_smi(MODE_V86, n_smi16, n_smi16_end, SMI_A16);
    test_smi(MODE_LONG, n_smi64, n_smi64_end, SMI_A64);
    test_init();
    tap_done();
}

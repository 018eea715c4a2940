/* vnmi.c: virtual NMIs: V_NMI, V_NMI_MASK, V_NMI_ENABLE, IRET, EVENTINJ, exits in their delivery. APM vol 2, 15.21.10 "NMI
 * Virtualization". */
#include "test-roms/svm/kit.h"

#include "test-roms/lib/apic.h"

#define VECTOR 0x83u
#define BITS (VINTR_V_NMI | VINTR_V_NMI_MASK)

/* IRETQ to the next instruction. */
#define IRETQ_TO(label)                                                                   \
    "movq %rsp, %rax\nmovl %ss, %ecx\npushq %rcx\npushq %rax\npushq $2\nmovl %cs, %ecx\n" \
    "pushq %rcx\npushq $" label "\niretq\n" label ": nop"

GUEST_CODE(n_nops, "nop\nn_nops_2: nop\nnop");
GUEST_CODE(n_iret, "nop\n" IRETQ_TO("n_iret_2"));
GUEST_CODE(n_hlt, "hlt\nn_hlt_2: nop");
GUEST_CODE(n_stgi, "nop\nstgi\nn_stgi_2: nop");
extern const char n_nops_2[], n_iret_2[], n_hlt_2[], n_stgi_2[];

static struct svm_guest g;
static volatile unsigned nmis;

static void note(struct trap_frame *f)
{
    (void)f;
    nmis++;
}

static void fresh(const char *code, uint64_t word)
{
    kit_guest(&g, code);
    svm_set(&g, VMCB_VINTR, word);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_NMI);
}

static uint64_t bits(void)
{
    return svm_get(&g, VMCB_VINTR) & BITS;
}

static void taken(const char *rip, const char *what)
{
    struct kit_end end = kit_run(&g);

    tap_ok(end.event != NULL && end.event->vector == EXC_NMI && end.event->rip == (uintptr_t)rip,
           "%s", what);
    tap_eq(bits(), VINTR_V_NMI_MASK, "%s: V_NMI is 0, V_NMI_MASK is 1", what);
}

static void not_taken(uint64_t left, const char *what)
{
    struct kit_end end = kit_run(&g);

    tap_ok(end.event == NULL && end.exitcode == VMEXIT_VMMCALL, "%s", what);
    tap_eq(bits(), left, "%s: V_NMI and V_NMI_MASK", what);
}

/* rows: svmop 12.5, 12.6, vmcb 3.6, 3.7, 3.14 */
static void test_conditions(void)
{
    fresh(n_nops, VINTR_V_NMI_ENABLE | VINTR_V_NMI);
    taken(n_nops, "a pending virtual NMI is taken with IF=0");
    fresh(n_nops, VINTR_V_NMI_ENABLE | VINTR_V_NMI | VINTR_V_NMI_MASK);
    not_taken(BITS, "V_NMI_MASK=1 holds it");
    fresh(n_nops, VINTR_V_NMI);
    not_taken(VINTR_V_NMI, "V_NMI_ENABLE=0: nothing looks at it");
    fresh(n_nops, VINTR_V_NMI_ENABLE | VINTR_V_NMI);
    svm_set(&g, VMCB_INTERRUPT_SHADOW, 1);
    taken(n_nops_2, "it waits for the end of a shadow");
    fresh(n_hlt, VINTR_V_NMI_ENABLE | VINTR_V_NMI);
    svm_set(&g, VMCB_INTERRUPT_SHADOW, 1);
    taken(n_hlt_2, "it wakes HLT");
    if (!svm_has(SVM_FEATURE_VGIF)) {
        tap_skip("no VGIF", "V_GIF");
        return;
    }
    fresh(n_nops, VINTR_V_NMI_ENABLE | VINTR_V_NMI | VINTR_V_GIF_ENABLE);
    not_taken(VINTR_V_NMI, "V_GIF=0 holds it");
    fresh(n_stgi, VINTR_V_NMI_ENABLE | VINTR_V_NMI | VINTR_V_GIF_ENABLE);
    taken(n_stgi_2, "STGI of the guest lets it come");
}

/* rows: svmop 12.7, 12.11 */
static void test_iret(void)
{
    struct kit_end end;

    fresh(n_nops, VINTR_V_NMI_ENABLE | VINTR_V_NMI);
    kit_run(&g);
    kit_resume(&g);
    end = kit_run(&g);
    tap_ok(end.event == NULL && bits() == 0, "IRET at the end of the handler clears V_NMI_MASK");
    fresh(n_iret, VINTR_V_NMI_ENABLE | BITS);
    taken(n_iret_2, "the next virtual NMI comes behind IRET");
    fresh(n_iret, VINTR_V_NMI_ENABLE | BITS);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_IRET);
    tap_eq(svm_run(&g), VMEXIT_IRET, "the IRET intercept works");
    tap_eq(bits(), BITS, "and comes before IRET");
}

/* rows: svmop 12.9 */
static void test_injection(void)
{
    struct kit_end end;

    fresh(n_nops, VINTR_V_NMI_ENABLE | VINTR_V_NMI);
    svm_set(&g, VMCB_EVENTINJ, EVENT_NMI | EVENT_V);
    end = kit_run(&g);
    tap_ok(end.event != NULL && end.event->vector == EXC_NMI, "EVENTINJ delivers an NMI");
    tap_eq(bits(), BITS, "and sets V_NMI_MASK; V_NMI waits");
    kit_resume(&g);
    end = kit_run(&g);
    tap_ok(end.event != NULL && end.event->vector == EXC_NMI && bits() == VINTR_V_NMI_MASK,
           "until IRET");
    fresh(n_nops, 0);
    svm_set(&g, VMCB_EVENTINJ, EVENT_NMI | EVENT_V);
    kit_run(&g);
    tap_eq(bits(), 0, "without V_NMI_ENABLE EVENTINJ sets no mask");
}

/* The gate of the NMI is not present, and #NP is intercepted. */
/* rows: svmop 12.8 */
static void test_exit_in_delivery(void)
{
    uint64_t *gate = kit_guest_gate(EXC_NMI);
    const uint64_t present = UINT64_C(1) << 47;

    fresh(n_nops, VINTR_V_NMI_ENABLE | VINTR_V_NMI);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_NP);
    gate[0] &= ~present;
    tap_eq(svm_run(&g), VMEXIT_EXCP0 + EXC_NP, "an exception in the delivery exits");
    gate[0] |= present;
    tap_eq(svm_get(&g, VMCB_EXITINTINFO) & 0xffffffff, EVENT_NMI | EXC_NMI | EVENT_V,
           "EXITINTINFO has the NMI");
    tap_eq(bits(), 0, "V_NMI and V_NMI_MASK are saved as 0");
    svm_set(&g, VMCB_EVENTINJ, svm_get(&g, VMCB_EXITINTINFO));
    taken(n_nops, "injected again it is delivered, masked");
}

/* rows: svmop 10.14, 10.15, 12.10 */
static void test_physical(void)
{
    nmis = 0;
    fresh(n_nops, VINTR_V_NMI_ENABLE | VINTR_V_NMI);
    svm_clgi();
    apic_self_nmi();
    tap_eq(svm_run(&g), VMEXIT_NMI, "a physical NMI comes first, and exits");
    tap_eq(bits(), VINTR_V_NMI, "V_NMI stays");
    cpu_pause();
    tap_eq(nmis, 1, "the host takes the physical one");
    fresh(n_nops, VINTR_V_NMI_ENABLE | VINTR_V_NMI_MASK);
    svm_clgi();
    apic_self_nmi();
    tap_eq(svm_run(&g), VMEXIT_NMI, "V_NMI_MASK does not hold a physical one");
    cpu_pause();
    tap_eq(nmis, 2, "nor does it in the host");

    fresh(n_nops, VINTR_V_NMI_ENABLE | VINTR_V_NMI | VINTR_V_IRQ | VINTR_V_IGN_TPR |
                      (uint64_t)VECTOR << VINTR_V_INTR_VECTOR_SHIFT);
    svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE | RFLAGS_IF);
    taken(n_nops, "a virtual NMI comes before a virtual interrupt");
    tap_eq(svm_get(&g, VMCB_VINTR) & VINTR_V_IRQ, VINTR_V_IRQ, "V_IRQ stays");
}

/* rows: svmop 4.23 */
static void test_rule(void)
{
    kit_guest(&g, n_nops);
    svm_set(&g, VMCB_VINTR, VINTR_V_NMI_ENABLE);
    tap_eq(svm_run(&g), VMEXIT_INVALID, "V_NMI_ENABLE without the NMI intercept is refused");
    fresh(n_nops, VINTR_V_NMI_ENABLE);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "and with it is not");
}

int rom_main(void)
{
    kit_init();
    if (!svm_has(SVM_FEATURE_VNMI)) {
        tap_skip("no VNMI", "everything");
        tap_done();
    }
    apic_init();
    trap_set_handler(EXC_NMI, note);
    test_rule();
    test_conditions();
    test_iret();
    test_injection();
    test_exit_in_delivery();
    test_physical();
    tap_done();
}

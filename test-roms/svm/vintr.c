/* vintr.c: virtual and physical interrupts in a guest: V_IRQ, V_TPR, V_INTR_MASKING, the VINTR and INTR
 * intercepts, the interrupt shadow. APM vol 2, 15.21 "Interrupt and Local APIC Support". */
#include "test-roms/svm/kit.h"

#include "test-roms/lib/apic.h"

#define VECTOR 0x83u
#define PHYSICAL 0x55u

GUEST_CODE(v_nops, "nop\nv_nops_2: nop\nv_nops_3: nop");
GUEST_CODE(v_sti, "sti\nv_sti_2: nop\nv_sti_3: nop\nnop");
GUEST_CODE(v_popf, "pushq $0x202\npopfq\nv_popf_2: nop\nnop");
GUEST_CODE(v_cr8, "movq %rbx, %cr8\nv_cr8_2: nop\nmovq %cr8, %rcx");
GUEST_CODE(v_hlt, "hlt\nv_hlt_2: nop");
GUEST_CODE(v_sti_hlt, "sti\nhlt\nv_sti_hlt_2: nop");
extern const char v_nops_2[], v_sti_3[], v_popf_2[], v_cr8_2[], v_hlt_2[], v_sti_hlt_2[];

static struct svm_guest g;
static volatile unsigned host_count;

static void note(struct trap_frame *f)
{
    (void)f;
    host_count++;
    apic_eoi();
}

/* V_IRQ with this priority against this V_TPR; more bits on top. */
static void fresh(const char *code, uint64_t prio, uint64_t tpr, uint64_t more, uint64_t rflags)
{
    kit_guest(&g, code);
    svm_set(&g, VMCB_VINTR,
            VINTR_V_IRQ | prio << VINTR_V_INTR_PRIO_SHIFT |
                (uint64_t)VECTOR << VINTR_V_INTR_VECTOR_SHIFT | tpr | more);
    svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE | rflags);
}

static void taken(const char *rip, const char *what)
{
    struct kit_end end = kit_run(&g);

    tap_ok(end.event != NULL && end.event->vector == VECTOR && end.event->rip == (uintptr_t)rip,
           "%s", what);
    if (end.event != NULL && (end.event->vector != VECTOR || end.event->rip != (uintptr_t)rip))
        rom_printf("#   vector %lx at %lx\n", end.event->vector, end.event->rip);
    tap_eq(svm_get(&g, VMCB_VINTR) & VINTR_V_IRQ, 0, "%s: V_IRQ is 0 then", what);
}

static void not_taken(const char *what)
{
    struct kit_end end = kit_run(&g);

    tap_ok(end.event == NULL && end.exitcode == VMEXIT_VMMCALL, "%s", what);
    tap_eq(svm_get(&g, VMCB_VINTR) & VINTR_V_IRQ, VINTR_V_IRQ, "%s: V_IRQ stays", what);
}

/* rows: svmop 6.18, 10.3 */
static void test_priority(void)
{
    fresh(v_nops, 8, 7, 0, RFLAGS_IF);
    taken(v_nops, "V_INTR_PRIO above V_TPR is taken");
    fresh(v_nops, 8, 8, 0, RFLAGS_IF);
    not_taken("V_INTR_PRIO equal to V_TPR is not");
    fresh(v_nops, 0, 0, 0, RFLAGS_IF);
    not_taken("priority 0 against V_TPR 0 is not");
    fresh(v_nops, 0, 15, VINTR_V_IGN_TPR, RFLAGS_IF);
    taken(v_nops, "V_IGN_TPR ignores V_TPR");
    fresh(v_nops, 8, 0, 0, 0);
    not_taken("RFLAGS.IF=0 holds it");
    fresh(v_nops, 8, 0, 0, RFLAGS_IF);
    svm_set(&g, VMCB_EVENTINJ, EVENT_INTR | 0x77 | EVENT_V);
    {
        struct kit_end end = kit_run(&g);

        tap_ok(end.event != NULL && end.event->vector == 0x77,
               "an injected event is delivered before the virtual interrupt");
    }
}

/* rows: svmop 9.1, 9.4, 10.4, 10.9 */
static void test_windows(void)
{
    fresh(v_sti, 8, 0, 0, 0);
    taken(v_sti_3, "STI opens the window after one instruction");
    fresh(v_popf, 8, 0, 0, 0);
    taken(v_popf_2, "POPF opens it at once");
    fresh(v_nops, 8, 0, 0, RFLAGS_IF);
    svm_set(&g, VMCB_INTERRUPT_SHADOW, 1);
    taken(v_nops_2, "INTERRUPT_SHADOW covers the first instruction");
    fresh(v_cr8, 8, 9, VINTR_V_INTR_MASKING, RFLAGS_IF);
    g.rbx = 7;
    taken(v_cr8_2, "MOV to CR8 lowers V_TPR");
    fresh(v_hlt, 8, 0, 0, RFLAGS_IF);
    svm_set(&g, VMCB_INTERRUPT_SHADOW, 1);
    taken(v_hlt_2, "a virtual interrupt wakes HLT");
    fresh(v_sti_hlt, 8, 0, 0, 0);
    taken(v_sti_hlt_2, "STI; HLT: taken behind HLT");
}

/* rows: svmop 10.5, exit 1.2.5, 6.4, vmcb 1.2.5 */
static void test_intercept(void)
{
    fresh(v_nops, 8, 0, 0, RFLAGS_IF);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_VINTR);
    tap_eq(svm_run(&g), VMEXIT_VINTR, "VINTR intercept: exit code");
    tap_eq(svm_get(&g, VMCB_RIP), (uintptr_t)v_nops, "RIP is the next instruction");
    tap_eq(svm_get(&g, VMCB_VINTR) & VINTR_V_IRQ, VINTR_V_IRQ, "V_IRQ stays 1");
    fresh(v_sti, 8, 0, 0, 0);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_VINTR);
    tap_eq(svm_run(&g), VMEXIT_VINTR, "the exit waits for the window");
    tap_eq(svm_get(&g, VMCB_RIP), (uintptr_t)v_sti_3, "and comes when it opens");
    fresh(v_nops, 8, 8, 0, RFLAGS_IF);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_VINTR);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "a masked virtual interrupt does not exit");
}

/* rows: svmop 3.17, 10.1-10.2 */
static void test_tpr(void)
{
    apic_write(APIC_TPR, 0x20);
    fresh(v_cr8, 0, 3, VINTR_V_INTR_MASKING, 0);
    g.rbx = 5;
    svm_run(&g);
    tap_eq(svm_get(&g, VMCB_VINTR) & VINTR_V_TPR_MASK, 5, "V_TPR is written back");
    tap_eq(g.rcx, 5, "MOV from CR8 reads V_TPR");
    tap_eq(apic_read(APIC_TPR), 0x20, "V_INTR_MASKING=1: the APIC's TPR is untouched");
    fresh(v_cr8, 0, 3, 0, 0);
    g.rbx = 6;
    svm_run(&g);
    tap_eq(apic_read(APIC_TPR), 0x60, "V_INTR_MASKING=0: CR8 is the APIC's TPR");
    apic_write(APIC_TPR, 0);
}

/* A physical interrupt is pending when the guest starts. */
static void physical(uint64_t masking, bool host_if, uint64_t guest_rflags, bool intercept)
{
    kit_guest(&g, v_nops);
    svm_set(&g, VMCB_VINTR, masking);
    svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE | guest_rflags);
    if (intercept)
        svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_INTR);
    g.host_if = host_if;
    host_count = 0;
    svm_clgi();
    apic_self_ipi(PHYSICAL);
}

static void drain(void)
{
    __asm__ volatile("sti\n\tnop\n\tcli" : : : "memory");
}

/* rows: svmop 10.1-10.2, 10.7, exit 1.2.1 */
static void test_physical(void)
{
    struct kit_end end;

    physical(VINTR_V_INTR_MASKING, true, 0, true);
    tap_eq(svm_run(&g), VMEXIT_INTR, "V_INTR_MASKING=1, host IF=1: INTR exit, guest IF=0 or not");
    tap_eq(svm_get(&g, VMCB_RIP), (uintptr_t)v_nops, "before the first instruction");
    tap_eq(svm_get(&g, VMCB_EXITINTINFO) & EVENT_V, 0, "EXITINTINFO is not valid");
    drain();
    tap_eq(host_count, 1, "the interrupt is still there for the host");

    physical(VINTR_V_INTR_MASKING, false, RFLAGS_IF, true);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "V_INTR_MASKING=1, host IF=0: no exit");
    tap_eq(host_count, 0, "it stays pending");
    drain();
    tap_eq(host_count, 1, "and comes to the host later");

    physical(0, true, 0, true);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "V_INTR_MASKING=0, guest IF=0: no exit");
    drain();
    physical(0, false, RFLAGS_IF, true);
    tap_eq(svm_run(&g), VMEXIT_INTR, "V_INTR_MASKING=0, guest IF=1: INTR exit");
    drain();

    physical(0, false, RFLAGS_IF, false);
    end = kit_run(&g);
    tap_ok(end.event != NULL && end.event->vector == PHYSICAL,
           "not intercepted: delivered through the guest's IDT");
    tap_eq((uint64_t)apic_vector_bit(APIC_ISR, PHYSICAL), 1, "and acknowledged");
    apic_eoi();
    drain();
    tap_eq(host_count, 0, "the host does not see it");

    physical(VINTR_V_INTR_MASKING | VINTR_V_IRQ | UINT64_C(9) << VINTR_V_INTR_PRIO_SHIFT |
                 (uint64_t)VECTOR << VINTR_V_INTR_VECTOR_SHIFT,
             true, RFLAGS_IF, true);
    tap_eq(svm_run(&g), VMEXIT_INTR, "a physical interrupt comes before a virtual one");
    tap_eq(svm_get(&g, VMCB_VINTR) & VINTR_V_IRQ, VINTR_V_IRQ, "V_IRQ stays");
    drain();
}

int rom_main(void)
{
    kit_init();
    apic_init();
    trap_set_handler(PHYSICAL, note);
    test_priority();
    test_windows();
    test_intercept();
    test_tpr();
    test_physical();
    tap_done();
}

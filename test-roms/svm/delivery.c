/* delivery.c: a nested page fault while an event of each kind is delivered: what EXITINTINFO says, what the guest
 * has lost, and that injecting EXITINTINFO completes it. APM vol 2, 15.7.2 "Intercepts During IDT Interrupt
 * Delivery", 15.20 "Event Injection". */
#include "test-roms/svm/kit.h"

#include "test-roms/lib/apic.h"

#define VECTOR 0x83u
#define PHYSICAL 0x55u
#define PWU (PAGE_P | PAGE_W | PAGE_U)

GUEST_CODE(d_nops, "nop\nd_nops_2: nop");
GUEST_CODE(d_ud, "ud2");
GUEST_CODE(d_gp,
           "movw $0x68, %ax\nd_gp_2: movw %ax, %ds"); /* behind the GDT's descriptors in use */
GUEST_CODE(d_pf, "movb (%rdi), %al");
GUEST_CODE(d_int3, "int3");
GUEST_CODE(d_int, "int $0x66");
GUEST_CODE(d_icebp, ".byte 0xf1");
extern const char d_nops_2[], d_gp_2[];

static struct svm_guest g;
static uint64_t *nested;
static uint8_t stack[4096] __attribute__((aligned(4096)));
static volatile unsigned nmis;

static void note_nmi(struct trap_frame *f)
{
    (void)f;
    nmis++;
}

static volatile uint64_t *stack_leaf(void)
{
    return paging_map(nested, (uintptr_t)stack, (uintptr_t)stack, PAGE_4K, PWU);
}

/* A guest whose stack page is not there. */
static void fresh(const char *code)
{
    nested = kit_nested_identity();
    kit_guest(&g, code);
    svm_set_nested(&g, nested);
    svm_set(&g, VMCB_RSP, (uintptr_t)stack + sizeof stack);
    *stack_leaf() &= ~PAGE_P;
    g.rdi = PAGING_WINDOW + UINT64_C(0x12345678);
}

/* Run into the fault; then give the page, inject what EXITINTINFO holds, and see the event arrive.
 * at  saved RIP    back  return address on the stack: for software nRIP */
static void expect(uint64_t intinfo, const char *at, const char *back, const char *what)
{
    uint64_t code = svm_run(&g), seen = svm_get(&g, VMCB_EXITINTINFO);
    struct kit_end end;

    tap_ok(code == VMEXIT_NPF && svm_get(&g, VMCB_EXITINFO1) == (NPF_FINAL | PF_US | PF_RW) &&
               (svm_get(&g, VMCB_EXITINFO2) & ~UINT64_C(0xfff)) == (uintptr_t)stack,
           "%s: NPF of the push", what);
    if (code != VMEXIT_NPF)
        rom_printf("#   exit code %lx\n", code);
    tap_eq((intinfo & EVENT_EV) != 0 ? seen : seen & 0xffffffff, intinfo, "%s: EXITINTINFO", what);
    tap_ok(svm_get(&g, VMCB_RIP) == (uintptr_t)at &&
               svm_get(&g, VMCB_RSP) == (uintptr_t)stack + sizeof stack,
           "%s: RIP and RSP are those before the delivery", what);
    if (svm_has(SVM_FEATURE_NRIPS))
        tap_eq(svm_get(&g, VMCB_NRIP), 0, "%s: nRIP is 0", what);
    *stack_leaf() |= PAGE_P;
    svm_set(&g, VMCB_EVENTINJ, seen);
    svm_set(&g, VMCB_NRIP, (uintptr_t)back);
    svm_set8(&g, VMCB_TLB_CONTROL, TLB_CONTROL_NONE);
    end = kit_run(&g);
    tap_ok(end.event != NULL && end.event->vector == (intinfo & 0xff) &&
               end.event->rip == (uintptr_t)back &&
               end.event->error == ((intinfo & EVENT_EV) != 0 ? intinfo >> 32 : 0),
           "%s: injecting EXITINTINFO completes it", what);
    tap_eq(svm_get(&g, VMCB_EXITINTINFO) & EVENT_V, 0, "%s: EXITINTINFO.V is 0 then", what);
}

/* rows: exit 5.5, 5.8, 6.6 */
static void test_exceptions(void)
{
    fresh(d_ud);
    expect(EVENT_V | EVENT_EXCEPTION | EXC_UD, d_ud, d_ud, "#UD");
    fresh(d_gp);
    expect(EVENT_V | EVENT_EXCEPTION | EVENT_EV | EXC_GP | UINT64_C(0x68) << EVENT_ERRORCODE_SHIFT,
           d_gp_2, d_gp_2, "#GP with an error code");
    fresh(d_pf);
    svm_set(&g, VMCB_CR2, 0x777);
    expect(EVENT_V | EVENT_EXCEPTION | EVENT_EV | EXC_PF, d_pf, d_pf, "#PF");
    tap_eq(svm_get(&g, VMCB_CR2), PAGING_WINDOW + UINT64_C(0x12345678),
           "#PF: CR2 had been written");
    fresh(d_nops);
    svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE | RFLAGS_TF);
    expect(EVENT_V | EVENT_EXCEPTION | EXC_DB, d_nops_2, d_nops_2, "single step");
    tap_eq(svm_get(&g, VMCB_DR6) & 0x4000, 0x4000, "single step: DR6.BS had been written");
}

/* rows: exit 5.8-5.9 */
static void test_software(void)
{
    fresh(d_int3);
    expect(EVENT_V | EVENT_EXCEPTION | EXC_BP, d_int3, d_int3_end, "INT3");
    fresh(d_int);
    expect(EVENT_V | EVENT_INTN | 0x66, d_int, d_int_end, "INT n");
    fresh(d_icebp);
    tap_eq(svm_run(&g), VMEXIT_NPF, "ICEBP: NPF");
    tap_eq(svm_get(&g, VMCB_EXITINTINFO) & 0xffffffff, EVENT_V | EVENT_EXCEPTION | EXC_DB,
           "ICEBP is an exception, not a software interrupt");
    tap_eq(svm_get(&g, VMCB_RIP), (uintptr_t)d_icebp, "ICEBP: RIP is at the instruction");
}

/* rows: exit 5.6-5.7 */
static void test_interrupts(void)
{
    fresh(d_nops);
    svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE | RFLAGS_IF);
    svm_set(&g, VMCB_VINTR,
            VINTR_V_IRQ | UINT64_C(8) << VINTR_V_INTR_PRIO_SHIFT |
                (uint64_t)VECTOR << VINTR_V_INTR_VECTOR_SHIFT);
    expect(EVENT_V | EVENT_INTR | VECTOR, d_nops, d_nops, "a virtual interrupt");
    tap_eq(svm_get(&g, VMCB_VINTR) & VINTR_V_IRQ, 0,
           "a virtual interrupt: V_IRQ had been cleared before");
    fresh(d_nops);
    svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE | RFLAGS_IF);
    svm_clgi();
    apic_self_ipi(PHYSICAL);
    expect(EVENT_V | EVENT_INTR | PHYSICAL, d_nops, d_nops, "a physical interrupt");
    tap_eq((uint64_t)apic_vector_bit(APIC_ISR, PHYSICAL), 1,
           "a physical interrupt: it had been acknowledged");
    apic_eoi();
    fresh(d_nops);
    svm_clgi();
    apic_self_nmi();
    expect(EVENT_V | EVENT_NMI | EXC_NMI, d_nops, d_nops, "an NMI");
    tap_eq(nmis, 0, "an NMI: the host has not seen it");
}

static void injected(uint64_t event, const char *back, const char *what)
{
    fresh(d_int);
    svm_set(&g, VMCB_EVENTINJ, event);
    svm_set(&g, VMCB_NRIP, (uintptr_t)back);
    expect(event, d_int, back, what);
}

/* rows: svmop 6.19, vmcb 4.4, exit 5.10 */
static void test_injected(void)
{
    injected(EVENT_V | EVENT_INTR | 0x77, d_int, "an injected interrupt");
    injected(EVENT_V | EVENT_NMI | EXC_NMI, d_int, "an injected NMI");
    injected(EVENT_V | EVENT_EXCEPTION | EVENT_EV | EXC_SS |
                 UINT64_C(0x1234) << EVENT_ERRORCODE_SHIFT,
             d_int, "an injected #SS");
    injected(EVENT_V | EVENT_INTN | 0x66, d_int_end, "an injected INT n");
    fresh(d_nops);
    svm_set(&g, VMCB_EVENTINJ, EVENT_V | EVENT_INTR | 0x77 | UINT64_C(0x7ffff000));
    svm_run(&g);
    tap_eq(svm_get(&g, VMCB_EXITINTINFO) & 0xffffffff, EVENT_V | EVENT_INTR | 0x77,
           "reserved bits of EVENTINJ are not in EXITINTINFO");
}

int rom_main(void)
{
    kit_init();
    if (!svm_has(SVM_FEATURE_NP) || !svm_has(SVM_FEATURE_NRIPS)) {
        tap_skip("no nested paging or NRIPS", "everything");
        tap_done();
    }
    apic_init();
    trap_set_handler(EXC_NMI, note_nmi);
    test_exceptions();
    test_software();
    test_injected();
    test_interrupts(); /* last: NMIs stay blocked, the guest executes no IRET */
    tap_done();
}

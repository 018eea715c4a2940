/* idle_hlt.c: the intercept of HLT while no virtual interrupt is pending. APM vol 2, 15.9 "Instruction Intercepts", appendix B. */
#include "test-roms/svm/kit.h"

#include "test-roms/lib/apic.h"

#define VECTOR 0x83u
#define TIMER 0x55u
#define V_IRQ (VINTR_V_IRQ | VINTR_V_IGN_TPR | (uint64_t)VECTOR << VINTR_V_INTR_VECTOR_SHIFT)

GUEST_CODE(h_hlt, "hlt\nh_hlt_2: nop");
GUEST_CODE(h_sti_hlt, "sti\nh_sti_hlt_insn: hlt\nh_sti_hlt_2: nop");
extern const char h_hlt_2[], h_sti_hlt_insn[], h_sti_hlt_2[];

static struct svm_guest g;
static volatile unsigned ticks;

static void note(struct trap_frame *f)
{
    (void)f;
    ticks++;
    apic_eoi();
}

static void fresh(const char *code, uint64_t word)
{
    kit_guest(&g, code);
    svm_set(&g, VMCB_VINTR, word);
    svm_intercept(&g, VMCB_INTERCEPT_5, INTERCEPT5_IDLE_HLT);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_NMI);
}

static void exits(uint64_t code, const char *rip, const char *what)
{
    tap_eq(svm_run(&g), code, "%s", what);
    tap_eq(svm_get(&g, VMCB_RIP), (uintptr_t)rip, "%s: at HLT", what);
    if (svm_has(SVM_FEATURE_NRIPS))
        tap_eq(svm_get(&g, VMCB_NRIP), (uintptr_t)rip + 1, "%s: nRIP is behind it", what);
    tap_eq(svm_get(&g, VMCB_EXITINFO1) | svm_get(&g, VMCB_EXITINFO2), 0, "%s: EXITINFO is 0", what);
}

static void wakes(unsigned vector, const char *rip, const char *what)
{
    struct kit_end end = kit_run(&g);

    tap_ok(end.event != NULL && end.event->vector == vector && end.event->rip == (uintptr_t)rip,
           "%s", what);
}

/* rows: exit 1.3.24, 2.15, vmcb 1.4.7 */
static void test_pending(void)
{
    fresh(h_hlt, 0);
    exits(VMEXIT_IDLE_HLT, h_hlt, "nothing pending");
    fresh(h_sti_hlt, 0);
    exits(VMEXIT_IDLE_HLT, h_sti_hlt_insn, "nothing pending, in the shadow of STI");
    fresh(h_sti_hlt, V_IRQ);
    wakes(VECTOR, h_sti_hlt_2, "V_IRQ pending: HLT is executed, and the interrupt ends it");
    fresh(h_hlt, V_IRQ);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_HLT);
    exits(VMEXIT_HLT, h_hlt, "the HLT intercept comes first");
    if (!svm_has(SVM_FEATURE_VNMI)) {
        tap_skip("no VNMI", "V_NMI");
        return;
    }
    fresh(h_hlt, VINTR_V_NMI_ENABLE | VINTR_V_NMI);
    svm_set(&g, VMCB_INTERRUPT_SHADOW, 1);
    wakes(EXC_NMI, h_hlt_2, "V_NMI pending: HLT is executed, and the NMI ends it");
    fresh(h_hlt, VINTR_V_NMI_ENABLE | VINTR_V_NMI_MASK);
    exits(VMEXIT_IDLE_HLT, h_hlt, "V_NMI_MASK is not pending");
    fresh(h_hlt, VINTR_V_NMI);
    exits(VMEXIT_IDLE_HLT, h_hlt, "V_NMI without V_NMI_ENABLE is not pending");
}

/* What is pending and masked is pending: the guest waits until the timer, which is the host's, ends it. */
static void test_masked(void)
{
    ticks = 0;
    fresh(h_hlt, V_IRQ | VINTR_V_INTR_MASKING);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_INTR);
    g.host_if = true;
    apic_timer_oneshot(TIMER, 100000);
    tap_eq(svm_run(&g), VMEXIT_INTR, "V_IRQ pending with IF=0: HLT is executed");
    tap_eq(svm_get(&g, VMCB_RIP), (uintptr_t)h_hlt_2, "a physical interrupt ends it behind HLT");
    __asm__ volatile("sti\n\tnop\n\tcli" : : : "memory");
    tap_eq(ticks, 1, "which the host takes");
    g.host_if = false;
}

/* rows: exit 2.15 */
static void test_user(void)
{
    struct kit_end end;

    fresh(h_hlt, 0);
    kit_guest_user(&g);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_GP);
    end = kit_run(&g);
    tap_eq(end.exitcode, VMEXIT_EXCP0 + EXC_GP, "#GP at level 3 comes before the intercept");
}

int rom_main(void)
{
    kit_init();
    if (!svm_has(SVM_FEATURE_IDLE_HLT)) {
        tap_skip("no idle HLT intercept", "everything");
        tap_done();
    }
    apic_init();
    trap_set_handler(TIMER, note);
    test_pending();
    test_masked();
    test_user();
    tap_done();
}

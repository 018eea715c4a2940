/* vgif.c: the virtual global interrupt flag: what it holds, and STGI and CLGI of the guest. APM vol 2, 15.33.2 "Virtual GIF
 * (VGIF)". */
#include "test-roms/svm/kit.h"

#include "test-roms/lib/apic.h"

#define VECTOR 0x83u
#define PHYSICAL 0x55u
#define BITS (VINTR_V_IRQ | VINTR_V_GIF)

GUEST_CODE(g_nops, "nop\nnop\nnop");
GUEST_CODE(g_stgi, "nop\nstgi\ng_stgi_2: nop\nnop");
GUEST_CODE(g_clgi, "clgi\nnop\nnop");
GUEST_CODE(g_both, "clgi\nnop\nstgi\ng_both_2: nop");
extern const char g_stgi_2[], g_both_2[];

static struct svm_guest g;
static volatile unsigned interrupts, nmis;

static void note(struct trap_frame *f)
{
    if (f->vector == EXC_NMI) {
        nmis++;
    } else {
        interrupts++;
        apic_eoi();
    }
}

/* A guest with a virtual interrupt pending, and these bits of the control word. */
static void fresh(const char *code, uint64_t word)
{
    kit_guest(&g, code);
    svm_set(&g, VMCB_VINTR,
            word | VINTR_V_IRQ | VINTR_V_IGN_TPR | (uint64_t)VECTOR << VINTR_V_INTR_VECTOR_SHIFT);
    svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE | RFLAGS_IF);
}

static void ends(uint64_t exitcode, uint64_t bits, const char *what)
{
    struct kit_end end = kit_run(&g);

    tap_ok(end.event == NULL && end.exitcode == exitcode, "%s", what);
    tap_eq(svm_get(&g, VMCB_VINTR) & BITS, bits, "%s: V_IRQ and V_GIF then", what);
}

static void taken(const char *rip, uint64_t bits, const char *what)
{
    struct kit_end end = kit_run(&g);

    tap_ok(end.event != NULL && end.event->vector == VECTOR && end.event->rip == (uintptr_t)rip,
           "%s", what);
    tap_eq(svm_get(&g, VMCB_VINTR) & BITS, bits, "%s: V_IRQ and V_GIF then", what);
}

/* rows: svmop 8.14, 10.4, 10.5, vmcb 3.4, 3.13 */
static void test_flag(void)
{
    fresh(g_nops, VINTR_V_GIF_ENABLE);
    ends(VMEXIT_VMMCALL, VINTR_V_IRQ, "V_GIF=0 holds a virtual interrupt");
    fresh(g_nops, VINTR_V_GIF_ENABLE | VINTR_V_GIF);
    taken(g_nops, VINTR_V_GIF, "V_GIF=1 lets it come");
    fresh(g_nops, 0);
    taken(g_nops, 0, "without V_GIF_ENABLE a V_GIF of 0 holds nothing");
    fresh(g_nops, VINTR_V_GIF);
    taken(g_nops, VINTR_V_GIF, "and a V_GIF of 1 stays as it was");
    fresh(g_nops, VINTR_V_GIF_ENABLE);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_VINTR);
    ends(VMEXIT_VMMCALL, VINTR_V_IRQ, "VINTR does not exit while V_GIF=0");
}

/* rows: svmop 8.16, 8.17 */
static void test_instructions(void)
{
    fresh(g_stgi, VINTR_V_GIF_ENABLE);
    taken(g_stgi_2, VINTR_V_GIF, "STGI in the guest lets it come, without a shadow");
    fresh(g_clgi, VINTR_V_GIF_ENABLE | VINTR_V_GIF);
    svm_set(&g, VMCB_INTERRUPT_SHADOW, 1);
    ends(VMEXIT_VMMCALL, VINTR_V_IRQ, "CLGI in the guest holds it");
    fresh(g_both, VINTR_V_GIF_ENABLE | VINTR_V_GIF);
    svm_set(&g, VMCB_INTERRUPT_SHADOW, 1);
    taken(g_both_2, VINTR_V_GIF, "CLGI, then STGI");
    fresh(g_stgi, VINTR_V_GIF_ENABLE);
    svm_intercept(&g, VMCB_INTERCEPT_4, INTERCEPT4_STGI);
    ends(VMEXIT_STGI, VINTR_V_IRQ, "the STGI intercept comes first");
    fresh(g_clgi, VINTR_V_GIF_ENABLE | VINTR_V_GIF);
    svm_set(&g, VMCB_INTERRUPT_SHADOW, 1);
    svm_intercept(&g, VMCB_INTERCEPT_4, INTERCEPT4_CLGI);
    ends(VMEXIT_CLGI, VINTR_V_IRQ | VINTR_V_GIF, "the CLGI intercept comes first");
}

static void test_user(void)
{
    struct kit_end end;

    fresh(g_clgi, VINTR_V_GIF_ENABLE);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_GP);
    kit_guest_user(&g);
    end = kit_run(&g);
    tap_eq(end.exitcode, VMEXIT_EXCP0 + EXC_GP, "CLGI at level 3 is #GP");
}

/* Physical events go by GIF, which is 1 in the guest. */
/* rows: svmop 8.15 */
static void test_physical(void)
{
    interrupts = nmis = 0;
    fresh(g_nops, VINTR_V_GIF_ENABLE | VINTR_V_INTR_MASKING);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_INTR);
    g.host_if = true;
    svm_clgi();
    apic_self_ipi(PHYSICAL);
    ends(VMEXIT_INTR, VINTR_V_IRQ, "V_GIF=0: a physical interrupt exits");
    __asm__ volatile("sti\n\tnop\n\tcli" : : : "memory");
    tap_eq(interrupts, 1, "and comes to the host");
    g.host_if = false;

    fresh(g_nops, VINTR_V_GIF_ENABLE);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_NMI);
    svm_clgi();
    apic_self_nmi();
    ends(VMEXIT_NMI, VINTR_V_IRQ, "V_GIF=0: an NMI exits");
    cpu_pause();
    tap_eq(nmis, 1, "and comes to the host");

    fresh(g_clgi, VINTR_V_GIF_ENABLE | VINTR_V_GIF);
    svm_set(&g, VMCB_INTERRUPT_SHADOW, 1);
    g.keep_gif = true;
    svm_run(&g);
    apic_self_nmi();
    cpu_pause();
    tap_eq(nmis, 1, "#VMEXIT clears GIF, whatever V_GIF is");
    svm_stgi();
    cpu_pause();
    tap_eq(nmis, 2, "STGI of the host sets it");
}

int rom_main(void)
{
    kit_init();
    if (!svm_has(SVM_FEATURE_VGIF)) {
        tap_skip("no VGIF", "everything");
        tap_done();
    }
    apic_init();
    trap_set_handler(PHYSICAL, note);
    trap_set_handler(EXC_NMI, note);
    test_flag();
    test_instructions();
    test_user();
    test_physical();
    tap_done();
}

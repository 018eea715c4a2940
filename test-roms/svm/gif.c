/* gif.c: the global interrupt flag, and NMI in and around a guest. APM vol 2, 15.17 "Global Interrupt Flag,
 * STGI and CLGI Instructions", 15.13.2 "NMI Intercept". */
#include "test-roms/svm/kit.h"

#include "test-roms/lib/apic.h"

#define VECTOR 0x55u

GUEST_CODE(f_nops, "nop\nnop");
GUEST_CODE(f_clgi, "clgi\nnop");
GUEST_CODE(f_stgi, "clgi\nnop\nstgi\nf_stgi_2: nop");
extern const char f_stgi_2[];

static struct svm_guest g;
static volatile unsigned interrupts, nmis;
static volatile uint64_t nmi_rip;

static void note(struct trap_frame *f)
{
    if (f->vector == EXC_NMI) {
        nmis++;
        nmi_rip = f->rip;
    } else {
        interrupts++;
        apic_eoi();
    }
}

static void do_ud(void *arg)
{
    (void)arg;
    __asm__ volatile("ud2");
}

extern const char stgi_next[];

/* rows: svmop 8.3, 8.6, 8.12 */
static void test_host(void)
{
    struct trap_result r;

    interrupts = nmis = 0;
    interrupts_on();
    svm_clgi();
    apic_self_ipi(VECTOR);
    cpu_pause();
    tap_eq(interrupts, 0, "GIF=0 holds an interrupt with IF=1");
    apic_self_nmi();
    cpu_pause();
    tap_eq(nmis, 0, "GIF=0 holds an NMI");
    r = trap_try(do_ud, NULL);
    tap_eq(r.vector, EXC_UD, "GIF=0 lets exceptions through");
    __asm__ volatile("stgi\n.globl stgi_next\nstgi_next:\n\tnop" : : : "memory");
    tap_ok(interrupts == 1 && nmis == 1, "STGI lets both come");
    tap_eq(nmi_rip, (uintptr_t)stgi_next, "right behind STGI, the NMI first");
    interrupts_off();
}

/* rows: svmop 5.1, 8.6 */
static void test_vmexit(void)
{
    interrupts = 0;
    kit_guest(&g, f_nops);
    g.keep_gif = true;
    svm_run(&g);
    apic_self_ipi(VECTOR);
    interrupts_on();
    cpu_pause();
    tap_eq(interrupts, 0, "#VMEXIT leaves GIF=0");
    svm_stgi();
    cpu_pause();
    tap_eq(interrupts, 1, "until STGI");
    interrupts_off();
}

/* STGI and CLGI that are not intercepted change the real flag. */
static void test_guest(void)
{
    struct kit_end end;

    kit_guest(&g, f_clgi);
    svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE | RFLAGS_IF);
    svm_set(&g, VMCB_VINTR,
            VINTR_V_IRQ | UINT64_C(8) << VINTR_V_INTR_PRIO_SHIFT |
                (uint64_t)VECTOR << VINTR_V_INTR_VECTOR_SHIFT);
    svm_set(&g, VMCB_INTERRUPT_SHADOW, 1);
    end = kit_run(&g);
    tap_ok(end.event == NULL && end.exitcode == VMEXIT_VMMCALL,
           "CLGI in the guest holds a virtual interrupt");
    kit_guest(&g, f_stgi);
    svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE | RFLAGS_IF);
    svm_set(&g, VMCB_VINTR,
            VINTR_V_IRQ | UINT64_C(8) << VINTR_V_INTR_PRIO_SHIFT |
                (uint64_t)VECTOR << VINTR_V_INTR_VECTOR_SHIFT);
    svm_set(&g, VMCB_INTERRUPT_SHADOW, 1);
    end = kit_run(&g);
    tap_ok(end.event != NULL && end.event->vector == VECTOR &&
               end.event->rip == (uintptr_t)f_stgi_2,
           "STGI in the guest lets it come, without a shadow");
}

/* rows: svmop 12.2-12.4, exit 1.2.2 */
static void test_nmi(void)
{
    struct kit_end end;

    nmis = 0;
    kit_guest(&g, f_nops);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_NMI);
    svm_clgi();
    apic_self_nmi();
    tap_eq(svm_run(&g), VMEXIT_NMI, "a pending NMI exits at the first boundary");
    tap_eq(svm_get(&g, VMCB_RIP), (uintptr_t)f_nops, "before the first instruction");
    cpu_pause();
    tap_eq(nmis, 1, "the host takes it after STGI");
    nmis = 0;
    kit_guest(&g, f_nops);
    svm_clgi();
    apic_self_nmi();
    end = kit_run(&g);
    tap_ok(end.event != NULL && end.event->vector == EXC_NMI,
           "not intercepted: delivered through the guest's IDT");
    tap_eq(nmis, 0, "the host does not see it");
    /* The guest has not executed IRET, so that NMIs are still blocked. */
    apic_self_nmi();
    cpu_pause();
    tap_eq(nmis, 0, "NMIs stay blocked across #VMEXIT");
    __asm__ volatile(
        "movl %%ss, %%eax\n\tpushq %%rax\n\tleaq 8(%%rsp), %%rax\n\tpushq %%rax\n\tpushfq\n\t"
        "movl %%cs, %%eax\n\tpushq %%rax\n\tpushq $1f\n\tiretq\n1:\tnop"
        :
        :
        : "rax", "memory");
    tap_eq(nmis, 1, "until an IRET");
}

int rom_main(void)
{
    kit_init();
    apic_init();
    trap_set_handler(VECTOR, note);
    trap_set_handler(EXC_NMI, note);
    test_host();
    test_vmexit();
    test_guest();
    test_nmi();
    tap_done();
}

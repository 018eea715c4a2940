/* boundaries.c: what comes between two instructions of a guest, seen by its hypervisor: #DB with DR6, DR7 and RF, NMIs round an
 * intercepted IRET, the interrupt shadow. APM vol 2, 15.12.2 "#DB (Debug)", 15.13.2 "NMI Intercept", 15.9 "Instruction
 * Intercepts", 15.21.5 "Interrupt Shadows", 13.1 "Software-Debug Resources". */
#include "test-roms/svm/kit.h"

#include "test-roms/lib/apic.h"

#define DR7_FIXED UINT64_C(0x400)
#define DR7_L0 UINT64_C(1)
#define DR7_GD UINT64_C(0x2000)
#define DR7_WRITE4 UINT64_C(0xd0000) /* breakpoint 0: writes of 4 bytes */
#define DR6_FIXED UINT64_C(0xffff0ff0)
#define DR6_B0 UINT64_C(1)
#define DR6_BD UINT64_C(0x2000)
#define DR6_BS UINT64_C(0x4000)

GUEST_CODE(b_nops, "nop\nb_nops_2: nop\nb_nops_3: nop");
GUEST_CODE(b_write, "movl %eax, (%rdi)\nb_write_2: nop");
GUEST_CODE(b_dr, "movq %dr0, %rbx\nb_dr_2: nop");
GUEST_CODE(b_cpuid, "cpuid\nb_cpuid_2: nop");
GUEST_CODE(b_sti, "sti\nb_sti_2: cpuid\nb_sti_3: nop\nb_sti_4: nop");
GUEST_CODE(b_iret, "movq %rsp, %rbx\npushq $0x10\npushq %rbx\npushq $2\npushq $8\npushq $b_iret_3\n"
                   "b_iret_2: iretq\nb_iret_3: nop\nb_iret_4: nop");
extern const char b_nops_2[], b_nops_3[], b_write_2[], b_dr_2[], b_cpuid_2[], b_sti_2[], b_sti_3[];
extern const char b_sti_4[], b_iret_2[], b_iret_3[];

static struct svm_guest g;
static volatile uint32_t watched;
static volatile unsigned nmis;

static void note_nmi(struct trap_frame *f)
{
    (void)f;
    nmis++;
}

static void fresh(const char *code, uint64_t dr0, uint64_t dr7)
{
    kit_guest(&g, code);
    __asm__ volatile("movq %0, %%db0" : : "r"(dr0));
    svm_set(&g, VMCB_DR7, dr7 | DR7_FIXED);
    svm_set(&g, VMCB_DR6, DR6_FIXED);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_DB);
}

/* The exit has DR6 and DR7 as the guest's handler would see them. */
static void debug_exit(const char *rip, uint64_t dr6, uint64_t dr7, const char *what)
{
    tap_eq(svm_run(&g), VMEXIT_EXCP0 + EXC_DB, "%s: #DB exits", what);
    tap_eq(svm_get(&g, VMCB_RIP), (uintptr_t)rip, "%s: RIP", what);
    tap_eq(svm_get(&g, VMCB_DR6), DR6_FIXED | dr6, "%s: DR6", what);
    tap_eq(svm_get(&g, VMCB_DR7), DR7_FIXED | dr7, "%s: DR7", what);
    tap_eq(svm_get(&g, VMCB_EXITINTINFO) & EVENT_V, 0, "%s: EXITINTINFO is not valid", what);
    svm_set8(&g, VMCB_TLB_CONTROL, TLB_CONTROL_NONE);
}

/* rows: exit 4.2, svmop 3.36 */
static void test_instruction_breakpoint(void)
{
    fresh(b_nops, (uintptr_t)b_nops_2, DR7_L0);
    debug_exit(b_nops_2, DR6_B0, DR7_L0, "instruction breakpoint");
    tap_eq(svm_run(&g), VMEXIT_EXCP0 + EXC_DB, "resumed as it is: the breakpoint again");
    svm_set(&g, VMCB_RFLAGS, svm_get(&g, VMCB_RFLAGS) | RFLAGS_RF);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "resumed with RF: the instruction runs");
    tap_eq(svm_get(&g, VMCB_RFLAGS) & RFLAGS_RF, 0, "and clears RF");
    /* RF that nothing uses up is still there when an instruction exits before it has run. */
    fresh(b_cpuid, 0, 0);
    svm_set(&g, VMCB_RFLAGS, svm_get(&g, VMCB_RFLAGS) | RFLAGS_RF);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_CPUID);
    tap_eq(svm_run(&g), VMEXIT_CPUID, "an intercepted instruction");
    tap_eq(svm_get(&g, VMCB_RFLAGS) & RFLAGS_RF, RFLAGS_RF, "leaves RF as it was");
    /* The breakpoint comes before the intercept of its instruction. */
    fresh(b_cpuid, (uintptr_t)b_cpuid, DR7_L0);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_CPUID);
    debug_exit(b_cpuid, DR6_B0, DR7_L0, "breakpoint on an intercepted instruction");
}

/* rows: exit 2.2, 2.3, 4.2 */
static void test_traps(void)
{
    fresh(b_write, (uintptr_t)&watched, DR7_L0 | DR7_WRITE4);
    g.rdi = (uintptr_t)&watched;
    svm_set(&g, VMCB_RAX, 77);
    debug_exit(b_write_2, DR6_B0, DR7_L0 | DR7_WRITE4, "data breakpoint");
    tap_eq(watched, 77, "data breakpoint: the write is done");
    fresh(b_nops, 0, 0);
    svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE | RFLAGS_TF);
    debug_exit(b_nops_2, DR6_BS, 0, "single step");
    tap_eq(svm_get(&g, VMCB_RFLAGS) & RFLAGS_TF, RFLAGS_TF, "single step: TF is saved");
    svm_set(&g, VMCB_DR6, DR6_FIXED);
    debug_exit(b_nops_3, DR6_BS, 0, "and the next step");
    fresh(b_cpuid, 0, 0);
    svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE | RFLAGS_TF);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_CPUID);
    tap_eq(svm_run(&g), VMEXIT_CPUID, "an intercepted instruction is not a step");
    tap_eq(svm_get(&g, VMCB_DR6), DR6_FIXED, "and leaves DR6");
}

/* rows: exit 2.10, 4.2 */
static void test_general_detect(void)
{
    fresh(b_dr, 0, DR7_GD);
    svm_intercept(&g, VMCB_INTERCEPT_DR, 1u);
    debug_exit(b_dr, DR6_BD, 0, "MOV DR with DR7.GD");
    tap_eq(svm_run(&g), VMEXIT_DR0_READ, "GD has been cleared: the intercept of MOV DR");
}

/* Injected #DB finds the debug registers of the VMCB. */
/* rows: svmop 6.13 */
static void test_injected(void)
{
    struct kit_end end;

    fresh(b_nops, 0, DR7_GD);
    svm_set(&g, VMCB_DR6, DR6_FIXED | DR6_BD);
    svm_set(&g, VMCB_EVENTINJ, EVENT_V | EVENT_EXCEPTION | EXC_DB);
    end = kit_run(&g);
    tap_ok(end.event != NULL && end.event->vector == EXC_DB && (end.event->rflags & RFLAGS_RF) == 0,
           "injected #DB arrives, with RF = 0 on the stack");
    tap_ok(svm_get(&g, VMCB_DR6) == (DR6_FIXED | DR6_BD) &&
               svm_get(&g, VMCB_DR7) == (DR7_FIXED | DR7_GD),
           "and has changed neither DR6 nor DR7");
    fresh(b_nops, 0, 0);
    svm_set(&g, VMCB_EVENTINJ, EVENT_V | EVENT_EXCEPTION | EXC_UD);
    end = kit_run(&g);
    tap_ok(end.event != NULL && (end.event->rflags & RFLAGS_RF) != 0,
           "an injected fault pushes RF = 1");
}

/* A hypervisor without virtual NMIs: the NMI handler ends with the IRET that it intercepts. */
/* rows: svmop 12.3, 12.4, 12.11 */
static void test_nmi(void)
{
    struct kit_end end;

    nmis = 0;
    kit_guest(&g, b_iret);
    svm_clgi();
    apic_self_nmi();
    end = kit_run(&g);
    tap_ok(end.event != NULL && end.event->vector == EXC_NMI, "an NMI is delivered in the guest");
    /* On with the guest's own code, as if it were the handler. */
    svm_set(&g, VMCB_RIP, (uintptr_t)b_iret);
    svm_set(&g, VMCB_RSP, kit_stack_top());
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_IRET);
    apic_self_nmi();
    cpu_pause();
    tap_eq(nmis, 0, "a second one is held, in the host too");
    tap_eq(svm_run(&g), VMEXIT_IRET, "the handler's IRET exits");
    tap_eq(svm_get(&g, VMCB_RIP), (uintptr_t)b_iret_2, "before it executes");
    tap_eq(nmis, 0, "NMIs are still blocked");
    svm_set32(&g, VMCB_INTERCEPT_3, 0);
    end = kit_run(&g);
    tap_ok(end.event != NULL && end.event->vector == EXC_NMI &&
               end.event->rip == (uintptr_t)b_iret_3,
           "IRET executes: the held one comes behind it, to the guest");
    tap_eq(nmis, 0, "and not to the host");
    /* The guest's gate returns by IRETQ: NMIs are open again. */
    kit_resume(&g);
    tap_eq(svm_run(&g), VMEXIT_VMMCALL, "the guest goes on");
    apic_self_nmi();
    cpu_pause();
    tap_eq(nmis, 1, "NMIs are open again");
}

/* rows: svmop 9.1, 9.2, 9.4, 9.5 */
static void test_shadow(void)
{
    kit_guest(&g, b_sti);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_CPUID);
    tap_eq(svm_run(&g), VMEXIT_CPUID, "STI; CPUID exits in the shadow");
    tap_eq(svm_get(&g, VMCB_INTERRUPT_SHADOW) & 1, 1, "which is saved");
    /* A hypervisor that emulates CPUID and forgets the shadow: it covers one instruction more. */
    svm_set(&g, VMCB_RIP, (uintptr_t)b_sti_3);
    svm_set(&g, VMCB_VINTR,
            VINTR_V_IRQ | VINTR_V_IGN_TPR | UINT64_C(0x66) << VINTR_V_INTR_VECTOR_SHIFT);
    svm_set8(&g, VMCB_TLB_CONTROL, TLB_CONTROL_NONE);
    {
        struct kit_end end = kit_run(&g);

        tap_ok(end.event != NULL && end.event->vector == 0x66 &&
                   end.event->rip == (uintptr_t)b_sti_4,
               "kept, it holds a virtual interrupt for one instruction");
    }
    tap_eq(svm_get(&g, VMCB_INTERRUPT_SHADOW) & 1, 0, "and is over then");
}

int rom_main(void)
{
    kit_init();
    apic_init();
    trap_set_handler(EXC_NMI, note_nmi);
    test_instruction_breakpoint();
    test_traps();
    test_general_detect();
    test_injected();
    test_shadow();
    test_nmi();
    tap_done();
}

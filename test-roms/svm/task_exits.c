/* task_exits.c: the task switch intercept: every cause of a task switch, what is told, what is checked before it; and the
 * same switches without the intercept. APM vol 2, 15.14.1 "Task Switch Intercept", 15.7.2 "Intercepts During IDT
 * Interrupt Delivery", 15.20 "Event Injection". */
#include "test-roms/svm/mode_kit.h"

#define NEXT_TSS 0x80u  /* MSEL_FREE; known to the assembly texts */
#define NEXT_GATE 0x88u /* a task gate to it */
#define BY_IRET (UINT64_C(1) << 36)
#define BY_JMP (UINT64_C(1) << 38)
#define HAS_CODE (UINT64_C(1) << 44)
#define RF (UINT64_C(1) << 48)
#define BUSY 2u

MODE_CODE32(t_jmp, "t_jmp_insn: ljmp $0x80, $0\n nop");
MODE_CODE32(t_call, "t_call_insn: lcall $0x80, $0\n nop");
MODE_CODE32(t_jmp_gate, "t_jmp_gate_insn: ljmp $0x88, $0\n nop");
MODE_CODE32(t_call_gate, "t_call_gate_insn: lcall $0x88, $0\n nop");
MODE_CODE32(t_iret, "t_iret_insn: iretl\n nop");
MODE_CODE32(t_int, "t_int_insn: int $0x40\n nop");
MODE_CODE32(t_int3, "t_int3_insn: int3\n nop");
MODE_CODE32(t_into, "movb $0x7f, %al\n incb %al\n t_into_insn: into\n nop");
MODE_CODE32(t_div, "xorl %ebx, %ebx\n t_div_insn: divl %ebx\n nop");
MODE_CODE32(t_gp, "movl $0x7f8, %ecx\n t_gp_insn: movw %cx, %es\n nop");
MODE_CODE32(t_nop, "t_nop_insn: nop\n nop");
MODE_CODE16(t_v86, "t_v86_insn: int $0x40\n nop");
/* The second task notes what it finds. */
MODE_CODE32(t_next, "movl %cr0, %ebp\n pushfl\n popl %edx\n str %si\n movw (%esp), %di");

static struct svm_guest g;
static uint8_t next_tss[256] __attribute__((aligned(128)));

static unsigned type_of(unsigned selector)
{
    return modes_gdt[selector / 8] >> 40 & 0xf;
}

static void prepare(enum mode mode, const char *code)
{
    modes_begin(mode, code);
    memset(next_tss, 0, sizeof next_tss);
    modes_set(NEXT_TSS, modes_descriptor((uint32_t)(uintptr_t)next_tss, TSS_BYTES - 1, 0x89, 0));
    modes_set(NEXT_GATE, modes_gate(NEXT_TSS, 0, 0x85 | SEG_DPL(3), 0));
    for (unsigned v = 0; v < 256; v++)
        *modes_idt_gate(v) = modes_gate(NEXT_TSS, 0, 0x85 | SEG_DPL(3), 0);
    modes_store(next_tss, TSS_EIP, (uint32_t)(uintptr_t)t_next, 4);
    modes_store(next_tss, TSS_EFLAGS, (uint32_t)RFLAGS_ONE, 4);
    modes_store(next_tss, TSS_ESP, (uint32_t)(uintptr_t)modes_user_stack, 4);
    for (unsigned i = 0; i < 6; i++)
        modes_store(next_tss, TSS_ES + 4 * i, i == 1 ? SEL_CODE32 : SEL_DATA, 2);
    modes_store(next_tss, TSS_IOMAP, TSS_BYTES, 2);
    guest_make(&g, false);
}

static void prepare_iret(void)
{
    prepare(MODE_PROT32, t_iret);
    svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE | RFLAGS_NT);
    modes_store(modes_tss, TSS_LINK, NEXT_TSS, 2);
    modes_gdt[NEXT_TSS / 8] |= (uint64_t)BUSY << 40;
}

/* Run to the task switch exit and look at all of it. */
static void task_exit(const char *rip, uint64_t info2, uint64_t intinfo, const char *what)
{
    unsigned old_type = type_of(MSEL_TSS), new_type = type_of(NEXT_TSS);

    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_TASK_SWITCH);
    guest_exits(&g, VMEXIT_TASK_SWITCH, rip, what);
    tap_eq(svm_get(&g, VMCB_EXITINFO1), NEXT_TSS, "EXITINFO1 is the selector of the new TSS");
    tap_eq(svm_get(&g, VMCB_EXITINFO2), info2, "EXITINFO2 tells the cause");
    tap_eq(svm_get(&g, VMCB_EXITINTINFO), intinfo, "EXITINTINFO tells the event");
    tap_ok(type_of(MSEL_TSS) == old_type && type_of(NEXT_TSS) == new_type &&
               (svm_get(&g, VMCB_CR0) & CR0_TS) == 0 &&
               (svm_get(&g, VMCB_TR) & 0xffff) == MSEL_TSS &&
               modes_load(modes_tss, TSS_EIP, 4) == 0,
           "and nothing was switched");
}

/* rows: exit 1.2.24, 3.5.1, 3.5.3-3.5.4 */
static void test_instructions(void)
{
    prepare(MODE_PROT32, t_jmp);
    task_exit(t_jmp_insn, BY_JMP, 0, "far JMP to a TSS");
    prepare(MODE_PROT32, t_jmp_gate);
    task_exit(t_jmp_gate_insn, BY_JMP, 0, "far JMP through a task gate");
    prepare(MODE_PROT32, t_call);
    task_exit(t_call_insn, 0, 0, "far CALL to a TSS");
    prepare(MODE_PROT32, t_call_gate);
    task_exit(t_call_gate_insn, 0, 0, "far CALL through a task gate");
    prepare_iret();
    task_exit(t_iret_insn, BY_IRET, 0, "IRET with NT");
}

/* rows: exit 3.5.2, 3.5.5-3.5.6, 5.5 */
static void test_events(void)
{
    const uint64_t exception = EVENT_V | EVENT_EXCEPTION;

    prepare(MODE_PROT32, t_int);
    task_exit(t_int_insn, 0, EVENT_V | EVENT_INTN | 0x40, "INT n: at the instruction");
    prepare(MODE_V86, t_v86);
    task_exit(t_v86_insn, 0, EVENT_V | EVENT_INTN | 0x40, "INT n of virtual-8086 mode");
    prepare(MODE_PROT32, t_int3);
    task_exit(t_int3_insn, 0, exception | EXC_BP, "INT3");
    prepare(MODE_PROT32, t_into);
    task_exit(t_into_insn, 0, exception | EXC_OF, "INTO");
    prepare(MODE_PROT32, t_div);
    task_exit(t_div_insn, RF, exception | EXC_DE, "#DE: RF would be saved as 1");
    prepare(MODE_PROT32, t_gp);
    task_exit(t_gp_insn, HAS_CODE | RF | 0x7f8,
              exception | EVENT_EV | EXC_GP | UINT64_C(0x7f8) << EVENT_ERRORCODE_SHIFT,
              "#GP: the error code is told twice");
    prepare(MODE_PROT32, t_nop);
    svm_set(&g, VMCB_VINTR, VINTR_V_IRQ | VINTR_V_IGN_TPR | UINT64_C(0x51) << 32);
    svm_set(&g, VMCB_RFLAGS, RFLAGS_ONE | RFLAGS_IF);
    task_exit(t_nop, 0, EVENT_V | EVENT_INTR | 0x51, "a virtual interrupt");
    tap_eq(svm_get(&g, VMCB_VINTR) & VINTR_V_IRQ, 0, "which is no longer pending");
}

static void inject(const char *code, uint64_t event)
{
    prepare(MODE_PROT32, code);
    svm_set(&g, VMCB_EVENTINJ, event);
    svm_set(&g, VMCB_NRIP, (uintptr_t)code + 1);
}

/* rows: exit 5.5, 5.10 */
static void test_injected(void)
{
    const uint64_t with_code =
        EVENT_V | EVENT_EXCEPTION | EVENT_EV | EXC_GP | UINT64_C(0x1234) << EVENT_ERRORCODE_SHIFT;

    inject(t_nop, EVENT_V | EVENT_INTR | 0x20);
    task_exit(t_nop, 0, EVENT_V | EVENT_INTR | 0x20, "an injected interrupt");
    tap_eq(svm_get(&g, VMCB_EVENTINJ) & EVENT_V, 0, "EVENTINJ.V is 0 then");
    inject(t_nop, EVENT_V | EVENT_NMI);
    task_exit(t_nop, 0, EVENT_V | EVENT_NMI | EXC_NMI, "an injected NMI");
    inject(t_nop, EVENT_V | EVENT_INTN | 0x21);
    task_exit(t_nop, 0, EVENT_V | EVENT_INTN | 0x21, "an injected INT n");
    inject(t_nop, with_code);
    task_exit(t_nop, HAS_CODE | RF | 0x1234, with_code, "an injected #GP");
}

/* The TSS and the gate are checked before the intercept: their faults win. */
/* rows: exit 2.30, 4.8-4.9 */
static void test_checks(void)
{
    prepare(MODE_PROT32, t_jmp);
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_TASK_SWITCH);
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_GP | 1u << EXC_NP | 1u << EXC_TS);
    modes_set(NEXT_TSS, modes_descriptor(0, TSS_BYTES - 1, 0x8b, 0));
    guest_exits(&g, VMEXIT_EXCP0 + EXC_GP, t_jmp_insn, "a busy TSS is #GP before the intercept");
    guest_field(&g, VMCB_EXITINFO1, NEXT_TSS, "with its selector");
    modes_set(NEXT_TSS, modes_descriptor(0, TSS_BYTES - 1, 0x09, 0));
    guest_exits(&g, VMEXIT_EXCP0 + EXC_NP, t_jmp_insn, "one that is not present #NP");
    modes_set(NEXT_TSS, modes_descriptor(0, TSS_BYTES - 2, 0x89, 0));
    guest_exits(&g, VMEXIT_EXCP0 + EXC_TS, t_jmp_insn, "a short one #TS");
    guest_field(&g, VMCB_EXITINFO1, NEXT_TSS, "with its selector");
    svm_set(&g, VMCB_RIP, (uintptr_t)t_jmp_gate);
    modes_set(NEXT_GATE, modes_gate(NEXT_TSS, 0, 0x05, 0));
    guest_exits(&g, VMEXIT_EXCP0 + EXC_NP, t_jmp_gate_insn, "a gate that is not present #NP");
    guest_field(&g, VMCB_EXITINFO1, NEXT_GATE, "with the selector of the gate");
    /* The contents of a TSS that is in no page are never read. */
    prepare(MODE_PROT32, t_jmp);
    modes_set(NEXT_TSS, modes_descriptor(0xf0000000, TSS_BYTES - 1, 0x89, 0));
    task_exit(t_jmp_insn, BY_JMP, 0, "the new TSS itself is not read before it");
    /* An exception while an event goes through the gate. */
    prepare(MODE_PROT32, t_int);
    modes_set(NEXT_TSS, modes_descriptor(0, TSS_BYTES - 1, 0x8b, 0));
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_GP);
    guest_exits(&g, VMEXIT_EXCP0 + EXC_GP, t_int_insn, "INT n to a busy TSS is #GP");
    guest_field(&g, VMCB_EXITINTINFO, EVENT_V | EVENT_INTN | 0x40, "in the delivery of INT n");
    prepare(MODE_PROT32, t_div);
    modes_set(NEXT_TSS, modes_descriptor(0, TSS_BYTES - 1, 0x8b, 0));
    svm_intercept(&g, VMCB_INTERCEPT_EXCEPTION, 1u << EXC_DF);
    guest_exits(&g, VMEXIT_EXCP0 + EXC_DF, NULL, "#GP in the delivery of #DE is #DF");
    guest_field(&g, VMCB_EXITINTINFO, EVENT_V | EVENT_EXCEPTION | EXC_DE, "EXITINTINFO is #DE");
}

/* Without the intercept the guest switches by itself. */
static void switched(uint64_t nt, const char *what)
{
    guest_pass(&g, t_next_end, what);
    tap_ok((uint16_t)g.rsi == NEXT_TSS && (g.rbp & CR0_TS) != 0 && (g.rdx & RFLAGS_NT) == nt,
           "TR, CR0.TS and NT are those of the new task");
    tap_eq(svm_get(&g, VMCB_TR) & 0xffff, NEXT_TSS, "VMSAVE stores the new TR");
}

static void test_switches(void)
{
    prepare(MODE_PROT32, t_jmp);
    switched(0, "far JMP without the intercept");
    prepare(MODE_PROT32, t_call_gate);
    switched(RFLAGS_NT, "far CALL through a gate without it");
    prepare_iret();
    switched(0, "IRET without it");
    prepare(MODE_V86, t_v86);
    switched(RFLAGS_NT, "INT n of virtual-8086 mode without it");
    tap_eq(modes_load(modes_tss, TSS_EIP, 4), (uintptr_t)t_v86_insn + 2,
           "the old task returns behind it");
    tap_ok((modes_load(modes_tss, TSS_EFLAGS, 4) & RFLAGS_VM) != 0, "to virtual-8086 mode");
    inject(t_nop, EVENT_V | EVENT_INTN | 0x21);
    switched(RFLAGS_NT, "an injected INT n");
    tap_eq(modes_load(modes_tss, TSS_EIP, 4), (uintptr_t)t_nop + 1,
           "returns to the nRIP of the VMCB");
    inject(t_nop, EVENT_V | EVENT_EXCEPTION | EXC_BP);
    switched(RFLAGS_NT, "an injected #BP");
    tap_eq(modes_load(modes_tss, TSS_EIP, 4), (uintptr_t)t_nop + 1, "does too");
    inject(t_nop, EVENT_V | EVENT_INTR | 0x20);
    switched(RFLAGS_NT, "an injected interrupt");
    tap_eq(modes_load(modes_tss, TSS_EIP, 4), (uintptr_t)t_nop, "returns to RIP");
    inject(t_nop, EVENT_V | EVENT_EXCEPTION | EVENT_EV | EXC_GP |
                      UINT64_C(0x1234) << EVENT_ERRORCODE_SHIFT);
    switched(RFLAGS_NT, "an injected #GP");
    tap_eq((uint16_t)g.rdi, 0x1234, "pushes its code on the stack of the new task");
}

int rom_main(void)
{
    kit_init();
    test_instructions();
    test_events();
    test_injected();
    test_checks();
    test_switches();
    tap_done();
}

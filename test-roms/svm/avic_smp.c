/* avic_smp.c: AVIC on two processors: interrupts that reach a running guest without an exit, from the hypervisor by doorbell and from
 * another guest; targets that wait or do not run. APM vol 2, 15.29.6 "Interrupt Delivery", 15.29.8.2 "Doorbell Mechanism". */
#include "test-roms/lib/smp.h"
#include "test-roms/svm/avic_kit.h"

#define VECTOR 0x61u
#define ROUNDS 300u

/* All share what they count in. EDI: the page of the APIC; ESI: RCX of the x2APIC ICR, or 0. */
GUEST_CODE(s_spin, "movl $1, s_inside(%rip)\nsti\n"
                   "1: pause\ncmpl $0, s_leave(%rip)\nje 1b\ncli");
GUEST_CODE(s_halt, "movl $1, s_inside(%rip)\n"
                   "1: sti\nhlt\ncli\ncmpl $0, s_leave(%rip)\nje 1b");
GUEST_CODE(s_masked,
           "movl $1, s_inside(%rip)\n1: pause\ncmpl $0, s_leave(%rip)\nje 1b\nsti\nnop\ncli");
/* Sends what is in EAX (ICR low) to processor EDX; then waits for an answer. */
GUEST_CODE(s_send, "movl %edx, 0x310(%rdi)\nmovl %eax, 0x300(%rdi)\nsti\n"
                   "1: pause\ncmpl $0, s_leave(%rip)\nje 1b\ncli");
GUEST_CODE(s_send_x2, "wrmsr\nsti\n1: pause\ncmpl $0, s_leave(%rip)\nje 1b\ncli");
extern const char s_gate_count[], s_gate_answer[], s_gate_again[], s_gate_answer_x2[],
    s_gate_again_x2[];
__asm__(".pushsection .text\n.code64\n"
        "s_gate_count: lock incl s_taken(%rip)\n movl $0, 0xb0(%rdi)\n iretq\n"
        /* processor 1: answer to 0 */
        "s_gate_answer: lock incl s_taken(%rip)\n movl $0, 0xb0(%rdi)\n"
        " movl $0, 0x310(%rdi)\n movl $0x61, 0x300(%rdi)\n iretq\n"
        /* processor 0: once more, or that was the last */
        "s_gate_again: movl $0, 0xb0(%rdi)\n decl s_rounds(%rip)\n jz 1f\n movl $0x61, "
        "0x300(%rdi)\n iretq\n"
        "1: movl $1, s_leave(%rip)\n iretq\n"
        "s_gate_answer_x2: lock incl s_taken(%rip)\n xorl %eax, %eax\n xorl %edx, %edx\n movl "
        "$0x80b, %ecx\n wrmsr\n"
        " movl $0x830, %ecx\n movl $0x61, %eax\n wrmsr\n iretq\n"
        "s_gate_again_x2: xorl %eax, %eax\n xorl %edx, %edx\n movl $0x80b, %ecx\n wrmsr\n decl "
        "s_rounds(%rip)\n jz 1f\n"
        " movl $0x830, %ecx\n movl $0x61, %eax\n movl $1, %edx\n wrmsr\n iretq\n"
        "1: movl $1, s_leave(%rip)\n iretq\n.popsection");

volatile uint32_t s_inside, s_leave, s_taken, s_rounds;

static struct svm_guest guest[2];
static struct avic_vm vm;
static uint64_t *nested;
static uint64_t idt[2][256][2] __attribute__((aligned(16)));
static uint8_t stacks[2][4096] __attribute__((aligned(16)));
static uint32_t ids[2];
static volatile uint64_t last_exit;

static void prepare(unsigned n, const char *code, const char *gate, uint64_t enables)
{
    struct svm_guest *g = &guest[n];
    uint64_t target = (uintptr_t)gate;

    svm_guest_init(g, (uintptr_t)code, (uintptr_t)stacks[n] + sizeof stacks[n], 1 + n);
    idt[n][VECTOR][0] = (target & 0xffff) | (uint64_t)SEL_CODE64 << 16 | UINT64_C(0x8e) << 40 |
                        (target >> 16 & 0xffff) << 48;
    idt[n][VECTOR][1] = target >> 32;
    svm_set_segment(g, VMCB_IDTR, 0, 0, sizeof idt[n] - 1, (uintptr_t)idt[n]);
    svm_set8(g, VMCB_TLB_CONTROL, TLB_CONTROL_FLUSH_ASID);
    avic_guest(&vm, n, g, nested, enables);
    g->rdi = APIC_BASE_SPA;
}

static void fresh(void)
{
    avic_reset(&vm, 2);
    avic_running(&vm, 0, ids[0]);
    avic_running(&vm, 1, ids[1]);
    s_inside = s_leave = s_taken = 0;
}

static void note_id(void *arg)
{
    ids[(uintptr_t)arg] = apic_read(APIC_ID) >> 24;
    svm_enable();
}

static void run_guest(void *arg)
{
    (void)arg;
    last_exit = svm_run(&guest[1]);
}

/* Processor 1 is in its guest when this returns. */
static void start(const char *code, const char *gate, uint64_t enables)
{
    prepare(1, code, gate, enables);
    smp_run(1, run_guest, NULL);
    smp_until(&s_inside, 1);
}

static void finish(const char *what)
{
    s_leave = 1;
    smp_wait(1);
    tap_eq(last_exit, VMEXIT_VMMCALL, "%s: the guest has not left before", what);
}

static void doorbell(uint32_t id)
{
    wrmsr(MSR_AVIC_DOORBELL, id);
}

static void test_doorbell(void)
{
    bool all = true;

    fresh();
    start(s_spin, s_gate_count, VINTR_AVIC_ENABLE);
    avic_post(&vm, 1, VECTOR);
    smp_delay(SMP_A_WHILE);
    tap_eq(s_taken, 0, "a bit in IRR alone is not seen");
    doorbell(ids[0]);
    smp_delay(SMP_A_WHILE);
    tap_eq(s_taken, 0, "nor is the doorbell of another processor");
    doorbell(ids[1]);
    tap_ok(smp_until(&s_taken, 1), "the doorbell has it delivered");
    for (unsigned i = 2; i < ROUNDS && all; i++) {
        avic_post(&vm, 1, VECTOR);
        doorbell(ids[1]);
        all = smp_until(&s_taken, i);
    }
    tap_ok(all, "again and again");
    tap_ok(!avic_bit(&vm, 1, APIC_ISR, VECTOR) && avic_get(&vm, 1, APIC_PPR) == 0,
           "EOI has cleaned up");
    finish("posted interrupts");
}

static void test_halt(void)
{
    fresh();
    start(s_halt, s_gate_count, VINTR_AVIC_ENABLE);
    smp_delay(SMP_A_WHILE);
    avic_post(&vm, 1, VECTOR);
    doorbell(ids[1]);
    tap_ok(smp_until(&s_taken, 1), "a doorbell ends HLT of a guest");
    s_leave = 1;
    avic_post(&vm, 1, VECTOR);
    doorbell(ids[1]);
    smp_wait(1);
    tap_eq(last_exit, VMEXIT_VMMCALL, "without an exit");

    fresh();
    start(s_masked, s_gate_count, VINTR_AVIC_ENABLE);
    avic_post(&vm, 1, VECTOR);
    doorbell(ids[1]);
    smp_delay(SMP_A_WHILE);
    tap_eq(s_taken, 0, "RFLAGS.IF holds it");
    finish("IF");
    tap_eq(s_taken, 1, "until it is 1");
}

static uint64_t send(uint32_t dest, uint32_t icr)
{
    prepare(0, s_send, s_gate_count, VINTR_AVIC_ENABLE);
    guest[0].rdx = dest << 24;
    svm_set(&guest[0], VMCB_RAX, icr);
    s_leave = 1; /* it does not wait */
    return svm_run(&guest[0]);
}

static void test_ipi(void)
{
    fresh();
    start(s_halt, s_gate_count, VINTR_AVIC_ENABLE);
    prepare(0, s_send, s_gate_count, VINTR_AVIC_ENABLE);
    guest[0].rdx = 1u << 24;
    svm_set(&guest[0], VMCB_RAX, VECTOR);
    s_leave = 1;
    tap_eq(svm_run(&guest[0]), VMEXIT_VMMCALL, "an IPI from guest to guest exits nowhere");
    smp_wait(1);
    tap_ok(s_taken == 1 && last_exit == VMEXIT_VMMCALL, "and arrives");

    fresh();
    tap_eq(send(0, ICR_TO_OTHERS | VECTOR), VMEXIT_VMMCALL, "to all others: nobody is in a guest");
    tap_ok(avic_bit(&vm, 1, APIC_IRR, VECTOR) && !avic_bit(&vm, 0, APIC_IRR, VECTOR),
           "the others have it in IRR");
    s_leave = 1;
    prepare(1, s_spin, s_gate_count, VINTR_AVIC_ENABLE);
    smp_run(1, run_guest, NULL);
    smp_wait(1);
    tap_eq(s_taken, 1, "VMRUN delivers it");

    fresh();
    vm.physical[1] &= ~ENTRY_RUNNING;
    tap_eq(send(1, VECTOR), VMEXIT_AVIC_INCOMPLETE_IPI, "IsRunning = 0: the sender exits");
    tap_eq(svm_get(&guest[0], VMCB_EXITINFO2), UINT64_C(1) << 32 | 1, "reason 1, entry 1");
}

/* Processor 0 sends, 1 answers, and so on. */
static void ping_pong(bool x2)
{
    uint64_t enables = VINTR_AVIC_ENABLE | (x2 ? VINTR_X2AVIC_ENABLE : 0);
    const char *what = x2 ? "x2AVIC" : "xAVIC";

    fresh();
    s_rounds = ROUNDS;
    start(s_spin, x2 ? s_gate_answer_x2 : s_gate_answer, enables);
    prepare(0, x2 ? s_send_x2 : s_send, x2 ? s_gate_again_x2 : s_gate_again, enables);
    svm_set(&guest[0], VMCB_RAX, VECTOR);
    guest[0].rdx = x2 ? 1 : 1u << 24;
    guest[0].rcx = MSR_X2APIC(APIC_ICR_LOW);
    tap_eq(svm_run(&guest[0]), VMEXIT_VMMCALL, "%s: guests that answer each other do not exit",
           what);
    finish(what);
    tap_ok(s_taken == ROUNDS && s_rounds == 0, "%s: every interrupt has arrived", what);
}

int rom_main(void)
{
    apic_init();
    tap_eq(smp_start(), 2, "two processors");
    if (smp_count() < 2)
        tap_done();
    kit_init();
    if (!svm_has(SVM_FEATURE_AVIC)) {
        tap_skip("no AVIC", "everything");
        tap_done();
    }
    note_id(NULL);
    smp_run(1, note_id, (void *)1);
    smp_wait(1);
    nested = kit_nested_identity();
    test_doorbell();
    test_halt();
    test_ipi();
    ping_pong(false);
    if (svm_has(SVM_FEATURE_X2AVIC))
        ping_pong(true);
    else
        tap_skip("no x2AVIC", "guests that answer each other");
    tap_done();
}

/* init_redirect.c: VM_CR.R_INIT turns INIT into #SX, on the processor itself and on another. What intercepts do with it is in
 * signals.c. APM vol 2, 15.21.8 "INIT Support", 15.28 "Security Exception (#SX)". With two processors. */
#include "test-roms/lib/apic.h"
#include "test-roms/lib/smp.h"
#include "test-roms/svm/kit.h"

#define EXC_SX 30
#define VM_CR_R_INIT 2u

/* INIT to itself. */
extern const char g_init_insn[];
GUEST_CODE(g_init, "movl $0, 0x10(%rdi)\n movl $0x4500, (%rdi)\n g_init_insn: nop\n nop");

static struct svm_guest g;
static volatile uint32_t count;
static volatile uint64_t code, where;

static void on_sx(struct trap_frame *frame)
{
    count++;
    code = frame->error;
    where = frame->rip;
}

static void test_host(void)
{
    extern const char host_next[];

    svm_clgi();
    apic_send(0, ICR_INIT);
    tap_eq(count, 0, "GIF = 0 holds INIT");
    __asm__ volatile(".globl host_next\n stgi\n host_next: nop" : : : "memory");
    tap_ok(count == 1 && code == 1, "GIF = 1, R_INIT = 1: #SX with code 1");
    tap_eq(where, (uintptr_t)host_next, "at the next instruction");
    __asm__ volatile("nop");
    tap_eq(count, 1, "INIT is no longer pending");
}

/* #SX is contributory: a gate that is not present makes #NP, and both #DF. */
static void send_init(void *arg)
{
    (void)arg;
    apic_send(0, ICR_INIT);
    __asm__ volatile("nop\n nop");
}

static void test_double_fault(void)
{
    uint64_t *gate = trap_gate(EXC_SX), present = gate[0];
    struct trap_result r;

    gate[0] &= ~(UINT64_C(1) << 47);
    r = trap_try(send_init, NULL);
    gate[0] = present;
    tap_ok(r.vector == EXC_DF && r.error == 0, "#NP in the delivery of #SX: #DF");
}

static void test_guest(void)
{
    struct kit_end end;

    kit_guest(&g, g_init);
    g.rdi = APIC_BASE_SPA + APIC_ICR_LOW;
    end = kit_run(&g);
    tap_ok(end.event && end.event->vector == EXC_SX && end.event->error == 1,
           "in a guest without intercepts: #SX in the guest");
    tap_ok(end.event && end.event->rip == (uintptr_t)g_init_insn, "at the next instruction");
    tap_eq(count, 1, "and not in the host");
    kit_resume(&g);
}

/* Another event than #SX in the place of the exit: INIT stays pending, whatever R_INIT says, until it is handed on. */
static void test_handed_on(void)
{
    struct kit_end end;

    kit_guest(&g, g_init);
    g.rdi = APIC_BASE_SPA + APIC_ICR_LOW;
    g.keep_gif = true;
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_INIT);
    tap_eq(kit_run(&g).exitcode, VMEXIT_INIT, "the intercept comes before redirection");
    tap_eq(kit_run(&g).exitcode, VMEXIT_INIT, "and leaves it pending");
    svm_set32(&g, VMCB_INTERCEPT_3, svm_get32(&g, VMCB_INTERCEPT_3) & ~INTERCEPT3_INIT);
    end = kit_run(&g);
    tap_ok(end.event && end.event->vector == EXC_SX, "without it the guest gets #SX");
    g.keep_gif = false;
    svm_stgi();
    __asm__ volatile("nop");
    tap_eq(count, 1, "the host never sees it");
}

/* ---- another processor ------------------------------------------------------------------------------ */

static volatile uint32_t step, other_hits;

static void other(void *arg)
{
    (void)arg;
    count = 0;
    wrmsr(MSR_VM_CR, rdmsr(MSR_VM_CR) | VM_CR_R_INIT);
    step = 1;
    __asm__ volatile("cli\n hlt" : : : "memory"); /* nothing but this INIT ends it */
    other_hits = count;
    wrmsr(MSR_VM_CR, 0);
}

static void test_other(void)
{
    if (smp_start() < 2) {
        tap_skip("one processor", "INIT to another");
        return;
    }
    smp_run(1, other, NULL);
    (void)smp_until(&step, 1);
    smp_delay(SMP_A_WHILE);
    apic_send(1, ICR_INIT);
    smp_wait(1);
    tap_ok(other_hits == 1 && code == 1,
           "an INIT IPI ends HLT with #SX, and the processor goes on");
    step = 0;
    apic_send(1, ICR_INIT); /* R_INIT is 0 again */
    smp_lost(1);
    tap_eq(smp_start(), 2, "without R_INIT it resets the processor");
}

int rom_main(void)
{
    kit_init();
    apic_init();
    trap_set_handler(EXC_SX, on_sx);
    wrmsr(MSR_VM_CR, rdmsr(MSR_VM_CR) | VM_CR_R_INIT);
    test_host();
    test_double_fault();
    test_guest();
    test_handed_on();
    wrmsr(MSR_VM_CR, rdmsr(MSR_VM_CR) & ~(uint64_t)VM_CR_R_INIT);
    test_other();
    tap_done();
}

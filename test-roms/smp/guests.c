/* guests.c: guests on several processors: what another processor sends reaches the guest or ends it. APM vol 2, 15.13 "Miscellaneous
 * Intercepts", 15.13.1 "INTR Intercept", 15.13.2 "NMI", 15.13.3 "SMI", 15.13.4 "INIT", 15.16 "TLB Control", 15.17 "Global Interrupt
 * Flag", 15.28 "SVM Related MSRs" (VM_HSAVE_PA). */
#include "test-roms/lib/apic.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/paging.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/smp.h"
#include "test-roms/lib/svm.h"
#include "test-roms/lib/tap.h"
#include "test-roms/lib/trap.h"

#define VECTOR 0x61
#define STACK_BYTES 4096

extern const char guest_spin[], guest_halt[], guest_count[], guest_read[];
__asm__(
    ".pushsection .text\n.code64\n"
    /* RDI: a flag to raise; until *RSI is not 0 */
    "guest_spin: movl $1, (%rdi)\n1: pause\n cmpl $0, (%rsi)\n je 1b\n vmmcall\n jmp guest_spin\n"
    "guest_halt: movl $1, (%rdi)\n sti\n hlt\n vmmcall\n jmp guest_halt\n"
    /* RCX times LOCK INC (RDI) */
    "guest_count: lock incl (%rdi)\n loop guest_count\n vmmcall\n jmp guest_count\n"
    /* RBX: what is at RDI */
    "guest_read: movl (%rdi), %ebx\n vmmcall\n jmp guest_read\n.popsection");

static struct svm_guest guest[SMP_MAX];
static uint8_t stacks[SMP_MAX][STACK_BYTES] __attribute__((aligned(16)));
static volatile uint32_t in_guest, leave, phase, counter, taken, nmis, on_cpu;
static volatile uint64_t exit_code;
static uint32_t intercepts;
static bool enabled[SMP_MAX];

static void on_vector(struct trap_frame *frame)
{
    (void)frame;
    on_cpu = smp_self();
    taken++;
    apic_eoi();
}

static void on_nmi(struct trap_frame *frame)
{
    (void)frame;
    nmis++;
}

static void prepare(unsigned cpu, const char *code)
{
    struct svm_guest *g = &guest[cpu];

    svm_guest_init(g, (uintptr_t)code, (uintptr_t)stacks[cpu] + STACK_BYTES, 1);
    g->rdi = (uintptr_t)&in_guest;
    g->rsi = (uintptr_t)&leave;
    svm_intercept(g, VMCB_INTERCEPT_3, intercepts);
}

static void enable(void *arg)
{
    (void)arg;
    enabled[smp_self()] = svm_enable();
}

static void run_guest(void *arg)
{
    (void)arg;
    exit_code = svm_run(&guest[smp_self()]);
    phase = 2;
}

/* Processor 1 runs its guest; it is in it when this returns. */
static void start(const char *code, uint32_t bits)
{
    in_guest = leave = phase = taken = nmis = 0;
    intercepts = bits;
    prepare(1, code);
    smp_run(1, run_guest, NULL);
    smp_until(&in_guest, 1);
    smp_delay(SMP_A_WHILE / 4);
}

static void finish(void)
{
    leave = 1;
    smp_wait(1);
}

/* ---- all at once ----------------------------------------------------------------------------------------------- */

#define ROUNDS 200u
#define INSIDE 20u

static void count(void *arg)
{
    struct svm_guest *g = &guest[smp_self()];

    (void)arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        g->rcx = INSIDE;
        if (svm_run(g) != VMEXIT_VMMCALL)
            return;
        svm_skip(g, 3);
    }
}

static void test_all(void)
{
    unsigned n = smp_count();

    intercepts = 0;
    counter = 0;
    for (unsigned i = 0; i < n; i++) {
        prepare(i, guest_count);
        guest[i].rdi = (uintptr_t)&counter;
    }
    smp_run_all(count, NULL);
    tap_eq(counter, n * ROUNDS * INSIDE, "guests of all processors count with LOCK INC");
}

/* The same ASID, the same address, another page on each processor. */
static volatile uint32_t right[SMP_MAX];

static void read_own(void *arg)
{
    unsigned cpu = smp_self();
    struct svm_guest *g = &guest[cpu];

    (void)arg;
    for (unsigned i = 0; i < 50; i++) {
        if (svm_run(g) == VMEXIT_VMMCALL && (uint32_t)g->rbx == 0x1000 + cpu)
            right[cpu]++;
        svm_skip(g, 3);
    }
}

static void test_asids(void)
{
    unsigned n = smp_count();
    bool all = true;

    for (unsigned i = 0; i < n; i++) {
        uint64_t *root = paging_new_root();
        uint32_t *page = rom_pages(1);

        page[0] = 0x1000 + i;
        root[0] = paging_root()[0];
        paging_map(root, PAGING_WINDOW, (uintptr_t)page, PAGE_4K, PAGE_P | PAGE_W);
        prepare(i, guest_read);
        guest[i].rdi = PAGING_WINDOW;
        svm_set(&guest[i], VMCB_CR3, (uintptr_t)root);
        svm_set8(&guest[i], VMCB_TLB_CONTROL, 1);
        right[i] = 0;
    }
    smp_run_all(read_own, NULL);
    for (unsigned i = 0; i < n; i++)
        all = all && right[i] == 50;
    tap_ok(all, "one ASID number on several processors: each has translations of its own");
}

/* ---- what ends a guest --------------------------------------------------------------------------------------------- */

static void test_interrupt(void)
{
    start(guest_spin, INTERCEPT3_INTR);
    guest[1].host_if = true;
    apic_send(1, ICR_FIXED | VECTOR);
    smp_delay(SMP_A_WHILE);
    tap_eq(phase, 0, "host IF=0 without V_INTR_MASKING: the guest's own IF=0 holds it");
    finish();
    tap_eq(exit_code, VMEXIT_VMMCALL, "and the guest ends by itself");
    interrupts_off();

    in_guest = leave = phase = 0;
    prepare(1, guest_spin);
    svm_set(&guest[1], VMCB_RFLAGS, RFLAGS_ONE | RFLAGS_IF);
    smp_run(1, run_guest, NULL); /* the request of before is pending still */
    tap_ok(smp_until(&phase, 2),
           "guest IF=1: an intercepted interrupt from another processor ends the guest");
    tap_eq(exit_code, VMEXIT_INTR, "by INTR");
    smp_wait(1);
}

static void open(void *arg)
{
    (void)arg;
    __asm__ volatile("sti\n\tnop\n\tnop\n\tcli" : : : "memory");
}

static void test_pending(void)
{
    tap_eq(taken, 0, "the interrupt was not acknowledged");
    smp_run(1, open, NULL);
    smp_wait(1);
    tap_ok(taken == 1 && on_cpu == 1, "the host takes it");

    start(guest_halt, INTERCEPT3_INTR);
    tap_eq(phase, 0, "a guest in HLT");
    apic_send(1, ICR_FIXED | VECTOR);
    tap_ok(smp_until(&phase, 2) && exit_code == VMEXIT_INTR,
           "an interrupt from another processor ends it");
    smp_wait(1);
    smp_run(1, open, NULL);
    smp_wait(1);

    start(guest_halt, 0);
    apic_send(1, ICR_FIXED | VECTOR);
    tap_ok(smp_until(&phase, 2) && exit_code == VMEXIT_VMMCALL && taken == 1,
           "not intercepted: the guest takes it and goes on behind HLT");
    smp_wait(1);
}

static void test_nmi(void)
{
    start(guest_spin, INTERCEPT3_NMI);
    apic_send(1, ICR_NMI);
    tap_ok(smp_until(&phase, 2) && exit_code == VMEXIT_NMI, "an intercepted NMI ends the guest");
    smp_wait(1);
    tap_eq(nmis, 1, "and comes in the host");
    start(guest_spin, 0);
    apic_send(1, ICR_NMI);
    smp_delay(SMP_A_WHILE);
    tap_ok(nmis == 1 && phase == 0, "not intercepted: the guest takes it");
    finish();
}

/* ---- GIF and INIT -------------------------------------------------------------------------------------------------- */

static void closed(void *arg)
{
    (void)arg;
    svm_clgi();
    interrupts_on();
    phase = 1;
    smp_until(&phase, 2);
    phase = taken + nmis == 0 ? 3 : 4;
    svm_stgi();
    __asm__ volatile("nop\n\tnop" : : : "memory");
    interrupts_off();
}

static void test_gif(void)
{
    phase = taken = nmis = 0;
    smp_run(1, closed, NULL);
    smp_until(&phase, 1);
    apic_send(1, ICR_FIXED | VECTOR);
    apic_send(1, ICR_NMI);
    smp_delay(SMP_A_WHILE);
    phase = 2;
    smp_wait(1);
    /* rows: events 6.1, events 6.2 */
    tap_eq(phase, 3, "GIF=0: neither an interrupt nor an NMI comes");
    tap_ok(taken == 1 && nmis == 1, "STGI lets both come");

    phase = taken = nmis = 0;
    smp_run(1, closed, NULL);
    smp_until(&phase, 1);
    apic_send(1, ICR_INIT);
    smp_delay(SMP_A_WHILE);
    phase = 2;
    /* rows: events 6.4, pitfalls 5.10 */
    tap_ok(smp_until(&phase, 3), "GIF=0: INIT is held");
    smp_delay(SMP_A_WHILE);
    smp_lost(1);
    apic_send(1, ICR_STARTUP | smp_start_vector());
    for (unsigned i = 0; i < 100 && !smp_alive(1); i++)
        smp_delay(SMP_A_WHILE / 10);
    tap_ok(smp_alive(1), "and taken after STGI");
}

/* The guest is left by INIT; GIF stays 0, and so does INIT pending, until STGI. */
static void run_held(void *arg)
{
    (void)arg;
    guest[1].keep_gif = true;
    exit_code = svm_run(&guest[1]);
    phase = 2;
    smp_until(&phase, 3);
    svm_stgi();
    phase = 4; /* not reached */
}

static void test_init(void)
{
    smp_run(1, enable, NULL);
    smp_wait(1);
    in_guest = leave = phase = 0;
    intercepts = INTERCEPT3_INIT;
    prepare(1, guest_spin);
    smp_run(1, run_held, NULL);
    smp_until(&in_guest, 1);
    apic_send(1, ICR_INIT);
    tap_ok(smp_until(&phase, 2) && exit_code == VMEXIT_INIT, "an intercepted INIT ends the guest");
    phase = 3;
    smp_delay(SMP_A_WHILE);
    tap_eq(phase, 3, "it is pending until STGI, and taken then");
    smp_lost(1);
    apic_send(1, ICR_STARTUP | smp_start_vector());
    for (unsigned i = 0; i < 100 && !smp_alive(1); i++)
        smp_delay(SMP_A_WHILE / 10);
    tap_ok(smp_alive(1), "the processor can be started anew");

    smp_run(1, enable, NULL);
    smp_wait(1);
    start(guest_spin, 0);
    apic_send(1, ICR_INIT);
    smp_delay(SMP_A_WHILE);
    tap_eq(phase, 0, "INIT that is not intercepted resets a processor in a guest");
    smp_lost(1);
    apic_send(1, ICR_STARTUP | smp_start_vector());
    for (unsigned i = 0; i < 100 && !smp_alive(1); i++)
        smp_delay(SMP_A_WHILE / 10);
    tap_ok(smp_alive(1), "which can be started anew");
}

int rom_main(void)
{
    bool all = true;

    apic_init();
    tap_eq(smp_start(), 4, "all processors come");
    if (smp_count() < 2)
        tap_done();
    for (unsigned i = 0; i < smp_count(); i++) { /* one after the other: pages come from one pool */
        if (i == 0) {
            enable(NULL);
        } else {
            smp_run(i, enable, NULL);
            smp_wait(i);
        }
        all = all && enabled[i];
    }
    if (!all) {
        tap_skip("no SVM", "guests");
        tap_done();
    }
    trap_set_handler(VECTOR, on_vector);
    trap_set_handler(EXC_NMI, on_nmi);
    test_all();
    test_asids();
    test_interrupt();
    test_pending();
    test_nmi();
    test_gif();
    test_init();
    tap_done();
}

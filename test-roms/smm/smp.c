/* smp.c: SMI and several processors: each has an SMBASE and a mode of its own. APM vol 2, 10.2.2 "SMBASE Register", 10.3.1
 * "Entering SMM", 14.1.3 "Processor Initialization State", 16.5 (message type SMI). */
#include "test-roms/lib/apic.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/smp.h"
#include "test-roms/lib/tap.h"
#include "test-roms/lib/trap.h"
#include "test-roms/smm/kit.h"

#define MSR_SMBASE 0xc0010111u
#define OTHER 0x50000u

static volatile uint32_t phase, base_seen;

static void wait(void *arg)
{
    (void)arg;
    phase = 1;
    while (phase != 2)
        cpu_pause();
}

static void halt(void *arg)
{
    (void)arg;
    phase = 1;
    __asm__ volatile("cli\n\thlt" : : : "memory");
    phase = 3;
}

static void on_nmi(struct trap_frame *frame)
{
    (void)frame;
}

static void move_base(void *arg)
{
    wrmsr(MSR_SMBASE, (uintptr_t)arg);
}

static void tell_base(void *arg)
{
    (void)arg;
    base_seen = (uint32_t)rdmsr(MSR_SMBASE);
}

static void smi_here(void *arg)
{
    (void)arg;
    outb(APM_PORT, 0);
}

static void start(smp_task task)
{
    phase = 0;
    smp_run(1, task, NULL);
    smp_until(&phase, 1);
    smp_delay(SMP_A_WHILE / 4);
}

static void test_ipi(void)
{
    smm_reset();
    start(wait);
    apic_send(1, ICR_SMI);
    tap_ok(smp_until(&smm_seen.entries, 1), "SMI as a message");
    smp_delay(SMP_A_WHILE);
    tap_eq(smm_seen.id, 1, "goes to the processor it names");
    tap_eq(smm_seen.entries, 1, "and to no other");
    phase = 2;
    smp_wait(1);
    smm_reset();
    smp_run(1, smi_here, NULL);
    smp_wait(1);
    tap_ok(smm_seen.entries == 1 && smm_seen.id == 1,
           "port B2h: SMI goes to the processor that writes it");

    smm_reset();
    start(halt);
    apic_send(1, ICR_SMI);
    smp_until(&smm_seen.entries, 1);
    smp_delay(SMP_A_WHILE);
    tap_ok(smm_seen.entries == 1 && phase == 1, "in HLT: SMI is taken, RSM goes back to HLT");
    apic_send(1, ICR_NMI);
    tap_ok(smp_until(&phase, 3), "an NMI ends it");
    smp_wait(1);
}

static void test_own_base(void)
{
    smp_run(1, move_base, (void *)(uintptr_t)OTHER);
    smp_wait(1);
    tap_eq(rdmsr(MSR_SMBASE), SMBASE_RESET, "SMBASE of one processor is not that of another");
    smm_install(OTHER);
    smm_install(SMBASE_RESET);
    smp_run(1, smi_here, NULL);
    smp_wait(1);
    tap_ok(smm_seen.cs == OTHER >> 4 && smm_seen.id == 1, "each starts at its own");
    outb(APM_PORT, 0);
    tap_ok(smm_seen.cs == SMBASE_RESET >> 4 && smm_seen.id == 0, "and so does this one");
}

/* ---- INIT ------------------------------------------------------------------------------------------------------- */

/* In SMM until this processor has sent INIT and let some time go. */
SMM_CODE(linger, "movl $1, 48(%ebx)\n 1: pause\n cmpl $2, 48(%ebx)\n jne 1b\n movl $3, 48(%ebx)");

static void test_init(void)
{
    smm_install(OTHER);
    SMM_USE(linger);
    start(wait);
    apic_send(1, ICR_SMI);
    smp_until(&smm_seen.result[0], 1);
    apic_send(1, ICR_INIT);
    smp_delay(SMP_A_WHILE);
    smm_seen.result[0] = 2;
    /* rows: pitfalls 5.10, events 6.4 */
    tap_ok(smp_until(&smm_seen.result[0], 3), "INIT does not end SMM: it is held");
    smp_delay(SMP_A_WHILE);
    smp_lost(1);
    apic_send(1, ICR_STARTUP | smp_start_vector());
    for (unsigned i = 0; i < 100 && !smp_alive(1); i++)
        smp_delay(SMP_A_WHILE / 10);
    tap_ok(smp_alive(1), "it is taken behind RSM: the processor waited for a Startup IPI");
    smp_run(1, tell_base, NULL);
    smp_wait(1);
    tap_eq(base_seen, OTHER, "INIT keeps SMBASE");
}

/* An SMI to one that waits for a Startup IPI. */
static void test_waiting(void)
{
    smm_install(OTHER);
    smm_seen.entries = 0;
    apic_send(1, ICR_INIT);
    smp_delay(SMP_A_WHILE);
    smp_lost(1);
    apic_send(1, ICR_STARTUP | smp_start_vector());
    for (unsigned i = 0; i < 100 && !smp_alive(1); i++)
        smp_delay(SMP_A_WHILE / 10);
    smp_run(1, smi_here, NULL);
    smp_wait(1);
    tap_ok(smm_seen.entries == 1 && smm_seen.id == 1,
           "a processor that was started anew takes SMI");
}

int rom_main(void)
{
    smm_require();
    apic_init();
    trap_set_handler(EXC_NMI, on_nmi);
    tap_eq(smp_start(), 2, "two processors");
    if (smp_count() < 2)
        tap_done();
    test_ipi();
    test_own_base();
    test_init();
    test_waiting();
    tap_done();
}

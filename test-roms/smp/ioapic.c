/* ioapic.c: device interrupts and several processors. Intel 82093AA data sheet (order number 290566): "Redirection table",
 * destination and delivery mode; APM vol 2, 16.6.2 "Lowest Priority Messages and Arbitration". */
#include "test-roms/irq/kit.h"
#include "test-roms/lib/apic.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/smp.h"
#include "test-roms/lib/tap.h"

#define PIN 10
#define VECTOR 0x61
#define EXTINT 0x700u

static volatile uint32_t got[SMP_MAX], stop, waiting;
static volatile bool ends = true;

static void on_vector(struct trap_frame *frame)
{
    got[smp_self()]++;
    line(PIN, false);
    if (frame->vector == VECTOR && ends)
        apic_set(APIC_EOI, 0);
}

static void listen(void *arg)
{
    (void)arg;
    interrupts_on();
    waiting = 1;
    while (!stop)
        cpu_pause();
    interrupts_off();
}

/* Both take interrupts while the line is high. Bit i: processor i got one. */
static uint32_t deliver(uint32_t entry, uint8_t dest)
{
    got[0] = got[1] = stop = waiting = 0;
    line(PIN, false);
    ioapic_entry(PIN, entry, dest);
    smp_run(1, listen, NULL);
    smp_until(&waiting, 1);
    line(PIN, true);
    interrupts_on();
    smp_delay(SMP_A_WHILE);
    interrupts_off();
    stop = 1;
    smp_wait(1);
    line(PIN, false);
    return got[0] | got[1] << 1;
}

static void flat(void *arg)
{
    (void)arg;
    apic_set(APIC_DFR, 0xffffffff);
    apic_set(APIC_LDR, 1u << (24 + smp_self()));
}

static void set_tpr(void *arg)
{
    apic_set(APIC_TPR, (uint32_t)(uintptr_t)arg);
}

static void set_lint0(void *arg)
{
    apic_set(APIC_LVT_LINT0, (uint32_t)(uintptr_t)arg);
}

static void end_it(void *arg)
{
    (void)arg;
    apic_set(APIC_EOI, 0);
}

static void test_destinations(void)
{
    tap_eq(deliver(VECTOR, 0), 1, "physical: to processor 0");
    tap_eq(deliver(VECTOR, 1), 2, "physical: to processor 1");
    tap_eq(deliver(VECTOR, 0xff), 3, "physical: FF is everybody");
    smp_run_all(flat, NULL);
    tap_eq(deliver(VECTOR | RTE_LOGICAL, 2), 2, "logical: processor 1");
    tap_eq(deliver(VECTOR | RTE_LOGICAL, 3), 3, "logical, fixed: both");
    apic_set(APIC_TPR, 0x20);
    tap_eq(deliver(VECTOR | RTE_LOGICAL | ICR_LOWEST, 3), 2,
           "lowest priority: the one with the lower TPR");
    apic_set(APIC_TPR, 0);
    smp_run(1, set_tpr, (void *)0x20);
    smp_wait(1);
    tap_eq(deliver(VECTOR | RTE_LOGICAL | ICR_LOWEST, 3), 1, "the other one");
    smp_run(1, set_tpr, NULL);
    smp_wait(1);
}

static void test_level(void)
{
    tap_eq(deliver(VECTOR | RTE_LEVEL, 1), 2, "level: to processor 1");
    tap_ok((ioapic_low(PIN) & RTE_REMOTE_IRR) == 0, "its EOI reaches the IOAPIC");
    ends = false;
    tap_eq(deliver(VECTOR | RTE_LEVEL, 1), 2, "level: without EOI");
    tap_ok((ioapic_low(PIN) & RTE_REMOTE_IRR) != 0, "remote IRR stays");
    apic_eoi();
    tap_ok((ioapic_low(PIN) & RTE_REMOTE_IRR) != 0, "the EOI of another processor is not for it");
    smp_run(1, end_it, NULL);
    smp_wait(1);
    tap_ok((ioapic_low(PIN) & RTE_REMOTE_IRR) == 0, "that of its own is");
    ends = true;
}

/* The PIC's INTR is wired to LINT0 of both; whoever lets it through takes it. */
static void test_pic(void)
{
    ioapic_entry(PIN, RTE_MASKED, 0);
    pic_start(ICW4_8086 | ICW4_AEOI, ICW4_8086 | ICW4_AEOI);
    pic_mask(0xffff & ~0x0404);
    tap_eq(deliver(RTE_MASKED, 0), 1, "the PIC's interrupts go to processor 0");
    apic_set(APIC_LVT_LINT0, EXTINT | APIC_LVT_MASKED);
    smp_run(1, set_lint0, (void *)(uintptr_t)EXTINT);
    smp_wait(1);
    tap_eq(deliver(RTE_MASKED, 0), 2, "or to processor 1, if that has LINT0 unmasked");
}

int rom_main(void)
{
    if (!lines_exist()) {
        rom_printf("Bail out! no pc-testdev\n");
        return 1;
    }
    apic_init();
    apic_write(APIC_LVT_LINT0, EXTINT);
    tap_eq(smp_start(), 2, "two processors");
    if (smp_count() < 2)
        tap_done();
    trap_set_handler(VECTOR, on_vector);
    for (unsigned i = 0; i < 16; i++)
        trap_set_handler(PIC_BASE + i, on_vector);
    test_destinations();
    test_level();
    test_pic();
    tap_done();
}

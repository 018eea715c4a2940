/* hpet.c: the high precision event timer. IA-PC HPET Specification 1.0a, chapter 2. */
#include "test-roms/chipset/pc.h"
#include "test-roms/irq/kit.h"
#include "test-roms/lib/apic.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define HPET UINT64_C(0xfed00000)
#define CAPABILITIES 0x000
#define CONFIG 0x010
#define STATUS 0x020
#define COUNTER 0x0f0
#define TIMER(n) (0x100u + 0x20 * (n))
#define COMPARATOR(n) (TIMER(n) + 8)

#define RUN 1u
#define LEGACY 2u
#define LEVEL 0x002u
#define ENABLE 0x004u
#define PERIODIC 0x008u
#define SET_VALUE 0x040u
#define BITS32 0x100u
#define ROUTE_2 (2u << 9)

#define PIN_TIMER 2
#define PIN_CLOCK 8
#define VECTOR_TIMER 0x52
#define VECTOR_CLOCK 0x58

static uint64_t us; /* ticks of the counter in a microsecond */

static uint64_t get(unsigned offset)
{
    return *(volatile uint64_t *)(HPET + offset);
}

static void set(unsigned offset, uint64_t value)
{
    *(volatile uint64_t *)(HPET + offset) = value;
}

static uint32_t get32(unsigned offset)
{
    return *(volatile uint32_t *)(HPET + offset);
}

static void set32(unsigned offset, uint32_t value)
{
    *(volatile uint32_t *)(HPET + offset) = value;
}

/* Stopped, at 0, nothing enabled. */
static void fresh(void)
{
    set(CONFIG, 0);
    set(COUNTER, 0);
    for (unsigned i = 0; i < 3; i++) {
        set(TIMER(i), 0);
        set(COMPARATOR(i), ~UINT64_C(0));
    }
    set(STATUS, 7);
    irq_forget();
}

/* Interrupts on until the counter is there. */
static void let_pass(uint64_t until)
{
    interrupts_on();
    while (get(COUNTER) < until)
        ;
    interrupts_off();
}

static void eoi(unsigned vector)
{
    (void)vector;
    apic_eoi();
}

static void test_capabilities(void)
{
    uint64_t caps = get(CAPABILITIES);

    tap_eq(caps & 0xff, 1, "revision 1");
    tap_eq((caps >> 8 & 0x1f) + 1, 3, "three timers");
    tap_eq(caps >> 13 & 5, 5, "a counter of 64 bits, and legacy replacement");
    tap_eq(caps >> 16 & 0xffff, 0x8086, "a vendor");
    tap_eq(caps >> 32, 10000000, "100 MHz");
    tap_eq(get32(CAPABILITIES + 4), 10000000, "its halves can be read");
    us = 1000000000 / (caps >> 32);
    tap_eq(get(TIMER(0)) & 0x30, 0x30, "timer 0 can be periodic and has 64 bits");
    tap_ok(get(TIMER(0)) >> 32 & 1u << PIN_TIMER, "and reaches input 2");
}

static void test_counter(void)
{
    uint64_t first, pm;

    fresh();
    first = get(COUNTER);
    tap_eq(get(COUNTER), first, "stopped, the counter stands");
    set(COUNTER, UINT64_C(0xffffff00));
    tap_eq(get(COUNTER), UINT64_C(0xffffff00), "and can be written");
    set(CONFIG, RUN);
    while (get32(COUNTER + 4) == 0)
        ;
    tap_ok(get(COUNTER) >= UINT64_C(0x100000000), "it counts over 32 bits");
    (void)pm_passed();
    first = get(COUNTER);
    (void)pm_wait(7159);
    pm = pm_passed();
    first = get(COUNTER) - first;
    tap_ok(about(first, pm * 1000000 * us / 3579545, 100), "the PM timer agrees");
    first = get(COUNTER);
    set(COUNTER, 0);
    tap_ok(get(COUNTER) >= first, "it cannot be written while it runs");
}

static void test_one_shot(void)
{
    fresh();
    ioapic_entry(PIN_TIMER, VECTOR_TIMER, 0);
    set(TIMER(2), ENABLE | ROUTE_2);
    set(COMPARATOR(2), 200 * us);
    set(CONFIG, RUN);
    let_pass(150 * us);
    tap_ok(NOTHING(), "one-shot: nothing before its time");
    let_pass(300 * us);
    tap_ok(CAME(VECTOR_TIMER), "then an edge at input 2");
    set(COMPARATOR(2), get(COUNTER) + 100 * us);
    let_pass(get(COUNTER) + 200 * us);
    tap_ok(CAME(VECTOR_TIMER), "a new comparator, a new edge");
    tap_eq(get(STATUS), 0, "edges have no status");
}

static void test_periodic(void)
{
    uint64_t start;

    fresh();
    set32(TIMER(0), ENABLE | PERIODIC | SET_VALUE | BITS32 | ROUTE_2);
    set32(COMPARATOR(0), (uint32_t)(1000 * us));
    set32(COMPARATOR(0), (uint32_t)(300 * us));
    set(CONFIG, RUN);
    let_pass(900 * us);
    tap_ok(NOTHING(), "periodic: first the value");
    let_pass(2050 * us);
    tap_ok(CAME(VECTOR_TIMER, VECTOR_TIMER, VECTOR_TIMER, VECTOR_TIMER), "then one a period");
    tap_eq(get(COMPARATOR(0)), 2200 * us, "the comparator is ahead");
    set(TIMER(0), PERIODIC | BITS32 | ROUTE_2);
    start = get(COUNTER);
    let_pass(start + 1000 * us);
    tap_ok(NOTHING(), "none when it is disabled");
}

static void test_level(void)
{
    fresh();
    ioapic_entry(PIN_TIMER, VECTOR_TIMER | RTE_LEVEL, 0);
    set(TIMER(1), LEVEL | ENABLE | ROUTE_2);
    set(COMPARATOR(1), 100 * us);
    set(CONFIG, RUN);
    irq_hook = NULL;
    let_pass(200 * us);
    tap_ok(CAME(VECTOR_TIMER), "level: it comes");
    tap_eq(get(STATUS), 2, "with a status bit");
    apic_eoi();
    irq_window();
    tap_ok(CAME(VECTOR_TIMER), "again after EOI");
    set(STATUS, 2);
    tap_eq(get(STATUS), 0, "which writing 1 clears");
    apic_eoi();
    irq_window();
    tap_ok(NOTHING(), "and then no more");
    irq_hook = eoi;
}

static void test_legacy(void)
{
    unsigned pit;

    fresh();
    ioapic_entry(PIN_TIMER, VECTOR_TIMER, 0);
    ioapic_entry(PIN_CLOCK, VECTOR_CLOCK, 0);
    outb(0x43, 0x34); /* the PIT: mode 2, 1193 ticks are a millisecond */
    outb(0x40, 0xa9);
    outb(0x40, 0x04);
    set(CONFIG, RUN);
    let_pass(2500 * us);
    pit = irq_log.count;
    irq_forget();
    tap_ok(pit == 2 || pit == 3, "the PIT has IRQ 0");
    set(CONFIG, RUN | LEGACY);
    let_pass(5000 * us);
    tap_ok(NOTHING(), "not with legacy replacement");
    set(TIMER(0), ENABLE);
    set(TIMER(1), ENABLE);
    set(COMPARATOR(0), 5100 * us);
    set(COMPARATOR(1), 5200 * us);
    let_pass(5300 * us);
    tap_ok(CAME(VECTOR_TIMER, VECTOR_CLOCK), "timers 0 and 1 have IRQ 0 and IRQ 8");
    set(CONFIG, RUN);
    set(TIMER(0), 0);
    irq_forget();
    let_pass(8000 * us);
    tap_ok(irq_log.count >= 2, "and the PIT has it back");
    outb(0x43, 0x30);
    fresh();
}

int rom_main(void)
{
    require_440fx();
    apic_init();
    irq_note(VECTOR_TIMER, VECTOR_CLOCK);
    irq_hook = eoi;
    test_capabilities();
    test_counter();
    test_one_shot();
    test_periodic();
    test_level();
    test_legacy();
    tap_done();
}

/* power.c: the PIIX4's ACPI registers. Intel 82371AB data sheet, "Power Management I/O Space Registers"; ACPI 4.8. */
#include "test-roms/chipset/pc.h"
#include "test-roms/irq/kit.h"
#include "test-roms/lib/apic.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define STATUS 0
#define ENABLE 2
#define CONTROL 4
#define TIMER 8
#define TIMER_EVENT 0x0001u
#define SCI_EN 0x0001u
#define SCI_VECTOR 0x59
#define SCI_PIN 9
#define GPE 0xafe0
#define APM 0xb2

static uint16_t base;

static uint16_t get(unsigned offset)
{
    return inw((uint16_t)(base + offset));
}

static void set(unsigned offset, unsigned value)
{
    outw((uint16_t)(base + offset), (uint16_t)value);
}

static void test_place(void)
{
    uint32_t before = config_read(POWER, 0x40, 4);

    tap_ok(base != 0 && (config_read(POWER, 0x80, 1) & 1),
           "firmware has put the registers somewhere");
    config_write(POWER, 0x40, 4, 0xd001);
    tap_eq(config_read(POWER, 0x40, 4), 0xd001, "their place can be written");
    tap_ok((inl(0xd000 + TIMER) >> 24) == 0 && inl((uint16_t)(base + TIMER)) == 0xffffffff,
           "and they move there");
    config_write(POWER, 0x40, 4, before);
    tap_ok((inl((uint16_t)(base + TIMER)) >> 24) == 0, "and back: the timer has 24 bits");
}

/* Against the PIT, whose clock has exactly a third of the frequency, and against the TSC. */
static void test_rate(void)
{
    uint64_t tsc, first, second;

    outb(0x61, (uint8_t)((inb(0x61) & 0x0c) | 1));
    outb(0x43, 0xb0); /* channel 2, mode 0 */
    outb(0x42, 0x70);
    (void)pm_passed();
    outb(0x42, 0x17); /* 6000 */
    while (!(inb(0x61) & 0x20))
        ;
    tap_ok(about(pm_passed(), 3 * 6000, 30), "three ticks for one of the PIT");
    tsc = rdtsc();
    first = pm_wait(4000);
    first = (rdtsc() - tsc) * 1000 / first;
    tsc = rdtsc();
    second = pm_wait(16000);
    second = (rdtsc() - tsc) * 1000 / second;
    rom_printf("# %lu ticks of the TSC are 1000 of the PM timer\n", second);
    tap_ok(about(first, second, 0), "a steady number of ticks of the TSC");
}

static void test_acpi_enable(void)
{
    outb(APM, 0xf1);
    tap_eq(get(CONTROL) & SCI_EN, SCI_EN, "F1h to port B2h sets SCI_EN");
    outb(APM, 0xf0);
    tap_eq(get(CONTROL) & SCI_EN, 0, "F0h clears it");
    set(CONTROL, SCI_EN);
    tap_eq(get(CONTROL) & SCI_EN, SCI_EN, "and so can software");
}

static void test_enables(void)
{
    set(ENABLE, 0x0120);
    tap_eq(get(ENABLE), 0x0120, "events are enabled by their bits");
    outb((uint16_t)(base + ENABLE), 0);
    tap_eq(get(ENABLE), 0x0100, "a byte of them alone");
    set(ENABLE, 0);
    outb(GPE + 2, 0x5a);
    tap_eq(inb(GPE + 2), 0x5a, "GPE0_EN is kept");
    outb(GPE + 2, 0);
    outb(GPE, 0xff);
    tap_eq(inb(GPE), 0, "no event is pending");
}

/* The status is set each time the timer's bit 23 changes: within 2.4 seconds. The interrupt is level-triggered. */
static void test_overflow(void)
{
    uint32_t before;

    set(STATUS, 0xffff);
    tap_eq(get(STATUS) & TIMER_EVENT, 0, "status bits are cleared by writing 1");
    irq_note(SCI_VECTOR, SCI_VECTOR);
    apic_init();
    ioapic_entry(SCI_PIN, SCI_VECTOR | RTE_LEVEL, 0);
    before = inl((uint16_t)(base + TIMER)) >> 23;
    set(CONTROL, SCI_EN);
    set(ENABLE, TIMER_EVENT);
    irq_window();
    tap_ok(NOTHING(), "no SCI before it is time");
    wait_for_interrupt();
    tap_ok(CAME(SCI_VECTOR), "SCI comes at input 9 of the IOAPIC");
    tap_eq(inl((uint16_t)(base + TIMER)) >> 23, before ^ 1, "when bit 23 has changed");
    tap_ok((inl((uint16_t)(base + TIMER)) & 0x7fffff) < 100000, "just now");
    tap_eq(get(STATUS) & TIMER_EVENT, TIMER_EVENT, "the status says why");
    apic_eoi();
    irq_window();
    tap_ok(CAME(SCI_VECTOR), "it comes again while that stands");
    set(STATUS, TIMER_EVENT);
    apic_eoi();
    irq_window();
    tap_ok(NOTHING(), "and not when it is cleared");
    set(ENABLE, 0);
    ioapic_entry(SCI_PIN, RTE_MASKED, 0);
}

int rom_main(void)
{
    require_440fx();
    base = pm_base();
    test_place();
    test_rate();
    test_acpi_enable();
    test_enables();
    test_overflow();
    tap_done();
}

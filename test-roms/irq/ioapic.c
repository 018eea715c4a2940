/* ioapic.c: the IOAPIC. Intel 82093AA data sheet (order number 290566): "I/O redirection table registers", "Interrupt
 * delivery"; APM vol 2, 16.6.3 "Accepting System and IPI Interrupts" (EOI broadcast). The lines are those of the ISA bus, with the
 * PICs masked. */
#include "test-roms/irq/kit.h"
#include "test-roms/lib/apic.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define PIN 10
#define OTHER 11
#define VECTOR 0x61
#define HIGHER 0x71

static volatile bool eoi_wanted = true, drop, remote_irr, tmr;

static void hook(unsigned vector)
{
    remote_irr = (ioapic_low(PIN) & RTE_REMOTE_IRR) != 0;
    tmr = apic_vector_bit(APIC_TMR, (uint8_t)vector);
    if (drop)
        line(PIN, false);
    if (eoi_wanted && vector != EXC_NMI)
        apic_eoi();
}

static void start(void)
{
    line(PIN, false);
    line(OTHER, false);
    ioapic_entry(PIN, RTE_MASKED, 0);
    ioapic_entry(OTHER, RTE_MASKED, 0);
    apic_write(APIC_TPR, 0);
    eoi_wanted = true;
    drop = false;
    irq_forget();
}

static void test_registers(void)
{
    unsigned pins = (ioapic_get(1) >> 16 & 0xff) + 1;

    tap_eq(pins, 24, "24 entries");
    ioapic_set(0, 0x0f000000);
    tap_eq(ioapic_get(0), 0x0f000000, "the ID can be written");
    ioapic_set(0, 0xffffffff);
    tap_eq(ioapic_get(0), 0x0f000000, "four bits of it");
    ioapic_set(0, 0);
    ioapic_entry(PIN, 0xffffffff & ~0x700u, 0xff);
    tap_eq(ioapic_low(PIN), 0x1a8ff, "delivery status and remote IRR cannot be written");
    start();
    tap_eq(ioapic_low(PIN), RTE_MASKED, "an entry can be read back");
}

static void test_edge(void)
{
    start();
    ioapic_entry(PIN, VECTOR, 0);
    line(PIN, true);
    irq_window();
    tap_ok(CAME(VECTOR), "edge: an interrupt with the vector of the entry");
    tap_ok(!remote_irr && !tmr, "edge: neither remote IRR nor TMR");
    irq_window();
    tap_ok(NOTHING(), "edge: once, though the line is high");
    line(PIN, false);
    line(PIN, true);
    irq_window();
    tap_ok(CAME(VECTOR), "edge: again with the next edge");
    line(PIN, false);
    pulse(PIN);
    irq_window();
    tap_ok(CAME(VECTOR), "edge: a short pulse is enough");
    pulse(PIN);
    pulse(PIN);
    irq_window();
    tap_ok(CAME(VECTOR), "edge: two before it is served are one");
    ioapic_entry(PIN, VECTOR | RTE_MASKED, 0);
    pulse(PIN);
    ioapic_entry(PIN, VECTOR, 0);
    irq_window();
    tap_ok(NOTHING(), "edge: at a masked entry it is not remembered");
    apic_write(APIC_TPR, VECTOR);
    pulse(PIN);
    irq_window();
    tap_ok(NOTHING(), "TPR holds it in IRR");
    tap_ok(apic_vector_bit(APIC_IRR, VECTOR), "where it is");
    apic_write(APIC_TPR, 0);
    irq_window();
    tap_ok(CAME(VECTOR), "until it is lowered");
}

static void test_level(void)
{
    start();
    ioapic_entry(PIN, VECTOR | RTE_LEVEL, 0);
    drop = true;
    line(PIN, true);
    irq_window();
    tap_ok(CAME(VECTOR), "level: an interrupt");
    tap_ok(remote_irr && tmr, "level: remote IRR and TMR are set in its handler");
    tap_ok((ioapic_low(PIN) & RTE_REMOTE_IRR) == 0, "EOI clears remote IRR");
    irq_window();
    tap_ok(NOTHING(), "the line has fallen: it does not come again");

    drop = false;
    eoi_wanted = false;
    line(PIN, true);
    irq_window();
    tap_ok(CAME(VECTOR), "level: without EOI");
    irq_window();
    tap_ok(NOTHING(), "it comes once");
    tap_ok((ioapic_low(PIN) & RTE_REMOTE_IRR) != 0, "remote IRR stays");
    ioapic_entry(PIN, VECTOR | RTE_LEVEL, 0);
    tap_ok((ioapic_low(PIN) & RTE_REMOTE_IRR) != 0, "a write of the entry does not clear it");
    apic_eoi();
    tap_ok((ioapic_low(PIN) & RTE_REMOTE_IRR) != 0, "EOI with the line high: it asks at once");
    drop = eoi_wanted = true;
    irq_window();
    tap_ok(CAME(VECTOR), "and comes again");

    ioapic_entry(PIN, VECTOR | RTE_LEVEL | RTE_MASKED, 0);
    line(PIN, true);
    irq_window();
    tap_ok(NOTHING(), "level, masked: it does not come");
    ioapic_entry(PIN, VECTOR | RTE_LEVEL, 0);
    irq_window();
    tap_ok(CAME(VECTOR), "level: it comes when it is unmasked");
    line(PIN, true);
    line(PIN, false);
    irq_window();
    tap_ok(CAME(VECTOR), "level: once sent it stays, though the line falls");
}

static void test_eoi(void)
{
    start();
    ioapic_entry(PIN, VECTOR | RTE_LEVEL, 0);
    ioapic_entry(OTHER, VECTOR | RTE_LEVEL, 0);
    line(PIN, true);
    line(OTHER, true);
    eoi_wanted = false;
    irq_window();
    tap_ok(CAME(VECTOR), "two lines with one vector: one interrupt");
    tap_ok((ioapic_low(PIN) & ioapic_low(OTHER) & RTE_REMOTE_IRR) != 0, "remote IRR of both");
    line(PIN, false);
    line(OTHER, false);
    apic_eoi();
    tap_ok(((ioapic_low(PIN) | ioapic_low(OTHER)) & RTE_REMOTE_IRR) == 0, "EOI is for both");
    line(PIN, true);
    irq_window();
    irq_forget();
    line(PIN, false);
    ioapic_entry(PIN, VECTOR, 0);
    tap_ok((ioapic_low(PIN) & RTE_REMOTE_IRR) == 0, "edge-triggered mode clears remote IRR");
    apic_eoi();
    eoi_wanted = true;

    /* A level-triggered one of another vector is in service: the EOI is for the highest only. */
    ioapic_entry(PIN, VECTOR | RTE_LEVEL, 0);
    ioapic_entry(OTHER, HIGHER, 0);
    eoi_wanted = false;
    line(PIN, true);
    irq_window();
    line(PIN, false);
    pulse(OTHER);
    irq_window();
    tap_ok(CAME(VECTOR, HIGHER), "a higher vector interrupts");
    apic_eoi();
    tap_ok((ioapic_low(PIN) & RTE_REMOTE_IRR) != 0, "its EOI is not for the lower one");
    apic_eoi();
    tap_ok((ioapic_low(PIN) & RTE_REMOTE_IRR) == 0, "the second is");
    eoi_wanted = true;
}

static void test_destination(void)
{
    start();
    ioapic_entry(PIN, VECTOR, 5);
    pulse(PIN);
    irq_window();
    tap_ok(NOTHING(), "physical: to an ID that nobody has");
    ioapic_entry(PIN, VECTOR, 0xff);
    pulse(PIN);
    irq_window();
    tap_ok(CAME(VECTOR), "physical: FF is everybody");
    apic_write(APIC_DFR, 0xffffffff);
    apic_write(APIC_LDR, 0x04000000);
    ioapic_entry(PIN, VECTOR | RTE_LOGICAL, 0x06);
    pulse(PIN);
    irq_window();
    tap_ok(CAME(VECTOR), "logical flat: a bit of LDR");
    ioapic_entry(PIN, VECTOR | RTE_LOGICAL, 0x03);
    pulse(PIN);
    irq_window();
    tap_ok(NOTHING(), "logical flat: other bits");
    apic_write(APIC_DFR, 0x0fffffff);
    apic_write(APIC_LDR, 0x32000000);
    ioapic_entry(PIN, VECTOR | RTE_LOGICAL, 0x33);
    pulse(PIN);
    irq_window();
    tap_ok(CAME(VECTOR), "logical cluster: the cluster and a bit");
    ioapic_entry(PIN, VECTOR | RTE_LOGICAL, 0x42);
    pulse(PIN);
    irq_window();
    tap_ok(NOTHING(), "logical cluster: another cluster");
    apic_write(APIC_DFR, 0xffffffff);
    apic_write(APIC_LDR, 0x01000000);
    ioapic_entry(PIN, VECTOR | RTE_LOGICAL | 0x100, 0xff);
    pulse(PIN);
    irq_window();
    tap_ok(CAME(VECTOR), "lowest priority");
    ioapic_entry(PIN, VECTOR | RTE_ACTIVE_LOW, 0);
    irq_forget();
}

static void test_modes(void)
{
    start();
    ioapic_entry(PIN, 0x400 | 0x33, 0);
    irq_forget();
    pulse(PIN);
    tap_ok(CAME(EXC_NMI), "NMI: with IF=0, as vector 2");
    ioapic_entry(PIN, 0x700, 0);
    pic_start(ICW4_8086, ICW4_8086);
    pic_mask(0xffff & ~0x08);
    eoi_wanted = false;
    line(3, true);
    apic_write(APIC_LVT_LINT0, 0x700 | APIC_LVT_MASKED);
    irq_window();
    tap_ok(NOTHING(), "LINT0 masked");
    pulse(PIN);
    irq_window();
    tap_ok(CAME(PIC_BASE + 3), "ExtINT: the vector is the PIC's");
    line(3, false);
    pic_mask(0xffff);
}

int rom_main(void)
{
    if (!lines_exist()) {
        rom_printf("Bail out! no pc-testdev\n");
        return 1;
    }
    apic_init();
    irq_hook = hook;
    irq_note(EXC_NMI, EXC_NMI);
    irq_note(PIC_BASE, 0xfe);
    test_registers();
    test_edge();
    test_level();
    test_eoi();
    test_destination();
    test_modes();
    tap_done();
}

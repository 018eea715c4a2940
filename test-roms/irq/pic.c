/* pic.c: the pair of 8259A. Intel 8259A data sheet (order number 231468): "Interrupt sequence", "Operation command words",
 * "Automatic end of interrupt mode", "Automatic rotation", "Special mask mode", "Poll command", "Special fully nested
 * mode"; Intel 82371AB data sheet, "ELCR". */
#include "test-roms/irq/kit.h"
#include "test-roms/lib/apic.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define V(irq) (PIC_BASE + (irq))
#define EXTINT 0x700u

static volatile uint8_t isr_seen, isr2_seen;

static unsigned irq_of(unsigned vector)
{
    return vector - PIC_BASE;
}

static void hook_eoi(unsigned vector)
{
    isr_seen = pic_isr(PIC1);
    isr2_seen = pic_isr(PIC2);
    pic_eoi(irq_of(vector));
}

static void hook_look(unsigned vector)
{
    (void)vector;
    isr_seen = pic_isr(PIC1);
    isr2_seen = pic_isr(PIC2);
}

static void start(uint8_t icw4, void (*hook)(unsigned))
{
    for (unsigned i = 1; i < 16; i++)
        line(i, false);
    outb(ELCR, 0);
    outb(ELCR + 1, 0);
    pic_start(ICW4_8086 | icw4, ICW4_8086);
    irq_hook = hook;
    irq_forget();
}

/* ---- requests ------------------------------------------------------------------------------------- */

static void test_edge(void)
{
    start(0, hook_eoi);
    line(5, true);
    tap_eq(pic_irr(PIC1) & 0x20, 0x20, "edge: the request is in IRR");
    irq_window();
    tap_ok(CAME(V(5)), "and comes with the vector base + 5");
    tap_eq(isr_seen, 0x20, "in its handler ISR has it");
    tap_eq(pic_irr(PIC1) & 0x20, 0, "and IRR no more, though the line is high");
    tap_eq(pic_isr(PIC1), 0, "after EOI ISR is empty");
    irq_window();
    tap_ok(NOTHING(), "an edge comes once");
    line(5, false);
    line(5, true);
    irq_window();
    tap_ok(CAME(V(5)), "the next edge is a new one");
    line(5, false);
}

static void test_mask(void)
{
    start(0, hook_eoi);
    pic_mask(0x0041);
    line(6, true);
    irq_window();
    tap_ok(NOTHING(), "a masked input does not interrupt");
    tap_eq(pic_irr(PIC1) & 0x40, 0x40, "its request is kept in IRR");
    tap_eq(inb(PIC1 + 1), 0x41, "the mask can be read");
    pic_mask(0x0001);
    irq_window();
    tap_ok(CAME(V(6)), "it comes when it is unmasked");
    line(6, false);
    pic_mask(0x0005);
    line(9, true);
    irq_window();
    tap_ok(NOTHING(), "a masked cascade holds the slave's back");
    pic_mask(0x0001);
    irq_window();
    tap_ok(CAME(V(9)), "until it is unmasked");
}

static void test_priority(void)
{
    start(0, hook_eoi);
    line(7, true);
    line(5, true);
    line(14, true);
    line(3, true);
    line(9, true);
    line(1, true);
    for (unsigned i = 0; i < 6; i++)
        irq_window();
    tap_ok(CAME(V(1), V(9), V(14), V(3), V(5), V(7)),
           "the lowest number first, the slave's in place of 2");
    start(0, NULL);
    line(12, true);
    irq_window();
    tap_ok(CAME(V(12)), "slave: base + 4 of the second PIC");
    tap_eq(pic_isr(PIC1), 0x04, "slave: the master has the cascade in service");
    tap_eq(pic_isr(PIC2), 0x10, "slave: and the slave its input");
    pic_command(PIC1, PIC_EOI);
    tap_eq(pic_isr(PIC2), 0x10, "slave: an EOI to the master is not for it");
    pic_command(PIC2, PIC_EOI);
    tap_eq(pic_isr(PIC2), 0, "slave: it needs its own");
}

/* ---- nesting ---------------------------------------------------------------------------------------- */

static void hook_nest(unsigned vector)
{
    if (vector == V(5)) {
        line(6, true);
        irq_window();
        line(3, true);
        irq_window();
        line(10, true);
        irq_window();
    }
    pic_eoi(irq_of(vector));
}

static void test_nesting(void)
{
    start(0, hook_nest);
    line(5, true);
    irq_window();
    irq_window();
    tap_ok(CAME(V(5), V(3), V(10), V(6)),
           "higher priorities interrupt a handler, lower ones wait for its EOI");

    start(0, NULL);
    line(11, true);
    irq_window();
    line(9, true);
    irq_window();
    tap_ok(CAME(V(11)), "fully nested: the slave's own higher input waits for the master's EOI");
    start(ICW4_SFNM, NULL);
    line(11, true);
    irq_window();
    line(9, true);
    irq_window();
    tap_ok(CAME(V(11), V(9)), "special fully nested mode: it interrupts");
    line(12, true);
    irq_window();
    tap_ok(NOTHING(), "a lower one does not");
}

static void test_eoi(void)
{
    start(0, NULL);
    line(5, true);
    irq_window();
    line(3, true);
    irq_window();
    irq_forget();
    tap_eq(pic_isr(PIC1), 0x28, "two are in service");
    pic_command(PIC1, PIC_EOI);
    tap_eq(pic_isr(PIC1), 0x20, "non-specific EOI ends the one with the highest priority");
    line(3, false);
    line(3, true);
    irq_window();
    pic_command(PIC1, 0x60 | 5);
    tap_eq(pic_isr(PIC1), 0x08, "specific EOI ends the one it names");
    pic_command(PIC1, 0x60 | 5);
    tap_eq(pic_isr(PIC1), 0x08, "one that is not in service: nothing");
}

static void test_auto_eoi(void)
{
    start(ICW4_AEOI, hook_look);
    line(5, true);
    irq_window();
    tap_ok(CAME(V(5)), "automatic EOI: it comes");
    tap_eq(isr_seen, 0, "automatic EOI: ISR is empty in the handler");
    pic_command(PIC1, 0x80); /* rotate in automatic EOI mode: set */
    line(5, false);
    line(5, true);
    irq_window();
    irq_forget();
    line(4, true);
    line(6, true);
    irq_window();
    irq_window();
    tap_ok(CAME(V(6), V(4)), "rotation in automatic EOI mode: what was served becomes the lowest");
    pic_command(PIC1, 0x00);
    line(3, true);
    irq_window();
    line(5, false);
    line(5, true);
    line(6, false);
    line(6, true);
    irq_forget();
    irq_window();
    irq_window();
    tap_ok(CAME(V(5), V(6)), "and without it the order stays");
}

/* ---- rotation --------------------------------------------------------------------------------------- */

static void test_rotation(void)
{
    start(0, hook_eoi);
    pic_command(PIC1, 0xc0 | 4); /* 4 is the lowest */
    line(4, true);
    line(3, true);
    line(5, true);
    for (unsigned i = 0; i < 3; i++)
        irq_window();
    tap_ok(CAME(V(5), V(3), V(4)),
           "set priority: the one named is the lowest, the next the highest");

    start(0, NULL);
    line(3, true);
    irq_window();
    pic_command(PIC1, 0xa0); /* rotate on non-specific EOI */
    tap_eq(pic_isr(PIC1), 0, "rotate on non-specific EOI: ends it");
    irq_hook = hook_eoi;
    irq_forget();
    line(3, false);
    line(3, true);
    line(4, true);
    line(1, true);
    for (unsigned i = 0; i < 3; i++)
        irq_window();
    tap_ok(CAME(V(4), V(1), V(3)), "and makes it the lowest");

    start(0, NULL);
    line(5, true);
    irq_window();
    pic_command(PIC1, 0xe0 | 5);
    irq_hook = hook_eoi;
    irq_forget();
    line(6, true);
    line(3, true);
    for (unsigned i = 0; i < 2; i++)
        irq_window();
    tap_ok(CAME(V(6), V(3)), "rotate on specific EOI");
}

/* ---- special mask mode, poll, spurious, level ----------------------------------------------------------- */

static void test_special_mask(void)
{
    start(0, NULL);
    line(3, true);
    irq_window();
    line(5, true);
    irq_window();
    tap_ok(CAME(V(3)), "3 in service holds 5 back");
    pic_mask(0x0009);
    irq_window();
    tap_ok(NOTHING(), "masking 3 alone does not help");
    pic_command(PIC1, 0x68); /* set special mask */
    irq_window();
    tap_ok(CAME(V(5)), "special mask mode: what is masked does not hold others back");
    pic_command(PIC1, PIC_EOI);
    tap_eq(pic_isr(PIC1), 0x08, "non-specific EOI passes over the masked one");
    pic_command(PIC1, 0x48); /* reset special mask */
    line(6, true);
    irq_window();
    tap_ok(NOTHING(), "without it 3 counts again");
}

static void test_poll(void)
{
    start(0, NULL);
    line(6, true);
    line(4, true);
    pic_command(PIC1, PIC_POLL);
    tap_eq(inb(PIC1) & 0x87, 0x84, "poll tells the highest request");
    tap_eq(pic_isr(PIC1), 0x10, "and takes it into service");
    irq_window();
    tap_ok(NOTHING(), "so it does not interrupt");
    pic_command(PIC1, PIC_POLL);
    tap_eq(inb(PIC1) & 0x80, 0, "nothing of higher priority: bit 7 is 0");
    pic_command(PIC1, PIC_EOI);
    pic_command(PIC1, PIC_POLL);
    tap_eq(inb(PIC1) & 0x87, 0x86, "after EOI the next");
    line(13, true);
    pic_command(PIC2, PIC_POLL);
    tap_eq(inb(PIC2) & 0x87, 0x85, "the slave can be polled too");
}

/* An ExtINT message makes the processor ask the PIC, though that has no request any more. */
static void test_spurious(void)
{
    start(0, hook_look);
    pic_mask(0xffff);
    ioapic_entry(10, EXTINT, 0);
    pulse(10);
    irq_window();
    tap_ok(CAME(V(7)), "nothing requested: the acknowledge gives IRQ 7");
    tap_eq(isr_seen, 0, "without a bit in ISR: it is spurious");
    ioapic_entry(10, RTE_MASKED, 0);
    start(0, hook_look);
    line(7, true);
    irq_window();
    tap_ok(CAME(V(7)), "a real IRQ 7");
    tap_eq(isr_seen, 0x80, "has its bit");
}

static void hook_level(unsigned vector)
{
    if (irq_log.count == 3)
        line(irq_of(vector), false);
    pic_eoi(irq_of(vector));
}

static void test_level(void)
{
    start(0, hook_level);
    outb(ELCR, 0x20);
    outb(ELCR + 1, 0x08);
    tap_eq(inb(ELCR) | inb(ELCR + 1) << 8, 0x0820, "ELCR can be read");
    line(5, true);
    for (unsigned i = 0; i < 6; i++)
        irq_window();
    tap_ok(CAME(V(5), V(5), V(5)), "level: comes again after each EOI while the line is high");
    line(11, true);
    for (unsigned i = 0; i < 6; i++)
        irq_window();
    tap_ok(CAME(V(11), V(11), V(11)), "the slave's too");
    line(5, true);
    line(5, false);
    irq_window();
    tap_ok(NOTHING(), "level: a request that goes away before it is served is gone");
    outb(ELCR, 0xff);
    outb(ELCR + 1, 0xff);
    tap_eq(inb(ELCR) | inb(ELCR + 1) << 8, 0xdef8, "IRQ 0, 1, 2, 8 and 13 are always edges");
}

/* ---- initialization, and the way to the processor ------------------------------------------------------ */

static void test_init(void)
{
    start(0, NULL);
    line(5, true);
    irq_window();
    line(6, true);
    irq_forget();
    pic_start(ICW4_8086, ICW4_8086);
    tap_eq(pic_isr(PIC1), 0, "ICW1 empties ISR");
    irq_window();
    tap_ok(NOTHING(), "and forgets edges");
    outb(PIC1, 0x11);
    tap_eq(pic_irr(PIC1) & 0xfe, 0, "in the middle of it");
    outb(PIC1 + 1, 0x48);
    outb(PIC1 + 1, 4);
    outb(PIC1 + 1, ICW4_8086);
    tap_eq(inb(PIC1 + 1), 0, "ICW1 clears the mask");
    outb(PIC1 + 1, 0x01);
    line(3, true);
    irq_window();
    tap_ok(CAME(0x4b), "another base");
}

static void test_lint0(void)
{
    start(0, hook_eoi);
    apic_write(APIC_LVT_LINT0, EXTINT | APIC_LVT_MASKED);
    line(5, true);
    irq_window();
    tap_ok(NOTHING(), "LINT0 masked: the PIC does not reach the processor");
    apic_write(APIC_LVT_LINT0, EXTINT);
    irq_window();
    tap_ok(CAME(V(5)), "unmasked: it does");
    apic_write(APIC_TPR, 0xf0);
    line(6, true);
    irq_window();
    tap_ok(CAME(V(6)), "TPR does not matter to ExtINT");
    apic_write(APIC_TPR, 0);
    tap_ok(!apic_vector_bit(APIC_ISR, V(6)), "nor has the APIC it in service");
    wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) & ~(uint64_t)APIC_BASE_AE);
    line(4, true);
    irq_window();
    tap_ok(CAME(V(4)), "APIC disabled: the PIC drives INTR");
    wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_AE);
}

int rom_main(void)
{
    if (!lines_exist()) {
        rom_printf("Bail out! no pc-testdev\n");
        return 1;
    }
    apic_init();
    apic_write(APIC_LVT_LINT0, EXTINT);
    irq_note(PIC_BASE, PIC_BASE + 15);
    irq_note(0x48, 0x4f);
    test_edge();
    test_mask();
    test_priority();
    test_nesting();
    test_eoi();
    test_auto_eoi();
    test_rotation();
    test_special_mask();
    test_poll();
    test_spurious();
    test_level();
    test_init();
    test_lint0();
    tap_done();
}

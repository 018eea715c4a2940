/* kit.c: see kit.h. */
#include "test-roms/irq/kit.h"

#include <stdarg.h>

#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"

#define TESTDEV_IRQ_PORT 0x2000
#define TESTDEV_LATCH_PORT 0xe0
#define IOAPIC_INDEX ((volatile uint32_t *)UINT64_C(0xfec00000))
#define IOAPIC_DATA ((volatile uint32_t *)UINT64_C(0xfec00010))
#define IOAPIC_ENTRIES 0x10

struct irq_log irq_log;
void (*volatile irq_hook)(unsigned vector);

void line(unsigned number, bool level)
{
    outb((uint16_t)(TESTDEV_IRQ_PORT + number), level);
}

void pulse(unsigned number)
{
    line(number, true);
    line(number, false);
}

bool lines_exist(void)
{
    outb(TESTDEV_LATCH_PORT, 0x5a);
    return inb(TESTDEV_LATCH_PORT) == 0x5a;
}

void pic_command(unsigned port, uint8_t command)
{
    outb((uint16_t)port, command);
}

void pic_start(uint8_t icw4_master, uint8_t icw4_slave)
{
    outb(PIC1, 0x11);
    outb(PIC2, 0x11);
    outb(PIC1 + 1, PIC_BASE);
    outb(PIC2 + 1, PIC_BASE + 8);
    outb(PIC1 + 1, 4);
    outb(PIC2 + 1, 2);
    outb(PIC1 + 1, icw4_master);
    outb(PIC2 + 1, icw4_slave);
    pic_mask(0x0001); /* the PIT's line may be high */
}

void pic_mask(uint16_t mask)
{
    outb(PIC1 + 1, (uint8_t)mask);
    outb(PIC2 + 1, mask >> 8);
}

uint8_t pic_irr(unsigned port)
{
    pic_command(port, PIC_READ_IRR);
    return inb((uint16_t)port);
}

uint8_t pic_isr(unsigned port)
{
    pic_command(port, PIC_READ_ISR);
    return inb((uint16_t)port);
}

void pic_eoi(unsigned irq)
{
    if (irq >= 8)
        pic_command(PIC2, PIC_EOI);
    pic_command(PIC1, PIC_EOI);
}

uint32_t ioapic_get(unsigned reg)
{
    *IOAPIC_INDEX = reg;
    return *IOAPIC_DATA;
}

void ioapic_set(unsigned reg, uint32_t value)
{
    *IOAPIC_INDEX = reg;
    *IOAPIC_DATA = value;
}

void ioapic_entry(unsigned pin, uint32_t low, uint8_t dest)
{
    ioapic_set(IOAPIC_ENTRIES + 2 * pin, RTE_MASKED);
    ioapic_set(IOAPIC_ENTRIES + 2 * pin + 1, (uint32_t)dest << 24);
    ioapic_set(IOAPIC_ENTRIES + 2 * pin, low);
}

uint32_t ioapic_low(unsigned pin)
{
    return ioapic_get(IOAPIC_ENTRIES + 2 * pin);
}

static void note(struct trap_frame *frame)
{
    unsigned at = irq_log.count;

    if (at < LOG_MAX)
        irq_log.vector[at] = (uint8_t)frame->vector;
    irq_log.count = at + 1;
    if (irq_hook != NULL)
        irq_hook((unsigned)frame->vector);
}

void irq_note(unsigned first, unsigned last)
{
    for (unsigned v = first; v <= last; v++)
        trap_set_handler(v, note);
}

void irq_forget(void)
{
    irq_log.count = 0;
}

void irq_window(void)
{
    __asm__ volatile("sti\n\tnop\n\tnop\n\tnop\n\tnop\n\tcli" : : : "memory");
}

bool irq_came(unsigned count, ...)
{
    bool same = irq_log.count == count;
    va_list args;

    va_start(args, count);
    for (unsigned i = 0; i < count; i++)
        same = va_arg(args, int) == irq_log.vector[i] && same;
    va_end(args);
    if (!same) {
        rom_printf("#   %u came:", irq_log.count);
        for (unsigned i = 0; i < irq_log.count && i < LOG_MAX; i++)
            rom_printf(" %x", irq_log.vector[i]);
        rom_printf("\n");
    }
    irq_forget();
    return same;
}

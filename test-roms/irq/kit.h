/* kit.h: lines that a program can raise (pc-testdev), the PICs, the IOAPIC, and a log of what was delivered. */
#ifndef TEST_ROMS_IRQ_KIT_H
#define TEST_ROMS_IRQ_KIT_H

#include <stdbool.h>
#include <stdint.h>

#include "test-roms/lib/trap.h"

/* ---- lines ---------------------------------------------------------------------------------------- */

/* Set the line of a global system interrupt, 0-15: it goes to the PICs and to the IOAPIC (0 there to pin 2). */
void line(unsigned number, bool level);
void pulse(unsigned number);
/* Is there a pc-testdev to raise them? */
bool lines_exist(void);

/* ---- PICs ------------------------------------------------------------------------------------------ */

#define PIC1 0x20
#define PIC2 0xa0
#define PIC_BASE 0x20 /* vectors of IRQ 0-15 */
#define ELCR 0x4d0

#define PIC_EOI 0x20
#define PIC_READ_IRR 0x0a
#define PIC_READ_ISR 0x0b
#define PIC_POLL 0x0c
#define ICW4_8086 0x01
#define ICW4_AEOI 0x02
#define ICW4_SFNM 0x10

/* ICW1 to ICW4 of both with vectors from PIC_BASE; everything unmasked. */
void pic_start(uint8_t icw4_master, uint8_t icw4_slave);
void pic_command(unsigned port, uint8_t command);
void pic_mask(uint16_t mask); /* of IRQ 15-0 */
uint8_t pic_irr(unsigned port);
uint8_t pic_isr(unsigned port);
/* EOI to whoever needs it. */
void pic_eoi(unsigned irq);

/* ---- IOAPIC ---------------------------------------------------------------------------------------- */

#define RTE_LOGICAL 0x00800u
#define RTE_ACTIVE_LOW 0x02000u
#define RTE_REMOTE_IRR 0x04000u
#define RTE_LEVEL 0x08000u
#define RTE_MASKED 0x10000u
uint32_t ioapic_get(unsigned reg);
void ioapic_set(unsigned reg, uint32_t value);
void ioapic_entry(unsigned pin, uint32_t low, uint8_t dest);
uint32_t ioapic_low(unsigned pin);

/* ---- the log ----------------------------------------------------------------------------------------- */

#define LOG_MAX 32u
struct irq_log {
    volatile unsigned count;
    volatile uint8_t vector[LOG_MAX];
};
extern struct irq_log irq_log;

/* What a noted vector does besides; NULL: nothing. */
extern void (*volatile irq_hook)(unsigned vector);

/* Let the handler of these vectors write the log. */
void irq_note(unsigned first, unsigned last);
void irq_forget(void);

/* Interrupts on for a moment; they are off again afterwards. */
void irq_window(void);

/* Did exactly these come, in this order? Says what came if not, and empties the log. */
bool irq_came(unsigned count, ...);
#define CAME(...) irq_came(sizeof((int[]){ __VA_ARGS__ }) / sizeof(int), __VA_ARGS__)
#define NOTHING() irq_came(0)

#endif

/* The I/O APIC. */
#ifndef DEVICES_IOAPIC_H
#define DEVICES_IOAPIC_H

#include "devices/bus.h"
#include "devices/lapic.h"

#define IOAPIC_PINS 24
#define IOAPIC_SPA 0xfec00000u

struct ioapic;

/* Add it at FEC0_0000h, with messages to `apics`, whose EOIs it hears from now on. */
struct ioapic *ioapic_add(struct bus *bus, struct apics *apics);

/* Drive an input; fits struct irq_line. level says whether the line is asserted, whichever way it is wired. */
void ioapic_set_irq(void *self, unsigned pin, bool level);

#endif

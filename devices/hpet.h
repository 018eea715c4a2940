/* The high precision event timer at FED0_0000h. */
#ifndef DEVICES_HPET_H
#define DEVICES_HPET_H

#include "devices/bus.h"

#define HPET_SPA 0xfed00000u
#define HPET_BYTES 0x400u
#define HPET_PERIOD_NS 10 /* 100 MHz */
#define HPET_TIMERS 3
#define HPET_ID 0x8086a201u /* the low half of its capabilities, for ACPI tables */

struct hpet;

/* The lines it drives: IRQ 0 and IRQ 8 in place of the PIT and the clock when software wants that; and `route`, its own
 * input of the IOAPIC (number HPET_ROUTE), when not. */
#define HPET_ROUTE 2
struct hpet_wires {
    struct irq_line irq0, irq8, route;
};

struct hpet *hpet_add(struct bus *bus, const struct hpet_wires *wires);

/* Lines for the PIT and the clock: they reach IRQ 0 and IRQ 8 but while the HPET has replaced them. */
struct irq_line hpet_pit_line(struct hpet *hpet);
struct irq_line hpet_clock_line(struct hpet *hpet);

#endif

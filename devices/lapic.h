/* The local APIC in xAPIC mode. */
#ifndef DEVICES_LAPIC_H
#define DEVICES_LAPIC_H

#include "devices/bus.h"
#include "devices/pic.h"

#define LAPIC_TIMER_HZ 1000000000u /* before division; 1 tick per nanosecond, as on QEMU */

struct lapic;

struct lapic_config {
    struct pic *pic;    /* drives LINT0 and answers the acknowledge of ExtINT; NULL: none */
    uint8_t id;         /* initial APIC ID: CPUID Fn0000_0001 EBX[31:24] */
    uint8_t maxphyaddr; /* bits; 0: 52 */
    bool bsp;           /* APIC_BASE.BSC */
    void (*changed)(void *self); /* the CPU must look for events again; may be NULL */
    void (*nmi)(void *self);     /* a pulse on the CPU's NMI pin; may be NULL */
    void *self;
};

/* Add the APIC of one CPU at FEE0_0000h, in its reset state, and take over the output of config->pic. */
struct lapic *lapic_add(struct bus *bus, const struct lapic_config *config);

/* What a PC's firmware leaves: enabled, spurious vector FFh, LINT0 = ExtINT, LINT1 = NMI, both unmasked ("virtual
 * wire"). For images that are loaded without firmware; without it the APIC is as after reset. */
void lapic_firmware_init(struct lapic *lapic);

/* Drive LINT0 or LINT1 (line 0, 1); fits struct irq_line. The PIC does so by itself for LINT0. */
void lapic_set_lint(void *self, unsigned line, bool level);

/* The interface to the CPU; self is the struct lapic. */
extern const struct intc_ops lapic_intc_ops;

#endif

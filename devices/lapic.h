/* The local APICs of a machine's processors, in xAPIC and x2APIC mode. */
#ifndef DEVICES_LAPIC_H
#define DEVICES_LAPIC_H

#include "devices/bus.h"
#include "devices/pic.h"

#define LAPIC_TIMER_HZ 1000000000u /* before division; 1 tick per nanosecond, as on QEMU */
#define APICS_MAX 255u             /* APIC IDs 0-254; FFh is everybody */

struct apics; /* all of them: one device on the bus */
struct lapic; /* one of them: `self` of lapic_intc_ops */

/* What reaches a processor, besides the interrupts it fetches through lapic_intc_ops. */
enum apic_signal {
    APIC_CHANGED, /* the CPU must look for events again */
    APIC_NMI,     /* a pulse on its pin */
    APIC_SMI,
    APIC_INIT,
    APIC_DOORBELL, /* of AVIC; the local APIC has no part in it but that it knows its ID */
    APIC_SIPI      /* start at `vector`; a processor that does not wait for it ignores it */
};

struct apics_config {
    unsigned
        count; /* processors: 1 to APICS_MAX; 0 counts as 1. Processor i has the initial APIC ID i; 0 is the
                           bootstrap processor (APIC_BASE.BSC) */
    struct pic *pic;    /* drives every LINT0 and answers the acknowledge of ExtINT; NULL: none */
    uint8_t maxphyaddr; /* bits; 0: 52 */
    bool x2apic;        /* CPUID Fn0000_0001 ECX[21]: APIC_BASE.EXTD can be set */
    bool tsc_deadline;  /* ECX[24] */
    bool extended;      /* Fn8000_0001 ECX[3]: the extended register space is there */
    void (*signal)(void *self, unsigned cpu, enum apic_signal what,
                   uint8_t vector); /* may be NULL */
    void *self;
};

/* Add the APICs in their reset state, and take over the output of config->pic. The first processor is selected.
 * NULL: no room or no memory. */
struct apics *apics_add(struct bus *bus, const struct apics_config *config);

/* From now on processor `index` runs: the registers at its APIC_BASE answer. To be called at each turn. */
void apics_select(struct apics *apics, unsigned index);

/* The APIC of one processor; index is below the count. */
struct lapic *apics_cpu(struct apics *apics, unsigned index);

/* What a PC's firmware leaves on the bootstrap processor: enabled, spurious vector FFh, LINT0 = ExtINT, LINT1 = NMI,
 * both unmasked ("virtual wire"). For images that are loaded without firmware; without it the APIC is as after reset. */
void apics_firmware_init(struct apics *apics);

/* Message types. APM vol 2, 16.5 "Interprocessor Interrupts (IPI)". */
enum apic_message_type {
    MT_FIXED,
    MT_LOWEST,
    MT_SMI,
    MT_READ,
    MT_NMI,
    MT_INIT,
    MT_STARTUP,
    MT_EXTINT
};

/* An interrupt message with an 8-bit destination, as an IOAPIC or a device sends it. */
struct apic_message {
    enum apic_message_type type;
    uint8_t vector, dest;
    bool logical; /* dest is compared with LDR and DFR, else with the ID; FFh is everybody */
    bool level;   /* level-triggered: the EOI is broadcast */
};

/* Deliver it. Did somebody accept it? */
bool apics_message(struct apics *apics, const struct apic_message *message);

/* Who hears of EOIs of level-triggered interrupts, and that an APIC may accept what it refused before: the IOAPIC. */
struct apics_listener {
    void (*eoi)(void *self, uint8_t vector);
    void (*ready)(void *self);
    void *self;
};
void apics_listen(struct apics *apics, const struct apics_listener *listener);

/* Drive LINT0 or LINT1 (line 0, 1) of one processor; fits struct irq_line, self is the struct lapic. The PIC drives
 * LINT0 by itself. */
void lapic_set_lint(void *self, unsigned line, bool level);

/* The interface to the CPU; self is the struct lapic. */
extern const struct intc_ops lapic_intc_ops;

#endif

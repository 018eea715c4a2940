/* The MP table, for software that knows no ACPI. Source: Intel MultiProcessor Specification 1.4, chapter 4. */
#ifndef EMU_BOOT_MPTABLE_H
#define EMU_BOOT_MPTABLE_H

#include <stddef.h>
#include <stdint.h>

#define MPTABLE_POINTER_BYTES 16
#define MPTABLE_MOST 0xc00

struct mptable {
    size_t len;
    uint8_t bytes[MPTABLE_MOST];
};

/* cpus: APIC IDs from 0 on, at most 64. pirq: the interrupts to which the PCI bus's four lines are routed. */
void mptable_build(unsigned cpus, const uint8_t pirq[4], struct mptable *table);

/* The floating pointer structure for a table that lies there. */
void mptable_pointer(uint32_t table_spa, uint8_t pointer[MPTABLE_POINTER_BYTES]);

#endif

/* BIOS interrupts for machines that start a kernel without firmware: Xen, and old boot code, call them from real mode. */
#ifndef EMU_BOOT_BIOS_CALLS_H
#define EMU_BOOT_BIOS_CALLS_H

#include <stddef.h>
#include <stdint.h>

#include "emu/boot/boot.h"

#define BIOS_CALLS_SEGMENT 0xf000u
#define BIOS_CALLS_OFFSET 0xe000u
#define BIOS_CALLS_MOST 0x800u
#define BIOS_VECTORS 256
#define BIOS_VECTOR_TABLE_BYTES (4 * BIOS_VECTORS)

/* Code that runs at F000:E000, and where in that segment each interrupt's handler begins. */
struct bios_calls {
    size_t len;
    uint16_t offset[BIOS_VECTORS], reset; /* reset: what a jump to F000:FFF0 is to reach */
    uint8_t bytes[BIOS_CALLS_MOST];
};

/* Make the code for a machine with this memory map. */
void bios_calls_build(const struct boot_region *map, unsigned regions, struct bios_calls *calls);

/* The interrupt vector table that leads to it. */
void bios_calls_vectors(const struct bios_calls *calls, uint8_t table[BIOS_VECTOR_TABLE_BYTES]);

#endif

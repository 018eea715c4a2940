/* Boot protocols: from the bytes of an image to guest memory and the first register state. */
#ifndef EMU_BOOT_BOOT_H
#define EMU_BOOT_BOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "emu/base/diag.h"
#include "emu/cpu/state.h"
#include "paging/memory.h"

#define BOOT_MODULES_MAX 64

/* All bytes and strings are borrowed for the call only. Strings may not be NULL unless the comment says so. */
struct boot_module {
    const uint8_t *bytes;
    size_t len;
    const char *name;    /* for diagnostics */
    const char *cmdline; /* handed to the image; NULL: empty */
};

struct boot_source {
    const uint8_t *kernel;
    size_t kernel_len;
    const char *kernel_name; /* for diagnostics, and the first word of a Multiboot 1 command line */
    const char *cmdline;     /* -append; NULL: empty */
    const struct boot_module *modules;
    size_t module_count; /* at most BOOT_MODULES_MAX */
    uint64_t rsdp_spa;   /* in the BIOS area (bios_area.h); 0: there is none */
    bool com2;           /* there is a second serial line */
    bool vga;            /* there is a VGA, in its text mode */
};

enum boot_protocol { BOOT_MULTIBOOT1, BOOT_PVH, BOOT_MULTIBOOT2, BOOT_LINUX };

/* Where and how the image starts: flat 32-bit protected mode with paging off; or 64-bit mode, for Linux. */
struct boot_entry {
    enum boot_protocol protocol;
    uint32_t eip, eax, ebx, esi;
    bool long_mode;
    uint64_t cr3, gdt; /* for Linux */
    uint16_t gdt_limit;
    uint32_t initrd, initrd_bytes; /* Linux: where the initial RAM disk lies */
};

enum boot_region_type { BOOT_REGION_RAM = 1, BOOT_REGION_RESERVED = 2 }; /* as in E820 */

struct boot_region {
    uint64_t base, len;
    enum boot_region_type type;
};
#define BOOT_REGIONS_MAX 5

/* The memory map that every protocol is given, in ascending order. Returns the number of regions. */
unsigned boot_memory_map(const struct memory *memory, struct boot_region map[BOOT_REGIONS_MAX]);

/* Find out what the image is, load it with its modules and the protocol's information, and say how to start it. The
 * BIOS data areas (400h, 9FC00h) tell the base memory size, where the image leaves them free.
 * PACIFICA_EFORMAT: malformed, truncated or of no known kind; PACIFICA_ERANGE: something does not fit into guest RAM;
 * PACIFICA_EUNSUPPORTED: known, not emulated yet; PACIFICA_EUSAGE: too many modules; PACIFICA_ENOMEM.
 * On error guest memory and *entry are unchanged, and diag (may be NULL) is filled. */
enum pacifica_status boot_load(struct memory *memory, const struct boot_source *source,
                               struct boot_entry *entry, struct pacifica_diag *diag);

/* Give a CPU that was just reset the state in which the image starts. */
void boot_enter(struct vcpu *cpu, const struct boot_entry *entry);

/* Give any processor of a machine that starts without firmware what firmware leaves in it: its MTRRs. */
void boot_processor(struct vcpu *cpu, unsigned address_bits);

const char *boot_protocol_name(enum boot_protocol protocol);

#endif

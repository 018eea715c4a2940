/* What the loaders share: the plan of what goes where, and the information block. */
#ifndef EMU_BOOT_BOOT_PRIV_H
#define EMU_BOOT_BOOT_PRIV_H

#include <stdbool.h>

#include "emu/boot/acpi.h"
#include "emu/boot/bios_calls.h"
#include "emu/boot/boot.h"

#define BOOT_SEGMENTS_MAX 64
#define BOOT_PARTS_MAX (BOOT_SEGMENTS_MAX + BOOT_MODULES_MAX + 5)
#define BOOT_BDA_BYTES 0x100
#define BOOT_LOADER_NAME "Pacifica"

/* A piece of guest memory: file_bytes from the workstation, then zeros up to mem_bytes. */
struct boot_part {
    uint64_t spa, mem_bytes;
    const uint8_t *bytes;
    uint64_t file_bytes;
    bool keep_rest; /* instead of zeros: what lies there stays */
};

/* Invariant: the parts lie in RAM and do not overlap. Nothing is written before boot_plan_commit(). */
struct boot_plan {
    struct memory *memory;
    const struct boot_source *source;
    struct pacifica_diag *diag;
    uint32_t base_kib;    /* RAM from 0 that the map gives away: 639 unless RAM is tiny */
    uint64_t low_ram_end; /* of the RAM that starts at 1 MiB */
    uint8_t bda[BOOT_BDA_BYTES], ebda[1], facs[ACPI_FACS_BYTES];
    uint8_t vectors[BIOS_VECTOR_TABLE_BYTES];
    size_t info_bytes; /* what the protocol needs beyond the usual headers, map and strings */
    uint64_t image_end, image_base; /* of the image's segments */
    unsigned image_parts;           /* the first ones */
    uint64_t module_spa[BOOT_MODULES_MAX];
    unsigned count;
    struct boot_part part[BOOT_PARTS_MAX];
};

/* The information block under construction. Its guest address is known before it is filled. */
struct boot_info {
    uint8_t *bytes;
    size_t used, capacity;
    uint32_t spa;
};

void boot_plan_init(struct boot_plan *plan, struct memory *memory, const struct boot_source *source,
                    struct pacifica_diag *diag);

/* Add a segment of the image. `what` names it in diagnostics, with `index`. Empty segments are skipped. */
EMU_MUST_USE enum pacifica_status boot_plan_segment(struct boot_plan *plan,
                                                    const struct boot_part *part, const char *what,
                                                    unsigned index);

/* Is the byte at spa within a segment of the image? */
bool boot_plan_in_image(const struct boot_plan *plan, uint64_t spa);

/* PACIFICA_OK, or ERANGE if the image would start outside what was loaded. */
EMU_MUST_USE enum pacifica_status boot_plan_check_entry(struct boot_plan *plan, uint64_t eip);

/* The highest page boundary from 1 MiB on where len bytes below `limit` are RAM and clear of every part, or UINT64_MAX. */
uint64_t boot_plan_room_below(const struct boot_plan *plan, uint64_t len, uint64_t limit);
/* Add a part that is known to lie in RAM and to overlap no other. */
void boot_plan_add(struct boot_plan *plan, const struct boot_part *part);

/* Place the modules on page boundaries behind the image. */
EMU_MUST_USE enum pacifica_status boot_plan_modules(struct boot_plan *plan);

/* Place an information block with room for the strings and tables of any protocol, clear of image and modules, below
 * 640 KiB if it fits there. Fills *info; the caller frees info->bytes. */
EMU_MUST_USE enum pacifica_status boot_plan_info(struct boot_plan *plan, struct boot_info *info);

/* Add the BIOS data areas, as far as the image leaves their places free. */
void boot_plan_bios_data(struct boot_plan *plan);

/* Write everything to guest memory. */
void boot_plan_commit(const struct boot_plan *plan);

/* Reserve zeroed bytes; returns their offset. */
size_t boot_info_reserve(struct boot_info *info, size_t len, size_t align);
/* Store a string, `first` and `second` joined by a blank if both are there; returns its guest address. */
uint32_t boot_info_string(struct boot_info *info, const char *first, const char *second);

const char *boot_module_cmdline(const struct boot_plan *plan, size_t index);
const char *boot_cmdline(const struct boot_plan *plan);

static inline uint32_t boot_get32(const uint8_t *from)
{
    return from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

static inline uint32_t boot_get16(const uint8_t *from)
{
    return from[0] | (uint32_t)from[1] << 8;
}

static inline uint64_t boot_get64(const uint8_t *from)
{
    return boot_get32(from) | (uint64_t)boot_get32(from + 4) << 32;
}

static inline void boot_put(uint8_t *to, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

/* ELF images. */
struct elf_facts {
    bool is_elf;
    bool has_pvh; /* an XEN_ELFNOTE_PHYS32_ENTRY note */
    uint64_t pvh_entry;
    uint64_t entry; /* physical; set by elf_image_load() */
};

bool elf_image_is_elf(const struct boot_source *source);
/* Check the headers and look for the PVH note. Loads nothing. */
EMU_MUST_USE enum pacifica_status elf_image_inspect(struct boot_plan *plan,
                                                    struct elf_facts *facts);
/* Plan the PT_LOAD segments at their physical addresses. */
EMU_MUST_USE enum pacifica_status elf_image_load(struct boot_plan *plan, struct elf_facts *facts);

/* The address fields of Multiboot 1 and 2 for images that are not ELF. load_addr UINT32_MAX: from the file's start. */
struct address_fields {
    uint32_t header_addr, load_addr, load_end_addr, bss_end_addr;
};
EMU_MUST_USE enum pacifica_status address_fields_load(struct boot_plan *plan, size_t header_offset,
                                                      const struct address_fields *fields);

/* Each protocol: is its header there; plan the image; fill the information block and the entry. */
bool multiboot1_find(const struct boot_source *source, size_t *offset);
EMU_MUST_USE enum pacifica_status multiboot1_plan(struct boot_plan *plan, size_t offset,
                                                  struct boot_entry *entry);
void multiboot1_info(const struct boot_plan *plan, struct boot_info *info,
                     struct boot_entry *entry);

bool multiboot2_find(const struct boot_source *source, size_t *offset);
EMU_MUST_USE enum pacifica_status multiboot2_plan(struct boot_plan *plan, size_t offset,
                                                  bool *relocatable, struct boot_entry *entry);
void multiboot2_info(const struct boot_plan *plan, struct boot_info *info, bool relocatable,
                     struct boot_entry *entry);

EMU_MUST_USE enum pacifica_status pvh_plan(struct boot_plan *plan, struct elf_facts *facts,
                                           struct boot_entry *entry);
void pvh_info(const struct boot_plan *plan, struct boot_info *info, struct boot_entry *entry);

/* Linux places its modules, the initial RAM disk, itself. */
bool linux_find(const struct boot_source *source);
EMU_MUST_USE enum pacifica_status linux_plan(struct boot_plan *plan, struct boot_entry *entry);
void linux_info(const struct boot_plan *plan, struct boot_info *info, struct boot_entry *entry);

#endif

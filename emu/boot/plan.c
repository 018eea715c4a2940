/* The plan of what goes where: all checks come before the first byte is written. */
#include "emu/boot/bios_area.h"
#include "emu/boot/boot_priv.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 0x1000ull
#define MIB1 0x100000ull
#define BDA 0x400ull
#define BDA_COM1 0x00
#define BDA_EQUIPMENT 0x10
#define COM1_PORT 0x3f8
#define COM2_PORT 0x2f8
#define EQUIPMENT 0x0222       /* a serial port, a screen of 80 columns, an FPU */
#define EQUIPMENT_SERIAL 0x200 /* one more of them */
#define BDA_EBDA_SEGMENT 0x0e
#define BDA_BASE_KIB 0x13
#define EBDA 0x9fc00ull
#define INFO_LOWEST 0x9000ull /* where QEMU puts it; below lies what firmware and boot code use */

void boot_plan_init(struct boot_plan *plan, struct memory *memory, const struct boot_source *source,
                    struct pacifica_diag *diag)
{
    struct boot_region map[BOOT_REGIONS_MAX];
    unsigned regions = boot_memory_map(memory, map);

    memset(plan, 0, sizeof(*plan));
    plan->memory = memory;
    plan->source = source;
    plan->diag = diag;
    plan->low_ram_end = MIB1;
    for (unsigned i = 0; i < regions; i++) {
        if (map[i].base == 0)
            plan->base_kib = (uint32_t)(map[i].len / 1024);
        if (map[i].base == MIB1)
            plan->low_ram_end = MIB1 + map[i].len;
    }
}

/* Is all of [spa, spa + len) RAM? len is not 0. */
static bool in_ram(const struct boot_plan *plan, uint64_t spa, uint64_t len)
{
    struct boot_region map[BOOT_REGIONS_MAX];
    unsigned regions = boot_memory_map(plan->memory, map);

    if (spa + len < spa)
        return false;
    if (spa + len <= 0xa0000) /* the extended BIOS data area is RAM too */
        return memory_ptr(plan->memory, spa + len - 1, 1) != NULL;
    for (unsigned i = 0; i < regions; i++)
        if (map[i].type == BOOT_REGION_RAM && spa >= map[i].base && len <= map[i].len &&
            spa - map[i].base <= map[i].len - len)
            return true;
    return false;
}

/* The part that shares a byte with [spa, spa + len), or NULL. */
static const struct boot_part *overlap(const struct boot_plan *plan, uint64_t spa, uint64_t len)
{
    for (unsigned i = 0; i < plan->count; i++) {
        const struct boot_part *part = &plan->part[i];
        if (spa < part->spa + part->mem_bytes && part->spa < spa + len)
            return part;
    }
    return NULL;
}

void boot_plan_add(struct boot_plan *plan, const struct boot_part *part)
{
    assert(plan->count < BOOT_PARTS_MAX);
    plan->part[plan->count++] = *part;
}

static enum pacifica_status outside_ram(struct boot_plan *plan, const struct boot_part *part,
                                        const char *what, unsigned index)
{
    bool in_hole = part->spa < MIB1 && part->spa + part->mem_bytes > 0xa0000;
    return diag_set(plan->diag, PACIFICA_ERANGE, plan->source->kernel_name,
                    in_hole ? "a0000-fffff holds no RAM on a PC: link the image to 1 MiB or above"
                            : "give the machine more memory with -m, or link the image lower",
                    "%s %u would be loaded at %#" PRIx64 " (%#" PRIx64
                    " bytes): not all of that is RAM",
                    what, index, part->spa, part->mem_bytes);
}

enum pacifica_status boot_plan_segment(struct boot_plan *plan, const struct boot_part *part,
                                       const char *what, unsigned index)
{
    if (part->mem_bytes == 0)
        return PACIFICA_OK;
    if (!in_ram(plan, part->spa, part->mem_bytes))
        return outside_ram(plan, part, what, index);
    const struct boot_part *other = overlap(plan, part->spa, part->mem_bytes);
    if (other)
        return diag_set(
            plan->diag, PACIFICA_EFORMAT, plan->source->kernel_name,
            "readelf -l shows the physical addresses; the linker script must keep them apart",
            "%s %u at %#" PRIx64 " (%#" PRIx64 " bytes) overlaps the segment at %#" PRIx64, what,
            index, part->spa, part->mem_bytes, other->spa);
    if (plan->count == BOOT_SEGMENTS_MAX)
        return diag_set(plan->diag, PACIFICA_EFORMAT, plan->source->kernel_name, NULL,
                        "the image has more than %d loadable segments", BOOT_SEGMENTS_MAX);
    if (plan->count == 0 || part->spa < plan->image_base)
        plan->image_base = part->spa;
    if (part->spa + part->mem_bytes > plan->image_end)
        plan->image_end = part->spa + part->mem_bytes;
    boot_plan_add(plan, part);
    plan->image_parts = plan->count;
    return PACIFICA_OK;
}

bool boot_plan_in_image(const struct boot_plan *plan, uint64_t spa)
{
    for (unsigned i = 0; i < plan->image_parts; i++)
        if (spa >= plan->part[i].spa && spa - plan->part[i].spa < plan->part[i].mem_bytes)
            return true;
    return false;
}

enum pacifica_status boot_plan_check_entry(struct boot_plan *plan, uint64_t eip)
{
    if (eip <= UINT32_MAX && boot_plan_in_image(plan, eip))
        return PACIFICA_OK;
    return diag_set(plan->diag, PACIFICA_ERANGE, plan->source->kernel_name,
                    "the entry point must lie in a loaded segment below 4 GiB",
                    "the entry point %#" PRIx64 " is outside of what the image loads", eip);
}

/* The lowest address from `lowest` on, aligned, that holds len bytes below `limit` clear of every part; or UINT64_MAX.
 * All of [lowest, limit) is RAM. */
static uint64_t find_room(const struct boot_plan *plan, uint64_t len, uint64_t lowest,
                          uint64_t limit)
{
    uint64_t at = (lowest + PAGE - 1) & ~(PAGE - 1);
    while (at <= limit && len <= limit - at) {
        const struct boot_part *other = overlap(plan, at, len ? len : 1);
        if (!other)
            return at;
        at = (other->spa + other->mem_bytes + PAGE - 1) & ~(PAGE - 1);
    }
    return UINT64_MAX;
}

uint64_t boot_plan_room_below(const struct boot_plan *plan, uint64_t len, uint64_t limit)
{
    while (limit >= MIB1 && len <= limit - MIB1) {
        uint64_t at = (limit - len) & ~(PAGE - 1);
        const struct boot_part *other = at >= MIB1 ? overlap(plan, at, len) : NULL;
        if (!other)
            return at >= MIB1 ? at : UINT64_MAX;
        limit = other->spa;
    }
    return UINT64_MAX;
}

enum pacifica_status boot_plan_modules(struct boot_plan *plan)
{
    const struct boot_source *source = plan->source;
    uint64_t behind =
        plan->image_end > MIB1 && plan->image_end < plan->low_ram_end ? plan->image_end : MIB1;

    if (source->module_count > BOOT_MODULES_MAX)
        return diag_set(plan->diag, PACIFICA_EUSAGE, "-initrd", NULL, "more than %d modules",
                        BOOT_MODULES_MAX);
    for (size_t i = 0; i < source->module_count; i++) {
        const struct boot_module *module = &source->modules[i];
        uint64_t at = find_room(plan, module->len, behind, plan->low_ram_end);
        if (at == UINT64_MAX)
            at = find_room(plan, module->len, MIB1, plan->low_ram_end);
        if (at == UINT64_MAX)
            return diag_set(plan->diag, PACIFICA_ERANGE, module->name,
                            "give the machine more memory with -m",
                            "no room in RAM below 4 GiB for this module of %zu bytes", module->len);
        plan->module_spa[i] = at;
        if (module->len == 0)
            continue;
        struct boot_part part = {
            .spa = at, .mem_bytes = module->len, .bytes = module->bytes, .file_bytes = module->len
        };
        boot_plan_add(plan, &part);
    }
    return PACIFICA_OK;
}

/* The vectors of BIOS interrupts, if their code is there and the image leaves all of the table free. */
static void add_vectors(struct boot_plan *plan)
{
    const struct boot_part table = { .spa = 0,
                                     .mem_bytes = BIOS_VECTOR_TABLE_BYTES,
                                     .bytes = plan->vectors,
                                     .file_bytes = BIOS_VECTOR_TABLE_BYTES };
    struct boot_region map[BOOT_REGIONS_MAX];
    unsigned regions = boot_memory_map(plan->memory, map);
    struct bios_calls calls;
    if (!plan->source->rsdp_spa || overlap(plan, 0, BIOS_VECTOR_TABLE_BYTES))
        return;
    bios_calls_build(map, regions, &calls);
    bios_calls_vectors(&calls, plan->vectors);
    boot_plan_add(plan, &table);
}

/* Boot code asks the BIOS data area how much memory lies below 640 KiB and where the extended area starts (Xen's
 * trampoline does). There is no firmware to fill them in, so the loader does; all other fields are 0. The
 * ACPI tables' FACS is there, too. */
void boot_plan_bios_data(struct boot_plan *plan)
{
    const struct boot_part bda = {
        .spa = BDA, .mem_bytes = BOOT_BDA_BYTES, .bytes = plan->bda, .file_bytes = BOOT_BDA_BYTES
    };
    const struct boot_part ebda = {
        .spa = EBDA, .mem_bytes = 1, .bytes = plan->ebda, .file_bytes = 1
    };

    const struct boot_part facs = { .spa = BIOS_AREA_FACS,
                                    .mem_bytes = ACPI_FACS_BYTES,
                                    .bytes = plan->facs,
                                    .file_bytes = ACPI_FACS_BYTES };

    add_vectors(plan);
    acpi_facs(plan->facs);
    boot_put(plan->bda + BDA_BASE_KIB, plan->base_kib, 2);
    if (plan->source->rsdp_spa) {
        boot_put(plan->bda + BDA_COM1, COM1_PORT, 2);
        if (plan->source->com2)
            boot_put(plan->bda + BDA_COM1 + 2, COM2_PORT, 2);
        boot_put(plan->bda + BDA_EQUIPMENT,
                 plan->source->com2 ? EQUIPMENT + EQUIPMENT_SERIAL : EQUIPMENT, 2);
    }
    if (in_ram(plan, EBDA, 1)) {
        boot_put(plan->bda + BDA_EBDA_SEGMENT, EBDA >> 4, 2);
        plan->ebda[0] = 1; /* its size in KiB */
        if (!overlap(plan, EBDA, 1))
            boot_plan_add(plan, &ebda);
        if (plan->source->rsdp_spa && !overlap(plan, BIOS_AREA_FACS, ACPI_FACS_BYTES))
            boot_plan_add(plan, &facs);
    }
    if (in_ram(plan, BDA, BOOT_BDA_BYTES) && !overlap(plan, BDA, BOOT_BDA_BYTES))
        boot_plan_add(plan, &bda);
}

const char *boot_cmdline(const struct boot_plan *plan)
{
    return plan->source->cmdline ? plan->source->cmdline : "";
}

const char *boot_module_cmdline(const struct boot_plan *plan, size_t index)
{
    const char *cmdline = plan->source->modules[index].cmdline;
    return cmdline ? cmdline : "";
}

/* An upper bound for every protocol: headers, the map, and for each module a record and an aligned string. */
static size_t info_bound(const struct boot_plan *plan)
{
    const struct boot_source *source = plan->source;
    size_t bytes =
        1024 + plan->info_bytes + strlen(source->kernel_name) + strlen(boot_cmdline(plan));
    for (size_t i = 0; i < source->module_count; i++)
        bytes += 64 + strlen(boot_module_cmdline(plan, i));
    return bytes;
}

enum pacifica_status boot_plan_info(struct boot_plan *plan, struct boot_info *info)
{
    uint64_t low_end = (uint64_t)plan->base_kib * 1024 & ~(PAGE - 1);
    size_t bytes = info_bound(plan);
    uint64_t at = find_room(plan, bytes, INFO_LOWEST, low_end);

    if (at == UINT64_MAX)
        at = find_room(plan, bytes, PAGE, low_end);
    if (at == UINT64_MAX) /* a command line too long for there, or an image that fills it */
        at = find_room(plan, bytes, MIB1, plan->low_ram_end);
    if (at == UINT64_MAX)
        return diag_set(plan->diag, PACIFICA_ERANGE, plan->source->kernel_name,
                        "give the machine more memory with -m",
                        "no room in RAM for %zu bytes of boot information beside the image", bytes);
    info->bytes = calloc(1, bytes);
    if (!info->bytes)
        return diag_set(plan->diag, PACIFICA_ENOMEM, NULL, NULL,
                        "no memory for the boot information");
    info->capacity = bytes;
    info->used = 0;
    info->spa = (uint32_t)at;
    struct boot_part part = {
        .spa = at, .mem_bytes = bytes, .bytes = info->bytes, .file_bytes = bytes
    };
    boot_plan_add(plan, &part);
    return PACIFICA_OK;
}

size_t boot_info_reserve(struct boot_info *info, size_t len, size_t align)
{
    size_t at = (info->used + align - 1) & ~(align - 1);
    assert(at <= info->capacity && len <= info->capacity - at);
    info->used = at + len;
    return at;
}

uint32_t boot_info_string(struct boot_info *info, const char *first, const char *second)
{
    size_t first_len = strlen(first), second_len = strlen(second);
    size_t blank = first_len && second_len ? 1 : 0;
    size_t at = boot_info_reserve(info, first_len + blank + second_len + 1, 1);
    uint8_t *to = info->bytes + at;

    memcpy(to, first, first_len);
    if (blank)
        to[first_len] = ' ';
    memcpy(to + first_len + blank, second, second_len);
    return info->spa + (uint32_t)at;
}

/* Zero [spa, spa + len). Pages that are zero stay untouched, so that the workstation need not provide them. */
static void zero_fill(struct memory *memory, uint64_t spa, uint64_t len)
{
    while (len) {
        uint64_t here = PAGE - (spa & (PAGE - 1));
        if (here > len)
            here = len;
        uint8_t *ptr = memory_ptr(memory, spa, here);
        assert(ptr);
        if (ptr[0] != 0 || memcmp(ptr, ptr + 1, here - 1) != 0) {
            memset(ptr, 0, here);
            phys_written(memory, spa, here);
        }
        spa += here;
        len -= here;
    }
}

void boot_plan_commit(const struct boot_plan *plan)
{
    for (unsigned i = 0; i < plan->count; i++) {
        const struct boot_part *part = &plan->part[i];
        if (part->file_bytes) {
            bool written = phys_write_block(plan->memory, part->spa, part->bytes, part->file_bytes);
            assert(written);
            (void)written;
        }
        if (!part->keep_rest)
            zero_fill(plan->memory, part->spa + part->file_bytes,
                      part->mem_bytes - part->file_bytes);
    }
}

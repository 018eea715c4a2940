/* Linux bzImage. Source: the kernel's Documentation/x86/boot.rst ("The Linux/x86 Boot Protocol", versions 2.10 to 2.15; "64-bit
 * Boot Protocol", "32-bit Boot Protocol") and zero-page.rst.
 *
 * The real-mode code of the image is not run: we fill its zero page and enter behind it, in 64-bit mode if the kernel has
 * that entry.
 * CHOICE: the kernel is loaded at its preferred address, or at the lowest aligned one that holds it if RAM ends before
 * that; the initial RAM disk lies as high as its limit allows. Several files are one RAM disk, each at a multiple of four. */
#include "emu/boot/boot_priv.h"

#include <inttypes.h>
#include <string.h>

#define SECTOR 512u
#define SYSSIZE_UNIT 16u
#define MIB1 0x100000ull
#define PAGE 0x1000u

/* The setup header: offsets in the file, and in the zero page as well. */
#define HDR_SETUP_SECTS 0x1f1u
#define HDR_SYSSIZE 0x1f4u /* of the protected-mode code, in units of 16 bytes */
#define HDR_BOOT_FLAG 0x1feu
#define HDR_JUMP 0x200u
#define HDR_MAGIC 0x202u
#define HDR_VERSION 0x206u
#define HDR_LOADER 0x210u
#define HDR_LOADFLAGS 0x211u
#define HDR_CODE32 0x214u
#define HDR_RAMDISK 0x218u
#define HDR_RAMDISK_SIZE 0x21cu
#define HDR_CMDLINE 0x228u
#define HDR_INITRD_MAX 0x22cu
#define HDR_ALIGNMENT 0x230u
#define HDR_RELOCATABLE 0x234u
#define HDR_XLOADFLAGS 0x236u
#define HDR_CMDLINE_SIZE 0x238u
#define HDR_PREF_ADDRESS 0x258u
#define HDR_INIT_SIZE 0x260u
#define HDR_LEAST 0x264u /* version 2.10 ends here */
#define HDR_MOST 0x290u  /* where the zero page has other things */

#define VERSION_LEAST 0x20au
#define LOADER_UNDEFINED 0xffu
#define LOADED_HIGH 0x01u
#define XLF_KERNEL_64 0x01u

/* The rest of the zero page. */
#define ZP_BYTES PAGE
#define ZP_EXT_MEM_K 0x002u
#define ZP_VIDEO_MODE 0x006u
#define ZP_VIDEO_COLUMNS 0x007u
#define ZP_VIDEO_LINES 0x00eu
#define ZP_VIDEO_IS_VGA 0x00fu
#define ZP_VIDEO_POINTS 0x010u
#define ZP_RSDP 0x070u
#define ZP_ALT_MEM_K 0x1e0u
#define ZP_E820_ENTRIES 0x1e8u
#define ZP_E820_TABLE 0x2d0u
#define E820_BYTES 20u

#define ENTRY_64 0x200u /* from the start of the protected-mode code */

/* Tables for the entry: GDT, and page tables that map the first 4 GiB to themselves. */
#define GDT_BYTES 32u
#define TABLE_PAGES 6u

bool linux_find(const struct boot_source *source)
{
    return source->kernel_len >= HDR_MAGIC + 4 &&
           memcmp(source->kernel + HDR_MAGIC, "HdrS", 4) == 0 &&
           boot_get16(source->kernel + HDR_BOOT_FLAG) == 0xaa55;
}

static enum pacifica_status check_header(const struct boot_plan *plan)
{
    const struct boot_source *source = plan->source;
    const uint8_t *image = source->kernel;
    const char *cut = "the file may be truncated";
    if (source->kernel_len < HDR_LEAST)
        return diag_set(plan->diag, PACIFICA_EFORMAT, source->kernel_name, cut,
                        "the bzImage ends within its setup header, after %zu bytes",
                        source->kernel_len);
    unsigned version = boot_get16(image + HDR_VERSION);
    if (version < VERSION_LEAST)
        return diag_set(plan->diag, PACIFICA_EUNSUPPORTED, source->kernel_name,
                        "2.10 came with Linux 2.6.31", "boot protocol %u.%02u is older than 2.10",
                        version >> 8, version & 0xff);
    if (!(image[HDR_LOADFLAGS] & LOADED_HIGH))
        return diag_set(plan->diag, PACIFICA_EUNSUPPORTED, source->kernel_name,
                        "make bzImage builds one that is", "a zImage: not loaded above 1 MiB");
    return PACIFICA_OK;
}

/* Where the protected-mode code is to lie: UINT64_MAX if nowhere. */
static uint64_t kernel_address(const struct boot_plan *plan, uint64_t mem_bytes)
{
    const uint8_t *image = plan->source->kernel;
    uint64_t preferred = boot_get64(image + HDR_PREF_ADDRESS);
    uint64_t align = boot_get32(image + HDR_ALIGNMENT);
    uint64_t end = plan->low_ram_end;
    if (preferred >= MIB1 && preferred < end && mem_bytes <= end - preferred)
        return preferred;
    if (!image[HDR_RELOCATABLE] || align == 0 || (align & (align - 1)) != 0)
        return UINT64_MAX;
    uint64_t lowest = (MIB1 + align - 1) & ~(align - 1);
    return lowest < end && mem_bytes <= end - lowest ? lowest : UINT64_MAX;
}

static enum pacifica_status plan_kernel(struct boot_plan *plan, struct boot_entry *entry)
{
    const struct boot_source *source = plan->source;
    const uint8_t *image = source->kernel;
    unsigned sectors = image[HDR_SETUP_SECTS] ? image[HDR_SETUP_SECTS] : 4;
    size_t start = (size_t)(sectors + 1) * SECTOR;
    uint64_t bytes = (uint64_t)boot_get32(image + HDR_SYSSIZE) * SYSSIZE_UNIT;
    if (start < source->kernel_len && bytes > source->kernel_len - start &&
        bytes - (source->kernel_len - start) < SYSSIZE_UNIT)
        bytes = source->kernel_len - start; /* the size is rounded up, the file need not be */
    bool long_mode = (boot_get16(image + HDR_XLOADFLAGS) & XLF_KERNEL_64) != 0;
    uint64_t least = long_mode ? ENTRY_64 + 1 : 1;
    if (start > source->kernel_len || bytes > source->kernel_len - start || bytes < least)
        return diag_set(plan->diag, PACIFICA_EFORMAT, source->kernel_name,
                        "the file may be truncated",
                        "the bzImage's header promises %" PRIu64 " bytes of code at %#zx, "
                        "but the file has only %zu",
                        bytes, start, source->kernel_len);
    uint64_t mem_bytes = boot_get32(image + HDR_INIT_SIZE);
    if (mem_bytes < bytes)
        mem_bytes = bytes;
    uint64_t at = kernel_address(plan, mem_bytes);
    if (at == UINT64_MAX)
        return diag_set(plan->diag, PACIFICA_ERANGE, source->kernel_name,
                        "give the machine more memory with -m",
                        "the kernel needs %" PRIu64 " KiB of RAM, and it would lie at %#" PRIx64,
                        mem_bytes / 1024, boot_get64(image + HDR_PREF_ADDRESS));
    const struct boot_part part = { .spa = at,
                                    .mem_bytes = mem_bytes,
                                    .bytes = image + start,
                                    .file_bytes = bytes,
                                    .keep_rest = true };
    entry->eip = (uint32_t)at + (long_mode ? ENTRY_64 : 0);
    entry->long_mode = long_mode;
    return boot_plan_segment(plan, &part, "the kernel", 0);
}

static enum pacifica_status check_arguments(const struct boot_plan *plan)
{
    const struct boot_source *source = plan->source;
    size_t len = strlen(boot_cmdline(plan)), most = boot_get32(source->kernel + HDR_CMDLINE_SIZE);
    if (len > most)
        return diag_set(plan->diag, PACIFICA_EUSAGE, "-append", NULL,
                        "the command line has %zu characters, and the kernel takes at most %zu",
                        len, most);
    if (source->module_count > BOOT_MODULES_MAX)
        return diag_set(plan->diag, PACIFICA_EUSAGE, "-initrd", NULL, "more than %d files",
                        BOOT_MODULES_MAX);
    for (size_t i = 0; i < source->module_count; i++)
        if (strchr(boot_module_cmdline(plan, i), ' '))
            return diag_set(plan->diag, PACIFICA_EUSAGE, source->modules[i].name,
                            "what is for the kernel goes to -append",
                            "Linux takes no arguments of its initial RAM disk");
    return PACIFICA_OK;
}

static enum pacifica_status plan_initrd(struct boot_plan *plan, struct boot_entry *entry)
{
    const struct boot_source *source = plan->source;
    uint64_t limit = (uint64_t)boot_get32(source->kernel + HDR_INITRD_MAX) + 1, bytes = 0;
    if (limit > plan->low_ram_end)
        limit = plan->low_ram_end;
    for (size_t i = 0; i < source->module_count; i++)
        bytes = ((bytes + 3) & ~3ull) + source->modules[i].len;
    entry->initrd_bytes = (uint32_t)bytes;
    if (bytes == 0)
        return PACIFICA_OK;
    uint64_t at = boot_plan_room_below(plan, bytes, limit);
    if (at == UINT64_MAX)
        return diag_set(plan->diag, PACIFICA_ERANGE, source->modules[0].name,
                        "give the machine more memory with -m",
                        "no room in RAM below %#" PRIx64 " for an initial RAM disk of %" PRIu64
                        " bytes",
                        limit, bytes);
    entry->initrd = (uint32_t)at;
    for (size_t i = 0; i < source->module_count; i++) {
        const struct boot_module *module = &source->modules[i];
        uint64_t next = at + module->len;
        const struct boot_part part = { .spa = at,
                                        .mem_bytes = i + 1 < source->module_count
                                                         ? ((next + 3) & ~3ull) - at
                                                         : module->len,
                                        .bytes = module->bytes,
                                        .file_bytes = module->len };
        boot_plan_add(plan, &part);
        at += part.mem_bytes;
    }
    return PACIFICA_OK;
}

enum pacifica_status linux_plan(struct boot_plan *plan, struct boot_entry *entry)
{
    entry->protocol = BOOT_LINUX;
    plan->info_bytes = ZP_BYTES + GDT_BYTES + (TABLE_PAGES + 1) * PAGE;
    enum pacifica_status status = check_header(plan);
    if (status == PACIFICA_OK)
        status = check_arguments(plan);
    if (status == PACIFICA_OK)
        status = plan_kernel(plan, entry);
    return status == PACIFICA_OK ? plan_initrd(plan, entry) : status;
}

/* --- the information --------------------------------------------------------------------------- */

/* Selectors 10h and 18h are flat code and data, as the protocol wants them. */
static uint64_t gdt(struct boot_info *info, bool long_mode)
{
    size_t at = boot_info_reserve(info, GDT_BYTES, 8);
    boot_put(info->bytes + at + 0x10, long_mode ? 0x00af9b000000ffffu : 0x00cf9b000000ffffu, 8);
    boot_put(info->bytes + at + 0x18, 0x00cf93000000ffffu, 8);
    return info->spa + at;
}

/* One PML4 table, one page-directory-pointer table and four page directories of 2 MiB pages. */
static uint64_t page_tables(struct boot_info *info)
{
    size_t at = boot_info_reserve(info, TABLE_PAGES * (size_t)PAGE, PAGE);
    uint8_t *table = info->bytes + at;
    uint64_t spa = info->spa + at;
    boot_put(table, (spa + PAGE) | 3, 8);
    for (unsigned i = 0; i < 4; i++)
        boot_put(table + PAGE + 8 * i, (spa + (2 + i) * (uint64_t)PAGE) | 3, 8);
    for (unsigned i = 0; i < 4 * 512; i++)
        boot_put(table + 2 * PAGE + 8 * i, (uint64_t)i << 21 | 0x83, 8);
    return spa;
}

static void put_e820(uint8_t *zero_page, const struct boot_plan *plan)
{
    struct boot_region map[BOOT_REGIONS_MAX];
    unsigned regions = boot_memory_map(plan->memory, map);
    zero_page[ZP_E820_ENTRIES] = (uint8_t)regions;
    for (unsigned i = 0; i < regions; i++) {
        uint8_t *record = zero_page + ZP_E820_TABLE + E820_BYTES * i;
        boot_put(record, map[i].base, 8);
        boot_put(record + 8, map[i].len, 8);
        boot_put(record + 16, map[i].type, 4);
    }
}

/* Mode 3, as firmware leaves it: 80 columns, 25 lines, characters of 16 lines. */
static void put_screen(uint8_t *zero_page)
{
    zero_page[ZP_VIDEO_MODE] = 3;
    zero_page[ZP_VIDEO_COLUMNS] = 80;
    zero_page[ZP_VIDEO_LINES] = 25;
    zero_page[ZP_VIDEO_IS_VGA] = 1;
    boot_put(zero_page + ZP_VIDEO_POINTS, 16, 2);
}

void linux_info(const struct boot_plan *plan, struct boot_info *info, struct boot_entry *entry)
{
    const uint8_t *image = plan->source->kernel;
    size_t at = boot_info_reserve(info, ZP_BYTES, PAGE);
    uint8_t *zero_page = info->bytes + at;
    size_t end = HDR_MAGIC + image[HDR_JUMP + 1]; /* the short jump leads behind the header */
    uint64_t above_1m_k = (plan->low_ram_end - MIB1) / 1024;
    if (end > HDR_MOST)
        end = HDR_MOST;
    if (end > plan->source->kernel_len)
        end = plan->source->kernel_len;
    if (end > HDR_SETUP_SECTS)
        memcpy(zero_page + HDR_SETUP_SECTS, image + HDR_SETUP_SECTS, end - HDR_SETUP_SECTS);
    zero_page[HDR_LOADER] = LOADER_UNDEFINED;
    boot_put(zero_page + HDR_CODE32, plan->part[0].spa, 4);
    boot_put(zero_page + HDR_RAMDISK, entry->initrd, 4);
    boot_put(zero_page + HDR_RAMDISK_SIZE, entry->initrd_bytes, 4);
    boot_put(zero_page + HDR_CMDLINE, boot_info_string(info, "", boot_cmdline(plan)), 4);
    boot_put(zero_page + ZP_EXT_MEM_K, above_1m_k < 0xffff ? above_1m_k : 0xffff, 2);
    boot_put(zero_page + ZP_ALT_MEM_K, above_1m_k, 4);
    boot_put(zero_page + ZP_RSDP, plan->source->rsdp_spa, 8);
    put_e820(zero_page, plan);
    if (plan->source->vga)
        put_screen(zero_page);
    entry->esi = info->spa + (uint32_t)at;
    entry->gdt = gdt(info, entry->long_mode);
    entry->gdt_limit = GDT_BYTES - 1;
    if (entry->long_mode)
        entry->cr3 = page_tables(info);
}

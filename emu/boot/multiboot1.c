/* Multiboot 1. Multiboot Specification 0.6.96, 3.1 "OS image format", 3.2 "Machine state", 3.3 "Boot information
 * format". ELF64 images are loaded by their program headers, a convenience beyond the specification. */
#include "emu/boot/boot_priv.h"

#define HEADER_MAGIC 0x1badb002u
#define ENTRY_MAGIC 0x2badb002u
#define SEARCH_BYTES 8192

#define FLAG_ALIGN 0x00001u
#define FLAG_MEMORY 0x00002u
#define FLAG_VIDEO 0x00004u /* a wish only: no video information is given */
#define FLAG_ADDRESSES 0x10000u
#define REQUIRED_FLAGS 0x0ffffu

#define INFO_BYTES 116
#define INFO_MEMORY 0x001u
#define INFO_CMDLINE 0x004u
#define INFO_MODULES 0x008u
#define INFO_MMAP 0x040u
#define INFO_LOADER 0x200u

#define MODULE_BYTES 16
#define MMAP_BYTES 24

bool multiboot1_find(const struct boot_source *source, size_t *offset)
{
    size_t end = source->kernel_len < SEARCH_BYTES ? source->kernel_len : SEARCH_BYTES;
    for (size_t at = 0; at + 12 <= end; at += 4) {
        const uint8_t *header = source->kernel + at;
        if (boot_get32(header) == HEADER_MAGIC &&
            HEADER_MAGIC + boot_get32(header + 4) + boot_get32(header + 8) == 0) {
            *offset = at;
            return true;
        }
    }
    return false;
}

enum pacifica_status address_fields_load(struct boot_plan *plan, size_t header_offset,
                                         const struct address_fields *fields)
{
    const struct boot_source *source = plan->source;
    uint32_t load = fields->load_addr;

    if (load == UINT32_MAX)
        load = fields->header_addr - (uint32_t)header_offset;
    if (fields->header_addr < load || fields->header_addr - load > header_offset)
        return diag_set(plan->diag, PACIFICA_EFORMAT, source->kernel_name, NULL,
                        "the Multiboot address fields put the image's start before the file's: "
                        "header at %#x, load at %#x",
                        fields->header_addr, load);
    size_t start = header_offset - (fields->header_addr - load); /* in the file */
    uint64_t file_bytes = source->kernel_len - start;
    if (fields->load_end_addr) {
        if (fields->load_end_addr < load || fields->load_end_addr - load > file_bytes)
            return diag_set(plan->diag, PACIFICA_EFORMAT, source->kernel_name,
                            "the file may be truncated",
                            "the Multiboot address fields load %#x to %#x, but the file has only "
                            "%#zx bytes there",
                            load, fields->load_end_addr, source->kernel_len - start);
        file_bytes = fields->load_end_addr - load;
    }
    uint64_t mem_bytes = file_bytes;
    if (fields->bss_end_addr) {
        if (fields->bss_end_addr < load || fields->bss_end_addr - load < file_bytes)
            return diag_set(
                plan->diag, PACIFICA_EFORMAT, source->kernel_name, NULL,
                "the Multiboot address fields end bss at %#x, before the loaded data ends",
                fields->bss_end_addr);
        mem_bytes = fields->bss_end_addr - load;
    }
    struct boot_part part = { .spa = load,
                              .mem_bytes = mem_bytes,
                              .bytes = source->kernel + start,
                              .file_bytes = file_bytes };
    return boot_plan_segment(plan, &part, "image", 0);
}

static enum pacifica_status plan_addresses(struct boot_plan *plan, size_t offset,
                                           struct boot_entry *entry)
{
    const struct boot_source *source = plan->source;
    const uint8_t *header = source->kernel + offset;
    if (source->kernel_len - offset < 32)
        return diag_set(plan->diag, PACIFICA_EFORMAT, source->kernel_name,
                        "the file may be truncated",
                        "the Multiboot header has no room for its address fields");
    struct address_fields fields = { .header_addr = boot_get32(header + 12),
                                     .load_addr = boot_get32(header + 16),
                                     .load_end_addr = boot_get32(header + 20),
                                     .bss_end_addr = boot_get32(header + 24) };
    enum pacifica_status status = address_fields_load(plan, offset, &fields);
    entry->eip = boot_get32(header + 28);
    return status == PACIFICA_OK ? boot_plan_check_entry(plan, entry->eip) : status;
}

enum pacifica_status multiboot1_plan(struct boot_plan *plan, size_t offset,
                                     struct boot_entry *entry)
{
    const struct boot_source *source = plan->source;
    uint32_t flags = boot_get32(source->kernel + offset + 4);
    uint32_t unknown = flags & REQUIRED_FLAGS & ~(FLAG_ALIGN | FLAG_MEMORY | FLAG_VIDEO);

    entry->protocol = BOOT_MULTIBOOT1;
    if (unknown)
        return diag_set(plan->diag, PACIFICA_EFORMAT, source->kernel_name, NULL,
                        "the Multiboot header requires features that do not exist (flags %#x)",
                        unknown);
    if (flags & FLAG_ADDRESSES)
        return plan_addresses(plan, offset, entry);
    if (!elf_image_is_elf(source))
        return diag_set(plan->diag, PACIFICA_EFORMAT, source->kernel_name,
                        "set bit 16 of the Multiboot flags and fill in the addresses, or use ELF",
                        "the Multiboot image is not ELF and has no address fields");
    struct elf_facts facts = { 0 };
    enum pacifica_status status = elf_image_load(plan, &facts);
    if (status == PACIFICA_OK)
        status = boot_plan_check_entry(plan, facts.entry);
    entry->eip = (uint32_t)facts.entry;
    return status;
}

static uint32_t modules_table(const struct boot_plan *plan, struct boot_info *info)
{
    const struct boot_source *source = plan->source;
    size_t at = boot_info_reserve(info, MODULE_BYTES * source->module_count, 4);
    for (size_t i = 0; i < source->module_count; i++) {
        uint8_t *record = info->bytes + at + MODULE_BYTES * i;
        boot_put(record, plan->module_spa[i], 4);
        boot_put(record + 4, plan->module_spa[i] + source->modules[i].len, 4);
        boot_put(record + 8, boot_info_string(info, "", boot_module_cmdline(plan, i)), 4);
    }
    return info->spa + (uint32_t)at;
}

/* Each entry begins with its size, which does not count itself. */
static uint32_t mmap_table(const struct boot_plan *plan, struct boot_info *info, uint32_t *bytes)
{
    struct boot_region map[BOOT_REGIONS_MAX];
    unsigned regions = boot_memory_map(plan->memory, map);
    size_t at = boot_info_reserve(info, MMAP_BYTES * regions, 4);
    for (unsigned i = 0; i < regions; i++) {
        uint8_t *record = info->bytes + at + MMAP_BYTES * i;
        boot_put(record, MMAP_BYTES - 4, 4);
        boot_put(record + 4, map[i].base, 8);
        boot_put(record + 12, map[i].len, 8);
        boot_put(record + 20, map[i].type, 4);
    }
    *bytes = MMAP_BYTES * regions;
    return info->spa + (uint32_t)at;
}

void multiboot1_info(const struct boot_plan *plan, struct boot_info *info, struct boot_entry *entry)
{
    size_t at = boot_info_reserve(info, INFO_BYTES, 4);
    uint32_t mmap_bytes;
    uint32_t modules = modules_table(plan, info);
    uint32_t mmap = mmap_table(plan, info, &mmap_bytes);
    uint32_t cmdline = boot_info_string(info, plan->source->kernel_name, boot_cmdline(plan));
    uint32_t loader = boot_info_string(info, "", BOOT_LOADER_NAME);
    uint8_t *head = info->bytes + at;

    boot_put(head, INFO_MEMORY | INFO_CMDLINE | INFO_MODULES | INFO_MMAP | INFO_LOADER, 4);
    boot_put(head + 4, plan->base_kib, 4); /* mem_lower, KiB */
    boot_put(head + 8, (plan->low_ram_end - 0x100000) / 1024, 4);
    boot_put(head + 16, cmdline, 4);
    boot_put(head + 20, plan->source->module_count, 4);
    boot_put(head + 24, modules, 4);
    boot_put(head + 44, mmap_bytes, 4);
    boot_put(head + 48, mmap, 4);
    boot_put(head + 64, loader, 4);
    entry->eax = ENTRY_MAGIC;
    entry->ebx = info->spa + (uint32_t)at;
}

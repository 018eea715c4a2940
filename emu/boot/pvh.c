/* PVH: an ELF image with a XEN_ELFNOTE_PHYS32_ENTRY note. Source: Xen's xen/include/public/arch-x86/hvm/start_info.h
 * and docs/misc/pvh.pandoc; version 1 of hvm_start_info. */
#include "emu/boot/boot_priv.h"

#define START_MAGIC 0x336ec578u
#define START_BYTES 56
#define MODULE_BYTES 32
#define MEMMAP_BYTES 24

enum pacifica_status pvh_plan(struct boot_plan *plan, struct elf_facts *facts,
                              struct boot_entry *entry)
{
    enum pacifica_status status = elf_image_load(plan, facts);

    entry->protocol = BOOT_PVH;
    entry->eip = (uint32_t)facts->pvh_entry;
    return status == PACIFICA_OK ? boot_plan_check_entry(plan, facts->pvh_entry) : status;
}

static uint32_t modules_table(const struct boot_plan *plan, struct boot_info *info)
{
    const struct boot_source *source = plan->source;
    size_t at = boot_info_reserve(info, MODULE_BYTES * source->module_count, 8);
    for (size_t i = 0; i < source->module_count; i++) {
        uint8_t *record = info->bytes + at + MODULE_BYTES * i;
        boot_put(record, plan->module_spa[i], 8);
        boot_put(record + 8, source->modules[i].len, 8);
        boot_put(record + 16, boot_info_string(info, "", boot_module_cmdline(plan, i)), 8);
    }
    return info->spa + (uint32_t)at;
}

void pvh_info(const struct boot_plan *plan, struct boot_info *info, struct boot_entry *entry)
{
    struct boot_region map[BOOT_REGIONS_MAX];
    unsigned regions = boot_memory_map(plan->memory, map);
    size_t at = boot_info_reserve(info, START_BYTES, 8);
    size_t memmap = boot_info_reserve(info, MEMMAP_BYTES * regions, 8);
    uint32_t modules = modules_table(plan, info);
    uint32_t cmdline = boot_info_string(info, "", boot_cmdline(plan));
    uint8_t *head = info->bytes + at;

    boot_put(head, START_MAGIC, 4);
    boot_put(head + 4, 1, 4); /* version */
    boot_put(head + 12, plan->source->module_count, 4);
    if (plan->source->module_count)
        boot_put(head + 16, modules, 8);
    boot_put(head + 24, cmdline, 8);
    boot_put(head + 32, plan->source->rsdp_spa, 8);
    boot_put(head + 40, info->spa + memmap, 8);
    boot_put(head + 48, regions, 4);
    for (unsigned i = 0; i < regions; i++) {
        uint8_t *record = info->bytes + memmap + MEMMAP_BYTES * i;
        boot_put(record, map[i].base, 8);
        boot_put(record + 8, map[i].len, 8);
        boot_put(record + 16, map[i].type, 4);
    }
    entry->eax = 0;
    entry->ebx = info->spa + (uint32_t)at;
}

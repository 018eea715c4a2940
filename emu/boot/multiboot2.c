/* Multiboot 2. Multiboot2 Specification 2.0, 3.1 "OS image format", 3.3 "I386 machine state", 3.6 "Boot information
 * format". No EFI, no framebuffer, no ACPI tables.
 *
 * CHOICE: a relocatable image is loaded where it is linked; it is told so by the load base tag.
 * CHOICE: the command line has the arguments only, as GRUB gives it; Multiboot 1 has the image's name in front. */
#include "emu/boot/boot_priv.h"

#include <string.h>

#define HEADER_MAGIC 0xe85250d6u
#define ENTRY_MAGIC 0x36d76289u
#define SEARCH_BYTES 32768
#define ARCH_I386 0

enum header_tag {
    H_END,
    H_INFO_REQUEST,
    H_ADDRESS,
    H_ENTRY,
    H_CONSOLE,
    H_FRAMEBUFFER,
    H_MODULE_ALIGN,
    H_EFI_SERVICES,
    H_EFI32_ENTRY,
    H_EFI64_ENTRY,
    H_RELOCATABLE
};
#define H_OPTIONAL 1u

enum info_tag {
    I_END,
    I_CMDLINE,
    I_LOADER,
    I_MODULE,
    I_MEMORY,
    I_BOOT_DEVICE,
    I_MMAP,
    I_ACPI_OLD = 14,
    I_ACPI_NEW,
    I_LAST_KNOWN = 21,
    I_LOAD_BASE = 21
};

/* What the tags of a header said. */
struct request {
    bool has_addresses, has_entry, relocatable;
    struct address_fields addresses;
    uint32_t entry;
};

bool multiboot2_find(const struct boot_source *source, size_t *offset)
{
    size_t end = source->kernel_len < SEARCH_BYTES ? source->kernel_len : SEARCH_BYTES;
    for (size_t at = 0; at + 16 <= end; at += 8) {
        const uint8_t *header = source->kernel + at;
        if (boot_get32(header) == HEADER_MAGIC && boot_get32(header) + boot_get32(header + 4) +
                                                          boot_get32(header + 8) +
                                                          boot_get32(header + 12) ==
                                                      0) {
            *offset = at;
            return true;
        }
    }
    return false;
}

static enum pacifica_status malformed(struct boot_plan *plan, const char *what, uint32_t value)
{
    return diag_set(plan->diag, PACIFICA_EFORMAT, plan->source->kernel_name, NULL,
                    "Multiboot 2 header: %s (%u)", what, value);
}

/* The body's size that each tag has at least. */
static uint32_t tag_body_bytes(uint32_t type)
{
    static const uint8_t body[] = {
        [H_ADDRESS] = 16, [H_ENTRY] = 4, [H_CONSOLE] = 4, [H_FRAMEBUFFER] = 12, [H_RELOCATABLE] = 16
    };
    return type < sizeof(body) ? body[type] : 0;
}

/* Information that is asked for must be known; that it exists is not promised. */
static enum pacifica_status check_requests(struct boot_plan *plan, const uint8_t *types,
                                           uint32_t bytes)
{
    for (uint32_t at = 0; at + 4 <= bytes; at += 4)
        if (boot_get32(types + at) > I_LAST_KNOWN)
            return malformed(plan, "it requires information of an unknown type",
                             boot_get32(types + at));
    return PACIFICA_OK;
}

static enum pacifica_status read_tag(struct boot_plan *plan, const uint8_t *tag, uint32_t size,
                                     struct request *request)
{
    uint32_t type = boot_get16(tag);
    bool optional = boot_get16(tag + 2) & H_OPTIONAL;

    if (size - 8 < tag_body_bytes(type))
        return malformed(plan, "a tag is too small for its type", type);
    switch (type) {
    case H_INFO_REQUEST: return optional ? PACIFICA_OK : check_requests(plan, tag + 8, size - 8);
    case H_ADDRESS:
        request->has_addresses = true;
        request->addresses = (struct address_fields){ .header_addr = boot_get32(tag + 8),
                                                      .load_addr = boot_get32(tag + 12),
                                                      .load_end_addr = boot_get32(tag + 16),
                                                      .bss_end_addr = boot_get32(tag + 20) };
        return PACIFICA_OK;
    case H_ENTRY:
        request->has_entry = true;
        request->entry = boot_get32(tag + 8);
        return PACIFICA_OK;
    case H_RELOCATABLE: request->relocatable = true; return PACIFICA_OK;
    case H_CONSOLE: /* bit 0: one of the consoles named must be there */
        optional = optional || !(boot_get32(tag + 8) & 1);
        break;
    case H_MODULE_ALIGN:
    case H_EFI_SERVICES:
    case H_EFI32_ENTRY:
    case H_EFI64_ENTRY:
        return PACIFICA_OK; /* modules are aligned; the others matter to EFI machines only */
    case H_FRAMEBUFFER: break;
    default:
        return optional ? PACIFICA_OK
                        : malformed(plan, "it requires a tag of an unknown type", type);
    }
    if (optional)
        return PACIFICA_OK;
    return diag_set(plan->diag, PACIFICA_EUNSUPPORTED, plan->source->kernel_name,
                    "mark the framebuffer or console tag optional",
                    "the image requires a display: not emulated yet");
}

static enum pacifica_status read_header(struct boot_plan *plan, size_t offset,
                                        struct request *request)
{
    const struct boot_source *source = plan->source;
    const uint8_t *header = source->kernel + offset;
    uint32_t length = boot_get32(header + 8);

    if (boot_get32(header + 4) != ARCH_I386)
        return malformed(plan, "it is for another architecture", boot_get32(header + 4));
    if (length < 16 || length > source->kernel_len - offset)
        return malformed(plan, "its length does not fit the file", length);
    for (uint32_t at = 16; at + 8 <= length;) {
        uint32_t size = boot_get32(header + at + 4);
        if (size < 8 || size > length - at)
            return malformed(plan, "a tag does not fit into it, at offset", at);
        if (boot_get16(header + at) == H_END)
            return PACIFICA_OK;
        enum pacifica_status status = read_tag(plan, header + at, size, request);
        if (status != PACIFICA_OK)
            return status;
        at += (size + 7) & ~7u;
        if (at > length)
            break;
    }
    return malformed(plan, "the end tag is missing; length", length);
}

enum pacifica_status multiboot2_plan(struct boot_plan *plan, size_t offset, bool *relocatable,
                                     struct boot_entry *entry)
{
    struct request request = { 0 };
    struct elf_facts facts = { 0 };
    enum pacifica_status status = read_header(plan, offset, &request);

    entry->protocol = BOOT_MULTIBOOT2;
    *relocatable = request.relocatable;
    if (status != PACIFICA_OK)
        return status;
    if (request.has_addresses && !request.has_entry)
        return malformed(plan, "it has an address tag without an entry address tag", 0);
    if (!request.has_addresses && !elf_image_is_elf(plan->source))
        return malformed(plan, "the image is not ELF and has no address tag", 0);
    status = request.has_addresses ? address_fields_load(plan, offset, &request.addresses)
                                   : elf_image_load(plan, &facts);
    if (status != PACIFICA_OK)
        return status;
    uint64_t eip = request.has_entry ? request.entry : facts.entry;
    entry->eip = (uint32_t)eip;
    return boot_plan_check_entry(plan, eip);
}

/* Append a tag: aligned to 8 bytes, its size without the padding. Returns its body. */
static uint8_t *add_tag(struct boot_info *info, enum info_tag type, size_t body)
{
    size_t at = boot_info_reserve(info, 8 + body, 8);
    boot_put(info->bytes + at, type, 4);
    boot_put(info->bytes + at + 4, 8 + body, 4);
    return info->bytes + at + 8;
}

static void add_string_tag(struct boot_info *info, enum info_tag type, const char *text)
{
    memcpy(add_tag(info, type, strlen(text) + 1), text, strlen(text) + 1);
}

static void add_mmap_tag(const struct boot_plan *plan, struct boot_info *info)
{
    struct boot_region map[BOOT_REGIONS_MAX];
    unsigned regions = boot_memory_map(plan->memory, map);
    uint8_t *body = add_tag(info, I_MMAP, 8 + 24 * regions);
    boot_put(body, 24, 4); /* size of an entry; its version is 0 */
    for (unsigned i = 0; i < regions; i++) {
        boot_put(body + 8 + 24 * i, map[i].base, 8);
        boot_put(body + 16 + 24 * i, map[i].len, 8);
        boot_put(body + 24 + 24 * i, map[i].type, 4);
    }
}

/* Copies of the RSDP: the part that ACPI 1.0 has, and all of it. */
static void add_acpi_tags(const struct boot_plan *plan, struct boot_info *info)
{
    uint8_t rsdp[ACPI_RSDP_BYTES];
    if (!plan->source->rsdp_spa ||
        !phys_read_block(plan->memory, plan->source->rsdp_spa, rsdp, sizeof(rsdp)))
        return;
    memcpy(add_tag(info, I_ACPI_OLD, ACPI_RSDP_OLD_BYTES), rsdp, ACPI_RSDP_OLD_BYTES);
    memcpy(add_tag(info, I_ACPI_NEW, sizeof(rsdp)), rsdp, sizeof(rsdp));
}

void multiboot2_info(const struct boot_plan *plan, struct boot_info *info, bool relocatable,
                     struct boot_entry *entry)
{
    size_t at = boot_info_reserve(info, 8, 8);
    add_string_tag(info, I_CMDLINE, boot_cmdline(plan));
    add_string_tag(info, I_LOADER, BOOT_LOADER_NAME);
    for (size_t i = 0; i < plan->source->module_count; i++) {
        const char *text = boot_module_cmdline(plan, i);
        uint8_t *body = add_tag(info, I_MODULE, 8 + strlen(text) + 1);
        boot_put(body, plan->module_spa[i], 4);
        boot_put(body + 4, plan->module_spa[i] + plan->source->modules[i].len, 4);
        memcpy(body + 8, text, strlen(text) + 1);
    }
    uint8_t *memory = add_tag(info, I_MEMORY, 8);
    boot_put(memory, plan->base_kib, 4); /* KiB below 640 KiB and from 1 MiB */
    boot_put(memory + 4, (plan->low_ram_end - 0x100000) / 1024, 4);
    add_mmap_tag(plan, info);
    add_acpi_tags(plan, info);
    if (relocatable)
        boot_put(add_tag(info, I_LOAD_BASE, 4), plan->image_base, 4);
    (void)add_tag(info, I_END, 0);
    boot_put(info->bytes + at, info->used - at, 4);
    entry->eax = ENTRY_MAGIC;
    entry->ebx = info->spa + (uint32_t)at;
}

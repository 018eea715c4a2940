/* Which protocol an image wants, and the state in which it starts.
 *
 * CHOICE: an image with several headers is started by Multiboot 1, else PVH, else as Linux, else Multiboot 2. Multiboot 1
 * comes first because QEMU tries it first, and images made for QEMU must find what they find there. */
#include "emu/boot/boot_priv.h"

#include <stdlib.h>
#include <string.h>

/* A ROM image: whole blocks of 64 KiB, and a jump (SeaBIOS) or the start of UEFI's reset code 16 bytes before the end. */
static bool is_firmware(const struct boot_source *source)
{
    if (source->kernel_len == 0 || source->kernel_len % 0x10000 != 0)
        return false;
    const uint8_t *reset = source->kernel + source->kernel_len - 16;
    return reset[0] == 0xea || reset[0] == 0xe9 || memcmp(reset, "\x0f\x20\xc0", 3) == 0;
}

/* Nothing that can be started: say what it seems to be. */
static enum pacifica_status refuse(const struct boot_plan *plan)
{
    const struct boot_source *source = plan->source;
    const char *known = "Multiboot 1, Multiboot 2, PVH ELF and Linux images can be started";

    if (source->kernel_len >= 2 && memcmp(source->kernel, "\x1f\x8b", 2) == 0)
        return diag_set(plan->diag, PACIFICA_EFORMAT, source->kernel_name,
                        "unpack it with gunzip first", "the image is compressed with gzip");
    if (elf_image_is_elf(source))
        return diag_set(
            plan->diag, PACIFICA_EFORMAT, source->kernel_name,
            "a Multiboot header must lie in the first 8 KiB of the file (Multiboot 2: 32 KiB)",
            "the ELF image has neither a Multiboot header nor a PVH note");
    if (is_firmware(source))
        return diag_set(plan->diag, PACIFICA_EFORMAT, source->kernel_name, "-bios starts it",
                        "this is firmware, not a kernel");
    return diag_set(plan->diag, PACIFICA_EFORMAT, source->kernel_name, known,
                    source->kernel_len ? "the image is of no known kind" : "the image is empty");
}

enum pacifica_status boot_load(struct memory *memory, const struct boot_source *source,
                               struct boot_entry *entry, struct pacifica_diag *diag)
{
    struct boot_plan plan;
    struct boot_info info = { 0 };
    struct elf_facts facts = { 0 };
    struct boot_entry start = { 0 };
    bool relocatable = false;
    size_t offset;
    enum pacifica_status status = PACIFICA_OK;

    boot_plan_init(&plan, memory, source, diag);
    bool multiboot1 = multiboot1_find(source, &offset);
    if (!multiboot1 && elf_image_is_elf(source))
        status = elf_image_inspect(&plan, &facts);
    if (status != PACIFICA_OK)
        return status;
    if (multiboot1)
        status = multiboot1_plan(&plan, offset, &start);
    else if (facts.has_pvh)
        status = pvh_plan(&plan, &facts, &start);
    else if (linux_find(source))
        status = linux_plan(&plan, &start);
    else if (multiboot2_find(source, &offset))
        status = multiboot2_plan(&plan, offset, &relocatable, &start);
    else
        status = refuse(&plan);
    if (status == PACIFICA_OK && start.protocol != BOOT_LINUX)
        status = boot_plan_modules(&plan);
    if (status == PACIFICA_OK)
        status = boot_plan_info(&plan, &info);
    if (status != PACIFICA_OK)
        return status;
    boot_plan_bios_data(&plan);

    switch (start.protocol) {
    case BOOT_MULTIBOOT1: multiboot1_info(&plan, &info, &start); break;
    case BOOT_PVH: pvh_info(&plan, &info, &start); break;
    case BOOT_MULTIBOOT2: multiboot2_info(&plan, &info, relocatable, &start); break;
    case BOOT_LINUX: linux_info(&plan, &info, &start); break;
    }
    boot_plan_commit(&plan);
    free(info.bytes);
    *entry = start;
    return PACIFICA_OK;
}

/* Linux: flat segments 10h and 18h from a GDT that is there. Its 32-bit entry has paging off, its 64-bit entry finds the
 * first 4 GiB mapped to themselves. */
static void enter_linux(struct vcpu *cpu, const struct boot_entry *entry)
{
    cpu->r[REG_RSI] = entry->esi;
    for (int i = 0; i < SEG_LDTR; i++)
        cpu->regs.seg[i].selector = 0x18;
    cpu->regs.seg[SEG_CS].selector = 0x10;
    cpu->regs.gdtr = (struct table_register){ .base = entry->gdt, .limit = entry->gdt_limit };
    if (!entry->long_mode)
        return;
    cpu->regs.seg[SEG_CS].attr = 0xa9b;
    cpu->regs.cr3 = entry->cr3;
    cpu->regs.cr4 = CR4_PAE;
    cpu->regs.efer = EFER_LME | EFER_LMA;
    cpu->regs.cr0 |= CR0_PG;
}

/* The other protocols agree: 32-bit protected mode with paging off, flat segments, IF and VM clear, A20 open. The
 * caches are on, as firmware leaves them. Tables and the stack are undefined to the image; selectors are those of
 * QEMU's loader. PVH also wants a TSS at 0 with limit 67h. */
void boot_enter(struct vcpu *cpu, const struct boot_entry *entry)
{
    const struct segment code = { .selector = 0x08, .attr = 0xc9b, .limit = UINT32_MAX };
    const struct segment data = { .selector = 0x10, .attr = 0xc93, .limit = UINT32_MAX };

    memset(cpu->r, 0, sizeof(cpu->r));
    cpu->r[REG_RIP] = entry->eip;
    cpu->r[REG_RAX] = entry->eax;
    cpu->r[REG_RBX] = entry->ebx;
    cpu_set_rflags(cpu, 2);
    cpu->regs.cr0 = CR0_PE | CR0_ET;
    cpu->regs.cr3 = cpu->regs.cr4 = cpu->regs.efer = 0;
    cpu->regs.cpl = 0;
    for (int i = 0; i < SEG_LDTR; i++)
        cpu->regs.seg[i] = data;
    cpu->regs.seg[SEG_CS] = code;
    cpu->regs.seg[SEG_TR] = (struct segment){ .attr = 0x08b, .limit = 0x67 };
    cpu->regs.gdtr = cpu->regs.idtr = (struct table_register){ 0 };
    if (entry->protocol == BOOT_LINUX)
        enter_linux(cpu, entry);
    cpu_update_mode(cpu);
}

const char *boot_protocol_name(enum boot_protocol protocol)
{
    static const char *const name[] = { [BOOT_MULTIBOOT1] = "Multiboot 1",
                                        [BOOT_PVH] = "PVH",
                                        [BOOT_MULTIBOOT2] = "Multiboot 2",
                                        [BOOT_LINUX] = "Linux" };
    return name[protocol];
}

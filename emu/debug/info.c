/* The table of what can be told of a processor, and its parser. */
#include "emu/debug/info_priv.h"

#include "emu/base/diag.h"

#include <stdio.h>
#include <string.h>

const struct info_item info_items[] = {
    { "registers", NULL, "general, segment, control and debug registers", info_registers },
    { "fp", NULL, "x87 and vector registers, and what controls them", info_fp },
    { "tlb", NULL, "the entries of the TLB, and its counters", info_tlb },
    { "asids", NULL, "entries and counters of the TLB for each ASID", info_asids },
    { "mtrr", NULL, "MTRRs, PAT registers, memory types of physical ranges", info_mtrr },
    { "walk", "ADDR", "how a linear address is translated, entry by entry", info_walk },
    { "mem", NULL, "the ranges of linear addresses that are mapped, with rights", info_mem },
    { "svm", NULL, "the world it is in, its guest, the last #VMEXIT", info_svm },
    { "vmcb", "[SPA]", "every field of the current VMCB, or of one elsewhere", info_vmcb_fields },
    { "intercepts", NULL, "what the current VMCB intercepts", info_intercepts },
    { "iopm", NULL, "the ports that exit by the current I/O permissions map", info_iopm },
    { "msrpm", NULL, "the MSRs that exit by the current MSR permissions map", info_msrpm },
    { "npt", NULL, "the ranges of guest physical addresses that nested tables map", info_npt },
    { "skinit", NULL, "the last SKINIT, and what a TPM would have measured", info_skinit },
};
const unsigned info_item_count = sizeof(info_items) / sizeof(info_items[0]);

static const struct info_item *find(const char *name, size_t length)
{
    for (unsigned i = 0; i < info_item_count; i++)
        if (strlen(info_items[i].name) == length && memcmp(info_items[i].name, name, length) == 0)
            return &info_items[i];
    return NULL;
}

enum pacifica_status info_write(struct vcpu *cpu, const char *request,
                                const struct pacifica_output *output, struct pacifica_diag *diag)
{
    size_t length = strcspn(request, " :");
    const char *argument = request + length + strspn(request + length, " :");
    const struct info_item *item = find(request, length);
    if (!item)
        return diag_set(diag, PACIFICA_EUSAGE, request,
                        "the list has all items: -info help, or info alone in the monitor",
                        "nothing that can be told");
    if (!item->argument && argument[0])
        return diag_set(diag, PACIFICA_EUSAGE, request, NULL, "'%s' takes no argument", item->name);
    if (item->argument && item->argument[0] != '[' && !argument[0])
        return diag_set(diag, PACIFICA_EUSAGE, request, NULL, "'%s' needs an argument: %s",
                        item->name, item->argument);
    return item->write(cpu, argument, output, diag);
}

void info_list(const struct pacifica_output *output)
{
    for (unsigned i = 0; i < info_item_count; i++) {
        const struct info_item *item = &info_items[i];
        char left[32];
        (void)snprintf(left, sizeof(left), "%s%s%s", item->name, item->argument ? " " : "",
                       item->argument ? item->argument : "");
        output_put(output, "%-12s %s\n", left, item->help);
    }
}

/* --- words ---------------------------------------------------------------------------------- */

const char *info_mode_name(const struct vcpu *cpu)
{
    switch (cpu->mode) {
    case MODE_REAL:
    case MODE_REAL32: return cpu->regs.cr0 & CR0_PG ? "paged real mode" : "real mode";
    case MODE_V86: return "virtual-8086 mode";
    case MODE_PROT16: return "16-bit protected mode";
    case MODE_PROT32: return "32-bit protected mode";
    case MODE_COMPAT16: return "16-bit compatibility mode";
    case MODE_COMPAT32: return "32-bit compatibility mode";
    case MODE_LONG64: break;
    }
    return "64-bit mode";
}

const char *info_paging_name(enum walk_mode mode)
{
    switch (mode) {
    case WALK_NONE: return "no";
    case WALK_32: return "32-bit";
    case WALK_PAE: return "PAE";
    case WALK_4LEVEL: return "4-level";
    case WALK_5LEVEL: break;
    }
    return "5-level";
}

const char *info_page_name(uint64_t bytes)
{
    switch (bytes) {
    case UINT64_C(1) << 12: return "4 KiB";
    case UINT64_C(1) << 21: return "2 MiB";
    case UINT64_C(1) << 22: return "4 MiB";
    default: return "1 GiB";
    }
}

struct walk_regime info_regime(struct vcpu *cpu)
{
    struct walk_regime regime = *mem_regime(cpu);
    regime.cpl = 0;
    regime.smap = false;
    regime.pkru = 0;
    return regime;
}

uint64_t info_entry_bytes(enum walk_mode mode, unsigned level)
{
    if (mode == WALK_32)
        return level == 2 ? UINT64_C(1) << 22 : UINT64_C(1) << 12;
    return UINT64_C(1) << (12 + 9 * (level - 1));
}

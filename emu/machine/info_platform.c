/* What can be told of the machine around its processors: which there are, who answers which address, what devices hold. */
#include "emu/machine/machine.h"

#include "emu/base/diag.h"
#include "emu/base/snap.h"
#include "emu/debug/exit_stats.h"
#include "emu/debug/history.h"
#include "emu/debug/info.h"
#include "emu/debug/info_priv.h"
#include "emu/base/output.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- cpus ------------------------------------------------------------------------------------- */

static const char *doing(const struct vcpu *cpu)
{
    if (cpu->regs.wait_sipi)
        return "waits for a Startup IPI";
    if (cpu->monitor.waiting)
        return "MWAIT";
    if (cpu->regs.halted)
        return "HLT";
    return "runs";
}

static void info_cpus(struct pacifica_machine *machine, unsigned index,
                      const struct pacifica_output *output)
{
    for (unsigned i = 0; i < machine->cpu_count; i++) {
        const struct vcpu *cpu = machine->cpu[i];
        char world[32] = "host";
        if (cpu->svm->guest)
            (void)snprintf(world, sizeof(world), "guest, ASID %u", cpu->svm->asid);
        output_put(output, "%c cpu %u: %s%s, %s, %s, at %04x:%016" PRIx64 ", %" PRIu64 " steps\n",
                   i == index ? '*' : ' ', i, cpu->regs.smm ? "SMM, " : "", doing(cpu),
                   info_mode_name(cpu), world, cpu->regs.seg[SEG_CS].selector, cpu_rip(cpu),
                   vcpu_steps(cpu));
    }
}

/* --- mtree, qtree ------------------------------------------------------------------------------- */

struct place_list {
    const struct pacifica_output *output;
    bool ports; /* what is told of at the moment */
};

static void put_place(void *self, const struct bus_place *place)
{
    const struct place_list *list = self;
    if (place->bytes == 0 || place->ports != list->ports)
        return;
    int digits = place->ports ? 4 : 16;
    output_put(list->output, "%0*" PRIx64 "-%0*" PRIx64 "  %s.%u\n", digits, place->base, digits,
               place->base + place->bytes - 1, place->name, place->instance);
}

static void info_mtree(struct pacifica_machine *machine, unsigned index,
                       const struct pacifica_output *output)
{
    struct pacifica_memory_region region[32];
    struct place_list list = { .output = output };
    (void)index;
    size_t count = pacifica_machine_memory_map(machine, region, sizeof(region) / sizeof(region[0]));
    output_put(output, "memory, which answers before devices\n");
    for (size_t i = 0; i < count && i < sizeof(region) / sizeof(region[0]); i++)
        output_put(output, "%016" PRIx64 "-%016" PRIx64 "  %s\n", region[i].base,
                   region[i].base + region[i].bytes - 1,
                   region[i].kind == PACIFICA_MEMORY_RAM ? "RAM" : "ROM");
    output_put(output, "devices in memory\n");
    bus_places(machine->bus, put_place, &list);
    output_put(output, "ports\n");
    list.ports = true;
    bus_places(machine->bus, put_place, &list);
}

static void put_device(void *self, const struct bus_place *place)
{
    const struct place_list *list = self;
    if (place->bytes == 0)
        output_put(list->output, "%s.%u\n", place->name, place->instance);
    else
        output_put(list->output, "    %s %" PRIx64 "-%" PRIx64 "\n",
                   place->ports ? "ports" : "memory", place->base, place->base + place->bytes - 1);
}

static void info_qtree(struct pacifica_machine *machine, unsigned index,
                       const struct pacifica_output *output)
{
    struct place_list list = { .output = output };
    (void)index;
    bus_places(machine->bus, put_device, &list);
}

/* --- state ---------------------------------------------------------------------------------------- */

/* The members of a section, or of one of several equal parts of it. */
struct member_list {
    const struct pacifica_output *output;
    const char *section;
    long part;         /* -1: all */
    const char *first; /* the name with which every part begins */
    long now;          /* the part that passes */
};

static void put_member(void *self, const struct snap *snap, const char *name, unsigned index,
                       uint64_t value)
{
    struct member_list *list = self;
    if (!snap->section || !name || strcmp(snap->section, list->section) != 0)
        return;
    if (!list->first)
        list->first = name;
    if (index == 0 && strcmp(name, list->first) == 0)
        list->now++;
    if (list->part >= 0 && list->now != list->part)
        return;
    if (index) /* an array goes on */
        output_put(list->output, " %" PRIx64, value);
    else
        output_put(list->output, "\n    %s %" PRIx64, name, value);
}

static void forget_bytes(void *self, const void *bytes, size_t size)
{
    (void)self;
    (void)bytes;
    (void)size;
}

static void put_section(struct pacifica_machine *machine, const char *section, long part,
                        const struct pacifica_output *output)
{
    struct member_list list = { .output = output, .section = section, .part = part, .now = -1 };
    struct snap snap;
    snap_hash(&snap, forget_bytes, NULL);
    snap.tell = put_member;
    snap.tell_self = &list;
    output_put(output, "%s", section);
    bus_state(machine->bus, &snap);
    output_put(output, "\n");
}

static void info_lapic(struct pacifica_machine *machine, unsigned index,
                       const struct pacifica_output *output)
{
    put_section(machine, "lapic", (long)index, output);
}

static void info_pic(struct pacifica_machine *machine, unsigned index,
                     const struct pacifica_output *output)
{
    (void)index;
    put_section(machine, "pic8259", -1, output);
    put_section(machine, "ioapic", -1, output);
}

/* --- what has happened ------------------------------------------------------------------------------ */

/* Remember from the first question on. CHOICE: before that it costs nothing; so `exits`, `changes` and the exceptions of `why`
 * tell what has happened since one of them was first asked for. */
static struct history *remember(struct pacifica_machine *machine)
{
    if (!machine->history)
        machine->history = history_new(&machine->probes);
    if (!machine->exits)
        machine->exits = exit_stats_new(&machine->probes);
    return machine->history;
}

static void info_exits(struct pacifica_machine *machine, unsigned index,
                       const struct pacifica_output *output)
{
    (void)index;
    (void)remember(machine);
    if (machine->exits)
        exit_stats_write(machine->exits, output);
}

static void info_changes(struct pacifica_machine *machine, unsigned index,
                         const struct pacifica_output *output)
{
    const struct history *history = remember(machine);
    if (history)
        history_put_changes(history, machine->cpu[index], output);
}

static void info_why(struct pacifica_machine *machine, unsigned index,
                     const struct pacifica_output *output)
{
    why_write(remember(machine), machine->cpu[index], output);
}

void machine_forget_history(struct pacifica_machine *machine)
{
    history_free(machine->history);
    exit_stats_free(machine->exits);
    machine->history = NULL;
    machine->exits = NULL;
}

/* --- the table -------------------------------------------------------------------------------------- */

static const struct platform_item {
    const char *name, *help;
    void (*write)(struct pacifica_machine *machine, unsigned index,
                  const struct pacifica_output *output);
} items[] = {
    { "cpus", "all processors: mode, world, what they do", info_cpus },
    { "mtree", "who answers which address and port", info_mtree },
    { "qtree", "the devices with their addresses and ports", info_qtree },
    { "lapic", "the state of its local APIC", info_lapic },
    { "pic", "the state of the interrupt controllers", info_pic },
    { "exits", "#VMEXITs by code, since this was first asked for", info_exits },
    { "changes",
      "fields of the VMCB that the last #VMEXIT, or the host before the VMRUN, has changed",
      info_changes },
    { "why", "the last #VMEXIT and exception in words: cause, instruction, walk, rules", info_why },
};
#define ITEMS (sizeof(items) / sizeof(items[0]))

bool machine_info(struct pacifica_machine *machine, unsigned index, const char *request,
                  const struct pacifica_output *output)
{
    for (unsigned i = 0; i < ITEMS; i++) {
        if (strcmp(items[i].name, request) != 0)
            continue;
        items[i].write(machine, index, output);
        return true;
    }
    return false;
}

void machine_info_list(const struct pacifica_output *output)
{
    for (unsigned i = 0; i < ITEMS; i++)
        output_put(output, "%-12s %s\n", items[i].name, items[i].help);
}

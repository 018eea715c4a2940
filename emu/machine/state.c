/* The state of a machine: emu/base/snap.h. RAM and what ROMs hold are no part of it. */
#include "emu/cpu/snap.h"
#include "emu/machine/machine.h"

#define VERSION 1u

static void section_machine(struct pacifica_machine *machine, struct snap *snap)
{
    if (!snap_begin(snap, "machine", 0, VERSION))
        return;
    snap_u64(snap, "random", &machine->random.state);
    SNAP_ALL(snap, machine, gsi_level);
    if (!snap_hashing(snap)) {
        SNAP_BELOW(snap, machine, ended, PACIFICA_STOP_REPLAYED + 1);
        SNAP(snap, machine, exit_value);
        snap_bytes(snap, "watch_text", (uint8_t *)machine->watch_text, sizeof(machine->watch_text));
        machine->watch_text[sizeof(machine->watch_text) - 1] = '\0';
    }
    snap_end(snap);
}

void machine_state(struct pacifica_machine *machine, struct snap *snap)
{
    if (snap_loading(snap))
        clock_clear(&machine->clock);
    else
        group_settle(machine->cpu[0]);
    for (unsigned i = 0; i < machine->cpu_count; i++)
        vcpu_state(machine->cpu[i], snap);
    group_state(machine->cpu[0], snap);
    memory_routes_state(machine->memory, snap);
    section_machine(machine, snap);
    bus_state(machine->bus, snap);
    if (snap_loading(snap))
        group_loaded(machine->cpu[0]);
}

/* What comes from outside. The public functions let it in if it may enter now, and the journal knows of it; the machine_
 * functions do it. */
#include "emu/machine/journal.h"
#include "emu/machine/machine.h"

#include "devices/i8042.h"
#include "devices/virtio_net.h"

/* --- serial lines ------------------------------------------------------------------------------------ */

static size_t line_input(struct pacifica_machine *machine, struct uart *uart, enum input_kind kind,
                         const void *bytes, size_t size)
{
    enum admission admission = journal_admit(machine);
    if (admission != ADMIT || !uart)
        return admission == ADMIT_IGNORE ? size : 0;
    size_t room = uart_input(uart, bytes, size);
    const struct input input = { .kind = kind, .data = bytes, .size = (uint32_t)room };
    if (room)
        journal_note(machine, &input);
    return room;
}

size_t pacifica_machine_serial_input(struct pacifica_machine *machine, const void *bytes,
                                     size_t size)
{
    return line_input(machine, machine->uart, INPUT_SERIAL, bytes, size);
}

size_t pacifica_machine_com2_input(struct pacifica_machine *machine, const void *bytes, size_t size)
{
    return line_input(machine, machine->com2, INPUT_COM2, bytes, size);
}

/* --- network cards ------------------------------------------------------------------------------------ */

bool pacifica_machine_net_input(struct pacifica_machine *machine, unsigned nic, const void *frame,
                                size_t size)
{
    enum admission admission = journal_admit(machine);
    if (admission != ADMIT || nic >= machine->nic_count)
        return admission == ADMIT_IGNORE;
    if (!virtio_net_input(machine->nic[nic], frame, size))
        return false;
    journal_note(machine, &(struct input){ .kind = INPUT_FRAME,
                                           .index = (uint16_t)nic,
                                           .data = frame,
                                           .size = (uint32_t)size });
    return true;
}

/* --- keyboard and mouse ------------------------------------------------------------------------------- */

void pacifica_machine_key(struct pacifica_machine *machine, unsigned usage, bool down)
{
    if (journal_admit(machine) != ADMIT)
        return;
    i8042_key(machine->kbc, usage, down);
    journal_note(machine, &(struct input){ .kind = INPUT_KEY, .a = usage, .b = down });
}

void pacifica_machine_mouse(struct pacifica_machine *machine, int dx, int dy, int dz,
                            unsigned buttons)
{
    if (journal_admit(machine) != ADMIT)
        return;
    i8042_mouse(machine->kbc, dx, dy, dz, (uint8_t)buttons);
    journal_note(machine, &(struct input){ .kind = INPUT_MOUSE,
                                           .a = (uint32_t)dx | (uint64_t)(uint32_t)dy << 32,
                                           .b = (uint32_t)dz | (uint64_t)buttons << 32 });
}

/* --- pins of the processors --------------------------------------------------------------------------- */

enum pacifica_status machine_signal(struct pacifica_machine *machine, unsigned cpu,
                                    enum pacifica_signal signal)
{
    struct vcpu *target = cpu < machine->cpu_count ? machine->cpu[cpu] : NULL;
    if (!target)
        return PACIFICA_EUSAGE;
    switch (signal) {
    case PACIFICA_SIGNAL_NMI: target->pins.nmi = true; break;
    case PACIFICA_SIGNAL_SMI: target->pins.smi = true; break;
    case PACIFICA_SIGNAL_INIT:
        target->pins.init = true;
        target->pins.sipi = false; /* one that came before it has found nobody waiting */
        break;
    case PACIFICA_SIGNAL_MACHINE_CHECK: target->pins.mc = true; break;
    default: return PACIFICA_EUSAGE;
    }
    cpu_attention(target);
    return PACIFICA_OK;
}

/* A debugger's, too: in the past it makes a new future. */
enum pacifica_status pacifica_machine_signal(struct pacifica_machine *machine, unsigned cpu,
                                             enum pacifica_signal signal)
{
    if (journal_admit(machine) == ADMIT_IGNORE)
        return PACIFICA_OK;
    machine_change(machine);
    enum pacifica_status status = machine_signal(machine, cpu, signal);
    if (status == PACIFICA_OK)
        journal_note(
            machine,
            &(struct input){ .kind = INPUT_SIGNAL, .index = (uint16_t)cpu, .a = (uint64_t)signal });
    return status;
}

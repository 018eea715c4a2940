/* Signals from outside the machine to the pins of its processors. */
#include "emu/machine/machine.h"

enum pacifica_status pacifica_machine_signal(struct pacifica_machine *machine, unsigned cpu,
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

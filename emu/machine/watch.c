/* options.stop_on: stopping the machine at events that a hypervisor developer waits for. */
#include "emu/machine/machine.h"

#include "svm/svm.h"

#include <stdio.h>

static void watch_stop(struct pacifica_machine *machine)
{
    vcpu_stop(machine_current(machine), PACIFICA_STOP_WATCH);
}

static void watch_exit(struct pacifica_machine *machine, const struct probe_event *event)
{
    const struct svm_invalid *invalid = &event->cpu->svm->invalid;
    if (event->a == VMEXIT_INVALID && machine->stop_on & PACIFICA_STOP_ON_VMEXIT_INVALID) {
        (void)snprintf(machine->watch_text, sizeof(machine->watch_text), "VMEXIT_INVALID: %s",
                       invalid->rule ? invalid->rule : "a consistency check failed");
        watch_stop(machine);
    } else if (event->a == VMEXIT_SHUTDOWN && machine->stop_on & PACIFICA_STOP_ON_GUEST_SHUTDOWN) {
        (void)snprintf(machine->watch_text, sizeof(machine->watch_text),
                       "VMEXIT_SHUTDOWN: triple fault of the SVM guest");
        watch_stop(machine);
    }
}

static void watch_fire(void *self, const struct probe_event *event)
{
    struct pacifica_machine *machine = self;
    if (event->kind == PROBE_EXIT) {
        watch_exit(machine, event);
        return;
    }
    (void)snprintf(machine->watch_text, sizeof(machine->watch_text), "guest error: %s",
                   event->text);
    watch_stop(machine);
}

void machine_watch(struct pacifica_machine *machine)
{
    machine->watch.self = machine;
    machine->watch.fire = watch_fire;
    machine->watch.decides = true;
    if (machine->stop_on & (PACIFICA_STOP_ON_VMEXIT_INVALID | PACIFICA_STOP_ON_GUEST_SHUTDOWN))
        machine->watch.mask |= 1u << PROBE_EXIT;
    if (machine->stop_on & PACIFICA_STOP_ON_GUEST_ERROR)
        machine->watch.mask |= 1u << PROBE_GUEST_ERROR;
    if (machine->watch.mask)
        probes_attach(&machine->probes, &machine->watch);
}

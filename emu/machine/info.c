/* Telling something of a processor. */
#include "emu/machine/machine.h"

#include "emu/base/diag.h"
#include "emu/cpu/smm.h"
#include "emu/debug/info.h"

enum pacifica_status pacifica_machine_info(struct pacifica_machine *machine, unsigned cpu_index,
                                           const char *request,
                                           const struct pacifica_output *output,
                                           struct pacifica_diag *diag)
{
    if (cpu_index >= machine->cpu_count)
        return diag_set(diag, PACIFICA_EUSAGE, request, NULL, "there is no processor %u",
                        cpu_index);
    /* Memory as this processor sees it, for so long. */
    struct vcpu *cpu = machine->cpu[cpu_index];
    smm_view(cpu);
    enum pacifica_status status = machine_info(machine, cpu_index, request, output)
                                      ? PACIFICA_OK
                                      : info_write(cpu, request, output, diag);
    smm_view(machine_current(machine));
    return status;
}

void pacifica_info_list(const struct pacifica_output *output)
{
    info_list(output);
    machine_info_list(output);
}

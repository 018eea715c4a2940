/* Telling something of a processor. */
#include "emu/machine/machine.h"

#include "emu/base/diag.h"
#include "emu/debug/info.h"

enum pacifica_status pacifica_machine_info(struct pacifica_machine *machine, unsigned cpu_index,
                                           const char *request,
                                           const struct pacifica_output *output,
                                           struct pacifica_diag *diag)
{
    if (cpu_index >= machine->cpu_count)
        return diag_set(diag, PACIFICA_EUSAGE, request, NULL, "there is no processor %u",
                        cpu_index);
    return info_write(machine->cpu[cpu_index], request, output, diag);
}

void pacifica_info_list(const struct pacifica_output *output)
{
    info_list(output);
}

/* The monitor's commands that move the machine in time, and that look back. */
#include "emu/cli/monitor_address.h"
#include "emu/cli/monitor_break.h"
#include "emu/cli/monitor_commands.h"
#include "emu/cli/words.h"

#include "emu/base/diag.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define STEPS_MOST 1000000u

/* The machine is somewhere else: the run has to know, and people. */
static void moved(struct monitor *monitor, const struct pacifica_result *result)
{
    char where[MONITOR_WHERE];
    monitor->wishes->steps = result->steps;
    monitor->wishes->paused = true;
    (void)monitor_where(monitor->machine, monitor->cpu, where);
    monitor_say(monitor, "step %" PRIu64 ", %s\n", result->steps, where);
}

void monitor_step(struct monitor *monitor, const char *argument)
{
    struct pacifica_result result = { .stop = PACIFICA_STOP_STEP };
    uint64_t count = 1;
    char text[MONITOR_STOP_TEXT];
    if (*argument && (!word_number(argument, &count) || count == 0 || count > STEPS_MOST)) {
        monitor_say(monitor, "Error: '%.100s' is no number of steps from 1 to %u\n", argument,
                    STEPS_MOST);
        return;
    }
    for (; count && result.stop == PACIFICA_STOP_STEP; count--)
        pacifica_machine_step(monitor->machine, monitor->cpu,
                              monitor->wishes->steps + 2 * STEPS_MOST, &result);
    if (result.stop != PACIFICA_STOP_STEP) {
        monitor_stop_text(monitor->machine, &result, text);
        monitor_say(monitor, "%s", text);
    }
    moved(monitor, &result);
}

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

/* N, or +N and -N from here. */
static bool take_step(const struct monitor *monitor, const char *text, uint64_t *step)
{
    uint64_t now = monitor->wishes->steps, by;
    if (text[0] != '+' && text[0] != '-')
        return word_number(text, step);
    if (!word_number(text + 1, &by) || (text[0] == '-' && by > now))
        return false;
    *step = text[0] == '-' ? now - by : now + by;
    return true;
}

void monitor_goto(struct monitor *monitor, const char *argument)
{
    struct pacifica_result result = { 0 };
    struct pacifica_diag diag = { 0 };
    uint64_t step;
    if (!take_step(monitor, argument, &step)) {
        monitor_say(monitor, "Error: '%.100s' is no step\n", argument);
        return;
    }
    if (pacifica_travel_goto(monitor->machine, step, &result, &diag) != PACIFICA_OK)
        monitor_complain(monitor, &diag);
    else
        moved(monitor, &result);
}

/* Where the bytes are that `written` asks for: an address, or a field of the current VMCB. */
static bool find_bytes(struct monitor *monitor, const char *text, uint64_t *physical,
                       unsigned *bytes)
{
    struct pacifica_diag diag = { 0 };
    struct monitor_address at;
    uint64_t value, offset = 0, vmcb = 0;
    *bytes = 1;
    enum pacifica_status status = pacifica_machine_vmcb_field(monitor->machine, monitor->cpu, text,
                                                              &value, &offset, bytes, &diag);
    if (status == PACIFICA_OK) {
        (void)monitor_register(monitor->machine, monitor->cpu, "vmcb_pa", &vmcb);
        *physical = vmcb + offset;
        return true;
    }
    if (status == PACIFICA_ERANGE) {
        monitor_complain(monitor, &diag);
        return false;
    }
    *bytes = 1;
    if (!monitor_take_address(monitor, text, PACIFICA_SPACE_LINEAR, &at))
        return false;
    status = pacifica_machine_translate(monitor->machine, monitor->cpu, at.space, at.address,
                                        physical, &diag);
    if (status != PACIFICA_OK)
        monitor_complain(monitor, &diag);
    return status == PACIFICA_OK;
}

void monitor_written(struct monitor *monitor, const char *argument)
{
    struct pacifica_write write;
    struct pacifica_diag diag = { 0 };
    char what[MONITOR_LINE];
    uint64_t physical, size = 0;
    unsigned bytes;
    size_t length = strcspn(argument, " ");
    const char *count = argument + length + strspn(argument + length, " ");
    (void)snprintf(what, sizeof(what), "%.*s", (int)length, argument);
    if (*count && (!word_number(count, &size) || size == 0 || size > 4096)) {
        monitor_say(monitor, "Error: '%.100s' is no number of bytes from 1 to 4096\n", count);
        return;
    }
    if (!find_bytes(monitor, what, &physical, &bytes))
        return;
    if (pacifica_travel_last_write(monitor->machine, physical, size ? (size_t)size : bytes, &write,
                                   &diag) != PACIFICA_OK) {
        monitor_complain(monitor, &diag);
        return;
    }
    monitor_say(monitor,
                "%s (physical 0x%" PRIx64 "): 0x%" PRIx64 " -> 0x%" PRIx64
                "\nwritten by CPU %u [%s] at 0x%" PRIx64 "; 'goto %" PRIu64
                "' leads to before that\n",
                what, physical, write.old_value, write.new_value, write.cpu,
                write.guest ? "guest" : "host", write.rip, write.steps);
}

/* The monitor's commands that explain: why, walk, vmcb, and traces at run time; and Bochs's names for two breaks. */
#include "emu/cli/monitor_address.h"
#include "emu/cli/monitor_break.h"
#include "emu/cli/monitor_commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void tell(struct monitor *monitor, const char *request)
{
    struct pacifica_diag diag = { 0 };
    if (pacifica_machine_info(monitor->machine, monitor->cpu, request, &monitor->output, &diag) !=
        PACIFICA_OK)
        monitor_complain(monitor, &diag);
}

void monitor_why(struct monitor *monitor, const char *argument)
{
    (void)argument;
    tell(monitor, "why");
}

void monitor_walk(struct monitor *monitor, const char *argument)
{
    struct monitor_address at;
    char request[64];
    if (!monitor_take_address(monitor, argument, PACIFICA_SPACE_LINEAR, &at))
        return;
    if (at.space != PACIFICA_SPACE_LINEAR) {
        monitor_say(monitor, "Error: a walk begins at a linear address of what runs now\n");
        return;
    }
    (void)snprintf(request, sizeof(request), "walk 0x%" PRIx64, at.address);
    tell(monitor, request);
}

void monitor_vmcb(struct monitor *monitor, const char *argument)
{
    struct monitor_address at;
    char request[64] = "vmcb";
    if (strcmp(argument, "diff last") == 0 || strcmp(argument, "diff") == 0) {
        tell(monitor, "changes");
        return;
    }
    if (*argument) {
        if (!monitor_take_address(monitor, argument, PACIFICA_SPACE_PHYSICAL, &at))
            return;
        (void)snprintf(request, sizeof(request), "vmcb 0x%" PRIx64, at.address);
    }
    tell(monitor, request);
}

/* --- Bochs's words -------------------------------------------------------------------------------- */

/* One word sets the break, and again takes it away. */
static void toggle(struct monitor *monitor, enum pacifica_break_kind kind, const char *name)
{
    struct monitor_breaks *breaks = &monitor->wishes->breaks;
    char number[16];
    for (unsigned i = 0; i < breaks->count; i++) {
        const struct pacifica_break *set =
            pacifica_break_get(monitor->machine, breaks->of[i].id, NULL);
        if (!set || set->kind != kind || set->number != PACIFICA_ANY ||
            set->cpu != PACIFICA_CPU_ANY)
            continue;
        (void)snprintf(number, sizeof(number), "%u", breaks->of[i].id);
        monitor_delete(monitor, number);
        monitor_say(monitor, "break %s deleted: %s\n", number, name);
        return;
    }
    monitor_break(monitor, name);
}

void monitor_vmexitbp(struct monitor *monitor, const char *argument)
{
    (void)argument;
    toggle(monitor, PACIFICA_BREAK_VMEXIT, "vmexit");
}

void monitor_modebp(struct monitor *monitor, const char *argument)
{
    (void)argument;
    toggle(monitor, PACIFICA_BREAK_MODE, "mode");
}

/* --- traces ------------------------------------------------------------------------------------------ */

void monitor_trace_end(struct monitor_trace *trace)
{
    struct pacifica_diag diag = { 0 };
    pacifica_trace_free(trace->trace);
    if (trace->file.stream && output_close(&trace->file, &diag) != PACIFICA_OK)
        (void)fprintf(stderr, "pacifica: %s: %s\n", diag.where, diag.what);
    *trace = (struct monitor_trace){ .trace = NULL };
}

static enum pacifica_status trace_begin(struct monitor *monitor, const char *events,
                                        const char *file, struct pacifica_diag *diag)
{
    struct monitor_trace *trace = &monitor->wishes->trace;
    enum pacifica_status status =
        *file ? output_open(&trace->file, file, diag) : output_stderr(&trace->file, diag);
    if (status != PACIFICA_OK)
        return status;
    const struct pacifica_trace_options options = { .events = *events ? events : "svm",
                                                    .format = PACIFICA_TRACE_TEXT,
                                                    .output = output_to(&trace->file) };
    return pacifica_trace_attach(monitor->machine, &options, &trace->trace, diag);
}

void monitor_trace(struct monitor *monitor, const char *argument)
{
    struct monitor_trace *trace = &monitor->wishes->trace;
    char word[3][MONITOR_LINE] = { "", "", "" };
    struct pacifica_diag diag = { 0 };
    for (unsigned i = 0; i < 3; i++) {
        size_t length = strcspn(argument, " ");
        (void)snprintf(word[i], MONITOR_LINE, "%.*s", (int)length, argument);
        argument += length + strspn(argument + length, " ");
    }
    bool on = strcmp(word[0], "on") == 0, off = strcmp(word[0], "off") == 0 && !word[1][0];
    if ((!on && !off) || *argument) {
        monitor_say(monitor, "usage: trace on|off [EVENTS] [FILE]\n");
        return;
    }
    monitor_trace_end(trace);
    if (on && trace_begin(monitor, word[1], word[2], &diag) != PACIFICA_OK) {
        monitor_complain(monitor, &diag);
        monitor_trace_end(trace);
    }
}

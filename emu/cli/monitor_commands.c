/* The monitor's commands. */
#include "emu/cli/monitor_break.h"
#include "emu/cli/monitor_commands.h"
#include "emu/cli/monitor_complete.h"
#include "emu/cli/screen.h"
#include "emu/cli/words.h"

#include "emu/base/diag.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ITEMS_TEXT 4096

static const struct command_row {
    const char *name, *other, *arguments;
    command_execute *execute;
    const char *help;
} command_rows[] = {
#define COMMAND(name, other, arguments, handler, help) \
    { name, other, arguments, monitor_##handler, help },
#include "emu/cli/monitor_commands.def"
#undef COMMAND
};
#define COMMAND_ROWS (sizeof(command_rows) / sizeof(command_rows[0]))

void monitor_complain(const struct monitor *monitor, const struct pacifica_diag *diag)
{
    monitor_say(monitor, "Error: %s%s%s%s%s%s\n", diag->where, diag->where[0] ? ": " : "",
                diag->what, diag->hint[0] ? " (" : "", diag->hint, diag->hint[0] ? ")" : "");
}

/* --- finding ------------------------------------------------------------------------------ */

/* The row that `name` means: its whole name or other name, or the beginning of one name alone. NULL, and it is told. */
static const struct command_row *find(const struct monitor *monitor, const char *name)
{
    const struct command_row *found = NULL;
    unsigned count = 0;
    size_t length = strlen(name);
    for (size_t i = 0; i < COMMAND_ROWS; i++) {
        const struct command_row *row = &command_rows[i];
        if (strcmp(row->name, name) == 0 || (row->other && strcmp(row->other, name) == 0))
            return row;
        if (strncmp(row->name, name, length) == 0) {
            found = row;
            count++;
        }
    }
    if (count == 1)
        return found;
    monitor_say(monitor, "%s command: '%s'\n", count ? "ambiguous" : "unknown", name);
    return NULL;
}

static char *skip_blanks(char *text)
{
    return text + strspn(text, " ");
}

/* Whoever stops the machine may want to know what was before: it remembers from then on. */
static void remember(struct monitor *monitor)
{
    struct run_wishes *wishes = monitor->wishes;
    const struct pacifica_output nowhere = { .write = NULL };
    if (wishes->remembers || (!wishes->paused && !wishes->breaks.count))
        return;
    wishes->remembers = true;
    (void)pacifica_machine_info(monitor->machine, monitor->cpu, "changes", &nowhere, NULL);
}

void monitor_execute(struct monitor *monitor, char *line)
{
    char *name = skip_blanks(line);
    for (size_t end = strlen(name); end && name[end - 1] == ' '; end--)
        name[end - 1] = '\0';
    if (!*name)
        return;
    char *argument = name + strcspn(name, " ");
    if (*argument) {
        *argument++ = '\0';
        argument = skip_blanks(argument);
    }
    const struct command_row *row = find(monitor, name);
    if (!row)
        return;
    if (*argument && !row->arguments)
        monitor_say(monitor, "%s takes no arguments\n", row->name);
    else if (!*argument && row->arguments && row->arguments[0] != '[')
        monitor_say(monitor, "usage: %s %s\n", row->name, row->arguments);
    else
        row->execute(monitor, argument);
    remember(monitor);
}

const char *monitor_command(size_t n, const char **arguments)
{
    if (n >= COMMAND_ROWS)
        return NULL;
    *arguments = command_rows[n].arguments;
    return command_rows[n].name;
}

/* --- telling --------------------------------------------------------------------------------- */

static void help_row(const struct monitor *monitor, const struct command_row *row)
{
    monitor_say(monitor, "%s%s%s%s%s -- %s\n", row->name, row->other ? "|" : "",
                row->other ? row->other : "", row->arguments ? " " : "",
                row->arguments ? row->arguments : "", row->help);
}

void monitor_help(struct monitor *monitor, const char *argument)
{
    if (*argument) {
        const struct command_row *row = find(monitor, argument);
        if (row)
            help_row(monitor, row);
        return;
    }
    for (size_t i = 0; i < COMMAND_ROWS; i++)
        help_row(monitor, &command_rows[i]);
}

struct text {
    char bytes[ITEMS_TEXT];
    size_t size;
};

static void keep_text(void *self, const void *bytes, size_t size)
{
    struct text *text = self;
    size_t room = sizeof(text->bytes) - 1 - text->size;
    memcpy(text->bytes + text->size, bytes, size < room ? size : room);
    text->size += size < room ? size : room;
    text->bytes[text->size] = '\0';
}

static void list_items(struct text *text)
{
    static const char own[] =
        "status       does the machine run?\n"
        "version      which Pacifica this is\n"
        "breakpoints  what `break` has set, and how often it stopped the machine\n";
    text->size = 0;
    keep_text(text, own, sizeof(own) - 1);
    pacifica_info_list(&(struct pacifica_output){ .write = keep_text, .self = text });
}

static const char *next_line(const char *line)
{
    line += strcspn(line, "\n");
    return *line ? line + 1 : line;
}

void monitor_items(monitor_word *take, void *self)
{
    struct text items;
    char name[64];
    list_items(&items);
    for (const char *line = items.bytes; *line; line = next_line(line)) {
        (void)snprintf(name, sizeof(name), "%.*s ", (int)strcspn(line, " \n"), line);
        take(self, name);
    }
}

/* The whole name of the item that begins with `name`, if it is only one; else `name`. size: of `whole`, more than that of name. */
static void complete_item(const struct text *items, const char *name, char *whole, size_t size)
{
    unsigned count = 0;
    size_t length = strlen(name);
    (void)snprintf(whole, size, "%s", name);
    for (const char *line = items->bytes; *line; line = next_line(line)) {
        size_t item = strcspn(line, " \n");
        if (strncmp(line, name, length) != 0)
            continue;
        if (item == length || ++count > 1) { /* it is whole, or not alone */
            (void)snprintf(whole, size, "%s", name);
            return;
        }
        (void)snprintf(whole, size, "%.*s", (int)item, line);
    }
}

void monitor_info(struct monitor *monitor, const char *argument)
{
    struct text items;
    char name[MONITOR_LINE], whole[MONITOR_LINE], request[2 * MONITOR_LINE];
    struct pacifica_diag diag = { 0 };
    list_items(&items);
    if (!*argument) {
        for (const char *line = items.bytes; *line; line = next_line(line))
            monitor_say(monitor, "info %.*s", (int)strcspn(line, "\n") + 1, line);
        return;
    }
    size_t length = strcspn(argument, " ");
    (void)snprintf(name, sizeof(name), "%.*s", (int)length, argument);
    complete_item(&items, name, whole, sizeof(whole));
    if (strcmp(whole, "status") == 0) {
        monitor_say(monitor, "VM status: %s\n", monitor->wishes->paused ? "paused" : "running");
        return;
    }
    if (strcmp(whole, "version") == 0) {
        monitor_say(monitor, "pacifica %s\n", pacifica_version());
        return;
    }
    if (strcmp(whole, "breakpoints") == 0) {
        monitor_breaks_list(monitor);
        return;
    }
    (void)snprintf(request, sizeof(request), "%s%s", whole, argument + length);
    if (pacifica_machine_info(monitor->machine, monitor->cpu, request, &monitor->output, &diag) !=
        PACIFICA_OK)
        monitor_complain(monitor, &diag);
}

void monitor_cpu(struct monitor *monitor, const char *argument)
{
    uint64_t number;
    if (!word_number(argument, &number) || number >= monitor->cpus)
        monitor_say(monitor, "Error: there is no processor '%s'\n", argument);
    else
        monitor->cpu = (unsigned)number;
}

void monitor_screendump(struct monitor *monitor, const char *argument)
{
    struct pacifica_diag diag = { 0 };
    if (screen_save(monitor->machine, argument, &diag) != PACIFICA_OK)
        monitor_complain(monitor, &diag);
}

/* --- doing -------------------------------------------------------------------------------------- */

void monitor_stop(struct monitor *monitor, const char *argument)
{
    (void)argument;
    monitor->wishes->paused = true;
}

void monitor_cont(struct monitor *monitor, const char *argument)
{
    (void)argument;
    monitor->wishes->paused = false;
}

void monitor_quit(struct monitor *monitor, const char *argument)
{
    (void)argument;
    monitor->wishes->quit = true;
}

void monitor_system_reset(struct monitor *monitor, const char *argument)
{
    (void)argument;
    monitor->wishes->reset = true;
}

void monitor_nmi(struct monitor *monitor, const char *argument)
{
    (void)argument;
    for (unsigned i = 0; i < monitor->cpus; i++)
        (void)pacifica_machine_signal(monitor->machine, i, PACIFICA_SIGNAL_NMI);
}

void monitor_sendkey(struct monitor *monitor, const char *argument)
{
    struct pacifica_diag diag = { 0 };
    if (keys_chord(&monitor->wishes->keys, argument, &diag) != PACIFICA_OK)
        monitor_complain(monitor, &diag);
}

/* A decimal number from -4096 to 4096, and where it ends; false: there is none. */
static bool take_count(const char **text, int *count)
{
    char *end;
    long value = strtol(*text, &end, 10);
    if (end == *text || (*end && *end != ' ') || value < -4096 || value > 4096)
        return false;
    *count = (int)value;
    *text = end + strspn(end, " ");
    return true;
}

void monitor_mouse_move(struct monitor *monitor, const char *argument)
{
    int dx, dy, dz = 0;
    const char *rest = argument;
    if (take_count(&rest, &dx) && take_count(&rest, &dy) && (!*rest || take_count(&rest, &dz)) &&
        !*rest)
        pacifica_machine_mouse(monitor->machine, dx, -dy, dz, monitor->wishes->buttons);
    else
        monitor_say(monitor, "Error: '%s' is no movement\n", argument);
}

void monitor_mouse_button(struct monitor *monitor, const char *argument)
{
    uint64_t number;
    if (!word_number(argument, &number) || number > 7) {
        monitor_say(monitor, "Error: '%s' are no buttons\n", argument);
        return;
    }
    /* QEMU's monitor has the middle button in bit 1, the mouse in bit 2. */
    monitor->wishes->buttons = (unsigned)((number & 1) | (number & 2) << 1 | (number & 4) >> 1);
    pacifica_machine_mouse(monitor->machine, 0, 0, 0, monitor->wishes->buttons);
}

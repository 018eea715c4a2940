/* What people type on its way to the guest's serial lines and to monitors. */
#include "emu/cli/console.h"

#include "emu/cli/monitor_break.h"
#include "emu/cli/monitor_complete.h"

#include <poll.h>
#include <unistd.h>

#define CTRL_A 1

/* --- wiring ------------------------------------------------------------------------------- */

static struct console_line *add_line(struct console *console, const struct cli_chardev *chardev,
                                     const struct endpoint *endpoint)
{
    struct console_line *line = &console->line[console->count++];
    *line = (struct console_line){ .link = endpoint->link,
                                   .open = endpoint->link || chardev->kind == CHARDEV_STDIO };
    return line;
}

static void begin_monitor(struct console *console, struct console_line *line, struct endpoint *said,
                          const struct session *session)
{
    line->said = said;
    line->monitored = true;
    line->monitor = (struct monitor){ .machine = console->machine,
                                      .wishes = &console->wishes,
                                      .output = endpoint_output(said),
                                      .echo = !line->link && terminal_there(),
                                      .cpus = session->options->cpus };
    if (line->monitor.echo && isatty(STDOUT_FILENO) == 1)
        line->monitor.editor =
            line_editor_new(MONITOR_PROMPT, &line->monitor.output, monitor_complete);
}

/* CHOICE: a line that both share is the serial line's first, unless `-monitor stdio` asks for the monitor. */
static bool begins_at_monitor(const struct console_line *line, const struct cli_options *o)
{
    return line->monitored && (!line->serial || (o->monitor.kind == CHARDEV_STDIO && !line->link));
}

static void begin_input(struct console *console, struct console_line *line,
                        const struct cli_options *o)
{
    if (!line->link) {
        struct cli_chardev serial = cli_serial(o, line->port), monitor = cli_monitor(o);
        bool both = line->serial && line->monitored;
        bool keys =
            both || (line->serial && serial.no_signals) || (line->monitored && monitor.no_signals);
        terminal_begin(&console->terminal, !keys);
    }
    line->at_monitor = begins_at_monitor(line, o);
    if (line->at_monitor && !line->link)
        monitor_greet(&line->monitor);
    if (line->monitored)
        endpoint_flush(line->said);
}

/* -magic-break, as if somebody had asked for it at a monitor. */
static void break_at_magic(struct console *console)
{
    struct monitor_breaks *breaks = &console->wishes.breaks;
    struct pacifica_break magic = PACIFICA_BREAK_INIT;
    struct pacifica_diag diag = { 0 };
    magic.kind = PACIFICA_BREAK_MAGIC;
    if (pacifica_break_add(console->machine, &magic, &breaks->of[breaks->count].id, &diag) ==
        PACIFICA_OK)
        breaks->of[breaks->count++].by = NULL;
    else
        cli_complain(&diag);
}

void console_begin(struct console *console, struct session *session, struct window *window)
{
    const struct cli_options *o = session->options;
    int shared = cli_monitor_port(o);
    struct cli_chardev monitor = cli_monitor(o);
    *console = (struct console){ .machine = session->machine,
                                 .window = window,
                                 .gdb = session->gdb,
                                 .wishes = { .paused = o->frozen } };
    if (o->magic_break)
        break_at_magic(console);
    gdb_begin(console->gdb, &console->wishes);
    for (unsigned i = 0; i < CLI_SERIALS; i++) {
        struct cli_chardev serial = cli_serial(o, i);
        struct console_line *line = add_line(console, &serial, &session->serial[i]);
        line->serial = true;
        line->port = i;
        if ((int)i == shared)
            begin_monitor(console, line, &session->serial[i], session);
        if (!line->open)
            console->count--;
    }
    if (shared < 0 && (monitor.kind == CHARDEV_STDIO || session->monitor.link))
        begin_monitor(console, add_line(console, &monitor, &session->monitor), &session->monitor,
                      session);
    for (unsigned i = 0; i < console->count; i++)
        begin_input(console, &console->line[i], o);
}

void console_end(struct console *console)
{
    monitor_trace_end(&console->wishes.trace);
    for (unsigned i = 0; i < console->count; i++) {
        if (console->line[i].monitored)
            endpoint_flush(console->line[i].said);
        line_editor_free(console->line[i].monitor.editor);
    }
    terminal_end(&console->terminal);
}

/* --- reading ------------------------------------------------------------------------------ */

static bool ready(int wait_ms)
{
    struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
    return poll(&input, 1, wait_ms) > 0;
}

/* Read what is there. */
static void fill_line(struct console_line *line)
{
    line->first = 0;
    if (line->link) {
        line->count = link_read(line->link, line->bytes, sizeof(line->bytes));
        line->open = link_is_open(line->link);
    } else if (ready(0)) {
        ssize_t got = read(STDIN_FILENO, line->bytes, sizeof(line->bytes));
        line->open = got > 0;
        line->count = got > 0 ? (size_t)got : 0;
    }
    if (line->link && link_fresh(line->link) && line->at_monitor) {
        line->monitor.greeted = false;
        line->monitor.length = 0;
        monitor_greet(&line->monitor);
    }
}

static void help_escapes(const struct monitor *monitor)
{
    monitor_say(monitor, "\nC-a h    print this help\n"
                         "C-a x    end the run\n"
                         "C-a c    switch between the serial line and the monitor\n"
                         "C-a C-a  send C-a\n");
}

static void switch_line(struct console_line *line)
{
    line->at_monitor = !line->at_monitor;
    monitor_say(&line->monitor, "\n");
    if (line->at_monitor)
        monitor_greet(&line->monitor);
}

/* The byte behind Ctrl-A, if it is not another one. */
static void escaped(struct console_line *line, uint8_t byte)
{
    struct monitor *monitor = &line->monitor;
    switch (byte) {
    case 'h':
    case '?': help_escapes(monitor); break;
    case 'c': switch_line(line); break;
    case 'x':
        monitor_say(monitor, "\npacifica: terminated\n");
        monitor->wishes->quit = true;
        break;
    default: break;
    }
}

/* Take one byte; false: it has no room yet. */
static bool take_byte(struct console *console, struct console_line *line, uint8_t byte)
{
    bool taken = true;
    if (line->escape && byte != CTRL_A) {
        line->escape = false;
        escaped(line, byte);
        return true;
    }
    if (!line->escape && byte == CTRL_A && line->serial && line->monitored) {
        line->escape = true;
        return true;
    }
    if (line->at_monitor)
        monitor_byte(&line->monitor, byte);
    else if (line->port == 0)
        taken = pacifica_machine_serial_input(console->machine, &byte, 1) == 1;
    else
        taken = pacifica_machine_com2_input(console->machine, &byte, 1) == 1;
    if (taken)
        line->escape = false;
    return taken;
}

static void feed_line(struct console *console, struct console_line *line)
{
    const struct run_wishes *wishes = &console->wishes;
    if (line->count == 0 && line->open)
        fill_line(line);
    /* What stands behind a reset is for the machine after it. */
    while (line->count && !wishes->quit && !wishes->reset &&
           take_byte(console, line, line->bytes[line->first])) {
        line->first++;
        line->count--;
    }
    if (line->monitored)
        endpoint_flush(line->said);
}

void console_feed(struct console *console)
{
    gdb_feed(console->gdb);
    bool anybody = console->window != NULL || gdb_is_open(console->gdb);
    if (console->window && !window_look(console->window))
        console->wishes.quit = true;
    if (!console->wishes.paused)
        keys_feed(&console->wishes.keys, console->machine);
    for (unsigned i = 0; i < console->count; i++) {
        const struct console_line *line = &console->line[i];
        feed_line(console, &console->line[i]);
        anybody = anybody || (line->monitored && (line->open || line->count));
    }
    output_flush(&console->wishes.trace.file);
    /* Nobody is left who could let it go on. */
    if (console->wishes.paused && !anybody)
        console->wishes.quit = true;
}

/* --- stopping ----------------------------------------------------------------------------- */

/* Everybody who is at a monitor reads it. */
static void tell_monitors(struct console *console, const struct pacifica_result *result)
{
    char text[MONITOR_STOP_TEXT];
    monitor_stop_text(console->machine, result, text);
    for (unsigned i = 0; i < console->count; i++) {
        struct console_line *line = &console->line[i];
        if (!line->monitored)
            continue;
        monitor_tell(&line->monitor, text);
        endpoint_flush(line->said);
    }
}

bool console_holds(struct console *console, const struct pacifica_result *result)
{
    bool asked = result->stop == PACIFICA_STOP_BREAK || result->stop == PACIFICA_STOP_STEP ||
                 result->stop == PACIFICA_STOP_BEGINNING;
    bool told = gdb_stopped(console->gdb, result);
    if (!asked && !told)
        return false;
    console->wishes.paused = true;
    if (result->stop == PACIFICA_STOP_BREAK && !told)
        tell_monitors(console, result);
    return true;
}

/* --- waiting ------------------------------------------------------------------------------ */

bool console_may_wake(const struct console *console)
{
    if (console->wishes.keys.count || console->window)
        return true;
    for (unsigned i = 0; i < console->count; i++) {
        const struct console_line *line = &console->line[i];
        if (line->at_monitor ? line->open
                             : line->serial && (line->open || line->count) &&
                                   pacifica_machine_wants_input(console->machine))
            return true;
    }
    return false;
}

void console_wait(const struct console *console, unsigned most_ms)
{
    struct pollfd inputs[CONSOLE_LINES + GDB_POLLS];
    nfds_t count = gdb_polls(console->gdb, inputs);
    for (unsigned i = 0; i < console->count; i++) {
        const struct console_line *line = &console->line[i];
        if (line->open && line->count == 0)
            inputs[count++] =
                (struct pollfd){ .fd = line->link ? link_poll_fd(line->link) : STDIN_FILENO,
                                 .events = POLLIN };
    }
    if (console->window && most_ms > WINDOW_LOOK_MS)
        most_ms = WINDOW_LOOK_MS;
    (void)poll(inputs, count, (int)most_ms);
}

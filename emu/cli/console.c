/* What people type on its way to the guest's serial lines and to monitors. */
#include "emu/cli/console.h"

#include <poll.h>
#include <unistd.h>

#define CTRL_A 1

/* --- wiring ------------------------------------------------------------------------------- */

static void begin_monitor(struct console *console, struct console_line *line,
                          const struct session *session)
{
    output_stdout(&line->said);
    line->monitored = true;
    line->monitor = (struct monitor){ .machine = console->machine,
                                      .wishes = &console->wishes,
                                      .output = output_to(&line->said),
                                      .echo = terminal_there(),
                                      .cpus = session->options->cpus };
}

void console_begin(struct console *console, struct session *session)
{
    struct cli_chardev serial = cli_serial(session->options);
    struct cli_chardev monitor = cli_monitor(session->options);
    struct console_line *line = &console->line;
    *console = (struct console){ .machine = session->machine };
    line->serial = serial.kind == CHARDEV_STDIO;
    if (monitor.kind == CHARDEV_STDIO)
        begin_monitor(console, line, session);
    line->open = line->serial || line->monitored;
    if (!line->open)
        return;
    /* CHOICE: a line that both share is the serial line's first, unless `-monitor stdio` asks for the monitor. */
    line->at_monitor =
        line->monitored && (!line->serial || session->options->monitor.kind == CHARDEV_STDIO);
    bool both = line->serial && line->monitored;
    terminal_begin(&console->terminal, !both && !serial.no_signals && !monitor.no_signals);
    if (line->at_monitor)
        monitor_greet(&line->monitor);
    output_flush(&line->said);
}

void console_end(struct console *console)
{
    output_flush(&console->line.said);
    terminal_end(&console->terminal);
}

/* --- reading ------------------------------------------------------------------------------ */

static bool ready(int wait_ms)
{
    struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
    return poll(&input, 1, wait_ms) > 0;
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
    else
        taken = pacifica_machine_serial_input(console->machine, &byte, 1) == 1;
    if (taken)
        line->escape = false;
    return taken;
}

static void feed_line(struct console *console, struct console_line *line)
{
    const struct run_wishes *wishes = &console->wishes;
    if (line->count == 0 && line->open && ready(0)) {
        ssize_t got = read(STDIN_FILENO, line->bytes, sizeof(line->bytes));
        line->open = got > 0;
        line->first = 0;
        line->count = got > 0 ? (size_t)got : 0;
    }
    /* What stands behind a reset is for the machine after it. */
    while (line->count && !wishes->quit && !wishes->reset &&
           take_byte(console, line, line->bytes[line->first])) {
        line->first++;
        line->count--;
    }
    if (line->monitored)
        output_flush(&line->said);
}

void console_feed(struct console *console)
{
    keys_feed(&console->wishes.keys, console->machine);
    feed_line(console, &console->line);
    /* Nobody is left who could let it go on. */
    if (console->wishes.paused && !console->line.open && console->line.count == 0)
        console->wishes.quit = true;
}

/* --- waiting ------------------------------------------------------------------------------ */

bool console_may_wake(const struct console *console)
{
    const struct console_line *line = &console->line;
    if (console->wishes.keys.count)
        return true;
    if (line->at_monitor)
        return line->open;
    return line->serial && (line->open || line->count) &&
           pacifica_machine_wants_input(console->machine);
}

void console_wait(const struct console *console, unsigned most_ms)
{
    if (console->line.open && console->line.count == 0)
        (void)ready((int)most_ms);
    else
        (void)poll(NULL, 0, (int)most_ms);
}

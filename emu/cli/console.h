/* What people type on its way to the guest's serial lines and to monitors. */
#ifndef EMU_CLI_CONSOLE_H
#define EMU_CLI_CONSOLE_H

#include "emu/cli/monitor.h"
#include "emu/cli/session.h"
#include "emu/cli/terminal.h"
#include "emu/cli/window.h"

#define CONSOLE_BYTES 512
#define CONSOLE_MOMENT_MS 50

#define CONSOLE_LINES (CLI_SERIALS + 1)

/* A source of bytes. Invariant: bytes[first..first + count) were read and have not found room where they go. */
struct console_line {
    struct link *link;      /* NULL: standard input */
    bool serial, monitored; /* it feeds `port`; it feeds `monitor` */
    unsigned port;          /* 0: COM1, 1: COM2 */
    bool at_monitor;        /* of the two, it feeds the monitor now */
    bool escape;            /* Ctrl-A was typed on a line that feeds both */
    bool open;              /* its end was not seen */
    struct monitor monitor;
    struct endpoint *said; /* where the monitor's output goes */
    size_t first, count;
    uint8_t bytes[CONSOLE_BYTES];
};

struct console {
    struct pacifica_machine *machine;
    struct window *window; /* NULL: there is none */
    struct gdb *gdb;       /* NULL likewise */
    struct terminal terminal;
    struct console_line line[CONSOLE_LINES];
    unsigned count;
    struct run_wishes wishes;
};

/* Begin to read; `window` may be NULL. A terminal gives its keys at once and unechoed from now on. If it feeds serial line and monitor, Ctrl-C goes
 * there, too; else it still interrupts. */
void console_begin(struct console *console, struct session *session, struct window *window);
void console_end(struct console *console);

/* Hand on what arrived; never waits. CHOICE: input is looked at between slices of the run only, so a run
 * whose input is empty, or a file, is the same every time. */
void console_feed(struct console *console);

/* The machine has stopped at a break, a step, or for good: whoever debugs it is told, and it stands still. False: nobody does, and
 * it did not stop at something that was asked for. */
bool console_holds(struct console *console, const struct pacifica_result *result);

/* The machine is halted and nothing inside will wake it: may something from outside? */
bool console_may_wake(const struct console *console);

/* Wait until something arrived, but not longer. */
void console_wait(const struct console *console, unsigned most_ms);

#endif

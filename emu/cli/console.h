/* Standard input on its way to the guest's serial line. */
#ifndef EMU_CLI_CONSOLE_H
#define EMU_CLI_CONSOLE_H

#include <pacifica/pacifica.h>

#include <termios.h>

#define CONSOLE_BYTES 512

/* Invariant: bytes[first..first + count) were read and have not found room in the UART. */
struct console {
    bool open;  /* the end of standard input was not seen */
    bool saved; /* `before` is to be restored */
    struct termios before;
    size_t first, count;
    uint8_t bytes[CONSOLE_BYTES];
};

/* Begin to read. A terminal gives its keys at once and unechoed from now on; Ctrl-C still interrupts. */
void console_begin(struct console *console);
void console_end(struct console *console);

/* Hand what arrived to the machine; never waits. CHOICE: input is looked at between slices of the run only, so a run
 * whose input is empty, or a file, is the same every time. */
void console_feed(struct console *console, struct pacifica_machine *machine);

/* Wait until something arrived, but not longer than a moment. */
void console_wait(const struct console *console);

#endif

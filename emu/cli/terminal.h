/* The terminal at standard input. */
#ifndef EMU_CLI_TERMINAL_H
#define EMU_CLI_TERMINAL_H

#include <stdbool.h>
#include <termios.h>

struct terminal {
    bool saved; /* `before` is to be restored */
    struct termios before;
};

/* Is standard input one? */
bool terminal_there(void);

/* If it is, let it give its keys at once and unechoed; signals: Ctrl-C and its kin still raise them. */
void terminal_begin(struct terminal *terminal, bool signals);

/* Leave it as it was. May be called twice, and without terminal_begin() on a zeroed struct. */
void terminal_end(struct terminal *terminal);

#endif

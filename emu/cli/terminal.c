/* The terminal at standard input. */
#include "emu/cli/terminal.h"

#include <unistd.h>

bool terminal_there(void)
{
    return isatty(STDIN_FILENO) == 1;
}

void terminal_begin(struct terminal *terminal, bool signals)
{
    terminal->saved = false;
    if (!terminal_there() || tcgetattr(STDIN_FILENO, &terminal->before) != 0)
        return;
    struct termios raw = terminal->before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | IEXTEN);
    if (!signals)
        raw.c_lflag &= ~(tcflag_t)ISIG;
    raw.c_iflag &= ~(tcflag_t)(ICRNL | INLCR | IGNCR | IXON);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    terminal->saved = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

void terminal_end(struct terminal *terminal)
{
    if (terminal->saved)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &terminal->before);
    terminal->saved = false;
}

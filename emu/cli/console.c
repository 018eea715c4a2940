/* Standard input on its way to the guest's serial line. */
#include "emu/cli/console.h"

#include <poll.h>
#include <unistd.h>

#define MOMENT_MS 50

void console_begin(struct console *console)
{
    *console = (struct console){ .open = true };
    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &console->before) != 0)
        return;
    struct termios raw = console->before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | IEXTEN);
    raw.c_iflag &= ~(tcflag_t)(ICRNL | INLCR | IXON);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    console->saved = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

void console_end(struct console *console)
{
    if (console->saved)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &console->before);
    console->saved = false;
}

static bool ready(int wait_ms)
{
    struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
    return poll(&input, 1, wait_ms) > 0;
}

void console_feed(struct console *console, struct pacifica_machine *machine)
{
    if (console->count == 0 && console->open && ready(0)) {
        ssize_t got = read(STDIN_FILENO, console->bytes, sizeof(console->bytes));
        console->open = got > 0;
        console->first = 0;
        console->count = got > 0 ? (size_t)got : 0;
    }
    if (console->count == 0)
        return;
    size_t taken =
        pacifica_machine_serial_input(machine, console->bytes + console->first, console->count);
    console->first += taken;
    console->count -= taken;
}

void console_wait(const struct console *console)
{
    if (console->count == 0)
        (void)ready(MOMENT_MS);
}

/* What the files with the monitor's commands share. */
#ifndef EMU_CLI_MONITOR_COMMANDS_H
#define EMU_CLI_MONITOR_COMMANDS_H

#include "emu/cli/monitor.h"

/* Execute a command; `argument` is empty if there is none. */
typedef void command_execute(struct monitor *monitor, const char *argument);

#define COMMAND(name, other, arguments, handler, help) command_execute monitor_##handler;
#include "emu/cli/monitor_commands.def"
#undef COMMAND

/* Say why something was not done. */
void monitor_complain(const struct monitor *monitor, const struct pacifica_diag *diag);

#endif

/* Stops that people ask monitors for, and words about stops. */
#ifndef EMU_CLI_MONITOR_BREAK_H
#define EMU_CLI_MONITOR_BREAK_H

#include "emu/cli/monitor.h"

#define MONITOR_STOP_TEXT 640

/* What a person wants to know of a stop, in lines; empty if there is nothing to say. text: room for MONITOR_STOP_TEXT. */
void monitor_stop_text(struct pacifica_machine *machine, const struct pacifica_result *result,
                       char *text);

/* Take away the breaks that this monitor has set. */
void monitor_breaks_forget(const struct monitor *monitor);

/* `info breakpoints`. */
void monitor_breaks_list(const struct monitor *monitor);

/* Where a processor is: "CPU 0 [guest ASID 1] at 0x1000". Returns the length. */
#define MONITOR_WHERE 96
int monitor_where(struct pacifica_machine *machine, unsigned cpu, char *text);

/* The value of a register by the library's name; false: there is none, or it has more than 64 bits. */
bool monitor_register(struct pacifica_machine *machine, unsigned cpu, const char *name,
                      uint64_t *value);

#endif

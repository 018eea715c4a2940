/* The breaks of a machine: what pacifica_break_add() names, and how the run loop finds out.
 *
 * machine->breaks is NULL until the first is added. Each kind costs what it needs: EXECUTE, that the linear pages which hold
 * one are executed instruction by instruction; WRITE, that writes to the pages that hold such bytes take the slow path;
 * READ and ACCESS, that reads there do too; the others, a probe client. With none nothing is attached. */
#ifndef EMU_MACHINE_BREAKS_H
#define EMU_MACHINE_BREAKS_H

#include <pacifica/pacifica.h>

struct run_limits;

/* Round run_vcpu(): fill limits->watch. Returns true if a break was met since the last run (by a device between two
 * runs, or in the step that ended it otherwise), so that this one ends at once with STOP_BREAK. */
bool machine_breaks_begin(struct pacifica_machine *machine, struct run_limits *limits);

/* The run loop said STOP_BREAK. False: it was nothing, run on. */
bool machine_breaks_settle(struct pacifica_machine *machine);
void machine_breaks_end(struct pacifica_machine *machine);

/* A processor has taken the step that was asked for: it is seen where it stands, and a break there is not met. */
void machine_breaks_stepped(struct pacifica_machine *machine, unsigned cpu);

/* STOP_BREAK: which, and say what in result->diag. */
void machine_breaks_say(struct pacifica_machine *machine, unsigned id); /* it was this one */
void machine_breaks_tell(const struct pacifica_machine *machine, struct pacifica_result *result);

/* Registers or memory were changed by other means than by running or by a debugger's writes: a checkpoint was loaded, the
 * machine was reset. What is watched now holds its old values; what was met and not told is forgotten, and so is where
 * processors stood at a break. */
void machine_breaks_refresh(struct pacifica_machine *machine);

/* While held, breaks stop no run and count no hits. At the end of it machine_breaks_refresh() is done. */
void machine_breaks_hold(struct pacifica_machine *machine, bool hold);

/* Round a debugger's writes to memory, which are not what WRITE waits for. */
void machine_breaks_quiet(struct pacifica_machine *machine, bool quiet);

/* All breaks go. */
void machine_breaks_free(struct pacifica_machine *machine);

#endif

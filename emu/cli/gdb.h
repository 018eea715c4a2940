/* The GDB stub: a debugger at the other end of a line drives the machine. */
#ifndef EMU_CLI_GDB_H
#define EMU_CLI_GDB_H

#include "emu/cli/monitor.h"
#include "emu/cli/options.h"

#include <poll.h>

struct gdb;

#define GDB_POLLS 2 /* what gdb_polls() fills at most */

/* Open the line that the options name, and say where it is. PACIFICA_OK: *gdb is to be given back with gdb_close(), or NULL if no
 * debugger is wanted. Else `diag` says why. The options and the machine must outlive it. */
enum pacifica_status gdb_open(struct gdb **gdb, const struct cli_options *options,
                              struct pacifica_machine *machine, struct pacifica_diag *diag);
void gdb_close(struct gdb *gdb);

/* In the functions below `gdb` may be NULL: there is no stub then, and nothing happens. */

/* From now on the run heeds `wishes`. */
void gdb_begin(struct gdb *gdb, struct run_wishes *wishes);

/* Take and answer what has arrived; never waits. */
void gdb_feed(struct gdb *gdb);

/* What poll() is to look at. Returns how many entries were filled. */
unsigned gdb_polls(const struct gdb *gdb, struct pollfd *polls);

/* May somebody come who lets the machine go on? And is somebody there? */
bool gdb_is_open(const struct gdb *gdb);
bool gdb_is_attached(const struct gdb *gdb);

/* Run the machine if it is to go a step, or backwards. False: it is to run as always, and has not. */
bool gdb_run(struct gdb *gdb, const struct pacifica_limits *limits, struct pacifica_result *result);

/* The machine has stopped, and wishes->paused is set: the debugger is told. Returns false if there is none. */
bool gdb_stopped(struct gdb *gdb, const struct pacifica_result *result);

/* The run is over, with this status of the program or by this signal (else 0). */
void gdb_ended(struct gdb *gdb, int status, int signal);

#endif

/* One run of the program: files, machine, traces. */
#ifndef EMU_CLI_SESSION_H
#define EMU_CLI_SESSION_H

#include "emu/cli/disk.h"
#include "emu/cli/endpoint.h"
#include "emu/cli/gdb.h"
#include "emu/cli/net.h"
#include "emu/cli/options.h"

/* Exit statuses. Odd ones are the guest's. */
enum cli_status {
    CLI_STATUS_OK = 0,
    CLI_STATUS_USAGE = 2,
    CLI_STATUS_LIMIT = 4,
    CLI_STATUS_UNIMPLEMENTED = 6,
    CLI_STATUS_SHUTDOWN = 8,
    CLI_STATUS_STOP_ON = 10 /* CHOICE: a number of its own, for scripts that wait for an event */
};

/* Invariant: all zero, or filled by session_begin(); session_end() takes any state between. */
struct session {
    const struct cli_options *options;
    struct pacifica_bytes kernel, rom[CLI_ROMS], module[CLI_MODULES], fw_cfg[CLI_FW_CFG], vga_bios;
    struct pacifica_module module_for_library[CLI_MODULES]; /* the machine borrows it */
    struct endpoint serial[CLI_SERIALS], debugcon[CLI_DEVICES];
    struct endpoint monitor; /* nowhere if it is behind a serial line */
    struct gdb *gdb;         /* NULL: no debugger is wanted */
    struct output_file log, trace, record;
    struct pacifica_bytes replay; /* the machine borrows it */
    bool travel_told;             /* that going back has ended */
    struct disk_file disk[CLI_DRIVES];
    struct nets nets;
    struct pacifica_machine *machine;
    struct pacifica_trace *log_client, *trace_client;
    struct pacifica_exit_stats *stats;
    bool screendump_done[CLI_SCREENDUMPS], savevm_done[CLI_SCREENDUMPS], screendump_failed;
};

/* Read the files, make the machine, load the kernel, attach the traces. Statuses as those of the library;
 * session_end() is needed in any case. */
enum pacifica_status session_begin(struct session *session, const struct cli_options *options,
                                   struct pacifica_diag *diag);

/* Close and free everything. PACIFICA_EIO: some output could not be written. */
enum pacifica_status session_end(struct session *session, struct pacifica_diag *diag);

/* Hand on all output that is buffered. */
void session_flush(struct session *session);

/* Run to the end and print what the options want printed then. Returns the exit status; *signal is the signal that
 * ended the run, or 0. */
int session_run(struct session *session, int *signal);

/* Print a diagnostic as the one line that the user gets. */
void cli_complain(const struct pacifica_diag *diag);

/* The demonstration hypervisor built into the program; size 0: it could not be built. demo.cmake makes it. */
struct pacifica_bytes cli_demo(void);

#endif

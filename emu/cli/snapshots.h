/* Snapshots in files. */
#ifndef EMU_CLI_SNAPSHOTS_H
#define EMU_CLI_SNAPSHOTS_H

#include <pacifica/pacifica.h>

#define FILE_SNAPSHOT_MOST (UINT64_C(1) << 40)

/* Save the machine: `path` is there when all of it is written, and what was there before is until then. Statuses as
 * pacifica_machine_save(); `diag` names the file. */
enum pacifica_status snapshot_save_file(struct pacifica_machine *machine, const char *path,
                                        struct pacifica_diag *diag);

/* Load it. Statuses as pacifica_machine_load(), and PACIFICA_EIO; on failure the machine is as it was. */
enum pacifica_status snapshot_load_file(struct pacifica_machine *machine, const char *path,
                                        struct pacifica_diag *diag);

/* `pacifica snap`: a handler of commands.def. Returns the exit status. */
int snapshots_main(int argc, char **argv);

#endif

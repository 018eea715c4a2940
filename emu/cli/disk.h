/* Files behind disks. */
#ifndef EMU_CLI_DISK_H
#define EMU_CLI_DISK_H

#include "emu/cli/options.h"

/* Invariant: `open` is false, or fd is. */
struct disk_file {
    bool open;
    int fd;
    const char *path;
    bool writes; /* through to the file */
    bool told;   /* the user knows of an error */
    bool failed; /* something could not be written */
};

/* Open the file of a drive, and fill `disk` with what the library is to know. PACIFICA_EIO (cannot be opened, is in use),
 * PACIFICA_EFORMAT (no raw image). disk_close() is needed only after success. */
enum pacifica_status disk_open(struct disk_file *file, const struct cli_drive *drive,
                               struct pacifica_disk *disk, struct pacifica_diag *diag);

/* Close it. PACIFICA_EIO: not all that was written is safe in the file. */
enum pacifica_status disk_close(struct disk_file *file, struct pacifica_diag *diag);

#endif

/* Files of the command line. The library knows none: it gets bytes. */
#ifndef EMU_CLI_FILES_H
#define EMU_CLI_FILES_H

#include <pacifica/pacifica.h>

#include <stdio.h>

#define FILE_IMAGE_MOST (UINT64_C(4) << 30) /* kernels, modules, fw_cfg items */
#define FILE_FIRMWARE_MOST \
    (UINT64_C(32) << 20) /* more than any machine takes: it says what does not fit */

/* Read a whole file, of at most `most` bytes. PACIFICA_OK: *bytes is to be given back with file_free(). PACIFICA_EIO,
 * PACIFICA_ERANGE, PACIFICA_ENOMEM: `diag` names file and reason, *bytes is empty. */
enum pacifica_status file_read(const char *path, uint64_t most, struct pacifica_bytes *bytes,
                               struct pacifica_diag *diag);
void file_free(struct pacifica_bytes *bytes);

/* A stream that output goes to. Invariant: stream is NULL only before output_open(). */
struct output_file {
    FILE *stream;
    const char *name; /* for messages */
    bool dirty;       /* something was written since the last flush */
};

/* Open `path` for writing, emptying it. PACIFICA_EIO: `diag` names file and reason. */
enum pacifica_status output_open(struct output_file *file, const char *path,
                                 struct pacifica_diag *diag);

/* Use standard output instead of a file. */
void output_stdout(struct output_file *file);

/* Use standard error instead of a file, but buffered: a stream of its own. PACIFICA_EIO. */
enum pacifica_status output_stderr(struct output_file *file, struct pacifica_diag *diag);

/* Hand on what is buffered, if there is something. */
void output_flush(struct output_file *file);

/* Close, and tell whether all bytes arrived: PACIFICA_OK or PACIFICA_EIO. Standard output stays open. */
enum pacifica_status output_close(struct output_file *file, struct pacifica_diag *diag);

/* The file as the library wants it; `file` must stay where it is. */
struct pacifica_output output_to(struct output_file *file);

#endif

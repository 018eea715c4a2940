/* Snapshots in files. The library knows none. */
#include "emu/cli/snapshots.h"

#include "emu/base/diag.h"
#include "emu/cli/files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 4096

static enum pacifica_status io_error(const char *path, struct pacifica_diag *diag)
{
    return diag_set(diag, PACIFICA_EIO, path, NULL, "%s", strerror(errno));
}

/* The library says "snapshot": the user wants to know which. */
static void name_file(struct pacifica_diag *diag, const char *path)
{
    char where[sizeof(diag->where)];
    const char *rest = strncmp(diag->where, "snapshot", 8) == 0 ? diag->where + 8 : NULL;
    if (rest)
        (void)snprintf(where, sizeof(where), "%.150s%.100s", path, rest);
    else
        (void)snprintf(where, sizeof(where), "%.150s%s%.100s", path, diag->where[0] ? ", " : "",
                       diag->where);
    memcpy(diag->where, where, sizeof(where));
}

static bool write_bytes(void *self, const void *bytes, size_t size)
{
    return fwrite(bytes, 1, size, self) == size;
}

static enum pacifica_status save_to(struct pacifica_machine *machine, FILE *stream,
                                    const char *path, struct pacifica_diag *diag)
{
    const struct pacifica_writer writer = { .write = write_bytes, .self = stream };
    enum pacifica_status status = pacifica_machine_save(machine, &writer, diag);
    int error = errno;
    bool closed = fclose(stream) == 0;
    if (status == PACIFICA_EIO)
        return diag_set(diag, status, path, NULL, "%s", strerror(error));
    if (status != PACIFICA_OK)
        name_file(diag, path);
    else if (!closed)
        status = io_error(path, diag);
    return status;
}

/* A pipe or a device cannot be renamed to. */
static bool is_special(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && !S_ISREG(status.st_mode);
}

enum pacifica_status snapshot_save_file(struct pacifica_machine *machine, const char *path,
                                        struct pacifica_diag *diag)
{
    char temporary[PATH_BYTES];
    bool special = is_special(path);
    int length = snprintf(temporary, sizeof(temporary), special ? "%s" : "%s.%ld.part", path,
                          (long)getpid());
    if (!path[0] || length < 0 || (size_t)length >= sizeof(temporary))
        return diag_set(diag, PACIFICA_EUSAGE, path[0] ? path : "''", NULL, "no name of a file");
    int fd = open(temporary, O_WRONLY | O_CLOEXEC | (special ? 0 : O_CREAT | O_TRUNC), 0666);
    FILE *stream = fd < 0 ? NULL : fdopen(fd, "wb");
    if (!stream) {
        enum pacifica_status status = io_error(path, diag);
        if (fd >= 0)
            (void)close(fd);
        return status;
    }
    enum pacifica_status status = save_to(machine, stream, path, diag);
    if (special)
        return status;
    if (status == PACIFICA_OK && rename(temporary, path) != 0)
        status = io_error(path, diag);
    if (status != PACIFICA_OK)
        (void)unlink(temporary);
    return status;
}

enum pacifica_status snapshot_load_file(struct pacifica_machine *machine, const char *path,
                                        struct pacifica_diag *diag)
{
    struct pacifica_bytes bytes;
    enum pacifica_status status = file_read(path, FILE_SNAPSHOT_MOST, &bytes, diag);
    if (status != PACIFICA_OK)
        return status;
    status = pacifica_machine_load(machine, &bytes, diag);
    if (status != PACIFICA_OK)
        name_file(diag, path);
    file_free(&bytes);
    return status;
}

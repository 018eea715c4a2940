/* Files of the command line. */
#include "emu/cli/files.h"

#include "emu/base/diag.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_BYTES (UINT64_C(64) << 10)

static enum pacifica_status io_error(const char *path, struct pacifica_diag *diag)
{
    return diag_set(diag, PACIFICA_EIO, path, NULL, "%s", strerror(errno));
}

static enum pacifica_status too_large(const char *path, uint64_t most, struct pacifica_diag *diag)
{
    return diag_set(diag, PACIFICA_ERANGE, path, NULL, "the file is larger than %" PRIu64 " KiB",
                    most >> 10);
}

/* Read to the end of the stream. It need not have a length: a pipe will do. */
static enum pacifica_status read_all(FILE *stream, const char *path, uint64_t room, uint64_t most,
                                     uint8_t **data, size_t *size, struct pacifica_diag *diag)
{
    *size = 0;
    for (;; room *= 2) {
        uint8_t *more = realloc(*data, room);
        if (!more)
            return diag_set(diag, PACIFICA_ENOMEM, path, NULL, "no memory for the file");
        *data = more;
        *size += fread(*data + *size, 1, room - *size, stream);
        if (ferror(stream))
            return io_error(path, diag);
        if (*size > most)
            return too_large(path, most, diag);
        if (*size < room)
            return PACIFICA_OK;
    }
}

enum pacifica_status file_read(const char *path, uint64_t most, struct pacifica_bytes *bytes,
                               struct pacifica_diag *diag)
{
    *bytes = (struct pacifica_bytes){ 0 };
    if (!path[0])
        return diag_set(diag, PACIFICA_EUSAGE, "''", NULL, "no name of a file");
    FILE *stream = fopen(path, "rb");
    if (!stream)
        return io_error(path, diag);
    struct stat status;
    uint64_t room = FIRST_BYTES;
    /* One byte more than the length, so that the end is seen without another round. */
    if (fstat(fileno(stream), &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0)
        room = (uint64_t)status.st_size + 1;
    uint8_t *data = NULL;
    size_t size = 0;
    enum pacifica_status result = room - 1 > most
                                      ? too_large(path, most, diag)
                                      : read_all(stream, path, room, most, &data, &size, diag);
    (void)fclose(stream);
    if (result == PACIFICA_OK)
        *bytes = (struct pacifica_bytes){ .data = data, .size = size };
    else
        free(data);
    return result;
}

void file_free(struct pacifica_bytes *bytes)
{
    free((void *)(uintptr_t)bytes->data);
    *bytes = (struct pacifica_bytes){ 0 };
}

enum pacifica_status output_open(struct output_file *file, const char *path,
                                 struct pacifica_diag *diag)
{
    *file = (struct output_file){ .stream = fopen(path, "wb"), .name = path };
    return file->stream ? PACIFICA_OK : io_error(path, diag);
}

void output_stdout(struct output_file *file)
{
    *file = (struct output_file){ .stream = stdout, .name = "standard output" };
}

enum pacifica_status output_stderr(struct output_file *file, struct pacifica_diag *diag)
{
    int fd = dup(STDERR_FILENO);
    *file =
        (struct output_file){ .stream = fd < 0 ? NULL : fdopen(fd, "w"), .name = "standard error" };
    if (file->stream)
        return PACIFICA_OK;
    enum pacifica_status status = io_error(file->name, diag);
    if (fd >= 0)
        (void)close(fd);
    return status;
}

void output_flush(struct output_file *file)
{
    if (file->stream && file->dirty)
        (void)fflush(file->stream); /* an error stays in the stream until output_close() */
    file->dirty = false;
}

enum pacifica_status output_close(struct output_file *file, struct pacifica_diag *diag)
{
    FILE *stream = file->stream;
    if (!stream)
        return PACIFICA_OK;
    file->stream = NULL;
    bool failed = fflush(stream) != 0 || ferror(stream);
    if (stream != stdout)
        failed = fclose(stream) != 0 || failed;
    return failed ? diag_set(diag, PACIFICA_EIO, file->name, NULL, "writing failed") : PACIFICA_OK;
}

static void output_write(void *self, const void *bytes, size_t size)
{
    struct output_file *file = self;
    (void)fwrite(bytes, 1, size, file->stream);
    file->dirty = true;
}

struct pacifica_output output_to(struct output_file *file)
{
    return (struct pacifica_output){ .write = output_write, .self = file };
}

/* What the examples share, and what is not about Pacifica: files and messages. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <pacifica/pacifica.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static inline void example_write(void *self, const void *bytes, size_t size)
{
    (void)self;
    (void)fwrite(bytes, 1, size, stdout);
}

/* Where the guest's serial line and tables go. */
static const struct pacifica_output example_stdout = { .write = example_write };

/* Read a whole file. false: it cannot be read. */
static inline bool example_read(const char *path, struct pacifica_bytes *bytes)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    (void)fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    void *data = size > 0 ? malloc((size_t)size) : NULL;
    bool read = data && fread(data, 1, (size_t)size, file) == (size_t)size;
    (void)fclose(file);
    if (!read) {
        free(data);
        return false;
    }
    *bytes = (struct pacifica_bytes){ .data = data, .size = (size_t)size };
    return true;
}

static inline void example_free(struct pacifica_bytes *bytes)
{
    free((void *)bytes->data);
    *bytes = (struct pacifica_bytes){ 0 };
}

static inline int example_usage(const char *program, const char *arguments)
{
    (void)fprintf(stderr, "usage: %s %s\n", program, arguments);
    return 2;
}

/* The exit status of a program, with the library's words if it failed. */
static inline int example_end(enum pacifica_status status, const struct pacifica_diag *diag)
{
    if (status == PACIFICA_OK)
        return 0;
    (void)fprintf(stderr, "%s%s%s\n", diag->where, diag->where[0] ? ": " : "", diag->what);
    return 1;
}

#endif

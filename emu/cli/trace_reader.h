/* Reading a trace of JSON lines, one event at a time. docs/trace-schema.md describes them. */
#ifndef EMU_CLI_TRACE_READER_H
#define EMU_CLI_TRACE_READER_H

#include <pacifica/pacifica.h>

#include "emu/trace/record.h"

#include <stdio.h>

#define TRACE_LINE_MOST \
    65536u /* bytes; the schema allows fewer, but lines of a later version may be longer */

struct json_t;

/* Invariant: `line` is the number of the line read last; `event` holds the names of the record that was filled last. */
struct trace_reader {
    FILE *stream;
    const char *name;
    uint64_t line;
    struct json_t *event;
    bool truncated; /* the last line had no line feed */
    char *bytes;
};

enum trace_read { TRACE_READ_EVENT, TRACE_READ_END, TRACE_READ_BAD };

/* Open a file, "-" for standard input, and read the header. On failure `diag` says what and where, and there is nothing to
 * close. */
enum pacifica_status trace_reader_open(struct trace_reader *reader, const char *path,
                                       struct pacifica_diag *diag);

/* The same with a stream, which is closed with the reader, also on failure. */
enum pacifica_status trace_reader_take(struct trace_reader *reader, FILE *stream, const char *name,
                                       struct pacifica_diag *diag);

/* Read an event into a kept record, whose names live until the next one is read. TRACE_READ_BAD: `diag` says what is wrong, in
 * which line. */
enum trace_read trace_reader_next(struct trace_reader *reader, struct record *kept,
                                  struct pacifica_diag *diag);

void trace_reader_close(struct trace_reader *reader);

#endif

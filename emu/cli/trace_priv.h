/* `pacifica trace`: what its parts share. */
#ifndef EMU_CLI_TRACE_PRIV_H
#define EMU_CLI_TRACE_PRIV_H

#include "emu/compiler.h"

#include "emu/cli/trace_choose.h"
#include "emu/cli/trace_reader.h"

/* What stands behind the verb. */
struct trace_words {
    const char *verb;
    const char *list;   /* -trace, or NULL */
    const char *ignore; /* -ignore: names of members joined by commas, or "" */
    uint64_t top, context;
    enum pacifica_trace_format format;
    const char *file[2];
};

/* A trace that is read: its events are those that were chosen. */
struct trace_input {
    struct trace_reader reader;
    struct trace_chooser chooser;
    struct record kept;
};

enum pacifica_status trace_input_open(struct trace_input *input, const struct trace_words *words,
                                      unsigned file, struct pacifica_diag *diag);

/* The next event that is chosen, in input->kept. */
enum trace_read trace_input_next(struct trace_input *input, struct pacifica_diag *diag);

/* Each writes to `output`. PACIFICA_OK, or `diag` says what is wrong; what was written before stays.
 * differ  receives whether the two differ */
enum pacifica_status trace_stat(struct trace_input *input, const struct trace_words *words,
                                const struct pacifica_output *output, struct pacifica_diag *diag);
enum pacifica_status trace_convert(struct trace_input *input, const struct trace_words *words,
                                   const struct pacifica_output *output,
                                   struct pacifica_diag *diag);
enum pacifica_status trace_diff(struct trace_input *a, struct trace_input *b,
                                const struct trace_words *words,
                                const struct pacifica_output *output, bool *differ,
                                struct pacifica_diag *diag);

#endif

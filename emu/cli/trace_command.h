/* `pacifica trace`: reading traces of JSON lines back. */
#ifndef EMU_CLI_TRACE_COMMAND_H
#define EMU_CLI_TRACE_COMMAND_H

#include "emu/cli/trace_priv.h"

/* Parse the words from `trace` on. NULL, or what is wrong with them. */
const char *trace_words_parse(struct trace_words *words, int argc, char **argv);

/* Do what they ask for. PACIFICA_OK, or `diag` says what is wrong.
 * differ  receives whether two traces differ */
enum pacifica_status trace_run(const struct trace_words *words,
                               const struct pacifica_output *output, bool *differ,
                               struct pacifica_diag *diag);

#endif

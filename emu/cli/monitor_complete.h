/* Which words could stand in a monitor's line. */
#ifndef EMU_CLI_MONITOR_COMPLETE_H
#define EMU_CLI_MONITOR_COMPLETE_H

#include <stddef.h>

typedef void monitor_word(void *self, const char *word);

/* Call `take` with each word that could stand at the end of `text`, whatever of it is there already: commands, then what their rows
 * have for arguments. A blank stands at the end of those behind which nothing of the same word comes. Returns where in `text` that word begins. */
size_t monitor_complete(const char *text, monitor_word *take, void *self);

/* monitor_commands.c: command number `n`, and its arguments or NULL; NULL behind the last. */
const char *monitor_command(size_t n, const char **arguments);
/* And what `info` takes. */
void monitor_items(monitor_word *take, void *self);

/* monitor_break.c: what `break` stops at; NULL behind the last. */
const char *monitor_break_kind(size_t n);

#endif

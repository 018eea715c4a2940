/* Counting #VMEXITs by exit code. */
#ifndef EMU_DEBUG_EXIT_STATS_H
#define EMU_DEBUG_EXIT_STATS_H

#include <pacifica/pacifica.h>

#include "emu/base/probe.h"

/* Make counters and attach them to `probes`, which is borrowed; NULL without memory. */
struct pacifica_exit_stats *exit_stats_new(struct probes *probes);
void exit_stats_free(struct pacifica_exit_stats *stats); /* NULL is allowed */

/* Write the table, most frequent exit first. */
void exit_stats_write(const struct pacifica_exit_stats *stats,
                      const struct pacifica_output *output);

#endif

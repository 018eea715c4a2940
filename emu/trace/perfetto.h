/* Traces for ui.perfetto.dev and chrome://tracing: the JSON array of the Trace Event Format. */
#ifndef EMU_TRACE_PERFETTO_H
#define EMU_TRACE_PERFETTO_H

#include "emu/trace/record.h"

struct perfetto;

/* Begin the array. NULL: no memory. `output` is copied. */
struct perfetto *perfetto_new(const struct pacifica_output *output);

/* Write what an event tells: the slices that begin and end with it, and the event itself. */
void perfetto_put(struct perfetto *perfetto, const struct record *kept);

/* End the slices that are open, and the array. */
void perfetto_end(struct perfetto *perfetto);

void perfetto_free(struct perfetto *perfetto);

#endif

/* Traces: a client of the probe points that turns events into lines. */
#ifndef EMU_DEBUG_TRACE_H
#define EMU_DEBUG_TRACE_H

#include <pacifica/pacifica.h>

#include "emu/base/probe.h"

/* Make a trace of the events that options->events names and attach it to `probes`. Events of devices, which name no
 * vCPU, are stamped with the steps of `cpu`. Both are borrowed and must outlive the trace.
 * PACIFICA_OK, PACIFICA_EUSAGE (unknown event, malformed filter), PACIFICA_ENOMEM; on error *trace is NULL. */
enum pacifica_status trace_new(struct probes *probes, struct vcpu *cpu,
                               const struct pacifica_trace_options *options,
                               struct pacifica_trace **trace, struct pacifica_diag *diag);

/* Write the events that a trace keeps (options->ring), with a word why, and forget them. Returns how many there were. */
uint64_t trace_dump(struct pacifica_trace *trace, const char *why);

/* Detach and free; NULL is allowed. */
void trace_free(struct pacifica_trace *trace);

/* One line for each event that can be traced: name and meaning. */
void trace_list(const struct pacifica_output *output);

#endif

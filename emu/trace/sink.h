/* Where events of a trace go: to an output, in one of the formats, at once or when somebody asks for the last of them. */
#ifndef EMU_TRACE_SINK_H
#define EMU_TRACE_SINK_H

#include <pacifica/pacifica.h>

#include "emu/trace/perfetto.h"
#include "emu/trace/record.h"

#define TRACE_SCHEMA_VERSION 1
#define TRACE_RING_MOST 1000000u

/* The format with this name: text, jsonl, perfetto, ftrace. */
bool trace_format_find(const char *name, enum pacifica_trace_format *format);

struct ring;

struct sink {
    enum pacifica_trace_format format;
    struct pacifica_output output;
    struct ring *ring;         /* NULL: events go out at once */
    struct perfetto *perfetto; /* of this format only */
    struct record record;      /* the event that is being made */
};

/* Begin a trace: write what stands before the first event. ring: keep the last so many, 0: none are kept.
 * false: no memory; there is nothing to close then. */
bool sink_open(struct sink *sink, enum pacifica_trace_format format,
               const struct pacifica_output *output, uint32_t ring);

/* Start an event, to be added to sink->record; finish it. */
void sink_begin(struct sink *sink, const char *event);
void sink_end(struct sink *sink);

/* Add an event that was kept elsewhere. */
void sink_put(struct sink *sink, const struct record *kept);

/* Write the events that the ring holds, oldest first, then a `ring` event that says why, and empty it. Nothing without a
 * ring. Returns how many there were. */
uint64_t sink_dump(struct sink *sink, const char *why);

/* End a trace: write what stands behind the last event; the ring's are lost. */
void sink_close(struct sink *sink);

#endif

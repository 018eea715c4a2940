/* Where events of a trace go. */
#include "emu/trace/sink.h"

#include "emu/trace/ftrace.h"
#include "emu/trace/ring.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool trace_format_find(const char *name, enum pacifica_trace_format *format)
{
    static const char *const names[] = { [PACIFICA_TRACE_TEXT] = "text",
                                         [PACIFICA_TRACE_JSONL] = "jsonl",
                                         [PACIFICA_TRACE_PERFETTO] = "perfetto",
                                         [PACIFICA_TRACE_FTRACE] = "ftrace" };
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], name) == 0) {
            *format = (enum pacifica_trace_format)i;
            return true;
        }
    }
    return false;
}

static bool is_line(const struct sink *sink)
{
    return sink->format == PACIFICA_TRACE_TEXT || sink->format == PACIFICA_TRACE_JSONL;
}

static enum record_form line_form(const struct sink *sink)
{
    return sink->format == PACIFICA_TRACE_JSONL ? RECORD_JSON : RECORD_TEXT;
}

static void put_head(const struct sink *sink)
{
    char line[64];
    if (sink->format == PACIFICA_TRACE_FTRACE)
        ftrace_head(&sink->output);
    if (sink->format != PACIFICA_TRACE_JSONL || !sink->output.write)
        return;
    int length = snprintf(line, sizeof(line), "{\"schema\":\"pacifica-trace\",\"version\":%d}\n",
                          TRACE_SCHEMA_VERSION);
    sink->output.write(sink->output.self, line, (size_t)length);
}

bool sink_open(struct sink *sink, enum pacifica_trace_format format,
               const struct pacifica_output *output, uint32_t ring)
{
    sink->format = format;
    sink->output = *output;
    sink->ring = ring ? ring_new(ring) : NULL;
    sink->perfetto = format == PACIFICA_TRACE_PERFETTO ? perfetto_new(output) : NULL;
    if ((ring && !sink->ring) || (format == PACIFICA_TRACE_PERFETTO && !sink->perfetto)) {
        ring_free(sink->ring);
        perfetto_free(sink->perfetto);
        return false;
    }
    put_head(sink);
    return true;
}

void sink_begin(struct sink *sink, const char *event)
{
    bool line = is_line(sink) && !sink->ring;
    record_begin(&sink->record, line ? line_form(sink) : RECORD_KEPT, event);
}

/* Write a kept event. */
static void put(struct sink *sink, const struct record *kept, struct record *line)
{
    switch (sink->format) {
    case PACIFICA_TRACE_PERFETTO: perfetto_put(sink->perfetto, kept); break;
    case PACIFICA_TRACE_FTRACE: ftrace_put(kept, &sink->output); break;
    default:
        record_play(kept, line, line_form(sink));
        record_end(line, &sink->output);
        break;
    }
}

void sink_end(struct sink *sink)
{
    if (sink->ring)
        ring_push(sink->ring, &sink->record);
    else if (is_line(sink))
        record_end(&sink->record, &sink->output);
    else
        put(sink, &sink->record, NULL);
}

void sink_put(struct sink *sink, const struct record *kept)
{
    if (sink->ring)
        ring_push(sink->ring, kept);
    else
        put(sink, kept, &sink->record);
}

/* The event that ends a dump, at the place of the last one. */
static void put_why(struct sink *sink, struct record *kept, struct record *line, uint64_t count,
                    const char *why)
{
    uint64_t step = record_number(kept, "step", 0), cpu = record_number(kept, "cpu", 0);
    uint64_t ns = record_number(kept, "ns", 0);
    record_begin(kept, RECORD_KEPT, "ring");
    record_dec(kept, "step", step);
    record_dec(kept, "cpu", cpu);
    record_dec(kept, "ns", ns);
    record_dec(kept, "kept", count);
    record_dec(kept, "dropped", ring_dropped(sink->ring));
    record_note(kept, why);
    put(sink, kept, line);
}

uint64_t sink_dump(struct sink *sink, const char *why)
{
    uint64_t count = 0;
    if (!sink->ring || !ring_held(sink->ring))
        return 0;
    struct record *kept = malloc(2 * sizeof(*kept)), *line = kept ? kept + 1 : NULL;
    if (!kept)
        return 0; /* they stay for a later time */
    for (; ring_take(sink->ring, kept); count++)
        put(sink, kept, line);
    put_why(sink, kept, line, count, why);
    ring_forget_dropped(sink->ring);
    free(kept);
    return count;
}

void sink_close(struct sink *sink)
{
    if (sink->perfetto)
        perfetto_end(sink->perfetto);
    perfetto_free(sink->perfetto);
    ring_free(sink->ring);
    sink->perfetto = NULL;
    sink->ring = NULL;
}

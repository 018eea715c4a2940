/* Filters of trace events: which numbers an event must have to be shown. */
#ifndef EMU_TRACE_FILTER_H
#define EMU_TRACE_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FILTER_RANGES 16

/* Invariant: from <= to in each of the `count` ranges. No ranges: everything passes. */
struct filter {
    unsigned count;
    struct filter_range {
        uint64_t from, to;
    } range[FILTER_RANGES];
};

/* Turns a word of a filter that is no number into one; false: unknown word. */
typedef bool filter_names(const char *word, uint64_t *value);

/* Parse `length` characters of text: N, N-M, N- (to the end) or a name, joined by +; N as C writes numbers. names may be NULL.
 * false: malformed, empty, a range turned round, or more than FILTER_RANGES parts. */
bool filter_parse(struct filter *filter, const char *text, size_t length, filter_names *names);

bool filter_passes(const struct filter *filter, uint64_t value);

#endif

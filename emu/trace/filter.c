/* Filters of trace events. */
#include "emu/trace/filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORD_BYTES 64

/* A number as C writes it, without sign; *end points behind it. */
static bool parse_number(const char *text, const char **end, uint64_t *value)
{
    if (*text < '0' || *text > '9')
        return false;
    char *behind;
    errno = 0;
    *value = strtoull(text, &behind, 0);
    *end = behind;
    return errno == 0;
}

/* One part: N, N-M, N-, or a name. */
static bool parse_part(struct filter_range *range, const char *word, filter_names *names)
{
    const char *end;
    if (!parse_number(word, &end, &range->from)) {
        if (!names || !names(word, &range->from))
            return false;
        range->to = range->from;
        return true;
    }
    range->to = range->from;
    if (strcmp(end, "-") == 0) {
        range->to = UINT64_MAX;
        return true;
    }
    if (*end == '-' && !parse_number(end + 1, &end, &range->to))
        return false;
    return *end == '\0' && range->from <= range->to;
}

bool filter_parse(struct filter *filter, const char *text, size_t length, filter_names *names)
{
    filter->count = 0;
    for (const char *end = text + length;; text++) {
        const char *plus = memchr(text, '+', (size_t)(end - text));
        size_t part = (size_t)((plus ? plus : end) - text);
        char word[WORD_BYTES];
        if (part == 0 || part >= sizeof(word) || filter->count == FILTER_RANGES)
            return false;
        memcpy(word, text, part);
        word[part] = '\0';
        if (!parse_part(&filter->range[filter->count++], word, names))
            return false;
        text += part;
        if (!plus)
            return true;
    }
}

bool filter_passes(const struct filter *filter, uint64_t value)
{
    for (unsigned i = 0; i < filter->count; i++)
        if (filter->range[i].from <= value && value <= filter->range[i].to)
            return true;
    return filter->count == 0;
}

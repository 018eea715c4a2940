/* Reading TAP that a ROM printed. The output is a guest's: any bytes, of any length. */
#include "emu/cli/tap.h"

#include <string.h>
#include <strings.h>

size_t tap_line(const char *text, size_t size, size_t *next)
{
    const char *end = size ? memchr(text, '\n', size) : NULL;
    size_t length = end ? (size_t)(end - text) : size;
    *next = end ? length + 1 : size;
    while (length && text[length - 1] == '\r')
        length--;
    return length;
}

/* A line that is being read: [at, end). */
struct cursor {
    const char *at, *end;
};

static bool take_word(struct cursor *line, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(line->end - line->at) < length || memcmp(line->at, word, length) != 0)
        return false;
    line->at += length;
    return true;
}

/* A decimal number; one that is too large becomes UINT64_MAX. */
static bool take_decimal(struct cursor *line, uint64_t *number)
{
    const char *begin = line->at;
    for (*number = 0; line->at < line->end && *line->at >= '0' && *line->at <= '9'; line->at++) {
        unsigned digit = (unsigned)(*line->at - '0');
        *number = *number > (UINT64_MAX - digit) / 10 ? UINT64_MAX : *number * 10 + digit;
    }
    return line->at != begin;
}

static bool at_blank_or_end(const struct cursor *line)
{
    return line->at == line->end || *line->at == ' ' || *line->at == '\t';
}

/* Does the rest of the line hold "# WORD"? */
static bool has_directive(struct cursor line, const char *word)
{
    size_t length = strlen(word);
    for (; line.at < line.end; line.at++) {
        const char *after = line.at + 1;
        if (*line.at != '#')
            continue;
        while (after < line.end && *after == ' ')
            after++;
        if ((size_t)(line.end - after) >= length && strncasecmp(after, word, length) == 0)
            return true;
    }
    return false;
}

struct reading {
    const char *text;
    size_t size;
    const struct tap_listener *listener;
    struct tap_result *result;
    bool has_plan;
};

static void note_fault(struct reading *reading, enum tap_fault fault)
{
    if (reading->result->fault == TAP_WELL)
        reading->result->fault = fault;
}

/* Tell of the point in the line at `from`, with the comments behind it. */
static void tell_failed(struct reading *reading, size_t from)
{
    size_t next, at = from,
                 end = from + tap_line(reading->text + from, reading->size - from, &next);
    for (at += next; at < reading->size && reading->text[at] == '#'; at += next)
        end = at + tap_line(reading->text + at, reading->size - at, &next);
    if (reading->result->bad_at == SIZE_MAX)
        reading->result->bad_at = from;
    if (reading->listener)
        reading->listener->failed(reading->listener->self, reading->text + from, end - from);
}

static void read_point(struct reading *reading, struct cursor line, bool passed, size_t from)
{
    struct tap_result *result = reading->result;
    uint64_t number;
    result->points++;
    while (line.at < line.end && *line.at == ' ')
        line.at++;
    if (take_decimal(&line, &number) && number != result->points)
        note_fault(reading, TAP_OUT_OF_ORDER);
    if (has_directive(line, "skip"))
        result->skipped++;
    else if (!passed && !has_directive(line, "todo")) {
        result->failed++;
        tell_failed(reading, from);
    }
}

static void read_plan(struct reading *reading, struct cursor line)
{
    uint64_t plan;
    if (!take_decimal(&line, &plan) || !at_blank_or_end(&line))
        return;
    if (reading->has_plan)
        note_fault(reading, TAP_TWO_PLANS);
    reading->has_plan = true;
    reading->result->plan = plan;
}

/* A word that is not there leaves the cursor where it was. */
static void read_line(struct reading *reading, size_t from, size_t length)
{
    struct cursor line = { reading->text + from, reading->text + from + length };
    if (take_word(&line, "1..")) {
        read_plan(reading, line);
    } else if (take_word(&line, "ok")) {
        if (at_blank_or_end(&line))
            read_point(reading, line, true, from);
    } else if (take_word(&line, "not ok")) {
        if (at_blank_or_end(&line))
            read_point(reading, line, false, from);
    } else if (take_word(&line, "Bail out!")) {
        note_fault(reading, TAP_BAILED_OUT);
        tell_failed(reading, from);
    }
}

void tap_read(const char *text, size_t size, const struct tap_listener *listener,
              struct tap_result *result)
{
    struct reading reading = { text, size, listener, result, false };
    *result = (struct tap_result){ .bad_at = SIZE_MAX };
    for (size_t at = 0, next; at < size; at += next)
        read_line(&reading, at, tap_line(text + at, size - at, &next));
    if (!reading.has_plan)
        note_fault(&reading, TAP_NO_PLAN);
    else if (result->plan != result->points)
        note_fault(&reading, TAP_PLAN_NOT_MET);
}

const char *tap_fault_text(enum tap_fault fault)
{
    switch (fault) {
    case TAP_NO_PLAN: return "no plan";
    case TAP_TWO_PLANS: return "more than one plan";
    case TAP_PLAN_NOT_MET: return "plan not met";
    case TAP_OUT_OF_ORDER: return "points out of order";
    case TAP_BAILED_OUT: return "bailed out";
    default: return "well";
    }
}

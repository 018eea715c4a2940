/* `pacifica trace diff`: the first event that two traces do not have in common, with those before and behind it. */
#include "emu/cli/trace_priv.h"

#include "emu/base/diag.h"
#include "emu/base/output.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CONTEXT_BYTES 1024u /* of a line shown as context */

struct difference {
    const struct trace_words *words;
    const struct pacifica_output *output;
    uint64_t same; /* events in common */
    char *context; /* lines, in a ring */
    struct record line;
};

/* --- comparing ------------------------------------------------------------------------------------ */

static bool is_ignored(const struct difference *d, const char *name)
{
    size_t length = strlen(name);
    for (const char *word = d->words->ignore; *word;) {
        size_t part = strcspn(word, ",");
        if (part == length && memcmp(word, name, part) == 0)
            return true;
        word += part + (word[part] == ',');
    }
    return false;
}

/* The next member from `at` on that counts; kept->count: there is none. */
static unsigned next_member(const struct difference *d, const struct record *kept, unsigned at)
{
    while (at < kept->count && is_ignored(d, kept->member[at].name))
        at++;
    return at;
}

static bool same_member(const struct record *a, const struct member *x, const struct record *b,
                        const struct member *y)
{
    if (x->kind != y->kind || strcmp(x->name, y->name) != 0 || x->number != y->number)
        return false;
    switch (x->kind) {
    case MEMBER_CS_RIP: return x->more == y->more;
    case MEMBER_CHANGE:
        return strcmp(record_string(a, x), record_string(b, y)) == 0 &&
               strcmp(a->line + x->more, b->line + y->more) == 0;
    case MEMBER_TEXT:
    case MEMBER_NOTE: return strcmp(record_string(a, x), record_string(b, y)) == 0;
    default: return true;
    }
}

static bool same_event(const struct difference *d, const struct record *a, const struct record *b)
{
    unsigned i = next_member(d, a, 0), j = next_member(d, b, 0);
    if (strcmp(a->event, b->event) != 0)
        return false;
    while (i < a->count && j < b->count) {
        if (!same_member(a, &a->member[i], b, &b->member[j]))
            return false;
        i = next_member(d, a, i + 1);
        j = next_member(d, b, j + 1);
    }
    return i == a->count && j == b->count;
}

/* --- telling -------------------------------------------------------------------------------------- */

static void put_event(struct difference *d, const struct record *kept, const char *mark)
{
    d->output->write(d->output->self, mark, strlen(mark));
    record_play(kept, &d->line, RECORD_TEXT);
    record_end(&d->line, d->output);
}

static void keep_context(struct difference *d, const struct record *kept)
{
    uint64_t lines = d->words->context;
    if (!lines)
        return;
    char *to = d->context + d->same % lines * CONTEXT_BYTES;
    record_play(kept, &d->line, RECORD_TEXT);
    size_t length = d->line.used < CONTEXT_BYTES ? d->line.used : CONTEXT_BYTES - 1;
    memcpy(to, d->line.line, length);
    to[length] = '\0';
}

static void put_context(const struct difference *d)
{
    uint64_t lines = d->words->context < d->same ? d->words->context : d->same;
    for (uint64_t i = d->same - lines; i < d->same; i++) {
        const char *line = d->context + i % d->words->context * CONTEXT_BYTES;
        d->output->write(d->output->self, "  ", 2);
        d->output->write(d->output->self, line, strlen(line));
        d->output->write(d->output->self, "\n", 1);
    }
}

static void put_member(struct difference *d, const char *mark, const struct record *kept,
                       const struct member *member)
{
    record_begin(&d->line, RECORD_TEXT, "");
    if (member && record_is_quiet(member->name)) /* the text form would leave it out */
        record_dec(&d->line, "value", member->number);
    else if (member)
        record_add(&d->line, kept, member);
    else
        record_note(&d->line, "is missing");
    output_put(d->output, "%s", mark);
    record_end(&d->line, d->output);
}

static const struct member *find_like(const struct record *kept, const struct member *wanted)
{
    for (unsigned i = 0; i < kept->count; i++)
        if (strcmp(kept->member[i].name, wanted->name) == 0 &&
            (kept->member[i].kind == MEMBER_CHANGE) == (wanted->kind == MEMBER_CHANGE))
            return &kept->member[i];
    return NULL;
}

static void put_members(struct difference *d, const struct record *a, const struct record *b,
                        const char *mark_a, const char *mark_b, bool missing_only)
{
    for (unsigned i = next_member(d, a, 0); i < a->count; i = next_member(d, a, i + 1)) {
        const struct member *x = &a->member[i], *y = find_like(b, x);
        if (y && (missing_only || same_member(a, x, b, y)))
            continue;
        output_put(d->output, "%s:\n", x->name);
        if (missing_only)
            put_member(d, mark_b, b, y);
        put_member(d, mark_a, a, x);
        if (!missing_only)
            put_member(d, mark_b, b, y);
    }
}

/* What follows in one of the two. */
static enum trace_read put_rest(struct difference *d, struct trace_input *input, const char *mark,
                                struct pacifica_diag *diag)
{
    enum trace_read read = TRACE_READ_EVENT;
    for (uint64_t i = 0; i < d->words->context; i++) {
        read = trace_input_next(input, diag);
        if (read != TRACE_READ_EVENT)
            break;
        put_event(d, &input->kept, mark);
    }
    return read;
}

static void put_where(struct difference *d, const char *letter, const struct trace_input *input,
                      bool ended)
{
    if (ended)
        output_put(d->output, "%s %.200s ends\n", letter, input->reader.name);
    else
        output_put(d->output, "%s %.200s:%" PRIu64 "\n", letter, input->reader.name,
                   input->reader.line);
}

static enum trace_read put_difference(struct difference *d, struct trace_input *a,
                                      struct trace_input *b, bool a_ended, bool b_ended,
                                      struct pacifica_diag *diag)
{
    output_put(d->output, "%" PRIu64 " events are the same, then\n", d->same);
    put_where(d, "-", a, a_ended);
    put_where(d, "+", b, b_ended);
    put_context(d);
    if (!a_ended)
        put_event(d, &a->kept, "- ");
    if (!b_ended)
        put_event(d, &b->kept, "+ ");
    if (!a_ended && !b_ended && strcmp(a->kept.event, b->kept.event) == 0) {
        output_put(d->output, "they differ in\n");
        put_members(d, &a->kept, &b->kept, "  -", "  +", false);
        put_members(d, &b->kept, &a->kept, "  +", "  -", true);
    }
    if (d->words->context && !(a_ended && b_ended))
        output_put(d->output, "and go on with\n");
    enum trace_read read = a_ended ? TRACE_READ_END : put_rest(d, a, "- ", diag);
    if (read != TRACE_READ_BAD && !b_ended)
        read = put_rest(d, b, "+ ", diag);
    return read;
}

static enum pacifica_status compare(struct difference *d, struct trace_input *a,
                                    struct trace_input *b, bool *differ, struct pacifica_diag *diag)
{
    for (;; d->same++) {
        enum trace_read x = trace_input_next(a, diag);
        enum trace_read y = x == TRACE_READ_BAD ? x : trace_input_next(b, diag);
        if (x == TRACE_READ_BAD || y == TRACE_READ_BAD)
            return PACIFICA_EFORMAT;
        if (x == TRACE_READ_END && y == TRACE_READ_END) {
            output_put(d->output, "no difference in %" PRIu64 " events\n", d->same);
            return PACIFICA_OK;
        }
        if (x == y && same_event(d, &a->kept, &b->kept)) {
            keep_context(d, &a->kept);
            continue;
        }
        *differ = true;
        return put_difference(d, a, b, x == TRACE_READ_END, y == TRACE_READ_END, diag) ==
                       TRACE_READ_BAD
                   ? PACIFICA_EFORMAT
                   : PACIFICA_OK;
    }
}

enum pacifica_status trace_diff(struct trace_input *a, struct trace_input *b,
                                const struct trace_words *words,
                                const struct pacifica_output *output, bool *differ,
                                struct pacifica_diag *diag)
{
    struct difference *d = calloc(1, sizeof(*d));
    *differ = false;
    if (d) {
        d->words = words;
        d->output = output;
        d->context = malloc((size_t)words->context * CONTEXT_BYTES + 1);
    }
    enum pacifica_status status = d && d->context ? compare(d, a, b, differ, diag)
                                                  : diag_set(diag, PACIFICA_ENOMEM, NULL, NULL,
                                                             "no memory to compare traces");
    if (d)
        free(d->context);
    free(d);
    return status;
}

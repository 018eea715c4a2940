/* Reading a trace of JSON lines. Jansson parses; what a line says is checked before anybody uses it. */
#include "emu/cli/trace_reader.h"

#include "emu/base/diag.h"
#include "emu/trace/sink.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MOST 40u

/* --- lines ------------------------------------------------------------------------------------ */

static enum pacifica_status wrong(const struct trace_reader *reader, struct pacifica_diag *diag,
                                  const char *what)
{
    char where[96];
    (void)snprintf(where, sizeof(where), "%.70s:%" PRIu64, reader->name, reader->line);
    return diag_set(diag, PACIFICA_EFORMAT, where, NULL, "%s", what);
}

/* Read a line without its line feed; *length is 0 and the result false at the end. */
static enum trace_read read_line(struct trace_reader *reader, size_t *length,
                                 struct pacifica_diag *diag)
{
    size_t used = 0;
    int c = EOF;
    reader->line++;
    while (used < TRACE_LINE_MOST && (c = getc_unlocked(reader->stream)) != EOF && c != '\n')
        reader->bytes[used++] = (char)c;
    *length = used;
    if (ferror(reader->stream)) {
        (void)wrong(reader, diag, strerror(errno));
        return TRACE_READ_BAD;
    }
    if (used == TRACE_LINE_MOST) {
        (void)wrong(reader, diag, "the line is too long for a trace");
        return TRACE_READ_BAD;
    }
    reader->truncated = c == EOF;
    return c == EOF && used == 0 ? TRACE_READ_END : TRACE_READ_EVENT;
}

/* The object of a line, to be freed, or NULL: `diag` is set. */
static json_t *parse_line(struct trace_reader *reader, size_t length, struct pacifica_diag *diag)
{
    json_error_t error;
    char what[128];
    json_t *object = json_loadb(reader->bytes, length, JSON_REJECT_DUPLICATES, &error);
    if (json_is_object(object))
        return object;
    if (object)
        (void)snprintf(what, sizeof(what), "no JSON object");
    else if (reader->truncated)
        (void)snprintf(what, sizeof(what), "the last line is cut off");
    else
        (void)snprintf(what, sizeof(what), "no JSON: %.90s", error.text);
    json_decref(object);
    (void)wrong(reader, diag, what);
    return NULL;
}

/* --- members ------------------------------------------------------------------------------------ */

static bool is_name(const char *text, const char *more)
{
    size_t length = strlen(text);
    for (const char *c = text; *c; c++)
        if (!(*c >= 'a' && *c <= 'z') && !(*c >= '0' && *c <= '9') && *c != '_' &&
            !strchr(more, *c))
            return false;
    return length > 0 && length <= NAME_MOST;
}

#define CAPITALS "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* Printable, and nothing that JSON escapes. */
static bool is_clean(const char *text)
{
    for (; *text; text++)
        if (*text < 0x20 || *text > 0x7e || *text == '"' || *text == '\\')
            return false;
    return true;
}

/* A number as the schema writes it: 0x, and hexadecimal digits without leading zeros, or four of them. */
static bool parse_hex(const char *text, bool selector, uint64_t *value)
{
    size_t digits = strlen(text) < 2 ? 0 : strlen(text) - 2;
    if (strncmp(text, "0x", 2) != 0 || digits == 0 || digits > 16 ||
        strspn(text + 2, "0123456789abcdef") != digits)
        return false;
    if (selector ? digits != 4 : text[2] == '0' && digits > 1)
        return false;
    *value = strtoull(text + 2, NULL, 16);
    return true;
}

/* Bytes of 80h and more are characters of Latin-1 in JSON. What is not Latin-1 stays as it is. */
static void to_latin1(const char *utf8, size_t length, char *text)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)utf8[i];
        if ((c == 0xc2 || c == 0xc3) && i + 1 < length)
            c = (unsigned char)((c & 3) << 6 | (utf8[++i] & 0x3f));
        *text++ = (char)c;
    }
    *text = '\0';
}

static void add_string(struct record *kept, const char *name, const json_t *value)
{
    uint64_t number;
    char text[RECORD_BYTES];
    if (parse_hex(json_string_value(value), false, &number)) {
        record_hex(kept, name, number);
        return;
    }
    if (json_string_length(value) >= sizeof(text)) {
        kept->cut = true;
        return;
    }
    to_latin1(json_string_value(value), json_string_length(value), text);
    if (strcmp(name, "note") == 0)
        record_note(kept, text);
    else
        record_text(kept, name, text);
}

/* The list of changes; false: it is none. */
static bool add_changes(struct record *kept, const json_t *list)
{
    size_t index;
    json_t *change;
    json_array_foreach(list, index, change)
    {
        const char *field = json_string_value(json_object_get(change, "field"));
        const char *before = json_string_value(json_object_get(change, "old"));
        const char *after = json_string_value(json_object_get(change, "new"));
        if (!field || !before || !after || !is_name(field, CAPITALS) || !is_clean(before) ||
            !is_clean(after))
            return false;
        if (!record_change(kept, field, before, after))
            kept->cut = true;
    }
    return true;
}

/* One member. NULL, or what is wrong with it. Kinds that the schema does not have may come with a later one, and are left out. */
static const char *add_member(struct record *kept, const char *name, const json_t *value)
{
    if (json_is_integer(value)) {
        if (json_integer_value(value) < 0)
            return "a number is negative";
        record_dec(kept, name, (uint64_t)json_integer_value(value));
    } else if (json_is_string(value)) {
        add_string(kept, name, value);
    } else if (json_is_boolean(value)) {
        if (strcmp(name, "cut") == 0)
            kept->cut = json_is_true(value);
        else
            record_bool(kept, name, json_is_true(value));
    } else if (json_is_array(value) && strcmp(name, "changes") == 0) {
        return add_changes(kept, value) ? NULL : "malformed changes";
    }
    return NULL;
}

/* cs, which the next member, rip, makes whole. */
static bool is_selector(const char *name, const json_t *value, uint64_t *cs)
{
    return strcmp(name, "cs") == 0 && json_is_string(value) &&
           parse_hex(json_string_value(value), true, cs);
}

static const char *add_members(struct record *kept, json_t *object)
{
    const char *name, *problem = NULL;
    json_t *value;
    uint64_t cs = UINT64_MAX, rip;
    json_object_foreach(object, name, value)
    {
        if (strcmp(name, "event") == 0)
            continue;
        if (!is_name(name, CAPITALS))
            return "a member's name has strange characters";
        if (is_selector(name, value, &cs))
            continue;
        if (cs != UINT64_MAX && strcmp(name, "rip") == 0 && json_is_string(value) &&
            parse_hex(json_string_value(value), false, &rip))
            record_cs_rip(kept, (uint16_t)cs, rip);
        else
            problem = add_member(kept, name, value);
        cs = UINT64_MAX;
        if (problem)
            return problem;
    }
    return NULL;
}

static const char *fill(struct record *kept, json_t *object)
{
    json_t *event = json_object_get(object, "event"), *step = json_object_get(object, "step");
    json_t *cpu = json_object_get(object, "cpu");
    if (!json_is_string(event) || !is_name(json_string_value(event), ""))
        return "no event is named";
    if (!json_is_integer(step) || !json_is_integer(cpu))
        return "an event without step or cpu";
    if (json_integer_value(cpu) < 0 || json_integer_value(cpu) >= PACIFICA_CPUS_MOST)
        return "there is no such cpu";
    record_begin(kept, RECORD_KEPT, json_string_value(event));
    return add_members(kept, object);
}

/* --- the file ------------------------------------------------------------------------------------- */

/* The first line says what the others are. */
static enum pacifica_status read_header(struct trace_reader *reader, struct pacifica_diag *diag)
{
    size_t length;
    enum trace_read read = read_line(reader, &length, diag);
    if (read == TRACE_READ_BAD)
        return PACIFICA_EFORMAT;
    if (read == TRACE_READ_END)
        return wrong(reader, diag, "the file is empty");
    json_t *object = parse_line(reader, length, diag);
    if (!object)
        return PACIFICA_EFORMAT;
    const char *schema = json_string_value(json_object_get(object, "schema"));
    json_t *version = json_object_get(object, "version");
    enum pacifica_status status = PACIFICA_OK;
    if (!schema || strcmp(schema, "pacifica-trace") != 0)
        status = wrong(reader, diag, "no trace of pacifica in JSON lines");
    else if (!json_is_integer(version) || json_integer_value(version) != TRACE_SCHEMA_VERSION)
        status = wrong(reader, diag, "a version of the trace schema that is not known here");
    json_decref(object);
    return status;
}

enum pacifica_status trace_reader_take(struct trace_reader *reader, FILE *stream, const char *name,
                                       struct pacifica_diag *diag)
{
    *reader = (struct trace_reader){ .stream = stream, .name = name };
    reader->bytes = malloc(TRACE_LINE_MOST);
    enum pacifica_status status =
        reader->bytes ? read_header(reader, diag)
                      : diag_set(diag, PACIFICA_ENOMEM, name, NULL, "no memory to read it");
    if (status != PACIFICA_OK)
        trace_reader_close(reader);
    return status;
}

enum pacifica_status trace_reader_open(struct trace_reader *reader, const char *path,
                                       struct pacifica_diag *diag)
{
    if (strcmp(path, "-") == 0)
        return trace_reader_take(reader, stdin, "standard input", diag);
    FILE *stream = fopen(path, "rb");
    if (!stream)
        return diag_set(diag, PACIFICA_EIO, path, NULL, "%s", strerror(errno));
    return trace_reader_take(reader, stream, path, diag);
}

enum trace_read trace_reader_next(struct trace_reader *reader, struct record *kept,
                                  struct pacifica_diag *diag)
{
    size_t length;
    json_decref(reader->event);
    reader->event = NULL;
    enum trace_read read = read_line(reader, &length, diag);
    if (read != TRACE_READ_EVENT)
        return read;
    reader->event = parse_line(reader, length, diag);
    if (!reader->event)
        return TRACE_READ_BAD;
    const char *problem = fill(kept, reader->event);
    if (!problem)
        return TRACE_READ_EVENT;
    (void)wrong(reader, diag, problem);
    return TRACE_READ_BAD;
}

void trace_reader_close(struct trace_reader *reader)
{
    json_decref(reader->event);
    free(reader->bytes);
    if (reader->stream && reader->stream != stdin)
        (void)fclose(reader->stream);
    *reader = (struct trace_reader){ 0 };
}

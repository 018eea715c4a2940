/* Events of a trace: text, JSON, kept. RFC 8259 "The JavaScript Object Notation (JSON) Data Interchange Format".
 *
 * A trace of #VMEXITs has a thousand bytes for each, so nothing here goes through printf. */
#include "emu/trace/record.h"

#include <string.h>

/* Room for the longest end of a line: `],"cut":true}` and the line feed. */
#define RECORD_RESERVE 16

/* --- numbers and texts ---------------------------------------------------------------------- */

static size_t hex_digits(uint64_t value)
{
    size_t digits = 1;
    while (value >>= 4)
        digits++;
    return digits;
}

static size_t dec_digits(uint64_t value)
{
    size_t digits = 1;
    while (value >= 10) {
        value /= 10;
        digits++;
    }
    return digits;
}

static char *put_digits(char *to, uint64_t value, size_t digits)
{
    for (size_t i = digits; i-- > 0; value >>= 4)
        to[i] = "0123456789abcdef"[value & 15];
    return to + digits;
}

char *record_put_hex(char *to, uint64_t value)
{
    *to++ = '0';
    *to++ = 'x';
    return put_digits(to, value, hex_digits(value));
}

char *record_put_dec(char *to, uint64_t value)
{
    size_t digits = dec_digits(value);
    for (size_t i = digits; i-- > 0; value /= 10)
        to[i] = (char)('0' + value % 10);
    return to + digits;
}

static char *put_chars(char *to, const char *text, size_t length)
{
    memcpy(to, text, length);
    return to + length;
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f;
}

static size_t escaped_length(const char *text)
{
    size_t length = 0;
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        length += !is_plain(c) ? 6 : c == '"' || c == '\\' ? 2 : 1;
    }
    return length;
}

char *record_escape(char *to, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (!is_plain(c)) { /* bytes of 80h and more count as Latin-1 */
            to = put_digits(put_chars(to, "\\u", 2), c, 4);
            continue;
        }
        if (c == '"' || c == '\\')
            *to++ = '\\';
        *to++ = (char)c;
    }
    return to;
}

/* Guests choose some texts, so nothing but printable ASCII goes to a terminal. */
static char *put_visible(char *to, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (is_plain(c))
            *to++ = (char)c;
        else
            to = put_digits(put_chars(to, "\\x", 2), c, 2);
    }
    return to;
}

/* --- members ---------------------------------------------------------------------------------- */

/* Is there room for so many bytes of JSON? They are taken then; else the event is cut. */
static bool charge(struct record *record, size_t bytes)
{
    if (bytes > RECORD_BYTES - RECORD_RESERVE - 1 - record->charged ||
        (record->form == RECORD_KEPT && record->count == RECORD_MEMBERS)) {
        record->cut = true;
        return false;
    }
    record->charged += bytes;
    return true;
}

static void settle(struct record *record, const char *end)
{
    record->used = (size_t)(end - record->line);
}

/* `,"NAME":` or ` NAME `. */
static char *put_name(struct record *record, const char *name, size_t length)
{
    char *to = record->line + record->used;
    if (record->form == RECORD_TEXT) {
        *to++ = ' ';
        to = put_chars(to, name, length);
        *to++ = ' ';
        return to;
    }
    to = put_chars(to, ",\"", 2);
    to = put_chars(to, name, length);
    return put_chars(to, "\":", 2);
}

/* Texts of a kept record have no quotes, escapes and names, so they fit where their JSON does. */
static uint16_t keep_text(struct record *record, const char *text)
{
    size_t at = record->used, size = strlen(text) + 1;
    memcpy(record->line + at, text, size);
    record->used += size;
    return (uint16_t)at;
}

static void keep(struct record *record, enum member_kind kind, const char *name, uint64_t number,
                 const char *text, uint16_t more)
{
    struct member *member = &record->member[record->count++];
    *member = (struct member){ .kind = kind, .name = name, .number = number, .more = more };
    if (text)
        member->text = keep_text(record, text);
}

bool record_is_quiet(const char *name)
{
    return strcmp(name, "ns") == 0 || strcmp(name, "insns") == 0 || strcmp(name, "in_asid") == 0 ||
           strcmp(name, "in_rip") == 0;
}

static bool is_hidden(const struct record *record, const char *name)
{
    return record->form == RECORD_TEXT && record_is_quiet(name);
}

void record_begin(struct record *record, enum record_form form, const char *event)
{
    size_t length = strlen(event);
    record->form = form;
    record->cut = record->listing = false;
    record->used = record->charged = 0;
    record->count = 0;
    record->event = event;
    if (!charge(record, length + 11) || form == RECORD_KEPT)
        return;
    char *to = record->line;
    if (form == RECORD_JSON)
        to = put_chars(to, "{\"event\":\"", 10);
    to = put_chars(to, event, length);
    if (form == RECORD_JSON)
        *to++ = '"';
    settle(record, to);
}

void record_dec(struct record *record, const char *name, uint64_t value)
{
    size_t length = strlen(name);
    if (!charge(record, length + 4 + dec_digits(value)) || is_hidden(record, name))
        return;
    if (record->form == RECORD_KEPT)
        keep(record, MEMBER_DEC, name, value, NULL, 0);
    else
        settle(record, record_put_dec(put_name(record, name, length), value));
}

void record_hex(struct record *record, const char *name, uint64_t value)
{
    size_t length = strlen(name);
    if (!charge(record, length + 8 + hex_digits(value)) || is_hidden(record, name))
        return;
    if (record->form == RECORD_KEPT) {
        keep(record, MEMBER_HEX, name, value, NULL, 0);
        return;
    }
    char *to = put_name(record, name, length);
    if (record->form == RECORD_JSON)
        *to++ = '"';
    to = record_put_hex(to, value);
    if (record->form == RECORD_JSON)
        *to++ = '"';
    settle(record, to);
}

void record_bool(struct record *record, const char *name, bool value)
{
    size_t length = strlen(name), digits = value ? 4 : 5;
    if (!charge(record, length + 4 + digits))
        return;
    if (record->form == RECORD_KEPT)
        keep(record, MEMBER_BOOL, name, value, NULL, 0);
    else
        settle(record, put_chars(put_name(record, name, length), value ? "true" : "false", digits));
}

void record_text(struct record *record, const char *name, const char *value)
{
    size_t length = strlen(name);
    if (!charge(record, length + 6 + escaped_length(value)))
        return;
    if (record->form == RECORD_KEPT) {
        keep(record, MEMBER_TEXT, name, 0, value, 0);
        return;
    }
    char *to = put_name(record, name, length);
    if (record->form == RECORD_JSON) {
        *to++ = '"';
        to = record_escape(to, value);
        *to++ = '"';
    } else {
        to = put_visible(to, value);
    }
    settle(record, to);
}

void record_bytes(struct record *record, const char *name, const uint8_t *bytes, size_t size)
{
    char text[2 * 64 + 1];
    char *to = text;
    for (size_t i = 0; i < size && i < 64; i++)
        to = put_digits(to, bytes[i], 2);
    *to = '\0';
    record_text(record, name, text);
}

void record_cs_rip(struct record *record, uint16_t cs, uint64_t rip)
{
    if (!charge(record, 26 - 1 + hex_digits(rip)))
        return;
    char *to = record->line + record->used;
    if (record->form == RECORD_KEPT) {
        keep(record, MEMBER_CS_RIP, "rip", rip, NULL, cs);
        return;
    }
    if (record->form == RECORD_JSON) {
        to = put_digits(put_chars(to, ",\"cs\":\"0x", 9), cs, 4);
        to = record_put_hex(put_chars(to, "\",\"rip\":\"", 9), rip);
        *to++ = '"';
    } else {
        to = put_digits(put_chars(to, " at ", 4), cs, 4);
        *to++ = ':';
        to = put_digits(to, rip, 16);
    }
    settle(record, to);
}

void record_note(struct record *record, const char *note)
{
    if (record->form == RECORD_JSON) {
        record_text(record, "note", note);
        return;
    }
    if (!charge(record, 10 + escaped_length(note)))
        return;
    if (record->form == RECORD_KEPT)
        keep(record, MEMBER_NOTE, "note", 0, note, 0);
    else
        settle(record, put_visible(put_chars(record->line + record->used, ": ", 2), note));
}

/* `,"changes":[` or a comma, and `{"field":"","old":"","new":""}`. */
static size_t change_length(const struct record *record, const char *field, const char *before,
                            const char *after)
{
    return (record->listing ? 1 : 12) + 30 + strlen(field) + strlen(before) + strlen(after);
}

bool record_change(struct record *record, const char *field, const char *before, const char *after)
{
    bool cut = record->cut, first = !record->listing;
    if (!charge(record, change_length(record, field, before, after))) {
        record->cut = cut;
        return false;
    }
    record->listing = true;
    if (record->form == RECORD_KEPT) {
        keep(record, MEMBER_CHANGE, field, 0, before, 0);
        record->member[record->count - 1].more = keep_text(record, after);
        return true;
    }
    char *to = record->line + record->used;
    if (record->form == RECORD_JSON) {
        to = first ? put_chars(to, ",\"changes\":[", 12) : put_chars(to, ",", 1);
        to = put_chars(put_chars(to, "{\"field\":\"", 10), field, strlen(field));
        to = put_chars(put_chars(to, "\",\"old\":\"", 9), before, strlen(before));
        to = put_chars(put_chars(to, "\",\"new\":\"", 9), after, strlen(after));
        to = put_chars(to, "\"}", 2);
    } else {
        to = put_chars(put_chars(to, first ? ": " : ", ", 2), field, strlen(field));
        to = put_chars(put_chars(to, " ", 1), before, strlen(before));
        to = put_chars(put_chars(to, " -> ", 4), after, strlen(after));
    }
    settle(record, to);
    return true;
}

void record_end(struct record *record, const struct pacifica_output *output)
{
    char *to = record->line + record->used;
    if (record->form == RECORD_JSON) {
        if (record->listing)
            *to++ = ']';
        if (record->cut)
            to = put_chars(to, ",\"cut\":true", 11);
        *to++ = '}';
    } else if (record->cut) {
        to = put_chars(to, " (cut)", 6);
    }
    *to++ = '\n';
    if (output->write)
        output->write(output->self, record->line, (size_t)(to - record->line));
}

/* --- a kept record ------------------------------------------------------------------------------ */

void record_add(struct record *to, const struct record *kept, const struct member *m)
{
    switch (m->kind) {
    case MEMBER_DEC: record_dec(to, m->name, m->number); break;
    case MEMBER_HEX: record_hex(to, m->name, m->number); break;
    case MEMBER_BOOL: record_bool(to, m->name, m->number != 0); break;
    case MEMBER_TEXT: record_text(to, m->name, record_string(kept, m)); break;
    case MEMBER_CS_RIP: record_cs_rip(to, m->more, m->number); break;
    case MEMBER_NOTE: record_note(to, record_string(kept, m)); break;
    case MEMBER_CHANGE:
        (void)record_change(to, m->name, record_string(kept, m), kept->line + m->more);
        break;
    }
}

void record_play(const struct record *kept, struct record *to, enum record_form form)
{
    record_begin(to, form, kept->event);
    for (unsigned i = 0; i < kept->count; i++)
        record_add(to, kept, &kept->member[i]);
    to->cut = to->cut || kept->cut;
}

const struct member *record_find(const struct record *kept, const char *name)
{
    for (unsigned i = 0; i < kept->count; i++)
        if (kept->member[i].kind != MEMBER_CHANGE && strcmp(kept->member[i].name, name) == 0)
            return &kept->member[i];
    return NULL;
}

uint64_t record_number(const struct record *kept, const char *name, uint64_t otherwise)
{
    const struct member *member = record_find(kept, name);
    bool number = member && (member->kind == MEMBER_DEC || member->kind == MEMBER_HEX ||
                             member->kind == MEMBER_CS_RIP);
    return number ? member->number : otherwise;
}

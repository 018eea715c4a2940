/* Lines of a trace: text and JSON. RFC 8259 "The JavaScript Object Notation (JSON) Data Interchange Format". */
#include "emu/debug/record.h"

#include "emu/compiler.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* Room for the longest end of a line: `],"cut":true}` and the line feed. */
#define RECORD_RESERVE 16

static bool json(const struct record *record)
{
    return record->format == PACIFICA_TRACE_JSONL;
}

/* Add formatted text; false if it does not fit (then the line is as before). */
static bool append(struct record *record, const char *fmt, ...) EMU_PRINTF(2, 3);
static bool append(struct record *record, const char *fmt, ...)
{
    size_t room = RECORD_BYTES - RECORD_RESERVE - record->used;
    va_list args;
    va_start(args, fmt);
    int length = vsnprintf(record->line + record->used, room, fmt, args);
    va_end(args);
    if (length < 0 || (size_t)length >= room)
        return false;
    record->used += (size_t)length;
    return true;
}

/* One character of a text. Guests choose some texts, so nothing but printable ASCII goes to a terminal. */
static bool append_char(struct record *record, unsigned char c)
{
    if (c >= 0x20 && c < 0x7f && !(json(record) && (c == '"' || c == '\\')))
        return append(record, "%c", c);
    if (!json(record))
        return append(record, "\\x%02x", c);
    if (c == '"' || c == '\\')
        return append(record, "\\%c", c);
    return append(record, "\\u%04x", c); /* bytes of 80h and more count as Latin-1 */
}

static bool append_chars(struct record *record, const char *text)
{
    for (; *text; text++)
        if (!append_char(record, (unsigned char)*text))
            return false;
    return true;
}

static bool append_bytes(struct record *record, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!append(record, "%02x", bytes[i]))
            return false;
    return true;
}

/* What stands before and behind the value of a text field. */
static bool open_text(struct record *record, const char *name)
{
    return append(record, json(record) ? ",\"%s\":\"" : " %s ", name);
}

static bool close_text(struct record *record)
{
    return !json(record) || append(record, "\"");
}

/* Keep a field that was added whole, or take back the part that fitted. */
static void settle(struct record *record, size_t before, bool whole)
{
    if (whole)
        return;
    record->used = before;
    record->cut = true;
}

void record_begin(struct record *record, enum pacifica_trace_format format, const char *event)
{
    record->format = format;
    record->cut = false;
    record->listing = false;
    record->used = 0;
    (void)append(record, json(record) ? "{\"event\":\"%s\"" : "%s", event);
}

void record_dec(struct record *record, const char *name, uint64_t value)
{
    size_t before = record->used;
    settle(record, before,
           append(record, json(record) ? ",\"%s\":%" PRIu64 : " %s %" PRIu64, name, value));
}

void record_hex(struct record *record, const char *name, uint64_t value)
{
    size_t before = record->used;
    settle(
        record, before,
        append(record, json(record) ? ",\"%s\":\"0x%" PRIx64 "\"" : " %s 0x%" PRIx64, name, value));
}

void record_bool(struct record *record, const char *name, bool value)
{
    size_t before = record->used;
    settle(record, before,
           append(record, json(record) ? ",\"%s\":%s" : " %s %s", name, value ? "true" : "false"));
}

void record_text(struct record *record, const char *name, const char *value)
{
    size_t before = record->used;
    settle(record, before,
           open_text(record, name) && append_chars(record, value) && close_text(record));
}

void record_bytes(struct record *record, const char *name, const uint8_t *bytes, size_t size)
{
    size_t before = record->used;
    settle(record, before,
           open_text(record, name) && append_bytes(record, bytes, size) && close_text(record));
}

void record_cs_rip(struct record *record, uint16_t cs, uint64_t rip)
{
    size_t before = record->used;
    settle(record, before,
           append(record,
                  json(record) ? ",\"cs\":\"0x%04x\",\"rip\":\"0x%" PRIx64 "\""
                               : " at %04x:%016" PRIx64,
                  cs, rip));
}

void record_note(struct record *record, const char *note)
{
    size_t before = record->used;
    bool opened = json(record) ? open_text(record, "note") : append(record, ": ");
    settle(record, before, opened && append_chars(record, note) && close_text(record));
}

bool record_change(struct record *record, const char *field, const char *before, const char *after)
{
    size_t used = record->used;
    bool first = !record->listing, fits;
    if (json(record))
        fits = append(record, "%s{\"field\":\"%s\",\"old\":\"%s\",\"new\":\"%s\"}",
                      first ? ",\"changes\":[" : ",", field, before, after);
    else
        fits = append(record, "%s %s %s -> %s", first ? ":" : ",", field, before, after);
    if (fits)
        record->listing = true;
    else
        record->used = used;
    return fits;
}

void record_end(struct record *record, const struct pacifica_output *output)
{
    const char *end = json(record) ? (record->cut ? ",\"cut\":true}\n" : "}\n")
                                   : (record->cut ? " (cut)\n" : "\n");
    size_t length = (size_t)snprintf(record->line + record->used, RECORD_RESERVE, "%s%s",
                                     record->listing && json(record) ? "]" : "", end);
    if (output->write)
        output->write(output->self, record->line, record->used + length);
}

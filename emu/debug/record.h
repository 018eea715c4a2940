/* One event of a trace as a line: the same fields as text for people or as a JSON object.
 *
 * Fields are added in order; what does not fit is left out and the line says "cut", so that a JSON line is whole
 * whatever was added. docs/trace-schema.md describes the result. */
#ifndef EMU_DEBUG_RECORD_H
#define EMU_DEBUG_RECORD_H

#include <pacifica/pacifica.h>

#define RECORD_BYTES 1024

/* Invariant: used < RECORD_BYTES - the room the end of a line needs. */
struct record {
    enum pacifica_trace_format format;
    bool cut;
    bool listing; /* a list of changes was begun */
    size_t used;
    char line[RECORD_BYTES];
};

/* Start a line about an event. */
void record_begin(struct record *record, enum pacifica_trace_format format, const char *event);

/* Add a field: a decimal number, a number in hexadecimal (in JSON a string, for 64 bits do not fit a JSON number), a
 * truth value, a text, bytes. */
void record_dec(struct record *record, const char *name, uint64_t value);
void record_hex(struct record *record, const char *name, uint64_t value);
void record_bool(struct record *record, const char *name, bool value);
void record_text(struct record *record, const char *name, const char *value);
void record_bytes(struct record *record, const char *name, const uint8_t *bytes, size_t size);

/* Add CS:RIP. */
void record_cs_rip(struct record *record, uint16_t cs, uint64_t rip);

/* Add an explanation in words: the JSON member "note"; in text behind a colon. To be added last. */
void record_note(struct record *record, const char *note);

/* Add a change to a list of them, which is the last member: {"field":...,"old":...,"new":...} of the JSON member "changes"; in
 * text FIELD OLD -> NEW behind a colon. false: it does not fit; the line is as before, and a further one may take it. */
bool record_change(struct record *record, const char *field, const char *before, const char *after);

/* Finish the line and hand it over. */
void record_end(struct record *record, const struct pacifica_output *output);

#endif

/* One event of a trace: the same members as text for people, as a JSON object, or kept for a form that needs all of them.
 *
 * Members are added in order; what does not fit is left out and the event says "cut", so that a JSON line is whole
 * whatever was added. What fits is decided by the JSON form in every form: all forms of an event have the same members.
 * docs/trace-schema.md describes the result. */
#ifndef EMU_TRACE_RECORD_H
#define EMU_TRACE_RECORD_H

#include <pacifica/pacifica.h>

#define RECORD_BYTES 4096
#define RECORD_MEMBERS 700 /* a member has at least 6 bytes of JSON */

enum record_form { RECORD_TEXT, RECORD_JSON, RECORD_KEPT };

enum member_kind {
    MEMBER_DEC,
    MEMBER_HEX,
    MEMBER_BOOL,
    MEMBER_TEXT,
    MEMBER_CS_RIP, /* number: RIP, more: CS */
    MEMBER_NOTE,
    MEMBER_CHANGE /* text: before, more: after */
};

struct member {
    enum member_kind kind;
    uint16_t text, more; /* where in record.line texts begin; they end with a zero byte */
    const char *name;    /* lives as long as the event is of interest */
    uint64_t number;
};

/* Invariants: used <= charged < RECORD_BYTES - the room the end of a line needs; a kept record's texts lie in line. */
struct record {
    enum record_form form;
    bool cut;
    bool listing;   /* a list of changes was begun */
    size_t charged; /* bytes of the JSON form */
    size_t used;    /* bytes of line */
    const char *event;
    unsigned count; /* members that are kept */
    char line[RECORD_BYTES];
    struct member member[RECORD_MEMBERS];
};

/* Start an event. */
void record_begin(struct record *record, enum record_form form, const char *event);

/* Add a member: a decimal number, a number in hexadecimal (in JSON a string, for 64 bits do not fit a JSON number), a
 * truth value, a text, bytes. */
void record_dec(struct record *record, const char *name, uint64_t value);
void record_hex(struct record *record, const char *name, uint64_t value);
void record_bool(struct record *record, const char *name, bool value);
void record_text(struct record *record, const char *name, const char *value);
void record_bytes(struct record *record, const char *name, const uint8_t *bytes, size_t size);

/* Members with these names are for programs, and the text form leaves them out: ns, insns, in_asid, in_rip. */
bool record_is_quiet(const char *name);

/* Add CS:RIP. */
void record_cs_rip(struct record *record, uint16_t cs, uint64_t rip);

/* Add an explanation in words: the JSON member "note"; in text behind a colon. To be added last. */
void record_note(struct record *record, const char *note);

/* Add a change to a list of them, which is the last member: {"field":...,"old":...,"new":...} of the JSON member "changes"; in
 * text FIELD OLD -> NEW behind a colon. false: it does not fit; the event is as before, and a further one may take it. */
bool record_change(struct record *record, const char *field, const char *before, const char *after);

/* Finish a line and hand it over. Not for a kept record. */
void record_end(struct record *record, const struct pacifica_output *output);

/* --- a kept record ------------------------------------------------------------------------ */

/* Add all members of a kept record to another, which was not begun. */
void record_play(const struct record *kept, struct record *to, enum record_form form);

/* Add one of them. */
void record_add(struct record *to, const struct record *kept, const struct member *member);

/* A member by name; NULL: there is none. "cs" and "rip" are one member named "rip". */
const struct member *record_find(const struct record *kept, const char *name);

/* The number of a member, or `otherwise` if there is none or it is no number. */
uint64_t record_number(const struct record *kept, const char *name, uint64_t otherwise);

static inline const char *record_string(const struct record *kept, const struct member *member)
{
    return kept->line + member->text;
}

/* A text as JSON has it between quotes, and a number in hexadecimal: for other forms that are JSON. They return the end of
 * what was written, at most 6 bytes a character, or 18. */
char *record_escape(char *to, const char *text);
char *record_put_hex(char *to, uint64_t value);
char *record_put_dec(char *to, uint64_t value);

#endif

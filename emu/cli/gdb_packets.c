/* Packets of the debugger: which function answers which. */
#include "emu/cli/gdb_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* --- answers ---------------------------------------------------------------------------------- */

void gdb_ok(struct gdb *gdb)
{
    gdb_text_put(&gdb->reply, "OK");
}

void gdb_fail(struct gdb *gdb, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    for (char *at = text; *at; at++)
        if (strchr("$#}*", *at) || (unsigned char)*at < ' ')
            *at = ' '; /* they would mean something on the line */
    gdb_text_clear(&gdb->reply);
    gdb_text_put(&gdb->reply, "E.%s", text);
}

void gdb_fail_diag(struct gdb *gdb, const struct pacifica_diag *diag)
{
    gdb_fail(gdb, "%.120s%s%.250s", diag->where, diag->where[0] ? ": " : "", diag->what);
}

void gdb_fail_malformed(struct gdb *gdb)
{
    gdb_text_clear(&gdb->reply);
    gdb_text_put(&gdb->reply, "E16"); /* EINVAL */
}

void gdb_fail_memory(struct gdb *gdb)
{
    gdb_text_clear(&gdb->reply);
    gdb_text_put(&gdb->reply, "E0e"); /* EFAULT */
}

/* --- threads --------------------------------------------------------------------------------- */

bool gdb_take_thread(const struct gdb *gdb, const char **text, unsigned *cpu, bool *all)
{
    uint64_t number;
    *all = false;
    if (gdb_take(text, '-')) {
        *all = true;
        return gdb_take(text, '1');
    }
    if (!gdb_take_number(text, &number) || number > gdb->cpus)
        return false;
    *all = number == 0;
    if (number)
        *cpu = (unsigned)number - 1;
    return true;
}

/* Hg: what registers and memory are of; Hc: what steps. Any and all leave it where it is. */
static void choose_thread(struct gdb *gdb, const char *text)
{
    char operation = *text;
    unsigned cpu = gdb->cpu;
    bool all;
    if (operation)
        text++;
    if ((operation != 'g' && operation != 'c') || !gdb_take_thread(gdb, &text, &cpu, &all) ||
        *text) {
        gdb_fail_malformed(gdb);
        return;
    }
    if (operation == 'g')
        gdb->cpu = cpu;
    else
        gdb->resume_cpu = cpu;
    gdb_ok(gdb);
}

static void is_alive(struct gdb *gdb, const char *text)
{
    unsigned cpu = 0;
    bool all;
    if (gdb_take_thread(gdb, &text, &cpu, &all) && !*text && !all)
        gdb_ok(gdb);
    else
        gdb_fail_malformed(gdb);
}

/* --- registers --------------------------------------------------------------------------------- */

static void put_register(struct gdb *gdb, unsigned number)
{
    uint8_t bytes[PACIFICA_REGISTER_BYTES];
    unsigned count = gdb->target.regs[number].bits / 8u;
    if (gdb_target_get(&gdb->target, gdb->machine, gdb->cpu, number, bytes))
        gdb_text_hex(&gdb->reply, bytes, count);
    else
        gdb_text_put(&gdb->reply, "%.*s", (int)(2 * count),
                     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
}

static void get_registers(struct gdb *gdb, const char *text)
{
    (void)text;
    for (unsigned i = 0; i < gdb->target.count; i++)
        put_register(gdb, i);
}

static void get_register(struct gdb *gdb, const char *text)
{
    uint64_t number;
    if (gdb_take_number(&text, &number) && !*text && number < gdb->target.count)
        put_register(gdb, (unsigned)number);
    else
        gdb_fail_malformed(gdb);
}

/* Write a register, if it is another value than it has: GDB's G packet holds what cannot be written, too. */
static bool set(struct gdb *gdb, unsigned number, const uint8_t *bytes)
{
    struct pacifica_diag diag = { 0 };
    uint8_t now[PACIFICA_REGISTER_BYTES];
    if (gdb_target_get(&gdb->target, gdb->machine, gdb->cpu, number, now) &&
        memcmp(now, bytes, gdb->target.regs[number].bits / 8) == 0)
        return true;
    if (gdb_target_set(&gdb->target, gdb->machine, gdb->cpu, number, bytes, &diag) == PACIFICA_OK)
        return true;
    gdb_fail_diag(gdb, &diag);
    return false;
}

static void set_register(struct gdb *gdb, const char *text)
{
    uint64_t number;
    uint8_t bytes[PACIFICA_REGISTER_BYTES];
    if (!gdb_take_number(&text, &number) || !gdb_take(&text, '=') || number >= gdb->target.count ||
        !gdb_take_bytes(&text, bytes, gdb->target.regs[number].bits / 8) || *text)
        gdb_fail_malformed(gdb);
    else if (set(gdb, (unsigned)number, bytes))
        gdb_ok(gdb);
}

static void set_registers(struct gdb *gdb, const char *text)
{
    uint8_t bytes[PACIFICA_REGISTER_BYTES];
    for (unsigned i = 0; i < gdb->target.count; i++) {
        size_t count = gdb->target.regs[i].bits / 8;
        if (*text == 'x' && strspn(text, "x") >= 2 * count) { /* unknown stays unknown */
            text += 2 * count;
            continue;
        }
        if (!gdb_take_bytes(&text, bytes, count)) {
            gdb_fail_malformed(gdb);
            return;
        }
        if (!set(gdb, i, bytes))
            return;
    }
    gdb_ok(gdb);
}

/* --- going and ending ----------------------------------------------------------------------------- */

/* Returns true if something is wrong, which the reply says. */
static bool go(struct gdb *gdb)
{
    struct gdb_resume resume;
    if (!gdb_resume_parse(gdb, &resume))
        return true;
    if (gdb->wishes->steps != gdb->end_told_at)
        gdb->end_told_at = UINT64_MAX; /* it has been taken back from there */
    gdb->resume = resume;
    gdb->running = true;
    gdb->wishes->paused = false;
    return false;
}

static void detach(struct gdb *gdb, const char *text)
{
    (void)text;
    gdb_ok(gdb);
    gdb->leaving = true;
}

static bool is_word(const char *text, const char *word)
{
    size_t length = strlen(word);
    return strncmp(text, word, length) == 0 && (!text[length] || strchr(";:?", text[length]));
}

/* Packets of several letters. Returns true if there is a reply. */
static bool long_packet(struct gdb *gdb, const char *text)
{
    if (strcmp(text, "Cont?") == 0) {
        gdb_text_put(&gdb->reply, "vCont;c;C;s;S;t;r");
    } else if (is_word(text, "Cont")) {
        return go(gdb);
    } else if (is_word(text, "CtrlC")) {
        gdb->wishes->paused = true;
        gdb_ok(gdb);
    } else if (is_word(text, "Kill")) {
        gdb->wishes->quit = true;
        gdb_ok(gdb);
    }
    return true; /* empty for all others */
}

/* --- finding --------------------------------------------------------------------------------------- */

static const struct packet_row {
    char letter;
    gdb_answer *answer;
} rows[] = {
    { 'g', get_registers },
    { 'G', set_registers },
    { 'p', get_register },
    { 'P', set_register },
    { 'm', gdb_memory_read },
    { 'M', gdb_memory_write },
    { 'x', gdb_memory_read_binary },
    { 'X', gdb_memory_write_binary },
    { 'Z', gdb_break_insert },
    { 'z', gdb_break_remove },
    { 'H', choose_thread },
    { 'T', is_alive },
    { 'q', gdb_query },
    { 'Q', gdb_set },
    { 'D', detach },
};

bool gdb_packet(struct gdb *gdb)
{
    const char *text = gdb->frame.body;
    gdb_text_clear(&gdb->reply);
    switch (text[0]) {
    case '?': gdb_stop_reply(gdb); return true;
    case '!': gdb_ok(gdb); return true;
    case 'b':
    case 'c':
    case 'C':
    case 's':
    case 'S': return go(gdb);
    case 'v': return long_packet(gdb, text + 1);
    case 'k': gdb->wishes->quit = true; return false;
    case 'R': gdb->wishes->reset = true; return false;
    default: break;
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].letter == text[0]) {
            rows[i].answer(gdb, text + 1);
            break;
        }
    if (gdb->reply.full)
        gdb_fail(gdb, "the answer is too long for a packet");
    return true;
}

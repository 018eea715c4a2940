/* Packets that ask, or set something of the protocol. */
#include "emu/cli/gdb_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- the protocol --------------------------------------------------------------------------- */

static bool has_word(const char *text, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = text; (at = strstr(at, word)); at += length)
        if ((at == text || at[-1] == ';' || at[-1] == ':') && (!at[length] || at[length] == ';'))
            return true;
    return false;
}

static void query_supported(struct gdb *gdb, const char *text)
{
    uint64_t first, latest;
    gdb->swbreak = has_word(text, "swbreak+");
    gdb->hwbreak = has_word(text, "hwbreak+");
    gdb_text_put(&gdb->reply,
                 "PacketSize=%x;QStartNoAckMode+;swbreak+;hwbreak+;vContSupported+;"
                 "qXfer:features:read+;qXfer:memory-map:read+;qXfer:threads:read+;binary-upload+",
                 GDB_PACKET_MOST);
    if (pacifica_travel_range(gdb->machine, &first, &latest))
        gdb_text_put(&gdb->reply, ";ReverseStep+;ReverseContinue+");
}

static void query_attached(struct gdb *gdb, const char *text)
{
    (void)text;
    gdb_text_put(&gdb->reply, "1"); /* so GDB leaves the machine alone when it ends */
}

static void query_offsets(struct gdb *gdb, const char *text)
{
    (void)text;
    gdb_text_put(&gdb->reply, "Text=0;Data=0;Bss=0");
}

static void query_symbol(struct gdb *gdb, const char *text)
{
    (void)text;
    gdb_ok(gdb); /* we need none */
}

/* --- threads ---------------------------------------------------------------------------------- */

static void query_current(struct gdb *gdb, const char *text)
{
    (void)text;
    gdb_text_put(&gdb->reply, "QC%x", gdb->cpu + 1);
}

static void query_first_threads(struct gdb *gdb, const char *text)
{
    (void)text;
    for (unsigned i = 0; i < gdb->cpus; i++)
        gdb_text_put(&gdb->reply, "%c%x", i ? ',' : 'm', i + 1);
}

static void query_more_threads(struct gdb *gdb, const char *text)
{
    (void)text;
    gdb_text_put(&gdb->reply, "l");
}

static void query_thread_info(struct gdb *gdb, const char *text)
{
    char words[GDB_THREAD_WORDS];
    unsigned cpu = 0;
    bool all;
    if (!gdb_take(&text, ',') || !gdb_take_thread(gdb, &text, &cpu, &all) || *text || all) {
        gdb_fail_malformed(gdb);
        return;
    }
    int length = gdb_thread_words(gdb, cpu, words);
    gdb_text_hex(&gdb->reply, words, (size_t)length);
}

/* --- the monitor -------------------------------------------------------------------------------- */

static void query_command(struct gdb *gdb, const char *text)
{
    char line[MONITOR_LINE];
    size_t length = strlen(text);
    if (!gdb_take(&text, ',') || length % 2 == 0 || length / 2 >= sizeof(line) ||
        !gdb_take_bytes(&text, line, length / 2)) {
        gdb_fail_malformed(gdb);
        return;
    }
    line[length / 2] = '\0';
    static const char hint[] =
        "GDB does not know that it moved: 'maintenance flush register-cache' tells it\n";
    uint64_t steps = gdb->wishes->steps;
    gdb->commanding = true;
    monitor_execute(&gdb->monitor, line);
    if (gdb->wishes->steps != steps)
        gdb_say(gdb, hint, sizeof(hint) - 1);
    gdb->commanding = false;
    gdb_ok(gdb);
}

/* --- finding ---------------------------------------------------------------------------------------- */

static const struct query_row {
    const char *name;
    gdb_answer *answer;
} rows[] = {
    { "Supported", query_supported },
    { "Attached", query_attached },
    { "Offsets", query_offsets },
    { "Symbol", query_symbol },
    { "C", query_current },
    { "fThreadInfo", query_first_threads },
    { "sThreadInfo", query_more_threads },
    { "ThreadExtraInfo", query_thread_info },
    { "Rcmd", query_command },
    { "Xfer", gdb_transfer },
};

/* Unknown ones get an empty reply. */
void gdb_query(struct gdb *gdb, const char *text)
{
    size_t length = strcspn(text, ":,;");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strlen(rows[i].name) == length && memcmp(rows[i].name, text, length) == 0) {
            rows[i].answer(gdb, text + length);
            return;
        }
}

void gdb_set(struct gdb *gdb, const char *text)
{
    if (strcmp(text, "StartNoAckMode") != 0)
        return;
    gdb->no_ack = true;
    gdb_ok(gdb);
}

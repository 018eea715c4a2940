/* Telling the debugger that the machine has stopped, and why. */
#include "emu/cli/gdb_priv.h"
#include "emu/cli/monitor_break.h"

#include <inttypes.h>
#include <string.h>

#define SAY_BYTES 1024

static enum gdb_signal signal_of(enum pacifica_stop stop)
{
    switch (stop) {
    case PACIFICA_STOP_REQUEST: return GDB_SIGNAL_INT;
    case PACIFICA_STOP_UNIMPLEMENTED: return GDB_SIGNAL_ILL;
    case PACIFICA_STOP_SHUTDOWN:
    case PACIFICA_STOP_HALTED: return GDB_SIGNAL_ABRT;
    default: return GDB_SIGNAL_TRAP;
    }
}

static void put_register(struct gdb *gdb, unsigned number)
{
    uint8_t bytes[PACIFICA_REGISTER_BYTES];
    if (!gdb_target_get(&gdb->target, gdb->machine, gdb->stop.cpu, number, bytes))
        return;
    gdb_text_put(&gdb->reply, "%02x:", number);
    gdb_text_hex(&gdb->reply, bytes, gdb->target.regs[number].bits / 8);
    gdb_text_put(&gdb->reply, ";");
}

/* What GDB has asked to be told of its own breakpoint. */
static void put_break(struct gdb *gdb, const struct gdb_break *hit)
{
    static const char *const watches[] = { "watch", "rwatch", "awatch" };
    if (hit->type == '0' && gdb->swbreak)
        gdb_text_put(&gdb->reply, "swbreak:;");
    else if (hit->type == '1' && gdb->hwbreak)
        gdb_text_put(&gdb->reply, "hwbreak:;");
    else if (hit->type >= '2')
        gdb_text_put(&gdb->reply, "%s:%" PRIx64 ";", watches[hit->type - '2'], hit->address);
}

void gdb_stop_reply(struct gdb *gdb)
{
    const struct pacifica_result *stop = &gdb->stop;
    const struct gdb_break *hit =
        stop->stop == PACIFICA_STOP_BREAK ? gdb_break_find(gdb, stop->break_id) : NULL;
    gdb->cpu = gdb->resume_cpu = stop->cpu;
    gdb_text_clear(&gdb->reply);
    gdb_text_put(&gdb->reply, "T%02x", signal_of(stop->stop));
    put_register(gdb, gdb->target.fp);
    put_register(gdb, gdb->target.sp);
    put_register(gdb, gdb->target.pc);
    gdb_text_put(&gdb->reply, "thread:%x;", stop->cpu + 1);
    if (hit)
        put_break(gdb, hit);
    else if (stop->stop == PACIFICA_STOP_BEGINNING)
        gdb_text_put(&gdb->reply, "replaylog:begin;");
    else if (stop->stop == PACIFICA_STOP_REPLAYED)
        gdb_text_put(&gdb->reply, "replaylog:end;");
}

void gdb_stop_explain(struct gdb *gdb)
{
    const struct pacifica_result *stop = &gdb->stop;
    char text[MONITOR_STOP_TEXT];
    if (stop->stop == PACIFICA_STOP_BREAK && gdb_break_find(gdb, stop->break_id))
        return; /* GDB tells it itself */
    if (stop->stop == PACIFICA_STOP_STEP || stop->stop == PACIFICA_STOP_REQUEST)
        return;
    monitor_stop_text(gdb->machine, stop, text);
    if (text[0])
        gdb_say(gdb, text, strlen(text));
}

void gdb_say(struct gdb *gdb, const void *bytes, size_t size)
{
    const uint8_t *from = bytes;
    if (!gdb->attached || (!gdb->running && !gdb->commanding))
        return;
    while (size) {
        struct gdb_text text;
        size_t part = size < SAY_BYTES ? size : SAY_BYTES;
        gdb_text_clear(&text);
        gdb_text_put(&text, "O");
        gdb_text_hex(&text, from, part);
        gdb_line_write(gdb, gdb->line, gdb_frame_line(&text, gdb->line));
        from += part;
        size -= part;
    }
}

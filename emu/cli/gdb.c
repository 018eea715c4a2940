/* The GDB stub: from the line to packets, and from stops to the line. */
#include "emu/cli/gdb_priv.h"
#include "emu/cli/monitor_break.h"

#include "emu/base/diag.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILLS_MOST 64     /* inputs between two slices */
#define RANGE_STEPS 20000 /* steps of a range between two looks at the line */

/* --- being there ---------------------------------------------------------------------------- */

static void monitor_output(void *self, const void *bytes, size_t size)
{
    gdb_say(self, bytes, size);
}

/* A debugger may go back to the beginning, unless the machine cannot. */
static void begin_travel(struct pacifica_machine *machine)
{
    const struct pacifica_travel_options options = PACIFICA_TRAVEL_INIT;
    struct pacifica_diag diag = { 0 };
    uint64_t first, latest;
    if (!pacifica_travel_range(machine, &first, &latest) &&
        pacifica_travel_begin(machine, &options, &diag) != PACIFICA_OK)
        (void)fprintf(stderr, "pacifica: gdb: no going back: %s%s%s\n", diag.where,
                      diag.where[0] ? ": " : "", diag.what);
}

enum pacifica_status gdb_open(struct gdb **out, const struct cli_options *options,
                              struct pacifica_machine *machine, struct pacifica_diag *diag)
{
    struct cli_chardev chardev = cli_gdb(options);
    *out = NULL;
    if (chardev.kind == CHARDEV_UNSET || chardev.kind == CHARDEV_NULL)
        return PACIFICA_OK;
    struct gdb *gdb = calloc(1, sizeof(*gdb));
    if (!gdb)
        return diag_set(diag, PACIFICA_ENOMEM, NULL, NULL, "no memory for the debugger");
    gdb->machine = machine;
    gdb->cpus = options->cpus;
    gdb->end_told_at = UINT64_MAX;
    enum pacifica_status status = gdb_target_init(&gdb->target, diag);
    if (status == PACIFICA_OK)
        status = gdb_line_open(gdb, &chardev, diag);
    if (status != PACIFICA_OK) {
        gdb_close(gdb);
        return status;
    }
    begin_travel(machine);
    *out = gdb;
    return PACIFICA_OK;
}

void gdb_close(struct gdb *gdb)
{
    if (!gdb)
        return;
    link_close(gdb->link);
    gdb_target_fini(&gdb->target);
    free(gdb);
}

void gdb_begin(struct gdb *gdb, struct run_wishes *wishes)
{
    if (!gdb)
        return;
    gdb->wishes = wishes;
    gdb->monitor = (struct monitor){ .machine = gdb->machine,
                                     .wishes = wishes,
                                     .output = { .write = monitor_output, .self = gdb },
                                     .cpus = gdb->cpus };
}

bool gdb_is_open(const struct gdb *gdb)
{
    return gdb && (gdb->link ? link_is_open(gdb->link) : gdb->input_open);
}

bool gdb_is_attached(const struct gdb *gdb)
{
    return gdb && gdb->attached;
}

unsigned gdb_polls(const struct gdb *gdb, struct pollfd *polls)
{
    unsigned count = 0;
    if (!gdb)
        return 0;
    int fd = gdb_line_fd(gdb);
    bool waits = gdb->link && gdb->link->count;
    if (fd >= 0)
        polls[count++] =
            (struct pollfd){ .fd = fd,
                             .events = (short)((gdb->count ? 0 : POLLIN) | (waits ? POLLOUT : 0)) };
    if (gdb->link && gdb->link->listener >= 0)
        polls[count++] = (struct pollfd){ .fd = gdb->link->listener, .events = POLLIN };
    return count;
}

/* --- coming and going ------------------------------------------------------------------------- */

/* The first packet makes a debugger of whoever has connected: the machine stands still. */
static void attach(struct gdb *gdb)
{
    if (gdb->attached)
        return;
    gdb->attached = true;
    gdb->wishes->paused = true;
    gdb->stop = (struct pacifica_result){ .stop = PACIFICA_STOP_NONE };
}

/* The debugger has left: what it has set goes with it, and the machine goes on.
 * CHOICE: who started us by a pipe has ended, so we end, too. */
static void leave(struct gdb *gdb)
{
    gdb_line_drop(gdb);
    gdb_breaks_forget(gdb);
    monitor_breaks_forget(&gdb->monitor);
    if (gdb->attached)
        gdb->wishes->paused = false;
    if (!gdb->link && !gdb->leaving)
        gdb->wishes->quit = true;
    gdb->attached = gdb->running = gdb->no_ack = gdb->swbreak = gdb->hwbreak = false;
    gdb->leaving = gdb->replied = false;
    gdb->resume = (struct gdb_resume){ .course = GDB_COURSE_RUN };
    gdb->cpu = gdb->resume_cpu = 0;
    gdb->end_told_at = UINT64_MAX;
    gdb->frame.at = GDB_FRAME_IDLE;
    gdb->count = 0;
}

static void send_reply(struct gdb *gdb)
{
    gdb_line_write(gdb, gdb->line, gdb_frame_line(&gdb->reply, gdb->line));
    gdb->replied = true;
}

static void acknowledge(struct gdb *gdb, const char *sign)
{
    if (!gdb->no_ack)
        gdb_line_write(gdb, sign, 1);
}

static void take_packet(struct gdb *gdb)
{
    acknowledge(gdb, "+");
    attach(gdb);
    gdb->replied = false;
    if (gdb_packet(gdb))
        send_reply(gdb);
}

/* GDB sends a damaged packet again if it is told; without acknowledgements it could not be. */
static void refuse_packet(struct gdb *gdb, const char *why)
{
    if (!gdb->attached)
        return;
    gdb_fail(gdb, "%s", why);
    send_reply(gdb);
}

static void take_byte(struct gdb *gdb, uint8_t byte)
{
    switch (gdb_frame_byte(&gdb->frame, byte)) {
    case GDB_FRAME_PACKET: take_packet(gdb); break;
    case GDB_FRAME_DAMAGED:
        if (gdb->no_ack)
            refuse_packet(gdb, "the checksum of a packet is wrong");
        acknowledge(gdb, "-");
        break;
    case GDB_FRAME_TOO_LONG:
        acknowledge(gdb, "+");
        refuse_packet(gdb, "the packet is too long");
        break;
    case GDB_FRAME_REPEAT:
        if (gdb->replied && !gdb->no_ack)
            send_reply(gdb);
        break;
    case GDB_FRAME_INTERRUPT:
        if (gdb->attached)
            gdb->wishes->paused = true;
        break;
    case GDB_FRAME_NOTHING: break;
    }
}

/* Somebody who sends without reading waits for himself. What stands behind a packet that lets the machine go, or ends
 * something, is for later. */
static bool takes_more(const struct gdb *gdb)
{
    const struct run_wishes *wishes = gdb->wishes;
    return gdb->count && gdb_line_has_room(gdb) && !gdb->leaving && !wishes->quit && !wishes->reset;
}

static void take_input(struct gdb *gdb)
{
    while (takes_more(gdb)) {
        gdb->count--;
        take_byte(gdb, gdb->input[gdb->first++]);
    }
}

static void tell_stop(struct gdb *gdb)
{
    gdb_stop_explain(gdb);
    gdb_stop_reply(gdb);
    gdb->running = false;
    gdb->resume.course = GDB_COURSE_RUN;
    send_reply(gdb);
    gdb_line_flush(gdb);
}

void gdb_feed(struct gdb *gdb)
{
    if (!gdb)
        return;
    bool was_connected = gdb_line_connected(gdb);
    for (unsigned i = 0; i < FILLS_MOST; i++) {
        if (gdb->count == 0)
            gdb_line_fill(gdb);
        if (!takes_more(gdb))
            break;
        take_input(gdb);
    }
    gdb_line_flush(gdb);
    /* Ctrl-C, or `stop` of a monitor. */
    if (gdb->running && gdb->wishes->paused) {
        gdb->stop =
            (struct pacifica_result){ .stop = PACIFICA_STOP_REQUEST, .cpu = gdb->resume.cpu };
        tell_stop(gdb);
    }
    if (gdb->leaving || ((was_connected || gdb->attached) && !gdb_line_connected(gdb)))
        leave(gdb);
}

/* --- running ----------------------------------------------------------------------------------- */

/* Steps until the processor leaves the range. To be looked at again after some: STOP_LIMIT_TIME. */
static void run_range(struct gdb *gdb, const struct pacifica_limits *limits,
                      struct pacifica_result *result)
{
    const struct gdb_resume *resume = &gdb->resume;
    for (unsigned i = 0; i < RANGE_STEPS; i++) {
        pacifica_machine_step(gdb->machine, resume->cpu, limits->max_steps, result);
        uint64_t pc = gdb_target_pc(&gdb->target, gdb->machine, resume->cpu);
        if (result->stop != PACIFICA_STOP_STEP || pc < resume->start || pc >= resume->end)
            return;
    }
    result->stop = PACIFICA_STOP_LIMIT_TIME;
}

bool gdb_run(struct gdb *gdb, const struct pacifica_limits *limits, struct pacifica_result *result)
{
    if (!gdb || !gdb->running)
        return false;
    switch (gdb->resume.course) {
    case GDB_COURSE_STEP:
        pacifica_machine_step(gdb->machine, gdb->resume.cpu, limits->max_steps, result);
        return true;
    case GDB_COURSE_RANGE: run_range(gdb, limits, result); return true;
    case GDB_COURSE_BACK:
    case GDB_COURSE_BACK_STEP: gdb_back(gdb, result); return true;
    default: return false;
    }
}

/* After these nothing goes on. The debugger may look, and go back; going on from there ends the run. */
static bool is_end(enum pacifica_stop stop)
{
    return stop == PACIFICA_STOP_SHUTDOWN || stop == PACIFICA_STOP_UNIMPLEMENTED ||
           stop == PACIFICA_STOP_HALTED || stop == PACIFICA_STOP_WATCH ||
           stop == PACIFICA_STOP_REPLAYED;
}

bool gdb_stopped(struct gdb *gdb, const struct pacifica_result *result)
{
    if (!gdb || !gdb->attached)
        return false;
    if (is_end(result->stop)) {
        if (!gdb->running || gdb->end_told_at == result->steps)
            return false;
        gdb->end_told_at = result->steps;
    }
    gdb->stop = *result;
    if (gdb->running)
        tell_stop(gdb);
    return true;
}

void gdb_ended(struct gdb *gdb, int status, int signal)
{
    if (!gdb || !gdb->attached || !gdb->running)
        return;
    gdb_text_clear(&gdb->reply);
    gdb_text_put(&gdb->reply, "%c%02x", signal ? 'X' : 'W', (signal ? signal : status) & 0xff);
    send_reply(gdb);
    gdb_line_flush(gdb);
}

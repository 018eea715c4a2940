/* The Trace Event Format. Process 1 has a thread for each vCPU: slices of the time in the host and in each guest, and every
 * event as an instant. Process 1000 + ASID has the slices of that guest, by vCPU. Between any two events the array can be cut:
 * readers take it without its end. */
#include "emu/trace/perfetto.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emu/compiler.h"

#define PROCESSORS 1u      /* process */
#define GUESTS 1000u       /* first of the processes of guests */
#define ASIDS 0x10000u     /* whose tracks are named once */
#define PIECE_BYTES 16384u /* an event's members twice, and the frame */

enum place { NOWHERE, IN_HOST, IN_GUEST };

struct perfetto_cpu {
    bool named;
    enum place place;
    uint64_t asid;  /* IN_GUEST */
    uint64_t ts_ns; /* of the last event */
};

struct perfetto {
    struct pacifica_output output;
    bool any;       /* something stands in the array */
    uint64_t *seen; /* for each ASID: vCPUs whose track has a name */
    struct perfetto_cpu cpu[PACIFICA_CPUS_MOST];
    size_t used;
    char piece[PIECE_BYTES];
};

/* --- writing ---------------------------------------------------------------------------------- */

static void add(struct perfetto *p, const char *fmt, ...) EMU_PRINTF(2, 3);
static void add(struct perfetto *p, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int length = vsnprintf(p->piece + p->used, PIECE_BYTES - p->used, fmt, args);
    va_end(args);
    if (length > 0)
        p->used += (size_t)length;
}

static void add_text(struct perfetto *p, const char *text)
{
    p->used = (size_t)(record_escape(p->piece + p->used, text) - p->piece);
}

static void send(struct perfetto *p)
{
    if (p->output.write && p->used)
        p->output.write(p->output.self, p->piece, p->used);
    p->used = 0;
}

/* Begin an element of the array: its phase and its track. */
static void begin(struct perfetto *p, const char *phase, uint64_t pid, unsigned cpu)
{
    add(p, "%s{\"ph\":\"%s\",\"pid\":%" PRIu64 ",\"tid\":%u", p->any ? ",\n" : "", phase, pid,
        cpu + 1);
    p->any = true;
}

/* Times are microseconds. */
static void add_ts(struct perfetto *p, uint64_t ns)
{
    add(p, ",\"ts\":%" PRIu64 ".%03u", ns / 1000, (unsigned)(ns % 1000));
}

static void finish(struct perfetto *p)
{
    add(p, "}");
    send(p);
}

/* --- names of tracks ---------------------------------------------------------------------------- */

static void name_track(struct perfetto *p, const char *what, uint64_t pid, unsigned cpu,
                       const char *name)
{
    begin(p, "M", pid, cpu);
    add(p, ",\"name\":\"%s\",\"args\":{\"name\":\"%s\"}", what, name);
    finish(p);
}

static void name_cpu(struct perfetto *p, unsigned cpu)
{
    char name[32];
    bool first = true;
    for (unsigned i = 0; i < PACIFICA_CPUS_MOST; i++)
        first = first && !p->cpu[i].named;
    if (p->cpu[cpu].named)
        return;
    p->cpu[cpu].named = true;
    (void)snprintf(name, sizeof(name), "vCPU %u", cpu);
    if (first)
        name_track(p, "process_name", PROCESSORS, cpu, "processors");
    name_track(p, "thread_name", PROCESSORS, cpu, name);
}

static void name_guest(struct perfetto *p, unsigned cpu, uint64_t asid)
{
    char name[48];
    uint64_t seen = asid < ASIDS ? p->seen[asid] : 0;
    if (seen >> cpu & 1)
        return;
    if (asid < ASIDS)
        p->seen[asid] |= UINT64_C(1) << cpu;
    if (!seen) {
        (void)snprintf(name, sizeof(name), "guest ASID %" PRIu64, asid);
        name_track(p, "process_name", GUESTS + asid, cpu, name);
    }
    (void)snprintf(name, sizeof(name), "on vCPU %u", cpu);
    name_track(p, "thread_name", GUESTS + asid, cpu, name);
}

/* --- slices --------------------------------------------------------------------------------------- */

/* End the slice that is open, if one is; exit: the name of the #VMEXIT that does it, or NULL. */
static void leave(struct perfetto *p, unsigned cpu, const char *exit)
{
    struct perfetto_cpu *c = &p->cpu[cpu];
    for (unsigned track = 0; track < (c->place == IN_GUEST ? 2u : c->place == IN_HOST); track++) {
        begin(p, "E", track ? GUESTS + c->asid : PROCESSORS, cpu);
        add_ts(p, c->ts_ns);
        if (exit) {
            add(p, ",\"args\":{\"exit\":\"");
            add_text(p, exit);
            add(p, "\"}");
        }
        finish(p);
    }
    c->place = NOWHERE;
}

static void enter_host(struct perfetto *p, unsigned cpu)
{
    p->cpu[cpu].place = IN_HOST;
    begin(p, "B", PROCESSORS, cpu);
    add_ts(p, p->cpu[cpu].ts_ns);
    add(p, ",\"name\":\"host\",\"cat\":\"host\"");
    finish(p);
}

static void enter_guest(struct perfetto *p, unsigned cpu, uint64_t asid)
{
    name_guest(p, cpu, asid);
    p->cpu[cpu].place = IN_GUEST;
    p->cpu[cpu].asid = asid;
    for (unsigned track = 0; track < 2; track++) {
        begin(p, "B", track ? GUESTS + asid : PROCESSORS, cpu);
        add_ts(p, p->cpu[cpu].ts_ns);
        add(p, ",\"name\":\"ASID %" PRIu64 "\",\"cat\":\"guest\"", asid);
        finish(p);
    }
}

/* --- instants --------------------------------------------------------------------------------------- */

static void add_value(struct perfetto *p, const struct record *kept, const struct member *m)
{
    switch (m->kind) {
    case MEMBER_DEC: add(p, "%" PRIu64, m->number); break;
    case MEMBER_BOOL: add(p, "%s", m->number ? "true" : "false"); break;
    case MEMBER_HEX:
    case MEMBER_CS_RIP: add(p, "\"0x%" PRIx64 "\"", m->number); break;
    case MEMBER_TEXT:
    case MEMBER_NOTE:
        add(p, "\"");
        add_text(p, record_string(kept, m));
        add(p, "\"");
        break;
    case MEMBER_CHANGE:
        add(p, "\"");
        add_text(p, record_string(kept, m));
        add(p, " -> ");
        add_text(p, kept->line + m->more);
        add(p, "\"");
        break;
    }
}

static bool is_frame(const char *name)
{
    return strcmp(name, "cpu") == 0 || strcmp(name, "ns") == 0;
}

static void instant(struct perfetto *p, unsigned cpu, const struct record *kept, const char *name)
{
    const char *comma = "";
    begin(p, "i", PROCESSORS, cpu);
    add_ts(p, p->cpu[cpu].ts_ns);
    add(p, ",\"s\":\"t\",\"name\":\"");
    add_text(p, name);
    add(p, "\",\"cat\":\"");
    add_text(p, kept->event);
    add(p, "\",\"args\":{");
    for (unsigned i = 0; i < kept->count; i++) {
        const struct member *m = &kept->member[i];
        if (is_frame(m->name))
            continue;
        add(p, "%s\"", comma);
        add_text(p, m->name);
        add(p, "\":");
        add_value(p, kept, m);
        comma = ",";
    }
    add(p, "}");
    finish(p);
}

static const char *string_of(const struct record *kept, const char *name)
{
    const struct member *member = record_find(kept, name);
    return member && member->kind == MEMBER_TEXT ? record_string(kept, member) : NULL;
}

/* Injections and flushes that VMRUN does are instants of their own. */
static void vmrun(struct perfetto *p, unsigned cpu, const struct record *kept)
{
    const char *injects = string_of(kept, "injects");
    char name[96];
    leave(p, cpu, NULL);
    enter_guest(p, cpu, record_number(kept, "asid", 0));
    instant(p, cpu, kept, "VMRUN");
    if (record_number(kept, "tlb_control", 0))
        instant(p, cpu, kept, "flush by TLB_CONTROL");
    if (!injects)
        return;
    (void)snprintf(name, sizeof(name), "inject %.64s", injects);
    instant(p, cpu, kept, name);
}

static void vmexit(struct perfetto *p, unsigned cpu, const struct record *kept)
{
    const char *name = string_of(kept, "name");
    char text[32];
    if (!name || strcmp(name, "reserved") == 0) {
        (void)snprintf(text, sizeof(text), "exit 0x%" PRIx64, record_number(kept, "code", 0));
        name = text;
    }
    instant(p, cpu, kept, name);
    leave(p, cpu, name);
    enter_host(p, cpu);
}

/* Any other event: it opens the slice that it lies in, if it is the first. */
static void other(struct perfetto *p, unsigned cpu, const struct record *kept)
{
    const char *op = string_of(kept, "op");
    uint64_t asid = record_number(kept, "in_asid", 0);
    char name[96];
    if (p->cpu[cpu].place == NOWHERE && asid)
        enter_guest(p, cpu, asid);
    else if (p->cpu[cpu].place == NOWHERE)
        enter_host(p, cpu);
    (void)snprintf(name, sizeof(name), "%.40s%s%.40s", kept->event, op ? " " : "", op ? op : "");
    instant(p, cpu, kept, name);
}

static void leave_all(struct perfetto *p)
{
    for (unsigned cpu = 0; cpu < PACIFICA_CPUS_MOST; cpu++)
        leave(p, cpu, NULL);
}

void perfetto_put(struct perfetto *p, const struct record *kept)
{
    unsigned cpu = (unsigned)(record_number(kept, "cpu", 0) % PACIFICA_CPUS_MOST);
    uint64_t ns = record_number(kept, "ns", record_number(kept, "step", 0));
    struct perfetto_cpu *c = &p->cpu[cpu];
    if (ns > c->ts_ns) /* never backwards, whatever a file says */
        c->ts_ns = ns;
    name_cpu(p, cpu);
    if (strcmp(kept->event, "vmrun") == 0)
        vmrun(p, cpu, kept);
    else if (strcmp(kept->event, "vmexit") == 0)
        vmexit(p, cpu, kept);
    else
        other(p, cpu, kept);
    if (strcmp(kept->event, "ring") == 0) /* what comes next is not known to be near */
        leave_all(p);
}

void perfetto_end(struct perfetto *p)
{
    leave_all(p);
    add(p, "\n]\n");
    send(p);
}

struct perfetto *perfetto_new(const struct pacifica_output *output)
{
    struct perfetto *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->seen = calloc(ASIDS, sizeof(p->seen[0]));
    if (!p->seen) {
        free(p);
        return NULL;
    }
    p->output = *output;
    add(p, "[\n");
    send(p);
    return p;
}

void perfetto_free(struct perfetto *p)
{
    if (!p)
        return;
    free(p->seen);
    free(p);
}

/* qXfer: documents that GDB reads part by part. */
#include "emu/cli/gdb_priv.h"
#include "emu/cli/gdb_xml.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REGIONS 32
#define HALF (UINT64_C(1) << 63)
#define CR0_PG 0x80u /* in its byte 3 */

/* --- threads ---------------------------------------------------------------------------------- */

static uint64_t value_of(struct gdb *gdb, unsigned cpu, const char *name)
{
    union {
        uint64_t value;
        uint8_t bytes[PACIFICA_REGISTER_BYTES];
    } got = { .bytes = { 0 } };
    for (unsigned i = 0; i < gdb->target.count; i++)
        if (strcmp(gdb->target.regs[i].name, name) == 0)
            (void)gdb_target_get(&gdb->target, gdb->machine, cpu, i, got.bytes);
    return got.value;
}

/* What a processor does, from the line that `info cpus` has for it: "cpu 0: runs, ...". */
struct activity {
    char start[16]; /* what its line begins with, behind two characters */
    char line[64];
    size_t length;
    char words[32];
};

static void hear_activity(void *self, const void *bytes, size_t size)
{
    struct activity *activity = self;
    const char *from = bytes;
    for (size_t i = 0; i < size; i++) {
        if (from[i] != '\n') {
            if (activity->length < sizeof(activity->line) - 1)
                activity->line[activity->length++] = from[i];
            continue;
        }
        activity->line[activity->length] = '\0';
        activity->length = 0;
        const char *at = strstr(activity->line, activity->start);
        if (at == activity->line + 2) {
            at += strlen(activity->start);
            (void)snprintf(activity->words, sizeof(activity->words), "%.*s",
                           (int)strcspn(at, ",<>&"), at);
        }
    }
}

int gdb_thread_words(struct gdb *gdb, unsigned cpu, char *words)
{
    struct activity activity = { .words = "" };
    const struct pacifica_output output = { .write = hear_activity, .self = &activity };
    char level[32] = "host";
    (void)snprintf(activity.start, sizeof(activity.start), "cpu %u: ", cpu);
    (void)pacifica_machine_info(gdb->machine, 0, "cpus", &output, NULL);
    if (value_of(gdb, cpu, "guest_mode"))
        (void)snprintf(level, sizeof(level), "guest ASID %" PRIu64, value_of(gdb, cpu, "asid"));
    return snprintf(words, GDB_THREAD_WORDS, "CPU %u [%s%s%s]", cpu, level,
                    activity.words[0] ? ", " : "", activity.words);
}

static void write_threads(struct gdb *gdb, struct xml *xml)
{
    char words[GDB_THREAD_WORDS];
    xml_put(xml, "<?xml version=\"1.0\"?>\n<threads>\n");
    for (unsigned i = 0; i < gdb->cpus; i++) {
        (void)gdb_thread_words(gdb, i, words);
        xml_put(xml, "<thread id=\"%x\" core=\"%u\">%s</thread>\n", i + 1, i, words);
    }
    xml_put(xml, "</threads>\n");
}

/* --- memory ------------------------------------------------------------------------------------- */

static void put_region(struct xml *xml, const char *type, uint64_t start, uint64_t end)
{
    if (end != start) /* an end of 0 is that of the whole space */
        xml_put(xml, "<memory type=\"%s\" start=\"0x%" PRIx64 "\" length=\"0x%" PRIx64 "\"/>\n",
                type, start, end - start);
}

/* CHOICE: GDB's addresses are linear, and it touches nothing that the map leaves out. So all of the linear space stands there as RAM,
 * in halves since its length has no 64-bit number; and ROM as such, as long as paging is off and linear addresses
 * are physical ones. */
static void write_map(struct gdb *gdb, struct xml *xml)
{
    struct pacifica_memory_region regions[REGIONS];
    uint64_t cr0 = value_of(gdb, gdb->cpu, "cr0"), at = 0;
    size_t count = pacifica_machine_memory_map(gdb->machine, regions, REGIONS);
    xml_put(xml, "<?xml version=\"1.0\"?>\n"
                 "<!DOCTYPE memory-map PUBLIC \"+//IDN gnu.org//DTD GDB Memory Map V1.0//EN\" "
                 "\"http://sourceware.org/gdb/gdb-memory-map.dtd\">\n<memory-map>\n");
    if (cr0 & CR0_PG << 24)
        count = 0;
    for (size_t i = 0; i < count && i < REGIONS; i++) {
        const struct pacifica_memory_region *region = &regions[i];
        if (region->kind != PACIFICA_MEMORY_ROM || region->base < at || region->base >= HALF)
            continue;
        put_region(xml, "ram", at, region->base);
        put_region(xml, "rom", region->base, region->base + region->bytes);
        at = region->base + region->bytes;
    }
    put_region(xml, "ram", at, HALF);
    put_region(xml, "ram", HALF, 0);
    xml_put(xml, "</memory-map>\n");
}

/* --- parts ---------------------------------------------------------------------------------------- */

/* OFFSET,LENGTH of a document: l and the rest, or m and as much as was wanted and has room. */
static void put_part(struct gdb *gdb, const char *range, const char *document, size_t size)
{
    uint64_t offset, length;
    if (!gdb_take_number(&range, &offset) || !gdb_take(&range, ',') ||
        !gdb_take_number(&range, &length) || *range || offset > size) {
        gdb_fail_malformed(gdb);
        return;
    }
    size_t left = size - (size_t)offset, part = length < left ? (size_t)length : left;
    gdb_text_put(&gdb->reply, "l");
    if (gdb_text_binary(&gdb->reply, document + offset, part) < left)
        gdb->reply.bytes[0] = 'm';
}

static void put_made(struct gdb *gdb, const char *range,
                     void (*write)(struct gdb *gdb, struct xml *xml))
{
    struct xml xml = { .text = NULL };
    write(gdb, &xml);
    if (xml.failed)
        gdb_fail(gdb, "no memory");
    else
        put_part(gdb, range, xml.text, xml.size);
    free(xml.text);
}

/* What stands behind `name`, or NULL. */
static const char *behind(const char *text, const char *name)
{
    size_t length = strlen(name);
    return strncmp(text, name, length) == 0 ? text + length : NULL;
}

void gdb_transfer(struct gdb *gdb, const char *text)
{
    const char *range;
    if ((range = behind(text, ":features:read:target.xml:")))
        put_part(gdb, range, gdb->target.xml, gdb->target.xml_size);
    else if ((range = behind(text, ":memory-map:read::")))
        put_made(gdb, range, write_map);
    else if ((range = behind(text, ":threads:read::")))
        put_made(gdb, range, write_threads);
    else if (behind(text, ":features:read:"))
        gdb_fail_malformed(gdb); /* no such annex */
}

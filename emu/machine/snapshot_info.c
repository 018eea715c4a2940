/* Telling what a snapshot holds, and in what two of them differ. */
#include "emu/machine/snapshot.h"

#include "emu/base/diag.h"
#include "emu/base/output.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_SPLIT UINT64_C(0xe0000000) /* as paging/memory.h lays out RAM */
#define MEMORY_LOW_END UINT64_C(0xc0000000)
#define MEMORY_HIGH (UINT64_C(4) << 30)

#define INDENT 20
#define COLUMNS 100
#define WORD_MOST 128u

/* --- info ------------------------------------------------------------------------------------------- */

/* The words of a line, in as many lines as they take. */
static void write_line(const char *line, size_t length, const struct pacifica_output *output)
{
    size_t colon = strcspn(line, ":\n"), column = INDENT;
    size_t key = line[colon] == ':' ? colon : strcspn(line, " \n");
    size_t at = line[key] == ':' ? key + 1 : key;
    output_put(output, "%-*.*s", INDENT - 1, (int)key, line);
    while (at < length) {
        size_t word = 1 + strcspn(line + at + 1, " \n");
        if (word > WORD_MOST)
            word = WORD_MOST;
        if (column > INDENT && column + word > COLUMNS) {
            output_put(output, "\n%*s", INDENT - 1, "");
            column = INDENT;
        }
        output_put(output, "%.*s", (int)word, line + at);
        column += word;
        at += word;
    }
    output_put(output, "\n");
}

static void write_text(const struct snapshot *snapshot, const struct pacifica_output *output)
{
    const char *line = snapshot->text;
    while (*line) {
        size_t length = strcspn(line, "\n");
        write_line(line, length, output);
        line += length + (line[length] == '\n');
    }
}

static uint64_t page_total(const struct snapshot *snapshot, uint64_t *packed)
{
    uint64_t pages = 0;
    *packed = 0;
    for (size_t i = 0; i < snapshot->groups; i++) {
        pages += snapshot->group[i].pages;
        *packed += snapshot->group[i].frame_bytes;
    }
    return pages;
}

static void write_info(const struct snapshot *snapshot, const struct pacifica_output *output)
{
    uint64_t packed, pages = page_total(snapshot, &packed);
    output_put(output, "%-*s %u, %zu bytes\n", INDENT - 1, "format", SNAPSHOT_FORMAT,
               snapshot->file.size);
    write_text(snapshot, output);
    output_put(output, "%-*s %" PRIu64 " KiB that are not zero, %" PRIu64 " KiB in the file\n",
               INDENT - 1, "pages", pages * SNAPSHOT_PAGE / 1024, packed / 1024);
    output_put(output, "\n%-24s %7s %10s %10s\n", "section", "version", "bytes", "in file");
    for (size_t i = 0; i < snapshot->sections; i++) {
        const struct snapshot_section *section = &snapshot->section[i];
        char name[SNAP_NAME + 16];
        (void)snprintf(name, sizeof(name), "%s.%" PRIu32, section->name, section->instance);
        output_put(output, "%-24s %7" PRIu32 " %10zu %10zu\n", name, section->version,
                   section->bytes, section->packed);
    }
}

enum pacifica_status pacifica_snapshot_info(const struct pacifica_bytes *bytes,
                                            const struct pacifica_output *output,
                                            struct pacifica_diag *diag)
{
    struct snapshot snapshot;
    enum pacifica_status status = snapshot_open(&snapshot, bytes, diag);
    if (status == PACIFICA_OK)
        write_info(&snapshot, output);
    snapshot_close(&snapshot);
    return status;
}

/* --- diff: the state ----------------------------------------------------------------------------------- */

struct diff {
    struct snapshot *from, *to;
    const struct pacifica_output *output;
    uint64_t found;
};

/* How often the name of a run came before it in its section: structures in an array repeat theirs. */
static uint64_t place_of(const char *names, const struct snapshot_run *run, bool *alone)
{
    struct snapshot_run other;
    uint64_t before = 0, total = 0;
    while (snapshot_next_run(&names, &other)) {
        if (other.length != run->length || memcmp(other.name, run->name, (size_t)run->length) != 0)
            continue;
        before += other.name < run->name;
        total++;
    }
    *alone = total == 1;
    return before;
}

static uint64_t number(const uint8_t *bytes, uint64_t size)
{
    return little_get(bytes, size > 8 ? 8 : (unsigned)size);
}

/* One run in both. */
static void diff_run(struct diff *diff, const struct snapshot_section *section,
                     const struct snapshot_run *run, const uint8_t *from, const uint8_t *to)
{
    uint64_t width = snapshot_run_width(run), at = 0, place = 0;
    bool alone = true;
    if (memcmp(from, to, run->bytes) == 0 || width == 0)
        return;
    if (section->names)
        place = place_of(section->names, run, &alone);
    for (uint64_t i = 0; i < run->count && at < run->bytes; i++, at += width) {
        uint64_t size = run->bytes - at < width ? run->bytes - at : width;
        if (memcmp(from + at, to + at, size) == 0)
            continue;
        diff->found++;
        output_put(diff->output, "%s.%" PRIu32 " %.*s", section->name, section->instance,
                   run->length, run->name);
        if (!alone)
            output_put(diff->output, "#%" PRIu64, place);
        if (run->count > 1)
            output_put(diff->output, "[%" PRIu64 "]", i);
        output_put(diff->output, ": %#" PRIx64 " -> %#" PRIx64 "\n", number(from + at, size),
                   number(to + at, size));
    }
}

static void tell_shape(struct diff *diff, const struct snapshot_section *section, const char *what)
{
    diff->found++;
    output_put(diff->output, "%s.%" PRIu32 ": %s\n", section->name, section->instance, what);
}

/* Member by member while both have the same ones; behind that what is counted differs, as queues and overlays do. */
static void diff_section(struct diff *diff, const struct snapshot_section *from,
                         const struct snapshot_section *to)
{
    const uint8_t *bytes = diff->from->state + from->at, *others = diff->to->state + to->at;
    const char *names = from->names, *other_names = to->names;
    struct snapshot_run run, other;
    uint64_t at = 0;
    if (from->version != to->version) {
        tell_shape(diff, from, "of another version");
        return;
    }
    if (from->bytes == to->bytes && memcmp(bytes, others, to->bytes) == 0)
        return;
    uint64_t found = diff->found;
    while (names && other_names && snapshot_next_run(&names, &run) &&
           snapshot_next_run(&other_names, &other)) {
        if (run.length != other.length || run.count != other.count || run.bytes != other.bytes ||
            memcmp(run.name, other.name, (size_t)run.length) != 0 || from->bytes - at < run.bytes ||
            to->bytes - at < run.bytes) {
            tell_shape(diff, from, "holds other members from there on");
            return;
        }
        diff_run(diff, from, &run, bytes + at, others + at);
        at += run.bytes;
    }
    if (found == diff->found)
        tell_shape(diff, from, "differs");
}

/* --- diff: memory --------------------------------------------------------------------------------------- */

/* A range of pages that differ and has not been told yet. */
struct range {
    uint64_t first, pages, bytes;
};

static void tell_range(struct diff *diff, struct range *range, uint64_t ram_pages)
{
    uint64_t ram = ram_pages * SNAPSHOT_PAGE, spa = range->first * SNAPSHOT_PAGE;
    if (range->pages == 0)
        return;
    diff->found++;
    uint64_t low = ram < MEMORY_SPLIT ? ram : MEMORY_LOW_END;
    const char *kind = range->first >= ram_pages ? "rom" : "memory";
    if (range->first >= ram_pages)
        spa -= ram;
    else if (spa >= low)
        spa += MEMORY_HIGH - low;
    output_put(diff->output, "%s %#" PRIx64 "-%#" PRIx64 ": %" PRIu64 " bytes differ\n", kind, spa,
               spa + range->pages * SNAPSHOT_PAGE - 1, range->bytes);
    range->pages = 0;
}

static bool is_border(uint64_t page, uint64_t ram_pages)
{
    uint64_t ram = ram_pages * SNAPSHOT_PAGE;
    return page == ram_pages || page * SNAPSHOT_PAGE == (ram < MEMORY_SPLIT ? ram : MEMORY_LOW_END);
}

static void diff_group(struct diff *diff, uint64_t first, const uint8_t *from, const uint8_t *to,
                       struct range *range, uint64_t ram_pages)
{
    for (unsigned i = 0; i < SNAPSHOT_GROUP; i++, from += SNAPSHOT_PAGE, to += SNAPSHOT_PAGE) {
        uint64_t page = first + i;
        bool same = memcmp(from, to, SNAPSHOT_PAGE) == 0;
        if (range->pages &&
            (same || range->first + range->pages != page || is_border(page, ram_pages)))
            tell_range(diff, range, ram_pages);
        if (same)
            continue;
        if (range->pages++ == 0)
            *range = (struct range){ .first = page, .pages = 1 };
        for (unsigned n = 0; n < SNAPSHOT_PAGE; n++)
            range->bytes += from[n] != to[n];
    }
}

static bool diff_memory(struct diff *diff, uint8_t *from, uint8_t *to)
{
    size_t length, i = 0, j = 0;
    const char *ram = snapshot_line(diff->from->text, "memory", &length);
    uint64_t ram_pages = ram ? strtoull(ram, NULL, 10) / SNAPSHOT_PAGE : 0;
    struct range range = { .pages = 0 };
    while (i < diff->from->groups || j < diff->to->groups) {
        const struct snapshot_group *one = i < diff->from->groups ? &diff->from->group[i] : NULL;
        const struct snapshot_group *two = j < diff->to->groups ? &diff->to->group[j] : NULL;
        uint64_t first = !two || (one && one->first < two->first) ? one->first : two->first;
        bool has_one = one && one->first == first, has_two = two && two->first == first;
        memset(from, 0, SNAPSHOT_GROUP_BYTES);
        memset(to, 0, SNAPSHOT_GROUP_BYTES);
        if ((has_one && !snapshot_unpack(diff->from, one, from)) ||
            (has_two && !snapshot_unpack(diff->to, two, to)))
            return false;
        diff_group(diff, first, from, to, &range, ram_pages);
        i += has_one;
        j += has_two;
    }
    tell_range(diff, &range, ram_pages);
    return true;
}

/* --- diff: all of it --------------------------------------------------------------------------------------- */

static enum pacifica_status check_alike(const struct diff *diff, struct pacifica_diag *diag)
{
    const struct snapshot *from = diff->from, *to = diff->to;
    enum pacifica_status status = snapshot_compare(from->text, to->text, NULL);
    bool alike = status == PACIFICA_OK && from->sections == to->sections;
    for (size_t i = 0; alike && i < from->sections; i++)
        alike = strcmp(from->section[i].name, to->section[i].name) == 0 &&
                from->section[i].instance == to->section[i].instance;
    if (alike)
        return PACIFICA_OK;
    return diag_set(diag, PACIFICA_EUSAGE, "snapshots", "`pacifica snap info` tells of each",
                    "they are of machines that are not alike");
}

static enum pacifica_status write_diff(struct diff *diff, struct pacifica_diag *diag)
{
    enum pacifica_status status = check_alike(diff, diag);
    if (status != PACIFICA_OK)
        return status;
    for (size_t i = 0; i < diff->from->sections; i++)
        diff_section(diff, &diff->from->section[i], &diff->to->section[i]);
    uint8_t *from = malloc(SNAPSHOT_GROUP_BYTES), *to = malloc(SNAPSHOT_GROUP_BYTES);
    if (!from || !to || !diff_memory(diff, from, to))
        status = diag_set(diag, PACIFICA_ENOMEM, "snapshots", NULL, "no memory to compare them");
    free(from);
    free(to);
    return status;
}

enum pacifica_status pacifica_snapshot_diff(const struct pacifica_bytes *from,
                                            const struct pacifica_bytes *to,
                                            const struct pacifica_output *output,
                                            uint64_t *differences, struct pacifica_diag *diag)
{
    struct snapshot one, two = { .text = NULL };
    struct diff diff = { .from = &one, .to = &two, .output = output };
    enum pacifica_status status = snapshot_open(&one, from, diag);
    if (status == PACIFICA_OK)
        status = snapshot_open(&two, to, diag);
    if (status == PACIFICA_OK)
        status = write_diff(&diff, diag);
    snapshot_close(&one);
    snapshot_close(&two);
    *differences = diff.found;
    return status;
}

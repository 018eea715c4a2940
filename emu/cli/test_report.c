/* Results as TAP 13 and as JUnit XML. Nothing in them depends on time or order of execution, unless times are asked for. */
#include "emu/cli/test.h"

#include "emu/base/diag.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static const char *failures_of(const struct rom *rom)
{
    return rom->report ? rom->report : "no report\n";
}

static const char *events_of(const struct rom *rom)
{
    return rom->report ? rom->report + strlen(rom->report) + 1 : "";
}

/* --- TAP ---------------------------------------------------------------------------------------- */

void test_tap_begin(size_t count)
{
    (void)printf("TAP version 13\n1..%zu\n", count);
}

/* A literal block of YAML, if there are lines. */
static void put_block(const char *key, const char *lines)
{
    if (*lines)
        (void)printf("  %s: |\n", key);
    while (*lines) {
        int length = (int)strcspn(lines, "\n");
        (void)printf("    %.*s\n", length, lines);
        lines += length + (lines[length] == '\n');
    }
}

/* A name in a line of TAP: without the sign that begins a directive. */
static void put_name(const char *name)
{
    for (; *name; name++)
        (void)putchar((unsigned char)*name < 0x20 || *name == '#' ? '?' : *name);
}

void test_tap_rom(const struct rom *rom, size_t index, bool times)
{
    (void)printf("%sok %zu - ", rom->passed ? "" : "not ", index + 1);
    put_name(rom->name);
    if (rom->passed && rom->report && *rom->report)
        (void)printf(" (%.*s)", (int)strcspn(rom->report, "\n"), rom->report);
    (void)putchar('\n');
    if (!rom->passed || times)
        (void)printf("  ---\n");
    if (!rom->passed) {
        put_block("failed", failures_of(rom));
        put_block("last events", events_of(rom));
    }
    if (times)
        (void)printf("  duration_ms: %" PRIu64 "\n", rom->ms);
    if (!rom->passed || times)
        (void)printf("  ...\n");
    (void)fflush(stdout);
}

/* --- JUnit ---------------------------------------------------------------------------------------- */

/* XML 1.0 knows no control characters, and what is not ASCII may not be UTF-8. */
static void put_xml(FILE *out, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        switch (c) {
        case '&': (void)fputs("&amp;", out); break;
        case '<': (void)fputs("&lt;", out); break;
        case '>': (void)fputs("&gt;", out); break;
        case '"': (void)fputs("&quot;", out); break;
        default: (void)fputc((c < 0x20 && c != '\n') || c > 0x7e ? '?' : c, out);
        }
    }
}

static void put_case(FILE *out, const struct rom *rom, bool times)
{
    const char *base = strrchr(rom->name, '/');
    size_t folder = base ? (size_t)(base - rom->name) : 0;
    base = base ? base + 1 : rom->name;
    (void)fputs("    <testcase classname=\"", out);
    put_xml(out, base == rom->name ? "roms" : rom->name, base == rom->name ? 4 : folder);
    (void)fputs("\" name=\"", out);
    put_xml(out, base, strlen(base));
    (void)fputc('"', out);
    if (times)
        (void)fprintf(out, " time=\"%" PRIu64 ".%03u\"", rom->ms / 1000,
                      (unsigned)(rom->ms % 1000));
    if (rom->passed) {
        (void)fputs("/>\n", out);
        return;
    }
    const char *failures = failures_of(rom), *events = events_of(rom);
    (void)fputs(">\n      <failure message=\"", out);
    put_xml(out, failures, strcspn(failures, "\n"));
    (void)fputs("\">", out);
    put_xml(out, failures, strlen(failures));
    if (*events)
        (void)fputs("last events:\n", out);
    put_xml(out, events, strlen(events));
    (void)fputs("</failure>\n    </testcase>\n", out);
}

enum pacifica_status test_junit(const struct rom_list *list, const struct test_options *options,
                                struct pacifica_diag *diag)
{
    struct output_file file;
    size_t failed = 0;
    enum pacifica_status status = output_open(&file, options->junit, diag);
    if (status != PACIFICA_OK)
        return status;
    for (size_t i = 0; i < list->count; i++)
        failed += !list->rom[i].passed;
    (void)fprintf(file.stream,
                  "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n"
                  "  <testsuite name=\"pacifica\" tests=\"%zu\" failures=\"%zu\">\n",
                  list->count, failed);
    for (size_t i = 0; i < list->count; i++)
        put_case(file.stream, &list->rom[i], options->times);
    (void)fputs("  </testsuite>\n</testsuites>\n", file.stream);
    return output_close(&file, diag);
}

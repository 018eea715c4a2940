/* The monitor's commands that let the machine stop: break, delete, and the list of breaks. */
#include "emu/cli/monitor_address.h"
#include "emu/cli/monitor_break.h"
#include "emu/cli/monitor_commands.h"
#include "emu/cli/monitor_complete.h"
#include "emu/cli/words.h"

#include "emu/base/diag.h"
#include "emu/trace/exit_words.h"
#include "svm/exit_codes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MOST 64

/* --- words ---------------------------------------------------------------------------------- */

/* What the argument of a kind is. */
enum break_argument { WITHOUT, NUMBER, EXIT_CODE, ADDRESS };

static const struct break_row {
    const char *name;
    enum pacifica_break_kind kind;
    enum break_argument argument;
    bool needed;
} rows[] = {
    { "vmrun", PACIFICA_BREAK_VMRUN, WITHOUT, false },
    { "vmexit", PACIFICA_BREAK_VMEXIT, EXIT_CODE, false },
    { "exception", PACIFICA_BREAK_EXCEPTION, NUMBER, false },
    { "msr", PACIFICA_BREAK_MSR, NUMBER, false },
    { "port", PACIFICA_BREAK_PORT, NUMBER, false },
    { "mode", PACIFICA_BREAK_MODE, WITHOUT, false },
    { "magic", PACIFICA_BREAK_MAGIC, WITHOUT, false },
    { "at", PACIFICA_BREAK_EXECUTE, ADDRESS, true },
    { "write", PACIFICA_BREAK_WRITE, ADDRESS, true },
    { "read", PACIFICA_BREAK_READ, ADDRESS, true },
    { "access", PACIFICA_BREAK_ACCESS, ADDRESS, true },
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

const char *monitor_break_kind(size_t n)
{
    return n < ROWS ? rows[n].name : NULL;
}

struct first_line {
    char text[128];
    size_t size;
};

static void keep_first(void *self, const void *bytes, size_t size)
{
    struct first_line *line = self;
    size_t room = sizeof(line->text) - 1 - line->size;
    memcpy(line->text + line->size, bytes, size < room ? size : room);
    line->size += size < room ? size : room;
    line->text[line->size] = '\0';
}

/* A number or a name, as the reference of exit codes takes it: its line is "072h  VMEXIT_CPUID    CPUID". */
static bool exit_code(const char *word, uint64_t *code)
{
    struct first_line line = { .size = 0 };
    const struct pacifica_output output = { .write = keep_first, .self = &line };
    if (pacifica_exit_codes(word, &output, NULL) != PACIFICA_OK)
        return false;
    *code = strtoull(line.text, NULL, line.text[0] == '-' ? 10 : 16);
    return true;
}

/* "CPUID" for 72h; the number if it has no name. */
static void exit_name(uint64_t code, char *name, size_t size)
{
    const char *word = exit_word_name(code);
    if (word)
        (void)snprintf(name, size, "%s", word);
    else
        (void)snprintf(name, size, "0x%" PRIx64, code);
}

/* --- break ------------------------------------------------------------------------------------ */

static const struct break_row *find_row(const char *name)
{
    for (size_t i = 0; i < ROWS; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

/* The last vector, port or MSR. */
static uint64_t number_most(enum pacifica_break_kind kind)
{
    return kind == PACIFICA_BREAK_EXCEPTION ? UINT8_MAX
           : kind == PACIFICA_BREAK_PORT    ? UINT16_MAX
                                            : UINT32_MAX;
}

/* The value behind KIND=. */
static bool take_argument(const struct monitor *monitor, const struct break_row *row,
                          const char *value, struct pacifica_break *wanted)
{
    struct monitor_address at;
    switch (row->argument) {
    case NUMBER:
        if (word_number(value, &wanted->number) && wanted->number <= number_most(row->kind))
            return true;
        break;
    case EXIT_CODE:
        if (exit_code(value, &wanted->number))
            return true;
        break;
    case ADDRESS:
        if (!monitor_take_address(monitor, value, PACIFICA_SPACE_LINEAR, &at))
            return false;
        wanted->space = at.space;
        wanted->address = at.address;
        return true;
    case WITHOUT: break;
    }
    monitor_say(monitor, "Error: '%.100s' makes no sense for %s\n", value, row->name);
    return false;
}

/* One of the words behind a comma: msr=, port=, cpu=, size=. */
static bool take_property(const struct monitor *monitor, const char *part,
                          struct pacifica_break *wanted)
{
    const char *value;
    uint64_t number = 0;
    bool good = false;
    if ((value = word_value(part, "msr")) || (value = word_value(part, "port"))) {
        good = wanted->kind == PACIFICA_BREAK_VMEXIT && word_number(value, &wanted->detail) &&
               wanted->detail <=
                   number_most(part[0] == 'p' ? PACIFICA_BREAK_PORT : PACIFICA_BREAK_MSR);
    } else if ((value = word_value(part, "cpu"))) {
        good = word_number(value, &number) && number < monitor->cpus;
        wanted->cpu = (uint32_t)number;
    } else if ((value = word_value(part, "size"))) {
        good = word_number(value, &number) && number <= UINT32_MAX;
        wanted->size = (uint32_t)number;
    }
    if (!good)
        monitor_say(monitor, "Error: '%.100s' is no property of this break\n", part);
    return good;
}

/* KIND[=VALUE][,KEY=VALUE]..., or an address alone. `text` is cut into its words. */
static bool parse(const struct monitor *monitor, char *text, struct pacifica_break *wanted)
{
    char *rest = strchr(text, ',');
    if (rest)
        *rest++ = '\0';
    char *value = strchr(text, '=');
    if (value)
        *value++ = '\0';
    const struct break_row *row = find_row(text);
    *wanted = PACIFICA_BREAK_INIT;
    if (!row && !value) { /* an address alone */
        row = find_row("at");
        value = text;
    }
    if (!row || (row->needed && !value)) {
        monitor_say(monitor, "Error: '%.100s' is nothing that the machine could stop at\n", text);
        return false;
    }
    wanted->kind = row->kind;
    if (value && !take_argument(monitor, row, value, wanted))
        return false;
    while (rest) {
        char *next = strchr(rest, ',');
        if (next)
            *next++ = '\0';
        if (!take_property(monitor, rest, wanted))
            return false;
        rest = next;
    }
    return true;
}

void monitor_break(struct monitor *monitor, const char *argument)
{
    struct monitor_breaks *breaks = &monitor->wishes->breaks;
    struct pacifica_break wanted;
    struct pacifica_diag diag = { 0 };
    char text[MONITOR_LINE];
    unsigned id;
    (void)snprintf(text, sizeof(text), "%s", argument);
    if (!parse(monitor, text, &wanted))
        return;
    if (breaks->count == MONITOR_BREAKS) {
        monitor_say(monitor, "Error: one break too many (%u)\n", MONITOR_BREAKS);
        return;
    }
    if (pacifica_break_add(monitor->machine, &wanted, &id, &diag) != PACIFICA_OK) {
        monitor_complain(monitor, &diag);
        return;
    }
    breaks->of[breaks->count].id = id;
    breaks->of[breaks->count++].by = monitor;
    monitor_say(monitor, "break %u: %s\n", id, argument);
}

static void remove_at(struct monitor_breaks *breaks, struct pacifica_machine *machine, unsigned i)
{
    (void)pacifica_break_remove(machine, breaks->of[i].id);
    breaks->of[i] = breaks->of[--breaks->count];
}

void monitor_delete(struct monitor *monitor, const char *argument)
{
    struct monitor_breaks *breaks = &monitor->wishes->breaks;
    uint64_t number;
    if (!*argument) {
        while (breaks->count)
            remove_at(breaks, monitor->machine, 0);
        return;
    }
    if (word_number(argument, &number))
        for (unsigned i = 0; i < breaks->count; i++)
            if (breaks->of[i].id == number) {
                remove_at(breaks, monitor->machine, i);
                return;
            }
    monitor_say(monitor, "Error: there is no break '%.100s'\n", argument);
}

void monitor_breaks_forget(const struct monitor *monitor)
{
    struct monitor_breaks *breaks = &monitor->wishes->breaks;
    for (unsigned i = breaks->count; i-- > 0;)
        if (breaks->of[i].by == monitor)
            remove_at(breaks, monitor->machine, i);
}

/* --- telling ------------------------------------------------------------------------------------- */

/* A break as `break` takes it. */
static void break_words(const struct pacifica_break *at, char *text, size_t size)
{
    static const char *const spaces[PACIFICA_SPACES] = { [PACIFICA_SPACE_PHYSICAL] = "phys:" };
    const struct break_row *row = NULL;
    char value[WORD_MOST] = "", more[WORD_MOST] = "";
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].kind == at->kind)
            row = &rows[i];
    if (!row)
        return;
    if (row->argument == ADDRESS)
        (void)snprintf(value, sizeof(value), "=%s0x%" PRIx64,
                       spaces[at->space] ? spaces[at->space] : "", at->address);
    else if (at->number != PACIFICA_ANY && row->argument == EXIT_CODE)
        value[0] = '=', exit_name(at->number, value + 1, sizeof(value) - 1);
    else if (at->number != PACIFICA_ANY)
        (void)snprintf(value, sizeof(value), "=0x%" PRIx64, at->number);
    if (at->detail != PACIFICA_ANY)
        (void)snprintf(more, sizeof(more), ",%s=0x%" PRIx64,
                       at->number == VMEXIT_IOIO ? "port" : "msr", at->detail);
    else if (row->argument == ADDRESS && at->size > 1)
        (void)snprintf(more, sizeof(more), ",size=%" PRIu32, at->size);
    int length = snprintf(text, size, "%s%s%s", row->name, value, more);
    if (at->cpu != PACIFICA_CPU_ANY && length > 0 && (size_t)length < size)
        (void)snprintf(text + length, size - (size_t)length, ",cpu=%" PRIu32, at->cpu);
}

void monitor_breaks_list(const struct monitor *monitor)
{
    const struct monitor_breaks *breaks = &monitor->wishes->breaks;
    char words[3 * WORD_MOST] = "";
    uint64_t hits = 0;
    if (!breaks->count)
        monitor_say(monitor, "No breaks.\n");
    for (unsigned i = 0; i < breaks->count; i++) {
        const struct pacifica_break *at =
            pacifica_break_get(monitor->machine, breaks->of[i].id, &hits);
        if (!at)
            continue;
        break_words(at, words, sizeof(words));
        monitor_say(monitor, "%-4u %s, hit %" PRIu64 " time%s\n", breaks->of[i].id, words, hits,
                    hits == 1 ? "" : "s");
    }
}

int monitor_where(struct pacifica_machine *machine, unsigned cpu, char *text)
{
    uint64_t guest = 0, asid = 0, rip = 0;
    (void)monitor_register(machine, cpu, "guest_mode", &guest);
    (void)monitor_register(machine, cpu, "asid", &asid);
    (void)monitor_register(machine, cpu, "rip", &rip);
    if (guest)
        return snprintf(text, MONITOR_WHERE, "CPU %u [guest ASID %" PRIu64 "] at 0x%" PRIx64, cpu,
                        asid, rip);
    return snprintf(text, MONITOR_WHERE, "CPU %u [host] at 0x%" PRIx64, cpu, rip);
}

static uint64_t vmcb_value(struct pacifica_machine *machine, unsigned cpu, const char *name)
{
    uint64_t value = 0, offset;
    unsigned bytes;
    (void)pacifica_machine_vmcb_field(machine, cpu, name, &value, &offset, &bytes, NULL);
    return value;
}

/* "#VMEXIT CPUID (72h) of ASID 1 from guest RIP 0x1000; EXITINFO1 0x0, EXITINFO2 0x0; " */
static int exit_words(struct pacifica_machine *machine, unsigned cpu, char *text, size_t size)
{
    char name[WORD_MOST];
    uint64_t code = vmcb_value(machine, cpu, "EXITCODE");
    exit_name(code, name, sizeof(name));
    return snprintf(text, size,
                    "#VMEXIT %s (%" PRIX64 "h) of ASID %" PRIu64 " from guest RIP 0x%" PRIx64
                    "; EXITINFO1 0x%" PRIx64 ", EXITINFO2 0x%" PRIx64 "; ",
                    name, code, vmcb_value(machine, cpu, "GUEST_ASID"),
                    vmcb_value(machine, cpu, "RIP"), vmcb_value(machine, cpu, "EXITINFO1"),
                    vmcb_value(machine, cpu, "EXITINFO2"));
}

static void break_text(struct pacifica_machine *machine, const struct pacifica_result *result,
                       char *text)
{
    const struct pacifica_break *hit = pacifica_break_get(machine, result->break_id, NULL);
    char words[3 * WORD_MOST] = "", what[256] = "", where[MONITOR_WHERE];
    if (hit) {
        break_words(hit, words, sizeof(words));
        if (hit->kind == PACIFICA_BREAK_VMEXIT)
            (void)exit_words(machine, result->cpu, what, sizeof(what));
    }
    (void)monitor_where(machine, result->cpu, where);
    (void)snprintf(text, MONITOR_STOP_TEXT, "break %u (%s): %s%s\n", result->break_id, words, what,
                   where);
}

void monitor_stop_text(struct pacifica_machine *machine, const struct pacifica_result *result,
                       char *text)
{
    const struct pacifica_diag *diag = &result->diag;
    text[0] = '\0';
    if (result->stop == PACIFICA_STOP_BREAK)
        break_text(machine, result, text);
    else if (diag->what[0])
        (void)snprintf(text, MONITOR_STOP_TEXT, "%.200s%s%.200s\n", diag->what,
                       diag->where[0] ? " at " : "", diag->where);
}

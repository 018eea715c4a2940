/* What a machine is made of, as text: a snapshot fits machines of which the same can be said. */
#include "emu/machine/snapshot.h"

#include "emu/base/diag.h"
#include "emu/cpu/run.h"

#include <inttypes.h>
#include <string.h>

/* --- a machine ---------------------------------------------------------------------------------- */

static void put_features(const struct cpu_model *model, struct text *text)
{
    text_put(text, "features");
    for (int f = CPU_FEATURE_NONE + 1; f < CPU_FEATURE_COUNT; f++)
        if (cpu_model_has(model, (enum cpu_feature)f))
            text_put(text, " %s", cpu_features[f].option);
    text_put(text, "\n");
}

/* What decides about how a machine is made, but for what stands above or is part of the state: what random numbers come next. */
static void put_made(const struct pacifica_machine *machine, struct text *text)
{
    static const char *const others[] = { "memory:", "processors:", "seed:" };
    const char *line = machine->made;
    while (*line) {
        size_t length = strcspn(line, "\n");
        bool other = false;
        for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
            other = other || strncmp(line, others[i], strlen(others[i])) == 0;
        for (size_t i = 0; i < length && !other; i++)
            text_put(text, "%c", line[i] >= ' ' && line[i] <= '~' ? line[i] : '?');
        if (!other)
            text_put(text, "\n");
        line += length + (line[length] == '\n');
    }
}

void snapshot_describe(struct pacifica_machine *machine, struct text *text)
{
    const struct vcpu *cpu = machine->cpu[0];
    text_put(text, "pacifica %s\n", PACIFICA_VERSION);
    text_put(text, "steps %" PRIu64 "\n", group_steps(cpu));
    text_put(text, "instructions %" PRIu64 "\n", group_insns(cpu));
    text_put(text, "time-ns %" PRIu64 "\n", machine->clock.now(machine->clock.self));
    text_put(text, "cpu %s\naddress-bits %u\nclean-bits %s\n", machine->model.name,
             machine->model.address_bits, machine->model.clean_bits_ignored ? "ignore" : "honor");
    text_put(text, "processors %u\n", machine->cpu_count);
    text_put(text, "memory %" PRIu64 "\n", memory_ram_bytes(machine->memory));
    text_put(text, "rom-pages %" PRIu64 "\n",
             memory_page_count(machine->memory) -
                 memory_ram_bytes(machine->memory) / SNAPSHOT_PAGE);
    text_put(text, "start %s\n",
             machine->firmware            ? "firmware"
             : machine->kernel.image.data ? "kernel"
                                          : "nothing");
    put_made(machine, text);
    put_features(&machine->model, text);
}

/* --- comparing ------------------------------------------------------------------------------------ */

static const char *next_line(const char *line)
{
    line += strcspn(line, "\n");
    return *line ? line + 1 : line;
}

const char *snapshot_line(const char *text, const char *key, size_t *length)
{
    size_t size = strlen(key);
    for (const char *line = text; *line; line = next_line(line)) {
        if (strncmp(line, key, size) != 0 || line[size] != ' ')
            continue;
        *length = strcspn(line + size + 1, "\n");
        return line + size + 1;
    }
    *length = 0;
    return NULL;
}

/* What may differ: the moment, and the model. */
static bool is_exempt(const char *line)
{
    static const char *const keys[] = { "pacifica", "steps",        "instructions", "time-ns",
                                        "cpu",      "address-bits", "clean-bits",   "features" };
    size_t length = strcspn(line, " \n");
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (strlen(keys[i]) == length && strncmp(keys[i], line, length) == 0)
            return true;
    return false;
}

static const char *skip_exempt(const char *line)
{
    while (*line && is_exempt(line))
        line = next_line(line);
    return line;
}

enum pacifica_status snapshot_compare(const char *theirs, const char *mine,
                                      struct pacifica_diag *diag)
{
    static const char hint[] =
        "give the options that the machine had; `pacifica snap info` tells of it";
    for (;;) {
        theirs = skip_exempt(theirs);
        mine = skip_exempt(mine);
        size_t their = strcspn(theirs, "\n"), my = strcspn(mine, "\n");
        if (their == my && memcmp(theirs, mine, my) == 0) {
            if (!*theirs)
                return PACIFICA_OK;
            theirs = next_line(theirs);
            mine = next_line(mine);
            continue;
        }
        return diag_set(diag, PACIFICA_EUSAGE, "snapshot", hint,
                        "of another machine: it has '%.*s', this one '%.*s'",
                        their ? (int)(their < 64 ? their : 64) : 7, their ? theirs : "nothing",
                        my ? (int)(my < 64 ? my : 64) : 7, my ? mine : "nothing");
    }
}

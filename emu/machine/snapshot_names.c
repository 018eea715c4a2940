/* The names of a section's members, which make a snapshot one that can be read without the machine: for `snap diff`. */
#include "emu/machine/snapshot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void snapshot_names_begin(struct snapshot_names *names)
{
    text_free(&names->text);
    *names = (struct snapshot_names){ 0 };
}

static void close_run(struct snapshot_names *names)
{
    if (names->name[0])
        text_put(&names->text, "%s %" PRIu64 " %zu\n", names->name, names->count,
                 names->to - names->from);
    names->name[0] = '\0';
    names->from = names->to;
}

/* Numbers with a name and rising indices are one run. The bytes of a blob have passed when the first of its words is told. */
void snapshot_names_tell(struct snapshot_names *names, const char *name, unsigned index, size_t end)
{
    if (!names->name[0] || index == 0 || index != names->count || strcmp(names->name, name) != 0) {
        close_run(names);
        (void)snprintf(names->name, sizeof(names->name), "%s", name);
        for (char *c = names->name; *c; c++)
            if (*c <= ' ' || *c > '~')
                *c = '_';
        names->count = 0;
    }
    names->count++;
    names->to = end;
}

void snapshot_names_end(struct snapshot_names *names)
{
    close_run(names);
}

bool snapshot_next_run(const char **text, struct snapshot_run *run)
{
    const char *at = *text;
    char *end;
    *run = (struct snapshot_run){ .name = at, .length = (int)strcspn(at, " \n") };
    if (run->length == 0 || run->length >= 64 || at[run->length] != ' ')
        return false;
    at += run->length + 1;
    run->count = strtoull(at, &end, 10);
    if (end == at || *end != ' ' || run->count == 0)
        return false;
    at = end + 1;
    run->bytes = strtoull(at, &end, 10);
    if (end == at || *end != '\n')
        return false;
    *text = end + 1;
    return true;
}

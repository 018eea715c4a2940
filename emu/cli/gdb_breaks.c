/* Breakpoints and watchpoints that GDB inserts: Z and z packets. GDB may insert one twice, and removes it once then. */
#include "emu/cli/gdb_priv.h"

#include <string.h>

/* What a Z packet names: TYPE,ADDRESS,KIND. Its number and the library's processor are not filled. */
static bool parse(const char *text, struct gdb_break *wanted)
{
    uint64_t kind;
    if (!*text)
        return false;
    *wanted = (struct gdb_break){ .type = *text++ };
    if (!gdb_take(&text, ',') || !gdb_take_number(&text, &wanted->address) ||
        !gdb_take(&text, ',') || !gdb_take_number(&text, &kind) || *text || kind > UINT32_MAX)
        return false;
    /* For 0 and 1 it would be the size of an instruction that they put there. */
    bool watch = wanted->type >= '2';
    wanted->size = watch ? (uint32_t)kind : 1;
    return true;
}

static struct gdb_break *find(struct gdb *gdb, const struct gdb_break *wanted)
{
    for (unsigned i = 0; i < gdb->break_count; i++) {
        struct gdb_break *at = &gdb->breaks[i];
        if (at->type == wanted->type && at->address == wanted->address && at->size == wanted->size)
            return at;
    }
    return NULL;
}

const struct gdb_break *gdb_break_find(const struct gdb *gdb, unsigned id)
{
    for (unsigned i = 0; i < gdb->break_count; i++)
        if (gdb->breaks[i].id == id)
            return &gdb->breaks[i];
    return NULL;
}

void gdb_break_insert(struct gdb *gdb, const char *text)
{
    static const enum pacifica_break_kind kinds[] = { PACIFICA_BREAK_EXECUTE,
                                                      PACIFICA_BREAK_EXECUTE, PACIFICA_BREAK_WRITE,
                                                      PACIFICA_BREAK_READ, PACIFICA_BREAK_ACCESS };
    struct gdb_break wanted;
    struct pacifica_diag diag = { 0 };
    if (!parse(text, &wanted)) {
        gdb_fail_malformed(gdb);
        return;
    }
    if (wanted.type < '0' || wanted.type > '4')
        return; /* an empty reply: no such kind here */
    if (find(gdb, &wanted)) {
        gdb_ok(gdb);
        return;
    }
    if (gdb->break_count == GDB_BREAKS) {
        gdb_fail(gdb, "too many breakpoints (%u)", GDB_BREAKS);
        return;
    }
    struct pacifica_break make = PACIFICA_BREAK_INIT;
    make.kind = kinds[wanted.type - '0'];
    make.space = PACIFICA_SPACE_LINEAR;
    make.address = wanted.address;
    make.size = wanted.size;
    if (pacifica_break_add(gdb->machine, &make, &wanted.id, &diag) != PACIFICA_OK) {
        gdb_fail_diag(gdb, &diag);
        return;
    }
    gdb->breaks[gdb->break_count++] = wanted;
    gdb_ok(gdb);
}

void gdb_break_remove(struct gdb *gdb, const char *text)
{
    struct gdb_break wanted;
    if (!parse(text, &wanted)) {
        gdb_fail_malformed(gdb);
        return;
    }
    struct gdb_break *found = find(gdb, &wanted);
    if (found) {
        (void)pacifica_break_remove(gdb->machine, found->id);
        *found = gdb->breaks[--gdb->break_count];
    }
    gdb_ok(gdb);
}

void gdb_breaks_forget(struct gdb *gdb)
{
    for (unsigned i = 0; i < gdb->break_count; i++)
        (void)pacifica_break_remove(gdb->machine, gdb->breaks[i].id);
    gdb->break_count = 0;
}

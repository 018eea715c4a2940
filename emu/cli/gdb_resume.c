/* Packets that let the machine go: vCont, its older forms, and those that go back. */
#include "emu/cli/gdb_priv.h"

#include <string.h>

/* --- vCont -------------------------------------------------------------------------------- */

/* An action of vCont: its letter, and the range of r. */
struct action {
    char letter;
    uint64_t start, end;
};

/* The letter of an action with what belongs to it. CHOICE: signals are not delivered, since a machine has none. */
static bool take_action(const char **text, struct action *action)
{
    uint64_t signal;
    *action = (struct action){ .letter = **text };
    if (!action->letter || !strchr("cCsStr", action->letter))
        return false;
    ++*text;
    if (action->letter == 'C' || action->letter == 'S')
        return gdb_take_number(text, &signal);
    if (action->letter == 'r')
        return gdb_take_number(text, &action->start) && gdb_take(text, ',') &&
               gdb_take_number(text, &action->end);
    return true;
}

/* The leftmost action that names a thread is its action. */
static bool parse_actions(const struct gdb *gdb, const char *text, struct action *of)
{
    while (gdb_take(&text, ';')) {
        struct action action;
        unsigned cpu = 0;
        bool all = true;
        if (!take_action(&text, &action) ||
            (gdb_take(&text, ':') && !gdb_take_thread(gdb, &text, &cpu, &all)))
            return false;
        for (unsigned i = 0; i < gdb->cpus; i++)
            if ((all || i == cpu) && !of[i].letter)
                of[i] = action;
    }
    return !*text;
}

/* CHOICE: the processors of a machine share its time, so none is held while another goes: those without an action, or with t,
 * go on with it. One that steps decides how far. */
static bool choose(struct gdb *gdb, const struct action *of, struct gdb_resume *resume)
{
    bool any = false;
    for (unsigned i = 0; i < gdb->cpus; i++) {
        any = any || (of[i].letter && of[i].letter != 't');
        if (resume->course != GDB_COURSE_RUN)
            continue;
        resume->cpu = i;
        if (of[i].letter == 's' || of[i].letter == 'S')
            resume->course = GDB_COURSE_STEP;
        if (of[i].letter == 'r')
            *resume = (struct gdb_resume){ GDB_COURSE_RANGE, i, of[i].start, of[i].end };
    }
    return any;
}

static bool parse_vcont(struct gdb *gdb, const char *text, struct gdb_resume *resume)
{
    struct action of[PACIFICA_CPUS_MOST] = { { 0 } };
    if (parse_actions(gdb, text, of) && choose(gdb, of, resume))
        return true;
    gdb_fail_malformed(gdb);
    return false;
}

/* --- older forms ---------------------------------------------------------------------------- */

/* [SIGNAL][;][ADDRESS]: where to go on, if not at rip. */
static bool go_to(struct gdb *gdb, const char *text, bool signal)
{
    uint64_t address, ignored;
    struct pacifica_diag diag = { 0 };
    if (signal && !gdb_take_number(&text, &ignored)) {
        gdb_fail_malformed(gdb);
        return false;
    }
    if (signal)
        (void)gdb_take(&text, ';');
    if (!*text)
        return true;
    if (!gdb_take_number(&text, &address) || *text) {
        gdb_fail_malformed(gdb);
        return false;
    }
    if (gdb_target_set(&gdb->target, gdb->machine, gdb->resume_cpu, gdb->target.pc, &address,
                       &diag) == PACIFICA_OK)
        return true;
    gdb_fail_diag(gdb, &diag);
    return false;
}

static bool parse_back(struct gdb *gdb, const char *text, struct gdb_resume *resume)
{
    uint64_t first, latest;
    if (text[0] == 's')
        resume->course = GDB_COURSE_BACK_STEP;
    else if (text[0] == 'c')
        resume->course = GDB_COURSE_BACK;
    else
        return false; /* an empty reply */
    if (pacifica_travel_range(gdb->machine, &first, &latest))
        return true;
    gdb_fail(gdb, "this machine cannot go back");
    return false;
}

bool gdb_resume_parse(struct gdb *gdb, struct gdb_resume *resume)
{
    const char *text = gdb->frame.body;
    *resume = (struct gdb_resume){ .course = GDB_COURSE_RUN, .cpu = gdb->resume_cpu };
    switch (text[0]) {
    case 'v': return parse_vcont(gdb, text + strlen("vCont"), resume);
    case 'b': return parse_back(gdb, text + 1, resume);
    case 's':
    case 'S': resume->course = GDB_COURSE_STEP; break;
    default: break;
    }
    return go_to(gdb, text + 1, text[0] == 'C' || text[0] == 'S');
}

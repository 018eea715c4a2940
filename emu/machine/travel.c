/* Going back in time: from the last checkpoint before, executed again with everything that entered from outside, in silence.
 *
 * The machine is in the past from the moment on at which it is brought back, until it has executed all it had before: the
 * journal's input[present] is where that was. */
#include "emu/machine/travel_priv.h"

#include "devices/block.h"
#include "emu/base/diag.h"
#include "emu/machine/journal.h"

#include <inttypes.h>
#include <stdlib.h>

#define EVERY_LEAST 1000u
#define EXTRA_LEAST UINT64_C(4000) /* extra checkpoints are not nearer to each other */

/* --- on and off --------------------------------------------------------------------------------------- */

static enum pacifica_status check(const struct pacifica_machine *machine,
                                  const struct pacifica_travel_options *options,
                                  struct pacifica_diag *diag)
{
    if (machine->travel)
        return diag_set(diag, PACIFICA_EUSAGE, "travel", NULL, "it is on already");
    if (options->every_steps < EVERY_LEAST)
        return diag_set(diag, PACIFICA_EUSAGE, "travel", NULL,
                        "checkpoints must be at least %u steps from each other", EVERY_LEAST);
    for (unsigned i = 0; i < MACHINE_DISKS; i++)
        if (machine->block[i] && block_through(machine->block[i]))
            return diag_set(diag, PACIFICA_EUNSUPPORTED, "travel",
                            "without snapshot=off what it writes is kept in memory",
                            "disk %u is written to its image, which cannot go back", i);
    return PACIFICA_OK;
}

static void travel_free(struct travel *travel)
{
    travel_pages_fini(&travel->pages);
    free(travel->at);
    free(travel);
}

enum pacifica_status pacifica_travel_begin(struct pacifica_machine *machine,
                                           const struct pacifica_travel_options *options,
                                           struct pacifica_diag *diag)
{
    enum pacifica_status status = check(machine, options, diag);
    if (status != PACIFICA_OK)
        return status;
    struct travel *travel = calloc(1, sizeof(*travel));
    if (!travel || !journal_of(machine) || !travel_pages_init(&travel->pages, machine->memory)) {
        free(travel);
        return diag_set(diag, PACIFICA_ENOMEM, "travel", NULL, "no memory for it");
    }
    travel->every = options->every_steps;
    travel->most = options->memory_most;
    machine->travel = travel;
    machine->journal->keep = true;
    journal_settle(machine);
    travel_keep(machine, false);
    if (!travel->lost)
        return PACIFICA_OK;
    pacifica_travel_end(machine);
    return diag_set(diag, PACIFICA_ENOMEM, "travel", "more may help",
                    "no checkpoint fits into the memory that checkpoints may take");
}

void travel_forget(struct pacifica_machine *machine)
{
    if (!machine->travel)
        return;
    travel_drop_from(machine, 0);
    travel_free(machine->travel);
    machine->travel = NULL;
}

/* Where it is now is the latest step. */
void pacifica_travel_end(struct pacifica_machine *machine)
{
    if (!machine->travel)
        return;
    machine_change(machine);
    machine->journal->keep = false;
    travel_forget(machine);
}

static bool is_on(const struct pacifica_machine *machine)
{
    return machine->travel && !machine->travel->lost && machine->travel->count &&
           !machine->journal->failed;
}

static uint64_t latest_of(const struct pacifica_machine *machine)
{
    const struct journal *journal = machine->journal;
    return journal->past ? journal->input[journal->present].steps : group_steps(machine->cpu[0]);
}

bool pacifica_travel_range(const struct pacifica_machine *machine, uint64_t *first,
                           uint64_t *latest)
{
    if (!is_on(machine))
        return false;
    *first = machine->travel->at[0]->steps;
    *latest = latest_of(machine);
    return true;
}

/* --- changes -------------------------------------------------------------------------------------------- */

/* A replayed recording has a future that has never been: that goes, too. */
void machine_change(struct pacifica_machine *machine)
{
    struct journal *journal = machine->journal;
    if (!journal)
        return;
    journal_settle(machine);
    if (!journal_feeds(journal))
        return;
    journal_cut(machine);
    machine_mute(machine, false);
    machine_tell_loaded(machine);
    if (machine->travel) {
        uint64_t steps = group_steps(machine->cpu[0]);
        size_t index = 0;
        while (index < machine->travel->count &&
               (machine->travel->at[index]->steps < steps ||
                (machine->travel->at[index]->steps == steps &&
                 machine->travel->at[index]->next <= journal->next)))
            index++;
        travel_drop_from(machine, index);
    }
}

/* --- checkpoints on the way ----------------------------------------------------------------------------- */

uint64_t travel_next_stop(struct pacifica_machine *machine)
{
    struct travel *travel = machine->travel;
    uint64_t steps = group_steps(machine->cpu[0]);
    if (machine->journal->past) {
        while (travel->wanted_count && travel->wanted[travel->wanted_count - 1] <= steps)
            travel->wanted_count--;
        return travel->wanted_count ? travel->wanted[travel->wanted_count - 1] : UINT64_MAX;
    }
    if (travel->lost || !travel->count)
        return UINT64_MAX;
    for (size_t i = travel->count; i-- > 0;) /* behind the last regular one */
        if (!travel->at[i]->extra || i == 0)
            return travel->at[i]->steps + travel->every;
    return UINT64_MAX;
}

void travel_stopped(struct pacifica_machine *machine)
{
    travel_keep(machine, machine->journal->past);
}

/* Nearer and nearer to the aim: who goes back once, goes back again. */
void travel_want(struct pacifica_machine *machine, uint64_t to)
{
    struct travel *travel = machine->travel;
    uint64_t from = group_steps(machine->cpu[0]);
    travel->wanted_count = 0;
    if (to <= from)
        return;
    uint64_t distance = EXTRA_LEAST;
    while (distance < to - from && travel->wanted_count < TRAVEL_WANTED) {
        travel->wanted[travel->wanted_count++] = to - distance;
        distance *= 2;
    }
}

/* --- going ---------------------------------------------------------------------------------------------- */

enum pacifica_stop travel_execute(struct pacifica_machine *machine, uint64_t steps)
{
    struct run_limits limits = { .max_steps = steps, .stop_request = &machine->stop_request };
    if (steps >= latest_of(machine))
        limits.max_steps = UINT64_MAX;
    for (;;) {
        enum pacifica_stop stop = machine_feed(machine, &limits, true);
        if (stop == PACIFICA_STOP_REPLAYED || stop == PACIFICA_STOP_REQUEST)
            return stop;
        if (!machine->journal->past || group_steps(machine->cpu[0]) >= limits.max_steps)
            return PACIFICA_STOP_LIMIT_INSNS;
    }
}

/* Checkpoints are made on the way if it is long. */
enum pacifica_stop travel_seek(struct pacifica_machine *machine, uint64_t steps)
{
    struct travel *travel = machine->travel;
    uint64_t now = group_steps(machine->cpu[0]);
    size_t index = travel_find(machine, steps);
    if (now == steps && machine->journal->past && steps < latest_of(machine))
        return PACIFICA_STOP_LIMIT_INSNS;
    if (index != SIZE_MAX && (now >= steps || travel->at[index]->steps > now))
        travel_load(machine, index);
    travel_want(machine, steps);
    enum pacifica_stop stop = travel_execute(machine, steps);
    travel->wanted_count = 0;
    if (machine->journal->past)
        travel_thin_extra(machine, steps);
    return stop;
}

enum pacifica_status travel_leave(struct pacifica_machine *machine, struct pacifica_diag *diag)
{
    struct journal *journal = machine->journal;
    if (!is_on(machine))
        return diag_set(diag, PACIFICA_EUSAGE, "travel", NULL,
                        machine->travel ? "there was no memory for a checkpoint"
                                        : "going back was not switched on");
    if (journal->past)
        return PACIFICA_OK;
    journal_settle(machine);
    journal_mark(machine);
    if (journal->failed)
        return diag_set(diag, PACIFICA_ENOMEM, "travel", NULL, "no memory for what entered");
    journal->present = --journal->next; /* it enters again, and the past is over */
    journal->past = true;
    machine_mute(machine, true);
    travel_keep(machine, true);
    return PACIFICA_OK;
}

/* The journal: what enters is written down. */
#include "emu/machine/journal.h"

#include "emu/machine/machine.h"

#include <stdlib.h>
#include <string.h>

#define PROGRESS_STEPS UINT64_C(50000000) /* a recording says at least so often how far it is */

struct journal *journal_of(struct pacifica_machine *machine)
{
    if (machine->journal)
        return machine->journal;
    machine->journal = calloc(1, sizeof(*machine->journal));
    if (machine->journal)
        machine->journal->ran = true;
    return machine->journal;
}

static void drop_from(struct journal *journal, size_t first)
{
    for (size_t i = first; i < journal->count; i++)
        if (journal->input[i].owned)
            free((void *)(uintptr_t)journal->input[i].data);
    if (journal->count > first)
        journal->count = first;
}

void journal_end(struct pacifica_machine *machine)
{
    struct journal *journal = machine->journal;
    if (!journal)
        return;
    if (journal->recording && !journal->past) {
        journal_settle(machine);
        if (journal->ran)
            journal_note(machine, &(struct input){ .kind = INPUT_MARK });
    }
    machine->journal = NULL;
    drop_from(journal, 0);
    free(journal->input);
    free(journal);
}

/* --- moments ------------------------------------------------------------------------------------- */

void journal_stopped(struct pacifica_machine *machine, enum pacifica_stop stop)
{
    struct journal *journal = machine->journal;
    journal->ran = journal->settled = true;
    if (machine->ended != PACIFICA_STOP_NONE)
        journal->place = PLACE_ENDED;
    else if (stop == PACIFICA_STOP_LIMIT_INSNS)
        journal->place = PLACE_STEPS;
    else if (stop == PACIFICA_STOP_HALTED)
        journal->place = PLACE_HALTED;
    else if (stop == PACIFICA_STOP_LIMIT_TIME)
        journal->place = PLACE_TIME;
    else
        journal->settled = false;
}

void journal_settle(struct pacifica_machine *machine)
{
    struct journal *journal = machine->journal;
    const struct run_limits here = { .max_steps = group_steps(machine->cpu[0]) };
    if (!journal->ran || journal->settled)
        return;
    if (machine->ended == PACIFICA_STOP_NONE)
        (void)journal_stopped(machine, (enum pacifica_stop)run_vcpu(machine->cpu[0], &here));
    else
        journal_stopped(machine, machine->ended);
}

enum admission journal_admit(struct pacifica_machine *machine)
{
    const struct journal *journal = machine->journal;
    if (!journal)
        return ADMIT;
    if (journal->replay)
        return ADMIT_IGNORE;
    if (journal->past)
        return ADMIT_REFUSE;
    if (!journal->sending)
        journal_settle(machine);
    return ADMIT;
}

bool journal_is_next(const struct pacifica_machine *machine, enum input_kind kind)
{
    const struct journal *journal = machine->journal;
    if (!journal || !journal_feeds(journal))
        return false;
    const struct input *next = &journal->input[journal->next];
    return next->kind == kind && next->steps == group_steps(machine->cpu[0]);
}

/* --- writing down ---------------------------------------------------------------------------------- */

/* A place at the end. NULL without memory. */
static struct input *more(struct journal *journal)
{
    if (journal->count == journal->room) {
        size_t room = journal->room ? 2 * journal->room : 64;
        struct input *input = realloc(journal->input, room * sizeof(*input));
        if (!input)
            return NULL;
        journal->input = input;
        journal->room = room;
    }
    return &journal->input[journal->count++];
}

/* Put a copy of it before the next one, as one that has entered. */
static void keep(struct journal *journal, const struct input *input)
{
    uint8_t *data = NULL;
    if (input->size) {
        data = malloc(input->size);
        if (data)
            memcpy(data, input->data, input->size);
    }
    if ((input->size && !data) || !more(journal)) {
        free(data);
        journal->failed = true;
        return;
    }
    struct input *at = &journal->input[journal->next++];
    memmove(at + 1, at, (journal->count - journal->next) * sizeof(*at));
    *at = *input;
    at->data = data;
    at->owned = data != NULL;
}

static void record(struct journal *journal, const struct input *input)
{
    if (!journal->recording)
        return;
    recording_write(&journal->output, journal->written++, input);
    journal->written_steps = input->steps;
    if (input->kind != INPUT_CUT)
        journal->alive++;
}

void journal_note(struct pacifica_machine *machine, const struct input *input)
{
    struct journal *journal = machine->journal;
    struct input now = *input;
    if (!journal || !(journal->recording || journal->keep))
        return;
    now.steps = group_steps(machine->cpu[0]);
    now.turn = group_turns(machine->cpu[0]);
    now.now_ns = machine->clock.now(machine->clock.self);
    now.place = journal->ran ? journal->place : PLACE_SAME;
    if (journal->sending) {
        now.place = PLACE_SEND;
        now.b = journal->sends;
    }
    do {
        now.size = input->size - (uint32_t)(now.data - input->data);
        if (now.size > INPUT_BYTES_MOST)
            now.size = INPUT_BYTES_MOST;
        if (journal->keep)
            keep(journal, &now);
        record(journal, &now);
        now.data += now.size;
        now.b += now.kind == INPUT_MEMORY ? now.size : 0;
        if (now.place != PLACE_SEND)
            now.place = PLACE_SAME;
    } while (now.data && now.data < input->data + input->size);
    if (!journal->sending)
        journal->ran = false;
}

void journal_mark(struct pacifica_machine *machine)
{
    const struct journal *journal = machine->journal;
    bool there =
        !journal->ran && journal->next && journal->input[journal->next - 1].kind == INPUT_MARK;
    if (!there)
        journal_note(machine, &(struct input){ .kind = INPUT_MARK });
}

void journal_progress(struct pacifica_machine *machine, enum pacifica_stop stop)
{
    struct journal *journal = machine->journal;
    uint64_t steps = group_steps(machine->cpu[0]);
    if (!journal || !journal->recording || journal->past || journal->replay)
        return;
    bool cut = stop == PACIFICA_STOP_LIMIT_INSNS || stop == PACIFICA_STOP_LIMIT_TIME ||
               stop == PACIFICA_STOP_REQUEST || stop == PACIFICA_STOP_STEP;
    if (cut && steps - journal->written_steps < PROGRESS_STEPS)
        return;
    journal_settle(machine);
    if (journal->ran)
        journal_note(machine, &(struct input){ .kind = INPUT_MARK });
}

void journal_cut(struct pacifica_machine *machine)
{
    struct journal *journal = machine->journal;
    uint64_t fewer = journal->count - journal->next;
    if (fewer && journal->recording) {
        struct input cut = { .kind = INPUT_CUT,
                             .a = journal->alive - fewer,
                             .steps = group_steps(machine->cpu[0]) };
        record(journal, &cut);
        journal->alive = cut.a;
    }
    drop_from(journal, journal->next);
    journal->past = journal->replay = false;
    journal->ran = true;
}

/* --- frames --------------------------------------------------------------------------------------- */

bool journal_send_begin(struct pacifica_machine *machine)
{
    struct journal *journal = machine->journal;
    if (!journal)
        return true;
    journal->sends++;
    while (journal_feeds(journal)) {
        const struct input *input = &journal->input[journal->next];
        if (input->place != PLACE_SEND || input->b != journal->sends)
            break;
        journal->next++;
        (void)journal_enter(machine, input); /* what does not enter now shows later */
    }
    journal->sending = true;
    return !journal->past && !journal->replay;
}

void journal_send_end(struct pacifica_machine *machine)
{
    if (machine->journal)
        machine->journal->sending = false;
}

/* Recording what enters a machine, and running a machine by it. */
#include "emu/machine/journal.h"
#include "emu/machine/machine.h"

#include "emu/base/diag.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static enum pacifica_status no_memory(struct pacifica_diag *diag)
{
    return diag_set(diag, PACIFICA_ENOMEM, "recording", NULL, "no memory for it");
}

/* Both begin with a machine that has not run. */
static enum pacifica_status check_fresh(const struct pacifica_machine *machine,
                                        struct pacifica_diag *diag)
{
    const struct journal *journal = machine->journal;
    if (journal && (journal->recording || journal->replay))
        return diag_set(diag, PACIFICA_EUSAGE, "recording", NULL,
                        "the machine records or replays already");
    if (machine->has_run)
        return diag_set(diag, PACIFICA_EUSAGE, "recording", "it begins with the first step",
                        "the machine has run");
    return PACIFICA_OK;
}

enum pacifica_status pacifica_record(struct pacifica_machine *machine,
                                     const struct pacifica_output *output,
                                     struct pacifica_diag *diag)
{
    enum pacifica_status status = check_fresh(machine, diag);
    if (status != PACIFICA_OK)
        return status;
    char *text = machine_describe(machine);
    if (!text || !journal_of(machine)) {
        free(text);
        return no_memory(diag);
    }
    machine->journal->recording = true;
    machine->journal->output = *output;
    recording_write_head(output, text);
    free(text);
    return PACIFICA_OK;
}

/* The first line in which the machines differ, for the user. */
static enum pacifica_status compare(const char *recorded, const char *here,
                                    struct pacifica_diag *diag)
{
    while (*recorded && *here) {
        size_t a = strcspn(recorded, "\n"), b = strcspn(here, "\n");
        if (a != b || memcmp(recorded, here, a) != 0)
            return diag_set(diag, PACIFICA_EUSAGE, "recording",
                            "same options and same images are needed",
                            "of another machine: '%.*s' was recorded, and here is '%.*s'",
                            (int)(a < 90 ? a : 90), recorded, (int)(b < 90 ? b : 90), here);
        recorded += a + (recorded[a] != '\0');
        here += b + (here[b] != '\0');
    }
    if (*recorded || *here)
        return diag_set(diag, PACIFICA_EUSAGE, "recording", NULL,
                        "of another machine: '%.90s' is %s", *recorded ? recorded : here,
                        *recorded ? "missing here" : "new here");
    return PACIFICA_OK;
}

/* Where the last input enters in the middle of a step, a recording goes on to the end of it. */
static bool add_end(struct input **input, size_t *count)
{
    if (*count == 0 || (*input)[*count - 1].place != PLACE_SEND)
        return true;
    struct input *more = realloc(*input, (*count + 1) * sizeof(*more));
    if (!more)
        return false;
    more[*count] = (struct input){ .kind = INPUT_MARK,
                                   .place = PLACE_STEPS,
                                   .steps = more[*count - 1].steps + 1,
                                   .now_ns = INPUT_ANY_TIME };
    *input = more;
    ++*count;
    return true;
}

enum pacifica_status pacifica_replay(struct pacifica_machine *machine,
                                     const struct pacifica_bytes *recording,
                                     struct pacifica_diag *diag)
{
    char *recorded, *here;
    struct input *input;
    size_t count;
    enum pacifica_status status = check_fresh(machine, diag);
    if (status == PACIFICA_OK)
        status = recording_parse(recording, &recorded, &input, &count, diag);
    if (status != PACIFICA_OK)
        return status;
    here = machine_describe(machine);
    if (!here || !add_end(&input, &count) || !journal_of(machine))
        status = no_memory(diag);
    else
        status = compare(recorded, here, diag);
    free(here);
    free(recorded);
    if (status != PACIFICA_OK) {
        free(input);
        return status;
    }
    free(machine->journal->input); /* nothing has entered yet */
    machine->journal->input = input;
    machine->journal->count = machine->journal->room = count;
    machine->journal->replay = true;
    return PACIFICA_OK;
}

/* Running backwards: stretches between checkpoints are executed again from the last to the first, until one has what is looked for;
 * of that the last moment counts. */
#include "emu/machine/travel_priv.h"

#include "emu/base/diag.h"
#include "emu/base/little.h"
#include "emu/machine/breaks.h"
#include "emu/machine/journal.h"
#include "svm/svm.h"

#include <inttypes.h>

/* A moment that was found. */
struct found {
    bool any;
    uint64_t steps;
    unsigned id;
};

/* Of what watches memory one is shown what was before. */
static bool is_before(const struct pacifica_machine *machine, unsigned id)
{
    const struct pacifica_break *what = pacifica_break_get(machine, id, NULL);
    return what && (what->kind == PACIFICA_BREAK_WRITE || what->kind == PACIFICA_BREAK_READ ||
                    what->kind == PACIFICA_BREAK_ACCESS);
}

/* The number of the break that has stopped a run. */
static unsigned told(struct pacifica_machine *machine)
{
    struct pacifica_result result;
    machine_tell(machine, PACIFICA_STOP_BREAK, &result);
    return result.break_id;
}

/* Execute until `end` and note the last stop before `before`, by break `only` if that is not 0. */
static enum pacifica_stop hunt(struct pacifica_machine *machine, uint64_t end, uint64_t before,
                               unsigned only, struct found *found)
{
    const struct run_limits limits = { .max_steps = end, .stop_request = &machine->stop_request };
    for (;;) {
        enum pacifica_stop stop = machine_feed(machine, &limits, true);
        uint64_t steps = group_steps(machine->cpu[0]);
        if (stop == PACIFICA_STOP_BREAK) {
            unsigned id = told(machine);
            uint64_t at = steps && is_before(machine, id) ? steps - 1 : steps;
            if (at < before && (!only || id == only))
                *found = (struct found){ .any = true, .steps = at, .id = id };
            continue;
        }
        if (stop == PACIFICA_STOP_REPLAYED || stop == PACIFICA_STOP_REQUEST)
            return stop;
        if (!machine->journal->past || steps >= end)
            return PACIFICA_STOP_NONE;
    }
}

/* Memory that somebody asks about. */
struct asked {
    uint64_t page[2];
    unsigned pages;
};

/* May the stretch behind a checkpoint have written it? */
static bool may_write(const struct travel *travel, size_t index, const struct asked *asked)
{
    bool may = !asked || index + 1 >= travel->count;
    for (unsigned i = 0; !may && i < asked->pages; i++)
        may = travel_pages_has(&travel->at[index + 1]->pages, asked->page[i]);
    return may;
}

/* The stretches between checkpoints, from that before `now` to the first. A break that stops at a checkpoint is met in the stretch
 * before it, so each goes on for one more step. STOP_NONE: all was looked at, or it is found. */
static enum pacifica_stop hunt_back(struct pacifica_machine *machine, unsigned only,
                                    const struct asked *asked, struct found *found)
{
    const struct travel *travel = machine->travel;
    uint64_t now = group_steps(machine->cpu[0]), end = now;
    size_t index = now ? travel_find(machine, now - 1) : SIZE_MAX;
    *found = (struct found){ .any = false };
    for (; index != SIZE_MAX; index--) { /* from 0 to SIZE_MAX */
        uint64_t begin = travel->at[index]->steps;
        enum pacifica_stop stop = PACIFICA_STOP_NONE;
        if (may_write(travel, index, asked)) {
            travel_load(machine, index);
            stop = hunt(machine, end, now, only, found);
        }
        if (stop != PACIFICA_STOP_NONE || found->any)
            return stop;
        end = begin + 1 < now ? begin + 1 : now;
    }
    return PACIFICA_STOP_NONE;
}

/* Be there. Breaks where processors stand then are not met when they go on. */
static enum pacifica_stop seek(struct pacifica_machine *machine, uint64_t steps)
{
    machine_breaks_hold(machine, true);
    enum pacifica_stop stop = travel_seek(machine, steps);
    machine_breaks_hold(machine, false);
    for (unsigned i = 0; i < machine->cpu_count; i++)
        machine_breaks_stepped(machine, i);
    return stop;
}

/* Where one can go back to no further. */
static enum pacifica_stop go_to_beginning(struct pacifica_machine *machine)
{
    (void)seek(machine, machine->travel->at[0]->steps);
    return PACIFICA_STOP_BEGINNING;
}

/* Somebody has called pacifica_machine_stop(), or the past is not what it was. */
static enum pacifica_stop give_up(struct pacifica_machine *machine, uint64_t now,
                                  enum pacifica_stop stop)
{
    machine->stop_request = false;
    if (stop != PACIFICA_STOP_REPLAYED)
        (void)seek(machine, now);
    return stop;
}

enum pacifica_status pacifica_travel_goto(struct pacifica_machine *machine, uint64_t steps,
                                          struct pacifica_result *result,
                                          struct pacifica_diag *diag)
{
    uint64_t first, latest, now = group_steps(machine->cpu[0]);
    *result = (struct pacifica_result){ 0 };
    if (pacifica_travel_range(machine, &first, &latest) && (steps < first || steps > latest))
        return diag_set(
            diag, PACIFICA_ERANGE, "travel", "where the machine has been; running leads further",
            "step %" PRIu64 " is not one of %" PRIu64 " to %" PRIu64, steps, first, latest);
    enum pacifica_status status = travel_leave(machine, diag);
    if (status != PACIFICA_OK)
        return status;
    enum pacifica_stop stop = seek(machine, steps);
    if (stop != PACIFICA_STOP_LIMIT_INSNS)
        stop = give_up(machine, now, stop);
    machine_tell(machine, stop, result);
    return PACIFICA_OK;
}

enum pacifica_status pacifica_travel_back(struct pacifica_machine *machine,
                                          struct pacifica_result *result,
                                          struct pacifica_diag *diag)
{
    *result = (struct pacifica_result){ 0 };
    enum pacifica_status status = travel_leave(machine, diag);
    if (status != PACIFICA_OK)
        return status;
    struct found found;
    uint64_t now = group_steps(machine->cpu[0]);
    enum pacifica_stop stop = hunt_back(machine, 0, NULL, &found);
    if (stop == PACIFICA_STOP_NONE && !found.any)
        stop = go_to_beginning(machine);
    else if (stop == PACIFICA_STOP_NONE)
        stop = seek(machine, found.steps);
    else
        stop = give_up(machine, now, stop);
    if (stop == PACIFICA_STOP_LIMIT_INSNS) {
        stop = PACIFICA_STOP_BREAK;
        machine_breaks_say(machine, found.id);
    }
    machine_tell(machine, stop, result);
    return PACIFICA_OK;
}

/* --- one step of one processor --------------------------------------------------------------------------- */

/* The last checkpoint before which the processor has not taken its step `nth`, from 1. SIZE_MAX: there is none. */
static size_t find_by_cpu(const struct travel *travel, unsigned cpu, uint64_t nth, uint64_t before)
{
    for (size_t i = travel->count; i-- > 0;)
        if (travel->at[i]->cpu_steps[cpu] < nth && travel->at[i]->steps < before)
            return i;
    return SIZE_MAX;
}

/* How many steps all have taken when it has taken its nth. UINT64_MAX: it was not to be found. */
static uint64_t steps_behind(struct pacifica_machine *machine, unsigned cpu, uint64_t nth,
                             size_t index)
{
    uint64_t now = group_steps(machine->cpu[0]);
    const struct run_limits limits = { .max_steps = now,
                                       .stop_request = &machine->stop_request,
                                       .step_cpu = machine->cpu[cpu],
                                       .step_end = nth };
    if (machine->cpu_count == 1)
        return now;
    machine_breaks_hold(machine, true);
    travel_load(machine, index);
    travel_want(machine, now);
    enum pacifica_stop stop;
    do
        stop = machine_feed(machine, &limits, true);
    while (stop != PACIFICA_STOP_STEP && stop != PACIFICA_STOP_REQUEST &&
           stop != PACIFICA_STOP_REPLAYED && machine->journal->past &&
           group_steps(machine->cpu[0]) < now);
    machine_breaks_hold(machine, false);
    bool there = vcpu_steps(machine->cpu[cpu]) >= nth;
    return there ? group_steps(machine->cpu[0]) : UINT64_MAX;
}

enum pacifica_status pacifica_travel_back_step(struct pacifica_machine *machine, unsigned cpu,
                                               struct pacifica_result *result,
                                               struct pacifica_diag *diag)
{
    *result = (struct pacifica_result){ 0 };
    if (cpu >= machine->cpu_count)
        return diag_set(diag, PACIFICA_EUSAGE, "travel", NULL, "there is no processor %u", cpu);
    enum pacifica_status status = travel_leave(machine, diag);
    if (status != PACIFICA_OK)
        return status;
    uint64_t now = group_steps(machine->cpu[0]), nth = vcpu_steps(machine->cpu[cpu]);
    size_t index = find_by_cpu(machine->travel, cpu, nth, now);
    enum pacifica_stop stop = PACIFICA_STOP_LIMIT_INSNS;
    if (index == SIZE_MAX) {
        machine_tell(machine, go_to_beginning(machine), result);
        return PACIFICA_OK;
    }
    uint64_t first = machine->travel->at[index]->steps;
    uint64_t target = steps_behind(machine, cpu, nth, index);
    if (target == UINT64_MAX)
        stop = PACIFICA_STOP_REQUEST;
    /* Few steps are taken two at a time. */
    while (stop == PACIFICA_STOP_LIMIT_INSNS && target > first &&
           vcpu_steps(machine->cpu[cpu]) >= nth)
        stop = seek(machine, --target);
    stop = stop == PACIFICA_STOP_LIMIT_INSNS ? PACIFICA_STOP_STEP : give_up(machine, now, stop);
    machine_tell(machine, stop, result);
    return PACIFICA_OK;
}

/* --- who wrote it ---------------------------------------------------------------------------------------- */

static uint64_t value_at(struct pacifica_machine *machine, uint64_t physical, size_t size)
{
    uint8_t bytes[8] = { 0 };
    (void)pacifica_machine_memory_read(machine, 0, PACIFICA_SPACE_PHYSICAL, physical, bytes,
                                       size < sizeof(bytes) ? size : sizeof(bytes));
    return little_get(bytes, sizeof(bytes));
}

/* The machine is before the step that writes, and is behind it afterwards. */
static void tell_write(struct pacifica_machine *machine, uint64_t physical, size_t size,
                       struct pacifica_write *write)
{
    const struct vcpu *cpu = machine_current(machine);
    bool flat = cpu->mode == MODE_LONG64;
    *write = (struct pacifica_write){
        .steps = group_steps(machine->cpu[0]),
        .cpu = cpu->index,
        .rip = flat ? cpu_rip(cpu) : (uint32_t)(cpu->regs.seg[SEG_CS].base + cpu_rip(cpu)),
        .guest = svm_guest(cpu),
        .old_value = value_at(machine, physical, size)
    };
    (void)seek(machine, write->steps + 1);
    write->new_value = value_at(machine, physical, size);
}

static enum pacifica_status find_write(struct pacifica_machine *machine, uint64_t physical,
                                       size_t size, struct pacifica_write *write,
                                       struct pacifica_diag *diag)
{
    struct pacifica_break wanted = PACIFICA_BREAK_INIT;
    struct asked asked = { .page = { memory_backing(machine->memory, physical),
                                     memory_backing(machine->memory, physical + size - 1) },
                           .pages = 2 };
    uint64_t now = group_steps(machine->cpu[0]);
    struct found found;
    unsigned id;
    wanted.kind = PACIFICA_BREAK_WRITE;
    wanted.space = PACIFICA_SPACE_PHYSICAL;
    wanted.address = physical;
    wanted.size = (uint32_t)size;
    enum pacifica_status status = pacifica_break_add(machine, &wanted, &id, diag);
    if (status != PACIFICA_OK)
        return status;
    enum pacifica_stop stop = hunt_back(machine, id, &asked, &found);
    (void)pacifica_break_remove(machine, id);
    if (stop == PACIFICA_STOP_NONE && found.any)
        stop = seek(machine, found.steps);
    if (stop == PACIFICA_STOP_LIMIT_INSNS)
        tell_write(machine, physical, size, write);
    machine->stop_request = false;
    (void)seek(machine, now);
    if (stop == PACIFICA_STOP_LIMIT_INSNS)
        return PACIFICA_OK;
    return diag_set(diag, PACIFICA_ERANGE, "travel", NULL, "%s",
                    stop == PACIFICA_STOP_NONE ? "nothing has changed it since the first step"
                                               : "not looked at to the end");
}

enum pacifica_status pacifica_travel_last_write(struct pacifica_machine *machine, uint64_t physical,
                                                size_t size, struct pacifica_write *write,
                                                struct pacifica_diag *diag)
{
    *write = (struct pacifica_write){ 0 };
    if (size == 0 || size > 4096)
        return diag_set(diag, PACIFICA_EUSAGE, "travel", NULL,
                        "1 to 4096 bytes can be asked about");
    if (memory_backing(machine->memory, physical) == MEMORY_NO_PAGE ||
        memory_backing(machine->memory, physical + size - 1) == MEMORY_NO_PAGE)
        return diag_set(diag, PACIFICA_EUSAGE, "travel", NULL, "%#" PRIx64 " is no memory",
                        physical);
    enum pacifica_status status = travel_leave(machine, diag);
    return status == PACIFICA_OK ? find_write(machine, physical, size, write, diag) : status;
}

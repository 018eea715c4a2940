/* Checkpoints: making them, going to them, and doing without some where memory is short. */
#include "emu/machine/travel_priv.h"

#include "devices/block.h"
#include "devices/vga.h"
#include "emu/machine/breaks.h"
#include "emu/machine/journal.h"

#include <stdlib.h>
#include <string.h>

#define EXTRA_MOST 48u

/* --- states ---------------------------------------------------------------------------------------- */

/* Limits of time are no part of the machine, but of what runs it. */
static void state(struct pacifica_machine *machine, struct snap *snap)
{
    snap->without_media = true; /* marks keep these */
    machine_state(machine, snap);
    if (!snap_begin(snap, "travel", 0, 1))
        return;
    snap_deadline(snap, "time_limit", &machine->clock, &machine->time_limit);
    snap_end(snap);
}

static bool keep_state(struct pacifica_machine *machine, struct checkpoint *point)
{
    struct snap snap;
    snap_save(&snap);
    state(machine, &snap);
    point->state = snap.failed ? NULL : realloc(snap.data, snap.size);
    if (!point->state) {
        snap_free(&snap);
        return false;
    }
    point->size = snap.size;
    machine->travel->state_bytes += sizeof(*point) + point->size;
    return true;
}

static bool keep_media(struct pacifica_machine *machine, struct checkpoint *point)
{
    for (unsigned i = 0; i < MACHINE_DISKS; i++) {
        if (!machine->block[i])
            continue;
        point->mark[i] = block_mark(machine->block[i]);
        if (!point->mark[i])
            return false;
    }
    if (machine->vga)
        point->screen = vga_mark(machine->vga);
    return !machine->vga || point->screen;
}

/* Its pages have gone. */
static void free_point(struct travel *travel, struct checkpoint *point)
{
    for (unsigned i = 0; i < MACHINE_DISKS; i++)
        block_mark_free(point->mark[i]);
    vga_mark_free(point->screen);
    if (point->state)
        travel->state_bytes -= sizeof(*point) + point->size;
    free(point->state);
    free(point);
}

/* --- doing without ------------------------------------------------------------------------------------- */

/* The place of a checkpoint's pages; index may be count. */
static struct version_place place(const struct travel *travel, size_t index)
{
    if (index >= travel->count)
        return (struct version_place){ 0 };
    return (struct version_place){ travel->at[index]->steps, &travel->at[index]->pages };
}

/* Memory is no longer told by its difference to a checkpoint that goes, but to the one before or, for the first, behind. */
static void move_base(struct travel *travel, size_t index)
{
    size_t to = index ? index - 1 : 1;
    const struct version_list *list = &travel->at[index ? index : 1]->pages;
    for (const struct version *v = list->first; v; v = v->next)
        memory_set_marks(travel->pages.memory, v->page, PAGE_DIRTY, 0);
    travel->pages.base = travel->at[to]->steps;
}

static void drop(struct travel *travel, size_t index)
{
    struct checkpoint *point = travel->at[index];
    if (travel->pages.base == point->steps && travel->count > 1)
        move_base(travel, index);
    travel_pages_merge(&travel->pages, &point->pages, place(travel, index + 1));
    free_point(travel, point);
    travel->count--;
    memmove(&travel->at[index], &travel->at[index + 1],
            (travel->count - index) * sizeof(travel->at[0]));
}

void travel_drop_from(struct pacifica_machine *machine, size_t index)
{
    while (machine->travel->count > index)
        drop(machine->travel, machine->travel->count - 1);
}

static uint64_t bytes_of(const struct pacifica_machine *machine)
{
    const struct travel *travel = machine->travel;
    uint64_t bytes = travel->pages.bytes + travel->state_bytes;
    for (unsigned i = 0; i < MACHINE_DISKS; i++)
        if (machine->block[i])
            bytes += block_marks_memory(machine->block[i]);
    if (machine->vga)
        bytes += vga_mark_memory(machine->vga);
    return bytes;
}

/* The checkpoint that is missed least: its neighbours are near each other, measured by how far in the past it is. So distances
 * grow with age. Neither the first nor the last, nor the one that memory is told by. SIZE_MAX: there is none. */
static size_t least_missed(const struct travel *travel)
{
    size_t least = SIZE_MAX;
    double least_cost = 0;
    uint64_t latest = travel->count ? travel->at[travel->count - 1]->steps : 0;
    for (size_t i = 1; i + 1 < travel->count; i++) {
        double gap = (double)(travel->at[i + 1]->steps - travel->at[i - 1]->steps);
        double cost = gap / (double)(latest - travel->at[i]->steps + travel->every);
        if (travel->at[i]->steps == travel->pages.base || (least != SIZE_MAX && cost >= least_cost))
            continue;
        least = i;
        least_cost = cost;
    }
    return least;
}

/* The past becomes shorter when nothing else helps, and in the end there is none. */
static void thin_out(struct pacifica_machine *machine)
{
    struct travel *travel = machine->travel;
    while (bytes_of(machine) > travel->most && travel->count) {
        size_t least = least_missed(travel);
        if (least == SIZE_MAX && travel->count > 1)
            least = 0;
        if (least != SIZE_MAX) {
            drop(travel, least);
            continue;
        }
        travel_drop_from(machine, 0);
        travel->lost = true;
    }
}

void travel_thin_extra(struct pacifica_machine *machine, uint64_t steps)
{
    struct travel *travel = machine->travel;
    unsigned extra = 0;
    for (size_t i = 0; i < travel->count; i++)
        extra += travel->at[i]->extra;
    while (extra > EXTRA_MOST) {
        size_t farthest = SIZE_MAX;
        uint64_t distance = 0;
        for (size_t i = 1; i + 1 < travel->count; i++) {
            const struct checkpoint *point = travel->at[i];
            uint64_t far = point->steps > steps ? point->steps - steps : steps - point->steps;
            if (!point->extra || point->steps == travel->pages.base || far < distance)
                continue;
            farthest = i;
            distance = far;
        }
        if (farthest == SIZE_MAX)
            return;
        drop(travel, farthest);
        extra--;
    }
}

/* --- making -------------------------------------------------------------------------------------------- */

static bool have_room(struct travel *travel)
{
    if (travel->count < travel->room)
        return true;
    size_t room = travel->room ? 2 * travel->room : 64;
    struct checkpoint **at = realloc(travel->at, room * sizeof(*at));
    if (!at)
        return false;
    travel->at = at;
    travel->room = room;
    return true;
}

static size_t first_from(const struct travel *travel, uint64_t steps)
{
    size_t index = 0;
    while (index < travel->count && travel->at[index]->steps < steps)
        index++;
    return index;
}

/* Everything of it but what memory holds. */
static struct checkpoint *make(struct pacifica_machine *machine, bool extra)
{
    struct checkpoint *point = calloc(1, sizeof(*point));
    if (!point)
        return NULL;
    point->steps = group_steps(machine->cpu[0]);
    point->turns = group_turns(machine->cpu[0]);
    point->sends = machine->journal->sends;
    point->next = machine->journal->next;
    point->extra = extra;
    for (unsigned i = 0; i < machine->cpu_count; i++)
        point->cpu_steps[i] = vcpu_steps(machine->cpu[i]);
    if (keep_state(machine, point) && keep_media(machine, point))
        return point;
    free_point(machine->travel, point);
    return NULL;
}

/* Also of the workstation's memory there may be none left. */
static void lose(struct pacifica_machine *machine)
{
    travel_drop_from(machine, 0);
    machine->travel->lost = true;
}

void travel_keep(struct pacifica_machine *machine, bool extra)
{
    struct travel *travel = machine->travel;
    uint64_t steps = group_steps(machine->cpu[0]);
    size_t index = first_from(travel, steps);
    if (travel->lost)
        return;
    if (index < travel->count && travel->at[index]->steps == steps) {
        travel->at[index]->extra &= extra;
        return;
    }
    struct checkpoint *point = have_room(travel) ? make(machine, extra) : NULL;
    if (!point) {
        if (!extra)
            lose(machine);
        return;
    }
    struct version_place now = { steps, &point->pages };
    if (!travel_pages_keep(&travel->pages, now, place(travel, index))) {
        travel_pages_merge(&travel->pages, &point->pages, (struct version_place){ 0 });
        free_point(travel, point);
        if (!extra)
            lose(machine);
        return;
    }
    memmove(&travel->at[index + 1], &travel->at[index],
            (travel->count - index) * sizeof(travel->at[0]));
    travel->at[index] = point;
    travel->count++;
    thin_out(machine);
}

/* --- going there --------------------------------------------------------------------------------------- */

static bool memory_to(struct travel *travel, uint64_t steps)
{
    uint64_t base = travel->pages.base, low = base < steps ? base : steps;
    size_t first = first_from(travel, low + 1),
           last = first_from(travel, (base > steps ? base : steps) + 1);
    const struct version_list **list = malloc((last - first + 1) * sizeof(*list));
    if (!list)
        return false;
    for (size_t i = first; i < last; i++)
        list[i - first] = &travel->at[i]->pages;
    travel_pages_return(&travel->pages, steps, list, last - first);
    free((void *)list);
    return true;
}

void travel_load(struct pacifica_machine *machine, size_t index)
{
    struct travel *travel = machine->travel;
    struct journal *journal = machine->journal;
    const struct checkpoint *point = travel->at[index];
    struct snap snap;
    if (!memory_to(travel, point->steps)) {
        travel->lost = true;
        return;
    }
    for (unsigned i = 0; i < MACHINE_DISKS; i++)
        if (machine->block[i])
            block_return(machine->block[i], point->mark[i]);
    if (machine->vga)
        vga_return(machine->vga, point->screen);
    clock_cancel(&machine->clock, &machine->time_limit);
    snap_load(&snap, point->state, point->size);
    machine_arm_time_limit(machine, CLOCK_NEVER); /* its functions are set */
    state(machine, &snap);
    group_set_turns(machine->cpu[0], point->turns);
    journal->next = point->next;
    journal->sends = point->sends;
    journal->ran = true;
    journal->settled = false;
    machine_breaks_refresh(machine);
    if (snap.failed) /* it was our own */
        travel->lost = true;
}

/* One that holds what has entered at its steps is not where a limit of steps stops. */
static bool is_clean(const struct pacifica_machine *machine, const struct checkpoint *point)
{
    return point->next == 0 || machine->journal->input[point->next - 1].steps < point->steps;
}

size_t travel_find(const struct pacifica_machine *machine, uint64_t steps)
{
    const struct travel *travel = machine->travel;
    size_t index = first_from(travel, steps + 1);
    if (index > 1 && travel->at[index - 1]->steps == steps &&
        !is_clean(machine, travel->at[index - 1]))
        index--;
    return index ? index - 1 : SIZE_MAX;
}

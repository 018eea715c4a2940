/* Running by the journal: what has entered once enters again. */
#include "emu/machine/journal.h"
#include "emu/machine/machine.h"
#include "emu/machine/mute.h"

#include "devices/i8042.h"
#include "devices/virtio_net.h"
#include "emu/base/diag.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- one input -------------------------------------------------------------------------------------- */

static bool enter_register(struct pacifica_machine *machine, const struct input *in)
{
    size_t count;
    const struct pacifica_register *registers = pacifica_registers(&count);
    return in->a < count && in->size == registers[in->a].bits / 8u &&
           machine_register_set(machine, in->index, (size_t)in->a, in->data, NULL) == PACIFICA_OK;
}

static bool enter(struct pacifica_machine *machine, const struct input *in)
{
    switch (in->kind) {
    case INPUT_SERIAL: return uart_input(machine->uart, in->data, in->size) == in->size;
    case INPUT_COM2:
        return machine->com2 && uart_input(machine->com2, in->data, in->size) == in->size;
    case INPUT_FRAME:
        return in->index < machine->nic_count &&
               virtio_net_input(machine->nic[in->index], in->data, in->size);
    case INPUT_KEY: i8042_key(machine->kbc, (unsigned)in->a, in->b != 0); return true;
    case INPUT_MOUSE:
        i8042_mouse(machine->kbc, (int32_t)(uint32_t)in->a, (int32_t)(in->a >> 32),
                    (int32_t)(uint32_t)in->b, (uint8_t)(in->b >> 32));
        return true;
    case INPUT_SIGNAL:
        return machine_signal(machine, in->index, (enum pacifica_signal)in->a) == PACIFICA_OK;
    case INPUT_RESET: return machine_reset(machine, NULL) == PACIFICA_OK;
    case INPUT_TIME_LIMIT: machine_arm_time_limit(machine, in->a); return true;
    case INPUT_TIME_LIMIT_END: machine_cancel_time_limit(machine); return true;
    case INPUT_REGISTER: return enter_register(machine, in);
    case INPUT_MEMORY:
        return machine_memory_write(machine, in->index, (enum pacifica_space)in->a, in->b, in->data,
                                    in->size) == in->size;
    case INPUT_MARK: return true;
    default: return false;
    }
}

bool journal_enter(struct pacifica_machine *machine, const struct input *input)
{
    struct journal *journal = machine->journal;
    bool time =
        input->now_ns == INPUT_ANY_TIME || input->now_ns == machine->clock.now(machine->clock.self);
    if (input->place != PLACE_SEND)
        journal->ran = false;
    return time && enter(machine, input);
}

/* --- one after the other ------------------------------------------------------------------------------ */

/* The first that does not enter by itself, in the middle of a step. */
static struct input *next_stop(struct journal *journal)
{
    for (size_t i = journal->next; i < journal->count; i++)
        if (journal->input[i].place != PLACE_SEND)
            return &journal->input[i];
    return NULL;
}

/* The run has left what is written down: an image, or this program, is not what it was. */
static enum pacifica_stop leave(struct pacifica_machine *machine, const struct input *in)
{
    struct journal *journal = machine->journal;
    (void)snprintf(machine->watch_text, sizeof(machine->watch_text),
                   "the run is not the recorded one: input %zu, of step %" PRIu64
                   ", does not enter as it did",
                   (size_t)(in - journal->input), in->steps);
    journal->next = journal->count;
    journal->replay = false;
    journal->left = true;
    if (journal->past) {
        journal->failed = true;
        journal->past = false;
        machine_mute(machine, false);
    }
    return PACIFICA_STOP_REPLAYED;
}

/* It enters, where the machine is. */
static enum pacifica_stop take(struct pacifica_machine *machine, const struct input *in)
{
    struct journal *journal = machine->journal;
    if (in != &journal->input[journal->next]) /* frames that should have come before */
        return leave(machine, in);
    size_t index = journal->next++;
    if (!journal_enter(machine, in))
        return leave(machine, in);
    if (journal->past && index == journal->present) {
        journal->past = false;
        machine_mute(machine, false);
    }
    /* Whoever runs the machine has been told, and is told again. */
    return in->kind == INPUT_MARK && in->place == PLACE_HALTED ? PACIFICA_STOP_HALTED
                                                               : PACIFICA_STOP_NONE;
}

/* A run towards an input, or as far as the caller wants. */
static enum pacifica_stop approach(struct pacifica_machine *machine,
                                   const struct run_limits *limits, const struct input *in)
{
    struct run_limits shorter = *limits;
    if (in->place == PLACE_STEPS && in->steps < limits->max_steps) {
        shorter.max_steps = in->steps;
        shorter.from_turn = in->turn;
    }
    return machine_run_to(machine, &shorter);
}

/* A stop at which the input may enter. */
static bool is_place(const struct pacifica_machine *machine, const struct input *in,
                     enum pacifica_stop stop)
{
    const struct vcpu *cpu = machine->cpu[0];
    if (group_steps(cpu) != in->steps)
        return false;
    switch (in->place) {
    case PLACE_STEPS: return stop == PACIFICA_STOP_LIMIT_INSNS && group_turns(cpu) == in->turn;
    case PLACE_HALTED: return stop == PACIFICA_STOP_HALTED;
    case PLACE_TIME: return stop == PACIFICA_STOP_LIMIT_TIME;
    default: return false;
    }
}

/* Is the machine where it enters, without running? */
static bool is_here(const struct pacifica_machine *machine, const struct input *in)
{
    return in->place == PLACE_SAME ||
           (in->place == PLACE_ENDED && machine->ended != PACIFICA_STOP_NONE);
}

/* A run towards an input has stopped elsewhere. Returns STOP_NONE if it is to go on: whoever was told that the machine
 * waits has let it go on, too. halted_ns is when it last did. */
static enum pacifica_stop stopped_elsewhere(struct pacifica_machine *machine,
                                            const struct input *in, enum pacifica_stop stop,
                                            uint64_t *halted_ns)
{
    uint64_t now = machine->clock.now(machine->clock.self);
    bool for_ever = stop == PACIFICA_STOP_HALTED && now == *halted_ns;
    if (group_steps(machine->cpu[0]) > in->steps || for_ever || stop == PACIFICA_STOP_LIMIT_INSNS ||
        stop == PACIFICA_STOP_LIMIT_TIME)
        return leave(machine, in);
    *halted_ns = now;
    return stop == PACIFICA_STOP_HALTED ? PACIFICA_STOP_NONE : stop;
}

static enum pacifica_stop feed_one(struct pacifica_machine *machine,
                                   const struct run_limits *limits, uint64_t *halted_ns)
{
    const struct input *in = next_stop(machine->journal);
    if (!in)
        return leave(machine, &machine->journal->input[machine->journal->next]);
    if (is_here(machine, in))
        return take(machine, in);
    enum pacifica_stop stop = approach(machine, limits, in);
    if (stop == PACIFICA_STOP_LIMIT_INSNS && group_steps(machine->cpu[0]) >= limits->max_steps)
        return stop;
    if (is_place(machine, in, stop))
        return take(machine, in);
    return stopped_elsewhere(machine, in, stop, halted_ns);
}

enum pacifica_stop machine_feed(struct pacifica_machine *machine, const struct run_limits *limits,
                                bool to_present)
{
    struct journal *journal = machine->journal;
    uint64_t halted_ns = UINT64_MAX;
    while (journal_feeds(journal) && !(to_present && !journal->past)) {
        enum pacifica_stop stop = feed_one(machine, limits, &halted_ns);
        if (stop != PACIFICA_STOP_NONE)
            return stop;
    }
    if (!journal->replay || journal_feeds(journal))
        return PACIFICA_STOP_NONE;
    journal->replay = false;
    (void)snprintf(machine->watch_text, sizeof(machine->watch_text), "the recording has ended");
    return PACIFICA_STOP_REPLAYED;
}

/* Running a machine, and saying why it stopped. */
#include "emu/machine/breaks.h"
#include "emu/machine/journal.h"
#include "emu/machine/machine.h"

#include "emu/base/diag.h"
#include "svm/svm.h"

#include <fenv.h>
#include <inttypes.h>
#include <stdio.h>

void pacifica_machine_stop(struct pacifica_machine *machine)
{
    machine->stop_request = true;
}

/* What keeps everything from ending the wait. */
static const char *explain_halt(const struct vcpu *cpu)
{
    if (cpu->ferr.frozen)
        return "frozen for ever by an x87 error: CR0.NE is 0 and no interrupt can come";
    if (!cpu->svm->gif)
        return "halted for ever: GIF is 0, and nothing can end this HLT";
    if (cpu->svm->guest)
        return "halted for ever: nothing can end this HLT of a guest, which no intercept takes";
    if (!(cpu->rflags & FLAG_IF))
        return "halted for ever: RFLAGS.IF is 0, and nothing can end this HLT";
    return "halted for ever: nothing can end this HLT";
}

/* Fill result->diag for the stops that need words. */
static void explain(const struct pacifica_machine *machine, struct pacifica_result *result)
{
    const struct vcpu *cpu = machine_current(machine);
    const char *told = cpu->stop.text;
    char where[64];
    (void)snprintf(where, sizeof(where), "%04x:%016" PRIx64, cpu->regs.seg[SEG_CS].selector,
                   cpu_rip(cpu));
    switch (result->stop) {
    case PACIFICA_STOP_LIMIT_INSNS:
        (void)diag_set(&result->diag, PACIFICA_OK, where, NULL, "step limit reached");
        break;
    case PACIFICA_STOP_UNIMPLEMENTED:
        (void)diag_set(&result->diag, PACIFICA_OK, where, NULL, "%s",
                       told[0] ? told : "not emulated yet");
        break;
    case PACIFICA_STOP_SHUTDOWN:
        if (told[0]) /* it says where, too: that is no longer in the registers */
            (void)diag_set(&result->diag, PACIFICA_OK, NULL, NULL, "%s", told);
        else
            (void)diag_set(&result->diag, PACIFICA_OK, where, NULL, "shutdown");
        break;
    case PACIFICA_STOP_HALTED:
        (void)diag_set(&result->diag, PACIFICA_OK, where, NULL, "%s", explain_halt(cpu));
        break;
    case PACIFICA_STOP_BREAK: machine_breaks_tell(machine, result); break;
    case PACIFICA_STOP_REPLAYED:
        (void)diag_set(&result->diag, PACIFICA_OK, where,
                       machine->journal->left ? "same options, images and program are needed"
                                              : NULL,
                       "%s", machine->watch_text);
        break;
    case PACIFICA_STOP_WATCH:
        (void)diag_set(&result->diag, PACIFICA_OK, where, NULL, "%s", machine->watch_text);
        break;
    default: break;
    }
}

/* The end that limits.max_ns sets. */
static void time_is_over(void *self, uint64_t now_ns)
{
    struct pacifica_machine *machine = self;
    (void)now_ns;
    vcpu_stop(machine_current(machine), PACIFICA_STOP_LIMIT_TIME);
}

void machine_arm_time_limit(struct pacifica_machine *machine, uint64_t max_ns)
{
    machine->time_limit.fire = time_is_over;
    machine->time_limit.self = machine;
    clock_arm(&machine->clock, &machine->time_limit, max_ns);
}

/* Another stop may have come first. */
void machine_cancel_time_limit(struct pacifica_machine *machine)
{
    struct vcpu *cpu = machine_current(machine);
    clock_cancel(&machine->clock, &machine->time_limit);
    if (cpu->stop.reason == PACIFICA_STOP_LIMIT_TIME)
        cpu->stop.reason = PACIFICA_STOP_NONE;
}

/* Such a limit may show, so the journal knows of it. */
static void begin_time_limit(struct pacifica_machine *machine, uint64_t max_ns)
{
    if (!max_ns)
        return;
    (void)journal_admit(machine);
    machine_arm_time_limit(machine, max_ns);
    journal_note(machine, &(struct input){ .kind = INPUT_TIME_LIMIT, .a = max_ns });
}

static void end_time_limit(struct pacifica_machine *machine, uint64_t max_ns)
{
    if (!max_ns)
        return;
    (void)journal_admit(machine);
    machine_cancel_time_limit(machine);
    journal_note(machine, &(struct input){ .kind = INPUT_TIME_LIMIT_END });
}

/* The guest's floating point borrows the workstation's where the result is the same: with the default rounding and without traps or
 * flushed denormals, whatever the caller has set. */
static enum pacifica_stop run_as_usual(struct pacifica_machine *machine,
                                       const struct run_limits *limits)
{
    fenv_t callers;
    struct run_limits with_breaks = *limits;
    enum pacifica_stop stop = PACIFICA_STOP_BREAK;
    if (machine_breaks_begin(machine, &with_breaks))
        return stop;
    bool saved = fegetenv(&callers) == 0 && fesetenv(FE_DFL_ENV) == 0;
    do
        stop = (enum pacifica_stop)run_vcpu(machine->cpu[0], &with_breaks);
    while (stop == PACIFICA_STOP_BREAK && !machine_breaks_settle(machine));
    machine_breaks_end(machine);
    if (saved)
        (void)fesetenv(&callers);
    return stop;
}

/* Checkpoints cut a run. */
static enum pacifica_stop run_with_points(struct pacifica_machine *machine,
                                          const struct run_limits *limits)
{
    for (;;) {
        struct run_limits piece = *limits;
        uint64_t next = travel_next_stop(machine);
        if (next > limits->max_steps)
            return run_as_usual(machine, limits);
        piece.max_steps = next;
        piece.from_turn = 0; /* it is a moment before */
        enum pacifica_stop stop = run_as_usual(machine, &piece);
        if (stop != PACIFICA_STOP_LIMIT_INSNS)
            return stop;
        travel_stopped(machine);
    }
}

enum pacifica_stop machine_run_to(struct pacifica_machine *machine, const struct run_limits *limits)
{
    enum pacifica_stop stop = machine->ended;
    /* Nothing goes on behind these; and what they said of themselves is still in cpu->stop. */
    if (stop == PACIFICA_STOP_NONE)
        stop = machine->travel ? run_with_points(machine, limits) : run_as_usual(machine, limits);
    if (stop == PACIFICA_STOP_SHUTDOWN || stop == PACIFICA_STOP_UNIMPLEMENTED ||
        stop == PACIFICA_STOP_POWER_OFF)
        machine->ended = stop;
    if (stop == PACIFICA_STOP_REQUEST)
        machine->stop_request = false;
    if (machine->journal)
        journal_stopped(machine, stop);
    return stop;
}

enum pacifica_stop machine_run(struct pacifica_machine *machine, const struct run_limits *limits,
                               uint64_t max_ns)
{
    machine->has_run = true;
    if (machine->journal && (machine->journal->replay || journal_feeds(machine->journal))) {
        enum pacifica_stop stop = machine_feed(machine, limits, false);
        if (stop != PACIFICA_STOP_NONE)
            return stop;
    }
    if (machine->ended != PACIFICA_STOP_NONE)
        return machine->ended;
    begin_time_limit(machine, max_ns);
    enum pacifica_stop stop = machine_run_to(machine, limits);
    end_time_limit(machine, max_ns);
    journal_progress(machine, stop);
    return stop;
}

static enum pacifica_stop run(struct pacifica_machine *machine,
                              const struct pacifica_limits *limits)
{
    const struct run_limits run_limits = { .max_steps = limits->max_steps,
                                           .stop_request = &machine->stop_request,
                                           .exact_blocks = limits->exact_blocks,
                                           .drop_fast_every = limits->drop_fast_every };
    return machine_run(machine, &run_limits, limits->max_ns);
}

void machine_tell(struct pacifica_machine *machine, enum pacifica_stop stop,
                  struct pacifica_result *result)
{
    *result = (struct pacifica_result){ .stop = stop };
    if (stop == PACIFICA_STOP_EXIT)
        result->exit_value = machine->exit_value;
    result->steps = group_steps(machine->cpu[0]);
    result->instructions = group_insns(machine->cpu[0]);
    result->now_ns = machine->clock.now(machine->clock.self);
    result->cpu = machine_current(machine)->index;
    explain(machine, result);
}

void pacifica_machine_run(struct pacifica_machine *machine, const struct pacifica_limits *limits,
                          struct pacifica_result *result)
{
    const struct pacifica_limits defaults = PACIFICA_LIMITS_INIT;
    machine_tell(machine, run(machine, limits ? limits : &defaults), result);
}

void pacifica_machine_step(struct pacifica_machine *machine, unsigned cpu, uint64_t max_steps,
                           struct pacifica_result *result)
{
    const struct vcpu *stepped = machine->cpu[cpu < machine->cpu_count ? cpu : 0];
    const struct run_limits limits = { .max_steps = max_steps,
                                       .stop_request = &machine->stop_request,
                                       .step_cpu = stepped,
                                       .step_end = vcpu_steps(stepped) + 1 };
    machine_tell(machine, machine_run(machine, &limits, 0), result);
    if (result->stop == PACIFICA_STOP_STEP)
        machine_breaks_stepped(machine, stepped->index);
}

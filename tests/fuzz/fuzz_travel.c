/* Random guests on one to three processors that go back in time: every step is again what it was in a run that stops there, and
 * the end is the same. Recorded, they run again and end the same, too. */
#include <pacifica/pacifica.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emu/machine/machine.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/hostile.h"
#include "tests/fuzz/ways.h"

#define LOW_PAGES 0x40u /* those that the makers fill */
#define STEPS 4000u
#define INPUTS 8u
#define LOOKS 6u
#define TAPE (1u << 16)

struct outer { /* something from outside */
    uint64_t steps, max_ns;
    uint8_t what, value;
};

struct plan {
    struct outer outer[INPUTS];
    uint64_t look[LOOKS], hash[LOOKS], end_hash, end_steps;
    bool there[LOOKS]; /* the guest came so far */
};

struct tape {
    size_t size;
    uint8_t bytes[TAPE];
};

static void add(void *self, const void *bytes, size_t size)
{
    struct tape *tape = self;
    if (size > TAPE - tape->size)
        abort();
    memcpy(tape->bytes + tape->size, bytes, size);
    tape->size += size;
}

static struct pacifica_machine *make(struct reader in)
{
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    struct pacifica_machine *machine;
    unsigned choice = read8(&in);
    options.ram_bytes = GUEST_RAM;
    options.cpus = 1 + (choice >> 2) % 3;
    if (choice % 4 == 0) /* these know one processor */
        options.cpus = 1;
    if (pacifica_machine_new(&options, &machine, NULL) != PACIFICA_OK)
        abort();
    if (choice % 4 == 0)
        guest_make(&in, machine);
    else if (choice % 4 == 1)
        hostile_make(&in, machine);
    else
        modes_make(&in, machine);
    for (unsigned page = 0; page < LOW_PAGES; page++)
        memory_set_marks(machine->memory, page, PAGE_DIRTY, 0);
    return machine;
}

static void make_plan(struct plan *plan, struct reader *in)
{
    uint64_t at = 0;
    for (unsigned i = 0; i < INPUTS; i++) {
        at += read_bytes(in, 2) % (STEPS / INPUTS);
        plan->outer[i] = (struct outer){ .steps = at, .what = read8(in), .value = read8(in) };
    }
    at = 0;
    for (unsigned i = 0; i < LOOKS; i++)
        plan->look[i] = at += 1 + read_bytes(in, 2) % (STEPS / LOOKS - 1);
}

static void happen(struct pacifica_machine *machine, const struct outer *outer)
{
    unsigned cpu = outer->value % machine->cpu_count;
    switch (outer->what % 6) {
    case 0: (void)pacifica_machine_signal(machine, cpu, PACIFICA_SIGNAL_NMI); break;
    case 1: (void)pacifica_machine_signal(machine, cpu, PACIFICA_SIGNAL_SMI); break;
    case 2: (void)pacifica_machine_signal(machine, cpu, PACIFICA_SIGNAL_INIT); break;
    case 3: pacifica_machine_key(machine, outer->value, true); break;
    case 4: (void)pacifica_machine_serial_input(machine, &outer->value, 1); break;
    default: pacifica_machine_mouse(machine, outer->value, 1, 0, 0); break;
    }
}

/* false: nothing goes on behind this. */
static bool run_to(struct pacifica_machine *machine, uint64_t steps)
{
    struct pacifica_limits limits = PACIFICA_LIMITS_INIT;
    struct pacifica_result result;
    limits.max_steps = steps;
    do
        pacifica_machine_run(machine, &limits, &result);
    while (result.stop == PACIFICA_STOP_RESET || result.stop == PACIFICA_STOP_EXIT);
    return result.stop == PACIFICA_STOP_LIMIT_INSNS;
}

/* Run with all that happens until `steps`. With hashes: note them where one looks. */
static void run_plan(struct pacifica_machine *machine, struct plan *plan, bool hashes)
{
    unsigned outer = 0, look = 0;
    bool goes = true;
    while (outer < INPUTS || look < LOOKS) {
        bool looks =
            outer == INPUTS || (look < LOOKS && plan->look[look] <= plan->outer[outer].steps);
        uint64_t at = looks ? plan->look[look] : plan->outer[outer].steps;
        goes = run_to(machine, at);
        if (looks && hashes && goes)
            plan->hash[look] = pacifica_machine_state_hash(machine);
        if (looks && hashes)
            plan->there[look] = goes;
        if (!looks)
            happen(machine, &plan->outer[outer]);
        look += looks;
        outer += !looks;
    }
    (void)run_to(machine, STEPS);
}

static void must(bool holds, const char *what, uint64_t number)
{
    if (holds)
        return;
    (void)fprintf(stderr, "%s (%llu)\n", what, (unsigned long long)number);
    abort();
}

static void check_back_step(struct pacifica_machine *machine, unsigned cpu)
{
    struct pacifica_result result;
    uint64_t before = vcpu_steps(machine->cpu[cpu]);
    (void)pacifica_travel_back_step(machine, cpu, &result, NULL);
    must(result.stop == PACIFICA_STOP_BEGINNING || vcpu_steps(machine->cpu[cpu]) + 2 >= before,
         "a step back was a long way", before);
    must(before == 0 || vcpu_steps(machine->cpu[cpu]) < before ||
             result.stop == PACIFICA_STOP_BEGINNING,
         "a step back was none", before);
}

static void check_travel(struct reader in, struct plan *plan, unsigned choice)
{
    struct pacifica_travel_options options = PACIFICA_TRAVEL_INIT;
    struct pacifica_result result;
    struct pacifica_machine *machine = make(in);
    options.every_steps = 1000;
    if (pacifica_travel_begin(machine, &options, NULL) != PACIFICA_OK)
        abort();
    run_plan(machine, plan, false);
    must(pacifica_machine_state_hash(machine) == plan->end_hash, "travel changes the end", 0);
    for (unsigned i = 0; i < 2 * LOOKS; i++) {
        unsigned look = (i * 5 + choice) % LOOKS;
        if (!plan->there[look])
            continue;
        must(pacifica_travel_goto(machine, plan->look[look], &result, NULL) == PACIFICA_OK,
             "no way to", plan->look[look]);
        must(pacifica_machine_state_hash(machine) == plan->hash[look], "another state at",
             plan->look[look]);
        if (i % 4 == 3)
            check_back_step(machine, choice % machine->cpu_count);
    }
    must(pacifica_travel_goto(machine, plan->end_steps, &result, NULL) == PACIFICA_OK,
         "no way to the end", plan->end_steps);
    must(pacifica_machine_state_hash(machine) == plan->end_hash, "another end", plan->end_steps);
    pacifica_machine_free(machine);
}

static void check_replay(struct reader in, struct plan *plan)
{
    static struct tape tape;
    const struct pacifica_output output = { .write = add, .self = &tape };
    struct pacifica_result result;
    struct pacifica_machine *machine = make(in);
    tape.size = 0;
    if (pacifica_record(machine, &output, NULL) != PACIFICA_OK)
        abort();
    run_plan(machine, plan, false);
    must(pacifica_machine_state_hash(machine) == plan->end_hash, "recording changes the end", 0);
    pacifica_machine_free(machine);
    machine = make(in);
    const struct pacifica_bytes bytes = { tape.bytes, tape.size };
    if (pacifica_replay(machine, &bytes, NULL) != PACIFICA_OK)
        abort();
    for (unsigned i = 0; i < 100; i++) {
        pacifica_machine_run(machine, NULL, &result);
        if (result.stop == PACIFICA_STOP_REPLAYED)
            break;
    }
    must(!result.diag.hint[0], result.diag.what, result.steps);
    if (result.stop == PACIFICA_STOP_REPLAYED)
        must(pacifica_machine_state_hash(machine) == plan->end_hash, "replayed to another end",
             result.steps);
    pacifica_machine_free(machine);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader in = { data, size };
    struct plan plan = { .end_steps = 0 };
    make_plan(&plan, &in);
    struct pacifica_machine *machine = make(in);
    run_plan(machine, &plan, true);
    plan.end_steps = group_steps(machine->cpu[0]);
    plan.end_hash = pacifica_machine_state_hash(machine);
    pacifica_machine_free(machine);
    check_travel(in, &plan, size ? data[0] : 0);
    check_replay(in, &plan);
    return 0;
}

/* Running a guest in several ways, and comparing how it ends. */
#include "tests/fuzz/ways.h"

#include <inttypes.h>
#include <pacifica/pacifica.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/ioapic.h"
#include "emu/base/snap.h"
#include "emu/machine/breaks.h"
#include "paging/paging.h"
#include "tests/fuzz/guest.h"

#define WORDS_MAX 65536u
#define SLICES_MAX 64u
#define MOVES_MAX 6u /* machines take long to make */
#define TURNS_MAX 16u
#define STEPS_MAX 2500u
#define EVENTS_MAX 500u
#define PAGES (GUEST_RAM / 4096 + 1) /* with the ROM */
#define LOW_PAGES 0x40u              /* those that guest.c fills */

/* Something outside that happens again and again. */
struct outside {
    struct pacifica_machine *machine;
    struct deadline deadline;
    uint64_t period;
    uint8_t what; /* bits 3:0; 7:4: the line */
    bool again, level;
    unsigned count;
};

/* One way to run. */
struct way {
    const char *name;
    bool exact, mixed;
    const struct pacifica_trace_options *trace; /* NULL: none */
    uint32_t probes;                            /* 1 << enum probe_kind */
    unsigned drop_every, slices;
    bool moved;     /* between slices it is saved, and goes on as another machine */
    bool goes_back; /* each slice is run twice, the second time from a checkpoint */
    bool broken;    /* breaks of all kinds stop it */
};

static void to_nowhere(void *self, const void *bytes, size_t size)
{
    (void)self;
    (void)bytes;
    (void)size;
}

static const struct pacifica_device devices[] = {
    { .kind = PACIFICA_DEVICE_PC_TESTDEV },
    { .kind = PACIFICA_DEVICE_DEBUGCON, .port = 0x402, .output = { .write = to_nowhere } },
};

/* A number of the state, by its name. */
struct word {
    const char *section, *name;
    unsigned instance, index;
    uint64_t value;
};

struct final {
    int stop;
    uint64_t steps, hash;
    unsigned count;
    struct word word[WORDS_MAX]; /* the first ones, for those who want to know */
    bool written[PAGES]; /* which were written; the others hold zeros and are not looked at */
    uint8_t ram[PAGES][4096];
};

/* --- the outside ----------------------------------------------------------------------------- */

static void happen(void *self, uint64_t now_ns)
{
    struct outside *o = self;
    struct vcpu *cpu = o->machine->cpu[o->count % o->machine->cpu_count];
    unsigned irq = o->what >> 4;
    o->level = !o->level;
    switch (o->what & 15) {
    case 0: cpu->pins.smi = true; break;
    case 1: cpu->pins.init = true; break;
    case 2: cpu->pins.nmi = true; break;
    case 3: lapic_set_lint(apics_cpu(o->machine->apics, cpu->index), irq & 1, o->level); break;
    case 4: cpu->pins.mc = true; break;
    case 5:
        cpu->pins.sipi = true;
        cpu->pins.sipi_vector = (uint8_t)(0x10 | irq);
        break;
    default:
        pic_set_irq(o->machine->pic, irq, o->level);
        ioapic_set_irq(o->machine->ioapic, irq, o->level);
        break;
    }
    cpu_attention(cpu);
    if (o->again && ++o->count < EVENTS_MAX)
        clock_arm(&o->machine->clock, &o->deadline, now_ns + o->period);
}

static void arm_outside(struct outside *o, struct reader *in)
{
    uint8_t when = read8(in);
    o->what = read8(in);
    o->period = 1 + read8(in);
    o->deadline = (struct deadline){ .when_ns = CLOCK_NEVER, .fire = happen, .self = o };
    const uint8_t mask = read8(in);
    o->again = o->period & 1;
    bus_port_ops.write(o->machine->bus, 0x21, 1, mask & 0xfb);
    bus_port_ops.write(o->machine->bus, 0xa1, 1, mask);
    if (when)
        clock_arm(&o->machine->clock, &o->deadline, when);
}

/* --- running ----------------------------------------------------------------------------------- */

static void hear_nothing(void *self, const struct probe_event *event)
{
    (void)self;
    (void)event;
}

static void add_bytes(void *self, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    struct final *final = self;
    for (size_t i = 0; i < size; i++)
        final->hash = (final->hash ^ at[i]) * UINT64_C(0x100000001b3);
}

static void add_word(void *self, const struct snap *snap, const char *name, unsigned index,
                     uint64_t value)
{
    struct final *final = self;
    if (final->count < WORDS_MAX)
        final->word[final->count++] =
            (struct word){ snap->section, name, snap->instance, index, value };
}

/* A machine that runs. */
struct run {
    struct pacifica_machine *machine;
    const struct ways_guest *guest;
    const struct way *way;
    struct reader in; /* what the guest is made of */
    struct outside outside;
    struct probe_client client;
    struct pacifica_trace *trace;
    bool written[PAGES]; /* whatever machine it was then */
};

static void note_written(struct run *run)
{
    for (uint64_t page = 0; (page = memory_dirty_next(run->machine->memory, page)) < PAGES; page++)
        run->written[page] = true;
}

static void note_final(struct run *run, struct final *final)
{
    struct pacifica_machine *machine = run->machine;
    struct snap snap;
    note_written(run);
    final->steps = group_steps(machine->cpu[0]);
    final->count = 0;
    final->hash = UINT64_C(0xcbf29ce484222325);
    snap_hash(&snap, add_bytes, final);
    snap.tell = add_word;
    snap.tell_self = final;
    machine_state(machine, &snap);
    for (unsigned page = 0; page < PAGES; page++) {
        final->written[page] = run->written[page];
        if (final->written[page])
            memcpy(final->ram[page], memory_page_ptr(machine->memory, page), 4096);
    }
}

static void allow_fast(struct pacifica_machine *machine, bool allow)
{
    for (unsigned i = 0; i < machine->cpu_count; i++)
        paging_allow_fast(machine->cpu[i]->paging, allow);
}

/* --- saving and loading -------------------------------------------------------------------------- */

/* The outside as it stands in the queue. */
struct outside_place {
    struct outside outside;
    bool queued;
    uint32_t place;
};

static struct outside_place outside_save(const struct run *run)
{
    const struct deadline *mine = &run->outside.deadline;
    struct outside_place at = { .outside = run->outside, .queued = mine->queued };
    for (const struct deadline *d = run->machine->clock.first; d && d != mine; d = d->next)
        at.place++;
    return at;
}

static void outside_load(struct run *run, const struct outside_place *at)
{
    struct deadline *deadline = &run->outside.deadline;
    clock_cancel(&run->machine->clock, deadline);
    run->outside = at->outside;
    run->outside.machine = run->machine;
    *deadline = (struct deadline){ .when_ns = CLOCK_NEVER, .fire = happen, .self = &run->outside };
    if (at->queued)
        clock_restore(&run->machine->clock, deadline, at->outside.deadline.when_ns, at->place);
}

static void must(bool holds, const struct snap *snap)
{
    if (holds)
        return;
    (void)fprintf(stderr, "%s: %s\n", snap->diag.where, snap->diag.what);
    abort();
}

static void save(struct run *run, struct snap *snap)
{
    snap_save(snap);
    machine_state(run->machine, snap);
    must(!snap->failed, snap);
}

static void load(struct run *run, const struct snap *saved)
{
    struct snap snap;
    snap_load(&snap, saved->data, saved->size);
    machine_state(run->machine, &snap);
    must(!snap.failed && snap.from == snap.end, &snap);
}

static bool begin(struct run *run);
static void end(struct run *run);

/* Go on as another machine, which has seen nothing of what was before. */
static void move(struct run *run)
{
    struct pacifica_machine *old = run->machine;
    struct pacifica_trace *trace = run->trace;
    struct outside_place place = outside_save(run);
    struct snap snap;
    note_written(run);
    save(run, &snap);
    clock_cancel(&old->clock, &run->outside.deadline);
    probes_detach(&old->probes, &run->client);
    if (!begin(run))
        abort();
    load(run, &snap);
    outside_load(run, &place);
    for (uint64_t page = 0; page < PAGES; page++)
        if (run->written[page])
            memory_put_page(run->machine->memory, page, memory_page_ptr(old->memory, page));
    snap_free(&snap);
    pacifica_trace_free(trace);
    pacifica_machine_free(old);
}

/* Pages as they were when the dirty map was cleared; zeros where none was ever written. */
static uint8_t kept[PAGES][4096];

/* Whoever has written a page has marked it. */
static void check_dirty(const struct memory *memory)
{
    for (unsigned page = 0; page < memory_page_count(memory); page++)
        if (!(memory_marks(memory, page) & PAGE_DIRTY) &&
            memcmp(kept[page], memory_page_ptr(memory, page), 4096) != 0) {
            (void)fprintf(stderr, "page %x was written without a mark\n", page);
            abort();
        }
}

/* Run a slice, forget it, and run it again. */
static int run_twice(struct run *run, const struct run_limits *limits)
{
    struct memory *memory = run->machine->memory;
    struct outside_place place = outside_save(run);
    struct snap snap;
    note_written(run);
    for (unsigned page = 0; page < PAGES; page++)
        if (run->written[page])
            memcpy(kept[page], memory_page_ptr(memory, page), 4096);
        else
            memset(kept[page], 0, 4096);
    save(run, &snap);
    memory_dirty_clear(memory);
    (void)run_vcpu(run->machine->cpu[0], limits);
    check_dirty(memory);
    load(run, &snap);
    outside_load(run, &place);
    for (uint64_t page = 0; (page = memory_dirty_next(memory, page)) < PAGES; page++)
        memory_put_page(memory, page, kept[page]);
    snap_free(&snap);
    return run_vcpu(run->machine->cpu[0], limits);
}

#define BREAKS 6u

/* Some breaks, by what the guest is made of. */
static void add_breaks(struct pacifica_machine *machine, struct reader in)
{
    for (unsigned i = 0; i < BREAKS; i++) {
        struct pacifica_break wanted = PACIFICA_BREAK_INIT;
        unsigned id, at = read8(&in), page = read8(&in);
        wanted.kind = (enum pacifica_break_kind)(read8(&in) % PACIFICA_BREAK_KINDS);
        wanted.space = page & 0x80 ? PACIFICA_SPACE_PHYSICAL : PACIFICA_SPACE_LINEAR;
        wanted.address = (uint64_t)(page % LOW_PAGES) << 12 | at << 4;
        wanted.size = 1 + (at << 2);
        if (wanted.kind == PACIFICA_BREAK_EXECUTE) /* where something is executed, perhaps */
            wanted.address =
                cpu_rip(machine->cpu[0]) + machine->cpu[0]->regs.seg[SEG_CS].base + at % 64;
        (void)pacifica_break_add(machine, &wanted, &id, NULL);
    }
}

/* Breaks stop it again and again. */
static int run_broken(struct pacifica_machine *machine, const struct run_limits *limits)
{
    int stop = PACIFICA_STOP_BREAK;
    while (stop == PACIFICA_STOP_BREAK) {
        struct run_limits with = *limits;
        if (machine_breaks_begin(machine, &with))
            continue;
        stop = run_vcpu(machine->cpu[0], &with);
        if (stop == PACIFICA_STOP_BREAK)
            (void)machine_breaks_settle(machine);
        machine_breaks_end(machine);
    }
    return stop;
}

static int run_once(struct run *run, const struct run_limits *limits)
{
    return run->way->broken ? run_broken(run->machine, limits)
                            : run_vcpu(run->machine->cpu[0], limits);
}

/* Slices of a few steps; mixed: each is run in its own way. */
static int run_sliced(struct run *run, uint64_t steps, struct reader slices)
{
    const struct way *way = run->way;
    struct run_limits limits = { .exact_blocks = way->exact, .drop_fast_every = way->drop_every };
    int stop = PACIFICA_STOP_LIMIT_INSNS;
    for (unsigned i = 0; i < way->slices && stop == PACIFICA_STOP_LIMIT_INSNS; i++) {
        unsigned slice = read8(&slices);
        limits.max_steps = group_steps(run->machine->cpu[0]) + slice % 16 * (slice & 16 ? 16 : 1);
        if (limits.max_steps >= steps)
            break;
        if (way->mixed) {
            limits.exact_blocks = slice & 32;
            limits.drop_fast_every = slice & 64 ? 1 + slice % 8 : 0;
            allow_fast(run->machine, !(slice & 128));
        }
        stop = way->goes_back ? run_twice(run, &limits) : run_once(run, &limits);
        if (way->moved)
            move(run);
    }
    limits = (struct run_limits){ .exact_blocks = way->exact, .drop_fast_every = way->drop_every };
    limits.max_steps = steps;
    return stop == PACIFICA_STOP_LIMIT_INSNS ? run_once(run, &limits) : stop;
}

/* What is told of a state, whatever it is; telling changes nothing. */
static void tell_info(struct pacifica_machine *machine)
{
    static const char *const requests[] = {
        "registers", "fp", "tlb", "mem", "mtrr", "walk 0x200123"
    };
    const struct pacifica_output nowhere = { .write = to_nowhere };
    for (unsigned i = 0; i < machine->cpu_count; i++)
        for (unsigned n = 0; n < sizeof(requests) / sizeof(requests[0]); n++)
            (void)pacifica_machine_info(machine, i, requests[n], &nowhere, NULL);
}

/* Make the machine with its guest. false: no memory for it. */
static bool begin(struct run *run)
{
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    struct reader in = run->in;
    options.ram_bytes = GUEST_RAM;
    options.cpus = run->guest->cpus;
    options.devices = devices;
    options.device_count = sizeof(devices) / sizeof(devices[0]);
    if (pacifica_machine_new(&options, &run->machine, NULL) != PACIFICA_OK)
        return false;
    run->outside = (struct outside){ .machine = run->machine };
    arm_outside(&run->outside, &in);
    run->guest->make(&in, run->machine);
    for (unsigned page = 0; page < LOW_PAGES; page++)
        run->written[page] = true;
    if (run->way->trace)
        (void)pacifica_trace_attach(run->machine, run->way->trace, &run->trace, NULL);
    run->client = (struct probe_client){ .mask = run->way->probes, .fire = hear_nothing };
    probes_attach(&run->machine->probes, &run->client);
    if (run->way->broken)
        add_breaks(run->machine, run->in);
    return true;
}

static void end(struct run *run)
{
    probes_detach(&run->machine->probes, &run->client);
    pacifica_trace_free(run->trace);
    pacifica_machine_free(run->machine);
}

/* Make the guest and run it. false: no memory for a machine. */
static bool run_way(struct reader in, const struct ways_guest *guest, const struct way *way,
                    uint64_t steps, struct final *final)
{
    static struct run run;
    run = (struct run){ .guest = guest, .way = way, .in = in };
    if (!begin(&run))
        return false;
    final->stop = run_sliced(&run, steps, in);
    if (way->trace)
        tell_info(run.machine);
    note_final(&run, final);
    end(&run);
    return true;
}

/* --- comparing --------------------------------------------------------------------------------------- */

static bool same_page(const struct final *a, const struct final *b, unsigned page)
{
    return a->written[page] == b->written[page] &&
           (!a->written[page] || memcmp(a->ram[page], b->ram[page], 4096) == 0);
}

static bool equal(const struct final *a, const struct final *b)
{
    bool same = a->stop == b->stop && a->hash == b->hash;
    for (unsigned page = 0; page < PAGES && same; page++)
        same = same_page(a, b, page);
    return same;
}

static void tell(const struct final *a, const struct final *b)
{
    (void)fprintf(stderr, "  stop %d, %d; steps %" PRIu64 ", %" PRIu64 "\n", a->stop, b->stop,
                  a->steps, b->steps);
    for (unsigned i = 0, told = 0; i < a->count && i < b->count && told < 12; i++) {
        const struct word *x = &a->word[i], *y = &b->word[i];
        if (x->value == y->value && strcmp(x->name, y->name) == 0)
            continue;
        (void)fprintf(stderr, "  %s.%u %s[%u]: %" PRIx64 ", %s[%u]: %" PRIx64 "\n", x->section,
                      x->instance, x->name, x->index, x->value, y->name, y->index, y->value);
        told++;
    }
    for (unsigned page = 0; page < PAGES; page++)
        if (!same_page(a, b, page)) {
            unsigned at = 0;
            while (at < 4095 && a->ram[page][at] == b->ram[page][at])
                at++;
            (void)fprintf(stderr, "  RAM %x%03x: %02x, %02x\n", page, at, a->ram[page][at],
                          b->ram[page][at]);
        }
}

static void to_stderr(void *self, const void *bytes, size_t size)
{
    (void)self;
    (void)fwrite(bytes, 1, size, stderr);
}

/* Which step makes the difference, and what was executed up to there? */
static void search(struct reader in, const struct ways_guest *guest, const struct way *usual,
                   const struct way *way, struct final *a, struct final *b)
{
    const struct pacifica_trace_options trace = { .events = "svm,npt,int,exec,io,msr,guest_errors",
                                                  .output = { .write = to_stderr } };
    const struct way told = { .name = "told", .trace = &trace };
    for (uint64_t steps = 1; steps <= STEPS_MAX; steps++) {
        if (!run_way(in, guest, usual, steps, a) || !run_way(in, guest, way, steps, b))
            return;
        if (equal(a, b))
            continue;
        (void)run_way(in, guest, &told, steps, b);
        (void)run_way(in, guest, way, steps, b);
        (void)fprintf(stderr, " first after %" PRIu64 " steps\n", steps);
        tell(a, b);
        return;
    }
}

static void compare(struct reader in, const struct ways_guest *guest, const struct way *usual,
                    const struct way *way, uint64_t steps)
{
    static struct final expected, found;
    if (!run_way(in, guest, way, steps, way == usual ? &expected : &found) || way == usual ||
        equal(&expected, &found))
        return;
    if (getenv("FUZZ_VERBOSE")) {
        (void)fprintf(stderr, "%s differs from %s:\n", way->name, usual->name);
        tell(&expected, &found);
        search(in, guest, usual, way, &expected, &found);
    }
    abort();
}

void ways_compare(struct reader in, const struct ways_guest *guest)
{
    unsigned how = read8(&in);
    uint64_t steps = 100 + (uint64_t)read8(&in) * (STEPS_MAX / 256);
    const struct pacifica_trace_options all = {
        .events = "svm,npt,tlb,int,in_asm,exec,mem,io,msr,guest_errors,unimp",
        .format = how & 0x40 ? PACIFICA_TRACE_JSONL : PACIFICA_TRACE_TEXT,
        .output = { .write = to_nowhere }
    };
    const struct way way[] = {
        { .name = "as usual" },
        { .name = "exact blocks", .exact = true },
        { .name = "dropping", .drop_every = 1 + (how & 7) * 5 },
        { .name = "watched",
          .probes = how & 8 ? UINT32_MAX : 1u << PROBE_INSN,
          .trace = (how & 0x30) == 0x30 ? &all : NULL },
        { .name = "sliced", .slices = SLICES_MAX },
        { .name = "mixed slices", .mixed = true, .slices = SLICES_MAX },
        { .name = "moved", .mixed = how & 8, .moved = true, .slices = MOVES_MAX },
        { .name = "broken", .broken = true, .mixed = how & 32, .slices = TURNS_MAX },
        { .name = "going back", .mixed = how & 16, .goes_back = true, .slices = TURNS_MAX },
    };
    for (unsigned i = 0; i < sizeof(way) / sizeof(way[0]); i++)
        compare(in, guest, &way[0], &way[i], steps);
}

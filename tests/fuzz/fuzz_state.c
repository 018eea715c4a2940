/* Altered states: a random guest is run for a while and saved, and the stream is changed. Whatever it says then, it is refused, or
 * is loaded and can be run, told, saved and loaded again; and the machine can be loaded with the good one afterwards. */
#include "tests/fuzz/fuzz.h"

#include <pacifica/pacifica.h>
#include <stdlib.h>
#include <string.h>

#include "emu/cpu/run.h"
#include "tests/fuzz/guest.h"

#define CHANGES_MAX 8u
#define STEPS_MAX 2000u
#define STEPS_AFTER 400u

static void to_nowhere(void *self, const void *bytes, size_t size)
{
    (void)self;
    (void)bytes;
    (void)size;
}

static void add_bytes(void *self, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    uint64_t *hash = self;
    for (size_t i = 0; i < size; i++)
        *hash = (*hash ^ at[i]) * UINT64_C(0x100000001b3);
}

static uint64_t hash_of(struct pacifica_machine *machine)
{
    uint64_t hash = 1;
    struct snap snap;
    snap_hash(&snap, add_bytes, &hash);
    machine_state(machine, &snap);
    return hash;
}

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void run(struct pacifica_machine *machine, uint64_t steps)
{
    const struct run_limits limits = { .max_steps = group_steps(machine->cpu[0]) + steps };
    (void)run_vcpu(machine->cpu[0], &limits);
}

static void save(struct pacifica_machine *machine, struct snap *snap)
{
    snap_save(snap);
    machine_state(machine, snap);
    must(!snap->failed);
}

static bool load(struct pacifica_machine *machine, const struct snap *saved)
{
    struct snap snap;
    snap_load(&snap, saved->data, saved->size);
    machine_state(machine, &snap);
    return !snap.failed;
}

/* Change a number in one of the sections. */
static void change(struct snap *saved, struct reader *in)
{
    const unsigned number = read8(in), how = read8(in);
    const size_t offset = (size_t)read8(in) << 8 | read8(in);
    uint8_t *at = saved->data, *end = saved->data + saved->size;
    struct snap_head head;
    for (unsigned i = 0; i < number; i++) { /* round and round */
        must(snap_read_head(at, end, &head));
        at += SNAP_HEAD + head.bytes;
        at = at == end ? saved->data : at;
    }
    must(snap_read_head(at, end, &head));
    if (head.bytes == 0)
        return;
    at += SNAP_HEAD + offset % head.bytes;
    size_t room = (size_t)(end - at), bytes = (size_t)1 << (how & 3);
    bytes = bytes < room ? bytes : room;
    switch (how >> 2 & 3) {
    case 0: *at ^= (uint8_t)(1u << (how >> 5)); break;
    case 1: *at = read8(in); break;
    case 2: memset(at, 0xff, bytes); break;
    case 3: memset(at, 0, bytes); break;
    }
}

/* What is told of a state changes nothing, and asks for nothing that is not there. */
static void look(struct pacifica_machine *machine)
{
    static const char *const requests[] = { "registers", "fp",  "tlb",          "mem",
                                            "mtrr",      "svm", "walk 0x200123" };
    const struct pacifica_output nowhere = { .write = to_nowhere };
    for (unsigned i = 0; i < machine->cpu_count; i++)
        for (unsigned n = 0; n < sizeof(requests) / sizeof(requests[0]); n++)
            (void)pacifica_machine_info(machine, i, requests[n], &nowhere, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader in = { data, size };
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    struct pacifica_machine *machine;
    struct snap good, bad;
    options.ram_bytes = GUEST_RAM;
    options.cpus = 1 + (read8(&in) & 1);
    const uint64_t steps = (uint64_t)read8(&in) * STEPS_MAX / 256;
    struct reader changes = in;
    if (pacifica_machine_new(&options, &machine, NULL) != PACIFICA_OK)
        return 0;
    guest_make(&in, machine);
    run(machine, steps);
    save(machine, &good);
    uint64_t hash = hash_of(machine);

    save(machine, &bad);
    for (unsigned i = 0, count = 1 + read8(&changes) % CHANGES_MAX; i < count; i++)
        change(&bad, &changes);
    if (load(machine, &bad)) {
        look(machine);
        run(machine, STEPS_AFTER);
        struct snap again;
        save(machine, &again);
        (void)load(machine, &again);
        snap_free(&again);
    }
    must(load(machine, &good) && hash_of(machine) == hash);
    snap_free(&bad);
    snap_free(&good);
    pacifica_machine_free(machine);
    return 0;
}

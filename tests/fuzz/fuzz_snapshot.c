/* A snapshot from anywhere. The first byte says whether it is taken as it is (0), or its checksums are made right first, so that what
 * is behind them is reached (1), or whether the input is a list of changes to the state of a good one (2: three bytes of a place,
 * one of a value). Whatever the bytes are: loading succeeds or says why and changes nothing; what is loaded runs; reports end and are
 * text. */
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "emu/machine/snapshot.h"
#include "tests/fuzz/fuzz.h"

#define STEPS 300 /* that a loaded machine runs */

static void require(bool holds)
{
    if (!holds)
        abort(); /* a finding: the fuzzer keeps the input */
}

static void take_text(void *self, const void *bytes, size_t size)
{
    const char *text = bytes;
    (void)self;
    for (size_t i = 0; i < size; i++)
        require(text[i] == '\n' || (text[i] >= ' ' && text[i] <= '~'));
}

/* Make all checksums and numbers of parts right, as far as the parts' sizes go. */
static void mend(uint8_t *bytes, size_t size)
{
    XXH64_state_t *sums = XXH64_createState();
    uint8_t sum[8];
    uint32_t number = 0;
    require(sums != NULL);
    (void)XXH64_reset(sums, 0);
    for (size_t at = SNAPSHOT_HEADER; size >= SNAPSHOT_CHUNK && at <= size - SNAPSHOT_CHUNK;) {
        uint8_t *head = bytes + at;
        uint64_t content = little_get(head + 8, 8), most = size - at - SNAPSHOT_CHUNK;
        if (content > most)
            break;
        if (memcmp(head, "END ", 4) == 0 && content == 8)
            little_put(head + SNAPSHOT_CHUNK, 8, XXH64_digest(sums));
        little_put(head + 4, 4, number++);
        little_put(head + 16, 8, XXH64(head + SNAPSHOT_CHUNK, content, 0));
        little_put(head + 24, 8, XXH64(head, 24, 0));
        little_put(sum, 8, XXH64(head + SNAPSHOT_CHUNK, content, 0));
        (void)XXH64_update(sums, sum, sizeof(sum));
        at += SNAPSHOT_CHUNK + content;
    }
    (void)XXH64_freeState(sums);
}

/* As seed_snapshot.c makes it. */
static struct pacifica_machine *new_machine(void)
{
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    struct pacifica_machine *machine;
    options.ram_bytes = UINT64_C(1) << 20;
    options.cpus = 2;
    require(pacifica_machine_new(&options, &machine, NULL) == PACIFICA_OK);
    return machine;
}

/* What was loaded may be any machine: it runs, or stops. */
static void run_a_little(struct pacifica_machine *machine)
{
    struct pacifica_limits limits = PACIFICA_LIMITS_INIT;
    struct pacifica_result result;
    limits.max_steps = 0;
    pacifica_machine_run(machine, &limits, &result);
    if (result.steps < UINT64_MAX / 2)
        limits.max_steps = result.steps + STEPS;
    pacifica_machine_run(machine, &limits, &result);
    (void)pacifica_machine_state_hash(machine);
}

static void check_file(const uint8_t *data, size_t size)
{
    const struct pacifica_bytes bytes = { data, size };
    const struct pacifica_output output = { .write = take_text };
    struct pacifica_machine *machine = new_machine();
    struct pacifica_diag diag = { .what = "" };
    uint64_t before = pacifica_machine_state_hash(machine), found;
    if (pacifica_machine_load(machine, &bytes, &diag) == PACIFICA_OK) {
        run_a_little(machine);
    } else {
        require(diag.what[0] && diag.where[0]);
        require(pacifica_machine_state_hash(machine) == before);
    }
    pacifica_machine_free(machine);
    (void)pacifica_snapshot_info(&bytes, &output, NULL);
    (void)pacifica_snapshot_diff(&bytes, &bytes, &output, &found, NULL);
    require(found == 0);
}

static void check_state(const uint8_t *data, size_t size)
{
    struct pacifica_machine *machine = new_machine();
    struct snap good, bad;
    uint64_t before = pacifica_machine_state_hash(machine);
    snap_save(&good);
    machine_state(machine, &good);
    uint8_t *changed = malloc(good.size);
    require(!good.failed && changed);
    memcpy(changed, good.data, good.size);
    for (; size >= 4; data += 4, size -= 4)
        changed[little_get(data, 3) % good.size] = data[3];
    snap_load(&bad, changed, good.size);
    machine_state(machine, &bad);
    if (bad.failed) {
        snap_load(&bad, good.data, good.size);
        machine_state(machine, &bad);
        require(!bad.failed && pacifica_machine_state_hash(machine) == before);
    } else {
        run_a_little(machine);
    }
    free(changed);
    snap_free(&good);
    pacifica_machine_free(machine);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    if (data[0] % 3 == 2) {
        check_state(data + 1, size - 1);
        return 0;
    }
    uint8_t *copy = malloc(size - 1);
    require(copy != NULL);
    memcpy(copy, data + 1, size - 1);
    if (data[0] % 3)
        mend(copy, size - 1);
    check_file(copy, size - 1);
    free(copy);
    return 0;
}

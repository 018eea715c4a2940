/* A bus with a controller, memory and an image of bytes that a function of their place determines: what the fuzz targets of
 * disks stand on. */
#ifndef TESTS_FUZZ_DISKS_H
#define TESTS_FUZZ_DISKS_H

#include <stdlib.h>
#include <string.h>

#include "devices/block.h"
#include "devices/pci.h"
#include "tests/fuzz/fuzz.h"

#define RAM_BYTES (1u << 20)
#define SECTORS 512u

struct bench {
    uint64_t now_ns;
    struct vclock clock;
    struct probes probes;
    struct memory *memory;
    struct bus *bus;
    struct pci_bus *pci;
    struct block *block;
    unsigned fired; /* deadlines since something was last done */
};

static inline void require(bool holds)
{
    if (!holds)
        abort(); /* a finding: the fuzzer keeps the input */
}

static inline uint64_t bench_now(void *self)
{
    const struct bench *bench = self;
    return bench->now_ns;
}

static inline bool image_read(void *self, uint64_t offset, void *to, size_t size)
{
    uint8_t *bytes = to;
    (void)self;
    require(size && offset <= SECTORS * 512u && size <= SECTORS * 512u - offset);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(offset + i);
    return offset % 4096 != 1024; /* some sectors are bad */
}

/* The image is never written. */
static inline bool image_write(void *self, uint64_t offset, const void *from, size_t size)
{
    (void)self;
    (void)offset;
    (void)from;
    (void)size;
    abort();
}

static inline bool bench_open(struct bench *bench)
{
    memset(bench, 0, sizeof(*bench));
    const struct block_config config = { .source = { .read = image_read, .write = image_write },
                                         .size_bytes = SECTORS * 512u,
                                         .memory_most = 1 << 20 };
    bench->clock = (struct vclock){ .now = bench_now, .self = bench };
    bench->memory = memory_new(RAM_BYTES);
    bench->bus = bench->memory ? bus_new(bench->memory, &bench->clock, &bench->probes) : NULL;
    bench->pci = bench->bus ? pci_bus_add(bench->bus) : NULL;
    bench->block = block_new(&config);
    return bench->pci && bench->block;
}

static inline void bench_close(struct bench *bench)
{
    bus_free(bench->bus);
    block_free(bench->block);
    if (bench->memory)
        memory_free(bench->memory);
    require(!bench->clock.first);
}

/* Let time pass until nothing is to come. A device comes to rest: each thing that is done begins a bounded number of pieces of
 * work, and none that goes on for ever. */
static inline void bench_settle(struct bench *bench, unsigned most)
{
    for (bench->fired = 0; clock_next_ns(&bench->clock) != CLOCK_NEVER; bench->fired++) {
        require(bench->fired <= most);
        if (clock_next_ns(&bench->clock) > bench->now_ns)
            bench->now_ns = clock_next_ns(&bench->clock);
        clock_run(&bench->clock, bench->now_ns);
    }
}

static inline void add_bytes(void *ctx, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    uint64_t *sum = ctx;
    for (size_t i = 0; i < size; i++)
        *sum = *sum * 31 + at[i];
}

/* The state hash can be made, and making it changes nothing. */
static inline void bench_check(const struct bench *bench)
{
    uint64_t sum[2] = { 0 };
    for (unsigned i = 0; i < 2; i++) {
        struct snap snap;
        snap_hash(&snap, add_bytes, &sum[i]);
        bus_state(bench->bus, &snap);
    }
    require(sum[0] == sum[1]);
}

/* The input: bytes one after another, zeros behind the end. */
struct script {
    const uint8_t *bytes;
    size_t left;
};

static inline uint8_t take(struct script *script)
{
    if (script->left == 0)
        return 0;
    script->left--;
    return *script->bytes++;
}

static inline uint32_t take_many(struct script *script, unsigned bytes)
{
    uint32_t value = 0;
    while (bytes--)
        value = value << 8 | take(script);
    return value;
}

#endif

/* Saving devices and loading them into others: what they do afterwards must be the same, and no bytes that are loaded may
 * do harm. A test says how its devices are made, how they get into an interesting state, and what a program sees of them
 * from then on; trip_check() does the rest. */
#ifndef TESTS_DEVICES_TRIP_KIT_H
#define TESTS_DEVICES_TRIP_KIT_H

#include "tests/devices/kit.h"
#include "tests/random.h"

#define TRIP_WIRES 32
#define TRIP_LOG 65536

/* Begins every world: a bus with its devices, the wires they drive, and what was seen. */
struct trip_world {
    struct kit kit;
    struct memory *memory;                   /* NULL: none; freed by the kit */
    void (*close)(struct trip_world *world); /* set by open: frees what lies behind devices */
    bool level[TRIP_WIRES];
    bool logging;
    size_t logged;
    uint64_t log[TRIP_LOG];
};

struct trip {
    size_t world_size;
    void (*open)(struct trip_world *world); /* add the devices; the bus is there */
    void (*drive)(struct trip_world *world, unsigned variant);
    void (*look)(struct trip_world *world); /* let time pass, give input, and trip_log() */
    unsigned variants;
    bool with_memory;
    unsigned alterations; /* hostile loads of each variant */
};

#define TRIP_RAM (2u << 20)

/* --- what is seen --------------------------------------------------------------------------------- */

static inline void trip_log(struct trip_world *world, uint64_t value)
{
    if (!world->logging)
        return;
    ck_assert_uint_lt(world->logged, TRIP_LOG);
    world->log[world->logged++] = value;
}

/* For what is too long to be logged. */
static inline void trip_sum(uint64_t *sum, uint64_t word)
{
    *sum = (*sum ^ word) * 0x9e3779b97f4a7c15ull;
    *sum ^= *sum >> 29;
}

static inline void trip_wire_set(void *self, unsigned line, bool level)
{
    struct trip_world *world = self;
    ck_assert_uint_lt(line, TRIP_WIRES);
    if (world->level[line] == level)
        return;
    world->level[line] = level;
    trip_log(world, world->kit.now_ns);
    trip_log(world, line << 1 | level);
}

/* Wire number `line`: its changes are logged with their times. */
static inline struct irq_line trip_wire(struct trip_world *world, unsigned line)
{
    return (struct irq_line){ .set = trip_wire_set, .self = world, .line = line };
}

static inline uint8_t trip_in(struct trip_world *world, uint16_t port)
{
    uint8_t value = kit_in(&world->kit, port);
    trip_log(world, value);
    return value;
}

static inline uint64_t trip_mmio(struct trip_world *world, uint64_t spa, unsigned size)
{
    uint64_t value = bus_mmio_ops.read(world->kit.bus, spa, size);
    trip_log(world, value);
    return value;
}

/* --- worlds ---------------------------------------------------------------------------------------- */

static inline void *trip_open(const struct trip *trip)
{
    struct trip_world *world = calloc(1, trip->world_size);
    ck_assert_ptr_nonnull(world);
    kit_open(&world->kit);
    if (trip->with_memory) {
        bus_free(world->kit.bus);
        world->memory = memory_new(TRIP_RAM);
        ck_assert_ptr_nonnull(world->memory);
        world->kit.bus = bus_new(world->memory, &world->kit.clock, &world->kit.probes);
        ck_assert_ptr_nonnull(world->kit.bus);
    }
    trip->open(world);
    return world;
}

static inline void trip_close(struct trip_world *world)
{
    kit_close(&world->kit);
    if (world->close)
        world->close(world);
    memory_free(world->memory);
    free(world);
}

static inline void trip_save(struct trip_world *world, struct snap *snap)
{
    clock_settle(&world->kit.clock, world->kit.now_ns);
    snap_save(snap);
    bus_state(world->kit.bus, snap);
    ck_assert(!snap->failed);
}

/* As a machine does it: time first. RAM, like the far ends of wires, is somebody else's state. */
static inline bool trip_load(struct trip_world *world, const struct trip_world *from,
                             const uint8_t *bytes, size_t size)
{
    struct snap snap;
    clock_clear(&world->kit.clock);
    world->kit.now_ns = from->kit.now_ns;
    world->kit.clock.highest_ns = from->kit.clock.highest_ns;
    memcpy(world->level, from->level, sizeof(world->level));
    for (uint64_t page = 0; world->memory && page < TRIP_RAM >> 12; page++)
        memcpy(memory_page_ptr(world->memory, page), memory_page_ptr(from->memory, page), 4096);
    snap_load(&snap, bytes, size);
    bus_state(world->kit.bus, &snap);
    return !snap.failed && snap.from == snap.end;
}

static inline void trip_look(const struct trip *trip, struct trip_world *world)
{
    world->logging = true;
    trip->look(world);
    world->logging = false;
}

static inline void trip_compare(const struct trip_world *a, const struct trip_world *b)
{
    for (size_t i = 0; i < a->logged && i < b->logged; i++)
        ck_assert_msg(a->log[i] == b->log[i], "entry %zu of the log: %#llx and %#llx", i,
                      (unsigned long long)a->log[i], (unsigned long long)b->log[i]);
    ck_assert_uint_eq(a->logged, b->logged);
}

/* --- the checks ------------------------------------------------------------------------------------ */

static inline void trip_there_and_back(const struct trip *trip, unsigned variant)
{
    struct trip_world *saved = trip_open(trip), *loaded = trip_open(trip),
                      *untouched = trip_open(trip);
    trip->drive(saved, variant);
    trip->drive(untouched, variant);
    struct snap first, again, copy;
    trip_save(saved, &first);
    trip_save(saved, &again);
    ck_assert(trip_load(loaded, saved, first.data, first.size));
    ck_assert_uint_eq(kit_bus_hash(loaded->kit.bus), kit_bus_hash(saved->kit.bus));
    trip_save(loaded, &copy);
    ck_assert_uint_eq(first.size, again.size);
    ck_assert_mem_eq(first.data, again.data, first.size);
    ck_assert_uint_eq(first.size, copy.size);
    ck_assert_mem_eq(first.data, copy.data, first.size);
    trip_look(trip, saved);
    trip_look(trip, loaded);
    trip_look(trip, untouched); /* nobody sees that state was saved */
    ck_assert_uint_gt(saved->logged, 0);
    trip_compare(saved, loaded);
    trip_compare(saved, untouched);
    ck_assert_uint_eq(kit_bus_hash(loaded->kit.bus), kit_bus_hash(saved->kit.bus));
    snap_free(&first);
    snap_free(&again);
    snap_free(&copy);
    trip_close(saved);
    trip_close(loaded);
    trip_close(untouched);
}

/* Where members end in what was saved; of long arrays only the first. So a buffer does not hide them. */
struct trip_members {
    size_t end[4096];
    unsigned count, run;
    const char *name;
};

static inline void trip_note_member(void *self, const struct snap *snap, const char *name,
                                    unsigned index, uint64_t value)
{
    struct trip_members *members = self;
    (void)index;
    (void)value;
    members->run = name == members->name ? members->run + 1 : 0;
    members->name = name;
    if (members->run < 4 && members->count < sizeof(members->end) / sizeof(members->end[0]))
        members->end[members->count++] = snap->size;
}

static inline void trip_find_members(struct trip_world *world, struct trip_members *members)
{
    struct snap snap;
    memset(members, 0, sizeof(*members));
    snap_save(&snap);
    snap.tell = trip_note_member;
    snap.tell_self = members;
    bus_state(world->kit.bus, &snap);
    ck_assert_uint_gt(members->count, 0);
    snap_free(&snap);
}

/* One byte of a member becomes another, or all bytes from there to its end. */
static inline void trip_alter_member(uint8_t *bytes, const struct trip_members *members,
                                     uint64_t *seed)
{
    size_t end = members->end[(uint32_t)test_random(seed) % members->count];
    uint32_t kind = (uint32_t)test_random(seed);
    size_t back = (size_t)1 << (kind >> 16) % 4, at = end > back ? end - back : 0;
    size_t stop = kind & 1 ? end : at + 1;
    for (; at < stop; at++)
        bytes[at] = (uint8_t)(kind & 2 ? kind >> 8 : bytes[at] ^ 1u << (kind >> 8) % 8);
}

/* A few bytes become others, of the kind that indices and counts do not like. */
static inline void trip_alter(uint8_t *bytes, size_t size, uint64_t *seed)
{
    static const uint8_t nasty[] = { 0x00, 0x01, 0x02, 0x10, 0x7f, 0x80, 0xfe, 0xff };
    for (unsigned n = 1 + (uint32_t)test_random(seed) % 3; n > 0; n--) {
        size_t at = (uint32_t)test_random(seed) % size;
        uint32_t kind = (uint32_t)test_random(seed);
        uint8_t to = kind & 0x100 ? nasty[kind % sizeof(nasty)] : (uint8_t)kind;
        for (unsigned run = kind & 0x600 ? 1 : 8; run > 0 && at < size; run--)
            bytes[at++] = to;
    }
}

/* What was refused may be reset, what was not goes on; and one that was refused takes a good one. */
static inline void trip_hostile(const struct trip *trip, unsigned variant)
{
    struct trip_world *saved = trip_open(trip);
    struct snap good;
    struct trip_members members;
    uint64_t seed = 1 + variant;
    trip->drive(saved, variant);
    trip_save(saved, &good);
    trip_find_members(saved, &members);
    for (unsigned i = 0; i < trip->alterations; i++) {
        struct trip_world *victim = trip_open(trip);
        uint8_t *bytes = malloc(good.size); /* just so long: sanitizers see what lies behind */
        ck_assert_ptr_nonnull(bytes);
        memcpy(bytes, good.data, good.size);
        if (i & 2)
            trip_alter_member(bytes, &members, &seed);
        else
            trip_alter(bytes, good.size, &seed);
        if (!trip_load(victim, saved, bytes, good.size)) {
            bus_reset(victim->kit.bus);
            if (i & 1)
                ck_assert(trip_load(victim, saved, good.data, good.size));
        }
        trip->look(victim);
        free(bytes);
        trip_close(victim);
    }
    snap_free(&good);
    trip_close(saved);
}

static inline void trip_truncated(const struct trip *trip)
{
    struct trip_world *saved = trip_open(trip), *victim = trip_open(trip);
    struct snap good;
    trip->drive(saved, 0);
    trip_save(saved, &good);
    size_t step = 1 + good.size / 500;
    for (size_t size = 0; size < good.size; size += step) {
        uint8_t *bytes = malloc(size ? size : 1);
        ck_assert_ptr_nonnull(bytes);
        memcpy(bytes, good.data, size);
        ck_assert(!trip_load(victim, saved, bytes, size));
        free(bytes);
    }
    snap_free(&good);
    trip_close(saved);
    trip_close(victim);
}

static inline void trip_check(const struct trip *trip)
{
    for (unsigned variant = 0; variant < trip->variants; variant++) {
        trip_there_and_back(trip, variant);
        trip_hostile(trip, variant);
    }
    trip_truncated(trip);
}

#endif

/* Passes over state: emu/base/snap.h. */
#include "tests/devices/kit.h"

/* One member of each kind. */
struct all {
    bool flag, flags[3];
    uint8_t u8, bytes[5];
    uint16_t u16, u16s[2];
    uint32_t u32, u32s[2];
    uint64_t u64, u64s[2];
    int32_t s32;
    int64_t s64;
    unsigned below;
};

static const struct all sample = { .flag = true,
                                   .flags = { false, true, true },
                                   .u8 = 0xa5,
                                   .bytes = { 1, 2, 3, 4, 0xff },
                                   .u16 = 0x8123,
                                   .u16s = { 0xffff, 1 },
                                   .u32 = 0x80000001,
                                   .u32s = { 0xdeadbeef, 7 },
                                   .u64 = UINT64_C(0x8000000000000001),
                                   .u64s = { UINT64_MAX, 2 },
                                   .s32 = INT32_MIN,
                                   .s64 = INT64_MIN,
                                   .below = 9 };

#define ALL_BYTES (1 + 3 + 1 + 5 + 2 + 4 + 4 + 8 + 8 + 16 + 4 + 8 + 4)

static void all_members(struct snap *snap, struct all *all)
{
    SNAP(snap, all, flag);
    SNAP_ALL(snap, all, flags);
    SNAP(snap, all, u8);
    SNAP_ALL(snap, all, bytes);
    SNAP(snap, all, u16);
    SNAP_ALL(snap, all, u16s);
    SNAP(snap, all, u32);
    SNAP_ALL(snap, all, u32s);
    SNAP(snap, all, u64);
    SNAP_ALL(snap, all, u64s);
    SNAP(snap, all, s32);
    SNAP(snap, all, s64);
    SNAP_BELOW(snap, all, below, 10);
}

static void all_state(struct snap *snap, struct all *all, unsigned instance, uint32_t version)
{
    if (snap_begin(snap, "all", instance, version))
        all_members(snap, all);
    snap_end(snap);
}

/* Two sections. */
static void save(struct snap *snap)
{
    struct all all = sample;
    snap_save(snap);
    all_state(snap, &all, 0, 3);
    all_state(snap, &all, 1, 3);
    ck_assert(!snap->failed);
}

static void same_members(const struct all *all)
{
    ck_assert_uint_eq(all->flag, sample.flag);
    ck_assert_mem_eq(all->flags, sample.flags, sizeof(sample.flags));
    ck_assert_uint_eq(all->u8, sample.u8);
    ck_assert_mem_eq(all->bytes, sample.bytes, sizeof(sample.bytes));
    ck_assert_uint_eq(all->u16, sample.u16);
    ck_assert_mem_eq(all->u16s, sample.u16s, sizeof(sample.u16s));
    ck_assert_uint_eq(all->u32, sample.u32);
    ck_assert_mem_eq(all->u32s, sample.u32s, sizeof(sample.u32s));
    ck_assert_uint_eq(all->u64, sample.u64);
    ck_assert_mem_eq(all->u64s, sample.u64s, sizeof(sample.u64s));
    ck_assert_int_eq(all->s32, sample.s32);
    ck_assert_int_eq(all->s64, sample.s64);
    ck_assert_uint_eq(all->below, sample.below);
}

START_TEST(members_of_each_kind_come_back)
{
    struct snap snap, load;
    struct all first = { 0 }, second = { 0 };
    save(&snap);
    ck_assert_uint_eq(snap.size, 2 * (SNAP_HEAD + ALL_BYTES));
    snap_load(&load, snap.data, snap.size);
    all_state(&load, &first, 0, 3);
    all_state(&load, &second, 1, 3);
    ck_assert(!load.failed);
    ck_assert_ptr_eq(load.from, load.end);
    same_members(&first);
    same_members(&second);
    snap_free(&snap);
}
END_TEST

START_TEST(numbers_are_little_endian)
{
    struct snap snap;
    save(&snap);
    const uint8_t *at = snap.data + SNAP_HEAD + 4 + 1 + 5;
    static const uint8_t expected[] = { 0x23, 0x81, 0xff, 0xff, 0x01, 0x00, 0x01, 0, 0, 0x80 };
    ck_assert_mem_eq(at, expected, sizeof(expected));
    snap_free(&snap);
}
END_TEST

START_TEST(hash_is_of_what_is_saved_without_heads)
{
    struct snap snap, hash;
    struct all all = sample;
    uint64_t of_pass = 1, of_bytes = 1;
    snap_save(&snap);
    all_state(&snap, &all, 0, 3);
    kit_hash_bytes(&of_bytes, snap.data + SNAP_HEAD, ALL_BYTES);
    snap_hash(&hash, kit_hash_bytes, &of_pass);
    all_state(&hash, &all, 0, 3);
    ck_assert_uint_eq(of_pass, of_bytes);
    ck_assert_uint_eq(snap.size, SNAP_HEAD + ALL_BYTES);
    same_members(&all);
    snap_free(&snap);
}
END_TEST

/* Does loading fail, naming `what`? Nothing is read behind the end. */
static void refuses(const uint8_t *bytes, size_t size, uint32_t version, const char *where,
                    const char *what)
{
    struct snap load;
    struct all all = { 0 };
    uint8_t *exact = malloc(size ? size : 1);
    ck_assert_ptr_nonnull(exact);
    if (size)
        memcpy(exact, bytes, size);
    snap_load(&load, exact, size);
    all_state(&load, &all, 0, version);
    all_state(&load, &all, 1, version);
    ck_assert(load.failed);
    ck_assert_msg(strstr(load.diag.where, where) != NULL, "where: %s", load.diag.where);
    ck_assert_msg(strstr(load.diag.what, what) != NULL, "message: %s", load.diag.what);
    all = sample;
    all_state(&load, &all, 2, version); /* goes on failing, and leaves what it need not touch */
    ck_assert(load.failed);
    free(exact);
}

START_TEST(truncated_streams_are_refused_at_each_length)
{
    struct snap snap;
    save(&snap);
    for (size_t size = 0; size < snap.size; size++)
        refuses(snap.data, size, 3, size < SNAP_HEAD + ALL_BYTES ? "all.0" : "all.1", "truncated");
    snap_free(&snap);
}
END_TEST

START_TEST(a_failed_pass_gives_zeros)
{
    struct snap load;
    struct all all = sample;
    snap_load(&load, NULL, 0);
    ck_assert(!snap_begin(&load, "all", 0, 3));
    all_members(&load, &all);
    snap_end(&load);
    static const struct all nothing;
    ck_assert(!all.flag && !all.u8 && !all.u16 && !all.u32 && !all.u64 && !all.s32 && !all.s64);
    ck_assert_mem_eq(all.bytes, nothing.bytes, sizeof(all.bytes));
    ck_assert_mem_eq(all.u64s, nothing.u64s, sizeof(all.u64s));
    ck_assert_uint_eq(all.below, 0);
}
END_TEST

START_TEST(other_versions_are_refused)
{
    struct snap snap;
    save(&snap);
    refuses(snap.data, snap.size, 4, "all.0", "version 3");
    refuses(snap.data, snap.size, 2, "all.0", "version 3");
    snap_free(&snap);
}
END_TEST

START_TEST(another_section_in_its_place_is_named)
{
    struct snap snap;
    struct all all = sample;
    save(&snap);
    refuses(snap.data + SNAP_HEAD + ALL_BYTES, snap.size - SNAP_HEAD - ALL_BYTES, 3, "all.0",
            "all.1");
    snap_free(&snap);
    snap_save(&snap);
    if (snap_begin(&snap, "other", 0, 3))
        all_members(&snap, &all);
    snap_end(&snap);
    refuses(snap.data, snap.size, 3, "all.0", "other.0");
    snap.data[1] = 0x1b;
    refuses(snap.data, snap.size, 3, "all.0", "o?her.0");
    memset(snap.data, 'x', SNAP_NAME); /* a name without an end */
    refuses(snap.data, snap.size, 3, "all.0", "truncated");
    snap_free(&snap);
}
END_TEST

static void set_length(uint8_t *head, uint64_t bytes)
{
    for (unsigned i = 0; i < 8; i++)
        head[SNAP_NAME + 8 + i] = (uint8_t)(bytes >> 8 * i);
}

START_TEST(sections_must_have_their_length)
{
    static const uint64_t longer[] = { ALL_BYTES + SNAP_HEAD + ALL_BYTES + 1, UINT64_MAX,
                                       UINT64_MAX - SNAP_HEAD + 1 };
    struct snap snap;
    save(&snap);
    set_length(snap.data, ALL_BYTES - 1);
    refuses(snap.data, snap.size, 3, "all.0, below", "too early");
    set_length(snap.data, 0);
    refuses(snap.data, snap.size, 3, "all.0, flag", "too early");
    set_length(snap.data, ALL_BYTES + 1);
    refuses(snap.data, snap.size, 3, "all.0", "longer");
    for (unsigned i = 0; i < 3; i++) {
        set_length(snap.data, longer[i]);
        refuses(snap.data, snap.size, 3, "all.0", "truncated");
    }
    snap_free(&snap);
}
END_TEST

START_TEST(values_that_cannot_be_are_refused)
{
    struct snap snap;
    save(&snap);
    uint8_t *below = snap.data + SNAP_HEAD + ALL_BYTES - 4;
    *below = 10;
    refuses(snap.data, snap.size, 3, "all.0, below", "cannot have");
    memset(below, 0xff, 4);
    refuses(snap.data, snap.size, 3, "all.0, below", "cannot have");
    memset(below, 0, 4);
    snap.data[SNAP_HEAD + 1] = 2;
    refuses(snap.data, snap.size, 3, "all.0, flags", "cannot have");
    snap_free(&snap);
}
END_TEST

START_TEST(refusals_count_when_loading_only)
{
    struct snap snap;
    snap_save(&snap);
    ck_assert(snap_begin(&snap, "x", 0, 1));
    snap_refuse(&snap, "x");
    snap_end(&snap);
    ck_assert(!snap.failed);
    snap_free(&snap);
}
END_TEST

START_TEST(heads_can_be_read_without_knowing_the_sections)
{
    struct snap snap;
    struct snap_head head;
    save(&snap);
    const uint8_t *at = snap.data, *end = snap.data + snap.size;
    for (unsigned i = 0; i < 2; i++) {
        ck_assert(snap_read_head(at, end, &head));
        ck_assert_str_eq(head.name, "all");
        ck_assert_uint_eq(head.instance, i);
        ck_assert_uint_eq(head.version, 3);
        ck_assert_uint_eq(head.bytes, ALL_BYTES);
        at += SNAP_HEAD + head.bytes;
    }
    ck_assert(!snap_read_head(at, end, &head));
    snap_free(&snap);
}
END_TEST

/* --- who listens ------------------------------------------------------------------------------------------ */

struct told {
    unsigned count;
    uint64_t u16s[2], word;
};

static void hear(void *self, const struct snap *snap, const char *name, unsigned index,
                 uint64_t value)
{
    struct told *told = self;
    (void)snap;
    told->count++;
    if (strcmp(name, "u16s") == 0)
        told->u16s[index] = value;
    if (strcmp(name, "bytes") == 0)
        told->word = value;
}

START_TEST(who_listens_hears_of_each_number)
{
    struct snap snap;
    struct all all = sample;
    struct told told = { 0 };
    snap_hash(&snap, kit_hash_bytes, &(uint64_t){ 0 });
    snap.tell = hear;
    snap.tell_self = &told;
    all_state(&snap, &all, 0, 3);
    ck_assert_uint_eq(told.count, 1 + 3 + 1 + 1 + 1 + 2 + 1 + 2 + 1 + 2 + 1 + 1 + 1);
    ck_assert_uint_eq(told.u16s[0], 0xffff);
    ck_assert_uint_eq(told.u16s[1], 1);
    ck_assert_uint_eq(told.word, UINT64_C(0xff04030201));
}
END_TEST

/* --- rings ------------------------------------------------------------------------------------------------- */

struct ring {
    uint8_t bytes[8];
    uint32_t first, count;
};

static void ring_state(struct snap *snap, struct ring *ring)
{
    if (snap_begin(snap, "ring", 0, 1))
        snap_ring(snap, "bytes", ring->bytes, sizeof(ring->bytes), &ring->first, &ring->count);
    snap_end(snap);
}

START_TEST(rings_come_back_from_their_first_byte_on)
{
    for (uint32_t first = 0; first < 8; first++)
        for (uint32_t count = 0; count <= 8; count++) {
            struct ring ring = { .first = first, .count = count }, back = { .first = 5 };
            struct snap snap, load;
            for (uint32_t i = 0; i < count; i++)
                ring.bytes[(first + i) % 8] = (uint8_t)(0x80 + i);
            snap_save(&snap);
            ring_state(&snap, &ring);
            ck_assert_uint_eq(snap.size, SNAP_HEAD + 4 + count);
            snap_load(&load, snap.data, snap.size);
            ring_state(&load, &back);
            ck_assert(!load.failed);
            ck_assert_uint_eq(back.first, 0);
            ck_assert_uint_eq(back.count, count);
            for (uint32_t i = 0; i < count; i++)
                ck_assert_uint_eq(back.bytes[i], 0x80 + i);
            snap_free(&snap);
        }
}
END_TEST

START_TEST(rings_take_no_more_than_they_hold)
{
    struct ring ring = { .count = 8 };
    struct snap snap, load;
    snap_save(&snap);
    ring_state(&snap, &ring);
    snap.data[SNAP_HEAD] = 9;
    snap_load(&load, snap.data, snap.size);
    ring_state(&load, &ring);
    ck_assert(load.failed);
    ck_assert_uint_eq(ring.count, 0);
    snap_free(&snap);
}
END_TEST

/* --- deadlines --------------------------------------------------------------------------------------------- */

#define DEADLINES 5

struct timers {
    struct kit kit;
    struct deadline deadline[DEADLINES];
    unsigned fired, order[DEADLINES];
};

struct timer_self {
    struct timers *timers;
    unsigned number;
};
static struct timer_self timer_selves[2][DEADLINES];

static void note(void *self, uint64_t now_ns)
{
    const struct timer_self *timer = self;
    (void)now_ns;
    timer->timers->order[timer->timers->fired++] = timer->number;
}

static void timers_open(struct timers *t, unsigned which)
{
    memset(t, 0, sizeof(*t));
    kit_open(&t->kit);
    for (unsigned i = 0; i < DEADLINES; i++) {
        timer_selves[which][i] = (struct timer_self){ t, i };
        t->deadline[i] = (struct deadline){ .fire = note, .self = &timer_selves[which][i] };
    }
}

static void timers_state(struct snap *snap, struct timers *t)
{
    if (snap_begin(snap, "timers", 0, 1))
        for (unsigned i = 0; i < DEADLINES; i++)
            snap_deadline(snap, "deadline", &t->kit.clock, &t->deadline[i]);
    snap_end(snap);
}

START_TEST(deadlines_fire_in_the_order_they_were_armed_in)
{
    static const unsigned expected[] = { 1, 3, 0, 2 };
    struct timers a, b;
    struct snap snap, load;
    timers_open(&a, 0);
    timers_open(&b, 1);
    clock_arm(&a.kit.clock, &a.deadline[3], 100);
    clock_arm(&a.kit.clock, &a.deadline[0], 100);
    clock_arm(&a.kit.clock, &a.deadline[2], 100);
    clock_arm(&a.kit.clock, &a.deadline[1], 50);
    clock_arm(&b.kit.clock, &b.deadline[4], 1);
    snap_save(&snap);
    timers_state(&snap, &a);
    clock_clear(&b.kit.clock);
    snap_load(&load, snap.data, snap.size);
    timers_state(&load, &b);
    ck_assert(!load.failed);
    ck_assert(!b.deadline[4].queued);
    kit_until(&b.kit, 1000);
    ck_assert_uint_eq(b.fired, 4);
    ck_assert_mem_eq(b.order, expected, sizeof(expected));
    for (unsigned i = 0; i < DEADLINES; i++)
        clock_cancel(&a.kit.clock, &a.deadline[i]);
    kit_close(&a.kit);
    kit_close(&b.kit);
    snap_free(&snap);
}
END_TEST

/* Load one deadline for `when` at `now`; is it taken? */
static bool takes(uint64_t when, uint64_t now, uint64_t highest)
{
    struct timers t;
    struct snap snap, load;
    timers_open(&t, 0);
    clock_arm(&t.kit.clock, &t.deadline[0], 1);
    snap_save(&snap);
    timers_state(&snap, &t);
    clock_clear(&t.kit.clock);
    for (unsigned i = 0; i < 8; i++)
        snap.data[SNAP_HEAD + i] = (uint8_t)(when >> 8 * i);
    t.kit.now_ns = now;
    t.kit.clock.highest_ns = highest;
    snap_load(&load, snap.data, snap.size);
    timers_state(&load, &t);
    ck_assert_uint_eq(t.deadline[0].queued, !load.failed && when != CLOCK_NEVER);
    clock_clear(&t.kit.clock);
    kit_close(&t.kit);
    snap_free(&snap);
    return !load.failed;
}

START_TEST(deadlines_of_no_time_are_refused)
{
    const uint64_t now = 10 * CLOCK_LATE_NS;
    ck_assert(takes(0, 0, 0));
    ck_assert(takes(CLOCK_LAST, 0, 0));
    ck_assert(!takes(CLOCK_LAST + 1, 0, 0));
    ck_assert(!takes(CLOCK_NEVER - 1, 0, 0));
    ck_assert(takes(CLOCK_NEVER, now, now));
    ck_assert(takes(now - CLOCK_LATE_NS, now, 0));
    ck_assert(!takes(now - CLOCK_LATE_NS - 1, now, 0));
    ck_assert(takes(now - CLOCK_LATE_NS, 0, now));
    ck_assert(!takes(now - CLOCK_LATE_NS - 1, 0, now));
}
END_TEST

/* --- the bus ------------------------------------------------------------------------------------------------- */

struct counter {
    uint32_t value;
};

static void counter_state(void *self, struct snap *snap)
{
    struct counter *counter = self;
    SNAP(snap, counter, value);
}

static const struct dev_class dev_counter = {
    .name = "counter",
    .state_size = sizeof(struct counter),
    .state = counter_state,
    .state_version = 2,
};

static const struct dev_class dev_stateless = { .name = "stateless", .state_size = 1 };

/* Instances count devices of the same class; what has no state has no section. */
START_TEST(each_device_is_a_section)
{
    struct kit kit;
    struct snap snap, load;
    struct snap_head head;
    struct counter *counter[2];
    kit_open(&kit);
    counter[0] = bus_add(kit.bus, &dev_counter);
    ck_assert_ptr_nonnull(bus_add(kit.bus, &dev_stateless));
    counter[1] = bus_add(kit.bus, &dev_counter);
    counter[0]->value = 11;
    counter[1]->value = 22;
    snap_save(&snap);
    bus_state(kit.bus, &snap);
    ck_assert_uint_eq(snap.size, 2 * (SNAP_HEAD + 4));
    ck_assert(snap_read_head(snap.data + SNAP_HEAD + 4, snap.data + snap.size, &head));
    ck_assert_str_eq(head.name, "counter");
    ck_assert_uint_eq(head.instance, 1);
    ck_assert_uint_eq(head.version, 2);
    counter[0]->value = counter[1]->value = 0;
    snap_load(&load, snap.data, snap.size);
    bus_state(kit.bus, &load);
    ck_assert(!load.failed);
    ck_assert_uint_eq(counter[0]->value, 11);
    ck_assert_uint_eq(counter[1]->value, 22);
    snap_free(&snap);
    kit_close(&kit);
}
END_TEST

CHECK_MAIN("snap", members_of_each_kind_come_back, numbers_are_little_endian,
           hash_is_of_what_is_saved_without_heads, truncated_streams_are_refused_at_each_length,
           a_failed_pass_gives_zeros, other_versions_are_refused,
           another_section_in_its_place_is_named, sections_must_have_their_length,
           values_that_cannot_be_are_refused, refusals_count_when_loading_only,
           heads_can_be_read_without_knowing_the_sections, who_listens_hears_of_each_number,
           rings_come_back_from_their_first_byte_on, rings_take_no_more_than_they_hold,
           deadlines_fire_in_the_order_they_were_armed_in, deadlines_of_no_time_are_refused,
           each_device_is_a_section)

/* The real-time clock's interrupts: MC146818A data sheet, "Interrupts". */
#include "tests/devices/kit.h"

#include "devices/rtc.h"

#define SECOND 1000000000ull
#define EPOCH 951782399 /* 2000-02-28 23:59:59 */
#define PIE 0x40
#define AIE 0x20
#define UIE 0x10
#define SET 0x80
#define HOURS_24 0x02

struct clock_kit {
    struct kit kit;
    struct kit_line line;
};

static uint8_t get(struct clock_kit *k, uint8_t index)
{
    kit_out(&k->kit, 0x70, index);
    return kit_in(&k->kit, 0x71);
}

static void set(struct clock_kit *k, uint8_t index, uint8_t value)
{
    kit_out(&k->kit, 0x70, index);
    kit_out(&k->kit, 0x71, value);
}

static void clock_open(struct clock_kit *k)
{
    memset(k, 0, sizeof(*k));
    kit_open(&k->kit);
    const struct rtc_config config = { .epoch = EPOCH,
                                       .ram_bytes = 512u << 20,
                                       .irq = kit_line_to(&k->line) };
    ck_assert_ptr_nonnull(rtc_add(k->kit.bus, &config));
}

static void alarm_at(struct clock_kit *k, uint8_t hours, uint8_t minutes, uint8_t seconds)
{
    set(k, 0x05, hours);
    set(k, 0x03, minutes);
    set(k, 0x01, seconds);
}

START_TEST(rtc_no_enable_no_deadline)
{
    struct clock_kit k;
    clock_open(&k);
    ck_assert_uint_eq(clock_next_ns(&k.kit.clock), CLOCK_NEVER);
    kit_pass(&k.kit, 5 * SECOND);
    ck_assert(!k.line.level);
    ck_assert_uint_eq(get(&k, 0x0c), 0x70); /* flags without IRQF */
    kit_close(&k.kit);
}
END_TEST

START_TEST(rtc_periodic_interrupt_until_c_is_read)
{
    struct clock_kit k;
    clock_open(&k);
    set(&k, 0x0b, HOURS_24 | PIE);
    kit_until(&k.kit, SECOND / 1024);
    ck_assert(!k.line.level); /* 976562.5 */
    kit_pass(&k.kit, 1);
    ck_assert(k.line.level);
    ck_assert_uint_eq(clock_next_ns(&k.kit.clock), CLOCK_NEVER); /* it asks already */
    kit_pass(&k.kit, 10 * SECOND / 1024);
    ck_assert_uint_eq(k.line.rises, 1);
    ck_assert_uint_eq(get(&k, 0x0c), 0xc0);
    ck_assert(!k.line.level);
    ck_assert_uint_eq(get(&k, 0x0c), 0);
    kit_pass(&k.kit, SECOND / 1024 + 1);
    ck_assert(k.line.level);
    kit_close(&k.kit);
}
END_TEST

START_TEST(rtc_periodic_rates_interrupt)
{
    static const struct {
        uint8_t rate;
        unsigned hz;
    } row[] = { { 1, 256 }, { 2, 128 }, { 3, 8192 }, { 6, 1024 }, { 15, 2 } };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct clock_kit k;
        clock_open(&k);
        set(&k, 0x0a, 0x20 | row[i].rate);
        set(&k, 0x0b, HOURS_24 | PIE);
        ck_assert_uint_eq(clock_next_ns(&k.kit.clock), (SECOND + row[i].hz - 1) / row[i].hz);
        unsigned count = 0;
        while (clock_next_ns(&k.kit.clock) <= SECOND) {
            kit_until(&k.kit, clock_next_ns(&k.kit.clock));
            count += k.line.level;
            (void)get(&k, 0x0c);
        }
        ck_assert_uint_eq(count, row[i].hz);
        set(&k, 0x0a, 0x20); /* rate 0: none */
        ck_assert_uint_eq(clock_next_ns(&k.kit.clock), CLOCK_NEVER);
        kit_close(&k.kit);
    }
}
END_TEST

START_TEST(rtc_update_ended_interrupt)
{
    struct clock_kit k;
    clock_open(&k);
    set(&k, 0x0b, HOURS_24 | UIE);
    kit_until(&k.kit, SECOND - 1);
    ck_assert(!k.line.level);
    kit_until(&k.kit, SECOND);
    ck_assert(k.line.level);
    ck_assert_uint_eq(get(&k, 0x0c) & 0x90, 0x90);
    kit_until(&k.kit, 2 * SECOND);
    ck_assert(k.line.level);
    set(&k, 0x0b, HOURS_24); /* the enable goes: so does the line, the flag stays */
    ck_assert(!k.line.level);
    set(&k, 0x0b, HOURS_24 | UIE);
    ck_assert(k.line.level);
    kit_close(&k.kit);
}
END_TEST

START_TEST(rtc_set_stops_updates_and_clears_uie)
{
    struct clock_kit k;
    clock_open(&k);
    set(&k, 0x0b, HOURS_24 | UIE | AIE);
    set(&k, 0x0b, HOURS_24 | SET | UIE | AIE);
    ck_assert_uint_eq(get(&k, 0x0b), HOURS_24 | SET | AIE);
    ck_assert_uint_eq(clock_next_ns(&k.kit.clock), CLOCK_NEVER);
    kit_pass(&k.kit, 3 * SECOND);
    ck_assert_uint_eq(get(&k, 0x0c), 0x40); /* the divider still runs */
    kit_close(&k.kit);
}
END_TEST

START_TEST(rtc_alarm_at_a_time)
{
    struct clock_kit k;
    clock_open(&k);
    alarm_at(&k, 0x00, 0x01, 0x02);
    set(&k, 0x0b, HOURS_24 | AIE);
    ck_assert_uint_eq(clock_next_ns(&k.kit.clock), 63 * SECOND); /* 23:59:59 + 63 s */
    kit_until(&k.kit, 63 * SECOND - 1);
    ck_assert(!k.line.level);
    kit_until(&k.kit, 63 * SECOND);
    ck_assert(k.line.level);
    ck_assert_uint_eq(get(&k, 0x0c) & 0xa0, 0xa0);
    ck_assert_uint_eq(clock_next_ns(&k.kit.clock), (63 + 86400) * SECOND);
    kit_close(&k.kit);
}
END_TEST

START_TEST(rtc_alarm_fields_that_match_anything)
{
    static const struct {
        uint8_t hours, minutes, seconds;
        unsigned first, second; /* seconds after 23:59:59 */
    } row[] = { { 0xff, 0xff, 0xff, 1, 2 },        { 0xff, 0xff, 0x00, 1, 61 },
                { 0xff, 0xff, 0x59, 60, 120 },     { 0xff, 0x00, 0x00, 1, 3601 },
                { 0xc0, 0x30, 0x15, 1816, 5416 },  { 0x12, 0xc0, 0xc0, 43201, 43202 },
                { 0x00, 0xff, 0x01, 2, 62 },       { 0x23, 0x59, 0x59, 86400, 172800 },
                { 0x23, 0xff, 0x58, 82859, 82919 } };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct clock_kit k;
        clock_open(&k);
        alarm_at(&k, row[i].hours, row[i].minutes, row[i].seconds);
        set(&k, 0x0b, HOURS_24 | AIE);
        ck_assert_uint_eq(clock_next_ns(&k.kit.clock), row[i].first * SECOND);
        kit_until(&k.kit, row[i].first * SECOND);
        ck_assert(k.line.level);
        (void)get(&k, 0x0c);
        ck_assert_uint_eq(clock_next_ns(&k.kit.clock), row[i].second * SECOND);
        kit_close(&k.kit);
    }
}
END_TEST

START_TEST(rtc_alarm_that_never_comes)
{
    static const uint8_t row[][3] = {
        { 0x24, 0xff, 0xff }, { 0xff, 0x60, 0xff }, { 0xff, 0xff, 0x60 }, { 0xff, 0xff, 0x0a }
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct clock_kit k;
        clock_open(&k);
        alarm_at(&k, row[i][0], row[i][1], row[i][2]);
        set(&k, 0x0b, HOURS_24 | AIE);
        ck_assert_uint_eq(clock_next_ns(&k.kit.clock), CLOCK_NEVER);
        kit_pass(&k.kit, 100000 * SECOND);
        ck_assert_uint_eq(get(&k, 0x0c) & 0x20, 0);
        kit_close(&k.kit);
    }
}
END_TEST

START_TEST(rtc_alarm_in_twelve_hours_and_binary)
{
    struct clock_kit k;
    clock_open(&k);
    set(&k, 0x0b, 0x04 | AIE);
    alarm_at(&k, 0x80 | 11, 58, 57); /* 11:58:57 pm */
    ck_assert_uint_eq(clock_next_ns(&k.kit.clock), (86400 - 62) * SECOND);
    alarm_at(&k, 12, 0, 5); /* 12:00:05 am */
    ck_assert_uint_eq(clock_next_ns(&k.kit.clock), 6 * SECOND);
    kit_close(&k.kit);
}
END_TEST

START_TEST(rtc_divider_reset_holds_the_clock)
{
    struct clock_kit k;
    clock_open(&k);
    set(&k, 0x0b, HOURS_24 | UIE | PIE);
    set(&k, 0x0a, 0x76);
    ck_assert_uint_eq(clock_next_ns(&k.kit.clock), CLOCK_NEVER);
    kit_pass(&k.kit, 100 * SECOND + 12345);
    ck_assert_uint_eq(get(&k, 0x0c), 0);
    ck_assert_uint_eq(get(&k, 0x00), 0x59);
    ck_assert_uint_eq(get(&k, 0x0a), 0x76); /* never UIP */
    set(&k, 0x0b, HOURS_24 | UIE);
    uint64_t start = k.kit.now_ns;
    set(&k, 0x0a, 0x26); /* the first update comes half a second later */
    ck_assert_uint_eq(clock_next_ns(&k.kit.clock), start + SECOND / 2);
    kit_pass(&k.kit, SECOND / 2 - 1);
    ck_assert_uint_eq(get(&k, 0x00), 0x59);
    ck_assert_uint_eq(get(&k, 0x0a), 0xa6);
    kit_pass(&k.kit, 1);
    ck_assert(k.line.level);
    ck_assert_uint_eq(get(&k, 0x00), 0x00);
    ck_assert_uint_eq(get(&k, 0x07), 0x29);
    kit_close(&k.kit);
}
END_TEST

START_TEST(rtc_reset_ends_an_interrupt)
{
    struct clock_kit k;
    clock_open(&k);
    set(&k, 0x0b, HOURS_24 | UIE);
    kit_pass(&k.kit, SECOND);
    ck_assert(k.line.level);
    bus_reset(k.kit.bus);
    ck_assert(!k.line.level);
    ck_assert_uint_eq(clock_next_ns(&k.kit.clock), CLOCK_NEVER);
    ck_assert_uint_eq(get(&k, 0x0c), 0);
    kit_close(&k.kit);
}
END_TEST

START_TEST(rtc_any_sequence_of_writes_is_safe)
{
    struct clock_kit k;
    uint32_t seed = 1;
    clock_open(&k);
    for (unsigned i = 0; i < 30000; i++) {
        seed = seed * 1664525 + 1013904223;
        set(&k, seed >> 8 & 0x0f, (uint8_t)(seed >> 16));
        k.kit.now_ns += seed >> 4;
        if (clock_next_ns(&k.kit.clock) <= k.kit.now_ns)
            clock_run(&k.kit.clock, k.kit.now_ns);
        ck_assert(clock_next_ns(&k.kit.clock) > k.kit.now_ns);
        (void)get(&k, 0x0c);
    }
    kit_close(&k.kit);
}
END_TEST

CHECK_MAIN("rtc_irq", rtc_no_enable_no_deadline, rtc_periodic_interrupt_until_c_is_read,
           rtc_periodic_rates_interrupt, rtc_update_ended_interrupt,
           rtc_set_stops_updates_and_clears_uie, rtc_alarm_at_a_time,
           rtc_alarm_fields_that_match_anything, rtc_alarm_that_never_comes,
           rtc_alarm_in_twelve_hours_and_binary, rtc_divider_reset_holds_the_clock,
           rtc_reset_ends_an_interrupt, rtc_any_sequence_of_writes_is_safe)

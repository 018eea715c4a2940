/* The 8254 and port 61h. */
#include "tests/devices/kit.h"

#include "devices/pit.h"

struct timer {
    struct kit kit;
    struct kit_line irq;
    struct pit *pit;
};

static void timer_open(struct timer *t)
{
    memset(t, 0, sizeof(*t));
    kit_open(&t->kit);
    t->pit = pit_add(t->kit.bus, kit_line_to(&t->irq));
    ck_assert_ptr_nonnull(t->pit);
}

/* The first nanosecond of a tick. */
static uint64_t at_tick(uint64_t tick)
{
    return (tick * 1000000000u + PIT_HZ - 1) / PIT_HZ;
}

/* Program a channel with a 16-bit count at the current time. */
static void load(struct timer *t, unsigned channel, unsigned mode, uint16_t count)
{
    kit_out(&t->kit, 0x43, (uint8_t)(channel << 6 | 0x30 | mode << 1));
    kit_out(&t->kit, (uint16_t)(0x40 + channel), (uint8_t)count);
    kit_out(&t->kit, (uint16_t)(0x40 + channel), (uint8_t)(count >> 8));
}

static uint16_t latched(struct timer *t, unsigned channel)
{
    uint16_t port = (uint16_t)(0x40 + channel);
    kit_out(&t->kit, 0x43, (uint8_t)(channel << 6));
    uint16_t low = kit_in(&t->kit, port);
    return (uint16_t)(low | kit_in(&t->kit, port) << 8);
}

static uint8_t status(struct timer *t, unsigned channel)
{
    kit_out(&t->kit, 0x43, (uint8_t)(0xe0 | 2u << channel));
    return kit_in(&t->kit, (uint16_t)(0x40 + channel));
}

static bool out2(struct timer *t)
{
    return kit_in(&t->kit, 0x61) & 0x20;
}

START_TEST(pit_mode0_out_rises_n_plus_1_clocks_after_the_count)
{
    struct timer t;
    timer_open(&t);
    load(&t, 0, 0, 100);
    kit_until(&t.kit, at_tick(101) - 1);
    ck_assert(!t.irq.level);
    kit_until(&t.kit, at_tick(101));
    ck_assert(t.irq.level);
    kit_until(&t.kit, at_tick(200000));
    ck_assert_uint_eq(t.irq.rises, 1); /* and stays */
    ck_assert_uint_eq(clock_next_ns(&t.kit.clock), CLOCK_NEVER);
    kit_close(&t.kit);
}
END_TEST

START_TEST(pit_mode0_counts_on_below_zero)
{
    struct timer t;
    timer_open(&t);
    load(&t, 0, 0, 10);
    kit_until(&t.kit, at_tick(1 + 10));
    ck_assert_uint_eq(latched(&t, 0), 0);
    kit_until(&t.kit, at_tick(1 + 11));
    ck_assert_uint_eq(latched(&t, 0), 0xffff);
    kit_close(&t.kit);
}
END_TEST

START_TEST(pit_mode0_first_byte_stops_the_count)
{
    struct timer t;
    timer_open(&t);
    load(&t, 0, 0, 2);
    kit_until(&t.kit, at_tick(10));
    ck_assert(t.irq.level);
    kit_out(&t.kit, 0x40, 5);
    ck_assert(!t.irq.level);
    kit_until(&t.kit, at_tick(100));
    ck_assert(!t.irq.level);
    kit_out(&t.kit, 0x40, 0);
    kit_until(&t.kit, at_tick(106));
    ck_assert(t.irq.level);
    kit_close(&t.kit);
}
END_TEST

START_TEST(pit_mode2_one_pulse_in_each_period)
{
    struct timer t;
    timer_open(&t);
    load(&t, 0, 2, 1000);
    ck_assert(t.irq.level);
    ck_assert_uint_eq(t.irq.rises, 1); /* the control word raises OUT */
    kit_until(&t.kit, at_tick(1 + 998));
    ck_assert(t.irq.level);
    kit_until(&t.kit, at_tick(1 + 999));
    ck_assert(!t.irq.level);
    kit_until(&t.kit, at_tick(1 + 1000));
    ck_assert(t.irq.level);
    kit_until(&t.kit, at_tick(1 + 10 * 1000));
    ck_assert_uint_eq(t.irq.rises, 11);
    ck_assert_uint_eq(latched(&t, 0), 1000);
    kit_close(&t.kit);
}
END_TEST

START_TEST(pit_mode2_new_count_waits_for_the_end_of_the_period)
{
    struct timer t;
    timer_open(&t);
    load(&t, 0, 2, 100);
    kit_until(&t.kit, at_tick(1 + 50));
    kit_out(&t.kit, 0x40, 10);
    kit_out(&t.kit, 0x40, 0);
    ck_assert_uint_eq(status(&t, 0) & 0x40, 0x40); /* null count */
    ck_assert_uint_eq(latched(&t, 0), 50);
    kit_until(&t.kit, at_tick(1 + 100));
    ck_assert_uint_eq(status(&t, 0) & 0x40, 0);
    kit_until(&t.kit, at_tick(1 + 150));
    ck_assert_uint_eq(t.irq.rises, 1 + 1 + 5);
    kit_close(&t.kit);
}
END_TEST

START_TEST(pit_mode3_square_wave)
{
    static const struct {
        uint16_t count;
        unsigned high;
    } row[] = { { 10, 5 }, { 11, 6 }, { 2, 1 } };
    for (size_t i = 0; i < 3; i++) {
        struct timer t;
        timer_open(&t);
        load(&t, 0, 3, row[i].count);
        for (unsigned tick = 0; tick < 3u * row[i].count; tick++) {
            kit_until(&t.kit, at_tick(1 + tick));
            ck_assert_int_eq(t.irq.level, tick % row[i].count < row[i].high);
        }
        kit_close(&t.kit);
    }
}
END_TEST

START_TEST(pit_mode3_counts_by_two)
{
    struct timer t;
    timer_open(&t);
    load(&t, 0, 3, 100);
    kit_until(&t.kit, at_tick(1));
    ck_assert_uint_eq(latched(&t, 0), 100);
    kit_until(&t.kit, at_tick(1 + 10));
    ck_assert_uint_eq(latched(&t, 0), 80);
    kit_until(&t.kit, at_tick(1 + 60));
    ck_assert_uint_eq(latched(&t, 0), 80);
    kit_close(&t.kit);
}
END_TEST

START_TEST(pit_count_zero_is_the_largest)
{
    struct timer t;
    timer_open(&t);
    load(&t, 0, 0, 0);
    kit_until(&t.kit, at_tick(1 + 65535));
    ck_assert(!t.irq.level);
    ck_assert_uint_eq(latched(&t, 0), 1);
    kit_until(&t.kit, at_tick(1 + 65536));
    ck_assert(t.irq.level);
    kit_close(&t.kit);
}
END_TEST

START_TEST(pit_bcd_counts_in_decimal)
{
    struct timer t;
    timer_open(&t);
    kit_out(&t.kit, 0x43, 0x31);
    kit_out(&t.kit, 0x40, 0x34);
    kit_out(&t.kit, 0x40, 0x12);
    kit_until(&t.kit, at_tick(1 + 1));
    ck_assert_uint_eq(latched(&t, 0), 0x1233);
    kit_until(&t.kit, at_tick(1 + 1234));
    ck_assert(t.irq.level);
    kit_until(&t.kit, at_tick(1 + 1235));
    ck_assert_uint_eq(latched(&t, 0), 0x9999);
    kit_close(&t.kit);
}
END_TEST

START_TEST(pit_single_byte_accesses)
{
    struct timer t;
    timer_open(&t);
    kit_out(&t.kit, 0x43, 0x10); /* low byte, mode 0 */
    kit_out(&t.kit, 0x40, 200);
    kit_until(&t.kit, at_tick(1 + 100));
    ck_assert_uint_eq(kit_in(&t.kit, 0x40), 100);
    ck_assert_uint_eq(kit_in(&t.kit, 0x40), 100); /* no second byte */
    kit_out(&t.kit, 0x43, 0x20);                  /* high byte */
    kit_out(&t.kit, 0x40, 2);
    kit_pass(&t.kit, at_tick(2));
    ck_assert_uint_eq(kit_in(&t.kit, 0x40), 1);
    kit_close(&t.kit);
}
END_TEST

START_TEST(pit_latch_holds_until_it_is_read)
{
    struct timer t;
    timer_open(&t);
    load(&t, 0, 0, 0x1234);
    kit_until(&t.kit, at_tick(1));
    kit_out(&t.kit, 0x43, 0x00);
    kit_until(&t.kit, at_tick(1 + 0x100));
    kit_out(&t.kit, 0x43, 0x00); /* a second latch is ignored */
    ck_assert_uint_eq(kit_in(&t.kit, 0x40), 0x34);
    ck_assert_uint_eq(kit_in(&t.kit, 0x40), 0x12);
    ck_assert_uint_eq(kit_in(&t.kit, 0x40), 0x34); /* unlatched now: 1134h */
    ck_assert_uint_eq(kit_in(&t.kit, 0x40), 0x11);
    kit_close(&t.kit);
}
END_TEST

START_TEST(pit_read_back_latches_status_and_count)
{
    struct timer t;
    timer_open(&t);
    load(&t, 0, 2, 0x1234);
    load(&t, 2, 3, 0x4321);
    kit_until(&t.kit, at_tick(1));
    kit_out(&t.kit, 0x43, 0xc2);                   /* both, channel 0 only */
    ck_assert_uint_eq(kit_in(&t.kit, 0x40), 0xb4); /* OUT, both bytes, mode 2 */
    ck_assert_uint_eq(kit_in(&t.kit, 0x40), 0x34);
    ck_assert_uint_eq(kit_in(&t.kit, 0x40), 0x12);
    ck_assert_uint_eq(status(&t, 2) & 0x3f, 0x36);
    kit_close(&t.kit);
}
END_TEST

START_TEST(pit_null_count_until_the_count_is_loaded)
{
    struct timer t;
    timer_open(&t);
    kit_out(&t.kit, 0x43, 0x34);
    ck_assert_uint_eq(status(&t, 0), 0xf4);
    load(&t, 0, 2, 100);
    ck_assert_uint_eq(status(&t, 0) & 0x40, 0x40);
    kit_until(&t.kit, at_tick(1));
    ck_assert_uint_eq(status(&t, 0) & 0x40, 0);
    kit_close(&t.kit);
}
END_TEST

START_TEST(pit_modes_6_and_7_count_as_2_and_3)
{
    for (unsigned mode = 2; mode < 4; mode++) {
        struct timer plain, other;
        timer_open(&plain);
        timer_open(&other);
        load(&plain, 0, mode, 1000);
        load(&other, 0, mode + 4, 1000);
        for (uint64_t tick = 1; tick < 3000; tick += 7) {
            kit_until(&plain.kit, at_tick(tick));
            kit_until(&other.kit, at_tick(tick));
            ck_assert_uint_eq(other.irq.level, plain.irq.level);
            ck_assert_uint_eq(latched(&other, 0), latched(&plain, 0));
        }
        ck_assert_uint_eq(other.irq.rises, plain.irq.rises);
        kit_close(&plain.kit);
        kit_close(&other.kit);
    }
}
END_TEST

/* The data sheet: the status byte has the mode exactly as the control word had it. */
START_TEST(pit_status_has_every_mode_as_it_was_written)
{
    struct timer t;
    timer_open(&t);
    for (unsigned mode = 0; mode < 8; mode++)
        for (unsigned bcd = 0; bcd < 2; bcd++)
            for (unsigned access = 1; access < 4; access++) {
                uint8_t control = (uint8_t)(access << 4 | mode << 1 | bcd);
                kit_out(&t.kit, 0x43, control);
                ck_assert_uint_eq(status(&t, 0) & 0x3f, control);
            }
    kit_close(&t.kit);
}
END_TEST

START_TEST(pit_mode4_strobe_of_one_clock)
{
    struct timer t;
    timer_open(&t);
    load(&t, 0, 4, 50);
    ck_assert(t.irq.level);
    kit_until(&t.kit, at_tick(1 + 50));
    ck_assert(!t.irq.level);
    kit_until(&t.kit, at_tick(1 + 51));
    ck_assert(t.irq.level);
    kit_until(&t.kit, at_tick(1000000));
    ck_assert_uint_eq(t.irq.rises, 2);
    kit_close(&t.kit);
}
END_TEST

START_TEST(pit_gate_holds_channel_2_in_mode_0)
{
    struct timer t;
    timer_open(&t);
    load(&t, 2, 0, 100);
    kit_until(&t.kit, at_tick(500));
    ck_assert(!out2(&t)); /* the gate is low after reset */
    kit_out(&t.kit, 0x61, 1);
    kit_until(&t.kit, at_tick(540));
    kit_out(&t.kit, 0x61, 0);
    ck_assert_uint_eq(latched(&t, 2), 60);
    kit_until(&t.kit, at_tick(1000));
    ck_assert_uint_eq(latched(&t, 2), 60);
    kit_out(&t.kit, 0x61, 1);
    kit_until(&t.kit, at_tick(1059));
    ck_assert(!out2(&t));
    kit_until(&t.kit, at_tick(1060));
    ck_assert(out2(&t));
    kit_close(&t.kit);
}
END_TEST

START_TEST(pit_mode1_is_triggered_by_the_gate)
{
    struct timer t;
    timer_open(&t);
    load(&t, 2, 1, 100);
    kit_until(&t.kit, at_tick(1000));
    ck_assert(out2(&t));
    kit_out(&t.kit, 0x61, 1);
    kit_until(&t.kit, at_tick(1001));
    ck_assert(!out2(&t));
    kit_until(&t.kit, at_tick(1050));
    kit_out(&t.kit, 0x61, 0); /* level does not matter, a new edge starts over */
    kit_out(&t.kit, 0x61, 1);
    kit_until(&t.kit, at_tick(1051 + 99));
    ck_assert(!out2(&t));
    kit_until(&t.kit, at_tick(1051 + 100));
    ck_assert(out2(&t));
    kit_close(&t.kit);
}
END_TEST

START_TEST(pit_mode5_strobe_after_a_trigger)
{
    struct timer t;
    timer_open(&t);
    load(&t, 2, 5, 10);
    kit_until(&t.kit, at_tick(100));
    ck_assert(out2(&t));
    kit_out(&t.kit, 0x61, 1);
    kit_until(&t.kit, at_tick(101 + 10));
    ck_assert(!out2(&t));
    kit_until(&t.kit, at_tick(101 + 11));
    ck_assert(out2(&t));
    kit_close(&t.kit);
}
END_TEST

START_TEST(pit_gate_in_mode_3_raises_out_and_restarts)
{
    struct timer t;
    timer_open(&t);
    kit_out(&t.kit, 0x61, 1);
    load(&t, 2, 3, 100);
    kit_until(&t.kit, at_tick(1 + 70));
    ck_assert(!out2(&t));
    kit_out(&t.kit, 0x61, 0);
    ck_assert(out2(&t));
    kit_until(&t.kit, at_tick(500));
    kit_out(&t.kit, 0x61, 1);
    kit_until(&t.kit, at_tick(501 + 49));
    ck_assert(out2(&t));
    kit_until(&t.kit, at_tick(501 + 50));
    ck_assert(!out2(&t));
    kit_close(&t.kit);
}
END_TEST

START_TEST(pit_port_61_bits)
{
    struct timer t;
    timer_open(&t);
    kit_out(&t.kit, 0x61, 0xff);
    ck_assert_uint_eq(kit_in(&t.kit, 0x61) & 0x0f, 0x0f);
    uint8_t first = kit_in(&t.kit, 0x61) & 0x10;
    kit_until(&t.kit, at_tick(18));
    ck_assert_uint_ne(kit_in(&t.kit, 0x61) & 0x10, first); /* refresh */
    kit_until(&t.kit, at_tick(36));
    ck_assert_uint_eq(kit_in(&t.kit, 0x61) & 0x10, first);
    kit_close(&t.kit);
}
END_TEST

START_TEST(pit_late_call_loses_no_edge)
{
    struct timer t;
    timer_open(&t);
    load(&t, 0, 2, 100);
    t.kit.now_ns = at_tick(1 + 1000); /* one step over ten periods */
    clock_run(&t.kit.clock, t.kit.now_ns);
    ck_assert_uint_eq(t.irq.rises, 11);
    kit_close(&t.kit);
}
END_TEST

START_TEST(pit_forbidden_count_1_is_harmless)
{
    for (unsigned mode = 2; mode <= 3; mode++) {
        struct timer t;
        timer_open(&t);
        load(&t, 0, mode, 1);
        ck_assert_uint_eq(clock_next_ns(&t.kit.clock), CLOCK_NEVER);
        kit_until(&t.kit, at_tick(100));
        ck_assert(t.irq.level);
        kit_out(&t.kit, 0x40, 10);
        kit_out(&t.kit, 0x40, 0);
        kit_until(&t.kit, at_tick(200));
        ck_assert_uint_gt(t.irq.rises, 5);
        kit_close(&t.kit);
    }
}
END_TEST

START_TEST(pit_reset_stops_everything)
{
    struct timer t;
    timer_open(&t);
    load(&t, 0, 2, 100);
    bus_reset(t.kit.bus);
    ck_assert_uint_eq(clock_next_ns(&t.kit.clock), CLOCK_NEVER);
    ck_assert(!t.irq.level);
    ck_assert_uint_eq(kit_in(&t.kit, 0x43), 0xff);
    kit_close(&t.kit);
}
END_TEST

START_TEST(pit_mode3_new_count_takes_effect_at_the_end_of_the_half_cycle)
{
    static const struct {
        unsigned written, count; /* at which tick of the cycle of 100; the new count */
        unsigned first, second;  /* the next two ticks at which OUT changes */
        bool level;              /* before the first */
    } row[] = {
        { 20, 40, 50, 70, true }, { 49, 40, 50, 70, true },    { 60, 40, 100, 120, false },
        { 20, 41, 50, 70, true }, { 60, 41, 100, 121, false }, { 20, 1000, 50, 550, true }
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct timer t;
        timer_open(&t);
        load(&t, 0, 3, 100);
        kit_until(&t.kit, at_tick(1 + row[i].written));
        kit_out(&t.kit, 0x40, (uint8_t)row[i].count);
        kit_out(&t.kit, 0x40, (uint8_t)(row[i].count >> 8));
        ck_assert_uint_eq(status(&t, 0) & 0x40, 0x40);
        ck_assert_int_eq(t.irq.level, row[i].level);
        kit_until(&t.kit, at_tick(1 + row[i].first) - 1);
        ck_assert_int_eq(t.irq.level, row[i].level);
        kit_until(&t.kit, at_tick(1 + row[i].first));
        ck_assert_int_eq(t.irq.level, !row[i].level);
        ck_assert_uint_eq(status(&t, 0) & 0x40, 0);
        ck_assert_uint_eq(latched(&t, 0), row[i].count & ~1u);
        kit_until(&t.kit, at_tick(1 + row[i].second) - 1);
        ck_assert_int_eq(t.irq.level, !row[i].level);
        kit_until(&t.kit, at_tick(1 + row[i].second));
        ck_assert_int_eq(t.irq.level, row[i].level);
        kit_close(&t.kit);
    }
}
END_TEST

START_TEST(
    pit_mode3_largest_count_right_after_the_start) /* its cycle would have begun before time 0 */
{
    struct timer t;
    timer_open(&t);
    load(&t, 0, 3, 4);
    kit_until(&t.kit, at_tick(1));
    kit_out(&t.kit, 0x40, 0);
    kit_out(&t.kit, 0x40, 0);
    kit_until(&t.kit, at_tick(1 + 2));
    ck_assert(!t.irq.level);
    ck_assert_uint_eq(latched(&t, 0), 0);
    kit_until(&t.kit, at_tick(1 + 2 + 32768) - 1);
    ck_assert(!t.irq.level);
    kit_until(&t.kit, at_tick(1 + 2 + 32768));
    ck_assert(t.irq.level);
    kit_close(&t.kit);
}
END_TEST

START_TEST(pit_trigger_acts_at_the_next_clock)
{
    struct timer t;
    timer_open(&t);
    load(&t, 2, 1, 5);
    kit_until(&t.kit, at_tick(100));
    kit_out(&t.kit, 0x61, 1);
    ck_assert(out2(&t));
    kit_until(&t.kit, at_tick(101) - 1);
    ck_assert(out2(&t));
    kit_until(&t.kit, at_tick(101));
    ck_assert(!out2(&t));
    kit_out(&t.kit, 0x61, 0);
    kit_until(&t.kit, at_tick(105)); /* the last tick of the pulse: triggered again, it stays low */
    kit_out(&t.kit, 0x61, 1);
    ck_assert(!out2(&t));
    kit_until(&t.kit, at_tick(106 + 4));
    ck_assert(!out2(&t));
    kit_until(&t.kit, at_tick(106 + 5));
    ck_assert(out2(&t));
    load(&t, 2, 5, 5);
    kit_out(&t.kit, 0x61, 0);
    kit_until(&t.kit, at_tick(200));
    kit_out(&t.kit, 0x61, 1);
    kit_out(&t.kit, 0x61, 0);
    kit_until(&t.kit, at_tick(201 + 5));
    kit_out(&t.kit, 0x61, 1); /* a trigger during the strobe does not cut it short */
    ck_assert(!out2(&t));
    kit_until(&t.kit, at_tick(201 + 6));
    ck_assert(out2(&t));
    kit_close(&t.kit);
}
END_TEST

CHECK_MAIN("pit", pit_mode0_out_rises_n_plus_1_clocks_after_the_count,
           pit_mode0_counts_on_below_zero, pit_mode0_first_byte_stops_the_count,
           pit_mode2_one_pulse_in_each_period, pit_mode2_new_count_waits_for_the_end_of_the_period,
           pit_mode3_square_wave, pit_mode3_counts_by_two, pit_count_zero_is_the_largest,
           pit_bcd_counts_in_decimal, pit_single_byte_accesses, pit_latch_holds_until_it_is_read,
           pit_read_back_latches_status_and_count, pit_null_count_until_the_count_is_loaded,
           pit_modes_6_and_7_count_as_2_and_3, pit_status_has_every_mode_as_it_was_written,
           pit_mode4_strobe_of_one_clock, pit_gate_holds_channel_2_in_mode_0,
           pit_mode1_is_triggered_by_the_gate, pit_mode5_strobe_after_a_trigger,
           pit_gate_in_mode_3_raises_out_and_restarts, pit_port_61_bits,
           pit_late_call_loses_no_edge, pit_forbidden_count_1_is_harmless,
           pit_reset_stops_everything,
           pit_mode3_new_count_takes_effect_at_the_end_of_the_half_cycle,
           pit_mode3_largest_count_right_after_the_start, pit_trigger_acts_at_the_next_clock)

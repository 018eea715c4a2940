/* The APIC timer. APM vol 2, 16.4.1 "APIC Timer Interrupt". */
#include "tests/devices/lapic_kit.h"

#define DIVIDE_BY_1 0x0b

static void serve(struct local *l, int vector)
{
    ck_assert_int_eq(acknowledge(l), vector);
    wr(l, EOI, 0);
}

START_TEST(lapic_timer_divides) /* Table 16-3 */
{
    static const struct {
        uint32_t value, by;
    } row[] = { { 0x0, 2 },  { 0x1, 4 },  { 0x2, 8 },   { 0x3, 16 },
                { 0x8, 32 }, { 0x9, 64 }, { 0xa, 128 }, { 0xb, 1 } };
    for (size_t i = 0; i < 8; i++) {
        struct local l;
        local_open(&l);
        kit_pass(&l.kit, 12345);
        wr(&l, DIVIDE, row[i].value);
        wr(&l, LVT_TIMER, 0x70);
        wr(&l, INITIAL, 100);
        kit_pass(&l.kit, 40ull * row[i].by - 1);
        ck_assert_uint_eq(rd(&l, COUNT), 61);
        kit_pass(&l.kit, 1);
        ck_assert_uint_eq(rd(&l, COUNT), 60);
        kit_pass(&l.kit, 60ull * row[i].by - 1);
        ck_assert_int_eq(pending(&l), -1);
        kit_pass(&l.kit, 1);
        ck_assert_int_eq(pending(&l), 0x70);
        kit_close(&l.kit);
    }
}
END_TEST

START_TEST(lapic_timer_one_shot_stops_at_zero)
{
    struct local l;
    local_open(&l);
    wr(&l, DIVIDE, DIVIDE_BY_1);
    wr(&l, LVT_TIMER, 0x70);
    wr(&l, INITIAL, 1000);
    ck_assert_uint_eq(rd(&l, COUNT), 1000);
    ck_assert_uint_eq(clock_next_ns(&l.kit.clock), 1000);
    kit_until(&l.kit, 1000);
    serve(&l, 0x70);
    ck_assert_uint_eq(rd(&l, COUNT), 0);
    ck_assert_uint_eq(rd(&l, INITIAL), 1000);
    kit_until(&l.kit, 100000);
    ck_assert_int_eq(pending(&l), -1);
    ck_assert_uint_eq(clock_next_ns(&l.kit.clock), CLOCK_NEVER);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_timer_periodic_starts_again)
{
    struct local l;
    local_open(&l);
    wr(&l, DIVIDE, DIVIDE_BY_1);
    wr(&l, LVT_TIMER, 0x20070);
    wr(&l, INITIAL, 1000);
    for (unsigned i = 1; i <= 5; i++) {
        kit_until(&l.kit, 1000 * i - 1);
        ck_assert_int_eq(pending(&l), -1);
        ck_assert_uint_eq(rd(&l, COUNT), 1);
        kit_until(&l.kit, 1000 * i);
        ck_assert_uint_eq(rd(&l, COUNT), 1000);
        serve(&l, 0x70);
    }
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_timer_zero_stops)
{
    struct local l;
    local_open(&l);
    wr(&l, LVT_TIMER, 0x20070);
    wr(&l, INITIAL, 1000);
    wr(&l, INITIAL, 0);
    ck_assert_uint_eq(rd(&l, COUNT), 0);
    ck_assert_uint_eq(clock_next_ns(&l.kit.clock), CLOCK_NEVER);
    kit_pass(&l.kit, 1000000);
    ck_assert_int_eq(pending(&l), -1);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_timer_new_initial_count_starts_over)
{
    struct local l;
    local_open(&l);
    wr(&l, DIVIDE, DIVIDE_BY_1);
    wr(&l, LVT_TIMER, 0x70);
    wr(&l, INITIAL, 100);
    kit_pass(&l.kit, 99);
    wr(&l, INITIAL, 100);
    kit_pass(&l.kit, 99);
    ck_assert_int_eq(pending(&l), -1);
    kit_pass(&l.kit, 1);
    ck_assert_int_eq(pending(&l), 0x70);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_timer_masked_counts_without_interrupt_or_deadline)
{
    struct local l;
    local_open(&l);
    wr(&l, DIVIDE, DIVIDE_BY_1);
    wr(&l, LVT_TIMER, 0x30070);
    wr(&l, INITIAL, 1000);
    ck_assert_uint_eq(clock_next_ns(&l.kit.clock), CLOCK_NEVER);
    kit_until(&l.kit, 2500);
    ck_assert_uint_eq(rd(&l, COUNT), 500);
    wr(&l, LVT_TIMER, 0x20070); /* what passed while masked is gone */
    ck_assert_int_eq(pending(&l), -1);
    ck_assert_uint_eq(clock_next_ns(&l.kit.clock), 3000);
    kit_until(&l.kit, 3000);
    ck_assert_int_eq(pending(&l), 0x70);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_timer_waits_without_deadline_while_unserved)
{
    struct local l;
    local_open(&l);
    wr(&l, DIVIDE, DIVIDE_BY_1);
    wr(&l, LVT_TIMER, 0x20070);
    wr(&l, INITIAL, 1000);
    kit_until(&l.kit, 1000);
    ck_assert_uint_eq(clock_next_ns(&l.kit.clock), CLOCK_NEVER); /* requested already */
    kit_until(&l.kit, 5500);
    ck_assert_int_eq(acknowledge(&l), 0x70);
    ck_assert(!bit(&l, IRR, 0x70)); /* they count as one */
    ck_assert_uint_eq(clock_next_ns(&l.kit.clock), 6000);
    kit_until(&l.kit, 6000);
    ck_assert(bit(&l, IRR, 0x70));
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_timer_change_of_divide_keeps_the_count)
{
    struct local l;
    local_open(&l);
    wr(&l, DIVIDE, DIVIDE_BY_1);
    wr(&l, LVT_TIMER, 0x70);
    wr(&l, INITIAL, 1000);
    kit_until(&l.kit, 400);
    wr(&l, DIVIDE, 0x00);
    ck_assert_uint_eq(rd(&l, COUNT), 600);
    kit_until(&l.kit, 400 + 1199);
    ck_assert_int_eq(pending(&l), -1);
    kit_until(&l.kit, 400 + 1200);
    ck_assert_int_eq(pending(&l), 0x70);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_timer_change_of_mode_while_running)
{
    struct local l;
    local_open(&l);
    wr(&l, DIVIDE, DIVIDE_BY_1);
    wr(&l, LVT_TIMER, 0x70);
    wr(&l, INITIAL, 1000);
    kit_until(&l.kit, 400);
    wr(&l, LVT_TIMER, 0x20070);
    kit_until(&l.kit, 1000);
    serve(&l, 0x70);
    kit_until(&l.kit, 2000);
    serve(&l, 0x70);
    wr(&l, LVT_TIMER, 0x70);
    kit_until(&l.kit, 3000);
    serve(&l, 0x70);
    kit_until(&l.kit, 9000);
    wr(&l, LVT_TIMER, 0x20070); /* ran out: periodic does not revive it */
    ck_assert_uint_eq(rd(&l, COUNT), 0);
    kit_until(&l.kit, 20000);
    ck_assert_int_eq(pending(&l), -1);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_timer_largest_count)
{
    struct local l;
    local_open(&l);
    wr(&l, DIVIDE, 0x0a); /* by 128 */
    wr(&l, LVT_TIMER, 0x20070);
    wr(&l, INITIAL, 0xffffffff);
    ck_assert_uint_eq(clock_next_ns(&l.kit.clock), 0xffffffffull * 128);
    kit_until(&l.kit, 0xffffffffull * 128 - 1);
    ck_assert_uint_eq(rd(&l, COUNT), 1);
    kit_pass(&l.kit, 1);
    ck_assert_uint_eq(rd(&l, COUNT), 0xffffffff);
    ck_assert_int_eq(pending(&l), 0x70);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_timer_expiry_between_deadline_and_write_is_not_lost)
{
    struct local l;
    local_open(&l);
    wr(&l, DIVIDE, DIVIDE_BY_1);
    wr(&l, LVT_TIMER, 0x70);
    wr(&l, INITIAL, 100);
    l.kit.now_ns = 100; /* the instruction that reaches the deadline writes the divide register */
    wr(&l, DIVIDE, 0x00);
    ck_assert_int_eq(pending(&l), 0x70);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_timer_illegal_vector_is_an_error)
{
    struct local l;
    local_open(&l);
    wr(&l, DIVIDE, DIVIDE_BY_1);
    wr(&l, LVT_TIMER, 0x2000f);
    wr(&l, INITIAL, 100);
    kit_until(&l.kit, 100);
    ck_assert_int_eq(pending(&l), -1);
    ck_assert_uint_eq(clock_next_ns(&l.kit.clock), CLOCK_NEVER);
    ck_assert_uint_eq(errors(&l), 0x40);
    kit_until(&l.kit, 200);
    ck_assert_uint_eq(errors(&l), 0x40);
    kit_close(&l.kit);
}
END_TEST

/* An expiry while that error is told already adds nothing, even if nobody has looked since. */
START_TEST(lapic_timer_illegal_vector_is_told_once)
{
    struct local l;
    local_open(&l);
    wr(&l, DIVIDE, 0x0b);
    wr(&l, LVT_TIMER, 0x00003);
    for (unsigned i = 0; i < 2; i++) {
        wr(&l, INITIAL, 1000);
        kit_pass(&l.kit, 2000);
    }
    wr(&l, ESR, 0);
    ck_assert_uint_eq(rd(&l, ESR), 0x40);
    kit_pass(&l.kit, 2000);
    wr(&l, ESR, 0);
    ck_assert_uint_eq(rd(&l, ESR), 0);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_timer_software_disable_masks_it)
{
    struct local l;
    local_open(&l);
    wr(&l, DIVIDE, DIVIDE_BY_1);
    wr(&l, LVT_TIMER, 0x20070);
    wr(&l, INITIAL, 100);
    wr(&l, SVR, 0x0ef);
    ck_assert_uint_eq(clock_next_ns(&l.kit.clock), CLOCK_NEVER);
    kit_until(&l.kit, 1050);
    ck_assert_uint_eq(rd(&l, COUNT), 50); /* it counts */
    ck_assert(!bit(&l, IRR, 0x70));
    kit_close(&l.kit);
}
END_TEST

/* --- TSC-deadline mode --- */

#define DEADLINE_MODE 0x40000u

static uint64_t armed(struct local *l)
{
    return lapic_intc_ops.read_tsc_deadline(l->lapic);
}

static void arm(struct local *l, uint64_t tsc, uint64_t when)
{
    lapic_intc_ops.write_tsc_deadline(l->lapic, tsc, when);
}

START_TEST(lapic_timer_tsc_deadline_fires_once)
{
    struct local l;
    local_open_enabled(&l, 1);
    wr(&l, LVT_TIMER, DEADLINE_MODE | 0x70);
    ck_assert_uint_eq(rd(&l, LVT_TIMER), DEADLINE_MODE | 0x70);
    arm(&l, 777, 1000);
    ck_assert_uint_eq(armed(&l), 777);
    kit_until(&l.kit, 999);
    ck_assert_int_eq(pending(&l), -1);
    kit_until(&l.kit, 1000);
    serve(&l, 0x70);
    ck_assert_uint_eq(armed(&l), 0);
    ck_assert_uint_eq(clock_next_ns(&l.kit.clock), CLOCK_NEVER);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_timer_tsc_deadline_in_the_past_fires_at_once)
{
    struct local l;
    local_open_enabled(&l, 1);
    wr(&l, LVT_TIMER, DEADLINE_MODE | 0x70);
    kit_pass(&l.kit, 500);
    arm(&l, 5, 400);
    ck_assert_uint_eq(armed(&l), 0);
    kit_pass(&l.kit, 0);
    serve(&l, 0x70);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_timer_tsc_deadline_zero_disarms)
{
    struct local l;
    local_open_enabled(&l, 1);
    wr(&l, LVT_TIMER, DEADLINE_MODE | 0x70);
    arm(&l, 777, 1000);
    arm(&l, 0, 0);
    ck_assert_uint_eq(armed(&l), 0);
    ck_assert_uint_eq(clock_next_ns(&l.kit.clock), CLOCK_NEVER);
    arm(&l, 888, CLOCK_NEVER); /* the TSC never gets there */
    ck_assert_uint_eq(armed(&l), 888);
    ck_assert_uint_eq(clock_next_ns(&l.kit.clock), CLOCK_NEVER);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_timer_tsc_deadline_is_ignored_in_other_modes)
{
    static const uint32_t mode[] = { 0, 0x20000, 0x60000 };
    for (size_t i = 0; i < sizeof(mode) / sizeof(mode[0]); i++) {
        struct local l;
        local_open_enabled(&l, 1);
        wr(&l, LVT_TIMER, mode[i] | 0x70);
        arm(&l, 777, 1000);
        ck_assert_uint_eq(armed(&l), 0);
        ck_assert_uint_eq(clock_next_ns(&l.kit.clock), CLOCK_NEVER);
        kit_close(&l.kit);
    }
}
END_TEST

START_TEST(lapic_timer_tsc_deadline_mode_has_no_count)
{
    struct local l;
    local_open_enabled(&l, 1);
    wr(&l, INITIAL, 100000);
    wr(&l, LVT_TIMER, DEADLINE_MODE | 0x70); /* the way there stops the count */
    ck_assert_uint_eq(rd(&l, COUNT), 0);
    wr(&l, INITIAL, 500);
    ck_assert_uint_eq(rd(&l, COUNT), 0);
    ck_assert_uint_eq(clock_next_ns(&l.kit.clock), CLOCK_NEVER);
    arm(&l, 777, 1000);
    wr(&l, LVT_TIMER, 0x70); /* and the way back disarms */
    ck_assert_uint_eq(armed(&l), 0);
    ck_assert_uint_eq(rd(&l, COUNT), 0);
    ck_assert_uint_eq(clock_next_ns(&l.kit.clock), CLOCK_NEVER);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_timer_tsc_deadline_passes_while_masked)
{
    struct local l;
    local_open_enabled(&l, 1);
    wr(&l, LVT_TIMER, DEADLINE_MODE | 0x10070);
    arm(&l, 777, 1000);
    ck_assert_uint_eq(clock_next_ns(&l.kit.clock), CLOCK_NEVER);
    kit_until(&l.kit, 999);
    ck_assert_uint_eq(armed(&l), 777);
    kit_until(&l.kit, 1000);
    ck_assert_uint_eq(armed(&l), 0);
    wr(&l, LVT_TIMER, DEADLINE_MODE | 0x70);
    ck_assert_int_eq(pending(&l), -1);
    kit_close(&l.kit);
}
END_TEST

START_TEST(lapic_timer_tsc_deadline_only_if_offered)
{
    struct local l;
    local_open(&l);
    wr(&l, LVT_TIMER, DEADLINE_MODE | 0x70);
    ck_assert_uint_eq(rd(&l, LVT_TIMER), 0x70);
    kit_close(&l.kit);
}
END_TEST

CHECK_MAIN("lapic_timer", lapic_timer_divides, lapic_timer_one_shot_stops_at_zero,
           lapic_timer_periodic_starts_again, lapic_timer_zero_stops,
           lapic_timer_new_initial_count_starts_over,
           lapic_timer_masked_counts_without_interrupt_or_deadline,
           lapic_timer_waits_without_deadline_while_unserved,
           lapic_timer_change_of_divide_keeps_the_count, lapic_timer_change_of_mode_while_running,
           lapic_timer_largest_count, lapic_timer_expiry_between_deadline_and_write_is_not_lost,
           lapic_timer_illegal_vector_is_an_error, lapic_timer_illegal_vector_is_told_once,
           lapic_timer_software_disable_masks_it, lapic_timer_tsc_deadline_fires_once,
           lapic_timer_tsc_deadline_in_the_past_fires_at_once,
           lapic_timer_tsc_deadline_zero_disarms,
           lapic_timer_tsc_deadline_is_ignored_in_other_modes,
           lapic_timer_tsc_deadline_mode_has_no_count, lapic_timer_tsc_deadline_passes_while_masked,
           lapic_timer_tsc_deadline_only_if_offered)

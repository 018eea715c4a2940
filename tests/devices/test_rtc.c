/* The real-time clock and CMOS memory. */
#include "tests/devices/kit.h"

#include "devices/rtc.h"

#include <time.h>

#define SECOND 1000000000ull
#define EPOCH 951782399 /* 2000-02-28 23:59:59, a Monday; 2000 is a leap year */

static uint8_t get(struct kit *kit, uint8_t index)
{
    kit_out(kit, 0x70, index);
    return kit_in(kit, 0x71);
}

static void set(struct kit *kit, uint8_t index, uint8_t value)
{
    kit_out(kit, 0x70, index);
    kit_out(kit, 0x71, value);
}

static void open_at(struct kit *kit, int64_t epoch)
{
    kit_open(kit);
    const struct rtc_config config = { .epoch = epoch, .ram_bytes = 512u << 20 };
    ck_assert_ptr_nonnull(rtc_add(kit->bus, &config));
}

/* century, year, month, day, weekday, hours, minutes, seconds as the registers show them */
static void shows(struct kit *kit, const uint8_t want[8])
{
    static const uint8_t index[8] = { 0x32, 0x09, 0x08, 0x07, 0x06, 0x04, 0x02, 0x00 };
    for (unsigned i = 0; i < 8; i++)
        ck_assert_uint_eq(get(kit, index[i]), want[i]);
}

START_TEST(rtc_counts_seconds_over_the_leap_day)
{
    struct kit kit;
    open_at(&kit, EPOCH);
    shows(&kit, (const uint8_t[]){ 0x20, 0x00, 0x02, 0x28, 2, 0x23, 0x59, 0x59 });
    kit_pass(&kit, SECOND - 1);
    shows(&kit, (const uint8_t[]){ 0x20, 0x00, 0x02, 0x28, 2, 0x23, 0x59, 0x59 });
    kit_pass(&kit, 1);
    shows(&kit, (const uint8_t[]){ 0x20, 0x00, 0x02, 0x29, 3, 0x00, 0x00, 0x00 });
    kit_pass(&kit, 86400 * SECOND);
    shows(&kit, (const uint8_t[]){ 0x20, 0x00, 0x03, 0x01, 4, 0x00, 0x00, 0x00 });
    kit_close(&kit);
}
END_TEST

START_TEST(rtc_dates_far_away)
{
    static const struct {
        int64_t epoch;
        uint8_t want[8];
    } row[] = {
        { 0, { 0x19, 0x70, 0x01, 0x01, 5, 0x00, 0x00, 0x00 } },
        { -1, { 0x19, 0x69, 0x12, 0x31, 4, 0x23, 0x59, 0x59 } },
        { 4107542400, { 0x21, 0x00, 0x03, 0x01, 2, 0x00, 0x00, 0x00 } }, /* 2100: no leap year */
        { 4107542399, { 0x21, 0x00, 0x02, 0x28, 1, 0x23, 0x59, 0x59 } },
        { 253402300799, { 0x99, 0x99, 0x12, 0x31, 6, 0x23, 0x59, 0x59 } },
        { INT64_MAX, { 0x99, 0x99, 0x12, 0x31, 6, 0x23, 0x59, 0x59 } },
        { INT64_MIN, { 0x00, 0x01, 0x01, 0x01, 2, 0x00, 0x00, 0x00 } },
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct kit kit;
        open_at(&kit, row[i].epoch);
        shows(&kit, row[i].want);
        kit_close(&kit);
    }
}
END_TEST

/* The C library as the oracle, over four centuries at uneven steps. */
START_TEST(rtc_dates_agree_with_the_c_library)
{
    for (int64_t epoch = -5000000000; epoch < 9000000000; epoch += 86400 * 137 + 4999) {
        struct kit kit;
        struct tm tm;
        time_t seconds = (time_t)epoch;
        ck_assert_ptr_nonnull(gmtime_r(&seconds, &tm));
        open_at(&kit, epoch);
        set(&kit, 0x0b, 0x06); /* binary */
        const uint8_t want[8] = { (uint8_t)((tm.tm_year + 1900) / 100),
                                  (uint8_t)((tm.tm_year + 1900) % 100),
                                  (uint8_t)(tm.tm_mon + 1),
                                  (uint8_t)tm.tm_mday,
                                  (uint8_t)(tm.tm_wday + 1),
                                  (uint8_t)tm.tm_hour,
                                  (uint8_t)tm.tm_min,
                                  (uint8_t)tm.tm_sec };
        shows(&kit, want);
        set(&kit, 0x00, want[7]); /* setting the time it has changes nothing */
        shows(&kit, want);
        kit_close(&kit);
    }
}
END_TEST

START_TEST(rtc_formats)
{
    static const struct {
        uint8_t b;
        uint8_t at_midnight, at_noon, at_23, minutes;
    } row[] = { { 0x02, 0x00, 0x12, 0x23, 0x59 },
                { 0x00, 0x12, 0x92, 0x91, 0x59 },
                { 0x06, 0, 12, 23, 59 },
                { 0x04, 12, 0x8c, 0x8b, 59 } };
    for (size_t i = 0; i < 4; i++) {
        struct kit kit;
        open_at(&kit, 59 * 60);
        set(&kit, 0x0b, row[i].b);
        ck_assert_uint_eq(get(&kit, 0x04), row[i].at_midnight);
        ck_assert_uint_eq(get(&kit, 0x02), row[i].minutes);
        kit_pass(&kit, 12 * 3600 * SECOND);
        ck_assert_uint_eq(get(&kit, 0x04), row[i].at_noon);
        set(&kit, 0x04, row[i].at_23); /* and back: the clock goes on from there */
        kit_pass(&kit, 60 * SECOND);
        ck_assert_uint_eq(get(&kit, 0x04), row[i].at_midnight);
        ck_assert_uint_eq(get(&kit, 0x07), 2);
        kit_close(&kit);
    }
}
END_TEST

START_TEST(rtc_update_in_progress_before_each_second)
{
    struct kit kit;
    open_at(&kit, EPOCH);
    ck_assert_uint_eq(get(&kit, 0x0a), 0x26);
    kit_until(&kit, SECOND - 244001);
    ck_assert_uint_eq(get(&kit, 0x0a), 0x26);
    kit_until(&kit, SECOND - 244000);
    ck_assert_uint_eq(get(&kit, 0x0a), 0xa6);
    set(&kit, 0x0b, 0x82);
    ck_assert_uint_eq(get(&kit, 0x0a), 0x26); /* SET stops updates */
    set(&kit, 0x0b, 0x02);
    kit_until(&kit, SECOND);
    ck_assert_uint_eq(get(&kit, 0x0a), 0x26);
    kit_close(&kit);
}
END_TEST

START_TEST(rtc_set_holds_the_registers)
{
    struct kit kit;
    open_at(&kit, EPOCH);
    set(&kit, 0x0b, 0x82);
    kit_pass(&kit, 10 * SECOND);
    ck_assert_uint_eq(get(&kit, 0x00), 0x59);
    set(&kit, 0x00, 0x30);
    set(&kit, 0x02, 0x15);
    set(&kit, 0x04, 0x08);
    set(&kit, 0x07, 0x31);
    set(&kit, 0x08, 0x12);
    set(&kit, 0x09, 0x99);
    set(&kit, 0x32, 0x19);
    kit_pass(&kit, 10 * SECOND);
    set(&kit, 0x0b, 0x02);
    shows(&kit, (const uint8_t[]){ 0x19, 0x99, 0x12, 0x31, 6, 0x08, 0x15, 0x30 });
    kit_pass(&kit, SECOND);
    ck_assert_uint_eq(get(&kit, 0x00), 0x31);
    kit_close(&kit);
}
END_TEST

START_TEST(rtc_any_value_may_be_written)
{
    struct kit kit;
    open_at(&kit, EPOCH);
    for (unsigned b = 0; b < 8; b += 2) {
        set(&kit, 0x0b, (uint8_t)b);
        for (unsigned i = 0; i < 0x33; i++)
            for (unsigned value = 0; value < 256; value += 5)
                if (i != 0x0b)
                    set(&kit, (uint8_t)i, (uint8_t)value);
        ck_assert_uint_ge(get(&kit, 0x08), 1);
        ck_assert_uint_le(get(&kit, 0x08), 0x12);
    }
    kit_close(&kit);
}
END_TEST

START_TEST(rtc_flags_are_cleared_by_reading)
{
    struct kit kit;
    open_at(&kit, EPOCH);
    ck_assert_uint_eq(get(&kit, 0x0c), 0);
    kit_pass(&kit, 976562); /* 1024 Hz */
    ck_assert_uint_eq(get(&kit, 0x0c), 0);
    kit_pass(&kit, 1);
    ck_assert_uint_eq(get(&kit, 0x0c), 0x40);
    ck_assert_uint_eq(get(&kit, 0x0c), 0);
    kit_until(&kit, SECOND);
    ck_assert_uint_eq(get(&kit, 0x0c), 0x70); /* midnight is the alarm of a cleared CMOS */
    ck_assert_uint_eq(get(&kit, 0x0c), 0);
    set(&kit, 0x0a, 0x20); /* no periodic rate */
    kit_until(&kit, 2 * SECOND);
    ck_assert_uint_eq(get(&kit, 0x0c), 0x10);
    kit_close(&kit);
}
END_TEST

START_TEST(rtc_periodic_rates)
{
    static const uint32_t hz[16] = { 0,   256, 128, 8192, 4096, 2048, 1024, 512,
                                     256, 128, 64,  32,   16,   8,    4,    2 };
    for (unsigned rate = 1; rate < 16; rate++) {
        struct kit kit;
        open_at(&kit, EPOCH);
        set(&kit, 0x0a, (uint8_t)(0x20 | rate));
        kit_until(&kit, (SECOND - 1) / hz[rate]);
        ck_assert_uint_eq(get(&kit, 0x0c), 0);
        kit_until(&kit, (SECOND + hz[rate] - 1) / hz[rate]);
        ck_assert_uint_eq(get(&kit, 0x0c) & 0x40, 0x40);
        kit_close(&kit);
    }
}
END_TEST

START_TEST(rtc_registers_c_and_d_are_read_only)
{
    struct kit kit;
    open_at(&kit, EPOCH);
    set(&kit, 0x0c, 0xff);
    set(&kit, 0x0d, 0x00);
    ck_assert_uint_eq(get(&kit, 0x0c), 0);
    ck_assert_uint_eq(get(&kit, 0x0d), 0x80);
    set(&kit, 0x8d, 0x00); /* bit 7 is the NMI mask */
    ck_assert_uint_eq(get(&kit, 0x8d), 0x80);
    ck_assert_uint_eq(kit_in(&kit, 0x70), 0xff);
    kit_out(&kit, 0x70, 0x0d);
    ck_assert_uint_eq(kit_in(&kit, 0x72), 0xff); /* nobody's */
    kit_close(&kit);
}
END_TEST

START_TEST(rtc_reset_clears_the_interrupt_enables)
{
    struct kit kit;
    open_at(&kit, EPOCH);
    set(&kit, 0x0b, 0x7a);
    bus_reset(kit.bus);
    ck_assert_uint_eq(get(&kit, 0x0b), 0x02);
    kit_close(&kit);
}
END_TEST

START_TEST(rtc_bytes_that_firmware_reads)
{
    static const struct {
        unsigned cpus;
        uint8_t further;
    } row[] = { { 0, 0 }, { 1, 0 }, { 2, 1 }, { 64, 63 } };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct kit kit;
        kit_open(&kit);
        const struct rtc_config config = { .ram_bytes = 512u << 20, .cpus = row[i].cpus };
        rtc_add(kit.bus, &config);
        ck_assert_uint_eq(get(&kit, 0x5f), row[i].further);
        ck_assert_uint_eq(get(&kit, 0x3d), 0x32); /* disk, CD */
        ck_assert_uint_eq(get(&kit, 0x38), 0x10); /* floppy */
        ck_assert_uint_eq(get(&kit, 0x0f), 0);    /* shutdown status */
        set(&kit, 0x0f, 0x0a);
        bus_reset(kit.bus);
        ck_assert_uint_eq(get(&kit, 0x0f), 0x0a);
        kit_close(&kit);
    }
}
END_TEST

/* Nibbles for SeaBIOS: 1 floppy, 2 disk, 3 CD, 4 network. */
START_TEST(rtc_boot_order)
{
    static const struct {
        const char *order;
        uint8_t first, third;
    } row[] = { { NULL, 0x32, 0x10 }, { "d", 0x03, 0x00 },   { "dc", 0x23, 0x00 },
                { "na", 0x14, 0x00 }, { "acd", 0x21, 0x30 }, { "", 0x00, 0x00 } };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct kit kit;
        kit_open(&kit);
        const struct rtc_config config = { .boot_order = row[i].order };
        ck_assert_ptr_nonnull(rtc_add(kit.bus, &config));
        ck_assert_uint_eq(get(&kit, 0x3d), row[i].first);
        ck_assert_uint_eq(get(&kit, 0x38), row[i].third);
        kit_close(&kit);
    }
}
END_TEST

START_TEST(rtc_memory_sizes)
{
    static const struct {
        uint64_t ram, high;
        uint16_t base, extended, above_16m;
        uint32_t above_4g;
    } row[] = { { 512ull << 20, 0, 640, 0xffff, 496 * 16, 0 },
                { 16ull << 20, 0, 640, 15 * 1024, 0, 0 },
                { 512 * 1024, 0, 512, 0, 0, 0 },
                { 5ull << 30, 2ull << 30, 640, 0xffff, 0xbf00, 0x8000 } };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct kit kit;
        kit_open(&kit);
        const struct rtc_config config = { .epoch = EPOCH,
                                           .ram_bytes = row[i].ram,
                                           .high_bytes = row[i].high };
        rtc_add(kit.bus, &config);
        ck_assert_uint_eq(get(&kit, 0x15) | get(&kit, 0x16) << 8, row[i].base);
        ck_assert_uint_eq(get(&kit, 0x17) | get(&kit, 0x18) << 8, row[i].extended);
        ck_assert_uint_eq(get(&kit, 0x30) | get(&kit, 0x31) << 8, row[i].extended);
        ck_assert_uint_eq(get(&kit, 0x34) | get(&kit, 0x35) << 8, row[i].above_16m);
        ck_assert_uint_eq(get(&kit, 0x5b) | get(&kit, 0x5c) << 8 | get(&kit, 0x5d) << 16,
                          row[i].above_4g);
        kit_close(&kit);
    }
}
END_TEST

START_TEST(rtc_contents_survive_a_reset)
{
    struct kit kit;
    open_at(&kit, EPOCH);
    set(&kit, 0x40, 0x5a);
    set(&kit, 0x00, 0x10);
    bus_reset(kit.bus);
    ck_assert_uint_eq(get(&kit, 0x40), 0x5a);
    ck_assert_uint_eq(get(&kit, 0x00), 0x10);
    kit_close(&kit);
}
END_TEST

CHECK_MAIN("rtc", rtc_counts_seconds_over_the_leap_day, rtc_dates_far_away,
           rtc_dates_agree_with_the_c_library, rtc_formats,
           rtc_update_in_progress_before_each_second, rtc_set_holds_the_registers,
           rtc_any_value_may_be_written, rtc_flags_are_cleared_by_reading, rtc_periodic_rates,
           rtc_registers_c_and_d_are_read_only, rtc_reset_clears_the_interrupt_enables,
           rtc_bytes_that_firmware_reads, rtc_boot_order, rtc_memory_sizes,
           rtc_contents_survive_a_reset)

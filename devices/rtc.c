/* MC146818A real-time clock with the CMOS memory of a PC. Motorola MC146818A data sheet: "Time, calendar and alarm
 * locations", "Registers", "Update cycle".
 *
 * The time is a function of virtual time; nothing ticks. UIP is set in the 244 microseconds before each second, and the
 * update itself takes no time. Flags in register C are found when it is read.
 * The interrupts (IRQ 8) are not there yet, nor is the square wave: whoever enables one is told.
 * CHOICE: the divider always runs, whatever register A says.
 * CHOICE: the contents survive a reset, but for the interrupt enables (data sheet, "RESET"). */
#include "devices/rtc.h"

#define NS_PER_SECOND 1000000000u
#define UIP_NS 244000u
#define DAY_SECONDS 86400
#define DAYS_400_YEARS 146097

#define CMOS_BYTES 128

#define YEAR_1 (-62135596800)  /* 0001-01-01 00:00:00 */
#define YEAR_9999 253402300799 /* 9999-12-31 23:59:59 */

enum {
    SECONDS = 0x00,
    SECONDS_ALARM = 0x01,
    MINUTES = 0x02,
    MINUTES_ALARM = 0x03,
    HOURS = 0x04,
    HOURS_ALARM = 0x05,
    DAY_OF_WEEK = 0x06,
    DAY = 0x07,
    MONTH = 0x08,
    YEAR = 0x09,
    REG_A = 0x0a,
    REG_B = 0x0b,
    REG_C = 0x0c,
    REG_D = 0x0d,
    BASE_KIB = 0x15,
    EXTENDED_KIB = 0x17,
    EXTENDED_KIB_2 = 0x30,
    CENTURY = 0x32,
    ABOVE_16M_64K = 0x34,
    ABOVE_4G_64K = 0x5b
};

#define A_UIP 0x80
#define A_RATE 0x0f
#define A_RESET 0x26 /* 32.768 kHz, 1024 Hz */
#define B_SET 0x80
#define B_ENABLES 0x78 /* PIE, AIE, UIE, SQWE */
#define B_BINARY 0x04
#define B_24_HOURS 0x02
#define C_PF 0x40
#define C_UF 0x10
#define D_VRT 0x80
#define HOURS_PM 0x80

struct rtc {
    struct bus *bus;
    uint8_t index;
    uint8_t cmos[CMOS_BYTES]; /* time registers: current while B_SET, else refreshed before use */
    int64_t epoch;            /* the time at virtual time 0 */
    uint64_t c_read_ns;       /* when register C was last read */
};

/* A date and time as numbers. */
struct moment {
    int64_t year;
    int month, day, weekday, hours, minutes, seconds; /* month, day and weekday (Sunday) from 1 */
};

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int month_days(int64_t year, int month)
{
    static const uint8_t days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static struct moment moment_of(int64_t seconds)
{
    int64_t days = floor_div(seconds, DAY_SECONDS);
    int rest = (int)(seconds - days * DAY_SECONDS);
    struct moment m = {
        .hours = rest / 3600, .minutes = rest / 60 % 60, .seconds = rest % 60, .month = 1
    };
    m.weekday = (int)(days + 4 - floor_div(days + 4, 7) * 7) + 1; /* 1970-01-01 was a Thursday */
    int64_t cycles = floor_div(days, DAYS_400_YEARS);
    days -= cycles * DAYS_400_YEARS;
    for (m.year = 1970 + 400 * cycles; days >= 365 + is_leap(m.year); m.year++)
        days -= 365 + is_leap(m.year);
    for (; days >= month_days(m.year, m.month); m.month++)
        days -= month_days(m.year, m.month);
    m.day = (int)days + 1;
    return m;
}

/* Values out of range, as a guest may write them, run over into the next larger unit. */
static int64_t seconds_of(const struct moment *m)
{
    int month = m->month < 1 ? 1 : m->month > 12 ? 12 : m->month;
    int64_t cycles = floor_div(m->year - 1970, 400);
    int64_t days = cycles * DAYS_400_YEARS + m->day - 1;
    for (int64_t year = 1970 + 400 * cycles; year < m->year; year++)
        days += 365 + is_leap(year);
    for (int i = 1; i < month; i++)
        days += month_days(m->year, i);
    return days * DAY_SECONDS + m->hours * 3600 + m->minutes * 60 + m->seconds;
}

static int64_t seconds_now(const struct rtc *rtc)
{
    return rtc->epoch + (int64_t)(clock_now_ns(bus_clock(rtc->bus)) / NS_PER_SECOND);
}

static uint8_t encode(const struct rtc *rtc, int value)
{
    if (rtc->cmos[REG_B] & B_BINARY)
        return (uint8_t)value;
    return (uint8_t)(value / 10 << 4 | value % 10);
}

static int decode(const struct rtc *rtc, uint8_t value)
{
    if (rtc->cmos[REG_B] & B_BINARY)
        return value;
    return (value >> 4) * 10 + (value & 15);
}

static uint8_t encode_hours(const struct rtc *rtc, int hours)
{
    if (rtc->cmos[REG_B] & B_24_HOURS)
        return encode(rtc, hours);
    uint8_t value = encode(rtc, hours % 12 == 0 ? 12 : hours % 12);
    return hours >= 12 ? value | HOURS_PM : value;
}

static int decode_hours(const struct rtc *rtc, uint8_t value)
{
    if (rtc->cmos[REG_B] & B_24_HOURS)
        return decode(rtc, value);
    int hours = decode(rtc, value & (uint8_t)~HOURS_PM) % 12;
    return value & HOURS_PM ? hours + 12 : hours;
}

/* Bring the time registers up to date, unless software holds them. */
static void refresh(struct rtc *rtc)
{
    if (rtc->cmos[REG_B] & B_SET)
        return;
    struct moment m = moment_of(seconds_now(rtc));
    int year = (int)(m.year - floor_div(m.year, 10000) * 10000);
    rtc->cmos[SECONDS] = encode(rtc, m.seconds);
    rtc->cmos[MINUTES] = encode(rtc, m.minutes);
    rtc->cmos[HOURS] = encode_hours(rtc, m.hours);
    rtc->cmos[DAY_OF_WEEK] = encode(rtc, m.weekday);
    rtc->cmos[DAY] = encode(rtc, m.day);
    rtc->cmos[MONTH] = encode(rtc, m.month);
    rtc->cmos[YEAR] = encode(rtc, year % 100);
    rtc->cmos[CENTURY] = encode(rtc, year / 100);
}

/* The clock goes on from what the registers say. */
static void set_clock(struct rtc *rtc)
{
    struct moment m = { .year =
                            decode(rtc, rtc->cmos[CENTURY]) * 100 + decode(rtc, rtc->cmos[YEAR]),
                        .month = decode(rtc, rtc->cmos[MONTH]),
                        .day = decode(rtc, rtc->cmos[DAY]),
                        .hours = decode_hours(rtc, rtc->cmos[HOURS]),
                        .minutes = decode(rtc, rtc->cmos[MINUTES]),
                        .seconds = decode(rtc, rtc->cmos[SECONDS]) };
    rtc->epoch += seconds_of(&m) - seconds_now(rtc);
}

static uint8_t read_a(const struct rtc *rtc)
{
    uint64_t phase = clock_now_ns(bus_clock(rtc->bus)) % NS_PER_SECOND;
    bool updating = !(rtc->cmos[REG_B] & B_SET) && phase >= NS_PER_SECOND - UIP_NS;
    return rtc->cmos[REG_A] | (updating ? A_UIP : 0);
}

/* How often something with this period happened since register C was read. Reading clears the flags. */
static uint8_t read_c(struct rtc *rtc)
{
    uint64_t now = clock_now_ns(bus_clock(rtc->bus));
    unsigned rate = rtc->cmos[REG_A] & A_RATE;
    uint8_t flags = 0;
    if (!(rtc->cmos[REG_B] & B_SET) && now / NS_PER_SECOND != rtc->c_read_ns / NS_PER_SECOND)
        flags |= C_UF;
    if (rate != 0) {
        /* Rates 1 and 2 are those of 8 and 9. The period is 2 to the power of rate - 1 cycles of 32.768 kHz. */
        unsigned shift = 15 - ((rate < 3 ? rate + 7 : rate) - 1);
        emu_u128 ticks = ((emu_u128)now << shift) / NS_PER_SECOND;
        if (ticks != ((emu_u128)rtc->c_read_ns << shift) / NS_PER_SECOND)
            flags |= C_PF;
    }
    rtc->c_read_ns = now;
    return flags;
}

static uint32_t rtc_read(void *self, uint16_t port, unsigned size)
{
    struct rtc *rtc = self;
    (void)size;
    if (port == 0x70)
        return 0xff; /* the index cannot be read */
    switch (rtc->index) {
    case REG_A: return read_a(rtc);
    case REG_C: return read_c(rtc);
    case REG_D: return D_VRT;
    default: refresh(rtc); return rtc->cmos[rtc->index];
    }
}

static void write_b(struct rtc *rtc, uint8_t value)
{
    refresh(rtc); /* the registers to be held, or the time in the old format */
    bool was_held = rtc->cmos[REG_B] & B_SET;
    rtc->cmos[REG_B] = value;
    if (was_held && !(value & B_SET))
        set_clock(rtc);
    if (value & B_ENABLES)
        bus_tell(rtc->bus, PROBE_UNIMP, "RTC: interrupts and square wave");
}

static bool is_time(unsigned index)
{
    return (index <= YEAR && index != SECONDS_ALARM && index != MINUTES_ALARM &&
            index != HOURS_ALARM) ||
           index == CENTURY;
}

static void rtc_write(void *self, uint16_t port, unsigned size, uint32_t wide)
{
    struct rtc *rtc = self;
    uint8_t value = (uint8_t)wide;
    (void)size;
    if (port == 0x70) {
        rtc->index = value & 0x7f; /* bit 7 masks NMI on a PC: no NMI comes from there */
    } else if (rtc->index == REG_A) {
        rtc->cmos[REG_A] = value & (uint8_t)~A_UIP;
    } else if (rtc->index == REG_B) {
        write_b(rtc, value);
    } else if (rtc->index != REG_C && rtc->index != REG_D) {
        refresh(rtc);
        rtc->cmos[rtc->index] = value;
        if (is_time(rtc->index) && !(rtc->cmos[REG_B] & B_SET))
            set_clock(rtc);
    }
}

static void rtc_reset(void *self)
{
    struct rtc *rtc = self;
    rtc->index = 0;
    rtc->cmos[REG_B] &= (uint8_t)~B_ENABLES;
    rtc->c_read_ns = clock_now_ns(bus_clock(rtc->bus));
}

static const struct dev_class dev_rtc = {
    .name = "rtc",
    .ports = { { 0x70, 2 } },
    .port_size = 1,
    .state_size = sizeof(struct rtc),
    .reset = rtc_reset,
    .port_read = rtc_read,
    .port_write = rtc_write,
};

static uint64_t at_most(uint64_t value, uint64_t limit)
{
    return value < limit ? value : limit;
}

static void put(struct rtc *rtc, unsigned index, unsigned bytes, uint64_t value)
{
    for (unsigned i = 0; i < bytes; i++)
        rtc->cmos[index + i] = (uint8_t)(value >> (8 * i));
}

/* Memory sizes as SeaBIOS and Xen look for them. */
static void put_memory(struct rtc *rtc, uint64_t low_bytes, uint64_t high_bytes)
{
    uint64_t above_1m = low_bytes > 0x100000 ? (low_bytes - 0x100000) >> 10 : 0;
    uint64_t above_16m = low_bytes > 0x1000000 ? (low_bytes - 0x1000000) >> 16 : 0;
    put(rtc, BASE_KIB, 2, at_most(low_bytes >> 10, 640));
    put(rtc, EXTENDED_KIB, 2, at_most(above_1m, 0xffff));
    put(rtc, EXTENDED_KIB_2, 2, at_most(above_1m, 0xffff));
    put(rtc, ABOVE_16M_64K, 2, at_most(above_16m, 0xffff));
    put(rtc, ABOVE_4G_64K, 3, at_most(high_bytes >> 16, 0xffffff));
}

struct rtc *rtc_add(struct bus *bus, int64_t epoch, uint64_t ram_bytes, uint64_t high_bytes)
{
    struct rtc *rtc = bus_add(bus, &dev_rtc);
    if (!rtc)
        return NULL;
    rtc->bus = bus;
    rtc->epoch = epoch < YEAR_1 ? YEAR_1 : epoch > YEAR_9999 ? YEAR_9999 : epoch;
    rtc->cmos[REG_A] = A_RESET;
    rtc->cmos[REG_B] = B_24_HOURS;
    put_memory(rtc, ram_bytes - high_bytes, high_bytes);
    rtc_reset(rtc);
    return rtc;
}

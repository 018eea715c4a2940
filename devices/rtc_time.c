/* The real-time clock's calendar: between seconds and the registers, BCD or binary, 12 or 24 hours. */
#include "devices/rtc_priv.h"

#define DAYS_400_YEARS 146097

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

int rtc_second_of_day(int64_t time)
{
    return (int)(time - floor_div(time, DAY_SECONDS) * DAY_SECONDS);
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

uint8_t rtc_encode(const struct rtc *rtc, int value)
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

uint8_t rtc_encode_hours(const struct rtc *rtc, int hours)
{
    if (rtc->cmos[REG_B] & B_24_HOURS)
        return rtc_encode(rtc, hours);
    uint8_t value = rtc_encode(rtc, hours % 12 == 0 ? 12 : hours % 12);
    return hours >= 12 ? value | HOURS_PM : value;
}

static int decode_hours(const struct rtc *rtc, uint8_t value)
{
    if (rtc->cmos[REG_B] & B_24_HOURS)
        return decode(rtc, value);
    int hours = decode(rtc, value & (uint8_t)~HOURS_PM) % 12;
    return value & HOURS_PM ? hours + 12 : hours;
}

void rtc_refresh(struct rtc *rtc, uint64_t now)
{
    if (rtc_held(rtc))
        return;
    struct moment m = moment_of(rtc->epoch + (int64_t)(now / NS_PER_SECOND));
    int year = (int)(m.year - floor_div(m.year, 10000) * 10000);
    rtc->cmos[SECONDS] = rtc_encode(rtc, m.seconds);
    rtc->cmos[MINUTES] = rtc_encode(rtc, m.minutes);
    rtc->cmos[HOURS] = rtc_encode_hours(rtc, m.hours);
    rtc->cmos[DAY_OF_WEEK] = rtc_encode(rtc, m.weekday);
    rtc->cmos[DAY] = rtc_encode(rtc, m.day);
    rtc->cmos[MONTH] = rtc_encode(rtc, m.month);
    rtc->cmos[YEAR] = rtc_encode(rtc, year % 100);
    rtc->cmos[CENTURY] = rtc_encode(rtc, year / 100);
}

void rtc_set_clock(struct rtc *rtc, uint64_t now)
{
    struct moment m = { .year =
                            decode(rtc, rtc->cmos[CENTURY]) * 100 + decode(rtc, rtc->cmos[YEAR]),
                        .month = decode(rtc, rtc->cmos[MONTH]),
                        .day = decode(rtc, rtc->cmos[DAY]),
                        .hours = decode_hours(rtc, rtc->cmos[HOURS]),
                        .minutes = decode(rtc, rtc->cmos[MINUTES]),
                        .seconds = decode(rtc, rtc->cmos[SECONDS]) };
    rtc->epoch = seconds_of(&m) - (int64_t)(now / NS_PER_SECOND);
}

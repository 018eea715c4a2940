/* The real-time clock's interrupts: periodic, alarm, update ended. Data sheet, "Interrupts". */
#include "devices/rtc_priv.h"

#define ALARM_ANY 0xc0 /* both bits set: every value */

/* Periodic interrupts a second; 0: none. Rates 1 and 2 are those of 8 and 9. */
static uint32_t periodic_hz(const struct rtc *rtc)
{
    unsigned rate = rtc->cmos[REG_A] & A_RATE;
    if (rate == 0 || !rtc_divider_runs(rtc))
        return 0;
    return 32768u >> ((rate < 3 ? rate + 7 : rate) - 1);
}

static uint64_t next_periodic(const struct rtc *rtc, uint64_t after)
{
    uint32_t hz = periodic_hz(rtc);
    if (hz == 0)
        return CLOCK_NEVER;
    emu_u128 tick = (emu_u128)after * hz / NS_PER_SECOND + 1;
    return (uint64_t)((tick * NS_PER_SECOND + hz - 1) / hz);
}

static uint64_t next_update(const struct rtc *rtc, uint64_t after)
{
    return rtc_held(rtc) ? CLOCK_NEVER : (after / NS_PER_SECOND + 1) * NS_PER_SECOND;
}

static bool alarm_matches(uint8_t alarm, uint8_t value)
{
    return alarm == value || (alarm & ALARM_ANY) == ALARM_ANY;
}

/* The first of the values from `from` to `end` - 1 that an alarm register matches, else `end`. */
static int first_match(const struct rtc *rtc, unsigned index, int from, int end)
{
    for (; from < end; from++) {
        uint8_t shown = index == HOURS_ALARM ? rtc_encode_hours(rtc, from) : rtc_encode(rtc, from);
        if (alarm_matches(rtc->cmos[index], shown))
            break;
    }
    return from;
}

/* The second of a day, from `from` on, at which the alarm goes off; DAY_SECONDS: on no such. */
static int alarm_second(const struct rtc *rtc, int from)
{
    int first_second = first_match(rtc, SECONDS_ALARM, 0, 60);
    int first_minute = first_match(rtc, MINUTES_ALARM, 0, 60);
    int hour = first_match(rtc, HOURS_ALARM, from / 3600, 24);
    if (first_second == 60 || first_minute == 60 || hour == 24)
        return DAY_SECONDS;
    if (hour == from / 3600) { /* within this hour? */
        int minute = first_match(rtc, MINUTES_ALARM, from / 60 % 60, 60);
        int second = minute == from / 60 % 60 ? from % 60 : 0;
        second = first_match(rtc, SECONDS_ALARM, second, 60);
        if (second == 60) {
            minute = first_match(rtc, MINUTES_ALARM, minute + 1, 60);
            second = first_second;
        }
        if (minute < 60)
            return hour * 3600 + minute * 60 + second;
        hour = first_match(rtc, HOURS_ALARM, hour + 1, 24);
    }
    return hour < 24 ? hour * 3600 + first_minute * 60 + first_second : DAY_SECONDS;
}

/* The alarm is looked at when the time is updated. */
static uint64_t next_alarm(const struct rtc *rtc, uint64_t after)
{
    if (rtc_held(rtc))
        return CLOCK_NEVER;
    uint64_t update = after / NS_PER_SECOND + 1;
    int64_t time = rtc->epoch + (int64_t)update;
    int today = rtc_second_of_day(time);
    int at = alarm_second(rtc, today);
    if (at == DAY_SECONDS) {
        at = alarm_second(rtc, 0);
        if (at == DAY_SECONDS)
            return CLOCK_NEVER;
        at += DAY_SECONDS;
    }
    return (update + (uint64_t)(at - today)) * NS_PER_SECOND;
}

static uint64_t next_of(const struct rtc *rtc, uint8_t flag, uint64_t after)
{
    switch (flag) {
    case C_PF: return next_periodic(rtc, after);
    case C_AF: return next_alarm(rtc, after);
    default: return next_update(rtc, after);
    }
}

static const uint8_t all_flags[] = { C_PF, C_AF, C_UF };

/* The flags of register C, without IRQF. */
uint8_t rtc_flags(const struct rtc *rtc, uint64_t now)
{
    uint8_t flags = rtc->flags;
    for (unsigned i = 0; i < sizeof(all_flags); i++)
        if (!(flags & all_flags[i]) && next_of(rtc, all_flags[i], rtc->since) <= now)
            flags |= all_flags[i];
    return flags;
}

/* Must precede every change of what the flags depend on. */
void rtc_latch_flags(struct rtc *rtc, uint64_t now)
{
    rtc->flags = rtc_flags(rtc, now);
    rtc->since = now;
}

/* Must follow it: the line, and when it will rise. */
void rtc_update_irq(struct rtc *rtc, uint64_t now)
{
    struct vclock *clock = bus_clock(rtc->bus);
    uint8_t enabled = rtc->cmos[REG_B] & C_FLAGS;
    bool asks = rtc_flags(rtc, now) & enabled;
    uint64_t next = CLOCK_NEVER;
    for (unsigned i = 0; i < sizeof(all_flags) && !asks; i++) {
        if (!(enabled & all_flags[i]))
            continue;
        uint64_t at = next_of(rtc, all_flags[i], now);
        next = at < next ? at : next;
    }
    if (next == CLOCK_NEVER)
        clock_cancel(clock, &rtc->event);
    else if (!rtc->event.queued || rtc->event.when_ns != next - rtc->phase_ns)
        clock_arm(clock, &rtc->event, next - rtc->phase_ns);
    irq_set(&rtc->irq, asks);
}

void rtc_event_fire(void *self, uint64_t now_ns)
{
    struct rtc *rtc = self;
    (void)now_ns;
    rtc_update_irq(rtc, rtc_now(rtc));
}

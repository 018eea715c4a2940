/* The real-time clock's state, shared by the rtc*.c files only. */
#ifndef DEVICES_RTC_PRIV_H
#define DEVICES_RTC_PRIV_H

#include "devices/rtc.h"

#define NS_PER_SECOND 1000000000u
#define DAY_SECONDS 86400

#define CMOS_BYTES 128

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
    EQUIPMENT = 0x14,
    BASE_KIB = 0x15,
    EXTENDED_KIB = 0x17,
    EXTENDED_KIB_2 = 0x30,
    CENTURY = 0x32,
    ABOVE_16M_64K = 0x34,
    BOOT_THIRD = 0x38,
    BOOT_FIRST = 0x3d,
    ABOVE_4G_64K = 0x5b,
    FURTHER_CPUS = 0x5f
};

#define A_UIP 0x80
#define A_DIVIDER_RESET 0x60 /* with bit 4 as it may be */
#define A_RATE 0x0f
#define A_RESET 0x26 /* 32.768 kHz, 1024 Hz */
#define B_SET 0x80
#define B_UIE 0x10
#define B_ENABLES 0x78 /* PIE, AIE, UIE, SQWE */
#define B_BINARY 0x04
#define B_24_HOURS 0x02
#define C_IRQF 0x80
#define C_PF 0x40
#define C_AF 0x20
#define C_UF 0x10
#define C_FLAGS (C_PF | C_AF | C_UF) /* and their enables in register B */
#define D_VRT 0x80
#define HOURS_PM 0x80

struct rtc {
    struct bus *bus;
    struct irq_line irq;
    struct deadline event; /* the next flag that raises the line */
    uint8_t index;
    uint8_t cmos[CMOS_BYTES]; /* time registers: current while held, else refreshed before use */
    int64_t epoch;            /* the time at time 0 of the divider chain */
    uint64_t phase_ns;        /* the divider chain is so much ahead of virtual time */
    uint8_t flags;  /* of register C, up to `since`; what came after is found by current_flags() */
    uint64_t since; /* time of the divider chain */
};

/* Nanoseconds of the divider chain. */
static inline uint64_t rtc_now(const struct rtc *rtc)
{
    return clock_now_ns(bus_clock(rtc->bus)) + rtc->phase_ns;
}

static inline bool rtc_divider_runs(const struct rtc *rtc)
{
    return (rtc->cmos[REG_A] & A_DIVIDER_RESET) != A_DIVIDER_RESET;
}

/* Do the time registers stand still? */
static inline bool rtc_held(const struct rtc *rtc)
{
    return (rtc->cmos[REG_B] & B_SET) || !rtc_divider_runs(rtc);
}

/* rtc_time.c. `now` is always of the divider chain. */
uint8_t rtc_encode(const struct rtc *rtc, int value);
uint8_t rtc_encode_hours(const struct rtc *rtc, int hours);
int rtc_second_of_day(int64_t time);
void rtc_refresh(struct rtc *rtc,
                 uint64_t now); /* bring the time registers up to date, unless they are held */
void rtc_set_clock(struct rtc *rtc,
                   uint64_t now); /* the clock goes on from what the registers say */

/* rtc_irq.c */
uint8_t rtc_flags(const struct rtc *rtc, uint64_t now); /* register C, without IRQF */
void rtc_latch_flags(struct rtc *rtc,
                     uint64_t now); /* must precede every change of what the flags depend on */
void rtc_update_irq(struct rtc *rtc, uint64_t now); /* must follow it */
void rtc_event_fire(void *self, uint64_t now_ns);

#endif

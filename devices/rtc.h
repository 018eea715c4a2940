/* The real-time clock and CMOS memory of a PC. */
#ifndef DEVICES_RTC_H
#define DEVICES_RTC_H

#include "devices/bus.h"

struct rtc;

/* Add it at 70h-71h. The clock shows `epoch` (seconds since 1970-01-01 00:00, in the zone the guest takes the clock
 * for) at virtual time 0, brought into the years 1 to 9999; the memory sizes are those of a PC with `ram_bytes`, of which `high_bytes` lie above 4 GiB. */
struct rtc *rtc_add(struct bus *bus, int64_t epoch, uint64_t ram_bytes, uint64_t high_bytes);

#endif

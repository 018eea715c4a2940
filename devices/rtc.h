/* The real-time clock and CMOS memory of a PC. */
#ifndef DEVICES_RTC_H
#define DEVICES_RTC_H

#include "devices/bus.h"

struct rtc;

struct rtc_config {
    int64_t
        epoch; /* what the clock shows at virtual time 0: seconds since 1970-01-01 00:00, in the zone the guest
                            takes the clock for; brought into the years 1 to 9999 */
    uint64_t ram_bytes;  /* of the PC; the memory sizes in CMOS follow from it */
    uint64_t high_bytes; /* those of them that lie above 4 GiB */
    unsigned cpus;       /* CMOS 5Fh tells firmware how many it is to find; 0 counts as 1 */
    struct irq_line irq; /* IRQ 8 */
    const char *
        boot_order; /* what a PC's firmware tries first, second and third: a floppy `a`, a disk `c`, a CD `d`, the
                               network `n`; borrowed for the call; NULL: "cda" */
};

/* Add it at 70h-71h. */
struct rtc *rtc_add(struct bus *bus, const struct rtc_config *config);

#endif

/* MC146818A real-time clock with the CMOS memory of a PC. Motorola MC146818A data sheet: "Time, calendar and alarm
 * locations", "Registers", "Update cycle", "Interrupts".
 *
 * The time is a function of virtual time; nothing ticks. UIP is set in the 244 microseconds before each second, and the
 * update itself takes no time. The flags of register C are found when somebody looks; a deadline is queued only while one of
 * them would raise the interrupt line.
 * CHOICE: there is no square wave output, and daylight saving (DSE) changes nothing.
 * CHOICE: every divider setting but reset (11x in register A) runs, as if the crystal were the one it is for.
 * CHOICE: the contents survive a reset, but for the interrupt enables and flags (data sheet, "RESET"). */
#include "devices/rtc_priv.h"

#include <string.h>

#define UIP_NS 244000u
#define YEAR_1 (-62135596800)  /* 0001-01-01 00:00:00 */
#define YEAR_9999 253402300799 /* 9999-12-31 23:59:59 */

#define EQUIPMENT_FPU_MOUSE 0x06
#define BOOT_ORDER "cda"

static uint8_t read_a(const struct rtc *rtc, uint64_t now)
{
    bool updating = !rtc_held(rtc) && now % NS_PER_SECOND >= NS_PER_SECOND - UIP_NS;
    return rtc->cmos[REG_A] | (updating ? A_UIP : 0);
}

/* Reading ends the interrupt. */
static uint8_t read_c(struct rtc *rtc, uint64_t now)
{
    rtc_latch_flags(rtc, now);
    uint8_t flags = rtc->flags;
    if (flags & rtc->cmos[REG_B] & C_FLAGS)
        flags |= C_IRQF;
    rtc->flags = 0;
    rtc_update_irq(rtc, now);
    return flags;
}

/* --- ports -------------------------------------------------------------------------------------- */

static uint32_t rtc_read(void *self, uint16_t port, unsigned size)
{
    struct rtc *rtc = self;
    uint64_t now = rtc_now(rtc);
    (void)size;
    if (port == 0x70)
        return 0xff; /* the index cannot be read */
    switch (rtc->index) {
    case REG_A: return read_a(rtc, now);
    case REG_C: return read_c(rtc, now);
    case REG_D: return D_VRT;
    default: rtc_refresh(rtc, now); return rtc->cmos[rtc->index];
    }
}

/* The divider chain, when it is let go, makes its first update half a second later. */
static void start_divider(struct rtc *rtc)
{
    uint64_t now = clock_now_ns(bus_clock(rtc->bus));
    rtc->phase_ns = (3 * (uint64_t)NS_PER_SECOND / 2 - now % NS_PER_SECOND) % NS_PER_SECOND;
    rtc->since = now + rtc->phase_ns;
}

static void write_a(struct rtc *rtc, uint8_t value)
{
    bool ran = rtc_divider_runs(rtc), was_held = rtc_held(rtc);
    rtc_refresh(rtc, rtc_now(rtc)); /* the registers may stand still from now on */
    rtc->cmos[REG_A] = value & (uint8_t)~A_UIP;
    if (!ran && rtc_divider_runs(rtc))
        start_divider(rtc);
    if (was_held && !rtc_held(rtc))
        rtc_set_clock(rtc, rtc_now(rtc));
}

static void write_b(struct rtc *rtc, uint8_t value)
{
    uint64_t now = rtc_now(rtc);
    bool was_held = rtc_held(rtc);
    rtc_refresh(rtc, now); /* the registers to be held, or the time in the old format */
    if ((value & B_SET) && !(rtc->cmos[REG_B] & B_SET))
        value &= (uint8_t)~B_UIE;
    rtc->cmos[REG_B] = value;
    if (was_held && !rtc_held(rtc))
        rtc_set_clock(rtc, now);
}

static bool is_time(unsigned index)
{
    return (index <= YEAR && index != SECONDS_ALARM && index != MINUTES_ALARM &&
            index != HOURS_ALARM) ||
           index == CENTURY;
}

static void write_register(struct rtc *rtc, uint8_t value)
{
    uint64_t now = rtc_now(rtc);
    switch (rtc->index) {
    case REG_A: write_a(rtc, value); break;
    case REG_B: write_b(rtc, value); break;
    case REG_C:
    case REG_D: break;
    default:
        rtc_refresh(rtc, now);
        rtc->cmos[rtc->index] = value;
        if (is_time(rtc->index) && !rtc_held(rtc))
            rtc_set_clock(rtc, now);
    }
}

static void rtc_write(void *self, uint16_t port, unsigned size, uint32_t value)
{
    struct rtc *rtc = self;
    (void)size;
    if (port == 0x70) {
        rtc->index = value & 0x7f; /* bit 7 masks NMI on a PC: no NMI comes from there */
        return;
    }
    rtc_latch_flags(rtc, rtc_now(rtc));
    write_register(rtc, (uint8_t)value);
    rtc_update_irq(rtc, rtc_now(rtc));
}

static void rtc_reset(void *self)
{
    struct rtc *rtc = self;
    uint64_t now = rtc_now(rtc);
    rtc->index = 0;
    rtc->cmos[REG_B] &= (uint8_t)~B_ENABLES;
    rtc->flags = 0;
    rtc->since = now;
    rtc_update_irq(rtc, now);
}

static void rtc_fini(void *self)
{
    struct rtc *rtc = self;
    clock_cancel(bus_clock(rtc->bus), &rtc->event);
}

#define EPOCH_MOST INT64_C(1000000000000) /* more than what the registers can say */

static void rtc_check(struct rtc *rtc, struct snap *snap)
{
    if (rtc->epoch > EPOCH_MOST || rtc->epoch < -EPOCH_MOST) {
        snap_refuse(snap, "epoch");
        rtc->epoch = 0;
    }
    if (rtc->phase_ns >= NS_PER_SECOND) {
        snap_refuse(snap, "phase_ns");
        rtc->phase_ns = 0;
    }
    if (rtc->flags & ~C_FLAGS)
        snap_refuse(snap, "flags");
}

static void rtc_state(void *self, struct snap *snap)
{
    struct rtc *rtc = self;
    struct vclock *clock = bus_clock(rtc->bus);
    uint64_t now = clock->highest_ns + rtc->phase_ns;
    if (!snap_loading(snap)) {
        rtc_refresh(rtc, now);
        rtc_latch_flags(rtc, now);
    }
    SNAP_BELOW(snap, rtc, index, CMOS_BYTES);
    SNAP_ALL(snap, rtc, cmos);
    SNAP(snap, rtc, epoch);
    SNAP(snap, rtc, phase_ns);
    SNAP(snap, rtc, flags);
    snap_deadline(snap, "event", clock, &rtc->event);
    if (!snap_loading(snap))
        return;
    rtc_check(rtc, snap);
    rtc->since = clock->highest_ns + rtc->phase_ns;
}

static const struct dev_class dev_rtc = {
    .name = "rtc",
    .ports = { { 0x70, 2 } },
    .port_size = 1,
    .access_ns = BUS_ACCESS_NS,
    .state_size = sizeof(struct rtc),
    .reset = rtc_reset,
    .fini = rtc_fini,
    .port_read = rtc_read,
    .port_write = rtc_write,
    .state = rtc_state,
    .state_version = 1,
};

/* --- making ------------------------------------------------------------------------------------- */

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

/* As SeaBIOS finds it: the first in bits 3:0 of 3Dh, the second in bits 7:4, the third in bits 7:4 of 38h. */
static void put_boot_order(struct rtc *rtc, const char *order)
{
    static const char kinds[] = "acdn"; /* 1 to 4 */
    uint8_t place[3] = { 0 };
    for (unsigned i = 0; i < 3 && order[i]; i++) {
        const char *kind = strchr(kinds, order[i]);
        place[i] = kind ? (uint8_t)(kind - kinds + 1) : 0;
    }
    rtc->cmos[BOOT_FIRST] = (uint8_t)(place[0] | place[1] << 4);
    rtc->cmos[BOOT_THIRD] = (uint8_t)(place[2] << 4);
}

struct rtc *rtc_add(struct bus *bus, const struct rtc_config *config)
{
    struct rtc *rtc = bus_add(bus, &dev_rtc);
    if (!rtc)
        return NULL;
    rtc->bus = bus;
    rtc->irq = config->irq;
    rtc->event = (struct deadline){ .fire = rtc_event_fire, .self = rtc };
    rtc->epoch = config->epoch < YEAR_1      ? YEAR_1
                 : config->epoch > YEAR_9999 ? YEAR_9999
                                             : config->epoch;
    rtc->cmos[REG_A] = A_RESET;
    rtc->cmos[REG_B] = B_24_HOURS;
    rtc->cmos[EQUIPMENT] = EQUIPMENT_FPU_MOUSE;
    put_boot_order(rtc, config->boot_order ? config->boot_order : BOOT_ORDER);
    rtc->cmos[FURTHER_CPUS] = (uint8_t)(config->cpus ? config->cpus - 1 : 0);
    put_memory(rtc, config->ram_bytes - config->high_bytes, config->high_bytes);
    rtc_reset(rtc);
    return rtc;
}

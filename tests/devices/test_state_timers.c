/* Timers that are saved and loaded: the 8254, the HPET, the real-time clock. */
#include "tests/devices/trip_kit.h"

#include "devices/hpet.h"
#include "devices/pit.h"
#include "devices/rtc.h"

#define SECOND 1000000000ull

static void out(struct trip_world *world, uint16_t port, uint8_t value)
{
    kit_out(&world->kit, port, value);
}

/* --- 8254 ------------------------------------------------------------------------------------------- */

static void pit_open(struct trip_world *world)
{
    ck_assert_ptr_nonnull(pit_add(world->kit.bus, trip_wire(world, 0)));
}

static void pit_program(struct trip_world *world, unsigned channel, unsigned mode, uint16_t count)
{
    out(world, 0x43, (uint8_t)(channel << 6 | 0x30 | mode << 1 | (count & 1)));
    out(world, (uint16_t)(0x40 + channel), (uint8_t)count);
    out(world, (uint16_t)(0x40 + channel), (uint8_t)(count >> 8));
}

/* Every mode in every channel, with what waits: a new count, half a count, latches, a gate that holds. */
static void pit_drive(struct trip_world *world, unsigned variant)
{
    unsigned mode = variant % 6;
    kit_pass(&world->kit, 12345);
    out(world, 0x61, 0x01); /* channel 2's gate */
    for (unsigned channel = 0; channel < 3; channel++)
        pit_program(world, channel, (mode + channel) % 6, (uint16_t)(0x235 + 0x11 * channel));
    kit_pass(&world->kit, 700003);
    out(world, 0x61, 0x00);
    kit_pass(&world->kit, 1001);
    out(world, 0x61, 0x01);
    kit_pass(&world->kit, 10007);
    out(world, 0x61, variant < 6 ? 0x03 : 0x00); /* it stands, or goes on */
    kit_pass(&world->kit, 100001);
    if (variant & 1)
        out(world, 0x43, variant & 2 ? 0x94 : 0xa4); /* channel 2 has bytes, low or high ones */
    out(world, 0x42, 0x40); /* half a count, or a whole one that waits for the cycle to end */
    if (variant & 4)
        out(world, 0x42, 0x01);
    out(world, 0x40, 0x00);
    out(world, 0x40, 0x02);
    out(world, 0x43, 0xc4 | (variant & 1) << 3); /* read back: count and status of 1, or 0 and 1 */
    (void)kit_in(&world->kit, 0x41);
    if (variant & 1) /* half a count is read */
        (void)kit_in(&world->kit, 0x41);
    if (variant < 12) {
        kit_pass(&world->kit, 300000 * (variant % 4));
        return;
    }
    pit_program(world, 2, variant & 1 ? 1 : 5, 0x300); /* an edge of the gate in this very tick */
    out(world, 0x61, 0x01);
    kit_pass(&world->kit, 10007);
    out(world, 0x61, 0x00);
    out(world, 0x61, 0x01);
}

static void pit_look(struct trip_world *world)
{
    for (unsigned i = 0; i < 60; i++) {
        for (uint16_t port = 0x40; port < 0x43; port++)
            (void)trip_in(world, port);
        (void)trip_in(world, 0x61);
        if (i == 10)
            out(world, 0x42, 0x03);
        if (i == 20)
            out(world, 0x61, 0x00);
        if (i == 30)
            out(world, 0x61, 0x01);
        if (i == 40)
            out(world, 0x43, 0xce); /* read back all */
        kit_pass(&world->kit, 1 + (uint64_t)i * i * 977);
    }
}

START_TEST(state_of_the_8254)
{
    static const struct trip trip = { .world_size = sizeof(struct trip_world),
                                      .open = pit_open,
                                      .drive = pit_drive,
                                      .look = pit_look,
                                      .variants = 14,
                                      .alterations = 150 };
    trip_check(&trip);
}
END_TEST

/* --- HPET -------------------------------------------------------------------------------------------- */

struct hpet_world {
    struct trip_world world;
    struct irq_line pit, clock;
};

static void hpet_open(struct trip_world *world)
{
    struct hpet_world *h = (struct hpet_world *)world;
    const struct hpet_wires wires = { .irq0 = trip_wire(world, 0),
                                      .irq8 = trip_wire(world, 1),
                                      .route = trip_wire(world, 2) };
    struct hpet *hpet = hpet_add(world->kit.bus, &wires);
    ck_assert_ptr_nonnull(hpet);
    h->pit = hpet_pit_line(hpet);
    h->clock = hpet_clock_line(hpet);
}

static void hpet_set(struct trip_world *world, unsigned offset, uint64_t value)
{
    bus_mmio_ops.write(world->kit.bus, HPET_SPA + offset, 8, value);
}

/* Periodic, one-shot, of 32 bits; routed, replacing, level; running and standing. */
static void hpet_drive(struct trip_world *world, unsigned variant)
{
    static const uint32_t config[] = { 0x00c, 0x004, 0x10c, 0x406, 0x40e, 0x008, 0x44c };
    struct hpet_world *h = (struct hpet_world *)world;
    hpet_set(world, 0x0f0, variant & 1 ? UINT64_C(0xffffff00) : 0);
    for (unsigned i = 0; i < 3; i++) {
        hpet_set(world, 0x100 + 0x20 * i, config[(variant + 2 * i) % 7] | 0x40);
        hpet_set(world, 0x108 + 0x20 * i, (variant & 1 ? UINT64_C(0xffffff00) : 0) + 500 + 77 * i);
        hpet_set(world, 0x108 + 0x20 * i, 3000 + 1000 * i);
    }
    hpet_set(world, 0x010, variant & 2 ? 3 : 1);
    irq_set(&h->clock, true);
    kit_pass(&world->kit, 54321);
    irq_set(&h->pit, variant & 1);
    if (variant >= 7)
        hpet_set(world, 0x010, 0);
    kit_pass(&world->kit, 10007);
}

static void hpet_look(struct trip_world *world)
{
    struct hpet_world *h = (struct hpet_world *)world;
    irq_set(&h->pit, false);
    for (unsigned i = 0; i < 40; i++) {
        (void)trip_mmio(world, HPET_SPA + 0x0f0, 8);
        (void)trip_mmio(world, HPET_SPA + 0x020, 8);
        for (unsigned timer = 0; timer < 3 && i % 3 == 0; timer++) {
            (void)trip_mmio(world, HPET_SPA + 0x100 + 0x20 * timer, 8);
            (void)trip_mmio(world, HPET_SPA + 0x108 + 0x20 * timer, 8);
        }
        if (i % 5 == 0)
            hpet_set(world, 0x020, 7);
        if (i == 20)
            hpet_set(world, 0x010, 1);
        if (i == 25)
            irq_set(&h->pit, true);
        kit_pass(&world->kit, 1 + (uint64_t)i * 901);
    }
}

START_TEST(state_of_the_hpet)
{
    static const struct trip trip = { .world_size = sizeof(struct hpet_world),
                                      .open = hpet_open,
                                      .drive = hpet_drive,
                                      .look = hpet_look,
                                      .variants = 14,
                                      .alterations = 100 };
    trip_check(&trip);
}
END_TEST

/* --- the real-time clock -------------------------------------------------------------------------------- */

static void rtc_open(struct trip_world *world)
{
    const struct rtc_config config = { .epoch = 951782399, /* 2000-02-28 23:59:59 */
                                       .ram_bytes = 512u << 20,
                                       .irq = trip_wire(world, 0) };
    ck_assert_ptr_nonnull(rtc_add(world->kit.bus, &config));
}

static void cmos(struct trip_world *world, uint8_t index, uint8_t value)
{
    out(world, 0x70, index);
    out(world, 0x71, value);
}

/* Flags that were not read, an alarm to come, the clock held or put, a divider out of step. */
static void rtc_drive(struct trip_world *world, unsigned variant)
{
    kit_pass(&world->kit, 123456789);
    cmos(world, 0x01, 0x01);
    cmos(world, 0x03, 0xc0);
    cmos(world, 0x05, 0xc0);
    cmos(world, 0x0b, (uint8_t)(variant & 1 ? 0x72 : 0x22));
    cmos(world, 0x0a, (uint8_t)(variant & 2 ? 0x2d : 0x26));
    if (variant & 4) { /* the divider is held, and let go */
        cmos(world, 0x0a, 0x7d);
        kit_pass(&world->kit, 777);
        cmos(world, 0x0a, 0x2d);
    }
    if (variant & 2) {
        cmos(world, 0x0b, 0x86);
        cmos(world, 0x00, 57);
        cmos(world, 0x04, 23);
        if (variant & 1)
            cmos(world, 0x0b, 0x36);
    }
    cmos(world, 0x50, 0xa5);
    kit_pass(&world->kit, SECOND / 3 + 2 * SECOND * (variant & 1));
    out(world, 0x70, (uint8_t)(variant & 1 ? 0x0c : 0x50));
}

static void rtc_look(struct trip_world *world)
{
    (void)trip_in(world, 0x71); /* the index that was left */
    for (unsigned i = 0; i < 30; i++) {
        static const uint8_t index[] = { 0, 2, 4, 6, 7, 8, 9, 0x0a, 0x0b, 0x50, 0x32, 0x5b, 0x0c };
        for (unsigned n = 0; n < sizeof(index) - (i % 8 != 7); n++) { /* C now and then */
            out(world, 0x70, index[n]);
            (void)trip_in(world, 0x71);
        }
        if (i == 20)
            cmos(world, 0x0b, 0x52);
        kit_pass(&world->kit, SECOND / 4 + i * 1000003);
    }
}

START_TEST(state_of_the_clock)
{
    static const struct trip trip = { .world_size = sizeof(struct trip_world),
                                      .open = rtc_open,
                                      .drive = rtc_drive,
                                      .look = rtc_look,
                                      .variants = 8,
                                      .alterations = 60 };
    trip_check(&trip);
}
END_TEST

CHECK_MAIN("state_timers", state_of_the_8254, state_of_the_hpet, state_of_the_clock)

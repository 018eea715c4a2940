/* FERR# and port F0h. */
#include "tests/devices/kit.h"

#include "devices/ferr.h"

struct wires {
    unsigned line, changes, ignne;
    bool level;
};

static void irq(void *self, unsigned line, bool level)
{
    struct wires *wires = self;
    wires->line = line;
    wires->level = level;
    wires->changes++;
}

static void ignne(void *self)
{
    ((struct wires *)self)->ignne++;
}

/* rows: pitfalls 7.4 */
START_TEST(ferr_requests_irq_13_until_port_f0_is_written)
{
    struct kit kit;
    struct wires wires = { 0 };
    kit_open(&kit);
    struct ferr *ferr = ferr_add(kit.bus, (struct irq_line){ irq, &wires, 13 }, ignne, &wires);
    ck_assert_ptr_nonnull(ferr);
    ferr_rise(ferr);
    ferr_rise(ferr); /* it is latched already */
    ck_assert_uint_eq(wires.line, 13);
    ck_assert(wires.level);
    ck_assert_uint_eq(wires.changes, 1);
    ck_assert_uint_eq(wires.ignne, 0);
    kit_out(&kit, 0xf0, 0);
    ck_assert(!wires.level);
    ck_assert_uint_eq(wires.ignne, 1);
    ferr_rise(ferr);
    ck_assert_uint_eq(wires.changes, 3);
    bus_reset(kit.bus);
    ck_assert(!wires.level);
    kit_close(&kit);
}
END_TEST

/* The port has nothing to read, and its neighbours are not mapped. */
START_TEST(only_writes_of_f0_count)
{
    struct kit kit;
    struct wires wires = { 0 };
    kit_open(&kit);
    struct ferr *ferr = ferr_add(kit.bus, (struct irq_line){ irq, &wires, 13 }, ignne, &wires);
    ferr_rise(ferr);
    ck_assert_uint_eq(kit_in(&kit, 0xf0), 0xff);
    kit_out(&kit, 0xf1, 0);
    kit_out(&kit, 0xef, 0);
    ck_assert(wires.level);
    ck_assert_uint_eq(wires.ignne, 0);
    kit_close(&kit);
}
END_TEST

CHECK_MAIN("ferr", ferr_requests_irq_13_until_port_f0_is_written, only_writes_of_f0_count)

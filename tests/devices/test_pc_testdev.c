/* pc-testdev. */
#include "tests/devices/kit.h"

#include "devices/pc_testdev.h"

struct gsi {
    unsigned calls, line;
    bool level;
};

static void gsi_set(void *self, unsigned line, bool level)
{
    struct gsi *gsi = self;
    gsi->calls++;
    gsi->line = line;
    gsi->level = level;
}

static void testdev_open(struct kit *kit, struct gsi *gsi)
{
    kit_open(kit);
    *gsi = (struct gsi){ 0 };
    const struct irq_line irq = { .set = gsi_set, .self = gsi };
    ck_assert_ptr_nonnull(pc_testdev_add(kit->bus, irq));
}

START_TEST(pc_testdev_latch_of_every_width)
{
    struct kit kit;
    struct gsi gsi;
    testdev_open(&kit, &gsi);
    bus_port_ops.write(kit.bus, 0xe0, 4, 0x12345678);
    ck_assert_uint_eq(bus_port_ops.read(kit.bus, 0xe0, 4), 0x12345678);
    bus_port_ops.write(kit.bus, 0xe0, 2, 0xabcd);
    ck_assert_uint_eq(bus_port_ops.read(kit.bus, 0xe0, 4), 0x1234abcd);
    bus_port_ops.write(kit.bus, 0xe0, 1, 0xef);
    ck_assert_uint_eq(bus_port_ops.read(kit.bus, 0xe0, 4), 0x1234abef);
    bus_port_ops.write(kit.bus, 0xe3, 1, 0x55);
    ck_assert_uint_eq(bus_port_ops.read(kit.bus, 0xe2, 2), 0x5534);
    ck_assert_uint_eq(bus_port_ops.read(kit.bus, 0xe3, 2), 0xff55); /* E4h is not the latch */
    kit_close(&kit);
}
END_TEST

START_TEST(pc_testdev_second_view_of_the_latch)
{
    struct kit kit;
    struct gsi gsi;
    testdev_open(&kit, &gsi);
    bus_port_ops.write(kit.bus, 0xe0, 4, 0x12345678);
    ck_assert_uint_eq(kit_in(&kit, 0xe8), 0x78);
    ck_assert_uint_eq(bus_port_ops.read(kit.bus, 0xe8, 4), 0x12345678);
    kit_out(&kit, 0xe8, 0x9a);
    ck_assert_uint_eq(bus_port_ops.read(kit.bus, 0xe0, 4), 0x1234569a);
    kit_close(&kit);
}
END_TEST

START_TEST(pc_testdev_leaves_a_debug_console_alone)
{
    static const struct dev_class console = {
        .name = "console", .ports = { { 0xe9, 1 } }, .port_size = 1, .state_size = 1
    };
    static const struct dev_class clash = {
        .name = "clash", .ports = { { 0xe8, 1 } }, .port_size = 1, .state_size = 1
    };
    struct kit kit;
    kit_open(&kit);
    ck_assert_ptr_nonnull(bus_add(kit.bus, &console));
    ck_assert_ptr_nonnull(pc_testdev_add(kit.bus, (struct irq_line){ 0 }));
    ck_assert_uint_eq(kit_in(&kit, 0xe9), 0xff);
    ck_assert_uint_eq(kit_in(&kit, 0xea), 0);
    kit_close(&kit);
    kit_open(&kit);
    ck_assert_ptr_nonnull(bus_add(kit.bus, &clash));
    ck_assert_ptr_null(pc_testdev_add(kit.bus, (struct irq_line){ 0 }));
    kit_close(&kit);
}
END_TEST

START_TEST(pc_testdev_flush_changes_nothing)
{
    struct kit kit;
    struct gsi gsi;
    testdev_open(&kit, &gsi);
    bus_port_ops.write(kit.bus, 0xe0, 4, 0x12345678);
    bus_port_ops.write(kit.bus, 0xe4, 4, 0xfffffffe);
    ck_assert_uint_eq(bus_port_ops.read(kit.bus, 0xe4, 4), 0xffffffff);
    ck_assert_uint_eq(bus_port_ops.read(kit.bus, 0xe0, 4), 0x12345678);
    ck_assert_uint_eq(gsi.calls, 0);
    kit_close(&kit);
}
END_TEST

START_TEST(pc_testdev_drives_interrupt_lines)
{
    struct kit kit;
    struct gsi gsi;
    testdev_open(&kit, &gsi);
    for (unsigned line = 0; line < 24; line++) {
        kit_out(&kit, (uint16_t)(0x2000 + line), 1);
        ck_assert_uint_eq(gsi.line, line);
        ck_assert(gsi.level);
        kit_out(&kit, (uint16_t)(0x2000 + line), 0);
        ck_assert(!gsi.level);
        ck_assert_uint_eq(gsi.calls, 2 * line + 2);
    }
    kit_out(&kit, 0x2018, 1);
    ck_assert_uint_eq(gsi.calls, 48);
    ck_assert_uint_eq(kit_in(&kit, 0x2000), 0xff);
    kit_out(&kit, 0x2005, 0x80); /* any value but 0 */
    ck_assert(gsi.level);
    bus_reset(kit.bus);
    ck_assert_uint_eq(gsi.line, 5);
    ck_assert(!gsi.level);
    ck_assert_uint_eq(gsi.calls, 50);
    kit_close(&kit);
}
END_TEST

START_TEST(pc_testdev_memory)
{
    struct kit kit;
    struct gsi gsi;
    testdev_open(&kit, &gsi);
    bus_mmio_ops.write(kit.bus, 0xff000000, 8, 0x1122334455667788);
    bus_mmio_ops.write(kit.bus, 0xff00ffff, 1, 0x99);
    bus_mmio_ops.write(kit.bus, 0xff000002, 2, 0xaabb);
    ck_assert_uint_eq(bus_mmio_ops.read(kit.bus, 0xff000000, 8), 0x11223344aabb7788);
    ck_assert_uint_eq(bus_mmio_ops.read(kit.bus, 0xff000004, 4), 0x11223344);
    ck_assert_uint_eq(bus_mmio_ops.read(kit.bus, 0xff00ffff, 1), 0x99);
    ck_assert_uint_eq(bus_mmio_ops.read(kit.bus, 0xff010000, 1), UINT64_MAX);
    bus_reset(kit.bus);
    ck_assert_uint_eq(bus_mmio_ops.read(kit.bus, 0xff00ffff, 1), 0x99);
    kit_close(&kit);
}
END_TEST

CHECK_MAIN("pc_testdev", pc_testdev_latch_of_every_width, pc_testdev_second_view_of_the_latch,
           pc_testdev_leaves_a_debug_console_alone, pc_testdev_flush_changes_nothing,
           pc_testdev_drives_interrupt_lines, pc_testdev_memory)

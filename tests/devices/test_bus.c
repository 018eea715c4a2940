/* Routing of ports and MMIO. */
#include "tests/devices/kit.h"

/* A device that records the last access of each kind. */
struct probe_dev {
    unsigned reads, writes, resets;
    uint64_t at, value;
    unsigned size;
    uint64_t give;
};

static uint32_t dev_read(void *self, uint16_t port, unsigned size)
{
    struct probe_dev *dev = self;
    dev->reads++;
    dev->at = port;
    dev->size = size;
    return (uint32_t)dev->give;
}

static void dev_write(void *self, uint16_t port, unsigned size, uint32_t value)
{
    struct probe_dev *dev = self;
    dev->writes++;
    dev->at = port;
    dev->size = size;
    dev->value = value;
}

static uint64_t dev_mmio_read(void *self, uint64_t offset, unsigned size)
{
    struct probe_dev *dev = self;
    dev->reads++;
    dev->at = offset;
    dev->size = size;
    return dev->give;
}

static void dev_reset(void *self)
{
    struct probe_dev *dev = self;
    dev->resets++;
}

static const struct dev_class class_word = { .name = "word",
                                             .ports = { { 0x100, 4 } },
                                             .port_size = 2,
                                             .mmio_base = 0xf0000000,
                                             .mmio_size = 0x1000,
                                             .state_size = sizeof(struct probe_dev),
                                             .reset = dev_reset,
                                             .port_read = dev_read,
                                             .port_write = dev_write,
                                             .mmio_read = dev_mmio_read };
static const struct dev_class class_silent = {
    .name = "silent", .ports = { { 0x200, 1 } }, .port_size = 1, .state_size = 1
};
static const struct dev_class class_clash = {
    .name = "clash", .ports = { { 0x300, 1 }, { 0x103, 1 } }, .port_size = 1, .state_size = 1
};

START_TEST(bus_unclaimed_port_reads_all_ones)
{
    struct kit kit;
    kit_open(&kit);
    ck_assert_uint_eq(bus_port_ops.read(kit.bus, 0x100, 1), 0xff);
    ck_assert_uint_eq(bus_port_ops.read(kit.bus, 0x100, 2), 0xffff);
    ck_assert_uint_eq(bus_port_ops.read(kit.bus, 0x100, 4), 0xffffffff);
    bus_port_ops.write(kit.bus, 0x100, 4, 0); /* nobody is hurt */
    kit_close(&kit);
}
END_TEST

START_TEST(bus_device_without_callbacks_reads_all_ones)
{
    struct kit kit;
    kit_open(&kit);
    ck_assert_ptr_nonnull(bus_add(kit.bus, &class_silent));
    ck_assert_uint_eq(kit_in(&kit, 0x200), 0xff);
    kit_out(&kit, 0x200, 1);
    kit_close(&kit);
}
END_TEST

START_TEST(bus_access_up_to_the_device_width_is_one)
{
    struct kit kit;
    kit_open(&kit);
    struct probe_dev *dev = bus_add(kit.bus, &class_word);
    dev->give = 0xa5b6c7d8;
    ck_assert_uint_eq(bus_port_ops.read(kit.bus, 0x102, 2), 0xc7d8);
    ck_assert_uint_eq(dev->reads, 1);
    ck_assert_uint_eq(dev->size, 2);
    bus_port_ops.write(kit.bus, 0x101, 2, 0xffff1234);
    ck_assert_uint_eq(dev->writes, 1);
    ck_assert_uint_eq(dev->at, 0x101);
    ck_assert_uint_eq(dev->value, 0x1234);
    kit_close(&kit);
}
END_TEST

START_TEST(bus_wider_access_is_split_low_part_first)
{
    struct kit kit;
    kit_open(&kit);
    struct probe_dev *dev = bus_add(kit.bus, &class_word);
    bus_port_ops.write(kit.bus, 0x100, 4, 0x11223344);
    ck_assert_uint_eq(dev->writes, 2);
    ck_assert_uint_eq(dev->at, 0x102); /* the last one */
    ck_assert_uint_eq(dev->value, 0x1122);
    kit_close(&kit);
}
END_TEST

START_TEST(bus_access_over_the_edge_of_a_device_is_split)
{
    struct kit kit;
    kit_open(&kit);
    struct probe_dev *dev = bus_add(kit.bus, &class_word);
    dev->give = 0;
    ck_assert_uint_eq(bus_port_ops.read(kit.bus, 0x103, 2), 0xff00);
    ck_assert_uint_eq(bus_port_ops.read(kit.bus, 0xff, 2), 0x00ff);
    ck_assert_uint_eq(dev->reads, 2);
    kit_close(&kit);
}
END_TEST

START_TEST(bus_last_port_is_the_end)
{
    struct kit kit;
    kit_open(&kit);
    struct probe_dev *dev = bus_add(kit.bus, &class_word);
    ck_assert(bus_map_ports(kit.bus, dev, 0xffff, 1));
    ck_assert_uint_eq(bus_port_ops.read(kit.bus, 0xffff, 4), 0xffffff00);
    bus_port_ops.write(kit.bus, 0xffff, 4, 0x12345678);
    ck_assert_uint_eq(dev->value, 0x78);
    ck_assert_uint_eq(dev->writes, 1);
    kit_close(&kit);
}
END_TEST

START_TEST(bus_taken_ports_are_refused_whole)
{
    struct kit kit;
    kit_open(&kit);
    struct probe_dev *dev = bus_add(kit.bus, &class_word);
    ck_assert_ptr_null(bus_add(kit.bus, &class_clash));
    ck_assert_uint_eq(kit_in(&kit, 0x300), 0xff); /* its free range was not mapped */
    ck_assert(!bus_map_ports(kit.bus, dev, 0xfd, 4));
    ck_assert(bus_map_ports(kit.bus, dev, 0xfc, 4));
    ck_assert(!bus_map_ports(kit.bus, dev, 0xffff, 2));
    ck_assert(!bus_map_ports(kit.bus, dev, 0x10000, 1));
    kit_close(&kit);
}
END_TEST

START_TEST(bus_full_bus_refuses)
{
    struct kit kit;
    static const struct dev_class class_empty = { .name = "empty", .state_size = 1 };
    unsigned added = 0;
    kit_open(&kit);
    while (added < 1000 && bus_add(kit.bus, &class_empty))
        added++;
    ck_assert_uint_eq(added, 96);
    kit_close(&kit);
}
END_TEST

START_TEST(bus_reset_reaches_every_device_once)
{
    struct kit kit;
    kit_open(&kit);
    struct probe_dev *dev = bus_add(kit.bus, &class_word);
    bus_add(kit.bus, &class_silent);
    ck_assert_uint_eq(dev->resets, 0);
    bus_reset(kit.bus);
    ck_assert_uint_eq(dev->resets, 1);
    kit_close(&kit);
}
END_TEST

START_TEST(bus_mmio_goes_to_the_window_that_holds_all_of_it)
{
    struct kit kit;
    kit_open(&kit);
    struct probe_dev *dev = bus_add(kit.bus, &class_word);
    dev->give = 0x1122334455667788;
    ck_assert_uint_eq(bus_mmio_ops.read(kit.bus, 0xf0000ff8, 8), 0x1122334455667788);
    ck_assert_uint_eq(dev->at, 0xff8);
    ck_assert_uint_eq(bus_mmio_ops.read(kit.bus, 0xf0000ff9, 8), UINT64_MAX);
    ck_assert_uint_eq(bus_mmio_ops.read(kit.bus, 0xefffffff, 1), UINT64_MAX);
    ck_assert_uint_eq(bus_mmio_ops.read(kit.bus, 0xf0001000, 1), UINT64_MAX);
    bus_mmio_ops.write(kit.bus, 0xf0000000, 4, 1); /* no mmio_write: nothing */
    kit_close(&kit);
}
END_TEST

START_TEST(bus_mmio_window_moves_and_hides)
{
    struct kit kit;
    kit_open(&kit);
    struct probe_dev *dev = bus_add(kit.bus, &class_word);
    bus_map_mmio(kit.bus, dev, UINT64_MAX - 7, 8);
    ck_assert_uint_eq(bus_mmio_ops.read(kit.bus, UINT64_MAX - 3, 4), 0);
    ck_assert_uint_eq(dev->at, 4);
    ck_assert_uint_eq(bus_mmio_ops.read(kit.bus, 0xf0000000, 4), UINT64_MAX);
    bus_map_mmio(kit.bus, dev, 0xf0000000, 0);
    ck_assert_uint_eq(bus_mmio_ops.read(kit.bus, 0xf0000000, 1), UINT64_MAX);
    kit_close(&kit);
}
END_TEST

/* A20M# is an input of the processor; what SKINIT protects, it protects at the address that is reached. */
START_TEST(dma_does_not_see_a20)
{
    struct kit kit;
    uint64_t value = 0x1122334455667788;
    kit_open(&kit);
    bus_free(kit.bus);
    struct memory *memory = memory_new(8 << 20);
    ck_assert_ptr_nonnull(memory);
    kit.bus = bus_new(memory, &kit.clock, &kit.probes);
    memory_set_a20(memory, false);
    ck_assert(bus_dma_write(kit.bus, 0x300000, &value, 8));
    ck_assert(bus_dma_read(kit.bus, 0x200000, &value, 8));
    ck_assert_uint_eq(value, 0);
    memory_set_slb(memory, 0x200000);
    ck_assert(bus_dma_write(kit.bus, 0x300000, &value, 8));
    ck_assert(bus_dma_write(kit.bus, 0x1ffff8, &value, 8));
    ck_assert(!bus_dma_write(kit.bus, 0x1ffff9, &value, 8));
    ck_assert(!bus_dma_read(kit.bus, 0x200000, &value, 8));
    memory_set_a20(memory, true);
    ck_assert_uint_eq(phys_read(memory, 0x300000, 8), 0);
    kit_close(&kit);
    memory_free(memory);
}
END_TEST

static uint64_t spent;

static void spend(void *self, uint64_t ns)
{
    (void)self;
    spent += ns;
}

START_TEST(bus_lets_time_pass_for_slow_devices)
{
    static const struct dev_class slow = { .name = "slow",
                                           .ports = { { 0x180, 2 } },
                                           .port_size = 1,
                                           .access_ns = 7,
                                           .mmio_base = 0xe0000000,
                                           .mmio_size = 0x1000,
                                           .state_size = 1 };
    struct kit kit;
    kit_open(&kit);
    kit.clock.spend = spend;
    bus_add(kit.bus, &class_word);
    bus_add(kit.bus, &slow);
    struct bus_window window = { .access_ns = 11, .bytes = 4, .ports = true, .port_size = 4 };
    ck_assert(bus_add_window(kit.bus, &window));
    bus_move_window(kit.bus, &window, true, 0x190);
    spent = 0;
    bus_port_ops.read(kit.bus, 0x100, 4);
    bus_port_ops.read(kit.bus, 0x400, 1);
    ck_assert_uint_eq(spent, 0);
    bus_port_ops.read(kit.bus, 0x180, 1);
    bus_port_ops.write(kit.bus, 0x180, 2, 0); /* two accesses */
    ck_assert_uint_eq(spent, 21);
    bus_mmio_ops.read(kit.bus, 0xe0000000, 8);
    bus_mmio_ops.write(kit.bus, 0xe0000ff8, 8, 0);
    ck_assert_uint_eq(spent, 35);
    bus_port_ops.read(kit.bus, 0x190, 4);
    bus_port_ops.write(kit.bus, 0x190, 4, 0);
    ck_assert_uint_eq(spent, 57);
    kit_close(&kit);
}
END_TEST

START_TEST(bus_port_accesses_are_told_to_probes)
{
    struct kit kit;
    kit_open(&kit);
    bus_port_ops.write(kit.bus, 0x55, 2, 0xabcd1234);
    ck_assert_uint_eq(kit.told[PROBE_IO], 1);
    ck_assert_uint_eq(kit.last.a, 0x55);
    ck_assert_uint_eq(kit.last.b, 2 | 1 << 8);
    ck_assert_uint_eq(kit.last.c, 0x1234);
    (void)kit_in(&kit, 0x56);
    ck_assert_uint_eq(kit.told[PROBE_IO], 2);
    ck_assert_uint_eq(kit.last.b, 1);
    ck_assert_uint_eq(kit.last.c, 0xff);
    kit_close(&kit);
}
END_TEST

/* --- windows ------------------------------------------------------------------------------------ */

static uint64_t window_read(void *self, uint64_t offset, unsigned size)
{
    return dev_mmio_read(self, offset, size);
}

static void window_write(void *self, uint64_t offset, unsigned size, uint64_t value)
{
    struct probe_dev *dev = self;
    dev->writes++;
    dev->at = offset;
    dev->size = size;
    dev->value = value;
}

static struct bus_window window_to(struct probe_dev *dev, bool ports, uint64_t bytes)
{
    return (struct bus_window){ .read = window_read,
                                .write = window_write,
                                .self = dev,
                                .bytes = bytes,
                                .ports = ports,
                                .port_size = 2 };
}

START_TEST(windows_move_and_hide)
{
    struct kit kit;
    struct probe_dev dev = { .give = 0x1234 };
    struct bus_window ports = window_to(&dev, true, 8), memory = window_to(&dev, false, 16);
    kit_open(&kit);
    ck_assert(bus_add_window(kit.bus, &ports) && bus_add_window(kit.bus, &memory));
    ck_assert_uint_eq(bus_port_ops.read(kit.bus, 0x800, 2), 0xffff);
    bus_move_window(kit.bus, &ports, true, 0x800);
    ck_assert_uint_eq(bus_port_ops.read(kit.bus, 0x806, 2), 0x1234);
    ck_assert_uint_eq(dev.at, 6);
    bus_port_ops.write(kit.bus, 0x804, 4, 0x55667788); /* wider than it takes: two */
    ck_assert_uint_eq(dev.writes, 2);
    ck_assert_uint_eq(dev.value, 0x5566);
    ck_assert_uint_eq(bus_port_ops.read(kit.bus, 0x807, 2), 0xff34); /* over its end */
    bus_move_window(kit.bus, &ports, true, 0x900);
    ck_assert_uint_eq(bus_port_ops.read(kit.bus, 0x806, 2), 0xffff);
    ck_assert_uint_eq(bus_port_ops.read(kit.bus, 0x900, 2), 0x1234);
    bus_move_window(kit.bus, &ports, false, 0);
    ck_assert_uint_eq(bus_port_ops.read(kit.bus, 0x900, 2), 0xffff);
    bus_move_window(kit.bus, &memory, true, 0xf0000000);
    ck_assert_uint_eq(bus_mmio_ops.read(kit.bus, 0xf0000008, 8), 0x1234);
    ck_assert_uint_eq(bus_mmio_ops.read(kit.bus, 0xf000000c, 8), UINT64_MAX);
    bus_mmio_ops.write(kit.bus, 0xf0000001, 1, 9);
    ck_assert_uint_eq(dev.at, 1);
    kit_close(&kit);
}
END_TEST

START_TEST(windows_without_callbacks_and_at_the_last_port)
{
    struct kit kit;
    struct bus_window window = { .bytes = 0x10000, .ports = true, .port_size = 4 };
    kit_open(&kit);
    ck_assert(bus_add_window(kit.bus, &window));
    bus_move_window(kit.bus, &window, true, 0xfff0);
    ck_assert_uint_eq(bus_port_ops.read(kit.bus, 0xfffc, 4), UINT32_MAX);
    bus_port_ops.write(kit.bus, 0xfffe, 4, 1);
    bus_move_window(kit.bus, &window, true, UINT64_MAX - 3);
    ck_assert_uint_eq(kit_in(&kit, 0xfffc), 0xff);
    bus_move_window(kit.bus, &window, true, 0);
    bus_move_window(kit.bus, &window, false, 0);
    kit_close(&kit);
}
END_TEST

START_TEST(windows_yield_to_devices_and_to_earlier_ones)
{
    struct kit kit;
    struct probe_dev dev[2] = { { .give = 1 }, { .give = 2 } };
    struct bus_window window[2] = { window_to(&dev[0], true, 4), window_to(&dev[1], true, 8) };
    kit_open(&kit);
    struct probe_dev *fixed = bus_add(kit.bus, &class_word); /* 100h-103h */
    fixed->give = 3;
    ck_assert(bus_add_window(kit.bus, &window[0]) && bus_add_window(kit.bus, &window[1]));
    bus_move_window(kit.bus, &window[1], true, 0x102);
    bus_move_window(kit.bus, &window[0], true, 0x104);
    ck_assert_uint_eq(kit_in(&kit, 0x103), 3);
    ck_assert_uint_eq(kit_in(&kit, 0x104), 1);
    ck_assert_uint_eq(kit_in(&kit, 0x108), 2);
    bus_move_window(kit.bus, &window[0], false, 0);
    ck_assert_uint_eq(kit_in(&kit, 0x104), 2);
    kit_close(&kit);
}
END_TEST

START_TEST(full_bus_takes_no_window)
{
    struct kit kit;
    struct bus_window window[200] = { 0 };
    unsigned added = 0;
    kit_open(&kit);
    while (added < 200 && bus_add_window(kit.bus, &window[added]))
        added++;
    ck_assert_uint_eq(added, 128);
    kit_close(&kit);
}
END_TEST

CHECK_MAIN("bus", windows_move_and_hide, windows_without_callbacks_and_at_the_last_port,
           windows_yield_to_devices_and_to_earlier_ones, full_bus_takes_no_window,
           bus_unclaimed_port_reads_all_ones, bus_device_without_callbacks_reads_all_ones,
           bus_access_up_to_the_device_width_is_one, bus_wider_access_is_split_low_part_first,
           bus_access_over_the_edge_of_a_device_is_split, bus_last_port_is_the_end,
           bus_taken_ports_are_refused_whole, bus_full_bus_refuses,
           bus_reset_reaches_every_device_once, bus_mmio_goes_to_the_window_that_holds_all_of_it,
           bus_mmio_window_moves_and_hides, bus_lets_time_pass_for_slow_devices,
           dma_does_not_see_a20, bus_port_accesses_are_told_to_probes)

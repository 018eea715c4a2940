/* pci-testdev: QEMU, docs/specs/pci-testdev. */
#include "tests/devices/pci_kit.h"

#include "devices/pci_testdev.h"

#define DEV 0x10 /* slot 2 */
#define MEMORY 0xfe000000u
#define PORTS 0xc000

static void open_testdev(struct pci_kit *p)
{
    pci_kit_open(p);
    ck_assert_ptr_nonnull(pci_testdev_add(p->kit.bus, p->pci));
    config_out(p, DEV, 0x10, 4, MEMORY);
    config_out(p, DEV, 0x14, 4, PORTS);
    config_out(p, DEV, 0x04, 2, 3);
}

/* A register of the header, through BAR 0 or BAR 1. */
static uint32_t get(struct pci_kit *p, unsigned bar, unsigned offset, unsigned size)
{
    return bar == 0 ? (uint32_t)phys_read(p->memory, MEMORY + offset, size)
                    : port_read(p, (uint16_t)(PORTS + offset), size);
}

static void put(struct pci_kit *p, unsigned bar, unsigned offset, unsigned size, uint32_t value)
{
    if (bar == 0)
        phys_write(p->memory, MEMORY + offset, size, value);
    else
        port_write(p, (uint16_t)(PORTS + offset), size, value);
}

START_TEST(device_says_what_it_is)
{
    struct pci_kit p;
    open_testdev(&p);
    ck_assert_uint_eq(config_in(&p, DEV, 0x00, 4), 0x00051b36);
    ck_assert_uint_eq(config_in(&p, DEV, 0x08, 4), 0xff000000);
    ck_assert_uint_eq(config_in(&p, DEV, 0x10, 4), MEMORY);
    ck_assert_uint_eq(config_in(&p, DEV, 0x14, 4), PORTS | 1);
    ck_assert_uint_eq(get(&p, 0, 1, 1), 0); /* no test yet: no width */
    pci_kit_close(&p);
}
END_TEST

/* As a test program does it: until a width makes no sense. */
START_TEST(tests_count_their_writes)
{
    static const char *const names[2][3] = {
        { "mmio-no-eventfd", "mmio-wildcard-eventfd", "mmio-datamatch-eventfd" },
        { "portio-no-eventfd", "portio-wildcard-eventfd", "portio-datamatch-eventfd" }
    };
    for (unsigned bar = 0; bar < 2; bar++) {
        struct pci_kit p;
        open_testdev(&p);
        for (unsigned test = 0; test < 3; test++) {
            char name[32];
            put(&p, bar, 0, 1, test);
            unsigned offset = get(&p, bar, 4, 4);
            uint8_t data = (uint8_t)get(&p, bar, 8, 4);
            ck_assert_uint_eq(get(&p, bar, 1, 1), 1);
            for (unsigned i = 0; i < sizeof(name); i++)
                name[i] = (char)get(&p, bar, 16 + i, 1);
            ck_assert_str_eq(name, names[bar][test]);
            ck_assert_uint_eq(get(&p, bar, 12, 4), 0);
            put(&p, bar, offset, 1, data);
            put(&p, bar, offset, 2, data); /* the wrong width */
            put(&p, bar, offset + 3, 1, data);
            ck_assert_uint_eq(get(&p, bar, 12, 4), 1);
            put(&p, bar, offset, 1, (uint8_t)~data);
            ck_assert_uint_eq(get(&p, bar, 12, 4), test == 2 ? 1 : 2);
        }
        put(&p, bar, 0, 1, 3);
        ck_assert_uint_eq(get(&p, bar, 1, 1), 0);
        pci_kit_close(&p);
    }
}
END_TEST

START_TEST(bars_count_apart_and_reset_forgets)
{
    struct pci_kit p;
    uint64_t hash[2];
    open_testdev(&p);
    put(&p, 0, 0, 1, 0);
    hash[0] = kit_hash(&p);
    put(&p, 0, get(&p, 0, 4, 4), 1, 1);
    hash[1] = kit_hash(&p);
    ck_assert(hash[0] != hash[1]);
    ck_assert_uint_eq(get(&p, 1, 1, 1), 0);
    bus_reset(p.kit.bus);
    config_out(&p, DEV, 0x10, 4, MEMORY);
    config_out(&p, DEV, 0x04, 2, 3);
    ck_assert_uint_eq(get(&p, 0, 1, 1), 0);
    pci_kit_close(&p);
}
END_TEST

START_TEST(full_bus_has_no_slot)
{
    struct pci_kit p;
    unsigned added = 0;
    pci_kit_open(&p);
    while (added < 100 && pci_testdev_add(p.kit.bus, p.pci))
        added++;
    ck_assert_uint_eq(added, 30);
    pci_kit_close(&p);
}
END_TEST

CHECK_MAIN("pci_testdev", device_says_what_it_is, tests_count_their_writes,
           bars_count_apart_and_reset_forgets, full_bus_has_no_slot)

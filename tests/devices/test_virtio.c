/* virtio over PCI and its queues: VIRTIO 1.1, chapters 2 and 4.1. The device is virtio-rng, which fills what it is given. */
#include "tests/devices/virtio_kit.h"

static uint8_t data[8192];

static bool filled(struct virtio_kit *k, uint64_t gpa, size_t bytes)
{
    unsigned zeros = 0;
    ck_assert(phys_read_block(k->memory, gpa, data, bytes));
    for (size_t i = 0; i < bytes; i++)
        zeros += data[i] == 0;
    return zeros < bytes / 16 + 2;
}

static unsigned port8(struct virtio_kit *k, unsigned offset)
{
    return bus_port_ops.read(k->bus, (uint16_t)(V_PORTS + offset), 1);
}

/* --- the function --- */

START_TEST(virtio_identity_and_capabilities)
{
    struct virtio_kit k;
    static const struct {
        uint8_t type, bar;
        uint32_t offset, length;
    } row[] = { { 1, 4, 0x0000, 0x1000 },
                { 3, 4, 0x1000, 0x1000 },
                { 4, 4, 0x2000, 0x1000 },
                { 2, 4, 0x3000, 0x1000 },
                { 5, 0, 0, 0 } };
    v_open_rng(&k, 1);
    ck_assert_uint_eq(pci_config_read(k.pci, V_DEVFN, 0, 4), 0x10051af4);
    ck_assert_uint_eq(pci_config_read(k.pci, V_DEVFN, PCI_SUBSYSTEM_VENDOR, 4), 0x00041af4);
    ck_assert_uint_eq(pci_config_read(k.pci, V_DEVFN, PCI_REVISION, 1), 0); /* transitional */
    unsigned at = pci_config_read(k.pci, V_DEVFN, PCI_CAPABILITIES, 1);
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        ck_assert_uint_eq(pci_config_read(k.pci, V_DEVFN, at, 1), 9);
        ck_assert_uint_eq(pci_config_read(k.pci, V_DEVFN, at + 3, 1), row[i].type);
        ck_assert_uint_eq(pci_config_read(k.pci, V_DEVFN, at + 4, 1), row[i].bar);
        ck_assert_uint_eq(pci_config_read(k.pci, V_DEVFN, at + 8, 4), row[i].offset);
        ck_assert_uint_eq(pci_config_read(k.pci, V_DEVFN, at + 12, 4), row[i].length);
        at = pci_config_read(k.pci, V_DEVFN, at + 1, 1);
    }
    ck_assert_uint_eq(pci_config_read(k.pci, V_DEVFN, at, 2), 0x0011); /* MSI-X is the last */
    v_close(&k);
}
END_TEST

START_TEST(virtio_features_are_offered_by_halves)
{
    struct virtio_kit k;
    v_open_rng(&k, 1);
    v_write(&k, 0, 4, 0);
    ck_assert_uint_eq(v_read(&k, 4, 4), 7u << 27);
    v_write(&k, 0, 4, 1);
    ck_assert_uint_eq(v_read(&k, 4, 4), 1);
    v_write(&k, 0, 4, 2);
    ck_assert_uint_eq(v_read(&k, 4, 4), 0);
    ck_assert_uint_eq(v_read(&k, 16, 4), 0x0001ffff); /* no vectors; one queue */
    v_close(&k);
}
END_TEST

START_TEST(virtio_features_ok_only_for_what_was_offered)
{
    static const struct {
        uint64_t features;
        bool good;
    } row[] = {
        { V_VERSION_1, true },
        { V_VERSION_1 | V_EVENT_IDX | V_INDIRECT_DESC | 1u << 27, true },
        { V_EVENT_IDX, false }, /* a driver of old at the new interface */
        { V_VERSION_1 | 1, false },
        { V_VERSION_1 | 1ull << 33, false },
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct virtio_kit k;
        v_open_rng(&k, 1);
        v_write(&k, 20, 1, V_ACKNOWLEDGE | V_DRIVER);
        v_features(&k, row[i].features);
        v_write(&k, 20, 1, V_ACKNOWLEDGE | V_DRIVER | V_FEATURES_OK);
        ck_assert_uint_eq(v_status(&k) & V_FEATURES_OK, row[i].good ? V_FEATURES_OK : 0);
        if (row[i].good) { /* settled */
            v_features(&k, 0);
            v_write(&k, 8, 4, 1);
            ck_assert_uint_eq(v_read(&k, 12, 4), row[i].features >> 32);
        }
        v_close(&k);
    }
}
END_TEST

START_TEST(virtio_common_registers)
{
    struct virtio_kit k;
    v_open_rng(&k, 1);
    v_write(&k, 22, 2, 0);
    ck_assert_uint_eq(v_read(&k, 24, 2), 256);
    v_write(&k, 24, 2, 512); /* too large, and no power of two */
    v_write(&k, 24, 2, 24);
    v_write(&k, 24, 2, 0);
    ck_assert_uint_eq(v_read(&k, 24, 2), 256);
    v_write(&k, 24, 2, 64);
    ck_assert_uint_eq(v_read(&k, 24, 2), 64);
    v_write(&k, 32, 4, 0x89abcdef); /* addresses by halves */
    v_write(&k, 36, 4, 0x01234567);
    ck_assert_uint_eq(v_read(&k, 32, 8), 0x0123456789abcdef);
    v_write(&k, 40, 8, 0x1122334455667788);
    ck_assert_uint_eq(v_read(&k, 44, 4), 0x11223344);
    v_write(&k, 28, 2, 1);
    ck_assert_uint_eq(v_read(&k, 28, 2), 1);
    v_write(&k, 24, 2, 32); /* a queue that works stays as it is */
    v_write(&k, 32, 8, 0);
    ck_assert_uint_eq(v_read(&k, 24, 2), 64);
    ck_assert_uint_eq(v_read(&k, 32, 8), 0x0123456789abcdef);
    v_write(&k, 22, 2, 1); /* there is no such queue */
    ck_assert_uint_eq(v_read(&k, 24, 8), 0);
    ck_assert_uint_eq(v_read(&k, 32, 8), 0);
    v_write(&k, 28, 2, 1);
    ck_assert_uint_eq(v_read(&k, 28, 2), 0);
    v_write(&k, 20, 1, 0);
    ck_assert_uint_eq(v_read(&k, 22, 2), 0);
    ck_assert_uint_eq(v_read(&k, 24, 2), 256);
    ck_assert_uint_eq(v_read(&k, 28, 2), 0);
    v_close(&k);
}
END_TEST

/* --- requests --- */

START_TEST(virtio_requests_are_answered)
{
    struct virtio_kit k;
    v_open_rng(&k, 1);
    v_start(&k, 0);
    v_descriptor(&k, 3, V_DATA, 64, V_WRITE | V_NEXT, 5);
    v_descriptor(&k, 5, V_DATA + 0x1000, 32, V_WRITE, 0);
    v_offer(&k, 3);
    v_write(&k, V_NOTIFY, 2, 0);
    kit_pass(&k.kit, 999);
    ck_assert_uint_eq(v_used(&k), 0);
    kit_pass(&k.kit, 1);
    ck_assert_uint_eq(v_used(&k), 1);
    ck_assert_uint_eq(v_used_id(&k, 0), 3);
    ck_assert_uint_eq(v_used_bytes(&k, 0), 96);
    ck_assert(filled(&k, V_DATA, 64));
    ck_assert(filled(&k, V_DATA + 0x1000, 32));
    ck_assert_uint_eq(phys_read(k.memory, V_DATA + 64, 8), 0);
    ck_assert(v_interrupt(&k));
    ck_assert_uint_eq(v_read(&k, V_ISR, 1), 1);
    ck_assert_uint_eq(v_read(&k, V_ISR, 1), 0);
    ck_assert(!v_interrupt(&k));
    v_close(&k);
}
END_TEST

START_TEST(virtio_rings_wrap)
{
    struct virtio_kit k;
    v_open_rng(&k, 1);
    v_start(&k, 0);
    for (unsigned i = 0; i < 8; i++)
        v_descriptor(&k, i, V_DATA + 16 * i, 16, V_WRITE, 0);
    for (unsigned round = 0; round < 70000 / 8; round++) { /* past 65535 */
        for (unsigned i = 0; i < 8; i++)
            v_offer(&k, 7 - i);
        v_kick(&k);
        ck_assert_uint_eq(v_used(&k), (8 * (round + 1)) & 0xffff);
        ck_assert_uint_eq(v_used_id(&k, 8 * round + 2), 5);
    }
    v_close(&k);
}
END_TEST

START_TEST(virtio_interrupts_can_be_declined)
{
    struct virtio_kit k;
    v_open_rng(&k, 1);
    v_start(&k, 0);
    v_descriptor(&k, 0, V_DATA, 16, V_WRITE, 0);
    phys_write(k.memory, V_AVAIL, 2, 1);
    v_offer(&k, 0);
    v_kick(&k);
    ck_assert_uint_eq(v_used(&k), 1);
    ck_assert(!v_interrupt(&k));
    v_close(&k);
}
END_TEST

/* VIRTIO 2.6.7.2, 2.6.10.1. */
START_TEST(virtio_event_indices)
{
    struct virtio_kit k;
    v_open_rng(&k, 1);
    v_start(&k, V_EVENT_IDX);
    uint64_t used_event = V_AVAIL + 4 + 2 * 8, avail_event = V_USED + 4 + 8 * 8;
    v_descriptor(&k, 0, V_DATA, 16, V_WRITE, 0);
    phys_write(k.memory, V_AVAIL, 2, 1);    /* has no meaning now */
    phys_write(k.memory, used_event, 2, 1); /* tell of the second */
    v_offer(&k, 0);
    v_kick(&k);
    ck_assert(!v_interrupt(&k));
    ck_assert_uint_eq(phys_read(k.memory, avail_event, 2), 1);
    v_offer(&k, 0);
    v_kick(&k);
    ck_assert(v_interrupt(&k));
    ck_assert_uint_eq(v_read(&k, V_ISR, 1), 1);
    v_offer(&k, 0);
    v_kick(&k);
    ck_assert(!v_interrupt(&k));
    phys_write(k.memory, used_event, 2, 4);
    v_offer(&k, 0);
    v_offer(&k, 0);
    v_offer(&k, 0); /* passed on the way */
    v_kick(&k);
    ck_assert(v_interrupt(&k));
    ck_assert_uint_eq(phys_read(k.memory, avail_event, 2), 6);
    v_close(&k);
}
END_TEST

START_TEST(virtio_indirect_tables)
{
    struct virtio_kit k;
    v_open_rng(&k, 1);
    v_start(&k, V_INDIRECT_DESC);
    for (unsigned i = 0; i < 12; i++) /* longer than the queue */
        v_descriptor_at(&k, 0x20000, i, V_DATA + 0x100 * i, 16, V_WRITE | (i < 11 ? V_NEXT : 0),
                        i + 1);
    v_descriptor(&k, 2, 0x20000, 12 * 16, V_INDIRECT, 0);
    v_offer(&k, 2);
    v_descriptor(&k, 0, V_DATA + 0x2000, 16, V_WRITE | V_NEXT, 1); /* behind a plain one */
    v_descriptor(&k, 1, 0x20000, 12 * 16, V_INDIRECT, 0);
    v_offer(&k, 0);
    v_kick(&k);
    ck_assert_uint_eq(v_used(&k), 2);
    ck_assert_uint_eq(v_used_bytes(&k, 0), 12 * 16);
    ck_assert_uint_eq(v_used_bytes(&k, 1), 13 * 16);
    ck_assert(filled(&k, V_DATA + 0xb00, 16));
    ck_assert_uint_eq(v_status(&k) & V_NEEDS_RESET, 0);
    v_close(&k);
}
END_TEST

START_TEST(virtio_waits_for_the_driver)
{
    struct virtio_kit k;
    v_open_rng(&k, 1);
    v_start(&k, 0);
    v_write(&k, 20, 1, 0);
    v_write(&k, 20, 1, V_ACKNOWLEDGE | V_DRIVER);
    v_features(&k, V_VERSION_1);
    v_write(&k, 20, 1, V_ACKNOWLEDGE | V_DRIVER | V_FEATURES_OK);
    v_queue(&k);
    v_descriptor(&k, 0, V_DATA, 16, V_WRITE, 0);
    v_offer(&k, 0);
    v_kick(&k);
    ck_assert_uint_eq(v_used(&k), 0);
    v_write(&k, 20, 1, 15); /* and then looks by itself */
    v_settle(&k);
    ck_assert_uint_eq(v_used(&k), 1);
    v_close(&k);
}
END_TEST

START_TEST(virtio_reset_forgets)
{
    struct virtio_kit k;
    v_open_rng(&k, 1);
    v_start(&k, 0);
    v_descriptor(&k, 0, V_DATA, 16, V_WRITE, 0);
    v_offer(&k, 0);
    v_kick(&k);
    ck_assert(v_interrupt(&k));
    v_offer(&k, 0);
    v_write(&k, V_NOTIFY, 2, 0);
    v_write(&k, 20, 1, 0);
    ck_assert(!v_interrupt(&k));
    v_settle(&k);
    ck_assert_uint_eq(v_used(&k), 1); /* what was on its way is not done */
    ck_assert_uint_eq(v_read(&k, V_ISR, 1), 0);
    v_start(&k, 0);
    v_descriptor(&k, 0, V_DATA, 16, V_WRITE, 0);
    v_offer(&k, 0);
    v_kick(&k);
    ck_assert_uint_eq(v_used(&k), 1);
    v_close(&k);
}
END_TEST

/* --- what no driver may do --- */

enum hostile {
    INDEX_RUNS_AWAY,
    HEAD_NOT_THERE,
    NEXT_NOT_THERE,
    LOOP,
    LOOP_OF_ONE,
    EMPTY,
    READABLE_LAST,
    SEGMENT_NO_RAM,
    SEGMENT_ENDS_OUTSIDE,
    SEGMENT_WRAPS,
    INDIRECT_NOT_TAKEN,
    HOSTILE
};

static void do_wrong(struct virtio_kit *k, enum hostile how)
{
    v_descriptor(k, 0, V_DATA, 16, V_WRITE, 0);
    switch (how) {
    case INDEX_RUNS_AWAY: k->avail += 8; break;
    case HEAD_NOT_THERE: v_offer(k, 8); return;
    case NEXT_NOT_THERE: v_descriptor(k, 0, V_DATA, 16, V_WRITE | V_NEXT, 8); break;
    case LOOP:
        v_descriptor(k, 0, V_DATA, 16, V_WRITE | V_NEXT, 1);
        v_descriptor(k, 1, V_DATA, 16, V_WRITE | V_NEXT, 0);
        break;
    case LOOP_OF_ONE: v_descriptor(k, 0, V_DATA, 16, V_WRITE | V_NEXT, 0); break;
    case EMPTY: v_descriptor(k, 0, V_DATA, 0, V_WRITE, 0); break;
    case READABLE_LAST:
        v_descriptor(k, 0, V_DATA, 16, V_WRITE | V_NEXT, 1);
        v_descriptor(k, 1, V_DATA, 16, 0, 0);
        break;
    case SEGMENT_NO_RAM: v_descriptor(k, 0, V_BAR, 16, V_WRITE, 0); break;
    case SEGMENT_ENDS_OUTSIDE: v_descriptor(k, 0, V_RAM - 8, 16, V_WRITE, 0); break;
    case SEGMENT_WRAPS: v_descriptor(k, 0, UINT64_MAX - 7, 16, V_WRITE, 0); break;
    case INDIRECT_NOT_TAKEN: v_descriptor(k, 0, 0x20000, 16, V_INDIRECT, 0); break;
    default: break;
    }
    v_offer(k, 0);
}

START_TEST(virtio_hostile_rings_break_the_device)
{
    for (unsigned how = 0; how < HOSTILE; how++) {
        struct virtio_kit k;
        v_open_rng(&k, 1);
        v_start(&k, 0);
        do_wrong(&k, (enum hostile)how);
        v_kick(&k);
        ck_assert_uint_eq(v_used(&k), 0);
        v_broken(&k);
        v_start(&k, 0);
        v_descriptor(&k, 0, V_DATA, 16, V_WRITE, 0);
        v_offer(&k, 0);
        v_kick(&k);
        ck_assert_uint_eq(v_used(&k), 1);
        v_close(&k);
    }
}
END_TEST

START_TEST(virtio_hostile_indirect_tables)
{
    static const struct {
        uint64_t gpa;
        uint32_t bytes;
        uint16_t flags;
        uint16_t inner; /* flags of the table's first descriptor */
    } row[] = {
        { 0x20000, 0, V_INDIRECT, V_WRITE },                   /* empty */
        { 0x20000, 17, V_INDIRECT, V_WRITE },                  /* no whole descriptors */
        { 0x20000, 16, V_INDIRECT | V_NEXT, V_WRITE },         /* something comes behind it */
        { 0x20000, 16, V_INDIRECT, V_INDIRECT },               /* one in another */
        { 0x20000, 16, V_INDIRECT, V_WRITE | V_NEXT },         /* a loop */
        { 0x20000, 32, V_INDIRECT, V_WRITE | V_NEXT },         /* a loop of a longer table */
        { 0x20000, 0xfffffff0, V_INDIRECT, V_WRITE | V_NEXT }, /* of one without an end */
        { V_RAM, 16, V_INDIRECT, V_WRITE },
        { UINT64_MAX - 15, 32, V_INDIRECT, V_WRITE },
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct virtio_kit k;
        v_open_rng(&k, 1);
        v_start(&k, V_INDIRECT_DESC);
        v_descriptor_at(&k, 0x20000, 0, V_DATA, 16, row[i].inner, 0);
        v_descriptor(&k, 0, row[i].gpa, row[i].bytes, row[i].flags, 0);
        v_offer(&k, 0);
        v_kick(&k);
        ck_assert_uint_eq(v_used(&k), 0);
        v_broken(&k);
        v_close(&k);
    }
}
END_TEST

/* Each part of the queue where there is no RAM. */
START_TEST(virtio_queues_outside_ram)
{
    static const uint64_t place[] = { V_RAM, V_RAM - 4, V_BAR, UINT64_MAX - 3, 0xa0000 };
    for (unsigned part = 0; part < 3; part++)
        for (size_t i = 0; i < sizeof(place) / sizeof(place[0]); i++) {
            struct virtio_kit k;
            v_open_rng(&k, 1);
            v_start(&k, V_EVENT_IDX);
            v_descriptor(&k, 0, V_DATA, 16, V_WRITE, 0);
            v_offer(&k, 0);
            v_write(&k, 20, 1, 0);
            v_write(&k, 20, 1, V_ACKNOWLEDGE | V_DRIVER);
            v_features(&k, V_VERSION_1 | V_EVENT_IDX);
            v_write(&k, 20, 1, V_ACKNOWLEDGE | V_DRIVER | V_FEATURES_OK);
            v_write(&k, 24, 2, k.queue_size);
            v_write(&k, 32, 8, part == 0 ? place[i] : V_TABLE);
            v_write(&k, 40, 8, part == 1 ? place[i] : V_AVAIL);
            v_write(&k, 48, 8, part == 2 ? place[i] : V_USED);
            v_write(&k, 28, 2, 1);
            v_write(&k, 20, 1, 15);
            v_kick(&k);
            if (v_status(&k) & V_NEEDS_RESET)
                v_broken(&k);
            else /* the end of RAM had an available ring without anything in it */
                ck_assert(part == 1 && place[i] == V_RAM - 4 && v_used(&k) == 0);
            v_close(&k);
        }
}
END_TEST

START_TEST(virtio_needs_the_right_to_master)
{
    struct virtio_kit k;
    v_open_rng(&k, 1);
    v_start(&k, 0);
    v_descriptor(&k, 0, V_DATA, 16, V_WRITE, 0);
    v_offer(&k, 0);
    pci_config_write(k.pci, V_DEVFN, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    v_kick(&k);
    ck_assert_uint_eq(phys_read(k.memory, V_DATA, 8), 0);
    v_broken(&k);
    v_close(&k);
}
END_TEST

/* --- drivers of before 1.0 --- */

static void port_write(struct virtio_kit *k, unsigned offset, unsigned size, uint32_t value)
{
    bus_port_ops.write(k->bus, (uint16_t)(V_PORTS + offset), size, value);
}

static uint32_t port_read(struct virtio_kit *k, unsigned offset, unsigned size)
{
    return bus_port_ops.read(k->bus, (uint16_t)(V_PORTS + offset), size);
}

START_TEST(virtio_legacy_driver)
{
    struct virtio_kit k;
    v_open_rng(&k, 1);
    ck_assert_uint_eq(port_read(&k, 0, 4), 7u << 27);
    port_write(&k, 18, 1, V_ACKNOWLEDGE | V_DRIVER);
    port_write(&k, 4, 4, 0);
    port_write(&k, 14, 2, 0);
    ck_assert_uint_eq(port_read(&k, 12, 2), 256);
    port_write(&k, 8, 4, 0x40);
    ck_assert_uint_eq(port_read(&k, 8, 4), 0x40);
    /* table 0x40000, available ring behind it, used ring on the next page but one */
    v_descriptor_at(&k, 0x40000, 255, V_DATA, 48, V_WRITE, 0);
    phys_write(k.memory, 0x41004, 2, 255);
    phys_write(k.memory, 0x41002, 2, 1);
    port_write(&k, 16, 2, 0); /* before DRIVER_OK, as some do */
    v_settle(&k);
    ck_assert_uint_eq(phys_read(k.memory, 0x42002, 2), 0);
    port_write(&k, 18, 1, V_ACKNOWLEDGE | V_DRIVER | V_DRIVER_OK);
    v_settle(&k);
    ck_assert_uint_eq(phys_read(k.memory, 0x42002, 2), 1);
    ck_assert_uint_eq(phys_read(k.memory, 0x42004, 8), 255 | UINT64_C(48) << 32);
    ck_assert(filled(&k, V_DATA, 48));
    ck_assert(v_interrupt(&k));
    ck_assert_uint_eq(port8(&k, 19), 1);
    ck_assert(!v_interrupt(&k));
    ck_assert_uint_eq(port8(&k, 19), 0);
    phys_write(k.memory, 0x41002, 2, 300); /* such a driver knows no NEEDS_RESET */
    port_write(&k, 16, 2, 0);
    v_settle(&k);
    ck_assert_uint_eq(port8(&k, 18), V_ACKNOWLEDGE | V_DRIVER | V_DRIVER_OK);
    ck_assert_uint_eq(k.kit.told[PROBE_GUEST_ERROR], 1);
    port_write(&k, 18, 1, 0);
    ck_assert_uint_eq(port_read(&k, 8, 4), 0);
    port_write(&k, 14, 2, 1); /* no such queue */
    ck_assert_uint_eq(port_read(&k, 12, 2), 0);
    port_write(&k, 8, 4, 0x40);
    ck_assert_uint_eq(port_read(&k, 8, 4), 0);
    v_close(&k);
}
END_TEST

/* VIRTIO 4.1.4.7: the BARs by way of configuration space. */
START_TEST(virtio_access_through_configuration_space)
{
    struct virtio_kit k;
    v_open_rng(&k, 1);
    pci_config_write(k.pci, V_DEVFN, 0x88, 1, 4);
    pci_config_write(k.pci, V_DEVFN, 0x8c, 4, 20);
    pci_config_write(k.pci, V_DEVFN, 0x90, 4, 1);
    pci_config_write(k.pci, V_DEVFN, 0x94, 4, 3);
    ck_assert_uint_eq(v_status(&k), 3);
    v_write(&k, 20, 1, 1);
    v_write(&k, 20, 1, 3);
    ck_assert_uint_eq(pci_config_read(k.pci, V_DEVFN, 0x94, 1), 3);
    pci_config_write(k.pci, V_DEVFN, 0x88, 1, 0); /* the ports of old */
    pci_config_write(k.pci, V_DEVFN, 0x8c, 4, 18);
    ck_assert_uint_eq(pci_config_read(k.pci, V_DEVFN, 0x94, 4), 3);
    static const struct {
        uint8_t bar;
        uint32_t offset, length;
    } wrong[] = { { 1, 0, 4 },          { 4, 0x4000, 4 }, { 4, 0x3ffe, 4 },
                  { 4, 0, 3 },          { 4, 0, 0 },      { 4, 21, 4 },
                  { 4, 0xfffffffc, 4 }, { 0, 64, 1 },     { 0xff, 0, 0xff } };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        pci_config_write(k.pci, V_DEVFN, 0x88, 1, wrong[i].bar);
        pci_config_write(k.pci, V_DEVFN, 0x8c, 4, wrong[i].offset);
        pci_config_write(k.pci, V_DEVFN, 0x90, 4, wrong[i].length);
        pci_config_write(k.pci, V_DEVFN, 0x94, 4, 0x12345678);
        ck_assert_uint_eq(pci_config_read(k.pci, V_DEVFN, 0x94, 4), 0x12345678); /* a register */
    }
    v_close(&k);
}
END_TEST

START_TEST(virtio_mix_sees_the_driver)
{
    uint64_t seen[6];
    for (unsigned i = 0; i < 6; i++) {
        struct virtio_kit k;
        v_open_rng(&k, 1);
        v_start(&k, 0);
        v_settle(&k);
        if (i == 1)
            v_write(&k, 0, 4, 1);
        if (i == 2)
            v_write(&k, V_NOTIFY, 2, 0);
        if (i >= 3) {
            v_descriptor(&k, 0, V_DATA, 16, V_WRITE, 0);
            v_offer(&k, i == 3 ? 8 : 0);
            v_kick(&k);
        }
        if (i == 5)
            (void)v_read(&k, V_ISR, 1);
        seen[i] = v_hash(&k);
        ck_assert_uint_eq(seen[i], v_hash(&k));
        for (unsigned o = 0; o < i; o++)
            ck_assert_uint_ne(seen[i], seen[o]);
        v_close(&k);
    }
}
END_TEST

/* --- random numbers --- */

START_TEST(rng_is_a_function_of_its_seed)
{
    uint8_t first[3][64];
    static const uint64_t seed[] = { 5, 5, 6 };
    for (unsigned i = 0; i < 3; i++) {
        struct virtio_kit k;
        v_open_rng(&k, seed[i]);
        v_start(&k, 0);
        v_descriptor(&k, 0, V_DATA, 64, V_WRITE, 0);
        v_offer(&k, 0);
        v_kick(&k);
        ck_assert(phys_read_block(k.memory, V_DATA, first[i], 64));
        v_close(&k);
    }
    ck_assert_mem_eq(first[0], first[1], 64);
    ck_assert_mem_ne(first[0], first[2], 64);
}
END_TEST

START_TEST(rng_gives_a_bounded_number)
{
    struct virtio_kit k;
    v_open_rng(&k, 1);
    v_start(&k, 0);
    v_descriptor(&k, 0, V_DATA, 0x10000, V_WRITE, 0);
    v_descriptor(&k, 1, V_DATA, 16, 0, 0); /* nothing to write into */
    v_descriptor(&k, 2, V_DATA + 0x20000, 13, V_WRITE, 0);
    for (unsigned i = 0; i < 3; i++)
        v_offer(&k, i);
    v_kick(&k);
    ck_assert_uint_eq(v_used(&k), 3);
    ck_assert_uint_eq(v_used_bytes(&k, 0), 4096);
    ck_assert(filled(&k, V_DATA, 4096));
    ck_assert_uint_eq(phys_read(k.memory, V_DATA + 4096, 8), 0);
    ck_assert_uint_eq(v_used_bytes(&k, 1), 0);
    ck_assert_uint_eq(v_used_bytes(&k, 2), 13);
    ck_assert_uint_eq(phys_read(k.memory, V_DATA + 0x20000 + 13, 1), 0);
    v_close(&k);
}
END_TEST

CHECK_MAIN("virtio", virtio_identity_and_capabilities, virtio_features_are_offered_by_halves,
           virtio_features_ok_only_for_what_was_offered, virtio_common_registers,
           virtio_requests_are_answered, virtio_rings_wrap, virtio_interrupts_can_be_declined,
           virtio_event_indices, virtio_indirect_tables, virtio_waits_for_the_driver,
           virtio_reset_forgets, virtio_hostile_rings_break_the_device,
           virtio_hostile_indirect_tables, virtio_queues_outside_ram,
           virtio_needs_the_right_to_master, virtio_legacy_driver,
           virtio_access_through_configuration_space, virtio_mix_sees_the_driver,
           rng_is_a_function_of_its_seed, rng_gives_a_bounded_number)

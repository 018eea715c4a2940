/* A virtio device on a PCI bus and a driver for it, which can do everything wrong. */
#ifndef TESTS_DEVICES_VIRTIO_KIT_H
#define TESTS_DEVICES_VIRTIO_KIT_H

#include "tests/devices/disk_kit.h"

#include "devices/virtio_blk.h"
#include "devices/virtio_rng.h"

#define V_RAM (4u << 20)
#define V_DEVFN 0x20
#define V_PORTS 0xc000u
#define V_BAR 0xfe000000u
#define V_ISR 0x1000u
#define V_CONFIG 0x2000u
#define V_NOTIFY 0x3000u

/* Where the driver has its queue and its data. */
#define V_TABLE 0x10000u
#define V_AVAIL 0x11000u
#define V_USED 0x12000u
#define V_DATA 0x100000u

enum { V_ACKNOWLEDGE = 1, V_DRIVER = 2, V_DRIVER_OK = 4, V_FEATURES_OK = 8, V_NEEDS_RESET = 0x40 };
enum { V_NEXT = 1, V_WRITE = 2, V_INDIRECT = 4 };

#define V_VERSION_1 (1ull << 32)
#define V_EVENT_IDX (1ull << 29)
#define V_INDIRECT_DESC (1ull << 28)

struct virtio_kit {
    struct kit kit;
    struct memory *memory;
    struct bus *bus;
    struct pci_bus *pci;
    struct disk disk;
    struct block *block;
    struct kit_line pirq[PCI_PIRQS];
    uint16_t avail; /* the driver's index */
    unsigned queue_size;
};

static inline uint64_t v_read(struct virtio_kit *k, unsigned offset, unsigned size)
{
    return phys_read(k->memory, V_BAR + offset, size);
}

static inline void v_write(struct virtio_kit *k, unsigned offset, unsigned size, uint64_t value)
{
    phys_write(k->memory, V_BAR + offset, size, value);
}

static inline unsigned v_status(struct virtio_kit *k)
{
    return (unsigned)v_read(k, 20, 1);
}

static inline bool v_interrupt(const struct virtio_kit *k)
{
    return k->pirq[3].level; /* slot 4, INTA# */
}

static inline void v_open_bus(struct virtio_kit *k)
{
    memset(k, 0, sizeof(*k));
    kit_open(&k->kit);
    k->memory = memory_new(V_RAM);
    k->bus = bus_new(k->memory, &k->kit.clock, &k->kit.probes);
    k->pci = pci_bus_add(k->bus);
    struct irq_line line[PCI_PIRQS];
    for (unsigned i = 0; i < PCI_PIRQS; i++)
        line[i] = kit_line_to(&k->pirq[i]);
    pci_bus_set_pirqs(k->pci, line);
    k->queue_size = 8;
}

static inline void v_map(struct virtio_kit *k)
{
    bus_reset(k->bus);
    pci_config_write(k->pci, V_DEVFN, PCI_BAR0, 4, V_PORTS);
    pci_config_write(k->pci, V_DEVFN, PCI_BAR0 + 16, 4, V_BAR);
    pci_config_write(k->pci, V_DEVFN, PCI_BAR0 + 20, 4, 0);
    pci_config_write(k->pci, V_DEVFN, PCI_COMMAND, 2,
                     PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static inline void v_open_blk_with(struct virtio_kit *k, size_t bytes, bool read_only)
{
    v_open_bus(k);
    disk_open(&k->disk, bytes);
    struct block_config config = disk_config(&k->disk);
    config.read_only = read_only;
    config.serial = "serial-number";
    k->block = block_new(&config);
    ck_assert_ptr_nonnull(virtio_blk_add(k->bus, k->pci, V_DEVFN, k->block));
    v_map(k);
}

static inline void v_open_blk(struct virtio_kit *k)
{
    v_open_blk_with(k, 4096 * 512, false);
}

static inline void v_open_rng(struct virtio_kit *k, uint64_t seed)
{
    v_open_bus(k);
    ck_assert_ptr_nonnull(virtio_rng_add(k->bus, k->pci, V_DEVFN, seed));
    v_map(k);
}

static inline void v_close(struct virtio_kit *k)
{
    bus_free(k->bus);
    memory_free(k->memory);
    block_free(k->block);
    if (k->disk.bytes)
        disk_close(&k->disk);
    kit_close(&k->kit);
}

/* --- the driver --- */

static inline void v_features(struct virtio_kit *k, uint64_t features)
{
    for (unsigned half = 0; half < 2; half++) {
        v_write(k, 8, 4, half);
        v_write(k, 12, 4, (uint32_t)(features >> 32 * half));
    }
}

static inline void v_queue(struct virtio_kit *k)
{
    v_write(k, 22, 2, 0);
    v_write(k, 24, 2, k->queue_size);
    v_write(k, 32, 8, V_TABLE);
    v_write(k, 40, 8, V_AVAIL);
    v_write(k, 48, 8, V_USED);
    v_write(k, 28, 2, 1);
}

/* Everything up to DRIVER_OK. VIRTIO 3.1.1. */
static inline void v_start(struct virtio_kit *k, uint64_t features)
{
    v_write(k, 20, 1, 0);
    v_write(k, 20, 1, V_ACKNOWLEDGE | V_DRIVER);
    v_features(k, features | V_VERSION_1);
    v_write(k, 20, 1, V_ACKNOWLEDGE | V_DRIVER | V_FEATURES_OK);
    ck_assert_uint_eq(v_status(k), V_ACKNOWLEDGE | V_DRIVER | V_FEATURES_OK);
    k->avail = 0;
    for (unsigned i = 0; i < 0x3000; i += 8)
        phys_write(k->memory, V_TABLE + i, 8, 0);
    v_queue(k);
    v_write(k, 20, 1, V_ACKNOWLEDGE | V_DRIVER | V_FEATURES_OK | V_DRIVER_OK);
}

static inline void v_descriptor_at(struct virtio_kit *k, uint64_t table, unsigned index,
                                   uint64_t gpa, uint32_t bytes, unsigned flags, unsigned next)
{
    phys_write(k->memory, table + 16 * index, 8, gpa);
    phys_write(k->memory, table + 16 * index + 8, 4, bytes);
    phys_write(k->memory, table + 16 * index + 12, 2, flags);
    phys_write(k->memory, table + 16 * index + 14, 2, next);
}

static inline void v_descriptor(struct virtio_kit *k, unsigned index, uint64_t gpa, uint32_t bytes,
                                unsigned flags, unsigned next)
{
    v_descriptor_at(k, V_TABLE, index, gpa, bytes, flags, next);
}

/* Put a chain into the available ring. */
static inline void v_offer(struct virtio_kit *k, unsigned head)
{
    phys_write(k->memory, V_AVAIL + 4 + 2 * (k->avail % k->queue_size), 2, head);
    phys_write(k->memory, V_AVAIL + 2, 2, ++k->avail);
}

static inline void v_settle(struct virtio_kit *k)
{
    kit_pass(&k->kit, 100000000);
}

static inline void v_kick(struct virtio_kit *k)
{
    v_write(k, V_NOTIFY, 2, 0);
    v_settle(k);
}

static inline unsigned v_used(struct virtio_kit *k)
{
    return (unsigned)phys_read(k->memory, V_USED + 2, 2);
}

/* An element of the used ring. */
static inline unsigned v_used_id(struct virtio_kit *k, unsigned index)
{
    return (unsigned)phys_read(k->memory, V_USED + 4 + 8 * (index % k->queue_size), 4);
}

static inline unsigned v_used_bytes(struct virtio_kit *k, unsigned index)
{
    return (unsigned)phys_read(k->memory, V_USED + 8 + 8 * (index % k->queue_size), 4);
}

/* The device wants a reset, says so, and does nothing more; after the reset it works. */
static inline void v_broken(struct virtio_kit *k)
{
    ck_assert_uint_eq(v_status(k) & V_NEEDS_RESET, V_NEEDS_RESET);
    ck_assert(v_interrupt(k));
    ck_assert_uint_eq(v_read(k, V_ISR, 1) & 2, 2);
    ck_assert(!v_interrupt(k));
    ck_assert_uint_eq(k->kit.told[PROBE_GUEST_ERROR], 1);
    v_kick(k);
    ck_assert_uint_eq(k->kit.told[PROBE_GUEST_ERROR], 1);
    v_write(k, 20, 1, 0);
    ck_assert_uint_eq(v_status(k), 0);
}

static inline uint64_t v_hash(const struct virtio_kit *k)
{
    return kit_bus_hash(k->bus);
}

#endif

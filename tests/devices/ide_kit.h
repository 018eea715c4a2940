/* An IDE controller on a PCI bus, with memory and images, driven as a program does. */
#ifndef TESTS_DEVICES_IDE_KIT_H
#define TESTS_DEVICES_IDE_KIT_H

#include "tests/devices/disk_kit.h"

#include "devices/ide.h"

#define IDE_RAM_BYTES (4u << 20)
#define IDE_DEVFN 9
#define IDE_MASTER 0xc000u /* ports of the bus master */

enum { BSY = 0x80, DRDY = 0x40, DSC = 0x10, DRQ = 0x08, ERR = 0x01, READY = DRDY | DSC };

/* Ports of the primary channel. */
enum {
    DATA = 0x1f0,
    FEATURE = 0x1f1, /* and error */
    COUNT = 0x1f2,
    LOW = 0x1f3,
    MID = 0x1f4,
    HIGH = 0x1f5,
    DEVICE = 0x1f6,
    COMMAND = 0x1f7, /* and status */
    CONTROL = 0x3f6
};

struct ide_kit {
    struct kit kit;
    struct memory *memory;
    struct bus *bus;
    struct pci_bus *pci;
    struct ide *ide;
    struct disk disk[2]; /* of the primary channel's master; of the secondary's, a CD */
    struct block *block[2];
    struct kit_line irq[2];
};

static inline uint8_t in8(struct ide_kit *k, uint16_t port)
{
    return (uint8_t)bus_port_ops.read(k->bus, port, 1);
}

static inline void out8(struct ide_kit *k, uint16_t port, uint8_t value)
{
    bus_port_ops.write(k->bus, port, 1, value);
}

/* The master of the primary channel is a disk of `sectors`, its slave `slave`; the master of the secondary a CD. */
static inline void ide_open_with(struct ide_kit *k, size_t bytes, size_t cd_bytes, bool read_only)
{
    memset(k, 0, sizeof(*k));
    kit_open(&k->kit);
    k->memory = memory_new(IDE_RAM_BYTES);
    k->bus = bus_new(k->memory, &k->kit.clock, &k->kit.probes);
    k->pci = pci_bus_add(k->bus);
    disk_open(&k->disk[0], bytes);
    disk_open(&k->disk[1], cd_bytes);
    struct ide_config config = { .pci = k->pci,
                                 .devfn = IDE_DEVFN,
                                 .irq = { kit_line_to(&k->irq[0]), kit_line_to(&k->irq[1]) } };
    for (unsigned i = 0; i < 2; i++) {
        struct block_config block = disk_config(&k->disk[i]);
        block.read_only = i == 1 || read_only;
        k->block[i] = block_new(&block);
        ck_assert_ptr_nonnull(k->block[i]);
    }
    config.drive[0][0].kind = IDE_DISK;
    config.drive[0][0].block = k->block[0];
    config.drive[1][0].kind = IDE_CDROM;
    config.drive[1][0].block = cd_bytes ? k->block[1] : NULL;
    k->ide = ide_add(k->bus, &config);
    ck_assert_ptr_nonnull(k->ide);
    bus_reset(k->bus);
    pci_config_write(k->pci, IDE_DEVFN, PCI_BAR0 + 16, 4, IDE_MASTER);
    pci_config_write(k->pci, IDE_DEVFN, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
}

static inline void ide_open(struct ide_kit *k)
{
    ide_open_with(k, 4096 * 512, 300 * 2048, false);
}

static inline void ide_close(struct ide_kit *k)
{
    bus_free(k->bus);
    memory_free(k->memory);
    for (unsigned i = 0; i < 2; i++) {
        block_free(k->block[i]);
        disk_close(&k->disk[i]);
    }
    kit_close(&k->kit);
}

/* Let what was begun come to its end. */
static inline void ide_settle(struct ide_kit *k)
{
    kit_pass(&k->kit, 100000000);
}

/* A 28-bit command to the master, with LBA. */
static inline void ide_do(struct ide_kit *k, uint8_t command, uint32_t lba, uint8_t count)
{
    out8(k, DEVICE, (uint8_t)(0xe0 | lba >> 24));
    out8(k, COUNT, count);
    out8(k, LOW, (uint8_t)lba);
    out8(k, MID, (uint8_t)(lba >> 8));
    out8(k, HIGH, (uint8_t)(lba >> 16));
    out8(k, COMMAND, command);
}

/* A 48-bit command. */
static inline void ide_do48(struct ide_kit *k, uint8_t command, uint64_t lba, uint16_t count)
{
    out8(k, DEVICE, 0xe0);
    out8(k, COUNT, (uint8_t)(count >> 8));
    out8(k, COUNT, (uint8_t)count);
    for (unsigned i = 0; i < 3; i++) {
        out8(k, (uint16_t)(LOW + i), (uint8_t)(lba >> (24 + 8 * i)));
        out8(k, (uint16_t)(LOW + i), (uint8_t)(lba >> 8 * i));
    }
    out8(k, COMMAND, command);
}

static inline void ide_take(struct ide_kit *k, uint16_t port, uint8_t *to, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 2) {
        uint32_t word = bus_port_ops.read(k->bus, port, 2);
        to[i] = (uint8_t)word;
        to[i + 1] = (uint8_t)(word >> 8);
    }
}

static inline void ide_give(struct ide_kit *k, uint16_t port, const uint8_t *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 2)
        bus_port_ops.write(k->bus, port, 2, from[i] | (uint32_t)from[i + 1] << 8);
}

static inline uint64_t ide_hash(const struct ide_kit *k)
{
    return kit_bus_hash(k->bus);
}

#endif

/* pc-testdev, by its behaviour on QEMU 7.2.
 *
 * CHOICE: flushing a page, which there takes the workstation's mapping away and puts it back, has nothing to do here: memory is
 * never out of date. Ports that can only be written read all ones. */
#include "devices/pc_testdev.h"

#include "devices/pages.h"

#define LATCH PC_TESTDEV_LATCH_PORT
#define FLUSH 0xe4
#define BYTES 0xe8

struct pc_testdev {
    struct irq_line irq;
    uint32_t lines; /* what the lines were set to */
    uint8_t latch[4];
    uint8_t memory[PC_TESTDEV_BYTES];
};

/* The byte of the latch behind a port, or NULL. */
static uint8_t *latch_byte(struct pc_testdev *dev, unsigned port)
{
    bool is_latch = (port >= LATCH && port < FLUSH) || (port >= BYTES && port < BYTES + 4);
    return is_latch ? &dev->latch[port & 3] : NULL;
}

static uint32_t testdev_read(void *self, uint16_t port, unsigned size)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < size; i++) {
        const uint8_t *byte = latch_byte(self, port + i);
        value |= (uint32_t)(byte ? *byte : 0xff) << (8 * i);
    }
    return value;
}

static void set_line(struct pc_testdev *dev, unsigned line, bool level)
{
    dev->lines = level ? dev->lines | 1u << line : dev->lines & ~(1u << line);
    if (dev->irq.set)
        dev->irq.set(dev->irq.self, line, level);
}

static void testdev_write(void *self, uint16_t port, unsigned size, uint32_t value)
{
    if (port >= PC_TESTDEV_IRQ_PORT) { /* a byte wide: more has no effect */
        set_line(self, port - PC_TESTDEV_IRQ_PORT, value & 0xff);
        return;
    }
    for (unsigned i = 0; i < size; i++) {
        uint8_t *byte = latch_byte(self, port + i);
        if (byte)
            *byte = (uint8_t)(value >> (8 * i));
    }
}

/* The bus lets nothing through that leaves the window. */
static uint64_t testdev_mmio_read(void *self, uint64_t offset, unsigned size)
{
    const struct pc_testdev *dev = self;
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)dev->memory[offset + i] << (8 * i);
    return value;
}

static void testdev_mmio_write(void *self, uint64_t offset, unsigned size, uint64_t value)
{
    struct pc_testdev *dev = self;
    for (unsigned i = 0; i < size; i++)
        dev->memory[offset + i] = (uint8_t)(value >> (8 * i));
}

/* What was written stays, as in RAM; the lines fall. */
static void testdev_reset(void *self)
{
    struct pc_testdev *dev = self;
    for (unsigned line = 0; line < PC_TESTDEV_IRQS; line++)
        if (dev->lines >> line & 1)
            set_line(dev, line, false);
}

static void testdev_state(void *self, struct snap *snap)
{
    struct pc_testdev *dev = self;
    SNAP(snap, dev, lines);
    SNAP_ALL(snap, dev, latch);
    snap_sparse(snap, "memory", dev->memory, sizeof(dev->memory), NULL);
    if (snap_loading(snap) && dev->lines >> PC_TESTDEV_IRQS) {
        snap_refuse(snap, "lines");
        dev->lines = 0;
    }
}

static const struct dev_class dev_pc_testdev = {
    .name = "pc-testdev",
    .ports = { { LATCH, 4 }, { FLUSH, 4 }, { BYTES, 1 }, { PC_TESTDEV_IRQ_PORT, PC_TESTDEV_IRQS } },
    .port_size = 4,
    .mmio_base = PC_TESTDEV_SPA,
    .mmio_size = PC_TESTDEV_BYTES,
    .state_size = sizeof(struct pc_testdev),
    .reset = testdev_reset,
    .port_read = testdev_read,
    .port_write = testdev_write,
    .mmio_read = testdev_mmio_read,
    .mmio_write = testdev_mmio_write,
    .state = testdev_state,
    .state_version = 1,
};

struct pc_testdev *pc_testdev_add(struct bus *bus, struct irq_line irq)
{
    struct pc_testdev *dev = bus_add(bus, &dev_pc_testdev);
    if (!dev)
        return NULL;
    dev->irq = irq;
    for (unsigned i = 1; i < 4; i++) /* E9h may be a debug console */
        (void)bus_map_ports(bus, dev, BYTES + i, 1);
    return dev;
}

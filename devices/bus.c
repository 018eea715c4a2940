/* Routing of port and MMIO accesses to devices. */
#include "devices/bus.h"

#include <stdlib.h>
#include <string.h>

#define BUS_DEVICES 32
#define PORT_COUNT 0x10000u

struct bus_dev {
    const struct dev_class *class;
    void *state;
    uint64_t mmio_spa, mmio_size;
};

struct bus {
    struct memory *memory;
    struct vclock *clock;
    struct probes *probes;
    unsigned count;
    struct bus_dev dev[BUS_DEVICES];
    uint8_t port_dev[PORT_COUNT]; /* index into dev plus 1; 0: nobody */
};

struct bus *bus_new(struct memory *memory, struct vclock *clock, struct probes *probes)
{
    struct bus *bus = calloc(1, sizeof(*bus));
    if (!bus)
        return NULL;
    bus->memory = memory;
    bus->clock = clock;
    bus->probes = probes;
    if (memory)
        memory_set_mmio(memory, &bus_mmio_ops, bus);
    return bus;
}

void bus_free(struct bus *bus)
{
    if (!bus)
        return;
    if (bus->memory)
        memory_set_mmio(bus->memory, NULL, NULL);
    while (bus->count) {
        struct bus_dev *dev = &bus->dev[--bus->count];
        if (dev->class->fini)
            dev->class->fini(dev->state);
        free(dev->state);
    }
    free(bus);
}

static bool ports_free(const struct bus *bus, uint32_t base, uint32_t count)
{
    if (base >= PORT_COUNT || count > PORT_COUNT - base)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (bus->port_dev[base + i])
            return false;
    return true;
}

void *bus_add(struct bus *bus, const struct dev_class *class)
{
    if (bus->count == BUS_DEVICES)
        return NULL;
    for (unsigned i = 0; i < DEV_PORT_RANGES; i++)
        if (!ports_free(bus, class->ports[i].base, class->ports[i].count))
            return NULL;
    void *state = calloc(1, class->state_size);
    if (!state)
        return NULL;
    bus->dev[bus->count++] = (struct bus_dev){
        .class = class, .state = state, .mmio_spa = class->mmio_base, .mmio_size = class->mmio_size
    };
    for (unsigned i = 0; i < DEV_PORT_RANGES; i++)
        memset(&bus->port_dev[class->ports[i].base], (int)bus->count, class->ports[i].count);
    return state;
}

static struct bus_dev *bus_find(struct bus *bus, const void *state)
{
    for (unsigned i = 0; i < bus->count; i++)
        if (bus->dev[i].state == state)
            return &bus->dev[i];
    return NULL;
}

bool bus_map_ports(struct bus *bus, void *dev, uint32_t base, uint32_t count)
{
    const struct bus_dev *found = bus_find(bus, dev);
    assert(found);
    if (!ports_free(bus, base, count))
        return false;
    memset(&bus->port_dev[base], (int)(found - bus->dev) + 1, count);
    return true;
}

void bus_map_mmio(struct bus *bus, void *dev, uint64_t spa, uint64_t size_bytes)
{
    struct bus_dev *found = bus_find(bus, dev);
    assert(found);
    found->mmio_spa = spa;
    found->mmio_size = size_bytes;
}

void bus_reset(struct bus *bus)
{
    for (unsigned i = 0; i < bus->count; i++)
        if (bus->dev[i].class->reset)
            bus->dev[i].class->reset(bus->dev[i].state);
}

void bus_mix(const struct bus *bus, void (*put)(void *ctx, uint64_t word), void *ctx)
{
    const struct dev_mixer mixer = { .put = put, .ctx = ctx };
    for (unsigned i = 0; i < bus->count; i++)
        if (bus->dev[i].class->mix)
            bus->dev[i].class->mix(bus->dev[i].state, &mixer);
}

struct memory *bus_memory(const struct bus *bus)
{
    return bus->memory;
}

struct vclock *bus_clock(const struct bus *bus)
{
    return bus->clock;
}

void bus_tell(const struct bus *bus, enum probe_kind kind, const char *text)
{
    if (!probes_want(bus->probes, kind))
        return;
    struct probe_event event = { .kind = kind, .text = text };
    probes_fire(bus->probes, &event);
}

/* The largest part of an access of `size` bytes at `port` that goes to one device in one call. Parts wider
 * than a byte stay naturally aligned relative to the access, as the chipset splits them. */
static unsigned port_part(const struct bus *bus, uint32_t port, unsigned size)
{
    unsigned owner = bus->port_dev[port & 0xffff];
    if (!owner)
        return 1;
    unsigned part = bus->dev[owner - 1].class->port_size;
    if (part == 0)
        part = 1;
    for (; part > 1; part /= 2) {
        if (part > size)
            continue;
        unsigned same = 1;
        while (same < part && port + same < PORT_COUNT && bus->port_dev[port + same] == owner)
            same++;
        if (same == part)
            return part;
    }
    return 1;
}

static void fire_io(const struct bus *bus, uint16_t port, unsigned size, bool write, uint32_t value)
{
    if (!probes_want(bus->probes, PROBE_IO))
        return;
    struct probe_event event = {
        .kind = PROBE_IO, .a = port, .b = size | (uint64_t)write << 8, .c = value
    };
    probes_fire(bus->probes, &event);
}

static uint32_t size_mask(unsigned size)
{
    return size >= 4 ? UINT32_MAX : (1u << (8 * size)) - 1;
}

static uint32_t bus_port_read(void *self, uint16_t port, unsigned size)
{
    struct bus *bus = self;
    uint32_t value = 0;
    for (unsigned done = 0; done < size;) {
        uint32_t at = port + done;
        unsigned part = at < PORT_COUNT ? port_part(bus, at, size - done) : 1;
        unsigned owner = at < PORT_COUNT ? bus->port_dev[at] : 0;
        uint32_t got = UINT32_MAX;
        if (owner && bus->dev[owner - 1].class->port_read)
            got =
                bus->dev[owner - 1].class->port_read(bus->dev[owner - 1].state, (uint16_t)at, part);
        value |= (got & size_mask(part)) << (8 * done);
        done += part;
    }
    fire_io(bus, port, size, false, value);
    return value;
}

static void bus_port_write(void *self, uint16_t port, unsigned size, uint32_t value)
{
    struct bus *bus = self;
    fire_io(bus, port, size, true, value & size_mask(size));
    for (unsigned done = 0; done < size;) {
        uint32_t at = port + done;
        if (at >= PORT_COUNT)
            return;
        unsigned part = port_part(bus, at, size - done);
        unsigned owner = bus->port_dev[at];
        if (owner && bus->dev[owner - 1].class->port_write)
            bus->dev[owner - 1].class->port_write(bus->dev[owner - 1].state, (uint16_t)at, part,
                                                  (value >> (8 * done)) & size_mask(part));
        done += part;
    }
}

/* The device whose window holds all of the access, or NULL. */
static struct bus_dev *mmio_find(struct bus *bus, uint64_t spa, unsigned size)
{
    for (unsigned i = 0; i < bus->count; i++) {
        struct bus_dev *dev = &bus->dev[i];
        if (dev->mmio_size >= size && spa >= dev->mmio_spa &&
            spa - dev->mmio_spa <= dev->mmio_size - size)
            return dev;
    }
    return NULL;
}

static uint64_t bus_mmio_read(void *self, uint64_t spa, unsigned size)
{
    struct bus_dev *dev = mmio_find(self, spa, size);
    if (!dev || !dev->class->mmio_read)
        return UINT64_MAX;
    return dev->class->mmio_read(dev->state, spa - dev->mmio_spa, size);
}

static void bus_mmio_write(void *self, uint64_t spa, unsigned size, uint64_t value)
{
    struct bus_dev *dev = mmio_find(self, spa, size);
    if (dev && dev->class->mmio_write)
        dev->class->mmio_write(dev->state, spa - dev->mmio_spa, size, value);
}

const struct port_ops bus_port_ops = { .read = bus_port_read, .write = bus_port_write };
const struct mmio_ops bus_mmio_ops = { .read = bus_mmio_read, .write = bus_mmio_write };

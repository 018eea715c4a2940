/* Routing of port and MMIO accesses to devices. */
#include "devices/bus.h"

#include <stdlib.h>
#include <string.h>

#define BUS_DEVICES 96
#define BUS_WINDOWS 128
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
    unsigned window_count;
    struct bus_window *window[BUS_WINDOWS];
    uint8_t port_dev
        [PORT_COUNT]; /* index into dev plus 1, or FIRST_WINDOW plus index into window; 0: nobody */
};

#define FIRST_WINDOW (BUS_DEVICES + 1)
_Static_assert(FIRST_WINDOW + BUS_WINDOWS <= UINT8_MAX + 1, "an owner is a byte");

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

bool bus_add_window(struct bus *bus, struct bus_window *window)
{
    if (bus->window_count == BUS_WINDOWS)
        return false;
    window->mapped = false;
    bus->window[bus->window_count++] = window;
    return true;
}

/* The ports a window covers, cut at the last one. */
static struct port_span {
    uint32_t base, end;
} window_ports(const struct bus_window *window)
{
    uint32_t base = window->base < PORT_COUNT ? (uint32_t)window->base : PORT_COUNT;
    uint64_t left = PORT_COUNT - base;
    return (struct port_span){ .base = base,
                               .end =
                                   base + (uint32_t)(window->bytes < left ? window->bytes : left) };
}

/* Take the ports of window number `index` away from it, or give it those that nobody has. */
static void claim_ports(struct bus *bus, unsigned index, bool claim)
{
    struct port_span span = window_ports(bus->window[index]);
    uint8_t owner = (uint8_t)(FIRST_WINDOW + index);
    for (uint32_t port = span.base; port < span.end; port++)
        if (bus->port_dev[port] == (claim ? 0 : owner))
            bus->port_dev[port] = claim ? owner : 0;
}

void bus_move_window(struct bus *bus, struct bus_window *window, bool mapped, uint64_t base)
{
    if (window->mapped == mapped && window->base == base)
        return;
    /* All give up their ports, and then take what they want in order: the first of those that meet wins. */
    for (unsigned i = 0; window->ports && i < bus->window_count; i++)
        if (bus->window[i]->ports && bus->window[i]->mapped)
            claim_ports(bus, i, false);
    window->mapped = mapped;
    window->base = base;
    for (unsigned i = 0; window->ports && i < bus->window_count; i++)
        if (bus->window[i]->ports && bus->window[i]->mapped)
            claim_ports(bus, i, true);
}

void bus_reset(struct bus *bus)
{
    for (unsigned i = 0; i < bus->count; i++)
        if (bus->dev[i].class->reset)
            bus->dev[i].class->reset(bus->dev[i].state);
}

/* How many devices of the same class were added before. */
static unsigned instance_of(const struct bus *bus, unsigned index)
{
    unsigned before = 0;
    for (unsigned i = 0; i < index; i++)
        before += bus->dev[i].class == bus->dev[index].class;
    return before;
}

void bus_state(struct bus *bus, struct snap *snap)
{
    for (unsigned i = 0; i < bus->count; i++) {
        const struct dev_class *class = bus->dev[i].class;
        if (!class->state)
            continue;
        if (snap_begin(snap, class->name, instance_of(bus, i), class->state_version))
            class->state(bus->dev[i].state, snap);
        snap_end(snap);
    }
}

/* The runs of ports that an owner (see port_dev) has. */
static void tell_ports(const struct bus *bus, unsigned owner, struct bus_place place,
                       void (*tell)(void *self, const struct bus_place *place), void *self)
{
    place.ports = true;
    for (uint32_t port = 0; port < PORT_COUNT; port++) {
        if (bus->port_dev[port] != owner)
            continue;
        place.base = port;
        while (port + 1 < PORT_COUNT && bus->port_dev[port + 1] == owner)
            port++;
        place.bytes = port - place.base + 1;
        tell(self, &place);
    }
}

/* Is a window part of a device's state? */
static bool owns_window(const struct bus_dev *dev, const struct bus_window *window)
{
    uintptr_t begin = (uintptr_t)dev->state;
    uintptr_t at = (uintptr_t)window->self;
    return at >= begin && at - begin < dev->class->state_size;
}

void bus_places(const struct bus *bus, void (*tell)(void *self, const struct bus_place *place),
                void *self)
{
    for (unsigned i = 0; i < bus->count; i++) {
        const struct bus_dev *dev = &bus->dev[i];
        struct bus_place place = { .name = dev->class->name, .instance = instance_of(bus, i) };
        tell(self, &place);
        tell_ports(bus, i + 1, place, tell, self);
        if (dev->mmio_size) {
            place.base = dev->mmio_spa;
            place.bytes = dev->mmio_size;
            tell(self, &place);
        }
        for (unsigned j = 0; j < bus->window_count; j++) {
            const struct bus_window *window = bus->window[j];
            if (!window->mapped || !owns_window(dev, window))
                continue;
            if (window->ports) {
                tell_ports(bus, FIRST_WINDOW + j, place, tell, self);
                continue;
            }
            place.ports = false;
            place.base = window->base;
            place.bytes = window->bytes;
            tell(self, &place);
        }
    }
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
    unsigned part = owner >= FIRST_WINDOW ? bus->window[owner - FIRST_WINDOW]->port_size
                                          : bus->dev[owner - 1].class->port_size;
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

static void spend(const struct bus *bus, unsigned ns)
{
    if (ns && bus->clock && bus->clock->spend)
        bus->clock->spend(bus->clock->self, ns);
}

static uint32_t owner_read(const struct bus *bus, unsigned owner, uint16_t port, unsigned size)
{
    if (owner >= FIRST_WINDOW) {
        const struct bus_window *window = bus->window[owner - FIRST_WINDOW];
        spend(bus, window->access_ns);
        return window->read ? (uint32_t)window->read(window->self, port - window->base, size)
                            : UINT32_MAX;
    }
    const struct bus_dev *dev = owner ? &bus->dev[owner - 1] : NULL;
    if (!dev)
        return UINT32_MAX;
    spend(bus, dev->class->access_ns);
    return dev->class->port_read ? dev->class->port_read(dev->state, port, size) : UINT32_MAX;
}

static void owner_write(const struct bus *bus, unsigned owner, uint16_t port, unsigned size,
                        uint32_t value)
{
    if (owner >= FIRST_WINDOW) {
        const struct bus_window *window = bus->window[owner - FIRST_WINDOW];
        spend(bus, window->access_ns);
        if (window->write)
            window->write(window->self, port - window->base, size, value);
        return;
    }
    const struct bus_dev *dev = owner ? &bus->dev[owner - 1] : NULL;
    if (!dev)
        return;
    spend(bus, dev->class->access_ns);
    if (dev->class->port_write)
        dev->class->port_write(dev->state, port, size, value);
}

static uint32_t bus_port_read(void *self, uint16_t port, unsigned size)
{
    struct bus *bus = self;
    uint32_t value = 0;
    for (unsigned done = 0; done < size;) {
        uint32_t at = port + done;
        unsigned part = at < PORT_COUNT ? port_part(bus, at, size - done) : 1;
        unsigned owner = at < PORT_COUNT ? bus->port_dev[at] : 0;
        uint32_t got = owner_read(bus, owner, (uint16_t)at, part);
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
        owner_write(bus, bus->port_dev[at], (uint16_t)at, part,
                    (value >> (8 * done)) & size_mask(part));
        done += part;
    }
}

/* A device sees memory as a processor outside SMM does: what the host bridge keeps for SMM is not there for it. A20M# is
 * an input of the processor, and masks nothing here. CHOICE: so it is with SMM_ADDR and SMM_MASK. */
static bool device_copy(struct memory *memory, uint64_t spa, void *to, const void *from, size_t len)
{
    if (!memory)
        return false;
    const struct memory_view processor = *memory_get_view(memory);
    struct memory_view device = processor;
    device.smm = false;
    device.ignores_a20 = true;
    memory_set_view(memory, &device);
    bool good =
        memory_device_may(memory, spa, len) &&
        (to ? phys_read_block(memory, spa, to, len) : phys_write_block(memory, spa, from, len));
    memory_set_view(memory, &processor);
    return good;
}

bool bus_dma_read(const struct bus *bus, uint64_t spa, void *to, size_t len)
{
    return device_copy(bus->memory, spa, to, NULL, len);
}

bool bus_dma_write(const struct bus *bus, uint64_t spa, const void *from, size_t len)
{
    return device_copy(bus->memory, spa, NULL, from, len);
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

static const struct bus_window *window_find(const struct bus *bus, uint64_t spa, unsigned size)
{
    for (unsigned i = 0; i < bus->window_count; i++) {
        const struct bus_window *window = bus->window[i];
        if (window->mapped && !window->ports && window->bytes >= size && spa >= window->base &&
            spa - window->base <= window->bytes - size)
            return window;
    }
    return NULL;
}

static uint64_t bus_mmio_read(void *self, uint64_t spa, unsigned size)
{
    const struct bus_dev *dev = mmio_find(self, spa, size);
    if (dev)
        spend(self, dev->class->access_ns);
    if (dev)
        return dev->class->mmio_read ? dev->class->mmio_read(dev->state, spa - dev->mmio_spa, size)
                                     : UINT64_MAX;
    const struct bus_window *window = window_find(self, spa, size);
    return window && window->read ? window->read(window->self, spa - window->base, size)
                                  : UINT64_MAX;
}

static void bus_mmio_write(void *self, uint64_t spa, unsigned size, uint64_t value)
{
    const struct bus_dev *dev = mmio_find(self, spa, size);
    if (dev) {
        spend(self, dev->class->access_ns);
        if (dev->class->mmio_write)
            dev->class->mmio_write(dev->state, spa - dev->mmio_spa, size, value);
        return;
    }
    const struct bus_window *window = window_find(self, spa, size);
    if (window && window->write)
        window->write(window->self, spa - window->base, size, value);
}

const struct port_ops bus_port_ops = { .read = bus_port_read, .write = bus_port_write };
const struct mmio_ops bus_mmio_ops = { .read = bus_mmio_read, .write = bus_mmio_write };

/* The bus: which device answers which port and which physical address. */
#ifndef DEVICES_BUS_H
#define DEVICES_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "emu/base/clock.h"
#include "emu/base/probe.h"
#include "emu/base/snap.h"
#include "emu/cpu/state.h"
#include "paging/memory.h"

struct bus;

/* A wire to an interrupt controller's input. `set` may be NULL: not connected. */
struct irq_line {
    void (*set)(void *self, unsigned line, bool level);
    void *self;
    unsigned line;
};

static inline void irq_set(const struct irq_line *irq, bool level)
{
    if (irq->set)
        irq->set(irq->self, irq->line, level);
}

struct port_range {
    uint16_t base, count;
};
#define DEV_PORT_RANGES 4

/* CHOICE: an access to a device that programs poll for time to pass, or for a bit to change, takes as long as on a PC with
 * an LPC bus: half a microsecond to one. At one nanosecond each a poll of a second would be a thousand million
 * instructions. All other accesses take no time but the instruction's. */
#define BUS_ACCESS_NS 500u

/* What a kind of device is. All callbacks may be NULL. They have no effects outside the device except
 * through the lines and callbacks it was given. */
struct dev_class {
    const char *name;
    struct port_range ports[DEV_PORT_RANGES]; /* mapped by bus_add(); count 0 ends the list */
    unsigned port_size;                       /* widest port access it takes: 1, 2 or 4 bytes */
    unsigned access_ns;                       /* how long an access takes; see BUS_ACCESS_NS */
    uint64_t mmio_base, mmio_size;            /* mapped by bus_add() if mmio_size is not 0 */
    size_t state_size;
    void (*reset)(void *self);
    void (*fini)(void *self); /* give back deadlines and memory; the bus frees the state itself */
    uint32_t (*port_read)(void *self, uint16_t port, unsigned size);
    void (*port_write)(void *self, uint16_t port, unsigned size, uint32_t value);
    uint64_t (*mmio_read)(void *self, uint64_t offset, unsigned size);
    void (*mmio_write)(void *self, uint64_t offset, unsigned size, uint64_t value);
    /* Name all state: emu/base/snap.h. What is kept lazily is brought up to clock->highest_ns before, without effects that
     * anybody could notice. After loading, what is derived is made anew without telling anybody (wires are state of the
     * devices at both ends), and whatever the pass was given, the device can be reset, loaded again and freed. */
    void (*state)(void *self, struct snap *snap);
    uint32_t state_version; /* of what `state` names, from 1 on */
};

/* Make an empty bus. All pointers are borrowed; memory may be NULL for a bus without MMIO and DMA, else
 * it routes its MMIO here from now on. NULL without memory on the workstation. */
struct bus *bus_new(struct memory *memory, struct vclock *clock, struct probes *probes);
void bus_free(struct bus *bus); /* frees the devices; NULL is allowed */

/* Add a device: its zeroed state, owned by the bus, mapped where its class says. Its reset is not called: the
 * caller configures first. NULL if there is no room or a port is taken (nothing is mapped then). */
void *bus_add(struct bus *bus, const struct dev_class *class);

/* Map `count` further ports for a device made by bus_add(). false (nothing mapped): a port is taken or the
 * range leaves 0-ffff. */
bool bus_map_ports(struct bus *bus, void *dev, uint32_t base, uint32_t count);

/* Move a device's MMIO window; size_bytes 0 hides it. RAM and ROM at the same place win. */
void bus_map_mmio(struct bus *bus, void *dev, uint64_t spa, uint64_t size_bytes);

/* Registers whose place moves while the machine runs, as those behind a PCI base address register do. The struct is part
 * of a device's state; everything but mapped and base is filled in before bus_add_window(). */
struct bus_window {
    unsigned access_ns; /* how long an access takes */
    uint64_t (*read)(void *self, uint64_t offset, unsigned size);
    void (*write)(void *self, uint64_t offset, unsigned size, uint64_t value);
    void *self;
    uint64_t bytes;
    bool ports;        /* I/O ports; else memory */
    uint8_t port_size; /* widest port access it takes: 1, 2 or 4 bytes */
    bool mapped;       /* the bus's: it answers at base */
    uint64_t base;
};

/* Make a window known, mapped nowhere. false: there are too many. */
bool bus_add_window(struct bus *bus, struct bus_window *window);

/* Move a window, or hide it. Where windows meet, the one that was added first answers; where a window meets ports or
 * memory that a device was given for good, the device does, and RAM and ROM before both. Ports beyond FFFFh do not
 * exist. */
void bus_move_window(struct bus *bus, struct bus_window *window, bool mapped, uint64_t base);

/* Reset every device, in the order they were added. */
void bus_reset(struct bus *bus);

/* Every device's state, in the order they were added, each as a section with the name of its class. */
void bus_state(struct bus *bus, struct snap *snap);

/* Where a device answers. */
struct bus_place {
    const char *name; /* of its class */
    unsigned instance;
    bool ports;           /* I/O ports; else memory */
    uint64_t base, bytes; /* bytes 0: nowhere; told once of each device, before its places */
};

/* Tell of every device, in the order they were added, and of its places as they are now. */
void bus_places(const struct bus *bus, void (*tell)(void *self, const struct bus_place *place),
                void *self);

struct memory *bus_memory(const struct bus *bus);
struct vclock *bus_clock(const struct bus *bus);

/* A device's own accesses to memory: all of [spa, spa + len), or false, and nothing is copied: a byte is no RAM (ROM may be
 * read), or the processor protects it from devices, or there is no memory. */
bool bus_dma_read(const struct bus *bus, uint64_t spa, void *to, size_t len);
bool bus_dma_write(const struct bus *bus, uint64_t spa, const void *from, size_t len);

/* Tell probe clients about a guest error or something not emulated. text is static. */
void bus_tell(const struct bus *bus, enum probe_kind kind, const char *text);

/* Ports and MMIO as the CPU and the memory see them; self is the bus. Accesses wider than a device takes
 * are split, low part first; what nobody answers reads all ones. */
extern const struct port_ops bus_port_ops;
extern const struct mmio_ops bus_mmio_ops;

#endif

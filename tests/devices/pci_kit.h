/* A PCI bus with memory behind it, and configuration accesses as a program makes them. */
#ifndef TESTS_DEVICES_PCI_KIT_H
#define TESTS_DEVICES_PCI_KIT_H

#include "tests/devices/kit.h"

#include "devices/pci.h"

#define PCI_KIT_RAM (32u << 20)

struct pci_kit {
    struct kit kit; /* clock, probes, and the bus */
    struct memory *memory;
    struct pci_bus *pci;
    struct kit_line pirq[PCI_PIRQS];
};

static inline void pci_kit_open(struct pci_kit *p)
{
    memset(p, 0, sizeof(*p));
    kit_open(&p->kit);
    bus_free(p->kit.bus);
    p->memory = memory_new(PCI_KIT_RAM);
    ck_assert_ptr_nonnull(p->memory);
    p->kit.bus = bus_new(p->memory, &p->kit.clock, &p->kit.probes);
    p->pci = pci_bus_add(p->kit.bus);
    ck_assert_ptr_nonnull(p->pci);
    struct irq_line line[PCI_PIRQS];
    for (unsigned i = 0; i < PCI_PIRQS; i++)
        line[i] = kit_line_to(&p->pirq[i]);
    pci_bus_set_pirqs(p->pci, line);
}

static inline void pci_kit_close(struct pci_kit *p)
{
    kit_close(&p->kit);
    memory_free(p->memory);
}

static inline uint32_t port_read(struct pci_kit *p, uint16_t port, unsigned size)
{
    return bus_port_ops.read(p->kit.bus, port, size);
}

static inline void port_write(struct pci_kit *p, uint16_t port, unsigned size, uint32_t value)
{
    bus_port_ops.write(p->kit.bus, port, size, value);
}

/* Configuration mechanism 1. */
static inline void config_address(struct pci_kit *p, uint8_t devfn, unsigned offset)
{
    port_write(p, 0xcf8, 4, 0x80000000u | (uint32_t)devfn << 8 | (offset & 0xfc));
}

static inline uint32_t config_in(struct pci_kit *p, uint8_t devfn, unsigned offset, unsigned size)
{
    config_address(p, devfn, offset);
    return port_read(p, (uint16_t)(0xcfc + (offset & 3)), size);
}

static inline void config_out(struct pci_kit *p, uint8_t devfn, unsigned offset, unsigned size,
                              uint32_t value)
{
    config_address(p, devfn, offset);
    port_write(p, (uint16_t)(0xcfc + (offset & 3)), size, value);
}

static inline uint64_t kit_hash(struct pci_kit *p)
{
    return kit_bus_hash(p->kit.bus);
}

/* Of a function alone. */
static inline uint64_t kit_function_hash(struct pci_device *dev)
{
    uint64_t hash = 1;
    struct snap snap;
    snap_hash(&snap, kit_hash_bytes, &hash);
    pci_device_state(dev, &snap);
    return hash;
}

#endif

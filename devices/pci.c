/* The PCI bus: configuration mechanism 1 (PCI 3.2.2.3.2) and interrupt wires.
 *
 * CHOICE: bits 30:24 and 1:0 of CONFIG_ADDRESS read as zero, as PCI has it, and nothing behind bus 0 exists. */
#include "devices/pci_priv.h"

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA 0xcfc
#define MESSAGES 0xfeeu /* bits 31:20 of their addresses */
#define ADDRESS_ENABLE 0x80000000u
#define ADDRESS_BITS 0x80fffffcu

struct pci_bus {
    uint32_t address;
    struct pci_neighbour neighbour;
    struct pci_messages messages;
    struct irq_line pirq[PCI_PIRQS];
    uint8_t driven[PCI_PIRQS]; /* how many functions drive each */
    struct pci_device *function[PCI_FUNCTIONS];
    struct bus *bus;
};

struct pci_device *pci_bus_device(const struct pci_bus *pci, uint8_t devfn)
{
    return pci->function[devfn];
}

unsigned pci_free_slot(const struct pci_bus *pci, unsigned slot)
{
    while (slot < PCI_SLOTS && pci->function[pci_devfn(slot, 0)])
        slot++;
    return slot;
}

struct bus *pci_bus_bus(const struct pci_bus *pci)
{
    return pci->bus;
}

bool pci_bus_attach(struct pci_bus *pci, struct pci_device *dev, uint8_t devfn)
{
    if (pci->function[devfn])
        return false;
    pci->function[devfn] = dev;
    return true;
}

/* At most 256 functions share a wire, and none of slot 0 does. */
void pci_bus_load(struct pci_bus *pci, uint8_t devfn, unsigned pin, bool level)
{
    pci->driven[pci_pirq(devfn, pin)] += level ? 1 : -1;
}

void pci_bus_drive(struct pci_bus *pci, uint8_t devfn, unsigned pin, bool level)
{
    unsigned wire = pci_pirq(devfn, pin);
    unsigned before = pci->driven[wire];
    pci_bus_load(pci, devfn, pin, level);
    if (!before != !pci->driven[wire])
        irq_set(&pci->pirq[wire], level);
}

void pci_bus_set_pirqs(struct pci_bus *pci, const struct irq_line line[PCI_PIRQS])
{
    for (unsigned i = 0; i < PCI_PIRQS; i++) {
        pci->pirq[i] = line[i];
        if (pci->driven[i])
            irq_set(&line[i], true);
    }
}

void pci_bus_set_messages(struct pci_bus *pci, const struct pci_messages *messages)
{
    pci->messages = *messages;
}

void pci_bus_message(struct pci_device *dev, uint64_t address, uint32_t data)
{
    const struct pci_messages *messages = &dev->bus->messages;
    const uint8_t bytes[4] = { (uint8_t)data, (uint8_t)(data >> 8), (uint8_t)(data >> 16),
                               (uint8_t)(data >> 24) };
    if (address >> 20 != MESSAGES)
        (void)pci_dma_write(dev, address, bytes, sizeof(bytes));
    else if (messages->send && (pci_command(dev) & PCI_COMMAND_MASTER))
        messages->send(messages->self, (uint32_t)address, data);
}

void pci_bus_set_neighbour(struct pci_bus *pci, const struct pci_neighbour *neighbour)
{
    pci->neighbour = *neighbour;
}

uint32_t pci_config_read(struct pci_bus *pci, uint8_t devfn, unsigned offset, unsigned size)
{
    struct pci_device *dev = pci->function[devfn];
    uint32_t value = 0;
    if (!dev)
        return UINT32_MAX;
    if (dev->hooks.reading)
        dev->hooks.reading(dev->self, offset, size);
    for (unsigned i = 0; i < size && offset + i < PCI_CONFIG_BYTES; i++)
        value |= (uint32_t)dev->config[offset + i] << (8 * i);
    return value;
}

void pci_config_write(struct pci_bus *pci, uint8_t devfn, unsigned offset, unsigned size,
                      uint32_t value)
{
    struct pci_device *dev = pci->function[devfn];
    if (dev)
        pci_device_write(dev, offset, size, value);
}

static uint32_t pci_read(void *self, uint16_t port, unsigned size)
{
    struct pci_bus *pci = self;
    uint8_t devfn = (uint8_t)(pci->address >> 8);
    if (port == CONFIG_ADDRESS && size == 4)
        return pci->address;
    if (port < CONFIG_DATA)
        return pci->neighbour.read ? pci->neighbour.read(pci->neighbour.self, port, size)
                                   : UINT32_MAX;
    if (!(pci->address & ADDRESS_ENABLE) || (pci->address >> 16 & 0xff) != 0)
        return UINT32_MAX;
    return pci_config_read(pci, devfn, (pci->address & 0xfc) | (port & 3), size);
}

static void pci_write(void *self, uint16_t port, unsigned size, uint32_t value)
{
    struct pci_bus *pci = self;
    uint8_t devfn = (uint8_t)(pci->address >> 8);
    if (port == CONFIG_ADDRESS && size == 4) {
        pci->address = value & ADDRESS_BITS;
    } else if (port < CONFIG_DATA) {
        if (pci->neighbour.write)
            pci->neighbour.write(pci->neighbour.self, port, size, value);
    } else if ((pci->address & ADDRESS_ENABLE) && (pci->address >> 16 & 0xff) == 0) {
        pci_config_write(pci, devfn, (pci->address & 0xfc) | (port & 3), size, value);
    }
}

static void pci_reset(void *self)
{
    struct pci_bus *pci = self;
    pci->address = 0;
    for (unsigned i = 0; i < PCI_FUNCTIONS; i++)
        if (pci->function[i])
            pci_device_reset(pci->function[i]);
}

/* Functions are named by their devices, and tell what became of their pins. */
static void pci_state(void *self, struct snap *snap)
{
    struct pci_bus *pci = self;
    SNAP(snap, pci, address);
    if (snap_loading(snap))
        pci->address &= ADDRESS_BITS;
}

static const struct dev_class dev_pci = {
    .name = "pci",
    .ports = { { CONFIG_ADDRESS, 8 } },
    .port_size = 4,
    .state_size = sizeof(struct pci_bus),
    .reset = pci_reset,
    .port_read = pci_read,
    .port_write = pci_write,
    .state = pci_state,
    .state_version = 1,
};

struct pci_bus *pci_bus_add(struct bus *bus)
{
    struct pci_bus *pci = bus_add(bus, &dev_pci);
    if (pci)
        pci->bus = bus;
    return pci;
}

/* What firmware does on a PCI bus, for machines that start an image without any: places for all base address registers,
 * the largest first, so that none leaves a gap, and interrupt lines. PCI 6.2.5, 6.2.4 "Interrupt Line". */
#include "devices/pci_priv.h"

/* Whatever the machine has, no RAM and no chip is there. Ports are those that SeaBIOS gives. */
#define MEMORY_FIRST UINT64_C(0xe0000000)
#define MEMORY_END UINT64_C(0xfec00000)
#define PORTS_FIRST UINT64_C(0xc000)
#define PORTS_END UINT64_C(0x10000)
#define LARGEST (UINT64_C(1) << 28)
#define SMALLEST UINT64_C(4)

struct space {
    uint64_t next, end;
};

static void place(struct pci_device *dev, unsigned index, uint64_t base)
{
    unsigned offset = pci_bar_offset(index);
    pci_device_write(dev, offset, 4, (uint32_t)base);
    if (dev->bar[index].kind == PCI_BAR_MEM64)
        pci_device_write(dev, offset + 4, 4, (uint32_t)(base >> 32));
}

/* All BARs of this size. What has no room stays at 0, where it does not answer. */
static void assign_size(struct pci_device *dev, uint64_t bytes, struct space *ports,
                        struct space *memory)
{
    for (unsigned i = 0; i < PCI_BARS; i++) {
        const struct pci_bar *bar = &dev->bar[i];
        struct space *space = bar->kind == PCI_BAR_IO ? ports : memory;
        if (!bar->kind || bar->window.bytes != bytes || space->end - space->next < bytes)
            continue;
        place(dev, i, space->next);
        space->next += bytes;
    }
}

/* A VGA also answers at ports and memory of old, for which it has no BARs: PCI Code and ID Assignment, 1.4. */
static uint16_t wants(const struct pci_device *dev)
{
    bool vga = dev->config[PCI_CLASS + 2] == 0x03 && !dev->config[PCI_CLASS + 1] &&
               !dev->config[PCI_CLASS];
    uint16_t command = vga ? PCI_COMMAND_IO | PCI_COMMAND_MEMORY : 0;
    for (unsigned i = 0; i < PCI_BARS; i++)
        if (dev->bar[i].kind)
            command |= dev->bar[i].kind == PCI_BAR_IO ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
    return command;
}

static void enable(struct pci_device *dev, const int irq[PCI_PIRQS])
{
    uint8_t pin = dev->config[PCI_INTERRUPT_PIN];
    int line = pin ? irq[pci_pirq(dev->devfn, pin)] : -1;
    if (wants(dev))
        pci_device_write(dev, PCI_COMMAND, 2, pci_command(dev) | wants(dev));
    if (line >= 0)
        pci_device_write(dev, PCI_INTERRUPT_LINE, 1, (uint32_t)line);
}

void pci_firmware_init(struct pci_bus *pci, const int irq[PCI_PIRQS])
{
    struct space ports = { PORTS_FIRST, PORTS_END }, memory = { MEMORY_FIRST, MEMORY_END };
    for (uint64_t bytes = LARGEST; bytes >= SMALLEST; bytes /= 2)
        for (unsigned devfn = 0; devfn < PCI_FUNCTIONS; devfn++)
            if (pci_bus_device(pci, (uint8_t)devfn))
                assign_size(pci_bus_device(pci, (uint8_t)devfn), bytes, &ports, &memory);
    for (unsigned devfn = 0; devfn < PCI_FUNCTIONS; devfn++)
        if (pci_bus_device(pci, (uint8_t)devfn))
            enable(pci_bus_device(pci, (uint8_t)devfn), irq);
}

/* Between the PCI bus and the functions on it. */
#ifndef DEVICES_PCI_PRIV_H
#define DEVICES_PCI_PRIV_H

#include "devices/pci.h"

/* pci.c */
struct bus *pci_bus_bus(const struct pci_bus *pci);
bool pci_bus_attach(struct pci_bus *pci, struct pci_device *dev, uint8_t devfn);

#define PCI_FUNCTIONS 256

/* Which PIRQ a pin (1 to 4) of a function drives. */
static inline unsigned pci_pirq(uint8_t devfn, unsigned pin)
{
    return (pin - 1 + (devfn >> 3) + PCI_PIRQS - 1) % PCI_PIRQS;
}

/* A function writes a doubleword: an interrupt message, or whatever software has made of it. */
void pci_bus_message(struct pci_device *dev, uint64_t address, uint32_t data);

/* A function's pin changes. */
void pci_bus_drive(struct pci_bus *pci, uint8_t devfn, unsigned pin, bool level);

/* The same, but nobody hears of it: the other end of the wire is loaded, too. */
void pci_bus_load(struct pci_bus *pci, uint8_t devfn, unsigned pin, bool level);

/* pci_device.c */
unsigned pci_bar_offset(unsigned index);
void pci_device_write(struct pci_device *dev, unsigned offset, unsigned size, uint32_t value);
void pci_device_reset(struct pci_device *dev);

#endif

/* MSI-X: interrupts as messages, one for each vector of a function. PCI Local Bus Specification 3.0, 6.8.2 "MSI-X Capability
 * and Table Structures". */
#ifndef DEVICES_PCI_MSIX_H
#define DEVICES_PCI_MSIX_H

#include "devices/pci.h"

#define PCI_MSIX_MOST 32
#define PCI_MSIX_NONE 0xffffu /* no vector */

struct pci_msix_vector {
    uint64_t address;
    uint32_t data;
    bool masked;
};

/* Part of a device's state. The bus resets it with the function that it belongs to, which also names it. */
struct pci_msix {
    struct pci_device *dev;
    uint8_t capability;
    unsigned count;
    uint32_t pending; /* vectors that came while they were masked */
    struct pci_msix_vector vector[PCI_MSIX_MOST];
};

/* Give a function `count` vectors: the capability at `capability` of its configuration space, the table behind base
 * address register `bar` (4 KiB of memory). Before pci_add(). */
void pci_msix_add(struct pci_msix *msix, struct pci_device *dev, unsigned bar, unsigned capability,
                  unsigned count);

/* Has software turned it on? Then the function's pin is silent. */
bool pci_msix_enabled(const struct pci_msix *msix);

/* Send the message of a vector, or keep it pending while that is masked. A number that is no vector does nothing. */
void pci_msix_notify(struct pci_msix *msix, unsigned vector);

/* For pci_device.c. */
void pci_msix_written(struct pci_msix *msix);
void pci_msix_reset(struct pci_msix *msix);
void pci_msix_state(struct pci_msix *msix, struct snap *snap);

#endif

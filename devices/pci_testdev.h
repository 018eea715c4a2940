/* pci-testdev: registers behind PCI base address registers, for bare-metal tests. */
#ifndef DEVICES_PCI_TESTDEV_H
#define DEVICES_PCI_TESTDEV_H

#include "devices/pci.h"

struct pci_testdev;

/* Add it in the first free slot from PCI_FIRST_SLOT on: BAR 0 is memory, BAR 1 I/O. NULL: no room. */
struct pci_testdev *pci_testdev_add(struct bus *bus, struct pci_bus *pci);

#endif

/* The ways a program resets a PC: ports CF9h and 92h, and what the keyboard controller asks for; the A20 line. */
#ifndef DEVICES_RESET_PORTS_H
#define DEVICES_RESET_PORTS_H

#include "devices/pci.h"

struct reset_ports;

/* Who listens; both may be NULL. They are called inside the guest's port write. */
struct reset_wires {
    void (*reset)(void *self);          /* note the wish and stop the run loop */
    void (*a20)(void *self, bool open); /* the A20 line moved; also at a reset of the device */
    void *self;
};

/* Add them; CF9h to the PCI bus, whose configuration address it lies in. */
struct reset_ports *reset_ports_add(struct bus *bus, struct pci_bus *pci, struct reset_wires wires);

/* Pass on a wish to reset. */
void reset_ports_ask(struct reset_ports *ports);

/* The latch of A20, which others move as well as port 92h. */
bool reset_ports_a20(const struct reset_ports *ports);
void reset_ports_set_a20(struct reset_ports *ports, bool open);

#endif

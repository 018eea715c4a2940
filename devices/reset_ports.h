/* The ways a program resets a PC: ports CF9h, 64h and 92h. */
#ifndef DEVICES_RESET_PORTS_H
#define DEVICES_RESET_PORTS_H

#include "devices/bus.h"

struct reset_ports;

/* Add them. `reset` is called inside the guest's port write: it only notes the wish and stops the run loop. */
struct reset_ports *reset_ports_add(struct bus *bus, void (*reset)(void *self), void *self);

#endif

/* The APM control and status ports B2h and B3h, by which programs call the SMM handler. */
#ifndef DEVICES_APM_H
#define DEVICES_APM_H

#include "devices/bus.h"

struct apm;

/* Add them. `control` is called inside the guest's write of port B2h: it may signal SMI to the processor that writes. */
struct apm *apm_add(struct bus *bus, void (*control)(void *self, uint8_t value), void *self);

#endif

/* The chipset's part in legacy x87 errors: FERR# becomes IRQ 13, port F0h answers with IGNNE#. */
#ifndef DEVICES_FERR_H
#define DEVICES_FERR_H

#include "devices/bus.h"

struct ferr;

/* Add port F0h. `ignne` is called inside the guest's write: IGNNE# goes to the processors whose FERR# is asserted. */
struct ferr *ferr_add(struct bus *bus, struct irq_line irq, void (*ignne)(void *self), void *self);

/* A processor's FERR# rises: the interrupt is requested until port F0h is written. */
void ferr_rise(struct ferr *ferr);

#endif

/* The 82441FX host bridge: who answers between A0000h and FFFFFh. */
#ifndef DEVICES_I440FX_H
#define DEVICES_I440FX_H

#include "devices/pci.h"

struct i440fx;

/* Add it as function 0.0. */
struct i440fx *i440fx_add(struct bus *bus, struct pci_bus *pci);

#endif

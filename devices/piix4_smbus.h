/* The SMBus host controller inside the PIIX4's power management function. */
#ifndef DEVICES_PIIX4_SMBUS_H
#define DEVICES_PIIX4_SMBUS_H

#include "devices/bus.h"

struct piix4_smbus {
    struct bus_window window; /* its owner moves it */
    uint8_t status, control, command, address, data[2];
};

#define PIIX4_SMBUS_PORTS 16

/* Fill a zeroed one, for bus_add_window(). */
void piix4_smbus_init(struct piix4_smbus *smbus);
void piix4_smbus_reset(struct piix4_smbus *smbus);
void piix4_smbus_state(struct piix4_smbus *smbus, struct snap *snap);

#endif

/* Advanced power management ports, as in Intel's 82371AB (PIIX4) data sheet, "APMC", "APMS": two bytes that are kept; a
 * write of the first may raise SMI, which is for the power management function (piix4_pm.c) to decide. */
#include "devices/apm.h"

#define APM_CONTROL 0xb2

struct apm {
    void (*control)(void *self, uint8_t value);
    void *self;
    uint8_t byte[2]; /* control, status */
};

static uint32_t apm_read(void *self, uint16_t port, unsigned size)
{
    const struct apm *apm = self;
    (void)size; /* one byte ports */
    return apm->byte[port - APM_CONTROL];
}

static void apm_write(void *self, uint16_t port, unsigned size, uint32_t value)
{
    struct apm *apm = self;
    (void)size;
    apm->byte[port - APM_CONTROL] = (uint8_t)value;
    if (port == APM_CONTROL && apm->control)
        apm->control(apm->self, (uint8_t)value);
}

static void apm_reset(void *self)
{
    struct apm *apm = self;
    apm->byte[0] = apm->byte[1] = 0;
}

static void apm_state(void *self, struct snap *snap)
{
    struct apm *apm = self;
    SNAP_ALL(snap, apm, byte);
}

static const struct dev_class dev_apm = {
    .name = "apm",
    .ports = { { APM_CONTROL, 2 } },
    .port_size = 1,
    .state_size = sizeof(struct apm),
    .reset = apm_reset,
    .port_read = apm_read,
    .port_write = apm_write,
    .state = apm_state,
    .state_version = 1,
};

struct apm *apm_add(struct bus *bus, void (*control)(void *self, uint8_t value), void *self)
{
    struct apm *apm = bus_add(bus, &dev_apm);
    if (!apm)
        return NULL;
    apm->control = control;
    apm->self = self;
    return apm;
}

/* Legacy x87 errors, as in Intel's 82371AB (PIIX4) data sheet, "Coprocessor Error Register": FERR# sets a latch, which is
 * IRQ 13; a write of port F0h clears it. */
#include "devices/ferr.h"

#define COPROCESSOR_ERROR 0xf0

struct ferr {
    struct irq_line irq;
    void (*ignne)(void *self);
    void *self;
    bool latched;
};

static void latch(struct ferr *ferr, bool level)
{
    if (ferr->latched == level)
        return;
    ferr->latched = level;
    irq_set(&ferr->irq, level);
}

static void ferr_write(void *self, uint16_t port, unsigned size, uint32_t value)
{
    struct ferr *ferr = self;
    (void)port; /* there is one, and what is written does not matter */
    (void)size;
    (void)value;
    latch(ferr, false);
    if (ferr->ignne)
        ferr->ignne(ferr->self);
}

static void ferr_reset(void *self)
{
    latch(self, false);
}

static void ferr_state(void *self, struct snap *snap)
{
    struct ferr *ferr = self;
    SNAP(snap, ferr, latched);
}

static const struct dev_class dev_ferr = {
    .name = "ferr",
    .ports = { { COPROCESSOR_ERROR, 1 } },
    .port_size = 1,
    .state_size = sizeof(struct ferr),
    .reset = ferr_reset,
    .port_write = ferr_write,
    .state = ferr_state,
    .state_version = 1,
};

struct ferr *ferr_add(struct bus *bus, struct irq_line irq, void (*ignne)(void *self), void *self)
{
    struct ferr *ferr = bus_add(bus, &dev_ferr);
    if (!ferr)
        return NULL;
    ferr->irq = irq;
    ferr->ignne = ignne;
    ferr->self = self;
    return ferr;
}

void ferr_rise(struct ferr *ferr)
{
    latch(ferr, true);
}

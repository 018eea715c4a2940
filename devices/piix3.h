/* The PIIX3's ISA bridge: PCI interrupts to those of the ISA bus. */
#ifndef DEVICES_PIIX3_H
#define DEVICES_PIIX3_H

#include "devices/pci.h"

#define PIIX3_IRQS 16

struct piix3;

/* Add it as function 1.0 and give it PIRQA# to PIRQD# of the bus. `irq`: where its outputs to the interrupt controllers
 * go; other devices may drive them, too. */
struct piix3 *piix3_add(struct bus *bus, struct pci_bus *pci,
                        const struct irq_line irq[PIIX3_IRQS]);

/* What a PC's firmware leaves: PIRQA# to PIRQD# at IRQ 10, 10, 11 and 11. */
void piix3_firmware_init(struct piix3 *piix3);

/* The IRQ that a PIRQ (0 to 3) is routed to; -1: none. */
int piix3_routed(const struct piix3 *piix3, unsigned pirq);

#endif

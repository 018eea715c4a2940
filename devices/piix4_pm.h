/* The PIIX4's power management function: ACPI registers, the PM timer, SMI by software, and the SMBus. */
#ifndef DEVICES_PIIX4_PM_H
#define DEVICES_PIIX4_PM_H

#include "devices/pci.h"

/* Where firmware puts the registers, and those that do not move: for ACPI tables. */
#define PIIX4_PM_PORT 0x600
#define PIIX4_SMBUS_PORT 0x700
#define PIIX4_GPE_PORT 0xafe0
#define PIIX4_GPE_PORTS 4
#define PIIX4_SCI_IRQ 9
#define PIIX4_ACPI_ENABLE 0xf1  /* to port B2h: PM1_CNT.SCI_EN is set */
#define PIIX4_ACPI_DISABLE 0xf0 /* and cleared */

struct piix4_pm;

/* Who listens; all may be NULL. They are called inside the guest's access. */
struct piix4_pm_wires {
    struct irq_line sci;
    void (*smi)(void *self);
    void (*power_off)(void *self); /* sleep state S5, or S4 */
    void *self;
};

/* Add it as function 1.3. */
struct piix4_pm *piix4_pm_add(struct bus *bus, struct pci_bus *pci,
                              const struct piix4_pm_wires *wires);

/* What a PC's firmware leaves: registers at PIIX4_PM_PORT and PIIX4_SMBUS_PORT, SMI by port B2h. */
void piix4_pm_firmware_init(struct piix4_pm *pm);

/* Port B2h was written; fits apm_add(). */
void piix4_pm_apm(void *self, uint8_t value);

/* Somebody pressed the power button. */
void piix4_pm_power_button(struct piix4_pm *pm);

#endif

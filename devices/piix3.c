/* PIIX3, function 0. Intel 82371FB/82371SB (PIIX, PIIX3) data sheet (order number 290550): "PIRQRC[A:D] - PIRQx Route
 * Control Registers". Its reset control is reset_ports.c, its ELCR pic.c, its power management apm.c and piix4_pm.c.
 *
 * CHOICE: registers that tell the chip which ISA cycles to claim (XBCS, ITOM), how fast, and where DMA goes, are kept and
 * have no effect: there is no ISA bus behind it. A PIRQ that is routed to an IRQ which the data sheet reserves
 * (0-2, 8, 13) goes nowhere. */
#include "devices/piix3.h"

#define PIRQRC 0x60 /* four of them */
#define PIRQRC_OFF 0x80
#define PIRQRC_WRITABLE 0x8f
#define PIRQ_ALLOWED 0xdef8u /* 3-7, 9-12, 14, 15 */

struct piix3 {
    struct pci_device pci;
    struct irq_line irq[PIIX3_IRQS];
    uint8_t pirq;    /* which are asserted */
    uint16_t driven; /* which outputs are */
};

int piix3_routed(const struct piix3 *piix3, unsigned pirq)
{
    unsigned route = piix3->pci.config[PIRQRC + pirq];
    return !(route & PIRQRC_OFF) && (PIRQ_ALLOWED >> (route & 15) & 1) ? (int)(route & 15) : -1;
}

static unsigned wanted(const struct piix3 *piix3)
{
    unsigned want = 0;
    for (unsigned i = 0; i < PCI_PIRQS; i++)
        if ((piix3->pirq >> i & 1) && piix3_routed(piix3, i) >= 0)
            want |= 1u << piix3_routed(piix3, i);
    return want;
}

static void update(struct piix3 *piix3)
{
    unsigned want = wanted(piix3), changed = want ^ piix3->driven;
    piix3->driven = (uint16_t)want;
    for (unsigned i = 0; i < PIIX3_IRQS; i++)
        if (changed >> i & 1)
            irq_set(&piix3->irq[i], want >> i & 1);
}

static void set_pirq(void *self, unsigned line, bool level)
{
    struct piix3 *piix3 = self;
    piix3->pirq = (uint8_t)(level ? piix3->pirq | 1u << line : piix3->pirq & ~(1u << line));
    update(piix3);
}

static void piix3_written(void *self, unsigned offset, unsigned size)
{
    (void)offset, (void)size;
    update(self);
}

static void piix3_reset(void *self)
{
    update(self);
}

void piix3_firmware_init(struct piix3 *piix3)
{
    static const uint8_t irq[PCI_PIRQS] = { 10, 10, 11, 11 };
    for (unsigned i = 0; i < PCI_PIRQS; i++)
        piix3->pci.config[PIRQRC + i] = irq[i];
    update(piix3);
}

static void piix3_state(void *self, struct snap *snap)
{
    struct piix3 *piix3 = self;
    pci_device_state(&piix3->pci, snap);
    SNAP_BELOW(snap, piix3, pirq, 1u << PCI_PIRQS);
    if (snap_loading(snap))
        piix3->driven = (uint16_t)wanted(piix3);
}

static const struct dev_class dev_piix3 = {
    .name = "piix3",
    .state_size = sizeof(struct piix3),
    .state = piix3_state,
    .state_version = 1,
};

/* Registers after reset, and which of their bits can be written. */
static const struct {
    uint8_t offset, value, writable;
} registers[] = {
    { 0x4c, 0x4d, 0xff },              /* IORT */
    { 0x4e, 0x03, 0xff },              /* XBCS */
    { 0x4f, 0x00, 0x01 },              /* its second byte: APIC chip select */
    { PIRQRC, 0x80, PIRQRC_WRITABLE }, /* PIRQRCA to D */
    { PIRQRC + 1, 0x80, PIRQRC_WRITABLE },
    { PIRQRC + 2, 0x80, PIRQRC_WRITABLE },
    { PIRQRC + 3, 0x80, PIRQRC_WRITABLE },
    { 0x69, 0x02, 0xfe }, /* TOM */
    { 0x76, 0x0c, 0x8f }, /* MBDMA 0, 1 */
    { 0x77, 0x0c, 0x8f },
    { 0x80, 0x00, 0x3f }, /* APICBASE */
    { 0x82, 0x00, 0x0f }, /* DLC */
};

struct piix3 *piix3_add(struct bus *bus, struct pci_bus *pci, const struct irq_line irq[PIIX3_IRQS])
{
    static const struct pci_identity identity = {
        .vendor = 0x8086, .device = 0x7000, .class_code = 0x060100, .multifunction = true
    };
    static const struct pci_hooks hooks = { .written = piix3_written, .reset = piix3_reset };
    struct piix3 *piix3 = bus_add(bus, &dev_piix3);
    struct irq_line pirq[PCI_PIRQS];
    if (!piix3)
        return NULL;
    for (unsigned i = 0; i < PIIX3_IRQS; i++)
        piix3->irq[i] = irq[i];
    struct pci_device *dev = &piix3->pci;
    pci_init(dev, &identity, &hooks, piix3);
    pci_put16(dev, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    dev->writable[PCI_COMMAND] = 0; /* fixed */
    dev->writable[PCI_COMMAND + 1] = PCI_COMMAND_SERR >> 8;
    dev->writable[PCI_CACHE_LINE] = dev->writable[PCI_INTERRUPT_LINE] = 0;
    dev->config[PCI_STATUS + 1] = 0x02; /* medium DEVSEL# timing */
    for (size_t i = 0; i < sizeof(registers) / sizeof(registers[0]); i++) {
        dev->config[registers[i].offset] = registers[i].value;
        dev->writable[registers[i].offset] = registers[i].writable;
    }
    if (!pci_add(pci, dev, PCI_ISA_BRIDGE))
        return NULL;
    for (unsigned i = 0; i < PCI_PIRQS; i++)
        pirq[i] = (struct irq_line){ .set = set_pirq, .self = piix3, .line = i };
    pci_bus_set_pirqs(pci, pirq);
    return piix3;
}

/* A PCI bus and the functions on it. PCI Local Bus Specification 2.2 (local "PCI"), chapter 6 "Configuration Space".
 *
 * How a device becomes a PCI function: its state struct, made by bus_add() as any other device's, holds a
 * struct pci_device. Its maker calls pci_init(), then pci_add_bar() and pci_add_capability() as needed, may put further
 * registers into config[] and their writable bits into writable[], and ends with pci_add(), which keeps all that as the
 * state after reset. The bus resets configuration space; the device's class its own registers, and its `state` begins with
 * pci_device_state().
 *
 * A device that reaches memory by itself does it with pci_dma_read() and pci_dma_write() alone, and interrupts with
 * pci_set_intx(). */
#ifndef DEVICES_PCI_H
#define DEVICES_PCI_H

#include "devices/bus.h"

struct pci_bus;
struct pci_device;
struct pci_msix;

/* Where the functions of a PC with a 440FX are; slots from 2 on are free for display, network, disks. */
#define PCI_HOST_BRIDGE 0x00 /* 0.0, 82441FX */
#define PCI_ISA_BRIDGE 0x08  /* 1.0, PIIX3 */
#define PCI_IDE 0x09         /* 1.1 */
#define PCI_POWER 0x0b       /* 1.3, PIIX4 */
#define PCI_FIRST_SLOT 2
#define PCI_SLOTS 32

/* --- configuration space, PCI 6.1 to 6.2 ----------------------------------------------------- */

#define PCI_CONFIG_BYTES 256

enum pci_register {
    PCI_VENDOR = 0x00,
    PCI_DEVICE = 0x02,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_REVISION = 0x08,
    PCI_CLASS = 0x09, /* three bytes: interface, subclass, class */
    PCI_CACHE_LINE = 0x0c,
    PCI_LATENCY = 0x0d,
    PCI_HEADER_TYPE = 0x0e,
    PCI_BAR0 = 0x10,
    PCI_SUBSYSTEM_VENDOR = 0x2c,
    PCI_SUBSYSTEM = 0x2e,
    PCI_ROM_BAR = 0x30,
    PCI_CAPABILITIES = 0x34,
    PCI_INTERRUPT_LINE = 0x3c,
    PCI_INTERRUPT_PIN = 0x3d
};

#define PCI_COMMAND_IO 0x0001u
#define PCI_COMMAND_MEMORY 0x0002u
#define PCI_COMMAND_MASTER 0x0004u
#define PCI_COMMAND_SERR 0x0100u
#define PCI_COMMAND_NO_INTX 0x0400u
#define PCI_STATUS_INTX 0x0008u
#define PCI_STATUS_CAPABILITIES 0x0010u

static inline uint8_t pci_devfn(unsigned slot, unsigned function)
{
    return (uint8_t)(slot << 3 | function);
}

/* What does not change of a function. */
struct pci_identity {
    uint16_t vendor, device;
    uint16_t subsystem_vendor, subsystem; /* both 0: as all devices of QEMU have them */
    uint32_t class_code;                  /* class << 16 | subclass << 8 | interface */
    uint8_t revision;
    uint8_t pin;        /* 1 to 4: INTA# to INTD#; 0: no interrupt */
    bool multifunction; /* for function 0 of a slot with others */
};

/* --- base address registers, PCI 6.2.5 --------------------------------------------------------- */

enum pci_bar_kind { PCI_BAR_NONE, PCI_BAR_IO, PCI_BAR_MEM, PCI_BAR_MEM64, PCI_BAR_ROM };

#define PCI_BARS 7
#define PCI_BAR_OF_ROM 6 /* the expansion ROM's, at 30h */

/* What lies behind a BAR. `self` is handed to read and write, offsets count from its start. An access lies wholly
 * inside. Reads that are NULL give all ones, writes that are NULL do nothing. */
struct pci_bar_config {
    enum pci_bar_kind kind;
    bool prefetchable;
    uint64_t bytes;    /* a power of two; at least 4 for I/O, 16 for memory, 2048 for a ROM */
    uint8_t port_size; /* I/O: the widest access it takes, 1, 2 or 4; wider ones are split */
    uint64_t (*read)(void *self, uint64_t offset, unsigned size);
    void (*write)(void *self, uint64_t offset, unsigned size, uint64_t value);
    void *self;
};

struct pci_bar {
    enum pci_bar_kind kind;
    struct bus_window window;
};

/* --- a function --------------------------------------------------------------------------------- */

/* Called with the device's `self`; each may be NULL. */
struct pci_hooks {
    /* Configuration registers [offset, offset + size) were written; config[] has the new values, BARs have moved. */
    void (*written)(void *self, unsigned offset, unsigned size);
    /* They are about to be read: bring config[] up to date. */
    void (*reading)(void *self, unsigned offset, unsigned size);
    /* Configuration space is as after reset: act on it (move windows of your own). */
    void (*reset)(void *self);
};

struct pci_device {
    struct pci_bus *bus; /* NULL before pci_add() */
    uint8_t devfn;
    uint8_t last_capability; /* where the list ends; 0: it is empty */
    bool intx;               /* what pci_set_intx() said */
    bool intx_driven;        /* what the pin shows: not while COMMAND forbids it */
    uint8_t config[PCI_CONFIG_BYTES];
    uint8_t writable[PCI_CONFIG_BYTES];     /* bits that a write sets and clears */
    uint8_t write_clears[PCI_CONFIG_BYTES]; /* bits that writing 1 clears */
    uint8_t initial[PCI_CONFIG_BYTES];      /* config[] after reset */
    struct pci_bar bar[PCI_BARS];
    struct pci_hooks hooks;
    void *self;
    struct pci_msix *msix; /* NULL: it has none */
};

/* Fill a zeroed function's header. */
void pci_init(struct pci_device *dev, const struct pci_identity *identity,
              const struct pci_hooks *hooks, void *self);

/* Give it base address register `index` (0-5, or PCI_BAR_OF_ROM). A 64-bit one takes index + 1 as well. */
void pci_add_bar(struct pci_device *dev, unsigned index, const struct pci_bar_config *config);

/* Append a capability of `bytes` bytes at `offset` (a multiple of 4, from 40h on): its ID and its place in the list.
 * The rest of it is the caller's. PCI 6.7 "Capabilities List". */
void pci_add_capability(struct pci_device *dev, uint8_t id, unsigned offset);

/* Put the function on the bus. false: the place is taken, or the bus has no more windows. */
bool pci_add(struct pci_bus *bus, struct pci_device *dev, uint8_t devfn);

/* Little-endian configuration registers, without regard to masks, for makers and hooks. */
uint16_t pci_get16(const struct pci_device *dev, unsigned offset);
uint32_t pci_get32(const struct pci_device *dev, unsigned offset);
void pci_put16(struct pci_device *dev, unsigned offset, uint16_t value);
void pci_put32(struct pci_device *dev, unsigned offset, uint32_t value);
static inline uint16_t pci_command(const struct pci_device *dev)
{
    return pci_get16(dev, PCI_COMMAND);
}

/* Where a BAR answers now; false: nowhere. */
bool pci_bar_base(const struct pci_device *dev, unsigned index, uint64_t *base);

/* Drive the function's interrupt pin. */
void pci_set_intx(struct pci_device *dev, bool level);

/* Name all of it: configuration space, the pin, MSI-X. After loading the windows of BARs are where the registers say, and
 * no hook was called. Names nothing of a function that is on no bus. */
void pci_device_state(struct pci_device *dev, struct snap *snap);

/* Bus mastering: copy between the function and memory. false, and nothing is copied: COMMAND forbids it, or a byte is
 * no RAM (ROM may be read), or the processor protects it from devices. */
bool pci_dma_read(struct pci_device *dev, uint64_t spa, void *to, size_t len);
bool pci_dma_write(struct pci_device *dev, uint64_t spa, const void *from, size_t len);

/* --- the bus ------------------------------------------------------------------------------------- */

#define PCI_PIRQS 4

/* Who answers accesses of a byte or word at CF8h-CFBh, which are no configuration accesses; may be NULL. */
struct pci_neighbour {
    uint32_t (*read)(void *self, uint16_t port, unsigned size);
    void (*write)(void *self, uint16_t port, unsigned size, uint32_t value);
    void *self;
};

/* Add bus 0 with configuration mechanism 1 at CF8h-CFFh. */
struct pci_bus *pci_bus_add(struct bus *bus);
void pci_bus_set_neighbour(struct pci_bus *pci, const struct pci_neighbour *neighbour);

/* Connect PIRQA# to PIRQD#. Pin p of slot s drives number (p - 1 + s - 1) modulo 4, as on boards with a 440FX. */
void pci_bus_set_pirqs(struct pci_bus *pci, const struct irq_line line[PCI_PIRQS]);

/* Who delivers interrupt messages: writes of functions to FEE0_0000h-FEEF_FFFFh. */
struct pci_messages {
    void (*send)(void *self, uint32_t address, uint32_t data);
    void *self;
};
void pci_bus_set_messages(struct pci_bus *pci, const struct pci_messages *messages);

/* The first slot from `slot` on that is free, or PCI_SLOTS. */
unsigned pci_free_slot(const struct pci_bus *pci, unsigned slot);

/* The function at a place, or NULL. */
struct pci_device *pci_bus_device(const struct pci_bus *pci, uint8_t devfn);

/* What a PC's firmware leaves: all BARs have a place and are enabled, and interrupt lines hold the IRQ of their PIRQ
 * (-1: none). Where the BARs are is the same in each run. */
void pci_firmware_init(struct pci_bus *pci, const int irq[PCI_PIRQS]);

/* A configuration access of 1, 2 or 4 bytes inside one doubleword, as the data port makes it. */
uint32_t pci_config_read(struct pci_bus *pci, uint8_t devfn, unsigned offset, unsigned size);
void pci_config_write(struct pci_bus *pci, uint8_t devfn, unsigned offset, unsigned size,
                      uint32_t value);

#endif

/* 82441FX. Intel 440FX PCIset data sheet (order number 290549): "PAM[6:0] - Programmable Attribute Map Registers",
 * "SMRAM - System Management RAM Control Register".
 *
 * The registers of the DRAM controller's timing and of error reporting are not there: they read 0.
 * CHOICE: D_CLS (data accesses in SMM go to PCI, code accesses to SMRAM) is kept and has no effect, as on QEMU.
 * CHOICE: D_OPEN needs G_SMRAME; on QEMU it does not. */
#include "devices/i440fx.h"

#define PAM0 0x59 /* bits 7:4: F0000h-FFFFFh */
#define PAM_LAST 0x5f
#define SMRAM 0x72

#define PAM_READ 1u
#define PAM_WRITE 2u

#define SMRAM_OPEN 0x40u
#define SMRAM_CLOSED 0x20u
#define SMRAM_LOCK 0x10u
#define SMRAM_ENABLE 0x08u
#define SMRAM_BASE 0x02u /* bits 2:0: A0000h-BFFFFh, the only choice */
/* Which bits can be written: without the lock, and with it. */
#define SMRAM_UNLOCKED (SMRAM_OPEN | SMRAM_CLOSED | SMRAM_LOCK | SMRAM_ENABLE)
#define SMRAM_LOCKED (SMRAM_CLOSED | SMRAM_ENABLE)
#define SMRAM_SPA 0xa0000u
#define SMRAM_BYTES 0x20000u

struct i440fx {
    struct pci_device pci;
    struct bus *bus;
};

static void map(const struct i440fx *bridge, uint32_t spa, uint32_t bytes, unsigned hole)
{
    struct memory *memory = bus_memory(bridge->bus);
    if (memory)
        (void)memory_map_hole(memory, spa, bytes, hole);
}

/* Two attributes of a segment, the same for processors in SMM. */
static void map_pam(const struct i440fx *bridge, uint32_t spa, uint32_t bytes, unsigned attributes)
{
    unsigned hole = 0;
    if (attributes & PAM_READ)
        hole |= HOLE_READ_RAM | HOLE_SMM_READ_RAM;
    if (attributes & PAM_WRITE)
        hole |= HOLE_WRITE_RAM | HOLE_SMM_WRITE_RAM;
    map(bridge, spa, bytes, hole);
}

static void route(const struct i440fx *bridge)
{
    const uint8_t *config = bridge->pci.config;
    unsigned smram = config[SMRAM], hole = 0;
    map_pam(bridge, 0xf0000, 0x10000, config[PAM0] >> 4);
    for (unsigned i = 0; i < 12; i++) /* 16 KiB each from C0000h on */
        map_pam(bridge, 0xc0000 + i * 0x4000, 0x4000, config[PAM0 + 1 + i / 2] >> (i % 2 * 4));
    if (smram & SMRAM_ENABLE)
        hole |= HOLE_SMM_READ_RAM | HOLE_SMM_WRITE_RAM;
    if ((smram & SMRAM_ENABLE) && (smram & SMRAM_OPEN))
        hole |= HOLE_READ_RAM | HOLE_WRITE_RAM;
    map(bridge, SMRAM_SPA, SMRAM_BYTES, hole);
}

/* The lock closes SMRAM, and then neither it nor D_OPEN can be written before a reset. */
static void obey(struct i440fx *bridge)
{
    bool locked = bridge->pci.config[SMRAM] & SMRAM_LOCK;
    if (locked)
        bridge->pci.config[SMRAM] &= (uint8_t)~SMRAM_OPEN;
    bridge->pci.writable[SMRAM] = locked ? SMRAM_LOCKED : SMRAM_UNLOCKED;
    route(bridge);
}

static void i440fx_written(void *self, unsigned offset, unsigned size)
{
    (void)offset, (void)size;
    obey(self);
}

static void i440fx_reset(void *self)
{
    obey(self);
}

static void i440fx_state(void *self, struct snap *snap)
{
    struct i440fx *bridge = self;
    pci_device_state(&bridge->pci, snap);
    if (snap_loading(snap))
        obey(bridge);
}

static const struct dev_class dev_i440fx = {
    .name = "i440fx",
    .state_size = sizeof(struct i440fx),
    .state = i440fx_state,
    .state_version = 1,
};

struct i440fx *i440fx_add(struct bus *bus, struct pci_bus *pci)
{
    static const struct pci_identity identity = {
        .vendor = 0x8086, .device = 0x1237, .revision = 0x02, .class_code = 0x060000
    };
    static const struct pci_hooks hooks = { .written = i440fx_written, .reset = i440fx_reset };
    struct i440fx *bridge = bus_add(bus, &dev_i440fx);
    if (!bridge)
        return NULL;
    bridge->bus = bus;
    struct pci_device *dev = &bridge->pci;
    pci_init(dev, &identity, &hooks, bridge);
    pci_put16(dev, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER); /* fixed */
    dev->writable[PCI_COMMAND] = 0;
    dev->writable[PCI_COMMAND + 1] = PCI_COMMAND_SERR >> 8;
    dev->writable[PCI_CACHE_LINE] = dev->writable[PCI_INTERRUPT_LINE] = 0;
    dev->config[PCI_STATUS + 1] = 0x02; /* medium DEVSEL# timing */
    dev->writable[PAM0] = 0x30;
    for (unsigned pam = PAM0 + 1; pam <= PAM_LAST; pam++)
        dev->writable[pam] = 0x33;
    dev->config[SMRAM] = SMRAM_BASE;
    dev->writable[SMRAM] = SMRAM_UNLOCKED;
    return pci_add(pci, dev, PCI_HOST_BRIDGE) ? bridge : NULL;
}

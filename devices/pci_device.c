/* A PCI function: its configuration space, base address registers, interrupt pin and bus mastering.
 * PCI 6.2 "Configuration Space Functions".
 *
 * CHOICE: a BAR of 0, and one whose window ends at the end of its address space, as while software asks for its size,
 * answers nowhere. */
#include "devices/pci_msix.h"
#include "devices/pci_priv.h"

#include <assert.h>
#include <string.h>

#define SUBSYSTEM_VENDOR 0x1af4
#define SUBSYSTEM 0x1100

#define BAR_IO 1u
#define BAR_64 4u
#define BAR_PREFETCHABLE 8u
#define ROM_ENABLE 1u
#define ROM_ADDRESS 0xfffff800u

#define COMMAND_WRITABLE                                                           \
    (PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_SERR | \
     PCI_COMMAND_NO_INTX)

uint16_t pci_get16(const struct pci_device *dev, unsigned offset)
{
    return (uint16_t)(dev->config[offset] | dev->config[offset + 1] << 8);
}

uint32_t pci_get32(const struct pci_device *dev, unsigned offset)
{
    return pci_get16(dev, offset) | (uint32_t)pci_get16(dev, offset + 2) << 16;
}

void pci_put16(struct pci_device *dev, unsigned offset, uint16_t value)
{
    dev->config[offset] = (uint8_t)value;
    dev->config[offset + 1] = (uint8_t)(value >> 8);
}

void pci_put32(struct pci_device *dev, unsigned offset, uint32_t value)
{
    pci_put16(dev, offset, (uint16_t)value);
    pci_put16(dev, offset + 2, (uint16_t)(value >> 16));
}

static void set_writable32(struct pci_device *dev, unsigned offset, uint32_t mask)
{
    for (unsigned i = 0; i < 4; i++)
        dev->writable[offset + i] = (uint8_t)(mask >> (8 * i));
}

/* --- making ------------------------------------------------------------------------------------ */

void pci_init(struct pci_device *dev, const struct pci_identity *identity,
              const struct pci_hooks *hooks, void *self)
{
    if (hooks)
        dev->hooks = *hooks;
    dev->self = self;
    pci_put16(dev, PCI_VENDOR, identity->vendor);
    pci_put16(dev, PCI_DEVICE, identity->device);
    pci_put32(dev, PCI_REVISION, identity->revision | identity->class_code << 8);
    dev->config[PCI_HEADER_TYPE] = identity->multifunction ? 0x80 : 0;
    bool given = identity->subsystem_vendor || identity->subsystem;
    pci_put16(dev, PCI_SUBSYSTEM_VENDOR, given ? identity->subsystem_vendor : SUBSYSTEM_VENDOR);
    pci_put16(dev, PCI_SUBSYSTEM, given ? identity->subsystem : SUBSYSTEM);
    dev->config[PCI_INTERRUPT_PIN] = identity->pin;
    dev->writable[PCI_COMMAND] = (uint8_t)COMMAND_WRITABLE;
    dev->writable[PCI_COMMAND + 1] = (uint8_t)(COMMAND_WRITABLE >> 8);
    dev->writable[PCI_CACHE_LINE] = dev->writable[PCI_LATENCY] = 0xff;
    dev->writable[PCI_INTERRUPT_LINE] = 0xff;
}

unsigned pci_bar_offset(unsigned index)
{
    return index == PCI_BAR_OF_ROM ? PCI_ROM_BAR : PCI_BAR0 + 4 * index;
}

void pci_add_bar(struct pci_device *dev, unsigned index, const struct pci_bar_config *config)
{
    struct pci_bar *bar = &dev->bar[index];
    uint64_t mask = ~(config->bytes - 1);
    unsigned offset = pci_bar_offset(index);
    assert(index < PCI_BARS && config->bytes && (config->bytes & (config->bytes - 1)) == 0);
    assert((config->kind == PCI_BAR_ROM) == (index == PCI_BAR_OF_ROM));
    bar->kind = config->kind;
    bar->window = (struct bus_window){ .read = config->read,
                                       .write = config->write,
                                       .self = config->self,
                                       .bytes = config->bytes,
                                       .ports = config->kind == PCI_BAR_IO,
                                       .port_size = config->port_size };
    set_writable32(dev, offset, (uint32_t)mask | (config->kind == PCI_BAR_ROM ? ROM_ENABLE : 0));
    if (config->kind == PCI_BAR_MEM64)
        set_writable32(dev, offset + 4, (uint32_t)(mask >> 32));
    pci_put32(dev, offset,
              (config->kind == PCI_BAR_IO ? BAR_IO : 0) |
                  (config->kind == PCI_BAR_MEM64 ? BAR_64 : 0) |
                  (config->prefetchable ? BAR_PREFETCHABLE : 0));
}

void pci_add_capability(struct pci_device *dev, uint8_t id, unsigned offset)
{
    dev->config[offset] = id;
    dev->config[offset + 1] = 0;
    dev->config[dev->last_capability ? dev->last_capability + 1u : PCI_CAPABILITIES] =
        (uint8_t)offset;
    dev->last_capability = (uint8_t)offset;
    dev->config[PCI_STATUS] |= PCI_STATUS_CAPABILITIES;
}

bool pci_add(struct pci_bus *pci, struct pci_device *dev, uint8_t devfn)
{
    for (unsigned i = 0; i < PCI_BARS; i++)
        if (dev->bar[i].kind && !bus_add_window(pci_bus_bus(pci), &dev->bar[i].window))
            return false;
    if (!pci_bus_attach(pci, dev, devfn))
        return false;
    dev->bus = pci;
    dev->devfn = devfn;
    memcpy(dev->initial, dev->config, sizeof(dev->initial));
    return true;
}

/* --- base address registers ---------------------------------------------------------------------- */

/* Where the registers put a BAR, be it enabled or not. false: nowhere. */
static bool bar_place(const struct pci_device *dev, unsigned index, uint64_t *base)
{
    const struct pci_bar *bar = &dev->bar[index];
    uint64_t last = bar->kind == PCI_BAR_MEM64 ? UINT64_MAX
                    : bar->kind == PCI_BAR_IO  ? 0xffff
                                               : UINT32_MAX;
    uint64_t place = pci_get32(dev, pci_bar_offset(index));
    if (bar->kind == PCI_BAR_MEM64)
        place |= (uint64_t)pci_get32(dev, pci_bar_offset(index) + 4) << 32;
    if (bar->kind == PCI_BAR_ROM && !(place & ROM_ENABLE))
        return false;
    place &= ~(bar->window.bytes - 1);
    *base = place;
    return place != 0 && place < last && last - place > bar->window.bytes - 1;
}

bool pci_bar_base(const struct pci_device *dev, unsigned index, uint64_t *base)
{
    const struct pci_bar *bar = &dev->bar[index];
    uint16_t enable = bar->kind == PCI_BAR_IO ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
    return bar->kind && (pci_command(dev) & enable) && bar_place(dev, index, base);
}

static void move_bars(struct pci_device *dev)
{
    for (unsigned i = 0; i < PCI_BARS; i++) {
        uint64_t base = 0;
        if (!dev->bar[i].kind)
            continue;
        bool mapped = pci_bar_base(dev, i, &base);
        bus_move_window(pci_bus_bus(dev->bus), &dev->bar[i].window, mapped, mapped ? base : 0);
    }
}

/* --- interrupts ------------------------------------------------------------------------------------ */

static bool pin_driven(const struct pci_device *dev)
{
    bool messages = dev->msix && pci_msix_enabled(dev->msix);
    return dev->intx && !messages && !(pci_command(dev) & PCI_COMMAND_NO_INTX);
}

static void update_intx(struct pci_device *dev)
{
    bool drive = pin_driven(dev);
    if (dev->intx)
        dev->config[PCI_STATUS] |= PCI_STATUS_INTX;
    else
        dev->config[PCI_STATUS] &= (uint8_t)~PCI_STATUS_INTX;
    if (drive == dev->intx_driven)
        return;
    dev->intx_driven = drive;
    pci_bus_drive(dev->bus, dev->devfn, dev->config[PCI_INTERRUPT_PIN], drive);
}

void pci_set_intx(struct pci_device *dev, bool level)
{
    assert(dev->bus && dev->initial[PCI_INTERRUPT_PIN]);
    dev->intx = level;
    update_intx(dev);
}

/* --- configuration writes, reset ----------------------------------------------------------------- */

static bool touches(unsigned offset, unsigned size, unsigned first, unsigned bytes)
{
    return offset < first + bytes && offset + size > first;
}

void pci_device_write(struct pci_device *dev, unsigned offset, unsigned size, uint32_t value)
{
    for (unsigned i = 0; i < size && offset + i < PCI_CONFIG_BYTES; i++) {
        uint8_t byte = (uint8_t)(value >> (8 * i)), mask = dev->writable[offset + i];
        uint8_t *at = &dev->config[offset + i];
        *at = (uint8_t)(((*at & ~mask) | (byte & mask)) & ~(byte & dev->write_clears[offset + i]));
    }
    update_intx(dev);
    if (dev->msix)
        pci_msix_written(dev->msix);
    if (touches(offset, size, PCI_COMMAND, 2) || touches(offset, size, PCI_BAR0, 24) ||
        touches(offset, size, PCI_ROM_BAR, 4))
        move_bars(dev);
    if (dev->hooks.written)
        dev->hooks.written(dev->self, offset, size);
}

void pci_device_reset(struct pci_device *dev)
{
    memcpy(dev->config, dev->initial, sizeof(dev->config));
    if (dev->msix)
        pci_msix_reset(dev->msix);
    update_intx(dev); /* the device's own reset says whether it still interrupts */
    move_bars(dev);
    if (dev->hooks.reset)
        dev->hooks.reset(dev->self);
}

/* --- state ----------------------------------------------------------------------------------------- */

/* What a function is does not change. */
static bool is_same(const struct pci_device *dev)
{
    return memcmp(dev->config + PCI_VENDOR, dev->initial + PCI_VENDOR, 4) == 0 &&
           memcmp(dev->config + PCI_REVISION, dev->initial + PCI_REVISION, 4) == 0 &&
           dev->config[PCI_INTERRUPT_PIN] == dev->initial[PCI_INTERRUPT_PIN] &&
           (!dev->intx || dev->config[PCI_INTERRUPT_PIN]);
}

/* Everything that follows from configuration space, silently. */
static void settle(struct pci_device *dev)
{
    bool drive = pin_driven(dev);
    if (drive != dev->intx_driven)
        pci_bus_load(dev->bus, dev->devfn, dev->config[PCI_INTERRUPT_PIN], drive);
    dev->intx_driven = drive;
    move_bars(dev);
}

void pci_device_state(struct pci_device *dev, struct snap *snap)
{
    if (!dev->bus)
        return;
    SNAP_ALL(snap, dev, config);
    SNAP(snap, dev, intx);
    if (dev->msix)
        pci_msix_state(dev->msix, snap);
    if (!snap_loading(snap))
        return;
    if (!is_same(dev)) {
        snap_refuse(snap, "config");
        memcpy(dev->config, dev->initial, sizeof(dev->config));
        dev->intx = false;
    }
    settle(dev);
}

/* --- bus mastering --------------------------------------------------------------------------------- */

static bool may_master(const struct pci_device *dev)
{
    return pci_command(dev) & PCI_COMMAND_MASTER;
}

bool pci_dma_read(struct pci_device *dev, uint64_t spa, void *to, size_t len)
{
    return may_master(dev) && bus_dma_read(pci_bus_bus(dev->bus), spa, to, len);
}

bool pci_dma_write(struct pci_device *dev, uint64_t spa, const void *from, size_t len)
{
    return may_master(dev) && bus_dma_write(pci_bus_bus(dev->bus), spa, from, len);
}

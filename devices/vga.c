/* The adapter on its bus: ports, windows, PCI. QEMU's docs/specs/standard-vga tells what BAR 2 holds.
 *
 * CHOICE: there is no EDID block in BAR 2; drivers that miss it take the sizes of the DISPI interface. */
#include "devices/vga_priv.h"

#include <stdlib.h>
#include <string.h>

#define LEGACY_SPA 0xa0000
#define LEGACY_BYTES 0x20000

#define VBE_INDEX_PORT 0x1ce
#define VBE_DATA_PORT 0x1cf
#define VBE_DATA_EVEN_PORT 0x1d0 /* for those that want an aligned one */

#define REGISTERS_BYTES 0x1000
#define REGISTERS_VGA 0x400 /* ports 3C0h-3DFh */
#define REGISTERS_VBE 0x500
#define REGISTERS_QEMU 0x600 /* their size, and byte order */
#define QEMU_BYTES 8
#define QEMU_BIG 0xbebebebeu
#define QEMU_LITTLE 0x1e1e1e1eu

#define ROM_LEAST 2048u

/* --- ports -------------------------------------------------------------------------------------- */

static uint32_t port_read(void *self, uint16_t port, unsigned size)
{
    struct vga *vga = self;
    if (port == VBE_INDEX_PORT)
        return vga->vbe_index;
    if (port == VBE_DATA_PORT || port == VBE_DATA_EVEN_PORT)
        return vga_vbe_read(vga, vga->vbe_index);
    uint32_t value = vga_port_read(vga, port);
    return size == 1 ? value : value | (uint32_t)vga_port_read(vga, (uint16_t)(port + 1)) << 8;
}

static void port_write(void *self, uint16_t port, unsigned size, uint32_t value)
{
    struct vga *vga = self;
    if (port == VBE_INDEX_PORT) {
        vga->vbe_index = (uint16_t)value;
    } else if (port == VBE_DATA_PORT || port == VBE_DATA_EVEN_PORT) {
        vga_vbe_write(vga, vga->vbe_index, (uint16_t)value);
    } else {
        vga_port_write(vga, port, (uint8_t)value);
        if (size == 2)
            vga_port_write(vga, (uint16_t)(port + 1), (uint8_t)(value >> 8));
    }
}

/* --- BAR 2 -------------------------------------------------------------------------------------- */

static uint64_t registers_read_byte(struct vga *vga, uint64_t offset)
{
    if (offset >= REGISTERS_VGA && offset < REGISTERS_VGA + 0x20)
        return vga_port_read(vga, (uint16_t)(0x3c0 + offset - REGISTERS_VGA));
    if (offset >= REGISTERS_VBE && offset < REGISTERS_VBE + 2 * VBE_COUNT)
        return vga_vbe_read(vga, (unsigned)(offset - REGISTERS_VBE) / 2) >> (8 * (offset & 1)) &
               0xff;
    if (offset >= REGISTERS_QEMU && offset < REGISTERS_QEMU + QEMU_BYTES) {
        uint64_t both = QEMU_BYTES | (uint64_t)(vga->big_endian ? QEMU_BIG : QEMU_LITTLE) << 32;
        return both >> (8 * (offset - REGISTERS_QEMU)) & 0xff;
    }
    return 0;
}

static uint64_t registers_read(void *self, uint64_t offset, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= registers_read_byte(self, offset + i) << (8 * i);
    return value;
}

/* Words of the DISPI interface are written whole. */
static void registers_write(void *self, uint64_t offset, unsigned size, uint64_t value)
{
    struct vga *vga = self;
    if (offset >= REGISTERS_VBE && offset < REGISTERS_VBE + 2 * VBE_COUNT && !(offset & 1)) {
        for (unsigned i = 0; i + 1 < size; i += 2)
            vga_vbe_write(vga, (unsigned)(offset + i - REGISTERS_VBE) / 2,
                          (uint16_t)(value >> (8 * i)));
    } else if (offset == REGISTERS_QEMU + 4 && size == 4) {
        if (value == QEMU_BIG || value == QEMU_LITTLE)
            vga->big_endian = value == QEMU_BIG;
    } else {
        for (unsigned i = 0; i < size; i++)
            if (offset + i >= REGISTERS_VGA && offset + i < REGISTERS_VGA + 0x20)
                vga_port_write(vga, (uint16_t)(0x3c0 + offset + i - REGISTERS_VGA),
                               (uint8_t)(value >> (8 * i)));
    }
}

static uint64_t rom_read(void *self, uint64_t offset, unsigned size)
{
    const struct vga *vga = self;
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)vga->rom[offset + i] << (8 * i);
    return value;
}

/* --- the device ---------------------------------------------------------------------------------- */

static void vga_reset(void *self)
{
    struct vga *vga = self;
    vga_memory_clear(vga);
    vga->big_endian = false;
    vga_registers_reset(vga);
    vga_vbe_reset(vga);
}

static void vga_fini(void *self)
{
    struct vga *vga = self;
    free(vga->rom);
    free(vga->memory);
    pages_free(vga->marked);
}

static const struct dev_class dev_vga = {
    .name = "vga",
    .ports = { { 0x3c0, 16 }, { 0x3d0, 16 }, { 0x3b0, 12 }, { VBE_INDEX_PORT, 4 } },
    .port_size = 2,
    .access_ns = BUS_ACCESS_NS,
    .state_size = sizeof(struct vga),
    .reset = vga_reset,
    .fini = vga_fini,
    .port_read = port_read,
    .port_write = port_write,
    .state = vga_state,
    .state_version = 1,
};

static bool copy_rom(struct vga *vga, const void *rom, size_t size)
{
    vga->rom_bytes = ROM_LEAST;
    while (vga->rom_bytes < size)
        vga->rom_bytes *= 2;
    vga->rom = malloc(vga->rom_bytes);
    if (!vga->rom)
        return false;
    memset(vga->rom, 0xff, vga->rom_bytes);
    memcpy(vga->rom, rom, size);
    return true;
}

static void add_bars(struct vga *vga)
{
    struct pci_device *dev = &vga->pci;
    pci_add_bar(dev, 0,
                &(struct pci_bar_config){ .kind = PCI_BAR_MEM,
                                          .prefetchable = true,
                                          .bytes = VGA_MEMORY_BYTES,
                                          .read = vga_linear_read,
                                          .write = vga_linear_write,
                                          .self = vga });
    pci_add_bar(dev, 2,
                &(struct pci_bar_config){ .kind = PCI_BAR_MEM,
                                          .bytes = REGISTERS_BYTES,
                                          .read = registers_read,
                                          .write = registers_write,
                                          .self = vga });
    if (vga->rom)
        pci_add_bar(
            dev, PCI_BAR_OF_ROM,
            &(struct pci_bar_config){
                .kind = PCI_BAR_ROM, .bytes = vga->rom_bytes, .read = rom_read, .self = vga });
}

struct vga *vga_add(struct bus *bus, struct pci_bus *pci, const void *rom, size_t rom_size)
{
    static const struct pci_identity identity = { .vendor = 0x1234,
                                                  .device = 0x1111,
                                                  .subsystem_vendor = 0x1af4,
                                                  .subsystem = 0x1100,
                                                  .class_code = 0x030000,
                                                  .revision = 2 };
    struct vga *vga = rom_size <= VGA_ROM_MOST ? bus_add(bus, &dev_vga) : NULL;
    if (!vga)
        return NULL;
    vga->clock = bus_clock(bus);
    vga->memory = calloc(1, VGA_MEMORY_BYTES);
    if (!vga->memory || (rom_size && !copy_rom(vga, rom, rom_size)))
        return NULL;
    vga_registers_reset(vga);
    vga_vbe_reset(vga);
    vga->legacy = (struct bus_window){
        .read = vga_legacy_read, .write = vga_legacy_write, .self = vga, .bytes = LEGACY_BYTES
    };
    if (!bus_add_window(bus, &vga->legacy))
        return NULL;
    bus_move_window(bus, &vga->legacy, true, LEGACY_SPA);
    pci_init(&vga->pci, &identity, NULL, vga);
    add_bars(vga);
    return pci_add(pci, &vga->pci, pci_devfn(pci_free_slot(pci, PCI_FIRST_SLOT), 0)) ? vga : NULL;
}

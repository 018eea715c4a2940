/* A VGA with the "DISPI" interface of Bochs and QEMU for larger pictures: QEMU's "std" adapter. */
#ifndef DEVICES_VGA_H
#define DEVICES_VGA_H

#include "devices/pci.h"

struct vga;

#define VGA_MEMORY_BYTES (UINT64_C(16) << 20)
#define VGA_ROM_MOST 0x10000u

/* Add it to the next free slot. `rom` is its BIOS, of which a copy is taken; without one (size 0) there is no ROM.
 * NULL without memory, if its ports are taken, or if the ROM has more than VGA_ROM_MOST bytes. */
struct vga *vga_add(struct bus *bus, struct pci_bus *pci, const void *rom, size_t rom_size);

/* The size of the picture in pixels, as it is now; it is blank if it has none. */
struct vga_size {
    unsigned width, height;
};
#define VGA_SIZE_MAX 4096
struct vga_size vga_size(const struct vga *vga);

/* Draw it: rows of `size.width` pixels 00RRGGBBh. `size` is what vga_size() said, and nothing has run since. */
void vga_draw(const struct vga *vga, struct vga_size size, uint32_t *pixels);

/* The picture as text: columns and rows, 0 in graphics modes; and the character and attribute of a cell. */
struct vga_size vga_text_size(const struct vga *vga);
uint16_t vga_text_cell(const struct vga *vga, unsigned column, unsigned row);

/* What its memory holds, kept cheaply, as block_mark() does it: passes over the state without media leave it out. All marks are
 * freed before the adapter. vga_mark() gives NULL without memory. */
struct vga_mark;
struct vga_mark *vga_mark(struct vga *vga);
void vga_return(struct vga *vga, const struct vga_mark *mark);
void vga_mark_free(struct vga_mark *mark);            /* NULL is allowed */
uint64_t vga_mark_bytes(const struct vga_mark *mark); /* that freeing it would give back */
uint64_t vga_mark_memory(const struct vga *vga);      /* bytes that all of them take */

#endif

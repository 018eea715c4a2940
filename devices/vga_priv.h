/* What the files of the VGA share. Names of registers: IBM VGA, "Video Subsystem"; indices into the arrays are those that
 * programs write to the address registers. */
#ifndef DEVICES_VGA_PRIV_H
#define DEVICES_VGA_PRIV_H

#include "devices/pages.h"
#include "devices/vga.h"

#define VGA_SEQ_COUNT 5
#define VGA_GFX_COUNT 9
#define VGA_CRTC_COUNT 25
#define VGA_ATTR_COUNT 21
#define VGA_PAGE 4096u
#define VGA_PAGES (VGA_MEMORY_BYTES / VGA_PAGE)

enum vga_seq { SEQ_CLOCKING = 1, SEQ_MAP_MASK = 2, SEQ_FONT = 3, SEQ_MEMORY = 4 };
#define SEQ_CLOCKING_8_DOTS 0x01
#define SEQ_CLOCKING_HALF 0x08
#define SEQ_CLOCKING_OFF 0x20
#define SEQ_MEMORY_NO_ODD_EVEN 0x04
#define SEQ_MEMORY_CHAIN4 0x08

enum vga_gfx {
    GFX_SET_RESET,
    GFX_ENABLE_SET_RESET,
    GFX_COMPARE,
    GFX_ROTATE,
    GFX_READ_MAP,
    GFX_MODE,
    GFX_MISC,
    GFX_DONT_CARE,
    GFX_BIT_MASK
};
#define GFX_MODE_READ_COMPARE 0x08
#define GFX_MODE_INTERLEAVED 0x20
#define GFX_MODE_256 0x40
#define GFX_MISC_GRAPHICS 0x01

enum vga_crtc {
    CRTC_DISPLAY_END = 0x01,
    CRTC_OVERFLOW = 0x07,
    CRTC_PRESET_ROW = 0x08,
    CRTC_MAX_SCAN = 0x09,
    CRTC_CURSOR_START = 0x0a,
    CRTC_CURSOR_END = 0x0b,
    CRTC_START_HIGH = 0x0c,
    CRTC_START_LOW = 0x0d,
    CRTC_CURSOR_HIGH = 0x0e,
    CRTC_CURSOR_LOW = 0x0f,
    CRTC_RETRACE_END = 0x11,
    CRTC_VERTICAL_END = 0x12,
    CRTC_OFFSET = 0x13,
    CRTC_MODE = 0x17,
    CRTC_LINE_COMPARE = 0x18
};

enum vga_attr {
    ATTR_MODE = 0x10,
    ATTR_PLANES = 0x12,
    ATTR_PANNING = 0x13,
    ATTR_COLOR_SELECT = 0x14
};
#define ATTR_MODE_LINE_GRAPHICS 0x04
#define ATTR_MODE_BLINK 0x08
#define ATTR_MODE_PALETTE_54 0x80 /* bits 5:4 of colours come from the colour select register */
#define ATTR_INDEX_ON 0x20        /* of the index: the palette drives the screen */

enum vbe_index {
    VBE_ID,
    VBE_XRES,
    VBE_YRES,
    VBE_BPP,
    VBE_ENABLE,
    VBE_BANK,
    VBE_VIRT_WIDTH,
    VBE_VIRT_HEIGHT,
    VBE_X_OFFSET,
    VBE_Y_OFFSET,
    VBE_MEMORY_64K,
    VBE_COUNT
};
#define VBE_ENABLED 0x01
#define VBE_CAPABILITIES 0x02
#define VBE_8BIT_DAC 0x20
#define VBE_NO_CLEAR 0x80

/* Of a page of memory. */
#define VGA_TOUCHED 1u /* it may hold something else than zeros */
#define VGA_CHANGED 2u /* and something else than at the last mark */

struct vga {
    struct pci_device pci;
    struct vclock *clock;
    struct bus_window legacy; /* A0000h-BFFFFh */
    uint8_t *rom;
    uint64_t rom_bytes;

    uint8_t seq_index, gfx_index, crtc_index, attr_index;
    bool attr_data; /* the next write to 3C0h is data */
    uint8_t seq[VGA_SEQ_COUNT], gfx[VGA_GFX_COUNT], crtc[VGA_CRTC_COUNT], attr[VGA_ATTR_COUNT];
    uint8_t misc, feature, enable;
    uint8_t dac_mask, dac_state, dac_read, dac_write, dac_step;
    uint8_t dac_latch[3];
    uint8_t dac[256][3];
    uint32_t latch; /* a byte of each plane */

    uint16_t vbe_index;
    uint16_t vbe[VBE_COUNT];
    bool big_endian;

    /* Byte `a` of plane p is memory[4 * a + p]; chained and linear addresses are just so. */
    uint8_t *memory;
    uint8_t touched[VGA_PAGES]; /* VGA_TOUCHED, VGA_CHANGED */
    struct pages *marked;       /* memory as it was at the last mark; NULL: there was none */
};

/* --- vga_registers.c: ports 3B0h-3DFh --- */
uint8_t vga_port_read(struct vga *vga, uint16_t port);
void vga_port_write(struct vga *vga, uint16_t port, uint8_t value);
/* As a BIOS leaves them for 80 columns and 25 rows. */
void vga_registers_reset(struct vga *vga);

/* --- vga_state.c --- */
void vga_state(void *self, struct snap *snap);

/* --- vga_vbe.c: the DISPI interface --- */
uint16_t vga_vbe_read(const struct vga *vga, unsigned index);
void vga_vbe_write(struct vga *vga, unsigned index, uint16_t value);
void vga_vbe_reset(struct vga *vga);
bool vga_vbe_good(
    const struct vga *vga); /* are these values of the registers that a program can bring about? */
static inline bool vga_vbe_on(const struct vga *vga)
{
    return vga->vbe[VBE_ENABLE] & VBE_ENABLED;
}
/* Bytes of a line in memory; of a plane where pixels have 4 bits. */
unsigned vga_vbe_pitch(const struct vga *vga);

/* --- vga_memory.c: the windows into memory --- */
void vga_memory_clear(struct vga *vga);
uint64_t vga_legacy_read(void *self, uint64_t offset, unsigned size);
void vga_legacy_write(void *self, uint64_t offset, unsigned size, uint64_t value);
uint64_t vga_linear_read(void *self, uint64_t offset, unsigned size);
void vga_linear_write(void *self, uint64_t offset, unsigned size, uint64_t value);

#endif

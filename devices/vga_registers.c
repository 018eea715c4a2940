/* The VGA's ports. IBM Personal System/2 Hardware Interface Technical Reference, "Video Subsystem".
 *
 * CHOICE: after a reset the adapter is in text mode with 80 columns and 25 rows, as a BIOS would leave it: kernels that
 * are started without firmware write to it at once.
 * CHOICE: the beam runs as at 640 x 480 and 60 Hz, whatever the registers say: programs that look at status register 1
 * wait for its bits to change, and nobody measures it. */
#include "devices/vga_priv.h"

#include <string.h>

#define MISC_COLOR 0x01 /* the CRTC is at 3D4h, else at 3B4h */

#define STATUS_DISPLAY_OFF 0x01
#define STATUS_RETRACE 0x08
#define LINE_NS 31778u
#define LINES 525u
#define LINES_SHOWN 480u
#define LINE_SHOWN_NS 25422u
#define RETRACE_FIRST 490u
#define RETRACE_END 492u

#define CRTC_PROTECTED 0x80 /* of the retrace end: registers 0-7 are read-only but for a bit of 7 */

enum { DAC_WRITING = 0, DAC_READING = 3 };

static bool port_is_crtc(const struct vga *vga, uint16_t port)
{
    uint16_t base = vga->misc & MISC_COLOR ? 0x3d0 : 0x3b0;
    return (port & ~0xfu) == base;
}

/* Both halves of the range exist; that which MISC does not choose is deaf. */
static bool port_is_deaf(const struct vga *vga, uint16_t port)
{
    return (port & ~0xfu) != 0x3c0 && !port_is_crtc(vga, port);
}

static uint8_t read_status(struct vga *vga)
{
    uint64_t now = clock_now_ns(vga->clock);
    uint64_t line = now / LINE_NS % LINES;
    uint8_t status = 0;
    vga->attr_data = false;
    if (line >= LINES_SHOWN || now % LINE_NS >= LINE_SHOWN_NS)
        status |= STATUS_DISPLAY_OFF;
    if (line >= RETRACE_FIRST && line < RETRACE_END)
        status |= STATUS_RETRACE;
    return status;
}

static uint8_t read_indexed(const uint8_t *regs, unsigned count, unsigned index)
{
    return index < count ? regs[index] : 0xff;
}

static uint8_t read_dac(struct vga *vga)
{
    uint8_t value = vga->dac[vga->dac_read][vga->dac_step];
    if (++vga->dac_step == 3) {
        vga->dac_step = 0;
        vga->dac_read++;
    }
    return value;
}

uint8_t vga_port_read(struct vga *vga, uint16_t port)
{
    if (port_is_deaf(vga, port))
        return 0xff;
    switch (port) {
    case 0x3c0: return vga->attr_data ? 0 : vga->attr_index;
    case 0x3c1: return read_indexed(vga->attr, VGA_ATTR_COUNT, vga->attr_index & 0x1f);
    case 0x3c2: return 0x10; /* a monitor is there */
    case 0x3c3: return vga->enable;
    case 0x3c4: return vga->seq_index;
    case 0x3c5: return read_indexed(vga->seq, VGA_SEQ_COUNT, vga->seq_index);
    case 0x3c6: return vga->dac_mask;
    case 0x3c7: return vga->dac_state;
    case 0x3c8: return vga->dac_write;
    case 0x3c9: return read_dac(vga);
    case 0x3ca: return vga->feature;
    case 0x3cc: return vga->misc;
    case 0x3ce: return vga->gfx_index;
    case 0x3cf: return read_indexed(vga->gfx, VGA_GFX_COUNT, vga->gfx_index);
    case 0x3b4:
    case 0x3d4: return vga->crtc_index;
    case 0x3b5:
    case 0x3d5: return read_indexed(vga->crtc, VGA_CRTC_COUNT, vga->crtc_index);
    case 0x3ba:
    case 0x3da: return read_status(vga);
    default: return 0xff;
    }
}

static void write_attr(struct vga *vga, uint8_t value)
{
    static const uint8_t valid[VGA_ATTR_COUNT] = { 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f,
                                                   0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f,
                                                   0x3f, 0x3f, 0xef, 0xff, 0x3f, 0x0f, 0x0f };
    unsigned index = vga->attr_index & 0x1f;
    if (!vga->attr_data)
        vga->attr_index = value & 0x3f;
    else if (index < VGA_ATTR_COUNT)
        vga->attr[index] = value & valid[index];
    vga->attr_data = !vga->attr_data;
}

static void write_seq(struct vga *vga, uint8_t value)
{
    static const uint8_t valid[VGA_SEQ_COUNT] = { 0x03, 0x3d, 0x0f, 0x3f, 0x0e };
    if (vga->seq_index < VGA_SEQ_COUNT)
        vga->seq[vga->seq_index] = value & valid[vga->seq_index];
}

static void write_gfx(struct vga *vga, uint8_t value)
{
    static const uint8_t valid[VGA_GFX_COUNT] = { 0x0f, 0x0f, 0x0f, 0x1f, 0x03,
                                                  0x7b, 0x0f, 0x0f, 0xff };
    if (vga->gfx_index < VGA_GFX_COUNT)
        vga->gfx[vga->gfx_index] = value & valid[vga->gfx_index];
}

static void write_crtc(struct vga *vga, uint8_t value)
{
    uint8_t index = vga->crtc_index;
    if (index >= VGA_CRTC_COUNT)
        return;
    if (index <= CRTC_OVERFLOW && (vga->crtc[CRTC_RETRACE_END] & CRTC_PROTECTED)) {
        if (index != CRTC_OVERFLOW)
            return;
        value = (uint8_t)((vga->crtc[CRTC_OVERFLOW] & ~0x10) | (value & 0x10));
    }
    vga->crtc[index] = value;
}

/* Colours count when all three parts have come. */
static void write_dac(struct vga *vga, uint8_t value)
{
    vga->dac_latch[vga->dac_step] = value;
    if (++vga->dac_step < 3)
        return;
    vga->dac_step = 0;
    bool wide = vga->vbe[VBE_ENABLE] & VBE_8BIT_DAC;
    for (unsigned i = 0; i < 3; i++)
        vga->dac[vga->dac_write][i] = vga->dac_latch[i] & (wide ? 0xff : 0x3f);
    vga->dac_write++;
}

void vga_port_write(struct vga *vga, uint16_t port, uint8_t value)
{
    if (port_is_deaf(vga, port))
        return;
    switch (port) {
    case 0x3c0: write_attr(vga, value); break;
    case 0x3c2: vga->misc = value & 0xef; break;
    case 0x3c3: vga->enable = value & 1; break;
    case 0x3c4: vga->seq_index = value & 7; break;
    case 0x3c5: write_seq(vga, value); break;
    case 0x3c6: vga->dac_mask = value; break;
    case 0x3c7:
        vga->dac_read = value;
        vga->dac_step = 0;
        vga->dac_state = DAC_READING;
        break;
    case 0x3c8:
        vga->dac_write = value;
        vga->dac_step = 0;
        vga->dac_state = DAC_WRITING;
        break;
    case 0x3c9: write_dac(vga, value); break;
    case 0x3ce: vga->gfx_index = value & 0x0f; break;
    case 0x3cf: write_gfx(vga, value); break;
    case 0x3b4:
    case 0x3d4: vga->crtc_index = value & 0x3f; break;
    case 0x3b5:
    case 0x3d5: write_crtc(vga, value); break;
    case 0x3ba:
    case 0x3da: vga->feature = value & 0x1b; break;
    default: break;
    }
}

/* The 16 colours of a PC at the places where the palette has them: bits 5:3 are a third, bits 2:0 two thirds. */
static void reset_palette(struct vga *vga)
{
    static const uint8_t level[4] = { 0, 0x15, 0x2a, 0x3f };
    for (unsigned i = 0; i < 64; i++)
        for (unsigned part = 0; part < 3; part++)
            vga->dac[i][part] = level[(i >> (2 - part) & 1) * 2 + (i >> (5 - part) & 1)];
    memset(vga->dac[64], 0, sizeof(vga->dac) - sizeof(vga->dac[0]) * 64);
}

void vga_registers_reset(struct vga *vga)
{
    static const uint8_t seq[VGA_SEQ_COUNT] = { 0x03, 0x00, 0x03, 0x00, 0x02 };
    static const uint8_t gfx[VGA_GFX_COUNT] = { 0, 0, 0, 0, 0, 0x10, 0x0e, 0x0f, 0xff };
    static const uint8_t crtc[VGA_CRTC_COUNT] = { 0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf,
                                                  0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00, 0x00,
                                                  0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x1f,
                                                  0x96, 0xb9, 0xa3, 0xff };
    static const uint8_t attr[VGA_ATTR_COUNT] = { 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14,
                                                  0x07, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d,
                                                  0x3e, 0x3f, 0x0c, 0x00, 0x0f, 0x08, 0x00 };
    memcpy(vga->seq, seq, sizeof(seq));
    memcpy(vga->gfx, gfx, sizeof(gfx));
    memcpy(vga->crtc, crtc, sizeof(crtc));
    memcpy(vga->attr, attr, sizeof(attr));
    vga->seq_index = vga->gfx_index = vga->crtc_index = 0;
    vga->attr_index = ATTR_INDEX_ON;
    vga->attr_data = false;
    vga->misc = 0x67;
    vga->feature = 0;
    vga->enable = 1;
    vga->dac_mask = 0xff;
    vga->dac_state = DAC_WRITING;
    vga->dac_read = vga->dac_write = vga->dac_step = 0;
    memset(vga->dac_latch, 0, sizeof(vga->dac_latch));
    vga->latch = 0;
    reset_palette(vga);
}

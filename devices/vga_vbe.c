/* The DISPI interface: sixteen-bit registers at ports 1CEh (index) and 1CFh and 1D0h (data), and in BAR 2. Bochs's
 * "VBE display hardware interface" (bochs-developers' vbe documentation) and QEMU's docs/specs/standard-vga.
 *
 * A picture that does not fit into memory, or is larger than VGA_SIZE_MAX, cannot be enabled: registers keep what they
 * had. */
#include "devices/vga_priv.h"

#include <string.h>

#define ID_FIRST 0xb0c0
#define ID_LAST 0xb0c5
#define MEMORY_64K (VGA_MEMORY_BYTES >> 16)

static bool bpp_exists(unsigned bpp)
{
    return bpp == 4 || bpp == 8 || bpp == 15 || bpp == 16 || bpp == 24 || bpp == 32;
}

static unsigned pitch_of(unsigned bpp, unsigned pixels)
{
    return bpp == 4 ? pixels / 8 : (bpp + 7) / 8 * pixels;
}

unsigned vga_vbe_pitch(const struct vga *vga)
{
    return pitch_of(vga->vbe[VBE_BPP], vga->vbe[VBE_VIRT_WIDTH]);
}

/* How many lines of `pixels` pixels there is memory for. */
static uint64_t lines_of(const struct vga *vga, unsigned pixels)
{
    unsigned pitch = pitch_of(vga->vbe[VBE_BPP], pixels);
    uint64_t bytes = vga->vbe[VBE_BPP] == 4 ? VGA_MEMORY_BYTES / 4 : VGA_MEMORY_BYTES;
    return pitch ? bytes / pitch : 0;
}

static void set_virtual_width(struct vga *vga, unsigned width)
{
    uint64_t lines = lines_of(vga, width);
    if (width < vga->vbe[VBE_X_OFFSET] + vga->vbe[VBE_XRES] ||
        lines < (uint64_t)vga->vbe[VBE_Y_OFFSET] + vga->vbe[VBE_YRES])
        return;
    vga->vbe[VBE_VIRT_WIDTH] = (uint16_t)width;
    vga->vbe[VBE_VIRT_HEIGHT] = (uint16_t)(lines > UINT16_MAX ? UINT16_MAX : lines);
}

static void enable(struct vga *vga, uint16_t value)
{
    bool was = vga_vbe_on(vga);
    if ((value & VBE_ENABLED) && !was) {
        if (!vga->vbe[VBE_XRES] || !vga->vbe[VBE_YRES] ||
            lines_of(vga, vga->vbe[VBE_XRES]) < vga->vbe[VBE_YRES])
            return;
        vga->vbe[VBE_X_OFFSET] = vga->vbe[VBE_Y_OFFSET] = 0;
        set_virtual_width(vga, vga->vbe[VBE_XRES]);
        if (!(value & VBE_NO_CLEAR))
            vga_memory_clear(vga);
    }
    vga->vbe[VBE_BANK] = 0;
    vga->vbe[VBE_ENABLE] = value;
}

uint16_t vga_vbe_read(const struct vga *vga, unsigned index)
{
    if (index >= VBE_COUNT)
        return 0;
    if (vga->vbe[VBE_ENABLE] & VBE_CAPABILITIES) {
        if (index == VBE_XRES || index == VBE_YRES)
            return VGA_SIZE_MAX;
        if (index == VBE_BPP)
            return 32;
    }
    return vga->vbe[index];
}

void vga_vbe_write(struct vga *vga, unsigned index, uint16_t value)
{
    bool on = vga_vbe_on(vga);
    switch (index) {
    case VBE_ID:
        if (value >= ID_FIRST && value <= ID_LAST)
            vga->vbe[VBE_ID] = value;
        break;
    case VBE_XRES:
    case VBE_YRES: /* widths are multiples of 8 */
        if (!on && value <= VGA_SIZE_MAX)
            vga->vbe[index] = index == VBE_XRES ? value & 0xfff8 : value;
        break;
    case VBE_BPP:
        if (!on && bpp_exists(value ? value : 8))
            vga->vbe[VBE_BPP] = value ? value : 8;
        break;
    case VBE_ENABLE: enable(vga, value); break;
    case VBE_BANK:
        if (value < MEMORY_64K)
            vga->vbe[VBE_BANK] = value;
        break;
    case VBE_VIRT_WIDTH:
        if (on)
            set_virtual_width(vga, value);
        break;
    case VBE_X_OFFSET:
        if (on && value + vga->vbe[VBE_XRES] <= vga->vbe[VBE_VIRT_WIDTH])
            vga->vbe[VBE_X_OFFSET] = value;
        break;
    case VBE_Y_OFFSET:
        if (on && value + vga->vbe[VBE_YRES] <= vga->vbe[VBE_VIRT_HEIGHT])
            vga->vbe[VBE_Y_OFFSET] = value;
        break;
    default: break;
    }
}

void vga_vbe_reset(struct vga *vga)
{
    memset(vga->vbe, 0, sizeof(vga->vbe));
    vga->vbe_index = 0;
    vga->vbe[VBE_ID] = ID_LAST;
    vga->vbe[VBE_BPP] = 8;
    vga->vbe[VBE_MEMORY_64K] = MEMORY_64K;
}

bool vga_vbe_good(const struct vga *vga)
{
    const uint16_t *vbe = vga->vbe;
    uint64_t lines = lines_of(vga, vbe[VBE_VIRT_WIDTH]);
    if (vbe[VBE_ID] < ID_FIRST || vbe[VBE_ID] > ID_LAST || vbe[VBE_XRES] > VGA_SIZE_MAX ||
        vbe[VBE_XRES] % 8 || vbe[VBE_YRES] > VGA_SIZE_MAX || !bpp_exists(vbe[VBE_BPP]) ||
        vbe[VBE_BANK] >= MEMORY_64K || vbe[VBE_MEMORY_64K] != MEMORY_64K)
        return false;
    return !vga_vbe_on(vga) || (vbe[VBE_XRES] && vbe[VBE_YRES] &&
                                vbe[VBE_X_OFFSET] + vbe[VBE_XRES] <= vbe[VBE_VIRT_WIDTH] &&
                                vbe[VBE_Y_OFFSET] + vbe[VBE_YRES] <= vbe[VBE_VIRT_HEIGHT] &&
                                vbe[VBE_VIRT_HEIGHT] <= lines);
}

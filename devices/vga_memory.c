/* How programs reach the memory of the VGA. IBM VGA, "Video Memory Read/Write Operations". */
#include "devices/vga_priv.h"

#include <string.h>

static void store(struct vga *vga, uint64_t at, uint8_t value)
{
    vga->memory[at] = value;
    vga->touched[at / VGA_PAGE] = VGA_TOUCHED | VGA_CHANGED;
}

void vga_memory_clear(struct vga *vga)
{
    for (unsigned page = 0; page < VGA_PAGES; page++) {
        if (!(vga->touched[page] & VGA_TOUCHED))
            continue;
        memset(vga->memory + (uint64_t)page * VGA_PAGE, 0, VGA_PAGE);
        vga->touched[page] = VGA_CHANGED;
    }
}

/* --- the linear window --- */

uint64_t vga_linear_read(void *self, uint64_t offset, unsigned size)
{
    const struct vga *vga = self;
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)vga->memory[offset + i] << (8 * i);
    return value;
}

void vga_linear_write(void *self, uint64_t offset, unsigned size, uint64_t value)
{
    struct vga *vga = self;
    for (unsigned i = 0; i < size; i++)
        store(vga, offset + i, (uint8_t)(value >> (8 * i)));
}

/* --- A0000h-BFFFFh --- */

/* Which part of the window answers, and where it leads to in memory of which each address has four bytes.
 * false: nothing answers. */
static bool legacy_offset(const struct vga *vga, uint64_t offset, uint64_t *at)
{
    switch (vga->gfx[GFX_MISC] >> 2 & 3) {
    case 0: *at = offset; return true;
    case 1:
        /* With the DISPI interface the window of 64 KiB moves over all of the memory. */
        *at = offset + (vga_vbe_on(vga) ? (uint64_t)vga->vbe[VBE_BANK] << 16 : 0);
        return offset < 0x10000;
    case 2: *at = offset - 0x10000; return offset >= 0x10000 && offset < 0x18000;
    default: *at = offset - 0x18000; return offset >= 0x18000;
    }
}

static uint32_t planes_at(const struct vga *vga, uint64_t at)
{
    const uint8_t *byte = vga->memory + 4 * at;
    return byte[0] | (uint32_t)byte[1] << 8 | (uint32_t)byte[2] << 16 | (uint32_t)byte[3] << 24;
}

/* The four bits of a nibble, each as a byte of ones or zeros. */
static uint32_t spread(unsigned bits)
{
    return (bits & 1 ? 0xffu : 0) | (bits & 2 ? 0xff00u : 0) | (bits & 4 ? 0xff0000u : 0) |
           (bits & 8 ? 0xff000000u : 0);
}

static bool odd_even(const struct vga *vga)
{
    return !(vga->seq[SEQ_MEMORY] & SEQ_MEMORY_NO_ODD_EVEN);
}

static bool chained(const struct vga *vga)
{
    return vga->seq[SEQ_MEMORY] & SEQ_MEMORY_CHAIN4;
}

static uint8_t read_byte(struct vga *vga, uint64_t offset)
{
    uint64_t at;
    if (!legacy_offset(vga, offset, &at))
        return 0xff;
    if (chained(vga))
        return at < VGA_MEMORY_BYTES ? vga->memory[at] : 0xff;
    if (odd_even(vga)) {
        at = (at >> 1) % (VGA_MEMORY_BYTES / 4);
        unsigned plane = (vga->gfx[GFX_READ_MAP] & 2) | (offset & 1);
        vga->latch = planes_at(vga, at);
        return (uint8_t)(vga->latch >> (8 * plane));
    }
    vga->latch = planes_at(vga, at % (VGA_MEMORY_BYTES / 4));
    if (!(vga->gfx[GFX_MODE] & GFX_MODE_READ_COMPARE))
        return (uint8_t)(vga->latch >> (8 * (vga->gfx[GFX_READ_MAP] & 3)));
    uint32_t differs =
        (vga->latch ^ spread(vga->gfx[GFX_COMPARE])) & spread(vga->gfx[GFX_DONT_CARE]);
    differs |= differs >> 16;
    return (uint8_t) ~(differs | differs >> 8);
}

static uint8_t rotate(uint8_t value, unsigned by)
{
    return (uint8_t)(value >> by | value << (8 - by));
}

static uint32_t combine(const struct vga *vga, uint32_t data, uint32_t mask)
{
    switch (vga->gfx[GFX_ROTATE] >> 3 & 3) {
    case 1: data &= vga->latch; break;
    case 2: data |= vga->latch; break;
    case 3: data ^= vga->latch; break;
    default: break;
    }
    return (data & mask) | (vga->latch & ~mask);
}

/* What a write of `value` makes of the four planes; IBM VGA, "Write modes 0 to 3". */
static uint32_t planes_written(const struct vga *vga, uint8_t value)
{
    const uint8_t *gfx = vga->gfx;
    uint8_t rotated = rotate(value, gfx[GFX_ROTATE] & 7);
    uint32_t mask = gfx[GFX_BIT_MASK] * UINT32_C(0x01010101);
    uint32_t set = spread(gfx[GFX_SET_RESET]), enable = spread(gfx[GFX_ENABLE_SET_RESET]);
    switch (gfx[GFX_MODE] & 3) {
    case 0: return combine(vga, (rotated * UINT32_C(0x01010101) & ~enable) | (set & enable), mask);
    case 1: return vga->latch;
    case 2: return combine(vga, spread(value), mask);
    default: return combine(vga, set, rotated * UINT32_C(0x01010101) & mask);
    }
}

static void write_byte(struct vga *vga, uint64_t offset, uint8_t value)
{
    uint64_t at;
    unsigned map = vga->seq[SEQ_MAP_MASK];
    if (!legacy_offset(vga, offset, &at))
        return;
    if (chained(vga)) {
        if ((map >> (at & 3) & 1) && at < VGA_MEMORY_BYTES)
            store(vga, at, value);
        return;
    }
    if (odd_even(vga)) {
        map &= offset & 1 ? 0xa : 0x5;
        at >>= 1;
    }
    at %= VGA_MEMORY_BYTES / 4;
    uint32_t planes = planes_written(vga, value);
    for (unsigned plane = 0; plane < 4; plane++)
        if (map >> plane & 1)
            store(vga, 4 * at + plane, (uint8_t)(planes >> (8 * plane)));
}

uint64_t vga_legacy_read(void *self, uint64_t offset, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)read_byte(self, offset + i) << (8 * i);
    return value;
}

void vga_legacy_write(void *self, uint64_t offset, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < size; i++)
        write_byte(self, offset + i, (uint8_t)(value >> (8 * i)));
}

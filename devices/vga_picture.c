/* What the screen shows. IBM VGA, "CRT Controller", "Attribute Controller"; the DISPI interface's linear modes.
 *
 * Not shown: smooth scrolling by single pixels, the overscan border, and the phases of blinking: a blinking character
 * and the cursor are always visible. */
#include "devices/vga_priv.h"

#include <string.h>

#define CELL_ROWS_MAX 32
#define FONT_BYTES 32 /* a character's, in plane 2 */

/* --- geometry ------------------------------------------------------------------------------------ */

/* The first line that is not shown. */
static unsigned display_lines(const struct vga *vga)
{
    unsigned overflow = vga->crtc[CRTC_OVERFLOW];
    return (vga->crtc[CRTC_VERTICAL_END] | (overflow & 0x02) << 7 | (overflow & 0x40) << 3) + 1;
}

static unsigned line_compare(const struct vga *vga)
{
    return vga->crtc[CRTC_LINE_COMPARE] | (vga->crtc[CRTC_OVERFLOW] & 0x10u) << 4 |
           (vga->crtc[CRTC_MAX_SCAN] & 0x40u) << 3;
}

static unsigned cell_rows(const struct vga *vga)
{
    return (vga->crtc[CRTC_MAX_SCAN] & 0x1f) + 1u;
}

static unsigned cell_columns(const struct vga *vga)
{
    return vga->seq[SEQ_CLOCKING] & SEQ_CLOCKING_8_DOTS ? 8 : 9;
}

static unsigned start_address(const struct vga *vga)
{
    return vga->crtc[CRTC_START_HIGH] << 8 | vga->crtc[CRTC_START_LOW];
}

/* In graphics the lines of a cell come from one line of memory, but for CGA's and Hercules's modes: there the line's
 * lowest bits are address bits, and each line of a cell is another one. */
static bool lines_are_banks(const struct vga *vga)
{
    return (vga->crtc[CRTC_MODE] & 3) != 3 && cell_rows(vga) > 1;
}

/* How often the beam draws each line of the picture. */
static unsigned repeats(const struct vga *vga)
{
    return (lines_are_banks(vga) ? 1 : cell_rows(vga)) * (vga->crtc[CRTC_MAX_SCAN] & 0x80 ? 2 : 1);
}

static bool is_text(const struct vga *vga)
{
    return !vga_vbe_on(vga) && !(vga->gfx[GFX_MISC] & GFX_MISC_GRAPHICS);
}

static bool is_blank(const struct vga *vga)
{
    if (vga_vbe_on(vga))
        return false;
    return (vga->seq[SEQ_CLOCKING] & SEQ_CLOCKING_OFF) || !(vga->attr_index & ATTR_INDEX_ON);
}

struct vga_size vga_text_size(const struct vga *vga)
{
    if (!is_text(vga) || is_blank(vga))
        return (struct vga_size){ 0, 0 };
    unsigned rows = display_lines(vga) / cell_rows(vga);
    return (struct vga_size){ vga->crtc[CRTC_DISPLAY_END] + 1u, rows ? rows : 1 };
}

struct vga_size vga_size(const struct vga *vga)
{
    if (is_blank(vga))
        return (struct vga_size){ 640, 480 };
    if (vga_vbe_on(vga))
        return (struct vga_size){ vga->vbe[VBE_XRES], vga->vbe[VBE_YRES] };
    if (is_text(vga)) {
        struct vga_size cells = vga_text_size(vga);
        return (struct vga_size){ cells.width * cell_columns(vga), cells.height * cell_rows(vga) };
    }
    unsigned width = (vga->crtc[CRTC_DISPLAY_END] + 1u) * 8;
    unsigned lines = display_lines(vga) / repeats(vga);
    if (vga->gfx[GFX_MODE] & GFX_MODE_256)
        width /= 2;
    return (struct vga_size){ width, lines ? lines : 1 };
}

/* --- colours ------------------------------------------------------------------------------------- */

static uint32_t dac_color(const struct vga *vga, unsigned index)
{
    const uint8_t *c = vga->dac[index & vga->dac_mask];
    if (vga->vbe[VBE_ENABLE] & VBE_8BIT_DAC)
        return (uint32_t)c[0] << 16 | (uint32_t)c[1] << 8 | c[2];
    uint32_t color = 0;
    for (unsigned i = 0; i < 3; i++)
        color = color << 8 | (uint32_t)(c[i] << 2 | c[i] >> 4);
    return color;
}

/* One of 16 colours, through the palette of the attribute controller. */
static uint32_t palette_color(const struct vga *vga, unsigned index)
{
    unsigned select = vga->attr[ATTR_COLOR_SELECT];
    unsigned color = vga->attr[index & vga->attr[ATTR_PLANES] & 0x0f];
    if (vga->attr[ATTR_MODE] & ATTR_MODE_PALETTE_54)
        color = (color & 0x0f) | (select & 3) << 4;
    return dac_color(vga, color | (select & 0x0c) << 4);
}

/* --- text ---------------------------------------------------------------------------------------- */

static uint64_t cell_at(const struct vga *vga, unsigned column, unsigned row)
{
    uint64_t at = start_address(vga) + (uint64_t)row * vga->crtc[CRTC_OFFSET] * 2 + column;
    return 4 * (at % 0x10000);
}

uint16_t vga_text_cell(const struct vga *vga, unsigned column, unsigned row)
{
    const uint8_t *cell = vga->memory + cell_at(vga, column, row);
    return (uint16_t)(cell[0] | cell[1] << 8);
}

/* Where in plane 2 the characters with attribute bit 3 clear (A) or set (B) are: bits 2, 3, 4 and 0, 1, 5 of the
 * character map select register choose among eight places. */
static unsigned font_at(const struct vga *vga, unsigned attribute)
{
    unsigned select = vga->seq[SEQ_FONT];
    unsigned map =
        attribute & 8 ? (select >> 2 & 3) | (select >> 3 & 4) : (select & 3) | (select >> 2 & 4);
    return map < 4 ? map * 0x4000 : (map - 4) * 0x4000 + 0x2000;
}

static bool cursor_covers(const struct vga *vga, uint64_t cell, unsigned line)
{
    unsigned start = vga->crtc[CRTC_CURSOR_START], end = vga->crtc[CRTC_CURSOR_END];
    uint64_t at = (unsigned)(vga->crtc[CRTC_CURSOR_HIGH] << 8 | vga->crtc[CRTC_CURSOR_LOW]);
    return !(start & 0x20) && cell == 4 * at && line >= (start & 0x1f) && line <= (end & 0x1f);
}

static void draw_cell(const struct vga *vga, unsigned column, unsigned row, uint32_t *pixels,
                      unsigned pitch)
{
    uint64_t at = cell_at(vga, column, row);
    unsigned character = vga->memory[at], attribute = vga->memory[at + 1];
    unsigned behind = attribute >> 4 & (vga->attr[ATTR_MODE] & ATTR_MODE_BLINK ? 7 : 15);
    uint32_t ink = palette_color(vga, attribute & 15), paper = palette_color(vga, behind);
    uint64_t font = font_at(vga, attribute) + (uint64_t)character * FONT_BYTES;
    bool joined =
        (vga->attr[ATTR_MODE] & ATTR_MODE_LINE_GRAPHICS) && character >= 0xc0 && character <= 0xdf;
    for (unsigned line = 0; line < cell_rows(vga); line++, pixels += pitch) {
        unsigned bits = vga->memory[4 * (font + line) + 2] << 1;
        bits |= joined ? bits >> 1 & 1 : 0;
        if (cursor_covers(vga, at, line))
            bits = 0x1ff;
        for (unsigned i = 0; i < cell_columns(vga); i++)
            pixels[i] = bits >> (8 - i) & 1 ? ink : paper;
    }
}

static void draw_text(const struct vga *vga, struct vga_size size, uint32_t *pixels)
{
    struct vga_size cells = vga_text_size(vga);
    for (unsigned row = 0; row < cells.height; row++)
        for (unsigned column = 0; column < cells.width; column++)
            draw_cell(vga, column, row,
                      pixels + (uint64_t)row * cell_rows(vga) * size.width +
                          (uint64_t)column * cell_columns(vga),
                      size.width);
}

/* --- graphics ------------------------------------------------------------------------------------- */

static unsigned nibble_of(const uint8_t *planes, unsigned bit)
{
    return (planes[0] >> bit & 1u) | (planes[1] >> bit & 1u) << 1 | (planes[2] >> bit & 1u) << 2 |
           (planes[3] >> bit & 1u) << 3;
}

/* A line of 16 colours: eight pixels in each byte of the four planes. */
static void draw_planar(const struct vga *vga, uint64_t at, unsigned width, uint32_t *pixels)
{
    for (unsigned x = 0; x < width; x++)
        pixels[x] = palette_color(
            vga, nibble_of(vga->memory + 4 * ((at + x / 8) % (VGA_MEMORY_BYTES / 4)), 7 - x % 8));
}

/* A line of four colours as the CGA had them: even bytes are in plane 0, odd ones in plane 1. */
static void draw_interleaved(const struct vga *vga, uint64_t at, unsigned width, uint32_t *pixels)
{
    for (unsigned x = 0; x < width; x++) {
        uint64_t byte = x / 4;
        const uint8_t *planes = vga->memory + 4 * ((at + byte / 2) % (VGA_MEMORY_BYTES / 4));
        pixels[x] = palette_color(vga, planes[byte & 1] >> (6 - 2 * (x % 4)) & 3u);
    }
}

static void draw_bytes(const struct vga *vga, uint64_t at, unsigned width, uint32_t *pixels)
{
    for (unsigned x = 0; x < width; x++)
        pixels[x] = dac_color(vga, vga->memory[(at + x) % VGA_MEMORY_BYTES]);
}

/* The address bits that the line of a cell replaces. */
static uint64_t bank_of(const struct vga *vga, unsigned line)
{
    unsigned mode = vga->crtc[CRTC_MODE], first = mode & 0x40 ? 0x2000 : 0x1000;
    return (!(mode & 1) && (line & 1) ? first : 0) | (!(mode & 2) && (line & 2) ? 2 * first : 0);
}

static void draw_graphics(const struct vga *vga, struct vga_size size, uint32_t *pixels)
{
    unsigned pitch = vga->crtc[CRTC_OFFSET] * 2u, mode = vga->gfx[GFX_MODE];
    unsigned every = repeats(vga), split = line_compare(vga) / every + 1;
    unsigned cell = lines_are_banks(vga) ? cell_rows(vga) : 1;
    for (unsigned y = 0; y < size.height; y++, pixels += size.width) {
        unsigned line = y < split ? y : y - split; /* below the split memory begins anew */
        uint64_t at = (y < split ? start_address(vga) : 0) + (uint64_t)(line / cell) * pitch +
                      bank_of(vga, line % cell);
        if (mode & GFX_MODE_256)
            draw_bytes(vga, 4 * at, size.width, pixels);
        else if (mode & GFX_MODE_INTERLEAVED)
            draw_interleaved(vga, at, size.width, pixels);
        else
            draw_planar(vga, at, size.width, pixels);
    }
}

/* --- linear modes ---------------------------------------------------------------------------------- */

static uint32_t widen(unsigned value, unsigned bits)
{
    return value << (8 - bits) | value >> (2 * bits - 8);
}

static uint32_t linear_pixel(const struct vga *vga, const uint8_t *p)
{
    unsigned two = p[0] | (unsigned)p[1] << 8;
    if (vga->big_endian && vga->vbe[VBE_BPP] != 24)
        two = p[1] | (unsigned)p[0] << 8;
    switch (vga->vbe[VBE_BPP]) {
    case 15:
        return widen(two >> 10 & 31, 5) << 16 | widen(two >> 5 & 31, 5) << 8 | widen(two & 31, 5);
    case 16: return widen(two >> 11, 5) << 16 | widen(two >> 5 & 63, 6) << 8 | widen(two & 31, 5);
    case 24: return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
    default:
        if (vga->big_endian)
            return p[3] | (uint32_t)p[2] << 8 | (uint32_t)p[1] << 16;
        return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
    }
}

static void draw_linear(const struct vga *vga, struct vga_size size, uint32_t *pixels)
{
    unsigned bytes = (vga->vbe[VBE_BPP] + 7) / 8;
    for (unsigned y = 0; y < size.height; y++, pixels += size.width) {
        uint64_t at = (uint64_t)(y + vga->vbe[VBE_Y_OFFSET]) * vga_vbe_pitch(vga);
        unsigned x0 = vga->vbe[VBE_X_OFFSET];
        if (vga->vbe[VBE_BPP] == 4)
            draw_planar(vga, at + x0 / 8, size.width, pixels);
        else if (vga->vbe[VBE_BPP] == 8)
            draw_bytes(vga, at + x0, size.width, pixels);
        else
            for (unsigned x = 0; x < size.width; x++)
                pixels[x] = linear_pixel(vga, vga->memory + at + (uint64_t)(x0 + x) * bytes);
    }
}

void vga_draw(const struct vga *vga, struct vga_size size, uint32_t *pixels)
{
    if (is_blank(vga))
        memset(pixels, 0, (uint64_t)size.width * size.height * sizeof(*pixels));
    else if (vga_vbe_on(vga))
        draw_linear(vga, size, pixels);
    else if (is_text(vga))
        draw_text(vga, size, pixels);
    else
        draw_graphics(vga, size, pixels);
}

/* The VGA: registers, the ways into its memory, the DISPI interface, and what it shows. */
#include "tests/devices/kit.h"
#include "tests/random.h"

#include "devices/vga.h"

#define WINDOW 0xa0000u
#define TEXT 0xb8000u
#define FRAME 0xe0000000u
#define REGISTERS 0xf0000000u

struct board {
    struct kit kit;
    struct pci_bus *pci;
    struct vga *vga;
    struct memory *memory;
};

static struct board b;
static const uint8_t rom[3000] = { 0x55, 0xaa, 6, 0x90 };

static void setup(void)
{
    memset(&b, 0, sizeof(b));
    kit_open(&b.kit);
    b.pci = pci_bus_add(b.kit.bus);
    b.vga = vga_add(b.kit.bus, b.pci, rom, sizeof(rom));
    ck_assert_ptr_nonnull(b.vga);
}

static void teardown(void)
{
    kit_close(&b.kit);
}

static void out(uint16_t port, uint8_t value)
{
    kit_out(&b.kit, port, value);
}

static uint8_t in(uint16_t port)
{
    return kit_in(&b.kit, port);
}

/* An indexed register, by one word access as programs do it. */
static void set(uint16_t port, uint8_t index, uint8_t value)
{
    bus_port_ops.write(b.kit.bus, port, 2, index | (uint32_t)value << 8);
}

static uint8_t get(uint16_t port, uint8_t index)
{
    out(port, index);
    return in((uint16_t)(port + 1));
}

static void set_attr(uint8_t index, uint8_t value)
{
    in(0x3da);
    out(0x3c0, index);
    out(0x3c0, value);
    in(0x3da);
    out(0x3c0, 0x20);
}

static void poke(uint64_t spa, uint8_t value)
{
    bus_mmio_ops.write(b.kit.bus, spa, 1, value);
}

static uint8_t peek(uint64_t spa)
{
    return (uint8_t)bus_mmio_ops.read(b.kit.bus, spa, 1);
}

static void vbe(uint16_t index, uint16_t value)
{
    bus_port_ops.write(b.kit.bus, 0x1ce, 2, index);
    bus_port_ops.write(b.kit.bus, 0x1cf, 2, value);
}

static uint16_t vbe_get(uint16_t index)
{
    bus_port_ops.write(b.kit.bus, 0x1ce, 2, index);
    return (uint16_t)bus_port_ops.read(b.kit.bus, 0x1cf, 2);
}

/* The linear window and the registers at their BARs. */
static void map_bars(void)
{
    pci_config_write(b.pci, pci_devfn(2, 0), PCI_BAR0, 4, FRAME);
    pci_config_write(b.pci, pci_devfn(2, 0), PCI_BAR0 + 8, 4, REGISTERS);
    pci_config_write(b.pci, pci_devfn(2, 0), PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
}

/* The planes as they are: no rotation, no set/reset, all bits, write mode 0; map mask `planes`. */
static void planar(uint8_t planes)
{
    set(0x3c4, 4, 0x06);
    set(0x3c4, 2, planes);
    set(0x3ce, 6, 0x05);
    set(0x3ce, 5, 0x00);
}

static void set_mode_12(void)
{
    static const uint8_t crtc[] = { 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0x00,
                                    0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xea, 0x8c,
                                    0xdf, 0x28, 0x00, 0xe7, 0x04, 0xe3, 0xff };
    set(0x3d4, 0x11, 0);
    for (uint8_t i = 0; i < sizeof(crtc); i++)
        set(0x3d4, i, crtc[i]);
    set(0x3c4, 1, 0x01);
    planar(0x0f);
    set_attr(0x10, 0x01);
}

/* 320 x 200 with 256 colours. */
static void set_mode_13(void)
{
    set_mode_12();
    set(0x3d4, 0x11, 0);
    set(0x3d4, 0x07, 0x1f);
    set(0x3d4, 0x09, 0x41);
    set(0x3d4, 0x12, 0x8f);
    set(0x3d4, 0x14, 0x40);
    set(0x3d4, 0x17, 0xa3);
    set(0x3c4, 4, 0x0e);
    set(0x3ce, 5, 0x40);
}

static uint32_t *picture(struct vga_size *size)
{
    *size = vga_size(b.vga);
    uint32_t *pixels = calloc((size_t)size->width * size->height, sizeof(*pixels));
    ck_assert_ptr_nonnull(pixels);
    vga_draw(b.vga, *size, pixels);
    return pixels;
}

/* --- registers ----------------------------------------------------------------------------------- */

START_TEST(reset_leaves_text_mode)
{
    struct vga_size cells = vga_text_size(b.vga), size = vga_size(b.vga);
    ck_assert_uint_eq(cells.width, 80);
    ck_assert_uint_eq(cells.height, 25);
    ck_assert_uint_eq(size.width, 720);
    ck_assert_uint_eq(size.height, 400);
}
END_TEST

START_TEST(indexed_registers_keep_their_bits)
{
    static const struct {
        uint16_t port;
        uint8_t index, bits;
    } rows[] = { { 0x3c4, 1, 0x3d }, { 0x3c4, 2, 0x0f }, { 0x3c4, 4, 0x0e }, { 0x3ce, 0, 0x0f },
                 { 0x3ce, 5, 0x7b }, { 0x3ce, 8, 0xff }, { 0x3d4, 9, 0xff }, { 0x3d4, 24, 0xff } };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        set(rows[i].port, rows[i].index, 0xff);
        ck_assert_uint_eq(get(rows[i].port, rows[i].index), rows[i].bits);
        set(rows[i].port, rows[i].index, 0x00);
        ck_assert_uint_eq(get(rows[i].port, rows[i].index), 0x00);
    }
    ck_assert_uint_eq(get(0x3d4, 25), 0xff);
    ck_assert_uint_eq(get(0x3ce, 9), 0xff);
}
END_TEST

START_TEST(attribute_port_alternates)
{
    in(0x3da);
    out(0x3c0, 0x10);
    out(0x3c0, 0xff);
    ck_assert_uint_eq(in(0x3c0), 0x10);
    ck_assert_uint_eq(in(0x3c1), 0xef);
    out(0x3c0, 0x05);
    in(0x3da); /* the next is an index again */
    out(0x3c0, 0x06);
    ck_assert_uint_eq(in(0x3c1), 0x14);
}
END_TEST

START_TEST(crtc_protects_its_first_registers)
{
    set(0x3d4, 0x11, 0x80);
    set(0x3d4, 0x01, 0x12);
    ck_assert_uint_eq(get(0x3d4, 0x01), 0x4f);
    set(0x3d4, 0x07, 0x00);
    ck_assert_uint_eq(get(0x3d4, 0x07), 0x0f); /* bit 4, of the line compare, alone */
    set(0x3d4, 0x11, 0x00);
    set(0x3d4, 0x01, 0x12);
    ck_assert_uint_eq(get(0x3d4, 0x01), 0x12);
}
END_TEST

START_TEST(misc_moves_the_crtc)
{
    ck_assert_uint_eq(in(0x3b4), 0xff);
    ck_assert_uint_eq(in(0x3cc), 0x67);
    out(0x3c2, 0x66);
    ck_assert_uint_eq(in(0x3d4), 0xff);
    set(0x3b4, 0x0f, 0x5a);
    ck_assert_uint_eq(get(0x3b4, 0x0f), 0x5a);
}
END_TEST

START_TEST(palette_takes_three_parts)
{
    out(0x3c8, 7);
    for (uint8_t i = 1; i <= 6; i++)
        out(0x3c9, 0x40 + i);
    ck_assert_uint_eq(in(0x3c8), 9);
    ck_assert_uint_eq(in(0x3c7), 0);
    out(0x3c7, 7);
    ck_assert_uint_eq(in(0x3c7), 3);
    for (uint8_t i = 1; i <= 6; i++)
        ck_assert_uint_eq(in(0x3c9), i);
}
END_TEST

START_TEST(beam_moves_with_time)
{
    unsigned shown = 0, off = 0, retrace = 0;
    for (unsigned i = 0; i < 17000; i++) { /* a picture takes 16.7 ms */
        uint8_t status = in(0x3da);
        shown += !(status & 1);
        off += status & 1;
        retrace += status >> 3 & 1;
        kit_pass(&b.kit, 1000);
    }
    ck_assert_uint_gt(shown, 11000);
    ck_assert_uint_gt(off, 3000);
    ck_assert_uint_ge(retrace, 62);
    ck_assert_uint_le(retrace, 128);
}
END_TEST

/* --- memory -------------------------------------------------------------------------------------- */

START_TEST(text_window_is_odd_and_even)
{
    poke(TEXT, 'A');
    poke(TEXT + 1, 0x1e);
    ck_assert_uint_eq(peek(TEXT), 'A');
    ck_assert_uint_eq(peek(TEXT + 1), 0x1e);
    ck_assert_uint_eq(vga_text_cell(b.vga, 0, 0), 0x1e41);
    poke(TEXT + 2 * (3 * 80 + 5), 'z');
    ck_assert_uint_eq(vga_text_cell(b.vga, 5, 3) & 0xff, 'z');
    ck_assert_uint_eq(peek(WINDOW), 0xff); /* nobody is there */
    poke(WINDOW, 1);
    set(0x3d4, 0x0d, 80);
    ck_assert_uint_eq(vga_text_cell(b.vga, 5, 2) & 0xff, 'z');
}
END_TEST

START_TEST(windows_of_the_miscellaneous_register)
{
    static const struct {
        uint8_t map;
        uint32_t first, end;
    } rows[] = { { 0, 0xa0000, 0xc0000 },
                 { 1, 0xa0000, 0xb0000 },
                 { 2, 0xb0000, 0xb8000 },
                 { 3, 0xb8000, 0xc0000 } };
    planar(0x0f);
    for (unsigned i = 0; i < 4; i++) {
        set(0x3ce, 6, (uint8_t)(rows[i].map << 2 | 1));
        for (uint32_t spa = 0xa0000; spa < 0xc0000; spa += 0x8000) {
            bool inside = spa >= rows[i].first && spa < rows[i].end;
            poke(spa, 0x5a);
            ck_assert_uint_eq(peek(spa), inside ? 0x5a : 0xff);
        }
    }
}
END_TEST

START_TEST(write_mode_0)
{
    planar(0x0f);
    poke(WINDOW, 0xf0);
    for (uint8_t plane = 0; plane < 4; plane++) {
        set(0x3ce, 4, plane);
        ck_assert_uint_eq(peek(WINDOW), 0xf0);
    }
    set(0x3c4, 2, 0x02); /* the map mask */
    set(0x3ce, 3, 0x04); /* rotated by four */
    set(0x3ce, 8, 0x3c); /* the bit mask */
    peek(WINDOW);
    poke(WINDOW, 0xf5);
    set(0x3ce, 4, 1);
    ck_assert_uint_eq(peek(WINDOW), (0xf0 & ~0x3c) | (0x5f & 0x3c));
    set(0x3ce, 4, 0);
    ck_assert_uint_eq(peek(WINDOW), 0xf0);
    set(0x3c4, 2, 0x0f);
    set(0x3ce, 8, 0xff);
    set(0x3ce, 3, 0x00);
    set(0x3ce, 0, 0x05); /* set/reset */
    set(0x3ce, 1, 0x03); /* of planes 0 and 1 */
    poke(WINDOW, 0x12);
    static const uint8_t want[] = { 0xff, 0x00, 0x12, 0x12 };
    for (uint8_t plane = 0; plane < 4; plane++) {
        set(0x3ce, 4, plane);
        ck_assert_uint_eq(peek(WINDOW), want[plane]);
    }
}
END_TEST

START_TEST(logical_functions_use_the_latches)
{
    static const uint8_t want[] = { 0x0f, 0x0f & 0x33, 0x0f | 0x33, 0x0f ^ 0x33 };
    planar(0x0f);
    for (uint8_t function = 0; function < 4; function++) {
        set(0x3ce, 3, 0);
        poke(WINDOW, 0x33);
        peek(WINDOW);
        set(0x3ce, 3, (uint8_t)(function << 3));
        poke(WINDOW + 1, 0x0f);
        ck_assert_uint_eq(peek(WINDOW + 1), want[function]);
    }
}
END_TEST

START_TEST(write_modes_1_to_3)
{
    planar(0x0f);
    set(0x3c4, 2, 0x05);
    poke(WINDOW, 0x77);
    set(0x3c4, 2, 0x0f);
    peek(WINDOW);
    set(0x3ce, 5, 0x01);
    poke(WINDOW + 1, 0x00); /* copies the latches */
    set(0x3ce, 4, 0);
    ck_assert_uint_eq(peek(WINDOW + 1), 0x77);
    set(0x3ce, 4, 1);
    ck_assert_uint_eq(peek(WINDOW + 1), 0x00);

    set(0x3ce, 5, 0x02);
    set(0x3ce, 8, 0x0f);
    peek(WINDOW + 2);
    poke(WINDOW + 2, 0x02); /* a colour */
    ck_assert_uint_eq(peek(WINDOW + 2), 0x0f);
    set(0x3ce, 4, 0);
    ck_assert_uint_eq(peek(WINDOW + 2), 0x00);

    set(0x3ce, 5, 0x03);
    set(0x3ce, 8, 0xf0);
    set(0x3ce, 0, 0x01);
    peek(WINDOW + 3);
    poke(WINDOW + 3, 0x3c); /* a bit mask */
    ck_assert_uint_eq(peek(WINDOW + 3), 0x30);
}
END_TEST

START_TEST(read_mode_1_compares_colours)
{
    planar(0x0f);
    set(0x3c4, 2, 0x01);
    poke(WINDOW, 0xf0);
    set(0x3c4, 2, 0x02);
    poke(WINDOW, 0xcc);
    set(0x3ce, 5, 0x08);
    set(0x3ce, 2, 0x03);
    set(0x3ce, 7, 0x0f);
    ck_assert_uint_eq(peek(WINDOW), 0xf0 & 0xcc);
    set(0x3ce, 7, 0x01); /* plane 0 alone counts */
    ck_assert_uint_eq(peek(WINDOW), 0xf0);
    set(0x3ce, 7, 0x00);
    ck_assert_uint_eq(peek(WINDOW), 0xff);
}
END_TEST

START_TEST(chained_addresses_choose_the_plane)
{
    set_mode_13();
    for (unsigned i = 0; i < 4; i++)
        poke(WINDOW + 0x100 + i, (uint8_t)(0x10 + i));
    ck_assert_uint_eq(peek(WINDOW + 0x102), 0x12);
    set(0x3c4, 4, 0x06);
    set(0x3ce, 4, 3);
    ck_assert_uint_eq(peek(WINDOW + 0x40), 0x13);
    set(0x3c4, 4, 0x0e);
    set(0x3c4, 2, 0x0e);
    poke(WINDOW + 0x100, 0xee); /* the map mask holds here too */
    ck_assert_uint_eq(peek(WINDOW + 0x100), 0x10);
}
END_TEST

/* --- DISPI -------------------------------------------------------------------------------------- */

START_TEST(dispi_identifies_itself)
{
    ck_assert_uint_eq(vbe_get(0), 0xb0c5);
    vbe(0, 0xb0c2);
    ck_assert_uint_eq(vbe_get(0), 0xb0c2);
    vbe(0, 0xb0c6);
    ck_assert_uint_eq(vbe_get(0), 0xb0c2);
    ck_assert_uint_eq(vbe_get(10), 256);
    vbe(4, 2);
    ck_assert_uint_eq(vbe_get(1), 4096);
    ck_assert_uint_eq(vbe_get(2), 4096);
    ck_assert_uint_eq(vbe_get(3), 32);
    ck_assert_uint_eq(vbe_get(11), 0);
}
END_TEST

START_TEST(dispi_data_at_the_even_port_too)
{
    bus_port_ops.write(b.kit.bus, 0x1ce, 2, 1);
    bus_port_ops.write(b.kit.bus, 0x1d0, 2, 640);
    ck_assert_uint_eq(vbe_get(1), 640);
    bus_port_ops.write(b.kit.bus, 0x1ce, 2, 0);
    ck_assert_uint_eq(bus_port_ops.read(b.kit.bus, 0x1d0, 2), 0xb0c5);
}
END_TEST

START_TEST(text_has_a_row_at_least)
{
    set(0x3d4, 0x11, 0x00);
    set(0x3d4, 0x12, 0x00);
    set(0x3d4, 0x07, 0x00);
    set(0x3d4, 0x09, 0x1f);
    struct vga_size size;
    free(picture(&size));
    ck_assert_uint_eq(size.height, 32);
}
END_TEST

START_TEST(dispi_enables_what_fits)
{
    vbe(1, 1027);
    vbe(2, 768);
    vbe(3, 32);
    vbe(4, 0x41);
    ck_assert_uint_eq(vbe_get(4), 0x41);
    ck_assert_uint_eq(vbe_get(1), 1024);
    ck_assert_uint_eq(vbe_get(6), 1024);
    ck_assert_uint_eq(vbe_get(7), 4096);
    vbe(1, 640); /* not while it is on */
    ck_assert_uint_eq(vbe_get(1), 1024);
    vbe(6, 2048);
    ck_assert_uint_eq(vbe_get(7), 2048);
    vbe(6, 1000);
    ck_assert_uint_eq(vbe_get(6), 2048);
    vbe(8, 1024);
    vbe(9, 1280);
    ck_assert_uint_eq(vbe_get(8), 1024);
    ck_assert_uint_eq(vbe_get(9), 1280);
    vbe(6, 2040); /* the picture has to stay inside */
    vbe(6, 4096);
    ck_assert_uint_eq(vbe_get(6), 2048);
    vbe(8, 1025);
    vbe(9, 1281);
    ck_assert_uint_eq(vbe_get(8), 1024);
    ck_assert_uint_eq(vbe_get(9), 1280);
    vbe(4, 0);
    vbe(1, 4096);
    vbe(2, 4096);
    vbe(4, 0x41); /* 64 MiB */
    ck_assert_uint_eq(vbe_get(4), 0);
    vbe(2, 1024);
    vbe(4, 0x41); /* 16 MiB */
    ck_assert_uint_eq(vbe_get(4), 0x41);
    vbe(4, 0);
    vbe(3, 7);
    ck_assert_uint_eq(vbe_get(3), 32);
}
END_TEST

START_TEST(dispi_clears_memory_unless_told_not_to)
{
    map_bars();
    bus_mmio_ops.write(b.kit.bus, FRAME + 0x1234, 8, UINT64_C(0x1122334455667788));
    vbe(1, 640);
    vbe(2, 480);
    vbe(4, 0xc1);
    ck_assert_uint_eq(bus_mmio_ops.read(b.kit.bus, FRAME + 0x1234, 8),
                      UINT64_C(0x1122334455667788));
    vbe(4, 0);
    vbe(4, 0x41);
    ck_assert_uint_eq(bus_mmio_ops.read(b.kit.bus, FRAME + 0x1234, 8), 0);
}
END_TEST

START_TEST(dispi_banks_move_the_window)
{
    map_bars();
    vbe(1, 640);
    vbe(2, 480);
    vbe(3, 8);
    vbe(4, 0x01);
    set(0x3ce, 6, 0x05);
    set(0x3c4, 4, 0x0e);
    set(0x3c4, 2, 0x0f);
    vbe(5, 3);
    poke(WINDOW + 0x10, 0x77);
    ck_assert_uint_eq(bus_mmio_ops.read(b.kit.bus, FRAME + 0x30010, 1), 0x77);
    vbe(5, 256); /* there are 256: 0 to 255 */
    ck_assert_uint_eq(vbe_get(5), 3);
}
END_TEST

START_TEST(registers_behind_bar_2)
{
    map_bars();
    bus_mmio_ops.write(b.kit.bus, REGISTERS + 0x502, 2, 800);
    ck_assert_uint_eq(vbe_get(1), 800);
    ck_assert_uint_eq(bus_mmio_ops.read(b.kit.bus, REGISTERS + 0x500, 4), 0x0320b0c5);
    bus_mmio_ops.write(b.kit.bus, REGISTERS + 0x404, 2, 0x0302); /* sequencer 2 */
    ck_assert_uint_eq(get(0x3c4, 2), 0x03);
    ck_assert_uint_eq(bus_mmio_ops.read(b.kit.bus, REGISTERS + 0x405, 1), 0x03);
    ck_assert_uint_eq(bus_mmio_ops.read(b.kit.bus, REGISTERS + 0x600, 8),
                      UINT64_C(0x1e1e1e1e00000008));
    bus_mmio_ops.write(b.kit.bus, REGISTERS + 0x604, 4, 0xbebebebe);
    bus_mmio_ops.write(b.kit.bus, REGISTERS + 0x604, 4, 0x12345678);
    ck_assert_uint_eq(bus_mmio_ops.read(b.kit.bus, REGISTERS + 0x604, 4), 0xbebebebe);
    ck_assert_uint_eq(bus_mmio_ops.read(b.kit.bus, REGISTERS, 8), 0);
}
END_TEST

START_TEST(rom_is_behind_its_bar)
{
    uint8_t devfn = pci_devfn(2, 0);
    pci_config_write(b.pci, devfn, PCI_ROM_BAR, 4, UINT32_MAX);
    ck_assert_uint_eq(pci_config_read(b.pci, devfn, PCI_ROM_BAR, 4), 0xfffff001); /* 4 KiB */
    pci_config_write(b.pci, devfn, PCI_ROM_BAR, 4, 0xd0000001);
    pci_config_write(b.pci, devfn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    ck_assert_uint_eq(bus_mmio_ops.read(b.kit.bus, 0xd0000000, 4), 0x9006aa55);
    ck_assert_uint_eq(peek(0xd0000fff), 0xff);
    poke(0xd0000000, 0);
    ck_assert_uint_eq(peek(0xd0000000), 0x55);
}
END_TEST

/* --- the picture ----------------------------------------------------------------------------------- */

START_TEST(text_shows_font_colours_and_cursor)
{
    struct vga_size size;
    planar(0x04); /* a glyph for 'A' whose second line is 10000001b */
    poke(WINDOW + 'A' * 32 + 1, 0x81);
    set(0x3c4, 2, 0x03);
    set(0x3c4, 4, 0x02);
    set(0x3ce, 5, 0x10);
    set(0x3ce, 6, 0x0e);
    poke(TEXT + 2, 'A');
    poke(TEXT + 3, 0x1e);
    set(0x3d4, 0x0f, 0x00);
    uint32_t *pixels = picture(&size);
    const uint32_t *row = pixels + size.width + 9;
    ck_assert_uint_eq(row[0], 0xffff55); /* yellow */
    ck_assert_uint_eq(row[1], 0x0000aa); /* on blue */
    ck_assert_uint_eq(row[7], 0xffff55);
    ck_assert_uint_eq(row[8], 0x0000aa);
    ck_assert_uint_eq(pixels[12 * size.width], 0x000000); /* the cursor has lines 13 and 14 */
    free(pixels);
    set(0x3d4, 0x0f, 0x01);
    pixels = picture(&size);
    ck_assert_uint_eq(pixels[13 * size.width + 9 + 4], 0xffff55);
    ck_assert_uint_eq(pixels[12 * size.width + 9 + 4], 0x0000aa);
    free(pixels);
}
END_TEST

START_TEST(planar_graphics)
{
    struct vga_size size;
    set_mode_12();
    set(0x3c4, 2, 0x0c);
    poke(WINDOW + 80 * 2 + 1, 0x80);
    uint32_t *pixels = picture(&size);
    ck_assert_uint_eq(size.width, 640);
    ck_assert_uint_eq(size.height, 480);
    ck_assert_uint_eq(pixels[640 * 2 + 8], 0xff5555);
    ck_assert_uint_eq(pixels[640 * 2 + 9], 0x000000);
    free(pixels);
    ck_assert_uint_eq(vga_text_size(b.vga).width, 0);
}
END_TEST

START_TEST(graphics_split_at_the_line_compare)
{
    struct vga_size size;
    set_mode_12();
    poke(WINDOW, 0x80);          /* what is shown below the split */
    poke(WINDOW + 0x1000, 0x40); /* above */
    set(0x3d4, 0x0c, 0x10);
    set(0x3d4, 0x18, 100);
    set(0x3d4, 0x11, 0);
    set(0x3d4, 0x07, 0x2e);
    set(0x3d4, 0x09, 0x00);
    uint32_t *pixels = picture(&size);
    ck_assert_uint_eq(pixels[0], 0);
    ck_assert_uint_eq(pixels[1], 0xffffff);
    ck_assert_uint_eq(pixels[100 * 640], 0);
    ck_assert_uint_eq(pixels[101 * 640], 0xffffff);
    free(pixels);
}
END_TEST

START_TEST(colours_256)
{
    struct vga_size size;
    set_mode_13();
    out(0x3c8, 200);
    out(0x3c9, 63), out(0x3c9, 0), out(0x3c9, 32);
    poke(WINDOW + 320 * 7 + 9, 200);
    uint32_t *pixels = picture(&size);
    ck_assert_uint_eq(size.width, 320);
    ck_assert_uint_eq(size.height, 200);
    ck_assert_uint_eq(pixels[320 * 7 + 9], 0xff0082);
    free(pixels);
}
END_TEST

START_TEST(cga_graphics)
{
    struct vga_size size;
    set_mode_12();
    set(0x3d4, 0x11, 0);
    set(0x3d4, 0x01, 0x27);
    set(0x3d4, 0x07, 0x1f);
    set(0x3d4, 0x09, 0xc1);
    set(0x3d4, 0x12, 0x8f);
    set(0x3d4, 0x13, 0x14);
    set(0x3d4, 0x17, 0xa2);
    set(0x3c4, 2, 0x03);
    set(0x3c4, 4, 0x02);
    set(0x3ce, 5, 0x30);
    set(0x3ce, 6, 0x0f);
    poke(TEXT + 1, 0xc0);           /* line 0, pixel 4 */
    poke(TEXT + 0x2000 + 80, 0x30); /* line 3, pixel 1 */
    uint32_t *pixels = picture(&size);
    ck_assert_uint_eq(size.width, 320);
    ck_assert_uint_eq(size.height, 200);
    ck_assert_uint_eq(pixels[4], 0x00aaaa); /* colour 3 */
    ck_assert_uint_eq(pixels[5], 0);
    ck_assert_uint_eq(pixels[3 * 320 + 1], 0x00aaaa);
    free(pixels);
}
END_TEST

START_TEST(linear_modes)
{
    static const struct {
        uint16_t bpp;
        uint32_t value, color;
    } rows[] = { { 15, 0x7c1f, 0xff00ff },
                 { 16, 0x07e0, 0x00ff00 },
                 { 24, 0x123456, 0x123456 },
                 { 32, 0xff123456, 0x123456 } };
    map_bars();
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct vga_size size;
        vbe(4, 0);
        vbe(1, 320);
        vbe(2, 200);
        vbe(3, rows[i].bpp);
        vbe(4, 0x41);
        vbe(9, 1);
        unsigned bytes = (rows[i].bpp + 7u) / 8;
        uint64_t at = FRAME + (uint64_t)bytes * (320 * 3 + 5);
        for (unsigned k = 0; k < bytes; k++)
            poke(at + k, (uint8_t)(rows[i].value >> (8 * k)));
        uint32_t *pixels = picture(&size);
        ck_assert_uint_eq(size.width, 320);
        ck_assert_uint_eq(size.height, 200);
        ck_assert_uint_eq(pixels[320 * 2 + 5], rows[i].color);
        free(pixels);
    }
}
END_TEST

START_TEST(linear_modes_with_a_palette)
{
    struct vga_size size;
    map_bars();
    vbe(1, 640);
    vbe(2, 400);
    vbe(3, 8);
    vbe(4, 0x61); /* eight bits a part */
    out(0x3c8, 9);
    out(0x3c9, 0x81), out(0x3c9, 0x42), out(0x3c9, 0xc3);
    poke(FRAME + 640 * 399 + 639, 9);
    uint32_t *pixels = picture(&size);
    ck_assert_uint_eq(pixels[640 * 399 + 639], 0x8142c3);
    free(pixels);
}
END_TEST

START_TEST(screen_off_is_black)
{
    struct vga_size size;
    poke(TEXT + 1, 0x70);
    set(0x3c4, 1, 0x20);
    uint32_t *pixels = picture(&size);
    ck_assert_uint_eq(pixels[0], 0);
    free(pixels);
    ck_assert_uint_eq(vga_text_size(b.vga).width, 0);
}
END_TEST

/* No register values lead out of memory. */
START_TEST(any_registers_can_be_drawn)
{
    uint64_t state = 1;
    for (unsigned i = 0; i < 60; i++) {
        for (unsigned k = 0; k < 60; k++) {
            uint64_t random = test_random(&state);
            static const uint16_t ports[] = { 0x3c4, 0x3ce, 0x3d4, 0x1ce };
            uint16_t port = ports[random & 3];
            if (port == 0x1ce)
                vbe(random >> 8 & 15, (uint16_t)(random >> 16));
            else
                set(port, random >> 8 & 31, (uint8_t)(random >> 16));
            bus_mmio_ops.write(b.kit.bus, WINDOW + (random >> 24) % 0x1fff8, 8, random);
            bus_mmio_ops.read(b.kit.bus, WINDOW + (random >> 28) % 0x1fff8, 4);
        }
        struct vga_size size;
        free(picture(&size));
        struct vga_size cells = vga_text_size(b.vga);
        if (cells.width && cells.height)
            vga_text_cell(b.vga, cells.width - 1, cells.height - 1);
        ck_assert_uint_le(size.width, VGA_SIZE_MAX);
        ck_assert_uint_le(size.height, VGA_SIZE_MAX);
    }
}
END_TEST

START_TEST(mix_sees_every_change)
{
    uint64_t seen[9];
    for (unsigned i = 0; i < 9; i++) {
        bus_reset(b.kit.bus);
        switch (i) {
        case 0: poke(TEXT, 1); break;
        case 1: poke(TEXT + 1, 1); break;
        case 2: out(0x3c4, 3); break;
        case 3: set(0x3ce, 1, 1); break;
        case 4: out(0x3c9, 1); break;
        case 5: vbe(1, 640); break;
        case 6: bus_port_ops.write(b.kit.bus, 0x1ce, 2, 3); break;
        case 7: out(0x3c0, 5); break;
        default: break;
        }
        seen[i] = kit_bus_hash(b.kit.bus);
        for (unsigned k = 0; k < i; k++)
            ck_assert_uint_ne(seen[i], seen[k]);
    }
}
END_TEST

CHECK_MAIN_WITH("vga", setup, teardown, reset_leaves_text_mode, indexed_registers_keep_their_bits,
                attribute_port_alternates, crtc_protects_its_first_registers, misc_moves_the_crtc,
                palette_takes_three_parts, beam_moves_with_time, text_window_is_odd_and_even,
                windows_of_the_miscellaneous_register, write_mode_0,
                logical_functions_use_the_latches, write_modes_1_to_3, read_mode_1_compares_colours,
                chained_addresses_choose_the_plane, dispi_identifies_itself,
                dispi_data_at_the_even_port_too, text_has_a_row_at_least, dispi_enables_what_fits,
                dispi_clears_memory_unless_told_not_to, dispi_banks_move_the_window,
                registers_behind_bar_2, rom_is_behind_its_bar, text_shows_font_colours_and_cursor,
                planar_graphics, graphics_split_at_the_line_compare, colours_256, cga_graphics,
                linear_modes, linear_modes_with_a_palette, screen_off_is_black,
                any_registers_can_be_drawn, mix_sees_every_change)

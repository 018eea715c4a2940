/* The VGA saved and loaded in several modes, and marks of its memory. */
#include "tests/devices/trip_kit.h"

#include "devices/vga.h"

#define FRAME 0xe0000000u
#define REGISTERS 0xf0000000u
#define SLOT 0x10u
#define TEXT 0xb8000u

struct world {
    struct trip_world w;
    struct pci_bus *pci;
    struct vga *vga;
};

static const uint8_t rom[3000] = { 0x55, 0xaa, 6 };

static void open_world(struct trip_world *w)
{
    struct world *world = (struct world *)w;
    world->pci = pci_bus_add(w->kit.bus);
    world->vga = vga_add(w->kit.bus, world->pci, rom, sizeof(rom));
    ck_assert_ptr_nonnull(world->vga);
}

static void out(struct trip_world *w, uint16_t port, uint8_t value)
{
    kit_out(&w->kit, port, value);
}

static void set(struct trip_world *w, uint16_t port, uint8_t index, uint8_t value)
{
    bus_port_ops.write(w->kit.bus, port, 2, index | (uint32_t)value << 8);
}

static void vbe(struct trip_world *w, uint16_t index, uint16_t value)
{
    bus_port_ops.write(w->kit.bus, 0x1ce, 2, index);
    bus_port_ops.write(w->kit.bus, 0x1cf, 2, value);
}

static void poke(struct trip_world *w, uint64_t spa, uint8_t value)
{
    bus_mmio_ops.write(w->kit.bus, spa, 1, value);
}

static uint8_t peek(struct trip_world *w, uint64_t spa)
{
    return (uint8_t)bus_mmio_ops.read(w->kit.bus, spa, 1);
}

static void map(struct trip_world *w)
{
    struct pci_bus *pci = ((struct world *)w)->pci;
    pci_config_write(pci, SLOT, PCI_BAR0, 4, FRAME);
    pci_config_write(pci, SLOT, PCI_BAR0 + 8, 4, REGISTERS);
    pci_config_write(pci, SLOT, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
}

static void use_picture(struct trip_world *w, unsigned bpp)
{
    vbe(w, 1, 320);
    vbe(w, 2, 200);
    vbe(w, 3, (uint16_t)bpp);
    vbe(w, 4, 0x61); /* with a DAC of eight bits; memory stays */
    vbe(w, 6, 400);
    vbe(w, 8, 16);
    vbe(w, 9, 7);
    vbe(w, 5, 9); /* the bank */
}

static void drive(struct trip_world *w, unsigned variant)
{
    bus_reset(w->kit.bus);
    map(w);
    for (unsigned i = 0; i < 0x8000; i++)
        poke(w, FRAME + 37 * i % 0x40000 + (i & 7) * 0x200000, (uint8_t)(i * 11));
    for (unsigned i = 0; i < 0x8000; i += 3)
        poke(w, TEXT + i, (uint8_t)i);
    kit_pass(&w->kit, 123456789);
    if (variant != 2) /* something else than after a reset in every register */
        bus_mmio_ops.write(w->kit.bus, REGISTERS + 0x604, 4, 0xbebebebe);
    set(w, 0x3d4, 0x0a, 0x03);
    set(w, 0x3d4, 0x0e, 0x01);
    (void)kit_in(&w->kit, 0x3da);
    out(w, 0x3c0, 0x07);
    out(w, 0x3c0, 0x2a);
    out(w, 0x3c0, 0x20);
    out(w, 0x3da, 0x08);
    out(w, 0x3c3, 0);
    out(w, 0x3c6, 0x7f);
    out(w, 0x3c8, 5);
    for (unsigned i = 0; i < 30; i++)
        out(w, 0x3c9, (uint8_t)(3 * i));
    out(w, 0x3c8, 17); /* two of three parts of a colour */
    out(w, 0x3c9, 0x11);
    out(w, 0x3c9, 0x22);
    switch (variant) {
    case 0: break;
    case 1: /* 16 colours, latches loaded, the attribute port between index and data */
        set(w, 0x3c4, 4, 0x06);
        set(w, 0x3c4, 2, 0x0b);
        set(w, 0x3ce, 6, 0x05);
        set(w, 0x3ce, 5, 0x01);
        (void)peek(w, 0xa0123);
        (void)kit_in(&w->kit, 0x3da);
        out(w, 0x3c0, 0x25);
        break;
    case 2: use_picture(w, 32); break;
    case 3: use_picture(w, 8); break;
    case 4: use_picture(w, 4); break;
    default: /* sizes are set, nothing is enabled */
        vbe(w, 1, 4096);
        vbe(w, 2, 4096);
        vbe(w, 3, 24);
        out(w, 0x3c2, 0x66);
        out(w, 0x3c7, 9);
        (void)kit_in(&w->kit, 0x3c9);
    }
}

static void look_at_picture(struct trip_world *w)
{
    const struct vga *vga = ((struct world *)w)->vga;
    struct vga_size size = vga_size(vga);
    uint64_t sum = 0;
    uint32_t *pixels = calloc((size_t)size.width * size.height + 1, sizeof(*pixels));
    ck_assert_ptr_nonnull(pixels);
    vga_draw(vga, size, pixels);
    for (size_t i = 0; i < (size_t)size.width * size.height; i++)
        trip_sum(&sum, pixels[i]);
    free(pixels);
    trip_log(w, (uint64_t)size.width << 32 | size.height);
    trip_log(w, sum);
}

static void look(struct trip_world *w)
{
    kit_pass(&w->kit, 4567);
    look_at_picture(w);
    out(w, 0x3c9, 0x33);
    out(w, 0x3c0, 0x13);
    for (uint16_t port = 0x3c0; port < 0x3e0; port++)
        (void)trip_in(w, port);
    for (unsigned i = 0; i < 0x20000; i += 511) {
        poke(w, 0xa0000 + i, (uint8_t)i);
        trip_log(w, peek(w, 0xa0000 + i));
    }
    trip_log(w, bus_port_ops.read(w->kit.bus, 0x1ce, 2));
    trip_log(w, bus_mmio_ops.read(w->kit.bus, REGISTERS + 0x604, 4));
    for (uint8_t i = 0; i < 25; i++) {
        out(w, 0x3d4, i);
        (void)trip_in(w, 0x3d5);
    }
    for (unsigned i = 0; i < 11; i++) {
        bus_port_ops.write(w->kit.bus, 0x1ce, 2, i);
        trip_log(w, bus_port_ops.read(w->kit.bus, 0x1cf, 2));
    }
    for (uint64_t i = 0; i < VGA_MEMORY_BYTES; i += 4001)
        (void)trip_mmio(w, FRAME + i, 1);
    for (unsigned i = 0; i < 256; i++)
        trip_log(w, (out(w, 0x3c7, (uint8_t)i), kit_in(&w->kit, 0x3c9)));
    vbe(w, 4, 0x41);
    vbe(w, 9, 100);
    look_at_picture(w);
}

START_TEST(vga_goes_on_where_it_was)
{
    static const struct trip trip = { .world_size = sizeof(struct world),
                                      .open = open_world,
                                      .drive = drive,
                                      .look = look,
                                      .variants = 6,
                                      .alterations = 40 };
    trip_check(&trip);
}
END_TEST

/* Most of 16 MiB is never touched. */
START_TEST(vga_saves_what_was_touched)
{
    struct world *world = calloc(1, sizeof(*world));
    struct trip_world *w = &world->w;
    struct snap snap;
    kit_open(&w->kit);
    open_world(w);
    map(w);
    poke(w, FRAME + 0x123456, 7);
    poke(w, FRAME + 0x200000, 7);
    poke(w, FRAME + 0x200000, 0);
    trip_save(w, &snap);
    ck_assert_uint_lt(snap.size, 8192);
    ck_assert_uint_gt(snap.size, 4096);
    snap_free(&snap);
    kit_close(&w->kit);
    free(world);
}
END_TEST

/* --- marks ------------------------------------------------------------------------------------------- */

static struct world *open_marked(void)
{
    struct world *world = calloc(1, sizeof(*world));
    kit_open(&world->w.kit);
    open_world(&world->w);
    map(&world->w);
    return world;
}

static void close_marked(struct world *world)
{
    kit_close(&world->w.kit);
    free(world);
}

START_TEST(vga_mark_keeps_memory)
{
    struct world *world = open_marked();
    struct trip_world *w = &world->w;
    poke(w, FRAME + 1, 1);
    poke(w, FRAME + 0x100000, 2);
    uint64_t hash = kit_bus_hash(w->kit.bus);
    struct vga_mark *mark = vga_mark(world->vga);
    ck_assert_uint_gt(vga_mark_memory(world->vga), 2 * 4096);
    ck_assert_uint_lt(vga_mark_bytes(mark), 200);
    ck_assert_uint_eq(kit_bus_hash(w->kit.bus), hash); /* a mark changes nothing */
    poke(w, FRAME + 1, 3);
    poke(w, FRAME + 0x100000, 0);
    poke(w, FRAME + 0x200000, 4);
    vga_return(world->vga, mark);
    ck_assert_uint_eq(peek(w, FRAME + 1), 1);
    ck_assert_uint_eq(peek(w, FRAME + 0x100000), 2);
    ck_assert_uint_eq(peek(w, FRAME + 0x200000), 0);
    ck_assert_uint_eq(kit_bus_hash(w->kit.bus), hash);
    vga_mark_free(mark);
    vga_mark_free(NULL);
    close_marked(world);
}
END_TEST

static uint64_t memory_sum(struct trip_world *w)
{
    uint64_t sum = 0;
    map(w);
    for (uint64_t i = 0; i < VGA_MEMORY_BYTES; i += 8)
        trip_sum(&sum, bus_mmio_ops.read(w->kit.bus, FRAME + i, 8));
    return sum;
}

/* Back and forth between marks, past a reset that clears memory, and past loading. */
START_TEST(vga_marks_in_any_order)
{
    enum { MARKS = 6 };
    struct world *world = open_marked();
    struct trip_world *w = &world->w;
    struct vga_mark *mark[MARKS];
    uint64_t sum[MARKS];
    struct snap snap;
    for (unsigned i = 0; i < MARKS; i++) {
        if (i == 3)
            vbe(w, 4, 0);
        if (i == 4)
            bus_reset(w->kit.bus);
        map(w);
        for (unsigned k = 0; k < 20; k++)
            poke(w, FRAME + (k * (i + 1)) % 23 * 4096 + i, (uint8_t)(i % 2 ? k : i + 1));
        mark[i] = vga_mark(world->vga);
        sum[i] = memory_sum(w);
    }
    trip_save(w, &snap);
    bus_reset(w->kit.bus);
    struct trip_world *from = malloc(sizeof(*from));
    memcpy(from, w, sizeof(*from));
    ck_assert(trip_load(w, from, snap.data, snap.size));
    free(from);
    static const unsigned order[] = { 5, 0, 4, 3, 1, 2, 2, 5, 3 };
    for (unsigned i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        vga_return(world->vga, mark[order[i]]);
        ck_assert_uint_eq(memory_sum(w), sum[order[i]]);
        poke(w, FRAME + 5 * 4096, (uint8_t)(i + 40));
    }
    for (unsigned i = 0; i < MARKS; i++)
        vga_mark_free(mark[i]);
    snap_free(&snap);
    close_marked(world);
}
END_TEST

CHECK_MAIN("state_vga", vga_goes_on_where_it_was, vga_saves_what_was_touched, vga_mark_keeps_memory,
           vga_marks_in_any_order)

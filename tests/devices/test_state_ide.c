/* IDE saved and loaded in the middle of transfers of all kinds. */
#include "tests/devices/disk_kit.h"
#include "tests/devices/trip_kit.h"

#include "devices/ide.h"

#define DEVFN 9
#define MASTER 0xc000u
#define DISK 0x1f0u /* ports of the channel with a disk */
#define CD 0x170u
#define TABLE 0x8000u
#define TARGET 0x100000u
#define LAST 0x80000000u

struct world {
    struct trip_world w;
    struct block *block[2];
    struct pci_bus *pci;
};

/* What all worlds read. */
static struct disk image[2];

static void make_images(void)
{
    disk_open(&image[0], 1024 * 512);
    disk_open(&image[1], 100 * 2048);
    image[0].bad_from = 900 * 512;
    image[0].bad_to = 901 * 512;
}

static void free_images(void)
{
    disk_close(&image[0]);
    disk_close(&image[1]);
}

static void close_world(struct trip_world *w)
{
    struct world *world = (struct world *)w;
    for (unsigned i = 0; i < 2; i++)
        block_free(world->block[i]);
}

static void open_world(struct trip_world *w)
{
    struct world *world = (struct world *)w;
    struct bus *bus = w->kit.bus;
    world->pci = pci_bus_add(bus);
    w->close = close_world;
    struct ide_config config = { .pci = world->pci,
                                 .devfn = DEVFN,
                                 .irq = { trip_wire(w, 14), trip_wire(w, 15) } };
    for (unsigned i = 0; i < 2; i++) {
        struct block_config block = disk_config(&image[i]);
        block.read_only = i == 1;
        world->block[i] = block_new(&block);
        ck_assert_ptr_nonnull(world->block[i]);
    }
    config.drive[0][0].kind = IDE_DISK;
    config.drive[0][0].block = world->block[0];
    config.drive[1][0].kind = IDE_CDROM;
    config.drive[1][0].block = world->block[1];
    config.drive[1][1].kind = IDE_CDROM; /* without a disc */
    ck_assert_ptr_nonnull(ide_add(bus, &config));
}

static void out(struct trip_world *w, unsigned port, unsigned value)
{
    kit_out(&w->kit, (uint16_t)port, (uint8_t)value);
}

static uint32_t take(struct trip_world *w, unsigned port)
{
    return bus_port_ops.read(w->kit.bus, (uint16_t)port, 4);
}

static void give(struct trip_world *w, unsigned port, uint32_t value)
{
    bus_port_ops.write(w->kit.bus, (uint16_t)port, 4, value);
}

/* A command to the disk. */
static void command(struct trip_world *w, unsigned code, uint32_t lba, unsigned count)
{
    out(w, DISK + 6, 0xe0 | lba >> 24);
    out(w, DISK + 2, count);
    out(w, DISK + 3, lba);
    out(w, DISK + 4, lba >> 8);
    out(w, DISK + 5, lba >> 16);
    out(w, DISK + 7, code);
}

static void packet(struct trip_world *w, const uint8_t *bytes, unsigned count, unsigned limit,
                   unsigned features)
{
    out(w, CD + 1, features);
    out(w, CD + 4, limit);
    out(w, CD + 5, limit >> 8);
    out(w, CD + 7, 0xa0);
    for (unsigned i = 0; i < count; i += 2)
        bus_port_ops.write(w->kit.bus, CD, 2, bytes[i] | (uint32_t)bytes[i + 1] << 8);
}

#define PACKET(w, limit, features, ...) \
    packet((w), (const uint8_t[12]){ __VA_ARGS__ }, 12, (limit), (features))

/* A table for the bus master: regions with gaps, in which 64 KiB end in the middle of the second. `enough` for all that
 * is moved here, or it ends with that one. */
static void start_master(struct trip_world *w, unsigned channel, unsigned direction, bool enough)
{
    const uint32_t bytes[] = { 0x6000, enough ? 0 : LAST, 0x1002, LAST | 0xfffe };
    for (unsigned i = 0; i < 4; i++) {
        phys_write(w->memory, TABLE + 8 * i, 4, TARGET + 0x20000 * i);
        phys_write(w->memory, TABLE + 8 * i + 4, 4, bytes[i]);
    }
    bus_port_ops.write(w->kit.bus, (uint16_t)(MASTER + 8 * channel + 4), 4, TABLE);
    out(w, MASTER + 8 * channel, direction);
    out(w, MASTER + 8 * channel, direction | 1);
}

static void write_some(struct trip_world *w)
{
    command(w, 0x30, 500, 2);
    for (unsigned i = 0; i < 256; i++)
        give(w, DISK, 0x01010101 * i);
}

enum { VARIANTS = 19 };

static void drive(struct trip_world *w, unsigned variant)
{
    struct world *world = (struct world *)w;
    bus_reset(w->kit.bus);
    pci_config_write(world->pci, DEVFN, PCI_BAR0 + 16, 4, MASTER);
    pci_config_write(world->pci, DEVFN, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
    for (unsigned i = 0; i < 0x4000; i += 8)
        phys_write(w->memory, TARGET + i, 8, 0x9e3779b97f4a7c15 * i);
    kit_pass(&w->kit, 100);
    write_some(w);
    switch (variant) {
    case 0: /* READ MULTIPLE */
        command(w, 0xc4, 495, 30);
        for (unsigned i = 0; i < 700; i++)
            (void)take(w, DISK);
        break;
    case 1: /* WRITE SECTORS */
        command(w, 0x30, 600, 3);
        for (unsigned i = 0; i < 150; i++)
            give(w, DISK, i);
        break;
    case 2: /* READ DMA */
        command(w, 0xc8, 490, 200);
        start_master(w, 0, 8, true);
        kit_pass(&w->kit, 1500);
        break;
    case 3: /* WRITE DMA */
        command(w, 0xca, 200, 200);
        start_master(w, 0, 0, true);
        kit_pass(&w->kit, 1500);
        break;
    case 4: /* half a packet */
        packet(w, (const uint8_t[12]){ 0x12, 0, 0, 0, 36 }, 6, 0xfffe, 0);
        break;
    case 5: /* READ (10) by PIO */
        PACKET(w, 4096, 0, 0x28, 0, 0, 0, 0, 3, 0, 0, 90);
        for (unsigned i = 0; i < 2000; i++)
            (void)take(w, CD);
        break;
    case 6: /* READ (10) by DMA */
        PACKET(w, 0, 1, 0x28, 0, 0, 0, 0, 0, 0, 0, 70);
        start_master(w, 1, 8, true);
        kit_pass(&w->kit, 1500);
        break;
    case 7: /* MODE SELECT, half its data */
        PACKET(w, 0xfffe, 0, 0x55, 0, 0, 0, 0, 0, 0, 0, 40);
        give(w, CD, 1);
        give(w, CD, 2);
        break;
    case 8: /* sense, a lock, an aborted read */
        PACKET(w, 2048, 0, 0x28, 0, 0, 0, 0, 3, 0, 0, 90);
        PACKET(w, 0xfffe, 0, 0x1e, 0, 0, 0, 1);
        PACKET(w, 0xfffe, 0, 0x28, 0, 0, 0, 1, 0, 0, 0, 1);
        break;
    case 9: /* the tray was open, the reader aborted by the next packet */
        PACKET(w, 2048, 0, 0x28, 0, 0, 0, 0, 3, 0, 0, 90);
        PACKET(w, 0xfffe, 0, 0x1b, 0, 0, 0, 2);
        PACKET(w, 0xfffe, 0, 0x1b, 0, 0, 0, 3);
        packet(w, (const uint8_t[12]){ 0 }, 4, 0xfffe, 0);
        break;
    case 10: /* features, geometry, an address that is not there */
        out(w, DISK + 1, 3);
        command(w, 0xef, 0, 0x44);
        out(w, DISK + 1, 0x55);
        command(w, 0xef, 0, 0);
        out(w, DISK + 1, 0x82);
        command(w, 0xef, 0, 0);
        command(w, 0xc6, 0, 8);
        out(w, DISK + 6, 0xa7);
        out(w, DISK + 2, 17);
        out(w, DISK + 7, 0x91);
        out(w, DISK + 3, 18);
        out(w, DISK + 7, 0x20);
        out(w, MASTER + 2, 4); /* the line is high, its rise forgotten */
        break;
    case 11: /* SRST, and the drive without a disc is selected */
        out(w, CD + 6, 0xb0);
        out(w, DISK + 0x206, 4);
        break;
    case 12: /* the bus master waits for a drive; nIEN and HOB */
        start_master(w, 0, 8, true);
        out(w, DISK + 3, 0x12);
        out(w, DISK + 3, 0x34);
        out(w, DISK + 0x206, 0x82);
        break;
    case 13: /* an open tray */
        PACKET(w, 0xfffe, 0, 0x1b, 0, 0, 0, 2);
        PACKET(w, 0xfffe, 0, 0);
        break;
    case 14:                    /* a 48-bit command on its way to a bad sector */
        out(w, DISK + 6, 0xa0); /* which needs no bit to say that this is no cylinder */
        out(w, DISK + 2, 0);
        out(w, DISK + 2, 20);
        for (unsigned i = 0; i < 3; i++) {
            out(w, DISK + 3 + i, 0);
            out(w, DISK + 3 + i, 890 >> 8 * i);
        }
        out(w, DISK + 7, 0x24);
        break;
    case 15: /* blocks of a size that the host chose */
        PACKET(w, 6000, 0, 0x28, 0, 0, 0, 0, 3, 0, 0, 30);
        break;
    case 16: /* a short table, in the middle of its last region, or at its end: the drive waits */
    case 17:
        command(w, 0xc8, 490, 200);
        start_master(w, 0, 8, false);
        kit_pass(&w->kit, variant == 16 ? 1500 : 1000000);
        break;
    default: /* IDENTIFY, taken in part */
        command(w, 0xec, 0, 0);
        for (unsigned i = 0; i < 10; i++)
            (void)take(w, DISK);
        out(w, CD + 6, 0xb0);
        out(w, CD + 7, 0xa1);
        break;
    }
}

static void look_at_registers(struct trip_world *w, unsigned base)
{
    (void)trip_in(w, (uint16_t)(base + 0x206));
    for (unsigned i = 1; i < 7; i++)
        (void)trip_in(w, (uint16_t)(base + i));
}

/* Give and take until nothing more is wanted. */
static void finish(struct trip_world *w, unsigned base)
{
    uint64_t sum = 0;
    unsigned words = 0;
    for (; words < 60000 && (kit_in(&w->kit, (uint16_t)(base + 0x206)) & 0x88) == 8; words++) {
        if (words % 64 == 0)
            trip_sum(&sum, kit_in(&w->kit, (uint16_t)(base + 4)) |
                               kit_in(&w->kit, (uint16_t)(base + 5)) << 8);
        trip_sum(&sum, take(w, base));
        give(w, base, words * 77);
    }
    trip_log(w, words);
    trip_log(w, sum);
    (void)trip_in(w, (uint16_t)(base + 7));
}

static void look_at_memory(struct trip_world *w)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < 0x60000; i += 8)
        trip_sum(&sum, phys_read(w->memory, TARGET + i, 8));
    trip_log(w, sum);
}

static void look(struct trip_world *w)
{
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 16; i++)
            if (i % 8 != 1 && i % 8 != 3)
                (void)trip_in(w, (uint16_t)(MASTER + i));
        look_at_registers(w, DISK);
        look_at_registers(w, CD);
        kit_pass(&w->kit, round ? 1000000 : 700);
    }
    out(w, DISK + 0x206, 0);
    finish(w, DISK);
    finish(w, CD);
    out(w, DISK + 0x206, 0x80);
    look_at_registers(w, DISK);
    look_at_memory(w);
    out(w, DISK + 6, 0xe0);
    (void)trip_in(w, MASTER + 2);
    PACKET(w, 0xfffe, 0, 0x03, 0, 0, 0, 18);
    finish(w, CD);
    PACKET(w, 0xfffe, 0, 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8);
    finish(w, CD);
    PACKET(w, 0xfffe, 0, 0);
    finish(w, CD);
    out(w, CD + 6, 0xa0);
    PACKET(w, 0xfffe, 0, 0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 40);
    finish(w, CD);
    command(w, 0xec, 0, 0);
    finish(w, DISK);
    out(w, DISK + 7, 0xef); /* SET FEATURES of what was named before */
    (void)trip_in(w, DISK + 1);
    command(w, 0xc4, 590, 20);
    finish(w, DISK);
    out(w, DISK + 6, 0xa1);
    out(w, DISK + 7, 0x20);
    finish(w, DISK);
    command(w, 0x20, 495, 20);
    finish(w, DISK);
    look_at_registers(w, DISK);
}

START_TEST(ide_goes_on_where_it_was)
{
    static const struct trip trip = { .world_size = sizeof(struct world),
                                      .open = open_world,
                                      .drive = drive,
                                      .look = look,
                                      .variants = VARIANTS,
                                      .with_memory = true,
                                      .alterations = 30 };
    make_images();
    trip_check(&trip);
    free_images();
}
END_TEST

CHECK_MAIN("state_ide", ide_goes_on_where_it_was)

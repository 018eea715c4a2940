/* Flash memory saved and loaded in the middle of commands; the ROM follows what it holds. */
#include "tests/devices/disk_kit.h"
#include "tests/devices/trip_kit.h"

#include "devices/pflash.h"

#define SPA UINT64_C(0xffc00000)
#define BYTES (16u * PFLASH_SECTOR)

struct world {
    struct trip_world w;
    struct disk disk;
    struct block *block;
};

static void close_world(struct trip_world *w)
{
    struct world *world = (struct world *)w;
    block_free(world->block);
    disk_close(&world->disk);
}

static void open_world(struct trip_world *w)
{
    struct world *world = (struct world *)w;
    w->close = close_world;
    disk_open(&world->disk, BYTES);
    struct block_config config = disk_config(&world->disk);
    world->block = block_new(&config);
    ck_assert_ptr_nonnull(pflash_add(w->kit.bus, SPA, world->block));
}

static void poke(struct trip_world *w, uint64_t offset, uint8_t value)
{
    phys_write(w->memory, SPA + offset, 1, value);
}

static uint8_t peek(struct trip_world *w, uint64_t offset)
{
    return (uint8_t)phys_read(w->memory, SPA + offset, 1);
}

static void program(struct trip_world *w, uint64_t offset, uint8_t value)
{
    poke(w, offset, 0x10);
    poke(w, offset, value);
    poke(w, 0, 0xff);
}

static void drive(struct trip_world *w, unsigned variant)
{
    poke(w, 0x2000, 0x20); /* erase, program */
    poke(w, 0x2000, 0xd0);
    poke(w, 0, 0xff);
    program(w, 0x2345, 0x5a);
    program(w, 0x9876, 0);
    switch (variant) {
    case 0: break;
    case 1: /* a buffer, half full */
        poke(w, 0x2400, 0xe8);
        poke(w, 0x2400, 7);
        for (unsigned i = 0; i < 5; i++)
            poke(w, 0x2410 + i, (uint8_t)(0xc0 + i));
        break;
    case 2: /* its count is not there yet */ poke(w, 0x2400, 0xe8); break;
    case 3: /* to be erased, not confirmed */ poke(w, 0x3000, 0x20); break;
    case 4: poke(w, 0, 0x70); break;
    case 5: poke(w, 0, 0x98); break;
    default: /* a command that failed */ poke(w, 0x3000, 0x20); poke(w, 0x3000, 0x11);
    }
}

static void look_at_array(struct trip_world *w)
{
    for (unsigned i = 0; i < BYTES; i += i < 0x2000 || i >= 0x3000 ? 97 : 5)
        trip_log(w, peek(w, i));
}

static void look(struct trip_world *w)
{
    look_at_array(w);
    for (unsigned i = 0; i < 3; i++) /* ends what was begun, or not */
        poke(w, 0x2418 + i, (uint8_t)i);
    trip_log(w, peek(w, 0));
    poke(w, 0x2400, 0xd0);
    trip_log(w, peek(w, 0));
    poke(w, 0, 0x50);
    poke(w, 0, 0xff);
    look_at_array(w);
    program(w, 0x2800, 0x12);
    look_at_array(w);
}

START_TEST(flash_goes_on_where_it_was)
{
    static const struct trip trip = { .world_size = sizeof(struct world),
                                      .open = open_world,
                                      .drive = drive,
                                      .look = look,
                                      .variants = 7,
                                      .with_memory = true,
                                      .alterations = 60 };
    trip_check(&trip);
}
END_TEST

/* First the block returns to its mark, and then the rest of the state is loaded. */
START_TEST(flash_follows_a_mark)
{
    static const struct trip trip = { .world_size = sizeof(struct world),
                                      .open = open_world,
                                      .with_memory = true };
    struct world *world = trip_open(&trip);
    struct trip_world *w = &world->w;
    struct snap snap, load;
    program(w, 100, 0);
    poke(w, 0, 0x70);
    snap_save(&snap);
    snap.without_media = true;
    bus_state(w->kit.bus, &snap);
    ck_assert(!snap.failed);
    struct block_mark *mark = block_mark(world->block);
    poke(w, 0, 0xff);
    program(w, 100 + PFLASH_SECTOR, 0);
    poke(w, 0, 0x20);
    poke(w, 0, 0xd0);
    poke(w, 0, 0xff);
    ck_assert_uint_eq(peek(w, 100), 0xff);
    block_return(world->block, mark);
    snap_load(&load, snap.data, snap.size);
    load.without_media = true;
    bus_state(w->kit.bus, &load);
    ck_assert(!load.failed);
    ck_assert_uint_eq(peek(w, 100), 0x80); /* status */
    poke(w, 0, 0xff);
    ck_assert_uint_eq(peek(w, 100), 0);
    ck_assert_uint_eq(peek(w, 101), disk_byte(101));
    ck_assert_uint_eq(peek(w, 100 + PFLASH_SECTOR), disk_byte(100 + PFLASH_SECTOR));
    block_mark_free(mark);
    snap_free(&snap);
    trip_close(w);
}
END_TEST

CHECK_MAIN("state_flash", flash_goes_on_where_it_was, flash_follows_a_mark)

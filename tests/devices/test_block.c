/* Disks over images: what is read, what is kept of writes, and what the image never sees. */
#include "tests/devices/disk_kit.h"

#define S BLOCK_SECTOR

static uint64_t hash_of(struct block *block)
{
    uint64_t hash = 1;
    struct snap snap;
    snap_hash(&snap, kit_hash_bytes, &hash);
    block_state(block, &snap);
    return hash;
}

static uint8_t sector_of[S], other[8 * S];

static void fill_sector(uint8_t value)
{
    memset(sector_of, value, S);
}

START_TEST(block_reads_the_image)
{
    struct disk disk;
    disk_open(&disk, 100 * S);
    const struct block_config config = disk_config(&disk);
    struct block *block = block_new(&config);
    ck_assert_uint_eq(block_sectors(block), 100);
    ck_assert_int_eq(block_read(block, 92, 8, other), BLOCK_OK);
    ck_assert(disk_same(other, 92 * S, 8 * S));
    ck_assert_uint_eq(disk.reads, 1); /* in one piece */
    ck_assert_int_eq(block_read(block, 100, 0, other), BLOCK_OK);
    ck_assert_uint_eq(disk.reads, 1);
    block_free(block);
    disk_close(&disk);
}
END_TEST

START_TEST(block_ends_where_the_image_does)
{
    static const struct {
        uint64_t sector;
        uint32_t count;
    } row[] = { { 100, 1 }, { 99, 2 }, { 101, 0 }, { UINT64_MAX, 2 }, { 1, UINT32_MAX } };
    struct disk disk;
    disk_open(&disk, 100 * S);
    const struct block_config config = disk_config(&disk);
    struct block *block = block_new(&config);
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        ck_assert_int_eq(block_read(block, row[i].sector, row[i].count, other), BLOCK_BAD_RANGE);
        ck_assert_int_eq(block_write(block, row[i].sector, row[i].count, other), BLOCK_BAD_RANGE);
    }
    ck_assert_uint_eq(disk.reads + disk.writes, 0);
    block_free(block);
    disk_close(&disk);
}
END_TEST

/* Part of a sector at the end of an image is a sector, whose rest is zeros. */
START_TEST(block_fills_up_an_odd_end)
{
    for (size_t size = 3 * S + 1; size <= 4 * S; size += 255) {
        struct disk disk;
        disk_open(&disk, size);
        const struct block_config config = disk_config(&disk);
        struct block *block = block_new(&config);
        ck_assert_uint_eq(block_sectors(block), 4);
        memset(other, 0xee, sizeof(other));
        ck_assert_int_eq(block_read(block, 0, 4, other), BLOCK_OK);
        ck_assert(disk_same(other, 0, size));
        for (size_t i = size; i < 4 * S; i++)
            ck_assert_uint_eq(other[i], 0);
        ck_assert_uint_eq(other[4 * S], 0xee);
        fill_sector(0x55);
        ck_assert_int_eq(block_write(block, 3, 1, sector_of), BLOCK_OK);
        ck_assert_int_eq(block_read(block, 3, 1, other), BLOCK_OK);
        ck_assert_mem_eq(other, sector_of, S);
        block_free(block);
        disk_close(&disk);
    }
}
END_TEST

START_TEST(block_keeps_writes_in_memory)
{
    struct disk disk;
    disk_open(&disk, 5000 * S);
    const struct block_config config = disk_config(&disk);
    struct block *block = block_new(&config);
    static const uint64_t sector[] = { 0, 7, 8, 4095, 4096, 4999 }; /* of clusters and groups */
    for (size_t i = 0; i < sizeof(sector) / sizeof(sector[0]); i++) {
        fill_sector((uint8_t)(0x10 + i));
        ck_assert_int_eq(block_write(block, sector[i], 1, sector_of), BLOCK_OK);
    }
    ck_assert_int_eq(block_flush(block), BLOCK_OK);
    ck_assert_uint_eq(disk.writes + disk.reads + disk.flushes, 0);
    for (size_t i = 0; i < sizeof(sector) / sizeof(sector[0]); i++) {
        fill_sector((uint8_t)(0x10 + i));
        ck_assert_int_eq(block_read(block, sector[i], 1, other), BLOCK_OK);
        ck_assert_mem_eq(other, sector_of, S);
    }
    ck_assert(disk_same(disk.bytes, 0, disk.size));
    block_free(block);
    disk_close(&disk);
}
END_TEST

START_TEST(block_reads_old_and_new_together)
{
    struct disk disk;
    disk_open(&disk, 100 * S);
    const struct block_config config = disk_config(&disk);
    struct block *block = block_new(&config);
    fill_sector(0x77);
    ck_assert_int_eq(block_write(block, 12, 1, sector_of), BLOCK_OK);
    ck_assert_int_eq(block_write(block, 14, 1, sector_of), BLOCK_OK);
    ck_assert_int_eq(block_read(block, 10, 8, other), BLOCK_OK);
    ck_assert(disk_same(other, 10 * S, 2 * S));
    ck_assert_mem_eq(other + 2 * S, sector_of, S);
    ck_assert(disk_same(other + 3 * S, 13 * S, S));
    ck_assert_mem_eq(other + 4 * S, sector_of, S);
    ck_assert(disk_same(other + 5 * S, 15 * S, 3 * S));
    ck_assert_uint_eq(disk.reads, 3);
    block_free(block);
    disk_close(&disk);
}
END_TEST

START_TEST(block_tells_of_bad_sectors)
{
    struct disk disk;
    disk_open(&disk, 100 * S);
    disk.bad_from = 5 * S;
    disk.bad_to = 6 * S;
    const struct block_config config = disk_config(&disk);
    struct block *block = block_new(&config);
    ck_assert_int_eq(block_read(block, 4, 2, other), BLOCK_FAILED);
    ck_assert_int_eq(block_read(block, 4, 1, other), BLOCK_OK);
    fill_sector(1);
    ck_assert_int_eq(block_write(block, 5, 1, sector_of), BLOCK_OK); /* a write does not read */
    ck_assert_int_eq(block_read(block, 4, 3, other), BLOCK_OK);
    block_free(block);
    disk_close(&disk);
}
END_TEST

START_TEST(block_writes_through)
{
    struct disk disk;
    disk_open(&disk, 100 * S);
    struct block_config config = disk_config(&disk);
    config.through = true;
    struct block *block = block_new(&config);
    fill_sector(0x33);
    ck_assert_int_eq(block_write(block, 99, 1, sector_of), BLOCK_OK);
    ck_assert_uint_eq(disk.writes, 1);
    ck_assert_mem_eq(disk.bytes + 99 * S, sector_of, S);
    ck_assert(disk_same(disk.bytes, 0, 99 * S));
    ck_assert_int_eq(block_read(block, 99, 1, other), BLOCK_OK);
    ck_assert_mem_eq(other, sector_of, S);
    ck_assert_int_eq(block_flush(block), BLOCK_OK);
    ck_assert_uint_eq(disk.flushes, 1);
    disk.full = disk.no_flush = true;
    ck_assert_int_eq(block_write(block, 1, 1, sector_of), BLOCK_FAILED);
    ck_assert_int_eq(block_flush(block), BLOCK_FAILED);
    block_free(block);
    disk_close(&disk);
}
END_TEST

START_TEST(block_writes_through_whole_sectors_only)
{
    struct disk disk;
    disk_open(&disk, 100 * S + 1);
    struct block_config config = disk_config(&disk);
    config.through = true;
    ck_assert_ptr_null(block_new(&config));
    config.size_bytes = 100 * S;
    config.source.write = NULL;
    ck_assert_ptr_null(block_new(&config));
    config.size_bytes = UINT64_MAX;
    config.through = false;
    ck_assert_ptr_null(block_new(&config));
    disk_close(&disk);
}
END_TEST

START_TEST(block_read_only_refuses)
{
    struct disk disk;
    disk_open(&disk, 100 * S);
    struct block_config config = disk_config(&disk);
    config.read_only = config.through = true;
    struct block *block = block_new(&config);
    ck_assert(block_read_only(block));
    ck_assert_int_eq(block_write(block, 1, 1, sector_of), BLOCK_READ_ONLY);
    ck_assert_int_eq(block_flush(block), BLOCK_OK);
    ck_assert_uint_eq(disk.writes + disk.flushes, 0);
    block_free(block);
    disk_close(&disk);
}
END_TEST

/* What is kept has a bound; what was kept before stays, and can be written again. */
START_TEST(block_memory_ends)
{
    struct disk disk;
    disk_open(&disk, 4096 * S);
    struct block_config config = disk_config(&disk);
    config.memory_most = 64 << 10;
    struct block *block = block_new(&config);
    unsigned kept = 0;
    fill_sector(0x44);
    while (block_write(block, 8 * kept, 1, sector_of) == BLOCK_OK)
        ck_assert_uint_lt(++kept, 16);
    ck_assert_uint_gt(kept, 12);
    ck_assert_uint_eq(disk.fulls, 1);
    ck_assert_int_eq(block_write(block, 8 * kept - 1, 2, sector_of), BLOCK_FAILED);
    ck_assert_uint_eq(disk.fulls, 2);
    ck_assert_int_eq(block_write(block, 3, 2, other), BLOCK_OK);
    ck_assert_int_eq(block_read(block, 8 * (kept - 1), 1, other), BLOCK_OK);
    ck_assert_mem_eq(other, sector_of, S);
    ck_assert_int_eq(block_read(block, 8 * kept, 1, other), BLOCK_OK);
    ck_assert(disk_same(other, 8 * kept * S, S));
    block_free(block);
    config.memory_most = 0;
    block = block_new(&config);
    ck_assert_int_eq(block_write(block, 0, 1, sector_of), BLOCK_FAILED);
    block_free(block);
    disk_close(&disk);
}
END_TEST

START_TEST(block_serial_is_cut)
{
    struct disk disk;
    disk_open(&disk, S);
    struct block_config config = disk_config(&disk);
    struct block *block = block_new(&config);
    ck_assert_str_eq(block_serial(block), "");
    block_free(block);
    config.serial = "0123456789abcdefghijKLM";
    block = block_new(&config);
    ck_assert_str_eq(block_serial(block), "0123456789abcdefghij");
    block_free(block);
    disk_close(&disk);
}
END_TEST

START_TEST(block_state_sees_what_was_written)
{
    for (unsigned through = 0; through < 2; through++) {
        uint64_t seen[5];
        for (unsigned i = 0; i < 5; i++) {
            struct disk disk;
            disk_open(&disk, 100 * S);
            struct block_config config = disk_config(&disk);
            config.through = through;
            struct block *block = block_new(&config);
            fill_sector((uint8_t)(i == 3 ? 9 : 1));
            if (i > 0)
                ck_assert_int_eq(block_write(block, i == 2 ? 8 : 0, 1, sector_of), BLOCK_OK);
            if (i == 4)
                ck_assert_int_eq(block_write(block, 1, 1, sector_of), BLOCK_OK);
            seen[i] = hash_of(block);
            ck_assert_uint_eq(seen[i], hash_of(block));
            for (unsigned k = 0; k < i; k++)
                ck_assert_uint_ne(seen[i], seen[k]);
            block_free(block);
            disk_close(&disk);
        }
    }
}
END_TEST

/* --- state ------------------------------------------------------------------------------------------ */

static void save(struct block *block, struct snap *snap, bool without_media)
{
    snap_save(snap);
    snap->without_media = without_media;
    ck_assert(snap_begin(snap, "block", 0, 1));
    block_state(block, snap);
    snap_end(snap);
    ck_assert(!snap->failed);
}

static bool load(struct block *block, const uint8_t *bytes, size_t size, bool without_media)
{
    struct snap snap;
    snap_load(&snap, bytes, size);
    snap.without_media = without_media;
    (void)snap_begin(&snap, "block", 0, 1);
    block_state(block, &snap);
    snap_end(&snap);
    return !snap.failed;
}

static void write_at(struct block *block, uint64_t sector, uint8_t value)
{
    fill_sector(value);
    ck_assert_int_eq(block_write(block, sector, 1, sector_of), BLOCK_OK);
}

/* 256: as in the image. */
static unsigned value_at(const struct block *block, uint64_t sector)
{
    ck_assert_int_eq(block_read(block, sector, 1, other), BLOCK_OK);
    if (disk_same(other, sector * S, S))
        return 256;
    for (unsigned i = 1; i < S; i++)
        ck_assert_uint_eq(other[i], other[0]);
    return other[0];
}

/* Two disks over one image. */
static struct disk image;

static struct block *disk_of(uint64_t memory_most)
{
    struct block_config config = disk_config(&image);
    config.memory_most = memory_most;
    struct block *block = block_new(&config);
    ck_assert_ptr_nonnull(block);
    return block;
}

static void open_image(void)
{
    disk_open(&image, 5000 * S);
}

static void close_image(void)
{
    disk_close(&image);
}

START_TEST(block_saves_what_was_written)
{
    static const uint64_t written[] = { 0, 7, 8, 1000, 4095, 4096, 4999 };
    const size_t count = sizeof(written) / sizeof(written[0]);
    open_image();
    struct block *from = disk_of(1 << 20), *to = disk_of(1 << 20);
    struct snap snap, again;
    for (size_t i = 0; i < count; i++)
        write_at(from, written[i], (uint8_t)(i + 1));
    write_at(to, 9, 0x99); /* is not there any more afterwards */
    save(from, &snap, false);
    ck_assert_uint_lt(snap.size, (count + 2) * S);
    ck_assert(load(to, snap.data, snap.size, false));
    for (size_t i = 0; i < count; i++)
        ck_assert_uint_eq(value_at(to, written[i]), i + 1);
    ck_assert_uint_eq(value_at(to, 9), 256);
    ck_assert_uint_eq(value_at(to, 4998), 256);
    ck_assert_uint_eq(hash_of(from), hash_of(to));
    save(to, &again, false);
    ck_assert_uint_eq(snap.size, again.size);
    ck_assert_mem_eq(snap.data, again.data, snap.size);
    snap_free(&snap);
    snap_free(&again);
    block_free(from);
    block_free(to);
    close_image();
}
END_TEST

START_TEST(block_without_media_leaves_it)
{
    open_image();
    struct block *block = disk_of(1 << 20);
    struct snap snap;
    write_at(block, 1, 1);
    save(block, &snap, true);
    ck_assert_uint_eq(snap.size, SNAP_HEAD);
    write_at(block, 1, 2);
    ck_assert(load(block, snap.data, snap.size, true));
    ck_assert_uint_eq(value_at(block, 1), 2);
    snap_free(&snap);
    block_free(block);
    close_image();
}
END_TEST

/* Of an image with 5000 sectors: clusters 0 to 624. */
START_TEST(block_refuses_what_is_no_state)
{
    static const struct {
        uint64_t cluster, written; /* of the second cluster in the stream */
    } bad[] = { { 625, 1 }, { 3, 1 }, { 2, 1 }, { UINT64_MAX - 1, 1 }, { 4, 0 } };
    open_image();
    struct block *from = disk_of(1 << 20), *to = disk_of(1 << 20);
    struct snap snap;
    write_at(from, 3 * 8, 1);
    write_at(from, 624 * 8 + 7, 2);
    save(from, &snap, false);
    uint8_t *second = snap.data + SNAP_HEAD + 9 + S;
    ck_assert_uint_eq(second[0] | second[1] << 8, 624);
    ck_assert_uint_eq(second[8], 0x80);
    ck_assert(load(to, snap.data, snap.size, false));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        for (unsigned k = 0; k < 8; k++)
            second[k] = (uint8_t)(bad[i].cluster >> 8 * k);
        second[8] = (uint8_t)bad[i].written;
        ck_assert(!load(to, snap.data, snap.size, false));
        (void)value_at(to, 4999);
        (void)hash_of(to);
    }
    snap_free(&snap);
    block_free(from);
    block_free(to);
    close_image();
}
END_TEST

/* Sectors behind an odd end are not there, and more than is allowed is too much. */
START_TEST(block_refuses_what_has_no_room)
{
    disk_open(&image, 12 * S);
    struct block *large = disk_of(1 << 20), *small = disk_of(12 << 10);
    struct snap snap;
    write_at(large, 0, 1);
    write_at(large, 11, 2);
    save(large, &snap, false);
    ck_assert(!load(small, snap.data, snap.size, false));
    uint8_t *written = snap.data + SNAP_HEAD + 9 + S + 8;
    ck_assert_uint_eq(*written, 0x08);
    ck_assert(load(large, snap.data, snap.size, false));
    *written = 0x10;
    ck_assert(!load(large, snap.data, snap.size, false));
    snap_free(&snap);
    block_free(large);
    block_free(small);
    close_image();
}
END_TEST

/* A disk that was loaded takes as many writes as the one that was saved. */
START_TEST(block_loads_its_limit)
{
    open_image();
    struct block *from = disk_of(64 << 10), *to = disk_of(64 << 10);
    struct snap snap;
    fill_sector(3);
    for (unsigned i = 0; i < 5; i++)
        write_at(from, 600 * i, 3);
    save(from, &snap, false);
    write_at(to, 4000, 1);
    ck_assert(load(to, snap.data, snap.size, false));
    for (unsigned i = 0; i < 20; i++)
        ck_assert_int_eq(block_write(from, 8 * i, 1, sector_of),
                         block_write(to, 8 * i, 1, sector_of));
    ck_assert_uint_ge(image.fulls, 2);
    ck_assert_uint_eq(hash_of(from), hash_of(to));
    snap_free(&snap);
    block_free(from);
    block_free(to);
    close_image();
}
END_TEST

/* --- marks ------------------------------------------------------------------------------------------ */

START_TEST(block_mark_keeps_what_was_written)
{
    open_image();
    struct block *block = disk_of(1 << 20);
    write_at(block, 10, 1);
    write_at(block, 4000, 2);
    uint64_t hash = hash_of(block), memory = block_memory(block);
    struct block_mark *mark = block_mark(block);
    ck_assert_uint_lt(block_mark_bytes(mark), 100);
    write_at(block, 10, 3);
    write_at(block, 11, 4);
    write_at(block, 2000, 5);
    ck_assert_uint_gt(block_mark_bytes(mark), 4096);
    block_return(block, mark);
    ck_assert_uint_eq(value_at(block, 10), 1);
    ck_assert_uint_eq(value_at(block, 11), 256);
    ck_assert_uint_eq(value_at(block, 2000), 256);
    ck_assert_uint_eq(value_at(block, 4000), 2);
    ck_assert_uint_eq(hash_of(block), hash);
    ck_assert_uint_eq(block_memory(block), memory);
    write_at(block, 4000, 6); /* the mark stays good */
    block_return(block, mark);
    ck_assert_uint_eq(hash_of(block), hash);
    block_mark_free(mark);
    ck_assert_uint_eq(block_memory(block), memory);
    block_free(block);
    close_image();
}
END_TEST

/* Whether a write finds room does not depend on marks: a run with checkpoints is the same as one without. */
START_TEST(block_marks_take_no_room)
{
    open_image();
    struct block *plain = disk_of(64 << 10), *marked = disk_of(64 << 10);
    struct block_mark *mark[40];
    fill_sector(1);
    for (unsigned i = 0; i < 40; i++) {
        uint64_t sector = i * 24 % 480;
        mark[i] = block_mark(marked);
        ck_assert_int_eq(block_write(plain, sector, 1, sector_of),
                         block_write(marked, sector, 1, sector_of));
    }
    ck_assert_uint_ge(image.fulls, 2);
    ck_assert_uint_eq(hash_of(plain), hash_of(marked));
    for (unsigned i = 0; i < 40; i++)
        block_mark_free(mark[i]);
    block_free(plain);
    block_free(marked);
    close_image();
}
END_TEST

START_TEST(block_mark_of_a_disk_that_keeps_nothing)
{
    open_image();
    struct block_config config = disk_config(&image);
    config.through = true;
    struct block *block = block_new(&config);
    ck_assert(block_through(block));
    struct block_mark *mark = block_mark(block);
    ck_assert_ptr_nonnull(mark);
    write_at(block, 1, 1);
    block_return(block, mark);
    ck_assert_uint_eq(value_at(block, 1), 1);
    ck_assert_uint_eq(block_memory(block), 0);
    block_mark_free(mark);
    block_mark_free(NULL);
    block_free(block);
    config.read_only = true;
    block = block_new(&config);
    ck_assert(!block_through(block));
    block_free(block);
    close_image();
}
END_TEST

CHECK_MAIN("block", block_reads_the_image, block_ends_where_the_image_does,
           block_fills_up_an_odd_end, block_keeps_writes_in_memory,
           block_reads_old_and_new_together, block_tells_of_bad_sectors, block_writes_through,
           block_writes_through_whole_sectors_only, block_read_only_refuses, block_memory_ends,
           block_serial_is_cut, block_state_sees_what_was_written, block_saves_what_was_written,
           block_without_media_leaves_it, block_refuses_what_is_no_state,
           block_refuses_what_has_no_room, block_loads_its_limit, block_mark_keeps_what_was_written,
           block_marks_take_no_room, block_mark_of_a_disk_that_keeps_nothing)

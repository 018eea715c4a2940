/* Disks over images: what is read, what is kept of writes, and what the image never sees. */
#include "tests/devices/disk_kit.h"

#define S BLOCK_SECTOR

static void hash_bytes(void *self, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < size; i++)
        kit_mix_word(self, at[i]);
}

static uint64_t hash_of(struct block *block)
{
    uint64_t hash = 1;
    struct snap snap;
    snap_hash(&snap, hash_bytes, &hash);
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

CHECK_MAIN("block", block_reads_the_image, block_ends_where_the_image_does,
           block_fills_up_an_odd_end, block_keeps_writes_in_memory,
           block_reads_old_and_new_together, block_tells_of_bad_sectors, block_writes_through,
           block_writes_through_whole_sectors_only, block_read_only_refuses, block_memory_ends,
           block_serial_is_cut, block_state_sees_what_was_written)

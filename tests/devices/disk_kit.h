/* An image in memory for the tests of disks, with what can go wrong. */
#ifndef TESTS_DEVICES_DISK_KIT_H
#define TESTS_DEVICES_DISK_KIT_H

#include "tests/devices/kit.h"

#include "devices/block.h"

struct disk {
    uint8_t *bytes;
    size_t size;
    uint64_t bad_from, bad_to; /* bytes that cannot be read or written */
    bool full, no_flush;
    unsigned reads, writes, flushes, fulls;
};

static inline bool disk_bad(const struct disk *disk, uint64_t offset, size_t size)
{
    ck_assert_uint_gt(size, 0);
    ck_assert(offset <= disk->size && size <= disk->size - offset); /* never outside */
    return offset < disk->bad_to && offset + size > disk->bad_from;
}

static inline bool disk_read(void *self, uint64_t offset, void *to, size_t size)
{
    struct disk *disk = self;
    disk->reads++;
    if (disk_bad(disk, offset, size))
        return false;
    memcpy(to, disk->bytes + offset, size);
    return true;
}

static inline bool disk_write(void *self, uint64_t offset, const void *from, size_t size)
{
    struct disk *disk = self;
    disk->writes++;
    if (disk_bad(disk, offset, size) || disk->full)
        return false;
    memcpy(disk->bytes + offset, from, size);
    return true;
}

static inline bool disk_flush(void *self)
{
    struct disk *disk = self;
    disk->flushes++;
    return !disk->no_flush;
}

static inline void disk_no_memory(void *self)
{
    struct disk *disk = self;
    disk->fulls++;
}

/* The byte that the image holds at a place: sectors differ. */
static inline uint8_t disk_byte(uint64_t offset)
{
    return (uint8_t)(offset * 7 + offset / 512 * 31 + offset / 65536);
}

static inline void disk_open(struct disk *disk, size_t size)
{
    memset(disk, 0, sizeof(*disk));
    disk->bytes = malloc(size ? size : 1);
    disk->size = size;
    ck_assert_ptr_nonnull(disk->bytes);
    for (size_t i = 0; i < size; i++)
        disk->bytes[i] = disk_byte(i);
}

static inline void disk_close(struct disk *disk)
{
    free(disk->bytes);
}

static inline struct block_config disk_config(struct disk *disk)
{
    return (struct block_config){
        .source = { .read = disk_read,
                    .write = disk_write,
                    .flush = disk_flush,
                    .full = disk_no_memory,
                    .self = disk },
        .size_bytes = disk->size,
        .memory_most = 1 << 20,
    };
}

/* Does `bytes` hold what the image has from `offset` on? */
static inline bool disk_same(const uint8_t *bytes, uint64_t offset, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != disk_byte(offset + i))
            return false;
    return true;
}

#endif

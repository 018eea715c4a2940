/* Disks over images.
 *
 * What the guest writes is kept in memory, by clusters of eight sectors, each with a map of the sectors that count; so a write
 * reads nothing, and what is kept is bounded by what was written. */
#include "devices/block.h"

#include "devices/pages.h"

#include <stdlib.h>
#include <string.h>

#define CLUSTER_SECTORS (PAGES_BYTES / BLOCK_SECTOR)

struct block {
    struct block_source source;
    uint64_t size_bytes, sectors;
    bool read_only, through;
    char serial[BLOCK_SERIAL + 1];
    struct pages *overlay; /* clusters; NULL: nothing is kept */
    uint64_t memory_most;  /* for it */
    uint64_t history; /* with `through`: a digest of all writes, for they are seen nowhere else */
};

static uint64_t cluster_count(const struct block *block)
{
    return block->sectors / CLUSTER_SECTORS + 1;
}

struct block *block_new(const struct block_config *config)
{
    uint64_t sectors = config->size_bytes / BLOCK_SECTOR + (config->size_bytes % BLOCK_SECTOR != 0);
    bool through = config->through && !config->read_only;
    if (config->size_bytes > BLOCK_BYTES_MOST ||
        (through && (!config->source.write || config->size_bytes % BLOCK_SECTOR)))
        return NULL;
    struct block *block = calloc(1, sizeof(*block));
    if (!block)
        return NULL;
    block->source = config->source;
    block->size_bytes = config->size_bytes;
    block->sectors = sectors;
    block->read_only = config->read_only;
    block->through = through;
    block->memory_most = config->memory_most;
    if (config->serial)
        memcpy(block->serial, config->serial, strnlen(config->serial, BLOCK_SERIAL));
    if (!through && !config->read_only) {
        block->overlay = pages_new(cluster_count(block));
        if (!block->overlay) {
            free(block);
            return NULL;
        }
    }
    return block;
}

void block_free(struct block *block)
{
    if (!block)
        return;
    pages_free(block->overlay);
    free(block);
}

uint64_t block_sectors(const struct block *block)
{
    return block->sectors;
}

bool block_read_only(const struct block *block)
{
    return block->read_only;
}

const char *block_serial(const struct block *block)
{
    return block->serial;
}

/* --- reading -------------------------------------------------------------------------------------- */

/* The sector as it was written, or NULL if it never was. */
static const uint8_t *written_sector(const struct block *block, uint64_t sector)
{
    const struct page *cluster =
        block->overlay ? pages_get(block->overlay, sector / CLUSTER_SECTORS) : NULL;
    unsigned at = sector % CLUSTER_SECTORS;
    return cluster && cluster->written >> at & 1 ? &cluster->bytes[at * BLOCK_SECTOR] : NULL;
}

/* Sectors of the image; zeros stand for what its last sector lacks. */
static bool read_source(const struct block *block, uint64_t sector, uint32_t count, uint8_t *to)
{
    uint64_t offset = sector * BLOCK_SECTOR;
    size_t size = (size_t)count * BLOCK_SECTOR, there = size;
    if (there > block->size_bytes - offset)
        there = (size_t)(block->size_bytes - offset);
    memset(to + there, 0, size - there);
    return block->source.read(block->source.self, offset, to, there);
}

static bool inside(const struct block *block, uint64_t sector, uint32_t count)
{
    return sector <= block->sectors && count <= block->sectors - sector;
}

enum block_result block_read(const struct block *block, uint64_t sector, uint32_t count, void *to)
{
    uint8_t *at = to;
    if (!inside(block, sector, count))
        return BLOCK_BAD_RANGE;
    while (count) {
        const uint8_t *written = written_sector(block, sector);
        uint32_t run = 1;
        if (written) {
            memcpy(at, written, BLOCK_SECTOR);
        } else {
            while (run < count && !written_sector(block, sector + run))
                run++;
            if (!read_source(block, sector, run, at))
                return BLOCK_FAILED;
        }
        sector += run;
        count -= run;
        at += (size_t)run * BLOCK_SECTOR;
    }
    return BLOCK_OK;
}

/* --- writing -------------------------------------------------------------------------------------- */

/* The cluster of a sector, to be written. NULL: there is no more memory, or no more is allowed. */
static struct page *cluster_for(struct block *block, uint64_t sector)
{
    uint64_t cluster = sector / CLUSTER_SECTORS, bytes = pages_bytes(block->overlay);
    uint64_t more = pages_more(block->overlay, cluster);
    if (more && (bytes > block->memory_most || more > block->memory_most - bytes))
        return NULL;
    return pages_change(block->overlay, cluster);
}

static bool write_memory(struct block *block, uint64_t sector, uint32_t count, const uint8_t *from)
{
    for (; count; count--, sector++, from += BLOCK_SECTOR) {
        struct page *cluster = cluster_for(block, sector);
        unsigned at = sector % CLUSTER_SECTORS;
        if (!cluster) {
            if (block->source.full)
                block->source.full(block->source.self);
            return false;
        }
        memcpy(&cluster->bytes[at * BLOCK_SECTOR], from, BLOCK_SECTOR);
        cluster->written |= (uint8_t)(1u << at);
    }
    return true;
}

static uint64_t digest(uint64_t sum, uint64_t word)
{
    sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return sum ^ sum >> 32;
}

static uint64_t digest_bytes(uint64_t sum, const uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, bytes + at, sizeof(word));
        sum = digest(sum, word);
    }
    return sum;
}

static bool write_through(struct block *block, uint64_t sector, uint32_t count, const void *from)
{
    size_t size = (size_t)count * BLOCK_SECTOR;
    block->history = digest_bytes(digest(block->history, sector), from, size);
    return block->source.write(block->source.self, sector * BLOCK_SECTOR, from, size);
}

enum block_result block_write(struct block *block, uint64_t sector, uint32_t count,
                              const void *from)
{
    if (!inside(block, sector, count))
        return BLOCK_BAD_RANGE;
    if (block->read_only)
        return BLOCK_READ_ONLY;
    if (count == 0)
        return BLOCK_OK;
    bool done = block->through ? write_through(block, sector, count, from)
                               : write_memory(block, sector, count, from);
    return done ? BLOCK_OK : BLOCK_FAILED;
}

enum block_result block_flush(struct block *block)
{
    if (!block->through || !block->source.flush)
        return BLOCK_OK;
    return block->source.flush(block->source.self) ? BLOCK_OK : BLOCK_FAILED;
}

/* --- state ------------------------------------------------------------------------------------------ */

#define NO_MORE UINT64_MAX /* behind the last cluster */

static void name_sectors(struct snap *snap, struct page *cluster)
{
    for (unsigned at = 0; at < CLUSTER_SECTORS; at++)
        if (cluster->written >> at & 1)
            snap_bytes(snap, "sector", &cluster->bytes[at * BLOCK_SECTOR], BLOCK_SECTOR);
}

/* Each cluster by its number. */
static void name_overlay(const struct block *block, struct snap *snap)
{
    for (uint64_t i = 0; pages_next(block->overlay, &i); i++) {
        struct page cluster = *pages_get(block->overlay, i);
        snap_u64(snap, "cluster", &i);
        SNAP(snap, &cluster, written);
        name_sectors(snap, &cluster);
    }
    uint64_t end = NO_MORE;
    snap_u64(snap, "cluster", &end);
}

/* The bits of sectors that the disk has. */
static uint8_t sectors_of(const struct block *block, uint64_t cluster)
{
    uint64_t left = block->sectors - cluster * CLUSTER_SECTORS;
    return left < CLUSTER_SECTORS ? (uint8_t)((1u << left) - 1) : 0xff;
}

static bool load_cluster(struct block *block, struct snap *snap, uint64_t number)
{
    uint8_t written = 0;
    snap_u8(snap, "written", &written);
    if (!written || (written & ~sectors_of(block, number)))
        return false;
    struct page *cluster = cluster_for(block, number * CLUSTER_SECTORS);
    if (!cluster)
        return false;
    cluster->written = written;
    name_sectors(snap, cluster);
    return !snap->failed;
}

static void load_overlay(struct block *block, struct snap *snap)
{
    uint64_t number = 0, next = 0;
    pages_clear(block->overlay);
    for (;;) {
        snap_u64(snap, "cluster", &number);
        if (snap->failed || number == NO_MORE)
            return;
        if (number < next || number >= cluster_count(block) || !load_cluster(block, snap, number)) {
            snap_refuse(snap, "cluster");
            return;
        }
        next = number + 1;
    }
}

void block_state(struct block *block, struct snap *snap)
{
    if (block->through)
        SNAP(snap, block, history);
    if (!block->overlay || snap->without_media)
        return;
    if (snap_loading(snap))
        load_overlay(block, snap);
    else
        name_overlay(block, snap);
}

bool block_through(const struct block *block)
{
    return block->through;
}

/* --- marks ------------------------------------------------------------------------------------------- */

struct block_mark {
    struct pages_mark *overlay; /* NULL: the block keeps nothing */
};

struct block_mark *block_mark(struct block *block)
{
    struct block_mark *mark = calloc(1, sizeof(*mark));
    if (!mark || !block->overlay)
        return mark;
    mark->overlay = pages_mark(block->overlay);
    if (mark->overlay)
        return mark;
    free(mark);
    return NULL;
}

void block_return(struct block *block, const struct block_mark *mark)
{
    if (mark->overlay)
        pages_return(block->overlay, mark->overlay);
}

void block_mark_free(struct block_mark *mark)
{
    if (!mark)
        return;
    pages_mark_free(mark->overlay);
    free(mark);
}

uint64_t block_mark_bytes(const struct block_mark *mark)
{
    return sizeof(*mark) + (mark->overlay ? pages_mark_bytes(mark->overlay) : 0);
}

uint64_t block_memory(const struct block *block)
{
    return block->overlay ? pages_memory(block->overlay) : 0;
}

uint64_t block_marks_memory(const struct block *block)
{
    return block->overlay ? pages_memory(block->overlay) - pages_bytes(block->overlay) : 0;
}

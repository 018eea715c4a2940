/* Disks over images.
 *
 * What the guest writes is kept in memory, by clusters of eight sectors, each with a map of the sectors that count; so a write
 * reads nothing, and what is kept is bounded by what was written. Two levels of tables lead to the clusters: small for small
 * disks, and in the order of the disk, as the state hash wants it. */
#include "devices/block.h"

#include <stdlib.h>
#include <string.h>

#define CLUSTER_SECTORS 8u
#define GROUP_CLUSTERS 512u /* 2 MiB of disk */
#define GROUP_SECTORS ((uint64_t)GROUP_CLUSTERS * CLUSTER_SECTORS)

struct cluster {
    uint8_t written; /* a bit for each sector */
    uint8_t bytes[CLUSTER_SECTORS * BLOCK_SECTOR];
};

struct group {
    struct cluster *cluster[GROUP_CLUSTERS];
};

struct block {
    struct block_source source;
    uint64_t size_bytes, sectors;
    bool read_only, through;
    char serial[BLOCK_SERIAL + 1];
    struct group **group; /* of the overlay, one for GROUP_SECTORS; not with `through` */
    uint64_t memory_left; /* for it */
    uint64_t history; /* with `through`: a digest of all writes, for they are seen nowhere else */
};

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
    block->memory_left = config->memory_most;
    if (config->serial)
        memcpy(block->serial, config->serial, strnlen(config->serial, BLOCK_SERIAL));
    if (!through && !config->read_only) {
        block->group = calloc((size_t)(sectors / GROUP_SECTORS + 1), sizeof(*block->group));
        if (!block->group) {
            free(block);
            return NULL;
        }
    }
    return block;
}

static uint64_t group_count(const struct block *block)
{
    return block->group ? block->sectors / GROUP_SECTORS + 1 : 0;
}

void block_free(struct block *block)
{
    if (!block)
        return;
    for (uint64_t i = 0; i < group_count(block); i++) {
        for (unsigned k = 0; block->group[i] && k < GROUP_CLUSTERS; k++)
            free(block->group[i]->cluster[k]);
        free(block->group[i]);
    }
    free(block->group);
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
    const struct group *group = block->group ? block->group[sector / GROUP_SECTORS] : NULL;
    const struct cluster *cluster =
        group ? group->cluster[sector % GROUP_SECTORS / CLUSTER_SECTORS] : NULL;
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

/* Memory for what is written, zeroed. NULL: there is no more, or no more is allowed. */
static void *get_memory(struct block *block, size_t bytes)
{
    void *memory = bytes <= block->memory_left ? calloc(1, bytes) : NULL;
    if (memory)
        block->memory_left -= bytes;
    return memory;
}

/* The cluster of a sector, made if it was not there. NULL without memory. */
static struct cluster *cluster_for(struct block *block, uint64_t sector)
{
    struct group **group = &block->group[sector / GROUP_SECTORS];
    if (!*group)
        *group = get_memory(block, sizeof(**group));
    if (!*group)
        return NULL;
    struct cluster **cluster = &(*group)->cluster[sector % GROUP_SECTORS / CLUSTER_SECTORS];
    if (!*cluster)
        *cluster = get_memory(block, sizeof(**cluster));
    return *cluster;
}

static bool write_memory(struct block *block, uint64_t sector, uint32_t count, const uint8_t *from)
{
    for (; count; count--, sector++, from += BLOCK_SECTOR) {
        struct cluster *cluster = cluster_for(block, sector);
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

/* --- the state hash --------------------------------------------------------------------------------- */

static void mix_cluster(const struct cluster *cluster, uint64_t number,
                        const struct dev_mixer *mixer)
{
    dev_mix(mixer, number << 8 | cluster->written);
    for (unsigned at = 0; at < CLUSTER_SECTORS; at++)
        if (cluster->written >> at & 1)
            dev_mix(mixer, digest_bytes(at, &cluster->bytes[at * BLOCK_SECTOR], BLOCK_SECTOR));
}

void block_mix(const struct block *block, const struct dev_mixer *mixer)
{
    dev_mix(mixer, block->history);
    for (uint64_t i = 0; i < group_count(block); i++)
        for (unsigned k = 0; block->group[i] && k < GROUP_CLUSTERS; k++)
            if (block->group[i]->cluster[k])
                mix_cluster(block->group[i]->cluster[k], i * GROUP_CLUSTERS + k, mixer);
}

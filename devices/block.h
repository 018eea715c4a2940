/* A disk: sectors of 512 bytes from an image outside, under what the guest has written. Disk controllers ask it. */
#ifndef DEVICES_BLOCK_H
#define DEVICES_BLOCK_H

#include "devices/bus.h"

#define BLOCK_SECTOR 512u
#define BLOCK_BYTES_MOST (UINT64_C(32) << 40) /* so that the tables behind a disk have a bound */
#define BLOCK_SERIAL 20u /* characters of a serial number; fewer are padded by who shows them */

struct block;

/* The image. Each call moves all of `size` bytes (more than 0, inside the image) at byte `offset` or returns false. */
struct block_source {
    bool (*read)(void *self, uint64_t offset, void *to, size_t size);
    bool (*write)(void *self, uint64_t offset, const void *from,
                  size_t size); /* for `through` only */
    bool (*flush)(void *self);  /* what was written is safe now; NULL: it always is */
    void (*full)(void *self);   /* a write has found no memory; NULL: nobody wants to know */
    void *self;
};

struct block_config {
    struct block_source source;
    uint64_t size_bytes; /* of the image; a part of a sector at its end is filled up with zeros */
    bool read_only;      /* what the guest writes is refused */
    bool
        through; /* it goes to the source, which has whole sectors; else it stays in memory, and the source is only read */
    uint64_t memory_most; /* bytes that writes may take, if they stay in memory */
    const char *serial;   /* copied; NULL: none */
};

enum block_result {
    BLOCK_OK,
    BLOCK_BAD_RANGE, /* a sector that is not there */
    BLOCK_READ_ONLY,
    BLOCK_FAILED /* the image could not be read or written, or there is no more memory for what was written */
};

/* NULL without memory, or if the configuration makes no sense: through with part of a sector or without write. */
struct block *block_new(const struct block_config *config);
void block_free(struct block *block); /* NULL is allowed */

uint64_t block_sectors(const struct block *block);
bool block_read_only(const struct block *block);
const char *block_serial(const struct block *block);

/* Move `count` sectors. After an error the sectors that came before the bad one are moved; no sector is half written
 * in memory. */
enum block_result block_read(const struct block *block, uint64_t sector, uint32_t count, void *to);
enum block_result block_write(struct block *block, uint64_t sector, uint32_t count,
                              const void *from);
enum block_result block_flush(struct block *block);

/* Name what was written: all of it if it stays in memory; else the image has it, and only what tells two runs apart is
 * named. A pass without media leaves the first out. */
void block_state(struct block *block, struct snap *snap);
bool block_through(const struct block *block); /* is anything written to the image? */

/* What was written until now, kept cheaply: what is written later is copied first. Marks are freed before their block.
 * block_mark() gives NULL without memory. */
struct block_mark;
struct block_mark *block_mark(struct block *block);
/* Be as at the mark. Before the rest of the state is loaded: flash memory looks at its block then. */
void block_return(struct block *block, const struct block_mark *mark);
void block_mark_free(struct block_mark *mark);            /* NULL is allowed */
uint64_t block_mark_bytes(const struct block_mark *mark); /* that freeing it would give back */
uint64_t block_memory(const struct block *block); /* bytes of what was written, with all marks */
uint64_t block_marks_memory(const struct block *block); /* that all marks together keep */

#endif

/* Basic blocks: decoded once, found by backing page, dropped when their bytes are written. */
#ifndef DECODER_BLOCK_H
#define DECODER_BLOCK_H

#include "decoder/op.h"
#include "paging/memory.h"

#define BLOCK_MAX_INSNS 48
#define BLOCK_MAX_BYTES 240 /* op.off and block.bytes fit a byte */

/* Invariant: holds no absolute RIP and never crosses a page, but for a block of one instruction that does
 * (page2). ops[0] is the entry. */
struct block {
    uint64_t page;  /* backing page of the first byte */
    uint64_t page2; /* of the last byte when that is another page, else BLOCK_NO_PAGE */
    uint16_t offset;
    uint8_t mode; /* enum cpu_mode, and BLOCK_SHADOW_STACK */
    uint8_t bytes, insns;
    bool exact; /* asked for as one instruction */
    bool alone; /* exact, or crossing a page, or not backed: never linked, not in the jump cache */
    bool dead;
    struct block *hash_next;
    struct block *page_next[2]; /* in the lists of page and page2 */
    const struct insn *first;
    unsigned op_count;
    struct op ops[];
};
#define BLOCK_NO_PAGE UINT64_MAX
#define BLOCK_SHADOW_STACK 8u /* shadow stacks are on: near CALL and RET have other bodies */

static inline enum cpu_mode block_mode(const struct block *block)
{
    return (enum cpu_mode)(block->mode & ~BLOCK_SHADOW_STACK);
}

/* What the floors above tell the decoder: which body an instruction has, and which ops it becomes. */
struct lowering {
    /* Fill insn->body and insn->flags; decoding gave `status`. Never fails: an instruction that does not exist
     * gets a body that raises #UD. */
    void (*bind)(void *self, struct insn *insn, int status);
    /* Write the ops of the block (entry and ends included) for insns[0..count-1]; at most LOWER_MAX_OPS(count),
     * at least two. Returns their number. */
    unsigned (*lower)(void *self, struct op *ops, const struct insn *const *insns, unsigned count,
                      const struct block *block);
    op_fn *dead;         /* the entry of a dropped block */
    op_fn *dead_entered; /* the op behind it, where links lead after they have paid */
    void *self;
};
#define LOWER_MAX_OPS(insns) (4 * (insns) + 5)

struct block_cache;

/* Make an empty cache, or NULL without memory. It marks pages in `memory` and is told of writes through
 * block_cache_written(); lowering is borrowed. */
struct block_cache *block_cache_new(struct memory *memory, const struct lowering *lowering);
void block_cache_free(struct block_cache *cache);

/* Find a block, or NULL. page2 of the result is to be checked by the caller. `mode` here and below: enum cpu_mode, and
 * BLOCK_SHADOW_STACK. */
struct block *block_find(struct block_cache *cache, uint64_t page, unsigned offset, unsigned mode,
                         bool exact);

enum build_status {
    BUILD_OK,
    BUILD_CROSSES /* the first instruction continues in the next page: give its bytes */
};

/* Decode a block at an offset of a backing page and keep it. next_page: the backing page of the bytes that follow
 * in linear order, or BLOCK_NO_PAGE when it is not known; used only if the first instruction crosses. */
enum build_status block_build(struct block_cache *cache, uint64_t page, unsigned offset,
                              uint64_t next_page, unsigned mode, bool exact, struct block **block);

/* Decode one instruction from bytes that are not backed (MMIO, mixed pages): a block that lives until the next
 * call. len: bytes available; DECODE_SHORT if they are not enough. */
int block_build_loose(struct block_cache *cache, const uint8_t *bytes, unsigned len, unsigned mode,
                      struct block **block);

/* Drop a block that no longer fits (the second page changed). */
void block_discard(struct block_cache *cache, struct block *block);

/* [offset, offset + len) of a backing page was written: drop the blocks whose 64-byte lines are touched.
 * Returns true if any was dropped. Dropped blocks stay readable until block_cache_reclaim(). */
bool block_cache_written(struct block_cache *cache, uint64_t page, unsigned offset, unsigned len);

/* Outside of any chain: forget everything if the arena is full or `all`. Returns true if it was done: links,
 * jump caches and block pointers are void then. */
bool block_cache_reclaim(struct block_cache *cache, bool all);

#endif

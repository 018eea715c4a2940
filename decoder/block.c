/* The block cache: building, finding and dropping blocks. */
#include "decoder/block.h"

#include "decoder/arena.h"
#include "decoder/decode.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES 4096u
#define HASH_BUCKETS 8192u
#define PAGE_BUCKETS 1024u
#define ARENA_LIMIT (12u * 1024 * 1024)
#define WRITE_LINE 64u /* writes are seen at this granularity */

struct block_cache {
    struct memory *memory;
    const struct lowering *lowering;
    struct arena arena;
    struct block *hash[HASH_BUCKETS];
    struct block *by_page[PAGE_BUCKETS];
    struct block *loose; /* storage of block_build_loose() */
    struct insn loose_insn;
};

static unsigned hash_index(uint64_t page, unsigned offset, unsigned mode, bool exact)
{
    uint64_t key = (page << 12 | offset) * 16 + mode + (exact ? 0x9e3779b9u : 0);
    key *= 0x9e3779b97f4a7c15u;
    return (unsigned)(key >> 51) & (HASH_BUCKETS - 1);
}

static unsigned page_index(uint64_t page)
{
    return (unsigned)(page ^ (page >> 10)) & (PAGE_BUCKETS - 1);
}

struct block_cache *block_cache_new(struct memory *memory, const struct lowering *lowering)
{
    struct block_cache *cache = calloc(1, sizeof(*cache));
    if (!cache)
        return NULL;
    cache->memory = memory;
    cache->lowering = lowering;
    cache->loose = malloc(sizeof(struct block) + LOWER_MAX_OPS(1) * sizeof(struct op));
    if (!cache->loose) {
        free(cache);
        return NULL;
    }
    return cache;
}

void block_cache_free(struct block_cache *cache)
{
    if (!cache)
        return;
    arena_fini(&cache->arena);
    free(cache->loose);
    free(cache);
}

struct block *block_find(struct block_cache *cache, uint64_t page, unsigned offset, unsigned mode,
                         bool exact)
{
    struct block *block = cache->hash[hash_index(page, offset, mode, exact)];
    while (block && !(block->page == page && block->offset == offset && block->mode == mode &&
                      block->exact == exact))
        block = block->hash_next;
    return block;
}

/* Which of a block's two page lists a page's list runs through. */
static struct block **page_link(struct block *block, uint64_t page)
{
    return &block->page_next[block->page2 != BLOCK_NO_PAGE &&
                             page_index(page) != page_index(block->page)];
}

static void page_list_add(struct block_cache *cache, struct block *block, uint64_t page)
{
    struct block **head = &cache->by_page[page_index(page)];
    *page_link(block, page) = *head;
    *head = block;
    memory_set_marks(cache->memory, page, PAGE_HAS_CODE, 0);
}

static void page_list_remove(struct block_cache *cache, struct block *block, uint64_t page)
{
    struct block **at = &cache->by_page[page_index(page)];
    while (*at != block)
        at = page_link(*at, page);
    *at = *page_link(block, page);
    for (struct block *b = cache->by_page[page_index(page)]; b; b = *page_link(b, page))
        if (b->page == page || b->page2 == page)
            return;
    memory_set_marks(cache->memory, page, 0, PAGE_HAS_CODE);
}

static void block_insert(struct block_cache *cache, struct block *block)
{
    struct block **head =
        &cache->hash[hash_index(block->page, block->offset, block->mode, block->exact)];
    block->hash_next = *head;
    *head = block;
    page_list_add(cache, block, block->page);
    /* When both pages share a bucket one membership serves both. */
    if (block->page2 != BLOCK_NO_PAGE) {
        if (page_index(block->page2) != page_index(block->page))
            page_list_add(cache, block, block->page2);
        else
            memory_set_marks(cache->memory, block->page2, PAGE_HAS_CODE, 0);
    }
}

void block_discard(struct block_cache *cache, struct block *block)
{
    struct block **at =
        &cache->hash[hash_index(block->page, block->offset, block->mode, block->exact)];
    while (*at != block)
        at = &(*at)->hash_next;
    *at = block->hash_next;
    page_list_remove(cache, block, block->page);
    if (block->page2 != BLOCK_NO_PAGE && page_index(block->page2) != page_index(block->page))
        page_list_remove(cache, block, block->page2);
    block->dead = true;
    block->ops[0].fn = cache->lowering->dead;
    block->ops[1].fn = cache->lowering->dead_entered;
}

/* Does the block have bytes in [first, last] of the page? */
static bool block_touches(const struct block *block, uint64_t page, unsigned first, unsigned last)
{
    unsigned end = block->offset + block->bytes; /* beyond the page when page2 is used */
    if (block->page == page && block->offset <= last &&
        (end > PAGE_BYTES ? PAGE_BYTES : end) > first)
        return true;
    return block->page2 == page && end > PAGE_BYTES + first;
}

bool block_cache_written(struct block_cache *cache, uint64_t page, unsigned offset, unsigned len)
{
    unsigned first = offset & ~(WRITE_LINE - 1);
    unsigned last = (offset + len - 1) | (WRITE_LINE - 1);
    bool dropped = false;
    struct block *next;
    for (struct block *block = cache->by_page[page_index(page)]; block; block = next) {
        next = *page_link(block, page);
        if (block_touches(block, page, first, last)) {
            block_discard(cache, block);
            dropped = true;
        }
    }
    return dropped;
}

bool block_cache_reclaim(struct block_cache *cache, bool all)
{
    if (!all && cache->arena.total < ARENA_LIMIT)
        return false;
    for (unsigned i = 0; i < HASH_BUCKETS; i++)
        for (struct block *block = cache->hash[i]; block; block = block->hash_next) {
            memory_set_marks(cache->memory, block->page, 0, PAGE_HAS_CODE);
            if (block->page2 != BLOCK_NO_PAGE)
                memory_set_marks(cache->memory, block->page2, 0, PAGE_HAS_CODE);
        }
    memset(cache->hash, 0, sizeof(cache->hash));
    memset(cache->by_page, 0, sizeof(cache->by_page));
    arena_reset(&cache->arena);
    return true;
}

static int decode(const struct block_cache *cache, const uint8_t *bytes, unsigned len,
                  unsigned mode, struct insn *insn)
{
    int status = decode_insn(bytes, len, (enum cpu_mode)(mode & ~BLOCK_SHADOW_STACK), insn);
    insn->shadow_stack = mode & BLOCK_SHADOW_STACK;
    if (status != DECODE_SHORT)
        cache->lowering->bind(cache->lowering->self, insn, status);
    return status;
}

/* Decode instructions from `bytes` into insns; returns how many. *status is that of the last one. */
static unsigned decode_run(struct block_cache *cache, const uint8_t *bytes, unsigned len,
                           unsigned mode, unsigned max, const struct insn **insns, unsigned *total,
                           int *status)
{
    unsigned count = 0, used = 0;
    *status = DECODE_OK;
    while (count < max && used + INSN_MAX_BYTES <= BLOCK_MAX_BYTES) {
        struct insn *insn = arena_alloc(&cache->arena, sizeof(*insn));
        if (!insn)
            break;
        *status = decode(cache, bytes + used, len - used, mode, insn);
        if (*status == DECODE_SHORT)
            break;
        insns[count++] = insn;
        used += insn->len;
        if (*status != DECODE_OK || (insn->flags & INSN_ENDS_BLOCK))
            break;
    }
    *total = used;
    return count;
}

enum build_status block_build(struct block_cache *cache, uint64_t page, unsigned offset,
                              uint64_t next_page, unsigned mode, bool exact, struct block **result)
{
    const struct insn *insns[BLOCK_MAX_INSNS];
    uint8_t joined[INSN_MAX_BYTES];
    unsigned used;
    int status;
    unsigned have = PAGE_BYTES - offset;
    unsigned max = exact ? 1 : BLOCK_MAX_INSNS;
    uint64_t page2 = BLOCK_NO_PAGE;

    *result = NULL;
    const uint8_t *ptr = memory_page_ptr(cache->memory, page);
    unsigned count = decode_run(cache, ptr + offset, have, mode, max, insns, &used, &status);
    if (count == 0 && status == DECODE_SHORT) {
        if (next_page == BLOCK_NO_PAGE)
            return BUILD_CROSSES;
        memcpy(joined, ptr + offset, have);
        memcpy(joined + have, memory_page_ptr(cache->memory, next_page), sizeof(joined) - have);
        count = decode_run(cache, joined, sizeof(joined), mode, 1, insns, &used, &status);
        page2 = next_page;
    }
    if (count == 0)
        return BUILD_OK; /* no memory: *result is NULL */

    size_t size = sizeof(struct block) + LOWER_MAX_OPS(count) * sizeof(struct op);
    struct block *block = arena_alloc(&cache->arena, size);
    if (!block)
        return BUILD_OK;
    *block = (struct block){ .page = page,
                             .page2 = page2,
                             .offset = (uint16_t)offset,
                             .mode = (uint8_t)mode,
                             .bytes = (uint8_t)used,
                             .insns = (uint8_t)count,
                             .exact = exact,
                             .alone = exact || page2 != BLOCK_NO_PAGE,
                             .first = insns[0] };
    block->op_count =
        cache->lowering->lower(cache->lowering->self, block->ops, insns, count, block);
    arena_trim(&cache->arena, block, sizeof(struct block) + block->op_count * sizeof(struct op));
    block_insert(cache, block);
    *result = block;
    return BUILD_OK;
}

int block_build_loose(struct block_cache *cache, const uint8_t *bytes, unsigned len, unsigned mode,
                      struct block **result)
{
    struct block *block = cache->loose;
    struct insn *insn = &cache->loose_insn;
    int status = decode(cache, bytes, len, mode, insn);

    *result = NULL;
    if (status == DECODE_SHORT)
        return status;
    *block = (struct block){ .page = BLOCK_NO_PAGE,
                             .page2 = BLOCK_NO_PAGE,
                             .mode = (uint8_t)mode,
                             .bytes = insn->len,
                             .insns = 1,
                             .exact = true,
                             .alone = true,
                             .first = insn };
    const struct insn *insns[1] = { insn };
    block->op_count = cache->lowering->lower(cache->lowering->self, block->ops, insns, 1, block);
    *result = block;
    return status;
}

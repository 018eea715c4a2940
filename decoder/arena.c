/* The arena: a list of chunks. */
#include "decoder/arena.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#define CHUNK_BYTES (256u * 1024)

struct arena_chunk {
    struct arena_chunk *next;
    size_t pad;
    unsigned char bytes[CHUNK_BYTES];
};

static size_t rounded(size_t size_bytes)
{
    return (size_bytes + 15) & ~(size_t)15;
}

void *arena_alloc(struct arena *arena, size_t size_bytes)
{
    size_t size = rounded(size_bytes);
    assert(size <= CHUNK_BYTES);
    if (!arena->chunks || CHUNK_BYTES - arena->used < size) {
        struct arena_chunk *chunk = malloc(sizeof(*chunk));
        if (!chunk)
            return NULL;
        chunk->next = arena->chunks;
        arena->chunks = chunk;
        arena->used = 0;
        arena->total += CHUNK_BYTES;
    }
    void *ptr = arena->chunks->bytes + arena->used;
    arena->used += size;
    return ptr;
}

void arena_trim(struct arena *arena, void *last, size_t size_bytes)
{
    size_t start = (size_t)((unsigned char *)last - arena->chunks->bytes);
    assert(start + rounded(size_bytes) <= arena->used);
    arena->used = start + rounded(size_bytes);
}

void arena_reset(struct arena *arena)
{
    while (arena->chunks && arena->chunks->next) {
        struct arena_chunk *chunk = arena->chunks;
        arena->chunks = chunk->next;
        arena->total -= CHUNK_BYTES;
        free(chunk);
    }
    arena->used = 0;
}

void arena_fini(struct arena *arena)
{
    arena_reset(arena);
    free(arena->chunks);
    *arena = (struct arena){ 0 };
}

/* Memory for blocks: allocated forwards, given back all at once. */
#ifndef DECODER_ARENA_H
#define DECODER_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct arena_chunk;

/* Invariant: zero-initialised is empty. */
struct arena {
    struct arena_chunk *chunks; /* newest first */
    size_t used;                /* of the newest */
    size_t total;               /* bytes of all chunks */
};

/* 16-byte aligned memory, or NULL when the workstation has none. size_bytes at most 256 KiB. */
void *arena_alloc(struct arena *arena, size_t size_bytes);

/* Give the tail of the last allocation back: it keeps size_bytes. */
void arena_trim(struct arena *arena, void *last, size_t size_bytes);

/* Give everything back but one chunk; free everything. */
void arena_reset(struct arena *arena);
void arena_fini(struct arena *arena);

#endif

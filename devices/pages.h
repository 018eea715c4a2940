/* Pages of 4 KiB of which few are there: what was written to a disk, or to a screen's memory. Marks keep what they hold at
 * one moment; then pages are shared, and copied when they change. So a mark costs nothing but the changes after it. */
#ifndef DEVICES_PAGES_H
#define DEVICES_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "emu/base/snap.h"

#define PAGES_BYTES 4096u

struct page {
    uint32_t refs;   /* who has it: pages.c's */
    uint8_t written; /* the owner's: which parts count */
    uint8_t bytes[PAGES_BYTES];
};

struct pages;
struct pages_mark;

/* Room for `count` pages (at most 2^36), of which none is there. NULL without memory. */
struct pages *pages_new(uint64_t count);
void pages_free(struct pages *pages); /* NULL is allowed. All its marks are free */
void pages_clear(struct pages *pages);

/* Indices are below `count`. NULL: the page is not there. */
const struct page *pages_get(const struct pages *pages, uint64_t index);

/* To write it: made, zeroed, if it was not there. NULL without memory; then nothing has changed. */
struct page *pages_change(struct pages *pages, uint64_t index);

/* Take it away. false: without memory. */
bool pages_drop(struct pages *pages, uint64_t index);

/* The first page from *index on. false: there is none. */
bool pages_next(const struct pages *pages, uint64_t *index);

/* Bytes of memory that all pages take which are there, without marks; and how many more one more page would take. Both follow from
 * which pages are there alone. */
uint64_t pages_bytes(const struct pages *pages);
uint64_t pages_more(const struct pages *pages, uint64_t index);

/* Bytes of memory with marks. */
uint64_t pages_memory(const struct pages *pages);

/* Keep what they hold now. NULL without memory. */
struct pages_mark *pages_mark(struct pages *pages);
void pages_return(struct pages *pages, const struct pages_mark *mark); /* hold it again */
void pages_mark_free(struct pages_mark *mark);                         /* NULL is allowed */
uint64_t pages_mark_bytes(const struct pages_mark *mark); /* that freeing it would give back */
const struct page *pages_mark_get(const struct pages_mark *mark, uint64_t index);

/* Name memory of `count` bytes, a multiple of PAGES_BYTES, of which most is zeros: in the stream are pages that hold something
 * else. `hint`: not NULL: pages with 0 there are zeros, and need not be looked at; loading sets it for what is not. */
void snap_sparse(struct snap *snap, const char *name, uint8_t *bytes, size_t count, uint8_t *hint);

#endif

/* tlbwalk.c: a pointer chase in which each step goes to another of 16,384 pages of 4 KiB: every
 * step misses a TLB of silicon's size, and most miss the caches of page-table entries too. */
#include "bench/roms/bench.h"
#include "test-roms/lib/paging.h"

#define WALK_PAGES 16384u /* 64 MiB */

const char bench_name[] = "tlbwalk";

/* Where page k keeps its pointer: another cache line in each page. */
static volatile uint64_t *cell(uint64_t page)
{
    return (volatile uint64_t *)(PAGING_WINDOW + page * PAGE_4K + (page * 5 % 64) * 64);
}

uint64_t bench_run(uint64_t n)
{
    uint64_t page = 0;
    volatile uint64_t *at;

    for (uint64_t offset = 0; offset < WALK_PAGES * PAGE_4K; offset += PAGE_4K)
        paging_map(paging_root(), PAGING_WINDOW + offset, BENCH_DATA_SPA + offset, PAGE_4K,
                   PAGE_P | PAGE_W);
    /* Multiplier 4k+1, odd increment: the sequence visits every page before it repeats. */
    for (uint32_t i = 0; i < WALK_PAGES; i++) {
        uint64_t next = (page * 4813 + 7919) % WALK_PAGES;

        *cell(page) = (uint64_t)cell(next);
        page = next;
    }
    at = cell(0);
    for (uint64_t i = 0; i < n * (WALK_PAGES - 1); i++)
        at = (volatile uint64_t *)*at;
    return (uint64_t)at;
}

/* asid2.c: two guests with an ASID and nested tables each, run in turn; each writes to 32 pages at
 * each entry. Both use the same linear and guest physical addresses, which lead to different
 * memory: an emulator that mixes their translations up prints another checksum. */
#include "bench/roms/guest.h"

#define TOUCH_PAGES 32u
#define GUESTS 2u

const char bench_name[] = "asid2";

uint64_t bench_run(uint64_t n)
{
    struct svm_guest g[GUESTS];
    uint64_t sum = 0;

    guest_enable_svm();
    guest_map_window(TOUCH_PAGES);
    for (uint32_t i = 0; i < GUESTS; i++) {
        guest_init(&g[i], guest_touch_code, i + 1,
                   guest_nested_root(BENCH_DATA_SPA + i * GUEST_DATA_BYTES));
        g[i].rbx = PAGING_WINDOW;
        g[i].rdx = TOUCH_PAGES;
    }
    for (uint64_t i = 0; i < n; i++) {
        struct svm_guest *turn = &g[i % GUESTS];

        turn->rdi = i * i;
        guest_run(turn, VMEXIT_VMMCALL);
        guest_skip(turn, VMMCALL_BYTES);
    }
    for (uint64_t i = 0; i < GUESTS; i++)
        for (uint64_t k = 0; k < TOUCH_PAGES; k++)
            sum = bench_mix(
                sum,
                *(volatile uint64_t *)(BENCH_DATA_SPA + i * GUEST_DATA_BYTES + k * PAGE_4K) + k);
    return sum;
}

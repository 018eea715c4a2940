/* touch32.c: one guest with nested paging that writes to 32 pages between VMRUN and VMMCALL. */
#include "bench/roms/guest.h"

#define TOUCH_PAGES 32u

const char bench_name[] = "touch32";

uint64_t bench_run(uint64_t n)
{
    struct svm_guest g;
    uint64_t sum = 0;

    guest_enable_svm();
    guest_map_window(TOUCH_PAGES);
    guest_init(&g, guest_touch_code, 1, guest_nested_root(BENCH_DATA_SPA));
    g.rbx = PAGING_WINDOW;
    g.rdx = TOUCH_PAGES;
    for (uint64_t i = 0; i < n; i++) {
        g.rdi = i;
        guest_run(&g, VMEXIT_VMMCALL);
        guest_skip(&g, VMMCALL_BYTES);
    }
    for (uint64_t k = 0; k < TOUCH_PAGES; k++)
        sum = bench_mix(sum, *(volatile uint64_t *)(BENCH_DATA_SPA + k * PAGE_4K) + k);
    return sum;
}

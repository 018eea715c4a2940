/* vmmcall_npt.c: the round trip VMRUN, VMMCALL, #VMEXIT with nested paging. */
#include "bench/roms/guest.h"

const char bench_name[] = "vmmcall_npt";

uint64_t bench_run(uint64_t n)
{
    struct svm_guest g;

    guest_enable_svm();
    guest_init(&g, guest_vmmcall_code, 1, guest_nested_root(BENCH_DATA_SPA));
    for (uint64_t i = 0; i < n; i++) {
        guest_run(&g, VMEXIT_VMMCALL);
        guest_skip(&g, VMMCALL_BYTES);
    }
    return g.rbx;
}

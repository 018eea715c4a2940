/* vmmcall_clean.c: as vmmcall_npt.c, with all VMCB clean bits set. */
#include "bench/roms/guest.h"

const char bench_name[] = "vmmcall_clean";

uint64_t bench_run(uint64_t n)
{
    struct svm_guest g;

    guest_enable_svm();
    guest_init(&g, guest_vmmcall_code, 1, guest_nested_root(BENCH_DATA_SPA));
    /* Ignored at the first VMRUN, which finds nothing kept. */
    svm_set(&g, VMCB_CLEAN, 0xffffffff);
    for (uint64_t i = 0; i < n; i++) {
        guest_run(&g, VMEXIT_VMMCALL);
        guest_skip(&g, VMMCALL_BYTES);
    }
    return g.rbx;
}

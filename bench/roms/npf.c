/* npf.c: nested page faults. The guest walks over 64 pages for ever; the host maps each page when
 * it is touched, and when one half is begun it takes the other away, with a flush of the TLB. */
#include "bench/roms/guest.h"

#define NPF_PAGES 64u
#define HALF_PAGES (NPF_PAGES / 2)

const char bench_name[] = "npf";

/* RBX is the first page, RDX the length of the walk in bytes, RSI the offset, RDI what is added. */
extern const char npf_guest[];
__asm__(".text\n"
        "npf_guest:\n"
        "    addq %rdi, (%rbx,%rsi)\n"
        "    incq %rdi\n"
        "    addq $4096, %rsi\n"
        "    cmpq %rdx, %rsi\n"
        "    jb npf_guest\n"
        "    xorl %esi, %esi\n"
        "    jmp npf_guest\n");

static volatile uint64_t *entries[NPF_PAGES];

uint64_t bench_run(uint64_t n)
{
    struct svm_guest g;
    uint64_t sum = 0;
    uint64_t *root = guest_nested_root(BENCH_DATA_SPA);

    guest_enable_svm();
    guest_map_window(NPF_PAGES);
    guest_init(&g, npf_guest, 1, root);
    g.rbx = PAGING_WINDOW;
    g.rdx = NPF_PAGES * PAGE_4K;
    g.rdi = 1;
    for (uint64_t k = 0; k < NPF_PAGES; k++) {
        entries[k] = paging_entry(root, GUEST_DATA_GPA + k * PAGE_4K, 1);
        *entries[k] &= ~PAGE_P;
    }
    for (uint64_t i = 0; i < n; i++) {
        uint64_t page = i % NPF_PAGES;

        guest_run(&g, VMEXIT_NPF);
        svm_set8(&g, VMCB_TLB_CONTROL, TLB_CONTROL_NONE);
        if (svm_get(&g, VMCB_EXITINFO2) >> 12 != (GUEST_DATA_GPA >> 12) + page)
            bench_fail("EXITINFO2 has the wrong page", svm_get(&g, VMCB_EXITINFO2));
        *entries[page] |= PAGE_P;
        if (page % HALF_PAGES == 0) {
            for (uint64_t k = 0; k < HALF_PAGES; k++)
                *entries[(page + HALF_PAGES + k) % NPF_PAGES] &= ~PAGE_P;
            svm_set8(&g, VMCB_TLB_CONTROL, TLB_CONTROL_FLUSH_ALL);
        }
        sum = bench_mix(sum, g.rdi);
    }
    for (uint64_t k = 0; k < NPF_PAGES; k++)
        sum = bench_mix(sum, *(volatile uint64_t *)(BENCH_DATA_SPA + k * PAGE_4K));
    return sum;
}

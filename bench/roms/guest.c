/* guest.c: see guest.h. */
#include "bench/roms/guest.h"

/* RBX counts, so that a lost or doubled round trip shows. */
__asm__(".text\n"
        ".globl guest_vmmcall_code\n"
        ".globl guest_touch_code\n"
        "guest_vmmcall_code:\n"
        "    incq %rbx\n"
        "    vmmcall\n"
        "    jmp guest_vmmcall_code\n"
        "guest_touch_code:\n"
        "    movq %rbx, %rsi\n"
        "    movq %rdx, %rcx\n"
        "1:  addq %rdi, (%rsi)\n"
        "    addq $4096, %rsi\n"
        "    decq %rcx\n"
        "    jnz 1b\n"
        "    vmmcall\n"
        "    jmp guest_touch_code\n");

void guest_enable_svm(void)
{
    if (!svm_enable())
        bench_fail("no SVM, feature bits", svm_features());
}

void guest_init(struct svm_guest *g, const char *code, uint32_t asid, const uint64_t *nested_root)
{
    *g = (struct svm_guest){ 0 };
    svm_guest_init(g, (uintptr_t)code, 0, asid);
    if (nested_root)
        svm_set_nested(g, nested_root);
}

uint64_t *guest_nested_root(uint64_t data_spa)
{
    uint64_t *root = paging_new_root();

    paging_map_identity(root, GUEST_PAGE);
    for (uint64_t at = 0; at < GUEST_DATA_BYTES; at += PAGE_4K)
        paging_map(root, GUEST_DATA_GPA + at, data_spa + at, PAGE_4K, GUEST_PAGE);
    return root;
}

void guest_map_window(uint64_t pages)
{
    for (uint64_t at = 0; at < pages * PAGE_4K; at += PAGE_4K)
        paging_map(paging_root(), PAGING_WINDOW + at, GUEST_DATA_GPA + at, PAGE_4K, GUEST_PAGE);
}

void guest_run(struct svm_guest *g, uint64_t expected)
{
    uint64_t code;

    __asm__ volatile("vmrun %%rax"
                     : "+b"(g->rbx), "+c"(g->rcx), "+d"(g->rdx), "+S"(g->rsi), "+D"(g->rdi)
                     : "a"(g->vmcb)
                     : "memory", "cc");
    code = svm_get(g, VMCB_EXITCODE);
    if (code != expected)
        bench_fail("unexpected EXITCODE", code);
}

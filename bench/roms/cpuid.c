/* cpuid.c: CPUID exits; the host answers with numbers of its own. */
#include "bench/roms/guest.h"

const char bench_name[] = "cpuid";

/* RDI is the leaf that comes next, RSI the checksum of the answers. */
extern const char cpuid_guest[];
__asm__(".text\n"
        "cpuid_guest:\n"
        "    movq %rdi, %rax\n"
        "    cpuid\n"
        "    xorq %rax, %rsi\n"
        "    addq %rdx, %rsi\n"
        "    incq %rdi\n"
        "    jmp cpuid_guest\n");

uint64_t bench_run(uint64_t n)
{
    struct svm_guest g;

    guest_enable_svm();
    guest_init(&g, cpuid_guest, 1, guest_nested_root(BENCH_DATA_SPA));
    svm_intercept(&g, VMCB_INTERCEPT_3, INTERCEPT3_CPUID);
    for (uint64_t i = 0; i < n; i++) {
        guest_run(&g, VMEXIT_CPUID);
        g.rbx = g.rcx = i;
        g.rdx = svm_get(&g, VMCB_RAX) * 3;
        svm_set(&g, VMCB_RAX, g.rdx ^ i);
        guest_skip(&g, CPUID_BYTES);
    }
    return bench_mix(g.rsi, g.rdi);
}

/* fp.c: opening x87, SSE and AVX to a workload. */
#include "bench/roms/fp.h"

#include "bench/roms/bench.h"
#include "test-roms/lib/cpu.h"

#define CR0_EM_TS UINT64_C(0xc)
#define CR0_MP_NE UINT64_C(0x22)
#define CR4_OSFXSR_OSXMMEXCPT UINT64_C(0x600)
#define CR4_OSXSAVE_BIT UINT64_C(0x40000)
#define XCR0_X87_SSE_AVX 7

struct bench_features bench_fp_on(void)
{
    struct cpuid_result leaf1 = cpuid(1, 0), leaf7 = cpuid_checked(7, 0);
    bool xsave = leaf1.ecx >> 26 & 1, avx = xsave && (leaf1.ecx >> 28 & 1);

    if (!(leaf1.edx >> 26 & 1))
        bench_fail("no SSE2: CPUID Fn0000_0001 EDX", leaf1.edx);
    write_cr0((read_cr0() & ~CR0_EM_TS) | CR0_MP_NE);
    write_cr4(read_cr4() | CR4_OSFXSR_OSXMMEXCPT | (xsave ? CR4_OSXSAVE_BIT : 0));
    if (avx)
        __asm__ volatile("xsetbv" : : "c"(0), "a"(XCR0_X87_SSE_AVX), "d"(0));
    __asm__ volatile("fninit");
    return (struct bench_features){ .avx2 = avx && (leaf7.ebx >> 5 & 1),
                                    .sha = leaf7.ebx >> 29 & 1 };
}

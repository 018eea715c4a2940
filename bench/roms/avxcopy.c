/* avxcopy.c: copies of 16 KiB by 32 bytes, four at a time: VMOVDQU from and to memory. */
#include "bench/roms/bench.h"
#include "bench/roms/fp.h"

#define BYTES 16384

const char bench_name[] = "avxcopy";

static uint64_t from[BYTES / 8 + 4], to[BYTES / 8 + 4];

static void copy(uint8_t *dst, const uint8_t *src, uint64_t bytes)
{
    __asm__ volatile("1:\n\t"
                     "vmovdqu (%1), %%ymm0\n\t"
                     "vmovdqu 32(%1), %%ymm1\n\t"
                     "vmovdqu 64(%1), %%ymm2\n\t"
                     "vmovdqu 96(%1), %%ymm3\n\t"
                     "addq $128, %1\n\t"
                     "vmovdqu %%ymm0, (%0)\n\t"
                     "vmovdqu %%ymm1, 32(%0)\n\t"
                     "vmovdqu %%ymm2, 64(%0)\n\t"
                     "vmovdqu %%ymm3, 96(%0)\n\t"
                     "addq $128, %0\n\t"
                     "subq $128, %2\n\t"
                     "jnz 1b\n\t"
                     "vzeroupper"
                     : "+r"(dst), "+r"(src), "+r"(bytes)
                     :
                     : "cc", "memory");
}

uint64_t bench_run(uint64_t n)
{
    uint64_t sum = 0, seed = 11;

    if (!bench_fp_on().avx2)
        bench_fail("no AVX2", 0);
    for (unsigned i = 0; i < BYTES / 8 + 4; i++)
        from[i] = bench_random(&seed) << 32 | bench_random(&seed);
    for (uint64_t i = 0; i < n; i++) {
        from[i % (BYTES / 8)] ^= i;
        copy((uint8_t *)to + i % 8, (const uint8_t *)from + i % 5, BYTES);
        sum = bench_mix(sum, to[i * 13 % (BYTES / 8)]);
    }
    return sum;
}

/* avxcompare.c: the first difference of two buffers, by 32 bytes: VPCMPEQB, VPMOVMSKB. */
#include "bench/roms/bench.h"
#include "bench/roms/fp.h"

#define BYTES 16384

const char bench_name[] = "avxcompare";

static uint8_t left[BYTES], right[BYTES];

/* Offset of the first byte that differs; there is one. */
static uint64_t first_difference(const uint8_t *a, const uint8_t *b)
{
    uint64_t at = 0;
    uint32_t mask;

    __asm__ volatile("1:\n\t"
                     "vmovdqu (%2,%0), %%ymm0\n\t"
                     "vpcmpeqb (%3,%0), %%ymm0, %%ymm1\n\t"
                     "vpmovmskb %%ymm1, %1\n\t"
                     "addq $32, %0\n\t"
                     "subl $-1, %1\n\t"
                     "jz 1b\n\t"
                     "bsfl %1, %1\n\t"
                     "vzeroupper"
                     : "+r"(at), "=&r"(mask)
                     : "r"(a), "r"(b)
                     : "cc", "memory");
    return at - 32 + mask;
}

uint64_t bench_run(uint64_t n)
{
    uint64_t sum = 0, seed = 13;

    if (!bench_fp_on().avx2)
        bench_fail("no AVX2", 0);
    for (unsigned i = 0; i < BYTES; i++)
        left[i] = right[i] = (uint8_t)bench_random(&seed);
    for (uint64_t i = 0; i < n; i++) {
        unsigned at = (unsigned)(BYTES - 1 - i % 64);

        right[at] ^= 0x55;
        sum = bench_mix(sum, first_difference(left, right));
        right[at] ^= 0x55;
    }
    return sum;
}

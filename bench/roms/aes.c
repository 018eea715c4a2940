/* aes.c: 4 KiB in AES-128 counter mode, four blocks at a time, keys prepared once: AESENC, AESENCLAST, AESKEYGENASSIST. */
#include "bench/roms/bench.h"
#include "bench/roms/fp.h"

#include <immintrin.h>

#define BLOCKS 256

const char bench_name[] = "aes";

static __m128i text[BLOCKS], key[11];

#define EXPAND(n, constant)                                                           \
    do {                                                                              \
        __m128i old_ = key[(n)-1], made_ = _mm_aeskeygenassist_si128(old_, constant); \
        old_ = _mm_xor_si128(old_, _mm_slli_si128(old_, 4));                          \
        old_ = _mm_xor_si128(old_, _mm_slli_si128(old_, 8));                          \
        key[n] = _mm_xor_si128(old_, _mm_shuffle_epi32(made_, 0xff));                 \
    } while (0)

static void expand(uint64_t seed)
{
    key[0] = _mm_set_epi64x((int64_t)seed, (int64_t)(seed * 3));
    EXPAND(1, 0x01);
    EXPAND(2, 0x02);
    EXPAND(3, 0x04);
    EXPAND(4, 0x08);
    EXPAND(5, 0x10);
    EXPAND(6, 0x20);
    EXPAND(7, 0x40);
    EXPAND(8, 0x80);
    EXPAND(9, 0x1b);
    EXPAND(10, 0x36);
}

static void encrypt(uint64_t counter)
{
    for (unsigned i = 0; i < BLOCKS; i += 4) {
        __m128i block[4];

        for (unsigned j = 0; j < 4; j++)
            block[j] = _mm_xor_si128(_mm_set_epi64x(0, (int64_t)(counter + i + j)), key[0]);
        for (unsigned round = 1; round < 10; round++)
            for (unsigned j = 0; j < 4; j++)
                block[j] = _mm_aesenc_si128(block[j], key[round]);
        for (unsigned j = 0; j < 4; j++)
            text[i + j] = _mm_xor_si128(text[i + j], _mm_aesenclast_si128(block[j], key[10]));
    }
}

uint64_t bench_run(uint64_t n)
{
    uint64_t sum = 0;

    (void)bench_fp_on();
    expand(UINT64_C(0x0123456789abcdef));
    for (uint64_t i = 0; i < n; i++) {
        encrypt(i * BLOCKS);
        sum = bench_mix(sum, (uint64_t)_mm_cvtsi128_si64(text[i % BLOCKS]));
    }
    return sum;
}

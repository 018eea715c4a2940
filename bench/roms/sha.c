/* sha.c: SHA-256 of 16 KiB, with the SHA instructions where the processor has them, else by general registers: the same
 * work for whoever runs it. */
#include "bench/roms/bench.h"
#include "bench/roms/fp.h"

#include <immintrin.h>

#define BLOCKS 256

const char bench_name[] = "sha";

static uint8_t text[BLOCKS][64];

static const uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static const uint32_t start[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                   0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

static inline uint32_t rotate(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

static uint32_t word(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void block_plain(uint32_t state[8], const uint8_t *bytes)
{
    uint32_t w[64], s[8];

    for (unsigned i = 0; i < 16; i++)
        w[i] = word(bytes + 4 * i);
    for (unsigned i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];

        w[i] = w[i - 16] + w[i - 7] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) +
               (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
    }
    for (unsigned i = 0; i < 8; i++)
        s[i] = state[i];
    for (unsigned i = 0; i < 64; i++) {
        uint32_t t1 = s[7] + (rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25)) +
                      ((s[4] & s[5]) ^ (~s[4] & s[6])) + constants[i] + w[i];
        uint32_t t2 = (rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22)) +
                      ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));

        for (unsigned j = 7; j > 0; j--)
            s[j] = s[j - 1];
        s[4] += t1;
        s[0] = t1 + t2;
    }
    for (unsigned i = 0; i < 8; i++)
        state[i] += s[i];
}

/* state as SHA256RNDS2 has it: ABEF, CDGH. */
static void block_sha(__m128i state[2], const uint8_t *bytes)
{
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i w[4], abef = state[0], cdgh = state[1];

    for (unsigned i = 0; i < 4; i++)
        w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)bytes + i), swap);
    for (unsigned i = 0; i < 16; i++) {
        __m128i now = w[i % 4], sum;

        sum = _mm_add_epi32(now, _mm_loadu_si128((const __m128i *)constants + i));
        cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
        abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));
        if (i >= 12)
            continue;
        __m128i next = _mm_sha256msg1_epu32(now, w[(i + 1) % 4]);

        next = _mm_add_epi32(next, _mm_alignr_epi8(w[(i + 3) % 4], w[(i + 2) % 4], 4));
        w[i % 4] = _mm_sha256msg2_epu32(next, w[(i + 3) % 4]);
    }
    state[0] = _mm_add_epi32(state[0], abef);
    state[1] = _mm_add_epi32(state[1], cdgh);
}

static uint64_t digest_plain(void)
{
    uint32_t state[8];

    for (unsigned i = 0; i < 8; i++)
        state[i] = start[i];
    for (unsigned i = 0; i < BLOCKS; i++)
        block_plain(state, text[i]);
    return (uint64_t)state[0] << 32 | state[5];
}

static uint64_t digest_sha(void)
{
    __m128i state[2] = { _mm_set_epi32((int)start[0], (int)start[1], (int)start[4], (int)start[5]),
                         _mm_set_epi32((int)start[2], (int)start[3], (int)start[6],
                                       (int)start[7]) };

    for (unsigned i = 0; i < BLOCKS; i++)
        block_sha(state, text[i]);
    return (uint64_t)(uint32_t)_mm_extract_epi32(state[0], 3) << 32 |
           (uint32_t)_mm_extract_epi32(state[0], 0);
}

uint64_t bench_run(uint64_t n)
{
    uint64_t sum = 0, seed = 17;
    bool sha = bench_fp_on().sha;

    for (unsigned i = 0; i < BLOCKS; i++)
        for (unsigned j = 0; j < 64; j++)
            text[i][j] = (uint8_t)bench_random(&seed);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t digest = sha ? digest_sha() : digest_plain();

        text[i % BLOCKS][i % 64] ^= (uint8_t)digest;
        sum = bench_mix(sum, digest);
    }
    return sum;
}

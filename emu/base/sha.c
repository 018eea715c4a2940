/* SHA-1 and SHA-256. */
#include "emu/base/sha.h"

#include <string.h>

static uint32_t rotate_left(uint32_t x, unsigned n)
{
    return x << n | x >> (32 - n);
}

static uint32_t rotate_right(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

static uint32_t load_big(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void store_big(uint8_t *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t choose(uint32_t x, uint32_t y, uint32_t z)
{
    return (x & y) ^ (~x & z);
}

static uint32_t majority(uint32_t x, uint32_t y, uint32_t z)
{
    return (x & y) ^ (x & z) ^ (y & z);
}

static uint32_t sha1_mix(unsigned round, uint32_t x, uint32_t y, uint32_t z)
{
    if (round < 20)
        return choose(x, y, z);
    return round >= 40 && round < 60 ? majority(x, y, z) : x ^ y ^ z;
}

static void sha1_block(uint32_t *hash, const uint8_t *block)
{
    static const uint32_t constants[4] = { 0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6 };
    uint32_t w[80], a = hash[0], b = hash[1], c = hash[2], d = hash[3], e = hash[4];
    for (unsigned i = 0; i < 80; i++)
        w[i] = i < 16 ? load_big(block + 4 * i)
                      : rotate_left(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (unsigned i = 0; i < 80; i++) {
        uint32_t next = rotate_left(a, 5) + sha1_mix(i, b, c, d) + e + constants[i / 20] + w[i];
        e = d;
        d = c;
        c = rotate_left(b, 30);
        b = a;
        a = next;
    }
    const uint32_t sum[5] = { a, b, c, d, e };
    for (unsigned i = 0; i < 5; i++)
        hash[i] += sum[i];
}

/* The fractions of the cube roots of the first 64 primes. */
static const uint32_t sha256_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
};

static void sha256_schedule(uint32_t *w, const uint8_t *block)
{
    for (unsigned i = 0; i < 16; i++)
        w[i] = load_big(block + 4 * i);
    for (unsigned i = 16; i < 64; i++) {
        uint32_t far = w[i - 15], near = w[i - 2];
        w[i] = w[i - 16] + w[i - 7] + (rotate_right(far, 7) ^ rotate_right(far, 18) ^ far >> 3) +
               (rotate_right(near, 17) ^ rotate_right(near, 19) ^ near >> 10);
    }
}

static void sha256_block(uint32_t *hash, const uint8_t *block)
{
    uint32_t w[64], v[8];
    sha256_schedule(w, block);
    memcpy(v, hash, sizeof(v));
    for (unsigned i = 0; i < 64; i++) {
        uint32_t sum1 = rotate_right(v[4], 6) ^ rotate_right(v[4], 11) ^ rotate_right(v[4], 25);
        uint32_t sum0 = rotate_right(v[0], 2) ^ rotate_right(v[0], 13) ^ rotate_right(v[0], 22);
        uint32_t t1 = v[7] + sum1 + choose(v[4], v[5], v[6]) + sha256_constants[i] + w[i];
        uint32_t t2 = sum0 + majority(v[0], v[1], v[2]);
        memmove(v + 1, v, 7 * sizeof(v[0]));
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (unsigned i = 0; i < 8; i++)
        hash[i] += v[i];
}

/* --- blocks of a message ------------------------------------------------------------------------ */

void sha_begin(struct sha *sha, enum sha_kind kind)
{
    static const uint32_t start1[] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 };
    static const uint32_t start256[] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
    *sha = (struct sha){ .kind = kind };
    if (kind == SHA_1)
        memcpy(sha->hash, start1, sizeof(start1));
    else
        memcpy(sha->hash, start256, sizeof(start256));
}

static void mix(struct sha *sha, const uint8_t *block)
{
    if (sha->kind == SHA_1)
        sha1_block(sha->hash, block);
    else
        sha256_block(sha->hash, block);
}

void sha_add(struct sha *sha, const void *bytes, size_t count)
{
    const uint8_t *from = bytes;
    while (count) {
        size_t at = sha->count % SHA_BLOCK, part = SHA_BLOCK - at < count ? SHA_BLOCK - at : count;
        memcpy(sha->block + at, from, part);
        if (at + part == SHA_BLOCK)
            mix(sha, sha->block);
        sha->count += part;
        from += part;
        count -= part;
    }
}

/* Behind the message: a bit 1, zeros, its length in bits. */
void sha_end(struct sha *sha, uint8_t *digest)
{
    static const uint8_t padding[SHA_BLOCK] = { 0x80 };
    uint8_t length[8];
    store_big(length, (uint32_t)(sha->count >> 29));
    store_big(length + 4, (uint32_t)(sha->count << 3));
    sha_add(sha, padding, SHA_BLOCK - (sha->count + 8) % SHA_BLOCK);
    sha_add(sha, length, sizeof(length));
    for (unsigned i = 0; i < (sha->kind == SHA_1 ? SHA1_BYTES : SHA256_BYTES) / 4; i++)
        store_big(digest + 4 * i, sha->hash[i]);
}

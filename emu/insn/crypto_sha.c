/* SHA-1 and SHA-256. Words stand from high to low: the first of four (W0, A) is in bits 127:96 for SHA-1, and in bits
 * 31:0 in the message schedule of SHA-256. FIPS 180-4; APM vol 4, "SHA1MSG1" to "SHA256RNDS2". */
#include "emu/insn/vector_int_block.h"

EMU_INLINE uint32_t rotate_left(uint32_t x, unsigned n)
{
    return x << n | x >> (32 - n);
}

EMU_INLINE uint32_t rotate_right(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

EMU_INLINE uint32_t choose(uint32_t x, uint32_t y, uint32_t z)
{
    return (x & y) ^ (~x & z);
}

EMU_INLINE uint32_t majority(uint32_t x, uint32_t y, uint32_t z)
{
    return (x & y) ^ (x & z) ^ (y & z);
}

/* --- SHA-1: FIPS 180-4, 6.1 ------------------------------------------------------------------ */

EMU_INLINE uint32_t parity_or_other(unsigned part, uint32_t x, uint32_t y, uint32_t z)
{
    switch (part) {
    case 0: return choose(x, y, z);
    case 2: return majority(x, y, z);
    default: return x ^ y ^ z;
    }
}

/* Four rounds of the part of the hash that imm[1:0] names. a: A to D; b: four words, E already added to the first. */
BLOCK_BODY(insn_sha1rnds4, binary)
{
    static const uint32_t constants[4] = { 0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6 };
    const unsigned part = v->imm & 3;
    uint32_t x[4], e = 0;
    for (unsigned i = 0; i < 4; i++)
        x[i] = v->a[3 - i];
    for (unsigned i = 0; i < 4; i++) {
        uint32_t next = parity_or_other(part, x[1], x[2], x[3]) + rotate_left(x[0], 5) +
                        v->b[3 - i] + e + constants[part];
        e = x[3];
        x[3] = x[2];
        x[2] = rotate_left(x[1], 30);
        x[1] = x[0];
        x[0] = next;
    }
    return (emu_u32x4){ x[3], x[2], x[1], x[0] };
}

/* E of the next four rounds is A of the last four, rotated. */
BLOCK_BODY(insn_sha1nexte, binary)
{
    const uint32_t *w = v->b;
    return (emu_u32x4){ w[0], w[1], w[2], w[3] + rotate_left(v->a[3], 30) };
}

BLOCK_BODY(insn_sha1msg1, binary)
{
    const uint32_t *a = v->a, *b = v->b;
    return (emu_u32x4){ a[0] ^ b[2], a[1] ^ b[3], a[2] ^ a[0], a[3] ^ a[1] };
}

/* The fourth word needs the first. */
BLOCK_BODY(insn_sha1msg2, binary)
{
    const uint32_t *a = v->a, *b = v->b;
    const uint32_t first = rotate_left(a[3] ^ b[2], 1);
    return (emu_u32x4){ rotate_left(a[0] ^ first, 1), rotate_left(a[1] ^ b[0], 1),
                        rotate_left(a[2] ^ b[1], 1), first };
}

/* --- SHA-256: FIPS 180-4, 6.2 ------------------------------------------------------------------ */

EMU_INLINE uint32_t sum0(uint32_t x)
{
    return rotate_right(x, 2) ^ rotate_right(x, 13) ^ rotate_right(x, 22);
}

EMU_INLINE uint32_t sum1(uint32_t x)
{
    return rotate_right(x, 6) ^ rotate_right(x, 11) ^ rotate_right(x, 25);
}

EMU_INLINE uint32_t sigma0(uint32_t x)
{
    return rotate_right(x, 7) ^ rotate_right(x, 18) ^ x >> 3;
}

EMU_INLINE uint32_t sigma1(uint32_t x)
{
    return rotate_right(x, 17) ^ rotate_right(x, 19) ^ x >> 10;
}

BLOCK_BODY(insn_sha256msg1, binary)
{
    const uint32_t *a = v->a;
    return (emu_u32x4){ a[0] + sigma0(a[1]), a[1] + sigma0(a[2]), a[2] + sigma0(a[3]),
                        a[3] + sigma0(v->b[0]) };
}

/* The last two words need the first two. */
BLOCK_BODY(insn_sha256msg2, binary)
{
    const uint32_t *a = v->a, *b = v->b;
    const uint32_t w0 = a[0] + sigma1(b[2]), w1 = a[1] + sigma1(b[3]);
    return (emu_u32x4){ w0, w1, a[2] + sigma1(w0), a[3] + sigma1(w1) };
}

/* Two rounds. The destination holds C, D, G, H, the source A, B, E, F, and XMM0 the two words with their constants added.
 * Two rounds later the old A, B, E, F are C, D, G, H, so that the result is the new A, B, E, F. */
EMU_INLINE emu_u32x4 two_rounds(const uint32_t *old, const uint32_t *src, const uint32_t *word)
{
    uint32_t a = src[3], b = src[2], c = old[3], d = old[2];
    uint32_t e = src[1], f = src[0], g = old[1], h = old[0];
    for (unsigned i = 0; i < 2; i++) {
        uint32_t t = h + sum1(e) + choose(e, f, g) + word[i];
        uint32_t next_a = t + sum0(a) + majority(a, b, c), next_e = t + d;
        h = g, g = f, f = e, e = next_e;
        d = c, c = b, b = a, a = next_a;
    }
    return (emu_u32x4){ f, e, b, a };
}

enum step insn_sha256rnds2(struct vcpu *cpu, const struct insn *in)
{
    union vector room, *to = &cpu->simd.v[in->op[0].reg];
    const union vector *src;
    enum step step = vector_source(cpu, in, 1, 16, &room, &src);
    if (EMU_UNLIKELY(step != STEP_NEXT))
        return step;
    const emu_u32x4 words = two_rounds(to->u32, src->u32, cpu->simd.v[0].u32);
    memcpy(to, &words, sizeof(words));
    return STEP_NEXT;
}

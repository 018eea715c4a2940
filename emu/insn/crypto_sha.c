/* SHA-1 and SHA-256. Words stand from high to low: the first of four (W0, A) is in bits 127:96 for SHA-1, and in bits
 * 31:0 in the message schedule of SHA-256. FIPS 180-4; APM vol 4, "SHA1MSG1" to "SHA256RNDS2". */
#include "emu/insn/vector_int.h"

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
VEC_BODY(insn_sha1rnds4, binary)
{
    static const uint32_t constants[4] = { 0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6 };
    const unsigned part = v->imm & 3;
    uint32_t x[4], e = 0;
    for (unsigned i = 0; i < 4; i++)
        x[i] = v->a->u32[3 - i];
    for (unsigned i = 0; i < 4; i++) {
        uint32_t next = parity_or_other(part, x[1], x[2], x[3]) + rotate_left(x[0], 5) +
                        v->b->u32[3 - i] + e + constants[part];
        e = x[3];
        x[3] = x[2];
        x[2] = rotate_left(x[1], 30);
        x[1] = x[0];
        x[0] = next;
    }
    for (unsigned i = 0; i < 4; i++)
        d->u32[3 - i] = x[i];
}

/* E of the next four rounds is A of the last four, rotated. */
VEC_BODY(insn_sha1nexte, binary)
{
    memcpy(d, v->b, 16);
    d->u32[3] += rotate_left(v->a->u32[3], 30);
}

VEC_BODY(insn_sha1msg1, binary)
{
    d->u32[3] = v->a->u32[3] ^ v->a->u32[1];
    d->u32[2] = v->a->u32[2] ^ v->a->u32[0];
    d->u32[1] = v->a->u32[1] ^ v->b->u32[3];
    d->u32[0] = v->a->u32[0] ^ v->b->u32[2];
}

/* The fourth word needs the first. */
VEC_BODY(insn_sha1msg2, binary)
{
    d->u32[3] = rotate_left(v->a->u32[3] ^ v->b->u32[2], 1);
    d->u32[2] = rotate_left(v->a->u32[2] ^ v->b->u32[1], 1);
    d->u32[1] = rotate_left(v->a->u32[1] ^ v->b->u32[0], 1);
    d->u32[0] = rotate_left(v->a->u32[0] ^ d->u32[3], 1);
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

VEC_BODY(insn_sha256msg1, binary)
{
    for (unsigned i = 0; i < 4; i++)
        d->u32[i] = v->a->u32[i] + sigma0(i < 3 ? v->a->u32[i + 1] : v->b->u32[0]);
}

/* The last two words need the first two. */
VEC_BODY(insn_sha256msg2, binary)
{
    d->u32[0] = v->a->u32[0] + sigma1(v->b->u32[2]);
    d->u32[1] = v->a->u32[1] + sigma1(v->b->u32[3]);
    d->u32[2] = v->a->u32[2] + sigma1(d->u32[0]);
    d->u32[3] = v->a->u32[3] + sigma1(d->u32[1]);
}

/* Two rounds. The destination holds C, D, G, H, the source A, B, E, F, and XMM0 the two words with their constants added.
 * Two rounds later the old A, B, E, F are C, D, G, H, so that the result is the new A, B, E, F. */
enum step insn_sha256rnds2(struct vcpu *cpu, const struct insn *in)
{
    union vector room, d;
    const union vector *old = &cpu->simd.v[in->op[0].reg], *src;
    enum step step = vector_source(cpu, in, 1, 16, &room, &src);
    if (step != STEP_NEXT)
        return step;
    uint32_t a = src->u32[3], b = src->u32[2], c = old->u32[3], dd = old->u32[2];
    uint32_t e = src->u32[1], f = src->u32[0], g = old->u32[1], h = old->u32[0];
    for (unsigned i = 0; i < 2; i++) {
        uint32_t t = h + sum1(e) + choose(e, f, g) + cpu->simd.v[0].u32[i];
        uint32_t next_a = t + sum0(a) + majority(a, b, c), next_e = t + dd;
        h = g, g = f, f = e, e = next_e;
        dd = c, c = b, b = a, a = next_a;
    }
    d.u32[3] = a, d.u32[2] = b, d.u32[1] = e, d.u32[0] = f;
    return vector_result(cpu, in, 16, &d);
}

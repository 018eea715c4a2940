/* Sums across neighbours, and the smallest word.
 * APM vol 4, "MPSADBW", "PHADDD" to "PHSUBW", "PHMINPOSUW", "PSADBW"; vol 5 for MMX. */
#include "emu/insn/vector_int.h"

/* Pairs of a's lane, then pairs of b's. */
#define HORIZONTAL(name, elem, expr)                                             \
    VEC_LANES(name)                                                              \
    {                                                                            \
        const unsigned n = bytes / (unsigned)sizeof(v->a->elem[0]) / 2;          \
        const unsigned at = lane / (unsigned)sizeof(v->a->elem[0]);              \
        for (unsigned i = 0; i < 2 * n; i++) {                                   \
            const TYPE_##elem *pair =                                            \
                i < n ? &v->a->elem[at + 2 * i] : &v->b->elem[at + 2 * (i - n)]; \
            const TYPE_##elem x = pair[0], y = pair[1];                          \
            d->elem[at + i] = (TYPE_##elem)(expr);                               \
        }                                                                        \
    }
HORIZONTAL(insn_phaddw, u16, x + y)
HORIZONTAL(insn_phaddd, u32, x + y)
HORIZONTAL(insn_phaddsw, s16, saturate_s16(x + y))
HORIZONTAL(insn_phsubw, u16, x - y)
HORIZONTAL(insn_phsubd, u32, x - y)
HORIZONTAL(insn_phsubsw, s16, saturate_s16(x - y))

EMU_INLINE unsigned distance(uint8_t x, uint8_t y)
{
    return x > y ? (unsigned)(x - y) : (unsigned)(y - x);
}

VEC_BODY(insn_psadbw, binary)
{
    const uint64_t even = UINT64_C(0x00ff00ff00ff00ff);
    union vector apart;
    for (unsigned i = 0; i < COUNT(u8); i++)
        apart.u8[i] = (uint8_t)distance(v->a->u8[i], v->b->u8[i]);
    for (unsigned i = 0; i < COUNT(u64); i++) {
        uint64_t pairs = (apart.u64[i] & even) + (apart.u64[i] >> 8 & even);
        pairs += pairs >> 32;
        d->u64[i] = (pairs + (pairs >> 16)) & 0xffff;
    }
}

/* Four bytes of b against eight places of a, one byte apart. imm: bit 2 where in a, bits 1:0 where in b; bits 5:3
 * are the same for the upper lane. */
VEC_BODY(insn_mpsadbw, binary)
{
    for (unsigned lane = 0; lane < VECTOR_BYTES; lane += 16) {
        unsigned imm = lane ? v->imm >> 3 : v->imm;
        const uint8_t *a = v->a->u8 + lane + 4 * (imm >> 2 & 1);
        const uint8_t *b = v->b->u8 + lane + 4 * (imm & 3);
        for (unsigned i = 0; i < 8; i++) {
            unsigned sum = 0;
            for (unsigned k = 0; k < 4; k++)
                sum += distance(a[i + k], b[k]);
            d->u16[lane / 2 + i] = (uint16_t)sum;
        }
    }
}

/* The smallest word and where it first stands; the rest is zero. */
VEC_BODY(insn_phminposuw, unary)
{
    unsigned at = 0;
    for (unsigned i = 1; i < 8; i++)
        if (v->b->u16[i] < v->b->u16[at])
            at = i;
    uint16_t least = v->b->u16[at];
    memset(d, 0, VECTOR_BYTES);
    d->u16[0] = least;
    d->u16[1] = (uint16_t)at;
}

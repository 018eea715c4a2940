/* Shuffles and permutes: elements of the sources in another order. APM vol 4 (MMX: vol 5), by the instructions' names.
 *
 * Most work on 16-byte lanes, each by itself: `at` is the first element of a lane below. */
#include "emu/insn/vector_int.h"

/* Four words, and two quadwords, as one store: see emu_u32x4. */
EMU_INLINE void put4(union vector *d, unsigned at, uint32_t a, uint32_t b, uint32_t c, uint32_t e)
{
    emu_u32x4 words = { a, b, c, e };
    memcpy(&d->u32[at], &words, sizeof(words));
}

EMU_INLINE void put2(union vector *d, unsigned at, uint64_t a, uint64_t b)
{
    emu_u64x2 words = { a, b };
    memcpy(&d->u64[at], &words, sizeof(words));
}

/* --- by an immediate ----------------------------------------------------------------------------- */

EMU_INLINE unsigned field2(unsigned imm, unsigned n)
{
    return imm >> (2 * n) & 3;
}

EMU_INLINE void shuffle_dwords(union vector *d, const struct vector_in *v)
{
    for (unsigned at = 0; at < COUNT(u32); at += 4) {
        const uint32_t *from = &v->b->u32[at];
        put4(d, at, from[field2(v->imm, 0)], from[field2(v->imm, 1)], from[field2(v->imm, 2)],
             from[field2(v->imm, 3)]);
    }
}

VEC_BODY(insn_pshufd, unary)
{
    shuffle_dwords(d, v);
}

/* Words `from` to `from` + 3 of each lane; the others stay. */
EMU_INLINE void shuffle_words(union vector *d, const struct vector_in *v, unsigned from)
{
    for (unsigned at = 0; at < COUNT(u64); at += 2) {
        const uint16_t *words = &v->b->u16[4 * at + from];
        uint64_t half = 0;
        for (unsigned i = 0; i < 4; i++)
            half |= (uint64_t)words[field2(v->imm, i)] << (16 * i);
        put2(d, at, from == 0 ? half : v->b->u64[at], from == 0 ? v->b->u64[at + 1] : half);
    }
}

/* PSHUFLW, and PSHUFW of an MMX register. */
VEC_BODY(insn_pshuflw, unary)
{
    shuffle_words(d, v, 0);
}

VEC_BODY(insn_pshufhw, unary)
{
    shuffle_words(d, v, 4);
}

VEC_BODY(insn_shufps, binary)
{
    for (unsigned at = 0; at < COUNT(u32); at += 4) {
        const uint32_t *a = &v->a->u32[at], *b = &v->b->u32[at];
        put4(d, at, a[field2(v->imm, 0)], a[field2(v->imm, 1)], b[field2(v->imm, 2)],
             b[field2(v->imm, 3)]);
    }
}

VEC_BODY(insn_shufpd, binary)
{
    for (unsigned at = 0; at < COUNT(u64); at += 2)
        put2(d, at, v->a->u64[at + (v->imm >> at & 1)], v->b->u64[at + (v->imm >> (at + 1) & 1)]);
}

/* VPERMQ, VPERMPD: across lanes. */
VEC_BODY(insn_vpermq, unary)
{
    for (unsigned at = 0; at < COUNT(u64); at += 2)
        put2(d, at, v->b->u64[field2(v->imm, at)], v->b->u64[field2(v->imm, at + 1)]);
}

/* VPERM2F128, VPERM2I128: each half is one of the four halves of both sources, or zero. */
VEC_BODY(insn_vperm2f128, binary)
{
    static const union vector zero;
    for (unsigned half = 0; half < 2; half++) {
        unsigned control = v->imm >> (4 * half) & 15;
        const union vector *from = control & 8 ? &zero : control & 2 ? v->b : v->a;
        memcpy(&d->u64[2 * half], &from->u64[2 * (control & 1)], 16);
    }
}

/* --- by a register ------------------------------------------------------------------------------- */

/* Eight bytes of the table by eight bytes of control, whose bit 7 asks for the zeros in the table's second half. */
EMU_INLINE uint64_t look_up(const uint8_t *table, uint64_t control, unsigned last)
{
#define BYTE(i) \
    (uint64_t) table[(control >> (8 * (i)) & last) | (control >> (8 * (i) + 3) & 16)] << (8 * (i))
    return ((BYTE(0) | BYTE(1)) | (BYTE(2) | BYTE(3))) |
           ((BYTE(4) | BYTE(5)) | (BYTE(6) | BYTE(7)));
#undef BYTE
}

/* An MMX register is one lane of 8 bytes. */
VEC_BODY(insn_pshufb, binary)
{
    uint8_t table[32] = { 0 };
    if (v->size == 8) {
        memcpy(table, v->a, 8);
        d->u64[0] = look_up(table, v->b->u64[0], 7);
        return;
    }
    for (unsigned at = 0; at < v->size / 8; at += 2) {
        memcpy(table, &v->a->u64[at], 16);
        put2(d, at, look_up(table, v->b->u64[at], 15), look_up(table, v->b->u64[at + 1], 15));
    }
}

EMU_INLINE void permute_dwords(union vector *d, const struct vector_in *v)
{
    for (unsigned at = 0; at < COUNT(u32); at += 4) {
        const uint32_t *from = &v->a->u32[at], *by = &v->b->u32[at];
        put4(d, at, from[by[0] & 3], from[by[1] & 3], from[by[2] & 3], from[by[3] & 3]);
    }
}

EMU_INLINE void permute_qwords(union vector *d, const struct vector_in *v)
{
    for (unsigned at = 0; at < COUNT(u64); at += 2) {
        const uint64_t *from = &v->a->u64[at], *by = &v->b->u64[at];
        put2(d, at, from[by[0] >> 1 & 1], from[by[1] >> 1 & 1]);
    }
}

EMU_INLINE void permute_qwords_imm(union vector *d, const struct vector_in *v)
{
    for (unsigned at = 0; at < COUNT(u64); at += 2)
        put2(d, at, v->b->u64[at + (v->imm >> at & 1)], v->b->u64[at + (v->imm >> (at + 1) & 1)]);
}

/* These two have forms with an immediate. */
enum step insn_vpermilps(struct vcpu *cpu, const struct insn *in)
{
    return in->op[2].kind == OPERAND_IMM ? vector_unary(cpu, in, shuffle_dwords)
                                         : vector_binary(cpu, in, permute_dwords);
}

enum step insn_vpermilpd(struct vcpu *cpu, const struct insn *in)
{
    return in->op[2].kind == OPERAND_IMM ? vector_unary(cpu, in, permute_qwords_imm)
                                         : vector_binary(cpu, in, permute_qwords);
}

/* VPERMD, VPERMPS: across lanes; the indices are the first source. */
VEC_BODY(insn_vpermd, binary)
{
    const uint32_t *from = v->b->u32;
    for (unsigned at = 0; at < COUNT(u32); at += 4) {
        const uint32_t *by = &v->a->u32[at];
        put4(d, at, from[by[0] & 7], from[by[1] & 7], from[by[2] & 7], from[by[3] & 7]);
    }
}

/* --- UNPCK, MOVSLDUP, MOVSHDUP, MOVDDUP ------------------------------------------------------------- */

#define UNPACK32(name, first)                                               \
    VEC_BODY(name, binary)                                                  \
    {                                                                       \
        for (unsigned at = 0; at < COUNT(u32); at += 4)                     \
            put4(d, at, v->a->u32[at + (first)], v->b->u32[at + (first)],   \
                 v->a->u32[at + (first) + 1], v->b->u32[at + (first) + 1]); \
    }

#define UNPACK64(name, which)                                              \
    VEC_BODY(name, binary)                                                 \
    {                                                                      \
        for (unsigned at = 0; at < COUNT(u64); at += 2)                    \
            put2(d, at, v->a->u64[at + (which)], v->b->u64[at + (which)]); \
    }

UNPACK32(insn_unpcklps, 0)
UNPACK32(insn_unpckhps, 2)
UNPACK64(insn_unpcklpd, 0)
UNPACK64(insn_unpckhpd, 1)

VEC_BODY(insn_movsldup, unary)
{
    for (unsigned at = 0; at < COUNT(u32); at += 4) {
        const uint32_t *from = &v->b->u32[at];
        put4(d, at, from[0], from[0], from[2], from[2]);
    }
}

VEC_BODY(insn_movshdup, unary)
{
    for (unsigned at = 0; at < COUNT(u32); at += 4) {
        const uint32_t *from = &v->b->u32[at];
        put4(d, at, from[1], from[1], from[3], from[3]);
    }
}

/* Of memory the 128-bit form reads 8 bytes. */
enum step insn_movddup(struct vcpu *cpu, const struct insn *in)
{
    unsigned size = in->op[0].size;
    union vector room, d;
    const union vector *from;
    enum step step = vector_source(cpu, in, 1, size == 16 ? 8 : size, &room, &from);
    if (step != STEP_NEXT)
        return step;
    put2(&d, 0, from->u64[0], from->u64[0]);
    put2(&d, 2, from->u64[2], from->u64[2]);
    return vector_result(cpu, in, size, &d);
}

/* Shifts of elements and of whole lanes. Counts are not masked: one that is too large shifts everything out.
 * APM vol 4, "PSLLD" to "PSRLW", "PSLLDQ", "PSRLDQ", "VPSLLVD" to "VPSRLVQ"; vol 5 for MMX. */
#include "emu/insn/vector_int_block.h"

/* d = kernel(a, count): the count is an immediate, or the low 64 bits of 16 (MMX 8) bytes, whatever the size of a. */
EMU_MUST_USE EMU_INLINE enum step shift(struct vcpu *cpu, const struct insn *in, unsigned width,
                                        void (*kernel)(union vector *d, const union vector *a,
                                                       unsigned count))
{
    union vector room_a, room_b, d;
    const union vector *a, *b;
    unsigned size = in->op[0].size, n = in->vex ? 1 : 0;
    enum step step = vector_source(cpu, in, n + 1, size == 8 ? 8 : 16, &room_b, &b);
    if (EMU_LIKELY(step == STEP_NEXT))
        step = vector_source(cpu, in, n, size, &room_a, &a);
    if (EMU_UNLIKELY(step != STEP_NEXT))
        return step;
    kernel(&d, a, b->u64[0] < width ? (unsigned)b->u64[0] : width);
    return vector_result(cpu, in, size, &d);
}

/* Logical shifts by the whole width give 0, which C cannot say in one shift; arithmetic ones repeat the sign. */
#define SHIFT(name, elem, width, large, expr)                                         \
    static void name##_kernel(union vector *d, const union vector *a, unsigned count) \
    {                                                                                 \
        const unsigned n = count < (width) ? count : (width)-1;                       \
        const TYPE_##elem mask = count < (width) ? (TYPE_##elem) ~0 : (large);        \
        for (unsigned i = 0; i < COUNT(elem); i++) {                                  \
            const TYPE_##elem x = a->elem[i];                                         \
            d->elem[i] = (TYPE_##elem)((expr)&mask);                                  \
        }                                                                             \
    }                                                                                 \
    enum step name(struct vcpu *cpu, const struct insn *in)                           \
    {                                                                                 \
        return shift(cpu, in, width, name##_kernel);                                  \
    }
SHIFT(insn_psllw, u16, 16, 0, x << n)
SHIFT(insn_pslld, u32, 32, 0, x << n)
SHIFT(insn_psllq, u64, 64, 0, x << n)
SHIFT(insn_psrlw, u16, 16, 0, x >> n)
SHIFT(insn_psrld, u32, 32, 0, x >> n)
SHIFT(insn_psrlq, u64, 64, 0, x >> n)
SHIFT(insn_psraw, s16, 16, -1, x >> n)
SHIFT(insn_psrad, s32, 32, -1, x >> n)

/* --- a count for each element ------------------------------------------------------------- */

VEC2(insn_psllvd, u32, y < 32 ? x << (y & 31) : 0)
VEC2(insn_psllvq, u64, y < 64 ? x << (y & 63) : 0)
VEC2(insn_psrlvd, u32, y < 32 ? x >> (y & 31) : 0)
VEC2(insn_psrlvq, u64, y < 64 ? x >> (y & 63) : 0)
VEC2(insn_psravd, s32, x >> ((uint32_t)y < 32 ? y : 31))

/* --- lanes by bytes ------------------------------------------------------------------------- */

/* d, a, imm: the immediate is no second vector. */
EMU_MUST_USE EMU_INLINE enum step shift_lanes(struct vcpu *cpu, const struct insn *in,
                                              emu_u128 (*kernel)(emu_u128 lane, unsigned bits))
{
    const union vector *a = &cpu->simd.v[in->op[in->vex ? 1 : 0].reg];
    const unsigned bits = in->imm < 16 ? 8 * (unsigned)in->imm : 128;
    union vector d;
    for (unsigned i = 0; i < VECTOR_BYTES / 4; i += 4) {
        const emu_u32x4 words = block_words(kernel(block_load(a->u32 + i), bits));
        memcpy(d.u32 + i, &words, sizeof(words));
    }
    return vector_result(cpu, in, in->op[0].size, &d);
}

EMU_INLINE emu_u128 lane_left(emu_u128 lane, unsigned bits)
{
    return bits < 128 ? lane << bits : 0;
}

EMU_INLINE emu_u128 lane_right(emu_u128 lane, unsigned bits)
{
    return bits < 128 ? lane >> bits : 0;
}

enum step insn_pslldq(struct vcpu *cpu, const struct insn *in)
{
    return shift_lanes(cpu, in, lane_left);
}

enum step insn_psrldq(struct vcpu *cpu, const struct insn *in)
{
    return shift_lanes(cpu, in, lane_right);
}

/* Blends: each element from one of two sources. APM vol 4, "BLENDPS", "BLENDVPS", "PBLENDW" and their like. */
#include "emu/insn/vector_int.h"

/* By bits of the immediate: bit `which` for element i. */
#define BLEND_IMM(name, elem, which)                                          \
    VEC_BODY(name, binary)                                                    \
    {                                                                         \
        for (unsigned i = 0; i < COUNT(elem); i++)                            \
            d->elem[i] = v->imm >> (which)&1 ? v->b->elem[i] : v->a->elem[i]; \
    }

BLEND_IMM(insn_blendps, u32, i)
BLEND_IMM(insn_blendpd, u64, i)
BLEND_IMM(insn_pblendw, u16, (i & 7)) /* the same for each lane */

/* The sign of an element of the mask chooses: XMM0 is the mask of legacy forms, the fourth operand with VEX. */
#define BLEND_BY_SIGN(name, elem, sign)                                                         \
    static void name##_by(union vector *d, const struct vector_in *v, const union vector *mask) \
    {                                                                                           \
        for (unsigned i = 0; i < COUNT(elem); i++)                                              \
            d->elem[i] = mask->sign[i] < 0 ? v->b->elem[i] : v->a->elem[i];                     \
    }                                                                                           \
    enum step name(struct vcpu *cpu, const struct insn *in)                                     \
    {                                                                                           \
        return blend_by_sign(cpu, in, name##_by);                                               \
    }

typedef void blend(union vector *d, const struct vector_in *v, const union vector *mask);

EMU_MUST_USE EMU_INLINE enum step blend_by_sign(struct vcpu *cpu, const struct insn *in,
                                                blend *make)
{
    union vector room, d;
    unsigned n = in->vex ? 1 : 0;
    struct vector_in v = { .size = in->op[0].size, .a = &cpu->simd.v[in->op[n].reg] };
    enum step step = vector_source(cpu, in, n + 1, v.size, &room, &v.b);
    if (step != STEP_NEXT)
        return step;
    make(&d, &v, &cpu->simd.v[in->vex ? in->op[3].reg : 0]);
    return vector_result(cpu, in, v.size, &d);
}

BLEND_BY_SIGN(insn_pblendvb, u8, s8)
BLEND_BY_SIGN(insn_blendvps, u32, s32)
BLEND_BY_SIGN(insn_blendvpd, u64, s64)

/* Blends: each element from one of two sources. APM vol 4, "BLENDPS", "BLENDVPS", "PBLENDW" and their like. */
#include "emu/insn/vector.h"

#define BLEND_IMM(name, element, bytes, bit)                                       \
    enum step insn_##name(struct vcpu *cpu, const struct insn *in)                 \
    {                                                                              \
        struct vector_args x;                                                      \
        enum step step = vector_args(cpu, in, &x);                                 \
        if (step != STEP_NEXT)                                                     \
            return step;                                                           \
        for (unsigned i = 0; i < x.size / (bytes); i++)                            \
            x.a.element[i] = in->imm >> (bit)&1 ? x.b.element[i] : x.a.element[i]; \
        return vector_write(cpu, in, 0, x.size, &x.a);                             \
    }

BLEND_IMM(blendps, u32, 4, i)
BLEND_IMM(blendpd, u64, 8, i)
BLEND_IMM(pblendw, u16, 2, (i & 7)) /* the same for each lane */

/* The sign of an element of the mask chooses: XMM0 is the mask of legacy forms, the fourth operand with VEX. */
#define BLEND_BY_SIGN(name, element, sign, bytes)                                 \
    enum step insn_##name(struct vcpu *cpu, const struct insn *in)                \
    {                                                                             \
        struct vector_args x;                                                     \
        enum step step = vector_args(cpu, in, &x);                                \
        if (step != STEP_NEXT)                                                    \
            return step;                                                          \
        const union vector *mask = &cpu->simd.v[in->vex ? in->op[3].reg : 0];     \
        for (unsigned i = 0; i < x.size / (bytes); i++)                           \
            x.a.element[i] = mask->sign[i] < 0 ? x.b.element[i] : x.a.element[i]; \
        return vector_write(cpu, in, 0, x.size, &x.a);                            \
    }

BLEND_BY_SIGN(pblendvb, u8, s8, 1)
BLEND_BY_SIGN(blendvps, u32, s32, 4)
BLEND_BY_SIGN(blendvpd, u64, s64, 8)

/* PMOVSX and PMOVZX: the low elements of the source, each extended to a wider one. APM vol 4, "PMOVSXBW" and following. */
#include "emu/insn/vector_int.h"

#define EXTEND(name, to, from)                                                                     \
    enum step name(struct vcpu *cpu, const struct insn *in)                                        \
    {                                                                                              \
        unsigned size = in->op[0].size;                                                            \
        union vector room, d;                                                                      \
        const union vector *b;                                                                     \
        enum step step = vector_source(                                                            \
            cpu, in, 1, size * (unsigned)sizeof(TYPE_##from) / (unsigned)sizeof(TYPE_##to), &room, \
            &b);                                                                                   \
        if (EMU_UNLIKELY(step != STEP_NEXT))                                                       \
            return step;                                                                           \
        for (unsigned i = 0; i < COUNT(to); i++)                                                   \
            d.to[i] = b->from[i];                                                                  \
        return vector_result(cpu, in, size, &d);                                                   \
    }

EXTEND(insn_pmovsxbw, s16, s8)
EXTEND(insn_pmovsxbd, s32, s8)
EXTEND(insn_pmovsxbq, s64, s8)
EXTEND(insn_pmovsxwd, s32, s16)
EXTEND(insn_pmovsxwq, s64, s16)
EXTEND(insn_pmovsxdq, s64, s32)
EXTEND(insn_pmovzxbw, u16, u8)
EXTEND(insn_pmovzxbd, u32, u8)
EXTEND(insn_pmovzxbq, u64, u8)
EXTEND(insn_pmovzxwd, u32, u16)
EXTEND(insn_pmovzxwq, u64, u16)
EXTEND(insn_pmovzxdq, u64, u32)

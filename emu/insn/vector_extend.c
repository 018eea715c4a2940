/* PMOVSX and PMOVZX: the low elements of the source, each extended to a wider one. APM vol 4, "PMOVSXBW" and following. */
#include "emu/insn/vector.h"

#define EXTEND(name, to_element, to_bytes, from_element, from_bytes)                       \
    enum step insn_##name(struct vcpu *cpu, const struct insn *in)                         \
    {                                                                                      \
        unsigned size = in->op[0].size;                                                    \
        union vector from, to;                                                             \
        enum step step = vector_read(cpu, in, 1, size / (to_bytes) * (from_bytes), &from); \
        if (step != STEP_NEXT)                                                             \
            return step;                                                                   \
        for (unsigned i = 0; i < size / (to_bytes); i++)                                   \
            to.to_element[i] = from.from_element[i];                                       \
        return vector_write(cpu, in, 0, size, &to);                                        \
    }

EXTEND(pmovsxbw, s16, 2, s8, 1)
EXTEND(pmovsxbd, s32, 4, s8, 1)
EXTEND(pmovsxbq, s64, 8, s8, 1)
EXTEND(pmovsxwd, s32, 4, s16, 2)
EXTEND(pmovsxwq, s64, 8, s16, 2)
EXTEND(pmovsxdq, s64, 8, s32, 4)
EXTEND(pmovzxbw, u16, 2, u8, 1)
EXTEND(pmovzxbd, u32, 4, u8, 1)
EXTEND(pmovzxbq, u64, 8, u8, 1)
EXTEND(pmovzxwd, u32, 4, u16, 2)
EXTEND(pmovzxwq, u64, 8, u16, 2)
EXTEND(pmovzxdq, u64, 8, u32, 4)

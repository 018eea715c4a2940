/* Logic on all bits of a register: ANDPS, PAND and their like. The type in the name makes no difference. */
#include "emu/insn/vector.h"

/* Whole registers: the bytes behind the operation's size are zero in both sources and are not written. */
#define VECTOR_LOGIC(name, expression)                                    \
    enum step insn_vector_##name(struct vcpu *cpu, const struct insn *in) \
    {                                                                     \
        struct vector_args x;                                             \
        enum step step = vector_args(cpu, in, &x);                        \
        if (step != STEP_NEXT)                                            \
            return step;                                                  \
        for (unsigned i = 0; i < 8; i++) {                                \
            uint64_t a = x.a.u64[i], b = x.b.u64[i];                      \
            x.a.u64[i] = (expression);                                    \
        }                                                                 \
        return vector_write(cpu, in, 0, x.size, &x.a);                    \
    }

VECTOR_LOGIC(and, a &b)
VECTOR_LOGIC(andn, ~a &b)
VECTOR_LOGIC(or, a | b)
VECTOR_LOGIC(xor, a ^ b)

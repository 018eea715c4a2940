/* The shapes that most arithmetic and logic bodies have. Inline, so that the operation is a direct call. */
#ifndef EMU_INSN_MODIFY_H
#define EMU_INSN_MODIFY_H

#include "emu/insn/insn.h"

typedef void compare_operation(struct vcpu *cpu, unsigned size, uint64_t a, uint64_t b);
typedef uint64_t binary_operation(struct vcpu *cpu, unsigned size, uint64_t a, uint64_t b);
typedef uint64_t unary_operation(struct vcpu *cpu, unsigned size, uint64_t a);

/* op0 := operation(op0, op1). Flags change when nothing can fault any more. */
EMU_INLINE enum step modify_binary(struct vcpu *cpu, const struct insn *in,
                                   binary_operation *operation)
{
    struct operand_rmw rmw;
    uint64_t a, b;
    enum step step = operand_read(cpu, in, 1, &b);
    if (step != STEP_NEXT)
        return step;
    step = operand_begin(cpu, in, 0, &rmw, &a);
    if (step == STEP_NEXT)
        operand_commit(cpu, in, 0, &rmw, operation(cpu, in->op[0].size, a, b));
    return step;
}

EMU_INLINE enum step modify_unary(struct vcpu *cpu, const struct insn *in,
                                  unary_operation *operation)
{
    struct operand_rmw rmw;
    uint64_t a;
    enum step step = operand_begin(cpu, in, 0, &rmw, &a);
    if (step == STEP_NEXT)
        operand_commit(cpu, in, 0, &rmw, operation(cpu, in->op[0].size, a));
    return step;
}

/* Flags of operation(op0, op1). */
EMU_INLINE enum step compare_binary(struct vcpu *cpu, const struct insn *in,
                                    compare_operation *operation)
{
    uint64_t a, b;
    enum step step = operand_read(cpu, in, 0, &a);
    if (step != STEP_NEXT)
        return step;
    step = operand_read(cpu, in, 1, &b);
    if (step == STEP_NEXT)
        operation(cpu, in->op[0].size, a, b);
    return step;
}

#endif

/* AND, OR, XOR, NOT, TEST. APM vol 3, chapter 3. */
#include "emu/insn/insn.h"

EMU_INLINE enum step modify(struct vcpu *cpu, const struct insn *in,
                            uint64_t (*operation)(struct vcpu *, unsigned, uint64_t, uint64_t))
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

enum step insn_and(struct vcpu *cpu, const struct insn *in)
{
    return modify(cpu, in, sem_and);
}

enum step insn_or(struct vcpu *cpu, const struct insn *in)
{
    return modify(cpu, in, sem_or);
}

enum step insn_xor(struct vcpu *cpu, const struct insn *in)
{
    return modify(cpu, in, sem_xor);
}

enum step insn_not(struct vcpu *cpu, const struct insn *in)
{
    struct operand_rmw rmw;
    uint64_t a;
    enum step step = operand_begin(cpu, in, 0, &rmw, &a);
    if (step == STEP_NEXT)
        operand_commit(cpu, in, 0, &rmw, sem_not(in->op[0].size, a));
    return step;
}

enum step insn_test(struct vcpu *cpu, const struct insn *in)
{
    uint64_t a, b;
    enum step step = operand_read(cpu, in, 0, &a);
    if (step != STEP_NEXT)
        return step;
    step = operand_read(cpu, in, 1, &b);
    if (step == STEP_NEXT)
        sem_test(cpu, in->op[0].size, a, b);
    return step;
}

/* AND, OR, XOR, NOT, TEST. APM vol 3, chapter 3. */
#include "emu/insn/modify.h"

enum step insn_and(struct vcpu *cpu, const struct insn *in)
{
    return modify_binary(cpu, in, sem_and);
}

enum step insn_or(struct vcpu *cpu, const struct insn *in)
{
    return modify_binary(cpu, in, sem_or);
}

enum step insn_xor(struct vcpu *cpu, const struct insn *in)
{
    return modify_binary(cpu, in, sem_xor);
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
    return compare_binary(cpu, in, sem_test);
}

/* Near control transfers, loops, BOUND; far forms are in far.c. APM vol 3, chapter 3; vol 1, 3.7 "Control Transfers". */
#include "emu/insn/insn.h"

#include <Zydis/Mnemonic.h>

static uint64_t next_rip(const struct vcpu *cpu, const struct insn *in)
{
    return cpu_rip(cpu) + in->len;
}

enum step insn_jmp(struct vcpu *cpu, const struct insn *in)
{
    if (branch_is_far(in))
        return insn_jmp_far(cpu, in);
    uint64_t target;
    enum step step = branch_target(cpu, in, &target);
    return step == STEP_NEXT ? branch_near(cpu, in, target) : step;
}

enum step insn_jcc(struct vcpu *cpu, const struct insn *in)
{
    if (!flags_condition(cpu, in->cc))
        return STEP_NEXT;
    return branch_near(cpu, in, next_rip(cpu, in) + in->imm);
}

/* The target of a CALL is illegal. CHOICE: of two faults the stack's comes, as on Zen 4. */
EMU_MUST_USE static enum step call_fault(struct vcpu *cpu, const struct insn *in)
{
    enum step step = stack_probe_push(cpu, in->op_size);
    return step == STEP_NEXT ? cpu_raise_code(cpu, EXC_GP, 0) : step;
}

/* The target is checked before anything is pushed. */
enum step insn_call(struct vcpu *cpu, const struct insn *in)
{
    if (branch_is_far(in))
        return insn_call_far(cpu, in);
    uint64_t target;
    enum step step = branch_target(cpu, in, &target);
    if (step != STEP_NEXT)
        return step;
    if (branch_check(cpu, in, &target) != STEP_NEXT)
        return call_fault(cpu, in);
    step = stack_push(cpu, in->op_size, next_rip(cpu, in));
    if (step != STEP_NEXT)
        return step;
    cpu->r[REG_RIP] = target;
    return STEP_JUMP;
}

enum step insn_ret(struct vcpu *cpu, const struct insn *in)
{
    if (branch_is_far(in))
        return insn_ret_far(cpu, in);
    uint64_t rsp = cpu->r[REG_RSP], target;
    enum step step = stack_load(cpu, rsp, in->op_size, &target);
    if (step == STEP_NEXT)
        step = branch_check(cpu, in, &target);
    if (step != STEP_NEXT)
        return step;
    stack_set_pointer(cpu, rsp + in->op_size + (uint16_t)in->imm);
    cpu->r[REG_RIP] = target;
    return STEP_JUMP;
}

/* What LOOPE and LOOPNE ask of ZF. CHOICE: a repeat prefix, which the manual does not allow here, decides instead of the
 * opcode, as on Zen 4: F3 makes LOOPE of both, F2 LOOPNE. */
static bool loop_condition(const struct vcpu *cpu, const struct insn *in)
{
    if (in->mnemonic == ZYDIS_MNEMONIC_LOOP)
        return true;
    bool equal = in->mnemonic == ZYDIS_MNEMONIC_LOOPE;
    if (in->prefixes & (PREFIX_REP | PREFIX_REPNE))
        equal = in->prefixes & PREFIX_REP;
    return flags_zf(cpu) == equal;
}

/* LOOP, LOOPE, LOOPNE count rCX down in the address size. */
enum step insn_loop(struct vcpu *cpu, const struct insn *in)
{
    uint64_t count = (cpu->r[REG_RCX] - 1) & size_mask(in->addr_size);
    bool taken = count != 0 && loop_condition(cpu, in);

    enum step step = STEP_NEXT;
    if (taken)
        step = branch_near(cpu, in, next_rip(cpu, in) + in->imm);
    if (step != STEP_RAISED)
        reg_write(cpu, REG_RCX * 8, in->addr_size, count);
    return step;
}

enum step insn_jcxz(struct vcpu *cpu, const struct insn *in)
{
    if (cpu->r[REG_RCX] & size_mask(in->addr_size))
        return STEP_NEXT;
    return branch_near(cpu, in, next_rip(cpu, in) + in->imm);
}

/* A signed index against the two bounds in memory: #BR outside. Not in 64-bit mode. */
enum step insn_bound(struct vcpu *cpu, const struct insn *in)
{
    unsigned size = in->op_size;
    uint64_t off = mem_offset(cpu, in), lower, upper;
    enum step step = mem_load(cpu, (enum seg)in->seg, off, size, &lower);
    if (step == STEP_NEXT)
        step =
            mem_load(cpu, (enum seg)in->seg, (off + size) & size_mask(in->addr_size), size, &upper);
    if (step != STEP_NEXT)
        return step;
    int64_t index = sign_extend(reg_read(cpu, in->op[0].reg, size), size);
    if (index >= sign_extend(lower, size) && index <= sign_extend(upper, size))
        return STEP_NEXT;
    step = cpu_raise(cpu, EXC_BR);
    cpu->raised.insn_len = in->len; /* for nRIP: APM vol 2, 15.7.1 "State Saved on Exit" */
    return step;
}

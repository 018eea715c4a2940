/* PUSH, POP, PUSHA, POPA, ENTER, LEAVE. APM vol 3, chapter 3; vol 1, 2.3 "Stack Operation". */
#include "emu/insn/insn.h"

enum step insn_push(struct vcpu *cpu, const struct insn *in)
{
    if (in->op[0].kind == OPERAND_SEG)
        return insn_push_seg(cpu, in);
    uint64_t value;
    enum step step = operand_read(cpu, in, 0, &value);
    return step == STEP_NEXT ? stack_push(cpu, in->op_size, value) : step;
}

/* The address of a memory operand is computed, and a register written, after rSP has moved. */
enum step insn_pop(struct vcpu *cpu, const struct insn *in)
{
    if (in->op[0].kind == OPERAND_SEG)
        return insn_pop_seg(cpu, in);
    uint64_t old = cpu->r[REG_RSP], value;
    enum step step = stack_pop(cpu, in->op_size, &value);
    if (step != STEP_NEXT)
        return step;
    step = operand_write(cpu, in, 0, value);
    if (step != STEP_NEXT)
        cpu->r[REG_RSP] = old;
    return step;
}

/* PUSHA, PUSHAD: rAX, rCX, rDX, rBX, the old rSP, rBP, rSI, rDI. */
enum step insn_pusha(struct vcpu *cpu, const struct insn *in)
{
    unsigned size = in->op_size;
    uint64_t rsp = cpu->r[REG_RSP];
    for (unsigned reg = REG_RAX; reg <= REG_RDI; reg++) {
        rsp -= size;
        enum step step = stack_store(cpu, rsp, size, cpu->r[reg]);
        if (step != STEP_NEXT)
            return step;
    }
    stack_set_pointer(cpu, rsp);
    return STEP_NEXT;
}

/* POPA, POPAD: the stored rSP is skipped. */
enum step insn_popa(struct vcpu *cpu, const struct insn *in)
{
    unsigned size = in->op_size;
    uint64_t rsp = cpu->r[REG_RSP], value[8];
    for (unsigned i = 0; i < 8; i++) {
        enum step step = stack_load(cpu, rsp + (uint64_t)i * size, size, &value[i]);
        if (step != STEP_NEXT)
            return step;
    }
    for (unsigned i = 0; i < 8; i++)
        if (REG_RDI - i != REG_RSP)
            reg_write(cpu, (REG_RDI - i) * 8, size, value[i]);
    stack_set_pointer(cpu, rsp + 8ull * size);
    return STEP_NEXT;
}

/* rSP moved down within its width: what lies above it in the register stays. */
static uint64_t below(const struct vcpu *cpu, uint64_t rsp, unsigned bytes)
{
    uint64_t mask = size_mask(stack_width(cpu));
    return (rsp & ~mask) | ((rsp - bytes) & mask);
}

/* The nesting level is taken modulo 32. CHOICE: the byte range the new rSP points to is checked for writing, as the
 * manual's pseudo-code asks; a fault anywhere leaves rSP and rBP alone, bytes already pushed stay. */
enum step insn_enter(struct vcpu *cpu, const struct insn *in)
{
    unsigned size = in->op_size, level = (unsigned)in->imm2 & 31;
    uint64_t rsp = below(cpu, cpu->r[REG_RSP], size), rbp = cpu->r[REG_RBP], frame, value;
    enum step step = stack_store(cpu, rsp, size, rbp);
    if (step != STEP_NEXT)
        return step;
    frame = rsp;
    for (unsigned i = 1; i < level; i++) {
        rbp -= size;
        rsp = below(cpu, rsp, size);
        step = stack_load(cpu, rbp, size, &value);
        if (step == STEP_NEXT)
            step = stack_store(cpu, rsp, size, value);
        if (step != STEP_NEXT)
            return step;
    }
    if (level > 0) {
        rsp = below(cpu, rsp, size);
        step = stack_store(cpu, rsp, size, frame);
        if (step != STEP_NEXT)
            return step;
    }
    rsp = below(cpu, rsp, (uint16_t)in->imm);

    struct mem_rmw probe;
    uint64_t at = rsp & size_mask(stack_width(cpu));
    step = mem_rmw_begin(cpu, SEG_SS, at, size, &probe, &value);
    if (step != STEP_NEXT)
        return step;
    reg_write(cpu, REG_RBP * 8, size, frame);
    stack_set_pointer(cpu, rsp);
    return STEP_NEXT;
}

enum step insn_leave(struct vcpu *cpu, const struct insn *in)
{
    uint64_t frame = cpu->r[REG_RBP], value;
    enum step step = stack_load(cpu, frame, in->op_size, &value);
    if (step != STEP_NEXT)
        return step;
    stack_set_pointer(cpu, frame + in->op_size);
    reg_write(cpu, REG_RBP * 8, in->op_size, value);
    return STEP_NEXT;
}

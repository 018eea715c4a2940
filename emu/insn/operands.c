/* Operands, the stack and near branches: what most bodies are made of. */
#include "emu/insn/insn.h"

enum step operand_read(struct vcpu *cpu, const struct insn *in, unsigned n, uint64_t *value)
{
    const struct operand *op = &in->op[n];
    switch ((enum operand_kind)op->kind) {
    case OPERAND_REG: *value = reg_read(cpu, op->reg, op->size); return STEP_NEXT;
    case OPERAND_MEM: return mem_load(cpu, (enum seg)in->seg, mem_offset(cpu, in), op->size, value);
    default: *value = in->imm; return STEP_NEXT;
    }
}

enum step operand_write(struct vcpu *cpu, const struct insn *in, unsigned n, uint64_t value)
{
    const struct operand *op = &in->op[n];
    if (op->kind == OPERAND_MEM)
        return mem_store(cpu, (enum seg)in->seg, mem_offset(cpu, in), op->size, value);
    reg_write(cpu, op->reg, op->size, value);
    return STEP_NEXT;
}

enum step operand_begin(struct vcpu *cpu, const struct insn *in, unsigned n,
                        struct operand_rmw *rmw, uint64_t *value)
{
    const struct operand *op = &in->op[n];
    rmw->memory = op->kind == OPERAND_MEM;
    if (rmw->memory)
        return mem_rmw_begin(cpu, (enum seg)in->seg, mem_offset(cpu, in), op->size, &rmw->rmw,
                             value);
    *value = reg_read(cpu, op->reg, op->size);
    return STEP_NEXT;
}

void operand_commit(struct vcpu *cpu, const struct insn *in, unsigned n,
                    const struct operand_rmw *rmw, uint64_t value)
{
    if (rmw->memory)
        mem_rmw_commit(cpu, &rmw->rmw, value);
    else
        reg_write(cpu, in->op[n].reg, in->op[n].size, value);
}

/* --- the stack ------------------------------------------------------------------------------ */

unsigned stack_width(const struct vcpu *cpu)
{
    if (cpu_long64(cpu))
        return 8;
    return cpu->regs.seg[SEG_SS].attr & SEG_ATTR_DB ? 4 : 2;
}

void stack_set_pointer(struct vcpu *cpu, uint64_t rsp)
{
    reg_write(cpu, REG_RSP * 8, stack_width(cpu), rsp);
}

enum step stack_load(struct vcpu *cpu, uint64_t rsp, unsigned size, uint64_t *value)
{
    return mem_load(cpu, SEG_SS, rsp & size_mask(stack_width(cpu)), size, value);
}

enum step stack_store(struct vcpu *cpu, uint64_t rsp, unsigned size, uint64_t value)
{
    return mem_store(cpu, SEG_SS, rsp & size_mask(stack_width(cpu)), size, value);
}

enum step stack_push(struct vcpu *cpu, unsigned size, uint64_t value)
{
    uint64_t rsp = cpu->r[REG_RSP] - size;
    enum step step = stack_store(cpu, rsp, size, value);
    if (step == STEP_NEXT)
        stack_set_pointer(cpu, rsp);
    return step;
}

enum step stack_probe_push(struct vcpu *cpu, unsigned size)
{
    uint64_t rsp = (cpu->r[REG_RSP] - size) & size_mask(stack_width(cpu)), unused;
    struct mem_rmw probe;
    return mem_rmw_begin(cpu, SEG_SS, rsp, size, &probe, &unused);
}

enum step stack_pop(struct vcpu *cpu, unsigned size, uint64_t *value)
{
    uint64_t rsp = cpu->r[REG_RSP];
    enum step step = stack_load(cpu, rsp, size, value);
    if (step == STEP_NEXT)
        stack_set_pointer(cpu, rsp + size);
    return step;
}

/* --- near branches ----------------------------------------------------------------------------- */

/* Near forms by opcode: E8 and FF /2, E9, EB and FF /4, C2 and C3. */
bool branch_is_far(const struct insn *in)
{
    unsigned reg = (in->modrm >> 3) & 7;
    switch (in->opcode) {
    case 0x9a: /* CALL ptr */
    case 0xea: /* JMP ptr */
    case 0xca: /* RETF imm16 */
    case 0xcb: return true;
    case 0xff: return reg == 3 || reg == 5;
    default: return false;
    }
}

/* A displacement counts from the next instruction. */
enum step branch_target(struct vcpu *cpu, const struct insn *in, uint64_t *target)
{
    enum step step = operand_read(cpu, in, 0, target);
    if (in->op[0].kind == OPERAND_IMM)
        *target += cpu_rip(cpu) + in->len;
    return step;
}

enum step branch_check(struct vcpu *cpu, const struct insn *in, uint64_t *target)
{
    *target &= size_mask(in->op_size);
    bool legal = cpu_long64(cpu) ? paging_is_canonical(*target, cpu->regs.cr4 & CR4_LA57)
                                 : *target <= cpu->regs.seg[SEG_CS].limit;
    return legal ? STEP_NEXT : cpu_raise_code(cpu, EXC_GP, 0);
}

enum step branch_near(struct vcpu *cpu, const struct insn *in, uint64_t target)
{
    enum step step = branch_check(cpu, in, &target);
    if (step != STEP_NEXT)
        return step;
    cpu->r[REG_RIP] = target;
    return STEP_JUMP;
}

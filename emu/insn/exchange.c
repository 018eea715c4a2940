/* XCHG, XADD, CMPXCHG, CMPXCHG8B, CMPXCHG16B. One processor runs at a time, so every read-modify-write is atomic.
 * APM vol 3, chapter 3. */
#include "emu/insn/insn.h"

/* With a memory operand XCHG stands first or second; the other operand is a register. */
enum step insn_xchg(struct vcpu *cpu, const struct insn *in)
{
    unsigned first = in->op[1].kind == OPERAND_MEM, second = 1 - first;
    const struct operand *reg = &in->op[second];
    struct operand_rmw rmw;
    uint64_t old;
    enum step step = operand_begin(cpu, in, first, &rmw, &old);
    if (step != STEP_NEXT)
        return step;
    operand_commit(cpu, in, first, &rmw, reg_read(cpu, reg->reg, reg->size));
    reg_write(cpu, reg->reg, reg->size, old);
    return STEP_NEXT;
}

/* The sum is written last: XADD of a register with itself doubles it. */
enum step insn_xadd(struct vcpu *cpu, const struct insn *in)
{
    const struct operand *reg = &in->op[1];
    struct operand_rmw rmw;
    uint64_t old;
    enum step step = operand_begin(cpu, in, 0, &rmw, &old);
    if (step != STEP_NEXT)
        return step;
    uint64_t sum = sem_add(cpu, reg->size, old, reg_read(cpu, reg->reg, reg->size));
    reg_write(cpu, reg->reg, reg->size, old);
    operand_commit(cpu, in, 0, &rmw, sum);
    return STEP_NEXT;
}

/* Memory is written in either case, so that a read-only page always faults. A 32-bit register keeps its upper half
 * when the comparison fails, and so does RAX when it succeeds (as on Zen 4). */
enum step insn_cmpxchg(struct vcpu *cpu, const struct insn *in)
{
    unsigned size = in->op[0].size;
    struct operand_rmw rmw;
    uint64_t old;
    enum step step = operand_begin(cpu, in, 0, &rmw, &old);
    if (step != STEP_NEXT)
        return step;
    sem_cmp(cpu, size, cpu->r[REG_RAX], old);
    if (flags_zf(cpu)) {
        operand_commit(cpu, in, 0, &rmw, reg_read(cpu, in->op[1].reg, size));
    } else {
        if (rmw.memory)
            operand_commit(cpu, in, 0, &rmw, old);
        reg_write(cpu, REG_RAX * 8, size, old);
    }
    return STEP_NEXT;
}

static void set_zf(struct vcpu *cpu, bool zf)
{
    uint32_t others = flags_status(cpu) & ~FLAG_ZF;
    flags_set_material(cpu, others | (zf ? FLAG_ZF : 0));
}

/* One half of rDX:rAX or rCX:rBX is `size` bytes. */
EMU_MUST_USE static enum step compare_exchange(struct vcpu *cpu, const struct insn *in,
                                               unsigned size)
{
    enum seg seg = (enum seg)in->seg;
    uint64_t off = mem_offset(cpu, in), low, high;
    struct mem_rmw rmw_low, rmw_high;
    enum step step = mem_rmw_begin(cpu, seg, off, size, &rmw_low, &low);
    if (step != STEP_NEXT)
        return step;
    step = mem_rmw_begin(cpu, seg, (off + size) & size_mask(in->addr_size), size, &rmw_high, &high);
    if (step != STEP_NEXT)
        return step;

    bool equal =
        low == reg_read(cpu, REG_RAX * 8, size) && high == reg_read(cpu, REG_RDX * 8, size);
    mem_rmw_commit(cpu, &rmw_low, equal ? cpu->r[REG_RBX] : low);
    mem_rmw_commit(cpu, &rmw_high, equal ? cpu->r[REG_RCX] : high);
    if (!equal) {
        reg_write(cpu, REG_RAX * 8, size, low);
        reg_write(cpu, REG_RDX * 8, size, high);
    }
    set_zf(cpu, equal);
    return STEP_NEXT;
}

enum step insn_cmpxchg8b(struct vcpu *cpu, const struct insn *in)
{
    return compare_exchange(cpu, in, 4);
}

/* The operand must be aligned: #GP(0) before any translation. */
enum step insn_cmpxchg16b(struct vcpu *cpu, const struct insn *in)
{
    uint64_t la;
    enum step step = mem_linear(cpu, (enum seg)in->seg, mem_offset(cpu, in), 16, ACCESS_WRITE, &la);
    if (step != STEP_NEXT)
        return step;
    if (la & 15)
        return cpu_raise_code(cpu, EXC_GP, 0);
    return compare_exchange(cpu, in, 8);
}

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

/* XCHG BX, BX, by which programs call debuggers. No effect but that. */
enum step insn_xchg_magic(struct vcpu *cpu, const struct insn *in)
{
    (void)in;
    if (probes_want(cpu->probes, PROBE_MAGIC))
        probes_fire(cpu->probes, &(struct probe_event){ .kind = PROBE_MAGIC, .cpu = cpu });
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

/* EDX:EAX with eight bytes. */
enum step insn_cmpxchg8b(struct vcpu *cpu, const struct insn *in)
{
    uint64_t old, expected = cpu->r[REG_RDX] << 32 | (uint32_t)cpu->r[REG_RAX];
    uint64_t replacement = cpu->r[REG_RCX] << 32 | (uint32_t)cpu->r[REG_RBX];
    struct mem_rmw rmw;
    enum step step = mem_rmw_begin(cpu, (enum seg)in->seg, mem_offset(cpu, in), 8, &rmw, &old);
    if (step != STEP_NEXT)
        return step;
    mem_rmw_commit(cpu, &rmw, old == expected ? replacement : old);
    if (old != expected) {
        cpu->r[REG_RAX] = (uint32_t)old;
        cpu->r[REG_RDX] = old >> 32;
    }
    set_zf(cpu, old == expected);
    return STEP_NEXT;
}

/* RDX:RAX with sixteen bytes, which must be aligned: #GP(0) before anything else is said of the address. So both halves are in
 * one page. */
enum step insn_cmpxchg16b(struct vcpu *cpu, const struct insn *in)
{
    enum seg seg = (enum seg)in->seg;
    uint64_t off = mem_offset(cpu, in), la, low, high;
    struct mem_rmw rmw_low, rmw_high;
    if ((off + (seg >= SEG_FS ? cpu->regs.seg[seg].base : 0)) & 15) /* exists in 64-bit mode only */
        return cpu_raise_code(cpu, EXC_GP, 0);
    enum step step = mem_linear(cpu, seg, off, 16, ACCESS_WRITE, &la);
    if (step != STEP_NEXT)
        return step;
    step = mem_rmw_begin(cpu, seg, off, 8, &rmw_low, &low);
    if (step == STEP_NEXT)
        step = mem_rmw_begin(cpu, seg, (off + 8) & size_mask(in->addr_size), 8, &rmw_high, &high);
    if (step != STEP_NEXT)
        return step;

    bool equal = low == cpu->r[REG_RAX] && high == cpu->r[REG_RDX];
    mem_rmw_commit(cpu, &rmw_low, equal ? cpu->r[REG_RBX] : low);
    mem_rmw_commit(cpu, &rmw_high, equal ? cpu->r[REG_RCX] : high);
    if (!equal) {
        cpu->r[REG_RAX] = low;
        cpu->r[REG_RDX] = high;
    }
    set_zf(cpu, equal);
    return STEP_NEXT;
}

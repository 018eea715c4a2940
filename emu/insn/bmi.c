/* BMI1 and BMI2, except the shifts (shift.c) and counts (bits.c). APM vol 3, chapter 3.
 * CHOICE: undefined flags as measured on Zen 4: PF follows the result, AF is 0; BEXTR: AF is 1 and SF 0. */
#include "emu/insn/insn.h"

/* Read operands 1 and 2. */
EMU_MUST_USE static enum step read_two(struct vcpu *cpu, const struct insn *in, uint64_t *a,
                                       uint64_t *b)
{
    enum step step = operand_read(cpu, in, 1, a);
    return step == STEP_NEXT ? operand_read(cpu, in, 2, b) : step;
}

static void finish(struct vcpu *cpu, const struct insn *in, uint64_t res, bool carry)
{
    unsigned size = in->op[0].size;
    flags_set_result(cpu, carry ? FLAG_CF : 0, sign_extend(res, size));
    reg_write(cpu, in->op[0].reg, size, res);
}

enum step insn_andn(struct vcpu *cpu, const struct insn *in)
{
    uint64_t a, b;
    enum step step = read_two(cpu, in, &a, &b);
    if (step == STEP_NEXT)
        finish(cpu, in, ~a & b, false);
    return step;
}

enum step insn_blsi(struct vcpu *cpu, const struct insn *in)
{
    uint64_t a;
    enum step step = operand_read(cpu, in, 1, &a);
    if (step == STEP_NEXT)
        finish(cpu, in, a & -a, a != 0);
    return step;
}

enum step insn_blsmsk(struct vcpu *cpu, const struct insn *in)
{
    uint64_t a;
    enum step step = operand_read(cpu, in, 1, &a);
    if (step == STEP_NEXT)
        finish(cpu, in, a ^ (a - 1), a == 0);
    return step;
}

enum step insn_blsr(struct vcpu *cpu, const struct insn *in)
{
    uint64_t a;
    enum step step = operand_read(cpu, in, 1, &a);
    if (step == STEP_NEXT)
        finish(cpu, in, a & (a - 1), a == 0);
    return step;
}

/* Start bit and length are bytes 0 and 1 of operand 2. An immediate there is TBM's form, which no CPU of ours has. */
enum step insn_bextr(struct vcpu *cpu, const struct insn *in)
{
    unsigned bits = 8u * in->op[0].size;
    uint64_t value, control;
    if (in->op[2].kind == OPERAND_IMM)
        return cpu_raise(cpu, EXC_UD);
    enum step step = read_two(cpu, in, &value, &control);
    if (step != STEP_NEXT)
        return step;
    unsigned start = control & 255, length = (control >> 8) & 255;
    uint64_t res = start < bits ? value >> start : 0;
    if (length < 64)
        res &= ((uint64_t)1 << length) - 1;
    (void)sem_logic(cpu, 8, res);
    flags_set_material(cpu, FLAG_AF | (flags_pf(cpu) ? FLAG_PF : 0) | (res == 0 ? FLAG_ZF : 0));
    reg_write(cpu, in->op[0].reg, in->op[0].size, res);
    return STEP_NEXT;
}

enum step insn_bzhi(struct vcpu *cpu, const struct insn *in)
{
    unsigned bits = 8u * in->op[0].size;
    uint64_t value, control;
    enum step step = read_two(cpu, in, &value, &control);
    if (step != STEP_NEXT)
        return step;
    unsigned index = control & 255;
    finish(cpu, in, index < bits ? value & (((uint64_t)1 << index) - 1) : value, index >= bits);
    return STEP_NEXT;
}

/* Operand 0 gets the high half; it is written last, so that it stays when both destinations are one register. */
enum step insn_mulx(struct vcpu *cpu, const struct insn *in)
{
    unsigned size = in->op[0].size;
    uint64_t b;
    enum step step = operand_read(cpu, in, 2, &b);
    if (step != STEP_NEXT)
        return step;
    emu_u128 product = (emu_u128)reg_read(cpu, REG_RDX * 8, size) * b;
    reg_write(cpu, in->op[1].reg, size, (uint64_t)product);
    reg_write(cpu, in->op[0].reg, size, (uint64_t)(product >> (8 * size)));
    return STEP_NEXT;
}

enum step insn_pdep(struct vcpu *cpu, const struct insn *in)
{
    uint64_t value, mask, res = 0;
    enum step step = read_two(cpu, in, &value, &mask);
    if (step != STEP_NEXT)
        return step;
    for (; mask != 0; mask &= mask - 1, value >>= 1)
        if (value & 1)
            res |= mask & -mask;
    reg_write(cpu, in->op[0].reg, in->op[0].size, res);
    return STEP_NEXT;
}

enum step insn_pext(struct vcpu *cpu, const struct insn *in)
{
    uint64_t value, mask, res = 0;
    enum step step = read_two(cpu, in, &value, &mask);
    if (step != STEP_NEXT)
        return step;
    for (unsigned n = 0; mask != 0; mask &= mask - 1, n++)
        if (value & mask & -mask)
            res |= (uint64_t)1 << n;
    reg_write(cpu, in->op[0].reg, in->op[0].size, res);
    return STEP_NEXT;
}

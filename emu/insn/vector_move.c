/* Moves of whole and partial registers. APM vol 4, "MOVAPS", "MOVD", "MOVQ", "MOVSS", "MOVLPS" and their like. */
#include "emu/insn/vector.h"

#include <Zydis/Mnemonic.h>
#include <string.h>

/* A move that succeeded and read or wrote an MMX register. */
static void enter_if_mmx(struct vcpu *cpu, const struct insn *in)
{
    if (in->op[0].kind == OPERAND_MMX || in->op[1].kind == OPERAND_MMX)
        mmx_enter(cpu);
}

/* MOVAPS, MOVUPS, MOVDQA, LDDQU, MOVNTPS, MOVNTDQA and their like: all of a register. Memory types make no difference
 * here, so neither do non-temporal hints. */
enum step insn_vector_move(struct vcpu *cpu, const struct insn *in)
{
    union vector value;
    enum step step = vector_read(cpu, in, 1, in->op[0].size, &value);
    return step == STEP_NEXT ? vector_write(cpu, in, 0, in->op[0].size, &value) : step;
}

/* MOVD, MOVQ, MOVQ2DQ, MOVDQ2Q, MOVNTQ, MOVNTI, MOVNTSS, MOVNTSD, and MOVSS and MOVSD with memory: the smaller operand's
 * bytes, extended with zeros to an MMX or XMM register. */
enum step insn_vector_move_low(struct vcpu *cpu, const struct insn *in)
{
    const struct operand *to = &in->op[0], *from = &in->op[1];
    union vector value;
    enum step step = vector_read(cpu, in, 1, from->size < to->size ? from->size : to->size, &value);
    if (step != STEP_NEXT)
        return step;
    step = vector_write(cpu, in, 0, to->kind == OPERAND_VECTOR ? 16 : to->size, &value);
    if (step == STEP_NEXT)
        enter_if_mmx(cpu, in);
    return step;
}

/* --- parts of a register, merged with the rest ------------------------------------------------- */

/* What the bytes that an instruction does not name come from: the destination, with VEX the first source. */
static const union vector *merge_base(const struct vcpu *cpu, const struct insn *in)
{
    return &cpu->simd.v[in->op[in->vex ? 1 : 0].reg];
}

static enum step move_scalar(struct vcpu *cpu, const struct insn *in, unsigned size)
{
    if (in->op[0].kind == OPERAND_MEM || in->op[1].kind == OPERAND_MEM)
        return insn_vector_move_low(cpu, in);
    union vector value = *merge_base(cpu, in);
    memcpy(&value, &cpu->simd.v[in->op[in->vex ? 2 : 1].reg], size);
    return vector_write(cpu, in, 0, 16, &value);
}

enum step insn_movss(struct vcpu *cpu, const struct insn *in)
{
    return move_scalar(cpu, in, 4);
}

/* The SSE2 instruction: the string instruction has no operands of ours. */
enum step insn_movsd(struct vcpu *cpu, const struct insn *in)
{
    return move_scalar(cpu, in, 8);
}

/* Quadword `to` of the destination gets quadword `from` of a register, or a quadword of memory. */
static enum step move_half(struct vcpu *cpu, const struct insn *in, unsigned to, unsigned from)
{
    unsigned source = in->vex ? 2 : 1;
    union vector value = *merge_base(cpu, in), half;
    if (in->op[source].kind == OPERAND_MEM) {
        enum step step = vector_load(cpu, in, 8, &half);
        if (step != STEP_NEXT)
            return step;
        value.u64[to] = half.u64[0];
    } else {
        value.u64[to] = cpu->simd.v[in->op[source].reg].u64[from];
    }
    return vector_write(cpu, in, 0, 16, &value);
}

/* MOVLPS, MOVLPD, MOVHLPS. */
enum step insn_movlps(struct vcpu *cpu, const struct insn *in)
{
    if (in->op[0].kind == OPERAND_MEM)
        return vector_store(cpu, in, 8, &cpu->simd.v[in->op[1].reg].u64[0]);
    return move_half(cpu, in, 0, 1);
}

/* MOVHPS, MOVHPD, MOVLHPS. */
enum step insn_movhps(struct vcpu *cpu, const struct insn *in)
{
    if (in->op[0].kind == OPERAND_MEM)
        return vector_store(cpu, in, 8, &cpu->simd.v[in->op[1].reg].u64[1]);
    return move_half(cpu, in, 1, 0);
}

/* --- VZEROUPPER, VZEROALL ------------------------------------------------------------------------ */

/* Outside 64-bit mode the registers that cannot be named keep what they hold: measured on Zen 4 in compatibility mode.
 * APM vol 4, "VZEROALL", "VZEROUPPER". */
static void zero_from(struct vcpu *cpu, unsigned byte)
{
    unsigned count = cpu_long64(cpu) ? 16 : 8;
    for (unsigned i = 0; i < count; i++)
        memset(cpu->simd.v[i].u8 + byte, 0, sizeof(cpu->simd.v[i]) - byte);
}

enum step insn_vzeroupper(struct vcpu *cpu, const struct insn *in)
{
    (void)in;
    zero_from(cpu, 16);
    return STEP_NEXT;
}

enum step insn_vzeroall(struct vcpu *cpu, const struct insn *in)
{
    (void)in;
    zero_from(cpu, 0);
    return STEP_NEXT;
}

/* --- sign bits to a general register ------------------------------------------------------------- */

/* Bit `size * 8 - 1` of each element of that many bytes, in bits from 0 on; the rest of the register is 0. */
static enum step move_mask(struct vcpu *cpu, const struct insn *in, unsigned size)
{
    union vector from;
    enum step step = vector_read(cpu, in, 1, in->op[1].size, &from);
    if (step != STEP_NEXT)
        return step;
    uint64_t mask = 0;
    for (unsigned i = 0; i < in->op[1].size / size; i++)
        mask |= (uint64_t)(from.u8[(i + 1) * size - 1] >> 7) << i;
    enter_if_mmx(cpu, in);
    reg_write(cpu, in->op[0].reg, 4, mask);
    return STEP_NEXT;
}

enum step insn_pmovmskb(struct vcpu *cpu, const struct insn *in)
{
    return move_mask(cpu, in, 1);
}

enum step insn_movmskps(struct vcpu *cpu, const struct insn *in)
{
    return move_mask(cpu, in, 4);
}

enum step insn_movmskpd(struct vcpu *cpu, const struct insn *in)
{
    return move_mask(cpu, in, 8);
}

/* Moves of whole and partial registers. APM vol 4, "MOVAPS", "MOVD", "MOVQ", "MOVSS", "MOVLPS" and their like. */
#include "emu/insn/vector_int.h"

/* A move that succeeded and read or wrote an MMX register. */
static void enter_if_mmx(struct vcpu *cpu, const struct insn *in)
{
    if (in->op[0].kind == OPERAND_MMX || in->op[1].kind == OPERAND_MMX)
        mmx_enter(cpu);
}

/* MOVAPS, MOVUPS, MOVDQA, LDDQU, MOVNTPS, MOVNTDQA and their like: all of a register. Memory types make no difference
 * here, so neither do non-temporal hints. */
VEC_BODY(insn_vector_move, unary)
{
    memcpy(d, v->b, VECTOR_BYTES);
}

/* Up to 8 bytes of operand 1. */
EMU_MUST_USE static enum step read_low(struct vcpu *cpu, const struct insn *in, unsigned size,
                                       uint64_t *value)
{
    const struct operand *from = &in->op[1];
    *value = 0;
    switch ((enum operand_kind)from->kind) {
    case OPERAND_MEM: return vector_load(cpu, in, size, value);
    case OPERAND_REG: *value = reg_read(cpu, from->reg, size); return STEP_NEXT;
    case OPERAND_MMX: *value = cpu->x87.reg[from->reg].mant & size_mask(size); return STEP_NEXT;
    default: *value = cpu->simd.v[from->reg].u64[0] & size_mask(size); return STEP_NEXT;
    }
}

/* MOVD, MOVQ, MOVQ2DQ, MOVDQ2Q, MOVNTQ, MOVNTI, MOVNTSS, MOVNTSD, and MOVSS and MOVSD with memory: the smaller operand's
 * bytes, extended with zeros to an MMX or XMM register. */
enum step insn_vector_move_low(struct vcpu *cpu, const struct insn *in)
{
    const struct operand *to = &in->op[0];
    unsigned size = in->op[1].size < to->size ? in->op[1].size : to->size;
    uint64_t value;
    enum step step = read_low(cpu, in, size, &value);
    if (step != STEP_NEXT)
        return step;
    switch ((enum operand_kind)to->kind) {
    case OPERAND_MEM: step = vector_store(cpu, in, size, &value); break;
    case OPERAND_REG: reg_write(cpu, to->reg, to->size, value); break;
    case OPERAND_MMX: mmx_set(cpu, to->reg, value); break;
    default: vector_set16(cpu, in, value, 0); break;
    }
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
    const union vector *base = merge_base(cpu, in),
                       *from = &cpu->simd.v[in->op[in->vex ? 2 : 1].reg];
    uint64_t mask = size_mask(size);
    vector_set16(cpu, in, (base->u64[0] & ~mask) | (from->u64[0] & mask), base->u64[1]);
    return STEP_NEXT;
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
    const struct operand *source = &in->op[in->vex ? 2 : 1];
    uint64_t half;
    if (source->kind == OPERAND_MEM) {
        enum step step = vector_load(cpu, in, 8, &half);
        if (step != STEP_NEXT)
            return step;
    } else {
        half = cpu->simd.v[source->reg].u64[from];
    }
    const union vector *base = merge_base(cpu, in);
    vector_set16(cpu, in, to == 0 ? half : base->u64[0], to == 0 ? base->u64[1] : half);
    return STEP_NEXT;
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
EMU_INLINE void zero_from(struct vcpu *cpu, unsigned byte)
{
    for (unsigned i = 0; i < 8; i++)
        memset(cpu->simd.v[i].u8 + byte, 0, sizeof(cpu->simd.v[i]) - byte);
    if (cpu_long64(cpu))
        for (unsigned i = 8; i < 16; i++)
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

/* The signs of the elements of `size` bytes in a quadword, as bits from 0 on. */
EMU_INLINE uint64_t signs(uint64_t x, unsigned size)
{
    if (size == 8)
        return x >> 63;
    if (size == 4)
        return (x >> 31 & 1) | (x >> 62 & 2);
    return ((x >> 7 & UINT64_C(0x0101010101010101)) * UINT64_C(0x0102040810204080)) >> 56;
}

/* The rest of the general register becomes 0. */
EMU_INLINE enum step move_mask(struct vcpu *cpu, const struct insn *in, unsigned size)
{
    const struct operand *from = &in->op[1];
    uint64_t mask = 0;
    if (from->kind == OPERAND_MMX)
        mask = signs(cpu->x87.reg[from->reg].mant, size);
    else
        for (unsigned i = 0; i < from->size / 8u; i++)
            mask |= signs(cpu->simd.v[from->reg].u64[i], size) << (8 / size * i);
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

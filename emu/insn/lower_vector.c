/* Hot handlers for vector instructions. */
#include "emu/insn/hot_vector.h"
#include "emu/insn/lower_priv.h"

#include <Zydis/Mnemonic.h>

/* --- moves ------------------------------------------------------------------------------------------ */

enum { ALIGNED = 1, PARTIAL = 2 };

/* Moves between registers and memory. `bytes` 0: as wide as the register. */
static const struct move_row {
    uint16_t legacy, vex;
    uint8_t bytes;
    uint8_t flags; /* PARTIAL: between registers it is no copy */
} moves[] = {
    { ZYDIS_MNEMONIC_MOVAPS, ZYDIS_MNEMONIC_VMOVAPS, 0, ALIGNED },
    { ZYDIS_MNEMONIC_MOVAPD, ZYDIS_MNEMONIC_VMOVAPD, 0, ALIGNED },
    { ZYDIS_MNEMONIC_MOVDQA, ZYDIS_MNEMONIC_VMOVDQA, 0, ALIGNED },
    { ZYDIS_MNEMONIC_MOVUPS, ZYDIS_MNEMONIC_VMOVUPS, 0, 0 },
    { ZYDIS_MNEMONIC_MOVUPD, ZYDIS_MNEMONIC_VMOVUPD, 0, 0 },
    { ZYDIS_MNEMONIC_MOVDQU, ZYDIS_MNEMONIC_VMOVDQU, 0, 0 },
    { ZYDIS_MNEMONIC_MOVSD, ZYDIS_MNEMONIC_VMOVSD, 8, PARTIAL },
    { ZYDIS_MNEMONIC_MOVQ, ZYDIS_MNEMONIC_VMOVQ, 8, PARTIAL },
    { ZYDIS_MNEMONIC_MOVSS, ZYDIS_MNEMONIC_VMOVSS, 4, PARTIAL },
};

static bool is_vector(const struct operand *op)
{
    return op->kind == OPERAND_VECTOR;
}

static op_fn *load_handler(unsigned bytes)
{
    return bytes == 4 ? op_vload4 : bytes == 8 ? op_vload8 : bytes == 16 ? op_vload16 : op_vload32;
}

static op_fn *store_handler(unsigned bytes)
{
    return bytes == 4    ? op_vstore4
           : bytes == 8  ? op_vstore8
           : bytes == 16 ? op_vstore16
                         : op_vstore32;
}

static int32_t access_flags(const struct insn *in, unsigned bytes, bool aligned)
{
    return (int32_t)((in->vex ? HOT_VEX : 0) | (aligned ? bytes - 1 : 0));
}

/* Load the memory operand into a vector register, VECTOR_TMP among them. */
static void emit_vector_load(struct lowerer *l, unsigned to, unsigned bytes, bool aligned)
{
    struct op *op = lower_emit(l, load_handler(bytes));
    lower_address(l, op);
    op->dst = (uint8_t)to;
    op->imm32 = access_flags(lower_insn(l), bytes, aligned);
}

static void emit_vector(struct lowerer *l, op_fn *fn, unsigned d, unsigned a, unsigned b)
{
    struct op *op = lower_emit(l, fn);
    op->dst = (uint8_t)d;
    op->src = (uint8_t)a;
    op->index = (uint8_t)b;
    op->scale = lower_insn(l)->vex ? HOT_VEX : 0;
    op->insn = lower_insn(l);
}

static bool lower_move(struct lowerer *l, const struct move_row *row)
{
    const struct insn *in = lower_insn(l);
    const struct operand *to = &in->op[0], *from = &in->op[1];
    if (in->count != 2)
        return false;
    unsigned bytes = row->bytes ? row->bytes : is_vector(to) ? to->size : from->size;
    bool aligned = row->flags & ALIGNED;
    if (is_vector(to) && from->kind == OPERAND_MEM && lower_has_address(l)) {
        emit_vector_load(l, to->reg, bytes, aligned);
        return true;
    }
    if (to->kind == OPERAND_MEM && is_vector(from) && lower_has_address(l)) {
        struct op *op = lower_emit(l, store_handler(bytes));
        lower_address(l, op);
        op->src = from->reg;
        op->imm32 = access_flags(in, bytes, aligned);
        return true;
    }
    if (is_vector(to) && is_vector(from) && !(row->flags & PARTIAL)) {
        emit_vector(l, bytes == 16 ? op_vmov16 : op_vmov32, to->reg, 0, from->reg);
        return true;
    }
    return false;
}

/* --- d = f(a, b) ---------------------------------------------------------------------------------------- */

static const struct vector_row {
    uint16_t legacy, vex;
    op_fn *fn16, *fn32;
} operations[] = {
    { ZYDIS_MNEMONIC_PXOR, ZYDIS_MNEMONIC_VPXOR, op_vxor16, op_vxor32 },
    { ZYDIS_MNEMONIC_XORPS, ZYDIS_MNEMONIC_VXORPS, op_vxor16, op_vxor32 },
    { ZYDIS_MNEMONIC_XORPD, ZYDIS_MNEMONIC_VXORPD, op_vxor16, op_vxor32 },
    { ZYDIS_MNEMONIC_PAND, ZYDIS_MNEMONIC_VPAND, op_vand16, NULL },
    { ZYDIS_MNEMONIC_POR, ZYDIS_MNEMONIC_VPOR, op_vor16, op_vor32 },
    { ZYDIS_MNEMONIC_PCMPEQB, ZYDIS_MNEMONIC_VPCMPEQB, op_vcmpeqb16, op_vcmpeqb32 },
    { ZYDIS_MNEMONIC_PMINUB, ZYDIS_MNEMONIC_VPMINUB, op_vminub16, op_vminub32 },
    { ZYDIS_MNEMONIC_PADDD, ZYDIS_MNEMONIC_VPADDD, op_vaddd16, NULL },
};

static bool lower_operation(struct lowerer *l, const struct vector_row *row)
{
    const struct insn *in = lower_insn(l);
    const struct operand *d = &in->op[0], *b = &in->op[in->count - 1];
    unsigned bytes = d->size;
    op_fn *fn = bytes == 16 ? row->fn16 : bytes == 32 ? row->fn32 : NULL;
    if (!is_vector(d) || !fn || in->count != (in->vex ? 3 : 2))
        return false;
    unsigned a = in->op[in->vex ? 1 : 0].reg;
    if (is_vector(b)) {
        emit_vector(l, fn, d->reg, a, b->reg);
        return true;
    }
    if (b->kind != OPERAND_MEM || !lower_has_address(l))
        return false;
    emit_vector_load(l, VECTOR_TMP, bytes, !in->vex);
    emit_vector(l, fn, d->reg, a, VECTOR_TMP);
    return true;
}

/* Scalar doubles: a source in memory is loaded into the low element alone. */
static const struct scalar_row {
    uint16_t legacy, vex;
    op_fn *fn;
} scalars[] = {
    { ZYDIS_MNEMONIC_ADDSD, ZYDIS_MNEMONIC_VADDSD, op_vaddsd },
    { ZYDIS_MNEMONIC_SUBSD, ZYDIS_MNEMONIC_VSUBSD, op_vsubsd },
    { ZYDIS_MNEMONIC_MULSD, ZYDIS_MNEMONIC_VMULSD, op_vmulsd },
};

static bool lower_scalar(struct lowerer *l, const struct scalar_row *row)
{
    const struct insn *in = lower_insn(l);
    const struct operand *d = &in->op[0], *b = &in->op[in->count - 1];
    unsigned a = in->op[in->vex ? 1 : 0].reg, from = b->reg;
    if (b->kind == OPERAND_MEM) {
        if (!lower_has_address(l))
            return false;
        from = VECTOR_TMP;
        emit_vector_load(l, from, 8, false);
    }
    emit_vector(l, row->fn, d->reg, a, from);
    return true;
}

static bool lower_mask(struct lowerer *l)
{
    const struct insn *in = lower_insn(l);
    if (!is_vector(&in->op[1]))
        return false;
    emit_vector(l, in->op[1].size == 16 ? op_vmovmskb16 : op_vmovmskb32, in->op[0].reg,
                in->op[1].reg, 0);
    return true;
}

bool lower_vector(struct lowerer *l)
{
    uint16_t mnemonic = lower_insn(l)->mnemonic;
    if (mnemonic == ZYDIS_MNEMONIC_PMOVMSKB || mnemonic == ZYDIS_MNEMONIC_VPMOVMSKB)
        return lower_mask(l);
    for (unsigned i = 0; i < sizeof(moves) / sizeof(moves[0]); i++)
        if (moves[i].legacy == mnemonic || moves[i].vex == mnemonic)
            return lower_move(l, &moves[i]);
    for (unsigned i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
        if (operations[i].legacy == mnemonic || operations[i].vex == mnemonic)
            return lower_operation(l, &operations[i]);
    for (unsigned i = 0; i < sizeof(scalars) / sizeof(scalars[0]); i++)
        if (scalars[i].legacy == mnemonic || scalars[i].vex == mnemonic)
            return lower_scalar(l, &scalars[i]);
    return false;
}

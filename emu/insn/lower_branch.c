/* Choosing handlers for control transfer. */
#include "emu/insn/lower_priv.h"

#include <Zydis/Mnemonic.h>

#define TMP_OFFSET (REG_TMP * 8)

/* A conditional op has two ways: its own when the handler's condition holds, and the op behind it. At the end of
 * a block both lead to other blocks; in the middle one is the code that follows, and the other leads out by a
 * side op. The Jcc is the current instruction. */
static void emit_ways(struct lowerer *l, unsigned at, const struct insn *jcc, bool negated)
{
    unsigned end = l->off + jcc->len;
    int64_t taken = (int64_t)end + (int64_t)jcc->imm, fall = end;
    struct op *op = &l->ops[at];
    bool last = l->at + 1 == l->insn_count;

    op->disp = 0;
    op->charge = 0;
    if (!last && negated) {
        (void)lower_way(l, taken);
        op->target = &l->ops[l->count];
    } else if (!last) {
        lower_defer(l, at, taken);
    } else {
        int64_t own = negated ? fall : taken;
        (void)lower_way(l, negated ? taken : fall);
        if (lower_same_page(l, own)) {
            op->disp = (int32_t)own;
            op->target = NULL;
        } else {
            op->target = lower_way(l, own);
        }
    }
}

/* Branches whose operand size is not that of the mode (66h) keep their plain bodies, and so do those whose displacement,
 * counted from the block's start, might leave 32 bits. */
static bool is_near(const struct lowerer *l, const struct insn *in)
{
    return in->op_size == l->native && in->op[0].kind == OPERAND_IMM &&
           (int64_t)in->imm <= INT32_MAX - 256;
}

/* A JMP or Jcc that is hot. Those to the next instruction are not: at the end of 16- or 32-bit code their target wraps around,
 * where the way on does not. */
static bool is_near_jump(const struct lowerer *l, const struct insn *in)
{
    return is_near(l, in) && in->imm != 0;
}

/* --- compare and branch ------------------------------------------------------------------------- */

struct fused_row {
    uint16_t mnemonic;
    uint8_t size;
    bool imm;
    uint8_t cc; /* even: the condition; its negation is cc + 1 */
    op_fn *fn;
};
#define CC_B 2
#define CC_E 4
#define CC_BE 6
#define CC_L 12

static const struct fused_row fused_rows[] = {
    { ZYDIS_MNEMONIC_CMP, 1, false, CC_E, op_cmp_r1_e },
    { ZYDIS_MNEMONIC_CMP, 1, true, CC_E, op_cmp_i1_e },
    { ZYDIS_MNEMONIC_CMP, 4, false, CC_E, op_cmp_r4_e },
    { ZYDIS_MNEMONIC_CMP, 4, true, CC_E, op_cmp_i4_e },
    { ZYDIS_MNEMONIC_CMP, 8, false, CC_E, op_cmp_r8_e },
    { ZYDIS_MNEMONIC_CMP, 8, true, CC_E, op_cmp_i8_e },
    { ZYDIS_MNEMONIC_CMP, 4, false, CC_L, op_cmp_r4_l },
    { ZYDIS_MNEMONIC_CMP, 4, true, CC_L, op_cmp_i4_l },
    { ZYDIS_MNEMONIC_CMP, 8, false, CC_L, op_cmp_r8_l },
    { ZYDIS_MNEMONIC_CMP, 4, false, CC_B, op_cmp_r4_b },
    { ZYDIS_MNEMONIC_CMP, 8, false, CC_B, op_cmp_r8_b },
    { ZYDIS_MNEMONIC_CMP, 4, true, CC_BE, op_cmp_i4_be },
    { ZYDIS_MNEMONIC_CMP, 8, true, CC_BE, op_cmp_i8_be },
    { ZYDIS_MNEMONIC_TEST, 1, false, CC_E, op_test_r1_e },
    { ZYDIS_MNEMONIC_TEST, 1, true, CC_E, op_test_i1_e },
    { ZYDIS_MNEMONIC_TEST, 4, false, CC_E, op_test_r4_e },
    { ZYDIS_MNEMONIC_TEST, 4, true, CC_E, op_test_i4_e },
    { ZYDIS_MNEMONIC_TEST, 8, false, CC_E, op_test_r8_e },
};

static op_fn *fused_handler(uint16_t mnemonic, unsigned size, bool imm, unsigned cc)
{
    for (unsigned i = 0; i < sizeof(fused_rows) / sizeof(fused_rows[0]); i++) {
        const struct fused_row *row = &fused_rows[i];
        if (row->mnemonic == mnemonic && row->size == size && row->imm == imm &&
            row->cc == (cc & 14u))
            return row->fn;
    }
    return NULL;
}

bool lower_compare_branch(struct lowerer *l)
{
    const struct insn *in = lower_insn(l);
    const struct operand *a = &in->op[0], *b = &in->op[1];
    if (l->at + 1 >= l->insn_count)
        return false;
    const struct insn *jcc = l->insns[l->at + 1];
    if (!lower_is_jcc(jcc) || !is_near_jump(l, jcc))
        return false;
    bool imm = b->kind == OPERAND_IMM;
    bool a_mem = a->kind == OPERAND_MEM, b_mem = b->kind == OPERAND_MEM;
    uint16_t mnemonic = in->mnemonic;
    op_fn *fn = fused_handler(mnemonic, a->size, imm, jcc->cc);
    bool zero = false;
    /* TEST r, r and CMP r, 0 give the same six flags. */
    if (!fn && mnemonic == ZYDIS_MNEMONIC_TEST && a->kind == OPERAND_REG &&
        b->kind == OPERAND_REG && a->reg == b->reg) {
        fn = fused_handler(ZYDIS_MNEMONIC_CMP, a->size, true, jcc->cc);
        zero = true;
    }
    if (!fn || ((a_mem || b_mem) && !lower_has_address(l)))
        return false;
    if (a_mem || b_mem)
        lower_load_tmp(l, a->size);
    unsigned at = l->count;
    struct op *op = lower_emit(l, fn);
    op->dst = a_mem ? TMP_OFFSET : a->reg;
    if (imm)
        op->imm32 = (int32_t)in->imm;
    else if (!zero)
        op->src = b_mem ? TMP_OFFSET : b->reg;
    l->off += in->len;
    l->at++;
    emit_ways(l, at, jcc, jcc->cc & 1);
    l->off -= in->len; /* the caller counts both */
    return true;
}

/* --- the other branches ------------------------------------------------------------------------- */

static bool lower_jcc(struct lowerer *l)
{
    const struct insn *in = lower_insn(l);
    if (!is_near_jump(l, in))
        return false;
    bool zero = (in->cc & 14) == CC_E;
    unsigned at = l->count;
    lower_emit(l, zero ? op_jz : op_jcc)->src = in->cc & 14;
    emit_ways(l, at, in, in->cc & 1);
    return true;
}

/* The target of an indirect branch into REG_TMP; `behind`: ops between this one and the whole instruction. */
static bool emit_target(struct lowerer *l, int32_t behind)
{
    const struct operand *a = &lower_insn(l)->op[0];
    bool memory = a->kind == OPERAND_MEM;
    if (memory ? !lower_has_address(l) : a->kind != OPERAND_REG)
        return false;
    if (memory)
        lower_load_tmp(l, 8);
    struct op *op = lower_emit(l, op_target);
    op->src = memory ? TMP_OFFSET : a->reg;
    op->imm32 = behind;
    return true;
}

static bool lower_call(struct lowerer *l)
{
    const struct insn *in = lower_insn(l);
    if (!l->long64 || in->op_size != 8)
        return false;
    if (in->op[0].kind == OPERAND_IMM) {
        if (!is_near(l, in))
            return false;
        int64_t target = (int64_t)(l->off + in->len) + (int64_t)in->imm;
        lower_emit(l, op_call)->disp = (int32_t)target;
        (void)lower_way(l, target);
        lower_whole(l);
        return true;
    }
    if (in->opcode != 0xff || ((in->modrm >> 3) & 7) != 2 || !emit_target(l, 2))
        return false;
    (void)lower_emit(l, op_call);
    (void)lower_emit(l, op_jump_tmp);
    lower_whole(l);
    return true;
}

static bool lower_jmp(struct lowerer *l)
{
    const struct insn *in = lower_insn(l);
    if (in->opcode == 0xe9 || in->opcode == 0xeb) {
        if (!is_near_jump(l, in))
            return false;
        (void)lower_way(l, (int64_t)(l->off + in->len) + (int64_t)in->imm);
        return true;
    }
    if (!l->long64 || in->op_size != 8 || in->opcode != 0xff || ((in->modrm >> 3) & 7) != 4 ||
        !emit_target(l, 1))
        return false;
    (void)lower_emit(l, op_jump_tmp);
    lower_whole(l);
    return true;
}

bool lower_branch(struct lowerer *l)
{
    const struct insn *in = lower_insn(l);
    switch (in->mnemonic) {
    case ZYDIS_MNEMONIC_CALL: return in->body == insn_call && lower_call(l);
    case ZYDIS_MNEMONIC_JMP: return lower_jmp(l);
    case ZYDIS_MNEMONIC_RET:
        if (!l->long64 || in->opcode != 0xc3 || in->op_size != 8 || in->body != insn_ret)
            return false;
        (void)lower_emit(l, op_ret);
        lower_whole(l);
        return true;
    default: return lower_is_jcc(in) && lower_jcc(l);
    }
}

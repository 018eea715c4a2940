/* Choosing handlers: hot ones for the frequent forms, the adaptor for all else. */
#include "emu/insn/lower.h"

#include "emu/cpu/cpuid.h"
#include "emu/insn/lower_priv.h"

#include "decoder/decode.h"

#include <Zydis/Mnemonic.h>

/* --- bodies -------------------------------------------------------------------------------- */

static enum step insn_undefined(struct vcpu *cpu, const struct insn *in)
{
    (void)in;
    return cpu_raise(cpu, EXC_UD);
}

/* APM vol 3, 1.1 "Instruction Encoding Overview": more than 15 bytes are #GP. */
static enum step insn_too_long(struct vcpu *cpu, const struct insn *in)
{
    (void)in;
    return cpu_raise_code(cpu, EXC_GP, 0);
}

/* F3 0F BC and BD are BSF and BSR where TZCNT and LZCNT do not exist. x86-pitfalls 1.15. */
static uint16_t mnemonic_for(const struct vcpu *cpu, uint16_t mnemonic)
{
    if (mnemonic == ZYDIS_MNEMONIC_LZCNT && !cpu_has(cpu, CPU_FEATURE_ABM))
        return ZYDIS_MNEMONIC_BSR;
    if (mnemonic == ZYDIS_MNEMONIC_TZCNT && !cpu_has(cpu, CPU_FEATURE_BMI1))
        return ZYDIS_MNEMONIC_BSF;
    return mnemonic;
}

/* A first operand in memory; or CR8, which stands as LOCK MOV CR0. */
static bool lock_allowed(const struct vcpu *cpu, const struct insn *insn,
                         const struct insn_info *info)
{
    for (unsigned i = 0; i < 2; i++)
        if (insn->op[i].kind == OPERAND_CR)
            return insn->op[i].reg == 8 && cpu_has(cpu, CPU_FEATURE_ALT_MOV_CR8);
    return (info->flags & INSN_LOCKABLE) && insn->count > 0 && insn->op[0].kind == OPERAND_MEM;
}

/* 66h 87h DBh, or 87h DBh in 16-bit code. */
static bool is_magic(const struct insn *insn)
{
    const uint8_t *end = insn->bytes + insn->len;
    return insn->op_size == 2 && end[-2] == 0x87 && end[-1] == 0xdb &&
           (insn->len == 2 || (insn->len == 3 && insn->bytes[0] == 0x66));
}

static void bind(void *self, struct insn *insn, int status)
{
    const struct vcpu *cpu = self;
    insn->flags = INSN_ENDS_BLOCK;
    insn->body = status == DECODE_TOO_LONG ? insn_too_long : insn_undefined;
    if (status != DECODE_OK)
        return;
    insn->mnemonic = mnemonic_for(cpu, insn->mnemonic);
    const struct insn_info *info = insn_lookup(insn->mnemonic);
    if (!info || !isa_offered(cpu, insn) ||
        (info->feature && !cpu_has(cpu, (enum cpu_feature)info->feature)))
        return;
    if ((insn->prefixes & PREFIX_LOCK) && !lock_allowed(cpu, insn, info))
        return;
    insn->body = insn->shadow_stack ? shadow_stack_body(info->body) : info->body;
    insn->flags = info->flags;
    insn->need = isa_need(insn);
    if (insn->mnemonic == ZYDIS_MNEMONIC_XCHG && is_magic(insn))
        insn->body = insn_xchg_magic;
    /* SSE2's MOVSD and CMPSD share their mnemonics with string instructions, whose rows these are. */
    if ((insn->mnemonic == ZYDIS_MNEMONIC_MOVSD || insn->mnemonic == ZYDIS_MNEMONIC_CMPSD) &&
        insn->count > 0)
        insn->flags = INSN_NO_FLAGS;
    /* A block goes on behind a forward Jcc, which is more often not taken; a backward one ends a loop. */
    if (lower_is_jcc(insn) && (int64_t)insn->imm >= 0)
        insn->flags &= (uint8_t)~INSN_ENDS_BLOCK;
}

/* --- ops ------------------------------------------------------------------------------------- */

#define ZERO_OFFSET (REG_ZERO * 8)
#define TMP_OFFSET (REG_TMP * 8)

struct op *lower_emit(struct lowerer *l, op_fn *fn)
{
    const struct insn *in = lower_insn(l);
    struct op *op = &l->ops[l->count++];
    *op = (struct op){ .fn = fn,
                       .dst = ZERO_OFFSET,
                       .src = ZERO_OFFSET,
                       .base = ZERO_OFFSET,
                       .index = ZERO_OFFSET,
                       .off = (uint8_t)l->off,
                       .left = (uint8_t)(l->insn_count - l->at),
                       .len = in->len };
    return op;
}

bool lower_has_address(const struct lowerer *l)
{
    const struct insn *in = lower_insn(l);
    return l->long64 && in->addr_size == 8 && in->seg != SEG_FS && in->seg != SEG_GS &&
           in->disp >= INT32_MIN && in->disp <= INT32_MAX - 256;
}

void lower_address(const struct lowerer *l, struct op *op)
{
    const struct insn *in = lower_insn(l);
    op->base = (uint8_t)(in->base * 8);
    op->index = (uint8_t)(in->index * 8);
    op->scale = in->scale;
    op->disp = (int32_t)(in->disp + (in->base == REG_RIP ? l->off : 0));
    op->insn = in;
}

void lower_load_tmp(struct lowerer *l, unsigned size)
{
    struct op *op = lower_emit(l, size == 8 ? op_load8 : size == 4 ? op_load4 : op_load_zx1);
    lower_address(l, op);
    op->dst = TMP_OFFSET;
    op->imm32 = 1; /* not the last op of its instruction */
}

void lower_whole(struct lowerer *l)
{
    lower_emit(l, op_whole)->insn = lower_insn(l);
}

static void lower_plain(struct lowerer *l)
{
    lower_emit(l, op_plain)->insn = lower_insn(l);
}

bool lower_same_page(const struct lowerer *l, int64_t disp)
{
    int64_t offset = l->block->offset + disp;
    return !l->block->alone && offset >= 0 && offset < 4096;
}

struct op *lower_way(struct lowerer *l, int64_t disp)
{
    const struct insn *in = lower_insn(l);
    bool same_page = lower_same_page(l, disp);
    unsigned behind = l->insn_count - l->at - 1; /* charged, and not run when this way is taken */
    op_fn *fn = same_page    ? (behind ? op_side : op_link)
                : !l->long64 ? op_jump_leave
                             : (behind ? op_side_page : op_jump_page);
    struct op *op = lower_emit(l, fn);
    op->left = (uint8_t)behind;
    op->disp = (int32_t)disp;
    op->charge = 0;
    if (same_page)
        op->target = NULL;
    else /* a branch, not the way on: its target must be canonical */
        op->insn = disp != (int64_t)(l->off + in->len) ? in : NULL;
    return op;
}

void lower_defer(struct lowerer *l, unsigned op, int64_t disp)
{
    l->deferred[l->deferred_count++] =
        (struct deferred){ .op = op, .at = l->at, .off = l->off, .disp = disp };
}

static void append_deferred(struct lowerer *l)
{
    for (unsigned i = 0; i < l->deferred_count; i++) {
        const struct deferred *d = &l->deferred[i];
        l->at = d->at;
        l->off = d->off;
        l->ops[d->op].target = &l->ops[l->count];
        (void)lower_way(l, d->disp);
    }
}

static bool is_reg(const struct operand *op, unsigned size)
{
    return op->kind == OPERAND_REG && op->size == size;
}

static bool wide(unsigned size)
{
    return size == 4 || size == 8;
}

/* --- whose flags does nobody see? ---------------------------------------------------------------- */

/* Registers only: the op cannot leave the chain. */
static bool only_registers(const struct insn *in)
{
    for (unsigned i = 0; i < in->count; i++)
        if (in->op[i].kind != OPERAND_REG && in->op[i].kind != OPERAND_IMM)
            return false;
    return in->count > 0 && wide(in->op[0].size);
}

/* Are all status flags that instruction `at` writes overwritten before anything can look? */
static bool flags_dead(const struct lowerer *l)
{
    for (unsigned i = l->at + 1; i < l->insn_count; i++) {
        const struct insn *in = l->insns[i];
        switch (in->mnemonic) {
        case ZYDIS_MNEMONIC_ADD:
        case ZYDIS_MNEMONIC_SUB:
        case ZYDIS_MNEMONIC_CMP:
        case ZYDIS_MNEMONIC_AND:
        case ZYDIS_MNEMONIC_OR:
        case ZYDIS_MNEMONIC_XOR:
        case ZYDIS_MNEMONIC_TEST: return only_registers(in);
        case ZYDIS_MNEMONIC_LEA: continue;
        case ZYDIS_MNEMONIC_MOV:
        case ZYDIS_MNEMONIC_MOVZX:
        case ZYDIS_MNEMONIC_MOVSXD:
            if (only_registers(in))
                continue;
            return false;
        default: return false;
        }
    }
    return false;
}

/* --- arithmetic ------------------------------------------------------------------------------------- */

/* The handlers of one operation by source and size (4, 8); NULL is a hole. */
struct alu_row {
    uint16_t mnemonic;
    op_fn *r4, *r8, *i4, *i8;
    op_fn *r4_nf, *r8_nf, *i4_nf, *i8_nf;
    bool writes; /* not CMP, TEST */
};

static const struct alu_row alu_rows[] = {
    { ZYDIS_MNEMONIC_ADD, op_add_r4, op_add_r8, op_add_i4, op_add_i8, op_add_r4_nf, op_add_r8_nf,
      op_add_i4_nf, op_add_i8_nf, true },
    { ZYDIS_MNEMONIC_ADC, op_adc_r4, op_adc_r8, NULL, NULL, NULL, NULL, NULL, NULL, true },
    { ZYDIS_MNEMONIC_SUB, op_sub_r4, op_sub_r8, op_sub_i4, op_sub_i8, NULL, NULL, NULL, NULL,
      true },
    { ZYDIS_MNEMONIC_AND, op_and_r4, op_and_r8, op_and_i4, op_and_i8, NULL, NULL, NULL, NULL,
      true },
    { ZYDIS_MNEMONIC_OR, op_or_r4, op_or_r8, NULL, NULL, NULL, NULL, NULL, NULL, true },
    { ZYDIS_MNEMONIC_XOR, op_xor_r4, op_xor_r8, NULL, NULL, NULL, NULL, NULL, NULL, true },
    { ZYDIS_MNEMONIC_CMP, op_cmp_r4, op_cmp_r8, op_cmp_i4, op_cmp_i8, NULL, NULL, NULL, NULL,
      false },
    { ZYDIS_MNEMONIC_TEST, op_test_r4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, false },
    { ZYDIS_MNEMONIC_SHL, NULL, NULL, op_shl_i4, op_shl_i8, NULL, NULL, NULL, NULL, true },
    { ZYDIS_MNEMONIC_SHR, NULL, NULL, op_shr_i4, op_shr_i8, NULL, NULL, NULL, NULL, true },
    { ZYDIS_MNEMONIC_SAR, NULL, NULL, op_sar_i4, op_sar_i8, NULL, NULL, NULL, NULL, true },
};

static const struct alu_row *alu_row(uint16_t mnemonic)
{
    for (unsigned i = 0; i < sizeof(alu_rows) / sizeof(alu_rows[0]); i++)
        if (alu_rows[i].mnemonic == mnemonic)
            return &alu_rows[i];
    return NULL;
}

static op_fn *alu_handler(const struct lowerer *l, const struct alu_row *row, unsigned size,
                          bool imm)
{
    op_fn *full = imm ? (size == 8 ? row->i8 : row->i4) : (size == 8 ? row->r8 : row->r4);
    op_fn *bare =
        imm ? (size == 8 ? row->i8_nf : row->i4_nf) : (size == 8 ? row->r8_nf : row->r4_nf);
    return bare && flags_dead(l) ? bare : full;
}

/* An operation on two operands, the second a register or an immediate, the first in `dst`. */
static void emit_alu(struct lowerer *l, op_fn *fn, unsigned dst, const struct operand *second,
                     bool second_in_memory)
{
    struct op *op = lower_emit(l, fn);
    op->dst = (uint8_t)dst;
    if (second_in_memory)
        op->src = TMP_OFFSET;
    else if (second->kind == OPERAND_REG)
        op->src = second->reg;
    else
        op->imm = lower_insn(l)->imm;
}

static bool lower_alu(struct lowerer *l)
{
    const struct insn *in = lower_insn(l);
    const struct operand *a = &in->op[0], *b = &in->op[1];
    unsigned size = a->size;
    if (in->count == 2 && in->mnemonic == ZYDIS_MNEMONIC_CMP && size == 1 &&
        b->kind == OPERAND_IMM &&
        (a->kind == OPERAND_REG || (a->kind == OPERAND_MEM && lower_has_address(l)))) {
        if (a->kind == OPERAND_MEM)
            lower_load_tmp(l, 1);
        emit_alu(l, op_cmp_i1, a->kind == OPERAND_MEM ? TMP_OFFSET : a->reg, b, false);
        return true;
    }
    const struct alu_row *row = alu_row(in->mnemonic);
    if (!row || in->count != 2 || !wide(size) || (in->prefixes & PREFIX_LOCK))
        return false;
    /* A store that found no page would begin again, with another carry. */
    if (in->mnemonic == ZYDIS_MNEMONIC_ADC && a->kind == OPERAND_MEM)
        return false;
    bool imm = b->kind == OPERAND_IMM;
    bool a_mem = a->kind == OPERAND_MEM, b_mem = b->kind == OPERAND_MEM;
    if ((a_mem || b_mem) && !lower_has_address(l))
        return false;
    if (!imm && !b_mem && !is_reg(b, size))
        return false;
    bool shift = !row->r4; /* none has a register count */
    if (shift && (!imm || (in->imm & (size == 8 ? 63 : 31)) == 0))
        return false;
    op_fn *fn = alu_handler(l, row, size, imm);
    bool spread = !fn && imm && !shift; /* no handler takes the immediate: through REG_TMP */
    if (spread && a_mem)
        return false;
    if (spread)
        fn = alu_handler(l, row, size, false);
    if (!fn)
        return false;
    if (in->mnemonic == ZYDIS_MNEMONIC_XOR && is_reg(b, size) && a->kind == OPERAND_REG &&
        a->reg == b->reg) {
        if (!flags_dead(l)) {
            emit_alu(l, fn, a->reg, b, false);
            return true;
        }
        struct op *op = lower_emit(l, op_mov_i);
        op->dst = a->reg;
        op->imm = 0;
        return true;
    }
    if (spread) {
        struct op *op = lower_emit(l, op_mov_i);
        op->dst = TMP_OFFSET;
        op->imm = in->imm;
        emit_alu(l, fn, a->reg, b, true);
        return true;
    }
    if (a_mem && row->writes) {
        struct op *load = lower_emit(l, size == 8 ? op_load_tmp_w8 : op_load_tmp_w4);
        lower_address(l, load);
        emit_alu(l, fn, TMP_OFFSET, b, false);
        struct op *store = lower_emit(l, size == 8 ? op_store8 : op_store4);
        lower_address(l, store);
        store->src = TMP_OFFSET;
        return true;
    }
    if (a_mem || b_mem)
        lower_load_tmp(l, size);
    emit_alu(l, fn, a_mem ? TMP_OFFSET : a->reg, b, b_mem);
    return true;
}

/* INC and DEC whose flags nobody sees; INC of 4 bytes in any case. */
static bool lower_step(struct lowerer *l)
{
    const struct insn *in = lower_insn(l);
    const struct operand *a = &in->op[0];
    if (a->kind != OPERAND_REG || !wide(a->size))
        return false;
    if (!flags_dead(l)) {
        if (in->mnemonic != ZYDIS_MNEMONIC_INC || a->size != 4)
            return false;
        lower_emit(l, op_inc4)->dst = a->reg;
        return true;
    }
    struct op *op = lower_emit(l, a->size == 8 ? op_add_i8_nf : op_add_i4_nf);
    op->dst = a->reg;
    op->imm = in->mnemonic == ZYDIS_MNEMONIC_DEC ? UINT64_MAX : 1;
    return true;
}

/* IMUL r, r/m and IMUL r, r/m, imm. The latter gets its source into the destination first. */
static bool lower_imul(struct lowerer *l)
{
    const struct insn *in = lower_insn(l);
    const struct operand *to = &in->op[0];
    unsigned size = to->size;
    if (in->count < 2 || !wide(size))
        return false;
    const struct operand *from = &in->op[1];
    if (from->kind == OPERAND_MEM && !lower_has_address(l))
        return false;
    op_fn *fn = size == 4 ? op_imul_r4 : flags_dead(l) ? op_imul_r8_nf : op_imul_r8;
    if (in->count == 2) {
        if (from->kind == OPERAND_MEM)
            lower_load_tmp(l, size);
        emit_alu(l, fn, to->reg, from, from->kind == OPERAND_MEM);
        return true;
    }
    if (from->kind == OPERAND_MEM) {
        lower_load_tmp(l, size);
        l->ops[l->count - 1].dst = to->reg;
    } else if (from->reg != to->reg) {
        struct op *op = lower_emit(l, op_mov8);
        op->dst = to->reg;
        op->src = from->reg;
    }
    struct op *op = lower_emit(l, op_mov_i);
    op->dst = TMP_OFFSET;
    op->imm = in->imm;
    emit_alu(l, fn, to->reg, from, true);
    return true;
}

static bool lower_conditional(struct lowerer *l, bool set)
{
    const struct insn *in = lower_insn(l);
    const struct operand *to = &in->op[0], *from = &in->op[1];
    if (to->kind != OPERAND_REG)
        return false;
    if (set) {
        struct op *op = lower_emit(l, op_setcc);
        op->dst = to->reg;
        op->src = in->cc;
        return true;
    }
    if (!wide(to->size) || (from->kind == OPERAND_MEM && !lower_has_address(l)))
        return false;
    bool memory = from->kind == OPERAND_MEM; /* read whether the condition holds or not */
    if (memory)
        lower_load_tmp(l, to->size);
    struct op *op = lower_emit(l, to->size == 8 ? op_cmov8 : op_cmov4);
    op->dst = to->reg;
    op->src = memory ? TMP_OFFSET : from->reg;
    op->scale = in->cc;
    return true;
}

/* --- moves ------------------------------------------------------------------------------------------- */

static void emit_reg(struct lowerer *l, op_fn *fn, unsigned dst, unsigned src)
{
    struct op *op = lower_emit(l, fn);
    op->dst = (uint8_t)dst;
    op->src = (uint8_t)src;
}

static void emit_load(struct lowerer *l, op_fn *fn, unsigned dst)
{
    struct op *op = lower_emit(l, fn);
    lower_address(l, op);
    op->dst = (uint8_t)dst;
}

static bool lower_store(struct lowerer *l)
{
    static op_fn *const reg[9] = {
        [1] = op_store1, [2] = op_store2, [4] = op_store4, [8] = op_store8
    };
    static op_fn *const imm[9] = { [1] = op_store_i1, [4] = op_store_i4, [8] = op_store_i8 };
    const struct insn *in = lower_insn(l);
    const struct operand *to = &in->op[0], *from = &in->op[1];
    bool is_imm = from->kind == OPERAND_IMM;
    op_fn *fn = is_imm ? imm[to->size] : reg[to->size];
    if (!fn || !lower_has_address(l) || (!is_imm && from->kind != OPERAND_REG))
        return false;
    struct op *op = lower_emit(l, fn);
    lower_address(l, op);
    if (is_imm)
        op->imm32 = (int32_t)in->imm;
    else
        op->src = from->reg;
    return true;
}

static bool lower_mov(struct lowerer *l)
{
    const struct insn *in = lower_insn(l);
    const struct operand *to = &in->op[0], *from = &in->op[1];
    if (to->kind == OPERAND_MEM)
        return to->size <= 8 && lower_store(l);
    if (to->kind != OPERAND_REG || !wide(to->size))
        return false;
    if (is_reg(from, to->size)) {
        emit_reg(l, to->size == 8 ? op_mov8 : op_mov4, to->reg, from->reg);
    } else if (from->kind == OPERAND_IMM) {
        struct op *op = lower_emit(l, op_mov_i);
        op->dst = to->reg;
        op->imm = to->size == 8 ? in->imm : (uint32_t)in->imm;
    } else if (from->kind == OPERAND_MEM && lower_has_address(l)) {
        emit_load(l, to->size == 8 ? op_load8 : op_load4, to->reg);
    } else {
        return false;
    }
    return true;
}

/* MOVZX, MOVSXD, CDQE: widening moves into 4 or 8 bytes. */
static bool lower_widen(struct lowerer *l)
{
    const struct insn *in = lower_insn(l);
    const struct operand *to = &in->op[0], *from = &in->op[1];
    if (in->mnemonic == ZYDIS_MNEMONIC_CDQE) {
        emit_reg(l, op_movsx4, REG_RAX * 8, REG_RAX * 8);
        return true;
    }
    if (in->mnemonic == ZYDIS_MNEMONIC_MOVSXD ? to->size != 8 || from->size != 4 : !wide(to->size))
        return false;
    bool sign = in->mnemonic == ZYDIS_MNEMONIC_MOVSXD;
    if (from->kind == OPERAND_REG) {
        if (!sign && from->size != 1)
            return false;
        emit_reg(l, sign ? op_movsx4 : op_movzx1, to->reg, from->reg);
        return true;
    }
    if (!lower_has_address(l))
        return false;
    emit_load(l, sign ? op_load_sx4 : from->size == 1 ? op_load_zx1 : op_load_zx2, to->reg);
    return true;
}

static bool lower_lea(struct lowerer *l)
{
    const struct insn *in = lower_insn(l);
    unsigned size = in->op[0].size;
    bool fits = in->disp >= INT32_MIN && in->disp <= INT32_MAX - 256;
    if (!fits || !(size == 8 ? in->addr_size == 8 : size == 4 && in->addr_size >= 4))
        return false;
    emit_load(l, size == 8 ? op_lea8 : op_lea4, in->op[0].reg);
    return true;
}

static bool lower_stack(struct lowerer *l)
{
    const struct insn *in = lower_insn(l);
    const struct operand *a = &in->op[0];
    if (!l->long64 || in->op_size != 8)
        return false;
    if (in->mnemonic == ZYDIS_MNEMONIC_POP) {
        if (a->kind != OPERAND_REG)
            return false;
        struct op *op = lower_emit(l, op_pop8);
        op->dst = a->reg;
        op->insn = in;
        return true;
    }
    if (a->kind == OPERAND_IMM) {
        struct op *op = lower_emit(l, op_mov_i);
        op->dst = TMP_OFFSET;
        op->imm = in->imm;
    } else if (a->kind != OPERAND_REG) {
        return false;
    }
    struct op *op = lower_emit(l, op_push8);
    op->src = a->kind == OPERAND_REG ? a->reg : TMP_OFFSET;
    op->insn = in;
    return true;
}

/* --- one instruction -------------------------------------------------------------------------------- */

static bool lower_hot(struct lowerer *l)
{
    if (lower_insn(l)->need & (READY_SSE | READY_AVX))
        return lower_vector(l);
    switch (lower_insn(l)->mnemonic) {
    case ZYDIS_MNEMONIC_ENDBR32:
    case ZYDIS_MNEMONIC_ENDBR64:
    case ZYDIS_MNEMONIC_NOP: return true; /* charged, nothing to do */
    case ZYDIS_MNEMONIC_MOV: return lower_mov(l);
    case ZYDIS_MNEMONIC_MOVZX:
    case ZYDIS_MNEMONIC_MOVSXD:
    case ZYDIS_MNEMONIC_CDQE: return lower_widen(l);
    case ZYDIS_MNEMONIC_LEA: return lower_lea(l);
    case ZYDIS_MNEMONIC_PUSH:
    case ZYDIS_MNEMONIC_POP: return lower_stack(l);
    case ZYDIS_MNEMONIC_CMP:
    case ZYDIS_MNEMONIC_TEST: return lower_compare_branch(l) || lower_alu(l);
    case ZYDIS_MNEMONIC_INC:
    case ZYDIS_MNEMONIC_DEC: return lower_step(l);
    case ZYDIS_MNEMONIC_IMUL: return lower_imul(l);
    default: break;
    }
    if (lower_insn(l)->body == insn_setcc)
        return lower_conditional(l, true);
    if (lower_insn(l)->body == insn_cmov)
        return lower_conditional(l, false);
    return lower_branch(l) || lower_alu(l);
}

/* Did the hot handlers of the last instruction (a fused pair from `first` on) provide for what follows? */
static bool lower_ends(const struct lowerer *l, const struct insn *first)
{
    const struct insn *last = lower_insn(l);
    return first != last || (last->flags & INSN_ENDS_BLOCK) || lower_is_jcc(last);
}

static uint8_t native_size(enum cpu_mode mode)
{
    switch (mode) {
    case MODE_LONG64: return 8;
    case MODE_PROT32:
    case MODE_REAL32:
    case MODE_COMPAT32: return 4;
    default: return 2;
    }
}

static unsigned lower(void *self, struct op *ops, const struct insn *const *insns, unsigned count,
                      const struct block *block)
{
    (void)self;
    struct lowerer l = { .ops = ops,
                         .insns = insns,
                         .insn_count = count,
                         .block = block,
                         .long64 = block_mode(block) == MODE_LONG64,
                         .native = native_size(block_mode(block)) };
    bool ended = false;

    lower_emit(&l, op_enter)->imm32 = (int32_t)count;
    while (l.at < count) {
        unsigned first = l.at;
        const struct insn *in = lower_insn(&l);
        bool real = !(in->flags & INSN_ENDS_BLOCK) || in->body != insn_undefined;
        if (!real || !lower_hot(&l))
            lower_plain(&l);
        else
            ended = l.at + 1 == count && lower_ends(&l, in);
        for (unsigned i = first; i <= l.at && i < count; i++)
            l.off += insns[i]->len;
        l.at++;
    }
    if (!ended) {
        l.at = count - 1;
        l.off -= insns[count - 1]->len;
        (void)lower_way(&l, block->bytes);
    }
    append_deferred(&l);
    return l.count;
}

struct lowering lowering_for(struct vcpu *cpu)
{
    return (struct lowering){
        .bind = bind, .lower = lower, .dead = op_dead, .dead_entered = op_dead_entered, .self = cpu
    };
}

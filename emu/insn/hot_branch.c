/* Hot branches: compare and branch in one, Jcc, CALL, RET, indirect jumps. */
#include "emu/insn/hot.h"
#include "emu/insn/semantics.h"

/* The condition straight from the operands; the flags are recorded as well, for whoever looks later. */
#define COND_e(type, utype, a, b) ((utype)(a) == (utype)(b))
#define COND_l(type, utype, a, b) ((type)(a) < (type)(b))
#define COND_b(type, utype, a, b) ((utype)(a) < (utype)(b))
#define COND_be(type, utype, a, b) ((utype)(a) <= (utype)(b))
#define TYPE1 int8_t, uint8_t
#define TYPE4 int32_t, uint32_t
#define TYPE8 int64_t, uint64_t
#define APPLY(macro, ...) macro(__VA_ARGS__)

#define CMP_BRANCH(form, size, cc, a, b)                                   \
    void op_cmp_##form##size##_##cc(struct vcpu *cpu, const struct op *op) \
    {                                                                      \
        uint64_t left = (a), right = (b);                                  \
        sem_cmp(cpu, size, left, right);                                   \
        if (APPLY(COND_##cc, TYPE##size, left, right))                     \
            OP_BRANCH();                                                   \
        OP_NEXT();                                                         \
    }
#define CMP_R(size, cc) CMP_BRANCH(r, size, cc, OP_REG(op->dst), OP_REG(op->src))
#define CMP_I(size, cc) CMP_BRANCH(i, size, cc, OP_REG(op->dst), (uint64_t)(int64_t)op->imm32)
CMP_R(4, e)
CMP_R(8, e)
CMP_I(4, e)
CMP_I(8, e)
CMP_R(4, l)
CMP_R(8, l)
CMP_I(4, l)
CMP_R(4, b)
CMP_R(8, b)
CMP_I(4, be)
CMP_I(8, be)
CMP_BRANCH(i, 1, e, OP_REG8(op->dst), (uint64_t)(int64_t)op->imm32)
CMP_BRANCH(r, 1, e, OP_REG8(op->dst), OP_REG8(op->src))

#define TEST_BRANCH(form, size, cc, a, b, condition)                        \
    void op_test_##form##size##_##cc(struct vcpu *cpu, const struct op *op) \
    {                                                                       \
        uint64_t value = sem_logic(cpu, size, (a) & (b));                   \
        if (condition)                                                      \
            OP_BRANCH();                                                    \
        OP_NEXT();                                                          \
    }
TEST_BRANCH(r, 1, e, OP_REG8(op->dst), OP_REG8(op->src), value == 0)
TEST_BRANCH(r, 4, e, OP_REG(op->dst), OP_REG(op->src), value == 0)
TEST_BRANCH(r, 8, e, OP_REG(op->dst), OP_REG(op->src), value == 0)
TEST_BRANCH(i, 1, e, OP_REG8(op->dst), (uint64_t)(int64_t)op->imm32, value == 0)
TEST_BRANCH(i, 4, e, OP_REG(op->dst), (uint64_t)(int64_t)op->imm32, value == 0)

void op_jz(struct vcpu *cpu, const struct op *op)
{
    if (flags_zf(cpu))
        OP_BRANCH();
    OP_NEXT();
}

/* src is the condition. */
void op_jcc(struct vcpu *cpu, const struct op *op)
{
    if (flags_condition(cpu, op->src))
        OP_BRANCH();
    OP_NEXT();
}

/* The target of an indirect branch must be canonical before anything is pushed. */
void op_target(struct vcpu *cpu, const struct op *op)
{
    uint64_t rip = OP_REG(op->src);
    if (EMU_UNLIKELY(!OP_CANONICAL48(rip)))
        OP_GOTO(op + 1 + op->imm32); /* the whole instruction, behind the last op */
    cpu->r[REG_TMP] = rip;
    OP_NEXT();
}

/* The push of a near CALL; the op behind it jumps. A target (disp, 0 where op_target has looked) that is not canonical
 * faults before anything is pushed. */
void op_call(struct vcpu *cpu, const struct op *op)
{
    uint64_t la = cpu->r[REG_RSP] - 8;
    uint64_t to = cpu->r[REG_RIP] + (uint64_t)(int64_t)op->disp;
    const struct fast_entry *entry = OP_FAST(la);
    if (EMU_UNLIKELY(entry->wtag != OP_PAGE(la + 7) || !OP_CANONICAL48(to)))
        OP_GOTO(op + 2); /* the whole instruction */
    uint64_t next = cpu->r[REG_RIP] + op->off + op->len;
    __builtin_memcpy((void *)(uintptr_t)(la + entry->addend), &next, sizeof(next));
    cpu->r[REG_RSP] = la;
    OP_NEXT();
}

void op_jump_tmp(struct vcpu *cpu, const struct op *op)
{
    (void)op;
    OP_JUMP(cpu->r[REG_TMP]);
}

/* Near RET without an immediate. What the jump cache does not know, the plain body checks. */
void op_ret(struct vcpu *cpu, const struct op *op)
{
    uint64_t la = cpu->r[REG_RSP];
    const struct fast_entry *entry = OP_FAST(la);
    if (EMU_UNLIKELY(entry->rtag != OP_PAGE(la + 7)))
        OP_NEXT();
    uint64_t rip;
    __builtin_memcpy(&rip, (const void *)(uintptr_t)(la + entry->addend), sizeof(rip));
    const struct jump_entry *slot = jump_slot(cpu, rip);
    if (EMU_UNLIKELY(slot->rip != rip || slot->key != cpu->jump_key))
        OP_NEXT();
    cpu->r[REG_RSP] = la + 8;
    cpu->r[REG_RIP] = rip;
    OP_PAY_AND_GOTO(slot->charge, slot->target);
}

/* Hot arithmetic and logic on registers and immediates. */
#include "emu/insn/hot.h"
#include "emu/insn/semantics.h"

#define CUT8(value) (value)
#define CUT4(value) ((uint32_t)(value))

#define ALU_R(name, size)                                                                     \
    void op_##name##_r##size(struct vcpu *cpu, const struct op *op)                           \
    {                                                                                         \
        OP_REG(op->dst) = CUT##size(sem_##name(cpu, size, OP_REG(op->dst), OP_REG(op->src))); \
        OP_NEXT();                                                                            \
    }
#define ALU_I(name, size)                                                             \
    void op_##name##_i##size(struct vcpu *cpu, const struct op *op)                   \
    {                                                                                 \
        OP_REG(op->dst) = CUT##size(sem_##name(cpu, size, OP_REG(op->dst), op->imm)); \
        OP_NEXT();                                                                    \
    }
ALU_R(add, 4)
ALU_R(add, 8)
ALU_I(add, 4)
ALU_I(add, 8)
ALU_R(adc, 4)
ALU_R(adc, 8)
ALU_R(sub, 4)
ALU_R(sub, 8)
ALU_I(sub, 4)
ALU_I(sub, 8)
ALU_R(and, 4)
ALU_R(and, 8)
ALU_I(and, 4)
ALU_I(and, 8)
ALU_R(or, 4)
ALU_R(or, 8)
ALU_R(xor, 4)
ALU_R(xor, 8)
ALU_I(shl, 4)
ALU_I(shl, 8)
ALU_I(shr, 4)
ALU_I(shr, 8)
ALU_I(sar, 4)
ALU_I(sar, 8)

/* Only flags. */
#define TEST_R(name, size)                                          \
    void op_##name##_r##size(struct vcpu *cpu, const struct op *op) \
    {                                                               \
        sem_##name(cpu, size, OP_REG(op->dst), OP_REG(op->src));    \
        OP_NEXT();                                                  \
    }
#define TEST_I(name, size)                                          \
    void op_##name##_i##size(struct vcpu *cpu, const struct op *op) \
    {                                                               \
        sem_##name(cpu, size, OP_REG(op->dst), op->imm);            \
        OP_NEXT();                                                  \
    }
TEST_R(cmp, 4)
TEST_R(cmp, 8)
TEST_I(cmp, 4)
TEST_I(cmp, 8)
TEST_R(test, 4)

/* dst may be AH to BH: a byte offset like any other. */
void op_cmp_i1(struct vcpu *cpu, const struct op *op)
{
    sem_cmp(cpu, 1, OP_REG8(op->dst), op->imm);
    OP_NEXT();
}

/* Sums whose flags nobody sees. */
void op_add_r4_nf(struct vcpu *cpu, const struct op *op)
{
    OP_REG(op->dst) = OP_REG32(op->dst) + OP_REG32(op->src);
    OP_NEXT();
}

void op_add_r8_nf(struct vcpu *cpu, const struct op *op)
{
    OP_REG(op->dst) += OP_REG(op->src);
    OP_NEXT();
}

void op_add_i4_nf(struct vcpu *cpu, const struct op *op)
{
    OP_REG(op->dst) = OP_REG32(op->dst) + (uint32_t)op->imm;
    OP_NEXT();
}

void op_add_i8_nf(struct vcpu *cpu, const struct op *op)
{
    OP_REG(op->dst) += op->imm;
    OP_NEXT();
}

void op_inc4(struct vcpu *cpu, const struct op *op)
{
    OP_REG(op->dst) = (uint32_t)sem_inc(cpu, 4, OP_REG(op->dst));
    OP_NEXT();
}

void op_imul_r8(struct vcpu *cpu, const struct op *op)
{
    OP_REG(op->dst) = sem_imul2(cpu, 8, OP_REG(op->dst), OP_REG(op->src));
    OP_NEXT();
}

void op_imul_r4(struct vcpu *cpu, const struct op *op)
{
    OP_REG(op->dst) = (uint32_t)sem_imul2(cpu, 4, OP_REG(op->dst), OP_REG(op->src));
    OP_NEXT();
}

void op_imul_r8_nf(struct vcpu *cpu, const struct op *op)
{
    OP_REG(op->dst) *= OP_REG(op->src);
    OP_NEXT();
}

/* src of SETcc and scale of CMOVcc are the condition. */
void op_setcc(struct vcpu *cpu, const struct op *op)
{
    *((uint8_t *)cpu->r + op->dst) = flags_condition(cpu, op->src);
    OP_NEXT();
}

void op_cmov8(struct vcpu *cpu, const struct op *op)
{
    if (flags_condition(cpu, op->scale))
        OP_REG(op->dst) = OP_REG(op->src);
    OP_NEXT();
}

/* The upper half is cleared whether the condition holds or not. */
void op_cmov4(struct vcpu *cpu, const struct op *op)
{
    OP_REG(op->dst) = flags_condition(cpu, op->scale) ? OP_REG32(op->src) : OP_REG32(op->dst);
    OP_NEXT();
}

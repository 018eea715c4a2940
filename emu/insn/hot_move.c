/* Hot moves: registers, loads, stores, LEA, PUSH, POP. Memory forms are of 64-bit mode only. */
#include "emu/insn/hot.h"

void op_mov8(struct vcpu *cpu, const struct op *op)
{
    OP_REG(op->dst) = OP_REG(op->src);
    OP_NEXT();
}

void op_mov4(struct vcpu *cpu, const struct op *op)
{
    OP_REG(op->dst) = OP_REG32(op->src);
    OP_NEXT();
}

void op_mov_i(struct vcpu *cpu, const struct op *op)
{
    OP_REG(op->dst) = op->imm;
    OP_NEXT();
}

void op_movzx1(struct vcpu *cpu, const struct op *op)
{
    OP_REG(op->dst) = OP_REG8(op->src);
    OP_NEXT();
}

void op_movsx4(struct vcpu *cpu, const struct op *op)
{
    OP_REG(op->dst) = (uint64_t)(int64_t)(int32_t)OP_REG32(op->src);
    OP_NEXT();
}

void op_lea8(struct vcpu *cpu, const struct op *op)
{
    OP_REG(op->dst) = OP_ADDRESS();
    OP_NEXT();
}

void op_lea4(struct vcpu *cpu, const struct op *op)
{
    OP_REG(op->dst) = (uint32_t)OP_ADDRESS();
    OP_NEXT();
}

/* A fast entry answers for [la, la + size): one compare also refuses an access that crosses the page. */
#define LOAD(name, type, convert, slow)                                            \
    void op_##name(struct vcpu *cpu, const struct op *op)                          \
    {                                                                              \
        uint64_t la = OP_ADDRESS();                                                \
        const struct fast_entry *entry = OP_FAST(la);                              \
        if (EMU_UNLIKELY(entry->rtag != OP_PAGE(la + sizeof(type) - 1)))           \
            OP_SLOW(slow);                                                         \
        OP_REG(op->dst) = convert(*(const type *)(uintptr_t)(la + entry->addend)); \
        OP_NEXT();                                                                 \
    }
/* imm32 of a load tells whether the instruction ends with it: then its body may stand in for it. */
static void slow_load(struct vcpu *cpu, const struct op *op)
{
    if (op->imm32)
        OP_SLOW(op_whole);
    OP_SLOW(op_plain);
}

typedef uint64_t unaligned64 __attribute__((aligned(1), may_alias));
typedef uint32_t unaligned32 __attribute__((aligned(1), may_alias));
typedef uint16_t unaligned16 __attribute__((aligned(1), may_alias));
typedef int32_t unaligned_s32 __attribute__((aligned(1), may_alias));

LOAD(load8, unaligned64, (uint64_t), slow_load)
LOAD(load4, unaligned32, (uint64_t), slow_load)
LOAD(load_zx1, uint8_t, (uint64_t), slow_load)
LOAD(load_zx2, unaligned16, (uint64_t), slow_load)
LOAD(load_sx4, unaligned_s32, (uint64_t)(int64_t), slow_load)

/* The first op of a read-modify-write: it asks for the right to write, so that the store cannot fail. */
#define LOAD_W(name, type)                                                \
    void op_##name(struct vcpu *cpu, const struct op *op)                 \
    {                                                                     \
        uint64_t la = OP_ADDRESS();                                       \
        const struct fast_entry *entry = OP_FAST(la);                     \
        uint64_t page = OP_PAGE(la + sizeof(type) - 1);                   \
        if (EMU_UNLIKELY(entry->wtag != page || entry->rtag != page))     \
            OP_SLOW(op_whole);                                            \
        cpu->r[REG_TMP] = *(const type *)(uintptr_t)(la + entry->addend); \
        OP_NEXT();                                                        \
    }
LOAD_W(load_tmp_w8, unaligned64)
LOAD_W(load_tmp_w4, unaligned32)

#define STORE(name, type, value)                                         \
    void op_##name(struct vcpu *cpu, const struct op *op)                \
    {                                                                    \
        uint64_t la = OP_ADDRESS();                                      \
        const struct fast_entry *entry = OP_FAST(la);                    \
        if (EMU_UNLIKELY(entry->wtag != OP_PAGE(la + sizeof(type) - 1))) \
            OP_SLOW(op_plain);                                           \
        *(type *)(uintptr_t)(la + entry->addend) = (type)(value);        \
        OP_NEXT();                                                       \
    }
STORE(store8, unaligned64, OP_REG(op->src))
STORE(store4, unaligned32, OP_REG32(op->src))
STORE(store2, unaligned16, OP_REG16(op->src))
STORE(store1, uint8_t, OP_REG8(op->src))
STORE(store_i8, unaligned64, (int64_t)op->imm32)
STORE(store_i4, unaligned32, op->imm32)
STORE(store_i1, uint8_t, op->imm32)

void op_push8(struct vcpu *cpu, const struct op *op)
{
    uint64_t la = cpu->r[REG_RSP] - 8;
    const struct fast_entry *entry = OP_FAST(la);
    if (EMU_UNLIKELY(entry->wtag != OP_PAGE(la + 7)))
        OP_SLOW(op_plain);
    *(unaligned64 *)(uintptr_t)(la + entry->addend) = OP_REG(op->src);
    cpu->r[REG_RSP] = la;
    OP_NEXT();
}

void op_pop8(struct vcpu *cpu, const struct op *op)
{
    uint64_t la = cpu->r[REG_RSP];
    const struct fast_entry *entry = OP_FAST(la);
    if (EMU_UNLIKELY(entry->rtag != OP_PAGE(la + 7)))
        OP_SLOW(op_plain);
    cpu->r[REG_RSP] = la + 8;
    OP_REG(op->dst) =
        *(const unaligned64 *)(uintptr_t)(la + entry->addend); /* POP RSP: this wins */
    OP_NEXT();
}

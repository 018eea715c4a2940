/* Hot vector forms: loads and stores, logic, byte compares, scalar doubles. Memory forms are of 64-bit mode only.
 *
 * Registers are numbers of cpu->simd.v, VECTOR_TMP among them. In a load or store imm32 holds the alignment that is asked for, less
 * one; in all of them HOT_VEX in `left_over` tells that the rest of the register is cleared. */
#include "emu/fpu/fast.h"
#include "emu/insn/hot.h"
#include "emu/insn/hot_vector.h"
#include "emu/insn/semantics_fp.h"

#include <string.h>

#define NOT_READY(what) EMU_UNLIKELY(!(cpu->ready & (what)))

/* Which of the two must be ready, by the encoding. */
#define NEED(vex) ((vex) ? READY_AVX : READY_SSE)

static inline union vector *vector_at(struct vcpu *cpu, unsigned n)
{
    return &cpu->simd.v[n];
}

/* With VEX a result clears the register up to its end: of which bytes 63:32 are 0 anyway. */
static inline void clear_from(union vector *to, unsigned size)
{
    memset(to->u8 + size, 0, 32 - size);
}

/* --- loads and stores -------------------------------------------------------------------------- */

/* `total` bytes are written, of which `size` come from memory. The first op of several leaves by op_whole(). */
#define VECTOR_LOAD(name, size, total)                                                    \
    void op_##name(struct vcpu *cpu, const struct op *op)                                 \
    {                                                                                     \
        bool vex = op->imm32 & HOT_VEX;                                                   \
        uint64_t la = OP_ADDRESS();                                                       \
        const struct fast_entry *entry = OP_FAST(la);                                     \
        if (EMU_UNLIKELY(entry->rtag != OP_PAGE(la + (size)-1)) ||                        \
            EMU_UNLIKELY(la & (uint64_t)(op->imm32 & HOT_ALIGN)) || NOT_READY(NEED(vex))) \
            OP_SLOW(vector_slow);                                                         \
        union vector *to = vector_at(cpu, op->dst);                                       \
        memcpy(to, (const void *)(uintptr_t)(la + entry->addend), size);                  \
        if ((size) < (total))                                                             \
            memset(to->u8 + (size), 0, (total) - (size));                                 \
        if ((total) == 16 && vex)                                                         \
            clear_from(to, total);                                                        \
        OP_NEXT();                                                                        \
    }

#define VECTOR_STORE(name, size)                                                        \
    void op_##name(struct vcpu *cpu, const struct op *op)                               \
    {                                                                                   \
        uint64_t la = OP_ADDRESS();                                                     \
        const struct fast_entry *entry = OP_FAST(la);                                   \
        if (EMU_UNLIKELY(entry->wtag != OP_PAGE(la + (size)-1)) ||                      \
            EMU_UNLIKELY(la & (uint64_t)(op->imm32 & HOT_ALIGN)) ||                     \
            NOT_READY(NEED(op->imm32 & HOT_VEX)))                                       \
            OP_SLOW(op_plain);                                                          \
        memcpy((void *)(uintptr_t)(la + entry->addend), vector_at(cpu, op->src), size); \
        OP_NEXT();                                                                      \
    }

static void vector_slow(struct vcpu *cpu, const struct op *op)
{
    if (op->dst == VECTOR_TMP)
        OP_SLOW(op_whole);
    OP_SLOW(op_plain);
}

VECTOR_LOAD(vload4, 4, 16)
VECTOR_LOAD(vload8, 8, 16)
VECTOR_LOAD(vload16, 16, 16)
VECTOR_LOAD(vload32, 32, 32)
VECTOR_STORE(vstore4, 4)
VECTOR_STORE(vstore8, 8)
VECTOR_STORE(vstore16, 16)
VECTOR_STORE(vstore32, 32)

/* --- whole registers: dst = f(src, index) ------------------------------------------------------------ */

/* A form that is not ready runs its plain body; behind a load into VECTOR_TMP it is, since the load looked. */
#define VECTOR_OP(name, size, statement)                                                 \
    void op_##name(struct vcpu *cpu, const struct op *op)                                \
    {                                                                                    \
        bool vex = (size) == 32 || (op->scale & HOT_VEX);                                \
        if (NOT_READY(NEED(vex)))                                                        \
            OP_SLOW(op_plain);                                                           \
        union vector *d = vector_at(cpu, op->dst);                                       \
        const union vector *a = vector_at(cpu, op->src), *b = vector_at(cpu, op->index); \
        statement;                                                                       \
        if ((size) == 16 && vex)                                                         \
            clear_from(d, size);                                                         \
        OP_NEXT();                                                                       \
    }

#define EACH(size, type, expression)                           \
    union vector r_;                                           \
    for (unsigned i = 0; i < (size) / sizeof(r_.type[0]); i++) \
        r_.type[i] = (expression);                             \
    memcpy(d, &r_, size)

VECTOR_OP(vmov16, 16, (void)a; memcpy(d, b, 16))
VECTOR_OP(vmov32, 32, (void)a; memcpy(d, b, 32))
VECTOR_OP(vxor16, 16, EACH(16, u64, a->u64[i] ^ b->u64[i]))
VECTOR_OP(vxor32, 32, EACH(32, u64, a->u64[i] ^ b->u64[i]))
VECTOR_OP(vand16, 16, EACH(16, u64, a->u64[i] & b->u64[i]))
VECTOR_OP(vor16, 16, EACH(16, u64, a->u64[i] | b->u64[i]))
VECTOR_OP(vor32, 32, EACH(32, u64, a->u64[i] | b->u64[i]))
VECTOR_OP(vcmpeqb16, 16, EACH(16, u8, (uint8_t)(a->u8[i] == b->u8[i] ? 255 : 0)))
VECTOR_OP(vcmpeqb32, 32, EACH(32, u8, (uint8_t)(a->u8[i] == b->u8[i] ? 255 : 0)))
VECTOR_OP(vminub16, 16, EACH(16, u8, a->u8[i] < b->u8[i] ? a->u8[i] : b->u8[i]))
VECTOR_OP(vminub32, 32, EACH(32, u8, a->u8[i] < b->u8[i] ? a->u8[i] : b->u8[i]))
VECTOR_OP(vaddd16, 16, EACH(16, u32, a->u32[i] + b->u32[i]))

/* The sign bits of eight bytes: a multiplication collects them in the top byte. */
static inline uint64_t byte_signs(uint64_t bytes)
{
    return ((bytes & UINT64_C(0x8080808080808080)) >> 7) * UINT64_C(0x0102040810204080) >> 56;
}

/* PMOVMSKB r32, xmm and ymm. */
void op_vmovmskb16(struct vcpu *cpu, const struct op *op)
{
    if (NOT_READY(NEED(op->scale & HOT_VEX)))
        OP_SLOW(op_plain);
    const union vector *a = vector_at(cpu, op->src);
    OP_REG(op->dst) = byte_signs(a->u64[0]) | byte_signs(a->u64[1]) << 8;
    OP_NEXT();
}

void op_vmovmskb32(struct vcpu *cpu, const struct op *op)
{
    if (NOT_READY(READY_AVX))
        OP_SLOW(op_plain);
    const union vector *a = vector_at(cpu, op->src);
    OP_REG(op->dst) = byte_signs(a->u64[0]) | byte_signs(a->u64[1]) << 8 |
                      byte_signs(a->u64[2]) << 16 | byte_signs(a->u64[3]) << 24;
    OP_NEXT();
}

/* --- scalar doubles: the low element of dst = f(src, index) ------------------------------------------------ */

/* Rounding to nearest and PE masked: no exception can stop what the fast path does. */
#define SCALAR_DOUBLE(name, operation)                                                           \
    void op_##name(struct vcpu *cpu, const struct op *op)                                        \
    {                                                                                            \
        bool vex = op->scale & HOT_VEX;                                                          \
        uint32_t mxcsr = cpu->simd.mxcsr;                                                        \
        union vector *d = vector_at(cpu, op->dst);                                               \
        const union vector *a = vector_at(cpu, op->src), *b = vector_at(cpu, op->index);         \
        uint64_t result;                                                                         \
        uint8_t flags = (uint8_t)mxcsr;                                                          \
        if (NOT_READY(NEED(vex)) || EMU_UNLIKELY((mxcsr & (MXCSR_RC | MXCSR_PM)) != MXCSR_PM) || \
            EMU_UNLIKELY(!operation(a->u64[0], b->u64[0], &result, &flags)))                     \
            OP_SLOW(op_plain);                                                                   \
        cpu->simd.mxcsr = mxcsr | (flags & FP_PE);                                               \
        if (vex) {                                                                               \
            d->u64[1] = a->u64[1];                                                               \
            clear_from(d, 16);                                                                   \
        }                                                                                        \
        d->u64[0] = result;                                                                      \
        OP_NEXT();                                                                               \
    }

SCALAR_DOUBLE(vaddsd, f64_fast_add)
SCALAR_DOUBLE(vsubsd, f64_fast_sub)
SCALAR_DOUBLE(vmulsd, f64_fast_mul)

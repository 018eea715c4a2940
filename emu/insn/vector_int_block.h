/* How instructions are made that compute on blocks of four words: AES, SHA, products without carries, shifts of lanes. A
 * block is computed in registers and stored at once, so that chains of such instructions wait for nothing. */
#ifndef EMU_INSN_VECTOR_INT_BLOCK_H
#define EMU_INSN_VECTOR_INT_BLOCK_H

#include "emu/insn/vector_int.h"

/* What a block is computed from: the words of a and of b, low words first. */
struct block_in {
    const uint32_t *a, *b;
    uint8_t imm;
};
typedef emu_u32x4 block_kernel(const struct block_in *v);

/* Each 16 bytes of operand 0, a vector register, from those of a and b. With one source a is b. */
EMU_MUST_USE EMU_INLINE enum step block_run(struct vcpu *cpu, const struct insn *in,
                                            block_kernel *kernel, bool unary)
{
    union vector room;
    const union vector *b;
    unsigned size = in->op[0].size, n = in->vex && !unary ? 1 : 0;
    enum step step = vector_source(cpu, in, n + 1, size, &room, &b);
    if (EMU_UNLIKELY(step != STEP_NEXT))
        return step;
    const union vector *a = unary ? b : &cpu->simd.v[in->op[n].reg];
    union vector *to = &cpu->simd.v[in->op[0].reg];
    const uint8_t imm = (uint8_t)in->imm;
    const emu_u32x4 low = kernel(&(struct block_in){ a->u32, b->u32, imm });
    if (in->vex) {
        emu_u32x4 high = { 0 };
        if (size > 16)
            high = kernel(&(struct block_in){ a->u32 + 4, b->u32 + 4, imm });
        memcpy(to->u8 + 16, &high, sizeof(high));
        memset(to->u8 + 32, 0, sizeof(*to) - 32);
    }
    memcpy(to, &low, sizeof(low));
    return STEP_NEXT;
}

EMU_MUST_USE EMU_INLINE enum step block_binary(struct vcpu *cpu, const struct insn *in,
                                               block_kernel *kernel)
{
    return block_run(cpu, in, kernel, false);
}

EMU_MUST_USE EMU_INLINE enum step block_unary(struct vcpu *cpu, const struct insn *in,
                                              block_kernel *kernel)
{
    return block_run(cpu, in, kernel, true);
}

/* A body around its kernel, which follows as a block of code with `v` that returns the words. `kind` is binary or unary. */
#define BLOCK_BODY(name, kind)                                    \
    EMU_INLINE emu_u32x4 name##_kernel(const struct block_in *v); \
    enum step name(struct vcpu *cpu, const struct insn *in)       \
    {                                                             \
        return block_##kind(cpu, in, name##_kernel);              \
    }                                                             \
    EMU_INLINE emu_u32x4 name##_kernel(const struct block_in *v)

EMU_INLINE emu_u128 block_load(const uint32_t *words)
{
    emu_u128 value;
    memcpy(&value, words, sizeof(value));
    return value;
}

EMU_INLINE emu_u32x4 block_words(emu_u128 value)
{
    const uint64_t low = (uint64_t)value, high = (uint64_t)(value >> 64);
    return (emu_u32x4){ (uint32_t)low, (uint32_t)(low >> 32), (uint32_t)high,
                        (uint32_t)(high >> 32) };
}

#endif

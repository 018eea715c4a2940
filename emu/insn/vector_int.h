/* How integer vector instructions are made: a kernel computes on whole vectors, a driver brings it its operands.
 *
 * A kernel knows nothing of encodings. It fills VECTOR_BYTES of a local, a number that is fixed so that compilers make
 * vector code of its loops, and the driver takes as much as the destination has. Kernels that work within lanes (8 bytes of
 * MMX, 16 of all others) are compiled for both. Registers are read in place: the local may become any of the sources. */
#ifndef EMU_INSN_VECTOR_INT_H
#define EMU_INSN_VECTOR_INT_H

#include "emu/insn/vector.h"

#include <string.h>

#define VECTOR_BYTES 32u

/* Elements by their name in union vector. */
#define TYPE_u8 uint8_t
#define TYPE_u16 uint16_t
#define TYPE_u32 uint32_t
#define TYPE_u64 uint64_t
#define TYPE_s8 int8_t
#define TYPE_s16 int16_t
#define TYPE_s32 int32_t
#define TYPE_s64 int64_t

/* What a kernel computes on. */
struct vector_in {
    const union vector *a,
        *b;        /* d = f(a, b): a is the destination where the encoding has two operands */
    unsigned size; /* bytes of the destination: 8, 16 or 32 */
    uint8_t imm;
};

/* Operand n of `size` bytes: the register itself, or a copy in *room. */
EMU_MUST_USE EMU_INLINE enum step vector_source(struct vcpu *cpu, const struct insn *in, unsigned n,
                                                unsigned size, union vector *room,
                                                const union vector **at)
{
    const struct operand *op = &in->op[n];
    bool in_place = op->kind == OPERAND_VECTOR;
    *at = in_place ? &cpu->simd.v[op->reg] : room;
    return in_place ? STEP_NEXT : vector_read(cpu, in, n, size, room);
}

/* Operand 0 gets the low `size` bytes, as by vector_write(). */
EMU_MUST_USE EMU_INLINE enum step vector_result(struct vcpu *cpu, const struct insn *in,
                                                unsigned size, const union vector *d)
{
    if (EMU_UNLIKELY(in->op[0].kind != OPERAND_VECTOR))
        return vector_write(cpu, in, 0, size, d);
    vector_put(&cpu->simd.v[in->op[0].reg], d, size, in->vex);
    return STEP_NEXT;
}

/* Operand 0, a vector register, gets 16 bytes. */
EMU_INLINE void vector_set16(struct vcpu *cpu, const struct insn *in, uint64_t low, uint64_t high)
{
    const emu_u64x2 both = { low, high };
    vector_put(&cpu->simd.v[in->op[0].reg], &both, sizeof(both), in->vex);
}

typedef void vector_kernel(union vector *d, const struct vector_in *v);

/* d = kernel(a, b). A memory operand may be narrower than the destination (PUNPCKL of MMX). */
EMU_MUST_USE EMU_INLINE enum step vector_binary(struct vcpu *cpu, const struct insn *in,
                                                vector_kernel *kernel)
{
    union vector room_a, room_b, d;
    unsigned n = in->vex ? 1 : 0;
    struct vector_in v = { .size = in->op[0].size, .imm = (uint8_t)in->imm };
    unsigned size_b = in->op[n + 1].kind == OPERAND_MEM ? in->op[n + 1].size : v.size;
    enum step step = vector_source(cpu, in, n + 1, size_b, &room_b, &v.b);
    if (EMU_LIKELY(step == STEP_NEXT))
        step = vector_source(cpu, in, n, v.size, &room_a, &v.a);
    if (EMU_UNLIKELY(step != STEP_NEXT))
        return step;
    kernel(&d, &v);
    return vector_result(cpu, in, v.size, &d);
}

/* d = kernel(b): what the destination held does not count. */
EMU_MUST_USE EMU_INLINE enum step vector_unary(struct vcpu *cpu, const struct insn *in,
                                               vector_kernel *kernel)
{
    union vector room, d;
    struct vector_in v = { .size = in->op[0].size, .imm = (uint8_t)in->imm };
    enum step step = vector_source(cpu, in, 1, v.size, &room, &v.b);
    if (EMU_UNLIKELY(step != STEP_NEXT))
        return step;
    v.a = v.b;
    kernel(&d, &v);
    return vector_result(cpu, in, v.size, &d);
}

/* How many elements a vector has. */
#define COUNT(elem) (VECTOR_BYTES / (unsigned)sizeof(((union vector *)0)->elem[0]))

/* A body around its kernel, which follows as a block with `d` and `v`. `kind` is binary or unary. */
#define VEC_BODY(name, kind)                                               \
    static void name##_kernel(union vector *d, const struct vector_in *v); \
    enum step name(struct vcpu *cpu, const struct insn *in)                \
    {                                                                      \
        return vector_##kind(cpu, in, name##_kernel);                      \
    }                                                                      \
    static void name##_kernel(union vector *d, const struct vector_in *v)

/* Each element of d is `expr` of x and y, the elements of a and b. */
#define VEC2(name, elem, expr)                                      \
    VEC_BODY(name, binary)                                          \
    {                                                               \
        for (unsigned i = 0; i < COUNT(elem); i++) {                \
            const TYPE_##elem x = v->a->elem[i], y = v->b->elem[i]; \
            d->elem[i] = (TYPE_##elem)(expr);                       \
        }                                                           \
    }

/* Each element of d is `expr` of y, the element of b. */
#define VEC1(name, elem, expr)                       \
    VEC_BODY(name, unary)                            \
    {                                                \
        for (unsigned i = 0; i < COUNT(elem); i++) { \
            const TYPE_##elem y = v->b->elem[i];     \
            d->elem[i] = (TYPE_##elem)(expr);        \
        }                                            \
    }

/* A body whose kernel works within lanes: it follows as a block with `d`, `v`, `lane` (where the lane starts) and `bytes`
 * (how many it has), and is compiled for lanes of 8 and of 16 bytes. */
#define VEC_LANES(name)                                                                    \
    EMU_INLINE void name##_lane(union vector *d, const struct vector_in *v, unsigned lane, \
                                const unsigned bytes);                                     \
    VEC_BODY(name, binary)                                                                 \
    {                                                                                      \
        if (EMU_UNLIKELY(v->size == 8)) {                                                  \
            name##_lane(d, v, 0, 8);                                                       \
            return;                                                                        \
        }                                                                                  \
        for (unsigned lane = 0; lane < VECTOR_BYTES; lane += 16)                           \
            name##_lane(d, v, lane, 16);                                                   \
    }                                                                                      \
    EMU_INLINE void name##_lane(union vector *d, const struct vector_in *v, unsigned lane, \
                                const unsigned bytes)

/* Saturation: the nearest value that the type has. */
EMU_INLINE int8_t saturate_s8(int16_t x)
{
    return (int8_t)(x < INT8_MIN ? INT8_MIN : x > INT8_MAX ? INT8_MAX : x);
}

EMU_INLINE uint8_t saturate_u8(int16_t x)
{
    return (uint8_t)(x < 0 ? 0 : x > UINT8_MAX ? UINT8_MAX : x);
}

EMU_INLINE int16_t saturate_s16(int32_t x)
{
    return (int16_t)(x < INT16_MIN ? INT16_MIN : x > INT16_MAX ? INT16_MAX : x);
}

EMU_INLINE uint16_t saturate_u16(int32_t x)
{
    return (uint16_t)(x < 0 ? 0 : x > UINT16_MAX ? UINT16_MAX : x);
}

#endif

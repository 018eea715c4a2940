/* Bodies of floating-point instructions on vector registers: operands, loops over elements, results. Functions that
 * take an operation are inlined into each body, so that a loop calls it directly. */
#ifndef EMU_INSN_VECTOR_FP_H
#define EMU_INSN_VECTOR_FP_H

#include "emu/insn/semantics_fp.h"
#include "emu/insn/vector.h"

#include <string.h>

/* An operation with one result, and its fast path (emu/fpu/fast.h), which may be NULL. */
typedef uint32_t f32_binary(uint32_t a, uint32_t b, struct fp_env *env);
typedef uint64_t f64_binary(uint64_t a, uint64_t b, struct fp_env *env);
typedef bool f32_fast_binary(uint32_t a, uint32_t b, uint32_t *result, uint8_t *flags);
typedef bool f64_fast_binary(uint64_t a, uint64_t b, uint64_t *result, uint8_t *flags);

#define F32_SIGN UINT32_C(0x80000000)
#define F64_SIGN (UINT64_C(1) << 63)

EMU_INLINE bool f32_is_nan(uint32_t a)
{
    return (a & ~F32_SIGN) > UINT32_C(0x7f800000);
}

EMU_INLINE bool f64_is_nan(uint64_t a)
{
    return (a & ~F64_SIGN) > UINT64_C(0x7ff0000000000000);
}

/* Operand 0 gets the low `size` bytes of *result: 16 or 32. Sizes are constants for the compiler's sake. */
EMU_INLINE void fp_set(struct vcpu *cpu, const struct insn *in, unsigned size,
                       const union vector *result)
{
    vector_put(&cpu->simd.v[in->op[0].reg], result, size, in->vex);
}

/* Report the exceptions; if all is well, set the result. */
EMU_MUST_USE EMU_INLINE enum step fp_finish(struct vcpu *cpu, const struct insn *in,
                                            const struct fp_env *env, unsigned size,
                                            const union vector *result)
{
    enum step step = fp_report(cpu, env);
    if (step == STEP_NEXT)
        fp_set(cpu, in, size, result);
    return step;
}

/* --- scalar: one element; the rest of the low 16 bytes comes from the first source ---------------- */

/* Which operand is the first source: with legacy encoding the destination too. */
EMU_INLINE unsigned fp_first(const struct insn *in)
{
    return in->vex;
}

EMU_MUST_USE EMU_INLINE enum step fp_load32(struct vcpu *cpu, const struct insn *in, unsigned n,
                                            uint32_t *value)
{
    if (in->op[n].kind != OPERAND_VECTOR)
        return vector_load(cpu, in, sizeof(*value), value);
    *value = cpu->simd.v[in->op[n].reg].u32[0];
    return STEP_NEXT;
}

EMU_MUST_USE EMU_INLINE enum step fp_load64(struct vcpu *cpu, const struct insn *in, unsigned n,
                                            uint64_t *value)
{
    if (in->op[n].kind != OPERAND_VECTOR)
        return vector_load(cpu, in, sizeof(*value), value);
    *value = cpu->simd.v[in->op[n].reg].u64[0];
    return STEP_NEXT;
}

/* The destination, with the first source's low 16 bytes. Only after the last use of the sources. */
EMU_INLINE union vector *fp_scalar_result(struct vcpu *cpu, const struct insn *in)
{
    if (in->vex) {
        union vector first;
        memcpy(&first, &cpu->simd.v[in->op[1].reg], 16);
        fp_set(cpu, in, 16, &first);
    }
    return &cpu->simd.v[in->op[0].reg];
}

EMU_MUST_USE EMU_INLINE enum step fp_finish32(struct vcpu *cpu, const struct insn *in,
                                              const struct fp_env *env, uint32_t result)
{
    enum step step = fp_report(cpu, env);
    if (step == STEP_NEXT)
        fp_scalar_result(cpu, in)->u32[0] = result;
    return step;
}

EMU_MUST_USE EMU_INLINE enum step fp_finish64(struct vcpu *cpu, const struct insn *in,
                                              const struct fp_env *env, uint64_t result)
{
    enum step step = fp_report(cpu, env);
    if (step == STEP_NEXT)
        fp_scalar_result(cpu, in)->u64[0] = result;
    return step;
}

EMU_MUST_USE EMU_INLINE enum step fp_scalar32(struct vcpu *cpu, const struct insn *in,
                                              f32_binary *op, f32_fast_binary *fast)
{
    unsigned first = fp_first(in);
    uint32_t a, b, result;
    enum step step = fp_load32(cpu, in, first + 1, &b);
    if (EMU_UNLIKELY(step != STEP_NEXT))
        return step;
    a = cpu->simd.v[in->op[first].reg].u32[0];
    uint8_t flags = fp_fast_flags(cpu);
    if (fast && fp_fast_allowed(cpu) && EMU_LIKELY(fast(a, b, &result, &flags))) {
        fp_fast_commit(cpu, flags);
        fp_scalar_result(cpu, in)->u32[0] = result;
        return STEP_NEXT;
    }
    struct fp_env env;
    fp_env_simd(cpu, &env);
    result = op(a, b, &env);
    return fp_finish32(cpu, in, &env, result);
}

EMU_MUST_USE EMU_INLINE enum step fp_scalar64(struct vcpu *cpu, const struct insn *in,
                                              f64_binary *op, f64_fast_binary *fast)
{
    unsigned first = fp_first(in);
    uint64_t a, b, result;
    enum step step = fp_load64(cpu, in, first + 1, &b);
    if (EMU_UNLIKELY(step != STEP_NEXT))
        return step;
    a = cpu->simd.v[in->op[first].reg].u64[0];
    uint8_t flags = fp_fast_flags(cpu);
    if (fast && fp_fast_allowed(cpu) && EMU_LIKELY(fast(a, b, &result, &flags))) {
        fp_fast_commit(cpu, flags);
        fp_scalar_result(cpu, in)->u64[0] = result;
        return STEP_NEXT;
    }
    struct fp_env env;
    fp_env_simd(cpu, &env);
    result = op(a, b, &env);
    return fp_finish64(cpu, in, &env, result);
}

/* --- packed --------------------------------------------------------------------------------------- */

/* The sources where they stand: in registers, or b loaded into `place`. The result is complete before it is
 * written, since a source may be its destination. */
struct packed {
    const union vector *a, *b;
    unsigned size; /* bytes, of sources and result */
    struct fp_env env;
    union vector place, result;
};

EMU_MUST_USE EMU_INLINE enum step packed_load(struct vcpu *cpu, const struct insn *in, unsigned n,
                                              struct packed *p)
{
    p->size = in->op[0].size;
    fp_env_simd(cpu, &p->env);
    memset(&p->result, 0, 32);
    if (EMU_LIKELY(in->op[n].kind == OPERAND_VECTOR)) {
        p->b = &cpu->simd.v[in->op[n].reg];
        return STEP_NEXT;
    }
    p->b = &p->place;
    return vector_load(cpu, in, p->size, &p->place);
}

EMU_MUST_USE EMU_INLINE enum step packed_begin(struct vcpu *cpu, const struct insn *in,
                                               struct packed *p)
{
    unsigned first = fp_first(in);
    p->a = &cpu->simd.v[in->op[first].reg];
    return packed_load(cpu, in, first + 1, p);
}

/* One source, which is a and b. */
EMU_MUST_USE EMU_INLINE enum step packed_begin_unary(struct vcpu *cpu, const struct insn *in,
                                                     struct packed *p)
{
    enum step step = packed_load(cpu, in, 1, p);
    p->a = p->b;
    return step;
}

EMU_MUST_USE EMU_INLINE enum step packed_end(struct vcpu *cpu, const struct insn *in,
                                             const struct packed *p)
{
    return fp_finish(cpu, in, &p->env, p->size, &p->result);
}

/* All elements of the destination. */
EMU_MUST_USE EMU_INLINE enum step fp_elements32(struct vcpu *cpu, const struct insn *in,
                                                struct packed *p, f32_binary *op,
                                                f32_fast_binary *fast)
{
    unsigned done = 0;
    if (fast && fp_fast_allowed(cpu)) {
        uint8_t flags = fp_fast_flags(cpu);
        while (done < p->size / 4 &&
               fast(p->a->u32[done], p->b->u32[done], &p->result.u32[done], &flags))
            done++;
        if (EMU_LIKELY(done == p->size / 4)) {
            fp_fast_commit(cpu, flags);
            fp_set(cpu, in, p->size, &p->result);
            return STEP_NEXT;
        }
    }
    for (unsigned i = 0; i < p->size / 4; i++)
        p->result.u32[i] = op(p->a->u32[i], p->b->u32[i], &p->env);
    return packed_end(cpu, in, p);
}

EMU_MUST_USE EMU_INLINE enum step fp_packed32(struct vcpu *cpu, const struct insn *in,
                                              f32_binary *op, f32_fast_binary *fast)
{
    struct packed p;
    enum step step = packed_begin(cpu, in, &p);
    return EMU_UNLIKELY(step != STEP_NEXT) ? step : fp_elements32(cpu, in, &p, op, fast);
}

EMU_MUST_USE EMU_INLINE enum step fp_unary32(struct vcpu *cpu, const struct insn *in,
                                             f32_binary *op, f32_fast_binary *fast)
{
    struct packed p;
    enum step step = packed_begin_unary(cpu, in, &p);
    return EMU_UNLIKELY(step != STEP_NEXT) ? step : fp_elements32(cpu, in, &p, op, fast);
}

/* All elements of the destination. */
EMU_MUST_USE EMU_INLINE enum step fp_elements64(struct vcpu *cpu, const struct insn *in,
                                                struct packed *p, f64_binary *op,
                                                f64_fast_binary *fast)
{
    unsigned done = 0;
    if (fast && fp_fast_allowed(cpu)) {
        uint8_t flags = fp_fast_flags(cpu);
        while (done < p->size / 8 &&
               fast(p->a->u64[done], p->b->u64[done], &p->result.u64[done], &flags))
            done++;
        if (EMU_LIKELY(done == p->size / 8)) {
            fp_fast_commit(cpu, flags);
            fp_set(cpu, in, p->size, &p->result);
            return STEP_NEXT;
        }
    }
    for (unsigned i = 0; i < p->size / 8; i++)
        p->result.u64[i] = op(p->a->u64[i], p->b->u64[i], &p->env);
    return packed_end(cpu, in, p);
}

EMU_MUST_USE EMU_INLINE enum step fp_packed64(struct vcpu *cpu, const struct insn *in,
                                              f64_binary *op, f64_fast_binary *fast)
{
    struct packed p;
    enum step step = packed_begin(cpu, in, &p);
    return EMU_UNLIKELY(step != STEP_NEXT) ? step : fp_elements64(cpu, in, &p, op, fast);
}

EMU_MUST_USE EMU_INLINE enum step fp_unary64(struct vcpu *cpu, const struct insn *in,
                                             f64_binary *op, f64_fast_binary *fast)
{
    struct packed p;
    enum step step = packed_begin_unary(cpu, in, &p);
    return EMU_UNLIKELY(step != STEP_NEXT) ? step : fp_elements64(cpu, in, &p, op, fast);
}

#endif

/* Bodies of floating-point instructions on vector registers: operands, loops over elements, results. Functions that take an
 * operation are inlined into each body, so that a loop calls it directly. */
#ifndef EMU_INSN_VECTOR_FP_H
#define EMU_INSN_VECTOR_FP_H

#include "emu/insn/semantics_fp.h"
#include "emu/insn/vector.h"

typedef uint32_t f32_unary(uint32_t a, struct fp_env *env);
typedef uint64_t f64_unary(uint64_t a, struct fp_env *env);
typedef uint32_t f32_binary(uint32_t a, uint32_t b, struct fp_env *env);
typedef uint64_t f64_binary(uint64_t a, uint64_t b, struct fp_env *env);

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

/* Report the exceptions; if all is well, operand 0 gets the low `size` bytes of *result. */
EMU_MUST_USE EMU_INLINE enum step fp_finish(struct vcpu *cpu, const struct insn *in,
                                            const struct fp_env *env, unsigned size,
                                            const union vector *result)
{
    enum step step = fp_report(cpu, env);
    if (step == STEP_NEXT)
        vector_set(cpu, in, in->op[0].reg, size, result);
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
    union vector *to = &cpu->simd.v[in->op[0].reg];
    if (in->vex)
        vector_set(cpu, in, in->op[0].reg, 16,
                   &(union vector){ .u64 = { cpu->simd.v[in->op[1].reg].u64[0],
                                             cpu->simd.v[in->op[1].reg].u64[1] } });
    return to;
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
                                              f32_binary *op)
{
    unsigned first = fp_first(in);
    uint32_t b;
    enum step step = fp_load32(cpu, in, first + 1, &b);
    if (EMU_UNLIKELY(step != STEP_NEXT))
        return step;
    struct fp_env env = fp_env_simd(cpu);
    uint32_t result = op(cpu->simd.v[in->op[first].reg].u32[0], b, &env);
    return fp_finish32(cpu, in, &env, result);
}

EMU_MUST_USE EMU_INLINE enum step fp_scalar64(struct vcpu *cpu, const struct insn *in,
                                              f64_binary *op)
{
    unsigned first = fp_first(in);
    uint64_t b;
    enum step step = fp_load64(cpu, in, first + 1, &b);
    if (EMU_UNLIKELY(step != STEP_NEXT))
        return step;
    struct fp_env env = fp_env_simd(cpu);
    uint64_t result = op(cpu->simd.v[in->op[first].reg].u64[0], b, &env);
    return fp_finish64(cpu, in, &env, result);
}

/* --- packed --------------------------------------------------------------------------------------- */

EMU_MUST_USE EMU_INLINE enum step fp_packed32(struct vcpu *cpu, const struct insn *in,
                                              f32_binary *op)
{
    struct vector_args args;
    enum step step = vector_args(cpu, in, &args);
    if (EMU_UNLIKELY(step != STEP_NEXT))
        return step;
    struct fp_env env = fp_env_simd(cpu);
    for (unsigned i = 0; i < args.size / 4; i++)
        args.a.u32[i] = op(args.a.u32[i], args.b.u32[i], &env);
    return fp_finish(cpu, in, &env, args.size, &args.a);
}

EMU_MUST_USE EMU_INLINE enum step fp_packed64(struct vcpu *cpu, const struct insn *in,
                                              f64_binary *op)
{
    struct vector_args args;
    enum step step = vector_args(cpu, in, &args);
    if (EMU_UNLIKELY(step != STEP_NEXT))
        return step;
    struct fp_env env = fp_env_simd(cpu);
    for (unsigned i = 0; i < args.size / 8; i++)
        args.a.u64[i] = op(args.a.u64[i], args.b.u64[i], &env);
    return fp_finish(cpu, in, &env, args.size, &args.a);
}

#endif

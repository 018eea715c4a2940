/* Arithmetic: addition to square root, minimum and maximum, horizontal and alternating sums, dot products.
 * APM vol 4, by mnemonic. */
#include "emu/insn/vector_fp.h"

/* Bodies of the packed and scalar forms, legacy and VEX, of one operation. */
#define ARITHMETIC(name)                                               \
    enum step insn_##name##ps(struct vcpu *cpu, const struct insn *in) \
    {                                                                  \
        return fp_packed32(cpu, in, f32_##name);                       \
    }                                                                  \
    enum step insn_##name##pd(struct vcpu *cpu, const struct insn *in) \
    {                                                                  \
        return fp_packed64(cpu, in, f64_##name);                       \
    }                                                                  \
    enum step insn_##name##ss(struct vcpu *cpu, const struct insn *in) \
    {                                                                  \
        return fp_scalar32(cpu, in, f32_##name);                       \
    }                                                                  \
    enum step insn_##name##sd(struct vcpu *cpu, const struct insn *in) \
    {                                                                  \
        return fp_scalar64(cpu, in, f64_##name);                       \
    }

ARITHMETIC(add)
ARITHMETIC(sub)
ARITHMETIC(mul)
ARITHMETIC(div)
ARITHMETIC(min)
ARITHMETIC(max)

/* The second source alone counts. */
static uint32_t sqrt32(uint32_t a, uint32_t b, struct fp_env *env)
{
    (void)a;
    return f32_sqrt(b, env);
}

static uint64_t sqrt64(uint64_t a, uint64_t b, struct fp_env *env)
{
    (void)a;
    return f64_sqrt(b, env);
}

enum step insn_sqrtps(struct vcpu *cpu, const struct insn *in)
{
    return fp_packed32(cpu, in, sqrt32);
}

enum step insn_sqrtpd(struct vcpu *cpu, const struct insn *in)
{
    return fp_packed64(cpu, in, sqrt64);
}

enum step insn_sqrtss(struct vcpu *cpu, const struct insn *in)
{
    return fp_scalar32(cpu, in, sqrt32);
}

enum step insn_sqrtsd(struct vcpu *cpu, const struct insn *in)
{
    return fp_scalar64(cpu, in, sqrt64);
}

/* --- sums of neighbours ---------------------------------------------------------------------------- */

/* HADDPS, HSUBPS: in each half of 16 bytes the pairs of the first source, then those of the second. */
EMU_INLINE enum step horizontal32(struct vcpu *cpu, const struct insn *in, f32_binary *op)
{
    struct vector_args args;
    enum step step = vector_args(cpu, in, &args);
    if (step != STEP_NEXT)
        return step;
    struct fp_env env = fp_env_simd(cpu);
    union vector result;
    for (unsigned i = 0; i < args.size / 4; i++) {
        const uint32_t *pair = &(i & 2 ? &args.b : &args.a)->u32[(i & ~3u) + 2 * (i & 1)];
        result.u32[i] = op(pair[0], pair[1], &env);
    }
    return fp_finish(cpu, in, &env, args.size, &result);
}

EMU_INLINE enum step horizontal64(struct vcpu *cpu, const struct insn *in, f64_binary *op)
{
    struct vector_args args;
    enum step step = vector_args(cpu, in, &args);
    if (step != STEP_NEXT)
        return step;
    struct fp_env env = fp_env_simd(cpu);
    union vector result;
    for (unsigned i = 0; i < args.size / 8; i++) {
        const uint64_t *pair = &(i & 1 ? &args.b : &args.a)->u64[i & ~1u];
        result.u64[i] = op(pair[0], pair[1], &env);
    }
    return fp_finish(cpu, in, &env, args.size, &result);
}

enum step insn_haddps(struct vcpu *cpu, const struct insn *in)
{
    return horizontal32(cpu, in, f32_add);
}

enum step insn_haddpd(struct vcpu *cpu, const struct insn *in)
{
    return horizontal64(cpu, in, f64_add);
}

enum step insn_hsubps(struct vcpu *cpu, const struct insn *in)
{
    return horizontal32(cpu, in, f32_sub);
}

enum step insn_hsubpd(struct vcpu *cpu, const struct insn *in)
{
    return horizontal64(cpu, in, f64_sub);
}

/* ADDSUBPS: elements of even number are differences. */
enum step insn_addsubps(struct vcpu *cpu, const struct insn *in)
{
    struct vector_args args;
    enum step step = vector_args(cpu, in, &args);
    if (step != STEP_NEXT)
        return step;
    struct fp_env env = fp_env_simd(cpu);
    for (unsigned i = 0; i < args.size / 4; i++)
        args.a.u32[i] = (i & 1 ? f32_add : f32_sub)(args.a.u32[i], args.b.u32[i], &env);
    return fp_finish(cpu, in, &env, args.size, &args.a);
}

enum step insn_addsubpd(struct vcpu *cpu, const struct insn *in)
{
    struct vector_args args;
    enum step step = vector_args(cpu, in, &args);
    if (step != STEP_NEXT)
        return step;
    struct fp_env env = fp_env_simd(cpu);
    for (unsigned i = 0; i < args.size / 8; i++)
        args.a.u64[i] = (i & 1 ? f64_add : f64_sub)(args.a.u64[i], args.b.u64[i], &env);
    return fp_finish(cpu, in, &env, args.size, &args.a);
}

/* --- dot products ---------------------------------------------------------------------------------- */

/* Products, sums and the sum of sums are steps of their own: an unmasked exception of one keeps the next from being done
 * (measured on Zen 4). APM vol 4, "DPPS, VDPPS" says no more than the order. */
EMU_MUST_USE static enum step end_stage(struct vcpu *cpu, struct fp_env *env, uint8_t *earlier)
{
    if (env->flags & ~env->masks) {
        cpu->simd.mxcsr |= *earlier;
        return fp_raise_simd(cpu, env->flags);
    }
    *earlier |= env->flags;
    env->flags = 0;
    return STEP_NEXT;
}

/* DPPS: imm8[7:4] chooses the products, imm8[3:0] the elements that get the sum; others are +0. Products 0 and 1 are added,
 * 2 and 3, then the two sums. */
enum step insn_dpps(struct vcpu *cpu, const struct insn *in)
{
    struct vector_args args;
    enum step step = vector_args(cpu, in, &args);
    if (step != STEP_NEXT)
        return step;
    struct fp_env env = fp_env_simd(cpu);
    uint8_t flags = 0;
    unsigned count = args.size / 4;
    uint32_t *x = args.a.u32;
    for (unsigned i = 0; i < count; i++)
        x[i] = in->imm & (0x10u << (i & 3)) ? f32_mul(x[i], args.b.u32[i], &env) : 0;
    step = end_stage(cpu, &env, &flags);
    if (step != STEP_NEXT)
        return step;
    for (unsigned i = 0; i < count; i += 2)
        x[i] = f32_add(x[i], x[i + 1], &env);
    step = end_stage(cpu, &env, &flags);
    if (step != STEP_NEXT)
        return step;
    for (unsigned i = 0; i < count; i += 4)
        x[i] = f32_add(x[i], x[i + 2], &env);
    step = end_stage(cpu, &env, &flags);
    if (step != STEP_NEXT)
        return step;
    union vector result;
    for (unsigned i = 0; i < count; i++)
        result.u32[i] = in->imm & (1u << (i & 3)) ? x[i & ~3u] : 0;
    env.flags = flags;
    return fp_finish(cpu, in, &env, args.size, &result);
}

/* DPPD: imm8[5:4] and imm8[1:0]. */
enum step insn_dppd(struct vcpu *cpu, const struct insn *in)
{
    struct vector_args args;
    enum step step = vector_args(cpu, in, &args);
    if (step != STEP_NEXT)
        return step;
    struct fp_env env = fp_env_simd(cpu);
    uint8_t flags = 0;
    uint64_t product[2];
    for (unsigned i = 0; i < 2; i++)
        product[i] = in->imm & (0x10u << i) ? f64_mul(args.a.u64[i], args.b.u64[i], &env) : 0;
    step = end_stage(cpu, &env, &flags);
    if (step != STEP_NEXT)
        return step;
    uint64_t sum = f64_add(product[0], product[1], &env);
    step = end_stage(cpu, &env, &flags);
    if (step != STEP_NEXT)
        return step;
    union vector result = { .u64 = { in->imm & 1 ? sum : 0, in->imm & 2 ? sum : 0 } };
    env.flags = flags;
    return fp_finish(cpu, in, &env, args.size, &result);
}

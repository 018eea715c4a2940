/* Arithmetic: addition to square root, minimum and maximum, horizontal and alternating sums, dot products.
 * APM vol 4, by mnemonic. */
#include "emu/fpu/fast.h"
#include "emu/insn/vector_fp.h"

/* Bodies of the packed and scalar forms, legacy and VEX, of one operation. */
#define ARITHMETIC(name, fast32, fast64)                               \
    enum step insn_##name##ps(struct vcpu *cpu, const struct insn *in) \
    {                                                                  \
        return fp_packed32(cpu, in, f32_##name, fast32);               \
    }                                                                  \
    enum step insn_##name##pd(struct vcpu *cpu, const struct insn *in) \
    {                                                                  \
        return fp_packed64(cpu, in, f64_##name, fast64);               \
    }                                                                  \
    enum step insn_##name##ss(struct vcpu *cpu, const struct insn *in) \
    {                                                                  \
        return fp_scalar32(cpu, in, f32_##name, fast32);               \
    }                                                                  \
    enum step insn_##name##sd(struct vcpu *cpu, const struct insn *in) \
    {                                                                  \
        return fp_scalar64(cpu, in, f64_##name, fast64);               \
    }

ARITHMETIC(add, f32_fast_add, f64_fast_add)
ARITHMETIC(sub, f32_fast_sub, f64_fast_sub)
ARITHMETIC(mul, f32_fast_mul, f64_fast_mul)
ARITHMETIC(div, f32_fast_div, f64_fast_div)
ARITHMETIC(min, NULL, NULL)
ARITHMETIC(max, NULL, NULL)

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

EMU_INLINE bool fast_sqrt32(uint32_t a, uint32_t b, uint32_t *result, uint8_t *flags)
{
    (void)a;
    return f32_fast_sqrt(b, result, flags);
}

EMU_INLINE bool fast_sqrt64(uint64_t a, uint64_t b, uint64_t *result, uint8_t *flags)
{
    (void)a;
    return f64_fast_sqrt(b, result, flags);
}

enum step insn_sqrtps(struct vcpu *cpu, const struct insn *in)
{
    return fp_unary32(cpu, in, sqrt32, fast_sqrt32);
}

enum step insn_sqrtpd(struct vcpu *cpu, const struct insn *in)
{
    return fp_unary64(cpu, in, sqrt64, fast_sqrt64);
}

enum step insn_sqrtss(struct vcpu *cpu, const struct insn *in)
{
    return fp_scalar32(cpu, in, sqrt32, fast_sqrt32);
}

enum step insn_sqrtsd(struct vcpu *cpu, const struct insn *in)
{
    return fp_scalar64(cpu, in, sqrt64, fast_sqrt64);
}

/* --- sums of neighbours ---------------------------------------------------------------------------- */

/* HADDPS, HSUBPS: in each half of 16 bytes the pairs of the first source, then those of the second. */
EMU_INLINE enum step horizontal32(struct vcpu *cpu, const struct insn *in, f32_binary *op)
{
    struct packed p;
    enum step step = packed_begin(cpu, in, &p);
    if (step != STEP_NEXT)
        return step;
    for (unsigned i = 0; i < p.size / 4; i++) {
        const uint32_t *pair = &(i & 2 ? p.b : p.a)->u32[(i & ~3u) + 2 * (i & 1)];
        p.result.u32[i] = op(pair[0], pair[1], &p.env);
    }
    return packed_end(cpu, in, &p);
}

EMU_INLINE enum step horizontal64(struct vcpu *cpu, const struct insn *in, f64_binary *op)
{
    struct packed p;
    enum step step = packed_begin(cpu, in, &p);
    if (step != STEP_NEXT)
        return step;
    for (unsigned i = 0; i < p.size / 8; i++) {
        const uint64_t *pair = &(i & 1 ? p.b : p.a)->u64[i & ~1u];
        p.result.u64[i] = op(pair[0], pair[1], &p.env);
    }
    return packed_end(cpu, in, &p);
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
    struct packed p;
    enum step step = packed_begin(cpu, in, &p);
    if (step != STEP_NEXT)
        return step;
    for (unsigned i = 0; i < p.size / 4; i++)
        p.result.u32[i] = (i & 1 ? f32_add : f32_sub)(p.a->u32[i], p.b->u32[i], &p.env);
    return packed_end(cpu, in, &p);
}

enum step insn_addsubpd(struct vcpu *cpu, const struct insn *in)
{
    struct packed p;
    enum step step = packed_begin(cpu, in, &p);
    if (step != STEP_NEXT)
        return step;
    for (unsigned i = 0; i < p.size / 8; i++)
        p.result.u64[i] = (i & 1 ? f64_add : f64_sub)(p.a->u64[i], p.b->u64[i], &p.env);
    return packed_end(cpu, in, &p);
}

/* --- dot products ---------------------------------------------------------------------------------- */

/* Products, sums and the sum of sums are steps of their own: an unmasked exception of one keeps the next from being
 * done (measured on Zen 4). APM vol 4, "DPPS, VDPPS" says no more than the order. */
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

/* DPPS: imm8[7:4] chooses the products, imm8[3:0] the elements that get the sum; others are +0. Products 0 and 1
 * are added, 2 and 3, then the two sums. */
enum step insn_dpps(struct vcpu *cpu, const struct insn *in)
{
    struct packed p;
    enum step step = packed_begin(cpu, in, &p);
    if (step != STEP_NEXT)
        return step;
    uint8_t flags = 0;
    unsigned count = p.size / 4;
    uint32_t *x = p.place.u32, *result = p.result.u32;
    for (unsigned i = 0; i < count; i++)
        x[i] = in->imm & (0x10u << (i & 3)) ? f32_mul(p.a->u32[i], p.b->u32[i], &p.env) : 0;
    step = end_stage(cpu, &p.env, &flags);
    if (step != STEP_NEXT)
        return step;
    for (unsigned i = 0; i < count; i += 2)
        x[i] = f32_add(x[i], x[i + 1], &p.env);
    step = end_stage(cpu, &p.env, &flags);
    if (step != STEP_NEXT)
        return step;
    for (unsigned i = 0; i < count; i += 4)
        x[i] = f32_add(x[i], x[i + 2], &p.env);
    step = end_stage(cpu, &p.env, &flags);
    if (step != STEP_NEXT)
        return step;
    for (unsigned i = 0; i < count; i++)
        result[i] = in->imm & (1u << (i & 3)) ? x[i & ~3u] : 0;
    p.env.flags = flags;
    return packed_end(cpu, in, &p);
}

/* DPPD: imm8[5:4] and imm8[1:0]. */
enum step insn_dppd(struct vcpu *cpu, const struct insn *in)
{
    struct packed p;
    enum step step = packed_begin(cpu, in, &p);
    if (step != STEP_NEXT)
        return step;
    uint8_t flags = 0;
    uint64_t product[2];
    for (unsigned i = 0; i < 2; i++)
        product[i] = in->imm & (0x10u << i) ? f64_mul(p.a->u64[i], p.b->u64[i], &p.env) : 0;
    step = end_stage(cpu, &p.env, &flags);
    if (step != STEP_NEXT)
        return step;
    uint64_t sum = f64_add(product[0], product[1], &p.env);
    step = end_stage(cpu, &p.env, &flags);
    if (step != STEP_NEXT)
        return step;
    for (unsigned i = 0; i < 2; i++)
        p.result.u64[i] = in->imm & (1u << i) ? sum : 0;
    p.env.flags = flags;
    return packed_end(cpu, in, &p);
}

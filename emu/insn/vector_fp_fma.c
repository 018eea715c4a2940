/* FMA3: a * b + c, rounded once. APM vol 4, "VFMADDPD, VFMADD132PD, VFMADD213PD, VFMADD231PD" and its kin.
 *
 * The opcode says all: its upper nibble which operands are multiplied, its lower nibble the signs. Only the width
 * is a matter of VEX.W, and of the mnemonic. */
#include "emu/insn/vector_fp.h"

/* The operands' roles. 132: op0 * op2 + op1; 213: op1 * op0 + op2; 231: op1 * op2 + op0. */
static const struct roles {
    uint8_t a, b, c;
} roles[] = { { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 } };

static const struct roles *roles_of(const struct insn *in)
{
    return &roles[(in->opcode >> 4) - 9];
}

/* The signs by the opcode's lower nibble: 6 FMADDSUB, 7 FMSUBADD, then packed and scalar of FMADD, FMSUB, FNMADD,
 * FNMSUB. */
static bool negates_product(const struct insn *in)
{
    return (in->opcode & 15) >= 0xc;
}

static bool negates_addend(const struct insn *in, unsigned element)
{
    unsigned low = in->opcode & 15;
    if (low < 8) /* subtract in even elements, or in odd ones */
        return (element & 1) == (low & 1);
    return (low & 2) != 0;
}

/* A NaN keeps its sign. */
static uint32_t negate32(uint32_t a, bool negate)
{
    return negate && !f32_is_nan(a) ? a ^ F32_SIGN : a;
}

static uint64_t negate64(uint64_t a, bool negate)
{
    return negate && !f64_is_nan(a) ? a ^ F64_SIGN : a;
}

static uint32_t fma32(const struct insn *in, unsigned element, const uint32_t *x,
                      struct fp_env *env)
{
    const struct roles *role = roles_of(in);
    return f32_fma(negate32(x[role->a], negates_product(in)), x[role->b],
                   negate32(x[role->c], negates_addend(in, element)), env);
}

static uint64_t fma64(const struct insn *in, unsigned element, const uint64_t *x,
                      struct fp_env *env)
{
    const struct roles *role = roles_of(in);
    return f64_fma(negate64(x[role->a], negates_product(in)), x[role->b],
                   negate64(x[role->c], negates_addend(in, element)), env);
}

enum step insn_fma_ps(struct vcpu *cpu, const struct insn *in)
{
    struct packed p;
    enum step step = packed_begin(cpu, in, &p);
    if (step != STEP_NEXT)
        return step;
    const union vector *dest = &cpu->simd.v[in->op[0].reg];
    for (unsigned i = 0; i < p.size / 4; i++) {
        const uint32_t x[] = { dest->u32[i], p.a->u32[i], p.b->u32[i] };
        p.result.u32[i] = fma32(in, i, x, &p.env);
    }
    return packed_end(cpu, in, &p);
}

enum step insn_fma_pd(struct vcpu *cpu, const struct insn *in)
{
    struct packed p;
    enum step step = packed_begin(cpu, in, &p);
    if (step != STEP_NEXT)
        return step;
    const union vector *dest = &cpu->simd.v[in->op[0].reg];
    for (unsigned i = 0; i < p.size / 8; i++) {
        const uint64_t x[] = { dest->u64[i], p.a->u64[i], p.b->u64[i] };
        p.result.u64[i] = fma64(in, i, x, &p.env);
    }
    return packed_end(cpu, in, &p);
}

/* Scalar forms: the rest of the low 16 bytes is the destination's own. */
enum step insn_fma_ss(struct vcpu *cpu, const struct insn *in)
{
    uint32_t third;
    enum step step = fp_load32(cpu, in, 2, &third);
    if (step != STEP_NEXT)
        return step;
    struct fp_env env;
    fp_env_simd(cpu, &env);
    union vector result = cpu->simd.v[in->op[0].reg];
    const uint32_t x[] = { result.u32[0], cpu->simd.v[in->op[1].reg].u32[0], third };
    result.u32[0] = fma32(in, 0, x, &env);
    return fp_finish(cpu, in, &env, 16, &result);
}

enum step insn_fma_sd(struct vcpu *cpu, const struct insn *in)
{
    uint64_t third;
    enum step step = fp_load64(cpu, in, 2, &third);
    if (step != STEP_NEXT)
        return step;
    struct fp_env env;
    fp_env_simd(cpu, &env);
    union vector result = cpu->simd.v[in->op[0].reg];
    const uint64_t x[] = { result.u64[0], cpu->simd.v[in->op[1].reg].u64[0], third };
    result.u64[0] = fma64(in, 0, x, &env);
    return fp_finish(cpu, in, &env, 16, &result);
}

/* ROUNDPS and its kin: to integral values. APM vol 4, "ROUNDPD, VROUNDPD". */
#include "emu/insn/vector_fp.h"

/* imm8[2] leaves the mode to MXCSR, else imm8[1:0] is it. imm8[3], which is returned, keeps PE from being reported. */
static bool set_rounding(const struct insn *in, struct fp_env *env)
{
    if (!(in->imm & 4))
        env->rounding = in->imm & 3;
    return (in->imm & 8) != 0;
}

enum step insn_roundps(struct vcpu *cpu, const struct insn *in)
{
    struct packed p;
    enum step step = packed_begin_unary(cpu, in, &p);
    if (step != STEP_NEXT)
        return step;
    bool exact = set_rounding(in, &p.env);
    for (unsigned i = 0; i < p.size / 4; i++)
        p.result.u32[i] = f32_round(p.b->u32[i], exact, &p.env);
    return packed_end(cpu, in, &p);
}

enum step insn_roundpd(struct vcpu *cpu, const struct insn *in)
{
    struct packed p;
    enum step step = packed_begin_unary(cpu, in, &p);
    if (step != STEP_NEXT)
        return step;
    bool exact = set_rounding(in, &p.env);
    for (unsigned i = 0; i < p.size / 8; i++)
        p.result.u64[i] = f64_round(p.b->u64[i], exact, &p.env);
    return packed_end(cpu, in, &p);
}

enum step insn_roundss(struct vcpu *cpu, const struct insn *in)
{
    uint32_t value;
    enum step step = fp_load32(cpu, in, fp_first(in) + 1, &value);
    if (step != STEP_NEXT)
        return step;
    struct fp_env env;
    fp_env_simd(cpu, &env);
    bool exact = set_rounding(in, &env);
    value = f32_round(value, exact, &env);
    return fp_finish32(cpu, in, &env, value);
}

enum step insn_roundsd(struct vcpu *cpu, const struct insn *in)
{
    uint64_t value;
    enum step step = fp_load64(cpu, in, fp_first(in) + 1, &value);
    if (step != STEP_NEXT)
        return step;
    struct fp_env env;
    fp_env_simd(cpu, &env);
    bool exact = set_rounding(in, &env);
    value = f64_round(value, exact, &env);
    return fp_finish64(cpu, in, &env, value);
}

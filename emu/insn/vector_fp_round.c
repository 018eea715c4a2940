/* ROUNDPS and its kin: to integral values. APM vol 4, "ROUNDPD, VROUNDPD". */
#include "emu/insn/vector_fp.h"

/* imm8[2] takes the mode from MXCSR, else imm8[1:0] is it; imm8[3] keeps PE from being reported. */
struct rounding {
    struct fp_env env;
    bool exact;
};

static struct rounding rounding_of(const struct vcpu *cpu, const struct insn *in)
{
    struct rounding r = { fp_env_simd(cpu), (in->imm & 8) != 0 };
    if (!(in->imm & 4))
        r.env.rounding = in->imm & 3;
    return r;
}

enum step insn_roundps(struct vcpu *cpu, const struct insn *in)
{
    struct vector_args args;
    enum step step = vector_args(cpu, in, &args);
    if (step != STEP_NEXT)
        return step;
    struct rounding r = rounding_of(cpu, in);
    for (unsigned i = 0; i < args.size / 4; i++)
        args.b.u32[i] = f32_round(args.b.u32[i], r.exact, &r.env);
    return fp_finish(cpu, in, &r.env, args.size, &args.b);
}

enum step insn_roundpd(struct vcpu *cpu, const struct insn *in)
{
    struct vector_args args;
    enum step step = vector_args(cpu, in, &args);
    if (step != STEP_NEXT)
        return step;
    struct rounding r = rounding_of(cpu, in);
    for (unsigned i = 0; i < args.size / 8; i++)
        args.b.u64[i] = f64_round(args.b.u64[i], r.exact, &r.env);
    return fp_finish(cpu, in, &r.env, args.size, &args.b);
}

enum step insn_roundss(struct vcpu *cpu, const struct insn *in)
{
    uint32_t value;
    enum step step = fp_load32(cpu, in, fp_first(in) + 1, &value);
    if (step != STEP_NEXT)
        return step;
    struct rounding r = rounding_of(cpu, in);
    value = f32_round(value, r.exact, &r.env);
    return fp_finish32(cpu, in, &r.env, value);
}

enum step insn_roundsd(struct vcpu *cpu, const struct insn *in)
{
    uint64_t value;
    enum step step = fp_load64(cpu, in, fp_first(in) + 1, &value);
    if (step != STEP_NEXT)
        return step;
    struct rounding r = rounding_of(cpu, in);
    value = f64_round(value, r.exact, &r.env);
    return fp_finish64(cpu, in, &r.env, value);
}

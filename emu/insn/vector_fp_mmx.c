/* Conversions that have an MMX register on one side.
 *
 * An MMX register as operand makes the x87 stack MMX state, also when the conversion raises #XF then; CVTPI2PS and
 * CVTPI2PD from memory leave the x87 state alone (both measured on Zen 4). APM vol 4, "CVTPI2PS", "CVTPS2PI". */
#include "emu/insn/vector_fp.h"

/* CVTPI2PS replaces the low half of the register, CVTPI2PD all of it. */
EMU_MUST_USE static enum step load_pair(struct vcpu *cpu, const struct insn *in, union vector *from)
{
    enum step step = vector_read(cpu, in, 1, 8, from);
    if (step == STEP_NEXT && in->op[1].kind == OPERAND_MMX)
        mmx_enter(cpu);
    return step;
}

enum step insn_cvtpi2ps(struct vcpu *cpu, const struct insn *in)
{
    union vector from;
    uint32_t to[2];
    enum step step = load_pair(cpu, in, &from);
    if (step != STEP_NEXT)
        return step;
    struct fp_env env;
    fp_env_simd(cpu, &env);
    for (unsigned i = 0; i < 2; i++)
        to[i] = int_to_f32(from.s32[i], &env);
    step = fp_report(cpu, &env);
    if (step == STEP_NEXT)
        memcpy(&cpu->simd.v[in->op[0].reg], to, sizeof(to));
    return step;
}

enum step insn_cvtpi2pd(struct vcpu *cpu, const struct insn *in)
{
    union vector from, to;
    enum step step = load_pair(cpu, in, &from);
    if (step != STEP_NEXT)
        return step;
    struct fp_env env;
    fp_env_simd(cpu, &env);
    for (unsigned i = 0; i < 2; i++)
        to.u64[i] = int_to_f64(from.s32[i], &env);
    return fp_finish(cpu, in, &env, 16, &to);
}

EMU_MUST_USE static enum step store_pair(struct vcpu *cpu, const struct insn *in,
                                         const struct fp_env *env, const uint32_t *pair)
{
    mmx_enter(cpu);
    enum step step = fp_report(cpu, env);
    if (step == STEP_NEXT)
        mmx_set(cpu, in->op[0].reg, pair[0] | (uint64_t)pair[1] << 32);
    return step;
}

EMU_INLINE enum step from_singles(struct vcpu *cpu, const struct insn *in, bool truncate)
{
    union vector from;
    enum step step = vector_read(cpu, in, 1, 8, &from);
    if (step != STEP_NEXT)
        return step;
    struct fp_env env;
    fp_env_simd(cpu, &env);
    uint32_t to[2];
    for (unsigned i = 0; i < 2; i++)
        to[i] = (uint32_t)f32_to_int(from.u32[i], 4, truncate, &env);
    return store_pair(cpu, in, &env, to);
}

EMU_INLINE enum step from_doubles(struct vcpu *cpu, const struct insn *in, bool truncate)
{
    union vector from;
    enum step step = vector_read(cpu, in, 1, 16, &from);
    if (step != STEP_NEXT)
        return step;
    struct fp_env env;
    fp_env_simd(cpu, &env);
    uint32_t to[2];
    for (unsigned i = 0; i < 2; i++)
        to[i] = (uint32_t)f64_to_int(from.u64[i], 4, truncate, &env);
    return store_pair(cpu, in, &env, to);
}

enum step insn_cvtps2pi(struct vcpu *cpu, const struct insn *in)
{
    return from_singles(cpu, in, false);
}

enum step insn_cvttps2pi(struct vcpu *cpu, const struct insn *in)
{
    return from_singles(cpu, in, true);
}

enum step insn_cvtpd2pi(struct vcpu *cpu, const struct insn *in)
{
    return from_doubles(cpu, in, false);
}

enum step insn_cvttpd2pi(struct vcpu *cpu, const struct insn *in)
{
    return from_doubles(cpu, in, true);
}

/* Conversions between integers and floating point, and between formats. APM vol 4, by mnemonic. */
#include "emu/insn/vector_fp.h"

/* --- packed: `count` elements of the source ---------------------------------------------------------- */

/* The destination is written as a whole register of its size: results that fill less of it leave zeros behind them. */
struct convert {
    const union vector *from;
    union vector place, to;
    struct fp_env env;
};

/* The only source: a register, or `size` bytes of memory. */
EMU_MUST_USE EMU_INLINE enum step convert_begin(struct vcpu *cpu, const struct insn *in,
                                                unsigned size, struct convert *c)
{
    bool memory = in->op[1].kind == OPERAND_MEM;
    c->from = memory ? &c->place : &cpu->simd.v[in->op[1].reg];
    fp_env_simd(cpu, &c->env);
    memset(&c->to, 0, 32);
    return EMU_UNLIKELY(memory) ? vector_load(cpu, in, size, &c->place) : STEP_NEXT;
}

/* The body of one packed conversion: `source` bytes are read and `expr` converts element i of *c.from. */
#define CONVERT(name, source, bits, count, expr)                   \
    enum step insn_##name(struct vcpu *cpu, const struct insn *in) \
    {                                                              \
        unsigned size = (source);                                  \
        struct convert c;                                          \
        enum step step = convert_begin(cpu, in, size, &c);         \
        if (step != STEP_NEXT)                                     \
            return step;                                           \
        for (unsigned i = 0; i < size / (count); i++)              \
            c.to.u##bits[i] = (uint##bits##_t)(expr);              \
        return fp_finish(cpu, in, &c.env, in->op[0].size, &c.to);  \
    }

/* Sources are as wide as the destination, half as wide, or, where a result is narrower, have a size of their own. */
#define SAME in->op[0].size
#define HALF in->op[0].size / 2u
#define OWN in->op[1].size

CONVERT(cvtdq2ps, SAME, 32, 4, int_to_f32(c.from->s32[i], &c.env))
CONVERT(cvtps2dq, SAME, 32, 4, f32_to_int(c.from->u32[i], 4, false, &c.env))
CONVERT(cvttps2dq, SAME, 32, 4, f32_to_int(c.from->u32[i], 4, true, &c.env))
CONVERT(cvtdq2pd, HALF, 64, 4, int_to_f64(c.from->s32[i], &c.env))
CONVERT(cvtps2pd, HALF, 64, 4, f32_to_f64(c.from->u32[i], &c.env))
CONVERT(cvtpd2dq, OWN, 32, 8, f64_to_int(c.from->u64[i], 4, false, &c.env))
CONVERT(cvttpd2dq, OWN, 32, 8, f64_to_int(c.from->u64[i], 4, true, &c.env))
CONVERT(cvtpd2ps, OWN, 32, 8, f64_to_f32(c.from->u64[i], &c.env))
CONVERT(vcvtph2ps, HALF, 32, 2, f16_to_f32(c.from->u16[i], &c.env))

/* VCVTPS2PH: imm8[1:0] is the rounding mode, or MXCSR's with imm8[2]. The destination, which may be memory, is half
 * as wide as the source; a register's rest is cleared. A fault of the store comes before #XF (measured on Zen 4). */
enum step insn_vcvtps2ph(struct vcpu *cpu, const struct insn *in)
{
    struct convert c;
    unsigned size = in->op[1].size;
    enum step step = convert_begin(cpu, in, size, &c);
    if (step != STEP_NEXT)
        return step;
    if (!(in->imm & 4))
        c.env.rounding = in->imm & 3;
    for (unsigned i = 0; i < size / 4; i++)
        c.to.u16[i] = f32_to_f16(c.from->u32[i], &c.env);
    if (in->op[0].kind != OPERAND_MEM)
        return fp_finish(cpu, in, &c.env, 16, &c.to);
    bool stops = c.env.flags & ~c.env.masks;
    step = stops ? vector_touch(cpu, in, size / 2) : vector_store(cpu, in, size / 2, &c.to);
    return step == STEP_NEXT ? fp_report(cpu, &c.env) : step;
}

/* --- scalar between formats -------------------------------------------------------------------------- */

enum step insn_cvtss2sd(struct vcpu *cpu, const struct insn *in)
{
    uint32_t value;
    enum step step = fp_load32(cpu, in, fp_first(in) + 1, &value);
    if (step != STEP_NEXT)
        return step;
    struct fp_env env;
    fp_env_simd(cpu, &env);
    uint64_t result = f32_to_f64(value, &env);
    return fp_finish64(cpu, in, &env, result);
}

enum step insn_cvtsd2ss(struct vcpu *cpu, const struct insn *in)
{
    uint64_t value;
    enum step step = fp_load64(cpu, in, fp_first(in) + 1, &value);
    if (step != STEP_NEXT)
        return step;
    struct fp_env env;
    fp_env_simd(cpu, &env);
    uint32_t result = f64_to_f32(value, &env);
    return fp_finish32(cpu, in, &env, result);
}

/* --- scalar and general registers ---------------------------------------------------------------------- */

/* CVTSI2SS, CVTSI2SD: the source is a general register or memory of 4 or 8 bytes. */
EMU_MUST_USE static enum step load_integer(struct vcpu *cpu, const struct insn *in, int64_t *value)
{
    unsigned n = fp_first(in) + 1, size = in->op[n].size;
    uint64_t bits = 0;
    if (in->op[n].kind == OPERAND_REG) {
        bits = reg_read(cpu, in->op[n].reg, size);
    } else {
        enum step step = vector_load(cpu, in, size, &bits);
        if (step != STEP_NEXT)
            return step;
    }
    *value = sign_extend(bits, size);
    return STEP_NEXT;
}

enum step insn_cvtsi2ss(struct vcpu *cpu, const struct insn *in)
{
    int64_t value;
    enum step step = load_integer(cpu, in, &value);
    if (step != STEP_NEXT)
        return step;
    struct fp_env env;
    fp_env_simd(cpu, &env);
    uint32_t result = int_to_f32(value, &env);
    return fp_finish32(cpu, in, &env, result);
}

enum step insn_cvtsi2sd(struct vcpu *cpu, const struct insn *in)
{
    int64_t value;
    enum step step = load_integer(cpu, in, &value);
    if (step != STEP_NEXT)
        return step;
    struct fp_env env;
    fp_env_simd(cpu, &env);
    uint64_t result = int_to_f64(value, &env);
    return fp_finish64(cpu, in, &env, result);
}

EMU_INLINE enum step to_register32(struct vcpu *cpu, const struct insn *in, bool truncate)
{
    uint32_t value;
    enum step step = fp_load32(cpu, in, 1, &value);
    if (step != STEP_NEXT)
        return step;
    struct fp_env env;
    fp_env_simd(cpu, &env);
    int64_t result = f32_to_int(value, in->op[0].size, truncate, &env);
    step = fp_report(cpu, &env);
    if (step == STEP_NEXT)
        reg_write(cpu, in->op[0].reg, in->op[0].size, (uint64_t)result);
    return step;
}

EMU_INLINE enum step to_register64(struct vcpu *cpu, const struct insn *in, bool truncate)
{
    uint64_t value;
    enum step step = fp_load64(cpu, in, 1, &value);
    if (step != STEP_NEXT)
        return step;
    struct fp_env env;
    fp_env_simd(cpu, &env);
    int64_t result = f64_to_int(value, in->op[0].size, truncate, &env);
    step = fp_report(cpu, &env);
    if (step == STEP_NEXT)
        reg_write(cpu, in->op[0].reg, in->op[0].size, (uint64_t)result);
    return step;
}

enum step insn_cvtss2si(struct vcpu *cpu, const struct insn *in)
{
    return to_register32(cpu, in, false);
}

enum step insn_cvttss2si(struct vcpu *cpu, const struct insn *in)
{
    return to_register32(cpu, in, true);
}

enum step insn_cvtsd2si(struct vcpu *cpu, const struct insn *in)
{
    return to_register64(cpu, in, false);
}

enum step insn_cvttsd2si(struct vcpu *cpu, const struct insn *in)
{
    return to_register64(cpu, in, true);
}

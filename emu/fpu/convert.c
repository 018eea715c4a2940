/* Conversions between the formats. */
#include "emu/fpu/arith.h"
#include "emu/fpu/fast.h"

/* A number of another format, as `f` holds it. */
EMU_INLINE struct fp_num convert(struct fp_num a, const struct fp_format *f, struct fp_env *env)
{
    env->rounded_up = false;
    if (EMU_LIKELY(a.kind == KIND_FINITE)) {
        if (fp_denormal_operand(a.denormal, env))
            return a;
        return fp_round(a.sign, a.exp, a.mant, 0, f, env);
    }
    if (a.kind == KIND_UNSUPPORTED)
        return fp_invalid(env);
    if (!fp_is_nan(a))
        return a;
    if (a.kind == KIND_SNAN)
        fp_raise(env, FP_IE);
    return fp_quiet(a);
}

uint32_t f16_to_f32(uint16_t a, struct fp_env *env)
{
    struct fp_num num = f16_unpack(a);
    num.denormal = false;
    return f32_pack(convert(num, &f32_format, env));
}

uint16_t f32_to_f16(uint32_t a, struct fp_env *env)
{
    bool ftz = env->ftz;
    env->ftz = false;
    uint16_t result = f16_pack(convert(f32_unpack(a, env), &f16_format, env));
    env->ftz = ftz;
    return result;
}

uint64_t f32_to_f64(uint32_t a, struct fp_env *env)
{
    uint64_t result;
    if (EMU_LIKELY(f32_fast_to_f64(a, &result)))
        return result;
    return f64_pack(convert(f32_unpack(a, env), &f64_format, env));
}

uint32_t f64_to_f32(uint64_t a, struct fp_env *env)
{
    uint32_t result;
    if (EMU_LIKELY(fp_fast(env) && f64_fast_to_f32(a, &result, &env->flags)))
        return result;
    return f32_pack(convert(f64_unpack(a, env), &f32_format, env));
}

struct f80 f32_to_f80(uint32_t a, struct fp_env *env)
{
    return f80_pack(convert(fp_unpack(a, 8, 23), &f80_format, env));
}

struct f80 f64_to_f80(uint64_t a, struct fp_env *env)
{
    return f80_pack(convert(fp_unpack(a, 11, 52), &f80_format, env));
}

/* A store of x87. A denormal operand is no exception, and nothing is stored with an unmasked overflow or underflow: no
 * inexact result then (Zen 4). */
EMU_INLINE struct fp_num store(struct f80 a, const struct fp_format *f, struct fp_env *env)
{
    struct fp_num num = f80_unpack(a);
    uint8_t before = env->flags;
    num.denormal = false;
    env->flags = 0;
    num = convert(num, f, env);
    if (env->flags & ~env->masks & (FP_OE | FP_UE)) {
        env->flags &= (uint8_t)~FP_PE;
        env->rounded_up = false;
    }
    env->flags |= before;
    return num;
}

uint32_t f80_to_f32(struct f80 a, struct fp_env *env)
{
    return f32_pack(store(a, &f32_format, env));
}

uint64_t f80_to_f64(struct f80 a, struct fp_env *env)
{
    return f64_pack(store(a, &f64_format, env));
}

/* Arithmetic of binary32 and binary64. */
#include "emu/fpu/arith.h"
#include "emu/fpu/fast.h"

/* Both formats of an operation of two operands that gives a number. */
#define OPERATION(op)                                                                       \
    uint32_t f32_##op(uint32_t a, uint32_t b, struct fp_env *env)                           \
    {                                                                                       \
        uint32_t result;                                                                    \
        if (EMU_LIKELY(fp_fast(env) && f32_fast_##op(a, b, &result, &env->flags)))          \
            return result;                                                                  \
        return f32_pack(fp_##op(f32_unpack(a, env), f32_unpack(b, env), &f32_format, env)); \
    }                                                                                       \
    uint64_t f64_##op(uint64_t a, uint64_t b, struct fp_env *env)                           \
    {                                                                                       \
        uint64_t result;                                                                    \
        if (EMU_LIKELY(fp_fast(env) && f64_fast_##op(a, b, &result, &env->flags)))          \
            return result;                                                                  \
        return f64_pack(fp_##op(f64_unpack(a, env), f64_unpack(b, env), &f64_format, env)); \
    }

OPERATION(add)
OPERATION(sub)
OPERATION(mul)
OPERATION(div)

uint32_t f32_sqrt(uint32_t a, struct fp_env *env)
{
    uint32_t result;
    if (EMU_LIKELY(fp_fast(env) && f32_fast_sqrt(a, &result, &env->flags)))
        return result;
    return f32_pack(fp_sqrt(f32_unpack(a, env), &f32_format, env));
}

uint64_t f64_sqrt(uint64_t a, struct fp_env *env)
{
    uint64_t result;
    if (EMU_LIKELY(fp_fast(env) && f64_fast_sqrt(a, &result, &env->flags)))
        return result;
    return f64_pack(fp_sqrt(f64_unpack(a, env), &f64_format, env));
}

uint32_t f32_fma(uint32_t a, uint32_t b, uint32_t c, struct fp_env *env)
{
    uint32_t result;
    if (EMU_LIKELY(fp_fast(env) && f32_fast_fma(a, b, c, &result, &env->flags)))
        return result;
    struct fp_num x = f32_unpack(a, env), y = f32_unpack(b, env), z = f32_unpack(c, env);
    return f32_pack(fp_fma(x, y, z, &f32_format, env));
}

uint64_t f64_fma(uint64_t a, uint64_t b, uint64_t c, struct fp_env *env)
{
    uint64_t result;
    if (EMU_LIKELY(fp_fast(env) && f64_fast_fma(a, b, c, &result, &env->flags)))
        return result;
    struct fp_num x = f64_unpack(a, env), y = f64_unpack(b, env), z = f64_unpack(c, env);
    return f64_pack(fp_fma(x, y, z, &f64_format, env));
}

enum fp_relation f32_compare(uint32_t a, uint32_t b, bool quiet, struct fp_env *env)
{
    enum fp_relation relation;
    if (EMU_LIKELY(f32_fast_compare(a, b, &relation)))
        return relation;
    return fp_compare(f32_unpack(a, env), f32_unpack(b, env), quiet, env);
}

enum fp_relation f64_compare(uint64_t a, uint64_t b, bool quiet, struct fp_env *env)
{
    enum fp_relation relation;
    if (EMU_LIKELY(f64_fast_compare(a, b, &relation)))
        return relation;
    return fp_compare(f64_unpack(a, env), f64_unpack(b, env), quiet, env);
}

/* MINPS, MAXPS hand one operand through: `wanted` is the relation of a to b that gives a. A denormal becomes a zero with
 * daz, a NaN stays as it is. */
#define SELECT(name, wanted)                                                             \
    uint32_t f32_##name(uint32_t a, uint32_t b, struct fp_env *env)                      \
    {                                                                                    \
        enum fp_relation order = f32_compare(a, b, false, env);                          \
        uint32_t value = order == (wanted) ? a : b;                                      \
        return env->daz && value << 1 >> 24 == 0 ? value & UINT32_C(0x80000000) : value; \
    }                                                                                    \
    uint64_t f64_##name(uint64_t a, uint64_t b, struct fp_env *env)                      \
    {                                                                                    \
        enum fp_relation order = f64_compare(a, b, false, env);                          \
        uint64_t value = order == (wanted) ? a : b;                                      \
        return env->daz && value << 1 >> 53 == 0 ? value & FP_INTEGER_BIT : value;       \
    }

SELECT(min, FP_LESS)
SELECT(max, FP_GREATER)

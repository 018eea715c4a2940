/* Integers, and numbers with integral values. */
#include "emu/fpu/arith.h"
#include "emu/fpu/fast.h"

/* To an integer of `size` bytes. */
static int64_t to_int(struct fp_num a, unsigned size, bool truncate, struct fp_env *env)
{
    uint64_t limit = UINT64_C(1) << (8 * size - 1); /* the magnitude of the most negative number */
    int64_t indefinite = -(int64_t)(limit - 1) - 1;
    env->rounded_up = false;
    if (a.kind >= KIND_INFINITY || a.exp > 63) {
        fp_raise(env, FP_IE);
        return indefinite;
    }
    struct fp_integer i = fp_integer(a, truncate ? FP_ROUND_ZERO : env->rounding);
    if (i.carry || i.value > limit - !a.sign) {
        fp_raise(env, FP_IE);
        return indefinite;
    }
    if (i.inexact)
        fp_raise(env, FP_PE);
    env->rounded_up = i.up;
    return (int64_t)(a.sign ? 0 - i.value : i.value);
}

int64_t f32_to_int(uint32_t a, unsigned size, bool truncate, struct fp_env *env)
{
    int64_t result;
    if (EMU_LIKELY((truncate || fp_fast(env)) &&
                   f32_fast_to_int(a, size, truncate, &result, &env->flags)))
        return result;
    return to_int(f32_unpack(a, env), size, truncate, env);
}

int64_t f64_to_int(uint64_t a, unsigned size, bool truncate, struct fp_env *env)
{
    int64_t result;
    if (EMU_LIKELY((truncate || fp_fast(env)) &&
                   f64_fast_to_int(a, size, truncate, &result, &env->flags)))
        return result;
    return to_int(f64_unpack(a, env), size, truncate, env);
}

int64_t f80_to_int(struct f80 a, unsigned size, bool truncate, struct fp_env *env)
{
    return to_int(f80_unpack(a), size, truncate, env);
}

/* An integer, not rounded. */
static struct fp_num from_int(int64_t a)
{
    if (a == 0)
        return fp_zero(false);
    uint64_t magnitude = a < 0 ? 0 - (uint64_t)a : (uint64_t)a;
    unsigned shift = EMU_CLZ64(magnitude);
    return (struct fp_num){
        .mant = magnitude << shift, .exp = 63 - (int)shift, .kind = KIND_FINITE, .sign = a < 0
    };
}

EMU_INLINE struct fp_num round_int(int64_t a, const struct fp_format *f, struct fp_env *env)
{
    struct fp_num num = from_int(a);
    env->rounded_up = false;
    return num.kind == KIND_ZERO ? num : fp_round(num.sign, num.exp, num.mant, 0, f, env);
}

uint32_t int_to_f32(int64_t a, struct fp_env *env)
{
    uint32_t result;
    if (EMU_LIKELY(fp_fast(env) && int_fast_to_f32(a, &result, &env->flags)))
        return result;
    return f32_pack(round_int(a, &f32_format, env));
}

uint64_t int_to_f64(int64_t a, struct fp_env *env)
{
    uint64_t result;
    if (EMU_LIKELY(int_fast_to_f64(a, &result)))
        return result;
    return f64_pack(round_int(a, &f64_format, env));
}

struct f80 int_to_f80(int64_t a)
{
    return f80_pack(from_int(a));
}

/* To an integral value. `precision` is the format's: from its last bit's weight 1 on every number is integral. */
static struct fp_num round_integral(struct fp_num a, int precision, bool exact, struct fp_env *env)
{
    env->rounded_up = false;
    if (a.kind == KIND_UNSUPPORTED)
        return fp_invalid(env);
    if (a.kind == KIND_SNAN)
        fp_raise(env, FP_IE);
    if (fp_is_nan(a))
        return fp_quiet(a);
    if (a.kind != KIND_FINITE || a.exp >= precision - 1)
        return a;
    struct fp_integer i = fp_integer(a, env->rounding);
    if (i.inexact && !exact)
        fp_raise(env, FP_PE);
    env->rounded_up = i.up;
    if (i.carry) /* of 64 bits of precision */
        return (struct fp_num){
            .mant = FP_INTEGER_BIT, .exp = 64, .kind = KIND_FINITE, .sign = a.sign
        };
    if (i.value == 0)
        return fp_zero(a.sign);
    unsigned shift = EMU_CLZ64(i.value);
    return (struct fp_num){
        .mant = i.value << shift, .exp = 63 - (int)shift, .kind = KIND_FINITE, .sign = a.sign
    };
}

/* Denormal operands are no exception of ROUNDPS. */
uint32_t f32_round(uint32_t a, bool exact, struct fp_env *env)
{
    uint64_t wide;
    bool inexact;
    if (EMU_LIKELY(f32_fast_to_f64(a, &wide) &&
                   f64_fast_round(wide, env->rounding, &wide, &inexact))) {
        fp_fast_inexact(inexact && !exact, &env->flags);
        return f32_bits((float)f64_native(wide));
    }
    return f32_pack(round_integral(f32_unpack(a, env), 24, exact, env));
}

uint64_t f64_round(uint64_t a, bool exact, struct fp_env *env)
{
    uint64_t result;
    bool inexact;
    if (EMU_LIKELY(f64_fast_round(a, env->rounding, &result, &inexact))) {
        fp_fast_inexact(inexact && !exact, &env->flags);
        return result;
    }
    return f64_pack(round_integral(f64_unpack(a, env), 53, exact, env));
}

/* FRNDINT. */
struct f80 f80_round(struct f80 a, struct fp_env *env)
{
    struct fp_num num = f80_unpack(a);
    env->rounded_up = false;
    if (fp_denormal_operand(num.denormal, env))
        return a;
    return f80_pack(round_integral(num, 64, false, env));
}

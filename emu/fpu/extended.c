/* Arithmetic of the double-extended format: x87. */
#include "emu/fpu/arith.h"
#include "emu/fpu/fast_extended.h"

/* One copy of each operation for each precision that FCW.PC can ask for. */
#define PRECISIONS(op, ...)                                              \
    switch (env->precision) {                                            \
    case 24: return f80_pack(fp_##op(__VA_ARGS__, &f80_format_24, env)); \
    case 53: return f80_pack(fp_##op(__VA_ARGS__, &f80_format_53, env)); \
    default: return f80_pack(fp_##op(__VA_ARGS__, &f80_format, env));    \
    }

#define OPERATION(op)                                                                        \
    EMU_NOINLINE static struct f80 slow_##op(struct f80 a, struct f80 b, struct fp_env *env) \
    {                                                                                        \
        struct fp_num x = f80_unpack(a), y = f80_unpack(b);                                  \
        PRECISIONS(op, x, y)                                                                 \
    }                                                                                        \
    struct f80 f80_##op(struct f80 a, struct f80 b, struct fp_env *env)                      \
    {                                                                                        \
        struct f80 result;                                                                   \
        if (EMU_LIKELY(f80_fast(env) && f80_fast_##op(a, b, &result, env)))                  \
            return result;                                                                   \
        return slow_##op(a, b, env);                                                         \
    }

OPERATION(add)
OPERATION(sub)
OPERATION(mul)

struct f80 f80_div(struct f80 a, struct f80 b, struct fp_env *env)
{
    struct fp_num x = f80_unpack(a), y = f80_unpack(b);
    PRECISIONS(div, x, y)
}

struct f80 f80_sqrt(struct f80 a, struct fp_env *env)
{
    PRECISIONS(sqrt, f80_unpack(a))
}

enum fp_relation f80_compare(struct f80 a, struct f80 b, bool quiet, struct fp_env *env)
{
    return fp_compare(f80_unpack(a), f80_unpack(b), quiet, env);
}

enum fp_class f80_class(struct f80 a)
{
    struct fp_num num = f80_unpack(a);
    switch (num.kind) {
    case KIND_ZERO: return FP_CLASS_ZERO;
    case KIND_FINITE: return num.denormal ? FP_CLASS_DENORMAL : FP_CLASS_NORMAL;
    case KIND_INFINITY: return FP_CLASS_INFINITY;
    case KIND_UNSUPPORTED: return FP_CLASS_UNSUPPORTED;
    default: return FP_CLASS_NAN;
    }
}

/* Unmasked overflow or underflow so far out that the biased exponent has no place either: infinity or zero, whatever the
 * rounding (Zen 4). */
static struct fp_num out_of_bias(struct fp_num num, struct fp_env *env)
{
    if (num.kind != KIND_FINITE || (num.exp >= f80_format.emin && num.exp <= f80_format.emax))
        return num;
    fp_raise(env, FP_PE);
    env->rounded_up = num.exp > 0;
    return num.exp > 0 ? fp_infinity(num.sign) : fp_zero(num.sign);
}

/* FSCALE. */
struct f80 f80_scale(struct f80 a, struct f80 b, struct fp_env *env)
{
    struct fp_num x = f80_unpack(a), y = f80_unpack(b), result;
    env->rounded_up = false;
    if (fp_nan_result(x, y, &result, env))
        return f80_pack(result);
    if (y.kind == KIND_INFINITY) {
        if (x.kind == (y.sign ? KIND_INFINITY : KIND_ZERO))
            return f80_pack(fp_invalid(env));
        fp_denormal_operand(x.denormal, env);
        return f80_pack(y.sign ? fp_zero(x.sign) : fp_infinity(x.sign));
    }
    if (fp_denormal_operand(x.denormal || y.denormal, env) || x.kind != KIND_FINITE)
        return a;

    int power = 0; /* beyond 2^17 every result is out of range in the same way */
    if (y.kind == KIND_FINITE && y.exp >= 0)
        power = y.exp >= 17 ? 1 << 17 : (int)(y.mant >> (63 - y.exp));
    result = fp_round(x.sign, x.exp + (y.sign ? -power : power), x.mant, 0, &f80_format, env);
    return f80_pack(out_of_bias(result, env));
}

/* FXTRACT. */
struct f80 f80_extract(struct f80 a, struct f80 *exponent, struct fp_env *env)
{
    struct fp_num x = f80_unpack(a), result;
    env->rounded_up = false;
    if (fp_nan_result(x, x, &result, env)) {
        *exponent = f80_pack(result);
        return *exponent;
    }
    if (x.kind == KIND_ZERO) {
        fp_raise(env, FP_ZE);
        *exponent = f80_pack(fp_infinity(true));
        return a;
    }
    if (x.kind == KIND_INFINITY) {
        *exponent = f80_pack(fp_infinity(false));
        return a;
    }
    fp_denormal_operand(x.denormal, env);
    *exponent = int_to_f80(x.exp);
    x.exp = 0;
    return f80_pack(x);
}

/* Rounding beyond the normal numbers: overflow, underflow, denormal results. APM vol 1, 4.10 "SIMD Floating-Point Exceptions", 6.8
 * "x87 Floating-Point Exceptions". */
#include "emu/fpu/number.h"

static struct fp_num fp_overflow(bool sign, int exp, struct fp_rounded r, const struct fp_format *f,
                                 struct fp_env *env)
{
    if (!(env->masks & FP_OE))
        return fp_rounded_num(sign, exp - f->bias_adjust, r, FP_OE, env);
    fp_raise(env, FP_OE | FP_PE);
    env->rounded_up =
        env->rounding == FP_ROUND_NEAREST || env->rounding == (sign ? FP_ROUND_DOWN : FP_ROUND_UP);
    if (env->rounded_up)
        return fp_infinity(sign);
    return (struct fp_num){ .mant = ~UINT64_C(0) << (64 - f->precision),
                            .exp = f->emax,
                            .kind = KIND_FINITE,
                            .sign = sign };
}

/* Below the normal numbers. `r` is the rounding with an unbounded exponent: it tells tininess. */
static struct fp_num fp_underflow(bool sign, int exp, uint64_t high, uint64_t low,
                                  struct fp_rounded r, const struct fp_format *f,
                                  struct fp_env *env)
{
    bool tiny = exp < f->emin - 1 || !r.carry;
    if (tiny && !(env->masks & FP_UE))
        return fp_rounded_num(sign, exp + f->bias_adjust, r, FP_UE, env);
    if (tiny && env->ftz) {
        fp_raise(env, FP_UE | FP_PE);
        return fp_zero(sign);
    }
    emu_u128 wide = fp_shift_jam((emu_u128)high << 64 | low, (unsigned)(f->emin - exp));
    r = fp_round_bits(sign, (uint64_t)(wide >> 64), (uint64_t)wide, f->precision, env->rounding);
    return fp_rounded_num(sign, f->emin, r, tiny && r.inexact ? FP_UE : 0, env);
}

struct fp_num fp_round_outside(bool sign, int exp, uint64_t high, uint64_t low,
                               const struct fp_format *f, struct fp_env *env)
{
    struct fp_rounded r = fp_round_bits(sign, high, low, f->precision, env->rounding);
    return exp < f->emin ? fp_underflow(sign, exp, high, low, r, f, env)
                         : fp_overflow(sign, exp, r, f, env);
}

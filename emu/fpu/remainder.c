/* FPREM and FPREM1. APM vol 5, "FPREM", "FPREM1". */
#include "emu/fpu/arith.h"

/* The quotient of dividend * 2^count by divisor, count below 64, both with their integer bits. The remainder is left in
 * *dividend. A 65th bit of the quotient is lost: nobody needs more than three. */
static uint64_t divide(uint64_t *dividend, uint64_t divisor, unsigned count)
{
    uint64_t quotient = *dividend >= divisor;
    if (quotient)
        *dividend -= divisor;
    if (count == 0)
        return quotient;
    return quotient << count |
           fp_divide_128(*dividend >> (64 - count), *dividend << count, divisor, dividend);
}

/* Round the quotient to nearest: `rest`, below the divisor, becomes the distance to the next multiple if that is less, or
 * the same and the quotient odd. */
static bool round_quotient(uint64_t *rest, uint64_t divisor, uint64_t *quotient)
{
    uint64_t other = divisor - *rest;
    if (*rest < other || (*rest == other && !(*quotient & 1)))
        return false;
    *rest = other;
    ++*quotient;
    return true;
}

/* Finite numbers, x not zero. The result is exact, but it may be tiny.
 * CHOICE: one step for exponents that are 64 or more apart takes 32 bits off and the distance modulo 32; the manual lets
 * it be any number from 32 to 63, Zen 4 does this. */
static struct fp_num reduce(struct fp_num x, struct fp_num y, bool nearest, unsigned *quotient,
                            bool *partial, struct fp_env *env)
{
    int distance = x.exp - y.exp, exp = y.exp;
    uint64_t rest = x.mant, q = 0;
    bool turned = false;
    if (distance >= 64) {
        *partial = true;
        divide(&rest, y.mant, 32 + (unsigned)distance % 32);
        exp = x.exp - 32 - distance % 32;
    } else if (distance >= 0) {
        q = divide(&rest, y.mant, (unsigned)distance);
        turned = nearest && round_quotient(&rest, y.mant, &q);
    } else {
        exp = x.exp;
        if (nearest && distance == -1 &&
            x.mant > y.mant) { /* above half of y, which is 2 * y.mant */
            rest = y.mant - (x.mant - y.mant);
            q = 1;
            turned = true;
        }
    }
    *quotient = q & 7;
    if (rest == 0)
        return fp_zero(x.sign);
    unsigned shift = EMU_CLZ64(rest);
    return fp_round(x.sign != turned, exp - (int)shift, rest << shift, 0, &f80_format, env);
}

struct f80 f80_remainder(struct f80 a, struct f80 b, bool nearest, unsigned *quotient,
                         bool *partial, struct fp_env *env)
{
    struct fp_num x = f80_unpack(a), y = f80_unpack(b), result;
    *quotient = 0;
    *partial = false;
    env->rounded_up = false;
    if (fp_nan_result(x, y, &result, env))
        return f80_pack(result);
    if (x.kind == KIND_INFINITY || y.kind == KIND_ZERO)
        return f80_pack(fp_invalid(env));
    if (fp_denormal_operand(x.denormal || y.denormal, env) || x.kind == KIND_ZERO)
        return a;
    if (y.kind == KIND_INFINITY) /* larger than everything */
        y.exp = x.exp + 2;
    return f80_pack(reduce(x, y, nearest, quotient, partial, env));
}

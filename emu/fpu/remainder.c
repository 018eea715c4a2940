/* FPREM and FPREM1. */
#include <limits.h>

#include "emu/fpu/arith.h"

/* The long division of two significands, `count` + 1 bits of quotient. *mant is left with the remainder. */
static uint64_t divide_step(uint64_t *mant, uint64_t divisor, int count, bool *over)
{
    uint64_t rest = *mant, quotient = 0;
    bool carry = *over;
    for (int i = count;; i--) {
        quotient <<= 1;
        if (carry || rest >= divisor) {
            rest -= divisor;
            quotient |= 1;
        }
        if (i == 0)
            break;
        carry = rest >> 63;
        rest <<= 1;
    }
    *mant = rest;
    *over = false;
    return quotient;
}

/* Finite numbers, not zero, |a| * 2 >= |b|: the remainder's exact value, rest * 2^(exp - 63). */
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

    int distance = y.kind == KIND_INFINITY ? INT_MIN : x.exp - y.exp;
    uint64_t rest = x.mant, q = 0;
    bool over = false, sign = x.sign;
    int exp = y.exp;
    if (distance < -1 || (distance == -1 && !nearest))
        return f80_pack(fp_round(x.sign, x.exp, x.mant, 0, &f80_format, env));
    if (distance == -1) {
        /* |a| < |b|: the quotient is 0 or 1, by nearest. |a| > |b| / 2 if the significand is larger. */
        if (x.mant <= y.mant)
            return f80_pack(fp_round(x.sign, x.exp, x.mant, 0, &f80_format, env));
        *quotient = 1;
        /* |b| - |a|, in units of a's last bit: 2 * y - x, fits since x > y. */
        rest = y.mant - (x.mant - y.mant);
        exp = x.exp;
        sign = !sign;
    } else if (distance >= 64) {
        int count = 32 + distance % 32;
        q = divide_step(&rest, y.mant, count, &over);
        exp = x.exp - count;
        *partial = true;
    } else {
        q = divide_step(&rest, y.mant, distance, &over);
        if (nearest && (rest > y.mant - rest || (rest == y.mant - rest && q & 1))) {
            rest = y.mant - rest;
            sign = !sign;
            q++;
        }
        *quotient = q & 7;
    }
    if (rest == 0)
        return f80_pack(fp_zero(x.sign));
    unsigned shift = EMU_CLZ64(rest);
    return f80_pack(fp_round(sign, exp - (int)shift, rest << shift, 0, &f80_format, env));
}

/* Inside emu/fpu: the operations on numbers taken apart. */
#ifndef EMU_FPU_ARITH_H
#define EMU_FPU_ARITH_H

#include "emu/fpu/number.h"

#include <math.h>

/* --- NaNs and denormals ------------------------------------------------------------------ */

/* Which of two operands, one of them a NaN at least, is the result. */
static struct fp_num fp_choose_nan(struct fp_num a, struct fp_num b, struct fp_env *env)
{
    if (a.kind == KIND_SNAN || b.kind == KIND_SNAN)
        fp_raise(env, FP_IE);
    if (!fp_is_nan(a))
        return fp_quiet(b);
    if (!fp_is_nan(b) || !env->x87)
        return fp_quiet(a);
    if (a.kind != b.kind) /* x87: the quiet one */
        return a.kind == KIND_QNAN ? a : b;
    if (a.mant != b.mant) /* the larger significand */
        return fp_quiet(a.mant > b.mant ? a : b);
    return fp_quiet(a.sign ? b : a); /* the positive one */
}

/* Operands that are no numbers: true, and the result. */
EMU_INLINE bool fp_nan_result(struct fp_num a, struct fp_num b, struct fp_num *result,
                              struct fp_env *env)
{
    if (EMU_LIKELY(a.kind <= KIND_INFINITY && b.kind <= KIND_INFINITY))
        return false;
    if (a.kind == KIND_UNSUPPORTED || b.kind == KIND_UNSUPPORTED)
        *result = fp_invalid(env);
    else
        *result = fp_choose_nan(a, b, env);
    return true;
}

/* Report denormal operands. True if that is unmasked: the operation ends there, and what it would report is lost. */
EMU_INLINE bool fp_denormal_operand(bool denormal, struct fp_env *env)
{
    return EMU_UNLIKELY(denormal) && fp_raise(env, FP_DE);
}

/* --- add, multiply, fused -------------------------------------------------------------------- */

/* A sum's or product's exact value: m * 2^(exp - 127), bit 127 of m set; m = 0 is zero. */
struct fp_wide {
    emu_u128 m;
    int exp;
    bool sign;
};

EMU_INLINE struct fp_wide fp_widen(struct fp_num a)
{
    return (struct fp_wide){ .m = a.kind == KIND_ZERO ? 0 : (emu_u128)a.mant << 64,
                             .exp = a.exp,
                             .sign = a.sign };
}

/* The exact sum, but for what bit 0 stands for. Neither is zero. The sum may be: its sign means nothing then. */
EMU_INLINE struct fp_wide fp_wide_add(struct fp_wide a, struct fp_wide b)
{
    if (a.exp < b.exp || (a.exp == b.exp && a.m < b.m)) {
        struct fp_wide swap = a;
        a = b;
        b = swap;
    }
    b.m = fp_shift_jam(b.m, (unsigned)(a.exp - b.exp));
    if (a.sign == b.sign) {
        a.m += b.m;
        if (a.m < b.m) { /* carry */
            a.m = (emu_u128)1 << 127 | a.m >> 1 | (a.m & 1);
            a.exp++;
        }
    } else {
        a.m -= b.m;
        if (a.m != 0) {
            unsigned shift = fp_clz128(a.m);
            a.m <<= shift;
            a.exp -= (int)shift;
        }
    }
    return a;
}

/* a + b, rounded; at most one of them is zero, or both. */
EMU_INLINE struct fp_num fp_add_finite(struct fp_wide a, struct fp_wide b,
                                       const struct fp_format *f, struct fp_env *env)
{
    bool zero_sign = a.sign == b.sign ? a.sign : env->rounding == FP_ROUND_DOWN;
    struct fp_wide sum = a;
    if (a.m == 0)
        sum = b;
    else if (b.m != 0)
        sum = fp_wide_add(a, b);
    if (sum.m == 0)
        return fp_zero(zero_sign);
    return fp_round(sum.sign, sum.exp, (uint64_t)(sum.m >> 64), (uint64_t)sum.m, f, env);
}

/* high:low >> count; what falls out stays visible in bit 0. */
EMU_INLINE void fp_shift_pair(uint64_t *high, uint64_t *low, unsigned count)
{
    if (count == 0)
        return;
    if (EMU_LIKELY(count < 64)) {
        *low = *high << (64 - count);
        *high >>= count;
    } else {
        *low = count < 128 ? *high >> (count & 63) | (*high << 1 << (~count & 63) != 0) : 1;
        *high = 0;
    }
}

/* a + b, finite and neither zero. The same as fp_add_finite() without the lower half of a's and b's significands. */
EMU_INLINE struct fp_num fp_add_normal(struct fp_num a, struct fp_num b, const struct fp_format *f,
                                       struct fp_env *env)
{
    if (a.exp < b.exp || (a.exp == b.exp && a.mant < b.mant)) {
        struct fp_num swap = a;
        a = b;
        b = swap;
    }
    uint64_t high = b.mant, low = 0;
    fp_shift_pair(&high, &low, (unsigned)(a.exp - b.exp));
    if (a.sign == b.sign) {
        high += a.mant;
        if (high < a.mant) { /* carry */
            low = high << 63 | low >> 1 | (low & 1);
            high = FP_INTEGER_BIT | high >> 1;
            a.exp++;
        }
    } else {
        high = a.mant - high - (low != 0);
        low = 0 - low;
        if (!(high & FP_INTEGER_BIT)) {
            if ((high | low) == 0)
                return fp_zero(env->rounding == FP_ROUND_DOWN);
            emu_u128 wide = (emu_u128)high << 64 | low;
            unsigned shift = fp_clz128(wide);
            wide <<= shift;
            high = (uint64_t)(wide >> 64);
            low = (uint64_t)wide;
            a.exp -= (int)shift;
        }
    }
    return fp_round(a.sign, a.exp, high, low, f, env);
}

EMU_INLINE struct fp_num fp_add(struct fp_num a, struct fp_num b, const struct fp_format *f,
                                struct fp_env *env)
{
    struct fp_num result;
    env->rounded_up = false;
    if (EMU_UNLIKELY(a.kind >= KIND_INFINITY || b.kind >= KIND_INFINITY)) {
        if (fp_nan_result(a, b, &result, env))
            return result;
        if (a.kind == b.kind && a.sign != b.sign)
            return fp_invalid(env);
        fp_denormal_operand(a.denormal || b.denormal, env);
        return a.kind == KIND_INFINITY ? a : b;
    }
    if (fp_denormal_operand(a.denormal || b.denormal, env))
        return a;
    if (EMU_UNLIKELY(a.kind == KIND_ZERO || b.kind == KIND_ZERO))
        return fp_add_finite(fp_widen(a), fp_widen(b), f, env);
    return fp_add_normal(a, b, f, env);
}

EMU_INLINE struct fp_num fp_sub(struct fp_num a, struct fp_num b, const struct fp_format *f,
                                struct fp_env *env)
{
    if (!fp_is_nan(b))
        b.sign = !b.sign;
    return fp_add(a, b, f, env);
}

/* The exact product of two finite numbers, not zero. */
EMU_INLINE struct fp_wide fp_product(struct fp_num a, struct fp_num b)
{
    struct fp_wide product = { .m = (emu_u128)a.mant * b.mant,
                               .exp = a.exp + b.exp + 1,
                               .sign = a.sign != b.sign };
    if (!(product.m >> 127)) {
        product.m <<= 1;
        product.exp--;
    }
    return product;
}

EMU_INLINE struct fp_num fp_mul(struct fp_num a, struct fp_num b, const struct fp_format *f,
                                struct fp_env *env)
{
    struct fp_num result;
    bool sign = a.sign != b.sign;
    env->rounded_up = false;
    if (EMU_UNLIKELY(a.kind >= KIND_INFINITY || b.kind >= KIND_INFINITY)) {
        if (fp_nan_result(a, b, &result, env))
            return result;
        if (a.kind == KIND_ZERO || b.kind == KIND_ZERO)
            return fp_invalid(env);
        fp_denormal_operand(a.denormal || b.denormal, env);
        return fp_infinity(sign);
    }
    if (fp_denormal_operand(a.denormal || b.denormal, env))
        return a;
    if (a.kind == KIND_ZERO || b.kind == KIND_ZERO)
        return fp_zero(sign);
    struct fp_wide product = fp_product(a, b);
    return fp_round(sign, product.exp, (uint64_t)(product.m >> 64), (uint64_t)product.m, f, env);
}

/* a * b + c. Three NaN candidates: a, then b, then c. */
EMU_INLINE struct fp_num fp_fma(struct fp_num a, struct fp_num b, struct fp_num c,
                                const struct fp_format *f, struct fp_env *env)
{
    struct fp_num result;
    bool sign = a.sign != b.sign;
    bool denormal = a.denormal || b.denormal || c.denormal;
    bool no_product = (a.kind == KIND_INFINITY && b.kind == KIND_ZERO) ||
                      (a.kind == KIND_ZERO && b.kind == KIND_INFINITY);
    env->rounded_up = false;
    if (EMU_UNLIKELY(a.kind >= KIND_INFINITY || b.kind >= KIND_INFINITY ||
                     c.kind >= KIND_INFINITY)) {
        if (fp_nan_result(a, b, &result, env)) {
            if (c.kind == KIND_SNAN)
                fp_raise(env, FP_IE);
            return result;
        }
        if (fp_is_nan(c)) {
            if (c.kind == KIND_SNAN)
                fp_raise(env, FP_IE);
            return fp_quiet(c);
        }
        bool infinite = a.kind == KIND_INFINITY || b.kind == KIND_INFINITY;
        if (no_product || (infinite && c.kind == KIND_INFINITY && sign != c.sign))
            return fp_invalid(env);
        fp_denormal_operand(denormal, env);
        return infinite ? fp_infinity(sign) : c;
    }
    if (fp_denormal_operand(denormal, env))
        return a;
    struct fp_wide product = { .sign = sign };
    if (a.kind == KIND_FINITE && b.kind == KIND_FINITE)
        product = fp_product(a, b);
    return fp_add_finite(product, fp_widen(c), f, env);
}

/* --- divide, square root ------------------------------------------------------------------- */

/* high:low / divisor, high < divisor, divisor's top bit set. Two digits of 32 bits, each estimated from the divisor's
 * top half and at most 2 too large. */
EMU_INLINE uint64_t fp_divide_128(uint64_t high, uint64_t low, uint64_t divisor,
                                  uint64_t *remainder)
{
    uint64_t top = divisor >> 32, bottom = (uint32_t)divisor, quotient = 0;
    for (int digit = 0; digit < 2; digit++) {
        uint64_t next = digit == 0 ? low >> 32 : (uint32_t)low;
        uint64_t q = high / top, rest = high % top;
        while (q >> 32 || q * bottom > (rest << 32 | next)) {
            q--;
            rest += top;
            if (rest >> 32)
                break;
        }
        high = (high << 32 | next) - q * divisor; /* modulo 2^64: it fits */
        quotient = quotient << 32 | q;
    }
    *remainder = high;
    return quotient;
}

EMU_INLINE struct fp_num fp_div_finite(struct fp_num a, struct fp_num b, const struct fp_format *f,
                                       struct fp_env *env)
{
    uint64_t rest, quotient;
    int exp = a.exp - b.exp;
    if (a.mant >= b.mant) {
        quotient = fp_divide_128(a.mant >> 1, a.mant << 63, b.mant, &rest);
    } else {
        quotient = fp_divide_128(a.mant, 0, b.mant, &rest);
        exp--;
    }
    bool half = rest >= b.mant - rest; /* the next bit of the quotient; then whether more follows */
    uint64_t low = (half ? rest != b.mant - rest : rest != 0) | (uint64_t)half << 63;
    return fp_round(a.sign != b.sign, exp, quotient, low, f, env);
}

EMU_INLINE struct fp_num fp_div(struct fp_num a, struct fp_num b, const struct fp_format *f,
                                struct fp_env *env)
{
    struct fp_num result;
    bool sign = a.sign != b.sign;
    env->rounded_up = false;
    if (EMU_UNLIKELY(a.kind >= KIND_INFINITY || b.kind >= KIND_INFINITY)) {
        if (fp_nan_result(a, b, &result, env))
            return result;
        if (a.kind == b.kind)
            return fp_invalid(env);
        fp_denormal_operand(a.denormal || b.denormal, env);
        return a.kind == KIND_INFINITY ? fp_infinity(sign) : fp_zero(sign);
    }
    if (b.kind == KIND_ZERO) {
        if (a.kind == KIND_ZERO)
            return fp_invalid(env);
        fp_raise(env, FP_ZE);
        return fp_infinity(sign);
    }
    if (fp_denormal_operand(a.denormal || b.denormal, env))
        return a;
    return a.kind == KIND_ZERO ? fp_zero(sign) : fp_div_finite(a, b, f, env);
}

/* The integer square root of a number of 127 or 128 bits, and what is left. The workstation's square root starts it with
 * some 50 bits, one step of Newton's brings all but the last; integers decide, so that nobody has to trust either. */
EMU_INLINE uint64_t fp_sqrt_128(emu_u128 value, emu_u128 *rest)
{
    double estimate = sqrt((double)(uint64_t)(value >> 64)); /* 2^31 to 2^32 */
    uint64_t root = estimate < 0x1p32 ? (uint64_t)(estimate * 0x1p32) : UINT64_MAX;
    emu_s128 left = (emu_s128)(value - (emu_u128)root * root);
    root += (uint64_t)(int64_t)((double)(int64_t)(left >> 32) / (2 * estimate));
    left = (emu_s128)(value - (emu_u128)root * root);
    while (left < 0) {
        root--;
        left += (emu_s128)root * 2 + 1;
    }
    while (left > (emu_s128)root * 2) {
        left -= (emu_s128)root * 2 + 1;
        root++;
    }
    *rest = (emu_u128)left;
    return root;
}

EMU_INLINE struct fp_num fp_sqrt(struct fp_num a, const struct fp_format *f, struct fp_env *env)
{
    struct fp_num result;
    env->rounded_up = false;
    if (fp_nan_result(a, a, &result, env))
        return result;
    if (a.kind == KIND_ZERO)
        return a;
    if (a.sign)
        return fp_invalid(env);
    if (a.kind == KIND_INFINITY || fp_denormal_operand(a.denormal, env))
        return a;

    bool odd = a.exp & 1;
    emu_u128 rest;
    uint64_t root = fp_sqrt_128((emu_u128)a.mant << (odd ? 64 : 63), &rest);
    /* The next bit: rest > root, since the root of an integer is never half way between two. */
    uint64_t low = (uint64_t)(rest > root) << 63 | (rest != 0);
    return fp_round(false, (a.exp - odd) / 2, root, low, f, env);
}

/* --- compare, integral values ---------------------------------------------------------------- */

/* -1, 0, 1: magnitudes of two numbers that are no NaNs. */
EMU_INLINE int fp_compare_magnitude(struct fp_num a, struct fp_num b)
{
    if (a.kind != b.kind)
        return a.kind < b.kind ? -1 : 1;
    if (a.kind != KIND_FINITE)
        return 0;
    if (a.exp != b.exp)
        return a.exp < b.exp ? -1 : 1;
    return a.mant == b.mant ? 0 : a.mant < b.mant ? -1 : 1;
}

EMU_INLINE enum fp_relation fp_compare(struct fp_num a, struct fp_num b, bool quiet,
                                       struct fp_env *env)
{
    env->rounded_up = false;
    if (a.kind > KIND_INFINITY || b.kind > KIND_INFINITY) {
        if (!quiet || a.kind >= KIND_SNAN || b.kind >= KIND_SNAN) /* or unsupported */
            fp_raise(env, FP_IE);
        return FP_UNORDERED;
    }
    fp_denormal_operand(a.denormal || b.denormal, env);
    if (a.kind == KIND_ZERO && b.kind == KIND_ZERO)
        return FP_EQUAL;
    if (a.sign != b.sign)
        return a.sign ? FP_LESS : FP_GREATER;
    int order = fp_compare_magnitude(a, b);
    if (order == 0)
        return FP_EQUAL;
    return (order < 0) != a.sign ? FP_LESS : FP_GREATER;
}

struct fp_integer {
    uint64_t value; /* 0 and carry: 2^64 */
    bool carry, inexact, up;
};

/* The magnitude of a finite number below 2^64, or a zero, as an integer. */
EMU_INLINE struct fp_integer fp_integer(struct fp_num a, uint8_t rounding)
{
    struct fp_integer result = { 0 };
    if (a.kind == KIND_ZERO)
        return result;
    emu_u128 wide = fp_shift_jam((emu_u128)a.mant << 64, (unsigned)(63 - a.exp));
    struct fp_rounded r =
        fp_round_bits(a.sign, (uint64_t)(wide >> 64), (uint64_t)wide, 64, rounding);
    return (struct fp_integer){ r.mant, r.carry, r.inexact, r.up };
}

#endif

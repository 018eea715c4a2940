/* Fast paths of the double-extended format: sums and products of normal numbers, to nearest, with 64 bits of
 * precision. In integers: no workstation but x86 has the format. Like those of fast.h they do all or change nothing. */
#ifndef EMU_FPU_FAST_EXTENDED_H
#define EMU_FPU_FAST_EXTENDED_H

#include "emu/compiler.h"
#include "emu/fpu/fpu.h"

#define F80_INTEGER (UINT64_C(1) << 63)
#define F80_EXPONENT 0x7fffu

/* What FCW has after FNINIT. */
EMU_INLINE bool f80_fast(const struct fp_env *env)
{
    return env->rounding == FP_ROUND_NEAREST && env->precision == 64;
}

EMU_INLINE bool f80_is_normal(struct f80 a)
{
    return (a.se & F80_EXPONENT) - 1 < F80_EXPONENT - 1 && a.mant & F80_INTEGER;
}

/* high:low with the exponent field `exp`, rounded. Not near the ends of the range, where there is more to report. */
EMU_INLINE bool f80_fast_round(unsigned sign, int exp, uint64_t high, uint64_t low,
                               struct f80 *result, struct fp_env *env)
{
    bool up = low > F80_INTEGER || (low == F80_INTEGER && high & 1);
    if (EMU_UNLIKELY((unsigned)exp - 2 > F80_EXPONENT - 4))
        return false;
    high += up;
    if (EMU_UNLIKELY(high == 0)) { /* carry */
        high = F80_INTEGER;
        exp++;
    }
    env->flags |= low ? FP_PE : 0;
    env->rounded_up = up;
    *result = (struct f80){ .mant = high, .se = (uint16_t)(sign | (unsigned)exp) };
    return true;
}

EMU_INLINE bool f80_fast_mul(struct f80 a, struct f80 b, struct f80 *result, struct fp_env *env)
{
    if (EMU_UNLIKELY(!f80_is_normal(a) || !f80_is_normal(b)))
        return false;
    emu_u128 product = (emu_u128)a.mant * b.mant;
    int exp = (a.se & 0x7fff) + (b.se & 0x7fff) - 16382;
    if (!(product >> 127)) {
        product <<= 1;
        exp--;
    }
    return f80_fast_round((a.se ^ b.se) & 0x8000u, exp, (uint64_t)(product >> 64),
                          (uint64_t)product, result, env);
}

/* Exponents less than 64 apart. */
EMU_INLINE bool f80_fast_add(struct f80 a, struct f80 b, struct f80 *result, struct fp_env *env)
{
    if (EMU_UNLIKELY(!f80_is_normal(a) || !f80_is_normal(b)))
        return false;
    int exp = a.se & 0x7fff, distance = exp - (b.se & 0x7fff);
    if (distance < 0 || (distance == 0 && a.mant < b.mant)) {
        struct f80 swap = a;
        a = b;
        b = swap;
        exp = a.se & 0x7fff;
        distance = -distance;
    }
    if (EMU_UNLIKELY(distance > 63))
        return false;
    uint64_t high = b.mant >> distance, low = b.mant << 1 << (63 - distance);
    if (!((a.se ^ b.se) & 0x8000)) {
        high += a.mant;
        if (high < a.mant) { /* carry */
            low = high << 63 | low >> 1 | (low & 1);
            high = F80_INTEGER | high >> 1;
            exp++;
        }
    } else {
        high = a.mant - high - (low != 0);
        low = 0 - low;
        if (EMU_UNLIKELY(high == 0))
            return false;
        unsigned shift = EMU_CLZ64(high);
        high = high << shift | low >> 1 >> (63 - shift);
        low <<= shift;
        exp -= (int)shift;
    }
    return f80_fast_round(a.se & 0x8000u, exp, high, low, result, env);
}

EMU_INLINE bool f80_fast_sub(struct f80 a, struct f80 b, struct f80 *result, struct fp_env *env)
{
    b.se ^= 0x8000;
    return f80_fast_add(a, b, result, env);
}

#endif

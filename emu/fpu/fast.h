/* Fast paths: the workstation's FPU where its result is provably the one that fpu.h asks for.
 *
 * Each f<bits>_fast_<operation>() does the whole operation and returns true, or changes nothing and returns false: then
 * the function of fpu.h does it (which tries the fast path itself). The caller has checked that rounding is to nearest:
 * fp_fast(), or MXCSR.RC. daz, ftz and masks need no look: operands are zeros or normal numbers, results too, none near an
 * end of the range; no exception but PE can come of that. *flags gets PE if the result is inexact. If PE is there
 * already, nobody needs to know, and the check is saved.
 *
 * This rests on IEEE 754 arithmetic of float and double in the environment that every thread starts with: to nearest,
 * denormals not flushed, exceptions masked, which pacifica_machine_run() sees to; and on -ffp-contract=off. Nothing else of
 * the workstation shows. */
#ifndef EMU_FPU_FAST_H
#define EMU_FPU_FAST_H

#include "emu/compiler.h"
#include "emu/fpu/fpu.h"

#include <float.h>
#include <math.h>
#include <string.h>

#if FLT_EVAL_METHOD != 0
#error "float and double must be computed in their own precision"
#endif

EMU_INLINE bool fp_fast(const struct fp_env *env)
{
    return env->rounding == FP_ROUND_NEAREST;
}

/* --- bits --------------------------------------------------------------------------------------- */

EMU_INLINE float f32_native(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

EMU_INLINE double f64_native(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

EMU_INLINE uint32_t f32_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

EMU_INLINE uint64_t f64_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

/* The exponent field is in first..last: 1..254 and 1..2046 are the normal numbers. */
EMU_INLINE bool f32_between(uint32_t a, unsigned first, unsigned last)
{
    return (a >> 23 & 0xff) - first <= last - first;
}

EMU_INLINE bool f64_between(uint64_t a, unsigned first, unsigned last)
{
    return ((unsigned)(a >> 52) & 0x7ff) - first <= last - first;
}

EMU_INLINE bool f32_is_zero(uint32_t a)
{
    return a << 1 == 0;
}

EMU_INLINE bool f64_is_zero(uint64_t a)
{
    return a << 1 == 0;
}

/* A normal number or a zero. */
EMU_INLINE bool f32_is_plain(uint32_t a)
{
    return EMU_LIKELY(f32_between(a, 1, 254)) || f32_is_zero(a);
}

EMU_INLINE bool f64_is_plain(uint64_t a)
{
    return EMU_LIKELY(f64_between(a, 1, 2046)) || f64_is_zero(a);
}

/* The significand of a normal number as an integer of 53 bits. */
EMU_INLINE uint64_t f64_significand(uint64_t a)
{
    return (a & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1) << 52;
}

EMU_INLINE void fp_fast_inexact(bool inexact, uint8_t *flags)
{
    *flags |= inexact ? FP_PE : 0;
}

/* --- binary64 ----------------------------------------------------------------------------------- */

/* What x + y loses, exactly (Knuth's two-sum). Operands and sum stay below the last binade: no step overflows. */
EMU_INLINE double f64_sum_error(double x, double y, double sum)
{
    double part = sum - x;
    return (x - (sum - part)) + (y - part);
}

/* A sum of zero is exact: +0, and -0 of two of them. */
EMU_INLINE bool f64_fast_add(uint64_t a, uint64_t b, uint64_t *result, uint8_t *flags)
{
    double x = f64_native(a), y = f64_native(b), sum = x + y;
    uint64_t r = f64_bits(sum);
    if (EMU_UNLIKELY(!f64_between(a, 1, 2045)) && !f64_is_zero(a))
        return false;
    if (EMU_UNLIKELY(!f64_between(b, 1, 2045)) && !f64_is_zero(b))
        return false;
    if (EMU_UNLIKELY(!f64_between(r, 2, 2045)) && !f64_is_zero(r))
        return false;
    if (!(*flags & FP_PE))
        fp_fast_inexact(f64_sum_error(x, y, sum) != 0, flags);
    *result = r;
    return true;
}

EMU_INLINE bool f64_fast_sub(uint64_t a, uint64_t b, uint64_t *result, uint8_t *flags)
{
    return f64_fast_add(a, b ^ UINT64_C(1) << 63, result, flags);
}

/* The product of the significands has 52 bits below the result's last one, or 53 if it reaches 2^105. They are the low
 * bits of an integer product, whatever overflows above. A product below 2^105 keeps the sum of the exponents. */
EMU_INLINE bool f64_product_inexact(uint64_t a, uint64_t b, uint64_t r)
{
    uint64_t low = f64_significand(a) * f64_significand(b);
    unsigned carried = (unsigned)((r >> 52) - (a >> 52) - (b >> 52) + 1023) & 0x7ff;
    return low << (12 - carried) != 0;
}

EMU_INLINE bool f64_fast_mul(uint64_t a, uint64_t b, uint64_t *result, uint8_t *flags)
{
    uint64_t r = f64_bits(f64_native(a) * f64_native(b));
    if (EMU_LIKELY(f64_between(a, 1, 2046) && f64_between(b, 1, 2046) && f64_between(r, 2, 2046))) {
        if (!(*flags & FP_PE))
            fp_fast_inexact(f64_product_inexact(a, b, r), flags);
    } else if (!((f64_is_zero(a) && f64_is_plain(b)) || (f64_is_zero(b) && f64_is_plain(a)))) {
        return false;
    }
    *result = r;
    return true;
}

/* Exact if result times divisor is the dividend. The difference is below 2^64: the low bits tell. */
EMU_INLINE bool f64_quotient_inexact(uint64_t a, uint64_t b, uint64_t r)
{
    unsigned shift = (unsigned)((a >> 52) - (b >> 52) - (r >> 52) + 1023 + 52) & 0x7ff;
    return f64_significand(r) * f64_significand(b) != f64_significand(a) << shift;
}

EMU_INLINE bool f64_fast_div(uint64_t a, uint64_t b, uint64_t *result, uint8_t *flags)
{
    uint64_t r = f64_bits(f64_native(a) / f64_native(b));
    if (EMU_UNLIKELY(!f64_between(b, 1, 2046)))
        return false;
    if (EMU_LIKELY(f64_between(a, 1, 2046) && f64_between(r, 2, 2046))) {
        if (!(*flags & FP_PE))
            fp_fast_inexact(f64_quotient_inexact(a, b, r), flags);
    } else if (!f64_is_zero(a)) {
        return false;
    }
    *result = r;
    return true;
}

/* Exact if the root's square is the operand: the same way. */
EMU_INLINE bool f64_fast_sqrt(uint64_t a, uint64_t *result, uint8_t *flags)
{
    if (EMU_UNLIKELY(a >> 63 || !f64_between(a, 1, 2046)))
        return false;
    uint64_t r = f64_bits(sqrt(f64_native(a)));
    if (!(*flags & FP_PE)) {
        unsigned odd = (unsigned)((a >> 52) - 2 * (r >> 52) + 1023) & 1;
        fp_fast_inexact(f64_significand(r) * f64_significand(r) != f64_significand(a) << (52 + odd),
                        flags);
    }
    *result = r;
    return true;
}

/* x * y + z by an instruction of the workstation; false: it has none. */
bool f64_native_fma(double x, double y, double z, double *result);

/* Only when PE is there already: to find what is lost costs more than fpu.h's own way. */
EMU_INLINE bool f64_fast_fma(uint64_t a, uint64_t b, uint64_t c, uint64_t *result,
                             const uint8_t *flags)
{
    double sum;
    if (!(*flags & FP_PE) ||
        EMU_UNLIKELY(!f64_is_plain(a) || !f64_is_plain(b) || !f64_is_plain(c)) ||
        !f64_native_fma(f64_native(a), f64_native(b), f64_native(c), &sum))
        return false;
    if (EMU_UNLIKELY(!f64_between(f64_bits(sum), 2, 2046)))
        return false;
    *result = f64_bits(sum);
    return true;
}

/* Infinities compare like numbers. */
EMU_INLINE bool f64_fast_compare(uint64_t a, uint64_t b, enum fp_relation *result)
{
    double x = f64_native(a), y = f64_native(b);
    if (EMU_UNLIKELY(!f64_between(a, 1, 2047) && !f64_is_zero(a)) ||
        EMU_UNLIKELY(!f64_between(b, 1, 2047) && !f64_is_zero(b)))
        return false;
    if (x < y)
        *result = FP_LESS;
    else if (x > y)
        *result = FP_GREATER;
    else if (x == y)
        *result = FP_EQUAL;
    else
        return false;
    return true;
}

/* --- binary32: in double, whose 53 bits make the second rounding harmless ------------------------ */

EMU_INLINE bool f32_fast_add(uint32_t a, uint32_t b, uint32_t *result, uint8_t *flags)
{
    double x = f32_native(a), y = f32_native(b), sum = x + y;
    float rounded = (float)sum;
    uint32_t r = f32_bits(rounded);
    if (EMU_UNLIKELY(!f32_is_plain(a) || !f32_is_plain(b)))
        return false;
    if (EMU_UNLIKELY(!f32_between(r, 2, 254)) && sum != 0)
        return false;
    if (!(*flags & FP_PE))
        fp_fast_inexact(rounded != sum || f64_sum_error(x, y, sum) != 0, flags);
    *result = r;
    return true;
}

EMU_INLINE bool f32_fast_sub(uint32_t a, uint32_t b, uint32_t *result, uint8_t *flags)
{
    return f32_fast_add(a, b ^ UINT32_C(1) << 31, result, flags);
}

/* The product is exact in double. */
EMU_INLINE bool f32_fast_mul(uint32_t a, uint32_t b, uint32_t *result, uint8_t *flags)
{
    double product = (double)f32_native(a) * (double)f32_native(b);
    float rounded = (float)product;
    uint32_t r = f32_bits(rounded);
    if (EMU_UNLIKELY(!f32_is_plain(a) || !f32_is_plain(b)))
        return false;
    if (EMU_UNLIKELY(!f32_between(r, 2, 254)) && product != 0)
        return false;
    fp_fast_inexact(rounded != product, flags);
    *result = r;
    return true;
}

EMU_INLINE bool f32_fast_div(uint32_t a, uint32_t b, uint32_t *result, uint8_t *flags)
{
    double x = f32_native(a), y = f32_native(b);
    float rounded = (float)(x / y);
    uint32_t r = f32_bits(rounded);
    if (EMU_UNLIKELY(!f32_is_plain(a) || !f32_between(b, 1, 254)))
        return false;
    if (EMU_UNLIKELY(!f32_between(r, 2, 254)) && x != 0)
        return false;
    fp_fast_inexact((double)rounded * y != x, flags);
    *result = r;
    return true;
}

EMU_INLINE bool f32_fast_sqrt(uint32_t a, uint32_t *result, uint8_t *flags)
{
    if (EMU_UNLIKELY(a >> 31 || !f32_between(a, 1, 254)))
        return false;
    double x = f32_native(a);
    float rounded = (float)sqrt(x);
    fp_fast_inexact((double)rounded * (double)rounded != x, flags);
    *result = f32_bits(rounded);
    return true;
}

/* The product is exact; its sum with c is rounded to odd, after which rounding to float is rounding once. */
EMU_INLINE bool f32_fast_fma(uint32_t a, uint32_t b, uint32_t c, uint32_t *result, uint8_t *flags)
{
    double product = (double)f32_native(a) * (double)f32_native(b), addend = f32_native(c);
    double sum = product + addend, lost = f64_sum_error(product, addend, sum);
    if (EMU_UNLIKELY(!f32_is_plain(a) || !f32_is_plain(b) || !f32_is_plain(c)))
        return false;
    if (lost != 0) {
        uint64_t bits = f64_bits(sum);
        if (!(bits & 1))
            bits += (lost > 0) == (sum > 0) ? 1 : UINT64_MAX;
        sum = f64_native(bits);
    }
    float rounded = (float)sum;
    uint32_t r = f32_bits(rounded);
    if (EMU_UNLIKELY(!f32_between(r, 2, 254)) && sum != 0)
        return false;
    fp_fast_inexact(lost != 0 || rounded != sum, flags);
    *result = r;
    return true;
}

EMU_INLINE bool f32_fast_compare(uint32_t a, uint32_t b, enum fp_relation *result)
{
    float x = f32_native(a), y = f32_native(b);
    if (EMU_UNLIKELY(!f32_between(a, 1, 255) && !f32_is_zero(a)) ||
        EMU_UNLIKELY(!f32_between(b, 1, 255) && !f32_is_zero(b)))
        return false;
    if (x < y)
        *result = FP_LESS;
    else if (x > y)
        *result = FP_GREATER;
    else if (x == y)
        *result = FP_EQUAL;
    else
        return false;
    return true;
}

/* --- conversions ------------------------------------------------------------------------------- */

EMU_INLINE bool f32_fast_to_f64(uint32_t a, uint64_t *result)
{
    if (EMU_UNLIKELY(!f32_is_plain(a)))
        return false;
    *result = f64_bits(f32_native(a));
    return true;
}

EMU_INLINE bool f64_fast_to_f32(uint64_t a, uint32_t *result, uint8_t *flags)
{
    double x = f64_native(a);
    float rounded = (float)x;
    uint32_t r = f32_bits(rounded);
    if (EMU_UNLIKELY(!f64_between(a, 1, 2046) || !f32_between(r, 2, 254)) && !f64_is_zero(a))
        return false;
    fp_fast_inexact(rounded != x, flags);
    *result = r;
    return true;
}

/* Adding and taking away 1.5 * 2^52 rounds a number below 2^51 to an integer. */
#define FP_FAST_INTEGER 6755399441055744.0

/* To an integer of `size` bytes, 2, 4 or 8. */
EMU_INLINE bool f64_fast_to_int(uint64_t a, unsigned size, bool truncate, int64_t *result,
                                uint8_t *flags)
{
    double x = f64_native(a);
    if (EMU_UNLIKELY(!f64_between(a, 1, 1023 + 50)) && !f64_is_zero(a))
        return false;
    int64_t integer = (int64_t)(truncate ? x : (x + FP_FAST_INTEGER) - FP_FAST_INTEGER);
    if (EMU_UNLIKELY(integer >> (8 * size - 1) != integer >> 63))
        return false;
    fp_fast_inexact((double)integer != x, flags);
    *result = integer;
    return true;
}

/* To an integral value, with any rounding, below 2^51. */
EMU_INLINE bool f64_fast_round(uint64_t a, uint8_t rounding, uint64_t *result, bool *inexact)
{
    double x = f64_native(a), chopped, value;
    if (EMU_UNLIKELY(!f64_between(a, 1, 1023 + 50)) && !f64_is_zero(a))
        return false;
    chopped = (double)(int64_t)x;
    if (rounding == FP_ROUND_NEAREST) {
        double size = f64_native(a & ~(UINT64_C(1) << 63));
        value = (size + FP_FAST_INTEGER) - FP_FAST_INTEGER;
    } else if (rounding == FP_ROUND_DOWN) {
        value = chopped - (chopped > x);
    } else if (rounding == FP_ROUND_UP) {
        value = chopped + (chopped < x);
    } else {
        value = chopped;
    }
    *inexact = chopped != x;
    *result = (f64_bits(value) & ~(UINT64_C(1) << 63)) | (a & UINT64_C(1) << 63);
    return true;
}

EMU_INLINE bool f32_fast_to_int(uint32_t a, unsigned size, bool truncate, int64_t *result,
                                uint8_t *flags)
{
    return f32_is_plain(a) &&
           f64_fast_to_int(f64_bits(f32_native(a)), size, truncate, result, flags);
}

/* Every integer of 53 bits is a double. */
EMU_INLINE bool int_fast_to_f64(int64_t a, uint64_t *result)
{
    if (EMU_UNLIKELY((uint64_t)a + (UINT64_C(1) << 53) > UINT64_C(1) << 54))
        return false;
    *result = f64_bits((double)a);
    return true;
}

EMU_INLINE bool int_fast_to_f32(int64_t a, uint32_t *result, uint8_t *flags)
{
    if (EMU_UNLIKELY((uint64_t)a + (UINT64_C(1) << 53) > UINT64_C(1) << 54))
        return false;
    float rounded = (float)(double)a;
    fp_fast_inexact((double)rounded != (double)a, flags);
    *result = f32_bits(rounded);
    return true;
}

#endif

/* Inside emu/fpu: numbers taken apart, and the one rounding of the whole library.
 *
 * Every format is taken apart into the same form, so that an operation is written once. A wrapper unpacks, calls the
 * operation and packs; the format is a constant of the wrapper, and the compiler folds it in. */
#ifndef EMU_FPU_NUMBER_H
#define EMU_FPU_NUMBER_H

#include "emu/compiler.h"
#include "emu/fpu/fpu.h"

#define FP_INTEGER_BIT (UINT64_C(1) << 63)
#define FP_QUIET_BIT (UINT64_C(1) << 62)

enum fp_kind { KIND_ZERO, KIND_FINITE, KIND_INFINITY, KIND_QNAN, KIND_SNAN, KIND_UNSUPPORTED };

/* KIND_FINITE: mant * 2^(exp - 63). The integer bit of an operand is set, whatever the format said; that of a rounded
 * result is clear only if the number is denormal, and then exp is the format's emin.
 * NaNs: the significand as the double-extended format has it, the integer bit set. */
struct fp_num {
    uint64_t mant;
    int exp;
    uint8_t kind; /* enum fp_kind */
    bool sign;
    bool denormal; /* an operand that DE reports */
};

struct fp_format {
    int precision;  /* bits of the significand, the integer bit among them */
    int emin, emax; /* exponents of the normal numbers */
    int bias_adjust; /* unmasked UE adds it to a result's exponent, unmasked OE takes it away: x87 registers */
};

static const struct fp_format f16_format = { 11, -14, 15, 0 };
static const struct fp_format f32_format = { 24, -126, 127, 0 };
static const struct fp_format f64_format = { 53, -1022, 1023, 0 };
static const struct fp_format f80_format = { 64, -16382, 16383, 24576 };
static const struct fp_format f80_format_53 = { 53, -16382, 16383, 24576 };
static const struct fp_format f80_format_24 = { 24, -16382, 16383, 24576 };

/* Report exceptions. True if one of them is unmasked. */
EMU_INLINE bool fp_raise(struct fp_env *env, unsigned flags)
{
    env->flags |= (uint8_t)flags;
    return flags & ~env->masks & FP_EXCEPTIONS;
}

EMU_INLINE bool fp_is_nan(struct fp_num a)
{
    return a.kind == KIND_QNAN || a.kind == KIND_SNAN;
}

/* --- packing ------------------------------------------------------------------------------ */

/* A binary interchange format's bits, from its top: sign, `ebits` of exponent, fraction. Denormals come normalised. */
EMU_INLINE struct fp_num fp_unpack(uint64_t bits, int ebits, int fbits)
{
    int emask = (1 << ebits) - 1, bias = emask >> 1;
    uint64_t fraction = bits << (64 - fbits) >> 1;
    int biased = (int)(bits >> fbits) & emask;
    struct fp_num num = { .sign = bits >> (ebits + fbits) & 1 };
    if (EMU_LIKELY(biased != 0 && biased != emask)) {
        num.kind = KIND_FINITE;
        num.exp = biased - bias;
        num.mant = fraction | FP_INTEGER_BIT;
    } else if (biased == emask) {
        num.kind = fraction == 0 ? KIND_INFINITY : fraction & FP_QUIET_BIT ? KIND_QNAN : KIND_SNAN;
        num.mant = fraction | FP_INTEGER_BIT;
    } else if (fraction != 0) {
        unsigned shift = EMU_CLZ64(fraction);
        num.kind = KIND_FINITE;
        num.denormal = true;
        num.exp = 1 - bias - (int)shift;
        num.mant = fraction << shift;
    }
    return num;
}

EMU_INLINE uint64_t fp_pack(struct fp_num num, int ebits, int fbits)
{
    uint64_t emask = (UINT64_C(1) << ebits) - 1, exponent = 0, fraction = 0;
    if (num.kind == KIND_FINITE) {
        if (num.mant & FP_INTEGER_BIT)
            exponent = (uint64_t)(num.exp + (int)(emask >> 1)) & emask;
        fraction = num.mant << 1 >> (64 - fbits);
    } else if (num.kind != KIND_ZERO) {
        exponent = emask;
        fraction = num.kind == KIND_INFINITY ? 0 : num.mant << 1 >> (64 - fbits);
    }
    return (uint64_t)num.sign << (ebits + fbits) | exponent << fbits | fraction;
}

/* With daz a denormal is a zero of its sign. */
EMU_INLINE struct fp_num fp_daz(struct fp_num num, const struct fp_env *env)
{
    if (EMU_UNLIKELY(num.denormal) && env->daz)
        return (struct fp_num){ .kind = KIND_ZERO, .sign = num.sign };
    return num;
}

EMU_INLINE struct fp_num f16_unpack(uint16_t a)
{
    return fp_unpack(a, 5, 10);
}

EMU_INLINE struct fp_num f32_unpack(uint32_t a, const struct fp_env *env)
{
    return fp_daz(fp_unpack(a, 8, 23), env);
}

EMU_INLINE struct fp_num f64_unpack(uint64_t a, const struct fp_env *env)
{
    return fp_daz(fp_unpack(a, 11, 52), env);
}

EMU_INLINE struct fp_num f80_unpack(struct f80 a)
{
    struct fp_num num = { .mant = a.mant, .sign = a.se >> 15, .kind = KIND_FINITE };
    int biased = a.se & 0x7fff;
    num.exp = biased - 16383;
    if (EMU_LIKELY(biased != 0 && biased != 0x7fff && a.mant & FP_INTEGER_BIT))
        return num;
    if (biased == 0) {
        if (a.mant == 0) {
            num.kind = KIND_ZERO;
            return num;
        }
        unsigned shift =
            EMU_CLZ64(a.mant); /* 0: a pseudo-denormal, with the exponent of a denormal */
        num.denormal = true;
        num.exp = -16382 - (int)shift;
        num.mant <<= shift;
    } else if (!(a.mant & FP_INTEGER_BIT)) {
        num.kind = KIND_UNSUPPORTED;
    } else if (a.mant == FP_INTEGER_BIT) {
        num.kind = KIND_INFINITY;
    } else {
        num.kind = a.mant & FP_QUIET_BIT ? KIND_QNAN : KIND_SNAN;
    }
    return num;
}

EMU_INLINE uint16_t f16_pack(struct fp_num num)
{
    return (uint16_t)fp_pack(num, 5, 10);
}

EMU_INLINE uint32_t f32_pack(struct fp_num num)
{
    return (uint32_t)fp_pack(num, 8, 23);
}

EMU_INLINE uint64_t f64_pack(struct fp_num num)
{
    return fp_pack(num, 11, 52);
}

EMU_INLINE struct f80 f80_pack(struct fp_num num)
{
    unsigned biased = 0;
    if (num.kind == KIND_FINITE)
        biased = num.mant & FP_INTEGER_BIT ? (unsigned)(num.exp + 16383) & 0x7fff : 0;
    else if (num.kind == KIND_ZERO)
        num.mant = 0;
    else
        biased = 0x7fff;
    if (num.kind == KIND_INFINITY)
        num.mant = FP_INTEGER_BIT;
    return (struct f80){ .mant = num.mant, .se = (uint16_t)((unsigned)num.sign << 15 | biased) };
}

EMU_INLINE struct fp_num fp_zero(bool sign)
{
    return (struct fp_num){ .kind = KIND_ZERO, .sign = sign };
}

EMU_INLINE struct fp_num fp_infinity(bool sign)
{
    return (struct fp_num){ .kind = KIND_INFINITY, .sign = sign, .mant = FP_INTEGER_BIT };
}

/* The real indefinite. */
EMU_INLINE struct fp_num fp_indefinite(void)
{
    return (
        struct fp_num){ .kind = KIND_QNAN, .sign = true, .mant = FP_INTEGER_BIT | FP_QUIET_BIT };
}

EMU_INLINE struct fp_num fp_invalid(struct fp_env *env)
{
    fp_raise(env, FP_IE);
    return fp_indefinite();
}

EMU_INLINE struct fp_num fp_quiet(struct fp_num nan)
{
    nan.kind = KIND_QNAN;
    nan.mant |= FP_QUIET_BIT;
    return nan;
}

/* --- 128-bit help --------------------------------------------------------------------------- */

/* Shift right; what falls out stays visible in bit 0. */
EMU_INLINE emu_u128 fp_shift_jam(emu_u128 value, unsigned count)
{
    if (count == 0)
        return value;
    if (count >= 128)
        return value != 0;
    return value >> count | (value << (128 - count) != 0);
}

EMU_INLINE unsigned fp_clz128(emu_u128 value) /* not 0 */
{
    uint64_t high = (uint64_t)(value >> 64);
    return high ? EMU_CLZ64(high) : 64 + EMU_CLZ64((uint64_t)value);
}

/* --- rounding --------------------------------------------------------------------------------- */

struct fp_rounded {
    uint64_t mant; /* 0 stands for 2^64 if carry */
    bool carry, inexact, up;
};

/* Round high:low to its topmost `precision` bits. */
EMU_INLINE struct fp_rounded fp_round_bits(bool sign, uint64_t high, uint64_t low, int precision,
                                           uint8_t rounding)
{
    struct fp_rounded r = { .mant = high };
    uint64_t unit = UINT64_C(1) << (64 - precision), fraction, half = FP_INTEGER_BIT;
    if (precision == 64) {
        fraction = low;
    } else {
        fraction = high << (precision & 63) | (low != 0);
        r.mant &= ~(unit - 1);
    }
    if (fraction == 0)
        return r;
    r.inexact = true;
    if (rounding == FP_ROUND_NEAREST)
        r.up = fraction > half || (fraction == half && r.mant & unit);
    else
        r.up = rounding == (sign ? FP_ROUND_DOWN : FP_ROUND_UP);
    if (r.up) {
        r.mant += unit;
        r.carry = r.mant == 0;
    }
    return r;
}

EMU_INLINE struct fp_num fp_rounded_num(bool sign, int exp, struct fp_rounded r, unsigned flags,
                                        struct fp_env *env)
{
    if (r.carry) {
        r.mant = FP_INTEGER_BIT;
        exp++;
    }
    fp_raise(env, flags | (r.inexact ? FP_PE : 0));
    env->rounded_up = r.up;
    return (struct fp_num){
        .mant = r.mant, .exp = exp, .kind = r.mant == 0 ? KIND_ZERO : KIND_FINITE, .sign = sign
    };
}

/* fp_round() beyond the normal numbers. */
struct fp_num fp_round_outside(bool sign, int exp, uint64_t high, uint64_t low,
                               const struct fp_format *f, struct fp_env *env);

/* The number (high:low) * 2^(exp - 127) as the format holds it. high has its integer bit; bit 0 of low may stand for
 * everything below. */
EMU_INLINE struct fp_num fp_round(bool sign, int exp, uint64_t high, uint64_t low,
                                  const struct fp_format *f, struct fp_env *env)
{
    struct fp_rounded r = fp_round_bits(sign, high, low, f->precision, env->rounding);
    if (EMU_UNLIKELY(exp < f->emin || exp + r.carry > f->emax))
        return fp_round_outside(sign, exp, high, low, f, env);
    return fp_rounded_num(sign, exp, r, 0, env);
}

#endif

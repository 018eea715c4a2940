/* x87 transcendental functions, in integer arithmetic of 128 bits.
 *
 * CHOICE: each result is the exact one rounded as RC says, unless the exact one lies within about 2^-115 of itself next to the
 * border between two roundings: better than the 1 ulp of APM vol 1, 6.4.6 "Transcendental Instructions", and the same on
 * every workstation. PC does not count. Zen 4 rounds by RC too and is one ulp off in one case of a hundred.
 * CHOICE: FSIN, FCOS, FSINCOS and FPTAN take pi as 66 bits (C90FDAA22168C234Ch times 2^-66), like Zen 4, from whose results
 * theirs are one ulp away at most, large operands included; the alternative is to reduce by the exact pi. */
#include "emu/fpu/arith.h"
#include "emu/fpu/transcendental_tables.h"

#include <stddef.h>

#define COUNT(table) (sizeof(table) / sizeof(*(table)))
#define ONE ((emu_u128)1 << 127) /* of series: in units of 2^-127 */

/* mant * 2^(exp - 127); bit 127 of mant is set, or mant is 0. */
struct wide {
    emu_u128 mant;
    int exp;
    bool sign;
};

static const struct wide wide_one = { ONE, 0, false };
static const struct wide wide_ln2 = { LN2_MANT_EXP, false };
static const struct wide wide_two_over_ln2 = { TWO_OVER_LN2_MANT_EXP, false };
static const struct wide wide_pi = { PI_MANT_EXP, false };
static const struct wide wide_half_pi = { HALF_PI_MANT_EXP, false };

/* --- arithmetic ---------------------------------------------------------------------------- */

/* The high half of a product, short of it by 2 at most. */
static emu_u128 mul_high(emu_u128 a, emu_u128 b)
{
    uint64_t ah = (uint64_t)(a >> 64), al = (uint64_t)a, bh = (uint64_t)(b >> 64), bl = (uint64_t)b;
    emu_u128 cross1 = (emu_u128)ah * bl, cross2 = (emu_u128)al * bh;
    emu_u128 middle = ((emu_u128)al * bl >> 64) + (uint64_t)cross1 + (uint64_t)cross2;
    return (emu_u128)ah * bh + (cross1 >> 64) + (cross2 >> 64) + (middle >> 64);
}

static struct wide wide_normal(emu_u128 mant, int exp, bool sign)
{
    if (mant == 0)
        return (struct wide){ 0 };
    unsigned shift = fp_clz128(mant);
    return (struct wide){ mant << shift, exp - (int)shift, sign };
}

static struct wide wide_of(struct fp_num a)
{
    return (struct wide){ (emu_u128)a.mant << 64, a.exp, a.sign };
}

static struct wide wide_mul(struct wide a, struct wide b)
{
    return wide_normal(mul_high(a.mant, b.mant), a.exp + b.exp + 1, a.sign != b.sign);
}

static struct wide wide_div(struct wide a, struct wide b)
{
    emu_u128 rest = a.mant, quotient = 0;
    bool carry = false;
    for (unsigned i = 0; i < 128; i++) {
        bool fits = carry || rest >= b.mant;
        if (fits)
            rest -= b.mant;
        quotient = quotient << 1 | fits;
        carry = rest >> 127;
        rest <<= 1;
    }
    return wide_normal(quotient, a.exp - b.exp, a.sign != b.sign);
}

static struct wide wide_add(struct wide a, struct wide b)
{
    if (a.mant == 0 || b.mant == 0)
        return a.mant == 0 ? b : a;
    if (a.exp < b.exp || (a.exp == b.exp && a.mant < b.mant)) {
        struct wide swap = a;
        a = b;
        b = swap;
    }
    emu_u128 small = fp_shift_jam(b.mant, (unsigned)(a.exp - b.exp));
    if (a.sign != b.sign)
        return wide_normal(a.mant - small, a.exp, a.sign);
    emu_u128 sum = a.mant + small;
    if (sum < small)
        return (struct wide){ sum >> 1 | ONE | (sum & 1), a.exp + 1, a.sign };
    return (struct wide){ sum, a.exp, a.sign };
}

static struct wide wide_negate(struct wide a)
{
    a.sign = !a.sign;
    return a;
}

/* |a| < 1 in units of 2^-128. */
static emu_u128 fraction_of(struct wide a)
{
    unsigned shift = (unsigned)(-1 - a.exp);
    return shift < 128 ? a.mant >> shift : 0;
}

/* c0 + c1 z + c2 z^2 ...; z in units of 2^-128, the rest of 2^-127. */
static emu_u128 series(emu_u128 z, const emu_u128 *c, size_t count)
{
    emu_u128 sum = c[count - 1];
    for (size_t k = count - 1; k-- > 0;)
        sum = c[k] + mul_high(z, sum);
    return sum;
}

/* c0 - c1 z + c2 z^2 ..., c0 = 1. Less than 1, however small z is. */
static emu_u128 alternating(emu_u128 z, const emu_u128 *c, size_t count)
{
    emu_u128 sum = c[count - 1];
    for (size_t k = count - 1; k-- > 0;)
        sum = c[k] - mul_high(z, sum);
    return sum == ONE ? ONE - 1 : sum;
}

/* Round to the format. An irrational result is never exact; the others are reported as if they were not (measured on
 * Zen 4). */
static struct f80 rounded(struct wide a, bool irrational, struct fp_env *env)
{
    fp_raise(env, FP_PE | (a.exp < f80_format.emin && !irrational ? FP_UE : 0));
    return f80_pack(fp_round(a.sign, a.exp, (uint64_t)(a.mant >> 64), (uint64_t)a.mant | irrational,
                             &f80_format, env));
}

/* --- sine, cosine, tangent ------------------------------------------------------------------ */

/* |r| <= pi / 4 in both. */
static struct wide sine_near(struct wide r)
{
    emu_u128 sum = alternating(fraction_of(wide_mul(r, r)), sine, COUNT(sine));
    return wide_mul(r, wide_normal(sum, 0, false));
}

static struct wide cosine_near(struct wide r)
{
    emu_u128 sum = alternating(fraction_of(wide_mul(r, r)), cosine, COUNT(cosine));
    return wide_normal(sum, 0, false);
}

/* tan r of r so small that r + r^3 / 3 is exact enough. */
static struct wide tangent_tiny(struct wide r)
{
    r.mant += mul_high(r.mant, fraction_of(wide_mul(r, r)) / 3) | 1;
    return r;
}

/* a = quadrant * pi/2 + result, in exact arithmetic: pi is 66 bits here. */
static struct wide reduce(struct fp_num a, unsigned *quadrant)
{
    const emu_u128 half_pi = W(3, 0x243f6a8885a308d3); /* in units of 2^-65 */
    *quadrant = 0;
    if (a.exp < -1)
        return wide_of(a);
    emu_u128 units = (emu_u128)a.mant << (a.exp + 2), rest = units % half_pi;
    *quadrant = (unsigned)(units / half_pi) & 3;
    bool sign = a.sign;
    if (rest > half_pi / 2) {
        rest = half_pi - rest;
        sign = !sign;
        ++*quadrant;
    }
    if (a.sign)
        *quadrant = -*quadrant;
    *quadrant &= 3;
    return wide_normal(rest, 127 - 65, sign);
}

/* What the three have in common: true if there is a result already. */
static bool angle(struct f80 a, struct fp_num *num, struct f80 *result, bool *out_of_range,
                  struct fp_env *env)
{
    *out_of_range = false;
    *num = f80_unpack(a);
    *result = a;
    if (num->kind == KIND_INFINITY || num->kind == KIND_UNSUPPORTED)
        *result = f80_pack(fp_invalid(env));
    else if (fp_is_nan(*num))
        *result = f80_pack(fp_choose_nan(*num, *num, env));
    else if (num->kind == KIND_FINITE && num->exp >= 63)
        *out_of_range = true;
    else
        return num->kind == KIND_FINITE && fp_denormal_operand(num->denormal, env);
    return true;
}

struct f80 f80_sin(struct f80 a, bool *out_of_range, struct fp_env *env)
{
    struct fp_num num;
    struct f80 result;
    unsigned quadrant;
    if (angle(a, &num, &result, out_of_range, env) || num.kind == KIND_ZERO)
        return result;
    struct wide r = reduce(num, &quadrant);
    struct wide value = quadrant & 1 ? cosine_near(r) : sine_near(r);
    return rounded(quadrant & 2 ? wide_negate(value) : value, true, env);
}

struct f80 f80_cos(struct f80 a, bool *out_of_range, struct fp_env *env)
{
    struct fp_num num;
    struct f80 result;
    unsigned quadrant;
    if (angle(a, &num, &result, out_of_range, env))
        return result;
    if (num.kind == KIND_ZERO)
        return (struct f80){ FP_INTEGER_BIT, 16383 };
    struct wide r = reduce(num, &quadrant);
    struct wide value = quadrant & 1 ? wide_negate(sine_near(r)) : cosine_near(r);
    return rounded(quadrant & 2 ? wide_negate(value) : value, true, env);
}

struct f80 f80_tan(struct f80 a, bool *out_of_range, struct fp_env *env)
{
    struct fp_num num;
    struct f80 result;
    unsigned quadrant;
    if (angle(a, &num, &result, out_of_range, env) || num.kind == KIND_ZERO)
        return result;
    struct wide r = reduce(num, &quadrant), value;
    if (quadrant & 1)
        value = wide_negate(wide_div(cosine_near(r), sine_near(r)));
    else
        value = r.exp < -40 ? tangent_tiny(r) : wide_div(sine_near(r), cosine_near(r));
    return rounded(value, true, env);
}

/* --- 2^a - 1 ---------------------------------------------------------------------------------- */

struct f80 f80_2xm1(struct f80 a, struct fp_env *env)
{
    struct fp_num num = f80_unpack(a);
    if (num.kind == KIND_UNSUPPORTED)
        return f80_pack(fp_invalid(env));
    if (fp_is_nan(num))
        return f80_pack(fp_choose_nan(num, num, env));
    if (num.kind == KIND_INFINITY)
        return num.sign ? (struct f80){ FP_INTEGER_BIT, 0xbfff } : a;
    if (num.kind == KIND_ZERO || fp_denormal_operand(num.denormal, env))
        return a;
    if (num.exp >=
        0) { /* 1 gives 1, -1 gives -0.5. CHOICE: what is larger stays as it is, as on Zen 4 */
        fp_raise(env, FP_PE);
        bool half = num.sign && num.exp == 0 && num.mant == FP_INTEGER_BIT;
        return half ? (struct f80){ FP_INTEGER_BIT, 0xbffe } : a;
    }
    struct wide y = wide_mul(wide_of(num), wide_ln2);
    emu_u128 z = fraction_of(y);
    emu_u128 sum = num.sign ? alternating(z, exponential, COUNT(exponential))
                            : series(z, exponential, COUNT(exponential));
    return rounded(wide_mul(y, wide_normal(sum, 0, false)), true, env);
}

/* --- logarithms --------------------------------------------------------------------------------- */

/* log2((1 + s) / (1 - s)) */
static struct wide log2_of_ratio(struct wide s)
{
    emu_u128 sum = series(fraction_of(wide_mul(s, s)), odd, COUNT(odd));
    return wide_mul(wide_mul(s, wide_normal(sum, 0, false)), wide_two_over_ln2);
}

/* log2 a, a > 0; *exact if a is a power of two. */
static struct wide log2_of(struct wide a, bool *exact)
{
    int whole = a.exp;
    a.exp = 0;
    if (a.mant > SQRT2) {
        a.exp = -1;
        whole++;
    }
    *exact = a.mant == ONE;
    struct wide part = { 0 };
    if (!*exact) {
        struct wide minus_one = wide_one;
        minus_one.sign = true;
        part = log2_of_ratio(wide_div(wide_add(a, minus_one), wide_add(a, wide_one)));
    }
    emu_u128 magnitude = (emu_u128)(whole < 0 ? -(int64_t)whole : whole);
    return wide_add(wide_normal(magnitude, 127, whole < 0), part);
}

/* y times a logarithm whose limits are what they are for x = 0, 1 and infinity. */
static struct f80 log_product(struct fp_num y, struct wide log, bool exact, struct fp_env *env)
{
    bool sign = y.sign != log.sign;
    if (y.kind == KIND_INFINITY)
        return f80_pack(log.mant == 0 ? fp_invalid(env) : fp_infinity(sign));
    if (y.kind == KIND_ZERO || log.mant == 0) /* the sign of log 1 is positive */
        return f80_pack(fp_zero(sign));
    return rounded(wide_mul(wide_of(y), log), !exact, env);
}

static struct f80 log_infinite(struct fp_num y, bool negative, bool divides, struct fp_env *env)
{
    if (y.kind == KIND_ZERO)
        return f80_pack(fp_invalid(env));
    if (divides && y.kind != KIND_INFINITY && fp_raise(env, FP_ZE))
        return f80_pack(y);
    return f80_pack(fp_infinity(y.sign != negative));
}

struct f80 f80_yl2x(struct f80 x80, struct f80 y80, struct fp_env *env)
{
    struct fp_num x = f80_unpack(x80), y = f80_unpack(y80), nan;
    if (fp_nan_result(x, y, &nan, env))
        return f80_pack(nan);
    if (x.kind == KIND_ZERO)
        return log_infinite(y, true, true, env);
    if (x.sign)
        return f80_pack(fp_invalid(env));
    if (x.kind == KIND_INFINITY)
        return fp_denormal_operand(y.denormal, env) ? y80 : log_infinite(y, false, false, env);
    bool exact, one = x.exp == 0 && x.mant == FP_INTEGER_BIT;
    if (one && y.kind == KIND_INFINITY)
        return f80_pack(fp_invalid(env));
    if (fp_denormal_operand(x.denormal || y.denormal, env))
        return y80;
    struct wide log = log2_of(wide_of(x), &exact);
    return log_product(y, log, exact, env);
}

struct f80 f80_yl2xp1(struct f80 x80, struct f80 y80, struct fp_env *env)
{
    struct fp_num x = f80_unpack(x80), y = f80_unpack(y80), nan;
    if (fp_nan_result(x, y, &nan, env))
        return f80_pack(nan);
    if (x.kind == KIND_INFINITY && x.sign)
        return f80_pack(fp_invalid(env));
    if (fp_denormal_operand(x.denormal || y.denormal, env))
        return y80;
    if (x.kind == KIND_INFINITY)
        return log_infinite(y, false, false, env);
    struct wide log = { .sign = x.sign };
    bool exact = true;
    if (x.kind == KIND_ZERO)
        return log_product(y, log, exact, env);
    if (x.sign &&
        x.exp >=
            0) { /* CHOICE: what has no logarithm is its own result, as on Zen 4; APM vol 5 leaves it open */
        log = wide_of(x);
        if (y.kind == KIND_FINITE)
            fp_raise(env, FP_PE);
        return y.kind == KIND_FINITE ? x80 : log_product(y, log, exact, env);
    }
    if (x.exp < -2) {
        struct wide two = wide_one;
        two.exp = 1;
        exact = false;
        log = log2_of_ratio(wide_div(wide_of(x), wide_add(two, wide_of(x))));
    } else {
        log = log2_of(wide_add(wide_one, wide_of(x)), &exact);
    }
    return log_product(y, log, exact, env);
}

/* --- arctangent ----------------------------------------------------------------------------------- */

/* atan t for 0 < t <= 1. */
static struct wide arctangent_of(struct wide t)
{
    struct wide base = { 0 };
    if (t.exp >= -5) {
        emu_u128 fixed = t.mant >> -t.exp; /* in units of 2^-127 */
        unsigned k = (unsigned)((fixed + (ONE >> 5)) >> 123);
        emu_u128 c = (emu_u128)k << 123, product = mul_high(fixed, (emu_u128)k << 123);
        struct wide den = wide_normal((ONE >> 1) + product, 1, false);
        base = wide_normal(arctangent[k], 0, false);
        t = wide_div(wide_normal(fixed > c ? fixed - c : c - fixed, 0, fixed < c), den);
        if (t.mant == 0)
            return base;
    }
    emu_u128 sum = alternating(fraction_of(wide_mul(t, t)), odd, 14);
    return wide_add(base, wide_mul(t, wide_normal(sum, 0, false)));
}

/* An angle that is a multiple of pi/4: n of them. */
static struct f80 eighths(unsigned n, bool sign, struct fp_env *env)
{
    struct wide angle = wide_pi;
    angle.exp = n == 4 ? 1 : n == 2 ? 0 : -1;
    if (n == 3)
        angle = wide_add(angle, wide_half_pi);
    angle.sign = sign;
    return rounded(angle, true, env);
}

struct f80 f80_atan2(struct f80 y80, struct f80 x80, struct fp_env *env)
{
    struct fp_num x = f80_unpack(x80), y = f80_unpack(y80), nan;
    if (fp_nan_result(x, y, &nan, env))
        return f80_pack(nan);
    if (fp_denormal_operand(x.denormal || y.denormal, env))
        return y80;
    if (y.kind == KIND_INFINITY)
        return eighths(x.kind != KIND_INFINITY ? 2 : x.sign ? 3 : 1, y.sign, env);
    if (y.kind == KIND_ZERO || x.kind == KIND_INFINITY)
        return x.sign ? eighths(4, y.sign, env) : f80_pack(fp_zero(y.sign));
    if (x.kind == KIND_ZERO)
        return eighths(2, y.sign, env);

    struct wide a = wide_of(y), b = wide_of(x);
    a.sign = b.sign = false;
    bool steep = a.exp > b.exp || (a.exp == b.exp && a.mant > b.mant);
    struct wide angle = arctangent_of(steep ? wide_div(b, a) : wide_div(a, b));
    if (steep)
        angle = wide_add(wide_half_pi, x.sign ? angle : wide_negate(angle));
    else if (x.sign)
        angle = wide_add(wide_pi, wide_negate(angle));
    angle.sign = y.sign;
    return rounded(angle, true, env);
}

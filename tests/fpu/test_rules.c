/* The rules for special numbers and exceptions, one by one, on any workstation. What stands here was seen on Zen 4 too:
 * test_native_sse.c and test_native_x87.c compare at random. */
#include "emu/fpu/fpu.h"
#include "tests/check_main.h"

#define ONE UINT64_C(0x3ff0000000000000)
#define ZERO UINT64_C(0)
#define MINUS (UINT64_C(1) << 63)
#define INFINITE UINT64_C(0x7ff0000000000000)
#define LARGEST UINT64_C(0x7fefffffffffffff)
#define LEAST_NORMAL UINT64_C(0x0010000000000000)
#define DENORMAL UINT64_C(1)
#define QNAN(payload) (UINT64_C(0x7ff8000000000000) | (payload))
#define SNAN(payload) (UINT64_C(0x7ff0000000000000) | (payload))

static struct fp_env masked(void)
{
    return (struct fp_env){ .masks = FP_EXCEPTIONS, .precision = 64 };
}

static struct fp_env unmasked(unsigned exceptions)
{
    return (struct fp_env){ .masks = FP_EXCEPTIONS & ~exceptions, .precision = 64 };
}

#define ck_result(call, env, value, expected_flags)     \
    do {                                                \
        ck_assert_uint_eq(call, value);                 \
        ck_assert_uint_eq((env).flags, expected_flags); \
        (env).flags = 0;                                \
    } while (0)

#define ck_f80(call, env, head, body, expected_flags)   \
    do {                                                \
        struct f80 got = call;                          \
        ck_assert_uint_eq(got.se, head);                \
        ck_assert_uint_eq(got.mant, body);              \
        ck_assert_uint_eq((env).flags, expected_flags); \
        (env).flags = 0;                                \
    } while (0)

/* --- SSE ------------------------------------------------------------------------------------------ */

START_TEST(sse_nan_is_the_first_operand)
{
    struct fp_env env = masked();
    ck_result(f64_add(QNAN(1), QNAN(2), &env), env, QNAN(1), 0);
    ck_result(f64_add(ONE, QNAN(2), &env), env, QNAN(2), 0);
    ck_result(f64_add(QNAN(1), SNAN(2), &env), env, QNAN(1), FP_IE);
    ck_result(f64_add(SNAN(1), QNAN(2), &env), env, QNAN(1), FP_IE);
    ck_result(f64_sub(ONE, QNAN(2), &env), env, QNAN(2), 0); /* keeps its sign */
    ck_result(f64_fma(ONE, QNAN(2), QNAN(3), &env), env, QNAN(2), 0);
    ck_result(f64_fma(ONE, QNAN(2), SNAN(3), &env), env, QNAN(2), FP_IE);
}
END_TEST

START_TEST(fma_infinity_times_zero_plus_nan_is_valid)
{
    struct fp_env env = masked();
    ck_result(f64_fma(INFINITE, ZERO, QNAN(3), &env), env, QNAN(3), 0);
    ck_result(f64_fma(INFINITE, ZERO, SNAN(3), &env), env, QNAN(3), FP_IE);
    ck_result(f64_fma(INFINITE, ZERO, ONE, &env), env, F64_INDEFINITE, FP_IE);
}
END_TEST

START_TEST(invalid_operations_give_the_indefinite)
{
    struct fp_env env = masked();
    ck_result(f64_sub(INFINITE, INFINITE, &env), env, F64_INDEFINITE, FP_IE);
    ck_result(f64_mul(INFINITE, ZERO, &env), env, F64_INDEFINITE, FP_IE);
    ck_result(f64_div(ZERO, ZERO, &env), env, F64_INDEFINITE, FP_IE);
    ck_result(f64_div(INFINITE, INFINITE, &env), env, F64_INDEFINITE, FP_IE);
    ck_result(f64_sqrt(ONE | MINUS, &env), env, F64_INDEFINITE, FP_IE);
    ck_result(f64_sqrt(MINUS, &env), env, MINUS, 0);
    ck_result(f64_div(ONE, MINUS, &env), env, INFINITE | MINUS, FP_ZE);
    ck_result(f64_div(INFINITE, ZERO, &env), env, INFINITE, 0);
}
END_TEST

/* DE comes after IE and ZE, and not with NaNs. */
START_TEST(denormal_operand_has_the_lowest_priority)
{
    struct fp_env env = masked();
    ck_result(f64_add(DENORMAL, ZERO, &env), env, DENORMAL, FP_DE);
    ck_result(f64_add(DENORMAL, QNAN(1), &env), env, QNAN(1), 0);
    ck_result(f64_div(DENORMAL, ZERO, &env), env, INFINITE, FP_ZE);
    ck_result(f64_sqrt(DENORMAL | MINUS, &env), env, F64_INDEFINITE, FP_IE);
    ck_result(f64_mul(DENORMAL, INFINITE, &env), env, INFINITE, FP_DE);
}
END_TEST

START_TEST(unmasked_denormal_operand_ends_the_operation)
{
    struct fp_env env = unmasked(FP_DE);
    f64_mul(DENORMAL, LEAST_NORMAL, &env);
    ck_assert_uint_eq(env.flags, FP_DE);
}
END_TEST

/* rows: pitfalls 7.18 */
START_TEST(daz_makes_denormals_zeros)
{
    struct fp_env env = masked();
    env.daz = true;
    ck_result(f64_add(DENORMAL, DENORMAL | MINUS, &env), env, ZERO, 0);
    ck_result(f64_div(ONE, DENORMAL | MINUS, &env), env, INFINITE | MINUS, FP_ZE);
    ck_result(f64_mul(INFINITE, DENORMAL, &env), env, F64_INDEFINITE, FP_IE);
    ck_result(f64_sqrt(DENORMAL | MINUS, &env), env, MINUS, 0);
    ck_result(f64_compare(DENORMAL, ZERO, false, &env), env, FP_EQUAL, 0);
    ck_result(f64_max(ZERO, DENORMAL, &env), env, ZERO, 0);
    ck_result((uint64_t)f64_to_int(DENORMAL, 4, false, &env), env, 0, 0);
    ck_result(f64_to_f32(DENORMAL, &env), env, 0, 0);
    ck_result(f32_to_f64(1, &env), env, ZERO, 0);
    ck_result(f16_to_f32(1, &env), env, 0x33800000u, 0); /* not there */
}
END_TEST

/* rows: pitfalls 7.18 */
START_TEST(ftz_only_with_underflow_masked)
{
    struct fp_env env = masked();
    uint64_t half = UINT64_C(0x3fe0000000000000);
    ck_result(f64_mul(LEAST_NORMAL, half, &env), env, LEAST_NORMAL >> 1, 0); /* exact */
    env.ftz = true;
    ck_result(f64_mul(LEAST_NORMAL, half, &env), env, ZERO, FP_UE | FP_PE);
    ck_result(f64_mul(LEAST_NORMAL, half | MINUS, &env), env, MINUS, FP_UE | FP_PE);
    env.masks &= (uint8_t)~FP_UE;
    f64_mul(LEAST_NORMAL, half, &env);
    ck_assert_uint_eq(env.flags, FP_UE);
    env = masked();
    env.ftz = true; /* VCVTPS2PH ignores it */
    ck_result(f32_to_f16(0x33800000u, &env), env, 1, 0);
}
END_TEST

/* LEAST_NORMAL * (1 - 2^-53) rounds to LEAST_NORMAL if the exponent has no bound and rounding goes up: not tiny. To
 * nearest it is 1 - 2^-53 times LEAST_NORMAL: tiny. */
START_TEST(tininess_is_found_after_rounding)
{
    struct fp_env env = masked();
    uint64_t below_one = ONE - 1, above = LEAST_NORMAL + 1;
    ck_result(f64_mul(LEAST_NORMAL, below_one, &env), env, LEAST_NORMAL, FP_UE | FP_PE);
    env.rounding = FP_ROUND_UP;
    ck_result(f64_mul(LEAST_NORMAL, below_one, &env), env, LEAST_NORMAL, FP_UE | FP_PE);
    ck_result(f64_mul(above, below_one, &env), env, above, FP_PE);
    /* (1 + 2^-52) * (1 - 2^-52) = 1 - 2^-104 */
    ck_result(f64_mul(above, ONE - 2, &env), env, LEAST_NORMAL, FP_PE);
    env.rounding = FP_ROUND_DOWN;
    ck_result(f64_mul(above, ONE - 2, &env), env, LEAST_NORMAL - 1, FP_UE | FP_PE);
}
END_TEST

START_TEST(overflow_by_rounding)
{
    static const struct {
        enum fp_rounding rounding;
        uint64_t positive, negative;
    } rows[] = { { FP_ROUND_NEAREST, INFINITE, INFINITE | MINUS },
                 { FP_ROUND_DOWN, LARGEST, INFINITE | MINUS },
                 { FP_ROUND_UP, INFINITE, LARGEST | MINUS },
                 { FP_ROUND_ZERO, LARGEST, LARGEST | MINUS } };
    for (unsigned i = 0; i < 4; i++) {
        struct fp_env env = masked();
        env.rounding = (uint8_t)rows[i].rounding;
        ck_result(f64_add(LARGEST, LARGEST, &env), env, rows[i].positive, FP_OE | FP_PE);
        ck_result(f64_add(LARGEST | MINUS, LARGEST | MINUS, &env), env, rows[i].negative,
                  FP_OE | FP_PE);
    }
}
END_TEST

/* rows: pitfalls 7.18 */
START_TEST(min_and_max_give_the_second_operand)
{
    struct fp_env env = masked();
    ck_result(f64_min(QNAN(1), ONE, &env), env, ONE, FP_IE);
    ck_result(f64_min(ONE, QNAN(2), &env), env, QNAN(2), FP_IE);
    ck_result(f64_max(ONE, SNAN(2), &env), env, SNAN(2), FP_IE); /* stays signalling */
    ck_result(f64_min(ZERO, MINUS, &env), env, MINUS, 0);
    ck_result(f64_max(MINUS, ZERO, &env), env, ZERO, 0);
    ck_result(f64_max(ZERO, MINUS, &env), env, MINUS, 0);
}
END_TEST

START_TEST(compares_tell_quiet_nans_apart)
{
    struct fp_env env = masked();
    ck_result(f64_compare(ONE, QNAN(1), true, &env), env, FP_UNORDERED, 0);
    ck_result(f64_compare(ONE, QNAN(1), false, &env), env, FP_UNORDERED, FP_IE);
    ck_result(f64_compare(ONE, SNAN(1), true, &env), env, FP_UNORDERED, FP_IE);
    ck_result(f64_compare(ZERO, MINUS, true, &env), env, FP_EQUAL, 0);
    ck_result(f64_compare(DENORMAL, ONE, true, &env), env, FP_LESS, FP_DE);
}
END_TEST

START_TEST(zero_sums_have_the_sign_of_the_rounding)
{
    struct fp_env env = masked();
    ck_result(f64_sub(ONE, ONE, &env), env, ZERO, 0);
    ck_result(f64_add(MINUS, MINUS, &env), env, MINUS, 0);
    env.rounding = FP_ROUND_DOWN;
    ck_result(f64_sub(ONE, ONE, &env), env, MINUS, 0);
    ck_result(f64_add(ZERO, MINUS, &env), env, MINUS, 0);
    ck_result(f64_fma(ONE, ONE, ONE | MINUS, &env), env, MINUS, 0);
}
END_TEST

/* --- x87 ------------------------------------------------------------------------------------------ */

#define TOP (UINT64_C(1) << 63)
#define QUIET (UINT64_C(3) << 62)

static struct f80 x(unsigned head, uint64_t body)
{
    return (struct f80){ .mant = body, .se = (uint16_t)head };
}

static struct fp_env x87(unsigned unmasked_exceptions)
{
    struct fp_env env = unmasked(unmasked_exceptions);
    env.x87 = true;
    return env;
}

START_TEST(x87_nan_has_the_larger_significand)
{
    struct fp_env env = x87(0);
    ck_f80(f80_add(x(0x7fff, QUIET | 1), x(0x7fff, QUIET | 2), &env), env, 0x7fff, QUIET | 2, 0);
    ck_f80(f80_add(x(0xffff, QUIET | 1), x(0x7fff, QUIET | 1), &env), env, 0x7fff, QUIET | 1, 0);
    /* of a quiet and a signalling one the quiet */
    ck_f80(f80_add(x(0x7fff, QUIET | 1), x(0x7fff, TOP | 7), &env), env, 0x7fff, QUIET | 1, FP_IE);
    ck_f80(f80_add(x(0x7fff, TOP | 1), x(0x7fff, TOP | 7), &env), env, 0x7fff, QUIET | 7, FP_IE);
}
END_TEST

/* rows: pitfalls 7.19 */
START_TEST(x87_unsupported_encodings_are_invalid)
{
    static const struct {
        unsigned head;
        uint64_t body;
    } rows[] = {
        { 0x3fff, 0x7fffffffffffffff }, /* unnormal */
        { 0x0001, 0 },                  /* pseudo-zero */
        { 0x7fff, 0 },                  /* pseudo-infinity */
        { 0x7fff, 0x4000000000000001 }, /* pseudo-NaN */
    };
    for (unsigned i = 0; i < 4; i++) {
        struct fp_env env = x87(0);
        struct f80 bad = x(rows[i].head, rows[i].body);
        unsigned quotient;
        bool partial;
        ck_assert_int_eq(f80_class(bad), FP_CLASS_UNSUPPORTED);
        ck_f80(f80_add(bad, x(0x7fff, QUIET), &env), env, 0xffff, QUIET, FP_IE);
        ck_f80(f80_sqrt(bad, &env), env, 0xffff, QUIET, FP_IE);
        ck_f80(f80_round(bad, &env), env, 0xffff, QUIET, FP_IE);
        ck_f80(f80_remainder(x(0x3fff, TOP), bad, false, &quotient, &partial, &env), env, 0xffff,
               QUIET, FP_IE);
        ck_result((uint64_t)f80_to_int(bad, 8, false, &env), env, MINUS, FP_IE);
        ck_result(f80_to_f64(bad, &env), env, F64_INDEFINITE, FP_IE);
        ck_result(f80_compare(bad, bad, true, &env), env, FP_UNORDERED, FP_IE);
    }
}
END_TEST

/* rows: pitfalls 7.19 */
START_TEST(x87_pseudo_denormal_is_a_denormal_operand)
{
    struct fp_env env = x87(0);
    ck_f80(f80_add(x(0, TOP), x(0, 0), &env), env, 1, TOP, FP_DE);
    ck_f80(f80_round(x(0, TOP), &env), env, 0, 0, FP_DE | FP_PE);
}
END_TEST

START_TEST(x87_unmasked_overflow_and_underflow_move_the_exponent)
{
    struct fp_env env = x87(FP_OE | FP_UE);
    struct f80 huge = x(0x7ffe, TOP), small = x(0x0001, TOP), half = x(0x3ffe, TOP);
    ck_f80(f80_add(huge, huge, &env), env, 0x7fff - 24576, TOP, FP_OE);
    ck_f80(f80_mul(small, half, &env), env, 24576, TOP, FP_UE);
    /* so far out that there is no such exponent */
    struct f80 far = x(0x400e, UINT64_C(0xa000) << 48); /* 40960 */
    ck_f80(f80_scale(x(0x3fff, TOP), far, &env), env, 0x7fff, TOP, FP_OE | FP_PE);
    ck_assert(env.rounded_up);
    far.se |= 0x8000;
    ck_f80(f80_scale(x(0xbfff, TOP), far, &env), env, 0x8000, 0, FP_UE | FP_PE);
    ck_assert(!env.rounded_up);
}
END_TEST

/* Nothing is stored, so nothing is inexact. */
START_TEST(x87_store_that_overflows_unmasked_is_not_inexact)
{
    struct fp_env env = x87(FP_OE | FP_UE);
    f80_to_f32(x(0x7000, TOP | 1), &env);
    ck_assert_uint_eq(env.flags, FP_OE);
    env.flags = 0;
    f80_to_f32(x(0x1000, TOP | 1), &env);
    ck_assert_uint_eq(env.flags, FP_UE);
}
END_TEST

START_TEST(x87_precision_keeps_the_exponent_range)
{
    struct fp_env env = x87(0);
    struct f80 third;
    env.precision = 24;
    third = f80_div(x(0x3fff, TOP), x(0x4000, UINT64_C(3) << 62), &env);
    ck_assert_uint_eq(third.mant, UINT64_C(0xaaaaab) << 40);
    ck_assert(env.rounded_up);
    env.precision = 53;
    third = f80_div(x(0x0004, TOP), x(0x4000, UINT64_C(3) << 62), &env);
    ck_assert_uint_eq(third.se, 2);
    ck_assert_uint_eq(third.mant, UINT64_C(0x15555555555555) << 11);
    ck_assert(!env.rounded_up);
}
END_TEST

START_TEST(fxtract_of_special_numbers)
{
    struct fp_env env = x87(0);
    struct f80 exponent;
    ck_f80(f80_extract(x(0x8000, 0), &exponent, &env), env, 0x8000, 0, FP_ZE);
    ck_assert_uint_eq(exponent.se, 0xffff);
    ck_f80(f80_extract(x(0xffff, TOP), &exponent, &env), env, 0xffff, TOP, 0);
    ck_assert_uint_eq(exponent.se, 0x7fff);
    ck_f80(f80_extract(x(0, 1), &exponent, &env), env, 0x3fff, TOP, FP_DE);
    ck_assert_uint_eq(exponent.se, 0xc00d); /* -16445 */
    ck_assert_uint_eq(exponent.mant, UINT64_C(16445) << 49);
}
END_TEST

START_TEST(fscale_with_infinities)
{
    struct fp_env env = x87(0);
    struct f80 up = x(0x7fff, TOP), down = x(0xffff, TOP), one = x(0x3fff, TOP), zero = x(0, 0);
    ck_f80(f80_scale(one, up, &env), env, 0x7fff, TOP, 0);
    ck_f80(f80_scale(one, down, &env), env, 0, 0, 0);
    ck_f80(f80_scale(zero, up, &env), env, 0xffff, QUIET, FP_IE);
    ck_f80(f80_scale(up, down, &env), env, 0xffff, QUIET, FP_IE);
    ck_f80(f80_scale(one, x(0x3ffe, ~UINT64_C(0)), &env), env, 0x3fff, TOP, 0); /* chopped */
}
END_TEST

/* 7 is 1 * 4 + 3 or 2 * 4 - 1; a step takes at least 32 bits off when 64 or more are to go (Zen 4: 32 and the rest of the
 * distance by 32). */
START_TEST(fprem_steps_and_quotients)
{
    struct fp_env env = x87(0);
    struct f80 seven = x(0x4001, UINT64_C(7) << 61), four = x(0x4001, TOP);
    unsigned quotient;
    bool partial;
    ck_f80(f80_remainder(seven, four, false, &quotient, &partial, &env), env, 0x4000,
           UINT64_C(3) << 62, 0);
    ck_assert(quotient == 1 && !partial);
    ck_f80(f80_remainder(seven, four, true, &quotient, &partial, &env), env, 0xbfff, TOP, 0);
    ck_assert(quotient == 2 && !partial);
    /* 2^63 * 7 by 3: below the limit; exactly 1 or 2 is left */
    struct f80 three = x(0x4000, UINT64_C(3) << 62);
    ck_f80(f80_remainder(x(0x3fff + 64, TOP), three, false, &quotient, &partial, &env), env, 0x3fff,
           TOP, 0);
    ck_assert(quotient == 5 && !partial); /* 2^64 = 3 * 0x5555555555555555 + 1 */
    ck_f80(f80_remainder(x(0x3fff + 65, TOP), three, false, &quotient, &partial, &env), env,
           0x3fff + 33, TOP, 0); /* 32 bits off: 2^33 is left */
    ck_assert(quotient == 0 && partial);
    ck_f80(f80_remainder(four, x(0x7fff, TOP), false, &quotient, &partial, &env), env, 0x4001, TOP,
           0);
    ck_f80(f80_remainder(four, x(0, 0), false, &quotient, &partial, &env), env, 0xffff, QUIET,
           FP_IE);
}
END_TEST

CHECK_MAIN("floating-point rules", sse_nan_is_the_first_operand,
           fma_infinity_times_zero_plus_nan_is_valid, invalid_operations_give_the_indefinite,
           denormal_operand_has_the_lowest_priority, unmasked_denormal_operand_ends_the_operation,
           daz_makes_denormals_zeros, ftz_only_with_underflow_masked,
           tininess_is_found_after_rounding, overflow_by_rounding,
           min_and_max_give_the_second_operand, compares_tell_quiet_nans_apart,
           zero_sums_have_the_sign_of_the_rounding, x87_nan_has_the_larger_significand,
           x87_unsupported_encodings_are_invalid, x87_pseudo_denormal_is_a_denormal_operand,
           x87_unmasked_overflow_and_underflow_move_the_exponent,
           x87_store_that_overflows_unmasked_is_not_inexact, x87_precision_keeps_the_exponent_range,
           fxtract_of_special_numbers, fscale_with_infinities, fprem_steps_and_quotients)

/* Integers and integral values against MPFR: every format, size and rounding. */
#include <mpfr.h>

#include "tests/fpu/operands.h"
#include "tests/fpu/rows.h"

static const mpfr_rnd_t modes[] = { MPFR_RNDN, MPFR_RNDD, MPFR_RNDU, MPFR_RNDZ };

enum format_name { F32, F64, F80 };
static const char *const names[] = { "f32", "f64", "f80" };

/* An operand, in its own format and exactly. */
struct operand {
    uint64_t bits;
    struct f80 extended;
    mpfr_t value;
    bool number;
};

/* Exponents around those of integers mostly. */
static void draw_operand(struct source *s, enum format_name format, struct operand *o)
{
    struct fp_env env = { .masks = FP_EXCEPTIONS, .x87 = true };
    unsigned near = 1023 + draw_below(s, 70) - 3;
    o->bits = draw_f64(s, (uint64_t)near << 52);
    if (format == F32)
        o->bits = draw_f32(s, (127 + draw_below(s, 70) - 3) << 23);
    o->extended = format == F32 ? f32_to_f80((uint32_t)o->bits, &env) : f64_to_f80(o->bits, &env);
    if (format == F80) {
        o->extended = draw_f80(s, (struct f80){ .se = (uint16_t)(near + 16383 - 1023) });
        if (draw(s) & 1)
            o->extended.se = (uint16_t)(near + 16383 - 1023) | (o->extended.se & 0x8000);
    }
    enum fp_class class = f80_class(o->extended);
    int exponent = o->extended.se & 0x7fff;
    o->number = class <= FP_CLASS_NORMAL;
    if (o->number) {
        mpfr_set_ui_2exp(o->value, o->extended.mant, (exponent ? exponent : 1) - 16383 - 63,
                         MPFR_RNDN);
        mpfr_setsign(o->value, o->value, f80_sign(o->extended), MPFR_RNDN);
    }
}

static int64_t ours_to_int(enum format_name format, const struct operand *o, unsigned size,
                           bool truncate, struct fp_env *env)
{
    switch (format) {
    case F32: return f32_to_int((uint32_t)o->bits, size, truncate, env);
    case F64: return f64_to_int(o->bits, size, truncate, env);
    default: return f80_to_int(o->extended, size, truncate, env);
    }
}

/* Out of range, also by rounding, and what is no number: IE and the most negative integer. */
static void compare_to_int(enum format_name format, struct source *s, struct operand *o,
                           mpfr_t rounded)
{
    static const unsigned sizes[] = { 2, 4, 8 };
    struct fp_env env = { .masks = FP_EXCEPTIONS, .rounding = (uint8_t)draw_below(s, 4) };
    unsigned size = sizes[draw_below(s, 3)];
    bool truncate = draw(s) & 1;
    draw_operand(s, format, o);
    int64_t expected = INT64_MIN >> (64 - 8 * size);
    unsigned flags = FP_IE;
    if (o->number) {
        mpfr_rint(rounded, o->value, truncate ? MPFR_RNDZ : modes[env.rounding]);
        int64_t least = expected, most = -(least + 1);
        if (mpfr_cmp_si(rounded, least) >= 0 && mpfr_cmp_si(rounded, most) <= 0) {
            expected = mpfr_get_si(rounded, MPFR_RNDN);
            flags = mpfr_equal_p(rounded, o->value) ? 0 : FP_PE;
        }
    }
    uint8_t rounding = env.rounding;
    int64_t result = ours_to_int(format, o, size, truncate, &env);
    if (result != expected || env.flags != flags)
        ck_abort_msg("%s %#llx, %04x:%#llx to %u bytes, rounding %d, truncate %d: %lld flags %#x, "
                     "exactly %lld flags %#x",
                     names[format], (unsigned long long)o->bits, o->extended.se,
                     (unsigned long long)o->extended.mant, size, rounding, truncate,
                     (long long)result, env.flags, (long long)expected, flags);
}

START_TEST(to_int_is_exact)
{
    struct source s = { .state = 1 };
    struct operand o;
    mpfr_t rounded;
    mpfr_inits2(64, o.value, rounded, (mpfr_ptr)NULL);
    for (int i = 0; i < 400000; i++)
        compare_to_int((enum format_name)_i, &s, &o, rounded);
    mpfr_clears(o.value, rounded, (mpfr_ptr)NULL);
}
END_TEST

/* The result as a double-extended number; f32 and f64 widen exactly. */
static struct f80 ours_round(enum format_name format, const struct operand *o, bool exact,
                             struct fp_env *env)
{
    struct fp_env quiet = { .masks = FP_EXCEPTIONS, .x87 = true };
    switch (format) {
    case F32: return f32_to_f80(f32_round((uint32_t)o->bits, exact, env), &quiet);
    case F64: return f64_to_f80(f64_round(o->bits, exact, env), &quiet);
    default: return f80_round(o->extended, env);
    }
}

/* ROUNDPS and FRNDINT. FRNDINT alone reports DE, and PE whatever `exact` says. */
START_TEST(round_is_exact)
{
    struct source s = { .state = 2 };
    enum format_name format = (enum format_name)_i;
    struct operand o;
    mpfr_t rounded;
    mpfr_inits2(64, o.value, rounded, (mpfr_ptr)NULL);
    for (int i = 0; i < 400000; i++) {
        struct fp_env env = { .masks = FP_EXCEPTIONS, .rounding = (uint8_t)draw_below(&s, 4) };
        bool exact = draw(&s) & 1, inexact;
        draw_operand(&s, format, &o);
        if (!o.number)
            continue;
        mpfr_rint(rounded, o.value, modes[env.rounding]);
        inexact = !mpfr_equal_p(rounded, o.value) && (format == F80 || !exact);
        unsigned flags = inexact ? FP_PE : 0;
        if (format == F80 && f80_class(o.extended) == FP_CLASS_DENORMAL)
            flags |= FP_DE;
        struct f80 result = ours_round(format, &o, exact, &env);
        mpfr_set_ui_2exp(o.value, result.mant, (result.se & 0x7fff) - 16383 - 63, MPFR_RNDN);
        mpfr_setsign(o.value, o.value, f80_sign(result), MPFR_RNDN);
        if (!mpfr_equal_p(rounded, o.value) || env.flags != flags ||
            mpfr_signbit(rounded) != mpfr_signbit(o.value))
            ck_abort_msg("%s %#llx, %04x:%#llx: flags %#x, exactly %#x", names[format],
                         (unsigned long long)o.bits, o.extended.se,
                         (unsigned long long)o.extended.mant, env.flags, flags);
    }
    mpfr_clears(o.value, rounded, (mpfr_ptr)NULL);
}
END_TEST

START_TEST(from_int_is_exact)
{
    static const int precisions[] = { 24, 53, 64 };
    struct source s = { .state = 3 };
    mpfr_t expected, value;
    mpfr_init2(expected, precisions[_i]);
    mpfr_init2(value, 64);
    for (int i = 0; i < 400000; i++) {
        struct fp_env env = { .masks = FP_EXCEPTIONS, .rounding = (uint8_t)draw_below(&s, 4) };
        struct fp_env quiet = { .masks = FP_EXCEPTIONS, .x87 = true };
        int64_t integer = (int64_t)draw_fraction(&s, 64) >> draw_below(&s, 64);
        int loss = mpfr_set_si(expected, integer, modes[env.rounding]);
        struct f80 result;
        switch (_i) {
        case F32: result = f32_to_f80(int_to_f32(integer, &env), &quiet); break;
        case F64: result = f64_to_f80(int_to_f64(integer, &env), &quiet); break;
        default: result = int_to_f80(integer); break;
        }
        mpfr_set_ui_2exp(value, result.mant, (result.se & 0x7fff) - 16383 - 63, MPFR_RNDN);
        mpfr_setsign(value, value, f80_sign(result), MPFR_RNDN);
        if (!mpfr_equal_p(value, expected) || env.flags != (loss ? FP_PE : 0))
            ck_abort_msg("%s of %lld, flags %#x", names[_i], (long long)integer, env.flags);
    }
    mpfr_clears(expected, value, (mpfr_ptr)NULL);
}
END_TEST

CHECK_ROWS("integers", 3, to_int_is_exact, round_is_exact, from_int_is_exact)

/* Arithmetic and conversions of every format against MPFR: result and flags, masked and not, on any workstation. */
#include <mpfr.h>

#include "tests/fpu/operands.h"
#include "tests/fpu/rows.h"

/* A number of any format: sign and exponent in `head` where the double-extended format has them, else all in `body`. */
struct bits {
    uint64_t body;
    uint16_t head;
};

struct format {
    int ebits,
        fbits; /* fbits: without the integer bit, which only the double-extended format has */
};
enum format_name { F16, F32, F64, F80 };
static const struct format formats[] = { { 5, 10 }, { 8, 23 }, { 11, 52 }, { 15, 63 } };

static int bias(enum format_name format)
{
    return (1 << (formats[format].ebits - 1)) - 1;
}

/* --- to MPFR and back -------------------------------------------------------------------------- */

struct parts {
    uint64_t fraction;
    int exponent; /* the field */
    bool sign;
};

static struct parts split(enum format_name format, struct bits bits)
{
    const struct format *f = &formats[format];
    if (format == F80)
        return (struct parts){ bits.body, bits.head & 0x7fff, bits.head >> 15 };
    return (struct parts){ bits.body & ((UINT64_C(1) << f->fbits) - 1),
                           (int)(bits.body >> f->fbits) & ((1 << f->ebits) - 1),
                           bits.body >> (f->ebits + f->fbits) & 1 };
}

static struct bits join(enum format_name format, struct parts parts)
{
    const struct format *f = &formats[format];
    if (format == F80)
        return (struct bits){ parts.fraction,
                              (uint16_t)(parts.exponent | (parts.sign ? 0x8000 : 0)) };
    return (struct bits){ (uint64_t)parts.sign << (f->ebits + f->fbits) |
                              (uint64_t)parts.exponent << f->fbits |
                              (parts.fraction & ((UINT64_C(1) << f->fbits) - 1)),
                          0 };
}

/* False: no finite number. */
static bool to_mpfr(enum format_name format, struct bits bits, mpfr_t value, bool *denormal)
{
    struct parts p = split(format, bits);
    bool smallest = p.exponent == 0;
    if (p.exponent == (1 << formats[format].ebits) - 1)
        return false;
    if (format == F80 && !smallest && !(p.fraction >> 63))
        return false; /* unsupported */
    if (format != F80 && !smallest)
        p.fraction |= UINT64_C(1) << formats[format].fbits;
    *denormal = smallest && p.fraction != 0;
    mpfr_set_ui_2exp(value, p.fraction,
                     p.exponent + smallest - bias(format) - formats[format].fbits, MPFR_RNDN);
    mpfr_setsign(value, value, p.sign, MPFR_RNDN);
    return true;
}

/* A value that the format holds. */
static struct bits from_mpfr(enum format_name format, mpfr_t value)
{
    struct parts p = { .sign = mpfr_signbit(value) != 0 };
    int fbits = formats[format].fbits, top = (1 << formats[format].ebits) - 1;
    if (mpfr_nan_p(value)) {
        p = (struct parts){ UINT64_C(3) << (fbits - 1), top, true };
    } else if (mpfr_inf_p(value)) {
        p.exponent = top;
        p.fraction = UINT64_C(1) << fbits;
    } else if (!mpfr_zero_p(value)) {
        mpfr_t integer;
        int exponent = (int)mpfr_get_exp(value) - 1 + bias(format);
        p.exponent = exponent > 0 ? exponent : 0;
        int weight = (exponent > 0 ? exponent : 1) - bias(format) - fbits;
        mpfr_init2(integer, 64);
        mpfr_mul_2si(integer, value, -weight, MPFR_RNDN);
        mpfr_abs(integer, integer, MPFR_RNDN);
        p.fraction = mpfr_get_ui(integer, MPFR_RNDN);
        mpfr_clear(integer);
    }
    return join(format, p);
}

/* --- operations ---------------------------------------------------------------------------------- */

enum operation { ADD, SUB, MUL, DIV, SQRT, FMA, CONVERT };

static int exact(enum operation op, mpfr_t result, mpfr_t *x, mpfr_rnd_t rounding)
{
    switch (op) {
    case ADD: return mpfr_add(result, x[0], x[1], rounding);
    case SUB: return mpfr_sub(result, x[0], x[1], rounding);
    case MUL: return mpfr_mul(result, x[0], x[1], rounding);
    case DIV: return mpfr_div(result, x[0], x[1], rounding);
    case SQRT: return mpfr_sqrt(result, x[0], rounding);
    case FMA: return mpfr_fma(result, x[0], x[1], x[2], rounding);
    default: return mpfr_set(result, x[0], rounding);
    }
}

typedef struct bits ours_function(const struct bits *x, struct fp_env *env);

#define BINARY(bits_, name, call)                                                    \
    static struct bits ours_f##bits_##name(const struct bits *x, struct fp_env *env) \
    {                                                                                \
        (void)x;                                                                     \
        return (struct bits){ call, 0 };                                             \
    }
#define X32(i) (uint32_t) x[i].body
#define X64(i) x[i].body
#define X80(i) ((struct f80){ x[i].body, x[i].head })
#define ARITHMETIC(n)                                  \
    BINARY(n, _add, f##n##_add(X##n(0), X##n(1), env)) \
    BINARY(n, _sub, f##n##_sub(X##n(0), X##n(1), env)) \
    BINARY(n, _mul, f##n##_mul(X##n(0), X##n(1), env)) \
    BINARY(n, _div, f##n##_div(X##n(0), X##n(1), env)) \
    BINARY(n, _sqrt, f##n##_sqrt(X##n(0), env))        \
    BINARY(n, _fma, f##n##_fma(X##n(0), X##n(1), X##n(2), env))
ARITHMETIC(32)
ARITHMETIC(64)
BINARY(16, _to_f32, f16_to_f32((uint16_t)x[0].body, env))
BINARY(32, _to_f16, f32_to_f16(X32(0), env))
BINARY(32, _to_f64, f32_to_f64(X32(0), env))
BINARY(64, _to_f32, f64_to_f32(X64(0), env))
BINARY(80, _to_f32, f80_to_f32(X80(0), env))
BINARY(80, _to_f64, f80_to_f64(X80(0), env))

#define EXTENDED(name, call)                                                 \
    static struct bits ours_##name(const struct bits *x, struct fp_env *env) \
    {                                                                        \
        struct f80 result = call;                                            \
        return (struct bits){ result.mant, result.se };                      \
    }
EXTENDED(f80_add, f80_add(X80(0), X80(1), env))
EXTENDED(f80_sub, f80_sub(X80(0), X80(1), env))
EXTENDED(f80_mul, f80_mul(X80(0), X80(1), env))
EXTENDED(f80_div, f80_div(X80(0), X80(1), env))
EXTENDED(f80_sqrt, f80_sqrt(X80(0), env))
EXTENDED(f32_to_f80, f32_to_f80(X32(0), env))
EXTENDED(f64_to_f80, f64_to_f80(X64(0), env))

struct row {
    const char *name;
    ours_function *ours;
    enum operation op;
    int operands;
    enum format_name from, to;
    bool denormals; /* DE reports them */
};
#define ROW(name, op, operands, from, to, denormals)          \
    {                                                         \
#name, ours_##name, op, operands, from, to, denormals \
    }
static const struct row rows[] = {
    ROW(f32_add, ADD, 2, F32, F32, true),         ROW(f32_sub, SUB, 2, F32, F32, true),
    ROW(f32_mul, MUL, 2, F32, F32, true),         ROW(f32_div, DIV, 2, F32, F32, true),
    ROW(f32_sqrt, SQRT, 1, F32, F32, true),       ROW(f32_fma, FMA, 3, F32, F32, true),
    ROW(f64_add, ADD, 2, F64, F64, true),         ROW(f64_sub, SUB, 2, F64, F64, true),
    ROW(f64_mul, MUL, 2, F64, F64, true),         ROW(f64_div, DIV, 2, F64, F64, true),
    ROW(f64_sqrt, SQRT, 1, F64, F64, true),       ROW(f64_fma, FMA, 3, F64, F64, true),
    ROW(f80_add, ADD, 2, F80, F80, true),         ROW(f80_sub, SUB, 2, F80, F80, true),
    ROW(f80_mul, MUL, 2, F80, F80, true),         ROW(f80_div, DIV, 2, F80, F80, true),
    ROW(f80_sqrt, SQRT, 1, F80, F80, true),       ROW(f16_to_f32, CONVERT, 1, F16, F32, false),
    ROW(f32_to_f16, CONVERT, 1, F32, F16, true),  ROW(f32_to_f64, CONVERT, 1, F32, F64, true),
    ROW(f64_to_f32, CONVERT, 1, F64, F32, true),  ROW(f32_to_f80, CONVERT, 1, F32, F80, true),
    ROW(f64_to_f80, CONVERT, 1, F64, F80, true),  ROW(f80_to_f32, CONVERT, 1, F80, F32, false),
    ROW(f80_to_f64, CONVERT, 1, F80, F64, false),
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

/* --- what must come ------------------------------------------------------------------------------ */

struct expected {
    struct bits result;
    unsigned flags;
    bool any_result; /* a trap keeps it from being seen */
};

/* The exponent of an unmasked overflow or underflow in a register of x87 is moved by this much. */
#define BIAS_ADJUST 24576

static struct expected expect(const struct row *row, mpfr_t *x, bool denormal,
                              const struct fp_env *env)
{
    static const mpfr_rnd_t modes[] = { MPFR_RNDN, MPFR_RNDD, MPFR_RNDU, MPFR_RNDZ };
    mpfr_rnd_t rounding = modes[env->rounding];
    struct expected e = { 0 };
    bool arithmetic80 = row->to == F80 && row->op != CONVERT;
    int precision = arithmetic80 ? env->precision : formats[row->to].fbits + 1;
    int emin = 1 - bias(row->to), emax = bias(row->to);
    mpfr_t unbounded, bounded;
    mpfr_inits2(precision, unbounded, bounded, (mpfr_ptr)NULL);

    mpfr_clear_flags();
    int loss = exact(row->op, unbounded, x, rounding);
    e.flags = (mpfr_nanflag_p() ? FP_IE : 0) | (mpfr_divby0_p() ? FP_ZE : 0);
    if (e.flags == 0 && denormal)
        e.flags = FP_DE;
    bool stopped = e.flags & ~env->masks;
    bool number = mpfr_regular_p(unbounded);
    bool tiny = number && mpfr_get_exp(unbounded) - 1 < emin;
    bool huge = number && mpfr_get_exp(unbounded) - 1 > emax;
    e.any_result = stopped;
    if (stopped) {
        /* nothing more is reported */
    } else if ((tiny && !(env->masks & FP_UE)) || (huge && !(env->masks & FP_OE))) {
        e.flags |= (tiny ? FP_UE : FP_OE) | (loss ? FP_PE : 0);
        mpfr_mul_2si(unbounded, unbounded, tiny ? BIAS_ADJUST : -BIAS_ADJUST, rounding);
        e.any_result = row->to != F80;
        if (!e.any_result)
            e.result = from_mpfr(F80, unbounded);
        if (row->from == F80 && row->to != F80) /* a store of x87 does not get that far */
            e.flags &= ~FP_PE;
    } else {
        mpfr_exp_t least = mpfr_get_emin(), most = mpfr_get_emax();
        mpfr_set_emin(emin - precision + 2);
        mpfr_set_emax(emax + 1);
        loss = exact(row->op, bounded, x, rounding);
        loss = mpfr_check_range(bounded, loss, rounding);
        loss = mpfr_subnormalize(bounded, loss, rounding);
        mpfr_set_emin(least);
        mpfr_set_emax(most);
        e.flags |= (huge ? FP_OE : 0) | (loss ? FP_PE : 0) | (tiny && loss ? FP_UE : 0);
        e.result = from_mpfr(row->to, bounded);
        if (tiny && env->ftz && row->to != F16) {
            e.flags |= FP_UE | FP_PE;
            mpfr_set_zero(bounded, mpfr_signbit(bounded) ? -1 : 1);
            e.result = from_mpfr(row->to, bounded);
        }
    }
    mpfr_clears(unbounded, bounded, (mpfr_ptr)NULL);
    return e;
}

static struct bits draw_bits(struct source *s, enum format_name format, struct bits last)
{
    if (format == F80) {
        struct f80 value = draw_f80(s, (struct f80){ .se = last.head });
        if (draw(s) & 1)
            value.mant &= ~UINT64_C(0) << 40;
        return (struct bits){ value.mant, value.se };
    }
    return (struct bits){ draw_binary(s, formats[format].ebits, formats[format].fbits, last.body),
                          0 };
}

static void compare(const struct row *row, struct source *s)
{
    static const uint8_t precisions[] = { 24, 53, 64, 64 };
    struct fp_env env = { .rounding = (uint8_t)draw_below(s, 4), .masks = FP_EXCEPTIONS };
    bool x87 = row->from == F80 || row->to == F80;
    env.precision = precisions[draw_below(s, 4)];
    env.x87 = x87;
    env.ftz = !x87 && draw_below(s, 4) == 0;
    if (draw_below(s, 4) == 0)
        env.masks = draw(s) & FP_EXCEPTIONS;
    struct fp_env before = env;

    struct bits operands[3] = { 0 };
    mpfr_t x[3];
    bool denormal = false, usable = true, one;
    for (int i = 0; i < row->operands; i++) {
        operands[i] = draw_bits(s, row->from, operands[i > 0 ? i - 1 : 0]);
        mpfr_init2(x[i], 64);
        usable = usable && to_mpfr(row->from, operands[i], x[i], &one);
        denormal = denormal || (usable && one && row->denormals);
    }
    if (usable) {
        struct expected e = expect(row, x, denormal, &env);
        struct bits result = row->ours(operands, &env);
        bool same = result.body == e.result.body && result.head == e.result.head;
        if (env.flags != e.flags || !(same || e.any_result))
            ck_abort_msg(
                "%s %04x:%#llx, %04x:%#llx, %#llx; rounding %d, masks %#x, precision %d, ftz %d: "
                "ours %04x:%#llx flags %#x, exactly %04x:%#llx flags %#x",
                row->name, operands[0].head, (unsigned long long)operands[0].body, operands[1].head,
                (unsigned long long)operands[1].body, (unsigned long long)operands[2].body,
                before.rounding, before.masks, before.precision, before.ftz, result.head,
                (unsigned long long)result.body, env.flags, e.result.head,
                (unsigned long long)e.result.body, e.flags);
    }
    for (int i = 0; i < row->operands; i++)
        mpfr_clear(x[i]);
}

START_TEST(arithmetic_is_exact)
{
    struct source s = { .state = (uint64_t)_i };
    for (int i = 0; i < 100000; i++)
        compare(&rows[_i], &s);
    mpfr_free_cache();
}
END_TEST

CHECK_ROWS("MPFR", ROW_COUNT, arithmetic_is_exact)

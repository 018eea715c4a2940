/* x87 transcendental functions: results against exact ones, and the special cases. */
#include "emu/fpu/fpu.h"
#include "tests/check_main.h"

enum function { SIN, COS, TAN, EXP2M1, YL2X, YL2XP1, ATAN2 };

static struct f80 call(enum function f, struct f80 a, struct f80 b, struct fp_env *env)
{
    bool far;
    switch (f) {
    case SIN: return f80_sin(a, &far, env);
    case COS: return f80_cos(a, &far, env);
    case TAN: return f80_tan(a, &far, env);
    case EXP2M1: return f80_2xm1(a, env);
    case YL2X: return f80_yl2x(a, b, env);
    case YL2XP1: return f80_yl2xp1(a, b, env);
    default: return f80_atan2(a, b, env);
    }
}

static struct fp_env environment(unsigned rounding)
{
    return (struct fp_env){
        .rounding = (uint8_t)rounding, .masks = FP_EXCEPTIONS, .precision = 64, .x87 = true
    };
}

static const struct {
    enum function f;
    uint8_t rounding;
    struct f80 a, b, result;
    bool up;
} vectors[] = {
#define VECTOR(f, rounding, am, ae, bm, be, rm, re, up) \
    { f, rounding, { UINT64_C(am), ae }, { UINT64_C(bm), be }, { UINT64_C(rm), re }, up },
#include "tests/fpu/transcendental.def"
#undef VECTOR
};

START_TEST(results_are_correctly_rounded)
{
    for (unsigned i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        struct fp_env env = environment(vectors[i].rounding);
        struct f80 result = call(vectors[i].f, vectors[i].a, vectors[i].b, &env);
        ck_assert_msg(result.mant == vectors[i].result.mant && result.se == vectors[i].result.se,
                      "row %u: %04x:%016llx", i, result.se, (unsigned long long)result.mant);
        ck_assert_msg(env.flags == FP_PE, "row %u: flags %x", i, env.flags);
        ck_assert_msg(env.rounded_up == vectors[i].up, "row %u: C1", i);
    }
}
END_TEST

#define INT UINT64_C(0x8000000000000000)
#define ZERO \
    {        \
        0, 0 \
    }
#define MINUS_ZERO \
    {              \
        0, 0x8000  \
    }
#define ONE         \
    {               \
        INT, 0x3fff \
    }
#define MINUS_ONE   \
    {               \
        INT, 0xbfff \
    }
#define TWO         \
    {               \
        INT, 0x4000 \
    }
#define HALF        \
    {               \
        INT, 0x3ffe \
    }
#define INFINITE    \
    {               \
        INT, 0x7fff \
    }
#define MINUS_INFINITE \
    {                  \
        INT, 0xffff    \
    }
#define INDEFINITE                           \
    {                                        \
        UINT64_C(0xc000000000000000), 0xffff \
    }
#define TINY \
    {        \
        1, 0 \
    }
#define UNNORMAL  \
    {             \
        1, 0x3fff \
    }
#define QNAN                                 \
    {                                        \
        UINT64_C(0xc000000000000001), 0x7fff \
    }
#define SNAN                                 \
    {                                        \
        UINT64_C(0x8000000000000001), 0x7fff \
    }
#define PI                                   \
    {                                        \
        UINT64_C(0xc90fdaa22168c235), 0x4000 \
    }
#define HALF_PI                              \
    {                                        \
        UINT64_C(0xc90fdaa22168c235), 0x3fff \
    }
#define QUARTER_PI                           \
    {                                        \
        UINT64_C(0xc90fdaa22168c235), 0x3ffe \
    }
#define THREE_QUARTERS_PI                    \
    {                                        \
        UINT64_C(0x96cbe3f9990e91a8), 0x4000 \
    }

/* As Zen 4 has them: tests/insn/test_x87_native.c asks it. */
static const struct {
    enum function f;
    struct f80 a, b, result;
    unsigned flags;
} special[] = {
    { SIN, ZERO, ZERO, ZERO, 0 },
    { SIN, MINUS_ZERO, ZERO, MINUS_ZERO, 0 },
    { SIN, INFINITE, ZERO, INDEFINITE, FP_IE },
    { SIN, UNNORMAL, ZERO, INDEFINITE, FP_IE },
    { SIN, QNAN, ZERO, QNAN, 0 },
    { SIN, SNAN, ZERO, QNAN, FP_IE },
    { SIN, TINY, ZERO, TINY, FP_DE | FP_UE | FP_PE },
    { COS, ZERO, ZERO, ONE, 0 },
    { COS, TINY, ZERO, ONE, FP_DE | FP_PE },
    { COS, MINUS_INFINITE, ZERO, INDEFINITE, FP_IE },
    { TAN, MINUS_ZERO, ZERO, MINUS_ZERO, 0 },
    { TAN, INFINITE, ZERO, INDEFINITE, FP_IE },
    { EXP2M1, ZERO, ZERO, ZERO, 0 },
    { EXP2M1, MINUS_ZERO, ZERO, MINUS_ZERO, 0 },
    { EXP2M1, ONE, ZERO, ONE, FP_PE },
    { EXP2M1, MINUS_ONE, ZERO, { INT, 0xbffe }, FP_PE },
    { EXP2M1, TWO, ZERO, TWO, FP_PE },
    { EXP2M1, INFINITE, ZERO, INFINITE, 0 },
    { EXP2M1, MINUS_INFINITE, ZERO, MINUS_ONE, 0 },
    { YL2X, ONE, ONE, ZERO, 0 },
    { YL2X, ONE, MINUS_ONE, MINUS_ZERO, 0 },
    { YL2X, ONE, INFINITE, INDEFINITE, FP_IE },
    { YL2X, TWO, ONE, ONE, FP_PE },
    { YL2X, HALF, ONE, MINUS_ONE, FP_PE },
    { YL2X, ZERO, ONE, MINUS_INFINITE, FP_ZE },
    { YL2X, MINUS_ZERO, MINUS_ONE, INFINITE, FP_ZE },
    { YL2X, ZERO, INFINITE, MINUS_INFINITE, 0 },
    { YL2X, ZERO, ZERO, INDEFINITE, FP_IE },
    { YL2X, MINUS_ONE, ONE, INDEFINITE, FP_IE },
    { YL2X, INFINITE, ZERO, INDEFINITE, FP_IE },
    { YL2X, INFINITE, MINUS_ONE, MINUS_INFINITE, 0 },
    { YL2X, HALF, INFINITE, MINUS_INFINITE, 0 },
    { YL2X, TWO, MINUS_ZERO, MINUS_ZERO, 0 },
    { YL2XP1, ZERO, ONE, ZERO, 0 },
    { YL2XP1, MINUS_ZERO, ONE, MINUS_ZERO, 0 },
    { YL2XP1, ZERO, INFINITE, INDEFINITE, FP_IE },
    { YL2XP1, MINUS_ONE, TWO, MINUS_ONE, FP_PE },
    { YL2XP1, MINUS_ONE, ZERO, MINUS_ZERO, 0 },
    { YL2XP1, MINUS_INFINITE, ONE, INDEFINITE, FP_IE },
    { YL2XP1, INFINITE, ONE, INFINITE, 0 },
    { YL2XP1, INFINITE, ZERO, INDEFINITE, FP_IE },
    { ATAN2, ZERO, ONE, ZERO, 0 },
    { ATAN2, MINUS_ZERO, ONE, MINUS_ZERO, 0 },
    { ATAN2, ZERO, MINUS_ONE, PI, FP_PE },
    { ATAN2, ZERO, ZERO, ZERO, 0 },
    { ATAN2, ZERO, MINUS_ZERO, PI, FP_PE },
    { ATAN2, ONE, ZERO, HALF_PI, FP_PE },
    { ATAN2, ONE, ONE, QUARTER_PI, FP_PE },
    { ATAN2, ONE, MINUS_ONE, THREE_QUARTERS_PI, FP_PE },
    { ATAN2, ONE, INFINITE, ZERO, 0 },
    { ATAN2, ONE, MINUS_INFINITE, PI, FP_PE },
    { ATAN2, INFINITE, ONE, HALF_PI, FP_PE },
    { ATAN2, INFINITE, INFINITE, QUARTER_PI, FP_PE },
    { ATAN2, INFINITE, MINUS_INFINITE, THREE_QUARTERS_PI, FP_PE },
};

START_TEST(special_cases)
{
    for (unsigned i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
        struct fp_env env = environment(FP_ROUND_NEAREST);
        struct f80 result = call(special[i].f, special[i].a, special[i].b, &env);
        ck_assert_msg(result.mant == special[i].result.mant && result.se == special[i].result.se,
                      "row %u: %04x:%016llx", i, result.se, (unsigned long long)result.mant);
        ck_assert_msg(env.flags == special[i].flags, "row %u: flags %x", i, env.flags);
    }
}
END_TEST

START_TEST(angles_of_2_63_are_out_of_range)
{
    struct f80 (*const functions[])(struct f80, bool *, struct fp_env *) = { f80_sin, f80_cos,
                                                                             f80_tan };
    for (unsigned i = 0; i < 3; i++) {
        struct fp_env env = environment(FP_ROUND_NEAREST);
        bool far = false;
        struct f80 a = { INT, 0x3fff + 63 }, result = functions[i](a, &far, &env);
        ck_assert(far);
        ck_assert_uint_eq(result.mant, a.mant);
        ck_assert_uint_eq(result.se, a.se);
        ck_assert_uint_eq(env.flags, 0);
        a = (struct f80){ UINT64_MAX, 0x3fff + 62 };
        (void)functions[i](a, &far, &env);
        ck_assert(!far);
        ck_assert_uint_eq(env.flags, FP_PE);
    }
}
END_TEST

/* An unmasked DE or ZE ends the operation: nothing else is reported. */
START_TEST(unmasked_exceptions_come_alone)
{
    struct fp_env env = environment(FP_ROUND_NEAREST);
    env.masks = FP_EXCEPTIONS & ~FP_DE;
    (void)f80_yl2x((struct f80)TINY, (struct f80)ONE, &env);
    ck_assert_uint_eq(env.flags, FP_DE);
    env = environment(FP_ROUND_NEAREST);
    env.masks = FP_EXCEPTIONS & ~FP_ZE;
    (void)f80_yl2x((struct f80)ZERO, (struct f80)ONE, &env);
    ck_assert_uint_eq(env.flags, FP_ZE);
}
END_TEST

CHECK_MAIN("transcendental", results_are_correctly_rounded, special_cases,
           angles_of_2_63_are_out_of_range, unmasked_exceptions_come_alone)

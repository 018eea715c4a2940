/* The fast paths against the functions that they stand for: the same result and flags, or a refusal. */

#include "emu/fpu/arith.h"
#include "emu/fpu/fast.h"
#include "emu/fpu/fast_extended.h"
#include "tests/fpu/operands.h"
#include "tests/fpu/rows.h"

/* What a path says; two can be compared. */
struct answer {
    uint64_t result;
    uint8_t flags;
};

#define FAST(name, bits, call)                                        \
    static bool fast_##name(const uint64_t *x, struct answer *answer) \
    {                                                                 \
        uint##bits##_t result = 0;                                    \
        uint8_t *flags = &answer->flags;                              \
        bool done = (call);                                           \
        (void)flags;                                                  \
        answer->result = result;                                      \
        return done;                                                  \
    }
#define SLOW(name, pack, call)                                                           \
    static void slow_##name(const uint64_t *x, struct answer *answer)                    \
    {                                                                                    \
        struct fp_env e = { .masks = FP_EXCEPTIONS, .flags = answer->flags }, *env = &e; \
        answer->result = pack(call);                                                     \
        answer->flags = e.flags;                                                         \
    }
#define A32 (uint32_t) x[0]
#define B32 (uint32_t) x[1]
#define C32 (uint32_t) x[2]
#define N32(i) f32_unpack((uint32_t)x[i], env)
#define N64(i) f64_unpack(x[i], env)

#define TWO_OPERANDS(op)                                                \
    FAST(f32_##op, 32, f32_fast_##op(A32, B32, &result, flags))         \
    SLOW(f32_##op, f32_pack, fp_##op(N32(0), N32(1), &f32_format, env)) \
    FAST(f64_##op, 64, f64_fast_##op(x[0], x[1], &result, flags))       \
    SLOW(f64_##op, f64_pack, fp_##op(N64(0), N64(1), &f64_format, env))
TWO_OPERANDS(add)
TWO_OPERANDS(sub)
TWO_OPERANDS(mul)
TWO_OPERANDS(div)

FAST(f32_sqrt, 32, f32_fast_sqrt(A32, &result, flags))
SLOW(f32_sqrt, f32_pack, fp_sqrt(N32(0), &f32_format, env))
FAST(f64_sqrt, 64, f64_fast_sqrt(x[0], &result, flags))
SLOW(f64_sqrt, f64_pack, fp_sqrt(N64(0), &f64_format, env))
FAST(f32_fma, 32, f32_fast_fma(A32, B32, C32, &result, flags))
SLOW(f32_fma, f32_pack, fp_fma(N32(0), N32(1), N32(2), &f32_format, env))
FAST(f64_fma, 64, f64_fast_fma(x[0], x[1], x[2], &result, flags))
SLOW(f64_fma, f64_pack, fp_fma(N64(0), N64(1), N64(2), &f64_format, env))

static bool compare32(uint32_t a, uint32_t b, uint64_t *result)
{
    enum fp_relation relation;
    bool done = f32_fast_compare(a, b, &relation);
    *result = done ? relation : 0;
    return done;
}

static bool compare64(uint64_t a, uint64_t b, uint64_t *result)
{
    enum fp_relation relation;
    bool done = f64_fast_compare(a, b, &relation);
    *result = done ? relation : 0;
    return done;
}
FAST(f32_compare, 64, compare32(A32, B32, &result))
SLOW(f32_compare, , fp_compare(N32(0), N32(1), false, env))
FAST(f64_compare, 64, compare64(x[0], x[1], &result))
SLOW(f64_compare, , fp_compare(N64(0), N64(1), false, env))

FAST(f64_to_f32, 32, f64_fast_to_f32(x[0], &result, flags))
static uint32_t slow_narrow(struct fp_num a, struct fp_env *env)
{
    if (a.kind == KIND_FINITE && !a.denormal)
        a = fp_round(a.sign, a.exp, a.mant, 0, &f32_format, env);
    return f32_pack(a);
}
SLOW(f64_to_f32, , slow_narrow(N64(0), env))

struct row {
    const char *name;
    bool (*fast)(const uint64_t *x, struct answer *answer);
    void (*slow)(const uint64_t *x, struct answer *answer);
    bool wide;
};
#define ROW(name, wide)                       \
    {                                         \
#name, fast_##name, slow_##name, wide \
    }
static const struct row rows[] = {
    ROW(f32_add, false),    ROW(f64_add, true),    ROW(f32_sub, false), ROW(f64_sub, true),
    ROW(f32_mul, false),    ROW(f64_mul, true),    ROW(f32_div, false), ROW(f64_div, true),
    ROW(f32_sqrt, false),   ROW(f64_sqrt, true),   ROW(f32_fma, false), ROW(f32_compare, false),
    ROW(f64_compare, true), ROW(f64_to_f32, true), ROW(f64_fma, true),
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

static void compare(const struct row *row, struct source *s)
{
    uint64_t x[3] = { 0 };
    for (int i = 0; i < 3; i++)
        x[i] = row->wide ? draw_f64(s, x[i > 0 ? i - 1 : 0])
                         : draw_f32(s, (uint32_t)x[i > 0 ? i - 1 : 0]);
    if (draw_below(s, 4) == 0) /* results near zero, or exact */
        x[1] = x[0] ^ (draw(s) & 3);
    uint8_t before = draw_below(s, 4) == 0 ? FP_PE : 0;
    struct answer fast = { .flags = before }, slow = fast;
    if (!row->fast(x, &fast)) {
        if (fast.flags != before)
            ck_abort_msg("%s refuses %#llx, %#llx, but changes flags", row->name,
                         (unsigned long long)x[0], (unsigned long long)x[1]);
        return;
    }
    row->slow(x, &slow);
    if (fast.result != slow.result || fast.flags != slow.flags)
        ck_abort_msg("%s %#llx, %#llx, %#llx: fast %#llx flags %#x, slow %#llx flags %#x",
                     row->name, (unsigned long long)x[0], (unsigned long long)x[1],
                     (unsigned long long)x[2], (unsigned long long)fast.result, fast.flags,
                     (unsigned long long)slow.result, slow.flags);
}

START_TEST(fast_path_is_the_same)
{
    struct source s = { .state = (uint64_t)_i };
    for (int i = 0; i < 1000000; i++)
        compare(&rows[_i], &s);
}
END_TEST

/* A path that always refused would be right too. */
START_TEST(fast_path_takes_ordinary_numbers)
{
    static const double wide[] = { 1.0, 3.0, 0.1, 1e10, 123456.789, 2.5 };
    for (unsigned i = 0; i < 6; i++) {
        for (unsigned j = 0; j < 6; j++) {
            uint64_t x[3] = { f64_bits(wide[i]), f64_bits(wide[j]), f64_bits(wide[(i + j) % 6]) };
            if (!rows[_i].wide)
                for (unsigned k = 0; k < 3; k++)
                    x[k] = f32_bits((float)f64_native(x[k]));
            struct answer answer = { .flags = FP_PE };
            bool fma = rows[_i].fast == fast_f64_fma && !EMU_HAS_FMA();
            ck_assert_msg(rows[_i].fast(x, &answer) != fma, "%s", rows[_i].name);
        }
    }
}
END_TEST

/* Even rows: sums, odd rows: products. */
START_TEST(fast_path_of_extended_is_the_same)
{
    struct source s = { .state = (uint64_t)_i };
    unsigned taken = 0;
    for (int i = 0; i < 300000; i++) {
        struct f80 a = draw_f80(&s, (struct f80){ .se = 0x3fff }), b = draw_f80(&s, a), fast;
        struct fp_env env = { .masks = FP_EXCEPTIONS, .precision = 64, .x87 = true }, slow = env;
        bool product = _i & 1;
        if (!(product ? f80_fast_mul : f80_fast_add)(a, b, &fast, &env))
            continue;
        struct fp_num x = f80_unpack(a), y = f80_unpack(b);
        struct f80 expected =
            f80_pack(product ? fp_mul(x, y, &f80_format, &slow) : fp_add(x, y, &f80_format, &slow));
        if (fast.mant != expected.mant || fast.se != expected.se || env.flags != slow.flags ||
            env.rounded_up != slow.rounded_up)
            ck_abort_msg("%04x:%#llx, %04x:%#llx", a.se, (unsigned long long)a.mant, b.se,
                         (unsigned long long)b.mant);
        taken++;
    }
    ck_assert_uint_gt(taken, 10000);
}
END_TEST

CHECK_ROWS("fast paths", ROW_COUNT, fast_path_is_the_same, fast_path_takes_ordinary_numbers,
           fast_path_of_extended_is_the_same)

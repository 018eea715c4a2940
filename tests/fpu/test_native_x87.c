/* The double-extended format against this workstation's x87. */
#if defined(__x86_64__)

#include <stdio.h>
#include <string.h>

#include "tests/fpu/native.h"
#include "tests/fpu/operands.h"
#include "tests/fpu/rows.h"

#define CONDITIONS 0x4700u
#define C0 0x0100u
#define C1 0x0200u
#define C2 0x0400u
#define C3 0x4000u

struct operands {
    struct f80 a, b;
    uint64_t memory;
    uint16_t control;
};

/* What an instruction leaves: ST(0), ST(1), memory, and FSW. */
struct outcome {
    struct f80 st0, st1;
    uint64_t memory;
    uint16_t status;
};

/* ST(0) = a, ST(1) = b, memory. A pending exception is seen by FNSTSW and cleared before anything could report it. */
#define NATIVE(name, text)                                                                      \
    static struct outcome native_##name(struct operands o)                                      \
    {                                                                                           \
        struct outcome out = { .memory = o.memory };                                            \
        __asm__ volatile("fninit\n fldt %[b]\n fldt %[b]\n fldt %[a]\n fldcw %[control]\n" text \
                         "\n fnstsw %[status]\n fnclex\n fstpt %[st0]\n fstpt %[st1]\n"         \
                         "fninit"                                                               \
                         : [status] "=m"(out.status), [memory] "+m"(out.memory),                \
                           [st0] "=m"(out.st0), [st1] "=m"(out.st1)                             \
                         : [a] "m"(o.a), [b] "m"(o.b), [control] "m"(o.control)                 \
                         : "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)", \
                           "ax", "cc", "memory");                                               \
        return out;                                                                             \
    }

#define OURS(name, ...)                                                      \
    static struct outcome ours_##name(struct operands o, struct fp_env *env) \
    {                                                                        \
        struct outcome out = { .st0 = o.a, .st1 = o.b, .memory = o.memory }; \
        (void)env;                                                           \
        __VA_ARGS__;                                                         \
        return out;                                                          \
    }

#define BOTH(name, text, ...) \
    NATIVE(name, text)        \
    OURS(name, __VA_ARGS__)

BOTH(fadd, "fadd %%st(1), %%st", out.st0 = f80_add(o.a, o.b, env))
BOTH(fsub, "fsub %%st(1), %%st", out.st0 = f80_sub(o.a, o.b, env))
BOTH(fmul, "fmul %%st(1), %%st", out.st0 = f80_mul(o.a, o.b, env))
BOTH(fdiv, "fdiv %%st(1), %%st", out.st0 = f80_div(o.a, o.b, env))
BOTH(fsqrt, "fsqrt", out.st0 = f80_sqrt(o.a, env))
BOTH(frndint, "frndint", out.st0 = f80_round(o.a, env))
BOTH(fscale, "fscale", out.st0 = f80_scale(o.a, o.b, env))
BOTH(fxtract, "fxtract", out.st0 = f80_extract(o.a, &out.st1, env))

static uint16_t remainder_conditions(unsigned quotient, bool partial)
{
    return (quotient & 1 ? C1 : 0) | (quotient & 2 ? C3 : 0) | (quotient & 4 ? C0 : 0) |
           (partial ? C2 : 0);
}
#define REMAINDER(name, nearest)                                               \
    BOTH(name, #name, unsigned quotient; bool partial;                         \
         out.st0 = f80_remainder(o.a, o.b, nearest, &quotient, &partial, env); \
         env->rounded_up = false; out.status = remainder_conditions(quotient, partial))
REMAINDER(fprem, false)
REMAINDER(fprem1, true)

static uint16_t relation_conditions(enum fp_relation relation)
{
    switch (relation) {
    case FP_LESS: return C0;
    case FP_EQUAL: return C3;
    case FP_GREATER: return 0;
    default: return C0 | C2 | C3;
    }
}
#define COMPARE(name, quiet)     \
    BOTH(name, #name " %%st(1)", \
         out.status = relation_conditions(f80_compare(o.a, o.b, quiet, env)))
COMPARE(fcom, false)
COMPARE(fucom, true)

/* Memory. What is not written keeps the pattern that the test put there. */
#define STORED(unless) (!(env->flags & ~env->masks & (unless)))
BOTH(fsts, "fsts %[memory]", uint32_t v = f80_to_f32(o.a, env);
     if (STORED(FP_IE | FP_OE | FP_UE)) memcpy(&out.memory, &v, 4))
BOTH(fstl, "fstl %[memory]", uint64_t v = f80_to_f64(o.a, env);
     if (STORED(FP_IE | FP_OE | FP_UE)) memcpy(&out.memory, &v, 8))
BOTH(flds, "flds %[memory]", out.st1 = o.a; out.st0 = f32_to_f80((uint32_t)o.memory, env))
BOTH(fldl, "fldl %[memory]", out.st1 = o.a; out.st0 = f64_to_f80(o.memory, env))

#define TO_INT(name, bytes, truncate)                                                 \
    BOTH(name, #name " %[memory]", int64_t v = f80_to_int(o.a, bytes, truncate, env); \
         out.st0 = o.b; if (STORED(FP_IE)) memcpy(&out.memory, &v, bytes))
TO_INT(fistps, 2, false)
TO_INT(fistpl, 4, false)
TO_INT(fistpll, 8, false)
TO_INT(fisttps, 2, true)
TO_INT(fisttpl, 4, true)
TO_INT(fisttpll, 8, true)
BOTH(fildll, "fildll %[memory]", out.st1 = o.a; out.st0 = int_to_f80((int64_t)o.memory))

/* What an unmasked exception before the operation leaves alone, and what counts in memory. */
struct operation {
    const char *name;
    struct outcome (*native)(struct operands);
    struct outcome (*ours)(struct operands, struct fp_env *);
};
#define ROW(name)                         \
    {                                     \
#name, native_##name, ours_##name \
    }
static const struct operation operations[] = {
    ROW(fadd),    ROW(fsub),    ROW(fmul),    ROW(fdiv),     ROW(fsqrt),  ROW(frndint),
    ROW(fscale),  ROW(fxtract), ROW(fprem),   ROW(fprem1),   ROW(fcom),   ROW(fucom),
    ROW(fsts),    ROW(fstl),    ROW(flds),    ROW(fldl),     ROW(fistps), ROW(fistpl),
    ROW(fistpll), ROW(fisttps), ROW(fisttpl), ROW(fisttpll), ROW(fildll),
};
#define OPERATION_COUNT (int)(sizeof(operations) / sizeof(operations[0]))

static bool same(struct f80 a, struct f80 b)
{
    return a.mant == b.mant && a.se == b.se;
}

static void compare(const struct operation *op, struct source *s, bool unmasked)
{
    static const uint8_t precisions[] = { 24, 64, 53, 64 };
    static const uint16_t codes[] = { 0x000, 0x300, 0x200, 0x300 };
    unsigned precision = draw_below(s, 4);
    struct fp_env env = { .masks = FP_EXCEPTIONS, .x87 = true, .precision = precisions[precision] };
    env.rounding = draw_below(s, 4);
    if (unmasked)
        env.masks = draw(s) & FP_EXCEPTIONS;
    struct fp_env before = env;
    struct operands o = { .memory = draw_f64(s, 0) };
    o.control = env.masks | codes[precision] | env.rounding << 10;
    o.a = draw_f80(s, (struct f80){ .se = (uint16_t)draw(s) });
    o.b = draw_f80(s, o.a);
    if (draw(s) & 1) { /* of a shorter format */
        o.a.mant &= ~UINT64_C(0) << 40;
        o.b.mant &= ~UINT64_C(0) << 40;
    }
    if (draw(s) & 1)
        o.memory = draw_f32(s, 0) | o.memory << 32;

    struct outcome native = op->native(o), ours = op->ours(o, &env);
    ours.status |= env.flags | (env.rounded_up ? C1 : 0);
    native.status &= CONDITIONS | FP_EXCEPTIONS;
    bool stopped = env.flags & ~env.masks & (FP_IE | FP_DE | FP_ZE);
    if (!(native.status == ours.status && native.memory == ours.memory &&
          (stopped || (same(native.st0, ours.st0) && same(native.st1, ours.st1)))))
        ck_abort_msg(
            "%s %04x:%016llx, %04x:%016llx, memory %#llx; rounding %d, precision %d, masks %#x\n"
            "native %04x:%016llx, %04x:%016llx, memory %#llx, FSW %04x\n"
            "ours   %04x:%016llx, %04x:%016llx, memory %#llx, FSW %04x",
            op->name, o.a.se, (unsigned long long)o.a.mant, o.b.se, (unsigned long long)o.b.mant,
            (unsigned long long)o.memory, before.rounding, before.precision, before.masks,
            native.st0.se, (unsigned long long)native.st0.mant, native.st1.se,
            (unsigned long long)native.st1.mant, (unsigned long long)native.memory, native.status,
            ours.st0.se, (unsigned long long)ours.st0.mant, ours.st1.se,
            (unsigned long long)ours.st1.mant, (unsigned long long)ours.memory, ours.status);
}

static void run(const struct operation *op, bool unmasked, int count)
{
    struct source s = { .state = (uint64_t)(op - operations) };
    for (int i = 0; i < count; i++)
        compare(op, &s, unmasked);
}

START_TEST(x87_as_silicon_masked)
{
    run(&operations[_i], false, 200000);
}
END_TEST

START_TEST(x87_as_silicon_unmasked)
{
    run(&operations[_i], true, 200000);
}
END_TEST

CHECK_ROWS("native x87", native_is_reference() ? OPERATION_COUNT : 0, x87_as_silicon_masked,
           x87_as_silicon_unmasked)

#else

int main(void)
{
    return 0; /* no such workstation */
}

#endif

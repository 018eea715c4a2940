/* binary32 and binary64 against this workstation's SSE, FMA and F16C. */
#if defined(__x86_64__)

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

#include "tests/fpu/native.h"
#include "tests/fpu/operands.h"
#include "tests/fpu/rows.h"

#define MXCSR_MASKED UINT32_C(0x1f80)

/* An unmasked exception: note what MXCSR says, mask everything and let the instruction finish. */
static volatile uint32_t trap_mxcsr;
static volatile bool trapped;

static void on_fpe(int signal, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    (void)signal, (void)info;
    trap_mxcsr = uc->uc_mcontext.fpregs->mxcsr;
    trapped = true;
    uc->uc_mcontext.fpregs->mxcsr = MXCSR_MASKED;
}

struct operands {
    uint64_t a, b, c;
};

/* xmm0 = a, xmm1 = b, xmm2 = c, eax the flags or an integer; the result is in xmm0 or eax/rax as the text leaves it in
 * rax. */
#define NATIVE(name, text)                                                                     \
    static uint64_t native_##name(struct operands o, uint32_t *mxcsr)                          \
    {                                                                                          \
        uint64_t result;                                                                       \
        uint32_t masked = MXCSR_MASKED;                                                        \
        __asm__ volatile("movq %[a], %%xmm0\n movq %[b], %%xmm1\n movq %[c], %%xmm2\n"         \
                         "ldmxcsr %[mxcsr]\n" text "\n stmxcsr %[mxcsr]\n ldmxcsr %[masked]\n" \
                         : "=&a"(result), [mxcsr] "+m"(*mxcsr)                                 \
                         : [a] "r"(o.a), [b] "r"(o.b), [c] "r"(o.c), [masked] "m"(masked)      \
                         : "xmm0", "xmm1", "xmm2", "cc");                                      \
        return result;                                                                         \
    }

#define OURS(name, expression)                                         \
    static uint64_t ours_##name(struct operands o, struct fp_env *env) \
    {                                                                  \
        (void)o, (void)env;                                            \
        return (expression);                                           \
    }

#define BOTH_32(name, text, expression)        \
    NATIVE(name, text "\n movd %%xmm0, %%eax") \
    OURS(name, expression)
#define BOTH_64(name, text, expression)        \
    NATIVE(name, text "\n movq %%xmm0, %%rax") \
    OURS(name, expression)

#define A32 ((uint32_t)o.a)
#define B32 ((uint32_t)o.b)
#define C32 ((uint32_t)o.c)

#define ARITHMETIC(op)                                                \
    BOTH_32(op##ss, #op "ss %%xmm1, %%xmm0", f32_##op(A32, B32, env)) \
    BOTH_64(op##sd, #op "sd %%xmm1, %%xmm0", f64_##op(o.a, o.b, env))

ARITHMETIC(add)
ARITHMETIC(sub)
ARITHMETIC(mul)
ARITHMETIC(div)
ARITHMETIC(min)
ARITHMETIC(max)
BOTH_32(sqrtss, "sqrtss %%xmm0, %%xmm0", f32_sqrt(A32, env))
BOTH_64(sqrtsd, "sqrtsd %%xmm0, %%xmm0", f64_sqrt(o.a, env))
BOTH_32(fmass, "vfmadd231ss %%xmm1, %%xmm0, %%xmm2\n movaps %%xmm2, %%xmm0",
        f32_fma(A32, B32, C32, env))
BOTH_64(fmasd, "vfmadd231sd %%xmm1, %%xmm0, %%xmm2\n movaps %%xmm2, %%xmm0",
        f64_fma(o.a, o.b, o.c, env))
BOTH_32(roundss, "roundss $4, %%xmm0, %%xmm0", f32_round(A32, false, env))
BOTH_64(roundsd, "roundsd $4, %%xmm0, %%xmm0", f64_round(o.a, false, env))
BOTH_32(nearbyss, "roundss $12, %%xmm0, %%xmm0", f32_round(A32, true, env))
BOTH_64(nearbysd, "roundsd $12, %%xmm0, %%xmm0", f64_round(o.a, true, env))

BOTH_64(cvtss2sd, "cvtss2sd %%xmm0, %%xmm0", f32_to_f64(A32, env))
BOTH_32(cvtsd2ss, "cvtsd2ss %%xmm0, %%xmm0", f64_to_f32(o.a, env))
BOTH_32(cvtph2ps, "vcvtph2ps %%xmm0, %%xmm0", f16_to_f32((uint16_t)o.a, env))
BOTH_32(cvtps2ph,
        "vpinsrd $1, %%eax, %%xmm0, %%xmm0\n vpslldq $12, %%xmm0, %%xmm0\n"
        "vpsrldq $12, %%xmm0, %%xmm0\n vcvtps2ph $4, %%xmm0, %%xmm0",
        f32_to_f16(A32, env))

#define TO_INT(name, text, expression) \
    NATIVE(name, text)                 \
    OURS(name, (uint64_t)(expression))
#define TO_INT_SIZES(from, call)                                                       \
    TO_INT(cvt##from##2si, "cvt" #from "2si %%xmm0, %%eax", (uint32_t)call(4, false))  \
    TO_INT(cvt##from##2siq, "cvt" #from "2si %%xmm0, %%rax", call(8, false))           \
    TO_INT(cvtt##from##2si, "cvtt" #from "2si %%xmm0, %%eax", (uint32_t)call(4, true)) \
    TO_INT(cvtt##from##2siq, "cvtt" #from "2si %%xmm0, %%rax", call(8, true))
#define SS_TO_INT(size, truncate) f32_to_int(A32, size, truncate, env)
#define SD_TO_INT(size, truncate) f64_to_int(o.a, size, truncate, env)
TO_INT_SIZES(ss, SS_TO_INT)
TO_INT_SIZES(sd, SD_TO_INT)

BOTH_32(cvtsi2ss, "movq %%xmm0, %%rax\n cvtsi2ss %%eax, %%xmm0", int_to_f32((int32_t)o.a, env))
BOTH_64(cvtsi2sd, "movq %%xmm0, %%rax\n cvtsi2sd %%eax, %%xmm0", int_to_f64((int32_t)o.a, env))
BOTH_32(cvtsi2ssq, "movq %%xmm0, %%rax\n cvtsi2ss %%rax, %%xmm0", int_to_f32((int64_t)o.a, env))
BOTH_64(cvtsi2sdq, "movq %%xmm0, %%rax\n cvtsi2sd %%rax, %%xmm0", int_to_f64((int64_t)o.a, env))

/* CF and ZF (PF with both) tell the relation. */
static uint64_t relation_flags(enum fp_relation relation)
{
    switch (relation) {
    case FP_LESS: return 0x01;
    case FP_EQUAL: return 0x40;
    case FP_GREATER: return 0;
    default: return 0x45;
    }
}
#define COMPARE(name, text, expression)                                                  \
    NATIVE(name, text " %%xmm1, %%xmm0\n lahf\n movzbl %%ah, %%eax\n andl $0x45, %%eax") \
    OURS(name, relation_flags(expression))
COMPARE(comiss, "comiss", f32_compare(A32, B32, false, env))
COMPARE(comisd, "comisd", f64_compare(o.a, o.b, false, env))
COMPARE(ucomiss, "ucomiss", f32_compare(A32, B32, true, env))
COMPARE(ucomisd, "ucomisd", f64_compare(o.a, o.b, true, env))

enum operand_kind { SINGLE, DOUBLE, HALF, INTEGER };

struct operation {
    const char *name;
    enum operand_kind kind;
    uint64_t (*native)(struct operands, uint32_t *);
    uint64_t (*ours)(struct operands, struct fp_env *);
};

#define ROW(name, kind)                         \
    {                                           \
#name, kind, native_##name, ours_##name \
    }
static const struct operation operations[] = {
    ROW(addss, SINGLE),      ROW(addsd, DOUBLE),      ROW(subss, SINGLE),
    ROW(subsd, DOUBLE),      ROW(mulss, SINGLE),      ROW(mulsd, DOUBLE),
    ROW(divss, SINGLE),      ROW(divsd, DOUBLE),      ROW(minss, SINGLE),
    ROW(minsd, DOUBLE),      ROW(maxss, SINGLE),      ROW(maxsd, DOUBLE),
    ROW(sqrtss, SINGLE),     ROW(sqrtsd, DOUBLE),     ROW(fmass, SINGLE),
    ROW(fmasd, DOUBLE),      ROW(roundss, SINGLE),    ROW(roundsd, DOUBLE),
    ROW(nearbyss, SINGLE),   ROW(nearbysd, DOUBLE),   ROW(cvtss2sd, SINGLE),
    ROW(cvtsd2ss, DOUBLE),   ROW(cvtph2ps, HALF),     ROW(cvtps2ph, SINGLE),
    ROW(cvtss2si, SINGLE),   ROW(cvtss2siq, SINGLE),  ROW(cvttss2si, SINGLE),
    ROW(cvttss2siq, SINGLE), ROW(cvtsd2si, DOUBLE),   ROW(cvtsd2siq, DOUBLE),
    ROW(cvttsd2si, DOUBLE),  ROW(cvttsd2siq, DOUBLE), ROW(cvtsi2ss, INTEGER),
    ROW(cvtsi2sd, INTEGER),  ROW(cvtsi2ssq, INTEGER), ROW(cvtsi2sdq, INTEGER),
    ROW(comiss, SINGLE),     ROW(comisd, DOUBLE),     ROW(ucomiss, SINGLE),
    ROW(ucomisd, DOUBLE),
};
#define OPERATION_COUNT (int)(sizeof(operations) / sizeof(operations[0]))

static struct operands draw_operands(struct source *s, enum operand_kind kind)
{
    struct operands o = { 0 };
    switch (kind) {
    case SINGLE:
        o.a = draw_f32(s, (uint32_t)draw(s));
        o.b = draw_f32(s, (uint32_t)o.a);
        o.c = draw_f32(
            s, draw(s) & 1 ? f32_mul((uint32_t)o.a, (uint32_t)o.b, &(struct fp_env){ .masks = 63 })
                           : (uint32_t)o.b);
        break;
    case DOUBLE:
        o.a = draw_f64(s, draw(s));
        o.b = draw_f64(s, o.a);
        o.c = draw_f64(s, draw(s) & 1 ? f64_mul(o.a, o.b, &(struct fp_env){ .masks = 63 }) : o.b);
        break;
    case HALF: o.a = draw_binary(s, 5, 10, 0); break;
    case INTEGER: o.a = (uint64_t)((int64_t)draw_fraction(s, 64) >> draw_below(s, 64)); break;
    }
    return o;
}

static void compare(const struct operation *op, struct source *s, bool unmasked)
{
    struct operands o = draw_operands(s, op->kind);
    struct fp_env env = { .masks = FP_EXCEPTIONS };
    env.rounding = draw_below(s, 4);
    env.daz = draw_below(s, 4) == 0;
    env.ftz = draw_below(s, 4) == 0;
    if (unmasked)
        env.masks = draw(s) & FP_EXCEPTIONS;
    uint32_t mxcsr = (uint32_t)env.masks << 7 | (uint32_t)env.rounding << 13 |
                     (uint32_t)env.ftz << 15 | (uint32_t)env.daz << 6;
    struct fp_env before = env;
    trapped = false;
    uint64_t native = op->native(o, &mxcsr), ours = op->ours(o, &env);
    unsigned flags = (trapped ? trap_mxcsr : mxcsr) & FP_EXCEPTIONS;
    bool trap = env.flags & ~env.masks & FP_EXCEPTIONS;
    if (!(flags == env.flags && trap == trapped && (trapped || native == ours)))
        ck_abort_msg(
            "%s %#llx, %#llx, %#llx; rounding %d, masks %#x, daz %d, ftz %d: native %#llx flags "
            "%#x trap %d, ours %#llx flags %#x trap %d",
            op->name, (unsigned long long)o.a, (unsigned long long)o.b, (unsigned long long)o.c,
            before.rounding, before.masks, before.daz, before.ftz, (unsigned long long)native,
            flags, trapped, (unsigned long long)ours, env.flags, trap);
}

static void run(const struct operation *op, bool unmasked, int count)
{
    struct sigaction action = { .sa_sigaction = on_fpe, .sa_flags = SA_SIGINFO };
    ck_assert_int_eq(sigaction(SIGFPE, &action, NULL), 0);
    struct source s = { .state = (uint64_t)(op - operations) };
    for (int i = 0; i < count; i++)
        compare(op, &s, unmasked);
}

START_TEST(sse_as_silicon_masked)
{
    run(&operations[_i], false, 250000);
}
END_TEST

START_TEST(sse_as_silicon_unmasked)
{
    run(&operations[_i], true, 20000);
}
END_TEST

CHECK_ROWS("native SSE", native_is_reference() ? OPERATION_COUNT : 0, sse_as_silicon_masked,
           sse_as_silicon_unmasked)

#else

int main(void)
{
    return 0; /* no such workstation */
}

#endif

/* x87 arithmetic: ST(i) and ST(0), ST(0) and memory. APM vol 5, "FADD", "FSUB", "FSUBR", "FMUL", "FDIV", "FDIVR" and the
 * forms with P and I, "FSQRT", "FRNDINT", "FSCALE", "FXTRACT", "FPREM", "FPREM1", "FCHS", "FABS". */
#include "emu/insn/x87_priv.h"

#include <Zydis/Zydis.h>

typedef struct f80 binary(struct f80 a, struct f80 b, struct fp_env *env);

/* Commit a result to ST(to), unless an exception keeps it; then pop. */
EMU_INLINE enum step commit(struct vcpu *cpu, unsigned to, struct f80 result, unsigned status,
                            bool pop)
{
    if (EMU_UNLIKELY(x87_unmasked(cpu, status, X87_BEFORE))) {
        x87_finish(cpu, x87_kept(status));
        return STEP_NEXT;
    }
    x87_set(cpu, to, result);
    if (pop)
        x87_pop(cpu);
    x87_finish(cpu, status);
    return STEP_NEXT;
}

/* An operand of an operation on ST(to) is empty. */
EMU_COLD static enum step underflow(struct vcpu *cpu, unsigned to, bool pop)
{
    return commit(cpu, to, F80_INDEFINITE, X87_UNDERFLOW, pop);
}

/* ST(op 0) and ST(op 1), the result goes to the first. */
EMU_INLINE enum step on_stack(struct vcpu *cpu, const struct insn *in, binary *op, bool reversed,
                              bool pop)
{
    unsigned to = in->op[0].reg, from = in->op[1].reg;
    x87_pointers(cpu, in);
    if (EMU_UNLIKELY(x87_empty(cpu, to) || x87_empty(cpu, from)))
        return underflow(cpu, to, pop);
    struct fp_env env;
    x87_env(cpu, &env);
    struct f80 a = *x87_st(cpu, to), b = *x87_st(cpu, from);
    struct f80 result = reversed ? op(b, a, &env) : op(a, b, &env);
    return commit(cpu, to, result, x87_status(&env), pop);
}

/* ST(0) and a number that came from memory; `pre`: DE if that was denormal there. */
EMU_INLINE enum step with_memory(struct vcpu *cpu, binary *op, bool reversed, struct f80 b,
                                 uint8_t pre)
{
    if (EMU_UNLIKELY(x87_empty(cpu, 0)))
        return underflow(cpu, 0, false);
    struct fp_env env;
    x87_env(cpu, &env);
    struct f80 a = *x87_st(cpu, 0);
    struct f80 result = reversed ? op(b, a, &env) : op(a, b, &env);
    if (EMU_UNLIKELY(pre) && !(env.flags & (FP_IE | FP_ZE)) && !x87_is_nan(a))
        env.flags |= FP_DE;
    return commit(cpu, 0, result, x87_status(&env), false);
}

/* m32, m64 or registers. */
EMU_INLINE enum step arith(struct vcpu *cpu, const struct insn *in, binary *op, bool reversed)
{
    if (in->op[0].kind != OPERAND_MEM)
        return on_stack(cpu, in, op, reversed, false);
    uint64_t off = mem_offset(cpu, in), bits;
    enum step step = mem_load(cpu, (enum seg)in->seg, off, in->op[0].size, &bits);
    if (EMU_UNLIKELY(step != STEP_NEXT))
        return step;
    x87_pointers_mem(cpu, in, off);
    uint8_t pre = 0;
    struct f80 b =
        in->op[0].size == 4 ? x87_widen32((uint32_t)bits, &pre) : x87_widen64(bits, &pre);
    return with_memory(cpu, op, reversed, b, pre);
}

/* m16int or m32int. */
EMU_INLINE enum step arith_int(struct vcpu *cpu, const struct insn *in, binary *op, bool reversed)
{
    uint64_t off = mem_offset(cpu, in), bits;
    enum step step = mem_load(cpu, (enum seg)in->seg, off, in->op[0].size, &bits);
    if (EMU_UNLIKELY(step != STEP_NEXT))
        return step;
    x87_pointers_mem(cpu, in, off);
    int64_t value = in->op[0].size == 2 ? (int16_t)bits : (int32_t)bits;
    return with_memory(cpu, op, reversed, int_to_f80(value), 0);
}

#define FAMILY(name, op, reversed)                                     \
    enum step insn_f##name(struct vcpu *cpu, const struct insn *in)    \
    {                                                                  \
        return arith(cpu, in, op, reversed);                           \
    }                                                                  \
    enum step insn_f##name##p(struct vcpu *cpu, const struct insn *in) \
    {                                                                  \
        return on_stack(cpu, in, op, reversed, true);                  \
    }                                                                  \
    enum step insn_fi##name(struct vcpu *cpu, const struct insn *in)   \
    {                                                                  \
        return arith_int(cpu, in, op, reversed);                       \
    }
FAMILY(add, f80_add, false)
FAMILY(mul, f80_mul, false)
FAMILY(sub, f80_sub, false)
FAMILY(subr, f80_sub, true)
FAMILY(div, f80_div, false)
FAMILY(divr, f80_div, true)

/* --- one operand -------------------------------------------------------------------------- */

enum step insn_fsqrt(struct vcpu *cpu, const struct insn *in)
{
    x87_pointers(cpu, in);
    if (x87_empty(cpu, 0))
        return underflow(cpu, 0, false);
    struct fp_env env;
    x87_env(cpu, &env);
    struct f80 result = f80_sqrt(*x87_st(cpu, 0), &env);
    return commit(cpu, 0, result, x87_status(&env), false);
}

enum step insn_frndint(struct vcpu *cpu, const struct insn *in)
{
    x87_pointers(cpu, in);
    if (x87_empty(cpu, 0))
        return underflow(cpu, 0, false);
    struct fp_env env;
    x87_env(cpu, &env);
    struct f80 result = f80_round(*x87_st(cpu, 0), &env);
    return commit(cpu, 0, result, x87_status(&env), false);
}

/* Signs change whatever the bits are: no exception but a stack fault. */
enum step insn_fchs(struct vcpu *cpu, const struct insn *in)
{
    x87_pointers(cpu, in);
    if (x87_empty(cpu, 0))
        return underflow(cpu, 0, false);
    x87_st(cpu, 0)->se ^= 0x8000;
    x87_finish(cpu, 0);
    return STEP_NEXT;
}

enum step insn_fabs(struct vcpu *cpu, const struct insn *in)
{
    x87_pointers(cpu, in);
    if (x87_empty(cpu, 0))
        return underflow(cpu, 0, false);
    x87_st(cpu, 0)->se &= 0x7fff;
    x87_finish(cpu, 0);
    return STEP_NEXT;
}

/* The significand goes on top of the exponent. */
enum step insn_fxtract(struct vcpu *cpu, const struct insn *in)
{
    x87_pointers(cpu, in);
    bool empty = x87_empty(cpu, 0), full = !x87_empty(cpu, 7);
    struct fp_env env;
    x87_env(cpu, &env);
    struct f80 exponent = F80_INDEFINITE, significand = F80_INDEFINITE;
    unsigned status = empty ? X87_UNDERFLOW : X87_OVERFLOW;
    if (!empty && !full) {
        significand = f80_extract(*x87_st(cpu, 0), &exponent, &env);
        status = x87_status(&env);
    }
    if (x87_unmasked(cpu, status, X87_BEFORE)) {
        x87_finish(cpu, x87_kept(status));
        return STEP_NEXT;
    }
    x87_set(cpu, 0, exponent);
    x87_push(cpu, significand);
    x87_finish(cpu, status);
    return STEP_NEXT;
}

/* --- ST(0) and ST(1) ------------------------------------------------------------------------ */

enum step insn_fscale(struct vcpu *cpu, const struct insn *in)
{
    x87_pointers(cpu, in);
    if (x87_empty(cpu, 0) || x87_empty(cpu, 1))
        return underflow(cpu, 0, false);
    struct fp_env env;
    x87_env(cpu, &env);
    struct f80 result = f80_scale(*x87_st(cpu, 0), *x87_st(cpu, 1), &env);
    return commit(cpu, 0, result, x87_status(&env), false);
}

/* C2 tells that the reduction is not finished; else C0, C3 and C1 are bits 2, 1 and 0 of the quotient. A NaN leaves C0
 * and C3 alone (measured on Zen 4). */
enum step insn_fprem(struct vcpu *cpu, const struct insn *in)
{
    x87_pointers(cpu, in);
    cpu->x87.fsw &= (uint16_t)~FSW_C2;
    if (x87_empty(cpu, 0) || x87_empty(cpu, 1))
        return underflow(cpu, 0, false);
    struct fp_env env;
    x87_env(cpu, &env);
    unsigned quotient = 0;
    bool partial = false;
    struct f80 result =
        f80_remainder(*x87_st(cpu, 0), *x87_st(cpu, 1), in->mnemonic == ZYDIS_MNEMONIC_FPREM1,
                      &quotient, &partial, &env);
    unsigned replaced = FSW_CONDITIONS, conditions = partial ? FSW_C2 : 0;
    if (env.flags & FP_IE || x87_is_nan(result))
        replaced = FSW_C1;
    else if (!partial)
        conditions =
            (quotient & 4 ? FSW_C0 : 0) | (quotient & 2 ? FSW_C3 : 0) | (quotient & 1 ? FSW_C1 : 0);
    if (x87_unmasked(cpu, env.flags, X87_BEFORE)) {
        x87_finish(cpu, env.flags);
        return STEP_NEXT;
    }
    cpu->x87.fsw &= (uint16_t)~replaced;
    return commit(cpu, 0, result, env.flags | conditions, false);
}

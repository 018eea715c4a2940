/* x87 transcendental instructions. APM vol 5, "F2XM1", "FYL2X", "FYL2XP1", "FPTAN", "FPATAN", "FSIN", "FCOS", "FSINCOS". */
#include "emu/insn/x87_priv.h"

#include <Zydis/Zydis.h>

/* Replace ST(0). */
static enum step replace(struct vcpu *cpu, struct f80 result, unsigned status)
{
    bool kept = x87_unmasked(cpu, status, X87_BEFORE);
    if (!kept)
        x87_set(cpu, 0, result);
    x87_finish(cpu, kept ? x87_kept(status) : status);
    return STEP_NEXT;
}

enum step insn_f2xm1(struct vcpu *cpu, const struct insn *in)
{
    x87_pointers(cpu, in);
    if (x87_empty(cpu, 0))
        return replace(cpu, F80_INDEFINITE, X87_UNDERFLOW);
    struct fp_env env;
    x87_env(cpu, &env);
    struct f80 result = f80_2xm1(*x87_st(cpu, 0), &env);
    return replace(cpu, result, x87_status(&env));
}

/* FYL2X, FYL2XP1, FPATAN: ST(1) gets f(ST(0), ST(1)), then pop. */
enum step insn_fyl2x(struct vcpu *cpu, const struct insn *in)
{
    unsigned status = X87_UNDERFLOW;
    struct f80 result = F80_INDEFINITE, x = *x87_st(cpu, 0), y = *x87_st(cpu, 1);
    x87_pointers(cpu, in);
    if (!x87_empty(cpu, 0) && !x87_empty(cpu, 1)) {
        struct fp_env env;
        x87_env(cpu, &env);
        if (in->mnemonic == ZYDIS_MNEMONIC_FYL2X)
            result = f80_yl2x(x, y, &env);
        else if (in->mnemonic == ZYDIS_MNEMONIC_FYL2XP1)
            result = f80_yl2xp1(x, y, &env);
        else
            result = f80_atan2(y, x, &env);
        status = x87_status(&env);
    }
    bool kept = x87_unmasked(cpu, status, X87_BEFORE);
    if (!kept) {
        x87_set(cpu, 1, result);
        x87_pop(cpu);
    }
    x87_finish(cpu, kept ? x87_kept(status) : status);
    return STEP_NEXT;
}

/* C2 tells that the operand is out of range: then nothing else happens. */
static enum step out_of_range(struct vcpu *cpu)
{
    cpu->x87.fsw |= FSW_C2;
    x87_finish(cpu, 0);
    return STEP_NEXT;
}

enum step insn_fsin(struct vcpu *cpu, const struct insn *in)
{
    bool far = false;
    x87_pointers(cpu, in);
    cpu->x87.fsw &= (uint16_t)~FSW_C2;
    if (x87_empty(cpu, 0))
        return replace(cpu, F80_INDEFINITE, X87_UNDERFLOW);
    struct fp_env env;
    x87_env(cpu, &env);
    struct f80 a = *x87_st(cpu, 0);
    struct f80 result =
        in->mnemonic == ZYDIS_MNEMONIC_FSIN ? f80_sin(a, &far, &env) : f80_cos(a, &far, &env);
    if (far)
        return out_of_range(cpu);
    return replace(cpu, result, x87_status(&env));
}

/* FSINCOS pushes the cosine onto the sine, FPTAN 1.0 onto the tangent. */
enum step insn_fsincos(struct vcpu *cpu, const struct insn *in)
{
    bool empty = x87_empty(cpu, 0), full = !x87_empty(cpu, 7), far = false;
    unsigned status = empty ? X87_UNDERFLOW : X87_OVERFLOW;
    struct f80 below = F80_INDEFINITE, above = F80_INDEFINITE, a = *x87_st(cpu, 0);
    x87_pointers(cpu, in);
    if (!empty && !full) {
        struct fp_env env;
        x87_env(cpu, &env);
        if (in->mnemonic == ZYDIS_MNEMONIC_FSINCOS) {
            below = f80_sin(a, &far, &env);
            above = f80_cos(a, &far, &env);
        } else {
            below = f80_tan(a, &far, &env);
            above = x87_is_nan(below) ? below : (struct f80){ UINT64_C(1) << 63, 0x3fff };
        }
        status = x87_status(&env);
    }
    if (far)
        return out_of_range(cpu);
    bool kept = x87_unmasked(cpu, status, X87_BEFORE);
    cpu->x87.fsw &= (uint16_t)~FSW_C2;
    if (!kept) {
        x87_set(cpu, 0, below);
        x87_push(cpu, above);
    }
    x87_finish(cpu, kept ? x87_kept(status) : status);
    return STEP_NEXT;
}

/* Packed decimal integers: 18 digits in 9 bytes, the sign in bit 79. APM vol 5, "FBLD", "FBSTP". */
#include "emu/insn/x87_priv.h"

#define DIGITS_MAX INT64_C(999999999999999999)
#define BCD_INDEFINITE ((struct f80){ .mant = UINT64_C(0xc000000000000000), .se = 0xffff })

enum step insn_fbld(struct vcpu *cpu, const struct insn *in)
{
    uint64_t off = mem_offset(cpu, in);
    struct f80 bcd;
    enum step step = x87_load80(cpu, in, off, &bcd);
    if (step != STEP_NEXT)
        return step;
    x87_pointers_mem(cpu, in, off);

    uint64_t value = 0;
    for (unsigned i = 18; i-- > 0;)
        value = value * 10 +
                ((i >= 16 ? (uint64_t)bcd.se >> (4 * (i - 16)) : bcd.mant >> (4 * i)) & 15);
    struct f80 number = int_to_f80((int64_t)value);
    number.se |= bcd.se & 0x8000;
    unsigned status = 0;
    if (!x87_empty(cpu, 7)) {
        number = F80_INDEFINITE;
        status = X87_OVERFLOW;
    }
    if (!x87_unmasked(cpu, status, X87_BEFORE))
        x87_push(cpu, number);
    x87_finish(cpu, status);
    return STEP_NEXT;
}

static struct f80 encode(int64_t value, bool sign)
{
    uint64_t rest = (uint64_t)(value < 0 ? -value : value);
    struct f80 bcd = { .se = sign ? 0x8000 : 0 };
    for (unsigned i = 0; i < 18; i++, rest /= 10) {
        uint64_t digit = rest % 10;
        if (i < 16)
            bcd.mant |= digit << (4 * i);
        else
            bcd.se |= (uint16_t)(digit << (4 * (i - 16)));
    }
    return bcd;
}

enum step insn_fbstp(struct vcpu *cpu, const struct insn *in)
{
    uint64_t off = mem_offset(cpu, in);
    struct f80 bcd = BCD_INDEFINITE;
    unsigned status = X87_UNDERFLOW;
    if (!x87_empty(cpu, 0)) {
        struct fp_env env;
        x87_env(cpu, &env);
        struct f80 a = *x87_st(cpu, 0);
        int64_t value = f80_to_int(a, 8, false, &env);
        status = x87_status(&env);
        if (status & FP_IE || value > DIGITS_MAX || value < -DIGITS_MAX)
            status = FP_IE;
        else
            bcd = encode(value, f80_sign(a));
    }
    bool kept = x87_unmasked(cpu, status, X87_BEFORE);
    enum step step = kept ? x87_probe_store(cpu, in, off, 10) : x87_store80(cpu, in, off, bcd);
    if (step != STEP_NEXT)
        return step;
    x87_pointers_mem(cpu, in, off);
    if (!kept)
        x87_pop(cpu);
    x87_finish(cpu, status);
    return STEP_NEXT;
}

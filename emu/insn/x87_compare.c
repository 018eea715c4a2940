/* x87 comparisons. APM vol 5, "FCOM", "FCOMI", "FUCOM", "FUCOMI", "FICOM", "FTST", "FXAM". */
#include "emu/insn/x87_priv.h"

#include <Zydis/Zydis.h>

/* C3, C2 and C0 for each enum fp_relation. */
static const uint16_t conditions[] = {
    [FP_LESS] = FSW_C0,
    [FP_EQUAL] = FSW_C3,
    [FP_GREATER] = 0,
    [FP_UNORDERED] = FSW_C3 | FSW_C2 | FSW_C0,
};

/* The same in ZF, PF and CF. */
static const uint32_t flags[] = {
    [FP_LESS] = FLAG_CF,
    [FP_EQUAL] = FLAG_ZF,
    [FP_GREATER] = 0,
    [FP_UNORDERED] = FLAG_ZF | FLAG_PF | FLAG_CF,
};

EMU_INLINE enum step conclude(struct vcpu *cpu, enum fp_relation relation, unsigned status,
                              unsigned pops)
{
    bool kept = x87_unmasked(cpu, status, X87_BEFORE);
    cpu->x87.fsw = (uint16_t)((cpu->x87.fsw & ~FSW_CONDITIONS) | conditions[relation]);
    while (!kept && pops-- > 0)
        x87_pop(cpu);
    x87_finish(cpu, status);
    return STEP_NEXT;
}

/* Compare ST(0) with ST(with), then pop. */
EMU_INLINE enum step compare(struct vcpu *cpu, const struct insn *in, unsigned with, bool quiet,
                             unsigned pops)
{
    x87_pointers(cpu, in);
    if (EMU_UNLIKELY(x87_empty(cpu, 0) || x87_empty(cpu, with)))
        return conclude(cpu, FP_UNORDERED, X87_UNDERFLOW, pops);
    struct fp_env env;
    x87_env(cpu, &env);
    enum fp_relation relation = f80_compare(*x87_st(cpu, 0), *x87_st(cpu, with), quiet, &env);
    return conclude(cpu, relation, env.flags, pops);
}

EMU_INLINE enum step compare_number(struct vcpu *cpu, struct f80 b, uint8_t pre, unsigned pops)
{
    if (EMU_UNLIKELY(x87_empty(cpu, 0)))
        return conclude(cpu, FP_UNORDERED, X87_UNDERFLOW, pops);
    struct fp_env env;
    x87_env(cpu, &env);
    struct f80 a = *x87_st(cpu, 0);
    enum fp_relation relation = f80_compare(a, b, false, &env);
    if (pre && relation != FP_UNORDERED)
        env.flags |= FP_DE;
    return conclude(cpu, relation, env.flags, pops);
}

EMU_INLINE enum step compare_mem(struct vcpu *cpu, const struct insn *in, bool integer,
                                 unsigned pops)
{
    uint64_t off = mem_offset(cpu, in), bits;
    unsigned size = in->op[0].size;
    enum step step = mem_load(cpu, (enum seg)in->seg, off, size, &bits);
    if (EMU_UNLIKELY(step != STEP_NEXT))
        return step;
    x87_pointers_mem(cpu, in, off);
    uint8_t pre = 0;
    if (integer)
        return compare_number(cpu, int_to_f80(size == 2 ? (int16_t)bits : (int32_t)bits), 0, pops);
    struct f80 b = size == 4 ? x87_widen32((uint32_t)bits, &pre) : x87_widen64(bits, &pre);
    return compare_number(cpu, b, pre, pops);
}

enum step insn_fcom(struct vcpu *cpu, const struct insn *in)
{
    unsigned pops = in->mnemonic == ZYDIS_MNEMONIC_FCOMP;
    if (in->op[0].kind == OPERAND_MEM)
        return compare_mem(cpu, in, false, pops);
    return compare(cpu, in, in->modrm & 7, false, pops);
}

enum step insn_fucom(struct vcpu *cpu, const struct insn *in)
{
    return compare(cpu, in, in->modrm & 7, true, in->mnemonic == ZYDIS_MNEMONIC_FUCOMP);
}

enum step insn_fcompp(struct vcpu *cpu, const struct insn *in)
{
    return compare(cpu, in, 1, in->mnemonic == ZYDIS_MNEMONIC_FUCOMPP, 2);
}

enum step insn_ficom(struct vcpu *cpu, const struct insn *in)
{
    return compare_mem(cpu, in, true, in->mnemonic == ZYDIS_MNEMONIC_FICOMP);
}

/* FCOMI and its kin: the result goes to RFLAGS; OF, SF and AF become 0. Unmasked exceptions keep them from the pop alone
 * (measured on Zen 4). */
enum step insn_fcomi(struct vcpu *cpu, const struct insn *in)
{
    bool pop = in->mnemonic == ZYDIS_MNEMONIC_FCOMIP || in->mnemonic == ZYDIS_MNEMONIC_FUCOMIP;
    bool quiet = in->mnemonic == ZYDIS_MNEMONIC_FUCOMI || in->mnemonic == ZYDIS_MNEMONIC_FUCOMIP;
    unsigned with = in->modrm & 7, status = X87_UNDERFLOW;
    enum fp_relation relation = FP_UNORDERED;
    x87_pointers(cpu, in);
    if (EMU_LIKELY(!x87_empty(cpu, 0) && !x87_empty(cpu, with))) {
        struct fp_env env;
        x87_env(cpu, &env);
        relation = f80_compare(*x87_st(cpu, 0), *x87_st(cpu, with), quiet, &env);
        status = env.flags;
    }
    flags_set_material(cpu, flags[relation]);
    if (pop && !x87_unmasked(cpu, status, X87_BEFORE))
        x87_pop(cpu);
    x87_finish(cpu, status | x87_kept_c1(cpu, status));
    return STEP_NEXT;
}

enum step insn_ftst(struct vcpu *cpu, const struct insn *in)
{
    x87_pointers(cpu, in);
    return compare_number(cpu, (struct f80){ 0 }, 0, 0);
}

/* C3, C2 and C0 name the class, C1 the sign, also of an empty register. */
enum step insn_fxam(struct vcpu *cpu, const struct insn *in)
{
    static const uint16_t classes[] = {
        [FP_CLASS_ZERO] = FSW_C3,   [FP_CLASS_DENORMAL] = FSW_C3 | FSW_C2,
        [FP_CLASS_NORMAL] = FSW_C2, [FP_CLASS_INFINITY] = FSW_C2 | FSW_C0,
        [FP_CLASS_NAN] = FSW_C0,    [FP_CLASS_UNSUPPORTED] = 0,
    };
    x87_pointers(cpu, in);
    struct f80 a = *x87_st(cpu, 0);
    unsigned class = x87_empty(cpu, 0) ? FSW_C3 | FSW_C0 : classes[f80_class(a)];
    cpu->x87.fsw = (uint16_t)((cpu->x87.fsw & ~FSW_CONDITIONS) | class);
    x87_finish(cpu, f80_sign(a) ? FSW_C1 : 0);
    return STEP_NEXT;
}

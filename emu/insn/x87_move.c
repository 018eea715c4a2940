/* x87 loads, stores and register moves. APM vol 5, "FLD", "FILD", "FST", "FIST", "FISTTP", "FXCH", "FCMOVcc", "FLD1" and
 * the other constants, "FFREE", "FINCSTP", "FDECSTP". */
#include "emu/insn/x87_priv.h"

#include <Zydis/Zydis.h>

/* --- loads ---------------------------------------------------------------------------------- */

/* Of a denormal number the load itself is done, also with DE unmasked (measured on Zen 4). */
EMU_INLINE enum step push(struct vcpu *cpu, struct f80 value, unsigned status)
{
    if (EMU_UNLIKELY(!x87_empty(cpu, 7)) && !(status & FSW_SF)) {
        value = F80_INDEFINITE;
        status = X87_OVERFLOW;
    }
    if (EMU_LIKELY(!x87_unmasked(cpu, status, FP_IE)))
        x87_push(cpu, value);
    x87_finish(cpu, status);
    return STEP_NEXT;
}

/* A number that is not normal: IE for a signalling NaN, which becomes quiet, DE for a denormal. */
EMU_COLD static struct f80 load_slow(struct vcpu *cpu, uint64_t bits, unsigned size,
                                     unsigned *status)
{
    struct fp_env env;
    x87_env(cpu, &env);
    struct f80 value = size == 4 ? f32_to_f80((uint32_t)bits, &env) : f64_to_f80(bits, &env);
    *status = env.flags;
    return value;
}

static enum step load80(struct vcpu *cpu, const struct insn *in, uint64_t off)
{
    struct f80 value;
    enum step step = x87_load80(cpu, in, off, &value);
    if (step != STEP_NEXT)
        return step;
    x87_pointers_mem(cpu, in, off);
    return push(cpu, value, 0);
}

static enum step load_st(struct vcpu *cpu, const struct insn *in)
{
    unsigned from = in->op[0].reg;
    x87_pointers(cpu, in);
    if (x87_empty(cpu, from))
        return push(cpu, F80_INDEFINITE, X87_UNDERFLOW);
    return push(cpu, *x87_st(cpu, from), 0);
}

enum step insn_fld(struct vcpu *cpu, const struct insn *in)
{
    if (in->op[0].kind != OPERAND_MEM)
        return load_st(cpu, in);
    uint64_t off = mem_offset(cpu, in), bits;
    unsigned size = in->op[0].size, status = 0;
    if (size == 10)
        return load80(cpu, in, off);
    enum step step = mem_load(cpu, (enum seg)in->seg, off, size, &bits);
    if (EMU_UNLIKELY(step != STEP_NEXT))
        return step;
    x87_pointers_mem(cpu, in, off);
    uint8_t odd = 0;
    struct f80 value = size == 4 ? x87_widen32((uint32_t)bits, &odd) : x87_widen64(bits, &odd);
    if (EMU_UNLIKELY(odd || x87_is_nan(value)))
        value = load_slow(cpu, bits, size, &status);
    return push(cpu, value, status);
}

enum step insn_fild(struct vcpu *cpu, const struct insn *in)
{
    uint64_t off = mem_offset(cpu, in), bits;
    unsigned size = in->op[0].size;
    enum step step = mem_load(cpu, (enum seg)in->seg, off, size, &bits);
    if (step != STEP_NEXT)
        return step;
    x87_pointers_mem(cpu, in, off);
    int64_t value = size == 2 ? (int16_t)bits : size == 4 ? (int32_t)bits : (int64_t)bits;
    return push(cpu, int_to_f80(value), 0);
}

/* Constants are kept to more bits than the format has: two roundings each. APM vol 5, "FLDPI" and its kin. */
enum step insn_fld_constant(struct vcpu *cpu, const struct insn *in)
{
    static const struct {
        uint16_t se;
        bool above; /* is `mant` above the true value: then rounding down gives its predecessor */
        uint64_t mant;
    } constants[8] = {
        { 0x3fff, false, UINT64_C(0x8000000000000000) }, /* 1 */
        { 0x4000, false, UINT64_C(0xd49a784bcd1b8afe) }, /* log2 10 */
        { 0x3fff, true, UINT64_C(0xb8aa3b295c17f0bc) },  /* log2 e */
        { 0x4000, true, UINT64_C(0xc90fdaa22168c235) },  /* pi */
        { 0x3ffd, true, UINT64_C(0x9a209a84fbcff799) },  /* log10 2 */
        { 0x3ffe, true, UINT64_C(0xb17217f7d1cf79ac) },  /* ln 2 */
        { 0, false, 0 },
    };
    unsigned n = in->modrm & 7, rounding = cpu->x87.fcw >> FCW_RC_SHIFT & 3;
    struct f80 value = { .mant = constants[n].mant, .se = constants[n].se };
    if (constants[n].above && (rounding == FP_ROUND_DOWN || rounding == FP_ROUND_ZERO))
        value.mant--;
    if (in->mnemonic == ZYDIS_MNEMONIC_FLDL2T && rounding == FP_ROUND_UP)
        value.mant++;
    x87_pointers(cpu, in);
    return push(cpu, value, 0);
}

/* --- stores ---------------------------------------------------------------------------------- */

/* Store `size` bytes unless an unmasked exception keeps the value back, then pop. */
EMU_INLINE enum step store(struct vcpu *cpu, const struct insn *in, uint64_t value, unsigned status,
                           bool pop)
{
    uint64_t off = mem_offset(cpu, in);
    unsigned size = in->op[0].size;
    bool kept = x87_unmasked(cpu, status, X87_BEFORE_STORE);
    enum step step = EMU_UNLIKELY(kept) ? x87_probe_store(cpu, in, off, size)
                                        : mem_store(cpu, (enum seg)in->seg, off, size, value);
    if (EMU_UNLIKELY(step != STEP_NEXT))
        return step;
    x87_pointers_mem(cpu, in, off);
    if (EMU_UNLIKELY(kept))
        status &= ~(unsigned)(FP_PE | (status & FSW_SF ? 0 : FSW_C1));
    else if (pop)
        x87_pop(cpu);
    x87_finish(cpu, status);
    return STEP_NEXT;
}

EMU_INLINE enum step store_number(struct vcpu *cpu, const struct insn *in, bool pop)
{
    unsigned size = in->op[0].size;
    if (EMU_UNLIKELY(x87_empty(cpu, 0)))
        return store(cpu, in, size == 4 ? F32_INDEFINITE : F64_INDEFINITE, X87_UNDERFLOW, pop);
    struct fp_env env;
    x87_env(cpu, &env);
    struct f80 a = *x87_st(cpu, 0);
    uint64_t value = size == 4 ? f80_to_f32(a, &env) : f80_to_f64(a, &env);
    return store(cpu, in, value, x87_status(&env), pop);
}

/* FSTP m80 stores what there is: no exception but a stack fault. */
static enum step store80(struct vcpu *cpu, const struct insn *in)
{
    uint64_t off = mem_offset(cpu, in);
    bool empty = x87_empty(cpu, 0), kept = empty && x87_unmasked(cpu, X87_UNDERFLOW, FP_IE);
    enum step step = kept ? x87_probe_store(cpu, in, off, 10)
                          : x87_store80(cpu, in, off, empty ? F80_INDEFINITE : *x87_st(cpu, 0));
    if (step != STEP_NEXT)
        return step;
    x87_pointers_mem(cpu, in, off);
    if (!kept)
        x87_pop(cpu);
    x87_finish(cpu, empty ? X87_UNDERFLOW : 0);
    return STEP_NEXT;
}

static enum step store_st(struct vcpu *cpu, const struct insn *in, bool pop)
{
    struct f80 value = F80_INDEFINITE;
    unsigned status = X87_UNDERFLOW;
    x87_pointers(cpu, in);
    if (!x87_empty(cpu, 0)) {
        value = *x87_st(cpu, 0);
        status = 0;
    }
    if (!x87_unmasked(cpu, status, X87_BEFORE)) {
        x87_set(cpu, in->op[0].reg, value);
        if (pop)
            x87_pop(cpu);
    }
    x87_finish(cpu, status);
    return STEP_NEXT;
}

/* D9 D8+i: as FSTP, but an empty ST(0) is popped without a stack fault, and nothing is stored (measured on Zen 4). */
enum step insn_fstpnce(struct vcpu *cpu, const struct insn *in)
{
    if (!x87_empty(cpu, 0))
        return store_st(cpu, in, true);
    x87_pointers(cpu, in);
    x87_pop(cpu);
    x87_finish(cpu, 0);
    return STEP_NEXT;
}

enum step insn_fst(struct vcpu *cpu, const struct insn *in)
{
    return in->op[0].kind == OPERAND_MEM ? store_number(cpu, in, false) : store_st(cpu, in, false);
}

enum step insn_fstp(struct vcpu *cpu, const struct insn *in)
{
    if (in->op[0].kind != OPERAND_MEM)
        return store_st(cpu, in, true);
    return in->op[0].size == 10 ? store80(cpu, in) : store_number(cpu, in, true);
}

/* FIST, FISTP, FISTTP: the integer indefinite for what does not fit. */
enum step insn_fist(struct vcpu *cpu, const struct insn *in)
{
    unsigned size = in->op[0].size;
    bool pop = in->mnemonic != ZYDIS_MNEMONIC_FIST;
    if (x87_empty(cpu, 0))
        return store(cpu, in, UINT64_C(1) << (8 * size - 1), X87_UNDERFLOW, pop);
    struct fp_env env;
    x87_env(cpu, &env);
    int64_t value = f80_to_int(*x87_st(cpu, 0), size, in->mnemonic == ZYDIS_MNEMONIC_FISTTP, &env);
    return store(cpu, in, (uint64_t)value, x87_status(&env), pop);
}

/* --- registers ------------------------------------------------------------------------------ */

enum step insn_fxch(struct vcpu *cpu, const struct insn *in)
{
    unsigned with = in->modrm & 7;
    x87_pointers(cpu, in);
    unsigned status = 0;
    struct f80 a = *x87_st(cpu, 0), b = *x87_st(cpu, with);
    if (EMU_UNLIKELY(x87_empty(cpu, 0) || x87_empty(cpu, with))) {
        status = X87_UNDERFLOW;
        a = x87_empty(cpu, 0) ? F80_INDEFINITE : a;
        b = x87_empty(cpu, with) ? F80_INDEFINITE : b;
    }
    if (EMU_LIKELY(!x87_unmasked(cpu, status, X87_BEFORE))) {
        x87_set(cpu, 0, b);
        x87_set(cpu, with, a);
    }
    x87_finish(cpu, status);
    return STEP_NEXT;
}

/* FCMOVcc: DA has B, E, BE, U; DB their opposites. */
enum step insn_fcmov(struct vcpu *cpu, const struct insn *in)
{
    bool move;
    switch (in->modrm >> 3 & 3) {
    case 0: move = flags_cf(cpu); break;
    case 1: move = flags_zf(cpu); break;
    case 2: move = flags_cf(cpu) || flags_zf(cpu); break;
    default: move = flags_pf(cpu); break;
    }
    move ^= in->opcode & 1;
    unsigned from = in->modrm & 7, status = 0;
    struct f80 value = *x87_st(cpu, from);
    x87_pointers(cpu, in);
    if (x87_empty(cpu, 0) || x87_empty(cpu, from)) {
        status = X87_UNDERFLOW;
        value = F80_INDEFINITE;
        move = true;
    }
    if (move && !x87_unmasked(cpu, status, X87_BEFORE))
        x87_set(cpu, 0, value);
    x87_finish(cpu, status | x87_kept_c1(cpu, status));
    return STEP_NEXT;
}

/* FFREE and FFREEP empty a register without looking at it. */
enum step insn_ffree(struct vcpu *cpu, const struct insn *in)
{
    x87_pointers(cpu, in);
    cpu->x87.used &= (uint8_t) ~(1u << x87_physical(cpu, in->modrm & 7));
    if (in->mnemonic == ZYDIS_MNEMONIC_FFREEP)
        x87_pop(cpu);
    x87_finish(cpu, 0);
    return STEP_NEXT;
}

enum step insn_fincstp(struct vcpu *cpu, const struct insn *in)
{
    x87_pointers(cpu, in);
    x87_rotate(cpu, in->mnemonic == ZYDIS_MNEMONIC_FINCSTP ? 1 : 7);
    x87_finish(cpu, 0);
    return STEP_NEXT;
}

enum step insn_fnop(struct vcpu *cpu, const struct insn *in)
{
    x87_pointers(cpu, in);
    return STEP_NEXT;
}

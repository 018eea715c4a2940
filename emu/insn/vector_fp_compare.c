/* Comparisons: CMPPS and its kin by predicate, COMISS and UCOMISS into RFLAGS. APM vol 4, by mnemonic. */
#include "emu/insn/vector_fp.h"

/* --- predicates --------------------------------------------------------------------------------------- */

/* A predicate's bits: which of enum fp_relation make it true, and whether quiet NaNs are invalid operands too. */
enum {
    LESS = 1 << FP_LESS,
    EQUAL = 1 << FP_EQUAL,
    GREATER = 1 << FP_GREATER,
    UNORDERED = 1 << FP_UNORDERED,
    SIGNALS = 16
};

/* imm8[3:0]; imm8[4] inverts SIGNALS. APM vol 4, "CMPPD, VCMPPD". */
static const uint8_t predicates[16] = {
    EQUAL,                                 /* EQ */
    LESS | SIGNALS,                        /* LT */
    LESS | EQUAL | SIGNALS,                /* LE */
    UNORDERED,                             /* UNORD */
    LESS | GREATER | UNORDERED,            /* NEQ */
    EQUAL | GREATER | UNORDERED | SIGNALS, /* NLT */
    GREATER | UNORDERED | SIGNALS,         /* NLE */
    LESS | EQUAL | GREATER,                /* ORD */
    EQUAL | UNORDERED,                     /* EQ_U */
    LESS | UNORDERED | SIGNALS,            /* NGE */
    LESS | EQUAL | UNORDERED | SIGNALS,    /* NGT */
    0,                                     /* FALSE */
    LESS | GREATER,                        /* NEQ_O */
    EQUAL | GREATER | SIGNALS,             /* GE */
    GREATER | SIGNALS,                     /* GT */
    LESS | EQUAL | GREATER | UNORDERED     /* TRUE */
};

/* Legacy forms look at imm8[2:0], VEX forms at imm8[4:0]; the other bits are ignored. */
static unsigned predicate(const struct insn *in)
{
    if (!in->vex)
        return predicates[in->imm & 7];
    return predicates[in->imm & 15] ^ (in->imm & 16);
}

static uint32_t compare32(unsigned pred, uint32_t a, uint32_t b, struct fp_env *env)
{
    enum fp_relation relation = f32_compare(a, b, !(pred & SIGNALS), env);
    return -(pred >> relation & 1);
}

static uint64_t compare64(unsigned pred, uint64_t a, uint64_t b, struct fp_env *env)
{
    enum fp_relation relation = f64_compare(a, b, !(pred & SIGNALS), env);
    return -(uint64_t)(pred >> relation & 1);
}

enum step insn_cmpps(struct vcpu *cpu, const struct insn *in)
{
    struct packed p;
    enum step step = packed_begin(cpu, in, &p);
    if (step != STEP_NEXT)
        return step;
    unsigned pred = predicate(in);
    for (unsigned i = 0; i < p.size / 4; i++)
        p.result.u32[i] = compare32(pred, p.a->u32[i], p.b->u32[i], &p.env);
    return packed_end(cpu, in, &p);
}

enum step insn_cmppd(struct vcpu *cpu, const struct insn *in)
{
    struct packed p;
    enum step step = packed_begin(cpu, in, &p);
    if (step != STEP_NEXT)
        return step;
    unsigned pred = predicate(in);
    for (unsigned i = 0; i < p.size / 8; i++)
        p.result.u64[i] = compare64(pred, p.a->u64[i], p.b->u64[i], &p.env);
    return packed_end(cpu, in, &p);
}

enum step insn_cmpss(struct vcpu *cpu, const struct insn *in)
{
    unsigned first = fp_first(in);
    uint32_t b;
    enum step step = fp_load32(cpu, in, first + 1, &b);
    if (step != STEP_NEXT)
        return step;
    struct fp_env env;
    fp_env_simd(cpu, &env);
    uint32_t a = cpu->simd.v[in->op[first].reg].u32[0];
    uint32_t result = compare32(predicate(in), a, b, &env);
    return fp_finish32(cpu, in, &env, result);
}

/* CMPSD, VCMPSD. The string instruction's body hands on. */
enum step insn_cmpsd(struct vcpu *cpu, const struct insn *in)
{
    unsigned first = fp_first(in);
    uint64_t b;
    enum step step = fp_load64(cpu, in, first + 1, &b);
    if (step != STEP_NEXT)
        return step;
    struct fp_env env;
    fp_env_simd(cpu, &env);
    uint64_t a = cpu->simd.v[in->op[first].reg].u64[0];
    uint64_t result = compare64(predicate(in), a, b, &env);
    return fp_finish64(cpu, in, &env, result);
}

/* --- COMISS, UCOMISS --------------------------------------------------------------------------------- */

/* ZF, PF and CF tell the relation; OF, SF and AF are cleared. APM vol 4, "COMISD, VCOMISD". */
static enum step set_relation(struct vcpu *cpu, const struct fp_env *env, enum fp_relation relation)
{
    static const uint8_t status[] = { [FP_LESS] = FLAG_CF,
                                      [FP_EQUAL] = FLAG_ZF,
                                      [FP_GREATER] = 0,
                                      [FP_UNORDERED] = FLAG_ZF | FLAG_PF | FLAG_CF };
    enum step step = fp_report(cpu, env);
    if (step == STEP_NEXT)
        flags_set_material(cpu, status[relation]);
    return step;
}

EMU_INLINE enum step order32(struct vcpu *cpu, const struct insn *in, bool quiet)
{
    uint32_t b;
    enum step step = fp_load32(cpu, in, 1, &b);
    if (step != STEP_NEXT)
        return step;
    struct fp_env env;
    fp_env_simd(cpu, &env);
    uint32_t a = cpu->simd.v[in->op[0].reg].u32[0];
    enum fp_relation relation = f32_compare(a, b, quiet, &env);
    return set_relation(cpu, &env, relation);
}

EMU_INLINE enum step order64(struct vcpu *cpu, const struct insn *in, bool quiet)
{
    uint64_t b;
    enum step step = fp_load64(cpu, in, 1, &b);
    if (step != STEP_NEXT)
        return step;
    struct fp_env env;
    fp_env_simd(cpu, &env);
    uint64_t a = cpu->simd.v[in->op[0].reg].u64[0];
    enum fp_relation relation = f64_compare(a, b, quiet, &env);
    return set_relation(cpu, &env, relation);
}

enum step insn_comiss(struct vcpu *cpu, const struct insn *in)
{
    return order32(cpu, in, false);
}

enum step insn_comisd(struct vcpu *cpu, const struct insn *in)
{
    return order64(cpu, in, false);
}

enum step insn_ucomiss(struct vcpu *cpu, const struct insn *in)
{
    return order32(cpu, in, true);
}

enum step insn_ucomisd(struct vcpu *cpu, const struct insn *in)
{
    return order64(cpu, in, true);
}

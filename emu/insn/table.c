/* The instruction table, laid out by Zydis mnemonic, and what instruction sets need. */
#include "emu/cpu/cpuid.h"
#include "emu/insn/lock.h"

#include <Zydis/Zydis.h>

/* The flags as the rows spell them. */
enum {
    ENDS_BLOCK = INSN_ENDS_BLOCK,
    LOCKABLE = INSN_LOCKABLE,
    NO_WAIT = INSN_NO_WAIT,
    NO_FLAGS = INSN_NO_FLAGS,
    WRITES_ALL = INSN_WRITES_ALL
};

static const struct insn_info table[ZYDIS_MNEMONIC_MAX_VALUE + 1] = {
#define INSN(name, insn, row_flags, needs) \
    [ZYDIS_MNEMONIC_##name] = { ZYDIS_MNEMONIC_##name, insn, row_flags, CPU_FEATURE_##needs },
#include "emu/insn/insns.def"
#undef INSN
};

const struct insn_info *insn_lookup(uint16_t mnemonic)
{
    if (mnemonic > ZYDIS_MNEMONIC_MAX_VALUE || !table[mnemonic].body)
        return NULL;
    return &table[mnemonic];
}

/* --- instruction sets ------------------------------------------------------------------------ */

static const struct {
    uint8_t feature, and, need;
} isas[ZYDIS_ISA_SET_MAX_VALUE + 1] = {
#define READY_NONE 0
#define ISA(set, feature_, and_, ready_) \
    [ZYDIS_ISA_SET_##set] = { CPU_FEATURE_##feature_, CPU_FEATURE_##and_, READY_##ready_ },
#include "emu/insn/isa.def"
#undef ISA
#undef READY_NONE
};
static_assert(ZYDIS_ISA_SET_MAX_VALUE <= UINT8_MAX, "insn.isa_set is a byte");

bool isa_offered(const struct vcpu *cpu, const struct insn *in)
{
    uint8_t feature = isas[in->isa_set].feature, and = isas[in->isa_set].and;
    if (in->op[0].kind == OPERAND_ST && !cpu_has(cpu, CPU_FEATURE_FPU))
        return false; /* FCOMI and its like count as the Pentium Pro's, like SYSENTER */
    return (!feature || cpu_has(cpu, (enum cpu_feature)feature)) &&
           (!and || cpu_has(cpu, (enum cpu_feature) and));
}

uint8_t isa_need(const struct insn *in)
{
    if (lock_is_implied_or_said(in))
        return READY_LOCK;
    uint8_t kinds = 0, need = isas[in->isa_set].need;
    for (unsigned i = 0; i < in->count; i++)
        kinds |= (uint8_t)(in->op[i].kind == OPERAND_VECTOR ? READY_SSE
                           : in->op[i].kind == OPERAND_MMX  ? READY_MMX
                           : in->op[i].kind == OPERAND_ST   ? READY_X87
                                                            : 0);
    if (need == READY_SSE && in->isa_set != ZYDIS_ISA_SET_SSEMXCSR)
        need = kinds;
    else
        need |= kinds & (READY_MMX | READY_X87);
    if (in->mnemonic == ZYDIS_MNEMONIC_FWAIT) /* looks for itself, with rules of its own */
        return 0;
    if (in->mnemonic == ZYDIS_MNEMONIC_FISTTP) /* one of its forms is SSE3 for Zydis */
        need = READY_X87;
    if (need == READY_X87 && (in->flags & INSN_NO_WAIT))
        need = READY_CONTROL;
    return need;
}

/* Instructions on RFLAGS: CLC, STC, CMC, CLD, STD, LAHF, SAHF, PUSHF, POPF. APM vol 3, chapter 3. */
#include "emu/cpu/cpuid.h"
#include "emu/insn/insn.h"

#include <Zydis/Mnemonic.h>

/* CLC, STC, CMC. */
enum step insn_carry(struct vcpu *cpu, const struct insn *in)
{
    bool carry = in->mnemonic == ZYDIS_MNEMONIC_STC ||
                 (in->mnemonic == ZYDIS_MNEMONIC_CMC && !flags_cf(cpu));
    flags_replace(cpu, FLAG_CF, carry ? FLAG_CF : 0);
    return STEP_NEXT;
}

/* CLD, STD. */
enum step insn_direction(struct vcpu *cpu, const struct insn *in)
{
    if (in->mnemonic == ZYDIS_MNEMONIC_STD)
        cpu->rflags |= FLAG_DF;
    else
        cpu->rflags &= ~(uint64_t)FLAG_DF;
    return STEP_NEXT;
}

#define AH_FLAGS (FLAG_SF | FLAG_ZF | FLAG_AF | FLAG_PF | FLAG_CF)

static bool ah_flags_exist(const struct vcpu *cpu)
{
    return !cpu_long64(cpu) || cpu_has(cpu, CPU_FEATURE_LAHF_LM);
}

enum step insn_lahf(struct vcpu *cpu, const struct insn *in)
{
    (void)in;
    if (!ah_flags_exist(cpu))
        return cpu_raise(cpu, EXC_UD);
    reg_write(cpu, REG_RAX * 8 + 1, 1, (flags_status(cpu) & AH_FLAGS) | 2);
    return STEP_NEXT;
}

enum step insn_sahf(struct vcpu *cpu, const struct insn *in)
{
    (void)in;
    if (!ah_flags_exist(cpu))
        return cpu_raise(cpu, EXC_UD);
    uint32_t overflow = flags_of(cpu) ? FLAG_OF : 0;
    flags_set_material(cpu, ((uint32_t)(cpu->r[REG_RAX] >> 8) & AH_FLAGS) | overflow);
    return STEP_NEXT;
}

/* The image has RF and VM clear. The intercept comes before any exception: APM vol 2, 15.9 "Instruction Intercepts". */
enum step insn_pushf(struct vcpu *cpu, const struct insn *in)
{
    if (svm_intercepts(cpu, INTERCEPT_PUSHF))
        return svm_vmexit_insn(cpu, VMEXIT_PUSHF, 0, 0, in->len);
    if (cpu->mode == MODE_V86)
        return cpu_stop_unimplemented(cpu, "PUSHF in virtual-8086 mode (APM vol 2, 8.10)");
    return stack_push(cpu, in->op_size, cpu_rflags(cpu) & ~(uint64_t)(FLAG_RF | FLAG_VM));
}

/* What POPF may change: IOPL at CPL 0, IF when CPL <= IOPL, silently. VM, VIF and VIP stay, RF is cleared. */
static uint64_t popf_mask(const struct vcpu *cpu, unsigned size)
{
    unsigned iopl = (unsigned)(cpu->rflags & FLAG_IOPL) >> 12;
    uint64_t mask = FLAGS_STATUS | FLAG_TF | FLAG_DF | FLAG_NT | FLAG_AC | FLAG_ID;
    if (cpu->regs.cpl <= iopl)
        mask |= FLAG_IF;
    if (cpu->regs.cpl == 0)
        mask |= FLAG_IOPL;
    return mask & size_mask(size);
}

enum step insn_popf(struct vcpu *cpu, const struct insn *in)
{
    if (svm_intercepts(cpu, INTERCEPT_POPF))
        return svm_vmexit_insn(cpu, VMEXIT_POPF, 0, 0, in->len);
    if (cpu->mode == MODE_V86)
        return cpu_stop_unimplemented(cpu, "POPF in virtual-8086 mode (APM vol 2, 8.10)");
    uint64_t value, mask = popf_mask(cpu, in->op_size);
    enum step step = stack_pop(cpu, in->op_size, &value);
    if (step != STEP_NEXT)
        return step;
    uint64_t old = cpu_rflags(cpu);
    cpu_set_rflags(cpu, ((old & ~mask) | (value & mask)) & ~(uint64_t)FLAG_RF);
    if ((old ^ cpu->rflags) & (FLAG_IF | FLAG_TF))
        cpu_attention(cpu);
    return STEP_LEAVE;
}

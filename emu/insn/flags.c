/* Instructions on RFLAGS: CLC, STC, CMC, CLD, STD, CLI, STI, LAHF, SAHF, PUSHF, POPF. APM vol 3, chapter 3. */
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

/* --- IF and its virtual form: APM vol 2, 8.10 "Virtual Interrupts", table 8-12 ------------------------------------- */

static unsigned iopl(const struct vcpu *cpu)
{
    return (unsigned)(cpu->rflags & FLAG_IOPL) >> 12;
}

/* What an instruction that is sensitive to IOPL works on. */
enum if_rule { IF_REAL, IF_VIRTUAL, IF_FORBIDDEN };

static enum if_rule v86_rule(const struct vcpu *cpu)
{
    if (iopl(cpu) == 3)
        return IF_REAL;
    return cpu->regs.cr4 & CR4_VME ? IF_VIRTUAL : IF_FORBIDDEN;
}

static enum if_rule cli_sti_rule(const struct vcpu *cpu)
{
    if (cpu->mode == MODE_V86)
        return v86_rule(cpu);
    if (cpu->regs.cpl <= iopl(cpu))
        return IF_REAL;
    return (cpu->regs.cr4 & CR4_PVI) && cpu->regs.cpl == 3 ? IF_VIRTUAL : IF_FORBIDDEN;
}

/* PUSHF and POPF care in virtual-8086 mode alone; their 32-bit forms have no virtual form. */
static enum if_rule pushf_popf_rule(const struct vcpu *cpu, unsigned size)
{
    if (cpu->mode != MODE_V86)
        return IF_REAL;
    enum if_rule rule = v86_rule(cpu);
    return rule == IF_VIRTUAL && size != 2 ? IF_FORBIDDEN : rule;
}

enum step insn_cli(struct vcpu *cpu, const struct insn *in)
{
    (void)in; /* no operands */
    enum if_rule rule = cli_sti_rule(cpu);
    if (rule == IF_FORBIDDEN)
        return cpu_raise_code(cpu, EXC_GP, 0);
    cpu->rflags &= ~(uint64_t)(rule == IF_VIRTUAL ? FLAG_VIF : FLAG_IF);
    return STEP_NEXT;
}

/* A shadow only if IF was 0 and becomes 1. APM vol 3, "STI". */
enum step insn_sti(struct vcpu *cpu, const struct insn *in)
{
    (void)in; /* no operands */
    enum if_rule rule = cli_sti_rule(cpu);
    if (rule == IF_FORBIDDEN || (rule == IF_VIRTUAL && (cpu->rflags & FLAG_VIP)))
        return cpu_raise_code(cpu, EXC_GP, 0);
    if (rule == IF_VIRTUAL) {
        cpu->rflags |= FLAG_VIF;
        return STEP_NEXT;
    }
    if (cpu->rflags & FLAG_IF)
        return STEP_NEXT;
    cpu->rflags |= FLAG_IF;
    cpu->regs.shadow_next = true;
    cpu_attention(cpu);
    return STEP_LEAVE;
}

/* The image has RF and VM clear; a virtual IF is shown as IF, with IOPL 3. The intercept comes before any exception:
 * APM vol 2, 15.9 "Instruction Intercepts". */
enum step insn_pushf(struct vcpu *cpu, const struct insn *in)
{
    if (svm_intercepts(cpu, INTERCEPT_PUSHF))
        return svm_vmexit_insn(cpu, VMEXIT_PUSHF, 0, 0, in->len);
    enum if_rule rule = pushf_popf_rule(cpu, in->op_size);
    if (rule == IF_FORBIDDEN)
        return cpu_raise_code(cpu, EXC_GP, 0);
    uint64_t image = cpu_rflags(cpu) & ~(uint64_t)(FLAG_RF | FLAG_VM);
    if (rule == IF_VIRTUAL)
        image = (image & ~(uint64_t)FLAG_IF) | FLAG_IOPL | (image & FLAG_VIF ? FLAG_IF : 0);
    return stack_push(cpu, in->op_size, image);
}

/* What POPF may change: IOPL at CPL 0, IF when CPL <= IOPL, silently. VM, VIF and VIP stay, RF is cleared. */
static uint64_t popf_mask(const struct vcpu *cpu, unsigned size)
{
    uint64_t mask = FLAGS_STATUS | FLAG_TF | FLAG_DF | FLAG_NT | FLAG_AC | FLAG_ID;
    if (cpu->regs.cpl <= iopl(cpu))
        mask |= FLAG_IF;
    if (cpu->regs.cpl == 0)
        mask |= FLAG_IOPL;
    return mask & size_mask(size);
}

static bool virtual_popf_faults(const struct vcpu *cpu, uint64_t image)
{
    return (image & FLAG_TF) || ((image & FLAG_IF) && (cpu->rflags & FLAG_VIP));
}

enum step insn_popf(struct vcpu *cpu, const struct insn *in)
{
    if (svm_intercepts(cpu, INTERCEPT_POPF))
        return svm_vmexit_insn(cpu, VMEXIT_POPF, 0, 0, in->len);
    enum if_rule rule = pushf_popf_rule(cpu, in->op_size);
    if (rule == IF_FORBIDDEN)
        return cpu_raise_code(cpu, EXC_GP, 0);
    uint64_t image, rsp = cpu->r[REG_RSP], mask = popf_mask(cpu, in->op_size);
    enum step step = stack_load(cpu, rsp, in->op_size, &image);
    if (step == STEP_NEXT && rule == IF_VIRTUAL && virtual_popf_faults(cpu, image))
        step = cpu_raise_code(cpu, EXC_GP, 0);
    if (step != STEP_NEXT)
        return step;
    stack_set_pointer(cpu, rsp + in->op_size);
    uint64_t old = cpu_rflags(cpu);
    uint64_t flags = ((old & ~mask) | (image & mask)) & ~(uint64_t)FLAG_RF;
    if (rule == IF_VIRTUAL)
        flags = (flags & ~(uint64_t)FLAG_VIF) | (image & FLAG_IF ? FLAG_VIF : 0);
    cpu_set_rflags(cpu, flags);
    if ((old ^ cpu->rflags) & (FLAG_IF | FLAG_TF))
        cpu_attention(cpu);
    return STEP_LEAVE;
}

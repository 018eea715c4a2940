/* The AMD-V instructions: checks and intercepts; the effects are svm/'s. APM vol 3, chapter 4; vol 2, 15.5, 15.9,
 * 15.17, 15.18, 15.27, 15.33. Order: #UD, privilege, operand address, intercept, effect. */
#include "emu/cpu/control.h"
#include "emu/cpu/skinit.h"
#include "emu/insn/system_priv.h"
#include "svm/vintr.h"

/* #UD. What is forgotten most often is told. APM vol 2, 15.4 "Enabling SVM". */
EMU_COLD static enum step refuse_svm(struct vcpu *cpu)
{
    if (!(cpu->regs.efer & EFER_SVME))
        cpu_guest_error(cpu, "an instruction of AMD-V while EFER.SVME is 0");
    return cpu_raise(cpu, EXC_UD);
}

/* EFER.SVME, and neither real nor virtual-8086 mode, and level 0. */
static enum step check_svm(struct vcpu *cpu)
{
    if (!(cpu->regs.efer & EFER_SVME) || !cpu_protected(cpu))
        return refuse_svm(cpu);
    if (cpu->regs.cpl != 0)
        return cpu_raise_code(cpu, EXC_GP, 0);
    return STEP_NEXT;
}

static enum step refuse_vmcb_address(struct vcpu *cpu, uint64_t address)
{
    cpu_guest_error(cpu, "VMCB address %llx is not that of a page below 2^%d",
                    (unsigned long long)address, cpu->model->address_bits);
    return cpu_raise_code(cpu, EXC_GP, 0);
}

/* rAX as a VMCB address, used with the effective address size, and the intercept. CPUID Fn8000_000A EDX[28] puts the
 * intercept first, so that a hypervisor learns of addresses that are its own business. CHOICE: before alignment and width
 * alike, as 15.7 has it for exceptions that depend on operands; what is known of the bit speaks of addresses alone. */
static enum step check_vmcb_address(struct vcpu *cpu, const struct insn *in, unsigned intercept,
                                    uint64_t *address)
{
    enum step step = check_svm(cpu);
    if (step != STEP_NEXT)
        return step;
    *address = reg_read(cpu, REG_RAX * 8, in->addr_size);
    bool bad = (*address & 0xfff) || *address >> cpu->model->address_bits;
    if (bad && !(cpu->svm->model.features & SVM_FEATURE_ADDR_CHK))
        return refuse_vmcb_address(cpu, *address);
    bool exits = svm_intercepts(cpu, intercept);
    if (EMU_UNLIKELY(cpu->svm->vmload == SVM_VMLOAD_EXITS))
        exits |= intercept != INTERCEPT_VMRUN;
    if (exits)
        return svm_vmexit_insn(cpu, intercept, 0, 0, in->len);
    return bad ? refuse_vmcb_address(cpu, *address) : STEP_NEXT;
}

enum step insn_vmrun(struct vcpu *cpu, const struct insn *in)
{
    uint64_t spa;
    enum step step = check_vmcb_address(cpu, in, INTERCEPT_VMRUN, &spa);
    if (step != STEP_NEXT)
        return step;
    return svm_vmrun(cpu, spa, svm_next_rip(cpu, in->len));
}

/* Where VMLOAD and VMSAVE find the VMCB. */
static enum step translate_vmcb(struct vcpu *cpu, bool save, uint64_t *address)
{
    if (EMU_LIKELY(cpu->svm->vmload == SVM_VMLOAD_PHYSICAL))
        return STEP_NEXT;
    struct walk_result res = svm_vmload_walk(cpu, *address, save);
    if (res.status != WALK_OK)
        return cpu_raise_npf(cpu, *address, res.info1, res.gpa);
    *address = res.spa;
    return STEP_NEXT;
}

enum step insn_vmload(struct vcpu *cpu, const struct insn *in)
{
    uint64_t address;
    enum step step = check_vmcb_address(cpu, in, INTERCEPT_VMLOAD, &address);
    if (step == STEP_NEXT)
        step = translate_vmcb(cpu, false, &address);
    if (step != STEP_NEXT)
        return step;
    svm_vmload(cpu, address);
    return STEP_NEXT;
}

enum step insn_vmsave(struct vcpu *cpu, const struct insn *in)
{
    uint64_t address;
    enum step step = check_vmcb_address(cpu, in, INTERCEPT_VMSAVE, &address);
    if (step == STEP_NEXT)
        step = translate_vmcb(cpu, true, &address);
    if (step != STEP_NEXT)
        return step;
    svm_vmsave(cpu, address);
    return STEP_NEXT;
}

/* Legal at every privilege level and in every mode; without an intercept there is nobody to call. APM vol 2, 15.18
 * "VMMCALL Instruction"; vol 3, "VMMCALL". */
enum step insn_vmmcall(struct vcpu *cpu, const struct insn *in)
{
    if ((cpu->regs.efer & EFER_SVME) && svm_intercepts(cpu, INTERCEPT_VMMCALL))
        return svm_vmexit_insn(cpu, VMEXIT_VMMCALL, 0, 0, in->len);
    return cpu_raise(cpu, EXC_UD);
}

/* STGI and SKINIT also exist without EFER.SVME if CPUID says SKINIT (APM vol 2, 15.4) or SVML (15.31). */
static enum step check_skinit(struct vcpu *cpu)
{
    bool exists = (cpu->regs.efer & EFER_SVME) || cpu_has(cpu, CPU_FEATURE_SKINIT) ||
                  cpu_has(cpu, CPU_FEATURE_SVM_LOCK);
    if (!exists || !cpu_protected(cpu))
        return refuse_svm(cpu);
    if (cpu->regs.cpl != 0)
        return cpu_raise_code(cpu, EXC_GP, 0);
    return STEP_NEXT;
}

/* There is no shadow after STGI: what is pending comes next. */
enum step insn_stgi(struct vcpu *cpu, const struct insn *in)
{
    enum step step = check_skinit(cpu);
    if (step != STEP_NEXT)
        return step;
    if (svm_intercepts(cpu, INTERCEPT_STGI))
        return svm_vmexit_insn(cpu, VMEXIT_STGI, 0, 0, in->len);
    svm_set_gif(cpu, true);
    cpu_attention(cpu);
    return STEP_LEAVE;
}

enum step insn_clgi(struct vcpu *cpu, const struct insn *in)
{
    enum step step = check_svm(cpu);
    if (step != STEP_NEXT)
        return step;
    if (svm_intercepts(cpu, INTERCEPT_CLGI))
        return svm_vmexit_insn(cpu, VMEXIT_CLGI, 0, 0, in->len);
    svm_set_gif(cpu, false);
    return STEP_LEAVE;
}

enum step insn_skinit(struct vcpu *cpu, const struct insn *in)
{
    enum step step = check_skinit(cpu);
    if (step != STEP_NEXT)
        return step;
    if (svm_intercepts(cpu, INTERCEPT_SKINIT))
        return svm_vmexit_insn(cpu, VMEXIT_SKINIT, 0, 0, in->len);
    return skinit_take(cpu);
}

/* A linear address without segment base, and an ASID; a guest may name any. */
enum step insn_invlpga(struct vcpu *cpu, const struct insn *in)
{
    enum step step = check_svm(cpu);
    if (step != STEP_NEXT)
        return step;
    if (svm_intercepts(cpu, INTERCEPT_INVLPGA))
        return svm_vmexit_insn(cpu, VMEXIT_INVLPGA, 0, 0, in->len);
    uint64_t la = reg_read(cpu, REG_RAX * 8, in->addr_size);
    uint32_t asid = (uint32_t)cpu->r[REG_RCX];
    if (asid < SVM_ASID_COUNT && cpu_base_canonical(cpu, la))
        paging_flush_page_any_pcid(cpu->paging, (uint16_t)asid, la);
    else
        cpu_guest_error(cpu, "INVLPGA of address %llx, ASID %u: does nothing",
                        (unsigned long long)la, asid);
    return STEP_LEAVE;
}

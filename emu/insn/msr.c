/* RDMSR, WRMSR. APM vol 3, "RDMSR", "WRMSR"; vol 2, 15.11 "MSR Intercepts". */
#include "emu/cpu/msr.h"
#include "emu/insn/system_priv.h"
#include "svm/avic.h"

/* Privilege, then the permission map, then what the register itself objects to. */
static enum step check_access(struct vcpu *cpu, const struct insn *in, uint32_t number, bool write)
{
    if (cpu->regs.cpl != 0)
        return cpu_raise_code(cpu, EXC_GP, 0);
    if (svm_intercepts(cpu, INTERCEPT_MSR_PROT) && svm_msr_intercepted(cpu, number, write))
        return svm_vmexit_insn(cpu, VMEXIT_MSR, write, 0, in->len);
    return STEP_NEXT;
}

enum step insn_rdmsr(struct vcpu *cpu, const struct insn *in)
{
    uint32_t number = (uint32_t)cpu->r[REG_RCX];
    uint64_t value;
    enum step step = check_access(cpu, in, number, false);
    if (step == STEP_NEXT)
        step = svm_avic_has_msr(cpu, number) ? svm_avic_read_msr(cpu, number, &value)
                                             : msr_read(cpu, number, &value);
    if (step == STEP_NEXT)
        write_edx_eax(cpu, value);
    return step;
}

enum step insn_wrmsr(struct vcpu *cpu, const struct insn *in)
{
    uint32_t number = (uint32_t)cpu->r[REG_RCX];
    uint64_t value = cpu->r[REG_RDX] << 32 | (uint32_t)cpu->r[REG_RAX];
    enum step step = check_access(cpu, in, number, true);
    if (step == STEP_NEXT)
        step = svm_avic_has_msr(cpu, number) ? svm_avic_write_msr(cpu, number, value)
                                             : msr_write(cpu, number, value);
    return step == STEP_NEXT ? STEP_LEAVE : step;
}

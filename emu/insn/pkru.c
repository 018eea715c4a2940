/* RDPKRU, WRPKRU. APM vol 2, 5.6.7 "Memory Protection Keys (MPK) Bit"; vol 3, "RDPKRU", "WRPKRU". */
#include "emu/insn/system_priv.h"

/* Not privileged, and legal in every mode; CR4.PKE = 0 makes them undefined. */
static enum step check(struct vcpu *cpu, bool operands_zero)
{
    if (!(cpu->regs.cr4 & CR4_PKE))
        return cpu_raise(cpu, EXC_UD);
    return operands_zero ? STEP_NEXT : cpu_raise_code(cpu, EXC_GP, 0);
}

enum step insn_rdpkru(struct vcpu *cpu, const struct insn *in)
{
    (void)in; /* no operands */
    enum step step = check(cpu, (uint32_t)cpu->r[REG_RCX] == 0);
    if (step == STEP_NEXT)
        write_edx_eax(cpu, cpu->regs.pkru);
    return step;
}

/* Rights of pages change, so another bank of fast entries must be chosen; nothing is flushed. */
enum step insn_wrpkru(struct vcpu *cpu, const struct insn *in)
{
    (void)in;
    enum step step = check(cpu, (uint32_t)cpu->r[REG_RCX] == 0 && (uint32_t)cpu->r[REG_RDX] == 0);
    if (step != STEP_NEXT)
        return step;
    cpu->regs.pkru = (uint32_t)cpu->r[REG_RAX];
    cpu_update_mode(cpu);
    return STEP_LEAVE;
}

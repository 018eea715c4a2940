/* The x87 control instructions that start code executes before it looks at CPUID. APM vol 5 describes each.
 *
 * Without data instructions no x87 exception can become pending, so none of these ever raises #MF. */
#include "emu/insn/insn.h"

#define FCW_WRITABLE 0x1f3fu /* rounding, precision, masks, infinity control */
#define FCW_FIXED 0x0040u
#define FSW_EXCEPTIONS 0x80ffu /* B, ES, SF and the six flags: what FNCLEX clears */

enum step insn_fninit(struct vcpu *cpu, const struct insn *in)
{
    (void)in;
    cpu->x87.fcw = 0x37f;
    cpu->x87.fsw = 0;
    cpu->x87.used = 0;
    cpu_update_fp(cpu);
    return STEP_NEXT;
}

enum step insn_fnclex(struct vcpu *cpu, const struct insn *in)
{
    (void)in;
    cpu->x87.fsw &= (uint16_t)~FSW_EXCEPTIONS;
    cpu_update_fp(cpu);
    return STEP_NEXT;
}

enum step insn_fnstcw(struct vcpu *cpu, const struct insn *in)
{
    return operand_write(cpu, in, 0, cpu->x87.fcw);
}

enum step insn_fnstsw(struct vcpu *cpu, const struct insn *in)
{
    return operand_write(cpu, in, 0, cpu->x87.fsw);
}

enum step insn_fldcw(struct vcpu *cpu, const struct insn *in)
{
    uint64_t value;
    enum step step = operand_read(cpu, in, 0, &value);
    if (step == STEP_NEXT)
        cpu->x87.fcw = (uint16_t)((value & FCW_WRITABLE) | FCW_FIXED);
    return step;
}

/* FWAIT looks at CR0.MP, not at EM. */
enum step insn_fwait(struct vcpu *cpu, const struct insn *in)
{
    (void)in;
    const uint64_t both = CR0_MP | CR0_TS;
    if ((cpu->regs.cr0 & both) == both)
        return cpu_raise(cpu, EXC_NM);
    return STEP_NEXT;
}

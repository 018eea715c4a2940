/* RSM. APM vol 3, "RSM"; vol 2, 10.4 "Leaving SMM". */
#include "emu/cpu/smm.h"

#include "emu/insn/system_priv.h"

/* The intercept comes before the #UD outside SMM. APM vol 2, 15.9 "Instruction Intercepts". */
enum step insn_rsm(struct vcpu *cpu, const struct insn *in)
{
    if (svm_intercepts(cpu, INTERCEPT_RSM))
        return svm_vmexit_insn(cpu, VMEXIT_RSM, 0, 0, in->len);
    if (!cpu->regs.smm)
        return cpu_raise(cpu, EXC_UD);
    return smm_leave(cpu);
}

/* INT n, INT3, INTO, INT1. APM vol 3, chapter 3; vol 2, 8.8 "Virtual-8086 Mode Interrupt Control Transfers". */
#include "emu/cpu/delivery.h"
#include "emu/insn/system_priv.h"

/* In virtual-8086 mode IOPL, CR4.VME and the redirection bitmap decide; what is allowed is asked again at delivery. */
enum step insn_int(struct vcpu *cpu, const struct insn *in)
{
    uint8_t vector = (uint8_t)in->imm;
    if (svm_intercepts(cpu, INTERCEPT_INTN)) /* before any exception: APM vol 2, 15.9 */
        return svm_vmexit_insn(cpu, VMEXIT_SWINT, decode_assist(cpu, vector), 0, in->len);
    if (cpu->mode == MODE_V86) {
        enum v86_route route;
        enum step step = delivery_v86_route(cpu, vector, &route);
        if (step != STEP_NEXT)
            return step;
        if (route == V86_FORBIDDEN)
            return cpu_raise_code(cpu, EXC_GP, 0);
    }
    return cpu_raise_soft(cpu, EVENT_SOFT, vector, in->len);
}

/* INT3 and INTO are caught by the exception intercepts 3 and 4, tested at delivery. IOPL does not matter to them. */
enum step insn_int3(struct vcpu *cpu, const struct insn *in)
{
    return cpu_raise_soft(cpu, EVENT_EXCEPTION, EXC_BP, in->len);
}

enum step insn_into(struct vcpu *cpu, const struct insn *in)
{
    if (cpu_long64(cpu))
        return cpu_raise(cpu, EXC_UD);
    return flags_of(cpu) ? cpu_raise_soft(cpu, EVENT_EXCEPTION, EXC_OF, in->len) : STEP_NEXT;
}

enum step insn_int1(struct vcpu *cpu, const struct insn *in)
{
    if (svm_intercepts(cpu, INTERCEPT_ICEBP))
        return svm_vmexit_insn(cpu, VMEXIT_ICEBP, 0, 0, in->len);
    return cpu_raise_soft(cpu, EVENT_EXCEPTION, EXC_DB, in->len);
}

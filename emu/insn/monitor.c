/* MONITOR, MWAIT, and their kin for all levels, MONITORX and MWAITX. APM vol 3, chapters 3 and 4; vol 2, 15.9 "Instruction
 * Intercepts": intercepts come after all exceptions. */
#include "emu/cpu/monitor.h"
#include "emu/cpu/msr.h"
#include "emu/insn/system_priv.h"

#define MWAIT_ANY_INTERRUPT 1u /* ECX[0]: interrupts end the wait while RFLAGS.IF masks them */
#define MWAIT_TIMER 2u         /* ECX[1], MWAITX: EBX counts of the TSC end it */

/* HWCR.MonMwaitDis takes all of them away. MONITOR and MWAIT are for level 0; MonMwaitUserEn gives them to all. */
static bool monitor_exists(const struct vcpu *cpu, bool any_level)
{
    if (cpu->msr.hwcr & HWCR_MON_MWAIT_DIS)
        return false;
    return any_level || cpu->regs.cpl == 0 || (cpu->msr.hwcr & HWCR_MON_MWAIT_USER_EN);
}

/* The address is checked like that of a byte load. EDX has hints, of which there are none. */
static enum step watch(struct vcpu *cpu, const struct insn *in, bool any_level)
{
    uint64_t la;
    if (!monitor_exists(cpu, any_level))
        return cpu_raise(cpu, EXC_UD);
    if ((uint32_t)cpu->r[REG_RCX] != 0)
        return cpu_raise_code(cpu, EXC_GP, 0);
    uint64_t off = reg_read(cpu, REG_RAX * 8, in->addr_size);
    enum step step = mem_linear(cpu, (enum seg)in->seg, off, 1, ACCESS_READ, &la);
    if (step == STEP_NEXT)
        step = mem_touch(cpu, la, ACCESS_READ);
    if (step != STEP_NEXT)
        return step;
    if (svm_intercepts(cpu, INTERCEPT_MONITOR))
        return svm_vmexit_insn(cpu, VMEXIT_MONITOR, 0, 0, in->len);
    struct walk_result walk =
        paging_translate(cpu->paging, mem_regime(cpu), la, (struct access){ .kind = ACCESS_READ });
    if (walk.status == WALK_OK) /* always: mem_touch() has been here */
        monitor_arm(cpu, walk.spa);
    return STEP_NEXT;
}

/* Waits only for a line that is still as MONITOR found it. Of the two intercepts the conditional one is asked first. */
static enum step wait(struct vcpu *cpu, const struct insn *in, bool any_level)
{
    uint32_t extensions = (uint32_t)cpu->r[REG_RCX], known = MWAIT_ANY_INTERRUPT;
    if (any_level)
        known |= MWAIT_TIMER;
    if (!monitor_exists(cpu, any_level))
        return cpu_raise(cpu, EXC_UD);
    if (extensions & ~known)
        return cpu_raise_code(cpu, EXC_GP, 0);
    bool intact = monitor_intact(cpu);
    if (intact && svm_intercepts(cpu, INTERCEPT_MWAIT_ARMED))
        return svm_vmexit_insn(cpu, VMEXIT_MWAIT_CONDITIONAL, 0, 0, in->len);
    if (svm_intercepts(cpu, INTERCEPT_MWAIT))
        return svm_vmexit_insn(cpu, VMEXIT_MWAIT, 0, 0, in->len);
    if (!intact) {
        cpu->monitor.armed = false;
        return STEP_NEXT;
    }
    /* A count is a nanosecond (msr_tsc()); none is no timer. */
    monitor_wait(cpu, extensions & MWAIT_ANY_INTERRUPT,
                 extensions & MWAIT_TIMER ? (uint32_t)cpu->r[REG_RBX] : 0);
    return STEP_HALT;
}

enum step insn_monitor(struct vcpu *cpu, const struct insn *in)
{
    return watch(cpu, in, false);
}

enum step insn_monitorx(struct vcpu *cpu, const struct insn *in)
{
    return watch(cpu, in, true);
}

enum step insn_mwait(struct vcpu *cpu, const struct insn *in)
{
    return wait(cpu, in, false);
}

enum step insn_mwaitx(struct vcpu *cpu, const struct insn *in)
{
    return wait(cpu, in, true);
}

/* What follows an instruction: shadows, RF, and the causes of a #DB trap. */
#include "emu/cpu/trap.h"

#include "emu/cpu/event.h"

static void forget(struct vcpu *cpu)
{
    cpu->traps = 0;
    cpu->trap_held = false;
    cpu->repeat_insns = UINT64_MAX;
}

void trap_reset(struct vcpu *cpu)
{
    forget(cpu);
    cpu->trap_rule = TRAP_NORMAL;
}

/* The boundary looks at the causes of this instruction, and at those that a MOV SS before it held. */
static void offer(struct vcpu *cpu, bool step, bool hold)
{
    if (step)
        cpu->traps |= DR6_BS;
    cpu->trap_held = cpu->traps != 0 && hold;
    if (cpu->traps != 0)
        cpu_attention(cpu);
}

void trap_retired(struct vcpu *cpu, struct trap_start start)
{
    struct cpu_regs *regs = &cpu->regs;
    uint8_t rule = cpu->trap_rule;
    cpu->trap_rule = TRAP_NORMAL;
    if (regs->shadow || regs->shadow_next) {
        regs->shadow = regs->shadow_next;
        regs->shadow_next = false;
        cpu_attention(cpu);
    }
    if (start.rf && rule != TRAP_KEEP_RF)
        cpu->rflags &= ~(uint64_t)FLAG_RF;
    bool step = rule == TRAP_BY_RESULT ? (cpu->rflags & FLAG_TF) != 0 : start.tf;
    offer(cpu, step, rule == TRAP_HOLD);
}

void trap_iteration(struct vcpu *cpu, struct trap_start start)
{
    cpu->repeat_insns = cpu_insns(cpu);
    offer(cpu, start.tf, false);
}

/* A held #DB is lost with an instruction that faults, and comes at the handler's first instruction behind one that
 * interrupts: deliver() keeps it for that. APM vol 2, 8.5; x86-events.md, 6. */
enum step trap_raised(struct vcpu *cpu)
{
    bool interrupts = cpu->raised.event.soft_len != 0 && !cpu->raised.npf;
    if (!interrupts)
        cpu->traps = 0;
    cpu->trap_held = false;
    cpu->trap_rule = TRAP_NORMAL;
    cpu->repeat_insns = UINT64_MAX;
    return event_raised(cpu);
}

/* svm-operation.md, 3. */
void trap_vmexit(struct vcpu *cpu)
{
    forget(cpu);
    offer(cpu, (cpu->rflags & FLAG_TF) != 0, false);
}

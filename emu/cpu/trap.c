/* What comes round an instruction: breakpoints, shadows, RF, the last branch, and the causes of a #DB trap. */
#include "emu/cpu/trap.h"

#include "emu/cpu/event.h"
#include "emu/cpu/flags.h"
#include "emu/cpu/perf.h"
#include "emu/insn/insn.h"

#include <Zydis/Mnemonic.h>

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

/* --- before --- */

/* In the shadow of MOV SS there are no debug exceptions (8.1.4 "Masking External Interrupts"). */
enum step trap_before(struct vcpu *cpu, struct trap_start start)
{
    if (EMU_LIKELY(!debug_armed(cpu)) || start.rf || cpu->trap_held)
        return STEP_NEXT;
    uint64_t la = cpu->r[REG_RIP];
    if (!cpu_long64(cpu))
        la = (uint32_t)(cpu->regs.seg[SEG_CS].base + la);
    unsigned matches = debug_fetch_matches(cpu, la);
    return matches ? cpu_raise_debug(cpu, matches) : STEP_NEXT;
}

/* --- branches. APM vol 2, 13.1.6 "Control-Transfer Breakpoint Features" --- */

static bool loop_goes_on(const struct vcpu *cpu, const struct insn *in)
{
    return (cpu->r[REG_RCX] & (UINT64_MAX >> (64 - 8 * in->addr_size))) != 0;
}

/* Was the instruction, which has retired, a control transfer that took place? */
static bool has_branched(struct vcpu *cpu, const struct insn *in)
{
    switch (in->mnemonic) {
    case ZYDIS_MNEMONIC_JMP:
    case ZYDIS_MNEMONIC_CALL:
    case ZYDIS_MNEMONIC_RET:
    case ZYDIS_MNEMONIC_IRET:
    case ZYDIS_MNEMONIC_IRETD:
    case ZYDIS_MNEMONIC_IRETQ:
    case ZYDIS_MNEMONIC_SYSCALL:
    case ZYDIS_MNEMONIC_SYSRET:
    case ZYDIS_MNEMONIC_SYSENTER:
    case ZYDIS_MNEMONIC_SYSEXIT:
    case ZYDIS_MNEMONIC_RSM: return true;
    case ZYDIS_MNEMONIC_LOOP: return loop_goes_on(cpu, in);
    case ZYDIS_MNEMONIC_LOOPE: return loop_goes_on(cpu, in) && flags_zf(cpu);
    case ZYDIS_MNEMONIC_LOOPNE: return loop_goes_on(cpu, in) && !flags_zf(cpu);
    case ZYDIS_MNEMONIC_JCXZ:
    case ZYDIS_MNEMONIC_JECXZ:
    case ZYDIS_MNEMONIC_JRCXZ: return !loop_goes_on(cpu, in);
    default: return in->body == insn_jcc && flags_condition(cpu, in->cc);
    }
}

/* Is it one at all? */
static bool is_branch(const struct insn *in)
{
    switch (in->mnemonic) {
    case ZYDIS_MNEMONIC_JMP:
    case ZYDIS_MNEMONIC_CALL:
    case ZYDIS_MNEMONIC_RET:
    case ZYDIS_MNEMONIC_IRET:
    case ZYDIS_MNEMONIC_IRETD:
    case ZYDIS_MNEMONIC_IRETQ:
    case ZYDIS_MNEMONIC_SYSCALL:
    case ZYDIS_MNEMONIC_SYSRET:
    case ZYDIS_MNEMONIC_SYSENTER:
    case ZYDIS_MNEMONIC_SYSEXIT:
    case ZYDIS_MNEMONIC_RSM:
    case ZYDIS_MNEMONIC_LOOP:
    case ZYDIS_MNEMONIC_LOOPE:
    case ZYDIS_MNEMONIC_LOOPNE:
    case ZYDIS_MNEMONIC_JCXZ:
    case ZYDIS_MNEMONIC_JECXZ:
    case ZYDIS_MNEMONIC_JRCXZ: return true;
    default: return in->body == insn_jcc;
    }
}

static void record_branch(struct vcpu *cpu, uint64_t from)
{
    cpu->msr.last_branch[0] = from;
    cpu->msr.last_branch[1] = cpu->r[REG_RIP];
}

/* --- behind --- */

/* The boundary looks at the causes of this instruction, and at those that a MOV SS before it held. */
static void offer(struct vcpu *cpu, bool step)
{
    if (step)
        cpu->traps |= DR6_BS;
    if (cpu->traps != 0)
        cpu_attention(cpu);
}

/* The shadows of STI, MOV SS and POP SS. CHOICE: a MOV SS directly after one does not extend it; a string instruction is in the
 * shadow with all its iterations. */
static void move_shadow(struct vcpu *cpu, bool hold)
{
    struct cpu_regs *regs = &cpu->regs;
    bool again = cpu->trap_held && hold;
    cpu->trap_held = hold && !again;
    if (!regs->shadow && !regs->shadow_next)
        return;
    regs->shadow = regs->shadow_next && !again;
    regs->shadow_next = false;
    cpu_attention(cpu);
}

void trap_retired(struct vcpu *cpu, struct trap_start start)
{
    uint8_t rule = cpu->trap_rule;
    uint64_t debugctl = cpu->msr.debugctl;
    cpu->trap_rule = TRAP_NORMAL;
    move_shadow(cpu, rule == TRAP_HOLD);
    if (start.rf && rule != TRAP_KEEP_RF)
        cpu->rflags &= ~(uint64_t)FLAG_RF;
    if (EMU_UNLIKELY(cpu->perf.branches) && start.insn && is_branch(start.insn))
        perf_branch(cpu, has_branched(cpu, start.insn));
    bool step = rule == TRAP_BY_RESULT ? (cpu->rflags & FLAG_TF) != 0 : start.tf;
    if (start.insn && (debugctl & (DEBUGCTL_BTF | DEBUGCTL_LBR))) {
        bool branched = has_branched(cpu, start.insn);
        if (branched && (debugctl & DEBUGCTL_LBR))
            record_branch(cpu, start.rip);
        if (debugctl & DEBUGCTL_BTF)
            step = step && branched;
    }
    offer(cpu, step);
}

void trap_iteration(struct vcpu *cpu, struct trap_start start)
{
    cpu->repeat_insns = cpu_insns(cpu);
    if (cpu->traps != 0 || start.tf)
        cpu->trap_held = false;
    offer(cpu, start.tf && !(cpu->msr.debugctl & DEBUGCTL_BTF));
}

/* A held #DB is lost with an instruction that faults, and comes at the handler's first instruction behind one that
 * interrupts. APM vol 2, 8.5; x86-events.md, 6. */
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
    trap_reset(cpu);
    offer(cpu, (cpu->rflags & FLAG_TF) && !(cpu->msr.debugctl & DEBUGCTL_BTF));
}

/* APM vol 2, 8.2.2: RF is what the TSS held, until the next instruction has retired; 13.1.1.4 "Debug-Control Register". */
void trap_task_switch(struct vcpu *cpu)
{
    cpu->trap_rule = TRAP_KEEP_RF;
    cpu->regs.dr[7] &= ~(uint64_t)DR7_LOCALS;
    cpu->context_stale = true;
}

/* --- deliveries --- */

struct trap_delivery trap_deliver(const struct vcpu *cpu, const struct event *event)
{
    return (struct trap_delivery){
        .held = event->soft_len ? cpu->traps : 0,
        .branches = (cpu->rflags & FLAG_TF) && (cpu->msr.debugctl & DEBUGCTL_BTF),
        .from = cpu->r[REG_RIP],
    };
}

/* CHOICE: the pushes of a delivery match no data breakpoint, at whatever level. */
void trap_delivered(struct vcpu *cpu, const struct trap_delivery *before, const struct event *event)
{
    bool recorded =
        event->type != EVENT_EXCEPTION || (event->vector != EXC_DB && event->vector != EXC_MC);
    cpu->traps = before->held | (cpu->traps & DR6_BT);
    cpu->trap_held = false;
    cpu->trap_rule = TRAP_NORMAL;
    cpu->repeat_insns = UINT64_MAX;
    if (EMU_UNLIKELY(cpu->perf.branches))
        perf_branch(cpu, true);
    if (cpu->msr.debugctl & DEBUGCTL_LBR) {
        if (recorded) {
            cpu->msr.last_branch[2] = cpu->msr.last_branch[0];
            cpu->msr.last_branch[3] = cpu->msr.last_branch[1];
        }
        record_branch(cpu, before->from);
    }
    offer(cpu, before->branches);
}

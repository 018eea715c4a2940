/* Shadow stacks in hardware task switches. */
#include "emu/cpu/shadow_task.h"

#include "emu/cpu/mem.h"
#include "emu/cpu/segment.h"
#include "emu/cpu/shadow_stack.h"

static enum step fault_task(struct vcpu *cpu)
{
    return cpu_raise_code(cpu, EXC_TS, SELECTOR_CODE(cpu->regs.seg[SEG_TR].selector));
}

enum step shadow_task_begin(struct vcpu *cpu, const struct task_switch *how)
{
    bool misaligned = how->cause == TASK_IRET && (cpu->shadow.ssp & 7);
    return misaligned && shadow_stack_on(cpu, cpu->regs.cpl) ? fault_task(cpu) : STEP_NEXT;
}

/* --- the old task --- */

/* CS, LIP and SSP as a CALL or an event has left them: 32 bits of each. */
static enum step pop_frame(struct vcpu *cpu, struct shadow_task *task)
{
    uint64_t ssp = (uint32_t)cpu->shadow.ssp;
    enum step step =
        shadow_stack_load(cpu, task->cpl, shadow_stack_offset(cpu, ssp, 16), 4, &task->cs);
    if (step == STEP_NEXT)
        step = shadow_stack_load(cpu, task->cpl, shadow_stack_offset(cpu, ssp, 8), 4, &task->lip);
    if (step == STEP_NEXT)
        step = shadow_stack_load(cpu, task->cpl, ssp, 4, &task->ssp);
    return step;
}

/* IRET: the frame, unless a user task is left to; the token; no SSP until the new task has its own. */
static enum step return_from(struct vcpu *cpu, struct shadow_task *task, unsigned new_cpl)
{
    enum step step = STEP_NEXT;
    uint64_t ssp = (uint32_t)cpu->shadow.ssp;
    bool valid;
    if (new_cpl == task->cpl || new_cpl < 3) {
        step = pop_frame(cpu, task);
        ssp = shadow_stack_offset(cpu, ssp, SHADOW_FRAME);
        task->check = true;
    }
    if (step == STEP_NEXT)
        step = shadow_stack_token_check(cpu, task->cpl, ssp, true, &valid);
    if (step == STEP_NEXT && valid)
        step = shadow_stack_token_store(cpu, task->cpl, ssp, false);
    if (step != STEP_NEXT)
        return step;
    task->token = (uint32_t)ssp;
    task->cleared = valid;
    cpu->shadow.ssp = 0;
    return STEP_NEXT;
}

enum step shadow_task_leave(struct vcpu *cpu, struct shadow_task *task,
                            const struct task_switch *how, unsigned new_cpl)
{
    *task = (struct shadow_task){ .active = true, .cpl = cpu->regs.cpl };
    if (!shadow_stack_on(cpu, task->cpl) || how->cause == TASK_JMP)
        return STEP_NEXT;
    if (how->cause == TASK_IRET)
        return return_from(cpu, task, new_cpl);
    const struct segment *cs = &cpu->regs.seg[SEG_CS];
    task->ssp = (uint32_t)cpu->shadow.ssp;
    if (task->cpl == 3 && new_cpl < 3) {
        cpu->shadow.pl_ssp[3] = task->ssp;
        return STEP_NEXT;
    }
    task->save = true;
    task->cs = cs->selector;
    task->lip = shadow_lip(cpu, cs, how->return_eip);
    return STEP_NEXT;
}

void shadow_task_undo(struct vcpu *cpu, const struct shadow_task *task)
{
    enum step step = STEP_NEXT;
    if (task->active && task->cleared)
        step = shadow_stack_token_store(cpu, task->cpl, task->token, true);
    (void)step; /* it was just written */
}

/* --- the new task --- */

/* The token at the new SSP, and room for the frame. CHOICE: the frame has CS on top, as all others and as IRET reads it; the
 * manual's pseudo-code writes it in the opposite order (12.3.2). */
static enum step enter_stack(struct vcpu *cpu, const struct shadow_task *task,
                             struct shadow_entry *entry)
{
    bool valid;
    uint64_t la = (uint32_t)(cpu->regs.seg[SEG_TR].base + TSS_SSP);
    enum step step = mem_load_sys(cpu, la, 4, &entry->token);
    if (step != STEP_NEXT)
        return step;
    if (entry->token & 7)
        return fault_task(cpu);
    step = shadow_stack_token_check(cpu, entry->cpl, entry->token, false, &valid);
    if (step != STEP_NEXT)
        return step;
    if (!valid)
        return fault_task(cpu);
    entry->on = entry->busy = true;
    entry->ssp = entry->top = entry->token;
    entry->frame = task->save;
    if (!task->save)
        return STEP_NEXT;
    entry->words[0] = task->cs;
    entry->words[1] = task->lip;
    entry->words[2] = task->ssp;
    entry->ssp = shadow_stack_offset(cpu, entry->top, -(int64_t)SHADOW_FRAME);
    return shadow_frame_check(cpu, entry);
}

/* Back in a task that was interrupted: at the address that the shadow stack tells. */
static enum step return_to(struct vcpu *cpu, const struct shadow_task *task, bool enabled,
                           struct shadow_entry *entry)
{
    const struct segment *cs = &cpu->regs.seg[SEG_CS];
    uint64_t ssp = task->check ? task->ssp : cpu->shadow.pl_ssp[3];
    bool differs =
        task->check && (task->cs != cs->selector || task->lip != shadow_lip(cpu, cs, cpu_rip(cpu)));
    if (differs || (enabled && ((ssp & 3) || ssp >> 32)))
        return shadow_stack_violation(cpu, CP_FAR_RET);
    entry->on = enabled;
    entry->ssp = ssp;
    return STEP_NEXT;
}

/* A task with shadow stacks is not in virtual-8086 mode, and has a TSS with room for SSP. CHOICE: else #TS, of IRET too. */
enum step shadow_task_check(struct vcpu *cpu, const struct shadow_task *task,
                            const struct task_switch *how, bool tss32, struct shadow_entry *entry)
{
    bool enabled = shadow_level_enabled(cpu, cpu->regs.cpl);
    *entry = (struct shadow_entry){ .active = true, .cpl = cpu->regs.cpl };
    if (enabled && ((cpu->rflags & FLAG_VM) || !tss32))
        return fault_task(cpu);
    if (how->cause == TASK_IRET)
        return return_to(cpu, task, enabled, entry);
    return enabled ? enter_stack(cpu, task, entry) : STEP_NEXT;
}

/* The registers of the task that is switched to. APM vol 2, 12.3.2 "Switching Tasks". */
#include "emu/cpu/task_priv.h"

#include "emu/cpu/control.h"
#include "emu/cpu/mem.h"

/* The first fault stays recorded, what follows it is loaded as far as it can be without raising another. CHOICE: what fails
 * its checks stays not present; the manual has it loaded unchecked. A nested page fault is no event of the guest: the
 * whole switch will be made again. */
struct loading {
    bool faulted;
    struct raised first;
};

static void note(struct vcpu *cpu, struct loading *loading, enum step step)
{
    if (step == STEP_NEXT || (loading->faulted && (loading->first.npf || !cpu->raised.npf)))
        return;
    loading->faulted = true;
    loading->first = cpu->raised;
}

/* General registers, flags, level; segment registers with selectors only. A 16-bit TSS leaves ones in the upper halves. */
static void load_plain(struct vcpu *cpu, const struct task_state *task)
{
    for (unsigned i = 0; i < 8; i++)
        cpu->r[i] = task->tss32 ? task->gpr[i] : 0xffff0000u | task->gpr[i];
    cpu->r[REG_RIP] = task->eip;
    for (unsigned i = SEG_ES; i <= SEG_GS; i++)
        cpu->regs.seg[i] = (struct segment){ .selector = task->seg[i] };
    cpu->regs.seg[SEG_LDTR] = (struct segment){ .selector = task->ldt };
    cpu_set_rflags(cpu, task->eflags);
    cpu->regs.cpl = task->eflags & FLAG_VM ? 3 : SELECTOR_RPL(task->seg[SEG_CS]);
    cpu_update_mode(cpu);
}

static enum step load_ldtr(struct vcpu *cpu, uint16_t selector)
{
    struct descriptor d;
    if (selector_is_null(selector))
        return STEP_NEXT;
    if (selector & 4)
        return cpu_raise_code(cpu, EXC_TS, SELECTOR_CODE(selector));
    enum step step = descriptor_read(cpu, selector, EXC_TS, &d);
    if (step != STEP_NEXT)
        return step;
    if ((d.seg.attr & (SEG_ATTR_S | SEG_ATTR_TYPE)) != SYS_LDT || !(d.seg.attr & SEG_ATTR_P))
        return cpu_raise_code(cpu, EXC_TS, SELECTOR_CODE(selector));
    cpu->regs.seg[SEG_LDTR] = d.seg;
    return STEP_NEXT;
}

static enum step load_cs(struct vcpu *cpu, uint16_t selector)
{
    struct descriptor d;
    if (selector_is_null(selector))
        return cpu_raise_code(cpu, EXC_TS, SELECTOR_CODE(selector));
    enum step step = descriptor_read(cpu, selector, EXC_TS, &d);
    if (step != STEP_NEXT)
        return step;
    unsigned rpl = SELECTOR_RPL(selector), dpl = segment_dpl(&d.seg);
    if (!segment_is_code(&d.seg) || (segment_is_conforming(&d.seg) ? dpl > rpl : dpl != rpl))
        return cpu_raise_code(cpu, EXC_TS, SELECTOR_CODE(selector));
    if (!(d.seg.attr & SEG_ATTR_P))
        return cpu_raise_code(cpu, EXC_NP, SELECTOR_CODE(selector));
    step = descriptor_mark(cpu, &d, TYPE_ACCESSED);
    if (step == STEP_NEXT)
        segment_set_cs(cpu, &d.seg, rpl);
    return step;
}

static enum step load_ss(struct vcpu *cpu, uint16_t selector)
{
    struct descriptor d;
    enum step step = segment_check_stack(cpu, selector, cpu->regs.cpl, EXC_TS, &d);
    if (step == STEP_NEXT)
        step = descriptor_mark(cpu, &d, TYPE_ACCESSED);
    if (step == STEP_NEXT)
        cpu->regs.seg[SEG_SS] = d.seg;
    return step;
}

/* As segment_load() checks, but faults are #TS. */
static enum step load_data(struct vcpu *cpu, enum seg seg, uint16_t selector)
{
    if (selector_is_null(selector))
        return STEP_NEXT;
    enum step step = segment_load(cpu, seg, selector);
    if (step == STEP_RAISED && !cpu->raised.npf && cpu->raised.event.vector == EXC_GP)
        cpu->raised.event.vector = EXC_TS;
    return step;
}

/* CHOICE: CS, SS and then the data segments; the manual leaves the order open. */
static void load_segments(struct vcpu *cpu, const struct task_state *task, struct loading *loading)
{
    static const uint8_t data[] = { SEG_DS, SEG_ES, SEG_FS, SEG_GS };
    if (cpu->mode == MODE_V86) {
        for (unsigned i = SEG_ES; i <= SEG_GS; i++)
            cpu->regs.seg[i] = segment_v86(task->seg[i]);
        cpu_update_mode(cpu);
        return;
    }
    note(cpu, loading, load_cs(cpu, task->seg[SEG_CS]));
    note(cpu, loading, load_ss(cpu, task->seg[SEG_SS]));
    for (unsigned i = 0; i < sizeof(data); i++)
        note(cpu, loading, load_data(cpu, (enum seg)data[i], task->seg[data[i]]));
}

enum step task_load(struct vcpu *cpu, const struct task_state *task)
{
    struct loading loading = { .faulted = false };
    load_plain(cpu, task);
    if (task->tss32 && (cpu->regs.cr0 & CR0_PG))
        control_load_cr3_task(cpu, task->cr3);
    note(cpu, &loading, load_ldtr(cpu, task->ldt));
    load_segments(cpu, task, &loading);
    if (!loading.faulted)
        return STEP_NEXT;
    cpu->raised = loading.first;
    return STEP_RAISED;
}

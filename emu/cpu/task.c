/* Hardware task switches: the checks in the old task, the two TSSs, the commit point. */
#include "emu/cpu/task.h"

#include "emu/cpu/control.h"
#include "emu/cpu/mem.h"
#include "emu/cpu/shadow_task.h"
#include "emu/cpu/stack.h"
#include "emu/cpu/task_priv.h"
#include "emu/cpu/trap.h"
#include "svm/vintr.h"

#include <string.h>

#define TSS_BUSY 2u
#define TSS_CR3 0x1cu
#define TSS_TRAP 0x64u

static const struct tss_layout layout32 = { .bytes = 0x68,
                                            .old_limit = 0x5d,
                                            .size = 4,
                                            .eip = 0x20,
                                            .eflags = 0x24,
                                            .gpr = 0x28,
                                            .seg = 0x48,
                                            .seg_step = 4,
                                            .segs = 6,
                                            .ldt = 0x60 };
static const struct tss_layout layout16 = { .bytes = 0x2c,
                                            .old_limit = 0x29,
                                            .size = 2,
                                            .eip = 0x0e,
                                            .eflags = 0x10,
                                            .gpr = 0x12,
                                            .seg = 0x22,
                                            .seg_step = 2,
                                            .segs = 4,
                                            .ldt = 0x2a };

static const struct tss_layout *layout_of(const struct segment *tss)
{
    return tss->attr & 8 ? &layout32 : &layout16;
}

/* --- the fields of a TSS --- */

static enum step tss_read(struct vcpu *cpu, const struct segment *tss, unsigned at, unsigned size,
                          uint32_t *value)
{
    uint64_t loaded = 0;
    enum step step = mem_load_sys(cpu, (uint32_t)(tss->base + at), size, &loaded);
    *value = (uint32_t)loaded;
    return step;
}

static enum step tss_read_selector(struct vcpu *cpu, const struct segment *tss, unsigned at,
                                   uint16_t *selector)
{
    uint32_t value;
    enum step step = tss_read(cpu, tss, at, 2, &value);
    *selector = (uint16_t)value;
    return step;
}

static enum step tss_write(struct vcpu *cpu, const struct segment *tss, unsigned at, unsigned size,
                           uint32_t value)
{
    return mem_store_sys(cpu, (uint32_t)(tss->base + at), size, value);
}

/* Would [at, at + bytes) of a TSS be accessible? Page by page, as implicit supervisor accesses. */
static enum step probe(struct vcpu *cpu, const struct segment *tss, unsigned at, unsigned bytes,
                       bool write)
{
    enum step step = STEP_NEXT;
    for (unsigned done = 0; done < bytes && step == STEP_NEXT;) {
        uint32_t la = (uint32_t)(tss->base + at + done);
        unsigned in_page = 0x1000 - (la & 0xfff);
        uint64_t ignored;
        step = write ? stack_check(cpu, la, 1, true) : mem_load_sys(cpu, la, 1, &ignored);
        done += in_page;
    }
    return step;
}

/* The bytes of a TSS that a switch to it reads. APM vol 2, 12.3.2: SSP too while shadow stacks are enabled. */
static unsigned tss_bytes(const struct vcpu *cpu, const struct segment *tss)
{
    const struct tss_layout *layout = layout_of(tss);
    return layout == &layout32 && shadow_far_active(cpu) ? TSS_SSP + 4 : layout->bytes;
}

/* --- the new TSS, in the old task --- */

/* APM vol 2, 12.3.2: a switch that IRET makes finds a busy task, every other one an idle one. */
static enum step read_tss_descriptor(struct vcpu *cpu, const struct task_switch *how,
                                     struct descriptor *tss)
{
    enum exception fault = how->cause == TASK_IRET ? EXC_TS : EXC_GP;
    uint32_t code = SELECTOR_CODE(how->selector);
    if ((how->selector & 4) || selector_is_null(how->selector))
        return cpu_raise_code(cpu, fault, code);
    enum step step = descriptor_read(cpu, how->selector, fault, tss);
    if (step != STEP_NEXT)
        return step;
    unsigned type = tss->seg.attr & (SEG_ATTR_S | SEG_ATTR_TYPE);
    bool legal = how->cause == TASK_IRET ? type == SYS_TSS_BUSY || type == SYS_TSS16_BUSY
                                         : type == SYS_TSS || type == SYS_TSS16;
    if (!legal)
        return cpu_raise_code(cpu, fault, code);
    if (!(tss->seg.attr & SEG_ATTR_P))
        return cpu_raise_code(cpu, EXC_NP, code);
    if (tss->seg.limit < tss_bytes(cpu, &tss->seg) - 1u)
        return cpu_raise_code(cpu, EXC_TS, code);
    return STEP_NEXT;
}

/* EXITINFO2 of a task switch. APM vol 2, 15.14.1 "Task Switch Intercept". */
static uint64_t exit_info2(const struct task_switch *how)
{
    uint64_t info = how->has_code ? 1ull << 44 | how->code : 0;
    if (how->cause == TASK_IRET)
        info |= 1ull << 36;
    if (how->cause == TASK_JMP)
        info |= 1ull << 38;
    return how->rf ? info | 1ull << 48 : info;
}

/* The descriptor of the task that is left: where TR's selector points, whatever the limit of the GDT is now. */
static uint32_t old_descriptor(const struct vcpu *cpu)
{
    return (uint32_t)(cpu->regs.gdtr.base + (cpu->regs.seg[SEG_TR].selector & 0xfff8u));
}

static bool leaves_old(const struct task_switch *how)
{
    return how->cause == TASK_JMP || how->cause == TASK_IRET;
}

/* Everything that the switch will touch, before anything changes. */
static enum step probe_all(struct vcpu *cpu, const struct task_switch *how,
                           const struct descriptor *tss)
{
    const struct segment *old = &cpu->regs.seg[SEG_TR];
    const struct tss_layout *from = layout_of(old);
    if (old->limit < from->old_limit)
        return cpu_raise_code(cpu, EXC_TS, SELECTOR_CODE(old->selector));
    enum step step = probe(cpu, old, from->eip, from->old_limit + 1u - from->eip, true);
    if (step == STEP_NEXT)
        step = probe(cpu, &tss->seg, 0, tss_bytes(cpu, &tss->seg), false);
    if (step == STEP_NEXT && !leaves_old(how))
        step = probe(cpu, &tss->seg, 0, 2, true);
    if (step == STEP_NEXT && leaves_old(how))
        step = stack_check(cpu, old_descriptor(cpu) + 5, 1, true);
    if (step == STEP_NEXT && how->cause != TASK_IRET)
        step = stack_check(cpu, (uint32_t)(tss->la + 5), 1, true);
    return step;
}

/* --- the old TSS --- */

static enum step clear_busy(struct vcpu *cpu)
{
    uint64_t type;
    uint32_t la = old_descriptor(cpu) + 5;
    enum step step = mem_load_sys(cpu, la, 1, &type);
    return step == STEP_NEXT ? mem_store_sys(cpu, la, 1, type & ~(uint64_t)TSS_BUSY) : step;
}

static enum step save_old(struct vcpu *cpu, const struct task_switch *how)
{
    const struct segment *old = &cpu->regs.seg[SEG_TR];
    const struct tss_layout *at = layout_of(old);
    uint64_t flags = cpu_rflags(cpu) & ~(uint64_t)FLAG_RF;
    if (how->rf)
        flags |= FLAG_RF;
    if (how->cause == TASK_IRET)
        flags &= ~(uint64_t)FLAG_NT;
    enum step step = tss_write(cpu, old, at->eip, at->size, how->return_eip);
    if (step == STEP_NEXT)
        step = tss_write(cpu, old, at->eflags, at->size, (uint32_t)flags);
    for (unsigned i = 0; i < 8 && step == STEP_NEXT; i++)
        step = tss_write(cpu, old, at->gpr + i * at->size, at->size, (uint32_t)cpu->r[i]);
    for (unsigned i = 0; i < at->segs && step == STEP_NEXT; i++)
        step = tss_write(cpu, old, at->seg + i * at->seg_step, 2, cpu->regs.seg[i].selector);
    return step;
}

/* --- the new task --- */

static enum step read_new(struct vcpu *cpu, const struct segment *tss, struct task_state *task)
{
    const struct tss_layout *at = layout_of(tss);
    *task = (struct task_state){ .tss32 = at == &layout32 };
    enum step step = tss_read(cpu, tss, at->eip, at->size, &task->eip);
    if (step == STEP_NEXT)
        step = tss_read(cpu, tss, at->eflags, at->size, &task->eflags);
    for (unsigned i = 0; i < 8 && step == STEP_NEXT; i++)
        step = tss_read(cpu, tss, at->gpr + i * at->size, at->size, &task->gpr[i]);
    for (unsigned i = 0; i < at->segs && step == STEP_NEXT; i++)
        step = tss_read_selector(cpu, tss, at->seg + i * at->seg_step, &task->seg[i]);
    if (step == STEP_NEXT)
        step = tss_read_selector(cpu, tss, at->ldt, &task->ldt);
    uint32_t trap = 0;
    if (step == STEP_NEXT && task->tss32)
        step = tss_read(cpu, tss, TSS_CR3, 4, &task->cr3);
    if (step == STEP_NEXT && task->tss32)
        step = tss_read(cpu, tss, TSS_TRAP, 1, &trap);
    task->trap = trap & 1;
    return step;
}

/* Memory changes: faults are those of the old task still, and probe_all() has excluded all but a guest whose TSSs lie in
 * its own page tables. */
static enum step exchange(struct vcpu *cpu, const struct task_switch *how, struct descriptor *tss,
                          struct task_state *task)
{
    enum step step = leaves_old(how) ? clear_busy(cpu) : STEP_NEXT;
    if (step == STEP_NEXT)
        step = save_old(cpu, how);
    if (step != STEP_NEXT)
        return step;
    if (how->cause == TASK_IRET) /* here, not when the IRET is done. APM vol 2, 8.1.3 "NMI" */
        svm_unmask_nmi(cpu);
    if (!leaves_old(how))
        step = tss_write(cpu, &tss->seg, 0, 2, cpu->regs.seg[SEG_TR].selector);
    if (step == STEP_NEXT)
        step = read_new(cpu, &tss->seg, task);
    if (step == STEP_NEXT && how->cause != TASK_IRET)
        step = descriptor_mark(cpu, tss, TSS_BUSY);
    return step;
}

/* The error code goes to the new task's stack, in its TSS's width. */
static enum step push_code(struct vcpu *cpu, unsigned size, uint32_t code)
{
    struct stack stack = stack_current(cpu);
    struct stack_frame frame;
    frame_init(&frame, size);
    frame_push(&frame, code);
    enum step step = stack_reserve(cpu, &stack, &frame);
    if (step == STEP_NEXT)
        step = stack_write(cpu, &stack, &frame);
    if (step == STEP_NEXT)
        cpu->r[REG_RSP] = stack_pointer_after(&stack, &frame);
    return step;
}

/* What a nested page fault behind the commit point takes back: the hypervisor knows nothing of half a task switch, and
 * makes the instruction or the event run again. */
struct undo {
    uint64_t r[REG_COUNT], rflags;
    struct cpu_regs regs;
    struct shadow_stacks shadow;
    struct shadow_task left;
};

static void undo_switch(struct vcpu *cpu, const struct task_switch *how,
                        const struct descriptor *tss, const struct undo *undo)
{
    const struct raised raised = cpu->raised;
    memcpy(cpu->r, undo->r, sizeof(cpu->r));
    control_set_cr3(cpu, undo->regs.cr3);
    cpu->regs = undo->regs;
    cpu->shadow = undo->shadow;
    cpu_set_rflags(cpu, undo->rflags);
    cpu_update_mode(cpu);
    shadow_task_undo(cpu, &undo->left);
    uint32_t old = old_descriptor(cpu) + 5, new = (uint32_t)(tss->la + 5);
    uint64_t type;
    enum step step = STEP_NEXT;
    if (how->cause != TASK_IRET)
        step = mem_store_sys(cpu, new, 1, (tss->raw >> 40 & 0xff) & ~(uint64_t)TSS_BUSY);
    if (step == STEP_NEXT && leaves_old(how))
        step = mem_load_sys(cpu, old, 1, &type);
    if (step == STEP_NEXT && leaves_old(how))
        step = mem_store_sys(cpu, old, 1, type | TSS_BUSY);
    (void)step; /* both bytes were just written */
    cpu->raised = raised;
}

/* The old task's shadow stack, then the new task's registers, which are loaded also when the first has failed. */
static enum step leave_and_load(struct vcpu *cpu, const struct task_switch *how,
                                const struct task_state *task, struct shadow_task *left)
{
    unsigned cpl = task->eflags & FLAG_VM ? 3 : SELECTOR_RPL(task->seg[SEG_CS]);
    left->active = shadow_far_active(cpu);
    enum step first = left->active ? shadow_task_leave(cpu, left, how, cpl) : STEP_NEXT;
    if (first == STEP_NEXT)
        return task_load(cpu, task);
    const struct raised raised = cpu->raised;
    if (raised.npf)
        return first;
    enum step step = task_load(cpu, task);
    if (step == STEP_RAISED && cpu->raised.npf)
        return step;
    cpu->raised = raised;
    return first;
}

/* The new task's shadow stack. A nested page fault of the push that follows comes before anything is written. */
static enum step enter_shadow(struct vcpu *cpu, const struct task_switch *how, bool tss32,
                              const struct shadow_task *left)
{
    struct shadow_entry entry;
    enum step step = shadow_task_check(cpu, left, how, tss32, &entry);
    if (step == STEP_NEXT && how->has_code) {
        struct stack stack = stack_current(cpu);
        struct stack_frame frame;
        frame_init(&frame, tss32 ? 4 : 2);
        frame_push(&frame, how->code);
        enum step room = stack_reserve(cpu, &stack, &frame);
        if (room == STEP_RAISED && cpu->raised.npf)
            return room;
    }
    return step == STEP_NEXT ? shadow_entry_commit(cpu, &entry) : step;
}

/* From here on faults are the new task's. */
static enum step enter(struct vcpu *cpu, const struct task_switch *how,
                       const struct descriptor *tss, struct task_state *task,
                       struct shadow_task *left)
{
    cpu->regs.seg[SEG_TR] = tss->seg;
    control_set_cr0(cpu, cpu->regs.cr0 | CR0_TS);
    trap_task_switch(cpu);
    if (!leaves_old(how))
        task->eflags |= FLAG_NT;
    cpu_attention(cpu); /* masks change */
    enum step step = leave_and_load(cpu, how, task, left);
    if (step == STEP_NEXT && left->active)
        step = enter_shadow(cpu, how, task->tss32, left);
    if (step == STEP_NEXT && how->has_code)
        step = push_code(cpu, task->tss32 ? 4 : 2, how->code);
    if (step == STEP_NEXT && cpu->r[REG_RIP] > cpu->regs.seg[SEG_CS].limit)
        step = cpu_raise_code(cpu, EXC_GP, 0);
    if (step != STEP_NEXT)
        cpu->trap_rule = TRAP_NORMAL;
    else if (task->trap)
        cpu->traps |= DR6_BT;
    return step;
}

enum step task_switch(struct vcpu *cpu, const struct task_switch *how)
{
    struct descriptor tss;
    struct task_state task;
    enum step step = read_tss_descriptor(cpu, how, &tss);
    if (step != STEP_NEXT)
        return step;
    if (svm_intercepts(cpu, INTERCEPT_TASK_SWITCH)) /* before the new TSS is read: 15.14.1 */
        return svm_vmexit(cpu, VMEXIT_TASK_SWITCH, how->selector, exit_info2(how));
    struct undo undo = { .rflags = cpu_rflags(cpu), .regs = cpu->regs, .shadow = cpu->shadow };
    memcpy(undo.r, cpu->r, sizeof(undo.r));
    step = shadow_far_active(cpu) ? shadow_task_begin(cpu, how) : STEP_NEXT;
    if (step == STEP_NEXT)
        step = probe_all(cpu, how, &tss);
    if (step == STEP_NEXT)
        step = exchange(cpu, how, &tss, &task);
    if (step != STEP_NEXT)
        return step;
    step = enter(cpu, how, &tss, &task, &undo.left);
    if (step == STEP_RAISED && cpu->raised.npf)
        undo_switch(cpu, how, &tss, &undo);
    return step;
}

enum step task_return(struct vcpu *cpu, uint32_t return_eip)
{
    struct task_switch how = { .cause = TASK_IRET, .return_eip = return_eip };
    enum step step = tss_read_selector(cpu, &cpu->regs.seg[SEG_TR], 0, &how.selector);
    return step == STEP_NEXT ? task_switch(cpu, &how) : step;
}

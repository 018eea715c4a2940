/* Far JMP and CALL through call gates, to tasks and through task gates. APM vol 2, 4.11.2 "Control Transfers Through Call
 * Gates", 12.3 "Hardware Task-Management in Legacy Mode". */
#include "emu/cpu/stack.h"
#include "emu/cpu/task.h"
#include "emu/insn/far_priv.h"

struct call_gate {
    uint64_t offset;
    struct descriptor cs;
    unsigned slot;   /* bytes of a pushed word: 2, 4 or 8 */
    unsigned params; /* words copied to an inner stack */
};

/* --- the gate --- */

/* In long mode a gate has 16 bytes. APM vol 2, 4.8.3 "System Descriptors". */
static enum step read_upper_half(struct vcpu *cpu, const struct descriptor *d,
                                 struct call_gate *gate)
{
    uint64_t la, high;
    if (!descriptor_in_table(cpu, d->seg.selector, 16, &la))
        return fault_selector(cpu, EXC_GP, d->seg.selector);
    enum step step = mem_load_sys(cpu, la + 8, 8, &high);
    if (step != STEP_NEXT)
        return step;
    if (high >> 40 & 0x1f)
        return fault_selector(cpu, EXC_GP, d->seg.selector);
    gate->offset |= high << 32;
    gate->slot = 8;
    gate->params = 0;
    return STEP_NEXT;
}

/* The code segment of the gate: its selector's RPL does not count. */
static enum step read_gate_cs(struct vcpu *cpu, uint16_t selector, bool call,
                              struct call_gate *gate)
{
    if (selector_is_null(selector))
        return cpu_raise_code(cpu, EXC_GP, 0);
    enum step step = descriptor_read(cpu, selector, EXC_GP, &gate->cs);
    if (step != STEP_NEXT)
        return step;
    const struct segment *cs = &gate->cs.seg;
    const uint16_t both = SEG_ATTR_L | SEG_ATTR_DB;
    unsigned cpl = cpu->regs.cpl, dpl = segment_dpl(cs);
    bool level_ok = call || segment_is_conforming(cs) ? dpl <= cpl : dpl == cpl;
    bool size_ok = !cpu_long_mode(cpu) || (cs->attr & both) == SEG_ATTR_L;
    if (!segment_is_code(cs) || !level_ok || !size_ok)
        return fault_selector(cpu, EXC_GP, selector);
    return cs->attr & SEG_ATTR_P ? STEP_NEXT : fault_selector(cpu, EXC_NP, selector);
}

static enum step read_gate(struct vcpu *cpu, const struct descriptor *d, bool call,
                           struct call_gate *gate)
{
    bool gate16 = (d->seg.attr & SEG_ATTR_TYPE) == SYS_CALL16;
    enum step step = STEP_NEXT;
    gate->offset = (d->raw & 0xffff) | (gate16 ? 0 : d->raw >> 32 & 0xffff0000);
    gate->slot = gate16 ? 2 : 4;
    gate->params = d->raw >> 32 & 0x1f;
    if (cpu_long_mode(cpu))
        step = read_upper_half(cpu, d, gate);
    return step == STEP_NEXT ? read_gate_cs(cpu, (uint16_t)(d->raw >> 16), call, gate) : step;
}

/* --- CALL to an inner level --- */

/* In long mode rSP comes from the TSS and SS becomes null. */
static enum step long_stack(struct vcpu *cpu, unsigned cpl, struct stack *stack)
{
    const struct segment *tr = &cpu->regs.seg[SEG_TR];
    unsigned field = 4 + 8 * cpl;
    *stack = (struct stack){ .width = 8, .supervisor = true };
    if (field + 7 > tr->limit)
        return fault_selector(cpu, EXC_TS, tr->selector);
    return mem_load_sys(cpu, tr->base + field, 8, &stack->rsp);
}

static enum step legacy_stack(struct vcpu *cpu, unsigned cpl, struct stack *stack,
                              struct descriptor *ss)
{
    uint32_t esp;
    enum step step = segment_inner_stack(cpu, cpl, ss, &esp);
    if (step == STEP_NEXT)
        *stack = stack_inner(&ss->seg, esp);
    return step;
}

/* Old stack, parameters in their order, return address. */
static enum step build_frame(struct vcpu *cpu, const struct insn *in, const struct call_gate *gate,
                             struct stack_frame *frame)
{
    uint64_t rsp = cpu->r[REG_RSP], word;
    frame_init(frame, gate->slot);
    frame_push(frame, cpu->regs.seg[SEG_SS].selector);
    frame_push(frame, rsp);
    for (unsigned i = gate->params; i-- > 0;) {
        enum step step = stack_load(cpu, rsp + (uint64_t)i * gate->slot, gate->slot, &word);
        if (step != STEP_NEXT)
            return step;
        frame_push(frame, word);
    }
    frame_push(frame, cpu->regs.seg[SEG_CS].selector);
    frame_push(frame, cpu_rip(cpu) + in->len);
    return STEP_NEXT;
}

static enum step call_inner(struct vcpu *cpu, const struct insn *in, struct call_gate *gate)
{
    bool long_mode = cpu_long_mode(cpu);
    unsigned cpl = segment_dpl(&gate->cs.seg);
    struct stack stack;
    struct stack_frame frame;
    struct shadow_entry shadow;
    struct descriptor ss;
    enum step step = long_mode ? long_stack(cpu, cpl, &stack) : legacy_stack(cpu, cpl, &stack, &ss);
    if (step != STEP_NEXT)
        return step;
    if (!segment_may_enter(cpu, &gate->cs.seg, gate->offset))
        return cpu_raise_code(cpu, EXC_GP, 0);
    step = build_frame(cpu, in, gate, &frame);
    if (step == STEP_NEXT)
        step = stack_reserve(cpu, &stack, &frame);
    if (step == STEP_NEXT)
        step = shadow_entry_check(cpu, &shadow, &gate->cs.seg, cpl, 0,
                                  (cpu_rip(cpu) + in->len) & size_mask(gate->slot));
    if (step == STEP_NEXT)
        step = descriptor_mark(cpu, &gate->cs, TYPE_ACCESSED);
    if (step == STEP_NEXT && !long_mode)
        step = descriptor_mark(cpu, &ss, TYPE_ACCESSED);
    if (step == STEP_NEXT)
        step = stack_write(cpu, &stack, &frame);
    if (step == STEP_NEXT)
        step = shadow_entry_commit(cpu, &shadow);
    if (step != STEP_NEXT)
        return step;
    cpu->regs.seg[SEG_SS] = long_mode ? segment_null_ss(cpl) : ss.seg;
    cpu->r[REG_RSP] = stack_pointer_after(&stack, &frame);
    cpu->r[REG_RIP] = gate->offset;
    segment_set_cs(cpu, &gate->cs.seg, cpl);
    return STEP_JUMP;
}

static enum step through_call_gate(struct vcpu *cpu, const struct insn *in,
                                   const struct descriptor *d, bool call)
{
    struct call_gate gate;
    enum step step = read_gate(cpu, d, call, &gate);
    if (step != STEP_NEXT)
        return step;
    const struct segment *cs = &gate.cs.seg;
    if (call && !segment_is_conforming(cs) && segment_dpl(cs) < cpu->regs.cpl)
        return call_inner(cpu, in, &gate);
    return far_enter(cpu, in, &gate.cs, gate.offset, call, gate.slot);
}

/* --- tasks --- */

static enum step to_task(struct vcpu *cpu, const struct insn *in, uint16_t selector, bool call)
{
    const struct task_switch how = { .cause = call ? TASK_CALL : TASK_JMP,
                                     .selector = selector,
                                     .return_eip = (uint32_t)(cpu_rip(cpu) + in->len) };
    enum step step = task_switch(cpu, &how);
    return step == STEP_NEXT ? STEP_JUMP : step;
}

enum step far_through_system(struct vcpu *cpu, const struct insn *in, const struct descriptor *d,
                             bool call)
{
    uint16_t selector = d->seg.selector;
    unsigned type = d->seg.attr & SEG_ATTR_TYPE, dpl = segment_dpl(&d->seg);
    bool long_mode = cpu_long_mode(cpu);
    bool legal = type == SYS_CALL || (!long_mode && (type == SYS_TSS16 || type == SYS_TSS ||
                                                     type == SYS_CALL16 || type == SYS_TASK_GATE));
    if (dpl < cpu->regs.cpl || dpl < SELECTOR_RPL(selector) || !legal)
        return fault_selector(cpu, EXC_GP, selector);
    if (!(d->seg.attr & SEG_ATTR_P))
        return fault_selector(cpu, EXC_NP, selector);
    switch (type) {
    case SYS_CALL:
    case SYS_CALL16: return through_call_gate(cpu, in, d, call);
    case SYS_TASK_GATE: return to_task(cpu, in, (uint16_t)(d->raw >> 16), call);
    default: return to_task(cpu, in, selector, call);
    }
}

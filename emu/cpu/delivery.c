/* Delivery of one event through the IDT. */
#include "emu/cpu/delivery.h"

#include "emu/cpu/mem.h"
#include "emu/cpu/segment.h"
#include "emu/cpu/stack.h"

#define ERROR_IDT 2u /* the selector index of an error code is a vector */

/* What a delivery works with. */
struct delivery {
    const struct event *event;
    uint64_t return_rip;
    uint64_t flags; /* the image to push */
    /* From the gate. */
    uint8_t gate_type, ist;
    uint16_t cs_selector;
    uint64_t offset;
    /* The handler's code segment and level. */
    struct descriptor cs;
    unsigned cpl;
};

static enum step fault_vector(struct vcpu *cpu, const struct delivery *d, enum exception fault)
{
    return cpu_raise_code(cpu, fault, d->event->vector * 8u + ERROR_IDT);
}

/* --- the gate --- */

/* The first eight bytes have the same form in both modes. */
static enum step check_gate(struct vcpu *cpu, struct delivery *d, uint64_t raw)
{
    bool long_mode = cpu_long_mode(cpu);
    unsigned type = raw >> 40 & 0x1f; /* with S */
    unsigned dpl = raw >> 45 & 3;
    bool legal = type == SYS_INT || type == SYS_TRAP ||
                 (!long_mode && (type == SYS_INT16 || type == SYS_TRAP16 || type == SYS_TASK_GATE));
    if (!legal)
        return fault_vector(cpu, d, EXC_GP);
    if (event_is_software(d->event) && dpl < cpu->regs.cpl)
        return fault_vector(cpu, d, EXC_GP);
    if (!(raw >> 47 & 1))
        return fault_vector(cpu, d, EXC_NP);
    if (type == SYS_TASK_GATE)
        return cpu_stop_unimplemented(cpu, "task gates (APM vol 2, 12.3)");
    d->gate_type = (uint8_t)type;
    d->cs_selector = (uint16_t)(raw >> 16);
    d->offset = (raw & 0xffff) | (raw >> 32 & 0xffff0000);
    if (!(type & 8)) /* 16-bit gate */
        d->offset &= 0xffff;
    return STEP_NEXT;
}

static enum step read_gate(struct vcpu *cpu, struct delivery *d)
{
    bool long_mode = cpu_long_mode(cpu);
    unsigned bytes = long_mode ? 16 : 8;
    unsigned at = d->event->vector * bytes;
    uint64_t raw, high = 0;
    if (at + bytes - 1 > cpu->regs.idtr.limit)
        return fault_vector(cpu, d, EXC_GP);
    uint64_t la = cpu->regs.idtr.base + at;
    if (!long_mode)
        la = (uint32_t)la;
    enum step step = mem_load_sys(cpu, la, 8, &raw);
    if (step == STEP_NEXT && long_mode)
        step = mem_load_sys(cpu, la + 8, 8, &high);
    if (step == STEP_NEXT)
        step = check_gate(cpu, d, raw);
    /* CHOICE: bits 12:8 of the last dword are not checked; the manual does not ask for zero in IDT gates. */
    if (step == STEP_NEXT && long_mode) {
        d->offset |= high << 32;
        d->ist = raw >> 32 & 7;
    }
    return step;
}

/* --- the handler's code segment --- */

static enum step read_code_segment(struct vcpu *cpu, struct delivery *d)
{
    uint16_t selector = d->cs_selector;
    if (selector_is_null(selector))
        return cpu_raise_code(cpu, EXC_GP, 0);
    enum step step = descriptor_read(cpu, selector, EXC_GP, &d->cs);
    if (step != STEP_NEXT)
        return step;
    const struct segment *cs = &d->cs.seg;
    const uint16_t both = SEG_ATTR_L | SEG_ATTR_DB;
    if (!segment_is_code(cs) || segment_dpl(cs) > cpu->regs.cpl)
        return cpu_raise_code(cpu, EXC_GP, SELECTOR_CODE(selector));
    if (cpu_long_mode(cpu) && (cs->attr & both) != SEG_ATTR_L)
        return cpu_raise_code(cpu, EXC_GP, SELECTOR_CODE(selector));
    if (!(cs->attr & SEG_ATTR_P))
        return cpu_raise_code(cpu, EXC_NP, SELECTOR_CODE(selector));
    d->cpl = segment_is_conforming(cs) ? cpu->regs.cpl : segment_dpl(cs);
    return STEP_NEXT;
}

/* --- commit, common to both modes --- */

static void enter_handler(struct vcpu *cpu, const struct delivery *d)
{
    uint64_t flags = cpu_rflags(cpu) & ~(uint64_t)(FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM);
    if (!(d->gate_type & 1)) /* interrupt gate */
        flags &= ~(uint64_t)FLAG_IF;
    cpu_set_rflags(cpu, flags);
    cpu->r[REG_RIP] = d->offset;
    segment_set_cs(cpu, &d->cs.seg, d->cpl);
}

/* --- long mode --- */

/* The new stack pointer: IST, the TSS's RSPn for an inner level, or the current one. */
static enum step long_stack(struct vcpu *cpu, const struct delivery *d, uint64_t *rsp)
{
    const struct segment *tr = &cpu->regs.seg[SEG_TR];
    unsigned field;
    if (d->ist) {
        field = 0x24 + 8u * (d->ist - 1);
    } else if (d->cpl < cpu->regs.cpl) {
        field = 4 + 8 * d->cpl;
    } else {
        *rsp = cpu->r[REG_RSP];
        return STEP_NEXT;
    }
    if (field + 7 > tr->limit)
        return cpu_raise_code(cpu, EXC_TS, SELECTOR_CODE(tr->selector));
    return mem_load_sys(cpu, tr->base + field, 8, rsp);
}

static enum step deliver_long(struct vcpu *cpu, struct delivery *d)
{
    bool la57 = cpu->regs.cr4 & CR4_LA57;
    uint64_t rsp;
    enum step step = long_stack(cpu, d, &rsp);
    if (step != STEP_NEXT)
        return step;

    struct stack_frame frame = { .slot = 8 };
    frame_push(&frame, cpu->regs.seg[SEG_SS].selector);
    frame_push(&frame, cpu->r[REG_RSP]);
    frame_push(&frame, d->flags);
    frame_push(&frame, cpu->regs.seg[SEG_CS].selector);
    frame_push(&frame, d->return_rip);
    if (d->event->has_code)
        frame_push(&frame, d->event->code);
    rsp &= ~0xfull;
    uint64_t bottom = rsp - frame_bytes(&frame);
    if (!paging_is_canonical(bottom, la57) || !paging_is_canonical(rsp - 1, la57))
        return cpu_raise_code(cpu, EXC_SS, 0);
    bool supervisor = d->cpl < 3;
    step = stack_check(cpu, bottom, frame_bytes(&frame), supervisor);
    if (step != STEP_NEXT)
        return step;
    if (!paging_is_canonical(d->offset, la57))
        return cpu_raise_code(cpu, EXC_GP, 0);
    step = descriptor_mark(cpu, &d->cs, TYPE_ACCESSED);
    if (step == STEP_NEXT)
        step = frame_store(cpu, &frame, rsp, supervisor);
    if (step != STEP_NEXT)
        return step;

    if (d->cpl != cpu->regs.cpl) /* CHOICE: with IST alone SS stays, as the manual says */
        cpu->regs.seg[SEG_SS] = segment_null_ss(d->cpl);
    cpu->r[REG_RSP] = bottom;
    enter_handler(cpu, d);
    return STEP_NEXT;
}

/* --- legacy protected mode --- */

struct legacy_stack {
    struct segment ss;
    struct descriptor descriptor; /* of an inner stack */
    uint32_t esp;
    bool inner;
};

/* APM vol 2, 12.2.5 "32-Bit Task State Segment": ESPn and SSn. */
static enum step inner_stack(struct vcpu *cpu, unsigned cpl, struct legacy_stack *stack)
{
    const struct segment *tr = &cpu->regs.seg[SEG_TR];
    bool tss32 = tr->attr & 8;
    unsigned size = tss32 ? 4 : 2;
    unsigned field = tss32 ? 4 + 8 * cpl : 2 + 4 * cpl;
    uint64_t esp, selector;
    if (field + size + 1 > tr->limit)
        return cpu_raise_code(cpu, EXC_TS, SELECTOR_CODE(tr->selector));
    enum step step = mem_load_sys(cpu, (uint32_t)(tr->base + field), size, &esp);
    if (step == STEP_NEXT)
        step = mem_load_sys(cpu, (uint32_t)(tr->base + field + size), 2, &selector);
    if (step == STEP_NEXT)
        step = segment_check_stack(cpu, (uint16_t)selector, cpl, EXC_TS, &stack->descriptor);
    if (step != STEP_NEXT)
        return step;
    stack->ss = stack->descriptor.seg;
    stack->esp = (uint32_t)esp;
    stack->inner = true;
    return STEP_NEXT;
}

static enum step legacy_stack(struct vcpu *cpu, const struct delivery *d,
                              struct legacy_stack *stack)
{
    if (d->cpl < cpu->regs.cpl)
        return inner_stack(cpu, d->cpl, stack);
    stack->ss = cpu->regs.seg[SEG_SS];
    stack->esp = (uint32_t)cpu->r[REG_RSP];
    return STEP_NEXT;
}

static enum step deliver_legacy(struct vcpu *cpu, struct delivery *d)
{
    struct legacy_stack stack = { 0 };
    enum step step = legacy_stack(cpu, d, &stack);
    if (step != STEP_NEXT)
        return step;
    if (d->offset > d->cs.seg.limit)
        return cpu_raise_code(cpu, EXC_GP, 0);

    struct stack_frame frame = { .slot = d->gate_type & 8 ? 4 : 2 };
    if (stack.inner) {
        frame_push(&frame, cpu->regs.seg[SEG_SS].selector);
        frame_push(&frame, (uint32_t)cpu->r[REG_RSP]);
    }
    frame_push(&frame, (uint32_t)d->flags);
    frame_push(&frame, cpu->regs.seg[SEG_CS].selector);
    frame_push(&frame, (uint32_t)d->return_rip);
    if (d->event->has_code)
        frame_push(&frame, d->event->code);

    uint32_t mask = stack.ss.attr & SEG_ATTR_DB ? UINT32_MAX : 0xffff;
    uint32_t top = stack.esp & mask;
    uint32_t bottom = (top - frame_bytes(&frame)) & mask;
    /* CHOICE: a frame that would wrap around is a limit violation; no flat stack does. */
    if (bottom > top || !segment_covers(&stack.ss, bottom, frame_bytes(&frame)))
        return cpu_raise_code(cpu, EXC_SS, stack.inner ? SELECTOR_CODE(stack.ss.selector) : 0);
    uint32_t la = (uint32_t)(stack.ss.base + top);
    if ((uint32_t)(la - frame_bytes(&frame)) > la && la != 0)
        return cpu_raise_code(cpu, EXC_SS, stack.inner ? SELECTOR_CODE(stack.ss.selector) : 0);
    uint64_t linear_top = la ? la : 1ull << 32;
    bool supervisor = d->cpl < 3;
    step = stack_check(cpu, linear_top - frame_bytes(&frame), frame_bytes(&frame), supervisor);
    if (step == STEP_NEXT)
        step = descriptor_mark(cpu, &d->cs, TYPE_ACCESSED);
    if (step == STEP_NEXT && stack.inner)
        step = descriptor_mark(cpu, &stack.descriptor, TYPE_ACCESSED);
    if (step == STEP_NEXT)
        step = frame_store(cpu, &frame, linear_top, supervisor);
    if (step != STEP_NEXT)
        return step;

    if (stack.inner)
        cpu->regs.seg[SEG_SS] = stack.descriptor.seg;
    uint64_t esp = (stack.esp & ~mask) | bottom;
    cpu->r[REG_RSP] = esp;
    enter_handler(cpu, d);
    return STEP_NEXT;
}

/* --- the door --- */

/* EXT: the fault arose while an external event or an exception was delivered. APM vol 2, 8.4.1. */
static void add_ext(struct vcpu *cpu, const struct event *event)
{
    struct event *fault = &cpu->raised.event;
    bool selector_code = fault->vector >= EXC_TS && fault->vector <= EXC_GP;
    if (!cpu->raised.npf && selector_code && !event_is_software(event))
        fault->code |= 1;
}

enum step delivery_through_idt(struct vcpu *cpu, const struct event *event, uint64_t return_rip,
                               bool rf)
{
    if (!cpu_protected(cpu))
        return cpu_stop_unimplemented(
            cpu, "events in real and virtual-8086 mode (APM vol 2, 8.6 and 8.8)");
    struct delivery d = { .event = event, .return_rip = return_rip };
    d.flags = (cpu_rflags(cpu) & ~(uint64_t)FLAG_RF) | (rf ? FLAG_RF : 0);
    enum step step = read_gate(cpu, &d);
    if (step == STEP_NEXT)
        step = read_code_segment(cpu, &d);
    if (step == STEP_NEXT)
        step = cpu_long_mode(cpu) ? deliver_long(cpu, &d) : deliver_legacy(cpu, &d);
    if (step == STEP_RAISED)
        add_ext(cpu, event);
    return step;
}

/* Delivery in long mode. APM vol 2, 8.9 "Long-Mode Interrupt Control Transfers". */
#include "emu/cpu/delivery_priv.h"

#include "emu/cpu/mem.h"
#include "emu/cpu/shadow_far.h"
#include "emu/cpu/stack.h"

/* The new stack pointer: IST, the TSS's RSPn for an inner level, or the current one. */
static enum step new_stack(struct vcpu *cpu, const struct delivery *d, uint64_t *rsp)
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

enum step delivery_long(struct vcpu *cpu, struct delivery *d)
{
    uint64_t rsp;
    enum step step = new_stack(cpu, d, &rsp);
    if (step != STEP_NEXT)
        return step;

    struct stack stack = { .rsp = rsp & ~0xfull, .width = 8, .supervisor = d->cpl < cpu->regs.cpl };
    struct stack_frame frame;
    struct shadow_entry shadow;
    frame_init(&frame, 8);
    frame_push(&frame, cpu->regs.seg[SEG_SS].selector);
    frame_push(&frame, cpu->r[REG_RSP]);
    frame_push(&frame, d->flags);
    frame_push(&frame, cpu->regs.seg[SEG_CS].selector);
    frame_push(&frame, d->return_rip);
    if (d->event->has_code)
        frame_push(&frame, d->event->code);
    step = stack_reserve(cpu, &stack, &frame);
    if (step != STEP_NEXT)
        return step;
    if (!paging_is_canonical(d->offset, cpu->regs.cr4 & CR4_LA57))
        return cpu_raise_code(cpu, EXC_GP, 0);
    step = shadow_entry_check(cpu, &shadow, &d->cs.seg, d->cpl, d->ist, d->return_rip);
    if (step == STEP_NEXT)
        step = descriptor_mark(cpu, &d->cs, TYPE_ACCESSED);
    if (step == STEP_NEXT)
        step = stack_write(cpu, &stack, &frame);
    if (step == STEP_NEXT)
        step = shadow_entry_commit(cpu, &shadow);
    if (step != STEP_NEXT)
        return step;

    if (d->cpl != cpu->regs.cpl) /* CHOICE: with IST alone SS stays, as the manual says */
        cpu->regs.seg[SEG_SS] = segment_null_ss(d->cpl);
    cpu->r[REG_RSP] = stack_pointer_after(&stack, &frame);
    delivery_enter(cpu, d);
    return STEP_NEXT;
}

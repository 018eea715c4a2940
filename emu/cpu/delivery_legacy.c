/* Delivery in legacy protected mode and from virtual-8086 mode to protected mode. APM vol 2, 8.7 "Legacy Protected-Mode
 * Interrupt Control Transfers", 8.8.1 "Protected-Mode Handler Control Transfer". */
#include "emu/cpu/delivery_priv.h"

#include "emu/cpu/shadow_far.h"
#include "emu/cpu/stack.h"

/* The order of the pushes: data segments of virtual-8086 mode, the old stack, the return address. */
static void build_frame(struct vcpu *cpu, const struct delivery *d, bool inner,
                        struct stack_frame *frame)
{
    static const uint8_t v86_segs[] = { SEG_GS, SEG_FS, SEG_DS, SEG_ES };
    const struct segment *seg = cpu->regs.seg;
    frame_init(frame, d->gate_type & 8 ? 4 : 2);
    if (cpu->mode == MODE_V86)
        for (unsigned i = 0; i < sizeof(v86_segs); i++)
            frame_push(frame, seg[v86_segs[i]].selector);
    if (inner) {
        frame_push(frame, seg[SEG_SS].selector);
        frame_push(frame, (uint32_t)cpu->r[REG_RSP]);
    }
    frame_push(frame, (uint32_t)d->flags);
    frame_push(frame, seg[SEG_CS].selector);
    frame_push(frame, (uint32_t)d->return_rip);
    if (d->event->has_code)
        frame_push(frame, d->event->code);
}

enum step delivery_legacy(struct vcpu *cpu, struct delivery *d)
{
    bool inner = d->cpl < cpu->regs.cpl, v86 = cpu->mode == MODE_V86;
    struct stack stack = stack_current(cpu);
    struct stack_frame frame;
    struct shadow_entry shadow;
    struct descriptor ss;
    enum step step = STEP_NEXT;
    if (inner) {
        uint32_t esp;
        step = segment_inner_stack(cpu, d->cpl, &ss, &esp);
        if (step != STEP_NEXT)
            return step;
        stack = stack_inner(&ss.seg, esp);
    }
    if (!segment_may_enter(cpu, &d->cs.seg, d->offset))
        return cpu_raise_code(cpu, EXC_GP, 0);

    build_frame(cpu, d, inner, &frame);
    step = stack_reserve(cpu, &stack, &frame);
    if (step == STEP_NEXT)
        step = shadow_entry_check(cpu, &shadow, &d->cs.seg, d->cpl, 0,
                                  frame.slot == 2 ? (uint16_t)d->return_rip : d->return_rip);
    if (step == STEP_NEXT)
        step = descriptor_mark(cpu, &d->cs, TYPE_ACCESSED);
    if (step == STEP_NEXT && inner)
        step = descriptor_mark(cpu, &ss, TYPE_ACCESSED);
    if (step == STEP_NEXT)
        step = stack_write(cpu, &stack, &frame);
    if (step == STEP_NEXT)
        step = shadow_entry_commit(cpu, &shadow);
    if (step != STEP_NEXT)
        return step;

    if (inner)
        cpu->regs.seg[SEG_SS] = ss.seg;
    cpu->r[REG_RSP] = stack_pointer_after(&stack, &frame);
    if (v86) {
        static const uint8_t segs[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };
        for (unsigned i = 0; i < sizeof(segs); i++)
            segment_set_null(cpu, (enum seg)segs[i], 0);
    }
    delivery_enter(cpu, d);
    return STEP_NEXT;
}

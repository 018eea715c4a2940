/* Far JMP and CALL to code segments. APM vol 3, chapter 3 "JMP (Far)", "CALL (Far)"; vol 2, 4.11 "Control-Transfer Privilege
 * Checks". */
#include "emu/cpu/stack.h"
#include "emu/insn/far_priv.h"

/* A far pointer: immediate, or in memory as offset then selector. The offset has at most 32 bits, REX.W or not. */
static enum step read_far_pointer(struct vcpu *cpu, const struct insn *in, uint16_t *selector,
                                  uint64_t *offset)
{
    if (in->op[0].kind != OPERAND_MEM) {
        *selector = (uint16_t)in->imm2;
        *offset = in->imm & size_mask(in->op_size);
        return STEP_NEXT;
    }
    enum seg seg = (enum seg)in->seg;
    unsigned size = in->op_size == 2 ? 2 : 4;
    uint64_t at = mem_offset(cpu, in), value;
    enum step step = mem_load(cpu, seg, at, size, offset);
    if (step == STEP_NEXT)
        step = mem_load(cpu, seg, (at + size) & size_mask(in->addr_size), 2, &value);
    if (step == STEP_NEXT)
        *selector = (uint16_t)value;
    return step;
}

/* CS and the return address of a CALL that stays on its stack: both fit, or nothing is pushed. */
struct return_push {
    struct stack stack;
    struct stack_frame frame;
};

static enum step reserve_return(struct vcpu *cpu, const struct insn *in, unsigned size,
                                struct return_push *push)
{
    push->stack = stack_current(cpu);
    frame_init(&push->frame, size);
    frame_push(&push->frame, cpu->regs.seg[SEG_CS].selector);
    frame_push(&push->frame, cpu_rip(cpu) + in->len);
    return stack_reserve(cpu, &push->stack, &push->frame);
}

static enum step push_return(struct vcpu *cpu, const struct return_push *push,
                             const struct shadow_entry *shadow)
{
    enum step step = stack_write(cpu, &push->stack, &push->frame);
    if (step == STEP_NEXT)
        step = shadow_entry_commit(cpu, shadow);
    if (step == STEP_NEXT)
        cpu->r[REG_RSP] = stack_pointer_after(&push->stack, &push->frame);
    return step;
}

/* --- protected and long mode --- */

/* A code segment named by JMP, CALL (not through a gate): APM vol 2, 4.11.1. */
static enum step check_direct(struct vcpu *cpu, const struct descriptor *d)
{
    uint16_t selector = d->seg.selector;
    unsigned cpl = cpu->regs.cpl, dpl = segment_dpl(&d->seg);
    bool legal =
        segment_is_conforming(&d->seg) ? dpl <= cpl : dpl == cpl && SELECTOR_RPL(selector) <= cpl;
    if (!legal || (cpu_long_mode(cpu) && is_l_and_d(&d->seg)))
        return fault_selector(cpu, EXC_GP, selector);
    return d->seg.attr & SEG_ATTR_P ? STEP_NEXT : fault_selector(cpu, EXC_NP, selector);
}

enum step far_enter(struct vcpu *cpu, const struct insn *in, struct descriptor *cs, uint64_t offset,
                    bool call, unsigned size)
{
    if (!segment_may_enter(cpu, &cs->seg, offset))
        return cpu_raise_code(cpu, EXC_GP, 0);
    struct return_push push;
    struct shadow_entry shadow;
    enum step step = call ? reserve_return(cpu, in, size, &push) : STEP_NEXT;
    if (step == STEP_NEXT)
        step = call ? shadow_entry_check(cpu, &shadow, &cs->seg, cpu->regs.cpl, 0,
                                         (cpu_rip(cpu) + in->len) & size_mask(size))
                    : shadow_jmp_check(cpu, &cs->seg);
    if (step == STEP_NEXT)
        step = descriptor_mark(cpu, cs, TYPE_ACCESSED);
    if (step == STEP_NEXT && call)
        step = push_return(cpu, &push, &shadow);
    if (step != STEP_NEXT)
        return step;
    cpu->r[REG_RIP] = offset;
    segment_set_cs(cpu, &cs->seg, cpu->regs.cpl);
    return STEP_JUMP;
}

static enum step protected_transfer(struct vcpu *cpu, const struct insn *in, uint16_t selector,
                                    uint64_t offset, bool call)
{
    struct descriptor d;
    if (selector_is_null(selector))
        return cpu_raise_code(cpu, EXC_GP, 0);
    enum step step = descriptor_read(cpu, selector, EXC_GP, &d);
    if (step != STEP_NEXT)
        return step;
    if (!(d.seg.attr & SEG_ATTR_S))
        return far_through_system(cpu, in, &d, call);
    if (!segment_is_code(&d.seg))
        return fault_selector(cpu, EXC_GP, selector);
    step = check_direct(cpu, &d);
    return step == STEP_NEXT ? far_enter(cpu, in, &d, offset, call, in->op_size) : step;
}

/* --- real and virtual-8086 mode --- */

/* CS keeps its limit. APM vol 2, 4.10 "Segment-Protection Overview". */
static enum step real_transfer(struct vcpu *cpu, const struct insn *in, uint16_t selector,
                               uint64_t offset, bool call)
{
    if (offset > cpu->regs.seg[SEG_CS].limit)
        return cpu_raise_code(cpu, EXC_GP, 0);
    struct return_push push;
    enum step step = call ? reserve_return(cpu, in, in->op_size, &push) : STEP_NEXT;
    if (step == STEP_NEXT && call)
        step = push_return(cpu, &push, &(struct shadow_entry){ .active = false });
    if (step != STEP_NEXT)
        return step;
    cpu->r[REG_RIP] = offset;
    segment_load_real(cpu, SEG_CS, selector);
    cpu_update_mode(cpu);
    return STEP_JUMP;
}

static enum step far_transfer(struct vcpu *cpu, const struct insn *in, bool call)
{
    uint16_t selector;
    uint64_t offset;
    enum step step = read_far_pointer(cpu, in, &selector, &offset);
    if (step != STEP_NEXT)
        return step;
    if (!cpu_protected(cpu))
        return real_transfer(cpu, in, selector, offset, call);
    return protected_transfer(cpu, in, selector, offset, call);
}

enum step insn_jmp_far(struct vcpu *cpu, const struct insn *in)
{
    return far_transfer(cpu, in, false);
}

enum step insn_call_far(struct vcpu *cpu, const struct insn *in)
{
    return far_transfer(cpu, in, true);
}

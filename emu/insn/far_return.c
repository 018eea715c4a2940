/* Far RET, and what IRET shares with it. APM vol 3, "RET (Far)"; vol 2, 4.11.5 "Return Control Transfers". */
#include "emu/insn/far_priv.h"

/* CHOICE: the selector is read first, as on Zen 4: its fault comes before that of the offset. */
enum step far_pop_pointer(struct vcpu *cpu, uint64_t rsp, unsigned size, uint64_t *offset,
                          uint16_t *selector)
{
    uint64_t value;
    enum step step = stack_load(cpu, rsp + size, size, &value);
    if (step != STEP_NEXT)
        return step;
    *selector = (uint16_t)value;
    return stack_load(cpu, rsp, size, offset);
}

/* --- protected and long mode --- */

enum step far_return_check_cs(struct vcpu *cpu, struct far_return *ret)
{
    uint16_t selector = ret->cs_selector;
    if (selector_is_null(selector))
        return cpu_raise_code(cpu, EXC_GP, 0);
    enum step step = descriptor_read(cpu, selector, EXC_GP, &ret->cs);
    if (step != STEP_NEXT)
        return step;
    const struct segment *cs = &ret->cs.seg;
    unsigned rpl = SELECTOR_RPL(selector), dpl = segment_dpl(cs);
    bool legal = segment_is_code(cs) && rpl >= cpu->regs.cpl &&
                 (segment_is_conforming(cs) ? dpl <= rpl : dpl == rpl) &&
                 !(cpu_long_mode(cpu) && is_l_and_d(cs));
    if (!legal)
        return fault_selector(cpu, EXC_GP, selector);
    if (!(cs->attr & SEG_ATTR_P))
        return fault_selector(cpu, EXC_NP, selector);
    ret->cpl = rpl;
    ret->outer = rpl > cpu->regs.cpl;
    return STEP_NEXT;
}

/* The stack segment to return to. Null is legal for 64-bit code inside level 3. */
static enum step check_return_ss(struct vcpu *cpu, struct far_return *ret)
{
    uint16_t selector = ret->ss_selector;
    if (!selector_is_null(selector))
        return segment_check_stack(cpu, selector, ret->cpl, EXC_GP, &ret->ss);
    if (!(cpu_long_mode(cpu) && (ret->cs.seg.attr & SEG_ATTR_L) && ret->cpl < 3))
        return cpu_raise_code(cpu, EXC_GP, 0);
    ret->ss.seg = segment_null_ss(ret->cpl);
    ret->ss.seg.selector = selector;
    return STEP_NEXT;
}

enum step far_return_finish(struct vcpu *cpu, struct far_return *ret)
{
    /* CHOICE: RIP comes behind SS, but before it where 64-bit IRET stays at its level: as on Zen 4. */
    bool enters = segment_may_enter(cpu, &ret->cs.seg, ret->rip);
    enum step step =
        ret->new_stack && (enters || ret->outer) ? check_return_ss(cpu, ret) : STEP_NEXT;
    if (step != STEP_NEXT)
        return step;
    if (!enters)
        return cpu_raise_code(cpu, EXC_GP, 0);
    step = shadow_return_check(cpu, &ret->shadow, &ret->cs.seg, ret->cpl, ret->rip, ret->iret);
    if (step == STEP_NEXT)
        step = descriptor_mark(cpu, &ret->cs, TYPE_ACCESSED);
    if (step == STEP_NEXT && ret->new_stack && (ret->ss.seg.attr & SEG_ATTR_P))
        step = descriptor_mark(cpu, &ret->ss, TYPE_ACCESSED);
    return step == STEP_NEXT ? shadow_return_commit(cpu, &ret->shadow) : step;
}

/* The new code segment decides how much of rSP is written. */
void far_return_commit(struct vcpu *cpu, const struct far_return *ret, unsigned released)
{
    if (!ret->new_stack)
        stack_set_pointer(cpu, cpu->r[REG_RSP] + released);
    cpu->r[REG_RIP] = ret->rip;
    segment_set_cs(cpu, &ret->cs.seg, ret->cpl);
    if (ret->new_stack) {
        cpu->regs.seg[SEG_SS] = ret->ss.seg;
        stack_set_pointer(cpu, ret->rsp);
    }
    if (ret->outer)
        segment_drop_inner(cpu);
}

/* --- real and virtual-8086 mode --- */

enum step far_return_check_real(struct vcpu *cpu, const struct far_return *ret)
{
    return ret->rip > cpu->regs.seg[SEG_CS].limit ? cpu_raise_code(cpu, EXC_GP, 0) : STEP_NEXT;
}

void far_return_commit_real(struct vcpu *cpu, const struct far_return *ret, unsigned released)
{
    stack_set_pointer(cpu, cpu->r[REG_RSP] + released);
    cpu->r[REG_RIP] = ret->rip;
    segment_load_real(cpu, SEG_CS, ret->cs_selector);
    cpu_update_mode(cpu);
}

/* --- RET --- */

static enum step ret_real(struct vcpu *cpu, const struct insn *in)
{
    struct far_return ret = { 0 };
    unsigned size = in->op_size;
    enum step step = far_pop_pointer(cpu, cpu->r[REG_RSP], size, &ret.rip, &ret.cs_selector);
    if (step == STEP_NEXT)
        step = far_return_check_real(cpu, &ret);
    if (step != STEP_NEXT)
        return step;
    far_return_commit_real(cpu, &ret, 2 * size + (uint16_t)in->imm);
    return STEP_JUMP;
}

/* imm16 bytes of parameters are released from both stacks. CHOICE: the other level's stack is read as soon as the RPL tells of
 * another level, before the selector is looked at, as on Zen 4. */
enum step insn_ret_far(struct vcpu *cpu, const struct insn *in)
{
    if (!cpu_protected(cpu))
        return ret_real(cpu, in);
    unsigned size = in->op_size, release = (uint16_t)in->imm;
    uint64_t rsp = cpu->r[REG_RSP];
    struct far_return ret = { 0 };
    enum step step = far_pop_pointer(cpu, rsp, size, &ret.rip, &ret.cs_selector);
    if (step == STEP_NEXT && SELECTOR_RPL(ret.cs_selector) != cpu->regs.cpl) {
        ret.new_stack = true;
        rsp += 2 * size + release;
        step = far_pop_pointer(cpu, rsp, size, &ret.rsp, &ret.ss_selector);
        ret.rsp += release;
    }
    if (step == STEP_NEXT)
        step = far_return_check_cs(cpu, &ret);
    if (step == STEP_NEXT)
        step = far_return_finish(cpu, &ret);
    if (step != STEP_NEXT)
        return step;
    far_return_commit(cpu, &ret, 2 * size + release);
    return STEP_JUMP;
}

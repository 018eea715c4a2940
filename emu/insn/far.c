/* Far JMP, CALL and RET, IRET, and the instructions that interrupt. APM vol 3, chapter 3; vol 2, 4.11 "Control-Transfer
 * Privilege Checks", 8.7.3 and 8.9.5 "Interrupt Returns". */
#include "emu/cpu/segment.h"
#include "emu/cpu/stack.h"
#include "emu/insn/system_priv.h"

#include <Zydis/Mnemonic.h>

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

static enum step fault_selector(struct vcpu *cpu, enum exception fault, uint16_t selector)
{
    return cpu_raise_code(cpu, fault, SELECTOR_CODE(selector));
}

static bool is_l_and_d(const struct segment *cs)
{
    const uint16_t both = SEG_ATTR_L | SEG_ATTR_DB;
    return (cs->attr & both) == both;
}

/* May execution start at `offset` of a code segment? Canonical in 64-bit code, else inside the limit. */
static bool offset_ok(const struct vcpu *cpu, const struct segment *cs, uint64_t offset)
{
    if (cpu_long_mode(cpu) && (cs->attr & SEG_ATTR_L))
        return paging_is_canonical(offset, cpu->regs.cr4 & CR4_LA57);
    return offset <= cs->limit;
}

static enum step real_far(struct vcpu *cpu)
{
    return cpu_stop_unimplemented(cpu,
                                  "far transfers in real and virtual-8086 mode (APM vol 2, 4.10)");
}

/* --- JMP and CALL --- */

/* Push CS and the return address of a CALL that stays on its stack: both fit, or nothing is pushed. */
static enum step push_return(struct vcpu *cpu, const struct insn *in, unsigned size)
{
    struct stack_frame frame = { .slot = size };
    uint64_t rsp = cpu->r[REG_RSP], la, top = rsp & size_mask(stack_width(cpu));
    uint64_t bottom = (rsp - 2 * size) & size_mask(stack_width(cpu));
    uint64_t return_rip = cpu_rip(cpu) + in->len;
    if (bottom > top) { /* a small stack wraps between the two words */
        enum step step = stack_store(cpu, rsp - size, size, cpu->regs.seg[SEG_CS].selector);
        if (step == STEP_NEXT)
            step = stack_store(cpu, rsp - 2 * size, size, return_rip & size_mask(size));
        return step;
    }
    frame_push(&frame, cpu->regs.seg[SEG_CS].selector);
    frame_push(&frame, return_rip & size_mask(size));
    enum step step = mem_linear(cpu, SEG_SS, bottom, 2 * size, ACCESS_WRITE, &la);
    if (step != STEP_NEXT)
        return step;
    return frame_store(cpu, &frame, la + 2 * size, false);
}

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

static enum step enter_direct(struct vcpu *cpu, const struct insn *in, struct descriptor *d,
                              uint64_t offset, bool call)
{
    enum step step = check_direct(cpu, d);
    if (step != STEP_NEXT)
        return step;
    if (!offset_ok(cpu, &d->seg, offset))
        return cpu_raise_code(cpu, EXC_GP, 0);
    step = descriptor_mark(cpu, d, TYPE_ACCESSED);
    if (step == STEP_NEXT && call)
        step = push_return(cpu, in, in->op_size);
    if (step != STEP_NEXT)
        return step;
    if (call)
        stack_set_pointer(cpu, cpu->r[REG_RSP] - 2 * in->op_size);
    cpu->r[REG_RIP] = offset;
    segment_set_cs(cpu, &d->seg, cpu->regs.cpl);
    return STEP_JUMP;
}

/* A CALL to an inner level through a long-mode gate: the stack comes from the TSS, SS becomes null. */
static enum step call_inner(struct vcpu *cpu, const struct insn *in, struct descriptor *cs,
                            uint64_t offset)
{
    const struct segment *tr = &cpu->regs.seg[SEG_TR];
    unsigned cpl = segment_dpl(&cs->seg), field = 4 + 8 * cpl;
    bool la57 = cpu->regs.cr4 & CR4_LA57;
    uint64_t rsp;
    if (field + 7 > tr->limit)
        return fault_selector(cpu, EXC_TS, tr->selector);
    enum step step = mem_load_sys(cpu, tr->base + field, 8, &rsp);
    if (step != STEP_NEXT)
        return step;

    struct stack_frame frame = { .slot = 8 };
    frame_push(&frame, cpu->regs.seg[SEG_SS].selector);
    frame_push(&frame, cpu->r[REG_RSP]);
    frame_push(&frame, cpu->regs.seg[SEG_CS].selector);
    frame_push(&frame, cpu_rip(cpu) + in->len);
    uint64_t bottom = rsp - frame_bytes(&frame);
    if (!paging_is_canonical(bottom, la57) || !paging_is_canonical(rsp - 1, la57))
        return cpu_raise_code(cpu, EXC_SS, 0);
    if (!offset_ok(cpu, &cs->seg, offset))
        return cpu_raise_code(cpu, EXC_GP, 0);
    step = descriptor_mark(cpu, cs, TYPE_ACCESSED);
    if (step == STEP_NEXT)
        step = frame_store(cpu, &frame, rsp, true);
    if (step != STEP_NEXT)
        return step;
    cpu->regs.seg[SEG_SS] = segment_null_ss(cpl);
    cpu->r[REG_RSP] = bottom;
    cpu->r[REG_RIP] = offset;
    segment_set_cs(cpu, &cs->seg, cpl);
    return STEP_JUMP;
}

/* A call gate in long mode: 16 bytes, 64-bit code only, no parameters. APM vol 2, 4.8.3 "System Descriptors". */
static enum step through_long_gate(struct vcpu *cpu, const struct insn *in,
                                   const struct descriptor *gate, bool call)
{
    uint16_t gate_selector = gate->seg.selector, selector = (uint16_t)(gate->raw >> 16);
    uint64_t la, high;
    if (!descriptor_in_table(cpu, gate_selector, 16, &la))
        return fault_selector(cpu, EXC_GP, gate_selector);
    enum step step = mem_load_sys(cpu, la + 8, 8, &high);
    if (step != STEP_NEXT)
        return step;
    if (high >> 40 & 0x1f)
        return fault_selector(cpu, EXC_GP, gate_selector);
    uint64_t offset = (gate->raw & 0xffff) | (gate->raw >> 32 & 0xffff0000) | high << 32;

    struct descriptor cs;
    if (selector_is_null(selector))
        return cpu_raise_code(cpu, EXC_GP, 0);
    step = descriptor_read(cpu, selector, EXC_GP, &cs);
    if (step != STEP_NEXT)
        return step;
    unsigned cpl = cpu->regs.cpl, dpl = segment_dpl(&cs.seg);
    bool conforming = segment_is_conforming(&cs.seg);
    bool level_ok = call || conforming ? dpl <= cpl : dpl == cpl;
    if (!segment_is_code(&cs.seg) || !level_ok || !(cs.seg.attr & SEG_ATTR_L) ||
        (cs.seg.attr & SEG_ATTR_DB))
        return fault_selector(cpu, EXC_GP, selector);
    if (!(cs.seg.attr & SEG_ATTR_P))
        return fault_selector(cpu, EXC_NP, selector);
    if (call && !conforming && dpl < cpl)
        return call_inner(cpu, in, &cs, offset);

    if (!offset_ok(cpu, &cs.seg, offset))
        return cpu_raise_code(cpu, EXC_GP, 0);
    step = descriptor_mark(cpu, &cs, TYPE_ACCESSED);
    if (step == STEP_NEXT && call)
        step = push_return(cpu, in, 8);
    if (step != STEP_NEXT)
        return step;
    if (call)
        stack_set_pointer(cpu, cpu->r[REG_RSP] - 16);
    cpu->r[REG_RIP] = offset;
    segment_set_cs(cpu, &cs.seg, cpl);
    return STEP_JUMP;
}

/* S = 0: gates and, outside long mode, task state segments. */
static enum step through_system(struct vcpu *cpu, const struct insn *in, const struct descriptor *d,
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
    if (long_mode)
        return through_long_gate(cpu, in, d, call);
    if (type == SYS_CALL || type == SYS_CALL16)
        return cpu_stop_unimplemented(cpu, "call gates in legacy mode (APM vol 2, 4.7.3)");
    return cpu_stop_unimplemented(cpu, "task switches (APM vol 2, 12.3)");
}

static enum step far_transfer(struct vcpu *cpu, const struct insn *in, bool call)
{
    uint16_t selector;
    uint64_t offset;
    struct descriptor d;
    enum step step = read_far_pointer(cpu, in, &selector, &offset);
    if (step != STEP_NEXT)
        return step;
    if (!cpu_protected(cpu))
        return real_far(cpu);
    if (selector_is_null(selector))
        return cpu_raise_code(cpu, EXC_GP, 0);
    step = descriptor_read(cpu, selector, EXC_GP, &d);
    if (step != STEP_NEXT)
        return step;
    if (!(d.seg.attr & SEG_ATTR_S))
        return through_system(cpu, in, &d, call);
    if (!segment_is_code(&d.seg))
        return fault_selector(cpu, EXC_GP, selector);
    return enter_direct(cpu, in, &d, offset, call);
}

enum step insn_jmp_far(struct vcpu *cpu, const struct insn *in)
{
    return far_transfer(cpu, in, false);
}

enum step insn_call_far(struct vcpu *cpu, const struct insn *in)
{
    return far_transfer(cpu, in, true);
}

/* --- RET and IRET --- */

/* What is read from the stack, and where the stack ends afterwards. */
struct far_return {
    uint64_t rip, flags, rsp;
    uint16_t cs_selector, ss_selector;
    struct descriptor cs, ss;
    bool outer, new_stack; /* new_stack: SS:rSP were read too */
    unsigned cpl;
};

/* The code segment to return to. */
static enum step check_return_cs(struct vcpu *cpu, struct far_return *ret)
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

/* Checks from the target offset on, then everything that can still fault. */
static enum step finish_checks(struct vcpu *cpu, struct far_return *ret)
{
    enum step step = ret->new_stack ? check_return_ss(cpu, ret) : STEP_NEXT;
    if (step != STEP_NEXT)
        return step;
    if (!offset_ok(cpu, &ret->cs.seg, ret->rip))
        return cpu_raise_code(cpu, EXC_GP, 0);
    step = descriptor_mark(cpu, &ret->cs, TYPE_ACCESSED);
    if (step == STEP_NEXT && ret->new_stack && (ret->ss.seg.attr & SEG_ATTR_P))
        step = descriptor_mark(cpu, &ret->ss, TYPE_ACCESSED);
    return step;
}

/* The new code segment decides how much of rSP is written. `released` bytes leave the stack that is kept. */
static void commit_return(struct vcpu *cpu, const struct far_return *ret, unsigned released)
{
    bool outer = ret->outer;
    if (!ret->new_stack)
        stack_set_pointer(cpu, cpu->r[REG_RSP] + released);
    cpu->r[REG_RIP] = ret->rip;
    segment_set_cs(cpu, &ret->cs.seg, ret->cpl);
    if (ret->new_stack) {
        cpu->regs.seg[SEG_SS] = ret->ss.seg;
        stack_set_pointer(cpu, ret->rsp);
    }
    if (outer)
        segment_drop_inner(cpu);
}

/* RET far: imm16 bytes of parameters are released from both stacks. */
enum step insn_ret_far(struct vcpu *cpu, const struct insn *in)
{
    if (!cpu_protected(cpu))
        return real_far(cpu);
    unsigned size = in->op_size, release = (uint16_t)in->imm;
    uint64_t rsp = cpu->r[REG_RSP], selector;
    struct far_return ret = { 0 };
    enum step step = stack_load(cpu, rsp, size, &ret.rip);
    if (step == STEP_NEXT)
        step = stack_load(cpu, rsp + size, size, &selector);
    if (step != STEP_NEXT)
        return step;
    ret.cs_selector = (uint16_t)selector;
    step = check_return_cs(cpu, &ret);
    if (step != STEP_NEXT)
        return step;
    if (ret.outer) {
        ret.new_stack = true;
        rsp += 2 * size + release;
        step = stack_load(cpu, rsp, size, &ret.rsp);
        if (step == STEP_NEXT)
            step = stack_load(cpu, rsp + size, size, &selector);
        if (step != STEP_NEXT)
            return step;
        ret.ss_selector = (uint16_t)selector;
        ret.rsp += release;
    }
    step = finish_checks(cpu, &ret);
    if (step != STEP_NEXT)
        return step;
    commit_return(cpu, &ret, 2 * size + release);
    return STEP_JUMP;
}

/* The flags that IRET loads, with the CPL before it. APM vol 3, "IRET". */
static uint64_t iret_flags_mask(const struct vcpu *cpu, unsigned size)
{
    unsigned cpl = cpu->regs.cpl, iopl = (unsigned)(cpu->rflags & FLAG_IOPL) >> 12;
    uint64_t mask = FLAGS_STATUS | FLAG_TF | FLAG_DF | FLAG_NT;
    if (size > 2)
        mask |= FLAG_RF | FLAG_AC | FLAG_ID;
    if (cpl <= iopl)
        mask |= FLAG_IF;
    if (cpl == 0)
        mask |= FLAG_IOPL | (size > 2 ? FLAG_VIF | FLAG_VIP : 0);
    return mask;
}

static enum step read_iret_frame(struct vcpu *cpu, unsigned size, struct far_return *ret)
{
    uint64_t rsp = cpu->r[REG_RSP], selector;
    enum step step = stack_load(cpu, rsp, size, &ret->rip);
    if (step == STEP_NEXT)
        step = stack_load(cpu, rsp + size, size, &selector);
    if (step == STEP_NEXT)
        step = stack_load(cpu, rsp + 2 * size, size, &ret->flags);
    if (step != STEP_NEXT)
        return step;
    ret->cs_selector = (uint16_t)selector;
    if ((ret->flags & FLAG_VM) && size == 4 && cpu->regs.cpl == 0 && !cpu_long_mode(cpu))
        return cpu_stop_unimplemented(cpu, "IRET to virtual-8086 mode (APM vol 2, 8.8)");
    step = check_return_cs(cpu, ret);
    /* In 64-bit mode SS:RSP are always there, at any operand size. */
    ret->new_stack = ret->outer || cpu_long64(cpu);
    if (step != STEP_NEXT || !ret->new_stack)
        return step;
    step = stack_load(cpu, rsp + 3 * size, size, &ret->rsp);
    if (step == STEP_NEXT)
        step = stack_load(cpu, rsp + 4 * size, size, &selector);
    if (step == STEP_NEXT)
        ret->ss_selector = (uint16_t)selector;
    return step;
}

enum step insn_iret(struct vcpu *cpu, const struct insn *in)
{
    if (svm_intercepts(cpu, INTERCEPT_IRET)) /* before any exception: APM vol 2, 15.9 */
        return svm_vmexit_insn(cpu, VMEXIT_IRET, 0, 0, in->len);
    if (!cpu_protected(cpu))
        return real_far(cpu);
    if (cpu->rflags & FLAG_NT) {
        if (cpu_long_mode(cpu))
            return cpu_raise_code(cpu, EXC_GP, 0);
        return cpu_stop_unimplemented(cpu, "task switches (APM vol 2, 12.3)");
    }
    struct far_return ret = { 0 };
    enum step step = read_iret_frame(cpu, in->op_size, &ret);
    if (step == STEP_NEXT)
        step = finish_checks(cpu, &ret);
    if (step != STEP_NEXT)
        return step;

    uint64_t mask = iret_flags_mask(cpu, in->op_size);
    uint64_t flags = (cpu_rflags(cpu) & ~mask & ~(uint64_t)FLAG_RF) | (ret.flags & mask);
    commit_return(cpu, &ret, 3u * in->op_size);
    cpu_set_rflags(cpu, flags);
    cpu->trap_rule = TRAP_KEEP_RF;
    cpu->regs.nmi_masked = false; /* only an IRET that completes. APM vol 2, 8.1.3 "NMI" */
    cpu_attention(cpu);
    return STEP_JUMP;
}

/* --- INT n, INT3, INTO, INT1 --- */

enum step insn_int(struct vcpu *cpu, const struct insn *in)
{
    uint8_t vector = (uint8_t)in->imm;
    if (svm_intercepts(cpu, INTERCEPT_INTN)) /* before any exception: APM vol 2, 15.9 */
        return svm_vmexit_insn(cpu, VMEXIT_SWINT, decode_assist(cpu, vector), 0, in->len);
    return cpu_raise_soft(cpu, EVENT_SOFT, vector, in->len);
}

/* INT3 and INTO are caught by the exception intercepts 3 and 4, tested at delivery. */
enum step insn_int3(struct vcpu *cpu, const struct insn *in)
{
    return cpu_raise_soft(cpu, EVENT_EXCEPTION, EXC_BP, in->len);
}

enum step insn_into(struct vcpu *cpu, const struct insn *in)
{
    if (cpu_long64(cpu))
        return cpu_raise(cpu, EXC_UD);
    return flags_of(cpu) ? cpu_raise_soft(cpu, EVENT_EXCEPTION, EXC_OF, in->len) : STEP_NEXT;
}

enum step insn_int1(struct vcpu *cpu, const struct insn *in)
{
    if (svm_intercepts(cpu, INTERCEPT_ICEBP))
        return svm_vmexit_insn(cpu, VMEXIT_ICEBP, 0, 0, in->len);
    return cpu_raise_soft(cpu, EVENT_EXCEPTION, EXC_DB, in->len);
}

/* Delivery of one event through the IDT: the gate, the handler's code segment, and which flow goes on from there. */
#include "emu/cpu/delivery.h"

#include "emu/cpu/delivery_priv.h"
#include "emu/cpu/mem.h"
#include "emu/cpu/task.h"

#define ERROR_IDT 2u /* the selector index of an error code is a vector */

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
    /* CHOICE: task gates too; the chapter on tasks says that their DPL is not looked at (12.3.2 "Switching Tasks"). */
    if (event_is_software(d->event) && dpl < cpu->regs.cpl)
        return fault_vector(cpu, d, EXC_GP);
    if (!(raw >> 47 & 1))
        return fault_vector(cpu, d, EXC_NP);
    d->gate_type = (uint8_t)type;
    d->selector = (uint16_t)(raw >> 16);
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
    uint16_t selector = d->selector;
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
    if (cpu->mode == MODE_V86 && d->cpl != 0)
        return cpu_raise_code(cpu, EXC_GP, SELECTOR_CODE(selector));
    return STEP_NEXT;
}

void delivery_enter(struct vcpu *cpu, const struct delivery *d)
{
    uint64_t flags = cpu_rflags(cpu) & ~(uint64_t)(FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM);
    if (!(d->gate_type & 1)) /* interrupt gate */
        flags &= ~(uint64_t)FLAG_IF;
    cpu_set_rflags(cpu, flags);
    cpu->r[REG_RIP] = d->offset;
    segment_set_cs(cpu, &d->cs.seg, d->cpl);
}

/* --- the door --- */

static enum step through_task_gate(struct vcpu *cpu, const struct delivery *d)
{
    const struct task_switch how = { .cause = TASK_EVENT,
                                     .selector = d->selector,
                                     .return_eip = (uint32_t)d->return_rip,
                                     .rf = d->flags & FLAG_RF,
                                     .has_code = d->event->has_code,
                                     .code = d->event->code };
    return task_switch(cpu, &how);
}

static enum step protected_mode(struct vcpu *cpu, struct delivery *d)
{
    enum step step = read_gate(cpu, d);
    if (step == STEP_NEXT && d->gate_type == SYS_TASK_GATE)
        return through_task_gate(cpu, d);
    if (step == STEP_NEXT)
        step = read_code_segment(cpu, d);
    if (step != STEP_NEXT)
        return step;
    return cpu_long_mode(cpu) ? delivery_long(cpu, d) : delivery_legacy(cpu, d);
}

static enum step real_mode(struct vcpu *cpu, const struct delivery *d)
{
    if (d->event->vector * 4u + 3 > cpu->regs.idtr.limit)
        return cpu_raise_code(cpu, EXC_GP, 0);
    return delivery_real(cpu, d, (uint32_t)cpu->regs.idtr.base);
}

/* INT n that must not be executed has faulted before: what comes here forbidden was injected, and goes on to the IDT. */
static enum step v86_mode(struct vcpu *cpu, struct delivery *d)
{
    enum v86_route route = V86_TO_IDT;
    enum step step = STEP_NEXT;
    if (d->event->type == EVENT_SOFT)
        step = delivery_v86_route(cpu, d->event->vector, &route);
    if (step != STEP_NEXT)
        return step;
    return route == V86_TO_IVT ? delivery_real(cpu, d, 0) : protected_mode(cpu, d);
}

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
    struct delivery d = { .event = event, .return_rip = return_rip };
    enum step step;
    d.flags = (cpu_rflags(cpu) & ~(uint64_t)FLAG_RF) | (rf ? FLAG_RF : 0);
    if (!(cpu->regs.cr0 & CR0_PE))
        return real_mode(cpu, &d);
    step = cpu->mode == MODE_V86 ? v86_mode(cpu, &d) : protected_mode(cpu, &d);
    if (step == STEP_RAISED)
        add_ext(cpu, event);
    return step;
}

/* Delivery through a vector table of 8086 form: real mode, and INT n in virtual-8086 mode with CR4.VME.
 * APM vol 2, 8.6 "Real-Mode Interrupt Control Transfers", 8.8.2 "Virtual-8086 Handler Control Transfer", 8.10.1
 * "Virtual-8086-Mode Extensions". */
#include "emu/cpu/delivery_priv.h"

#include "emu/cpu/mem.h"
#include "emu/cpu/stack.h"

#define IRB_BYTES 32u /* the interrupt-redirection bitmap, just below the I/O bitmap */

/* One bit a vector; a TSS that cannot hold it forbids everything. */
static enum step read_redirection(struct vcpu *cpu, uint8_t vector, bool *to_idt)
{
    const struct segment *tr = &cpu->regs.seg[SEG_TR];
    bool tss32 = (tr->attr & SEG_ATTR_P) && (tr->attr & 8);
    uint64_t io_map, bits;
    if (!tss32 || tr->limit < 0x67)
        return cpu_raise_code(cpu, EXC_GP, 0);
    enum step step = mem_load_sys(cpu, (uint32_t)(tr->base + 0x66), 2, &io_map);
    if (step != STEP_NEXT)
        return step;
    uint64_t at = io_map - IRB_BYTES + vector / 8;
    if (at > tr->limit) /* also a bitmap below the TSS */
        return cpu_raise_code(cpu, EXC_GP, 0);
    step = mem_load_sys(cpu, (uint32_t)(tr->base + at), 1, &bits);
    if (step == STEP_NEXT)
        *to_idt = bits >> vector % 8 & 1;
    return step;
}

enum step delivery_v86_route(struct vcpu *cpu, uint8_t vector, enum v86_route *route)
{
    bool to_idt = true;
    if (cpu->regs.cr4 & CR4_VME) {
        enum step step = read_redirection(cpu, vector, &to_idt);
        if (step != STEP_NEXT)
            return step;
    }
    bool iopl3 = (cpu->rflags & FLAG_IOPL) == FLAG_IOPL;
    *route = !to_idt ? V86_TO_IVT : iopl3 ? V86_TO_IDT : V86_FORBIDDEN;
    return STEP_NEXT;
}

/* With IOPL < 3 the program's IF is VIF, in the image and afterwards. */
static bool has_virtual_if(const struct vcpu *cpu)
{
    return cpu->mode == MODE_V86 && (cpu->rflags & FLAG_IOPL) != FLAG_IOPL;
}

static uint64_t flags_image(const struct vcpu *cpu, const struct delivery *d)
{
    if (!has_virtual_if(cpu))
        return d->flags;
    uint64_t image = (d->flags & ~(uint64_t)FLAG_IF) | FLAG_IOPL;
    return d->flags & FLAG_VIF ? image | FLAG_IF : image;
}

/* CHOICE: AC is cleared too in real mode, as other x86 manuals say; this one names IF and TF alone. */
static uint64_t flags_after(struct vcpu *cpu)
{
    uint64_t cleared = FLAG_TF | FLAG_RF;
    cleared |= has_virtual_if(cpu) ? FLAG_VIF : FLAG_IF;
    if (!(cpu->regs.cr0 & CR0_PE))
        cleared |= FLAG_AC;
    return cpu_rflags(cpu) & ~cleared;
}

/* No error code is pushed. The table is read after the pushes, by the program itself in virtual-8086 mode. */
enum step delivery_real(struct vcpu *cpu, const struct delivery *d, uint32_t ivt)
{
    struct stack stack = stack_current(cpu);
    struct stack_frame frame;
    uint64_t entry;
    uint32_t at = ivt + 4u * d->event->vector;
    frame_init(&frame, 2);
    frame_push(&frame, flags_image(cpu, d));
    frame_push(&frame, cpu->regs.seg[SEG_CS].selector);
    frame_push(&frame, d->return_rip);
    enum step step = stack_reserve(cpu, &stack, &frame);
    if (step == STEP_NEXT)
        step = stack_write(cpu, &stack, &frame);
    if (step == STEP_NEXT)
        step = cpu->mode == MODE_V86 ? mem_load_la(cpu, at, 4, &entry)
                                     : mem_load_sys(cpu, at, 4, &entry);
    if (step != STEP_NEXT)
        return step;
    if ((entry & 0xffff) > cpu->regs.seg[SEG_CS].limit)
        return cpu_raise_code(cpu, EXC_GP, 0);

    cpu->r[REG_RSP] = stack_pointer_after(&stack, &frame);
    cpu_set_rflags(cpu, flags_after(cpu));
    cpu->r[REG_RIP] = entry & 0xffff;
    segment_load_real(cpu, SEG_CS, (uint16_t)(entry >> 16));
    cpu_update_mode(cpu);
    return STEP_NEXT;
}

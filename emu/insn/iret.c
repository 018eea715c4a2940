/* IRET. APM vol 3, "IRET, IRETD, IRETQ"; vol 2, 8.6, 8.7.5 and 8.9.5 "Returning From Interrupt Procedures", 8.8.1, 8.10
 * "Virtual Interrupts". */
#include "emu/cpu/task.h"
#include "emu/insn/far_priv.h"
#include "svm/vintr.h"

/* RIP, CS and RFLAGS from the stack. CHOICE: RFLAGS is read first, as on Zen 4: its fault comes before theirs. */
static enum step read_frame(struct vcpu *cpu, unsigned size, struct far_return *ret)
{
    uint64_t rsp = cpu->r[REG_RSP];
    enum step step = stack_load(cpu, rsp + 2 * size, size, &ret->flags);
    return step == STEP_NEXT ? far_pop_pointer(cpu, rsp, size, &ret->rip, &ret->cs_selector) : step;
}

static unsigned iopl(const struct vcpu *cpu)
{
    return (unsigned)(cpu->rflags & FLAG_IOPL) >> 12;
}

/* The image's flags where `mask` has ones; RF is cleared otherwise. */
static uint64_t merge_flags(struct vcpu *cpu, uint64_t image, uint64_t mask)
{
    return (cpu_rflags(cpu) & ~mask & ~(uint64_t)FLAG_RF) | (image & mask);
}

/* NMIs are unmasked only by an IRET that completes. APM vol 2, 8.1.3 "NMI". */
static enum step finish(struct vcpu *cpu)
{
    cpu->trap_rule = TRAP_KEEP_RF;
    svm_unmask_nmi(cpu);
    cpu_attention(cpu);
    return STEP_JUMP;
}

/* --- real and virtual-8086 mode --- */

static uint64_t always_loaded(unsigned size)
{
    uint64_t mask = FLAGS_STATUS | FLAG_TF | FLAG_DF | FLAG_NT;
    return size > 2 ? mask | FLAG_RF | FLAG_AC | FLAG_ID : mask;
}

/* With IOPL < 3 and CR4.VME the program's IF is VIF. APM vol 2, table 8-12. */
static enum step virtual_flags(struct vcpu *cpu, uint64_t image, uint64_t *flags)
{
    if ((image & FLAG_TF) || ((image & FLAG_IF) && (cpu->rflags & FLAG_VIP)))
        return cpu_raise_code(cpu, EXC_GP, 0);
    *flags = merge_flags(cpu, image, always_loaded(2)) & ~(uint64_t)FLAG_VIF;
    if (image & FLAG_IF)
        *flags |= FLAG_VIF;
    return STEP_NEXT;
}

/* VM, VIF and VIP stay, in virtual-8086 mode IOPL too. */
static enum step iret_real(struct vcpu *cpu, unsigned size)
{
    bool v86 = cpu->mode == MODE_V86, virtual_if = v86 && iopl(cpu) < 3;
    struct far_return ret = { 0 };
    uint64_t flags = 0;
    if (virtual_if && (!(cpu->regs.cr4 & CR4_VME) || size != 2))
        return cpu_raise_code(cpu, EXC_GP, 0);
    enum step step = read_frame(cpu, size, &ret);
    if (step == STEP_NEXT)
        step = far_return_check_real(cpu, &ret);
    if (step == STEP_NEXT && virtual_if)
        step = virtual_flags(cpu, ret.flags, &flags);
    if (step != STEP_NEXT)
        return step;
    if (!virtual_if)
        flags = merge_flags(cpu, ret.flags, always_loaded(size) | FLAG_IF | (v86 ? 0 : FLAG_IOPL));
    far_return_commit_real(cpu, &ret, 3 * size);
    cpu_set_rflags(cpu, flags);
    return finish(cpu);
}

/* --- from protected to virtual-8086 mode --- */

/* EIP, CS and EFLAGS were read; ESP, SS, ES, DS, FS and GS lie above. No descriptors, all flags. CHOICE: EIP is cut to 16
 * bits; other x86 manuals have #GP(0). */
static enum step iret_to_v86(struct vcpu *cpu, const struct far_return *ret)
{
    static const uint8_t segs[] = { SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS };
    uint64_t rsp = cpu->r[REG_RSP] + 12, esp, selector[sizeof(segs)];
    enum step step = stack_load(cpu, rsp, 4, &esp);
    for (unsigned i = 0; i < sizeof(segs) && step == STEP_NEXT; i++)
        step = stack_load(cpu, rsp + 4 + 4ull * i, 4, &selector[i]);
    struct shadow_return shadow;
    if (step == STEP_NEXT)
        step = shadow_return_check(cpu, &shadow, NULL, 3, 0, true);
    if (step == STEP_NEXT)
        step = shadow_return_commit(cpu, &shadow);
    if (step != STEP_NEXT)
        return step;
    cpu->regs.seg[SEG_CS] = segment_v86(ret->cs_selector);
    for (unsigned i = 0; i < sizeof(segs); i++)
        cpu->regs.seg[segs[i]] = segment_v86((uint16_t)selector[i]);
    cpu->regs.cpl = 3;
    cpu->r[REG_RIP] = ret->rip & 0xffff;
    cpu->r[REG_RSP] = esp;
    cpu_set_rflags(cpu, ret->flags);
    cpu_update_mode(cpu);
    return finish(cpu);
}

/* --- protected and long mode --- */

/* The flags that IRET loads, with the CPL before it. APM vol 3, "IRET". */
static uint64_t protected_mask(const struct vcpu *cpu, unsigned size)
{
    uint64_t mask = always_loaded(size);
    if (cpu->regs.cpl <= iopl(cpu))
        mask |= FLAG_IF;
    if (cpu->regs.cpl == 0)
        mask |= FLAG_IOPL | (size > 2 ? FLAG_VIF | FLAG_VIP : 0);
    return mask;
}

static enum step iret_protected(struct vcpu *cpu, unsigned size)
{
    struct far_return ret = { .iret = true };
    enum step step = read_frame(cpu, size, &ret);
    if (step != STEP_NEXT)
        return step;
    if ((ret.flags & FLAG_VM) && size == 4 && cpu->regs.cpl == 0 && !cpu_long_mode(cpu))
        return iret_to_v86(cpu, &ret);
    /* In 64-bit mode SS:RSP are always there, at any operand size. CHOICE: otherwise they are read as soon as the RPL tells of
     * another level, before the selector is looked at, as on Zen 4. */
    ret.new_stack = SELECTOR_RPL(ret.cs_selector) != cpu->regs.cpl || cpu_long64(cpu);
    if (ret.new_stack)
        step = far_pop_pointer(cpu, cpu->r[REG_RSP] + 3 * size, size, &ret.rsp, &ret.ss_selector);
    if (step == STEP_NEXT)
        step = far_return_check_cs(cpu, &ret);
    if (step == STEP_NEXT)
        step = far_return_finish(cpu, &ret);
    if (step != STEP_NEXT)
        return step;
    uint64_t flags = merge_flags(cpu, ret.flags, protected_mask(cpu, size));
    far_return_commit(cpu, &ret, 3 * size);
    cpu_set_rflags(cpu, flags);
    return finish(cpu);
}

/* NT = 1: back to the task that called. */
static enum step iret_task(struct vcpu *cpu, const struct insn *in)
{
    if (cpu_long_mode(cpu))
        return cpu_raise_code(cpu, EXC_GP, 0);
    enum step step = task_return(cpu, (uint32_t)(cpu_rip(cpu) + in->len));
    return step == STEP_NEXT ? STEP_JUMP : step;
}

enum step insn_iret(struct vcpu *cpu, const struct insn *in)
{
    if (svm_intercepts(cpu, INTERCEPT_IRET)) /* before any exception: APM vol 2, 15.9 */
        return svm_vmexit_insn(cpu, VMEXIT_IRET, 0, 0, in->len);
    if (!cpu_protected(cpu))
        return iret_real(cpu, in->op_size);
    return cpu->rflags & FLAG_NT ? iret_task(cpu, in) : iret_protected(cpu, in->op_size);
}

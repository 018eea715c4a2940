/* SYSCALL, SYSRET, SYSENTER, SYSEXIT. APM vol 3, chapters 3 and 4; vol 2, 6.1 "Fast System Call and Return". */
#include "emu/cpu/segment.h"
#include "emu/cpu/shadow_far.h"
#include "emu/insn/system_priv.h"

#define FLAT_CODE64 0xa9bu /* G, L, P, S, execute/read, accessed; DPL 0 */
#define FLAT_CODE32 0xc9bu
#define FLAT_DATA 0xc93u
#define DPL3 (3u << SEG_ATTR_DPL_SHIFT)

static struct segment flat(uint16_t selector, uint16_t attr)
{
    return (struct segment){ .selector = selector, .attr = attr, .limit = UINT32_MAX };
}

/* Flags that go through cpu_set_rflags(), and their consequences. */
static void load_flags(struct vcpu *cpu, uint64_t flags)
{
    cpu_set_rflags(cpu, flags);
    cpu_attention(cpu);
}

/* No descriptor is read; LSTAR and CSTAR are canonical by WRMSR. */
enum step insn_syscall(struct vcpu *cpu, const struct insn *in)
{
    if (!(cpu->regs.efer & EFER_SCE))
        return cpu_raise(cpu, EXC_UD);
    uint64_t star = cpu->msr.star, flags = cpu_rflags(cpu) & ~(uint64_t)FLAG_RF;
    uint16_t selector = (uint16_t)(star >> 32);
    if (shadow_far_active(cpu))
        shadow_syscall(cpu);
    bool long_mode = cpu_long_mode(cpu);
    if (long_mode) {
        cpu->r[REG_RCX] = cpu_rip(cpu) + in->len;
        if (!cpu_long64(cpu))
            cpu->r[REG_RCX] = (uint32_t)cpu->r[REG_RCX];
        cpu->r[REG_R11] = flags;
        cpu->r[REG_RIP] = cpu_long64(cpu) ? cpu->msr.lstar : cpu->msr.cstar;
        flags &= ~cpu->msr.sfmask;
    } else {
        cpu->r[REG_RCX] = (uint32_t)(cpu_rip(cpu) + in->len);
        cpu->r[REG_RIP] = (uint32_t)star;
        flags &= ~(uint64_t)(FLAG_IF | FLAG_VM);
    }
    load_flags(cpu, flags);
    struct segment cs = flat(selector, long_mode ? FLAT_CODE64 : FLAT_CODE32);
    cpu->regs.seg[SEG_SS] = flat((uint16_t)(selector + 8), FLAT_DATA);
    segment_set_cs(cpu, &cs, 0);
    cpu->trap_rule = TRAP_BY_RESULT;
    return STEP_JUMP;
}

/* RCX is not tested: a non-canonical RIP faults at the target, at level 3. Of SS only the selector changes. */
enum step insn_sysret(struct vcpu *cpu, const struct insn *in)
{
    if (!(cpu->regs.efer & EFER_SCE))
        return cpu_raise(cpu, EXC_UD);
    if (!cpu_protected(cpu) || cpu->regs.cpl != 0)
        return cpu_raise_code(cpu, EXC_GP, 0);
    uint16_t selector = (uint16_t)(cpu->msr.star >> 48);
    bool to_64bit = cpu_long64(cpu) && (in->prefixes & PREFIX_REXW);
    struct segment cs = to_64bit ? flat((uint16_t)(selector + 16), FLAT_CODE64 | DPL3)
                                 : flat(selector, FLAT_CODE32 | DPL3);
    /* CHOICE: flags come from R11 in 64-bit mode only, as the manual's pseudo-code has it. */
    if (cpu_long64(cpu))
        load_flags(cpu, cpu->r[REG_R11] & ~(uint64_t)(FLAG_RF | FLAG_VM));
    else
        load_flags(cpu, (cpu_rflags(cpu) | FLAG_IF) & ~(uint64_t)FLAG_RF);
    if (shadow_far_active(cpu))
        shadow_sysret(cpu);
    cpu->r[REG_RIP] = to_64bit ? cpu->r[REG_RCX] : (uint32_t)cpu->r[REG_RCX];
    cpu->regs.seg[SEG_SS].selector = (uint16_t)(selector + 8);
    segment_set_cs(cpu, &cs, 3);
    cpu->trap_rule = TRAP_BY_RESULT;
    return STEP_JUMP;
}

/* SYSENTER and SYSEXIT are #UD in long mode. */
static enum step check_sysenter(struct vcpu *cpu)
{
    if (cpu_long_mode(cpu))
        return cpu_raise(cpu, EXC_UD);
    if (!(cpu->regs.cr0 & CR0_PE) || SELECTOR_CODE(cpu->msr.sysenter_cs) == 0)
        return cpu_raise_code(cpu, EXC_GP, 0);
    return STEP_NEXT;
}

enum step insn_sysenter(struct vcpu *cpu, const struct insn *in)
{
    (void)in;
    enum step step = check_sysenter(cpu);
    if (step != STEP_NEXT)
        return step;
    uint16_t selector = (uint16_t)SELECTOR_CODE(cpu->msr.sysenter_cs);
    if (shadow_far_active(cpu))
        shadow_syscall(cpu);
    load_flags(cpu, cpu_rflags(cpu) & ~(uint64_t)(FLAG_VM | FLAG_IF | FLAG_RF));
    struct segment cs = flat(selector, FLAT_CODE32);
    cpu->regs.seg[SEG_SS] = flat((uint16_t)(selector + 8), FLAT_DATA);
    cpu->r[REG_RSP] = (uint32_t)cpu->msr.sysenter_esp;
    cpu->r[REG_RIP] = (uint32_t)cpu->msr.sysenter_eip;
    segment_set_cs(cpu, &cs, 0);
    return STEP_JUMP;
}

enum step insn_sysexit(struct vcpu *cpu, const struct insn *in)
{
    (void)in;
    enum step step = check_sysenter(cpu);
    if (step != STEP_NEXT)
        return step;
    if (cpu->regs.cpl != 0)
        return cpu_raise_code(cpu, EXC_GP, 0);
    uint16_t selector = (uint16_t)SELECTOR_CODE(cpu->msr.sysenter_cs);
    struct segment cs = flat((uint16_t)(selector + 16), FLAT_CODE32 | DPL3);
    cpu->regs.seg[SEG_SS] = flat((uint16_t)((selector + 24) | 3), FLAT_DATA | DPL3);
    if (shadow_far_active(cpu))
        shadow_sysret(cpu);
    cpu->r[REG_RSP] = (uint32_t)cpu->r[REG_RCX];
    cpu->r[REG_RIP] = (uint32_t)cpu->r[REG_RDX];
    segment_set_cs(cpu, &cs, 3);
    return STEP_JUMP;
}

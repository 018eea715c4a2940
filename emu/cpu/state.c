/* CPU state: flags, mode, reset. */
#include "emu/cpu/state.h"

#include "emu/cpu/flags.h"

#include <string.h>

uint32_t flags_status(const struct vcpu *cpu)
{
    if (cpu->flags_kind == FLAGS_MATERIAL)
        return (uint32_t)cpu->rflags & FLAGS_STATUS;
    uint32_t af = flags_af(cpu) ? FLAG_AF : 0;
    return (flags_cf(cpu) ? FLAG_CF : 0) | (flags_pf(cpu) ? FLAG_PF : 0) | af |
           (flags_zf(cpu) ? FLAG_ZF : 0) | (flags_sf(cpu) ? FLAG_SF : 0) |
           (flags_of(cpu) ? FLAG_OF : 0);
}

uint64_t cpu_rflags(struct vcpu *cpu)
{
    uint32_t status = flags_status(cpu);
    cpu->rflags = (cpu->rflags & ~(uint64_t)FLAGS_STATUS) | status | 2;
    cpu->flags_kind = FLAGS_MATERIAL;
    return cpu->rflags;
}

void cpu_set_rflags(struct vcpu *cpu, uint64_t rflags)
{
    uint64_t old = cpu->rflags;
    cpu->rflags = (rflags & FLAGS_WRITABLE) | 2;
    cpu->flags_kind = FLAGS_MATERIAL;
    if ((old ^ cpu->rflags) & (FLAG_AC | FLAG_VM))
        cpu_update_mode(cpu);
}

void cpu_update_mode(struct vcpu *cpu)
{
    const struct cpu_regs *regs = &cpu->regs;
    uint16_t cs = regs->seg[SEG_CS].attr;
    if (!(regs->cr0 & CR0_PE))
        cpu->mode = cs & SEG_ATTR_DB ? MODE_REAL32 : MODE_REAL;
    else if (cpu->rflags & FLAG_VM)
        cpu->mode = MODE_V86;
    else if (!(regs->efer & EFER_LMA))
        cpu->mode = cs & SEG_ATTR_DB ? MODE_PROT32 : MODE_PROT16;
    else if (cs & SEG_ATTR_L)
        cpu->mode = MODE_LONG64;
    else
        cpu->mode = cs & SEG_ATTR_DB ? MODE_COMPAT32 : MODE_COMPAT16;
    cpu->context_stale = true;
    cpu->ready = 0; /* a world switch need not know: the first instruction that asks does */
}

void cpu_update_fp(struct vcpu *cpu)
{
    const struct cpu_regs *regs = &cpu->regs;
    const uint64_t avx = XCR0_SSE | XCR0_AVX;
    bool ts = regs->cr0 & CR0_TS, em = regs->cr0 & CR0_EM;
    uint8_t ready = cpu->ready & READY_LOCK;
    if (!em && !ts)
        ready |= READY_CONTROL | (cpu->x87.fsw & FSW_ES ? 0 : READY_X87 | READY_MMX) |
                 (regs->cr4 & CR4_OSFXSR ? READY_SSE : 0);
    if (!ts && (regs->cr4 & CR4_OSXSAVE) && (cpu->simd.xcr0 & avx) == avx && cpu_protected(cpu))
        ready |= READY_AVX;
    cpu->ready = ready;
    if (EMU_UNLIKELY(cpu->ferr.asserted) && !(cpu->x87.fsw & FSW_ES))
        cpu->ferr.asserted = cpu->pins.ignne = false; /* FERR# falls, and a PC's IGNNE# with it */
}

/* CHOICE: segments are accessed, and TR is a busy 32-bit TSS, as on the machines we are compatible with. Table 14-2 has the
 * accessed bits clear and a busy 16-bit TSS. */
static struct segment reset_segment(uint16_t attr)
{
    return (struct segment){ .attr = attr, .limit = 0xffff };
}

void cpu_reset(struct vcpu *cpu)
{
    memset(cpu->r, 0, sizeof(cpu->r));
    cpu->r[REG_RIP] = 0xfff0;
    cpu->rflags = 2;
    cpu->flags_kind = FLAGS_MATERIAL;
    cpu->regs = (struct cpu_regs){ .cr0 = CR0_CD | CR0_NW | CR0_ET };
    cpu->regs.dr[6] = 0xffff0ff0;
    cpu->regs.dr[7] = 0x400;
    for (int i = 0; i < SEG_LDTR; i++)
        cpu->regs.seg[i] = reset_segment(0x093);
    cpu->regs.seg[SEG_CS] =
        (struct segment){ .selector = 0xf000, .attr = 0x09b, .limit = 0xffff, .base = 0xffff0000 };
    cpu->regs.seg[SEG_LDTR] = reset_segment(0x082);
    cpu->regs.seg[SEG_TR] = reset_segment(0x08b);
    cpu->regs.gdtr.limit = cpu->regs.idtr.limit = 0xffff;
    cpu->msr = (struct cpu_msrs){ .pat = 0x0007040600070406, .misc_enable = 1 };
    cpu->shadow = (struct shadow_stacks){ 0 };
    cpu->x87 = (struct cpu_x87){ .fcw = FCW_FIXED, .used = 0xff }; /* all registers +0.0 */
    memset(&cpu->simd, 0, sizeof(cpu->simd));
    cpu->simd.mxcsr = MXCSR_RESET;
    cpu->simd.xcr0 = XCR0_X87;
    cpu->pins = (struct cpu_pins){ 0 };
    cpu->monitor = (struct cpu_monitor){ 0 };
    cpu->ferr.frozen = false;
    cpu->io_trap = (struct cpu_io_trap){ 0 };
    cpu->raised = (struct raised){ 0 };
    cpu->delivering = (struct event){ 0 };
    cpu->left = 0;
    cpu_update_mode(cpu);
    cpu_update_fp(cpu);
}

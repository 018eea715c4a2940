/* Segment registers and descriptors: MOV, PUSH and POP of Sreg, Lxx, SWAPGS, FS and GS bases, LAR, LSL, VERR, VERW,
 * ARPL. APM vol 3, chapter 3; vol 2, chapter 4 "Segmented Virtual Memory". */
#include "emu/cpu/segment.h"
#include "emu/insn/system_priv.h"

#include <Zydis/Mnemonic.h>

/* --- loads and stores --- */

/* Load, and start the interrupt shadow of MOV SS and POP SS. */
static enum step load_with_shadow(struct vcpu *cpu, enum seg seg, uint16_t selector)
{
    enum step step = segment_load(cpu, seg, selector);
    if (step != STEP_NEXT || seg != SEG_SS)
        return step;
    cpu->regs.shadow_next = true;
    cpu->trap_rule = TRAP_HOLD;
    return STEP_LEAVE;
}

/* 8C: MOV r/m, Sreg (memory: always 2 bytes; registers: zero-extended). 8E: MOV Sreg, r/m. */
enum step insn_mov_seg(struct vcpu *cpu, const struct insn *in)
{
    if (in->op[1].kind == OPERAND_SEG)
        return operand_write(cpu, in, 0, cpu->regs.seg[in->op[1].reg].selector);
    enum seg seg = (enum seg)in->op[0].reg;
    uint64_t selector;
    if (seg == SEG_CS || seg > SEG_GS)
        return cpu_raise(cpu, EXC_UD);
    enum step step = operand_read(cpu, in, 1, &selector);
    return step == STEP_NEXT ? load_with_shadow(cpu, seg, (uint16_t)selector) : step;
}

/* CHOICE: as AMD parts do, the whole operand is written, zero-extended. */
enum step insn_push_seg(struct vcpu *cpu, const struct insn *in)
{
    return stack_push(cpu, in->op_size, cpu->regs.seg[in->op[0].reg].selector);
}

enum step insn_pop_seg(struct vcpu *cpu, const struct insn *in)
{
    uint64_t old = cpu->r[REG_RSP], selector;
    /* The width of the stack before SS changes is the one that counts. */
    enum step step = stack_pop(cpu, in->op_size, &selector);
    if (step != STEP_NEXT)
        return step;
    step = load_with_shadow(cpu, (enum seg)in->op[0].reg, (uint16_t)selector);
    if (step != STEP_NEXT && step != STEP_LEAVE)
        cpu->r[REG_RSP] = old;
    return step;
}

/* LDS, LES, LFS, LGS, LSS: offset, then selector. LSS starts no shadow. */
enum step insn_load_far(struct vcpu *cpu, const struct insn *in)
{
    enum seg to, seg = (enum seg)in->seg;
    switch (in->mnemonic) {
    case ZYDIS_MNEMONIC_LDS: to = SEG_DS; break;
    case ZYDIS_MNEMONIC_LES: to = SEG_ES; break;
    case ZYDIS_MNEMONIC_LFS: to = SEG_FS; break;
    case ZYDIS_MNEMONIC_LGS: to = SEG_GS; break;
    default: to = SEG_SS; break;
    }
    uint64_t at = mem_offset(cpu, in), offset, selector;
    enum step step = mem_load(cpu, seg, at, in->op_size, &offset);
    if (step == STEP_NEXT)
        step = mem_load(cpu, seg, (at + in->op_size) & size_mask(in->addr_size), 2, &selector);
    if (step == STEP_NEXT)
        step = segment_load(cpu, to, (uint16_t)selector);
    if (step == STEP_NEXT)
        reg_write(cpu, in->op[0].reg, in->op[0].size, offset);
    return step;
}

/* --- bases --- */

enum step insn_swapgs(struct vcpu *cpu, const struct insn *in)
{
    (void)in; /* no operands */
    if (!cpu_long64(cpu))
        return cpu_raise(cpu, EXC_UD);
    if (cpu->regs.cpl != 0)
        return cpu_raise_code(cpu, EXC_GP, 0);
    uint64_t base = cpu->regs.seg[SEG_GS].base;
    cpu->regs.seg[SEG_GS].base = cpu->msr.kernel_gs_base;
    cpu->msr.kernel_gs_base = base;
    return STEP_NEXT;
}

/* RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE. */
enum step insn_fsgsbase(struct vcpu *cpu, const struct insn *in)
{
    bool fs = in->mnemonic == ZYDIS_MNEMONIC_RDFSBASE || in->mnemonic == ZYDIS_MNEMONIC_WRFSBASE;
    bool write = in->mnemonic == ZYDIS_MNEMONIC_WRFSBASE || in->mnemonic == ZYDIS_MNEMONIC_WRGSBASE;
    uint64_t *base = &cpu->regs.seg[fs ? SEG_FS : SEG_GS].base;
    if (!cpu_long64(cpu) || !(cpu->regs.cr4 & CR4_FSGSBASE))
        return cpu_raise(cpu, EXC_UD);
    if (!write) {
        reg_write(cpu, in->op[0].reg, in->op[0].size, *base);
        return STEP_NEXT;
    }
    uint64_t value = reg_read(cpu, in->op[0].reg, in->op[0].size);
    if (!paging_is_canonical(value, cpu->regs.cr4 & CR4_LA57)) /* not as WRMSR: seen on Zen 4 */
        return cpu_raise_code(cpu, EXC_GP, 0);
    *base = value;
    return STEP_NEXT;
}

/* --- LAR, LSL, VERR, VERW: never a fault for the selector, only ZF --- */

#define TYPES_LAR_LEGACY 0x1a3eu /* 1-5, 9, Bh, Ch */
#define TYPES_LAR_LONG 0x1a04u   /* 2, 9, Bh, Ch */
#define TYPES_LSL_LEGACY 0x0a0eu /* 1-3, 9, Bh */
#define TYPES_LSL_LONG 0x0a04u   /* 2, 9, Bh */

/* Read the descriptor of a selector if it may be looked at. *found says so; other faults are real (#PF). */
static enum step look_at(struct vcpu *cpu, const struct insn *in, unsigned n, uint32_t system_types,
                         struct descriptor *d, bool *found)
{
    uint64_t value;
    *found = false;
    enum step step = operand_read(cpu, in, n, &value);
    if (step != STEP_NEXT)
        return step;
    uint16_t selector = (uint16_t)value;
    if (selector_is_null(selector) || !descriptor_in_table(cpu, selector, 8, &d->la))
        return STEP_NEXT;
    step = mem_load_sys(cpu, d->la, 8, &d->raw);
    if (step != STEP_NEXT)
        return step;
    d->seg = segment_unpack(selector, d->raw);
    if (!(d->seg.attr & SEG_ATTR_S) && !(system_types >> (d->seg.attr & SEG_ATTR_TYPE) & 1))
        return STEP_NEXT;
    unsigned dpl = segment_dpl(&d->seg);
    *found =
        segment_is_conforming(&d->seg) || (dpl >= cpu->regs.cpl && dpl >= SELECTOR_RPL(selector));
    return STEP_NEXT;
}

static void set_zf(struct vcpu *cpu, bool zf)
{
    flags_set_material(cpu, (flags_status(cpu) & ~FLAG_ZF) | (zf ? FLAG_ZF : 0));
}

enum step insn_lar(struct vcpu *cpu, const struct insn *in)
{
    if (!cpu_protected(cpu))
        return cpu_raise(cpu, EXC_UD);
    struct descriptor d;
    bool found;
    enum step step =
        look_at(cpu, in, 1, cpu_long_mode(cpu) ? TYPES_LAR_LONG : TYPES_LAR_LEGACY, &d, &found);
    if (step != STEP_NEXT)
        return step;
    if (found) /* CHOICE: bits 19:16, undefined, are those of the limit, as on Zen 4 */
        reg_write(cpu, in->op[0].reg, in->op[0].size, d.raw >> 32 & 0x00ffff00);
    set_zf(cpu, found);
    return STEP_NEXT;
}

enum step insn_lsl(struct vcpu *cpu, const struct insn *in)
{
    if (!cpu_protected(cpu))
        return cpu_raise(cpu, EXC_UD);
    struct descriptor d;
    bool found;
    enum step step =
        look_at(cpu, in, 1, cpu_long_mode(cpu) ? TYPES_LSL_LONG : TYPES_LSL_LEGACY, &d, &found);
    if (step != STEP_NEXT)
        return step;
    if (found)
        reg_write(cpu, in->op[0].reg, in->op[0].size, d.seg.limit);
    set_zf(cpu, found);
    return STEP_NEXT;
}

enum step insn_verr_verw(struct vcpu *cpu, const struct insn *in)
{
    if (!cpu_protected(cpu))
        return cpu_raise(cpu, EXC_UD);
    struct descriptor d;
    bool found;
    enum step step = look_at(cpu, in, 0, 0, &d, &found);
    if (step != STEP_NEXT)
        return step;
    if (found && in->mnemonic == ZYDIS_MNEMONIC_VERW)
        found = segment_is_writable_data(&d.seg);
    else if (found && segment_is_code(&d.seg))
        found = d.seg.attr & TYPE_WRITABLE; /* readable code */
    set_zf(cpu, found);
    return STEP_NEXT;
}

/* ARPL r/m16, r16, where 64-bit mode has MOVSXD: the destination's RPL is raised to the source's, ZF says so. CHOICE: it is
 * read, and written only if it changes, as on Zen 4: a read-only destination may do. */
enum step insn_arpl(struct vcpu *cpu, const struct insn *in)
{
    if (!cpu_protected(cpu))
        return cpu_raise(cpu, EXC_UD);
    uint64_t to, from = reg_read(cpu, in->op[1].reg, 2);
    enum step step = operand_read(cpu, in, 0, &to);
    bool raise = step == STEP_NEXT && SELECTOR_RPL(to) < SELECTOR_RPL(from);
    if (raise)
        step = operand_write(cpu, in, 0, (to & ~3ull) | SELECTOR_RPL(from));
    if (step == STEP_NEXT)
        set_zf(cpu, raise);
    return step;
}

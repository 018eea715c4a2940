/* Descriptor-table registers: LGDT, LIDT, SGDT, SIDT, LLDT, LTR, SLDT, STR. APM vol 3, chapter 4 "System Instruction
 * Reference"; vol 2, 4.6 "Descriptor Tables". */
#include "emu/cpu/control.h"
#include "emu/cpu/segment.h"
#include "emu/cpu/stack.h"
#include "emu/insn/system_priv.h"

#include <Zydis/Mnemonic.h>

/* --- GDTR and IDTR --- */

/* LGDT, LIDT: in 64-bit mode always 2 + 8 bytes, else 2 + 4, of which a 16-bit operand size uses 3. */
enum step insn_load_table(struct vcpu *cpu, const struct insn *in)
{
    bool gdt = in->mnemonic == ZYDIS_MNEMONIC_LGDT;
    if (cpu->regs.cpl != 0)
        return cpu_raise_code(cpu, EXC_GP, 0);
    if (svm_intercepts(cpu, gdt ? INTERCEPT_GDTR_WRITE : INTERCEPT_IDTR_WRITE))
        return svm_vmexit_insn(cpu, gdt ? VMEXIT_GDTR_WRITE : VMEXIT_IDTR_WRITE, 0, 0, in->len);
    uint64_t at = mem_offset(cpu, in), limit, base;
    enum seg seg = (enum seg)in->seg;
    enum step step = mem_load(cpu, seg, at, 2, &limit);
    if (step == STEP_NEXT)
        step =
            mem_load(cpu, seg, (at + 2) & size_mask(in->addr_size), cpu_long64(cpu) ? 8 : 4, &base);
    if (step != STEP_NEXT)
        return step;
    if (cpu_long64(cpu) && !cpu_base_canonical(cpu, base))
        return cpu_raise_code(cpu, EXC_GP, 0);
    if (!cpu_long64(cpu) && in->op_size == 2)
        base &= 0xffffff;
    struct table_register *table = gdt ? &cpu->regs.gdtr : &cpu->regs.idtr;
    table->limit = (uint16_t)limit;
    table->base = base;
    return STEP_NEXT;
}

/* Both stores must be possible before the first is made. */
static enum step check_store(struct vcpu *cpu, const struct insn *in, unsigned bytes)
{
    uint64_t la;
    enum step step =
        mem_linear(cpu, (enum seg)in->seg, mem_offset(cpu, in), bytes, ACCESS_WRITE, &la);
    return step == STEP_NEXT ? stack_check(cpu, la, bytes, false) : step;
}

/* SGDT, SIDT. CHOICE: a 16-bit operand size stores all 32 bits of the base, as AMD parts do. */
enum step insn_store_table(struct vcpu *cpu, const struct insn *in)
{
    bool gdt = in->mnemonic == ZYDIS_MNEMONIC_SGDT;
    if (umip_forbids(cpu))
        return cpu_raise_code(cpu, EXC_GP, 0);
    if (svm_intercepts(cpu, gdt ? INTERCEPT_GDTR_READ : INTERCEPT_IDTR_READ))
        return svm_vmexit_insn(cpu, gdt ? VMEXIT_GDTR_READ : VMEXIT_IDTR_READ, 0, 0, in->len);
    const struct table_register *table = gdt ? &cpu->regs.gdtr : &cpu->regs.idtr;
    unsigned base_bytes = cpu_long64(cpu) ? 8 : 4;
    uint64_t at = mem_offset(cpu, in);
    enum seg seg = (enum seg)in->seg;
    enum step step = check_store(cpu, in, 2 + base_bytes);
    if (step == STEP_NEXT)
        step = mem_store(cpu, seg, at, 2, table->limit);
    if (step == STEP_NEXT)
        step = mem_store(cpu, seg, (at + 2) & size_mask(in->addr_size), base_bytes,
                         table->base & size_mask(base_bytes));
    return step;
}

/* --- LDTR and TR --- */

/* SLDT, STR: memory takes 2 bytes, a register the zero-extended selector. */
enum step insn_store_selector(struct vcpu *cpu, const struct insn *in)
{
    bool ldt = in->mnemonic == ZYDIS_MNEMONIC_SLDT;
    if (!cpu_protected(cpu))
        return cpu_raise(cpu, EXC_UD);
    if (umip_forbids(cpu))
        return cpu_raise_code(cpu, EXC_GP, 0);
    if (svm_intercepts(cpu, ldt ? INTERCEPT_LDTR_READ : INTERCEPT_TR_READ))
        return svm_vmexit_insn(cpu, ldt ? VMEXIT_LDTR_READ : VMEXIT_TR_READ, 0, 0, in->len);
    uint16_t selector = cpu->regs.seg[ldt ? SEG_LDTR : SEG_TR].selector;
    if (in->op[0].kind == OPERAND_MEM)
        return mem_store(cpu, (enum seg)in->seg, mem_offset(cpu, in), 2, selector);
    reg_write(cpu, in->op[0].reg, in->op[0].size, selector);
    return STEP_NEXT;
}

/* The selector of LLDT and LTR: 16 bits, whatever the operand's form. */
static enum step read_selector(struct vcpu *cpu, const struct insn *in, uint16_t *selector)
{
    uint64_t value;
    enum step step = in->op[0].kind == OPERAND_MEM
                         ? mem_load(cpu, (enum seg)in->seg, mem_offset(cpu, in), 2, &value)
                         : operand_read(cpu, in, 0, &value);
    if (step == STEP_NEXT)
        *selector = (uint16_t)value;
    return step;
}

/* A system descriptor in the GDT. */
static enum step read_system(struct vcpu *cpu, uint16_t selector, struct descriptor *d)
{
    if (selector & 4)
        return cpu_raise_code(cpu, EXC_GP, SELECTOR_CODE(selector));
    return descriptor_read(cpu, selector, EXC_GP, d);
}

enum step insn_lldt(struct vcpu *cpu, const struct insn *in)
{
    if (!cpu_protected(cpu))
        return cpu_raise(cpu, EXC_UD);
    if (cpu->regs.cpl != 0)
        return cpu_raise_code(cpu, EXC_GP, 0);
    if (svm_intercepts(cpu, INTERCEPT_LDTR_WRITE))
        return svm_vmexit_insn(cpu, VMEXIT_LDTR_WRITE, 0, 0, in->len);
    uint16_t selector;
    struct descriptor d;
    enum step step = read_selector(cpu, in, &selector);
    if (step != STEP_NEXT)
        return step;
    if (selector_is_null(selector)) {
        cpu->regs.seg[SEG_LDTR].selector = selector;
        cpu->regs.seg[SEG_LDTR].attr = 0;
        return STEP_NEXT;
    }
    step = read_system(cpu, selector, &d);
    if (step != STEP_NEXT)
        return step;
    if ((d.seg.attr & (SEG_ATTR_S | SEG_ATTR_TYPE)) != SYS_LDT)
        return cpu_raise_code(cpu, EXC_GP, SELECTOR_CODE(selector));
    if (!(d.seg.attr & SEG_ATTR_P))
        return cpu_raise_code(cpu, EXC_NP, SELECTOR_CODE(selector));
    step = descriptor_extend(cpu, &d);
    if (step == STEP_NEXT)
        cpu->regs.seg[SEG_LDTR] = d.seg;
    return step;
}

enum step insn_ltr(struct vcpu *cpu, const struct insn *in)
{
    if (!cpu_protected(cpu))
        return cpu_raise(cpu, EXC_UD);
    if (cpu->regs.cpl != 0)
        return cpu_raise_code(cpu, EXC_GP, 0);
    if (svm_intercepts(cpu, INTERCEPT_TR_WRITE))
        return svm_vmexit_insn(cpu, VMEXIT_TR_WRITE, 0, 0, in->len);
    uint16_t selector;
    struct descriptor d;
    enum step step = read_selector(cpu, in, &selector);
    if (step != STEP_NEXT)
        return step;
    if (selector_is_null(selector))
        return cpu_raise_code(cpu, EXC_GP, 0);
    step = read_system(cpu, selector, &d);
    if (step != STEP_NEXT)
        return step;
    unsigned type = d.seg.attr & (SEG_ATTR_S | SEG_ATTR_TYPE);
    if (type != SYS_TSS && !(type == SYS_TSS16 && !cpu_long_mode(cpu)))
        return cpu_raise_code(cpu, EXC_GP, SELECTOR_CODE(selector));
    if (!(d.seg.attr & SEG_ATTR_P))
        return cpu_raise_code(cpu, EXC_NP, SELECTOR_CODE(selector));
    step = descriptor_extend(cpu, &d);
    if (step == STEP_NEXT)
        step = descriptor_mark(cpu, &d, 2); /* busy */
    if (step == STEP_NEXT)
        cpu->regs.seg[SEG_TR] = d.seg;
    return step;
}

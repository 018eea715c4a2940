/* MOV to and from CRn and DRn, SMSW, LMSW, CLTS. APM vol 3, chapter 4; vol 2, 3.1 "System-Control Registers", 15.9
 * "Instruction Intercepts" for the places of the intercepts. */
#include "emu/cpu/control.h"
#include "emu/cpu/debug.h"
#include "emu/insn/system_priv.h"

/* EXITINFO1 of a MOV to or from CRn. APM vol 2, 15.8.1 "MOV CRx/DRx Intercepts". */
static uint64_t cr_info(const struct vcpu *cpu, unsigned gpr)
{
    return decode_assist(cpu, 1ull << 63 | gpr);
}

static bool cr_exists(unsigned n)
{
    return n == 0 || n == 2 || n == 3 || n == 4 || n == 8;
}

static enum step read_cr(struct vcpu *cpu, const struct insn *in, unsigned n, unsigned gpr)
{
    if (svm_intercepts(cpu, INTERCEPT_CR0_READ + n))
        return svm_vmexit_insn(cpu, VMEXIT_CR0_READ + n, cr_info(cpu, gpr), 0, in->len);
    uint64_t value;
    switch (n) {
    case 0: value = cpu->regs.cr0; break;
    case 2: value = cpu->regs.cr2; break;
    case 3: value = cpu->regs.cr3; break;
    case 4: value = cpu->regs.cr4; break;
    default: value = control_cr8(cpu); break;
    }
    reg_write(cpu, gpr * 8, cpu_long64(cpu) ? 8 : 4, value);
    return STEP_NEXT;
}

static bool cr_value_ok(const struct vcpu *cpu, unsigned n, uint64_t value)
{
    switch (n) {
    case 0: return control_cr0_ok(cpu, value);
    case 3: return control_cr3_ok(cpu, value);
    case 4: return control_cr4_ok(cpu, value);
    case 8: return value >> 4 == 0;
    default: return true;
    }
}

/* CR0's selective intercept: a bit other than TS and MP changes. Bits that do not exist never do. */
static bool cr0_selected(const struct vcpu *cpu, uint64_t value)
{
    uint64_t counted = CR0_DEFINED & ~(uint64_t)(CR0_TS | CR0_MP | CR0_ET);
    return (cpu->regs.cr0 ^ value) & counted;
}

static enum step write_cr(struct vcpu *cpu, const struct insn *in, unsigned n, unsigned gpr)
{
    uint64_t value = reg_read(cpu, gpr * 8, cpu_long64(cpu) ? 8 : 4);
    if (!cr_value_ok(cpu, n, value))
        return cpu_raise_code(cpu, EXC_GP, 0);
    if (svm_intercepts(cpu, INTERCEPT_CR0_WRITE + n))
        return svm_vmexit_insn(cpu, VMEXIT_CR0_WRITE + n, cr_info(cpu, gpr), 0, in->len);
    if (n == 0 && svm_intercepts(cpu, INTERCEPT_CR0_SEL_WRITE) && cr0_selected(cpu, value))
        return svm_vmexit_insn(cpu, VMEXIT_CR0_SEL_WRITE, cr_info(cpu, gpr), 0, in->len);
    switch (n) {
    case 0: control_set_cr0(cpu, value); break;
    case 2: cpu->regs.cr2 = value; break;
    case 3: control_set_cr3(cpu, value); break;
    case 4: control_set_cr4(cpu, value); break;
    default: control_set_cr8(cpu, (uint8_t)value); break;
    }
    return STEP_LEAVE;
}

enum step insn_mov_cr(struct vcpu *cpu, const struct insn *in)
{
    bool write = in->op[0].kind == OPERAND_CR;
    unsigned n = in->op[write ? 0 : 1].reg, gpr = in->op[write ? 1 : 0].reg / 8;
    if (!cr_exists(n))
        return cpu_raise(cpu, EXC_UD);
    if (cpu->regs.cpl != 0)
        return cpu_raise_code(cpu, EXC_GP, 0);
    return write ? write_cr(cpu, in, n, gpr) : read_cr(cpu, in, n, gpr);
}

/* CHOICE: DR7.GD before the privilege check, as the manual's "any privilege level" reads. APM vol 2, 13.1.1.4. */
enum step insn_mov_dr(struct vcpu *cpu, const struct insn *in)
{
    bool write = in->op[0].kind == OPERAND_DR;
    unsigned n = in->op[write ? 0 : 1].reg, gpr = in->op[write ? 1 : 0].reg / 8;
    unsigned size = cpu_long64(cpu) ? 8 : 4;
    if (n > 7 || ((n == 4 || n == 5) && (cpu->regs.cr4 & CR4_DE)))
        return cpu_raise(cpu, EXC_UD);
    if (cpu->regs.dr[7] & DR7_GD)
        return cpu_raise_debug(cpu, DR6_BD);
    if (cpu->regs.cpl != 0)
        return cpu_raise_code(cpu, EXC_GP, 0);
    uint64_t value = reg_read(cpu, gpr * 8, size);
    if (write && !debug_dr_ok(n, value))
        return cpu_raise_code(cpu, EXC_GP, 0);
    if (svm_intercepts(cpu, (write ? INTERCEPT_DR0_WRITE : INTERCEPT_DR0_READ) + n))
        return svm_vmexit_insn(cpu, (write ? VMEXIT_DR0_WRITE : VMEXIT_DR0_READ) + n,
                               decode_assist(cpu, gpr), 0, in->len);
    if (write)
        return debug_set_dr(cpu, n, value);
    reg_write(cpu, gpr * 8, size, cpu->regs.dr[n == 4 || n == 5 ? n + 2 : n]);
    return STEP_NEXT;
}

/* Memory takes 2 bytes, a register its whole width of CR0. */
enum step insn_smsw(struct vcpu *cpu, const struct insn *in)
{
    if (umip_forbids(cpu))
        return cpu_raise_code(cpu, EXC_GP, 0);
    if (svm_intercepts(cpu, INTERCEPT_CR0_READ))
        return svm_vmexit_insn(cpu, VMEXIT_CR0_READ, 0, 0, in->len);
    if (in->op[0].kind == OPERAND_MEM)
        return mem_store(cpu, (enum seg)in->seg, mem_offset(cpu, in), 2, cpu->regs.cr0 & 0xffff);
    reg_write(cpu, in->op[0].reg, in->op[0].size, cpu->regs.cr0);
    return STEP_NEXT;
}

/* CR0[3:0]; PE can be set but not cleared. The selective intercept matches even if nothing changes. */
enum step insn_lmsw(struct vcpu *cpu, const struct insn *in)
{
    if (cpu->regs.cpl != 0)
        return cpu_raise_code(cpu, EXC_GP, 0);
    if (svm_intercepts(cpu, INTERCEPT_CR0_WRITE))
        return svm_vmexit_insn(cpu, VMEXIT_CR0_WRITE, 0, 0, in->len);
    if (svm_intercepts(cpu, INTERCEPT_CR0_SEL_WRITE))
        return svm_vmexit_insn(cpu, VMEXIT_CR0_SEL_WRITE, 0, 0, in->len);
    uint64_t value;
    enum step step = in->op[0].kind == OPERAND_MEM
                         ? mem_load(cpu, (enum seg)in->seg, mem_offset(cpu, in), 2, &value)
                         : operand_read(cpu, in, 0, &value);
    if (step != STEP_NEXT)
        return step;
    uint64_t keep = cpu->regs.cr0 & ~(uint64_t)(CR0_MP | CR0_EM | CR0_TS);
    control_set_cr0(cpu, keep | (value & 0xf));
    return STEP_LEAVE;
}

enum step insn_clts(struct vcpu *cpu, const struct insn *in)
{
    if (cpu->regs.cpl != 0)
        return cpu_raise_code(cpu, EXC_GP, 0);
    if (svm_intercepts(cpu, INTERCEPT_CR0_WRITE)) /* never the selective one */
        return svm_vmexit_insn(cpu, VMEXIT_CR0_WRITE, 0, 0, in->len);
    control_set_cr0(cpu, cpu->regs.cr0 & ~(uint64_t)CR0_TS);
    return STEP_LEAVE;
}

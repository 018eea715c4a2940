/* Addition, subtraction and their decimal adjustments. APM vol 3, chapter 3. */
#include "emu/insn/modify.h"

enum step insn_add(struct vcpu *cpu, const struct insn *in)
{
    return modify_binary(cpu, in, sem_add);
}

enum step insn_adc(struct vcpu *cpu, const struct insn *in)
{
    return modify_binary(cpu, in, sem_adc);
}

enum step insn_sub(struct vcpu *cpu, const struct insn *in)
{
    return modify_binary(cpu, in, sem_sub);
}

enum step insn_sbb(struct vcpu *cpu, const struct insn *in)
{
    return modify_binary(cpu, in, sem_sbb);
}

enum step insn_cmp(struct vcpu *cpu, const struct insn *in)
{
    return compare_binary(cpu, in, sem_cmp);
}

enum step insn_inc(struct vcpu *cpu, const struct insn *in)
{
    return modify_unary(cpu, in, sem_inc);
}

enum step insn_dec(struct vcpu *cpu, const struct insn *in)
{
    return modify_unary(cpu, in, sem_dec);
}

enum step insn_neg(struct vcpu *cpu, const struct insn *in)
{
    return modify_unary(cpu, in, sem_neg);
}

/* ADCX and ADOX: a sum whose carry goes in and out by one flag; the others stay. */
EMU_MUST_USE static enum step add_with(struct vcpu *cpu, const struct insn *in, uint32_t flag,
                                       bool carry_in)
{
    unsigned reg = in->op[0].reg, size = in->op[0].size;
    uint64_t b;
    enum step step = operand_read(cpu, in, 1, &b);
    if (step != STEP_NEXT)
        return step;
    emu_u128 sum = (emu_u128)reg_read(cpu, reg, size) + b + carry_in;
    flags_replace(cpu, flag, (sum >> (8 * size)) & 1 ? flag : 0);
    reg_write(cpu, reg, size, (uint64_t)sum);
    return STEP_NEXT;
}

enum step insn_adcx(struct vcpu *cpu, const struct insn *in)
{
    return add_with(cpu, in, FLAG_CF, flags_cf(cpu));
}

enum step insn_adox(struct vcpu *cpu, const struct insn *in)
{
    return add_with(cpu, in, FLAG_OF, flags_of(cpu));
}

/* --- decimal adjustment, not in 64-bit mode ------------------------------------------------------ */

/* DAA, DAS: AL moves by 00h, 06h, 60h or 66h. CHOICE: OF, undefined, is that of this sum or difference, as on Zen 4. */
EMU_MUST_USE static enum step adjust_packed(struct vcpu *cpu, bool subtract)
{
    uint64_t al = cpu->r[REG_RAX] & 0xff;
    bool low = (al & 15) > 9 || flags_af(cpu), high = al > 0x99 || flags_cf(cpu);
    bool carry = high || (subtract && low && al < 6);
    uint64_t by = (low ? 0x06 : 0) + (high ? 0x60 : 0);
    al = subtract ? sem_sub(cpu, 1, al, by) : sem_add(cpu, 1, al, by);
    flags_replace(cpu, FLAG_CF | FLAG_AF, (carry ? FLAG_CF : 0) | (low ? FLAG_AF : 0));
    reg_write(cpu, REG_RAX * 8, 1, al);
    return STEP_NEXT;
}

enum step insn_daa(struct vcpu *cpu, const struct insn *in)
{
    (void)in;
    return adjust_packed(cpu, false);
}

enum step insn_das(struct vcpu *cpu, const struct insn *in)
{
    (void)in;
    return adjust_packed(cpu, true);
}

/* AAA, AAS: AX moves by 0106h as one number. CHOICE: the undefined flags are those of this 16-bit sum or difference,
 * before the upper half of AL is cleared, as on Zen 4. */
EMU_MUST_USE static enum step adjust_unpacked(struct vcpu *cpu, bool subtract)
{
    uint64_t ax = cpu->r[REG_RAX];
    bool adjust = (ax & 15) > 9 || flags_af(cpu);
    uint64_t by = adjust ? 0x106 : 0;
    ax = subtract ? sem_sub(cpu, 2, ax, by) : sem_add(cpu, 2, ax, by);
    flags_replace(cpu, FLAG_CF | FLAG_AF, adjust ? FLAG_CF | FLAG_AF : 0);
    reg_write(cpu, REG_RAX * 8, 2, ax & 0xff0f);
    return STEP_NEXT;
}

enum step insn_aaa(struct vcpu *cpu, const struct insn *in)
{
    (void)in;
    return adjust_unpacked(cpu, false);
}

enum step insn_aas(struct vcpu *cpu, const struct insn *in)
{
    (void)in;
    return adjust_unpacked(cpu, true);
}

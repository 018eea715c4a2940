/* Shifts and rotates. APM vol 3, chapter 3. */
#include "emu/insn/modify.h"

enum step insn_shl(struct vcpu *cpu, const struct insn *in)
{
    return modify_binary(cpu, in, sem_shl);
}

enum step insn_shr(struct vcpu *cpu, const struct insn *in)
{
    return modify_binary(cpu, in, sem_shr);
}

enum step insn_sar(struct vcpu *cpu, const struct insn *in)
{
    return modify_binary(cpu, in, sem_sar);
}

enum step insn_rol(struct vcpu *cpu, const struct insn *in)
{
    return modify_binary(cpu, in, sem_rol);
}

enum step insn_ror(struct vcpu *cpu, const struct insn *in)
{
    return modify_binary(cpu, in, sem_ror);
}

enum step insn_rcl(struct vcpu *cpu, const struct insn *in)
{
    return modify_binary(cpu, in, sem_rcl);
}

enum step insn_rcr(struct vcpu *cpu, const struct insn *in)
{
    return modify_binary(cpu, in, sem_rcr);
}

/* --- double shifts ------------------------------------------------------------------------------- */

/* CHOICE: 16-bit operands with a count above 16, undefined, shift the source in twice and clear CF; a left shift by 16
 * or more copies CF to OF. As on Zen 4. */
static uint64_t double_left(struct vcpu *cpu, unsigned size, uint64_t value, uint64_t source,
                            unsigned n)
{
    unsigned bits = 8 * size;
    emu_u128 joined = (emu_u128)value << bits | source;
    if (size == 2)
        joined = joined << 16 | source;
    unsigned total = size == 2 ? 48 : 2 * bits;
    uint64_t res = (uint64_t)(joined >> (total - bits - n)) & size_mask(size);
    uint32_t carry = n > bits ? 0 : (uint32_t)(joined >> (total - n)) & 1;
    uint32_t sign = n < bits ? (uint32_t)(res >> (bits - 1)) : 0;
    flags_set_result(cpu, carry | FLAG_AF | ((carry ^ sign) << 11), sign_extend(res, size));
    return res;
}

static uint64_t double_right(struct vcpu *cpu, unsigned size, uint64_t value, uint64_t source,
                             unsigned n)
{
    unsigned bits = 8 * size;
    emu_u128 joined = (emu_u128)source << bits | value;
    if (size == 2)
        joined |= (emu_u128)source << 32;
    uint64_t res = (uint64_t)(joined >> n) & size_mask(size);
    uint32_t carry = n > bits ? 0 : (uint32_t)(joined >> (n - 1)) & 1;
    uint32_t top = (uint32_t)(res >> (bits - 2));
    flags_set_result(cpu, carry | FLAG_AF | (((top >> 1) ^ (top & 1)) << 11),
                     sign_extend(res, size));
    return res;
}

EMU_INLINE enum step double_shift(struct vcpu *cpu, const struct insn *in,
                                  uint64_t (*operation)(struct vcpu *, unsigned, uint64_t, uint64_t,
                                                        unsigned))
{
    unsigned size = in->op[0].size;
    struct operand_rmw rmw;
    uint64_t value, count;
    enum step step = operand_read(cpu, in, 2, &count);
    if (step != STEP_NEXT)
        return step;
    step = operand_begin(cpu, in, 0, &rmw, &value);
    if (step != STEP_NEXT)
        return step;
    unsigned n = sem_shift_count(size, count);
    if (n != 0)
        value = operation(cpu, size, value, reg_read(cpu, in->op[1].reg, size), n);
    operand_commit(cpu, in, 0, &rmw, value);
    return STEP_NEXT;
}

enum step insn_shld(struct vcpu *cpu, const struct insn *in)
{
    return double_shift(cpu, in, double_left);
}

enum step insn_shrd(struct vcpu *cpu, const struct insn *in)
{
    return double_shift(cpu, in, double_right);
}

/* --- BMI2: shifts without flags ------------------------------------------------------------------ */

/* Read operands 1 and 2; the count is masked to the operand size. */
EMU_MUST_USE static enum step read_two(struct vcpu *cpu, const struct insn *in, uint64_t *value,
                                       unsigned *n)
{
    uint64_t count;
    enum step step = operand_read(cpu, in, 1, value);
    if (step == STEP_NEXT)
        step = operand_read(cpu, in, 2, &count);
    if (step == STEP_NEXT)
        *n = sem_shift_count(in->op[0].size, count);
    return step;
}

enum step insn_rorx(struct vcpu *cpu, const struct insn *in)
{
    unsigned size = in->op[0].size, n;
    uint64_t value;
    enum step step = read_two(cpu, in, &value, &n);
    if (step == STEP_NEXT)
        reg_write(cpu, in->op[0].reg, size, sem_rol_bits(size, value, 8 * size - n));
    return step;
}

enum step insn_sarx(struct vcpu *cpu, const struct insn *in)
{
    unsigned size = in->op[0].size, n;
    uint64_t value;
    enum step step = read_two(cpu, in, &value, &n);
    if (step == STEP_NEXT)
        reg_write(cpu, in->op[0].reg, size, (uint64_t)(sign_extend(value, size) >> n));
    return step;
}

enum step insn_shlx(struct vcpu *cpu, const struct insn *in)
{
    unsigned n;
    uint64_t value;
    enum step step = read_two(cpu, in, &value, &n);
    if (step == STEP_NEXT)
        reg_write(cpu, in->op[0].reg, in->op[0].size, value << n);
    return step;
}

enum step insn_shrx(struct vcpu *cpu, const struct insn *in)
{
    unsigned n;
    uint64_t value;
    enum step step = read_two(cpu, in, &value, &n);
    if (step == STEP_NEXT)
        reg_write(cpu, in->op[0].reg, in->op[0].size, value >> n);
    return step;
}

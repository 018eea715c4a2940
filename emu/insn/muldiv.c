/* MUL, IMUL, DIV, IDIV, AAM, AAD. APM vol 3, chapter 3.
 * CHOICE: undefined flags as measured on Zen 4: multiplications leave SF, ZF, AF and PF alone; divisions keep CF and
 * OF, set AF and clear the others. */
#include "emu/insn/insn.h"

/* The double-width accumulator: AX, or rDX:rAX. */
static emu_u128 accumulator(const struct vcpu *cpu, unsigned size)
{
    if (size == 1)
        return (uint16_t)cpu->r[REG_RAX];
    return (emu_u128)reg_read(cpu, REG_RDX * 8, size) << (8 * size) |
           reg_read(cpu, REG_RAX * 8, size);
}

static void set_accumulator(struct vcpu *cpu, unsigned size, uint64_t low, uint64_t high)
{
    reg_write(cpu, REG_RAX * 8, size, low);
    if (size == 1)
        reg_write(cpu, REG_RAX * 8 + 1, 1, high);
    else
        reg_write(cpu, REG_RDX * 8, size, high);
}

static void set_overflow(struct vcpu *cpu, bool overflow)
{
    flags_replace(cpu, FLAG_CF | FLAG_OF, overflow ? FLAG_CF | FLAG_OF : 0);
}

enum step insn_mul(struct vcpu *cpu, const struct insn *in)
{
    unsigned size = in->op[0].size;
    uint64_t b;
    enum step step = operand_read(cpu, in, 0, &b);
    if (step != STEP_NEXT)
        return step;
    emu_u128 product = (emu_u128)reg_read(cpu, REG_RAX * 8, size) * b;
    uint64_t high = (uint64_t)(product >> (8 * size));
    set_accumulator(cpu, size, (uint64_t)product, high);
    set_overflow(cpu, high != 0);
    return STEP_NEXT;
}

EMU_MUST_USE static enum step imul_wide(struct vcpu *cpu, const struct insn *in)
{
    unsigned size = in->op[0].size;
    uint64_t b;
    enum step step = operand_read(cpu, in, 0, &b);
    if (step != STEP_NEXT)
        return step;
    emu_s128 product = (emu_s128)sign_extend(cpu->r[REG_RAX], size) * sign_extend(b, size);
    set_accumulator(cpu, size, (uint64_t)product, (uint64_t)(product >> (8 * size)));
    set_overflow(cpu, sign_extend((uint64_t)product, size) != product);
    return STEP_NEXT;
}

enum step insn_imul(struct vcpu *cpu, const struct insn *in)
{
    if (in->count == 1)
        return imul_wide(cpu, in);
    unsigned size = in->op[0].size;
    uint64_t a, b;
    enum step step = operand_read(cpu, in, in->count - 1, &b);
    if (step != STEP_NEXT)
        return step;
    step = operand_read(cpu, in, in->count - 2, &a);
    if (step == STEP_NEXT)
        reg_write(cpu, in->op[0].reg, size, sem_imul2(cpu, size, a, b));
    return step;
}

/* --- division ---------------------------------------------------------------------------------- */

static void divided(struct vcpu *cpu, unsigned size, uint64_t quotient, uint64_t remainder)
{
    uint32_t kept = (flags_cf(cpu) ? FLAG_CF : 0) | (flags_of(cpu) ? FLAG_OF : 0);
    set_accumulator(cpu, size, quotient, remainder);
    flags_set_material(cpu, kept | FLAG_AF);
}

enum step insn_div(struct vcpu *cpu, const struct insn *in)
{
    unsigned size = in->op[0].size;
    uint64_t divisor;
    enum step step = operand_read(cpu, in, 0, &divisor);
    if (step != STEP_NEXT)
        return step;
    emu_u128 dividend = accumulator(cpu, size);
    if (divisor == 0 || dividend >> (8 * size) >= divisor) /* the quotient would not fit */
        return cpu_raise(cpu, EXC_DE);
    if (dividend >> 64 == 0) { /* nearly always; the workstation divides 64 bits at once */
        uint64_t low = (uint64_t)dividend;
        divided(cpu, size, low / divisor, low % divisor);
        return STEP_NEXT;
    }
    divided(cpu, size, (uint64_t)(dividend / divisor), (uint64_t)(dividend % divisor));
    return STEP_NEXT;
}

/* Magnitudes are divided, so that the most negative dividend needs no special case. */
enum step insn_idiv(struct vcpu *cpu, const struct insn *in)
{
    unsigned size = in->op[0].size, bits = 8 * size;
    uint64_t value;
    enum step step = operand_read(cpu, in, 0, &value);
    if (step != STEP_NEXT)
        return step;
    int64_t divisor = sign_extend(value, size);
    emu_u128 dividend = accumulator(cpu, size);
    bool negative = (dividend >> (2 * bits - 1)) & 1;
    if (negative)
        dividend = -dividend;
    if (bits < 64)
        dividend &= ((emu_u128)1 << (2 * bits)) - 1;

    uint64_t magnitude = divisor < 0 ? -(uint64_t)divisor : (uint64_t)divisor;
    if (magnitude == 0)
        return cpu_raise(cpu, EXC_DE);
    bool small = dividend >> 64 == 0;
    emu_u128 quotient = small ? (uint64_t)dividend / magnitude : dividend / magnitude;
    uint64_t remainder = small ? (uint64_t)dividend % magnitude : (uint64_t)(dividend % magnitude);
    bool quotient_negative = negative != (divisor < 0);
    emu_u128 limit = ((emu_u128)1 << (bits - 1)) - (quotient_negative ? 0 : 1);
    if (quotient > limit)
        return cpu_raise(cpu, EXC_DE);
    divided(cpu, size, quotient_negative ? -(uint64_t)quotient : (uint64_t)quotient,
            negative ? -remainder : remainder);
    return STEP_NEXT;
}

/* --- unpacked decimal, not in 64-bit mode ---------------------------------------------------------- */

enum step insn_aam(struct vcpu *cpu, const struct insn *in)
{
    uint8_t base = (uint8_t)in->imm, al = (uint8_t)cpu->r[REG_RAX];
    if (base == 0)
        return cpu_raise(cpu, EXC_DE);
    set_accumulator(cpu, 1, al % base, al / base);
    flags_set_result(cpu, 0, sign_extend(al % base, 1));
    return STEP_NEXT;
}

/* CHOICE: CF, OF and AF, undefined, are those of the addition, as on Zen 4. */
enum step insn_aad(struct vcpu *cpu, const struct insn *in)
{
    uint64_t ah = (cpu->r[REG_RAX] >> 8) & 0xff;
    set_accumulator(cpu, 1, sem_add(cpu, 1, cpu->r[REG_RAX], ah * (uint8_t)in->imm), 0);
    return STEP_NEXT;
}

/* What the general-purpose instructions compute, shared by plain bodies and hot handlers.
 *
 * Every function works on the low `size` bytes (1, 2, 4 or 8; a constant in hot handlers) of its operands, whatever
 * stands above them, returns the result sign-extended to 64 bits and records the status flags. Callers cut the result
 * when they store it. No function takes the address of a local, so that a handler's last call stays a jump.
 *
 * CHOICE: flags and results that the manual calls undefined are what AMD Zen 4 computes (measured by
 * tests/differential): shifts set AF, rotates and multiplications leave all flags but CF and OF alone. */
#ifndef EMU_INSN_SEMANTICS_H
#define EMU_INSN_SEMANTICS_H

#include "emu/compiler.h"
#include "emu/cpu/flags.h"

EMU_INLINE int64_t sign_extend(uint64_t value, unsigned size)
{
    unsigned shift = 64 - 8 * size;
    return (int64_t)(value << shift) >> shift;
}

EMU_INLINE uint64_t size_mask(unsigned size)
{
    return UINT64_MAX >> (64 - 8 * size);
}

/* --- addition and subtraction ----------------------------------------------------------- */

EMU_INLINE uint64_t sem_add(struct vcpu *cpu, unsigned size, uint64_t a, uint64_t b)
{
    int64_t res = sign_extend(a + b, size);
    flags_set(cpu, FLAGS_ADD, sign_extend(a, size), sign_extend(b, size), res);
    return (uint64_t)res;
}

EMU_INLINE uint64_t sem_sub(struct vcpu *cpu, unsigned size, uint64_t a, uint64_t b)
{
    int64_t res = sign_extend(a - b, size);
    flags_set(cpu, FLAGS_SUB, sign_extend(a, size), sign_extend(b, size), res);
    return (uint64_t)res;
}

EMU_INLINE void sem_cmp(struct vcpu *cpu, unsigned size, uint64_t a, uint64_t b)
{
    (void)sem_sub(cpu, size, a, b);
}

/* Flags of a sum or difference that a carry took part in; `overflow` has OF in its sign bit. */
EMU_INLINE void sem_carry_flags(struct vcpu *cpu, bool carry, uint64_t overflow, uint64_t aux,
                                int64_t res)
{
    flags_set_result(
        cpu, (carry ? FLAG_CF : 0) | (uint32_t)(overflow >> 63 << 11) | ((uint32_t)aux & FLAG_AF),
        res);
}

EMU_INLINE uint64_t sem_adc(struct vcpu *cpu, unsigned size, uint64_t a, uint64_t b)
{
    uint64_t carry = flags_cf(cpu);
    uint64_t x = (uint64_t)sign_extend(a, size), y = (uint64_t)sign_extend(b, size);
    uint64_t res = (uint64_t)sign_extend(a + b + carry, size);
    sem_carry_flags(cpu, carry ? res <= x : res < x, (res ^ x) & (res ^ y), x ^ y ^ res,
                    (int64_t)res);
    return res;
}

EMU_INLINE uint64_t sem_sbb(struct vcpu *cpu, unsigned size, uint64_t a, uint64_t b)
{
    uint64_t carry = flags_cf(cpu);
    uint64_t x = (uint64_t)sign_extend(a, size), y = (uint64_t)sign_extend(b, size);
    uint64_t res = (uint64_t)sign_extend(a - b - carry, size);
    sem_carry_flags(cpu, carry ? x <= y : x < y, (x ^ y) & (x ^ res), x ^ y ^ res, (int64_t)res);
    return res;
}

/* INC and DEC keep CF: it must stand in rflags. */
EMU_INLINE void sem_keep_cf(struct vcpu *cpu)
{
    uint64_t carry = flags_cf(cpu) ? FLAG_CF : 0;
    cpu->rflags = (cpu->rflags & ~(uint64_t)FLAG_CF) | carry;
}

EMU_INLINE uint64_t sem_inc(struct vcpu *cpu, unsigned size, uint64_t a)
{
    int64_t res = sign_extend(a + 1, size);
    sem_keep_cf(cpu);
    flags_set(cpu, FLAGS_INC, sign_extend(a, size), 1, res);
    return (uint64_t)res;
}

EMU_INLINE uint64_t sem_dec(struct vcpu *cpu, unsigned size, uint64_t a)
{
    int64_t res = sign_extend(a - 1, size);
    sem_keep_cf(cpu);
    flags_set(cpu, FLAGS_DEC, sign_extend(a, size), 1, res);
    return (uint64_t)res;
}

EMU_INLINE uint64_t sem_neg(struct vcpu *cpu, unsigned size, uint64_t a)
{
    return sem_sub(cpu, size, 0, a);
}

/* --- logic ---------------------------------------------------------------------------------- */

EMU_INLINE uint64_t sem_logic(struct vcpu *cpu, unsigned size, uint64_t value)
{
    cpu->flags_kind = FLAGS_LOGIC;
    cpu->res = (uint64_t)sign_extend(value, size);
    return cpu->res;
}

EMU_INLINE uint64_t sem_and(struct vcpu *cpu, unsigned size, uint64_t a, uint64_t b)
{
    return sem_logic(cpu, size, a & b);
}

EMU_INLINE uint64_t sem_or(struct vcpu *cpu, unsigned size, uint64_t a, uint64_t b)
{
    return sem_logic(cpu, size, a | b);
}

EMU_INLINE uint64_t sem_xor(struct vcpu *cpu, unsigned size, uint64_t a, uint64_t b)
{
    return sem_logic(cpu, size, a ^ b);
}

EMU_INLINE void sem_test(struct vcpu *cpu, unsigned size, uint64_t a, uint64_t b)
{
    (void)sem_logic(cpu, size, a & b);
}

EMU_INLINE uint64_t sem_not(unsigned size, uint64_t a) /* no flags */
{
    return (uint64_t)sign_extend(~a, size);
}

/* --- moves ---------------------------------------------------------------------------------- */

EMU_INLINE uint64_t sem_movzx(unsigned from, uint64_t a)
{
    return a & size_mask(from);
}

EMU_INLINE uint64_t sem_movsx(unsigned from, uint64_t a)
{
    return (uint64_t)sign_extend(a, from);
}

/* --- shifts and rotates: a count that is 0 after masking changes no flag -------------------------- */

EMU_INLINE unsigned sem_shift_count(unsigned size, uint64_t count)
{
    return (unsigned)count & (size == 8 ? 63 : 31);
}

EMU_INLINE uint64_t sem_shl(struct vcpu *cpu, unsigned size, uint64_t a, uint64_t count)
{
    unsigned n = sem_shift_count(size, count);
    if (n == 0)
        return (uint64_t)sign_extend(a, size);
    uint64_t last = (a & size_mask(size)) << (n - 1);
    uint64_t res = (uint64_t)sign_extend(last << 1, size);
    uint32_t carry = (uint32_t)(last >> (8 * size - 1)) & 1;
    flags_set_result(cpu, carry | FLAG_AF | ((carry ^ (uint32_t)(res >> 63)) << 11), (int64_t)res);
    return res;
}

EMU_INLINE uint64_t sem_shr(struct vcpu *cpu, unsigned size, uint64_t a, uint64_t count)
{
    unsigned n = sem_shift_count(size, count);
    if (n == 0)
        return (uint64_t)sign_extend(a, size);
    uint64_t last = (a & size_mask(size)) >> (n - 1);
    uint32_t carry = (uint32_t)last & 1, sign = (uint32_t)(last >> (8 * size - 1));
    flags_set_result(cpu, carry | FLAG_AF | (sign << 11), (int64_t)(last >> 1));
    return last >> 1;
}

EMU_INLINE uint64_t sem_sar(struct vcpu *cpu, unsigned size, uint64_t a, uint64_t count)
{
    unsigned n = sem_shift_count(size, count);
    if (n == 0)
        return (uint64_t)sign_extend(a, size);
    int64_t last = sign_extend(a, size) >> (n - 1);
    flags_set_result(cpu, ((uint32_t)last & 1) | FLAG_AF, last >> 1);
    return (uint64_t)(last >> 1);
}

/* OF of a left rotate: CF differs from the new sign; of a right rotate: the two top bits differ. */
EMU_INLINE void sem_rotated_left(struct vcpu *cpu, unsigned size, uint64_t res, uint32_t carry)
{
    uint32_t sign = (uint32_t)(res >> (8 * size - 1)) & 1;
    flags_replace(cpu, FLAG_CF | FLAG_OF, carry | ((carry ^ sign) << 11));
}

EMU_INLINE void sem_rotated_right(struct vcpu *cpu, unsigned size, uint64_t res, uint32_t carry)
{
    uint32_t top = (uint32_t)(res >> (8 * size - 2)) & 3;
    flags_replace(cpu, FLAG_CF | FLAG_OF, carry | (((top >> 1) ^ (top & 1)) << 11));
}

EMU_INLINE uint64_t sem_rol_bits(unsigned size, uint64_t a, unsigned n) /* no flags */
{
    unsigned bits = 8 * size;
    n &= bits - 1;
    a &= size_mask(size);
    if (n != 0)
        a = (a << n) | (a >> (bits - n));
    return (uint64_t)sign_extend(a, size);
}

EMU_INLINE uint64_t sem_rol(struct vcpu *cpu, unsigned size, uint64_t a, uint64_t count)
{
    unsigned n = sem_shift_count(size, count);
    uint64_t res = sem_rol_bits(size, a, n);
    if (n != 0)
        sem_rotated_left(cpu, size, res, (uint32_t)res & 1);
    return res;
}

EMU_INLINE uint64_t sem_ror(struct vcpu *cpu, unsigned size, uint64_t a, uint64_t count)
{
    unsigned n = sem_shift_count(size, count);
    uint64_t res = sem_rol_bits(size, a, 8 * size - (n & (8 * size - 1)));
    if (n != 0)
        sem_rotated_right(cpu, size, res, (uint32_t)(res >> 63));
    return res;
}

/* RCL and RCR turn a number of 8 * size + 1 bits, CF on top. */
EMU_INLINE uint64_t sem_rcl(struct vcpu *cpu, unsigned size, uint64_t a, uint64_t count)
{
    unsigned bits = 8 * size, n = sem_shift_count(size, count);
    if (n == 0)
        return (uint64_t)sign_extend(a, size);
    n %= bits + 1;
    uint64_t carry = flags_cf(cpu), value = a & size_mask(size), res = value;
    if (n != 0) {
        res = (value << n) | (carry << (n - 1));
        if (n > 1)
            res |= value >> (bits + 1 - n);
        carry = (value >> (bits - n)) & 1;
    }
    sem_rotated_left(cpu, size, res, (uint32_t)carry);
    return (uint64_t)sign_extend(res, size);
}

EMU_INLINE uint64_t sem_rcr(struct vcpu *cpu, unsigned size, uint64_t a, uint64_t count)
{
    unsigned bits = 8 * size, n = sem_shift_count(size, count);
    if (n == 0)
        return (uint64_t)sign_extend(a, size);
    n %= bits + 1;
    uint64_t carry = flags_cf(cpu), value = a & size_mask(size), res = value;
    if (n != 0) {
        res = (value >> n) | (carry << (bits - n));
        if (n > 1)
            res |= value << (bits + 1 - n);
        carry = (value >> (n - 1)) & 1;
    }
    sem_rotated_right(cpu, size, res, (uint32_t)carry);
    return (uint64_t)sign_extend(res, size);
}

/* --- multiplication --------------------------------------------------------------------------- */

/* Two- and three-operand IMUL: CF = OF = the product does not fit. */
EMU_INLINE uint64_t sem_imul2(struct vcpu *cpu, unsigned size, uint64_t a, uint64_t b)
{
    emu_s128 product = (emu_s128)sign_extend(a, size) * sign_extend(b, size);
    int64_t res = sign_extend((uint64_t)product, size);
    flags_replace(cpu, FLAG_CF | FLAG_OF, res != product ? FLAG_CF | FLAG_OF : 0);
    return (uint64_t)res;
}

#endif

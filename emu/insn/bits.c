/* Bit tests, bit scans, counts, CRC32. APM vol 3, chapter 3.
 * CHOICE: undefined flags as measured on Zen 4: bit tests change CF only; BSF, BSR set ZF and PF, clear the rest;
 * LZCNT, TZCNT keep OF. */
#include "emu/insn/lock.h"

#include <Zydis/Mnemonic.h>

/* --- BT, BTS, BTR, BTC ----------------------------------------------------------------------------- */

/* The offset of the operand-sized unit that holds a bit. A register offset is signed and reaches past the operand;
 * an immediate is taken modulo the width. */
uint64_t bit_unit(const struct vcpu *cpu, const struct insn *in, uint64_t bit)
{
    uint64_t off = mem_offset(cpu, in);
    unsigned size = in->op[0].size;
    if (in->op[1].kind == OPERAND_REG)
        off += (uint64_t)((sign_extend(bit, size) >> (size == 8 ? 6 : size == 4 ? 5 : 4)) * size);
    return off & size_mask(in->addr_size);
}

static uint64_t change_bit(uint16_t mnemonic, uint64_t value, uint64_t mask)
{
    switch (mnemonic) {
    case ZYDIS_MNEMONIC_BTS: return value | mask;
    case ZYDIS_MNEMONIC_BTR: return value & ~mask;
    default: return value ^ mask;
    }
}

/* BT reads; BTS, BTR and BTC write also when the bit does not change. */
enum step insn_bt(struct vcpu *cpu, const struct insn *in)
{
    unsigned size = in->op[0].size;
    bool memory = in->op[0].kind == OPERAND_MEM, test = in->mnemonic == ZYDIS_MNEMONIC_BT;
    struct mem_rmw rmw;
    uint64_t bit, value;
    enum step step = operand_read(cpu, in, 1, &bit);
    if (step != STEP_NEXT)
        return step;
    uint64_t off = memory ? bit_unit(cpu, in, bit) : 0;
    if (!memory)
        value = reg_read(cpu, in->op[0].reg, size);
    else if (test)
        step = mem_load(cpu, (enum seg)in->seg, off, size, &value);
    else
        step = mem_rmw_begin(cpu, (enum seg)in->seg, off, size, &rmw, &value);
    if (step != STEP_NEXT)
        return step;

    unsigned n = (unsigned)bit & (8 * size - 1);
    flags_replace(cpu, FLAG_CF, (uint32_t)(value >> n) & 1);
    if (test)
        return STEP_NEXT;
    value = change_bit(in->mnemonic, value, (uint64_t)1 << n);
    if (memory)
        mem_rmw_commit(cpu, &rmw, value);
    else
        reg_write(cpu, in->op[0].reg, size, value);
    return STEP_NEXT;
}

/* --- scans and counts -------------------------------------------------------------------------------- */

static unsigned trailing_zeros(uint64_t value) /* not 0 */
{
    return (unsigned)__builtin_ctzll(value);
}

static unsigned top_bit(uint64_t value) /* not 0 */
{
    return 63 - (unsigned)__builtin_clzll(value);
}

/* BSF, BSR. A zero source leaves the whole destination alone, upper half included: documented by AMD. */
EMU_MUST_USE static enum step scan(struct vcpu *cpu, const struct insn *in, bool reverse)
{
    uint64_t value;
    enum step step = operand_read(cpu, in, 1, &value);
    if (step != STEP_NEXT)
        return step;
    unsigned index = value == 0 ? 0 : reverse ? top_bit(value) : trailing_zeros(value);
    (void)sem_logic(cpu, 8, index);
    uint32_t parity = flags_pf(cpu) ? FLAG_PF : 0;
    flags_set_material(cpu, parity | (value == 0 ? FLAG_ZF : 0));
    if (value != 0)
        reg_write(cpu, in->op[0].reg, in->op[0].size, index);
    return STEP_NEXT;
}

enum step insn_bsf(struct vcpu *cpu, const struct insn *in)
{
    return scan(cpu, in, false);
}

enum step insn_bsr(struct vcpu *cpu, const struct insn *in)
{
    return scan(cpu, in, true);
}

/* LZCNT, TZCNT: CF = the source was 0, ZF = the count is 0. */
static void counted(struct vcpu *cpu, const struct insn *in, bool zero_source, unsigned count)
{
    uint32_t overflow = flags_of(cpu) ? FLAG_OF : 0;
    flags_set_material(cpu, overflow | (zero_source ? FLAG_CF : 0) | (count == 0 ? FLAG_ZF : 0));
    reg_write(cpu, in->op[0].reg, in->op[0].size, count);
}

enum step insn_lzcnt(struct vcpu *cpu, const struct insn *in)
{
    unsigned bits = 8u * in->op[0].size;
    uint64_t value;
    enum step step = operand_read(cpu, in, 1, &value);
    if (step == STEP_NEXT)
        counted(cpu, in, value == 0, value == 0 ? bits : bits - 1 - top_bit(value));
    return step;
}

enum step insn_tzcnt(struct vcpu *cpu, const struct insn *in)
{
    unsigned bits = 8u * in->op[0].size;
    uint64_t value;
    enum step step = operand_read(cpu, in, 1, &value);
    if (step == STEP_NEXT)
        counted(cpu, in, value == 0, value == 0 ? bits : trailing_zeros(value));
    return step;
}

enum step insn_popcnt(struct vcpu *cpu, const struct insn *in)
{
    uint64_t value;
    enum step step = operand_read(cpu, in, 1, &value);
    if (step != STEP_NEXT)
        return step;
    flags_set_material(cpu, value == 0 ? FLAG_ZF : 0);
    reg_write(cpu, in->op[0].reg, in->op[0].size, (unsigned)__builtin_popcountll(value));
    return STEP_NEXT;
}

/* --- CRC32: polynomial 11EDC6F41h, bits reflected ----------------------------------------------------- */

static uint32_t crc32_byte(uint32_t crc, uint8_t byte)
{
    crc ^= byte;
    for (unsigned i = 0; i < 8; i++)
        crc = (crc >> 1) ^ (0x82f63b78u & (0u - (crc & 1)));
    return crc;
}

enum step insn_crc32(struct vcpu *cpu, const struct insn *in)
{
    uint64_t value;
    enum step step = operand_read(cpu, in, 1, &value);
    if (step != STEP_NEXT)
        return step;
    uint32_t crc = (uint32_t)reg_read(cpu, in->op[0].reg, in->op[0].size);
    for (unsigned i = 0; i < in->op[1].size; i++)
        crc = crc32_byte(crc, (uint8_t)(value >> (8 * i)));
    reg_write(cpu, in->op[0].reg, in->op[0].size, crc);
    return STEP_NEXT;
}

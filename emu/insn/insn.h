/* The instruction table, and what plain bodies share. */
#ifndef EMU_INSN_INSN_H
#define EMU_INSN_INSN_H

#include "decoder/insn.h"
#include "emu/cpu/flags.h"
#include "emu/cpu/mem.h"
#include "emu/cpu/raise.h"
#include "emu/insn/semantics.h"
#include "svm/svm.h"

/* The row of a mnemonic; NULL when Zydis knows it but no CPU of ours has it (#UD). */
const struct insn_info *insn_lookup(uint16_t mnemonic);

/* Every body, declared from the table. The table's header says what a row is. */
#define INSN(mnemonic, body, flags, feature) \
    enum step body(struct vcpu *cpu, const struct insn *in);
#include "emu/insn/insns.def"
#undef INSN

/* --- operands ------------------------------------------------------------------------- */

/* Read a register by byte offset and size, zero-extended. */
static inline uint64_t reg_read(const struct vcpu *cpu, unsigned offset, unsigned size)
{
    const uint8_t *ptr = (const uint8_t *)cpu->r + offset;
    uint64_t value = 0;
    __builtin_memcpy(&value, ptr, size);
    return value;
}

/* Write a register: 32-bit writes clear the upper half, 8- and 16-bit writes keep it. */
static inline void reg_write(struct vcpu *cpu, unsigned offset, unsigned size, uint64_t value)
{
    uint8_t *ptr = (uint8_t *)cpu->r + offset;
    if (size == 4) {
        value = (uint32_t)value;
        size = 8;
    }
    __builtin_memcpy(ptr, &value, size);
}

/* Operand n's value, zero-extended from its size. */
EMU_MUST_USE enum step operand_read(struct vcpu *cpu, const struct insn *in, unsigned n,
                                    uint64_t *value);
/* Store to operand n (register or memory). */
EMU_MUST_USE enum step operand_write(struct vcpu *cpu, const struct insn *in, unsigned n,
                                     uint64_t value);

/* Read operand n for modification; then operand_commit() cannot fail. */
struct operand_rmw {
    bool memory;
    struct mem_rmw rmw;
};
EMU_MUST_USE enum step operand_begin(struct vcpu *cpu, const struct insn *in, unsigned n,
                                     struct operand_rmw *rmw, uint64_t *value);
void operand_commit(struct vcpu *cpu, const struct insn *in, unsigned n,
                    const struct operand_rmw *rmw, uint64_t value);

/* Push and pop with the stack's address size; size 2, 4 or 8. RSP changes only on success. */
EMU_MUST_USE enum step stack_push(struct vcpu *cpu, unsigned size, uint64_t value);
EMU_MUST_USE enum step stack_pop(struct vcpu *cpu, unsigned size, uint64_t *value);

/* A near branch: checks canonical form or the CS limit (#GP(0)), then sets RIP. Returns STEP_JUMP. */
EMU_MUST_USE enum step branch_near(struct vcpu *cpu, const struct insn *in, uint64_t target);

#endif

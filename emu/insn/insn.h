/* The instruction table, and what plain bodies share. */
#ifndef EMU_INSN_INSN_H
#define EMU_INSN_INSN_H

#include "decoder/insn.h"
#include "emu/cpu/flags.h"
#include "emu/cpu/fp.h"
#include "emu/cpu/mem.h"
#include "emu/cpu/raise.h"
#include "emu/insn/semantics.h"
#include "svm/svm.h"

/* The row of a mnemonic; NULL when Zydis knows it but no CPU of ours has it (#UD). */
const struct insn_info *insn_lookup(uint16_t mnemonic);

/* Does the model offer the instruction set that a decoded instruction belongs to? */
bool isa_offered(const struct vcpu *cpu, const struct insn *in);

/* What must be ready for a decoded instruction whose `flags` are set: enum fp_ready. */
uint8_t isa_need(const struct insn *in);

/* Execute one instruction by its body, or raise what keeps floating point and vectors from use. */
EMU_MUST_USE static inline enum step insn_run(struct vcpu *cpu, const struct insn *in)
{
    return EMU_UNLIKELY(in->need & ~cpu->ready) ? fp_unready(cpu, in) : in->body(cpu, in);
}

/* Every body, declared from the table. The table's header says what a row is. */
#define INSN(mnemonic, body, flags, feature) \
    enum step body(struct vcpu *cpu, const struct insn *in);
#include "emu/insn/insns.def"
#undef INSN

/* Forms that share their mnemonic with a row: insn_mov() and its like hand them on. The bodies stand in
 * segments.c, control_regs.c, far.c and far_return.c. */
enum step insn_mov_seg(struct vcpu *cpu, const struct insn *in);
enum step insn_mov_cr(struct vcpu *cpu, const struct insn *in);
enum step insn_mov_dr(struct vcpu *cpu, const struct insn *in);
enum step insn_push_seg(struct vcpu *cpu, const struct insn *in);
enum step insn_pop_seg(struct vcpu *cpu, const struct insn *in);
enum step insn_jmp_far(struct vcpu *cpu, const struct insn *in);
enum step insn_call_far(struct vcpu *cpu, const struct insn *in);
enum step insn_ret_far(struct vcpu *cpu, const struct insn *in);

/* XCHG BX, BX: bind() chooses it. exchange.c. */
enum step insn_xchg_magic(struct vcpu *cpu, const struct insn *in);

/* The body that stands for another one where shadow stacks are on: of CALL and RET. shadow_stack.c. */
insn_body *shadow_stack_body(insn_body *body);

/* --- operands ------------------------------------------------------------------------- */

/* Read a register by byte offset and size, zero-extended. All 8 bytes from the offset on are read and cut: one
 * load, whatever the size; behind every general register there is another slot. */
static inline uint64_t reg_read(const struct vcpu *cpu, unsigned offset, unsigned size)
{
    uint64_t value;
    __builtin_memcpy(&value, (const uint8_t *)cpu->r + offset, sizeof(value));
    return value & size_mask(size);
}

/* Write a register: 32-bit writes clear the upper half, 8- and 16-bit writes keep it. */
static inline void reg_write(struct vcpu *cpu, unsigned offset, unsigned size, uint64_t value)
{
    uint8_t *ptr = (uint8_t *)cpu->r + offset;
    uint64_t old, mask = size_mask(size), kept = size >= 4 ? 0 : ~mask;
    __builtin_memcpy(&old, ptr, sizeof(old));
    value = (old & kept) | (value & mask);
    __builtin_memcpy(ptr, &value, sizeof(value));
}

/* Operand n's value, zero-extended from its size; an immediate as it stands in in->imm. */
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

/* Bytes of the stack pointer that count: 8 in 64-bit mode, else 4 or 2 by SS.B. */
unsigned stack_width(const struct vcpu *cpu);
void stack_set_pointer(struct vcpu *cpu, uint64_t rsp);

/* Load or store at SS:rsp, cut to the stack's address size. RSP does not change. */
EMU_MUST_USE enum step stack_load(struct vcpu *cpu, uint64_t rsp, unsigned size, uint64_t *value);
EMU_MUST_USE enum step stack_store(struct vcpu *cpu, uint64_t rsp, unsigned size, uint64_t value);

/* Push and pop with the stack's address size; size 2, 4 or 8. RSP changes only on success. */
EMU_MUST_USE enum step stack_push(struct vcpu *cpu, unsigned size, uint64_t value);
EMU_MUST_USE enum step stack_pop(struct vcpu *cpu, unsigned size, uint64_t *value);

/* The faults of a push. */
EMU_MUST_USE enum step stack_probe_push(struct vcpu *cpu, unsigned size);

/* Of CALL, JMP and RET: is it a far form? And the target of a near CALL or JMP, before it is checked. */
bool branch_is_far(const struct insn *in);
EMU_MUST_USE enum step branch_target(struct vcpu *cpu, const struct insn *in, uint64_t *target);

/* Cut a near branch's target to the operand size and check it: canonical form or the CS limit, else #GP(0). */
EMU_MUST_USE enum step branch_check(struct vcpu *cpu, const struct insn *in, uint64_t *target);

/* The same, then set RIP. Returns STEP_JUMP. */
EMU_MUST_USE enum step branch_near(struct vcpu *cpu, const struct insn *in, uint64_t target);

#endif

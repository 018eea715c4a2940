/* Hot handlers: the forms that dominate execution, in the tail-call form of decoder/op.h.
 *
 * A handler passes no local's address, so that gcc keeps its last call a jump. Whatever it cannot do at once
 * (a miss in the fast table, a page crossing, a fault) it leaves to op_plain() or op_whole(), which run the plain
 * body of the same instruction from its start: nothing was committed before. Both forms use emu/insn/semantics.h. */
#ifndef EMU_INSN_HOT_H
#define EMU_INSN_HOT_H

#include "decoder/op.h"

/* All forms, declared from the table. */
#define HOT(name) void op_##name(struct vcpu *cpu, const struct op *op);
#include "emu/insn/hot.def"
#undef HOT

#define OP_REG(offset) (*(uint64_t *)((unsigned char *)cpu->r + (offset)))
#define OP_REG32(offset) (*(const uint32_t *)((const unsigned char *)cpu->r + (offset)))
#define OP_REG16(offset) (*(const uint16_t *)((const unsigned char *)cpu->r + (offset)))
#define OP_REG8(offset) (*(const uint8_t *)((const unsigned char *)cpu->r + (offset)))

/* The address of a memory operand: 64-bit mode, 64-bit addresses, no segment base. */
#define OP_ADDRESS() \
    (OP_REG(op->base) + (OP_REG(op->index) << op->scale) + (uint64_t)(int64_t)op->disp)

#define OP_PAGE(la) ((la) & ~UINT64_C(0xfff))
#define OP_FAST(la) (&cpu->fast[((la) >> 12) & (FAST_ENTRIES - 1)])

/* Canonical whatever CR4.LA57 says. */
#define OP_CANONICAL48(la) ((uint64_t)((int64_t)((la) << 16) >> 16) == (la))

/* Leave the chain: the caller has put RIP, budget and left in order. */
#if defined(EMU_TRAMPOLINE)
#define OP_LEAVE(why)           \
    do {                        \
        cpu->leave = (why);     \
        cpu->trampoline = NULL; \
        return;                 \
    } while (0)
#else
#define OP_LEAVE(why)       \
    do {                    \
        cpu->leave = (why); \
        return;             \
    } while (0)
#endif

/* Leave the instruction to another handler. */
#if defined(EMU_TRAMPOLINE)
#define OP_SLOW(slow)  \
    do {               \
        slow(cpu, op); \
        return;        \
    } while (0)
#else
#define OP_SLOW(slow) EMU_TAIL slow(cpu, op)
#endif

/* Pay for a block and go on behind its entry, which would do the same. */
#define OP_PAY_AND_GOTO(charge_, target_)          \
    do {                                           \
        int32_t budget_ = cpu->budget - (charge_); \
        if (EMU_UNLIKELY(budget_ < 0)) {           \
            cpu->left = 0;                         \
            OP_LEAVE(LEAVE_BUDGET);                \
        }                                          \
        cpu->budget = budget_;                     \
        OP_GOTO(target_);                          \
    } while (0)

/* Go to a block in the same page: `op` holds the way and, once linked, the target. */
#define OP_BRANCH()                                     \
    do {                                                \
        const struct op *branch_ = op->target;          \
        cpu->r[REG_RIP] += (uint64_t)(int64_t)op->disp; \
        if (EMU_UNLIKELY(!branch_)) {                   \
            cpu->link = op;                             \
            cpu->left = 0;                              \
            OP_LEAVE(LEAVE_LINK);                       \
        }                                               \
        OP_PAY_AND_GOTO(op->charge, branch_);           \
    } while (0)

/* Go to any canonical address through the jump cache. */
#define OP_JUMP(rip_)                                                         \
    do {                                                                      \
        uint64_t to_ = (rip_);                                                \
        const struct jump_entry *slot_ = jump_slot(cpu, to_);                 \
        cpu->r[REG_RIP] = to_;                                                \
        if (EMU_UNLIKELY(slot_->rip != to_ || slot_->key != cpu->jump_key)) { \
            cpu->left = 0;                                                    \
            OP_LEAVE(STEP_JUMP);                                              \
        }                                                                     \
        OP_PAY_AND_GOTO(slot_->charge, slot_->target);                        \
    } while (0)

/* Bring the vCPU to the boundary that `step` stands for, after the body of op's instruction returned it with
 * RIP at the instruction, and set cpu->leave. */
void hot_leave(struct vcpu *cpu, const struct op *op, enum step step);

#endif

/* What every block is made of: its entry, its ends, and the adaptors of plain bodies. */
#include "emu/insn/hot.h"
#include "emu/insn/insn.h"

/* Charge the block. It runs whole or not at all. */
void op_enter(struct vcpu *cpu, const struct op *op)
{
    int32_t budget = cpu->budget - op->imm32;
    if (EMU_UNLIKELY(budget < 0)) {
        cpu->left = 0;
        OP_LEAVE(LEAVE_BUDGET);
    }
    cpu->budget = budget;
    OP_NEXT();
}

/* The entry of a block whose bytes were written: the run loop looks for its successor. */
void op_dead(struct vcpu *cpu, const struct op *op)
{
    (void)op;
    cpu->left = 0;
    OP_LEAVE(STEP_JUMP);
}

/* The op behind it, reached by a link or the jump cache, which have paid. */
void op_dead_entered(struct vcpu *cpu, const struct op *op)
{
    cpu->budget += op[-1].imm32;
    cpu->left = 0;
    OP_LEAVE(STEP_JUMP);
}

void hot_leave(struct vcpu *cpu, const struct op *op, enum step step)
{
    unsigned rest = op->left; /* not retired, this one included */
    switch (step) {
    case STEP_NEXT: step = STEP_LEAVE; /* fall through */
    case STEP_LEAVE:
    case STEP_HALT:
        cpu->r[REG_RIP] += op->len;
        rest--;
        break;
    case STEP_JUMP:
    case STEP_REPEAT: rest--; break;
    default: break;
    }
    cpu->budget += (int32_t)rest;
    cpu->left = 0;
    cpu->leave = (uint8_t)step;
#if defined(EMU_TRAMPOLINE)
    cpu->trampoline = NULL;
#endif
}

/* Run a plain body between hot handlers. */
void op_plain(struct vcpu *cpu, const struct op *op)
{
    const struct insn *insn = op->insn;
    cpu->r[REG_RIP] += op->off;
    cpu->left = op->left;
    cpu->off = op->off;
    enum step step = insn_run(cpu, insn);
    if (EMU_LIKELY(step == STEP_NEXT && !cpu->attention)) {
        cpu->r[REG_RIP] -= op->off;
        OP_NEXT();
    }
    hot_leave(cpu, op, step);
}

/* Run the body of an instruction that is several ops, and leave: its other ops must not follow. */
void op_whole(struct vcpu *cpu, const struct op *op)
{
    const struct insn *insn = op->insn;
    cpu->r[REG_RIP] += op->off;
    cpu->left = op->left;
    cpu->off = op->off;
    hot_leave(cpu, op, insn_run(cpu, insn));
}

/* The end of a block, or a direct jump: on to a block in the same page. */
void op_link(struct vcpu *cpu, const struct op *op)
{
    OP_BRANCH();
}

/* A branch whose target is not canonical in 48 bits: its body knows. What stood behind it in the block is no longer
 * charged. (A CALL has looked before it pushed.) */
EMU_COLD static void branch_whole(struct vcpu *cpu, const struct op *op)
{
    struct op whole = *op;
    whole.left = 1;
    op_whole(cpu, &whole);
}

/* The jump cache knows canonical addresses only. Without it the target of a branch is tested; op->insn is NULL where
 * the code just goes on, and running off the end of the addresses is a fault of the next fetch. */
#define OP_JUMP_PAGE()                                                     \
    do {                                                                   \
        uint64_t page_to_ = cpu->r[REG_RIP] + (uint64_t)(int64_t)op->disp; \
        if (EMU_UNLIKELY(!OP_CANONICAL48(page_to_)) && op->insn) {         \
            branch_whole(cpu, op);                                         \
            return;                                                        \
        }                                                                  \
        OP_JUMP(page_to_);                                                 \
    } while (0)

/* On to a block in another page. */
void op_jump_page(struct vcpu *cpu, const struct op *op)
{
    OP_JUMP_PAGE();
}

/* The same where neither links nor the jump cache may answer (outside 64-bit mode). A branch cuts its target to the operand
 * size and faults itself beyond the CS limit; code that just goes on leaves that to the next fetch. */
void op_jump_leave(struct vcpu *cpu, const struct op *op)
{
    uint32_t to = (uint32_t)(cpu->r[REG_RIP] + (uint64_t)(int64_t)op->disp);
    cpu->budget += op->left;
    if (op->insn) {
        if (op->insn->op_size == 2)
            to &= 0xffff;
        if (EMU_UNLIKELY(to > cpu->regs.seg[SEG_CS].limit)) {
            branch_whole(cpu, op);
            return;
        }
    }
    cpu->r[REG_RIP] = to;
    cpu->left = 0;
    OP_LEAVE(STEP_JUMP);
}

/* A branch out of the middle of a block: the instructions behind it were charged and do not run. */
void op_side(struct vcpu *cpu, const struct op *op)
{
    cpu->budget += op->left;
    OP_BRANCH();
}

void op_side_page(struct vcpu *cpu, const struct op *op)
{
    cpu->budget += op->left;
    OP_JUMP_PAGE();
}

/* An op: one step of a decoded block, and how handlers call each other. */
#ifndef DECODER_OP_H
#define DECODER_OP_H

#include "decoder/insn.h"

struct op;

/* A handler ends in a tail call of the next one, or leaves the chain by returning with cpu->leave set. */
typedef void op_fn(struct vcpu *cpu, const struct op *op);

/* Invariant: 32 bytes. dst, src, base and index are byte offsets into cpu->r. */
struct op {
    op_fn *fn;
    uint8_t dst, src, base;
    union {
        uint8_t index;
        uint8_t charge; /* branches: instructions of the target block */
    };
    uint8_t scale; /* shift of the index */
    uint8_t off;   /* of the instruction from the block's first byte */
    uint8_t left;  /* instructions of the block from this one on, itself included */
    uint8_t len;   /* bytes of the instruction */
    int32_t disp;  /* of an address; of a branch: from the block's first byte to the target */
    int32_t imm32; /* sign-extended where it is used */
    union {
        uint64_t imm;
        const struct insn *insn; /* plain bodies, and hot handlers that may need them */
        const struct op *target; /* branches: behind the target's entry; NULL: unlinked */
    };
};
static_assert(sizeof(struct op) == 32, "an op is 32 bytes");

/* Why the chain was left: enum step, or one of these. */
enum leave {
    LEAVE_LINK = 16, /* RIP is set; cpu->link wants to know the block there */
    LEAVE_BUDGET     /* the block is longer than the budget; nothing of it has run */
};

#if defined(EMU_TRAMPOLINE)
/* -O0, sanitizers and coverage: the run loop calls one handler after the other. */
#define OP_GOTO(next)             \
    do {                          \
        cpu->trampoline = (next); \
        return;                   \
    } while (0)
#else
#define OP_GOTO(next)                         \
    do {                                      \
        const struct op *op_next_ = (next);   \
        EMU_TAIL op_next_->fn(cpu, op_next_); \
    } while (0)
#endif
#define OP_NEXT() OP_GOTO(op + 1)

/* The jump cache: blocks by linear RIP, for indirect and page-crossing branches. An entry answers while
 * cpu->jump_key is the key it was made with. */
struct jump_entry {
    uint64_t rip, key;
    const struct op *target; /* behind the block's entry, like that of a link */
    int32_t charge;
};
#define JUMP_ENTRIES 1024u
#define JUMP_KEY_NONE UINT64_MAX

static inline struct jump_entry *jump_slot(const struct vcpu *cpu, uint64_t rip)
{
    return &cpu->jumps[(rip ^ (rip >> 10)) & (JUMP_ENTRIES - 1)];
}

#endif

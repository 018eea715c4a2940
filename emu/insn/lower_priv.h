/* Shared by lower.c and lower_branch.c. */
#ifndef EMU_INSN_LOWER_PRIV_H
#define EMU_INSN_LOWER_PRIV_H

#include "decoder/block.h"
#include "emu/insn/hot.h"
#include "emu/insn/insn.h"

/* The state of lowering one block. */
struct lowerer {
    struct op *ops;
    unsigned count; /* ops so far */
    const struct insn *const *insns;
    unsigned insn_count, at; /* the instruction being lowered */
    unsigned off;            /* its offset in the block */
    const struct block *block;
    bool long64;
    uint8_t native;          /* operand size of near branches without a prefix: 2, 4 or 8 bytes */
    unsigned deferred_count; /* branches out of the middle whose side ops stand behind the block */
    struct deferred {
        unsigned op;      /* whose own way it is */
        unsigned at, off; /* of the instruction */
        int64_t disp;
    } deferred[BLOCK_MAX_INSNS];
};

static inline const struct insn *lower_insn(const struct lowerer *l)
{
    return l->insns[l->at];
}

/* Append an op of the current instruction; its registers name the zero register. */
struct op *lower_emit(struct lowerer *l, op_fn *fn);

/* A memory operand that hot handlers can address: sets the op's address fields, or returns false. */
bool lower_has_address(const struct lowerer *l);
void lower_address(const struct lowerer *l, struct op *op);

/* Load operand memory of `size` bytes (1, 4 or 8) into REG_TMP, as the first of several ops. */
void lower_load_tmp(struct lowerer *l, unsigned size);

/* Is it one of the sixteen Jcc? Bound instructions are told apart by their bodies. */
static inline bool lower_is_jcc(const struct insn *in)
{
    return in->body == insn_jcc;
}

/* The own way of op number `op` leads to `disp`, by a side op that is appended behind the block. */
void lower_defer(struct lowerer *l, unsigned op, int64_t disp);

/* Is a target, counted from the block's start, in the block's page, so that it can be linked? Blocks that stand alone
 * are not: an exact one must be left, and one across pages has another page's translation behind it. */
bool lower_same_page(const struct lowerer *l, int64_t disp);

/* Append the way to `disp` bytes from the block's start: one op. */
struct op *lower_way(struct lowerer *l, int64_t disp);

/* Append the whole instruction, for ops that cannot finish it. */
void lower_whole(struct lowerer *l);

/* A control transfer as hot handlers; false: there are none for it, nothing was appended. */
bool lower_branch(struct lowerer *l);

/* A vector instruction as hot handlers; false as above. */
bool lower_vector(struct lowerer *l);

/* CMP or TEST at l->at and the Jcc behind it in one; false as above. The Jcc is consumed. */
bool lower_compare_branch(struct lowerer *l);

#endif

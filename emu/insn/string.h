/* The frame of MOVS, STOS, LODS, SCAS and CMPS.
 *
 *     struct string_loop loop = string_begin(cpu, in);
 *     while (string_more(cpu, &loop)) {
 *         ... one element at string_offset(cpu, &loop, REG_RSI) ...
 *         if it faulted: return string_end(cpu, &loop, STRING_SI, step);
 *         string_done(cpu, &loop, 1);
 *     }
 *     return string_end(cpu, &loop, STRING_SI, STEP_NEXT);
 *
 * Registers change in string_end() only: until then the loop counts what is done. */
#ifndef EMU_INSN_STRING_H
#define EMU_INSN_STRING_H

#include "emu/insn/insn.h"

/* Invariant: done <= todo <= left. */
struct string_loop {
    unsigned size;      /* bytes of an element */
    unsigned addr_size; /* bytes of rCX, rSI, rDI that count */
    bool rep, backward;
    bool pair;     /* two operands in memory */
    bool stopped;  /* REPE, REPNE: the condition ended the loop */
    uint64_t left; /* iterations asked for: rCX, or 1 */
    uint64_t todo; /* iterations this execution may do */
    uint64_t done;
};

#define STRING_SI 1u /* the instruction moves rSI */
#define STRING_DI 2u

/* At most so many iterations at a time: a stop request is seen soon. */
#define STRING_MAX_ITERATIONS 65536u

/* An iteration counts as one instruction: no more than the budget and the one already charged are done; with
 * RFLAGS.TF, or a #DB that MOV SS held, one, so that the trap comes behind it. */
struct string_loop string_begin(const struct vcpu *cpu, const struct insn *in);

/* Go on? Not after the last iteration, nor when the run loop wants to look at something in between. */
static inline bool string_more(const struct vcpu *cpu, const struct string_loop *loop)
{
    return loop->done < loop->todo && !loop->stopped && (loop->done == 0 || !cpu->attention);
}

/* The budget is kept, so that a device sees in each iteration what time it is. */
static inline void string_done(struct vcpu *cpu, struct string_loop *loop, uint64_t iterations)
{
    loop->done += iterations;
    if (loop->rep)
        cpu->budget -= (int32_t)iterations;
}

/* Where the next element is: rSI or rDI after the iterations done. */
static inline uint64_t string_offset(const struct vcpu *cpu, const struct string_loop *loop,
                                     enum reg reg)
{
    uint64_t moved = loop->done * loop->size;
    return (loop->backward ? cpu->r[reg] - moved : cpu->r[reg] + moved) &
           size_mask(loop->addr_size);
}

/* Write rCX, rSI, rDI (`moves`: STRING_SI | STRING_DI). `step`: STEP_NEXT, or what the iteration behind
 * the last done one came to. Returns it, or STEP_REPEAT when iterations are left. */
EMU_MUST_USE enum step string_end(struct vcpu *cpu, const struct string_loop *loop, unsigned moves,
                                  enum step step);

#endif

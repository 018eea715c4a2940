/* Several words stored as one: every page is checked before the first word is written. */
#ifndef EMU_CPU_STACK_H
#define EMU_CPU_STACK_H

#include "emu/cpu/raise.h"

/* May [la, la + bytes) be written? STEP_NEXT, or STEP_RAISED with #PF or a nested page fault for the lowest faulting
 * page. supervisor: an implicit supervisor access (CPL 0-2 after the transfer), else one of the current CPL. `la` is
 * canonical, and wraps around at 4 GiB as 32-bit segments do. Nothing is written; A and D bits and the TLB change as for
 * the stores themselves. */
EMU_MUST_USE enum step stack_check(struct vcpu *cpu, uint64_t la, unsigned bytes, bool supervisor);

/* Words to be pushed, in the order of the pushes: at most those of a call gate with 31 parameters. Made by frame_init():
 * the words behind `count` hold nothing. */
#define FRAME_WORDS 35u
struct stack_frame {
    unsigned count, slot; /* slot: 2, 4 or 8 bytes */
    uint64_t words[FRAME_WORDS];
};

static inline void frame_init(struct stack_frame *frame, unsigned slot)
{
    frame->count = 0;
    frame->slot = slot;
}

static inline void frame_push(struct stack_frame *frame, uint64_t word)
{
    assert(frame->count < FRAME_WORDS);
    frame->words[frame->count++] = word;
}

static inline unsigned frame_bytes(const struct stack_frame *frame)
{
    return frame->count * frame->slot;
}

/* Where a frame goes. */
struct stack {
    struct segment ss;
    uint64_t rsp;
    unsigned width; /* bytes of rSP that count: 8 (flat, 64-bit), 4 or 2 */
    bool
        supervisor; /* a stack of a level 0-2 that is about to be entered; else the current level's rights */
    uint32_t code; /* error code of #SS when the frame does not fit */
};

/* The stack that SS:rSP name now; #SS(0). */
struct stack stack_current(const struct vcpu *cpu);

/* An inner stack outside long mode: its width is that of `ss`, #SS names its selector. */
struct stack stack_inner(const struct segment *ss, uint32_t esp);

/* Does the frame fit: limits or canonical form, and every page, in the order of the pushes? Nothing is written. */
EMU_MUST_USE enum step stack_reserve(struct vcpu *cpu, const struct stack *stack,
                                     const struct stack_frame *frame);

/* Write a frame for which stack_reserve() has been asked. */
EMU_MUST_USE enum step stack_write(struct vcpu *cpu, const struct stack *stack,
                                   const struct stack_frame *frame);

/* rSP with the frame on the stack: only the bytes that count change. */
uint64_t stack_pointer_after(const struct stack *stack, const struct stack_frame *frame);

#endif

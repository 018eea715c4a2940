/* Several words stored as one: every page is checked before the first word is written. */
#ifndef EMU_CPU_STACK_H
#define EMU_CPU_STACK_H

#include "emu/cpu/raise.h"

/* May [la, la + bytes) be written? STEP_NEXT, or STEP_RAISED with #PF or a nested page fault for the lowest faulting
 * page. supervisor: an implicit supervisor access (CPL 0-2 after the transfer), else one of the current CPL. `la` is
 * canonical. Nothing is written; A and D bits and the TLB change as for the stores themselves. */
EMU_MUST_USE enum step stack_check(struct vcpu *cpu, uint64_t la, unsigned bytes, bool supervisor);

/* Words to be pushed, in the order of the pushes. */
struct stack_frame {
    unsigned count, slot; /* slot: 2, 4 or 8 bytes */
    uint64_t words[10];
};

static inline void frame_push(struct stack_frame *frame, uint64_t word)
{
    assert(frame->count < sizeof(frame->words) / sizeof(frame->words[0]));
    frame->words[frame->count++] = word;
}

static inline unsigned frame_bytes(const struct stack_frame *frame)
{
    return frame->count * frame->slot;
}

/* Write a frame that ends below the linear address `top`: stack_check(), then the stores. Not for stacks that
 * wrap around at 64 KiB or 4 GiB. */
EMU_MUST_USE enum step frame_store(struct vcpu *cpu, const struct stack_frame *frame, uint64_t top,
                                   bool supervisor);

#endif

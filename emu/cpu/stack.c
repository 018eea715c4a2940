/* Several words pushed as one. */
#include "emu/cpu/stack.h"

#include "emu/cpu/mem.h"

enum step stack_check(struct vcpu *cpu, uint64_t la, unsigned bytes, bool supervisor)
{
    const struct access access = { .kind = ACCESS_WRITE, .supervisor = supervisor };
    uint64_t last = la + bytes - 1;
    for (uint64_t at = la;; at = (at | 0xfff) + 1) {
        struct walk_result walked = paging_translate(cpu->paging, mem_regime(cpu), at, access);
        if (walked.status == WALK_FAULT)
            return cpu_raise_page_fault(cpu, at, walked.code);
        if (walked.status == WALK_NPF)
            return cpu_raise_npf(cpu, walked.info1, walked.gpa);
        if ((at | 0xfff) >= (last | 0xfff))
            return STEP_NEXT;
    }
}

enum step frame_store(struct vcpu *cpu, const struct stack_frame *frame, uint64_t top,
                      bool supervisor)
{
    enum step step = stack_check(cpu, top - frame_bytes(frame), frame_bytes(frame), supervisor);
    uint64_t la = top;
    for (unsigned i = 0; i < frame->count && step == STEP_NEXT; i++) {
        la -= frame->slot;
        step = supervisor ? mem_store_sys(cpu, la, frame->slot, frame->words[i])
                          : mem_store_la(cpu, la, frame->slot, frame->words[i]);
    }
    return step;
}

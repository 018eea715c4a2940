/* What far transfers share: far.c (JMP, CALL), gate.c (call gates, tasks), far_return.c (RET), iret.c. */
#ifndef EMU_INSN_FAR_PRIV_H
#define EMU_INSN_FAR_PRIV_H

#include "emu/cpu/segment.h"
#include "emu/cpu/shadow_far.h"
#include "emu/insn/system_priv.h"

static inline enum step fault_selector(struct vcpu *cpu, enum exception fault, uint16_t selector)
{
    return cpu_raise_code(cpu, fault, SELECTOR_CODE(selector));
}

static inline bool is_l_and_d(const struct segment *cs)
{
    const uint16_t both = SEG_ATTR_L | SEG_ATTR_DB;
    return (cs->attr & both) == both;
}

/* A code segment whose checks are done, at the same level and on the same stack: limit, accessed bit, for a CALL the
 * return address in words of `size` bytes, RIP and CS. Returns STEP_JUMP. */
EMU_MUST_USE enum step far_enter(struct vcpu *cpu, const struct insn *in, struct descriptor *cs,
                                 uint64_t offset, bool call, unsigned size);

/* JMP and CALL to a descriptor with S = 0. */
EMU_MUST_USE enum step far_through_system(struct vcpu *cpu, const struct insn *in,
                                          const struct descriptor *d, bool call);

/* What a far return reads from the stack, and what it finds. */
struct far_return {
    uint64_t rip, flags, rsp;
    uint16_t cs_selector, ss_selector;
    struct descriptor cs, ss;
    bool outer, new_stack; /* new_stack: SS:rSP were read too */
    bool iret;
    unsigned cpl;
    struct shadow_return shadow;
};

/* Read two words: an offset, and above it a selector. */
EMU_MUST_USE enum step far_pop_pointer(struct vcpu *cpu, uint64_t rsp, unsigned size,
                                       uint64_t *offset, uint16_t *selector);

/* The checks of the code segment; then, with rSP and SS read if they are to be, all that can still fault; then the
 * effects, where `released` bytes leave a stack that is kept. */
EMU_MUST_USE enum step far_return_check_cs(struct vcpu *cpu, struct far_return *ret);
EMU_MUST_USE enum step far_return_finish(struct vcpu *cpu, struct far_return *ret);
void far_return_commit(struct vcpu *cpu, const struct far_return *ret, unsigned released);

/* The same in real and virtual-8086 mode. */
EMU_MUST_USE enum step far_return_check_real(struct vcpu *cpu, const struct far_return *ret);
void far_return_commit_real(struct vcpu *cpu, const struct far_return *ret, unsigned released);

#endif

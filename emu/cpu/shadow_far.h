/* The part of shadow stacks in far transfers: CALL, events, RET, IRET, SYSCALL and its kin. APM vol 2, 18.4 "Shadow Stack
 * Operation for Far Transfers" - 18.7 "Shadow Stack Operation for SYSCALL and SYSRET". Task switches: shadow_task.h.
 *
 * Each has two steps. The check stands among the other checks of the transfer and changes nothing; the commit comes when
 * nothing else can fail. With CR4.CET = 0 both are one test. */
#ifndef EMU_CPU_SHADOW_FAR_H
#define EMU_CPU_SHADOW_FAR_H

#include "emu/cpu/raise.h"

#define SHADOW_FRAME 24u /* bytes of CS, LIP and SSP on a shadow stack */

/* What a transfer into a procedure or handler will do. */
struct shadow_entry {
    bool active;    /* anything at all; the rest holds only then */
    bool save_user; /* SSP goes to PL3_SSP */
    bool on;        /* the new level has shadow stacks: SSP changes */
    bool busy;      /* the token at `token` is to be marked */
    bool hole;      /* 4 bytes of zero above the frame align it */
    bool frame;
    uint8_t cpl; /* of the stack */
    uint64_t token;
    uint64_t top;      /* above the frame, below the hole */
    uint64_t words[3]; /* in the order of the pushes: CS, LIP, SSP */
    uint64_t ssp;      /* in the end */
};

/* What a return will do. */
struct shadow_return {
    bool active;
    bool set;   /* SSP changes */
    bool clear; /* the token at `token` is left: no longer busy */
    uint8_t cpl;
    uint64_t token, ssp;
};

static inline bool shadow_far_active(const struct vcpu *cpu)
{
    return EMU_UNLIKELY(cpu->regs.cr4 & CR4_CET);
}

/* May the frame be pushed: into the code segment `cs`, at level `cpl`, with RIP `return_rip` to come back to, as the program
 * stack has it? `ist`: the interrupt stack of the gate, 0 if there is none. What fails: #GP(0) by the token, #PF by the pages. */
EMU_MUST_USE enum step shadow_entry_look(struct vcpu *cpu, struct shadow_entry *entry,
                                         const struct segment *cs, unsigned cpl, unsigned ist,
                                         uint64_t return_rip);
EMU_MUST_USE enum step shadow_entry_take(struct vcpu *cpu, const struct shadow_entry *entry);

static inline enum step shadow_entry_check(struct vcpu *cpu, struct shadow_entry *entry,
                                           const struct segment *cs, unsigned cpl, unsigned ist,
                                           uint64_t return_rip)
{
    entry->active = shadow_far_active(cpu);
    return entry->active ? shadow_entry_look(cpu, entry, cs, cpl, ist, return_rip) : STEP_NEXT;
}

static inline enum step shadow_entry_commit(struct vcpu *cpu, const struct shadow_entry *entry)
{
    return entry->active ? shadow_entry_take(cpu, entry) : STEP_NEXT;
}

/* A far JMP pushes nothing, but what it jumps to must be able to use SSP. */
EMU_MUST_USE enum step shadow_jmp_look(struct vcpu *cpu, const struct segment *cs);

static inline enum step shadow_jmp_check(struct vcpu *cpu, const struct segment *cs)
{
    return shadow_far_active(cpu) ? shadow_jmp_look(cpu, cs) : STEP_NEXT;
}

/* The frame of the shadow stack against CS:rIP that were popped, and the token. `cs`: the segment with its selector as it was
 * popped, NULL for virtual-8086 mode; `cpl`: the level to return to. What fails: #CP(FAR-RET/IRET), #PF. */
EMU_MUST_USE enum step shadow_return_look(struct vcpu *cpu, struct shadow_return *ret,
                                          const struct segment *cs, unsigned cpl, uint64_t rip,
                                          bool iret);
EMU_MUST_USE enum step shadow_return_take(struct vcpu *cpu, const struct shadow_return *ret);

static inline enum step shadow_return_check(struct vcpu *cpu, struct shadow_return *ret,
                                            const struct segment *cs, unsigned cpl, uint64_t rip,
                                            bool iret)
{
    ret->active = shadow_far_active(cpu);
    return ret->active ? shadow_return_look(cpu, ret, cs, cpl, rip, iret) : STEP_NEXT;
}

static inline enum step shadow_return_commit(struct vcpu *cpu, const struct shadow_return *ret)
{
    return ret->active ? shadow_return_take(cpu, ret) : STEP_NEXT;
}

/* SYSCALL and SYSENTER, before the level changes; SYSRET and SYSEXIT. They cannot fail. */
void shadow_syscall(struct vcpu *cpu);
void shadow_sysret(struct vcpu *cpu);

/* Is SH_STK_EN in force for a level once the transfer is done, whatever RFLAGS.VM is now? */
bool shadow_level_enabled(const struct vcpu *cpu, unsigned cpl);

/* SSP as the current mode sees it. */
uint64_t shadow_current_ssp(const struct vcpu *cpu);

/* The linear address of an instruction of `cs`. */
uint64_t shadow_lip(const struct vcpu *cpu, const struct segment *cs, uint64_t rip);

/* Can the words of the frame be written below entry->top? */
EMU_MUST_USE enum step shadow_frame_check(struct vcpu *cpu, const struct shadow_entry *entry);

#endif

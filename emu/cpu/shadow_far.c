/* Far transfers on shadow stacks. */
#include "emu/cpu/shadow_far.h"

#include "emu/cpu/mem.h"
#include "emu/cpu/segment.h"
#include "emu/cpu/shadow_stack.h"

/* --- modes and levels --- */

bool shadow_level_enabled(const struct vcpu *cpu, unsigned cpl)
{
    const struct cpu_regs *regs = &cpu->regs;
    const uint64_t paged = CR0_PE | CR0_PG;
    uint64_t controls = cpl == 3 ? cpu->shadow.u_cet : cpu->shadow.s_cet;
    return (regs->cr4 & CR4_CET) && (regs->cr0 & paged) == paged && (controls & SHADOW_CET_ENABLE);
}

uint64_t shadow_current_ssp(const struct vcpu *cpu)
{
    return cpu_long64(cpu) ? cpu->shadow.ssp : (uint32_t)cpu->shadow.ssp;
}

static bool is_64bit(const struct vcpu *cpu, const struct segment *cs)
{
    return cpu_long_mode(cpu) && (cs->attr & SEG_ATTR_L);
}

uint64_t shadow_lip(const struct vcpu *cpu, const struct segment *cs, uint64_t rip)
{
    return is_64bit(cpu, cs) ? rip : (uint32_t)(cs->base + rip);
}

/* --- into a procedure or handler --- */

/* The stack to switch to: its token must be there, and idle. CHOICE: a token that is refused, like an SSP that is not aligned,
 * is #GP(0), which has EXT in the delivery of an event; the manual gives no error code. */
static enum step check_new_stack(struct vcpu *cpu, struct shadow_entry *entry,
                                 const struct segment *cs, unsigned ist)
{
    bool valid;
    entry->token = cpu->shadow.pl_ssp[entry->cpl];
    if (ist) {
        enum step step = mem_load_sys(cpu, cpu->shadow.isst + 8 * ist, 8, &entry->token);
        if (step != STEP_NEXT)
            return step;
    }
    if ((entry->token & 7) || (!is_64bit(cpu, cs) && entry->token >> 32))
        return cpu_raise_code(cpu, EXC_GP, 0);
    enum step step = shadow_stack_token_check(cpu, entry->cpl, entry->token, false, &valid);
    if (step != STEP_NEXT)
        return step;
    entry->busy = true;
    entry->top = entry->token;
    return valid ? STEP_NEXT : cpu_raise_code(cpu, EXC_GP, 0);
}

/* In the order of the pushes, and each word in one page. CHOICE: the token is marked after this, so that a page that cannot be
 * written leaves it idle. */
enum step shadow_frame_check(struct vcpu *cpu, const struct shadow_entry *entry)
{
    enum step step = STEP_NEXT;
    if (entry->hole)
        step = shadow_stack_check(cpu, entry->cpl, entry->top, 4);
    for (unsigned n = 1; n <= 3 && step == STEP_NEXT; n++)
        step = shadow_stack_check(cpu, entry->cpl, entry->top - 8ull * n, 8);
    return step;
}

/* A level 3 that is left keeps its SSP in PL3_SSP, and nothing is pushed. APM vol 2, 18.6.2 "Handling CS, LIP and SSP on
 * Privilege Transitions". CHOICE: LIP is made of the bytes of rIP that the program stack holds, so that a return of the same
 * size finds it equal. */
enum step shadow_entry_look(struct vcpu *cpu, struct shadow_entry *entry, const struct segment *cs,
                            unsigned cpl, unsigned ist, uint64_t return_rip)
{
    const struct segment *from = &cpu->regs.seg[SEG_CS];
    bool inner = cpl < cpu->regs.cpl, from_user = inner && cpu->regs.cpl == 3;
    uint64_t ssp = shadow_current_ssp(cpu);
    *entry = (struct shadow_entry){ .active = true,
                                    .save_user = from_user && shadow_stack_on(cpu, 3),
                                    .on = shadow_level_enabled(cpu, cpl),
                                    .cpl = (uint8_t)cpl,
                                    .top = ssp };
    if (!entry->on)
        return STEP_NEXT;
    if (inner || ist) {
        enum step step = check_new_stack(cpu, entry, cs, ist);
        if (step != STEP_NEXT)
            return step;
    } else if (cpu_long64(cpu) && !is_64bit(cpu, cs) && ssp >> 32) {
        /* CHOICE: 32-bit code cannot be entered with a shadow stack above 4 GiB; the manual is silent. */
        return cpu_raise_code(cpu, EXC_GP, 0);
    }
    entry->ssp = entry->top;
    if (from_user)
        return STEP_NEXT;
    entry->frame = true;
    entry->hole = entry->top & 7;
    entry->top &= ~7ull;
    entry->words[0] = from->selector;
    entry->words[1] = shadow_lip(cpu, from, return_rip);
    entry->words[2] = ssp;
    entry->ssp = entry->top - SHADOW_FRAME;
    return shadow_frame_check(cpu, entry);
}

static enum step write_frame(struct vcpu *cpu, const struct shadow_entry *entry)
{
    enum step step = STEP_NEXT;
    if (entry->hole)
        step = shadow_stack_store(cpu, entry->cpl, entry->top, 4, 0);
    for (unsigned i = 0; i < 3 && step == STEP_NEXT; i++)
        step = shadow_stack_store(cpu, entry->cpl, entry->top - 8 * (i + 1ull), 8, entry->words[i]);
    return step;
}

enum step shadow_entry_take(struct vcpu *cpu, const struct shadow_entry *entry)
{
    enum step step = STEP_NEXT;
    if (entry->busy)
        step = shadow_stack_token_store(cpu, entry->cpl, entry->token, true);
    if (step == STEP_NEXT && entry->frame)
        step = write_frame(cpu, entry);
    if (step != STEP_NEXT)
        return step;
    if (entry->save_user)
        cpu->shadow.pl_ssp[3] = shadow_current_ssp(cpu);
    if (entry->on)
        cpu->shadow.ssp = entry->ssp;
    return STEP_NEXT;
}

enum step shadow_jmp_look(struct vcpu *cpu, const struct segment *cs)
{
    bool lost = cpu_long64(cpu) && !is_64bit(cpu, cs) && cpu->shadow.ssp >> 32;
    return lost && shadow_stack_on(cpu, cpu->regs.cpl) ? cpu_raise_code(cpu, EXC_GP, 0) : STEP_NEXT;
}

/* --- back --- */

/* The frame at the top: it must tell the CS and the address that were popped. All of it is compared, in 64 bits. */
static enum step pop_frame(struct vcpu *cpu, const struct segment *cs, uint64_t rip, uint64_t ssp,
                           uint64_t *previous)
{
    unsigned cpl = cpu->regs.cpl;
    uint64_t selector, lip;
    enum step step = shadow_stack_load(cpu, cpl, shadow_stack_offset(cpu, ssp, 16), 8, &selector);
    if (step == STEP_NEXT)
        step = shadow_stack_load(cpu, cpl, shadow_stack_offset(cpu, ssp, 8), 8, &lip);
    if (step == STEP_NEXT)
        step = shadow_stack_load(cpu, cpl, ssp, 8, previous);
    if (step != STEP_NEXT)
        return step;
    bool matches = selector == cs->selector && lip == shadow_lip(cpu, cs, rip);
    return matches ? STEP_NEXT : shadow_stack_violation(cpu, CP_FAR_RET);
}

/* The SSP to go on with. CHOICE: above 4 GiB it is #CP for code that is not 64-bit, as in the manual's task switch (12.3.2);
 * one that is not canonical is found out when it is used. */
static enum step check_ssp(struct vcpu *cpu, const struct segment *cs, uint64_t ssp)
{
    bool legal = (ssp & 3) == 0 && (is_64bit(cpu, cs) || ssp >> 32 == 0);
    return legal ? STEP_NEXT : shadow_stack_violation(cpu, CP_FAR_RET);
}

/* The current stack, which is on: its frame, unless level 3 is returned to, and above it the token, if the stack is left.
 * CHOICE: where there is no frame the token is at SSP, as in the manual's task switch (12.3.2); 18.6.5 has SSP + 24 always.
 * IRET of long mode at the same level has left an interrupt shadow stack if the SSP that it finds is not the one
 * above the frame; the manual tells of inter-privilege returns only (18.6.5). A token that is not right stays, without a
 * fault. */
static enum step leave_stack(struct vcpu *cpu, struct shadow_return *ret, const struct segment *cs,
                             unsigned cpl, uint64_t rip, bool iret)
{
    uint64_t ssp = shadow_current_ssp(cpu);
    enum step step = STEP_NEXT;
    if (ssp & 7)
        return shadow_stack_violation(cpu, CP_FAR_RET);
    if (cpl != 3 || cpu->regs.cpl == 3) {
        step = pop_frame(cpu, cs, rip, ssp, &ret->ssp);
        if (step == STEP_NEXT)
            step = check_ssp(cpu, cs, ret->ssp);
        ssp = shadow_stack_offset(cpu, ssp, SHADOW_FRAME);
    }
    bool left = cpl != cpu->regs.cpl || (iret && cpu_long_mode(cpu) && ret->ssp != ssp);
    ret->token = ssp;
    if (step == STEP_NEXT && left)
        step = shadow_stack_token_check(cpu, ret->cpl, ssp, true, &ret->clear);
    return step;
}

enum step shadow_return_look(struct vcpu *cpu, struct shadow_return *ret, const struct segment *cs,
                             unsigned cpl, uint64_t rip, bool iret)
{
    unsigned from = cpu->regs.cpl;
    bool on = shadow_stack_on(cpu, from);
    *ret = (struct shadow_return){ .active = true, .set = on, .cpl = (uint8_t)from };
    enum step step = on ? leave_stack(cpu, ret, cs, cpl, rip, iret) : STEP_NEXT;
    if (step != STEP_NEXT || cpl != 3 || from == 3)
        return step;
    /* To level 3. SSP becomes 0 where that has no shadow stack, as in the manual's task switch. */
    if (!cs || !shadow_level_enabled(cpu, 3))
        return STEP_NEXT;
    ret->set = true;
    ret->ssp = cpu->shadow.pl_ssp[3];
    return check_ssp(cpu, cs, ret->ssp);
}

enum step shadow_return_take(struct vcpu *cpu, const struct shadow_return *ret)
{
    enum step step = STEP_NEXT;
    if (ret->clear)
        step = shadow_stack_token_store(cpu, ret->cpl, ret->token, false);
    if (step == STEP_NEXT && ret->set)
        cpu->shadow.ssp = ret->ssp;
    return step;
}

/* --- fast system calls --- */

/* CHOICE: SSP is saved by the current level's enable, also where that is not 3; the manual speaks of level 3 only. */
void shadow_syscall(struct vcpu *cpu)
{
    if (shadow_stack_on(cpu, cpu->regs.cpl))
        cpu->shadow.pl_ssp[3] = shadow_current_ssp(cpu);
    if (shadow_level_enabled(cpu, 0))
        cpu->shadow.ssp = 0;
}

void shadow_sysret(struct vcpu *cpu)
{
    if (shadow_level_enabled(cpu, 3))
        cpu->shadow.ssp = cpu->shadow.pl_ssp[3];
}

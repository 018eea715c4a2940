/* Shadow stacks: when they are on, and the accesses to them. APM vol 2, 18 "Shadow Stacks", 5.7 "Shadow Stack Protection".
 *
 * Every function takes the level of the stack: `cpl` 3 makes user accesses, 0-2 supervisor ones, whatever CPL is now. So a
 * transfer can look at the new stack before it changes CPL, and WRUSS is a store with cpl = 3.
 *
 * Who pushes or marks a token does it in two steps: first shadow_stack_check() or shadow_stack_token_check(), in the order of
 * the architecture among the other checks; then, when nothing can fault any more, the stores. A store to bytes that were
 * checked in the same paging context cannot fault. */
#ifndef EMU_CPU_SHADOW_STACK_H
#define EMU_CPU_SHADOW_STACK_H

#include "emu/cpu/raise.h"

/* Error codes of #CP. APM vol 2, 8.2.20 "#CP-Control-Protection Exception (Vector 21)". */
enum cp_code { CP_NEAR_RET = 1, CP_FAR_RET = 2 /* and IRET */, CP_RSTORSSP = 4, CP_SETSSBSY = 5 };

/* #CP with that code. */
EMU_MUST_USE enum step shadow_stack_violation(struct vcpu *cpu, enum cp_code code);

/* Are shadow stacks on at this level: CR4.CET and SH_STK_EN of U_CET or S_CET, in protected mode with paging, and not in
 * virtual-8086 mode? APM vol 2, 18.1.1 "Detecting and Enabling Shadow Stack Support". */
static inline bool shadow_stack_usable(const struct vcpu *cpu) /* at any level */
{
    const uint64_t paged = CR0_PE | CR0_PG;
    return EMU_UNLIKELY(cpu->regs.cr4 & CR4_CET) && (cpu->regs.cr0 & paged) == paged &&
           !(cpu->rflags & FLAG_VM);
}

static inline uint64_t shadow_stack_controls(const struct vcpu *cpu, unsigned cpl)
{
    return cpl == 3 ? cpu->shadow.u_cet : cpu->shadow.s_cet;
}

static inline bool shadow_stack_on(const struct vcpu *cpu, unsigned cpl)
{
    return shadow_stack_usable(cpu) && (shadow_stack_controls(cpu, cpl) & SHADOW_CET_ENABLE);
}

/* Bytes of an address and of a near return address on the current shadow stack: 8 in 64-bit mode, else 4. */
unsigned shadow_stack_width(const struct vcpu *cpu);

/* An address `bytes` above (negative: below) another, cut to 32 bits outside 64-bit mode. */
uint64_t shadow_stack_offset(const struct vcpu *cpu, uint64_t ssp, int64_t bytes);

/* All accesses of one or two pages: `la` is a linear address, which legacy mode cuts to 32 bits; in long mode #GP(0) if it is not canonical. #PF
 * with its SS bit, or a nested page fault, if the page is no shadow stack page of that level. No alignment is checked. */

/* Read 4 or 8 bytes. */
EMU_MUST_USE enum step shadow_stack_load(struct vcpu *cpu, unsigned cpl, uint64_t la, unsigned size,
                                         uint64_t *value);

/* Read 8 bytes with the rights of a write, as the first half of a locked access does. */
EMU_MUST_USE enum step shadow_stack_lock(struct vcpu *cpu, unsigned cpl, uint64_t la,
                                         uint64_t *value);

/* May [la, la + bytes) be written? The fault is that of the lowest page that refuses. Nothing is written, but A and D bits
 * and TLB change as for the store. */
EMU_MUST_USE enum step shadow_stack_check(struct vcpu *cpu, unsigned cpl, uint64_t la,
                                          unsigned bytes);

/* Write 4 or 8 bytes. */
EMU_MUST_USE enum step shadow_stack_store(struct vcpu *cpu, unsigned cpl, uint64_t la,
                                          unsigned size, uint64_t value);

/* The supervisor shadow stack token at `ssp`: its own address, and busy in bit 0. APM vol 2, 18.6.3 "Supervisor Shadow Stack
 * Token". The check reads 8 bytes with the rights of a write, as a locked access does. *valid: the address is `ssp`, reserved
 * bits are 0, and busy is as given; `ssp` not aligned to 8 bytes is never valid. What an invalid token means is for the
 * caller to say: #GP(0), #CP or nothing. The store writes the token with that busy bit; it was found valid before, with the other. */
EMU_MUST_USE enum step shadow_stack_token_check(struct vcpu *cpu, unsigned cpl, uint64_t ssp,
                                                bool busy, bool *valid);
EMU_MUST_USE enum step shadow_stack_token_store(struct vcpu *cpu, unsigned cpl, uint64_t ssp,
                                                bool busy);

#endif

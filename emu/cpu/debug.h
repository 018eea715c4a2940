/* The debug registers: breakpoints on fetches, data and ports. APM vol 2, 13.1 "Software-Debug Resources".
 *
 * Nothing is looked at while DR7 enables no breakpoint. While it does, the run loop asks before each instruction, and
 * memory accesses take the slow door, which tells. Matches of data and ports are noted in cpu->traps. */
#ifndef EMU_CPU_DEBUG_H
#define EMU_CPU_DEBUG_H

#include "emu/cpu/raise.h"

/* Is any breakpoint enabled, of whatever kind? */
static inline bool debug_armed(const struct vcpu *cpu)
{
    return (cpu->regs.dr[7] & DR7_ENABLES) != 0;
}

/* Is any breakpoint on data enabled? */
bool debug_watches_data(const struct vcpu *cpu);

/* The instruction breakpoints on the instruction whose first byte, prefixes included, is at linear address `la`: bits
 * 3:0 as in DR6. Does not look at RF. */
unsigned debug_fetch_matches(const struct vcpu *cpu, uint64_t la);

/* An instruction has read or written data, or used a port. */
void debug_data_accessed(struct vcpu *cpu, uint64_t la, unsigned size, bool write);
void debug_port_accessed(struct vcpu *cpu, uint16_t port, unsigned size);

/* May MOV write the value to DRn? DR4 and DR5 are DR6 and DR7. */
bool debug_dr_ok(unsigned n, uint64_t value);

/* Write DRn. STEP_LEAVE where what is watched may have changed, else STEP_NEXT. */
EMU_MUST_USE enum step debug_set_dr(struct vcpu *cpu, unsigned n, uint64_t value);

#endif

/* The line that MONITOR watches. APM vol 3, "MONITOR", "MWAIT".
 *
 * CHOICE: a write to the line is seen by what it changed there: one that stores what stood there already is not. */
#ifndef EMU_CPU_MONITOR_H
#define EMU_CPU_MONITOR_H

#include "emu/cpu/state.h"

/* Watch the line of `spa`. What is not RAM cannot be watched: nothing is armed then. */
void monitor_arm(struct vcpu *cpu, uint64_t spa);

/* Is a line watched that nobody has changed? */
bool monitor_intact(const struct vcpu *cpu);

/* Wait for the line, in the way of HLT: by MWAIT and MWAITX. any_interrupt: interrupts end the wait even while RFLAGS.IF
 * masks them. for_ns: so does time; 0: it does not. */
void monitor_wait(struct vcpu *cpu, bool any_interrupt, uint64_t for_ns);

/* Has a wait ended, by the line, a masked interrupt or time? false while nothing waits. */
bool monitor_ended(const struct vcpu *cpu);

struct snap;

/* When the wait of MWAITX ends: emu/base/snap.h. */
void monitor_deadline_state(struct vcpu *cpu, struct snap *snap);

#endif

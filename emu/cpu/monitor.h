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

#endif

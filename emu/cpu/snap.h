/* The state of vCPUs and of their turns, for emu/base/snap.h. */
#ifndef EMU_CPU_SNAP_H
#define EMU_CPU_SNAP_H

#include "emu/base/snap.h"
#include "emu/cpu/state.h"

/* The sections of a vCPU: "cpu", "svm" and "tlb". Between two instructions only. */
void vcpu_state(struct vcpu *cpu, struct snap *snap);

/* The section "turns" of the group of a vCPU: whose turn it is, and the deadlines of the vCPUs themselves. To be loaded behind
 * all vCPUs; devices may ask the clock then. */
void group_state(struct vcpu *cpu, struct snap *snap);

/* Before a group is saved or hashed: bring the clock up to date, which nobody can see. */
void group_settle(struct vcpu *cpu);

/* After all of a machine was loaded, well or not: drop what is derived from anything. */
void group_loaded(struct vcpu *cpu);

#endif

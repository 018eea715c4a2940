/* Shadow stacks in hardware task switches. APM vol 2, 12.3.2 "Switching Tasks", 18.8 "Shadow Stack Operation for Task
 * Switches". */
#ifndef EMU_CPU_SHADOW_TASK_H
#define EMU_CPU_SHADOW_TASK_H

#include "emu/cpu/shadow_far.h"
#include "emu/cpu/task.h"

#define TSS_SSP 0x68u /* 4 bytes; a 32-bit TSS holds them while CR4.CET = 1 */

/* What the old task leaves for the new one. */
struct shadow_task {
    bool active;
    bool save;    /* a frame with the three values below goes to the new shadow stack */
    bool check;   /* the new task's CS:EIP are compared with the first two, SSP becomes the third */
    bool cleared; /* the token at `token`, of level `cpl`, is no longer busy */
    uint8_t cpl;  /* of the old task */
    uint32_t token;
    uint64_t cs, lip, ssp;
};

/* Before anything changes: IRET wants an aligned SSP, else #TS with the current task. */
EMU_MUST_USE enum step shadow_task_begin(struct vcpu *cpu, const struct task_switch *how);

/* Behind the commit point, with the old task's tables and level, which `new_cpl` is about to replace. */
EMU_MUST_USE enum step shadow_task_leave(struct vcpu *cpu, struct shadow_task *task,
                                         const struct task_switch *how, unsigned new_cpl);

/* In the new task: what can fail, with its SSP in `entry`; then what is left to do. */
EMU_MUST_USE enum step shadow_task_check(struct vcpu *cpu, const struct shadow_task *task,
                                         const struct task_switch *how, bool tss32,
                                         struct shadow_entry *entry);

/* The switch did not take place after all: SSP and the MSRs are restored, the token remains. */
void shadow_task_undo(struct vcpu *cpu, const struct shadow_task *task);

#endif

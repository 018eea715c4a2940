/* What task.c (the switch) and task_load.c (the new task's registers) share. */
#ifndef EMU_CPU_TASK_PRIV_H
#define EMU_CPU_TASK_PRIV_H

#include "emu/cpu/segment.h"

/* A task's registers as a TSS holds them. */
struct task_state {
    bool tss32;
    uint16_t ldt;
    uint32_t cr3, eip, eflags;
    uint32_t gpr[8];
    uint16_t seg[6]; /* by enum seg: ES, CS, SS, DS, FS, GS */
    bool trap;       /* the T bit */
};

/* Where the fields stand. APM vol 2, 12.2.4 "Legacy Task-State Segment". */
struct tss_layout {
    uint8_t bytes, old_limit; /* a new TSS has this size; an old one at least this limit */
    uint8_t size;             /* of EIP, EFLAGS and general registers */
    uint8_t eip, eflags, gpr, seg, seg_step, segs, ldt;
};

/* Behind the commit point: load everything and look at it in the new task's context. The first fault is returned, with
 * all that could be loaded loaded; a nested page fault goes before any. */
EMU_MUST_USE enum step task_load(struct vcpu *cpu, const struct task_state *task);

#endif

/* System-management mode. APM vol 2, chapter 10 "System-Management Mode", 15.22 "SMM Support". */
#ifndef EMU_CPU_SMM_H
#define EMU_CPU_SMM_H

#include "emu/cpu/raise.h"

/* The save-state area: 512 bytes from SMBASE + FE00h. */
#define SMM_SAVE_AT 0xfe00u
#define SMM_SAVE_BYTES 512u
#define SMM_ENTRY_IP 0x8000u
#define SMM_REVISION 0x30064u /* level 64h: AMD64; bits 16, 17: I/O restart, SMBASE relocation */

/* Does the SMI intercept of a guest act? Not while HWCR.SmmLock is set. APM vol 2, 15.32 "SMM-Lock". */
bool smm_is_intercepted(const struct vcpu *cpu);

/* #VMEXIT(SMI): the signal stays pending. */
EMU_MUST_USE enum step smm_vmexit(struct vcpu *cpu);

/* Take a pending SMI at an instruction boundary: save the state, enter SMM. Returns STEP_JUMP. A #DB trap that was due
 * comes behind RSM: its causes are in the save area if a port access made the SMI. CHOICE: else the processor keeps them,
 * for the manual has no place for them, and a debugger would lose its program. */
EMU_MUST_USE enum step smm_enter(struct vcpu *cpu);

/* RSM in SMM: STEP_JUMP, or STEP_STOP: the save area holds what makes the processor shut down. */
EMU_MUST_USE enum step smm_leave(struct vcpu *cpu);

/* WRMSR SMM_CTL. false: #GP(0). APM vol 2, 15.30.3 "SMM_CTL MSR (C001_0116h)". */
bool smm_control(struct vcpu *cpu, uint64_t value);

/* Physical memory as this processor sees it: to be called at each change of turn. Cheap when nothing has changed. */
void smm_view(struct vcpu *cpu);

/* SMM_ADDR, SMM_MASK or VM_CR changed: the view, and what this processor has derived from it. */
void smm_view_changed(struct vcpu *cpu);

/* Round a port access of an instruction whose EXITINFO1 for VMEXIT_IOIO is `info`: begin before, end after it. If the
 * access pulled SMI, end notes the instruction for smm_enter(). */
struct smm_io {
    bool pending;
};

static inline struct smm_io smm_io_begin(const struct vcpu *cpu)
{
    return (struct smm_io){ cpu->pins.smi };
}

void smm_note_io(struct vcpu *cpu, uint64_t info);

/* Is this the boundary behind the access that was noted last? */
bool smm_io_is_fresh(const struct vcpu *cpu);

static inline void smm_io_end(struct vcpu *cpu, struct smm_io io, uint64_t info)
{
    if (EMU_UNLIKELY(cpu->pins.smi && !io.pending))
        smm_note_io(cpu, info);
}

#endif

/* Control and debug registers, EFER: one door each. A door has two halves: *_ok() says whether a write is legal (#GP(0)
 * otherwise), so that intercepts find their place between check and effect; *_set() takes effect.
 * APM vol 2, 3.1 "System-Control Registers", 14.6 "Enabling and Activating Long Mode". */
#ifndef EMU_CPU_CONTROL_H
#define EMU_CPU_CONTROL_H

#include "emu/cpu/state.h"

struct svm_model;

/* Bits that exist in CR0; the others ignore writes and read 0. */
#define CR0_DEFINED                                                                            \
    (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | \
     CR0_PG)

/* Bits that the model implements; 1 in any other is #GP(0), or VMEXIT_INVALID in a VMCB. */
uint64_t control_cr4_valid(const struct vcpu *cpu);
uint64_t control_efer_valid(const struct vcpu *cpu);

/* What a reset takes from the processor model, after cpu_reset() and svm_reset(): EDX, the MSRs, what VMRUN must
 * know of the model. */
void control_reset(struct vcpu *cpu);

/* What VMRUN must know of cpu->model; of the vCPU nothing else is looked at. */
struct svm_model control_svm_model(const struct vcpu *cpu);

bool control_cr0_ok(const struct vcpu *cpu, uint64_t value);
void control_set_cr0(struct vcpu *cpu, uint64_t value);

/* CR3: bit 63 asks for no flush when CR4.PCIDE = 1; it is not stored. */
bool control_cr3_ok(const struct vcpu *cpu, uint64_t value);
void control_set_cr3(struct vcpu *cpu, uint64_t value);

/* The CR3 of a task switch while CR0.PG = 1. It cannot fail, and the CR3 intercepts do not look at it. */
void control_load_cr3_task(struct vcpu *cpu, uint32_t cr3);

bool control_cr4_ok(const struct vcpu *cpu, uint64_t value);
void control_set_cr4(struct vcpu *cpu, uint64_t value);

bool control_efer_ok(const struct vcpu *cpu, uint64_t value);
void control_set_efer(struct vcpu *cpu, uint64_t value);

/* CR8: V_TPR in a guest with V_INTR_MASKING, else the APIC's TPR bits 7:4. */
uint8_t control_cr8(const struct vcpu *cpu);
void control_set_cr8(struct vcpu *cpu, uint8_t value);

/* The PCID that tags the current address space: 0 unless CR4.PCIDE = 1. */
static inline uint16_t control_pcid(const struct vcpu *cpu)
{
    return cpu->regs.cr4 & CR4_PCIDE ? (uint16_t)(cpu->regs.cr3 & 0xfff) : 0;
}

#endif

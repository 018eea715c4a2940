/* Mistakes of hypervisors that the architecture lets pass: told as guest errors, no effect. */
#ifndef SVM_MISTAKES_H
#define SVM_MISTAKES_H

#include "svm/svm.h"
#include "svm/vmcb.h"

/* A map is looked at, at `spa`: its address is not in memory, or not that of a page.
 * field  IOPM_BASE_PA or MSRPM_BASE_PA */
void svm_tell_map(struct vcpu *cpu, enum vmcb_field field, uint64_t spa);

/* An event that is injected into protected mode, with or without an error code. */
void svm_tell_injected_code(struct vcpu *cpu, const struct event *event, uint64_t word);

/* VM_HSAVE_PA, and where the VMCB is. */
void svm_tell_host_save_area(struct vcpu *cpu, uint64_t hsave_spa);

#endif

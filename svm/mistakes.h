/* Mistakes of hypervisors that the architecture lets pass: told as guest errors, no effect. */
#ifndef SVM_MISTAKES_H
#define SVM_MISTAKES_H

#include "svm/svm.h"
#include "svm/vmcb.h"

/* Somebody listens, and VMRUN has loaded a guest.
 * page  the VMCB as VMRUN took it */
void svm_tell_mistakes(struct vcpu *cpu, const uint8_t *page);

/* A byte of a map is looked at that is not in memory.
 * field  IOPM_BASE_PA or MSRPM_BASE_PA */
void svm_tell_map_outside_memory(struct vcpu *cpu, enum vmcb_field field, uint64_t spa);

#endif

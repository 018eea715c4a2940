/* Mistakes of hypervisors that the architecture lets pass: told as guest errors, no effect. */
#ifndef SVM_MISTAKES_H
#define SVM_MISTAKES_H

#include "svm/svm.h"

/* IOPM_BASE_PA and MSRPM_BASE_PA, of which bits 11:0 are ignored and not all 0. */
void svm_tell_unaligned_maps(struct vcpu *cpu, uint64_t iopm, uint64_t msrpm);

/* A byte of a map is looked at. */
void svm_tell_map_outside_memory(struct vcpu *cpu, const char *map, uint64_t spa);

/* An event that is injected into protected mode, with or without an error code. */
void svm_tell_injected_code(struct vcpu *cpu, const struct event *event, uint64_t word);

/* VM_HSAVE_PA, and where the VMCB is. */
void svm_tell_host_save_area(struct vcpu *cpu, uint64_t hsave_spa);

#endif

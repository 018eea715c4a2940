/* The SVM state of a vCPU and its cache of VMCB fields, for emu/base/snap.h. */
#ifndef SVM_SNAP_H
#define SVM_SNAP_H

#include "emu/base/snap.h"
#include "svm/svm.h"

/* The section "svm" of a vCPU. */
void svm_state_snap(struct vcpu *cpu, struct snap *snap);

/* An event that is on its way; of none no more than that is named. */
void svm_event_snap(struct snap *snap, const char *name, struct event *event);

#endif

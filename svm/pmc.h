/* Performance counters of guests: PMC virtualization. APM vol 2, 15.39 "Performance Monitoring Counter Virtualization". */
#ifndef SVM_PMC_H
#define SVM_PMC_H

#include "svm/world.h"

/* VMRUN with the enable: the counters become the guest's. `vmcb` is memory: no clean bit covers them. */
EMU_COLD void svm_pmc_enter(struct vcpu *cpu, const uint8_t *vmcb, const struct svm_page *hsave);

/* #VMEXIT of such a guest, before VINTR_CONTROL is saved. */
EMU_COLD void svm_pmc_leave(struct vcpu *cpu, const struct svm_page *vmcb,
                            const struct svm_page *hsave);

/* A counter has overflowed that asks for its interrupt: who owns it gets that. */
EMU_COLD void svm_pmc_overflow(struct vcpu *cpu);

#endif

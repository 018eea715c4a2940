/* The registers of shadow stacks at a world switch. APM vol 2, 15.5.1 "Basic Operation", appendix B "VMCB Layout". */
#ifndef SVM_SHADOW_H
#define SVM_SHADOW_H

#include "svm/world.h"

/* S_CET, SSP and ISST_ADDR all together, of the processor and of a VMCB: while every one of them is 0, as without shadow
 * stacks, there is nothing to move. */
EMU_INLINE uint64_t svm_shadow_used(const struct vcpu *cpu, const uint8_t *page)
{
    return cpu->shadow.s_cet | cpu->shadow.ssp | cpu->shadow.isst | VMCB_GET(page, S_CET) |
           VMCB_GET(page, SSP) | VMCB_GET(page, ISST_ADDR);
}

/* VMRUN where they are used: the host's go to the host save page, the guest's are loaded. Nothing if the model has none. */
EMU_COLD void svm_shadow_enter(struct vcpu *cpu, const uint8_t *vmcb, const struct svm_page *hsave);

/* #VMEXIT where they are used, or were at VMRUN: the other way round. */
EMU_COLD void svm_shadow_leave(struct vcpu *cpu, const struct svm_page *vmcb,
                               const struct svm_page *hsave);

#endif

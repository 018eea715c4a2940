/* Control-transfer recording of guests: LBR virtualization. APM vol 2, 15.23.1 "Hardware Acceleration for LBR
 * Virtualization". */
#ifndef SVM_LBR_H
#define SVM_LBR_H

#include "svm/world.h"

/* VMRUN with LBR_VIRTUALIZATION_ENABLE: the host's five registers go to the host save page, the guest's are loaded. */
EMU_COLD void svm_lbr_enter(struct vcpu *cpu, const uint8_t *vmcb, const struct svm_page *hsave);

/* #VMEXIT: the other way round. */
EMU_COLD void svm_lbr_leave(struct vcpu *cpu, const struct svm_page *vmcb,
                            const struct svm_page *hsave);

#endif

/* AVIC and x2AVIC: the guest's local APIC as a page of memory that processor and hypervisor share. APM vol 2, 15.29
 * "Advanced Virtual Interrupt Controller". All act on cpu->svm->avic. */
#ifndef SVM_AVIC_H
#define SVM_AVIC_H

#include "svm/svm.h"

/* VMRUN of a VMCB with AVIC_ENABLE, behind load_nested(): take its fields over and look for interrupts. */
void svm_avic_load(struct vcpu *cpu, const uint8_t *vmcb);

/* The guest is left: by #VMEXIT, SMI or INIT. */
void svm_avic_leave(struct svm_state *svm);

/* Look at the backing page: bring its PPR up to date and find the interrupt to be delivered. What others write into the page
 * is not seen before. */
void svm_avic_evaluate(struct vcpu *cpu);

/* A doorbell has reached this processor: nothing outside of guests with AVIC. */
void svm_avic_doorbell(struct vcpu *cpu);

/* The interrupt is taken: from IRR to ISR. Returns its vector, or -1 when it has gone from the page meanwhile. */
int svm_avic_acknowledge(struct vcpu *cpu);

/* A performance counter of the guest's has overflowed: the LVT entry in the page says what becomes of it. */
void svm_avic_perf(struct vcpu *cpu);

/* MOV to CR8 and its kin: V_TPR and the page, whatever V_INTR_MASKING says. */
void svm_avic_set_tpr(struct vcpu *cpu, uint8_t tpr);

/* An access of `size` bytes within the page of the local APIC: before, does it exit instead? STEP_NEXT or STEP_RAISED. */
EMU_MUST_USE enum step svm_avic_check(struct vcpu *cpu, unsigned offset, unsigned size, bool write);
/* It was written, at system physical address `spa`: what that does. */
void svm_avic_written(struct vcpu *cpu, uint64_t spa, unsigned size);

/* Was VMEXIT_AVIC_NOACCEL with this EXITINFO1 made instead of the access, and not behind it? */
bool svm_avic_is_fault(const struct svm_state *svm, uint64_t info1);

/* Is this an x2APIC register of the guest's, not the processor's? */
static inline bool svm_avic_has_msr(const struct vcpu *cpu, uint32_t number)
{
    return cpu->svm->avic.x2 && number - 0x800u < 0x100u;
}

/* RDMSR, WRMSR of one behind the permission map. STEP_NEXT, or STEP_RAISED: #GP(0) or #VMEXIT. */
EMU_MUST_USE enum step svm_avic_read_msr(struct vcpu *cpu, uint32_t number, uint64_t *value);
EMU_MUST_USE enum step svm_avic_write_msr(struct vcpu *cpu, uint32_t number, uint64_t value);

#endif

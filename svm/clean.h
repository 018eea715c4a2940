/* The cache of VMCB fields that the clean bits speak of. APM vol 2, 15.15 "VMCB State Caching". */
#ifndef SVM_CLEAN_H
#define SVM_CLEAN_H

#include "svm/vmcb.h"

struct snap;

/* One guest, the last one that this vCPU ran. What is kept of the control area is what VMRUN loaded, what is kept of the
 * save area is what #VMEXIT left. Part of the architectural state. */
struct svm_clean {
    bool in_use; /* a VMRUN has had a clean bit: until then nothing is kept */
    bool valid;  /* between #VMEXIT and the next VMRUN: the guest at `spa` is here */
    bool
        whole; /* in VMRUN: all of VMCB_CLEAN_WHOLE was honoured and every rule but those by CPUID feature is known to
                  * hold. Registers come from `regs`, and what is still in struct svm_state need not be loaded */
    uint64_t spa;
    uint64_t host_cr0, host_cr4,
        host_efer;                 /* at the last VMRUN: rules and nested paging depend on them */
    uint32_t intercept[6];         /* as VMRUN uses them */
    struct cpu_regs regs;          /* the fields of CRX, DRX, DT and SEG */
    uint8_t page[VMCB_PAGE_BYTES]; /* those of the other clean bits, and in VMRUN the merged VMCB */
};

#define VMCB_CLEAN_REGS (uint32_t)(VMCB_CLEAN_CRX | VMCB_CLEAN_DRX | VMCB_CLEAN_DT | VMCB_CLEAN_SEG)
#define VMCB_CLEAN_WHOLE \
    (VMCB_CLEAN_REGS | VMCB_CLEAN_I | VMCB_CLEAN_IOPM | VMCB_CLEAN_ASID | VMCB_CLEAN_NP)

/* The VMCB as VMRUN is to see it: memory, or where clean bits are honoured the merger of cache and memory. When the guest is
 * whole the fields of VMCB_CLEAN_REGS are in `regs` alone. */
const uint8_t *svm_clean_merge(struct vcpu *cpu, uint64_t vmcb_spa, const uint8_t *vmcb);

/* Load the registers of a guest that is whole: svm_load_world() and svm_load_guest() in one. */
void svm_clean_load(struct vcpu *cpu);

/* All that is kept, as a page with the fields that clean bits cover. */
void svm_clean_copy(const struct svm_clean *clean, uint8_t *page);

/* RSM: what is kept is not of the guest that goes on. */
void svm_clean_forget(struct svm_clean *clean);

/* #VMEXIT has written the guest to its VMCB: keep it, if it is the one that VMRUN has merged last. */
void svm_clean_keep(struct vcpu *cpu, const uint8_t *vmcb);

/* emu/base/snap.h: what is kept, by fields. */
void svm_clean_snap(struct vcpu *cpu, struct snap *snap);

#endif

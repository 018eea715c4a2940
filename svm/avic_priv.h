/* Shared by the avic*.c files only. */
#ifndef SVM_AVIC_PRIV_H
#define SVM_AVIC_PRIV_H

#include "svm/avic.h"

/* Registers by their offset in the page / 16, which is also the x2APIC MSR number - 800h. */
enum avic_slot {
    SLOT_ID = 0x02,
    SLOT_VERSION = 0x03,
    SLOT_TPR = 0x08,
    SLOT_APR = 0x09,
    SLOT_PPR = 0x0a,
    SLOT_EOI = 0x0b,
    SLOT_RRR = 0x0c,
    SLOT_LDR = 0x0d,
    SLOT_DFR = 0x0e,
    SLOT_SVR = 0x0f,
    SLOT_ISR = 0x10,
    SLOT_TMR = 0x18,
    SLOT_IRR = 0x20,
    SLOT_ESR = 0x28,
    SLOT_ICR_LOW = 0x30,
    SLOT_ICR_HIGH = 0x31,
    SLOT_LVT = 0x32, /* timer, thermal, performance, LINT0, LINT1, error */
    SLOT_LVT_TIMER = 0x32,
    SLOT_LVT_PERF = 0x34,
    SLOT_LVT_LINT0 = 0x35,
    SLOT_LVT_LINT1 = 0x36,
    SLOT_LVT_ERROR = 0x37,
    SLOT_INITIAL = 0x38,
    SLOT_COUNT = 0x39,
    SLOT_DIVIDE = 0x3e,
    SLOT_SELF_IPI = 0x3f, /* x2APIC only */
    SLOT_EXT_FEATURE = 0x40,
    SLOT_EXT_CONTROL = 0x41,
    SLOT_SEOI = 0x42,
    SLOT_IER = 0x48,
    SLOT_EXT_LVT = 0x50,
    SLOT_END = 0x54
};

/* How the filter treats an access. APM vol 2, 15.29.3.1 "Virtual APIC Register Accesses", table 15-22. */
enum avic_access { AVIC_ALLOW, AVIC_TRAP, AVIC_FAULT };
enum avic_access svm_avic_access(const struct svm_state *svm, unsigned slot, bool write);

/* EXITINFO1 of VMEXIT_AVIC_NOACCEL. */
static inline uint64_t svm_avic_noaccel(unsigned slot, bool write)
{
    return (uint64_t)slot << 4 | (uint64_t)write << 32;
}

/* #VMEXIT behind the instruction. */
void svm_avic_trap(struct vcpu *cpu, uint16_t code, uint64_t info1, uint64_t info2);

/* Registers in the backing page `page`, which may be of another vCPU, and may be no RAM. */
uint32_t svm_avic_get(const struct vcpu *cpu, uint64_t page, unsigned slot);
void svm_avic_put(struct vcpu *cpu, uint64_t page, unsigned slot, uint32_t value);

/* What a write to `slot` does once the value is in `page`. */
void svm_avic_effect(struct vcpu *cpu, uint64_t page, unsigned slot);

/* avic_ipi.c: the message in the ICR. */
void svm_avic_send(struct vcpu *cpu, uint32_t icr_low, uint32_t icr_high);

#endif

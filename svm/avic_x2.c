/* x2AVIC: the guest's x2APIC registers, MSRs 800h-8FFh. APM vol 2, 15.29.10 "x2AVIC", 16.11 "Accessing x2APIC Register".
 *
 * CHOICE: "access checks" that come before the filter are those of the registers themselves: what does not exist, cannot be
 * read or written, or has reserved bits makes #GP(0), as in a processor's own x2APIC. So the exits of table 15-22 for writes of
 * read-only registers are never made.
 * CHOICE: the timer's entry has no TSC-deadline mode. */
#include "svm/avic_priv.h"

#define MSR_X2APIC 0x800u
#define LVT_BITS 0x117ffu       /* mask, delivery status, message type, vector */
#define LVT_TIMER_BITS 0x310ffu /* periodic, mask, delivery status, vector */
#define LVT_LINT_BITS 0x1d7ffu  /* also trigger mode and remote IRR */
#define ICR_LOW_BITS 0xccfffu
#define SHORTHAND_SELF 0x40000u

/* Table 16-6, less what is not in this mode. */
static bool exists(const struct svm_state *svm, unsigned slot)
{
    if (slot >= SLOT_EXT_FEATURE)
        return svm->model.ext_apic && slot < SLOT_END && (slot <= SLOT_SEOI || slot >= SLOT_IER);
    if (slot >= SLOT_ISR && slot <= SLOT_ESR)
        return true;
    if (slot >= SLOT_LVT && slot <= SLOT_COUNT)
        return true;
    switch (slot) {
    case SLOT_ID:
    case SLOT_VERSION:
    case SLOT_TPR:
    case SLOT_APR:
    case SLOT_PPR:
    case SLOT_EOI:
    case SLOT_LDR:
    case SLOT_SVR:
    case SLOT_ICR_LOW:
    case SLOT_DIVIDE:
    case SLOT_SELF_IPI: return true;
    default: return false;
    }
}

static bool is_read_only(unsigned slot)
{
    switch (slot) {
    case SLOT_ID:
    case SLOT_VERSION:
    case SLOT_APR:
    case SLOT_PPR:
    case SLOT_LDR:
    case SLOT_COUNT:
    case SLOT_EXT_FEATURE: return true;
    default: return slot >= SLOT_ISR && slot < SLOT_IRR + 8;
    }
}

/* Which bits may be 1. */
static uint64_t writable_bits(unsigned slot)
{
    switch (slot) {
    case SLOT_TPR:
    case SLOT_SELF_IPI:
    case SLOT_SEOI: return 0xff;
    case SLOT_EOI:
    case SLOT_ESR: return 0;
    case SLOT_SVR: return 0x3ff;
    case SLOT_ICR_LOW: return UINT64_C(0xffffffff00000000) | ICR_LOW_BITS;
    case SLOT_LVT_TIMER: return LVT_TIMER_BITS;
    case SLOT_LVT_LINT0:
    case SLOT_LVT_LINT1: return LVT_LINT_BITS;
    case SLOT_DIVIDE: return 0xb;
    case SLOT_EXT_CONTROL: return 7;
    default: break;
    }
    if ((slot > SLOT_LVT_TIMER && slot <= SLOT_LVT_ERROR) || slot >= SLOT_EXT_LVT)
        return LVT_BITS;
    return UINT32_MAX;
}

static enum step refuse(struct vcpu *cpu, uint32_t number, bool write)
{
    cpu_guest_error(cpu, "%s of x2APIC MSR %#x is not possible", write ? "WRMSR" : "RDMSR", number);
    return cpu_raise_code(cpu, EXC_GP, 0);
}

enum step svm_avic_read_msr(struct vcpu *cpu, uint32_t number, uint64_t *value)
{
    const struct svm_state *svm = cpu->svm;
    unsigned slot = number - MSR_X2APIC;
    if (!exists(svm, slot) || slot == SLOT_EOI || slot == SLOT_SELF_IPI)
        return refuse(cpu, number, false);
    if (svm_avic_access(svm, slot, false) == AVIC_FAULT)
        return cpu_raise_exit(cpu, VMEXIT_AVIC_NOACCEL, svm_avic_noaccel(slot, false), 0);
    *value = svm_avic_get(cpu, svm->avic.backing_spa, slot);
    if (slot == SLOT_ICR_LOW)
        *value |= (uint64_t)svm_avic_get(cpu, svm->avic.backing_spa, SLOT_ICR_HIGH) << 32;
    return STEP_NEXT;
}

/* The message types that x2APIC does not have are reserved too: lowest priority, remote read, external interrupt. */
static bool is_legal(unsigned slot, uint64_t value)
{
    unsigned type = value >> 8 & 7;
    if (value & ~writable_bits(slot))
        return false;
    return slot != SLOT_ICR_LOW || (type != 1 && type != 3 && type != 7);
}

/* CHOICE: SELF_IPI is told by EXITINFO1 as the ICR that does the same. */
enum step svm_avic_write_msr(struct vcpu *cpu, uint32_t number, uint64_t value)
{
    const struct svm_state *svm = cpu->svm;
    unsigned slot = number - MSR_X2APIC;
    uint64_t page = svm->avic.backing_spa;
    if (!exists(svm, slot) || is_read_only(slot) || !is_legal(slot, value))
        return refuse(cpu, number, true);
    if (svm_avic_access(svm, slot, true) == AVIC_FAULT)
        return cpu_raise_exit(cpu, VMEXIT_AVIC_NOACCEL, svm_avic_noaccel(slot, true), 0);
    svm_avic_put(cpu, page, slot, (uint32_t)value);
    if (slot == SLOT_ICR_LOW)
        svm_avic_put(cpu, page, SLOT_ICR_HIGH, (uint32_t)(value >> 32));
    if (slot == SLOT_SELF_IPI)
        svm_avic_send(cpu, (uint32_t)value | SHORTHAND_SELF, 0);
    else
        svm_avic_effect(cpu, page, slot);
    return STEP_NEXT;
}

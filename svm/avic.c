/* AVIC: the backing page, what may be done with its registers, and which interrupt is delivered.
 *
 * CHOICE: VMRUN takes TPR from the backing page and V_TPR from the VMCB as they are; whoever runs the guest keeps them alike.
 * CHOICE: PPR is computed from TPR and ISR each time the page is looked at; what the page says of it is not believed. */
#include "svm/avic_priv.h"
#include "svm/vintr.h"
#include "svm/vmcb.h"

#define PAGE_MASK UINT64_C(0xfff)
#define TPR_CLASS 0xf0u

/* --- the page --- */

uint32_t svm_avic_get(const struct vcpu *cpu, uint64_t page, unsigned slot)
{
    return (uint32_t)phys_read(cpu->memory, page + slot * UINT64_C(16), 4);
}

void svm_avic_put(struct vcpu *cpu, uint64_t page, unsigned slot, uint32_t value)
{
    phys_write(cpu->memory, page + slot * UINT64_C(16), 4, value);
}

/* The highest bit of ISR or IRR, or -1. */
static int highest(const struct vcpu *cpu, uint64_t page, unsigned slot)
{
    const uint8_t *ptr = memory_ptr(cpu->memory, page, VMCB_PAGE_BYTES);
    for (unsigned i = 8; i-- > 0;) {
        uint32_t bits = EMU_LIKELY(ptr != NULL) ? (uint32_t)vmcb_load(ptr, (slot + i) * 16, 4)
                                                : svm_avic_get(cpu, page, slot + i);
        if (bits)
            return (int)(32 * i + 63 - EMU_CLZ64(bits));
    }
    return -1;
}

static void flip(struct vcpu *cpu, unsigned slot, unsigned vector)
{
    uint64_t page = cpu->svm->avic.backing_spa;
    slot += vector / 32;
    svm_avic_put(cpu, page, slot, svm_avic_get(cpu, page, slot) ^ 1u << vector % 32);
}

/* --- delivery --- */

/* APM vol 2, 16.6.4 "Interrupt Masking and Processor Priority" as the page shows it. */
void svm_avic_evaluate(struct vcpu *cpu)
{
    struct svm_avic *avic = &cpu->svm->avic;
    uint64_t page = avic->backing_spa;
    uint8_t ppr = (uint8_t)svm_avic_get(cpu, page, SLOT_TPR);
    int in_service = highest(cpu, page, SLOT_ISR), requested = highest(cpu, page, SLOT_IRR);
    if (in_service >> 4 > ppr >> 4)
        ppr = (uint8_t)in_service & TPR_CLASS;
    if (svm_avic_get(cpu, page, SLOT_PPR) != ppr)
        svm_avic_put(cpu, page, SLOT_PPR, ppr);
    avic->vector = requested >> 4 > ppr >> 4 ? (uint8_t)requested : 0;
    if (avic->vector)
        cpu_attention(cpu);
}

void svm_avic_doorbell(struct vcpu *cpu)
{
    if (cpu->svm->avic.on)
        svm_avic_evaluate(cpu);
}

int svm_avic_acknowledge(struct vcpu *cpu)
{
    struct svm_avic *avic = &cpu->svm->avic;
    svm_avic_evaluate(cpu);
    unsigned vector = avic->vector;
    if (!vector)
        return -1;
    flip(cpu, SLOT_IRR, vector);
    if (!(svm_avic_get(cpu, avic->backing_spa, SLOT_ISR + vector / 32) >> vector % 32 & 1))
        flip(cpu, SLOT_ISR, vector);
    svm_avic_evaluate(cpu);
    return (int)vector;
}

#define LVT_MASKED (1u << 16)
#define LVT_TYPE_SHIFT 8
#define LVT_TYPE_INTR 0u
#define LVT_TYPE_NMI 4u

/* APM vol 2, 15.39, 16.4.4 "Performance Monitor Counter Interrupts". CHOICE: message types but INTR and NMI, and vectors below
 * 16, interrupt nobody: the manual asks not to use them. */
void svm_avic_perf(struct vcpu *cpu)
{
    uint64_t page = cpu->svm->avic.backing_spa;
    uint32_t lvt = svm_avic_get(cpu, page, SLOT_LVT_PERF), type = lvt >> LVT_TYPE_SHIFT & 7;
    uint8_t vector = (uint8_t)lvt;
    if (lvt & LVT_MASKED)
        return;
    if (type == LVT_TYPE_NMI)
        svm_raise_vnmi(cpu);
    if (type != LVT_TYPE_INTR || vector < 16)
        return;
    if (!(svm_avic_get(cpu, page, SLOT_IRR + vector / 32u) >> vector % 32 & 1))
        flip(cpu, SLOT_IRR, vector);
    svm_avic_evaluate(cpu);
}

void svm_avic_load(struct vcpu *cpu, const uint8_t *vmcb)
{
    struct svm_state *svm = cpu->svm;
    uint64_t physical = VMCB_GET(vmcb, AVIC_PHYSICAL_TABLE);
    bool x2 = (svm->model.features & SVM_FEATURE_X2AVIC) &&
              (VMCB_GET(vmcb, VINTR_CONTROL) & VINTR_X2AVIC_ENABLE);
    svm->avic = (struct svm_avic){ .on = true,
                                   .x2 = x2,
                                   .backing_spa = VMCB_GET(vmcb, AVIC_BACKING_PAGE) & ~PAGE_MASK,
                                   .logical_spa = VMCB_GET(vmcb, AVIC_LOGICAL_TABLE) & ~PAGE_MASK,
                                   .physical_spa = physical & ~PAGE_MASK,
                                   .max_index = (uint16_t)(physical & PAGE_MASK) };
    if (!x2) { /* 15.29.10: APIC_BAR is not used by x2AVIC */
        svm->host_regime.apic_gpa = (VMCB_GET(vmcb, AVIC_APIC_BAR) & ~PAGE_MASK) | 1;
        svm->host_regime.apic_spa = svm->avic.backing_spa;
    }
    svm_avic_evaluate(cpu);
}

void svm_avic_leave(struct svm_state *svm)
{
    svm->avic = (struct svm_avic){ .on = false };
    svm->host_regime.apic_gpa = 0;
}

/* --- the filter --- */

#define READ_FAULT 1u
#define WRITE_FAULT 2u
#define WRITE_TRAP 4u

/* Of the registers below 400h. What is not named is memory. */
static uint8_t rule_of(unsigned slot)
{
    if (slot >= SLOT_ISR && slot < SLOT_IRR + 8)
        return WRITE_FAULT;
    if (slot >= SLOT_LVT && slot <= SLOT_LVT_ERROR)
        return WRITE_TRAP;
    switch (slot) {
    case SLOT_APR:
    case SLOT_COUNT: return READ_FAULT | WRITE_FAULT;
    case SLOT_VERSION:
    case SLOT_PPR: return WRITE_FAULT;
    case SLOT_ID:
    case SLOT_RRR:
    case SLOT_LDR:
    case SLOT_DFR:
    case SLOT_SVR:
    case SLOT_ESR:
    case SLOT_INITIAL:
    case SLOT_DIVIDE: return WRITE_TRAP;
    default: return 0;
    }
}

static uint8_t extended_rule_of(const struct svm_state *svm, unsigned slot)
{
    bool named = slot <= SLOT_SEOI || slot >= SLOT_IER;
    bool lvt = slot >= SLOT_EXT_LVT && slot < SLOT_END;
    if (lvt && (svm->model.features & SVM_FEATURE_EXT_LVT_AVIC))
        return WRITE_TRAP;
    return named ? READ_FAULT | WRITE_FAULT : 0;
}

enum avic_access svm_avic_access(const struct svm_state *svm, unsigned slot, bool write)
{
    uint8_t rule = slot < SLOT_EXT_FEATURE ? rule_of(slot) : extended_rule_of(svm, slot);
    if (rule & (write ? WRITE_FAULT : READ_FAULT))
        return AVIC_FAULT;
    return write && (rule & WRITE_TRAP) ? AVIC_TRAP : AVIC_ALLOW;
}

bool svm_avic_is_fault(const struct svm_state *svm, uint64_t info1)
{
    return svm_avic_access(svm, info1 >> 4 & 0xff, info1 >> 32 & 1) == AVIC_FAULT;
}

/* CHOICE: accesses that are not an aligned doubleword, which the manual leaves undefined, are judged by all registers whose 16
 * bytes they touch, the lowest first. Through a translation from before AVIC was switched off there is no filter. */
enum step svm_avic_check(struct vcpu *cpu, unsigned offset, unsigned size, bool write)
{
    const struct svm_state *svm = cpu->svm;
    if (!svm->avic.on || svm->avic.x2)
        return STEP_NEXT;
    for (unsigned slot = offset >> 4; slot <= (offset + size - 1) >> 4; slot++)
        if (svm_avic_access(svm, slot, write) == AVIC_FAULT)
            return cpu_raise_exit(cpu, VMEXIT_AVIC_NOACCEL, svm_avic_noaccel(slot, write), 0);
    return STEP_NEXT;
}

/* --- what writes do --- */

/* CHOICE: of several exits that one instruction earns the first is made. */
void svm_avic_trap(struct vcpu *cpu, uint16_t code, uint64_t info1, uint64_t info2)
{
    struct svm_avic *avic = &cpu->svm->avic;
    if (avic->trapped)
        return;
    avic->trapped = true;
    avic->trap_code = code;
    avic->trap_info1 = info1;
    avic->trap_info2 = info2;
    cpu_attention(cpu);
}

/* The ISR bit of a level-triggered interrupt is left to the hypervisor, which is told the vector. */
static void end_of_interrupt(struct vcpu *cpu)
{
    uint64_t page = cpu->svm->avic.backing_spa;
    int found = highest(cpu, page, SLOT_ISR);
    if (found < 0)
        return;
    unsigned vector = (unsigned)found;
    if (svm_avic_get(cpu, page, SLOT_TMR + vector / 32) >> vector % 32 & 1) {
        svm_avic_trap(cpu, VMEXIT_AVIC_NOACCEL, svm_avic_noaccel(SLOT_EOI, true), vector);
        return;
    }
    flip(cpu, SLOT_ISR, vector);
    svm_avic_evaluate(cpu);
}

void svm_avic_effect(struct vcpu *cpu, uint64_t page, unsigned slot)
{
    switch (slot) {
    case SLOT_TPR:
        cpu->svm->v_tpr = (uint8_t)svm_avic_get(cpu, page, SLOT_TPR) >> 4;
        svm_avic_evaluate(cpu);
        break;
    case SLOT_EOI: end_of_interrupt(cpu); break;
    case SLOT_ICR_LOW:
        svm_avic_send(cpu, svm_avic_get(cpu, page, SLOT_ICR_LOW),
                      svm_avic_get(cpu, page, SLOT_ICR_HIGH));
        break;
    default:
        if (svm_avic_access(cpu->svm, slot, true) == AVIC_TRAP)
            svm_avic_trap(cpu, VMEXIT_AVIC_NOACCEL, svm_avic_noaccel(slot, true), 0);
        break;
    }
}

void svm_avic_written(struct vcpu *cpu, uint64_t spa, unsigned size)
{
    const struct svm_avic *avic = &cpu->svm->avic;
    unsigned offset = (unsigned)(spa & PAGE_MASK), end = offset + size;
    if (!avic->on || avic->x2)
        return;
    for (unsigned slot = offset >> 4; slot * 16 < end; slot++)
        if (offset < slot * 16 + 4) /* the register itself, not the bytes behind it */
            svm_avic_effect(cpu, spa & ~PAGE_MASK, slot);
}

/* 15.29.3.1 "Task Priority Register (TPR)": bits 3:0 become 0. */
void svm_avic_set_tpr(struct vcpu *cpu, uint8_t tpr)
{
    cpu->svm->v_tpr = tpr >> 4;
    svm_avic_put(cpu, cpu->svm->avic.backing_spa, SLOT_TPR, tpr);
    svm_avic_evaluate(cpu);
}

/* AVIC: interprocessor interrupts. APM vol 2, 15.29.6.1 "Interprocessor Interrupts", 15.29.9.1 "AVIC IPI Delivery Not
 * Completed".
 *
 * CHOICE: all targets are looked up before any of them gets the interrupt, so that one that cannot be reached (reasons 2 and 3)
 * leaves no trace. One that does not run (reason 1) does not hold the others up; the first is told. */
#include "svm/avic_priv.h"

#define ICR_TYPE 0x700u
#define ICR_LOGICAL 0x800u
#define ICR_LEVEL 0x8000u
#define ICR_SHORTHAND_SHIFT 18
#define DFR_CLUSTER 0u

#define ENTRY_VALID (UINT64_C(1) << 63)
#define ENTRY_RUNNING (UINT64_C(1) << 62)
#define ENTRY_PAGE UINT64_C(0x000ffffffffff000)
#define LOGICAL_VALID 0x80000000u
#define LOGICAL_RESERVED 0x7fffff00u
#define LOGICAL_CLUSTERS 15u

enum shorthand { TO_DESTINATION, TO_SELF, TO_ALL, TO_OTHERS };

/* EXITINFO2[63:32]. Table 15-27. */
enum reason {
    REASON_TYPE = 0,
    REASON_NOT_RUNNING = 1,
    REASON_TARGET = 2,
    REASON_PAGE = 3,
    REASON_VECTOR = 4,
    REASON_NONE
};

struct target {
    uint64_t page;
    unsigned index; /* as EXITINFO2 tells it: of the table that named it */
    uint16_t host_id;
    bool running;
};

struct ipi {
    uint32_t low, high; /* the ICR */
    uint8_t vector;
    bool waits; /* a target did not run: */
    unsigned not_running;
};

#define TARGETS_MAX 16u /* a cluster of x2APIC */

/* --- tables --- */

/* CHOICE: a backing page is invalid beyond the physical address width; one that is no RAM is accessed where it leads. */
static enum reason look_up(const struct vcpu *cpu, uint32_t id, struct target *target)
{
    const struct svm_avic *avic = &cpu->svm->avic;
    if (id > avic->max_index)
        return REASON_TARGET;
    uint64_t entry = phys_read(cpu->memory, avic->physical_spa + id * UINT64_C(8), 8);
    if (!(entry & ENTRY_VALID))
        return REASON_TARGET;
    target->index = id;
    target->page = entry & ENTRY_PAGE;
    target->host_id = entry & 0xfff;
    target->running = entry & ENTRY_RUNNING;
    return target->page >> cpu->svm->model.maxphyaddr ? REASON_PAGE : REASON_NONE;
}

/* CHOICE: reserved bits of an entry count as part of the ID, which then is above 255; cluster 15 has no entries. */
static enum reason look_up_logical(const struct vcpu *cpu, unsigned index, struct target *target)
{
    uint64_t spa = cpu->svm->avic.logical_spa + index * UINT64_C(4);
    if (index >= 4 * LOGICAL_CLUSTERS)
        return REASON_TARGET;
    uint32_t entry = (uint32_t)phys_read(cpu->memory, spa, 4);
    if (!(entry & LOGICAL_VALID) || (entry & LOGICAL_RESERVED))
        return REASON_TARGET;
    enum reason reason = look_up(cpu, entry & 0xff, target);
    target->index = index;
    return reason;
}

/* --- delivery --- */

static void incomplete(struct vcpu *cpu, const struct ipi *ipi, enum reason reason, unsigned index)
{
    svm_avic_trap(cpu, VMEXIT_AVIC_INCOMPLETE_IPI, (uint64_t)ipi->high << 32 | ipi->low,
                  (uint64_t)reason << 32 | (index & 0xfff));
}

static void request(struct vcpu *cpu, uint64_t page, unsigned vector)
{
    unsigned slot = SLOT_IRR + vector / 32;
    svm_avic_put(cpu, page, slot, svm_avic_get(cpu, page, slot) | 1u << vector % 32);
}

/* CHOICE: TMR keeps what it says of the vector. */
static void post(struct vcpu *cpu, struct ipi *ipi, const struct target *target)
{
    request(cpu, target->page, ipi->vector);
    if (!target->running) {
        if (!ipi->waits)
            ipi->not_running = target->index;
        ipi->waits = true;
    } else if (cpu->intc && cpu->intc->doorbell) {
        cpu->intc->doorbell(cpu->intc_self, target->host_id);
    }
}

/* Bit i of `set` names index `first` + i. */
static void send_set(struct vcpu *cpu, struct ipi *ipi, unsigned set, unsigned first)
{
    struct target targets[TARGETS_MAX];
    unsigned count = 0;
    for (unsigned i = 0; i < TARGETS_MAX; i++) {
        if (!(set >> i & 1))
            continue;
        struct target *target = &targets[count++];
        enum reason reason = cpu->svm->avic.x2 || !(ipi->low & ICR_LOGICAL)
                                 ? look_up(cpu, first + i, target)
                                 : look_up_logical(cpu, first + i, target);
        if (reason != REASON_NONE) {
            incomplete(cpu, ipi, reason, first + i);
            return;
        }
    }
    for (unsigned i = 0; i < count; i++)
        post(cpu, ipi, &targets[i]);
}

/* Invalid entries are skipped. Who sends is known by its backing page. CHOICE: entry 255 is skipped by xAVIC, which reserves
 * the ID. */
static void send_everybody(struct vcpu *cpu, struct ipi *ipi, bool others)
{
    const struct svm_avic *avic = &cpu->svm->avic;
    unsigned last = avic->max_index;
    struct target target;
    if (!avic->x2 && last > 254)
        last = 254;
    for (unsigned i = 0; i <= last; i++)
        if (look_up(cpu, i, &target) == REASON_PAGE) {
            incomplete(cpu, ipi, REASON_PAGE, i);
            return;
        }
    for (unsigned i = 0; i <= last; i++)
        if (look_up(cpu, i, &target) == REASON_NONE &&
            !(others && target.page == avic->backing_spa))
            post(cpu, ipi, &target);
}

/* The model of the destination: 15.29.5.3 "Logical APIC ID Table"; x2AVIC derives the ID from the logical one. CHOICE: a DFR
 * that is neither flat nor cluster counts as flat. */
static void send_logical(struct vcpu *cpu, struct ipi *ipi, uint32_t dest)
{
    const struct svm_avic *avic = &cpu->svm->avic;
    if (avic->x2)
        send_set(cpu, ipi, dest & 0xffff, dest >> 16 << 4);
    else if (svm_avic_get(cpu, avic->backing_spa, SLOT_DFR) >> 28 == DFR_CLUSTER)
        send_set(cpu, ipi, dest & 0xf, 4 * (dest >> 4));
    else
        send_set(cpu, ipi, dest, 0);
}

void svm_avic_send(struct vcpu *cpu, uint32_t icr_low, uint32_t icr_high)
{
    struct ipi ipi = { .low = icr_low, .high = icr_high, .vector = (uint8_t)icr_low };
    enum shorthand to = (enum shorthand)(icr_low >> ICR_SHORTHAND_SHIFT & 3);
    bool x2 = cpu->svm->avic.x2;
    uint32_t dest = x2 ? icr_high : icr_high >> 24;
    if (icr_low & (ICR_TYPE | ICR_LEVEL)) {
        incomplete(cpu, &ipi, REASON_TYPE, 0);
    } else if (ipi.vector < 16) {
        incomplete(cpu, &ipi, REASON_VECTOR, 0);
    } else if (to == TO_SELF) {
        request(cpu, cpu->svm->avic.backing_spa, ipi.vector);
        svm_avic_evaluate(cpu);
    } else if (to != TO_DESTINATION || dest == (x2 ? UINT32_MAX : 0xff)) {
        send_everybody(cpu, &ipi, to == TO_OTHERS);
    } else if (icr_low & ICR_LOGICAL) {
        send_logical(cpu, &ipi, dest);
    } else {
        send_set(cpu, &ipi, 1, dest);
    }
    if (ipi.waits)
        incomplete(cpu, &ipi, REASON_NOT_RUNNING, ipi.not_running);
}

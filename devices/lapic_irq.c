/* Interrupts through one local APIC: acceptance, priorities, local interrupts, what the CPU asks.
 * APM vol 2, 16.4 "Local Interrupts", 16.6 "Local APIC Handling of Interrupts".
 *
 * CHOICE: an error interrupt is sent for the first error after a write to the ESR; the manual says only that errors
 * cause one.
 * CHOICE: an external interrupt message is taken even while the APIC is software-disabled, by 16.5; 16.3.1 says no. */
#include "devices/lapic_priv.h"

#include <string.h>

static int highest_bit(const uint32_t set[8], const uint32_t mask[8])
{
    for (int word = 7; word >= 0; word--) {
        uint32_t bits = set[word] & mask[word];
        for (int bit = 31; bits && bit >= 0; bit--)
            if (bits >> bit & 1)
                return word * 32 + bit;
    }
    return -1;
}

static void vector_set(uint32_t set[8], unsigned vector, bool value)
{
    uint32_t bit = 1u << vector % 32;
    set[vector / 32] = value ? set[vector / 32] | bit : set[vector / 32] & ~bit;
}

void lapic_find_highest(struct lapic *lapic)
{
    lapic->highest_irr = highest_bit(lapic->irr, lapic->ier);
    lapic->highest_isr = highest_bit(lapic->isr, lapic->isr);
}

void lapic_clear_interrupts(struct lapic *lapic)
{
    memset(lapic->irr, 0, sizeof(lapic->irr));
    memset(lapic->isr, 0, sizeof(lapic->isr));
    memset(lapic->tmr, 0, sizeof(lapic->tmr));
    lapic->highest_irr = lapic->highest_isr = -1;
}

void lapic_error(struct lapic *lapic, uint32_t bit)
{
    bool first = !lapic->errors;
    lapic->errors |= bit;
    if (first)
        lapic_deliver(lapic, LVT_ERROR);
}

/* --- priorities --------------------------------------------------------------------------------- */

/* The priority class of a vector; -1 (no vector) is class 0. */
static uint8_t class_of(int vector)
{
    return vector < 0 ? 0 : (uint8_t)(vector & 0xf0);
}

/* 16.6.4 "Selecting and Handling Interrupts". */
uint8_t lapic_ppr(const struct lapic *lapic)
{
    uint8_t serving = class_of(lapic->highest_isr);
    return (lapic->tpr & 0xf0) >= serving ? lapic->tpr : serving;
}

/* 16.6.2 "Lowest Priority Messages and Arbitration". */
uint8_t lapic_apr(const struct lapic *lapic)
{
    uint8_t serving = class_of(lapic->highest_isr);
    uint8_t asking = class_of(lapic->highest_irr);
    uint8_t other = serving > asking ? serving : asking;
    return (lapic->tpr & 0xf0) >= other ? lapic->tpr : other;
}

void lapic_set_tpr(struct lapic *lapic, uint8_t tpr)
{
    lapic->tpr = tpr;
    lapic_changed(lapic);
}

/* 16.7.2: a vector that is not enabled takes no part in the search for the highest. */
void lapic_set_ier(struct lapic *lapic, unsigned word, uint32_t value)
{
    lapic->ier[word] = value;
    lapic_find_highest(lapic);
    lapic_changed(lapic);
}

/* --- acceptance --------------------------------------------------------------------------------- */

bool lapic_accept(struct lapic *lapic, uint8_t vector, bool level)
{
    if (!lapic_software_enabled(lapic))
        return false;
    if (vector < 16) {
        lapic_error(lapic, ESR_RECEIVED_VECTOR);
        return false;
    }
    vector_set(lapic->irr, vector, true);
    vector_set(lapic->tmr, vector, level);
    lapic_find_highest(lapic);
    lapic_changed(lapic);
    return true;
}

void lapic_accept_extint(struct lapic *lapic)
{
    lapic->extint = true;
    lapic_changed(lapic);
}

void lapic_deliver(struct lapic *lapic, enum lvt which)
{
    uint32_t entry = lapic->lvt[which];
    if (!lapic_enabled(lapic) || (entry & LVT_MASKED))
        return;
    switch (lvt_message(entry)) {
    case MT_FIXED: lapic_accept(lapic, (uint8_t)(entry & LVT_VECTOR), false); break;
    case MT_NMI: lapic_signal(lapic, APIC_NMI, 0); break;
    case MT_SMI: lapic_signal(lapic, APIC_SMI, 0); break;
    case MT_EXTINT:
        if (which == LVT_LINT0) /* the pin itself asks, as long as it is high */
            lapic_changed(lapic);
        else
            lapic_accept_extint(lapic);
        break;
    default:
        lapic_tell(lapic, PROBE_GUEST_ERROR, "APIC: message type of a local interrupt is reserved");
        break;
    }
}

/* Fixed and level-sensitive: asks until it is served, once at a time (remote IRR). All others: on the edge. With the
 * APIC disabled the pins are the processor's INTR and NMI. */
void lapic_lint_update(struct lapic *lapic, unsigned pin, bool rises)
{
    uint32_t *entry = &lapic->lvt[LVT_LINT0 + pin];
    if (!lapic_enabled(lapic)) {
        if (pin == 0)
            lapic_changed(lapic);
        else if (rises)
            lapic_signal(lapic, APIC_NMI, 0);
        return;
    }
    if (lvt_message(*entry) == MT_FIXED && (*entry & LVT_LEVEL)) {
        if (!lapic->lint[pin] || (*entry & (LVT_MASKED | LVT_REMOTE_IRR)))
            return;
        uint8_t vector = (uint8_t)(*entry & LVT_VECTOR);
        if (!lapic_accept(lapic, vector, true))
            return;
        *entry |= LVT_REMOTE_IRR;
        lapic->lint_vector[pin] = vector;
    } else if (rises) {
        lapic_deliver(lapic, (enum lvt)(LVT_LINT0 + pin));
    } else {
        lapic_changed(lapic); /* ExtINT may have been unmasked */
    }
}

void lapic_set_lint(void *self, unsigned line, bool level)
{
    struct lapic *lapic = self;
    if (line > 1 || level == lapic->lint[line])
        return;
    lapic->lint[line] = level;
    if (level)
        lapic_lint_update(lapic, line, true);
}

/* --- end of interrupt --------------------------------------------------------------------------- */

/* The source of a level-triggered interrupt learns of its end: a pin here, else the IOAPIC. 16.6.3. */
static void tell_source(struct lapic *lapic, unsigned vector)
{
    const struct apics_listener *listener = &lapic->apics->listener;
    bool local = false;
    for (unsigned pin = 0; pin < 2; pin++) {
        uint32_t *entry = &lapic->lvt[LVT_LINT0 + pin];
        if (!(*entry & LVT_REMOTE_IRR) || lapic->lint_vector[pin] != vector)
            continue;
        local = true;
        *entry &= ~LVT_REMOTE_IRR;
        lapic_lint_update(lapic, pin, false);
    }
    if (!local && listener->eoi)
        listener->eoi(listener->self, (uint8_t)vector);
}

void lapic_end(struct lapic *lapic, unsigned vector)
{
    if (!vector_bit(lapic->isr, vector))
        return;
    vector_set(lapic->isr, vector, false);
    lapic_find_highest(lapic);
    if (vector_bit(lapic->tmr, vector))
        tell_source(lapic, vector);
    lapic_changed(lapic);
}

void lapic_eoi(struct lapic *lapic)
{
    if (lapic->highest_isr >= 0)
        lapic_end(lapic, (unsigned)lapic->highest_isr);
}

/* --- what the CPU sees -------------------------------------------------------------------------- */

/* The fixed interrupt to deliver, or -1. CHOICE: while software-disabled, pending ones wait ("are held"). */
static int fixed_pending(const struct lapic *lapic)
{
    if (!lapic_software_enabled(lapic) || class_of(lapic->highest_irr) <= (lapic_ppr(lapic) & 0xf0))
        return -1;
    return lapic->highest_irr;
}

/* Does the PIC's INTR reach the processor? Priorities do not matter to it. */
static bool extint_open(const struct lapic *lapic)
{
    uint32_t entry = lapic->lvt[LVT_LINT0];
    return !lapic_enabled(lapic) || (!(entry & LVT_MASKED) && lvt_message(entry) == MT_EXTINT);
}

/* The PIC's vector, or -1. A message is answered even when the PIC asks no longer: spuriously. */
static int extint_pending(const struct lapic *lapic)
{
    const struct pic *pic = lapic->apics->config.pic;
    if (!pic)
        return -1;
    if (lapic->extint)
        return pic_vector(pic);
    return extint_open(lapic) ? pic_pending(pic) : -1;
}

/* CHOICE: a fixed interrupt goes before ExtINT; the manual gives no order. */
static int intc_pending(void *self)
{
    const struct lapic *lapic = self;
    int vector = fixed_pending(lapic);
    return vector >= 0 ? vector : extint_pending(lapic);
}

static int intc_acknowledge(void *self)
{
    struct lapic *lapic = self;
    int vector = fixed_pending(lapic);
    if (vector >= 0) {
        lapic_timer_sync(lapic);
        vector_set(lapic->irr, (unsigned)vector, false);
        vector_set(lapic->isr, (unsigned)vector, true);
        lapic_find_highest(lapic);
        lapic_timer_arm(lapic);
        return vector;
    }
    if (extint_pending(lapic) >= 0) {
        lapic->extint = false;
        return pic_acknowledge(lapic->apics->config.pic);
    }
    if (lapic_software_enabled(lapic) && lapic->highest_irr >= 0)
        return (int)(lapic->svr & 0xff); /* 16.4.7 "Spurious Interrupts": no bit in service */
    return -1;
}

static uint8_t intc_read_tpr(void *self)
{
    const struct lapic *lapic = self;
    return lapic->tpr;
}

static void intc_write_tpr(void *self, uint8_t tpr)
{
    lapic_set_tpr(self, tpr);
}

static void intc_perf_overflow(void *self)
{
    lapic_deliver(self, LVT_PERF);
}

/* CHOICE: doorbells ring at once, also of processors that are behind or ahead in their turn. */
static void intc_doorbell(void *self, uint32_t apic_id)
{
    const struct apics *apics = ((const struct lapic *)self)->apics;
    for (unsigned i = 0; i < apics->config.count; i++)
        if (apics->cpu[i].id == apic_id)
            lapic_signal(&apics->cpu[i], APIC_DOORBELL, 0);
}

const struct intc_ops lapic_intc_ops = {
    .pending = intc_pending,
    .acknowledge = intc_acknowledge,
    .read_tpr = intc_read_tpr,
    .write_tpr = intc_write_tpr,
    .read_apic_base = lapic_read_base,
    .write_apic_base = lapic_write_base,
    .read_msr = lapic_read_msr,
    .write_msr = lapic_write_msr,
    .read_tsc_deadline = lapic_read_tsc_deadline,
    .write_tsc_deadline = lapic_write_tsc_deadline,
    .doorbell = intc_doorbell,
    .init = lapic_init,
    .perf_overflow = intc_perf_overflow,
};

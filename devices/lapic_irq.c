/* Interrupts through the local APIC: acceptance, priorities, local interrupts, interprocessor interrupts.
 * APM vol 2, 16.4 "Local Interrupts" to 16.6 "Local APIC Handling of Interrupts".
 *
 * CHOICE: an error interrupt is sent for the first error after a write to the ESR; the manual says only that errors
 * cause one. */
#include "devices/lapic_priv.h"

#include <string.h>

#define ICR_LOGICAL 0x00800u
#define ICR_ASSERT 0x04000u
#define ICR_LEVEL 0x08000u

enum shorthand { TO_DESTINATION, TO_SELF, TO_ALL, TO_OTHERS };

void lapic_changed(struct lapic *lapic)
{
    if (lapic->config.changed)
        lapic->config.changed(lapic->config.self);
}

static void pulse_nmi(struct lapic *lapic)
{
    if (lapic->config.nmi)
        lapic->config.nmi(lapic->config.self);
}

static int highest_bit(const uint32_t set[8])
{
    for (int word = 7; word >= 0; word--)
        for (int bit = 31; set[word] && bit >= 0; bit--)
            if (set[word] >> bit & 1)
                return word * 32 + bit;
    return -1;
}

static void vector_set(uint32_t set[8], unsigned vector, bool value)
{
    uint32_t bit = 1u << vector % 32;
    set[vector / 32] = value ? set[vector / 32] | bit : set[vector / 32] & ~bit;
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
    if (vector > lapic->highest_irr)
        lapic->highest_irr = vector;
    lapic_changed(lapic);
    return true;
}

void lapic_deliver(struct lapic *lapic, enum lvt which)
{
    uint32_t entry = lapic->lvt[which];
    if (!lapic_enabled(lapic) || (entry & LVT_MASKED))
        return;
    switch (lvt_message(entry)) {
    case MT_FIXED: lapic_accept(lapic, (uint8_t)(entry & LVT_VECTOR), false); break;
    case MT_NMI: pulse_nmi(lapic); break;
    case MT_SMI:
        bus_tell(lapic->bus, PROBE_UNIMP, "APIC: SMI of a local interrupt (APM vol 2, 16.4)");
        break;
    case MT_EXTINT:
        if (which == LVT_LINT0)
            lapic_changed(lapic);
        else
            bus_tell(lapic->bus, PROBE_UNIMP, "APIC: ExtINT other than by LINT0 (APM vol 2, 16.4)");
        break;
    default:
        bus_tell(lapic->bus, PROBE_GUEST_ERROR,
                 "APIC: message type of a local interrupt is reserved");
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
            pulse_nmi(lapic);
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

void lapic_eoi(struct lapic *lapic)
{
    int vector = lapic->highest_isr;
    if (vector < 0)
        return;
    vector_set(lapic->isr, (unsigned)vector, false);
    lapic->highest_isr = highest_bit(lapic->isr);
    for (unsigned pin = 0; pin < 2; pin++) {
        uint32_t *entry = &lapic->lvt[LVT_LINT0 + pin];
        if ((*entry & LVT_REMOTE_IRR) && lapic->lint_vector[pin] == vector) {
            *entry &= ~LVT_REMOTE_IRR;
            lapic_lint_update(lapic, pin, false);
        }
    }
    lapic_changed(lapic);
}

/* 16.6.1 "Receiving System and IPI Interrupts". A model of the DFR that is neither flat nor cluster selects nobody. */
static bool is_destination(const struct lapic *lapic)
{
    uint8_t dest = (uint8_t)(lapic->icr_high >> 24);
    uint8_t own = (uint8_t)(lapic->ldr >> 24);
    if (dest == 0xff)
        return true;
    if (!(lapic->icr_low & ICR_LOGICAL))
        return dest == lapic->id >> 24;
    switch (lapic->dfr >> 28) {
    case 0xf: return dest & own;
    case 0x0: return (dest & 0xf0) == (own & 0xf0) && (dest & own & 0x0f);
    default: return false;
    }
}

/* A message to this processor. Table 16-4 allows only fixed ones by a shorthand that includes the sender.
 * CHOICE: the others are sent all the same, as the machines we are compatible with do, and told. */
static void send_to_self(struct lapic *lapic, bool by_shorthand)
{
    enum apic_message_type type = lvt_message(lapic->icr_low);
    if (by_shorthand && type != MT_FIXED)
        bus_tell(lapic->bus, PROBE_GUEST_ERROR,
                 "APIC: only fixed interrupts may be sent to self by shorthand (APM vol 2, 16.5)");
    switch (type) {
    case MT_FIXED:
    case MT_LOWEST: lapic_accept(lapic, (uint8_t)lapic->icr_low, lapic->icr_low & ICR_LEVEL); break;
    case MT_NMI: pulse_nmi(lapic); break;
    case MT_STARTUP: /* a processor that runs ignores it */ break;
    case MT_SMI: bus_tell(lapic->bus, PROBE_UNIMP, "APIC: SMI message (APM vol 2, 16.5)"); break;
    case MT_READ:
        bus_tell(lapic->bus, PROBE_UNIMP, "APIC: remote read message (APM vol 2, 16.5)");
        break;
    case MT_INIT:
        bus_tell(lapic->bus, PROBE_UNIMP, "APIC: INIT to the sending processor (APM vol 2, 16.5)");
        break;
    case MT_EXTINT:
        bus_tell(lapic->bus, PROBE_UNIMP, "APIC: external interrupt message (APM vol 2, 16.5)");
        break;
    }
}

void lapic_send(struct lapic *lapic)
{
    uint32_t icr = lapic->icr_low;
    enum apic_message_type type = lvt_message(icr);
    enum shorthand to = (enum shorthand)(icr >> 18 & 3);
    bool fixed = type == MT_FIXED || type == MT_LOWEST;

    if (fixed && (icr & 0xff) < 16) {
        lapic_error(lapic, ESR_SENT_VECTOR);
        return;
    }
    if ((icr & ICR_LEVEL) &&
        !(icr & ICR_ASSERT)) { /* INIT level de-assert: only for APICs of long ago */
        if (type != MT_INIT)
            bus_tell(lapic->bus, PROBE_GUEST_ERROR,
                     "APIC: level-triggered message without assert is not sent (APM vol 2, 16.5)");
        return;
    }
    if (to == TO_OTHERS)
        return; /* nobody else is there */
    if (to == TO_DESTINATION && !is_destination(lapic))
        lapic_error(lapic, ESR_SENT_ACCEPT);
    else
        send_to_self(lapic, to != TO_DESTINATION);
}

/* ---- what the CPU sees ---- */

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
    if (!lapic->config.pic)
        return false;
    return !lapic_enabled(lapic) || (!(entry & LVT_MASKED) && lvt_message(entry) == MT_EXTINT);
}

/* CHOICE: a fixed interrupt goes before ExtINT; the manual gives no order. */
static int intc_pending(void *self)
{
    struct lapic *lapic = self;
    int vector = fixed_pending(lapic);
    if (vector >= 0)
        return vector;
    return extint_open(lapic) ? pic_pending(lapic->config.pic) : -1;
}

static int intc_acknowledge(void *self)
{
    struct lapic *lapic = self;
    int vector = fixed_pending(lapic);
    if (vector >= 0) {
        lapic_timer_sync(lapic);
        vector_set(lapic->irr, (unsigned)vector, false);
        vector_set(lapic->isr, (unsigned)vector, true);
        lapic->highest_irr = highest_bit(lapic->irr);
        lapic->highest_isr = vector; /* above the processor priority, so above all in service */
        lapic_timer_arm(lapic);
        return vector;
    }
    if (extint_open(lapic) && pic_pending(lapic->config.pic) >= 0)
        return pic_acknowledge(lapic->config.pic);
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
    struct lapic *lapic = self;
    lapic->tpr = tpr;
    lapic_changed(lapic);
}

const struct intc_ops lapic_intc_ops = {
    .pending = intc_pending,
    .acknowledge = intc_acknowledge,
    .read_tpr = intc_read_tpr,
    .write_tpr = intc_write_tpr,
    .read_apic_base = lapic_read_base,
    .write_apic_base = lapic_write_base,
};

/* The local APIC's state, shared by the lapic*.c files only. */
#ifndef DEVICES_LAPIC_PRIV_H
#define DEVICES_LAPIC_PRIV_H

#include "devices/lapic.h"

enum lvt { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_COUNT };

#define LVT_VECTOR 0x000ffu
#define LVT_MT 0x00700u
#define LVT_REMOTE_IRR 0x04000u
#define LVT_LEVEL 0x08000u
#define LVT_MASKED 0x10000u
#define LVT_PERIODIC 0x20000u

#define SVR_ENABLE 0x100u

/* APM vol 2, 16.4.6 "APIC Error Interrupts". */
#define ESR_SENT_ACCEPT 0x04u
#define ESR_SENT_VECTOR 0x20u
#define ESR_RECEIVED_VECTOR 0x40u
#define ESR_ADDRESS 0x80u

#define APIC_BASE_BSC 0x100u
#define APIC_BASE_EXTD 0x400u
#define APIC_BASE_AE 0x800u
#define APIC_BASE_ABA 0x000ffffffffff000u

/* Invariant: highest_irr and highest_isr are the highest set bits of irr and isr, -1 for none. */
struct lapic {
    struct lapic_config config;
    struct bus *bus;
    struct vclock *clock;

    uint64_t apic_base;
    uint32_t id, ldr, dfr, svr, icr_low, icr_high;
    uint8_t tpr;
    uint32_t esr, errors; /* errors: since the last write to the ESR */
    uint32_t isr[8], tmr[8], irr[8];
    int highest_isr, highest_irr;
    uint32_t lvt[LVT_COUNT];

    bool lint[2];           /* levels of the pins */
    uint8_t lint_vector[2]; /* what was accepted when remote IRR was set */

    /* The timer holds `from` at virtual time `at`, and counts when on. */
    bool timer_on;
    uint32_t initial, divide;
    uint32_t from;
    uint64_t at;
    struct deadline expiry;
};

static inline bool lapic_enabled(const struct lapic *lapic)
{
    return lapic->apic_base & APIC_BASE_AE;
}

static inline bool lapic_software_enabled(const struct lapic *lapic)
{
    return lapic_enabled(lapic) && (lapic->svr & SVR_ENABLE);
}

static inline enum apic_message_type lvt_message(uint32_t entry)
{
    return (enum apic_message_type)((entry & LVT_MT) >> 8);
}

static inline bool vector_bit(const uint32_t set[8], unsigned vector)
{
    return set[vector / 32] >> vector % 32 & 1;
}

/* lapic.c: the APIC_BASE MSR */
uint64_t lapic_read_base(void *self);
bool lapic_write_base(void *self, uint64_t value);

/* lapic_irq.c */
void lapic_changed(struct lapic *lapic);
void lapic_error(struct lapic *lapic, uint32_t bit);
uint8_t lapic_ppr(const struct lapic *lapic);
uint8_t lapic_apr(const struct lapic *lapic);
void lapic_clear_interrupts(struct lapic *lapic); /* IRR, ISR and TMR become empty */
/* Take a fixed interrupt into the IRR. false: software-disabled, or the vector is illegal. */
bool lapic_accept(struct lapic *lapic, uint8_t vector, bool level);
void lapic_deliver(struct lapic *lapic, enum lvt which); /* a local interrupt occurred */
void lapic_lint_update(struct lapic *lapic, unsigned pin, bool rises);
void lapic_eoi(struct lapic *lapic);
void lapic_send(struct lapic *lapic); /* the message in the ICR */

/* lapic_timer.c. Whoever changes something the timer's interrupt depends on calls _sync before and _arm after. */
uint32_t lapic_timer_count(const struct lapic *lapic);
void lapic_timer_sync(struct lapic *lapic);
void lapic_timer_arm(struct lapic *lapic);
void lapic_timer_set_initial(struct lapic *lapic, uint32_t initial);
void lapic_timer_set_divide(struct lapic *lapic, uint32_t value);
void lapic_timer_fire(void *self, uint64_t now_ns);

#endif

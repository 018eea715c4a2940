/* The local APICs' state, shared by the lapic*.c files only. */
#ifndef DEVICES_LAPIC_PRIV_H
#define DEVICES_LAPIC_PRIV_H

#include "devices/lapic.h"

/* Registers by their offset / 16, which is also the x2APIC MSR number - 800h. */
enum lapic_register {
    R_ID = 0x02,
    R_VERSION = 0x03,
    R_TPR = 0x08,
    R_APR = 0x09,
    R_PPR = 0x0a,
    R_EOI = 0x0b,
    R_RRR = 0x0c,
    R_LDR = 0x0d,
    R_DFR = 0x0e,
    R_SVR = 0x0f,
    R_ISR = 0x10,
    R_TMR = 0x18,
    R_IRR = 0x20,
    R_ESR = 0x28,
    R_ICR_LOW = 0x30,
    R_ICR_HIGH = 0x31,
    R_LVT = 0x32,
    R_INITIAL = 0x38,
    R_COUNT = 0x39,
    R_DIVIDE = 0x3e,
    R_SELF_IPI = 0x3f, /* x2APIC only */
    R_EXT_FEATURE = 0x40,
    R_EXT_CONTROL = 0x41,
    R_SEOI = 0x42,
    R_IER = 0x48,
    R_EXT_LVT = 0x50
};

enum lvt {
    LVT_TIMER,
    LVT_THERMAL,
    LVT_PERF,
    LVT_LINT0,
    LVT_LINT1,
    LVT_ERROR,
    LVT_EXT0, /* four without a source, in the extended space */
    LVT_COUNT = LVT_EXT0 + 4
};

#define LVT_VECTOR 0x000ffu
#define LVT_MT 0x00700u
#define LVT_STATUS 0x01000u
#define LVT_REMOTE_IRR 0x04000u
#define LVT_LEVEL 0x08000u
#define LVT_MASKED 0x10000u
#define LVT_PERIODIC 0x20000u
#define LVT_DEADLINE 0x40000u

#define SVR_ENABLE 0x100u
#define SVR_NO_FOCUS 0x200u
#define SVR_WRITABLE 0x3ffu

#define ICR_LOGICAL 0x00800u
#define ICR_ASSERT 0x04000u
#define ICR_LEVEL 0x08000u
#define ICR_READ_VALID 0x20000u /* remote read status: done, data available */
#define ICR_WRITABLE 0xccfffu

/* APM vol 2, 16.3.6 "Extended APIC Control Register". */
#define EXT_IER_WRITES 0x1u
#define EXT_SEOI 0x2u
#define EXT_WRITABLE 0x7u

/* APM vol 2, 16.4.6 "APIC Error Interrupts". */
#define ESR_SENT_ACCEPT 0x04u
#define ESR_RECEIVE_ACCEPT 0x08u
#define ESR_SENT_VECTOR 0x20u
#define ESR_RECEIVED_VECTOR 0x40u
#define ESR_ADDRESS 0x80u

#define APIC_BASE_BSC 0x100u
#define APIC_BASE_EXTD 0x400u
#define APIC_BASE_AE 0x800u
#define APIC_BASE_ABA 0x000ffffffffff000u

/* Invariant: highest_irr and highest_isr are the highest set bits of irr & ier and of isr, -1 for none. */
struct lapic {
    struct apics *apics;
    unsigned index;

    uint64_t apic_base;
    uint32_t id;       /* the number alone: 8 bits in xAPIC mode */
    uint32_t ldr;      /* as the register of the current mode shows it */
    uint32_t icr_high; /* likewise */
    uint32_t dfr, svr, icr_low, remote_read;
    uint8_t tpr, seoi;
    uint32_t ext_control;
    uint32_t esr, errors; /* errors: since the last write to the ESR */
    uint32_t isr[8], tmr[8], irr[8], ier[8];
    int highest_isr, highest_irr;
    uint32_t lvt[LVT_COUNT];

    bool lint[2];           /* levels of the pins */
    uint8_t lint_vector[2]; /* what was accepted when remote IRR was set */
    bool extint;            /* an ExtINT message waits for the acknowledge */

    /* The timer holds `from` at virtual time `at`, and counts when on. In TSC-deadline mode it expires at `at` while
     * tsc_deadline is not 0. */
    bool timer_on;
    uint32_t initial, divide;
    uint32_t from;
    uint64_t at;
    uint64_t tsc_deadline;
    struct deadline expiry;
};

struct apics {
    struct apics_config config;
    struct apics_listener listener;
    struct bus *bus;
    struct vclock *clock;
    struct lapic *cpu;                 /* config.count of them */
    unsigned selected;                 /* whose registers the window shows */
    uint64_t window_spa, window_bytes; /* what the bus was told */
};

static inline bool lapic_enabled(const struct lapic *lapic)
{
    return lapic->apic_base & APIC_BASE_AE;
}

static inline bool lapic_x2apic(const struct lapic *lapic)
{
    return lapic->apic_base & APIC_BASE_EXTD;
}

static inline bool lapic_software_enabled(const struct lapic *lapic)
{
    return lapic_enabled(lapic) && (lapic->svr & SVR_ENABLE);
}

static inline void lapic_signal(const struct lapic *lapic, enum apic_signal what, uint8_t vector)
{
    const struct apics_config *config = &lapic->apics->config;
    if (config->signal)
        config->signal(config->self, lapic->index, what, vector);
}

static inline void lapic_changed(const struct lapic *lapic)
{
    lapic_signal(lapic, APIC_CHANGED, 0);
}

static inline void lapic_tell(const struct lapic *lapic, enum probe_kind kind, const char *text)
{
    bus_tell(lapic->apics->bus, kind, text);
}

static inline enum apic_message_type lvt_message(uint32_t entry)
{
    return (enum apic_message_type)((entry & LVT_MT) >> 8);
}

static inline bool vector_bit(const uint32_t set[8], unsigned vector)
{
    return set[vector / 32] >> vector % 32 & 1;
}

/* lapic.c: the APIC_BASE MSR, INIT */
uint64_t lapic_read_base(void *self);
bool lapic_write_base(void *self, uint64_t value);
void lapic_init(void *self);

/* lapic_registers.c. Numbers are those of enum lapic_register; what exists in one mode only is its caller's matter. */
void lapic_registers_reset(struct lapic *lapic); /* all but ID and APIC_BASE */
bool lapic_register_exists(const struct lapic *lapic, unsigned reg);
uint32_t lapic_register_read(const struct lapic *lapic, unsigned reg); /* 0: none, or write-only */
bool lapic_register_writable(const struct lapic *lapic, unsigned reg);
/* The bits that software may set, those it may write without effect (read-only ones) included. */
uint32_t lapic_register_bits(const struct lapic *lapic, unsigned reg);
void lapic_register_write(struct lapic *lapic, unsigned reg, uint32_t value); /* a writable one */

/* lapic_x2apic.c */
bool lapic_read_msr(void *self, uint32_t index, uint64_t *value);
bool lapic_write_msr(void *self, uint32_t index, uint64_t value);

/* lapic_irq.c */
void lapic_error(struct lapic *lapic, uint32_t bit);
uint8_t lapic_ppr(const struct lapic *lapic);
uint8_t lapic_apr(const struct lapic *lapic);
void lapic_find_highest(struct lapic *lapic);     /* after a change of IRR, IER or ISR */
void lapic_clear_interrupts(struct lapic *lapic); /* IRR, ISR and TMR become empty */
void lapic_set_tpr(struct lapic *lapic, uint8_t tpr);
void lapic_set_ier(struct lapic *lapic, unsigned word, uint32_t value);
/* Take a fixed interrupt into the IRR. false: software-disabled, or the vector is illegal. */
bool lapic_accept(struct lapic *lapic, uint8_t vector, bool level);
void lapic_accept_extint(struct lapic *lapic);
void lapic_deliver(struct lapic *lapic, enum lvt which); /* a local interrupt occurred */
void lapic_lint_update(struct lapic *lapic, unsigned pin, bool rises);
void lapic_eoi(struct lapic *lapic);                  /* of the highest in service */
void lapic_end(struct lapic *lapic, unsigned vector); /* of this one, if it is in service */

/* lapic_message.c */
void lapic_send(struct lapic *lapic); /* the message in the ICR */
void lapic_send_self(struct lapic *lapic, uint8_t vector);

/* lapic_timer.c. Whoever changes something the timer's interrupt depends on calls _sync before and _arm after. */
uint32_t lapic_timer_count(const struct lapic *lapic);
void lapic_timer_sync(struct lapic *lapic);
void lapic_timer_arm(struct lapic *lapic);
void lapic_timer_reset(struct lapic *lapic);
void lapic_timer_set_initial(struct lapic *lapic, uint32_t initial);
void lapic_timer_set_divide(struct lapic *lapic, uint32_t value);
void lapic_timer_mode_changed(struct lapic *lapic, uint32_t old_entry);
void lapic_timer_fire(void *self, uint64_t now_ns);
void lapic_timer_state(struct lapic *lapic, struct snap *snap);
uint64_t lapic_read_tsc_deadline(void *self);
void lapic_write_tsc_deadline(void *self, uint64_t tsc, uint64_t when_ns);

#endif

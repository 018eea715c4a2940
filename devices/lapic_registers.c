/* The local APIC's registers, as both ways of reaching them share them. APM vol 2, 16.3 to 16.7.
 *
 * CHOICE: version 10h with six local interrupts (Table 16-2). Where CPUID offers it there is the extended register space,
 * with interrupt enable registers, specific EOI and four further local vector table entries that nothing uses.
 * CHOICE: APIC IDs have eight bits, whatever the extended control register's XAIDN says; the manual lets it cut them to
 * four.
 * CHOICE: the APIC ID can be written in xAPIC mode; the manual calls that model dependent. */
#include "devices/lapic_priv.h"

#include <string.h>

#define VERSION_10H 0x00050010u
#define VERSION_EXTENDED 0x80000000u
#define EXTENDED_FEATURES 0x00040007u

/* What software may write in each local vector table entry. Figures 16-8 and 16-12 to 16-15. */
static const uint32_t lvt_writable[LVT_COUNT] = {
    [LVT_TIMER] = LVT_PERIODIC | LVT_MASKED | LVT_VECTOR,
    [LVT_THERMAL] = LVT_MASKED | LVT_MT | LVT_VECTOR,
    [LVT_PERF] = LVT_MASKED | LVT_MT | LVT_VECTOR,
    [LVT_LINT0] = LVT_MASKED | LVT_LEVEL | LVT_MT | LVT_VECTOR,
    [LVT_LINT1] = LVT_MASKED | LVT_LEVEL | LVT_MT | LVT_VECTOR,
    [LVT_ERROR] = LVT_MASKED | LVT_MT | LVT_VECTOR,
    [LVT_EXT0] = LVT_MASKED | LVT_MT | LVT_VECTOR,
    [LVT_EXT0 + 1] = LVT_MASKED | LVT_MT | LVT_VECTOR,
    [LVT_EXT0 + 2] = LVT_MASKED | LVT_MT | LVT_VECTOR,
    [LVT_EXT0 + 3] = LVT_MASKED | LVT_MT | LVT_VECTOR,
};

static bool is_lint(int which)
{
    return which == LVT_LINT0 || which == LVT_LINT1;
}

/* Which entry of the local vector table this is, or -1. */
static int lvt_of(unsigned reg)
{
    if (reg >= R_LVT && reg < R_LVT + LVT_EXT0)
        return (int)(reg - R_LVT);
    if (reg >= R_EXT_LVT && reg < R_EXT_LVT + LVT_COUNT - LVT_EXT0)
        return (int)(reg - R_EXT_LVT + LVT_EXT0);
    return -1;
}

static uint32_t lvt_bits(const struct lapic *lapic, int which)
{
    bool deadline = which == LVT_TIMER && lapic->apics->config.tsc_deadline;
    return lvt_writable[which] | (deadline ? LVT_DEADLINE : 0);
}

bool lapic_register_exists(const struct lapic *lapic, unsigned reg)
{
    if (reg >= R_EXT_FEATURE)
        return lapic->apics->config.extended &&
               (reg <= R_SEOI || (reg >= R_IER && reg < R_IER + 8) || lvt_of(reg) >= 0);
    if ((reg >= R_ISR && reg < R_IRR + 8) || lvt_of(reg) >= 0)
        return true;
    switch (reg) {
    case R_ID:
    case R_VERSION:
    case R_TPR:
    case R_APR:
    case R_PPR:
    case R_EOI:
    case R_RRR:
    case R_LDR:
    case R_DFR:
    case R_SVR:
    case R_ESR:
    case R_ICR_LOW:
    case R_ICR_HIGH:
    case R_INITIAL:
    case R_COUNT:
    case R_DIVIDE: return true;
    default: return false;
    }
}

static uint32_t read_special(const struct lapic *lapic, unsigned reg)
{
    switch (reg) {
    case R_ID: return lapic_x2apic(lapic) ? lapic->id : lapic->id << 24;
    case R_VERSION: return VERSION_10H | (lapic->apics->config.extended ? VERSION_EXTENDED : 0);
    case R_TPR: return lapic->tpr;
    case R_APR: return lapic_apr(lapic);
    case R_PPR: return lapic_ppr(lapic);
    case R_RRR: return lapic->remote_read;
    case R_LDR: return lapic->ldr;
    case R_DFR: return lapic->dfr;
    case R_SVR: return lapic->svr;
    case R_ESR: return lapic->esr;
    case R_ICR_LOW: return lapic->icr_low; /* delivery status: idle, messages take no time */
    case R_ICR_HIGH: return lapic->icr_high;
    case R_INITIAL: return lapic->initial;
    case R_COUNT: return lapic_timer_count(lapic);
    case R_DIVIDE: return lapic->divide;
    case R_EXT_FEATURE: return EXTENDED_FEATURES;
    case R_EXT_CONTROL: return lapic->ext_control;
    case R_SEOI: return lapic->seoi;
    default: return 0; /* EOI is write-only */
    }
}

uint32_t lapic_register_read(const struct lapic *lapic, unsigned reg)
{
    int which = lvt_of(reg);
    if (which >= 0)
        return lapic->lvt[which];
    if (reg >= R_ISR && reg < R_ISR + 8)
        return lapic->isr[reg - R_ISR];
    if (reg >= R_TMR && reg < R_TMR + 8)
        return lapic->tmr[reg - R_TMR];
    if (reg >= R_IRR && reg < R_IRR + 8)
        return lapic->irr[reg - R_IRR];
    if (reg >= R_IER && reg < R_IER + 8)
        return lapic->ier[reg - R_IER];
    return read_special(lapic, reg);
}

bool lapic_register_writable(const struct lapic *lapic, unsigned reg)
{
    switch (reg) {
    case R_VERSION:
    case R_APR:
    case R_PPR:
    case R_RRR:
    case R_COUNT:
    case R_EXT_FEATURE: return false;
    default: return lapic_register_exists(lapic, reg) && !(reg >= R_ISR && reg < R_IRR + 8);
    }
}

uint32_t lapic_register_bits(const struct lapic *lapic, unsigned reg)
{
    int which = lvt_of(reg);
    if (which >= 0)
        return lvt_bits(lapic, which) | LVT_STATUS | (is_lint(which) ? LVT_REMOTE_IRR : 0);
    switch (reg) {
    case R_TPR:
    case R_SEOI: return 0xff;
    case R_EOI:
    case R_ESR: return 0;
    case R_SVR: return SVR_WRITABLE;
    case R_ICR_LOW: return ICR_WRITABLE;
    case R_DIVIDE: return 0x0b;
    case R_EXT_CONTROL: return EXT_WRITABLE;
    default: return UINT32_MAX;
    }
}

static void write_lvt(struct lapic *lapic, int which, uint32_t value)
{
    lapic_timer_sync(lapic); /* an expiry so far belongs to the old entry */
    uint32_t old = lapic->lvt[which];
    uint32_t entry = (value & lvt_bits(lapic, which)) | (old & LVT_REMOTE_IRR);
    if (!(lapic->svr & SVR_ENABLE))
        entry |= LVT_MASKED; /* 16.3.1: cannot be cleared */
    if (lvt_message(entry) != MT_FIXED || !(entry & LVT_LEVEL))
        entry &= ~LVT_REMOTE_IRR;
    lapic->lvt[which] = entry;
    if (is_lint(which))
        lapic_lint_update(lapic, (unsigned)(which - LVT_LINT0), false);
    if (which == LVT_TIMER)
        lapic_timer_mode_changed(lapic, old);
    lapic_timer_arm(lapic);
}

static void write_svr(struct lapic *lapic, uint32_t value)
{
    const struct apics_listener *listener = &lapic->apics->listener;
    bool was_enabled = lapic->svr & SVR_ENABLE;
    lapic_timer_sync(lapic);
    lapic->svr = value & SVR_WRITABLE;
    for (unsigned i = 0; i < LVT_COUNT && !(lapic->svr & SVR_ENABLE); i++)
        lapic->lvt[i] |= LVT_MASKED;
    lapic_timer_arm(lapic);
    lapic_changed(lapic);
    if (!was_enabled && (lapic->svr & SVR_ENABLE) && listener->ready)
        listener->ready(listener->self);
}

static void write_esr(struct lapic *lapic)
{
    lapic_timer_sync(lapic); /* an expiry so far finds the error told already */
    lapic->esr = lapic->errors;
    lapic->errors = 0;
    lapic_timer_arm(lapic); /* an illegal vector of the timer is an error again */
}

/* 16.7.1 */
static void write_seoi(struct lapic *lapic, uint8_t vector)
{
    lapic->seoi = vector;
    if (lapic->ext_control & EXT_SEOI)
        lapic_end(lapic, vector);
}

void lapic_register_write(struct lapic *lapic, unsigned reg, uint32_t value)
{
    int which = lvt_of(reg);
    if (which >= 0) {
        write_lvt(lapic, which, value);
        return;
    }
    switch (reg) {
    case R_ID: lapic->id = value >> 24; break;
    case R_TPR: lapic_set_tpr(lapic, (uint8_t)value); break;
    case R_EOI: lapic_eoi(lapic); break;
    case R_LDR: lapic->ldr = value & 0xff000000; break;
    case R_DFR: lapic->dfr = value | 0x0fffffff; break;
    case R_SVR: write_svr(lapic, value); break;
    case R_ESR: write_esr(lapic); break;
    case R_ICR_LOW:
        lapic->icr_low = value & ICR_WRITABLE;
        lapic_send(lapic);
        break;
    case R_ICR_HIGH: lapic->icr_high = value & 0xff000000; break;
    case R_INITIAL: lapic_timer_set_initial(lapic, value); break;
    case R_DIVIDE: lapic_timer_set_divide(lapic, value); break;
    case R_EXT_CONTROL: lapic->ext_control = value & EXT_WRITABLE; break;
    case R_SEOI: write_seoi(lapic, (uint8_t)value); break;
    default:
        if (reg >= R_IER && reg < R_IER + 8 && (lapic->ext_control & EXT_IER_WRITES))
            lapic_set_ier(lapic, reg - R_IER, value);
        break;
    }
}

/* Table 16-2. */
void lapic_registers_reset(struct lapic *lapic)
{
    lapic->tpr = lapic->seoi = 0;
    lapic->ldr = 0;
    lapic->dfr = UINT32_MAX;
    lapic->svr = 0xff;
    lapic->esr = lapic->errors = 0;
    lapic->icr_low = lapic->icr_high = lapic->remote_read = 0;
    lapic->ext_control = 0;
    memset(lapic->ier, 0xff, sizeof(lapic->ier));
    for (int i = 0; i < LVT_COUNT; i++)
        lapic->lvt[i] = i < LVT_EXT0 ? LVT_MASKED : 0;
    lapic->extint = false;
    lapic_clear_interrupts(lapic);
    lapic_timer_reset(lapic);
}

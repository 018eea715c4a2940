/* The local APIC's registers and the APIC_BASE MSR. APM vol 2, 16.3 "Local APIC".
 *
 * CHOICE: version 10h with six local interrupts (Table 16-2), without the extended register space.
 * CHOICE: registers are read and written by naturally aligned doublewords; the manual leaves other accesses undefined.
 * Here other reads see the bytes of the registers and zeros between them, other writes do nothing.
 * CHOICE: AE is 1 after reset, as on every machine by the time an image runs; 16.10 says RESET clears it.
 * CHOICE: clearing AE puts the registers into their reset state. */
#include "devices/lapic_priv.h"

#include <string.h>

#define WINDOW_BYTES 4096
#define VERSION_10H 0x00050010u

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
    R_DIVIDE = 0x3e
};

/* What software may write in each local vector table entry. Figures 16-8 and 16-12 to 16-15. */
static const uint32_t lvt_writable[LVT_COUNT] = {
    [LVT_TIMER] = LVT_PERIODIC | LVT_MASKED | LVT_VECTOR,
    [LVT_THERMAL] = LVT_MASKED | LVT_MT | LVT_VECTOR,
    [LVT_PERF] = LVT_MASKED | LVT_MT | LVT_VECTOR,
    [LVT_LINT0] = LVT_MASKED | LVT_LEVEL | LVT_MT | LVT_VECTOR,
    [LVT_LINT1] = LVT_MASKED | LVT_LEVEL | LVT_MT | LVT_VECTOR,
    [LVT_ERROR] = LVT_MASKED | LVT_MT | LVT_VECTOR,
};

/* A location without a register. 16.4.6: "illegal register address". */
static void illegal_address(struct lapic *lapic)
{
    bus_tell(lapic->bus, PROBE_GUEST_ERROR, "APIC: no register at this offset (APM vol 2, 16.3.2)");
    lapic_error(lapic, ESR_ADDRESS);
}

static uint32_t register_read(struct lapic *lapic, unsigned reg)
{
    switch (reg) {
    case R_ID: return lapic->id;
    case R_VERSION: return VERSION_10H;
    case R_TPR: return lapic->tpr;
    case R_APR: return lapic_apr(lapic);
    case R_PPR: return lapic_ppr(lapic);
    case R_EOI: return 0; /* write-only */
    case R_RRR: return 0; /* no remote read ever succeeds */
    case R_LDR: return lapic->ldr;
    case R_DFR: return lapic->dfr;
    case R_SVR: return lapic->svr;
    case R_ESR: return lapic->esr;
    case R_ICR_LOW: return lapic->icr_low; /* delivery status: idle, messages take no time */
    case R_ICR_HIGH: return lapic->icr_high;
    case R_INITIAL: return lapic->initial;
    case R_COUNT: return lapic_timer_count(lapic);
    case R_DIVIDE: return lapic->divide;
    default: break;
    }
    if (reg >= R_ISR && reg < R_ISR + 8)
        return lapic->isr[reg - R_ISR];
    if (reg >= R_TMR && reg < R_TMR + 8)
        return lapic->tmr[reg - R_TMR];
    if (reg >= R_IRR && reg < R_IRR + 8)
        return lapic->irr[reg - R_IRR];
    if (reg >= R_LVT && reg < R_LVT + LVT_COUNT)
        return lapic->lvt[reg - R_LVT];
    illegal_address(lapic);
    return 0;
}

static void write_lvt(struct lapic *lapic, enum lvt which, uint32_t value)
{
    lapic_timer_sync(lapic); /* an expiry so far belongs to the old entry */
    uint32_t entry = (value & lvt_writable[which]) | (lapic->lvt[which] & LVT_REMOTE_IRR);
    if (!(lapic->svr & SVR_ENABLE))
        entry |= LVT_MASKED; /* 16.3.1: cannot be cleared */
    if (lvt_message(entry) != MT_FIXED || !(entry & LVT_LEVEL))
        entry &= ~LVT_REMOTE_IRR;
    lapic->lvt[which] = entry;
    if (which == LVT_LINT0 || which == LVT_LINT1)
        lapic_lint_update(lapic, which - LVT_LINT0, false);
    lapic_timer_arm(lapic);
}

static void write_svr(struct lapic *lapic, uint32_t value)
{
    lapic_timer_sync(lapic);
    lapic->svr = value & 0x3ff;
    for (unsigned i = 0; i < LVT_COUNT && !(lapic->svr & SVR_ENABLE); i++)
        lapic->lvt[i] |= LVT_MASKED;
    lapic_timer_arm(lapic);
    lapic_changed(lapic);
}

static void register_write(struct lapic *lapic, unsigned reg, uint32_t value)
{
    switch (reg) {
    case R_ID: lapic->id = value & 0xff000000; return;
    case R_TPR: lapic_intc_ops.write_tpr(lapic, (uint8_t)value); return;
    case R_EOI: lapic_eoi(lapic); return;
    case R_LDR: lapic->ldr = value & 0xff000000; return;
    case R_DFR: lapic->dfr = value | 0x0fffffff; return;
    case R_SVR: write_svr(lapic, value); return;
    case R_ESR:
        lapic->esr = lapic->errors;
        lapic->errors = 0;
        lapic_timer_arm(lapic); /* an illegal vector of the timer is an error again */
        return;
    case R_ICR_LOW:
        lapic->icr_low = value & 0x000ccfff;
        lapic_send(lapic);
        return;
    case R_ICR_HIGH: lapic->icr_high = value & 0xff000000; return;
    case R_INITIAL: lapic_timer_set_initial(lapic, value); return;
    case R_DIVIDE: lapic_timer_set_divide(lapic, value); return;
    case R_VERSION:
    case R_APR:
    case R_PPR:
    case R_RRR:
    case R_COUNT: break;
    default:
        if (reg >= R_LVT && reg < R_LVT + LVT_COUNT) {
            write_lvt(lapic, (enum lvt)(reg - R_LVT), value);
            return;
        }
        if (reg < R_ISR || reg >= R_IRR + 8) {
            illegal_address(lapic);
            return;
        }
        break;
    }
    bus_tell(lapic->bus, PROBE_GUEST_ERROR, "APIC: write to a read-only register");
}

static uint64_t lapic_mmio_read(void *self, uint64_t offset, unsigned size)
{
    struct lapic *lapic = self;
    if (size == 4 && !(offset & 15))
        return register_read(lapic, (unsigned)offset >> 4);
    bus_tell(lapic->bus, PROBE_GUEST_ERROR,
             "APIC: read is not an aligned doubleword (APM vol 2, 16.3.2)");
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++) {
        unsigned at = (unsigned)offset + i;
        if ((at & 15) < 4)
            value |= (uint64_t)(register_read(lapic, at >> 4) >> 8 * (at & 15) & 0xff) << 8 * i;
    }
    return value;
}

static void lapic_mmio_write(void *self, uint64_t offset, unsigned size, uint64_t value)
{
    struct lapic *lapic = self;
    if (size == 4 && !(offset & 15))
        register_write(lapic, (unsigned)offset >> 4, (uint32_t)value);
    else
        bus_tell(lapic->bus, PROBE_GUEST_ERROR,
                 "APIC: write that is not an aligned doubleword is ignored (APM vol 2, 16.3.2)");
}

/* Table 16-2, without APIC_BASE. */
static void registers_reset(struct lapic *lapic)
{
    clock_cancel(lapic->clock, &lapic->expiry);
    lapic->id = (uint32_t)lapic->config.id << 24;
    lapic->tpr = 0;
    lapic->ldr = 0;
    lapic->dfr = UINT32_MAX;
    lapic->svr = 0xff;
    lapic->esr = lapic->errors = 0;
    lapic->icr_low = lapic->icr_high = 0;
    for (unsigned i = 0; i < LVT_COUNT; i++)
        lapic->lvt[i] = LVT_MASKED;
    lapic_clear_interrupts(lapic);
    lapic->timer_on = false;
    lapic->initial = lapic->divide = lapic->from = 0;
}

uint64_t lapic_read_base(void *self)
{
    const struct lapic *lapic = self;
    return lapic->apic_base;
}

/* 16.3.1 "Local APIC Enable"; BSC is read-only. x2APIC mode is not offered: EXTD is reserved. */
bool lapic_write_base(void *self, uint64_t value)
{
    struct lapic *lapic = self;
    unsigned bits = lapic->config.maxphyaddr;
    uint64_t address = APIC_BASE_ABA & ((1ull << bits) - 1);
    if (value & ~(address | APIC_BASE_AE | APIC_BASE_BSC))
        return false;
    bool was_enabled = lapic_enabled(lapic);
    lapic->apic_base = (value & ~(uint64_t)APIC_BASE_BSC) | (lapic->apic_base & APIC_BASE_BSC);
    if (was_enabled && !lapic_enabled(lapic))
        registers_reset(lapic);
    bus_map_mmio(lapic->bus, lapic, value & APIC_BASE_ABA, lapic_enabled(lapic) ? WINDOW_BYTES : 0);
    struct memory *memory = bus_memory(lapic->bus);
    if (lapic_enabled(lapic) && memory &&
        memory_backing(memory, value & APIC_BASE_ABA) != UINT64_MAX)
        bus_tell(lapic->bus, PROBE_UNIMP,
                 "APIC: registers moved over RAM cannot be reached (APM vol 2, 16.3.1)");
    lapic_changed(lapic);
    return true;
}

static void lapic_reset(void *self)
{
    struct lapic *lapic = self;
    registers_reset(lapic);
    lapic->apic_base = 0xfee00000 | APIC_BASE_AE | (lapic->config.bsp ? APIC_BASE_BSC : 0);
    bus_map_mmio(lapic->bus, lapic, 0xfee00000, WINDOW_BYTES);
}

static void lapic_fini(void *self)
{
    struct lapic *lapic = self;
    clock_cancel(lapic->clock, &lapic->expiry);
}

void lapic_firmware_init(struct lapic *lapic)
{
    register_write(lapic, R_SVR, SVR_ENABLE | 0xff);
    register_write(lapic, R_LVT + LVT_LINT0, LVT_LEVEL | MT_EXTINT << 8);
    register_write(lapic, R_LVT + LVT_LINT1, LVT_LEVEL | MT_NMI << 8);
}

static void lint0_from_pic(void *self, bool level)
{
    lapic_set_lint(self, 0, level);
}

static const struct dev_class dev_lapic = {
    .name = "lapic",
    .state_size = sizeof(struct lapic),
    .reset = lapic_reset,
    .fini = lapic_fini,
    .mmio_read = lapic_mmio_read,
    .mmio_write = lapic_mmio_write,
};

struct lapic *lapic_add(struct bus *bus, const struct lapic_config *config)
{
    struct lapic *lapic = bus_add(bus, &dev_lapic);
    if (!lapic)
        return NULL;
    lapic->config = *config;
    if (lapic->config.maxphyaddr < 32 || lapic->config.maxphyaddr > 52)
        lapic->config.maxphyaddr = 52;
    lapic->bus = bus;
    lapic->clock = bus_clock(bus);
    lapic->expiry = (struct deadline){ .fire = lapic_timer_fire, .self = lapic };
    lapic_reset(lapic);
    if (config->pic)
        pic_connect(config->pic, lint0_from_pic, lapic);
    return lapic;
}

/* Local APICs with a PIC, as the tests of its parts need it. */
#ifndef TESTS_DEVICES_LAPIC_KIT_H
#define TESTS_DEVICES_LAPIC_KIT_H

#include "tests/devices/kit.h"

#include "devices/lapic.h"

#define APIC 0xfee00000u
#define ID 0x020
#define VERSION 0x030
#define TPR 0x080
#define APR 0x090
#define PPR 0x0a0
#define EOI 0x0b0
#define RRR 0x0c0
#define LDR 0x0d0
#define DFR 0x0e0
#define SVR 0x0f0
#define ISR 0x100
#define TMR 0x180
#define IRR 0x200
#define ESR 0x280
#define ICR_LOW 0x300
#define ICR_HIGH 0x310
#define LVT_TIMER 0x320
#define LVT_THERMAL 0x330
#define LVT_PERF 0x340
#define LVT_LINT0 0x350
#define LVT_LINT1 0x360
#define LVT_ERROR 0x370
#define INITIAL 0x380
#define COUNT 0x390
#define DIVIDE 0x3e0
#define EXT_FEATURE 0x400
#define EXT_CONTROL 0x410
#define SEOI 0x420
#define IER 0x480
#define EXT_LVT 0x500

#define TO_SELF 0x40000u

#define LOCAL_CPUS 4

struct local {
    struct kit kit;
    struct pic *pic;
    struct apics *apics;
    struct lapic *lapic;    /* of processor 0 */
    unsigned changes, nmis; /* of processor 0 */
    unsigned signals[LOCAL_CPUS][APIC_SIPI + 1];
    uint8_t sipi_vector;
};

static inline void local_signal(void *self, unsigned cpu, enum apic_signal what, uint8_t vector)
{
    struct local *l = self;
    l->signals[cpu][what]++;
    l->changes = l->signals[0][APIC_CHANGED];
    l->nmis = l->signals[0][APIC_NMI];
    if (what == APIC_SIPI)
        l->sipi_vector = vector;
}

static inline uint32_t rd(struct local *l, uint32_t reg)
{
    return (uint32_t)bus_mmio_ops.read(l->kit.bus, APIC + reg, 4);
}

static inline void wr(struct local *l, uint32_t reg, uint32_t value)
{
    bus_mmio_ops.write(l->kit.bus, APIC + reg, 4, value);
}

/* `count` processors as after reset; x2APIC mode and all that CPUID could offer. */
static inline void local_open_many(struct local *l, unsigned count)
{
    memset(l, 0, sizeof(*l));
    kit_open(&l->kit);
    l->pic = pic_add(l->kit.bus, NULL, NULL);
    struct apics_config config = { .count = count,
                                   .pic = l->pic,
                                   .maxphyaddr = 48,
                                   .x2apic = true,
                                   .tsc_deadline = true,
                                   .extended = true,
                                   .signal = local_signal,
                                   .self = l };
    l->apics = apics_add(l->kit.bus, &config);
    ck_assert_ptr_nonnull(l->apics);
    l->lapic = apics_cpu(l->apics, 0);
}

/* One processor as after reset, with the registers of Table 16-2 up to 3F0h and xAPIC mode alone. */
static inline void local_open_reset(struct local *l)
{
    memset(l, 0, sizeof(*l));
    kit_open(&l->kit);
    l->pic = pic_add(l->kit.bus, NULL, NULL);
    struct apics_config config = {
        .count = 1, .pic = l->pic, .maxphyaddr = 48, .signal = local_signal, .self = l
    };
    l->apics = apics_add(l->kit.bus, &config);
    ck_assert_ptr_nonnull(l->apics);
    l->lapic = apics_cpu(l->apics, 0);
}

/* With the ID 5, software-enabled, spurious vector EFh. */
static inline void local_open(struct local *l)
{
    local_open_reset(l);
    wr(l, ID, 0x05000000);
    wr(l, SVR, 0x1ef);
}

/* Access as processor `cpu`. */
static inline uint32_t rd_on(struct local *l, unsigned cpu, uint32_t reg)
{
    apics_select(l->apics, cpu);
    return rd(l, reg);
}

static inline void wr_on(struct local *l, unsigned cpu, uint32_t reg, uint32_t value)
{
    apics_select(l->apics, cpu);
    wr(l, reg, value);
}

/* `count` processors, software-enabled. */
static inline void local_open_enabled(struct local *l, unsigned count)
{
    local_open_many(l, count);
    for (unsigned cpu = 0; cpu < count; cpu++)
        wr_on(l, cpu, SVR, 0x1ef);
}

static inline bool bit_on(struct local *l, unsigned cpu, uint32_t reg, unsigned vector)
{
    return rd_on(l, cpu, reg + 16 * (vector / 32)) >> vector % 32 & 1;
}

static inline uint32_t errors_on(struct local *l, unsigned cpu)
{
    wr_on(l, cpu, ESR, 0);
    return rd_on(l, cpu, ESR);
}

/* Let the PIC ask: vectors 20h and 28h, IRQ 1 up. */
static inline void local_pic_asks(struct local *l)
{
    kit_out(&l->kit, 0x20, 0x11);
    kit_out(&l->kit, 0x21, 0x20);
    kit_out(&l->kit, 0x21, 0x04);
    kit_out(&l->kit, 0x21, 0x01);
    pic_set_irq(l->pic, 1, true);
}

static inline int pending(struct local *l)
{
    return lapic_intc_ops.pending(l->lapic);
}

static inline int acknowledge(struct local *l)
{
    return lapic_intc_ops.acknowledge(l->lapic);
}

static inline bool bit(struct local *l, uint32_t reg, unsigned vector)
{
    return rd(l, reg + 16 * (vector / 32)) >> vector % 32 & 1;
}

static inline uint32_t errors(struct local *l)
{
    wr(l, ESR, 0);
    return rd(l, ESR);
}

#endif

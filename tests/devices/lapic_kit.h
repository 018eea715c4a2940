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

#define TO_SELF 0x40000u

struct local {
    struct kit kit;
    struct pic *pic;
    struct apics *apics;
    struct lapic *lapic; /* of processor 0 */
    unsigned changes, nmis;
    unsigned signals[APIC_SIPI + 1]; /* of processor 0 */
};

static inline void local_signal(void *self, unsigned cpu, enum apic_signal what, uint8_t vector)
{
    struct local *l = self;
    (void)vector;
    if (cpu != 0)
        return;
    l->signals[what]++;
    l->changes = l->signals[APIC_CHANGED];
    l->nmis = l->signals[APIC_NMI];
}

static inline uint32_t rd(struct local *l, uint32_t reg)
{
    return (uint32_t)bus_mmio_ops.read(l->kit.bus, APIC + reg, 4);
}

static inline void wr(struct local *l, uint32_t reg, uint32_t value)
{
    bus_mmio_ops.write(l->kit.bus, APIC + reg, 4, value);
}

/* As after reset. */
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

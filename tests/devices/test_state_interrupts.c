/* Interrupt controllers that are saved and loaded: the pair of 8259A, local APICs, the IOAPIC. */
#include "tests/devices/trip_kit.h"

#include "devices/ferr.h"
#include "devices/ioapic.h"
#include "devices/lapic.h"
#include "devices/pic.h"

static void out(struct trip_world *world, uint16_t port, uint8_t value)
{
    kit_out(&world->kit, port, value);
}

/* --- the pair of 8259A ---------------------------------------------------------------------------------- */

struct pic_world {
    struct trip_world world;
    struct pic *pic;
};

static void intr(void *self, bool level)
{
    trip_wire_set(self, 16, level);
}

static void pic_open(struct trip_world *world)
{
    struct pic_world *p = (struct pic_world *)world;
    p->pic = pic_add(world->kit.bus, intr, world);
    ck_assert_ptr_nonnull(p->pic);
}

static void pic_program(struct trip_world *world, uint16_t base, uint8_t vector, uint8_t icw4)
{
    out(world, base, 0x11);
    out(world, base + 1, vector);
    out(world, base + 1, base == 0x20 ? 4 : 2);
    out(world, base + 1, icw4);
    out(world, base + 1, 0);
}

static void pic_drive(struct trip_world *world, unsigned variant)
{
    struct pic_world *p = (struct pic_world *)world;
    pic_program(world, 0x20, 0x40, variant == 1 ? 0x11 : variant & 1 ? 0x03 : 0x01);
    pic_program(world, 0xa0, 0x50, variant & 2 ? 0x03 : 0x01);
    out(world, 0x4d1, 0x0c);
    out(world, 0x21, 0x20);
    out(world, 0x20, variant & 1 ? 0x80 : 0xc2); /* rotation in AEOI mode; priorities */
    pic_set_irq(p->pic, 3, true);
    pic_set_irq(p->pic, 10, true);
    (void)pic_acknowledge(p->pic);
    pic_set_irq(p->pic, 1, true);
    pic_set_irq(p->pic, 5, true);
    pic_set_irq(p->pic, 8, true); /* before the one that is served */
    pic_set_irq(p->pic, 14, true);
    if (variant & 2) {
        out(world, 0x20, 0x68 | 0x03); /* special mask, ISR is read */
        out(world, 0x21, 0x0c);        /* of what is served */
    }
    if (variant == 4)
        out(world, 0xa0, 0x0c); /* poll */
    if (variant == 5) {         /* in the middle of the ICWs */
        out(world, 0x20, 0x13);
    }
}

static void pic_look(struct trip_world *world)
{
    struct pic_world *p = (struct pic_world *)world;
    static const uint16_t ports[] = { 0x20, 0xa0, 0x21, 0xa1, 0x4d0, 0x4d1 };
    for (unsigned i = 0; i < 24; i++) {
        trip_log(world, (uint64_t)pic_pending(p->pic));
        for (unsigned n = 0; n < 6; n++)
            (void)trip_in(world, ports[n]);
        if (i % 3 == 0)
            trip_log(world, (uint64_t)pic_acknowledge(p->pic));
        if (i % 4 == 1)
            out(world, 0xa0, 0x20);
        if (i % 4 == 3)
            out(world, 0x20, 0xa0);
        if (i == 10) { /* completes what was begun */
            out(world, 0x21, 0x60);
            out(world, 0x21, 0x01);
            out(world, 0x21, 0x40);
        }
        pic_set_irq(p->pic, i * 7 % 16, i & 1);
    }
}

START_TEST(state_of_the_8259)
{
    static const struct trip trip = { .world_size = sizeof(struct pic_world),
                                      .open = pic_open,
                                      .drive = pic_drive,
                                      .look = pic_look,
                                      .variants = 6,
                                      .alterations = 300 };
    trip_check(&trip);
}
END_TEST

/* --- APICs ------------------------------------------------------------------------------------------------ */

#define CPUS 3
#define APIC 0xfee00000u

struct apic_world {
    struct trip_world world;
    struct pic *pic;
    struct apics *apics;
    struct ioapic *ioapic;
};

static void signalled(void *self, unsigned cpu, enum apic_signal what, uint8_t vector)
{
    if (what != APIC_CHANGED) /* that one says no more than "look" */
        trip_log(self, cpu | (uint64_t)what << 8 | (uint64_t)vector << 16);
}

static void apics_open(struct trip_world *world)
{
    struct apic_world *a = (struct apic_world *)world;
    a->pic = pic_add(world->kit.bus, NULL, NULL);
    const struct apics_config config = { .count = CPUS,
                                         .pic = a->pic,
                                         .maxphyaddr = 48,
                                         .x2apic = true,
                                         .tsc_deadline = true,
                                         .extended = true,
                                         .signal = signalled,
                                         .self = world };
    a->apics = apics_add(world->kit.bus, &config);
    ck_assert_ptr_nonnull(a->apics);
    a->ioapic = ioapic_add(world->kit.bus, a->apics);
    ck_assert_ptr_nonnull(a->ioapic);
}

static void apic_set(struct apic_world *a, unsigned cpu, unsigned reg, uint32_t value)
{
    apics_select(a->apics, cpu);
    bus_mmio_ops.write(a->world.kit.bus, APIC + reg, 4, value);
    apics_select(a->apics, 0);
}

static void io_set(struct apic_world *a, uint8_t reg, uint32_t value)
{
    bus_mmio_ops.write(a->world.kit.bus, IOAPIC_SPA, 4, reg);
    bus_mmio_ops.write(a->world.kit.bus, IOAPIC_SPA + 0x10, 4, value);
}

/* Timers of each mode, masked and not; what is requested, in service, refused; levels that wait for their EOI. */
static void apics_drive(struct trip_world *world, unsigned variant)
{
    struct apic_world *a = (struct apic_world *)world;
    for (unsigned cpu = 0; cpu < CPUS; cpu++)
        apic_set(a, cpu, 0x0f0, 0x1ef);
    apic_set(a, 0, 0x3e0, 0x0b);
    apic_set(a, 0, 0x320, variant & 1 ? 0x30070 : 0x20070); /* periodic */
    apic_set(a, 0, 0x380, 12345);
    apic_set(a, 1, 0x3e0, 0x03);
    apic_set(a, 1, 0x320,
             variant & 2 ? 0x00003 : 0x00071); /* one-shot; with a vector that is none */
    apic_set(a, 1, 0x380, 4000);
    apic_set(a, 2, 0x320, 0x40072);
    lapic_intc_ops.write_tsc_deadline(apics_cpu(a->apics, 2), 5000, variant & 4 ? 5000 : 50000);
    apic_set(a, 0, 0x350, 0x08700); /* LINT0: ExtINT */
    apic_set(a, 1, 0x360, 0x08055); /* LINT1: a level */
    lapic_set_lint(apics_cpu(a->apics, 1), 1, true);
    io_set(a, 0x10 + 2 * 5, 0x08061);
    io_set(a, 0x11 + 2 * 5, 0x01000000);
    ioapic_set_irq(a->ioapic, 5, true);
    io_set(a, 0x10 + 2 * 6, 0x18062); /* masked, and asserted */
    ioapic_set_irq(a->ioapic, 6, true);
    io_set(a, 0x00, 0x03000000);
    apic_set(a, 0, 0x080, 0x20);
    apic_set(a, 0, 0x300, 0x00044081); /* to itself */
    trip_log(world, (uint64_t)lapic_intc_ops.acknowledge(apics_cpu(a->apics, 0)));
    apic_set(a, 0, 0x300, 0x00040003); /* an error */
    apic_set(a, 0, 0x400 + 0x10, 7);
    apic_set(a, 0, 0x480 + 0x20, 0xfffffff0);
    if (variant & 1) {
        apic_set(a, 0, 0x280, 0);
        apic_set(a, 0, 0x020, 0x05000000);
        apic_set(a, 0, 0x0d0, 0x11000000);
        apic_set(a, 1, 0x0d0, 0x12000000);
        apic_set(a, 1, 0x0e0, 0x0fffffff); /* a cluster */
        apic_set(a, 1, 0x310, 0x02000000);
        apic_set(a, 1, 0x300,
                 0x00300 | 0x50); /* reads a register of processor 2, which has none there */
        apic_set(a, 1, 0x300, 0x00300 | 0x0f);
        apic_set(a, 0, 0x420, 0x81);
        apic_set(a, 2, 0x310, 0x01000000);
        apic_set(a, 2, 0x300, 0x00700); /* ExtINT */
    }
    kit_pass(&world->kit, 34567);
    if (variant & 2)
        apic_set(a, 1, 0x3e0, 0x00); /* a further count of another length */
    if (variant & 4)
        (void)lapic_intc_ops.write_apic_base(apics_cpu(a->apics, 2), APIC | 0xc00);
    else
        (void)lapic_intc_ops.write_apic_base(apics_cpu(a->apics, 0), 0xd0000900);
    pic_set_irq(a->pic, 1, true);
    bus_mmio_ops.write(world->kit.bus, IOAPIC_SPA, 4, 0x1a);
}

static void apic_read_all(struct apic_world *a, unsigned cpu)
{
    struct trip_world *world = &a->world;
    apics_select(a->apics, cpu);
    uint64_t base = lapic_intc_ops.read_apic_base(apics_cpu(a->apics, cpu));
    trip_log(world, base);
    for (unsigned reg = 0x20; reg < 0x540; reg += 0x10)
        (void)trip_mmio(world, (base & ~0xfffull) + reg, 4);
    for (unsigned msr = 0x802; msr < 0x840; msr++) {
        uint64_t value = 0;
        bool good = lapic_intc_ops.read_msr(apics_cpu(a->apics, cpu), msr, &value);
        trip_log(world, good);
        trip_log(world, value);
    }
    trip_log(world, lapic_intc_ops.read_tsc_deadline(apics_cpu(a->apics, cpu)));
    trip_log(world, (uint64_t)lapic_intc_ops.pending(apics_cpu(a->apics, cpu)));
    apics_select(a->apics, 0);
}

static void apics_look(struct trip_world *world)
{
    struct apic_world *a = (struct apic_world *)world;
    (void)trip_mmio(world, IOAPIC_SPA, 4);
    (void)trip_mmio(world, IOAPIC_SPA + 0x10, 4);
    for (unsigned i = 0; i < 16; i++) {
        for (unsigned cpu = 0; cpu < CPUS; cpu++) {
            if (i % 4 != 3) /* sometimes nobody looks */
                apic_read_all(a, cpu);
            if (i % 2)
                trip_log(world, (uint64_t)lapic_intc_ops.acknowledge(apics_cpu(a->apics, cpu)));
            if (i % 3 == 2)
                apic_set(a, cpu, 0x0b0, 0);
            if (i == 9)
                apic_set(a, cpu, 0x280, 0);
        }
        for (uint8_t reg = 0; reg < 0x40; reg++) {
            bus_mmio_ops.write(world->kit.bus, IOAPIC_SPA, 4, reg);
            (void)trip_mmio(world, IOAPIC_SPA + 0x10, 4);
        }
        if (i == 6) {
            const struct apic_message logical = {
                .type = MT_FIXED, .vector = 0x90, .dest = 0x12, .logical = true
            };
            trip_log(world, apics_message(a->apics, &logical));
            ioapic_set_irq(a->ioapic, 5, false);
        }
        if (i == 7)
            io_set(a, 0x10 + 2 * 6, 0x08062);
        if (i == 8)
            apic_set(a, 0, 0x320, 0x20073);
        kit_pass(&world->kit, 1 + (uint64_t)i * i * 331);
    }
}

START_TEST(state_of_the_apics)
{
    static const struct trip trip = { .world_size = sizeof(struct apic_world),
                                      .open = apics_open,
                                      .drive = apics_drive,
                                      .look = apics_look,
                                      .variants = 8,
                                      .with_memory = true,
                                      .alterations = 100 };
    trip_check(&trip);
}
END_TEST

/* --- FERR# -------------------------------------------------------------------------------------------------- */

struct ferr_world {
    struct trip_world world;
    struct ferr *ferr;
};

static void ferr_open(struct trip_world *world)
{
    struct ferr_world *f = (struct ferr_world *)world;
    f->ferr = ferr_add(world->kit.bus, trip_wire(world, 13), NULL, NULL);
    ck_assert_ptr_nonnull(f->ferr);
}

static void ferr_drive(struct trip_world *world, unsigned variant)
{
    if (variant)
        ferr_rise(((struct ferr_world *)world)->ferr);
}

static void ferr_look(struct trip_world *world)
{
    trip_log(world, world->level[13]);
    out(world, 0xf0, 0);
    trip_log(world, world->level[13]);
    ferr_rise(((struct ferr_world *)world)->ferr);
}

START_TEST(state_of_ferr)
{
    static const struct trip trip = { .world_size = sizeof(struct ferr_world),
                                      .open = ferr_open,
                                      .drive = ferr_drive,
                                      .look = ferr_look,
                                      .variants = 2,
                                      .alterations = 50 };
    trip_check(&trip);
}
END_TEST

CHECK_MAIN("state_interrupts", state_of_the_8259, state_of_the_apics, state_of_ferr)

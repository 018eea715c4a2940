/* The I/O APIC: 82093AA data sheet. */
#include "tests/devices/lapic_kit.h"

#include "devices/ioapic.h"

#define LEVEL 0x8000u
#define MASKED 0x10000u
#define REMOTE_IRR 0x4000u

struct io {
    struct local local;
    struct ioapic *ioapic;
};

static uint32_t get(struct io *io, uint8_t reg)
{
    bus_mmio_ops.write(io->local.kit.bus, IOAPIC_SPA, 4, reg);
    return (uint32_t)bus_mmio_ops.read(io->local.kit.bus, IOAPIC_SPA + 0x10, 4);
}

static void set(struct io *io, uint8_t reg, uint32_t value)
{
    bus_mmio_ops.write(io->local.kit.bus, IOAPIC_SPA, 4, reg);
    bus_mmio_ops.write(io->local.kit.bus, IOAPIC_SPA + 0x10, 4, value);
}

static void set_entry(struct io *io, unsigned pin, uint8_t dest, uint32_t low)
{
    set(io, (uint8_t)(0x11 + 2 * pin), (uint32_t)dest << 24);
    set(io, (uint8_t)(0x10 + 2 * pin), low);
}

static uint32_t entry(struct io *io, unsigned pin)
{
    return get(io, (uint8_t)(0x10 + 2 * pin));
}

static void io_open(struct io *io, unsigned cpus)
{
    memset(io, 0, sizeof(*io));
    local_open_enabled(&io->local, cpus);
    io->ioapic = ioapic_add(io->local.kit.bus, io->local.apics);
    ck_assert_ptr_nonnull(io->ioapic);
    apics_select(io->local.apics, 0);
}

static void pulse(struct io *io, unsigned pin)
{
    ioapic_set_irq(io->ioapic, pin, true);
    ioapic_set_irq(io->ioapic, pin, false);
}

START_TEST(ioapic_registers_after_reset)
{
    struct io io;
    io_open(&io, 1);
    set(&io, 0x00, 0xffffffff);
    for (unsigned pin = 0; pin < 24; pin++)
        set_entry(&io, pin, 0xff, 0xffffffff & ~MASKED);
    bus_reset(io.local.kit.bus);
    ck_assert_uint_eq(get(&io, 0x00), 0);
    ck_assert_uint_eq(get(&io, 0x01), 0x00170020);
    ck_assert_uint_eq(get(&io, 0x02), 0);
    for (unsigned pin = 0; pin < 24; pin++) {
        ck_assert_uint_eq(entry(&io, pin), MASKED);
        ck_assert_uint_eq(get(&io, (uint8_t)(0x11 + 2 * pin)), 0);
    }
    kit_close(&io.local.kit);
}
END_TEST

START_TEST(ioapic_writable_bits)
{
    struct io io;
    io_open(&io, 1);
    set(&io, 0x00, 0xffffffff);
    ck_assert_uint_eq(get(&io, 0x00), 0x0f000000);
    ck_assert_uint_eq(get(&io, 0x02), 0x0f000000);
    set(&io, 0x01, 0);
    ck_assert_uint_eq(get(&io, 0x01), 0x00170020);
    for (unsigned pin = 0; pin < 24; pin++) {
        set_entry(&io, pin, 0xa5, 0xffffffff);
        ck_assert_uint_eq(entry(&io, pin), 0x1afff);
        ck_assert_uint_eq(get(&io, (uint8_t)(0x11 + 2 * pin)), 0xa5000000);
    }
    for (unsigned reg = 0x40; reg < 0x100; reg++) {
        set(&io, (uint8_t)reg, 0xffffffff);
        ck_assert_uint_eq(get(&io, (uint8_t)reg), 0);
    }
    kit_close(&io.local.kit);
}
END_TEST

START_TEST(ioapic_window_and_widths)
{
    struct io io;
    io_open(&io, 1);
    struct bus *bus = io.local.kit.bus;
    bus_mmio_ops.write(bus, IOAPIC_SPA, 1, 0x01);
    ck_assert_uint_eq(bus_mmio_ops.read(bus, IOAPIC_SPA, 1), 0x01);
    ck_assert_uint_eq(bus_mmio_ops.read(bus, IOAPIC_SPA, 4), 0x01);
    ck_assert_uint_eq(bus_mmio_ops.read(bus, IOAPIC_SPA + 0x10, 1), 0); /* data: doublewords */
    ck_assert_uint_eq(bus_mmio_ops.read(bus, IOAPIC_SPA + 0x20, 4), 0);
    bus_mmio_ops.write(bus, IOAPIC_SPA, 4, 0x10);
    bus_mmio_ops.write(bus, IOAPIC_SPA + 0x10, 1, 0x60);
    bus_mmio_ops.write(bus, IOAPIC_SPA + 0x20, 4, 0x60);
    ck_assert_uint_eq(entry(&io, 0), MASKED);
    ck_assert_uint_eq(bus_mmio_ops.read(bus, IOAPIC_SPA + 0x1000, 4), UINT64_MAX);
    kit_close(&io.local.kit);
}
END_TEST

START_TEST(ioapic_edge_sends_once)
{
    for (unsigned pin = 0; pin < 24; pin++) {
        struct io io;
        io_open(&io, 1);
        set_entry(&io, pin, 0, 0x60);
        ioapic_set_irq(io.ioapic, pin, true);
        ck_assert_int_eq(acknowledge(&io.local), 0x60);
        ck_assert(!bit(&io.local, TMR, 0x60));
        wr(&io.local, EOI, 0);
        ioapic_set_irq(io.ioapic, pin, true); /* no edge */
        ck_assert_int_eq(pending(&io.local), -1);
        ioapic_set_irq(io.ioapic, pin, false);
        ck_assert_int_eq(pending(&io.local), -1);
        ioapic_set_irq(io.ioapic, pin, true);
        ck_assert_int_eq(pending(&io.local), 0x60);
        kit_close(&io.local.kit);
    }
}
END_TEST

START_TEST(ioapic_edge_at_a_masked_input_is_lost)
{
    struct io io;
    io_open(&io, 1);
    set_entry(&io, 4, 0, MASKED | 0x60);
    ioapic_set_irq(io.ioapic, 4, true);
    set_entry(&io, 4, 0, 0x60);
    ck_assert_int_eq(pending(&io.local), -1);
    kit_close(&io.local.kit);
}
END_TEST

START_TEST(ioapic_level_waits_for_eoi)
{
    struct io io;
    io_open(&io, 1);
    set_entry(&io, 20, 0, LEVEL | 0x60);
    ioapic_set_irq(io.ioapic, 20, true);
    ck_assert_uint_eq(entry(&io, 20), LEVEL | REMOTE_IRR | 0x60);
    ck_assert(bit(&io.local, TMR, 0x60));
    ck_assert_int_eq(acknowledge(&io.local), 0x60);
    ioapic_set_irq(io.ioapic, 20, false);
    ioapic_set_irq(io.ioapic, 20, true); /* remote IRR: not sent again */
    ck_assert(!bit(&io.local, IRR, 0x60));
    wr(&io.local, EOI, 0); /* still asserted: again */
    ck_assert(bit(&io.local, IRR, 0x60));
    ck_assert_uint_eq(entry(&io, 20), LEVEL | REMOTE_IRR | 0x60);
    ck_assert_int_eq(acknowledge(&io.local), 0x60);
    ioapic_set_irq(io.ioapic, 20, false);
    wr(&io.local, EOI, 0);
    ck_assert_uint_eq(entry(&io, 20), LEVEL | 0x60);
    ck_assert_int_eq(pending(&io.local), -1);
    kit_close(&io.local.kit);
}
END_TEST

START_TEST(ioapic_level_at_a_masked_input_comes_when_unmasked)
{
    struct io io;
    io_open(&io, 1);
    set_entry(&io, 5, 0, LEVEL | MASKED | 0x60);
    ioapic_set_irq(io.ioapic, 5, true);
    ck_assert_int_eq(pending(&io.local), -1);
    set_entry(&io, 5, 0, LEVEL | 0x60);
    ck_assert_int_eq(pending(&io.local), 0x60);
    kit_close(&io.local.kit);
}
END_TEST

START_TEST(ioapic_remote_irr_is_read_only_and_falls_with_the_mode)
{
    struct io io;
    io_open(&io, 1);
    set_entry(&io, 5, 0, LEVEL | REMOTE_IRR | 0x60);
    ck_assert_uint_eq(entry(&io, 5), LEVEL | 0x60);
    ioapic_set_irq(io.ioapic, 5, true);
    set(&io, 0x1a, LEVEL | MASKED | 0x60);
    ck_assert_uint_eq(entry(&io, 5), LEVEL | MASKED | REMOTE_IRR | 0x60);
    set(&io, 0x1a, 0x60);
    ck_assert_uint_eq(entry(&io, 5), 0x60);
    kit_close(&io.local.kit);
}
END_TEST

START_TEST(ioapic_eoi_register) /* version 20h */
{
    struct io io;
    io_open(&io, 1);
    set_entry(&io, 5, 0, LEVEL | 0x60);
    set_entry(&io, 6, 0, LEVEL | 0x61);
    ioapic_set_irq(io.ioapic, 5, true);
    ioapic_set_irq(io.ioapic, 6, true);
    ioapic_set_irq(io.ioapic, 5, false);
    ioapic_set_irq(io.ioapic, 6, false);
    bus_mmio_ops.write(io.local.kit.bus, IOAPIC_SPA + 0x40, 4, 0x60);
    ck_assert_uint_eq(entry(&io, 5), LEVEL | 0x60);
    ck_assert_uint_eq(entry(&io, 6), LEVEL | REMOTE_IRR | 0x61);
    kit_close(&io.local.kit);
}
END_TEST

START_TEST(ioapic_eoi_of_an_edge_is_not_broadcast)
{
    struct io io;
    io_open(&io, 2);
    set_entry(&io, 5, 1, LEVEL | 0x60);
    ioapic_set_irq(io.ioapic, 5, true);
    wr(&io.local, ICR_LOW, TO_SELF | 0x60); /* the same vector as an edge, elsewhere */
    ck_assert_int_eq(acknowledge(&io.local), 0x60);
    wr(&io.local, EOI, 0);
    ck_assert_uint_eq(entry(&io, 5), LEVEL | REMOTE_IRR | 0x60);
    kit_close(&io.local.kit);
}
END_TEST

START_TEST(ioapic_specific_eoi_is_broadcast)
{
    struct io io;
    io_open(&io, 1);
    set_entry(&io, 5, 0, LEVEL | 0x60);
    ioapic_set_irq(io.ioapic, 5, true);
    ioapic_set_irq(io.ioapic, 5, false);
    ck_assert_int_eq(acknowledge(&io.local), 0x60);
    wr(&io.local, EXT_CONTROL, 2);
    wr(&io.local, SEOI, 0x60);
    ck_assert_uint_eq(entry(&io, 5), LEVEL | 0x60);
    kit_close(&io.local.kit);
}
END_TEST

START_TEST(ioapic_polarity_is_kept_without_effect) /* CHOICE of ioapic.c */
{
    struct io io;
    io_open(&io, 1);
    set_entry(&io, 5, 0, 0x2000 | LEVEL | 0x60);
    ck_assert_int_eq(pending(&io.local), -1);
    ioapic_set_irq(io.ioapic, 5, true);
    ck_assert_int_eq(pending(&io.local), 0x60);
    kit_close(&io.local.kit);
}
END_TEST

START_TEST(ioapic_destinations)
{
    static const struct {
        uint8_t dest;
        uint32_t low;
        unsigned holders;
    } row[] = { { 1, 0x60, 2 },     { 0xff, 0x60, 7 },  { 5, 0x860, 5 },
                { 0xff, 0x860, 7 }, { 7, 0x960, 4 },    { 3, 0x960, 2 },
                { 3, 0x60, 0 },     { 0xff, 0x160, 4 }, { 3, LEVEL | 0x960, 2 } };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct io io;
        io_open(&io, 3);
        for (unsigned cpu = 0; cpu < 3; cpu++)
            wr_on(&io.local, cpu, LDR, 1u << (24 + cpu));
        set_entry(&io, 9, row[i].dest, row[i].low);
        ioapic_set_irq(io.ioapic, 9, true);
        for (unsigned cpu = 0; cpu < 3; cpu++)
            ck_assert_int_eq(bit_on(&io.local, cpu, IRR, 0x60), row[i].holders >> cpu & 1);
        kit_close(&io.local.kit);
    }
}
END_TEST

START_TEST(ioapic_other_message_types_are_edges)
{
    static const struct {
        uint32_t low;
        enum apic_signal what;
    } row[] = { { 0x200, APIC_SMI }, { 0x400, APIC_NMI }, { 0x500, APIC_INIT } };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct io io;
        io_open(&io, 2);
        set_entry(&io, 3, 1, row[i].low | LEVEL);
        ioapic_set_irq(io.ioapic, 3, true);
        ck_assert_uint_eq(io.local.signals[1][row[i].what], 1);
        ck_assert_uint_eq(io.local.signals[0][row[i].what], 0);
        ck_assert_uint_eq(entry(&io, 3), row[i].low | LEVEL); /* no remote IRR */
        set_entry(&io, 3, 1, row[i].low | LEVEL);
        ck_assert_uint_eq(io.local.signals[1][row[i].what], 1);
        pulse(&io, 3);
        ck_assert_uint_eq(io.local.signals[1][row[i].what], 1); /* it was high */
        pulse(&io, 3);
        ck_assert_uint_eq(io.local.signals[1][row[i].what], 2);
        kit_close(&io.local.kit);
    }
}
END_TEST

START_TEST(ioapic_external_interrupt)
{
    struct io io;
    io_open(&io, 1);
    local_pic_asks(&io.local);
    set_entry(&io, 0, 0, 0x700);
    ck_assert_int_eq(pending(&io.local), -1);
    pulse(&io, 0);
    ck_assert_int_eq(acknowledge(&io.local), 0x21);
    ck_assert_int_eq(pending(&io.local), -1);
    kit_close(&io.local.kit);
}
END_TEST

START_TEST(ioapic_illegal_vector_is_an_error_of_the_receiver)
{
    struct io io;
    io_open(&io, 1);
    set_entry(&io, 3, 0, LEVEL | 0x0f);
    ioapic_set_irq(io.ioapic, 3, true);
    ck_assert_uint_eq(entry(&io, 3), LEVEL | 0x0f); /* not accepted */
    ck_assert_uint_eq(errors(&io.local), 0x40);
    kit_close(&io.local.kit);
}
END_TEST

START_TEST(ioapic_level_is_tried_again_when_an_apic_is_enabled)
{
    struct io io;
    io_open(&io, 1);
    wr(&io.local, SVR, 0x0ef);
    set_entry(&io, 3, 0, LEVEL | 0x60);
    set_entry(&io, 4, 0, 0x70);
    ioapic_set_irq(io.ioapic, 3, true);
    ioapic_set_irq(io.ioapic, 4, true);
    ck_assert_uint_eq(entry(&io, 3), LEVEL | 0x60);
    wr(&io.local, SVR, 0x1ef);
    ck_assert(bit(&io.local, IRR, 0x60));
    ck_assert_uint_eq(entry(&io, 3), LEVEL | REMOTE_IRR | 0x60);
    ck_assert(!bit(&io.local, IRR, 0x70)); /* the edge is lost */
    kit_close(&io.local.kit);
}
END_TEST

START_TEST(ioapic_no_such_input)
{
    struct io io;
    io_open(&io, 1);
    ioapic_set_irq(io.ioapic, 24, true);
    ioapic_set_irq(io.ioapic, 1000, true);
    ck_assert_int_eq(pending(&io.local), -1);
    kit_close(&io.local.kit);
}
END_TEST

CHECK_MAIN("ioapic", ioapic_registers_after_reset, ioapic_writable_bits, ioapic_window_and_widths,
           ioapic_edge_sends_once, ioapic_edge_at_a_masked_input_is_lost,
           ioapic_level_waits_for_eoi, ioapic_level_at_a_masked_input_comes_when_unmasked,
           ioapic_remote_irr_is_read_only_and_falls_with_the_mode, ioapic_eoi_register,
           ioapic_eoi_of_an_edge_is_not_broadcast, ioapic_specific_eoi_is_broadcast,
           ioapic_polarity_is_kept_without_effect, ioapic_destinations,
           ioapic_other_message_types_are_edges, ioapic_external_interrupt,
           ioapic_illegal_vector_is_an_error_of_the_receiver,
           ioapic_level_is_tried_again_when_an_apic_is_enabled, ioapic_no_such_input)

/* The wires between the devices of a machine and its processors. */
#include "emu/machine/machine.h"

#include "devices/ioapic.h"
#include "devices/pc_testdev.h"
#include "tests/check_main.h"

#define LAPIC 0xfee00000u
#define SVR 0x0f0
#define IRR 0x200
#define ICR_LOW 0x300
#define ICR_HIGH 0x310

static const struct pacifica_device testdev = { .kind = PACIFICA_DEVICE_PC_TESTDEV };

static struct pacifica_machine *machine_with(const struct pacifica_device *devices, size_t count,
                                             uint32_t cpus)
{
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    struct pacifica_machine *machine;
    options.ram_bytes = 2 << 20;
    options.devices = devices;
    options.device_count = count;
    options.cpus = cpus;
    ck_assert_int_eq(pacifica_machine_new(&options, &machine, NULL), PACIFICA_OK);
    return machine;
}

static void write4(struct pacifica_machine *machine, uint64_t spa, uint32_t value)
{
    bus_mmio_ops.write(machine->bus, spa, 4, value);
}

static uint32_t read4(struct pacifica_machine *machine, uint64_t spa)
{
    return (uint32_t)bus_mmio_ops.read(machine->bus, spa, 4);
}

static void out(struct pacifica_machine *machine, uint16_t port, uint8_t value)
{
    bus_port_ops.write(machine->bus, port, 1, value);
}

static uint8_t in(struct pacifica_machine *machine, uint16_t port)
{
    return (uint8_t)bus_port_ops.read(machine->bus, port, 1);
}

/* Every input of the IOAPIC is an edge to processor 0 with vector 40h + input. */
static void open_ioapic(struct pacifica_machine *machine)
{
    write4(machine, LAPIC + SVR, 0x1ff);
    for (uint32_t pin = 0; pin < IOAPIC_PINS; pin++) {
        write4(machine, IOAPIC_SPA, 0x10 + 2 * pin);
        write4(machine, IOAPIC_SPA + 0x10, 0x40 + pin);
    }
}

static bool requested(struct pacifica_machine *machine, unsigned vector)
{
    return read4(machine, LAPIC + IRR + 16 * (vector / 32)) >> vector % 32 & 1;
}

/* IRR of both PICs. */
static unsigned pic_requests(struct pacifica_machine *machine)
{
    out(machine, 0x20, 0x0a);
    out(machine, 0xa0, 0x0a);
    return in(machine, 0x20) | (unsigned)in(machine, 0xa0) << 8;
}

START_TEST(wires_gsi_reaches_both_controllers)
{
    for (unsigned gsi = 0; gsi < 24; gsi++) {
        struct pacifica_machine *machine = machine_with(&testdev, 1, 1);
        open_ioapic(machine);
        out(machine, (uint16_t)(PC_TESTDEV_IRQ_PORT + gsi), 1);
        unsigned pin = gsi == 0 ? 2 : gsi; /* the timer's override */
        for (unsigned i = 0; i < 24; i++)
            ck_assert_int_eq(requested(machine, 0x40 + i), i == pin);
        bool isa = gsi < 16 && gsi != 2; /* line 2 is the cascade */
        /* An open PIC input 8-15 would ask the first PIC, too: here all are masked. */
        ck_assert_uint_eq(pic_requests(machine), isa ? 1u << gsi : 0);
        out(machine, (uint16_t)(PC_TESTDEV_IRQ_PORT + gsi), 0);
        ck_assert_uint_eq(pic_requests(machine), 0);
        pacifica_machine_free(machine);
    }
}
END_TEST

START_TEST(wires_timer_clock_and_serial_line)
{
    struct pacifica_machine *machine = machine_with(NULL, 0, 1);
    open_ioapic(machine);
    out(machine, 0x43, 0x34); /* OUT rises as the mode is written */
    ck_assert(requested(machine, 0x42));
    ck_assert_uint_eq(pic_requests(machine), 0x0001);
    out(machine, 0x3f9, 0x02); /* the transmitter is empty */
    ck_assert(requested(machine, 0x44));
    ck_assert_uint_eq(pic_requests(machine), 0x0011);
    out(machine, 0x70, 0x0b);
    out(machine, 0x71, 0x12); /* update ended */
    ck_assert(!requested(machine, 0x48));
    struct vclock *clock = &machine->clock;
    clock_run(clock, 0);
    ck_assert_uint_eq(clock_next_ns(clock), 1000000000); /* the timer has no count */
    pacifica_machine_free(machine);
}
END_TEST

START_TEST(wires_testdev_and_debug_console_in_any_order)
{
    static const struct pacifica_device console = { .kind = PACIFICA_DEVICE_DEBUGCON,
                                                    .port = 0xe9 };
    const struct pacifica_device orders[2][2] = { { testdev, console }, { console, testdev } };
    for (unsigned i = 0; i < 2; i++) {
        struct pacifica_machine *machine = machine_with(orders[i], 2, 1);
        ck_assert_uint_eq(in(machine, 0xe9), 0xe9);
        out(machine, 0xe8, 0x5a);
        ck_assert_uint_eq(in(machine, 0xe0), 0x5a);
        pacifica_machine_free(machine);
    }
}
END_TEST

START_TEST(wires_two_testdevs_are_refused)
{
    const struct pacifica_device two[2] = { testdev, testdev };
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    struct pacifica_machine *machine;
    struct pacifica_diag diag;
    options.ram_bytes = 2 << 20;
    options.devices = two;
    options.device_count = 2;
    ck_assert_int_eq(pacifica_machine_new(&options, &machine, &diag), PACIFICA_EUSAGE);
    ck_assert_ptr_null(machine);
}
END_TEST

START_TEST(wires_messages_set_the_pins_of_their_processor)
{
    static const struct {
        uint32_t icr;
        bool nmi, smi, init, sipi;
    } row[] = { { 0x4400, true, false, false, false },
                { 0x4200, false, true, false, false },
                { 0x4500, false, false, true, false },
                { 0x4699, false, false, false, true } };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct pacifica_machine *machine = machine_with(NULL, 0, 3);
        write4(machine, LAPIC + ICR_HIGH, 2u << 24);
        write4(machine, LAPIC + ICR_LOW, row[i].icr);
        for (unsigned cpu = 0; cpu < 3; cpu++) {
            const struct cpu_pins *pins = &machine->cpu[cpu]->pins;
            ck_assert_int_eq(pins->nmi, cpu == 2 && row[i].nmi);
            ck_assert_int_eq(pins->smi, cpu == 2 && row[i].smi);
            ck_assert_int_eq(pins->init, cpu == 2 && row[i].init);
            ck_assert_int_eq(pins->sipi, cpu == 2 && row[i].sipi);
        }
        if (row[i].sipi)
            ck_assert_uint_eq(machine->cpu[2]->pins.sipi_vector, 0x99);
        pacifica_machine_free(machine);
    }
}
END_TEST

START_TEST(wires_firmware_finds_the_number_of_processors)
{
    struct pacifica_machine *machine = machine_with(NULL, 0, 3);
    out(machine, 0x70, 0x5f);
    ck_assert_uint_eq(in(machine, 0x71), 2);
    static const uint8_t key[] = { 0x05, 0x0f };
    for (unsigned i = 0; i < 2; i++) {
        bus_port_ops.write(machine->bus, 0x510, 2, key[i]);
        ck_assert_uint_eq(in(machine, 0x511), 3);
        ck_assert_uint_eq(in(machine, 0x511), 0);
    }
    pacifica_machine_free(machine);
}
END_TEST

START_TEST(wires_devices_are_part_of_the_hash)
{
    struct pacifica_machine *machine = machine_with(&testdev, 1, 2);
    uint64_t hash = pacifica_machine_state_hash(machine);
    ck_assert_uint_eq(pacifica_machine_state_hash(machine), hash);
    out(machine, 0x3ff, 0x5a); /* which takes no time */
    ck_assert_uint_ne(pacifica_machine_state_hash(machine), hash);
    out(machine, 0x3ff, 0);
    ck_assert_uint_eq(pacifica_machine_state_hash(machine), hash);
    pacifica_machine_free(machine);
}
END_TEST

CHECK_MAIN("wires", wires_gsi_reaches_both_controllers, wires_timer_clock_and_serial_line,
           wires_testdev_and_debug_console_in_any_order, wires_two_testdevs_are_refused,
           wires_messages_set_the_pins_of_their_processor,
           wires_firmware_finds_the_number_of_processors, wires_devices_are_part_of_the_hash)

/* The chipset of a machine: PCI interrupts, ACPI's, the timers that replace each other, and the end by power-off. */
#include "emu/machine/machine.h"

#include "devices/hpet.h"
#include "devices/ioapic.h"
#include "devices/piix3.h"
#include "devices/piix4_pm.h"
#include "tests/check_main.h"

#include <string.h>

#define ROM_BYTES 65536u
#define SCI_PIN 9
#define LEVEL 0x8000u

static const struct pacifica_device devices[] = { { .kind = PACIFICA_DEVICE_PC_TESTDEV },
                                                  { .kind = PACIFICA_DEVICE_VIRTIO_RNG } };

static struct pacifica_machine *machine_new(void)
{
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    struct pacifica_machine *machine;
    options.ram_bytes = 2 << 20;
    options.devices = devices;
    options.device_count = 2;
    ck_assert_int_eq(pacifica_machine_new(&options, &machine, NULL), PACIFICA_OK);
    return machine;
}

static void out(struct pacifica_machine *machine, uint16_t port, unsigned size, uint32_t value)
{
    bus_port_ops.write(machine->bus, port, size, value);
}

static uint32_t in(struct pacifica_machine *machine, uint16_t port, unsigned size)
{
    return bus_port_ops.read(machine->bus, port, size);
}

/* The first function that can interrupt, behind those of the PIIX. */
static struct pci_device *interrupter(struct pacifica_machine *machine)
{
    for (unsigned devfn = pci_devfn(PCI_FIRST_SLOT, 0); devfn < 256; devfn++) {
        struct pci_device *dev = pci_bus_device(machine->pci, (uint8_t)devfn);
        if (dev && dev->config[PCI_INTERRUPT_PIN])
            return dev;
    }
    ck_abort_msg("no function with an interrupt pin");
    return NULL;
}

/* What the PICs see at their inputs. */
static unsigned pic_requests(struct pacifica_machine *machine)
{
    out(machine, 0x20, 1, 0x0a);
    out(machine, 0xa0, 1, 0x0a);
    return in(machine, 0x20, 1) | in(machine, 0xa0, 1) << 8;
}

/* Does the entry of an input of the IOAPIC wait for EOI? It is made level-triggered. */
static bool asserted(struct pacifica_machine *machine, unsigned pin)
{
    bus_mmio_ops.write(machine->bus, IOAPIC_SPA, 4, 0x10 + 2 * pin);
    bus_mmio_ops.write(machine->bus, IOAPIC_SPA + 0x10, 4, 0); /* edge: forgets */
    bus_mmio_ops.write(machine->bus, IOAPIC_SPA + 0x10, 4, LEVEL | (0x40 + pin));
    return bus_mmio_ops.read(machine->bus, IOAPIC_SPA + 0x10, 4) & 0x4000;
}

START_TEST(pci_interrupts_reach_both_controllers)
{
    struct pacifica_machine *machine = machine_new();
    struct pci_device *dev = interrupter(machine);
    unsigned irq = dev->config[PCI_INTERRUPT_LINE];
    ck_assert(irq == 10 || irq == 11);
    bus_mmio_ops.write(machine->bus, 0xfee000f0, 4, 0x1ff);
    ck_assert(!asserted(machine, irq));
    pci_set_intx(dev, true);
    ck_assert(asserted(machine, irq));
    ck_assert_uint_eq(pic_requests(machine) & 0x0e00, 1u << irq);
    pci_set_intx(dev, false);
    ck_assert(!asserted(machine, irq));
    ck_assert_uint_eq(pic_requests(machine) & 0x0e00, 0); /* level: ELCR */
    pacifica_machine_free(machine);
}
END_TEST

/* Wires that lead to one input: it is asserted while any of them is. */
START_TEST(wires_to_one_input_are_joined)
{
    struct pacifica_machine *machine = machine_new();
    struct pci_device *dev = interrupter(machine);
    unsigned irq = dev->config[PCI_INTERRUPT_LINE];
    bus_mmio_ops.write(machine->bus, 0xfee000f0, 4, 0x1ff);
    pci_set_intx(dev, true);
    out(machine, (uint16_t)(0x2000 + irq), 1, 1); /* pc-testdev */
    out(machine, (uint16_t)(0x2000 + irq), 1, 0);
    ck_assert(asserted(machine, irq));
    out(machine, (uint16_t)(0x2000 + irq), 1, 1);
    pci_set_intx(dev, false);
    ck_assert(asserted(machine, irq));
    out(machine, (uint16_t)(0x2000 + irq), 1, 0);
    ck_assert(!asserted(machine, irq));
    pacifica_machine_free(machine);
}
END_TEST

START_TEST(pirq_can_be_routed_to_the_sci)
{
    struct pacifica_machine *machine = machine_new();
    struct pci_device *dev = interrupter(machine);
    bus_mmio_ops.write(machine->bus, 0xfee000f0, 4, 0x1ff);
    for (unsigned i = 0; i < 4; i++)
        pci_config_write(machine->pci, PCI_ISA_BRIDGE, 0x60 + i, 1, SCI_PIN);
    out(machine, PIIX4_PM_PORT + 4, 2, 1);
    out(machine, PIIX4_PM_PORT + 2, 2, 0x100);
    piix4_pm_power_button(machine->pm);
    pci_set_intx(dev, true);
    out(machine, PIIX4_PM_PORT, 2, 0x100); /* SCI falls, the other stays */
    ck_assert(asserted(machine, SCI_PIN));
    pci_set_intx(dev, false);
    ck_assert(!asserted(machine, SCI_PIN));
    pacifica_machine_free(machine);
}
END_TEST

START_TEST(firmware_init_is_what_tables_say)
{
    struct pacifica_machine *machine = machine_new();
    ck_assert_uint_eq(in(machine, 0x4d0, 2), 0x0c00); /* PCI's are level-triggered */
    ck_assert_uint_eq(in(machine, PIIX4_PM_PORT + 8, 4) >> 24, 0);
    ck_assert_uint_eq(in(machine, PIIX4_GPE_PORT, 4), 0);
    ck_assert_uint_eq(pci_config_read(machine->pci, PCI_POWER, 0x3c, 1), SCI_PIN);
    ck_assert_uint_eq((uint32_t)bus_mmio_ops.read(machine->bus, HPET_SPA, 4), HPET_ID);
    ck_assert_uint_eq(pci_config_read(machine->pci, PCI_ISA_BRIDGE, 0x60, 4), 0x0b0b0a0a);
    pacifica_machine_free(machine);
}
END_TEST

START_TEST(hpet_takes_the_timers_input)
{
    struct pacifica_machine *machine = machine_new();
    bus_mmio_ops.write(machine->bus, 0xfee000f0, 4, 0x1ff);
    out(machine, 0x43, 1, 0x34); /* the PIT: mode 2, OUT is high */
    ck_assert(asserted(machine, 2));
    bus_mmio_ops.write(machine->bus, HPET_SPA + 0x10, 4, 2); /* legacy replacement */
    ck_assert(!asserted(machine, 2));
    bus_mmio_ops.write(machine->bus, HPET_SPA + 0x10, 4, 0);
    ck_assert(asserted(machine, 2));
    pacifica_machine_free(machine);
}
END_TEST

/* The PIT's OUT is high nearly always: what else rises at its input is an edge all the same. */
START_TEST(timers_share_an_input_by_edges)
{
    struct pacifica_machine *machine = machine_new();
    bus_mmio_ops.write(machine->bus, 0xfee000f0, 4, 0x1ff);
    out(machine, 0x43, 1, 0x34);
    bus_mmio_ops.write(machine->bus, IOAPIC_SPA, 4, 0x10 + 2 * HPET_ROUTE);
    bus_mmio_ops.write(machine->bus, IOAPIC_SPA + 0x10, 4, 0x42);
    ck_assert(!(bus_mmio_ops.read(machine->bus, 0xfee00220, 4) & 4));
    out(machine, 0x2000 + HPET_ROUTE, 1, 1); /* pc-testdev in the HPET's place */
    ck_assert(bus_mmio_ops.read(machine->bus, 0xfee00220, 4) & 4);
    pacifica_machine_free(machine);
}
END_TEST

/* 16-bit code at F000:0: PIIX4 at 600h, then SUS_EN with type 0; then FFh to the debug exit, where it does not come. */
static const uint8_t switch_off[] = {
    0x66, 0xb8, 0x40, 0x0b, 0x00, 0x80, 0xba, 0xf8, 0x0c, 0x66, 0xef, /* 40h */
    0xba, 0xfc, 0x0c, 0xb8, 0x01, 0x06, 0xef,                         /* = 601h */
    0x66, 0xb8, 0x80, 0x0b, 0x00, 0x80, 0xba, 0xf8, 0x0c, 0x66, 0xef, /* 80h */
    0xba, 0xfc, 0x0c, 0xb0, 0x01, 0xee,                               /* = 1 */
    0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef,                         /* out 604h, 2000h */
    0xb0, 0xff, 0xe6, 0x80, 0xf4                                      /* out 80h, ffh; hlt */
};

START_TEST(power_off_ends_until_a_reset)
{
    static uint8_t rom[ROM_BYTES];
    struct pacifica_machine *machine = machine_new();
    struct pacifica_firmware firmware = PACIFICA_FIRMWARE_INIT;
    struct pacifica_result result;
    memcpy(rom, switch_off, sizeof(switch_off));
    memcpy(rom + ROM_BYTES - 16, "\xea\x00\x00\x00\xf0", 5);
    firmware.image = (struct pacifica_bytes){ .data = rom, .size = ROM_BYTES };
    ck_assert_int_eq(pacifica_machine_load_firmware(machine, &firmware, NULL), PACIFICA_OK);
    for (unsigned run = 0; run < 2; run++) {
        pacifica_machine_run(machine, NULL, &result);
        ck_assert_int_eq(result.stop, PACIFICA_STOP_POWER_OFF);
        ck_assert_uint_eq(in(machine, 0x80, 1), 0);
        uint64_t steps = result.steps;
        pacifica_machine_run(machine, NULL, &result); /* it is off */
        ck_assert_int_eq(result.stop, PACIFICA_STOP_POWER_OFF);
        ck_assert_uint_eq(result.steps, steps);
        ck_assert_int_eq(pacifica_machine_reset(machine, NULL), PACIFICA_OK);
    }
    pacifica_machine_free(machine);
}
END_TEST

/* Firmware finds the bus as after power-on. */
START_TEST(reset_with_firmware_leaves_nothing_placed)
{
    static uint8_t rom[ROM_BYTES];
    struct pacifica_machine *machine = machine_new();
    struct pacifica_firmware firmware = PACIFICA_FIRMWARE_INIT;
    firmware.image = (struct pacifica_bytes){ .data = rom, .size = ROM_BYTES };
    ck_assert_int_eq(pacifica_machine_load_firmware(machine, &firmware, NULL), PACIFICA_OK);
    for (unsigned devfn = 0; devfn < 256; devfn++) {
        const struct pci_device *dev = pci_bus_device(machine->pci, (uint8_t)devfn);
        uint64_t base;
        for (unsigned i = 0; dev && i < PCI_BARS; i++)
            ck_assert(!pci_bar_base(dev, i, &base));
    }
    ck_assert_uint_eq(in(machine, PIIX4_PM_PORT + 8, 4), 0xffffffff);
    ck_assert_uint_eq(in(machine, 0x4d0, 2), 0);
    pacifica_machine_free(machine);
}
END_TEST

CHECK_MAIN("chipset", pci_interrupts_reach_both_controllers, wires_to_one_input_are_joined,
           pirq_can_be_routed_to_the_sci, firmware_init_is_what_tables_say,
           hpet_takes_the_timers_input, timers_share_an_input_by_edges,
           power_off_ends_until_a_reset, reset_with_firmware_leaves_nothing_placed)

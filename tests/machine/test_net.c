/* The network cards of a machine: where they are, their addresses, and frames in and out. */
#include "emu/machine/machine.h"

#include "tests/check_main.h"

#include <string.h>

static enum pacifica_status make(const struct pacifica_nic *nics, size_t count,
                                 struct pacifica_machine **machine, struct pacifica_diag *diag)
{
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    options.ram_bytes = 2 << 20;
    options.nics = nics;
    options.nic_count = count;
    return pacifica_machine_new(&options, machine, diag);
}

static uint32_t config(struct pacifica_machine *machine, unsigned slot, unsigned offset)
{
    return pci_config_read(machine->pci, pci_devfn(slot, 0), offset, 4);
}

/* A byte of the card's address, at its ports. */
static uint8_t address(struct pacifica_machine *machine, unsigned slot, unsigned byte)
{
    pci_config_write(machine->pci, pci_devfn(slot, 0), PCI_BAR0, 4, 0xc000);
    pci_config_write(machine->pci, pci_devfn(slot, 0), PCI_COMMAND, 2,
                     PCI_COMMAND_IO | PCI_COMMAND_MASTER);
    uint8_t value = (uint8_t)bus_port_ops.read(machine->bus, (uint16_t)(0xc014 + byte), 1);
    pci_config_write(machine->pci, pci_devfn(slot, 0), PCI_COMMAND, 2, 0);
    return value;
}

START_TEST(nics_have_slots_and_addresses)
{
    static const uint8_t first[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };
    const struct pacifica_nic nics[3] = { { .send = NULL },
                                          { .mac = { 2, 3, 4, 5, 6, 7 } },
                                          { .send = NULL } };
    struct pacifica_machine *machine;
    ck_assert_int_eq(make(nics, 3, &machine, NULL), PACIFICA_OK);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_uint_eq(config(machine, 3 + i, 0), 0x10001af4);
    ck_assert_uint_eq(config(machine, 6, 0), 0xffffffff);
    for (unsigned i = 0; i < 6; i++) {
        ck_assert_uint_eq(address(machine, 3, i), first[i]);
        ck_assert_uint_eq(address(machine, 4, i), 2 + i);
        ck_assert_uint_eq(address(machine, 5, i), first[i] + (i == 5 ? 2 : 0));
    }
    pacifica_machine_free(machine);
}
END_TEST

START_TEST(nics_that_make_no_sense)
{
    const struct pacifica_nic nics[5] = { { .mac = { 1, 2, 3, 4, 5, 6 } } };
    struct pacifica_machine *machine;
    struct pacifica_diag diag;
    ck_assert_int_eq(make(nics, 1, &machine, &diag), PACIFICA_EUSAGE);
    ck_assert_ptr_nonnull(strstr(diag.what, "odd"));
    ck_assert_int_eq(make(nics + 1, 4, &machine, &diag), PACIFICA_OK);
    pacifica_machine_free(machine);
    ck_assert_int_eq(make(nics, 5, &machine, &diag), PACIFICA_EUSAGE);
    ck_assert_ptr_nonnull(strstr(diag.what, "more than 4"));
}
END_TEST

START_TEST(nics_without_a_driver_take_nothing)
{
    const struct pacifica_nic nic = { .send = NULL };
    static const uint8_t frame[60];
    struct pacifica_machine *machine;
    ck_assert_int_eq(make(&nic, 1, &machine, NULL), PACIFICA_OK);
    for (unsigned i = 0; i < 2; i++) { /* the second is not there */
        ck_assert(!pacifica_machine_wants_frames(machine, i));
        ck_assert(!pacifica_machine_net_input(machine, i, frame, sizeof(frame)));
    }
    ck_assert_uint_eq(pacifica_machine_time_ns(machine), 0);
    pacifica_machine_free(machine);
}
END_TEST

CHECK_MAIN("machine_net", nics_have_slots_and_addresses, nics_that_make_no_sense,
           nics_without_a_driver_take_nothing)

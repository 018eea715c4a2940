/* A program that plays with the chipset: accesses to PCI configuration space, and to ports and memory where it may have put
 * something, in any order. Nothing breaks, looking at the state changes nothing, and a reset gives the machine back. */
#include <stdlib.h>
#include <string.h>

#include "devices/hpet.h"
#include "devices/piix4_pm.h"
#include "emu/machine/machine.h"
#include "tests/fuzz/fuzz.h"

#define RAM_BYTES (UINT64_C(2) << 20)
#define OPERATION_BYTES 7
#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA 0xcfc

static void require(bool holds)
{
    if (!holds)
        abort(); /* a finding: the fuzzer keeps the input */
}

static struct pacifica_machine *make_machine(void)
{
    static const struct pacifica_device devices[] = { { .kind = PACIFICA_DEVICE_PC_TESTDEV },
                                                      { .kind = PACIFICA_DEVICE_PCI_TESTDEV },
                                                      { .kind = PACIFICA_DEVICE_VIRTIO_RNG } };
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    struct pacifica_machine *machine;
    options.ram_bytes = RAM_BYTES;
    options.devices = devices;
    options.device_count = sizeof(devices) / sizeof(devices[0]);
    return pacifica_machine_new(&options, &machine, NULL) == PACIFICA_OK ? machine : NULL;
}

/* Functions that are there are met more often than others. */
static void config_access(struct bus *bus, uint8_t where, uint8_t offset, unsigned size,
                          uint32_t value, bool write)
{
    static const uint8_t devfns[] = {
        PCI_HOST_BRIDGE, PCI_ISA_BRIDGE, PCI_IDE, PCI_POWER, 0x10, 0x18, 0x20, 0x28
    };
    uint32_t devfn = where & 0x80 ? where : devfns[where & 7];
    uint32_t address = 0x80000000u | devfn << 8 | (offset & 0xfcu);
    uint16_t port = (uint16_t)(CONFIG_DATA + (offset & 3));
    bus_port_ops.write(bus, CONFIG_ADDRESS, 4, address);
    if (write)
        bus_port_ops.write(bus, port, size, value);
    else
        (void)bus_port_ops.read(bus, port, size);
}

/* Where firmware puts things, and where they are always. */
static void port_access(struct bus *bus, uint8_t where, uint8_t offset, unsigned size,
                        uint32_t value, bool write)
{
    static const uint16_t bases[] = {
        PIIX4_PM_PORT, PIIX4_SMBUS_PORT, PIIX4_GPE_PORT, 0xc000, 0xc100, 0xcf8, 0xb2, 0xff80
    };
    uint16_t port = (uint16_t)(bases[where & 7] + offset);
    if (where & 0x80)
        port = (uint16_t)(where << 8 | offset);
    if (write)
        bus_port_ops.write(bus, port, size, value);
    else
        (void)bus_port_ops.read(bus, port, size);
}

static void memory_access(struct memory *memory, uint8_t where, uint8_t offset, unsigned size,
                          uint32_t value, bool write)
{
    static const uint64_t bases[] = { HPET_SPA,   0xe0000000, 0xe0001000, 0xe1000000,
                                      0xfec00000, 0xa0000,    0xf0000,    0xfffffff0 };
    uint64_t spa = bases[where & 7] + (offset & 0xfcu) + (where >> 3 & 3);
    if (where & 0x80)
        spa = (uint64_t)(where & 0x7f) << 12 | offset; /* RAM, where rings may be */
    if (write)
        phys_write(memory, spa, size, value);
    else
        (void)phys_read(memory, spa, size);
}

static void operate(struct pacifica_machine *machine, const uint8_t *op)
{
    unsigned size = 1u << (op[0] >> 4) % 3;
    bool write = op[0] & 8;
    uint32_t value = op[3] | (uint32_t)op[4] << 8 | (uint32_t)op[5] << 16 | (uint32_t)op[6] << 24;
    switch (op[0] & 3) {
    case 0:
    case 1: config_access(machine->bus, op[1], op[2], size, value, write); break;
    case 2: port_access(machine->bus, op[1], op[2], size, value, write); break;
    default:
        memory_access(machine->memory, op[1], op[2], op[0] & 4 ? 8 : size, value, write);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pacifica_machine *machine = make_machine();
    if (!machine)
        return 0;
    for (size_t at = 0; at + OPERATION_BYTES <= size; at += OPERATION_BYTES)
        operate(machine, data + at);
    uint64_t hash = pacifica_machine_state_hash(machine);
    require(pacifica_machine_state_hash(machine) == hash);
    machine_reset_devices(machine);
    require(pci_config_read(machine->pci, PCI_HOST_BRIDGE, 0, 4) == 0x12378086);
    require((pci_config_read(machine->pci, PCI_HOST_BRIDGE, 0x72, 1) & 0x58) == 0);
    require(bus_port_ops.read(machine->bus, PIIX4_PM_PORT + 8, 4) >> 24 == 0);
    pacifica_machine_free(machine);
    return 0;
}

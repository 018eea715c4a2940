/* Reset control: CF9h as in Intel's 82371AB (PIIX4) data sheet, "Reset Control Register"; the keyboard controller's
 * pulse of its reset line (port 64h, commands F0h-FFh with bit 0 clear); port 92h, "fast A20 and INIT".
 *
 * There is no keyboard controller yet: port 64h reads as one that is idle, so that nobody waits for it, and other
 * commands have no answer. CF9h lies inside the doubleword of PCI's configuration address: the PCI bus hands on what is
 * no access to that.
 * CHOICE: A20 is open after a reset, as QEMU leaves it, and bit 0 of port 92h resets the machine and not only the
 * processor: no firmware is sure to be there that would find its way back from INIT. */
#include "devices/reset_ports.h"

#define RESET_CONTROL 0xcf9
#define RC_SYSTEM 0x02 /* a hard reset, else only the processor's */
#define RC_RESET 0x04

#define KBD_COMMAND 0x64
#define KBD_IDLE 0x1c /* self-test passed, command received, not locked; both buffers empty */

#define FAST_A20 0x92
#define FAST_A20_OPEN 0x02
#define FAST_A20_INIT 0x01

struct reset_ports {
    struct bus *bus;
    struct reset_wires wires;
    uint8_t reset_control, fast_a20;
};

static void ask_reset(const struct reset_ports *ports)
{
    if (ports->wires.reset)
        ports->wires.reset(ports->wires.self);
}

static void tell_a20(const struct reset_ports *ports)
{
    if (ports->wires.a20)
        ports->wires.a20(ports->wires.self, ports->fast_a20 & FAST_A20_OPEN);
}

static uint32_t reset_ports_read(void *self, uint16_t port, unsigned size)
{
    const struct reset_ports *ports = self;
    (void)size;
    if (port == KBD_COMMAND)
        return KBD_IDLE;
    if (port == FAST_A20)
        return ports->fast_a20;
    return UINT32_MAX;
}

static void write_reset_control(struct reset_ports *ports, uint8_t value)
{
    bool rises = (value & RC_RESET) && !(ports->reset_control & RC_RESET);
    ports->reset_control = value & (RC_SYSTEM | RC_RESET);
    if (rises)
        ask_reset(ports);
}

static void write_fast_a20(struct reset_ports *ports, uint8_t value)
{
    bool rises = (value & FAST_A20_INIT) && !(ports->fast_a20 & FAST_A20_INIT);
    uint8_t changed = ports->fast_a20 ^ value;
    ports->fast_a20 = value & (FAST_A20_OPEN | FAST_A20_INIT);
    if (changed & FAST_A20_OPEN)
        tell_a20(ports);
    if (rises)
        ask_reset(ports);
}

static void reset_ports_write(void *self, uint16_t port, unsigned size, uint32_t value)
{
    struct reset_ports *ports = self;
    (void)size;
    if (port == FAST_A20) {
        write_fast_a20(ports, (uint8_t)value);
    } else if (port == KBD_COMMAND) {
        if ((value & 0xf1) == 0xf0)
            ask_reset(ports);
        else
            bus_tell(ports->bus, PROBE_UNIMP, "port 64h: there is no keyboard controller");
    }
}

static uint32_t neighbour_read(void *self, uint16_t port, unsigned size)
{
    const struct reset_ports *ports = self;
    return port == RESET_CONTROL && size == 1 ? ports->reset_control : UINT32_MAX;
}

static void neighbour_write(void *self, uint16_t port, unsigned size, uint32_t value)
{
    if (port == RESET_CONTROL && size == 1)
        write_reset_control(self, (uint8_t)value);
}

static void reset_ports_reset(void *self)
{
    struct reset_ports *ports = self;
    ports->reset_control = 0;
    ports->fast_a20 = FAST_A20_OPEN;
    tell_a20(ports);
}

static void reset_ports_mix(const void *self, const struct dev_mixer *mixer)
{
    const struct reset_ports *ports = self;
    dev_mix(mixer, ports->reset_control | (uint64_t)ports->fast_a20 << 8);
}

static const struct dev_class dev_reset_ports = {
    .name = "reset",
    .ports = { { KBD_COMMAND, 1 }, { FAST_A20, 1 } },
    .port_size = 1,
    .state_size = sizeof(struct reset_ports),
    .reset = reset_ports_reset,
    .port_read = reset_ports_read,
    .port_write = reset_ports_write,
    .mix = reset_ports_mix,
};

struct reset_ports *reset_ports_add(struct bus *bus, struct pci_bus *pci, struct reset_wires wires)
{
    struct reset_ports *ports = bus_add(bus, &dev_reset_ports);
    if (!ports)
        return NULL;
    ports->bus = bus;
    ports->wires = wires;
    pci_bus_set_neighbour(
        pci,
        &(struct pci_neighbour){ .read = neighbour_read, .write = neighbour_write, .self = ports });
    reset_ports_reset(ports);
    return ports;
}

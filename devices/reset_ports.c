/* Reset control: CF9h as in Intel's 82371AB (PIIX4) data sheet, "Reset Control Register"; port 92h, "fast A20 and INIT".
 * CF9h lies inside the doubleword of PCI's configuration address: the PCI bus hands on what is no access to that.
 *
 * CHOICE: port 92h and the keyboard controller move one latch of A20, and each reads what the other wrote. Chipsets open
 * the line if either says so; then a program that knows only one of the two could not close it after a reset.
 * CHOICE: A20 is open after a reset, as QEMU leaves it, and bit 0 of port 92h resets the machine and not only the
 * processor: no firmware is sure to be there that would find its way back from INIT. */
#include "devices/reset_ports.h"

#define RESET_CONTROL 0xcf9
#define RC_SYSTEM 0x02 /* a hard reset, else only the processor's */
#define RC_RESET 0x04

#define FAST_A20 0x92
#define FAST_A20_OPEN 0x02
#define FAST_A20_INIT 0x01

struct reset_ports {
    struct reset_wires wires;
    uint8_t reset_control, fast_a20;
};

void reset_ports_ask(struct reset_ports *ports)
{
    if (ports->wires.reset)
        ports->wires.reset(ports->wires.self);
}

static void tell_a20(const struct reset_ports *ports)
{
    if (ports->wires.a20)
        ports->wires.a20(ports->wires.self, reset_ports_a20(ports));
}

bool reset_ports_a20(const struct reset_ports *ports)
{
    return ports->fast_a20 & FAST_A20_OPEN;
}

void reset_ports_set_a20(struct reset_ports *ports, bool open)
{
    if (open == reset_ports_a20(ports))
        return;
    ports->fast_a20 ^= FAST_A20_OPEN;
    tell_a20(ports);
}

static uint32_t reset_ports_read(void *self, uint16_t port, unsigned size)
{
    const struct reset_ports *ports = self;
    (void)port, (void)size;
    return ports->fast_a20;
}

static void write_reset_control(struct reset_ports *ports, uint8_t value)
{
    bool rises = (value & RC_RESET) && !(ports->reset_control & RC_RESET);
    ports->reset_control = value & (RC_SYSTEM | RC_RESET);
    if (rises)
        reset_ports_ask(ports);
}

static void write_fast_a20(struct reset_ports *ports, uint8_t value)
{
    bool rises = (value & FAST_A20_INIT) && !(ports->fast_a20 & FAST_A20_INIT);
    ports->fast_a20 = (uint8_t)((ports->fast_a20 & ~FAST_A20_INIT) | (value & FAST_A20_INIT));
    reset_ports_set_a20(ports, value & FAST_A20_OPEN);
    if (rises)
        reset_ports_ask(ports);
}

static void reset_ports_write(void *self, uint16_t port, unsigned size, uint32_t value)
{
    (void)port, (void)size;
    write_fast_a20(self, (uint8_t)value);
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

static void reset_ports_state(void *self, struct snap *snap)
{
    struct reset_ports *ports = self;
    SNAP(snap, ports, reset_control);
    SNAP(snap, ports, fast_a20);
    if (snap_loading(snap)) {
        ports->reset_control &= RC_SYSTEM | RC_RESET;
        ports->fast_a20 &= FAST_A20_OPEN | FAST_A20_INIT;
        tell_a20(ports); /* memory does not name it */
    }
}

static const struct dev_class dev_reset_ports = {
    .name = "reset",
    .ports = { { FAST_A20, 1 } },
    .port_size = 1,
    .state_size = sizeof(struct reset_ports),
    .reset = reset_ports_reset,
    .port_read = reset_ports_read,
    .port_write = reset_ports_write,
    .state = reset_ports_state,
    .state_version = 1,
};

struct reset_ports *reset_ports_add(struct bus *bus, struct pci_bus *pci, struct reset_wires wires)
{
    struct reset_ports *ports = bus_add(bus, &dev_reset_ports);
    if (!ports)
        return NULL;
    ports->wires = wires;
    pci_bus_set_neighbour(
        pci,
        &(struct pci_neighbour){ .read = neighbour_read, .write = neighbour_write, .self = ports });
    reset_ports_reset(ports);
    return ports;
}

/* PCI functions whose windows move, and the small devices of test programs and firmware, saved and loaded. */
#include "tests/devices/trip_kit.h"

#include "devices/fw_cfg.h"
#include "devices/pc_testdev.h"
#include "devices/pci_testdev.h"
#include "devices/testports.h"

#define FIRST 0x10u /* two pci-testdevs */
#define SECOND 0x18u

struct world {
    struct trip_world w;
    struct pci_bus *pci;
};

static void open_world(struct trip_world *w)
{
    struct bus *bus = w->kit.bus;
    struct world *world = (struct world *)w;
    static const uint8_t file[300] = { 1, 2, 3 };
    world->pci = pci_bus_add(bus);
    struct fw_cfg *fw = fw_cfg_add(bus, 512u << 20, 2);
    ck_assert(fw && pci_testdev_add(bus, world->pci) && pci_testdev_add(bus, world->pci) &&
              pc_testdev_add(bus, trip_wire(w, 0)) && post_port_add(bus) &&
              debugcon_add(bus, 0x402, (struct byte_sink){ 0 }));
    ck_assert_int_eq(fw_cfg_add_file(fw, "opt/file", file, sizeof(file), NULL), PACIFICA_OK);
}

static void out(struct trip_world *w, uint16_t port, unsigned size, uint32_t value)
{
    bus_port_ops.write(w->kit.bus, port, size, value);
}

static void place(struct trip_world *w, uint8_t devfn, uint32_t memory, uint32_t ports,
                  unsigned command)
{
    struct pci_bus *pci = ((struct world *)w)->pci;
    pci_config_write(pci, devfn, PCI_BAR0, 4, memory);
    pci_config_write(pci, devfn, PCI_BAR0 + 4, 4, ports);
    pci_config_write(pci, devfn, PCI_COMMAND, 2, command);
}

static void drive(struct trip_world *w, unsigned variant)
{
    bus_reset(w->kit.bus);
    bool same = variant & 1; /* windows that meet: the first device wins */
    place(w, FIRST, 0xe0000000, 0xc000, variant & 2 ? 2 : 3);
    place(w, SECOND, same ? 0xe0000000 : 0xe0010000, same ? 0xc000 : 0xc100, 3);
    bus_mmio_ops.write(w->kit.bus, 0xe0000000, 1, 2);
    bus_mmio_ops.write(w->kit.bus, 0xe0000000 + 130, 1, 0xce);
    out(w, 0xc000, 1, 1);
    for (unsigned i = 0; i < 5; i++)
        out(w, 0xc000 + 129, 1, i);
    out(w, 0xcf8, 4, 0x80001004);
    out(w, 0x80, 1, 0x33 + variant);
    out(w, 0x510, 2, variant & 1 ? 0x19 : 0x20);
    for (unsigned i = 0; i < 9; i++)
        (void)kit_in(&w->kit, 0x511);
    out(w, 0x514, 4, 0x01000000);
    static const uint8_t request[16] = { 0, 0, 0, 2, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0x20, 0 };
    (void)phys_write_block(w->memory, 0x1000, request, sizeof(request));
    phys_write(w->memory, 0x2000, 8, 0x1122334455667788);
    out(w, 0xe0, 4, 0x12345678);
    for (unsigned i = 0; i < 24; i += 5)
        out(w, (uint16_t)(0x2000 + i), 1, 1);
    for (unsigned i = 0; i < 0x4000; i += 0x123)
        bus_mmio_ops.write(w->kit.bus, PC_TESTDEV_SPA + i, 1, i);
}

static void look_at_bars(struct trip_world *w)
{
    static const uint32_t bases[] = { 0xe0000000, 0xe0010000, 0xe0020000 };
    for (unsigned i = 0; i < 3; i++)
        for (unsigned at = 0; at < 32; at += 4)
            (void)trip_mmio(w, bases[i] + at, 4);
    for (unsigned i = 0; i < 0x300; i += 4)
        trip_log(w, bus_port_ops.read(w->kit.bus, (uint16_t)(0xc000 + i), 4));
}

static void look(struct trip_world *w)
{
    trip_log(w, bus_port_ops.read(w->kit.bus, 0xcf8, 4));
    trip_log(w, bus_port_ops.read(w->kit.bus, 0xcfc, 4));
    look_at_bars(w);
    out(w, 0xc000 + 129, 1, 1);
    place(w, FIRST, 0xe0020000, 0xc200, 3); /* what the other one hid appears */
    look_at_bars(w);
    (void)trip_in(w, 0x80);
    for (unsigned i = 0; i < 400; i++)
        (void)trip_in(w, 0x511);
    out(w, 0x518, 4,
        0x00100000); /* a request behind 4 GiB: nothing is there, and this one is not meant */
    trip_log(w, phys_read(w->memory, 0x2000, 8));
    for (unsigned i = 0; i < 8; i++)
        (void)trip_in(w, (uint16_t)(0xe0 + i));
    for (unsigned i = 0; i < PC_TESTDEV_BYTES; i += 0x61)
        (void)trip_mmio(w, PC_TESTDEV_SPA + i, 1);
    bus_reset(w->kit.bus);
    look_at_bars(w);
}

START_TEST(functions_and_ports_go_on_where_they_were)
{
    static const struct trip trip = { .world_size = sizeof(struct world),
                                      .open = open_world,
                                      .drive = drive,
                                      .look = look,
                                      .variants = 4,
                                      .with_memory = true,
                                      .alterations = 150 };
    trip_check(&trip);
}
END_TEST

/* What a function is cannot be loaded. */
START_TEST(function_refuses_to_be_another)
{
    static const struct trip trip = { .world_size = sizeof(struct world), .open = open_world };
    static const unsigned fixed[] = { PCI_VENDOR, PCI_DEVICE, PCI_CLASS, PCI_INTERRUPT_PIN };
    struct trip_world *w = trip_open(&trip);
    struct snap snap;
    trip_save(w, &snap);
    const uint8_t *end = snap.data + snap.size;
    struct snap_head head;
    uint8_t *section = snap.data;
    while (snap_read_head(section, end, &head) && strcmp(head.name, "pci-testdev") != 0)
        section += SNAP_HEAD + head.bytes;
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        section[SNAP_HEAD + fixed[i]] ^= 4;
        ck_assert(!trip_load(w, w, snap.data, snap.size));
        section[SNAP_HEAD + fixed[i]] ^= 4;
        ck_assert(trip_load(w, w, snap.data, snap.size));
    }
    snap_free(&snap);
    trip_close(w);
}
END_TEST

CHECK_MAIN("state_pci", functions_and_ports_go_on_where_they_were, function_refuses_to_be_another)

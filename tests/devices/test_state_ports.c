/* Serial lines, keyboard and mouse, and the chipset that are saved and loaded. */
#include "tests/devices/trip_kit.h"

#include "devices/apm.h"
#include "devices/i440fx.h"
#include "devices/i8042.h"
#include "devices/piix3.h"
#include "devices/piix4_pm.h"
#include "devices/uart16550.h"

static void out(struct trip_world *world, uint16_t port, uint8_t value)
{
    kit_out(&world->kit, port, value);
}

/* --- 16550 -------------------------------------------------------------------------------------------------- */

struct uart_world {
    struct trip_world world;
    struct uart *uart[2];
};

static void uart_put(void *self, uint8_t byte)
{
    trip_log(self, byte | 0x100);
}

static void uarts_open(struct trip_world *world)
{
    struct uart_world *u = (struct uart_world *)world;
    for (unsigned i = 0; i < 2; i++) {
        u->uart[i] = uart_add(world->kit.bus, i ? 0x2f8 : 0x3f8, trip_wire(world, i),
                              (struct byte_sink){ .put = uart_put, .self = world });
        ck_assert_ptr_nonnull(u->uart[i]);
    }
}

/* FIFOs half full, bytes on the line, an overrun, a timeout that runs or has come, loopback. */
static void uarts_drive(struct trip_world *world, unsigned variant)
{
    static const uint8_t text[] = "The quick brown fox jumps over the lazy dog.";
    struct uart_world *u = (struct uart_world *)world;
    out(world, 0x3fb, 0x83);
    out(world, 0x3f8, 0x01);
    out(world, 0x3f9, 0x00);
    out(world, 0x3fb, 0x03);
    out(world, 0x3fa, variant & 1 ? 0xc1 : 0x00);
    out(world, 0x3f9, 0x0f);
    ck_assert_uint_eq(uart_input(u->uart[0], text, 30), 30);
    kit_pass(&world->kit, 500000);
    (void)kit_in(&world->kit, 0x3f8);
    ck_assert_uint_eq(uart_input(u->uart[0], text + 30, 10), 10);
    if (variant & 2) {
        out(world, 0x3fc, 0x1c);
        for (unsigned i = 0; i < 20; i++) /* too many */
            out(world, 0x3f8, text[i]);
    }
    out(world, 0x3ff, 0x5a);
    out(world, 0x2fa, 0x41);
    out(world, 0x2f9, variant & 1 ? 0x01 : 0x02);
    ck_assert_uint_eq(uart_input(u->uart[1], text, 2), 2);
    kit_pass(&world->kit, variant & 4 ? 20000000 : 2500000);
}

static void uarts_look(struct trip_world *world)
{
    struct uart_world *u = (struct uart_world *)world;
    for (unsigned i = 0; i < 80; i++) {
        for (uint16_t reg = 0; reg < 8; reg++)
            if (reg != 0 || (i > 60 && i % 3 == 0)) {
                (void)trip_in(world, 0x3f8 + reg);
                (void)trip_in(world, 0x2f8 + reg);
            }
        if (i == 30)
            out(world, 0x3fc, 0x00);
        if (i == 40)
            trip_log(world, uart_input(u->uart[1], (const uint8_t *)"more", 4));
        if (i == 50)
            out(world, 0x3f8, 'x');
        kit_pass(&world->kit, 60000 + 2003 * i);
    }
}

START_TEST(state_of_serial_lines)
{
    static const struct trip trip = { .world_size = sizeof(struct uart_world),
                                      .open = uarts_open,
                                      .drive = uarts_drive,
                                      .look = uarts_look,
                                      .variants = 8,
                                      .alterations = 150 };
    trip_check(&trip);
}
END_TEST

/* The queue's place in its ring is nobody's business: two that hold the same are the same. */
START_TEST(state_of_a_queue_begins_with_its_first_byte)
{
    uint64_t hash[2];
    for (unsigned turned = 0; turned < 2; turned++) {
        struct kit kit;
        kit_open(&kit);
        struct uart *uart =
            uart_add(kit.bus, 0x3f8, (struct irq_line){ 0 }, (struct byte_sink){ 0 });
        for (unsigned i = 0; i < 4000 * turned; i++) { /* FIFO off: RBR stays in its place */
            ck_assert_uint_eq(uart_input(uart, &(uint8_t){ 'a' }, 1), 1);
            kit_pass(&kit, 2000000);
            (void)kit_in(&kit, 0x3f8);
        }
        ck_assert_uint_eq(uart_input(uart, (const uint8_t *)"a", 1), 1);
        kit_until(&kit, 10000000000);
        (void)kit_in(&kit, 0x3f8);
        uint8_t text[200];
        memset(text, 'x', sizeof(text));
        ck_assert_uint_eq(uart_input(uart, text, sizeof(text)), sizeof(text));
        hash[turned] = kit_bus_hash(kit.bus);
        kit_close(&kit);
    }
    ck_assert_uint_eq(hash[0], hash[1]);
}
END_TEST

/* --- keyboard and mouse, reset ports ----------------------------------------------------------------------- */

struct board {
    struct trip_world world;
    struct i8042 *kbc;
    bool a20;
};

static void reset_asked(void *self)
{
    trip_log(self, 0xdead);
}

static void a20_moved(void *self, bool open)
{
    struct board *b = self;
    b->a20 = open;
}

static void board_open(struct trip_world *world)
{
    struct board *b = (struct board *)world;
    struct reset_ports *ports = reset_ports_add(
        world->kit.bus, pci_bus_add(world->kit.bus),
        (struct reset_wires){ .reset = reset_asked, .a20 = a20_moved, .self = world });
    b->kbc = i8042_add(world->kit.bus, &(struct i8042_config){ .keyboard = trip_wire(world, 1),
                                                               .mouse = trip_wire(world, 12),
                                                               .reset = ports });
    ck_assert_ptr_nonnull(b->kbc);
}

static void command(struct trip_world *world, uint8_t to, uint8_t argument)
{
    out(world, 0x64, to);
    out(world, 0x60, argument);
}

static void to_mouse(struct trip_world *world, uint8_t byte)
{
    command(world, 0xd4, byte);
    kit_pass(&world->kit, 30000);
    (void)kit_in(&world->kit, 0x60);
}

static void to_keyboard(struct trip_world *world, uint8_t byte)
{
    out(world, 0x60, byte);
    kit_pass(&world->kit, 30000);
    (void)kit_in(&world->kit, 0x60);
}

static void set_up_devices(struct trip_world *world, unsigned variant)
{
    static const uint8_t of_wheel[] = { 0xf3, 200, 0xf3, 100, 0xf3, 80, 0xe8, 3, 0xf4 };
    command(world, 0x60, variant & 1 ? 0x47 : 0x07);
    for (unsigned i = 0; i < sizeof(of_wheel); i++)
        if (!(variant & 8) || i < 4 || i > 5) /* all of what asks for the wheel, or not yet */
            to_mouse(world, of_wheel[i]);
    if (variant & 4) {
        to_keyboard(world, 0xf0);
        to_keyboard(world, 0x01);
    }
    if (variant == 7)
        to_keyboard(world, 0xf5);
    if (variant >= 13) /* scaling, remote, wrap */
        to_mouse(world, (uint8_t[]){ 0xe7, 0xf0, 0xee }[variant - 13]);
}

/* Arguments that are awaited everywhere, answers and events that nobody has read, movements and buttons that did not
 * fit. */
static void board_drive(struct trip_world *world, unsigned variant)
{
    struct board *b = (struct board *)world;
    set_up_devices(world, variant);
    for (unsigned i = 0; i < 7 && !(variant & 2); i++)
        i8042_key(b->kbc, 0x04 + i, !(variant & 1) || i % 2);
    for (unsigned i = 0; i < 15; i++)
        i8042_mouse(b->kbc, variant & 1 ? i == 0 : 300, 0, !(variant & 1), i & 1);
    if (variant & 1) {
        kit_pass(&world->kit, 45000);
        (void)kit_in(&world->kit, 0x60);
        kit_pass(&world->kit, variant & 4 ? 25000 : 15000); /* on its way, or there */
    }
    if ((variant & 10) == 2)
        command(world, 0xd4, 0xe8);
    if (variant == 4)
        out(world, 0x60, 0xed);
    static const uint8_t open[] = { 0x6a, 0xd1, 0xd2, 0xd3 };
    if (variant & 8)
        out(world, 0x64, open[variant & 3]);
    out(world, 0xcf9, 0x02);
    if (variant & 1)
        out(world, 0x92, 0x00);
}

/* What the devices say of themselves: the last byte again, scan code set, status, ID. */
static void ask_devices(struct trip_world *world, unsigned step)
{
    static const uint8_t keyboard[] = { 0xfe, 0xf0, 0x00, 0xf4 };
    static const uint8_t mouse[] = { 0xfe, 0xe9, 0xf3, 80, 0xf2 };
    if (step >= 60 && step < 100 && step % 10 == 0)
        out(world, 0x60, keyboard[step / 10 - 6]);
    if (step >= 100 && step < 150 && step % 10 == 0)
        command(world, 0xd4, mouse[step / 10 - 10]);
}

static void board_look(struct trip_world *world)
{
    struct board *b = (struct board *)world;
    trip_log(world, b->a20);
    (void)trip_in(world, 0x64);
    (void)trip_in(world, 0x60);
    out(world, 0x60, 0x03);
    trip_log(world, b->a20);
    (void)trip_in(world, 0xcf9);
    (void)trip_in(world, 0x92);
    for (unsigned i = 0; i < 180; i++) {
        (void)trip_in(world, 0x64);
        if (i % 3)
            (void)trip_in(world, 0x60);
        ask_devices(world, i);
        if (i == 50)
            i8042_key(b->kbc, 0x29, true);
        if (i == 160)
            i8042_mouse(b->kbc, 1, 1, 1, 0);
        kit_pass(&world->kit, 7001);
    }
    for (uint8_t at = 0x20; at < 0x40; at++) {
        out(world, 0x64, at);
        (void)trip_in(world, 0x60);
    }
    out(world, 0xcf9, 0x06);
}

START_TEST(state_of_keyboard_and_mouse)
{
    static const struct trip trip = { .world_size = sizeof(struct board),
                                      .open = board_open,
                                      .drive = board_drive,
                                      .look = board_look,
                                      .variants = 16,
                                      .alterations = 100 };
    trip_check(&trip);
}
END_TEST

/* --- the chipset ---------------------------------------------------------------------------------------------- */

struct chipset {
    struct trip_world world;
    struct pci_bus *pci;
    struct piix4_pm *pm;
    struct function *function;
};

static uint8_t rom[0x20000];

/* Somebody who interrupts. */
struct function {
    struct pci_device pci;
};

static void function_state(void *self, struct snap *snap)
{
    struct function *function = self;
    pci_device_state(&function->pci, snap);
}

static const struct dev_class dev_function = {
    .name = "function",
    .state_size = sizeof(struct function),
    .state = function_state,
    .state_version = 1,
};

static struct function *add_function(struct trip_world *world, struct pci_bus *pci)
{
    static const struct pci_identity identity = { .vendor = 0x1234, .device = 1, .pin = 1 };
    struct function *function = bus_add(world->kit.bus, &dev_function);
    ck_assert_ptr_nonnull(function);
    pci_init(&function->pci, &identity, NULL, function);
    ck_assert(pci_add(pci, &function->pci, pci_devfn(3, 0)));
    return function;
}

static void smi(void *self)
{
    trip_log(self, 0x531);
}

static void chipset_open(struct trip_world *world)
{
    struct chipset *c = (struct chipset *)world;
    struct irq_line irq[PIIX3_IRQS];
    for (unsigned i = 0; i < PIIX3_IRQS; i++)
        irq[i] = trip_wire(world, i);
    memset(rom, 0x5a, sizeof(rom));
    ck_assert(memory_add_rom(world->memory, 0xe0000, rom, sizeof(rom)));
    c->pci = pci_bus_add(world->kit.bus);
    ck_assert_ptr_nonnull(c->pci);
    ck_assert_ptr_nonnull(i440fx_add(world->kit.bus, c->pci));
    ck_assert_ptr_nonnull(piix3_add(world->kit.bus, c->pci, irq));
    const struct piix4_pm_wires wires = { .sci = trip_wire(world, 20), .smi = smi, .self = world };
    c->pm = piix4_pm_add(world->kit.bus, c->pci, &wires);
    ck_assert_ptr_nonnull(c->pm);
    ck_assert_ptr_nonnull(apm_add(world->kit.bus, piix4_pm_apm, c->pm));
    c->function = add_function(world, c->pci);
}

static uint32_t config_read(struct chipset *c, uint8_t devfn, unsigned at)
{
    return pci_config_read(c->pci, devfn, at, 4);
}

static void config_write(struct chipset *c, uint8_t devfn, unsigned at, uint8_t value)
{
    pci_config_write(c->pci, devfn, at, 1, value);
}

/* Shadow RAM, SMRAM open or locked, windows moved and hidden, the timer's overflow near or told. */
static void chipset_drive(struct trip_world *world, unsigned variant)
{
    struct chipset *c = (struct chipset *)world;
    piix4_pm_firmware_init(c->pm);
    config_write(c, PCI_HOST_BRIDGE, 0x59, 0x10);
    config_write(c, PCI_HOST_BRIDGE, 0x5a, 0x23);
    config_write(c, PCI_HOST_BRIDGE, 0x5f, 0x31);
    config_write(c, PCI_HOST_BRIDGE, 0x72, variant & 1 ? 0x1a : 0x4a);
    config_write(c, PCI_ISA_BRIDGE, 0x60, 0x05);
    config_write(c, PCI_ISA_BRIDGE, 0x61, 0x0b);
    config_write(c, PCI_POWER, 0x41, 0x08); /* to 0800h */
    if (variant & 2)
        config_write(c, PCI_POWER, 0xd2, 0x00); /* no SMBus */
    out(world, 0xb2, PIIX4_ACPI_ENABLE);
    out(world, 0xb3, 0x77);
    out(world, 0x802, 0x21);
    out(world, 0x803, 0x01);
    out(world, PIIX4_GPE_PORT + 2, 0x55);
    for (uint16_t port = 0x703; port < 0x707; port++)
        out(world, port, (uint8_t)port);
    out(world, 0x702, 0x48);
    kit_pass(&world->kit, variant & 4 ? 2343000000ull : 2344000000ull);
    if (variant & 2)
        out(world, 0x800, 0x01);
    pci_set_intx(&c->function->pci, variant & 1);
    if (variant & 1)
        piix4_pm_power_button(c->pm);
    bus_port_ops.write(world->kit.bus, 0xcf8, 4, 0x80000058);
}

static void chipset_look(struct trip_world *world)
{
    struct chipset *c = (struct chipset *)world;
    trip_log(world, bus_port_ops.read(world->kit.bus, 0xcfc, 4));
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned at = 0; at < 256; at += 4) {
            trip_log(world, config_read(c, PCI_HOST_BRIDGE, at));
            trip_log(world, config_read(c, PCI_ISA_BRIDGE, at));
            trip_log(world, config_read(c, PCI_POWER, at));
        }
        for (uint32_t spa = 0xa0000; spa < 0x100000; spa += 0x4000) {
            trip_log(world, memory_ptr(world->memory, spa, 1) != NULL);
            trip_log(world, phys_read(world->memory, spa, 1));
        }
        for (uint16_t port = 0; port < 0x10; port++) {
            (void)trip_in(world, 0x600 + port);
            (void)trip_in(world, 0x700 + port);
            (void)trip_in(world, 0x800 + port);
        }
        for (uint16_t port = 0; port < 4; port++)
            (void)trip_in(world, PIIX4_GPE_PORT + port);
        (void)trip_in(world, 0xb2);
        (void)trip_in(world, 0xb3);
        if (i == 1) {
            out(world, 0x800, 0x21);
            out(world, 0xb2, 0x05);
        }
        if (i == 2) {
            config_write(c, PCI_ISA_BRIDGE, 0x60, 0x09);
            config_write(c, PCI_ISA_BRIDGE, 0x62, 0x06);
            pci_set_intx(&c->function->pci, false);
        }
        if (i == 2)
            config_write(c, PCI_HOST_BRIDGE, 0x72, 0x4a);
        kit_pass(&world->kit, 1200000000);
    }
}

START_TEST(state_of_the_chipset)
{
    static const struct trip trip = { .world_size = sizeof(struct chipset),
                                      .open = chipset_open,
                                      .drive = chipset_drive,
                                      .look = chipset_look,
                                      .variants = 8,
                                      .with_memory = true,
                                      .alterations = 60 };
    trip_check(&trip);
}
END_TEST

CHECK_MAIN("state_ports", state_of_serial_lines, state_of_a_queue_begins_with_its_first_byte,
           state_of_keyboard_and_mouse, state_of_the_chipset)

/* Keyboard controller. Intel UPI-41 (8042) as programmed for the IBM AT and PS/2: IBM PS/2 Hardware Interface Technical
 * Reference, "Keyboard and Auxiliary Device Controller".
 *
 * CHOICE: a byte of the keyboard or the mouse takes 20 microseconds to arrive; over the real wire it takes a millisecond,
 * which polling programs would spend executing. Answers of the controller itself are there at once.
 * CHOICE: a write to port 60h while the controller still has a byte to be read is taken all the same, as the input buffer
 * is never full: commands take no time. */
#include "devices/i8042.h"
#include "devices/ps2.h"
#include "devices/ps2_translate.h"

#define KBC_DATA 0x60
#define KBC_COMMAND 0x64
#define KBC_BYTE_NS 20000u
#define KBC_RAM \
    32 /* bytes of the controller's memory that commands 20h-3Fh and 60h-7Fh reach; the first is the mode */

#define STATUS_OUTPUT_FULL 0x01
#define STATUS_SYSTEM 0x04 /* the mode's bit: the self-test has passed */
#define STATUS_COMMAND 0x08
#define STATUS_UNLOCKED 0x10
#define STATUS_FROM_MOUSE 0x20

#define MODE_KEYBOARD_IRQ 0x01
#define MODE_MOUSE_IRQ 0x02
#define MODE_SYSTEM 0x04
#define MODE_KEYBOARD_OFF 0x10
#define MODE_MOUSE_OFF 0x20
#define MODE_TRANSLATE 0x40
#define MODE_RESET (MODE_KEYBOARD_IRQ | MODE_MOUSE_IRQ | MODE_SYSTEM)

#define MODE_FIRMWARE (MODE_KEYBOARD_IRQ | MODE_SYSTEM | MODE_MOUSE_OFF | MODE_TRANSLATE)

#define OUTPUT_NO_RESET 0x01 /* 0: the processor is reset */
#define OUTPUT_A20 0x02
#define OUTPUT_KEYBOARD_IRQ 0x10
#define OUTPUT_MOUSE_IRQ 0x20
#define OUTPUT_LINES 0xc0 /* the wires to the keyboard, at rest */

enum kbc_command {
    KBC_READ_RAM = 0x20,
    KBC_READ_RAM_END = 0x3f,
    KBC_WRITE_RAM = 0x60,
    KBC_WRITE_RAM_END = 0x7f,
    KBC_PASSWORD_TEST = 0xa4,
    KBC_MOUSE_OFF = 0xa7,
    KBC_MOUSE_ON = 0xa8,
    KBC_MOUSE_TEST = 0xa9,
    KBC_SELF_TEST = 0xaa,
    KBC_KEYBOARD_TEST = 0xab,
    KBC_KEYBOARD_OFF = 0xad,
    KBC_KEYBOARD_ON = 0xae,
    KBC_READ_INPUT = 0xc0,
    KBC_READ_OUTPUT = 0xd0,
    KBC_WRITE_OUTPUT = 0xd1,
    KBC_FROM_KEYBOARD = 0xd2,
    KBC_FROM_MOUSE = 0xd3,
    KBC_TO_MOUSE = 0xd4,
    KBC_A20_CLOSE = 0xdd,
    KBC_A20_OPEN = 0xdf,
    KBC_TEST_LINES = 0xe0,
    KBC_PULSE = 0xf0
};

enum source { FROM_CONTROLLER, FROM_KEYBOARD, FROM_MOUSE };

struct i8042 {
    struct bus *bus;
    struct i8042_config config;
    struct vclock *clock;
    struct deadline arrival; /* the next byte of a device reaches the output buffer */
    struct ps2_keyboard keyboard;
    struct ps2_mouse mouse;
    uint8_t ram[KBC_RAM]; /* [0] is the mode */
    uint8_t command;      /* whose argument is awaited at port 60h; 0: the keyboard's */
    uint8_t output;       /* what port 60h reads */
    enum source source;   /* whose it is */
    bool full, was_command, released;
};

static uint8_t mode(const struct i8042 *kbc)
{
    return kbc->ram[0];
}

static bool keyboard_talks(const struct i8042 *kbc)
{
    return !(mode(kbc) & MODE_KEYBOARD_OFF) && ps2_has_output(&kbc->keyboard.out);
}

static bool mouse_talks(const struct i8042 *kbc)
{
    return !(mode(kbc) & MODE_MOUSE_OFF) && ps2_has_output(&kbc->mouse.out);
}

/* The interrupt lines, and the next byte on its way. */
static void update(struct i8042 *kbc)
{
    bool of_mouse = kbc->source == FROM_MOUSE;
    irq_set(&kbc->config.keyboard, kbc->full && !of_mouse && (mode(kbc) & MODE_KEYBOARD_IRQ));
    irq_set(&kbc->config.mouse, kbc->full && of_mouse && (mode(kbc) & MODE_MOUSE_IRQ));
    if (kbc->full || (!keyboard_talks(kbc) && !mouse_talks(kbc)))
        clock_cancel(kbc->clock, &kbc->arrival);
    else if (!kbc->arrival.queued)
        clock_arm(kbc->clock, &kbc->arrival, clock_now_ns(kbc->clock) + KBC_BYTE_NS);
}

/* A byte for port 60h; one that is there already is lost. */
static void put(struct i8042 *kbc, enum source source, uint8_t byte)
{
    kbc->output = byte;
    kbc->source = source;
    kbc->full = true;
    update(kbc);
}

/* A code behind F0h is the release of a key: in set 1 the two become one byte. */
static bool put_key(struct i8042 *kbc, uint8_t byte)
{
    if (mode(kbc) & MODE_TRANSLATE) {
        if (byte == 0xf0) {
            kbc->released = true;
            return false;
        }
        byte = ps2_translate(byte) | (kbc->released ? 0x80 : 0);
    }
    kbc->released = false;
    put(kbc, FROM_KEYBOARD, byte);
    return true;
}

static void arrive(void *self, uint64_t now_ns)
{
    struct i8042 *kbc = self;
    (void)now_ns;
    uint8_t byte;
    while (keyboard_talks(kbc) && ps2_take(&kbc->keyboard.out, &byte))
        if (put_key(kbc, byte))
            return;
    if (mouse_talks(kbc) && ps2_take(&kbc->mouse.out, &byte)) {
        ps2_mouse_flush(&kbc->mouse);
        put(kbc, FROM_MOUSE, byte);
        return;
    }
    update(kbc);
}

void i8042_key(struct i8042 *kbc, unsigned usage, bool down)
{
    ps2_keyboard_key(&kbc->keyboard, usage, down);
    update(kbc);
}

void i8042_mouse(struct i8042 *kbc, int dx, int dy, int dz, uint8_t buttons)
{
    ps2_mouse_move(&kbc->mouse, dx, dy, dz, buttons);
    update(kbc);
}

/* --- port 64h -------------------------------------------------------------------------------------- */

static uint8_t read_status(const struct i8042 *kbc)
{
    return (uint8_t)((kbc->full ? STATUS_OUTPUT_FULL : 0) |
                     (mode(kbc) & MODE_SYSTEM ? STATUS_SYSTEM : 0) |
                     (kbc->was_command ? STATUS_COMMAND : 0) | STATUS_UNLOCKED |
                     (kbc->full && kbc->source == FROM_MOUSE ? STATUS_FROM_MOUSE : 0));
}

static uint8_t output_port(const struct i8042 *kbc)
{
    bool of_mouse = kbc->source == FROM_MOUSE;
    return (uint8_t)(OUTPUT_NO_RESET | OUTPUT_LINES |
                     (reset_ports_a20(kbc->config.reset) ? OUTPUT_A20 : 0) |
                     (kbc->full && !of_mouse ? OUTPUT_KEYBOARD_IRQ : 0) |
                     (kbc->full && of_mouse ? OUTPUT_MOUSE_IRQ : 0));
}

static void write_output_port(struct i8042 *kbc, uint8_t value)
{
    reset_ports_set_a20(kbc->config.reset, value & OUTPUT_A20);
    if (!(value & OUTPUT_NO_RESET))
        reset_ports_ask(kbc->config.reset);
}

/* At port 60h. */
static bool waits_for_argument(uint8_t command)
{
    return (command >= KBC_WRITE_RAM && command <= KBC_WRITE_RAM_END) ||
           (command >= KBC_WRITE_OUTPUT && command <= KBC_TO_MOUSE);
}

static void take_command(struct i8042 *kbc, uint8_t command)
{
    kbc->was_command = true;
    kbc->command = 0;
    if (command >= KBC_READ_RAM && command <= KBC_READ_RAM_END) {
        put(kbc, FROM_CONTROLLER, kbc->ram[command - KBC_READ_RAM]);
        return;
    }
    if (command >=
        KBC_PULSE) { /* a 0 pulses its bit of the output port, of which bit 0 alone is wired */
        if (!(command & OUTPUT_NO_RESET))
            reset_ports_ask(kbc->config.reset);
        return;
    }
    switch (command) {
    case KBC_PASSWORD_TEST: put(kbc, FROM_CONTROLLER, 0xf1); break; /* there is none */
    case KBC_MOUSE_OFF: kbc->ram[0] |= MODE_MOUSE_OFF; break;
    case KBC_MOUSE_ON: kbc->ram[0] &= (uint8_t)~MODE_MOUSE_OFF; break;
    case KBC_MOUSE_TEST:
    case KBC_KEYBOARD_TEST: put(kbc, FROM_CONTROLLER, 0x00); break;
    case KBC_SELF_TEST:
        kbc->ram[0] |= MODE_SYSTEM;
        put(kbc, FROM_CONTROLLER, 0x55);
        break;
    case KBC_KEYBOARD_OFF: kbc->ram[0] |= MODE_KEYBOARD_OFF; break;
    case KBC_KEYBOARD_ON: kbc->ram[0] &= (uint8_t)~MODE_KEYBOARD_OFF; break;
    case KBC_READ_INPUT: put(kbc, FROM_CONTROLLER, 0x80); break; /* not locked */
    case KBC_READ_OUTPUT: put(kbc, FROM_CONTROLLER, output_port(kbc)); break;
    case KBC_A20_CLOSE:
    case KBC_A20_OPEN: reset_ports_set_a20(kbc->config.reset, command == KBC_A20_OPEN); break;
    case KBC_TEST_LINES: put(kbc, FROM_CONTROLLER, 0x00); break;
    default:
        if (waits_for_argument(command))
            kbc->command = command;
        else
            bus_tell(kbc->bus, PROBE_UNIMP, "port 64h: no such command of the keyboard controller");
        break;
    }
}

/* --- port 60h -------------------------------------------------------------------------------------- */

static uint8_t read_data(struct i8042 *kbc)
{
    kbc->full = false;
    update(kbc);
    return kbc->output;
}

static void take_data(struct i8042 *kbc, uint8_t byte)
{
    uint8_t command = kbc->command;
    kbc->was_command = false;
    kbc->command = 0;
    switch (command) {
    case 0: /* what is sent to a device switches its clock on */
        kbc->ram[0] &= (uint8_t)~MODE_KEYBOARD_OFF;
        ps2_keyboard_write(&kbc->keyboard, byte);
        break;
    case KBC_TO_MOUSE:
        kbc->ram[0] &= (uint8_t)~MODE_MOUSE_OFF;
        ps2_mouse_write(&kbc->mouse, byte);
        break;
    case KBC_WRITE_OUTPUT: write_output_port(kbc, byte); break;
    case KBC_FROM_KEYBOARD: put(kbc, FROM_KEYBOARD, byte); break;
    case KBC_FROM_MOUSE: put(kbc, FROM_MOUSE, byte); break;
    default: kbc->ram[command - KBC_WRITE_RAM] = byte; break;
    }
}

static uint32_t kbc_read(void *self, uint16_t port, unsigned size)
{
    (void)size;
    return port == KBC_DATA ? read_data(self) : read_status(self);
}

static void kbc_write(void *self, uint16_t port, unsigned size, uint32_t value)
{
    struct i8042 *kbc = self;
    (void)size;
    if (port == KBC_DATA)
        take_data(kbc, (uint8_t)value);
    else
        take_command(kbc, (uint8_t)value);
    update(kbc);
}

static void kbc_reset(void *self)
{
    struct i8042 *kbc = self;
    clock_cancel(kbc->clock, &kbc->arrival);
    for (unsigned i = 0; i < KBC_RAM; i++)
        kbc->ram[i] = 0;
    kbc->ram[0] = MODE_RESET;
    kbc->command = kbc->output = 0;
    kbc->source = FROM_CONTROLLER;
    kbc->full = kbc->released = false;
    kbc->was_command = true;
    ps2_keyboard_reset(&kbc->keyboard);
    ps2_mouse_reset(&kbc->mouse);
    update(kbc);
}

void i8042_firmware_init(struct i8042 *kbc)
{
    kbc->ram[0] = MODE_FIRMWARE;
    update(kbc);
}

static void kbc_fini(void *self)
{
    struct i8042 *kbc = self;
    clock_cancel(kbc->clock, &kbc->arrival);
}

static void kbc_state(void *self, struct snap *snap)
{
    struct i8042 *kbc = self;
    ps2_keyboard_state(&kbc->keyboard, snap);
    ps2_mouse_state(&kbc->mouse, snap);
    SNAP_ALL(snap, kbc, ram);
    SNAP(snap, kbc, command);
    SNAP(snap, kbc, output);
    SNAP_BELOW(snap, kbc, source, FROM_MOUSE + 1);
    SNAP(snap, kbc, full);
    SNAP(snap, kbc, was_command);
    SNAP(snap, kbc, released);
    snap_deadline(snap, "arrival", kbc->clock, &kbc->arrival);
    if (kbc->command && !waits_for_argument(kbc->command)) {
        snap_refuse(snap, "command");
        kbc->command = 0;
    }
}

static const struct dev_class dev_i8042 = {
    .name = "i8042",
    .ports = { { KBC_DATA, 1 }, { KBC_COMMAND, 1 } },
    .port_size = 1,
    .access_ns = BUS_ACCESS_NS,
    .state_size = sizeof(struct i8042),
    .reset = kbc_reset,
    .fini = kbc_fini,
    .port_read = kbc_read,
    .port_write = kbc_write,
    .state = kbc_state,
    .state_version = 1,
};

struct i8042 *i8042_add(struct bus *bus, const struct i8042_config *config)
{
    struct i8042 *kbc = bus_add(bus, &dev_i8042);
    if (!kbc)
        return NULL;
    kbc->bus = bus;
    kbc->config = *config;
    kbc->clock = bus_clock(bus);
    kbc->arrival = (struct deadline){ .fire = arrive, .self = kbc };
    kbc_reset(kbc);
    return kbc;
}

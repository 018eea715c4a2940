/* Handlers of the options about character devices and the devices that use them. */
#include "emu/cli/chardev.h"
#include "emu/cli/drives.h"
#include "emu/cli/net_options.h"
#include "emu/cli/options_priv.h"

#include "emu/base/diag.h"

#include <string.h>

#define DEBUG_EXIT_PORT 0x501u /* QEMU's defaults */
#define DEBUG_EXIT_PORTS 2u
#define DEBUGCON_PORT 0xe9u

static enum pacifica_status no_memory(struct parse *parse)
{
    return diag_set(parse->diag, PACIFICA_ENOMEM, NULL, NULL, "no memory");
}

/* CHOICE: `none` is as `null`; QEMU leaves the UART out, which no image expects. */
static enum pacifica_status parse_destination(struct parse *parse, const char *value,
                                              struct cli_chardev *to)
{
    bool mux = strncmp(value, "mon:", 4) == 0;
    const char *plain = mux ? value + 4 : value;
    if (strcmp(plain, "stdio") == 0) {
        to->kind = CHARDEV_STDIO;
        to->no_signals = mux;
    } else if (!mux && (strcmp(value, "null") == 0 || strcmp(value, "none") == 0)) {
        to->kind = CHARDEV_NULL;
    } else if (!mux && strncmp(value, "file:", 5) == 0 && value[5]) {
        to->kind = CHARDEV_FILE;
        to->path = value + 5;
    } else if (strcmp(plain, "pty") == 0) {
        to->kind = CHARDEV_PTY;
    } else if (strncmp(plain, "unix:", 5) == 0 || strncmp(plain, "tcp:", 4) == 0) {
        enum pacifica_status status = socket_destination(parse, plain, to);
        if (status != PACIFICA_OK)
            return status;
    } else {
        return option_not_yet(parse, value);
    }
    to->mux = mux;
    if (!to->name)
        to->name = value;
    return PACIFICA_OK;
}

enum pacifica_status option_serial(struct parse *parse, const char *value)
{
    struct cli_options *o = parse->options;
    if (o->serial_count == CLI_SERIALS)
        return option_not_yet(parse, "a third serial line");
    struct cli_port *port = &o->serial[o->serial_count];
    port->to.name = o->serial_count ? "serial1" : "serial0";
    o->serial_count++;
    if (strncmp(value, "chardev:", 8) == 0 && value[8]) {
        port->chardev = value + 8;
        return PACIFICA_OK;
    }
    return parse_destination(parse, value, &port->to);
}

/* A monitor is where people type: not in a file. */
enum pacifica_status option_monitor(struct parse *parse, const char *value)
{
    struct cli_options *o = parse->options;
    o->monitor = (struct cli_chardev){ .name = "monitor" };
    o->monitor_chardev = NULL;
    if (strncmp(value, "chardev:", 8) == 0 && value[8]) {
        o->monitor_chardev = value + 8;
        return PACIFICA_OK;
    }
    enum pacifica_status status = parse_destination(parse, value, &o->monitor);
    if (status == PACIFICA_OK && o->monitor.kind == CHARDEV_FILE)
        return option_bad(parse, value, "nothing that commands come from");
    return status;
}

/* [chardev=]ID[,mode=readline]. */
enum pacifica_status option_mon(struct parse *parse, const char *value)
{
    struct cli_options *o = parse->options;
    const char *rest = value, *id = NULL;
    for (bool first = true; rest; first = false) {
        const char *part = words_next(&o->words, &rest);
        const char *mode = part ? word_value(part, "mode") : NULL;
        if (!part)
            return no_memory(parse);
        if (word_value(part, "chardev"))
            id = word_value(part, "chardev");
        else if (mode && strcmp(mode, "readline") != 0)
            return option_not_yet(parse, part);
        else if (first && !strchr(part, '='))
            id = part;
        else if (!mode)
            return option_bad(parse, part, "no property of a monitor");
    }
    if (!id || !id[0])
        return option_bad(parse, value, "a monitor without chardev=");
    o->monitor = (struct cli_chardev){ 0 };
    o->monitor_chardev = id;
    return PACIFICA_OK;
}

enum pacifica_status option_nographic(struct parse *parse, const char *value)
{
    (void)value;
    parse->options->nographic = true;
    return PACIFICA_OK;
}

struct cli_chardev cli_serial(const struct cli_options *options, unsigned port)
{
    if (port < options->serial_count)
        return options->serial[port].chardev
                   ? *cli_find_chardev(options, options->serial[port].chardev)
                   : options->serial[port].to;
    if (port > 0)
        return (struct cli_chardev){ .kind = CHARDEV_UNSET };
    bool silent = options->nodefaults && !options->nographic;
    return (struct cli_chardev){ .kind = silent ? CHARDEV_NULL : CHARDEV_STDIO };
}

struct cli_chardev cli_monitor(const struct cli_options *options)
{
    for (unsigned i = 0; i < CLI_SERIALS; i++) {
        struct cli_chardev serial = cli_serial(options, i);
        if (serial.mux)
            return serial;
    }
    if (options->monitor_chardev)
        return *cli_find_chardev(options, options->monitor_chardev);
    if (options->monitor.kind != CHARDEV_UNSET)
        return options->monitor;
    return (struct cli_chardev){ .kind = options->nographic ? CHARDEV_STDIO : CHARDEV_UNSET,
                                 .no_signals = options->nographic };
}

int cli_monitor_port(const struct cli_options *options)
{
    struct cli_chardev monitor = cli_monitor(options);
    for (int i = 0; i < CLI_SERIALS; i++) {
        struct cli_chardev serial = cli_serial(options, (unsigned)i);
        bool same_id = serial.id && monitor.id && strcmp(serial.id, monitor.id) == 0;
        bool both_stdio = serial.kind == CHARDEV_STDIO && monitor.kind == CHARDEV_STDIO;
        if (same_id || both_stdio || serial.mux)
            return i;
    }
    return -1;
}

enum pacifica_status option_nodefaults(struct parse *parse, const char *value)
{
    (void)value;
    parse->options->nodefaults = true;
    return PACIFICA_OK;
}

static enum pacifica_status add_device(struct parse *parse, const struct cli_device *device)
{
    struct cli_options *o = parse->options;
    if (o->device_count == CLI_DEVICES)
        return diag_set(parse->diag, PACIFICA_EUSAGE, parse->where, NULL, "too many devices (8)");
    o->device[o->device_count++] = *device;
    return PACIFICA_OK;
}

enum pacifica_status option_debugcon(struct parse *parse, const char *value)
{
    struct cli_device device = { .kind = PACIFICA_DEVICE_DEBUGCON,
                                 .port = DEBUGCON_PORT,
                                 .port_count = 1 };
    enum pacifica_status status = PACIFICA_OK;
    if (strncmp(value, "chardev:", 8) == 0 && value[8])
        device.chardev = value + 8;
    else
        status = parse_destination(parse, value, &device.destination);
    if (device.destination.mux)
        return option_bad(parse, value, "no place: the monitor shares serial lines only");
    return status == PACIFICA_OK ? add_device(parse, &device) : status;
}

enum pacifica_status option_chardev(struct parse *parse, const char *value)
{
    struct cli_options *o = parse->options;
    struct cli_chardev chardev = { 0 };
    const char *rest = value;
    const char *kind = words_next(&o->words, &rest);
    if (!kind)
        return no_memory(parse);
    if (strcmp(kind, "stdio") == 0)
        chardev.kind = CHARDEV_STDIO;
    else if (strcmp(kind, "null") == 0)
        chardev.kind = CHARDEV_NULL;
    else if (strcmp(kind, "file") == 0)
        chardev.kind = CHARDEV_FILE;
    else if (strcmp(kind, "pty") == 0)
        chardev.kind = CHARDEV_PTY;
    else if (strcmp(kind, "socket") == 0)
        chardev.kind = CHARDEV_UNIX; /* unless it has a port */
    else
        return option_not_yet(parse, kind);
    const bool socket = chardev.kind == CHARDEV_UNIX;
    while (rest) {
        const char *part = words_next(&o->words, &rest);
        if (!part)
            return no_memory(parse);
        if (word_value(part, "id"))
            chardev.id = word_value(part, "id");
        else if (word_value(part, "path") && (chardev.kind == CHARDEV_FILE || socket))
            chardev.path = word_value(part, "path");
        else if (socket && word_value(part, "host"))
            chardev.host = word_value(part, "host");
        else if (socket && word_value(part, "port"))
            chardev.port = word_value(part, "port");
        else if (socket && socket_property(&chardev, part))
            continue;
        else if (chardev.kind != CHARDEV_FILE && word_value(part, "mux"))
            continue; /* who names it, shares it */
        else if (chardev.kind == CHARDEV_STDIO && word_value(part, "signal"))
            chardev.no_signals = strcmp(word_value(part, "signal"), "off") == 0;
        else
            return option_bad(parse, part, "no property of this chardev");
    }
    if (!chardev.id || !chardev.id[0])
        return option_bad(parse, value, "a chardev without id=");
    if (chardev.kind == CHARDEV_FILE && !(chardev.path && chardev.path[0]))
        return option_bad(parse, value, "a file without path=");
    if (socket && !chardev.path == !chardev.port)
        return option_bad(parse, value, "a socket without one of path= and port=");
    if (chardev.port) {
        chardev.kind = CHARDEV_TCP;
        chardev.host = chardev.host ? chardev.host : "";
    }
    chardev.name = chardev.id;
    if (cli_find_chardev(o, chardev.id))
        return option_bad(parse, chardev.id, "the ID of two chardevs");
    if (o->chardev_count == CLI_CHARDEVS)
        return option_bad(parse, value, "one chardev too many (8)");
    o->chardev[o->chardev_count++] = chardev;
    return PACIFICA_OK;
}

/* One key=value of -device. */
static enum pacifica_status device_property(struct parse *parse, struct cli_device *device,
                                            const char *part)
{
    bool debug_exit = device->kind == PACIFICA_DEVICE_DEBUG_EXIT;
    bool debugcon = device->kind == PACIFICA_DEVICE_DEBUGCON;
    const char *text;
    uint64_t number;
    if ((debug_exit || debugcon) && (text = word_value(part, "iobase"))) {
        if (!word_number(text, &number) || number > UINT16_MAX)
            return option_bad(parse, part, "no I/O port");
        device->port = (uint16_t)number;
    } else if (debug_exit && (text = word_value(part, "iosize"))) {
        if (!word_number(text, &number) || number < 1 || number > 4)
            return option_bad(parse, part, "no number of ports from 1 to 4");
        device->port_count = (uint16_t)number;
    } else if (debugcon && (text = word_value(part, "chardev"))) {
        device->chardev = text;
    } else if (!word_value(part, "id")) {
        return option_bad(parse, part, "no property of this device");
    }
    return PACIFICA_OK;
}

enum pacifica_status option_device(struct parse *parse, const char *value)
{
    struct cli_options *o = parse->options;
    struct cli_device device;
    const char *rest = value;
    const char *name = words_next(&o->words, &rest);
    if (!name)
        return no_memory(parse);
    if (strcmp(name, "?") == 0 || strcmp(name, "help") == 0) {
        o->action = CLI_DEVICE_LIST;
        return PACIFICA_OK;
    }
    enum pacifica_status taken;
    if (drive_device_option(parse, name, rest, &taken) ||
        net_device_option(parse, name, rest, &taken))
        return taken;
    if (strcmp(name, "isa-debug-exit") == 0)
        device = (struct cli_device){ .kind = PACIFICA_DEVICE_DEBUG_EXIT,
                                      .port = DEBUG_EXIT_PORT,
                                      .port_count = DEBUG_EXIT_PORTS };
    else if (strcmp(name, "isa-debugcon") == 0)
        device = (struct cli_device){ .kind = PACIFICA_DEVICE_DEBUGCON,
                                      .port = DEBUGCON_PORT,
                                      .port_count = 1 };
    else if (strcmp(name, "pc-testdev") == 0)
        device = (struct cli_device){ .kind = PACIFICA_DEVICE_PC_TESTDEV };
    else if (strcmp(name, "pci-testdev") == 0)
        device = (struct cli_device){ .kind = PACIFICA_DEVICE_PCI_TESTDEV };
    else if (strcmp(name, "virtio-rng-pci") == 0 || strcmp(name, "virtio-rng") == 0)
        device = (struct cli_device){ .kind = PACIFICA_DEVICE_VIRTIO_RNG };
    else
        return option_bad(parse, name, "no device of this machine ('?' lists them)");
    while (rest) {
        const char *part = words_next(&o->words, &rest);
        if (!part)
            return no_memory(parse);
        enum pacifica_status status = device_property(parse, &device, part);
        if (status != PACIFICA_OK)
            return status;
    }
    if (device.kind == PACIFICA_DEVICE_DEBUGCON && !device.chardev)
        return option_bad(parse, value, "a debugcon without chardev=");
    return add_device(parse, &device);
}

/* A kernel or firmware starts, and no two ROMs want the same place. */
static enum pacifica_status check_images(const struct parse *parse)
{
    const struct cli_options *o = parse->options;
    unsigned at_top = 0;
    for (unsigned i = 0; i < o->rom_count; i++)
        at_top += o->rom[i].load_at == PACIFICA_FIRMWARE_TOP;
    if (o->rom_count && o->kernel)
        return diag_set(parse->diag, PACIFICA_EUNSUPPORTED, "-kernel",
                        "-kernel starts without firmware", "together with -bios: not there yet");
    if (o->rom_count && o->module_count)
        return diag_set(parse->diag, PACIFICA_EUSAGE, "-initrd", NULL, "goes with -kernel only");
    if (at_top > 1)
        return diag_set(parse->diag, PACIFICA_EUSAGE, "-bios", "-load-at places a further -rom",
                        "two images for the place below 4 GiB");
    return PACIFICA_OK;
}

/* A disk that nothing else starts is for firmware, as on QEMU. */
static void supply_firmware(struct cli_options *o)
{
    bool flash = false;
    for (unsigned i = 0; i < o->drive_count; i++)
        flash = flash || o->drive[i].interface == PACIFICA_DISK_PFLASH;
    if (o->drive_count && !flash && !o->kernel && !o->rom_count)
        o->rom[o->rom_count++] = (struct cli_rom){ .path = "bios-256k.bin",
                                                   .load_at = PACIFICA_FIRMWARE_TOP,
                                                   .search = true };
}

static bool same_id(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

/* What is opened once has one user; the monitor and a serial line count as one. */
static enum pacifica_status check_users(struct parse *parse)
{
    const struct cli_options *o = parse->options;
    for (unsigned i = 0; i < o->chardev_count; i++) {
        const struct cli_chardev *chardev = &o->chardev[i];
        unsigned users = 0;
        for (unsigned k = 0; k < o->serial_count; k++)
            users += same_id(o->serial[k].chardev, chardev->id);
        if (!users)
            users = same_id(o->monitor_chardev, chardev->id);
        users += same_id(o->gdb_chardev, chardev->id);
        for (unsigned k = 0; k < o->device_count; k++)
            users += same_id(o->device[k].chardev, chardev->id);
        if (users > 1 && chardev->kind != CHARDEV_STDIO && chardev->kind != CHARDEV_NULL)
            return diag_set(parse->diag, PACIFICA_EUSAGE, "-chardev", NULL,
                            "'%s' is used more than once", chardev->id);
    }
    return PACIFICA_OK;
}

enum pacifica_status options_check(struct parse *parse)
{
    const struct cli_options *o = parse->options;
    for (unsigned i = 0; i < o->serial_count; i++)
        if (o->serial[i].chardev && !cli_find_chardev(o, o->serial[i].chardev))
            return diag_set(parse->diag, PACIFICA_EUSAGE, "-serial", NULL, "no chardev '%s'",
                            o->serial[i].chardev);
    if (o->monitor_chardev && !cli_find_chardev(o, o->monitor_chardev))
        return diag_set(parse->diag, PACIFICA_EUSAGE, "-monitor", NULL, "no chardev '%s'",
                        o->monitor_chardev);
    if (cli_monitor(o).kind == CHARDEV_FILE)
        return diag_set(parse->diag, PACIFICA_EUSAGE, "-monitor", NULL,
                        "chardev '%s' is nothing that commands come from", o->monitor_chardev);
    bool mux = cli_serial(o, 0).mux || cli_serial(o, 1).mux;
    if (mux && (o->monitor_chardev || o->monitor.kind > CHARDEV_NULL))
        return diag_set(parse->diag, PACIFICA_EUSAGE, "-monitor", NULL,
                        "one is behind a serial line already");
    const char *one = o->serial[0].chardev, *other = o->serial[1].chardev;
    if ((cli_serial(o, 0).kind == CHARDEV_STDIO && cli_serial(o, 1).kind == CHARDEV_STDIO) ||
        (one && other && strcmp(one, other) == 0))
        return diag_set(parse->diag, PACIFICA_EUSAGE, "-serial", NULL,
                        "two serial lines in the same place");
    for (unsigned i = 0; i < o->device_count; i++)
        if (o->device[i].chardev && !cli_find_chardev(o, o->device[i].chardev))
            return diag_set(parse->diag, PACIFICA_EUSAGE, "-device", NULL, "no chardev '%s'",
                            o->device[i].chardev);
    enum pacifica_status status = check_users(parse);
    if (status == PACIFICA_OK)
        status = gdb_check(parse);
    if (status == PACIFICA_OK)
        status = check_images(parse);
    if (status == PACIFICA_OK)
        status = nets_check(parse);
    if (status == PACIFICA_OK)
        status = drives_check(parse);
    if (status == PACIFICA_OK)
        supply_firmware(parse->options);
    return status;
}

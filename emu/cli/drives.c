/* Handlers of the options about disks. */
#include "emu/cli/drives.h"

#include "emu/base/diag.h"

#include <string.h>

#define DRIVE_IDE_PLACES 4u
#define DRIVE_FLASH_PLACES 2u
#define CDROM_INDEX 2u /* where -cdrom has its drive, as on QEMU */

static enum pacifica_status no_memory(struct parse *parse)
{
    return diag_set(parse->diag, PACIFICA_ENOMEM, NULL, NULL, "no memory");
}

static enum pacifica_status add_drive(struct parse *parse, const struct cli_drive *drive)
{
    struct cli_options *o = parse->options;
    if (o->drive_count == CLI_DRIVES)
        return diag_set(parse->diag, PACIFICA_EUSAGE, parse->where, NULL, "too many drives (16)");
    o->drive[o->drive_count++] = *drive;
    return PACIFICA_OK;
}

/* --- -drive ------------------------------------------------------------------------------------------ */

static enum pacifica_status drive_interface(struct parse *parse, struct cli_drive *drive,
                                            const char *part, const char *text)
{
    if (strcmp(text, "ide") == 0)
        drive->interface = PACIFICA_DISK_IDE;
    else if (strcmp(text, "virtio") == 0)
        drive->interface = PACIFICA_DISK_VIRTIO;
    else if (strcmp(text, "none") == 0)
        drive->unused = true;
    else if (strcmp(text, "pflash") == 0)
        drive->interface = PACIFICA_DISK_PFLASH;
    else if (strcmp(text, "scsi") == 0 || strcmp(text, "floppy") == 0 || strcmp(text, "sd") == 0 ||
             strcmp(text, "mtd") == 0)
        return option_not_yet(parse, part);
    else
        return option_bad(parse, part, "no interface of a drive");
    return PACIFICA_OK;
}

/* What changes how QEMU does its input and output, and nothing for the guest. */
static bool drive_ignored(const char *part)
{
    static const char *const key[] = { "cache",  "aio",    "discard",     "detect-zeroes",
                                       "werror", "rerror", "copy-on-read" };
    for (size_t i = 0; i < sizeof(key) / sizeof(key[0]); i++)
        if (word_value(part, key[i]))
            return true;
    return false;
}

static enum pacifica_status drive_property(struct parse *parse, struct cli_drive *drive,
                                           const char *part)
{
    const char *text;
    uint64_t number;
    bool on;
    if ((text = word_value(part, "file"))) {
        drive->path = text;
    } else if ((text = word_value(part, "if"))) {
        return drive_interface(parse, drive, part, text);
    } else if ((text = word_value(part, "format"))) {
        if (strcmp(text, "raw") != 0)
            return option_not_yet(parse, part);
        drive->format = text;
    } else if ((text = word_value(part, "media"))) {
        drive->cdrom = strcmp(text, "cdrom") == 0;
        if (!drive->cdrom && strcmp(text, "disk") != 0)
            return option_bad(parse, part, "neither disk nor cdrom");
    } else if ((text = word_value(part, "index")) || (text = word_value(part, "unit"))) {
        if (!word_number(text, &number) || number >= CLI_DRIVES)
            return option_bad(parse, part, "no place of a drive");
        drive->index = (unsigned)number;
        drive->placed = true;
    } else if ((text = word_value(part, "readonly")) || (text = word_value(part, "read-only"))) {
        if (!word_switch(text, &drive->read_only))
            return option_bad(parse, part, "neither on nor off");
    } else if ((text = word_value(part, "snapshot"))) {
        if (!word_switch(text, &on))
            return option_bad(parse, part, "neither on nor off");
        drive->through = !on;
    } else if ((text = word_value(part, "snapshot-max"))) {
        if (!word_size(text, UINT64_C(1) << 20, &drive->memory_most) || drive->memory_most == 0)
            return option_bad(parse, part, "no size");
    } else if ((text = word_value(part, "id"))) {
        drive->id = text;
    } else if ((text = word_value(part, "serial"))) {
        drive->serial = text;
    } else if (!drive_ignored(part)) {
        return option_bad(parse, part, "no property of a drive");
    }
    return PACIFICA_OK;
}

enum pacifica_status option_drive(struct parse *parse, const char *value)
{
    struct cli_options *o = parse->options;
    struct cli_drive drive = { .interface = PACIFICA_DISK_IDE };
    const char *rest = value;
    while (rest) {
        const char *part = words_next(&o->words, &rest);
        if (!part)
            return no_memory(parse);
        enum pacifica_status status = drive_property(parse, &drive, part);
        if (status != PACIFICA_OK)
            return status;
    }
    if (drive.path && !drive.path[0])
        drive.path = NULL;
    if (!drive.path && !drive.cdrom)
        return option_bad(parse, value, "a disk without file=");
    for (unsigned i = 0; drive.id && i < o->drive_count; i++)
        if (o->drive[i].id && strcmp(o->drive[i].id, drive.id) == 0)
            return option_bad(parse, drive.id, "the ID of two drives");
    return add_drive(parse, &drive);
}

/* --- short forms --------------------------------------------------------------------------------------- */

static enum pacifica_status add_placed(struct parse *parse, const char *path, unsigned index,
                                       bool cdrom)
{
    const struct cli_drive drive = {
        .path = path, .interface = PACIFICA_DISK_IDE, .index = index, .placed = true, .cdrom = cdrom
    };
    if (!path[0])
        return diag_set(parse->diag, PACIFICA_EUSAGE, parse->where, NULL, "no name of a file");
    return add_drive(parse, &drive);
}

enum pacifica_status option_hda(struct parse *parse, const char *value)
{
    return add_placed(parse, value, 0, false);
}

enum pacifica_status option_hdb(struct parse *parse, const char *value)
{
    return add_placed(parse, value, 1, false);
}

enum pacifica_status option_hdc(struct parse *parse, const char *value)
{
    return add_placed(parse, value, 2, false);
}

enum pacifica_status option_hdd(struct parse *parse, const char *value)
{
    return add_placed(parse, value, 3, false);
}

enum pacifica_status option_cdrom(struct parse *parse, const char *value)
{
    return add_placed(parse, value, CDROM_INDEX, true);
}

/* [order=]LETTERS,menu=on|off. `strict` and splash screens are for other firmware. */
enum pacifica_status option_boot(struct parse *parse, const char *value)
{
    struct cli_options *o = parse->options;
    const char *rest = value;
    for (bool first = true; rest; first = false) {
        const char *part = words_next(&o->words, &rest);
        if (!part)
            return no_memory(parse);
        const char *order = word_value(part, "order"), *menu = word_value(part, "menu");
        if (first && !strchr(part, '='))
            order = part;
        if (order) {
            if (!order[0] || strlen(order) > 3 || strspn(order, "acdn") != strlen(order))
                return option_bad(parse, order, "not up to three of a, c, d and n");
            o->boot_order = order;
        } else if (menu) {
            if (!word_switch(menu, &o->boot_menu))
                return option_bad(parse, part, "neither on nor off");
        } else if (!word_value(part, "strict")) {
            return option_bad(parse, part, "no property of booting");
        }
    }
    return PACIFICA_OK;
}

enum pacifica_status option_snapshot(struct parse *parse, const char *value)
{
    (void)value;
    parse->options->snapshot = true;
    return PACIFICA_OK;
}

/* --- -device ---------------------------------------------------------------------------------------------- */

static const struct drive_device {
    const char *name;
    enum pacifica_disk_interface interface;
    bool cdrom;
} drive_devices[] = {
    { "ide-hd", PACIFICA_DISK_IDE, false },
    { "ide-cd", PACIFICA_DISK_IDE, true },
    { "virtio-blk-pci", PACIFICA_DISK_VIRTIO, false },
    { "virtio-blk", PACIFICA_DISK_VIRTIO, false },
};

/* bus=ide.0 or ide.1, unit=0 or 1: a place as index= counts them. */
static enum pacifica_status device_place(struct parse *parse, struct cli_drive_device *device,
                                         const char *part)
{
    const char *text;
    uint64_t number;
    if ((text = word_value(part, "bus"))) {
        if (strcmp(text, "ide.0") != 0 && strcmp(text, "ide.1") != 0)
            return option_bad(parse, part, "neither ide.0 nor ide.1");
        device->bus = text[4] - '0';
    } else {
        text = word_value(part, "unit");
        if (!word_number(text, &number) || number > 1)
            return option_bad(parse, part, "neither unit 0 nor 1");
        device->unit = (int)number;
    }
    return PACIFICA_OK;
}

bool drive_device_option(struct parse *parse, const char *name, const char *rest,
                         enum pacifica_status *status)
{
    struct cli_options *o = parse->options;
    const struct drive_device *kind = NULL;
    for (size_t i = 0; i < sizeof(drive_devices) / sizeof(drive_devices[0]); i++)
        if (strcmp(drive_devices[i].name, name) == 0)
            kind = &drive_devices[i];
    if (!kind)
        return false;
    struct cli_drive_device device = {
        .interface = kind->interface, .cdrom = kind->cdrom, .bus = -1, .unit = -1
    };
    for (*status = PACIFICA_OK; rest && *status == PACIFICA_OK;) {
        const char *part = words_next(&o->words, &rest);
        bool ide = kind->interface == PACIFICA_DISK_IDE;
        if (!part)
            *status = no_memory(parse);
        else if (word_value(part, "drive"))
            device.drive = word_value(part, "drive");
        else if (word_value(part, "serial"))
            device.serial = word_value(part, "serial");
        else if (ide && (word_value(part, "bus") || word_value(part, "unit")))
            *status = device_place(parse, &device, part);
        else if (!word_value(part, "id"))
            *status = option_bad(parse, part, "no property of this device");
    }
    if (*status != PACIFICA_OK)
        return true;
    if (!device.drive)
        *status = option_bad(parse, name, "a disk without drive=");
    else if (o->drive_device_count == CLI_DRIVES)
        *status = option_bad(parse, name, "one disk too many (16)");
    else
        o->drive_device[o->drive_device_count++] = device;
    return true;
}

/* --- when all are known --------------------------------------------------------------------------------------- */

static struct cli_drive *find_drive(struct cli_options *o, const char *id)
{
    for (unsigned i = 0; i < o->drive_count; i++)
        if (o->drive[i].id && strcmp(o->drive[i].id, id) == 0)
            return &o->drive[i];
    return NULL;
}

/* Give each -device its drive. */
static enum pacifica_status join(struct parse *parse)
{
    struct cli_options *o = parse->options;
    for (unsigned i = 0; i < o->drive_device_count; i++) {
        const struct cli_drive_device *device = &o->drive_device[i];
        struct cli_drive *drive = find_drive(o, device->drive);
        if (!drive)
            return diag_set(parse->diag, PACIFICA_EUSAGE, "-device", NULL, "no drive '%s'",
                            device->drive);
        if (!drive->unused)
            return diag_set(parse->diag, PACIFICA_EUSAGE, "-device",
                            "if=none leaves a drive to one -device", "drive '%s' is in use",
                            device->drive);
        drive->unused = false;
        drive->interface = device->interface;
        drive->cdrom = device->cdrom;
        if (device->serial)
            drive->serial = device->serial;
        if (device->bus >= 0 || device->unit >= 0) {
            drive->index = (unsigned)((device->bus > 0 ? 2 : 0) + (device->unit > 0 ? 1 : 0));
            drive->placed = true;
        }
        if (!drive->path && !drive->cdrom)
            return diag_set(parse->diag, PACIFICA_EUSAGE, "-device", NULL, "drive '%s' has no file",
                            device->drive);
    }
    return PACIFICA_OK;
}

/* Flash memory in the order of the command line, but for what names its unit. */
static enum pacifica_status place_flash(struct parse *parse)
{
    struct cli_options *o = parse->options;
    bool taken[DRIVE_FLASH_PLACES] = { false };
    for (unsigned i = 0; i < 2 * o->drive_count; i++) {
        struct cli_drive *drive = &o->drive[i % o->drive_count];
        bool named = i < o->drive_count;
        if (drive->interface != PACIFICA_DISK_PFLASH || drive->placed != named)
            continue;
        if (!named)
            drive->index = taken[0] ? 1 : 0;
        if (drive->index >= DRIVE_FLASH_PLACES || taken[drive->index])
            return diag_set(parse->diag, PACIFICA_EUSAGE, "-drive",
                            "if=pflash has unit 0 for firmware and unit 1 for its variables",
                            "no place for flash memory %u", drive->index);
        taken[drive->index] = drive->placed = true;
    }
    if (taken[0] && o->kernel)
        return diag_set(parse->diag, PACIFICA_EUNSUPPORTED, "-kernel",
                        "-kernel starts without firmware",
                        "together with if=pflash: not there yet");
    return taken[1] && !taken[0] ? diag_set(parse->diag, PACIFICA_EUSAGE, "-drive", NULL,
                                            "if=pflash,unit=1 without unit 0, which starts")
                                 : PACIFICA_OK;
}

/* Give each IDE drive a place: those that name one, and then the others in their order. */
static enum pacifica_status place(struct parse *parse)
{
    struct cli_options *o = parse->options;
    bool taken[DRIVE_IDE_PLACES] = { false };
    for (unsigned i = 0; i < 2 * o->drive_count; i++) {
        struct cli_drive *drive = &o->drive[i % o->drive_count];
        bool named = i < o->drive_count;
        if (drive->interface != PACIFICA_DISK_IDE || drive->placed != named)
            continue;
        if (!named)
            for (drive->index = 0; drive->index < DRIVE_IDE_PLACES && taken[drive->index];)
                drive->index++;
        if (drive->index >= DRIVE_IDE_PLACES)
            return diag_set(parse->diag, PACIFICA_EUSAGE, "-drive", "if=ide has places 0 to 3",
                            named ? "there is no IDE drive %u" : "more than four IDE drives",
                            drive->index);
        if (taken[drive->index])
            return diag_set(parse->diag, PACIFICA_EUSAGE, "-drive",
                            "-hda to -hdd and -cdrom have places, too",
                            "two drives for place %u of IDE", drive->index);
        taken[drive->index] = drive->placed = true;
    }
    return PACIFICA_OK;
}

enum pacifica_status drives_check(struct parse *parse)
{
    struct cli_options *o = parse->options;
    enum pacifica_status status = join(parse);
    for (unsigned i = 0; status == PACIFICA_OK && i < o->drive_count; i++) {
        struct cli_drive *drive = &o->drive[i];
        if (o->snapshot)
            drive->through = false;
        if (drive->unused)
            status = diag_set(parse->diag, PACIFICA_EUSAGE, "-drive", NULL,
                              "if=none, and no -device uses '%s'",
                              drive->id     ? drive->id
                              : drive->path ? drive->path
                                            : "");
    }
    if (status == PACIFICA_OK)
        status = place_flash(parse);
    return status == PACIFICA_OK ? place(parse) : status;
}

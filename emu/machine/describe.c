/* What a machine is made of, one thing a line, so that a recording can tell whether it fits: what a guest could find out, and what
 * decides about how it runs. */
#include "emu/machine/machine.h"

#include "devices/block.h"
#include "emu/base/diag.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct text {
    char *at;
    size_t size, room;
    bool failed;
};

static void add(struct text *text, const char *fmt, ...) EMU_PRINTF(2, 3);
static void add(struct text *text, const char *fmt, ...)
{
    char line[512];
    va_list args;
    va_start(args, fmt);
    int bytes = vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    size_t more = bytes < 0 ? 0 : (size_t)bytes < sizeof(line) ? (size_t)bytes : sizeof(line) - 1;
    if (text->failed || text->size + more + 1 > text->room) {
        size_t room = 2 * (text->size + more + 1);
        char *at = text->failed ? NULL : realloc(text->at, room);
        text->failed = !at;
        if (!at)
            return;
        text->at = at;
        text->room = room;
    }
    memcpy(text->at + text->size, line, more);
    text->size += more;
    text->at[text->size] = '\0';
}

static void add_devices(struct text *text, const struct pacifica_options *options)
{
    static const char *const name[] = {
        [PACIFICA_DEVICE_DEBUG_EXIT] = "isa-debug-exit",
        [PACIFICA_DEVICE_DEBUGCON] = "isa-debugcon",
        [PACIFICA_DEVICE_PC_TESTDEV] = "pc-testdev",
        [PACIFICA_DEVICE_PCI_TESTDEV] = "pci-testdev",
        [PACIFICA_DEVICE_VIRTIO_RNG] = "virtio-rng",
    };
    for (size_t i = 0; i < options->device_count && i < MACHINE_DEVICES; i++) {
        const struct pacifica_device *device = &options->devices[i];
        bool known = device->kind < sizeof(name) / sizeof(name[0]);
        add(text, "device %zu: %s at port %#x, %u ports\n", i, known ? name[device->kind] : "?",
            device->port, device->port_count);
    }
    for (size_t i = 0; i < options->nic_count; i++) {
        const uint8_t *mac = options->nics[i].mac;
        add(text, "network card %zu: %02x:%02x:%02x:%02x:%02x:%02x\n", i, mac[0], mac[1], mac[2],
            mac[3], mac[4], mac[5]);
    }
}

static void add_disks(struct text *text, const struct pacifica_options *options)
{
    static const char *const behind[] = { [PACIFICA_DISK_IDE] = "IDE",
                                          [PACIFICA_DISK_VIRTIO] = "virtio",
                                          [PACIFICA_DISK_PFLASH] = "flash memory" };
    /* With more there will be no machine, and nobody has looked yet whether they are there. */
    size_t count = options->disk_count <= MACHINE_DISKS ? options->disk_count : 0;
    for (size_t i = 0; i < count; i++) {
        const struct pacifica_disk *disk = &options->disks[i];
        bool known = disk->interface < sizeof(behind) / sizeof(behind[0]);
        add(text, "disk %zu: %s %u, %" PRIu64 " bytes%s%s, serial number '%.20s'\n", i,
            known ? behind[disk->interface] : "?", disk->index, disk->size_bytes,
            disk->cdrom ? ", CD" : "", disk->read_only ? ", read-only" : "",
            disk->serial ? disk->serial : "");
    }
}

enum pacifica_status machine_made_of(struct pacifica_machine *machine,
                                     const struct pacifica_options *options)
{
    struct text text = { 0 };
    add(&text, "memory: %" PRIu64 " bytes\n", options->ram_bytes);
    add(&text, "processors: %" PRIu32 " of %s\n", options->cpus,
        options->cpu ? options->cpu : "max");
    add(&text, "seed: %" PRIu64 "\n", options->seed);
    add(&text, "second serial line: %s\n", options->com2 ? "yes" : "no");
    add(&text, "display: %s\n", options->vga == PACIFICA_VGA_NONE ? "none" : "std");
    add(&text, "video BIOS: %016" PRIx64 "\n",
        options->vga_bios.size
            ? (uint64_t)XXH3_64bits(options->vga_bios.data, options->vga_bios.size)
            : 0);
    add(&text, "boot: %s%s\n", options->boot_order ? options->boot_order : "cda",
        options->boot_menu ? ", menu" : "");
    add_devices(&text, options);
    add_disks(&text, options);
    for (size_t i = 0; i < options->fw_cfg_count; i++) {
        const struct pacifica_fw_cfg *file = &options->fw_cfg[i];
        add(&text, "fw_cfg %s: %zu bytes, %016" PRIx64 "\n", file->name ? file->name : "",
            file->content.size,
            file->content.size ? (uint64_t)XXH3_64bits(file->content.data, file->content.size) : 0);
    }
    machine->made = text.at;
    if (!text.failed)
        return PACIFICA_OK;
    free(text.at);
    machine->made = NULL;
    return PACIFICA_ENOMEM;
}

/* --- images --------------------------------------------------------------------------------------------- */

#define SAMPLES 256u
#define SAMPLE_SECTORS 8u

/* CHOICE: a disk is told by its beginning and by samples from all of it: reading all of a large image takes too long. Fails to
 * read count as zeros. */
static uint64_t disk_hash(const struct block *block)
{
    uint64_t sectors = block_sectors(block), hash = sectors;
    uint8_t bytes[SAMPLE_SECTORS * BLOCK_SECTOR];
    for (uint64_t i = 0; i < 2 * SAMPLES; i++) {
        uint64_t at = i < SAMPLES ? i * SAMPLE_SECTORS : sectors / SAMPLES * (i - SAMPLES);
        uint64_t count = at < sectors ? sectors - at : 0;
        memset(bytes, 0, sizeof(bytes));
        if (count)
            (void)block_read(block, at, (uint32_t)(count < SAMPLE_SECTORS ? count : SAMPLE_SECTORS),
                             bytes);
        hash = XXH3_64bits_withSeed(bytes, sizeof(bytes), hash);
    }
    return hash;
}

char *machine_describe(struct pacifica_machine *machine)
{
    struct text text = { 0 };
    add(&text, "pacifica: %s\n", PACIFICA_VERSION);
    for (const char *line = machine->made; *line; line = strchr(line, '\n') + 1)
        add(&text, "%.*s", (int)(strchr(line, '\n') + 1 - line), line);
    for (unsigned i = 0; i < MACHINE_DISKS; i++)
        if (machine->block[i])
            add(&text, "disk %u holds: %016" PRIx64 "\n", i, disk_hash(machine->block[i]));
    add(&text, "image and state: %016" PRIx64 "\n", pacifica_machine_state_hash(machine));
    if (!text.failed)
        return text.at;
    free(text.at);
    return NULL;
}

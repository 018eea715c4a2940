/* What a machine is made of, one thing a line, so that a recording can tell whether it fits: what a guest could find out, and what
 * decides about how it runs. */
#include "emu/machine/machine.h"

#include "devices/block.h"
#include "emu/machine/text.h"

#include <inttypes.h>
#include <string.h>
#include <xxhash.h>

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
        text_put(text, "device %zu: %s at port %#x, %u ports\n", i,
                 known ? name[device->kind] : "?", device->port, device->port_count);
    }
    for (size_t i = 0; i < options->nic_count; i++) {
        const uint8_t *mac = options->nics[i].mac;
        text_put(text, "network card %zu: %02x:%02x:%02x:%02x:%02x:%02x\n", i, mac[0], mac[1],
                 mac[2], mac[3], mac[4], mac[5]);
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
        text_put(text, "disk %zu: %s %u, %" PRIu64 " bytes%s%s, serial number '%.20s'\n", i,
                 known ? behind[disk->interface] : "?", disk->index, disk->size_bytes,
                 disk->cdrom ? ", CD" : "", disk->read_only ? ", read-only" : "",
                 disk->serial ? disk->serial : "");
    }
}

enum pacifica_status machine_made_of(struct pacifica_machine *machine,
                                     const struct pacifica_options *options)
{
    struct text text = { 0 };
    text_put(&text, "memory: %" PRIu64 " bytes\n", options->ram_bytes);
    text_put(&text, "processors: %" PRIu32 " of %s\n", options->cpus,
             options->cpu ? options->cpu : "max");
    text_put(&text, "seed: %" PRIu64 "\n", options->seed);
    text_put(&text, "second serial line: %s\n", options->com2 ? "yes" : "no");
    text_put(&text, "display: %s\n", options->vga == PACIFICA_VGA_NONE ? "none" : "std");
    text_put(&text, "video BIOS: %016" PRIx64 "\n",
             options->vga_bios.size
                 ? (uint64_t)XXH3_64bits(options->vga_bios.data, options->vga_bios.size)
                 : 0);
    text_put(&text, "boot: %s%s\n", options->boot_order ? options->boot_order : "cda",
             options->boot_menu ? ", menu" : "");
    add_devices(&text, options);
    add_disks(&text, options);
    for (size_t i = 0; i < options->fw_cfg_count; i++) {
        const struct pacifica_fw_cfg *file = &options->fw_cfg[i];
        text_put(&text, "fw_cfg %s: %zu bytes, %016" PRIx64 "\n", file->name ? file->name : "",
                 file->content.size,
                 file->content.size ? (uint64_t)XXH3_64bits(file->content.data, file->content.size)
                                    : 0);
    }
    machine->made = text_take(&text);
    return machine->made ? PACIFICA_OK : PACIFICA_ENOMEM;
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
    text_put(&text, "pacifica: %s\n", PACIFICA_VERSION);
    for (const char *line = machine->made; *line; line = strchr(line, '\n') + 1)
        text_put(&text, "%.*s", (int)(strchr(line, '\n') + 1 - line), line);
    for (unsigned i = 0; i < MACHINE_DISKS; i++)
        if (machine->block[i])
            text_put(&text, "disk %u holds: %016" PRIx64 "\n", i, disk_hash(machine->block[i]));
    text_put(&text, "image and state: %016" PRIx64 "\n", pacifica_machine_state_hash(machine));
    return text_take(&text);
}

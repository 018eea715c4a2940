/* Firmware in flash memory: unit 0 ends at 4 GiB, where the reset vector is, and unit 1, for variables, lies below it. */
#include "emu/machine/machine.h"

#include "devices/pflash.h"
#include "emu/base/diag.h"
#include "emu/boot/firmware.h"

#include <inttypes.h>
#include <stdlib.h>

#define UNITS 2

static struct block *unit_of(const struct pacifica_machine *machine,
                             const struct pacifica_options *options, unsigned unit)
{
    for (size_t i = 0; i < options->disk_count; i++)
        if (options->disks[i].interface == PACIFICA_DISK_PFLASH && options->disks[i].index == unit)
            return machine->block[i];
    return NULL;
}

static enum pacifica_status check(const struct pacifica_machine *machine,
                                  const struct pacifica_options *options, bool *any,
                                  struct pacifica_diag *diag)
{
    bool there[UNITS] = { false };
    uint64_t bytes = 0;
    *any = false;
    for (size_t i = 0; i < options->disk_count; i++) {
        const struct pacifica_disk *disk = &options->disks[i];
        if (disk->interface != PACIFICA_DISK_PFLASH)
            continue;
        *any = true;
        if (disk->cdrom || disk->index >= UNITS || there[disk->index])
            return diag_set(diag, PACIFICA_EUSAGE, "flash memory", "unit 0 and unit 1, once each",
                            "no place for flash memory %u", disk->index);
        there[disk->index] = true;
        if (disk->size_bytes % PFLASH_SECTOR)
            return diag_set(diag, PACIFICA_EFORMAT, "flash memory", NULL,
                            "%" PRIu64 " bytes are no multiple of 4 KiB", disk->size_bytes);
        if (disk->size_bytes > FIRMWARE_MOST - bytes)
            return diag_set(diag, PACIFICA_ERANGE, "flash memory",
                            "at most 16 MiB together: the local APIC lies below",
                            "%" PRIu64 " bytes are too many", disk->size_bytes);
        bytes += disk->size_bytes;
    }
    if (*any && !unit_of(machine, options, 0))
        return diag_set(diag, PACIFICA_EUSAGE, "flash memory", "it has the reset vector",
                        "unit 0 is missing");
    return PACIFICA_OK;
}

/* Real mode reaches the last 128 KiB below 1 MiB, in a ROM of its own. */
static bool add_low(struct pacifica_machine *machine, const struct block *block)
{
    uint64_t bytes = block_sectors(block) * BLOCK_SECTOR;
    uint64_t low = bytes < FIRMWARE_LOW_MOST ? bytes : FIRMWARE_LOW_MOST;
    uint8_t *image = malloc(low);
    bool added = image &&
                 block_read(block, (bytes - low) / BLOCK_SECTOR, (uint32_t)(low / BLOCK_SECTOR),
                            image) == BLOCK_OK &&
                 memory_add_rom(machine->memory, FIRMWARE_LOW_END - low, image, low);
    free(image);
    return added;
}

enum pacifica_status machine_add_flash(struct pacifica_machine *machine,
                                       const struct pacifica_options *options,
                                       struct pacifica_diag *diag)
{
    bool any;
    enum pacifica_status status = check(machine, options, &any, diag);
    if (status != PACIFICA_OK || !any)
        return status;
    uint64_t top = FIRMWARE_TOP_END;
    for (unsigned unit = 0; unit < UNITS; unit++) {
        struct block *block = unit_of(machine, options, unit);
        if (!block)
            continue;
        top -= block_sectors(block) * BLOCK_SECTOR;
        if (!pflash_add(machine->bus, top, block))
            return diag_set(diag, PACIFICA_EIO, "flash memory", "can the file be read?",
                            "unit %u cannot be made", unit);
    }
    if (!add_low(machine, unit_of(machine, options, 0)))
        return diag_set(diag, PACIFICA_ENOMEM, "flash memory", NULL, "no memory for it");
    machine->firmware = true;
    return machine_add_firmware_tables(machine, diag);
}

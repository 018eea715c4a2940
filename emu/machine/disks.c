/* The disks of a machine. */
#include "emu/machine/machine.h"

#include "devices/virtio_blk.h"
#include "devices/virtio_rng.h"
#include "emu/base/diag.h"

#include <inttypes.h>
#include <string.h>

#define IDE_SLOT 1 /* PIIX3's, function 1 */
#define IDE_FUNCTION 1
#define MEMORY_MOST (UINT64_C(4) << 30) /* that writes may take, for each disk */
#define FIRST_SLOT 3 /* CHOICE: for virtio: slot 2 is the display's, also where there is none */

static enum pacifica_status make_block(const struct pacifica_disk *disk, struct block **block,
                                       struct pacifica_diag *diag)
{
    const struct block_config config = {
        .source = { .read = disk->read,
                    .write = disk->write,
                    .flush = disk->flush,
                    .full = disk->full,
                    .self = disk->self },
        .size_bytes = disk->size_bytes,
        .read_only = disk->read_only || disk->cdrom,
        .through = disk->write_through,
        .serial = disk->serial,
        .memory_most = disk->memory_most ? disk->memory_most : MEMORY_MOST,
    };
    if (disk->cdrom && disk->size_bytes == 0)
        return PACIFICA_OK;
    if (disk->size_bytes == 0)
        return diag_set(diag, PACIFICA_EFORMAT, "disk", NULL, "the image is empty");
    if (disk->size_bytes > BLOCK_BYTES_MOST)
        return diag_set(diag, PACIFICA_EFORMAT, "disk", NULL, "larger than %" PRIu64 " GiB",
                        BLOCK_BYTES_MOST >> 30);
    if (!disk->read || (disk->write_through && !config.read_only && !disk->write))
        return diag_set(diag, PACIFICA_EUSAGE, "disk", NULL, "no function reads or writes it");
    if (disk->write_through && !config.read_only && disk->size_bytes % BLOCK_SECTOR)
        return diag_set(diag, PACIFICA_EFORMAT, "disk", "without writing through it can be used",
                        "%" PRIu64 " bytes are no whole sectors", disk->size_bytes);
    *block = block_new(&config);
    if (!*block)
        return diag_set(diag, PACIFICA_ENOMEM, "disk", NULL, "no memory for a disk");
    return PACIFICA_OK;
}

static enum pacifica_status place_ide(struct ide_config *config, const struct pacifica_disk *disk,
                                      struct block *block, struct pacifica_diag *diag)
{
    if (disk->index >= IDE_CHANNELS * IDE_DRIVES)
        return diag_set(diag, PACIFICA_EUSAGE, "disk", NULL, "there is no IDE drive %u (0 to 3)",
                        disk->index);
    struct ide_drive_config *drive =
        &config->drive[disk->index / IDE_DRIVES][disk->index % IDE_DRIVES];
    if (drive->kind != IDE_NONE)
        return diag_set(diag, PACIFICA_EUSAGE, "disk", NULL, "IDE drive %u is there twice",
                        disk->index);
    drive->kind = disk->cdrom ? IDE_CDROM : IDE_DISK;
    drive->block = block;
    return PACIFICA_OK;
}

/* The next free slot's first function. */
enum pacifica_status machine_free_place(const struct pacifica_machine *machine, uint8_t *devfn,
                                        struct pacifica_diag *diag)
{
    unsigned slot = pci_free_slot(machine->pci, FIRST_SLOT);
    if (slot > 31)
        return diag_set(diag, PACIFICA_EUSAGE, "virtio", NULL, "no free PCI slot");
    *devfn = pci_devfn(slot, 0);
    return PACIFICA_OK;
}

static enum pacifica_status add_virtio(struct pacifica_machine *machine,
                                       const struct pacifica_disk *disk, struct block *block,
                                       struct pacifica_diag *diag)
{
    uint8_t devfn = 0;
    if (disk->cdrom)
        return diag_set(diag, PACIFICA_EUSAGE, "disk", "IDE has CD-ROM drives",
                        "a CD-ROM drive behind virtio");
    enum pacifica_status status = machine_free_place(machine, &devfn, diag);
    if (status == PACIFICA_OK && !virtio_blk_add(machine->bus, machine->pci, devfn, block))
        status = diag_set(diag, PACIFICA_ENOMEM, NULL, NULL, "no memory for virtio-blk");
    return status;
}

/* Not the numbers that RDRAND gives. */
enum pacifica_status machine_add_rng(struct pacifica_machine *machine, uint64_t seed,
                                     struct pacifica_diag *diag)
{
    uint8_t devfn = 0;
    enum pacifica_status status = machine_free_place(machine, &devfn, diag);
    if (status == PACIFICA_OK && !virtio_rng_add(machine->bus, machine->pci, devfn, ~seed * devfn))
        status = diag_set(diag, PACIFICA_ENOMEM, NULL, NULL, "no memory for virtio-rng");
    return status;
}

enum pacifica_status machine_add_disks(struct pacifica_machine *machine,
                                       const struct pacifica_options *options,
                                       const struct irq_line irq[IDE_CHANNELS],
                                       struct pacifica_diag *diag)
{
    struct ide_config ide = { .pci = machine->pci,
                              .devfn = pci_devfn(IDE_SLOT, IDE_FUNCTION),
                              .irq = { irq[0], irq[1] } };
    const char *order = options->boot_order ? options->boot_order : "";
    if (strlen(order) > 3 || strspn(order, "acdn") != strlen(order))
        return diag_set(diag, PACIFICA_EUSAGE, "boot order", NULL,
                        "'%s' is not up to three of a, c, d and n", order);
    if (options->disk_count > MACHINE_DISKS)
        return diag_set(diag, PACIFICA_EUSAGE, NULL, NULL, "more than %d disks", MACHINE_DISKS);
    for (size_t i = 0; i < options->disk_count; i++) {
        enum pacifica_status status = make_block(&options->disks[i], &machine->block[i], diag);
        if (status == PACIFICA_OK && options->disks[i].interface == PACIFICA_DISK_VIRTIO)
            status = add_virtio(machine, &options->disks[i], machine->block[i], diag);
        else if (status == PACIFICA_OK && options->disks[i].interface == PACIFICA_DISK_IDE)
            status = place_ide(&ide, &options->disks[i], machine->block[i], diag);
        if (status != PACIFICA_OK)
            return status;
    }
    machine->ide = ide_add(machine->bus, &ide);
    if (!machine->ide)
        return diag_set(diag, PACIFICA_ENOMEM, NULL, NULL, "no memory for IDE");
    return PACIFICA_OK;
}

void machine_free_disks(struct pacifica_machine *machine)
{
    for (unsigned i = 0; i < MACHINE_DISKS; i++)
        block_free(machine->block[i]);
}

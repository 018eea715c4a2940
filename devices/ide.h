/* IDE: two channels with two drives each, as function 1 of PIIX3 or alone at its ports of old. */
#ifndef DEVICES_IDE_H
#define DEVICES_IDE_H

#include "devices/block.h"
#include "devices/pci.h"

#define IDE_CHANNELS 2
#define IDE_DRIVES 2 /* of a channel */

struct ide;

struct ide_drive_config {
    enum { IDE_NONE, IDE_DISK, IDE_CDROM } kind;
    struct block *block; /* borrowed; NULL for a CD-ROM drive without a disc */
};

struct ide_config {
    struct pci_bus *pci; /* NULL: no bus mastering */
    uint8_t devfn;
    struct irq_line irq[IDE_CHANNELS]; /* of the ISA bus: 14 and 15 */
    struct ide_drive_config drive[IDE_CHANNELS][IDE_DRIVES];
};

/* Add both channels, at 1F0h-1F7h, 3F6h and at 170h-177h, 376h. */
struct ide *ide_add(struct bus *bus, const struct ide_config *config);

/* What a PC's firmware leaves: the channels are enabled in PIIX3's IDETIM registers. */
void ide_firmware_init(struct ide *ide);

#endif

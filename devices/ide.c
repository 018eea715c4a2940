/* The registers of IDE channels and the way of data through them. ATA/ATAPI-6 (T13/1410D revision 3b), chapters 7
 * "Interface register definitions" and 9 "Protocol"; the PCI function: Intel 82371FB (PIIX) and 82371SB (PIIX3) data sheet.
 *
 * CHOICE: a drive does everything at once but DMA: BSY is seen only while SRST is set.
 * CHOICE: a channel without drives, and device 0 of one with device 1 only, read as zeros.
 * CHOICE: a command ends what its channel was doing.
 * CHOICE: the ports answer whatever IDETIM and the PCI command register say, as on QEMU. */
#include "devices/ide_priv.h"

#include <string.h>

#define PRIMARY_PORT 0x1f0
#define SECONDARY_PORT 0x170
#define CONTROL_OFFSET 0x206 /* 3F6h, 376h */

enum ide_port {
    PORT_DATA,
    PORT_FEATURE, /* reads: error */
    PORT_COUNT,
    PORT_LBA_LOW,
    PORT_LBA_MID,
    PORT_LBA_HIGH,
    PORT_DEVICE,
    PORT_COMMAND /* reads: status */
};

/* --- interrupts ------------------------------------------------------------------------------------ */

/* INTRQ: of the selected drive, unless nIEN. BM 2.1: its rise is kept in the bus master's status. */
void ide_update_irq(struct ide_channel *ch)
{
    bool line = ide_selected(ch)->intrq && !(ch->control & IDE_CONTROL_NIEN);
    if (line && !ch->line)
        ch->master.status |= 0x04;
    ch->line = line;
    irq_set(&ch->irq, line);
}

void ide_interrupt(struct ide_channel *ch, struct ide_drive *drive)
{
    drive->intrq = true;
    ide_update_irq(ch);
}

void ide_end(struct ide_channel *ch, struct ide_drive *drive, uint8_t error)
{
    ch->phase = IDE_IDLE;
    drive->error = error;
    drive->status = (uint8_t)(IDE_DRDY | IDE_DSC | (error ? IDE_ERR : 0));
    ide_interrupt(ch, drive);
}

void ide_data(struct ide_channel *ch, enum ide_phase phase, bool interrupt)
{
    struct ide_drive *drive = ide_owner(ch);
    ch->phase = phase;
    drive->error = 0;
    drive->status = IDE_DRDY | IDE_DSC | IDE_DRQ;
    if (interrupt)
        ide_interrupt(ch, drive);
}

/* --- reset ----------------------------------------------------------------------------------------- */

void ide_signature(struct ide_channel *ch, struct ide_drive *drive)
{
    bool cd = drive->kind == IDE_CDROM;
    drive->count = drive->lba[0] = (struct ide_register){ .now = 1 };
    drive->lba[1] = (struct ide_register){ .now = cd ? 0x14 : 0 };
    drive->lba[2] = (struct ide_register){ .now = cd ? 0xeb : 0 };
    ch->device &= IDE_DEVICE_SELECT;
}

void ide_reset_drive(struct ide_channel *ch, struct ide_drive *drive, bool power)
{
    drive->feature = (struct ide_register){ 0 };
    drive->intrq = false;
    drive->error = 0x01; /* diagnostics: passed */
    drive->status = drive->kind == IDE_DISK ? IDE_DRDY | IDE_DSC : 0;
    ide_signature(ch, drive);
    drive->cd.key = drive->cd.code = drive->cd.qualifier = 0;
    drive->cd.locked = drive->cd.dma = false;
    drive->cd.limit = 0;
    drive->cd.packet = false;
    if (!power)
        return;
    drive->multiple = IDE_SECTORS_MOST; /* CHOICE: not 0: PIO is quick by itself */
    drive->heads = 16;
    drive->track_sectors = 63;
    drive->mode = 0;
    drive->write_cache = drive->look_ahead = true;
    drive->cd.open = drive->cd.changed = drive->cd.event = false;
}

static void reset_channel(struct ide_channel *ch, bool power)
{
    ch->phase = IDE_IDLE;
    ch->device = 0;
    ch->at = ch->stop = ch->length = 0;
    for (unsigned i = 0; i < IDE_DRIVES; i++)
        ide_reset_drive(ch, &ch->drive[i], power);
    ide_update_irq(ch);
}

static void ide_reset(void *self)
{
    struct ide *ide = self;
    for (unsigned i = 0; i < IDE_CHANNELS; i++) {
        struct ide_channel *ch = &ide->channel[i];
        ch->control = 0;
        reset_channel(ch, true);
        ide_dma_reset(ch);
        ch->owner = 0;
        ch->sector = ch->left = ch->chunk = 0;
        ch->extended = false;
    }
}

static void write_control(struct ide_channel *ch, uint8_t value)
{
    bool was = ch->control & IDE_CONTROL_SRST, is = value & IDE_CONTROL_SRST;
    ch->control = value;
    if (is && !was)
        reset_channel(ch, false);
    ide_update_irq(ch);
}

/* --- data ------------------------------------------------------------------------------------------ */

/* The DRQ block is done. */
static void next_block(struct ide_channel *ch)
{
    if (ch->phase == IDE_PACKET)
        ide_packet(ch);
    else if (ide_owner(ch)->kind == IDE_CDROM)
        ide_packet_next(ch);
    else
        ide_disk_next(ch);
}

static bool data_open(struct ide_channel *ch, enum ide_phase phase)
{
    return ch->phase == phase && ide_selected(ch) == ide_owner(ch);
}

static uint32_t read_data(struct ide_channel *ch, unsigned size)
{
    uint32_t value = 0;
    if (!data_open(ch, IDE_DATA_IN))
        return 0;
    if (size > ch->stop - ch->at)
        size = ch->stop - ch->at;
    memcpy(&value, ch->buffer + ch->at, size);
    ch->at += size;
    if (ch->at == ch->stop)
        next_block(ch);
    return value;
}

static void write_data(struct ide_channel *ch, unsigned size, uint32_t value)
{
    if (!data_open(ch, IDE_DATA_OUT) && !data_open(ch, IDE_PACKET))
        return;
    if (size > ch->stop - ch->at)
        size = ch->stop - ch->at;
    memcpy(ch->buffer + ch->at, &value, size);
    ch->at += size;
    if (ch->at == ch->stop)
        next_block(ch);
}

/* --- registers ------------------------------------------------------------------------------------- */

static uint8_t read_status(struct ide_channel *ch, bool acknowledge)
{
    struct ide_drive *drive = ide_selected(ch);
    if (drive->kind == IDE_NONE)
        return 0;
    if (ch->control & IDE_CONTROL_SRST)
        return IDE_BSY;
    if (acknowledge) {
        drive->intrq = false;
        ide_update_irq(ch);
    }
    return drive->status;
}

static uint8_t which(const struct ide_channel *ch, const struct ide_register *reg)
{
    return ch->control & IDE_CONTROL_HOB ? reg->before : reg->now;
}

/* Device 0 answers for a device 1 that is not there, except status. ATA 9.16 "Single device configurations". */
static uint8_t read_register(struct ide_channel *ch, enum ide_port port)
{
    const struct ide_drive *drive = ide_selected(ch);
    if (drive->kind == IDE_NONE)
        drive = &ch->drive[0];
    if (port == PORT_COMMAND)
        return read_status(ch, true);
    if (drive->kind == IDE_NONE)
        return 0;
    switch (port) {
    case PORT_FEATURE: return drive->error;
    case PORT_COUNT: return which(ch, &drive->count);
    case PORT_LBA_LOW: return which(ch, &drive->lba[0]);
    case PORT_LBA_MID: return which(ch, &drive->lba[1]);
    case PORT_LBA_HIGH: return which(ch, &drive->lba[2]);
    case PORT_DEVICE: return ch->device | 0xa0;
    default: return 0;
    }
}

static void push(struct ide_register *reg, uint8_t value)
{
    reg->before = reg->now;
    reg->now = value;
}

static void write_register(struct ide_channel *ch, enum ide_port port, uint8_t value)
{
    if (ch->control & IDE_CONTROL_SRST)
        return;
    ch->control &= (uint8_t)~IDE_CONTROL_HOB;
    if (port == PORT_COMMAND) {
        ide_command(ch, value);
        return;
    }
    if (port == PORT_DEVICE) {
        ch->device = value;
        ide_update_irq(ch);
        return;
    }
    for (unsigned i = 0; i < IDE_DRIVES; i++) { /* both drives hear it */
        struct ide_drive *drive = &ch->drive[i];
        switch (port) {
        case PORT_FEATURE: push(&drive->feature, value); break;
        case PORT_COUNT: push(&drive->count, value); break;
        case PORT_LBA_LOW: push(&drive->lba[0], value); break;
        case PORT_LBA_MID: push(&drive->lba[1], value); break;
        case PORT_LBA_HIGH: push(&drive->lba[2], value); break;
        default: break;
        }
    }
}

static struct ide_channel *channel_of(struct ide *ide, uint16_t port)
{
    return &ide->channel[port & (PRIMARY_PORT ^ SECONDARY_PORT) ? 0 : 1];
}

static uint32_t ide_read(void *self, uint16_t port, unsigned size)
{
    struct ide_channel *ch = channel_of(self, port);
    uint32_t value = 0;
    if (port & 0x200)
        return read_status(ch, false);
    if ((port & 7) == PORT_DATA)
        return read_data(ch, size);
    for (unsigned i = 0; i < size; i++)
        value |= (uint32_t)read_register(ch, (enum ide_port)((port + i) & 7)) << 8 * i;
    return value;
}

static void ide_write(void *self, uint16_t port, unsigned size, uint32_t value)
{
    struct ide_channel *ch = channel_of(self, port);
    if (port & 0x200) {
        write_control(ch, (uint8_t)value);
        return;
    }
    if ((port & 7) == PORT_DATA) {
        write_data(ch, size, value);
        return;
    }
    for (unsigned i = 0; i < size; i++)
        write_register(ch, (enum ide_port)((port + i) & 7), (uint8_t)(value >> 8 * i));
}

/* --- making it --------------------------------------------------------------------------------------- */

static void ide_fini(void *self)
{
    struct ide *ide = self;
    for (unsigned i = 0; i < IDE_CHANNELS; i++)
        clock_cancel(bus_clock(ide->bus), &ide->channel[i].master.work);
}

static const struct dev_class dev_ide = {
    .name = "ide",
    .ports = { { PRIMARY_PORT, 8 },
               { PRIMARY_PORT + CONTROL_OFFSET, 1 },
               { SECONDARY_PORT, 8 },
               { SECONDARY_PORT + CONTROL_OFFSET, 1 } },
    .port_size = 4,
    .state_size = sizeof(struct ide),
    .reset = ide_reset,
    .fini = ide_fini,
    .port_read = ide_read,
    .port_write = ide_write,
    .state = ide_state,
    .state_version = 1,
};

#define IDETIM 0x40u /* two words */
#define IDETIM_ENABLE 0x8000u
#define MASTER_BAR 4
#define MASTER_PORTS 16

static bool add_function(struct ide *ide, struct pci_bus *pci, uint8_t devfn)
{
    static const struct pci_identity identity = {
        .vendor = 0x8086,
        .device = 0x7010,
        .class_code = 0x010180, /* both channels at their old ports, with bus mastering */
    };
    const struct pci_bar_config master = { .kind = PCI_BAR_IO,
                                           .bytes = MASTER_PORTS,
                                           .port_size = 4,
                                           .read = ide_master_read,
                                           .write = ide_master_write,
                                           .self = ide };
    pci_init(&ide->pci, &identity, NULL, ide);
    pci_add_bar(&ide->pci, MASTER_BAR, &master);
    pci_put16(&ide->pci, PCI_STATUS, 0x0280); /* medium DEVSEL# timing, fast back-to-back */
    memset(&ide->pci.writable[IDETIM], 0xff, 4);
    return pci_add(pci, &ide->pci, devfn);
}

struct ide *ide_add(struct bus *bus, const struct ide_config *config)
{
    struct ide *ide = bus_add(bus, &dev_ide);
    if (!ide)
        return NULL;
    ide->bus = bus;
    for (unsigned i = 0; i < IDE_CHANNELS; i++) {
        struct ide_channel *ch = &ide->channel[i];
        ch->ide = ide;
        ch->irq = config->irq[i];
        ch->master.work = (struct deadline){ .fire = ide_dma_work, .self = ch };
        for (unsigned k = 0; k < IDE_DRIVES; k++) {
            ch->drive[k].kind = (int)config->drive[i][k].kind;
            ch->drive[k].block = config->drive[i][k].block;
        }
    }
    if (config->pci && !add_function(ide, config->pci, config->devfn))
        return NULL;
    ide_reset(ide);
    return ide;
}

void ide_firmware_init(struct ide *ide)
{
    if (!ide->pci.bus)
        return;
    pci_put16(&ide->pci, IDETIM, IDETIM_ENABLE);
    pci_put16(&ide->pci, IDETIM + 2, IDETIM_ENABLE);
}

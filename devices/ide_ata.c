/* Commands of ATA disks, and those that CD-ROM drives share with them. ATA/ATAPI-6 (T13/1410D revision 3b), chapter 8 "Command
 * descriptions". What is not here ends with ABRT, as commands that a drive does not know do: SMART, security, the host
 * protected area, queued commands. */
#include "devices/ide_priv.h"

enum {
    ATA_DEVICE_RESET = 0x08,
    ATA_READ_SECTORS = 0x20,
    ATA_READ_SECTORS_EXT = 0x24,
    ATA_READ_DMA_EXT = 0x25,
    ATA_READ_MULTIPLE_EXT = 0x29,
    ATA_WRITE_SECTORS = 0x30,
    ATA_WRITE_SECTORS_EXT = 0x34,
    ATA_WRITE_DMA_EXT = 0x35,
    ATA_WRITE_MULTIPLE_EXT = 0x39,
    ATA_READ_VERIFY = 0x40,
    ATA_READ_VERIFY_EXT = 0x42,
    ATA_SEEK = 0x70,
    ATA_DIAGNOSTIC = 0x90,
    ATA_INITIALIZE_PARAMETERS = 0x91,
    ATA_PACKET = 0xa0,
    ATA_IDENTIFY_PACKET = 0xa1,
    ATA_READ_MULTIPLE = 0xc4,
    ATA_WRITE_MULTIPLE = 0xc5,
    ATA_SET_MULTIPLE = 0xc6,
    ATA_READ_DMA = 0xc8,
    ATA_WRITE_DMA = 0xca,
    ATA_STANDBY_IMMEDIATE = 0xe0,
    ATA_IDLE_IMMEDIATE = 0xe1,
    ATA_STANDBY = 0xe2,
    ATA_IDLE = 0xe3,
    ATA_CHECK_POWER = 0xe5,
    ATA_SLEEP = 0xe6,
    ATA_FLUSH = 0xe7,
    ATA_FLUSH_EXT = 0xea,
    ATA_IDENTIFY = 0xec,
    ATA_SET_FEATURES = 0xef
};

#define PACKET_BYTES 12u

/* --- other commands ------------------------------------------------------------------------------------ */

static void identify(struct ide_channel *ch, struct ide_drive *drive)
{
    ide_identify(drive, (unsigned)(drive - ch->drive), ch->buffer);
    ch->left = 0;
    ch->at = 0;
    ch->stop = ch->length = BLOCK_SECTOR;
    ide_data(ch, IDE_DATA_IN, true);
}

/* ATA 8.15: both drives, whichever is selected; device 0 answers. */
static void diagnostic(struct ide_channel *ch)
{
    ch->device = 0;
    for (unsigned i = 0; i < IDE_DRIVES; i++)
        ide_reset_drive(ch, &ch->drive[i], false);
    ch->drive[0].intrq = ch->drive[0].kind != IDE_NONE;
    ide_update_irq(ch);
}

/* ATA 6.2: the logical geometry; 8.17 of ATA/ATAPI-5 "INITIALIZE DEVICE PARAMETERS". */
static void initialize_parameters(struct ide_channel *ch, struct ide_drive *drive)
{
    uint8_t track_sectors = drive->count.now;
    if (track_sectors == 0 || track_sectors > 63) {
        ide_end(ch, drive, IDE_ABRT);
        return;
    }
    drive->heads = (uint16_t)((ch->device & 0x0f) + 1);
    drive->track_sectors = track_sectors;
    ide_end(ch, drive, 0);
}

/* ATA 8.39: a power of two. */
static void set_multiple(struct ide_channel *ch, struct ide_drive *drive)
{
    uint8_t count = drive->count.now;
    bool good = count <= IDE_SECTORS_MOST && (count & (count - 1)) == 0;
    if (good)
        drive->multiple = count;
    ide_end(ch, drive, good ? 0 : IDE_ABRT);
}

/* Transfer modes, ATA 8.46.5: PIO to mode 4, multiword DMA to 2, Ultra DMA to 5. */
static bool mode_exists(uint8_t mode)
{
    uint8_t number = mode & 7;
    switch (mode >> 3) {
    case 0: return number <= 1;
    case 1: return number <= 4;
    case 4: return number <= 2;
    case 8: return number <= 5;
    default: return false;
    }
}

/* ATA 8.46 "SET FEATURES". */
static void set_features(struct ide_channel *ch, struct ide_drive *drive)
{
    bool good = true;
    switch (drive->feature.now) {
    case 0x02: drive->write_cache = true; break;
    case 0x82:
        drive->write_cache = false;
        if (drive->block && block_flush(drive->block) != BLOCK_OK)
            good = false;
        break;
    case 0x03:
        good = mode_exists(drive->count.now);
        if (good)
            drive->mode = drive->count.now;
        break;
    case 0x55: drive->look_ahead = false; break;
    case 0xaa: drive->look_ahead = true; break;
    case 0x66: /* keep or return to defaults at reset: the same here */
    case 0xcc: break;
    default: good = false;
    }
    ide_end(ch, drive, good ? 0 : IDE_ABRT);
}

static void flush(struct ide_channel *ch, struct ide_drive *drive)
{
    ide_end(ch, drive, block_flush(drive->block) == BLOCK_OK ? 0 : IDE_ABRT);
}

/* --- dispatch -------------------------------------------------------------------------------------------- */

/* Commands that both kinds of drives take. false: it is none. */
static bool common_command(struct ide_channel *ch, struct ide_drive *drive, uint8_t command)
{
    switch (command) {
    case ATA_CHECK_POWER: drive->count.now = 0xff; break; /* active */
    case ATA_STANDBY_IMMEDIATE:
    case ATA_IDLE_IMMEDIATE:
    case ATA_SLEEP: break;
    case ATA_SET_FEATURES: set_features(ch, drive); return true;
    default: return false;
    }
    ide_end(ch, drive, 0);
    return true;
}

static void cd_command(struct ide_channel *ch, struct ide_drive *drive, uint8_t command)
{
    switch (command) {
    case ATA_PACKET:
        if (drive->feature.now & 2) { /* overlapped */
            ide_end(ch, drive, IDE_ABRT);
            return;
        }
        drive->cd.packet = true;
        drive->cd.dma = drive->feature.now & 1;
        drive->cd.limit = (uint16_t)(drive->lba[1].now | drive->lba[2].now << 8);
        drive->count.now = 1; /* C/D: a command is awaited */
        ch->at = 0;
        ch->stop = ch->length = PACKET_BYTES;
        ide_data(ch, IDE_PACKET, false);
        return;
    case ATA_IDENTIFY_PACKET: identify(ch, drive); return;
    case ATA_READ_SECTORS:
    case ATA_IDENTIFY: ide_signature(ch, drive); break; /* ATA 9.12: so a host tells them apart */
    default:
        if (common_command(ch, drive, command))
            return;
    }
    ide_end(ch, drive, IDE_ABRT);
}

static void disk_command(struct ide_channel *ch, struct ide_drive *drive, uint8_t command)
{
    switch (command) {
    case ATA_READ_SECTORS:
    case ATA_READ_SECTORS + 1:
    case ATA_READ_SECTORS_EXT: ide_transfer(ch, drive, IDE_DATA_IN, 1); break;
    case ATA_WRITE_SECTORS:
    case ATA_WRITE_SECTORS + 1:
    case ATA_WRITE_SECTORS_EXT: ide_transfer(ch, drive, IDE_DATA_OUT, 1); break;
    case ATA_READ_MULTIPLE:
    case ATA_READ_MULTIPLE_EXT: ide_transfer_multiple(ch, drive, IDE_DATA_IN); break;
    case ATA_WRITE_MULTIPLE:
    case ATA_WRITE_MULTIPLE_EXT: ide_transfer_multiple(ch, drive, IDE_DATA_OUT); break;
    case ATA_READ_DMA:
    case ATA_READ_DMA + 1:
    case ATA_READ_DMA_EXT: ide_transfer(ch, drive, IDE_DMA_IN, IDE_DMA_SECTORS); break;
    case ATA_WRITE_DMA:
    case ATA_WRITE_DMA + 1:
    case ATA_WRITE_DMA_EXT: ide_transfer(ch, drive, IDE_DMA_OUT, IDE_DMA_SECTORS); break;
    case ATA_READ_VERIFY:
    case ATA_READ_VERIFY + 1:
    case ATA_READ_VERIFY_EXT: ide_verify(ch, drive); break;
    case ATA_SEEK:
        ide_end(ch, drive, ide_address(ch, drive) < block_sectors(drive->block) ? 0 : IDE_IDNF);
        break;
    case ATA_INITIALIZE_PARAMETERS: initialize_parameters(ch, drive); break;
    case ATA_SET_MULTIPLE: set_multiple(ch, drive); break;
    case ATA_FLUSH:
    case ATA_FLUSH_EXT: flush(ch, drive); break;
    case ATA_IDENTIFY: identify(ch, drive); break;
    case ATA_STANDBY:
    case ATA_IDLE: ide_end(ch, drive, 0); break;
    default:
        if (command >> 4 == 1) /* RECALIBRATE, of drives with a head to move */
            ide_end(ch, drive, 0);
        else if (!common_command(ch, drive, command))
            ide_end(ch, drive, IDE_ABRT);
    }
}

static bool is_extended(uint8_t command)
{
    switch (command) {
    case ATA_READ_SECTORS_EXT:
    case ATA_READ_DMA_EXT:
    case ATA_READ_MULTIPLE_EXT:
    case ATA_WRITE_SECTORS_EXT:
    case ATA_WRITE_DMA_EXT:
    case ATA_WRITE_MULTIPLE_EXT:
    case ATA_READ_VERIFY_EXT: return true;
    default: return false;
    }
}

/* ATA 8.10: of packet devices, without an interrupt. */
static void device_reset(struct ide_channel *ch, struct ide_drive *drive)
{
    uint8_t select = ch->device & IDE_DEVICE_SELECT;
    ide_reset_drive(ch, drive, false);
    ch->device = select;
}

void ide_command(struct ide_channel *ch, uint8_t command)
{
    struct ide_drive *drive = ide_selected(ch);
    if (ch->phase != IDE_IDLE) {
        ch->phase = IDE_IDLE;
        ide_owner(ch)->status &= (uint8_t)~IDE_DRQ;
    }
    if (command == ATA_DIAGNOSTIC) {
        diagnostic(ch);
        return;
    }
    if (drive->kind == IDE_NONE)
        return;
    ch->owner = (unsigned)(drive - ch->drive);
    ch->extended = is_extended(command);
    drive->intrq = drive->cd.packet = false;
    ide_update_irq(ch);
    if (drive->kind == IDE_DISK)
        disk_command(ch, drive, command);
    else if (command == ATA_DEVICE_RESET)
        device_reset(ch, drive);
    else
        cd_command(ch, drive, command);
}

/* Commands of ATA disks, and those that CD-ROM drives share with them. ATA/ATAPI-6 (T13/1410D revision 3b), chapter 8 "Command
 * descriptions". What is not here ends with ABRT, as commands that a drive does not know do: SMART, security, the host
 * protected area, queued commands.
 *
 * CHOICE: a transfer that leaves the disk moves nothing and ends with IDNF, with the first address that is not there.
 * CHOICE: writing a disk that is read-only ends with WP and ABRT; a sector that cannot be read with UNC, one that cannot be
 * written with ABRT.
 * CHOICE: the registers of the address are left alone when a command succeeds, as the standard has it since ATA-4. */
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
#define DMA_SECTORS (IDE_BUFFER_BYTES / BLOCK_SECTOR)

/* --- addresses --------------------------------------------------------------------------------------- */

static uint64_t get_address(const struct ide_channel *ch, const struct ide_drive *drive)
{
    uint32_t low =
        drive->lba[0].now | (uint32_t)drive->lba[1].now << 8 | (uint32_t)drive->lba[2].now << 16;
    uint32_t head = ch->device & 0x0f;
    if (ch->extended)
        return low | (uint64_t)drive->lba[0].before << 24 | (uint64_t)drive->lba[1].before << 32 |
               (uint64_t)drive->lba[2].before << 40;
    if (ch->device & IDE_DEVICE_LBA)
        return low | head << 24;
    uint32_t cylinder = low >> 8, sector = low & 0xff;
    if (sector == 0 || sector > drive->track_sectors || head >= drive->heads)
        return UINT64_MAX; /* there is none */
    return ((uint64_t)cylinder * drive->heads + head) * drive->track_sectors + sector - 1;
}

/* Where it went wrong. */
static void put_address(struct ide_channel *ch, struct ide_drive *drive, uint64_t sector)
{
    uint8_t head = (uint8_t)(sector >> 24 & 0x0f);
    if (ch->extended) {
        for (unsigned i = 0; i < 3; i++)
            drive->lba[i].before = (uint8_t)(sector >> (24 + 8 * i));
        head = 0;
    } else if (!(ch->device & IDE_DEVICE_LBA)) {
        uint64_t track = sector / drive->track_sectors;
        head = (uint8_t)(track % drive->heads);
        sector = track / drive->heads << 8 | (sector % drive->track_sectors + 1);
    }
    for (unsigned i = 0; i < 3; i++)
        drive->lba[i].now = (uint8_t)(sector >> 8 * i);
    ch->device = (uint8_t)((ch->device & 0xf0) | head);
}

static uint32_t get_count(const struct ide_channel *ch, const struct ide_drive *drive)
{
    uint32_t count = drive->count.now;
    if (ch->extended)
        count |= (uint32_t)drive->count.before << 8;
    return count ? count : ch->extended ? 65536u : 256u;
}

/* --- transfers --------------------------------------------------------------------------------------- */

static void fail_at(struct ide_channel *ch, uint64_t sector, uint8_t error)
{
    put_address(ch, ide_owner(ch), sector);
    ide_end(ch, ide_owner(ch), error);
}

/* Read the next sectors into the buffer. When it fails, the command has ended: false. */
static bool fill(struct ide_channel *ch)
{
    uint32_t count = ch->left < ch->chunk ? ch->left : ch->chunk;
    if (block_read(ide_owner(ch)->block, ch->sector, count, ch->buffer) != BLOCK_OK) {
        fail_at(ch, ch->sector, IDE_UNC);
        return false;
    }
    ch->sector += count;
    ch->left -= count;
    ch->at = 0;
    ch->stop = ch->length = count * BLOCK_SECTOR;
    return true;
}

/* Make room for the next sectors that are to be written. */
static void make_room(struct ide_channel *ch)
{
    uint32_t count = ch->left < ch->chunk ? ch->left : ch->chunk;
    ch->left -= count;
    ch->at = 0;
    ch->stop = ch->length = count * BLOCK_SECTOR;
}

/* Write what the buffer holds; as fill(). */
static bool empty(struct ide_channel *ch)
{
    uint32_t count = ch->length / BLOCK_SECTOR;
    if (block_write(ide_owner(ch)->block, ch->sector, count, ch->buffer) != BLOCK_OK) {
        fail_at(ch, ch->sector, IDE_ABRT);
        return false;
    }
    ch->sector += count;
    return true;
}

void ide_disk_next(struct ide_channel *ch)
{
    enum ide_phase phase = ch->phase;
    bool in = phase == IDE_DATA_IN || phase == IDE_DMA_IN;
    if (!in && !empty(ch))
        return;
    if (ch->left == 0) {
        /* A host that has taken the last sector by PIO is told nothing more. */
        if (phase != IDE_DATA_IN) {
            ide_end(ch, ide_owner(ch), 0);
            return;
        }
        ch->phase = IDE_IDLE;
        ide_owner(ch)->status = IDE_DRDY | IDE_DSC;
        return;
    }
    if (in && !fill(ch))
        return;
    if (!in)
        make_room(ch);
    if (!ide_by_dma(ch))
        ide_data(ch, phase, true);
}

/* Begin a transfer of the sectors that the registers name, `chunk` at a time. */
static void transfer(struct ide_channel *ch, struct ide_drive *drive, enum ide_phase phase,
                     uint32_t chunk)
{
    bool in = phase == IDE_DATA_IN || phase == IDE_DMA_IN;
    uint64_t sector = get_address(ch, drive), sectors = block_sectors(drive->block);
    uint32_t count = get_count(ch, drive);
    ch->sector = sector;
    ch->left = count;
    ch->chunk = chunk;
    if (sector == UINT64_MAX) {
        ide_end(ch, drive, IDE_IDNF);
        return;
    }
    if (sector > sectors || count > sectors - sector) {
        fail_at(ch, sector > sectors ? sector : sectors, IDE_IDNF);
        return;
    }
    if (!in && block_read_only(drive->block)) {
        fail_at(ch, sector, IDE_WP | IDE_ABRT);
        return;
    }
    if (in && !fill(ch))
        return;
    if (!in)
        make_room(ch);
    ide_data(ch, phase, phase == IDE_DATA_IN);
    if (ide_by_dma(ch))
        ide_dma_wanted(ch);
}

/* READ and WRITE MULTIPLE need a size of blocks. ATA 8.29, 8.53. */
static void transfer_multiple(struct ide_channel *ch, struct ide_drive *drive, enum ide_phase phase)
{
    if (drive->multiple == 0)
        ide_end(ch, drive, IDE_ABRT);
    else
        transfer(ch, drive, phase, drive->multiple);
}

/* READ VERIFY: all of it can be read, and nobody wants it. ATA 8.33. */
static void verify(struct ide_channel *ch, struct ide_drive *drive)
{
    uint64_t sector = get_address(ch, drive), sectors = block_sectors(drive->block);
    uint32_t left = get_count(ch, drive);
    if (sector == UINT64_MAX) {
        ide_end(ch, drive, IDE_IDNF);
        return;
    }
    while (left) {
        uint32_t count = left < DMA_SECTORS ? left : DMA_SECTORS;
        enum block_result result = block_read(drive->block, sector, count, ch->buffer);
        if (result != BLOCK_OK) {
            bool beyond = result == BLOCK_BAD_RANGE;
            fail_at(ch, beyond && sector < sectors ? sectors : sector, beyond ? IDE_IDNF : IDE_UNC);
            return;
        }
        sector += count;
        left -= count;
    }
    ide_end(ch, drive, 0);
}

/* --- other commands ------------------------------------------------------------------------------------ */

static void identify(struct ide_channel *ch, struct ide_drive *drive)
{
    ide_identify(drive, ch->buffer);
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
    case ATA_READ_SECTORS_EXT: transfer(ch, drive, IDE_DATA_IN, 1); break;
    case ATA_WRITE_SECTORS:
    case ATA_WRITE_SECTORS + 1:
    case ATA_WRITE_SECTORS_EXT: transfer(ch, drive, IDE_DATA_OUT, 1); break;
    case ATA_READ_MULTIPLE:
    case ATA_READ_MULTIPLE_EXT: transfer_multiple(ch, drive, IDE_DATA_IN); break;
    case ATA_WRITE_MULTIPLE:
    case ATA_WRITE_MULTIPLE_EXT: transfer_multiple(ch, drive, IDE_DATA_OUT); break;
    case ATA_READ_DMA:
    case ATA_READ_DMA + 1:
    case ATA_READ_DMA_EXT: transfer(ch, drive, IDE_DMA_IN, DMA_SECTORS); break;
    case ATA_WRITE_DMA:
    case ATA_WRITE_DMA + 1:
    case ATA_WRITE_DMA_EXT: transfer(ch, drive, IDE_DMA_OUT, DMA_SECTORS); break;
    case ATA_READ_VERIFY:
    case ATA_READ_VERIFY + 1:
    case ATA_READ_VERIFY_EXT: verify(ch, drive); break;
    case ATA_SEEK:
        ide_end(ch, drive, get_address(ch, drive) < block_sectors(drive->block) ? 0 : IDE_IDNF);
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

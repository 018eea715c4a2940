/* Sectors between a disk and the host: where they are, and how they go. ATA/ATAPI-6 (T13/1410D revision 3b), 6.2 "Sector
 * addressing" and chapter 9 "Protocol".
 *
 * CHOICE: a transfer that leaves the disk moves nothing and ends with IDNF, with the first address that is not there.
 * CHOICE: writing a disk that is read-only ends with WP and ABRT; a sector that cannot be read with UNC, one that cannot be
 * written with ABRT.
 * CHOICE: the registers of the address are left alone when a command succeeds, as the standard has it since ATA-4. */
#include "devices/ide_priv.h"

/* --- addresses --------------------------------------------------------------------------------------- */

uint64_t ide_address(const struct ide_channel *ch, const struct ide_drive *drive)
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
void ide_transfer(struct ide_channel *ch, struct ide_drive *drive, enum ide_phase phase,
                  uint32_t chunk)
{
    bool in = phase == IDE_DATA_IN || phase == IDE_DMA_IN;
    uint64_t sector = ide_address(ch, drive), sectors = block_sectors(drive->block);
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
void ide_transfer_multiple(struct ide_channel *ch, struct ide_drive *drive, enum ide_phase phase)
{
    if (drive->multiple == 0)
        ide_end(ch, drive, IDE_ABRT);
    else
        ide_transfer(ch, drive, phase, drive->multiple);
}

/* READ VERIFY: all of it can be read, and nobody wants it. ATA 8.33. */
void ide_verify(struct ide_channel *ch, struct ide_drive *drive)
{
    uint64_t sector = ide_address(ch, drive), sectors = block_sectors(drive->block);
    uint32_t left = get_count(ch, drive);
    if (sector == UINT64_MAX) {
        ide_end(ch, drive, IDE_IDNF);
        return;
    }
    while (left) {
        uint32_t count = left < IDE_DMA_SECTORS ? left : IDE_DMA_SECTORS;
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

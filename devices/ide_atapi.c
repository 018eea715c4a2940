/* CD-ROM drives: packets, their data, and what becomes of them. ATA/ATAPI-6 (T13/1410D revision 3b), 9.8 "PACKET command
 * protocol" and 8.27 "PACKET"; the packets: MMC-5 (T10/1675D), SPC-3 (T10/1416D).
 *
 * CHOICE: a drive is not told of power-on by a unit attention condition: programs that were written for QEMU's do not
 * expect it. Only a disc that was taken out and put in again gives one.
 * CHOICE: the data of a sector are all that a disc has: READ CD gives them alone, and no raw sectors.
 * CHOICE: a host that takes blocks of at least a sector gets whole sectors in each. */
#include "devices/ide_priv.h"

#include <string.h>

enum {
    CD_TEST_UNIT_READY = 0x00,
    CD_START_STOP = 0x1b,
    CD_PREVENT_ALLOW = 0x1e,
    CD_READ_10 = 0x28,
    CD_SEEK = 0x2b,
    CD_SYNCHRONIZE = 0x35,
    CD_MODE_SELECT = 0x55,
    CD_READ_12 = 0xa8,
    CD_READ_MSF = 0xb9,
    CD_SET_SPEED = 0xbb,
    CD_READ_CD = 0xbe
};

enum {
    CD_REQUEST_SENSE = 0x03,
    CD_INQUIRY = 0x12,
    CD_GET_CONFIGURATION = 0x46,
    CD_GET_EVENT = 0x4a
};

#define BUFFER_SECTORS (IDE_BUFFER_BYTES / CD_SECTOR)
#define BLOCKS_PER_SECTOR (CD_SECTOR / BLOCK_SECTOR)

/* Interrupt reason, in the sector count register. ATA 8.27.4. */
#define REASON_COMMAND 0x01u
#define REASON_TO_HOST 0x02u

/* --- ends ---------------------------------------------------------------------------------------------- */

static void finish(struct ide_channel *ch, enum cd_sense sense)
{
    struct ide_drive *drive = ide_owner(ch);
    drive->cd.packet = false;
    drive->cd.key = (uint8_t)(sense >> 16);
    drive->cd.code = (uint8_t)(sense >> 8);
    drive->cd.qualifier = (uint8_t)sense;
    drive->count.now = REASON_COMMAND | REASON_TO_HOST;
    ide_end(ch, drive, sense == CD_GOOD ? 0 : (uint8_t)(drive->cd.key << 4 | IDE_ABRT));
}

void ide_packet_abort(struct ide_channel *ch)
{
    finish(ch, CD_TRANSFER_FAILED);
}

/* --- data ------------------------------------------------------------------------------------------------ */

/* Show the next DRQ block of the buffer. An odd limit is for the last block only. */
static void show_block(struct ide_channel *ch, enum ide_phase phase)
{
    struct ide_drive *drive = ide_owner(ch);
    uint32_t rest = ch->length - ch->at, limit = drive->cd.limit;
    if (limit == 0)
        limit = 0xfffe;
    if (limit < rest) {
        limit &= limit >= CD_SECTOR ? ~(CD_SECTOR - 1) : ~1u;
        if (limit == 0)
            limit = 2; /* a limit of one byte: words are the least */
    }
    uint32_t part = rest < limit ? rest : limit;
    ch->stop = ch->at + part;
    drive->count.now = phase == IDE_DATA_IN ? REASON_TO_HOST : 0;
    drive->lba[1].now = (uint8_t)part;
    drive->lba[2].now = (uint8_t)(part >> 8);
    ide_data(ch, phase, true);
}

/* The buffer holds data for the host: on their way. */
static void send(struct ide_channel *ch)
{
    struct ide_drive *drive = ide_owner(ch);
    if (drive->cd.dma) {
        ch->stop = ch->length;
        drive->count.now = REASON_TO_HOST;
        ide_data(ch, IDE_DMA_IN, false);
        ide_dma_wanted(ch);
    } else {
        show_block(ch, IDE_DATA_IN);
    }
}

/* Read the next sectors into the buffer; what the image lacks of its last one is zeros. */
static bool fill(struct ide_channel *ch)
{
    const struct block *block = ide_owner(ch)->block;
    uint32_t sectors = ch->left < BUFFER_SECTORS ? ch->left : BUFFER_SECTORS;
    uint64_t first = ch->sector * BLOCKS_PER_SECTOR, there = block_sectors(block) - first;
    uint32_t count = sectors * BLOCKS_PER_SECTOR;
    if (count > there)
        count = (uint32_t)there;
    memset(ch->buffer, 0, (size_t)sectors * CD_SECTOR);
    if (block_read(block, first, count, ch->buffer) != BLOCK_OK)
        return false;
    ch->sector += sectors;
    ch->left -= sectors;
    ch->at = 0;
    ch->length = sectors * CD_SECTOR;
    return true;
}

static void select_done(struct ide_channel *ch);

void ide_packet_next(struct ide_channel *ch)
{
    struct ide_drive *drive = ide_owner(ch);
    if (!drive->cd.packet) { /* the data of IDENTIFY PACKET DEVICE */
        ch->phase = IDE_IDLE;
        drive->status = IDE_DRDY | IDE_DSC;
    } else if (ch->at < ch->length) {
        show_block(ch, ch->phase);
    } else if (ch->phase == IDE_DATA_OUT || ch->phase == IDE_DMA_OUT) {
        select_done(ch);
    } else if (ch->left == 0) {
        finish(ch, CD_GOOD);
    } else if (!fill(ch)) {
        finish(ch, CD_UNREADABLE);
    } else if (drive->cd.dma) {
        ch->stop = ch->length; /* the bus master goes on */
    } else {
        show_block(ch, IDE_DATA_IN);
    }
}

/* --- packets that read ------------------------------------------------------------------------------------- */

static void read_sectors(struct ide_channel *ch, uint32_t sector, uint32_t count)
{
    uint32_t sectors = cd_sectors(ide_owner(ch));
    if (sector > sectors || count > sectors - sector) {
        finish(ch, CD_OUT_OF_RANGE);
        return;
    }
    ch->sector = sector;
    ch->left = count;
    if (count == 0)
        finish(ch, CD_GOOD);
    else if (!fill(ch))
        finish(ch, CD_UNREADABLE);
    else
        send(ch);
}

/* READ CD, MMC-5 6.20, and READ CD MSF: user data, or nothing at all. */
static void read_cd(struct ide_channel *ch, uint32_t sector, uint32_t count, const uint8_t *packet)
{
    uint8_t type = packet[1] >> 2 & 7;
    if ((type != 0 && type != 2) || (packet[9] & 0xf8 & ~0x10) || packet[10] & 7)
        finish(ch, CD_BAD_FIELD);
    else
        read_sectors(ch, sector, packet[9] & 0x10 ? count : 0);
}

/* Minute, second and frame to a sector. MMC-5, 4.2.3.5. */
static uint32_t from_msf(const uint8_t *msf)
{
    return ((uint32_t)msf[0] * 60 + msf[1]) * 75 + msf[2] - 150;
}

static void read_msf(struct ide_channel *ch, const uint8_t *packet)
{
    uint32_t first = from_msf(packet + 3), end = from_msf(packet + 6);
    if (end < first)
        finish(ch, CD_BAD_FIELD);
    else
        read_cd(ch, first, end - first, packet);
}

/* --- packets without data ------------------------------------------------------------------------------------ */

/* START STOP UNIT, MMC-5 6.42: bit 0 Start, bit 1 LoEj. */
static enum cd_sense start_stop(struct ide_drive *drive, const uint8_t *packet)
{
    struct ide_cd *cd = &drive->cd;
    if (!(packet[4] & 2) || packet[4] >> 4)
        return CD_GOOD; /* the motor */
    if (packet[4] & 1) {
        if (cd->open && drive->block)
            cd->changed = cd->event = true;
        cd->open = false;
        return CD_GOOD;
    }
    if (cd->locked && cd_loaded(drive))
        return CD_LOCKED;
    cd->open = true;
    return CD_GOOD;
}

/* MODE SELECT (10), MMC-5 6.11: the pages are taken, and none of them has anything to change. */
static void mode_select(struct ide_channel *ch, const uint8_t *packet)
{
    uint32_t length = cd_get(packet + 7, 2);
    struct ide_drive *drive = ide_owner(ch);
    ch->at = 0;
    ch->left = 0;
    ch->length = length;
    if (length == 0) {
        finish(ch, CD_GOOD);
    } else if (drive->cd.dma) {
        ch->stop = length;
        drive->count.now = 0;
        ide_data(ch, IDE_DMA_OUT, false);
        ide_dma_wanted(ch);
    } else {
        show_block(ch, IDE_DATA_OUT);
    }
}

static void select_done(struct ide_channel *ch)
{
    finish(ch, CD_GOOD);
}

/* --- dispatch --------------------------------------------------------------------------------------------------- */

/* What stands in the way of a packet that wants the disc. SPC-3, 4.5.6: INQUIRY, REQUEST SENSE and their like never do. */
static enum cd_sense not_ready(struct ide_drive *drive)
{
    if (!cd_loaded(drive))
        return drive->cd.open ? CD_NO_MEDIUM_OPEN : CD_NO_MEDIUM;
    if (!drive->cd.changed)
        return CD_GOOD;
    drive->cd.changed = false;
    return CD_NEW_MEDIUM;
}

static bool wants_disc(uint8_t code)
{
    switch (code) {
    case CD_REQUEST_SENSE:
    case CD_INQUIRY:
    case CD_START_STOP:
    case CD_PREVENT_ALLOW:
    case CD_GET_CONFIGURATION:
    case CD_GET_EVENT:
    case CD_MODE_SELECT:
    case CD_SET_SPEED:
    case 0x5a:               /* MODE SENSE (10) */
    case 0xbd: return false; /* MECHANISM STATUS */
    default: return true;
    }
}

static bool known(uint8_t code)
{
    static const uint8_t codes[] = { 0x00, 0x03, 0x12, 0x1b, 0x1e, 0x25, 0x28,
                                     0x2b, 0x35, 0x43, 0x46, 0x4a, 0x51, 0x52,
                                     0x55, 0x5a, 0xa8, 0xb9, 0xbb, 0xbd, 0xbe };
    return memchr(codes, code, sizeof(codes)) != NULL;
}

static void run(struct ide_channel *ch, const uint8_t *packet)
{
    struct ide_drive *drive = ide_owner(ch);
    switch (packet[0]) {
    case CD_TEST_UNIT_READY:
    case CD_SYNCHRONIZE:
    case CD_SET_SPEED: finish(ch, CD_GOOD); return;
    case CD_SEEK:
        finish(ch, cd_get(packet + 2, 4) < cd_sectors(drive) ? CD_GOOD : CD_OUT_OF_RANGE);
        return;
    case CD_START_STOP: finish(ch, start_stop(drive, packet)); return;
    case CD_PREVENT_ALLOW:
        drive->cd.locked = packet[4] & 1;
        finish(ch, CD_GOOD);
        return;
    case CD_READ_10: read_sectors(ch, cd_get(packet + 2, 4), cd_get(packet + 7, 2)); return;
    case CD_READ_12: read_sectors(ch, cd_get(packet + 2, 4), cd_get(packet + 6, 4)); return;
    case CD_READ_CD: read_cd(ch, cd_get(packet + 2, 4), cd_get(packet + 6, 3), packet); return;
    case CD_READ_MSF: read_msf(ch, packet); return;
    case CD_MODE_SELECT: mode_select(ch, packet); return;
    default: break;
    }
    enum cd_sense sense = CD_GOOD;
    uint32_t length = 0, room = 0;
    memset(ch->buffer, 0, IDE_BUFFER_BYTES);
    if (!cd_reply(drive, packet, ch->buffer, &length, &room, &sense))
        sense = CD_BAD_COMMAND;
    ch->at = ch->left = 0;
    ch->length = length < room ? length : room;
    if (sense != CD_GOOD || ch->length == 0)
        finish(ch, sense);
    else
        send(ch);
}

void ide_packet(struct ide_channel *ch)
{
    struct ide_drive *drive = ide_owner(ch);
    uint8_t packet[12];
    enum cd_sense sense = CD_GOOD;
    memcpy(packet, ch->buffer, sizeof(packet));
    if (!known(packet[0]))
        sense = CD_BAD_COMMAND;
    else if (wants_disc(packet[0]))
        sense = not_ready(drive);
    if (sense != CD_GOOD)
        finish(ch, sense);
    else
        run(ch, packet);
}

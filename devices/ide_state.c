/* IDE's state: registers, the transfer at work, and what was written to the disks. */
#include "devices/ide_priv.h"

#define MODE_MOST 0x45 /* SET FEATURES takes none above: Ultra DMA 5 */

static void register_state(struct snap *snap, const char *name, struct ide_register *reg)
{
    snap_u8(snap, name, &reg->now);
    snap_u8(snap, name, &reg->before);
}

static void cd_state(struct ide_cd *cd, struct snap *snap)
{
    SNAP(snap, cd, key);
    SNAP(snap, cd, code);
    SNAP(snap, cd, qualifier);
    SNAP(snap, cd, open);
    SNAP(snap, cd, locked);
    SNAP(snap, cd, changed);
    SNAP(snap, cd, event);
    SNAP(snap, cd, packet);
    SNAP(snap, cd, dma);
    SNAP(snap, cd, limit);
}

/* What a disk divides by is never 0. */
static void geometry_state(struct ide_drive *drive, struct snap *snap)
{
    SNAP(snap, drive, heads);
    SNAP(snap, drive, track_sectors);
    if (!snap_loading(snap))
        return;
    if (drive->heads && drive->heads <= 16 && drive->track_sectors && drive->track_sectors <= 63)
        return;
    snap_refuse(snap, "heads");
    drive->heads = 16;
    drive->track_sectors = 63;
}

static void drive_state(struct ide_drive *drive, struct snap *snap)
{
    SNAP(snap, drive, status);
    SNAP(snap, drive, error);
    register_state(snap, "feature", &drive->feature);
    register_state(snap, "count", &drive->count);
    for (unsigned i = 0; i < 3; i++)
        register_state(snap, "lba", &drive->lba[i]);
    SNAP(snap, drive, intrq);
    drive->multiple = (uint8_t)snap_below(snap, "multiple", drive->multiple, IDE_SECTORS_MOST + 1);
    geometry_state(drive, snap);
    drive->mode = (uint8_t)snap_below(snap, "mode", drive->mode, MODE_MOST + 1);
    SNAP(snap, drive, write_cache);
    SNAP(snap, drive, look_ahead);
    cd_state(&drive->cd, snap);
    if (drive->block)
        block_state(drive->block, snap);
}

static void master_state(struct ide_channel *ch, struct snap *snap)
{
    struct ide_master *master = &ch->master;
    SNAP(snap, master, command);
    SNAP(snap, master, status);
    SNAP(snap, master, table);
    SNAP(snap, master, next);
    SNAP(snap, master, base);
    SNAP(snap, master, left);
    SNAP(snap, master, last);
    snap_deadline(snap, "work", bus_clock(ch->ide->bus), &master->work);
}

/* --- the transfer ------------------------------------------------------------------------------------ */

static void end_transfer(struct ide_channel *ch)
{
    ch->phase = IDE_IDLE;
    ch->owner = 0;
    ch->extended = false;
    ch->sector = 0;
    ch->left = ch->chunk = 0;
    ch->at = ch->stop = ch->length = 0;
}

/* Can the drive be at it? */
static bool transfer_good(struct ide_channel *ch)
{
    const struct ide_drive *drive = ide_owner(ch);
    if (ch->at > ch->stop || ch->stop > ch->length)
        return false;
    if (drive->kind == IDE_CDROM) /* more sectors come of a disc only */
        return ch->left == 0 ||
               (drive->block && ch->phase != IDE_PACKET && ch->sector <= cd_sectors(drive) &&
                ch->left <= cd_sectors(drive) - ch->sector);
    return drive->kind == IDE_DISK && drive->block && ch->phase != IDE_PACKET &&
           (ch->left == 0 || (ch->chunk && ch->chunk <= IDE_DMA_SECTORS));
}

/* Members that say nothing of this kind of transfer have a value of old. */
static void forget_unused(struct ide_channel *ch)
{
    if (ide_owner(ch)->kind != IDE_CDROM)
        return;
    ch->chunk = 0;
    if (ch->phase == IDE_PACKET)
        ch->left = 0;
    if (ch->left == 0)
        ch->sector = 0;
}

/* Of the buffer counts what the drive has yet to give, or was given. */
static void buffer_state(struct ide_channel *ch, struct snap *snap)
{
    bool in = ch->phase == IDE_DATA_IN || ch->phase == IDE_DMA_IN;
    if (in)
        snap_bytes(snap, "buffer", ch->buffer + ch->at, ch->length - ch->at);
    else
        snap_bytes(snap, "buffer", ch->buffer, ch->at);
}

/* What the last one has left behind is nothing. */
static void transfer_state(struct ide_channel *ch, struct snap *snap)
{
    SNAP_BELOW(snap, ch, phase, IDE_DMA_OUT + 1);
    if (ch->phase == IDE_IDLE) {
        end_transfer(ch);
        return;
    }
    if (!snap_loading(snap))
        forget_unused(ch);
    SNAP_BELOW(snap, ch, owner, IDE_DRIVES);
    SNAP(snap, ch, extended);
    SNAP(snap, ch, sector);
    SNAP(snap, ch, left);
    SNAP(snap, ch, chunk);
    SNAP_BELOW(snap, ch, at, IDE_BUFFER_BYTES + 1);
    SNAP_BELOW(snap, ch, stop, IDE_BUFFER_BYTES + 1);
    SNAP_BELOW(snap, ch, length, IDE_BUFFER_BYTES + 1);
    if (snap_loading(snap) && !transfer_good(ch)) {
        snap_refuse(snap, "phase");
        end_transfer(ch);
        return;
    }
    buffer_state(ch, snap);
}

void ide_state(void *self, struct snap *snap)
{
    struct ide *ide = self;
    pci_device_state(&ide->pci, snap);
    for (unsigned i = 0; i < IDE_CHANNELS; i++) {
        struct ide_channel *ch = &ide->channel[i];
        SNAP(snap, ch, line);
        SNAP(snap, ch, device);
        SNAP(snap, ch, control);
        for (unsigned k = 0; k < IDE_DRIVES; k++)
            drive_state(&ch->drive[k], snap);
        transfer_state(ch, snap);
        master_state(ch, snap);
    }
}

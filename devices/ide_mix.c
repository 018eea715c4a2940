/* IDE's part of the state hash: registers, the transfer at work, and what the disks hold. */
#include "devices/ide_priv.h"

#include <string.h>

static void mix_drive(const struct ide_drive *drive, const struct dev_mixer *mixer)
{
    const struct ide_cd *cd = &drive->cd;
    dev_mix(mixer, (uint64_t)drive->status | drive->error << 8 | drive->feature.now << 16 |
                       (uint64_t)drive->feature.before << 24 | (uint64_t)drive->count.now << 32 |
                       (uint64_t)drive->count.before << 40 | (uint64_t)drive->intrq << 48);
    for (unsigned i = 0; i < 3; i++)
        dev_mix(mixer, drive->lba[i].now | drive->lba[i].before << 8);
    dev_mix(mixer, drive->multiple | (uint64_t)drive->heads << 8 |
                       (uint64_t)drive->track_sectors << 24 | (uint64_t)drive->mode << 40 |
                       (uint64_t)drive->write_cache << 48 | (uint64_t)drive->look_ahead << 49);
    dev_mix(mixer, cd->key | cd->code << 8 | cd->qualifier << 16 | (uint64_t)cd->open << 24 |
                       (uint64_t)cd->locked << 25 | (uint64_t)cd->changed << 26 |
                       (uint64_t)cd->event << 27 | (uint64_t)cd->dma << 28 |
                       (uint64_t)cd->packet << 29 | (uint64_t)cd->limit << 32);
    if (drive->block)
        block_mix(drive->block, mixer);
}

static void mix_channel(const struct ide_channel *ch, const struct dev_mixer *mixer)
{
    const struct ide_master *master = &ch->master;
    dev_mix(mixer, ch->device | ch->control << 8 | (uint64_t)ch->phase << 16 |
                       (uint64_t)ch->owner << 24 | (uint64_t)ch->extended << 32 |
                       (uint64_t)ch->line << 33);
    dev_mix(mixer, ch->sector);
    dev_mix(mixer, ch->left | (uint64_t)ch->chunk << 32);
    dev_mix(mixer, ch->at | (uint64_t)ch->stop << 20 | (uint64_t)ch->length << 40);
    dev_mix(mixer, master->command | master->status << 8 | (uint64_t)master->last << 16 |
                       (uint64_t)master->table << 32);
    dev_mix(mixer, master->next | (uint64_t)master->base << 32);
    dev_mix(mixer, master->left);
    dev_mix(mixer, master->work.queued ? master->work.when_ns : CLOCK_NEVER);
    for (uint32_t at = 0; ch->phase != IDE_IDLE && at < ch->length; at += 8) {
        uint64_t word = 0;
        memcpy(&word, ch->buffer + at, ch->length - at < 8 ? ch->length - at : 8);
        dev_mix(mixer, word);
    }
    for (unsigned i = 0; i < IDE_DRIVES; i++)
        mix_drive(&ch->drive[i], mixer);
}

void ide_mix(const void *self, const struct dev_mixer *mixer)
{
    const struct ide *ide = self;
    for (unsigned i = 0; i < IDE_CHANNELS; i++)
        mix_channel(&ide->channel[i], mixer);
}

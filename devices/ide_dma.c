/* The bus master of an IDE channel. "Programming Interface for Bus Master IDE Controller", revision 1.0.
 *
 * A table of physical region descriptors says where in memory the drive's bytes go to or come from. A command is worked off in
 * pieces of at most a buffer, each at a deadline of its own, so that no access to a register takes long.
 *
 * CHOICE: a microsecond to begin with, and four bytes a nanosecond: fast, for guests that wait for it in a loop.
 * CHOICE: a table that leaves its 64 KiB, a region that is no RAM, a direction that is not the command's, and a bus master
 * that PCI's command register forbids to be one, set Error, end the transfer and end the drive's command with ABRT, so that
 * nobody has to wait for a timeout.
 * CHOICE: a table that is too short leaves the drive waiting, as hardware does: stopping and starting again gives it a new
 * one. */
#include "devices/ide_priv.h"

#include <string.h>

#define COMMAND_START 0x01u
#define COMMAND_TO_MEMORY 0x08u

#define STATUS_ACTIVE 0x01u
#define STATUS_ERROR 0x02u
#define STATUS_INTERRUPT 0x04u
#define STATUS_CAPABLE 0x60u /* for the BIOS to tell drivers */

#define PRD_BYTES 8u
#define PRD_LAST 0x80000000u
#define TABLE_BYTES 0x10000u

#define START_NS 1000u
#define BYTES_PER_NS 4u

static void wake(struct ide_channel *ch, uint64_t delay_ns)
{
    struct vclock *clock = bus_clock(ch->ide->bus);
    clock_arm(clock, &ch->master.work, clock_now_ns(clock) + delay_ns);
}

/* Both sides are ready: it begins. */
static void try_start(struct ide_channel *ch)
{
    struct ide_master *master = &ch->master;
    if ((master->status & STATUS_ACTIVE) && ide_by_dma(ch) && !master->work.queued)
        wake(ch, START_NS);
}

void ide_dma_wanted(struct ide_channel *ch)
{
    try_start(ch);
}

void ide_dma_reset(struct ide_channel *ch)
{
    struct ide_master *master = &ch->master;
    clock_cancel(bus_clock(ch->ide->bus), &master->work);
    master->command = master->status = 0;
    master->table = master->next = master->base = master->left = 0;
    master->last = false;
}

/* --- a piece of work ----------------------------------------------------------------------------------- */

enum region { REGION_READY, REGION_NONE, REGION_BAD };

/* Have a region that is not used up. */
static enum region get_region(struct ide_channel *ch)
{
    struct ide_master *master = &ch->master;
    uint8_t prd[PRD_BYTES];
    uint32_t word[2];
    if (master->left)
        return REGION_READY;
    if (master->last)
        return REGION_NONE;
    if (master->next - (master->table & ~(TABLE_BYTES - 1)) > TABLE_BYTES - PRD_BYTES ||
        !pci_dma_read(&ch->ide->pci, master->next, prd, sizeof(prd)))
        return REGION_BAD;
    memcpy(word, prd, sizeof(word));
    master->next += PRD_BYTES;
    master->base = word[0] & ~1u;
    master->left = word[1] & 0xfffe;
    if (master->left == 0)
        master->left = 0x10000;
    master->last = word[1] & PRD_LAST;
    return REGION_READY;
}

/* Move bytes between the buffer and memory until the buffer or the table is done. */
static enum region move(struct ide_channel *ch)
{
    struct ide_master *master = &ch->master;
    while (ch->at < ch->length) {
        enum region region = get_region(ch);
        if (region != REGION_READY)
            return region;
        uint32_t part = ch->length - ch->at;
        if (part > master->left)
            part = master->left;
        bool moved = ch->phase == IDE_DMA_IN
                         ? pci_dma_write(&ch->ide->pci, master->base, ch->buffer + ch->at, part)
                         : pci_dma_read(&ch->ide->pci, master->base, ch->buffer + ch->at, part);
        if (!moved)
            return REGION_BAD;
        master->base += part;
        master->left -= part;
        ch->at += part;
    }
    return REGION_READY;
}

static void fail(struct ide_channel *ch)
{
    bus_tell(ch->ide->bus, PROBE_GUEST_ERROR,
             "IDE: bus mastering is off, or a descriptor or its region is no RAM");
    ch->master.status = (uint8_t)((ch->master.status & ~STATUS_ACTIVE) | STATUS_ERROR);
    if (ide_owner(ch)->kind == IDE_CDROM)
        ide_packet_abort(ch);
    else
        ide_end(ch, ide_owner(ch), IDE_ABRT);
}

void ide_dma_work(void *self, uint64_t now_ns)
{
    struct ide_channel *ch = self;
    struct ide_master *master = &ch->master;
    bool to_memory = master->command & COMMAND_TO_MEMORY;
    (void)now_ns;
    if (!(master->status & STATUS_ACTIVE) || !ide_by_dma(ch))
        return;
    uint32_t before = ch->at;
    enum region region = to_memory == (ch->phase == IDE_DMA_IN) ? move(ch) : REGION_BAD;
    uint32_t moved = ch->at - before;
    if (region == REGION_BAD) {
        fail(ch);
        return;
    }
    /* The end of the last region is the end of the bus master's work, whether the drive has more or not. BM 3.1. */
    if (master->last && master->left == 0)
        master->status &= (uint8_t)~STATUS_ACTIVE;
    if (region == REGION_NONE)
        return;
    if (ide_owner(ch)->kind == IDE_CDROM)
        ide_packet_next(ch);
    else
        ide_disk_next(ch);
    if ((master->status & STATUS_ACTIVE) && ide_by_dma(ch))
        wake(ch, 1 + moved / BYTES_PER_NS);
}

/* --- registers: command, status, table; eight ports for each channel. BM 2.1 to 2.3 ------------------------ */

static uint8_t read_byte(const struct ide_master *master, unsigned reg)
{
    switch (reg) {
    case 0: return master->command;
    case 2: return master->status;
    case 4:
    case 5:
    case 6:
    case 7: return (uint8_t)(master->table >> 8 * (reg - 4));
    default: return 0;
    }
}

/* Start reads the table from its beginning; taking Start away stops for good. */
static void write_command(struct ide_channel *ch, uint8_t value)
{
    struct ide_master *master = &ch->master;
    bool was = master->command & COMMAND_START, is = value & COMMAND_START;
    master->command = value & (COMMAND_START | COMMAND_TO_MEMORY);
    if (is && !was) {
        master->next = master->table;
        master->left = 0;
        master->last = false;
        master->status |= STATUS_ACTIVE;
        try_start(ch);
    } else if (!is) {
        master->status &= (uint8_t)~STATUS_ACTIVE;
        clock_cancel(bus_clock(ch->ide->bus), &master->work);
    }
}

static void write_byte(struct ide_channel *ch, unsigned reg, uint8_t value)
{
    struct ide_master *master = &ch->master;
    unsigned shift = 8 * (reg & 3);
    if (reg == 0)
        write_command(ch, value);
    else if (reg == 2)
        master->status = (uint8_t)((value & STATUS_CAPABLE) | (master->status & STATUS_ACTIVE) |
                                   (master->status & ~value & (STATUS_ERROR | STATUS_INTERRUPT)));
    else if (reg >= 4)
        master->table = (master->table & ~(0xffu << shift)) |
                        (uint32_t)(reg == 4 ? value & 0xfc : value) << shift;
}

uint64_t ide_master_read(void *self, uint64_t offset, unsigned size)
{
    const struct ide *ide = self;
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)read_byte(&ide->channel[(offset + i) >> 3 & 1].master, (offset + i) & 7)
                 << 8 * i;
    return value;
}

void ide_master_write(void *self, uint64_t offset, unsigned size, uint64_t value)
{
    struct ide *ide = self;
    for (unsigned i = 0; i < size; i++)
        write_byte(&ide->channel[(offset + i) >> 3 & 1], (offset + i) & 7,
                   (uint8_t)(value >> 8 * i));
}

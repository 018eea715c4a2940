/* What the files of the IDE controller share. "ATA": ATA/ATAPI-6, T13/1410D revision 3b. "BM": Programming Interface for
 * Bus Master IDE Controller, revision 1.0. */
#ifndef DEVICES_IDE_PRIV_H
#define DEVICES_IDE_PRIV_H

#include "devices/ide.h"

/* Status, ATA 7.15. */
#define IDE_BSY 0x80u
#define IDE_DRDY 0x40u
#define IDE_DSC 0x10u
#define IDE_DRQ 0x08u
#define IDE_ERR 0x01u /* CHK of packet commands */

/* Error, ATA 7.9. */
#define IDE_UNC 0x40u
#define IDE_WP 0x40u /* of write commands */
#define IDE_IDNF 0x10u
#define IDE_ABRT 0x04u

#define IDE_DEVICE_LBA 0x40u
#define IDE_DEVICE_SELECT 0x10u

/* Device control, ATA 7.8. */
#define IDE_CONTROL_HOB 0x80u
#define IDE_CONTROL_SRST 0x04u
#define IDE_CONTROL_NIEN 0x02u

#define IDE_SECTORS_MOST 16u /* READ and WRITE MULTIPLE */
#define IDE_BUFFER_BYTES 65536u

enum ide_phase {
    IDE_IDLE,
    IDE_PACKET, /* waits for the twelve bytes of a packet */
    IDE_DATA_IN,
    IDE_DATA_OUT,
    IDE_DMA_IN,
    IDE_DMA_OUT
};

/* A register with the value that was written before: 48-bit commands use both. */
struct ide_register {
    uint8_t now, before;
};

/* The state of a CD-ROM drive. */
struct ide_cd {
    uint8_t key, code, qualifier; /* sense data of the last command */
    bool open, locked;
    bool changed;   /* the next command is told of a new disc */
    bool event;     /* and GET EVENT STATUS NOTIFICATION */
    bool packet;    /* a packet command is at work */
    bool dma;       /* its data go by DMA */
    uint16_t limit; /* bytes of a DRQ block that the host takes */
};

struct ide_drive {
    int kind; /* IDE_NONE, IDE_DISK or IDE_CDROM */
    struct block *block;
    uint8_t status, error;
    struct ide_register feature, count, lba[3];
    bool intrq;
    uint8_t multiple;              /* sectors of a block; 0: not set */
    uint16_t heads, track_sectors; /* of CHS addresses */
    uint8_t mode;                  /* of transfers, as SET FEATURES took it */
    bool write_cache, look_ahead;
    struct ide_cd cd;
};

/* One half of the bus master. */
struct ide_master {
    uint8_t command, status;
    uint32_t table;      /* of PRDs */
    uint32_t next;       /* where the next PRD lies */
    uint32_t base, left; /* what remains of the current one */
    bool last;           /* it is the table's last */
    struct deadline work;
};

struct ide_channel {
    struct ide *ide;
    struct irq_line irq;
    bool line;
    uint8_t device, control; /* registers that both drives share */
    struct ide_drive drive[IDE_DRIVES];

    /* The transfer at work. Invariant while there is one: at <= stop <= length <= IDE_BUFFER_BYTES. */
    enum ide_phase phase;
    unsigned owner;  /* the drive */
    bool extended;   /* a 48-bit command */
    uint64_t sector; /* of the drive's own size: the next to be read into the buffer, or written */
    uint32_t left;   /* sectors that come behind those in the buffer */
    uint32_t chunk;  /* sectors of a DRQ block */
    uint32_t at, stop,
        length; /* in the buffer: the next byte, the end of the DRQ block, the end of data */
    struct ide_master master;
    uint8_t buffer[IDE_BUFFER_BYTES];
};

struct ide {
    struct pci_device pci;
    struct bus *bus;
    struct ide_channel channel[IDE_CHANNELS];
};

static inline struct ide_drive *ide_selected(struct ide_channel *ch)
{
    return &ch->drive[ch->device & IDE_DEVICE_SELECT ? 1 : 0];
}

static inline struct ide_drive *ide_owner(struct ide_channel *ch)
{
    return &ch->drive[ch->owner];
}

/* --- ide.c --- */

/* Bring INTRQ up to date with the selected drive's wish. */
void ide_update_irq(struct ide_channel *ch);

/* A drive asks for an interrupt. */
void ide_interrupt(struct ide_channel *ch, struct ide_drive *drive);

/* The command is over, with an interrupt: error 0 is success. */
void ide_end(struct ide_channel *ch, struct ide_drive *drive, uint8_t error);

/* A DRQ block [at, stop) of the buffer waits for the host. */
void ide_data(struct ide_channel *ch, enum ide_phase phase, bool interrupt);

/* What a drive's registers say of its kind. ATA 9.12 "Signature and persistence". */
void ide_signature(struct ide_channel *ch, struct ide_drive *drive);

/* The state of both drives behind power-on, SRST and diagnostics. */
void ide_reset_drive(struct ide_channel *ch, struct ide_drive *drive, bool power);

/* ide_state.c */
void ide_state(void *self, struct snap *snap);

/* --- ide_ata.c: the commands that are no packets --- */

void ide_command(struct ide_channel *ch, uint8_t command);

/* --- ide_transfer.c: sectors of disks --- */

#define IDE_DMA_SECTORS (IDE_BUFFER_BYTES / BLOCK_SECTOR)

/* The sector that the registers name; UINT64_MAX: there is no such cylinder, head and sector. */
uint64_t ide_address(const struct ide_channel *ch, const struct ide_drive *drive);

/* Begin a transfer of the sectors that the registers name, `chunk` at a time, or as many as SET MULTIPLE MODE has said. */
void ide_transfer(struct ide_channel *ch, struct ide_drive *drive, enum ide_phase phase,
                  uint32_t chunk);
void ide_transfer_multiple(struct ide_channel *ch, struct ide_drive *drive, enum ide_phase phase);
void ide_verify(struct ide_channel *ch, struct ide_drive *drive);

/* The host has taken or given a DRQ block, or the bus master all of the buffer, of a disk. */
void ide_disk_next(struct ide_channel *ch);

/* --- ide_identify.c --- */

void ide_identify(const struct ide_drive *drive, unsigned number, uint8_t to[BLOCK_SECTOR]);

/* --- ide_atapi.c --- */

#define CD_SECTOR 2048u

/* Sense keys and additional sense codes, the qualifier in the low byte. SPC-3, 4.5.6. */
enum cd_sense {
    CD_GOOD = 0,
    CD_NO_MEDIUM = 0x23a00,
    CD_NO_MEDIUM_OPEN = 0x23a02,
    CD_UNREADABLE = 0x31100,
    CD_BAD_COMMAND = 0x52000,
    CD_OUT_OF_RANGE = 0x52100,
    CD_BAD_FIELD = 0x52400,
    CD_NOT_SAVED = 0x53900,
    CD_LOCKED = 0x55302,
    CD_NEW_MEDIUM = 0x62800,
    CD_TRANSFER_FAILED = 0xb4b00
};

/* The twelve bytes have arrived. */
void ide_packet(struct ide_channel *ch);

/* The host has taken or given a DRQ block, or the bus master all of the buffer, of a CD-ROM drive. */
void ide_packet_next(struct ide_channel *ch);

/* The bus master has failed. */
void ide_packet_abort(struct ide_channel *ch);

/* Big-endian numbers, as packets have them. */
static inline uint32_t cd_get(const uint8_t *from, unsigned bytes)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | from[i];
    return value;
}

static inline void cd_put(uint8_t *to, unsigned bytes, uint32_t value)
{
    for (unsigned i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

static inline bool cd_loaded(const struct ide_drive *drive)
{
    return drive->block && !drive->cd.open;
}

static inline uint32_t cd_sectors(const struct ide_drive *drive)
{
    uint64_t sectors = (block_sectors(drive->block) + 3) / (CD_SECTOR / BLOCK_SECTOR);
    return sectors < UINT32_MAX ? (uint32_t)sectors : UINT32_MAX;
}

/* --- ide_cd_replies.c: packets that answer with a table --- */

/* Build the answer at `to`, zeroed: *length bytes, of which the host gets at most *room. false: it is none of these packets. */
bool cd_reply(struct ide_drive *drive, const uint8_t *packet, uint8_t *to, uint32_t *length,
              uint32_t *room, enum cd_sense *sense);

/* --- ide_dma.c --- */

/* The drive waits for the bus master: buffer and phase are set. */
void ide_dma_wanted(struct ide_channel *ch);
void ide_dma_reset(struct ide_channel *ch);
uint64_t ide_master_read(void *self, uint64_t offset, unsigned size);
void ide_master_write(void *self, uint64_t offset, unsigned size, uint64_t value);
void ide_dma_work(void *self, uint64_t now_ns);

/* The transfer goes by DMA. */
static inline bool ide_by_dma(const struct ide_channel *ch)
{
    return ch->phase == IDE_DMA_IN || ch->phase == IDE_DMA_OUT;
}

#endif

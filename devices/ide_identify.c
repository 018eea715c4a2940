/* What drives say of themselves. ATA/ATAPI-6 (T13/1410D revision 3b), 8.15 "IDENTIFY DEVICE" and 8.16 "IDENTIFY PACKET
 * DEVICE": 256 words. */
#include "devices/ide_priv.h"

#include <string.h>

#define LBA28_MOST 0x0fffffffu
#define CHS_CYLINDERS_MOST 16383u

static void put(uint8_t *to, unsigned word, unsigned value)
{
    to[2 * word] = (uint8_t)value;
    to[2 * word + 1] = (uint8_t)(value >> 8);
}

static void put_double(uint8_t *to, unsigned word, uint32_t value)
{
    put(to, word, value & 0xffff);
    put(to, word + 1, value >> 16);
}

/* Text in words whose first character is the high byte, padded with blanks. */
static void put_text(uint8_t *to, unsigned word, unsigned words, const char *text)
{
    size_t length = strlen(text);
    for (unsigned i = 0; i < 2 * words; i++)
        to[2 * word + (i ^ 1)] = i < length ? (uint8_t)text[i] : ' ';
}

/* Modes that there are, and which is in force. Bits 8 and up of words 63 and 88. */
static void put_modes(const struct ide_drive *drive, uint8_t *to)
{
    unsigned selected = 1u << (8 + (drive->mode & 7));
    put(to, 63, 0x0007 | (drive->mode >> 3 == 4 ? selected : 0)); /* multiword DMA to 2 */
    put(to, 64, 0x0003);                                          /* PIO to 4 */
    for (unsigned word = 65; word <= 68; word++)
        put(to, word, 120);                                       /* nanoseconds of a cycle */
    put(to, 88, 0x003f | (drive->mode >> 3 == 8 ? selected : 0)); /* Ultra DMA to 5 */
}

static void put_common(const struct ide_drive *drive, uint8_t *to)
{
    const char *serial = drive->block ? block_serial(drive->block) : "";
    put_text(to, 10, 10, serial[0] ? serial : "PC00001");
    put_text(to, 23, 4, "1.0");
    put(to, 49, 0x0b00); /* IORDY, LBA, DMA */
    put(to, 53, 0x0007); /* words 54-58, 64-70 and 88 count */
    put_modes(drive, to);
}

/* Geometry: 16 heads and 63 sectors by default, and what INITIALIZE DEVICE PARAMETERS made of it. */
static void put_geometry(const struct ide_drive *drive, uint8_t *to)
{
    uint64_t sectors = block_sectors(drive->block);
    uint64_t cylinders = sectors / (16 * 63);
    uint32_t track = (uint32_t)drive->heads * drive->track_sectors;
    uint64_t current = sectors / track;
    put(to, 1, cylinders < CHS_CYLINDERS_MOST ? (unsigned)cylinders : CHS_CYLINDERS_MOST);
    put(to, 3, 16);
    put(to, 6, 63);
    if (current > 65535)
        current = 65535;
    put(to, 54, (unsigned)current);
    put(to, 55, drive->heads);
    put(to, 56, drive->track_sectors);
    put_double(to, 57, (uint32_t)current * track);
}

static void identify_disk(const struct ide_drive *drive, unsigned number, uint8_t *to)
{
    uint64_t sectors = block_sectors(drive->block);
    unsigned enabled = (drive->write_cache ? 0x20u : 0) | (drive->look_ahead ? 0x40u : 0);
    put(to, 0, 0x0040); /* a fixed disk */
    put_text(to, 27, 20, "PACIFICA HARD DISK");
    put_geometry(drive, to);
    put(to, 47, 0x8000 | IDE_SECTORS_MOST);
    put(to, 50, 0x4000);
    put(to, 59, drive->multiple ? 0x0100u | drive->multiple : 0);
    put_double(to, 60, sectors < LBA28_MOST ? (uint32_t)sectors : LBA28_MOST);
    put(to, 80, 0x0070); /* ATA-4 to ATA-6 */
    put(to, 82, 0x0068); /* look-ahead, write cache, power management */
    put(to, 83, 0x7400); /* FLUSH CACHE and EXT, 48-bit addresses */
    put(to, 84, 0x4000);
    put(to, 85, 0x0008 | enabled); /* of those, what is enabled */
    put(to, 86, 0x3400);
    put(to, 87, 0x4000);
    put(to, 93, number ? 0x6b00 : 0x600b); /* a cable of 80 wires; device 1, 0: by jumper, passed */
    for (unsigned i = 0; i < 4; i++)
        put(to, 100 + i, (unsigned)(sectors >> 16 * i & 0xffff));
}

static void identify_cd(uint8_t *to)
{
    put(to, 0, 0x85c0); /* a removable CD-ROM drive; DRQ within 50 us; packets of 12 bytes */
    put_text(to, 27, 20, "PACIFICA CD-ROM");
    put(to, 80, 0x0070);
    put(to, 82, 0x0218); /* DEVICE RESET, PACKET, power management */
    put(to, 83, 0x4000);
    put(to, 84, 0x4000);
    put(to, 85, 0x0218);
    put(to, 87, 0x4000);
}

/* Word 255: the sum of all bytes is 0. ATA 8.15.61. */
static void put_check(uint8_t *to)
{
    uint8_t sum = 0;
    to[510] = 0xa5;
    for (unsigned i = 0; i < BLOCK_SECTOR - 1; i++)
        sum = (uint8_t)(sum + to[i]);
    to[511] = (uint8_t)-sum;
}

void ide_identify(const struct ide_drive *drive, unsigned number, uint8_t to[BLOCK_SECTOR])
{
    memset(to, 0, BLOCK_SECTOR);
    put_common(drive, to);
    if (drive->kind == IDE_DISK)
        identify_disk(drive, number, to);
    else
        identify_cd(to);
    put_check(to);
}

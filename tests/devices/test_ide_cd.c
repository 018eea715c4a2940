/* CD-ROM drives: the PACKET protocol of ATA/ATAPI-6, packets of SPC-3 and MMC-5. The drive is the second channel's. */
#include "tests/devices/ide_kit.h"

#define CD 2048u
#define SECTORS 300u
#define PORT 0x170
#define STATUS (PORT + 7)

enum { CHECK = READY | ERR };

static uint8_t data[65536];
static size_t got; /* bytes of the last packet */

/* Send a packet with this limit of a DRQ block. */
static void begin(struct ide_kit *k, const uint8_t *packet, unsigned limit, unsigned features)
{
    out8(k, PORT + 1, (uint8_t)features);
    out8(k, PORT + 4, (uint8_t)limit);
    out8(k, PORT + 5, (uint8_t)(limit >> 8));
    out8(k, STATUS, 0xa0);
    ck_assert_uint_eq(in8(k, STATUS), READY | DRQ);
    ck_assert_uint_eq(in8(k, PORT + 2), 1);
    ck_assert(!k->irq[1].level);
    ide_give(k, PORT, packet, 12);
}

/* A packet with its data by PIO. Returns the last status. */
static unsigned packet_of(struct ide_kit *k, const uint8_t *packet, unsigned limit)
{
    begin(k, packet, limit, 0);
    for (got = 0; in8(k, 0x376) & DRQ;) {
        unsigned bytes = in8(k, PORT + 4) | in8(k, PORT + 5) << 8;
        ck_assert(k->irq[1].level);
        ck_assert_uint_eq(in8(k, STATUS), READY | DRQ);
        ck_assert_uint_eq(in8(k, PORT + 2), 2);
        ck_assert(bytes && got + bytes <= sizeof(data) && (bytes <= limit || !limit));
        ide_take(k, PORT, data + got, bytes);
        got += bytes;
    }
    ck_assert(k->irq[1].level);
    ck_assert_uint_eq(in8(k, PORT + 2), 3);
    return in8(k, STATUS);
}

static unsigned send(struct ide_kit *k, const uint8_t *packet)
{
    return packet_of(k, packet, 0xfffe);
}

#define SEND(k, ...) send((k), (const uint8_t[12]){ __VA_ARGS__ })

/* The packet ends with a sense key, code and qualifier. */
static void refused(struct ide_kit *k, unsigned status, unsigned sense)
{
    ck_assert_uint_eq(status, CHECK);
    ck_assert_uint_eq(in8(k, PORT + 1), (sense >> 16) << 4 | 0x04);
    ck_assert_uint_eq(SEND(k, 0x03, 0, 0, 0, 18), READY);
    ck_assert_uint_eq(got, 18);
    ck_assert_uint_eq(data[0], 0x70);
    ck_assert_uint_eq((unsigned)data[2] << 16 | data[12] << 8 | data[13], sense);
    ck_assert_uint_eq(SEND(k, 0x03, 0, 0, 0, 18), READY); /* told once */
    ck_assert_uint_eq(data[2], 0);
}

static unsigned big(unsigned at, unsigned bytes)
{
    unsigned value = 0;
    while (bytes--)
        value = value << 8 | data[at++];
    return value;
}

START_TEST(cd_inquiry)
{
    struct ide_kit k;
    ide_open(&k);
    ck_assert_uint_eq(SEND(&k, 0x12, 0, 0, 0, 36), READY);
    ck_assert_uint_eq(got, 36);
    ck_assert_uint_eq(data[0], 5);
    ck_assert_uint_eq(data[1], 0x80);
    ck_assert_mem_eq(data + 8, "PACIFICACD-ROM", 14);
    ck_assert_uint_eq(SEND(&k, 0x12, 0, 0, 0, 5), READY);
    ck_assert_uint_eq(got, 5);
    ck_assert_uint_eq(SEND(&k, 0x12, 0, 0, 0, 0), READY);
    ck_assert_uint_eq(got, 0);
    refused(&k, SEND(&k, 0x12, 1, 0, 0, 36), 0x52400);
    ide_close(&k);
}
END_TEST

START_TEST(cd_reads_sectors)
{
    struct ide_kit k;
    ide_open(&k);
    ck_assert_uint_eq(SEND(&k, 0x00), READY);
    ck_assert_uint_eq(SEND(&k, 0x25), READY);
    ck_assert_uint_eq(big(0, 4), SECTORS - 1);
    ck_assert_uint_eq(big(4, 4), CD);
    ck_assert_uint_eq(SEND(&k, 0x28, 0, 0, 0, 0, 17, 0, 0, 3), READY);
    ck_assert_uint_eq(got, 3 * CD);
    ck_assert(disk_same(data, 17 * CD, 3 * CD));
    ck_assert_uint_eq(SEND(&k, 0xa8, 0, 0, 0, 0, 18, 0, 0, 0, 2), READY);
    ck_assert_uint_eq(got, 2 * CD);
    ck_assert(disk_same(data, 18 * CD, 2 * CD));
    ck_assert_uint_eq(SEND(&k, 0xbe, 0, 0, 0, 0, 18, 0, 0, 1, 0x10), READY);
    ck_assert(disk_same(data, 18 * CD, CD));
    ck_assert_uint_eq(SEND(&k, 0xb9, 0, 0, 0, 2, 18, 0, 2, 20, 0x10), READY); /* MSF */
    ck_assert_uint_eq(got, 2 * CD);
    ck_assert(disk_same(data, 18 * CD, 2 * CD));
    ck_assert_uint_eq(SEND(&k, 0x28, 0, 0, 0, 0, 17), READY); /* no sectors */
    ck_assert_uint_eq(got, 0);
    ck_assert_uint_eq(SEND(&k, 0xbe, 0, 0, 0, 0, 18, 0, 0, 1, 0), READY); /* nothing of them */
    ck_assert_uint_eq(got, 0);
    refused(&k, SEND(&k, 0xbe, 0, 0, 0, 0, 18, 0, 0, 1, 0xf8), 0x52400); /* raw */
    ide_close(&k);
}
END_TEST

START_TEST(cd_blocks_keep_to_the_limit)
{
    static const unsigned limit[] = { 2048, 2047, 512, 30000, 2, 3, 0, 0xffff, 0xfffe };
    for (size_t i = 0; i < sizeof(limit) / sizeof(limit[0]); i++) {
        struct ide_kit k;
        ide_open(&k);
        const uint8_t packet[12] = { 0x28, 0, 0, 0, 0, 100, 0, 0, 31 };
        ck_assert_uint_eq(packet_of(&k, packet, limit[i]), READY);
        ck_assert_uint_eq(got, 31 * CD);
        ck_assert(disk_same(data, 100 * CD, 31 * CD));
        ide_close(&k);
    }
    struct ide_kit k;
    ide_open(&k);
    const uint8_t inquiry[12] = { 0x12, 0, 0, 0, 7 };
    ck_assert_uint_eq(packet_of(&k, inquiry, 7), READY); /* an odd block at the end */
    ck_assert_uint_eq(got, 7);
    ide_close(&k);
}
END_TEST

/* More than the drive's buffer. */
START_TEST(cd_reads_many_sectors)
{
    struct ide_kit k;
    ide_open(&k);
    const uint8_t packet[12] = { 0x28, 0, 0, 0, 0, 10, 0, 0, 200 };
    begin(&k, packet, 2048, 0);
    for (unsigned i = 0; i < 200; i++) {
        ck_assert_uint_eq(in8(&k, STATUS), READY | DRQ);
        ide_take(&k, PORT, data, CD);
        ck_assert(disk_same(data, (10 + i) * CD, CD));
    }
    ck_assert_uint_eq(in8(&k, STATUS), READY);
    ide_close(&k);
}
END_TEST

START_TEST(cd_reads_by_dma)
{
    struct ide_kit k;
    ide_open(&k);
    const uint8_t packet[12] = { 0x28, 0, 0, 0, 0, 10, 0, 0, 40 };
    phys_write(k.memory, 0x8000, 8, 0x100000);
    phys_write(k.memory, 0x8008, 8, (UINT64_C(0x80000000) | 8 * CD) << 32 | 0x110000);
    bus_port_ops.write(k.bus, IDE_MASTER + 12, 4, 0x8000);
    begin(&k, packet, 0, 1);
    out8(&k, IDE_MASTER + 8, 9);
    ide_settle(&k);
    ck_assert_uint_eq(in8(&k, IDE_MASTER + 10) & 7, 4);
    ck_assert(k.irq[1].level);
    ck_assert_uint_eq(in8(&k, STATUS), READY);
    ck_assert_uint_eq(in8(&k, PORT + 2), 3);
    ck_assert(phys_read_block(k.memory, 0x100000, data, 65536));
    ck_assert(disk_same(data, 10 * CD, 65536));
    ck_assert(phys_read_block(k.memory, 0x110000, data, 8 * CD));
    ck_assert(disk_same(data, 42 * CD, 8 * CD));
    phys_write(k.memory, 0x8000, 8, UINT64_C(0x80000000) << 32 | 0xa0000); /* no RAM */
    out8(&k, IDE_MASTER + 8, 0);
    begin(&k, packet, 0, 1);
    out8(&k, IDE_MASTER + 8, 9);
    ide_settle(&k);
    ck_assert_uint_eq(in8(&k, IDE_MASTER + 10) & 7, 6);
    refused(&k, in8(&k, STATUS), 0xb4b00);
    ide_close(&k);
}
END_TEST

START_TEST(cd_errors)
{
    struct ide_kit k;
    ide_open(&k);
    refused(&k, SEND(&k, 0x28, 0, 0, 0, 1, 43, 0, 0, 2), 0x52100);
    ck_assert_uint_eq(SEND(&k, 0x28, 0, 0, 0, 1, 43, 0, 0, 1), READY);
    refused(&k, SEND(&k, 0x28, 0, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff), 0x52100);
    refused(&k, SEND(&k, 0xa8, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff), 0x52100);
    refused(&k, SEND(&k, 0x2b, 0, 0, 0, 1, 44), 0x52100);
    ck_assert_uint_eq(SEND(&k, 0x2b, 0, 0, 0, 1, 43), READY);
    refused(&k, SEND(&k, 0xff), 0x52000);
    refused(&k, SEND(&k, 0x2a), 0x52000); /* WRITE */
    k.disk[1].bad_from = 20 * CD;
    k.disk[1].bad_to = 21 * CD;
    refused(&k, SEND(&k, 0x28, 0, 0, 0, 0, 19, 0, 0, 2), 0x31100);
    ck_assert_uint_eq(SEND(&k, 0x28, 0, 0, 0, 0, 19, 0, 0, 1), READY);
    out8(&k, PORT + 1, 2); /* overlapped */
    out8(&k, STATUS, 0xa0);
    ck_assert_uint_eq(in8(&k, STATUS), CHECK);
    ide_close(&k);
}
END_TEST

/* An image whose end is no whole sector. */
START_TEST(cd_fills_up_an_odd_end)
{
    struct ide_kit k;
    ide_open_with(&k, 512, 2 * CD + 700, false);
    ck_assert_uint_eq(SEND(&k, 0x25), READY);
    ck_assert_uint_eq(big(0, 4), 2);
    ck_assert_uint_eq(SEND(&k, 0x28, 0, 0, 0, 0, 0, 0, 0, 3), READY);
    ck_assert(disk_same(data, 0, 2 * CD + 700));
    for (unsigned i = 2 * CD + 700; i < 3 * CD; i++)
        ck_assert_uint_eq(data[i], 0);
    ide_close(&k);
}
END_TEST

START_TEST(cd_toc)
{
    struct ide_kit k;
    ide_open(&k);
    ck_assert_uint_eq(SEND(&k, 0x43, 0, 0, 0, 0, 0, 0, 1, 0), READY);
    ck_assert_uint_eq(got, 20);
    ck_assert_uint_eq(big(0, 4), 0x00120101);
    ck_assert_uint_eq(data[5], 0x14);
    ck_assert_uint_eq(data[6], 1);
    ck_assert_uint_eq(big(8, 4), 0);
    ck_assert_uint_eq(data[14], 0xaa);
    ck_assert_uint_eq(big(16, 4), SECTORS);
    ck_assert_uint_eq(SEND(&k, 0x43, 2, 0, 0, 0, 0, 0xaa, 1, 0), READY); /* MSF, the lead-out */
    ck_assert_uint_eq(got, 12);
    ck_assert_uint_eq(big(8, 4), 6 << 8);
    ck_assert_uint_eq(SEND(&k, 0x43, 0, 1, 0, 0, 0, 0, 1, 0), READY); /* sessions */
    ck_assert_uint_eq(got, 12);
    ck_assert_uint_eq(SEND(&k, 0x43, 0, 0, 0, 0, 0, 0, 1, 0, 0x40), READY); /* as of old */
    ck_assert_uint_eq(got, 12);
    ck_assert_uint_eq(SEND(&k, 0x43, 2, 2, 0, 0, 0, 0, 1, 0), READY); /* all */
    ck_assert_uint_eq(got, 48);
    ck_assert_uint_eq(data[4 + 22 + 3], 0xa2);
    ck_assert_uint_eq(data[4 + 22 + 9], 6);
    refused(&k, SEND(&k, 0x43, 0, 0, 0, 0, 0, 2, 1, 0), 0x52400); /* there is no track 2 */
    refused(&k, SEND(&k, 0x43, 0, 5, 0, 0, 0, 0, 1, 0), 0x52400);
    ide_close(&k);
}
END_TEST

START_TEST(cd_configuration)
{
    struct ide_kit k;
    ide_open(&k);
    ck_assert_uint_eq(SEND(&k, 0x46, 0, 0, 0, 0, 0, 0, 1, 0), READY);
    ck_assert_uint_eq(big(0, 4), got - 4);
    ck_assert_uint_eq(big(6, 2), 0x0008);
    size_t all = got;
    ck_assert_uint_eq(SEND(&k, 0x46, 1, 0, 0, 0, 0, 0, 1, 0),
                      READY); /* without what is not current */
    ck_assert_uint_eq(got, all - 8);
    ck_assert_uint_eq(SEND(&k, 0x46, 2, 0, 0x10, 0, 0, 0, 1, 0), READY); /* this one */
    ck_assert_uint_eq(got, 20);
    ck_assert_uint_eq(big(8, 4), 0x00100108);
    ck_assert_uint_eq(SEND(&k, 0x46, 2, 0x77, 0x77, 0, 0, 0, 1, 0), READY);
    ck_assert_uint_eq(got, 8);
    refused(&k, SEND(&k, 0x46, 3, 0, 0, 0, 0, 0, 1, 0), 0x52400);
    ide_close(&k);
}
END_TEST

START_TEST(cd_mode_pages)
{
    struct ide_kit k;
    ide_open(&k);
    ck_assert_uint_eq(SEND(&k, 0x5a, 0, 0x2a, 0, 0, 0, 0, 1, 0), READY);
    ck_assert_uint_eq(got, 28);
    ck_assert_uint_eq(big(0, 2), 26);
    ck_assert_uint_eq(data[8], 0x2a);
    ck_assert_uint_eq(SEND(&k, 0x5a, 0, 0x3f, 0, 0, 0, 0, 1, 0), READY);
    ck_assert_uint_eq(got, 36);
    ck_assert_uint_eq(SEND(&k, 0x5a, 0, 0x41, 0, 0, 0, 0, 1, 0), READY); /* what can be changed */
    ck_assert_uint_eq(got, 16);
    ck_assert_uint_eq(data[9] | big(10, 4) | big(12, 4), 6);
    refused(&k, SEND(&k, 0x5a, 0, 0xc1, 0, 0, 0, 0, 1, 0), 0x53900);
    refused(&k, SEND(&k, 0x5a, 0, 0x05, 0, 0, 0, 0, 1, 0), 0x52400);
    const uint8_t select[12] = { 0x55, 0x10, 0, 0, 0, 0, 0, 0, 16 };
    begin(&k, select, 0xfffe, 0);
    ck_assert_uint_eq(in8(&k, PORT + 2), 0); /* data to the drive */
    ide_give(&k, PORT, data, 16);
    ck_assert_uint_eq(in8(&k, STATUS), READY);
    ide_close(&k);
}
END_TEST

START_TEST(cd_disc_information)
{
    struct ide_kit k;
    ide_open(&k);
    ck_assert_uint_eq(SEND(&k, 0x51, 0, 0, 0, 0, 0, 0, 1, 0), READY);
    ck_assert_uint_eq(got, 34);
    ck_assert_uint_eq(data[2], 0x0e);
    ck_assert_uint_eq(SEND(&k, 0x52, 1, 0, 0, 0, 1, 0, 1, 0), READY);
    ck_assert_uint_eq(got, 36);
    ck_assert_uint_eq(big(24, 4), SECTORS);
    refused(&k, SEND(&k, 0x52, 1, 0, 0, 0, 2, 0, 1, 0), 0x52400);
    ck_assert_uint_eq(SEND(&k, 0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8), READY);
    ck_assert_uint_eq(got, 8);
    ide_close(&k);
}
END_TEST

START_TEST(cd_tray)
{
    struct ide_kit k;
    ide_open(&k);
    ck_assert_uint_eq(SEND(&k, 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8), READY);
    ck_assert_uint_eq(big(4, 2), 0x0002); /* no event; a disc is in */
    ck_assert_uint_eq(SEND(&k, 0x1e, 0, 0, 0, 1), READY);
    refused(&k, SEND(&k, 0x1b, 0, 0, 0, 2), 0x55302); /* locked */
    ck_assert_uint_eq(SEND(&k, 0x1e, 0, 0, 0, 0), READY);
    ck_assert_uint_eq(SEND(&k, 0x1b, 0, 0, 0, 2), READY);
    refused(&k, SEND(&k, 0x00), 0x23a02);
    refused(&k, SEND(&k, 0x28, 0, 0, 0, 0, 0, 0, 0, 1), 0x23a02);
    ck_assert_uint_eq(SEND(&k, 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8), READY);
    ck_assert_uint_eq(big(4, 2), 0x0001);
    ck_assert_uint_eq(SEND(&k, 0x1b, 0, 0, 0, 3), READY);
    ck_assert_uint_eq(SEND(&k, 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8), READY);
    ck_assert_uint_eq(big(4, 2), 0x0202); /* a new disc */
    refused(&k, SEND(&k, 0x00), 0x62800);
    ck_assert_uint_eq(SEND(&k, 0x00), READY);
    refused(&k, SEND(&k, 0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8), 0x52400); /* polling only */
    ck_assert_uint_eq(SEND(&k, 0x4a, 1, 0, 0, 0x02, 0, 0, 0, 8), READY);
    ck_assert_uint_eq(got, 4);
    ide_close(&k);
}
END_TEST

START_TEST(cd_without_a_disc)
{
    struct ide_kit k;
    ide_open_with(&k, 512, 0, false);
    refused(&k, SEND(&k, 0x00), 0x23a00);
    refused(&k, SEND(&k, 0x25), 0x23a00);
    ck_assert_uint_eq(SEND(&k, 0x12, 0, 0, 0, 36), READY);
    ck_assert_uint_eq(SEND(&k, 0x46, 0, 0, 0, 0, 0, 0, 1, 0), READY);
    ck_assert_uint_eq(big(6, 2), 0);
    ck_assert_uint_eq(SEND(&k, 0x1b, 0, 0, 0, 2), READY);
    ck_assert_uint_eq(SEND(&k, 0x1b, 0, 0, 0, 3), READY);
    refused(&k, SEND(&k, 0x00), 0x23a00);
    ide_close(&k);
}
END_TEST

START_TEST(cd_device_reset)
{
    struct ide_kit k;
    ide_open(&k);
    const uint8_t packet[12] = { 0x28, 0, 0, 0, 0, 0, 0, 0, 3 };
    begin(&k, packet, 2048, 0);
    out8(&k, STATUS, 0x08);
    ck_assert_uint_eq(in8(&k, STATUS), 0);
    ck_assert_uint_eq(in8(&k, PORT + 4), 0x14);
    ck_assert(!k.irq[1].level);
    ck_assert_uint_eq(SEND(&k, 0x00), READY);
    ide_close(&k);
}
END_TEST

CHECK_MAIN("ide_cd", cd_inquiry, cd_reads_sectors, cd_blocks_keep_to_the_limit,
           cd_reads_many_sectors, cd_reads_by_dma, cd_errors, cd_fills_up_an_odd_end, cd_toc,
           cd_configuration, cd_mode_pages, cd_disc_information, cd_tray, cd_without_a_disc,
           cd_device_reset)

/* IDE channels and disks without DMA: ATA/ATAPI-6, chapters 7 to 9. */
#include "devices/ide_priv.h"
#include "tests/devices/ide_kit.h"

#define S 512u

static uint8_t data[256 * S];

/* Status with the error register. */
static void expect(struct ide_kit *k, unsigned status, unsigned error)
{
    ck_assert_uint_eq(in8(k, CONTROL), status);
    ck_assert_uint_eq(in8(k, FEATURE), error);
}

/* An interrupt came, and reading status takes it back. */
static void interrupted(struct ide_kit *k, unsigned status)
{
    ck_assert(k->irq[0].level);
    ck_assert_uint_eq(in8(k, CONTROL), status);
    ck_assert(k->irq[0].level);
    ck_assert_uint_eq(in8(k, COMMAND), status);
    ck_assert(!k->irq[0].level);
}

static unsigned word(unsigned number)
{
    return data[2 * number] | data[2 * number + 1] << 8;
}

/* --- which drives there are --- */

START_TEST(ide_reset_shows_signatures)
{
    struct ide_kit k;
    ide_open(&k);
    expect(&k, READY, 0x01);
    ck_assert_uint_eq(in8(&k, COUNT), 1);
    ck_assert_uint_eq(in8(&k, LOW), 1);
    ck_assert_uint_eq(in8(&k, MID), 0);
    ck_assert_uint_eq(in8(&k, HIGH), 0);
    ck_assert_uint_eq(in8(&k, 0x377 - 1), 0); /* a packet device is not ready */
    ck_assert_uint_eq(in8(&k, 0x172), 1);
    ck_assert_uint_eq(in8(&k, 0x174), 0x14);
    ck_assert_uint_eq(in8(&k, 0x175), 0xeb);
    ide_close(&k);
}
END_TEST

START_TEST(ide_absent_drives_read_as_zeros)
{
    struct ide_kit k;
    ide_open(&k);
    out8(&k, DEVICE, 0xb0); /* device 1: 0 answers for it, but for status */
    out8(&k, LOW, 0x55);
    ck_assert_uint_eq(in8(&k, COMMAND), 0);
    ck_assert_uint_eq(in8(&k, CONTROL), 0);
    ck_assert_uint_eq(in8(&k, LOW), 0x55);
    out8(&k, COMMAND, 0xec); /* nobody hears it */
    ck_assert_uint_eq(in8(&k, COMMAND), 0);
    ck_assert_uint_eq(k.irq[0].rises, 0);
    ide_close(&k);

    struct kit kit;
    kit_open(&kit);
    const struct ide_config empty = { 0 };
    ck_assert_ptr_nonnull(ide_add(kit.bus, &empty));
    bus_reset(kit.bus);
    for (uint16_t port = 0x1f0; port < 0x1f8; port++) {
        kit_out(&kit, port, 0xa5);
        ck_assert_uint_eq(kit_in(&kit, port), 0);
    }
    kit_out(&kit, 0x3f6, 4);
    ck_assert_uint_eq(kit_in(&kit, 0x3f6), 0);
    kit_close(&kit);
}
END_TEST

START_TEST(ide_srst_resets_both_drives)
{
    struct ide_kit k;
    ide_open(&k);
    ide_do(&k, 0x20, 5, 2);
    out8(&k, CONTROL, 0x04);
    ck_assert_uint_eq(in8(&k, CONTROL), BSY);
    ck_assert(!k.irq[0].level);
    out8(&k, COMMAND, 0xec); /* not heard */
    out8(&k, LOW, 0x77);
    out8(&k, CONTROL, 0x00);
    expect(&k, READY, 0x01);
    ck_assert_uint_eq(in8(&k, LOW), 1);
    ck_assert_uint_eq(in8(&k, DEVICE), 0xa0);
    ck_assert_uint_eq(bus_port_ops.read(k.bus, DATA, 2), 0); /* the transfer is gone */
    ide_close(&k);
}
END_TEST

START_TEST(ide_diagnostic_answers_for_both)
{
    struct ide_kit k;
    ide_open(&k);
    out8(&k, DEVICE, 0xb0); /* whichever is selected */
    out8(&k, COMMAND, 0x90);
    ck_assert_uint_eq(in8(&k, DEVICE), 0xa0);
    ck_assert_uint_eq(in8(&k, FEATURE), 0x01);
    interrupted(&k, READY);
    ide_close(&k);
}
END_TEST

START_TEST(ide_hob_shows_what_was_written_before)
{
    struct ide_kit k;
    ide_open(&k);
    for (uint16_t port = COUNT; port <= HIGH; port++) {
        out8(&k, port, (uint8_t)(port & 0xf));
        out8(&k, port, (uint8_t)(0x80 | (port & 0xf)));
    }
    for (uint16_t port = COUNT; port <= HIGH; port++)
        ck_assert_uint_eq(in8(&k, port), 0x80u | (port & 0xf));
    out8(&k, CONTROL, 0x80);
    for (uint16_t port = COUNT; port <= HIGH; port++)
        ck_assert_uint_eq(in8(&k, port), port & 0xfu);
    out8(&k, FEATURE, 0); /* any write ends it */
    ck_assert_uint_eq(in8(&k, LOW), 0x83);
    ide_close(&k);
}
END_TEST

START_TEST(ide_nien_holds_the_interrupt_back)
{
    struct ide_kit k;
    ide_open(&k);
    out8(&k, CONTROL, 0x02);
    ide_do(&k, 0xe7, 0, 0);
    ck_assert(!k.irq[0].level);
    out8(&k, CONTROL, 0x00);
    interrupted(&k, READY);
    ide_do(&k, 0xe7, 0, 0);
    out8(&k, DEVICE, 0xb0); /* a drive that is not selected is silent */
    ck_assert(!k.irq[0].level);
    out8(&k, DEVICE, 0xa0);
    interrupted(&k, READY);
    ide_close(&k);
}
END_TEST

/* --- identify --- */

START_TEST(ide_identify_tells_the_size)
{
    struct ide_kit k;
    ide_open(&k);
    ide_do(&k, 0xec, 0, 0);
    interrupted(&k, READY | DRQ);
    ide_take(&k, DATA, data, S);
    expect(&k, READY, 0);
    ck_assert(!k.irq[0].level); /* none at the end of a PIO read */
    ck_assert_uint_eq(word(0), 0x0040);
    ck_assert_uint_eq(word(1), 4096 / (16 * 63));
    ck_assert_uint_eq(word(3), 16);
    ck_assert_uint_eq(word(6), 63);
    ck_assert_uint_eq(word(60) | word(61) << 16, 4096);
    ck_assert_uint_eq(word(100), 4096);
    ck_assert_uint_eq(word(101) | word(102) | word(103), 0);
    ck_assert_uint_eq(word(83) & 0xc400, 0x4400);
    ck_assert_uint_eq(word(82) & 1, 0);  /* no SMART */
    ck_assert_uint_eq(word(93), 0x600b); /* what device 0 found in its reset */
    const struct ide_drive slave = {
        .kind = IDE_DISK, .block = k.block[0], .heads = 16, .track_sectors = 63
    };
    uint8_t other[S];
    ide_identify(&slave, 1, other);
    ck_assert_uint_eq(other[186] | other[187] << 8, 0x6b00); /* and device 1 */
    ck_assert_mem_eq(data + 54, "APICIFACH RA DIDKS", 18);
    uint8_t sum = 0;
    for (unsigned i = 0; i < S; i++)
        sum = (uint8_t)(sum + data[i]);
    ck_assert_uint_eq(sum, 0);
    ide_close(&k);
}
END_TEST

START_TEST(ide_identify_is_told_by_kind)
{
    struct ide_kit k;
    ide_open(&k);
    ide_do(&k, 0xa1, 0, 0); /* IDENTIFY PACKET DEVICE */
    expect(&k, READY | ERR, 0x04);
    out8(&k, 0x177, 0xec);
    ck_assert_uint_eq(in8(&k, 0x177), READY | ERR);
    ck_assert_uint_eq(in8(&k, 0x174), 0x14);
    ck_assert_uint_eq(in8(&k, 0x175), 0xeb);
    out8(&k, 0x177, 0xa1);
    ck_assert_uint_eq(in8(&k, 0x177), READY | DRQ);
    ide_take(&k, 0x170, data, S);
    ck_assert_uint_eq(word(0), 0x85c0);
    ck_assert_uint_eq(in8(&k, 0x177), READY);
    ide_close(&k);
}
END_TEST

/* --- PIO --- */

START_TEST(ide_reads_sector_by_sector)
{
    struct ide_kit k;
    ide_open(&k);
    ide_do(&k, 0x20, 100, 3);
    for (unsigned i = 0; i < 3; i++) {
        interrupted(&k, READY | DRQ);
        ide_take(&k, DATA, data, S);
        ck_assert(disk_same(data, (100 + i) * S, S));
    }
    ck_assert(!k.irq[0].level);
    expect(&k, READY, 0);
    ck_assert_uint_eq(bus_port_ops.read(k.bus, DATA, 2), 0);
    ide_close(&k);
}
END_TEST

START_TEST(ide_data_port_takes_all_sizes)
{
    static const unsigned size[] = { 1, 2, 4 };
    for (unsigned i = 0; i < 3; i++) {
        struct ide_kit k;
        ide_open(&k);
        ide_do(&k, 0x20, 7, 1);
        for (unsigned at = 0; at < S; at += size[i]) {
            uint32_t got = bus_port_ops.read(k.bus, DATA, size[i]);
            for (unsigned b = 0; b < size[i]; b++)
                ck_assert_uint_eq(got >> 8 * b & 0xff, disk_byte(7 * S + at + b));
        }
        expect(&k, READY, 0);
        ide_close(&k);
    }
}
END_TEST

START_TEST(ide_writes_sector_by_sector)
{
    struct ide_kit k;
    ide_open(&k);
    memset(data, 0x5a, 2 * S);
    ide_do(&k, 0x30, 100, 2);
    ck_assert(!k.irq[0].level); /* none before the first sector */
    expect(&k, READY | DRQ, 0);
    ide_give(&k, DATA, data, S);
    interrupted(&k, READY | DRQ);
    ide_give(&k, DATA, data, S);
    interrupted(&k, READY);
    memset(data, 0, 2 * S);
    ck_assert_int_eq(block_read(k.block[0], 100, 2, data), BLOCK_OK);
    for (unsigned i = 0; i < 2 * S; i++)
        ck_assert_uint_eq(data[i], 0x5a);
    ck_assert_int_eq(block_read(k.block[0], 102, 1, data), BLOCK_OK);
    ck_assert(disk_same(data, 102 * S, S));
    ck_assert_uint_eq(k.disk[0].writes, 0);
    ide_close(&k);
}
END_TEST

START_TEST(ide_count_zero_is_256)
{
    struct ide_kit k;
    ide_open(&k);
    ide_do(&k, 0x20, 0, 0);
    ide_take(&k, DATA, data, 255 * S);
    expect(&k, READY | DRQ, 0);
    ide_take(&k, DATA, data, S);
    ck_assert(disk_same(data, 255 * S, S));
    expect(&k, READY, 0);
    ide_close(&k);
}
END_TEST

START_TEST(ide_multiple_moves_blocks)
{
    struct ide_kit k;
    ide_open(&k);
    ide_do(&k, 0xc4, 9, 17); /* 16 at first */
    ide_take(&k, DATA, data, 16 * S);
    interrupted(&k, READY | DRQ);
    ide_take(&k, DATA, data, S);
    expect(&k, READY, 0);
    ide_do(&k, 0xc6, 0, 0);
    ide_do(&k, 0xc4, 0, 5); /* not without a size */
    expect(&k, READY | ERR, 0x04);
    static const struct {
        uint8_t count;
        bool good;
    } row[] = { { 3, false }, { 32, false }, { 16, true }, { 0, true }, { 4, true } };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        ide_do(&k, 0xc6, 0, row[i].count);
        expect(&k, row[i].good ? READY : READY | ERR, row[i].good ? 0 : 0x04);
    }
    ide_do(&k, 0xc4, 9, 5);
    interrupted(&k, READY | DRQ);
    ide_take(&k, DATA, data, 4 * S);
    interrupted(&k, READY | DRQ);
    ide_take(&k, DATA, data + 4 * S, S);
    expect(&k, READY, 0);
    ck_assert(disk_same(data, 9 * S, 5 * S));
    ide_do(&k, 0xc5, 20, 5);
    ide_give(&k, DATA, data, 4 * S);
    interrupted(&k, READY | DRQ);
    ide_give(&k, DATA, data, S);
    interrupted(&k, READY);
    uint8_t back[5 * S];
    ck_assert_int_eq(block_read(k.block[0], 20, 5, back), BLOCK_OK);
    ck_assert_mem_eq(back, data, 4 * S);
    ck_assert_mem_eq(back + 4 * S, data, S);
    ide_do48(&k, 0x29, 9, 5); /* the 48-bit forms */
    ide_take(&k, DATA, data, 4 * S);
    expect(&k, READY | DRQ, 0);
    ide_do48(&k, 0x39, 9, 1);
    expect(&k, READY | DRQ, 0);
    ide_close(&k);
}
END_TEST

START_TEST(ide_48_bit_counts_and_addresses)
{
    struct ide_kit k;
    ide_open_with(&k, 600 * S, 0, false);
    ide_do48(&k, 0x24, 20, 0x0102);
    for (unsigned i = 0; i < 0x102; i++) {
        expect(&k, READY | DRQ, 0);
        ide_take(&k, DATA, data, S);
        ck_assert(disk_same(data, (20 + i) * S, S));
    }
    expect(&k, READY, 0);
    ide_do48(&k, 0x24, 0, 0); /* 65536 sectors: more than there are */
    expect(&k, READY | ERR, 0x10);
    ide_do48(&k, 0x24, UINT64_C(0x123456789abc), 1);
    expect(&k, READY | ERR, 0x10);
    out8(&k, CONTROL, 0x80);
    ck_assert_uint_eq(in8(&k, LOW), 0x56); /* the first that is not there */
    ck_assert_uint_eq(in8(&k, HIGH), 0x12);
    out8(&k, CONTROL, 0);
    ide_do48(&k, 0x34, 599, 1);
    ide_give(&k, DATA, data, S);
    interrupted(&k, READY);
    ide_close(&k);
}
END_TEST

START_TEST(ide_chs_addresses)
{
    struct ide_kit k;
    ide_open(&k);
    /* cylinder 1, head 2, sector 3 of 16 heads and 63 sectors */
    out8(&k, DEVICE, 0xa2);
    out8(&k, COUNT, 1);
    out8(&k, LOW, 3);
    out8(&k, MID, 1);
    out8(&k, HIGH, 0);
    out8(&k, COMMAND, 0x20);
    ide_take(&k, DATA, data, S);
    ck_assert(disk_same(data, ((16 + 2) * 63 + 2) * S, S));
    out8(&k, LOW, 0); /* there is no sector 0 */
    out8(&k, COMMAND, 0x20);
    expect(&k, READY | ERR, 0x10);
    out8(&k, DEVICE, 0xa3); /* 4 heads, 10 sectors */
    out8(&k, COUNT, 10);
    out8(&k, COMMAND, 0x91);
    expect(&k, READY, 0);
    out8(&k, DEVICE, 0xa2);
    out8(&k, COUNT, 1);
    out8(&k, LOW, 3);
    out8(&k, MID, 1);
    out8(&k, COMMAND, 0x20);
    ide_take(&k, DATA, data, S);
    ck_assert(disk_same(data, ((4 + 2) * 10 + 2) * S, S));
    out8(&k, DEVICE, 0xa4); /* beyond head 3 */
    out8(&k, COMMAND, 0x20);
    expect(&k, READY | ERR, 0x10);
    out8(&k, DEVICE, 0xa0);
    out8(&k, COMMAND, 0xec);
    ide_take(&k, DATA, data, S);
    ck_assert_uint_eq(word(54), 4096 / 40);
    ck_assert_uint_eq(word(55), 4);
    ck_assert_uint_eq(word(56), 10);
    ck_assert_uint_eq(word(57), 4096 / 40 * 40);
    ide_close(&k);
}
END_TEST

START_TEST(ide_a_new_command_ends_the_old)
{
    struct ide_kit k;
    ide_open(&k);
    ide_do(&k, 0x30, 100, 1);
    ide_give(&k, DATA, data, 100);
    ide_do(&k, 0xe7, 0, 0);
    interrupted(&k, READY);
    ide_give(&k, DATA, data, S); /* nobody takes it */
    ck_assert_int_eq(block_read(k.block[0], 100, 1, data), BLOCK_OK);
    ck_assert(disk_same(data, 100 * S, S));
    ide_close(&k);
}
END_TEST

/* --- errors --- */

START_TEST(ide_the_end_of_the_disk)
{
    static const uint8_t command[] = { 0x20, 0x21, 0x30, 0x31, 0x40, 0xc8, 0xca };
    struct ide_kit k;
    ide_open(&k);
    for (size_t i = 0; i < sizeof(command); i++) {
        ide_do(&k, command[i], 4095, 2);
        expect(&k, READY | ERR, 0x10);
        ck_assert_uint_eq(in8(&k, LOW) | in8(&k, MID) << 8, 4096);
        interrupted(&k, READY | ERR);
        ide_do(&k, command[i], 0x0fffffff, 1);
        expect(&k, READY | ERR, 0x10);
        ck_assert_uint_eq(in8(&k, DEVICE), 0xef);
    }
    ide_do(&k, 0x40, 4095, 1); /* READ VERIFY */
    expect(&k, READY, 0);
    ide_do(&k, 0x70, 4096, 0); /* SEEK */
    expect(&k, READY | ERR, 0x10);
    ide_do(&k, 0x70, 4095, 0);
    expect(&k, READY, 0);
    ide_close(&k);
}
END_TEST

START_TEST(ide_bad_sectors)
{
    struct ide_kit k;
    ide_open(&k);
    k.disk[0].bad_from = 51 * S;
    k.disk[0].bad_to = 52 * S;
    ide_do(&k, 0x20, 50, 3);
    ide_take(&k, DATA, data, S);
    ck_assert(disk_same(data, 50 * S, S)); /* what came before is good */
    interrupted(&k, READY | ERR);
    expect(&k, READY | ERR, 0x40);
    ck_assert_uint_eq(in8(&k, LOW), 51);
    ide_do(&k, 0x40, 50, 3);
    expect(&k, READY | ERR, 0x40);
    ide_close(&k);
}
END_TEST

START_TEST(ide_read_only_disks)
{
    static const uint8_t command[] = { 0x30, 0x34, 0xca, 0x35 };
    struct ide_kit k;
    ide_open_with(&k, 100 * S, 0, true);
    for (size_t i = 0; i < sizeof(command); i++) {
        ide_do48(&k, command[i], 1, 1);
        expect(&k, READY | ERR, 0x44);
    }
    ide_do(&k, 0x20, 1, 1);
    expect(&k, READY | DRQ, 0);
    ide_close(&k);
}
END_TEST

START_TEST(ide_unknown_commands_abort)
{
    static const uint8_t command[] = { 0x00, 0x08, 0xa0, 0xb0, 0xf8, 0x22, 0x60, 0xff, 0xf1, 0x27 };
    struct ide_kit k;
    ide_open(&k);
    for (size_t i = 0; i < sizeof(command); i++) {
        ide_do(&k, command[i], 0, 1);
        interrupted(&k, READY | ERR);
        expect(&k, READY | ERR, 0x04);
    }
    ide_close(&k);
}
END_TEST

START_TEST(ide_power_and_features)
{
    static const uint8_t fine[] = { 0xe0, 0xe1, 0xe2, 0xe3, 0xe6, 0xe7, 0xea, 0x10, 0x1f };
    static const struct {
        uint8_t feature, count;
        bool good;
    } row[] = { { 0x02, 0, true },     { 0x82, 0, true },     { 0xaa, 0, true },
                { 0x55, 0, true },     { 0x66, 0, true },     { 0xcc, 0, true },
                { 0x03, 0x00, true },  { 0x03, 0x0c, true },  { 0x03, 0x0d, false },
                { 0x03, 0x22, true },  { 0x03, 0x23, false }, { 0x03, 0x45, true },
                { 0x03, 0x46, false }, { 0x03, 0x10, false }, { 0x05, 0, false },
                { 0xff, 0, false } };
    struct ide_kit k;
    ide_open(&k);
    for (size_t i = 0; i < sizeof(fine); i++) {
        ide_do(&k, fine[i], 0, 0);
        expect(&k, READY, 0);
    }
    ide_do(&k, 0xe5, 0, 0);
    ck_assert_uint_eq(in8(&k, COUNT), 0xff);
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        out8(&k, FEATURE, row[i].feature);
        ide_do(&k, 0xef, 0, row[i].count);
        expect(&k, row[i].good ? READY : READY | ERR, row[i].good ? 0 : 0x04);
    }
    ide_do(&k, 0xec, 0, 0);
    ide_take(&k, DATA, data, S);
    ck_assert_uint_eq(word(88), 0x203f); /* Ultra DMA 5 */
    ck_assert_uint_eq(word(63), 0x0007);
    ck_assert_uint_eq(word(85), 0x0008); /* neither cache */
    ide_close(&k);
}
END_TEST

START_TEST(ide_mix_sees_the_transfer)
{
    uint64_t seen[6];
    for (unsigned i = 0; i < 6; i++) {
        struct ide_kit k;
        ide_open(&k);
        if (i == 1)
            out8(&k, LOW, 9);
        if (i == 2 || i == 3)
            ide_do(&k, 0x20, 9, 1);
        if (i == 3)
            (void)bus_port_ops.read(k.bus, DATA, 2);
        if (i == 4)
            out8(&k, CONTROL, 2);
        if (i == 5)
            out8(&k, IDE_MASTER + 4, 0x10);
        seen[i] = ide_hash(&k);
        ck_assert_uint_eq(seen[i], ide_hash(&k));
        for (unsigned o = 0; o < i; o++)
            ck_assert_uint_ne(seen[i], seen[o]);
        ide_close(&k);
    }
}
END_TEST

CHECK_MAIN("ide", ide_reset_shows_signatures, ide_absent_drives_read_as_zeros,
           ide_srst_resets_both_drives, ide_diagnostic_answers_for_both,
           ide_hob_shows_what_was_written_before, ide_nien_holds_the_interrupt_back,
           ide_identify_tells_the_size, ide_identify_is_told_by_kind, ide_reads_sector_by_sector,
           ide_data_port_takes_all_sizes, ide_writes_sector_by_sector, ide_count_zero_is_256,
           ide_multiple_moves_blocks, ide_48_bit_counts_and_addresses, ide_chs_addresses,
           ide_a_new_command_ends_the_old, ide_the_end_of_the_disk, ide_bad_sectors,
           ide_read_only_disks, ide_unknown_commands_abort, ide_power_and_features,
           ide_mix_sees_the_transfer)

/* ide.c: an ATA disk by PIO and DMA. ATA/ATAPI-6, chapters 8 and 9. Needs a disk of 4096 sectors as -hda. */
#include "test-roms/chipset/pc.h"
#include "test-roms/disk/ata.h"
#include "test-roms/disk/kit.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define S 512u
#define SECTORS 4096u
#define BASE ATA_PRIMARY
#define READY ATA_DRDY
#define DATA (ATA_DRDY | ATA_DRQ)
#define FAILED (ATA_DRDY | ATA_ERR)
#define PAGE 4096u
#define IRQ14 0x40u /* of the second PIC */

static uint8_t *buffer; /* 32 pages, of which DMA may not cross 64 KiB */

static bool irq_pending(void)
{
    outb(0xa0, 0x0a);
    return inb(0xa0) & IRQ14;
}

static void test_identify(void)
{
    const uint16_t *word = (const uint16_t *)buffer;
    uint8_t sum = 0;

    tap_eq(ata_command(BASE, 0xec, 0, 0), DATA, "IDENTIFY DEVICE gives data");
    ata_take(BASE, buffer, S);
    tap_eq(ata_wait(BASE), READY, "of one sector");
    tap_eq(word[0] & 0x8000, 0, "it is an ATA device");
    tap_eq(word[60] | (uint32_t)word[61] << 16, SECTORS, "words 60 and 61 tell the size");
    tap_ok(word[49] & 0x0200, "word 49: LBA");
    tap_ok(word[49] & 0x0100, "word 49: DMA");
    tap_ok(word[83] & 0x0400, "word 83: 48-bit addresses");
    tap_eq(word[100] | (uint32_t)word[101] << 16, SECTORS, "words 100 to 103 tell the size");
    for (unsigned i = 0; i < S; i++)
        sum = (uint8_t)(sum + buffer[i]);
    tap_ok(sum == 0 || (word[255] & 0xff) != 0xa5, "word 255 is a checksum");
}

static void test_pio(void)
{
    bool good = true;

    tap_eq(ata_command(BASE, 0x20, 1000, 3), DATA, "READ SECTORS gives data");
    for (unsigned i = 0; i < 3; i++) {
        good = good && ata_wait(BASE) == DATA;
        ata_take(BASE, buffer + i * S, S);
    }
    tap_ok(good, "sector by sector");
    tap_ok(disk_holds(buffer, 1000 * S, 3 * S), "and they are right");
    tap_eq(ata_wait(BASE), READY, "then it is ready");

    disk_fill(buffer, 2 * S, 1);
    tap_eq(ata_command(BASE, 0x30, 2000, 2), DATA, "WRITE SECTORS wants data");
    ata_give(BASE, buffer, S);
    tap_eq(ata_wait(BASE), DATA, "and more");
    ata_give(BASE, buffer + S, S);
    tap_eq(ata_wait(BASE), READY, "and has enough");
    tap_eq(ata_command(BASE, 0xe7, 0, 0), READY, "FLUSH CACHE");
    memset(buffer, 0, 4 * S);
    good = ata_command48(BASE, 0x24, 1999, 4) == DATA;
    for (unsigned i = 0; i < 4; i++) {
        ata_take(BASE, buffer + i * S, S);
        (void)ata_wait(BASE);
    }
    tap_ok(good && disk_filled(buffer + S, 2 * S, 1), "READ SECTORS EXT finds what was written");
    tap_ok(disk_holds(buffer, 1999 * S, S) && disk_holds(buffer + 3 * S, 2002 * S, S),
           "between what was not");
}

static void test_multiple(void)
{
    tap_eq(ata_command(BASE, 0xc6, 0, 8), READY, "SET MULTIPLE MODE to 8");
    tap_eq(ata_command(BASE, 0xc4, 500, 10), DATA, "READ MULTIPLE gives data");
    ata_take(BASE, buffer, 8 * S);
    tap_eq(ata_wait(BASE), DATA, "in blocks of 8 sectors");
    ata_take(BASE, buffer + 8 * S, 2 * S);
    tap_eq(ata_wait(BASE), READY, "and a smaller one at the end");
    tap_ok(disk_holds(buffer, 500 * S, 10 * S), "which are right");
    disk_fill(buffer, 10 * S, 2);
    tap_eq(ata_command(BASE, 0xc5, 600, 10), DATA, "WRITE MULTIPLE wants data");
    ata_give(BASE, buffer, 8 * S);
    tap_eq(ata_wait(BASE), DATA, "in blocks, too");
    ata_give(BASE, buffer + 8 * S, 2 * S);
    tap_eq(ata_wait(BASE), READY, "and has enough");
}

static void test_errors(void)
{
    tap_eq(ata_command(BASE, 0x20, SECTORS, 1) & ATA_ERR, ATA_ERR, "no sector behind the last");
    tap_eq(ata_command(BASE, 0x20, SECTORS - 1, 1), DATA, "the last one is there");
    ata_take(BASE, buffer, S);
    tap_ok(disk_holds(buffer, (SECTORS - 1) * S, S), "and right");
    tap_eq(ata_command(BASE, 0xff, 0, 0), FAILED, "a command that is none");
    tap_eq(ata_error(BASE) & 4, 4, "is aborted");
    tap_eq(ata_command(BASE, 0xa1, 0, 0), FAILED, "IDENTIFY PACKET DEVICE, too: it is a disk");
}

/* The interrupt rises with data, and reading status takes it back. */
static void test_interrupt(void)
{
    outb(BASE + ATA_CONTROL, 0);
    (void)inb(BASE + 7);
    /* Edge-triggered requests stay in the PIC until they are served: so mask, and start anew. */
    outb(0xa0, 0x11);
    outb(0xa1, 0x28);
    outb(0xa1, 0x02);
    outb(0xa1, 0x01);
    outb(0xa1, 0xff);
    tap_ok(!irq_pending(), "no interrupt asks");
    outb(BASE + 6, 0xe0);
    outb(BASE + 7, 0xe7);
    for (unsigned turns = 0; !irq_pending() && disk_patience(&turns);)
        ;
    tap_ok(irq_pending(), "a command that ends asks at IRQ 14");
    (void)inb(BASE + 7);
    tap_ok(!irq_pending(), "until status is read");
    outb(BASE + ATA_CONTROL, 2);
    (void)ata_command(BASE, 0xe7, 0, 0);
    tap_ok(!irq_pending(), "not with nIEN");
    outb(BASE + ATA_CONTROL, 0);
}

static void test_dma(void)
{
    static struct prd table[3] __attribute__((aligned(64)));
    uint32_t at = (uint32_t)(uintptr_t)buffer;
    unsigned status;

    if (!bm_open()) {
        tap_skip("no PIIX3 bus master", "DMA");
        return;
    }
    memset(buffer, 0xee, 32 * PAGE);
    table[0] = (struct prd){ .base = at, .bytes = 1024 };
    table[1] = (struct prd){ .base = at + PAGE, .bytes = 2048 };
    table[2] = (struct prd){ .base = at + 3 * PAGE + 512, .bytes = 1024, .last = 0x8000 };
    outb(BASE + 6, 0xe0);
    (void)ata_command(BASE, 0xc8, 3000, 8);
    status = bm_run(BASE, table, true);
    tap_eq(status, BM_INTERRUPT, "READ DMA ends with an interrupt, and the table with it");
    tap_eq(ata_wait(BASE), READY, "the drive is ready");
    tap_ok(disk_holds(buffer, 3000 * S, 1024) && disk_holds(buffer + PAGE, 3002 * S, 2048) &&
               disk_holds(buffer + 3 * PAGE + 512, 3006 * S, 1024),
           "the sectors are in their regions");
    tap_eq(buffer[1024] & buffer[PAGE + 2048] & buffer[3 * PAGE + 511], 0xee, "and nowhere else");

    disk_fill(buffer, 8 * S, 3);
    table[0] = (struct prd){ .base = at, .bytes = 8 * S, .last = 0x8000 };
    (void)ata_command48(BASE, 0x35, 3500, 8);
    tap_eq(bm_run(BASE, table, false), BM_INTERRUPT, "WRITE DMA EXT");
    tap_eq(ata_wait(BASE), READY, "the drive is ready");
    memset(buffer, 0, 8 * S);
    (void)ata_command48(BASE, 0x25, 3500, 8);
    tap_eq(bm_run(BASE, table, true), BM_INTERRUPT, "READ DMA EXT");
    tap_eq(ata_wait(BASE), READY, "the drive is ready");
    tap_ok(disk_filled(buffer, 8 * S, 3), "what was written comes back");

    table[0] = (struct prd){ .base = at, .bytes = 16 * S & 0xffff, .last = 0x8000 };
    (void)ata_command(BASE, 0xc8, 100, 8);
    tap_eq(bm_run(BASE, table, true), BM_INTERRUPT | BM_ACTIVE,
           "a table with room left stays active");
    tap_eq(ata_wait(BASE), READY, "the drive is ready");
    tap_ok(disk_holds(buffer, 100 * S, 8 * S), "and the sectors are right");
}

int rom_main(void)
{
    buffer = rom_pages(32);
    if (ata_command(BASE, 0xec, 0, 0) != DATA) {
        rom_printf("# no disk: everything is skipped\n1..0\n");
        return 0;
    }
    ata_take(BASE, buffer, S);
    test_identify();
    test_pio();
    test_multiple();
    test_errors();
    test_interrupt();
    test_dma();
    tap_done();
}

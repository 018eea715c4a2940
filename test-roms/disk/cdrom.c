/* cdrom.c: a CD-ROM drive by PIO and DMA. ATA/ATAPI-6, 9.8 "PACKET command protocol"; MMC-5. Needs a disc of 500 sectors as
 * -cdrom. */
#include "test-roms/chipset/pc.h"
#include "test-roms/disk/ata.h"
#include "test-roms/disk/kit.h"
#include "test-roms/lib/cpu.h"
#include "test-roms/lib/rom.h"
#include "test-roms/lib/tap.h"

#define S 2048u
#define SECTORS 500u
#define BASE ATA_SECONDARY
#define PAGE 4096u

static uint8_t *buffer;
static size_t got;

static uint32_t big(unsigned at)
{
    return (uint32_t)buffer[at] << 24 | buffer[at + 1] << 16 | buffer[at + 2] << 8 | buffer[at + 3];
}

static bool begin(const uint8_t *packet, unsigned limit, bool dma)
{
    outb(BASE + 6, 0xa0);
    outb(BASE + 1, dma);
    outb(BASE + 4, (uint8_t)limit);
    outb(BASE + 5, (uint8_t)(limit >> 8));
    outb(BASE + 7, 0xa0);
    if ((ata_wait(BASE) & (ATA_DRQ | ATA_ERR)) != ATA_DRQ)
        return false;
    ata_give(BASE, packet, 12);
    return true;
}

/* A packet whose data come by PIO into the buffer. Gives ERR of the status behind it. */
static unsigned packet(const uint8_t *bytes, unsigned limit)
{
    unsigned status;

    got = 0;
    if (!begin(bytes, limit, false))
        return ATA_ERR;
    while ((status = ata_wait(BASE)) & ATA_DRQ) {
        unsigned part = inb(BASE + 4) | (unsigned)inb(BASE + 5) << 8;

        if (part == 0 || part > limit || got + part > 32 * PAGE)
            return ATA_ERR;
        ata_take(BASE, buffer + got, (part + 1) & ~1u);
        got += part;
    }
    return status & ATA_ERR;
}

#define PACKET(...) packet((const uint8_t[12]){ __VA_ARGS__ }, 0xfffe)

static void test_identity(void)
{
    tap_eq(ata_command(BASE, 0xec, 0, 0) & ATA_ERR, ATA_ERR, "IDENTIFY DEVICE is aborted");
    tap_eq(inb(BASE + 4) | inb(BASE + 5) << 8, 0xeb14,
           "and leaves the signature of packet devices");
    tap_eq(ata_command(BASE, 0xa1, 0, 0) & (ATA_DRQ | ATA_ERR), ATA_DRQ,
           "IDENTIFY PACKET DEVICE gives data");
    ata_take(BASE, buffer, 512);
    tap_eq(buffer[1] & 0xdf, 0x85, "of a CD-ROM drive");
    tap_eq(PACKET(0x12, 0, 0, 0, 36), 0, "INQUIRY");
    tap_eq(got, 36, "has 36 bytes");
    tap_eq(buffer[0] & 0x1f, 5, "a CD-ROM drive");
    tap_eq(buffer[1] & 0x80, 0x80, "with removable discs");
}

static void test_disc(void)
{
    for (unsigned i = 0; i < 3 && PACKET(0x00) != 0; i++)
        (void)PACKET(0x03, 0, 0, 0, 18); /* what happened before */
    tap_eq(PACKET(0x00), 0, "TEST UNIT READY");
    tap_eq(PACKET(0x25), 0, "READ CAPACITY");
    tap_eq(big(0), SECTORS - 1, "the last sector");
    tap_eq(big(4), S, "of 2048 bytes");
    tap_eq(PACKET(0x43, 0, 0, 0, 0, 0, 0, 0, 20), 0, "READ TOC");
    tap_eq(buffer[2] | buffer[3] << 8, 0x0101, "one track");
    tap_eq(big(16), SECTORS, "and the lead-out behind it");
    tap_eq(PACKET(0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 28), 0, "MODE SENSE of capabilities");
    tap_eq(buffer[8] & 0x3f, 0x2a, "is that page");
    tap_eq(PACKET(0x46, 0, 0, 0, 0, 0, 0, 0, 8), 0, "GET CONFIGURATION");
    tap_eq(buffer[6] << 8 | buffer[7], 8, "a CD-ROM is in");
}

static void test_reading(void)
{
    tap_eq(PACKET(0x28, 0, 0, 0, 0, 100, 0, 0, 3), 0, "READ (10)");
    tap_eq(got, 3 * S, "of three sectors");
    tap_ok(disk_holds(buffer, 100 * S, 3 * S), "which are right");
    tap_eq(packet((const uint8_t[12]){ 0xa8, 0, 0, 0, 1, 0, 0, 0, 0, 2 }, 2048), 0, "READ (12)");
    tap_ok(got == 2 * S && disk_holds(buffer, 256 * S, 2 * S), "of two, in blocks of one");
    tap_eq(PACKET(0x28, 0, 0, 0, 1, 244, 0, 0, 1), ATA_ERR, "no sector behind the last");
    tap_eq(ata_error(BASE) >> 4, 5, "is an illegal request");
    tap_eq(PACKET(0x03, 0, 0, 0, 18), 0, "REQUEST SENSE");
    tap_eq((buffer[2] & 15) << 16 | buffer[12] << 8 | buffer[13], 0x52100, "says which");
    tap_eq(PACKET(0xff), ATA_ERR, "a packet that is none");
    tap_eq(PACKET(0x03, 0, 0, 0, 18), 0, "REQUEST SENSE");
    tap_eq((buffer[2] & 15) << 16 | buffer[12] << 8 | buffer[13], 0x52000, "says so");
}

static void test_dma(void)
{
    static struct prd table[2] __attribute__((aligned(64)));
    uint32_t at = (uint32_t)(uintptr_t)buffer;

    if (!bm_open()) {
        tap_skip("no PIIX3 bus master", "DMA");
        return;
    }
    memset(buffer, 0, 8 * PAGE);
    table[0] = (struct prd){ .base = at, .bytes = 1000 };
    table[1] = (struct prd){ .base = at + PAGE, .bytes = 4 * S - 1000, .last = 0x8000 };
    tap_ok(begin((const uint8_t[12]){ 0x28, 0, 0, 0, 0, 50, 0, 0, 4 }, 0, true),
           "a packet with DMA");
    tap_eq(bm_run(BASE, table, true), BM_INTERRUPT, "ends with an interrupt");
    tap_eq(ata_wait(BASE) & ATA_ERR, 0, "well");
    tap_ok(disk_holds(buffer, 50 * S, 1000) &&
               disk_holds(buffer + PAGE, 50 * S + 1000, 4 * S - 1000),
           "and the sectors are in their regions");
}

static void test_tray(void)
{
    tap_eq(PACKET(0x1e, 0, 0, 0, 1), 0, "PREVENT MEDIUM REMOVAL");
    tap_eq(PACKET(0x1b, 0, 0, 0, 2), ATA_ERR, "the tray is locked");
    tap_eq(PACKET(0x1e, 0, 0, 0, 0), 0, "ALLOW MEDIUM REMOVAL");
    tap_eq(PACKET(0x1b, 0, 0, 0, 2), 0, "it opens");
    tap_eq(PACKET(0x28, 0, 0, 0, 0, 0, 0, 0, 1), ATA_ERR, "there is no disc");
    tap_eq(PACKET(0x1b, 0, 0, 0, 3), 0, "it closes");
    for (unsigned i = 0; i < 3 && PACKET(0x00) != 0; i++)
        ;
    tap_eq(PACKET(0x28, 0, 0, 0, 0, 0, 0, 0, 1), 0, "and the disc is back");
}

int rom_main(void)
{
    buffer = rom_pages(32);
    (void)ata_command(BASE, 0xec, 0, 0);
    if ((inb(BASE + 4) | inb(BASE + 5) << 8) != 0xeb14) {
        rom_printf("# no CD-ROM drive: everything is skipped\n1..0\n");
        return 0;
    }
    test_identity();
    test_disc();
    test_reading();
    test_dma();
    test_tray();
    tap_done();
}

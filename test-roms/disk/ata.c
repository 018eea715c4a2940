/* ata.c: see ata.h. */
#include "test-roms/disk/ata.h"

#include "test-roms/chipset/pc.h"
#include "test-roms/disk/kit.h"
#include "test-roms/lib/cpu.h"

#define IDE DEVFN(1, 1)
#define BAR4 0x20

static uint16_t master;

unsigned ata_wait(uint16_t base)
{
    unsigned turns = 0;

    while ((inb(base + ATA_CONTROL) & ATA_BSY) && disk_patience(&turns))
        ;
    return inb(base + 7) & ATA_STATE;
}

unsigned ata_error(uint16_t base)
{
    return inb(base + 1);
}

unsigned ata_command(uint16_t base, uint8_t command, uint32_t lba, unsigned count)
{
    outb(base + 6, (uint8_t)(0xe0 | lba >> 24));
    outb(base + 2, (uint8_t)count);
    outb(base + 3, (uint8_t)lba);
    outb(base + 4, (uint8_t)(lba >> 8));
    outb(base + 5, (uint8_t)(lba >> 16));
    outb(base + 7, command);
    return ata_wait(base);
}

unsigned ata_command48(uint16_t base, uint8_t command, uint64_t lba, unsigned count)
{
    outb(base + 6, 0xe0);
    outb(base + 2, (uint8_t)(count >> 8));
    outb(base + 2, (uint8_t)count);
    for (unsigned i = 0; i < 3; i++) {
        outb((uint16_t)(base + 3 + i), (uint8_t)(lba >> (24 + 8 * i)));
        outb((uint16_t)(base + 3 + i), (uint8_t)(lba >> 8 * i));
    }
    outb(base + 7, command);
    return ata_wait(base);
}

void ata_take(uint16_t base, void *to, size_t bytes)
{
    void *at = to;
    size_t words = bytes / 2;

    __asm__ volatile("rep insw" : "+D"(at), "+c"(words) : "d"(base) : "memory");
}

void ata_give(uint16_t base, const void *from, size_t bytes)
{
    const uint16_t *word = from;

    for (size_t i = 0; i < bytes / 2; i++)
        outw(base, word[i]);
}

bool bm_open(void)
{
    if (config_read(IDE, 0, 4) != 0x70108086)
        return false;
    master = (uint16_t)(config_read(IDE, BAR4, 4) & 0xfff0);
    config_write(IDE, 4, 2, config_read(IDE, 4, 2) | 5);
    return master != 0;
}

unsigned bm_run(uint16_t base, const struct prd *table, bool to_memory)
{
    uint16_t at = (uint16_t)(master + (base == ATA_SECONDARY ? 8 : 0));
    uint8_t direction = to_memory ? 8 : 0;
    unsigned turns = 0, status;

    outb(at + 2, BM_ERROR | BM_INTERRUPT);
    outl(at + 4, (uint32_t)(uintptr_t)table);
    outb(at, direction);
    outb(at, direction | 1);
    do
        status = inb(at + 2) & 7;
    while (!(status & BM_INTERRUPT) && disk_patience(&turns));
    outb(at, 0);
    return status;
}

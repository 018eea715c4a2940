/* ata.h: the registers of IDE channels, and their bus master. ATA/ATAPI-6; "Programming Interface for Bus Master IDE
 * Controller", revision 1.0. */
#ifndef TEST_ROMS_DISK_ATA_H
#define TEST_ROMS_DISK_ATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ATA_PRIMARY 0x1f0
#define ATA_SECONDARY 0x170
#define ATA_CONTROL 0x206 /* from the first port */

#define ATA_ERR 0x01u
#define ATA_DRQ 0x08u
#define ATA_DF 0x20u
#define ATA_DRDY 0x40u
#define ATA_BSY 0x80u
#define ATA_STATE (ATA_BSY | ATA_DRDY | ATA_DF | ATA_DRQ | ATA_ERR) /* what is looked at here */

/* Wait for BSY to go, and give the status. */
unsigned ata_wait(uint16_t base);
unsigned ata_error(uint16_t base);

/* A command of 28-bit or 48-bit addresses to drive 0; gives the status behind it. */
unsigned ata_command(uint16_t base, uint8_t command, uint32_t lba, unsigned count);
unsigned ata_command48(uint16_t base, uint8_t command, uint64_t lba, unsigned count);

void ata_take(uint16_t base, void *to, size_t bytes);
void ata_give(uint16_t base, const void *from, size_t bytes);

/* ---- bus master -------------------------------------------------------------------------------------- */

#define BM_ACTIVE 1u
#define BM_ERROR 2u
#define BM_INTERRUPT 4u

struct prd {
    uint32_t base;
    uint16_t bytes; /* 0: 64 KiB */
    uint16_t last;  /* 8000h: it is */
};

/* Find the bus master and let it master. false: there is none. */
bool bm_open(void);

/* Run a table for the channel of `base`; to_memory: the drive is read. Waits for the end, and gives the status. */
unsigned bm_run(uint16_t base, const struct prd *table, bool to_memory);

#endif

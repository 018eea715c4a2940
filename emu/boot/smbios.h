/* SMBIOS: tables that name the machine and its parts. Source: DMTF DSP0134, System Management BIOS Reference Specification
 * 3.0, chapters 5 to 7. */
#ifndef EMU_BOOT_SMBIOS_H
#define EMU_BOOT_SMBIOS_H

#include <stddef.h>
#include <stdint.h>

#define SMBIOS_TABLES_MOST 0x800
#define SMBIOS_ANCHOR_BYTES 31  /* of version 2.8 */
#define SMBIOS_ANCHOR3_BYTES 24 /* of version 3.0 */

struct smbios_config {
    unsigned cpus;
    uint64_t low_ram_end, high_ram_bytes; /* below 4 GiB from 0; from 4 GiB on */
};

/* Invariant: `count` structures fill [0, len); the longest has `longest` bytes with its strings. */
struct smbios_set {
    size_t len, longest;
    unsigned count;
    uint8_t tables[SMBIOS_TABLES_MOST];
};

/* The names of the files for firmware. */
#define SMBIOS_FILE_ANCHOR "etc/smbios/smbios-anchor"
#define SMBIOS_FILE_TABLES "etc/smbios/smbios-tables"

void smbios_build(const struct smbios_config *config, struct smbios_set *set);

/* Entry points for tables that lie at this address. */
void smbios_anchor(const struct smbios_set *set, uint32_t tables_spa,
                   uint8_t anchor[SMBIOS_ANCHOR_BYTES]);
void smbios_anchor3(const struct smbios_set *set, uint64_t tables_spa,
                    uint8_t anchor[SMBIOS_ANCHOR3_BYTES]);

#endif

/* ACPI tables of the machine. Source: ACPI 6.4, chapter 5 "ACPI Software Programming Model"; IA-PC HPET specification 1.0a,
 * 3.2.4; addresses are those of QEMU's `pc` machine.
 *
 * The tables are built as one blob that does not know yet where it will lie, and commands that say which of its bytes are
 * addresses and checksums. Firmware carries them out (fw_cfg's `etc/table-loader`); without firmware acpi_link() does. */
#ifndef EMU_BOOT_ACPI_H
#define EMU_BOOT_ACPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ACPI_TABLES_MOST 0x4000
#define ACPI_RSDP_BYTES 36
#define ACPI_RSDP_OLD_BYTES 20 /* of ACPI 1.0 */
#define ACPI_FACS_BYTES 64
#define ACPI_COMMAND_BYTES 128
#define ACPI_COMMANDS_MOST 32

struct acpi_config {
    unsigned cpus;          /* APIC IDs from 0 on */
    uint64_t low_ram_end;   /* of the RAM below 4 GiB: PCI devices lie behind it */
    uint32_t facs_spa;      /* where the FACS lies, which must be RAM; 0: in the blob */
    bool keyboard, serial2; /* is there such a controller? */
};

/* Invariant: no table lies beyond tables_len, no command beyond commands_len. */
struct acpi_set {
    size_t tables_len, commands_len;
    uint8_t tables[ACPI_TABLES_MOST];
    uint8_t rsdp[ACPI_RSDP_BYTES];
    uint8_t commands[ACPI_COMMANDS_MOST * ACPI_COMMAND_BYTES];
};

/* The names of the blobs for firmware. */
#define ACPI_FILE_TABLES "etc/acpi/tables"
#define ACPI_FILE_RSDP "etc/acpi/rsdp"
#define ACPI_FILE_COMMANDS "etc/table-loader"

void acpi_build(const struct acpi_config *config, struct acpi_set *set);

/* A Firmware ACPI Control Structure, which belongs at config.facs_spa. */
void acpi_facs(uint8_t facs[ACPI_FACS_BYTES]);

/* Do what the commands say for blobs that will lie at these addresses. */
void acpi_link(struct acpi_set *set, uint32_t tables_spa, uint32_t rsdp_spa);

#endif

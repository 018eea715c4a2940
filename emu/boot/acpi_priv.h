/* What the files of the ACPI tables share. */
#ifndef EMU_BOOT_ACPI_PRIV_H
#define EMU_BOOT_ACPI_PRIV_H

#include <pacifica/pacifica.h>

#include "emu/boot/acpi.h"

/* The commands: offsets in an entry of 128 bytes. Source: QEMU, hw/acpi/bios-linker-loader.c; SeaBIOS and OVMF carry them
 * out. */
enum acpi_command { COMMAND_ALLOCATE = 1, COMMAND_ADD_POINTER = 2, COMMAND_ADD_CHECKSUM = 3 };
enum acpi_zone { ZONE_HIGH = 1, ZONE_FSEG = 2 };
#define COMMAND_FILE_BYTES 56
#define COMMAND_FILE 4u
#define ALLOCATE_ALIGN 60u
#define ALLOCATE_ZONE 64u
#define POINTER_SOURCE 60u
#define POINTER_OFFSET 116u
#define POINTER_SIZE 120u
#define CHECKSUM_OFFSET 60u
#define CHECKSUM_START 64u
#define CHECKSUM_LENGTH 68u

void acpi_command_allocate(struct acpi_set *set, const char *file, uint32_t align,
                           enum acpi_zone zone);
/* The little-endian number of `size` bytes at `offset` of `file` counts from the start of `source`. */
void acpi_command_pointer(struct acpi_set *set, const char *file, uint32_t offset, uint8_t size,
                          const char *source);
/* The byte at `offset` makes the sum of [start, start + length) zero. */
void acpi_command_checksum(struct acpi_set *set, const char *file, uint32_t offset, uint32_t start,
                           uint32_t length);

/* dsdt.asl, as iasl compiled it. Made by emu/cli/embed.cmake. */
struct pacifica_bytes acpi_dsdt(void);

#endif

/* Commands for a loader of ACPI tables: writing them, and carrying them out. */
#include "emu/boot/acpi_priv.h"
#include "emu/boot/boot_priv.h"

#include <assert.h>
#include <string.h>

static uint8_t *command_add(struct acpi_set *set, enum acpi_command command, const char *file)
{
    assert(set->commands_len + ACPI_COMMAND_BYTES <= sizeof(set->commands));
    uint8_t *entry = set->commands + set->commands_len;
    set->commands_len += ACPI_COMMAND_BYTES;
    memset(entry, 0, ACPI_COMMAND_BYTES);
    boot_put(entry, command, 4);
    memcpy(entry + COMMAND_FILE, file, strlen(file));
    return entry;
}

void acpi_command_allocate(struct acpi_set *set, const char *file, uint32_t align,
                           enum acpi_zone zone)
{
    uint8_t *entry = command_add(set, COMMAND_ALLOCATE, file);
    boot_put(entry + ALLOCATE_ALIGN, align, 4);
    entry[ALLOCATE_ZONE] = (uint8_t)zone;
}

void acpi_command_pointer(struct acpi_set *set, const char *file, uint32_t offset, uint8_t size,
                          const char *source)
{
    uint8_t *entry = command_add(set, COMMAND_ADD_POINTER, file);
    memcpy(entry + POINTER_SOURCE, source, strlen(source));
    boot_put(entry + POINTER_OFFSET, offset, 4);
    entry[POINTER_SIZE] = size;
}

void acpi_command_checksum(struct acpi_set *set, const char *file, uint32_t offset, uint32_t start,
                           uint32_t length)
{
    uint8_t *entry = command_add(set, COMMAND_ADD_CHECKSUM, file);
    boot_put(entry + CHECKSUM_OFFSET, offset, 4);
    boot_put(entry + CHECKSUM_START, start, 4);
    boot_put(entry + CHECKSUM_LENGTH, length, 4);
}

/* --- carrying them out: they are our own, so nothing in them is checked -------------------------- */

static bool is_rsdp(const uint8_t *name)
{
    return strncmp((const char *)name, ACPI_FILE_RSDP, COMMAND_FILE_BYTES) == 0;
}

static void add_pointer(uint8_t *to, unsigned size, uint64_t base)
{
    uint64_t value = size == 8 ? boot_get64(to) : boot_get32(to);
    boot_put(to, value + base, size);
}

static void add_checksum(uint8_t *blob, const uint8_t *entry)
{
    uint32_t start = boot_get32(entry + CHECKSUM_START),
             length = boot_get32(entry + CHECKSUM_LENGTH);
    uint8_t sum = 0;
    for (uint32_t i = 0; i < length; i++)
        sum = (uint8_t)(sum + blob[start + i]);
    blob[boot_get32(entry + CHECKSUM_OFFSET)] -= sum;
}

void acpi_link(struct acpi_set *set, uint32_t tables_spa, uint32_t rsdp_spa)
{
    for (size_t at = 0; at < set->commands_len; at += ACPI_COMMAND_BYTES) {
        const uint8_t *entry = set->commands + at;
        uint8_t *blob = is_rsdp(entry + COMMAND_FILE) ? set->rsdp : set->tables;
        uint32_t base = is_rsdp(entry + POINTER_SOURCE) ? rsdp_spa : tables_spa;
        switch (boot_get32(entry)) {
        case COMMAND_ADD_POINTER:
            add_pointer(blob + boot_get32(entry + POINTER_OFFSET), entry[POINTER_SIZE], base);
            break;
        case COMMAND_ADD_CHECKSUM: add_checksum(blob, entry); break;
        default: break; /* whoever calls has allocated */
        }
    }
}

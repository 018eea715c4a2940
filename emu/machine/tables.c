/* The tables that tell software what the machine is: in a ROM for kernels that start without firmware, in fw_cfg for firmware,
 * which installs them itself. Source: QEMU's docs/specs/fw_cfg; the files' formats are those that SeaBIOS and OVMF read. */
#include "emu/machine/machine.h"

#include "devices/fw_cfg.h"
#include "emu/base/diag.h"
#include "emu/boot/acpi.h"
#include "emu/boot/bios_area.h"
#include "emu/boot/smbios.h"

#include <stdlib.h>
#include <string.h>

#define GIB4 (UINT64_C(1) << 32)
#define E820_FILE "etc/e820"
#define E820_ENTRY_BYTES 20
#define E820_RAM 1

/* They stay when another kernel is loaded. */
enum pacifica_status machine_add_bios_area(struct pacifica_machine *machine,
                                           struct pacifica_diag *diag)
{
    const struct bios_area_config config = { .cpus = machine->cpu_count,
                                             .keyboard = true,
                                             .serial2 = machine->com2 != NULL };
    if (machine->bios_area)
        return PACIFICA_OK;
    enum pacifica_status status = bios_area_map(machine->memory, &config, diag);
    machine->bios_area = status == PACIFICA_OK;
    return status;
}

static uint64_t low_ram_end(const struct pacifica_machine *machine)
{
    return memory_ram_bytes(machine->memory) - memory_high_bytes(machine->memory);
}

static enum pacifica_status add_acpi(struct pacifica_machine *machine, struct pacifica_diag *diag)
{
    const struct acpi_config config = { .cpus = machine->cpu_count,
                                        .low_ram_end = low_ram_end(machine),
                                        .keyboard = true,
                                        .serial2 = machine->com2 != NULL };
    struct acpi_set *set = malloc(sizeof(*set));
    if (!set)
        return diag_set(diag, PACIFICA_ENOMEM, NULL, NULL, "no memory for the ACPI tables");
    acpi_build(&config, set);
    enum pacifica_status status =
        fw_cfg_add_file(machine->fw_cfg, ACPI_FILE_RSDP, set->rsdp, ACPI_RSDP_BYTES, diag);
    if (status == PACIFICA_OK)
        status =
            fw_cfg_add_file(machine->fw_cfg, ACPI_FILE_TABLES, set->tables, set->tables_len, diag);
    if (status == PACIFICA_OK)
        status = fw_cfg_add_file(machine->fw_cfg, ACPI_FILE_COMMANDS, set->commands,
                                 set->commands_len, diag);
    free(set);
    return status;
}

/* The anchor's address of the tables is filled in by firmware. */
static enum pacifica_status add_smbios(struct pacifica_machine *machine, struct pacifica_diag *diag)
{
    const struct smbios_config config = { .cpus = machine->cpu_count,
                                          .low_ram_end = low_ram_end(machine),
                                          .high_ram_bytes = memory_high_bytes(machine->memory) };
    uint8_t anchor[SMBIOS_ANCHOR_BYTES];
    struct smbios_set *set = malloc(sizeof(*set));
    if (!set)
        return diag_set(diag, PACIFICA_ENOMEM, NULL, NULL, "no memory for the SMBIOS tables");
    smbios_build(&config, set);
    smbios_anchor(set, 0, anchor);
    enum pacifica_status status =
        fw_cfg_add_file(machine->fw_cfg, SMBIOS_FILE_TABLES, set->tables, set->len, diag);
    if (status == PACIFICA_OK)
        status = fw_cfg_add_file(machine->fw_cfg, SMBIOS_FILE_ANCHOR, anchor, sizeof(anchor), diag);
    free(set);
    return status;
}

static void put_number(uint8_t *to, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

/* RAM only, the hole below 1 MiB not cut out: firmware knows it. */
static enum pacifica_status add_e820(struct pacifica_machine *machine, struct pacifica_diag *diag)
{
    uint64_t high = memory_high_bytes(machine->memory);
    uint8_t map[2 * E820_ENTRY_BYTES];
    put_number(map, 0, 8);
    put_number(map + 8, low_ram_end(machine), 8);
    put_number(map + 16, E820_RAM, 4);
    put_number(map + 20, GIB4, 8);
    put_number(map + 28, high, 8);
    put_number(map + 36, E820_RAM, 4);
    return fw_cfg_add_file(machine->fw_cfg, E820_FILE, map, high ? sizeof(map) : E820_ENTRY_BYTES,
                           diag);
}

enum pacifica_status machine_add_firmware_tables(struct pacifica_machine *machine,
                                                 struct pacifica_diag *diag)
{
    enum pacifica_status status = add_acpi(machine, diag);
    if (status == PACIFICA_OK)
        status = add_smbios(machine, diag);
    return status == PACIFICA_OK ? add_e820(machine, diag) : status;
}

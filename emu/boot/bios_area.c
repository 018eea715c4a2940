/* Laying out the BIOS area. Software searches it on boundaries of 16 bytes: ACPI 6.4, 5.2.5.1; MP 1.4, 4; SMBIOS 3.0, 5.2. */
#include "emu/boot/bios_area.h"

#include "emu/boot/acpi.h"
#include "emu/boot/bios_calls.h"
#include "emu/boot/boot.h"
#include "emu/boot/mptable.h"
#include "emu/boot/smbios.h"

#include <stdlib.h>
#include <string.h>

#define MIB1 0x100000u

/* Offsets in the area. */
#define AT_RSDP 0x0000u
#define AT_MP_POINTER 0x0040u
#define AT_SMBIOS3 0x0060u
#define AT_SMBIOS 0x0080u
#define AT_SMBIOS_TABLES 0x0200u
#define AT_MP_TABLE 0x1000u
#define AT_ACPI 0x2000u
#define AT_RESET 0xfff0u
#define AT_DATE 0xfff5u
#define AT_MODEL 0xfffeu
#define MODEL_AT 0xfcu

_Static_assert(AT_SMBIOS_TABLES + SMBIOS_TABLES_MOST <= AT_MP_TABLE, "room for SMBIOS");
_Static_assert(AT_MP_TABLE + MPTABLE_MOST <= AT_ACPI, "room for the MP table");
_Static_assert(AT_ACPI + ACPI_TABLES_MOST <= BIOS_CALLS_OFFSET, "room for ACPI");
_Static_assert(BIOS_CALLS_OFFSET + BIOS_CALLS_MOST <= AT_RESET, "room for BIOS interrupts");

struct area {
    uint8_t bytes[BIOS_AREA_BYTES];
    struct acpi_set acpi;
    struct smbios_set smbios;
    struct mptable mp;
    struct bios_calls calls;
};

static uint64_t low_ram_end(const struct memory *memory)
{
    struct boot_region map[BOOT_REGIONS_MAX];
    unsigned regions = boot_memory_map(memory, map);
    for (unsigned i = 0; i < regions; i++)
        if (map[i].base == MIB1)
            return MIB1 + map[i].len;
    return MIB1;
}

static void put_acpi(struct area *area, const struct bios_area_config *config, uint64_t low_end)
{
    const struct acpi_config acpi = { .cpus = config->cpus,
                                      .low_ram_end = low_end,
                                      .facs_spa = BIOS_AREA_FACS,
                                      .keyboard = config->keyboard,
                                      .serial2 = config->serial2 };
    acpi_build(&acpi, &area->acpi);
    acpi_link(&area->acpi, BIOS_AREA_SPA + AT_ACPI, BIOS_AREA_SPA + AT_RSDP);
    memcpy(area->bytes + AT_ACPI, area->acpi.tables, area->acpi.tables_len);
    memcpy(area->bytes + AT_RSDP, area->acpi.rsdp, ACPI_RSDP_BYTES);
}

static void put_smbios(struct area *area, const struct bios_area_config *config, uint64_t low_end,
                       uint64_t high_bytes)
{
    const struct smbios_config smbios = { .cpus = config->cpus,
                                          .low_ram_end = low_end,
                                          .high_ram_bytes = high_bytes };
    smbios_build(&smbios, &area->smbios);
    memcpy(area->bytes + AT_SMBIOS_TABLES, area->smbios.tables, area->smbios.len);
    smbios_anchor(&area->smbios, BIOS_AREA_SPA + AT_SMBIOS_TABLES, area->bytes + AT_SMBIOS);
    smbios_anchor3(&area->smbios, BIOS_AREA_SPA + AT_SMBIOS_TABLES, area->bytes + AT_SMBIOS3);
}

static void put_mp_table(struct area *area, unsigned cpus)
{
    static const uint8_t pirq[4] = { 10, 10, 11, 11 }; /* as firmware routes them */
    mptable_build(cpus, pirq, &area->mp);
    memcpy(area->bytes + AT_MP_TABLE, area->mp.bytes, area->mp.len);
    mptable_pointer(BIOS_AREA_SPA + AT_MP_TABLE, area->bytes + AT_MP_POINTER);
}

/* And a jump at the reset vector, which leads to a reset. */
static void put_calls(struct area *area, const struct memory *memory)
{
    static const uint8_t far_jump = 0xea;
    struct boot_region map[BOOT_REGIONS_MAX];
    unsigned regions = boot_memory_map(memory, map);
    const struct bios_calls *calls = &area->calls;
    bios_calls_build(map, regions, &area->calls);
    memcpy(area->bytes + BIOS_CALLS_OFFSET, calls->bytes, calls->len);
    area->bytes[AT_RESET] = far_jump;
    area->bytes[AT_RESET + 1] = (uint8_t)calls->reset;
    area->bytes[AT_RESET + 2] = (uint8_t)(calls->reset >> 8);
    area->bytes[AT_RESET + 3] = (uint8_t)BIOS_CALLS_SEGMENT;
    area->bytes[AT_RESET + 4] = (uint8_t)(BIOS_CALLS_SEGMENT >> 8);
}

enum pacifica_status bios_area_map(struct memory *memory, const struct bios_area_config *config,
                                   struct pacifica_diag *diag)
{
    struct area *area = calloc(1, sizeof(*area));
    if (!area)
        return diag_set(diag, PACIFICA_ENOMEM, NULL, NULL, "no memory for the BIOS area");
    uint64_t low_end = low_ram_end(memory);
    put_acpi(area, config, low_end);
    put_smbios(area, config, low_end, memory_high_bytes(memory));
    put_mp_table(area, config->cpus);
    put_calls(area, memory);
    memcpy(area->bytes + AT_DATE, "01/01/00", 8);
    area->bytes[AT_MODEL] = MODEL_AT;
    bool mapped = memory_add_rom(memory, BIOS_AREA_SPA, area->bytes, BIOS_AREA_BYTES);
    free(area);
    if (!mapped)
        return diag_set(diag, PACIFICA_ERANGE, "the BIOS area", NULL, "no room for a ROM at 0x%x",
                        BIOS_AREA_SPA);
    return PACIFICA_OK;
}

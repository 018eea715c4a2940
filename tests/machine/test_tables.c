/* The tables of a machine, as its software finds them: in fw_cfg if there is firmware, below 1 MiB if there is none. */
#include "emu/machine/machine.h"

#include <stdlib.h>
#include <string.h>

#include "emu/boot/acpi.h"
#include "emu/boot/bios_area.h"
#include "tests/check_main.h"

#define GIB (UINT64_C(1) << 30)
#define PAGE 4096

static struct pacifica_machine *machine_new(uint64_t ram_bytes, unsigned cpus)
{
    struct pacifica_options options = PACIFICA_OPTIONS_INIT;
    struct pacifica_machine *machine;
    options.ram_bytes = ram_bytes;
    options.cpus = cpus;
    ck_assert_int_eq(pacifica_machine_new(&options, &machine, NULL), PACIFICA_OK);
    return machine;
}

static void load_rom(struct pacifica_machine *machine, uint64_t load_at)
{
    static uint8_t rom[PAGE];
    struct pacifica_firmware firmware = PACIFICA_FIRMWARE_INIT;
    firmware.image = (struct pacifica_bytes){ .data = rom, .size = sizeof(rom) };
    firmware.load_at = load_at;
    ck_assert_int_eq(pacifica_machine_load_firmware(machine, &firmware, NULL), PACIFICA_OK);
}

static void fw_select(struct pacifica_machine *machine, unsigned key)
{
    bus_port_ops.write(machine->bus, 0x510, 2, key);
}

static uint64_t fw_read(struct pacifica_machine *machine, unsigned bytes, bool big_endian)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)(bus_port_ops.read(machine->bus, 0x511, 1) & 0xff)
                 << 8 * (big_endian ? bytes - 1 - i : i);
    return value;
}

/* Select the file; returns its length, 0 if it is not there. */
static size_t fw_file(struct pacifica_machine *machine, const char *name)
{
    fw_select(machine, 0x19);
    uint64_t count = fw_read(machine, 4, true);
    for (uint64_t i = 0; i < count; i++) {
        char text[56];
        size_t len = fw_read(machine, 4, true);
        unsigned key = (unsigned)fw_read(machine, 4, true) >> 16;
        for (size_t c = 0; c < sizeof(text); c++)
            text[c] = (char)fw_read(machine, 1, false);
        if (strcmp(text, name) != 0)
            continue;
        fw_select(machine, key);
        return len;
    }
    return 0;
}

START_TEST(firmware_finds_files)
{
    static const char *const name[] = { "etc/acpi/rsdp",
                                        "etc/acpi/tables",
                                        "etc/table-loader",
                                        "etc/smbios/smbios-tables",
                                        "etc/smbios/smbios-anchor",
                                        "etc/e820" };
    struct pacifica_machine *machine = machine_new(2 << 20, 3);
    for (size_t i = 0; i < 6; i++)
        ck_assert_uint_eq(fw_file(machine, name[i]), 0); /* not before there is any */
    load_rom(machine, PACIFICA_FIRMWARE_TOP);
    load_rom(machine, UINT64_C(0xe0000000)); /* a second one adds none */
    for (size_t i = 0; i < 6; i++)
        ck_assert_uint_gt(fw_file(machine, name[i]), 0);
    ck_assert_uint_eq(fw_file(machine, "etc/acpi/rsdp"), ACPI_RSDP_BYTES);
    ck_assert_uint_eq(fw_read(machine, 8, true), 0x5253442050545220);
    ck_assert_uint_eq(fw_file(machine, "etc/table-loader") % ACPI_COMMAND_BYTES, 0);
    ck_assert_uint_eq(fw_file(machine, "etc/smbios/smbios-anchor"), 31);
    ck_assert_uint_eq(fw_read(machine, 4, true), 0x5f534d5f);
    fw_select(machine, 0x8002);
    ck_assert_uint_eq(fw_read(machine, 4, false), 1); /* the timer is input 2 of the I/O APIC */
    pacifica_machine_free(machine);
}
END_TEST

START_TEST(firmware_finds_all_of_ram)
{
    static const struct {
        uint64_t ram, low, high;
    } row[] = { { 512 << 20, 512 << 20, 0 }, { 4 * GIB, 3 * GIB, GIB } };
    for (size_t i = 0; i < 2; i++) {
        struct pacifica_machine *machine = machine_new(row[i].ram, 1);
        load_rom(machine, PACIFICA_FIRMWARE_TOP);
        ck_assert_uint_eq(fw_file(machine, "etc/e820"), row[i].high ? 40 : 20);
        ck_assert_uint_eq(fw_read(machine, 8, false), 0);
        ck_assert_uint_eq(fw_read(machine, 8, false), row[i].low);
        ck_assert_uint_eq(fw_read(machine, 4, false), 1);
        if (row[i].high) {
            ck_assert_uint_eq(fw_read(machine, 8, false), 4 * GIB);
            ck_assert_uint_eq(fw_read(machine, 8, false), row[i].high);
            ck_assert_uint_eq(fw_read(machine, 4, false), 1);
        }
        pacifica_machine_free(machine);
    }
}
END_TEST

/* A Multiboot image that halts. */
static const uint32_t kernel[] = { 0x1badb002, 0x10000,  0u - 0x1badb002 - 0x10000,
                                   0x200000,   0x200000, 0,
                                   0,          0x200020, 0xf4 };

static void load_kernel(struct pacifica_machine *machine)
{
    const struct pacifica_kernel source = { .image = { .data = kernel, .size = sizeof(kernel) } };
    ck_assert_int_eq(pacifica_machine_load_kernel(machine, &source, NULL), PACIFICA_OK);
}

START_TEST(kernels_find_tables_below_1_mib)
{
    struct pacifica_machine *machine = machine_new(16 << 20, 2);
    ck_assert_uint_eq(phys_read(machine->memory, BIOS_AREA_RSDP, 8), UINT64_MAX); /* open bus */
    load_kernel(machine);
    ck_assert_uint_eq(phys_read(machine->memory, BIOS_AREA_RSDP, 8), 0x2052545020445352);
    ck_assert_uint_eq(phys_read(machine->memory, BIOS_AREA_FACS, 4), 0x53434146);
    phys_write(machine->memory, BIOS_AREA_FACS, 4, 0);
    load_kernel(machine); /* the ROM stays, and the FACS is new */
    ck_assert_uint_eq(phys_read(machine->memory, BIOS_AREA_FACS, 4), 0x53434146);
    ck_assert_int_eq(pacifica_machine_reset(machine, NULL), PACIFICA_OK);
    pacifica_machine_free(machine);
}
END_TEST

START_TEST(kernels_find_memory_types_on_all_processors)
{
    struct pacifica_machine *machine = machine_new(16 << 20, 2);
    load_kernel(machine);
    for (unsigned i = 0; i < 2; i++)
        ck_assert_uint_eq(machine->cpu[i]->msr.mtrr_def, 0xc06);
    ck_assert_uint_eq(machine->cpu[1]->msr.mtrr_phys[1],
                      (((UINT64_C(1) << machine->model.address_bits) - 1) & ~(GIB - 1)) | 0x800);
    pacifica_machine_free(machine);
}
END_TEST

START_TEST(firmware_finds_memory_types_off)
{
    struct pacifica_machine *machine = machine_new(16 << 20, 1);
    load_rom(machine, PACIFICA_FIRMWARE_TOP);
    ck_assert_uint_eq(machine->cpu[0]->msr.mtrr_def, 0);
    pacifica_machine_free(machine);
}
END_TEST

CHECK_MAIN("tables", firmware_finds_files, firmware_finds_all_of_ram,
           kernels_find_tables_below_1_mib, kernels_find_memory_types_on_all_processors,
           firmware_finds_memory_types_off)

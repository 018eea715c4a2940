/* ACPI 6.4, chapter 5: the tables as built, as linked without firmware, and as a loader in firmware would link them. */
#include "tests/boot/kit.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "emu/boot/acpi_priv.h"
#include "emu/boot/boot_priv.h"

#define TABLES 0x7ff00000u
#define RSDP 0xf5000u

static struct acpi_set *build(unsigned cpus, uint32_t facs)
{
    struct acpi_set *set = malloc(sizeof(*set));
    const struct acpi_config config = {
        .cpus = cpus, .low_ram_end = 0x20000000, .facs_spa = facs, .keyboard = true
    };
    ck_assert_ptr_nonnull(set);
    acpi_build(&config, set);
    return set;
}

static struct acpi_set *linked(unsigned cpus, uint32_t facs)
{
    struct acpi_set *set = build(cpus, facs);
    acpi_link(set, TABLES, RSDP);
    return set;
}

static uint8_t sum(const uint8_t *bytes, size_t len)
{
    uint8_t total = 0;
    for (size_t i = 0; i < len; i++)
        total = (uint8_t)(total + bytes[i]);
    return total;
}

/* The table at a guest address: in the blob, with its signature and a right checksum. */
static const uint8_t *table_at(const struct acpi_set *set, uint64_t spa, const char *signature)
{
    ck_assert_uint_ge(spa, TABLES);
    ck_assert_uint_lt(spa - TABLES, set->tables_len);
    const uint8_t *table = set->tables + (spa - TABLES);
    uint32_t len = boot_get32(table + 4);
    ck_assert_msg(memcmp(table, signature, 4) == 0, "%.4s is not %s", (const char *)table,
                  signature);
    ck_assert_uint_ge(len, 36);
    ck_assert_uint_le(spa - TABLES + len, set->tables_len);
    ck_assert_msg(sum(table, len) == 0, "the sum of %s is wrong", signature);
    ck_assert_uint_eq(spa % 8, 0);
    return table;
}

/* By way of the XSDT. */
static const uint8_t *find(const struct acpi_set *set, unsigned index, const char *signature)
{
    const uint8_t *xsdt = table_at(set, boot_get64(set->rsdp + 24), "XSDT");
    return table_at(set, boot_get64(xsdt + 36 + 8 * (size_t)index), signature);
}

START_TEST(acpi_rsdp_leads_to_both_roots)
{
    struct acpi_set *set = linked(2, 0);
    ck_assert_int_eq(memcmp(set->rsdp, "RSD PTR ", 8), 0);
    ck_assert_uint_eq(sum(set->rsdp, 20), 0);
    ck_assert_uint_eq(sum(set->rsdp, 36), 0);
    ck_assert_uint_eq(set->rsdp[15], 2);
    ck_assert_uint_eq(boot_get32(set->rsdp + 20), 36);
    const uint8_t *rsdt = table_at(set, boot_get32(set->rsdp + 16), "RSDT");
    const uint8_t *xsdt = table_at(set, boot_get64(set->rsdp + 24), "XSDT");
    static const char *const want[] = { "FACP", "APIC", "HPET" };
    ck_assert_uint_eq(boot_get32(rsdt + 4), 36 + 4 * 3);
    ck_assert_uint_eq(boot_get32(xsdt + 4), 36 + 8 * 3);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(boot_get32(rsdt + 36 + 4 * i), boot_get64(xsdt + 36 + 8 * i));
        (void)find(set, (unsigned)i, want[i]);
    }
    free(set);
}
END_TEST

START_TEST(acpi_fadt)
{
    for (uint32_t facs_spa = 0; facs_spa <= 0x9fe00; facs_spa += 0x9fe00) {
        struct acpi_set *set = linked(1, facs_spa);
        const uint8_t *fadt = find(set, 0, "FACP");
        ck_assert_uint_eq(boot_get32(fadt + 4), 244);
        ck_assert_uint_eq(fadt[8], 3);
        (void)table_at(set, boot_get32(fadt + 40), "DSDT");
        ck_assert_uint_eq(boot_get64(fadt + 140), boot_get32(fadt + 40));
        ck_assert_uint_eq(boot_get16(fadt + 46), 9);
        ck_assert_uint_eq(boot_get32(fadt + 48), 0xb2);
        ck_assert_uint_eq(fadt[52], 0xf1);
        ck_assert_uint_eq(fadt[53], 0xf0);
        ck_assert_uint_eq(boot_get32(fadt + 56), 0x600);
        ck_assert_uint_eq(boot_get32(fadt + 64), 0x604);
        ck_assert_uint_eq(boot_get32(fadt + 76), 0x608);
        ck_assert_uint_eq(boot_get32(fadt + 80), 0xafe0);
        ck_assert_uint_eq(boot_get32(fadt + 112) >> 10 & 1, 1); /* there is a reset register */
        ck_assert_uint_eq(boot_get64(fadt + 120), 0xcf9);
        ck_assert_uint_eq(fadt[128], 6);
        /* The extended registers are the same ones. */
        static const struct {
            unsigned at, old, length_at;
        } port[] = { { 148, 56, 88 }, { 172, 64, 89 }, { 208, 76, 91 }, { 220, 80, 92 } };
        for (size_t i = 0; i < 4; i++) {
            ck_assert_uint_eq(fadt[port[i].at], 1);
            ck_assert_uint_eq(fadt[port[i].at + 1], 8u * fadt[port[i].length_at]);
            ck_assert_uint_eq(boot_get64(fadt + port[i].at + 4), boot_get32(fadt + port[i].old));
        }
        uint32_t facs = boot_get32(fadt + 36);
        ck_assert_uint_eq(boot_get64(fadt + 132), facs);
        if (facs_spa) {
            ck_assert_uint_eq(facs, facs_spa);
        } else {
            ck_assert_uint_eq(facs % 64, 0);
            ck_assert_int_eq(memcmp(set->tables + (facs - TABLES), "FACS\x40\0\0\0", 8), 0);
        }
        free(set);
    }
}
END_TEST

START_TEST(acpi_madt_has_all_processors)
{
    static const unsigned count[] = { 1, 2, 64 };
    for (size_t n = 0; n < 3; n++) {
        struct acpi_set *set = linked(count[n], 0);
        const uint8_t *madt = find(set, 1, "APIC");
        size_t len = boot_get32(madt + 4);
        unsigned cpus = 0, io = 0, overrides = 0, nmis = 0;
        ck_assert_uint_eq(boot_get32(madt + 36), 0xfee00000);
        ck_assert_uint_eq(boot_get32(madt + 40), 1);
        for (size_t at = 44; at < len; at += madt[at + 1]) {
            const uint8_t *entry = madt + at;
            ck_assert_uint_gt(entry[1], 0);
            switch (entry[0]) {
            case 0:
                ck_assert_uint_eq(entry[1], 8);
                ck_assert_uint_eq(entry[2], cpus);
                ck_assert_uint_eq(entry[3], cpus++);
                ck_assert_uint_eq(boot_get32(entry + 4), 1);
                break;
            case 1:
                ck_assert_uint_eq(entry[1], 12);
                ck_assert_uint_eq(boot_get32(entry + 4), 0xfec00000);
                ck_assert_uint_eq(boot_get32(entry + 8), 0);
                io++;
                break;
            case 2: {
                static const uint8_t irq[] = { 0, 5, 9, 10, 11 }, gsi[] = { 2, 5, 9, 10, 11 };
                ck_assert_uint_eq(entry[1], 10);
                ck_assert_uint_lt(overrides, 5);
                ck_assert_uint_eq(entry[3], irq[overrides]);
                ck_assert_uint_eq(boot_get32(entry + 4), gsi[overrides]);
                ck_assert_uint_eq(boot_get16(entry + 8), overrides ? 0xd : 0);
                overrides++;
                break;
            }
            case 4:
                ck_assert_int_eq(memcmp(entry, "\4\6\xff\0\0\1", 6), 0);
                nmis++;
                break;
            default: ck_abort_msg("entry of type %u", entry[0]);
            }
        }
        ck_assert_uint_eq(cpus, count[n]);
        ck_assert_uint_eq(io, 1);
        ck_assert_uint_eq(overrides, 5);
        ck_assert_uint_eq(nmis, 1);
        free(set);
    }
}
END_TEST

START_TEST(acpi_hpet)
{
    struct acpi_set *set = linked(1, 0);
    const uint8_t *hpet = find(set, 2, "HPET");
    ck_assert_uint_eq(boot_get32(hpet + 4), 56);
    ck_assert_uint_eq(boot_get32(hpet + 36), 0x8086a201);
    ck_assert_uint_eq(hpet[40], 0); /* in memory */
    ck_assert_uint_eq(boot_get64(hpet + 44), 0xfed00000);
    ck_assert_uint_eq(hpet[52], 0);
    free(set);
}
END_TEST

/* The parameter's value as it stands in the DSDT. */
static uint32_t parameter(const struct acpi_set *set, const char *name)
{
    const uint8_t *dsdt = table_at(set, boot_get32(find(set, 0, "FACP") + 40), "DSDT");
    for (uint32_t at = 36; at + 10 <= boot_get32(dsdt + 4); at++)
        if (memcmp(dsdt + at, name, 4) == 0 && dsdt[at - 1] == 8)
            return boot_get32(dsdt + at + 5);
    ck_abort_msg("no %s", name);
}

START_TEST(acpi_dsdt_parameters)
{
    struct acpi_set *set = linked(17, 0);
    ck_assert_uint_eq(parameter(set, "NCPU"), 17);
    ck_assert_uint_eq(parameter(set, "PCIL"), 0x20000000);
    ck_assert_uint_eq(parameter(set, "HPTP"), 1);
    ck_assert_uint_eq(parameter(set, "KBDP"), 1);
    ck_assert_uint_eq(parameter(set, "COM2"), 0);
    free(set);
}
END_TEST

/* What SeaBIOS and OVMF do with the commands, apart from acpi_link(): every command is known, refers to files that were
 * allocated before, and stays inside them. */
START_TEST(acpi_commands_are_complete)
{
    struct acpi_set *set = build(64, 0);
    bool tables = false, rsdp = false;
    ck_assert_uint_eq(set->commands_len % ACPI_COMMAND_BYTES, 0);
    for (size_t at = 0; at < set->commands_len; at += ACPI_COMMAND_BYTES) {
        const uint8_t *entry = set->commands + at;
        bool of_tables = strcmp((const char *)entry + 4, "etc/acpi/tables") == 0;
        size_t len = of_tables ? set->tables_len : ACPI_RSDP_BYTES;
        if (!of_tables)
            ck_assert_str_eq((const char *)entry + 4, "etc/acpi/rsdp");
        switch (boot_get32(entry)) {
        case 1: /* allocate: zone 1 is anywhere, 2 the F segment */
            ck_assert_uint_eq(boot_get32(entry + 60), of_tables ? 64 : 16);
            ck_assert_uint_eq(entry[64], of_tables ? 1 : 2);
            *(of_tables ? &tables : &rsdp) = true;
            break;
        case 2: { /* add pointer: an offset into the source stands there */
            uint32_t where = boot_get32(entry + 116);
            const uint8_t *blob = of_tables ? set->tables : set->rsdp;
            ck_assert(tables && rsdp);
            ck_assert_str_eq((const char *)entry + 60, "etc/acpi/tables");
            ck_assert(entry[120] == 4 || entry[120] == 8);
            ck_assert_uint_le(where + entry[120], len);
            ck_assert_uint_lt(boot_get32(blob + where), set->tables_len);
            break;
        }
        case 3:
            ck_assert(tables && rsdp);
            ck_assert_uint_le(boot_get32(entry + 64) + boot_get32(entry + 68), len);
            ck_assert_uint_lt(boot_get32(entry + 60), len);
            break;
        default: ck_abort_msg("command %u", boot_get32(entry));
        }
    }
    free(set);
}
END_TEST

/* iasl reads back each table; it was there to compile the DSDT, but perhaps not where the test runs. */
START_TEST(acpi_iasl_reads_the_tables)
{
    static const char *const name[] = { "FACP", "APIC", "HPET" };
    char folder[] = "/tmp/acpi-XXXXXX", path[64], command[256];
    if (system("command -v iasl >/dev/null 2>&1") != 0) /* NOLINT: a fixed string */
        return;
    ck_assert_ptr_nonnull(mkdtemp(folder));
    struct acpi_set *set = linked(4, 0);
    for (unsigned i = 0; i < 4; i++) {
        const uint8_t *table = i < 3 ? find(set, i, name[i])
                                     : table_at(set, boot_get32(find(set, 0, "FACP") + 40), "DSDT");
        (void)snprintf(path, sizeof(path), "%s/table%u.dat", folder, i);
        FILE *file = fopen(path, "wb");
        ck_assert_ptr_nonnull(file);
        ck_assert_uint_eq(fwrite(table, boot_get32(table + 4), 1, file), 1);
        ck_assert_int_eq(fclose(file), 0);
        (void)snprintf(command, sizeof(command),
                       "cd %s && iasl -d table%u.dat >log%u 2>&1 && "
                       "! grep -iE 'error|warning|invalid|unknown|incorrect' log%u table%u.dsl",
                       folder, i, i, i, i);
        ck_assert_msg(system(command) == 0, "iasl complains of %s", i < 3 ? name[i] : "DSDT");
    }
    (void)snprintf(command, sizeof(command), "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
    free(set);
}
END_TEST

CHECK_MAIN("acpi", acpi_rsdp_leads_to_both_roots, acpi_fadt, acpi_madt_has_all_processors,
           acpi_hpet, acpi_dsdt_parameters, acpi_commands_are_complete, acpi_iasl_reads_the_tables)

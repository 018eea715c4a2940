/* Building the ACPI tables.
 *
 * CHOICE: revision 3 of the FADT, with the reset register, which QEMU's `pc` machine does not tell. Of the sleep states
 * there is S5 alone. No x2APIC entries: 64 processors have APIC IDs below 255. */
#include "emu/boot/acpi_priv.h"
#include "devices/hpet.h"
#include "devices/ioapic.h"
#include "devices/piix4_pm.h"
#include "emu/boot/boot_priv.h"

#include <assert.h>
#include <string.h>

#define LOCAL_APIC 0xfee00000u
#define HPET_LEAST_TICK 100u

#define SMI_COMMAND 0xb2u
#define PM1_EVENT PIIX4_PM_PORT
#define PM1_CONTROL (PIIX4_PM_PORT + 4u)
#define PM_TIMER (PIIX4_PM_PORT + 8u)
#define RESET_PORT 0xcf9u
#define RESET_VALUE 6u
#define CMOS_CENTURY 0x32u

#define HEADER_BYTES 36u
#define HEADER_CHECKSUM 9u

/* Flags of the MADT's override: active high, level triggered. */
#define HIGH_LEVEL 0xdu

/* A table that grows at the end of the blob. */
struct table {
    struct acpi_set *set;
    size_t start;
};

static uint8_t *reserve(struct acpi_set *set, size_t len, size_t align)
{
    size_t at = (set->tables_len + align - 1) & ~(align - 1);
    assert(at + len <= sizeof(set->tables));
    set->tables_len = at + len;
    return set->tables + at;
}

static uint8_t *more(struct table *table, size_t len)
{
    return reserve(table->set, len, 1);
}

static struct table table_begin(struct acpi_set *set, const char *signature, uint8_t revision,
                                size_t len)
{
    uint8_t *header = reserve(set, len, 8);
    struct table table = { .set = set, .start = (size_t)(header - set->tables) };
    memcpy(header, signature, 4);
    header[8] = revision;
    memcpy(header + 10, "PCFICA", 6);
    memcpy(header + 16, "PACIFICA", 8);
    boot_put(header + 24, 1, 4);
    memcpy(header + 28, "PCFC", 4);
    boot_put(header + 32, 1, 4);
    return table;
}

/* Every pointer of the table is known by now. */
static uint32_t table_end(struct table *table)
{
    size_t len = table->set->tables_len - table->start;
    boot_put(table->set->tables + table->start + 4, len, 4);
    acpi_command_checksum(table->set, ACPI_FILE_TABLES, (uint32_t)table->start + HEADER_CHECKSUM,
                          (uint32_t)table->start, (uint32_t)len);
    return (uint32_t)table->start;
}

/* The number at `at` becomes the address of the byte `target` of the blob. */
static void point(struct table *table, size_t at, uint8_t size, uint32_t target)
{
    boot_put(table->set->tables + table->start + at, target, size);
    acpi_command_pointer(table->set, ACPI_FILE_TABLES, (uint32_t)(table->start + at), size,
                         ACPI_FILE_TABLES);
}

/* A Generic Address Structure in I/O space. 5.2.3.2 */
static void put_port(uint8_t *to, uint16_t port, uint8_t bits)
{
    uint8_t access = (uint8_t)(bits == 8 ? 1 : bits == 16 ? 2 : 3);
    to[0] = 1;
    to[1] = bits;
    to[3] = access;
    boot_put(to + 4, port, 8);
}

/* --- DSDT ---------------------------------------------------------------------------------------- */

/* Set the parameter of that name: NameOp, the name, DWordPrefix, four bytes. 20.2.5.1, 20.2.3 */
static void patch(uint8_t *aml, size_t len, const char *name, uint32_t value)
{
    for (size_t at = HEADER_BYTES; at + 10 <= len; at++)
        if (aml[at] == 0x08 && memcmp(aml + at + 1, name, 4) == 0 && aml[at + 5] == 0x0c) {
            boot_put(aml + at + 6, value, 4);
            return;
        }
    assert(!"a parameter of the DSDT");
}

static uint32_t build_dsdt(struct acpi_set *set, const struct acpi_config *config)
{
    struct pacifica_bytes aml = acpi_dsdt();
    uint8_t *dsdt = reserve(set, aml.size, 8);
    struct table table = { .set = set, .start = (size_t)(dsdt - set->tables) };
    memcpy(dsdt, aml.data, aml.size);
    patch(dsdt, aml.size, "NCPU", config->cpus);
    patch(dsdt, aml.size, "PCIL", (uint32_t)config->low_ram_end);
    patch(dsdt, aml.size, "HPTP", 1);
    patch(dsdt, aml.size, "KBDP", config->keyboard);
    patch(dsdt, aml.size, "COM2", config->serial2);
    dsdt[HEADER_CHECKSUM] = 0; /* iasl's own is of other bytes */
    return table_end(&table);
}

/* --- FACS, FADT ------------------------------------------------------------------------------------ */

void acpi_facs(uint8_t facs[ACPI_FACS_BYTES])
{
    memset(facs, 0, ACPI_FACS_BYTES);
    memcpy(facs, "FACS", 4);
    boot_put(facs + 4, ACPI_FACS_BYTES, 4);
    facs[32] = 1; /* version */
}

/* 5.2.9, table 5.9. What is not set is not there. */
static uint32_t build_fadt(struct acpi_set *set, const struct acpi_config *config, uint32_t facs,
                           uint32_t dsdt)
{
    enum { WBINVD = 1, PROC_C1 = 4, SLP_BUTTON = 0x20, RTC_S4 = 0x80, RESET_REG = 0x400 };
    enum { LEGACY_DEVICES = 1, KEYBOARD_8042 = 2 };
    struct table table = table_begin(set, "FACP", 3, 244);
    uint8_t *fadt = set->tables + table.start;

    if (config->facs_spa) {
        boot_put(fadt + 36, config->facs_spa, 4);
        boot_put(fadt + 132, config->facs_spa, 8);
    } else {
        point(&table, 36, 4, facs);
        point(&table, 132, 8, facs);
    }
    point(&table, 40, 4, dsdt);
    boot_put(fadt + 46, PIIX4_SCI_IRQ, 2);
    boot_put(fadt + 48, SMI_COMMAND, 4);
    fadt[52] = PIIX4_ACPI_ENABLE;
    fadt[53] = PIIX4_ACPI_DISABLE;
    boot_put(fadt + 56, PM1_EVENT, 4);
    boot_put(fadt + 64, PM1_CONTROL, 4);
    boot_put(fadt + 76, PM_TIMER, 4);
    boot_put(fadt + 80, PIIX4_GPE_PORT, 4);
    fadt[88] = 4; /* lengths of the four */
    fadt[89] = 2;
    fadt[91] = 4;
    fadt[92] = 4;
    boot_put(fadt + 96, 0xfff, 2); /* latencies above 100 and 1000: no C2, no C3 */
    boot_put(fadt + 98, 0xfff, 2);
    fadt[108] = CMOS_CENTURY;
    boot_put(fadt + 109, LEGACY_DEVICES | (config->keyboard ? KEYBOARD_8042 : 0), 2);
    boot_put(fadt + 112, WBINVD | PROC_C1 | SLP_BUTTON | RTC_S4 | RESET_REG, 4);
    put_port(fadt + 116, RESET_PORT, 8);
    fadt[128] = RESET_VALUE;
    point(&table, 140, 8, dsdt);
    put_port(fadt + 148, PM1_EVENT, 32);
    put_port(fadt + 172, PM1_CONTROL, 16);
    put_port(fadt + 208, PM_TIMER, 32);
    put_port(fadt + 220, PIIX4_GPE_PORT, 32);
    return table_end(&table);
}

/* --- MADT, HPET ------------------------------------------------------------------------------------ */

/* An interrupt of the ISA bus that is another input of the I/O APIC, or has another polarity and trigger. 5.2.12.5 */
static void madt_override(struct table *table, uint8_t irq, uint8_t gsi, unsigned flags)
{
    uint8_t *entry = more(table, 10);
    entry[0] = 2;
    entry[1] = 10;
    entry[3] = irq;
    entry[4] = gsi;
    boot_put(entry + 8, flags, 2);
}

/* 5.2.12 */
static uint32_t build_madt(struct acpi_set *set, const struct acpi_config *config)
{
    static const uint8_t level[] = { 5, PIIX4_SCI_IRQ, 10, 11 };
    struct table table = table_begin(set, "APIC", 3, 44);
    uint8_t *madt = set->tables + table.start;

    boot_put(madt + 36, LOCAL_APIC, 4);
    boot_put(madt + 40, 1, 4); /* there are two 8259 as well */
    for (unsigned i = 0; i < config->cpus; i++) {
        uint8_t *entry = more(&table, 8);
        entry[1] = 8;
        entry[2] = (uint8_t)i; /* _UID of its device */
        entry[3] = (uint8_t)i; /* APIC ID */
        entry[4] = 1;          /* usable */
    }
    uint8_t *io = more(&table, 12);
    io[0] = 1;
    io[1] = 12;
    boot_put(io + 4, IOAPIC_SPA, 4);
    madt_override(&table, 0, 2, 0);
    for (size_t i = 0; i < sizeof(level); i++)
        madt_override(&table, level[i], level[i], HIGH_LEVEL);
    uint8_t *nmi = more(&table, 6); /* LINT1 of all of them. 5.2.12.7 */
    nmi[0] = 4;
    nmi[1] = 6;
    nmi[2] = 0xff;
    nmi[5] = 1;
    return table_end(&table);
}

static uint32_t build_hpet(struct acpi_set *set)
{
    struct table table = table_begin(set, "HPET", 1, 56);
    uint8_t *hpet = set->tables + table.start;
    boot_put(hpet + 36, HPET_ID, 4);
    boot_put(hpet + 44, HPET_SPA, 8); /* a Generic Address Structure in memory */
    boot_put(hpet + 53, HPET_LEAST_TICK, 2);
    return table_end(&table);
}

/* --- the roots --------------------------------------------------------------------------------------- */

static uint32_t build_root(struct acpi_set *set, const char *signature, uint8_t pointer_bytes,
                           const uint32_t *tables, size_t count)
{
    struct table table = table_begin(set, signature, 1, HEADER_BYTES + count * pointer_bytes);
    for (size_t i = 0; i < count; i++)
        point(&table, HEADER_BYTES + i * pointer_bytes, pointer_bytes, tables[i]);
    return table_end(&table);
}

/* 5.2.5.3: the first checksum is that of ACPI 1.0's part. */
static void build_rsdp(struct acpi_set *set, uint32_t rsdt, uint32_t xsdt)
{
    uint8_t *rsdp = set->rsdp;
    memset(rsdp, 0, ACPI_RSDP_BYTES);
    memcpy(rsdp, "RSD PTR ", 8);
    memcpy(rsdp + 9, "PCFICA", 6);
    rsdp[15] = 2;
    boot_put(rsdp + 16, rsdt, 4);
    boot_put(rsdp + 20, ACPI_RSDP_BYTES, 4);
    boot_put(rsdp + 24, xsdt, 8);
    acpi_command_pointer(set, ACPI_FILE_RSDP, 16, 4, ACPI_FILE_TABLES);
    acpi_command_pointer(set, ACPI_FILE_RSDP, 24, 8, ACPI_FILE_TABLES);
    acpi_command_checksum(set, ACPI_FILE_RSDP, 8, 0, ACPI_RSDP_OLD_BYTES);
    acpi_command_checksum(set, ACPI_FILE_RSDP, 32, 0, ACPI_RSDP_BYTES);
}

void acpi_build(const struct acpi_config *config, struct acpi_set *set)
{
    uint32_t root[3], facs = 0;
    memset(set, 0, sizeof(*set));
    acpi_command_allocate(set, ACPI_FILE_RSDP, 16, ZONE_FSEG);
    acpi_command_allocate(set, ACPI_FILE_TABLES, ACPI_FACS_BYTES, ZONE_HIGH);
    if (!config->facs_spa)
        acpi_facs(reserve(set, ACPI_FACS_BYTES, ACPI_FACS_BYTES));
    uint32_t dsdt = build_dsdt(set, config);
    root[0] = build_fadt(set, config, facs, dsdt);
    root[1] = build_madt(set, config);
    root[2] = build_hpet(set);
    uint32_t rsdt = build_root(set, "RSDT", 4, root, 3);
    uint32_t xsdt = build_root(set, "XSDT", 8, root, 3);
    build_rsdp(set, rsdt, xsdt);
}

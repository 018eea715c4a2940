/* What lies below 1 MiB without firmware: found by searching, as software does. SMBIOS 3.0, 5.2 and 6; MP 1.4, 4. */
#include "tests/boot/kit.h"

#include "emu/boot/bios_area.h"
#include "emu/boot/boot_priv.h"
#include "emu/boot/smbios.h"

#define GIB (1024 * MIB)

static struct memory *area(uint64_t ram_bytes, unsigned cpus)
{
    const struct bios_area_config config = { .cpus = cpus };
    struct memory *memory = memory_new(ram_bytes);
    ck_assert_ptr_nonnull(memory);
    ck_assert_int_eq(bios_area_map(memory, &config, NULL), PACIFICA_OK);
    return memory;
}

static uint8_t sum(struct memory *memory, uint64_t spa, uint64_t len)
{
    uint8_t total = 0;
    for (uint64_t i = 0; i < len; i++)
        total = (uint8_t)(total + phys_read(memory, spa + i, 1));
    return total;
}

/* The only place from E0000h to FFFFFh, on a boundary of 16 bytes, where this text stands. */
static uint64_t search(struct memory *memory, const char *text)
{
    uint64_t found = 0;
    for (uint64_t at = 0xe0000; at < 0x100000; at += 16) {
        size_t i = 0;
        while (text[i] && phys_read(memory, at + i, 1) == (uint8_t)text[i])
            i++;
        if (text[i])
            continue;
        ck_assert_uint_eq(found, 0);
        found = at;
    }
    ck_assert_msg(found != 0, "no '%s'", text);
    return found;
}

START_TEST(area_has_an_rsdp)
{
    struct memory *memory = area(512 * MIB, 2);
    uint64_t rsdp = search(memory, "RSD PTR ");
    ck_assert_uint_eq(rsdp, BIOS_AREA_RSDP);
    ck_assert_uint_eq(sum(memory, rsdp, 36), 0);
    uint64_t xsdt = phys_read(memory, rsdp + 24, 8);
    ck_assert_uint_eq(phys_read(memory, xsdt, 4), 0x54445358);
    ck_assert_uint_eq(sum(memory, xsdt, phys_read(memory, xsdt + 4, 4)), 0);
    uint64_t fadt = phys_read(memory, xsdt + 36, 8);
    ck_assert_uint_eq(sum(memory, fadt, 244), 0);
    ck_assert_uint_eq(phys_read(memory, fadt + 36, 4), BIOS_AREA_FACS);
    memory_free(memory);
}
END_TEST

START_TEST(area_is_rom_with_a_date_and_a_model)
{
    struct memory *memory = area(512 * MIB, 1);
    ck_assert_uint_eq(phys_read(memory, 0xffffe, 1), 0xfc);
    ck_assert_uint_eq(phys_read(memory, 0xffff7, 1), '/');
    phys_write(memory, 0xffffe, 1, 0);
    ck_assert_uint_eq(phys_read(memory, 0xffffe, 1), 0xfc);
    const struct bios_area_config config = { .cpus = 1 };
    ck_assert_int_eq(bios_area_map(memory, &config, NULL), PACIFICA_ERANGE);
    memory_free(memory);
}
END_TEST

/* The loader writes the FACS if there are tables, and where the image leaves its place free. */
START_TEST(area_facs_is_in_ram)
{
    for (unsigned with = 0; with < 2; with++) {
        struct load l;
        load_open(&l, 16 * MIB);
        image_build_multiboot1(l.image);
        l.source.rsdp_spa = with ? BIOS_AREA_RSDP : 0;
        load_ok(&l, BOOT_MULTIBOOT1);
        ck_assert_uint_eq(rd(&l, BIOS_AREA_FACS, 8), with ? 0x4053434146 : 0);
        load_close(&l);
    }
}
END_TEST

/* --- SMBIOS ---------------------------------------------------------------------------------- */

/* Structures of a type; *last is the last of them, with its strings behind it. */
static unsigned structures(struct memory *memory, unsigned type, uint64_t *last)
{
    uint64_t anchor = search(memory, "_SM3_");
    uint64_t at = phys_read(memory, anchor + 16, 8), end = at + phys_read(memory, anchor + 12, 4);
    unsigned found = 0;
    while (at < end) {
        if (phys_read(memory, at, 1) == type) {
            found++;
            *last = at;
        }
        at += phys_read(memory, at + 1, 1);
        while (phys_read(memory, at, 2) != 0)
            at++;
        at += 2;
    }
    ck_assert_uint_eq(at, end);
    return found;
}

START_TEST(smbios_both_anchors_find_the_same_tables)
{
    struct memory *memory = area(512 * MIB, 64);
    uint64_t old = search(memory, "_SM_"), new = search(memory, "_SM3_"), last = 0;
    ck_assert_uint_eq(sum(memory, old, 31), 0);
    ck_assert_uint_eq(phys_read(memory, old + 5, 1), 31);
    ck_assert_uint_eq(phys_read(memory, old + 6, 2), 0x0802);
    ck_assert_uint_eq(sum(memory, old + 16, 15), 0);
    ck_assert_uint_eq(phys_read(memory, old + 30, 1), 0x28);
    ck_assert_uint_eq(sum(memory, new, 24), 0);
    ck_assert_uint_eq(phys_read(memory, old + 22, 2), phys_read(memory, new + 12, 4));
    ck_assert_uint_eq(phys_read(memory, old + 24, 4), phys_read(memory, new + 16, 8));
    static const struct {
        unsigned type, count;
    } want[] = { { 0, 1 },  { 1, 1 },  { 3, 1 },  { 4, 1 },  { 16, 1 },
                 { 17, 1 }, { 19, 1 }, { 32, 1 }, { 127, 1 } };
    unsigned total = 0;
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
        total += structures(memory, want[i].type, &last) == want[i].count;
    ck_assert_uint_eq(total, 9);
    ck_assert_uint_eq(phys_read(memory, old + 28, 2), 9);
    memory_free(memory);
}
END_TEST

START_TEST(smbios_processor_has_cores)
{
    struct memory *memory = area(512 * MIB, 7);
    uint64_t at = 0;
    ck_assert_uint_eq(structures(memory, 4, &at), 1);
    ck_assert_uint_eq(phys_read(memory, at + 35, 1), 7);
    ck_assert_uint_eq(phys_read(memory, at + 42, 2), 7);
    memory_free(memory);
}
END_TEST

static void check_memory(uint64_t low, uint64_t high, uint64_t mib, unsigned ranges,
                         uint64_t last_start_kib)
{
    const struct smbios_config config = { .cpus = 1, .low_ram_end = low, .high_ram_bytes = high };
    struct smbios_set *set = malloc(sizeof(*set));
    ck_assert_ptr_nonnull(set);
    smbios_build(&config, set);
    unsigned found = 0;
    for (size_t at = 0; at < set->len;) {
        const uint8_t *s = set->tables + at;
        if (s[0] == 17) {
            ck_assert_uint_eq(boot_get16(s + 12), mib < 0x7fff ? mib : 0x7fff);
            ck_assert_uint_eq(boot_get32(s + 28), mib < 0x7fff ? 0 : mib);
        }
        if (s[0] == 19 && ++found == ranges) {
            bool wide = boot_get32(s + 4) == UINT32_MAX;
            ck_assert_uint_eq(wide ? boot_get64(s + 15) / 1024 : boot_get32(s + 4), last_start_kib);
        }
        at += s[1];
        while (boot_get16(set->tables + at) != 0)
            at++;
        at += 2;
    }
    ck_assert_uint_eq(found, ranges);
    free(set);
}

START_TEST(smbios_memory)
{
    check_memory(512 * MIB, 0, 512, 1, 0);
    check_memory(3 * GIB, GIB, 4096, 2, 0x400000);
    check_memory(3 * GIB, 28 * GIB + 1023 * MIB, 0x7fff, 2, 0x400000);
    check_memory(3 * GIB, 28 * GIB + 1022 * MIB, 0x7ffe, 2, 0x400000);
    check_memory(3 * GIB, 8192 * GIB, 8195 * 1024, 2, 0x400000);
}
END_TEST

/* --- MP table ---------------------------------------------------------------------------------- */

START_TEST(mp_table)
{
    static const unsigned count[] = { 1, 64 };
    for (size_t n = 0; n < 2; n++) {
        struct memory *memory = area(512 * MIB, count[n]);
        uint64_t pointer = search(memory, "_MP_"), table = phys_read(memory, pointer + 4, 4);
        ck_assert_uint_eq(sum(memory, pointer, 16), 0);
        ck_assert_uint_eq(phys_read(memory, pointer + 11, 1), 0); /* there is a table */
        uint64_t len = phys_read(memory, table + 4, 2), at = table + 44;
        ck_assert_uint_eq(phys_read(memory, table, 4), 0x504d4350);
        ck_assert_uint_eq(sum(memory, table, len), 0);
        ck_assert_uint_eq(phys_read(memory, table + 36, 4), 0xfee00000);
        unsigned entries = (unsigned)phys_read(memory, table + 34, 2), kind[5] = { 0 };
        for (unsigned i = 0; i < entries; i++) {
            unsigned type = (unsigned)phys_read(memory, at, 1);
            ck_assert_uint_lt(type, 5);
            if (type == 0) {
                ck_assert_uint_eq(phys_read(memory, at + 1, 1), kind[0]);
                ck_assert_uint_eq(phys_read(memory, at + 3, 1), kind[0] ? 1 : 3);
            }
            kind[type]++;
            at += type == 0 ? 20 : 8;
        }
        ck_assert_uint_eq(at, table + len);
        ck_assert_uint_eq(kind[0], count[n]);
        ck_assert_uint_eq(kind[1], 2);
        ck_assert_uint_eq(kind[2], 1);
        ck_assert_uint_eq(kind[3], 15 + 31 * 4);
        ck_assert_uint_eq(kind[4], 2);
        memory_free(memory);
    }
}
END_TEST

CHECK_MAIN("bios_area", area_has_an_rsdp, area_is_rom_with_a_date_and_a_model, area_facs_is_in_ram,
           smbios_both_anchors_find_the_same_tables, smbios_processor_has_cores, smbios_memory,
           mp_table)

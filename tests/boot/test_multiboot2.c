/* Multiboot 2. Section numbers are those of the Multiboot2 Specification 2.0. */
#include "tests/boot/kit.h"

#include "emu/boot/bios_area.h"

/* The small ELF image with a header of one tag. */
static void build_with_tag(struct image *image, uint16_t type, uint16_t flags, unsigned words,
                           const uint32_t *word)
{
    struct image_elf elf = image_small();
    image_build_elf(image, &elf);
    size_t at = image_multiboot2(image, IMAGE_DATA);
    at = image_tag(image, at, type, flags, words, word);
    image_multiboot2_end(image, IMAGE_DATA, at);
}

/* The guest address of the information tag of this type, or 0. */
static uint64_t find_tag(const struct load *l, uint32_t type)
{
    uint64_t end = l->entry.ebx + rd(l, l->entry.ebx, 4);
    for (uint64_t at = l->entry.ebx + 8; at + 8 <= end;) {
        if (rd(l, at, 4) == type)
            return at;
        at += (rd(l, at + 4, 4) + 7) & ~7ull;
    }
    return 0;
}

START_TEST(mb2_elf_is_loaded)
{
    struct load l;
    load_open(&l, 16 * MIB);
    image_build_multiboot2(l.image);
    load_ok(&l, BOOT_MULTIBOOT2);
    segment_at(&l, 0x100000, 0, 64, 0x800, 0x3000);
    ck_assert_uint_eq(l.entry.eip, 0x100040);
    ck_assert_uint_eq(l.entry.eax, 0x36d76289);
    load_close(&l);
}
END_TEST

START_TEST(mb2_information) /* 3.6 */
{
    static uint8_t data[10];
    const struct boot_module module[] = { { data, 10, "a", "mod a" }, { data, 3, "b", NULL } };
    struct load l;
    load_open(&l, 16 * MIB);
    image_build_multiboot2(l.image);
    l.source.modules = module;
    l.source.module_count = 2;
    load_ok(&l, BOOT_MULTIBOOT2);
    uint64_t at = l.entry.ebx;
    ck_assert_uint_eq(at % 8, 0);
    ck_assert_uint_lt(at, 0x9f000);
    uint64_t total = rd(&l, at, 4);
    ck_assert_uint_eq(rd(&l, at + 4, 4), 0);
    ck_assert_uint_eq(rd(&l, at + total - 8, 4), 0); /* the end tag ends it */
    ck_assert_uint_eq(rd(&l, at + total - 4, 4), 8);
    at = find_tag(&l, 1);
    text_at(&l, at + 8, "one two=3");
    ck_assert_uint_eq(rd(&l, at + 4, 4), 8 + 10);
    text_at(&l, find_tag(&l, 2) + 8, "Pacifica");
    at = find_tag(&l, 3);
    ck_assert_uint_eq(rd(&l, at + 8, 4), 0x103000);
    ck_assert_uint_eq(rd(&l, at + 12, 4), 0x10300a);
    text_at(&l, at + 16, "mod a");
    at += (rd(&l, at + 4, 4) + 7) & ~7ull;
    ck_assert_uint_eq(rd(&l, at, 4), 3);
    ck_assert_uint_eq(rd(&l, at + 8, 4), 0x104000);
    text_at(&l, at + 16, "");
    at = find_tag(&l, 4);
    ck_assert_uint_eq(rd(&l, at + 8, 4), 639);
    ck_assert_uint_eq(rd(&l, at + 12, 4), 15 * 1024);
    at = find_tag(&l, 6);
    ck_assert_uint_eq(rd(&l, at + 4, 4), 16 + 4 * 24);
    ck_assert_uint_eq(rd(&l, at + 8, 4), 24);
    ck_assert_uint_eq(rd(&l, at + 12, 4), 0);
    struct boot_region map[BOOT_REGIONS_MAX];
    ck_assert_uint_eq(boot_memory_map(l.memory, map), 4);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_uint_eq(rd(&l, at + 16 + 24 * i, 8), map[i].base);
        ck_assert_uint_eq(rd(&l, at + 24 + 24 * i, 8), map[i].len);
        ck_assert_uint_eq(rd(&l, at + 32 + 24 * i, 4), (unsigned)map[i].type);
    }
    ck_assert_uint_eq(find_tag(&l, 21), 0); /* not relocatable */
    load_close(&l);
}
END_TEST

START_TEST(mb2_has_copies_of_the_rsdp) /* "ACPI old RSDP", "ACPI new RSDP" */
{
    const struct bios_area_config area = { .cpus = 1 };
    struct load l;
    load_open(&l, 16 * MIB);
    image_build_multiboot2(l.image);
    ck_assert_int_eq(bios_area_map(l.memory, &area, NULL), PACIFICA_OK);
    l.source.rsdp_spa = BIOS_AREA_RSDP;
    load_ok(&l, BOOT_MULTIBOOT2);
    uint64_t old = find_tag(&l, 14), new = find_tag(&l, 15);
    ck_assert_uint_eq(rd(&l, old + 4, 4), 8 + 20);
    ck_assert_uint_eq(rd(&l, new + 4, 4), 8 + 36);
    for (unsigned i = 0; i < 36; i++) {
        ck_assert_uint_eq(rd(&l, new + 8 + i, 1), rd(&l, BIOS_AREA_RSDP + i, 1));
        if (i < 20)
            ck_assert_uint_eq(rd(&l, old + 8 + i, 1), rd(&l, BIOS_AREA_RSDP + i, 1));
    }
    load_close(&l);
}
END_TEST

START_TEST(mb2_address_and_entry_tags) /* 3.1.5, 3.1.6 */
{
    static const struct {
        uint32_t address[4], entry;
        uint64_t base;
    } row[] = { { { 0x300020, 0x300000, 0x300800, 0x302000 }, 0x300100, 0x300000 },
                { { 0x300020, 0xffffffff, 0, 0 }, 0x3007ff, 0x300000 },
                { { 0x300020, 0x300020, 0, 0 }, 0x300020, 0x300000 } };
    for (size_t i = 0; i < 3; i++) {
        struct load l;
        load_open(&l, 16 * MIB);
        l.image->len = 0x800;
        for (size_t b = 128; b < 0x800; b++)
            l.image->bytes[b] = image_byte(0, b);
        size_t at = image_multiboot2(l.image, 0x20);
        at = image_tag(l.image, at, 2, 0, 4, row[i].address);
        at = image_tag(l.image, at, 3, 0, 1, &row[i].entry);
        image_multiboot2_end(l.image, 0x20, at);
        load_ok(&l, BOOT_MULTIBOOT2);
        ck_assert_uint_eq(l.entry.eip, row[i].entry);
        ck_assert_uint_eq(rd(&l, row[i].base + 0x20, 4), 0xe85250d6);
        segment_at(&l, row[i].base, 0, 128, 0x800, 0x1000);
        load_close(&l);
    }
}
END_TEST

START_TEST(mb2_entry_tag_is_physical_and_wins)
{
    struct load l;
    const uint32_t entry = 0x100123;
    load_open(&l, 16 * MIB);
    build_with_tag(l.image, 3, 0, 1, &entry);
    load_ok(&l, BOOT_MULTIBOOT2);
    ck_assert_uint_eq(l.entry.eip, entry);
    load_close(&l);
}
END_TEST

START_TEST(mb2_relocatable_is_told_its_base)
{
    struct load l;
    const uint32_t range[] = { 0, 0xffffffff, 4096, 0 };
    load_open(&l, 16 * MIB);
    build_with_tag(l.image, 10, 0, 4, range);
    load_ok(&l, BOOT_MULTIBOOT2);
    uint64_t at = find_tag(&l, 21);
    ck_assert_uint_ne(at, 0);
    ck_assert_uint_eq(rd(&l, at + 4, 4), 12);
    ck_assert_uint_eq(rd(&l, at + 8, 4), 0x100000);
    load_close(&l);
}
END_TEST

START_TEST(mb2_required_and_optional_tags)
{
    static const struct {
        uint16_t type, flags;
        unsigned words;
        uint32_t word[4];
        enum pacifica_status status;
        const char *text;
    } row[] = {
        { 1, 0, 2, { 21, 14 }, PACIFICA_OK, NULL }, /* known, though not given */
        { 1, 0, 2, { 1, 22 }, PACIFICA_EFORMAT, "unknown type (22)" },
        { 1, 1, 2, { 1, 22 }, PACIFICA_OK, NULL },
        { 4, 0, 1, { 2 }, PACIFICA_OK, NULL }, /* console: supported, not required */
        { 4, 0, 1, { 3 }, PACIFICA_EUNSUPPORTED, "display" },
        { 4, 1, 1, { 3 }, PACIFICA_OK, NULL },
        { 5, 0, 3, { 800, 600, 32 }, PACIFICA_EUNSUPPORTED, "display" },
        { 5, 1, 3, { 800, 600, 32 }, PACIFICA_OK, NULL },
        { 6, 0, 0, { 0 }, PACIFICA_OK, NULL },
        { 7, 0, 0, { 0 }, PACIFICA_OK, NULL },
        { 8, 0, 1, { 0x1234 }, PACIFICA_OK, NULL },
        { 9, 0, 1, { 0x1234 }, PACIFICA_OK, NULL },
        { 11, 0, 1, { 0 }, PACIFICA_EFORMAT, "unknown type (11)" },
        { 11, 1, 1, { 0 }, PACIFICA_OK, NULL },
        { 0xffff, 0, 1, { 0 }, PACIFICA_EFORMAT, "unknown type (65535)" },
        { 2, 0, 3, { 0 }, PACIFICA_EFORMAT, "too small" },
        { 3, 0, 0, { 0 }, PACIFICA_EFORMAT, "too small" },
        { 4, 0, 0, { 0 }, PACIFICA_EFORMAT, "too small" },
        { 5, 0, 2, { 0 }, PACIFICA_EFORMAT, "too small" },
        { 10, 0, 3, { 0 }, PACIFICA_EFORMAT, "too small" },
        { 2, 0, 4, { 0x100000, 0x100000, 0, 0 }, PACIFICA_EFORMAT, "without an entry" },
        { 3, 0, 1, { 0xfffff }, PACIFICA_ERANGE, "entry point" },
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct load l;
        load_open(&l, 16 * MIB);
        build_with_tag(l.image, row[i].type, row[i].flags, row[i].words, row[i].word);
        if (row[i].status == PACIFICA_OK)
            load_ok(&l, BOOT_MULTIBOOT2);
        else
            load_bad(&l, row[i].status, row[i].text);
        load_close(&l);
    }
}
END_TEST

START_TEST(mb2_malformed_headers)
{
    static const struct {
        uint32_t arch, length, tag_size;
        const char *text;
    } row[] = {
        { 4, 40, 8, "another architecture" },  { 0, 15, 8, "length" },
        { 0, 0xfffffff0, 8, "length" },        { 0, 16, 8, "end tag is missing" },
        { 0, 23, 8, "end tag is missing" },    { 0, 40, 7, "does not fit" },
        { 0, 40, 0, "does not fit" },          { 0, 40, 25, "does not fit" },
        { 0, 40, 0xfffffff8, "does not fit" }, { 0, 25, 9, "end tag is missing" },
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct load l;
        load_open(&l, 16 * MIB);
        build_with_tag(l.image, 6, 0, 0, NULL);
        image_put(l.image, IMAGE_DATA + 4, row[i].arch, 4);
        image_put(l.image, IMAGE_DATA + 8, row[i].length, 4);
        image_put(l.image, IMAGE_DATA + 12, 0u - 0xe85250d6u - row[i].arch - row[i].length, 4);
        image_put(l.image, IMAGE_DATA + 20, row[i].tag_size, 4);
        load_bad(&l, PACIFICA_EFORMAT, row[i].text);
        load_close(&l);
    }
}
END_TEST

START_TEST(mb2_header_may_end_at_32_kib)
{
    for (unsigned late = 0; late < 2; late++) {
        struct load l;
        struct image_elf elf = image_small();
        load_open(&l, 16 * MIB);
        elf.segment[0].filesz = elf.segment[0].memsz = 0x9000;
        image_build_elf(l.image, &elf);
        size_t at = 32768 - 16 + 8 * late;
        image_multiboot2_end(l.image, at, image_multiboot2(l.image, at));
        if (late)
            load_bad(&l, PACIFICA_EFORMAT, "neither a Multiboot header");
        else
            load_ok(&l, BOOT_MULTIBOOT2);
        load_close(&l);
    }
}
END_TEST

START_TEST(mb2_neither_elf_nor_addresses)
{
    struct load l;
    load_open(&l, 16 * MIB);
    image_multiboot2_end(l.image, 0, image_multiboot2(l.image, 0));
    load_bad(&l, PACIFICA_EFORMAT, "no address tag");
    load_close(&l);
}
END_TEST

CHECK_MAIN("multiboot2", mb2_elf_is_loaded, mb2_information, mb2_has_copies_of_the_rsdp,
           mb2_address_and_entry_tags, mb2_entry_tag_is_physical_and_wins,
           mb2_relocatable_is_told_its_base, mb2_required_and_optional_tags, mb2_malformed_headers,
           mb2_header_may_end_at_32_kib, mb2_neither_elf_nor_addresses)

/* Multiboot 1. Section numbers are those of the Multiboot Specification 0.6.96. */
#include "tests/boot/kit.h"

START_TEST(mb1_elf32_is_loaded_and_bss_cleared)
{
    struct load l;
    load_open(&l, 16 * MIB);
    for (uint64_t at = 0x100000; at < 0x104000; at += 8)
        phys_write(l.memory, at, 8, UINT64_MAX); /* an earlier run left this */
    image_build_multiboot1(l.image);
    load_ok(&l, BOOT_MULTIBOOT1);
    segment_at(&l, 0x100000, 0, 64, 0x800, 0x3000);
    ck_assert_uint_eq(rd(&l, 0x103000, 8), UINT64_MAX); /* not a byte more */
    ck_assert_uint_eq(l.entry.eip, 0x100040);
    ck_assert_uint_eq(l.entry.eax, 0x2badb002);
    load_close(&l);
}
END_TEST

START_TEST(mb1_information) /* 3.3 */
{
    struct load l;
    load_open(&l, 16 * MIB);
    image_build_multiboot1(l.image);
    load_ok(&l, BOOT_MULTIBOOT1);
    uint32_t info = l.entry.ebx;
    ck_assert_uint_ge(info, 0x9000);
    ck_assert_uint_lt(info, 0x9f000);
    ck_assert_uint_eq(rd(&l, info, 4), 0x24d);
    ck_assert_uint_eq(rd(&l, info + 4, 4), 639);
    ck_assert_uint_eq(rd(&l, info + 8, 4), 15 * 1024);
    text_at(&l, rd(&l, info + 16, 4), "kernel.elf one two=3");
    ck_assert_uint_eq(rd(&l, info + 20, 4), 0);
    text_at(&l, rd(&l, info + 64, 4), "Pacifica");
    uint64_t length = rd(&l, info + 44, 4), at = rd(&l, info + 48, 4);
    ck_assert_uint_eq(length, 4 * 24);
    struct boot_region map[BOOT_REGIONS_MAX];
    ck_assert_uint_eq(boot_memory_map(l.memory, map), 4);
    for (unsigned i = 0; i < 4; i++, at += 24) {
        ck_assert_uint_eq(rd(&l, at, 4), 20);
        ck_assert_uint_eq(rd(&l, at + 4, 8), map[i].base);
        ck_assert_uint_eq(rd(&l, at + 12, 8), map[i].len);
        ck_assert_uint_eq(rd(&l, at + 20, 4), (unsigned)map[i].type);
    }
    load_close(&l);
}
END_TEST

START_TEST(mb1_empty_command_line_is_the_name)
{
    struct load l;
    load_open(&l, 16 * MIB);
    image_build_multiboot1(l.image);
    l.source.cmdline = NULL;
    load_ok(&l, BOOT_MULTIBOOT1);
    text_at(&l, rd(&l, l.entry.ebx + 16, 4), "kernel.elf");
    load_close(&l);
}
END_TEST

START_TEST(mb1_modules_lie_on_pages_behind_the_image)
{
    static uint8_t first[5000], second[1] = { 0x42 };
    const struct boot_module module[] = { { first, sizeof(first), "a", "mod/a x=1" },
                                          { second, sizeof(second), "b", NULL },
                                          { NULL, 0, "empty", "e" } };
    struct load l;
    load_open(&l, 16 * MIB);
    memset(first, 0x77, sizeof(first));
    image_build_multiboot1(l.image);
    l.source.modules = module;
    l.source.module_count = 3;
    load_ok(&l, BOOT_MULTIBOOT1);
    uint64_t at = rd(&l, l.entry.ebx + 24, 4);
    ck_assert_uint_eq(rd(&l, l.entry.ebx + 20, 4), 3);
    ck_assert_uint_eq(rd(&l, at, 4), 0x103000);
    ck_assert_uint_eq(rd(&l, at + 4, 4), 0x103000 + 5000);
    text_at(&l, rd(&l, at + 8, 4), "mod/a x=1");
    ck_assert_uint_eq(rd(&l, 0x103000 + 4992, 8), 0x7777777777777777);
    ck_assert_uint_eq(rd(&l, 0x103000 + 5000, 8), 0);
    ck_assert_uint_eq(rd(&l, at + 16, 4), 0x105000);
    ck_assert_uint_eq(rd(&l, at + 20, 4), 0x105001);
    text_at(&l, rd(&l, at + 24, 4), "");
    ck_assert_uint_eq(rd(&l, 0x105000, 1), 0x42);
    ck_assert_uint_eq(rd(&l, at + 32, 4), rd(&l, at + 36, 4));
    load_close(&l);
}
END_TEST

START_TEST(mb1_header_may_end_at_8_kib)
{
    for (unsigned late = 0; late < 2; late++) {
        struct load l;
        struct image_elf elf = image_small();
        load_open(&l, 16 * MIB);
        elf.segment[0].filesz = 0x2800;
        image_build_elf(l.image, &elf);
        image_multiboot1(l.image, 8192 - 12 + 4 * late, 3);
        if (late)
            load_bad(&l, PACIFICA_EFORMAT, "neither a Multiboot header");
        else
            load_ok(&l, BOOT_MULTIBOOT1);
        load_close(&l);
    }
}
END_TEST

START_TEST(mb1_header_needs_alignment_and_checksum)
{
    for (unsigned fault = 0; fault < 2; fault++) {
        struct load l;
        struct image_elf elf = image_small();
        load_open(&l, 16 * MIB);
        image_build_elf(l.image, &elf);
        image_multiboot1(l.image, IMAGE_DATA + (fault == 0 ? 2 : 0), 3);
        if (fault == 1)
            l.image->bytes[IMAGE_DATA + 8]++;
        load_bad(&l, PACIFICA_EFORMAT, "neither a Multiboot header");
        load_close(&l);
    }
}
END_TEST

START_TEST(mb1_unknown_required_flags_are_refused) /* 3.1.2 */
{
    for (unsigned bit = 0; bit < 32; bit++) {
        struct load l;
        struct image_elf elf = image_small();
        if (bit == 16)
            continue;
        load_open(&l, 16 * MIB);
        image_build_elf(l.image, &elf);
        image_multiboot1(l.image, IMAGE_DATA, 1u << bit);
        if (bit <= 2 || bit > 16)
            load_ok(&l, BOOT_MULTIBOOT1);
        else
            load_bad(&l, PACIFICA_EFORMAT, "requires features");
        load_close(&l);
    }
}
END_TEST

START_TEST(mb1_elf64_by_program_headers)
{
    struct load l;
    struct image_elf elf = image_small();
    load_open(&l, 16 * MIB);
    elf.elf64 = true;
    elf.count = 2;
    elf.segment[1] = (struct image_segment){ 0x200000, 0x200000, 0x10, 0x10 };
    image_build_elf(l.image, &elf);
    image_multiboot1(l.image, IMAGE_DATA, 3);
    load_ok(&l, BOOT_MULTIBOOT1);
    segment_at(&l, 0x100000, 0, 64, 0x800, 0x3000);
    segment_at(&l, 0x200000, 1, 0, 0x10, 0x20);
    load_close(&l);
}
END_TEST

START_TEST(mb1_virtual_entry_is_translated)
{
    struct load l;
    struct image_elf elf = { .elf64 = true,
                             .entry = 0xffffffff80200044,
                             .count = 2,
                             .segment = { { 0xffffffff80100000, 0x100000, 0x100, 0x100 },
                                          { 0xffffffff80200000, 0x300000, 0x100, 0x100 } } };
    load_open(&l, 16 * MIB);
    image_build_elf(l.image, &elf);
    image_multiboot1(l.image, IMAGE_DATA, 3);
    load_ok(&l, BOOT_MULTIBOOT1);
    ck_assert_uint_eq(l.entry.eip, 0x300044);
    load_close(&l);
}
END_TEST

START_TEST(mb1_virtual_entry_at_the_seam_of_two_segments)
{
    struct load l;
    struct image_elf elf = { .entry = 0x801000,
                             .count = 2,
                             .segment = { { 0x800000, 0x100000, 0x1000, 0x100 },
                                          { 0x801000, 0x300000, 0x1000, 0x100 } } };
    load_open(&l, 16 * MIB);
    image_build_elf(l.image, &elf);
    image_multiboot1(l.image, IMAGE_DATA, 3);
    load_ok(&l, BOOT_MULTIBOOT1);
    ck_assert_uint_eq(l.entry.eip, 0x300000);
    load_close(&l);
}
END_TEST

START_TEST(mb1_physical_entry_of_a_virtual_image_stays)
{
    struct load l;
    struct image_elf elf = { .entry = 0x100044,
                             .count = 1,
                             .segment = { { 0xc0100000, 0x100000, 0x100, 0x100 } } };
    load_open(&l, 16 * MIB);
    image_build_elf(l.image, &elf);
    image_multiboot1(l.image, IMAGE_DATA, 3);
    load_ok(&l, BOOT_MULTIBOOT1);
    ck_assert_uint_eq(l.entry.eip, 0x100044);
    load_close(&l);
}
END_TEST

START_TEST(mb1_address_fields) /* 3.1.3 */
{
    struct load l;
    load_open(&l, 16 * MIB);
    image_build_multiboot1_flat(l.image);
    load_ok(&l, BOOT_MULTIBOOT1);
    ck_assert_uint_eq(l.entry.eip, 0x200040);
    ck_assert_uint_eq(rd(&l, 0x200010, 4), 0x1badb002);
    segment_at(&l, 0x200000, 0, 64, 0x800, 0x2000);
    load_close(&l);
}
END_TEST

START_TEST(mb1_address_fields_variants)
{
    static const struct {
        uint32_t field[5]; /* header, load, load end, bss end, entry */
        enum pacifica_status status;
        const char *text;
    } row[] = {
        /* 0 for the ends: all of the file, no bss */
        { { 0x200010, 0x200000, 0, 0, 0x2007ff }, PACIFICA_OK, NULL },
        { { 0x200010, 0x200000, 0, 0, 0x200800 }, PACIFICA_ERANGE, "entry point" },
        { { 0x200010, 0x200010, 0x200801, 0, 0x2007ff }, PACIFICA_EFORMAT, "has only" },
        { { 0x200010, 0x200010, 0x200800, 0, 0x2007ff }, PACIFICA_OK, NULL },
        { { 0x200010, 0x200000, 0x200801, 0, 0x200040 }, PACIFICA_EFORMAT, "has only" },
        { { 0x200010, 0x200000, 0x1fffff, 0, 0x200040 }, PACIFICA_EFORMAT, "has only" },
        { { 0x200010, 0x200000, 0x200800, 0x2007ff, 0x200040 }, PACIFICA_EFORMAT, "bss" },
        { { 0x200010, 0x200000, 0x200800, 0x200800, 0x200040 }, PACIFICA_OK, NULL },
        { { 0x200010, 0x200000, 0x200800, 0x100, 0x200040 }, PACIFICA_EFORMAT, "bss" },
        { { 0x200010, 0x200011, 0, 0, 0x200040 }, PACIFICA_EFORMAT, "before the file" },
        { { 0x200010, 0x1ffff0, 0, 0, 0x200040 }, PACIFICA_EFORMAT, "before the file" },
        { { 0xfffff010, 0xfffff000, 0, 0, 0xfffff040 }, PACIFICA_ERANGE, "RAM" },
        { { 0x200010, 0x200000, 0x200000, 0, 0x200000 }, PACIFICA_ERANGE, "entry point" },
        { { 0x9fff0, 0x9ffe0, 0, 0, 0x9ffff }, PACIFICA_ERANGE, "RAM" },
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct load l;
        load_open(&l, 16 * MIB);
        image_build_multiboot1_flat(l.image);
        for (unsigned f = 0; f < 5; f++)
            image_put(l.image, 0x10 + 12 + 4 * f, row[i].field[f], 4);
        if (row[i].status == PACIFICA_OK) {
            load_ok(&l, BOOT_MULTIBOOT1);
            ck_assert_uint_eq(l.entry.eip, row[i].field[4]);
        } else {
            load_bad(&l, row[i].status, row[i].text);
        }
        load_close(&l);
    }
}
END_TEST

START_TEST(mb1_truncated_address_fields)
{
    struct load l;
    load_open(&l, 16 * MIB);
    image_build_multiboot1_flat(l.image);
    for (l.image->len = 0x10 + 12; l.image->len < 0x10 + 32; l.image->len++)
        load_bad(&l, PACIFICA_EFORMAT, "no room for its address fields");
    load_close(&l);
}
END_TEST

START_TEST(mb1_neither_elf_nor_addresses)
{
    struct load l;
    load_open(&l, 16 * MIB);
    image_multiboot1(l.image, 0, 3);
    l.image->len = 4096;
    load_bad(&l, PACIFICA_EFORMAT, "not ELF and has no address fields");
    load_close(&l);
}
END_TEST

START_TEST(mb1_information_keeps_clear_of_low_images)
{
    struct load l;
    struct image_elf elf = { .entry = 0x8040,
                             .count = 1,
                             .segment = { { 0x8000, 0x8000, 0x18000, 0x800 } } };
    load_open(&l, 16 * MIB);
    image_build_elf(l.image, &elf);
    image_multiboot1(l.image, IMAGE_DATA, 3);
    load_ok(&l, BOOT_MULTIBOOT1);
    ck_assert_uint_ge(l.entry.ebx, 0x20000);
    segment_at(&l, 0x8000, 0, 64, 0x800, 0x18000);
    elf.segment[0].memsz = 0x97000; /* up to the last page: only below is room */
    image_build_elf(l.image, &elf);
    image_multiboot1(l.image, IMAGE_DATA, 3);
    load_ok(&l, BOOT_MULTIBOOT1);
    ck_assert_uint_ge(l.entry.ebx, 0x1000);
    ck_assert_uint_lt(l.entry.ebx, 0x8000);
    load_close(&l);
}
END_TEST

START_TEST(mb1_long_command_line_goes_above_1_mib)
{
    struct load l;
    char *line = malloc(700001);
    ck_assert_ptr_nonnull(line);
    memset(line, 'x', 700000);
    line[700000] = 0;
    load_open(&l, 16 * MIB);
    image_build_multiboot1(l.image);
    l.source.cmdline = line;
    load_ok(&l, BOOT_MULTIBOOT1);
    ck_assert_uint_ge(l.entry.ebx, 0x103000);
    ck_assert_uint_eq(rd(&l, rd(&l, l.entry.ebx + 16, 4) + 10 + 1 + 700000, 1), 0);
    load_close(&l);
    load_open(&l, MIB + 0x3000);
    image_build_multiboot1(l.image);
    l.source.cmdline = line;
    ck_assert_int_eq(load_run(&l), PACIFICA_ERANGE);
    ck_assert_ptr_nonnull(strstr(l.diag.what, "boot information"));
    load_close(&l);
    free(line);
}
END_TEST

CHECK_MAIN("multiboot1", mb1_elf32_is_loaded_and_bss_cleared, mb1_information,
           mb1_empty_command_line_is_the_name, mb1_modules_lie_on_pages_behind_the_image,
           mb1_header_may_end_at_8_kib, mb1_header_needs_alignment_and_checksum,
           mb1_unknown_required_flags_are_refused, mb1_elf64_by_program_headers,
           mb1_virtual_entry_is_translated, mb1_virtual_entry_at_the_seam_of_two_segments,
           mb1_physical_entry_of_a_virtual_image_stays, mb1_address_fields,
           mb1_address_fields_variants, mb1_truncated_address_fields, mb1_neither_elf_nor_addresses,
           mb1_information_keeps_clear_of_low_images, mb1_long_command_line_goes_above_1_mib)

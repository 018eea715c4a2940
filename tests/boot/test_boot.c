/* Choosing the protocol, refusing the rest, bad ELF images, and the first register state. */
#include "tests/boot/kit.h"

START_TEST(boot_order_is_multiboot1_pvh_multiboot2)
{
    for (unsigned with = 1; with < 8; with++) {
        struct load l;
        struct image_elf elf = image_small();
        load_open(&l, 16 * MIB);
        elf.segment[0].memsz = elf.segment[0].filesz = 0x1000;
        if (with & 2)
            elf.note = 4;
        elf.pvh_entry = 0x100080;
        image_build_elf(l.image, &elf);
        if (with & 1)
            image_multiboot1(l.image, IMAGE_DATA, 3);
        if (with & 4)
            image_multiboot2_end(l.image, IMAGE_DATA + 0x20,
                                 image_multiboot2(l.image, IMAGE_DATA + 0x20));
        load_ok(&l, with & 1 ? BOOT_MULTIBOOT1 : with & 2 ? BOOT_PVH : BOOT_MULTIBOOT2);
        ck_assert_str_ne(boot_protocol_name(l.entry.protocol), "");
        load_close(&l);
    }
}
END_TEST

START_TEST(boot_refusals_say_what_the_file_is)
{
    static const struct {
        size_t len, at;
        const char *bytes;
        size_t count;
        enum pacifica_status status;
        const char *text;
    } row[] = {
        { 0, 0, "", 0, PACIFICA_EFORMAT, "empty" },
        { 1, 0, "x", 1, PACIFICA_EFORMAT, "no known kind" },
        { 3, 0, "\x7f\x45\x4c", 3, PACIFICA_EFORMAT, "no known kind" },
        { 4, 0, "\x7f\x45\x4c\x46", 4, PACIFICA_EFORMAT, "ELF header is malformed" },
        { 1000, 0, "\x1f\x8b", 2, PACIFICA_EFORMAT, "gzip" },
        { 0x205, 0x1fe, "\x55\xaa\0\0HdrS", 7, PACIFICA_EFORMAT, "no known kind" },
        { 0x206, 0x1fe, "\x55\xaa\0\0HdrS", 8, PACIFICA_EFORMAT, "setup header" },
        { 0x10000, 0xfff0, "\xea", 1, PACIFICA_EFORMAT, "this is firmware, not a kernel" },
        { 0x10000, 0xfff0, "\xe9", 1, PACIFICA_EFORMAT, "firmware" },
        { 0x10000, 0xfff0, "\x0f\x20\xc0", 3, PACIFICA_EFORMAT, "firmware" },
        { 0x10001, 0xfff1, "\xea", 1, PACIFICA_EFORMAT, "no known kind" },
        { 0x10000, 0xfff0, "\x90", 1, PACIFICA_EFORMAT, "no known kind" },
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct load l;
        load_open(&l, 16 * MIB);
        l.image->len = row[i].len;
        memcpy(l.image->bytes + row[i].at, row[i].bytes, row[i].count);
        load_bad(&l, row[i].status, row[i].text);
        load_close(&l);
    }
}
END_TEST

/* The small ELF64 Multiboot image with one field of header or program header replaced. */
START_TEST(elf_bad_headers)
{
    static const struct {
        bool elf64;
        size_t at;
        unsigned bytes;
        uint64_t value;
        enum pacifica_status status;
        const char *text;
    } row[] = {
        { true, EI_CLASS, 1, 3, PACIFICA_EFORMAT, "ELF header is malformed" },
        { true, EI_DATA, 1, ELFDATA2MSB, PACIFICA_EFORMAT, "" },
        { true, 18, 2, EM_AARCH64, PACIFICA_EFORMAT, "not for x86" },
        { true, 18, 2, EM_386, PACIFICA_EFORMAT, "not for x86" },
        { false, 18, 2, EM_X86_64, PACIFICA_EFORMAT, "not for x86" },
        { true, 16, 2, ET_REL, PACIFICA_EFORMAT, "not linked" },
        { true, 16, 2, ET_CORE, PACIFICA_EFORMAT, "not linked" },
        { true, 16, 2, ET_DYN, PACIFICA_OK, NULL },
        { true, 32, 8, 0x100000, PACIFICA_EFORMAT, "" }, /* e_phoff */
        { true, 32, 8, UINT64_MAX - 10, PACIFICA_EFORMAT, "" },
        { true, 56, 2, 0, PACIFICA_EFORMAT, "" }, /* e_phnum */
        { true, 56, 2, 0xffff, PACIFICA_EFORMAT, "" },
        { true, 24, 8, 0xfffff, PACIFICA_ERANGE, "entry point" }, /* e_entry */
        { true, 24, 8, 0x103000, PACIFICA_ERANGE, "entry point" },
        { true, 24, 8, 0x102fff, PACIFICA_OK, NULL },
        { true, 64 + 0, 4, PT_NULL, PACIFICA_EFORMAT, "nothing to load" },
        { true, 64 + 8, 8, 0x401, PACIFICA_EFORMAT, "the file has" }, /* p_offset */
        { true, 64 + 8, 8, 0x400, PACIFICA_OK, NULL },
        { true, 64 + 8, 8, UINT64_MAX, PACIFICA_EFORMAT, "the file has" },
        { true, 64 + 24, 8, 0xffe000, PACIFICA_ERANGE, "not all of that is RAM" }, /* p_paddr */
        { true, 64 + 24, 8, 0xffd000, PACIFICA_OK, NULL },
        { true, 64 + 24, 8, 0xfff00000, PACIFICA_ERANGE, "not all of that is RAM" },
        { true, 64 + 24, 8, 0x9e000, PACIFICA_ERANGE, "not all of that is RAM" },
        { true, 64 + 24, 8, 0xfe000, PACIFICA_ERANGE, "not all of that is RAM" },
        { true, 64 + 24, 8, UINT64_MAX - 0xfff, PACIFICA_ERANGE, "not all of that is RAM" },
        { true, 64 + 32, 8, 0x3001, PACIFICA_EFORMAT, "more bytes in the file" }, /* p_filesz */
        { true, 64 + 32, 8, 0x801, PACIFICA_EFORMAT, "the file has" },
        { true, 64 + 40, 8, 0x7ff, PACIFICA_EFORMAT, "more bytes in the file" }, /* p_memsz */
        { true, 64 + 40, 8, UINT64_MAX, PACIFICA_ERANGE, "not all of that is RAM" },
        { true, 64 + 40, 8, 0x0, PACIFICA_EFORMAT, "more bytes in the file" },
        { false, 52 + 12, 4, 0xffe000, PACIFICA_ERANGE, "not all of that is RAM" },
        { false, 52 + 4, 4, 0xffffffff, PACIFICA_EFORMAT, "the file has" },
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct load l;
        struct image_elf elf = image_small();
        load_open(&l, 16 * MIB);
        elf.elf64 = row[i].elf64;
        image_build_elf(l.image, &elf);
        image_multiboot1(l.image, IMAGE_DATA, 3);
        image_put(l.image, row[i].at, row[i].value, row[i].bytes);
        if (row[i].status == PACIFICA_OK)
            load_ok(&l, BOOT_MULTIBOOT1);
        else
            load_bad(&l, row[i].status, row[i].text);
        load_close(&l);
    }
}
END_TEST

START_TEST(elf_every_truncation_is_refused)
{
    struct load l;
    load_open(&l, 16 * MIB);
    image_build_pvh(l.image);
    size_t whole = l.image->len;
    for (l.image->len = 0; l.image->len < whole; l.image->len += l.image->len < 0x420 ? 1 : 97)
        load_bad(&l, PACIFICA_EFORMAT, "");
    l.image->len = whole - 1;
    load_bad(&l, PACIFICA_EFORMAT, "");
    l.image->len = whole;
    load_ok(&l, BOOT_PVH);
    load_close(&l);
}
END_TEST

START_TEST(elf_overlapping_segments)
{
    static const struct {
        uint64_t base, len;
        bool overlaps;
    } row[] = { { 0xff000, 0x1000, true },   { 0x100000, 0x3000, true }, { 0x102fff, 0x10, true },
                { 0x101000, 0x10, true },    { 0x103000, 0x10, false },  { 0x102ff0, 0x10, true },
                { 0x200000, 0x1000, false }, { 0x8000, 0x1000, false } };
    for (size_t i = 1; i < sizeof(row) / sizeof(row[0]); i++) {
        struct load l;
        struct image_elf elf = image_small();
        load_open(&l, 16 * MIB);
        elf.count = 2;
        elf.segment[1] = (struct image_segment){ row[i].base, row[i].base, row[i].len, 0x10 };
        image_build_elf(l.image, &elf);
        image_multiboot1(l.image, IMAGE_DATA, 3);
        if (row[i].overlaps)
            load_bad(&l, PACIFICA_EFORMAT, "overlaps");
        else
            load_ok(&l, BOOT_MULTIBOOT1);
        load_close(&l);
    }
}
END_TEST

START_TEST(elf_number_of_segments)
{
    for (unsigned count = 63; count <= 66; count++) {
        struct load l;
        struct image_elf elf = { .entry = 0x100040, .count = count };
        load_open(&l, 16 * MIB);
        for (unsigned i = 0; i < count; i++)
            elf.segment[i] =
                (struct image_segment){ 0x100000 + 0x1000 * i, 0x100000 + 0x1000 * i, 0x80, 0x80 };
        elf.segment[5].memsz = elf.segment[5].filesz = 0; /* does not count */
        image_build_elf(l.image, &elf);
        image_multiboot1(l.image, 0x1400, 3);
        if (count <= 65) {
            load_ok(&l, BOOT_MULTIBOOT1);
            segment_at(&l, 0x100000 + 0x1000 * (count - 1), count - 1, 64, 0x80, 0x1000);
        } else {
            load_bad(&l, PACIFICA_EFORMAT, "more than 64");
        }
        load_close(&l);
    }
}
END_TEST

START_TEST(elf_segment_above_4_gib)
{
    struct load l;
    struct image_elf elf = image_small();
    load_open(&l, 0xe0000000);
    elf.elf64 = true;
    elf.count = 2;
    elf.segment[1] = (struct image_segment){ 0x100ff0000, 0x100ff0000, 0x10000, 0x100 };
    image_build_elf(l.image, &elf);
    image_multiboot1(l.image, IMAGE_DATA, 3);
    load_ok(&l, BOOT_MULTIBOOT1);
    segment_at(&l, 0x100ff0000, 1, 64, 0x100, 0x10000);
    image_put(l.image, 64 + 56 + 24, 0x11fff1000, 8);
    load_bad(&l, PACIFICA_ERANGE, "not all of that is RAM");
    load_close(&l);
}
END_TEST

START_TEST(modules_too_large_and_too_many)
{
    static uint8_t data[3 * MIB];
    static struct boot_module module[BOOT_MODULES_MAX + 1];
    struct load l;
    load_open(&l, 4 * MIB);
    image_build_multiboot1(l.image);
    module[0] = (struct boot_module){ data, 3 * MIB - 0x3000, "big.img", NULL };
    l.source.modules = module;
    l.source.module_count = 1;
    load_ok(&l, BOOT_MULTIBOOT1); /* fills RAM to its end */
    load_close(&l);
    load_open(&l, 4 * MIB);
    image_build_multiboot1(l.image);
    module[0].len++;
    l.source.modules = module;
    l.source.module_count = 1;
    load_bad(&l, PACIFICA_ERANGE, "no room in RAM below 4 GiB for this module");
    ck_assert_str_eq(l.diag.where, "big.img");
    for (unsigned i = 0; i <= BOOT_MODULES_MAX; i++)
        module[i] = (struct boot_module){ data, 1, "m", "text" };
    l.source.module_count = BOOT_MODULES_MAX + 1;
    load_bad(&l, PACIFICA_EUSAGE, "more than 64 modules");
    l.source.module_count = BOOT_MODULES_MAX;
    load_ok(&l, BOOT_MULTIBOOT1);
    load_close(&l);
}
END_TEST

START_TEST(module_goes_below_an_image_at_the_end_of_ram)
{
    static uint8_t data[MIB];
    const struct boot_module module = { data, MIB, "m", NULL };
    struct load l;
    struct image_elf elf = { .entry = 0x380040,
                             .count = 1,
                             .segment = { { 0x380000, 0x380000, 0x80000, 0x100 } } };
    load_open(&l, 4 * MIB);
    image_build_elf(l.image, &elf);
    image_multiboot1(l.image, IMAGE_DATA, 3);
    l.source.modules = &module;
    l.source.module_count = 1;
    load_ok(&l, BOOT_MULTIBOOT1);
    ck_assert_uint_eq(rd(&l, rd(&l, l.entry.ebx + 24, 4), 4), MIB);
    load_close(&l);
}
END_TEST

START_TEST(boot_without_diag_and_in_tiny_memory)
{
    struct load l;
    load_open(&l, 64 * 1024);
    image_build_multiboot1(l.image);
    l.source.kernel = l.image->bytes;
    l.source.kernel_len = l.image->len;
    ck_assert_int_eq(boot_load(l.memory, &l.source, &l.entry, NULL), PACIFICA_ERANGE);
    load_close(&l);
    load_open(&l, 4096);
    image_build_multiboot1(l.image);
    image_put(l.image, 52 + 12, 0, 4); /* at 0, where nothing else fits */
    image_put(l.image, 52 + 20, 0x1000, 4);
    image_put(l.image, 24, 0x40, 4);
    l.source.kernel = l.image->bytes;
    l.source.kernel_len = l.image->len;
    ck_assert_int_eq(boot_load(l.memory, &l.source, &l.entry, &l.diag), PACIFICA_ERANGE);
    load_close(&l);
}
END_TEST

START_TEST(bios_data_areas_tell_the_base_memory)
{
    struct load l;
    load_open(&l, 16 * MIB);
    for (uint64_t at = 0x400; at < 0x500; at += 8)
        phys_write(l.memory, at, 8, UINT64_MAX); /* an earlier run */
    image_build_multiboot1(l.image);
    load_ok(&l, BOOT_MULTIBOOT1);
    ck_assert_uint_eq(rd(&l, 0x40e, 2), 0x9fc0);
    ck_assert_uint_eq(rd(&l, 0x413, 2), 639);
    ck_assert_uint_eq(rd(&l, 0x400, 8), 0); /* no ports promised */
    ck_assert_uint_eq(rd(&l, 0x9fc00, 1), 1);
    load_close(&l);
}
END_TEST

START_TEST(bios_data_areas_give_way_to_the_image)
{
    struct load l;
    struct image_elf elf = { .entry = 0x440,
                             .count = 2,
                             .segment = { { 0x400, 0x400, 0x800, 0x800 },
                                          { 0x9f800, 0x9f800, 0x800, 0x800 } } };
    load_open(&l, 16 * MIB);
    image_build_elf(l.image, &elf);
    image_multiboot1(l.image, IMAGE_DATA, 3);
    load_ok(&l, BOOT_MULTIBOOT1);
    segment_at(&l, 0x400, 0, 64, 0x800, 0x800);
    segment_at(&l, 0x9f800, 1, 0, 0x800, 0x800);
    ck_assert_uint_eq(rd(&l, 0x40e, 2), 0);
    load_close(&l);
}
END_TEST

START_TEST(bios_data_areas_of_tiny_memory)
{
    struct load l;
    struct image_elf elf = { .entry = 0x4040,
                             .count = 1,
                             .segment = { { 0x4000, 0x4000, 0x1000, 0x800 } } };
    load_open(&l, 64 * 1024);
    image_build_elf(l.image, &elf);
    image_multiboot1(l.image, IMAGE_DATA, 3);
    load_ok(&l, BOOT_MULTIBOOT1);
    ck_assert_uint_eq(rd(&l, 0x413, 2), 64);
    load_close(&l);
    load_open(&l, 0x9f000);
    image_build_elf(l.image, &elf);
    image_multiboot1(l.image, IMAGE_DATA, 3);
    load_ok(&l, BOOT_MULTIBOOT1);
    ck_assert_uint_eq(rd(&l, 0x413, 2), 0x9f000 / 1024);
    ck_assert_uint_eq(rd(&l, 0x40e, 2), 0);
    ck_assert_uint_eq(rd(&l, l.entry.ebx + 4, 4), 0x9f000 / 1024);
    load_close(&l);
}
END_TEST

START_TEST(boot_enter_is_flat_protected_mode)
{
    struct vcpu *cpu = calloc(1, sizeof(*cpu));
    ck_assert_ptr_nonnull(cpu);
    cpu_reset(cpu);
    cpu->r[REG_RSI] = 77;
    const struct boot_entry entry = { BOOT_MULTIBOOT1, 0x100040, 0x2badb002, 0x9000 };
    boot_enter(cpu, &entry);
    ck_assert_uint_eq(cpu->r[REG_RIP], 0x100040);
    ck_assert_uint_eq(cpu->r[REG_RAX], 0x2badb002);
    ck_assert_uint_eq(cpu->r[REG_RBX], 0x9000);
    for (int i = 0; i < REG_COUNT; i++)
        if (i != REG_RIP && i != REG_RAX && i != REG_RBX)
            ck_assert_uint_eq(cpu->r[i], 0);
    ck_assert_int_eq(cpu->mode, MODE_PROT32);
    ck_assert_uint_eq(cpu->regs.cr0, 0x11);
    ck_assert_uint_eq(cpu->regs.cr3 | cpu->regs.cr4 | cpu->regs.efer, 0);
    ck_assert_uint_eq(cpu_rflags(cpu), 2);
    ck_assert_uint_eq(cpu->regs.cpl, 0);
    for (int i = 0; i < SEG_LDTR; i++) {
        const struct segment *s = &cpu->regs.seg[i];
        ck_assert_uint_eq(s->base, 0);
        ck_assert_uint_eq(s->limit, 0xffffffff);
        ck_assert_uint_eq(s->attr, i == SEG_CS ? 0xc9b : 0xc93);
    }
    ck_assert_uint_eq(cpu->regs.seg[SEG_TR].limit, 0x67);
    free(cpu);
}
END_TEST

CHECK_MAIN("boot", boot_order_is_multiboot1_pvh_multiboot2, boot_refusals_say_what_the_file_is,
           elf_bad_headers, elf_every_truncation_is_refused, elf_overlapping_segments,
           elf_number_of_segments, elf_segment_above_4_gib, modules_too_large_and_too_many,
           module_goes_below_an_image_at_the_end_of_ram, boot_without_diag_and_in_tiny_memory,
           bios_data_areas_tell_the_base_memory, bios_data_areas_give_way_to_the_image,
           bios_data_areas_of_tiny_memory, boot_enter_is_flat_protected_mode)

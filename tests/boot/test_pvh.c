/* PVH: the note, and hvm_start_info as Xen's start_info.h lays it out. */
#include "tests/boot/kit.h"

START_TEST(pvh_notes_of_both_widths_in_both_classes)
{
    for (unsigned i = 0; i < 4; i++) {
        struct load l;
        struct image_elf elf = image_small();
        load_open(&l, 16 * MIB);
        elf.elf64 = i & 1;
        elf.note = i & 2 ? 8 : 4;
        elf.pvh_entry = 0x100080;
        image_build_elf(l.image, &elf);
        load_ok(&l, BOOT_PVH);
        ck_assert_uint_eq(l.entry.eip, 0x100080); /* not the ELF entry */
        segment_at(&l, 0x100000, 0, 64, 0x800, 0x3000);
        load_close(&l);
    }
}
END_TEST

START_TEST(pvh_start_info)
{
    static uint8_t data[4097];
    const struct boot_module module[] = { { data, sizeof(data), "initrd", "init rd" },
                                          { data, 1, "second", NULL } };
    struct load l;
    load_open(&l, 16 * MIB);
    image_build_pvh(l.image);
    l.source.modules = module;
    l.source.module_count = 2;
    l.source.rsdp_spa = 0xf0000;
    load_ok(&l, BOOT_PVH);
    uint64_t info = l.entry.ebx;
    ck_assert_uint_lt(info, 0x9f000);
    ck_assert_uint_eq(rd(&l, info, 4), 0x336ec578);
    ck_assert_uint_eq(rd(&l, info + 4, 4), 1);
    ck_assert_uint_eq(rd(&l, info + 8, 4), 0);
    ck_assert_uint_eq(rd(&l, info + 12, 4), 2);
    text_at(&l, rd(&l, info + 24, 8), "one two=3");
    ck_assert_uint_eq(rd(&l, info + 32, 8), 0xf0000); /* RSDP */
    ck_assert_uint_eq(rd(&l, info + 48, 4), 4);
    ck_assert_uint_eq(rd(&l, info + 52, 4), 0);
    uint64_t list = rd(&l, info + 16, 8);
    ck_assert_uint_eq(rd(&l, list, 8), 0x103000);
    ck_assert_uint_eq(rd(&l, list + 8, 8), 4097);
    text_at(&l, rd(&l, list + 16, 8), "init rd");
    ck_assert_uint_eq(rd(&l, list + 24, 8), 0);
    ck_assert_uint_eq(rd(&l, list + 32, 8), 0x105000);
    struct boot_region map[BOOT_REGIONS_MAX];
    ck_assert_uint_eq(boot_memory_map(l.memory, map), 4);
    uint64_t memmap = rd(&l, info + 40, 8);
    for (unsigned i = 0; i < 4; i++, memmap += 24) {
        ck_assert_uint_eq(rd(&l, memmap, 8), map[i].base);
        ck_assert_uint_eq(rd(&l, memmap + 8, 8), map[i].len);
        ck_assert_uint_eq(rd(&l, memmap + 16, 4), (unsigned)map[i].type);
        ck_assert_uint_eq(rd(&l, memmap + 20, 4), 0);
    }
    load_close(&l);
}
END_TEST

START_TEST(pvh_without_modules_has_no_list)
{
    struct load l;
    load_open(&l, 16 * MIB);
    image_build_pvh(l.image);
    load_ok(&l, BOOT_PVH);
    ck_assert_uint_eq(rd(&l, l.entry.ebx + 12, 4), 0);
    ck_assert_uint_eq(rd(&l, l.entry.ebx + 16, 8), 0);
    load_close(&l);
}
END_TEST

START_TEST(pvh_entry_outside_is_refused)
{
    static const uint64_t entry[] = { 0, 0xfffff, 0x103000, 0x100100080 };
    for (size_t i = 0; i < 4; i++) {
        struct load l;
        struct image_elf elf = image_small();
        load_open(&l, 16 * MIB);
        elf.elf64 = true;
        elf.note = 8;
        elf.pvh_entry = entry[i];
        image_build_elf(l.image, &elf);
        load_bad(&l, PACIFICA_ERANGE, "entry point");
        load_close(&l);
    }
}
END_TEST

START_TEST(pvh_broken_notes_are_no_notes)
{
    /* offset in the note segment, value: sizes of the first and of Xen's note, its type, its name */
    static const struct {
        size_t at;
        uint32_t value;
    } row[] = { { 0, 0xffffffff }, { 4, 0xfffffff0 },  { 20, 0xffffffff },
                { 20, 3 },         { 24, 0xfffffff0 }, { 24, 5 },
                { 24, 0 },         { 28, 17 },         { 32, 0x006e6558 } };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct load l;
        load_open(&l, 16 * MIB);
        image_build_pvh(l.image);
        image_put(l.image, IMAGE_DATA + 0x800 + row[i].at, row[i].value, 4);
        if (row[i].value == 0x006e6558) /* "Xen": as it was */
            load_ok(&l, BOOT_PVH);
        else
            load_bad(&l, PACIFICA_EFORMAT, "neither a Multiboot header nor a PVH note");
        load_close(&l);
    }
}
END_TEST

START_TEST(pvh_note_outside_a_note_segment_does_not_count)
{
    struct load l;
    load_open(&l, 16 * MIB);
    image_build_pvh(l.image);
    image_put(l.image, sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr), PT_GNU_STACK, 4);
    load_bad(&l, PACIFICA_EFORMAT, "neither a Multiboot header nor a PVH note");
    load_close(&l);
}
END_TEST

CHECK_MAIN("pvh", pvh_notes_of_both_widths_in_both_classes, pvh_start_info,
           pvh_without_modules_has_no_list, pvh_entry_outside_is_refused,
           pvh_broken_notes_are_no_notes, pvh_note_outside_a_note_segment_does_not_count)

/* Linux bzImage: boot.rst "The Linux/x86 Boot Protocol", zero-page.rst. */
#include "tests/boot/kit.h"

#define KERNEL 0x400000ull
#define ZP_E820 0x2d0

static void open_linux(struct load *l, uint64_t ram_bytes)
{
    load_open(l, ram_bytes);
    image_build_linux(l->image);
}

static void kernel_at(const struct load *l, uint64_t spa)
{
    ck_assert_uint_eq(rd(l, l->entry.esi + 0x214, 4), spa);
    segment_at(l, spa, 0, 64, IMAGE_LINUX_BYTES, IMAGE_LINUX_BYTES);
}

START_TEST(linux_zero_page)
{
    struct load l;
    open_linux(&l, 16 * MIB);
    l.source.rsdp_spa = 0xf0000;
    load_ok(&l, BOOT_LINUX);
    uint64_t zp = l.entry.esi;
    ck_assert_uint_eq(zp % 0x1000, 0);
    ck_assert_uint_lt(zp, 0x9f000);
    kernel_at(&l, KERNEL);
    ck_assert_uint_eq(l.entry.eip, KERNEL + 0x200);   /* 64-bit entry */
    ck_assert_uint_eq(rd(&l, zp + 0x1fe, 2), 0xaa55); /* the setup header came along */
    ck_assert_uint_eq(rd(&l, zp + 0x206, 2), 0x20f);
    ck_assert_uint_eq(rd(&l, zp + 0x210, 1), 0xff);
    text_at(&l, rd(&l, zp + 0x228, 4), "one two=3");
    ck_assert_uint_eq(rd(&l, zp + 0x218, 8), 0); /* no initial RAM disk */
    ck_assert_uint_eq(rd(&l, zp + 0x002, 2), 15 * 1024);
    ck_assert_uint_eq(rd(&l, zp + 0x1e0, 4), 15 * 1024);
    ck_assert_uint_eq(rd(&l, zp + 0x070, 8), 0xf0000);
    struct boot_region map[BOOT_REGIONS_MAX];
    unsigned regions = boot_memory_map(l.memory, map);
    ck_assert_uint_eq(rd(&l, zp + 0x1e8, 1), regions);
    for (unsigned i = 0; i < regions; i++) {
        ck_assert_uint_eq(rd(&l, zp + ZP_E820 + 20 * i, 8), map[i].base);
        ck_assert_uint_eq(rd(&l, zp + ZP_E820 + 20 * i + 8, 8), map[i].len);
        ck_assert_uint_eq(rd(&l, zp + ZP_E820 + 20 * i + 16, 4), (unsigned)map[i].type);
    }
    load_close(&l);
}
END_TEST

START_TEST(linux_is_told_of_a_vga_in_text_mode)
{
    for (unsigned with = 0; with < 2; with++) {
        struct load l;
        open_linux(&l, 16 * MIB);
        l.source.vga = with;
        load_ok(&l, BOOT_LINUX);
        uint64_t zp = l.entry.esi;
        ck_assert_uint_eq(rd(&l, zp + 0x006, 2), with ? 80 << 8 | 3 : 0);
        ck_assert_uint_eq(rd(&l, zp + 0x00e, 4), with ? 16 << 16 | 1 << 8 | 25 : 0);
        load_close(&l);
    }
}
END_TEST

/* Only the setup header comes from the file: the rest of the zero page is ours, whatever stands there. */
START_TEST(linux_header_ends_where_its_jump_leads)
{
    static const struct {
        unsigned jump;
        uint64_t end;
    } row[] = {
        { 0x62, 0x264 }, { 0x66, 0x268 }, { 0x8e, 0x290 }, { 0x8f, 0x290 }, { 0xff, 0x290 }
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct load l;
        open_linux(&l, 16 * MIB);
        memset(l.image->bytes + 0x264, 0xee, 0x100);
        memset(l.image->bytes + 0x1c0, 0xee, 0x31);
        image_put(l.image, 0x201, row[i].jump, 1);
        load_ok(&l, BOOT_LINUX);
        ck_assert_uint_eq(rd(&l, l.entry.esi + 0x1f0, 1), 0);
        for (uint64_t at = 0x264; at < ZP_E820; at++)
            ck_assert_uint_eq(rd(&l, l.entry.esi + at, 1), at < row[i].end ? 0xee : 0);
        load_close(&l);
    }
}
END_TEST

START_TEST(linux_lies_at_its_preferred_address_or_where_ram_is)
{
    static const struct {
        uint64_t ram, preferred, align, init, want;
    } row[] = {
        { 16 * MIB, KERNEL, 0x200000, 0x8000, KERNEL },
        { KERNEL + 0x8000, KERNEL, 0x200000, 0x8000, KERNEL },
        { KERNEL + 0x7000, KERNEL, 0x200000, 0x8000, 0x200000 },
        { 16 * MIB, 0x1000000, 0x100000, 0x8000, 0x100000 },
        { 16 * MIB, 0xfffffffff00000, 0x200000, 0x8000, 0x200000 },
        { 16 * MIB, 0x1000, 0x200000, 0x8000, 0x200000 }, /* never below 1 MiB */
        { 0x209000, 0, 0x200000, 0x9000, 0x200000 },
        { 16 * MIB, KERNEL, 0x200000, 0, KERNEL }, /* the code itself counts, too */
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct load l;
        open_linux(&l, row[i].ram);
        image_put(l.image, 0x258, row[i].preferred, 8);
        image_put(l.image, 0x230, row[i].align, 4);
        image_put(l.image, 0x260, row[i].init, 4);
        load_ok(&l, BOOT_LINUX);
        kernel_at(&l, row[i].want);
        load_close(&l);
    }
}
END_TEST

START_TEST(linux_that_does_not_fit_is_refused)
{
    static const struct {
        uint64_t ram, align;
        unsigned relocatable;
        uint32_t init;
    } row[] = {
        { 0x208000, 0x200000, 1, 0x9000 },    { 0x300000, 0x200000, 0, 0x8000 },
        { 0x300000, 0, 1, 0x8000 },           { 0x300000, 0x300000, 1, 0x8000 },
        { 16 * MIB, 0x200000, 1, 16u << 20 }, { 16 * MIB, 0x80000000, 1, 0xffffffff },
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct load l;
        open_linux(&l, row[i].ram);
        image_put(l.image, 0x230, row[i].align, 4);
        image_put(l.image, 0x234, row[i].relocatable, 1);
        image_put(l.image, 0x260, row[i].init, 4);
        load_bad(&l, PACIFICA_ERANGE, "KiB of RAM");
        load_close(&l);
    }
}
END_TEST

/* What lies behind the code is the kernel's own to clear: nothing is written there. */
START_TEST(linux_room_behind_the_kernel_stays)
{
    struct load l;
    open_linux(&l, 16 * MIB);
    phys_write(l.memory, KERNEL + IMAGE_LINUX_BYTES, 8, 0x1122334455667788);
    load_ok(&l, BOOT_LINUX);
    ck_assert_uint_eq(rd(&l, KERNEL + IMAGE_LINUX_BYTES, 8), 0x1122334455667788);
    load_close(&l);
}
END_TEST

START_TEST(linux_initrd_lies_as_high_as_its_limit_allows)
{
    static uint8_t data[0x1801] = { 1, 2, 3 };
    static const struct {
        uint32_t limit;
        uint64_t want;
    } row[] = {
        { 0x7fffffff, 0xffe000 },
        { 0xffffffff, 0xffe000 },
        { 0xfff7ff, 0xffd000 },
        { 0xfff800, 0xffe000 },
        { 0x7fffff, 0x7fe000 },
        { KERNEL, 0x3fe000 }, /* below the kernel */
        { 0x1017ff, 0 },
        { 0x101800, 0x100000 },
        { 0, 0 },
    };
    const struct boot_module module = { data, sizeof(data), "initrd", "initrd" };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct load l;
        open_linux(&l, 16 * MIB);
        l.source.modules = &module;
        l.source.module_count = 1;
        image_put(l.image, 0x22c, row[i].limit, 4);
        if (row[i].want == 0) {
            load_bad(&l, PACIFICA_ERANGE, "no room");
        } else {
            load_ok(&l, BOOT_LINUX);
            ck_assert_uint_eq(rd(&l, l.entry.esi + 0x218, 4), row[i].want);
            ck_assert_uint_eq(rd(&l, l.entry.esi + 0x21c, 4), sizeof(data));
            ck_assert_uint_eq(rd(&l, row[i].want, 4), 0x030201);
        }
        load_close(&l);
    }
}
END_TEST

START_TEST(linux_several_files_are_one_initrd)
{
    static const uint8_t a[] = { 1, 2, 3, 4, 5 }, b[] = { 6 };
    const struct boot_module module[] = { { a, 5, "a", "a" },
                                          { a, 0, "empty", NULL },
                                          { b, 1, "b", NULL } };
    struct load l;
    open_linux(&l, 16 * MIB);
    phys_write(l.memory, 0xfff000, 8, UINT64_MAX);
    phys_write(l.memory, 0xfff008, 8, UINT64_MAX);
    l.source.modules = module;
    l.source.module_count = 3;
    load_ok(&l, BOOT_LINUX);
    uint64_t at = rd(&l, l.entry.esi + 0x218, 4);
    ck_assert_uint_eq(at, 0xfff000);
    ck_assert_uint_eq(rd(&l, l.entry.esi + 0x21c, 4), 9);
    ck_assert_uint_eq(rd(&l, at, 8), 0x0504030201);
    ck_assert_uint_eq(rd(&l, at + 8, 1), 6);
    load_close(&l);
}
END_TEST

START_TEST(linux_command_line_has_a_limit)
{
    char text[300];
    memset(text, 'x', sizeof(text));
    for (size_t len = 255; len <= 256; len++) {
        struct load l;
        open_linux(&l, 16 * MIB);
        text[len] = 0;
        l.source.cmdline = text;
        if (len == 255) {
            load_ok(&l, BOOT_LINUX);
            text_at(&l, rd(&l, l.entry.esi + 0x228, 4), text);
        } else {
            load_bad(&l, PACIFICA_EUSAGE, "256 characters, and the kernel takes at most 255");
        }
        text[len] = 'x';
        load_close(&l);
    }
}
END_TEST

START_TEST(linux_initrd_has_no_arguments)
{
    const struct boot_module module = { (const uint8_t *)"x", 1, "initrd", "initrd quiet" };
    struct load l;
    open_linux(&l, 16 * MIB);
    l.source.modules = &module;
    l.source.module_count = 1;
    load_bad(&l, PACIFICA_EUSAGE, "no arguments");
    load_close(&l);
}
END_TEST

START_TEST(linux_bad_headers)
{
    static const struct {
        size_t at;
        unsigned bytes;
        uint64_t value;
        enum pacifica_status status;
        const char *text;
    } row[] = {
        { 0x206, 2, 0x209, PACIFICA_EUNSUPPORTED, "2.09 is older than 2.10" },
        { 0x206, 2, 0, PACIFICA_EUNSUPPORTED, "older" },
        { 0x211, 1, 0xfe, PACIFICA_EUNSUPPORTED, "zImage" },
        { 0x1f4, 4, IMAGE_LINUX_BYTES / 16 + 1, PACIFICA_EFORMAT, "promises" },
        { 0x1f4, 4, 0xffffffff, PACIFICA_EFORMAT, "promises" },
        { 0x1f4, 4, 0x20, PACIFICA_EFORMAT, "promises" }, /* ends before the 64-bit entry */
        { 0x1f4, 4, 0, PACIFICA_EFORMAT, "promises" },
        { 0x1f1, 1, 3, PACIFICA_EFORMAT, "promises" },
        { 0x1f1, 1, 0, PACIFICA_EFORMAT, "promises" }, /* counts as 4 */
        { 0x1f1, 1, 255, PACIFICA_EFORMAT, "promises" },
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct load l;
        open_linux(&l, 16 * MIB);
        image_put(l.image, row[i].at, row[i].value, row[i].bytes);
        load_bad(&l, row[i].status, row[i].text);
        load_close(&l);
    }
}
END_TEST

START_TEST(linux_every_truncation_is_refused)
{
    struct load l;
    open_linux(&l, 16 * MIB);
    size_t whole = l.image->len;
    for (size_t len = 0x206; len <= whole - 16; len += len < 0x280 ? 1 : 61) {
        l.image->len = len;
        load_bad(&l, PACIFICA_EFORMAT, len < 0x264 ? "setup header" : "promises");
    }
    l.image->len = whole - 16;
    load_bad(&l, PACIFICA_EFORMAT, "promises");
    for (l.image->len = whole - 15; l.image->len <= whole;
         l.image->len++) { /* the size is rounded up */
        load_ok(&l, BOOT_LINUX);
        ck_assert_uint_eq(rd(&l, KERNEL + IMAGE_LINUX_BYTES - 16, 1),
                          image_byte(0, IMAGE_LINUX_BYTES - 16));
    }
    load_close(&l);
}
END_TEST

START_TEST(linux_64_bit_entry)
{
    struct load l;
    struct vcpu *cpu = calloc(1, sizeof(*cpu));
    ck_assert_ptr_nonnull(cpu);
    open_linux(&l, 16 * MIB);
    load_ok(&l, BOOT_LINUX);
    boot_enter(cpu, &l.entry);
    ck_assert_int_eq(cpu->mode, MODE_LONG64);
    ck_assert_uint_eq(cpu->r[REG_RIP], KERNEL + 0x200);
    ck_assert_uint_eq(cpu->r[REG_RSI], l.entry.esi);
    ck_assert_uint_eq(cpu_rflags(cpu), 2);
    ck_assert_uint_eq(cpu->regs.seg[SEG_CS].selector, 0x10);
    ck_assert_uint_eq(cpu->regs.seg[SEG_DS].selector, 0x18);
    ck_assert_uint_eq(cpu->regs.seg[SEG_SS].selector, 0x18);
    /* Descriptors of the same meaning: reloading a selector changes nothing. */
    ck_assert_uint_eq(rd(&l, cpu->regs.gdtr.base + 0x10, 8), 0x00af9b000000ffff);
    ck_assert_uint_eq(rd(&l, cpu->regs.gdtr.base + 0x18, 8), 0x00cf93000000ffff);
    ck_assert_uint_eq(cpu->regs.gdtr.limit, 0x1f);
    /* 4 GiB are mapped to themselves. */
    for (uint64_t at = 0; at < 1ull << 32; at += 0x200000) {
        uint64_t pdp = rd(&l, cpu->regs.cr3, 8), pd = rd(&l, (pdp & ~0xfffull) + 8 * (at >> 30), 8);
        uint64_t entry = rd(&l, (pd & ~0xfffull) + 8 * (at >> 21 & 511), 8);
        ck_assert_uint_eq(pdp & 0xfff, 3);
        ck_assert_uint_eq(pd & 0xfff, 3);
        ck_assert_uint_eq(entry, at | 0x83);
    }
    free(cpu);
    load_close(&l);
}
END_TEST

START_TEST(linux_32_bit_entry)
{
    struct load l;
    struct vcpu *cpu = calloc(1, sizeof(*cpu));
    ck_assert_ptr_nonnull(cpu);
    open_linux(&l, 16 * MIB);
    image_put(l.image, 0x236, 0, 2);
    load_ok(&l, BOOT_LINUX);
    boot_enter(cpu, &l.entry);
    ck_assert_int_eq(cpu->mode, MODE_PROT32);
    ck_assert_uint_eq(cpu->r[REG_RIP], KERNEL);
    ck_assert_uint_eq(cpu->r[REG_RSI], l.entry.esi);
    ck_assert_uint_eq(cpu->r[REG_RBP] | cpu->r[REG_RDI] | cpu->r[REG_RBX], 0);
    ck_assert_uint_eq(cpu->regs.cr0, 0x11);
    ck_assert_uint_eq(cpu->regs.seg[SEG_CS].selector, 0x10);
    ck_assert_uint_eq(cpu->regs.seg[SEG_ES].selector, 0x18);
    ck_assert_uint_eq(rd(&l, cpu->regs.gdtr.base + 0x10, 8), 0x00cf9b000000ffff);
    free(cpu);
    load_close(&l);
}
END_TEST

START_TEST(processors_find_the_memory_types_of_firmware)
{
    struct vcpu *cpu = calloc(1, sizeof(*cpu));
    ck_assert_ptr_nonnull(cpu);
    boot_processor(cpu, 48);
    ck_assert_uint_eq(cpu->msr.mtrr_def, 0xc06);
    ck_assert_uint_eq(cpu->msr.mtrr_fix[0], 0x0606060606060606);  /* 0 */
    ck_assert_uint_eq(cpu->msr.mtrr_fix[1], 0x0606060606060606);  /* 80000h */
    ck_assert_uint_eq(cpu->msr.mtrr_fix[2], 0);                   /* A0000h */
    ck_assert_uint_eq(cpu->msr.mtrr_fix[3], 0x0505050505050505);  /* C0000h */
    ck_assert_uint_eq(cpu->msr.mtrr_fix[10], 0x0505050505050505); /* F8000h */
    ck_assert_uint_eq(cpu->msr.mtrr_phys[0], 0xc0000000);
    ck_assert_uint_eq(cpu->msr.mtrr_phys[1], 0xffffc0000800);
    ck_assert_uint_eq(cpu->msr.mtrr_phys[3], 0);
    free(cpu);
}
END_TEST

CHECK_MAIN("linux", linux_zero_page, linux_is_told_of_a_vga_in_text_mode,
           linux_header_ends_where_its_jump_leads,
           linux_lies_at_its_preferred_address_or_where_ram_is, linux_that_does_not_fit_is_refused,
           linux_room_behind_the_kernel_stays, linux_initrd_lies_as_high_as_its_limit_allows,
           linux_several_files_are_one_initrd, linux_command_line_has_a_limit,
           linux_initrd_has_no_arguments, linux_bad_headers, linux_every_truncation_is_refused,
           linux_64_bit_entry, linux_32_bit_entry, processors_find_the_memory_types_of_firmware)

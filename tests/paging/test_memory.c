/* Physical memory: layout, routing, marks, ROMs, block copies. */
#include "tests/paging/kit.h"

#include <string.h>

struct bus_log {
    unsigned reads, writes;
    uint64_t spa[8], value[8];
    unsigned size[8];
};

static uint64_t log_read(void *self, uint64_t spa, unsigned size)
{
    struct bus_log *log = self;

    log->spa[log->reads % 8] = spa;
    log->size[log->reads % 8] = size;
    log->reads++;
    return 0x8877665544332211ull;
}

static void log_write(void *self, uint64_t spa, unsigned size, uint64_t value)
{
    struct bus_log *log = self;

    log->spa[log->writes % 8] = spa;
    log->size[log->writes % 8] = size;
    log->value[log->writes % 8] = value;
    log->writes++;
}

static const struct mmio_ops log_ops = { log_read, log_write };

START_TEST(new_refuses_bad_sizes)
{
    ck_assert_ptr_null(memory_new(0));
    ck_assert_ptr_null(memory_new(4095));
    ck_assert_ptr_null(memory_new(4096 + 1));
    ck_assert_ptr_null(memory_new(UINT64_MAX & ~0xfffull));
    memory_free(NULL);
}
END_TEST

START_TEST(layout_has_the_hole_and_ends)
{
    struct memory *memory = memory_new(16 << 20);

    ck_assert_uint_eq(memory_ram_bytes(memory), 16 << 20);
    ck_assert_uint_eq(memory_backing(memory, 0), 0);
    ck_assert_uint_eq(memory_backing(memory, 0x9ffff), 0x9f);
    ck_assert_uint_eq(memory_backing(memory, 0xa0000), UINT64_MAX);
    ck_assert_uint_eq(memory_backing(memory, 0xfffff), UINT64_MAX);
    ck_assert_uint_eq(memory_backing(memory, 0x100000), 0x100);
    ck_assert_uint_eq(memory_backing(memory, (16 << 20) - 1), 0xfff);
    ck_assert_uint_eq(memory_backing(memory, 16 << 20), UINT64_MAX);
    ck_assert_uint_eq(memory_backing(memory, 1ull << 32), UINT64_MAX);
    ck_assert_uint_eq(memory_backing(memory, UINT64_MAX), UINT64_MAX);
    memory_free(memory);
}
END_TEST

START_TEST(small_ram_ends_below_the_hole)
{
    struct memory *memory = memory_new(0x8000);

    ck_assert_uint_eq(memory_backing(memory, 0x7fff), 7);
    ck_assert_uint_eq(memory_backing(memory, 0x8000), UINT64_MAX);
    ck_assert_uint_eq(memory_backing(memory, 0x100000), UINT64_MAX);
    memory_free(memory);
}
END_TEST

START_TEST(large_ram_continues_at_4_gib)
{
    struct memory *memory = memory_new(0xe0000000ull);

    if (!memory)
        return; /* a workstation without so much address space to give */
    ck_assert_uint_eq(memory_backing(memory, 0xbfffffff), 0xbffff);
    ck_assert_uint_eq(memory_backing(memory, 0xc0000000), UINT64_MAX);
    ck_assert_uint_eq(memory_backing(memory, 0xffffffff), UINT64_MAX);
    ck_assert_uint_eq(memory_backing(memory, 0x100000000), 0xc0000);
    ck_assert_uint_eq(memory_backing(memory, 0x11fffffff), 0xdffff);
    ck_assert_uint_eq(memory_backing(memory, 0x120000000), UINT64_MAX);
    phys_write(memory, 0x100001ff8, 8, 42);
    ck_assert_uint_eq(phys_read(memory, 0x100001ff8, 8), 42);
    memory_free(memory);
}
END_TEST

START_TEST(ram_below_3_5_gib_is_not_split)
{
    struct memory *memory = memory_new(0xe0000000ull - 0x1000);

    if (!memory)
        return;
    ck_assert_uint_eq(memory_backing(memory, 0xdfffefff), 0xdfffe);
    ck_assert_uint_eq(memory_backing(memory, 0xdffff000), UINT64_MAX);
    ck_assert_uint_eq(memory_backing(memory, 0x100000000), UINT64_MAX);
    memory_free(memory);
}
END_TEST

START_TEST(ram_is_zero_and_lazy)
{
    struct memory *memory = memory_new(1ull << 30);

    ck_assert_uint_eq(phys_read(memory, 0x12345678, 8), 0);
    for (unsigned i = 0; i < 64; i++)
        phys_write(memory, 0x400000 + i * 4096, 1, 1);
    ck_assert_uint_ge(memory_resident_kib(memory), 64 * 4);
    ck_assert_uint_lt(memory_resident_kib(memory), 16 << 10);
    memory_free(memory);
}
END_TEST

START_TEST(accesses_have_all_widths)
{
    struct memory *memory = memory_new(1 << 20);

    for (unsigned size = 1; size <= 8; size++) {
        uint64_t value = 0x8877665544332211ull,
                 mask = size < 8 ? (1ull << size * 8) - 1 : UINT64_MAX;

        phys_write(memory, 0x1000, 8, UINT64_MAX);
        phys_write(memory, 0x1000, size, value);
        ck_assert_uint_eq(phys_read(memory, 0x1000, size), value & mask);
        ck_assert_uint_eq(phys_read(memory, 0x1000, 8), (value & mask) | ~mask);
    }
    memory_free(memory);
}
END_TEST

START_TEST(accesses_cross_pages)
{
    struct memory *memory = memory_new(1 << 20);

    phys_write(memory, 0x1ffd, 8, 0x8877665544332211ull);
    ck_assert_uint_eq(phys_read(memory, 0x1ffd, 8), 0x8877665544332211ull);
    ck_assert_uint_eq(phys_read(memory, 0x1ffd, 2), 0x2211);
    ck_assert_uint_eq(phys_read(memory, 0x2000, 4), 0x77665544);
    ck_assert_uint_eq(memory_marks(memory, 1) & memory_marks(memory, 2) & PAGE_DIRTY, PAGE_DIRTY);
    memory_free(memory);
}
END_TEST

START_TEST(open_bus_reads_ones)
{
    struct memory *memory = memory_new(1 << 20);

    ck_assert_uint_eq(phys_read(memory, 0xa0000, 1), 0xff);
    ck_assert_uint_eq(phys_read(memory, 0xa0000, 4), 0xffffffff);
    ck_assert_uint_eq(phys_read(memory, 1ull << 51, 8), UINT64_MAX);
    phys_write(memory, 0xa0000, 8, 1);
    ck_assert_uint_eq(phys_read(memory, 0xa0000, 8), UINT64_MAX);
    memory_free(memory);
}
END_TEST

START_TEST(addresses_do_not_wrap)
{
    struct memory *memory = memory_new(1 << 20);

    phys_write(memory, 0, 8, 0x1111111111111111ull);
    ck_assert_uint_eq(phys_read(memory, UINT64_MAX - 3, 8), UINT64_MAX);
    phys_write(memory, UINT64_MAX - 3, 8, 0);
    ck_assert_uint_eq(phys_read(memory, 0, 8), 0x1111111111111111ull);
    memory_free(memory);
}
END_TEST

START_TEST(mmio_gets_the_size_of_the_access)
{
    struct memory *memory = memory_new(2 << 20);
    struct bus_log log = { 0 };

    memory_set_mmio(memory, &log_ops, &log);
    for (unsigned size = 1; size <= 8; size *= 2) {
        uint64_t mask = size < 8 ? (1ull << size * 8) - 1 : UINT64_MAX;

        log = (struct bus_log){ 0 };
        ck_assert_uint_eq(phys_read(memory, 0xb8001, size), 0x8877665544332211ull & mask);
        ck_assert_uint_eq(log.reads, 1);
        ck_assert_uint_eq(log.size[0], size);
        ck_assert_uint_eq(log.spa[0], 0xb8001);
        phys_write(memory, 0xb8001, size, UINT64_MAX);
        ck_assert_uint_eq(log.writes, 1);
        ck_assert_uint_eq(log.value[0], mask);
    }
    memory_free(memory);
}
END_TEST

START_TEST(mmio_in_both_pages_is_one_access)
{
    struct memory *memory = memory_new(2 << 20);
    struct bus_log log = { 0 };

    memory_set_mmio(memory, &log_ops, &log);
    phys_read(memory, 0xb8ffe, 4);
    ck_assert_uint_eq(log.reads, 1);
    ck_assert_uint_eq(log.size[0], 4);
    memory_free(memory);
}
END_TEST

START_TEST(mmio_behind_ram_gets_its_part)
{
    struct memory *memory = memory_new(2 << 20);
    struct bus_log log = { 0 };

    memory_set_mmio(memory, &log_ops, &log);
    phys_write(memory, 0x9fffd, 8, 0x8877665544332211ull); /* 3 bytes of RAM, 5 of MMIO */
    ck_assert_uint_eq(phys_read(memory, 0x9fffd, 2), 0x2211);
    ck_assert_uint_eq(log.reads, 0);
    ck_assert_uint_eq(log.writes, 2);
    ck_assert_uint_eq(log.spa[0], 0xa0000);
    ck_assert_uint_eq(log.size[0], 4);
    ck_assert_uint_eq(log.value[0], 0x77665544);
    ck_assert_uint_eq(log.spa[1], 0xa0004);
    ck_assert_uint_eq(log.size[1], 1);
    ck_assert_uint_eq(log.value[1], 0x88);
    ck_assert_uint_eq(phys_read(memory, 0x9fffd, 8), 0x1144332211332211ull);
    memory_free(memory);
}
END_TEST

START_TEST(mmio_before_ram_gets_its_part)
{
    struct memory *memory = memory_new(2 << 20);
    struct bus_log log = { 0 };

    memory_set_mmio(memory, &log_ops, &log);
    phys_write(memory, 0xffffd, 4, 0x44332211); /* 3 bytes of MMIO: 1 + 2 by alignment */
    ck_assert_uint_eq(log.writes, 2);
    ck_assert_uint_eq(log.spa[0], 0xffffd);
    ck_assert_uint_eq(log.size[0], 1);
    ck_assert_uint_eq(log.spa[1], 0xffffe);
    ck_assert_uint_eq(log.size[1], 2);
    ck_assert_uint_eq(log.value[1], 0x3322);
    ck_assert_uint_eq(phys_read(memory, 0x100000, 1), 0x44);
    memory_free(memory);
}
END_TEST

START_TEST(native_pointers_stay_in_a_page_of_ram)
{
    struct memory *memory = memory_new(2 << 20);

    ck_assert_ptr_nonnull(memory_ptr(memory, 0x1000, 4096));
    ck_assert_ptr_nonnull(memory_ptr(memory, 0x1fff, 1));
    ck_assert_ptr_null(memory_ptr(memory, 0x1fff, 2));
    ck_assert_ptr_null(memory_ptr(memory, 0x1000, 4097));
    ck_assert_ptr_null(memory_ptr(memory, 0x1000, SIZE_MAX));
    ck_assert_ptr_null(memory_ptr(memory, 0xa0000, 1));
    ck_assert_ptr_null(memory_ptr(memory, 2 << 20, 1));
    *memory_ptr(memory, 0x1234, 1) = 7;
    ck_assert_uint_eq(phys_read(memory, 0x1234, 1), 7);
    ck_assert_ptr_eq(memory_page_ptr(memory, 1), memory_ptr(memory, 0x1000, 1));
    ck_assert_ptr_null(memory_page_ptr(memory, memory_page_count(memory)));
    memory_free(memory);
}
END_TEST

START_TEST(blocks_are_copied_whole_or_not_at_all)
{
    struct memory *memory = memory_new(2 << 20);
    static uint8_t out[0x3000], in[0x3000];

    for (unsigned i = 0; i < sizeof(out); i++)
        out[i] = (uint8_t)(i * 7 + 1);
    ck_assert(phys_write_block(memory, 0x1800, out, sizeof(out)));
    ck_assert(phys_read_block(memory, 0x1800, in, sizeof(in)));
    ck_assert_mem_eq(in, out, sizeof(out));
    ck_assert_uint_eq(memory_marks(memory, 4), PAGE_DIRTY);

    ck_assert(!phys_write_block(memory, 0x9f000, out, 0x1001)); /* one byte in the hole */
    ck_assert_uint_eq(phys_read(memory, 0x9f000, 8), 0);
    ck_assert(phys_write_block(memory, 0x9f000, out, 0x1000));
    memset(in, 0x55, sizeof(in));
    ck_assert(!phys_read_block(memory, 0x9f000, in, 0x1001));
    ck_assert_uint_eq(in[0], 0x55);
    ck_assert(!phys_read_block(memory, UINT64_MAX - 1, in, 4));
    ck_assert(!phys_write_block(memory, (2 << 20) - 1, out, 2));
    ck_assert(phys_read_block(memory, 0xa0000, in, 0)); /* nothing of nothing */
    memory_free(memory);
}
END_TEST

struct written_log {
    unsigned calls;
    uint64_t page[4];
    unsigned offset[4], len[4];
};

static void note_written(void *self, uint64_t page, unsigned offset, unsigned len)
{
    struct written_log *log = self;

    log->page[log->calls % 4] = page;
    log->offset[log->calls % 4] = offset;
    log->len[log->calls % 4] = len;
    log->calls++;
}

START_TEST(written_is_called_for_code_and_watched_pages)
{
    struct memory *memory = memory_new(2 << 20);
    struct written_log log = { 0 };

    memory_set_written(memory, note_written, &log);
    phys_write(memory, 0x1000, 8, 1);
    ck_assert_uint_eq(log.calls, 0);
    memory_set_marks(memory, 1, PAGE_HAS_CODE, 0);
    phys_write(memory, 0x1010, 4, 1);
    ck_assert_uint_eq(log.calls, 1);
    ck_assert_uint_eq(log.page[0], 1);
    ck_assert_uint_eq(log.offset[0], 0x10);
    ck_assert_uint_eq(log.len[0], 4);
    memory_set_marks(memory, 1, PAGE_WATCHED, PAGE_HAS_CODE);
    phys_write(memory, 0x1ffc, 8, 1); /* half of it in page 2, without a mark */
    ck_assert_uint_eq(log.calls, 2);
    ck_assert_uint_eq(log.len[1], 4);
    memory_set_marks(memory, 1, 0, PAGE_WATCHED);
    phys_write(memory, 0x1000, 8, 1);
    ck_assert_uint_eq(log.calls, 2);

    memory_set_marks(memory, 5, PAGE_HAS_CODE, 0);
    memory_set_marks(memory, 6, PAGE_HAS_CODE, 0);
    phys_written(memory, 0x4ff0, 0x2000); /* pages 4, 5, 6 */
    ck_assert_uint_eq(log.calls, 4);
    ck_assert_uint_eq(log.len[2], 4096);
    ck_assert_uint_eq(log.len[3], 0xff0);
    ck_assert_uint_eq(memory_marks(memory, 4), PAGE_DIRTY);
    ck_assert(phys_write_block(memory, 0x5000, "x", 1));
    ck_assert_uint_eq(log.calls, 5);
    memory_free(memory);
}
END_TEST

static void count_change(void *self, uint64_t page)
{
    unsigned *count = self;

    *count += page == 3;
}

START_TEST(mark_listeners_hear_of_changes_only)
{
    struct memory *memory = memory_new(1 << 20);
    unsigned count = 0;

    ck_assert(memory_add_mark_listener(memory, count_change, &count));
    memory_set_marks(memory, 3, PAGE_DIRTY, 0);
    ck_assert_uint_eq(count, 0);
    memory_set_marks(memory, 3, PAGE_HAS_CODE, 0);
    ck_assert_uint_eq(count, 1);
    memory_set_marks(memory, 3, PAGE_HAS_CODE, 0);
    ck_assert_uint_eq(count, 1);
    memory_set_marks(memory, 3, 0, PAGE_HAS_CODE);
    ck_assert_uint_eq(count, 2);
    memory_set_marks(memory, 3, PAGE_WATCHED, 0);
    ck_assert_uint_eq(count, 3);
    memory_set_marks(memory, 3, 0, PAGE_DIRTY);
    ck_assert_uint_eq(count, 4);
    memory_set_marks(memory, UINT64_MAX, PAGE_HAS_CODE, 0); /* no such page */
    ck_assert_uint_eq(memory_marks(memory, UINT64_MAX), 0);
    memory_remove_mark_listener(memory, count_change, &count);
    memory_set_marks(memory, 3, PAGE_HAS_CODE, 0);
    ck_assert_uint_eq(count, 4);
    memory_free(memory);
}
END_TEST

START_TEST(mark_listener_table_is_bounded)
{
    struct memory *memory = memory_new(1 << 20);
    unsigned count = 0, made = 0;

    while (made < 1000 && memory_add_mark_listener(memory, count_change, &count))
        made++;
    ck_assert_uint_ge(made, 64);
    ck_assert_uint_lt(made, 1000);
    memory_free(memory);
}
END_TEST

START_TEST(rom_reads_and_ignores_writes)
{
    struct memory *memory = memory_new(2 << 20);
    static uint8_t image[0x2000];
    uint8_t back[16];
    uint64_t page;

    memset(image, 0xab, sizeof(image));
    ck_assert(memory_add_rom(memory, 0xe0000, image, sizeof(image)));
    ck_assert_uint_eq(phys_read(memory, 0xe1ff8, 8), 0xababababababababull);
    memory_dirty_clear(memory);
    phys_write(memory, 0xe0000, 8, 0);
    ck_assert_uint_eq(phys_read(memory, 0xe0000, 8), 0xababababababababull);
    page = memory_backing(memory, 0xe0000);
    ck_assert_uint_lt(page, memory_page_count(memory));
    ck_assert(!memory_page_writable(memory, page));
    ck_assert(memory_page_writable(memory, 0));
    ck_assert_uint_eq(memory_marks(memory, page), 0);
    ck_assert_ptr_null(memory_ptr(memory, 0xe0000, 1));
    ck_assert(phys_read_block(memory, 0xe0ff8, back, sizeof(back)));
    ck_assert(!phys_write_block(memory, 0xe0ff8, back, sizeof(back)));
    ck_assert_uint_eq(memory_marks(memory, page), 0);
    ck_assert_uint_eq(memory_backing(memory, 0xe2000), UINT64_MAX);
    memory_free(memory);
}
END_TEST

START_TEST(rom_never_covers_ram)
{
    struct memory *memory = memory_new(2 << 20);
    static uint8_t image[0x3000];

    ck_assert(!memory_add_rom(memory, 0x9f000, image, 0x2000));
    ck_assert(memory_add_rom(memory, 0xa0000, image, 0x1000));
    ck_assert(!memory_add_rom(memory, 0xff000, image, 0x2000));
    ck_assert(memory_add_rom(memory, 0xff000, image, 0x1000));
    ck_assert(!memory_add_rom(memory, 0xfe000, image, 0x3000)); /* another ROM */
    ck_assert(!memory_add_rom(memory, 0xb0001, image, 0x1000));
    ck_assert(!memory_add_rom(memory, 0xb0000, image, 0xfff));
    ck_assert(!memory_add_rom(memory, 0xb0000, image, 0));
    ck_assert(!memory_add_rom(memory, UINT64_MAX & ~0xfffull, image, 0x2000));
    ck_assert(memory_add_rom(memory, 0xfffff000, image, 0x1000));
    ck_assert(memory_add_rom(memory, 0x100000000, image, 0x1000)); /* no RAM there with 2 MiB */
    memory_free(memory);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memory");
    TCase *tc = tcase_create("memory");

    tcase_add_test(tc, new_refuses_bad_sizes);
    tcase_add_test(tc, layout_has_the_hole_and_ends);
    tcase_add_test(tc, small_ram_ends_below_the_hole);
    tcase_add_test(tc, large_ram_continues_at_4_gib);
    tcase_add_test(tc, ram_below_3_5_gib_is_not_split);
    tcase_add_test(tc, ram_is_zero_and_lazy);
    tcase_add_test(tc, accesses_have_all_widths);
    tcase_add_test(tc, accesses_cross_pages);
    tcase_add_test(tc, open_bus_reads_ones);
    tcase_add_test(tc, addresses_do_not_wrap);
    tcase_add_test(tc, mmio_gets_the_size_of_the_access);
    tcase_add_test(tc, mmio_in_both_pages_is_one_access);
    tcase_add_test(tc, mmio_behind_ram_gets_its_part);
    tcase_add_test(tc, mmio_before_ram_gets_its_part);
    tcase_add_test(tc, native_pointers_stay_in_a_page_of_ram);
    tcase_add_test(tc, blocks_are_copied_whole_or_not_at_all);
    tcase_add_test(tc, written_is_called_for_code_and_watched_pages);
    tcase_add_test(tc, mark_listeners_hear_of_changes_only);
    tcase_add_test(tc, mark_listener_table_is_bounded);
    tcase_add_test(tc, rom_reads_and_ignores_writes);
    tcase_add_test(tc, rom_never_covers_ram);
    suite_add_tcase(suite, tc);
    return kit_run(suite);
}

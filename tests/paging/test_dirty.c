/* The dirty map: what is found, in which order, what clearing takes from the fast tables, and contents put back. */
#include "tests/paging/kit.h"

#define LA 0x00007f8040201000ull
#define PAGE 0x234000ull

static struct kit kit;

static void setup(void)
{
    kit_init(&kit);
}

static void teardown(void)
{
    kit_fini(&kit);
}

START_TEST(written_pages_are_found_in_order)
{
    static const uint64_t pages[] = { 0, 1, 7, 8, 63, 64, 0x100, 511 };
    struct memory *memory = memory_new(2 << 20);
    uint64_t at = 0;

    ck_assert_uint_eq(memory_dirty_next(memory, 0), MEMORY_NO_PAGE);
    for (unsigned i = sizeof(pages) / sizeof(pages[0]); i-- > 0;)
        phys_write(memory, pages[i] << 12, 1, 1);
    for (unsigned i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        at = memory_dirty_next(memory, at);
        ck_assert_uint_eq(at++, pages[i]);
    }
    ck_assert_uint_eq(memory_dirty_next(memory, at), MEMORY_NO_PAGE);
    ck_assert_uint_eq(memory_dirty_next(memory, UINT64_MAX), MEMORY_NO_PAGE);
    memory_dirty_clear(memory);
    ck_assert_uint_eq(memory_dirty_next(memory, 0), MEMORY_NO_PAGE);
    memory_free(memory);
}
END_TEST

START_TEST(other_marks_are_no_writes_and_stay)
{
    struct memory *memory = memory_new(2 << 20);

    memory_set_marks(memory, 5, PAGE_WATCHED | PAGE_HAS_CODE | PAGE_DIRTY, 0);
    memory_set_marks(memory, 9, PAGE_WATCHED, 0);
    memory_dirty_clear(memory);
    ck_assert_uint_eq(memory_dirty_next(memory, 0), MEMORY_NO_PAGE);
    ck_assert_uint_eq(memory_marks(memory, 5), PAGE_WATCHED | PAGE_HAS_CODE);
    ck_assert_uint_eq(memory_marks(memory, 9), PAGE_WATCHED);
    memory_free(memory);
}
END_TEST

START_TEST(clearing_takes_the_right_to_write_and_leaves_that_to_read)
{
    struct access write = { .kind = ACCESS_WRITE };
    const struct fast_entry *entry;
    bool filled;

    kit_map(&kit, LA, PAGE | 7);
    phys_write(kit.memory, PAGE, 8, 1);
    entry = &paging_bank(kit.paging, &kit.regime)[(LA >> 12) % FAST_ENTRIES];
    (void)paging_fast_fill(kit.paging, &kit.regime, LA, write, &filled);
    ck_assert(filled);
    ck_assert_uint_eq(entry->wtag, LA);
    memory_dirty_clear(kit.memory);
    ck_assert_uint_eq(entry->wtag, FAST_TAG_NONE);
    ck_assert_uint_eq(entry->rtag, LA);
    /* The next write goes the slow way, marks, and has its entry again. */
    (void)paging_fast_fill(kit.paging, &kit.regime, LA, write, &filled);
    ck_assert(!filled);
    phys_write(kit.memory, PAGE, 8, 2);
    ck_assert_uint_eq(memory_dirty_next(kit.memory, 0), PAGE >> 12);
    (void)paging_fast_fill(kit.paging, &kit.regime, LA, write, &filled);
    ck_assert(filled);
}
END_TEST

START_TEST(a_rom_is_written_when_it_is_added_and_when_it_is_programmed)
{
    static uint8_t image[0x3000], page[4096];
    struct memory *memory = memory_new(2 << 20);

    ck_assert(memory_add_rom(memory, 0xfff00000, image, sizeof(image)));
    uint64_t first = memory_backing(memory, 0xfff00000);
    ck_assert_uint_eq(memory_dirty_next(memory, 0), first);
    memory_dirty_clear(memory);
    ck_assert(memory_program_rom(memory, 0xfff01ffe, "abcd", 4));
    ck_assert_uint_eq(memory_dirty_next(memory, 0), first + 1);
    ck_assert_uint_eq(memory_dirty_next(memory, first + 2), first + 2);
    memory_dirty_clear(memory);
    memset(page, 0x5a, sizeof(page));
    memory_put_page(memory, first, page);
    ck_assert_uint_eq(phys_read(memory, 0xfff00ff8, 8), 0x5a5a5a5a5a5a5a5a);
    ck_assert_uint_eq(memory_dirty_next(memory, 0), first);
    memory_put_page(memory, first, NULL);
    ck_assert_uint_eq(phys_read(memory, 0xfff00ff8, 8), 0);
    memory_put_page(memory, memory_page_count(memory), page); /* there is none */
    memory_free(memory);
}
END_TEST

static void count_written(void *self, uint64_t page, unsigned offset, unsigned len)
{
    ck_assert_uint_eq(page, 3);
    ck_assert_uint_eq(offset, 0);
    ck_assert_uint_eq(len, 4096);
    ++*(unsigned *)self;
}

START_TEST(who_decodes_hears_of_contents_put_back)
{
    struct memory *memory = memory_new(2 << 20);
    unsigned count = 0;

    memory_set_written(memory, count_written, &count);
    memory_set_marks(memory, 3, PAGE_HAS_CODE, 0);
    memory_put_page(memory, 3, NULL);
    ck_assert_uint_eq(count, 1);
    memory_put_page(memory, 4, NULL);
    ck_assert_uint_eq(count, 1);
    memory_free(memory);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dirty");
    TCase *tcase = tcase_create("dirty");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, written_pages_are_found_in_order);
    tcase_add_test(tcase, other_marks_are_no_writes_and_stay);
    tcase_add_test(tcase, clearing_takes_the_right_to_write_and_leaves_that_to_read);
    tcase_add_test(tcase, a_rom_is_written_when_it_is_added_and_when_it_is_programmed);
    tcase_add_test(tcase, who_decodes_hears_of_contents_put_back);
    suite_add_tcase(suite, tcase);
    return kit_run(suite);
}

/* The table of TLB counters. */
#include "emu/debug/tlb_stats.h"
#include "paging/memory.h"
#include "tests/check_main.h"

#include <string.h>

static char text[4096];

static void collect(void *self, const void *bytes, size_t size)
{
    (void)self;
    ck_assert_uint_lt(strlen(text) + size, sizeof(text));
    strncat(text, bytes, size);
}

START_TEST(each_asid_that_translated_has_a_row_in_rising_order)
{
    const struct pacifica_output output = { .write = collect };
    struct memory *memory = memory_new(1 << 20);
    struct paging *paging = paging_new(memory, NULL);
    struct walk_regime regime = {
        .mode = WALK_4LEVEL, .root = 0x1000, .maxphyaddr = 48, .asid = 7
    };
    const struct access read = { .kind = ACCESS_READ };
    ck_assert_ptr_nonnull(paging);
    phys_write(memory, 0x1000, 8, 0x2003);
    phys_write(memory, 0x2000, 8, 0x3003);
    phys_write(memory, 0x3000, 8, 0x83);
    (void)paging_translate(paging, &regime, 0x1000, read);
    (void)paging_translate(paging, &regime, 0x2000, read); /* a hit: not shown */
    regime.asid = 0;
    (void)paging_translate(paging, &regime, 0x1000, read);
    (void)paging_translate(paging, &regime, 0x8000000000, read); /* not mapped: a miss, no fill */
    paging_flush_asid(paging, 0, true);
    tlb_stats_write(paging, &output);
    ck_assert_str_eq(text, "TLB                  misses        fills    evictions      flushes\n"
                           "ASID 0                    2            1            0            1\n"
                           "ASID 7                    1            1            0            0\n");
    paging_free(paging);
    memory_free(memory);
}
END_TEST

CHECK_MAIN("tlb_stats", each_asid_that_translated_has_a_row_in_rising_order)

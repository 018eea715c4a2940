/* The block cache: keys, ends, page crossings, and what a write drops. */
#include "decoder/block.h"
#include "decoder/decode.h"

#include <check.h>
#include <stdlib.h>

#define CODE 0x10000u /* spa of the code page: backing page 0x10 */

static struct memory *memory;
static struct block_cache *cache;

static void dead(struct vcpu *cpu, const struct op *op)
{
    (void)cpu;
    (void)op;
}

static void alive(struct vcpu *cpu, const struct op *op)
{
    (void)cpu;
    (void)op;
}

/* Branches end blocks here by opcode; that is all these tests need. */
static void bind(void *self, struct insn *insn, int status)
{
    (void)self;
    bool branch = insn->opcode == 0xeb || insn->opcode == 0xc3;
    insn->flags = status != DECODE_OK || branch ? INSN_ENDS_BLOCK : 0;
}

static unsigned lower(void *self, struct op *ops, const struct insn *const *insns, unsigned count,
                      const struct block *block)
{
    (void)self;
    (void)insns;
    (void)block;
    for (unsigned i = 0; i <= count; i++)
        ops[i] = (struct op){ .fn = alive };
    return count + 1;
}

static const struct lowering lowering = {
    .bind = bind, .lower = lower, .dead = dead, .dead_entered = dead
};
static uint64_t page;

static void setup(void)
{
    memory = memory_new(16 << 20);
    cache = block_cache_new(memory, &lowering);
    page = memory_backing(memory, CODE);
    ck_assert_ptr_nonnull(cache);
}

static void teardown(void)
{
    block_cache_free(cache);
    memory_free(memory);
}

static void fill(uint64_t spa, uint8_t byte, unsigned len)
{
    for (unsigned i = 0; i < len; i++)
        phys_write(memory, spa + i, 1, byte);
}

static struct block *build(unsigned offset, bool exact)
{
    struct block *block;
    ck_assert_int_eq(block_build(cache, page, offset, BLOCK_NO_PAGE, MODE_LONG64, exact, &block),
                     BUILD_OK);
    ck_assert_ptr_nonnull(block);
    return block;
}

START_TEST(block_is_found_by_page_offset_mode_and_exactness)
{
    fill(CODE, 0x90, 4096);
    phys_write(memory, CODE + 3, 1, 0xc3);
    struct block *block = build(0, false);
    ck_assert_ptr_eq(block_find(cache, page, 0, MODE_LONG64, false), block);
    ck_assert_ptr_null(block_find(cache, page, 1, MODE_LONG64, false));
    ck_assert_ptr_null(block_find(cache, page + 1, 0, MODE_LONG64, false));
    ck_assert_ptr_null(block_find(cache, page, 0, MODE_PROT32, false));
    ck_assert_ptr_null(block_find(cache, page, 0, MODE_LONG64, true));
}
END_TEST

START_TEST(block_ends_behind_a_branch)
{
    fill(CODE, 0x90, 16);
    phys_write(memory, CODE + 3, 1, 0xc3);
    struct block *block = build(0, false);
    ck_assert_uint_eq(block->insns, 4);
    ck_assert_uint_eq(block->bytes, 4);
}
END_TEST

START_TEST(block_ends_at_its_limits)
{
    fill(CODE, 0x90, 4096);
    struct block *block = build(0, false);
    ck_assert_uint_eq(block->insns, BLOCK_MAX_INSNS);
    block = build(4090, false);
    ck_assert_uint_eq(block->insns, 6);
    block = build(0, true);
    ck_assert_uint_eq(block->insns, 1);
    ck_assert(block->alone);
}
END_TEST

START_TEST(block_stops_before_an_instruction_that_crosses)
{
    fill(CODE, 0x90, 4096);
    phys_write(memory, CODE + 4094, 2, 0x8b48); /* mov rax, ... without its ModRM */
    struct block *block = build(4090, false);
    ck_assert_uint_eq(block->insns, 4);
    ck_assert_int_eq(block_build(cache, page, 4094, BLOCK_NO_PAGE, MODE_LONG64, false, &block),
                     BUILD_CROSSES);
}
END_TEST

START_TEST(crossing_instruction_stands_alone)
{
    struct block *block;
    uint64_t other = memory_backing(memory, 0x50000);
    phys_write(memory, CODE + 4094, 2, 0x8b48);
    phys_write(memory, 0x50000, 1, 0xc3); /* mov rax, rbx */
    ck_assert_int_eq(block_build(cache, page, 4094, other, MODE_LONG64, false, &block), BUILD_OK);
    ck_assert_uint_eq(block->insns, 1);
    ck_assert_uint_eq(block->bytes, 3);
    ck_assert_uint_eq(block->page2, other);
    ck_assert(block->alone);
    ck_assert_ptr_eq(block_find(cache, page, 4094, MODE_LONG64, false), block);
    ck_assert(memory_marks(memory, other) & PAGE_HAS_CODE);
    ck_assert(!block_cache_written(cache, other, 64, 8));
    ck_assert(block_cache_written(cache, other, 0, 1));
    ck_assert(block->dead);
    ck_assert(!(memory_marks(memory, other) & PAGE_HAS_CODE));
    ck_assert(!(memory_marks(memory, page) & PAGE_HAS_CODE));
}
END_TEST

START_TEST(write_drops_blocks_of_the_touched_lines)
{
    fill(CODE, 0xc3, 4096);
    struct block *first = build(63, false), *second = build(64, false);
    ck_assert(!block_cache_written(cache, page, 128, 8));
    ck_assert(!first->dead && !second->dead);
    ck_assert(block_cache_written(cache, page, 64, 1));
    ck_assert(!first->dead);
    ck_assert(second->dead);
    ck_assert_ptr_eq(second->ops[0].fn, dead);
    ck_assert_ptr_null(block_find(cache, page, 64, MODE_LONG64, false));
    ck_assert(memory_marks(memory, page) & PAGE_HAS_CODE);
    ck_assert(block_cache_written(cache, page, 62, 3)); /* across both lines */
    ck_assert(first->dead);
    ck_assert(!(memory_marks(memory, page) & PAGE_HAS_CODE));
}
END_TEST

START_TEST(reclaim_forgets_everything)
{
    fill(CODE, 0xc3, 16);
    (void)build(0, false);
    ck_assert(!block_cache_reclaim(cache, false));
    ck_assert(block_cache_reclaim(cache, true));
    ck_assert_ptr_null(block_find(cache, page, 0, MODE_LONG64, false));
    ck_assert(!(memory_marks(memory, page) & PAGE_HAS_CODE));
    ck_assert(!block_cache_written(cache, page, 0, 64));
}
END_TEST

START_TEST(arena_fills_up_and_is_reclaimed)
{
    fill(CODE, 0x90, 4096);
    unsigned builds = 0;
    while (!block_cache_reclaim(cache, false) && builds < 100000) {
        (void)build(0, false);
        (void)block_cache_written(cache, page, 0, 64);
        builds++;
    }
    ck_assert_uint_gt(builds, 100);
    ck_assert_uint_lt(builds, 100000);
}
END_TEST

START_TEST(loose_block_is_not_kept)
{
    struct block *block;
    const uint8_t bytes[2] = { 0x48, 0x90 };
    ck_assert_int_eq(block_build_loose(cache, bytes, 1, MODE_LONG64, &block), DECODE_SHORT);
    ck_assert_int_eq(block_build_loose(cache, bytes, 2, MODE_LONG64, &block), DECODE_OK);
    ck_assert(block->alone);
    ck_assert_ptr_null(block_find(cache, BLOCK_NO_PAGE, 0, MODE_LONG64, true));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("block");
    TCase *tc = tcase_create("block");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, block_is_found_by_page_offset_mode_and_exactness);
    tcase_add_test(tc, block_ends_behind_a_branch);
    tcase_add_test(tc, block_ends_at_its_limits);
    tcase_add_test(tc, block_stops_before_an_instruction_that_crosses);
    tcase_add_test(tc, crossing_instruction_stands_alone);
    tcase_add_test(tc, write_drops_blocks_of_the_touched_lines);
    tcase_add_test(tc, reclaim_forgets_everything);
    tcase_add_test(tc, arena_fills_up_and_is_reclaimed);
    tcase_add_test(tc, loose_block_is_not_kept);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

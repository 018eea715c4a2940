/* The A20 line. APM vol 2, 15.25.11 "A20 Masking", 15.30.1 "VM_CR MSR". */
#include "tests/paging/kit.h"

#define BIT20 0x100000ull
#define LA 0x400000ull

static struct kit kit;
static uint64_t heard_spa;

static uint64_t bus_read(void *self, uint64_t spa, unsigned size)
{
    (void)self;
    (void)size;
    heard_spa = spa;
    return 0;
}

static void setup(void)
{
    static const struct mmio_ops ops = { .read = bus_read };
    kit_init(&kit);
    memory_set_mmio(kit.memory, &ops, NULL);
}

static void teardown(void)
{
    kit_fini(&kit);
}

/* rows: pitfalls 4.17 */
START_TEST(closed_a20_clears_bit_20_of_every_access)
{
    static const uint64_t row[] = { 0, 0x1234, 0x9fff8, 0x200000, 0x2ffff8, 0x3e00000 };
    ck_assert(memory_a20(kit.memory));
    for (unsigned i = 0; i < 6; i++) {
        phys_write(kit.memory, row[i], 8, 0x1111 + i);
        phys_write(kit.memory, row[i] | BIT20, 8, 0x2222 + i);
    }
    memory_set_a20(kit.memory, false);
    ck_assert(!memory_a20(kit.memory));
    for (unsigned i = 0; i < 6; i++) {
        ck_assert_uint_eq(phys_read(kit.memory, row[i] | BIT20, 8), 0x1111 + i);
        phys_write(kit.memory, row[i] | BIT20, 8, 0x3333 + i);
        ck_assert_uint_eq(phys_read(kit.memory, row[i], 8), 0x3333 + i);
        ck_assert_ptr_eq(memory_ptr(kit.memory, row[i] | BIT20, 8),
                         memory_ptr(kit.memory, row[i], 8));
    }
    memory_set_a20(kit.memory, true);
    for (unsigned i = 0; i < 6; i++)
        ck_assert_uint_eq(phys_read(kit.memory, row[i] | BIT20, 8), 0x2222 + i);
}
END_TEST

/* FFFFFh goes on at 0. */
START_TEST(closed_a20_wraps_at_1_mib)
{
    ck_assert(memory_map_hole(kit.memory, 0xff000, 0x1000, HOLE_READ_RAM | HOLE_WRITE_RAM));
    phys_write(kit.memory, 0xffffe, 2, 0x2211);
    phys_write(kit.memory, 0, 2, 0x4433);
    phys_write(kit.memory, BIT20, 2, 0x6655);
    ck_assert_uint_eq(phys_read(kit.memory, 0xffffe, 4), 0x66552211);
    memory_set_a20(kit.memory, false);
    ck_assert_uint_eq(phys_read(kit.memory, 0xffffe, 4), 0x44332211);
}
END_TEST

START_TEST(closed_a20_masks_devices_and_high_ram)
{
    struct memory *memory = memory_new(0xf0000000);
    memory_set_a20(kit.memory, false);
    (void)phys_read(kit.memory, 0xfed00000 | BIT20, 4);
    ck_assert_uint_eq(heard_spa, 0xfec00000);
    memory_set_a20(memory, false);
    ck_assert_uint_eq(memory_backing(memory, 0x100100000), memory_backing(memory, 0x100000000));
    ck_assert_uint_ne(memory_backing(memory, 0x100200000), memory_backing(memory, 0x100000000));
    memory_free(memory);
}
END_TEST

/* rows: pitfalls 4.17 */
START_TEST(closed_a20_masks_table_walks)
{
    uint64_t at = kit_map(&kit, LA, 0x200000 | PWU); /* the tables lie above 1 MiB */
    uint64_t root = kit.regime.root;
    uint8_t copy[0x10000];
    ck_assert_uint_ne(root & BIT20, 0);
    ck_assert(phys_read_block(kit.memory, BIT20, copy, sizeof(copy)));
    ck_assert(phys_write_block(kit.memory, 0, copy, sizeof(copy)));
    phys_write(kit.memory, at & ~BIT20, 8, 0x300000 | PWU); /* another leaf down there */
    assert_ok(kit_walk(&kit, LA, READ), 0x200000);
    memory_set_a20(kit.memory, false);
    struct walk_result res = kit_walk(&kit, LA, WRITE);
    assert_ok(res, 0x300000); /* as the table says: the access itself is masked later */
    ck_assert_uint_eq(memory_backing(kit.memory, res.spa), 0x200);
    ck_assert_uint_eq(phys_read(kit.memory, at, 8), 0x300000 | PWU | A | D); /* A and D too */
    memory_set_a20(kit.memory, true);
    ck_assert_uint_eq(phys_read(kit.memory, at, 8), 0x200000 | PWU | A);
}
END_TEST

/* rows: pitfalls 4.17 */
START_TEST(closed_a20_leaves_guest_physical_addresses_alone)
{
    kit_map(&kit, LA, 0x500000 | PWU);
    kit_nest(&kit, 0x150);
    kit_map_nested(&kit, 0x500000, 0x600000 | PWU); /* the gpa has bit 20, its page has not */
    kit_map_nested(&kit, 0x400000, 0x800000 | PWU); /* what a masked gpa would find */
    /* Tables at spa 1xxxxxh are masked: put them where they will be looked for. */
    static uint8_t tables[0x20000];
    ck_assert(phys_read_block(kit.memory, BIT20, tables, sizeof(tables)));
    ck_assert(phys_write_block(kit.memory, 0, tables, sizeof(tables)));
    memory_set_a20(kit.memory, false);
    struct walk_result res = kit_walk(&kit, LA, READ);
    ck_assert_int_eq(res.status, WALK_OK);
    ck_assert_uint_eq(res.gpa, 0x500000);
    ck_assert_uint_eq(res.spa, 0x600000);
}
END_TEST

START_TEST(moving_a20_drops_derived_tables)
{
    struct walk_regime regime = { .mode = WALK_NONE, .maxphyaddr = 48 };
    bool filled;
    struct fast_entry *bank = paging_bank(kit.paging, &regime);
    uint64_t context = paging_context(kit.paging, bank);
    (void)paging_fast_fill(kit.paging, &regime, BIT20, READ, &filled);
    ck_assert(filled);
    ck_assert_uint_eq(bank[0].rtag, BIT20);
    memory_set_a20(kit.memory, true); /* it is open: nothing happens */
    ck_assert_uint_eq(bank[0].rtag, BIT20);
    memory_set_a20(kit.memory, false);
    ck_assert_uint_ne(bank[0].rtag, BIT20);
    ck_assert_uint_ne(paging_context(kit.paging, bank), context);
    (void)paging_fast_fill(kit.paging, &regime, BIT20, READ, &filled);
    ck_assert_uint_eq(BIT20 + bank[0].addend, (uintptr_t)memory_page_ptr(kit.memory, 0));
    memory_set_a20(kit.memory, true);
    ck_assert_uint_ne(bank[0].rtag, BIT20);
}
END_TEST

/* rows: pitfalls 4.17 */
START_TEST(dis_a20m_ignores_the_line)
{
    const struct memory_view ignores = { .ignores_a20 = true }, plain = { 0 };
    memory_set_a20(kit.memory, false);
    ck_assert_uint_eq(memory_backing(kit.memory, BIT20), 0);
    memory_set_view(kit.memory, &ignores);
    ck_assert_uint_eq(memory_backing(kit.memory, BIT20), 0x100);
    memory_set_view(kit.memory, &plain);
    ck_assert_uint_eq(memory_backing(kit.memory, BIT20), 0);
}
END_TEST

START_TEST(tseg_is_found_behind_a20)
{
    const struct memory_view view = { .tseg = true,
                                      .tseg_addr = 0x200000,
                                      .tseg_mask = 0xffffffe0000 };
    memory_set_view(kit.memory, &view);
    ck_assert_uint_eq(memory_backing(kit.memory, 0x300000), 0x300);
    memory_set_a20(kit.memory, false);
    ck_assert_uint_eq(memory_backing(kit.memory, 0x300000), UINT64_MAX);
    ck_assert_uint_eq(memory_backing(kit.memory, 0x120000), 0x20);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("a20");
    TCase *tc = tcase_create("a20");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, closed_a20_clears_bit_20_of_every_access);
    tcase_add_test(tc, closed_a20_wraps_at_1_mib);
    tcase_add_test(tc, closed_a20_masks_devices_and_high_ram);
    tcase_add_test(tc, closed_a20_masks_table_walks);
    tcase_add_test(tc, closed_a20_leaves_guest_physical_addresses_alone);
    tcase_add_test(tc, moving_a20_drops_derived_tables);
    tcase_add_test(tc, dis_a20m_ignores_the_line);
    tcase_add_test(tc, tseg_is_found_behind_a20);
    suite_add_tcase(suite, tc);
    return kit_run(suite);
}

/* Nested walks: order of faults, NPF codes, A and D bits in both tables, combined rights.
 * Guest page tables lie at 0x100000 and above, nested ones at 0x2000000. */
#include "tests/paging/kit.h"

#define GVA 0x00007f8040201000ull
#define GPA 0x150000ull
#define PAGES 0x200u /* guest physical pages that are mapped to themselves */

static struct kit kit;

static void setup(void)
{
    kit_init(&kit);
    kit_nest(&kit, PAGES);
    kit_map(&kit, GVA, GPA | PWU);
}

static void teardown(void)
{
    kit_fini(&kit);
}

static uint64_t nested_entry(unsigned level, uint64_t gpa)
{
    return kit_entry(&kit, kit.nested.root, 4, level, gpa);
}

static uint64_t guest_entry(unsigned level)
{
    return kit_entry(&kit, kit.regime.root, 4, level, GVA);
}

/* rows: svmop 15.1.1 */
START_TEST(both_stages_translate)
{
    struct walk_result res;

    kit_map_nested(&kit, GPA, 0x300000 | PWU);
    res = kit_walk(&kit, GVA + 0x18, WRITE);
    assert_ok(res, 0x300018);
    ck_assert_uint_eq(res.gpa, GPA + 0x18);
    ck_assert(res.writable && res.user && !res.nx && res.dirty);
}
END_TEST

/* rows: svmop 15.1.1, 15.2.2 */
START_TEST(guest_tables_move_with_the_nested_tables)
{
    uint64_t pt = guest_entry(1) & ~0xfffull;

    kit_map_nested(&kit, pt, 0x320000 | PWU);
    kit_set(&kit, 0x320000 | (guest_entry(1) & 0xfff), 0x160000 | PWU);
    assert_ok(kit_walk(&kit, GVA, READ), 0x160000);
}
END_TEST

/* The final access: `svm-exitcodes` rows of kvm-unit-tests, then the same for each kind. Changes
 * are made to the leaf of GPA. */
static const struct {
    uint64_t leaf;
    enum access_kind kind;
    uint64_t info1;
} final_rows[] = {
    { GPA | W | U, ACCESS_READ, NPF_FINAL | 0x4 },
    { GPA | W | U, ACCESS_WRITE, NPF_FINAL | 0x6 },
    { GPA | W | U, ACCESS_EXEC, NPF_FINAL | 0x14 },
    { GPA | PWU | NX, ACCESS_EXEC, NPF_FINAL | 0x15 },
    { GPA | P | W, ACCESS_READ, NPF_FINAL | 0x5 },
    { GPA | P | W, ACCESS_WRITE, NPF_FINAL | 0x7 },
    { GPA | P | W, ACCESS_EXEC, NPF_FINAL | 0x15 },
    { GPA | P | U, ACCESS_WRITE, NPF_FINAL | 0x7 },
    { GPA | PWU | 1ull << 48, ACCESS_READ, NPF_FINAL | 0xd },
    { GPA | PWU | 1ull << 48, ACCESS_WRITE, NPF_FINAL | 0xf },
    { GPA | PWU | 1ull << 48, ACCESS_EXEC, NPF_FINAL | 0x1d },
};

/* rows: svmop 15.2.3, 15.2.5, 15.2.8 */
START_TEST(final_faults)
{
    struct access access = { final_rows[_i].kind, false };

    kit_map_nested(&kit, GPA, final_rows[_i].leaf);
    for (uint8_t cpl = 0; cpl <= 3; cpl += 3) { /* every nested access is a user access */
        kit.regime.cpl = cpl;
        assert_npf(kit_walk(&kit, GVA + 0x123, access), final_rows[_i].info1, GPA + 0x123);
        assert_npf(kit_translate(&kit, GVA + 0x123, access), final_rows[_i].info1, GPA + 0x123);
    }
}
END_TEST

/* rows: svmop 15.2.3, 15.2.9 */
START_TEST(final_accesses_that_are_allowed)
{
    kit_map_nested(&kit, GPA, GPA | P | U | NX);
    assert_ok(kit_walk(&kit, GVA, READ), GPA);
    kit_map_nested(&kit, GPA, GPA | P | U);
    assert_ok(kit_walk(&kit, GVA, EXEC), GPA);
}
END_TEST

/* A guest table that cannot be reached: always a user write, with the address of the entry. */
static const struct {
    uint64_t clear, set;
    uint64_t info1;
} table_rows[] = {
    { P, 0, NPF_TABLE | 0x6 },
    { W, 0, NPF_TABLE | 0x7 },
    { U, 0, NPF_TABLE | 0x7 },
    { 0, 1ull << 48, NPF_TABLE | 0xf },
};

/* rows: svmop 15.2.2, 15.2.5 */
START_TEST(table_faults)
{
    static const struct access kinds[] = { { ACCESS_READ, false },
                                           { ACCESS_WRITE, false },
                                           { ACCESS_EXEC, false } };
    unsigned row = (unsigned)_i / 4, level = (unsigned)_i % 4 + 1;
    uint64_t at = guest_entry(level), leaf = nested_entry(1, at);

    kit_set(&kit, leaf, (kit_get(&kit, leaf) & ~table_rows[row].clear) | table_rows[row].set);
    for (unsigned i = 0; i < 3; i++) {
        assert_npf(kit_walk(&kit, GVA, kinds[i]), table_rows[row].info1, at);
        assert_npf(kit_translate(&kit, GVA, kinds[i]), table_rows[row].info1, at);
    }
}
END_TEST

/* rows: svmop 15.2.2 */
START_TEST(nx_does_not_stop_table_accesses)
{
    uint64_t leaf = nested_entry(1, guest_entry(1));

    kit_set(&kit, leaf, kit_get(&kit, leaf) | NX);
    assert_ok(kit_walk(&kit, GVA, EXEC), GPA);
}
END_TEST

/* rows: svmop 15.2.12 */
START_TEST(reserved_bits_in_upper_nested_levels)
{
    for (unsigned level = 2; level <= 4; level++) {
        uint64_t at = nested_entry(level, guest_entry(4)), entry = kit_get(&kit, at);

        kit_set(&kit, at, entry | 1ull << 49);
        assert_npf(kit_walk(&kit, GVA, READ), NPF_TABLE | 0xf, guest_entry(4));
        kit_set(&kit, at, entry);
    }
    kit_set(&kit, nested_entry(4, 0), kit_get(&kit, nested_entry(4, 0)) | G);
    assert_npf(kit_walk(&kit, GVA, READ), NPF_TABLE | 0xf, guest_entry(4));
}
END_TEST

/* rows: svmop 15.1.3, 15.1.5 */
START_TEST(id_bit_follows_the_host)
{
    kit_map_nested(&kit, GPA, 0);
    kit.regime.nxe = false;
    kit.regime.smep = false;
    assert_npf(kit_walk(&kit, GVA, EXEC), NPF_FINAL | 0x14, GPA);
    kit.nested.nxe = false;
    kit.regime.nxe = true;
    assert_npf(kit_walk(&kit, GVA, EXEC), NPF_FINAL | 0x4, GPA);
    kit.nested.smep = true;
    assert_npf(kit_walk(&kit, GVA, EXEC), NPF_FINAL | 0x14, GPA);
}
END_TEST

/* rows: svmop 15.1.3, 15.2.12 */
START_TEST(host_without_nxe_reserves_nx)
{
    kit_map_nested(&kit, GPA, GPA | PWU | NX);
    kit.nested.nxe = false;
    assert_npf(kit_walk(&kit, GVA, READ), NPF_FINAL | 0xd, GPA);
}
END_TEST

/* rows: svmop 15.1.4, 15.1.5 */
START_TEST(host_wp_smap_smep_and_keys_do_not_matter)
{
    kit.nested.wp = false;
    kit.nested.smap = kit.nested.smep = true;
    kit.nested.pke = true;
    kit.nested.pkru = UINT32_MAX;
    assert_ok(kit_walk(&kit, GVA, WRITE), GPA);
    assert_ok(kit_walk(&kit, GVA, EXEC), GPA);
    kit_map_nested(&kit, GPA, GPA | P | U);
    assert_npf(kit_walk(&kit, GVA, WRITE), NPF_FINAL | 0x7, GPA);
}
END_TEST

/* rows: svmop 15.1.4 */
START_TEST(guest_wp_cannot_open_nested_read_only)
{
    kit.regime.wp = false;
    kit_map(&kit, GVA, GPA | P);
    assert_ok(kit_walk(&kit, GVA, WRITE), GPA);
    kit_map_nested(&kit, GPA, GPA | P | U);
    assert_npf(kit_walk(&kit, GVA, WRITE), NPF_FINAL | 0x7, GPA);
}
END_TEST

/* 15.25.6: nested fault on a table, guest P and reserved bits, guest rights, nested fault on the page. */
/* rows: svmop 15.2.6 */
START_TEST(order_of_faults)
{
    uint64_t pde = guest_entry(2), pdpe = guest_entry(3);

    kit_map_nested(&kit, GPA, 0);
    kit_map(&kit, GVA, GPA | P);
    assert_fault(kit_walk(&kit, GVA, WRITE), PF_P | PF_RW); /* guest rights before the page */
    kit_set(&kit, pdpe, kit_get(&kit, pdpe) & ~P);
    kit_map_nested(&kit, pde & ~0xfffull, 0);
    assert_fault(kit_walk(&kit, GVA, WRITE), PF_RW); /* the level above comes first */
    kit_map_nested(&kit, pdpe & ~0xfffull, 0);
    assert_npf(kit_walk(&kit, GVA, WRITE), NPF_TABLE | 0x6, pdpe);
}
END_TEST

START_TEST(guest_error_code_is_the_guests)
{
    kit.nested.nxe = false;
    kit_map(&kit, GVA, 0);
    kit.regime.cpl = 3;
    assert_fault(kit_walk(&kit, GVA, EXEC), PF_US | PF_ID);
}
END_TEST

/* rows: svmop 15.2.2, 15.2.10 */
START_TEST(guest_tables_are_accessed_and_dirty_in_nested_tables)
{
    for (unsigned level = 1; level <= 4; level++)
        ck_assert_uint_eq(kit_get(&kit, nested_entry(1, guest_entry(level))) & (A | D), 0);
    kit_walk(&kit, GVA, READ);
    for (unsigned level = 1; level <= 4; level++) {
        ck_assert_uint_eq(kit_get(&kit, nested_entry(1, guest_entry(level))) & (A | D), A | D);
        ck_assert_uint_eq(kit_get(&kit, guest_entry(level)) & (A | D), A);
    }
    ck_assert_uint_eq(kit_get(&kit, nested_entry(1, GPA)) & (A | D), A);
    ck_assert_uint_eq(kit_get(&kit, nested_entry(2, GPA)) & (A | D), A);
    kit_walk(&kit, GVA, WRITE);
    ck_assert_uint_eq(kit_get(&kit, nested_entry(1, GPA)) & (A | D), A | D);
    ck_assert_uint_eq(kit_get(&kit, guest_entry(1)) & (A | D), A | D);
}
END_TEST

START_TEST(debugger_walks_set_nothing)
{
    assert_ok(walk(kit.memory, &kit.regime, GVA, WRITE, false), GPA);
    ck_assert_uint_eq(kit_get(&kit, nested_entry(1, guest_entry(1))) & (A | D), 0);
    ck_assert_uint_eq(kit_get(&kit, guest_entry(1)) & (A | D), 0);
    ck_assert_uint_eq(kit_get(&kit, nested_entry(1, GPA)) & (A | D), 0);
}
END_TEST

/* rows: svmop 15.2.4 */
START_TEST(unpaged_guest_has_the_final_walk_only)
{
    kit.regime.mode = WALK_NONE;
    kit_map_nested(&kit, 0x5000, 0x300000 | P | U | NX);
    assert_ok(kit_translate(&kit, 0x5123, READ), 0x300123);
    assert_npf(kit_translate(&kit, 0x5123, WRITE), NPF_FINAL | 0x7, 0x5123);
    assert_npf(kit_translate(&kit, 0x5123, EXEC), NPF_FINAL | 0x15, 0x5123);
    kit.regime.smap = kit.regime.smep = true; /* without paging nothing of the guest counts */
    assert_ok(kit_translate(&kit, 0x5123, READ), 0x300123);
    assert_ok(kit_translate(&kit, 0x6123, EXEC), 0x6123);
    assert_ok(kit_translate(&kit, 0x6123, EXEC), 0x6123);
    assert_npf(kit_translate(&kit, (uint64_t)PAGES << 12, READ), NPF_FINAL | 0x4,
               (uint64_t)PAGES << 12);
}
END_TEST

/* rows: svmop 15.2.13 */
START_TEST(addresses_beyond_the_nested_mode_are_not_present)
{
    kit.regime.maxphyaddr = 52;
    kit_map(&kit, GVA, 1ull << 48 | PWU);
    assert_npf(kit_walk(&kit, GVA, READ), NPF_FINAL | 0x4, 1ull << 48);
    kit.regime.root = 1ull << 48;
    assert_npf(kit_walk(&kit, GVA, READ), NPF_TABLE | 0x6, (1ull << 48) + 0xff * 8);
}
END_TEST

/* rows: svmop 15.2.11 */
START_TEST(effective_page_is_the_smaller)
{
    kit_set(&kit, guest_entry(2), 0x200000 | PWU | PS);
    kit_set(&kit, nested_entry(1, 0x201000), 0x301000 | PWU);
    ck_assert_uint_eq(kit_walk(&kit, GVA, READ).page_bytes, 4096);
    assert_ok(kit_walk(&kit, (GVA & ~0x1fffffull) + 0x1abc, READ), 0x301abc);
    kit_set(&kit, nested_entry(2, 0x200000), 0x400000 | PWU | PS);
    ck_assert_uint_eq(kit_walk(&kit, GVA, READ).page_bytes, 2 << 20);
    kit_set(&kit, nested_entry(3, 0x200000), 0x0 | PWU | PS);
    ck_assert_uint_eq(kit_walk(&kit, GVA, READ).page_bytes, 2 << 20);
    kit_set(&kit, guest_entry(2), guest_entry(1) & ~0xfffull);
    kit_set(&kit, guest_entry(2), kit_table(&kit) | PWU);
    kit_map(&kit, GVA, GPA | PWU);
    ck_assert_uint_eq(kit_walk(&kit, GVA, READ).page_bytes, 4096);
}
END_TEST

/* rows: pitfalls 4.4, svmop 15.3.1 */
START_TEST(guest_pae_reads_pdptes_on_demand)
{
    kit.regime.mode = WALK_PAE;
    kit.regime.root = 0x140000;
    kit_set(&kit, 0x140000, 0x141000 | P);
    kit_set(&kit, 0x141000, 0x142000 | PWU);
    kit_set(&kit, 0x142000, GPA | PWU);
    assert_ok(kit_walk(&kit, 0x18, READ), GPA + 0x18);
    ck_assert_uint_eq(kit_get(&kit, 0x140000), 0x141000 | P); /* a PDPTE has no A bit */
    ck_assert_uint_eq(kit_get(&kit, nested_entry(1, 0x140000)) & (A | D), A | D);
    for (unsigned bit = 1; bit < 64; bit++) {
        bool reserved = bit == 1 || bit == 2 || (bit >= 5 && bit <= 8) || bit >= 48;

        kit_set(&kit, 0x140000, 0x141000 | P | 1ull << bit);
        if (reserved)
            assert_fault(kit_walk(&kit, 0, READ), PF_P | PF_RSV);
        else
            ck_assert_uint_eq(kit_walk(&kit, 0, READ).code & PF_RSV, 0);
    }
    kit_map_nested(&kit, 0x140000, 0x140000 | P | U);
    assert_npf(kit_walk(&kit, 0, READ), NPF_TABLE | 0x7, 0x140000);
}
END_TEST

/* rows: svmop 15.1.2, 15.2.15 */
START_TEST(host_in_pae_mode)
{
    kit.nested =
        (struct walk_regime){ .mode = WALK_PAE, .root = 0x3000020, .nxe = true, .maxphyaddr = 48 };
    kit_set(&kit, 0x3000020, 0x3001000 | P);
    kit_set(&kit, 0x3001000, 0 | PWU | PS);
    assert_ok(kit_walk(&kit, GVA, WRITE), GPA);
    kit_map(&kit, GVA, 1ull << 32 | PWU);
    assert_npf(kit_walk(&kit, GVA, READ), NPF_FINAL | 0x4, 1ull << 32);
}
END_TEST

/* rows: svmop 15.1.2, 15.2.16 */
START_TEST(host_in_32_bit_mode)
{
    kit.nested = (struct walk_regime){
        .mode = WALK_32, .root = 0x3000000, .pse = true, .nxe = true, .maxphyaddr = 48
    };
    phys_write(kit.memory, 0x3000000, 4, PWU | PS);
    assert_ok(kit_walk(&kit, GVA, EXEC), GPA);
    assert_ok(kit_translate(&kit, GVA, WRITE), GPA);
    phys_write(kit.memory, 0x3000000, 4, W | U | PS);
    assert_npf(kit_walk(&kit, GVA, EXEC), NPF_TABLE | 0x6, guest_entry(4));
    phys_write(kit.memory, 0x3000000, 4, PWU | PS);
    kit_map(&kit, GVA,
            0x10000000 | PWU); /* beyond the only 4 MiB: no ID, for this mode has no NX */
    assert_npf(kit_walk(&kit, GVA, EXEC), NPF_FINAL | 0x4, 0x10000000);
}
END_TEST

/* rows: svmop 15.1.2 */
START_TEST(guest_in_32_bit_mode)
{
    kit.regime.mode = WALK_32;
    kit.regime.root = 0x140000;
    phys_write(kit.memory, 0x140000 + 4, 4, 0x141000 | PWU);
    phys_write(kit.memory, 0x141000 + 8, 4, GPA | PWU);
    assert_ok(kit_walk(&kit, 0x402123, WRITE), GPA + 0x123);
    kit_map_nested(&kit, 0x141000, 0);
    assert_npf(kit_walk(&kit, 0x402123, WRITE), NPF_TABLE | 0x6, 0x141008);
}
END_TEST

/* rows: svmop 15.1.2, 15.2.13 */
START_TEST(host_with_five_levels)
{
    uint64_t root = 0x3000000;

    kit.nested.mode = WALK_5LEVEL;
    kit_set(&kit, root, kit.nested.root | PWU);
    kit.nested.root = root;
    assert_ok(kit_walk(&kit, GVA, WRITE), GPA);
}
END_TEST

/* Guest D is set before the final nested walk, so it stays set when that one faults. */
/* rows: svmop 15.2.6, 15.2.10 */
START_TEST(guest_dirty_before_the_final_walk)
{
    kit_map_nested(&kit, GPA, GPA | P | U);
    assert_npf(kit_walk(&kit, GVA, WRITE), NPF_FINAL | 0x7, GPA);
    ck_assert_uint_eq(kit_get(&kit, guest_entry(1)) & (A | D), A | D);
    ck_assert_uint_eq(kit_get(&kit, nested_entry(1, GPA)) & (A | D), 0);
}
END_TEST

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

int main(void)
{
    Suite *suite = suite_create("nested");
    TCase *tc = tcase_create("nested");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, both_stages_translate);
    tcase_add_test(tc, guest_tables_move_with_the_nested_tables);
    tcase_add_loop_test(tc, final_faults, 0, ROWS(final_rows));
    tcase_add_test(tc, final_accesses_that_are_allowed);
    tcase_add_loop_test(tc, table_faults, 0, ROWS(table_rows) * 4);
    tcase_add_test(tc, nx_does_not_stop_table_accesses);
    tcase_add_test(tc, reserved_bits_in_upper_nested_levels);
    tcase_add_test(tc, id_bit_follows_the_host);
    tcase_add_test(tc, host_without_nxe_reserves_nx);
    tcase_add_test(tc, host_wp_smap_smep_and_keys_do_not_matter);
    tcase_add_test(tc, guest_wp_cannot_open_nested_read_only);
    tcase_add_test(tc, order_of_faults);
    tcase_add_test(tc, guest_error_code_is_the_guests);
    tcase_add_test(tc, guest_tables_are_accessed_and_dirty_in_nested_tables);
    tcase_add_test(tc, debugger_walks_set_nothing);
    tcase_add_test(tc, unpaged_guest_has_the_final_walk_only);
    tcase_add_test(tc, addresses_beyond_the_nested_mode_are_not_present);
    tcase_add_test(tc, effective_page_is_the_smaller);
    tcase_add_test(tc, guest_pae_reads_pdptes_on_demand);
    tcase_add_test(tc, host_in_pae_mode);
    tcase_add_test(tc, host_in_32_bit_mode);
    tcase_add_test(tc, guest_in_32_bit_mode);
    tcase_add_test(tc, host_with_five_levels);
    tcase_add_test(tc, guest_dirty_before_the_final_walk);
    suite_add_tcase(suite, tc);
    return kit_run(suite);
}

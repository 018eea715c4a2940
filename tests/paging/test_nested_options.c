/* The guest mode execute trap, and read-only guest page tables. APM vol 2, 15.25.13, 15.25.5.
 * Guest page tables lie at 0x100000 and above, nested ones at 0x2000000. */
#include "tests/paging/kit.h"

#define GVA 0x00007f8040201000ull
#define GPA 0x150000ull
#define PAGES 0x200u

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

static uint64_t bits_of(uint64_t at)
{
    return kit_get(&kit, at) & (A | D);
}

/* --- guest mode execute trap --- */

/* A page of the guest's supervisor when `user` is false, so that its own U/S bit is not what decides. */
static struct walk_result fetch(unsigned cpl, bool user_page)
{
    kit_map(&kit, GVA, GPA | (user_page ? PWU : P | W));
    kit.regime.cpl = (uint8_t)cpl;
    paging_flush_all(kit.paging);
    return kit_translate(&kit, GVA, EXEC);
}

static const struct {
    uint64_t leaf;
    bool user, supervisor; /* may execute */
} gmet_rows[] = {
    { PWU | NX, false, false },
    { P | W | NX, false, false },
    { PWU, true, false },
    { P | W, true, true },
};

/* rows: svmop 15.5.1-15.5.3, vmcb 5.4 */
START_TEST(gmet_pages_execute_by_level)
{
    kit.nested.gmet = true;
    kit_map_nested(&kit, GPA, GPA | gmet_rows[_i].leaf);
    for (unsigned cpl = 0; cpl <= 3; cpl++) {
        struct walk_result res = fetch(cpl, true);
        if (cpl == 3 ? gmet_rows[_i].user : gmet_rows[_i].supervisor)
            assert_ok(res, GPA);
        else
            assert_npf(res, NPF_FINAL | PF_P | PF_ID | (cpl == 3 ? PF_US : 0), GPA);
    }
}
END_TEST

START_TEST(without_gmet_user_pages_execute_at_every_level_and_others_at_none)
{
    kit_map_nested(&kit, GPA, GPA | PWU);
    assert_ok(fetch(0, true), GPA);
    kit_map_nested(&kit, GPA, GPA | P | W);
    assert_npf(fetch(0, true), NPF_FINAL | PF_P | PF_ID | PF_US, GPA);
    assert_npf(fetch(3, true), NPF_FINAL | PF_P | PF_ID | PF_US, GPA);
}
END_TEST

/* The bit counts as the AND of all levels. */
START_TEST(gmet_takes_the_effective_bit)
{
    kit.nested.gmet = true;
    assert_npf(fetch(0, true), NPF_FINAL | PF_P | PF_ID, GPA);
    kit_set(&kit, nested_entry(2, GPA), kit_get(&kit, nested_entry(2, GPA)) & ~U);
    assert_ok(fetch(0, true), GPA);
}
END_TEST

/* A translation that user code fetched through does not let the supervisor execute, and the other way round. */
START_TEST(gmet_is_kept_by_the_tlb)
{
    kit.nested.gmet = true;
    for (unsigned unpaged = 0; unpaged < 2; unpaged++) {
        uint64_t la = unpaged ? GPA : GVA;
        kit.regime.mode = unpaged ? WALK_NONE : WALK_4LEVEL;
        kit.regime.cpl = 3;
        assert_ok(kit_translate(&kit, la, EXEC), GPA);
        kit.regime.cpl = 0;
        assert_npf(kit_translate(&kit, la, EXEC), NPF_FINAL | PF_P | PF_ID, GPA);
        kit.regime.cpl = 3;
        assert_ok(kit_translate(&kit, la, EXEC), GPA);
    }
}
END_TEST

/* The supervisor's own SMEP is a matter of the guest's bits, and comes first. */
START_TEST(gmet_and_smep_look_at_different_tables)
{
    kit.nested.gmet = true;
    kit.regime.smep = true;
    kit_map_nested(&kit, GPA, GPA | P | W);
    assert_fault(fetch(0, true), PF_P | PF_ID);
    assert_ok(fetch(0, false), GPA);
    kit_map_nested(&kit, GPA, GPA | PWU);
    assert_npf(fetch(0, false), NPF_FINAL | PF_P | PF_ID, GPA);
    assert_fault(fetch(0, true), PF_P | PF_ID);
}
END_TEST

START_TEST(gmet_leaves_data_and_tables_alone)
{
    kit.nested.gmet = true;
    for (unsigned level = 1; level <= 4; level++)
        kit_map_nested(&kit, guest_entry(level) & ~0xfffull,
                       (guest_entry(level) & ~0xfffull) | P | W);
    for (unsigned cpl = 0; cpl <= 3; cpl += 3) {
        kit.regime.cpl = (uint8_t)cpl;
        kit_map_nested(&kit, GPA, GPA | P | W);
        assert_ok(kit_walk(&kit, GVA, READ), GPA);
        assert_ok(kit_walk(&kit, GVA, WRITE), GPA);
        kit_map_nested(&kit, GPA, GPA | P);
        assert_npf(kit_walk(&kit, GVA, WRITE), NPF_FINAL | PF_P | PF_RW | (cpl ? PF_US : 0), GPA);
    }
    kit_map_nested(&kit, guest_entry(1) & ~0xfffull, 0);
    assert_npf(kit_walk(&kit, GVA, READ), NPF_TABLE | PF_RW | PF_US, guest_entry(1));
}
END_TEST

/* Descriptor tables are read for the supervisor at every level. */
START_TEST(gmet_calls_implicit_accesses_the_supervisors)
{
    kit.nested.gmet = true;
    kit.regime.cpl = 3;
    kit_map_nested(&kit, GPA, 0);
    assert_npf(kit_walk(&kit, GVA, SYS_READ), NPF_FINAL, GPA);
    assert_npf(kit_walk(&kit, GVA, READ), NPF_FINAL | PF_US, GPA);
}
END_TEST

/* As with SMEP the ID bit is reported although the host has no NX. */
START_TEST(gmet_tells_fetches)
{
    kit.nested.nxe = false;
    kit_map_nested(&kit, GPA, 0);
    assert_npf(fetch(0, true), NPF_FINAL | PF_US, GPA);
    kit.nested.gmet = true;
    assert_npf(fetch(0, true), NPF_FINAL | PF_ID, GPA);
}
END_TEST

/* --- read-only guest page tables --- */

static void close_tables(void)
{
    for (unsigned level = 1; level <= 4; level++)
        kit_map_nested(&kit, guest_entry(level) & ~0xfffull,
                       (guest_entry(level) & ~0xfffull) | P | U);
}

static void guest_bits(unsigned level, uint64_t set)
{
    kit_set(&kit, guest_entry(level), (kit_get(&kit, guest_entry(level)) & ~(A | D)) | set);
}

static void guest_tables_have(uint64_t leaf)
{
    for (unsigned level = 2; level <= 4; level++)
        guest_bits(level, A);
    guest_bits(1, leaf);
}

/* rows: svmop 15.2.2, vmcb 5.7 */
START_TEST(rogpt_reads_tables_as_by_reads)
{
    kit.nested.rogpt = true;
    close_tables();
    guest_tables_have(A);
    assert_ok(kit_walk(&kit, GVA, READ), GPA);
    for (unsigned level = 1; level <= 4; level++)
        ck_assert_uint_eq(bits_of(nested_entry(1, guest_entry(level))), A);
    kit.nested.rogpt = false;
    assert_npf(kit_walk(&kit, GVA, READ), NPF_TABLE | 0x7, guest_entry(4));
}
END_TEST

START_TEST(rogpt_writes_where_accessed_is_clear)
{
    kit.nested.rogpt = true;
    close_tables();
    for (unsigned level = 1; level <= 4; level++) {
        guest_tables_have(A);
        guest_bits(level, 0);
        assert_npf(kit_walk(&kit, GVA, READ), NPF_TABLE | 0x7, guest_entry(level));
        assert_npf(walk(kit.memory, &kit.regime, GVA, READ, false), NPF_TABLE | 0x7,
                   guest_entry(level));
        ck_assert_uint_eq(bits_of(guest_entry(level)), 0);
        kit_map_nested(&kit, guest_entry(level) & ~0xfffull,
                       (guest_entry(level) & ~0xfffull) | PWU);
        assert_ok(kit_walk(&kit, GVA, READ), GPA);
        ck_assert_uint_eq(bits_of(guest_entry(level)), A);
        ck_assert_uint_eq(bits_of(nested_entry(1, guest_entry(level))), A | D);
        close_tables();
    }
}
END_TEST

START_TEST(rogpt_writes_where_dirty_is_clear_and_the_access_writes)
{
    kit.nested.rogpt = true;
    close_tables();
    guest_tables_have(A);
    assert_ok(kit_walk(&kit, GVA, READ), GPA);
    assert_npf(kit_walk(&kit, GVA, WRITE), NPF_TABLE | 0x7, guest_entry(1));
    guest_tables_have(A | D);
    assert_ok(kit_walk(&kit, GVA, WRITE), GPA);
}
END_TEST

/* The guest's rights are checked before its bits are set. */
START_TEST(rogpt_faults_of_the_guest_come_first)
{
    kit.nested.rogpt = true;
    close_tables();
    guest_tables_have(0);
    kit.regime.cpl = 3;
    guest_bits(1, 0);
    kit_set(&kit, guest_entry(1), kit_get(&kit, guest_entry(1)) & ~U);
    assert_fault(kit_walk(&kit, GVA, READ), PF_P | PF_US);
    kit_set(&kit, guest_entry(1), 0);
    assert_fault(kit_walk(&kit, GVA, READ), PF_US);
}
END_TEST

START_TEST(rogpt_tables_must_be_there_and_be_users)
{
    kit.nested.rogpt = true;
    close_tables();
    guest_tables_have(A);
    kit_map_nested(&kit, guest_entry(2) & ~0xfffull, 0);
    assert_npf(kit_walk(&kit, GVA, READ), NPF_TABLE | 0x4, guest_entry(2));
    kit_map_nested(&kit, guest_entry(2) & ~0xfffull, (guest_entry(2) & ~0xfffull) | P);
    assert_npf(kit_walk(&kit, GVA, READ), NPF_TABLE | 0x5, guest_entry(2));
    assert_npf(kit_walk(&kit, GVA, EXEC), NPF_TABLE | 0x5, guest_entry(2));
}
END_TEST

/* A table that was read through the cache of nested translations is still closed to writes. */
START_TEST(rogpt_asks_again_before_it_writes)
{
    kit.nested.rogpt = true;
    close_tables();
    guest_tables_have(A);
    assert_ok(kit_translate(&kit, GVA, READ), GPA);
    assert_ok(kit_translate(&kit, GVA, READ), GPA);
    assert_npf(kit_translate(&kit, GVA, WRITE), NPF_TABLE | 0x7, guest_entry(1));
    kit_map_nested(&kit, guest_entry(1) & ~0xfffull, (guest_entry(1) & ~0xfffull) | PWU);
    assert_ok(kit_translate(&kit, GVA, WRITE), GPA);
    ck_assert_uint_eq(bits_of(guest_entry(1)), A | D);
}
END_TEST

/* Two levels of entries of 4 bytes. */
START_TEST(rogpt_in_a_legacy_guest)
{
    kit.nested.rogpt = true;
    kit.regime.mode = WALK_32;
    kit.regime.root = 0x140000;
    for (uint64_t page = 0x140000; page <= 0x141000; page += 0x1000)
        kit_map_nested(&kit, page, page | P | U);
    phys_write(kit.memory, 0x140000, 4, 0x141000 | PWU | A);
    phys_write(kit.memory, 0x141000, 4, GPA | PWU | A);
    assert_ok(kit_walk(&kit, 0x18, READ), GPA + 0x18);
    phys_write(kit.memory, 0x140000, 4, 0x141000 | PWU);
    assert_npf(kit_walk(&kit, 0x18, READ), NPF_TABLE | 0x7, 0x140000);
    phys_write(kit.memory, 0x140000, 4, 0x141000 | PWU | A);
    assert_npf(kit_walk(&kit, 0x18, WRITE), NPF_TABLE | 0x7, 0x141000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("nested_options");
    TCase *gmet = tcase_create("gmet"), *rogpt = tcase_create("rogpt");

    tcase_add_checked_fixture(gmet, setup, teardown);
    tcase_add_loop_test(gmet, gmet_pages_execute_by_level, 0,
                        sizeof(gmet_rows) / sizeof(gmet_rows[0]));
    tcase_add_test(gmet, without_gmet_user_pages_execute_at_every_level_and_others_at_none);
    tcase_add_test(gmet, gmet_takes_the_effective_bit);
    tcase_add_test(gmet, gmet_is_kept_by_the_tlb);
    tcase_add_test(gmet, gmet_and_smep_look_at_different_tables);
    tcase_add_test(gmet, gmet_leaves_data_and_tables_alone);
    tcase_add_test(gmet, gmet_calls_implicit_accesses_the_supervisors);
    tcase_add_test(gmet, gmet_tells_fetches);
    suite_add_tcase(suite, gmet);
    tcase_add_checked_fixture(rogpt, setup, teardown);
    tcase_add_test(rogpt, rogpt_reads_tables_as_by_reads);
    tcase_add_test(rogpt, rogpt_writes_where_accessed_is_clear);
    tcase_add_test(rogpt, rogpt_writes_where_dirty_is_clear_and_the_access_writes);
    tcase_add_test(rogpt, rogpt_faults_of_the_guest_come_first);
    tcase_add_test(rogpt, rogpt_tables_must_be_there_and_be_users);
    tcase_add_test(rogpt, rogpt_asks_again_before_it_writes);
    tcase_add_test(rogpt, rogpt_in_a_legacy_guest);
    suite_add_tcase(suite, rogpt);
    return kit_run(suite);
}

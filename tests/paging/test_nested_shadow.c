/* Shadow stacks of guests under nested paging, and the supervisor shadow stack check. APM vol 2, 5.7 "Shadow Stack Protection",
 * 15.25.6 "Nested versus Guest Page Faults, Fault Ordering", 15.25.14 "Supervisor Shadow Stacks". */
#include "tests/paging/kit.h"

#define GVA 0x00007f8040201000ull
#define GPA 0x150000ull
#define PAGES 0x200u
#define SSS_PAGE (P | NX) /* read-only, as the manual recommends */

static const struct access SS_READ = { ACCESS_READ, true, true };
static const struct access SS_WRITE = { ACCESS_WRITE, true, true };
static const struct access USER_SS_READ = { ACCESS_READ, false, true };
static const struct access USER_SS_WRITE = { ACCESS_WRITE, false, true };

static struct kit kit;

/* A shadow stack page of the guest's supervisor, or of its user. */
static void map_stack(bool user)
{
    kit_map(&kit, GVA, GPA | P | D | (user ? U : 0));
}

static void setup(void)
{
    kit_init(&kit);
    kit_nest(&kit, PAGES);
    map_stack(false);
}

static void teardown(void)
{
    kit_fini(&kit);
}

static uint64_t nested_entry(unsigned level)
{
    return kit_entry(&kit, kit.nested.root, 4, level, GPA);
}

/* --- without the check --- */

/* The guest's tables say which page is a shadow stack. Its writes need R/W = 1 of the nested tables, as all writes do. */
/* rows: exit 3.4.6 */
START_TEST(nested_tables_open_shadow_stacks_as_any_page)
{
    for (unsigned user = 0; user < 2; user++) {
        struct access read = user ? USER_SS_READ : SS_READ, write = user ? USER_SS_WRITE : SS_WRITE;
        map_stack(user);
        kit_map_nested(&kit, GPA, GPA | PWU);
        assert_ok(kit_walk(&kit, GVA, read), GPA);
        assert_ok(kit_walk(&kit, GVA, write), GPA);
        kit_map_nested(&kit, GPA, GPA | P | U);
        assert_ok(kit_walk(&kit, GVA, read), GPA);
        assert_npf(kit_walk(&kit, GVA, write), NPF_FINAL | PF_SS | PF_P | PF_RW | PF_US, GPA);
        kit_map_nested(&kit, GPA, GPA | P | W);
        assert_npf(kit_walk(&kit, GVA, read), NPF_FINAL | PF_SS | PF_P | PF_US, GPA);
        kit_map_nested(&kit, GPA, 0);
        assert_npf(kit_walk(&kit, GVA, read), NPF_FINAL | PF_SS | PF_US, GPA);
        assert_npf(kit_walk(&kit, GVA, READ), NPF_FINAL | PF_US, GPA);
    }
}
END_TEST

/* A bit of the nested leaf makes no shadow stack, and none takes the property away. */
START_TEST(nested_bits_are_not_the_guests_property)
{
    kit_map_nested(&kit, GPA, GPA | P | U | D);
    assert_ok(kit_walk(&kit, GVA, SS_READ), GPA);
    kit_map(&kit, GVA, GPA | P | W | D);
    assert_fault(kit_walk(&kit, GVA, SS_READ), PF_SS | PF_P);
    kit_map(&kit, GVA, GPA | P);
    kit_map_nested(&kit, GPA, GPA | PWU | D);
    assert_fault(kit_walk(&kit, GVA, SS_READ), PF_SS | PF_P);
}
END_TEST

/* The walk of the guest's tables is no access of a shadow stack. */
START_TEST(table_walks_are_ordinary_accesses)
{
    uint64_t table = kit_entry(&kit, kit.regime.root, 4, 1, GVA);
    kit_map_nested(&kit, table & ~0xfffull, (table & ~0xfffull) | P | U);
    assert_npf(kit_walk(&kit, GVA, SS_READ), NPF_TABLE | PF_P | PF_RW | PF_US, table);
    kit.nested.sss = true;
    assert_npf(kit_walk(&kit, GVA, SS_READ), NPF_TABLE | PF_P | PF_RW | PF_US, table);
}
END_TEST

/* Writes set D in the nested leaf. */
START_TEST(writes_make_the_nested_leaf_dirty)
{
    for (unsigned sss = 0; sss < 2; sss++) {
        kit.nested.sss = sss;
        kit_map_nested(&kit, GPA, GPA | (sss ? SSS_PAGE : PWU));
        paging_flush_all(kit.paging);
        assert_ok(kit_translate(&kit, GVA, SS_READ), GPA);
        ck_assert_uint_eq(kit_get(&kit, nested_entry(1)) & (A | D), A);
        assert_ok(kit_translate(&kit, GVA, SS_WRITE), GPA);
        ck_assert_uint_eq(kit_get(&kit, nested_entry(1)) & (A | D), A | D);
    }
}
END_TEST

/* --- with it --- */

static const struct {
    uint64_t leaf;
    bool sss; /* supervisor shadow stack accesses pass */
    bool read, write, execute;
} sss_rows[] = {
    { SSS_PAGE, true, true, false, false },    { SSS_PAGE | W, true, true, true, false },
    { P | U | NX, false, true, false, false }, { PWU | NX, false, true, true, false },
    { P | W, false, false, false, false },     { P, false, false, false, false },
    { PWU, false, true, true, true },          { P | U, false, true, false, true },
};

static uint64_t sss_bit(uint64_t leaf)
{
    return (leaf & (NX | U)) == NX ? NPF_SSS : 0;
}

/* rows: vmcb 5.5, exit 3.4.6, exit 3.4.13 */
START_TEST(sss_decides_by_nx_and_us_of_the_leaf)
{
    uint64_t leaf = sss_rows[_i].leaf, sss = sss_bit(leaf);
    kit.nested.sss = true;
    kit_map_nested(&kit, GPA, GPA | leaf);
    for (unsigned write = 0; write < 2; write++) {
        struct walk_result res = kit_walk(&kit, GVA, write ? SS_WRITE : SS_READ);
        if (sss_rows[_i].sss)
            assert_ok(res, GPA);
        else
            assert_npf(res, NPF_FINAL | PF_SS | PF_P | (write ? PF_RW : 0), GPA);
    }
    if (sss_rows[_i].read)
        assert_ok(kit_walk(&kit, GVA, READ), GPA);
    else
        assert_npf(kit_walk(&kit, GVA, READ), NPF_FINAL | PF_P | PF_US | sss, GPA);
    kit_map(&kit, GVA, GPA | PWU);
    if (sss_rows[_i].write)
        assert_ok(kit_walk(&kit, GVA, WRITE), GPA);
    else
        assert_npf(kit_walk(&kit, GVA, WRITE), NPF_FINAL | PF_P | PF_RW | PF_US | sss, GPA);
    if (sss_rows[_i].execute)
        assert_ok(kit_walk(&kit, GVA, EXEC), GPA);
    else
        assert_npf(kit_walk(&kit, GVA, EXEC), NPF_FINAL | PF_P | PF_ID | PF_US | sss, GPA);
}
END_TEST

/* NX and U/S of the leaf alone, R/W of all above it. */
START_TEST(sss_wants_writable_tables)
{
    kit.nested.sss = true;
    kit_map_nested(&kit, GPA, GPA | SSS_PAGE);
    for (unsigned level = 2; level <= 4; level++) {
        uint64_t at = nested_entry(level), entry = kit_get(&kit, at);
        /* The guest's tables are walked below the same entry, as by writes: they come from the cache. */
        paging_flush_all(kit.paging);
        kit_map(&kit, GVA, GPA | PWU);
        assert_ok(kit_translate(&kit, GVA, READ), GPA);
        map_stack(false);
        paging_flush_page(kit.paging, 1, 0, GVA, true);
        kit_set(&kit, at, entry & ~W);
        assert_npf(kit_translate(&kit, GVA, SS_READ), NPF_FINAL | PF_SS | PF_P, GPA);
        kit_set(&kit, at, (entry & ~U) | NX);
        assert_ok(kit_translate(&kit, GVA, SS_READ), GPA);
        kit_set(&kit, at, entry);
    }
    kit_map_nested(&kit, GPA, GPA | P);
    kit_set(&kit, nested_entry(2), kit_get(&kit, nested_entry(2)) | NX);
    paging_flush_page(kit.paging, 1, 0, GVA, true);
    assert_npf(kit_translate(&kit, GVA, SS_READ), NPF_FINAL | PF_SS | PF_P, GPA);
}
END_TEST

/* Those of users go where their own tables and the nested ones let them, as ordinary accesses do. */
START_TEST(sss_leaves_the_shadow_stacks_of_users_alone)
{
    kit.nested.sss = true;
    map_stack(true);
    kit_map_nested(&kit, GPA, GPA | PWU);
    for (unsigned cpl = 0; cpl <= 3; cpl += 3) { /* also those of WRUSS */
        kit.regime.cpl = (uint8_t)cpl;
        assert_ok(kit_walk(&kit, GVA, USER_SS_WRITE), GPA);
    }
    kit_map_nested(&kit, GPA, GPA | P | U);
    assert_npf(kit_walk(&kit, GVA, USER_SS_WRITE), NPF_FINAL | PF_SS | PF_P | PF_RW | PF_US, GPA);
    kit_map_nested(&kit, GPA, GPA | SSS_PAGE);
    assert_ok(kit_walk(&kit, GVA, USER_SS_READ), GPA);
    assert_npf(kit_walk(&kit, GVA, USER_SS_WRITE),
               NPF_FINAL | NPF_SSS | PF_SS | PF_P | PF_RW | PF_US, GPA);
}
END_TEST

/* The guest's own tables come first, and a missing page is no page of either kind. */
START_TEST(sss_comes_behind_the_guests_faults)
{
    kit.nested.sss = true;
    map_stack(true);
    assert_fault(kit_walk(&kit, GVA, SS_READ), PF_SS | PF_P);
    map_stack(false);
    kit_map_nested(&kit, GPA, NX);
    assert_npf(kit_walk(&kit, GVA, SS_WRITE), NPF_FINAL | PF_SS | PF_RW, GPA);
}
END_TEST

/* Under the guest mode execute trap U/S = 0 is for code of the supervisor. */
START_TEST(sss_with_gmet)
{
    kit.nested.sss = kit.nested.gmet = true;
    kit_map_nested(&kit, GPA, GPA | P | W);
    assert_npf(kit_walk(&kit, GVA, SS_WRITE), NPF_FINAL | PF_SS | PF_P | PF_RW, GPA);
    assert_ok(kit_walk(&kit, GVA, READ), GPA);
    kit_map(&kit, GVA, GPA | P | W);
    assert_ok(kit_walk(&kit, GVA, EXEC), GPA);
    kit_map_nested(&kit, GPA, GPA | SSS_PAGE);
    assert_npf(kit_walk(&kit, GVA, EXEC), NPF_FINAL | NPF_SSS | PF_P | PF_ID, GPA);
    map_stack(false);
    assert_ok(kit_walk(&kit, GVA, SS_WRITE), GPA);
}
END_TEST

/* --- the TLB --- */

/* What an ordinary access has cached answers a shadow stack access only where it may be one, by ASID. */
START_TEST(tlb_keeps_the_property)
{
    kit.nested.sss = true;
    kit_map_nested(&kit, GPA, GPA | PWU | NX);
    assert_ok(kit_translate(&kit, GVA, READ), GPA);
    assert_npf(kit_translate(&kit, GVA, SS_READ), NPF_FINAL | PF_SS | PF_P, GPA);
    kit_map_nested(&kit, GPA, GPA | SSS_PAGE);
    assert_ok(kit_translate(&kit, GVA, SS_WRITE), GPA);
    kit_map_nested(&kit, GPA, GPA | PWU | NX); /* no flush: the old one stays */
    assert_ok(kit_translate(&kit, GVA, SS_WRITE), GPA);
    assert_ok(kit_translate(&kit, GVA, SS_READ), GPA);
    assert_ok(kit_translate(&kit, GVA, READ), GPA);
    assert_ok(kit_translate(&kit, GVA, SS_WRITE), GPA);
    kit.regime.asid = 2;
    assert_npf(kit_translate(&kit, GVA, SS_WRITE), NPF_FINAL | PF_SS | PF_P | PF_RW, GPA);
    kit.regime.asid = 1;
    assert_ok(kit_translate(&kit, GVA, SS_WRITE), GPA);
    paging_flush_asid(kit.paging, 1, true);
    assert_npf(kit_translate(&kit, GVA, SS_WRITE), NPF_FINAL | PF_SS | PF_P | PF_RW, GPA);
}
END_TEST

/* A cached page that only its leaf's R/W keeps from being written is still closed to ordinary writes, and to those of
 * shadow stacks where nobody checks them. */
START_TEST(tlb_keeps_read_only_pages_closed)
{
    kit.nested.sss = true;
    kit_map_nested(&kit, GPA, GPA | SSS_PAGE);
    assert_ok(kit_translate(&kit, GVA, SS_WRITE), GPA);
    kit.nested.sss = false;
    kit_map_nested(&kit, GPA, GPA | P | U | NX);
    assert_npf(kit_translate(&kit, GVA, SS_WRITE), NPF_FINAL | PF_SS | PF_P | PF_RW | PF_US, GPA);
    kit.nested.sss = true;
    kit_map_nested(&kit, GPA, GPA | SSS_PAGE);
    assert_ok(kit_translate(&kit, GVA, SS_WRITE), GPA);
    kit_map(&kit, GVA, GPA | P | W | D);
    paging_flush_page(kit.paging, 1, 0, GVA, true);
    assert_npf(kit_translate(&kit, GVA, WRITE), NPF_FINAL | NPF_SSS | PF_P | PF_RW | PF_US, GPA);
}
END_TEST

/* The first shadow stack write behind a read walks again, to set D. */
START_TEST(tlb_writes_only_where_the_nested_leaf_is_dirty)
{
    kit.nested.sss = true;
    kit_map_nested(&kit, GPA, GPA | SSS_PAGE);
    assert_ok(kit_translate(&kit, GVA, SS_READ), GPA);
    kit_map_nested(&kit, GPA, GPA | PWU | NX);
    assert_npf(kit_translate(&kit, GVA, SS_WRITE), NPF_FINAL | PF_SS | PF_P | PF_RW, GPA);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("nested_shadow");
    TCase *plain = tcase_create("plain"), *sss = tcase_create("sss"), *tlb = tcase_create("tlb");

    tcase_add_checked_fixture(plain, setup, teardown);
    tcase_add_test(plain, nested_tables_open_shadow_stacks_as_any_page);
    tcase_add_test(plain, nested_bits_are_not_the_guests_property);
    tcase_add_test(plain, table_walks_are_ordinary_accesses);
    tcase_add_test(plain, writes_make_the_nested_leaf_dirty);
    suite_add_tcase(suite, plain);
    tcase_add_checked_fixture(sss, setup, teardown);
    tcase_add_loop_test(sss, sss_decides_by_nx_and_us_of_the_leaf, 0,
                        sizeof(sss_rows) / sizeof(sss_rows[0]));
    tcase_add_test(sss, sss_wants_writable_tables);
    tcase_add_test(sss, sss_leaves_the_shadow_stacks_of_users_alone);
    tcase_add_test(sss, sss_comes_behind_the_guests_faults);
    tcase_add_test(sss, sss_with_gmet);
    suite_add_tcase(suite, sss);
    tcase_add_checked_fixture(tlb, setup, teardown);
    tcase_add_test(tlb, tlb_keeps_the_property);
    tcase_add_test(tlb, tlb_keeps_read_only_pages_closed);
    tcase_add_test(tlb, tlb_writes_only_where_the_nested_leaf_is_dirty);
    suite_add_tcase(suite, tlb);
    return kit_run(suite);
}

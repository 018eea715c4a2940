/* Which pages are shadow stacks, and who may use them. APM vol 2, 5.7 "Shadow Stack Protection". With nested tables:
 * test_nested_shadow.c. */
#include "tests/paging/kit.h"

#define LA 0x00007f8040201000ull
#define LOW_LA 0x40201000ull
#define SPA 0x300000ull
#define PAGE_4M 0x400000ull

static const struct access SS_READ = { ACCESS_READ, true, true };
static const struct access SS_WRITE = { ACCESS_WRITE, true, true };
static const struct access USER_SS_READ = { ACCESS_READ, false, true };
static const struct access USER_SS_WRITE = { ACCESS_WRITE, false, true };

static struct kit kit;

static void setup(void)
{
    kit_init(&kit);
}

static void teardown(void)
{
    kit_fini(&kit);
}

/* Both by a walk and by the TLB, of which nothing is left. */
static void expect(uint64_t la, struct access access, bool allowed, unsigned code, uint64_t spa)
{
    for (unsigned tlb = 0; tlb < 2; tlb++) {
        struct walk_result res;

        paging_flush_all(kit.paging);
        res = tlb ? kit_translate(&kit, la, access) : kit_walk(&kit, la, access);
        if (allowed)
            assert_ok(res, spa);
        else
            assert_fault(res, code);
    }
}

/* W = 0 and D = 1 make a shadow stack; its level is that of U/S; CPL does not matter. */
START_TEST(leaf_and_level_decide)
{
    for (unsigned bits = 0; bits < 8; bits++) {
        uint64_t entry = (bits & 1 ? W : 0) | (bits & 2 ? D : 0) | (bits & 4 ? U : 0);
        bool stack = !(entry & W) && (entry & D), user = entry & U;

        for (unsigned cpl = 0; cpl < 4; cpl++) {
            kit.regime.cpl = (uint8_t)cpl;
            kit_map(&kit, LA, SPA | P | entry);
            expect(LA, SS_READ, stack && !user, PF_SS | PF_P, SPA);
            expect(LA, SS_WRITE, stack && !user, PF_SS | PF_P | PF_RW, SPA);
            expect(LA, USER_SS_READ, stack && user, PF_SS | PF_P | PF_US, SPA);
            expect(LA, USER_SS_WRITE, stack && user, PF_SS | PF_P | PF_US | PF_RW, SPA);
        }
    }
}
END_TEST

/* Every table above the leaf must allow writes; one that does not takes the property away. */
START_TEST(all_levels_above_are_writable)
{
    uint64_t at, old;

    if (_i == 5)
        kit.regime.mode = WALK_5LEVEL;
    for (unsigned level = 2; level <= (_i == 5 ? 5u : 4u); level++) {
        kit_map(&kit, LA, SPA | P | D);
        at = kit_entry(&kit, kit.regime.root, (unsigned)_i, level, LA);
        old = kit_get(&kit, at);
        kit_set(&kit, at, old & ~W);
        expect(LA, SS_READ, false, PF_SS | PF_P, 0);
        expect(LA, SS_WRITE, false, PF_SS | PF_P | PF_RW, 0);
        kit_set(&kit, at, old & ~U); /* a supervisor's page whatever the leaf says */
        kit_map(&kit, LA, SPA | P | D | U);
        expect(LA, SS_READ, true, 0, SPA);
        expect(LA, USER_SS_READ, false, PF_SS | PF_P | PF_US, 0);
        kit_set(&kit, at, old);
    }
}
END_TEST

START_TEST(large_pages_are_shadow_stacks_too)
{
    for (unsigned level = 2; level <= 3; level++) {
        uint64_t root = kit.regime.root, at = kit_entry(&kit, root, 4, level, LA), above;
        uint64_t page = level == 3 ? 0x40000000 : 0, offset = LA & ((1ull << (3 + 9 * level)) - 1);

        kit_set(&kit, at, page | P | D | PS);
        expect(LA, SS_WRITE, true, 0, page | offset);
        kit_set(&kit, at, page | P | W | D | PS);
        expect(LA, SS_WRITE, false, PF_SS | PF_P | PF_RW, 0);
        kit_set(&kit, at, page | P | D | PS);
        above = kit_entry(&kit, root, 4, level + 1, LA);
        kit_set(&kit, above, kit_get(&kit, above) & ~W);
        expect(LA, SS_WRITE, false, PF_SS | PF_P | PF_RW, 0);
        kit_set(&kit, above, kit_get(&kit, above) | W);
    }
}
END_TEST

START_TEST(legacy_tables_have_shadow_stacks)
{
    uint64_t root = kit_table(&kit), directory = kit_table(&kit), table = kit_table(&kit);
    bool pae = _i;
    unsigned bytes = pae ? 8 : 4;
    uint64_t pde = directory + (pae ? LOW_LA >> 21 & 511 : LOW_LA >> 22) * bytes;
    uint64_t pte = table + (pae ? LOW_LA >> 12 & 511 : LOW_LA >> 12 & 1023) * bytes;

    kit.regime.mode = pae ? WALK_PAE : WALK_32;
    kit.regime.pse = true;
    kit.regime.root = pae ? root : directory;
    phys_write(kit.memory, root + 8 * (LOW_LA >> 30), 8, directory | P);
    phys_write(kit.memory, pde, bytes, table | PWU);
    phys_write(kit.memory, pte, bytes, SPA | P | D | U);
    expect(LOW_LA, USER_SS_WRITE, true, 0, SPA);
    expect(LOW_LA, SS_WRITE, false, PF_SS | PF_P | PF_RW, 0);
    phys_write(kit.memory, pde, bytes, table | P | U);
    expect(LOW_LA, USER_SS_WRITE, false, PF_SS | PF_P | PF_RW | PF_US, 0);
    phys_write(kit.memory, pde, bytes, PAGE_4M | P | D | PS);
    expect(LOW_LA, SS_WRITE, true, 0, PAGE_4M | (LOW_LA & (pae ? 0x1fffff : 0x3fffff)));
}
END_TEST

/* Writes that are no shadow stack accesses fault at both levels, reads are as with any page. */
START_TEST(ordinary_accesses)
{
    kit_map(&kit, LA, SPA | P | D | U);
    kit.regime.cpl = 3;
    expect(LA, READ, true, 0, SPA);
    expect(LA, WRITE, false, PF_P | PF_RW | PF_US, 0);
    kit.regime.cpl = 0;
    expect(LA, READ, true, 0, SPA);
    expect(LA, WRITE, false, PF_P | PF_RW, 0);
    expect(LA, SYS_WRITE, false, PF_P | PF_RW, 0);
}
END_TEST

START_TEST(faults_of_absent_and_reserved_entries_have_ss)
{
    kit_map(&kit, LA, SPA | D);
    expect(LA, SS_READ, false, PF_SS, 0);
    expect(LA, USER_SS_WRITE, false, PF_SS | PF_RW | PF_US, 0);
    kit_map(&kit, LA, SPA | P | D | 1ull << 50);
    expect(LA, SS_READ, false, PF_SS | PF_P | PF_RSV, 0);
}
END_TEST

/* SMAP does not look at shadow stack accesses; protection keys do. APM vol 2, 5.6.6, 5.7.3. */
START_TEST(smap_and_keys)
{
    kit.regime.smap = true;
    kit_map(&kit, LA, SPA | P | D | U | KEY(3));
    expect(LA, USER_SS_WRITE, true, 0, SPA);
    kit.regime.pke = true;
    kit.regime.pkru = 2u << 6; /* WD */
    expect(LA, USER_SS_READ, true, 0, SPA);
    expect(LA, USER_SS_WRITE, false, PF_SS | PF_P | PF_RW | PF_US | PF_PK, 0);
    kit.regime.pkru = 1u << 6; /* AD */
    expect(LA, USER_SS_READ, false, PF_SS | PF_P | PF_US | PF_PK, 0);
    kit.regime.pkru = ~(3u << 6);
    expect(LA, USER_SS_WRITE, true, 0, SPA);
    kit_map(&kit, LA, SPA | P | D | KEY(3)); /* a supervisor page has none */
    kit.regime.pkru = UINT32_MAX;
    expect(LA, SS_WRITE, true, 0, SPA);
}
END_TEST

START_TEST(accessed_bit_is_set)
{
    uint64_t at = kit_map(&kit, LA, SPA | P | D);

    (void)kit_walk(&kit, LA, USER_SS_READ);
    ck_assert_uint_eq(kit_get(&kit, at), SPA | P | D);
    (void)kit_walk(&kit, LA, SS_READ);
    ck_assert_uint_eq(kit_get(&kit, at), SPA | P | D | A);
}
END_TEST

/* What one kind of access has cached answers the other kinds as the tables would, and a change of the tables is seen when it
 * takes a right away only after a flush. */
START_TEST(tlb_keeps_the_property)
{
    uint64_t at = kit_map(&kit, LA, SPA | P | D | A);

    assert_ok(kit_translate(&kit, LA, READ), SPA);
    assert_ok(kit_translate(&kit, LA, SS_WRITE), SPA);
    assert_fault(kit_translate(&kit, LA, WRITE), PF_P | PF_RW);
    assert_ok(kit_translate(&kit, LA, SS_WRITE), SPA);
    kit_set(&kit, at, SPA | P | W | D | A); /* stale */
    assert_ok(kit_translate(&kit, LA, SS_WRITE), SPA);
    assert_ok(kit_translate(&kit, LA, WRITE), SPA); /* rights that were added count at once */
    assert_fault(kit_translate(&kit, LA, SS_WRITE), PF_SS | PF_P | PF_RW);
    kit_set(&kit, at, SPA | P | D | A);
    assert_ok(kit_translate(&kit, LA, SS_READ), SPA);
    paging_flush_all(kit.paging);
    assert_fault(kit_translate(&kit, LA, WRITE), PF_P | PF_RW);
    ck_assert_uint_eq(kit_get(&kit, at), SPA | P | D | A);
}
END_TEST

/* Code that runs with shadow stacks has a bank of its own. */
START_TEST(banks_tell_code_with_shadow_stacks)
{
    struct fast_entry *off = paging_bank(kit.paging, &kit.regime), *on;
    uint64_t context = paging_context(kit.paging, off);

    kit.regime.shadow_stack = true;
    on = paging_bank(kit.paging, &kit.regime);
    ck_assert_ptr_ne(on, off);
    ck_assert_uint_ne(paging_context(kit.paging, on), context);
    kit.regime.shadow_stack = false;
    ck_assert_ptr_eq(paging_bank(kit.paging, &kit.regime), off);
}
END_TEST

/* The protection key and the property share a word with the other rights. */
START_TEST(views_tell_keys)
{
    for (unsigned key = 0; key < 16; key++) {
        kit.regime.pke = true;
        kit_map(&kit, LA, SPA | P | D | U | KEY(key));
        paging_flush_all(kit.paging);
        ck_assert_uint_eq(kit_translate(&kit, LA, USER_SS_READ).pkey, key);
        ck_assert_uint_eq(kit_translate(&kit, LA, USER_SS_READ).pkey, key); /* cached */
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shadow_pages");
    TCase *tc = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, leaf_and_level_decide);
    tcase_add_loop_test(tc, all_levels_above_are_writable, 4, 6);
    tcase_add_test(tc, large_pages_are_shadow_stacks_too);
    tcase_add_loop_test(tc, legacy_tables_have_shadow_stacks, 0, 2);
    tcase_add_test(tc, ordinary_accesses);
    tcase_add_test(tc, faults_of_absent_and_reserved_entries_have_ss);
    tcase_add_test(tc, smap_and_keys);
    tcase_add_test(tc, accessed_bit_is_set);
    tcase_add_test(tc, tlb_keeps_the_property);
    tcase_add_test(tc, banks_tell_code_with_shadow_stacks);
    tcase_add_test(tc, views_tell_keys);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

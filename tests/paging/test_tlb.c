/* The architectural TLB: what is cached, what each flush takes and leaves, replacement, counters. */
#include "emu/base/snap.h"
#include "tests/paging/kit.h"

#define LA 0x00007f8040201000ull
#define OLD 0x234000ull
#define NEW 0x235000ull

static struct kit kit;

static void setup(void)
{
    kit_init(&kit);
}

static void teardown(void)
{
    kit_fini(&kit);
}

/* Is the old translation of la, made by kit_map(la, OLD...), still there? The tables say NEW by
 * then. Does not change the TLB: asks for a page that is in it or gets NEW, and then the answer is
 * no. */
static bool stale(uint64_t la, struct access access)
{
    struct walk_result res = kit_translate(&kit, la, access);

    ck_assert_int_eq(res.status, WALK_OK);
    ck_assert(res.spa == OLD || res.spa == NEW);
    return res.spa == OLD;
}

/* Cache OLD for data and code, then let the tables say NEW. */
static void cache_old(uint64_t la, uint64_t bits)
{
    kit_map(&kit, la, OLD | bits);
    assert_ok(kit_translate(&kit, la, READ), OLD);
    assert_ok(kit_translate(&kit, la, EXEC), OLD);
    kit_map(&kit, la, NEW | bits);
}

START_TEST(stale_entries_stay)
{
    cache_old(LA, PWU);
    ck_assert(stale(LA, READ));
    ck_assert(stale(LA, EXEC));
    kit_map(&kit, LA, 0);
    ck_assert(stale(LA, READ));
    ck_assert_int_eq(kit_walk(&kit, LA, READ).status, WALK_FAULT); /* walks see the tables */
}
END_TEST

START_TEST(data_and_code_are_cached_apart)
{
    kit_map(&kit, LA, OLD | PWU);
    assert_ok(kit_translate(&kit, LA, READ), OLD);
    kit_map(&kit, LA, NEW | PWU);
    assert_ok(kit_translate(&kit, LA, EXEC), NEW);
    assert_ok(kit_translate(&kit, LA, READ), OLD);
}
END_TEST

START_TEST(faults_are_not_cached)
{
    assert_fault(kit_translate(&kit, LA, READ), 0);
    kit_map(&kit, LA, NEW | PWU);
    assert_ok(kit_translate(&kit, LA, READ), NEW);
}
END_TEST

/* rows: pitfalls 4.13, svmop 14.17 */
START_TEST(raised_rights_need_no_flush)
{
    kit_map(&kit, LA, OLD | P | NX);
    assert_ok(kit_translate(&kit, LA, READ), OLD);
    kit_map(&kit, LA, OLD | PWU);
    assert_ok(kit_translate(&kit, LA, WRITE), OLD);
    kit.regime.cpl = 3;
    assert_ok(kit_translate(&kit, LA, READ), OLD);
    assert_ok(kit_translate(&kit, LA, EXEC), OLD);
}
END_TEST

START_TEST(lowered_rights_need_a_flush)
{
    kit.regime.cpl = 3;
    kit_map(&kit, LA, OLD | PWU);
    assert_ok(kit_translate(&kit, LA, WRITE), OLD);
    assert_ok(kit_translate(&kit, LA, EXEC), OLD);
    kit_map(&kit, LA, OLD | P | NX);
    assert_ok(kit_translate(&kit, LA, WRITE), OLD);
    assert_ok(kit_translate(&kit, LA, EXEC), OLD);
    paging_flush_page(kit.paging, 0, 0, LA, true);
    assert_fault(kit_translate(&kit, LA, WRITE), PF_P | PF_RW | PF_US);
    assert_fault(kit_translate(&kit, LA, EXEC), PF_P | PF_ID | PF_US);
}
END_TEST

/* "The entry for the faulting page is dropped": what a fault confirmed is read anew. */
/* rows: pitfalls 4.13, svmop 14.13 */
START_TEST(a_fault_drops_its_entry)
{
    kit_map(&kit, LA, OLD | P | U);
    assert_ok(kit_translate(&kit, LA, READ), OLD);
    kit_map(&kit, LA, NEW | P | U);
    ck_assert(stale(LA, READ));
    assert_fault(kit_translate(&kit, LA, WRITE), PF_P | PF_RW);
    ck_assert(!stale(LA, READ));
}
END_TEST

START_TEST(first_write_walks_to_set_dirty)
{
    uint64_t at = kit_map(&kit, LA, OLD | PWU);

    assert_ok(kit_translate(&kit, LA, READ), OLD);
    ck_assert_uint_eq(kit_get(&kit, at) & D, 0);
    assert_ok(kit_translate(&kit, LA, WRITE), OLD);
    ck_assert_uint_eq(kit_get(&kit, at) & D, D);
    kit_set(&kit, at, OLD | PWU); /* cleared without a flush: the TLB does not look again */
    assert_ok(kit_translate(&kit, LA, WRITE), OLD);
    ck_assert_uint_eq(kit_get(&kit, at) & D, 0);
    paging_flush_page(kit.paging, 0, 0, LA, true);
    assert_ok(kit_translate(&kit, LA, WRITE), OLD);
    ck_assert_uint_eq(kit_get(&kit, at) & D, D);
}
END_TEST

START_TEST(dirty_walk_takes_the_new_translation)
{
    kit_map(&kit, LA, OLD | PWU);
    assert_ok(kit_translate(&kit, LA, READ), OLD);
    kit_map(&kit, LA, NEW | PWU);
    assert_ok(kit_translate(&kit, LA, WRITE), NEW);
    assert_ok(kit_translate(&kit, LA, READ), NEW);
}
END_TEST

START_TEST(asids_are_apart)
{
    kit_map(&kit, LA, OLD | PWU);
    for (unsigned asid = 0; asid < 4; asid++) {
        kit.regime.asid = (uint16_t)(asid * 21845); /* 0 to 65535 */
        assert_ok(kit_translate(&kit, LA, READ), OLD);
    }
    kit_map(&kit, LA, NEW | PWU);
    paging_flush_asid(kit.paging, 21845, true);
    for (unsigned asid = 0; asid < 4; asid++) {
        kit.regime.asid = (uint16_t)(asid * 21845);
        ck_assert(stale(LA, READ) == (asid != 1));
    }
    kit.regime.asid = 7;
    ck_assert(!stale(LA, READ));
}
END_TEST

/* rows: svmop 14.3, 14.4 */
START_TEST(flush_of_an_asid_spares_globals_if_told)
{
    cache_old(LA, PWU | G);
    cache_old(LA + 0x1000, PWU);
    paging_flush_asid(kit.paging, 0, false);
    ck_assert(stale(LA, READ));
    ck_assert(stale(LA, EXEC));
    ck_assert(!stale(LA + 0x1000, READ));
    ck_assert(!stale(LA + 0x1000, EXEC));
    paging_flush_asid(kit.paging, 0, true);
    ck_assert(!stale(LA, READ));
    ck_assert(!stale(LA, EXEC));
}
END_TEST

/* rows: svmop 14.19, 15.1.9 */
START_TEST(global_pages_do_not_cross_asids)
{
    cache_old(LA, PWU | G);
    kit.regime.asid = 1;
    ck_assert(!stale(LA, READ));
}
END_TEST

/* rows: svmop 14.2 */
START_TEST(flush_of_everything)
{
    cache_old(LA, PWU | G);
    kit.regime.asid = 5;
    cache_old(LA, PWU);
    paging_flush_all(kit.paging);
    ck_assert(!stale(LA, READ));
    kit.regime.asid = 0;
    ck_assert(!stale(LA, READ));
    ck_assert(!stale(LA, EXEC));
}
END_TEST

/* rows: pitfalls 4.14, svmop 14.9 */
START_TEST(flush_of_a_page)
{
    cache_old(LA, PWU | G);
    cache_old(LA + 0x1000, PWU);
    kit.regime.asid = 1;
    cache_old(LA, PWU);
    paging_flush_page(kit.paging, 0, 0, LA + 0xfff, true);
    ck_assert(stale(LA, READ)); /* ASID 1 */
    kit.regime.asid = 0;
    ck_assert(!stale(LA, READ));
    ck_assert(!stale(LA, EXEC));
    ck_assert(stale(LA + 0x1000, READ));
    paging_flush_page(kit.paging, 0, 0, LA + 0x2000, true);
    ck_assert(stale(LA + 0x1000, READ));
}
END_TEST

static void set_pcid(uint16_t pcid)
{
    kit.regime.pcide = true;
    kit.regime.root = (kit.regime.root & ~0xfffull) | pcid;
}

START_TEST(pcids_are_apart)
{
    set_pcid(1);
    cache_old(LA, PWU);
    set_pcid(2);
    ck_assert(!stale(LA, READ));
    set_pcid(1);
    ck_assert(stale(LA, READ));
    kit.regime.pcide = false; /* PCID 0 then */
    ck_assert(!stale(LA, READ));
}
END_TEST

/* rows: pitfalls 4.16, svmop 14.11 */
START_TEST(flush_of_a_pcid_spares_globals_and_others)
{
    set_pcid(1);
    cache_old(LA, PWU);
    cache_old(LA + 0x1000, PWU | G);
    set_pcid(2);
    cache_old(LA, PWU);
    paging_flush_pcid(kit.paging, 0, 1);
    ck_assert(stale(LA, READ));
    set_pcid(1);
    ck_assert(!stale(LA, READ));
    ck_assert(!stale(LA, EXEC));
    ck_assert(stale(LA + 0x1000, READ));
}
END_TEST

START_TEST(flush_of_an_asid_takes_every_pcid)
{
    for (uint16_t pcid = 0; pcid < 3; pcid++) {
        set_pcid(pcid);
        cache_old(LA, PWU);
    }
    paging_flush_asid(kit.paging, 0, false);
    for (uint16_t pcid = 0; pcid < 3; pcid++) {
        set_pcid(pcid);
        ck_assert(!stale(LA, READ));
    }
}
END_TEST

/* rows: svmop 14.11 */
START_TEST(flush_of_a_page_in_a_pcid)
{
    set_pcid(1);
    cache_old(LA, PWU);
    set_pcid(2);
    cache_old(LA, PWU);
    cache_old(LA + 0x1000, PWU | G);
    paging_flush_page(kit.paging, 0, 2, LA, false);
    paging_flush_page(kit.paging, 0, 2, LA + 0x1000, false); /* INVPCID type 0 leaves globals */
    ck_assert(!stale(LA, READ));
    ck_assert(stale(LA + 0x1000, READ));
    set_pcid(1);
    ck_assert(stale(LA, READ));
    paging_flush_page(kit.paging, 0, 1, LA + 0x1000, true); /* INVLPG does not */
    ck_assert(!stale(LA + 0x1000, READ));
}
END_TEST

/* rows: svmop 14.10 */
START_TEST(flush_of_a_page_in_every_pcid)
{
    for (uint16_t pcid = 0; pcid < 3; pcid++) {
        set_pcid(pcid);
        cache_old(LA, PWU);
    }
    paging_flush_page_any_pcid(kit.paging, 0, LA);
    for (uint16_t pcid = 0; pcid < 3; pcid++) {
        set_pcid(pcid);
        ck_assert(!stale(LA, READ));
    }
}
END_TEST

/* INVLPGB: each criterion that is given must hold. */
START_TEST(flush_of_what_matches)
{
    static const struct {
        struct tlb_flush flush;
        bool page, next, global, other_pcid, other_asid; /* what goes */
    } rows[] = {
        { { .asid = TLB_FLUSH_ANY, .pcid = TLB_FLUSH_ANY }, true, true, false, true, true },
        { { .asid = TLB_FLUSH_ANY, .pcid = TLB_FLUSH_ANY, .globals = true },
          true,
          true,
          true,
          true,
          true },
        { { .asid = 1, .pcid = TLB_FLUSH_ANY, .globals = true }, true, true, true, true, false },
        { { .asid = 1, .pcid = 2 }, true, true, false, false, false },
        { { .asid = 1, .pcid = 2, .globals = true }, true, true, true, false, false },
        { { .asid = 1, .pcid = 9 }, false, false, false, false, false },
        { { .asid = 9, .pcid = TLB_FLUSH_ANY, .globals = true },
          false,
          false,
          false,
          false,
          false },
        { { .asid = 1, .pcid = 2, .by_page = true, .la = LA }, true, false, false, false, false },
        { { .asid = TLB_FLUSH_ANY, .pcid = TLB_FLUSH_ANY, .by_page = true, .la = LA },
          true,
          false,
          false,
          true,
          true },
        { { .asid = 1, .pcid = 9, .by_page = true, .la = LA + 0x2000, .globals = true },
          false,
          false,
          true,
          false,
          false },
        { { .asid = 1, .pcid = 9, .by_page = true, .la = LA + 0x2000 },
          false,
          false,
          false,
          false,
          false },
    };
    kit.regime.asid = 2;
    set_pcid(2);
    cache_old(LA, PWU);
    kit.regime.asid = 1;
    set_pcid(3);
    cache_old(LA, PWU);
    set_pcid(2);
    cache_old(LA, PWU);
    cache_old(LA + 0x1000, PWU);
    cache_old(LA + 0x2000, PWU | G);
    paging_flush_matching(kit.paging, &rows[_i].flush);
    ck_assert_int_eq(!stale(LA, READ), rows[_i].page);
    ck_assert_int_eq(!stale(LA, EXEC), rows[_i].page);
    ck_assert_int_eq(!stale(LA + 0x1000, READ), rows[_i].next);
    ck_assert_int_eq(!stale(LA + 0x2000, READ), rows[_i].global);
    set_pcid(3);
    ck_assert_int_eq(!stale(LA, READ), rows[_i].other_pcid);
    kit.regime.asid = 2;
    set_pcid(2);
    ck_assert_int_eq(!stale(LA, READ), rows[_i].other_asid);
}
END_TEST

START_TEST(global_entries_answer_for_every_pcid)
{
    set_pcid(1);
    cache_old(LA, PWU | G);
    set_pcid(2);
    ck_assert(stale(LA, READ));
}
END_TEST

START_TEST(large_pages_are_one_entry)
{
    uint64_t pde = kit_entry(&kit, kit.regime.root, 4, 2, LA);
    uint64_t base = LA & ~0x1fffffull;

    kit_set(&kit, pde, 0x600000 | PWU | PS);
    assert_ok(kit_translate(&kit, base, READ), 0x600000);
    kit_set(&kit, pde, 0x800000 | PWU | PS);
    assert_ok(kit_translate(&kit, base + 0x1fffff, READ), 0x7fffff);
    ck_assert_uint_eq(kit_translate(&kit, base, READ).page_bytes, 2 << 20);
    paging_flush_page(kit.paging, 0, 0, base + 0x12345, true);
    assert_ok(kit_translate(&kit, base, READ), 0x800000);
    kit_set(&kit, kit_entry(&kit, kit.regime.root, 4, 3, LA), 0 | PWU | PS);
    assert_ok(kit_translate(&kit, base, READ), 0x800000);
    paging_flush_asid(kit.paging, 0, false);
    assert_ok(kit_translate(&kit, base, EXEC), base & 0x3fffffff);
    assert_ok(kit_translate(&kit, (LA & ~0x3fffffffull) + 0x3ff00123, EXEC), 0x3ff00123);
    ck_assert_uint_eq(paging_counters(kit.paging, 0)->misses, 3);
}
END_TEST

START_TEST(four_mib_pages_go_whole)
{
    kit.regime.mode = WALK_32;
    kit.regime.pse = true;
    kit.regime.root = 0x200000;
    phys_write(kit.memory, 0x200000, 4, 0x800000 | PWU | PS);
    assert_ok(kit_translate(&kit, 0x000123, READ), 0x800123);
    assert_ok(kit_translate(&kit, 0x200123, READ), 0xa00123);
    phys_write(kit.memory, 0x200000, 4, 0xc00000 | PWU | PS);
    assert_ok(kit_translate(&kit, 0x000123, READ), 0x800123);
    paging_flush_page(kit.paging, 0, 0, 0x3fffff, true);
    assert_ok(kit_translate(&kit, 0x000123, READ), 0xc00123);
    assert_ok(kit_translate(&kit, 0x200123, READ), 0xe00123);
}
END_TEST

START_TEST(five_level_addresses_are_apart)
{
    kit.regime.mode = WALK_5LEVEL;
    kit_map(&kit, LA, OLD | PWU);
    kit_map(&kit, LA | 1ull << 48, NEW | PWU);
    assert_ok(kit_translate(&kit, LA, READ), OLD);
    assert_ok(kit_translate(&kit, LA | 1ull << 48, READ), NEW);
    assert_ok(kit_translate(&kit, LA, READ), OLD);
}
END_TEST

START_TEST(invlpg_takes_all_parts_of_a_fractured_page)
{
    uint64_t base = LA & ~0x1fffffull;

    kit_nest(&kit, 0x200);
    for (unsigned i = 0; i < 512; i++)
        kit_map_nested(&kit, 0x200000 + i * 4096u, (0x400000 + i * 4096u) | PWU);
    kit_set(&kit, kit_entry(&kit, kit.regime.root, 4, 2, LA), 0x200000 | PWU | PS);
    assert_ok(kit_translate(&kit, base + 0x1000, READ), 0x401000);
    assert_ok(kit_translate(&kit, base + 0x5000, EXEC), 0x405000);
    kit_set(&kit, kit_entry(&kit, kit.regime.root, 4, 2, LA), 0x0 | PWU | PS);
    assert_ok(kit_translate(&kit, base + 0x1000, READ), 0x401000);
    paging_flush_page(kit.paging, 1, 0, base + 0x9000, true); /* another part of the page */
    assert_ok(kit_translate(&kit, base + 0x1000, READ), 0x1000);
    assert_ok(kit_translate(&kit, base + 0x5000, EXEC), 0x5000);
}
END_TEST

/* Nested: the combined translation and the translations of guest tables both stay until the ASID
 * is flushed. */
static void nest_with(uint64_t gpa)
{
    kit_nest(&kit, 0x200);
    kit_map(&kit, LA, gpa | PWU);
}

/* rows: svmop 14.20 */
START_TEST(changed_nested_tables_need_a_flush_of_the_asid)
{
    nest_with(0x150000);
    assert_ok(kit_translate(&kit, LA, READ), 0x150000);
    kit_map_nested(&kit, 0x150000, 0x300000 | PWU);
    assert_ok(kit_translate(&kit, LA, READ), 0x150000);
    paging_flush_asid(kit.paging, 0, true); /* the host's */
    assert_ok(kit_translate(&kit, LA, READ), 0x150000);
    paging_flush_asid(kit.paging, 1, true);
    assert_ok(kit_translate(&kit, LA, READ), 0x300000);
}
END_TEST

/* Nested translations go where INVLPGB asks for them. */
START_TEST(nested_translations_match_if_told)
{
    struct tlb_flush flush = { .asid = 1, .pcid = TLB_FLUSH_ANY, .globals = true };
    uint64_t pt, other = 0x320000;

    nest_with(OLD & 0xfff000);
    pt = kit_entry(&kit, kit.regime.root, 4, 1, LA);
    kit_map_nested(&kit, OLD, OLD | PWU);
    kit_map_nested(&kit, NEW, NEW | PWU);
    kit_map(&kit, LA, OLD | PWU);
    assert_ok(kit_translate(&kit, LA, READ), OLD);
    kit_map_nested(&kit, pt & ~0xfffull, other | PWU);
    kit_set(&kit, other | (pt & 0xfff), NEW | PWU);
    paging_flush_matching(kit.paging, &flush);
    ck_assert(stale(LA, READ)); /* reached by what was cached for its table */
    flush.by_page = _i;
    flush.la = LA;
    flush.nested = true;
    paging_flush_matching(kit.paging, &flush);
    ck_assert(!stale(LA, READ));
}
END_TEST

/* rows: svmop 14.5, 14.9 */
START_TEST(invlpg_and_mov_cr3_keep_nested_translations_of_tables)
{
    uint64_t pt, other = 0x320000;

    nest_with(OLD & 0xfff000);
    pt = kit_entry(&kit, kit.regime.root, 4, 1, LA);
    kit_map_nested(&kit, OLD, OLD | PWU);
    kit_map_nested(&kit, NEW, NEW | PWU);
    kit_map(&kit, LA, OLD | PWU);
    assert_ok(kit_translate(&kit, LA, READ), OLD);
    /* The guest's page table moves to another system page, where it says NEW. */
    kit_map_nested(&kit, pt & ~0xfffull, other | PWU);
    kit_set(&kit, other | (pt & 0xfff), NEW | PWU);
    paging_flush_page(kit.paging, 1, 0, LA, true);
    ck_assert(stale(LA, READ));
    paging_flush_page_any_pcid(kit.paging, 1, LA);
    ck_assert(stale(LA, READ));
    paging_flush_asid(kit.paging, 1, false);
    ck_assert(stale(LA, READ));
    paging_flush_asid(kit.paging, 1, true);
    ck_assert(!stale(LA, READ));
}
END_TEST

/* The nested tables change between a large page and small ones; each guest table is reached by what was cached for it. */
START_TEST(nested_pages_of_both_sizes_side_by_side)
{
    uint64_t second = LA + (1ull << 21); /* another page table of the guest */
    uint64_t pde, small_pages, at;

    nest_with(OLD);
    kit_map(&kit, second, OLD | PWU);
    kit_map_nested(&kit, OLD, OLD | PWU);
    kit_map_nested(&kit, NEW, NEW | PWU);
    pde = kit_entry(&kit, kit.nested.root, 4, 2, 0);
    small_pages = kit_get(&kit, pde);
    at = kit_entry(&kit, kit.regime.root, 4, 1, second);
    kit_set(&kit, pde, 0 | PWU | PS);
    assert_ok(kit_translate(&kit, LA, READ), OLD); /* all tables by the large page */
    paging_flush_asid(kit.paging, 1, true);
    kit_set(&kit, pde, small_pages);
    assert_ok(kit_translate(&kit, LA, READ), OLD); /* by small pages */
    kit_set(&kit, pde, 0x600000 | PWU | PS);
    kit_set(&kit, 0x600000 | at, NEW | PWU);
    assert_ok(kit_translate(&kit, second, READ), NEW); /* the last table by a large page again */
    paging_flush_page(kit.paging, 1, 0, LA, true);
    assert_ok(kit_translate(&kit, LA, READ), OLD); /* still by small pages */
    paging_flush_asid(kit.paging, 1, true);
    assert_fault(kit_translate(&kit, LA, READ), 0); /* empty tables in the large page */
}
END_TEST

/* rows: svmop 14.20 */
START_TEST(changed_n_cr3_is_not_seen_without_a_flush)
{
    nest_with(0x150000);
    assert_ok(kit_translate(&kit, LA, READ), 0x150000);
    kit.nested.root = 0x3000000; /* nothing mapped there */
    assert_ok(kit_translate(&kit, LA, READ), 0x150000);
    /* A walk now reaches the tables by the old N_CR3, and the page by the new one. */
    paging_flush_page(kit.paging, 1, 0, LA, true);
    assert_npf(kit_translate(&kit, LA, READ), NPF_FINAL | 0x4, 0x150000);
    paging_flush_all(kit.paging);
    assert_npf(kit_translate(&kit, LA, READ), NPF_TABLE | 0x6,
               kit.regime.root + ((LA >> 39) & 511) * 8);
}
END_TEST

START_TEST(same_asid_shares_entries)
{
    struct walk_regime other;

    nest_with(0x150000);
    assert_ok(kit_translate(&kit, LA, READ), 0x150000);
    other = kit.regime;
    other.root = 0x3000000; /* another VMCB: other roots, no nesting */
    other.nested = NULL;
    assert_ok(paging_translate(kit.paging, &other, LA, READ), 0x150000);
}
END_TEST

/* rows: svmop 14.17 */
START_TEST(raised_nested_rights_need_no_flush)
{
    nest_with(0x150000);
    kit_map_nested(&kit, 0x150000, 0x150000 | P | U | NX);
    assert_ok(kit_translate(&kit, LA, READ), 0x150000);
    assert_npf(kit_translate(&kit, LA, WRITE), NPF_FINAL | 0x7, 0x150000);
    kit_map_nested(&kit, 0x150000, 0x150000 | PWU);
    assert_ok(kit_translate(&kit, LA, WRITE), 0x150000);
    assert_ok(kit_translate(&kit, LA, EXEC), 0x150000);
}
END_TEST

START_TEST(nested_dirty_is_set_by_the_first_write)
{
    uint64_t at;

    nest_with(0x150000);
    at = kit_map_nested(&kit, 0x150000, 0x150000 | PWU);
    kit_map(&kit, LA, 0x150000 | PWU | A | D);
    assert_ok(kit_translate(&kit, LA, READ), 0x150000);
    ck_assert_uint_eq(kit_get(&kit, at) & D, 0);
    assert_ok(kit_translate(&kit, LA, WRITE), 0x150000);
    ck_assert_uint_eq(kit_get(&kit, at) & D, D);
}
END_TEST

/* Pages that all fall into one set: more of them than it has ways. */
static uint64_t conflicting(unsigned i)
{
    return 0x100000000ull + ((uint64_t)i << 24); /* far above the bits that choose a set */
}

START_TEST(replacement_is_round_robin_and_ignores_hits)
{
    const struct tlb_counters *counters;

    for (unsigned i = 0; i < 12; i++)
        kit_map(&kit, conflicting(i), OLD | PWU);
    for (unsigned i = 0; i < 8; i++)
        kit_translate(&kit, conflicting(i), READ);
    counters = paging_counters(kit.paging, 0);
    ck_assert_uint_eq(counters->evictions, 0);
    for (unsigned i = 0; i < 100; i++)
        kit_translate(&kit, conflicting(0), READ); /* often used, and the first to go */
    kit_translate(&kit, conflicting(8), READ);
    ck_assert_uint_eq(counters->evictions, 1);
    ck_assert_uint_eq(counters->hits, 100);
    ck_assert_uint_eq(counters->misses, 9);
    for (unsigned i = 1; i < 9; i++)
        kit_translate(&kit, conflicting(i), READ);
    ck_assert_uint_eq(counters->misses, 9);
    kit_translate(&kit, conflicting(0), READ); /* takes the place of 1 */
    kit_translate(&kit, conflicting(2), READ);
    ck_assert_uint_eq(counters->misses, 10);
    kit_translate(&kit, conflicting(1), READ);
    ck_assert_uint_eq(counters->misses, 11);
}
END_TEST

START_TEST(free_ways_are_used_first)
{
    const struct tlb_counters *counters;

    for (unsigned i = 0; i < 9; i++)
        kit_map(&kit, conflicting(i), OLD | PWU);
    for (unsigned i = 0; i < 8; i++)
        kit_translate(&kit, conflicting(i), READ);
    counters = paging_counters(kit.paging, 0);
    paging_flush_page(kit.paging, 0, 0, conflicting(5), true);
    kit_translate(&kit, conflicting(8), READ);
    ck_assert_uint_eq(counters->evictions, 0);
    ck_assert_uint_eq(counters->fills - counters->evictions - counters->flushes, 8);
}
END_TEST

START_TEST(two_asids_with_32_pages_fit)
{
    uint64_t misses[2];

    for (unsigned i = 0; i < 32; i++)
        kit_map(&kit, LA + i * 4096u, OLD | PWU);
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned asid = 1; asid <= 2; asid++) {
            kit.regime.asid = (uint16_t)asid;
            for (unsigned i = 0; i < 32; i++)
                kit_translate(&kit, LA + i * 4096u, WRITE);
            if (round == 0)
                misses[asid - 1] = paging_counters(kit.paging, (uint16_t)asid)->misses;
        }
    }
    ck_assert_uint_eq(misses[0], 32);
    ck_assert_uint_eq(paging_counters(kit.paging, 1)->misses, 32);
    ck_assert_uint_eq(paging_counters(kit.paging, 2)->misses, 32);
}
END_TEST

START_TEST(guests_alike_do_not_meet_in_one_set)
{
    kit_map(&kit, LA, OLD | PWU);
    for (uint16_t asid = 0; asid < 32; asid++) {
        kit.regime.asid = asid;
        kit_translate(&kit, LA, READ);
    }
    for (uint16_t asid = 0; asid < 32; asid++)
        ck_assert_uint_eq(paging_counters(kit.paging, asid)->evictions, 0);
}
END_TEST

/* Tables change from 4 KiB pages to a large one without a flush: old and new answer, until a walk
 * finds the new one again. */
START_TEST(a_page_is_never_in_an_array_twice)
{
    uint64_t pde = kit_entry(&kit, kit.regime.root, 4, 2, LA), base = LA & ~0x1fffffull;
    const struct tlb_counters *counters;

    kit_map(&kit, LA, OLD | P | U);
    assert_ok(kit_translate(&kit, LA, READ), OLD);
    kit_set(&kit, pde, 0x600000 | P | PS);
    assert_ok(kit_translate(&kit, base + 0x9000, READ), 0x609000);
    assert_ok(kit_translate(&kit, LA, READ), OLD); /* the smaller page wins */
    kit_set(&kit, pde, 0x800000 | PWU | PS);
    assert_ok(kit_translate(&kit, LA, WRITE), 0x801000);
    assert_ok(kit_translate(&kit, base + 0x9000, READ), 0x809000);
    counters = paging_counters(kit.paging, 0);
    ck_assert_uint_eq(counters->fills - counters->evictions - counters->flushes, 1);
}
END_TEST

START_TEST(global_code_entry_changes_the_context_of_other_pcids)
{
    uint64_t pde, base = LA & ~0x1fffffull, context;

    set_pcid(1);
    pde = kit_entry(&kit, kit.regime.root, 4, 2, LA);
    kit_set(&kit, pde, 0x600000 | PWU | PS);
    assert_ok(kit_translate(&kit, LA, EXEC), 0x601000);
    context = paging_itlb_generation(kit.paging);
    set_pcid(2);
    kit_set(&kit, pde, kit_table(&kit) | PWU);
    kit_map(&kit, base + 0x1000, OLD | PWU | G);
    assert_ok(kit_translate(&kit, LA, EXEC), OLD);
    set_pcid(1);
    assert_ok(kit_translate(&kit, LA, EXEC), OLD); /* in place of the large page */
    ck_assert_uint_ne(paging_itlb_generation(kit.paging), context);
}
END_TEST

START_TEST(counters_belong_to_their_asid)
{
    kit_map(&kit, LA, OLD | PWU);
    kit.regime.asid = 9;
    kit_translate(&kit, LA, READ);
    kit_translate(&kit, LA, READ);
    paging_flush_asid(kit.paging, 9, true);
    ck_assert_ptr_null(paging_counters(kit.paging, 8));
    ck_assert_uint_eq(paging_counters(kit.paging, 9)->hits, 1);
    ck_assert_uint_eq(paging_counters(kit.paging, 9)->misses, 1);
    ck_assert_uint_eq(paging_counters(kit.paging, 9)->fills, 1);
    ck_assert_uint_eq(paging_counters(kit.paging, 9)->flushes, 1);
}
END_TEST

START_TEST(reset_empties_everything)
{
    cache_old(LA, PWU | G);
    kit.regime.asid = 3;
    cache_old(LA, PWU);
    paging_reset(kit.paging);
    ck_assert_ptr_null(paging_counters(kit.paging, 0));
    ck_assert_ptr_null(paging_counters(kit.paging, 3));
    ck_assert(!stale(LA, READ));
    kit.regime.asid = 0;
    ck_assert(!stale(LA, EXEC));
}
END_TEST

START_TEST(itlb_generation_grows_when_code_entries_go)
{
    uint64_t before, data;

    kit_map(&kit, LA, OLD | PWU);
    kit_translate(&kit, LA, READ);
    kit_translate(&kit, LA, EXEC);
    before = paging_itlb_generation(kit.paging);
    kit_translate(&kit, LA, EXEC);
    ck_assert_uint_eq(paging_itlb_generation(kit.paging), before);
    paging_flush_page(kit.paging, 0, 0, LA, true);
    ck_assert_uint_gt(paging_itlb_generation(kit.paging), before);
    kit_translate(&kit, LA, READ);
    data = paging_itlb_generation(kit.paging);
    paging_flush_asid(kit.paging, 0, true); /* a data entry only */
    ck_assert_uint_eq(paging_itlb_generation(kit.paging), data);
    for (unsigned i = 0; i < 9; i++) {
        kit_map(&kit, conflicting(i), OLD | PWU);
        kit_translate(&kit, conflicting(i), EXEC);
    }
    ck_assert_uint_eq(paging_itlb_generation(kit.paging), data + 1); /* one was replaced */
}
END_TEST

static void mix_bytes(void *self, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    uint64_t *hash = self;

    for (size_t i = 0; i < size; i++)
        *hash = (*hash ^ at[i]) * 0x100000001b3ull;
}

static uint64_t hash_now(void)
{
    uint64_t hash = 0xcbf29ce484222325ull;
    struct snap snap;

    snap_hash(&snap, mix_bytes, &hash);
    paging_state(kit.paging, &snap, 0);
    return hash;
}

START_TEST(hash_covers_content_not_hits)
{
    uint64_t empty = hash_now(), one;

    kit_map(&kit, LA, OLD | PWU);
    kit_translate(&kit, LA, READ);
    one = hash_now();
    ck_assert_uint_ne(one, empty);
    kit_translate(&kit, LA, READ);
    ck_assert_uint_eq(hash_now(), one);
    kit_translate(&kit, LA, WRITE); /* dirty now */
    ck_assert_uint_ne(hash_now(), one);
    paging_flush_all(kit.paging);
    ck_assert_uint_eq(hash_now(), empty);
    for (unsigned i = 0; i < 9; i++) {
        kit_map(&kit, conflicting(i), OLD | PWU);
        kit_translate(&kit, conflicting(i), READ);
    }
    paging_flush_all(kit.paging);
    ck_assert_uint_ne(hash_now(), empty); /* the round robin pointer moved */
}
END_TEST

struct event_log {
    unsigned count;
    uint64_t a[8], b[8], c[8];
};

static void log_event(void *self, const struct probe_event *event)
{
    struct event_log *log = self;

    log->a[log->count % 8] = event->a;
    log->b[log->count % 8] = event->b;
    log->c[log->count % 8] = event->c;
    log->count++;
}

START_TEST(probes_hear_of_changes)
{
    struct probes probes = { 0 };
    struct event_log log = { 0 };
    struct probe_client client = { .mask = 1u << PROBE_TLB, .fire = log_event, .self = &log };
    struct paging *paging = paging_new(kit.memory, &probes);

    probes_attach(&probes, &client);
    kit.regime.asid = 6;
    kit_map(&kit, LA, OLD | PWU);
    paging_translate(paging, &kit.regime, LA + 5, READ);
    paging_translate(paging, &kit.regime, LA + 5, READ);
    ck_assert_uint_eq(log.count, 1);
    ck_assert_uint_eq(log.a[0], PROBE_TLB_FILL);
    ck_assert_uint_eq(log.b[0], LA);
    ck_assert_uint_eq(log.c[0], 6);
    paging_flush_page(paging, 6, 0, LA, true);
    paging_flush_asid(paging, 6, true);
    paging_flush_all(paging);
    ck_assert_uint_eq(log.count, 4);
    ck_assert_uint_eq(log.a[3], PROBE_TLB_FLUSH);
    ck_assert_uint_eq(log.b[1], LA);
    ck_assert_uint_eq(log.b[2], UINT64_MAX);
    ck_assert_uint_eq(log.c[2], 6);
    ck_assert_uint_eq(log.c[3], UINT64_MAX);
    for (unsigned i = 0; i < 9; i++) {
        kit_map(&kit, conflicting(i), OLD | PWU);
        paging_translate(paging, &kit.regime, conflicting(i), READ);
    }
    ck_assert_uint_eq(log.count, 4 + 9 + 1);
    ck_assert_uint_eq(log.a[12 % 8], PROBE_TLB_EVICT);
    ck_assert_uint_eq(log.b[12 % 8], conflicting(0));
    paging_free(paging);
}
END_TEST

START_TEST(canonical_addresses)
{
    ck_assert(paging_is_canonical(0x00007fffffffffffull, false));
    ck_assert(!paging_is_canonical(0x0000800000000000ull, false));
    ck_assert(!paging_is_canonical(0xffff7fffffffffffull, false));
    ck_assert(paging_is_canonical(0xffff800000000000ull, false));
    ck_assert(paging_is_canonical(0x00ffffffffffffffull, true));
    ck_assert(!paging_is_canonical(0x0100000000000000ull, true));
    ck_assert(paging_is_canonical(0xff00000000000000ull, true));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tlb");
    TCase *tc = tcase_create("tlb");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, stale_entries_stay);
    tcase_add_test(tc, data_and_code_are_cached_apart);
    tcase_add_test(tc, faults_are_not_cached);
    tcase_add_test(tc, raised_rights_need_no_flush);
    tcase_add_test(tc, lowered_rights_need_a_flush);
    tcase_add_test(tc, a_fault_drops_its_entry);
    tcase_add_test(tc, first_write_walks_to_set_dirty);
    tcase_add_test(tc, dirty_walk_takes_the_new_translation);
    tcase_add_test(tc, asids_are_apart);
    tcase_add_test(tc, flush_of_an_asid_spares_globals_if_told);
    tcase_add_test(tc, global_pages_do_not_cross_asids);
    tcase_add_test(tc, flush_of_everything);
    tcase_add_test(tc, flush_of_a_page);
    tcase_add_test(tc, pcids_are_apart);
    tcase_add_test(tc, flush_of_a_pcid_spares_globals_and_others);
    tcase_add_test(tc, flush_of_an_asid_takes_every_pcid);
    tcase_add_test(tc, flush_of_a_page_in_a_pcid);
    tcase_add_test(tc, flush_of_a_page_in_every_pcid);
    tcase_add_loop_test(tc, flush_of_what_matches, 0, 11);
    tcase_add_loop_test(tc, nested_translations_match_if_told, 0, 2);
    tcase_add_test(tc, global_entries_answer_for_every_pcid);
    tcase_add_test(tc, large_pages_are_one_entry);
    tcase_add_test(tc, four_mib_pages_go_whole);
    tcase_add_test(tc, five_level_addresses_are_apart);
    tcase_add_test(tc, invlpg_takes_all_parts_of_a_fractured_page);
    tcase_add_test(tc, changed_nested_tables_need_a_flush_of_the_asid);
    tcase_add_test(tc, invlpg_and_mov_cr3_keep_nested_translations_of_tables);
    tcase_add_test(tc, nested_pages_of_both_sizes_side_by_side);
    tcase_add_test(tc, changed_n_cr3_is_not_seen_without_a_flush);
    tcase_add_test(tc, same_asid_shares_entries);
    tcase_add_test(tc, raised_nested_rights_need_no_flush);
    tcase_add_test(tc, nested_dirty_is_set_by_the_first_write);
    tcase_add_test(tc, replacement_is_round_robin_and_ignores_hits);
    tcase_add_test(tc, free_ways_are_used_first);
    tcase_add_test(tc, two_asids_with_32_pages_fit);
    tcase_add_test(tc, guests_alike_do_not_meet_in_one_set);
    tcase_add_test(tc, a_page_is_never_in_an_array_twice);
    tcase_add_test(tc, global_code_entry_changes_the_context_of_other_pcids);
    tcase_add_test(tc, counters_belong_to_their_asid);
    tcase_add_test(tc, reset_empties_everything);
    tcase_add_test(tc, itlb_generation_grows_when_code_entries_go);
    tcase_add_test(tc, hash_covers_content_not_hits);
    tcase_add_test(tc, probes_hear_of_changes);
    tcase_add_test(tc, canonical_addresses);
    suite_add_tcase(suite, tc);
    return kit_run(suite);
}

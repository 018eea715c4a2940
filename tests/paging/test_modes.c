/* Every paging mode of a guest over every paging mode of the host, PSE-36 in both dimensions, and what walks tell about
 * themselves. APM vol 2, 5.2, 5.3, 15.25.3 "Enabling Nested Paging", 15.25.5 "Nested Table Walk". */
#include "tests/paging/kit.h"

#define ROOT 0x200000ull /* the guest's root; its tables are there in guest and system memory */
#define NESTED_ROOT 0x300000ull /* the host's */
#define LA 0x00c03000ull        /* other indices at each level of every mode */
#define GPA 0x00234000ull
#define SPA 0x00567000ull

static struct kit kit;

static void setup(void)
{
    kit_init(&kit);
}

static void teardown(void)
{
    kit_fini(&kit);
}

static unsigned levels(enum walk_mode mode)
{
    return mode == WALK_NONE ? 0 : (unsigned)mode + 1;
}

static unsigned entry_bytes(enum walk_mode mode)
{
    return mode == WALK_32 ? 4 : 8;
}

/* Where the entry of `level` for an address is; tables above it are made behind each other from `root` on. */
static uint64_t entry_of(enum walk_mode mode, uint64_t root, unsigned level, uint64_t address)
{
    unsigned bytes = entry_bytes(mode), index_bits = mode == WALK_32 ? 10 : 9;
    uint64_t table = root;

    for (unsigned l = levels(mode);; l--) {
        unsigned shift = 12 + index_bits * (l - 1);
        uint64_t index =
            (address >> shift) & (mode == WALK_PAE && l == 3 ? 3 : (1u << index_bits) - 1);
        uint64_t at = table + index * bytes, entry;

        if (l == level)
            return at;
        entry = phys_read(kit.memory, at, bytes);
        if (!(entry & P)) { /* a PDPTE of PAE has no rights */
            kit.next_table += 0x1000;
            entry = kit.next_table | (mode == WALK_PAE && l == 3 ? P : PWU);
            phys_write(kit.memory, at, bytes, entry);
        }
        table = entry & 0x000ffffffffff000ull;
    }
}

static void map(enum walk_mode mode, uint64_t root, uint64_t address, uint64_t entry)
{
    phys_write(kit.memory, entry_of(mode, root, 1, address), entry_bytes(mode), entry);
}

static bool is_accessed(enum walk_mode mode, uint64_t root, unsigned level, uint64_t address)
{
    return phys_read(kit.memory, entry_of(mode, root, level, address), entry_bytes(mode)) & A;
}

static const enum walk_mode modes[] = { WALK_NONE, WALK_32, WALK_PAE, WALK_4LEVEL, WALK_5LEVEL };

static struct walk_regime regime_of(enum walk_mode mode, uint64_t root)
{
    return (struct walk_regime){ .mode = mode,
                                 .root = root,
                                 .wp = true,
                                 .nxe = true,
                                 .pse = true,
                                 .maxphyaddr = 48,
                                 .page_1gb = true };
}

/* Guest mode _i % 5 over host mode 1 + _i / 5. */
static void make_pair(int i, uint64_t *gpa_wanted)
{
    enum walk_mode guest = modes[i % 5], host = modes[1 + i / 5];

    kit.regime = regime_of(guest, ROOT);
    kit.regime.asid = 1;
    kit.nested = regime_of(host, NESTED_ROOT);
    kit.nested.cpl = 3;
    kit.regime.nested = &kit.nested;
    kit.next_table = ROOT;
    *gpa_wanted = guest == WALK_NONE ? LA : GPA;
    if (guest != WALK_NONE)
        map(guest, ROOT, LA, GPA | PWU);
    kit.next_table = NESTED_ROOT;
    for (uint64_t at = ROOT; at < ROOT + 0x8000; at += 0x1000)
        map(host, NESTED_ROOT, at, at | PWU);
    map(host, NESTED_ROOT, *gpa_wanted, SPA | PWU);
}

/* An entry whose table, one at 300000h to 3FFFFFh, is now named with bit 20 set but lies 1 MiB lower. */
static uint64_t relocated(uint64_t entry)
{
    uint64_t address = entry & 0x000ffffffffff000ull;

    return address >= NESTED_ROOT && address < NESTED_ROOT + 0x100000 ? entry + 0x200000 : entry;
}

/* rows: svmop 15.1.1, 15.1.2, 15.2.2, 15.2.4, 15.2.10 */
START_TEST(guest_mode_over_host_mode)
{
    enum walk_mode guest = modes[_i % 5], host = modes[1 + _i / 5];
    struct walk_result res;
    uint64_t gpa;

    make_pair(_i, &gpa);
    res = kit_walk(&kit, LA + 0x123, WRITE);
    assert_ok(res, SPA + 0x123);
    ck_assert_uint_eq(res.gpa, gpa + 0x123);
    ck_assert_uint_eq(res.page_bytes, 4096);
    for (unsigned l = 1; l <= levels(guest); l++) /* PDPTEs of PAE have no A bit */
        ck_assert_int_eq(is_accessed(guest, ROOT, l, LA), !(guest == WALK_PAE && l == 3));
    for (unsigned l = 1; l <= levels(host); l++)
        ck_assert_int_eq(is_accessed(host, NESTED_ROOT, l, gpa), !(host == WALK_PAE && l == 3));
    if (guest != WALK_NONE)
        ck_assert_uint_eq(phys_read(kit.memory, entry_of(host, NESTED_ROOT, 1, ROOT), 4) & (A | D),
                          A | D);
    assert_ok(kit_translate(&kit, LA, EXEC), SPA);
    assert_ok(kit_translate(&kit, LA, WRITE), SPA);
}
END_TEST

/* rows: svmop 15.2.5, 15.2.8 */
START_TEST(faults_of_each_pair)
{
    enum walk_mode guest = modes[_i % 5], host = modes[1 + _i / 5];
    uint64_t id = host == WALK_32 ? 0 : PF_ID, gpa;

    make_pair(_i, &gpa);
    map(host, NESTED_ROOT, gpa, SPA | P | U);
    assert_npf(kit_walk(&kit, LA + 8, WRITE), NPF_FINAL | PF_P | PF_RW | PF_US, gpa + 8);
    assert_ok(kit_walk(&kit, LA + 8, READ), SPA + 8);
    map(host, NESTED_ROOT, gpa, SPA | P | W);
    assert_npf(kit_walk(&kit, LA, EXEC), NPF_FINAL | PF_P | PF_US | id, gpa);
    map(host, NESTED_ROOT, gpa, 0);
    assert_npf(kit_walk(&kit, LA, READ), NPF_FINAL | PF_US, gpa);
    if (host != WALK_32) { /* 4-byte entries have no bits that do not exist */
        map(host, NESTED_ROOT, gpa, SPA | PWU | 1ull << 48);
        assert_npf(kit_walk(&kit, LA, READ), NPF_FINAL | PF_P | PF_US | PF_RSV, gpa);
    }
    if (guest == WALK_NONE)
        return;
    for (unsigned l = 1; l <= levels(guest); l++) {
        uint64_t at = entry_of(guest, ROOT, l, LA);
        unsigned bytes = entry_bytes(guest);
        uint64_t entry = phys_read(kit.memory, at, bytes);

        phys_write(kit.memory, at, bytes, entry & ~P);
        assert_fault(kit_walk(&kit, LA, READ), 0);
        phys_write(kit.memory, at, bytes, entry);
        map(host, NESTED_ROOT, at, (at & ~0xfffull) | P | U); /* tables are written */
        assert_npf(kit_walk(&kit, LA, EXEC), NPF_TABLE | PF_P | PF_RW | PF_US, at);
        map(host, NESTED_ROOT, at, (at & ~0xfffull) | PWU);
    }
}
END_TEST

/* A 4 MiB page of a guest above 4 GiB, over every host. Those of 32 bits cannot map it. */
/* rows: pitfalls 4.18, svmop 15.2.11, 15.2.13, 15.2.15, 15.2.16 */
START_TEST(pse36_guest)
{
    enum walk_mode host = modes[1 + _i];
    uint64_t gpa = 0xa512800000ull, unused;

    make_pair(1 + 5 * _i, &unused);
    phys_write(kit.memory, entry_of(WALK_32, ROOT, 2, LA), 4, 0x12800000 | 0xa5u << 13 | PWU | PS);
    if (host >= WALK_4LEVEL) {
        kit.next_table = 0x380000;
        map(host, NESTED_ROOT, gpa + 0x3000, SPA | PWU);
        assert_ok(kit_walk(&kit, LA + 0xabc, WRITE), SPA + 0xabc);
        ck_assert_uint_eq(kit_walk(&kit, LA, READ).page_bytes, 4096);
        assert_npf(kit_walk(&kit, LA + 0x1000, READ), NPF_FINAL | PF_US, gpa + 0x4000);
    } else {
        assert_npf(kit_walk(&kit, LA, WRITE), NPF_FINAL | PF_US | PF_RW, gpa + 0x3000);
    }
    kit.regime.pse = false; /* then it is the address of a table, without the high bits */
    assert_npf(kit_walk(&kit, LA, READ), NPF_TABLE | PF_US | PF_RW,
               0x12800000 + 0xa5 * 0x2000 + 12);
}
END_TEST

/* A host with 4 MiB pages gives guests memory above 4 GiB. */
/* rows: pitfalls 4.18, svmop 15.2.16 */
START_TEST(pse36_host)
{
    uint64_t unused;

    make_pair(3, &unused);
    phys_write(kit.memory, entry_of(WALK_32, NESTED_ROOT, 2, GPA + 0x400000), 4,
               0x40000000 | 0xffu << 13 | PWU | PS);
    map(WALK_4LEVEL, ROOT, LA, (GPA + 0x400000) | PWU);
    assert_ok(kit_walk(&kit, LA + 1, READ), 0xff40234001ull);
    phys_write(kit.memory, entry_of(WALK_32, NESTED_ROOT, 2, GPA + 0x400000), 4,
               0x40000000 | 1u << 21 | PWU | PS);
    assert_npf(kit_walk(&kit, LA + 1, READ), NPF_FINAL | PF_P | PF_US | PF_RSV, GPA + 0x400001);
}
END_TEST

/* A closed A20 line clears bit 20 of every physical address, those of tables too, but of no guest physical address. */
/* rows: pitfalls 4.17, svmop 15.1.8 */
START_TEST(a20_masks_tables_but_no_guest_physical_address)
{
    uint64_t gpa = 0x00334000ull, unused;

    make_pair(3 + 5 * 2, &unused);
    map(WALK_4LEVEL, ROOT, LA, gpa | PWU); /* bit 20 is set here, and not in its page */
    kit.next_table = 0x390000;
    map(WALK_4LEVEL, NESTED_ROOT, gpa, SPA | PWU);
    assert_ok(kit_walk(&kit, LA, READ), SPA);
    for (uint64_t at = 0; at < 0x100000; at += 8) /* all tables of the host move down by 1 MiB */
        kit_set(&kit, 0x400000 + at, kit_get(&kit, NESTED_ROOT + at));
    kit.nested.root = 0x500000;
    for (uint64_t at = 0; at < 0x100000; at += 8)
        if (kit_get(&kit, 0x400000 + at) & P)
            kit_set(&kit, 0x400000 + at, relocated(kit_get(&kit, 0x400000 + at)));
    ck_assert_int_ne(kit_walk(&kit, LA, READ).status, WALK_OK);
    memory_set_a20(kit.memory, false);
    assert_ok(kit_walk(&kit, LA, READ), SPA);
    ck_assert_uint_eq(kit_walk(&kit, LA, READ).gpa, gpa);
    memory_set_a20(kit.memory, true);
}
END_TEST

/* --- what walks tell -------------------------------------------------------------------------- */

/* Every entry in the order of reading, each nested walk before what it led to. */
START_TEST(explained_walk_lists_every_entry)
{
    enum walk_mode guest = modes[_i % 5], host = modes[1 + _i / 5];
    unsigned n = 0;
    struct walk_log log;
    struct walk_result res;
    uint64_t gpa;

    make_pair(_i, &gpa);
    res = walk_explain(kit.memory, &kit.regime, LA, WRITE, &log);
    assert_ok(res, SPA);
    ck_assert_uint_eq(log.count, levels(guest) * (levels(host) + 1) + levels(host));
    for (unsigned l = levels(guest) + 1; l-- > 0;) {
        uint64_t wanted = l ? entry_of(guest, ROOT, l, LA) : gpa;

        for (unsigned h = levels(host); h > 0; h--, n++) {
            ck_assert(!log.step[n].guest);
            ck_assert_uint_eq(log.step[n].level, h);
            ck_assert_uint_eq(log.step[n].spa, entry_of(host, NESTED_ROOT, h, wanted));
            ck_assert_uint_eq(log.step[n].entry & A, 0); /* and without effects */
        }
        if (l) {
            ck_assert(log.step[n].guest);
            ck_assert_uint_eq(log.step[n].level, l);
            ck_assert_uint_eq(log.step[n].address, wanted);
            n++;
        }
    }
    for (unsigned l = 1; l <= levels(guest); l++)
        ck_assert(!is_accessed(guest, ROOT, l, LA));
    ck_assert_ptr_null(paging_counters(kit.paging, 1));
}
END_TEST

START_TEST(explained_walk_ends_at_the_fault)
{
    struct walk_log log;
    uint64_t gpa;

    make_pair(3 + 5 * 2, &gpa); /* 4-level over 4-level */
    phys_write(kit.memory, entry_of(WALK_4LEVEL, ROOT, 3, LA), 8, 0);
    assert_fault(walk_explain(kit.memory, &kit.regime, LA, READ, &log), 0);
    ck_assert_uint_eq(log.count, 10);
    ck_assert(log.step[9].guest && log.step[9].level == 3);
    kit.regime = regime_of(WALK_NONE, 0);
    assert_ok(walk_explain(kit.memory, &kit.regime, 0x1234, READ, &log), 0x1234);
    ck_assert_uint_eq(log.count, 0);
}
END_TEST

/* PAT is bit 7 of a PTE and bit 12 of larger pages; PCD and PWT are bits 4 and 3. */
START_TEST(pat_index_of_both_leaves)
{
    struct walk_result res;
    uint64_t gpa, low = (uint64_t)(_i & 3) << 3, small = (_i & 4) << 5, large = (_i & 4) << 10;

    make_pair(3 + 5 * 2, &gpa);
    map(WALK_4LEVEL, ROOT, LA, GPA | PWU | low | small);
    res = kit_walk(&kit, LA, READ);
    ck_assert_uint_eq(res.pat, _i);
    ck_assert_uint_eq(res.nested_pat, 0);
    map(WALK_4LEVEL, NESTED_ROOT, GPA, SPA | PWU | low | small);
    map(WALK_4LEVEL, ROOT, LA, GPA | PWU);
    res = kit_walk(&kit, LA, READ);
    ck_assert_uint_eq(res.pat, 0);
    ck_assert_uint_eq(res.nested_pat, _i);
    for (unsigned level = 2; level <= 3; level++) {
        kit_set(&kit, entry_of(WALK_4LEVEL, ROOT, level, LA), PWU | PS | low | large);
        kit.regime.nested = NULL;
        ck_assert_uint_eq(kit_walk(&kit, LA, READ).pat, _i);
        kit.regime.nested = &kit.nested;
    }
    kit.regime = regime_of(WALK_32, ROOT);
    phys_write(kit.memory, ROOT + 12, 4, PWU | PS | low | large);
    ck_assert_uint_eq(kit_walk(&kit, LA, READ).pat, _i);
}
END_TEST

/* What the TLB holds, as reports see it. */
static unsigned seen[3];

static void count_view(void *self, const struct tlb_view *view)
{
    (void)self;
    seen[view->kind]++;
    ck_assert_uint_eq(view->asid, 1);
    if (view->kind == TLB_NESTED)
        return;
    ck_assert_uint_eq(view->page, LA);
    ck_assert_uint_eq(view->gpa, GPA);
    ck_assert_uint_eq(view->spa, SPA);
    ck_assert_uint_eq(view->page_bytes, 4096);
    ck_assert(view->writable && view->user && !view->nx && !view->global);
    ck_assert_int_eq(view->dirty, view->kind == TLB_DATA);
}

START_TEST(views_of_the_tlb)
{
    uint64_t gpa;

    make_pair(3 + 5 * 2, &gpa);
    assert_ok(kit_translate(&kit, LA + 4, EXEC), SPA + 4);
    phys_write(kit.memory, entry_of(WALK_4LEVEL, NESTED_ROOT, 1, GPA), 8, SPA | PWU);
    assert_ok(kit_translate(&kit, LA + 8, WRITE), SPA + 8);
    paging_each(kit.paging, count_view, NULL);
    ck_assert_uint_eq(seen[TLB_DATA], 1);
    ck_assert_uint_eq(seen[TLB_CODE], 1);
    ck_assert_uint_eq(seen[TLB_NESTED], 4); /* four tables in four pages */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("modes");
    TCase *tc = tcase_create("modes");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, guest_mode_over_host_mode, 0, 20);
    tcase_add_loop_test(tc, faults_of_each_pair, 0, 20);
    tcase_add_loop_test(tc, pse36_guest, 0, 4);
    tcase_add_test(tc, pse36_host);
    tcase_add_test(tc, a20_masks_tables_but_no_guest_physical_address);
    tcase_add_loop_test(tc, explained_walk_lists_every_entry, 0, 20);
    tcase_add_test(tc, explained_walk_ends_at_the_fault);
    tcase_add_loop_test(tc, pat_index_of_both_leaves, 0, 8);
    tcase_add_test(tc, views_of_the_tlb);
    suite_add_tcase(suite, tc);
    return kit_run(suite);
}

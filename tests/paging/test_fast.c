/* Fast tables: when an entry exists, when it goes, and that they change nothing that a guest can see. */
#include "emu/base/snap.h"
#include "tests/paging/kit.h"
#include "tests/random.h"

#include <string.h>

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

static struct fast_entry *fast_at(uint64_t la)
{
    return &paging_bank(kit.paging, &kit.regime)[(la >> 12) & (FAST_ENTRIES - 1)];
}

static bool reads(uint64_t la)
{
    return fast_at(la)->rtag == (la & ~0xfffull);
}

static bool writes(uint64_t la)
{
    return fast_at(la)->wtag == (la & ~0xfffull);
}

static bool fill(uint64_t la, struct access access)
{
    bool filled;

    paging_bank(kit.paging, &kit.regime);
    paging_fast_fill(kit.paging, &kit.regime, la, access, &filled);
    return filled;
}

/* Map a page that was written before, and make its entry dirty: everything a fast write needs. */
static void map_written(uint64_t la, uint64_t entry)
{
    kit_map(&kit, la, entry);
    phys_write(kit.memory, entry & 0xffffff000ull, 1, 1);
}

START_TEST(a_new_bank_answers_nothing)
{
    for (uint64_t la = 0; la < FAST_ENTRIES * 4096ull; la += 4096)
        ck_assert(!reads(la) && !writes(la));
}
END_TEST

START_TEST(addend_leads_to_the_native_page)
{
    kit_map(&kit, LA, PAGE | PWU);
    ck_assert(fill(LA + 0x123, READ));
    ck_assert(reads(LA));
    ck_assert_uint_eq(LA + 0x123 + fast_at(LA)->addend,
                      (uintptr_t)memory_ptr(kit.memory, PAGE + 0x123, 1));
}
END_TEST

START_TEST(writing_needs_a_page_in_the_dirty_map)
{
    kit_map(&kit, LA, PAGE | PWU);
    ck_assert(!fill(LA, WRITE));
    ck_assert(reads(LA) && !writes(LA));
    phys_write(kit.memory, PAGE, 8, 1); /* what the slow path does */
    ck_assert(fill(LA, WRITE));
    ck_assert(reads(LA) && writes(LA));
    memory_set_marks(kit.memory, PAGE >> 12, 0, PAGE_DIRTY);
    ck_assert(reads(LA) && !writes(LA));
}
END_TEST

START_TEST(writing_needs_the_dirty_bit)
{
    uint64_t at = kit_map(&kit, LA, PAGE | PWU);

    phys_write(kit.memory, PAGE, 8, 1);
    ck_assert(fill(LA, READ));
    ck_assert(!writes(LA));
    ck_assert_uint_eq(kit_get(&kit, at) & D, 0);
    ck_assert(fill(LA, WRITE));
    ck_assert(writes(LA));
    ck_assert_uint_eq(kit_get(&kit, at) & D, D);
    ck_assert(fill(LA, READ)); /* dirty already: a read opens both */
    ck_assert(writes(LA));
}
END_TEST

START_TEST(writing_needs_the_nested_dirty_bit)
{
    uint64_t at;

    kit_nest(&kit, 0x200);
    map_written(LA, 0x150000 | PWU | A | D);
    at = kit_map_nested(&kit, 0x150000, 0x150000 | PWU);
    ck_assert(fill(LA, READ));
    ck_assert(!writes(LA));
    ck_assert(fill(LA, WRITE));
    ck_assert_uint_eq(kit_get(&kit, at) & D, D);
}
END_TEST

START_TEST(nested_read_only_pages_are_not_written)
{
    kit_nest(&kit, 0x200);
    map_written(LA, 0x150000 | PWU | A | D);
    kit_map_nested(&kit, 0x150000, 0x150000 | P | U | A | D);
    kit.regime.wp = false;
    ck_assert(fill(LA, READ));
    ck_assert(!writes(LA));
}
END_TEST

START_TEST(code_and_watched_pages_are_not_written)
{
    static const uint8_t marks[] = { PAGE_HAS_CODE, PAGE_WATCHED };

    map_written(LA, PAGE | PWU);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert(fill(LA, WRITE));
        memory_set_marks(kit.memory, PAGE >> 12, marks[i], 0);
        ck_assert(!writes(LA));
        ck_assert(reads(LA));
        ck_assert(!fill(LA, WRITE));
        memory_set_marks(kit.memory, PAGE >> 12, 0, marks[i]);
        ck_assert(!writes(LA));
    }
    ck_assert(fill(LA, WRITE));
}
END_TEST

START_TEST(marks_reach_every_alias_in_every_bank)
{
    map_written(LA, PAGE | PWU);
    kit_map(&kit, LA + 0x5000, PAGE | PWU);
    ck_assert(fill(LA, WRITE));
    ck_assert(fill(LA + 0x5000, WRITE));
    kit.regime.asid = 3;
    kit.regime.cpl = 3;
    ck_assert(fill(LA, WRITE));
    memory_set_marks(kit.memory, (PAGE >> 12) + 1, PAGE_HAS_CODE, 0); /* another page */
    ck_assert(writes(LA));
    memory_set_marks(kit.memory, PAGE >> 12, PAGE_HAS_CODE, 0);
    ck_assert(!writes(LA));
    kit.regime.asid = 0;
    kit.regime.cpl = 0;
    ck_assert(!writes(LA));
    ck_assert(!writes(LA + 0x5000));
}
END_TEST

START_TEST(rom_is_read_only)
{
    static uint8_t image[4096] = { 0x5a };

    ck_assert(memory_add_rom(kit.memory, 0xe0000, image, sizeof(image)));
    kit_map(&kit, LA, 0xe0000 | PWU);
    ck_assert(!fill(LA, WRITE));
    ck_assert(!writes(LA));
    ck_assert(fill(LA, READ));
    ck_assert_uint_eq(*(uint8_t *)(uintptr_t)(LA + fast_at(LA)->addend), 0x5a);
}
END_TEST

START_TEST(mmio_has_no_entry)
{
    kit_map(&kit, LA, 0xa0000 | PWU);
    ck_assert(!fill(LA, READ));
    ck_assert(!fill(LA, WRITE));
    ck_assert(!reads(LA));
}
END_TEST

START_TEST(fetches_make_no_entry)
{
    kit_map(&kit, LA, PAGE | PWU);
    ck_assert(!fill(LA, EXEC));
    ck_assert(!reads(LA));
}
END_TEST

START_TEST(implicit_accesses_stay_out_of_banks_with_other_rights)
{
    map_written(LA, PAGE | P | W);
    kit.regime.cpl = 3;
    ck_assert(!fill(LA, SYS_READ));
    ck_assert(!fill(LA, SYS_WRITE));
    ck_assert(!reads(LA));
    kit.regime.cpl = 0;
    ck_assert(fill(LA, SYS_READ)); /* the same rights as any other access */
    paging_drop_fast(kit.paging);
    kit.regime.smap = kit.regime.ac = true;
    ck_assert(!fill(LA, SYS_READ));
}
END_TEST

/* Each pair of regimes that must not share a bank. */
START_TEST(banks_follow_what_decides)
{
    struct walk_regime base, other;
    struct fast_entry *bank;

    kit.regime.smap = kit.regime.pke = true;
    base = kit.regime;
    bank = paging_bank(kit.paging, &base);
    ck_assert_ptr_eq(paging_bank(kit.paging, &base), bank);
#define DIFFERENT(change)                                        \
    do {                                                         \
        other = base;                                            \
        change;                                                  \
        ck_assert_ptr_ne(paging_bank(kit.paging, &other), bank); \
        ck_assert_ptr_eq(paging_bank(kit.paging, &base), bank);  \
    } while (0)
    DIFFERENT(other.asid = 1);
    DIFFERENT(other.cpl = 3);
    DIFFERENT(other.wp = false);
    DIFFERENT(other.ac = true);
    DIFFERENT(other.smep = true);
    DIFFERENT(other.pkru = 4);
    DIFFERENT((other.pcide = true, other.root |= 5));
    DIFFERENT(other.mode = WALK_NONE);
#undef DIFFERENT
    other = base;
    other.cpl = 2;
    other.root += 0x1000;
    other.nxe = false;
    ck_assert_ptr_eq(paging_bank(kit.paging, &other), bank);
    other.pke = false;
    base.pkru = 0;
    ck_assert_ptr_eq(paging_bank(kit.paging, &other), paging_bank(kit.paging, &base));
}
END_TEST

START_TEST(user_bank_has_only_user_pages)
{
    kit_map(&kit, LA, PAGE | P | W);
    ck_assert(fill(LA, READ));
    kit.regime.cpl = 3;
    ck_assert(!reads(LA));
    kit.regime.cpl = 0;
    ck_assert(reads(LA));
    kit.regime.cpl = 3;
    ck_assert(!fill(LA, READ)); /* the fault drops the entry for everybody */
    kit.regime.cpl = 0;
    ck_assert(!reads(LA));
}
END_TEST

START_TEST(entries_go_with_the_tlb_entry)
{
    map_written(LA, PAGE | PWU);
    ck_assert(fill(LA, WRITE));
    kit.regime.cpl = 3;
    ck_assert(fill(LA, WRITE));
    paging_flush_page(kit.paging, 0, 0, LA, true);
    ck_assert(!reads(LA) && !writes(LA));
    kit.regime.cpl = 0;
    ck_assert(!reads(LA) && !writes(LA));

    ck_assert(fill(LA, WRITE));
    paging_flush_asid(kit.paging, 0, false);
    ck_assert(!reads(LA));
    ck_assert(fill(LA, WRITE));
    paging_flush_all(kit.paging);
    ck_assert(!reads(LA));
    /* Replaced by pages of the same set of the TLB. */
    for (uint64_t i = 0; i < 9; i++) {
        kit_map(&kit, LA + (i << 24), PAGE | PWU);
        kit_translate(&kit, LA + (i << 24), READ);
        ck_assert(i == 8 || fill(LA, READ));
    }
    ck_assert(!reads(LA));
}
END_TEST

START_TEST(a_dropped_right_takes_its_entry_along)
{
    kit_map(&kit, LA, PAGE | P | U);
    ck_assert(fill(LA, READ));
    kit_map(&kit, LA, PAGE | P);
    kit_translate(&kit, LA, WRITE); /* faults, so the entry goes */
    ck_assert(!reads(LA));
}
END_TEST

START_TEST(large_pages_have_entries_of_4k)
{
    uint64_t base = LA & ~0x1fffffull;

    kit_set(&kit, kit_entry(&kit, kit.regime.root, 4, 2, LA), 0x600000 | PWU | PS);
    ck_assert(fill(base + 0x3000, READ));
    ck_assert(fill(base + 0x85000, READ));
    ck_assert(reads(base + 0x3000));
    ck_assert(!reads(base + 0x4000));
    paging_flush_page(kit.paging, 0, 0, base, true);
    ck_assert(!reads(base + 0x3000));
    ck_assert(!reads(base + 0x85000));
}
END_TEST

START_TEST(unpaged_addresses_are_physical)
{
    kit.regime.mode = WALK_NONE;
    ck_assert(fill(0x5123, READ));
    ck_assert(!fill(0x5123, WRITE));
    phys_write(kit.memory, 0x5000, 1, 1);
    ck_assert(fill(0x5123, WRITE));
    paging_flush_all(kit.paging);
    ck_assert(writes(0x5000)); /* there is no TLB entry to go */
    memory_set_marks(kit.memory, 5, PAGE_WATCHED, 0);
    ck_assert(!writes(0x5000));
    ck_assert(!fill(0xa0000, READ));
}
END_TEST

START_TEST(fast_tables_can_be_forbidden)
{
    map_written(LA, PAGE | PWU);
    ck_assert(fill(LA, WRITE));
    paging_drop_fast(kit.paging);
    ck_assert(!reads(LA) && !writes(LA));
    ck_assert(fill(LA, WRITE));
    paging_allow_fast(kit.paging, false);
    ck_assert(!reads(LA) && !writes(LA));
    ck_assert(!fill(LA, READ));
    ck_assert(!reads(LA));
    paging_allow_fast(kit.paging, true);
    ck_assert(fill(LA, READ));
}
END_TEST

START_TEST(no_entry_for_a_regime_that_is_not_current)
{
    struct walk_regime other = kit.regime;
    bool filled;

    kit_map(&kit, LA, PAGE | PWU);
    other.cpl = 3;
    paging_bank(kit.paging, &kit.regime);
    assert_ok(paging_fast_fill(kit.paging, &other, LA, READ, &filled), PAGE);
    ck_assert(!filled);
    ck_assert(!reads(LA));
}
END_TEST

START_TEST(banks_are_bounded_and_recycled_empty)
{
    uint64_t generation = paging_itlb_generation(kit.paging);

    kit_map(&kit, LA, PAGE | PWU);
    for (unsigned round = 0; round < 2; round++)
        for (unsigned asid = 0; asid < 1000; asid++) {
            kit.regime.asid = (uint16_t)asid;
            ck_assert(!reads(LA));
            ck_assert(fill(LA, READ));
            ck_assert(reads(LA));
        }
    ck_assert_uint_gt(paging_itlb_generation(kit.paging), generation);
}
END_TEST

START_TEST(context_names_bank_and_generation)
{
    struct fast_entry *bank = paging_bank(kit.paging, &kit.regime), *other;
    struct walk_regime user = kit.regime;
    uint64_t context = paging_context(kit.paging, bank);

    user.cpl = 3;
    other = paging_bank(kit.paging, &user);
    ck_assert_uint_ne(paging_context(kit.paging, other), context);
    ck_assert_uint_eq(paging_context(kit.paging, bank), context);
    kit_map(&kit, LA, PAGE | PWU);
    kit_translate(&kit, LA, EXEC);
    ck_assert_uint_eq(paging_context(kit.paging, bank), context);
    paging_flush_page(kit.paging, 0, 0, LA, true);
    ck_assert_uint_ne(paging_context(kit.paging, bank), context);
    ck_assert_uint_eq(paging_context(kit.paging, bank) >> 48, context >> 48);
}
END_TEST

/* Two machines run the same random operations, one with fast tables and a jump cache, one by
 * paging_translate() alone. */
#define DATA 0x800000ull /* 64 pages; the nested tables may show any of them anywhere */
#define DATA_PAGES 64u
#define JUMPS 512u

struct jump {
    uint64_t context, page, spa;
};

struct twins {
    struct kit fast, slow;
    struct jump jumps[JUMPS];
    struct walk_regime regimes[6]; /* roots and nesting come from the kits */
    uint64_t random;
    unsigned fast_hits, jump_hits;
};

static struct twins *t;

static uint64_t rnd(uint64_t below)
{
    return (test_random(&t->random) >> 11) % below;
}

static bool chance(unsigned percent)
{
    return rnd(100) < percent;
}

/* Linear addresses of four tables' ranges, so that every level is shared by some. */
static uint64_t random_la(void)
{
    static const uint64_t bases[] = { 0, 0x40000000, 0x7f8000000000ull, 0xffff800000200000ull };

    return bases[rnd(4)] + rnd(8) * 4096 + (chance(10) ? rnd(3) << 21 : 0);
}

static uint64_t random_bits(void)
{
    uint64_t bits = P;

    bits |= chance(85) ? W : 0;
    bits |= chance(70) ? U : 0;
    bits |= chance(20) ? G : 0;
    bits |= chance(10) ? NX : 0;
    bits |= chance(20) ? KEY(rnd(4)) : 0;
    bits |= chance(50) ? A : 0;
    bits |= chance(30) ? D : 0;
    if (chance(5))
        bits &= ~P;
    if (chance(2))
        bits |= 1ull << 49;
    return bits;
}

static uint64_t random_target(void)
{
    return chance(3) ? 0xa0000 : DATA + rnd(DATA_PAGES) * 4096;
}

static void both_set(uint64_t spa, uint64_t value)
{
    kit_set(&t->fast, spa, value);
    kit_set(&t->slow, spa, value);
}

/* Change an entry of the guest's tables. Tables keep their places: only leaves, and sometimes a
 * large page, change. */
static void change_guest_entry(void)
{
    uint64_t la = random_la();
    uint64_t at = 0;
    unsigned level = chance(92) ? 1 : 2;

    for (int i = 0; i < 2; i++) {
        struct kit *k = i ? &t->slow : &t->fast;
        uint64_t pde = kit_entry(k, k->regime.root, 4, 2, la);

        if (kit_get(k, pde) & PS)
            kit_set(k, pde, 0); /* a table again, made by kit_entry() */
        at = kit_entry(k, k->regime.root, 4, level, la);
    }
    if (level == 2)
        both_set(at, DATA | PS | (random_bits() & ~0x3000ull));
    else
        both_set(at, random_target() | random_bits());
}

static void change_nested_entry(void)
{
    uint64_t gpa = random_target();
    uint64_t value = random_target() | (random_bits() & ~(G | KEY(15))) | (chance(90) ? PWU : 0);

    both_set(kit_entry(&t->fast, t->fast.nested.root, 4, 1, gpa), value);
}

static void new_regime(struct walk_regime *r)
{
    *r = t->fast.regime;
    r->asid = (uint16_t)rnd(3);
    r->cpl = chance(50) ? 3 : 0;
    r->wp = chance(70);
    r->smap = chance(30);
    r->smep = chance(30);
    r->ac = chance(50);
    r->pke = chance(40);
    r->pkru = chance(50) ? 0 : (uint32_t)rnd(256);
    r->pcide = chance(50);
    r->pge = chance(80);
    r->nxe = chance(90);
    r->root = (r->root & ~0xfffull) | rnd(3);
    r->mode = r->asid && chance(10) ? WALK_NONE : WALK_4LEVEL;
}

static void change_regime(void)
{
    unsigned i = (unsigned)rnd(6);

    if (chance(3) || t->regimes[i].maxphyaddr == 0)
        new_regime(&t->regimes[i]);
    t->fast.regime = t->slow.regime = t->regimes[i];
    t->fast.regime.nested = t->fast.regime.asid ? &t->fast.nested : NULL;
    t->slow.regime.nested = t->slow.regime.asid ? &t->slow.nested : NULL;
}

static void flush_something(void)
{
    uint16_t asid = (uint16_t)rnd(3), pcid = (uint16_t)rnd(3);
    uint64_t la = random_la(), what = rnd(20);
    bool globals = chance(50);

    for (int i = 0; i < 2; i++) {
        struct paging *p = i ? t->slow.paging : t->fast.paging;

        if (what < 2)
            paging_flush_asid(p, asid, globals);
        else if (what < 4)
            paging_flush_pcid(p, asid, pcid);
        else if (what < 5)
            paging_flush_all(p);
        else if (what < 8)
            paging_flush_page_any_pcid(p, asid, la);
        else
            paging_flush_page(p, asid, pcid, la, globals);
    }
}

static void change_marks(void)
{
    uint64_t page = (DATA >> 12) + rnd(DATA_PAGES);
    uint8_t mark = (uint8_t)(1u << rnd(3)), set = chance(50) ? mark : 0;

    memory_set_marks(t->fast.memory, page, set, (uint8_t)(mark & ~set));
    memory_set_marks(t->slow.memory, page, set, (uint8_t)(mark & ~set));
}

/* ck_assert() notes every call in a file; this is for the inner loop. */
#define require(condition)                    \
    do {                                      \
        if (!(condition))                     \
            ck_abort_msg("not: " #condition); \
    } while (0)

static void access_data(uint64_t la, struct access access)
{
    struct walk_result slow = kit_translate(&t->slow, la, access);
    struct fast_entry *e = &paging_bank(t->fast.paging, &t->fast.regime)[(la >> 12) & 255];
    bool write = access.kind == ACCESS_WRITE, filled;
    uint64_t value = rnd(UINT64_MAX);

    if (!access.supervisor && (write ? e->wtag : e->rtag) == ((la + 7) & ~0xfffull)) {
        uint8_t *ptr = (uint8_t *)(uintptr_t)(la + e->addend);

        t->fast_hits++;
        require(slow.status == WALK_OK);
        require(ptr == memory_ptr(t->fast.memory, slow.spa, 8));
        if (write) {
            require(memory_marks(t->fast.memory, slow.spa >> 12) == PAGE_DIRTY);
            memcpy(ptr, &value, 8);
        }
    } else {
        struct walk_result fast =
            paging_fast_fill(t->fast.paging, &t->fast.regime, la, access, &filled);

        require(fast.status == slow.status);
        require(fast.code == slow.code);
        require(fast.info1 == slow.info1);
        require(fast.gpa == slow.gpa);
        require(fast.spa == slow.spa);
        if (fast.status == WALK_OK && write)
            phys_write(t->fast.memory, fast.spa, 8, value);
    }
    if (slow.status == WALK_OK && write)
        phys_write(t->slow.memory, slow.spa, 8, value);
}

/* What a jump cache keyed by context and address answers must be what a fetch would be told. */
static void fetch(uint64_t la)
{
    struct fast_entry *bank = paging_bank(t->fast.paging, &t->fast.regime);
    struct jump *jump = &t->jumps[(la >> 12) * 5 % JUMPS];
    struct walk_result slow = kit_translate(&t->slow, la, EXEC), fast;

    if (jump->context == paging_context(t->fast.paging, bank) && jump->page == la) {
        t->jump_hits++;
        require(slow.status == WALK_OK);
        require(slow.spa == jump->spa);
        return;
    }
    fast = kit_translate(&t->fast, la, EXEC);
    require(fast.status == slow.status);
    require(fast.code == slow.code);
    require(fast.spa == slow.spa);
    if (fast.status == WALK_OK)
        *jump = (struct jump){ paging_context(t->fast.paging, bank), la, fast.spa };
}

static void random_operation(void)
{
    uint64_t what = rnd(1000), la = random_la();
    struct access access = { chance(50) ? ACCESS_WRITE : ACCESS_READ, chance(5) };

    if (what < 750)
        access_data(la + rnd(511) * 8, access);
    else if (what < 950)
        fetch(la);
    else if (what < 975)
        change_regime();
    else if (what < 982)
        change_guest_entry();
    else if (what < 985)
        change_nested_entry();
    else if (what < 991)
        flush_something();
    else if (what < 998)
        change_marks();
    else
        paging_drop_fast(t->fast.paging);
}

static void mix_bytes(void *self, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    uint64_t *hash = self;

    for (size_t i = 0; i < size; i++) {
        *hash = (*hash ^ at[i]) * 0x9e3779b97f4a7c15ull;
        *hash ^= *hash >> 29;
    }
}

static uint64_t hash_of(struct paging *paging)
{
    struct snap snap;
    uint64_t hash = 1;

    snap_hash(&snap, mix_bytes, &hash);
    paging_state(paging, &snap, 0);
    return hash;
}

static void assert_twins_equal(void)
{
    ck_assert_uint_eq(hash_of(t->fast.paging), hash_of(t->slow.paging));
    for (uint64_t page = 0; page < memory_page_count(t->fast.memory); page++)
        if (memory_marks(t->slow.memory, page))
            ck_assert_mem_eq(memory_page_ptr(t->fast.memory, page),
                             memory_page_ptr(t->slow.memory, page), 4096);
    for (uint16_t asid = 0; asid < 3; asid++) {
        const struct tlb_counters *x = paging_counters(t->fast.paging, asid);
        const struct tlb_counters *y = paging_counters(t->slow.paging, asid);

        ck_assert_uint_eq(x->misses, y->misses);
        ck_assert_uint_eq(x->fills, y->fills);
        ck_assert_uint_eq(x->evictions, y->evictions);
        ck_assert_uint_eq(x->flushes, y->flushes);
    }
}

START_TEST(fast_tables_change_nothing)
{
    t = calloc(1, sizeof(*t));
    ck_assert_ptr_nonnull(t);
    t->random = 0x123456789abcdefull + (uint64_t)_i * 77777;
    for (int i = 0; i < 2; i++) {
        struct kit *k = i ? &t->slow : &t->fast;

        kit_init(k);
        kit_nest(k, 0x200);
        for (unsigned page = 0; page < DATA_PAGES; page++)
            kit_map_nested(k, DATA + page * 4096, (DATA + page * 4096) | PWU);
        k->next_table = 0x118000;
    }
    for (unsigned i = 0; i < 200; i++)
        change_guest_entry();
    for (unsigned i = 0; i < 200000; i++)
        random_operation();
    assert_twins_equal();
    ck_assert_uint_gt(t->fast_hits, 5000); /* the test tests something */
    ck_assert_uint_gt(t->jump_hits, 1000);
    kit_fini(&t->fast);
    kit_fini(&t->slow);
    free(t);
    t = NULL;
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fast");
    TCase *tc = tcase_create("fast"), *property = tcase_create("property");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_new_bank_answers_nothing);
    tcase_add_test(tc, addend_leads_to_the_native_page);
    tcase_add_test(tc, writing_needs_a_page_in_the_dirty_map);
    tcase_add_test(tc, writing_needs_the_dirty_bit);
    tcase_add_test(tc, writing_needs_the_nested_dirty_bit);
    tcase_add_test(tc, nested_read_only_pages_are_not_written);
    tcase_add_test(tc, code_and_watched_pages_are_not_written);
    tcase_add_test(tc, marks_reach_every_alias_in_every_bank);
    tcase_add_test(tc, rom_is_read_only);
    tcase_add_test(tc, mmio_has_no_entry);
    tcase_add_test(tc, fetches_make_no_entry);
    tcase_add_test(tc, implicit_accesses_stay_out_of_banks_with_other_rights);
    tcase_add_test(tc, banks_follow_what_decides);
    tcase_add_test(tc, user_bank_has_only_user_pages);
    tcase_add_test(tc, entries_go_with_the_tlb_entry);
    tcase_add_test(tc, a_dropped_right_takes_its_entry_along);
    tcase_add_test(tc, large_pages_have_entries_of_4k);
    tcase_add_test(tc, unpaged_addresses_are_physical);
    tcase_add_test(tc, fast_tables_can_be_forbidden);
    tcase_add_test(tc, no_entry_for_a_regime_that_is_not_current);
    tcase_add_test(tc, banks_are_bounded_and_recycled_empty);
    tcase_add_test(tc, context_names_bank_and_generation);
    suite_add_tcase(suite, tc);
    tcase_set_timeout(property, 120);
    tcase_add_loop_test(property, fast_tables_change_nothing, 0, 12);
    suite_add_tcase(suite, property);
    return kit_run(suite);
}

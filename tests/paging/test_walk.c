/* Walks without nesting: formats, reserved bits, rights, error codes, A and D bits. */
#include "tests/paging/kit.h"

#define LA 0x00007f8040201000ull /* other indices at each level */
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

START_TEST(identity_without_paging)
{
    struct walk_result res;

    kit.regime.mode = WALK_NONE;
    res = kit_walk(&kit, 0x12345, WRITE);
    assert_ok(res, 0x12345);
    ck_assert_uint_eq(res.gpa, 0x12345);
    assert_ok(kit_translate(&kit, 0x12345, EXEC), 0x12345);
    ck_assert_ptr_null(paging_counters(kit.paging, 0));
}
END_TEST

START_TEST(four_levels_to_a_4k_page)
{
    struct walk_result res;

    kit_map(&kit, LA, PAGE | PWU | G);
    res = kit_walk(&kit, LA + 0x123, READ);
    assert_ok(res, PAGE + 0x123);
    ck_assert_uint_eq(res.gpa, PAGE + 0x123);
    ck_assert_uint_eq(res.page_bytes, 4096);
    ck_assert(res.global && res.writable && res.user && !res.nx && !res.dirty);
    assert_fault(kit_walk(&kit, LA + 0x1000, READ), 0);
}
END_TEST

START_TEST(global_needs_pge)
{
    kit_map(&kit, LA, PAGE | PWU | G);
    kit.regime.pge = false;
    ck_assert(!kit_walk(&kit, LA, READ).global);
}
END_TEST

START_TEST(large_pages_in_long_mode)
{
    uint64_t pde = kit_entry(&kit, kit.regime.root, 4, 2, LA);
    uint64_t pdpe = kit_entry(&kit, kit.regime.root, 4, 3, 0x8000000000ull);
    struct walk_result res;

    kit_set(&kit, pde, 0x600000 | PWU | PS | 0x1000); /* bit 12 is PAT */
    kit_set(&kit, pdpe, 0x40000000 | PWU | PS | 0x1000);
    res = kit_walk(&kit, (LA & ~0x1fffffull) + 0x1fffff, READ);
    assert_ok(res, 0x7fffff);
    ck_assert_uint_eq(res.page_bytes, 2 << 20);
    res = kit_walk(&kit, 0x8000000000ull + 0x3fffffff, READ);
    assert_ok(res, 0x7fffffff);
    ck_assert_uint_eq(res.page_bytes, 1 << 30);
}
END_TEST

START_TEST(five_levels)
{
    uint64_t la = 0x00ff7f8040201000ull, pml5e;

    kit.regime.mode = WALK_5LEVEL;
    kit_map(&kit, la, PAGE | PWU);
    assert_ok(kit_walk(&kit, la, READ), PAGE);
    pml5e = kit_entry(&kit, kit.regime.root, 5, 5, la);
    kit_set(&kit, pml5e, kit_get(&kit, pml5e) | PS);
    assert_fault(kit_walk(&kit, la, READ), PF_P | PF_RSV);
    kit_set(&kit, pml5e, 0);
    assert_fault(kit_walk(&kit, la, READ), 0);
}
END_TEST

START_TEST(root_low_bits_do_not_count)
{
    kit_map(&kit, LA, PAGE | PWU);
    kit.regime.root |= 0x8000000000000fffull; /* PCID, PWT, PCD, no-flush bit */
    assert_ok(kit_walk(&kit, LA, READ), PAGE);
}
END_TEST

/* Entries that are not present never fault for reserved bits. */
/* rows: pitfalls 4.2 */
START_TEST(not_present_wins_over_reserved)
{
    for (unsigned level = 1; level <= 4; level++) {
        uint64_t at;

        kit_map(&kit, LA, PAGE | PWU);
        at = kit_entry(&kit, kit.regime.root, 4, level, LA);
        kit_set(&kit, at, (kit_get(&kit, at) & ~P) | 1ull << 50);
        assert_fault(kit_walk(&kit, LA, READ), 0);
        kit_set(&kit, at, (kit_get(&kit, at) | P) & ~(1ull << 50));
    }
}
END_TEST

static const struct {
    unsigned level;
    uint64_t bit; /* set together with `with` */
    uint64_t with;
    bool reserved;
} reserved_rows[] = {
    { 4, PS, 0, true },          { 4, G, 0, true },
    { 4, D, 0, false },          { 4, 1ull << 9, 0, false },
    { 3, G, 0, false },          { 3, 1ull << 13, PS, true },
    { 3, 1ull << 29, PS, true }, { 3, 1ull << 12, PS, false },
    { 2, G, 0, false },          { 2, 1ull << 13, PS, true },
    { 2, 1ull << 20, PS, true }, { 2, 1ull << 12, PS, false },
    { 1, PS, 0, false },         { 1, 1ull << 48, 0, true },
    { 2, 1ull << 48, 0, true },  { 3, 1ull << 48, 0, true },
    { 4, 1ull << 48, 0, true },  { 1, 1ull << 51, 0, true },
    { 1, 1ull << 47, 0, false }, { 1, 1ull << 52, 0, false },
    { 4, 1ull << 62, 0, false },
};

/* rows: pitfalls 4.3 */
START_TEST(reserved_bits_of_long_mode)
{
    uint64_t at, entry;

    kit_map(&kit, LA, PAGE | PWU);
    at = kit_entry(&kit, kit.regime.root, 4, reserved_rows[_i].level, LA);
    entry = kit_get(&kit, at);
    if (reserved_rows[_i].with & PS) /* a large page at 0 */
        entry = PWU | PS;
    kit_set(&kit, at, entry | reserved_rows[_i].bit);
    if (reserved_rows[_i].reserved)
        assert_fault(kit_walk(&kit, LA, WRITE), PF_P | PF_RSV | PF_RW);
    else
        ck_assert_int_eq(kit_walk(&kit, LA, WRITE).status, WALK_OK);
}
END_TEST

/* rows: pitfalls 4.3 */
START_TEST(reserved_address_bits_follow_maxphyaddr)
{
    kit_map(&kit, LA, PAGE | PWU | 1ull << 40);
    kit.regime.maxphyaddr = 41;
    assert_ok(kit_walk(&kit, LA, READ), PAGE | 1ull << 40);
    kit.regime.maxphyaddr = 40;
    assert_fault(kit_walk(&kit, LA, READ), PF_P | PF_RSV);
    kit.regime.maxphyaddr = 52;
    kit_map(&kit, LA, PAGE | PWU | 1ull << 51);
    assert_ok(kit_walk(&kit, LA, READ), PAGE | 1ull << 51);
}
END_TEST

/* rows: pitfalls 4.3 */
START_TEST(nx_is_reserved_without_nxe)
{
    for (unsigned level = 1; level <= 4; level++) {
        uint64_t at;

        kit_map(&kit, LA, PAGE | PWU);
        at = kit_entry(&kit, kit.regime.root, 4, level, LA);
        kit_set(&kit, at, kit_get(&kit, at) | NX);
        kit.regime.nxe = true;
        assert_ok(kit_walk(&kit, LA, READ), PAGE);
        assert_fault(kit_walk(&kit, LA, EXEC), PF_P | PF_ID);
        kit.regime.nxe = false;
        assert_fault(kit_walk(&kit, LA, READ), PF_P | PF_RSV);
        assert_fault(kit_walk(&kit, LA, EXEC), PF_P | PF_RSV); /* no ID without NXE and SMEP */
        kit_set(&kit, at, kit_get(&kit, at) & ~NX);
    }
}
END_TEST

/* rows: pitfalls 4.3 */
START_TEST(one_gib_pages_need_the_feature)
{
    kit_set(&kit, kit_entry(&kit, kit.regime.root, 4, 3, LA), PWU | PS);
    ck_assert_int_eq(kit_walk(&kit, LA, READ).status, WALK_OK);
    kit.regime.page_1gb = false;
    assert_fault(kit_walk(&kit, LA, READ), PF_P | PF_RSV);
}
END_TEST

/* Rights are the AND of W and U and the OR of NX over the levels. */
/* rows: pitfalls 4.5 */
START_TEST(rights_combine_over_levels)
{
    for (unsigned level = 1; level <= 4; level++) {
        uint64_t at, entry;

        kit_map(&kit, LA, PAGE | PWU);
        at = kit_entry(&kit, kit.regime.root, 4, level, LA);
        entry = kit_get(&kit, at);
        kit.regime.cpl = 3;
        kit_set(&kit, at, entry & ~W);
        assert_fault(kit_walk(&kit, LA, WRITE), PF_P | PF_RW | PF_US);
        assert_ok(kit_walk(&kit, LA, READ), PAGE);
        kit_set(&kit, at, entry & ~U);
        assert_fault(kit_walk(&kit, LA, READ), PF_P | PF_US);
        assert_fault(kit_walk(&kit, LA, WRITE), PF_P | PF_RW | PF_US);
        assert_fault(kit_walk(&kit, LA, EXEC), PF_P | PF_US | PF_ID);
        kit.regime.cpl = 0;
        assert_ok(kit_walk(&kit, LA, WRITE), PAGE);
        kit_set(&kit, at, entry);
    }
}
END_TEST

/* One row a rule of APM vol 2, 5.6. code 0: allowed. */
static const struct {
    const char *rule;
    uint64_t leaf;
    uint8_t cpl;
    bool wp, smep, smap, ac;
    enum access_kind kind;
    bool supervisor;
    uint32_t code;
} right_rows[] = {
    { "supervisor write to read-only, WP", P | U, 0, true, 0, 0, 0, ACCESS_WRITE, 0, PF_P | PF_RW },
    { "supervisor write to read-only, no WP", P | U, 0, false, 0, 0, 0, ACCESS_WRITE, 0, 0 },
    { "CPL 2 is supervisor", P, 2, false, 0, 0, 0, ACCESS_WRITE, 0, 0 },
    { "user write to read-only, no WP", P | U, 3, false, 0, 0, 0, ACCESS_WRITE, 0,
      PF_P | PF_RW | PF_US },
    { "user read of supervisor page", P | W, 3, true, 0, 0, 0, ACCESS_READ, 0, PF_P | PF_US },
    { "implicit supervisor read at CPL 3", P | W, 3, true, 0, 0, 0, ACCESS_READ, 1, 0 },
    { "implicit supervisor write to read-only at CPL 3", P, 3, true, 0, 0, 0, ACCESS_WRITE, 1,
      PF_P | PF_RW },
    { "SMEP: supervisor fetch from user page", PWU, 0, true, 1, 0, 0, ACCESS_EXEC, 0,
      PF_P | PF_ID },
    { "SMEP: user fetch from user page", PWU, 3, true, 1, 0, 0, ACCESS_EXEC, 0, 0 },
    { "SMEP: supervisor fetch from supervisor page", P, 0, true, 1, 0, 0, ACCESS_EXEC, 0, 0 },
    { "SMEP does not stop data", PWU, 0, true, 1, 0, 0, ACCESS_WRITE, 0, 0 },
    { "SMAP: supervisor read of user page", PWU, 0, true, 0, 1, 0, ACCESS_READ, 0, PF_P },
    { "SMAP: supervisor write to user page", PWU, 1, true, 0, 1, 0, ACCESS_WRITE, 0, PF_P | PF_RW },
    { "SMAP lifted by AC", PWU, 0, true, 0, 1, 1, ACCESS_WRITE, 0, 0 },
    { "SMAP: AC does not lift implicit accesses", PWU, 0, true, 0, 1, 1, ACCESS_READ, 1, PF_P },
    { "SMAP: implicit access at CPL 3", PWU, 3, true, 0, 1, 1, ACCESS_READ, 1, PF_P },
    { "SMAP does not stop user accesses", PWU, 3, true, 0, 1, 0, ACCESS_WRITE, 0, 0 },
    { "SMAP does not stop fetches", PWU, 0, true, 0, 1, 0, ACCESS_EXEC, 0, 0 },
    { "SMAP: supervisor page", P | W, 0, true, 0, 1, 0, ACCESS_WRITE, 0, 0 },
    { "NX at CPL 0", P | W | NX, 0, true, 0, 0, 0, ACCESS_EXEC, 0, PF_P | PF_ID },
    { "NX at CPL 3", PWU | NX, 3, true, 0, 0, 0, ACCESS_EXEC, 0, PF_P | PF_ID | PF_US },
};

/* The same rights from a walk and, once the page is cached by an access that is allowed, from the TLB. */
/* rows: pitfalls 4.1, 4.6, 4.9 */
START_TEST(page_protection)
{
    struct access access = { right_rows[_i].kind, right_rows[_i].supervisor };
    struct walk_regime *r = &kit.regime;

    kit_map(&kit, LA, PAGE | right_rows[_i].leaf | D);
    kit_translate(&kit, LA, READ); /* cached for data unless it faults */
    r->cpl = right_rows[_i].cpl;
    r->wp = right_rows[_i].wp;
    r->smep = right_rows[_i].smep;
    r->smap = right_rows[_i].smap;
    r->ac = right_rows[_i].ac;
    for (int cached = 0; cached < 2; cached++) {
        struct walk_result res =
            cached ? kit_translate(&kit, LA, access) : kit_walk(&kit, LA, access);

        ck_assert_msg(res.status == (right_rows[_i].code ? WALK_FAULT : WALK_OK) &&
                          res.code == right_rows[_i].code,
                      "%s: status %d, code %x", right_rows[_i].rule, (int)res.status,
                      (unsigned)res.code);
    }
}
END_TEST

/* rows: pitfalls 4.1 */
START_TEST(id_bit_needs_nxe_or_smep)
{
    assert_fault(kit_walk(&kit, LA, EXEC), PF_ID);
    kit.regime.nxe = false;
    assert_fault(kit_walk(&kit, LA, EXEC), 0);
    kit.regime.smep = true;
    assert_fault(kit_walk(&kit, LA, EXEC), PF_ID);
}
END_TEST

/* pkru_key: WD << 1 | AD of key 5. */
static const struct {
    unsigned pkru_key;
    uint8_t cpl;
    bool wp;
    uint64_t leaf;
    enum access_kind kind;
    uint32_t code;
} key_rows[] = {
    { 0, 3, true, PWU, ACCESS_WRITE, 0 },
    { 1, 3, true, PWU, ACCESS_READ, PF_P | PF_US | PF_PK },
    { 1, 0, true, PWU, ACCESS_READ, PF_P | PF_PK },
    { 1, 3, true, PWU, ACCESS_EXEC, 0 },
    { 1, 0, true, P | W, ACCESS_READ, 0 },
    { 2, 3, true, PWU, ACCESS_READ, 0 },
    { 2, 3, true, PWU, ACCESS_WRITE, PF_P | PF_US | PF_RW | PF_PK },
    { 2, 0, true, PWU, ACCESS_WRITE, PF_P | PF_RW | PF_PK },
    { 2, 0, false, PWU, ACCESS_WRITE, 0 },
    { 2, 3, false, PWU, ACCESS_WRITE, PF_P | PF_US | PF_RW | PF_PK },
    { 3, 0, false, PWU, ACCESS_WRITE, PF_P | PF_RW | PF_PK },
    { 1, 3, true, P | U, ACCESS_WRITE, PF_P | PF_US | PF_RW | PF_PK },
};

/* rows: pitfalls 4.1, 4.10 */
START_TEST(protection_keys)
{
    struct access access = { key_rows[_i].kind, false };
    struct walk_result res;

    kit.regime.pke = true;
    kit.regime.cpl = key_rows[_i].cpl;
    kit.regime.wp = key_rows[_i].wp;
    kit_map(&kit, LA, PAGE | key_rows[_i].leaf | KEY(5) | D);
    kit.regime.pkru = 3u << 8; /* key 4 closed: not ours */
    if (key_rows[_i].leaf == PWU)
        assert_ok(kit_translate(&kit, LA, access), PAGE);
    kit.regime.pkru |= key_rows[_i].pkru_key << 10;
    for (int cached = 0; cached < 2; cached++) {
        res = cached ? kit_translate(&kit, LA, access) : kit_walk(&kit, LA, access);
        ck_assert_int_eq(res.status, key_rows[_i].code ? WALK_FAULT : WALK_OK);
        ck_assert_uint_eq(res.code, key_rows[_i].code);
    }
    kit.regime.pke = false;
    if (key_rows[_i].leaf == PWU)
        assert_ok(kit_walk(&kit, LA, access), PAGE);
}
END_TEST

/* rows: pitfalls 4.7, 4.8 */
START_TEST(accessed_at_every_level_dirty_at_the_leaf)
{
    uint64_t at[5];

    kit_map(&kit, LA, PAGE | PWU);
    for (unsigned level = 1; level <= 4; level++)
        at[level] = kit_entry(&kit, kit.regime.root, 4, level, LA);
    walk(kit.memory, &kit.regime, LA, WRITE, false);
    for (unsigned level = 1; level <= 4; level++)
        ck_assert_uint_eq(kit_get(&kit, at[level]) & (A | D), 0);
    kit_walk(&kit, LA, READ);
    for (unsigned level = 1; level <= 4; level++)
        ck_assert_uint_eq(kit_get(&kit, at[level]) & (A | D), A);
    ck_assert(kit_walk(&kit, LA, WRITE).dirty);
    ck_assert_uint_eq(kit_get(&kit, at[1]) & (A | D), A | D);
    for (unsigned level = 2; level <= 4; level++)
        ck_assert_uint_eq(kit_get(&kit, at[level]) & (A | D), A);
}
END_TEST

/* rows: pitfalls 4.7 */
START_TEST(accessed_stops_at_the_fault)
{
    uint64_t at[5];

    kit_map(&kit, LA, PAGE | P | U);
    for (unsigned level = 1; level <= 4; level++)
        at[level] = kit_entry(&kit, kit.regime.root, 4, level, LA);
    kit_set(&kit, at[2], kit_get(&kit, at[2]) & ~P);
    assert_fault(kit_walk(&kit, LA, WRITE), PF_RW);
    ck_assert_uint_eq(kit_get(&kit, at[4]) & A, A);
    ck_assert_uint_eq(kit_get(&kit, at[3]) & A, A);
    ck_assert_uint_eq(kit_get(&kit, at[2]) & A, 0);
    kit_set(&kit, at[2], kit_get(&kit, at[2]) | P);
    assert_fault(kit_walk(&kit, LA, WRITE), PF_P | PF_RW); /* read-only: the leaf keeps its bits */
    ck_assert_uint_eq(kit_get(&kit, at[2]) & A, A);
    ck_assert_uint_eq(kit_get(&kit, at[1]) & (A | D), 0);
}
END_TEST

/* rows: pitfalls 4.6 */
START_TEST(dirty_in_read_only_page_without_wp)
{
    uint64_t at = kit_map(&kit, LA, PAGE | P);

    kit.regime.wp = false;
    assert_ok(kit_walk(&kit, LA, WRITE), PAGE);
    ck_assert_uint_eq(kit_get(&kit, at) & D, D);
}
END_TEST

static void count_written(void *self, uint64_t page, unsigned offset, unsigned len)
{
    (void)page, (void)offset;
    *(unsigned *)self += len;
}

/* rows: pitfalls 4.8 */
START_TEST(accessed_bits_are_writes_to_memory)
{
    unsigned bytes = 0;
    uint64_t at = kit_map(&kit, LA, PAGE | PWU);

    kit_walk(&kit, LA + 0x1000, READ); /* the upper levels have A now */
    memory_set_written(kit.memory, count_written, &bytes);
    memory_set_marks(kit.memory, at >> 12, PAGE_HAS_CODE, 0);
    kit_walk(&kit, LA, READ);
    ck_assert_uint_eq(bytes, 8);
    kit_walk(&kit, LA, READ);
    ck_assert_uint_eq(bytes, 8);
}
END_TEST

START_TEST(tables_outside_ram_read_as_ones)
{
    kit.regime.root = 0xa0000;
    assert_fault(kit_walk(&kit, LA, READ), PF_P | PF_RSV);
    kit.regime.root = 1ull << 46;
    assert_fault(kit_walk(&kit, LA, WRITE), PF_P | PF_RSV | PF_RW);
}
END_TEST

static uint64_t device_read(void *self, uint64_t spa, unsigned size)
{
    (void)spa;
    (void)size;
    ++*(unsigned *)self;
    return 0;
}

/* Only the processor reads tables from devices, where reading may change something. */
START_TEST(walks_without_effects_read_no_device)
{
    static const struct mmio_ops ops = { .read = device_read };
    static const enum walk_mode modes[] = { WALK_4LEVEL, WALK_PAE, WALK_32 };
    unsigned reads = 0;
    struct walk_log log;
    memory_set_mmio(kit.memory, &ops, &reads);
    kit.regime.root = 0xa0000;
    for (unsigned i = 0; i < 3; i++) {
        kit.regime.mode = modes[i];
        reads = 0;
        (void)walk(kit.memory, &kit.regime, LA, READ, false);
        (void)walk_explain(kit.memory, &kit.regime, LA, READ, &log);
        ck_assert_uint_eq(reads, 0);
        ck_assert_uint_eq(log.step[0].entry, modes[i] == WALK_32 ? UINT32_MAX : UINT64_MAX);
        assert_fault(kit_translate(&kit, LA, READ), 0);
        ck_assert_uint_eq(reads, 1);
    }
}
END_TEST

/* Two levels of 4-byte entries. */
static void set32(uint64_t spa, uint32_t entry)
{
    phys_write(kit.memory, spa, 4, entry);
}

/* rows: pitfalls 4.1 */
START_TEST(legacy_two_levels)
{
    kit.regime.mode = WALK_32;
    kit.regime.root = 0x200000 | 0xfff;
    set32(0x200000 + 0x3ff * 4, 0x201000 | PWU);
    set32(0x201000 + 0x3fe * 4, PAGE | PWU | PS); /* bit 7 of a PTE is PAT */
    assert_ok(kit_walk(&kit, 0xffffe123, WRITE), PAGE + 0x123);
    ck_assert_uint_eq(phys_read(kit.memory, 0x200000 + 0x3ff * 4, 4), 0x201000 | PWU | A);
    ck_assert_uint_eq(phys_read(kit.memory, 0x201000 + 0x3fe * 4, 8), PAGE | PWU | PS | A | D);
    assert_fault(kit_walk(&kit, 0xfffff000, EXEC), 0); /* no NX here: no ID */
    kit.regime.smep = true;
    assert_fault(kit_walk(&kit, 0xfffff000, EXEC), PF_ID);
    assert_fault(kit_walk(&kit, 0xffffe000, EXEC), PF_P | PF_ID);
}
END_TEST

/* rows: pitfalls 4.3, 4.18 */
START_TEST(legacy_large_pages_need_pse)
{
    struct walk_result res;

    kit.regime.mode = WALK_32;
    kit.regime.root = 0x200000;
    kit.regime.pse = true;
    set32(0x200000 + 4, 0x00800000 | 0x12u << 13 | PWU | PS);
    res = kit_walk(&kit, 0x7fffff, READ);
    assert_ok(res, 0x12 * (1ull << 32) + 0xbfffff);
    ck_assert_uint_eq(res.page_bytes, 4 << 20);
    set32(0x200000 + 4, 0x00800000 | 1u << 21 | PWU | PS);
    assert_fault(kit_walk(&kit, 0x7fffff, READ), PF_P | PF_RSV);
    set32(0x200000 + 4, 0x00800000 | 1u << 20 | PWU | PS);
    assert_ok(kit_walk(&kit, 0x400000, READ), (1ull << 39) + 0x800000);
    kit.regime.maxphyaddr = 39;
    assert_fault(kit_walk(&kit, 0x400000, READ), PF_P | PF_RSV);
    kit.regime.pse = false; /* PS is ignored: a table at 0x800000 */
    set32(0x200000 + 4, 0x00800000 | PWU | PS);
    set32(0x800000, PAGE | PWU);
    assert_ok(kit_walk(&kit, 0x400000, READ), PAGE);
}
END_TEST

/* rows: pitfalls 4.4 */
START_TEST(pae_reads_pdptes_on_demand)
{
    kit.regime.mode = WALK_PAE;
    kit.regime.root = 0x200020;
    kit_set(&kit, 0x200020 + 3 * 8, 0x210000 | P);
    kit_set(&kit, 0x210000 + 511 * 8, 0x211000 | PWU);
    kit_set(&kit, 0x211000 + 510 * 8, PAGE | PWU);
    assert_ok(kit_walk(&kit, 0xffffe008, WRITE), PAGE + 8);
    ck_assert_uint_eq(kit_get(&kit, 0x211000 + 510 * 8), PAGE | PWU | A | D);
    assert_fault(kit_walk(&kit, 0x1000, EXEC), PF_ID);
    kit_set(&kit, 0x210000 + 511 * 8, 0x400000 | PWU | PS);
    assert_ok(kit_walk(&kit, 0xffffe008, READ), 0x5fe008);
    kit_set(&kit, 0x200020 + 3 * 8, 0x210000 | P | 1u << 5); /* reserved */
    assert_fault(kit_walk(&kit, 0xffffe008, READ), PF_P | PF_RSV);
    kit_set(&kit, 0x200020 + 3 * 8, 1u << 5);
    assert_fault(kit_walk(&kit, 0xffffe008, READ), 0);
}
END_TEST

/* rows: pitfalls 4.3 */
START_TEST(pae_reserved_bits)
{
    static const uint64_t bits[] = { 1ull << 52, 1ull << 62, 1ull << 48 };

    kit.regime.mode = WALK_PAE;
    kit.regime.root = 0x200000;
    kit_set(&kit, 0x200000, 0x210000 | P);
    for (unsigned i = 0; i < 3; i++) {
        kit_set(&kit, 0x210000, 0x211000 | PWU);
        kit_set(&kit, 0x211000, PAGE | PWU | bits[i]);
        assert_fault(kit_walk(&kit, 0, READ), PF_P | PF_RSV);
        kit_set(&kit, 0x211000, PAGE | PWU);
        assert_ok(kit_walk(&kit, 0, READ), PAGE);
        kit_set(&kit, 0x210000, 0x211000 | PWU | bits[i]);
        assert_fault(kit_walk(&kit, 0, READ), PF_P | PF_RSV);
    }
    kit_set(&kit, 0x210000, 0x211000 | PWU);
    kit_set(&kit, 0x211000, PAGE | PWU | NX);
    assert_fault(kit_walk(&kit, 0, EXEC), PF_P | PF_ID);
    kit.regime.nxe = false;
    assert_fault(kit_walk(&kit, 0, READ), PF_P | PF_RSV);
}
END_TEST

/* rows: pitfalls 4.10 */
START_TEST(keys_do_not_exist_outside_long_mode)
{
    kit.regime.mode = WALK_32;
    kit.regime.root = 0x200000;
    kit.regime.pke = true;
    kit.regime.pkru = UINT32_MAX;
    set32(0x200000, 0x201000 | PWU);
    set32(0x201000, PAGE | PWU);
    assert_ok(kit_walk(&kit, 0, READ), PAGE);
}
END_TEST

/* Tables full of noise, in every mode, alone and nested: nothing crashes and an answer keeps the
 * page offset. */
START_TEST(hostile_tables)
{
    static const enum walk_mode modes[] = { WALK_32, WALK_PAE, WALK_4LEVEL, WALK_5LEVEL };
    uint64_t x = 0x9e3779b97f4a7c15ull;
    unsigned answers = 0;
    struct walk_regime nested;

    for (uint64_t at = 0; at < 0x80000; at += 8) {
        x = x * 6364136223846793005ull + 1442695040888963407ull;
        kit_set(&kit, at, ((x >> 20) & 0x7f000) | (x >> 60 ? PWU : 0) | ((x >> 8) % 16 ? 0 : x));
    }
    for (unsigned i = 0; i < 40000; i++) {
        struct walk_result res;
        uint64_t la;

        x = x * 6364136223846793005ull + 1442695040888963407ull;
        la = (uint64_t)((int64_t)x >> 12);
        kit.regime.mode = modes[x >> 40 & 3];
        kit.regime.root = x >> 13 & 0x7ffff;
        kit.regime.maxphyaddr = (uint8_t)(x >> 30 & 63);
        kit.regime.pse = x >> 50 & 1;
        nested = kit.regime;
        nested.mode = modes[x >> 42 & 3];
        kit.regime.nested = x >> 45 & 1 ? &nested : NULL;
        kit.regime.asid = kit.regime.nested != NULL;
        res = kit_translate(&kit, la,
                            (struct access){ (enum access_kind)((x >> 33) % 3), x >> 3 & 1 });
        if (res.status == WALK_OK)
            ck_assert_uint_eq((res.spa ^ la) & 0xfff, 0);
        answers += res.status == WALK_OK;
    }
    ck_assert_uint_gt(answers, 100);
    ck_assert_uint_lt(answers, 39900);
}
END_TEST

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

int main(void)
{
    Suite *suite = suite_create("walk");
    TCase *tc = tcase_create("walk");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, identity_without_paging);
    tcase_add_test(tc, four_levels_to_a_4k_page);
    tcase_add_test(tc, global_needs_pge);
    tcase_add_test(tc, large_pages_in_long_mode);
    tcase_add_test(tc, five_levels);
    tcase_add_test(tc, root_low_bits_do_not_count);
    tcase_add_test(tc, not_present_wins_over_reserved);
    tcase_add_loop_test(tc, reserved_bits_of_long_mode, 0, ROWS(reserved_rows));
    tcase_add_test(tc, reserved_address_bits_follow_maxphyaddr);
    tcase_add_test(tc, nx_is_reserved_without_nxe);
    tcase_add_test(tc, one_gib_pages_need_the_feature);
    tcase_add_test(tc, rights_combine_over_levels);
    tcase_add_loop_test(tc, page_protection, 0, ROWS(right_rows));
    tcase_add_test(tc, id_bit_needs_nxe_or_smep);
    tcase_add_loop_test(tc, protection_keys, 0, ROWS(key_rows));
    tcase_add_test(tc, accessed_at_every_level_dirty_at_the_leaf);
    tcase_add_test(tc, accessed_stops_at_the_fault);
    tcase_add_test(tc, dirty_in_read_only_page_without_wp);
    tcase_add_test(tc, accessed_bits_are_writes_to_memory);
    tcase_add_test(tc, tables_outside_ram_read_as_ones);
    tcase_add_test(tc, walks_without_effects_read_no_device);
    tcase_add_test(tc, legacy_two_levels);
    tcase_add_test(tc, legacy_large_pages_need_pse);
    tcase_add_test(tc, pae_reads_pdptes_on_demand);
    tcase_add_test(tc, pae_reserved_bits);
    tcase_add_test(tc, keys_do_not_exist_outside_long_mode);
    tcase_add_test(tc, hostile_tables);
    suite_add_tcase(suite, tc);
    return kit_run(suite);
}

/* What SMM and the host bridge change in the routing of physical addresses. APM vol 2, 10.2.5 "SMRAM Protected Areas". */
#include "tests/paging/kit.h"

#define ASEG 0xa0000u
#define TSEG 0x3e0000u
#define TSEG_MASK 0x0000fffffffe0000ull /* 128 KiB */

static struct kit kit;
static uint64_t heard_spa;

static uint64_t bus_read(void *self, uint64_t spa, unsigned size)
{
    (void)self;
    (void)size;
    heard_spa = spa;
    return 0x5555555555555555;
}

static void bus_write(void *self, uint64_t spa, unsigned size, uint64_t value)
{
    (void)self;
    (void)size;
    (void)value;
    heard_spa = spa;
}

static void setup(void)
{
    static const struct mmio_ops ops = { bus_read, bus_write };
    kit_init(&kit);
    memory_set_mmio(kit.memory, &ops, NULL);
    heard_spa = 0;
}

static void teardown(void)
{
    kit_fini(&kit);
}

static struct memory_view areas(bool smm, bool aseg, bool tseg)
{
    return (struct memory_view){
        .smm = smm, .aseg = aseg, .tseg = tseg, .tseg_addr = TSEG, .tseg_mask = TSEG_MASK
    };
}

static void see(bool smm, bool aseg, bool tseg)
{
    const struct memory_view view = areas(smm, aseg, tseg);
    memory_set_view(kit.memory, &view);
}

static uint8_t get(uint64_t spa)
{
    return (uint8_t)phys_read(kit.memory, spa, 1);
}

START_TEST(aseg_is_ram_in_smm_only)
{
    static const uint64_t inside[] = { 0xa0000, 0xa0fff, 0xbf000, 0xbffff };
    for (unsigned i = 0; i < 4; i++) {
        see(true, true, false);
        phys_write(kit.memory, inside[i], 1, 0x77);
        ck_assert_uint_eq(heard_spa, 0);
        ck_assert_uint_eq(get(inside[i]), 0x77);
        see(false, true, false);
        ck_assert_uint_eq(get(inside[i]), 0x55); /* the video memory's bus */
        ck_assert_uint_eq(heard_spa, inside[i]);
        heard_spa = 0;
        phys_write(kit.memory, inside[i], 1, 0x11);
        ck_assert_uint_eq(heard_spa, inside[i]);
        heard_spa = 0;
        see(true, true, false);
        ck_assert_uint_eq(get(inside[i]), 0x77);
    }
    ck_assert_uint_eq(get(0xc0000), 0x55); /* behind it */
    phys_write(kit.memory, 0x9ffff, 1, 0x22);
    see(false, true, false);
    ck_assert_uint_eq(get(0x9ffff), 0x22); /* before it */
}
END_TEST

START_TEST(aseg_that_is_not_enabled_stays_the_bus)
{
    see(true, false, false);
    ck_assert_uint_eq(get(ASEG), 0x55);
    ck_assert_ptr_null(memory_ptr(kit.memory, ASEG, 1));
}
END_TEST

START_TEST(tseg_disappears_outside_smm)
{
    static const struct {
        uint64_t spa;
        bool inside;
    } row[] = { { TSEG - 1, false },
                { TSEG, true },
                { TSEG + 0x1ffff, true },
                { TSEG + 0x20000, false },
                { 0x1000, false } };
    for (unsigned i = 0; i < 5; i++) {
        see(true, false, true);
        phys_write(kit.memory, row[i].spa, 1, 0x33);
        ck_assert_uint_eq(get(row[i].spa), 0x33);
        see(false, false, true);
        ck_assert_uint_eq(get(row[i].spa), row[i].inside ? 0x55 : 0x33);
        ck_assert(!memory_ptr(kit.memory, row[i].spa, 1) == row[i].inside);
        phys_write(kit.memory, row[i].spa, 1, 0x44);
        see(false, false, false);
        ck_assert_uint_eq(get(row[i].spa), row[i].inside ? 0x33 : 0x44);
    }
}
END_TEST

/* Bits that the mask leaves out may have any value. */
START_TEST(tseg_mask_makes_areas)
{
    const struct memory_view holes = {
        .tseg = true, .tseg_addr = 0x20000, .tseg_mask = 0x20000 /* every other 128 KiB */
    };
    memory_set_view(kit.memory, &holes);
    ck_assert_uint_eq(get(0x10000), 0);
    ck_assert_uint_eq(get(0x20000), 0x55);
    ck_assert_uint_eq(get(0x3ffff), 0x55);
    ck_assert_uint_eq(get(0x40000), 0);
    ck_assert_uint_eq(get(0x160000), 0x55);
    const struct memory_view all = { .tseg = true };
    memory_set_view(kit.memory, &all);
    ck_assert_uint_eq(get(0), 0x55);
    ck_assert_uint_eq(get(KIT_RAM - 1), 0x55);
}
END_TEST

START_TEST(tseg_reaches_ram_above_4_gib)
{
    struct memory *memory = memory_new(0x100000000);
    const struct memory_view high = { .tseg = true,
                                      .tseg_addr = 0x100020000,
                                      .tseg_mask = TSEG_MASK };
    const struct memory_view low = { .tseg = true, .tseg_addr = 0x20000, .tseg_mask = TSEG_MASK };
    memory_set_view(memory, &high);
    ck_assert_ptr_nonnull(memory_ptr(memory, 0x10001f000, 1));
    ck_assert_ptr_null(memory_ptr(memory, 0x100020000, 1));
    ck_assert_ptr_null(memory_ptr(memory, 0x10003ffff, 1));
    ck_assert_ptr_nonnull(memory_ptr(memory, 0x100040000, 1));
    ck_assert_ptr_nonnull(memory_ptr(memory, 0x20000, 1));
    memory_set_view(memory, &low);
    ck_assert_ptr_nonnull(memory_ptr(memory, 0x100020000, 1));
    ck_assert_ptr_null(memory_ptr(memory, 0x20000, 1));
    memory_free(memory);
}
END_TEST

/* Fast entries and fetch pages of SMM never answer outside, and the other way round. */
START_TEST(banks_of_smm_are_apart)
{
    struct walk_regime regime = { .mode = WALK_NONE, .maxphyaddr = 48 };
    bool filled;
    see(true, true, false);
    regime.smm = true;
    struct fast_entry *smm = paging_bank(kit.paging, &regime);
    uint64_t context = paging_context(kit.paging, smm);
    (void)paging_fast_fill(kit.paging, &regime, ASEG, READ, &filled);
    ck_assert(filled);
    see(false, true, false);
    regime.smm = false;
    struct fast_entry *plain = paging_bank(kit.paging, &regime);
    ck_assert_ptr_ne(plain, smm);
    ck_assert_uint_ne(paging_context(kit.paging, plain), context);
    ck_assert_uint_ne(plain[(ASEG >> 12) % FAST_ENTRIES].rtag, ASEG);
    (void)paging_fast_fill(kit.paging, &regime, ASEG, READ, &filled);
    ck_assert(!filled);
}
END_TEST

START_TEST(banks_of_smm_are_apart_with_paging)
{
    kit_map(&kit, 0x400000, ASEG | PWU);
    bool filled;
    see(true, true, false);
    kit.regime.smm = true;
    struct fast_entry *smm = paging_bank(kit.paging, &kit.regime);
    (void)paging_fast_fill(kit.paging, &kit.regime, 0x400000, WRITE, &filled);
    ck_assert_uint_eq(smm[0].rtag, 0x400000);
    kit.regime.smm = false;
    ck_assert_ptr_ne(paging_bank(kit.paging, &kit.regime), smm);
}
END_TEST

/* Remapping drops what is derived, and nothing that marks pages. */
START_TEST(remapping_drops_derived_tables_only)
{
    struct walk_regime regime = { .mode = WALK_NONE, .maxphyaddr = 48 };
    bool filled;
    struct fast_entry *bank = paging_bank(kit.paging, &regime);
    uint64_t context = paging_context(kit.paging, bank), page = memory_backing(kit.memory, TSEG);
    memory_set_marks(kit.memory, page, PAGE_HAS_CODE, 0);
    (void)paging_fast_fill(kit.paging, &regime, TSEG, READ, &filled);
    ck_assert(filled);
    see(false, false, true);
    paging_remapped(kit.paging);
    ck_assert_uint_ne(bank[(TSEG >> 12) % FAST_ENTRIES].rtag, TSEG);
    ck_assert_uint_ne(paging_context(kit.paging, bank), context);
    ck_assert_uint_eq(memory_marks(kit.memory, page), PAGE_HAS_CODE);
}
END_TEST

/* --- the hole's map --- */

START_TEST(hole_reads_and_writes_apart)
{
    static uint8_t image[0x2000] = { 0x99 };
    static const struct {
        unsigned map;
        bool reads_ram, writes_ram;
    } row[] = { { 0, false, false },
                { HOLE_READ_RAM, true, false },
                { HOLE_WRITE_RAM, false, true },
                { HOLE_READ_RAM | HOLE_WRITE_RAM, true, true },
                { HOLE_SMM_READ_RAM | HOLE_SMM_WRITE_RAM, false, false } };
    ck_assert(memory_add_rom(kit.memory, 0xe0000, image, sizeof(image)));
    ck_assert(memory_map_hole(kit.memory, 0xe0000, 0x1000, HOLE_READ_RAM | HOLE_WRITE_RAM));
    uint8_t *ram = memory_ptr(kit.memory, 0xe0000, 1);
    ck_assert_ptr_nonnull(ram);
    for (unsigned i = 0; i < 5; i++) {
        *ram = 0x21;
        ck_assert(memory_map_hole(kit.memory, 0xe0000, 0x1000, row[i].map));
        ck_assert_uint_eq(get(0xe0000), row[i].reads_ram ? 0x21 : 0x99);
        phys_write(kit.memory, 0xe0000, 1, 0x42);
        ck_assert_uint_eq(*ram, row[i].writes_ram ? 0x42 : 0x21);
        ck_assert(!memory_ptr(kit.memory, 0xe0000, 1) == !(row[i].reads_ram && row[i].writes_ram));
        ck_assert_uint_eq(heard_spa, 0); /* a ROM is there */
        ck_assert_uint_eq(get(0xe1000), 0);
    }
    ck_assert_uint_eq(image[0], 0x99);
}
END_TEST

START_TEST(hole_in_smm_has_a_map_of_its_own)
{
    ck_assert(memory_map_hole(kit.memory, ASEG, 0x20000, HOLE_SMM_READ_RAM | HOLE_SMM_WRITE_RAM));
    ck_assert_uint_eq(get(ASEG), 0x55);
    see(true, false, false);
    ck_assert_uint_eq(get(ASEG), 0);
    phys_write(kit.memory, 0xbffff, 1, 3);
    ck_assert_uint_eq(get(0xbffff), 3);
    ck_assert_uint_eq(get(0xc0000), 0x55);
}
END_TEST

START_TEST(hole_map_stays_in_the_hole)
{
    ck_assert(!memory_map_hole(kit.memory, 0x9f000, 0x1000, 3));
    ck_assert(!memory_map_hole(kit.memory, 0xff000, 0x2000, 3));
    ck_assert(!memory_map_hole(kit.memory, 0x100000, 0x1000, 3));
    ck_assert(!memory_map_hole(kit.memory, 0xf0800, 0x1000, 3));
    ck_assert(!memory_map_hole(kit.memory, 0xf0000, 0x800, 3));
    ck_assert(!memory_map_hole(kit.memory, 0xf0000, UINT64_MAX & ~0xfffull, 3));
    ck_assert(memory_map_hole(kit.memory, 0xa0000, 0x60000, 3));
    ck_assert_uint_eq(get(0xfffff), 0);
    struct memory *small = memory_new(0x1000); /* nothing lies behind its hole */
    ck_assert(memory_map_hole(small, 0xa0000, 0x1000, 3));
    ck_assert_uint_eq(memory_backing(small, 0xa0000), UINT64_MAX);
    memory_free(small);
}
END_TEST

/* A page that is read from one place and written to another has no fast entry that writes; blocks go to the page that was
 * written. */
START_TEST(shadowing_is_seen_by_fast_entries_and_blocks)
{
    static uint8_t image[0x1000] = { 0x99 };
    struct walk_regime regime = { .mode = WALK_NONE, .maxphyaddr = 48 };
    bool filled;
    ck_assert(memory_add_rom(kit.memory, 0xf0000, image, sizeof(image)));
    struct fast_entry *e = &paging_bank(kit.paging, &regime)[0xf0 % FAST_ENTRIES];
    ck_assert(memory_map_hole(kit.memory, 0xf0000, 0x1000, HOLE_WRITE_RAM));
    phys_write(kit.memory, 0xf0001, 1, 0x12);
    (void)paging_fast_fill(kit.paging, &regime, 0xf0000, WRITE, &filled);
    ck_assert(!filled);
    ck_assert_uint_eq(e->rtag, 0xf0000);
    ck_assert_uint_eq(*(uint8_t *)(uintptr_t)(0xf0000 + e->addend), 0x99);
    ck_assert(memory_map_hole(kit.memory, 0xf0000, 0x1000, HOLE_READ_RAM));
    ck_assert_uint_ne(e->rtag, 0xf0000);
    (void)paging_fast_fill(kit.paging, &regime, 0xf0000, WRITE, &filled);
    ck_assert(!filled);
    ck_assert_uint_eq(*(uint8_t *)(uintptr_t)(0xf0001 + e->addend), 0x12);
    ck_assert(memory_map_hole(kit.memory, 0xf0000, 0x1000, HOLE_READ_RAM | HOLE_WRITE_RAM));
    (void)paging_fast_fill(kit.paging, &regime, 0xf0000, WRITE, &filled);
    ck_assert(filled);
}
END_TEST

START_TEST(blocks_are_copied_by_the_map)
{
    static uint8_t image[0x1000] = { 0x99 };
    uint8_t byte = 0x31;
    ck_assert(memory_add_rom(kit.memory, 0xf0000, image, sizeof(image)));
    ck_assert(!phys_write_block(kit.memory, 0xf0000, &byte, 1));
    ck_assert(memory_map_hole(kit.memory, 0xf0000, 0x1000, HOLE_WRITE_RAM));
    ck_assert(phys_write_block(kit.memory, 0xf0000, &byte, 1));
    ck_assert(phys_read_block(kit.memory, 0xf0000, &byte, 1));
    ck_assert_uint_eq(byte, 0x99);
    ck_assert(memory_map_hole(kit.memory, 0xf0000, 0x1000, HOLE_READ_RAM));
    ck_assert(phys_read_block(kit.memory, 0xf0000, &byte, 1));
    ck_assert_uint_eq(byte, 0x31);
    ck_assert(!phys_write_block(kit.memory, 0xf0000, &byte, 1));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("smram");
    TCase *tc = tcase_create("smram");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, aseg_is_ram_in_smm_only);
    tcase_add_test(tc, aseg_that_is_not_enabled_stays_the_bus);
    tcase_add_test(tc, tseg_disappears_outside_smm);
    tcase_add_test(tc, tseg_mask_makes_areas);
    tcase_add_test(tc, tseg_reaches_ram_above_4_gib);
    tcase_add_test(tc, banks_of_smm_are_apart);
    tcase_add_test(tc, banks_of_smm_are_apart_with_paging);
    tcase_add_test(tc, remapping_drops_derived_tables_only);
    tcase_add_test(tc, hole_reads_and_writes_apart);
    tcase_add_test(tc, hole_in_smm_has_a_map_of_its_own);
    tcase_add_test(tc, hole_map_stays_in_the_hole);
    tcase_add_test(tc, shadowing_is_seen_by_fast_entries_and_blocks);
    tcase_add_test(tc, blocks_are_copied_by_the_map);
    suite_add_tcase(suite, tc);
    return kit_run(suite);
}

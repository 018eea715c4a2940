/* A small machine for the tests of this folder: memory, page tables built entry by entry, regimes. */
#ifndef TESTS_PAGING_KIT_H
#define TESTS_PAGING_KIT_H

#include <check.h>
#include <stdlib.h>

#include "paging/paging.h"

#define KIT_RAM (64ull << 20)

#define P 0x1ull
#define W 0x2ull
#define U 0x4ull
#define A 0x20ull
#define D 0x40ull
#define PS 0x80ull
#define G 0x100ull
#define NX (1ull << 63)
#define KEY(n) ((uint64_t)(n) << 59)
#define PWU (P | W | U)

static const struct access READ = { ACCESS_READ, false };
static const struct access WRITE = { ACCESS_WRITE, false };
static const struct access EXEC = { ACCESS_EXEC, false };
static const struct access SYS_READ = { ACCESS_READ, true };
static const struct access SYS_WRITE = { ACCESS_WRITE, true };

struct kit {
    struct memory *memory;
    struct paging *paging;
    uint64_t next_table; /* tables are handed out from 1 MiB upwards */
    struct walk_regime regime, nested;
};

static inline uint64_t kit_get(struct kit *kit, uint64_t spa)
{
    return phys_read(kit->memory, spa, 8);
}

static inline void kit_set(struct kit *kit, uint64_t spa, uint64_t value)
{
    phys_write(kit->memory, spa, 8, value);
}

static inline uint64_t kit_table(struct kit *kit)
{
    uint64_t table = kit->next_table;

    kit->next_table += 4096;
    return table;
}

/* Where the entry of `level` (1: page table) for `la` is, with the tables above it made as needed. */
static inline uint64_t kit_entry(struct kit *kit, uint64_t root, unsigned top, unsigned level,
                                 uint64_t la)
{
    uint64_t table = root & 0x000ffffffffff000ull;

    for (unsigned l = top;; l--) {
        uint64_t at = table + ((la >> (12 + 9 * (l - 1))) & 511) * 8;

        if (l == level)
            return at;
        if (!(kit_get(kit, at) & P))
            kit_set(kit, at, kit_table(kit) | PWU);
        table = kit_get(kit, at) & 0x000ffffffffff000ull;
    }
}

static inline uint64_t kit_map(struct kit *kit, uint64_t la, uint64_t entry)
{
    unsigned top = kit->regime.mode == WALK_5LEVEL ? 5 : 4;
    uint64_t at = kit_entry(kit, kit->regime.root, top, 1, la);

    kit_set(kit, at, entry);
    return at;
}

static inline uint64_t kit_map_nested(struct kit *kit, uint64_t gpa, uint64_t entry)
{
    uint64_t at = kit_entry(kit, kit->nested.root, 4, 1, gpa);

    kit_set(kit, at, entry);
    return at;
}

/* Host in 4-level mode at CPL 0, WP and NXE on, empty tables. */
static inline void kit_init(struct kit *kit)
{
    *kit = (struct kit){ .next_table = 0x100000 };
    kit->memory = memory_new(KIT_RAM);
    ck_assert_ptr_nonnull(kit->memory);
    kit->paging = paging_new(kit->memory, NULL);
    ck_assert_ptr_nonnull(kit->paging);
    kit->regime = (struct walk_regime){ .mode = WALK_4LEVEL,
                                        .wp = true,
                                        .nxe = true,
                                        .pge = true,
                                        .maxphyaddr = 48,
                                        .page_1gb = true };
    kit->regime.root = kit_table(kit);
}

/* The regime becomes a guest's (ASID 1) with nested paging. Guest tables are the tables made by
 * kit_map(), at their own addresses; the nested tables map the first `pages` pages to themselves
 * with 4 KiB pages. */
static inline void kit_nest(struct kit *kit, unsigned pages)
{
    kit->nested = (struct walk_regime){
        .mode = WALK_4LEVEL, .wp = true, .nxe = true, .maxphyaddr = 48, .page_1gb = true
    };
    kit->next_table = 0x2000000;
    kit->nested.root = kit_table(kit);
    for (unsigned i = 0; i < pages; i++)
        kit_map_nested(kit, (uint64_t)i << 12, (uint64_t)i << 12 | PWU);
    kit->next_table = 0x110000;
    kit->regime.asid = 1;
    kit->regime.nested = &kit->nested;
}

static inline void kit_fini(struct kit *kit)
{
    paging_free(kit->paging);
    memory_free(kit->memory);
}

static inline struct walk_result kit_walk(struct kit *kit, uint64_t la, struct access access)
{
    return walk(kit->memory, &kit->regime, la, access, true);
}

static inline struct walk_result kit_translate(struct kit *kit, uint64_t la, struct access access)
{
    return paging_translate(kit->paging, &kit->regime, la, access);
}

#define assert_ok(res, expected_spa)                     \
    do {                                                 \
        struct walk_result assert_res = (res);           \
        ck_assert_int_eq(assert_res.status, WALK_OK);    \
        ck_assert_uint_eq(assert_res.spa, expected_spa); \
    } while (0)

#define assert_fault(res, expected_code)                   \
    do {                                                   \
        struct walk_result assert_res = (res);             \
        ck_assert_int_eq(assert_res.status, WALK_FAULT);   \
        ck_assert_uint_eq(assert_res.code, expected_code); \
    } while (0)

#define assert_npf(res, expected_info1, expected_gpa)        \
    do {                                                     \
        struct walk_result assert_res = (res);               \
        ck_assert_int_eq(assert_res.status, WALK_NPF);       \
        ck_assert_uint_eq(assert_res.info1, expected_info1); \
        ck_assert_uint_eq(assert_res.gpa, expected_gpa);     \
    } while (0)

static inline int kit_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

#endif

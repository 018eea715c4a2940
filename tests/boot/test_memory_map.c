/* The memory map every protocol gives. */
#include "tests/boot/kit.h"

#define GIB 0x40000000ull

struct row {
    uint64_t ram;
    unsigned count;
    struct boot_region region[BOOT_REGIONS_MAX];
};

#define LOW                         \
    {                               \
        0, 0x9fc00, BOOT_REGION_RAM \
    }
#define EBDA                                 \
    {                                        \
        0x9fc00, 0x400, BOOT_REGION_RESERVED \
    }
#define BIOS                                   \
    {                                          \
        0xf0000, 0x10000, BOOT_REGION_RESERVED \
    }

static void check(const struct row *row)
{
    struct boot_region map[BOOT_REGIONS_MAX];
    struct memory *memory = memory_new(row->ram);
    ck_assert_ptr_nonnull(memory);
    ck_assert_uint_eq(boot_memory_map(memory, map), row->count);
    for (unsigned i = 0; i < row->count; i++) {
        ck_assert_uint_eq(map[i].base, row->region[i].base);
        ck_assert_uint_eq(map[i].len, row->region[i].len);
        ck_assert_int_eq(map[i].type, row->region[i].type);
        if (map[i].type == BOOT_REGION_RAM) /* it is RAM, to the last byte */
            ck_assert_ptr_nonnull(memory_ptr(memory, map[i].base + map[i].len - 1, 1));
    }
    const struct boot_region *last = &map[row->count - 1];
    if (last->type == BOOT_REGION_RAM && last->base)
        ck_assert_ptr_null(memory_ptr(memory, last->base + last->len, 1));
    memory_free(memory);
}

START_TEST(map_of_usual_sizes)
{
    static const struct row row[] = {
        { 128 * MIB, 4, { LOW, EBDA, BIOS, { MIB, 127 * MIB, BOOT_REGION_RAM } } },
        { 3 * GIB, 4, { LOW, EBDA, BIOS, { MIB, 3 * GIB - MIB, BOOT_REGION_RAM } } },
        { 5 * GIB,
          5,
          { LOW,
            EBDA,
            BIOS,
            { MIB, 3 * GIB - MIB, BOOT_REGION_RAM },
            { 4 * GIB, 2 * GIB, BOOT_REGION_RAM } } },
        { 3 * GIB + GIB / 2 - 4096,
          4,
          { LOW, EBDA, BIOS, { MIB, 3 * GIB + GIB / 2 - 4096 - MIB, BOOT_REGION_RAM } } },
        { 3 * GIB + GIB / 2,
          5,
          { LOW,
            EBDA,
            BIOS,
            { MIB, 3 * GIB - MIB, BOOT_REGION_RAM },
            { 4 * GIB, GIB / 2, BOOT_REGION_RAM } } },
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
        check(&row[i]);
}
END_TEST

START_TEST(map_of_tiny_sizes)
{
    static const struct row row[] = {
        { 64 * 1024, 3, { { 0, 0x10000, BOOT_REGION_RAM }, EBDA, BIOS } },
        { 640 * 1024, 3, { LOW, EBDA, BIOS } },
        { MIB, 3, { LOW, EBDA, BIOS } },
        { MIB + 4096, 4, { LOW, EBDA, BIOS, { MIB, 4096, BOOT_REGION_RAM } } },
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
        check(&row[i]);
}
END_TEST

CHECK_MAIN("memory_map", map_of_usual_sizes, map_of_tiny_sizes)

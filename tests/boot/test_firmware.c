/* Where firmware lies: below 4 GiB, its last 128 KiB below 1 MiB, or where it is told to. */
#include <stdlib.h>

#include "emu/boot/firmware.h"
#include "tests/check_main.h"

#define KIB 1024u
#define MIB (1024u * KIB)
#define TOP (UINT64_C(1) << 32)

/* An image whose every page begins with its number. */
static uint8_t *make_image(size_t len)
{
    uint8_t *image = calloc(1, len ? len : 1);
    ck_assert_ptr_nonnull(image);
    for (size_t at = 0; at + 4 <= len; at += 4096) {
        image[at] = (uint8_t)(at >> 12);
        image[at + 1] = (uint8_t)(at >> 20);
        image[at + 2] = 0xa5;
    }
    return image;
}

static enum pacifica_status map(struct memory *memory, size_t len, uint64_t spa,
                                struct pacifica_diag *diag)
{
    uint8_t *image = make_image(len);
    const struct firmware_source source = {
        .bytes = image, .len = len, .name = "rom", .at_top = spa == UINT64_MAX, .spa = spa
    };
    enum pacifica_status status = firmware_map(memory, &source, diag);
    free(image);
    return status;
}

static uint32_t page_tag(uint64_t number)
{
    return (uint32_t)(number & 0xff) | (uint32_t)(number >> 8 & 0xff) << 8 | 0xa50000;
}

static const struct {
    size_t len;
    uint64_t low_len;
} top_size[] = {
    { 4 * KIB, 4 * KIB },           { 64 * KIB, 64 * KIB },   { 124 * KIB, 124 * KIB },
    { 128 * KIB, 128 * KIB },       { 132 * KIB, 128 * KIB }, { 256 * KIB, 128 * KIB },
    { 16 * MIB - 4096, 128 * KIB }, { 16 * MIB, 128 * KIB },
};

static void check_top(size_t len, uint64_t low)
{
    struct memory *memory = memory_new(2 * MIB);
    struct pacifica_diag diag = { 0 };
    ck_assert_int_eq(map(memory, len, UINT64_MAX, &diag), PACIFICA_OK);
    ck_assert_uint_eq(phys_read(memory, TOP - len, 4), page_tag(0));
    ck_assert_uint_eq(phys_read(memory, TOP - 4096, 4), page_tag(len / 4096 - 1));
    ck_assert_uint_eq(phys_read(memory, MIB - low, 4), page_tag((len - low) / 4096));
    ck_assert_uint_eq(phys_read(memory, MIB - 4096, 4), page_tag(len / 4096 - 1));
    ck_assert_uint_eq(memory_backing(memory, TOP - len - 1), UINT64_MAX);
    ck_assert_uint_eq(memory_backing(memory, MIB - low - 1), UINT64_MAX);
    memory_free(memory);
}

START_TEST(top_image_ends_at_4_gib_and_its_last_128_kib_at_1_mib)
{
    for (size_t i = 0; i < sizeof(top_size) / sizeof(top_size[0]); i++)
        check_top(top_size[i].len, top_size[i].low_len);
}
END_TEST

START_TEST(writes_change_neither_copy)
{
    struct memory *memory = memory_new(2 * MIB);
    ck_assert_int_eq(map(memory, 128 * KIB, UINT64_MAX, NULL), PACIFICA_OK);
    phys_write(memory, TOP - 4096, 4, 0x12345678);
    phys_write(memory, MIB - 4096, 4, 0x12345678);
    ck_assert_uint_eq(phys_read(memory, TOP - 4096, 4), page_tag(31));
    ck_assert_uint_eq(phys_read(memory, MIB - 4096, 4), page_tag(31));
    memory_free(memory);
}
END_TEST

START_TEST(placed_image_lies_there_only)
{
    struct memory *memory = memory_new(2 * MIB);
    ck_assert_int_eq(map(memory, 32 * KIB, 0xc0000, NULL), PACIFICA_OK);
    ck_assert_uint_eq(phys_read(memory, 0xc0000, 4), page_tag(0));
    ck_assert_uint_eq(phys_read(memory, 0xc7000, 4), page_tag(7));
    ck_assert_uint_eq(memory_backing(memory, 0xc8000), UINT64_MAX);
    ck_assert_uint_eq(memory_backing(memory, MIB - 4096), UINT64_MAX);
    ck_assert_uint_eq(memory_backing(memory, TOP - 4096), UINT64_MAX);
    memory_free(memory);
}
END_TEST

START_TEST(top_image_and_placed_images_go_together)
{
    struct memory *memory = memory_new(2 * MIB);
    ck_assert_int_eq(map(memory, 128 * KIB, UINT64_MAX, NULL), PACIFICA_OK);
    ck_assert_int_eq(map(memory, 128 * KIB, 0xc0000, NULL), PACIFICA_OK);
    ck_assert_int_eq(map(memory, 4 * KIB, TOP - 132 * KIB, NULL), PACIFICA_OK);
    memory_free(memory);
}
END_TEST

static const struct {
    size_t len;
    uint64_t spa;
    enum pacifica_status status;
    const char *what;
} refusal[] = {
    { 0, UINT64_MAX, PACIFICA_EFORMAT, "the firmware image is empty" },
    { 4095, UINT64_MAX, PACIFICA_EFORMAT,
      "a firmware image of 4095 bytes is no whole number of pages" },
    { 4097, 0xc0000, PACIFICA_EFORMAT,
      "a firmware image of 4097 bytes is no whole number of pages" },
    { 16 * MIB + 4096, UINT64_MAX, PACIFICA_ERANGE, "a firmware image of 16388 KiB is too large" },
    { 4096, 0xc0001, PACIFICA_EUSAGE, "no ROM can begin at 0xc0001" },
    { 4096, 0x9f000, PACIFICA_ERANGE,
      "a ROM from 0x9f000 to 0x9ffff would cover RAM or another ROM at 0x9f000" },
    { 8192, 0xff000, PACIFICA_ERANGE,
      "a ROM from 0xff000 to 0x100fff would cover RAM or another ROM at 0x100000" },
    { 4096, UINT64_C(1) << 52, PACIFICA_ERANGE,
      "a ROM at 0x10000000000000 ends beyond the last physical address" },
    { 8192, (UINT64_C(1) << 52) - 4096, PACIFICA_ERANGE,
      "a ROM at 0xffffffffff000 ends beyond the last physical address" },
    { 4096, UINT64_MAX - 4095, PACIFICA_ERANGE,
      "a ROM at 0xfffffffffffff000 ends beyond the last physical address" },
};

START_TEST(refused_image_changes_nothing_and_says_why)
{
    struct memory *memory = memory_new(2 * MIB);
    uint64_t pages = memory_page_count(memory);
    for (size_t i = 0; i < sizeof(refusal) / sizeof(refusal[0]); i++) {
        struct pacifica_diag diag = { 0 };
        ck_assert_int_eq(map(memory, refusal[i].len, refusal[i].spa, &diag), refusal[i].status);
        ck_assert_str_eq(diag.what, refusal[i].what);
        ck_assert_str_eq(diag.where, "rom");
        ck_assert_uint_eq(memory_page_count(memory), pages);
    }
    memory_free(memory);
}
END_TEST

/* The place below 1 MiB is taken: the part below 4 GiB is not mapped either. */
START_TEST(top_image_is_mapped_twice_or_not_at_all)
{
    struct memory *memory = memory_new(2 * MIB);
    ck_assert_int_eq(map(memory, 4096, MIB - 4096, NULL), PACIFICA_OK);
    ck_assert_int_eq(map(memory, 64 * KIB, UINT64_MAX, NULL), PACIFICA_ERANGE);
    ck_assert_uint_eq(memory_backing(memory, TOP - 4096), UINT64_MAX);
    memory_free(memory);
}
END_TEST

START_TEST(too_many_roms_are_refused)
{
    struct memory *memory = memory_new(2 * MIB);
    struct pacifica_diag diag = { 0 };
    enum pacifica_status status = PACIFICA_OK;
    unsigned mapped = 0;
    while (status == PACIFICA_OK && mapped < 100)
        status = map(memory, 4096, TOP + (uint64_t)mapped++ * 4096, &diag);
    ck_assert_int_eq(status, PACIFICA_ENOMEM);
    ck_assert_str_eq(diag.what, "no room for another ROM");
    memory_free(memory);
}
END_TEST

CHECK_MAIN("firmware", top_image_ends_at_4_gib_and_its_last_128_kib_at_1_mib,
           writes_change_neither_copy, placed_image_lies_there_only,
           top_image_and_placed_images_go_together, refused_image_changes_nothing_and_says_why,
           top_image_is_mapped_twice_or_not_at_all, too_many_roms_are_refused)

/* Flash memory against Intel's command set, and the ROM that it is meanwhile. */
#include "tests/devices/disk_kit.h"

#include "devices/pflash.h"

#define SPA UINT64_C(0xffc00000)
#define BYTES (16u * PFLASH_SECTOR)

struct board {
    struct kit kit;
    struct memory *memory;
    struct disk disk;
    struct block *block;
    struct pflash *flash;
    unsigned dropped; /* decoded blocks, as the memory tells */
};

static struct board b;

static void written(void *self, uint64_t page, unsigned offset, unsigned len)
{
    struct board *board = self;
    (void)page, (void)offset, (void)len;
    board->dropped++;
}

static void open_with(bool through, bool read_only)
{
    memset(&b, 0, sizeof(b));
    kit_open(&b.kit);
    bus_free(b.kit.bus);
    b.memory = memory_new(1u << 20);
    ck_assert_ptr_nonnull(b.memory);
    b.kit.bus = bus_new(b.memory, &b.kit.clock, &b.kit.probes);
    disk_open(&b.disk, BYTES);
    struct block_config config = disk_config(&b.disk);
    config.through = through;
    config.read_only = read_only;
    b.block = block_new(&config);
    ck_assert_ptr_nonnull(b.block);
    b.flash = pflash_add(b.kit.bus, SPA, b.block);
    ck_assert_ptr_nonnull(b.flash);
    memory_set_written(b.memory, written, &b);
}

static void setup(void)
{
    open_with(false, false);
}

static void teardown(void)
{
    kit_close(&b.kit);
    memory_free(b.memory);
    block_free(b.block);
    disk_close(&b.disk);
}

static uint8_t peek(uint64_t offset)
{
    return (uint8_t)phys_read(b.memory, SPA + offset, 1);
}

static void poke(uint64_t offset, uint8_t value)
{
    phys_write(b.memory, SPA + offset, 1, value);
}

static void program(uint64_t offset, uint8_t value)
{
    poke(offset, 0x10);
    poke(offset, value);
}

static void erase(uint64_t offset)
{
    poke(offset, 0x20);
    poke(offset, 0xd0);
}

static void read_array(void)
{
    poke(0, 0xff);
}

START_TEST(array_is_a_rom)
{
    for (uint64_t at = 0; at < BYTES; at += 997)
        ck_assert_uint_eq(peek(at), disk_byte(at));
    ck_assert_uint_ne(memory_backing(b.memory, SPA), UINT64_MAX); /* code runs from it */
    unsigned reads = b.disk.reads;
    phys_read(b.memory, SPA + 8, 8);
    ck_assert_uint_eq(b.disk.reads, reads);
}
END_TEST

START_TEST(programming_clears_bits)
{
    erase(0x1000);
    read_array();
    program(0x1234, 0xf0);
    ck_assert_uint_eq(peek(0x1234), 0x80); /* the status, until "read array" */
    read_array();
    ck_assert_uint_eq(peek(0x1234), 0xf0);
    program(0x1234, 0xcf);
    read_array();
    ck_assert_uint_eq(peek(0x1234), 0xc0);
    ck_assert_uint_eq(peek(0x1235), 0xff);
    poke(0x1235, 0x40); /* the other code of the command */
    poke(0x1235, 0x12);
    read_array();
    ck_assert_uint_eq(peek(0x1235), 0x12);
}
END_TEST

START_TEST(erasing_sets_a_sector)
{
    erase(0x2fff);
    ck_assert_uint_eq(peek(0), 0x80);
    read_array();
    ck_assert_uint_eq(peek(0x1fff), disk_byte(0x1fff));
    for (unsigned at = 0x2000; at < 0x3000; at++)
        ck_assert_uint_eq(peek(at), 0xff);
    ck_assert_uint_eq(peek(0x3000), disk_byte(0x3000));
    poke(0x3000, 0x20);
    poke(0x3000, 0x00); /* no confirmation */
    ck_assert_uint_eq(peek(0), 0xb0);
    read_array();
    ck_assert_uint_eq(peek(0x3000), disk_byte(0x3000));
}
END_TEST

START_TEST(status_is_cleared_by_its_command)
{
    program(0x10, 0);
    poke(0, 0x50);
    ck_assert_uint_eq(peek(0x11), disk_byte(0x11)); /* and the array is read */
    poke(0, 0x70);
    ck_assert_uint_eq(peek(0x11), 0x00);
    poke(0, 0xff);
    ck_assert_uint_eq(peek(0x11), disk_byte(0x11));
}
END_TEST

START_TEST(chip_identifies_itself)
{
    poke(0, 0x90);
    ck_assert_uint_eq(peek(0), 0x89);
    ck_assert_uint_eq(peek(1), 0x18);
    ck_assert_uint_eq(peek(2), 0x00); /* not locked */
    poke(0x55, 0x98);
    ck_assert_uint_eq(phys_read(b.memory, SPA + 0x10, 4), 0x01595251); /* QRY */
    ck_assert_uint_eq(peek(0x27), 16);
    ck_assert_uint_eq(peek(0x2c), 1);
    ck_assert_uint_eq(phys_read(b.memory, SPA + 0x2d, 4), 0x0010000f);
    ck_assert_uint_eq(phys_read(b.memory, SPA + 0x31, 4), 0x31495250); /* PRI1 */
    ck_assert_uint_eq(peek(0x36), 0);
    poke(0, 0xf0);
    ck_assert_uint_eq(peek(0), disk_byte(0));
}
END_TEST

START_TEST(buffered_writes)
{
    erase(0x4000);
    poke(0x4000, 0xe8);
    ck_assert_uint_eq(peek(0x4000), 0x80);
    poke(0x4000, 3);
    phys_write(b.memory, SPA + 0x4010, 4, 0x44332211);
    poke(0x4000, 0xd0);
    ck_assert_uint_eq(peek(0), 0x80);
    read_array();
    ck_assert_uint_eq(phys_read(b.memory, SPA + 0x4010, 4), 0x44332211);
    ck_assert_uint_eq(peek(0x400f), 0xff);
    ck_assert_uint_eq(peek(0x4014), 0xff);
}
END_TEST

START_TEST(buffered_writes_out_of_sequence)
{
    erase(0x4000);
    poke(0, 0x50);
    poke(0x4000, 0xe8);
    poke(0x4000, 1);
    poke(0x4000, 0x11);
    poke(0x4100, 0x22); /* another piece of 256 bytes */
    ck_assert_uint_eq(peek(0), 0xb0);
    poke(0, 0x50);
    poke(0x4000, 0xe8);
    poke(0x4000, 0);
    poke(0x4000, 0x11);
    poke(0x4000, 0x00); /* no confirmation */
    ck_assert_uint_eq(peek(0), 0xb0);
    read_array();
    ck_assert_uint_eq(peek(0x4000), 0xff);
}
END_TEST

START_TEST(nothing_is_locked)
{
    poke(0x1000, 0x60);
    poke(0x1000, 0x01);
    program(0x1000, 0x00);
    read_array();
    ck_assert_uint_eq(peek(0x1000), 0x00);
}
END_TEST

START_TEST(unknown_commands_are_told)
{
    poke(0, 0x33);
    ck_assert_uint_eq(b.kit.told[PROBE_GUEST_ERROR], 1);
    ck_assert_uint_eq(peek(0), disk_byte(0));
}
END_TEST

START_TEST(programming_drops_decoded_code)
{
    memory_set_marks(b.memory, memory_backing(b.memory, SPA + 0x1000), PAGE_HAS_CODE, 0);
    program(0x0fff, 0);
    ck_assert_uint_eq(b.dropped, 0);
    program(0x1000, 0);
    ck_assert_uint_eq(b.dropped, 1);
}
END_TEST

START_TEST(reset_reads_the_array)
{
    poke(0, 0x20);
    bus_reset(b.kit.bus);
    ck_assert_uint_eq(peek(5), disk_byte(5));
    program(5, 0); /* the second half of nothing */
    read_array();
    ck_assert_uint_eq(peek(5), 0);
    bus_reset(b.kit.bus);
    ck_assert_uint_eq(peek(5), 0); /* it keeps what it holds */
}
END_TEST

START_TEST(reset_forgets_half_a_buffer)
{
    uint64_t fresh = kit_bus_hash(b.kit.bus);
    poke(0, 0xe8);
    poke(0, 3);
    poke(0, 0x55);
    bus_reset(b.kit.bus);
    ck_assert_uint_eq(kit_bus_hash(b.kit.bus), fresh);
}
END_TEST

START_TEST(mix_sees_commands_and_contents)
{
    uint64_t seen[5];
    for (unsigned i = 0; i < 5; i++) {
        switch (i) {
        case 1: poke(0, 0x70); break;
        case 2: poke(0, 0x20); break;
        case 3: poke(0, 0xd0), read_array(); break;
        case 4: poke(0, 0xe8), poke(0, 1), poke(0, 0x55); break;
        default: break;
        }
        seen[i] = kit_bus_hash(b.kit.bus);
        for (unsigned k = 0; k < i; k++)
            ck_assert_uint_ne(seen[i], seen[k]);
    }
}
END_TEST

START_TEST(what_is_programmed_reaches_the_image)
{
    open_with(true, false);
    erase(0x3000);
    program(0x3001, 0x7e);
    ck_assert_uint_eq(b.disk.bytes[0x3000], 0xff);
    ck_assert_uint_eq(b.disk.bytes[0x3001], 0x7e);
    ck_assert_uint_eq(b.disk.bytes[0x2fff], disk_byte(0x2fff));
    teardown();
}
END_TEST

START_TEST(read_only_flash_fails)
{
    open_with(false, true);
    program(0x3001, 0x00);
    ck_assert_uint_eq(peek(0), 0x90);
    poke(0, 0x50);
    erase(0x3000);
    ck_assert_uint_eq(peek(0), 0xa0);
    read_array();
    ck_assert_uint_eq(peek(0x3001), disk_byte(0x3001));
    teardown();
}
END_TEST

START_TEST(image_that_fails)
{
    open_with(true, false);
    b.disk.full = true;
    program(0x10, 0x00);
    ck_assert_uint_eq(peek(0), 0x90);
    read_array();
    ck_assert_uint_eq(peek(0x10), disk_byte(0x10));
    teardown();
}
END_TEST

START_TEST(places_that_are_taken)
{
    ck_assert_ptr_null(pflash_add(b.kit.bus, SPA, b.block));
    ck_assert_ptr_null(pflash_add(b.kit.bus, 0, b.block));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pflash");
    TCase *all = tcase_create("all"), *own = tcase_create("own");
    tcase_add_checked_fixture(all, setup, teardown);
    const TTest *const tests[] = { array_is_a_rom,
                                   programming_clears_bits,
                                   erasing_sets_a_sector,
                                   status_is_cleared_by_its_command,
                                   chip_identifies_itself,
                                   buffered_writes,
                                   buffered_writes_out_of_sequence,
                                   nothing_is_locked,
                                   unknown_commands_are_told,
                                   programming_drops_decoded_code,
                                   reset_reads_the_array,
                                   reset_forgets_half_a_buffer,
                                   mix_sees_commands_and_contents,
                                   places_that_are_taken };
    const TTest *const own_tests[] = { what_is_programmed_reaches_the_image, read_only_flash_fails,
                                       image_that_fails };
    for (unsigned i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_test(all, tests[i]);
    for (unsigned i = 0; i < sizeof(own_tests) / sizeof(own_tests[0]); i++)
        tcase_add_test(own, own_tests[i]);
    suite_add_tcase(suite, all);
    suite_add_tcase(suite, own);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

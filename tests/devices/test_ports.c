/* isa-debug-exit, isa-debugcon, port 80h, the reset ports and fw_cfg. */
#include "tests/devices/kit.h"

#include "devices/fw_cfg.h"
#include "devices/reset_ports.h"
#include "devices/testports.h"

struct said {
    unsigned count;
    uint32_t value;
};

static void exit_written(void *self, uint32_t value)
{
    struct said *said = self;
    said->count++;
    said->value = value;
}

static void reset_asked(void *self)
{
    struct said *said = self;
    said->count++;
}

START_TEST(debug_exit_tells_the_value_of_every_width)
{
    static const struct {
        unsigned size;
        uint32_t value;
    } row[] = { { 1, 0x78 }, { 2, 0x5678 }, { 4, 0x12345678 } };
    struct kit kit;
    struct said said = { 0 };
    kit_open(&kit);
    ck_assert_ptr_nonnull(
        debug_exit_add(kit.bus, DEBUG_EXIT_PORT, DEBUG_EXIT_PORTS, exit_written, &said));
    for (unsigned i = 0; i < 3; i++) {
        bus_port_ops.write(kit.bus, 0xf4, row[i].size, 0x12345678);
        ck_assert_uint_eq(said.count, i + 1);
        ck_assert_uint_eq(said.value, row[i].value);
    }
    ck_assert_uint_eq(bus_port_ops.read(kit.bus, 0xf4, 4), 0);
    kit_out(&kit, 0xf7, 1);
    ck_assert_uint_eq(said.count, 4);
    kit_out(&kit, 0xf8, 1);
    kit_out(&kit, 0xf3, 1);
    ck_assert_uint_eq(said.count, 4);
    kit_close(&kit);
}
END_TEST

START_TEST(debug_exit_size_and_base)
{
    struct kit kit;
    struct said said = { 0 };
    kit_open(&kit);
    ck_assert_ptr_null(debug_exit_add(kit.bus, 0x501, 0, exit_written, &said));
    ck_assert_ptr_null(debug_exit_add(kit.bus, 0x501, 5, exit_written, &said));
    ck_assert_ptr_null(debug_exit_add(kit.bus, 0xfffe, 4, exit_written, &said));
    ck_assert_ptr_nonnull(debug_exit_add(kit.bus, 0x501, 1, exit_written, &said));
    kit_out(&kit, 0x501, 9);
    ck_assert_uint_eq(said.value, 9);
    ck_assert_ptr_null(debug_exit_add(kit.bus, 0x500, 2, exit_written, &said));
    kit_close(&kit);
}
END_TEST

START_TEST(debugcon_prints_and_answers_e9)
{
    struct kit kit;
    struct kit_text text = { 0 };
    kit_open(&kit);
    ck_assert_ptr_nonnull(
        debugcon_add(kit.bus, DEBUGCON_PORT, (struct byte_sink){ kit_text_put, &text }));
    ck_assert_ptr_nonnull(
        debugcon_add(kit.bus, DEBUGCON_BOCHS_PORT, (struct byte_sink){ kit_text_put, &text }));
    kit_out(&kit, 0x402, 'o');
    kit_out(&kit, 0xe9, 'k');
    ck_assert_uint_eq(text.len, 2);
    ck_assert_mem_eq(text.bytes, "ok", 2);
    ck_assert_uint_eq(kit_in(&kit, 0x402), 0xe9);
    ck_assert_uint_eq(kit_in(&kit, 0xe9), 0xe9);
    ck_assert_ptr_null(debugcon_add(kit.bus, DEBUGCON_PORT, (struct byte_sink){ 0 }));
    kit_close(&kit);
}
END_TEST

START_TEST(post_port_latches)
{
    struct kit kit;
    kit_open(&kit);
    struct post_port *post = post_port_add(kit.bus);
    kit_out(&kit, 0x80, 0xa5);
    ck_assert_uint_eq(kit_in(&kit, 0x80), 0xa5);
    ck_assert_uint_eq(post_port_code(post), 0xa5);
    bus_reset(kit.bus);
    ck_assert_uint_eq(post_port_code(post), 0);
    kit_close(&kit);
}
END_TEST

START_TEST(reset_control_acts_on_the_rising_bit)
{
    struct kit kit;
    struct said said = { 0 };
    kit_open(&kit);
    ck_assert_ptr_nonnull(
        reset_ports_add(kit.bus, pci_bus_add(kit.bus),
                        (struct reset_wires){ .reset = reset_asked, .self = &said }));
    kit_out(&kit, 0xcf9, 0x02);
    ck_assert_uint_eq(said.count, 0);
    ck_assert_uint_eq(kit_in(&kit, 0xcf9), 0x02);
    kit_out(&kit, 0xcf9, 0x06);
    ck_assert_uint_eq(said.count, 1);
    kit_out(&kit, 0xcf9, 0x06);
    ck_assert_uint_eq(said.count, 1);
    kit_out(&kit, 0xcf9, 0xf0);
    kit_out(&kit, 0xcf9, 0x04);
    ck_assert_uint_eq(said.count, 2);
    kit_close(&kit);
}
END_TEST

START_TEST(reset_control_is_deaf_to_pci_addresses)
{
    struct kit kit;
    struct said said = { 0 };
    kit_open(&kit);
    reset_ports_add(kit.bus, pci_bus_add(kit.bus),
                    (struct reset_wires){ .reset = reset_asked, .self = &said });
    bus_port_ops.write(kit.bus, 0xcf8, 4, 0x80000600); /* device 0, function 6 */
    bus_port_ops.write(kit.bus, 0xcf8, 2, 0x0600);
    ck_assert_uint_eq(said.count, 0);
    ck_assert_uint_eq(bus_port_ops.read(kit.bus, 0xcf8, 4), 0x80000600);
    kit_close(&kit);
}
END_TEST

static void a20_moved(void *self, bool open)
{
    struct said *said = self;
    said->count++;
    said->value = open;
}

START_TEST(port_92_resets_on_the_rising_bit)
{
    struct kit kit;
    struct said said = { 0 };
    kit_open(&kit);
    reset_ports_add(kit.bus, pci_bus_add(kit.bus),
                    (struct reset_wires){ .reset = reset_asked, .self = &said });
    ck_assert_uint_eq(kit_in(&kit, 0x92), 0x02);
    kit_out(&kit, 0x92, 0x03);
    kit_out(&kit, 0x92, 0x03);
    ck_assert_uint_eq(said.count, 1);
    ck_assert_uint_eq(kit_in(&kit, 0x92), 0x03);
    kit_out(&kit, 0x92, 0x02);
    kit_out(&kit, 0x92, 0x03);
    ck_assert_uint_eq(said.count, 2);
    kit_close(&kit);
}
END_TEST

/* rows: pitfalls 4.17 */
START_TEST(port_92_moves_a20)
{
    struct kit kit;
    struct said said = { 0 };
    kit_open(&kit);
    reset_ports_add(kit.bus, pci_bus_add(kit.bus),
                    (struct reset_wires){ .a20 = a20_moved, .self = &said });
    ck_assert_uint_eq(said.value, true); /* open from the start */
    said.count = 0;
    kit_out(&kit, 0x92, 0xfe);
    ck_assert_uint_eq(said.count, 0);
    ck_assert_uint_eq(kit_in(&kit, 0x92), 0x02);
    kit_out(&kit, 0x92, 0x00);
    ck_assert_uint_eq(said.count, 1);
    ck_assert_uint_eq(said.value, false);
    ck_assert_uint_eq(kit_in(&kit, 0x92), 0x00);
    bus_reset(kit.bus);
    ck_assert_uint_eq(said.value, true);
    ck_assert_uint_eq(kit_in(&kit, 0x92), 0x02);
    ck_assert_uint_eq(kit.told[PROBE_UNIMP], 0);
    kit_close(&kit);
}
END_TEST

static uint64_t item(struct kit *kit, uint16_t key, unsigned bytes)
{
    uint64_t value = 0;
    bus_port_ops.write(kit->bus, 0x510, 2, key);
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)kit_in(kit, 0x511) << 8 * i;
    return value;
}

START_TEST(fw_cfg_fixed_items)
{
    struct kit kit;
    kit_open(&kit);
    struct fw_cfg *fw = fw_cfg_add(kit.bus, 0x123456789000, 3);
    ck_assert_ptr_nonnull(fw);
    ck_assert_uint_eq(item(&kit, 0x00, 4), 0x554d4551); /* QEMU */
    ck_assert_uint_eq(item(&kit, 0x01, 4), 3);          /* both interfaces */
    ck_assert_uint_eq(item(&kit, 0x03, 8), 0x123456789000);
    ck_assert_uint_eq(item(&kit, 0x05, 2), 3);
    ck_assert_uint_eq(item(&kit, 0x0e, 2), 0);
    fw_cfg_set_boot_menu(fw, true);
    ck_assert_uint_eq(item(&kit, 0x0e, 2), 1);
    ck_assert_uint_eq(item(&kit, 0x0f, 2), 3);
    ck_assert_uint_eq(item(&kit, 0x11, 8), 0);
    ck_assert_uint_eq(item(&kit, 0x19, 8), 0); /* an empty directory */
    ck_assert_uint_eq(item(&kit, 0x20, 8), 0);
    ck_assert_uint_eq(item(&kit, 0xffff, 8), 0);
    ck_assert_uint_eq(kit_in(&kit, 0x512), 0xff); /* nobody's */
    kit_close(&kit);
}
END_TEST

START_TEST(fw_cfg_reads_go_on_and_end_in_zeros)
{
    struct kit kit;
    kit_open(&kit);
    fw_cfg_add(kit.bus, 4096, 1);
    (void)item(&kit, 0x00, 3);
    ck_assert_uint_eq(kit_in(&kit, 0x511), 'U');
    ck_assert_uint_eq(kit_in(&kit, 0x511), 0);
    ck_assert_uint_eq(item(&kit, 0x00, 1), 'Q'); /* selecting starts over */
    kit_out(&kit, 0x511, 0x55);                  /* no effect */
    kit_out(&kit, 0x510, 0x05);
    ck_assert_uint_eq(kit_in(&kit, 0x511), 'E');
    kit_close(&kit);
}
END_TEST

START_TEST(fw_cfg_files_and_directory)
{
    struct kit kit;
    kit_open(&kit);
    struct fw_cfg *fw = fw_cfg_add(kit.bus, 4096, 1);
    char longest[56];
    memset(longest, 'n', 55);
    longest[55] = 0;
    ck_assert_int_eq(fw_cfg_add_file(fw, "opt/a", "hello", 5, NULL), PACIFICA_OK);
    ck_assert_int_eq(fw_cfg_add_file(fw, longest, NULL, 0, NULL), PACIFICA_OK);
    ck_assert_uint_eq(item(&kit, 0x20, 6), 0x6f6c6c6568);
    ck_assert_uint_eq(item(&kit, 0x21, 1), 0);
    uint8_t directory[4 + 2 * 64 + 1];
    bus_port_ops.write(kit.bus, 0x510, 2, 0x19);
    for (size_t i = 0; i < sizeof(directory); i++)
        directory[i] = kit_in(&kit, 0x511);
    static const uint8_t head[] = { 0,    0, 0, 2,   0,   0,   0,   5,   0,
                                    0x20, 0, 0, 'o', 'p', 't', '/', 'a', 0 };
    ck_assert_mem_eq(directory, head, sizeof(head));
    ck_assert_uint_eq(directory[4 + 64 + 5], 0x21);
    ck_assert_mem_eq(directory + 4 + 64 + 8, longest, 56);
    ck_assert_uint_eq(directory[sizeof(directory) - 1], 0);
    kit_close(&kit);
}
END_TEST

START_TEST(fw_cfg_refuses_bad_names_and_too_many)
{
    struct kit kit;
    struct pacifica_diag diag = { .what = "" };
    char name[64];
    kit_open(&kit);
    struct fw_cfg *fw = fw_cfg_add(kit.bus, 4096, 1);
    memset(name, 'n', 56);
    name[56] = 0;
    ck_assert_int_eq(fw_cfg_add_file(fw, name, "", 0, &diag), PACIFICA_EUSAGE);
    ck_assert_str_ne(diag.what, "");
    ck_assert_int_eq(fw_cfg_add_file(fw, "", "", 0, NULL), PACIFICA_EUSAGE);
    for (unsigned i = 0; i < FW_CFG_FILES; i++) {
        (void)snprintf(name, sizeof(name), "opt/%u", i);
        ck_assert_int_eq(fw_cfg_add_file(fw, name, "", 0, NULL), PACIFICA_OK);
    }
    ck_assert_int_eq(fw_cfg_add_file(fw, "opt/0", "", 0, NULL), PACIFICA_EUSAGE);
    ck_assert_int_eq(fw_cfg_add_file(fw, "opt/x", "", 0, &diag), PACIFICA_EUSAGE);
    ck_assert_uint_eq(item(&kit, 0x19, 4), (uint64_t)FW_CFG_FILES << 24);
    kit_close(&kit);
}
END_TEST

CHECK_MAIN("ports", debug_exit_tells_the_value_of_every_width, debug_exit_size_and_base,
           debugcon_prints_and_answers_e9, post_port_latches, reset_control_acts_on_the_rising_bit,
           reset_control_is_deaf_to_pci_addresses, port_92_resets_on_the_rising_bit,
           port_92_moves_a20, fw_cfg_fixed_items, fw_cfg_reads_go_on_and_end_in_zeros,
           fw_cfg_files_and_directory, fw_cfg_refuses_bad_names_and_too_many)

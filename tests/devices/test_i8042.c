/* The keyboard controller with its keyboard and mouse. */
#include "tests/devices/kit.h"

#include "devices/i8042.h"

#define DATA 0x60
#define COMMAND 0x64
#define BYTE_NS 20000u

#define OBF 0x01
#define MOUSE_OBF 0x20

struct board {
    struct kit kit;
    struct kit_line keyboard, mouse;
    struct i8042 *kbc;
    unsigned resets, moves;
    bool a20;
};

static struct board b;

static void reset_asked(void *self)
{
    ((struct board *)self)->resets++;
}

static void a20_moved(void *self, bool open)
{
    struct board *board = self;
    board->moves++;
    board->a20 = open;
}

static void setup(void)
{
    memset(&b, 0, sizeof(b));
    kit_open(&b.kit);
    struct reset_ports *ports =
        reset_ports_add(b.kit.bus, pci_bus_add(b.kit.bus),
                        (struct reset_wires){ .reset = reset_asked, .a20 = a20_moved, .self = &b });
    b.kbc = i8042_add(b.kit.bus, &(struct i8042_config){ .keyboard = kit_line_to(&b.keyboard),
                                                         .mouse = kit_line_to(&b.mouse),
                                                         .reset = ports });
    ck_assert_ptr_nonnull(b.kbc);
    b.moves = 0;
}

static void teardown(void)
{
    kit_close(&b.kit);
}

static void command(uint8_t byte)
{
    kit_out(&b.kit, COMMAND, byte);
}

static void data(uint8_t byte)
{
    kit_out(&b.kit, DATA, byte);
}

static void to_mouse(uint8_t byte)
{
    command(0xd4);
    data(byte);
}

/* The next byte, for which time passes if need be; -1: none comes. */
static int next(void)
{
    if (!(kit_in(&b.kit, COMMAND) & OBF))
        kit_pass(&b.kit, BYTE_NS);
    return kit_in(&b.kit, COMMAND) & OBF ? kit_in(&b.kit, DATA) : -1;
}

static void want(const char *hex)
{
    for (; *hex; hex += 2 + (hex[2] == ' '))
        ck_assert_int_eq(next(), (int)strtoul((char[]){ hex[0], hex[1], 0 }, NULL, 16));
    ck_assert_int_eq(next(), -1);
}

static void mode(uint8_t byte)
{
    command(0x60);
    data(byte);
}

START_TEST(status_after_reset)
{
    ck_assert_uint_eq(kit_in(&b.kit, COMMAND), 0x1c);
    data(0xee);
    ck_assert_uint_eq(kit_in(&b.kit, COMMAND), 0x14); /* the last write was no command */
    kit_pass(&b.kit, BYTE_NS);
    ck_assert_uint_eq(kit_in(&b.kit, COMMAND), 0x15);
    ck_assert_uint_eq(kit_in(&b.kit, DATA), 0xee);
    ck_assert_uint_eq(kit_in(&b.kit, COMMAND), 0x14);
    ck_assert_uint_eq(kit_in(&b.kit, DATA), 0xee); /* the buffer keeps what it had */
}
END_TEST

START_TEST(commands_that_answer)
{
    static const struct {
        uint8_t command, answer;
    } rows[] = { { 0x20, 0x07 }, { 0x21, 0x00 }, { 0xa4, 0xf1 }, { 0xa9, 0x00 }, { 0xaa, 0x55 },
                 { 0xab, 0x00 }, { 0xc0, 0x80 }, { 0xd0, 0xc3 }, { 0xe0, 0x00 } };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        command(rows[i].command);
        ck_assert_uint_eq(kit_in(&b.kit, COMMAND), 0x1d); /* at once */
        ck_assert_int_eq(next(), rows[i].answer);
        ck_assert_int_eq(next(), -1);
    }
}
END_TEST

START_TEST(firmware_leaves_translation_on_and_the_mouse_off)
{
    i8042_firmware_init(b.kbc);
    command(0x20);
    ck_assert_int_eq(next(), 0x65);
}
END_TEST

START_TEST(unknown_commands_are_told)
{
    command(0xb0);
    ck_assert_int_eq(next(), -1);
    ck_assert_uint_eq(b.kit.told[PROBE_UNIMP], 1);
}
END_TEST

START_TEST(ram_keeps_what_was_written)
{
    for (unsigned i = 1; i < 32; i++) {
        command((uint8_t)(0x60 + i));
        data((uint8_t)(0xa0 + i));
    }
    for (unsigned i = 1; i < 32; i++) {
        command((uint8_t)(0x20 + i));
        ck_assert_int_eq(next(), (int)(0xa0 + i));
    }
    mode(0x43);
    command(0x20);
    ck_assert_int_eq(next(), 0x43);
    ck_assert_uint_eq(kit_in(&b.kit, COMMAND) & 4, 0); /* the status shows the mode's system bit */
    command(0xaa);
    ck_assert_uint_eq(kit_in(&b.kit, COMMAND) & 4, 4);
}
END_TEST

START_TEST(output_port_resets_and_moves_a20)
{
    command(0xd1);
    data(0xdd);
    ck_assert(!b.a20);
    ck_assert_uint_eq(b.moves, 1);
    ck_assert_uint_eq(kit_in(&b.kit, 0x92) & 2, 0); /* one latch */
    command(0xd0);
    ck_assert_int_eq(next(), 0xc1);
    command(0xdf);
    ck_assert(b.a20);
    command(0xdd);
    ck_assert(!b.a20);
    kit_out(&b.kit, 0x92, 2);
    ck_assert(b.a20);
    ck_assert_uint_eq(b.resets, 0);
    command(0xd1);
    data(0xde);
    ck_assert_uint_eq(b.resets, 1);
}
END_TEST

START_TEST(pulses_of_bit_0_reset)
{
    for (unsigned i = 0xf0; i <= 0xff; i++) {
        b.resets = 0;
        command((uint8_t)i);
        ck_assert_uint_eq(b.resets, !(i & 1));
    }
}
END_TEST

START_TEST(output_buffer_interrupts_as_the_mode_says)
{
    i8042_key(b.kbc, 0x04, true);
    ck_assert(!b.keyboard.level);
    kit_pass(&b.kit, BYTE_NS);
    ck_assert(b.keyboard.level);
    ck_assert_uint_eq(kit_in(&b.kit, COMMAND) & MOUSE_OBF, 0);
    kit_in(&b.kit, DATA);
    ck_assert(!b.keyboard.level);

    to_mouse(0xf2);
    kit_pass(&b.kit, BYTE_NS);
    ck_assert(!b.keyboard.level && b.mouse.level);
    ck_assert_uint_eq(kit_in(&b.kit, COMMAND) & MOUSE_OBF, MOUSE_OBF);
    mode(0x05);
    ck_assert(!b.mouse.level);
    kit_in(&b.kit, DATA);
    ck_assert_uint_eq(kit_in(&b.kit, COMMAND) & MOUSE_OBF, 0);

    mode(0x04);
    data(0xee);
    kit_pass(&b.kit, BYTE_NS);
    ck_assert_uint_eq(kit_in(&b.kit, COMMAND) & OBF, OBF);
    ck_assert(!b.keyboard.level);
}
END_TEST

START_TEST(bytes_come_one_by_one)
{
    mode(0x47);
    i8042_key(b.kbc, 0x04, true);
    i8042_key(b.kbc, 0x04, false);
    kit_pass(&b.kit, 10 * BYTE_NS);
    ck_assert_uint_eq(kit_in(&b.kit, DATA), 0x1e);
    ck_assert(!b.keyboard.level); /* an edge for each */
    kit_pass(&b.kit, BYTE_NS - 1);
    ck_assert(!b.keyboard.level);
    kit_pass(&b.kit, 1);
    ck_assert(b.keyboard.level);
    ck_assert_uint_eq(kit_in(&b.kit, DATA), 0x9e);
}
END_TEST

START_TEST(disabled_devices_wait)
{
    command(0xad);
    command(0xa7);
    i8042_key(b.kbc, 0x29, true);
    ck_assert_int_eq(next(), -1);
    command(0x20);
    ck_assert_int_eq(next(), 0x37);
    command(0xae);
    want("76");
    to_mouse(0xf2); /* writing enables */
    want("fa 00");
    command(0x20);
    ck_assert_int_eq(next(), 0x07);
}
END_TEST

START_TEST(bytes_can_be_made_to_come_from_devices)
{
    command(0xd2);
    data(0x5a);
    ck_assert(b.keyboard.level);
    want("5a");
    command(0xd3);
    data(0xa5);
    ck_assert(b.mouse.level);
    ck_assert_uint_eq(kit_in(&b.kit, COMMAND) & MOUSE_OBF, MOUSE_OBF);
    want("a5");
}
END_TEST

/* --- the keyboard ------------------------------------------------------------------------------------ */

START_TEST(keyboard_commands)
{
    static const struct {
        const char *sent, *answer;
    } rows[] = { { "ff", "fa aa" },    { "ee", "ee" },          { "f2", "fa ab 83" },
                 { "ed 07", "fa fa" }, { "f3 20", "fa fa" },    { "f0 00", "fa fa 02" },
                 { "f0 01", "fa fa" }, { "f0 00", "fa fa 01" }, { "f0 03", "fa fe" },
                 { "f6", "fa" },       { "f0 00", "fa fa 02" }, { "f5", "fa" },
                 { "f4", "fa" },       { "e0", "fe" },          { "ed f2", "fa fa ab 83" },
                 { "fe", "83" } };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char got[32] = "";
        for (const char *p = rows[i].sent; *p; p += 2 + (p[2] == ' ')) {
            data((uint8_t)strtoul((char[]){ p[0], p[1], 0 }, NULL, 16));
            for (int byte; (byte = next()) >= 0;)
                snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%02x", *got ? " " : "",
                         (unsigned)byte);
        }
        ck_assert_str_eq(got, rows[i].answer);
    }
}
END_TEST

START_TEST(keys_in_set_2)
{
    i8042_key(b.kbc, 0x04, true);
    i8042_key(b.kbc, 0x04, false);
    want("1c f0 1c");
    i8042_key(b.kbc, 0x52, true);
    i8042_key(b.kbc, 0x52, false);
    want("e0 75 e0 f0 75");
    i8042_key(b.kbc, 0x46, true);
    i8042_key(b.kbc, 0x46, false);
    want("e0 12 e0 7c e0 f0 7c e0 f0 12");
    i8042_key(b.kbc, 0x48, true);
    i8042_key(b.kbc, 0x48, false);
    want("e1 14 77 e1 f0 14 f0 77");
    i8042_key(b.kbc, 0x40, true);
    want("83");
    i8042_key(b.kbc, 0x03, true);
    i8042_key(b.kbc, 0xff, true);
    i8042_key(b.kbc, 0x104, true);
    want("");
}
END_TEST

static void want_set_1(void)
{
    i8042_key(b.kbc, 0x04, true);
    i8042_key(b.kbc, 0x04, false);
    want("1e 9e");
    i8042_key(b.kbc, 0x52, true);
    i8042_key(b.kbc, 0x52, false);
    want("e0 48 e0 c8");
    i8042_key(b.kbc, 0x48, true);
    want("e1 1d 45 e1 9d c5");
    i8042_key(b.kbc, 0x40, true);
    want("41");
    i8042_key(b.kbc, 0x45, true);
    i8042_key(b.kbc, 0x45, false);
    want("58 d8");
}

START_TEST(controller_translates_to_set_1)
{
    mode(0x47);
    want_set_1();
}
END_TEST

START_TEST(keyboard_has_set_1)
{
    data(0xf0);
    data(0x01);
    while (next() >= 0) {
    }
    want_set_1();
}
END_TEST

START_TEST(translation_reaches_answers)
{
    mode(0x47);
    data(0xf2);
    want("fa ab 41");
}
END_TEST

START_TEST(keys_count_only_while_scanning)
{
    data(0xf5);
    i8042_key(b.kbc, 0x04, true);
    want("fa");
    data(0xf4);
    want("fa");
    i8042_key(b.kbc, 0x04, false);
    want("f0 1c");
}
END_TEST

START_TEST(too_many_keys_are_told_by_a_zero)
{
    for (unsigned i = 0; i < 40; i++)
        i8042_key(b.kbc, 0x05, true);
    for (unsigned i = 0; i < 31; i++)
        ck_assert_int_eq(next(), 0x32);
    want("00");
    i8042_key(b.kbc, 0x05, true);
    want("32");
}
END_TEST

START_TEST(answers_come_before_keys)
{
    i8042_key(b.kbc, 0x04, true);
    data(0xee);
    want("ee 1c");
}
END_TEST

/* --- the mouse ---------------------------------------------------------------------------------------- */

static void mouse_wants(const char *sent, const char *answer)
{
    for (const char *p = sent; *p; p += 2 + (p[2] == ' ')) {
        to_mouse((uint8_t)strtoul((char[]){ p[0], p[1], 0 }, NULL, 16));
        if (p[2])
            ck_assert_int_eq(next(), 0xfa);
    }
    want(answer);
}

START_TEST(mouse_commands)
{
    mouse_wants("ff", "fa aa 00");
    mouse_wants("f2", "fa 00");
    mouse_wants("e9", "fa 00 02 64");
    mouse_wants("e8 03", "fa");
    mouse_wants("f3 28", "fa");
    mouse_wants("e7", "fa");
    mouse_wants("f4", "fa");
    i8042_mouse(b.kbc, 0, 0, 0, 0x05);
    want("0d 00 00");
    mouse_wants("e9", "fa 36 03 28");
    mouse_wants("f0", "fa");
    mouse_wants("e9", "fa 76 03 28");
    mouse_wants("f6", "fa");
    mouse_wants("e9", "fa 06 02 64");
    mouse_wants("01", "fe");
    mouse_wants("fe", "fe");
}
END_TEST

START_TEST(mouse_reports_movements)
{
    i8042_mouse(b.kbc, 5, 5, 0, 0); /* nobody has enabled it */
    want("");
    mouse_wants("f4", "fa");
    i8042_mouse(b.kbc, 5, -2, 3, 2);
    want("2a 05 fe");
    i8042_mouse(b.kbc, -300, 0, 0, 0);
    want("18 01 00 18 d3 00"); /* -255, -45 */
    mouse_wants("f5", "fa");
    i8042_mouse(b.kbc, 1, 1, 0, 0);
    want("");
}
END_TEST

START_TEST(mouse_scales_what_it_streams)
{
    static const struct {
        int moved;
        const char *told;
    } rows[] = { { 1, "08 01 00" }, { 2, "08 01 00" }, { 3, "08 03 00" }, { 4, "08 06 00" },
                 { 5, "08 09 00" }, { 6, "08 0c 00" }, { -4, "18 fa 00" } };
    mouse_wants("e7", "fa");
    mouse_wants("f4", "fa");
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        i8042_mouse(b.kbc, rows[i].moved, 0, 0, 0);
        want(rows[i].told);
    }
    mouse_wants("f0", "fa");
    i8042_mouse(b.kbc, 5, 0, 0, 0);
    mouse_wants("eb", "fa 08 05 00");
}
END_TEST

START_TEST(mouse_in_remote_mode_speaks_when_asked)
{
    mouse_wants("f0", "fa");
    mouse_wants("f4", "fa");
    i8042_mouse(b.kbc, 1, 2, 0, 1);
    want("");
    mouse_wants("eb", "fa 09 01 02");
    mouse_wants("eb", "fa 09 00 00");
    mouse_wants("ea", "fa");
    i8042_mouse(b.kbc, 1, 2, 0, 1);
    want("09 01 02");
}
END_TEST

START_TEST(mouse_shows_its_wheel_to_those_who_ask)
{
    mouse_wants("f3 c8 f3 64 f3 50", "fa");
    mouse_wants("f2", "fa 03");
    mouse_wants("f4", "fa");
    i8042_mouse(b.kbc, 0, 0, -1, 0x10);
    want("08 00 00 ff");
    mouse_wants("f3 c8 f3 c8 f3 50", "fa");
    mouse_wants("f2", "fa 04");
    mouse_wants("f4", "fa");
    i8042_mouse(b.kbc, 0, 0, 1, 0x08);
    want("08 00 00 11");
    mouse_wants("ff", "fa aa 00");
    mouse_wants("f3 c8 f3 64 f3 64 f3 50", "fa"); /* another sequence */
    mouse_wants("f2", "fa 00");
}
END_TEST

START_TEST(mouse_wraps)
{
    mouse_wants("ee", "fa");
    mouse_wants("e9", "e9");
    mouse_wants("f4", "f4");
    mouse_wants("ec", "fa");
    mouse_wants("f2", "fa 00");
    mouse_wants("ee", "fa");
    mouse_wants("ff", "fa aa 00");
}
END_TEST

START_TEST(mouse_keeps_what_has_no_room)
{
    mouse_wants("f4", "fa");
    for (unsigned i = 0; i < 100; i++)
        i8042_mouse(b.kbc, 1, 0, 0, 0);
    int moved = 0;
    for (int first; (first = next()) >= 0;) {
        ck_assert_int_eq(first, 0x08);
        moved += next();
        ck_assert_int_eq(next(), 0);
    }
    ck_assert_int_eq(moved, 100);
}
END_TEST

START_TEST(mix_sees_every_change)
{
    uint64_t seen[12];
    for (unsigned i = 0; i < 12; i++) {
        bus_reset(b.kit.bus);
        switch (i) {
        case 0: mode(0x47); break;
        case 1: i8042_key(b.kbc, 0x04, true); break;
        case 2: i8042_key(b.kbc, 0x05, true); break;
        case 3: data(0xed); break;
        case 4: to_mouse(0xe8); break;
        case 5: i8042_mouse(b.kbc, 1, 0, 0, 0); break;
        case 6: i8042_mouse(b.kbc, 0, 0, 0, 1); break;
        case 7: command(0xd1); break;
        case 8: command(0xaa); break;
        case 9: command(0x7f), data(1); break;
        case 10: kit_out(&b.kit, 0x92, 0); break;
        default: break;
        }
        seen[i] = kit_bus_hash(b.kit.bus);
        for (unsigned k = 0; k < i; k++)
            ck_assert_uint_ne(seen[i], seen[k]);
        i8042_mouse(b.kbc, 0, 0, 0, 0);
    }
}
END_TEST

START_TEST(reset_forgets)
{
    mode(0x00);
    i8042_key(b.kbc, 0x04, true);
    data(0xed);
    bus_reset(b.kit.bus);
    ck_assert_uint_eq(kit_in(&b.kit, COMMAND), 0x1c);
    ck_assert_int_eq(next(), -1);
    command(0x20);
    ck_assert_int_eq(next(), 0x07);
    data(0xee);
    want("ee");
}
END_TEST

CHECK_MAIN_WITH("i8042", setup, teardown, status_after_reset, commands_that_answer,
                unknown_commands_are_told, ram_keeps_what_was_written,
                output_port_resets_and_moves_a20, pulses_of_bit_0_reset,
                output_buffer_interrupts_as_the_mode_says, bytes_come_one_by_one,
                disabled_devices_wait, bytes_can_be_made_to_come_from_devices, keyboard_commands,
                keys_in_set_2, controller_translates_to_set_1, keyboard_has_set_1,
                translation_reaches_answers, keys_count_only_while_scanning,
                too_many_keys_are_told_by_a_zero, answers_come_before_keys, mouse_commands,
                mouse_reports_movements, mouse_scales_what_it_streams,
                mouse_in_remote_mode_speaks_when_asked, mouse_shows_its_wheel_to_those_who_ask,
                mouse_wraps, mouse_keeps_what_has_no_room,
                firmware_leaves_translation_on_and_the_mouse_off, mix_sees_every_change,
                reset_forgets)

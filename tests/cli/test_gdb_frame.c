/* Packets of the GDB protocol as bytes on the line. */
#include "emu/cli/gdb_frame.h"

#include "tests/check_main.h"

#include <stdio.h>
#include <string.h>

/* Feed text; returns what its last byte has completed, and nothing may be completed before. */
static enum gdb_frame_event feed(struct gdb_frame *frame, const char *text, size_t size)
{
    for (size_t i = 0; i + 1 < size; i++)
        ck_assert_int_eq(gdb_frame_byte(frame, (uint8_t)text[i]), GDB_FRAME_NOTHING);
    return gdb_frame_byte(frame, (uint8_t)text[size - 1]);
}
#define FEED(frame, text) feed(frame, text, sizeof(text) - 1)

START_TEST(packet_is_what_stands_between_dollar_and_hash)
{
    struct gdb_frame frame = { .size = 0 };
    ck_assert_int_eq(FEED(&frame, "$m0,4#fd"), GDB_FRAME_PACKET);
    ck_assert_str_eq(frame.body, "m0,4");
    ck_assert_int_eq(FEED(&frame, "+$#00"), GDB_FRAME_PACKET);
    ck_assert_uint_eq(frame.size, 0);
    ck_assert_str_eq(frame.body, "");
}
END_TEST

START_TEST(checksum_is_of_bytes_as_sent_and_case_does_not_matter)
{
    static const struct {
        const char *text;
        enum gdb_frame_event event;
    } rows[] = {
        { "$g#67", GDB_FRAME_PACKET },      { "$g#68", GDB_FRAME_DAMAGED },
        { "$g#g7", GDB_FRAME_DAMAGED },     { "$g#6 ", GDB_FRAME_DAMAGED },
        { "$mf#D3", GDB_FRAME_PACKET },     { "$mf#d3", GDB_FRAME_PACKET },
        { "$X}\x03#d8", GDB_FRAME_PACKET }, { "$X}\x03#d7", GDB_FRAME_DAMAGED },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct gdb_frame frame = { .size = 0 };
        ck_assert_int_eq(feed(&frame, rows[i].text, strlen(rows[i].text)), rows[i].event);
    }
}
END_TEST

START_TEST(escaped_bytes_are_restored)
{
    static const char sent[] = "$X}\x04}\x03}]}\x0a\x03#bd";
    struct gdb_frame frame = { .size = 0 };
    ck_assert_int_eq(FEED(&frame, sent), GDB_FRAME_PACKET);
    ck_assert_uint_eq(frame.size, 6);
    ck_assert_mem_eq(frame.body, "X$#}*\x03", 7);
}
END_TEST

START_TEST(signs_between_packets_are_told_and_rubbish_is_not)
{
    struct gdb_frame frame = { .size = 0 };
    ck_assert_int_eq(gdb_frame_byte(&frame, '-'), GDB_FRAME_REPEAT);
    ck_assert_int_eq(gdb_frame_byte(&frame, 3), GDB_FRAME_INTERRUPT);
    for (unsigned byte = 0; byte < 256; byte++)
        if (byte != '-' && byte != 3 && byte != '$')
            ck_assert_int_eq(gdb_frame_byte(&frame, (uint8_t)byte), GDB_FRAME_NOTHING);
    ck_assert_int_eq(FEED(&frame, "$?#3f"), GDB_FRAME_PACKET);
}
END_TEST

START_TEST(dollar_begins_anew_wherever_it_stands)
{
    struct gdb_frame frame = { .size = 0 };
    ck_assert_int_eq(FEED(&frame, "$m0,$?#3f"), GDB_FRAME_PACKET);
    ck_assert_str_eq(frame.body, "?");
    ck_assert_int_eq(FEED(&frame, "$m0,4#f$?#3f"), GDB_FRAME_PACKET);
    ck_assert_str_eq(frame.body, "?");
}
END_TEST

/* A packet of `size` letters a; returns what it came to. */
static enum gdb_frame_event long_packet(struct gdb_frame *frame, size_t size)
{
    char end[4];
    (void)gdb_frame_byte(frame, '$');
    for (size_t i = 0; i < size; i++)
        ck_assert_int_eq(gdb_frame_byte(frame, 'a'), GDB_FRAME_NOTHING);
    (void)snprintf(end, sizeof(end), "#%02x", (unsigned)(size * 'a') & 0xff);
    return feed(frame, end, 3);
}

START_TEST(packet_has_at_most_what_we_announce)
{
    static struct gdb_frame frame;
    ck_assert_int_eq(long_packet(&frame, GDB_PACKET_MOST), GDB_FRAME_PACKET);
    ck_assert_uint_eq(frame.size, GDB_PACKET_MOST);
    ck_assert_uint_eq(strlen(frame.body), GDB_PACKET_MOST);
    ck_assert_int_eq(long_packet(&frame, GDB_PACKET_MOST + 1), GDB_FRAME_TOO_LONG);
    ck_assert_int_eq(long_packet(&frame, 1000000), GDB_FRAME_TOO_LONG);
    ck_assert_int_eq(FEED(&frame, "$?#3f"), GDB_FRAME_PACKET);
}
END_TEST

START_TEST(line_is_read_back)
{
    static struct gdb_text text;
    static struct gdb_frame frame;
    static char line[GDB_LINE_MOST];
    uint8_t bytes[256];
    for (unsigned i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    ck_assert_uint_eq(gdb_text_binary(&text, bytes, sizeof(bytes)), sizeof(bytes));
    ck_assert_uint_eq(text.size, 256 + 4);
    ck_assert_int_eq(feed(&frame, line, gdb_frame_line(&text, line)), GDB_FRAME_PACKET);
    ck_assert_uint_eq(frame.size, 256);
    ck_assert_mem_eq(frame.body, bytes, 256);
}
END_TEST

START_TEST(text_ends_where_a_packet_does)
{
    static struct gdb_text text;
    static uint8_t bytes[GDB_PACKET_MOST];
    gdb_text_hex(&text, bytes, GDB_PACKET_MOST / 2);
    ck_assert(!text.full && text.size == GDB_PACKET_MOST);
    gdb_text_put(&text, "a");
    ck_assert(text.full && text.size == GDB_PACKET_MOST);
    gdb_text_clear(&text);
    gdb_text_hex(&text, bytes, GDB_PACKET_MOST / 2 + 1);
    ck_assert(text.full && text.size == 0);
    gdb_text_clear(&text);
    memset(bytes, '#', sizeof(bytes));
    gdb_text_put(&text, "b");
    ck_assert_uint_eq(gdb_text_binary(&text, bytes, sizeof(bytes)), (GDB_PACKET_MOST - 1) / 2);
}
END_TEST

START_TEST(numbers_have_one_to_sixteen_digits)
{
    static const struct {
        const char *text;
        bool good;
        uint64_t number;
        char behind;
    } rows[] = {
        { "0", true, 0, 0 },     { "fF,", true, 0xff, ',' },
        { "", false, 0, 0 },     { ",1", false, 0, ',' },
        { "x1", false, 0, 'x' }, { "ffffffffffffffff", true, UINT64_MAX, 0 },
        { "-1", false, 0, '-' }, { "10000000000000000", false, 0, '1' },
        { "1g", true, 1, 'g' },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *text = rows[i].text;
        uint64_t number = 0;
        ck_assert(gdb_take_number(&text, &number) == rows[i].good);
        ck_assert_uint_eq(number, rows[i].number);
        ck_assert_int_eq(*text, rows[i].behind);
    }
}
END_TEST

START_TEST(bytes_have_two_digits_each)
{
    const char *text = "0aFf1", *end = text;
    uint8_t bytes[3];
    ck_assert(gdb_take_bytes(&end, bytes, 2));
    ck_assert(bytes[0] == 0x0a && bytes[1] == 0xff && end == text + 4);
    ck_assert(!gdb_take_bytes(&end, bytes, 1) && end == text + 4);
    ck_assert(!gdb_take(&end, '2') && gdb_take(&end, '1') && !gdb_take(&end, '\0'));
}
END_TEST

CHECK_MAIN("gdb_frame", packet_is_what_stands_between_dollar_and_hash,
           checksum_is_of_bytes_as_sent_and_case_does_not_matter, escaped_bytes_are_restored,
           signs_between_packets_are_told_and_rubbish_is_not, dollar_begins_anew_wherever_it_stands,
           packet_has_at_most_what_we_announce, line_is_read_back, text_ends_where_a_packet_does,
           numbers_have_one_to_sixteen_digits, bytes_have_two_digits_each)

/* Lines of a trace: text and JSON. */
#include "emu/trace/record.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

struct sink {
    char text[2 * RECORD_BYTES];
    size_t used;
};

static void sink_write(void *self, const void *bytes, size_t size)
{
    struct sink *sink = self;
    ck_assert_uint_lt(sink->used + size, sizeof(sink->text));
    memcpy(sink->text + sink->used, bytes, size);
    sink->used += size;
}

static void finish(struct record *record, struct sink *sink)
{
    *sink = (struct sink){ 0 };
    struct pacifica_output output = { .write = sink_write, .self = sink };
    record_end(record, &output);
}

/* Every kind of field, once. */
static void all_fields(struct record *record)
{
    static const uint8_t bytes[] = { 0x0f, 0x01, 0xd8 };
    record_dec(record, "step", UINT64_MAX);
    record_hex(record, "gpa", UINT64_MAX);
    record_bool(record, "np", true);
    record_bool(record, "g", false);
    record_text(record, "op", "read");
    record_bytes(record, "bytes", bytes, sizeof(bytes));
    record_cs_rip(record, 8, 0x401000);
    record_note(record, "two words");
}

START_TEST(text_line_has_names_and_values)
{
    struct record record;
    struct sink sink;
    record_begin(&record, RECORD_TEXT, "vmrun");
    all_fields(&record);
    finish(&record, &sink);
    ck_assert_str_eq(sink.text,
                     "vmrun step 18446744073709551615 gpa 0xffffffffffffffff np true "
                     "g false op read bytes 0f01d8 at 0008:0000000000401000: two words\n");
}
END_TEST

START_TEST(json_line_is_one_object)
{
    struct record record;
    struct sink sink;
    record_begin(&record, RECORD_JSON, "vmrun");
    all_fields(&record);
    finish(&record, &sink);
    ck_assert_str_eq(sink.text,
                     "{\"event\":\"vmrun\",\"step\":18446744073709551615,"
                     "\"gpa\":\"0xffffffffffffffff\",\"np\":true,\"g\":false,\"op\":\"read\","
                     "\"bytes\":\"0f01d8\",\"cs\":\"0x0008\",\"rip\":\"0x401000\","
                     "\"note\":\"two words\"}\n");
}
END_TEST

START_TEST(json_escapes_what_the_grammar_forbids)
{
    struct record record;
    struct sink sink;
    record_begin(&record, RECORD_JSON, "unimp");
    record_note(&record, "\"\\\x01\n\x7f\xff~ ");
    finish(&record, &sink);
    ck_assert_str_eq(sink.text,
                     "{\"event\":\"unimp\",\"note\":\"\\\"\\\\\\u0001\\u000a\\u007f\\u00ff~ \"}\n");
}
END_TEST

START_TEST(text_shows_no_control_characters_to_a_terminal)
{
    struct record record;
    struct sink sink;
    record_begin(&record, RECORD_TEXT, "unimp");
    record_note(&record, "\x1b[2J\x9b\"\\");
    finish(&record, &sink);
    ck_assert_str_eq(sink.text, "unimp: \\x1b[2J\\x9b\"\\\n");
}
END_TEST

/* A field that does not fit is left out whole, at every length near the limit, and the line still ends. */
START_TEST(field_that_does_not_fit_is_left_out_whole)
{
    char filler[RECORD_BYTES];
    for (size_t length = RECORD_BYTES - 100; length < RECORD_BYTES - 1; length++) {
        struct record record;
        struct sink sink;
        memset(filler, 'x', length);
        filler[length] = '\0';
        record_begin(&record, RECORD_JSON, "e");
        record_text(&record, "f", filler);
        record_dec(&record, "number", 12345678);
        record_note(&record, "\"\"\"\"\"\"\"\"");
        finish(&record, &sink);
        ck_assert_uint_le(sink.used, RECORD_BYTES);
        ck_assert_str_eq(sink.text + sink.used - 2, "}\n");
        bool number = strstr(sink.text, "\"number\":12345678") != NULL;
        bool note = strstr(sink.text, "\"note\":\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\"") != NULL;
        bool text = strstr(sink.text, filler) != NULL;
        ck_assert_int_eq(strstr(sink.text, ",\"cut\":true}") != NULL, !(number && note && text));
        ck_assert_int_eq(strstr(sink.text, "\"note\"") != NULL, note);
        ck_assert_int_eq(strstr(sink.text, "\"number\"") != NULL, number);
    }
}
END_TEST

START_TEST(text_line_says_that_it_was_cut)
{
    char filler[2 * RECORD_BYTES];
    struct record record;
    struct sink sink;
    memset(filler, 'x', sizeof(filler) - 1);
    filler[sizeof(filler) - 1] = '\0';
    record_begin(&record, RECORD_TEXT, "e");
    record_note(&record, filler);
    finish(&record, &sink);
    ck_assert_str_eq(sink.text, "e (cut)\n");
}
END_TEST

START_TEST(record_without_destination_is_thrown_away)
{
    struct record record;
    struct pacifica_output nowhere = { 0 };
    record_begin(&record, RECORD_TEXT, "e");
    record_end(&record, &nowhere);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("record");
    TCase *tc = tcase_create("lines");
    tcase_add_test(tc, text_line_has_names_and_values);
    tcase_add_test(tc, json_line_is_one_object);
    tcase_add_test(tc, json_escapes_what_the_grammar_forbids);
    tcase_add_test(tc, text_shows_no_control_characters_to_a_terminal);
    tcase_add_test(tc, field_that_does_not_fit_is_left_out_whole);
    tcase_add_test(tc, text_line_says_that_it_was_cut);
    tcase_add_test(tc, record_without_destination_is_thrown_away);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

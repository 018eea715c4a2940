/* Filters of trace events. */
#include "emu/trace/filter.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static bool two_names(const char *word, uint64_t *value)
{
    *value = 0x400;
    return strcmp(word, "npf") == 0 || strcmp(word, "NPF") == 0;
}

static bool parse(struct filter *filter, const char *text)
{
    return filter_parse(filter, text, strlen(text), two_names);
}

START_TEST(filter_without_ranges_passes_everything)
{
    struct filter filter = { 0 };
    ck_assert(filter_passes(&filter, 0));
    ck_assert(filter_passes(&filter, UINT64_MAX));
}
END_TEST

START_TEST(filter_number_passes_only_itself)
{
    struct filter filter;
    ck_assert(parse(&filter, "0x3f8"));
    ck_assert(!filter_passes(&filter, 0x3f7));
    ck_assert(filter_passes(&filter, 0x3f8));
    ck_assert(!filter_passes(&filter, 0x3f9));
}
END_TEST

START_TEST(filter_range_includes_both_ends)
{
    struct filter filter;
    ck_assert(parse(&filter, "16-0x20"));
    ck_assert(!filter_passes(&filter, 15));
    ck_assert(filter_passes(&filter, 16));
    ck_assert(filter_passes(&filter, 32));
    ck_assert(!filter_passes(&filter, 33));
}
END_TEST

START_TEST(filter_parts_are_joined_by_plus)
{
    struct filter filter;
    ck_assert(parse(&filter, "1+npf+4-5"));
    ck_assert_uint_eq(filter.count, 3);
    ck_assert(filter_passes(&filter, 1));
    ck_assert(filter_passes(&filter, 0x400));
    ck_assert(filter_passes(&filter, 5));
    ck_assert(!filter_passes(&filter, 2));
}
END_TEST

START_TEST(filter_takes_64_bits)
{
    struct filter filter;
    ck_assert(parse(&filter, "0xfffffffffffffff0-0xffffffffffffffff"));
    ck_assert(filter_passes(&filter, UINT64_MAX));
    ck_assert(!parse(&filter, "0x10000000000000000"));
}
END_TEST

START_TEST(filter_refuses_malformed_text)
{
    static const char *const bad[] = { "",   "+",    "1+",    "+1",  "1++2", "2-1", "1--", "-1",
                                       "1x", "1-2x", "1-2-3", "foo", " 1",   "1 ",  "0x" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct filter filter;
        ck_assert_msg(!parse(&filter, bad[i]), "accepted '%s'", bad[i]);
    }
}
END_TEST

START_TEST(filter_holds_sixteen_parts_and_no_more)
{
    struct filter filter;
    ck_assert(parse(&filter, "1+2+3+4+5+6+7+8+9+10+11+12+13+14+15+16"));
    ck_assert(filter_passes(&filter, 16));
    ck_assert(!parse(&filter, "1+2+3+4+5+6+7+8+9+10+11+12+13+14+15+16+17"));
}
END_TEST

START_TEST(filter_stops_at_the_given_length)
{
    struct filter filter;
    ck_assert(filter_parse(&filter, "12345", 2, NULL));
    ck_assert(filter_passes(&filter, 12));
    ck_assert(!filter_passes(&filter, 12345));
}
END_TEST

START_TEST(filter_refuses_names_where_there_are_none)
{
    struct filter filter;
    ck_assert(!filter_parse(&filter, "npf", 3, NULL));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("filter");
    TCase *tc = tcase_create("filter");
    tcase_add_test(tc, filter_without_ranges_passes_everything);
    tcase_add_test(tc, filter_number_passes_only_itself);
    tcase_add_test(tc, filter_range_includes_both_ends);
    tcase_add_test(tc, filter_parts_are_joined_by_plus);
    tcase_add_test(tc, filter_takes_64_bits);
    tcase_add_test(tc, filter_refuses_malformed_text);
    tcase_add_test(tc, filter_holds_sixteen_parts_and_no_more);
    tcase_add_test(tc, filter_stops_at_the_given_length);
    tcase_add_test(tc, filter_refuses_names_where_there_are_none);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* main() of a Check program: CHECK_MAIN("subject", test_one, test_two, ...). */
#ifndef TESTS_CHECK_MAIN_H
#define TESTS_CHECK_MAIN_H

#include <check.h>

static inline int check_main(const char *name, const TTest *const *tests, size_t count)
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

#define CHECK_MAIN(name, ...)                                             \
    int main(void)                                                        \
    {                                                                     \
        const TTest *const tests[] = { __VA_ARGS__ };                     \
        return check_main(name, tests, sizeof(tests) / sizeof(tests[0])); \
    }

#endif

/* main() of a Check program: CHECK_MAIN("subject", test_one, test_two, ...). */
#ifndef TESTS_CHECK_MAIN_H
#define TESTS_CHECK_MAIN_H

#include <check.h>

/* setup and teardown surround each test; both may be NULL. */
static inline int check_main_with(const char *name, SFun setup, SFun teardown,
                                  const TTest *const *tests, size_t count)
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    if (setup)
        tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

static inline int check_main(const char *name, const TTest *const *tests, size_t count)
{
    return check_main_with(name, NULL, NULL, tests, count);
}

#define CHECK_MAIN(name, ...)                                             \
    int main(void)                                                        \
    {                                                                     \
        const TTest *const tests[] = { __VA_ARGS__ };                     \
        return check_main(name, tests, sizeof(tests) / sizeof(tests[0])); \
    }

/* The same with a fixture. */
#define CHECK_MAIN_WITH(name, setup, teardown, ...)                                             \
    int main(void)                                                                              \
    {                                                                                           \
        const TTest *const tests[] = { __VA_ARGS__ };                                           \
        return check_main_with(name, setup, teardown, tests, sizeof(tests) / sizeof(tests[0])); \
    }

#endif

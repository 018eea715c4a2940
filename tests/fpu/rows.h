/* main() of a test that runs the same cases for each row of a table: loop tests of Check, _i is the row. */
#ifndef TESTS_FPU_ROWS_H
#define TESTS_FPU_ROWS_H

#include <check.h>

static inline int check_rows(const char *name, const TTest *const *tests, size_t count, int rows)
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    for (size_t i = 0; i < count; i++)
        tcase_add_loop_test(tcase, tests[i], 0, rows);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

#define CHECK_ROWS(name, rows, ...)                                                    \
    int main(void)                                                                     \
    {                                                                                  \
        const TTest *const tests[] = { __VA_ARGS__ };                                  \
        return check_rows(name, tests, sizeof(tests) / sizeof(tests[0]), (int)(rows)); \
    }

#endif

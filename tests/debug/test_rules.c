/* Lists of events with conditions. */
#include "emu/trace/exit_words.h"
#include "emu/trace/rules.h"

#include "tests/check_main.h"

#include <string.h>

static struct trace_rules rules;

static enum pacifica_status parse(const char *list)
{
    struct pacifica_diag diag = { 0 };
    enum pacifica_status status = rules_parse(&rules, list, &diag);
    ck_assert_int_eq(status != PACIFICA_OK, diag.what[0] != '\0');
    return status;
}

/* Does an event with these numbers pass? Keys that are UINT64_MAX it does not have. */
static bool passes(enum trace_event event, uint64_t number, uint64_t code, uint64_t asid,
                   uint64_t rip, uint64_t step)
{
    const uint64_t key[TRACE_KEYS] = { [TRACE_KEY_CODE] = code,
                                       [TRACE_KEY_ASID] = asid,
                                       [TRACE_KEY_RIP] = rip,
                                       [TRACE_KEY_STEP] = step,
                                       [TRACE_KEY_CPU] = 3 };
    struct trace_subject subject = { 0 };
    for (unsigned i = 0; i < TRACE_KEYS; i++)
        if (key[i] != UINT64_MAX)
            subject.has |= 1u << i;
    memcpy(subject.key, key, sizeof(key));
    return rules_choose(&rules, event, number) && rules_hold(&rules, event, &subject);
}

START_TEST(event_without_conditions_always_passes)
{
    ck_assert_int_eq(parse("io,msr"), PACIFICA_OK);
    ck_assert_uint_eq(rules.events, 1u << TRACE_IO | 1u << TRACE_MSR);
    ck_assert_uint_eq(rules_keys(&rules, TRACE_IO), 0);
    ck_assert(passes(TRACE_IO, 0x80, UINT64_MAX, 0, 0, 0));
    ck_assert(!passes(TRACE_MEM, 0x80, UINT64_MAX, 0, 0, 0));
}
END_TEST

START_TEST(condition_of_an_event_is_no_other_events)
{
    ck_assert_int_eq(parse("io:0x80:asid=2:rip=0x10-0x1f,msr"), PACIFICA_OK);
    ck_assert(passes(TRACE_IO, 0x80, UINT64_MAX, 2, 0x10, 0));
    ck_assert(!passes(TRACE_IO, 0x81, UINT64_MAX, 2, 0x10, 0));
    ck_assert(!passes(TRACE_IO, 0x80, UINT64_MAX, 1, 0x10, 0));
    ck_assert(!passes(TRACE_IO, 0x80, UINT64_MAX, 2, 0x20, 0));
    ck_assert(!passes(TRACE_IO, 0x80, UINT64_MAX, 2, 0xf, 0));
    ck_assert(passes(TRACE_MSR, 1, UINT64_MAX, 9, 9, 0));
}
END_TEST

START_TEST(condition_of_the_list_is_every_events)
{
    ck_assert_int_eq(parse("step=100-200,io,msr,cpu=3"), PACIFICA_OK);
    ck_assert(passes(TRACE_IO, 0, UINT64_MAX, 0, 0, 100));
    ck_assert(passes(TRACE_MSR, 0, UINT64_MAX, 0, 0, 200));
    ck_assert(!passes(TRACE_IO, 0, UINT64_MAX, 0, 0, 99));
    ck_assert(!passes(TRACE_MSR, 0, UINT64_MAX, 0, 0, 201));
    ck_assert_int_eq(parse("io,cpu=2"), PACIFICA_OK);
    ck_assert(!passes(TRACE_IO, 0, UINT64_MAX, 0, 0, 0));
}
END_TEST

START_TEST(event_without_the_number_passes_a_condition_on_it)
{
    ck_assert_int_eq(parse("svm,io,code=npf+vmrun"), PACIFICA_OK);
    ck_assert(passes(TRACE_SVM, 0x400, 0x400, 1, 0, 0));
    ck_assert(passes(TRACE_SVM, EXIT_WORD_VMRUN, EXIT_WORD_VMRUN, 1, 0, 0));
    ck_assert(!passes(TRACE_SVM, 0x72, 0x72, 1, 0, 0));
    ck_assert(passes(TRACE_IO, 0, UINT64_MAX, 0, 0, 0));
}
END_TEST

START_TEST(range_may_go_to_the_end)
{
    ck_assert_int_eq(parse("svm:step=5-"), PACIFICA_OK);
    ck_assert(!passes(TRACE_SVM, 0, 0, 0, 0, 4));
    ck_assert(passes(TRACE_SVM, 0, 0, 0, 0, 5));
    ck_assert(passes(TRACE_SVM, 0, 0, 0, 0, UINT64_MAX - 1));
}
END_TEST

START_TEST(conditions_alone_name_no_event)
{
    ck_assert_int_eq(parse("asid=1"), PACIFICA_OK);
    ck_assert_uint_eq(rules.events, 0);
}
END_TEST

START_TEST(malformed_lists_are_refused)
{
    static const char *const bad[] = { "",
                                       ",",
                                       "io,",
                                       "io:",
                                       "io:1:",
                                       "io:1:2",
                                       "io:asid",
                                       "io:asid=",
                                       "asid=1,asid=2",
                                       "io:asid=1:asid=2",
                                       "foo=1",
                                       "io:foo=1",
                                       "=1",
                                       "io:=1",
                                       "io:asid=2-1",
                                       "svm:rip=npf",
                                       "unimp:1",
                                       "svm:code=x",
                                       "step=-1",
                                       "IO" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(parse(bad[i]) == PACIFICA_EUSAGE, "took '%s'", bad[i]);
    ck_assert_int_eq(parse("unimp:asid=1,guest_errors:rip=0-"), PACIFICA_OK);
}
END_TEST

START_TEST(exit_words_with_and_without_prefix)
{
    uint64_t code;
    ck_assert(exit_word_find("npf", &code) && code == 0x400);
    ck_assert(exit_word_find("VMEXIT_INVALID", &code) && code == UINT64_MAX);
    ck_assert(exit_word_find("vmexit_Cpuid", &code) && code == 0x72);
    ck_assert(exit_word_find("vmrun", &code) && code == EXIT_WORD_VMRUN);
    ck_assert(exit_word_find("VMEXIT_VMRUN", &code) && code == 0x80);
    ck_assert(!exit_word_find("", &code) && !exit_word_find("VMEXIT_", &code));
    ck_assert_str_eq(exit_word_name(0x81), "VMMCALL");
    ck_assert_ptr_null(exit_word_name(0x3ff));
    ck_assert_str_eq(exit_word_kvm(0x81), "hypercall");
    ck_assert_ptr_null(exit_word_kvm(0x01));
}
END_TEST

CHECK_MAIN("rules", event_without_conditions_always_passes,
           condition_of_an_event_is_no_other_events, condition_of_the_list_is_every_events,
           event_without_the_number_passes_a_condition_on_it, range_may_go_to_the_end,
           conditions_alone_name_no_event, malformed_lists_are_refused,
           exit_words_with_and_without_prefix)

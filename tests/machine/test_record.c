/* Recording what enters a machine, and the same run again from the recording. */
#include "tests/machine/travel_kit.h"

struct tape {
    uint8_t bytes[1 << 20];
    size_t size;
};

static void tape_write(void *self, const void *bytes, size_t size)
{
    struct tape *tape = self;
    ck_assert_uint_le(tape->size + size, sizeof(tape->bytes));
    memcpy(tape->bytes + tape->size, bytes, size);
    tape->size += size;
}

static struct tape *tape_new(void)
{
    struct tape *tape = calloc(1, sizeof(*tape));
    ck_assert_ptr_nonnull(tape);
    return tape;
}

static void record(struct kit *kit, struct tape *tape)
{
    const struct pacifica_output output = { .write = tape_write, .self = tape };
    ck_assert_int_eq(pacifica_record(kit->machine, &output, &kit->diag), PACIFICA_OK);
}

static enum pacifica_status replay(struct kit *kit, const struct tape *tape)
{
    const struct pacifica_bytes bytes = { tape->bytes, tape->size };
    return pacifica_replay(kit->machine, &bytes, &kit->diag);
}

static struct kit *echo(void)
{
    return kit_new_with(kit_echo, sizeof(kit_echo), kit_options());
}

/* Something from outside. */
static void meddle(struct kit *kit, struct random *random)
{
    char text[24];
    size_t size = 1 + random_below(random, sizeof(text));
    memset(text, (int)(' ' + random_below(random, 90)), sizeof(text));
    switch (random_below(random, 4)) {
    case 0:
        pacifica_machine_key(kit->machine, 4 + random_below(random, 30), random_below(random, 2));
        break;
    case 1:
        pacifica_machine_mouse(kit->machine, (int)random_below(random, 50) - 25,
                               (int)random_below(random, 50) - 25, 0, random_below(random, 8));
        break;
    default: (void)pacifica_machine_serial_input(kit->machine, text, size); break;
    }
}

/* A run that is cut in every way, with input at any moment. */
static void wild_run(struct kit *kit, struct random *random, uint64_t steps)
{
    while (kit->result.steps < steps) {
        struct pacifica_limits limits = PACIFICA_LIMITS_INIT;
        limits.max_steps = kit->result.steps + 1 + random_below(random, 20000);
        if (limits.max_steps > steps)
            limits.max_steps = steps;
        if (random_below(random, 3) == 0)
            limits.max_ns = kit->result.now_ns + random_below(random, 30000);
        kit->stop_on_output = random_below(random, 2);
        pacifica_machine_run(kit->machine, &limits, &kit->result);
        for (unsigned i = random_below(random, 3); i > 0; i--)
            meddle(kit, random);
    }
}

START_TEST(replay_is_the_same_run)
{
    struct random random = { .state = (uint64_t)_i + 1 };
    struct tape *tape = tape_new();
    struct kit *live = echo(), *again = echo();
    record(live, tape);
    wild_run(live, &random, 600000);
    ck_assert_uint_gt(live->used, 3);
    ck_assert_int_eq(replay(again, tape), PACIFICA_OK);
    while (kit_run(again, again->result.steps + 1 + random_below(&random, 90000)) !=
           PACIFICA_STOP_REPLAYED) {
        ck_assert_int_eq(again->result.stop, PACIFICA_STOP_LIMIT_INSNS);
        ck_assert_uint_le(again->result.steps, 600000);
        if (again->result.steps == 600000)
            break;
    }
    /* what came last was not told yet: that is at the recording's end */
    pacifica_machine_free(live->machine);
    live->machine = NULL;
    ck_assert_uint_eq(again->used, live->used);
    ck_assert_mem_eq(again->out, live->out, live->used);
    kit_free(again);
    free(live);
    free(tape);
}
END_TEST

START_TEST(replay_ends_where_the_recording_does)
{
    struct random random = { .state = 77 + (uint64_t)_i };
    struct tape *tape = tape_new();
    struct kit *live = echo(), *again = echo();
    record(live, tape);
    wild_run(live, &random, 300000);
    uint64_t hash = kit_hash(live);
    kit_free(live);
    ck_assert_int_eq(replay(again, tape), PACIFICA_OK);
    ck_assert_int_eq(kit_run(again, UINT64_MAX), PACIFICA_STOP_REPLAYED);
    ck_assert_str_eq(again->result.diag.what, "the recording has ended");
    ck_assert_uint_eq(again->result.steps, 300000);
    ck_assert_uint_eq(kit_hash(again), hash);
    kit_free(again);
    free(tape);
}
END_TEST

START_TEST(live_input_is_ignored_until_the_end)
{
    struct tape *tape = tape_new();
    struct kit *live = echo(), *again = echo();
    record(live, tape);
    (void)kit_run(live, 5000);
    ck_assert_uint_eq(pacifica_machine_serial_input(live->machine, "ab", 2), 2);
    (void)kit_run(live, 200000);
    ck_assert_uint_eq(live->used, 2);
    uint64_t hash = kit_hash(live);
    kit_free(live);
    ck_assert_int_eq(replay(again, tape), PACIFICA_OK);
    ck_assert_uint_eq(pacifica_machine_serial_input(again->machine, "xyz", 3), 3);
    pacifica_machine_key(again->machine, 4, true);
    ck_assert_int_eq(pacifica_machine_signal(again->machine, 0, PACIFICA_SIGNAL_INIT), PACIFICA_OK);
    ck_assert_int_eq(pacifica_machine_reset(again->machine, NULL), PACIFICA_OK);
    ck_assert_int_eq(kit_run(again, UINT64_MAX), PACIFICA_STOP_REPLAYED);
    ck_assert_uint_eq(kit_hash(again), hash);
    ck_assert_uint_eq(pacifica_machine_serial_input(again->machine, "c", 1), 1);
    (void)kit_run(again, 400000);
    ck_assert_uint_eq(again->used, 3);
    ck_assert_mem_eq(again->out, "abc", 3);
    kit_free(again);
    free(tape);
}
END_TEST

START_TEST(resets_and_signals_are_recorded)
{
    struct tape *tape = tape_new();
    struct kit *live = kit_new_with(kit_reset, sizeof(kit_reset), kit_options());
    struct kit *again = kit_new_with(kit_reset, sizeof(kit_reset), kit_options());
    record(live, tape);
    for (unsigned i = 0; i < 3; i++) {
        (void)kit_run(live, live->result.steps + 10000);
        (void)pacifica_machine_serial_input(live->machine, "kr", 2);
        ck_assert_int_eq(kit_run(live, UINT64_MAX), PACIFICA_STOP_RESET);
        ck_assert_int_eq(pacifica_machine_reset(live->machine, NULL), PACIFICA_OK);
    }
    (void)kit_run(live, live->result.steps + 777);
    (void)pacifica_machine_signal(live->machine, 0, PACIFICA_SIGNAL_NMI); /* there is no IDT */
    ck_assert_int_eq(kit_run(live, UINT64_MAX), PACIFICA_STOP_SHUTDOWN);
    ck_assert_int_eq(pacifica_machine_reset(live->machine, NULL), PACIFICA_OK);
    (void)kit_run(live, live->result.steps + 777);
    uint64_t hash = kit_hash(live), steps = live->result.steps;
    kit_free(live);
    ck_assert_int_eq(replay(again, tape), PACIFICA_OK);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(kit_run(again, UINT64_MAX), PACIFICA_STOP_RESET);
    ck_assert_int_eq(kit_run(again, UINT64_MAX), PACIFICA_STOP_SHUTDOWN);
    ck_assert_int_eq(kit_run(again, UINT64_MAX), PACIFICA_STOP_REPLAYED);
    ck_assert_uint_eq(again->result.steps, steps);
    ck_assert_uint_eq(kit_hash(again), hash);
    ck_assert_mem_eq(again->out, "krkrkr", 6);
    kit_free(again);
    free(tape);
}
END_TEST

/* HLT with interrupts off: nothing wakes it but INIT, NMI. */
START_TEST(what_wakes_a_halted_machine_is_recorded)
{
    static const uint8_t code[] = { 0x66, 0xba, 0xf8, 0x03, 0xb0, 'h', 0xee, 0xf4, 0xeb, 0xfd };
    struct tape *tape = tape_new();
    struct kit *live = kit_new_with(code, sizeof(code), kit_options());
    struct kit *again = kit_new_with(code, sizeof(code), kit_options());
    record(live, tape);
    ck_assert_int_eq(kit_run(live, UINT64_MAX), PACIFICA_STOP_HALTED);
    (void)pacifica_machine_serial_input(live->machine, "a", 1);
    ck_assert_int_eq(kit_run(live, UINT64_MAX), PACIFICA_STOP_HALTED);
    ck_assert_int_eq(pacifica_machine_reset(live->machine, NULL), PACIFICA_OK);
    ck_assert_int_eq(kit_run(live, UINT64_MAX), PACIFICA_STOP_HALTED);
    uint64_t hash = kit_hash(live);
    kit_free(live);
    ck_assert_int_eq(replay(again, tape), PACIFICA_OK);
    enum pacifica_stop stop;
    unsigned halted = 0;
    while ((stop = kit_run(again, UINT64_MAX)) == PACIFICA_STOP_HALTED && halted < 5)
        halted++;
    ck_assert_int_eq(stop, PACIFICA_STOP_REPLAYED);
    ck_assert_str_eq(again->result.diag.what, "the recording has ended");
    ck_assert_uint_ge(halted, 1);
    ck_assert_uint_eq(kit_hash(again), hash);
    kit_free(again);
    free(tape);
}
END_TEST

/* Of whatever length it is, what is whole of it is replayed. */
START_TEST(a_recording_may_end_anywhere)
{
    struct random random = { .state = 5 };
    struct tape *tape = tape_new();
    struct kit *live = echo();
    record(live, tape);
    size_t head = tape->size;
    wild_run(live, &random, 60000);
    kit_free(live);
    size_t whole = tape->size;
    unsigned named = 0;
    for (size_t size = 0; size <= whole; size += size < head ? 41 : 13) {
        struct kit *again = echo();
        tape->size = size;
        enum pacifica_status status = replay(again, tape);
        ck_assert_int_eq(status, size < head ? PACIFICA_EFORMAT : PACIFICA_OK);
        if (status == PACIFICA_OK) {
            named += again->diag.what[0] != '\0';
            ck_assert_int_eq(kit_run(again, UINT64_MAX), PACIFICA_STOP_REPLAYED);
            ck_assert_str_eq(again->result.diag.what, "the recording has ended");
        } else {
            ck_assert_uint_gt(strlen(again->diag.what), 0);
        }
        kit_free(again);
    }
    ck_assert_uint_gt(named, 5);
    free(tape);
}
END_TEST

START_TEST(an_altered_recording_is_refused)
{
    struct random random = { .state = 6 };
    struct tape *tape = tape_new();
    struct kit *live = echo(), *again = echo();
    record(live, tape);
    wild_run(live, &random, 30000);
    kit_free(live);
    for (size_t at = 0; at < tape->size; at += 1 + random_below(&random, 7)) {
        uint8_t was = tape->bytes[at];
        tape->bytes[at] ^= (uint8_t)(1 + random_below(&random, 255));
        enum pacifica_status status = replay(again, tape);
        if (status == PACIFICA_OK) { /* only a length can make the rest an end that is missing */
            ck_assert_ptr_nonnull(strstr(again->diag.what, "its end is missing"));
            kit_free(again);
            again = echo();
        } else {
            ck_assert_int_eq(status, PACIFICA_EFORMAT);
        }
        tape->bytes[at] = was;
    }
    ck_assert_int_eq(replay(again, tape), PACIFICA_OK);
    kit_free(again);
    free(tape);
}
END_TEST

START_TEST(another_machine_is_refused)
{
    struct tape *tape = tape_new();
    struct kit *live = echo();
    record(live, tape);
    kit_free(live);
    struct pacifica_options options = kit_options();
    options.ram_bytes = UINT64_C(8) << 20;
    struct kit *other = kit_new_with(kit_echo, sizeof(kit_echo), options);
    ck_assert_int_eq(replay(other, tape), PACIFICA_EUSAGE);
    ck_assert_ptr_nonnull(strstr(other->diag.what, "memory: 4194304 bytes"));
    kit_free(other);
    options = kit_options();
    options.seed = 5;
    other = kit_new_with(kit_echo, sizeof(kit_echo), options);
    ck_assert_int_eq(replay(other, tape), PACIFICA_EUSAGE);
    ck_assert_ptr_nonnull(strstr(other->diag.what, "seed"));
    kit_free(other);
    other = kit_new_with(kit_reset, sizeof(kit_reset), kit_options());
    ck_assert_int_eq(replay(other, tape), PACIFICA_EUSAGE);
    ck_assert_ptr_nonnull(strstr(other->diag.what, "image and state"));
    kit_free(other);
    free(tape);
}
END_TEST

START_TEST(it_begins_with_the_first_step)
{
    struct tape *tape = tape_new();
    struct kit *kit = echo();
    record(kit, tape);
    const struct pacifica_output output = { .write = tape_write, .self = tape };
    ck_assert_int_eq(pacifica_record(kit->machine, &output, &kit->diag), PACIFICA_EUSAGE);
    ck_assert_int_eq(replay(kit, tape), PACIFICA_EUSAGE);
    kit_free(kit);
    kit = echo();
    (void)kit_run(kit, 1);
    ck_assert_int_eq(pacifica_record(kit->machine, &output, &kit->diag), PACIFICA_EUSAGE);
    ck_assert_int_eq(replay(kit, tape), PACIFICA_EUSAGE);
    kit_free(kit);
    free(tape);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("record");
    tcase_add_loop_test(cases, replay_is_the_same_run, 0, 6);
    tcase_add_loop_test(cases, replay_ends_where_the_recording_does, 0, 6);
    tcase_add_test(cases, live_input_is_ignored_until_the_end);
    tcase_add_test(cases, resets_and_signals_are_recorded);
    tcase_add_test(cases, what_wakes_a_halted_machine_is_recorded);
    tcase_add_test(cases, a_recording_may_end_anywhere);
    tcase_add_test(cases, an_altered_recording_is_refused);
    tcase_add_test(cases, another_machine_is_refused);
    tcase_add_test(cases, it_begins_with_the_first_step);
    tcase_set_timeout(cases, 120);
    Suite *suite = suite_create("machine_record");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

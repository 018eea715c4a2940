/* Going back: what was is again, whatever has entered, and nothing is told twice. */
#include "tests/machine/travel_kit.h"

#define STEPS 300000u
#define INPUTS 40u

struct meddling {
    uint64_t steps;
    uint8_t what, value;
};

static struct kit *echo(void)
{
    return kit_new_with(kit_echo, sizeof(kit_echo), kit_options());
}

static void begin(struct kit *kit, uint64_t every, uint64_t most)
{
    struct pacifica_travel_options options = PACIFICA_TRAVEL_INIT;
    options.every_steps = every;
    options.memory_most = most;
    ck_assert_int_eq(pacifica_travel_begin(kit->machine, &options, &kit->diag), PACIFICA_OK);
}

static void make_plan(struct meddling *plan, struct random *random)
{
    uint64_t at = 0;
    for (unsigned i = 0; i < INPUTS; i++) {
        at += random_below(random, STEPS / INPUTS);
        plan[i] = (struct meddling){ at, (uint8_t)random_below(random, 4),
                                     (uint8_t)(' ' + random_below(random, 90)) };
    }
}

static void meddle(struct kit *kit, const struct meddling *m)
{
    if (m->what == 0)
        pacifica_machine_key(kit->machine, 4 + m->value % 30u, m->value & 1);
    else if (m->what == 1)
        pacifica_machine_mouse(kit->machine, m->value, 3, 0, 0);
    else
        (void)pacifica_machine_serial_input(kit->machine, &m->value, 1);
}

/* Run with the plan's inputs, those at the last step left out. */
static void run_plan(struct kit *kit, const struct meddling *plan, uint64_t steps)
{
    for (unsigned i = 0; i < INPUTS && plan[i].steps < steps; i++) {
        if (plan[i].steps > kit->result.steps)
            ck_assert_int_eq(kit_run(kit, plan[i].steps), PACIFICA_STOP_LIMIT_INSNS);
        meddle(kit, &plan[i]);
    }
    ck_assert_int_eq(kit_run(kit, steps), PACIFICA_STOP_LIMIT_INSNS);
}

static uint64_t hash_at(const struct meddling *plan, uint64_t steps)
{
    struct kit *fresh = echo();
    run_plan(fresh, plan, steps);
    uint64_t hash = kit_hash(fresh);
    kit_free(fresh);
    return hash;
}

static void go(struct kit *kit, uint64_t steps)
{
    ck_assert_int_eq(pacifica_travel_goto(kit->machine, steps, &kit->result, &kit->diag),
                     PACIFICA_OK);
    ck_assert_int_eq(kit->result.stop, PACIFICA_STOP_LIMIT_INSNS);
    ck_assert_uint_eq(kit->result.steps, steps);
}

/* Any step is as it was in a run that stops there, with much memory for checkpoints or little. */
START_TEST(every_step_is_what_it_was)
{
    struct random random = { .state = 100 + (uint64_t)_i };
    struct meddling plan[INPUTS];
    struct kit *kit = echo();
    make_plan(plan, &random);
    begin(kit, _i & 1 ? 1000 : 20000, _i & 2 ? UINT64_C(3) << 20 : UINT64_C(1) << 30);
    run_plan(kit, plan, STEPS);
    uint64_t hash = kit_hash(kit), first, latest;
    size_t told = kit->used;
    ck_assert_uint_gt(told, 1);
    ck_assert(pacifica_travel_range(kit->machine, &first, &latest));
    ck_assert_uint_eq(latest, STEPS);
    for (unsigned i = 0; i < 25; i++) {
        uint64_t steps = first + random_below(&random, (unsigned)(STEPS - first));
        if (i % 5 == 4) /* where something entered */
            steps = plan[random_below(&random, INPUTS)].steps;
        if (steps < first)
            continue;
        go(kit, steps);
        ck_assert_uint_eq(kit_hash(kit), hash_at(plan, steps));
        ck_assert_uint_eq(pacifica_machine_serial_input(kit->machine, "?", 1), 0);
        if (i % 3 == 0 && steps + 500 < STEPS) {
            ck_assert_int_eq(kit_run(kit, steps + 500), PACIFICA_STOP_LIMIT_INSNS);
            ck_assert_uint_eq(kit_hash(kit), hash_at(plan, steps + 500));
        }
        if (i == 12) {
            go(kit, STEPS);
            ck_assert_uint_eq(kit_hash(kit), hash);
        }
    }
    ck_assert_uint_eq(kit->used, told);
    ck_assert_int_eq(kit_run(kit, STEPS + 100000), PACIFICA_STOP_LIMIT_INSNS);
    struct kit *fresh = echo();
    run_plan(fresh, plan, STEPS);
    ck_assert_uint_eq(kit_hash(fresh), hash);
    (void)kit_run(fresh, STEPS + 100000);
    ck_assert_uint_eq(kit_hash(fresh), kit_hash(kit));
    ck_assert_uint_eq(fresh->used, kit->used);
    ck_assert_mem_eq(fresh->out, kit->out, kit->used);
    kit_free(fresh);
    kit_free(kit);
}
END_TEST

/* What devices hold in memory of their own goes back, too: characters on the screen, which the guest adds up. */
START_TEST(the_screen_is_what_it_was)
{
    /* clang-format off */
    static const uint8_t fill[] = {
        0x31, 0xc9,                         /* xor ecx, ecx */
        0x40,                               /* 1: inc eax */
        0x88, 0x81, 0x00, 0x80, 0x0b, 0x00, /* mov [ecx + b8000h], al */
        0x02, 0x81, 0x02, 0x80, 0x0b, 0x00, /* add al, [ecx + b8002h] */
        0x41, 0x80, 0xe5, 0x0f,             /* inc ecx; and ch, 15 */
        0xeb, 0xed,                         /* jmp 1 */
    };
    /* clang-format on */
    struct pacifica_options options = kit_options();
    options.vga = PACIFICA_VGA_STD;
    struct kit *kit = kit_new_with(fill, sizeof(fill), options);
    begin(kit, 5000, UINT64_C(1) << 30);
    ck_assert_int_eq(kit_run(kit, 50000), PACIFICA_STOP_LIMIT_INSNS);
    static const uint64_t to[] = { 12345, 40001, 5, 49999, 25000 };
    for (unsigned i = 0; i < sizeof(to) / sizeof(to[0]); i++) {
        struct kit *fresh = kit_new_with(fill, sizeof(fill), options);
        (void)kit_run(fresh, to[i]);
        go(kit, to[i]);
        ck_assert_uint_eq(kit_hash(kit), kit_hash(fresh));
        kit_free(fresh);
    }
    kit_free(kit);
}
END_TEST

START_TEST(steps_that_cannot_be_reached)
{
    struct kit *kit = echo();
    ck_assert_int_eq(pacifica_travel_goto(kit->machine, 0, &kit->result, &kit->diag),
                     PACIFICA_EUSAGE);
    (void)kit_run(kit, 5000);
    begin(kit, 1000, UINT64_C(1) << 30);
    (void)kit_run(kit, 9000);
    uint64_t hash = kit_hash(kit);
    ck_assert_int_eq(pacifica_travel_goto(kit->machine, 4999, &kit->result, &kit->diag),
                     PACIFICA_ERANGE);
    ck_assert_int_eq(pacifica_travel_goto(kit->machine, 9001, &kit->result, &kit->diag),
                     PACIFICA_ERANGE);
    ck_assert_uint_eq(kit_hash(kit), hash);
    go(kit, 5000);
    struct pacifica_travel_options options = PACIFICA_TRAVEL_INIT;
    ck_assert_int_eq(pacifica_travel_begin(kit->machine, &options, &kit->diag), PACIFICA_EUSAGE);
    pacifica_travel_end(kit->machine);
    options.every_steps = 999;
    ck_assert_int_eq(pacifica_travel_begin(kit->machine, &options, &kit->diag), PACIFICA_EUSAGE);
    kit_free(kit);
}
END_TEST

/* Memory for checkpoints has a bound; where not even one fits there are none. */
START_TEST(memory_is_bounded)
{
    struct kit *kit = echo();
    struct pacifica_travel_options options = { 1000, 10000 };
    ck_assert_int_eq(pacifica_travel_begin(kit->machine, &options, &kit->diag), PACIFICA_ENOMEM);
    ck_assert_uint_gt(strlen(kit->diag.what), 0);
    begin(kit, 1000, UINT64_C(2) << 20);
    (void)kit_run(kit, STEPS);
    uint64_t first, latest;
    ck_assert(pacifica_travel_range(kit->machine, &first, &latest));
    ck_assert_uint_lt(first, latest);
    go(kit, first);
    go(kit, latest);
    kit_free(kit);
}
END_TEST

START_TEST(back_steps_go_one_by_one)
{
    struct kit *kit = echo();
    begin(kit, 5000, UINT64_C(1) << 30);
    (void)kit_run(kit, 12000);
    for (uint64_t steps = 11999; steps > 11900; steps--) {
        ck_assert_int_eq(pacifica_travel_back_step(kit->machine, 0, &kit->result, &kit->diag),
                         PACIFICA_OK);
        ck_assert_int_eq(kit->result.stop, PACIFICA_STOP_STEP);
        ck_assert_uint_eq(kit->result.steps, steps);
    }
    struct kit *fresh = echo();
    (void)kit_run(fresh, 11901);
    ck_assert_uint_eq(kit_hash(kit), kit_hash(fresh));
    kit_free(fresh);
    go(kit, 0);
    ck_assert_int_eq(pacifica_travel_back_step(kit->machine, 0, &kit->result, &kit->diag),
                     PACIFICA_OK);
    ck_assert_int_eq(kit->result.stop, PACIFICA_STOP_BEGINNING);
    ck_assert_int_eq(pacifica_travel_back_step(kit->machine, 1, &kit->result, &kit->diag),
                     PACIFICA_EUSAGE);
    kit_free(kit);
}
END_TEST

static unsigned add_break(struct kit *kit, enum pacifica_break_kind kind, uint64_t address,
                          uint32_t size)
{
    struct pacifica_break wanted = PACIFICA_BREAK_INIT;
    unsigned id;
    wanted.kind = kind;
    wanted.address = address;
    wanted.size = size;
    wanted.space = PACIFICA_SPACE_PHYSICAL;
    ck_assert_int_eq(pacifica_break_add(kit->machine, &wanted, &id, &kit->diag), PACIFICA_OK);
    return id;
}

#define LOOP (KIT_LOAD + KIT_CODE_AT + 26) /* where kit_echo's loop begins */

/* The same stops as forwards, in the other order. */
START_TEST(running_backwards_meets_breaks)
{
    uint64_t stops[400];
    unsigned count = 0;
    struct kit *kit = echo();
    begin(kit, 1000, UINT64_C(1) << 30);
    unsigned id = add_break(kit, PACIFICA_BREAK_EXECUTE, LOOP, 1);
    while (kit_run(kit, 9000) == PACIFICA_STOP_BREAK)
        stops[count++] = kit->result.steps;
    ck_assert_uint_gt(count, 100);
    while (count > 0) {
        ck_assert_int_eq(pacifica_travel_back(kit->machine, &kit->result, &kit->diag), PACIFICA_OK);
        ck_assert_int_eq(kit->result.stop, PACIFICA_STOP_BREAK);
        ck_assert_uint_eq(kit->result.break_id, id);
        ck_assert_uint_eq(kit->result.steps, stops[--count]);
    }
    ck_assert_int_eq(pacifica_travel_back(kit->machine, &kit->result, &kit->diag), PACIFICA_OK);
    ck_assert_int_eq(kit->result.stop, PACIFICA_STOP_BEGINNING);
    ck_assert_uint_eq(kit->result.steps, 0);
    for (; count < 5; count++) {
        ck_assert_int_eq(kit_run(kit, 9000), PACIFICA_STOP_BREAK);
        ck_assert_uint_eq(kit->result.steps, stops[count]);
    }
    kit_free(kit);
}
END_TEST

START_TEST(running_backwards_stops_before_a_write)
{
    struct kit *kit = echo();
    uint32_t value, before;
    begin(kit, 1000, UINT64_C(1) << 30);
    (void)kit_run(kit, 8000);
    unsigned id = add_break(kit, PACIFICA_BREAK_WRITE, KIT_COUNT, 4);
    pacifica_machine_memory_read(kit->machine, 0, PACIFICA_SPACE_PHYSICAL, KIT_COUNT, &value, 4);
    for (unsigned i = 0; i < 40; i++) {
        ck_assert_int_eq(pacifica_travel_back(kit->machine, &kit->result, &kit->diag), PACIFICA_OK);
        ck_assert_int_eq(kit->result.stop, PACIFICA_STOP_BREAK);
        ck_assert_uint_eq(kit->result.break_id, id);
        pacifica_machine_memory_read(kit->machine, 0, PACIFICA_SPACE_PHYSICAL, KIT_COUNT, &before,
                                     4);
        ck_assert_uint_ne(before, value);
        value = before;
    }
    kit_free(kit);
}
END_TEST

START_TEST(who_wrote_it_last)
{
    struct kit *kit = echo();
    struct pacifica_write write;
    uint32_t value;
    begin(kit, 1000, UINT64_C(1) << 30);
    (void)kit_run(kit, 20000);
    uint64_t hash = kit_hash(kit);
    pacifica_machine_memory_read(kit->machine, 0, PACIFICA_SPACE_PHYSICAL, KIT_COUNT, &value, 4);
    ck_assert_int_eq(pacifica_travel_last_write(kit->machine, KIT_COUNT, 4, &write, &kit->diag),
                     PACIFICA_OK);
    ck_assert_uint_eq(write.new_value, value);
    ck_assert_uint_ne(write.old_value, value);
    ck_assert_uint_eq(write.rip, LOOP + 22); /* add [200000h], eax */
    ck_assert_uint_lt(write.steps, 20000);
    ck_assert_uint_gt(write.steps, 19900);
    ck_assert(!write.guest);
    ck_assert_uint_eq(kit_hash(kit), hash);
    ck_assert_int_eq(pacifica_travel_last_write(kit->machine, 0x180000, 8, &write, &kit->diag),
                     PACIFICA_ERANGE);
    ck_assert_int_eq(pacifica_travel_last_write(kit->machine, 0x180000, 0, &write, &kit->diag),
                     PACIFICA_EUSAGE);
    ck_assert_int_eq(
        pacifica_travel_last_write(kit->machine, UINT64_C(1) << 40, 4, &write, &kit->diag),
        PACIFICA_EUSAGE);
    kit_free(kit);
}
END_TEST

/* A debugger's change makes a new future. */
START_TEST(a_change_in_the_past_is_the_latest_step)
{
    struct kit *kit = echo();
    uint64_t first, latest;
    uint32_t value = 77;
    begin(kit, 1000, UINT64_C(1) << 30);
    (void)kit_run(kit, 3000);
    (void)pacifica_machine_serial_input(kit->machine, "a", 1);
    (void)kit_run(kit, 200000);
    ck_assert_uint_eq(kit->used, 1);
    go(kit, 2500);
    ck_assert_uint_eq(
        pacifica_machine_memory_write(kit->machine, 0, PACIFICA_SPACE_PHYSICAL, KIT_SUM, &value, 4),
        4);
    ck_assert(pacifica_travel_range(kit->machine, &first, &latest));
    ck_assert_uint_eq(latest, 2500);
    ck_assert_uint_eq(pacifica_machine_serial_input(kit->machine, "b", 1), 1);
    (void)kit_run(kit, 200000);
    ck_assert_uint_eq(kit->used, 2);
    ck_assert_int_eq(kit->out[1], 'b');
    uint64_t hash = kit_hash(kit);
    go(kit, 1000);
    go(kit, 200000);
    ck_assert_uint_eq(kit_hash(kit), hash);
    ck_assert_uint_eq(kit->used, 2);
    kit_free(kit);
}
END_TEST

START_TEST(resets_and_ends_are_met_again)
{
    struct kit *kit = kit_new_with(kit_reset, sizeof(kit_reset), kit_options());
    begin(kit, 1000, UINT64_C(1) << 30);
    (void)kit_run(kit, 4000);
    (void)pacifica_machine_serial_input(kit->machine, "r", 1);
    ck_assert_int_eq(kit_run(kit, UINT64_MAX), PACIFICA_STOP_RESET);
    uint64_t reset = kit->result.steps;
    ck_assert_int_eq(pacifica_machine_reset(kit->machine, NULL), PACIFICA_OK);
    (void)kit_run(kit, reset + 5000);
    (void)pacifica_machine_signal(kit->machine, 0, PACIFICA_SIGNAL_NMI); /* there is no IDT */
    ck_assert_int_eq(kit_run(kit, UINT64_MAX), PACIFICA_STOP_SHUTDOWN);
    uint64_t ended = kit->result.steps, hash = kit_hash(kit);
    go(kit, 100);
    ck_assert_int_eq(kit_run(kit, UINT64_MAX), PACIFICA_STOP_RESET);
    ck_assert_uint_eq(kit->result.steps, reset);
    ck_assert_int_eq(pacifica_machine_reset(kit->machine, NULL), PACIFICA_OK);
    ck_assert_int_eq(kit_run(kit, UINT64_MAX), PACIFICA_STOP_SHUTDOWN);
    ck_assert_uint_eq(kit->result.steps, ended);
    ck_assert_uint_eq(kit_hash(kit), hash);
    go(kit, reset + 10);
    go(kit, ended);
    ck_assert_uint_eq(kit_hash(kit), hash);
    ck_assert_int_eq(kit_run(kit, UINT64_MAX), PACIFICA_STOP_SHUTDOWN);
    ck_assert_uint_eq(kit->used, 1);
    kit_free(kit);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("travel");
    tcase_add_loop_test(cases, every_step_is_what_it_was, 0, 4);
    tcase_add_test(cases, the_screen_is_what_it_was);
    tcase_add_test(cases, steps_that_cannot_be_reached);
    tcase_add_test(cases, memory_is_bounded);
    tcase_add_test(cases, back_steps_go_one_by_one);
    tcase_add_test(cases, running_backwards_meets_breaks);
    tcase_add_test(cases, running_backwards_stops_before_a_write);
    tcase_add_test(cases, who_wrote_it_last);
    tcase_add_test(cases, a_change_in_the_past_is_the_latest_step);
    tcase_add_test(cases, resets_and_ends_are_met_again);
    tcase_set_timeout(cases, 120);
    Suite *suite = suite_create("machine_travel");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

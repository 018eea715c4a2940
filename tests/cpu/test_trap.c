/* Single step, RF and shadows, with the real run loop. APM vol 2, 3.1.6, 13.1.4. */
#include "tests/cpu/kit.h"

/* Handlers are HLT; code stands at CODE_SPA. */
static void code(struct kit *k, const void *bytes, unsigned len)
{
    for (unsigned v = 0; v < 256; v++)
        kit_put(k, HANDLER + 16 * v, 1, 0xf4);
    for (unsigned i = 0; i < 64; i++)
        kit_put(k, CODE_SPA + i, 1, 0x90);
    for (unsigned i = 0; i < len; i++)
        kit_put(k, CODE_SPA + i, 1, ((const uint8_t *)bytes)[i]);
}
#define CODE(k, bytes) code((k), (bytes), sizeof(bytes) - 1)

/* Run until a handler has halted or `steps` have gone by. */
static void run(struct kit *k, unsigned steps)
{
    const struct run_limits limits = { .max_steps = vcpu_steps(k->cpu) + steps };
    int stop = run_vcpu(k->cpu, &limits);
    ck_assert_msg(stop == PACIFICA_STOP_LIMIT_INSNS || stop == PACIFICA_STOP_HALTED, "%d: %s", stop,
                  k->cpu->stop.text);
}

static void expect_db_at(struct kit *k, uint64_t rip)
{
    ck_assert_uint_eq(k->deliveries, 1);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_DB);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP], 8), rip);
    ck_assert_uint_eq(k->cpu->regs.dr[6], 0xffff0ff0 | DR6_BS);
}

/* rows: events 5.5, 5.25 */
WITH_KIT(single_step_traps_after_one_instruction)
{
    CODE(k, "\x90\x90");
    k->cpu->rflags |= FLAG_TF;
    run(k, 10);
    expect_db_at(k, CODE_SPA + 1);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP] + 16, 8), 2 | FLAG_TF); /* the image keeps TF */
    ck_assert_uint_eq(k->cpu->rflags, 2);
}

/* rows: events 6.5, 6.8, pitfalls 6.2 */
WITH_KIT(mov_ss_holds_the_trap)
{
    CODE(k, "\x8e\xd0\x90\x90");
    k->cpu->r[REG_RAX] = DATA0;
    k->cpu->rflags |= FLAG_TF;
    run(k, 10);
    expect_db_at(k, CODE_SPA + 3);
}

/* rows: events 6.7, pitfalls 6.1 */
WITH_KIT(sti_does_not_hold_the_trap)
{
    CODE(k, "\xfb\x90");
    k->cpu->rflags |= FLAG_TF;
    run(k, 10);
    expect_db_at(k, CODE_SPA + 1);
}

/* rows: events 6.11, pitfalls 6.2 */
WITH_KIT(held_trap_comes_at_the_handler_of_int3)
{
    CODE(k, "\x8e\xd0\xcc");
    k->cpu->r[REG_RAX] = DATA0;
    k->cpu->rflags |= FLAG_TF;
    run(k, 10);
    ck_assert_uint_eq(k->deliveries, 2);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_DB);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP], 8), HANDLER + 16 * EXC_BP);
}

/* rows: events 6.11, pitfalls 6.2 */
WITH_KIT(held_trap_is_lost_with_a_fault)
{
    CODE(k, "\x8e\xd0\x0f\x0b");
    k->cpu->r[REG_RAX] = DATA0;
    k->cpu->rflags |= FLAG_TF;
    run(k, 10);
    ck_assert_uint_eq(k->deliveries, 1);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_UD);
}

/* rows: pitfalls 6.7 */
WITH_KIT(int_n_does_not_trap)
{
    CODE(k, "\xcd\x30");
    k->cpu->rflags |= FLAG_TF;
    run(k, 10);
    ck_assert_uint_eq(k->deliveries, 1);
    ck_assert_uint_eq(k->delivered.a & 0xff, 0x30);
}

/* rows: events 5.25, pitfalls 6.6 */
WITH_KIT(syscall_traps_by_the_resulting_tf)
{
    CODE(k, "\x0f\x05");
    k->cpu->msr.star = (uint64_t)CODE64 << 32;
    k->cpu->msr.lstar = HANDLER;
    k->cpu->msr.sfmask = FLAG_TF;
    k->cpu->rflags |= FLAG_TF;
    run(k, 10);
    ck_assert_uint_eq(k->deliveries, 0);
    kit_mode(k, MODE_LONG64, 0);
    k->cpu->regs.halted = false;
    k->cpu->msr.sfmask = 0;
    k->cpu->rflags |= FLAG_TF;
    run(k, 10);
    expect_db_at(k, HANDLER);
}

/* rows: events 5.25, pitfalls 6.6 */
WITH_KIT(sysret_that_sets_tf_traps_before_the_target)
{
    CODE(k, "\x48\x0f\x07");
    k->cpu->msr.star = (uint64_t)(CODE64_3 - 16) << 48 | (uint64_t)CODE64 << 32;
    k->cpu->r[REG_RCX] = CODE_SPA + 0x20;
    k->cpu->r[REG_R11] = FLAG_TF;
    run(k, 10);
    expect_db_at(k, CODE_SPA + 0x20);
}

static void push8(struct kit *k, uint64_t value)
{
    k->cpu->r[REG_RSP] -= 8;
    kit_put(k, k->cpu->r[REG_RSP], 8, value);
}

static void iret_frame(struct kit *k, uint64_t flags)
{
    push8(k, DATA0);
    push8(k, STACK_TOP);
    push8(k, flags);
    push8(k, CODE64);
    push8(k, CODE_SPA + 0x10);
}

/* rows: events 5.25, pitfalls 6.4 */
WITH_KIT(iret_that_sets_tf_traps_after_the_next_instruction)
{
    CODE(k, "\x48\xcf");
    iret_frame(k, FLAG_TF);
    run(k, 10);
    expect_db_at(k, CODE_SPA + 0x11);
}

/* rows: events 5.22, pitfalls 6.17 */
WITH_KIT(rf_lasts_for_one_instruction_after_iret)
{
    CODE(k, "\x48\xcf");
    iret_frame(k, FLAG_RF | FLAG_CF);
    run(k, 1);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], CODE_SPA + 0x10);
    ck_assert_uint_eq(cpu_rflags(k->cpu), 2 | FLAG_RF | FLAG_CF);
    run(k, 1);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], CODE_SPA + 0x11);
    ck_assert_uint_eq(cpu_rflags(k->cpu), 2 | FLAG_CF);
}

WITH_KIT(iret_to_iret_keeps_rf)
{
    CODE(k, "\x48\xcf");
    iret_frame(k, FLAG_RF);
    kit_put(k, CODE_SPA + 0x10, 2, 0xcf48);
    k->cpu->rflags |= FLAG_RF;
    run(k, 1);
    ck_assert_uint_eq(cpu_rflags(k->cpu), 2 | FLAG_RF);
}

/* rows: events 5.23, pitfalls 6.17 */
WITH_KIT(interrupt_between_iterations_pushes_rf)
{
    CODE(k, "\xf3\xa4"); /* REP MOVSB */
    k->cpu->r[REG_RSI] = DATA_SPA;
    k->cpu->r[REG_RDI] = DATA_SPA + 0x100;
    k->cpu->r[REG_RCX] = 50;
    run(k, 20);
    ck_assert_uint_eq(k->cpu->r[REG_RCX], 30);
    ck_assert_uint_eq(cpu_rflags(k->cpu) & FLAG_RF, 0);
    k->cpu->rflags |= FLAG_IF;
    k->pending = 0x30;
    run(k, 1);
    ck_assert_uint_eq(k->delivered.a & 0xff, 0x30);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP], 8), CODE_SPA);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP] + 16, 8), 2 | FLAG_IF | FLAG_RF);
}

/* rows: events 5.23 */
WITH_KIT(interrupt_between_instructions_pushes_no_rf)
{
    CODE(k, "\xf3\xa4\x90");
    k->cpu->r[REG_RSI] = DATA_SPA;
    k->cpu->r[REG_RDI] = DATA_SPA + 0x100;
    k->cpu->r[REG_RCX] = 5;
    run(k, 5);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], CODE_SPA + 2);
    k->cpu->rflags |= FLAG_IF;
    k->pending = 0x30;
    run(k, 1);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP] + 16, 8), 2 | FLAG_IF);
}

/* rows: events 6.10, pitfalls 6.24 */
WITH_KIT(sti_hlt_takes_the_interrupt_behind_hlt)
{
    CODE(k, "\xfb\xf4\x90");
    k->pending = 0x30;
    run(k, 3);
    ck_assert_uint_eq(k->delivered.a & 0xff, 0x30);
    ck_assert_uint_eq(kit_get(k, STACK_TOP - 40, 8), CODE_SPA + 2);
}

/* rows: events 6.1, 6.8, pitfalls 6.2 */
WITH_KIT(mov_ss_shadow_holds_the_interrupt)
{
    CODE(k, "\x8e\xd0\x90\x90");
    k->cpu->r[REG_RAX] = DATA0;
    run(k, 1);
    k->cpu->rflags |= FLAG_IF;
    k->pending = 0x30;
    run(k, 2);
    ck_assert_uint_eq(kit_get(k, STACK_TOP - 40, 8), CODE_SPA + 3);
}

int main(void)
{
    Suite *suite = suite_create("trap");
    TCase *all = tcase_create("all");
    tcase_add_test(all, single_step_traps_after_one_instruction);
    tcase_add_test(all, mov_ss_holds_the_trap);
    tcase_add_test(all, sti_does_not_hold_the_trap);
    tcase_add_test(all, held_trap_comes_at_the_handler_of_int3);
    tcase_add_test(all, held_trap_is_lost_with_a_fault);
    tcase_add_test(all, int_n_does_not_trap);
    tcase_add_test(all, syscall_traps_by_the_resulting_tf);
    tcase_add_test(all, sysret_that_sets_tf_traps_before_the_target);
    tcase_add_test(all, iret_that_sets_tf_traps_after_the_next_instruction);
    tcase_add_test(all, rf_lasts_for_one_instruction_after_iret);
    tcase_add_test(all, iret_to_iret_keeps_rf);
    tcase_add_test(all, interrupt_between_iterations_pushes_rf);
    tcase_add_test(all, interrupt_between_instructions_pushes_no_rf);
    tcase_add_test(all, sti_hlt_takes_the_interrupt_behind_hlt);
    tcase_add_test(all, mov_ss_shadow_holds_the_interrupt);
    suite_add_tcase(suite, all);
    return kit_run(suite);
}

/* MONITOR, MWAIT, PAUSE, RDRAND, RDSEED, RDPID. APM vol 3, chapters 3 and 4. */
#include "emu/base/random.h"
#include "emu/cpu/monitor.h"
#include "tests/cpu/kit.h"

#define MONITOR "\x0f\x01\xc8"
#define MWAIT "\x0f\x01\xc9"
#define PAUSE "\xf3\x90"

static void arm(struct kit *k, uint64_t la)
{
    k->cpu->r[REG_RAX] = la;
    k->cpu->r[REG_RCX] = k->cpu->r[REG_RDX] = 0;
    ck_assert_int_eq(EXEC(k, MONITOR), STEP_NEXT);
}

/* rows: pitfalls 9.7 */
WITH_KIT(monitor_and_mwait_are_ud_above_level_0)
{
    kit_mode(k, MODE_LONG64, 3);
    kit_raised(k, EXEC(k, MONITOR), EXC_UD, NO_CODE);
    kit_raised(k, EXEC(k, MWAIT), EXC_UD, NO_CODE);
    k->cpu->msr.hwcr |= HWCR_MON_MWAIT_USER_EN;
    arm(k, DATA_SPA);
    ck_assert_int_eq(EXEC(k, MWAIT), STEP_HALT);
}

/* rows: pitfalls 9.7 */
WITH_KIT(reserved_extensions_are_gp)
{
    k->cpu->r[REG_RAX] = DATA_SPA;
    k->cpu->r[REG_RCX] = 1;
    kit_raised(k, EXEC(k, MONITOR), EXC_GP, 0);
    k->cpu->r[REG_RCX] = 2;
    kit_raised(k, EXEC(k, MWAIT), EXC_GP, 0);
    k->cpu->r[REG_RCX] = 1ull << 32; /* ECX counts */
    ck_assert_int_eq(EXEC(k, MONITOR), STEP_NEXT);
    ck_assert_int_eq(EXEC(k, MWAIT), STEP_HALT);
    ck_assert(!k->cpu->monitor.any_interrupt);
}

WITH_KIT(hwcr_takes_the_instructions_away)
{
    k->cpu->msr.hwcr |= HWCR_MON_MWAIT_DIS | HWCR_MON_MWAIT_USER_EN;
    kit_raised(k, EXEC(k, MONITOR), EXC_UD, NO_CODE);
    kit_raised(k, EXEC(k, MWAIT), EXC_UD, NO_CODE);
}

/* Whose turn it is when the line is compared, and what that processor sees of memory, does not matter. */
WITH_KIT(the_watched_line_is_the_same_in_every_view)
{
    const struct memory_view smm = { .smm = true, .tseg = true, .tseg_mask = 0xfffe0000 };
    const struct memory_view other = { .tseg = true, .tseg_mask = 0xfffe0000 };
    memory_set_view(k->memory, &smm); /* the first 128 KiB are SMRAM */
    monitor_arm(k->cpu, DATA_SPA);
    memory_set_view(k->memory, &other);
    ck_assert_ptr_null(memory_ptr(k->memory, DATA_SPA, 64));
    ck_assert(monitor_intact(k->cpu));
    memory_set_view(k->memory, &smm);
    kit_put(k, DATA_SPA + 1, 1, 0x55);
    memory_set_view(k->memory, &other);
    ck_assert(!monitor_intact(k->cpu));
}

WITH_KIT(monitor_checks_its_address_like_a_load)
{
    k->cpu->r[REG_RAX] = NONCANON;
    k->cpu->r[REG_RCX] = 0;
    kit_raised(k, EXEC(k, MONITOR), EXC_GP, 0);
    kit_page(k, 1, 0);
    k->cpu->r[REG_RAX] = PAGED_LA + 0x1010;
    kit_raised(k, EXEC(k, MONITOR), EXC_PF, 0);
    ck_assert_uint_eq(k->cpu->raised.cr2, PAGED_LA + 0x1010);
    k->cpu->r[REG_RAX] = 1ull << 32 | DATA_SPA; /* 67h: EAX */
    ck_assert_int_eq(EXEC(k, "\x67\x0f\x01\xc8"), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->monitor.spa, DATA_SPA);
}

WITH_KIT(mwait_without_monitor_does_not_wait)
{
    k->cpu->r[REG_RCX] = 0;
    ck_assert_int_eq(EXEC(k, MWAIT), STEP_NEXT);
    ck_assert(!k->cpu->regs.halted);
}

WITH_KIT(mwait_waits_for_an_unchanged_line)
{
    arm(k, DATA_SPA + 0x77);
    ck_assert_uint_eq(k->cpu->monitor.spa, DATA_SPA + 0x40);
    ck_assert(monitor_intact(k->cpu));
    kit_put(k, DATA_SPA + 0x3f, 1, 1); /* the lines on both sides do not count */
    kit_put(k, DATA_SPA + 0x80, 1, 1);
    k->cpu->r[REG_RCX] = 1;
    ck_assert_int_eq(EXEC(k, MWAIT), STEP_HALT);
    ck_assert(k->cpu->regs.halted && k->cpu->monitor.waiting && k->cpu->monitor.any_interrupt);
    kit_put(k, DATA_SPA + 0x7f, 1, 1);
    ck_assert(!monitor_intact(k->cpu));
}

WITH_KIT(a_written_line_is_not_waited_for)
{
    arm(k, DATA_SPA);
    kit_put(k, DATA_SPA, 1, 1);
    ck_assert_int_eq(EXEC(k, MWAIT), STEP_NEXT);
    kit_put(k, DATA_SPA, 1, 0); /* as it was: but the wait is over */
    ck_assert_int_eq(EXEC(k, MWAIT), STEP_NEXT);
}

WITH_KIT(mmio_cannot_be_watched)
{
    arm(k, 0xa0000);
    ck_assert(!k->cpu->monitor.armed);
    ck_assert_int_eq(EXEC(k, MWAIT), STEP_NEXT);
}

/* rows: exit 1.3.11, 2.14 */
WITH_KIT(monitor_is_intercepted_after_its_exceptions)
{
    kit_guest(k);
    kit_intercept(k, INTERCEPT_MONITOR);
    k->cpu->r[REG_RAX] = NONCANON;
    k->cpu->r[REG_RCX] = 0;
    kit_raised(k, EXEC(k, MONITOR), EXC_GP, 0);
    k->cpu->r[REG_RAX] = DATA_SPA;
    kit_exited(k, EXEC(k, MONITOR), VMEXIT_MONITOR, 0, 0, CODE_SPA + 3);
}

/* rows: exit 1.3.12, 2.14 */
WITH_KIT(mwait_is_intercepted_after_its_exceptions)
{
    kit_guest(k);
    kit_intercept(k, INTERCEPT_MWAIT);
    k->cpu->r[REG_RCX] = 2;
    kit_raised(k, EXEC(k, MWAIT), EXC_GP, 0);
    k->cpu->r[REG_RCX] = 0;
    kit_exited(k, EXEC(k, MWAIT), VMEXIT_MWAIT, 0, 0, CODE_SPA + 3);
}

/* rows: exit 1.3.13, 2.31 */
WITH_KIT(an_armed_monitor_makes_the_conditional_exit)
{
    kit_guest(k);
    kit_intercept(k, INTERCEPT_MWAIT);
    kit_intercept(k, INTERCEPT_MWAIT_ARMED);
    arm(k, DATA_SPA);
    k->cpu->r[REG_RIP] = CODE_SPA;
    kit_exited(k, EXEC(k, MWAIT), VMEXIT_MWAIT_CONDITIONAL, 0, 0, CODE_SPA + 3);
}

/* rows: exit 2.31 */
WITH_KIT(without_an_armed_monitor_the_plain_exit)
{
    kit_guest(k);
    kit_intercept(k, INTERCEPT_MWAIT);
    kit_intercept(k, INTERCEPT_MWAIT_ARMED);
    k->cpu->r[REG_RCX] = 0;
    kit_exited(k, EXEC(k, MWAIT), VMEXIT_MWAIT, 0, 0, CODE_SPA + 3);
}

WITH_KIT(vmrun_disarms_the_monitor)
{
    arm(k, DATA_SPA);
    kit_guest(k);
    ck_assert(!k->cpu->monitor.armed);
}

/* --- PAUSE --- */

/* rows: pitfalls 1.11 */
WITH_KIT(pause_yields_when_there_is_somebody_else)
{
    ck_assert_int_eq(EXEC(k, PAUSE), STEP_NEXT);
    ck_assert(!k->cpu->yield);
    k->cpu->count = 2;
    ck_assert_int_eq(EXEC(k, PAUSE), STEP_LEAVE);
    ck_assert(k->cpu->yield);
}

WITH_KIT(an_intercepted_pause_does_not_yield)
{
    k->cpu->count = 2;
    kit_guest(k);
    kit_intercept(k, INTERCEPT_PAUSE);
    kit_exited(k, EXEC(k, PAUSE), VMEXIT_PAUSE, 0, 0, CODE_SPA + 2);
    ck_assert(!k->cpu->yield);
}

/* --- random numbers, RDPID --- */

/* rows: pitfalls 9.5 */
WITH_KIT(rdrand_and_rdseed_by_size)
{
    static const struct {
        const char *bytes;
        unsigned len, size;
    } rows[] = {
        { "\x66\x0f\xc7\xf3", 4, 2 }, { "\x0f\xc7\xf3", 3, 4 }, { "\x48\x0f\xc7\xf3", 4, 8 },
        { "\x66\x0f\xc7\xfb", 4, 2 }, { "\x0f\xc7\xfb", 3, 4 }, { "\x48\x0f\xc7\xfb", 4, 8 },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct random_source source = { 7 }, twin = { 7 };
        uint64_t number = random_next(&twin), old = 0x1111222233334444;
        uint64_t mask = size_mask(rows[i].size), kept = rows[i].size == 2 ? old & ~mask : 0;
        k->cpu->random = &source;
        k->cpu->r[REG_RBX] = old;
        cpu_set_rflags(k->cpu, 2 | (FLAGS_STATUS & ~FLAG_CF));
        ck_assert_int_eq(kit_exec(k, rows[i].bytes, rows[i].len), STEP_NEXT);
        ck_assert_uint_eq(k->cpu->r[REG_RBX], kept | (number & mask));
        ck_assert_uint_eq(cpu_rflags(k->cpu) & FLAGS_STATUS, FLAG_CF);
    }
}

/* rows: pitfalls 9.5 */
WITH_KIT(without_a_source_there_is_no_number)
{
    k->cpu->r[REG_RBX] = UINT64_MAX;
    cpu_set_rflags(k->cpu, 2 | FLAGS_STATUS);
    ck_assert_int_eq(EXEC(k, "\x0f\xc7\xf3"), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->r[REG_RBX], 0);
    ck_assert_uint_eq(cpu_rflags(k->cpu) & FLAGS_STATUS, 0);
}

WITH_KIT(rdpid_reads_tsc_aux_at_every_level)
{
    k->cpu->msr.tsc_aux = 0x89abcdef;
    kit_mode(k, MODE_LONG64, 3);
    k->cpu->regs.cr4 |= CR4_TSD;
    k->cpu->r[REG_RBX] = UINT64_MAX;
    ck_assert_int_eq(EXEC(k, "\xf3\x0f\xc7\xfb"), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->r[REG_RBX], 0x89abcdef);
}

int main(void)
{
    Suite *suite = suite_create("monitor");
    TCase *all = tcase_create("all");
    tcase_add_test(all, monitor_and_mwait_are_ud_above_level_0);
    tcase_add_test(all, reserved_extensions_are_gp);
    tcase_add_test(all, hwcr_takes_the_instructions_away);
    tcase_add_test(all, monitor_checks_its_address_like_a_load);
    tcase_add_test(all, the_watched_line_is_the_same_in_every_view);
    tcase_add_test(all, mwait_without_monitor_does_not_wait);
    tcase_add_test(all, mwait_waits_for_an_unchanged_line);
    tcase_add_test(all, a_written_line_is_not_waited_for);
    tcase_add_test(all, mmio_cannot_be_watched);
    tcase_add_test(all, monitor_is_intercepted_after_its_exceptions);
    tcase_add_test(all, mwait_is_intercepted_after_its_exceptions);
    tcase_add_test(all, an_armed_monitor_makes_the_conditional_exit);
    tcase_add_test(all, without_an_armed_monitor_the_plain_exit);
    tcase_add_test(all, vmrun_disarms_the_monitor);
    tcase_add_test(all, pause_yields_when_there_is_somebody_else);
    tcase_add_test(all, an_intercepted_pause_does_not_yield);
    tcase_add_test(all, rdrand_and_rdseed_by_size);
    tcase_add_test(all, without_a_source_there_is_no_number);
    tcase_add_test(all, rdpid_reads_tsc_aux_at_every_level);
    suite_add_tcase(suite, all);
    return kit_run(suite);
}

/* MONITORX and MWAITX: MONITOR and MWAIT for every level, with a timer. APM vol 3, "MONITORX", "MWAITX". */
#include "emu/cpu/monitor.h"
#include "tests/cpu/program.h"

#define MONITORX "\x0f\x01\xfa"
#define MWAITX "\x0f\x01\xfb"

static void arm(struct kit *k, uint64_t la)
{
    k->cpu->r[REG_RAX] = la;
    k->cpu->r[REG_RCX] = k->cpu->r[REG_RDX] = 0;
    ck_assert_int_eq(EXEC(k, MONITORX), STEP_NEXT);
}

/* rows: pitfalls 9.8 */
WITH_KIT(they_are_legal_at_every_level)
{
    kit_mode(k, MODE_LONG64, 3);
    arm(k, DATA_SPA);
    ck_assert(k->cpu->monitor.armed);
    ck_assert_int_eq(EXEC(k, MWAITX), STEP_HALT);
}

WITH_KIT(hwcr_takes_them_away_too)
{
    uint32_t out[4];
    cpu_cpuid(k->cpu, 0x80000001, 0, out);
    ck_assert_uint_eq(out[CPUID_ECX] >> 29 & 1, 1);
    k->cpu->msr.hwcr |= HWCR_MON_MWAIT_DIS;
    kit_raised(k, EXEC(k, MONITORX), EXC_UD, NO_CODE);
    kit_raised(k, EXEC(k, MWAITX), EXC_UD, NO_CODE);
    cpu_cpuid(k->cpu, 0x80000001, 0, out);
    ck_assert_uint_eq(out[CPUID_ECX] >> 29 & 1, 0);
}

/* Of MWAITX two extensions exist, of MONITORX none. ECX counts, not RCX. */
WITH_KIT(reserved_extensions_are_gp)
{
    k->cpu->r[REG_RAX] = DATA_SPA;
    for (unsigned bit = 0; bit < 33; bit++) {
        k->cpu->r[REG_RCX] = 1ull << bit;
        k->cpu->regs.halted = false;
        k->cpu->r[REG_RBX] = 0;
        if (bit == 32)
            ck_assert_int_eq(EXEC(k, MONITORX), STEP_NEXT);
        else
            kit_raised(k, EXEC(k, MONITORX), EXC_GP, 0);
        arm(k, DATA_SPA);
        k->cpu->r[REG_RCX] = 1ull << bit;
        if (bit < 2 || bit == 32)
            ck_assert_int_eq(EXEC(k, MWAITX), STEP_HALT);
        else
            kit_raised(k, EXEC(k, MWAITX), EXC_GP, 0);
    }
}

/* Exceptions before the intercepts, which are those of MONITOR and MWAIT. */
/* rows: exit 1.3.11-1.3.12 */
WITH_KIT(they_are_intercepted_as_monitor_and_mwait)
{
    kit_guest(k);
    kit_intercept(k, INTERCEPT_MONITOR);
    k->cpu->r[REG_RCX] = 1;
    kit_raised(k, EXEC(k, MONITORX), EXC_GP, 0);
    k->cpu->r[REG_RAX] = NONCANON;
    k->cpu->r[REG_RCX] = 0;
    kit_raised(k, EXEC(k, MONITORX), EXC_GP, 0);
    k->cpu->r[REG_RAX] = DATA_SPA;
    kit_exited(k, EXEC(k, MONITORX), VMEXIT_MONITOR, 0, 0, CODE_SPA + 3);
}

/* rows: exit 2.31 */
WITH_KIT(mwaitx_exits_by_the_armed_monitor)
{
    for (unsigned armed = 0; armed < 2; armed++) {
        kit_mode(k, MODE_LONG64, 0);
        kit_guest(k);
        kit_intercept(k, INTERCEPT_MWAIT);
        kit_intercept(k, INTERCEPT_MWAIT_ARMED);
        if (armed)
            arm(k, DATA_SPA);
        k->cpu->r[REG_RIP] = CODE_SPA;
        k->cpu->r[REG_RCX] = 4;
        kit_raised(k, EXEC(k, MWAITX), EXC_GP, 0);
        k->cpu->r[REG_RCX] = 2;
        kit_exited(k, EXEC(k, MWAITX), armed ? VMEXIT_MWAIT_CONDITIONAL : VMEXIT_MWAIT, 0, 0,
                   CODE_SPA + 3);
    }
}

/* MONITORX, MWAITX with `ecx` and `ebx`, then NOPs, of which at most ten run. Returns the time that went by, 0 when it waits
 * for ever. */
static uint64_t wait_with(struct kit *k, uint32_t ecx, uint32_t ebx)
{
    PROGRAM(k, "\x31\xc9\x31\xd2" MONITORX
               "\x89\xf1" MWAITX); /* XOR ECX, XOR EDX, ..., MOV ECX, ESI */
    k->cpu->r[REG_RAX] = DATA_SPA;
    k->cpu->r[REG_RSI] = ecx;
    k->cpu->r[REG_RBX] = UINT64_C(0xabcd00000000) | ebx; /* EBX counts */
    uint64_t before = vcpu_now_ns(k->cpu);
    const struct run_limits limits = { .max_steps = vcpu_steps(k->cpu) + 10 };
    int stop = run_vcpu(k->cpu, &limits);
    if (stop == PACIFICA_STOP_HALTED)
        return 0;
    ck_assert_int_eq(stop, PACIFICA_STOP_LIMIT_INSNS);
    ck_assert_uint_gt(k->cpu->r[REG_RIP], CODE_SPA + 12);
    return vcpu_now_ns(k->cpu) - before;
}

/* rows: pitfalls 9.8 */
WITH_KIT(a_timer_ends_the_wait)
{
    /* MWAITX starts as the fifth instruction, four nanoseconds after the first; five of the steps are left then. */
    ck_assert_uint_eq(wait_with(k, 2, 5000), 4 + 5000 + 5);
    ck_assert(!k->cpu->monitor.waiting && !k->cpu->monitor.armed);
    ck_assert_uint_eq(wait_with(k, 2, UINT32_MAX), UINT64_C(4) + UINT32_MAX + 5);
    ck_assert_uint_eq(wait_with(k, 3, 100), 4 + 100 + 5);
}

/* Zero in EBX is no timer, and without ECX[1] EBX does not count. */
WITH_KIT(without_a_timer_nothing_ends_it)
{
    ck_assert_uint_eq(wait_with(k, 2, 0), 0);
    ck_assert_uint_eq(wait_with(k, 0, 5000), 0);
}

/* A deadline that is left over from a wait that ended otherwise does not end the next. */
WITH_KIT(old_timers_do_not_count)
{
    arm(k, DATA_SPA);
    k->cpu->r[REG_RCX] = 2;
    k->cpu->r[REG_RBX] = 300;
    ck_assert_int_eq(EXEC(k, MWAITX), STEP_HALT);
    ck_assert_uint_ne(clock_next_ns(&k->clock), CLOCK_NEVER);
    k->cpu->monitor.waiting = k->cpu->monitor.armed = k->cpu->regs.halted = false; /* an NMI */
    ck_assert_uint_eq(wait_with(k, 0, 0), 0);
    ck_assert(!k->cpu->monitor.expired);
}

WITH_KIT(reset_takes_the_timer_along)
{
    arm(k, DATA_SPA);
    k->cpu->r[REG_RCX] = 2;
    k->cpu->r[REG_RBX] = 300;
    ck_assert_int_eq(EXEC(k, MWAITX), STEP_HALT);
    vcpu_reset(k->cpu);
    ck_assert_uint_eq(clock_next_ns(&k->clock), CLOCK_NEVER);
}

/* The first processor counts; the second waits for 25 microseconds, then HLTs. */
START_TEST(a_timer_ends_the_wait_among_others)
{
    struct kit *k = kit_new_smp(2);
    struct vcpu *bsp = k->cpu;
    const struct vcpu_parts parts = { .memory = k->memory,
                                      .probes = &k->probes,
                                      .clock = &k->clock,
                                      .model = cpu_model_default(),
                                      .bsp = bsp };
    struct vcpu *ap = vcpu_new(&parts);
    ck_assert_ptr_nonnull(ap);
    k->cpu = ap;
    kit_mode(k, MODE_LONG64, 0);
    ap->regs.wait_sipi = false;
    PROGRAM(k, "\x31\xc9\x31\xd2" MONITORX "\xb1\x02" MWAITX "\xf4"); /* ..., MOV CL, 2 */
    ap->r[REG_RAX] = DATA_SPA;
    ap->r[REG_RBX] = 25000;
    k->cpu = bsp;
    bsp->r[REG_RIP] = CODE_SPA + 0x100;
    kit_put(k, CODE_SPA + 0x100, 8, 0xfbebc0ff48); /* 1: INC RAX; JMP 1b */
    const struct run_limits limits = { .max_steps = 120000 };
    ck_assert_int_eq(run_vcpu(bsp, &limits), PACIFICA_STOP_LIMIT_INSNS);
    ck_assert(ap->regs.halted && !ap->monitor.waiting);
    ck_assert_uint_eq(ap->r[REG_RIP], CODE_SPA + 13);
    ck_assert_uint_gt(bsp->r[REG_RAX], 10000);
    vcpu_free(ap);
    kit_free(k);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("monitorx");
    TCase *all = tcase_create("all");
    tcase_add_test(all, they_are_legal_at_every_level);
    tcase_add_test(all, hwcr_takes_them_away_too);
    tcase_add_test(all, reserved_extensions_are_gp);
    tcase_add_test(all, they_are_intercepted_as_monitor_and_mwait);
    tcase_add_test(all, mwaitx_exits_by_the_armed_monitor);
    tcase_add_test(all, a_timer_ends_the_wait);
    tcase_add_test(all, a_timer_ends_the_wait_among_others);
    tcase_add_test(all, without_a_timer_nothing_ends_it);
    tcase_add_test(all, old_timers_do_not_count);
    tcase_add_test(all, reset_takes_the_timer_along);
    suite_add_tcase(suite, all);
    return kit_run(suite);
}

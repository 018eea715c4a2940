/* The global control and status registers of performance counters (PerfMonV2). APM vol 2, 13.2.1 "Performance Counter MSRs",
 * figures 13-12 to 13-15. */
#include "emu/cpu/perf.h"
#include "tests/cpu/program.h"

#define INSNS UINT64_C(0xc0)
#define TAKEN UINT64_C(0xc4)
#define ON ((1u << 17) | (1u << 22)) /* OS, EN */
#define INT PERF_CTL_INT
#define FROZEN (UINT64_C(1) << 59)
#define LBR_FROZEN (UINT64_C(1) << 58)
#define LAST PERF_CTR_VALID

#define CTL(n) (0xc0010200u + 2 * (n))
#define CTR(n) (0xc0010201u + 2 * (n))
#define STATUS 0xc0000300u
#define GLOBAL 0xc0000301u
#define CLEAR 0xc0000302u
#define SET 0xc0000303u

static uint64_t get(struct kit *k, uint32_t number)
{
    uint64_t value;
    ck_assert_int_eq(msr_read(k->cpu, number, &value), STEP_NEXT);
    return value;
}

static void set(struct kit *k, uint32_t number, uint64_t value)
{
    ck_assert_int_eq(msr_write(k->cpu, number, value), STEP_NEXT);
}

static void start(struct kit *k, unsigned n, uint64_t control, uint64_t counter)
{
    set(k, CTL(n), 0);
    set(k, CTR(n), counter);
    set(k, CTL(n), control);
}

static void run_nops(struct kit *k, unsigned count)
{
    PROGRAM(k, "\x90");
    program_run(k, count);
}

WITH_KIT(each_bit_enables_its_counter)
{
    for (unsigned n = 0; n < PERF_COUNTERS; n++) {
        for (unsigned i = 0; i < PERF_COUNTERS; i++)
            start(k, i, INSNS | ON, 0);
        set(k, GLOBAL, 1u << n);
        ck_assert_uint_eq(get(k, GLOBAL), 1u << n);
        for (unsigned i = 0; i < PERF_COUNTERS; i++)
            set(k, CTR(i), 0);
        run_nops(k, 10);
        for (unsigned i = 0; i < PERF_COUNTERS; i++)
            ck_assert_uint_eq(get(k, CTR(i)), i == n ? 10 : 0);
    }
}

/* Its own enable is wanted as well. */
WITH_KIT(both_enables_are_needed)
{
    start(k, 2, INSNS | 1u << 17, 0);
    run_nops(k, 10);
    ck_assert_uint_eq(get(k, CTR(2)), 0);
    set(k, CTL(2), INSNS | ON);
    run_nops(k, 10);
    ck_assert_uint_eq(get(k, CTR(2)), 10);
    set(k, GLOBAL, 0);
    ck_assert(!k->cpu->perf.active);
    run_nops(k, 10);
    ck_assert_uint_eq(get(k, CTR(2)), 10);
}

WITH_KIT(one_write_stops_and_starts_all)
{
    PROGRAM(k, "\xeb\x00\xeb\x00\xeb\x00\xeb\x00"); /* JMP +0 ... */
    start(k, 0, INSNS | ON, 0);
    start(k, 1, TAKEN | ON, 0);
    set(k, GLOBAL, 0);
    ck_assert(!k->cpu->perf.branches);
    program_run(k, 2);
    set(k, GLOBAL, 3);
    program_run(k, 2);
    ck_assert_uint_eq(get(k, CTR(0)), 2);
    ck_assert_uint_eq(get(k, CTR(1)), 2);
}

/* Software that does not know the registers counts. */
WITH_KIT(reset_enables_all_and_clears_the_status)
{
    set(k, GLOBAL, 0);
    set(k, SET, UINT64_MAX);
    vcpu_reset(k->cpu);
    ck_assert_uint_eq(get(k, GLOBAL), 0x3f);
    ck_assert_uint_eq(get(k, STATUS), 0);
}

WITH_KIT(reserved_bits_read_0)
{
    set(k, GLOBAL, UINT64_MAX);
    ck_assert_uint_eq(get(k, GLOBAL), 0x3f);
    set(k, SET, UINT64_MAX & ~FROZEN);
    ck_assert_uint_eq(get(k, STATUS), 0x3f); /* LBR_FROZEN: there is no stack */
    set(k, SET, FROZEN | LBR_FROZEN);
    ck_assert_uint_eq(get(k, STATUS), FROZEN | 0x3f);
}

WITH_KIT(status_is_changed_by_two_registers)
{
    set(k, SET, 0x2d);
    ck_assert_uint_eq(get(k, STATUS), 0x2d);
    set(k, SET, 0x02);
    ck_assert_uint_eq(get(k, STATUS), 0x2f);
    set(k, CLEAR, 0x0c);
    ck_assert_uint_eq(get(k, STATUS), 0x23);
    set(k, STATUS, 0x1c); /* read-only */
    ck_assert_uint_eq(get(k, STATUS), 0x23);
    ck_assert_uint_eq(get(k, CLEAR), 0);
    ck_assert_uint_eq(get(k, SET), 0);
}

static unsigned overflows;

static void overflow(void *self)
{
    (void)self;
    overflows++;
}

/* Also where no interrupt is asked for. */
START_TEST(overflow_sets_the_bit_of_its_counter)
{
    struct kit *k = kit_new();
    struct intc_ops ops = *k->cpu->intc;
    const struct intc_ops *old = k->cpu->intc;
    unsigned n = (unsigned)_i >> 1;
    bool interrupt = _i & 1;
    ops.perf_overflow = overflow;
    k->cpu->intc = &ops;
    overflows = 0;
    start(k, n, INSNS | ON | (interrupt ? INT : 0), LAST - 4);
    run_nops(k, 4);
    ck_assert_uint_eq(get(k, STATUS), 0);
    run_nops(k, 1);
    ck_assert_uint_eq(get(k, STATUS), 1u << n);
    ck_assert_uint_eq(overflows, interrupt);
    set(k, CLEAR, 1u << n);
    run_nops(k, 10);
    ck_assert_uint_eq(get(k, STATUS), 0);
    ck_assert_uint_eq(get(k, CTR(n)), 10);
    k->cpu->intc = old;
    kit_free(k);
}
END_TEST

WITH_KIT(setting_an_overflow_bit_interrupts_nobody)
{
    struct intc_ops ops = *k->cpu->intc;
    const struct intc_ops *old = k->cpu->intc;
    ops.perf_overflow = overflow;
    k->cpu->intc = &ops;
    overflows = 0;
    start(k, 0, INSNS | ON | INT, 0);
    set(k, SET, 1);
    run_nops(k, 5);
    ck_assert_uint_eq(overflows, 0);
    ck_assert_uint_eq(get(k, CTR(0)), 5);
    k->cpu->intc = old;
}

WITH_KIT(frozen_counters_stand_still)
{
    start(k, 0, INSNS | ON, 0);
    run_nops(k, 5);
    set(k, SET, FROZEN);
    run_nops(k, 5);
    ck_assert_uint_eq(get(k, CTR(0)), 5);
    set(k, CLEAR, FROZEN);
    run_nops(k, 5);
    ck_assert_uint_eq(get(k, CTR(0)), 10);
}

WITH_KIT(cpuid_tells_of_them)
{
    static const struct {
        const char *model;
        bool there;
    } rows[] = {
        { "max", true },         { "max,-perfmon-v2", false }, { "max,-perfctr-core", false },
        { "epyc-milan", false }, { "epyc-genoa", true },       { "ryzen-zen5", true }
    };
    const struct cpu_model *old = k->cpu->model;
    for (unsigned i = 0; i < TABLE_ROWS(rows); i++) {
        struct cpu_model model;
        uint32_t out[4];
        uint64_t value;
        ck_assert_int_eq(cpu_model_parse(rows[i].model, &model, NULL), PACIFICA_OK);
        k->cpu->model = &model;
        cpu_cpuid(k->cpu, 0x80000022, 0, out);
        ck_assert_uint_eq(out[CPUID_EAX] & 1, rows[i].there);
        ck_assert_uint_eq(out[CPUID_EBX], rows[i].there ? 6 : 0);
        for (uint32_t number = STATUS; number <= SET; number++) {
            enum step step = rows[i].there ? STEP_NEXT : STEP_RAISED;
            ck_assert_int_eq(msr_read(k->cpu, number, &value), step);
            ck_assert_int_eq(msr_write(k->cpu, number, 0), step);
        }
        ck_assert_int_eq(msr_read(k->cpu, SET + 1, &value), STEP_RAISED);
    }
    k->cpu->model = old;
}

int main(void)
{
    Suite *suite = suite_create("cpu/perf_global");
    TCase *all = tcase_create("perf_global");
    tcase_add_test(all, each_bit_enables_its_counter);
    tcase_add_test(all, both_enables_are_needed);
    tcase_add_test(all, one_write_stops_and_starts_all);
    tcase_add_test(all, reset_enables_all_and_clears_the_status);
    tcase_add_test(all, reserved_bits_read_0);
    tcase_add_test(all, status_is_changed_by_two_registers);
    tcase_add_loop_test(all, overflow_sets_the_bit_of_its_counter, 0, 2 * PERF_COUNTERS);
    tcase_add_test(all, setting_an_overflow_bit_interrupts_nobody);
    tcase_add_test(all, frozen_counters_stand_still);
    tcase_add_test(all, cpuid_tells_of_them);
    suite_add_tcase(suite, all);
    return kit_run(suite);
}

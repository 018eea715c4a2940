/* Guests that have performance counters of their own: who counts, what they see, and overflow at its instruction. APM vol 2,
 * 15.39 "Performance Monitoring Counter Virtualization". The registers at a world switch: tests/svm/test_pmc.c. */
#include "emu/cpu/perf.h"
#include "tests/cpu/program.h"

#define INSNS UINT64_C(0xc0)
#define TAKEN UINT64_C(0xc4)
#define OS (1u << 17)
#define EN (1u << 22)
#define HOST (UINT64_C(1) << 41)
#define ON (OS | EN)
#define INT PERF_CTL_INT

#define CTL(n) (0xc0010200u + 2 * (n))
#define CTR(n) (0xc0010201u + 2 * (n))
#define GLOBAL_STATUS 0xc0000300u
#define GLOBAL_CTL 0xc0000301u
#define HWCR 0xc0010015u
#define IRPERF 0xc00000e9u

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

static void put(struct kit *k, unsigned n, uint64_t control, uint64_t counter)
{
    vmcb_store(k->vmcb, VMCB_AT_PERF_CTL0 + 16 * n, 8, control);
    vmcb_store(k->vmcb, VMCB_AT_PERF_CTR0 + 16 * n, 8, counter);
}

static uint64_t saved(struct kit *k, unsigned n)
{
    return vmcb_load(k->vmcb, VMCB_AT_PERF_CTR0 + 16 * n, 8);
}

static void leave(struct kit *k)
{
    ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_VMMCALL, 0, 0), STEP_VMEXIT);
}

/* A VMCB whose guest runs the program with its own counters, and virtual NMIs as `vintr` says; not entered. */
static void prepare(struct kit *k, uint64_t vintr)
{
    kit_guest(k);
    leave(k);
    VMCB_SET(k->vmcb, RIP, CODE_SPA);
    VMCB_SET(k->vmcb, VIRT_ENABLE, VIRT_PMC_ENABLE);
    VMCB_SET(k->vmcb, VINTR_CONTROL, vintr);
    VMCB_SET(k->vmcb, INTERCEPT_3, 1u << (INTERCEPT_NMI & 31));
    VMCB_SET(k->vmcb, PERF_CTR_GLOBAL_CTL, 0x3f);
}

static void enter(struct kit *k)
{
    ck_assert_int_eq(svm_vmrun(k->cpu, VMCB_SPA, CODE_SPA + 0x100), STEP_JUMP);
}

/* rows: vmcb 2.25, 9.3.3 */
WITH_KIT(the_guests_counters_count_the_guest)
{
    PROGRAM(k, "\x90");
    prepare(k, 0);
    put(k, 0, INSNS | ON, 1000);
    put(k, 1, INSNS | OS, 7); /* not enabled */
    put(k, 5, INSNS | ON | HOST, 50);
    set(k, CTL(2), INSNS | ON); /* the host's: not the guest's */
    enter(k);
    program_run(k, 20);
    ck_assert_uint_eq(get(k, CTR(0)), 1020);
    k->cpu->r[REG_RCX] = 0;
    ck_assert_int_eq(EXEC(k, "\x0f\x33"), STEP_NEXT); /* RDPMC */
    ck_assert_uint_eq((uint32_t)k->cpu->r[REG_RAX], 1020);
    program_run(k, 10);
    leave(k);
    ck_assert_uint_eq(saved(k, 0), 1030);
    ck_assert_uint_eq(saved(k, 1), 7);
    ck_assert_uint_eq(saved(k, 2), 0);
    ck_assert_uint_eq(saved(k, 5), 50);
}

/* And nothing of the guest's goes on in the host, nor of the host's in the guest. */
WITH_KIT(worlds_do_not_count_for_each_other)
{
    PROGRAM(k, "\x90");
    prepare(k, 0);
    put(k, 0, INSNS | ON, 0);
    set(k, CTL(1), INSNS | ON);
    set(k, CTR(1), 500);
    enter(k);
    program_run(k, 12);
    leave(k);
    ck_assert_uint_eq(saved(k, 0), 12);
    k->cpu->r[REG_RIP] = CODE_SPA;
    k->cpu->svm->gif = true;
    program_run(k, 9);
    ck_assert(!k->cpu->perf.active);
    ck_assert_uint_eq(get(k, CTR(0)), 0);
    ck_assert_uint_eq(get(k, CTR(1)), 0);
    ck_assert_uint_eq(saved(k, 0), 12);
    enter(k);
    program_run(k, 3);
    leave(k);
    ck_assert_uint_eq(saved(k, 0), 15);
}

/* rows: vmcb 9.3.12, 9.3.13 */
WITH_KIT(global_registers_are_the_guests)
{
    PROGRAM(k, "\x90");
    prepare(k, 0);
    put(k, 0, INSNS | ON, PERF_CTR_VALID - 2);
    put(k, 1, INSNS | ON, 0);
    VMCB_SET(k->vmcb, PERF_CTR_GLOBAL_CTL, 1);
    set(k, GLOBAL_CTL, 0); /* of the host */
    enter(k);
    program_run(k, 10);
    ck_assert_uint_eq(get(k, GLOBAL_STATUS), 1);
    leave(k);
    ck_assert_uint_eq(saved(k, 0), 7);
    ck_assert_uint_eq(saved(k, 1), 0);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, PERF_CTR_GLOBAL_STS), 1);
    ck_assert_uint_eq(get(k, GLOBAL_STATUS), 0);
    ck_assert_uint_eq(get(k, GLOBAL_CTL), 0x3f);
}

/* What the guest writes is in its VMCB. */
WITH_KIT(wrmsr_of_the_guest_reaches_its_registers)
{
    PROGRAM(k, "\x90");
    prepare(k, 0);
    enter(k);
    set(k, CTL(3), INSNS | ON);
    set(k, CTR(3), 70);
    program_run(k, 5);
    leave(k);
    ck_assert_uint_eq(vmcb_load(k->vmcb, VMCB_AT_PERF_CTL3, 8), INSNS | ON);
    ck_assert_uint_eq(saved(k, 3), 75);
    ck_assert_uint_eq(get(k, CTL(3)), 0);
}

/* rows: vmcb 9.3.11 */
WITH_KIT(irperf_is_the_guests)
{
    PROGRAM(k, "\x90");
    prepare(k, 0);
    VMCB_SET(k->vmcb, INSTR_RETIRED_CTR, 4000);
    set(k, HWCR, get(k, HWCR) | HWCR_IRPERF_EN);
    set(k, IRPERF, 100);
    enter(k);
    program_run(k, 1 + 11); /* the first as if it were VMRUN, which is the host's */
    ck_assert_uint_eq(get(k, IRPERF), 4011);
    leave(k);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, INSTR_RETIRED_CTR), 4011);
    ck_assert_uint_eq(get(k, IRPERF), 101);
    k->cpu->r[REG_RIP] = CODE_SPA;
    program_run(k, 6);
    ck_assert_uint_eq(get(k, IRPERF), 107);
}

/* The virtual NMI comes behind the instruction that overflows, however the run is cut and whatever is counted. */
START_TEST(overflow_is_a_virtual_nmi_at_its_instruction)
{
    struct kit *k = kit_new();
    bool branches = _i & 1, exact = _i & 2;
    PROGRAM(k, "\xeb\x00\xeb\x00\xeb\x00\xeb\x00\xeb\x00\xeb\x00"); /* JMP +0 ... */
    prepare(k, VINTR_NMI_ENABLE);
    put(k, 0, (branches ? TAKEN : INSNS) | ON | INT, PERF_CTR_VALID - 3);
    enter(k);
    const struct run_limits limits = { .max_steps = vcpu_steps(k->cpu) + 7, .exact_blocks = exact };
    int stop = run_vcpu(k->cpu, &limits);
    ck_assert(stop == PACIFICA_STOP_LIMIT_INSNS || stop == PACIFICA_STOP_HALTED);
    ck_assert_uint_eq(k->deliveries, 1);
    ck_assert_uint_eq(k->delivered.a & 0x7ff, EXC_NMI | EVENT_NMI << 8);
    ck_assert_uint_eq(pushed_rip(k), CODE_SPA + 8);
    ck_assert(k->cpu->svm->v_ctl & VINTR_NMI_MASK);
    ck_assert(k->cpu->svm->guest);
    kit_free(k);
}
END_TEST

WITH_KIT(overflow_is_lost_without_a_virtual_interrupt)
{
    PROGRAM(k, "\x90");
    prepare(k, 0);
    put(k, 0, INSNS | ON | INT, PERF_CTR_VALID - 3);
    enter(k);
    program_run(k, 20);
    ck_assert_uint_eq(k->deliveries, 0);
    ck_assert(k->cpu->svm->guest);
    ck_assert_uint_eq(get(k, CTR(0)), 16);
}

WITH_KIT(it_needs_its_cpuid_bit_and_that_the_core_counters)
{
    struct cpu_model model;
    (void)k;
    ck_assert_int_eq(cpu_model_parse("max", &model, NULL), PACIFICA_OK);
    ck_assert(model.features[CPU_FEATURE_PMC_VIRT]);
    ck_assert_int_eq(cpu_model_parse("max,-perfctr-core", &model, NULL), PACIFICA_OK);
    ck_assert(!model.features[CPU_FEATURE_PMC_VIRT]);
    ck_assert_int_eq(cpu_model_parse("epyc-turin,-pmc-virt", &model, NULL), PACIFICA_OK);
    ck_assert(!model.features[CPU_FEATURE_PMC_VIRT]);
    ck_assert(model.features[CPU_FEATURE_PERFCTR_CORE]);
    ck_assert_int_eq(cpu_model_parse("epyc-genoa", &model, NULL), PACIFICA_OK);
    ck_assert(!model.features[CPU_FEATURE_PMC_VIRT]);
}

int main(void)
{
    Suite *suite = suite_create("cpu/pmc_guest");
    TCase *all = tcase_create("pmc_guest");
    tcase_add_test(all, the_guests_counters_count_the_guest);
    tcase_add_test(all, worlds_do_not_count_for_each_other);
    tcase_add_test(all, global_registers_are_the_guests);
    tcase_add_test(all, wrmsr_of_the_guest_reaches_its_registers);
    tcase_add_test(all, irperf_is_the_guests);
    tcase_add_loop_test(all, overflow_is_a_virtual_nmi_at_its_instruction, 0, 4);
    tcase_add_test(all, overflow_is_lost_without_a_virtual_interrupt);
    tcase_add_test(all, it_needs_its_cpuid_bit_and_that_the_core_counters);
    suite_add_tcase(suite, all);
    return kit_run(suite);
}

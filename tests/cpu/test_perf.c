/* Performance counters, RDPMC, MPERF, APERF, IRPERF, RDPRU, and MCOMMIT. APM vol 2, 13.2 "Performance Monitoring Counters",
 * 17.3 "Determining Processor Effective Frequency". */
#include "emu/cpu/perf.h"
#include "tests/cpu/program.h"

#define RDPRU "\x0f\x01\xfd"
#define MCOMMIT "\xf3\x0f\x01\xfa"
#define RDPMC "\x0f\x33"

#define INSNS UINT64_C(0xc0)
#define CLOCKS UINT64_C(0x76)
#define BRANCHES UINT64_C(0xc2)
#define TAKEN UINT64_C(0xc4)
#define USR (1u << 16)
#define OS (1u << 17)
#define INT (1u << 20)
#define EN (1u << 22)
#define GUEST (UINT64_C(1) << 40)
#define HOST (UINT64_C(1) << 41)
#define BOTH (USR | OS | EN)

#define CTL(n) (0xc0010200u + 2 * (n))
#define CTR(n) (0xc0010201u + 2 * (n))

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

/* --- registers --- */

WITH_KIT(both_sets_of_registers_are_the_same)
{
    for (unsigned n = 0; n < 4; n++) {
        set(k, 0xc0010000 + n, 0x100 * n + 1);
        set(k, 0xc0010004 + n, 1000 + n);
        ck_assert_uint_eq(get(k, CTL(n)), 0x100 * n + 1);
        ck_assert_uint_eq(get(k, CTR(n)), 1000 + n);
        set(k, CTL(n), 2);
        ck_assert_uint_eq(get(k, 0xc0010000 + n), 2);
    }
    set(k, CTR(5), 77);
    ck_assert_uint_eq(get(k, CTR(5)), 77);
    uint64_t value;
    ck_assert_int_eq(msr_read(k->cpu, 0xc001020c, &value), STEP_RAISED);
}

WITH_KIT(reserved_bits_read_0)
{
    set(k, CTL(1), UINT64_MAX & ~(uint64_t)EN);
    ck_assert_uint_eq(get(k, CTL(1)), 0x0000030fff97ffff);
    set(k, CTR(1), UINT64_MAX);
    ck_assert_uint_eq(get(k, CTR(1)), 0xffffffffffff);
}

WITH_KIT(four_counters_without_the_extension)
{
    struct cpu_model model;
    uint64_t value;
    ck_assert_int_eq(cpu_model_parse("max,-perfctr-core", &model, NULL), PACIFICA_OK);
    const struct cpu_model *old = k->cpu->model;
    k->cpu->r[REG_RCX] = 5;
    ck_assert_int_eq(EXEC(k, RDPMC), STEP_NEXT);
    k->cpu->r[REG_RCX] = 6;
    kit_raised(k, EXEC(k, RDPMC), EXC_GP, 0);
    k->cpu->model = &model;
    ck_assert_int_eq(msr_read(k->cpu, CTL(0), &value), STEP_RAISED);
    k->cpu->r[REG_RCX] = 4;
    kit_raised(k, EXEC(k, RDPMC), EXC_GP, 0);
    k->cpu->r[REG_RCX] = 3;
    ck_assert_int_eq(EXEC(k, RDPMC), STEP_NEXT);
    k->cpu->model = old;
}

/* --- counting --- */

static void start(struct kit *k, unsigned n, uint64_t control)
{
    set(k, CTL(n), 0);
    set(k, CTR(n), 0);
    set(k, CTL(n), control);
}

/* NOPs in the run loop at the kit's level. */
static void run_nops(struct kit *k, unsigned count)
{
    k->cpu->r[REG_RIP] = CODE_SPA;
    for (unsigned i = 0; i < 64; i++)
        kit_put(k, CODE_SPA + i, 1, 0x90);
    program_run(k, count);
}

WITH_KIT(instructions_and_clocks_are_counted)
{
    start(k, 0, INSNS | BOTH);
    start(k, 1, CLOCKS | BOTH);
    start(k, 2, INSNS | USR | OS);                 /* not enabled */
    start(k, 3, 0x123 | BOTH);                     /* an event that does not exist */
    start(k, 4, INSNS | UINT64_C(1) << 32 | BOTH); /* 1C0h */
    run_nops(k, 40);
    ck_assert_uint_eq(get(k, CTR(0)), 40);
    ck_assert_uint_eq(get(k, CTR(1)), 40);
    ck_assert_uint_eq(get(k, CTR(2)), 0);
    ck_assert_uint_eq(get(k, CTR(3)), 0);
    ck_assert_uint_eq(get(k, CTR(4)), 0);
    set(k, CTL(0), INSNS | USR | OS);
    run_nops(k, 5);
    ck_assert_uint_eq(get(k, CTR(0)), 40); /* stopped */
    ck_assert_uint_eq(get(k, CTR(1)), 45);
}

START_TEST(the_level_decides)
{
    static const struct {
        uint64_t control;
        unsigned cpl, count;
    } rows[] = {
        { EN, 0, 0 },       { EN, 3, 0 },        { EN | OS, 0, 20 }, { EN | OS, 3, 0 },
        { EN | USR, 0, 0 }, { EN | USR, 3, 20 }, { BOTH, 0, 20 },    { BOTH, 3, 20 },
    };
    struct kit *k = kit_new();
    start(k, 0, INSNS | rows[_i].control);
    kit_mode(k, MODE_LONG64, rows[_i].cpl);
    run_nops(k, 20);
    ck_assert_uint_eq(get(k, CTR(0)), rows[_i].count);
    kit_free(k);
}
END_TEST

/* Table 13-4. */
START_TEST(the_world_decides)
{
    static const struct {
        uint64_t control;
        bool svme, guest;
        unsigned count;
    } rows[] = {
        { 0, false, false, 20 },
        { 0, true, false, 20 },
        { 0, true, true, 20 },
        { HOST, false, false, 0 },
        { HOST, true, false, 20 },
        { HOST, true, true, 0 },
        { GUEST, false, false, 0 },
        { GUEST, true, false, 0 },
        { GUEST, true, true, 20 },
        { HOST | GUEST, false, false, 0 },
        { HOST | GUEST, true, false, 20 },
        { HOST | GUEST, true, true, 20 },
    };
    struct kit *k = kit_new();
    if (!rows[_i].svme)
        k->cpu->regs.efer &= ~(uint64_t)EFER_SVME;
    start(k, 0, INSNS | BOTH | rows[_i].control);
    if (rows[_i].guest)
        kit_guest(k);
    run_nops(k, 20);
    ck_assert_uint_eq(get(k, CTR(0)), rows[_i].count);
    kit_free(k);
}
END_TEST

/* Level 3 executes NOP, SYSCALL; level 0 NOP, NOP. */
WITH_KIT(each_level_gets_its_own)
{
    start(k, 0, INSNS | USR | EN);
    start(k, 1, INSNS | OS | EN);
    PROGRAM(k, "\x90\x0f\x05");
    kit_mode(k, MODE_LONG64, 3);
    k->cpu->msr.star = (uint64_t)CODE64 << 32;
    k->cpu->msr.lstar = CODE_SPA + 0x10;
    program_run(k, 4);
    ck_assert_uint_eq(k->cpu->regs.cpl, 0);
    ck_assert_uint_eq(get(k, CTR(0)), 2);
    ck_assert_uint_eq(get(k, CTR(1)), 2);
}

/* JMP, a Jcc that is taken, one that is not, CALL, RET, LOOP that goes on, LOOP that ends; NOPs between. */
WITH_KIT(branches_are_counted_while_somebody_asks)
{
    static const char code[] = "\xeb\x00"                 /* JMP +0 */
                               "\x31\xc0\x74\x00\x75\x00" /* XOR EAX, EAX; JZ; JNZ */
                               "\xe8\x00\x00\x00\x00"     /* CALL +0 */
                               "\x58\xb9\x02\x00\x00\x00" /* POP RAX; MOV ECX, 2 */
                               "\xe2\xfe\x90\x90";        /* LOOP self */
    for (unsigned exact = 0; exact < 2; exact++) {
        program(k, code, sizeof(code) - 1);
        start(k, 0, BRANCHES | BOTH);
        start(k, 1, TAKEN | BOTH);
        start(k, 2, INSNS | BOTH);
        const struct run_limits limits = { .max_steps = vcpu_steps(k->cpu) + 11,
                                           .exact_blocks = exact };
        ck_assert_int_eq(run_vcpu(k->cpu, &limits), PACIFICA_STOP_LIMIT_INSNS);
        ck_assert_uint_eq(get(k, CTR(2)), 11);
        ck_assert_uint_eq(get(k, CTR(0)), 6);
        ck_assert_uint_eq(get(k, CTR(1)), 4);
    }
    ck_assert(k->cpu->perf.branches);
    start(k, 0, 0);
    start(k, 1, 0);
    ck_assert(!k->cpu->perf.branches && k->cpu->perf.active);
    start(k, 2, 0);
    ck_assert(!k->cpu->perf.active);
}

/* They count as branches that are taken. */
WITH_KIT(exceptions_are_branches)
{
    PROGRAM(k, "\x0f\x0b");
    start(k, 0, BRANCHES | BOTH);
    start(k, 1, TAKEN | BOTH);
    program_run(k, 2);
    ck_assert_uint_eq(k->deliveries, 1);
    ck_assert_uint_eq(get(k, CTR(0)), 1);
    ck_assert_uint_eq(get(k, CTR(1)), 1);
}

/* CNT_MASK, INV and EDGE. */
WITH_KIT(comparisons_know_one_event_a_clock)
{
    start(k, 0, INSNS | BOTH | 1u << 24);
    start(k, 1, INSNS | BOTH | 2u << 24);
    start(k, 2, INSNS | BOTH | 1u << 24 | 1u << 23);
    start(k, 3, INSNS | BOTH | 1u << 18);
    run_nops(k, 10);
    ck_assert_uint_eq(get(k, CTR(0)), 10);
    ck_assert_uint_eq(get(k, CTR(1)), 0);
    ck_assert_uint_eq(get(k, CTR(2)), 0);
    ck_assert_uint_eq(get(k, CTR(3)), 0);
}

/* REP MOVSB of 40 bytes and a NOP; cut in the middle, too. Each iteration takes a clock. */
START_TEST(a_string_instruction_is_one)
{
    struct kit *k = kit_new();
    PROGRAM(k, "\xf3\xa4\x90");
    k->cpu->r[REG_RSI] = k->cpu->r[REG_RDI] = DATA_SPA;
    k->cpu->r[REG_RCX] = 40;
    set(k, 0xc0010015, get(k, 0xc0010015) | 1u << 30); /* IRPERF counts */
    uint64_t irperf = get(k, 0xc00000e9), aperf = get(k, 0xe8);
    start(k, 0, INSNS | BOTH);
    start(k, 1, CLOCKS | BOTH);
    program_run(k, 15);
    ck_assert_uint_eq(k->cpu->r[REG_RCX], 25);
    ck_assert_uint_eq(get(k, CTR(0)), 0); /* not yet */
    program_run(k, 26);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], CODE_SPA + 3);
    ck_assert_uint_eq(get(k, CTR(0)), 2);
    ck_assert_uint_eq(get(k, CTR(1)), 41);
    ck_assert_uint_eq(get(k, 0xc00000e9), irperf + 2);
    ck_assert_uint_eq(get(k, 0xe8), aperf + 41);
    PROGRAM(k, "\xf3\xa4\x90"); /* without iterations it is one as well */
    program_run(k, 2);
    ck_assert_uint_eq(get(k, CTR(0)), 4);
    kit_free(k);
}
END_TEST

WITH_KIT(a_string_of_ports_is_one)
{
    PROGRAM(k, "\xf3\x6e\x90"); /* REP OUTSB; NOP */
    k->cpu->r[REG_RSI] = DATA_SPA;
    k->cpu->r[REG_RDX] = 0x80;
    k->cpu->r[REG_RCX] = 9;
    start(k, 0, INSNS | BOTH);
    program_run(k, 4);
    ck_assert_uint_eq(get(k, CTR(0)), 0);
    program_run(k, 6);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], CODE_SPA + 3);
    ck_assert_uint_eq(get(k, CTR(0)), 2);
}

WITH_KIT(rdpmc_reads_the_running_counter)
{
    PROGRAM(k, "\x90\x90\x90\x0f\x33\x89\xc3"); /* RDPMC; MOV EBX, EAX */
    start(k, 1, INSNS | BOTH);
    k->cpu->r[REG_RCX] = 1;
    program_run(k, 5);
    ck_assert_uint_eq(k->cpu->r[REG_RBX], 3);
}

/* --- overflow --- */

static unsigned overflows;
static uint64_t overflow_rip;
static struct kit *overflow_kit;

static void overflow(void *self)
{
    (void)self;
    overflows++;
    overflow_rip = overflow_kit->cpu->r[REG_RIP];
}

START_TEST(overflow_asks_for_an_interrupt_at_its_instruction)
{
    struct kit *k = kit_new();
    struct intc_ops ops = *k->cpu->intc;
    const struct intc_ops *old = k->cpu->intc;
    ops.perf_overflow = overflow;
    k->cpu->intc = &ops;
    overflow_kit = k;
    overflows = 0;
    bool wanted = _i & 1;
    uint64_t event = _i & 2 ? BRANCHES : INSNS;
    PROGRAM(k, "\xeb\x00\xeb\x00\xeb\x00\xeb\x00\xeb\x00\xeb\x00"); /* JMP +0 ... */
    start(k, 0, event | BOTH | (wanted ? INT : 0));
    set(k, CTR(0), (UINT64_C(1) << 48) - 3);
    program_run(k, 6);
    ck_assert_uint_eq(get(k, CTR(0)), 3); /* 48 bits */
    ck_assert_uint_eq(overflows, wanted);
    if (wanted)
        ck_assert_uint_eq(overflow_rip, CODE_SPA + 6);
    k->cpu->intc = old;
    kit_free(k);
}
END_TEST

static void ask(void *self)
{
    ((struct kit *)self)->pending = 0x50;
}

/* Each 37 instructions, or 5 taken branches, a handler sets the counter anew. The same happens however the run is cut. */
START_TEST(interrupts_come_at_the_same_instructions_in_every_way)
{
    static const char code[] =
        "\x48\xff\xc0\x48\x01\xc3\x48\x31\xc3\xeb\xf5";      /* INC RAX; ADD RBX, RAX; XOR; JMP */
    static const char handler[] = "\xb9\x01\x02\x01\xc0"     /* MOV ECX, C0010201h */
                                  "\x50\xb8\x00\x00\x00\x00" /* PUSH RAX; MOV EAX, -n */
                                  "\xba\xff\xff\x00\x00"     /* MOV EDX, FFFFh */
                                  "\x0f\x30\x58\x48\xcf";    /* WRMSR; POP RAX; IRETQ */
    uint64_t rbx[3], counter[3], rip[3];
    for (unsigned way = 0; way < 3; way++) {
        struct kit *k = kit_new();
        struct intc_ops ops = *k->cpu->intc;
        const struct intc_ops *old = k->cpu->intc;
        ops.perf_overflow = ask;
        k->cpu->intc = &ops;
        program(k, code, sizeof(code) - 1);
        for (unsigned i = 0; i < sizeof(handler) - 1; i++)
            kit_put(k, HANDLER + 0x1000 + i, 1, (uint8_t)handler[i]);
        kit_gate64(k, IDT_SPA + 16 * 0x50, CODE64, HANDLER + 0x1000, 14, 0, 0);
        uint32_t n = _i ? 5 : 37;
        kit_put(k, HANDLER + 0x1000 + 7, 4, (uint32_t)-n);
        start(k, 0, (_i ? TAKEN : INSNS) | BOTH | INT);
        set(k, CTR(0), (UINT64_C(1) << 48) - n);
        cpu_set_rflags(k->cpu, 2 | FLAG_IF);
        uint64_t end = vcpu_steps(k->cpu) + 5000;
        while (vcpu_steps(k->cpu) < end) {
            uint64_t piece = way == 2 ? 1 + vcpu_steps(k->cpu) % 13 : 5000;
            struct run_limits limits = { .max_steps = vcpu_steps(k->cpu) + piece,
                                         .exact_blocks = way == 1 };
            if (limits.max_steps > end)
                limits.max_steps = end;
            ck_assert_int_eq(run_vcpu(k->cpu, &limits), PACIFICA_STOP_LIMIT_INSNS);
        }
        ck_assert_uint_gt(k->deliveries, 50);
        rbx[way] = k->cpu->r[REG_RBX];
        counter[way] = get(k, CTR(0));
        rip[way] = k->cpu->r[REG_RIP];
        ck_assert_uint_eq(rbx[way], rbx[0]);
        ck_assert_uint_eq(counter[way], counter[0]);
        ck_assert_uint_eq(rip[way], rip[0]);
        k->cpu->intc = old;
        kit_free(k);
    }
}
END_TEST

/* --- RESET and INIT --- */

WITH_KIT(reset_stops_everything)
{
    start(k, 0, BRANCHES | BOTH);
    set(k, CTR(0), 99);
    run_nops(k, 10);
    vcpu_reset(k->cpu);
    ck_assert_uint_eq(get(k, CTL(0)), 0);
    ck_assert_uint_eq(get(k, CTR(0)), 0);
    ck_assert(!k->cpu->perf.active && !k->cpu->perf.branches);
    ck_assert_uint_eq(get(k, 0xe7), 0);
    ck_assert_uint_eq(get(k, 0xe8), 0);
    ck_assert_uint_eq(get(k, 0xc00000e9), 0);
}

/* --- MPERF, APERF, IRPERF --- */

WITH_KIT(mperf_and_aperf_count_what_is_not_waiting)
{
    set(k, 0xe7, 1000);
    set(k, 0xe8, 5);
    run_nops(k, 30);
    ck_assert_uint_eq(get(k, 0xe7), 1030);
    ck_assert_uint_eq(get(k, 0xe8), 35);
    ck_assert_uint_eq(get(k, 0xc00000e7), 1030); /* the same, for reading */
    ck_assert_uint_eq(get(k, 0xc00000e8), 35);
    ck_assert_int_eq(msr_write(k->cpu, 0xc00000e7, 0), STEP_RAISED);
    ck_assert_int_eq(msr_write(k->cpu, 0xc00000e8, 0), STEP_RAISED);
    k->cpu->skipped_ns += 500; /* HLT */
    ck_assert_uint_eq(get(k, 0xe7), 1030);
}

WITH_KIT(irperf_counts_while_hwcr_lets_it)
{
    uint64_t hwcr = get(k, 0xc0010015);
    run_nops(k, 10);
    ck_assert_uint_eq(get(k, 0xc00000e9), 0);
    set(k, 0xc0010015, hwcr | HWCR_IRPERF_EN);
    run_nops(k, 10);
    ck_assert_uint_eq(get(k, 0xc00000e9), 10);
    set(k, 0xc00000e9, 100);
    run_nops(k, 10);
    set(k, 0xc0010015, hwcr | HWCR_IRPERF_EN); /* no change */
    set(k, 0xc0010015, hwcr);
    run_nops(k, 10);
    ck_assert_uint_eq(get(k, 0xc00000e9), 110);
}

/* rows: pitfalls 9.10 */
WITH_KIT(rdpru_reads_both)
{
    set(k, 0xe7, UINT64_C(0x1234567890));
    set(k, 0xe8, UINT64_C(0x9876543210));
    for (unsigned cpl = 0; cpl <= 3; cpl += 3) {
        kit_mode(k, MODE_LONG64, cpl);
        for (unsigned n = 0; n < 4; n++) {
            uint64_t value = n == 0 ? 0x1234567890 : n == 1 ? 0x9876543210 : 0;
            k->cpu->r[REG_RAX] = k->cpu->r[REG_RDX] = UINT64_MAX;
            k->cpu->r[REG_RCX] = UINT64_C(0x100000000) | n;
            cpu_set_rflags(k->cpu, 2 | FLAGS_STATUS);
            ck_assert_int_eq(EXEC(k, RDPRU), STEP_NEXT);
            ck_assert_uint_eq(k->cpu->r[REG_RAX], (uint32_t)value);
            ck_assert_uint_eq(k->cpu->r[REG_RDX], value >> 32);
            ck_assert_uint_eq(cpu_rflags(k->cpu) & FLAGS_STATUS, n < 2 ? FLAG_CF : 0);
        }
    }
    uint32_t out[4];
    cpu_cpuid(k->cpu, 0x80000008, 0, out);
    ck_assert_uint_eq(out[CPUID_EDX] >> 16, 1);
}

/* rows: pitfalls 9.10 */
WITH_KIT(tsd_makes_rdpru_undefined)
{
    k->cpu->regs.cr4 |= CR4_TSD;
    k->cpu->r[REG_RCX] = 0;
    ck_assert_int_eq(EXEC(k, RDPRU), STEP_NEXT);
    k->cpu->regs.cpl = 3;
    kit_raised(k, EXEC(k, RDPRU), EXC_UD, NO_CODE);
}

WITH_KIT(rdpru_is_intercepted_after_tsd)
{
    kit_guest(k);
    kit_intercept(k, INTERCEPT_RDPRU);
    k->cpu->regs.cr4 |= CR4_TSD;
    k->cpu->regs.cpl = 3;
    kit_raised(k, EXEC(k, RDPRU), EXC_UD, NO_CODE);
    k->cpu->regs.cpl = 0;
    kit_exited(k, EXEC(k, RDPRU), VMEXIT_RDPRU, 0, 0, CODE_SPA + 3);
}

/* --- MCOMMIT --- */

WITH_KIT(mcommit_is_enabled_by_efer)
{
    kit_raised(k, EXEC(k, MCOMMIT), EXC_UD, NO_CODE);
    ck_assert(control_efer_ok(k->cpu, k->cpu->regs.efer | EFER_MCOMMIT));
    k->cpu->regs.efer |= EFER_MCOMMIT;
    cpu_set_rflags(k->cpu, 2 | (FLAGS_STATUS & ~FLAG_CF));
    ck_assert_int_eq(EXEC(k, MCOMMIT), STEP_NEXT);
    ck_assert_uint_eq(cpu_rflags(k->cpu) & FLAGS_STATUS, FLAG_CF);
}

WITH_KIT(mcommit_is_intercepted_after_efer)
{
    kit_guest(k);
    kit_intercept(k, INTERCEPT_MCOMMIT);
    kit_raised(k, EXEC(k, MCOMMIT), EXC_UD, NO_CODE);
    k->cpu->regs.efer |= EFER_MCOMMIT;
    kit_exited(k, EXEC(k, MCOMMIT), VMEXIT_MCOMMIT, 0, 0, CODE_SPA + 4);
}

int main(void)
{
    Suite *suite = suite_create("perf");
    TCase *all = tcase_create("all");
    tcase_add_test(all, both_sets_of_registers_are_the_same);
    tcase_add_test(all, reserved_bits_read_0);
    tcase_add_test(all, four_counters_without_the_extension);
    tcase_add_test(all, instructions_and_clocks_are_counted);
    tcase_add_loop_test(all, the_level_decides, 0, 8);
    tcase_add_loop_test(all, the_world_decides, 0, 12);
    tcase_add_test(all, each_level_gets_its_own);
    tcase_add_test(all, branches_are_counted_while_somebody_asks);
    tcase_add_test(all, exceptions_are_branches);
    tcase_add_test(all, comparisons_know_one_event_a_clock);
    tcase_add_test(all, a_string_instruction_is_one);
    tcase_add_test(all, a_string_of_ports_is_one);
    tcase_add_test(all, rdpmc_reads_the_running_counter);
    tcase_add_loop_test(all, overflow_asks_for_an_interrupt_at_its_instruction, 0, 4);
    tcase_add_loop_test(all, interrupts_come_at_the_same_instructions_in_every_way, 0, 2);
    tcase_add_test(all, reset_stops_everything);
    tcase_add_test(all, mperf_and_aperf_count_what_is_not_waiting);
    tcase_add_test(all, irperf_counts_while_hwcr_lets_it);
    tcase_add_test(all, rdpru_reads_both);
    tcase_add_test(all, tsd_makes_rdpru_undefined);
    tcase_add_test(all, rdpru_is_intercepted_after_tsd);
    tcase_add_test(all, mcommit_is_enabled_by_efer);
    tcase_add_test(all, mcommit_is_intercepted_after_efer);
    suite_add_tcase(suite, all);
    return kit_run(suite);
}

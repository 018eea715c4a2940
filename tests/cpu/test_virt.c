/* What guests do to registers of their own, and their bus locks: TSC_RATIO, SPEC_CTRL, LBR virtualization, the bus lock
 * threshold. APM vol 2, 15.30.5, 15.37.1, 15.23.1, 15.14.5. */
#include "tests/cpu/kit.h"

#include <Zydis/Mnemonic.h>

static uint64_t get(struct kit *k, uint32_t msr)
{
    uint64_t value = 0;
    ck_assert_int_eq(msr_read(k->cpu, msr, &value), STEP_NEXT);
    return value;
}

static void put(struct kit *k, uint32_t msr, uint64_t value)
{
    ck_assert_int_eq(msr_write(k->cpu, msr, value), STEP_NEXT);
}

static void refuses(struct kit *k, uint32_t msr, uint64_t value)
{
    kit_raised(k, msr_write(k->cpu, msr, value), EXC_GP, 0);
}

static void leave(struct kit *k)
{
    ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_HLT, 0, 0), STEP_VMEXIT);
}

/* --- TSC_RATIO --- */

#define TSC 0x10
#define MPERF 0xe7
#define APERF 0xe8
#define MPERF_RO 0xc00000e7
#define TSC_RATIO 0xc0000104
#define ONE (1ull << 32)

static uint64_t fixed_now(void *self)
{
    return *(uint64_t *)self;
}

/* rows: svmop 13.8, 20.8, vmcb 12.6 */
WITH_KIT(tsc_ratio_has_forty_bits)
{
    ck_assert_uint_eq(get(k, TSC_RATIO), ONE);
    for (unsigned bit = 0; bit < 64; bit++) {
        if (bit < 40) {
            put(k, TSC_RATIO, 1ull << bit);
            ck_assert_uint_eq(get(k, TSC_RATIO), 1ull << bit);
        } else {
            refuses(k, TSC_RATIO, 1ull << bit);
        }
    }
    ck_assert_uint_eq(get(k, TSC_RATIO), 1ull << 39);
}

/* rows: svmop 20.8 */
WITH_KIT(tsc_ratio_needs_its_cpuid_bit)
{
    struct cpu_model model;
    ck_assert_int_eq(cpu_model_parse("max,-tsc-scale", &model, NULL), PACIFICA_OK);
    k->cpu->model = &model;
    refuses(k, TSC_RATIO, ONE);
    k->cpu->model = cpu_model_default();
}

static const struct {
    uint64_t ratio, tsc, offset, read;
} ratio_rows[] = {
    { ONE, 1000, 0, 1000 },
    { 2 * ONE, 1000, 0, 2000 },
    { ONE / 2, 1001, 0, 500 },
    { ONE * 3 / 2, 1000, 7, 1507 },
    { 0, 1000, 7, 7 },
    { 1, 1000, 0, 0 },
    { 1, ONE, 0, 1 },
    { 0xffffffffff, 1ull << 60, 0, (1ull << 60) * 256 - (1ull << 28) }, /* modulo 2^64 */
    { ONE * 2, UINT64_MAX, 1, UINT64_MAX },
    { ONE / 4, 1000, UINT64_MAX, 249 },
};

/* RDTSC, RDTSCP and RDMSR of a guest are scaled, then offset; the host's are neither. */
/* rows: svmop 13.6, 13.8 */
START_TEST(tsc_of_guests_is_scaled_and_then_offset)
{
    struct kit *k = kit_new();
    uint64_t now = 0;
    k->clock.now = fixed_now;
    k->clock.self = &now;
    put(k, TSC, ratio_rows[_i].tsc);
    put(k, TSC_RATIO, ratio_rows[_i].ratio);
    kit_guest(k);
    k->cpu->svm->tsc_offset = ratio_rows[_i].offset;
    ck_assert_uint_eq(get(k, TSC), ratio_rows[_i].read);
    for (unsigned p = 0; p < 2; p++) {
        ck_assert_int_eq(p ? EXEC(k, "\x0f\x01\xf9") : EXEC(k, "\x0f\x31"), STEP_NEXT);
        ck_assert_uint_eq(k->cpu->r[REG_RDX] << 32 | k->cpu->r[REG_RAX], ratio_rows[_i].read);
    }
    leave(k);
    ck_assert_uint_eq(get(k, TSC), ratio_rows[_i].tsc);
    kit_free(k);
}
END_TEST

/* rows: svmop 13.7 */
WITH_KIT(tsc_writes_of_guests_are_not_scaled)
{
    uint64_t now = 0;
    k->clock.now = fixed_now;
    k->clock.self = &now;
    put(k, TSC_RATIO, 3 * ONE);
    kit_guest(k);
    put(k, TSC, 100);
    ck_assert_uint_eq(get(k, TSC), 300);
    now = 10;
    ck_assert_uint_eq(get(k, TSC), 330);
    leave(k);
    ck_assert_uint_eq(get(k, TSC), 110);
}

/* MPERF and its read-only copy are scaled for RDMSR; APERF is not, nor is what RDPRU reads. */
/* rows: svmop 13.6 */
WITH_KIT(mperf_of_guests_is_scaled)
{
    put(k, MPERF, 1000);
    put(k, APERF, 1000);
    put(k, TSC_RATIO, 2 * ONE);
    ck_assert_uint_eq(get(k, MPERF), 1000);
    kit_guest(k);
    k->cpu->svm->tsc_offset = 77;
    ck_assert_uint_eq(get(k, MPERF), 2000);
    ck_assert_uint_eq(get(k, MPERF_RO), 2000);
    ck_assert_uint_eq(get(k, APERF), 1000);
    k->cpu->r[REG_RCX] = 0;
    ck_assert_int_eq(EXEC(k, "\x0f\x01\xfd"), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 1000);
    put(k, MPERF, 5);
    ck_assert_uint_eq(get(k, MPERF), 10);
    leave(k);
    ck_assert_uint_eq(get(k, MPERF), 5);
}

/* --- SPEC_CTRL --- */

#define SPEC_CTRL 0x48

/* rows: svmop 3.20 */
WITH_KIT(spec_ctrl_of_guests_is_their_own)
{
    put(k, SPEC_CTRL, 1);
    kit_guest(k);
    ck_assert_uint_eq(get(k, SPEC_CTRL), 0);
    put(k, SPEC_CTRL, 6);
    ck_assert_uint_eq(get(k, SPEC_CTRL), 6);
    refuses(k, SPEC_CTRL, 8);
    leave(k);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, SPEC_CTRL), 6);
    ck_assert_uint_eq(get(k, SPEC_CTRL), 1);
    kit_guest(k);
    ck_assert_uint_eq(get(k, SPEC_CTRL), 0); /* the new VMCB's */
}

WITH_KIT(spec_ctrl_is_shared_without_its_cpuid_bit)
{
    k->cpu->svm->model.features &= ~SVM_FEATURE_SPEC_CTRL;
    put(k, SPEC_CTRL, 1);
    kit_guest(k);
    ck_assert_uint_eq(get(k, SPEC_CTRL), 1);
    put(k, SPEC_CTRL, 6);
    leave(k);
    ck_assert_uint_eq(get(k, SPEC_CTRL), 6);
}

/* --- bus locks --- */

#define AT (DATA_SPA + 0x100) /* a line */

/* A guest with RSI = `la` whose bus locks are counted, on memory of type WB. */
static void lock_guest(struct kit *k, uint64_t la, uint16_t counter)
{
    if (k->cpu->svm->guest)
        leave(k);
    k->cpu->msr.mtrr_def = 0x806;
    k->cpu->r[REG_RIP] = CODE_SPA;
    kit_guest(k);
    kit_intercept(k, INTERCEPT_BUSLOCK);
    k->cpu->svm->bus_locks = counter;
    cpu_update_mode(k->cpu);
    k->cpu->r[REG_RSI] = la;
}

static enum step run(struct kit *k, const char *bytes, unsigned len)
{
    struct insn in = kit_decode(k, (const uint8_t *)bytes, len);
    const struct insn_info *row = insn_lookup(in.mnemonic);
    in.body = row->body;
    in.flags = row->flags;
    in.need = isa_need(&in);
    return insn_run(k->cpu, &in);
}
#define RUN(k, bytes) run((k), (bytes), sizeof(bytes) - 1)

static void exits(struct kit *k, enum step step)
{
    ck_assert_int_eq(step, STEP_VMEXIT);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_BUSLOCK);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO1), 0);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO2), 0);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, NRIP), 0);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RIP), CODE_SPA);
}

#define ROW(size, bytes)                 \
    {                                    \
        size, sizeof(bytes) - 1, (bytes) \
    }
static const struct {
    unsigned size, len;
    const char *bytes;
} locked_rows[] = {
    ROW(8, "\xf0\x48\x01\x06"),     /* lock add [rsi], rax */
    ROW(4, "\xf0\x11\x06"),         /* adc */
    ROW(2, "\xf0\x66\x29\x06"),     /* sub */
    ROW(4, "\xf0\x19\x06"),         /* sbb */
    ROW(4, "\xf0\x21\x06"),         /* and */
    ROW(4, "\xf0\x09\x06"),         /* or */
    ROW(4, "\xf0\x31\x06"),         /* xor */
    ROW(4, "\xf0\x83\x06\x05"),     /* add [rsi], imm8 */
    ROW(4, "\xf0\xff\x06"),         /* inc */
    ROW(8, "\xf0\x48\xff\x0e"),     /* dec */
    ROW(4, "\xf0\xf7\x16"),         /* not */
    ROW(4, "\xf0\xf7\x1e"),         /* neg */
    ROW(4, "\xf0\x0f\xba\x2e\x05"), /* bts [rsi], 5 */
    ROW(4, "\xf0\x0f\xba\x36\x05"), /* btr */
    ROW(4, "\xf0\x0f\xba\x3e\x05"), /* btc */
    ROW(8, "\xf0\x48\x0f\xc1\x06"), /* xadd */
    ROW(4, "\xf0\x0f\xb1\x0e"),     /* cmpxchg */
    ROW(8, "\xf0\x0f\xc7\x0e"),     /* cmpxchg8b */
    ROW(4, "\x87\x06"),             /* xchg [rsi], eax */
    ROW(2, "\xf0\x66\x87\x06"),     /* lock xchg */
};
#define LOCKED_ROWS (sizeof(locked_rows) / sizeof(locked_rows[0]))

/* Whether the line is crossed decides; the instruction has no effect when the counter is 0. */
/* rows: svmop 13.11, vmcb 1.4.6, 2.39, exit 1.3.23 */
START_TEST(locks_across_lines_are_counted)
{
    unsigned size = locked_rows[_i].size;
    for (unsigned back = 0; back <= size; back++) {
        bool split = back != 0 && back < size;
        for (uint16_t counter = 0; counter < 3; counter++) {
            struct kit *k = kit_new();
            lock_guest(k, AT - back, counter);
            k->cpu->r[REG_RAX] = 0x11;
            kit_put(k, AT - 8, 8, 0x0102030405060708), kit_put(k, AT, 8, 0x1112131415161718);
            enum step step = run(k, locked_rows[_i].bytes, locked_rows[_i].len);
            if (split && counter == 0) {
                exits(k, step);
                ck_assert_uint_eq(VMCB_GET(k->vmcb, BUS_LOCK_COUNTER), 0);
                ck_assert_uint_eq(kit_get(k, AT - 8, 8), 0x0102030405060708);
                ck_assert_uint_eq(kit_get(k, AT, 8), 0x1112131415161718);
            } else {
                ck_assert_int_eq(step, STEP_NEXT);
                ck_assert_uint_eq(k->cpu->svm->bus_locks, counter - split);
                leave(k);
                ck_assert_uint_eq(VMCB_GET(k->vmcb, BUS_LOCK_COUNTER), counter - split);
            }
            kit_free(k);
        }
    }
}
END_TEST

/* The unit that a register selects is what is locked. */
WITH_KIT(bit_tests_lock_their_unit)
{
    lock_guest(k, AT - 2 - 64, 0);
    k->cpu->r[REG_RAX] = 8 * 64;
    exits(k, RUN(k, "\xf0\x0f\xab\x06")); /* lock bts [rsi], eax */
    lock_guest(k, AT - 2 - 64, 0);
    k->cpu->r[REG_RAX] = 8 * 4 * 3;
    ck_assert_int_eq(RUN(k, "\xf0\x0f\xab\x06"), STEP_NEXT);
    leave(k);
    lock_guest(k, AT - 2, 0);
    k->cpu->r[REG_RAX] = (uint32_t)-1; /* the unit before */
    ck_assert_int_eq(RUN(k, "\xf0\x0f\xab\x06"), STEP_NEXT);
}

WITH_KIT(what_locks_nothing_is_not_counted)
{
    lock_guest(k, AT - 2, 0);
    ck_assert_int_eq(RUN(k, "\x01\x06"), STEP_NEXT);     /* add [rsi], eax */
    ck_assert_int_eq(RUN(k, "\x0f\xc1\x06"), STEP_NEXT); /* xadd without LOCK */
    ck_assert_int_eq(RUN(k, "\x89\x06"), STEP_NEXT);     /* mov */
    ck_assert_int_eq(RUN(k, "\x87\xf0"), STEP_NEXT);     /* xchg eax, esi */
}

/* Any type but WB makes a bus lock, aligned or not: here the MTRRs say UC, or are off, or CR0.CD is set. */
WITH_KIT(locks_of_other_memory_types_are_counted)
{
    lock_guest(k, AT, 1);
    ck_assert_int_eq(RUN(k, "\xf0\xff\x06"), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->svm->bus_locks, 1);
    k->cpu->msr.mtrr_def = 0x800;
    ck_assert_int_eq(RUN(k, "\xf0\xff\x06"), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->svm->bus_locks, 0);
    exits(k, RUN(k, "\xf0\xff\x06"));
    lock_guest(k, AT, 0);
    k->cpu->regs.cr0 |= CR0_CD;
    exits(k, RUN(k, "\xf0\xff\x06"));
    lock_guest(k, AT & ~15ull, 0); /* 16 bytes */
    ck_assert_int_eq(RUN(k, "\xf0\x48\x0f\xc7\x0e"), STEP_NEXT);
    k->cpu->msr.mtrr_def = 0;
    exits(k, RUN(k, "\xf0\x48\x0f\xc7\x0e"));
}

/* Exceptions of the access are the instruction's own, and are not counted. */
WITH_KIT(exceptions_come_before_bus_locks)
{
    lock_guest(k, AT - 8, 0);
    kit_raised(k, RUN(k, "\xf0\x48\x0f\xc7\x0e"), EXC_GP, 0); /* cmpxchg16b, aligned to 8 */
    lock_guest(k, NONCANON - 2, 1);
    kit_raised(k, RUN(k, "\xf0\xff\x06"), EXC_GP, 0);
    lock_guest(k, PAGED_LA + 0xffe, 1);
    kit_page(k, 1, 0);
    kit_raised(k, RUN(k, "\xf0\xff\x06"), EXC_PF, PF_RW);
    ck_assert_uint_eq(k->cpu->svm->bus_locks, 1);
    leave(k);

    kit_mode(k, MODE_LONG64, 3);
    lock_guest(k, AT - 2, 0);
    k->cpu->regs.cr0 |= CR0_AM;
    k->cpu->rflags |= FLAG_AC;
    cpu_update_mode(k->cpu);
    kit_raised(k, RUN(k, "\xf0\xff\x06"), EXC_AC, 0);
}

/* Only guests whose intercept is set are counted, from the moment that VMRUN loads it. */
/* rows: svmop 13.11 */
WITH_KIT(bus_locks_count_by_the_intercept)
{
    kit_guest(k);
    leave(k);
    VMCB_SET(k->vmcb, BUS_LOCK_COUNTER, 7);
    for (unsigned variant = 0; variant < 3; variant++) {
        bool counted = variant == 2;
        k->cpu->svm->model.features |= SVM_FEATURE_BUS_LOCK;
        if (variant == 1)
            k->cpu->svm->model.features &= ~SVM_FEATURE_BUS_LOCK;
        VMCB_SET(k->vmcb, INTERCEPT_5, variant ? 1u << (INTERCEPT_BUSLOCK & 31) : 0);
        ck_assert_int_eq(RUN(k, "\x90"), STEP_NEXT);
        k->cpu->r[REG_RSI] = AT - 1;
        ck_assert_int_eq(RUN(k, "\xf0\xff\x06"), STEP_NEXT); /* the host's are not */
        ck_assert_int_eq(svm_vmrun(k->cpu, VMCB_SPA, CODE_SPA), STEP_JUMP);
        ck_assert_int_eq(RUN(k, "\xf0\xff\x06"), STEP_NEXT);
        leave(k);
        ck_assert_uint_eq(VMCB_GET(k->vmcb, BUS_LOCK_COUNTER), 7 - counted);
    }
}

WITH_KIT(bus_locks_survive_smm)
{
    lock_guest(k, AT - 1, 3);
    svm_suspend(k->cpu);
    cpu_update_mode(k->cpu);
    k->cpu->svm->bus_locks = 0;
    ck_assert_int_eq(RUN(k, "\xf0\xff\x06"), STEP_NEXT); /* SMM is no guest */
    svm_resume(k->cpu);
    cpu_update_mode(k->cpu);
    ck_assert_int_eq(RUN(k, "\xf0\xff\x06"), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->svm->bus_locks, 2);
}

int main(void)
{
    Suite *suite = suite_create("virt");
    TCase *all = tcase_create("all");
    tcase_add_test(all, tsc_ratio_has_forty_bits);
    tcase_add_test(all, tsc_ratio_needs_its_cpuid_bit);
    tcase_add_loop_test(all, tsc_of_guests_is_scaled_and_then_offset, 0,
                        sizeof(ratio_rows) / sizeof(ratio_rows[0]));
    tcase_add_test(all, tsc_writes_of_guests_are_not_scaled);
    tcase_add_test(all, mperf_of_guests_is_scaled);
    tcase_add_test(all, spec_ctrl_of_guests_is_their_own);
    tcase_add_test(all, spec_ctrl_is_shared_without_its_cpuid_bit);
    tcase_add_loop_test(all, locks_across_lines_are_counted, 0, LOCKED_ROWS);
    tcase_add_test(all, bit_tests_lock_their_unit);
    tcase_add_test(all, what_locks_nothing_is_not_counted);
    tcase_add_test(all, locks_of_other_memory_types_are_counted);
    tcase_add_test(all, exceptions_come_before_bus_locks);
    tcase_add_test(all, bus_locks_count_by_the_intercept);
    tcase_add_test(all, bus_locks_survive_smm);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

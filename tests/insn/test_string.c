/* String instructions: accounting of REP, faults in the middle, overlaps, address sizes, early stops. */
#include "tests/insn/rig.h"

#define FROM 0x130000u
#define TO 0x140000u

static struct rig *rig;
static struct vcpu *cpu;

static void setup(void)
{
    rig = rig_new(MODE_LONG64);
    cpu = &rig->cpu;
}

static void setup32(void)
{
    rig = rig_new(MODE_PROT32);
    cpu = &rig->cpu;
}

static void teardown(void)
{
    rig_free(rig);
}

static void point(uint64_t rsi, uint64_t rdi, uint64_t rcx)
{
    cpu->r[REG_RSI] = rsi;
    cpu->r[REG_RDI] = rdi;
    cpu->r[REG_RCX] = rcx;
}

static void expect_registers(uint64_t rsi, uint64_t rdi, uint64_t rcx)
{
    ck_assert_uint_eq(cpu->r[REG_RSI], rsi);
    ck_assert_uint_eq(cpu->r[REG_RDI], rdi);
    ck_assert_uint_eq(cpu->r[REG_RCX], rcx);
}

/* --- accounting --------------------------------------------------------------------------------- */

struct accounting {
    uint64_t rcx;
    int32_t budget;
    bool tf;
    uint64_t done;
    enum step step;
    int32_t budget_after;
};

static const struct accounting accounting[] = {
    { 0, 5, false, 0, STEP_NEXT, 5 },   /* nothing to do */
    { 1, 0, false, 1, STEP_NEXT, 0 },   /* the charge of the instruction itself pays for one */
    { 2, 0, false, 1, STEP_REPEAT, 0 }, /* budget exhausted */
    { 3, 2, false, 3, STEP_NEXT, 0 },
    { 4, 2, false, 3, STEP_REPEAT, 0 },
    { 3, 10, false, 3, STEP_NEXT, 8 },
    { 3, 10, true, 1, STEP_REPEAT, 10 },
    { 1, 10, true, 1, STEP_NEXT, 10 },
    { 3, -1, false, 1, STEP_REPEAT, -1 },
    { 100000, 1000000, false, 65536, STEP_REPEAT, 1000000 - 65535 }, /* stop requests are seen */
};

/* rows: pitfalls 2.15 */
START_TEST(rep_counts_one_for_each_iteration)
{
    const struct accounting *row = &accounting[_i];
    static const uint8_t opcodes[] = { 0xa4, 0xa6, 0xaa, 0xac,
                                       0xae }; /* MOVS CMPS STOS LODS SCAS */
    for (unsigned i = 0; i < sizeof(opcodes); i++) {
        bool si = opcodes[i] != 0xaa && opcodes[i] != 0xae, di = opcodes[i] != 0xac;
        point(FROM, 0x150000, row->rcx);
        cpu->r[REG_RAX] = 0;
        cpu->budget = row->budget;
        cpu_set_rflags(cpu, row->tf ? FLAG_TF : 0);
        memset(rig_ptr(rig, FROM), 0, 0x30000);
        ck_assert_int_eq(EXEC(rig, 0xf3, opcodes[i]), row->step);
        ck_assert_int_eq(cpu->budget, row->budget_after);
        expect_registers(FROM + (si ? row->done : 0), 0x150000 + (di ? row->done : 0),
                         row->rcx - row->done);
    }
}
END_TEST

START_TEST(without_rep_nothing_is_counted)
{
    point(FROM, TO, 7);
    cpu->budget = 3;
    ck_assert_int_eq(EXEC(rig, 0xa4), STEP_NEXT);
    ck_assert_int_eq(cpu->budget, 3);
    expect_registers(FROM + 1, TO + 1, 7);
}
END_TEST

/* --- faults --------------------------------------------------------------------------------------- */

struct fault_row {
    uint8_t opcode;
    bool backward;
    unsigned size;
    uint64_t rsi, rdi, done;
    uint64_t cr2;
    uint32_t code;
};

/* Page 0x141000 is not present. */
static const struct fault_row faults[] = {
    { 0xa4, false, 1, FROM, 0x140ff0, 16, 0x141000, PF_RW },
    { 0xa4, false, 1, 0x140ffd, TO, 3, 0x141000, 0 },
    { 0xa5, false, 4, FROM, 0x140ff2, 3, 0x141000, PF_RW }, /* the fourth element crosses */
    { 0xa4, false, 1, FROM, 0x141000, 0, 0x141000, PF_RW },
    { 0xa5, true, 4, FROM, 0x142008, 3, 0x141ffc, PF_RW },
    { 0xaa, false, 1, FROM, 0x140ffe, 2, 0x141000, PF_RW },
    { 0xac, false, 1, 0x140ffc, TO, 4, 0x141000, 0 },
    { 0xae, false, 1, FROM, 0x140ffe, 2, 0x141000, 0 },
    { 0xa6, false, 1, FROM, 0x140ff9, 7, 0x141000, 0 },
    { 0xa6, true, 1, 0x142001, TO, 2, 0x141fff, 0 },
};

/* rows: pitfalls 2.15 */
START_TEST(a_fault_leaves_the_completed_iterations)
{
    const struct fault_row *row = &faults[_i];
    bool si = row->opcode != 0xaa && row->opcode != 0xab && row->opcode != 0xae;
    bool di = row->opcode != 0xac;
    int64_t moved = (int64_t)(row->done * row->size) * (row->backward ? -1 : 1);
    rig_page(rig, 0x141000, 0);
    cpu_set_rflags(cpu, row->backward ? FLAG_DF : 0);
    point(row->rsi, row->rdi, 100);
    cpu->r[REG_RAX] = 0;
    cpu->budget = 500;
    rig_expect_fault(rig, EXEC(rig, 0xf3, row->opcode), EXC_PF, row->code);
    ck_assert_uint_eq(cpu->raised.cr2, row->cr2);
    expect_registers(row->rsi + (uint64_t)(si ? moved : 0), row->rdi + (uint64_t)(di ? moved : 0),
                     100 - row->done);
    ck_assert_int_eq(cpu->budget, 500 - (int32_t)row->done);
}
END_TEST

START_TEST(lods_keeps_the_last_element_before_a_fault)
{
    rig_page(rig, 0x141000, 0);
    rig_put(rig, 0x140ff8, 0x1122334455667788u);
    point(0x140ff8, 0, 10);
    cpu->r[REG_RAX] = 0x55;
    rig_expect_fault(rig, EXEC(rig, 0xf3, 0xad), EXC_PF, 0);
    ck_assert_uint_eq(cpu->r[REG_RAX], 0x11223344);
    point(0x141000, 0, 10); /* none done: RAX stays */
    rig_expect_fault(rig, EXEC(rig, 0xf3, 0xad), EXC_PF, 0);
    ck_assert_uint_eq(cpu->r[REG_RAX], 0x11223344);
}
END_TEST

START_TEST(non_canonical_run_stops_at_the_hole)
{
    point(0x00007ffffffffffeu, TO, 10);
    rig_expect_fault(rig, EXEC(rig, 0xf3, 0xac), EXC_PF, 0); /* canonical, not mapped */
    point(0x0000800000000000u, TO, 10);
    rig_expect_fault(rig, EXEC(rig, 0xf3, 0xac), EXC_GP, 0);
}
END_TEST

/* --- results -------------------------------------------------------------------------------------- */

static void reference_movs(uint8_t *bytes, uint64_t from, uint64_t to, uint64_t count,
                           unsigned size, bool backward)
{
    for (uint64_t i = 0; i < count; i++) {
        int64_t at = (int64_t)(i * size) * (backward ? -1 : 1);
        uint8_t element[8];
        memcpy(element, bytes + (int64_t)from + at, size);
        memcpy(bytes + (int64_t)to + at, element, size);
    }
}

/* Element-exact for every distance of source and destination around each other, across a page border. */
START_TEST(overlapping_copies_are_element_exact)
{
    static const unsigned sizes[] = { 1, 2, 4, 8 };
    static uint8_t want[0x3000];
    uint8_t *bytes = rig_ptr(rig, TO);
    for (unsigned s = 0; s < 4; s++) {
        unsigned size = sizes[s];
        for (int backward = 0; backward < 2; backward++) {
            for (int distance = -40; distance <= 40; distance++) {
                uint64_t from = 0xff0 + 0x400 * (unsigned)backward, to = from + (uint64_t)distance;
                for (unsigned i = 0; i < sizeof(want); i++)
                    want[i] = bytes[i] = (uint8_t)(i * 7 + (i >> 8));
                reference_movs(want, from, to, 70, size, backward);
                cpu_set_rflags(cpu, backward ? FLAG_DF : 0);
                point(TO + from, TO + to, 70);
                enum step step = size == 1   ? EXEC(rig, 0xf3, 0xa4)
                                 : size == 2 ? EXEC(rig, 0xf3, 0x66, 0xa5)
                                 : size == 4 ? EXEC(rig, 0xf3, 0xa5)
                                             : EXEC(rig, 0xf3, 0x48, 0xa5);
                ck_assert_int_eq(step, STEP_NEXT);
                ck_assert_mem_eq(bytes, want, sizeof(want));
            }
        }
    }
}
END_TEST

START_TEST(stos_fills_across_pages)
{
    uint8_t *bytes = rig_ptr(rig, TO);
    memset(bytes, 0, 0x3000);
    cpu->r[REG_RAX] = 0x8877665544332211u;
    point(0, TO + 0xffd, 300);
    ck_assert_int_eq(EXEC(rig, 0xf3, 0x48, 0xab), STEP_NEXT);
    for (unsigned i = 0; i < 0x3000; i++) {
        bool inside = i >= 0xffd && i < 0xffd + 2400;
        ck_assert_uint_eq(bytes[i], inside ? 0x11u * (1 + (i - 0xffd) % 8) : 0);
    }
}
END_TEST

START_TEST(scas_and_cmps_stop_on_their_condition)
{
    memset(rig_ptr(rig, TO), 'x', 0x2000);
    memset(rig_ptr(rig, FROM), 'x', 0x2000);
    *rig_ptr(rig, TO + 0x1234) = 0;
    cpu->r[REG_RAX] = 0;
    point(0, TO, UINT64_MAX);
    cpu->budget = 1 << 20;
    ck_assert_int_eq(EXEC(rig, 0xf2, 0xae), STEP_NEXT); /* strlen */
    expect_registers(0, TO + 0x1235, UINT64_MAX - 0x1235);
    ck_assert(flags_zf(cpu));
    point(FROM, TO, 0x2000);
    ck_assert_int_eq(EXEC(rig, 0xf3, 0xa6), STEP_NEXT); /* 'x' against 0 */
    expect_registers(FROM + 0x1235, TO + 0x1235, 0x2000 - 0x1235);
    ck_assert(!flags_zf(cpu) && !flags_cf(cpu));
    point(TO + 0x1234, FROM, 1);
    ck_assert_int_eq(EXEC(rig, 0xa6), STEP_NEXT); /* rSI's element minus rDI's */
    ck_assert(flags_cf(cpu));
}
END_TEST

/* rows: pitfalls 2.15 */
START_TEST(rcx_zero_changes_nothing)
{
    rig_page(rig, 0x141000, 0);
    cpu_set_rflags(cpu, FLAG_CF | FLAG_ZF);
    point(0x141000, 0x141000, 0);
    ck_assert_int_eq(EXEC(rig, 0xf3, 0xa6), STEP_NEXT);
    expect_registers(0x141000, 0x141000, 0);
    ck_assert_uint_eq(flags_status(cpu), FLAG_CF | FLAG_ZF);
    /* With 67h the registers are zero-extended only if an iteration was done. */
    point(0x500141000u, 0x500141000u, 0x100000000u);
    ck_assert_int_eq(EXEC(rig, 0xf3, 0x67, 0xa4), STEP_NEXT);
    expect_registers(0x500141000u, 0x500141000u, 0x100000000u);
}
END_TEST

/* rows: pitfalls 1.18 */
START_TEST(address_size_32_cuts_and_zero_extends)
{
    *rig_ptr(rig, FROM) = 0x5a;
    point(0xabcd00000000u | FROM, 0xffff00000000u | TO, 0x700000001u);
    ck_assert_int_eq(EXEC(rig, 0xf3, 0x67, 0xa4), STEP_NEXT);
    ck_assert_uint_eq(*rig_ptr(rig, TO), 0x5a);
    expect_registers(FROM + 1, TO + 1, 0);
}
END_TEST

START_TEST(source_segment_override_uses_its_base)
{
    cpu->regs.seg[SEG_FS].base = 0x1000;
    *rig_ptr(rig, FROM + 0x1000) = 0x77;
    point(FROM, TO, 5);
    ck_assert_int_eq(EXEC(rig, 0xf3, 0x64, 0xa4), STEP_NEXT);
    ck_assert_uint_eq(*rig_ptr(rig, TO), 0x77);
}
END_TEST

/* --- early stops -------------------------------------------------------------------------------------- */

/* rows: pitfalls 8.7 */
START_TEST(mmio_goes_by_elements)
{
    point(FROM, 0xb8000, 10);
    cpu->budget = 100;
    ck_assert_int_eq(EXEC(rig, 0xf3, 0x66, 0xa5), STEP_NEXT);
    ck_assert_uint_eq(rig->mmio_writes, 10);
    ck_assert_uint_eq(rig->mmio_last, 0xb8012);
    ck_assert_int_eq(cpu->budget, 91);
}
END_TEST

START_TEST(attention_stops_after_the_iteration)
{
    rig->mmio_attention = true;
    point(FROM, 0xb8000, 10);
    cpu->budget = 100;
    ck_assert_int_eq(EXEC(rig, 0xf3, 0x66, 0xa5), STEP_REPEAT);
    expect_registers(FROM + 2, 0xb8002, 9);
    ck_assert_int_eq(cpu->budget, 100);
}
END_TEST

static unsigned reported;
static void on_written(void *self, uint64_t page, unsigned offset, unsigned len)
{
    (void)self;
    (void)page;
    (void)offset;
    reported += len;
}

/* rows: pitfalls 8.1 */
START_TEST(every_write_to_code_is_reported)
{
    memory_set_written(cpu->memory, on_written, NULL);
    point(FROM, TO + 0xff0, 32);
    ck_assert_int_eq(EXEC(rig, 0xf3, 0xa4), STEP_NEXT);
    memory_set_marks(cpu->memory, memory_backing(cpu->memory, TO + 0x1000), PAGE_HAS_CODE, 0);
    reported = 0;
    point(FROM, TO + 0xff0, 32);
    ck_assert_int_eq(EXEC(rig, 0xf3, 0xa4), STEP_NEXT);
    ck_assert_uint_eq(reported, 16);
}
END_TEST

/* --- 32-bit segments -------------------------------------------------------------------------------------- */

START_TEST(run_stops_at_the_segment_limit)
{
    cpu->regs.seg[SEG_ES].limit = TO + 9;
    memset(rig_ptr(rig, FROM), 0x33, 64);
    point(FROM, TO, 64);
    rig_expect_fault(rig, EXEC(rig, 0xf3, 0xa5), EXC_GP, 0);
    expect_registers(FROM + 8, TO + 8, 62);
    ck_assert_uint_eq(phys_read(cpu->memory, TO + 4, 8), 0x33333333u);
}
END_TEST

START_TEST(address_size_16_wraps_at_64k)
{
    uint8_t *bytes = rig_ptr(rig, TO);
    memset(bytes, 0, 0x10000);
    cpu->regs.seg[SEG_ES].base = TO;
    cpu->r[REG_RAX] = 0xee;
    point(0, 0x1fffe, 0x10004); /* DI = fffe, CX = 4 */
    ck_assert_int_eq(EXEC(rig, 0xf3, 0x67, 0xaa), STEP_NEXT);
    ck_assert_uint_eq(bytes[0xfffe], 0xee);
    ck_assert_uint_eq(bytes[0xffff], 0xee);
    ck_assert_uint_eq(bytes[1], 0xee);
    ck_assert_uint_eq(bytes[2], 0);
    expect_registers(0, 0x10002, 0x10000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("string");
    TCase *long64 = tcase_create("64-bit"), *legacy = tcase_create("32-bit");
    tcase_add_checked_fixture(long64, setup, teardown);
    tcase_add_loop_test(long64, rep_counts_one_for_each_iteration, 0,
                        sizeof(accounting) / sizeof(accounting[0]));
    tcase_add_test(long64, without_rep_nothing_is_counted);
    tcase_add_loop_test(long64, a_fault_leaves_the_completed_iterations, 0,
                        sizeof(faults) / sizeof(faults[0]));
    tcase_add_test(long64, lods_keeps_the_last_element_before_a_fault);
    tcase_add_test(long64, non_canonical_run_stops_at_the_hole);
    tcase_add_test(long64, overlapping_copies_are_element_exact);
    tcase_add_test(long64, stos_fills_across_pages);
    tcase_add_test(long64, scas_and_cmps_stop_on_their_condition);
    tcase_add_test(long64, rcx_zero_changes_nothing);
    tcase_add_test(long64, address_size_32_cuts_and_zero_extends);
    tcase_add_test(long64, source_segment_override_uses_its_base);
    tcase_add_test(long64, mmio_goes_by_elements);
    tcase_add_test(long64, attention_stops_after_the_iteration);
    tcase_add_test(long64, every_write_to_code_is_reported);
    tcase_add_checked_fixture(legacy, setup32, teardown);
    tcase_add_test(legacy, run_stops_at_the_segment_limit);
    tcase_add_test(legacy, address_size_16_wraps_at_64k);
    suite_add_tcase(suite, long64);
    suite_add_tcase(suite, legacy);
    return rig_run(suite);
}

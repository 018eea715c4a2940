/* What instructions do where the manual leaves it open or is easily misread: results, flags and the order of faults, as the
 * differential test (tests/differential) found them on Zen 4. Runs everywhere. */
#include "tests/insn/rig.h"

#define STACK 0x150000u
#define DATA 0x160000u

static struct rig *rig;
static struct vcpu *cpu;

static void setup(void)
{
    rig = rig_new(MODE_LONG64);
    cpu = &rig->cpu;
    cpu->r[REG_RSP] = STACK;
}

static void setup_legacy(void)
{
    rig = rig_new(MODE_PROT32);
    cpu = &rig->cpu;
    cpu->r[REG_RSP] = STACK;
}

static void teardown(void)
{
    rig_free(rig);
}

static uint32_t flags(void)
{
    return flags_status(cpu);
}

#define OLD UINT64_C(0x1122334455667788)

/* --- results ---------------------------------------------------------------------------------------- */

/* rows: pitfalls 2.1 */
START_TEST(results_of_32_bits_zero_extend_and_smaller_ones_do_not)
{
    cpu->r[REG_RAX] = cpu->r[REG_RBX] = OLD;
    ck_assert_int_eq(EXEC(rig, 0x01, 0xd8), STEP_NEXT); /* ADD EAX, EBX */
    ck_assert_uint_eq(cpu->r[REG_RAX], (uint32_t)(2 * OLD));
    cpu->r[REG_RAX] = OLD;
    ck_assert_int_eq(EXEC(rig, 0x66, 0xff, 0xc0), STEP_NEXT); /* INC AX */
    ck_assert_uint_eq(cpu->r[REG_RAX], OLD + 1);
    ck_assert_int_eq(EXEC(rig, 0xfe, 0xc4), STEP_NEXT); /* INC AH */
    ck_assert_uint_eq(cpu->r[REG_RAX], OLD + 0x101);
    cpu->r[REG_RAX] = OLD;
    cpu_set_rflags(cpu, 2);
    ck_assert_int_eq(EXEC(rig, 0x0f, 0x44, 0xc3), STEP_NEXT); /* CMOVZ EAX, EBX: false */
    ck_assert_uint_eq(cpu->r[REG_RAX], (uint32_t)OLD);
    cpu->r[REG_RAX] = OLD;
    ck_assert_int_eq(EXEC(rig, 0x66, 0x0f, 0x44, 0xc3), STEP_NEXT);
    ck_assert_uint_eq(cpu->r[REG_RAX], OLD);
}
END_TEST

/* rows: pitfalls 2.2 */
START_TEST(scans_of_zero_keep_the_destination)
{
    for (unsigned size = 0; size < 3; size++) {
        static const uint8_t bsf[3][4] = { { 0x66, 0x0f, 0xbc, 0xc3 },
                                           { 0x0f, 0xbc, 0xc3 },
                                           { 0x48, 0x0f, 0xbc, 0xc3 } };
        unsigned len = size == 1 ? 3 : 4;
        cpu->r[REG_RAX] = OLD;
        cpu->r[REG_RBX] = 0;
        ck_assert_int_eq(rig_exec(rig, bsf[size], len), STEP_NEXT);
        ck_assert_uint_eq(cpu->r[REG_RAX], OLD);
        ck_assert_uint_eq(flags() & FLAG_ZF, FLAG_ZF);
    }
}
END_TEST

/* rows: pitfalls 2.3 */
START_TEST(shift_counts_are_masked_and_zero_keeps_all_flags)
{
    for (unsigned digit = 0; digit < 8; digit++) {
        cpu->r[REG_RAX] = OLD;
        cpu->r[REG_RCX] = 0x40; /* 0 for 32 and for 64 bits */
        cpu_set_rflags(cpu, 2 | FLAGS_STATUS);
        ck_assert_int_eq(EXEC(rig, 0x48, 0xd3, (uint8_t)(0xc0 | digit << 3)), STEP_NEXT);
        ck_assert_uint_eq(cpu->r[REG_RAX], OLD);
        ck_assert_uint_eq(flags(), FLAGS_STATUS);
    }
    cpu->r[REG_RCX] = 0x21;
    cpu->r[REG_RAX] = 1;
    ck_assert_int_eq(EXEC(rig, 0xd3, 0xe0), STEP_NEXT); /* SHL EAX: by 1 */
    ck_assert_uint_eq(cpu->r[REG_RAX], 2);
    ck_assert_int_eq(EXEC(rig, 0x48, 0xd3, 0xe0), STEP_NEXT); /* SHL RAX: by 33 */
    ck_assert_uint_eq(cpu->r[REG_RAX], UINT64_C(1) << 34);
    cpu_set_rflags(cpu, 2 | FLAGS_STATUS); /* rotates touch CF and OF only */
    cpu->r[REG_RAX] = 0;
    ck_assert_int_eq(EXEC(rig, 0xd1, 0xc0), STEP_NEXT);
    ck_assert_uint_eq(flags(), FLAGS_STATUS & ~(FLAG_CF | FLAG_OF));
}
END_TEST

/* rows: pitfalls 2.4 */
START_TEST(rotates_through_carry_turn_one_bit_more)
{
    static const struct {
        uint8_t count, result;
        bool carry;
    } rows[] = { { 0, 0x81, true }, { 1, 0x03, true },  { 8, 0xc0, true },
                 { 9, 0x81, true }, { 10, 0x03, true }, { 18, 0x81, true } };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cpu->r[REG_RAX] = 0x81;
        cpu->r[REG_RCX] = rows[i].count;
        cpu_set_rflags(cpu, 2 | FLAG_CF);
        ck_assert_int_eq(EXEC(rig, 0xd2, 0xd0), STEP_NEXT); /* RCL AL, CL */
        ck_assert_uint_eq(cpu->r[REG_RAX], rows[i].result);
        ck_assert_int_eq(flags_cf(cpu), rows[i].carry);
    }
    cpu->r[REG_RAX] = 0x8001;
    cpu->r[REG_RCX] = 17;
    cpu_set_rflags(cpu, 2);
    ck_assert_int_eq(EXEC(rig, 0x66, 0xd3, 0xd8), STEP_NEXT); /* RCR AX, 17: back where it was */
    ck_assert_uint_eq(cpu->r[REG_RAX], 0x8001);
    ck_assert(!flags_cf(cpu));
}
END_TEST

/* rows: pitfalls 2.5 */
START_TEST(overflow_of_long_shifts_is_that_of_the_last_step)
{
    cpu->r[REG_RAX] = 0x20000000; /* << 2: the last step shifts a 0 out and a 1 into the sign */
    ck_assert_int_eq(EXEC(rig, 0xc1, 0xe0, 2), STEP_NEXT);
    ck_assert_uint_eq(flags() & (FLAG_CF | FLAG_OF), FLAG_OF);
    cpu->r[REG_RAX] = 0x60000000; /* << 2: a 1 out and a 1 in */
    ck_assert_int_eq(EXEC(rig, 0xc1, 0xe0, 2), STEP_NEXT);
    ck_assert_uint_eq(flags() & (FLAG_CF | FLAG_OF), FLAG_CF);
    cpu->r[REG_RAX] = 0x80000000; /* >> 2: the sign before the last step was 0 */
    ck_assert_int_eq(EXEC(rig, 0xc1, 0xe8, 2), STEP_NEXT);
    ck_assert_uint_eq(flags() & FLAG_OF, 0);
}
END_TEST

/* rows: pitfalls 2.6 */
START_TEST(double_shifts_of_16_bits_by_more_than_16)
{
    cpu->r[REG_RAX] = 0x1234;
    cpu->r[REG_RBX] = 0xabcd;
    ck_assert_int_eq(EXEC(rig, 0x66, 0x0f, 0xa4, 0xd8, 20), STEP_NEXT); /* SHLD AX, BX, 20 */
    ck_assert_uint_eq(cpu->r[REG_RAX], 0xbcda);
    cpu->r[REG_RAX] = 0x1234;
    ck_assert_int_eq(EXEC(rig, 0x66, 0x0f, 0xac, 0xd8, 20), STEP_NEXT);
    ck_assert_uint_eq(cpu->r[REG_RAX], 0xdabc);
}
END_TEST

/* rows: pitfalls 2.7 */
START_TEST(multiplications_change_cf_and_of_only)
{
    for (unsigned before = 0; before < 2; before++) {
        uint32_t others = before ? FLAG_SF | FLAG_ZF | FLAG_AF | FLAG_PF : 0;
        cpu->r[REG_RAX] = 2;
        cpu->r[REG_RBX] = 3;
        cpu_set_rflags(cpu, 2 | others);
        ck_assert_int_eq(EXEC(rig, 0xf7, 0xe3), STEP_NEXT); /* MUL EBX */
        ck_assert_uint_eq(flags(), others);
        cpu->r[REG_RAX] = 0x80000000;
        ck_assert_int_eq(EXEC(rig, 0x0f, 0xaf, 0xc3), STEP_NEXT); /* IMUL EAX, EBX */
        ck_assert_uint_eq(flags(), others | FLAG_CF | FLAG_OF);
    }
}
END_TEST

/* rows: pitfalls 2.9 */
START_TEST(bswap_of_16_bits_gives_zero)
{
    cpu->r[REG_RAX] = OLD;
    ck_assert_int_eq(EXEC(rig, 0x66, 0x0f, 0xc8), STEP_NEXT);
    ck_assert_uint_eq(cpu->r[REG_RAX], OLD & ~UINT64_C(0xffff));
    cpu->r[REG_RAX] = OLD;
    ck_assert_int_eq(EXEC(rig, 0x48, 0x0f, 0xc8), STEP_NEXT);
    ck_assert_uint_eq(cpu->r[REG_RAX], 0x8877665544332211);
}
END_TEST

/* rows: pitfalls 2.11 */
START_TEST(cmpxchg_of_32_bits_extends_what_it_writes)
{
    cpu->r[REG_RAX] = OLD; /* equal: RBX takes ECX, RAX keeps its upper half */
    cpu->r[REG_RBX] = 0xffffffff00000000 | (uint32_t)OLD;
    cpu->r[REG_RCX] = 5;
    ck_assert_int_eq(EXEC(rig, 0x0f, 0xb1, 0xcb), STEP_NEXT);
    ck_assert_uint_eq(cpu->r[REG_RBX], 5);
    ck_assert_uint_eq(cpu->r[REG_RAX], OLD);
    cpu->r[REG_RBX] = 0xffffffff00000007; /* not equal: EAX takes EBX, RBX keeps its upper half */
    ck_assert_int_eq(EXEC(rig, 0x0f, 0xb1, 0xcb), STEP_NEXT);
    ck_assert_uint_eq(cpu->r[REG_RAX], 7);
    ck_assert_uint_eq(cpu->r[REG_RBX], 0xffffffff00000007);
}
END_TEST

/* rows: pitfalls 2.13 */
START_TEST(divisions_that_do_not_fit_are_de)
{
    static const struct {
        uint64_t rdx, rax, rbx;
        bool sign, fits;
    } rows[] = { { 0, 1, 0, false, false },
                 { 1, 0, 1, false, false },
                 { 0, UINT64_MAX, 1, false, true },
                 { UINT64_MAX, (uint64_t)INT64_MIN, UINT64_MAX, true, false },
                 { UINT64_MAX, (uint64_t)INT64_MIN, 1, true, true },
                 { 0, (uint64_t)INT64_MIN, 1, true, false },
                 { 0, 5, 0, true, false } };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cpu->r[REG_RDX] = rows[i].rdx;
        cpu->r[REG_RAX] = rows[i].rax;
        cpu->r[REG_RBX] = rows[i].rbx;
        enum step step = EXEC(rig, 0x48, 0xf7, rows[i].sign ? 0xfb : 0xf3);
        if (rows[i].fits) {
            ck_assert_int_eq(step, STEP_NEXT);
            continue;
        }
        rig_expect_fault(rig, step, EXC_DE, 0);
        ck_assert_uint_eq(cpu->r[REG_RAX], rows[i].rax);
        ck_assert_uint_eq(cpu_rip(cpu), RIG_RIP);
    }
}
END_TEST

/* rows: pitfalls 2.16 */
START_TEST(xadd_of_a_register_with_itself_doubles_it)
{
    cpu->r[REG_RAX] = 21;
    ck_assert_int_eq(EXEC(rig, 0x48, 0x0f, 0xc1, 0xc0), STEP_NEXT);
    ck_assert_uint_eq(cpu->r[REG_RAX], 42);
    rig_put(rig, DATA, 7);
    cpu->r[REG_RBX] = DATA;
    ck_assert_int_eq(EXEC(rig, 0x48, 0x87, 0x03), STEP_NEXT); /* XCHG [RBX], RAX */
    ck_assert_uint_eq(cpu->r[REG_RAX], 7);
    ck_assert_uint_eq(phys_read(cpu->memory, DATA, 8), 42);
}
END_TEST

/* rows: pitfalls 2.18 */
START_TEST(push_of_a_segment_register_writes_the_full_width)
{
    rig_put(rig, STACK - 8, UINT64_MAX);
    cpu->regs.seg[SEG_FS].selector = 0x1234;
    ck_assert_int_eq(EXEC(rig, 0x0f, 0xa0), STEP_NEXT); /* PUSH FS */
    ck_assert_uint_eq(phys_read(cpu->memory, STACK - 8, 8), 0x1234);
}
END_TEST

/* --- odd prefixes and the order of faults -------------------------------------------------------------- */

/* A repeat prefix decides what LOOPE and LOOPNE ask for. */
START_TEST(repeat_prefixes_decide_for_loope_and_loopne)
{
    static const struct {
        uint8_t prefix, opcode;
        bool zf, taken;
    } rows[] = { { 0xf3, 0xe0, true, true },  { 0xf3, 0xe0, false, false },
                 { 0xf2, 0xe1, true, false }, { 0xf2, 0xe1, false, true },
                 { 0xf3, 0xe1, true, true },  { 0xf2, 0xe0, false, true },
                 { 0xf2, 0xe2, true, true },  { 0xf3, 0xe2, false, true } };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cpu->r[REG_RCX] = 5;
        cpu_set_rflags(cpu, 2 | (rows[i].zf ? FLAG_ZF : 0));
        enum step step = EXEC(rig, rows[i].prefix, rows[i].opcode, 0x10);
        ck_assert_int_eq(step, rows[i].taken ? STEP_JUMP : STEP_NEXT);
        ck_assert_uint_eq(cpu->r[REG_RCX], 4);
    }
}
END_TEST

/* Both operands of CMPS fault: that at ES:rDI is told, except by REPE CMPSB. */
START_TEST(cmps_reads_its_second_operand_first)
{
    static const struct {
        uint8_t bytes[3], len;
        bool first;
    } rows[] = { { { 0xa6 }, 1, false },
                 { { 0xa7 }, 1, false },
                 { { 0xf3, 0xa7 }, 2, false },
                 { { 0xf2, 0xa6 }, 2, false },
                 { { 0xf3, 0xa6 }, 2, true } };
    rig_page(rig, DATA, 0);
    rig_page(rig, DATA + 0x1000, 0);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cpu->r[REG_RSI] = DATA + 0x10;
        cpu->r[REG_RDI] = DATA + 0x1010;
        cpu->r[REG_RCX] = 9;
        rig_expect_fault(rig, rig_exec(rig, rows[i].bytes, rows[i].len), EXC_PF, 0);
        ck_assert_uint_eq(cpu->raised.cr2, rows[i].first ? DATA + 0x10 : DATA + 0x1010);
    }
}
END_TEST

/* The stack and the target of a CALL are both bad: the stack comes first, and nothing is pushed for a bad target. */
START_TEST(of_two_faults_of_call_the_stack_comes_first)
{
    cpu->r[REG_RBX] = UINT64_C(1) << 60;
    cpu->r[REG_RSP] = UINT64_C(1) << 59;
    rig_expect_fault(rig, EXEC(rig, 0xff, 0xd3), EXC_SS, 0);
    cpu->r[REG_RSP] = STACK;
    rig_page(rig, STACK - 0x1000, 0);
    rig_expect_fault(rig, EXEC(rig, 0xff, 0xd3), EXC_PF, 2);
    cpu->r[REG_RSP] = STACK + 0x800;
    rig_put(rig, STACK + 0x7f8, OLD);
    rig_expect_fault(rig, EXEC(rig, 0xff, 0xd3), EXC_GP, 0);
    ck_assert_uint_eq(phys_read(cpu->memory, STACK + 0x7f8, 8), OLD);
    ck_assert_uint_eq(cpu->r[REG_RSP], STACK + 0x800);
}
END_TEST

/* rows: pitfalls 2.10 */
START_TEST(cmpxchg16b_checks_alignment_before_the_canonical_form)
{
    cpu->r[REG_RSP] = (UINT64_C(1) << 60) + 8;
    rig_expect_fault(rig, EXEC(rig, 0x48, 0x0f, 0xc7, 0x0c, 0x24), EXC_GP, 0); /* [RSP] */
    cpu->r[REG_RSP] = UINT64_C(1) << 60;
    rig_expect_fault(rig, EXEC(rig, 0x48, 0x0f, 0xc7, 0x0c, 0x24), EXC_SS, 0);
}
END_TEST

/* --- legacy modes ---------------------------------------------------------------------------------------- */

/* ARPL writes only when it changes the destination. */
START_TEST(arpl_without_a_change_does_not_write)
{
    cpu->regs.seg[SEG_DS].attr &= (uint16_t)~2; /* read-only */
    cpu->r[REG_RBX] = DATA;
    rig_put(rig, DATA, 3);
    cpu->r[REG_RAX] = 1;
    ck_assert_int_eq(EXEC(rig, 0x63, 0x03), STEP_NEXT);
    ck_assert(!flags_zf(cpu));
    rig_put(rig, DATA, 0);
    rig_expect_fault(rig, EXEC(rig, 0x63, 0x03), EXC_GP, 0);
    ck_assert(!flags_zf(cpu));
}
END_TEST

/* rows: pitfalls 9.2 */
START_TEST(string_io_of_no_element_asks_for_the_permission)
{
    rig_segments(cpu, false, 3);
    cpu->regs.seg[SEG_TR] = (struct segment){ .attr = 0x8b, .limit = 0x67 };
    cpu->r[REG_RCX] = 0;
    cpu->r[REG_RDX] = 0x1000; /* beyond the permission map */
    rig_expect_fault(rig, EXEC(rig, 0xf3, 0x6c), EXC_GP, 0);
    rig_expect_fault(rig, EXEC(rig, 0xf3, 0x6f), EXC_GP, 0);
    cpu_set_rflags(cpu, 2 | FLAG_IOPL);
    ck_assert_int_eq(EXEC(rig, 0xf3, 0x6c), STEP_NEXT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("measured");
    TCase *tcase = tcase_create("64-bit");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, results_of_32_bits_zero_extend_and_smaller_ones_do_not);
    tcase_add_test(tcase, scans_of_zero_keep_the_destination);
    tcase_add_test(tcase, shift_counts_are_masked_and_zero_keeps_all_flags);
    tcase_add_test(tcase, rotates_through_carry_turn_one_bit_more);
    tcase_add_test(tcase, overflow_of_long_shifts_is_that_of_the_last_step);
    tcase_add_test(tcase, double_shifts_of_16_bits_by_more_than_16);
    tcase_add_test(tcase, multiplications_change_cf_and_of_only);
    tcase_add_test(tcase, bswap_of_16_bits_gives_zero);
    tcase_add_test(tcase, cmpxchg_of_32_bits_extends_what_it_writes);
    tcase_add_test(tcase, divisions_that_do_not_fit_are_de);
    tcase_add_test(tcase, xadd_of_a_register_with_itself_doubles_it);
    tcase_add_test(tcase, push_of_a_segment_register_writes_the_full_width);
    tcase_add_test(tcase, repeat_prefixes_decide_for_loope_and_loopne);
    tcase_add_test(tcase, cmps_reads_its_second_operand_first);
    tcase_add_test(tcase, cmpxchg16b_checks_alignment_before_the_canonical_form);
    tcase_add_test(tcase, of_two_faults_of_call_the_stack_comes_first);
    suite_add_tcase(suite, tcase);
    TCase *legacy = tcase_create("32-bit");
    tcase_add_checked_fixture(legacy, setup_legacy, teardown);
    tcase_add_test(legacy, arpl_without_a_change_does_not_write);
    tcase_add_test(legacy, string_io_of_no_element_asks_for_the_permission);
    suite_add_tcase(suite, legacy);
    return rig_run(suite);
}

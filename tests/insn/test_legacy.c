/* 32-bit protected mode: what 64-bit mode has not got or does otherwise. */
#include "tests/insn/rig.h"

#define STACK 0x150000u
#define DATA 0x160000u

static struct rig *rig;
static struct vcpu *cpu;

static void setup(void)
{
    rig = rig_new(MODE_PROT32);
    cpu = &rig->cpu;
    cpu->r[REG_RSP] = STACK;
}

static void teardown(void)
{
    rig_free(rig);
}

static uint64_t at(uint64_t spa, unsigned size)
{
    return phys_read(cpu->memory, spa, size);
}

START_TEST(pusha_and_popa)
{
    for (unsigned i = 0; i < 8; i++)
        if (i != REG_RSP)
            cpu->r[i] = 0x11110000u + i;
    ck_assert_int_eq(EXEC(rig, 0x60), STEP_NEXT);
    ck_assert_uint_eq(cpu->r[REG_RSP], STACK - 32);
    for (unsigned i = 0; i < 8; i++)
        ck_assert_uint_eq(at(STACK - 4 - 4 * i, 4), i == REG_RSP ? STACK : 0x11110000u + i);
    for (unsigned i = 0; i < 8; i++)
        if (i != REG_RSP)
            cpu->r[i] = 0;
    phys_write(cpu->memory, STACK - 20, 4, 0xbad); /* the stored ESP is skipped */
    ck_assert_int_eq(EXEC(rig, 0x61), STEP_NEXT);
    for (unsigned i = 0; i < 8; i++)
        ck_assert_uint_eq(cpu->r[i], i == REG_RSP ? STACK : 0x11110000u + i);
    ck_assert_int_eq(EXEC(rig, 0x66, 0x60), STEP_NEXT);
    ck_assert_uint_eq(cpu->r[REG_RSP], STACK - 16);
    ck_assert_uint_eq(at(STACK - 2 - 2 * REG_RDI, 2), REG_RDI);
}
END_TEST

START_TEST(pusha_fault_keeps_esp)
{
    cpu->regs.seg[SEG_SS].attr |= 4; /* expand-down above STACK - 17: the fifth push fails */
    cpu->regs.seg[SEG_SS].limit = STACK - 17;
    rig_expect_fault(rig, EXEC(rig, 0x60), EXC_SS, 0);
    ck_assert_uint_eq(cpu->r[REG_RSP], STACK);
}
END_TEST

START_TEST(push_and_pop_by_operand_size)
{
    cpu->r[REG_RAX] = 0x12345678;
    ck_assert_int_eq(EXEC(rig, 0x50), STEP_NEXT);
    ck_assert_uint_eq(cpu->r[REG_RSP], STACK - 4);
    ck_assert_int_eq(EXEC(rig, 0x66, 0x50), STEP_NEXT);
    ck_assert_uint_eq(cpu->r[REG_RSP], STACK - 6);
    ck_assert_uint_eq(at(STACK - 6, 2), 0x5678);
    ck_assert_int_eq(EXEC(rig, 0x6a, 0xff), STEP_NEXT);
    ck_assert_uint_eq(at(STACK - 10, 4), 0xffffffff);
}
END_TEST

START_TEST(a_16_bit_stack_wraps_in_sp)
{
    cpu->regs.seg[SEG_SS].attr &= (uint16_t)~SEG_ATTR_DB;
    cpu->regs.seg[SEG_SS].base = DATA;
    cpu->r[REG_RSP] = 0xabcd0002;
    ck_assert_int_eq(EXEC(rig, 0x66, 0x50), STEP_NEXT);
    ck_assert_uint_eq(cpu->r[REG_RSP], 0xabcd0000);
    cpu->r[REG_RAX] = 0x77;
    ck_assert_int_eq(EXEC(rig, 0x66, 0x50), STEP_NEXT);
    ck_assert_uint_eq(cpu->r[REG_RSP], 0xabcdfffe);
    ck_assert_uint_eq(at(DATA + 0xfffe, 2), 0x77);
}
END_TEST

START_TEST(branch_targets_obey_the_cs_limit)
{
    cpu->regs.seg[SEG_CS].limit = RIG_RIP + 0x11;
    ck_assert_int_eq(EXEC(rig, 0xeb, 0x0f), STEP_JUMP);
    ck_assert_uint_eq(cpu_rip(cpu), RIG_RIP + 0x11);
    rig_expect_fault(rig, EXEC(rig, 0xeb, 0x10), EXC_GP, 0);
    rig_expect_fault(rig, EXEC(rig, 0xe8, 0x10, 0, 0, 0), EXC_GP, 0);
    ck_assert_uint_eq(cpu->r[REG_RSP], STACK);
    cpu->r[REG_RCX] = 5;
    rig_expect_fault(rig, EXEC(rig, 0xe2, 0x10), EXC_GP, 0);
    ck_assert_uint_eq(cpu->r[REG_RCX], 5); /* a fault changes nothing */
}
END_TEST

START_TEST(eip_wraps_at_4_gib)
{
    ck_assert_int_eq(EXEC(rig, 0xe9, 0, 0, 0xf0, 0xff), STEP_JUMP); /* - 100000h */
    ck_assert_uint_eq(cpu_rip(cpu), RIG_RIP + 5 - 0x100000);
    ck_assert_int_eq(EXEC(rig, 0xe9, 0, 0, 0, 0x80), STEP_JUMP);
    ck_assert_uint_eq(cpu_rip(cpu), (uint32_t)(RIG_RIP + 5 + 0x80000000u));
}
END_TEST

START_TEST(loop_by_address_size)
{
    cpu->r[REG_RCX] = 0x10001;
    ck_assert_int_eq(EXEC(rig, 0x67, 0xe2, 4), STEP_NEXT); /* CX */
    ck_assert_uint_eq(cpu->r[REG_RCX], 0x10000);
    ck_assert_int_eq(EXEC(rig, 0x67, 0xe3, 4), STEP_JUMP); /* JCXZ */
    ck_assert_int_eq(EXEC(rig, 0xe3, 4), STEP_NEXT);       /* JECXZ */
}
END_TEST

START_TEST(memory_operand_by_16_bit_address)
{
    cpu->regs.seg[SEG_DS].base = DATA;
    phys_write(cpu->memory, DATA + 1, 4, 0xfeed);
    cpu->r[REG_RBX] = 0xffff;
    cpu->r[REG_RSI] = 2;
    ck_assert_int_eq(EXEC(rig, 0x67, 0x8b, 0x00), STEP_NEXT); /* MOV EAX, [BX + SI] */
    ck_assert_uint_eq(cpu->r[REG_RAX], 0xfeed);
}
END_TEST

START_TEST(bound_is_signed_and_inclusive)
{
    static const struct {
        int32_t index;
        bool inside;
    } rows[] = { { -5, true }, { -6, false }, { 7, true }, { 8, false } };
    phys_write(cpu->memory, DATA, 4, (uint32_t)-5);
    phys_write(cpu->memory, DATA + 4, 4, 7);
    cpu->r[REG_RBX] = DATA;
    for (unsigned i = 0; i < 4; i++) {
        cpu->r[REG_RAX] = (uint32_t)rows[i].index;
        enum step step = EXEC(rig, 0x62, 0x03);
        if (rows[i].inside)
            ck_assert_int_eq(step, STEP_NEXT);
        else
            rig_expect_fault(rig, step, EXC_BR, 0);
    }
}
END_TEST

/* --- decimal arithmetic: results from the manual's definitions ------------------------------------- */

static uint32_t flags_in(bool cf, bool af)
{
    return (cf ? FLAG_CF : 0) | (af ? FLAG_AF : 0);
}

/* Packed addition and subtraction of every pair of two-digit numbers must come out right after DAA and DAS. */
START_TEST(daa_and_das_correct_every_sum)
{
    for (unsigned x = 0; x < 100; x++) {
        for (unsigned y = 0; y < 100; y++) {
            unsigned a = x / 10 << 4 | x % 10, b = y / 10 << 4 | y % 10, sum = x + y;
            cpu->r[REG_RAX] = a;
            cpu->r[REG_RBX] = b;
            ck_assert_int_eq(EXEC(rig, 0x00, 0xd8), STEP_NEXT);
            ck_assert_int_eq(EXEC(rig, 0x27), STEP_NEXT);
            ck_assert_uint_eq(cpu->r[REG_RAX], sum / 10 % 10 << 4 | sum % 10);
            ck_assert_int_eq(flags_cf(cpu), sum > 99);
            ck_assert_int_eq(flags_zf(cpu), sum % 100 == 0);

            unsigned difference = (100 + x - y) % 100;
            cpu->r[REG_RAX] = a;
            ck_assert_int_eq(EXEC(rig, 0x28, 0xd8), STEP_NEXT);
            ck_assert_int_eq(EXEC(rig, 0x2f), STEP_NEXT);
            ck_assert_uint_eq(cpu->r[REG_RAX], difference / 10 << 4 | difference % 10);
            ck_assert_int_eq(flags_cf(cpu), x < y);
        }
    }
}
END_TEST

START_TEST(daa_and_das_of_other_values)
{
    static const struct {
        uint8_t opcode, al;
        bool cf, af;
        uint8_t result;
        bool cf_out, af_out;
    } rows[] = {
        { 0x27, 0x9a, false, false, 0x00, true, true },
        { 0x27, 0x99, false, false, 0x99, false, false },
        { 0x27, 0xff, false, false, 0x65, true, true },
        { 0x27, 0x00, true, true, 0x66, true, true },
        { 0x2f, 0x03, false, true, 0xfd, true, true }, /* the borrow of the first step counts */
        { 0x2f, 0x9a, false, false, 0x34, true, true },
        { 0x2f, 0x06, false, true, 0x00, false, true },
        { 0x2f, 0x00, true, false, 0xa0, true, false },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cpu->r[REG_RAX] = rows[i].al;
        flags_set_material(cpu, flags_in(rows[i].cf, rows[i].af));
        ck_assert_int_eq(rig_exec(rig, &rows[i].opcode, 1), STEP_NEXT);
        ck_assert_uint_eq(cpu->r[REG_RAX], rows[i].result);
        ck_assert_int_eq(flags_cf(cpu), rows[i].cf_out);
        ck_assert_int_eq(flags_af(cpu), rows[i].af_out);
    }
}
END_TEST

START_TEST(aaa_and_aas)
{
    static const struct {
        uint8_t opcode;
        uint16_t ax;
        bool af;
        uint16_t result;
        bool carry;
    } rows[] = {
        { 0x37, 0x0009, false, 0x0009, false },
        { 0x37, 0x000a, false, 0x0100, true },
        { 0x37, 0x0005, true, 0x010b, true },
        { 0x37, 0x00fa, false, 0x0200, true }, /* carry into AH */
        { 0x3f, 0x0209, false, 0x0209, false },
        { 0x3f, 0x020a, false, 0x0104, true },
        { 0x3f, 0x0205, true, 0x000f, true }, /* 205h - 106h = ffh */
        { 0x37, 0x0f42, false, 0x0f02, false },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cpu->r[REG_RAX] = rows[i].ax;
        flags_set_material(cpu, flags_in(false, rows[i].af));
        ck_assert_int_eq(rig_exec(rig, &rows[i].opcode, 1), STEP_NEXT);
        ck_assert_uint_eq(cpu->r[REG_RAX], rows[i].result);
        ck_assert_int_eq(flags_cf(cpu), rows[i].carry);
        ck_assert_int_eq(flags_af(cpu), rows[i].carry);
    }
}
END_TEST

START_TEST(aam_and_aad_take_any_base)
{
    cpu->r[REG_RAX] = 0xff63; /* 99 */
    ck_assert_int_eq(EXEC(rig, 0xd4, 10), STEP_NEXT);
    ck_assert_uint_eq(cpu->r[REG_RAX], 0x0909);
    ck_assert_int_eq(EXEC(rig, 0xd5, 10), STEP_NEXT);
    ck_assert_uint_eq(cpu->r[REG_RAX], 99);
    cpu->r[REG_RAX] = 0xab;
    ck_assert_int_eq(EXEC(rig, 0xd4, 16), STEP_NEXT);
    ck_assert_uint_eq(cpu->r[REG_RAX], 0x0a0b);
    rig_expect_fault(rig, EXEC(rig, 0xd4, 0), EXC_DE, 0);
    ck_assert_uint_eq(cpu->r[REG_RAX], 0x0a0b);
}
END_TEST

/* --- the table -------------------------------------------------------------------------------------- */

START_TEST(the_table_answers_by_mnemonic)
{
    unsigned rows = 0;
    for (unsigned mnemonic = 0; mnemonic < UINT16_MAX; mnemonic++) {
        const struct insn_info *info = insn_lookup((uint16_t)mnemonic);
        if (!info)
            continue;
        rows++;
        ck_assert_uint_eq(info->mnemonic, mnemonic);
        ck_assert_ptr_nonnull(info->body);
        ck_assert_uint_lt(info->feature, CPU_FEATURE_COUNT);
        /* A row that touches no flags cannot write all of them. */
        ck_assert(!(info->flags & INSN_NO_FLAGS) || !(info->flags & INSN_WRITES_ALL));
    }
    ck_assert_uint_gt(rows, 190);
    ck_assert_ptr_null(insn_lookup(0));
    ck_assert_ptr_null(insn_lookup(UINT16_MAX));
}
END_TEST

/* What the rows promise of flags must hold for the bodies: APM vol 3 on each. */
START_TEST(rows_that_write_all_flags_read_none)
{
    static const struct {
        uint8_t len, bytes[4];
    } rows[] = { { 2, { 0x01, 0xd8 } },
                 { 2, { 0x29, 0xd8 } },
                 { 2, { 0x39, 0xd8 } },
                 { 2, { 0x21, 0xd8 } },
                 { 2, { 0x09, 0xd8 } },
                 { 2, { 0x31, 0xd8 } },
                 { 2, { 0x85, 0xd8 } },
                 { 2, { 0xf7, 0xd8 } },
                 { 3, { 0x0f, 0xc1, 0xd8 } },
                 { 3, { 0x0f, 0xb1, 0xd8 } },
                 { 3, { 0x0f, 0xbc, 0xc3 } },
                 { 3, { 0x0f, 0xbd, 0xc3 } },
                 { 4, { 0xf3, 0x0f, 0xb8, 0xc3 } },
                 { 2, { 0xd5, 0x0a } } };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t flags[2];
        struct insn in = rig_decode(rig, rows[i].bytes, rows[i].len);
        ck_assert(insn_lookup(in.mnemonic)->flags & INSN_WRITES_ALL);
        for (unsigned before = 0; before < 2; before++) {
            cpu->r[REG_RAX] = 0x1234;
            cpu->r[REG_RBX] = 0x4321;
            flags_set_material(cpu, before ? FLAGS_STATUS : 0);
            ck_assert_int_eq(rig_exec(rig, rows[i].bytes, rows[i].len), STEP_NEXT);
            flags[before] = flags_status(cpu);
        }
        ck_assert_uint_eq(flags[0], flags[1]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("legacy");
    TCase *tcase = tcase_create("32-bit");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, pusha_and_popa);
    tcase_add_test(tcase, pusha_fault_keeps_esp);
    tcase_add_test(tcase, push_and_pop_by_operand_size);
    tcase_add_test(tcase, a_16_bit_stack_wraps_in_sp);
    tcase_add_test(tcase, branch_targets_obey_the_cs_limit);
    tcase_add_test(tcase, eip_wraps_at_4_gib);
    tcase_add_test(tcase, loop_by_address_size);
    tcase_add_test(tcase, memory_operand_by_16_bit_address);
    tcase_add_test(tcase, bound_is_signed_and_inclusive);
    tcase_add_test(tcase, daa_and_das_correct_every_sum);
    tcase_add_test(tcase, daa_and_das_of_other_values);
    tcase_add_test(tcase, aaa_and_aas);
    tcase_add_test(tcase, aam_and_aad_take_any_base);
    tcase_add_test(tcase, the_table_answers_by_mnemonic);
    tcase_add_test(tcase, rows_that_write_all_flags_read_none);
    suite_add_tcase(suite, tcase);
    return rig_run(suite);
}

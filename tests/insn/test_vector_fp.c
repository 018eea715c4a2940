/* Floating point in vector registers by rule: registers and memory, comparisons, sums, products, FMA. */
#include "tests/insn/fp_kit.h"

/* --- registers and memory -------------------------------------------------------------------- */

/* rows: pitfalls 7.15 */
START_TEST(scalars_keep_the_rest_of_their_first_source)
{
    set_s(0, ONE_S, 10, 11, 12);
    set_s(1, ONE_S, 20, 21, 22);
    set_s(2, ONE_S, 30, 31, 32);
    RUN(0xf3, 0x0f, 0x58, 0xc1); /* ADDSS xmm0, xmm1 */
    expect_s(0, 0x40000000, 10, 11, 12);
    expect_rest(0, FILL);
    RUN(0xc5, 0xf2, 0x58, 0xc2); /* VADDSS xmm0, xmm1, xmm2 */
    expect_s(0, 0x40000000, 20, 21, 22);
    expect_rest(0, 0);
}
END_TEST

START_TEST(a_scalar_of_one_operand_takes_the_rest_from_the_first_source)
{
    set_d(0, 1, 10);
    set_d(1, UINT64_C(0x4010000000000000), 20);
    set_d(2, UINT64_C(0x4022000000000000), 30);
    RUN(0xf2, 0x0f, 0x51, 0xc1); /* SQRTSD xmm0, xmm1 */
    expect_d(0, UINT64_C(0x4000000000000000), 10);
    RUN(0xc5, 0xf3, 0x51, 0xc2); /* VSQRTSD xmm0, xmm1, xmm2 */
    expect_d(0, UINT64_C(0x4008000000000000), 20);
    expect_rest(0, 0);
}
END_TEST

/* rows: pitfalls 7.15 */
START_TEST(vex_of_256_bits_computes_both_halves_and_clears_the_rest)
{
    for (unsigned i = 0; i < 8; i++)
        cpu->simd.v[1].u32[i] = cpu->simd.v[2].u32[i] = ONE_S;
    RUN(0xc5, 0xf4, 0x58, 0xc2); /* VADDPS ymm0, ymm1, ymm2 */
    for (unsigned i = 0; i < 16; i++)
        ck_assert_uint_eq(cpu->simd.v[0].u32[i], i < 8 ? 0x40000000 : 0);
}
END_TEST

START_TEST(a_scalar_reads_no_more_than_its_element)
{
    cpu->r[REG_RDI] = 0x160ffc;
    rig_page(rig, 0x161000, 0);
    rig_put(rig, 0x160ff8, (uint64_t)ONE_S << 32);
    set_s(0, ONE_S, 1, 2, 3);
    RUN(0xf3, 0x0f, 0x58, 0x07); /* ADDSS xmm0, [rdi] */
    expect_s(0, 0x40000000, 1, 2, 3);
    rig_expect_fault(rig, EXEC(rig, 0xf2, 0x0f, 0x58, 0x07), EXC_PF, 0); /* ADDSD */
    cpu->r[REG_RDI] = 0x160ff8;
    RUN(0x0f, 0x5a, 0x07); /* CVTPS2PD xmm0, [rdi]: 8 bytes */
    expect_d(0, 0, ONE_D);
}
END_TEST

/* rows: pitfalls 7.8 */
START_TEST(packed_memory_is_aligned_with_legacy_encoding_unless_mxcsr_allows)
{
    cpu->r[REG_RDI] = DATA + 4;
    FAULT(EXC_GP, 0x0f, 0x58, 0x07);         /* ADDPS xmm0, [rdi] */
    FAULT(EXC_GP, 0x66, 0x0f, 0x2d, 0x07);   /* CVTPD2PI mm0, [rdi] */
    RUN(0xf3, 0x0f, 0x58, 0x07);             /* ADDSS */
    RUN(0x66, 0x0f, 0x2a, 0x07);             /* CVTPI2PD xmm0, [rdi] */
    RUN(0xc5, 0xf0, 0x58, 0x07);             /* VADDPS xmm0, xmm1, [rdi] */
    RUN(0xc4, 0xe3, 0x79, 0x1d, 0x0f, 0x00); /* VCVTPS2PH [rdi], xmm1 */
    cpu->simd.mxcsr |= MXCSR_MM;
    RUN(0x0f, 0x58, 0x07);
}
END_TEST

/* --- minimum and maximum, comparisons -------------------------------------------------------- */

/* rows: pitfalls 7.18 */
START_TEST(min_and_max_give_the_second_operand_for_nans_and_zeros)
{
    set_s(0, QNAN_S, ONE_S, 0x80000000, 0);
    set_s(1, ONE_S, QNAN_S, 0, 0x80000000);
    RUN(0x0f, 0x5d, 0xc1); /* MINPS */
    expect_s(0, ONE_S, QNAN_S, 0, 0x80000000);
    expect_flags(FP_IE);
    set_s(0, ONE_S, 0x40000000, 0x80000000, 0);
    set_s(1, 0x40000000, ONE_S, 0, 0x80000000);
    RUN(0x0f, 0x5f, 0xc1); /* MAXPS */
    expect_s(0, 0x40000000, 0x40000000, 0, 0x80000000);
}
END_TEST

/* Elements: less, equal, greater, unordered. `quiet` tells whether a quiet NaN is no invalid operand. */
static const struct predicate_row {
    bool less, equal, greater, unordered, quiet;
} predicates[32] = { { 0, 1, 0, 0, 1 }, { 1, 0, 0, 0, 0 }, { 1, 1, 0, 0, 0 }, { 0, 0, 0, 1, 1 },
                     { 1, 0, 1, 1, 1 }, { 0, 1, 1, 1, 0 }, { 0, 0, 1, 1, 0 }, { 1, 1, 1, 0, 1 },
                     { 0, 1, 0, 1, 1 }, { 1, 0, 0, 1, 0 }, { 1, 1, 0, 1, 0 }, { 0, 0, 0, 0, 1 },
                     { 1, 0, 1, 0, 1 }, { 0, 1, 1, 0, 0 }, { 0, 0, 1, 0, 0 }, { 1, 1, 1, 1, 1 },
                     { 0, 1, 0, 0, 0 }, { 1, 0, 0, 0, 1 }, { 1, 1, 0, 0, 1 }, { 0, 0, 0, 1, 0 },
                     { 1, 0, 1, 1, 0 }, { 0, 1, 1, 1, 1 }, { 0, 0, 1, 1, 1 }, { 1, 1, 1, 0, 0 },
                     { 0, 1, 0, 1, 0 }, { 1, 0, 0, 1, 1 }, { 1, 1, 0, 1, 1 }, { 0, 0, 0, 0, 0 },
                     { 1, 0, 1, 0, 0 }, { 0, 1, 1, 0, 1 }, { 0, 0, 1, 0, 1 }, { 1, 1, 1, 1, 0 } };

static void check_predicate(const struct predicate_row *row)
{
    expect_s(0, row->less ? UINT32_MAX : 0, row->equal ? UINT32_MAX : 0,
             row->greater ? UINT32_MAX : 0, row->unordered ? UINT32_MAX : 0);
    expect_flags(row->quiet ? 0 : FP_IE);
}

START_TEST(legacy_comparisons_have_eight_predicates)
{
    for (unsigned imm = 0; imm < 256; imm++) {
        set_mxcsr(0, 0);
        set_s(0, ONE_S, ONE_S, ONE_S, ONE_S);
        set_s(1, 0x40000000, ONE_S, 0, QNAN_S);
        RUN(0x0f, 0xc2, 0xc1, (uint8_t)imm); /* CMPPS */
        check_predicate(&predicates[imm & 7]);
    }
}
END_TEST

START_TEST(vex_comparisons_have_32_predicates)
{
    for (unsigned imm = 0; imm < 256; imm++) {
        set_mxcsr(0, 0);
        set_s(1, ONE_S, ONE_S, ONE_S, ONE_S);
        set_s(2, 0x40000000, ONE_S, 0, QNAN_S);
        RUN(0xc5, 0xf0, 0xc2, 0xc2, (uint8_t)imm); /* VCMPPS */
        check_predicate(&predicates[imm & 31]);
    }
}
END_TEST

START_TEST(a_signalling_nan_is_invalid_for_every_predicate)
{
    for (unsigned imm = 0; imm < 32; imm++) {
        set_mxcsr(0, 0);
        set_s(2, SNAN_S, ONE_S, ONE_S, ONE_S);
        set_s(1, ONE_S, ONE_S, ONE_S, ONE_S);
        RUN(0xc5, 0xf0, 0xc2, 0xc2, (uint8_t)imm);
        expect_flags(FP_IE);
    }
}
END_TEST

START_TEST(cmpsd_with_vector_operands_is_no_string_instruction)
{
    set_d(0, 0, 77);
    set_d(1, ONE_D, 88);
    set_d(2, ONE_D, 99);
    RUN(0xf2, 0x0f, 0xc2, 0xc1, 0x01); /* CMPLTSD xmm0, xmm1 */
    expect_d(0, UINT64_MAX, 77);
    RUN(0xc5, 0xf3, 0xc2, 0xc2, 0x01); /* VCMPLTSD xmm0, xmm1, xmm2 */
    expect_d(0, 0, 88);
    ck_assert_uint_eq(cpu->r[REG_RDI], DATA);
}
END_TEST

START_TEST(comiss_and_ucomiss_set_zf_pf_and_cf)
{
    static const struct {
        uint32_t a, b, status, comis, ucomis;
    } rows[] = { { ONE_S, 0x40000000, FLAG_CF, 0, 0 },
                 { ONE_S, ONE_S, FLAG_ZF, 0, 0 },
                 { 0x80000000, 0, FLAG_ZF, 0, 0 },
                 { 0x40000000, ONE_S, 0, 0, 0 },
                 { ONE_S, QNAN_S, FLAG_ZF | FLAG_PF | FLAG_CF, FP_IE, 0 },
                 { SNAN_S, ONE_S, FLAG_ZF | FLAG_PF | FLAG_CF, FP_IE, FP_IE },
                 { 1, ONE_S, FLAG_CF, FP_DE, FP_DE } };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        set_s(0, rows[i].a, 0, 0, 0);
        set_s(1, rows[i].b, 0, 0, 0);
        set_mxcsr(0, 0);
        cpu_set_rflags(cpu, FLAGS_STATUS | 2);
        RUN(0x0f, 0x2f, 0xc1); /* COMISS */
        ck_assert_uint_eq(flags_status(cpu), rows[i].status);
        expect_flags(rows[i].comis);
        set_mxcsr(0, 0);
        cpu_set_rflags(cpu, FLAGS_STATUS | 2);
        RUN(0x0f, 0x2e, 0xc1); /* UCOMISS */
        ck_assert_uint_eq(flags_status(cpu), rows[i].status);
        expect_flags(rows[i].ucomis);
    }
    set_mxcsr(FP_IE, 0);
    set_d(0, UINT64_C(0x7ff8000000000000), 0);
    cpu_set_rflags(cpu, FLAG_CF | 2);
    FAULT(EXC_XF, 0x66, 0x0f, 0x2f, 0xc1); /* COMISD */
    ck_assert_uint_eq(flags_status(cpu), FLAG_CF);
}
END_TEST

/* --- sums, dot products, FMA
 * ----------------------------------------------------------------------------------------- */

/* Small numbers. */
static uint32_t small(unsigned n)
{
    float value = (float)n;
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

START_TEST(horizontal_sums_take_pairs_of_the_first_source_first)
{
    set_s(0, small(1), small(2), small(3), small(4));
    set_s(1, small(5), 0, small(1), small(1));
    RUN(0xf2, 0x0f, 0x7c, 0xc1); /* HADDPS */
    expect_s(0, small(3), small(7), small(5), small(2));
    set_d(0, UINT64_C(0x4008000000000000), ONE_D);
    set_d(1, ONE_D, ONE_D);
    RUN(0x66, 0x0f, 0x7d, 0xc1); /* HSUBPD */
    expect_d(0, UINT64_C(0x4000000000000000), 0);
}
END_TEST

START_TEST(horizontal_sums_of_256_bits_stay_in_their_halves)
{
    for (unsigned i = 0; i < 8; i++) {
        cpu->simd.v[1].u32[i] = small(i < 4 ? 1 : 2);
        cpu->simd.v[2].u32[i] = small(i < 4 ? 3 : 4);
    }
    RUN(0xc5, 0xf7, 0x7c, 0xc2); /* VHADDPS ymm0, ymm1, ymm2 */
    static const unsigned sums[] = { 2, 2, 6, 6, 4, 4, 8, 8 };
    for (unsigned i = 0; i < 8; i++)
        ck_assert_uint_eq(cpu->simd.v[0].u32[i], small(sums[i]));
}
END_TEST

START_TEST(addsub_subtracts_in_even_elements)
{
    set_s(0, small(5), small(5), small(3), small(3));
    set_s(1, small(1), small(1), small(2), small(2));
    RUN(0xf2, 0x0f, 0xd0, 0xc1); /* ADDSUBPS */
    expect_s(0, small(4), small(6), small(1), small(5));
}
END_TEST

START_TEST(dot_products_choose_products_and_destinations)
{
    set_s(0, small(1), small(2), small(1), small(1));
    set_s(1, small(1), small(3), small(3), SNAN_S);
    RUN(0x66, 0x0f, 0x3a, 0x40, 0xc1, 0x75); /* DPPS: 1 + 6 + 3 into 0 and 2 */
    expect_s(0, small(10), 0, small(10), 0);
    expect_flags(0);
    set_d(0, ONE_D, SNAN_S);
    set_d(1, ONE_D, ONE_D);
    RUN(0x66, 0x0f, 0x3a, 0x41, 0xc1, 0xd2); /* DPPD: bits 7:6 and 3:2 do not count */
    expect_d(0, 0, ONE_D);
}
END_TEST

/* Measured on Zen 4. */
START_TEST(an_unmasked_exception_of_a_product_keeps_the_sums_from_being_done)
{
    set_s(0, INFINITE_S, INFINITE_S, 1, 0);
    set_s(1, ONE_S, 0xbf800000, ONE_S, 0);
    set_mxcsr(FP_DE | FP_IE, 0);
    FAULT(EXC_XF, 0x66, 0x0f, 0x3a, 0x40, 0xc1, 0xff); /* DPPS */
    expect_flags(FP_DE);
    set_mxcsr(FP_IE, 0);
    FAULT(EXC_XF, 0x66, 0x0f, 0x3a, 0x40, 0xc1, 0xff);
    expect_flags(FP_DE | FP_IE);
}
END_TEST

START_TEST(the_digits_of_fma_tell_which_operands_are_multiplied)
{
    static const struct {
        uint8_t opcode;
        uint64_t result;
    } rows[] = { { 0x99, 0x4026000000000000 },   /* 132: 2 * 4 + 3 = 11 */
                 { 0xa9, 0x4024000000000000 },   /* 213: 3 * 2 + 4 = 10 */
                 { 0xb9, 0x402c000000000000 } }; /* 231: 3 * 4 + 2 = 14 */
    for (unsigned i = 0; i < 3; i++) {
        set_d(0, UINT64_C(0x4000000000000000), 10);
        set_d(1, UINT64_C(0x4008000000000000), 20);
        set_d(2, UINT64_C(0x4010000000000000), 30);
        RUN(0xc4, 0xe2, 0xf1, rows[i].opcode, 0xc2);
        expect_d(0, rows[i].result, 10);
        expect_rest(0, 0);
    }
}
END_TEST

START_TEST(fma_forms_differ_in_their_signs)
{
    static const struct {
        uint8_t opcode;
        uint64_t result;
    } rows[] = { { 0xa9, 0x4024000000000000 },   /* VFMADD213SD: 3 * 2 + 4 */
                 { 0xab, 0x4000000000000000 },   /* VFMSUB213SD: 3 * 2 - 4 */
                 { 0xad, 0xc000000000000000 },   /* VFNMADD213SD: -(3 * 2) + 4 */
                 { 0xaf, 0xc024000000000000 } }; /* VFNMSUB213SD: -(3 * 2) - 4 */
    for (unsigned i = 0; i < 4; i++) {
        set_d(0, UINT64_C(0x4000000000000000), 10);
        set_d(1, UINT64_C(0x4008000000000000), 20);
        set_d(2, UINT64_C(0x4010000000000000), 30);
        RUN(0xc4, 0xe2, 0xf1, rows[i].opcode, 0xc2);
        expect_d(0, rows[i].result, 10);
    }
    set_s(0, small(1), small(1), small(1), small(1));
    set_s(1, small(3), small(3), small(3), small(3));
    set_s(2, small(1), small(1), small(1), small(1));
    RUN(0xc4, 0xe2, 0x71, 0xa6, 0xc2); /* VFMADDSUB213PS: even elements subtract */
    expect_s(0, small(2), small(4), small(2), small(4));
    set_s(0, small(1), small(1), small(1), small(1));
    RUN(0xc4, 0xe2, 0x71, 0xa7, 0xc2); /* VFMSUBADD213PS */
    expect_s(0, small(4), small(2), small(4), small(2));
}
END_TEST

START_TEST(fma_rounds_once_and_keeps_a_nans_sign)
{
    set_d(0, ONE_D + 1, 0); /* (1 + e) * (1 - e) - 1 = -e^2 */
    set_d(1, UINT64_C(0x3feffffffffffffe), 0);
    set_d(2, ONE_D, 0);
    RUN(0xc4, 0xe2, 0xf1, 0xab, 0xc2); /* VFMSUB213SD */
    expect_d(0, UINT64_C(0xb970000000000000), 0);
    expect_flags(0);
    set_d(0, UINT64_C(0x7ff8000000000123), 0);
    RUN(0xc4, 0xe2, 0xf1, 0xaf, 0xc2); /* VFNMSUB213SD */
    expect_d(0, UINT64_C(0x7ff8000000000123), 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        scalars_keep_the_rest_of_their_first_source,
        a_scalar_of_one_operand_takes_the_rest_from_the_first_source,
        vex_of_256_bits_computes_both_halves_and_clears_the_rest,
        a_scalar_reads_no_more_than_its_element,
        packed_memory_is_aligned_with_legacy_encoding_unless_mxcsr_allows,
        min_and_max_give_the_second_operand_for_nans_and_zeros,
        legacy_comparisons_have_eight_predicates,
        vex_comparisons_have_32_predicates,
        a_signalling_nan_is_invalid_for_every_predicate,
        cmpsd_with_vector_operands_is_no_string_instruction,
        comiss_and_ucomiss_set_zf_pf_and_cf,
        horizontal_sums_take_pairs_of_the_first_source_first,
        horizontal_sums_of_256_bits_stay_in_their_halves,
        addsub_subtracts_in_even_elements,
        dot_products_choose_products_and_destinations,
        an_unmasked_exception_of_a_product_keeps_the_sums_from_being_done,
        the_digits_of_fma_tell_which_operands_are_multiplied,
        fma_forms_differ_in_their_signs,
        fma_rounds_once_and_keeps_a_nans_sign,
    };
    Suite *suite = suite_create("floating point in vector registers");
    TCase *tcase = tcase_create("rules");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    return rig_run(suite);
}

/* Floating point in vector registers by rule: conversions, rounding, approximations, MXCSR. */
#include "tests/insn/fp_kit.h"

#define D(number) double_bits(number)

static uint64_t double_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static float single_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* --- integers -------------------------------------------------------------------------------- */

START_TEST(integers_out_of_range_are_the_indefinite)
{
    static const struct {
        double value;
        uint32_t eax, flags;
        uint64_t rax;
    } rows[] = { { 2147483647.0, 0x7fffffff, 0, 0x7fffffff },
                 { 2147483648.0, 0x80000000, FP_IE, 0x80000000 },
                 { -2147483648.0, 0x80000000, 0, UINT64_C(0xffffffff80000000) },
                 { -2147483649.0, 0x80000000, FP_IE, UINT64_C(0xffffffff7fffffff) },
                 { -1.0, UINT32_MAX, 0, UINT64_MAX } };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        set_d(1, D(rows[i].value), 0);
        set_mxcsr(0, 0);
        cpu->r[REG_RAX] = FILL;
        RUN(0xf2, 0x0f, 0x2d, 0xc1); /* CVTSD2SI eax, xmm1 */
        ck_assert_uint_eq(cpu->r[REG_RAX], rows[i].eax);
        expect_flags(rows[i].flags);
        RUN(0xf2, 0x48, 0x0f, 0x2c, 0xc1); /* CVTTSD2SI rax, xmm1 */
        ck_assert_uint_eq(cpu->r[REG_RAX], rows[i].rax);
    }
    set_s(1, 0x5f000000, 0, 0, 0);
    RUN(0xf3, 0x48, 0x0f, 0x2d, 0xc1); /* CVTSS2SI rax, xmm1: 2^63 */
    ck_assert_uint_eq(cpu->r[REG_RAX], UINT64_C(1) << 63);
}
END_TEST

START_TEST(conversions_to_integers_round_by_mxcsr_or_truncate)
{
    static const uint32_t rounded[] = { 2, 2, 3, 2 };
    set_s(1, 0x40200000, 0, 0, 0); /* 2.5 */
    for (uint32_t mode = 0; mode < 4; mode++) {
        set_mxcsr(0, mode << 13);
        RUN(0xf3, 0x0f, 0x2d, 0xc1); /* CVTSS2SI eax, xmm1 */
        ck_assert_uint_eq(cpu->r[REG_RAX], rounded[mode]);
        RUN(0xf3, 0x0f, 0x2c, 0xc1); /* CVTTSS2SI eax, xmm1 */
        ck_assert_uint_eq(cpu->r[REG_RAX], 2);
        expect_flags(FP_PE);
    }
}
END_TEST

START_TEST(an_unmasked_conversion_leaves_the_general_register)
{
    set_mxcsr(FP_PE, 0);
    cpu->r[REG_RAX] = FILL;
    set_s(1, 0x40200000, 0, 0, 0);
    FAULT(EXC_XF, 0xf3, 0x0f, 0x2d, 0xc1);
    ck_assert_uint_eq(cpu->r[REG_RAX], FILL);
}
END_TEST

START_TEST(general_registers_convert_by_operand_size)
{
    cpu->r[REG_RAX] = UINT64_C(0x00000001ffffffff);
    set_d(0, 5, 6);
    RUN(0xf2, 0x0f, 0x2a, 0xc0); /* CVTSI2SD xmm0, eax */
    expect_d(0, D(-1.0), 6);
    RUN(0xf2, 0x48, 0x0f, 0x2a, 0xc0); /* CVTSI2SD xmm0, rax */
    expect_d(0, D(8589934591.0), 6);
    expect_flags(0);
    RUN(0xf3, 0x48, 0x0f, 0x2a, 0xc0); /* CVTSI2SS xmm0, rax */
    ck_assert_uint_eq(cpu->simd.v[0].u32[0], 0x50000000);
    expect_flags(FP_PE);
}
END_TEST

/* --- packed: what is read, and what is cleared
 * -------------------------------------------------------------------- */

/* rows: pitfalls 7.15 */
START_TEST(narrowing_conversions_clear_the_upper_half)
{
    set_d(1, D(1.0), D(2.0));
    RUN(0x66, 0x0f, 0x5a, 0xc1); /* CVTPD2PS */
    expect_s(0, ONE_S, 0x40000000, 0, 0);
    expect_rest(0, FILL);
    RUN(0xf2, 0x0f, 0xe6, 0xc1); /* CVTPD2DQ */
    expect_s(0, 1, 2, 0, 0);
    cpu->simd.v[1].u64[2] = D(3.0);
    cpu->simd.v[1].u64[3] = D(4.0);
    RUN(0xc5, 0xfd, 0x5a, 0xc1); /* VCVTPD2PS xmm0, ymm1 */
    expect_s(0, ONE_S, 0x40000000, 0x40400000, 0x40800000);
    expect_rest(0, 0);
}
END_TEST

START_TEST(widening_conversions_read_the_lower_half)
{
    set_s(1, 1, UINT32_MAX, 7, 7);
    RUN(0xf3, 0x0f, 0xe6, 0xc1); /* CVTDQ2PD */
    expect_d(0, D(1.0), D(-1.0));
    set_s(1, ONE_S, 0xbf800000, SNAN_S, SNAN_S);
    RUN(0x0f, 0x5a, 0xc1); /* CVTPS2PD */
    expect_d(0, D(1.0), D(-1.0));
    expect_flags(0);
}
END_TEST

START_TEST(nans_are_quieted_between_formats)
{
    set_d(0, 0, 9);
    set_s(1, SNAN_S | 1, 0, 0, 0);
    RUN(0xf3, 0x0f, 0x5a, 0xc1); /* CVTSS2SD */
    expect_d(0, UINT64_C(0x7ffc000020000000), 9);
    expect_flags(FP_IE);
    RUN(0xf2, 0x0f, 0x5a, 0xc0); /* CVTSD2SS xmm0, xmm0 */
    expect_s(0, 0x7fe00001, 0x7ffc0000, 9, 0);
}
END_TEST

/* --- MMX
 * ---------------------------------------------------------------------------------------------------------- */

static void x87_state(void)
{
    cpu->x87.fsw = 3 << FSW_TOP_SHIFT;
    cpu->x87.used = 0;
    cpu->x87.reg[0].mant = cpu->x87.reg[1].mant = 1;
}

static void expect_mmx(bool entered)
{
    ck_assert_uint_eq(cpu->x87.fsw, entered ? 0 : 3 << FSW_TOP_SHIFT);
    ck_assert_uint_eq(cpu->x87.used, entered ? 0xff : 0);
}

/* Measured on Zen 4. */
START_TEST(an_mmx_operand_makes_mmx_state_and_memory_in_its_place_does_not)
{
    x87_state();
    RUN(0x0f, 0x2a, 0xc1); /* CVTPI2PS xmm0, mm1 */
    expect_mmx(true);
    ck_assert_uint_eq(cpu->simd.v[0].u64[0], ONE_S);
    ck_assert_uint_eq(cpu->simd.v[0].u64[1], FILL);
    x87_state();
    RUN(0x0f, 0x2a, 0x07); /* CVTPI2PS xmm0, [rdi] */
    expect_mmx(false);
    RUN(0x66, 0x0f, 0x2a, 0x07); /* CVTPI2PD xmm0, [rdi] */
    expect_mmx(false);
    expect_d(0, 0, 0);
}
END_TEST

START_TEST(conversions_to_mmx_registers_take_two_elements)
{
    x87_state();
    set_s(1, ONE_S, 0xc0200000, SNAN_S, SNAN_S);
    RUN(0x0f, 0x2d, 0xc1); /* CVTPS2PI mm0, xmm1 */
    expect_mmx(true);
    ck_assert_uint_eq(cpu->x87.reg[0].mant, UINT64_C(0xfffffffe00000001));
    ck_assert_uint_eq(cpu->x87.reg[0].se, 0xffff);
    expect_flags(FP_PE);
    set_d(1, D(-2.5), D(1e10));
    RUN(0x66, 0x0f, 0x2c, 0xc1); /* CVTTPD2PI mm0, xmm1 */
    ck_assert_uint_eq(cpu->x87.reg[0].mant, UINT64_C(0x80000000fffffffe));
    expect_flags(FP_IE | FP_PE);
}
END_TEST

/* Measured on Zen 4. */
START_TEST(an_unmasked_conversion_makes_mmx_state_but_no_result)
{
    x87_state();
    set_mxcsr(FP_PE, 0);
    set_s(1, 0x40200000, 0, 0, 0);
    FAULT(EXC_XF, 0x0f, 0x2d, 0xc1); /* CVTPS2PI mm0, xmm1 */
    expect_mmx(true);
    ck_assert_uint_eq(cpu->x87.reg[0].mant, 1);
}
END_TEST

START_TEST(a_page_fault_makes_no_mmx_state)
{
    x87_state();
    rig_page(rig, DATA, 0);
    FAULT(EXC_PF, 0x66, 0x0f, 0x2d, 0x07); /* CVTPD2PI mm0, [rdi] */
    expect_mmx(false);
}
END_TEST

/* --- halves
 * ---------------------------------------------------------------------------------------------------------- */

START_TEST(halves_become_singles)
{
    cpu->simd.v[1].u64[0] =
        UINT64_C(0x7c007d0000013c00);  /* 1, denormal, signalling NaN, infinity */
    RUN(0xc4, 0xe2, 0x79, 0x13, 0xc1); /* VCVTPH2PS xmm0, xmm1 */
    expect_s(0, ONE_S, 0x33800000, 0x7fe00000, INFINITE_S);
    expect_flags(FP_IE);
    expect_rest(0, 0);
}
END_TEST

START_TEST(singles_become_halves_by_the_immediates_rounding)
{
    static const struct {
        uint8_t imm;
        uint32_t mode;
        uint16_t half;
    } rows[] = { { 0, ROUND_TO(UP), 0x3c00 },   { 1, ROUND_TO(UP), 0x3c00 },
                 { 2, ROUND_TO(DOWN), 0x3c01 }, { 3, ROUND_TO(UP), 0x3c00 },
                 { 4, ROUND_TO(UP), 0x3c01 },   { 6, ROUND_TO(DOWN), 0x3c00 } };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        set_mxcsr(0, rows[i].mode);
        set_s(1, 0x3f801000, 0x3f801000, ONE_S, 0);     /* 1 + half of the last bit */
        RUN(0xc4, 0xe3, 0x79, 0x1d, 0xc8, rows[i].imm); /* VCVTPS2PH xmm0, xmm1, imm8 */
        expect_d(0, rows[i].half * UINT64_C(0x10001) | UINT64_C(0x3c00) << 32, 0);
        expect_rest(0, 0);
        expect_flags(FP_PE);
    }
}
END_TEST

START_TEST(halves_are_stored_in_half_the_sources_size)
{
    rig_put(rig, DATA, FILL);
    rig_put(rig, DATA + 8, FILL);
    set_s(1, ONE_S, ONE_S, ONE_S, ONE_S);
    RUN(0xc4, 0xe3, 0x79, 0x1d, 0x0f, 0x00); /* VCVTPS2PH [rdi], xmm1 */
    ck_assert_mem_eq(rig_ptr(rig, DATA), "\0\x3c\0\x3c\0\x3c\0\x3cZZ", 10);
    set_mxcsr(FP_OE, 0);
    set_s(1, 0x47800000, ONE_S, ONE_S, ONE_S);
    rig_put(rig, DATA, FILL);
    FAULT(EXC_XF, 0xc4, 0xe3, 0x79, 0x1d, 0x0f, 0x00);
    ck_assert_mem_eq(rig_ptr(rig, DATA), "ZZZZZZZZ", 8);
}
END_TEST

/* --- rounding
 * ------------------------------------------------------------------------------------------------------------ */

START_TEST(rounding_obeys_the_immediate)
{
    static const struct {
        uint8_t imm;
        uint32_t mode;
        double result;
        uint32_t flags;
    } rows[] = { { 0, ROUND_TO(UP), 2.0, FP_PE },    { 1, ROUND_TO(UP), 2.0, FP_PE },
                 { 2, ROUND_TO(DOWN), 3.0, FP_PE },  { 3, ROUND_TO(UP), 2.0, FP_PE },
                 { 4, ROUND_TO(UP), 3.0, FP_PE },    { 7, ROUND_TO(UP), 3.0, FP_PE },
                 { 8, ROUND_TO(UP), 2.0, 0 },        { 12, ROUND_TO(UP), 3.0, 0 },
                 { 0xf0, ROUND_TO(UP), 2.0, FP_PE }, { 0xff, ROUND_TO(DOWN), 2.0, 0 } };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        set_mxcsr(0, rows[i].mode);
        set_d(0, 1, 2);
        set_d(1, D(2.5), 3);
        RUN(0x66, 0x0f, 0x3a, 0x0b, 0xc1, rows[i].imm); /* ROUNDSD */
        expect_d(0, D(rows[i].result), 2);
        expect_flags(rows[i].flags);
    }
}
END_TEST

START_TEST(rounding_reports_invalid_but_not_denormal_operands)
{
    set_s(1, SNAN_S, 1, 0x80000001, QNAN_S);
    RUN(0x66, 0x0f, 0x3a, 0x08, 0xc1, 0x08); /* ROUNDPS */
    expect_s(0, 0x7fe00000, 0, 0x80000000, QNAN_S);
    expect_flags(FP_IE);
}
END_TEST

/* --- approximations
 * --------------------------------------------------------------------------------------------------------- */

static uint32_t approximate(uint8_t opcode, uint32_t a)
{
    set_s(1, a, 0, 0, 0);
    RUN(0xf3, 0x0f, opcode, 0xc1);
    return cpu->simd.v[0].u32[0];
}

#define RCPSS 0x53
#define RSQRTSS 0x52

START_TEST(approximations_of_special_operands)
{
    static const struct {
        uint32_t a, rcp, rsqrt;
    } rows[] = { { 0, INFINITE_S, INFINITE_S },
                 { 0x80000000, 0xff800000, 0xff800000 },
                 { 1, INFINITE_S, INFINITE_S },
                 { 0x80400000, 0xff800000, 0xff800000 },
                 { INFINITE_S, 0, 0 },
                 { 0xff800000, 0x80000000, 0xffc00000 },
                 { SNAN_S, 0x7fe00000, 0x7fe00000 },
                 { 0xffc00001, 0xffc00001, 0xffc00001 },
                 { 0x00800000, 0x7e7ff000, 0x5efff800 },
                 { 0x7e800000, 0, 0x1ffff800 },
                 { ONE_S, 0x3f7ff000, 0x3f7ff800 },
                 { 0xbf800000, 0xbf7ff000, 0xffc00000 } };
    set_mxcsr(FP_EXCEPTIONS, 0);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_uint_eq(approximate(RCPSS, rows[i].a), rows[i].rcp);
        ck_assert_uint_eq(approximate(RSQRTSS, rows[i].a), rows[i].rsqrt);
    }
    expect_flags(0);
}
END_TEST

START_TEST(approximations_are_within_their_bound)
{
    const double low = 1 - 1.5 / 4096, high = 1 + 1.5 / 4096;
    for (uint32_t a = 0x3f000000; a < 0x40800000; a += 0x7ff) {
        double x = single_of(a), rcp = single_of(approximate(RCPSS, a));
        double rsqrt = single_of(approximate(RSQRTSS, a));
        ck_assert(rcp * x >= low && rcp * x <= high);
        ck_assert(rsqrt * rsqrt * x >= low * low && rsqrt * rsqrt * x <= high * high);
    }
}
END_TEST

START_TEST(packed_approximations_take_every_element)
{
    set_s(1, ONE_S, 0xbf800000, 0, 0x40000000);
    RUN(0x0f, 0x53, 0xc1); /* RCPPS */
    expect_s(0, 0x3f7ff000, 0xbf7ff000, INFINITE_S, 0x3efff000);
}
END_TEST

/* --- MXCSR ----------------------------------------------------------------------------------- */

/* rows: pitfalls 7.7 */
START_TEST(reserved_bits_of_mxcsr_are_gp)
{
    for (unsigned bit = 0; bit < 32; bit++) {
        uint32_t value = 1u << bit;
        rig_put(rig, DATA, value);
        cpu->simd.mxcsr = MXCSR_RESET;
        if (value & 0x2ffff) {
            RUN(0x0f, 0xae, 0x17); /* LDMXCSR [rdi] */
            ck_assert_uint_eq(cpu->simd.mxcsr, value);
        } else {
            FAULT(EXC_GP, 0x0f, 0xae, 0x17);
            ck_assert_uint_eq(cpu->simd.mxcsr, MXCSR_RESET);
        }
    }
}
END_TEST

/* rows: pitfalls 7.7 */
START_TEST(mxcsr_has_no_mm_without_misaligned_sse_mode)
{
    model.features[CPU_FEATURE_MISALIGNSSE] = false;
    rig_put(rig, DATA, MXCSR_MM);
    FAULT(EXC_GP, 0x0f, 0xae, 0x17);
    rig_put(rig, DATA, 0xffff);
    RUN(0x0f, 0xae, 0x17);
}
END_TEST

START_TEST(mxcsr_is_stored_in_four_bytes)
{
    cpu->simd.mxcsr = 0x2ffff;
    rig_put(rig, DATA, FILL);
    RUN(0x0f, 0xae, 0x1f); /* STMXCSR [rdi] */
    ck_assert_mem_eq(rig_ptr(rig, DATA), "\xff\xff\x02\0ZZZZ", 8);
    cpu->simd.mxcsr = 0x1fc0;
    RUN(0xc5, 0xf8, 0xae, 0x1f); /* VSTMXCSR [rdi] */
    cpu->simd.mxcsr = 0;
    RUN(0xc5, 0xf8, 0xae, 0x17); /* VLDMXCSR [rdi] */
    ck_assert_uint_eq(cpu->simd.mxcsr, 0x1fc0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        integers_out_of_range_are_the_indefinite,
        conversions_to_integers_round_by_mxcsr_or_truncate,
        an_unmasked_conversion_leaves_the_general_register,
        general_registers_convert_by_operand_size,
        narrowing_conversions_clear_the_upper_half,
        widening_conversions_read_the_lower_half,
        nans_are_quieted_between_formats,
        an_mmx_operand_makes_mmx_state_and_memory_in_its_place_does_not,
        conversions_to_mmx_registers_take_two_elements,
        an_unmasked_conversion_makes_mmx_state_but_no_result,
        a_page_fault_makes_no_mmx_state,
        halves_become_singles,
        singles_become_halves_by_the_immediates_rounding,
        halves_are_stored_in_half_the_sources_size,
        rounding_obeys_the_immediate,
        rounding_reports_invalid_but_not_denormal_operands,
        approximations_of_special_operands,
        approximations_are_within_their_bound,
        packed_approximations_take_every_element,
        reserved_bits_of_mxcsr_are_gp,
        mxcsr_has_no_mm_without_misaligned_sse_mode,
        mxcsr_is_stored_in_four_bytes,
    };
    Suite *suite = suite_create("conversions of floating point in vector registers");
    TCase *tcase = tcase_create("rules");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    return rig_run(suite);
}

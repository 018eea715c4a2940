/* Floating point in vector registers by rule: exceptions and MXCSR's control of them, and what lets the instructions run. */
#include "tests/insn/fp_kit.h"

/* --- exceptions ------------------------------------------------------------------------------ */

START_TEST(masked_exceptions_set_flags_and_give_a_result)
{
    set_s(0, ONE_S, ONE_S, ONE_S, 0);
    set_s(1, 0, 0x40400000, ONE_S, 0);
    RUN(0x0f, 0x5e, 0xc1); /* DIVPS: 1/0, 1/3, 1/1, 0/0 */
    expect_s(0, INFINITE_S, 0x3eaaaaab, ONE_S, 0xffc00000);
    expect_flags(FP_ZE | FP_PE | FP_IE);
}
END_TEST

START_TEST(flags_are_sticky)
{
    cpu->simd.mxcsr |= FP_OE | FP_DE;
    set_s(0, ONE_S, ONE_S, ONE_S, ONE_S);
    set_s(1, ONE_S, ONE_S, ONE_S, ONE_S);
    RUN(0x0f, 0x58, 0xc1); /* ADDPS */
    expect_flags(FP_OE | FP_DE);
}
END_TEST

/* rows: pitfalls 7.21 */
START_TEST(an_unmasked_exception_is_xf_and_changes_nothing_but_flags)
{
    set_mxcsr(FP_ZE, 0);
    set_s(0, ONE_S, ONE_S, ONE_S, ONE_S);
    set_s(1, ONE_S, ONE_S, ONE_S, 0);
    FAULT(EXC_XF, 0x0f, 0x5e, 0xc1); /* DIVPS */
    expect_s(0, ONE_S, ONE_S, ONE_S, ONE_S);
    expect_flags(FP_ZE);
    set_s(1, ONE_S, ONE_S, ONE_S, ONE_S);
    cpu->simd.mxcsr &= ~FP_EXCEPTIONS;
    RUN(0x0f, 0x5e, 0xc1);
}
END_TEST

/* rows: pitfalls 7.21 */
START_TEST(without_osxmmexcpt_an_unmasked_exception_is_ud)
{
    set_mxcsr(FP_ZE, 0);
    cpu->regs.cr4 &= ~(uint64_t)CR4_OSXMMEXCPT;
    set_s(0, ONE_S, ONE_S, ONE_S, ONE_S);
    set_s(1, ONE_S, ONE_S, ONE_S, 0);
    FAULT(EXC_UD, 0x0f, 0x5e, 0xc1);
    expect_s(0, ONE_S, ONE_S, ONE_S, ONE_S);
}
END_TEST

/* rows: pitfalls 7.21 */
START_TEST(the_exceptions_of_all_elements_are_collected)
{
    set_mxcsr(FP_IE, 0);
    set_s(0, SNAN_S, 1, ONE_S, 0);
    set_s(1, ONE_S, ONE_S, 0, 0);
    FAULT(EXC_XF, 0x0f, 0x5e, 0xc1); /* DIVPS: invalid, denormal, by zero, invalid */
    expect_flags(FP_IE | FP_DE | FP_ZE);
}
END_TEST

/* Measured on Zen 4: IE, DE and ZE are found before any element is computed. */
START_TEST(an_unmasked_exception_before_the_operation_hides_those_behind_it)
{
    static const struct {
        uint32_t unmasked, flags;
    } rows[] = { { FP_IE, FP_IE | FP_DE },
                 { FP_DE, FP_IE | FP_DE },
                 { FP_PE, FP_IE | FP_DE | FP_PE },
                 { FP_IE | FP_PE, FP_IE | FP_DE } };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        set_mxcsr(rows[i].unmasked, 0);
        set_s(0, SNAN_S, ONE_S, 1, 0);
        set_s(1, ONE_S, 0x33000000, 0, 0);
        FAULT(EXC_XF, 0x0f, 0x58, 0xc1); /* ADDPS: invalid, inexact, denormal */
        expect_flags(rows[i].flags);
    }
}
END_TEST

/* Measured on Zen 4: with UE or OE unmasked, PE is about the significand alone. */
START_TEST(unmasked_overflow_and_underflow_are_not_inexact_by_themselves)
{
    set_mxcsr(FP_OE, 0);
    set_s(0, 0x7f000000, 0, 0, 0);
    set_s(1, 0x7f000000, 0, 0, 0);
    FAULT(EXC_XF, 0x0f, 0x59, 0xc1); /* MULPS */
    expect_flags(FP_OE);
    set_mxcsr(FP_UE, 0);
    set_s(0, 0x00800001, 0, 0, 0);
    set_s(1, 0x3f000000, 0, 0, 0);
    FAULT(EXC_XF, 0x0f, 0x59, 0xc1);
    expect_flags(FP_UE);
    set_mxcsr(0, 0);
    RUN(0x0f, 0x59, 0xc1);
    expect_flags(FP_UE | FP_PE);
}
END_TEST

/* rows: pitfalls 7.18 */
START_TEST(denormal_operands_are_reported_or_zero)
{
    set_s(0, 1, ONE_S, 0x80000001, 0);
    set_s(1, ONE_S, 0, 0, 0);
    RUN(0x0f, 0x58, 0xc1); /* ADDPS */
    expect_s(0, ONE_S, ONE_S, 0x80000001, 0);
    expect_flags(FP_DE | FP_PE);
    set_mxcsr(0, MXCSR_DAZ);
    set_s(0, 1, ONE_S, 0x80000001, 0x80000001);
    set_s(1, ONE_S, 0, 0, 0x80000000);
    RUN(0x0f, 0x58, 0xc1);
    expect_s(0, ONE_S, ONE_S, 0, 0x80000000);
    expect_flags(0);
}
END_TEST

/* rows: pitfalls 7.18 */
START_TEST(tiny_results_are_flushed_with_ftz_while_underflow_is_masked)
{
    set_mxcsr(0, MXCSR_FTZ);
    set_s(0, 0x00800000, 0x80800000, 0, 0);
    set_s(1, 0x3f000000, 0x3f000000, 0, 0);
    RUN(0x0f, 0x59, 0xc1); /* MULPS */
    expect_s(0, 0, 0x80000000, 0, 0);
    expect_flags(FP_UE | FP_PE);
    set_mxcsr(FP_UE, MXCSR_FTZ);
    set_s(0, 0x00800000, 0, 0, 0);
    FAULT(EXC_XF, 0x0f, 0x59, 0xc1);
    expect_flags(FP_UE);
}
END_TEST

START_TEST(the_rounding_mode_is_mxcsrs)
{
    static const uint32_t third[] = { 0x3eaaaaab, 0x3eaaaaaa, 0x3eaaaaab, 0x3eaaaaaa };
    static const uint32_t minus_third[] = { 0xbeaaaaab, 0xbeaaaaab, 0xbeaaaaaa, 0xbeaaaaaa };
    for (uint32_t mode = 0; mode < 4; mode++) {
        set_mxcsr(0, mode << 13);
        set_s(0, ONE_S, 0xbf800000, ONE_S, ONE_S);
        set_s(1, 0x40400000, 0x40400000, ONE_S, ONE_S);
        RUN(0x0f, 0x5e, 0xc1); /* DIVPS */
        expect_s(0, third[mode], minus_third[mode], ONE_S, ONE_S);
    }
}
END_TEST

/* Measured on Zen 4: also where a result is stored. */
START_TEST(a_page_fault_comes_before_any_flag)
{
    rig_page(rig, DATA, 0);
    set_s(0, SNAN_S, SNAN_S, SNAN_S, SNAN_S);
    FAULT(EXC_PF, 0x0f, 0x58, 0x07); /* ADDPS xmm0, [rdi] */
    expect_flags(0);
    set_s(1, SNAN_S, SNAN_S, SNAN_S, SNAN_S);
    rig_expect_fault(rig, EXEC(rig, 0xc4, 0xe3, 0x79, 0x1d, 0x0f, 0x00), EXC_PF, 2); /* VCVTPS2PH */
    expect_flags(0);
    set_mxcsr(FP_IE, 0);
    rig_expect_fault(rig, EXEC(rig, 0xc4, 0xe3, 0x79, 0x1d, 0x0f, 0x00), EXC_PF, 2);
    expect_flags(0);
    cpu->r[REG_RDI] = DATA - 2; /* the second page alone faults */
    rig_expect_fault(rig, EXEC(rig, 0xc4, 0xe3, 0x79, 0x1d, 0x0f, 0x00), EXC_PF, 2);
}
END_TEST

/* --- what lets them run ----------------------------------------------------------------------------- */

/* ADDPS, CVTSI2SD, LDMXCSR; VADDPS, VCVTSI2SD, VLDMXCSR. */
static const struct encoding {
    uint8_t bytes[5], len;
} legacy[] = { { { 0x0f, 0x58, 0xc1 }, 3 },
               { { 0xf2, 0x0f, 0x2a, 0xc0 }, 4 },
               { { 0x0f, 0xae, 0x17 }, 3 } },
  vex[] = { { { 0xc5, 0xf0, 0x58, 0xc2 }, 4 },
            { { 0xc5, 0xf3, 0x2a, 0xc0 }, 4 },
            { { 0xc5, 0xf8, 0xae, 0x17 }, 4 } };

static void fault_each(const struct encoding *list, enum exception vector)
{
    cpu_update_mode(cpu);
    for (unsigned i = 0; i < 3; i++)
        rig_expect_fault(rig, rig_exec(rig, list[i].bytes, list[i].len), vector, 0);
}

static void run_each(const struct encoding *list)
{
    cpu_update_mode(cpu);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(rig_exec(rig, list[i].bytes, list[i].len), STEP_NEXT);
}

/* rows: pitfalls 7.5 */
START_TEST(legacy_forms_want_osfxsr_and_no_emulation)
{
    run_each(legacy);
    cpu->regs.cr0 |= CR0_TS;
    fault_each(legacy, EXC_NM);
    cpu->regs.cr0 |= CR0_EM;
    fault_each(legacy, EXC_UD);
    cpu->regs.cr0 &= ~(uint64_t)CR0_EM;
    cpu->regs.cr4 &= ~(uint64_t)CR4_OSFXSR;
    fault_each(legacy, EXC_UD);
}
END_TEST

/* rows: pitfalls 7.5 */
START_TEST(vex_forms_want_osxsave_and_xcr0)
{
    cpu->regs.cr4 &= ~(uint64_t)CR4_OSFXSR;
    cpu->regs.cr0 |= CR0_EM;
    run_each(vex);
    cpu->regs.cr0 |= CR0_TS;
    fault_each(vex, EXC_NM);
    cpu->simd.xcr0 = XCR0_X87 | XCR0_SSE;
    fault_each(vex, EXC_UD);
    cpu->simd.xcr0 |= XCR0_AVX;
    cpu->regs.cr4 &= ~(uint64_t)CR4_OSXSAVE;
    fault_each(vex, EXC_UD);
}
END_TEST

/* Measured on Zen 4: memory in place of an MMX register does not look at x87. */
START_TEST(a_pending_x87_exception_stops_forms_with_mmx_registers)
{
    cpu->regs.cr0 |= CR0_NE;
    cpu->x87.fsw |= FSW_ES;
    cpu_update_fp(cpu);
    FAULT(EXC_MF, 0x0f, 0x2a, 0xc1);       /* CVTPI2PS xmm0, mm1 */
    FAULT(EXC_MF, 0x66, 0x0f, 0x2d, 0x07); /* CVTPD2PI mm0, [rdi] */
    RUN(0x0f, 0x2a, 0x07);                 /* CVTPI2PS xmm0, [rdi] */
    RUN(0x66, 0x0f, 0x2a, 0x07);           /* CVTPI2PD xmm0, [rdi] */
    RUN(0x0f, 0x58, 0xc1);                 /* ADDPS */
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        masked_exceptions_set_flags_and_give_a_result,
        flags_are_sticky,
        an_unmasked_exception_is_xf_and_changes_nothing_but_flags,
        without_osxmmexcpt_an_unmasked_exception_is_ud,
        the_exceptions_of_all_elements_are_collected,
        an_unmasked_exception_before_the_operation_hides_those_behind_it,
        unmasked_overflow_and_underflow_are_not_inexact_by_themselves,
        denormal_operands_are_reported_or_zero,
        tiny_results_are_flushed_with_ftz_while_underflow_is_masked,
        the_rounding_mode_is_mxcsrs,
        a_page_fault_comes_before_any_flag,
        legacy_forms_want_osfxsr_and_no_emulation,
        vex_forms_want_osxsave_and_xcr0,
        a_pending_x87_exception_stops_forms_with_mmx_registers,
    };
    Suite *suite = suite_create("exceptions of floating point in vector registers");
    TCase *tcase = tcase_create("rules");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    return rig_run(suite);
}

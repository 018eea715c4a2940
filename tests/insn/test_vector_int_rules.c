/* Integer vector instructions: what encodings do to the rest of registers, memory operands and their faults, MMX state,
 * bit fields. Results are compared with the processor in test_vector_int.c. Runs everywhere. */
#include "tests/insn/rig.h"

static struct rig *rig;
static struct vcpu *cpu;

static void setup(void)
{
    rig = rig_new(MODE_LONG64);
    cpu = &rig->cpu;
    cpu->regs.cr4 |= CR4_OSFXSR | CR4_OSXSAVE;
    cpu->simd.xcr0 = XCR0_X87 | XCR0_SSE | XCR0_AVX;
    cpu_update_mode(cpu);
    for (unsigned i = 0; i < 16; i++)
        for (unsigned k = 0; k < 64; k++)
            cpu->simd.v[i].u8[k] = (uint8_t)(37 * i + 11 * k + 1);
}

static void teardown(void)
{
    rig_free(rig);
}

#define RUN(...) ck_assert_int_eq(EXEC(rig, __VA_ARGS__), STEP_NEXT)

/* PADDB and VPADDB register 1 with RBX's memory, and of registers. */
#define PADDB_MMX_M 0x0f, 0xfc, 0x0b
#define PADDB_M 0x66, 0x0f, 0xfc, 0x0b
#define VPADDB_XMM_M 0xc4, 0xe1, 0x69, 0xfc, 0x0b
#define VPADDB_YMM_M 0xc4, 0xe1, 0x6d, 0xfc, 0x0b

/* --- the rest of the destination ------------------------------------------------------------------ */

/* rows: pitfalls 7.15 */
START_TEST(vex_clears_what_legacy_keeps)
{
    static const struct {
        uint8_t bytes[6];
        unsigned len, kept, cleared; /* from which byte on; 64: nothing */
    } forms[] = {
        { { 0x66, 0x0f, 0xfc, 0xcb }, 4, 16, 64 },             /* PADDB XMM1, XMM3 */
        { { 0x66, 0x0f, 0x72, 0xf1, 0x03 }, 5, 16, 64 },       /* PSLLD XMM1, 3 */
        { { 0x66, 0x0f, 0x38, 0x1c, 0xcb }, 5, 16, 64 },       /* PABSB XMM1, XMM3 */
        { { 0x66, 0x0f, 0x79, 0xcb }, 4, 16, 64 },             /* EXTRQ XMM1, XMM3 */
        { { 0xc4, 0xe1, 0x69, 0xfc, 0xcb }, 5, 64, 16 },       /* VPADDB XMM1, XMM2, XMM3 */
        { { 0xc4, 0xe1, 0x6d, 0xfc, 0xcb }, 5, 64, 32 },       /* VPADDB YMM1, YMM2, YMM3 */
        { { 0xc4, 0xe1, 0x71, 0x72, 0xf3, 0x03 }, 6, 64, 16 }, /* VPSLLD XMM1, XMM3, 3 */
        { { 0xc4, 0xe1, 0x75, 0x73, 0xfb, 0x03 }, 6, 64, 32 }, /* VPSLLDQ YMM1, YMM3, 3 */
        { { 0xc4, 0xe2, 0x79, 0x41, 0xcb }, 5, 64, 16 },       /* VPHMINPOSUW XMM1, XMM3 */
        { { 0xc4, 0xe3, 0x69, 0x0f, 0xcb, 0x03 }, 6, 64, 16 }, /* VPALIGNR XMM1, XMM2, XMM3, 3 */
    };
    for (unsigned i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        static const uint8_t zero[64];
        memset(&cpu->simd.v[1], 0x5a, 64);
        union vector before = cpu->simd.v[1];
        ck_assert_int_eq(rig_exec(rig, forms[i].bytes, forms[i].len), STEP_NEXT);
        const uint8_t *now = cpu->simd.v[1].u8;
        ck_assert(memcmp(now, &before, 16) != 0);
        ck_assert_mem_eq(now + forms[i].kept, before.u8 + forms[i].kept, 64 - forms[i].kept);
        ck_assert_mem_eq(now + forms[i].cleared, zero, 64 - forms[i].cleared);
    }
}
END_TEST

/* VPTEST and VPCMPISTRI write no vector register; VPCMPISTRM clears the rest of XMM0. */
START_TEST(instructions_without_a_vector_result_clear_nothing)
{
    union vector before[4];
    memcpy(before, cpu->simd.v, sizeof(before));
    RUN(0xc4, 0xe2, 0x7d, 0x17, 0xcb);       /* VPTEST YMM1, YMM3 */
    RUN(0xc4, 0xe3, 0x79, 0x63, 0xcb, 0x00); /* VPCMPISTRI XMM1, XMM3, 0 */
    ck_assert_mem_eq(before, cpu->simd.v, sizeof(before));
    RUN(0x66, 0x0f, 0x3a, 0x62, 0xcb, 0x40); /* PCMPISTRM XMM1, XMM3, 40h */
    ck_assert_mem_eq(before[0].u8 + 16, cpu->simd.v[0].u8 + 16, 48);
    RUN(0xc4, 0xe3, 0x79, 0x62, 0xcb, 0x40); /* VPCMPISTRM */
    memset(before[0].u8 + 16, 0, 48);
    ck_assert_mem_eq(before[0].u8 + 16, cpu->simd.v[0].u8 + 16, 48);
    ck_assert_mem_eq(before + 1, cpu->simd.v + 1, 3 * sizeof(before[0]));
}
END_TEST

/* --- memory -------------------------------------------------------------------------------------------- */

/* SHA and PCMPxSTRx do not, as measured on Zen 4. */
/* rows: pitfalls 7.8, pitfalls 7.17 */
START_TEST(only_legacy_sse_wants_alignment)
{
    for (unsigned off = 0; off <= 16; off++) {
        cpu->r[REG_RBX] = RIG_SCRATCH + off;
        union vector before = cpu->simd.v[1];
        enum step step = EXEC(rig, PADDB_M);
        if (off % 16 == 0) {
            ck_assert_int_eq(step, STEP_NEXT);
        } else {
            rig_expect_fault(rig, step, EXC_GP, 0);
            ck_assert_mem_eq(&before, &cpu->simd.v[1], sizeof(before));
        }
        RUN(PADDB_MMX_M);
        RUN(VPADDB_XMM_M);
        RUN(VPADDB_YMM_M);
        RUN(0x66, 0x0f, 0x3a, 0x63, 0x0b, 0x00); /* PCMPISTRI XMM1, [RBX], 0 */
        RUN(0x66, 0x0f, 0x3a, 0x60, 0x0b, 0x00); /* PCMPESTRM XMM1, [RBX], 0 */
        RUN(0x0f, 0x38, 0xcb, 0x0b);             /* SHA256RNDS2 XMM1, [RBX] */
        RUN(0x0f, 0x3a, 0xcc, 0x0b, 0x00);       /* SHA1RNDS4 XMM1, [RBX], 0 */
        RUN(0xc4, 0xe1, 0x6d, 0xf2, 0x0b);       /* VPSLLD YMM1, YMM2, [RBX] */
        RUN(0xc4, 0xe3, 0x6d, 0x44, 0x0b, 0x11); /* VPCLMULQDQ YMM1, YMM2, [RBX], 11h */
        RUN(0xc4, 0xe2, 0x6d, 0xdc, 0x0b);       /* VAESENC YMM1, YMM2, [RBX] */
    }
}
END_TEST

/* Every legacy form with 16 bytes, also those that compute with fewer: PSLLD's count, PUNPCKLBW's half. */
START_TEST(all_legacy_sse_forms_check_alignment)
{
    static const uint8_t forms[][6] = {
        { 0x66, 0x0f, 0xf2, 0x0b },             /* PSLLD */
        { 0x66, 0x0f, 0x60, 0x0b },             /* PUNPCKLBW */
        { 0x66, 0x0f, 0x38, 0x1c, 0x0b },       /* PABSB */
        { 0x66, 0x0f, 0x38, 0x17, 0x0b },       /* PTEST */
        { 0x66, 0x0f, 0x38, 0x41, 0x0b },       /* PHMINPOSUW */
        { 0x66, 0x0f, 0x3a, 0x0f, 0x0b, 0x00 }, /* PALIGNR */
        { 0x66, 0x0f, 0x3a, 0x44, 0x0b, 0x00 }, /* PCLMULQDQ */
        { 0x66, 0x0f, 0x3a, 0xdf, 0x0b, 0x00 }, /* AESKEYGENASSIST */
        { 0x66, 0x0f, 0x38, 0xdb, 0x0b },       /* AESIMC */
        { 0x66, 0x0f, 0x38, 0xdc, 0x0b },       /* AESENC */
    };
    for (unsigned i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        unsigned len = forms[i][2] == 0x38 ? 5 : forms[i][2] == 0x3a ? 6 : 4;
        cpu->r[REG_RBX] = RIG_SCRATCH + 16;
        ck_assert_int_eq(rig_exec(rig, forms[i], len), STEP_NEXT);
        cpu->r[REG_RBX] = RIG_SCRATCH + 8;
        rig_expect_fault(rig, rig_exec(rig, forms[i], len), EXC_GP, 0);
    }
}
END_TEST

/* rows: pitfalls 7.8 */
START_TEST(misaligned_mode_leaves_it_to_alignment_checking)
{
    cpu->simd.mxcsr |= MXCSR_MM;
    cpu->r[REG_RBX] = RIG_SCRATCH + 4;
    RUN(PADDB_M);
    cpu->regs.cr0 |= CR0_AM;
    cpu_set_rflags(cpu, cpu_rflags(cpu) | FLAG_AC);
    rig_segments(cpu, true, 3);
    rig_expect_fault(rig, EXEC(rig, PADDB_M), EXC_AC, 0);
    cpu->simd.mxcsr &= ~MXCSR_MM;
    rig_expect_fault(rig, EXEC(rig, PADDB_M), EXC_GP, 0);
    cpu->r[REG_RBX] = RIG_SCRATCH + 16;
    RUN(PADDB_M);
}
END_TEST

/* #AC wants 16 bytes of a YMM operand, and the size of a smaller one. Measured on Zen 4. */
START_TEST(alignment_checks_ask_for_16_bytes_at_most)
{
    static const struct {
        uint8_t bytes[6];
        unsigned len, align;
    } forms[] = {
        { { 0x0f, 0x60, 0x0b }, 3, 4 }, /* PUNPCKLBW MM1 */
        { { PADDB_MMX_M }, 3, 8 },
        { { VPADDB_XMM_M }, 5, 16 },
        { { VPADDB_YMM_M }, 5, 16 },
        { { 0xc4, 0xe1, 0x6d, 0xf2, 0x0b }, 5, 16 },       /* VPSLLD YMM1, YMM2, [RBX] */
        { { 0x66, 0x0f, 0x3a, 0x63, 0x0b, 0x00 }, 6, 16 }, /* PCMPISTRI XMM1 */
        { { 0x0f, 0x38, 0xcb, 0x0b }, 4, 16 },             /* SHA256RNDS2 XMM1 */
    };
    cpu->regs.cr0 |= CR0_AM;
    cpu_set_rflags(cpu, cpu_rflags(cpu) | FLAG_AC);
    rig_segments(cpu, true, 3);
    for (unsigned i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
        for (unsigned off = 0; off <= 32; off++) {
            cpu->r[REG_RBX] = RIG_SCRATCH + off;
            enum step step = rig_exec(rig, forms[i].bytes, forms[i].len);
            if (off % forms[i].align == 0)
                ck_assert_int_eq(step, STEP_NEXT);
            else
                rig_expect_fault(rig, step, EXC_AC, 0);
        }
}
END_TEST

/* An operand of `size` bytes whose last byte is the first of an absent page. */
static void expect_crossing(const uint8_t *bytes, unsigned len, unsigned size)
{
    const uint64_t end = 0x171000;
    rig_page(rig, end, 0);
    cpu->r[REG_RBX] = end - size;
    ck_assert_int_eq(rig_exec(rig, bytes, len), STEP_NEXT);
    union vector before = cpu->simd.v[1];
    uint64_t mmx = cpu->x87.reg[1].mant, flags = cpu_rflags(cpu);
    cpu->r[REG_RBX] = end - size + 1;
    rig_expect_fault(rig, rig_exec(rig, bytes, len), EXC_PF, 0);
    ck_assert_uint_eq(cpu->raised.cr2, end);
    ck_assert_mem_eq(&before, &cpu->simd.v[1], sizeof(before));
    ck_assert_uint_eq(cpu->x87.reg[1].mant, mmx);
    ck_assert_uint_eq(cpu_rflags(cpu), flags);
    rig_page(rig, end, end | PTE_P | PTE_RW | PTE_US);
    ck_assert_int_eq(rig_exec(rig, bytes, len), STEP_NEXT);
}

START_TEST(operands_have_their_size_at_the_end_of_a_page)
{
    static const struct {
        uint8_t bytes[6];
        unsigned len, size;
    } forms[] = {
        { { PADDB_MMX_M }, 3, 8 },
        { { VPADDB_XMM_M }, 5, 16 },
        { { VPADDB_YMM_M }, 5, 32 },
        { { 0x0f, 0x60, 0x0b }, 3, 4 },                    /* PUNPCKLBW MM1: the low half alone */
        { { 0x0f, 0x62, 0x0b }, 3, 4 },                    /* PUNPCKLDQ MM1 */
        { { 0x0f, 0x68, 0x0b }, 3, 8 },                    /* PUNPCKHBW MM1 */
        { { 0x0f, 0xf2, 0x0b }, 3, 8 },                    /* PSLLD MM1 */
        { { 0xc4, 0xe1, 0x69, 0x60, 0x0b }, 5, 16 },       /* VPUNPCKLBW XMM1 */
        { { 0xc4, 0xe1, 0x6d, 0xf2, 0x0b }, 5, 16 },       /* VPSLLD YMM1: the count has 16 bytes */
        { { 0xc4, 0xe2, 0x6d, 0x47, 0x0b }, 5, 32 },       /* VPSLLVD YMM1 */
        { { 0xc4, 0xe2, 0x7d, 0x17, 0x0b }, 5, 32 },       /* VPTEST YMM1 */
        { { 0x66, 0x0f, 0x3a, 0x63, 0x0b, 0x00 }, 6, 16 }, /* PCMPISTRI XMM1 */
        { { 0xc4, 0xe3, 0x79, 0x60, 0x0b, 0x00 }, 6, 16 }, /* VPCMPESTRM XMM1 */
        { { 0xc4, 0xe2, 0x79, 0xdb, 0x0b }, 5, 16 },       /* VAESIMC XMM1 */
        { { 0xc4, 0xe2, 0x6d, 0xdc, 0x0b }, 5, 32 },       /* VAESENC YMM1 */
    };
    for (unsigned i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
        expect_crossing(forms[i].bytes, forms[i].len, forms[i].size);
}
END_TEST

/* --- MMX ---------------------------------------------------------------------------------------------- */

START_TEST(mmx_results_enter_mmx_state)
{
    static const uint8_t forms[][4] = {
        { 0x0f, 0xfc, 0xcb },       /* PADDB MM1, MM3 */
        { 0x0f, 0x72, 0xf1, 0x03 }, /* PSLLD MM1, 3 */
        { 0x0f, 0x60, 0xcb },       /* PUNPCKLBW */
    };
    for (unsigned i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        cpu->x87.fsw = 5u << FSW_TOP_SHIFT | 0x4500;
        cpu->x87.used = 0x10;
        for (unsigned k = 0; k < 8; k++)
            cpu->x87.reg[k] =
                (struct f80){ .mant = UINT64_C(0x8000000000000000) | k, .se = 0x3fff };
        ck_assert_int_eq(rig_exec(rig, forms[i], i == 1 ? 4 : 3), STEP_NEXT);
        ck_assert_uint_eq(cpu->x87.fsw, 0x4500);
        ck_assert_uint_eq(cpu->x87.used, 0xff);
        for (unsigned k = 0; k < 8; k++)
            ck_assert_uint_eq(cpu->x87.reg[k].se, k == 1 ? 0xffff : 0x3fff);
        ck_assert_uint_eq(cpu->x87.reg[3].mant, UINT64_C(0x8000000000000003));
    }
}
END_TEST

START_TEST(a_faulting_mmx_instruction_leaves_x87_state)
{
    cpu->x87.fsw = 5u << FSW_TOP_SHIFT;
    cpu->x87.used = 0x10;
    rig_page(rig, 0x171000, 0);
    cpu->r[REG_RBX] = 0x171000;
    rig_expect_fault(rig, EXEC(rig, PADDB_MMX_M), EXC_PF, 0);
    ck_assert_uint_eq(cpu->x87.fsw, 5u << FSW_TOP_SHIFT);
    ck_assert_uint_eq(cpu->x87.used, 0x10);
}
END_TEST

START_TEST(sse_instructions_leave_x87_state)
{
    cpu->x87.fsw = 5u << FSW_TOP_SHIFT;
    cpu->x87.used = 0x10;
    cpu->r[REG_RBX] = RIG_SCRATCH;
    RUN(PADDB_M);
    RUN(VPADDB_YMM_M);
    ck_assert_uint_eq(cpu->x87.fsw, 5u << FSW_TOP_SHIFT);
    ck_assert_uint_eq(cpu->x87.used, 0x10);
}
END_TEST

/* --- shift counts ------------------------------------------------------------------------------------------ */

/* All 64 bits of the count register count, and none above; MMX, XMM and YMM alike. */
START_TEST(counts_are_64_bits_wide)
{
    static const struct {
        uint64_t count;
        uint32_t left, arithmetic; /* of 80000001h */
    } counts[] = {
        { 0, 0x80000001, 0x80000001 },
        { 1, 2, 0xc0000000 },
        { 31, 0x80000000, UINT32_MAX },
        { 32, 0, UINT32_MAX },
        { UINT64_C(0x100000001), 0, UINT32_MAX },
        { UINT64_MAX, 0, UINT32_MAX },
    };
    for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        for (unsigned k = 0; k < 8; k++)
            cpu->simd.v[2].u32[k] = 0x80000001;
        memset(&cpu->simd.v[3], 0xff, 32);
        cpu->simd.v[3].u64[0] = counts[i].count;
        RUN(0xc4, 0xe1, 0x6d, 0xf2, 0xcb); /* VPSLLD YMM1, YMM2, XMM3 */
        RUN(0xc4, 0xe1, 0x6d, 0xe2, 0xe3); /* VPSRAD YMM4, YMM2, XMM3 */
        cpu->x87.reg[1].mant = UINT64_C(0x8000000180000001);
        cpu->x87.reg[3].mant = counts[i].count;
        RUN(0x0f, 0xf2, 0xcb); /* PSLLD MM1, MM3 */
        for (unsigned k = 0; k < 8; k++) {
            ck_assert_uint_eq(cpu->simd.v[1].u32[k], counts[i].left);
            ck_assert_uint_eq(cpu->simd.v[4].u32[k], counts[i].arithmetic);
        }
        ck_assert_uint_eq((uint32_t)cpu->x87.reg[1].mant, counts[i].left);
        ck_assert_uint_eq(cpu->x87.reg[1].mant >> 32, counts[i].left);
    }
}
END_TEST

/* --- bit fields ------------------------------------------------------------------------------------------------- */

/* rows: pitfalls 7.20 */
START_TEST(fields_are_extracted_and_inserted)
{
    const uint64_t low = UINT64_C(0x0123456789abcdef);
    cpu->simd.v[1].u64[0] = low;
    RUN(0x66, 0x0f, 0x78, 0xc1, 12, 8); /* EXTRQ XMM1, 12, 8 */
    ck_assert_uint_eq(cpu->simd.v[1].u64[0], 0xbcd);
    cpu->simd.v[1].u64[0] = low;
    RUN(0x66, 0x0f, 0x78, 0xc1, 0, 0); /* a length of 0 is 64 */
    ck_assert_uint_eq(cpu->simd.v[1].u64[0], low);
    cpu->simd.v[3].u64[0] =
        0xf0f0u << 16 | 60 << 8 | 0xc4; /* index 60, length 4; the rest is ignored */
    RUN(0x66, 0x0f, 0x79, 0xcb);        /* EXTRQ XMM1, XMM3 */
    ck_assert_uint_eq(cpu->simd.v[1].u64[0], 0);
    cpu->simd.v[1].u64[0] = low;
    cpu->simd.v[3].u64[0] = UINT64_C(0xfffffffffffffff5);
    RUN(0xf2, 0x0f, 0x78, 0xcb, 4, 60); /* INSERTQ XMM1, XMM3, 4, 60 */
    ck_assert_uint_eq(cpu->simd.v[1].u64[0], UINT64_C(0x5123456789abcdef));
    cpu->simd.v[3].u64[1] = 56 << 8 | 8; /* index 56, length 8 */
    RUN(0xf2, 0x0f, 0x79, 0xcb);         /* INSERTQ XMM1, XMM3 */
    ck_assert_uint_eq(cpu->simd.v[1].u64[0], UINT64_C(0xf523456789abcdef));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vector_int_rules");
    TCase *tcase = tcase_create("vector_int_rules");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, vex_clears_what_legacy_keeps);
    tcase_add_test(tcase, instructions_without_a_vector_result_clear_nothing);
    tcase_add_test(tcase, only_legacy_sse_wants_alignment);
    tcase_add_test(tcase, all_legacy_sse_forms_check_alignment);
    tcase_add_test(tcase, misaligned_mode_leaves_it_to_alignment_checking);
    tcase_add_test(tcase, alignment_checks_ask_for_16_bytes_at_most);
    tcase_add_test(tcase, operands_have_their_size_at_the_end_of_a_page);
    tcase_add_test(tcase, mmx_results_enter_mmx_state);
    tcase_add_test(tcase, a_faulting_mmx_instruction_leaves_x87_state);
    tcase_add_test(tcase, sse_instructions_leave_x87_state);
    tcase_add_test(tcase, counts_are_64_bits_wide);
    tcase_add_test(tcase, fields_are_extracted_and_inserted);
    suite_add_tcase(suite, tcase);
    return rig_run(suite);
}

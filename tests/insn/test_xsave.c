/* XSAVE and its kin, XGETBV, XSETBV, XSS, and what CPUID says of them. What Zen 4 does byte by byte stands in
 * test_native_xsave.c. */
#include "emu/cpu/msr.h"
#include "tests/insn/xsave_kit.h"

#define AT_BV XSTATE_HEADER
#define AT_XCOMP (XSTATE_HEADER + 8)
#define AT_AVX 576
#define AT_PKRU 2432
#define AT_PKRU_COMPACTED 832 /* with all components */
#define COMPACTED XSTATE_COMPACTED

/* --- checks --- */

#define FAMILY(X) \
    X(XSAVE64) X(XSAVEOPT64) X(XSAVEC64) X(XSAVES64) X(XRSTOR64) X(XRSTORS64) X(XSAVE) X(XRSTOR)

/* rows: pitfalls 7.9, 9.6 */
WITH_RIG(order_of_checks)
{
    struct vcpu *cpu = &rig->cpu;
    area_put(rig, AT_XCOMP, 8, COMPACTED); /* what XRSTORS wants; XRSTOR takes it */
    for (unsigned off = 1; off < 64; off++) {
        cpu->r[REG_RBX] = AREA + off;
#define UNALIGNED(...) rig_expect_fault(rig, EXEC(rig, __VA_ARGS__), EXC_GP, 0);
        FAMILY(UNALIGNED)
    }
    cpu->regs.cr0 |= CR0_TS;
#define UNAVAILABLE(...) rig_expect_fault(rig, EXEC(rig, __VA_ARGS__), EXC_NM, 0);
    FAMILY(UNAVAILABLE)
    cpu->regs.cr4 &= ~(uint64_t)CR4_OSXSAVE;
#define UNDEFINED(...) rig_expect_fault(rig, EXEC(rig, __VA_ARGS__), EXC_UD, 0);
    FAMILY(UNDEFINED)
    UNDEFINED(XGETBV)
    UNDEFINED(XSETBV)
}

/* CR0.EM does not matter, and no level but 0 may use the forms for supervisor state. */
WITH_RIG(em_and_level)
{
    rig->cpu.regs.cr0 |= CR0_EM;
    ck_assert_int_eq(EXEC(rig, XSAVE), STEP_NEXT);
    ck_assert_int_eq(EXEC(rig, XSAVES64), STEP_NEXT);
    rig_segments(&rig->cpu, true, 3);
    ck_assert_int_eq(EXEC(rig, XSAVE), STEP_NEXT);
    ck_assert_int_eq(EXEC(rig, XSAVEC64), STEP_NEXT);
    rig_expect_fault(rig, EXEC(rig, XSAVES64), EXC_GP, 0);
    rig_expect_fault(rig, EXEC(rig, XRSTORS64), EXC_GP, 0);
}

/* --- saving --- */

/* XSAVE stores everything and touches of the header what was asked for.
 * rows: pitfalls 7.11 */
WITH_RIG(xsave_changes_the_requested_bits_of_the_header)
{
    state_fill(rig);
    for (uint64_t mask = 0; mask < 0x400; mask += mask == 7 ? 0x1f9 : 1) {
        area_fill(rig, 0xee);
        area_put(rig, AT_BV, 8, 0x8000000000000304);
        area_put(rig, AT_XCOMP, 8, 0x1234);
        set_mask(rig, mask | 1ull << 40);
        ck_assert_int_eq(EXEC(rig, XSAVE64), STEP_NEXT);
        ck_assert_uint_eq(area_get(rig, AT_BV, 8),
                          (0x8000000000000304 & ~(mask & XSTATE_ALL)) | (mask & XSTATE_ALL));
        ck_assert_uint_eq(area_get(rig, AT_XCOMP, 8), 0x1234);
        ck_assert_uint_eq(area_get(rig, 0, 2), mask & 1 ? 0x27f : 0xeeee);
        ck_assert_uint_eq(area_get(rig, 24, 4), mask & 6 ? 0x3f80 : 0xeeeeeeee);
        ck_assert_uint_eq(area_get(rig, 160, 1), mask & 2 ? 1 : 0xee);
        ck_assert_uint_eq(area_get(rig, AT_AVX, 1), mask & 4 ? 33 : 0xee);
        ck_assert_uint_eq(area_get(rig, AT_PKRU, 8),
                          mask & 0x200 ? 0x11223344 : 0xeeeeeeeeeeeeeeee);
    }
}

/* XCR0 limits what is saved. */
WITH_RIG(disabled_components_are_not_saved)
{
    state_fill(rig);
    area_fill(rig, 0xee);
    rig->cpu.simd.xcr0 = XCR0_X87 | XCR0_SSE;
    set_mask(rig, UINT64_MAX);
    ck_assert_int_eq(EXEC(rig, XSAVE64), STEP_NEXT);
    ck_assert_uint_eq(area_get(rig, AT_BV, 8), 3);
    ck_assert_uint_eq(area_get(rig, AT_AVX, 8), 0xeeeeeeeeeeeeeeee);
}

/* rows: pitfalls 7.14 */
WITH_RIG(initial_components_are_not_written)
{
    set_mask(rig, XSTATE_ALL);
    area_fill(rig, 0xee);
    ck_assert_int_eq(EXEC(rig, XSAVEOPT64), STEP_NEXT);
    ck_assert_uint_eq(area_get(rig, AT_BV, 8), 0);
    ck_assert_uint_eq(area_get(rig, 0, 2), 0xeeee);
    ck_assert_uint_eq(area_get(rig, 160, 8), 0xeeeeeeeeeeeeeeee);
    ck_assert_uint_eq(area_get(rig, 24, 8),
                      0x0002ffff00001f80); /* MXCSR has no initial state here */
    area_fill(rig, 0xee);
    ck_assert_int_eq(EXEC(rig, XSAVEC64), STEP_NEXT);
    ck_assert_uint_eq(area_get(rig, AT_BV, 8), 0);
    ck_assert_uint_eq(area_get(rig, AT_XCOMP, 8), COMPACTED | XSTATE_ALL);
    ck_assert_uint_eq(area_get(rig, 24, 8), 0xeeeeeeeeeeeeeeee);
    ck_assert_uint_eq(area_get(rig, AT_AVX, 8), 0xeeeeeeeeeeeeeeee);
    area_fill(rig, 0xee); /* XSAVE writes them */
    ck_assert_int_eq(EXEC(rig, XSAVE64), STEP_NEXT);
    ck_assert_uint_eq(area_get(rig, AT_BV, 8), 0);
    ck_assert_uint_eq(area_get(rig, 0, 2), 0x37f);
    ck_assert_uint_eq(area_get(rig, AT_AVX, 8), 0);
}

/* What makes a component be in use. */
START_TEST(each_register_counts_for_its_component)
{
    struct rig *rig = xsave_rig();
    struct vcpu *cpu = &rig->cpu;
    static const uint64_t expected[] = { 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 4, 4, 0x200, 2 };
    switch (_i) {
    case 0: cpu->x87.fcw = 0x27f; break;
    case 1: cpu->x87.fsw = 0x100; break;
    case 2: cpu->x87.used = 1; break;
    case 3: cpu->x87.fop = 1; break;
    case 4: cpu->x87.fip = 1; break;
    case 5: cpu->x87.fdp = 1; break;
    case 6: cpu->x87.reg[7].mant = 1; break;
    case 7: cpu->x87.reg[0].se = 1; break;
    case 8: cpu->simd.v[0].u8[0] = 1; break;
    case 9: cpu->simd.v[15].u8[15] = 1; break;
    case 10: cpu->simd.v[0].u8[16] = 1; break;
    case 11: cpu->simd.v[15].u8[31] = 1; break;
    case 12: cpu->regs.pkru = 1; break;
    default: cpu->simd.mxcsr = 0x1f81; break; /* for XSAVEC and XGETBV */
    }
    set_mask(rig, XSTATE_ALL);
    ck_assert_int_eq(EXEC(rig, XSAVE64), STEP_NEXT);
    ck_assert_uint_eq(area_get(rig, AT_BV, 8), _i == 13 ? 0 : expected[_i]);
    ck_assert_int_eq(EXEC(rig, XSAVEOPT64), STEP_NEXT);
    ck_assert_uint_eq(area_get(rig, AT_BV, 8), _i == 13 ? 0 : expected[_i]);
    ck_assert_int_eq(EXEC(rig, XSAVEC64), STEP_NEXT);
    ck_assert_uint_eq(area_get(rig, AT_BV, 8), expected[_i]);
    cpu->r[REG_RCX] = 1;
    ck_assert_int_eq(EXEC(rig, XGETBV), STEP_NEXT);
    ck_assert_uint_eq(cpu->r[REG_RAX], expected[_i]);
    rig_free(rig);
}
END_TEST

/* Components lie close together, those in XCOMP_BV keep their place even when they are not written.
 * rows: pitfalls 7.13 */
START_TEST(compacted_layout_follows_the_mask)
{
    static const struct {
        uint64_t mask;
        unsigned avx, pkru; /* 0: not there */
    } rows[] = { { 0x207, 576, 832 }, { 0x203, 0, 576 }, { 0x205, 576, 832 }, { 0x200, 0, 576 } };
    struct rig *rig = xsave_rig();
    state_fill(rig);
    area_fill(rig, 0xee);
    set_mask(rig, rows[_i].mask);
    ck_assert_int_eq(EXEC(rig, XSAVEC64), STEP_NEXT);
    ck_assert_uint_eq(area_get(rig, AT_XCOMP, 8), COMPACTED | rows[_i].mask);
    if (rows[_i].avx)
        ck_assert_uint_eq(area_get(rig, rows[_i].avx, 1), 33);
    ck_assert_uint_eq(area_get(rig, rows[_i].pkru, 8), 0x11223344);
    ck_assert_uint_eq(area_get(rig, rows[_i].pkru + 8, 8), 0xeeeeeeeeeeeeeeee);
    for (unsigned i = 0; rows[_i].avx && i < 16; i++)
        memset(&rig->cpu.simd.v[i].u8[16], 0, 16);
    ck_assert_int_eq(EXEC(rig, XSAVES64), STEP_NEXT);
    ck_assert_uint_eq(area_get(rig, AT_BV, 8), rows[_i].mask & ~(uint64_t)XCR0_AVX);
    ck_assert_uint_eq(area_get(rig, rows[_i].pkru, 8), 0x11223344);
    rig_free(rig);
}
END_TEST

/* Outside 64-bit mode there are eight vector registers; the others are neither stored nor loaded. APM vol 2, 11.5.10. */
WITH_RIG(legacy_modes_have_eight_registers)
{
    struct vcpu *cpu = &rig->cpu;
    state_fill(rig);
    area_fill(rig, 0xee);
    rig_segments(cpu, false, 0);
    set_mask(rig, 7);
    ck_assert_int_eq(EXEC(rig, XSAVE), STEP_NEXT);
    ck_assert_uint_eq(area_get(rig, 160 + 127, 1), 255);
    ck_assert_uint_eq(area_get(rig, 160 + 128, 1), 0xee);
    ck_assert_uint_eq(area_get(rig, AT_AVX + 127, 1), 31);
    ck_assert_uint_eq(area_get(rig, AT_AVX + 128, 1), 0xee);
    area_put(rig, AT_BV, 8, 0);
    ck_assert_int_eq(EXEC(rig, XRSTOR), STEP_LEAVE);
    ck_assert_uint_eq(cpu->simd.v[7].u64[3], 0);
    ck_assert_uint_ne(cpu->simd.v[8].u64[0], 0);
    ck_assert_uint_ne(cpu->simd.v[15].u64[3], 0);
}

/* --- restoring --- */

/* rows: pitfalls 7.11 */
WITH_RIG(header_of_the_standard_form_is_checked)
{
    for (unsigned bit = 0; bit < 64; bit++) {
        area_fill(rig, 0);
        set_mask(rig, 0);
        area_put(rig, AT_BV, 8, 1ull << bit);
        if (1ull << bit & XSTATE_ALL)
            ck_assert_int_eq(EXEC(rig, XRSTOR64), STEP_LEAVE);
        else
            rig_expect_fault(rig, EXEC(rig, XRSTOR64), EXC_GP, 0);
    }
    for (unsigned byte = 8; byte < 64; byte++) {
        area_fill(rig, 0);
        area_put(rig, XSTATE_HEADER + byte, 1, 1);
        if (byte >= 24)
            ck_assert_int_eq(EXEC(rig, XRSTOR64), STEP_LEAVE);
        else
            rig_expect_fault(rig, EXEC(rig, XRSTOR64), EXC_GP, 0);
    }
    area_fill(rig, 0);
    area_put(rig, AT_BV, 8, XCR0_AVX);
    rig->cpu.simd.xcr0 = 3; /* the bit must be enabled */
    rig_expect_fault(rig, EXEC(rig, XRSTOR64), EXC_GP, 0);
}

/* rows: pitfalls 7.11 */
WITH_RIG(header_of_the_compacted_form_is_checked)
{
    set_mask(rig, 0);
    for (unsigned bit = 0; bit < 63; bit++) {
        area_fill(rig, 0);
        area_put(rig, AT_XCOMP, 8, COMPACTED | 1ull << bit);
        if (1ull << bit & XSTATE_ALL) {
            ck_assert_int_eq(EXEC(rig, XRSTOR64), STEP_LEAVE);
            ck_assert_int_eq(EXEC(rig, XRSTORS64), STEP_LEAVE);
        } else {
            rig_expect_fault(rig, EXEC(rig, XRSTOR64), EXC_GP, 0);
            rig_expect_fault(rig, EXEC(rig, XRSTORS64), EXC_GP, 0);
        }
    }
    for (unsigned byte = 16; byte < 64; byte++) {
        area_fill(rig, 0);
        area_put(rig, AT_XCOMP, 8, COMPACTED);
        area_put(rig, XSTATE_HEADER + byte, 1, 1);
        rig_expect_fault(rig, EXEC(rig, XRSTOR64), EXC_GP, 0);
        rig_expect_fault(rig, EXEC(rig, XRSTORS64), EXC_GP, 0);
    }
    area_fill(rig, 0); /* XSTATE_BV within XCOMP_BV */
    area_put(rig, AT_XCOMP, 8, COMPACTED | 3);
    area_put(rig, AT_BV, 8, 4);
    rig_expect_fault(rig, EXEC(rig, XRSTOR64), EXC_GP, 0);
    area_put(rig, AT_BV, 8, COMPACTED);
    rig_expect_fault(rig, EXEC(rig, XRSTOR64), EXC_GP, 0);
    area_put(rig, AT_BV, 8, 3);
    area_put(rig, 24, 4, MXCSR_RESET);
    ck_assert_int_eq(EXEC(rig, XRSTOR64), STEP_LEAVE);
}

WITH_RIG(xrstors_has_no_standard_form)
{
    area_fill(rig, 0);
    set_mask(rig, 0);
    rig_expect_fault(rig, EXEC(rig, XRSTORS64), EXC_GP, 0);
    ck_assert_int_eq(EXEC(rig, XRSTOR64), STEP_LEAVE);
}

WITH_RIG(xrstor_has_no_compacted_form_without_xsavec)
{
    use_model(rig, "max,-xsavec,-xsaves");
    area_fill(rig, 0);
    set_mask(rig, 0);
    area_put(rig, AT_XCOMP, 8, COMPACTED);
    rig_expect_fault(rig, EXEC(rig, XRSTOR64), EXC_GP, 0);
}

/* What is asked for and not in XSTATE_BV becomes initial; what is not asked for stays. */
START_TEST(components_are_loaded_initialized_or_kept)
{
    struct rig *rig = xsave_rig();
    struct vcpu *cpu = &rig->cpu;
    uint64_t rfbm = (unsigned)_i & 7, bv = (unsigned)_i >> 3 & 7;
    bool compacted = _i >> 6;
    state_fill(rig);
    area_fill(rig, 0);
    set_mask(rig, XSTATE_ALL);
    ck_assert_int_eq(compacted ? EXEC(rig, XSAVEC64) : EXEC(rig, XSAVE64), STEP_NEXT);
    area_put(rig, AT_BV, 8, bv);
    area_put(rig, 0, 2, 0x17f);
    area_put(rig, 160, 1, 0x77);
    area_put(rig, AT_AVX, 1, 0x88);
    set_mask(rig, rfbm);
    ck_assert_int_eq(EXEC(rig, XRSTOR64), STEP_LEAVE);
    ck_assert_uint_eq(cpu->x87.fcw, !(rfbm & 1) ? 0x27f : bv & 1 ? 0x17f : 0x37f);
    ck_assert_uint_eq(cpu->simd.v[0].u8[0], !(rfbm & 2) ? 1 : bv & 2 ? 0x77 : 0);
    ck_assert_uint_eq(cpu->simd.v[0].u8[16], !(rfbm & 4) ? 33 : bv & 4 ? 0x88 : 0);
    if ((rfbm & 1) && !(bv & 1)) {
        ck_assert_uint_eq(cpu->x87.used, 0);
        ck_assert_uint_eq(cpu->x87.fsw, 0);
        ck_assert_uint_eq(cpu->x87.reg[3].mant, 0);
    }
    ck_assert_uint_eq(cpu->regs.pkru, 0x11223344);
    rig_free(rig);
}
END_TEST

/* rows: pitfalls 7.12 */
START_TEST(mxcsr_is_loaded_initialized_or_kept)
{
    struct rig *rig = xsave_rig();
    uint64_t rfbm = (unsigned)_i & 7, bv = (unsigned)_i >> 3 & 7;
    bool compacted = _i >> 6;
    area_fill(rig, 0);
    area_put(rig, AT_BV, 8, bv);
    area_put(rig, 24, 4, 0x3f80);
    if (compacted)
        area_put(rig, AT_XCOMP, 8, COMPACTED | 7);
    rig->cpu.simd.mxcsr = 0x5f80;
    set_mask(rig, rfbm);
    ck_assert_int_eq(EXEC(rig, XRSTOR64), STEP_LEAVE);
    unsigned expected = compacted ? (!(rfbm & 2) ? 0x5f80
                                     : bv & 2    ? 0x3f80
                                                 : 0x1f80)
                                  : (rfbm & 6 ? 0x3f80 : 0x5f80);
    ck_assert_uint_eq(rig->cpu.simd.mxcsr, expected);
    area_put(rig, 24, 4, 0x40000); /* reserved: counts where MXCSR is loaded */
    if (expected == 0x3f80)
        rig_expect_fault(rig, EXEC(rig, XRSTOR64), EXC_GP, 0);
    else
        ck_assert_int_eq(EXEC(rig, XRSTOR64), STEP_LEAVE);
    rig_free(rig);
}
END_TEST

/* PKRU by XRSTOR decides about the next access; FSW.ES about the next x87 instruction. */
WITH_RIG(xrstor_has_effect_at_once)
{
    struct vcpu *cpu = &rig->cpu;
    area_fill(rig, 0);
    set_mask(rig, XSTATE_ALL);
    ck_assert_int_eq(EXEC(rig, XSAVE64), STEP_NEXT);
    area_put(rig, AT_BV, 8, XCR0_PKRU | XCR0_X87);
    area_put(rig, AT_PKRU, 8, 0xffffffff12345678);
    area_put(rig, 0, 4, 0x0001037e);
    cpu->context_stale = false;
    ck_assert_int_eq(EXEC(rig, XRSTOR64), STEP_LEAVE);
    ck_assert_uint_eq(cpu->regs.pkru, 0x12345678);
    ck_assert(cpu->context_stale);
    ck_assert(!(cpu->ready & READY_X87) && (cpu->ready & READY_CONTROL));
}

WITH_RIG(faults_of_restoring_change_nothing)
{
    struct vcpu *cpu = &rig->cpu;
    state_fill(rig);
    cpu->r[REG_RBX] = AREA + 0x1000 - 576; /* AVX in the second page */
    set_mask(rig, 7);
    ck_assert_int_eq(EXEC(rig, XSAVE64), STEP_NEXT);
    state_clear(rig);
    rig_page(rig, AREA + 0x1000, 0);
    rig_expect_fault(rig, EXEC(rig, XRSTOR64), EXC_PF, 0);
    ck_assert_uint_eq(cpu->x87.fcw, 0x37f);
    ck_assert_uint_eq(cpu->simd.mxcsr, MXCSR_RESET);
    ck_assert_uint_eq(cpu->simd.v[0].u64[0], 0);
    set_mask(rig, 3); /* nothing of the second page is needed */
    ck_assert_int_eq(EXEC(rig, XRSTOR64), STEP_LEAVE);
    ck_assert_uint_eq(cpu->simd.mxcsr, 0x3f80);
}

/* The header is read and written: a page that may only be read faults as a write. */
WITH_RIG(faults_of_saving_are_writes)
{
    state_fill(rig);
    area_fill(rig, 0xee);
    set_mask(rig, 0);
    rig_page(rig, AREA, AREA | PTE_P | PTE_US);
    rig_expect_fault(rig, EXEC(rig, XSAVE64), EXC_PF, 3);
    rig_expect_fault(rig, EXEC(rig, XSAVEC64), EXC_PF, 3);
    rig->cpu.r[REG_RBX] = AREA + 0x1000 - 576;
    rig_page(rig, AREA, AREA | PTE_P | PTE_RW | PTE_US);
    rig_page(rig, AREA + 0x1000, 0);
    memset(rig_ptr(rig, AREA + 0x1000 - 576), 0xee, 576);
    set_mask(rig, 7);
    rig_expect_fault(rig, EXEC(rig, XSAVE64), EXC_PF, 2);
    ck_assert_uint_eq(phys_read(rig->cpu.memory, AREA + 0x1000 - 576, 8), 0xeeeeeeeeeeeeeeee);
}

/* RFLAGS.AC closes the fast tables: the pages are asked for all the same, before anything is stored. */
WITH_RIG(faults_of_saving_come_first_with_alignment_checks)
{
    struct vcpu *cpu = &rig->cpu;
    state_fill(rig);
    set_mask(rig, 7);
    cpu->r[REG_RBX] = AREA + 0x1000 - 576;
    memset(rig_ptr(rig, AREA + 0x1000 - 576), 0xee, 576);
    memset(rig_ptr(rig, AREA + 0x1000 - 64), 0, 64);
    rig_page(rig, AREA + 0x1000, 0);
    cpu->regs.cpl = 3;
    cpu->regs.cr0 |= CR0_AM;
    cpu_update_mode(cpu);
    (void)mem_regime(cpu);
    cpu_set_rflags(cpu, cpu->rflags | FLAG_AC);
    rig_expect_fault(rig, EXEC(rig, XSAVE64), EXC_PF, 6);
    ck_assert_uint_eq(phys_read(cpu->memory, AREA + 0x1000 - 576, 8), 0xeeeeeeeeeeeeeeee);
}

/* --- the modified optimization --- */

static void restore_and_spoil(struct rig *rig, bool compacted)
{
    state_fill(rig);
    area_fill(rig, 0);
    set_mask(rig, XSTATE_ALL);
    ck_assert_int_eq(compacted ? EXEC(rig, XSAVES64) : EXEC(rig, XSAVE64), STEP_NEXT);
    ck_assert_int_eq(compacted ? EXEC(rig, XRSTORS64) : EXEC(rig, XRSTOR64), STEP_LEAVE);
    area_put(rig, 0, 2, 0xeeee);
    area_put(rig, 24, 4, 0xeeeeeeee);
    area_put(rig, 160, 1, 0xee);
    area_put(rig, AT_AVX, 1, 0xee);
    area_put(rig, AT_PKRU, 4, 0xeeeeeeee);
    area_put(rig, AT_PKRU_COMPACTED, 4, 0xeeeeeeee);
}

/* Which components were stored again? */
static uint64_t stored(struct rig *rig)
{
    return (area_get(rig, 0, 2) != 0xeeee ? XCR0_X87 : 0) |
           (area_get(rig, 160, 1) != 0xee ? XCR0_SSE : 0) |
           (area_get(rig, AT_AVX, 1) != 0xee ? XCR0_AVX : 0) |
           (area_get(rig, AT_PKRU, 4) != 0xeeeeeeee ||
                    area_get(rig, AT_PKRU_COMPACTED, 4) != 0xeeeeeeee
                ? XCR0_PKRU
                : 0);
}

WITH_RIG(unmodified_components_are_not_stored_again)
{
    struct vcpu *cpu = &rig->cpu;
    restore_and_spoil(rig, false);
    ck_assert_int_eq(EXEC(rig, XSAVEOPT64), STEP_NEXT);
    ck_assert_uint_eq(stored(rig), 0);
    ck_assert_uint_eq(area_get(rig, AT_BV, 8), XSTATE_ALL);
    ck_assert_uint_eq(area_get(rig, 24, 4), 0x3f80); /* always */
    ck_assert_int_eq(EXEC(rig, XSAVEOPT64), STEP_NEXT);
    ck_assert_uint_eq(stored(rig), 0); /* saving changes nothing about it */

    cpu->x87.reg[2].mant++;
    ck_assert_int_eq(EXEC(rig, XSAVEOPT64), STEP_NEXT);
    ck_assert_uint_eq(stored(rig), XCR0_X87);
    cpu->simd.v[3].u8[31]++;
    ck_assert_int_eq(EXEC(rig, XSAVEOPT64), STEP_NEXT);
    ck_assert_uint_eq(stored(rig), XCR0_X87 | XCR0_AVX);
    cpu->simd.v[15].u8[0]++;
    cpu->regs.pkru++;
    ck_assert_int_eq(EXEC(rig, XSAVEOPT64), STEP_NEXT);
    ck_assert_uint_eq(stored(rig), XSTATE_ALL);
}

/* XSAVE and XSAVEC do not know it. */
WITH_RIG(other_saves_store_everything)
{
    restore_and_spoil(rig, false);
    ck_assert_int_eq(EXEC(rig, XSAVE64), STEP_NEXT);
    ck_assert_uint_eq(stored(rig), XSTATE_ALL);
    restore_and_spoil(rig, false);
    ck_assert_int_eq(EXEC(rig, XSAVEC64), STEP_NEXT);
    ck_assert_uint_eq(stored(rig), XSTATE_ALL);
}

START_TEST(optimization_asks_for_the_same_circumstances)
{
    struct rig *rig = xsave_rig();
    struct vcpu *cpu = &rig->cpu;
    restore_and_spoil(rig, _i == 4 || _i == 5);
    switch (_i) {
    case 0: rig_segments(cpu, true, 3); break;      /* another level */
    case 1: cpu->svm->guest = true; break;          /* another world */
    case 2: rig->cpu.simd.restored.la ^= 64; break; /* another area */
    case 3:
        ck_assert_int_eq(EXEC(rig, FXSAVE64), STEP_NEXT); /* FXRSTOR */
        area_put(rig, 0, 2, 0x27f);
        ck_assert_int_eq(EXEC(rig, FXRSTOR64), STEP_NEXT);
        area_put(rig, 0, 2, 0xeeee);
        area_put(rig, 160, 1, 0xee);
        break;
    default: break; /* 4: a compacted area for XSAVEOPT, 5: another mask for XSAVES */
    }
    if (_i == 5) {
        set_mask(rig, 7);
        ck_assert_int_eq(EXEC(rig, XSAVES64), STEP_NEXT);
        ck_assert_uint_eq(stored(rig), 7);
    } else {
        ck_assert_int_eq(EXEC(rig, XSAVEOPT64), STEP_NEXT);
        ck_assert_uint_eq(stored(rig), XSTATE_ALL);
    }
    rig_free(rig);
}
END_TEST

/* Only what XRSTOR was asked for can be unmodified. */
WITH_RIG(optimization_is_for_restored_components)
{
    restore_and_spoil(rig, false);
    rig->cpu.simd.restored.mask = XCR0_X87;
    ck_assert_int_eq(EXEC(rig, XSAVEOPT64), STEP_NEXT);
    ck_assert_uint_eq(stored(rig), XSTATE_ALL & ~XCR0_X87);
}

WITH_RIG(xsaves_leaves_out_what_xrstors_loaded)
{
    restore_and_spoil(rig, true);
    ck_assert_int_eq(EXEC(rig, XSAVES64), STEP_NEXT);
    ck_assert_uint_eq(stored(rig), 0);
    ck_assert_uint_eq(area_get(rig, 24, 4), 0xeeeeeeee);
    rig->cpu.simd.mxcsr = 0x1fa0; /* a part of SSE */
    ck_assert_int_eq(EXEC(rig, XSAVES64), STEP_NEXT);
    ck_assert_uint_eq(stored(rig), XCR0_SSE);
    ck_assert_uint_eq(area_get(rig, 24, 4), 0x1fa0);
}

/* --- XCR0 and XSS --- */

/* rows: pitfalls 9.6 */
WITH_RIG(xgetbv_reads_xcr0_at_every_level)
{
    struct vcpu *cpu = &rig->cpu;
    for (unsigned cpl = 0; cpl <= 3; cpl += 3) {
        rig_segments(cpu, true, (uint8_t)cpl);
        cpu->r[REG_RAX] = cpu->r[REG_RDX] = UINT64_MAX;
        cpu->r[REG_RCX] = UINT64_C(0xffffffff00000000);
        ck_assert_int_eq(EXEC(rig, XGETBV), STEP_NEXT);
        ck_assert_uint_eq(cpu->r[REG_RAX], XSTATE_ALL);
        ck_assert_uint_eq(cpu->r[REG_RDX], 0);
        cpu->r[REG_RCX] = 2;
        rig_expect_fault(rig, EXEC(rig, XGETBV), EXC_GP, 0);
    }
    use_model(rig, "max,-xgetbv1");
    cpu->r[REG_RCX] = 1;
    rig_expect_fault(rig, EXEC(rig, XGETBV), EXC_GP, 0);
}

/* rows: events 12.9 */
START_TEST(xsetbv_takes_legal_values)
{
    static const struct {
        uint64_t value;
        bool legal;
    } rows[] = {
        { 0, false },
        { 1, true },
        { 2, false },
        { 3, true },
        { 4, false },
        { 5, false },
        { 6, false },
        { 7, true },
        { 0x201, true },
        { 0x207, true },
        { 9, false },
        { 0x11, false },
        { 0x27, false },
        { 0xe7, false },
        { 0x101, false },
        { 0x803, false },
        { 1ull << 62 | 1, false },
        { 1ull << 63 | 1, false },
    };
    struct rig *rig = xsave_rig();
    struct vcpu *cpu = &rig->cpu;
    cpu->simd.xcr0 = 1;
    cpu->r[REG_RCX] = 0;
    set_mask(rig, rows[_i].value);
    if (rows[_i].legal) {
        ck_assert_int_eq(EXEC(rig, XSETBV), STEP_LEAVE);
        ck_assert_uint_eq(cpu->simd.xcr0, rows[_i].value);
        ck_assert_int_eq((cpu->ready & READY_AVX) != 0, (rows[_i].value & 6) == 6);
    } else {
        rig_expect_fault(rig, EXEC(rig, XSETBV), EXC_GP, 0);
        ck_assert_uint_eq(cpu->simd.xcr0, 1);
    }
    rig_free(rig);
}
END_TEST

/* rows: pitfalls 9.6 */
WITH_RIG(xsetbv_is_privileged_and_has_one_register)
{
    struct vcpu *cpu = &rig->cpu;
    set_mask(rig, 3);
    cpu->r[REG_RCX] = 1;
    rig_expect_fault(rig, EXEC(rig, XSETBV), EXC_GP, 0);
    cpu->r[REG_RCX] = UINT64_C(0x100000000); /* ECX */
    ck_assert_int_eq(EXEC(rig, XSETBV), STEP_LEAVE);
    rig_segments(cpu, true, 3);
    rig_expect_fault(rig, EXEC(rig, XSETBV), EXC_GP, 0);
}

WITH_RIG(xcr0_has_the_components_of_the_model)
{
    use_model(rig, "max,-avx,-pku");
    rig->cpu.r[REG_RCX] = 0;
    set_mask(rig, 3);
    ck_assert_int_eq(EXEC(rig, XSETBV), STEP_LEAVE);
    set_mask(rig, 7);
    rig_expect_fault(rig, EXEC(rig, XSETBV), EXC_GP, 0);
    set_mask(rig, 0x203);
    rig_expect_fault(rig, EXEC(rig, XSETBV), EXC_GP, 0);
}

WITH_RIG(xss_has_the_supervisor_components_of_the_model)
{
    uint64_t value = 1;
    ck_assert_int_eq(msr_write(&rig->cpu, 0xda0, 0), STEP_NEXT);
    ck_assert_int_eq(msr_read(&rig->cpu, 0xda0, &value), STEP_NEXT);
    ck_assert_uint_eq(value, 0);
    for (unsigned bit = 0; bit < 64; bit++)
        ck_assert_int_eq(msr_write(&rig->cpu, 0xda0, 1ull << bit),
                         bit == 11 || bit == 12 ? STEP_NEXT : STEP_RAISED);
    use_model(rig, "max,-xsaves");
    ck_assert_int_eq(msr_read(&rig->cpu, 0xda0, &value), STEP_RAISED);
}

/* --- CPUID --- */

static void expect_leaf(struct rig *rig, uint32_t sub, uint32_t a, uint32_t b, uint32_t c,
                        uint32_t d)
{
    uint32_t out[4];
    xstate_leaf(&rig->cpu, sub, out);
    ck_assert_uint_eq(out[0], a);
    ck_assert_uint_eq(out[1], b);
    ck_assert_uint_eq(out[2], c);
    ck_assert_uint_eq(out[3], d);
}

WITH_RIG(cpuid_describes_the_area)
{
    struct vcpu *cpu = &rig->cpu;
    expect_leaf(rig, 0, XSTATE_ALL, 2440, 2440, 0);
    expect_leaf(rig, 1, 0xf, 840, 0x1800, 0);
    expect_leaf(rig, 2, 256, 576, 0, 0);
    expect_leaf(rig, 9, 8, 2432, 0, 0); /* as Milan and Genoa have it */
    expect_leaf(rig, 11, 16, 0, 1, 0);
    expect_leaf(rig, 12, 24, 0, 1, 0);
    for (uint32_t sub = 3; sub < 70; sub++)
        if (sub != 9 && sub != 11 && sub != 12)
            expect_leaf(rig, sub, 0, 0, 0, 0);
    cpu->simd.xcr0 = 1; /* what is enabled counts in EBX */
    expect_leaf(rig, 0, XSTATE_ALL, 576, 2440, 0);
    cpu->simd.xcr0 = 0x203;
    expect_leaf(rig, 0, XSTATE_ALL, 2440, 2440, 0);
    expect_leaf(rig, 1, 0xf, 584, 0x1800, 0);
    cpu->simd.xcr0 = 7;
    expect_leaf(rig, 0, XSTATE_ALL, 832, 2440, 0);
    use_model(rig, "max,-xsave");
    for (uint32_t sub = 0; sub < 12; sub++)
        expect_leaf(rig, sub, 0, 0, 0, 0);
}

/* The copy of an area in struct image holds every model's area. */
WITH_RIG(no_area_is_larger_than_its_copy)
{
    unsigned bytes = XSTATE_EXTENDED;
    for (unsigned n = 0; n < XSTATE_COUNT; n++) {
        bytes += xstates[n].bit < 2 ? 0 : (xstates[n].size + 63u) & ~63u;
        ck_assert_uint_le(xstates[n].offset + xstates[n].size, XSTATE_AREA_MAX);
    }
    ck_assert_uint_le(bytes, XSTATE_AREA_MAX);
    (void)rig;
}

int main(void)
{
    Suite *suite = suite_create("xsave");
    TCase *all = tcase_create("xsave");
    tcase_add_test(all, order_of_checks);
    tcase_add_test(all, em_and_level);
    tcase_add_test(all, xsave_changes_the_requested_bits_of_the_header);
    tcase_add_test(all, disabled_components_are_not_saved);
    tcase_add_test(all, initial_components_are_not_written);
    tcase_add_loop_test(all, each_register_counts_for_its_component, 0, 14);
    tcase_add_loop_test(all, compacted_layout_follows_the_mask, 0, 4);
    tcase_add_test(all, legacy_modes_have_eight_registers);
    tcase_add_test(all, header_of_the_standard_form_is_checked);
    tcase_add_test(all, header_of_the_compacted_form_is_checked);
    tcase_add_test(all, xrstors_has_no_standard_form);
    tcase_add_test(all, xrstor_has_no_compacted_form_without_xsavec);
    tcase_add_loop_test(all, components_are_loaded_initialized_or_kept, 0, 128);
    tcase_add_loop_test(all, mxcsr_is_loaded_initialized_or_kept, 0, 128);
    tcase_add_test(all, xrstor_has_effect_at_once);
    tcase_add_test(all, faults_of_restoring_change_nothing);
    tcase_add_test(all, faults_of_saving_are_writes);
    tcase_add_test(all, faults_of_saving_come_first_with_alignment_checks);
    tcase_add_test(all, unmodified_components_are_not_stored_again);
    tcase_add_test(all, other_saves_store_everything);
    tcase_add_loop_test(all, optimization_asks_for_the_same_circumstances, 0, 6);
    tcase_add_test(all, optimization_is_for_restored_components);
    tcase_add_test(all, xsaves_leaves_out_what_xrstors_loaded);
    tcase_add_test(all, xgetbv_reads_xcr0_at_every_level);
    tcase_add_loop_test(all, xsetbv_takes_legal_values, 0, 18);
    tcase_add_test(all, xsetbv_is_privileged_and_has_one_register);
    tcase_add_test(all, xcr0_has_the_components_of_the_model);
    tcase_add_test(all, xss_has_the_supervisor_components_of_the_model);
    tcase_add_test(all, cpuid_describes_the_area);
    tcase_add_test(all, no_area_is_larger_than_its_copy);
    suite_add_tcase(suite, all);
    return rig_run(suite);
}

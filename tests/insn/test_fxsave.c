/* FXSAVE and FXRSTOR. */
#include <stdio.h>

#include "tests/insn/xsave_kit.h"

/* Which bytes of the area are not `value`? As ranges "0-3 8-9". */
static const char *changed(struct rig *rig, uint8_t value, char text[200])
{
    int length = 0, start = -1;
    const uint8_t *area = rig_ptr(rig, AREA);
    text[0] = '\0';
    for (int i = 0; i <= 512; i++) {
        bool differs = i < 512 && area[i] != value;
        if (differs && start < 0)
            start = i;
        if (!differs && start >= 0) {
            length += snprintf(text + length, 200 - (size_t)length, "%s%d-%d", length ? " " : "",
                               start, i - 1);
            start = -1;
        }
    }
    return text;
}

/* rows: pitfalls 7.5 */
WITH_RIG(em_and_ts_make_it_not_available)
{
    struct vcpu *cpu = &rig->cpu;
    const uint64_t bits[] = { CR0_EM, CR0_TS, CR0_EM | CR0_TS };
    cpu->r[REG_RBX] = AREA + 1; /* comes later */
    for (unsigned i = 0; i < 3; i++) {
        cpu->regs.cr0 = (cpu->regs.cr0 & ~(uint64_t)(CR0_EM | CR0_TS)) | bits[i];
        rig_expect_fault(rig, EXEC(rig, FXSAVE), EXC_NM, 0);
        rig_expect_fault(rig, EXEC(rig, FXRSTOR), EXC_NM, 0);
    }
}

/* rows: pitfalls 7.9 */
WITH_RIG(area_is_aligned_to_16_bytes)
{
    for (unsigned off = 1; off <= 16; off++) {
        rig->cpu.r[REG_RBX] = AREA + off;
        if (off < 16) {
            rig_expect_fault(rig, EXEC(rig, FXSAVE), EXC_GP, 0);
            rig_expect_fault(rig, EXEC(rig, FXRSTOR), EXC_GP, 0);
        } else {
            ck_assert_int_eq(EXEC(rig, FXSAVE), STEP_NEXT);
            ck_assert_int_eq(EXEC(rig, FXRSTOR), STEP_NEXT);
        }
    }
}

/* The linear address counts, not the offset. */
WITH_RIG(alignment_is_that_of_the_linear_address)
{
    rig->cpu.regs.seg[SEG_FS].base = 8;
    rig->cpu.r[REG_RBX] = AREA + 8;
    ck_assert_int_eq(EXEC(rig, 0x64, FXSAVE), STEP_NEXT);
    rig->cpu.r[REG_RBX] = AREA;
    rig_expect_fault(rig, EXEC(rig, 0x64, FXSAVE), EXC_GP, 0);
}

/* rows: pitfalls 7.2, 7.7 */
WITH_RIG(image_has_its_documented_layout)
{
    state_fill(rig);
    area_fill(rig, 0xee);
    ck_assert_int_eq(EXEC(rig, FXSAVE64), STEP_NEXT);
    ck_assert_uint_eq(area_get(rig, 0, 2), 0x27f);
    ck_assert_uint_eq(area_get(rig, 2, 2), 0x2900);
    ck_assert_uint_eq(area_get(rig, 4, 2), 0xe1);
    ck_assert_uint_eq(area_get(rig, 24, 4), 0x3f80);
    ck_assert_uint_eq(area_get(rig, 28, 4), 0x2ffff);
    for (unsigned i = 0; i < 8; i++) { /* in stack order: ST(0) is R5 */
        ck_assert_uint_eq(area_get(rig, 32 + 16 * i, 8), 0x8000000000000000 + ((5 + i) & 7));
        ck_assert_uint_eq(area_get(rig, 40 + 16 * i, 8), 0x3fff + ((5 + i) & 7));
    }
    for (unsigned i = 0; i < 16; i++)
        ck_assert_mem_eq(rig_ptr(rig, AREA + 160 + 16 * i), &rig->cpu.simd.v[i], 16);
    ck_assert_uint_eq(area_get(rig, 416, 8), 0xeeeeeeeeeeeeeeee); /* for software */
}

/* Of the pointers nothing is stored without a pending exception: zeros, or on older parts nothing.
 * rows: pitfalls 7.1 */
WITH_RIG(error_pointers_are_stored_with_a_pending_exception)
{
    struct cpu_x87 *x87 = &rig->cpu.x87;
    x87->fop = 0x123;
    x87->fip = 0x00007f1122334455;
    x87->fdp = 0xffff800099887766;
    x87->fcs = 0x33;
    x87->fds = 0x2b;

    area_fill(rig, 0xee);
    ck_assert_int_eq(EXEC(rig, FXSAVE64), STEP_NEXT);
    ck_assert_uint_eq(area_get(rig, 6, 2), 0);
    ck_assert_uint_eq(area_get(rig, 8, 8), 0);
    ck_assert_uint_eq(area_get(rig, 16, 8), 0);
    use_model(rig, "max,-xsaveerptr");
    area_fill(rig, 0xee);
    ck_assert_int_eq(EXEC(rig, FXSAVE64), STEP_NEXT);
    ck_assert_uint_eq(area_get(rig, 4, 2), 0);
    ck_assert_uint_eq(area_get(rig, 6, 2), 0xeeee);
    ck_assert_uint_eq(area_get(rig, 8, 8), 0xeeeeeeeeeeeeeeee);
    ck_assert_uint_eq(area_get(rig, 16, 8), 0xeeeeeeeeeeeeeeee);

    x87->fsw = 0x8081;
    ck_assert_int_eq(EXEC(rig, FXSAVE64), STEP_NEXT);
    ck_assert_uint_eq(area_get(rig, 6, 2), 0x123);
    ck_assert_uint_eq(area_get(rig, 8, 8), 0x00007f1122334455);
    ck_assert_uint_eq(area_get(rig, 16, 8), 0xffff800099887766);
    ck_assert_int_eq(EXEC(rig, FXSAVE), STEP_NEXT); /* selector and 32-bit offset */
    ck_assert_uint_eq(area_get(rig, 8, 8), 0x3322334455);
    ck_assert_uint_eq(area_get(rig, 16, 8), 0x2b99887766);
}

/* rows: pitfalls 7.1 */
WITH_RIG(error_pointers_are_loaded_always_or_with_an_exception)
{
    struct cpu_x87 *x87 = &rig->cpu.x87;
    ck_assert_int_eq(EXEC(rig, FXSAVE64), STEP_NEXT);
    area_put(rig, 6, 2, 0xffff); /* eleven bits count */
    area_put(rig, 8, 8, 0x1234567890);
    area_put(rig, 16, 8, 0x9876543210);
    x87->fcs = x87->fds = 0x99;
    ck_assert_int_eq(EXEC(rig, FXRSTOR64), STEP_NEXT);
    ck_assert_uint_eq(x87->fop, 0x7ff);
    ck_assert_uint_eq(x87->fip, 0x1234567890);
    ck_assert_uint_eq(x87->fdp, 0x9876543210);
    ck_assert_uint_eq(x87->fcs, 0); /* the 64-bit form clears selectors */
    ck_assert_uint_eq(x87->fds, 0);
    ck_assert_int_eq(EXEC(rig, FXRSTOR), STEP_NEXT);
    ck_assert_uint_eq(x87->fip, 0x34567890);
    ck_assert_uint_eq(x87->fcs, 0x12);
    ck_assert_uint_eq(x87->fdp, 0x76543210);
    ck_assert_uint_eq(x87->fds, 0x98);

    use_model(rig, "max,-xsaveerptr");
    x87->fip = 1;
    ck_assert_int_eq(EXEC(rig, FXRSTOR64), STEP_NEXT);
    ck_assert_uint_eq(x87->fip, 1);
    area_put(rig, 0, 2, 0x37e); /* #IE unmasked */
    area_put(rig, 2, 2, 0x0001);
    ck_assert_int_eq(EXEC(rig, FXRSTOR64), STEP_NEXT);
    ck_assert_uint_eq(x87->fip, 0x1234567890);
}

/* Offsets are cut to the implemented width. */
WITH_RIG(error_pointers_are_canonical)
{
    ck_assert_int_eq(EXEC(rig, FXSAVE64), STEP_NEXT);
    area_put(rig, 8, 8, 0x1111111111111111);
    area_put(rig, 16, 8, 0x0000811111111111);
    ck_assert_int_eq(EXEC(rig, FXRSTOR64), STEP_NEXT);
    ck_assert_uint_eq(rig->cpu.x87.fip, 0xff11111111111111);
    ck_assert_uint_eq(rig->cpu.x87.fdp, 0x0000811111111111);
    use_model(rig, "max,-la57");
    ck_assert_int_eq(EXEC(rig, FXRSTOR64), STEP_NEXT);
    ck_assert_uint_eq(rig->cpu.x87.fip, 0x0000111111111111);
    ck_assert_uint_eq(rig->cpu.x87.fdp, 0xffff811111111111);
}

/* ES and B follow from the flags and masks; reserved bits of FCW are not stored. Measured on Zen 4. */
START_TEST(status_and_control_words_are_made_consistent)
{
    static const struct {
        uint16_t fcw, fsw, new_fcw, new_fsw;
    } rows[] = {
        { 0xffff, 0xffff, 0x1f7f, 0x7f7f }, { 0x0000, 0x0000, 0x0040, 0x0000 },
        { 0x037f, 0x80c0, 0x037f, 0x0040 }, { 0x037e, 0x0001, 0x037e, 0x8081 },
        { 0x037e, 0x003e, 0x037e, 0x003e }, { 0x031f, 0x0020, 0x035f, 0x80a0 },
    };
    struct rig *rig = xsave_rig();
    ck_assert_int_eq(EXEC(rig, FXSAVE64), STEP_NEXT);
    area_put(rig, 0, 2, rows[_i].fcw);
    area_put(rig, 2, 2, rows[_i].fsw);
    ck_assert_int_eq(EXEC(rig, FXRSTOR64), STEP_NEXT);
    ck_assert_uint_eq(rig->cpu.x87.fcw, rows[_i].new_fcw);
    ck_assert_uint_eq(rig->cpu.x87.fsw, rows[_i].new_fsw);
    ck_assert_int_eq(!(rig->cpu.ready & READY_X87), (rows[_i].new_fsw & FSW_ES) != 0);
    rig_free(rig);
}
END_TEST

/* rows: pitfalls 7.7 */
WITH_RIG(reserved_bits_of_mxcsr_fault_and_change_nothing)
{
    for (unsigned bit = 0; bit < 32; bit++) {
        state_fill(rig);
        ck_assert_int_eq(EXEC(rig, FXSAVE64), STEP_NEXT);
        state_clear(rig);
        area_put(rig, 24, 4, 1u << bit);
        area_put(rig, 28, 4, 0); /* the mask in memory does not matter */
        if (1u << bit & MXCSR_MASK) {
            ck_assert_int_eq(EXEC(rig, FXRSTOR64), STEP_NEXT);
            ck_assert_uint_eq(rig->cpu.simd.mxcsr, 1u << bit);
            continue;
        }
        rig_expect_fault(rig, EXEC(rig, FXRSTOR64), EXC_GP, 0);
        ck_assert_uint_eq(rig->cpu.simd.mxcsr, MXCSR_RESET);
        ck_assert_uint_eq(rig->cpu.x87.fcw, 0x37f);
        ck_assert_uint_eq(rig->cpu.simd.v[0].u64[0], 0);
    }
}

/* MXCSR_MASK says whether there is a bit MM, and a model without it faults. */
WITH_RIG(mm_comes_with_misaligned_sse_mode)
{
    state_fill(rig);
    ck_assert_int_eq(EXEC(rig, FXSAVE64), STEP_NEXT);
    ck_assert_uint_eq(area_get(rig, 28, 4), 0x2ffff);
    use_model(rig, "max,-misalignsse");
    ck_assert_int_eq(EXEC(rig, FXSAVE64), STEP_NEXT);
    ck_assert_uint_eq(area_get(rig, 28, 4), 0xffff);
    area_put(rig, 24, 4, 0xffff);
    ck_assert_int_eq(EXEC(rig, FXRSTOR64), STEP_NEXT);
    area_put(rig, 24, 4, 0x21f80);
    rig_expect_fault(rig, EXEC(rig, FXRSTOR64), EXC_GP, 0);
    area_put(rig, XSTATE_HEADER, 8, XCR0_SSE);
    area_put(rig, XSTATE_HEADER + 8, 8, 0);
    area_put(rig, XSTATE_HEADER + 16, 8, 0);
    set_mask(rig, XCR0_SSE);
    rig_expect_fault(rig, EXEC(rig, XRSTOR64), EXC_GP, 0);
    ck_assert_uint_eq(rig->cpu.simd.mxcsr, 0xffff);
}

/* What FXSAVE stores and what FXRSTOR loads, by mode.
 * rows: pitfalls 7.10 */
START_TEST(parts_depend_on_mode_osfxsr_and_ffxsr)
{
    static const struct {
        bool long64, osfxsr, ffxsr, user;
        const char *bytes;
    } rows[] = {
        { true, true, false, false, "0-415" },         { true, true, true, false, "0-159" },
        { true, true, true, true, "0-415" },           { false, true, false, false, "0-287" },
        { false, true, true, false, "0-287" },         { true, false, false, false, "0-23 32-159" },
        { false, false, false, false, "0-23 32-159" },
    };
    char text[200];
    struct rig *rig = xsave_rig();
    struct vcpu *cpu = &rig->cpu;
    state_fill(rig);
    area_fill(rig, 0xee);
    if (!rows[_i].osfxsr)
        cpu->regs.cr4 &= ~(uint64_t)CR4_OSFXSR;
    if (rows[_i].ffxsr)
        cpu->regs.efer |= EFER_FFXSR;
    rig_segments(cpu, rows[_i].long64, rows[_i].user ? 3 : 0);
    ck_assert_int_eq(EXEC(rig, FXSAVE), STEP_NEXT);
    ck_assert_str_eq(changed(rig, 0xee, text), rows[_i].bytes);

    bool xmm = strstr(rows[_i].bytes, "-287") || strstr(rows[_i].bytes, "-415");
    bool all = strstr(rows[_i].bytes, "-415") != NULL;
    state_clear(rig);
    ck_assert_int_eq(EXEC(rig, FXRSTOR), STEP_NEXT);
    ck_assert_uint_eq(cpu->x87.fcw, 0x27f);
    ck_assert_uint_eq(cpu->simd.mxcsr, rows[_i].osfxsr ? 0x3f80 : MXCSR_RESET);
    ck_assert_uint_eq(cpu->simd.v[0].u8[0], xmm ? 1 : 0);
    ck_assert_uint_eq(cpu->simd.v[7].u8[15], xmm ? 255 : 0);
    ck_assert_uint_eq(cpu->simd.v[8].u8[0], all ? 1 : 0);
    ck_assert_uint_eq(cpu->simd.v[0].u8[16], 0); /* YMM stays */
    rig_free(rig);
}
END_TEST

/* Nothing is stored when the second page faults, and nothing loaded. */
WITH_RIG(faults_come_before_effects)
{
    struct vcpu *cpu = &rig->cpu;
    state_fill(rig);
    area_fill(rig, 0xee);
    cpu->r[REG_RBX] = AREA + 0x1000 - 0xa0; /* XMM registers in the second page */
    memset(rig_ptr(rig, AREA + 0x1000 - 0xa0), 0xee, 0xa0);
    rig_page(rig, AREA + 0x1000, 0);
    rig_expect_fault(rig, EXEC(rig, FXSAVE64), EXC_PF, 2);
    ck_assert_uint_eq(cpu->raised.cr2, AREA + 0x1000);
    ck_assert_uint_eq(phys_read(cpu->memory, AREA + 0x1000 - 0xa0, 8), 0xeeeeeeeeeeeeeeee);
    rig_expect_fault(rig, EXEC(rig, FXRSTOR64), EXC_PF, 0);
    ck_assert_uint_eq(cpu->x87.fcw, 0x27f);
    ck_assert_uint_eq(cpu->simd.mxcsr, 0x3f80);
}

/* EFER.FFXSR exists with the feature. */
WITH_RIG(ffxsr_is_writable_with_its_feature)
{
    uint64_t efer = rig->cpu.regs.efer | EFER_FFXSR;
    ck_assert(control_efer_ok(&rig->cpu, efer));
    use_model(rig, "max,-fxsr-opt");
    ck_assert(!control_efer_ok(&rig->cpu, efer));
}

int main(void)
{
    Suite *suite = suite_create("fxsave");
    TCase *all = tcase_create("fxsave");
    tcase_add_test(all, em_and_ts_make_it_not_available);
    tcase_add_test(all, area_is_aligned_to_16_bytes);
    tcase_add_test(all, alignment_is_that_of_the_linear_address);
    tcase_add_test(all, image_has_its_documented_layout);
    tcase_add_test(all, error_pointers_are_stored_with_a_pending_exception);
    tcase_add_test(all, error_pointers_are_loaded_always_or_with_an_exception);
    tcase_add_test(all, error_pointers_are_canonical);
    tcase_add_loop_test(all, status_and_control_words_are_made_consistent, 0, 6);
    tcase_add_test(all, reserved_bits_of_mxcsr_fault_and_change_nothing);
    tcase_add_test(all, mm_comes_with_misaligned_sse_mode);
    tcase_add_loop_test(all, parts_depend_on_mode_osfxsr_and_ffxsr, 0, 7);
    tcase_add_test(all, faults_come_before_effects);
    tcase_add_test(all, ffxsr_is_writable_with_its_feature);
    suite_add_tcase(suite, all);
    return rig_run(suite);
}

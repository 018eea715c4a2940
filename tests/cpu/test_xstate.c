/* XCR0, XSS and PKRU as the whole processor sees them: CPUID, CR4, intercepts, RESET, worlds, the run loop. The instructions
 * themselves: tests/insn/test_xsave.c. */
#include "emu/cpu/xstate.h"
#include "tests/cpu/program.h"

#define XGETBV "\x0f\x01\xd0"
#define XSETBV "\x0f\x01\xd1"
#define XRSTOR64 "\x48\x0f\xae\x2b"   /* [RBX] */
#define XSAVE64 "\x48\x0f\xae\x23"    /* [RBX] */
#define XSAVEOPT64 "\x48\x0f\xae\x33" /* [RBX] */
#define AREA DATA_SPA

static void enable(struct kit *k)
{
    uint64_t cr4 = k->cpu->regs.cr4 | CR4_OSXSAVE | CR4_OSFXSR;
    ck_assert(control_cr4_ok(k->cpu, cr4));
    control_set_cr4(k->cpu, cr4);
}

static void set_xcr0(struct kit *k, uint64_t value)
{
    k->cpu->r[REG_RCX] = 0;
    k->cpu->r[REG_RAX] = (uint32_t)value;
    k->cpu->r[REG_RDX] = value >> 32;
}

/* --- CPUID and CR4 --- */

WITH_KIT(osxsave_follows_cr4)
{
    uint32_t out[4];
    cpu_cpuid(k->cpu, 1, 0, out);
    ck_assert_uint_eq(out[CPUID_ECX] >> 26 & 3, 1);
    enable(k);
    cpu_cpuid(k->cpu, 1, 0, out);
    ck_assert_uint_eq(out[CPUID_ECX] >> 26 & 3, 3);
}

/* The size of the area follows XCR0 at once. */
WITH_KIT(leaf_d_follows_xcr0)
{
    uint32_t out[4];
    enable(k);
    cpu_cpuid(k->cpu, 0xd, 0, out);
    ck_assert_uint_eq(out[CPUID_EBX], 576);
    ck_assert_uint_eq(out[CPUID_EAX], XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_PKRU);
    set_xcr0(k, 7);
    ck_assert_int_eq(EXEC(k, XSETBV), STEP_LEAVE);
    cpu_cpuid(k->cpu, 0xd, 0, out);
    ck_assert_uint_eq(out[CPUID_EBX], 832);
    cpu_cpuid(k->cpu, 0xd, 1, out);
    ck_assert_uint_eq(out[CPUID_EAX] & 0xf, 0xf);
    ck_assert_uint_eq(out[CPUID_EBX], 832);
}

START_TEST(control_bits_belong_to_features)
{
    static const struct {
        uint32_t bit;
        const char *without; /* NULL: no feature takes it away */
    } rows[] = {
        { CR4_OSFXSR, "max,-fxsr" }, { CR4_OSXMMEXCPT, "max,-sse" }, { CR4_OSXSAVE, "max,-xsave" },
        { CR4_PCE, NULL },           { CR4_PKE, "max,-pku" },
    };
    struct kit *k = kit_new();
    static struct cpu_model model;
    ck_assert(control_cr4_ok(k->cpu, k->cpu->regs.cr4 | rows[_i].bit));
    if (rows[_i].without) {
        ck_assert_int_eq(cpu_model_parse(rows[_i].without, &model, NULL), PACIFICA_OK);
        k->cpu->model = &model;
        ck_assert(!control_cr4_ok(k->cpu, k->cpu->regs.cr4 | rows[_i].bit));
    }
    kit_free(k);
}
END_TEST

/* --- XSETBV in a guest --- */

/* After #UD, before every #GP: the register's number, its value, the level. */
START_TEST(xsetbv_is_intercepted_before_its_gp)
{
    struct kit *k = kit_new();
    kit_guest(k);
    kit_intercept(k, INTERCEPT_XSETBV);
    set_xcr0(k, 1);
    if (_i == 0) {
        kit_raised(k, EXEC(k, XSETBV), EXC_UD, NO_CODE);
        kit_free(k);
        return;
    }
    enable(k);
    if (_i == 1)
        k->cpu->r[REG_RCX] = 5;
    if (_i == 2)
        set_xcr0(k, 0);
    if (_i == 3)
        k->cpu->regs.cpl = 3;
    kit_exited(k, EXEC(k, XSETBV), VMEXIT_XSETBV, 0, 0, CODE_SPA + 3);
    ck_assert_uint_eq(k->cpu->simd.xcr0, XCR0_X87);
    kit_free(k);
}
END_TEST

/* Neither VMRUN nor #VMEXIT touches XCR0, PKRU, MXCSR and vectors. */
WITH_KIT(worlds_share_extended_state)
{
    enable(k);
    k->cpu->simd.xcr0 = 7;
    kit_mode(k, MODE_LONG64, 0);
    enable(k);
    kit_guest(k);
    ck_assert_uint_eq(k->cpu->simd.xcr0, 7);
    set_xcr0(k, 3);
    ck_assert_int_eq(EXEC(k, XSETBV), STEP_LEAVE);
    k->cpu->regs.pkru = 0x5555;
    k->cpu->simd.mxcsr = 0x3f80;
    k->cpu->simd.v[9].u64[3] = 99;
    ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_HLT, 0, 0), STEP_VMEXIT);
    ck_assert_uint_eq(k->cpu->simd.xcr0, 3);
    ck_assert_uint_eq(k->cpu->regs.pkru, 0x5555);
    ck_assert_uint_eq(k->cpu->simd.mxcsr, 0x3f80);
    ck_assert_uint_eq(k->cpu->simd.v[9].u64[3], 99);
}

/* --- RESET --- */

/* rows: pitfalls 7.3 */
WITH_KIT(reset_values)
{
    struct vcpu *cpu = k->cpu;
    cpu->simd.xcr0 = 7;
    cpu->simd.mxcsr = 0x3f80;
    cpu->simd.v[3].u64[1] = 5;
    cpu->simd.restored.valid = true;
    cpu->regs.pkru = 3;
    vcpu_reset(cpu);
    ck_assert_uint_eq(cpu->simd.xcr0, XCR0_X87);
    ck_assert_uint_eq(cpu->simd.mxcsr, MXCSR_RESET);
    ck_assert_uint_eq(cpu->simd.v[3].u64[1], 0);
    ck_assert(!cpu->simd.restored.valid);
    ck_assert_uint_eq(cpu->regs.pkru, 0);
    ck_assert_uint_eq(cpu->msr.xss, 0);
    ck_assert_uint_eq(cpu->x87.fcw, 0x40);
    ck_assert_uint_eq(cpu->x87.used, 0xff); /* FTW 5555h: +0.0 everywhere */
    ck_assert_uint_eq(cpu->x87.reg[0].mant | cpu->x87.reg[0].se, 0);
}

/* --- in the run loop --- */

/* XRSTOR takes the right to write away with PKRU: the store behind it, in the same block, faults. */
WITH_KIT(pkru_counts_for_the_next_instruction)
{
    PROGRAM(k, "\x89\x06" XRSTOR64 "\x89\x06"); /* MOV [RSI], EAX; XRSTOR; MOV [RSI], EAX */
    enable(k);
    ck_assert(control_cr4_ok(k->cpu, k->cpu->regs.cr4 | CR4_PKE));
    control_set_cr4(k->cpu, k->cpu->regs.cr4 | CR4_PKE);
    k->cpu->simd.xcr0 = XCR0_X87 | XCR0_PKRU;
    kit_page(k, 1, (PAGED_LA + 0x1000) | 7 | UINT64_C(2) << 59); /* a user page with key 2 */
    k->cpu->r[REG_RBX] = AREA;
    k->cpu->r[REG_RSI] = PAGED_LA + 0x1000;
    k->cpu->r[REG_RAX] = XCR0_PKRU;
    k->cpu->r[REG_RDX] = 0;
    memset(memory_ptr(k->memory, AREA, 4096), 0, 4096);
    kit_put(k, AREA + XSTATE_HEADER, 8, XCR0_PKRU);
    kit_put(k, AREA + xstates[XSTATE_PKRU].offset, 8, 2u << 4); /* key 2: no writes */
    program_run(k, 10);
    ck_assert_uint_eq(k->deliveries, 1);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_PF);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP] + 8, 8), CODE_SPA + 6);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP], 8), 0x23); /* present, write, key */
}

/* XSETBV takes AVX away: VZEROUPPER behind it is undefined. */
WITH_KIT(xcr0_counts_for_the_next_instruction)
{
    PROGRAM(k, "\xc5\xf8\x77" XSETBV "\xc5\xf8\x77");
    enable(k);
    k->cpu->simd.xcr0 = 7;
    cpu_update_fp(k->cpu);
    set_xcr0(k, 3);
    program_run(k, 10);
    ck_assert_uint_eq(k->deliveries, 1);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_UD);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP], 8), CODE_SPA + 6);
}

/* What an XRSTOR of the host left behind does not count in a guest. */
WITH_KIT(modified_optimization_ends_at_world_switches)
{
    struct vcpu *cpu = k->cpu;
    enable(k);
    cpu->simd.xcr0 = 3;
    memset(memory_ptr(k->memory, AREA, 4096), 0, 4096);
    cpu->simd.v[0].u64[0] = 7;
    cpu->r[REG_RBX] = AREA;
    cpu->r[REG_RAX] = 3;
    cpu->r[REG_RDX] = 0;
    ck_assert_int_eq(EXEC(k, XSAVE64), STEP_NEXT);
    ck_assert_int_eq(EXEC(k, XRSTOR64), STEP_LEAVE);
    for (unsigned world = 0; world < 2; world++) {
        kit_put(k, AREA + 160, 8, 0xee);
        if (world == 1) {
            kit_mode(k, MODE_LONG64, 0);
            enable(k);
            kit_guest(k);
        }
        cpu->r[REG_RBX] = AREA;
        cpu->r[REG_RAX] = 3;
        cpu->r[REG_RDX] = 0;
        ck_assert_int_eq(EXEC(k, XSAVEOPT64), STEP_NEXT);
        ck_assert_uint_eq(kit_get(k, AREA + 160, 8), world ? 7 : 0xee);
    }
}

/* --- what is not there --- */

/* The banks of scalable machine check architecture without its CPUID bit, IBS, the LBR stack. */
WITH_KIT(registers_of_absent_features_are_gp)
{
    static const uint32_t numbers[] = { 0xc0002000, 0xc0002001, 0xc00020ff, 0xc0011030, 0xc001103d,
                                        0xc0010300, 0xc000010e, 0xc000010f, 0xc0000304 };
    for (unsigned i = 0; i < TABLE_ROWS(numbers); i++) {
        uint64_t value;
        kit_raised(k, msr_read(k->cpu, numbers[i], &value), EXC_GP, 0);
        kit_raised(k, msr_write(k->cpu, numbers[i], 0), EXC_GP, 0);
    }
}

int main(void)
{
    Suite *suite = suite_create("xstate");
    TCase *all = tcase_create("all");
    tcase_add_test(all, osxsave_follows_cr4);
    tcase_add_test(all, leaf_d_follows_xcr0);
    tcase_add_loop_test(all, control_bits_belong_to_features, 0, 5);
    tcase_add_loop_test(all, xsetbv_is_intercepted_before_its_gp, 0, 4);
    tcase_add_test(all, worlds_share_extended_state);
    tcase_add_test(all, reset_values);
    tcase_add_test(all, pkru_counts_for_the_next_instruction);
    tcase_add_test(all, xcr0_counts_for_the_next_instruction);
    tcase_add_test(all, modified_optimization_ends_at_world_switches);
    tcase_add_test(all, registers_of_absent_features_are_gp);
    suite_add_tcase(suite, all);
    return kit_run(suite);
}

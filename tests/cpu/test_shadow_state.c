/* Where the registers of shadow stacks are kept beside VMCBs: XSAVES areas, the SMM save area, CPUID; and what INIT, RESET and
 * RSM make of them. APM vol 2, 18.13 "XSAVE/XRSTOR", table 10-1, 14.1.3 "Processor Initialization State". */
#include "tests/check_main.h"
#include "tests/cpu/shadow_kit.h"
#include "tests/cpu/smm_kit.h"

#include "emu/cpu/init.h"
#include "emu/cpu/xstate.h"

#define XSAVES_RBX "\x0f\xc7\x2b"
#define XRSTORS_RBX "\x0f\xc7\x1b"
#define XSAVEC_RBX "\x0f\xc7\x23"
#define XSS 0xda0
#define CET (XSS_CET_U | XSS_CET_S)
#define BV (DATA_SPA + XSTATE_HEADER)
#define XCOMP (BV + 8)

static void xsave_on(struct kit *k, uint64_t xss)
{
    k->cpu->regs.cr4 |= CR4_OSXSAVE;
    k->cpu->simd.xcr0 = XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_PKRU;
    ck_assert_int_eq(msr_write(k->cpu, XSS, xss), STEP_NEXT);
    k->cpu->r[REG_RBX] = DATA_SPA;
    k->cpu->r[REG_RAX] = UINT32_MAX;
    k->cpu->r[REG_RDX] = 0;
}

static void fill(struct kit *k)
{
    k->cpu->shadow = (struct shadow_stacks){ .ssp = SSP,
                                             .u_cet = 3,
                                             .s_cet = 1,
                                             .pl_ssp = { 0x1000, 0x2000, 0x3000, 0x4000 },
                                             .isst = 0x5000 };
}

/* --- CPUID --- */

WITH_SHADOW(cpuid_tells_the_components)
{
    uint32_t out[4];
    xsave_on(k, 0);
    cpu_cpuid(k->cpu, 7, 0, out);
    ck_assert_uint_eq(out[CPUID_ECX] >> 7 & 1, 1);
    cpu_cpuid(k->cpu, 0xd, 11, out);
    ck_assert_uint_eq(out[CPUID_EAX], 16);
    ck_assert_uint_eq(out[CPUID_EBX], 0);
    ck_assert_uint_eq(out[CPUID_ECX], 1);
    ck_assert_uint_eq(out[CPUID_EDX], 0);
    cpu_cpuid(k->cpu, 0xd, 12, out);
    ck_assert_uint_eq(out[CPUID_EAX], 24);
    ck_assert_uint_eq(out[CPUID_ECX], 1);
    cpu_cpuid(k->cpu, 0xd, 1, out);
    ck_assert_uint_eq(out[CPUID_ECX], CET);
    ck_assert_uint_eq(out[CPUID_EBX], 840); /* XCR0's alone */
    cpu_cpuid(k->cpu, 0xd, 0, out);
    ck_assert_uint_eq(out[CPUID_ECX], 2440); /* the standard form has none of them */
    xsave_on(k, XSS_CET_S);
    cpu_cpuid(k->cpu, 0xd, 1, out);
    ck_assert_uint_eq(out[CPUID_EBX], 864);
    xsave_on(k, CET);
    cpu_cpuid(k->cpu, 0xd, 1, out);
    ck_assert_uint_eq(out[CPUID_EBX], 880);
}

WITH_SHADOW(xss_has_two_bits)
{
    for (unsigned bit = 0; bit < 64; bit++) {
        enum step step = msr_write(k->cpu, XSS, 1ull << bit);
        if (bit == 11 || bit == 12)
            ck_assert_int_eq(step, STEP_NEXT);
        else
            kit_raised(k, step, EXC_GP, 0);
    }
}

WITH_SHADOW(components_need_the_feature)
{
    struct cpu_model model = *k->cpu->model;
    uint32_t out[4];
    model.features[CPU_FEATURE_CET_SS] = false;
    k->cpu->model = &model;
    for (uint32_t sub = 11; sub <= 12; sub++) {
        cpu_cpuid(k->cpu, 0xd, sub, out);
        ck_assert_uint_eq(out[CPUID_EAX] | out[CPUID_EBX] | out[CPUID_ECX] | out[CPUID_EDX], 0);
    }
    kit_raised(k, msr_write(k->cpu, XSS, XSS_CET_U), EXC_GP, 0);
    kit_raised(k, msr_write(k->cpu, XSS, XSS_CET_S), EXC_GP, 0);
}

/* --- XSAVES, XRSTORS --- */

WITH_SHADOW(xsaves_keeps_and_xrstors_brings_back)
{
    static const uint64_t masks[] = { XSS_CET_U, XSS_CET_S, CET };
    for (unsigned i = 0; i < 3; i++) {
        bool user = masks[i] & XSS_CET_U, supervisor = masks[i] & XSS_CET_S;
        unsigned at_s = user ? 592 : 576;
        xsave_on(k, CET);
        k->cpu->r[REG_RAX] = (uint32_t)masks[i];
        fill(k);
        const struct shadow_stacks full = k->cpu->shadow;
        ck_assert_int_eq(EXEC(k, XSAVES_RBX), STEP_NEXT);
        ck_assert_uint_eq(kit_get(k, BV, 8), masks[i]);
        ck_assert_uint_eq(kit_get(k, XCOMP, 8), masks[i] | XSTATE_COMPACTED);
        if (user) {
            ck_assert_uint_eq(kit_get(k, DATA_SPA + 576, 8), 3);
            ck_assert_uint_eq(kit_get(k, DATA_SPA + 584, 8), 0x4000);
        }
        for (unsigned n = 0; n < 3 && supervisor; n++)
            ck_assert_uint_eq(kit_get(k, DATA_SPA + at_s + 8 * n, 8), 0x1000 * (n + 1));
        memset(&k->cpu->shadow, 0, sizeof(k->cpu->shadow));
        ck_assert_int_eq(EXEC(k, XRSTORS_RBX), STEP_LEAVE);
        ck_assert_uint_eq(k->cpu->shadow.u_cet, user ? full.u_cet : 0);
        ck_assert_uint_eq(k->cpu->shadow.pl_ssp[3], user ? full.pl_ssp[3] : 0);
        for (unsigned n = 0; n < 3; n++)
            ck_assert_uint_eq(k->cpu->shadow.pl_ssp[n], supervisor ? full.pl_ssp[n] : 0);
        ck_assert_uint_eq(k->cpu->shadow.ssp | k->cpu->shadow.s_cet | k->cpu->shadow.isst, 0);
    }
}

/* XSAVEC and XCR0 know nothing of them, and what is initial is not written. */
WITH_SHADOW(only_supervisor_forms_and_only_what_is_in_use)
{
    xsave_on(k, CET);
    fill(k);
    ck_assert_int_eq(EXEC(k, XSAVEC_RBX), STEP_NEXT);
    ck_assert_uint_eq(kit_get(k, XCOMP, 8) & CET, 0);
    k->cpu->shadow.u_cet = k->cpu->shadow.pl_ssp[3] = 0;
    ck_assert_int_eq(EXEC(k, XSAVES_RBX), STEP_NEXT);
    ck_assert_uint_eq(kit_get(k, BV, 8) & CET, XSS_CET_S);
    k->cpu->shadow.pl_ssp[3] = 8;
    memset(k->cpu->shadow.pl_ssp, 0, 24);
    ck_assert_int_eq(EXEC(k, XSAVES_RBX), STEP_NEXT);
    ck_assert_uint_eq(kit_get(k, BV, 8) & CET, XSS_CET_U);
    kit_put(k, BV, 8, 0); /* all of them initial */
    fill(k);
    ck_assert_int_eq(EXEC(k, XRSTORS_RBX), STEP_LEAVE);
    ck_assert_uint_eq(k->cpu->shadow.u_cet | k->cpu->shadow.pl_ssp[0] | k->cpu->shadow.pl_ssp[1] |
                          k->cpu->shadow.pl_ssp[2] | k->cpu->shadow.pl_ssp[3],
                      0);
    ck_assert_uint_eq(k->cpu->shadow.s_cet, 1);
}

/* As WRMSR does: reserved bits, canonical form, alignment; and nothing is loaded then. */
WITH_SHADOW(xrstors_checks_what_it_loads)
{
    for (unsigned word = 0; word < 5; word++) {
        const uint64_t bad[] = { word == 0 ? 4 : NONCANON, word == 0 ? 1ull << 63 : 2 };
        for (unsigned i = 0; i < 2; i++) {
            xsave_on(k, CET);
            k->cpu->r[REG_RAX] = CET | XCR0_PKRU;
            fill(k);
            k->cpu->regs.pkru = 0x55;
            ck_assert_int_eq(EXEC(k, XSAVES_RBX), STEP_NEXT);
            k->cpu->regs.pkru = 0x66;
            kit_put(k, DATA_SPA + 584 + 8 * word, 8, bad[i]); /* PKRU stands before them */
            kit_raised(k, EXEC(k, XRSTORS_RBX), EXC_GP, 0);
            ck_assert_uint_eq(k->cpu->regs.pkru, 0x66);
            ck_assert_uint_eq(k->cpu->shadow.u_cet, 3);
        }
    }
}

/* U_CET of the level that runs on: near calls of level 3 follow. */
WITH_SHADOW(xrstors_switches_shadow_stacks_of_users_on)
{
    xsave_on(k, CET);
    fill(k);
    ck_assert_int_eq(EXEC(k, XSAVES_RBX), STEP_NEXT);
    k->cpu->shadow.u_cet = 0;
    ck_assert(!shadow_stack_on(k->cpu, 3));
    k->cpu->context_stale = false;
    ck_assert_int_eq(EXEC(k, XRSTORS_RBX), STEP_LEAVE);
    ck_assert(k->cpu->context_stale);
    ck_assert(shadow_stack_on(k->cpu, 3));
}

/* --- SMM --- */

WITH_SHADOW(smm_keeps_ssp)
{
    fill(k);
    const struct shadow_stacks before = k->cpu->shadow;
    smi(k);
    ck_assert_uint_eq(field(k, 0xff18, 8), SSP);
    ck_assert(!shadow_stack_on(k->cpu, 0));
    set_field(k, 0xff18, 8, SSP - 8);
    rsm(k);
    ck_assert(shadow_stack_on(k->cpu, 0));
    ck_assert_uint_eq(k->cpu->shadow.ssp, SSP - 8);
    k->cpu->shadow.ssp = before.ssp;
    ck_assert_mem_eq(&k->cpu->shadow, &before, sizeof(before));
    smi(k);
    set_field(k, 0xff18, 8,
              1ull << 56 | 0x1000); /* is sign-extended from the linear address width */
    rsm(k);
    ck_assert_uint_eq(k->cpu->shadow.ssp, 0xff00000000001000);
}

WITH_SHADOW(smm_has_no_ssp_without_the_feature)
{
    struct cpu_model model = *k->cpu->model;
    k->cpu->regs.cr4 &= ~(uint64_t)CR4_CET;
    model.features[CPU_FEATURE_CET_SS] = false;
    k->cpu->model = &model;
    k->cpu->shadow = (struct shadow_stacks){ 0 };
    smi(k);
    set_field(k, 0xff18, 8, SSP);
    rsm(k);
    ck_assert_uint_eq(k->cpu->shadow.ssp, 0);
}

/* --- INIT and RESET --- */

WITH_SHADOW(init_keeps_the_msrs)
{
    fill(k);
    struct shadow_stacks expected = k->cpu->shadow;
    init_processor(k->cpu);
    expected.ssp = 0;
    ck_assert_mem_eq(&k->cpu->shadow, &expected, sizeof(expected));
    ck_assert_uint_eq(k->cpu->regs.cr4, 0);
}

WITH_SHADOW(reset_clears_all)
{
    static const struct shadow_stacks none;
    fill(k);
    vcpu_reset(k->cpu);
    ck_assert_mem_eq(&k->cpu->shadow, &none, sizeof(none));
}

CHECK_MAIN("cpu/shadow_state", cpuid_tells_the_components, xss_has_two_bits,
           components_need_the_feature, xsaves_keeps_and_xrstors_brings_back,
           only_supervisor_forms_and_only_what_is_in_use, xrstors_checks_what_it_loads,
           xrstors_switches_shadow_stacks_of_users_on, smm_keeps_ssp,
           smm_has_no_ssp_without_the_feature, init_keeps_the_msrs, reset_clears_all)

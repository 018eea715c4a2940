/* Privileged instructions: privilege, intercept, effect, in the order of APM vol 2, 15.9 "Instruction Intercepts". */
#include "tests/cpu/kit.h"

/* --- one row an instruction --- */

enum check { ANY_CPL, CPL0_GP, CPL0_UD };

static const struct {
    const char *name;
    const char *bytes;
    uint8_t len;
    enum check check; /* what wins over the intercept outside level 0 */
    unsigned intercept;
    uint64_t code, info1;
} rows[] = {
    { "HLT", "\xf4", 1, CPL0_GP, INTERCEPT_HLT, VMEXIT_HLT, 0 },
    { "CPUID", "\x0f\xa2", 2, ANY_CPL, INTERCEPT_CPUID, VMEXIT_CPUID, 0 },
    { "RSM", "\x0f\xaa", 2, ANY_CPL, INTERCEPT_RSM, VMEXIT_RSM, 0 },
    { "RDTSC", "\x0f\x31", 2, ANY_CPL, INTERCEPT_RDTSC, VMEXIT_RDTSC, 0 },
    { "RDTSCP", "\x0f\x01\xf9", 3, ANY_CPL, INTERCEPT_RDTSCP, VMEXIT_RDTSCP, 0 },
    { "RDPMC", "\x0f\x33", 2, CPL0_GP, INTERCEPT_RDPMC, VMEXIT_RDPMC, 0 },
    { "INVD", "\x0f\x08", 2, CPL0_GP, INTERCEPT_INVD, VMEXIT_INVD, 0 },
    { "WBINVD", "\x0f\x09", 2, CPL0_GP, INTERCEPT_WBINVD, VMEXIT_WBINVD, 0 },
    { "WBNOINVD", "\xf3\x0f\x09", 3, CPL0_GP, INTERCEPT_WBINVD, VMEXIT_WBINVD, 0 },
    { "INVLPG", "\x0f\x01\x3b", 3, CPL0_GP, INTERCEPT_INVLPG, VMEXIT_INVLPG, NONCANON },
    { "INVLPGA", "\x0f\x01\xdf", 3, CPL0_GP, INTERCEPT_INVLPGA, VMEXIT_INVLPGA, 0 },
    { "INVPCID", "\x66\x0f\x38\x82\x03", 5, CPL0_GP, INTERCEPT_INVPCID, VMEXIT_INVPCID, 0 },
    { "CLTS", "\x0f\x06", 2, CPL0_GP, INTERCEPT_CR0_WRITE, VMEXIT_CR0_WRITE, 0 },
    { "LGDT", "\x0f\x01\x13", 3, CPL0_GP, INTERCEPT_GDTR_WRITE, VMEXIT_GDTR_WRITE, 0 },
    { "LIDT", "\x0f\x01\x1b", 3, CPL0_GP, INTERCEPT_IDTR_WRITE, VMEXIT_IDTR_WRITE, 0 },
    { "SGDT", "\x0f\x01\x03", 3, ANY_CPL, INTERCEPT_GDTR_READ, VMEXIT_GDTR_READ, 0 },
    { "SIDT", "\x0f\x01\x0b", 3, ANY_CPL, INTERCEPT_IDTR_READ, VMEXIT_IDTR_READ, 0 },
    { "LLDT", "\x0f\x00\x13", 3, CPL0_GP, INTERCEPT_LDTR_WRITE, VMEXIT_LDTR_WRITE, 0 },
    { "LTR", "\x0f\x00\x1b", 3, CPL0_GP, INTERCEPT_TR_WRITE, VMEXIT_TR_WRITE, 0 },
    { "SLDT", "\x0f\x00\x03", 3, ANY_CPL, INTERCEPT_LDTR_READ, VMEXIT_LDTR_READ, 0 },
    { "STR", "\x0f\x00\x0b", 3, ANY_CPL, INTERCEPT_TR_READ, VMEXIT_TR_READ, 0 },
    { "VMRUN", "\x0f\x01\xd8", 3, CPL0_GP, INTERCEPT_VMRUN, VMEXIT_VMRUN, 0 },
    { "VMMCALL", "\x0f\x01\xd9", 3, ANY_CPL, INTERCEPT_VMMCALL, VMEXIT_VMMCALL, 0 },
    { "VMLOAD", "\x0f\x01\xda", 3, CPL0_GP, INTERCEPT_VMLOAD, VMEXIT_VMLOAD, 0 },
    { "VMSAVE", "\x0f\x01\xdb", 3, CPL0_GP, INTERCEPT_VMSAVE, VMEXIT_VMSAVE, 0 },
    { "STGI", "\x0f\x01\xdc", 3, CPL0_GP, INTERCEPT_STGI, VMEXIT_STGI, 0 },
    { "CLGI", "\x0f\x01\xdd", 3, CPL0_GP, INTERCEPT_CLGI, VMEXIT_CLGI, 0 },
    { "SKINIT", "\x0f\x01\xde", 3, CPL0_GP, INTERCEPT_SKINIT, VMEXIT_SKINIT, 0 },
};
#define ROWS ((int)(sizeof(rows) / sizeof(rows[0])))

/* RBX points nowhere: memory operands come after the intercept. RCX = 0 is a counter and an ASID that exist. */
static void prepare(struct kit *k, unsigned cpl)
{
    kit_mode(k, MODE_LONG64, cpl);
    k->cpu->r[REG_RBX] = NONCANON;
    k->cpu->r[REG_RAX] = VMCB_SPA;
    k->cpu->r[REG_RCX] = 0;
    kit_guest(k);
}

/* rows: svmop 1.10, 1.14, exit 1.2.7-1.2.10, 1.2.17, 1.2.20-1.2.21, 1.3.1-1.3.8, 1.3.10, 1.3.20,
 * 2.3 */
START_TEST(intercept_at_level_0)
{
    struct kit *k = kit_new();
    prepare(k, 0);
    kit_intercept(k, rows[_i].intercept);
    uint64_t before[16];
    memcpy(before, k->cpu->r, sizeof(before));
    enum step step = kit_exec(k, rows[_i].bytes, rows[_i].len);
    kit_exited(k, step, rows[_i].code, rows[_i].info1, 0, CODE_SPA + rows[_i].len);
    before[REG_RAX] = k->cpu->r[REG_RAX]; /* the host's, like RSP */
    before[REG_RSP] = k->cpu->r[REG_RSP];
    ck_assert_mem_eq(before, k->cpu->r, sizeof(before));
    kit_free(k);
}
END_TEST

/* rows: pitfalls 5.11, svmop 1.12, exit 2.12-2.13, 2.22-2.25 */
START_TEST(intercept_at_level_3)
{
    struct kit *k = kit_new();
    prepare(k, 3);
    kit_intercept(k, rows[_i].intercept);
    enum step step = kit_exec(k, rows[_i].bytes, rows[_i].len);
    if (rows[_i].check == ANY_CPL)
        kit_exited(k, step, rows[_i].code, rows[_i].info1, 0, CODE_SPA + rows[_i].len);
    else
        kit_raised(k, step, EXC_GP, 0);
    kit_free(k);
}
END_TEST

START_TEST(svm_instructions_need_svme_and_protected_mode)
{
    struct kit *k = kit_new();
    struct cpu_model model; /* otherwise STGI and SKINIT do without EFER.SVME: test_skinit.c */
    ck_assert_int_eq(cpu_model_parse("max,-skinit,-svm-lock", &model, NULL), PACIFICA_OK);
    if (rows[_i].intercept >= INTERCEPT_VMRUN && rows[_i].intercept <= INTERCEPT_SKINIT) {
        prepare(k, 3); /* #UD wins over privilege and intercept */
        k->cpu->model = &model;
        kit_intercept(k, rows[_i].intercept);
        k->cpu->regs.efer &= ~(uint64_t)EFER_SVME;
        unsigned errors = k->errors;
        kit_raised(k, kit_exec(k, rows[_i].bytes, rows[_i].len), EXC_UD, NO_CODE);
        bool told =
            rows[_i].intercept != INTERCEPT_VMMCALL; /* which has a use without SVM: asking */
        ck_assert_uint_eq(k->errors, errors + told);
    }
    kit_free(k);
}
END_TEST

/* --- operands against the intercept --- */

/* rows: svmop 1.13, 3.1 */
WITH_KIT(vmcb_address_is_checked_before_the_intercept)
{
    static const char *const bytes[] = { "\x0f\x01\xd8", "\x0f\x01\xda", "\x0f\x01\xdb" };
    static const unsigned intercepts[] = { INTERCEPT_VMRUN, INTERCEPT_VMLOAD, INTERCEPT_VMSAVE };
    static const uint64_t bad[] = { VMCB_SPA + 1, VMCB_SPA + 0x800, 1ull << 48, 1ull << 63 };
    k->cpu->svm->model.features &= ~SVM_FEATURE_ADDR_CHK;
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned j = 0; j < 4; j++) {
            prepare(k, 0);
            kit_intercept(k, intercepts[i]);
            k->cpu->r[REG_RAX] = bad[j];
            unsigned errors = k->errors;
            kit_raised(k, kit_exec(k, bytes[i], 3), EXC_GP, 0);
            ck_assert_uint_eq(k->errors, errors + 1);
        }
        prepare(k, 0);
        kit_intercept(k, intercepts[i]);
        k->cpu->r[REG_RAX] = (1ull << 48) - 0x1000;
        ck_assert_int_eq(kit_exec(k, bytes[i], 3), STEP_VMEXIT);
    }
}

WITH_KIT(rax_is_used_with_the_address_size)
{
    prepare(k, 0);
    kit_intercept(k, INTERCEPT_VMLOAD);
    k->cpu->r[REG_RAX] = 0x1234567800000000 | VMCB_SPA;
    ck_assert_int_eq(EXEC(k, "\x67\x0f\x01\xda"), STEP_VMEXIT);
}

/* rows: pitfalls 9.4, exit 2.13 */
WITH_KIT(rdtsc_privilege_wins_over_the_intercept)
{
    k->cpu->regs.cr4 |= CR4_TSD;
    ck_assert_int_eq(EXEC(k, "\x0f\x31"), STEP_NEXT); /* level 0 */
    prepare(k, 3);
    kit_intercept(k, INTERCEPT_RDTSC);
    kit_intercept(k, INTERCEPT_RDTSCP);
    k->cpu->regs.cr4 |= CR4_TSD;
    kit_raised(k, EXEC(k, "\x0f\x31"), EXC_GP, 0);
    kit_raised(k, EXEC(k, "\x0f\x01\xf9"), EXC_GP, 0);
}

/* rows: exit 1.2.10, 2.13 */
WITH_KIT(rdpmc_rules)
{
    ck_assert_int_eq(msr_write(k->cpu, 0xc0010006, 0xabcd123456789abc), STEP_NEXT);
    k->cpu->r[REG_RCX] = 2;
    ck_assert_int_eq(EXEC(k, "\x0f\x33"), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 0x56789abc);
    ck_assert_uint_eq(k->cpu->r[REG_RDX], 0x1234); /* 48 bits */
    kit_mode(k, MODE_LONG64, 3);
    k->cpu->r[REG_RCX] = 0;
    kit_raised(k, EXEC(k, "\x0f\x33"), EXC_GP, 0);
    k->cpu->regs.cr4 |= CR4_PCE;
    ck_assert_int_eq(EXEC(k, "\x0f\x33"), STEP_NEXT);
    prepare(k, 0);
    kit_intercept(k, INTERCEPT_RDPMC);
    k->cpu->r[REG_RCX] = 6; /* the index before the intercept */
    kit_raised(k, EXEC(k, "\x0f\x33"), EXC_GP, 0);
}

/* rows: exit 2.12 */
WITH_KIT(umip_wins_over_the_intercept)
{
    prepare(k, 3);
    k->cpu->regs.cr4 |= CR4_UMIP;
    kit_intercept(k, INTERCEPT_GDTR_READ);
    kit_intercept(k, INTERCEPT_TR_READ);
    kit_raised(k, EXEC(k, "\x0f\x01\x03"), EXC_GP, 0);
    kit_raised(k, EXEC(k, "\x0f\x00\x0b"), EXC_GP, 0);
}

/* rows: exit 1.3.20, 2.25 */
WITH_KIT(invpcid_intercept_comes_before_its_type)
{
    prepare(k, 0);
    kit_intercept(k, INTERCEPT_INVPCID);
    k->cpu->r[REG_RAX] = 99;
    ck_assert_int_eq(EXEC(k, "\x66\x0f\x38\x82\x03"), STEP_VMEXIT);
}

/* rows: exit 1.2.20, 3.9.1 */
WITH_KIT(invlpg_reports_the_linear_address)
{
    prepare(k, 0);
    k->cpu->r[REG_RBX] = 0x1234;
    k->cpu->regs.seg[SEG_GS].base = 0x100000;
    kit_intercept(k, INTERCEPT_INVLPG);
    kit_exited(k, EXEC(k, "\x65\x0f\x01\x3b"), VMEXIT_INVLPG, 0x101234, 0, CODE_SPA + 4);
}

WITH_KIT(without_decode_assists_info_is_zero)
{
    struct cpu_model model;
    ck_assert_int_eq(cpu_model_parse("max,-decodeassists", &model, NULL), PACIFICA_OK);
    k->cpu->model = &model;
    prepare(k, 0);
    kit_intercept(k, INTERCEPT_INVLPG);
    kit_exited(k, EXEC(k, "\x0f\x01\x3b"), VMEXIT_INVLPG, 0, 0, CODE_SPA + 3);
    prepare(k, 0);
    kit_intercept(k, INTERCEPT_INTN);
    kit_exited(k, EXEC(k, "\xcd\x80"), VMEXIT_SWINT, 0, 0, CODE_SPA + 2);
}

/* --- effects --- */

WITH_KIT(hlt_halts)
{
    ck_assert_int_eq(EXEC(k, "\xf4"), STEP_HALT);
    ck_assert(k->cpu->regs.halted);
}

WITH_KIT(cli_and_sti_obey_iopl)
{
    for (unsigned cpl = 0; cpl <= 3; cpl += 3) {
        for (unsigned iopl = 0; iopl < 4; iopl++) {
            kit_mode(k, MODE_LONG64, cpl);
            k->cpu->rflags |= iopl << 12;
            if (cpl > iopl) {
                kit_raised(k, EXEC(k, "\xfa"), EXC_GP, 0);
                kit_raised(k, EXEC(k, "\xfb"), EXC_GP, 0);
                continue;
            }
            k->cpu->attention = false;
            ck_assert_int_eq(EXEC(k, "\xfb"), STEP_LEAVE);
            ck_assert(k->cpu->rflags & FLAG_IF);
            ck_assert(k->cpu->attention);
            ck_assert_int_eq(EXEC(k, "\xfa"), STEP_NEXT);
            ck_assert(!(k->cpu->rflags & FLAG_IF));
        }
    }
}

WITH_KIT(sti_starts_a_shadow_only_when_if_was_clear)
{
    ck_assert_int_eq(EXEC(k, "\xfb"), STEP_LEAVE);
    ck_assert(k->cpu->regs.shadow_next);
    k->cpu->regs.shadow_next = false;
    ck_assert_int_eq(EXEC(k, "\xfb"), STEP_NEXT);
    ck_assert(!k->cpu->regs.shadow_next);
}

/* rows: pitfalls 5.13 */
WITH_KIT(clac_stac)
{
    ck_assert_int_eq(EXEC(k, "\x0f\x01\xcb"), STEP_LEAVE);
    ck_assert(k->cpu->rflags & FLAG_AC);
    ck_assert(k->cpu->context_stale);
    ck_assert_int_eq(EXEC(k, "\x0f\x01\xca"), STEP_LEAVE);
    ck_assert(!(k->cpu->rflags & FLAG_AC));
    kit_mode(k, MODE_LONG64, 3);
    kit_raised(k, EXEC(k, "\x0f\x01\xca"), EXC_UD, NO_CODE); /* not #GP */
}

/* rows: svmop 1.15 */
WITH_KIT(vmmcall_without_intercept_is_ud)
{
    kit_raised(k, EXEC(k, "\x0f\x01\xd9"), EXC_UD, NO_CODE);
    prepare(k, 0);
    kit_raised(k, EXEC(k, "\x0f\x01\xd9"), EXC_UD, NO_CODE);
}

/* rows: svmop 1.16, 3.3 */
WITH_KIT(vmrun_enters_and_vmexit_returns_behind_it)
{
    kit_guest(k); /* leaves a good VMCB */
    kit_intercept(k, INTERCEPT_CPUID);
    ck_assert_int_eq(EXEC(k, "\x0f\xa2"), STEP_VMEXIT);
    k->cpu->r[REG_RAX] = VMCB_SPA;
    k->cpu->r[REG_RIP] = 0x7000;
    ck_assert_int_eq(EXEC(k, "\x0f\x01\xd8"), STEP_JUMP);
    ck_assert(k->cpu->svm->guest);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], CODE_SPA);
    kit_intercept(k, INTERCEPT_CPUID);
    ck_assert_int_eq(EXEC(k, "\x0f\xa2"), STEP_VMEXIT);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], 0x7003);
}

/* rows: svmop 1.3-1.4 */
WITH_KIT(vmload_and_vmsave_move_state)
{
    k->cpu->r[REG_RAX] = VMCB_SPA;
    VMCB_SET(k->vmcb, LSTAR, 0xffff800012345678);
    VMCB_SET(k->vmcb, FS_BASE, 0x1111);
    ck_assert_int_eq(EXEC(k, "\x0f\x01\xda"), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->msr.lstar, 0xffff800012345678);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_FS].base, 0x1111);
    k->cpu->msr.lstar = 0x4444;
    ck_assert_int_eq(EXEC(k, "\x0f\x01\xdb"), STEP_NEXT);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, LSTAR), 0x4444);
}

/* rows: svmop 1.5-1.6 */
WITH_KIT(stgi_and_clgi)
{
    ck_assert_int_eq(EXEC(k, "\x0f\x01\xdd"), STEP_LEAVE);
    ck_assert(!k->cpu->svm->gif);
    k->cpu->pins.nmi = true;
    ck_assert(!event_pending(k->cpu));
    ck_assert_int_eq(EXEC(k, "\x0f\x01\xdc"), STEP_LEAVE);
    ck_assert(k->cpu->svm->gif);
    ck_assert(k->cpu->attention);
    ck_assert(event_pending(k->cpu)); /* at once: no shadow */
}

static bool cached(struct kit *k, uint16_t asid)
{
    const struct walk_regime regime = {
        .mode = WALK_4LEVEL, .root = PML4_SPA, .asid = asid, .maxphyaddr = CPU_MAXPHYADDR
    };
    return paging_translate(k->cpu->paging, &regime, PAGED_LA,
                            (struct access){ .kind = ACCESS_READ })
               .status == WALK_OK;
}

/* rows: svmop 1.8, 14.10, 14.16 */
WITH_KIT(invlpga_acts_on_the_named_asid_only)
{
    static const struct {
        uint64_t rax;
        uint32_t ecx;
        bool five, six;
    } cases[] = {
        { PAGED_LA + 0x123, 5, false, true },
        { PAGED_LA, 6, true, false },
        { PAGED_LA + 0x1000, 5, true, true },
        { PAGED_LA, 0x10005, true, true }, /* no such ASID */
        { NONCANON | PAGED_LA, 5, true, true },
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        kit_page(k, 0, PAGED_LA | 7);
        ck_assert(cached(k, 5) && cached(k, 6));
        kit_put(k, PT_SPA, 8, 0);
        k->cpu->r[REG_RAX] = cases[i].rax;
        k->cpu->r[REG_RCX] = 0xffffffff00000000 | cases[i].ecx;
        ck_assert_int_eq(EXEC(k, "\x0f\x01\xdf"), STEP_LEAVE);
        ck_assert_int_eq(cached(k, 5), cases[i].five);
        ck_assert_int_eq(cached(k, 6), cases[i].six);
    }
}

int main(void)
{
    Suite *suite = suite_create("system");
    TCase *table = tcase_create("table");
    tcase_add_loop_test(table, intercept_at_level_0, 0, ROWS);
    tcase_add_loop_test(table, intercept_at_level_3, 0, ROWS);
    tcase_add_loop_test(table, svm_instructions_need_svme_and_protected_mode, 0, ROWS);
    suite_add_tcase(suite, table);
    TCase *order = tcase_create("order");
    tcase_add_test(order, vmcb_address_is_checked_before_the_intercept);
    tcase_add_test(order, rax_is_used_with_the_address_size);
    tcase_add_test(order, rdtsc_privilege_wins_over_the_intercept);
    tcase_add_test(order, rdpmc_rules);
    tcase_add_test(order, umip_wins_over_the_intercept);
    tcase_add_test(order, invpcid_intercept_comes_before_its_type);
    tcase_add_test(order, invlpg_reports_the_linear_address);
    tcase_add_test(order, without_decode_assists_info_is_zero);
    suite_add_tcase(suite, order);
    TCase *effect = tcase_create("effects");
    tcase_add_test(effect, hlt_halts);
    tcase_add_test(effect, cli_and_sti_obey_iopl);
    tcase_add_test(effect, sti_starts_a_shadow_only_when_if_was_clear);
    tcase_add_test(effect, clac_stac);
    tcase_add_test(effect, vmmcall_without_intercept_is_ud);
    tcase_add_test(effect, vmrun_enters_and_vmexit_returns_behind_it);
    tcase_add_test(effect, vmload_and_vmsave_move_state);
    tcase_add_test(effect, stgi_and_clgi);
    tcase_add_test(effect, invlpga_acts_on_the_named_asid_only);
    suite_add_tcase(suite, effect);
    return kit_run(suite);
}

/* Registers that optional features give a guest of its own: LBR virtualization, SPEC_CTRL; and the enables of the guest mode
 * execute trap and of read-only guest page tables. APM vol 2, 15.23.1, 15.37.1, 15.25.13, 15.25.5. */
#include "tests/svm/world.h"

static const struct {
    unsigned at;
    uint64_t host, guest;
} lbr_rows[] = {
    { VMCB_AT_DBGCTL, DEBUGCTL_LBR, DEBUGCTL_BTF },
    { VMCB_AT_BR_FROM, 0x1111111111111111, 0xa1a1a1a1a1a1a1a1 },
    { VMCB_AT_BR_TO, 0x2222222222222222, 0xa2a2a2a2a2a2a2a2 },
    { VMCB_AT_LASTEXCPFROM, 0x3333333333333333, 0xa3a3a3a3a3a3a3a3 },
    { VMCB_AT_LASTEXCPTO, 0x4444444444444444, 0xa4a4a4a4a4a4a4a4 },
};
#define LBR_ROWS (sizeof(lbr_rows) / sizeof(lbr_rows[0]))

static uint64_t *lbr_register(struct vcpu *cpu, unsigned row)
{
    return row == 0 ? &cpu->msr.debugctl : &cpu->msr.last_branch[row - 1];
}

/* A host and a VMCB with the values of the rows. */
static struct world *lbr_world(uint64_t enable)
{
    struct world *w = world_new();
    for (unsigned i = 0; i < LBR_ROWS; i++) {
        *lbr_register(w->cpu, i) = lbr_rows[i].host;
        vmcb_store(w->vmcb, lbr_rows[i].at, 8, lbr_rows[i].guest);
    }
    VMCB_SET(w->vmcb, VIRT_ENABLE, enable);
    return w;
}

/* rows: svmop 3.19, 13.10 */
START_TEST(lbr_registers_are_exchanged)
{
    struct world *w = lbr_world(VIRT_LBR_ENABLE);
    world_enter(w);
    ck_assert_uint_eq(w->errors, 0);
    for (unsigned i = 0; i < LBR_ROWS; i++) {
        ck_assert_uint_eq(*lbr_register(w->cpu, i), lbr_rows[i].guest);
        ck_assert_uint_eq(vmcb_load(w->hsave, lbr_rows[i].at, 8), lbr_rows[i].host);
        *lbr_register(w->cpu, i) = i == 0 ? DEBUGCTL_LBR | DEBUGCTL_BTF : 0x5550 + i;
    }
    world_exit(w, VMEXIT_HLT);
    for (unsigned i = 0; i < LBR_ROWS; i++) {
        ck_assert_uint_eq(*lbr_register(w->cpu, i), lbr_rows[i].host);
        ck_assert_uint_eq(vmcb_load(w->vmcb, lbr_rows[i].at, 8), i == 0 ? 3 : 0x5550 + i);
    }
    ck_assert(!w->cpu->svm->swaps);
    world_free(w);
}
END_TEST

/* rows: svmop 13.10, vmcb 2.22 */
START_TEST(lbr_registers_are_shared_without_the_enable)
{
    struct world *w = lbr_world(0);
    world_enter(w);
    for (unsigned i = 0; i < LBR_ROWS; i++) {
        ck_assert_uint_eq(*lbr_register(w->cpu, i), lbr_rows[i].host);
        ck_assert_uint_eq(vmcb_load(w->hsave, lbr_rows[i].at, 8), 0);
        *lbr_register(w->cpu, i) = i;
    }
    world_exit(w, VMEXIT_HLT);
    for (unsigned i = 0; i < LBR_ROWS; i++) {
        ck_assert_uint_eq(*lbr_register(w->cpu, i), i);
        ck_assert_uint_eq(vmcb_load(w->vmcb, lbr_rows[i].at, 8), lbr_rows[i].guest);
    }
    world_free(w);
}
END_TEST

START_TEST(lbr_needs_its_cpuid_bit)
{
    struct world *w = lbr_world(VIRT_LBR_ENABLE);
    w->cpu->svm->model.features &= ~SVM_FEATURE_LBRV;
    world_enter(w);
    ck_assert_uint_eq(w->errors, 1); /* told, and ignored */
    ck_assert_uint_eq(w->cpu->msr.debugctl, DEBUGCTL_LBR);
    world_free(w);
}
END_TEST

/* Neither direction takes bits that the register does not have. */
START_TEST(lbr_drops_reserved_bits_of_dbgctl)
{
    struct world *w = lbr_world(VIRT_LBR_ENABLE);
    VMCB_SET(w->vmcb, DBGCTL, UINT64_MAX);
    world_enter(w);
    ck_assert_uint_eq(w->cpu->msr.debugctl, 3);
    VMCB_SET(w->hsave, DBGCTL, UINT64_MAX);
    world_exit(w, VMEXIT_HLT);
    ck_assert_uint_eq(w->cpu->msr.debugctl, 3);
    world_free(w);
}
END_TEST

START_TEST(lbr_of_a_refused_guest_stays_away)
{
    struct world *w = lbr_world(VIRT_LBR_ENABLE);
    VMCB_SET(w->vmcb, GUEST_ASID, 0);
    ck_assert_int_eq(world_vmrun(w), STEP_VMEXIT);
    for (unsigned i = 0; i < LBR_ROWS; i++)
        ck_assert_uint_eq(*lbr_register(w->cpu, i), lbr_rows[i].host);
    world_free(w);
}
END_TEST

START_TEST(lbr_of_one_guest_is_not_the_next_ones)
{
    struct world *w = lbr_world(VIRT_LBR_ENABLE);
    world_enter(w);
    world_exit(w, VMEXIT_HLT);
    VMCB_SET(w->vmcb, VIRT_ENABLE, 0);
    world_enter(w);
    ck_assert_uint_eq(w->cpu->msr.debugctl, DEBUGCTL_LBR);
    world_exit(w, VMEXIT_HLT);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, DBGCTL), DEBUGCTL_BTF);
    world_free(w);
}
END_TEST

START_TEST(lbr_survives_smm)
{
    struct world *w = lbr_world(VIRT_LBR_ENABLE);
    world_enter(w);
    svm_suspend(w->cpu);
    ck_assert(!w->cpu->svm->swaps);
    svm_resume(w->cpu);
    ck_assert(w->cpu->svm->swaps & VIRT_LBR_ENABLE);
    world_exit(w, VMEXIT_HLT);
    ck_assert_uint_eq(w->cpu->msr.debugctl, DEBUGCTL_LBR);
    world_free(w);
}
END_TEST

/* --- SPEC_CTRL --- */

/* rows: svmop 3.20 */
START_TEST(spec_ctrl_is_the_guests_own)
{
    struct world *w = world_new();
    w->cpu->msr.spec_ctrl = 1;
    VMCB_SET(w->vmcb, SPEC_CTRL, 6);
    world_enter(w);
    ck_assert_uint_eq(w->cpu->svm->spec_ctrl, 6);
    ck_assert_uint_eq(w->cpu->msr.spec_ctrl, 1);
    w->cpu->svm->spec_ctrl = 0x84;
    world_exit(w, VMEXIT_HLT);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, SPEC_CTRL), 0x84);
    ck_assert_uint_eq(w->cpu->msr.spec_ctrl, 1);
    world_free(w);
}
END_TEST

START_TEST(spec_ctrl_needs_its_cpuid_bit)
{
    struct world *w = world_new();
    w->cpu->svm->model.features &= ~SVM_FEATURE_SPEC_CTRL;
    VMCB_SET(w->vmcb, SPEC_CTRL, 6);
    world_enter(w);
    w->cpu->svm->spec_ctrl = 1;
    world_exit(w, VMEXIT_HLT);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, SPEC_CTRL), 6);
    world_free(w);
}
END_TEST

START_TEST(spec_ctrl_drops_bits_that_do_not_exist)
{
    struct world *w = world_new();
    w->cpu->svm->model.spec_ctrl_valid = 5;
    VMCB_SET(w->vmcb, SPEC_CTRL, UINT64_MAX);
    world_enter(w);
    ck_assert_uint_eq(w->cpu->svm->spec_ctrl, 5);
    world_free(w);
}
END_TEST

START_TEST(spec_ctrl_survives_smm)
{
    struct world *w = world_new();
    VMCB_SET(w->vmcb, SPEC_CTRL, 6);
    world_enter(w);
    svm_suspend(w->cpu);
    w->cpu->svm->spec_ctrl = 0;
    svm_resume(w->cpu);
    ck_assert_uint_eq(w->cpu->svm->spec_ctrl, 6);
    world_free(w);
}
END_TEST

/* --- nested tables --- */

/* rows: vmcb 5.4, 5.7 */
START_TEST(nested_options_reach_the_walk)
{
    static const struct {
        uint64_t enable;
        uint32_t feature;
    } rows[] = { { NESTED_GMET_ENABLE, SVM_FEATURE_GMET },
                 { NESTED_ROGPT_ENABLE, SVM_FEATURE_ROGPT } };
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned variant = 0; variant < 3; variant++) {
            struct world *w = world_new();
            bool enabled = variant != 0, offered = variant != 2;
            if (!offered)
                w->cpu->svm->model.features &= ~rows[i].feature;
            VMCB_SET(w->vmcb, NESTED_CONTROL, NESTED_NP_ENABLE | (enabled ? rows[i].enable : 0));
            world_enter(w);
            const struct walk_regime *regime = &w->cpu->svm->host_regime;
            ck_assert_int_eq(regime->gmet, i == 0 && enabled && offered);
            ck_assert_int_eq(regime->rogpt, i == 1 && enabled && offered);
            ck_assert_uint_eq(w->errors, enabled && !offered);
            world_exit(w, VMEXIT_HLT);
            VMCB_SET(w->vmcb, NESTED_CONTROL, NESTED_NP_ENABLE); /* and do not stay */
            world_enter(w);
            ck_assert(!regime->gmet && !regime->rogpt);
            world_free(w);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("own_registers");
    TCase *all = tcase_create("all");
    tcase_add_test(all, lbr_registers_are_exchanged);
    tcase_add_test(all, lbr_registers_are_shared_without_the_enable);
    tcase_add_test(all, lbr_needs_its_cpuid_bit);
    tcase_add_test(all, lbr_drops_reserved_bits_of_dbgctl);
    tcase_add_test(all, lbr_of_a_refused_guest_stays_away);
    tcase_add_test(all, lbr_of_one_guest_is_not_the_next_ones);
    tcase_add_test(all, lbr_survives_smm);
    tcase_add_test(all, spec_ctrl_is_the_guests_own);
    tcase_add_test(all, spec_ctrl_needs_its_cpuid_bit);
    tcase_add_test(all, spec_ctrl_drops_bits_that_do_not_exist);
    tcase_add_test(all, spec_ctrl_survives_smm);
    tcase_add_test(all, nested_options_reach_the_walk);
    suite_add_tcase(suite, all);
    return world_run_suite(suite);
}

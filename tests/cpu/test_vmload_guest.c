/* VMRUN, VMLOAD and VMSAVE in a guest: whose address rAX is, and when it is checked. APM vol 2, 15.33.1 "VMSAVE and VMLOAD
 * Virtualization"; CPUID Fn8000_000A EDX[28]. */
#include "tests/cpu/kit.h"

#define N_PML4 0x80000ull
#define N_PDPT 0x81000ull
#define N_PD 0x82000ull
#define N_PT 0x83000ull
#define GPA 0x203000ull /* page 3 of what N_PT maps */
#define SPA 0x90000ull  /* where it is */
#define PAT_RESET 0x0007040600070406ull
#define VMLOAD "\x0f\x01\xda"
#define VMSAVE "\x0f\x01\xdb"
#define VMRUN "\x0f\x01\xd8"
#define LIMIT(k) (1ull << (k)->cpu->model->address_bits)

static void leave(struct kit *k)
{
    ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_HLT, 0, 0), STEP_VMEXIT);
}

static void enter(struct kit *k)
{
    ck_assert_int_eq(svm_vmrun(k->cpu, VMCB_SPA, CODE_SPA + 0x100), STEP_JUMP);
    k->cpu->r[REG_RIP] = CODE_SPA;
    k->cpu->r[REG_RAX] = GPA;
}

/* A guest with nested tables that has its VMCB at GPA, with an SVME of its own. */
static void nest(struct kit *k, uint64_t virt, uint64_t pte)
{
    kit_put(k, N_PML4, 8, N_PDPT | 7);
    kit_put(k, N_PDPT, 8, N_PD | 7);
    for (uint64_t i = 0; i < 4; i++)
        kit_put(k, N_PD + 8 * i, 8, i << 21 | 0x87);
    kit_put(k, N_PD + 8, 8, N_PT | 7);
    kit_put(k, N_PT + 8 * 3, 8, pte);
    kit_guest(k);
    leave(k);
    VMCB_SET(k->vmcb, NESTED_CONTROL, NESTED_NP_ENABLE);
    VMCB_SET(k->vmcb, N_CR3, N_PML4);
    VMCB_SET(k->vmcb, G_PAT, PAT_RESET);
    VMCB_SET(k->vmcb, VIRT_ENABLE, virt);
    enter(k);
}

static void put_state(struct kit *k, uint64_t spa, uint64_t mark)
{
    kit_put(k, spa + VMCB_AT_STAR, 8, mark);
    kit_put(k, spa + VMCB_AT_KERNEL_GS_BASE, 8, mark + 1);
}

/* rows: svmop 7.12, vmcb 2.23 */
WITH_KIT(virtual_vmload_reads_guest_physical_memory)
{
    put_state(k, SPA, 0x1111);
    put_state(k, GPA, 0x2222);
    nest(k, VIRT_VMLOAD_ENABLE, SPA | 7);
    ck_assert_int_eq(EXEC(k, VMLOAD), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->msr.star, 0x1111);
    ck_assert_uint_eq(k->cpu->msr.kernel_gs_base, 0x1112);
    ck_assert(kit_get(k, N_PT + 8 * 3, 8) & 0x20); /* accessed */
    ck_assert(!(kit_get(k, N_PT + 8 * 3, 8) & 0x40));
}

WITH_KIT(virtual_vmsave_writes_guest_physical_memory)
{
    nest(k, VIRT_VMLOAD_ENABLE, SPA | 7);
    k->cpu->msr.star = 0x3333;
    ck_assert_int_eq(EXEC(k, VMSAVE), STEP_NEXT);
    ck_assert_uint_eq(kit_get(k, SPA + VMCB_AT_STAR, 8), 0x3333);
    ck_assert_uint_eq(kit_get(k, GPA + VMCB_AT_STAR, 8), 0);
    ck_assert(kit_get(k, N_PT + 8 * 3, 8) & 0x40); /* dirty */
}

/* rows: svmop 7.11 */
WITH_KIT(without_virtualization_the_address_is_not_translated)
{
    put_state(k, SPA, 0x1111);
    put_state(k, GPA, 0x2222);
    nest(k, 0, SPA | 7);
    ck_assert_int_eq(EXEC(k, VMLOAD), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->msr.star, 0x2222);
}

/* rows: svmop 7.12 */
/* A fault of the translation is a nested page fault of the final address, by a read or a write of a user. */
START_TEST(virtual_vmload_faults_leave_the_guest)
{
    static const struct {
        const char *insn;
        uint64_t pte, info1;
    } rows[] = {
        { VMLOAD, 0, NPF_FINAL | PF_US },
        { VMSAVE, 0, NPF_FINAL | PF_US | PF_RW },
        { VMSAVE, SPA | 5, NPF_FINAL | PF_US | PF_RW | PF_P }, /* read-only */
        { VMLOAD, SPA | 3, NPF_FINAL | PF_US | PF_P },         /* supervisor */
        { VMLOAD, SPA | 7 | 1ull << 51, NPF_FINAL | PF_US | PF_P | PF_RSV },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct kit *k = kit_new();
        put_state(k, SPA, 0x1111);
        nest(k, VIRT_VMLOAD_ENABLE, rows[i].pte);
        ck_assert_int_eq(kit_exec(k, rows[i].insn, 3), STEP_RAISED);
        ck_assert(k->cpu->raised.npf);
        ck_assert_uint_eq(k->cpu->raised.info1, rows[i].info1);
        ck_assert_uint_eq(k->cpu->raised.info2, GPA);
        ck_assert_uint_eq(k->cpu->msr.star, 0);
        kit_free(k);
    }
}
END_TEST

WITH_KIT(read_only_page_is_good_enough_for_vmload)
{
    put_state(k, SPA, 0x1111);
    nest(k, VIRT_VMLOAD_ENABLE, SPA | 5);
    ck_assert_int_eq(EXEC(k, VMLOAD), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->msr.star, 0x1111);
}

WITH_KIT(intercept_comes_before_virtual_vmload)
{
    nest(k, VIRT_VMLOAD_ENABLE, SPA | 7);
    kit_intercept(k, INTERCEPT_VMLOAD);
    kit_exited(k, EXEC(k, VMLOAD), VMEXIT_VMLOAD, 0, 0, CODE_SPA + 3);
}

/* The enable bit alone makes the instructions exit where it cannot be honored: without nested paging or under a host that is
 * not in 64-bit mode. VMRUN is no matter of it. */
WITH_KIT(enable_without_nested_paging_exits)
{
    nest(k, VIRT_VMLOAD_ENABLE, SPA | 7);
    for (unsigned save = 0; save < 2; save++) {
        leave(k);
        VMCB_SET(k->vmcb, NESTED_CONTROL, 0);
        enter(k);
        VMCB_SET(k->vmcb, INTERCEPT_4, 1);
        kit_exited(k, kit_exec(k, save ? VMSAVE : VMLOAD, 3), save ? VMEXIT_VMSAVE : VMEXIT_VMLOAD,
                   0, 0, CODE_SPA + 3);
        enter(k);
    }
}

WITH_KIT(enable_under_a_legacy_host_exits)
{
    nest(k, VIRT_VMLOAD_ENABLE, SPA | 7);
    leave(k);
    kit_mode(k, MODE_COMPAT32, 0);
    enter(k);
    ck_assert_int_eq(k->cpu->svm->vmload, SVM_VMLOAD_EXITS);
    k->cpu->regs.seg[SEG_CS].attr = 0xa9b;
    cpu_update_mode(k->cpu);
    kit_exited(k, EXEC(k, VMLOAD), VMEXIT_VMLOAD, 0, 0, CODE_SPA + 3);
}

WITH_KIT(enable_without_the_feature_is_ignored_and_told)
{
    k->cpu->svm->model.features &= ~SVM_FEATURE_VIRT_VMLOAD;
    put_state(k, GPA, 0x2222);
    nest(k, VIRT_VMLOAD_ENABLE, SPA | 7);
    ck_assert_uint_eq(k->errors, 1);
    ck_assert_int_eq(EXEC(k, VMLOAD), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->msr.star, 0x2222);
}

WITH_KIT(virtual_vmload_ends_with_the_guest_and_survives_smm)
{
    nest(k, VIRT_VMLOAD_ENABLE, SPA | 7);
    ck_assert_int_eq(k->cpu->svm->vmload, SVM_VMLOAD_VIRTUAL);
    svm_suspend(k->cpu);
    ck_assert_int_eq(k->cpu->svm->vmload, SVM_VMLOAD_PHYSICAL);
    svm_resume(k->cpu);
    ck_assert_int_eq(k->cpu->svm->vmload, SVM_VMLOAD_VIRTUAL);
    leave(k);
    ck_assert_int_eq(k->cpu->svm->vmload, SVM_VMLOAD_PHYSICAL);
}

/* --- the check of the address and the intercept ------------------------------------------------ */

static const struct {
    const char *insn;
    unsigned intercept;
} vmcb_insns[] = { { VMRUN, INTERCEPT_VMRUN },
                   { VMLOAD, INTERCEPT_VMLOAD },
                   { VMSAVE, INTERCEPT_VMSAVE } };

static const uint64_t bad_addresses[] = { VMCB_SPA + 1, VMCB_SPA + 0x800, 1ull << 48, 1ull << 63 };

/* rows: svmop 1.13, 1.14 */
START_TEST(intercept_comes_before_the_address)
{
    for (unsigned i = 0; i < 4; i++) {
        struct kit *k = kit_new();
        kit_guest(k);
        k->cpu->r[REG_RIP] = CODE_SPA;
        kit_intercept(k, vmcb_insns[_i].intercept);
        k->cpu->r[REG_RAX] = bad_addresses[i];
        kit_exited(k, kit_exec(k, vmcb_insns[_i].insn, 3), vmcb_insns[_i].intercept, 0, 0,
                   CODE_SPA + 3);
        kit_free(k);
    }
}
END_TEST

START_TEST(address_is_checked_without_intercept)
{
    for (unsigned i = 0; i < 4; i++) {
        struct kit *k = kit_new();
        k->cpu->r[REG_RAX] = bad_addresses[i];
        kit_raised(k, kit_exec(k, vmcb_insns[_i].insn, 3), EXC_GP, 0);
        kit_free(k);
    }
}
END_TEST

START_TEST(address_comes_before_the_intercept_on_older_parts)
{
    struct kit *k = kit_new();
    k->cpu->svm->model.features &= ~SVM_FEATURE_ADDR_CHK;
    kit_guest(k);
    kit_intercept(k, vmcb_insns[_i].intercept);
    k->cpu->r[REG_RAX] = LIMIT(k);
    kit_raised(k, kit_exec(k, vmcb_insns[_i].insn, 3), EXC_GP, 0);
    kit_free(k);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cpu/vmload_guest");
    TCase *virt = tcase_create("virtual");
    TCase *order = tcase_create("order");
    tcase_add_test(virt, virtual_vmload_reads_guest_physical_memory);
    tcase_add_test(virt, virtual_vmsave_writes_guest_physical_memory);
    tcase_add_test(virt, without_virtualization_the_address_is_not_translated);
    tcase_add_test(virt, virtual_vmload_faults_leave_the_guest);
    tcase_add_test(virt, read_only_page_is_good_enough_for_vmload);
    tcase_add_test(virt, intercept_comes_before_virtual_vmload);
    tcase_add_test(virt, enable_without_nested_paging_exits);
    tcase_add_test(virt, enable_under_a_legacy_host_exits);
    tcase_add_test(virt, enable_without_the_feature_is_ignored_and_told);
    tcase_add_test(virt, virtual_vmload_ends_with_the_guest_and_survives_smm);
    tcase_add_loop_test(order, intercept_comes_before_the_address, 0, 3);
    tcase_add_loop_test(order, address_is_checked_without_intercept, 0, 3);
    tcase_add_loop_test(order, address_comes_before_the_intercept_on_older_parts, 0, 3);
    suite_add_tcase(suite, virt);
    suite_add_tcase(suite, order);
    return kit_run(suite);
}

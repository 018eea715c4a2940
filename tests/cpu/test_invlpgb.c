/* INVLPGB and TLBSYNC. APM vol 3, "INVLPGB", "TLBSYNC". What matches in the TLB stands in tests/paging/test_tlb.c. */
#include "tests/cpu/kit.h"

#define INVLPGB "\x0f\x01\xfe"
#define TLBSYNC "\x0f\x01\xff"
#define LA (PAGED_LA + 0x3000)
#define OTHER (PAGED_LA + 0x9000)

enum { VA = 1, PCID = 2, ASID = 4, GLOBALS = 8, FINAL = 16, NESTED = 32 };

static enum step invlpgb(struct kit *k, uint64_t rax, uint32_t ecx, uint32_t edx)
{
    k->cpu->r[REG_RAX] = rax;
    k->cpu->r[REG_RCX] = UINT64_C(0xffffffff00000000) | ecx;
    k->cpu->r[REG_RDX] = UINT64_C(0xffffffff00000000) | edx;
    return EXEC(k, INVLPGB);
}

/* --- which operands are legal --- */

static bool legal(struct kit *k, uint64_t rax, uint32_t ecx, uint32_t edx)
{
    enum step step = invlpgb(k, rax, ecx, edx);
    if (step == STEP_LEAVE)
        return true;
    kit_raised(k, step, EXC_GP, 0);
    return false;
}

WITH_KIT(reserved_bits_are_gp)
{
    for (unsigned bit = 0; bit < 12; bit++)
        ck_assert_int_eq(legal(k, 1u << bit, 0, 0), bit < 6);
    for (unsigned bit = 3; bit < 31; bit++)
        ck_assert(!legal(k, 0, 1u << bit, 0));
    for (unsigned bit = 0; bit < 32; bit++)
        ck_assert_int_eq(legal(k, 0, 0, 1u << bit), bit < 28);
    ck_assert(legal(k, 0, 1u << 31, 0));
}

/* The count of CPUID Fn8000_0008 EDX[15:0] is that of pages behind the first. */
WITH_KIT(no_more_pages_than_cpuid_allows)
{
    uint32_t out[4];
    cpu_cpuid(k->cpu, 0x80000008, 0, out);
    ck_assert_uint_eq(out[CPUID_EDX] & 0xffff, CPUID_INVLPGB_MAX);
    ck_assert(legal(k, LA | VA, CPUID_INVLPGB_MAX, 0));
    ck_assert(!legal(k, LA | VA, CPUID_INVLPGB_MAX + 1, 0));
    ck_assert(!legal(k, LA | VA, 0xffff, 0));
}

WITH_KIT(an_asid_exists_where_it_counts)
{
    ck_assert(legal(k, ASID, 0, SVM_ASID_COUNT - 1));
    ck_assert(!legal(k, ASID, 0, SVM_ASID_COUNT));
    ck_assert(legal(k, 0, 0, SVM_ASID_COUNT));
    kit_guest(k);
    k->cpu->svm->tlbi = true;
    ck_assert(legal(k, ASID, 0, SVM_ASID_COUNT)); /* replaced by the guest's own */
}

/* --- privilege and intercepts --- */

WITH_KIT(both_are_for_level_0)
{
    kit_mode(k, MODE_LONG64, 3);
    kit_raised(k, invlpgb(k, 0, 0, 0), EXC_GP, 0);
    kit_raised(k, EXEC(k, TLBSYNC), EXC_GP, 0);
    kit_mode(k, MODE_LONG64, 0);
    ck_assert_int_eq(EXEC(k, TLBSYNC), STEP_NEXT);
    kit_mode(k, MODE_PROT32, 0);
    ck_assert_int_eq(invlpgb(k, 0, 0, 0), STEP_LEAVE);
    ck_assert_int_eq(EXEC(k, TLBSYNC), STEP_NEXT);
}

static void guest(struct kit *k, bool tlbictl, bool enabled, uint32_t intercepts)
{
    struct svm_state *svm = k->cpu->svm;
    svm->model.features =
        (svm->model.features & ~SVM_FEATURE_TLBICTL) | (tlbictl ? SVM_FEATURE_TLBICTL : 0);
    kit_mode(k, MODE_LONG64, 0);
    kit_guest(k);
    ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_HLT, 0, 0), STEP_VMEXIT);
    VMCB_SET(k->vmcb, NESTED_CONTROL, enabled ? NESTED_TLBI_ENABLE : 0);
    VMCB_SET(k->vmcb, INTERCEPT_5, intercepts);
    ck_assert_int_eq(svm_vmrun(k->cpu, VMCB_SPA, CODE_SPA + 0x100), STEP_JUMP);
}

/* The VMCB decides where CPUID says that it does; elsewhere both are there. */
/* rows: vmcb 5.8 */
WITH_KIT(a_guest_has_them_by_tlbictl)
{
    for (unsigned i = 0; i < 4; i++) {
        guest(k, i & 1, i & 2, 0);
        if (i == 1) {
            kit_raised(k, invlpgb(k, 0, 0, 0), EXC_UD, NO_CODE);
            kit_raised(k, EXEC(k, TLBSYNC), EXC_UD, NO_CODE);
        } else {
            ck_assert_int_eq(invlpgb(k, 0, 0, 0), STEP_LEAVE);
            ck_assert_int_eq(EXEC(k, TLBSYNC), STEP_NEXT);
        }
        ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_HLT, 0, 0), STEP_VMEXIT);
    }
}

/* rows: exit 1.3.18, 2.25 */
WITH_KIT(invlpgb_is_intercepted_before_its_operands)
{
    guest(k, true, true, 1u << (INTERCEPT_INVLPGB & 31));
    k->cpu->regs.cpl = 3;
    kit_raised(k, invlpgb(k, 0, 0, 0), EXC_GP, 0);
    k->cpu->regs.cpl = 0;
    kit_exited(k, invlpgb(k, 0xfff, 0, 0), VMEXIT_INVLPGB, 0, 0, CODE_SPA + 3);
    guest(k, true, true, 3u << (INTERCEPT_INVLPGB & 31)); /* of both the general one */
    kit_exited(k, invlpgb(k, 0xfff, 0, 0), VMEXIT_INVLPGB, 0, 0, CODE_SPA + 3);
    guest(k, true, false, 1u << (INTERCEPT_INVLPGB & 31)); /* #UD first */
    kit_raised(k, invlpgb(k, 0, 0, 0), EXC_UD, NO_CODE);
}

/* rows: exit 1.3.19, 2.26 */
WITH_KIT(illegal_operands_have_an_intercept)
{
    guest(k, true, true, 1u << (INTERCEPT_INVLPGB_ILLEGAL & 31));
    ck_assert_int_eq(invlpgb(k, 0, 0, 0), STEP_LEAVE);
    k->cpu->r[REG_RIP] = CODE_SPA;
    kit_exited(k, invlpgb(k, 0, 100, 0), VMEXIT_INVLPGB_ILLEGAL, 0, 0, CODE_SPA + 3);
}

/* The intercept of TLBSYNC exists with TlbiCtl. */
/* rows: exit 1.3.22, 2.24 */
WITH_KIT(tlbsync_is_intercepted_after_its_checks)
{
    guest(k, true, true, 1u << (INTERCEPT_TLBSYNC & 31));
    k->cpu->regs.cpl = 3;
    kit_raised(k, EXEC(k, TLBSYNC), EXC_GP, 0);
    k->cpu->regs.cpl = 0;
    kit_exited(k, EXEC(k, TLBSYNC), VMEXIT_TLBSYNC, 0, 0, CODE_SPA + 3);
    guest(k, false, true, 1u << (INTERCEPT_TLBSYNC & 31));
    ck_assert_int_eq(EXEC(k, TLBSYNC), STEP_NEXT);
}

/* --- what goes --- */

/* Is the old translation of `la` still there? The page table has been changed behind it. */
static bool stale(struct kit *k, struct vcpu *cpu, uint64_t la)
{
    uint64_t value;
    struct vcpu *old = k->cpu;
    k->cpu = cpu;
    ck_assert_int_eq(mem_load_la(cpu, la, 8, &value), STEP_NEXT);
    k->cpu = old;
    return value == 1;
}

/* Translate both pages, then let the tables say something else. */
static void fill(struct kit *k, struct vcpu *cpu, uint64_t flags)
{
    uint64_t value;
    for (unsigned i = 0; i < 16; i++)
        kit_put(k, PT_SPA + 8 * i, 8, 0x600000 | 7 | flags);
    kit_put(k, 0x600000, 8, 1);
    kit_put(k, 0x700000, 8, 2);
    paging_flush_all(cpu->paging);
    for (unsigned i = 0; i < 16; i++)
        ck_assert_int_eq(mem_load_la(cpu, PAGED_LA + 0x1000 * i, 8, &value), STEP_NEXT);
    for (unsigned i = 0; i < 16; i++)
        kit_put(k, PT_SPA + 8 * i, 8, 0x700000 | 7 | flags);
    ck_assert(stale(k, cpu, LA) && stale(k, cpu, OTHER));
}

WITH_KIT(a_page_and_those_behind_it)
{
    for (unsigned more = 0; more <= CPUID_INVLPGB_MAX; more++) {
        fill(k, k->cpu, 0);
        ck_assert_int_eq(invlpgb(k, LA | VA, more, 0), STEP_LEAVE);
        for (unsigned i = 0; i < 16; i++)
            ck_assert_int_eq(stale(k, k->cpu, PAGED_LA + 0x1000 * i), i < 3 || i > 3 + more);
    }
    fill(k, k->cpu, 0);
    ck_assert_int_eq(invlpgb(k, (LA - 0x200000) | VA, 1u << 31 | 1, 0), STEP_LEAVE);
    ck_assert(!stale(k, k->cpu, LA)); /* a stride of 2 MiB */
    ck_assert(stale(k, k->cpu, LA + 0x1000));
}

WITH_KIT(global_pages_go_if_asked_for)
{
    k->cpu->regs.cr4 |= CR4_PGE;
    cpu_update_mode(k->cpu);
    fill(k, k->cpu, 0x100);
    ck_assert_int_eq(invlpgb(k, LA | VA, 0, 0), STEP_LEAVE);
    ck_assert_int_eq(invlpgb(k, 0, 0, 0), STEP_LEAVE);
    ck_assert(stale(k, k->cpu, LA));
    ck_assert_int_eq(invlpgb(k, LA | VA | GLOBALS, 0, 0), STEP_LEAVE);
    ck_assert(!stale(k, k->cpu, LA) && stale(k, k->cpu, OTHER));
    ck_assert_int_eq(invlpgb(k, GLOBALS, 0, 0), STEP_LEAVE);
    ck_assert(!stale(k, k->cpu, OTHER));
}

/* rows: svmop 14.11 */
WITH_KIT(asid_and_pcid_choose)
{
    fill(k, k->cpu, 0); /* ASID 0, PCID 0 */
    ck_assert_int_eq(invlpgb(k, ASID, 0, 1), STEP_LEAVE);
    ck_assert_int_eq(invlpgb(k, LA | VA | ASID, 0, 1), STEP_LEAVE);
    ck_assert_int_eq(invlpgb(k, PCID, 0, 5u << 16), STEP_LEAVE);
    ck_assert_int_eq(invlpgb(k, LA | VA | PCID, 0, 5u << 16), STEP_LEAVE);
    ck_assert_int_eq(invlpgb(k, ASID | PCID, 0, 5u << 16), STEP_LEAVE);
    ck_assert(stale(k, k->cpu, LA) && stale(k, k->cpu, OTHER));
    ck_assert_int_eq(invlpgb(k, LA | VA | ASID | PCID, 0, 0), STEP_LEAVE);
    ck_assert(!stale(k, k->cpu, LA) && stale(k, k->cpu, OTHER));
    ck_assert_int_eq(invlpgb(k, ASID | PCID, 0, 0), STEP_LEAVE);
    ck_assert(!stale(k, k->cpu, OTHER));
    fill(k, k->cpu, 0);
    ck_assert_int_eq(invlpgb(k, 0, 0, 0x0fff0fff), STEP_LEAVE); /* any of either */
    ck_assert(!stale(k, k->cpu, LA));
}

/* A guest removes entries of its own ASID, whatever it names. */
WITH_KIT(a_guest_is_held_to_its_asid)
{
    fill(k, k->cpu, 0); /* the host's */
    kit_guest(k);
    k->cpu->svm->tlbi = true;
    ck_assert_int_eq(invlpgb(k, LA | VA | ASID, 0, 0), STEP_LEAVE);
    ck_assert_int_eq(invlpgb(k, 0, 0, 0), STEP_LEAVE);
    ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_HLT, 0, 0), STEP_VMEXIT);
    ck_assert(stale(k, k->cpu, LA));
    kit_mode(k, MODE_LONG64, 0);
    kit_guest(k);
    k->cpu->svm->tlbi = true;
    fill(k, k->cpu, 0); /* the guest's */
    ck_assert_int_eq(invlpgb(k, LA | VA | ASID, 0, 0), STEP_LEAVE);
    ck_assert(!stale(k, k->cpu, LA) && stale(k, k->cpu, OTHER));
}

START_TEST(every_processor_does_it)
{
    struct kit *k = kit_new_smp(2);
    struct vcpu *bsp = k->cpu;
    const struct vcpu_parts parts = { .memory = k->memory,
                                      .probes = &k->probes,
                                      .clock = &k->clock,
                                      .model = cpu_model_default(),
                                      .bsp = bsp };
    struct vcpu *ap = vcpu_new(&parts);
    ck_assert_ptr_nonnull(ap);
    k->cpu = ap;
    kit_mode(k, MODE_LONG64, 0);
    k->cpu = bsp;
    fill(k, bsp, 0);
    fill(k, ap, 0);
    ck_assert_int_eq(invlpgb(k, LA | VA, 0, 0), STEP_LEAVE);
    ck_assert(!stale(k, ap, LA));
    ck_assert(stale(k, ap, OTHER));
    ck_assert_ptr_eq(group_vcpu(bsp, 1), ap);
    ck_assert_ptr_null(group_vcpu(bsp, 2));
    vcpu_free(ap);
    kit_free(k);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("invlpgb");
    TCase *all = tcase_create("all");
    tcase_add_test(all, reserved_bits_are_gp);
    tcase_add_test(all, no_more_pages_than_cpuid_allows);
    tcase_add_test(all, an_asid_exists_where_it_counts);
    tcase_add_test(all, both_are_for_level_0);
    tcase_add_test(all, a_guest_has_them_by_tlbictl);
    tcase_add_test(all, invlpgb_is_intercepted_before_its_operands);
    tcase_add_test(all, illegal_operands_have_an_intercept);
    tcase_add_test(all, tlbsync_is_intercepted_after_its_checks);
    tcase_add_test(all, a_page_and_those_behind_it);
    tcase_add_test(all, global_pages_go_if_asked_for);
    tcase_add_test(all, asid_and_pcid_choose);
    tcase_add_test(all, a_guest_is_held_to_its_asid);
    tcase_add_test(all, every_processor_does_it);
    suite_add_tcase(suite, all);
    return kit_run(suite);
}

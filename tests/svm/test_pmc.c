/* PMC virtualization: the registers at VMRUN and #VMEXIT, and whom an overflow interrupts. APM vol 2, 15.39 "Performance
 * Monitoring Counter Virtualization", appendix B. What guests count: tests/cpu/test_pmc_guest.c. */
#include "svm/avic.h"
#include "svm/pmc.h"
#include "tests/svm/avic_kit.h"

#define CTL(n) (VMCB_AT_PERF_CTL0 + 16 * (n))
#define CTR(n) (VMCB_AT_PERF_CTR0 + 16 * (n))
#define EVENT_INT (PERF_CTL_INT | 0xc0)

/* Registers of the host, others in the VMCB. */
static void fill(struct world *w, uint64_t enable)
{
    for (unsigned n = 0; n < PERF_COUNTERS; n++) {
        w->cpu->msr.perf_ctl[n] = 0x100 + n;
        w->cpu->msr.perf_ctr[n] = 0x200 + n;
        vmcb_store(w->vmcb, CTL(n), 8, 0x300 + n);
        vmcb_store(w->vmcb, CTR(n), 8, 0x400 + n);
    }
    w->cpu->msr.irperf = 0x500;
    w->cpu->msr.perf_global_status = 0x21;
    w->cpu->msr.perf_global_ctl = 0x12;
    VMCB_SET(w->vmcb, INSTR_RETIRED_CTR, 0x600);
    VMCB_SET(w->vmcb, PERF_CTR_GLOBAL_STS, 0x0c);
    VMCB_SET(w->vmcb, PERF_CTR_GLOBAL_CTL, 0x1e);
    VMCB_SET(w->vmcb, VIRT_ENABLE, enable);
}

static struct world *pmc_world(uint64_t enable)
{
    struct world *w = world_new();
    fill(w, enable);
    return w;
}

/* rows: vmcb 2.25, 9.3.3, 9.3.11-9.3.13 */
START_TEST(registers_of_the_guest_are_loaded_and_saved)
{
    struct world *w = pmc_world(VIRT_PMC_ENABLE);
    world_enter(w);
    ck_assert_uint_eq(w->errors, 0);
    for (unsigned n = 0; n < PERF_COUNTERS; n++) {
        ck_assert_uint_eq(w->cpu->msr.perf_ctl[n], 0x300 + n);
        ck_assert_uint_eq(w->cpu->msr.perf_ctr[n], 0x400 + n);
        w->cpu->msr.perf_ctl[n] = 0x1300 + n;
        w->cpu->msr.perf_ctr[n] = 0x1400 + n;
    }
    ck_assert_uint_eq(w->cpu->msr.irperf, 0x600);
    ck_assert_uint_eq(w->cpu->msr.perf_global_status, 0x0c);
    ck_assert_uint_eq(w->cpu->msr.perf_global_ctl, 0x1e);
    w->cpu->msr.irperf = 0x1600;
    w->cpu->msr.perf_global_status = 0x0d;
    w->cpu->msr.perf_global_ctl = 0x3e;
    world_exit(w, VMEXIT_HLT);
    for (unsigned n = 0; n < PERF_COUNTERS; n++) {
        ck_assert_uint_eq(vmcb_load(w->vmcb, CTL(n), 8), 0x1300 + n);
        ck_assert_uint_eq(vmcb_load(w->vmcb, CTR(n), 8), 0x1400 + n);
    }
    ck_assert_uint_eq(VMCB_GET(w->vmcb, INSTR_RETIRED_CTR), 0x1600);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, PERF_CTR_GLOBAL_STS), 0x0d);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, PERF_CTR_GLOBAL_CTL), 0x3e);
    world_free(w);
}
END_TEST

/* Swap types A and C of tables B-3 and B-4. */
START_TEST(irperf_and_status_of_the_host_come_back_and_the_others_are_reset)
{
    struct world *w = pmc_world(VIRT_PMC_ENABLE);
    world_enter(w);
    ck_assert_uint_eq(VMCB_GET(w->hsave, INSTR_RETIRED_CTR), 0x500);
    ck_assert_uint_eq(VMCB_GET(w->hsave, PERF_CTR_GLOBAL_STS), 0x21);
    ck_assert_uint_eq(VMCB_GET(w->hsave, PERF_CTR_GLOBAL_CTL), 0);
    ck_assert_uint_eq(vmcb_load(w->hsave, CTL(0), 8), 0);
    world_exit(w, VMEXIT_HLT);
    ck_assert_uint_eq(w->cpu->msr.irperf, 0x500);
    ck_assert_uint_eq(w->cpu->msr.perf_global_status, 0x21);
    ck_assert_uint_eq(w->cpu->msr.perf_global_ctl, 0x3f);
    for (unsigned n = 0; n < PERF_COUNTERS; n++) {
        ck_assert_uint_eq(w->cpu->msr.perf_ctl[n], 0);
        ck_assert_uint_eq(w->cpu->msr.perf_ctr[n], 0);
    }
    ck_assert_uint_eq(w->cpu->svm->swaps, 0);
    world_free(w);
}
END_TEST

static void expect_shared(struct world *w)
{
    world_enter(w);
    for (unsigned n = 0; n < PERF_COUNTERS; n++) {
        ck_assert_uint_eq(w->cpu->msr.perf_ctl[n], 0x100 + n);
        ck_assert_uint_eq(w->cpu->msr.perf_ctr[n], 0x200 + n);
    }
    ck_assert_uint_eq(w->cpu->msr.irperf, 0x500);
    w->cpu->msr.perf_ctr[3] = 7;
    world_exit(w, VMEXIT_HLT);
    ck_assert_uint_eq(w->cpu->msr.perf_ctr[3], 7);
    ck_assert_uint_eq(vmcb_load(w->vmcb, CTR(3), 8), 0x403);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, INSTR_RETIRED_CTR), 0x600);
    ck_assert_uint_eq(VMCB_GET(w->hsave, INSTR_RETIRED_CTR), 0);
}

/* rows: vmcb 2.25 */
START_TEST(registers_are_shared_without_the_enable)
{
    struct world *w = pmc_world(0);
    expect_shared(w);
    ck_assert_uint_eq(w->errors, 0);
    world_free(w);
}
END_TEST

START_TEST(the_enable_needs_its_cpuid_bit)
{
    struct world *w = pmc_world(VIRT_PMC_ENABLE);
    w->cpu->svm->model.features &= ~SVM_FEATURE_PMC;
    expect_shared(w);
    ck_assert_uint_eq(w->errors, 1);
    world_free(w);
}
END_TEST

/* Both options of one guest. */
START_TEST(last_branches_are_exchanged_beside_them)
{
    struct world *w = pmc_world(VIRT_PMC_ENABLE | VIRT_LBR_ENABLE);
    w->cpu->msr.last_branch[0] = 0x11;
    VMCB_SET(w->vmcb, BR_FROM, 0x22);
    world_enter(w);
    ck_assert_uint_eq(w->cpu->msr.last_branch[0], 0x22);
    ck_assert_uint_eq(w->cpu->msr.perf_ctl[5], 0x305);
    world_exit(w, VMEXIT_HLT);
    ck_assert_uint_eq(w->cpu->msr.last_branch[0], 0x11);
    ck_assert_uint_eq(vmcb_load(w->vmcb, CTL(5), 8), 0x305);
    world_free(w);
}
END_TEST

/* Where the global registers do not exist their fields are left alone, and nothing of the guest's is disabled by them. */
START_TEST(global_registers_need_their_cpuid_bit)
{
    struct world *w = pmc_world(VIRT_PMC_ENABLE);
    w->cpu->svm->model.perfmon_v2 = false;
    world_enter(w);
    ck_assert_uint_eq(w->cpu->msr.perf_global_ctl, 0x3f);
    ck_assert_uint_eq(w->cpu->msr.perf_global_status, 0);
    w->cpu->msr.perf_global_status = 0x01; /* an overflow */
    world_exit(w, VMEXIT_HLT);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, PERF_CTR_GLOBAL_STS), 0x0c);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, PERF_CTR_GLOBAL_CTL), 0x1e);
    ck_assert_uint_eq(VMCB_GET(w->hsave, PERF_CTR_GLOBAL_STS), 0);
    ck_assert_uint_eq(w->cpu->msr.perf_global_ctl, 0x3f);
    world_free(w);
}
END_TEST

START_TEST(reserved_bits_are_dropped)
{
    struct world *w = pmc_world(VIRT_PMC_ENABLE);
    VMCB_SET(w->vmcb, PERF_CTR_GLOBAL_STS, UINT64_MAX);
    VMCB_SET(w->vmcb, PERF_CTR_GLOBAL_CTL, UINT64_MAX);
    vmcb_store(w->vmcb, CTL(2), 8, UINT64_MAX);
    vmcb_store(w->vmcb, CTR(2), 8, UINT64_MAX);
    world_enter(w);
    ck_assert_uint_eq(w->cpu->msr.perf_ctl[2], 0x0000030fffd7ffff);
    ck_assert_uint_eq(w->cpu->msr.perf_ctr[2], 0xffffffffffff);
    ck_assert_uint_eq(w->cpu->msr.perf_global_status, 0x080000000000003f);
    ck_assert_uint_eq(w->cpu->msr.perf_global_ctl, 0x3f);
    world_free(w);
}
END_TEST

/* IRPERF stands as a distance from the number of instructions while it counts: the VMCB holds its value. */
START_TEST(irperf_that_counts_is_a_value_in_memory)
{
    struct world *w = pmc_world(VIRT_PMC_ENABLE);
    w->cpu->msr.hwcr |= HWCR_IRPERF_EN;
    w->cpu->insns_end += 1000;
    world_enter(w);
    ck_assert_uint_eq(VMCB_GET(w->hsave, INSTR_RETIRED_CTR), 0x500 + 1000 + 1);
    w->cpu->insns_end += 1 + 30; /* VMRUN, which is the host's, and the guest's */
    world_exit(w, VMEXIT_HLT);
    ck_assert_uint_eq(VMCB_GET(w->vmcb, INSTR_RETIRED_CTR), 0x600 + 30);
    ck_assert_uint_eq(w->cpu->msr.irperf + w->cpu->insns_end, 0x500 + 1000 + 1);
    world_free(w);
}
END_TEST

/* No clean bit covers them. */
START_TEST(clean_bits_do_not_keep_them)
{
    struct world *w = pmc_world(VIRT_PMC_ENABLE);
    VMCB_SET(w->vmcb, CLEAN_BITS, 0x1000);
    for (unsigned i = 0; i < 3; i++) {
        vmcb_store(w->vmcb, CTR(0), 8, 0x7000 + i);
        world_enter(w);
        ck_assert_uint_eq(w->cpu->msr.perf_ctr[0], 0x7000 + i);
        world_exit(w, VMEXIT_HLT);
        ck_assert_uint_eq(vmcb_load(w->vmcb, CTR(0), 8), 0x7000 + i);
        VMCB_SET(w->vmcb, CLEAN_BITS, UINT32_MAX);
    }
    world_free(w);
}
END_TEST

START_TEST(a_refused_guest_leaves_the_hosts_alone)
{
    struct world *w = pmc_world(VIRT_PMC_ENABLE);
    VMCB_SET(w->vmcb, GUEST_ASID, 0);
    ck_assert_int_eq(world_vmrun(w), STEP_VMEXIT);
    ck_assert_uint_eq(w->cpu->msr.perf_ctl[1], 0x101);
    ck_assert_uint_eq(w->cpu->msr.perf_ctr[1], 0x201);
    ck_assert_uint_eq(w->cpu->msr.irperf, 0x500);
    world_free(w);
}
END_TEST

START_TEST(they_stay_the_guests_in_smm)
{
    struct world *w = pmc_world(VIRT_PMC_ENABLE);
    world_enter(w);
    svm_suspend(w->cpu);
    ck_assert_uint_eq(w->cpu->svm->swaps, 0);
    ck_assert_uint_eq(w->cpu->msr.perf_ctl[0], 0x300);
    svm_resume(w->cpu);
    world_exit(w, VMEXIT_HLT);
    ck_assert_uint_eq(vmcb_load(w->vmcb, CTL(0), 8), 0x300);
    ck_assert_uint_eq(w->cpu->msr.perf_ctl[0], 0);
    world_free(w);
}
END_TEST

/* A VMCB and a host save page outside RAM. */
START_TEST(pages_outside_ram_do_no_harm)
{
    struct world *w = pmc_world(VIRT_PMC_ENABLE);
    w->cpu->msr.vm_hsave_pa = MMIO_SPA;
    world_enter(w);
    ck_assert_uint_eq(w->cpu->msr.perf_ctl[0], 0x300);
    ck_assert_int_eq(svm_vmexit(w->cpu, VMEXIT_HLT, 0, 0), STEP_STOP); /* a host of ones is none */
    ck_assert_uint_eq(vmcb_load(w->vmcb, CTL(0), 8), 0x300);
    world_free(w);
}
END_TEST

/* --- overflow --- */

static unsigned overflows;

static void overflow(void *self)
{
    (void)self;
    overflows++;
}

static void count_overflows(struct vcpu *cpu, struct intc_ops *ops)
{
    *ops = cpu->intc ? *cpu->intc : (struct intc_ops){ 0 };
    ops->perf_overflow = overflow;
    cpu->intc = ops;
    overflows = 0;
}

static uint64_t saved_vintr(struct world *w)
{
    return VMCB_GET(w->vmcb, VINTR_CONTROL);
}

static void vnmi_guest(struct world *w, uint64_t virt, uint64_t vintr)
{
    VMCB_SET(w->vmcb, VIRT_ENABLE, virt);
    VMCB_SET(w->vmcb, VINTR_CONTROL, vintr);
    VMCB_SET(w->vmcb, INTERCEPT_3, 1u << (INTERCEPT_NMI & 31));
    world_enter(w);
    w->cpu->attention = false;
}

START_TEST(overflow_becomes_a_virtual_nmi)
{
    struct world *w = world_new();
    struct intc_ops ops;
    count_overflows(w->cpu, &ops);
    vnmi_guest(w, VIRT_PMC_ENABLE, VINTR_NMI_ENABLE);
    svm_pmc_overflow(w->cpu);
    ck_assert(w->cpu->svm->v_ctl & VINTR_NMI);
    ck_assert(w->cpu->attention);
    ck_assert_uint_eq(overflows, 0);
    world_exit(w, VMEXIT_HLT);
    ck_assert(saved_vintr(w) & VINTR_NMI);
    world_free(w);
}
END_TEST

/* Neither the guest nor the hypervisor gets it. */
START_TEST(overflow_is_lost_without_virtual_interrupts)
{
    struct world *w = world_new();
    struct intc_ops ops;
    count_overflows(w->cpu, &ops);
    vnmi_guest(w, VIRT_PMC_ENABLE, 0);
    svm_pmc_overflow(w->cpu);
    ck_assert_uint_eq(overflows, 0);
    ck_assert(!w->cpu->attention);
    world_exit(w, VMEXIT_HLT);
    ck_assert(!(saved_vintr(w) & VINTR_NMI));
    world_free(w);
}
END_TEST

START_TEST(overflow_of_the_hosts_counters_is_the_hosts)
{
    struct world *w = world_new();
    struct intc_ops ops;
    count_overflows(w->cpu, &ops);
    svm_pmc_overflow(w->cpu);
    ck_assert_uint_eq(overflows, 1);
    vnmi_guest(w, 0, VINTR_NMI_ENABLE); /* in a guest that has none of its own */
    svm_pmc_overflow(w->cpu);
    ck_assert_uint_eq(overflows, 2);
    ck_assert(!(w->cpu->svm->v_ctl & VINTR_NMI));
    ck_assert(w->cpu->attention);
    world_free(w);
}
END_TEST

START_TEST(overflow_in_smm_of_such_a_guest_interrupts_nobody)
{
    struct world *w = world_new();
    struct intc_ops ops;
    count_overflows(w->cpu, &ops);
    vnmi_guest(w, VIRT_PMC_ENABLE, VINTR_NMI_ENABLE);
    svm_suspend(w->cpu);
    svm_pmc_overflow(w->cpu);
    svm_resume(w->cpu);
    ck_assert_uint_eq(overflows, 0);
    ck_assert(!(w->cpu->svm->v_ctl & VINTR_NMI));
    svm_suspend(w->cpu);
    svm_abandon(w->cpu->svm); /* INIT */
    svm_pmc_overflow(w->cpu);
    ck_assert_uint_eq(overflows, 1);
    world_free(w);
}
END_TEST

/* What the guest has done last is counted before its state is saved. */
START_TEST(overflow_at_the_exit_is_in_the_vmcb)
{
    struct world *w = world_new();
    vmcb_store(w->vmcb, CTL(0), 8, EVENT_INT);
    vmcb_store(w->vmcb, CTR(0), 8, PERF_CTR_VALID - 1);
    vnmi_guest(w, VIRT_PMC_ENABLE, VINTR_NMI_ENABLE);
    ck_assert(w->cpu->perf.active); /* the run loop will look who counts */
    ck_assert_uint_eq(w->cpu->perf.insns, 0);
    w->cpu->perf.insns = 1;
    w->cpu->insns_end += 5;
    world_exit(w, VMEXIT_HLT);
    ck_assert_uint_eq(vmcb_load(w->vmcb, CTR(0), 8), 3);
    ck_assert(saved_vintr(w) & VINTR_NMI);
    ck_assert(w->cpu->perf.active);
    ck_assert_uint_eq(w->cpu->perf.insns, 0);
    world_free(w);
}
END_TEST

/* And what the host has, before its counters go. */
START_TEST(overflow_at_vmrun_is_the_hosts)
{
    struct world *w = world_new();
    struct intc_ops ops;
    count_overflows(w->cpu, &ops);
    w->cpu->msr.perf_ctl[1] = EVENT_INT;
    w->cpu->msr.perf_ctr[1] = PERF_CTR_VALID;
    w->cpu->perf.insns = 2;
    w->cpu->insns_end += 1;
    vnmi_guest(w, VIRT_PMC_ENABLE, VINTR_NMI_ENABLE);
    ck_assert_uint_eq(overflows, 1);
    ck_assert(!(w->cpu->svm->v_ctl & VINTR_NMI));
    ck_assert_uint_eq(w->cpu->msr.perf_ctr[1], 0);
    world_free(w);
}
END_TEST

/* --- overflow with AVIC: the LVT entry of the backing page --- */

#define AT_LVT_PERF 0x340

static const struct {
    uint32_t lvt;
    bool interrupt, nmi;
} lvt_rows[] = {
    { 0x00051, true, false }, { 0x10051, false, false },                            /* masked */
    { 0x00451, false, true }, { 0x10451, false, false }, { 0x00251, false, false }, /* SMI */
    { 0x00010, true, false }, { 0x0000f, false, false },                            /* no vector */
    { 0x000ff, true, false },
};

START_TEST(avic_takes_the_interrupt_as_its_lvt_says)
{
    struct avic_world *a = avic_new(VINTR_AVIC_ENABLE | VINTR_NMI_ENABLE);
    struct intc_ops ops;
    unsigned vector = lvt_rows[_i].lvt & 0xff;
    count_overflows(a->cpu, &ops);
    VMCB_SET(a->w->vmcb, VIRT_ENABLE, VIRT_PMC_ENABLE);
    VMCB_SET(a->w->vmcb, INTERCEPT_3, 1u << (INTERCEPT_NMI & 31));
    avic_put(a, 0, AT_LVT_PERF, lvt_rows[_i].lvt);
    world_enter(a->w);
    for (unsigned twice = 0; twice < 2; twice++) {
        a->cpu->attention = false;
        svm_pmc_overflow(a->cpu);
        ck_assert_int_eq(avic_bit(a, 0, AT_IRR, vector), lvt_rows[_i].interrupt);
        ck_assert_uint_eq(a->avic->vector, lvt_rows[_i].interrupt ? vector : 0);
        ck_assert_int_eq((a->cpu->svm->v_ctl & VINTR_NMI) != 0, lvt_rows[_i].nmi);
        ck_assert_int_eq(a->cpu->attention, lvt_rows[_i].interrupt || lvt_rows[_i].nmi);
        ck_assert_uint_eq(overflows, 0);
    }
    avic_free(a);
}
END_TEST

START_TEST(an_nmi_by_lvt_is_lost_without_virtual_nmi)
{
    struct avic_world *a = avic_new(VINTR_AVIC_ENABLE);
    VMCB_SET(a->w->vmcb, VIRT_ENABLE, VIRT_PMC_ENABLE);
    avic_put(a, 0, AT_LVT_PERF, 0x400);
    world_enter(a->w);
    a->cpu->attention = false;
    svm_pmc_overflow(a->cpu);
    ck_assert(!(a->cpu->svm->v_ctl & VINTR_NMI));
    ck_assert(!a->cpu->attention);
    avic_free(a);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("svm/pmc");
    TCase *all = tcase_create("pmc");
    tcase_add_test(all, registers_of_the_guest_are_loaded_and_saved);
    tcase_add_test(all, irperf_and_status_of_the_host_come_back_and_the_others_are_reset);
    tcase_add_test(all, registers_are_shared_without_the_enable);
    tcase_add_test(all, the_enable_needs_its_cpuid_bit);
    tcase_add_test(all, last_branches_are_exchanged_beside_them);
    tcase_add_test(all, global_registers_need_their_cpuid_bit);
    tcase_add_test(all, reserved_bits_are_dropped);
    tcase_add_test(all, irperf_that_counts_is_a_value_in_memory);
    tcase_add_test(all, clean_bits_do_not_keep_them);
    tcase_add_test(all, a_refused_guest_leaves_the_hosts_alone);
    tcase_add_test(all, they_stay_the_guests_in_smm);
    tcase_add_test(all, pages_outside_ram_do_no_harm);
    tcase_add_test(all, overflow_becomes_a_virtual_nmi);
    tcase_add_test(all, overflow_is_lost_without_virtual_interrupts);
    tcase_add_test(all, overflow_of_the_hosts_counters_is_the_hosts);
    tcase_add_test(all, overflow_in_smm_of_such_a_guest_interrupts_nobody);
    tcase_add_test(all, overflow_at_the_exit_is_in_the_vmcb);
    tcase_add_test(all, overflow_at_vmrun_is_the_hosts);
    tcase_add_loop_test(all, avic_takes_the_interrupt_as_its_lvt_says, 0,
                        sizeof(lvt_rows) / sizeof(lvt_rows[0]));
    tcase_add_test(all, an_nmi_by_lvt_is_lost_without_virtual_nmi);
    suite_add_tcase(suite, all);
    return world_run_suite(suite);
}

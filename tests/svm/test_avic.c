/* AVIC: the backing page, the filter of its registers, which interrupt is delivered. APM vol 2, 15.29.3, 15.29.8. */
#include "svm/vintr.h"
#include "tests/check_main.h"
#include "tests/svm/avic_kit.h"

#define WRITE (UINT64_C(1) << 32)

/* --- table 15-22 --- */

enum { ALLOW, TRAP, FAULT };
struct row {
    unsigned first, last; /* offsets */
    int read, write;      /* write -1: something else happens */
};

static void check_row(struct avic_world *a, const struct row *row)
{
    for (unsigned at = row->first; at <= row->last; at += 16) {
        enum step step = svm_avic_check(a->cpu, at, 4, false);
        if (row->read == FAULT)
            avic_refused(a, step, at);
        else
            ck_assert_int_eq(step, STEP_NEXT);
        if (row->write < 0)
            continue;
        avic_put(a, 0, at, 0x11);
        step = avic_write(a, at, 0x22);
        if (row->write == FAULT)
            avic_refused(a, step, WRITE | at);
        else
            ck_assert_int_eq(step, STEP_NEXT);
        ck_assert_uint_eq(avic_get(a, 0, at), row->write == FAULT ? 0x11 : 0x22);
        if (row->write == TRAP)
            avic_trapped(a, VMEXIT_AVIC_NOACCEL, WRITE | at, 0);
        ck_assert(!a->avic->trapped);
    }
}

/* rows: svmop 18.6-18.9, 18.12, 18.13, exit 1.4.3, 3.7.1, 3.7.2 */
WITH_AVIC(every_register_has_its_rule, avic_xapic)
{
    static const struct row rows[] = {
        { 0x000, 0x010, ALLOW, ALLOW }, { 0x020, 0x020, ALLOW, TRAP },
        { 0x030, 0x030, ALLOW, FAULT }, { 0x040, 0x070, ALLOW, ALLOW },
        { 0x080, 0x080, ALLOW, -1 },    { 0x090, 0x090, FAULT, FAULT },
        { 0x0a0, 0x0a0, ALLOW, FAULT }, { 0x0b0, 0x0b0, ALLOW, -1 },
        { 0x0c0, 0x0f0, ALLOW, TRAP },  { 0x100, 0x270, ALLOW, FAULT },
        { 0x280, 0x280, ALLOW, TRAP },  { 0x290, 0x2f0, ALLOW, ALLOW },
        { 0x300, 0x300, ALLOW, -1 },    { 0x310, 0x310, ALLOW, ALLOW },
        { 0x320, 0x380, ALLOW, TRAP },  { 0x390, 0x390, FAULT, FAULT },
        { 0x3a0, 0x3d0, ALLOW, ALLOW }, { 0x3e0, 0x3e0, ALLOW, TRAP },
        { 0x3f0, 0x3f0, ALLOW, ALLOW }, { 0x400, 0x420, FAULT, FAULT },
        { 0x430, 0x470, ALLOW, ALLOW }, { 0x480, 0x4f0, FAULT, FAULT },
        { 0x540, 0xff0, FAULT, FAULT },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check_row(a, &rows[i]);
}

/* rows: svmop 18.10 */
WITH_AVIC(extended_lvt_by_cpuid, avic_xapic)
{
    check_row(a, &(struct row){ 0x500, 0x530, ALLOW, TRAP });
    a->cpu->svm->model.features &= ~SVM_FEATURE_EXT_LVT_AVIC;
    check_row(a, &(struct row){ 0x500, 0x530, FAULT, FAULT });
}

WITH_AVIC(odd_accesses_are_judged_by_all_they_touch, avic_xapic)
{
    ck_assert_int_eq(svm_avic_check(a->cpu, 0x84, 4, true), STEP_NEXT);
    avic_refused(a, svm_avic_check(a->cpu, 0x8c, 8, true), WRITE | AT_APR);
    avic_refused(a, svm_avic_check(a->cpu, 0x80, 32, false), AT_APR);
    ck_assert_int_eq(svm_avic_check(a->cpu, 0x80, 16, false), STEP_NEXT);
    /* Bytes behind a register do nothing; one byte of it does. */
    svm_avic_written(a->cpu, BACKING + AT_SVR + 4, 12);
    ck_assert(!a->avic->trapped);
    svm_avic_written(a->cpu, BACKING + AT_SVR + 3, 1);
    avic_trapped(a, VMEXIT_AVIC_NOACCEL, WRITE | AT_SVR, 0);
}

WITH_AVIC(first_of_several_exits_is_made, avic_xapic)
{
    svm_avic_written(a->cpu, BACKING + AT_RRR, 32); /* RRR and LDR */
    avic_trapped(a, VMEXIT_AVIC_NOACCEL, WRITE | AT_RRR, 0);
}

/* --- TPR, PPR --- */

/* rows: svmop 18.3 */
WITH_AVIC(tpr_is_copied_to_v_tpr, avic_xapic)
{
    avic_set(a, 0, AT_IRR, 0x51);
    ck_assert_int_eq(avic_write(a, AT_TPR, 0x5f), STEP_NEXT);
    ck_assert_uint_eq(a->cpu->svm->v_tpr, 5);
    ck_assert_uint_eq(avic_get(a, 0, AT_PPR), 0x5f);
    ck_assert_uint_eq(a->avic->vector, 0);
    ck_assert_int_eq(avic_write(a, AT_TPR, 0x4f), STEP_NEXT);
    ck_assert_uint_eq(a->avic->vector, 0x51);
    ck_assert(!a->avic->trapped && a->cpu->attention);
    world_exit(a->w, VMEXIT_HLT);
    ck_assert_uint_eq(VMCB_GET(a->w->vmcb, VINTR_CONTROL), VINTR_AVIC_ENABLE | 4);
}

WITH_AVIC(cr8_clears_the_subclass, avic_xapic)
{
    avic_put(a, 0, AT_TPR, 0x7f);
    svm_avic_set_tpr(a->cpu, 0x60);
    ck_assert_uint_eq(avic_get(a, 0, AT_TPR), 0x60);
    ck_assert_uint_eq(avic_get(a, 0, AT_PPR), 0x60);
    ck_assert_uint_eq(a->cpu->svm->v_tpr, 6);
}

WITH_AVIC(ppr_is_the_higher_class, avic_xapic)
{
    avic_set(a, 0, AT_ISR, 0x45);
    avic_put(a, 0, AT_TPR, 0x4a);
    svm_avic_evaluate(a->cpu);
    ck_assert_uint_eq(avic_get(a, 0, AT_PPR), 0x4a);
    avic_put(a, 0, AT_TPR, 0x3a);
    svm_avic_evaluate(a->cpu);
    ck_assert_uint_eq(avic_get(a, 0, AT_PPR), 0x40);
}

/* --- delivery --- */

WITH_AVIC(an_interrupt_needs_a_higher_class, avic_xapic)
{
    avic_put(a, 0, AT_TPR, 0x40);
    avic_set(a, 0, AT_IRR, 0x4f);
    svm_avic_evaluate(a->cpu);
    ck_assert_uint_eq(a->avic->vector, 0);
    avic_set(a, 0, AT_IRR, 0x50);
    avic_set(a, 0, AT_IRR, 0xf1);
    svm_avic_evaluate(a->cpu);
    ck_assert_uint_eq(a->avic->vector, 0xf1);
}

WITH_AVIC(vectors_below_16_are_never_delivered, avic_xapic)
{
    avic_put(a, 0, AT_IRR, 0xffff);
    svm_avic_evaluate(a->cpu);
    ck_assert_uint_eq(a->avic->vector, 0);
}

WITH_AVIC(acknowledge_moves_irr_to_isr, avic_xapic)
{
    avic_set(a, 0, AT_IRR, 0x35);
    avic_set(a, 0, AT_IRR, 0x36);
    svm_avic_evaluate(a->cpu);
    ck_assert_int_eq(svm_avic_acknowledge(a->cpu), 0x36);
    ck_assert(!avic_bit(a, 0, AT_IRR, 0x36) && avic_bit(a, 0, AT_ISR, 0x36));
    ck_assert(avic_bit(a, 0, AT_IRR, 0x35) && !avic_bit(a, 0, AT_ISR, 0x35));
    ck_assert_uint_eq(avic_get(a, 0, AT_PPR), 0x30);
    ck_assert_uint_eq(a->avic->vector, 0);
    ck_assert_int_eq(svm_avic_acknowledge(a->cpu), -1);
}

WITH_AVIC(an_interrupt_may_go_away, avic_xapic)
{
    avic_set(a, 0, AT_IRR, 0x35);
    svm_avic_evaluate(a->cpu);
    avic_put(a, 0, AT_IRR + 16, 0);
    ck_assert_int_eq(svm_avic_acknowledge(a->cpu), -1);
    ck_assert_uint_eq(a->avic->vector, 0);
}

START_TEST(vmrun_looks_at_the_page)
{
    struct avic_world *a = avic_new(VINTR_AVIC_ENABLE);
    avic_set(a, 0, AT_IRR, 0x61);
    avic_put(a, 0, AT_TPR, 0x10);
    avic_put(a, 0, AT_PPR, 0xff);
    world_enter(a->w);
    ck_assert_uint_eq(a->avic->vector, 0x61);
    ck_assert_uint_eq(avic_get(a, 0, AT_PPR), 0x10);
    avic_free(a);
}
END_TEST

WITH_AVIC(memory_is_seen_at_the_doorbell_only, avic_xapic)
{
    avic_set(a, 0, AT_IRR, 0x61);
    ck_assert_uint_eq(a->avic->vector, 0);
    svm_avic_doorbell(a->cpu);
    ck_assert_uint_eq(a->avic->vector, 0x61);
    world_exit(a->w, VMEXIT_HLT);
    ck_assert(!a->avic->on && a->avic->vector == 0);
    avic_put(a, 0, AT_PPR, 0x99);
    svm_avic_doorbell(a->cpu); /* the host is no guest with AVIC */
    ck_assert_uint_eq(avic_get(a, 0, AT_PPR), 0x99);
}

/* --- EOI --- */

/* rows: svmop 18.4 */
WITH_AVIC(eoi_ends_the_highest, avic_xapic)
{
    avic_set(a, 0, AT_ISR, 0x41);
    avic_set(a, 0, AT_ISR, 0x71);
    avic_set(a, 0, AT_IRR, 0x72);
    ck_assert_int_eq(avic_write(a, AT_EOI, 0), STEP_NEXT);
    ck_assert(avic_bit(a, 0, AT_ISR, 0x41) && !avic_bit(a, 0, AT_ISR, 0x71));
    ck_assert_uint_eq(avic_get(a, 0, AT_PPR), 0x40);
    ck_assert_uint_eq(a->avic->vector, 0x72);
    ck_assert(!a->avic->trapped);
}

WITH_AVIC(eoi_of_nothing, avic_xapic)
{
    ck_assert_int_eq(avic_write(a, AT_EOI, 0), STEP_NEXT);
    ck_assert(!a->avic->trapped);
}

/* rows: svmop 18.4, exit 3.7.3 */
WITH_AVIC(eoi_of_level_exits_and_leaves_isr, avic_xapic)
{
    avic_set(a, 0, AT_ISR, 0x71);
    avic_set(a, 0, AT_TMR, 0x71);
    ck_assert_int_eq(avic_write(a, AT_EOI, 0), STEP_NEXT);
    avic_trapped(a, VMEXIT_AVIC_NOACCEL, WRITE | AT_EOI, 0x71);
    ck_assert(avic_bit(a, 0, AT_ISR, 0x71));
}

/* --- the VMCB --- */

/* rows: vmcb 2.18, 2.30, 2.32-2.34, 3.17 */
WITH_AVIC(vmrun_takes_the_fields_over, avic_xapic)
{
    const struct walk_regime *nested = &a->cpu->svm->host_regime;
    ck_assert(a->avic->on && !a->avic->x2);
    ck_assert_uint_eq(a->avic->backing_spa, BACKING);
    ck_assert_uint_eq(a->avic->physical_spa, PHYSICAL);
    ck_assert_uint_eq(a->avic->logical_spa, LOGICAL);
    ck_assert_uint_eq(a->avic->max_index, 2);
    ck_assert_uint_eq(nested->apic_gpa, APIC_GPA | 1);
    ck_assert_uint_eq(nested->apic_spa, BACKING);
    world_exit(a->w, VMEXIT_HLT);
    ck_assert_uint_eq(nested->apic_gpa, 0);
}

/* rows: vmcb 3.16 */
WITH_AVIC(x2avic_has_no_page_in_guest_memory, avic_x2apic)
{
    ck_assert(a->avic->on && a->avic->x2);
    ck_assert_uint_eq(a->cpu->svm->host_regime.apic_gpa, 0);
}

START_TEST(without_cpuid_the_enables_are_ignored)
{
    struct avic_world *a = avic_new(VINTR_AVIC_ENABLE | VINTR_X2AVIC_ENABLE);
    a->cpu->svm->model.features &= ~(SVM_FEATURE_AVIC | SVM_FEATURE_X2AVIC);
    world_enter(a->w);
    ck_assert(!a->avic->on && !a->avic->x2);
    ck_assert_uint_eq(a->w->errors, 1);
    world_exit(a->w, VMEXIT_HLT);
    a->cpu->svm->model.features |= SVM_FEATURE_AVIC;
    world_enter(a->w);
    ck_assert(a->avic->on && !a->avic->x2);
    ck_assert_uint_eq(a->w->errors, 2);
    avic_free(a);
}
END_TEST

/* rows: svmop 10.10 */
START_TEST(v_irq_and_its_kin_are_kept_as_they_were)
{
    const uint64_t kept = VINTR_AVIC_ENABLE | VINTR_IRQ | UINT64_C(15) << VINTR_PRIO_SHIFT |
                          VINTR_IGN_TPR | UINT64_C(0x99) << VINTR_VECTOR_SHIFT;
    struct avic_world *a = avic_new(kept);
    world_enter(a->w);
    world_exit(a->w, VMEXIT_HLT);
    ck_assert_uint_eq(VMCB_GET(a->w->vmcb, VINTR_CONTROL), kept);
    avic_free(a);
}
END_TEST

WITH_AVIC(smm_keeps_it, avic_xapic)
{
    svm_suspend(a->cpu);
    ck_assert(!a->avic->on);
    ck_assert_uint_eq(a->cpu->svm->host_regime.apic_gpa, 0);
    avic_set(a, 0, AT_IRR, 0x61);
    svm_avic_doorbell(a->cpu);
    svm_resume(a->cpu);
    ck_assert(a->avic->on);
    ck_assert_uint_eq(a->avic->backing_spa, BACKING);
    ck_assert_uint_eq(a->avic->vector, 0x61);
    ck_assert_uint_eq(a->cpu->svm->host_regime.apic_gpa, APIC_GPA | 1);
    svm_suspend(a->cpu);
    svm_abandon(a->cpu->svm);
    ck_assert(!a->avic->on);
}

/* rows: vmcb 7.12 */
START_TEST(clean_fields_may_be_old)
{
    struct avic_world *a = avic_new(VINTR_AVIC_ENABLE);
    a->cpu->svm->model.features |= SVM_FEATURE_VMCB_CLEAN;
    VMCB_SET(a->w->vmcb, CLEAN_BITS, VMCB_CLEAN_AVIC);
    for (unsigned round = 0; round < 4; round++) { /* the first finds nothing that it could use */
        world_enter(a->w);
        ck_assert_uint_eq(a->avic->backing_spa, BACKING);
        ck_assert_uint_eq(a->avic->max_index, 2);
        ck_assert_uint_eq(a->cpu->svm->host_regime.apic_gpa, APIC_GPA | 1);
        world_exit(a->w, VMEXIT_HLT);
        if (round < 1)
            continue;
        VMCB_SET(a->w->vmcb, AVIC_BACKING_PAGE, BACKING + 0x1000);
        VMCB_SET(a->w->vmcb, AVIC_PHYSICAL_TABLE, PHYSICAL | 1);
        VMCB_SET(a->w->vmcb, AVIC_APIC_BAR, 0x5000);
    }
    VMCB_SET(a->w->vmcb, CLEAN_BITS, VMCB_CLEAN_ALL & ~VMCB_CLEAN_AVIC);
    world_enter(a->w);
    ck_assert_uint_eq(a->avic->backing_spa, BACKING + 0x1000);
    ck_assert_uint_eq(a->avic->max_index, 1);
    ck_assert_uint_eq(a->cpu->svm->host_regime.apic_gpa, 0x5001);
    world_exit(a->w, VMEXIT_HLT);
    ck_assert_uint_eq(a->cpu->svm->host_regime.apic_gpa, 0);
    avic_free(a);
}
END_TEST

/* What the idle HLT intercept asks. */
START_TEST(idle_hlt_asks_the_page_and_not_v_irq)
{
    struct avic_world *a = avic_new(VINTR_AVIC_ENABLE | VINTR_IRQ);
    world_enter(a->w);
    ck_assert(!svm_virtual_pending(a->cpu->svm));
    avic_set(a, 0, AT_IRR, 0x61);
    svm_avic_doorbell(a->cpu);
    ck_assert(svm_virtual_pending(a->cpu->svm));
    ck_assert_int_eq(avic_write(a, AT_TPR, 0x60), STEP_NEXT);
    ck_assert(!svm_virtual_pending(a->cpu->svm));
    avic_free(a);
}
END_TEST

/* Pages and tables that are no RAM: what the bus gives. */
START_TEST(pages_outside_ram)
{
    struct avic_world *a = avic_new(VINTR_AVIC_ENABLE);
    VMCB_SET(a->w->vmcb, AVIC_BACKING_PAGE, MMIO_SPA);
    VMCB_SET(a->w->vmcb, AVIC_PHYSICAL_TABLE, MMIO_SPA | 255);
    VMCB_SET(a->w->vmcb, AVIC_LOGICAL_TABLE, LIMIT_SPA - 0x1000);
    world_enter(a->w);
    ck_assert_uint_eq(a->avic->vector, 0); /* TPR is FFh */
    svm_avic_written(a->cpu, MMIO_SPA + AT_EOI, 4);
    svm_avic_written(a->cpu, MMIO_SPA + AT_ICR_LOW, 4);
    ck_assert_int_eq(svm_avic_acknowledge(a->cpu), -1);
    avic_free(a);
}
END_TEST

CHECK_MAIN("svm/avic", every_register_has_its_rule, extended_lvt_by_cpuid,
           odd_accesses_are_judged_by_all_they_touch, first_of_several_exits_is_made,
           tpr_is_copied_to_v_tpr, cr8_clears_the_subclass, ppr_is_the_higher_class,
           an_interrupt_needs_a_higher_class, vectors_below_16_are_never_delivered,
           acknowledge_moves_irr_to_isr, an_interrupt_may_go_away, vmrun_looks_at_the_page,
           memory_is_seen_at_the_doorbell_only, eoi_ends_the_highest, eoi_of_nothing,
           eoi_of_level_exits_and_leaves_isr, vmrun_takes_the_fields_over,
           x2avic_has_no_page_in_guest_memory, without_cpuid_the_enables_are_ignored,
           v_irq_and_its_kin_are_kept_as_they_were, smm_keeps_it, clean_fields_may_be_old,
           idle_hlt_asks_the_page_and_not_v_irq, pages_outside_ram)

/* Virtual GIF, virtual NMI, the idle HLT intercept and the filter of PAUSE: what VMRUN takes over and #VMEXIT writes back.
 * APM vol 2, 15.14.4, 15.21.4, 15.21.10, 15.33.2. What they do to a guest: tests/cpu/test_vintr.c. */
#include "svm/pause.h"
#include "svm/vintr.h"
#include "tests/svm/world.h"

#define ROWS_OF(table) (sizeof(table) / sizeof((table)[0]))
#define NMI_INTERCEPT (1u << (INTERCEPT_NMI & 31))
#define PAUSE_INTERCEPT (1u << (INTERCEPT_PAUSE & 31))

static void enter_with(struct world *w, uint64_t vintr)
{
    world_host(w);
    world_guest(w->vmcb);
    w->errors = 0;
    VMCB_SET(w->vmcb, INTERCEPT_3, NMI_INTERCEPT);
    VMCB_SET(w->vmcb, VINTR_CONTROL, vintr);
    world_enter(w);
}

static uint64_t leave(struct world *w)
{
    world_exit(w, VMEXIT_VMMCALL);
    return VMCB_GET(w->vmcb, VINTR_CONTROL);
}

/* --- virtual GIF --- */

/* rows: vmcb 3.4, svmop 8.17 */
START_TEST(v_gif_is_loaded_and_written_back)
{
    struct world *w = world_new();
    for (unsigned gif = 0; gif < 2; gif++) {
        uint64_t word = VINTR_GIF_ENABLE | (gif ? VINTR_GIF : 0);
        enter_with(w, word);
        ck_assert(w->cpu->svm->gif); /* GIF itself is 1, whatever V_GIF is */
        ck_assert_int_eq(svm_vgif_closed(w->cpu->svm), !gif);
        ck_assert_uint_eq(leave(w), word);
        enter_with(w, word);
        svm_set_gif(w->cpu, !gif);
        ck_assert(w->cpu->svm->gif);
        ck_assert_int_eq(svm_vgif_closed(w->cpu->svm), gif);
        ck_assert_uint_eq(leave(w), word ^ VINTR_GIF);
        ck_assert(!w->cpu->svm->gif);
        ck_assert_uint_eq(w->errors, 0);
    }
    world_free(w);
}
END_TEST

/* rows: vmcb 3.4, 3.13 */
START_TEST(v_gif_without_its_enable_is_ignored)
{
    struct world *w = world_new();
    for (unsigned gif = 0; gif < 2; gif++) {
        uint64_t word = gif ? VINTR_GIF : 0;
        enter_with(w, word);
        ck_assert(!svm_vgif_closed(w->cpu->svm));
        svm_set_gif(w->cpu, false);
        ck_assert(!w->cpu->svm->gif);
        svm_set_gif(w->cpu, true);
        ck_assert(w->cpu->svm->gif);
        svm_set_gif(w->cpu, !gif);
        ck_assert_uint_eq(leave(w), word);
    }
    world_free(w);
}
END_TEST

/* rows: vmcb 3.13, 3.14, svmop 21.14 */
START_TEST(enables_without_their_cpuid_bits_are_ignored_and_told)
{
    static const struct {
        uint32_t feature;
        uint64_t enable, state;
    } rows[] = { { SVM_FEATURE_VGIF, VINTR_GIF_ENABLE, VINTR_GIF },
                 { SVM_FEATURE_VNMI, VINTR_NMI_ENABLE, VINTR_NMI | VINTR_NMI_MASK } };
    for (unsigned i = 0; i < ROWS_OF(rows); i++) {
        struct world *w = world_new();
        w->cpu->svm->model.features &= ~rows[i].feature;
        enter_with(w, rows[i].enable | rows[i].state);
        ck_assert_uint_eq(w->errors, 1);
        ck_assert_uint_eq(w->cpu->svm->v_ctl, 0);
        ck_assert_uint_eq(leave(w), rows[i].enable | rows[i].state);
        /* the other feature works without it */
        enter_with(w, rows[!i].enable | rows[!i].state);
        ck_assert_uint_eq(w->errors, 0);
        ck_assert_uint_eq(w->cpu->svm->v_ctl, rows[!i].enable | rows[!i].state);
        world_free(w);
    }
}
END_TEST

START_TEST(vmexit_forgets_the_virtual_controls)
{
    struct world *w = world_new();
    enter_with(w, VINTR_GIF_ENABLE | VINTR_NMI_ENABLE | VINTR_NMI | VINTR_IRQ | VINTR_MASKING);
    (void)leave(w);
    ck_assert_uint_eq(w->cpu->svm->v_ctl, 0);
    ck_assert(!w->cpu->svm->v_irq && !w->cpu->svm->v_intr_masking);
    svm_set_gif(w->cpu, true); /* the host's own */
    ck_assert(w->cpu->svm->gif);
    enter_with(w, 0); /* nor does the next guest have them */
    ck_assert_uint_eq(w->cpu->svm->v_ctl, 0);
    world_free(w);
}
END_TEST

/* Each field of the qword: what #VMEXIT writes back, and what it leaves as it was. */
/* rows: vmcb 3.1, 3.2, 3.3, 3.9, 3.10, 3.12, 3.18 */
START_TEST(vmexit_writes_back_v_tpr_v_irq_and_what_is_enabled)
{
    struct world *w = world_new();
    const uint64_t word = 0x9a00000000 | VINTR_IGN_TPR | UINT64_C(0xb) << VINTR_PRIO_SHIFT |
                          VINTR_MASKING | VINTR_IRQ | 0xe000 | 0xf7;
    struct svm_state *svm = w->cpu->svm;
    enter_with(w, word);
    ck_assert_uint_eq(svm->v_tpr, 7);
    ck_assert_uint_eq(svm->v_intr_prio, 0xb);
    ck_assert_uint_eq(svm->v_intr_vector, 0x9a);
    ck_assert(svm->v_irq && svm->v_ign_tpr && svm->v_intr_masking);
    svm->v_irq = false;
    svm->v_tpr = 4;
    ck_assert_uint_eq(leave(w), (word & ~(VINTR_IRQ | VINTR_TPR_FIELD)) | 4);
    enter_with(w, word);
    ck_assert_uint_eq(leave(w), (word & ~VINTR_TPR_FIELD) | 7);
    world_free(w);
}
END_TEST

/* Bits that no field has are ignored, and left. */
/* rows: vmcb 3.5, 3.8, 3.11, 3.15, 3.19 */
START_TEST(reserved_bits_of_the_control_word_do_nothing)
{
    struct world *w = world_new();
    const uint64_t reserved = 0xffffff0038e0e400;
    enter_with(w, 0);
    struct svm_state plain = *w->cpu->svm;
    (void)leave(w);
    enter_with(w, reserved);
    const struct svm_state *svm = w->cpu->svm;
    ck_assert_uint_eq(svm->v_ctl, 0);
    ck_assert_uint_eq(svm->v_tpr | svm->v_intr_prio | svm->v_intr_vector, 0);
    ck_assert(!svm->v_irq && !svm->v_ign_tpr && !svm->v_intr_masking && !svm->avic.on);
    ck_assert_mem_eq(svm->intercept, plain.intercept, sizeof(plain.intercept));
    ck_assert_uint_eq(w->errors, 0);
    ck_assert_uint_eq(leave(w), reserved);
    world_free(w);
}
END_TEST

/* --- virtual NMI --- */

/* rows: vmcb 3.6, 3.7, 3.14 */
START_TEST(v_nmi_and_its_mask_are_loaded_and_written_back)
{
    struct world *w = world_new();
    for (unsigned bits = 0; bits < 4; bits++) {
        uint64_t state = (bits & 1 ? VINTR_NMI : 0) | (bits & 2 ? VINTR_NMI_MASK : 0);
        enter_with(w, VINTR_NMI_ENABLE | state);
        ck_assert_int_eq(svm_vnmi_open(w->cpu->svm), bits == 1);
        ck_assert_uint_eq(leave(w), VINTR_NMI_ENABLE | state);
        enter_with(w, state); /* not enabled: not looked at */
        ck_assert(!svm_vnmi_open(w->cpu->svm));
        ck_assert_uint_eq(leave(w), state);
    }
    enter_with(w, VINTR_NMI_ENABLE | VINTR_NMI);
    svm_take_vnmi(w->cpu->svm);
    ck_assert_uint_eq(leave(w), VINTR_NMI_ENABLE | VINTR_NMI_MASK);
    world_free(w);
}
END_TEST

/* rows: svmop 4.23, 12.10, vmcb 3.14 */
START_TEST(v_nmi_enable_needs_the_nmi_intercept)
{
    for (unsigned offered = 0; offered < 2; offered++) {
        struct world *w = world_new();
        if (!offered)
            w->cpu->svm->model.features &= ~SVM_FEATURE_VNMI;
        VMCB_SET(w->vmcb, VINTR_CONTROL, VINTR_NMI_ENABLE);
        ck_assert_int_eq(world_vmrun(w), offered ? STEP_VMEXIT : STEP_JUMP);
        if (offered) {
            ck_assert_uint_eq(VMCB_GET(w->vmcb, EXITCODE), VMEXIT_INVALID);
            ck_assert_str_eq(w->cpu->svm->invalid.field, "VINTR_CONTROL");
        }
        world_free(w);
    }
    struct world *w = world_new();
    enter_with(w, VINTR_NMI_ENABLE);
    world_free(w);
}
END_TEST

/* rows: svmop 12.8 */
START_TEST(vmexit_in_the_delivery_of_an_nmi_clears_its_mask)
{
    static const struct {
        bool valid;
        enum event_type type;
        bool mask;
    } rows[] = { { false, EVENT_NMI, true },
                 { true, EVENT_NMI, false },
                 { true, EVENT_INTR, true },
                 { true, EVENT_EXCEPTION, true },
                 { true, EVENT_SOFT, true } };
    struct world *w = world_new();
    for (unsigned i = 0; i < ROWS_OF(rows); i++) {
        enter_with(w, VINTR_NMI_ENABLE | VINTR_NMI);
        svm_take_vnmi(w->cpu->svm);
        w->cpu->delivering =
            (struct event){ .valid = rows[i].valid, .type = rows[i].type, .vector = 2 };
        ck_assert_uint_eq(leave(w), VINTR_NMI_ENABLE | (rows[i].mask ? VINTR_NMI_MASK : 0));
        ck_assert_uint_eq(VMCB_GET(w->vmcb, EXITINTINFO) >> 31, rows[i].valid);
    }
    world_free(w);
}
END_TEST

/* rows: svmop 6.2, 12.9 */
START_TEST(an_injected_nmi_sets_the_mask)
{
    static const struct {
        uint64_t word, inject;
        bool mask;
    } rows[] = { { VINTR_NMI_ENABLE, 0x80000202, true },
                 { VINTR_NMI_ENABLE | VINTR_NMI, 0x80000202, true },
                 { VINTR_NMI_ENABLE, 0x00000202, false }, /* V = 0 */
                 { VINTR_NMI_ENABLE, 0x80000002, false }, /* an interrupt */
                 { 0, 0x80000202, false } };
    struct world *w = world_new();
    for (unsigned i = 0; i < ROWS_OF(rows); i++) {
        world_host(w);
        world_guest(w->vmcb);
        VMCB_SET(w->vmcb, INTERCEPT_3, NMI_INTERCEPT);
        VMCB_SET(w->vmcb, VINTR_CONTROL, rows[i].word);
        VMCB_SET(w->vmcb, EVENTINJ, rows[i].inject);
        world_enter(w);
        w->cpu->svm->inject.valid = false; /* delivered */
        ck_assert_uint_eq(leave(w), rows[i].word | (rows[i].mask ? VINTR_NMI_MASK : 0));
    }
    world_free(w);
}
END_TEST

/* --- SMM and INIT --- */

START_TEST(smm_keeps_the_virtual_controls_for_rsm)
{
    const uint64_t word =
        VINTR_GIF_ENABLE | VINTR_NMI_ENABLE | VINTR_GIF | VINTR_NMI | VINTR_NMI_MASK;
    struct world *w = world_new();
    enter_with(w, word);
    svm_suspend(w->cpu);
    ck_assert_uint_eq(w->cpu->svm->v_ctl, 0);
    ck_assert(w->cpu->svm->gif);
    svm_resume(w->cpu);
    ck_assert_uint_eq(w->cpu->svm->v_ctl, word);
    ck_assert_uint_eq(leave(w), word);
    enter_with(w, word);
    svm_abandon(w->cpu->svm);
    ck_assert_uint_eq(w->cpu->svm->v_ctl, 0);
    ck_assert(w->cpu->svm->gif);
    world_free(w);
}
END_TEST

/* --- idle HLT --- */

/* rows: vmcb 1.4.7, 1.4.8 */
START_TEST(idle_hlt_intercept_needs_its_cpuid_bit)
{
    for (unsigned offered = 0; offered < 2; offered++) {
        struct world *w = world_new();
        if (!offered)
            w->cpu->svm->model.features &= ~SVM_FEATURE_IDLE_HLT;
        VMCB_SET(w->vmcb, INTERCEPT_5, 0xffffffff);
        world_enter(w);
        ck_assert_int_eq(svm_intercepts(w->cpu, INTERCEPT_IDLE_HLT), (int)offered);
        world_free(w);
    }
}
END_TEST

START_TEST(virtual_interrupts_are_pending_whatever_masks_them)
{
    static const struct {
        uint64_t word;
        bool pending;
    } rows[] = { { 0, false },
                 { VINTR_IRQ, true },
                 { VINTR_IRQ | 0xf, true }, /* V_TPR above V_INTR_PRIO */
                 { VINTR_IRQ | VINTR_GIF_ENABLE, true },
                 { VINTR_GIF_ENABLE | VINTR_GIF, false },
                 { VINTR_NMI, false }, /* not enabled */
                 { VINTR_NMI_ENABLE, false },
                 { VINTR_NMI_ENABLE | VINTR_NMI, true },
                 { VINTR_NMI_ENABLE | VINTR_NMI_MASK, false },
                 { VINTR_NMI_ENABLE | VINTR_NMI | VINTR_NMI_MASK, true },
                 { VINTR_NMI_ENABLE | VINTR_NMI | VINTR_GIF_ENABLE, true } };
    struct world *w = world_new();
    for (unsigned i = 0; i < ROWS_OF(rows); i++) {
        enter_with(w, rows[i].word);
        ck_assert_msg(svm_virtual_pending(w->cpu->svm) == rows[i].pending, "row %u", i);
        (void)leave(w);
    }
    struct svm_state *svm = w->cpu->svm;
    svm->avic.on = svm->v_irq = true; /* AVIC does not look at V_IRQ */
    ck_assert(!svm_virtual_pending(svm));
    svm->avic.vector = 0x40;
    ck_assert(svm_virtual_pending(svm));
    world_free(w);
}
END_TEST

/* --- the filter of PAUSE --- */

static struct world *filter(unsigned count, unsigned threshold, uint32_t without)
{
    struct world *w = world_new();
    w->cpu->svm->model.features &= ~without;
    VMCB_SET(w->vmcb, INTERCEPT_3, PAUSE_INTERCEPT);
    VMCB_SET(w->vmcb, PAUSE_FILTER_COUNT, count);
    VMCB_SET(w->vmcb, PAUSE_FILTER_THRESHOLD, threshold);
    world_enter(w);
    return w;
}

/* How many PAUSEs, `apart` nanoseconds from one to the next, pass before one exits; at most 100,000. */
static unsigned passes(struct world *w, uint64_t now, uint64_t apart)
{
    unsigned count = 0;
    for (; count < 100000 && !svm_pause_exits(w->cpu->svm, now); now += apart)
        count++;
    return count;
}

/* rows: svmop 13.1, 13.2, 13.4, 13.5, vmcb 2.2, 12.11 */
START_TEST(pause_exits_when_the_count_has_run_out)
{
    static const unsigned counts[] = { 0, 1, 2, 3000, 0xffff };
    for (unsigned i = 0; i < ROWS_OF(counts); i++) {
        struct world *w = filter(counts[i], 0, 0);
        ck_assert_uint_eq(passes(w, 0, 1000000), counts[i]); /* time does not matter */
        ck_assert_uint_eq(VMCB_GET(w->vmcb, PAUSE_FILTER_COUNT), counts[i]);
        world_exit(w, VMEXIT_PAUSE);
        ck_assert_uint_eq(VMCB_GET(w->vmcb, PAUSE_FILTER_COUNT), counts[i]);
        ck_assert_uint_eq(VMCB_GET(w->vmcb, PAUSE_FILTER_THRESHOLD), 0);
        world_host(w);
        world_enter(w); /* VMRUN loads the counter again */
        ck_assert_uint_eq(passes(w, 0, 1), counts[i]);
        world_free(w);
    }
}
END_TEST

/* rows: svmop 13.1 */
START_TEST(a_count_of_0_exits_whatever_the_threshold)
{
    struct world *w = filter(0, 100, 0);
    ck_assert_uint_eq(passes(w, 0, 1000), 0);
    world_free(w);
}
END_TEST

/* The first PAUSE reloads and does not count; from then on each that comes within the threshold does. */
/* rows: svmop 13.3, vmcb 2.1 */
START_TEST(pauses_further_apart_than_the_threshold_reload_the_count)
{
    static const struct {
        unsigned threshold;
        uint64_t apart;
        bool reloads;
    } rows[] = { { 100, 99, false },        { 100, 100, false },      { 100, 101, true },
                 { 1, 1, false },           { 1, 2, true },           { 0xffff, 0xffff, false },
                 { 0xffff, 0x10000, true }, { 100, 1ull << 32, true } };
    for (unsigned i = 0; i < ROWS_OF(rows); i++) {
        struct world *w = filter(3, rows[i].threshold, 0);
        unsigned count = passes(w, 5, rows[i].apart);
        ck_assert_msg(count == (rows[i].reloads ? 100000 : 1 + 3), "row %u: %u", i, count);
        world_free(w);
    }
}
END_TEST

START_TEST(a_break_in_a_burst_starts_the_count_anew)
{
    struct world *w = filter(2, 10, 0);
    struct svm_state *svm = w->cpu->svm;
    ck_assert(!svm_pause_exits(svm, 1000)); /* the first: 2 left */
    ck_assert(!svm_pause_exits(svm, 1010)); /* 1 */
    ck_assert(!svm_pause_exits(svm, 1020)); /* 0 */
    ck_assert(!svm_pause_exits(svm, 1031)); /* a break: 2 */
    ck_assert(!svm_pause_exits(svm, 1032));
    ck_assert(!svm_pause_exits(svm, 1033));
    ck_assert(svm_pause_exits(svm, 1034));
    world_free(w);
}
END_TEST

/* rows: svmop 13.1, 21.10, 21.11, vmcb 2.1, 2.2 */
START_TEST(filter_and_threshold_need_their_cpuid_bits)
{
    struct world *w = filter(5, 10, SVM_FEATURE_PAUSE_FILTER | SVM_FEATURE_PAUSE_THRESHOLD);
    ck_assert_uint_eq(passes(w, 0, 1), 0);
    world_free(w);
    w = filter(5, 10, SVM_FEATURE_PAUSE_THRESHOLD);
    ck_assert_uint_eq(passes(w, 0, 1000), 5); /* counts only */
    world_free(w);
}
END_TEST

/* rows: svmop 13.4 */
START_TEST(smm_reloads_the_count)
{
    struct world *w = filter(3, 0, 0);
    ck_assert_uint_eq(passes(w, 0, 1), 3);
    svm_suspend(w->cpu);
    svm_resume(w->cpu);
    ck_assert_uint_eq(passes(w, 0, 1), 3);
    world_free(w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vintr");
    TCase *gif = tcase_create("virtual GIF");
    tcase_add_test(gif, v_gif_is_loaded_and_written_back);
    tcase_add_test(gif, v_gif_without_its_enable_is_ignored);
    tcase_add_test(gif, enables_without_their_cpuid_bits_are_ignored_and_told);
    tcase_add_test(gif, vmexit_forgets_the_virtual_controls);
    tcase_add_test(gif, vmexit_writes_back_v_tpr_v_irq_and_what_is_enabled);
    tcase_add_test(gif, reserved_bits_of_the_control_word_do_nothing);
    suite_add_tcase(suite, gif);
    TCase *nmi = tcase_create("virtual NMI");
    tcase_add_test(nmi, v_nmi_and_its_mask_are_loaded_and_written_back);
    tcase_add_test(nmi, v_nmi_enable_needs_the_nmi_intercept);
    tcase_add_test(nmi, vmexit_in_the_delivery_of_an_nmi_clears_its_mask);
    tcase_add_test(nmi, an_injected_nmi_sets_the_mask);
    tcase_add_test(nmi, smm_keeps_the_virtual_controls_for_rsm);
    suite_add_tcase(suite, nmi);
    TCase *hlt = tcase_create("idle HLT");
    tcase_add_test(hlt, idle_hlt_intercept_needs_its_cpuid_bit);
    tcase_add_test(hlt, virtual_interrupts_are_pending_whatever_masks_them);
    suite_add_tcase(suite, hlt);
    TCase *pause = tcase_create("PAUSE");
    tcase_add_test(pause, pause_exits_when_the_count_has_run_out);
    tcase_add_test(pause, a_count_of_0_exits_whatever_the_threshold);
    tcase_add_test(pause, pauses_further_apart_than_the_threshold_reload_the_count);
    tcase_add_test(pause, a_break_in_a_burst_starts_the_count_anew);
    tcase_add_test(pause, filter_and_threshold_need_their_cpuid_bits);
    tcase_add_test(pause, smm_reloads_the_count);
    suite_add_tcase(suite, pause);
    return world_run_suite(suite);
}

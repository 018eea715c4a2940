/* Mistakes of hypervisors that VMRUN does not refuse: each is told in one line that names it, and a VMCB without them in none. */
#include "tests/svm/world.h"

#include <stdio.h>

static char said[256];

static void hear_text(void *self, const struct probe_event *event)
{
    struct world *w = self;
    if (event->kind == PROBE_GUEST_ERROR)
        (void)snprintf(said, sizeof(said), "%s", event->text);
    world_hear(w, event);
}

static struct world *listening(void)
{
    struct world *w = world_new();
    w->client.fire = hear_text;
    said[0] = '\0';
    return w;
}

static void expect_told(struct world *w, unsigned count, const char *words)
{
    ck_assert_msg(w->errors == count, "%u told, not %u: %s", w->errors, count, said);
    ck_assert_msg(count == 0 || strstr(said, words), "\"%s\" does not say %s", said, words);
    world_free(w);
}

START_TEST(nothing_is_told_of_a_sound_guest)
{
    struct world *w = listening();
    world_enter(w);
    expect_told(w, 0, "");
}
END_TEST

/* --- addresses --- */

START_TEST(map_that_is_not_page_aligned_is_told)
{
    struct world *w = listening();
    VMCB_SET(w->vmcb, MSRPM_BASE_PA, MSRPM_SPA + 0x800);
    VMCB_SET(w->vmcb, INTERCEPT_3, 1u << (INTERCEPT_MSR_PROT & 31));
    world_enter(w);
    expect_told(w, 1, "MSRPM_BASE_PA 0x50800");
    w = listening();
    VMCB_SET(w->vmcb, IOPM_BASE_PA, IOPM_SPA + 1);
    VMCB_SET(w->vmcb, INTERCEPT_3, 1u << (INTERCEPT_IOIO_PROT & 31));
    world_enter(w);
    expect_told(w, 1, "IOPM_BASE_PA 0x40001");
}
END_TEST

/* An address that nobody looks at may be anything. */
START_TEST(map_without_its_intercept_is_not)
{
    struct world *w = listening();
    VMCB_SET(w->vmcb, MSRPM_BASE_PA, MSRPM_SPA + 0x800);
    VMCB_SET(w->vmcb, IOPM_BASE_PA, RAM_BYTES + 1);
    world_enter(w);
    expect_told(w, 0, "");
}
END_TEST

/* Told where it is looked at. */
START_TEST(map_outside_memory_is_told)
{
    struct world *w = listening();
    VMCB_SET(w->vmcb, MSRPM_BASE_PA, RAM_BYTES);
    VMCB_SET(w->vmcb, INTERCEPT_3, 1u << (INTERCEPT_MSR_PROT & 31));
    world_enter(w);
    ck_assert_uint_eq(w->errors, 0);
    ck_assert(svm_msr_intercepted(w->cpu, 0xc0000080, false)); /* the open bus reads as ones */
    expect_told(w, 1, "0x1000820 of the map at MSRPM_BASE_PA is not in memory");
    w = listening();
    VMCB_SET(w->vmcb, IOPM_BASE_PA, MMIO_SPA);
    VMCB_SET(w->vmcb, INTERCEPT_3, 1u << (INTERCEPT_IOIO_PROT & 31));
    world_enter(w);
    ck_assert(svm_io_intercepted(w->cpu, 0x60, 1));
    expect_told(w, 1, "0xfee0000c of the map at IOPM_BASE_PA is not in memory");
}
END_TEST

START_TEST(map_at_the_end_of_memory_is_not)
{
    struct world *w = listening();
    VMCB_SET(w->vmcb, MSRPM_BASE_PA, RAM_BYTES - 0x2000);
    VMCB_SET(w->vmcb, INTERCEPT_3, 1u << (INTERCEPT_MSR_PROT & 31));
    world_enter(w);
    ck_assert(!svm_msr_intercepted(w->cpu, 0xc0011fff, true));
    expect_told(w, 0, "");
}
END_TEST

/* A wide access looks at two bytes, which may be of two pages. */
START_TEST(map_across_a_page_is_not)
{
    struct world *w = listening();
    VMCB_SET(w->vmcb, INTERCEPT_3, 1u << (INTERCEPT_IOIO_PROT & 31));
    world_enter(w);
    ck_assert(!svm_io_intercepted(w->cpu, 0xffff, 4));
    ck_assert(!svm_io_intercepted(w->cpu, 0x7fff, 4));
    expect_told(w, 0, "");
}
END_TEST

START_TEST(host_save_area_in_the_vmcb_is_told)
{
    struct world *w = listening();
    w->cpu->msr.vm_hsave_pa = VMCB_SPA;
    (void)world_vmrun(w);
    expect_told(w, 1, "VM_HSAVE_PA is the VMCB");
}
END_TEST

/* --- the guest's state --- */

static const struct {
    unsigned offset, bytes;
    uint64_t value;
    const char *words;
} states[] = {
    /* As descriptors and other virtual machine monitors have it, bits 15:12 in use. */
    { VMCB_AT_CS_ATTR, 2, 0xa09b, "CS_ATTR 0xa09b: bits 15:12 are ignored; attributes are packed" },
    { VMCB_AT_SS_ATTR, 2, 0xc093, "SS_ATTR 0xc093: bits 15:12 are ignored; attributes are packed" },
    { VMCB_AT_DS_ATTR, 2, 0x1c93, "DS_ATTR 0x1c93: bits 15:12 are ignored; attributes are packed" },
    { VMCB_AT_ES_ATTR, 2, 0x8c93, "ES_ATTR 0x8c93: bits 15:12 are ignored; attributes are packed" },
    { VMCB_AT_CS_ATTR, 2, 0, "CS_ATTR 0 is not that of a code segment" },
    { VMCB_AT_CS_ATTR, 2, 0xa93, "CS_ATTR 0xa93 is not that of a code segment" },
    { VMCB_AT_CS_ATTR, 2, 0x28b, "CS_ATTR 0x28b is not that of a code segment" }, /* S */
    { VMCB_AT_RIP, 8, 0x0000800000000000, "RIP 0x800000000000 is not canonical" },
};

START_TEST(state_that_cannot_run_is_told)
{
    struct world *w = listening();
    memcpy(w->vmcb + states[_i].offset, &states[_i].value, states[_i].bytes);
    world_enter(w);
    expect_told(w, 1, states[_i].words);
}
END_TEST

START_TEST(state_that_other_modes_allow_is_not)
{
    struct world *w = listening();
    VMCB_SET(w->vmcb, EFER, EFER_SVME);
    VMCB_SET(w->vmcb, CR0, 0x10);
    VMCB_SET(w->vmcb, CS_ATTR, 0x93); /* real mode: a data segment will do */
    world_enter(w);
    expect_told(w, 0, "");
    w = listening();
    VMCB_SET(w->vmcb, CS_ATTR, 0xc9b); /* compatibility mode: RIP is cut */
    VMCB_SET(w->vmcb, RIP, 0x0000800000000000);
    world_enter(w);
    expect_told(w, 0, "");
    w = listening();
    VMCB_SET(w->vmcb, CR4, CR4_PAE | CR4_LA57);
    VMCB_SET(w->vmcb, RIP, 0x0000800000000000);
    world_enter(w);
    expect_told(w, 0, "");
}
END_TEST

/* --- EVENTINJ --- */

static const struct {
    uint64_t eventinj;
    const char *words;
} injections[] = {
    { 0x8000030d, "#GP without an error code" },
    { 0x8000030e, "#PF without an error code" },
    { 0x80000308, "#DF without an error code" },
    { 0x80000b06, "#UD, error code 0x0, and it has none" },
    { 0x80000820, "interrupt 0x20, error code 0x0, and it has none" },
    { 0x80000a02, "NMI, error code 0x0, and it has none" },
};

START_TEST(injection_with_the_wrong_frame_is_told)
{
    struct world *w = listening();
    VMCB_SET(w->vmcb, EVENTINJ, injections[_i].eventinj);
    world_enter(w);
    expect_told(w, 1, injections[_i].words);
}
END_TEST

START_TEST(injection_with_the_right_frame_is_not)
{
    static const uint64_t words[] = { 0x80000b0d, 0x80000b0e, 0x80000b08, 0x80000b11, 0x80000b15,
                                      0x80000306, 0x80000301, 0x80000020, 0x80000202, 0x80000480 };
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        struct world *w = listening();
        VMCB_SET(w->vmcb, EVENTINJ, words[i]);
        world_enter(w);
        expect_told(w, 0, "");
    }
}
END_TEST

/* In real mode nothing pushes an error code. */
START_TEST(injection_into_real_mode_needs_no_error_code)
{
    struct world *w = listening();
    VMCB_SET(w->vmcb, CR0, 0x10);
    VMCB_SET(w->vmcb, EFER, EFER_SVME);
    VMCB_SET(w->vmcb, EVENTINJ, 0x8000030d);
    world_enter(w);
    expect_told(w, 0, "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("guest_errors");
    TCase *tc = tcase_create("guest_errors");
    tcase_add_test(tc, nothing_is_told_of_a_sound_guest);
    tcase_add_test(tc, map_that_is_not_page_aligned_is_told);
    tcase_add_test(tc, map_without_its_intercept_is_not);
    tcase_add_test(tc, map_outside_memory_is_told);
    tcase_add_test(tc, map_at_the_end_of_memory_is_not);
    tcase_add_test(tc, map_across_a_page_is_not);
    tcase_add_test(tc, host_save_area_in_the_vmcb_is_told);
    tcase_add_loop_test(tc, state_that_cannot_run_is_told, 0, sizeof(states) / sizeof(states[0]));
    tcase_add_test(tc, state_that_other_modes_allow_is_not);
    tcase_add_loop_test(tc, injection_with_the_wrong_frame_is_told, 0,
                        sizeof(injections) / sizeof(injections[0]));
    tcase_add_test(tc, injection_with_the_right_frame_is_not);
    tcase_add_test(tc, injection_into_real_mode_needs_no_error_code);
    suite_add_tcase(suite, tc);
    return world_run_suite(suite);
}

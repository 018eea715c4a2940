/* The registers of shadow stacks at world switches. APM vol 2, 15.5.1 "Basic Operation", 15.6 "#VMEXIT", appendix B. */
#include "tests/svm/world.h"

#define HOST_SSP UINT64_C(0xffff800000005ff8)
#define HOST_ISST UINT64_C(0xffff800000006000)
#define GUEST_SSP UINT64_C(0xffff900000001ff0)
#define GUEST_ISST UINT64_C(0xffff900000002000)
#define GARBAGE UINT64_C(0xa7a7a7a7a7a7a7a7)

static struct shadow_stacks host_registers(void)
{
    return (struct shadow_stacks){ .ssp = HOST_SSP,
                                   .u_cet = 3,
                                   .s_cet = 1,
                                   .pl_ssp = { 0x1000, 0x2000, 0x3000, 0x4000 },
                                   .isst = HOST_ISST };
}

static void set_page(uint8_t *page, uint64_t s_cet, uint64_t ssp, uint64_t isst)
{
    VMCB_SET(page, S_CET, s_cet);
    VMCB_SET(page, SSP, ssp);
    VMCB_SET(page, ISST_ADDR, isst);
}

static void expect_page(const uint8_t *page, uint64_t s_cet, uint64_t ssp, uint64_t isst)
{
    ck_assert_uint_eq(VMCB_GET(page, S_CET), s_cet);
    ck_assert_uint_eq(VMCB_GET(page, SSP), ssp);
    ck_assert_uint_eq(VMCB_GET(page, ISST_ADDR), isst);
}

static void expect_registers(const struct vcpu *cpu, uint64_t s_cet, uint64_t ssp, uint64_t isst)
{
    ck_assert_uint_eq(cpu->shadow.s_cet, s_cet);
    ck_assert_uint_eq(cpu->shadow.ssp, ssp);
    ck_assert_uint_eq(cpu->shadow.isst, isst);
}

static void expect_others(const struct vcpu *cpu, const struct shadow_stacks *then)
{
    ck_assert_uint_eq(cpu->shadow.u_cet, then->u_cet);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_uint_eq(cpu->shadow.pl_ssp[i], then->pl_ssp[i]);
}

/* rows: svmop 3.3, 3.21, 5.2 */
START_TEST(three_registers_are_switched)
{
    struct world *w = world_new();
    struct shadow_stacks host = host_registers();
    w->cpu->shadow = host;
    set_page(w->vmcb, 2, GUEST_SSP, GUEST_ISST);
    world_enter(w);
    expect_registers(w->cpu, 2, GUEST_SSP, GUEST_ISST);
    expect_others(w->cpu, &host);
    expect_page(w->hsave, 1, HOST_SSP, HOST_ISST);
    w->cpu->shadow.ssp -= 8;
    w->cpu->shadow.s_cet = 3;
    w->cpu->shadow.isst += 0x1000;
    w->cpu->shadow.pl_ssp[0] = 0x5000; /* these are switched by nobody */
    w->cpu->shadow.u_cet = 1;
    world_exit(w, VMEXIT_HLT);
    expect_page(w->vmcb, 3, GUEST_SSP - 8, GUEST_ISST + 0x1000);
    expect_registers(w->cpu, 1, HOST_SSP, HOST_ISST);
    host.pl_ssp[0] = 0x5000;
    host.u_cet = 1;
    expect_others(w->cpu, &host);
    world_free(w);
}
END_TEST

/* Each one alone is switched, on either side. */
START_TEST(one_register_is_enough)
{
    struct world *w = world_new();
    uint64_t value[6] = { 0 };
    value[_i] = _i % 3 ? 0x7008 : 1;
    w->cpu->shadow = (struct shadow_stacks){ .s_cet = value[0], .ssp = value[1], .isst = value[2] };
    set_page(w->hsave, GARBAGE, GARBAGE, GARBAGE);
    set_page(w->vmcb, value[3], value[4], value[5]);
    world_enter(w);
    expect_registers(w->cpu, value[3], value[4], value[5]);
    expect_page(w->hsave, value[0], value[1], value[2]);
    world_exit(w, VMEXIT_HLT);
    expect_registers(w->cpu, value[0], value[1], value[2]);
    expect_page(w->vmcb, value[3], value[4], value[5]);
    world_free(w);
}
END_TEST

/* Nothing is used when VMRUN looks; then the guest writes an MSR, or another processor the VMCB. */
START_TEST(registers_may_be_used_later)
{
    struct world *w = world_new();
    set_page(w->hsave, GARBAGE, GARBAGE, GARBAGE);
    world_enter(w);
    world_exit(w, VMEXIT_HLT);
    expect_registers(w->cpu, 0, 0, 0);
    expect_page(w->vmcb, 0, 0, 0);
    world_enter(w);
    w->cpu->shadow.s_cet = 1;
    w->cpu->shadow.ssp = GUEST_SSP;
    world_exit(w, VMEXIT_HLT);
    expect_page(w->vmcb, 1, GUEST_SSP, 0);
    expect_registers(w->cpu, 0, 0, 0);
    world_enter(w);
    expect_registers(w->cpu, 1, GUEST_SSP, 0);
    w->cpu->shadow.s_cet = w->cpu->shadow.ssp = 0;
    world_exit(w, VMEXIT_HLT);
    expect_page(w->vmcb, 0, 0, 0);
    world_enter(w);
    VMCB_SET(w->vmcb, ISST_ADDR, GARBAGE);
    world_exit(w, VMEXIT_HLT);
    expect_page(w->vmcb, 0, 0, 0);
    expect_registers(w->cpu, 0, 0, 0);
    world_free(w);
}
END_TEST

/* rows: svmop 3.22 */
START_TEST(addresses_become_canonical)
{
    for (unsigned bits = 48; bits <= 57; bits += 9) {
        struct world *w = world_new();
        uint64_t odd = UINT64_C(1) << (bits - 1), even = UINT64_C(1) << bits;
        w->cpu->svm->model.linear_bits = (uint8_t)bits;
        set_page(w->vmcb, 0, odd | 8, even | 0x1000);
        world_enter(w);
        expect_registers(w->cpu, 0, (0 - odd) | 8, 0x1000);
        expect_page(w->vmcb, 0, odd | 8, even | 0x1000);
        set_page(w->hsave, 1, even | 0x10, odd);
        world_exit(w, VMEXIT_HLT);
        expect_registers(w->cpu, 1, 0x10, 0 - odd);
        world_free(w);
    }
}
END_TEST

/* rows: svmop 4.16-4.18 */
START_TEST(refused_guests_change_nothing)
{
    struct world *w = world_new();
    w->cpu->shadow = host_registers();
    set_page(w->vmcb, 4, GUEST_SSP, GUEST_ISST);
    ck_assert_int_eq(world_vmrun(w), STEP_VMEXIT);
    ck_assert_uint_eq(w->cpu->svm->last_exit_code, VMEXIT_INVALID);
    ck_assert_str_eq(w->cpu->svm->invalid.field, "S_CET");
    expect_registers(w->cpu, 1, HOST_SSP, HOST_ISST);
    expect_page(w->vmcb, 4, GUEST_SSP, GUEST_ISST);
    world_free(w);
}
END_TEST

START_TEST(models_without_shadow_stacks_ignore_the_fields)
{
    struct world *w = world_new();
    w->cpu->svm->model.shadow_stacks = false;
    set_page(w->vmcb, GARBAGE, GARBAGE, GARBAGE);
    set_page(w->hsave, GARBAGE, GARBAGE, GARBAGE);
    world_enter(w);
    expect_registers(w->cpu, 0, 0, 0);
    world_exit(w, VMEXIT_HLT);
    expect_registers(w->cpu, 0, 0, 0);
    expect_page(w->vmcb, GARBAGE, GARBAGE, GARBAGE);
    expect_page(w->hsave, GARBAGE, GARBAGE, GARBAGE);
    world_free(w);
}
END_TEST

/* --- the host's side --- */

static void expect_shutdown(struct world *w, const char *field)
{
    ck_assert_int_eq(svm_vmexit(w->cpu, VMEXIT_HLT, 0, 0), STEP_STOP);
    ck_assert_msg(strstr(w->cpu->stop.text, field), "%s", w->cpu->stop.text);
}

/* The rules that the host keeps too. */
START_TEST(illegal_hosts_shut_down)
{
    struct world *w = world_new();
    w->cpu->shadow = host_registers();
    world_enter(w);
    VMCB_SET(w->hsave, S_CET, 5);
    expect_shutdown(w, "S_CET is 0x5");

    world_host(w);
    w->cpu->shadow = host_registers();
    world_enter(w);
    VMCB_SET(w->hsave, CR4, CR4_PAE | CR4_CET);
    VMCB_SET(w->hsave, CR0, CR0_HOST & ~(uint64_t)CR0_WP);
    expect_shutdown(w, "CR4 is");

    world_host(w);
    world_enter(w);
    VMCB_SET(w->hsave, CR4, CR4_PAE | CR4_CET);
    w->cpu->shadow.u_cet = 1;
    world_exit(w, VMEXIT_HLT); /* with WP it is legal */
    world_free(w);
}
END_TEST

/* --- clean bits --- */

/* rows: vmcb 7.13 */
/* A guest with shadow stacks on, kept by the cache: the registers of bit 12 go with the bit, the rules are asked again. */
START_TEST(clean_guests_with_shadow_stacks)
{
    struct world *w = world_new();
    VMCB_SET(w->vmcb, CR4, CR4_PAE | CR4_CET);
    VMCB_SET(w->vmcb, CLEAN_BITS, 0xffffffff);
    set_page(w->vmcb, 1, GUEST_SSP, GUEST_ISST);
    world_enter(w);
    w->cpu->shadow.ssp = GUEST_SSP - 8;
    world_exit(w, VMEXIT_HLT);
    VMCB_SET(w->vmcb, SSP, 0x1234);
    world_enter(w);
    expect_registers(w->cpu, 1, GUEST_SSP - 8, GUEST_ISST);
    ck_assert_uint_eq(w->errors, 1);
    world_exit(w, VMEXIT_HLT);
    expect_page(w->vmcb, 1, GUEST_SSP - 8, GUEST_ISST);
    VMCB_SET(w->vmcb, SSP, 0x1234);
    VMCB_SET(w->vmcb, CLEAN_BITS, 0xffffffff & ~(uint32_t)VMCB_CLEAN_CET);
    world_enter(w);
    expect_registers(w->cpu, 1, 0x1234, GUEST_ISST);
    world_exit(w, VMEXIT_HLT);
    ck_assert_uint_eq(w->errors, 1);
    VMCB_SET(w->vmcb, RFLAGS, 2 | FLAG_VM);
    world_enter(w);
    world_exit(w, VMEXIT_HLT);
    VMCB_SET(w->vmcb, RFLAGS, 2 | FLAG_VM);
    w->cpu->shadow.u_cet = 1;
    ck_assert_int_eq(world_vmrun(w), STEP_VMEXIT);
    ck_assert_str_eq(w->cpu->svm->invalid.field, "RFLAGS");
    world_free(w);
}
END_TEST

/* What is kept of a guest that uses nothing is zeros, whatever memory has come to hold. */
START_TEST(clean_guests_without_them)
{
    struct world *w = world_new();
    VMCB_SET(w->vmcb, CLEAN_BITS, 0xffffffff);
    world_enter(w);
    world_exit(w, VMEXIT_HLT);
    set_page(w->vmcb, 1, GUEST_SSP, GUEST_ISST);
    world_enter(w);
    expect_registers(w->cpu, 0, 0, 0);
    ck_assert_uint_eq(w->errors, 3);
    world_exit(w, VMEXIT_HLT);
    expect_page(w->vmcb, 0, 0, 0);
    w->cpu->svm->model.shadow_stacks = false;
    set_page(w->vmcb, GARBAGE, GARBAGE, GARBAGE);
    world_enter(w);
    ck_assert_uint_eq(w->errors, 3);
    world_exit(w, VMEXIT_HLT);
    expect_page(w->vmcb, GARBAGE, GARBAGE, GARBAGE);
    world_free(w);
}
END_TEST

/* S_CET that is new is checked, however much of the guest is clean. */
START_TEST(clean_bits_let_no_reserved_bit_through)
{
    struct world *w = world_new();
    VMCB_SET(w->vmcb, NESTED_CONTROL, NESTED_NP_ENABLE);
    VMCB_SET(w->vmcb, CLEAN_BITS, 0xffffffff);
    world_enter(w);
    world_exit(w, VMEXIT_HLT);
    VMCB_SET(w->vmcb, S_CET, 8);
    VMCB_SET(w->vmcb, CLEAN_BITS, 0xffffffff & ~(uint32_t)VMCB_CLEAN_CET);
    ck_assert_int_eq(world_vmrun(w), STEP_VMEXIT);
    ck_assert_str_eq(w->cpu->svm->invalid.field, "S_CET");
    ck_assert_uint_eq(w->cpu->svm->invalid_count, 1);
    world_free(w);
}
END_TEST

/* --- the supervisor shadow stack check --- */

static void enter_nested(struct world *w, uint64_t control)
{
    VMCB_SET(w->vmcb, NESTED_CONTROL, NESTED_NP_ENABLE | control);
    VMCB_SET(w->vmcb, N_CR3, 0x70000);
    world_enter(w);
}

/* rows: svmop 4.22, vmcb 5.5 */
START_TEST(sss_is_an_enable_of_nested_paging)
{
    struct world *w = world_new();
    for (unsigned clean = 0; clean < 2; clean++) {
        VMCB_SET(w->vmcb, CLEAN_BITS, clean ? 0xffffffffu : 0);
        for (unsigned n = 0; n < 3; n++) {
            enter_nested(w, NESTED_SSS_ENABLE);
            ck_assert(w->cpu->svm->host_regime.sss);
            world_exit(w, VMEXIT_HLT);
        }
        VMCB_SET(w->vmcb, CLEAN_BITS, clean ? ~(uint32_t)VMCB_CLEAN_NP : 0);
        enter_nested(w, 0);
        ck_assert(!w->cpu->svm->host_regime.sss);
        world_exit(w, VMEXIT_HLT);
    }
    ck_assert_uint_eq(w->errors, 0);
    w->cpu->svm->model.features &= ~SVM_FEATURE_SSS;
    VMCB_SET(w->vmcb, CLEAN_BITS, 0);
    enter_nested(w, NESTED_SSS_ENABLE);
    ck_assert(!w->cpu->svm->host_regime.sss);
    ck_assert_uint_eq(w->errors, 1);
    world_free(w);
}
END_TEST

/* A host without NX bits is no reason to refuse: nothing is checked. APM vol 2, 15.25.14, "Enabling SSS". */
START_TEST(sss_needs_nx_of_the_host)
{
    static const struct {
        uint64_t efer, cr4;
        bool works;
    } rows[] = { { EFER_LONG, CR4_PAE, true },
                 { EFER_LONG & ~(uint64_t)EFER_NXE, CR4_PAE, false },
                 { EFER_SVME | EFER_NXE, CR4_PAE, true },
                 { EFER_SVME, CR4_PAE, false },
                 { EFER_SVME | EFER_NXE, 0, false } };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world *w = world_new();
        w->cpu->regs.efer = rows[i].efer;
        w->cpu->regs.cr4 = rows[i].cr4;
        enter_nested(w, NESTED_SSS_ENABLE);
        ck_assert_msg(w->cpu->svm->host_regime.sss == rows[i].works, "%u", i);
        ck_assert_uint_eq(w->errors, rows[i].works ? 0 : 1);
        world_free(w);
    }
}
END_TEST

/* --- SMM --- */

/* The guest goes on with its own, and #VMEXIT finds the host's where VMRUN has put them. */
START_TEST(guests_that_smm_interrupts)
{
    struct world *w = world_new();
    w->cpu->shadow = host_registers();
    set_page(w->vmcb, 2, GUEST_SSP, GUEST_ISST);
    world_enter(w);
    svm_suspend(w->cpu);
    ck_assert(!w->cpu->svm->swaps);
    svm_resume(w->cpu);
    world_exit(w, VMEXIT_HLT);
    expect_registers(w->cpu, 1, HOST_SSP, HOST_ISST);
    expect_page(w->vmcb, 2, GUEST_SSP, GUEST_ISST);
    world_free(w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("svm/shadow_stacks");
    TCase *tc = tcase_create("shadow_stacks");
    tcase_add_test(tc, three_registers_are_switched);
    tcase_add_loop_test(tc, one_register_is_enough, 0, 6);
    tcase_add_test(tc, registers_may_be_used_later);
    tcase_add_test(tc, addresses_become_canonical);
    tcase_add_test(tc, refused_guests_change_nothing);
    tcase_add_test(tc, models_without_shadow_stacks_ignore_the_fields);
    tcase_add_test(tc, illegal_hosts_shut_down);
    tcase_add_test(tc, clean_guests_with_shadow_stacks);
    tcase_add_test(tc, clean_guests_without_them);
    tcase_add_test(tc, clean_bits_let_no_reserved_bit_through);
    tcase_add_test(tc, sss_is_an_enable_of_nested_paging);
    tcase_add_test(tc, sss_needs_nx_of_the_host);
    tcase_add_test(tc, guests_that_smm_interrupts);
    suite_add_tcase(suite, tc);
    return world_run_suite(suite);
}

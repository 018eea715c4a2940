/* What a VMCB holds that the processor does not look at, or leaves alone; and what it takes of segment attributes.
 * APM vol 2, appendix B; 15.5.1 "Basic Operation". */
#include "tests/svm/world.h"

/* Run the guest once and compare: `mask` of the field changes nothing, and is still there after #VMEXIT. */
static void expect_ignored(enum vmcb_field field, uint64_t mask)
{
    const struct vmcb_field_info *info = &vmcb_fields[field];
    struct world *w = world_new(), *plain = world_new();
    struct svm_state *svm = w->cpu->svm, *other = plain->cpu->svm;
    w->cpu->svm->model.features = other->model.features;
    vmcb_store(w->vmcb, info->offset, info->bytes,
               vmcb_load(w->vmcb, info->offset, info->bytes) | mask);
    world_enter(w);
    world_enter(plain);
    ck_assert_mem_eq(&w->cpu->regs, &plain->cpu->regs, sizeof(w->cpu->regs));
    ck_assert_mem_eq(svm->intercept, other->intercept, sizeof(svm->intercept));
    ck_assert_uint_eq(svm->v_ctl, other->v_ctl);
    ck_assert_int_eq(svm->nested_paging, other->nested_paging);
    ck_assert_int_eq(svm->swaps, other->swaps);
    ck_assert_uint_eq(svm->asid, other->asid);
    world_exit(w, VMEXIT_HLT);
    world_exit(plain, VMEXIT_HLT);
    ck_assert_uint_eq(vmcb_load(w->vmcb, info->offset, info->bytes) & mask, mask);
    world_free(plain);
    world_free(w);
}

/* Bit 10 is INT_SHADOW in the VMSA of an encrypted guest only.
 * rows: vmcb 3.5, 3.8, 3.11, 3.15, 3.19, 12.1 */
START_TEST(reserved_bits_of_the_virtual_interrupt_control)
{
    static const uint64_t masks[] = { 1u << 10, 0xe000, 0xe00000, 0x38000000,
                                      UINT64_C(0xffffff) << 40 };
    expect_ignored(VMCB_VINTR_CONTROL, masks[_i]);
}
END_TEST

/* rows: vmcb 5.9 */
START_TEST(reserved_bits_of_the_nested_control)
{
    expect_ignored(VMCB_NESTED_CONTROL, ~UINT64_C(0xff));
}
END_TEST

/* There is no return predictor to clear, or to treat as larger or smaller.
 * rows: vmcb 2.8, 2.9 */
START_TEST(return_predictor_hints)
{
    expect_ignored(VMCB_RAP_CONTROL, 3);
}
END_TEST

/* What is for encrypted guests, with SYSCFG.MEME = 0 or without the feature.
 * rows: vmcb 5.2, 5.3, 5.6, 2.36-2.38, 2.40-2.44 */
START_TEST(fields_of_encrypted_guests)
{
    static const struct {
        enum vmcb_field field;
        uint64_t mask;
    } rows[] = { { VMCB_NESTED_CONTROL, 2 },
                 { VMCB_NESTED_CONTROL, 6 },
                 { VMCB_NESTED_CONTROL, 0x22 },
                 { VMCB_GHCB, UINT64_MAX },
                 { VMCB_VMSA, UINT64_MAX },
                 { VMCB_VMGEXIT_RAX, UINT64_MAX },
                 { VMCB_VMGEXIT_CPL, 0xff },
                 { VMCB_UPDATE_IRR, 1 },
                 { VMCB_ALLOWED_SEV_FEATURES, UINT64_MAX },
                 { VMCB_GUEST_SEV_FEATURES, UINT64_MAX },
                 { VMCB_REQUESTED_IRR, UINT64_MAX } };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world *w = world_new();
        const struct vmcb_field_info *info = &vmcb_fields[rows[i].field];
        vmcb_store(w->vmcb, info->offset, info->bytes < 8 ? info->bytes : 8, rows[i].mask);
        world_enter(w);
        ck_assert(!w->cpu->svm->nested_paging);
        world_exit(w, VMEXIT_HLT);
        ck_assert_msg(vmcb_load(w->vmcb, info->offset, info->bytes < 8 ? info->bytes : 8) ==
                          rows[i].mask,
                      "%s", info->name);
        world_free(w);
    }
}
END_TEST

/* rows: vmcb 2.45, 2.46 */
START_TEST(bytes_that_no_world_switch_touches)
{
    static const struct {
        unsigned from, to;
    } rows[] = { { 0x018, 0x03c }, { 0x0e8, 0x0f0 }, { 0x100, 0x120 }, { 0x122, 0x3e0 },
                 { 0x3e0, 0x400 }, { 0x4d8, 0x548 }, { 0x580, 0x5d8 }, { 0x770, 0x1000 } };
    struct world *w = world_new();
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        memset(w->vmcb + rows[i].from, 0xa5, rows[i].to - rows[i].from);
    world_enter(w);
    world_exit(w, VMEXIT_HLT);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (unsigned at = rows[i].from; at < rows[i].to; at++)
            ck_assert_msg(w->vmcb[at] == 0xa5, "%x", at);
    world_free(w);
}
END_TEST

/* rows: vmcb 6.2.4 */
START_TEST(the_end_of_the_msrpm_belongs_to_no_register)
{
    static const uint32_t msrs[] = { 0, 0x1fff, 0xc0000000, 0xc0001fff, 0xc0010000, 0xc0011fff };
    struct world *w = world_new();
    VMCB_SET(w->vmcb, INTERCEPT_3, 1u << (INTERCEPT_MSR_PROT & 31));
    for (unsigned at = 0x1800; at < 0x2000; at += 8)
        phys_write(w->memory, MSRPM_SPA + at, 8, UINT64_MAX);
    world_enter(w);
    for (unsigned i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++) {
        ck_assert(!svm_msr_intercepted(w->cpu, msrs[i], false));
        ck_assert(!svm_msr_intercepted(w->cpu, msrs[i], true));
    }
    world_free(w);
}
END_TEST

/* Without a check: in long mode CS.L = 0 leaves the size to D.
 * rows: svmop 3.32, vmcb 9.2.3 */
START_TEST(cs_attributes_choose_the_mode)
{
    static const struct {
        uint64_t efer;
        uint16_t attr;
        enum cpu_mode mode;
    } rows[] = { { EFER_LONG, 0xa9b, MODE_LONG64 },   { EFER_LONG, 0xc9b, MODE_COMPAT32 },
                 { EFER_LONG, 0x89b, MODE_COMPAT16 }, { EFER_SVME, 0xc9b, MODE_PROT32 },
                 { EFER_SVME, 0x89b, MODE_PROT16 },   { EFER_SVME, 0xe9b, MODE_PROT32 } };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world *w = world_new();
        VMCB_SET(w->vmcb, EFER, rows[i].efer);
        if (rows[i].efer == EFER_SVME) /* without PAE there are no PDPTEs */
            VMCB_SET(w->vmcb, CR4, 0);
        VMCB_SET(w->vmcb, CS_ATTR, rows[i].attr);
        world_enter(w);
        ck_assert_msg(w->cpu->mode == rows[i].mode, "row %u", i);
        world_exit(w, VMEXIT_HLT);
        ck_assert_uint_eq(VMCB_GET(w->vmcb, CS_ATTR), rows[i].attr);
        world_free(w);
    }
}
END_TEST

/* Any types, present or not, TR busy or not: loaded, and saved as they were.
 * rows: svmop 3.33, 4.36, vmcb 9.2.10, 9.2.11 */
START_TEST(attributes_come_back_as_they_were)
{
    static const enum vmcb_field fields[] = { VMCB_ES_ATTR, VMCB_SS_ATTR, VMCB_DS_ATTR,
                                              VMCB_FS_ATTR, VMCB_GS_ATTR, VMCB_LDTR_ATTR,
                                              VMCB_TR_ATTR };
    static const uint16_t attrs[] = { 0x000, 0xfff, 0x089, 0x08b, 0x100, 0x800, 0x893, 0x013 };
    struct world *w = world_new();
    for (unsigned f = 0; f < sizeof(fields) / sizeof(fields[0]); f++)
        for (unsigned i = 0; i < sizeof(attrs) / sizeof(attrs[0]); i++) {
            const unsigned at = vmcb_fields[fields[f]].offset;
            world_guest(w->vmcb);
            vmcb_store(w->vmcb, at, 2, attrs[i]);
            svm_vmload(w->cpu, VMCB_SPA);
            world_enter(w);
            world_exit(w, VMEXIT_HLT);
            vmcb_store(w->vmcb, at, 2,
                       fields[f] >= VMCB_FS_ATTR ? 0xeee : vmcb_load(w->vmcb, at, 2));
            svm_vmsave(w->cpu, VMCB_SPA);
            ck_assert_msg(vmcb_load(w->vmcb, at, 2) == attrs[i], "%s %x",
                          vmcb_fields[fields[f]].name, attrs[i]);
        }
    world_free(w);
}
END_TEST

/* rows: svmop 2.4, 8.1 */
START_TEST(reset_ends_the_guest_and_opens_gif)
{
    struct world *w = world_new();
    ck_assert(w->cpu->svm->gif);
    world_enter(w);
    w->cpu->svm->gif = false;
    svm_reset(w->cpu->svm);
    ck_assert(w->cpu->svm->gif && !w->cpu->svm->guest);
    world_free(w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("svm/reserved");
    TCase *tc = tcase_create("reserved");
    tcase_add_loop_test(tc, reserved_bits_of_the_virtual_interrupt_control, 0, 5);
    tcase_add_test(tc, reserved_bits_of_the_nested_control);
    tcase_add_test(tc, return_predictor_hints);
    tcase_add_test(tc, fields_of_encrypted_guests);
    tcase_add_test(tc, bytes_that_no_world_switch_touches);
    tcase_add_test(tc, the_end_of_the_msrpm_belongs_to_no_register);
    tcase_add_test(tc, cs_attributes_choose_the_mode);
    tcase_add_test(tc, attributes_come_back_as_they_were);
    tcase_add_test(tc, reset_ends_the_guest_and_opens_gif);
    suite_add_tcase(suite, tc);
    return world_run_suite(suite);
}

/* VMLOAD and VMSAVE. APM vol 2, 15.5.2 "VMSAVE and VMLOAD Instructions". */
#include "tests/svm/world.h"

static const struct {
    enum seg seg;
    unsigned at;
} segments[] = { { SEG_FS, VMCB_AT_FS_SEL },
                 { SEG_GS, VMCB_AT_GS_SEL },
                 { SEG_LDTR, VMCB_AT_LDTR_SEL },
                 { SEG_TR, VMCB_AT_TR_SEL } };

static void put_values(uint8_t *vmcb)
{
    for (unsigned i = 0; i < 4; i++) {
        struct segment seg = { .selector = (uint16_t)(0x1110 * (i + 1)),
                               .attr = (uint16_t)(0x8b + i),
                               .limit = 0x11223344u + i,
                               .base = UINT64_C(0xffff912345678000) + i };
        vmcb_store_segment(vmcb, segments[i].at, &seg);
    }
    for (unsigned at = VMCB_AT_STAR; at <= VMCB_AT_SYSENTER_EIP; at += 8)
        vmcb_store(vmcb, at, 8, UINT64_C(0xffff876543210000) + at);
}

/* rows: svmop 7.1-7.7, vmcb 9.1.6-9.1.7, 9.1.9, 9.1.11, 9.3.19-9.3.26 */
START_TEST(vmload_loads_every_field)
{
    struct world *w = world_new();
    const struct cpu_msrs *msr = &w->cpu->msr;
    put_values(w->vmcb);
    svm_vmload(w->cpu, VMCB_SPA);
    for (unsigned i = 0; i < 4; i++) {
        const struct segment *seg = &w->cpu->regs.seg[segments[i].seg];
        ck_assert_uint_eq(seg->selector, 0x1110 * (i + 1));
        ck_assert_uint_eq(seg->attr, 0x8b + i);
        ck_assert_uint_eq(seg->limit, 0x11223344u + i);
        ck_assert_uint_eq(seg->base, UINT64_C(0xffff912345678000) + i);
    }
    ck_assert_uint_eq(msr->star, 0xffff876543210600);
    ck_assert_uint_eq(msr->lstar, 0xffff876543210608);
    ck_assert_uint_eq(msr->cstar, 0xffff876543210610);
    ck_assert_uint_eq(msr->sfmask, 0xffff876543210618);
    ck_assert_uint_eq(msr->kernel_gs_base, 0xffff876543210620);
    ck_assert_uint_eq(msr->sysenter_cs, 0xffff876543210628);
    ck_assert_uint_eq(msr->sysenter_esp, 0xffff876543210630);
    ck_assert_uint_eq(msr->sysenter_eip, 0xffff876543210638);
    world_free(w);
}
END_TEST

START_TEST(vmload_changes_nothing_else)
{
    struct world *w = world_new();
    const struct cpu_regs before = w->cpu->regs;
    memset(w->vmcb, 0xff, VMCB_PAGE_BYTES);
    svm_vmload(w->cpu, VMCB_SPA);
    for (enum seg s = SEG_ES; s <= SEG_DS; s++)
        ck_assert_uint_eq(w->cpu->regs.seg[s].selector, before.seg[s].selector);
    ck_assert_uint_eq(w->cpu->regs.cr3, before.cr3);
    ck_assert_uint_eq(w->cpu->regs.cr2, before.cr2);
    ck_assert_uint_eq(w->cpu->regs.efer, before.efer);
    ck_assert_uint_eq(w->cpu->regs.gdtr.base, before.gdtr.base);
    ck_assert_uint_eq(w->cpu->r[REG_RAX], VMCB_SPA);
    world_free(w);
}
END_TEST

/* rows: svmop 7.1-7.7 */
START_TEST(vmsave_stores_every_field_and_nothing_else)
{
    struct world *w = world_new();
    uint8_t loaded[VMCB_PAGE_BYTES];
    put_values(w->vmcb);
    memcpy(loaded, w->vmcb, sizeof(loaded));
    svm_vmload(w->cpu, VMCB_SPA);
    memset(w->vmcb, 0xee, VMCB_PAGE_BYTES);
    svm_vmsave(w->cpu, VMCB_SPA);
    for (unsigned at = 0; at < VMCB_PAGE_BYTES; at++) {
        enum vmcb_field field = vmcb_field_at(at);
        bool moved = field < VMCB_FIELD_COUNT && vmcb_fields[field].use == VMCB_USE_MOVED;
        ck_assert_msg(w->vmcb[at] == (moved ? loaded[at] : 0xee), "offset %x", at);
    }
    world_free(w);
}
END_TEST

/* rows: svmop 7.9 */
START_TEST(vmload_makes_bases_canonical)
{
    struct world *w = world_new();
    for (unsigned i = 0; i < 4; i++)
        vmcb_store(w->vmcb, segments[i].at + 8, 8, 0x0123000000000000);
    VMCB_SET(w->vmcb, KERNEL_GS_BASE, 0x00fedcba98765432);
    svm_vmload(w->cpu, VMCB_SPA);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_uint_eq(w->cpu->regs.seg[segments[i].seg].base, 0xff23000000000000);
    ck_assert_uint_eq(w->cpu->msr.kernel_gs_base, 0x00fedcba98765432);
    w->cpu->svm->model.linear_bits = 48;
    svm_vmload(w->cpu, VMCB_SPA);
    ck_assert_uint_eq(w->cpu->regs.seg[SEG_FS].base, 0);
    ck_assert_uint_eq(w->cpu->msr.kernel_gs_base, 0xffffdcba98765432);
    world_free(w);
}
END_TEST

/* Hypervisors keep their own VMSAVE state in the host save page. */
/* rows: vmcb 10.1 */
START_TEST(host_save_page_can_hold_vmsave_state)
{
    struct world *w = world_new();
    put_values(w->hsave);
    svm_vmload(w->cpu, HSAVE_SPA);
    svm_vmsave(w->cpu, HSAVE_SPA);
    world_enter(w);
    w->cpu->msr.lstar = 0;
    world_exit(w, VMEXIT_HLT);
    svm_vmload(w->cpu, HSAVE_SPA);
    ck_assert_uint_eq(w->cpu->msr.lstar, 0xffff876543210608);
    ck_assert_uint_eq(w->cpu->regs.seg[SEG_TR].selector, 0x4440);
    world_free(w);
}
END_TEST

START_TEST(vmload_and_vmsave_outside_ram)
{
    static const uint64_t places[] = { MMIO_SPA, 0xa0000, RAM_BYTES, LIMIT_SPA - 0x1000 };
    struct world *w = world_new();
    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        svm_vmload(w->cpu, places[i]);
        ck_assert_uint_eq(w->cpu->msr.star, UINT64_MAX);
        ck_assert_uint_eq(w->cpu->regs.seg[SEG_TR].attr, 0xfff);
        svm_vmsave(w->cpu, places[i]);
    }
    ck_assert_uint_eq(w->errors, 8);
    world_free(w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("svm/vmload");
    TCase *tc = tcase_create("vmload");
    tcase_add_test(tc, vmload_loads_every_field);
    tcase_add_test(tc, vmload_changes_nothing_else);
    tcase_add_test(tc, vmsave_stores_every_field_and_nothing_else);
    tcase_add_test(tc, vmload_makes_bases_canonical);
    tcase_add_test(tc, host_save_page_can_hold_vmsave_state);
    tcase_add_test(tc, vmload_and_vmsave_outside_ram);
    suite_add_tcase(suite, tc);
    return world_run_suite(suite);
}

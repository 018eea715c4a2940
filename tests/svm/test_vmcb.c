/* The table of VMCB fields. APM vol 2, appendix B "VMCB Layout". */
#include "tests/svm/world.h"

START_TEST(fields_stay_in_their_area)
{
    for (unsigned i = 0; i < VMCB_FIELD_COUNT; i++) {
        const struct vmcb_field_info *f = &vmcb_fields[i];
        unsigned first = f->area == VMCB_AREA_CONTROL ? 0 : VMCB_SAVE_AREA;
        unsigned end = f->area == VMCB_AREA_CONTROL ? VMCB_SAVE_AREA : VMCB_PAGE_BYTES;
        ck_assert_msg(f->bytes > 0 && f->offset >= first && f->offset + f->bytes <= end, "%s",
                      f->name);
    }
}
END_TEST

START_TEST(fields_do_not_overlap_and_are_sorted)
{
    for (unsigned i = 1; i < VMCB_FIELD_COUNT; i++)
        ck_assert_msg(vmcb_fields[i].offset >= vmcb_fields[i - 1].offset + vmcb_fields[i - 1].bytes,
                      "%s overlaps %s", vmcb_fields[i].name, vmcb_fields[i - 1].name);
}
END_TEST

START_TEST(fields_are_where_the_manual_has_them)
{
    static const struct {
        enum vmcb_field field;
        unsigned offset, bytes;
    } rows[] = {
        { VMCB_INTERCEPT_CR, 0x000, 4 },
        { VMCB_INTERCEPT_5, 0x014, 4 },
        { VMCB_IOPM_BASE_PA, 0x040, 8 },
        { VMCB_MSRPM_BASE_PA, 0x048, 8 },
        { VMCB_TSC_OFFSET, 0x050, 8 },
        { VMCB_GUEST_ASID, 0x058, 4 },
        { VMCB_TLB_CONTROL, 0x05c, 1 },
        { VMCB_VINTR_CONTROL, 0x060, 8 },
        { VMCB_EXITCODE, 0x070, 8 },
        { VMCB_EXITINTINFO, 0x088, 8 },
        { VMCB_NESTED_CONTROL, 0x090, 8 },
        { VMCB_EVENTINJ, 0x0a8, 8 },
        { VMCB_N_CR3, 0x0b0, 8 },
        { VMCB_NRIP, 0x0c8, 8 },
        { VMCB_INSN_COUNT, 0x0d0, 1 },
        { VMCB_ES_SEL, 0x400, 2 },
        { VMCB_CS_ATTR, 0x412, 2 },
        { VMCB_TR_BASE, 0x498, 8 },
        { VMCB_CPL, 0x4cb, 1 },
        { VMCB_EFER, 0x4d0, 8 },
        { VMCB_CR4, 0x548, 8 },
        { VMCB_CR3, 0x550, 8 },
        { VMCB_CR0, 0x558, 8 },
        { VMCB_DR7, 0x560, 8 },
        { VMCB_DR6, 0x568, 8 },
        { VMCB_RFLAGS, 0x570, 8 },
        { VMCB_RIP, 0x578, 8 },
        { VMCB_RSP, 0x5d8, 8 },
        { VMCB_RAX, 0x5f8, 8 },
        { VMCB_STAR, 0x600, 8 },
        { VMCB_KERNEL_GS_BASE, 0x620, 8 },
        { VMCB_CR2, 0x640, 8 },
        { VMCB_G_PAT, 0x668, 8 },
        { VMCB_DBGCTL, 0x670, 8 },
        { VMCB_SPEC_CTRL, 0x6e0, 8 },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct vmcb_field_info *f = &vmcb_fields[rows[i].field];
        ck_assert_msg(f->offset == rows[i].offset && f->bytes == rows[i].bytes, "%s", f->name);
    }
}
END_TEST

START_TEST(values_are_little_endian_and_zero_extended)
{
    uint8_t page[VMCB_PAGE_BYTES] = { 0 };
    page[0x058] = 0x11, page[0x059] = 0x22, page[0x05a] = 0x33, page[0x05b] = 0x44;
    page[0x05c] = 0xff;
    ck_assert_uint_eq(VMCB_GET(page, GUEST_ASID), 0x44332211);
    ck_assert_uint_eq(vmcb_field_value(page, VMCB_GUEST_ASID), 0x44332211);
    VMCB_SET(page, GUEST_ASID, UINT64_C(0x99aabbccdd));
    ck_assert_uint_eq(page[0x058], 0xdd);
    ck_assert_uint_eq(page[0x05b], 0xaa);
    ck_assert_uint_eq(page[0x05c], 0xff);
    ck_assert_uint_eq(vmcb_field_value(page, VMCB_REQUESTED_IRR), 0);
}
END_TEST

START_TEST(field_at_finds_the_owner_of_a_byte)
{
    ck_assert_int_eq(vmcb_field_at(0x058), VMCB_GUEST_ASID);
    ck_assert_int_eq(vmcb_field_at(0x05b), VMCB_GUEST_ASID);
    ck_assert_int_eq(vmcb_field_at(0x05c), VMCB_TLB_CONTROL);
    ck_assert_int_eq(vmcb_field_at(0x0df), VMCB_INSN_BYTES);
    ck_assert_int_eq(vmcb_field_at(0x018), VMCB_FIELD_COUNT);
    ck_assert_int_eq(vmcb_field_at(0xfff), VMCB_FIELD_COUNT);
}
END_TEST

START_TEST(segment_attributes_have_12_bits)
{
    uint8_t page[VMCB_PAGE_BYTES] = { 0 };
    struct segment seg = { .selector = 0xffff, .attr = 0xabc, .limit = 0x12345678, .base = ~0ull };
    vmcb_store_segment(page, VMCB_AT_FS_SEL, &seg);
    ck_assert_uint_eq(VMCB_GET(page, FS_SEL), 0xffff);
    ck_assert_uint_eq(VMCB_GET(page, FS_ATTR), 0xabc);
    ck_assert_uint_eq(VMCB_GET(page, FS_LIMIT), 0x12345678);
    ck_assert_uint_eq(VMCB_GET(page, FS_BASE), ~0ull);
    VMCB_SET(page, FS_ATTR, 0xfabc);
    ck_assert_uint_eq(vmcb_load_segment(page, VMCB_AT_FS_SEL).attr, 0xabc);
    ck_assert_uint_eq(vmcb_load_segment(page, VMCB_AT_FS_SEL).limit, 0x12345678);
}
END_TEST

START_TEST(addresses_are_sign_extended_from_the_implemented_width)
{
    ck_assert_uint_eq(vmcb_canonical(0x0000800000000000, 48), 0xffff800000000000);
    ck_assert_uint_eq(vmcb_canonical(0xabcd7fffffffffff, 48), 0x00007fffffffffff);
    ck_assert_uint_eq(vmcb_canonical(0x0000800000000000, 57), 0x0000800000000000);
    ck_assert_uint_eq(vmcb_canonical(0x0100000000000000, 57), 0xff00000000000000);
    ck_assert_uint_eq(vmcb_canonical(0xfe00000000000001, 57), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("svm/vmcb");
    TCase *tc = tcase_create("fields");
    tcase_add_test(tc, fields_stay_in_their_area);
    tcase_add_test(tc, fields_do_not_overlap_and_are_sorted);
    tcase_add_test(tc, fields_are_where_the_manual_has_them);
    tcase_add_test(tc, values_are_little_endian_and_zero_extended);
    tcase_add_test(tc, field_at_finds_the_owner_of_a_byte);
    tcase_add_test(tc, segment_attributes_have_12_bits);
    tcase_add_test(tc, addresses_are_sign_extended_from_the_implemented_width);
    suite_add_tcase(suite, tc);
    return world_run_suite(suite);
}

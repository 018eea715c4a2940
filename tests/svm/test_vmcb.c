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

/* APM vol 2, appendix B, tables B-1 and B-2: all of them, and no field that is not there. */
/* rows: vmcb 2.1-2.7, 2.10-2.11, 2.13-2.22, 2.26-2.30, 2.32-2.34, 2.39, 9.1.1-9.1.11, 9.3.1-9.3.45,
 * 12.2-12.3 */
START_TEST(fields_are_where_the_manual_has_them)
{
    static const struct {
        enum vmcb_field field;
        unsigned offset, bytes;
    } rows[] = {
        { VMCB_INTERCEPT_CR, 0x000, 4 },
        { VMCB_INTERCEPT_DR, 0x004, 4 },
        { VMCB_INTERCEPT_EXCP, 0x008, 4 },
        { VMCB_INTERCEPT_3, 0x00c, 4 },
        { VMCB_INTERCEPT_4, 0x010, 4 },
        { VMCB_INTERCEPT_5, 0x014, 4 },
        { VMCB_PAUSE_FILTER_THRESHOLD, 0x03c, 2 },
        { VMCB_PAUSE_FILTER_COUNT, 0x03e, 2 },
        { VMCB_IOPM_BASE_PA, 0x040, 8 },
        { VMCB_MSRPM_BASE_PA, 0x048, 8 },
        { VMCB_TSC_OFFSET, 0x050, 8 },
        { VMCB_GUEST_ASID, 0x058, 4 },
        { VMCB_TLB_CONTROL, 0x05c, 1 },
        { VMCB_RAP_CONTROL, 0x05d, 1 },
        { VMCB_VINTR_CONTROL, 0x060, 8 },
        { VMCB_INTERRUPT_SHADOW, 0x068, 8 },
        { VMCB_EXITCODE, 0x070, 8 },
        { VMCB_EXITINFO1, 0x078, 8 },
        { VMCB_EXITINFO2, 0x080, 8 },
        { VMCB_EXITINTINFO, 0x088, 8 },
        { VMCB_NESTED_CONTROL, 0x090, 8 },
        { VMCB_AVIC_APIC_BAR, 0x098, 8 },
        { VMCB_GHCB, 0x0a0, 8 },
        { VMCB_EVENTINJ, 0x0a8, 8 },
        { VMCB_N_CR3, 0x0b0, 8 },
        { VMCB_VIRT_ENABLE, 0x0b8, 8 },
        { VMCB_CLEAN_BITS, 0x0c0, 4 },
        { VMCB_NRIP, 0x0c8, 8 },
        { VMCB_INSN_COUNT, 0x0d0, 1 },
        { VMCB_INSN_BYTES, 0x0d1, 15 },
        { VMCB_AVIC_BACKING_PAGE, 0x0e0, 8 },
        { VMCB_AVIC_LOGICAL_TABLE, 0x0f0, 8 },
        { VMCB_AVIC_PHYSICAL_TABLE, 0x0f8, 8 },
        { VMCB_VMSA, 0x108, 8 },
        { VMCB_VMGEXIT_RAX, 0x110, 8 },
        { VMCB_VMGEXIT_CPL, 0x118, 1 },
        { VMCB_BUS_LOCK_COUNTER, 0x120, 2 },
        { VMCB_UPDATE_IRR, 0x134, 1 },
        { VMCB_ALLOWED_SEV_FEATURES, 0x138, 8 },
        { VMCB_GUEST_SEV_FEATURES, 0x140, 8 },
        { VMCB_REQUESTED_IRR, 0x150, 32 },
        { VMCB_HOST_SOFTWARE, 0x3e0, 32 },
        { VMCB_ES_SEL, 0x400, 2 },
        { VMCB_ES_ATTR, 0x402, 2 },
        { VMCB_ES_LIMIT, 0x404, 4 },
        { VMCB_ES_BASE, 0x408, 8 },
        { VMCB_CS_SEL, 0x410, 2 },
        { VMCB_CS_ATTR, 0x412, 2 },
        { VMCB_CS_LIMIT, 0x414, 4 },
        { VMCB_CS_BASE, 0x418, 8 },
        { VMCB_SS_SEL, 0x420, 2 },
        { VMCB_SS_ATTR, 0x422, 2 },
        { VMCB_SS_LIMIT, 0x424, 4 },
        { VMCB_SS_BASE, 0x428, 8 },
        { VMCB_DS_SEL, 0x430, 2 },
        { VMCB_DS_ATTR, 0x432, 2 },
        { VMCB_DS_LIMIT, 0x434, 4 },
        { VMCB_DS_BASE, 0x438, 8 },
        { VMCB_FS_SEL, 0x440, 2 },
        { VMCB_FS_ATTR, 0x442, 2 },
        { VMCB_FS_LIMIT, 0x444, 4 },
        { VMCB_FS_BASE, 0x448, 8 },
        { VMCB_GS_SEL, 0x450, 2 },
        { VMCB_GS_ATTR, 0x452, 2 },
        { VMCB_GS_LIMIT, 0x454, 4 },
        { VMCB_GS_BASE, 0x458, 8 },
        { VMCB_GDTR_LIMIT, 0x464, 4 },
        { VMCB_GDTR_BASE, 0x468, 8 },
        { VMCB_LDTR_SEL, 0x470, 2 },
        { VMCB_LDTR_ATTR, 0x472, 2 },
        { VMCB_LDTR_LIMIT, 0x474, 4 },
        { VMCB_LDTR_BASE, 0x478, 8 },
        { VMCB_IDTR_LIMIT, 0x484, 4 },
        { VMCB_IDTR_BASE, 0x488, 8 },
        { VMCB_TR_SEL, 0x490, 2 },
        { VMCB_TR_ATTR, 0x492, 2 },
        { VMCB_TR_LIMIT, 0x494, 4 },
        { VMCB_TR_BASE, 0x498, 8 },
        { VMCB_CPL, 0x4cb, 1 },
        { VMCB_EFER, 0x4d0, 8 },
        { VMCB_PERF_CTL0, 0x4e0, 8 },
        { VMCB_PERF_CTR0, 0x4e8, 8 },
        { VMCB_PERF_CTL1, 0x4f0, 8 },
        { VMCB_PERF_CTR1, 0x4f8, 8 },
        { VMCB_PERF_CTL2, 0x500, 8 },
        { VMCB_PERF_CTR2, 0x508, 8 },
        { VMCB_PERF_CTL3, 0x510, 8 },
        { VMCB_PERF_CTR3, 0x518, 8 },
        { VMCB_PERF_CTL4, 0x520, 8 },
        { VMCB_PERF_CTR4, 0x528, 8 },
        { VMCB_PERF_CTL5, 0x530, 8 },
        { VMCB_PERF_CTR5, 0x538, 8 },
        { VMCB_CR4, 0x548, 8 },
        { VMCB_CR3, 0x550, 8 },
        { VMCB_CR0, 0x558, 8 },
        { VMCB_DR7, 0x560, 8 },
        { VMCB_DR6, 0x568, 8 },
        { VMCB_RFLAGS, 0x570, 8 },
        { VMCB_RIP, 0x578, 8 },
        { VMCB_INSTR_RETIRED_CTR, 0x5c0, 8 },
        { VMCB_PERF_CTR_GLOBAL_STS, 0x5c8, 8 },
        { VMCB_PERF_CTR_GLOBAL_CTL, 0x5d0, 8 },
        { VMCB_RSP, 0x5d8, 8 },
        { VMCB_S_CET, 0x5e0, 8 },
        { VMCB_SSP, 0x5e8, 8 },
        { VMCB_ISST_ADDR, 0x5f0, 8 },
        { VMCB_RAX, 0x5f8, 8 },
        { VMCB_STAR, 0x600, 8 },
        { VMCB_LSTAR, 0x608, 8 },
        { VMCB_CSTAR, 0x610, 8 },
        { VMCB_SFMASK, 0x618, 8 },
        { VMCB_KERNEL_GS_BASE, 0x620, 8 },
        { VMCB_SYSENTER_CS, 0x628, 8 },
        { VMCB_SYSENTER_ESP, 0x630, 8 },
        { VMCB_SYSENTER_EIP, 0x638, 8 },
        { VMCB_CR2, 0x640, 8 },
        { VMCB_G_PAT, 0x668, 8 },
        { VMCB_DBGCTL, 0x670, 8 },
        { VMCB_BR_FROM, 0x678, 8 },
        { VMCB_BR_TO, 0x680, 8 },
        { VMCB_LASTEXCPFROM, 0x688, 8 },
        { VMCB_LASTEXCPTO, 0x690, 8 },
        { VMCB_DBGEXTNCTL, 0x698, 8 },
        { VMCB_SPEC_CTRL, 0x6e0, 8 },
        { VMCB_LBR_STACK, 0xa70, 256 },
        { VMCB_LBR_SELECT, 0xb70, 8 },
        { VMCB_IBS_FETCH_CTL, 0xb78, 8 },
        { VMCB_IBS_FETCH_LINADDR, 0xb80, 8 },
        { VMCB_IBS_OP_CTL, 0xb88, 8 },
        { VMCB_IBS_OP_RIP, 0xb90, 8 },
        { VMCB_IBS_OP_DATA, 0xb98, 8 },
        { VMCB_IBS_OP_DATA2, 0xba0, 8 },
        { VMCB_IBS_OP_DATA3, 0xba8, 8 },
        { VMCB_IBS_DC_LINADDR, 0xbb0, 8 },
        { VMCB_BP_IBSTGT_RIP, 0xbb8, 8 },
        { VMCB_IC_IBS_EXTD_CTL, 0xbc0, 8 },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct vmcb_field_info *f = &vmcb_fields[rows[i].field];
        ck_assert_msg(f->offset == rows[i].offset && f->bytes == rows[i].bytes, "%s", f->name);
    }
    ck_assert_uint_eq(sizeof(rows) / sizeof(rows[0]), VMCB_FIELD_COUNT);
}
END_TEST

/* rows: vmcb 2.31, 2.35, 2.46, 12.2, 12.4 */
START_TEST(reserved_bytes_belong_to_no_field)
{
    static const struct {
        unsigned from, to;
    } rows[] = { { 0x018, 0x03c }, { 0x05e, 0x060 }, { 0x0c4, 0x0c8 }, { 0x0e8, 0x0f0 },
                 { 0x100, 0x108 }, { 0x119, 0x120 }, { 0x122, 0x134 }, { 0x170, 0x3e0 },
                 { 0x4a0, 0x4cb }, { 0x4d8, 0x4e0 }, { 0x540, 0x548 }, { 0x580, 0x5c0 },
                 { 0x648, 0x668 }, { 0x6a0, 0x6e0 }, { 0x6e8, 0xa70 }, { 0xbc8, 0x1000 } };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (unsigned at = rows[i].from; at < rows[i].to; at++)
            ck_assert_msg(vmcb_field_at(at) == VMCB_FIELD_COUNT, "%x", at);
        ck_assert_msg(vmcb_field_at(rows[i].from - 1) != VMCB_FIELD_COUNT, "%x", rows[i].from - 1);
        ck_assert_msg(rows[i].to == VMCB_PAGE_BYTES ||
                          vmcb_field_at(rows[i].to) != VMCB_FIELD_COUNT,
                      "%x", rows[i].to);
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

/* rows: vmcb 9.2.1-9.2.2 */
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

/* rows: svmop 3.22 */
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
    tcase_add_test(tc, reserved_bytes_belong_to_no_field);
    tcase_add_test(tc, values_are_little_endian_and_zero_extended);
    tcase_add_test(tc, field_at_finds_the_owner_of_a_byte);
    tcase_add_test(tc, segment_attributes_have_12_bits);
    tcase_add_test(tc, addresses_are_sign_extended_from_the_implemented_width);
    suite_add_tcase(suite, tc);
    return world_run_suite(suite);
}

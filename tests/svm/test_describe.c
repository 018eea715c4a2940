/* Exits, intercepts and events in words. */
#include "tests/svm/world.h"

static const struct {
    uint64_t code, info1, info2;
    const char *text;
} exits[] = {
    { VMEXIT_CR3_WRITE, UINT64_C(1) << 63 | 11, 0, "MOV CR3, R11" },
    { VMEXIT_CR8_READ, UINT64_C(1) << 63, 0, "MOV RAX, CR8" },
    { VMEXIT_CR0_WRITE, 0, 0, "CR0 write by LMSW or CLTS" },
    { VMEXIT_CR0_READ, 0, 0, "CR0 read by SMSW" },
    { VMEXIT_CR3_WRITE, 0, 0, "CR3 write" }, /* without decode assists */
    { VMEXIT_CR8_READ, 0, 0, "CR8 read" },
    { VMEXIT_DR7_WRITE, 3, 0, "MOV DR7, RBX" },
    { VMEXIT_DR0_READ, 4, 0, "MOV RSP, DR0" },
    { VMEXIT_DR15_WRITE, 0, 0, "MOV DR15, RAX" },
    { VMEXIT_CR0_SEL_WRITE, UINT64_C(1) << 63 | 2, 0, "MOV CR0, RDX, a bit other than TS and MP" },
    { VMEXIT_CR0_SEL_WRITE, 0, 0, "LMSW" },
    { VMEXIT_EXCP0, 0, 0, "#DE divide error" },
    { VMEXIT_EXCP0 + EXC_GP, 0x18, 0, "#GP general protection, error code 0x18" },
    { VMEXIT_EXCP0 + EXC_PF, 6, 0xdead0000,
      "#PF page fault: user write to 0xdead0000, not present" },
    { VMEXIT_EXCP0 + EXC_PF, 0x11, 0x1000,
      "#PF page fault: supervisor fetch from 0x1000, present" },
    { VMEXIT_EXCP0 + EXC_PF, 9, 0x1000,
      "#PF page fault: supervisor read of 0x1000, present, reserved bit" },
    { VMEXIT_EXCP0 + EXC_PF, 0x47, 0x1000,
      "#PF page fault: user shadow stack write to 0x1000, present" },
    { VMEXIT_EXCP0 + EXC_PF, 0x41, 0x1000,
      "#PF page fault: supervisor shadow stack read of 0x1000, present" },
    { VMEXIT_EXCP0 + EXC_CP, 1, 0, "#CP control protection, error code 0x1 (near RET)" },
    { VMEXIT_EXCP0 + EXC_CP, 2, 0, "#CP control protection, error code 0x2 (far RET or IRET)" },
    { VMEXIT_EXCP0 + EXC_CP, 3, 0, "#CP control protection, error code 0x3" },
    { VMEXIT_EXCP0 + EXC_CP, 4, 0, "#CP control protection, error code 0x4 (RSTORSSP)" },
    { VMEXIT_EXCP0 + EXC_CP, 5, 0, "#CP control protection, error code 0x5 (SETSSBSY)" },
    { VMEXIT_EXCP0 + EXC_CP, 6, 0, "#CP control protection, error code 0x6" },
    { VMEXIT_EXCP31, 0, 0, "exception 31 (reserved)" },
    { VMEXIT_INTR, 0, 0, "physical maskable interrupt" },
    { VMEXIT_CPUID, 0, 0, "CPUID" },
    { VMEXIT_SWINT, 0x80, 0, "INT 0x80" },
    { VMEXIT_INVLPG, 0xffff800000001000, 0, "INVLPG 0xffff800000001000" },
    { VMEXIT_IOIO, 0x03f80210, 0x1002, "OUT 8 bits, port 0x3f8, next RIP 0x1002" },
    { VMEXIT_IOIO, 0x01f0122d, 0x1002, "REP INS 16 bits, port 0x1f0, segment FS, next RIP 0x1002" },
    { VMEXIT_SMI, 1, 0, "external SMI" },
    { VMEXIT_SMI, 0, 0, "internal SMI" },
    { VMEXIT_SMI, 0x00b2021200000001, 0x1000, "external SMI by OUT 8 bits, port 0xb2, RIP 0x1000" },
    { VMEXIT_SMI, 0x01f0022e00001001, 0x10,
      "external SMI by REP OUTS 16 bits, port 0x1f0, segment FS, RIP 0x10" },
    { VMEXIT_IOIO, 0x0cf80241, 0x1002, "IN 32 bits, port 0xcf8, next RIP 0x1002" },
    { VMEXIT_MSR, 0, 0, "RDMSR" },
    { VMEXIT_MSR, 1, 0, "WRMSR" },
    { VMEXIT_TASK_SWITCH, 0x28, UINT64_C(1) << 38, "task switch by far JMP to selector 0x28" },
    { VMEXIT_TASK_SWITCH, 0x28, UINT64_C(1) << 36, "task switch by IRET to selector 0x28" },
    { VMEXIT_TASK_SWITCH, 0x28, UINT64_C(1) << 44 | 5,
      "task switch by CALL or event to selector 0x28, error code 0x5" },
    { VMEXIT_NPF, 0x100000004, 0xfee00000, "read of gpa 0xfee00000: not present, final access" },
    { VMEXIT_NPF, 0x100000007, 0x1000, "write to gpa 0x1000: present, final access" },
    { VMEXIT_NPF, 0x100000015, 0x1000, "fetch from gpa 0x1000: present, final access" },
    { VMEXIT_NPF, 0x20000000f, 0x1000,
      "write to gpa 0x1000: present, reserved bit, guest page table" },
    { VMEXIT_NPF, 0x100000043, 0x1000, "shadow stack write to gpa 0x1000: present, final access" },
    { VMEXIT_NPF, 0x2100000007, 0x1000,
      "write to gpa 0x1000: present, supervisor shadow stack page, final access" },
    { VMEXIT_INVALID, 0, 0, "VMRUN refused the VMCB" },
    { 0x7777, 0, 0, "unknown exit code" },
    { VMEXIT_INIT, 1, 2, "physical INIT, EXITINFO1 0x1, EXITINFO2 0x2" },
};

START_TEST(exits_in_words)
{
    char text[128];
    int len =
        svm_describe_exit(text, sizeof(text), exits[_i].code, exits[_i].info1, exits[_i].info2);
    ck_assert_str_eq(text, exits[_i].text);
    ck_assert_int_eq(len, (int)strlen(exits[_i].text));
}
END_TEST

START_TEST(text_is_cut_like_snprintf)
{
    char text[8] = "XXXXXXX";
    int whole = svm_describe_exit(NULL, 0, VMEXIT_IOIO, 0x01f0122d, 0x1002);
    for (unsigned size = 1; size < sizeof(text); size++) {
        memset(text, 'X', sizeof(text));
        ck_assert_int_eq(svm_describe_exit(text, size, VMEXIT_IOIO, 0x01f0122d, 0x1002), whole);
        ck_assert_uint_eq(strlen(text), size - 1);
        ck_assert_int_eq(text[size], 'X');
        ck_assert(strncmp(text, "REP INS", size - 1) == 0);
    }
}
END_TEST

/* rows: vmcb 12.8, exit 1.4.4, 1.4.7 */
START_TEST(exit_names)
{
    ck_assert_str_eq(svm_exit_name(0), "VMEXIT_CR0_READ");
    ck_assert_str_eq(svm_exit_name(0x4e), "VMEXIT_EXCP14");
    ck_assert_str_eq(svm_exit_name(0x400), "VMEXIT_NPF");
    ck_assert_str_eq(svm_exit_name(0x401), "VMEXIT_AVIC_INCOMPLETE_IPI");
    ck_assert_str_eq(svm_exit_name(0x402), "VMEXIT_AVIC_NOACCEL");
    ck_assert_str_eq(svm_exit_name(0x403), "VMEXIT_VMGEXIT");
    ck_assert_str_eq(svm_exit_name(UINT64_MAX), "VMEXIT_INVALID");
    ck_assert_str_eq(svm_exit_name(UINT64_MAX - 1), "VMEXIT_BUSY");
    ck_assert_str_eq(svm_exit_name(UINT64_MAX - 2), "VMEXIT_IDLE_REQUIRED");
    ck_assert_str_eq(svm_exit_name(UINT64_MAX - 3), "VMEXIT_INVALID_PMC");
    ck_assert_ptr_null(svm_exit_name(0xf0000000)); /* left to software */
    ck_assert_ptr_null(svm_exit_name(UINT64_MAX - 4));
    ck_assert_ptr_null(svm_exit_name(0xa7));
    ck_assert_ptr_null(svm_exit_name(0xffffffff));
    ck_assert_ptr_null(svm_exit_meaning(0xa7));
    ck_assert_str_eq(svm_exit_meaning(VMEXIT_VMMCALL), "VMMCALL");
    for (unsigned code = 0; code <= 0xa6; code++)
        ck_assert_ptr_nonnull(svm_exit_name(code));
}
END_TEST

START_TEST(intercept_names)
{
    ck_assert_str_eq(svm_intercept_name(INTERCEPT_CPUID), "INTERCEPT_CPUID");
    ck_assert_str_eq(svm_intercept_name(INTERCEPT_CR0_READ + 15), "INTERCEPT_CR0_READ");
    ck_assert_str_eq(svm_intercept_name(INTERCEPT_CR0_WRITE), "INTERCEPT_CR0_WRITE");
    ck_assert_ptr_null(svm_intercept_name(INTERCEPT_IDLE_HLT + 1));
}
END_TEST

START_TEST(events_in_words)
{
    static const struct {
        uint64_t word;
        const char *text;
    } rows[] = {
        { 0x0000000000000b0e, "none" },
        { 0x0000000080000020, "interrupt 0x20" },
        { 0x0000000080000202, "NMI" },
        { 0x0000000280000b0e, "#PF, error code 0x2" },
        { 0x0000000080000303, "#BP" },
        { 0x000000008000030f, "exception 15" },
        { 0x00000000800003ff, "exception 255" },
        { 0x0000000080000480, "INT 0x80" },
        { 0x0000000080000707, "reserved type 7, vector 0x7" },
    };
    char text[64];
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_int_eq(svm_describe_event(text, sizeof(text), rows[i].word),
                         (int)strlen(rows[i].text));
        ck_assert_str_eq(text, rows[i].text);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("svm/describe");
    TCase *tc = tcase_create("describe");
    tcase_add_loop_test(tc, exits_in_words, 0, sizeof(exits) / sizeof(exits[0]));
    tcase_add_test(tc, text_is_cut_like_snprintf);
    tcase_add_test(tc, exit_names);
    tcase_add_test(tc, intercept_names);
    tcase_add_test(tc, events_in_words);
    suite_add_tcase(suite, tc);
    return world_run_suite(suite);
}

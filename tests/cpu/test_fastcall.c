/* SYSCALL, SYSRET, SYSENTER, SYSEXIT as AMD has them. APM vol 2, 6.1; vol 3. */
#include "tests/cpu/kit.h"

#define SYSCALL "\x0f\x05"
#define SYSRETD "\x0f\x07"
#define SYSRETQ "\x48\x0f\x07"

static void msrs(struct kit *k)
{
    k->cpu->msr.star = 0x0023001b12345678; /* with RPL bits, to see what becomes of them */
    k->cpu->msr.lstar = 0xffff800000001234;
    k->cpu->msr.cstar = 0xffff800000005678;
    k->cpu->msr.sfmask = FLAG_IF | FLAG_DF | FLAG_TF;
}

static void check_segment(const struct segment *seg, uint16_t selector, uint16_t attr)
{
    ck_assert_uint_eq(seg->selector, selector);
    ck_assert_uint_eq(seg->attr, attr);
    ck_assert_uint_eq(seg->base, 0);
    ck_assert_uint_eq(seg->limit, UINT32_MAX);
}

/* rows: events 11.3, 11.4, 11.5, 11.6, 11.7, 11.8, pitfalls 3.16 */
WITH_KIT(syscall_in_64_bit_mode)
{
    kit_mode(k, MODE_LONG64, 3);
    msrs(k);
    k->cpu->rflags |= FLAG_IF | FLAG_CF | FLAG_RF | FLAG_DF;
    ck_assert_int_eq(EXEC(k, SYSCALL), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], 0xffff800000001234);
    ck_assert_uint_eq(k->cpu->r[REG_RCX], CODE_SPA + 2);
    ck_assert_uint_eq(k->cpu->r[REG_R11], 2 | FLAG_IF | FLAG_CF | FLAG_DF); /* RF = 0 */
    ck_assert_uint_eq(k->cpu->rflags, 2 | FLAG_CF);
    check_segment(&k->cpu->regs.seg[SEG_CS], 0x18, 0xa9b);
    check_segment(&k->cpu->regs.seg[SEG_SS], 0x23, 0xc93);
    ck_assert_uint_eq(k->cpu->regs.cpl, 0);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP);
}

/* rows: events 11.3, pitfalls 3.15 */
WITH_KIT(syscall_from_compatibility_mode_uses_cstar)
{
    kit_mode(k, MODE_COMPAT32, 3);
    msrs(k);
    ck_assert_int_eq(EXEC(k, SYSCALL), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], 0xffff800000005678);
    ck_assert_int_eq(k->cpu->mode, MODE_LONG64);
}

/* rows: events 11.3, 11.4, 11.5, pitfalls 3.15, 3.16 */
WITH_KIT(syscall_in_legacy_mode_uses_star)
{
    kit_mode(k, MODE_PROT32, 3);
    msrs(k);
    k->cpu->rflags |= FLAG_IF | FLAG_DF;
    ck_assert_int_eq(EXEC(k, SYSCALL), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], 0x12345678);
    ck_assert_uint_eq(k->cpu->r[REG_RCX], CODE_SPA + 2);
    ck_assert_uint_eq(k->cpu->r[REG_R11], 0);
    ck_assert_uint_eq(k->cpu->rflags, 2 | FLAG_DF); /* SFMASK does not count */
    check_segment(&k->cpu->regs.seg[SEG_CS], 0x18, 0xc9b);
}

/* rows: events 11.1, pitfalls 3.15 */
WITH_KIT(syscall_and_sysret_need_sce)
{
    kit_mode(k, MODE_LONG64, 3);
    k->cpu->regs.efer &= ~(uint64_t)EFER_SCE;
    kit_raised(k, EXEC(k, SYSCALL), EXC_UD, NO_CODE);
    kit_raised(k, EXEC(k, SYSRETQ), EXC_UD, NO_CODE); /* before the privilege check */
    k->cpu->regs.efer |= EFER_SCE;
    kit_raised(k, EXEC(k, SYSRETQ), EXC_GP, 0);
}

/* rows: events 11.3, 11.4, 11.5, 11.7 */
WITH_KIT(sysretq)
{
    msrs(k);
    k->cpu->r[REG_RCX] = 0x123456789abc;
    k->cpu->r[REG_R11] = FLAG_IF | FLAG_RF | FLAG_VM | FLAG_CF | FLAG_IOPL;
    ck_assert_int_eq(EXEC(k, SYSRETQ), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], 0x123456789abc);
    ck_assert_uint_eq(k->cpu->rflags, 2 | FLAG_IF | FLAG_CF | FLAG_IOPL);
    check_segment(&k->cpu->regs.seg[SEG_CS], 0x33, 0xafb);
    ck_assert_uint_eq(k->cpu->regs.cpl, 3);
    ck_assert(k->cpu->attention);
}

/* rows: events 11.4, 11.5 */
WITH_KIT(sysretd_goes_to_32_bit_code_and_loads_r11)
{
    msrs(k);
    k->cpu->r[REG_RCX] = 0x123456789abc;
    k->cpu->r[REG_R11] = FLAG_CF;
    ck_assert_int_eq(EXEC(k, SYSRETD), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], 0x56789abc);
    ck_assert_uint_eq(k->cpu->rflags, 2 | FLAG_CF);
    check_segment(&k->cpu->regs.seg[SEG_CS], 0x23, 0xcfb);
    ck_assert_int_eq(k->cpu->mode, MODE_COMPAT32);
}

/* rows: events 11.6, pitfalls 3.18 */
WITH_KIT(sysret_changes_only_the_selector_of_ss)
{
    msrs(k);
    k->cpu->msr.star = 0x0020001b00000000; /* RPL as in STAR */
    struct segment before = segment_null_ss(0);
    before.base = 0x1234;
    k->cpu->regs.seg[SEG_SS] = before;
    ck_assert_int_eq(EXEC(k, SYSRETQ), STEP_JUMP);
    before.selector = 0x28;
    ck_assert_mem_eq(&before, &k->cpu->regs.seg[SEG_SS], sizeof(before));
}

/* rows: events 11.8, pitfalls 3.17 */
WITH_KIT(sysret_does_not_test_rcx)
{
    msrs(k);
    k->cpu->r[REG_RCX] = NONCANON;
    ck_assert_int_eq(EXEC(k, SYSRETQ), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], NONCANON);
    ck_assert_uint_eq(k->cpu->regs.cpl, 3);
}

/* rows: events 11.4, pitfalls 3.18 */
WITH_KIT(sysret_outside_64_bit_mode_sets_if)
{
    kit_mode(k, MODE_COMPAT32, 0);
    msrs(k);
    k->cpu->r[REG_R11] = FLAG_CF;
    ck_assert_int_eq(EXEC(k, SYSRETD), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->rflags, 2 | FLAG_IF);
}

/* rows: events 11.11 */
WITH_KIT(sysenter_in_legacy_mode)
{
    kit_mode(k, MODE_PROT32, 3);
    k->cpu->msr.sysenter_cs = 0xb;
    k->cpu->msr.sysenter_esp = 0x1111;
    k->cpu->msr.sysenter_eip = 0x2222;
    k->cpu->rflags |= FLAG_IF | FLAG_CF;
    ck_assert_int_eq(EXEC(k, "\x0f\x34"), STEP_JUMP);
    check_segment(&k->cpu->regs.seg[SEG_CS], 0x08, 0xc9b);
    check_segment(&k->cpu->regs.seg[SEG_SS], 0x10, 0xc93);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], 0x1111);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], 0x2222);
    ck_assert_uint_eq(k->cpu->rflags, 2 | FLAG_CF);
    k->cpu->r[REG_RCX] = 0x3333;
    k->cpu->r[REG_RDX] = 0x4444;
    ck_assert_int_eq(EXEC(k, "\x0f\x35"), STEP_JUMP); /* SYSEXIT */
    check_segment(&k->cpu->regs.seg[SEG_CS], 0x1b, 0xcfb);
    check_segment(&k->cpu->regs.seg[SEG_SS], 0x23, 0xcf3);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], 0x3333);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], 0x4444);
    ck_assert_uint_eq(k->cpu->regs.cpl, 3);
}

/* rows: events 11.9, 11.10, pitfalls 3.19 */
WITH_KIT(sysenter_checks)
{
    kit_mode(k, MODE_PROT32, 0);
    k->cpu->msr.sysenter_cs = 3; /* null */
    kit_raised(k, EXEC(k, "\x0f\x34"), EXC_GP, 0);
    kit_raised(k, EXEC(k, "\x0f\x35"), EXC_GP, 0);
    kit_mode(k, MODE_PROT32, 3);
    k->cpu->msr.sysenter_cs = 8;
    kit_raised(k, EXEC(k, "\x0f\x35"), EXC_GP, 0);
    /* #UD in long mode, from the decoder. */
    uint8_t bytes[15] = { 0x0f, 0x34 };
    struct insn in;
    ck_assert_int_eq(decode_insn(bytes, 15, MODE_LONG64, &in), DECODE_INVALID);
    ck_assert_int_eq(decode_insn(bytes, 15, MODE_COMPAT32, &in), DECODE_INVALID);
}

int main(void)
{
    Suite *suite = suite_create("fastcall");
    TCase *all = tcase_create("all");
    tcase_add_test(all, syscall_in_64_bit_mode);
    tcase_add_test(all, syscall_from_compatibility_mode_uses_cstar);
    tcase_add_test(all, syscall_in_legacy_mode_uses_star);
    tcase_add_test(all, syscall_and_sysret_need_sce);
    tcase_add_test(all, sysretq);
    tcase_add_test(all, sysretd_goes_to_32_bit_code_and_loads_r11);
    tcase_add_test(all, sysret_changes_only_the_selector_of_ss);
    tcase_add_test(all, sysret_does_not_test_rcx);
    tcase_add_test(all, sysret_outside_64_bit_mode_sets_if);
    tcase_add_test(all, sysenter_in_legacy_mode);
    tcase_add_test(all, sysenter_checks);
    suite_add_tcase(suite, all);
    return kit_run(suite);
}

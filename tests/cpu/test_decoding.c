/* Rules of decoding, through the whole run loop: one instruction at a time, in the mode it needs. APM vol 3, chapter 1. Those
 * that the manual leaves open were measured on Zen 4 by tests/differential. */
#include "tests/cpu/kit.h"

/* Put bytes at CODE_SPA, run one instruction in the mode of the vCPU. Returns the vector of what it raised, or -1. */
static int run_one(struct kit *k, const void *bytes, unsigned len)
{
    struct vcpu *cpu = k->cpu;
    ck_assert(phys_write_block(k->memory, CODE_SPA, bytes, len));
    for (unsigned i = 0; i < 16; i++)
        kit_put(k, CODE_SPA + len + i, 1, 0x90);
    cpu->r[REG_RIP] = CODE_SPA;
    unsigned deliveries = k->deliveries;
    struct run_limits limits = { .max_steps = vcpu_steps(cpu) + 1 };
    int reason = run_vcpu(cpu, &limits);
    if (reason != PACIFICA_STOP_LIMIT_INSNS)
        return 1000 + reason;
    return k->deliveries != deliveries ? (int)(k->delivered.a & 0xff) : -1;
}
#define RUN(k, bytes) run_one((k), (bytes), sizeof(bytes) - 1)
#define NOTHING (-1)

static void length_is(struct kit *k, unsigned len)
{
    ck_assert_uint_eq(k->cpu->r[REG_RIP], CODE_SPA + len);
}

/* --- length -------------------------------------------------------------------------------------- */

/* rows: pitfalls 1.1 */
WITH_KIT(fifteen_bytes_are_an_instruction_and_sixteen_are_gp)
{
    ck_assert_int_eq(RUN(k, "\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x90"),
                     NOTHING);
    length_is(k, 15);
    ck_assert_int_eq(RUN(k, "\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x90"),
                     EXC_GP);
}

/* The last `len` bytes of a page whose successor is missing. */
static int run_at_page_end(struct kit *k, const void *bytes, unsigned len)
{
    kit_mode(k, MODE_LONG64, 0);
    kit_page(k, 1, 0);
    ck_assert(phys_write_block(k->memory, PAGED_LA + 0x1000 - len, bytes, len));
    k->cpu->r[REG_RIP] = PAGED_LA + 0x1000 - len;
    unsigned deliveries = k->deliveries;
    struct run_limits limits = { .max_steps = vcpu_steps(k->cpu) + 1 };
    ck_assert_int_eq(run_vcpu(k->cpu, &limits), PACIFICA_STOP_LIMIT_INSNS);
    return k->deliveries != deliveries ? (int)(k->delivered.a & 0xff) : NOTHING;
}
#define RUN_AT_END(k, bytes) run_at_page_end((k), (bytes), sizeof(bytes) - 1)

/* rows: pitfalls 1.1, pitfalls 1.17 */
WITH_KIT(missing_bytes_come_before_too_many)
{
    /* CMOVNB with nine prefixes would have 17 bytes: with twelve there the page fault comes, with fifteen #GP. */
    ck_assert_int_eq(RUN_AT_END(k, "\x67\x67\x67\x67\x67\x67\x67\x67\x67\x0f\x43\x24"), EXC_PF);
    ck_assert_uint_eq(k->cpu->regs.cr2, PAGED_LA + 0x1000);
    ck_assert_int_eq(RUN_AT_END(k, "\x67\x67\x67\x67\x67\x67\x67\x67\x67\x0f\x43\x24\x95\xb1\x00"),
                     EXC_GP);
}

/* rows: pitfalls 1.17 */
WITH_KIT(an_instruction_that_ends_with_its_page_needs_no_other)
{
    ck_assert_int_eq(RUN_AT_END(k, "\x48\x89\xc3"), NOTHING);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], PAGED_LA + 0x1000);
    ck_assert_int_eq(RUN_AT_END(k, "\x48\x89"), EXC_PF);
    ck_assert_uint_eq(k->cpu->regs.cr2, PAGED_LA + 0x1000);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP] + 8, 8), PAGED_LA + 0x1000 - 2);
}

/* rows: pitfalls 1.6, pitfalls 1.17 */
WITH_KIT(missing_bytes_come_before_an_illegal_lock)
{
    ck_assert_int_eq(RUN_AT_END(k, "\xf0\x48\x8b\x84"), EXC_PF);
    ck_assert_int_eq(RUN_AT_END(k, "\xf0\x48\x8b\xc3"), EXC_UD);
}

/* rows: pitfalls 1.14 */
WITH_KIT(ud0_and_ud1_fetch_no_modrm)
{
    ck_assert_int_eq(RUN_AT_END(k, "\x0f\xff"), EXC_UD);
    ck_assert_int_eq(RUN_AT_END(k, "\xf2\x48\x4e\x0f\xff\x90"), EXC_UD);
    ck_assert_int_eq(RUN_AT_END(k, "\x44\x0f\xb9\xa5"), EXC_UD);
    ck_assert_int_eq(RUN_AT_END(k, "\x0f\x0b"), EXC_UD);
    ck_assert_int_eq(RUN_AT_END(k, "\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x0f\xff\x80"),
                     EXC_UD);
}

/* --- prefixes -------------------------------------------------------------------------------------- */

/* rows: pitfalls 1.2 */
WITH_KIT(a_legacy_prefix_behind_rex_cancels_it)
{
    k->cpu->r[REG_RAX] = 0x1122334455667788;
    ck_assert_int_eq(RUN(k, "\x48\x66\xff\xc0"), NOTHING); /* INC AX */
    length_is(k, 4);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 0x1122334455667789);
    ck_assert_int_eq(RUN(k, "\x66\x48\xff\xc8"), NOTHING); /* DEC RAX */
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 0x1122334455667788);
    k->cpu->r[REG_RAX] = UINT64_MAX;
    ck_assert_int_eq(RUN(k, "\x48\x41\xff\xc0"), NOTHING); /* of two REX the last: INC R8D */
    ck_assert_uint_eq(k->cpu->r[REG_R8], 1);
}

/* rows: pitfalls 1.3 */
WITH_KIT(fs_override_survives_overrides_that_do_not_count)
{
    k->cpu->regs.seg[SEG_FS].base = DATA_SPA;
    kit_put(k, DATA_SPA + 8, 8, 0x1234);
    k->cpu->r[REG_RBX] = 8;
    ck_assert_int_eq(RUN(k, "\x64\x2e\x48\x8b\x03"), NOTHING);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 0x1234);
    k->cpu->r[REG_RAX] = 0;
    k->cpu->r[REG_RSI] = 8;
    ck_assert_int_eq(RUN(k, "\x64\x26\x48\xad"), NOTHING); /* LODSQ */
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 0x1234);
    k->cpu->regs.seg[SEG_GS].base = DATA_SPA + 0x100;
    kit_put(k, DATA_SPA + 0x108, 8, 0x5678);
    ck_assert_int_eq(RUN(k, "\x64\x65\x36\x48\x8b\x03"), NOTHING); /* of FS and GS the last */
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 0x5678);
}

/* rows: pitfalls 1.4 */
WITH_KIT(of_f2_and_f3_the_last_selects)
{
    k->cpu->r[REG_RBX] = 0x10;
    ck_assert_int_eq(RUN(k, "\xf2\xf3\x0f\xb8\xc3"), NOTHING); /* POPCNT */
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 1);
    ck_assert_int_eq(RUN(k, "\xf3\xf2\x0f\xb8\xc3"), EXC_UD);
    kit_mode(k, MODE_LONG64, 0);
    k->cpu->r[REG_RAX] = 0;
    ck_assert_int_eq(RUN(k, "\xf3\xf2\x0f\x38\xf0\xc3"), NOTHING); /* CRC32 */
    ck_assert_uint_ne(k->cpu->r[REG_RAX], 0);
}

/* rows: pitfalls 1.5, pitfalls 1.6 */
WITH_KIT(lock_is_for_some_instructions_with_memory)
{
    static const char *const legal[] = { "\xf0\x00\x03", "\xf0\x10\x03", "\xf0\x20\x03",
                                         "\xf0\x08\x03", "\xf0\x28\x03", "\xf0\x18\x03",
                                         "\xf0\x30\x03", "\xf0\x86\x03", "\xf0\xfe\x03",
                                         "\xf0\xfe\x0b", "\xf0\xf6\x13", "\xf0\xf6\x1b" };
    static const char *const illegal[] = { "\xf0\x00\xc3", "\xf0\x38\x03", "\xf0\x02\x03",
                                           "\xf0\x88\x03", "\xf0\x84\x03", "\xf0\x8a\x03",
                                           "\xf0\xd0\x23", "\xf0\x8f\x03", "\xf0\xff\x33",
                                           "\xf0\xf6\x23", "\xf0\x90\x90", "\xf0\xa4\x90" };
    static const char legal_0f[][5] = {
        "\xf0\x0f\xb0\x03", "\xf0\x0f\xc0\x03", "\xf0\x0f\xab\x03",
        "\xf0\x0f\xb3\x03", "\xf0\x0f\xbb\x03", "\xf0\x0f\xc7\x0b"
    };
    static const char illegal_0f[][5] = { "\xf0\x0f\xa3\x03", "\xf0\x0f\xab\xc3",
                                          "\xf0\x0f\xb0\xc3", "\xf0\x0f\x90\x03",
                                          "\xf0\x0f\xaf\x03", "\xf0\x0f\xa4\x03" };
    for (unsigned i = 0; i < 12; i++) {
        kit_mode(k, MODE_LONG64, 0);
        k->cpu->r[REG_RBX] = DATA_SPA;
        k->cpu->r[REG_RAX] = 0;
        ck_assert_msg(run_one(k, legal[i], 3) == NOTHING, "legal %u", i);
        k->cpu->r[REG_RBX] = NONCANON; /* #UD comes before the operand's fault */
        ck_assert_msg(run_one(k, illegal[i], 3) == EXC_UD, "illegal %u", i);
    }
    for (unsigned i = 0; i < 6; i++) {
        kit_mode(k, MODE_LONG64, 0);
        k->cpu->r[REG_RBX] = DATA_SPA;
        k->cpu->r[REG_RAX] = 0;
        ck_assert_msg(run_one(k, legal_0f[i], 4) == NOTHING, "legal 0F %u", i);
        k->cpu->r[REG_RBX] = NONCANON;
        ck_assert_msg(run_one(k, illegal_0f[i], 4) == EXC_UD, "illegal 0F %u", i);
    }
}

/* rows: pitfalls 1.5 */
WITH_KIT(lock_mov_cr0_is_cr8)
{
    k->cpu->r[REG_RAX] = 5;
    ck_assert_int_eq(RUN(k, "\xf0\x0f\x22\xc0"), NOTHING);
    ck_assert_uint_eq(k->tpr, 0x50);
    ck_assert_int_eq(RUN(k, "\xf0\x0f\x20\xc3"), NOTHING);
    ck_assert_uint_eq(k->cpu->r[REG_RBX], 5);
    kit_mode(k, MODE_COMPAT32, 0);
    k->cpu->r[REG_RAX] = 3;
    ck_assert_int_eq(RUN(k, "\xf0\x0f\x22\xc0"), NOTHING);
    ck_assert_uint_eq(k->tpr, 0x30);
    kit_mode(k, MODE_LONG64, 0);
    ck_assert_int_eq(RUN(k, "\xf0\x0f\x22\xd8"), EXC_UD); /* LOCK MOV CR3 */
}

/* rows: pitfalls 1.5 */
WITH_KIT(lock_mov_cr0_needs_its_feature)
{
    struct cpu_model model;
    ck_assert_int_eq(cpu_model_parse("max,-cr8legacy", &model, NULL), PACIFICA_OK);
    k->cpu->model = &model;
    ck_assert_int_eq(RUN(k, "\xf0\x0f\x20\xc3"), EXC_UD);
}

/* rows: pitfalls 1.11 */
WITH_KIT(nop_pause_and_xchg_share_an_opcode)
{
    k->cpu->r[REG_RAX] = UINT64_MAX;
    k->cpu->r[REG_R8] = 0x1111222233334444;
    ck_assert_int_eq(RUN(k, "\x90"), NOTHING); /* NOP does not zero-extend */
    ck_assert_int_eq(RUN(k, "\xf3\x90"), NOTHING);
    ck_assert_int_eq(RUN(k, "\xf3\x48\x90"), NOTHING);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], UINT64_MAX);
    ck_assert_int_eq(RUN(k, "\x49\x90"), NOTHING);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 0x1111222233334444);
    ck_assert_int_eq(RUN(k, "\xf3\x49\x90"), NOTHING); /* REX.B makes an exchange of PAUSE too */
    ck_assert_uint_eq(k->cpu->r[REG_RAX], UINT64_MAX);
    ck_assert_int_eq(RUN(k, "\xf3\x41\x90"), NOTHING);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 0x33334444);
    ck_assert_uint_eq(k->cpu->r[REG_R8], UINT32_MAX);
}

/* rows: pitfalls 1.15 */
WITH_KIT(tzcnt_and_lzcnt_are_scans_where_they_are_missing)
{
    struct cpu_model model;
    ck_assert_int_eq(cpu_model_parse("max,-bmi1,-abm", &model, NULL), PACIFICA_OK);
    k->cpu->r[REG_RBX] = 0;
    k->cpu->r[REG_RAX] = 77;
    ck_assert_int_eq(RUN(k, "\xf3\x0f\xbc\xc3"), NOTHING);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 32);
    k->cpu->model = &model;
    k->cpu->r[REG_RAX] = 77;
    kit_put(k, CODE_SPA, 8, 0); /* decoded for another model */
    ck_assert_int_eq(RUN(k, "\xf3\x0f\xbc\xc3"), NOTHING);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 77);
    k->cpu->r[REG_RBX] = 0x100;
    ck_assert_int_eq(RUN(k, "\xf3\x0f\xbd\xc3"), NOTHING);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 8);
}

/* rows: pitfalls 1.19 */
WITH_KIT(wbnoinvd_is_wbinvd_where_it_is_missing)
{
    struct cpu_model model;
    ck_assert_int_eq(cpu_model_parse("max,-wbnoinvd", &model, NULL), PACIFICA_OK);
    ck_assert_int_eq(RUN(k, "\xf3\x0f\x09"), NOTHING);
    length_is(k, 3);
    k->cpu->model = &model;
    ck_assert_int_eq(RUN(k, "\xf3\x0f\x09"), NOTHING);
    kit_mode(k, MODE_LONG64, 3);
    ck_assert_int_eq(RUN(k, "\xf3\x0f\x09"), EXC_GP);
}

/* --- operands ---------------------------------------------------------------------------------------- */

/* rows: pitfalls 1.12 */
WITH_KIT(mov_cr_and_dr_ignore_mod_and_have_one_size)
{
    k->cpu->regs.cr2 = 0x123456789abcdef0;
    ck_assert_int_eq(RUN(k, "\x0f\x20\x13"), NOTHING); /* mod 0: MOV RBX, CR2, no memory, no SIB */
    ck_assert_uint_eq(k->cpu->r[REG_RBX], 0x123456789abcdef0);
    k->cpu->r[REG_RBX] = 0;
    ck_assert_int_eq(RUN(k, "\x66\x0f\x20\x53"), NOTHING); /* mod 1: no displacement */
    length_is(k, 4);
    ck_assert_uint_eq(k->cpu->r[REG_RBX], 0x123456789abcdef0);
    k->cpu->regs.dr[0] = 0x1122334455667788;
    ck_assert_int_eq(RUN(k, "\x0f\x21\x04"), NOTHING); /* rm 4 is RSP, not a SIB */
    length_is(k, 3);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], 0x1122334455667788);
}

/* A SIB without base has no base whatever REX.B says, also with a 32-bit address. */
WITH_KIT(no_base_means_none_also_for_r13)
{
    kit_put(k, DATA_SPA + 0x10, 8, 0xfeed);
    k->cpu->r[REG_R13] = 0x40;
    k->cpu->r[REG_RCX] = 0x10;
    ck_assert_int_eq(RUN(k, "\x49\x8b\x04\x0d\x00\x80\x01\x00"), NOTHING);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 0xfeed);
    k->cpu->r[REG_RAX] = 0;
    ck_assert_int_eq(RUN(k, "\x67\x49\x8b\x04\x0d\x00\x80\x01\x00"), NOTHING);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 0xfeed);
    ck_assert_int_eq(RUN(k, "\x67\x49\x8b\x44\x0d\x00"), NOTHING); /* mod 1 has r13: [r13d + ecx] */
}

/* rows: pitfalls 1.18 */
WITH_KIT(address_size_67_cuts_to_32_bits)
{
    kit_put(k, DATA_SPA, 8, 0xabcdef);
    k->cpu->r[REG_RBX] = 0xffffffff00000000 | DATA_SPA;
    ck_assert_int_eq(RUN(k, "\x67\x48\x8b\x03"), NOTHING);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 0xabcdef);
    k->cpu->r[REG_RSI] = 0x5500000000000000 | DATA_SPA;
    k->cpu->r[REG_RDI] = 0x6600000000000000 | (DATA_SPA + 64);
    k->cpu->r[REG_RCX] = 0x7700000000000000;
    ck_assert_int_eq(RUN(k, "\x67\xf3\x48\xa5"), NOTHING); /* no iteration: nothing changes */
    ck_assert_uint_eq(k->cpu->r[REG_RSI], 0x5500000000000000 | DATA_SPA);
    ck_assert_uint_eq(k->cpu->r[REG_RCX], 0x7700000000000000);
    k->cpu->r[REG_RCX] |= 1;
    ck_assert_int_eq(RUN(k, "\x67\xf3\x48\xa5"), NOTHING);
    ck_assert_uint_eq(k->cpu->r[REG_RSI], DATA_SPA + 8);
    ck_assert_uint_eq(k->cpu->r[REG_RDI], DATA_SPA + 72);
    ck_assert_uint_eq(k->cpu->r[REG_RCX], 0);
}

/* --- memory ------------------------------------------------------------------------------------------- */

/* rows: pitfalls 8.1 */
WITH_KIT(a_store_into_the_next_instruction_is_seen_without_a_jump)
{
    struct run_limits limits = { .max_steps = vcpu_steps(k->cpu) + 2 };
    /* MOV BYTE [RIP + 1], C8h: FF C0, INC EAX, becomes FF C8, DEC EAX */
    static const char code[] = "\xc6\x05\x01\x00\x00\x00\xc8\xff\xc0";
    ck_assert(phys_write_block(k->memory, CODE_SPA, code, sizeof(code) - 1));
    k->cpu->r[REG_RAX] = 10;
    ck_assert_int_eq(run_vcpu(k->cpu, &limits), PACIFICA_STOP_LIMIT_INSNS);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 9);
}

/* rows: pitfalls 8.8 */
WITH_KIT(a_changed_table_entry_is_not_seen_before_it_is_flushed)
{
    kit_put(k, PAGED_LA + 0x3000, 8, 3);
    kit_put(k, PAGED_LA + 0x4000, 8, 4);
    k->cpu->r[REG_RBX] = PAGED_LA + 0x3000;
    ck_assert_int_eq(RUN(k, "\x48\x8b\x03"), NOTHING);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 3);
    kit_put(k, PT_SPA + 8 * 3, 8, (PAGED_LA + 0x4000) | 7);
    ck_assert_int_eq(RUN(k, "\x48\x8b\x03"), NOTHING);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 3);
    ck_assert_int_eq(RUN(k, "\x0f\x01\x3b"), NOTHING); /* INVLPG [RBX] */
    ck_assert_int_eq(RUN(k, "\x48\x8b\x03"), NOTHING);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 4);
}

/* rows: pitfalls 8.9 */
WITH_KIT(invd_loses_nothing)
{
    k->cpu->r[REG_RBX] = DATA_SPA;
    k->cpu->r[REG_RAX] = 0x55;
    ck_assert_int_eq(RUN(k, "\x48\x89\x03"), NOTHING);
    ck_assert_int_eq(RUN(k, "\x0f\x08"), NOTHING);
    ck_assert_uint_eq(kit_get(k, DATA_SPA, 8), 0x55);
    kit_mode(k, MODE_LONG64, 3);
    ck_assert_int_eq(RUN(k, "\x0f\x08"), EXC_GP);
}

/* rows: pitfalls 9.9 */
WITH_KIT(clzero_clears_the_line_of_rax)
{
    for (unsigned i = 0; i < 192; i++)
        kit_put(k, DATA_SPA + i, 1, 0xff);
    k->cpu->r[REG_RAX] = DATA_SPA + 64 + 13;
    ck_assert_int_eq(RUN(k, "\x0f\x01\xfc"), NOTHING);
    for (unsigned i = 0; i < 192; i++)
        ck_assert_uint_eq(kit_get(k, DATA_SPA + i, 1), i / 64 == 1 ? 0 : 0xff);
    kit_page(k, 2, (PAGED_LA + 0x2000) | 5);
    k->cpu->r[REG_RAX] = PAGED_LA + 0x2010;
    ck_assert_int_eq(RUN(k, "\x0f\x01\xfc"), EXC_PF);
    kit_mode(k, MODE_LONG64, 0);
    k->cpu->r[REG_RAX] = NONCANON;
    ck_assert_int_eq(RUN(k, "\x0f\x01\xfc"), EXC_GP);
}

WITH_KIT(clzero_wants_the_whole_line_in_the_segment)
{
    for (unsigned i = 0; i < 2; i++) {
        kit_mode(k, MODE_COMPAT32, 0);
        k->cpu->regs.seg[SEG_DS].limit = DATA_SPA + 62 + i;
        k->cpu->r[REG_RAX] = DATA_SPA;
        ck_assert_int_eq(RUN(k, "\x0f\x01\xfc"), i ? NOTHING : EXC_GP);
    }
}

/* rows: pitfalls 8.5 */
WITH_KIT(a_locked_access_may_cross_pages_and_checks_both_first)
{
    k->cpu->r[REG_RBX] = PAGED_LA + 0x5ffc;
    kit_put(k, PAGED_LA + 0x5ffc, 8, 0xffffffff);
    k->cpu->r[REG_RAX] = 1;
    ck_assert_int_eq(RUN(k, "\xf0\x48\x01\x03"), NOTHING);
    ck_assert_uint_eq(kit_get(k, PAGED_LA + 0x5ffc, 8), 0x100000000);
    kit_page(k, 6, (PAGED_LA + 0x6000) | 5); /* read-only */
    ck_assert_int_eq(RUN(k, "\xf0\x48\x01\x03"), EXC_PF);
    ck_assert_uint_eq(k->cpu->regs.cr2, PAGED_LA + 0x6000);
    ck_assert_uint_eq(kit_get(k, PAGED_LA + 0x5ffc, 8), 0x100000000);
}

/* --- by mode ------------------------------------------------------------------------------------------ */

/* rows: pitfalls 1.16 */
WITH_KIT(legacy_opcodes_are_ud_in_64_bit_mode)
{
    static const uint8_t opcodes[] = { 0x06, 0x07, 0x0e, 0x16, 0x17, 0x1e, 0x1f, 0x27, 0x2f, 0x37,
                                       0x3f, 0x60, 0x61, 0x82, 0x9a, 0xce, 0xd4, 0xd5, 0xd6, 0xea };
    for (unsigned i = 0; i < sizeof(opcodes); i++) {
        uint8_t bytes[8] = { opcodes[i], 0x0a };
        kit_mode(k, MODE_LONG64, 0);
        ck_assert_msg(run_one(k, bytes, sizeof(bytes)) == EXC_UD, "%02x", opcodes[i]);
    }
}

/* rows: pitfalls 1.16 */
WITH_KIT(opcode_82h_is_80h_in_legacy_modes)
{
    kit_mode(k, MODE_COMPAT32, 0);
    k->cpu->r[REG_RAX] = 0x10;
    ck_assert_int_eq(RUN(k, "\x82\xc0\x05"), NOTHING);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 0x15);
}

WITH_KIT(salc_spreads_the_carry)
{
    kit_mode(k, MODE_COMPAT32, 0);
    k->cpu->r[REG_RAX] = 0x1234;
    cpu_set_rflags(k->cpu, 2 | FLAGS_STATUS);
    ck_assert_int_eq(RUN(k, "\xd6"), NOTHING);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 0x12ff);
    ck_assert_uint_eq(cpu_rflags(k->cpu) & FLAGS_STATUS, FLAGS_STATUS);
    cpu_set_rflags(k->cpu, 2 | (FLAGS_STATUS & ~FLAG_CF));
    ck_assert_int_eq(RUN(k, "\xd6"), NOTHING);
    ck_assert_uint_eq(k->cpu->r[REG_RAX], 0x1200);
}

/* F2 0F 11 stores an XMM register: it is no string instruction of the same name. */
WITH_KIT(movsd_of_sse2_is_not_movs)
{
    k->cpu->r[REG_RSI] = k->cpu->r[REG_RDI] = k->cpu->r[REG_RBX] = DATA_SPA;
    k->cpu->regs.cr4 |= CR4_OSFXSR;
    cpu_update_mode(k->cpu);
    k->cpu->simd.v[0].u64[0] = 0x123456789abcdef0;
    ck_assert_int_eq(RUN(k, "\xf2\x0f\x11\x03"), NOTHING);
    ck_assert_uint_eq(k->cpu->r[REG_RDI], DATA_SPA);
    ck_assert_uint_eq(kit_get(k, DATA_SPA, 8), 0x123456789abcdef0);
}

int main(void)
{
    Suite *suite = suite_create("decoding");
    TCase *all = tcase_create("all");
    tcase_add_test(all, fifteen_bytes_are_an_instruction_and_sixteen_are_gp);
    tcase_add_test(all, missing_bytes_come_before_too_many);
    tcase_add_test(all, an_instruction_that_ends_with_its_page_needs_no_other);
    tcase_add_test(all, missing_bytes_come_before_an_illegal_lock);
    tcase_add_test(all, ud0_and_ud1_fetch_no_modrm);
    tcase_add_test(all, a_legacy_prefix_behind_rex_cancels_it);
    tcase_add_test(all, fs_override_survives_overrides_that_do_not_count);
    tcase_add_test(all, of_f2_and_f3_the_last_selects);
    tcase_add_test(all, lock_is_for_some_instructions_with_memory);
    tcase_add_test(all, lock_mov_cr0_is_cr8);
    tcase_add_test(all, lock_mov_cr0_needs_its_feature);
    tcase_add_test(all, nop_pause_and_xchg_share_an_opcode);
    tcase_add_test(all, tzcnt_and_lzcnt_are_scans_where_they_are_missing);
    tcase_add_test(all, wbnoinvd_is_wbinvd_where_it_is_missing);
    tcase_add_test(all, mov_cr_and_dr_ignore_mod_and_have_one_size);
    tcase_add_test(all, no_base_means_none_also_for_r13);
    tcase_add_test(all, address_size_67_cuts_to_32_bits);
    tcase_add_test(all, a_store_into_the_next_instruction_is_seen_without_a_jump);
    tcase_add_test(all, a_changed_table_entry_is_not_seen_before_it_is_flushed);
    tcase_add_test(all, invd_loses_nothing);
    tcase_add_test(all, clzero_clears_the_line_of_rax);
    tcase_add_test(all, clzero_wants_the_whole_line_in_the_segment);
    tcase_add_test(all, a_locked_access_may_cross_pages_and_checks_both_first);
    tcase_add_test(all, legacy_opcodes_are_ud_in_64_bit_mode);
    tcase_add_test(all, opcode_82h_is_80h_in_legacy_modes);
    tcase_add_test(all, salc_spreads_the_carry);
    tcase_add_test(all, movsd_of_sse2_is_not_movs);
    suite_add_tcase(suite, all);
    return kit_run(suite);
}

/* Far CALL, JMP and RET with shadow stacks. APM vol 2, 18.4 "Shadow Stack Operation for Far Transfers", 18.5, 18.6. */
#include "tests/cpu/shadow_far_kit.h"

#include "tests/check_main.h"

#define POINTER DATA_SPA
#define CALL_FAR "\xff\x1c\x25\x00\x80\x01\x00" /* the pointer at DATA_SPA */
#define JMP_FAR "\xff\x2c\x25\x00\x80\x01\x00"
#define RETFQ "\x48\xcb"
#define BACK (CODE_SPA + sizeof(CALL_FAR) - 1)
#define TARGET 0x12345678u

static void point_to(struct kit *k, uint16_t selector)
{
    kit_put(k, POINTER, 4, TARGET);
    kit_put(k, POINTER + 4, 2, selector);
}

/* A call gate at GATE to this code segment, for everybody. */
static void gate_to(struct kit *k, uint16_t selector)
{
    kit_gate64(k, GDT_SPA + GATE, selector, HANDLER, 12, 3, 0);
    point_to(k, GATE);
}

/* RETFQ's frame: RIP, CS and, for another level, RSP and SS. */
static void put_return(struct kit *k, uint16_t cs, uint64_t rip, bool outer, uint16_t ss)
{
    uint64_t words[] = { rip, cs, 0x1f000, ss };
    k->cpu->r[REG_RSP] = STACK_TOP - 0x40;
    for (unsigned i = 0; i < (outer ? 4 : 2); i++)
        kit_put(k, STACK_TOP - 0x40 + 8 * i, 8, words[i]);
}

/* --- CALL at the same level --- */

WITH_KIT(call_pushes_cs_lip_and_ssp)
{
    shadow_long(k, MODE_LONG64, 0, false, true);
    point_to(k, CODE64);
    ck_assert_int_eq(EXEC(k, CALL_FAR), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], TARGET);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP - 8); /* two words of 4 bytes */
    ck_assert_uint_eq(k->cpu->shadow.ssp, SUPER_TOP - 24);
    shadow_expect_frame(k, SUPER_TOP, CODE64, BACK, SUPER_TOP);
    ck_assert_uint_eq(shadow_get(k, SUPER_TOP), 0xeeeeeeeeeeeeeeee);
}

WITH_KIT(call_at_level_3_uses_the_user_stack)
{
    shadow_long(k, MODE_LONG64, 3, true, false);
    point_to(k, CODE64_3 | 3);
    ck_assert_int_eq(EXEC(k, CALL_FAR), STEP_JUMP);
    shadow_expect_frame(k, USER_TOP, CODE64_3 | 3, BACK, USER_TOP);
    ck_assert_uint_eq(k->cpu->shadow.ssp, USER_TOP - 24);
    ck_assert_uint_eq(k->cpu->shadow.pl_ssp[3], 0x1234);
}

/* CR4.CET and the enable of the level. */
WITH_KIT(call_leaves_a_shadow_stack_alone_that_is_off)
{
    for (unsigned cet = 0; cet < 2; cet++)
        for (unsigned cpl = 0; cpl <= 3; cpl += 3) {
            shadow_long(k, MODE_LONG64, cpl, cpl == 0 || !cet, cpl == 3 || !cet);
            if (!cet)
                k->cpu->regs.cr4 &= ~(uint64_t)CR4_CET;
            point_to(k, cpl ? CODE64_3 | 3 : CODE64);
            uint64_t ssp = k->cpu->shadow.ssp;
            ck_assert_int_eq(EXEC(k, CALL_FAR), STEP_JUMP);
            ck_assert_uint_eq(k->cpu->shadow.ssp, ssp);
            ck_assert_uint_eq(shadow_get(k, ssp - 8), 0xeeeeeeeeeeeeeeee);
        }
}

WITH_KIT(call_aligns_the_shadow_stack_with_zeros)
{
    shadow_long(k, MODE_LONG64, 0, false, true);
    k->cpu->shadow.ssp = SUPER_TOP + 4;
    point_to(k, CODE64);
    ck_assert_int_eq(EXEC(k, CALL_FAR), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->shadow.ssp, SUPER_TOP - 24);
    ck_assert_uint_eq(shadow_get(k, SUPER_TOP), 0xeeeeeeee00000000);
    shadow_expect_frame(k, SUPER_TOP, CODE64, BACK, SUPER_TOP + 4);
}

/* The highest word is pushed first; a page that refuses any leaves everything as it was. */
WITH_KIT(call_writes_nothing_if_a_word_of_the_frame_faults)
{
    const uint64_t edge = SHADOW_LA(PAGE_USER);
    for (unsigned below = 0; below <= 24; below += 8) {
        shadow_long(k, MODE_LONG64, 0, false, true);
        kit_page(k, PAGE_USER, SHADOW_LA(PAGE_USER) | PTE_SUPER);
        kit_page(k, PAGE_SUPER, SHADOW_LA(PAGE_SUPER) | PTE_PLAIN);
        k->cpu->shadow.ssp = edge + below;
        point_to(k, CODE64);
        enum step step = EXEC(k, CALL_FAR);
        if (below == 24) {
            ck_assert_int_eq(step, STEP_JUMP);
            continue;
        }
        shadow_page_fault(k, step, PF_P | PF_RW | PF_SS, edge - 8);
        shadow_expect_nothing(k, STACK_TOP, edge + below, 0);
        ck_assert_uint_eq(shadow_get(k, edge), 0xeeeeeeeeeeeeeeee);
    }
}

WITH_KIT(call_checks_the_hole_too)
{
    shadow_long(k, MODE_LONG64, 0, false, true);
    kit_page(k, PAGE_USER, 0);
    k->cpu->shadow.ssp =
        SHADOW_LA(PAGE_USER) + 4; /* the hole is in one page, the frame in the other */
    point_to(k, CODE64);
    shadow_page_fault(k, EXEC(k, CALL_FAR), PF_RW | PF_SS, SHADOW_LA(PAGE_USER));
    shadow_expect_nothing(k, STACK_TOP, SHADOW_LA(PAGE_USER) + 4, 0);
}

WITH_KIT(call_at_level_3_faults_as_a_user)
{
    shadow_long(k, MODE_LONG64, 3, true, false);
    kit_page(k, PAGE_USER, SHADOW_LA(PAGE_USER) | PTE_SUPER);
    point_to(k, CODE64_3 | 3);
    shadow_page_fault(k, EXEC(k, CALL_FAR), PF_P | PF_RW | PF_US | PF_SS, USER_TOP - 8);
}

/* The program stack comes first, and a shadow stack of which nothing will come is not written. */
WITH_KIT(call_writes_no_frame_if_the_program_stack_or_a_descriptor_faults)
{
    shadow_long(k, MODE_LONG64, 0, false, true);
    point_to(k, CODE64);
    k->cpu->r[REG_RSP] = NONCANON;
    kit_raised(k, EXEC(k, CALL_FAR), EXC_SS, 0);
    ck_assert_uint_eq(shadow_get(k, SUPER_TOP - 8), 0xeeeeeeeeeeeeeeee);

    shadow_long(k, MODE_LONG64, 0, false, true);
    kit_page(k, 100, GDT_SPA | 5); /* the GDT through a page that is read only */
    k->cpu->regs.gdtr.base = PAGED_LA + 100 * 0x1000;
    kit_gdt(k, FREE, kit_descriptor(0, 0xfffff, 0xa9a)); /* not accessed */
    point_to(k, FREE);
    shadow_page_fault(k, EXEC(k, CALL_FAR), PF_P | PF_RW, PAGED_LA + 100 * 0x1000 + FREE + 5);
    shadow_expect_nothing(k, STACK_TOP, SUPER_TOP, 0);
    ck_assert_uint_eq(shadow_get(k, SUPER_TOP - 8), 0xeeeeeeeeeeeeeeee);
}

WITH_KIT(a_shadow_stack_that_faults_leaves_the_descriptor_unaccessed)
{
    shadow_long(k, MODE_LONG64, 0, false, true);
    kit_gdt(k, FREE, kit_descriptor(0, 0xfffff, 0xa9a));
    point_to(k, FREE);
    kit_page(k, PAGE_SUPER, 0);
    shadow_page_fault(k, EXEC(k, CALL_FAR), PF_RW | PF_SS, SUPER_TOP - 8);
    ck_assert_uint_eq(kit_gdt_raw(k, FREE) >> 40 & 1, 0);
}

/* 32-bit code reaches only shadow stacks below 4 GiB. */
WITH_KIT(calls_and_jumps_to_32_bit_code_need_a_low_ssp)
{
    static const struct {
        bool on;
        uint16_t selector;
        uint64_t high;
        bool legal;
    } rows[] = {
        { true, CODE32, 1ull << 32, false },
        { true, CODE32, 0, true },
        { false, CODE32, 1ull << 32, true },
        { true, CODE64, 0, true },
    };
    for (unsigned call = 0; call < 2; call++)
        for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            shadow_long(k, MODE_LONG64, 0, false, rows[i].on);
            k->cpu->shadow.ssp |= rows[i].high;
            point_to(k, rows[i].selector);
            enum step step = call ? EXEC(k, CALL_FAR) : EXEC(k, JMP_FAR);
            if (!rows[i].legal) {
                kit_raised(k, step, EXC_GP, 0);
                shadow_expect_nothing(k, STACK_TOP, SUPER_TOP | rows[i].high, 0);
                continue;
            }
            uint64_t pushed = call && rows[i].on ? 24 : 0;
            ck_assert_int_eq(step, STEP_JUMP);
            ck_assert_uint_eq(k->cpu->shadow.ssp, (SUPER_TOP | rows[i].high) - pushed);
        }
    shadow_long(k, MODE_LONG64, 0, false, true);
    k->cpu->shadow.ssp |= 1ull << 32; /* 64-bit code does not care */
    point_to(k, CODE64);
    ck_assert_int_eq(EXEC(k, JMP_FAR), STEP_JUMP);
}

WITH_KIT(compatibility_mode_has_32_bits_of_ssp)
{
    shadow_long(k, MODE_COMPAT32, 0, false, true);
    k->cpu->shadow.ssp = 5ull << 32 | SUPER_TOP;
    kit_load_segment(k, SEG_CS, CODE32);
    k->cpu->regs.seg[SEG_CS].base = 0xfffff000;
    cpu_update_mode(k->cpu);
    k->cpu->r[REG_RIP] = CODE_SPA;
    ck_assert_int_eq(EXEC(k, "\x9a\x34\x12\x00\x00\x18\x00"), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->shadow.ssp, SUPER_TOP - 24);
    shadow_expect_frame(k, SUPER_TOP, CODE32, CODE_SPA + 7 - 0x1000,
                        SUPER_TOP); /* LIP has the base */
}

/* --- CALL to an inner level --- */

WITH_KIT(call_from_level_3_saves_ssp_in_pl3_ssp)
{
    static const struct {
        bool user, super;
        uint64_t pl3, ssp, token;
    } rows[] = {
        { true, true, USER_TOP, PL0_TOKEN, PL0_TOKEN | 1 },
        { true, false, USER_TOP, USER_TOP, PL0_TOKEN },
        { false, true, 0x1234, PL0_TOKEN, PL0_TOKEN | 1 },
        { false, false, 0x1234, USER_TOP, PL0_TOKEN },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        shadow_long(k, MODE_LONG64, 3, rows[i].user, rows[i].super);
        gate_to(k, CODE64);
        ck_assert_int_eq(EXEC(k, CALL_FAR), STEP_JUMP);
        ck_assert_uint_eq(k->cpu->regs.cpl, 0);
        ck_assert_uint_eq(k->cpu->shadow.pl_ssp[3], rows[i].pl3);
        ck_assert_uint_eq(k->cpu->shadow.ssp, rows[i].ssp);
        ck_assert_uint_eq(shadow_get(k, PL0_TOKEN), rows[i].token);
        ck_assert_uint_eq(shadow_get(k, PL0_TOKEN - 8), 0xeeeeeeeeeeeeeeee); /* nothing is pushed */
        ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP], 8), BACK);
    }
}

WITH_KIT(call_takes_the_ssp_of_the_new_level)
{
    shadow_long(k, MODE_LONG64, 3, true, true);
    kit_put(k, TSS_SPA + 12, 8, RSP0_TOP); /* RSP1 */
    gate_to(k, CODE64_1);
    ck_assert_int_eq(EXEC(k, CALL_FAR), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->regs.cpl, 1);
    ck_assert_uint_eq(k->cpu->shadow.ssp, PL1_TOKEN);
    ck_assert_uint_eq(shadow_get(k, PL1_TOKEN), PL1_TOKEN | 1);
}

WITH_KIT(call_from_level_1_pushes_on_the_new_stack)
{
    shadow_level1(k);
    gate_to(k, CODE64);
    ck_assert_int_eq(EXEC(k, CALL_FAR), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->regs.cpl, 0);
    ck_assert_uint_eq(k->cpu->shadow.ssp, PL0_TOKEN - 24);
    shadow_expect_frame(k, PL0_TOKEN, CODE64_1 | 1, BACK, SUPER_TOP);
    ck_assert_uint_eq(shadow_get(k, PL0_TOKEN), PL0_TOKEN | 1);
    ck_assert_uint_eq(k->cpu->shadow.pl_ssp[3], 0x1234);
}

WITH_KIT(gate_to_the_same_level_keeps_the_stack)
{
    shadow_long(k, MODE_LONG64, 0, true, true);
    gate_to(k, CODE64);
    ck_assert_int_eq(EXEC(k, CALL_FAR), STEP_JUMP);
    shadow_expect_frame(k, SUPER_TOP, CODE64, BACK, SUPER_TOP);
    ck_assert_uint_eq(shadow_get(k, PL0_TOKEN), PL0_TOKEN);
    shadow_long(k, MODE_LONG64, 3, true, true);
    gate_to(k, CONFORMING);
    ck_assert_int_eq(EXEC(k, CALL_FAR), STEP_JUMP);
    shadow_expect_frame(k, USER_TOP, CODE64_3 | 3, BACK, USER_TOP);
}

/* APM vol 2, 18.6.4: alignment, reserved bits, busy, address. */
WITH_KIT(call_checks_the_token)
{
    static const struct {
        uint64_t ssp, token;
        bool legal;
    } rows[] = {
        { PL0_TOKEN, PL0_TOKEN, true },
        { PL0_TOKEN, PL0_TOKEN | 1, false },
        { PL0_TOKEN, PL0_TOKEN | 2, false },
        { PL0_TOKEN, PL0_TOKEN | 4, false },
        { PL0_TOKEN, PL0_TOKEN - 8, false },
        { PL0_TOKEN, PL0_TOKEN | 1ull << 63, false },
        { PL0_TOKEN - 4, PL0_TOKEN - 4, false },
        { 0x1234, 0, false }, /* the alignment comes before the page */
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        shadow_long(k, MODE_LONG64, 3, true, true);
        gate_to(k, CODE64);
        kit_put(k, RSP0_TOP - 8, 8, 0);
        k->cpu->shadow.pl_ssp[0] = rows[i].ssp;
        kit_put(k, rows[i].ssp & ~7ull, 8, rows[i].token);
        enum step step = EXEC(k, CALL_FAR);
        if (rows[i].legal) {
            ck_assert_int_eq(step, STEP_JUMP);
            continue;
        }
        kit_raised(k, step, EXC_GP, 0);
        shadow_expect_nothing(k, STACK_TOP, USER_TOP, 3);
        ck_assert_uint_eq(shadow_get(k, rows[i].ssp & ~7ull), rows[i].token);
        ck_assert_uint_eq(kit_get(k, RSP0_TOP - 8, 8),
                          0); /* nor is the new program stack written */
    }
}

WITH_KIT(call_faults_on_the_token_as_a_supervisor_that_writes)
{
    static const struct {
        uint32_t pte, code;
    } rows[] = { { PTE_PLAIN, PF_P | PF_RW | PF_SS },
                 { PTE_USER, PF_P | PF_RW | PF_SS },
                 { 0, PF_RW | PF_SS } };
    for (unsigned i = 0; i < 3; i++) {
        shadow_long(k, MODE_LONG64, 3, true, true);
        gate_to(k, CODE64);
        kit_page(k, PAGE_PL0, rows[i].pte ? SHADOW_LA(PAGE_PL0) | rows[i].pte : 0);
        shadow_page_fault(k, EXEC(k, CALL_FAR), rows[i].code, PL0_TOKEN);
        shadow_expect_nothing(k, STACK_TOP, USER_TOP, 3);
    }
}

/* The token is marked only if the frame can be pushed, too. */
WITH_KIT(call_leaves_the_token_idle_if_the_frame_faults)
{
    const uint64_t token = SHADOW_LA(PAGE_PL0); /* the frame is in the page below */
    shadow_level1(k);
    gate_to(k, CODE64);
    kit_put(k, token, 8, token);
    k->cpu->shadow.pl_ssp[0] = token;
    kit_page(k, PAGE_USER, 0);
    shadow_page_fault(k, EXEC(k, CALL_FAR), PF_RW | PF_SS, token - 8);
    ck_assert_uint_eq(shadow_get(k, token), token);
    ck_assert_uint_eq(k->cpu->shadow.ssp, SUPER_TOP);
}

/* --- RET at the same level --- */

/* APM vol 2, 18.5: CS, LIP and the SSP to go on with, all in 64 bits; SSP must be aligned to 8 bytes. */
WITH_KIT(ret_compares_cs_and_lip)
{
    static const struct {
        uint64_t cs, lip, ssp;
        bool legal;
    } rows[] = {
        { CODE64, TARGET, SUPER_TOP, true },      { CODE64, TARGET, SUPER_TOP + 4, true },
        { CODE64, TARGET, 0x1000, true }, /* wherever it goes */
        { CODE64, TARGET + 1, SUPER_TOP, false }, { CODE64, 1ull << 32 | TARGET, SUPER_TOP, false },
        { CODE64 | 1, TARGET, SUPER_TOP, false }, { 0x10000 | CODE64, TARGET, SUPER_TOP, false },
        { CODE64, TARGET, SUPER_TOP + 1, false }, { CODE64, TARGET, SUPER_TOP + 2, false },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        shadow_long(k, MODE_LONG64, 0, false, true);
        put_return(k, CODE64, TARGET, false, 0);
        k->cpu->shadow.ssp = SUPER_TOP - 24;
        shadow_put_frame(k, SUPER_TOP, rows[i].cs, rows[i].lip, rows[i].ssp);
        enum step step = EXEC(k, RETFQ);
        if (rows[i].legal) {
            ck_assert_int_eq(step, STEP_JUMP);
            ck_assert_uint_eq(k->cpu->r[REG_RIP], TARGET);
            ck_assert_uint_eq(k->cpu->shadow.ssp, rows[i].ssp);
            ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP - 0x30);
        } else {
            kit_raised(k, step, EXC_CP, CP_FAR_RET);
            shadow_expect_nothing(k, STACK_TOP - 0x40, SUPER_TOP - 24, 0);
        }
    }
}

/* PL3_SSP has no part in it. */
WITH_KIT(ret_within_level_3_takes_ssp_from_the_frame)
{
    shadow_long(k, MODE_LONG64, 3, true, true);
    put_return(k, CODE64_3 | 3, TARGET, false, 0);
    k->cpu->shadow.ssp = USER_TOP - 24;
    shadow_put_frame(k, USER_TOP, CODE64_3 | 3, TARGET, USER_TOP + 0x40);
    ck_assert_int_eq(EXEC(k, RETFQ), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->shadow.ssp, USER_TOP + 0x40);
    ck_assert_uint_eq(k->cpu->shadow.pl_ssp[3], 0x1234);
}

WITH_KIT(ret_wants_an_aligned_ssp)
{
    shadow_long(k, MODE_LONG64, 0, false, true);
    put_return(k, CODE64, TARGET, false, 0);
    k->cpu->shadow.ssp = SUPER_TOP - 20;
    kit_page(k, PAGE_SUPER, 0); /* which comes before the pages */
    kit_raised(k, EXEC(k, RETFQ), EXC_CP, CP_FAR_RET);
    shadow_expect_nothing(k, STACK_TOP - 0x40, SUPER_TOP - 20, 0);
}

/* The segments come first: #CP is the fault of a return that could be made. */
WITH_KIT(ret_checks_the_code_segment_first)
{
    shadow_long(k, MODE_LONG64, 0, false, true);
    put_return(k, CODE_NP, TARGET, false, 0);
    kit_raised(k, EXEC(k, RETFQ), EXC_NP, CODE_NP);
    put_return(k, CODE64, NONCANON, false, 0);
    kit_raised(k, EXEC(k, RETFQ), EXC_GP, 0);
    put_return(k, CODE64, TARGET, false, 0);
    kit_raised(k, EXEC(k, RETFQ), EXC_CP, CP_FAR_RET);
}

WITH_KIT(ret_reads_with_shadow_stack_rights)
{
    shadow_long(k, MODE_LONG64, 0, false, true);
    put_return(k, CODE64, TARGET, false, 0);
    k->cpu->shadow.ssp = SUPER_TOP - 24;
    kit_page(k, PAGE_SUPER, SHADOW_LA(PAGE_SUPER) | PTE_PLAIN);
    shadow_page_fault(k, EXEC(k, RETFQ), PF_P | PF_SS, SUPER_TOP - 8); /* CS first */
    shadow_long(k, MODE_LONG64, 3, true, false);
    put_return(k, CODE64_3 | 3, TARGET, false, 0);
    kit_page(k, PAGE_USER, 0);
    shadow_page_fault(k, EXEC(k, RETFQ), PF_US | PF_SS, USER_TOP + 16);
}

WITH_KIT(ret_asks_nobody_where_shadow_stacks_are_off)
{
    for (unsigned cpl = 0; cpl <= 3; cpl += 3) {
        shadow_long(k, MODE_LONG64, cpl, cpl == 0, cpl == 3);
        put_return(k, cpl ? CODE64_3 | 3 : CODE64, TARGET, false, 0);
        uint64_t ssp = k->cpu->shadow.ssp;
        ck_assert_int_eq(EXEC(k, RETFQ), STEP_JUMP);
        ck_assert_uint_eq(k->cpu->shadow.ssp, ssp);
    }
}

/* A far RET at the same level leaves no stack. */
WITH_KIT(ret_leaves_a_token_above_the_frame_busy)
{
    shadow_long(k, MODE_LONG64, 0, false, true);
    put_return(k, CODE64, TARGET, false, 0);
    k->cpu->shadow.ssp = PL0_TOKEN - 24;
    kit_put(k, PL0_TOKEN, 8, PL0_TOKEN | 1);
    shadow_put_frame(k, PL0_TOKEN, CODE64, TARGET, SUPER_TOP);
    ck_assert_int_eq(EXEC(k, RETFQ), STEP_JUMP);
    ck_assert_uint_eq(shadow_get(k, PL0_TOKEN), PL0_TOKEN | 1);
    ck_assert_uint_eq(k->cpu->shadow.ssp, SUPER_TOP);
}

/* To 32-bit code with an SSP above 4 GiB, in the frame. */
WITH_KIT(ret_to_32_bit_code_needs_a_low_ssp)
{
    for (unsigned high = 0; high < 2; high++)
        for (unsigned wide = 0; wide < 2; wide++) {
            uint16_t cs = wide ? CODE64 : CODE32;
            uint64_t ssp = (uint64_t)high << 32 | SUPER_TOP;
            shadow_long(k, MODE_LONG64, 0, false, true);
            put_return(k, cs, TARGET, false, 0);
            k->cpu->shadow.ssp = SUPER_TOP - 24;
            shadow_put_frame(k, SUPER_TOP, cs, TARGET, ssp);
            enum step step = EXEC(k, RETFQ);
            if (high && !wide)
                kit_raised(k, step, EXC_CP, CP_FAR_RET);
            else
                ck_assert_int_eq(step, STEP_JUMP);
        }
}

/* --- RET to an outer level --- */

WITH_KIT(ret_to_level_3_takes_pl3_ssp_and_frees_the_token)
{
    static const struct {
        bool user, super;
        uint64_t ssp, token;
    } rows[] = {
        { true, true, USER_TOP, PL0_TOKEN },
        { true, false, USER_TOP, PL0_TOKEN | 1 },
        { false, true, 0, PL0_TOKEN },
        { false, false, PL0_TOKEN, PL0_TOKEN | 1 },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        shadow_long(k, MODE_LONG64, 0, rows[i].user, rows[i].super);
        put_return(k, CODE64_3 | 3, TARGET, true, DATA3 | 3);
        kit_put(k, PL0_TOKEN, 8, PL0_TOKEN | 1);
        k->cpu->shadow.ssp = PL0_TOKEN;
        k->cpu->shadow.pl_ssp[3] = USER_TOP;
        ck_assert_int_eq(EXEC(k, RETFQ), STEP_JUMP);
        ck_assert_uint_eq(k->cpu->regs.cpl, 3);
        ck_assert_uint_eq(k->cpu->shadow.ssp, rows[i].ssp);
        ck_assert_uint_eq(shadow_get(k, PL0_TOKEN), rows[i].token);
        ck_assert_uint_eq(k->cpu->shadow.pl_ssp[3], USER_TOP);
    }
}

/* APM vol 2, 18.6.5: a token that is not right stays as it is, and nobody hears of it. */
WITH_KIT(ret_leaves_other_tokens_alone)
{
    static const uint64_t tokens[] = { PL0_TOKEN, PL0_TOKEN | 3, PL0_TOKEN | 5, PL0_TOKEN - 7, 0 };
    for (unsigned i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
        shadow_long(k, MODE_LONG64, 0, true, true);
        put_return(k, CODE64_3 | 3, TARGET, true, DATA3 | 3);
        kit_put(k, PL0_TOKEN, 8, tokens[i]);
        k->cpu->shadow.ssp = PL0_TOKEN;
        k->cpu->shadow.pl_ssp[3] = USER_TOP;
        ck_assert_int_eq(EXEC(k, RETFQ), STEP_JUMP);
        ck_assert_uint_eq(shadow_get(k, PL0_TOKEN), tokens[i]);
    }
}

WITH_KIT(ret_reads_the_token_with_the_rights_of_a_write)
{
    shadow_long(k, MODE_LONG64, 0, true, true);
    put_return(k, CODE64_3 | 3, TARGET, true, DATA3 | 3);
    k->cpu->shadow.ssp = PL0_TOKEN;
    kit_page(k, PAGE_PL0, SHADOW_LA(PAGE_PL0) | PTE_PLAIN);
    shadow_page_fault(k, EXEC(k, RETFQ), PF_P | PF_RW | PF_SS, PL0_TOKEN);
    shadow_expect_nothing(k, STACK_TOP - 0x40, PL0_TOKEN, 0);
}

WITH_KIT(ret_to_level_3_checks_pl3_ssp)
{
    static const struct {
        uint64_t ssp;
        bool wide, user, legal;
    } rows[] = {
        { USER_TOP + 4, true, true, true },
        { USER_TOP + 2, true, true, false },
        { USER_TOP + 2, true, false, true },
        { 1ull << 32 | USER_TOP, true, true, true },
        { 1ull << 32 | USER_TOP, false, true, false },
        { USER_TOP, false, true, true },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        shadow_long(k, MODE_LONG64, 0, rows[i].user, true);
        put_return(k, (uint16_t)((rows[i].wide ? CODE64_3 : CODE32_3) | 3), TARGET, true,
                   DATA3 | 3);
        kit_put(k, PL0_TOKEN, 8, PL0_TOKEN | 1);
        k->cpu->shadow.ssp = PL0_TOKEN;
        k->cpu->shadow.pl_ssp[3] = rows[i].ssp;
        enum step step = EXEC(k, RETFQ);
        if (rows[i].legal) {
            ck_assert_int_eq(step, STEP_JUMP);
            continue;
        }
        kit_raised(k, step, EXC_CP, CP_FAR_RET);
        ck_assert_uint_eq(k->cpu->shadow.ssp, PL0_TOKEN);
        ck_assert_uint_eq(shadow_get(k, PL0_TOKEN), PL0_TOKEN | 1); /* still in use */
    }
}

WITH_KIT(ret_to_level_1_compares_the_frame)
{
    for (unsigned wrong = 0; wrong < 2; wrong++) {
        shadow_long(k, MODE_LONG64, 0, true, true);
        put_return(k, CODE64_1 | 1, TARGET, true, DATA1 | 1);
        kit_put(k, PL0_TOKEN, 8, PL0_TOKEN | 1);
        shadow_put_frame(k, PL0_TOKEN, CODE64_1 | 1, TARGET + wrong, PL1_TOKEN - 0x100);
        k->cpu->shadow.ssp = PL0_TOKEN - 24;
        enum step step = EXEC(k, RETFQ);
        if (wrong) {
            kit_raised(k, step, EXC_CP, CP_FAR_RET);
            shadow_expect_nothing(k, STACK_TOP - 0x40, PL0_TOKEN - 24, 0);
            ck_assert_uint_eq(shadow_get(k, PL0_TOKEN), PL0_TOKEN | 1);
            continue;
        }
        ck_assert_int_eq(step, STEP_JUMP);
        ck_assert_uint_eq(k->cpu->regs.cpl, 1);
        ck_assert_uint_eq(k->cpu->shadow.ssp, PL1_TOKEN - 0x100);
        ck_assert_uint_eq(shadow_get(k, PL0_TOKEN), PL0_TOKEN); /* at SSP + 24 */
    }
}

WITH_KIT(call_and_ret_between_levels_fit_together)
{
    shadow_level1(k);
    gate_to(k, CODE64);
    ck_assert_int_eq(EXEC(k, CALL_FAR), STEP_JUMP);
    ck_assert_int_eq(EXEC(k, RETFQ), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->regs.cpl, 1);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], BACK);
    ck_assert_uint_eq(k->cpu->shadow.ssp, SUPER_TOP);
    ck_assert_uint_eq(shadow_get(k, PL0_TOKEN), PL0_TOKEN);
}

CHECK_MAIN("shadow_far", call_pushes_cs_lip_and_ssp, call_at_level_3_uses_the_user_stack,
           call_leaves_a_shadow_stack_alone_that_is_off, call_aligns_the_shadow_stack_with_zeros,
           call_writes_nothing_if_a_word_of_the_frame_faults, call_checks_the_hole_too,
           call_at_level_3_faults_as_a_user,
           call_writes_no_frame_if_the_program_stack_or_a_descriptor_faults,
           a_shadow_stack_that_faults_leaves_the_descriptor_unaccessed,
           calls_and_jumps_to_32_bit_code_need_a_low_ssp, compatibility_mode_has_32_bits_of_ssp,
           call_from_level_3_saves_ssp_in_pl3_ssp, call_takes_the_ssp_of_the_new_level,
           call_from_level_1_pushes_on_the_new_stack, gate_to_the_same_level_keeps_the_stack,
           call_checks_the_token, call_faults_on_the_token_as_a_supervisor_that_writes,
           call_leaves_the_token_idle_if_the_frame_faults, ret_compares_cs_and_lip,
           ret_within_level_3_takes_ssp_from_the_frame, ret_wants_an_aligned_ssp,
           ret_checks_the_code_segment_first, ret_reads_with_shadow_stack_rights,
           ret_asks_nobody_where_shadow_stacks_are_off, ret_leaves_a_token_above_the_frame_busy,
           ret_to_32_bit_code_needs_a_low_ssp, ret_to_level_3_takes_pl3_ssp_and_frees_the_token,
           ret_leaves_other_tokens_alone, ret_reads_the_token_with_the_rights_of_a_write,
           ret_to_level_3_checks_pl3_ssp, ret_to_level_1_compares_the_frame,
           call_and_ret_between_levels_fit_together)

/* Shadow stacks: CR4.CET, their MSRs and accesses, near CALL and RET. APM vol 2, 18 "Shadow Stacks". The instructions that
 * manage them stand in test_shadow_insns.c, what a page must look like in tests/paging/test_shadow_pages.c. */
#include "tests/check_main.h"
#include "tests/cpu/program.h"
#include "tests/cpu/shadow_kit.h"

#define CALL_8 "\xe8\x03\x00\x00\x00" /* 8 bytes on */
#define CALL_0 "\xe8\x00\x00\x00\x00"
#define CALL_RAX "\xff\xd0"
#define CALL16_RAX "\x66\xff\xd0"
#define RET "\xc3"
#define RET_16 "\xc2\x10\x00"
#define RET16 "\x66\xc3"

/* --- CR0 and CR4 --- */

/* rows: pitfalls 5.6 */
WITH_SHADOW(cet_needs_wp_both_ways)
{
    struct cpu_regs *regs = &k->cpu->regs;
    ck_assert(!control_cr0_ok(k->cpu, regs->cr0 & ~(uint64_t)CR0_WP));
    control_set_cr4(k->cpu, regs->cr4 & ~(uint64_t)CR4_CET);
    ck_assert(control_cr0_ok(k->cpu, regs->cr0 & ~(uint64_t)CR0_WP));
    control_set_cr0(k->cpu, regs->cr0 & ~(uint64_t)CR0_WP);
    ck_assert(!control_cr4_ok(k->cpu, regs->cr4 | CR4_CET));
    ck_assert(control_cr4_ok(k->cpu, regs->cr4));
    control_set_cr0(k->cpu, regs->cr0 | CR0_WP);
    ck_assert(control_cr4_ok(k->cpu, regs->cr4 | CR4_CET));
}

WITH_SHADOW(without_the_feature_nothing_is_there)
{
    struct cpu_model model = *k->cpu->model;
    uint64_t value;
    model.features[CPU_FEATURE_CET_SS] = false;
    k->cpu->model = &model;
    ck_assert(!control_cr4_ok(k->cpu, k->cpu->regs.cr4 | CR4_CET));
    for (uint32_t msr = 0x6a0; msr <= 0x6a8; msr++) {
        kit_raised(k, msr_read(k->cpu, msr, &value), EXC_GP, 0);
        kit_raised(k, msr_write(k->cpu, msr, 0), EXC_GP, 0);
    }
}

/* In protected mode with paging, and not in virtual-8086 mode; U_CET decides for level 3, S_CET for the others. */
WITH_SHADOW(what_switches_shadow_stacks_on)
{
    struct vcpu *cpu = k->cpu;
    const struct cpu_regs regs = cpu->regs;
    for (unsigned cpl = 0; cpl < 4; cpl++) {
        ck_assert(shadow_stack_on(cpu, cpl));
        cpu->shadow.u_cet = cpl == 3 ? ~SHADOW_CET_ENABLE & 3 : 3;
        cpu->shadow.s_cet = cpl != 3 ? ~SHADOW_CET_ENABLE & 3 : 3;
        ck_assert(!shadow_stack_on(cpu, cpl));
        ck_assert(shadow_stack_on(cpu, cpl == 3 ? 0 : 3));
        cpu->shadow.u_cet = cpu->shadow.s_cet = SHADOW_CET_ENABLE;
        cpu->regs.cr4 &= ~(uint64_t)CR4_CET;
        ck_assert(!shadow_stack_on(cpu, cpl));
        cpu->regs = regs;
        cpu->regs.cr0 &= ~(uint64_t)CR0_PG;
        ck_assert(!shadow_stack_on(cpu, cpl));
        cpu->regs = regs;
        cpu->rflags |= FLAG_VM;
        ck_assert(!shadow_stack_on(cpu, cpl));
        cpu->rflags &= ~(uint64_t)FLAG_VM;
    }
}

/* --- MSRs --- */

static void expect_msr(struct kit *k, uint32_t msr, uint64_t value, bool legal)
{
    uint64_t before, after;
    ck_assert_int_eq(msr_read(k->cpu, msr, &before), STEP_NEXT);
    enum step step = msr_write(k->cpu, msr, value);
    if (!legal)
        kit_raised(k, step, EXC_GP, 0);
    else
        ck_assert_int_eq(step, STEP_NEXT);
    ck_assert_int_eq(msr_read(k->cpu, msr, &after), STEP_NEXT);
    ck_assert_uint_eq(after, legal ? value : before);
}

WITH_SHADOW(cet_msrs_have_two_bits)
{
    for (uint32_t msr = 0x6a0; msr <= 0x6a2; msr += 2)
        for (unsigned bit = 0; bit < 64; bit++)
            expect_msr(k, msr, 1ull << bit, bit < 2);
}

WITH_SHADOW(pointers_are_canonical_and_aligned_to_4_bytes)
{
    uint64_t value;
    for (uint32_t msr = 0x6a4; msr <= 0x6a8; msr++) {
        bool isst = msr == 0x6a8;
        expect_msr(k, msr, 0x00007ffffffffffc, true);
        expect_msr(k, msr, 0xffff800000000004, true);
        expect_msr(k, msr, NONCANON, false);
        expect_msr(k, msr, 0x1001, isst);
        expect_msr(k, msr, 0x1002, isst);
        expect_msr(k, msr, 0x1000 + 4 * msr, true);
    }
    for (unsigned n = 0; n < 4; n++)
        ck_assert_uint_eq(k->cpu->shadow.pl_ssp[n], 0x1000 + 4 * (0x6a4 + n));
    ck_assert_uint_eq(k->cpu->shadow.isst, 0x1000 + 4 * 0x6a8);
    kit_raised(k, msr_read(k->cpu, 0x6a1, &value), EXC_GP, 0);
    kit_raised(k, msr_read(k->cpu, 0x6a3, &value), EXC_GP, 0);
}

/* --- accesses --- */

/* rows: exit 3.4.6 */
WITH_SHADOW(pages_are_of_the_level_of_the_access)
{
    static const struct {
        uint64_t la;
        unsigned cpl;
        bool allowed;
    } rows[] = {
        { SUPERVISOR_LA, 0, true }, { SUPERVISOR_LA, 2, true }, { SUPERVISOR_LA, 3, false },
        { USER_LA, 0, false },      { USER_LA, 1, false },      { USER_LA, 3, true },
        { ORDINARY_LA, 0, false },  { ORDINARY_LA, 3, false },
    };
    for (unsigned level = 0; level <= 3; level += 3) { /* CPL does not matter */
        shadow_mode(k, MODE_LONG64, level);
        for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            unsigned us = rows[i].cpl == 3 ? PF_US : 0, cpl = rows[i].cpl;
            uint64_t value = 0, la = rows[i].la + 8;
            enum step load, store, check;
            store = shadow_stack_store(k->cpu, cpl, la, 8, 0x1122334455667788 + i);
            if (rows[i].allowed)
                ck_assert_int_eq(store, STEP_NEXT);
            else
                shadow_fault(k, store, la, PF_P | PF_RW | PF_SS | us);
            load = shadow_stack_load(k->cpu, cpl, la, 8, &value);
            if (rows[i].allowed)
                ck_assert_uint_eq(value, 0x1122334455667788 + i);
            else
                shadow_fault(k, load, la, PF_P | PF_SS | us);
            check = shadow_stack_check(k->cpu, cpl, la, 8);
            if (rows[i].allowed)
                ck_assert_int_eq(check, STEP_NEXT);
            else
                shadow_fault(k, check, la, PF_P | PF_RW | PF_SS | us);
        }
    }
}

WITH_SHADOW(ordinary_writes_do_not_reach_shadow_stacks)
{
    uint64_t value;
    kit_put(k, SSP, 8, 0x77);
    ck_assert_int_eq(mem_load_la(k->cpu, SSP, 8, &value), STEP_NEXT);
    ck_assert_uint_eq(value, 0x77);
    shadow_fault(k, mem_store_la(k->cpu, SSP, 8, 1), SSP, PF_P | PF_RW);
    ck_assert_int_eq(shadow_stack_store(k->cpu, 0, SSP, 8, 0x78), STEP_NEXT);
    shadow_fault(k, mem_store_la(k->cpu, SSP, 8, 1), SSP, PF_P | PF_RW); /* nor by what is cached */
    ck_assert_uint_eq(kit_get(k, SSP, 8), 0x78);
}

/* Eight bytes at a multiple of four may lie in two pages: nothing is written when the second refuses. */
WITH_SHADOW(an_access_may_cross_pages)
{
    const uint64_t la = SUPERVISOR_LA + 0x1000 - 4;
    uint64_t value;
    ck_assert_int_eq(shadow_stack_store(k->cpu, 0, la, 8, 0x1122334455667788), STEP_NEXT);
    ck_assert_int_eq(shadow_stack_load(k->cpu, 0, la, 8, &value), STEP_NEXT);
    ck_assert_uint_eq(value, 0x1122334455667788);
    kit_page(k, SUPERVISOR_PAGE + 1, (SUPERVISOR_LA + 0x1000) | 3);
    shadow_fault(k, shadow_stack_store(k->cpu, 0, la, 8, 0), la + 4, PF_P | PF_RW | PF_SS);
    ck_assert_uint_eq(kit_get(k, la, 4), 0x55667788);
    kit_page(k, SUPERVISOR_PAGE + 1, 0);
    shadow_fault(k, shadow_stack_load(k->cpu, 0, la, 8, &value), la + 4, PF_SS);
}

WITH_SHADOW(addresses_are_canonical_or_have_32_bits)
{
    uint64_t value;
    kit_raised(k, shadow_stack_load(k->cpu, 0, NONCANON, 8, &value), EXC_GP, 0);
    kit_raised(k, shadow_stack_store(k->cpu, 0, 0x00007ffffffffffc, 8, 0), EXC_GP, 0);
    shadow_mode(k, MODE_PROT32, 0);
    kit_put(k, SSP, 8, 0x99);
    ck_assert_int_eq(shadow_stack_load(k->cpu, 0, SSP | 1ull << 40, 8, &value), STEP_NEXT);
    ck_assert_uint_eq(value, 0x99);
    ck_assert_uint_eq(shadow_stack_offset(k->cpu, 4, -8), 0xfffffffc);
    shadow_mode(k, MODE_COMPAT32, 0);
    ck_assert_uint_eq(shadow_stack_offset(k->cpu, 4, -8), 0xfffffffc);
    shadow_mode(k, MODE_LONG64, 0);
    ck_assert_uint_eq(shadow_stack_offset(k->cpu, 4, -8), 0xfffffffffffffffc);
}

/* APM vol 2, 18.6.4 and 18.6.5. */
WITH_SHADOW(tokens_hold_their_own_address)
{
    const struct {
        uint64_t token;
        bool idle, busy;
    } rows[] = {
        { SSP, true, false },      { SSP | 1, false, true },
        { SSP | 2, false, false }, { SSP | 5, false, false },
        { SSP + 8, false, false }, { SSP | 1ull << 63 | 1, false, false },
        { 0, false, false },
    };
    bool valid;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        kit_put(k, SSP, 8, rows[i].token);
        ck_assert_int_eq(shadow_stack_token_check(k->cpu, 0, SSP, false, &valid), STEP_NEXT);
        ck_assert_int_eq(valid, rows[i].idle);
        ck_assert_int_eq(shadow_stack_token_check(k->cpu, 0, SSP, true, &valid), STEP_NEXT);
        ck_assert_int_eq(valid, rows[i].busy);
        ck_assert_uint_eq(kit_get(k, SSP, 8), rows[i].token);
    }
    kit_put(k, SSP + 4, 8, SSP + 4);
    ck_assert_int_eq(shadow_stack_token_check(k->cpu, 0, SSP + 4, false, &valid), STEP_NEXT);
    ck_assert(!valid); /* not aligned to 8 bytes */
    ck_assert_int_eq(shadow_stack_token_store(k->cpu, 0, SSP, true), STEP_NEXT);
    ck_assert_uint_eq(kit_get(k, SSP, 8), SSP | 1);
    ck_assert_int_eq(shadow_stack_token_store(k->cpu, 0, SSP, false), STEP_NEXT);
    ck_assert_uint_eq(kit_get(k, SSP, 8), SSP);
    shadow_fault(k, shadow_stack_token_check(k->cpu, 0, ORDINARY_LA, false, &valid), ORDINARY_LA,
                 PF_P | PF_RW | PF_SS); /* the rights of a write */
}

/* --- near CALL and RET --- */

WITH_SHADOW(call_pushes_to_both_stacks)
{
    for (unsigned level = 0; level <= 3; level += 3) {
        shadow_mode(k, MODE_LONG64, level);
        uint64_t ssp = k->cpu->shadow.ssp;
        ck_assert_int_eq(EXEC(k, CALL_8), STEP_JUMP);
        ck_assert_uint_eq(k->cpu->r[REG_RIP], CODE_SPA + 8);
        ck_assert_uint_eq(k->cpu->shadow.ssp, ssp - 8);
        ck_assert_uint_eq(kit_get(k, ssp - 8, 8), CODE_SPA + 5);
        ck_assert_uint_eq(kit_get(k, STACK_TOP - 8, 8), CODE_SPA + 5);
        ck_assert_int_eq(EXEC(k, RET), STEP_JUMP);
        ck_assert_uint_eq(k->cpu->r[REG_RIP], CODE_SPA + 5);
        ck_assert_uint_eq(k->cpu->shadow.ssp, ssp);
        ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP);
    }
}

WITH_SHADOW(call_to_the_next_instruction_pushes_once)
{
    ck_assert_int_eq(EXEC(k, CALL_0), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP - 8);
    ck_assert_uint_eq(k->cpu->shadow.ssp, SSP);
    k->cpu->r[REG_RIP] = CODE_SPA; /* an indirect one has no displacement */
    k->cpu->r[REG_RAX] = CODE_SPA + 2;
    ck_assert_int_eq(EXEC(k, CALL_RAX), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->shadow.ssp, SSP - 8);
}

WITH_SHADOW(ret_releases_parameters_from_one_stack)
{
    kit_put(k, STACK_TOP, 8, CODE_SPA + 0x40);
    kit_put(k, SSP, 8, CODE_SPA + 0x40);
    ck_assert_int_eq(EXEC(k, RET_16), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP + 24);
    ck_assert_uint_eq(k->cpu->shadow.ssp, SSP + 8);
}

/* rows: events 4.3, events 1.19 */
WITH_SHADOW(ret_to_another_place_is_refused)
{
    for (unsigned bit = 0; bit < 47; bit++) {
        kit_put(k, STACK_TOP, 8, CODE_SPA ^ 1ull << bit);
        kit_put(k, SSP, 8, CODE_SPA);
        kit_raised(k, EXEC(k, RET), EXC_CP, CP_NEAR_RET);
        ck_assert_uint_eq(k->cpu->r[REG_RIP], CODE_SPA);
        ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP);
        ck_assert_uint_eq(k->cpu->shadow.ssp, SSP);
    }
    kit_put(k, STACK_TOP, 8, NONCANON); /* the target is looked at before */
    kit_raised(k, EXEC(k, RET), EXC_GP, 0);
}

/* Nothing is pushed anywhere when one of the stacks refuses; the program stack does so first. */
WITH_SHADOW(call_pushes_to_both_or_to_none)
{
    k->cpu->shadow.ssp = ORDINARY_LA + 8;
    shadow_fault(k, EXEC(k, CALL_8), ORDINARY_LA, PF_P | PF_RW | PF_SS);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP);
    ck_assert_uint_eq(kit_get(k, STACK_TOP - 8, 8), 0);
    k->cpu->r[REG_RSP] = SSP;
    shadow_fault(k, EXEC(k, CALL_8), SSP - 8, PF_P | PF_RW);
    k->cpu->shadow.ssp = SSP;
    shadow_fault(k, EXEC(k, CALL_8), SSP - 8, PF_P | PF_RW);
    ck_assert_uint_eq(kit_get(k, SSP - 8, 8), 0);
    k->cpu->r[REG_RSP] = STACK_TOP;
    k->cpu->r[REG_RAX] = NONCANON;
    kit_raised(k, EXEC(k, CALL_RAX), EXC_GP, 0);
    ck_assert_uint_eq(k->cpu->shadow.ssp, SSP);
    kit_put(k, STACK_TOP, 8, CODE_SPA);
    k->cpu->shadow.ssp = ORDINARY_LA;
    shadow_fault(k, EXEC(k, RET), ORDINARY_LA, PF_P | PF_SS);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP);
}

/* The shadow stack is as wide as the mode, what is pushed as the operand. */
WITH_SHADOW(width_is_that_of_the_mode)
{
    static const enum cpu_mode modes[] = { MODE_COMPAT32, MODE_PROT32 };
    for (unsigned i = 0; i < 2; i++) {
        shadow_mode(k, modes[i], 0);
        kit_put(k, SSP - 8, 8, UINT64_MAX);
        k->cpu->shadow.ssp |= 1ull << 36; /* does not count */
        ck_assert_int_eq(EXEC(k, CALL_8), STEP_JUMP);
        ck_assert_uint_eq(k->cpu->shadow.ssp, SSP - 4);
        ck_assert_uint_eq(kit_get(k, SSP - 8, 8), (CODE_SPA + 5ull) << 32 | UINT32_MAX);
        ck_assert_int_eq(EXEC(k, RET), STEP_JUMP);
        ck_assert_uint_eq(k->cpu->shadow.ssp, SSP);
        k->cpu->r[REG_RAX] = 0x40;
        ck_assert_int_eq(EXEC(k, CALL16_RAX), STEP_JUMP);
        ck_assert_uint_eq(kit_get(k, SSP - 4, 4), (CODE_SPA + 8) & 0xffff);
        ck_assert_int_eq(EXEC(k, RET16), STEP_JUMP);
        ck_assert_uint_eq(k->cpu->r[REG_RIP], (CODE_SPA + 8) & 0xffff);
        ck_assert_uint_eq(k->cpu->shadow.ssp, SSP);
        kit_put(k, 0x2000, 8, 0x3007);
    }
    shadow_mode(k, MODE_LONG64, 0);
    k->cpu->r[REG_RAX] = 0x40;
    ck_assert_int_eq(EXEC(k, CALL16_RAX), STEP_JUMP);
    ck_assert_uint_eq(kit_get(k, SSP - 8, 8), (CODE_SPA + 3) & 0xffff);
    ck_assert_int_eq(EXEC(k, RET16), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->shadow.ssp, SSP);
}

/* --- in the run loop --- */

/* The same code with shadow stacks off, on and off again: blocks of both kinds stay apart. The program calls a function
 * that leaves SSP in RBX, switches S_CET as RSI says, and loops RDI times. */
WITH_SHADOW(blocks_with_and_without_shadow_stacks_stay_apart)
{
    static const char code[] = "\xb9\xa2\x06\x00\x00" /* mov ecx, 6a2h */
                               "\xe8\x0f\x00\x00\x00" /* loop: call f */
                               "\x48\x31\xf0"         /* xor rax, rsi */
                               "\x0f\x30"             /* wrmsr */
                               "\x48\xff\xcf"         /* dec rdi */
                               "\x75\xf1"             /* jnz loop */
                               "\xf4"                 /* hlt */
                               "\x90\x90\x90\x90"     /* */
                               "\xf3\x48\x0f\x1e\xcb" /* f: rdsspq rbx */
                               "\x49\x01\xd8"         /* add r8, rbx */
                               "\xc3";                /* ret */
    for (unsigned exact = 0; exact < 2; exact++) {
        const struct run_limits limits = { .max_steps = vcpu_steps(k->cpu) + 100000,
                                           .exact_blocks = exact };
        PROGRAM(k, code);
        shadow_on(k);
        k->cpu->shadow.s_cet = 0;
        k->cpu->r[REG_RAX] = k->cpu->r[REG_RBX] = k->cpu->r[REG_RDX] = k->cpu->r[REG_R8] = 0;
        k->cpu->r[REG_RSI] = SHADOW_CET_ENABLE;
        k->cpu->r[REG_RDI] = 101;
        (void)run_vcpu(k->cpu, &limits);
        ck_assert(k->cpu->regs.halted);
        ck_assert_uint_eq(k->cpu->r[REG_RDI], 0);
        ck_assert_uint_eq(k->cpu->shadow.ssp, SSP);
        /* Off in the first, third, ... call: RDSSP does nothing then. */
        ck_assert_uint_eq(k->cpu->r[REG_R8], 100 * (SSP - 8ull));
        ck_assert_uint_eq(k->cpu->r[REG_RAX], SHADOW_CET_ENABLE);
        ck_assert_uint_eq(k->deliveries, 0);
    }
}

/* A return address that was changed: #CP is delivered, and returns to the RET. */
/* rows: events 4.3 */
WITH_SHADOW(a_changed_return_address_is_delivered_as_cp)
{
    static const char code[] = "\xe8\x01\x00\x00\x00" /* call f */
                               "\xf4"                 /* hlt */
                               "\x48\x83\x04\x24\x01" /* f: add qword [rsp], 1 */
                               "\xc3";                /* ret */
    PROGRAM(k, code);
    shadow_on(k);
    kit_idt(k, EXC_CP, 14, 0, 0);
    program_run(k, 100);
    ck_assert_uint_eq(k->deliveries, 1);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_CP);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP], 8), CP_NEAR_RET);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP] + 8, 8), CODE_SPA + 11);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], HANDLER + 16 * EXC_CP + 1);
}

/* rows: exit 4.15 */
WITH_SHADOW(cp_is_intercepted_as_an_exception)
{
    k->cpu->shadow.ssp = SSP;
    control_set_cr4(k->cpu, k->cpu->regs.cr4 & ~(uint64_t)CR4_CET);
    kit_guest(k);
    control_set_cr4(k->cpu, k->cpu->regs.cr4 | CR4_CET);
    k->cpu->shadow.s_cet = SHADOW_CET_ENABLE;
    k->cpu->shadow.ssp = SSP;
    cpu_update_mode(k->cpu);
    kit_put(k, STACK_TOP, 8, CODE_SPA);
    kit_put(k, SSP, 8, CODE_SPA + 8);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_CP);
    kit_raised(k, EXEC(k, RET), EXC_CP, CP_NEAR_RET);
    enum step step = event_raised(k->cpu);
    ck_assert_int_eq(step, STEP_VMEXIT);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_EXCP0 + EXC_CP);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO1), CP_NEAR_RET);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO2), 0);
}

/* rows: events 1.19 */
WITH_SHADOW(cp_is_contributory)
{
    control_set_cr4(k->cpu,
                    k->cpu->regs.cr4 & ~(uint64_t)CR4_CET); /* deliveries are for others to test */
    kit_put(k, IDT_SPA + 16 * EXC_CP, 8, 0);                /* #NP, which is contributory too */
    ck_assert_int_eq(shadow_stack_violation(k->cpu, CP_FAR_RET), STEP_RAISED);
    ck_assert_int_eq(event_raised(k->cpu), STEP_JUMP);
    ck_assert_uint_eq(k->deliveries, 1);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_DF);
}

CHECK_MAIN("cpu/shadow_stack", cet_needs_wp_both_ways, without_the_feature_nothing_is_there,
           what_switches_shadow_stacks_on, cet_msrs_have_two_bits,
           pointers_are_canonical_and_aligned_to_4_bytes, pages_are_of_the_level_of_the_access,
           ordinary_writes_do_not_reach_shadow_stacks, an_access_may_cross_pages,
           addresses_are_canonical_or_have_32_bits, tokens_hold_their_own_address,
           call_pushes_to_both_stacks, call_to_the_next_instruction_pushes_once,
           ret_releases_parameters_from_one_stack, ret_to_another_place_is_refused,
           call_pushes_to_both_or_to_none, width_is_that_of_the_mode,
           blocks_with_and_without_shadow_stacks_stay_apart,
           a_changed_return_address_is_delivered_as_cp, cp_is_intercepted_as_an_exception,
           cp_is_contributory)

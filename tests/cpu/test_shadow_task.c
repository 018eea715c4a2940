/* Hardware task switches with shadow stacks. APM vol 2, 12.3.2 "Switching Tasks", 18.8 "Shadow Stack Operation for Task
 * Switches". */
#include "tests/cpu/shadow_far_kit.h"

#include "emu/cpu/task.h"
#include "tests/check_main.h"

#define VECTOR 0x21u
#define JMP_TASK32 "\xea\x00\x00\x00\x00\x30\x01"
#define CALL_TASK32 "\x9a\x00\x00\x00\x00\x30\x01"
#define CALL_TASK16 "\x9a\x00\x00\x00\x00\x38\x01"
#define IRETD "\xcf"
#define NEW_EIP 0x61234u
#define NEW_ESP 0x2c000u
#define TSS_SSP_AT 0x68u

/* A task at a level, with this SSP in its TSS. */
static void new_task(struct kit *k, unsigned cpl, uint32_t ssp)
{
    static const uint16_t data_at[] = { 0x48, 0x50, 0x54, 0x58, 0x5c };
    for (unsigned at = 0; at < 0x70; at += 4)
        kit_put(k, NEW_TSS + at, 4, 0);
    kit_put(k, NEW_TSS + 0x1c, 4, LEGACY_PD);
    kit_put(k, NEW_TSS + 0x20, 4, NEW_EIP);
    kit_put(k, NEW_TSS + 0x24, 4, 2);
    kit_put(k, NEW_TSS + 0x38, 4, NEW_ESP);
    for (unsigned i = 0; i < 5; i++)
        kit_put(k, NEW_TSS + data_at[i], 4, cpl ? DATA3 | 3u : DATA0);
    kit_put(k, NEW_TSS + 0x4c, 4, cpl ? CODE32_3 | 3u : CODE32);
    kit_put(k, NEW_TSS + TSS_SSP_AT, 4, ssp);
    kit_gdt(k, TASK32, kit_descriptor(NEW_TSS, 0x6b, cpl ? 0x0e9 : 0x089));
}

/* At `cpl`, with a task at `new_cpl`; everybody may switch. */
static void setup(struct kit *k, unsigned cpl, unsigned new_cpl)
{
    shadow_prot32(k, cpl, true, true);
    kit_put(k, TSS_SPA + 0x1c, 4, LEGACY_PD);
    new_task(k, new_cpl, new_cpl ? USER_TOP : PL0_TOKEN);
    kit_put(k, USER_TOP, 8, USER_TOP); /* a token for a task of level 3 */
    kit_gdt(k, TASK32, kit_gdt_raw(k, TASK32) | 3ull << 45);
}

/* IRET goes to the task at NEW_TSS, which has been left before. */
static void setup_iret(struct kit *k, unsigned new_cpl)
{
    setup(k, 0, new_cpl);
    kit_gdt(k, TASK32, kit_gdt_raw(k, TASK32) | 2ull << 40);
    kit_put(k, TSS_SPA, 2, TASK32);
    k->cpu->rflags |= FLAG_NT;
    k->cpu->shadow.ssp = PL0_TOKEN - (new_cpl ? 0 : 24);
    kit_put(k, PL0_TOKEN, 8, PL0_TOKEN | 1);
    shadow_put_frame(k, PL0_TOKEN, CODE32, NEW_EIP, PL1_TOKEN - 0x40);
    k->cpu->shadow.pl_ssp[3] = USER_TOP + 0x20;
}

static bool switched(const struct kit *k)
{
    return k->cpu->regs.seg[SEG_TR].selector == TASK32;
}

/* --- the checks before the switch --- */

WITH_KIT(new_tss_has_room_for_ssp)
{
    static const struct {
        bool cet;
        unsigned limit;
        bool legal;
    } rows[] = {
        { true, 0x6b, true }, { true, 0x6a, false }, { false, 0x67, true }, { false, 0x66, false }
    };
    for (unsigned i = 0; i < 4; i++) {
        setup(k, 0, 0);
        kit_gdt(k, TASK32, kit_descriptor(NEW_TSS, rows[i].limit, 0x089));
        k->cpu->shadow.s_cet = 0; /* CR4.CET alone counts */
        if (!rows[i].cet)
            k->cpu->regs.cr4 &= ~(uint64_t)CR4_CET;
        enum step step = EXEC(k, JMP_TASK32);
        if (rows[i].legal)
            ck_assert_int_eq(step, STEP_JUMP);
        else
            kit_raised(k, step, EXC_TS, TASK32);
        ck_assert_int_eq(switched(k), rows[i].legal);
    }
}

/* 6Ch bytes are read before anything changes. */
WITH_KIT(ssp_of_the_new_tss_faults_in_the_old_task)
{
    enum { AT = PAGED_LA + 0x20000 - TSS_SSP_AT };
    for (unsigned cet = 0; cet < 2; cet++) {
        setup(k, 0, 0);
        for (unsigned at = 0; at < 0x68; at += 4)
            kit_put(k, AT + at, 4, kit_get(k, NEW_TSS + at, 4));
        kit_gdt(k, TASK32, kit_descriptor(AT, 0x6b, 0x089));
        shadow_page32(k, 0x20, 0);
        if (!cet)
            k->cpu->regs.cr4 &= ~(uint64_t)CR4_CET;
        if (cet)
            shadow_page_fault(k, EXEC(k, CALL_TASK32), 0, PAGED_LA + 0x20000);
        else
            ck_assert_int_eq(EXEC(k, CALL_TASK32), STEP_JUMP);
        ck_assert_int_eq(switched(k), !cet);
    }
}

WITH_KIT(iret_wants_an_aligned_ssp)
{
    setup_iret(k, 0);
    k->cpu->shadow.ssp += 4;
    kit_raised(k, EXEC(k, IRETD), EXC_TS, TSS);
    ck_assert(!switched(k));
    ck_assert_uint_eq(k->cpu->shadow.ssp, PL0_TOKEN - 20);
    k->cpu->shadow.s_cet = 0; /* of a shadow stack that is on */
    ck_assert_int_eq(EXEC(k, IRETD), STEP_JUMP);
}

/* --- CALL, JMP and events --- */

WITH_KIT(call_pushes_on_the_new_tasks_stack)
{
    setup(k, 0, 0);
    ck_assert_int_eq(EXEC(k, CALL_TASK32), STEP_JUMP);
    ck_assert(switched(k));
    ck_assert_uint_eq(k->cpu->shadow.ssp, PL0_TOKEN - 24);
    shadow_expect_frame(k, PL0_TOKEN, CODE32, CODE_SPA + 7, SUPER_TOP);
    ck_assert_uint_eq(shadow_get(k, PL0_TOKEN), PL0_TOKEN | 1);
    /* and back */
    ck_assert_int_eq(EXEC(k, IRETD), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_TR].selector, TSS);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], CODE_SPA + 7);
    ck_assert_uint_eq(k->cpu->shadow.ssp, SUPER_TOP);
    ck_assert_uint_eq(shadow_get(k, PL0_TOKEN), PL0_TOKEN);
}

WITH_KIT(jmp_pushes_nothing)
{
    setup(k, 0, 0);
    ck_assert_int_eq(EXEC(k, JMP_TASK32), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->shadow.ssp, PL0_TOKEN);
    ck_assert_uint_eq(shadow_get(k, PL0_TOKEN), PL0_TOKEN | 1);
    ck_assert_uint_eq(shadow_get(k, PL0_TOKEN - 8), 0xeeeeeeeeeeeeeeee);
}

WITH_KIT(call_from_level_3_saves_ssp_in_pl3_ssp)
{
    setup(k, 3, 0);
    ck_assert_int_eq(EXEC(k, CALL_TASK32), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->shadow.pl_ssp[3], USER_TOP);
    ck_assert_uint_eq(k->cpu->shadow.ssp, PL0_TOKEN); /* nothing pushed */
    ck_assert_uint_eq(shadow_get(k, PL0_TOKEN - 8), 0xeeeeeeeeeeeeeeee);
    setup(k, 3, 0); /* JMP does not */
    ck_assert_int_eq(EXEC(k, JMP_TASK32), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->shadow.pl_ssp[3], 0x1234);
}

/* From level 3 to level 3: with a token and a frame, on a user stack. */
WITH_KIT(call_between_user_tasks_pushes)
{
    setup(k, 3, 3);
    k->cpu->shadow.ssp = USER_TOP + 0x100;
    ck_assert_int_eq(EXEC(k, CALL_TASK32), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->regs.cpl, 3);
    ck_assert_uint_eq(k->cpu->shadow.pl_ssp[3], 0x1234);
    shadow_expect_frame(k, USER_TOP, CODE32_3 | 3, CODE_SPA + 7, USER_TOP + 0x100);
    ck_assert_uint_eq(shadow_get(k, USER_TOP), USER_TOP | 1);
    ck_assert_uint_eq(k->cpu->shadow.ssp, USER_TOP - 24);
}

WITH_KIT(call_where_the_old_task_has_no_shadow_stack_pushes_nothing)
{
    setup(k, 3, 0);
    k->cpu->shadow.u_cet = 0;
    ck_assert_int_eq(EXEC(k, CALL_TASK32), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->shadow.pl_ssp[3], 0x1234);
    ck_assert_uint_eq(k->cpu->shadow.ssp, PL0_TOKEN);
    setup(k, 3, 0); /* nor does the new one */
    k->cpu->shadow.s_cet = 0;
    ck_assert_int_eq(EXEC(k, CALL_TASK32), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->shadow.pl_ssp[3], USER_TOP);
    ck_assert_uint_eq(k->cpu->shadow.ssp, USER_TOP);
    ck_assert_uint_eq(shadow_get(k, PL0_TOKEN), PL0_TOKEN);
}

WITH_KIT(event_with_an_error_code_pushes_on_both_stacks)
{
    setup(k, 0, 0);
    kit_gate32(k, EXC_GP, TASK32, 0, SYS_TASK_GATE, 0);
    modes_delivered(k, modes_fault(k, EXC_GP, 0x18), EXC_GP, 0x18);
    ck_assert(switched(k));
    shadow_expect_frame(k, PL0_TOKEN, CODE32, CODE_SPA, SUPER_TOP);
    ck_assert_uint_eq(kit_get(k, NEW_ESP - 4, 4), 0x18);
}

/* #TS(new task), in the new task. */
WITH_KIT(token_of_the_new_task_is_checked)
{
    static const struct {
        uint32_t ssp;
        uint64_t token;
        bool legal;
    } rows[] = {
        { PL0_TOKEN, PL0_TOKEN, true },
        { PL0_TOKEN, PL0_TOKEN | 1, false },
        { PL0_TOKEN, 1ull << 32 | PL0_TOKEN, false },
        { PL0_TOKEN, PL0_TOKEN - 8, false },
        { PL0_TOKEN - 4, PL0_TOKEN - 4, false },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        setup(k, 0, 0);
        kit_put(k, NEW_TSS + TSS_SSP_AT, 4, rows[i].ssp);
        if (rows[i].ssp & 7)
            shadow_page32(k, PAGE_PL0, 0); /* the alignment comes first */
        kit_put(k, PL0_TOKEN, 8, rows[i].token);
        enum step step = EXEC(k, CALL_TASK32);
        ck_assert(switched(k));
        if (rows[i].legal) {
            ck_assert_int_eq(step, STEP_JUMP);
            continue;
        }
        kit_raised(k, step, EXC_TS, TASK32);
        ck_assert_uint_eq(k->cpu->r[REG_RIP], NEW_EIP);
        ck_assert_uint_eq(k->cpu->shadow.ssp, SUPER_TOP);
        ck_assert_uint_eq(shadow_get(k, PL0_TOKEN), rows[i].token);
    }
}

WITH_KIT(frame_that_faults_is_the_new_tasks_page_fault)
{
    setup(k, 0, 0);
    kit_put(k, NEW_TSS + TSS_SSP_AT, 4, SHADOW_LA(PAGE_PL0));
    kit_put(k, SHADOW_LA(PAGE_PL0), 8, SHADOW_LA(PAGE_PL0));
    shadow_page_fault(k, EXEC(k, CALL_TASK32), PF_P | PF_RW | PF_SS, SHADOW_LA(PAGE_PL0) - 8);
    ck_assert(switched(k));
    ck_assert_uint_eq(shadow_get(k, SHADOW_LA(PAGE_PL0)), SHADOW_LA(PAGE_PL0)); /* idle */
}

WITH_KIT(task_in_v86_mode_cannot_have_a_shadow_stack)
{
    for (unsigned user = 0; user < 2; user++) {
        setup(k, 0, 0);
        k->cpu->shadow.u_cet = user;
        kit_put(k, NEW_TSS + 0x20, 4, 0x1234);
        kit_put(k, NEW_TSS + 0x24, 4, FLAG_VM | 2);
        enum step step = EXEC(k, CALL_TASK32);
        if (user)
            kit_raised(k, step, EXC_TS, TASK32);
        else
            ck_assert_int_eq(step, STEP_JUMP);
        ck_assert_int_eq(k->cpu->mode, MODE_V86);
    }
}

WITH_KIT(task_of_16_bits_cannot_have_a_shadow_stack)
{
    for (unsigned on = 0; on < 2; on++) {
        static const uint16_t seg[] = { DATA0, CODE32, DATA0, DATA0 };
        setup(k, 0, 0);
        for (unsigned i = 0; i < 4; i++)
            kit_put(k, NEW_TSS16 + 0x22 + 2 * i, 2, seg[i]);
        kit_gdt(k, TASK16, kit_descriptor(NEW_TSS16, 0x2b, 0x081)); /* long enough */
        k->cpu->shadow.s_cet = on;
        enum step step = EXEC(k, CALL_TASK16);
        if (on)
            kit_raised(k, step, EXC_TS, TASK16);
        else
            ck_assert_int_eq(step, STEP_JUMP);
    }
}

/* --- IRET --- */

WITH_KIT(iret_compares_cs_and_lip)
{
    static const struct {
        uint32_t cs, lip, ssp;
        bool legal;
    } rows[] = {
        { CODE32, NEW_EIP, SUPER_TOP, true },      { CODE32, NEW_EIP, SUPER_TOP + 4, true },
        { CODE32 | 1, NEW_EIP, SUPER_TOP, false }, { CODE32, NEW_EIP + 1, SUPER_TOP, false },
        { CODE32, NEW_EIP, SUPER_TOP + 2, false },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        setup_iret(k, 0);
        shadow_put_frame(k, PL0_TOKEN, rows[i].cs, rows[i].lip, rows[i].ssp);
        enum step step = EXEC(k, IRETD);
        ck_assert(switched(k));
        ck_assert_uint_eq(shadow_get(k, PL0_TOKEN), PL0_TOKEN); /* free in any case */
        if (rows[i].legal) {
            ck_assert_int_eq(step, STEP_JUMP);
            ck_assert_uint_eq(k->cpu->shadow.ssp, rows[i].ssp);
        } else {
            kit_raised(k, step, EXC_CP, CP_FAR_RET);
            ck_assert_uint_eq(k->cpu->r[REG_RIP], NEW_EIP);
            ck_assert_uint_eq(k->cpu->shadow.ssp, 0);
        }
    }
}

WITH_KIT(iret_compares_the_linear_address)
{
    setup_iret(k, 0);
    kit_gdt(k, SPARE, kit_descriptor(0x1000000, 0xfffff, 0xc9b));
    kit_put(k, NEW_TSS + 0x4c, 4, SPARE);
    shadow_put_frame(k, PL0_TOKEN, SPARE, 0x1000000 + NEW_EIP, SUPER_TOP);
    ck_assert_int_eq(EXEC(k, IRETD), STEP_JUMP);
}

WITH_KIT(iret_to_level_3_takes_pl3_ssp)
{
    for (unsigned user = 0; user < 2; user++) {
        setup_iret(k, 3);
        k->cpu->shadow.u_cet = user;
        if (!user)
            k->cpu->shadow.pl_ssp[3] |= 3; /* which nobody looks at */
        ck_assert_int_eq(EXEC(k, IRETD), STEP_JUMP);
        ck_assert_uint_eq(k->cpu->regs.cpl, 3);
        ck_assert_uint_eq(k->cpu->shadow.ssp, user ? USER_TOP + 0x20 : 0);
        ck_assert_uint_eq(shadow_get(k, PL0_TOKEN), PL0_TOKEN);
    }
    setup_iret(k, 3);
    k->cpu->shadow.pl_ssp[3] = USER_TOP + 2;
    kit_raised(k, EXEC(k, IRETD), EXC_CP, CP_FAR_RET);
    setup_iret(k, 3);
    k->cpu->shadow.pl_ssp[3] = 1ull << 32 | USER_TOP;
    kit_raised(k, EXEC(k, IRETD), EXC_CP, CP_FAR_RET);
}

WITH_KIT(iret_leaves_other_tokens_alone)
{
    setup_iret(k, 3);
    kit_put(k, PL0_TOKEN, 8, PL0_TOKEN | 3);
    ck_assert_int_eq(EXEC(k, IRETD), STEP_JUMP);
    ck_assert_uint_eq(shadow_get(k, PL0_TOKEN), PL0_TOKEN | 3);
}

/* The new task's registers are loaded when the old task's shadow stack faults. */
WITH_KIT(shadow_stack_of_the_old_task_faults_in_the_new_one)
{
    setup_iret(k, 0);
    shadow_page32(k, PAGE_PL0, SHADOW_LA(PAGE_PL0) | PTE_PLAIN);
    shadow_page_fault(k, EXEC(k, IRETD), PF_P | PF_SS, PL0_TOKEN - 8);
    ck_assert(switched(k));
    ck_assert_uint_eq(k->cpu->r[REG_RIP], NEW_EIP);
    ck_assert_uint_eq(k->cpu->r[REG_RSP], NEW_ESP);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_CS].selector, CODE32);
    setup_iret(k, 0); /* it is the first fault, whatever the new task's segments are */
    shadow_page32(k, PAGE_PL0, 0);
    kit_put(k, NEW_TSS + 0x54, 4, DATA_NP);
    shadow_page_fault(k, EXEC(k, IRETD), PF_SS, PL0_TOKEN - 8);
}

/* --- nested page faults take the switch back --- */

/* In a guest with nested paging; page 0x40 of the paged area leads to no memory. */
static void nested(struct kit *k)
{
    struct vcpu *cpu = k->cpu;
    cpu->svm->guest = true;
    cpu->svm->asid = 1;
    cpu->svm->nested_paging = true;
    cpu->svm->host_regime = (struct walk_regime){ .mode = WALK_4LEVEL,
                                                  .root = PML4_SPA,
                                                  .nxe = true,
                                                  .wp = true,
                                                  .cpl = 3,
                                                  .maxphyaddr = CPU_MAXPHYADDR };
    shadow_page32(k, 0x40, 0x80000000 | PTE_PLAIN);
    cpu_update_mode(cpu);
}

WITH_KIT(nested_page_fault_makes_the_token_busy_again)
{
    setup_iret(k, 0);
    kit_gdt(k, LDT16, kit_descriptor(PAGED_LA + 0x40000, 0xff, 0x082));
    kit_put(k, NEW_TSS + 0x60, 4, LDT16);
    kit_put(k, NEW_TSS + 0x54, 4, 0x0c); /* DS is in the LDT, behind the commit point */
    nested(k);
    struct shadow_stacks before = k->cpu->shadow;
    ck_assert_int_eq(EXEC(k, IRETD), STEP_RAISED);
    ck_assert(k->cpu->raised.npf);
    ck_assert(!switched(k));
    ck_assert_mem_eq(&k->cpu->shadow, &before, sizeof(before));
    ck_assert_uint_eq(shadow_get(k, PL0_TOKEN), PL0_TOKEN | 1);
}

WITH_KIT(nested_page_fault_of_the_push_leaves_the_new_stack_idle)
{
    setup(k, 3, 0);
    kit_put(k, NEW_TSS + 0x38, 4, PAGED_LA + 0x40800);
    nested(k);
    const struct task_switch how = {
        .cause = TASK_EVENT, .selector = TASK32, .return_eip = CODE_SPA, .has_code = true
    };
    ck_assert_int_eq(task_switch(k->cpu, &how), STEP_RAISED);
    ck_assert(k->cpu->raised.npf);
    ck_assert(!switched(k));
    ck_assert_uint_eq(k->cpu->shadow.ssp, USER_TOP);
    ck_assert_uint_eq(k->cpu->shadow.pl_ssp[3], 0x1234);
    ck_assert_uint_eq(shadow_get(k, PL0_TOKEN), PL0_TOKEN);
}

CHECK_MAIN("shadow_task", new_tss_has_room_for_ssp, ssp_of_the_new_tss_faults_in_the_old_task,
           iret_wants_an_aligned_ssp, call_pushes_on_the_new_tasks_stack, jmp_pushes_nothing,
           call_from_level_3_saves_ssp_in_pl3_ssp, call_between_user_tasks_pushes,
           call_where_the_old_task_has_no_shadow_stack_pushes_nothing,
           event_with_an_error_code_pushes_on_both_stacks, token_of_the_new_task_is_checked,
           frame_that_faults_is_the_new_tasks_page_fault,
           task_in_v86_mode_cannot_have_a_shadow_stack, task_of_16_bits_cannot_have_a_shadow_stack,
           iret_compares_cs_and_lip, iret_compares_the_linear_address,
           iret_to_level_3_takes_pl3_ssp, iret_leaves_other_tokens_alone,
           shadow_stack_of_the_old_task_faults_in_the_new_one,
           nested_page_fault_makes_the_token_busy_again,
           nested_page_fault_of_the_push_leaves_the_new_stack_idle)

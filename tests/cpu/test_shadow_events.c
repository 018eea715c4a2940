/* Events, IRET, SYSCALL and SYSRET of long mode with shadow stacks. APM vol 2, 18.6.1.2 "Shadow Stack Switching for
 * Interrupts and Exceptions", 18.6.2 - 18.6.5, 18.7 "Shadow Stack Operation for SYSCALL and SYSRET". */
#include "tests/cpu/shadow_far_kit.h"

#include "tests/check_main.h"

#define VECTOR 0x21u
#define IRETQ "\x48\xcf"
#define SYSCALL "\x0f\x05"
#define SYSRETQ "\x48\x0f\x07"
#define SYSRETD "\x0f\x07"
#define TARGET 0x12345678u

static void with_ist(struct kit *k, unsigned vector)
{
    kit_idt(k, vector, 14, 3, 1);
}

static void expect_token(struct kit *k, uint64_t token, bool busy)
{
    ck_assert_uint_eq(shadow_get(k, token), token | busy);
}

/* IRETQ's frame. */
static void put_frame(struct kit *k, uint16_t cs, uint64_t rip, uint16_t ss)
{
    uint64_t words[] = { rip, cs, 2, STACK_TOP - 0x100, ss };
    k->cpu->r[REG_RSP] = STACK_TOP - 0x40;
    for (unsigned i = 0; i < 5; i++)
        kit_put(k, STACK_TOP - 0x40 + 8 * i, 8, words[i]);
}

/* --- delivery --- */

WITH_KIT(interrupt_at_the_same_level_pushes_on_the_current_stack)
{
    shadow_long(k, MODE_LONG64, 0, true, true);
    modes_delivered(k, modes_intr(k, VECTOR), VECTOR, 0);
    ck_assert_uint_eq(k->cpu->shadow.ssp, SUPER_TOP - 24);
    shadow_expect_frame(k, SUPER_TOP, CODE64, CODE_SPA, SUPER_TOP);
    expect_token(k, PL0_TOKEN, false);
}

WITH_KIT(soft_interrupt_pushes_the_address_behind_it)
{
    shadow_long(k, MODE_LONG64, 0, true, true);
    kit_raised(k, EXEC(k, "\xcd\x21"), VECTOR, NO_CODE);
    modes_delivered(k, event_raised(k->cpu), VECTOR, 0);
    shadow_expect_frame(k, SUPER_TOP, CODE64, CODE_SPA + 2, SUPER_TOP);
}

WITH_KIT(interrupt_from_level_3_takes_pl0_ssp)
{
    static const struct {
        bool user, super;
        uint64_t pl3, ssp;
    } rows[] = {
        { true, true, USER_TOP, PL0_TOKEN },
        { true, false, USER_TOP, USER_TOP },
        { false, true, 0x1234, PL0_TOKEN },
        { false, false, 0x1234, USER_TOP },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        shadow_long(k, MODE_LONG64, 3, rows[i].user, rows[i].super);
        modes_delivered(k, modes_intr(k, VECTOR), VECTOR, 0);
        ck_assert_uint_eq(k->cpu->shadow.pl_ssp[3], rows[i].pl3);
        ck_assert_uint_eq(k->cpu->shadow.ssp, rows[i].ssp);
        expect_token(k, PL0_TOKEN, rows[i].super);
        ck_assert_uint_eq(shadow_get(k, PL0_TOKEN - 8), 0xeeeeeeeeeeeeeeee);
    }
}

WITH_KIT(interrupt_from_level_1_pushes_on_the_new_stack)
{
    shadow_level1(k);
    modes_delivered(k, modes_intr(k, VECTOR), VECTOR, 0);
    ck_assert_uint_eq(k->cpu->shadow.ssp, PL0_TOKEN - 24);
    shadow_expect_frame(k, PL0_TOKEN, CODE64_1 | 1, CODE_SPA, SUPER_TOP);
    expect_token(k, PL0_TOKEN, true);
}

WITH_KIT(interrupt_from_compatibility_mode_saves_32_bits_of_ssp)
{
    shadow_long(k, MODE_COMPAT32, 3, true, true);
    k->cpu->shadow.ssp |= 7ull << 32;
    modes_delivered(k, modes_intr(k, VECTOR), VECTOR, 0);
    ck_assert_uint_eq(k->cpu->shadow.pl_ssp[3], USER_TOP);
    ck_assert_uint_eq(k->cpu->shadow.ssp, PL0_TOKEN);
}

/* Entry n of the table for IST n. */
WITH_KIT(ist_takes_the_interrupt_shadow_stack_table)
{
    for (unsigned ist = 1; ist < 8; ist++)
        for (unsigned cpl = 0; cpl <= 3; cpl += 3) {
            shadow_long(k, MODE_LONG64, cpl, true, true);
            kit_idt(k, VECTOR, 14, 3, ist);
            kit_put(k, TSS_SPA + 0x1c + 8 * ist, 8, IST1_TOP);
            kit_put(k, SHADOW_LA(PAGE_ISST) + 8, 8, 0);
            kit_put(k, SHADOW_LA(PAGE_ISST) + 8 * ist, 8, IST_TOKEN);
            modes_delivered(k, modes_intr(k, VECTOR), VECTOR, 0);
            expect_token(k, IST_TOKEN, true);
            expect_token(k, PL0_TOKEN, false);
            if (cpl == 0)
                shadow_expect_frame(k, IST_TOKEN, CODE64, CODE_SPA, SUPER_TOP);
            ck_assert_uint_eq(k->cpu->shadow.ssp, IST_TOKEN - (cpl ? 0 : 24));
            ck_assert_uint_eq(k->cpu->shadow.pl_ssp[3], cpl ? USER_TOP : 0x1234);
        }
}

WITH_KIT(table_is_not_read_where_shadow_stacks_are_off)
{
    shadow_long(k, MODE_LONG64, 0, true, false);
    with_ist(k, VECTOR);
    k->cpu->shadow.isst = NONCANON;
    modes_delivered(k, modes_intr(k, VECTOR), VECTOR, 0);
    ck_assert_uint_eq(k->cpu->shadow.ssp, SUPER_TOP);
}

/* An ordinary supervisor read, which a shadow stack page does not hinder. */
WITH_KIT(table_faults_as_system_data)
{
    shadow_long(k, MODE_LONG64, 3, true, true);
    with_ist(k, VECTOR);
    kit_idt(k, EXC_PF, 14, 0, 0);
    kit_page(k, PAGE_ISST, 0);
    modes_delivered(k, modes_intr(k, VECTOR), EXC_PF, 0);
    ck_assert_uint_eq(k->cpu->regs.cr2, SHADOW_LA(PAGE_ISST) + 8);
    shadow_long(k, MODE_LONG64, 3, true, true);
    kit_page(k, PAGE_ISST, SHADOW_LA(PAGE_ISST) | PTE_SUPER);
    modes_delivered(k, modes_intr(k, VECTOR), VECTOR, 0);
    shadow_long(k, MODE_LONG64, 3, true, true);
    k->cpu->shadow.isst = NONCANON;
    modes_delivered(k, modes_intr(k, VECTOR), EXC_GP, 1);
}

/* The #GP of a token has EXT but for software interrupts, and here it goes to a stack of its own. */
WITH_KIT(delivery_checks_the_token)
{
    static const uint64_t tokens[] = { PL0_TOKEN | 1, PL0_TOKEN | 2, PL0_TOKEN - 8, 0 };
    for (unsigned i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++)
        for (unsigned soft = 0; soft < 2; soft++) {
            shadow_long(k, MODE_LONG64, 3, true, true);
            kit_idt(k, VECTOR, 14, 3, 0);
            with_ist(k, EXC_GP);
            kit_put(k, PL0_TOKEN, 8, tokens[i]);
            if (soft)
                kit_raised(k, EXEC(k, "\xcd\x21"), VECTOR, NO_CODE);
            modes_delivered(k, soft ? event_raised(k->cpu) : modes_intr(k, VECTOR), EXC_GP, !soft);
            ck_assert_uint_eq(shadow_get(k, PL0_TOKEN), tokens[i]);
            expect_token(k, IST_TOKEN, true);
            ck_assert_uint_eq(k->cpu->shadow.ssp, IST_TOKEN);
            ck_assert_uint_eq(k->cpu->shadow.pl_ssp[3], USER_TOP);
            ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP] + 8, 8), CODE_SPA);
        }
}

WITH_KIT(table_entry_must_be_aligned)
{
    shadow_long(k, MODE_LONG64, 0, true, true);
    with_ist(k, VECTOR);
    kit_put(k, SHADOW_LA(PAGE_ISST) + 8, 8, IST_TOKEN - 4);
    kit_put(k, IST_TOKEN - 4, 8, IST_TOKEN - 4);
    modes_delivered(k, modes_intr(k, VECTOR), EXC_GP, 1);
    shadow_expect_frame(k, SUPER_TOP, CODE64, CODE_SPA, SUPER_TOP); /* of the #GP */
}

/* A page fault on the shadow stack: SS in its code, CR2, and nothing of the first delivery remains. */
WITH_KIT(delivery_faults_on_the_shadow_stack)
{
    shadow_long(k, MODE_LONG64, 0, true, true);
    with_ist(k, EXC_PF);
    kit_page(k, PAGE_SUPER, SHADOW_LA(PAGE_SUPER) | PTE_PLAIN);
    modes_delivered(k, modes_intr(k, VECTOR), EXC_PF, PF_P | PF_RW | PF_SS);
    ck_assert_uint_eq(k->cpu->regs.cr2, SUPER_TOP - 8);
    ck_assert_uint_eq(kit_get(k, STACK_TOP - 8, 8), 0); /* no frame of the interrupt */
    shadow_expect_frame(k, IST_TOKEN, CODE64, CODE_SPA, SUPER_TOP);

    shadow_long(k, MODE_LONG64, 3, true, true);
    kit_page(k, PAGE_PL0, 0);
    modes_delivered(k, modes_intr(k, VECTOR), EXC_PF, PF_RW | PF_SS);
    ck_assert_uint_eq(k->cpu->regs.cr2, PL0_TOKEN);
}

/* #PF, then the #GP of a token: APM vol 2, 8.2.9. */
WITH_KIT(faults_on_the_shadow_stack_make_double_faults)
{
    shadow_long(k, MODE_LONG64, 3, true, true);
    with_ist(k, EXC_DF);
    kit_put(k, PL0_TOKEN, 8, 0);
    ck_assert_int_eq(cpu_raise_page_fault(k->cpu, 0x5000, PF_US), STEP_RAISED);
    modes_delivered(k, event_raised(k->cpu), EXC_DF, 0);
    expect_token(k, IST_TOKEN, true);

    shadow_long(k, MODE_LONG64, 3, true, true);
    kit_put(k, PL0_TOKEN, 8, 0);
    kit_put(k, IST_TOKEN, 8, 0); /* neither has #DF a stack */
    ck_assert_int_eq(modes_intr(k, VECTOR), STEP_STOP);
    ck_assert_int_eq(k->cpu->stop.reason, PACIFICA_STOP_SHUTDOWN);
}

/* #CP is contributory. */
WITH_KIT(control_protection_and_a_bad_token_are_a_double_fault)
{
    shadow_long(k, MODE_LONG64, 3, true, true);
    with_ist(k, EXC_DF);
    kit_put(k, PL0_TOKEN, 8, 0);
    ck_assert_int_eq(shadow_stack_violation(k->cpu, CP_FAR_RET), STEP_RAISED);
    modes_delivered(k, event_raised(k->cpu), EXC_DF, 0);
}

WITH_KIT(delivery_writes_no_shadow_stack_if_the_program_stack_faults)
{
    shadow_long(k, MODE_LONG64, 3, true, true);
    with_ist(k, EXC_PF);
    kit_put(k, TSS_SPA + 4, 8, PAGED_LA + 0x100000); /* RSP0 */
    kit_page(k, 0xff, 0);
    modes_delivered(k, modes_intr(k, VECTOR), EXC_PF, PF_RW);
    expect_token(k, PL0_TOKEN, false);
    expect_token(k, IST_TOKEN, true);
    kit_put(k, TSS_SPA + 4, 8, RSP0_TOP);
}

/* A guest at level 3 with shadow stacks. */
static void guest(struct kit *k)
{
    kit_mode(k, MODE_LONG64, 3);
    kit_guest(k);
    shadow_contents(k);
    for (unsigned page = 0; page < SHADOW_PAGES; page++)
        kit_page(k, page, SHADOW_LA(page) | PTE_SUPER);
    shadow_registers(k, true, true);
    k->cpu->regs.seg[SEG_TR] =
        (struct segment){ .selector = TSS, .attr = 0x08b, .limit = 0x2067, .base = TSS_SPA };
}

static void expect_interrupted(struct kit *k, uint64_t code)
{
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), code);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINTINFO), 1ull << 31 | VECTOR);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RIP), CODE_SPA);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, CPL), 3);
    ck_assert_uint_eq(kit_get(k, RSP0_TOP - 8, 8), 0); /* no frame */
}

/* EXITINTINFO has the event that was delivered, EXITINFO the fault of its shadow stack. */
WITH_KIT(intercepted_fault_tells_the_interrupted_delivery)
{
    guest(k);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_GP);
    kit_put(k, PL0_TOKEN, 8, 0);
    ck_assert_int_eq(modes_intr(k, VECTOR), STEP_VMEXIT);
    expect_interrupted(k, VMEXIT_EXCP0 + EXC_GP);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO1), 1);

    guest(k);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_PF);
    kit_page(k, PAGE_PL0, 0);
    ck_assert_int_eq(modes_intr(k, VECTOR), STEP_VMEXIT);
    expect_interrupted(k, VMEXIT_EXCP0 + EXC_PF);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO1), PF_RW | PF_SS);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO2), PL0_TOKEN);
}

WITH_KIT(nested_page_fault_of_the_token_tells_the_interrupted_delivery)
{
    guest(k);
    k->cpu->svm->nested_paging = true;
    k->cpu->svm->host_regime = (struct walk_regime){ .mode = WALK_4LEVEL,
                                                     .root = PML4_SPA,
                                                     .nxe = true,
                                                     .wp = true,
                                                     .cpl = 3,
                                                     .maxphyaddr = CPU_MAXPHYADDR };
    kit_page(k, PAGE_PL0, 0x80000000 | PTE_SUPER); /* no such guest physical address */
    cpu_update_mode(k->cpu);
    ck_assert_int_eq(modes_intr(k, VECTOR), STEP_VMEXIT);
    expect_interrupted(k, VMEXIT_NPF);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO2), 0x80000ff8);
}

/* --- IRET --- */

WITH_KIT(iret_at_the_same_level_compares_the_frame)
{
    static const struct {
        uint64_t cs, lip, ssp;
        bool legal;
    } rows[] = {
        { CODE64, TARGET, SUPER_TOP, true },      { CODE64, TARGET, SUPER_TOP + 4, true },
        { CODE64, TARGET + 1, SUPER_TOP, false }, { CODE64 | 1, TARGET, SUPER_TOP, false },
        { CODE64, TARGET, SUPER_TOP + 2, false },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        shadow_long(k, MODE_LONG64, 0, true, true);
        put_frame(k, CODE64, TARGET, DATA0);
        k->cpu->regs.nmi_masked = true;
        k->cpu->shadow.ssp = SUPER_TOP - 24;
        shadow_put_frame(k, SUPER_TOP, rows[i].cs, rows[i].lip, rows[i].ssp);
        enum step step = EXEC(k, IRETQ);
        ck_assert_int_eq(k->cpu->regs.nmi_masked, !rows[i].legal);
        if (rows[i].legal) {
            ck_assert_int_eq(step, STEP_JUMP);
            ck_assert_uint_eq(k->cpu->shadow.ssp, rows[i].ssp);
            ck_assert_uint_eq(k->cpu->r[REG_RSP], STACK_TOP - 0x100);
        } else {
            kit_raised(k, step, EXC_CP, CP_FAR_RET);
            shadow_expect_nothing(k, STACK_TOP - 0x40, SUPER_TOP - 24, 0);
        }
    }
}

/* With IST at the same level: the stack that was interrupted comes back, and the token is free again. */
WITH_KIT(iret_leaves_an_interrupt_shadow_stack)
{
    shadow_long(k, MODE_LONG64, 0, true, true);
    with_ist(k, VECTOR);
    modes_delivered(k, modes_intr(k, VECTOR), VECTOR, 0);
    ck_assert_int_eq(EXEC(k, IRETQ), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], CODE_SPA);
    ck_assert_uint_eq(k->cpu->shadow.ssp, SUPER_TOP);
    expect_token(k, IST_TOKEN, false);
}

/* Without: what looks like a token above the frame stays, and need not be readable. */
WITH_KIT(iret_that_stays_on_its_stack_looks_for_no_token)
{
    shadow_long(k, MODE_LONG64, 0, true, true);
    k->cpu->shadow.ssp = PL0_TOKEN;
    kit_put(k, PL0_TOKEN, 8, PL0_TOKEN | 1);
    modes_delivered(k, modes_intr(k, VECTOR), VECTOR, 0);
    ck_assert_int_eq(EXEC(k, IRETQ), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->shadow.ssp, PL0_TOKEN);
    expect_token(k, PL0_TOKEN, true);

    shadow_long(k, MODE_LONG64, 0, true, true);
    k->cpu->shadow.ssp = SHADOW_LA(PAGE_USER); /* the first word of a page that is not there */
    kit_page(k, PAGE_USER, 0);
    modes_delivered(k, modes_intr(k, VECTOR), VECTOR, 0);
    ck_assert_int_eq(EXEC(k, IRETQ), STEP_JUMP);
}

WITH_KIT(iret_to_level_3_takes_pl3_ssp_and_frees_the_token)
{
    for (unsigned ist = 0; ist < 2; ist++) {
        shadow_long(k, MODE_LONG64, 3, true, true);
        kit_idt(k, VECTOR, 14, 3, ist);
        modes_delivered(k, modes_intr(k, VECTOR), VECTOR, 0);
        expect_token(k, ist ? IST_TOKEN : PL0_TOKEN, true);
        k->cpu->shadow.pl_ssp[3] = USER_TOP + 0x10; /* by the system */
        ck_assert_int_eq(EXEC(k, IRETQ), STEP_JUMP);
        ck_assert_uint_eq(k->cpu->regs.cpl, 3);
        ck_assert_uint_eq(k->cpu->shadow.ssp, USER_TOP + 0x10);
        expect_token(k, ist ? IST_TOKEN : PL0_TOKEN, false);
    }
}

WITH_KIT(iret_to_level_3_verifies_no_address)
{
    shadow_long(k, MODE_LONG64, 0, true, true);
    put_frame(k, CODE64_3 | 3, TARGET, DATA3 | 3);
    k->cpu->shadow.ssp = PL0_TOKEN;
    k->cpu->shadow.pl_ssp[3] = USER_TOP;
    kit_put(k, PL0_TOKEN, 8, PL0_TOKEN); /* not busy: no fault */
    ck_assert_int_eq(EXEC(k, IRETQ), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], TARGET);
    expect_token(k, PL0_TOKEN, false);
}

WITH_KIT(iret_to_level_3_checks_both_pointers)
{
    shadow_long(k, MODE_LONG64, 0, true, true);
    put_frame(k, CODE64_3 | 3, TARGET, DATA3 | 3);
    k->cpu->shadow.ssp = PL0_TOKEN - 4;
    k->cpu->shadow.pl_ssp[3] = USER_TOP;
    kit_raised(k, EXEC(k, IRETQ), EXC_CP, CP_FAR_RET);
    shadow_long(k, MODE_LONG64, 0, true, true);
    put_frame(k, CODE32_3 | 3, TARGET, DATA3 | 3);
    k->cpu->shadow.pl_ssp[3] = 1ull << 32 | USER_TOP;
    kit_raised(k, EXEC(k, IRETQ), EXC_CP, CP_FAR_RET);
}

WITH_KIT(iret_to_level_1_compares_the_frame)
{
    shadow_level1(k);
    modes_delivered(k, modes_intr(k, VECTOR), VECTOR, 0);
    kit_put(k, PL0_TOKEN - 16, 8, CODE_SPA + 1);
    kit_raised(k, EXEC(k, IRETQ), EXC_CP, CP_FAR_RET);
    expect_token(k, PL0_TOKEN, true);
    kit_put(k, PL0_TOKEN - 16, 8, CODE_SPA);
    ck_assert_int_eq(EXEC(k, IRETQ), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->regs.cpl, 1);
    ck_assert_uint_eq(k->cpu->shadow.ssp, SUPER_TOP);
    expect_token(k, PL0_TOKEN, false);
}

/* --- SYSCALL and SYSRET --- */

WITH_KIT(syscall_saves_ssp_and_clears_it)
{
    static const struct {
        unsigned cpl;
        bool user, super;
        bool saved, cleared;
    } rows[] = {
        { 3, true, true, true, true },   { 3, true, false, true, false },
        { 3, false, true, false, true }, { 3, false, false, false, false },
        { 0, true, true, true, true },   { 0, true, false, false, false },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        shadow_long(k, MODE_LONG64, rows[i].cpl, rows[i].user, rows[i].super);
        uint64_t ssp = k->cpu->shadow.ssp;
        ck_assert_int_eq(EXEC(k, SYSCALL), STEP_JUMP);
        ck_assert_uint_eq(k->cpu->shadow.pl_ssp[3], rows[i].saved ? ssp : 0x1234);
        ck_assert_uint_eq(k->cpu->shadow.ssp, rows[i].cleared ? 0 : ssp);
        expect_token(k, PL0_TOKEN, false); /* no stack is switched */
    }
}

WITH_KIT(syscall_that_is_ud_changes_no_ssp)
{
    shadow_long(k, MODE_LONG64, 3, true, true);
    k->cpu->regs.efer &= ~(uint64_t)EFER_SCE;
    kit_raised(k, EXEC(k, SYSCALL), EXC_UD, NO_CODE);
    ck_assert_uint_eq(k->cpu->shadow.ssp, USER_TOP);
    ck_assert_uint_eq(k->cpu->shadow.pl_ssp[3], 0x1234);
}

WITH_KIT(sysret_restores_ssp)
{
    for (unsigned user = 0; user < 2; user++)
        for (unsigned wide = 0; wide < 2; wide++) {
            shadow_long(k, MODE_LONG64, 0, user, true);
            k->cpu->shadow.pl_ssp[3] = USER_TOP + 8;
            ck_assert_int_eq(wide ? EXEC(k, SYSRETQ) : EXEC(k, SYSRETD), STEP_JUMP);
            ck_assert_uint_eq(k->cpu->regs.cpl, 3);
            ck_assert_uint_eq(k->cpu->shadow.ssp, user ? USER_TOP + 8 : SUPER_TOP);
        }
}

CHECK_MAIN("shadow_events", interrupt_at_the_same_level_pushes_on_the_current_stack,
           soft_interrupt_pushes_the_address_behind_it, interrupt_from_level_3_takes_pl0_ssp,
           interrupt_from_level_1_pushes_on_the_new_stack,
           interrupt_from_compatibility_mode_saves_32_bits_of_ssp,
           ist_takes_the_interrupt_shadow_stack_table,
           table_is_not_read_where_shadow_stacks_are_off, table_faults_as_system_data,
           delivery_checks_the_token, table_entry_must_be_aligned,
           delivery_faults_on_the_shadow_stack, faults_on_the_shadow_stack_make_double_faults,
           control_protection_and_a_bad_token_are_a_double_fault,
           delivery_writes_no_shadow_stack_if_the_program_stack_faults,
           intercepted_fault_tells_the_interrupted_delivery,
           nested_page_fault_of_the_token_tells_the_interrupted_delivery,
           iret_at_the_same_level_compares_the_frame, iret_leaves_an_interrupt_shadow_stack,
           iret_that_stays_on_its_stack_looks_for_no_token,
           iret_to_level_3_takes_pl3_ssp_and_frees_the_token, iret_to_level_3_verifies_no_address,
           iret_to_level_3_checks_both_pointers, iret_to_level_1_compares_the_frame,
           syscall_saves_ssp_and_clears_it, syscall_that_is_ud_changes_no_ssp, sysret_restores_ssp)

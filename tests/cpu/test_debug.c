/* Other causes of #DB: DR7.GD, ICEBP, task switches, single step of instructions and of branches; the last branch.
 * APM vol 2, 13.1.1, 13.1.4 "Single Stepping", 13.1.6 "Control-Transfer Breakpoint Features". */
#include "emu/cpu/trap.h"
#include "tests/cpu/program.h"

#define TARGET (CODE_SPA + 0x20)

/* --- MOV DR --- */

/* rows: events 5.2, 5.9, pitfalls 6.13 */
WITH_KIT(general_detect_is_a_fault_that_clears_gd)
{
    static const char *const moves[] = { "\x0f\x23\xc0", "\x0f\x21\xc0", "\x0f\x23\xf8" };
    for (unsigned i = 0; i < TABLE_ROWS(moves); i++) {
        program(k, moves[i], 3);
        k->cpu->regs.dr[0] = 0;
        k->cpu->regs.dr[7] |= DR7_GD;
        k->cpu->r[REG_RAX] = 0x1234;
        k->cpu->rflags |= FLAG_TF | FLAG_RF;
        program_run(k, 10);
        expect_db(k, 1, CODE_SPA, DR6_BD);
        ck_assert_uint_eq(k->cpu->regs.dr[7], DR7_FIXED);
        ck_assert_uint_eq(k->cpu->regs.dr[0], 0);
        ck_assert_uint_eq(k->cpu->r[REG_RAX], 0x1234);
        ck_assert_uint_eq(k->cpu->rflags, 2);
        ck_assert_uint_eq(pushed_flags(k), 2 | FLAG_TF);
    }
}

/* rows: pitfalls 6.13 */
WITH_KIT(general_detect_comes_in_the_shadow_of_mov_ss)
{
    PROGRAM(k, "\x8e\xd1\x0f\x21\xc0"); /* MOV SS, CX; MOV RAX, DR0 */
    k->cpu->r[REG_RCX] = DATA0;
    k->cpu->regs.dr[7] |= DR7_GD;
    program_run(k, 10);
    expect_db(k, 1, CODE_SPA + 2, DR6_BD);
}

/* rows: events 3.2.4, 5.15, exit 2.10 */
WITH_KIT(intercept_of_mov_dr_comes_after_general_detect_and_values)
{
    static const struct {
        bool gd;
        uint64_t value;
        int vector; /* -1: the exit */
    } rows[] = { { true, 0, EXC_DB }, { false, 1ull << 32, EXC_GP }, { false, 0, -1 } };
    for (unsigned i = 0; i < TABLE_ROWS(rows); i++) {
        PROGRAM(k, "\x0f\x23\xf8"); /* MOV DR7, RAX */
        kit_put(k, CODE_SPA + 0x100, 1, 0xf4);
        kit_guest(k);
        kit_intercept(k, INTERCEPT_DR0_WRITE + 7);
        k->cpu->regs.dr[7] |= rows[i].gd ? DR7_GD : 0;
        k->cpu->r[REG_RAX] = rows[i].value;
        program_run(k, 10);
        ck_assert_uint_eq(k->cpu->svm->guest, rows[i].vector >= 0);
        if (rows[i].vector < 0)
            ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_DR0_WRITE + 7);
        else
            ck_assert_uint_eq(k->delivered.a & 0xff, rows[i].vector);
        kit_mode(k, MODE_LONG64, 0);
        if (k->cpu->svm->guest)
            ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_VMMCALL, 0, 0), STEP_VMEXIT);
    }
}

/* --- ICEBP, T bit --- */

/* rows: events 5.8, 5.9, pitfalls 6.8, 10.7 */
WITH_KIT(icebp_is_db_behind_it_and_leaves_dr6)
{
    PROGRAM(k, "\xf1\x90");
    kit_mode(k, MODE_LONG64, 3); /* the gate's DPL is 0 */
    k->cpu->regs.dr[6] = DR6_FIXED | 5;
    k->cpu->regs.dr[7] |= DR7_GD;
    k->cpu->msr.debugctl = DEBUGCTL_LBR | DEBUGCTL_BTF;
    k->cpu->rflags |= FLAG_TF;
    program_run(k, 10);
    expect_db(k, 1, CODE_SPA + 1, 5);
    ck_assert_uint_eq(k->cpu->regs.dr[7], DR7_FIXED);
    ck_assert_uint_eq(k->cpu->msr.debugctl, 0);
}

/* rows: events 5.6, 5.16 */
WITH_KIT(t_bit_traps_before_the_first_instruction)
{
    PROGRAM(k, "\x90\x90");
    watch(k, 1, TARGET, ON_FETCH, LEN1);
    k->cpu->regs.dr[7] |= 0x355; /* L0-L3, LE, GE */
    trap_task_switch(k->cpu);    /* what the task switch does */
    k->cpu->traps |= DR6_BT;
    trap_retired(k->cpu, (struct trap_start){ 0 });
    ck_assert_uint_eq(k->cpu->regs.dr[7] & 0x3ff, 0x208); /* G1 and GE stay */
    program_run(k, 10);
    expect_db(k, 1, CODE_SPA, DR6_BT);
}

/* rows: events 5.22, pitfalls 6.17 */
WITH_KIT(task_switch_keeps_rf_for_the_next_instruction)
{
    PROGRAM(k, "\x90\x90");
    k->cpu->rflags |= FLAG_RF; /* of the TSS */
    trap_task_switch(k->cpu);
    trap_retired(k->cpu, (struct trap_start){ .rf = true });
    ck_assert(k->cpu->rflags & FLAG_RF);
    watch(k, 1, CODE_SPA, ON_FETCH, LEN1);
    program_run(k, 1);
    expect_none(k);
    ck_assert_uint_eq(k->cpu->rflags, 2);
}

/* --- TF --- */

/* rows: events 5.25, 5.26, 5.30, pitfalls 6.1, 6.4, 6.5, 6.7 */
WITH_KIT(single_step_goes_by_tf_at_the_start)
{
    static const struct {
        const char *bytes;
        unsigned len, flags, pushed, vector;
        uint64_t rip;
    } rows[] = {
        { "\x9d\x90\x90", 3, FLAG_TF, 0, EXC_DB, 1 },       /* POPF that clears it */
        { "\x9d\x90\x90", 3, 0, FLAG_TF, EXC_DB, 2 },       /* POPF that sets it */
        { "\x9d\x90\x90", 3, FLAG_TF, FLAG_TF, EXC_DB, 1 }, /* once */
        { "\xf4\x90", 2, FLAG_TF, 0, EXC_DB, 1 },           /* HLT */
        { "\xfb\xf4", 2, FLAG_TF, 0, EXC_DB, 1 },           /* STI */
        { "\x0f\x0b", 2, FLAG_TF, 0, EXC_UD, 0 },           /* faults do not step */
        { "\xcc\x90", 2, FLAG_TF, 0, EXC_BP, 1 }, /* INT3, INT n: TF is 0 in the handler */
        { "\xcd\x40", 2, FLAG_TF, 0, 0x40, 2 },
        { "\x0f\xa2\x90", 3, FLAG_TF, 0, EXC_DB, 2 }, /* CPUID */
        { "\xeb\x1e", 2, FLAG_TF, 0, EXC_DB, 0x20 },
    };
    for (unsigned i = 0; i < TABLE_ROWS(rows); i++) {
        program(k, rows[i].bytes, rows[i].len);
        k->cpu->r[REG_RSP] -= 8;
        kit_put(k, k->cpu->r[REG_RSP], 8, rows[i].pushed);
        k->cpu->rflags |= rows[i].flags;
        program_run(k, 10);
        ck_assert_msg(k->deliveries == 1 && (k->delivered.a & 0xff) == rows[i].vector, "row %u: %u",
                      i, k->deliveries);
        ck_assert_msg(pushed_rip(k) == CODE_SPA + rows[i].rip, "row %u", i);
        ck_assert_uint_eq(k->cpu->rflags & FLAG_TF, 0);
    }
}

/* --- branches --- */

/* rows: events 5.27, pitfalls 6.22 */
WITH_KIT(btf_steps_taken_branches_only)
{
    static const struct {
        const char *bytes;
        unsigned len;
        uint64_t rip; /* where #DB returns; 0: there is none */
        unsigned flags, rcx;
    } rows[] = {
        { "\x90\x90\xeb\x1c", 4, 0x20, 0, 0 },         /* JMP */
        { "\x90\xeb\x00", 3, 3, 0, 0 },                /* to the next instruction */
        { "\x74\x1e", 2, 0, 0, 0 },                    /* JZ, not taken */
        { "\x74\x00", 2, 0, 0, 0 },                    /* not taken, the same place */
        { "\x74\x1e", 2, 0x20, FLAG_ZF, 0 },           /* taken */
        { "\x74\x00", 2, 2, FLAG_ZF, 0 },              /* taken to the next */
        { "\x0f\x85\x1a\x00\x00\x00", 6, 0x20, 0, 0 }, /* JNZ near */
        { "\xe2\x1e", 2, 0x20, 0, 2 },                 /* LOOP */
        { "\xe2\x1e", 2, 0, 0, 1 },                    /* the last time */
        { "\xe1\x1e", 2, 0, 0, 2 },                    /* LOOPE with ZF = 0 */
        { "\xe1\x1e", 2, 0x20, FLAG_ZF, 2 },           /* LOOPE with ZF = 1 */
        { "\xe0\x1e", 2, 0, FLAG_ZF, 2 },              /* LOOPNE */
        { "\xe3\x1e", 2, 0x20, 0, 0 },                 /* JRCXZ */
        { "\xe3\x1e", 2, 0, 0, 1 },                    /* not taken */
        { "\xe8\x1b\x00\x00\x00", 5, 0x20, 0, 0 },     /* CALL */
        { "\xc3", 1, 0x20, 0, 0 },                     /* RET */
        { "\xff\xe2", 2, 0x20, 0, 0 },                 /* JMP RDX */
        { "\x90\xf3\xaa\x90", 4, 0, 0, 3 },            /* REP STOSB */
    };
    for (unsigned i = 0; i < TABLE_ROWS(rows); i++) {
        program(k, rows[i].bytes, rows[i].len);
        kit_put(k, STACK_TOP, 8, TARGET);
        k->cpu->msr.debugctl = DEBUGCTL_BTF;
        k->cpu->rflags |= FLAG_TF | rows[i].flags;
        k->cpu->r[REG_RCX] = rows[i].rcx;
        k->cpu->r[REG_RDX] = TARGET;
        k->cpu->r[REG_RDI] = DATA_SPA;
        program_run(k, rows[i].rip ? 10 : 8);
        ck_assert_msg(k->deliveries == (rows[i].rip != 0), "row %u", i);
        if (!rows[i].rip)
            continue;
        expect_db(k, 1, CODE_SPA + rows[i].rip, DR6_BS);
        ck_assert_uint_eq(k->cpu->msr.debugctl, 0);
    }
}

/* rows: events 5.27, pitfalls 6.22 */
WITH_KIT(btf_steps_interrupts_and_exceptions)
{
    static const struct {
        const char *bytes;
        unsigned len;
        int pending;
        unsigned vector;
    } rows[] = {
        { "\x0f\x0b", 2, -1, EXC_UD },
        { "\xcd\x40", 2, -1, 0x40 },
        { "\x90", 1, 0x41, 0x41 },
    };
    for (unsigned i = 0; i < TABLE_ROWS(rows); i++) {
        program(k, rows[i].bytes, rows[i].len);
        k->cpu->msr.debugctl = DEBUGCTL_BTF;
        k->cpu->rflags |= FLAG_TF | FLAG_IF;
        k->pending = rows[i].pending;
        program_run(k, 10);
        expect_db(k, 2, HANDLER + 16 * rows[i].vector, DR6_BS);
        ck_assert_uint_eq(pushed_flags(k), 2);
    }
}

WITH_KIT(syscall_steps_as_a_branch)
{
    PROGRAM(k, "\x0f\x05");
    k->cpu->msr.star = (uint64_t)CODE64 << 32;
    k->cpu->msr.lstar = TARGET;
    k->cpu->msr.sfmask = 0;
    k->cpu->msr.debugctl = DEBUGCTL_BTF;
    k->cpu->rflags |= FLAG_TF;
    program_run(k, 10);
    expect_db(k, 1, TARGET, DR6_BS);
}

WITH_KIT(last_branch_and_last_interrupt_are_recorded)
{
    PROGRAM(k, "\x90\xeb\x1d");    /* NOP; JMP TARGET */
    kit_put(k, TARGET, 2, 0x0b0f); /* UD2 */
    memset(k->cpu->msr.last_branch, 0, sizeof(k->cpu->msr.last_branch));
    k->cpu->msr.debugctl = DEBUGCTL_LBR;
    program_run(k, 2);
    ck_assert_uint_eq(k->cpu->msr.last_branch[0], CODE_SPA + 1);
    ck_assert_uint_eq(k->cpu->msr.last_branch[1], TARGET);
    program_run(k, 10);
    ck_assert_uint_eq(k->cpu->msr.last_branch[0], TARGET);
    ck_assert_uint_eq(k->cpu->msr.last_branch[1], HANDLER + 16 * EXC_UD);
    ck_assert_uint_eq(k->cpu->msr.last_branch[2], CODE_SPA + 1);
    ck_assert_uint_eq(k->cpu->msr.last_branch[3], TARGET);
    ck_assert_uint_eq(k->cpu->msr.debugctl, DEBUGCTL_LBR);
}

/* 13.1.1.7 "Control-Transfer Recording MSRs": the processor writes them, nobody else. */
WITH_KIT(what_was_recorded_can_only_be_read)
{
    for (unsigned n = 0; n < 4; n++) {
        uint64_t value;
        k->cpu->msr.last_branch[n] = 0x1000 + n;
        ck_assert_int_eq(msr_read(k->cpu, 0x1db + n, &value), STEP_NEXT);
        ck_assert_uint_eq(value, 0x1000 + n);
        kit_raised(k, msr_write(k->cpu, 0x1db + n, value), EXC_GP, 0);
    }
}

/* Nothing is recorded, and blocks are not cut, while DebugCtl.LBR is 0. */
WITH_KIT(nothing_is_recorded_unasked)
{
    PROGRAM(k, "\xeb\x1e");
    kit_put(k, TARGET, 2, 0x0b0f);
    memset(k->cpu->msr.last_branch, 0, sizeof(k->cpu->msr.last_branch));
    program_run(k, 10);
    for (unsigned n = 0; n < 4; n++)
        ck_assert_uint_eq(k->cpu->msr.last_branch[n], 0);
}

/* #DB ends recording and does not record itself. */
WITH_KIT(debug_exception_freezes_the_last_branch)
{
    PROGRAM(k, "\xeb\x1e");
    memset(k->cpu->msr.last_branch, 0, sizeof(k->cpu->msr.last_branch));
    k->cpu->msr.debugctl = DEBUGCTL_LBR;
    watch(k, 0, TARGET, ON_FETCH, LEN1);
    program_run(k, 10);
    expect_db(k, 1, TARGET, 1);
    ck_assert_uint_eq(k->cpu->msr.last_branch[0], CODE_SPA);
    ck_assert_uint_eq(k->cpu->msr.last_branch[1], TARGET);
    ck_assert_uint_eq(k->cpu->msr.last_branch[2], 0);
    ck_assert_uint_eq(k->cpu->msr.debugctl, 0);
}

int main(void)
{
    Suite *suite = suite_create("debug");
    TCase *all = tcase_create("all");
    tcase_add_test(all, general_detect_is_a_fault_that_clears_gd);
    tcase_add_test(all, general_detect_comes_in_the_shadow_of_mov_ss);
    tcase_add_test(all, intercept_of_mov_dr_comes_after_general_detect_and_values);
    tcase_add_test(all, icebp_is_db_behind_it_and_leaves_dr6);
    tcase_add_test(all, t_bit_traps_before_the_first_instruction);
    tcase_add_test(all, task_switch_keeps_rf_for_the_next_instruction);
    tcase_add_test(all, single_step_goes_by_tf_at_the_start);
    tcase_add_test(all, btf_steps_taken_branches_only);
    tcase_add_test(all, btf_steps_interrupts_and_exceptions);
    tcase_add_test(all, syscall_steps_as_a_branch);
    tcase_add_test(all, last_branch_and_last_interrupt_are_recorded);
    tcase_add_test(all, what_was_recorded_can_only_be_read);
    tcase_add_test(all, nothing_is_recorded_unasked);
    tcase_add_test(all, debug_exception_freezes_the_last_branch);
    suite_add_tcase(suite, all);
    return kit_run(suite);
}

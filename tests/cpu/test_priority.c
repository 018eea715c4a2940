/* What comes first at an instruction boundary, and what holds it back. APM vol 2, 8.1.4 "Masking External Interrupts", 8.5
 * "Priorities". */
#include "tests/cpu/program.h"

#define HOST_RIP (CODE_SPA + 0x100)

/* A guest that has everything intercepted, at a boundary where all is pending. */
static void all_pending(struct kit *k)
{
    PROGRAM(k, "\x90\x90");
    kit_put(k, HOST_RIP, 1, 0xf4);
    kit_guest(k);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_MC);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_DB);
    kit_intercept(k, INTERCEPT_INIT);
    kit_intercept(k, INTERCEPT_SMI);
    kit_intercept(k, INTERCEPT_NMI);
    kit_intercept(k, INTERCEPT_INTR);
    kit_intercept(k, INTERCEPT_VINTR);
    k->cpu->regs.cr4 |= CR4_MCE;
    k->cpu->rflags |= FLAG_IF;
    k->cpu->svm->v_irq = k->cpu->svm->v_ign_tpr = true;
}

/* rows: events 3.1.1-3.1.6, svmop 10.11-10.14, 10.16-10.18 */
WITH_KIT(events_are_taken_in_the_order_of_their_classes)
{
    static const unsigned codes[] = { VMEXIT_EXCP0 + EXC_MC, VMEXIT_INIT,          VMEXIT_SMI,
                                      VMEXIT_EXCP0 + EXC_DB, VMEXIT_NMI,           VMEXIT_INTR,
                                      VMEXIT_VINTR,          VMEXIT_EXCP0 + EXC_DB };
    for (unsigned i = 0; i < TABLE_ROWS(codes); i++) {
        all_pending(k); /* but for the first i */
        k->cpu->pins = (struct cpu_pins){ .mc = i < 1, .init = i < 2, .smi = i < 3, .nmi = i < 5 };
        k->cpu->traps = i < 4 ? DR6_BS | 2 : 0;
        k->pending = i < 6 ? 0x30 : -1;
        k->cpu->svm->v_irq = i < 7;
        watch(k, 3, CODE_SPA, ON_FETCH, LEN1);
        k->cpu->msr.mcg_status = 0;
        program_run(k, 1);
        ck_assert_msg(VMCB_GET(k->vmcb, EXITCODE) == codes[i], "row %u: %llx", i,
                      (unsigned long long)VMCB_GET(k->vmcb, EXITCODE));
        ck_assert_uint_eq(VMCB_GET(k->vmcb, RIP), CODE_SPA);
        uint64_t dr6 = i == 3 ? DR6_BS | 2 : i == 7 ? 8 : 0; /* traps that lost are gone */
        ck_assert_uint_eq(VMCB_GET(k->vmcb, DR6), DR6_FIXED | dr6);
        ck_assert_uint_eq(k->cpu->pins.smi, i < 3);
        ck_assert_uint_eq(k->cpu->pins.nmi, i < 5);
        ck_assert_uint_eq(k->cpu->traps, 0);
    }
}

/* rows: events 3.1.3 */
WITH_KIT(interrupt_is_taken_before_the_first_instruction_of_the_db_handler)
{
    for (unsigned trap_gate = 0; trap_gate < 2; trap_gate++) {
        PROGRAM(k, "\x90\x90");
        kit_idt(k, EXC_DB, trap_gate ? 15 : 14, 0, 0);
        k->cpu->rflags |= FLAG_TF;
        program_run(k, 1);
        k->cpu->rflags |= FLAG_IF;
        k->pending = 0x30;
        program_run(k, 10);
        ck_assert_uint_eq(k->deliveries, 1 + trap_gate);
        ck_assert_uint_eq(pushed_rip(k), trap_gate ? HANDLER + 16 * EXC_DB : CODE_SPA + 1);
        k->pending = -1;
    }
    PROGRAM(k, "\x90\x90"); /* NMI: always */
    k->cpu->rflags |= FLAG_TF;
    program_run(k, 1);
    k->cpu->pins.nmi = true;
    program_run(k, 10);
    ck_assert_uint_eq(k->deliveries, 2);
    ck_assert_uint_eq(pushed_rip(k), HANDLER + 16 * EXC_DB);
    ck_assert(k->cpu->regs.nmi_masked);
}

/* --- machine check --- */

/* rows: events 1.18, 3.1.1 */
WITH_KIT(machine_check_is_18_and_tells_mcg_status)
{
    PROGRAM(k, "\x90");
    k->cpu->regs.cr4 |= CR4_MCE;
    k->cpu->pins.mc = true;
    k->cpu->pins.nmi = true;
    program_run(k, 1);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_MC);
    ck_assert(!(k->delivered.a >> 11 & 1)); /* no error code */
    ck_assert_uint_eq(pushed_rip(k), CODE_SPA);
    ck_assert_uint_eq(k->cpu->msr.mcg_status, MCG_STATUS_MCIP | MCG_STATUS_RIPV);
    ck_assert(!k->cpu->pins.mc);
}

static void shuts_down(struct kit *k, const char *why)
{
    const struct run_limits limits = { .max_steps = UINT64_MAX };
    ck_assert_int_eq(run_vcpu(k->cpu, &limits), PACIFICA_STOP_SHUTDOWN);
    ck_assert_ptr_nonnull(strstr(k->cpu->stop.text, why));
}

/* rows: events 1.18, exit 4.13 */
WITH_KIT(machine_check_without_mce_or_while_one_is_in_progress_is_shutdown)
{
    PROGRAM(k, "\x90");
    k->cpu->pins.mc = true;
    shuts_down(k, "CR4.MCE = 0");
    PROGRAM(k, "\x90");
    k->cpu->regs.cr4 |= CR4_MCE;
    k->cpu->msr.mcg_status = MCG_STATUS_MCIP;
    k->cpu->pins.mc = true;
    shuts_down(k, "MCIP = 1");

    PROGRAM(k, "\x90");
    kit_put(k, HOST_RIP, 1, 0xf4);
    kit_guest(k);
    kit_intercept(k, INTERCEPT_SHUTDOWN);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_MC); /* there is no #MC */
    k->cpu->pins.mc = true;
    program_run(k, 1);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_SHUTDOWN);
}

/* rows: events 6.6, svmop 8.10 */
WITH_KIT(machine_check_waits_for_gif)
{
    PROGRAM(k, "\x90\x90\x90");
    k->cpu->regs.cr4 |= CR4_MCE;
    k->cpu->msr.mcg_status = 0;
    k->cpu->svm->gif = false;
    k->cpu->pins.mc = true;
    program_run(k, 2);
    ck_assert_uint_eq(k->deliveries, 0);
    k->cpu->svm->gif = true;
    program_run(k, 1);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_MC);
    ck_assert_uint_eq(pushed_rip(k), CODE_SPA + 2);
}

WITH_KIT(machine_check_ends_halt)
{
    PROGRAM(k, "\xf4");
    k->cpu->regs.cr4 |= CR4_MCE;
    k->cpu->msr.mcg_status = 0;
    program_run(k, 5);
    k->cpu->pins.mc = true;
    program_run(k, 5);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_MC);
    ck_assert_uint_eq(pushed_rip(k), CODE_SPA + 1);
}

/* rows: events 1.18 */
WITH_KIT(injected_machine_check_touches_no_register)
{
    PROGRAM(k, "\x90");
    kit_guest(k);
    ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_VMMCALL, 0, 0), STEP_VMEXIT);
    k->cpu->msr.mcg_status = 0;
    VMCB_SET(k->vmcb, EVENTINJ, EVENTINJ_V | EVENT_EXCEPTION << 8 | EXC_MC);
    ck_assert_int_eq(svm_vmrun(k->cpu, VMCB_SPA, HOST_RIP), STEP_JUMP);
    program_run(k, 5);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_MC);
    ck_assert_uint_eq(k->cpu->msr.mcg_status, 0);
}

/* --- INIT, SIPI, SMI --- */

/* rows: events 6.3-6.4, svmop 8.2, 8.4 */
WITH_KIT(init_and_smi_wait_for_gif_and_the_end_of_smm)
{
    for (unsigned smi = 0; smi < 2; smi++) {
        PROGRAM(k, "\x90");
        k->cpu->pins = (struct cpu_pins){ .init = !smi, .smi = smi };
        ck_assert(event_pending(k->cpu));
        k->cpu->svm->gif = false;
        ck_assert(!event_pending(k->cpu));
        k->cpu->svm->gif = true;
        k->cpu->regs.smm = true;
        ck_assert(!event_pending(k->cpu));
        k->cpu->regs.smm = false;
        ck_assert(event_pending(k->cpu));
    }
}

/* rows: events 6.4 */
WITH_KIT(only_init_and_sipi_reach_a_processor_that_waits_for_sipi)
{
    PROGRAM(k, "\x90");
    k->cpu->regs.wait_sipi = true;
    k->cpu->rflags |= FLAG_IF;
    k->pending = 0x30;
    k->cpu->pins = (struct cpu_pins){ .nmi = true, .smi = true, .mc = true };
    ck_assert(!event_pending(k->cpu));
    k->cpu->pins.init = true;
    ck_assert(event_pending(k->cpu));
    k->cpu->pins = (struct cpu_pins){ .sipi = true };
    ck_assert(event_pending(k->cpu));
}

/* rows: events 6.4 */
WITH_KIT(sipi_that_nobody_waits_for_is_lost)
{
    PROGRAM(k, "\x90\x90");
    k->cpu->pins = (struct cpu_pins){ .sipi = true };
    program_run(k, 1);
    ck_assert(!k->cpu->pins.sipi);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], CODE_SPA + 1);
}

/* --- NMI, shadows --- */

/* rows: events 6.2, pitfalls 10.8 */
WITH_KIT(iret_unblocks_nmi_only_if_it_completes)
{
    for (unsigned faults = 0; faults < 2; faults++) {
        PROGRAM(k, "\x48\xcf\x90\x90");
        push_iret_frame(k, faults ? NONCANON : CODE_SPA + 2, 0);
        k->cpu->regs.nmi_masked = true;
        k->cpu->pins.nmi = true;
        program_run(k, faults ? 4 : 1);
        ck_assert_uint_eq(k->cpu->regs.nmi_masked, faults);
        program_run(k, 4);
        ck_assert_uint_eq(k->delivered.a & 0xff, faults ? EXC_GP : EXC_NMI);
        ck_assert_uint_eq(k->cpu->pins.nmi, faults);
        k->cpu->pins.nmi = false;
    }
}

/* rows: events 6.2 */
WITH_KIT(nmi_that_another_exception_replaces_stays_blocked)
{
    PROGRAM(k, "\x90");
    kit_put(k, IDT_SPA + 16 * EXC_NMI + 5, 1, 0x0e); /* not present */
    k->cpu->pins.nmi = true;
    program_run(k, 5);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_NP);
    ck_assert_uint_eq(k->delivered.b, EXC_NMI * 8 + 3);
    ck_assert(k->cpu->regs.nmi_masked);
    ck_assert(!k->cpu->pins.nmi);
}

/* rows: events 6.7 */
WITH_KIT(sti_shadow_covers_a_whole_string_instruction)
{
    PROGRAM(k, "\xfb\xf3\xaa\x90");
    k->cpu->r[REG_RDI] = DATA_SPA;
    k->cpu->r[REG_RCX] = 5;
    k->pending = 0x30;
    program_run(k, 3); /* a step limit in the middle changes nothing */
    program_run(k, 20);
    ck_assert_uint_eq(k->deliveries, 1);
    ck_assert_uint_eq(pushed_rip(k), CODE_SPA + 3);
    ck_assert_uint_eq(pushed_flags(k), 2 | FLAG_IF);
}

/* CHOICE of emu/cpu/boundary.c: what #VMEXIT saves is what the interrupt would push. */
/* rows: events 5.23 */
WITH_KIT(interrupt_exit_in_a_string_instruction_saves_rf)
{
    PROGRAM(k, "\xf3\xaa\x90");
    kit_put(k, HOST_RIP, 1, 0xf4);
    kit_guest(k);
    kit_intercept(k, INTERCEPT_INTR);
    k->cpu->rflags |= FLAG_IF;
    k->cpu->r[REG_RDI] = DATA_SPA;
    k->cpu->r[REG_RCX] = 50;
    program_run(k, 20);
    ck_assert_uint_eq(cpu_rflags(k->cpu) & FLAG_RF, 0);
    k->pending = 0x30;
    program_run(k, 1);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_INTR);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RIP), CODE_SPA);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RFLAGS) & FLAG_RF, FLAG_RF);
}

/* rows: events 6.9 */
WITH_KIT(delivery_ends_the_shadow_of_mov_ss)
{
    PROGRAM(k, "\x8e\xd1\x0f\x0b"); /* MOV SS, CX; UD2 */
    k->cpu->r[REG_RCX] = DATA0;
    program_run(k, 2);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_UD);
    ck_assert(!k->cpu->regs.shadow && !k->cpu->trap_held);
    k->cpu->rflags |= FLAG_IF;
    k->pending = 0x30;
    program_run(k, 1);
    ck_assert_uint_eq(pushed_rip(k), HANDLER + 16 * EXC_UD);
}

/* --- #AC --- */

/* rows: events 1.17, 3.2.8, 4.4, pitfalls 9.1 */
WITH_KIT(alignment_check_needs_level_3_am_and_ac)
{
    static const struct {
        bool user, am, ac, odd, fault;
    } rows[] = {
        { true, true, true, true, true },   { false, true, true, true, false },
        { true, false, true, true, false }, { true, true, false, true, false },
        { true, true, true, false, false },
    };
    for (unsigned i = 0; i < TABLE_ROWS(rows); i++) {
        PROGRAM(k, "\x8b\x01\x0f\x0b");
        kit_mode(k, MODE_LONG64, rows[i].user ? 3 : 0);
        k->cpu->regs.cr0 |= rows[i].am ? CR0_AM : 0;
        k->cpu->rflags |= rows[i].ac ? FLAG_AC : 0;
        cpu_update_mode(k->cpu);
        k->cpu->r[REG_RCX] = DATA_SPA + rows[i].odd;
        program_run(k, 10);
        ck_assert_uint_eq(k->delivered.a & 0xff, rows[i].fault ? EXC_AC : EXC_UD);
        if (rows[i].fault)
            ck_assert_uint_eq(pushed_rip(k), 0); /* the error code */
    }
    PROGRAM(k, "\x8b\x01"); /* CHOICE of emu/cpu/mem.c: before #PF of the same access */
    kit_mode(k, MODE_LONG64, 3);
    kit_page(k, 0, 0);
    k->cpu->regs.cr0 |= CR0_AM;
    k->cpu->rflags |= FLAG_AC;
    cpu_update_mode(k->cpu);
    k->cpu->r[REG_RCX] = PAGED_LA + 1;
    program_run(k, 10);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_AC);
}

int main(void)
{
    Suite *suite = suite_create("priority");
    TCase *all = tcase_create("all");
    tcase_add_test(all, events_are_taken_in_the_order_of_their_classes);
    tcase_add_test(all, interrupt_is_taken_before_the_first_instruction_of_the_db_handler);
    tcase_add_test(all, machine_check_is_18_and_tells_mcg_status);
    tcase_add_test(all, machine_check_without_mce_or_while_one_is_in_progress_is_shutdown);
    tcase_add_test(all, machine_check_waits_for_gif);
    tcase_add_test(all, machine_check_ends_halt);
    tcase_add_test(all, injected_machine_check_touches_no_register);
    tcase_add_test(all, init_and_smi_wait_for_gif_and_the_end_of_smm);
    tcase_add_test(all, only_init_and_sipi_reach_a_processor_that_waits_for_sipi);
    tcase_add_test(all, sipi_that_nobody_waits_for_is_lost);
    tcase_add_test(all, iret_unblocks_nmi_only_if_it_completes);
    tcase_add_test(all, nmi_that_another_exception_replaces_stays_blocked);
    tcase_add_test(all, sti_shadow_covers_a_whole_string_instruction);
    tcase_add_test(all, interrupt_exit_in_a_string_instruction_saves_rf);
    tcase_add_test(all, delivery_ends_the_shadow_of_mov_ss);
    tcase_add_test(all, alignment_check_needs_level_3_am_and_ac);
    suite_add_tcase(suite, all);
    return kit_run(suite);
}

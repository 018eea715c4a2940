/* Double and triple faults, exception intercepts, EXITINTINFO, the order of events at a boundary, injection.
 * APM vol 2, 8.2.9, 8.5, 15.7.2, 15.12, 15.20, 15.21. */
#include "tests/cpu/kit.h"

static void raise_it(struct kit *k, enum exception vector, int code)
{
    enum step step = vector == EXC_PF ? cpu_raise_page_fault(k->cpu, 0x777000, (uint32_t)code)
                     : code < 0       ? cpu_raise(k->cpu, vector)
                                      : cpu_raise_code(k->cpu, vector, (uint32_t)code);
    ck_assert_int_eq(step, STEP_RAISED);
}

/* Make the delivery of `vector` fail with `second`: by the gate (#GP, #NP) or by a page that is not there (#PF). */
static void break_gate(struct kit *k, unsigned vector, enum exception second)
{
    kit_idt(k, vector, 14, 0, 0);
    if (second == EXC_GP)
        kit_put(k, IDT_SPA + 16 * vector + 5, 1, 0x80);
    else if (second == EXC_NP)
        kit_put(k, IDT_SPA + 16 * vector + 5, 1, 0x0e);
    else { /* IST 3 points to a page that is not present */
        kit_idt(k, vector, 14, 0, 3);
        kit_put(k, TSS_SPA + 0x34, 8, PAGED_LA + 0x800);
        kit_page(k, 0, 0);
    }
}

/* --- combining --- */

/* rows: events 1.16, 1.19, 1.20, 1.21, 1.22, 2.1, 2.2, 2.3, 2.6, 2.9, 4.4, pitfalls 10.1 */
WITH_KIT(second_fault_follows_the_double_fault_table)
{
    static const struct {
        uint8_t first;
        int code;
        uint8_t second, result;
    } rows[] = {
        { EXC_UD, NO_CODE, EXC_GP, EXC_GP }, /* benign first: serial */
        { EXC_UD, NO_CODE, EXC_PF, EXC_PF },
        { EXC_DE, NO_CODE, EXC_GP, EXC_DF }, /* contributory, contributory */
        { EXC_TS, 8, EXC_NP, EXC_DF },
        { EXC_NP, 8, EXC_GP, EXC_DF },
        { EXC_SS, 8, EXC_NP, EXC_DF },
        { EXC_GP, 0, EXC_NP, EXC_DF },
        { EXC_GP, 0, EXC_PF, EXC_PF }, /* contributory, page fault: serial */
        { EXC_PF, 0, EXC_GP, EXC_DF },
        { EXC_PF, 0, EXC_NP, EXC_DF },
        { EXC_PF, 0, EXC_PF, EXC_DF },
        { EXC_AC, 0, EXC_GP, EXC_GP },
        { EXC_SX, 1, EXC_GP, EXC_DF },
        { EXC_CP, 1, EXC_NP, EXC_DF },
        { EXC_CP, 1, EXC_PF, EXC_PF },
        { EXC_VC, 0x72, EXC_GP, EXC_DF },
        { EXC_HV, NO_CODE, EXC_GP, EXC_GP },
        { EXC_DB, NO_CODE, EXC_NP, EXC_NP },
        { EXC_MF, NO_CODE, EXC_NP, EXC_NP },
        { EXC_XF, NO_CODE, EXC_NP, EXC_NP },
        { EXC_MC, NO_CODE, EXC_PF, EXC_PF },
        { EXC_BR, NO_CODE, EXC_GP, EXC_GP },
        { EXC_NM, NO_CODE, EXC_GP, EXC_GP },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        kit_tables(k);
        kit_mode(k, MODE_LONG64, 0);
        break_gate(k, rows[i].first, (enum exception)rows[i].second);
        raise_it(k, (enum exception)rows[i].first, rows[i].code);
        ck_assert_int_eq(event_raised(k->cpu), STEP_JUMP);
        ck_assert_uint_eq(k->delivered.a & 0xff, rows[i].result);
        if (rows[i].result == EXC_DF)
            ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP], 8), 0);
        ck_assert_uint_eq(k->cpu->extra_steps, i + 1);
    }
}

/* rows: events 1.24, 2.1, 2.7 */
WITH_KIT(interrupts_are_benign)
{
    break_gate(k, 0x30, EXC_GP);
    k->cpu->rflags |= FLAG_IF;
    k->pending = 0x30;
    ck_assert_int_eq(event_boundary(k->cpu), STEP_JUMP);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_GP);
    ck_assert_uint_eq(k->delivered.b, 0x30 * 8 + 3);
    ck_assert_int_eq(k->pending, -1); /* acknowledged: lost */
}

/* rows: events 2.4, pitfalls 10.2 */
WITH_KIT(fault_while_delivering_df_is_shutdown)
{
    static const enum exception second[] = { EXC_GP, EXC_NP, EXC_PF };
    for (unsigned i = 0; i < 3; i++) {
        kit_tables(k);
        kit_mode(k, MODE_LONG64, 0);
        break_gate(k, EXC_GP, EXC_NP);
        break_gate(k, EXC_DF, second[i]);
        raise_it(k, EXC_GP, 0);
        ck_assert_int_eq(event_raised(k->cpu), STEP_STOP);
        ck_assert_int_eq(k->cpu->stop.reason, PACIFICA_STOP_SHUTDOWN);
        const char *name[] = { "#GP", "#NP", "#PF" };
        char text[80];
        (void)snprintf(text, sizeof(text), "triple fault: %s at 8:10000 while delivering #DF",
                       name[i]);
        ck_assert_str_eq(k->cpu->stop.text, text);
        ck_assert(!k->cpu->delivering.valid);
    }
}

WITH_KIT(df_itself_delivers)
{
    raise_it(k, EXC_DF, 0);
    ck_assert_int_eq(event_raised(k->cpu), STEP_JUMP);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_DF);
}

/* --- in a guest --- */

/* rows: events 2.11, exit 1.1.5, 2.4 */
WITH_KIT(every_exception_intercept_exits)
{
    static const struct {
        uint8_t vector;
        int code;
        uint64_t info1, info2;
    } rows[] = {
        { EXC_DE, NO_CODE, 0, 0 }, { EXC_DB, NO_CODE, 0, 0 },  { EXC_BR, NO_CODE, 0, 0 },
        { EXC_UD, NO_CODE, 0, 0 }, { EXC_NM, NO_CODE, 0, 0 },  { EXC_DF, 0, 0, 0 },
        { EXC_TS, 0x18, 0x18, 0 }, { EXC_NP, 0x18, 0x18, 0 },  { EXC_SS, 0x18, 0x18, 0 },
        { EXC_GP, 0x18, 0x18, 0 }, { EXC_PF, 6, 6, 0x777000 }, { EXC_MF, NO_CODE, 0, 0 },
        { EXC_AC, 0, 0, 0 },       { EXC_MC, NO_CODE, 0, 0 },  { EXC_XF, NO_CODE, 0, 0 },
        { EXC_SX, 1, 1, 0 },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        kit_mode(k, MODE_LONG64, 0);
        kit_guest(k);
        kit_intercept(k, INTERCEPT_EXCP0 + rows[i].vector);
        raise_it(k, (enum exception)rows[i].vector, rows[i].code);
        enum step step = event_raised(k->cpu);
        kit_exited(k, step, 0x40u + rows[i].vector, rows[i].info1, rows[i].info2, 0);
        ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINTINFO), 0);
        ck_assert_uint_eq(VMCB_GET(k->vmcb, CR2), 0); /* #PF: CR2 is not written */
    }
    ck_assert_uint_eq(k->deliveries, 0);
}

WITH_KIT(exception_without_intercept_is_delivered_in_the_guest)
{
    kit_guest(k);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_GP);
    raise_it(k, EXC_UD, NO_CODE);
    ck_assert_int_eq(event_raised(k->cpu), STEP_JUMP);
    ck_assert(k->cpu->svm->guest);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], HANDLER + 16 * EXC_UD);
}

/* rows: events 5.9, exit 4.2 */
WITH_KIT(db_intercept_sees_dr6_and_dr7_updated)
{
    kit_guest(k);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_DB);
    k->cpu->regs.dr[7] |= DR7_GD;
    ck_assert_int_eq(cpu_raise_debug(k->cpu, DR6_BD), STEP_RAISED);
    kit_exited(k, event_raised(k->cpu), VMEXIT_EXCP1, 0, 0, 0);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, DR6), 0xffff0ff0 | DR6_BD);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, DR7), 0x400);
}

/* rows: pitfalls 10.6, exit 4.3 */
WITH_KIT(int3_exits_before_its_gate_with_nrip)
{
    kit_mode(k, MODE_LONG64, 3); /* gate DPL 0 would be #GP */
    kit_guest(k);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_BP);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_GP);
    kit_raised(k, EXEC(k, "\xcc"), EXC_BP, NO_CODE);
    kit_exited(k, event_raised(k->cpu), VMEXIT_EXCP3, 0, 0, CODE_SPA + 1);
}

/* rows: events 1.25, exit 2.5, 2.19 */
WITH_KIT(int_n_and_icebp_ignore_exception_intercepts)
{
    kit_guest(k);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_BP);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_DB);
    kit_raised(k, EXEC(k, "\xcd\x03"), EXC_BP, NO_CODE);
    ck_assert_int_eq(event_raised(k->cpu), STEP_JUMP);
    k->cpu->r[REG_RIP] = CODE_SPA;
    kit_raised(k, EXEC(k, "\xf1"), EXC_DB, NO_CODE);
    ck_assert_int_eq(event_raised(k->cpu), STEP_JUMP);
    ck_assert(k->cpu->svm->guest);
}

#define INTINFO(vector, type) (1ull << 31 | (uint64_t)(type) << 8 | (vector))
#define INTINFO_CODE(vector, code) (INTINFO(vector, 3) | 1u << 11 | (uint64_t)(code) << 32)

/* rows: exit 5.1 */
WITH_KIT(intercept_during_delivery_reports_exitintinfo)
{
    kit_guest(k);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_PF);
    break_gate(k, EXC_GP, EXC_PF);
    raise_it(k, EXC_GP, 0x18);
    kit_exited(k, event_raised(k->cpu), VMEXIT_EXCP14, PF_RW, PAGED_LA + 0x800 - 8, 0);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINTINFO), INTINFO_CODE(EXC_GP, 0x18));
    ck_assert_uint_eq(VMCB_GET(k->vmcb, INSN_COUNT),
                      15); /* the access to the stack is one to data */
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RSP), STACK_TOP);
    ck_assert(!k->cpu->delivering.valid);
}

/* rows: events 2.11, exit 5.1 */
WITH_KIT(intercepted_second_fault_wins_over_combining)
{
    kit_guest(k);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_NP);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_DF);
    break_gate(k, EXC_GP, EXC_NP);
    raise_it(k, EXC_GP, 0);
    kit_exited(k, event_raised(k->cpu), VMEXIT_EXCP11, EXC_GP * 8 + 3, 0, 0);
}

/* rows: events 2.11, exit 4.7, 5.2 */
WITH_KIT(df_intercept_reports_the_first_event)
{
    kit_guest(k);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_DF);
    break_gate(k, EXC_GP, EXC_NP);
    raise_it(k, EXC_GP, 0x20);
    kit_exited(k, event_raised(k->cpu), VMEXIT_EXCP8, 0, 0, 0);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINTINFO), INTINFO_CODE(EXC_GP, 0x20));
}

/* rows: events 2.11, exit 1.2.26, 2.33, 5.2 */
WITH_KIT(shutdown_intercept_takes_the_triple_fault)
{
    kit_guest(k);
    kit_intercept(k, INTERCEPT_SHUTDOWN);
    break_gate(k, EXC_GP, EXC_NP);
    break_gate(k, EXC_DF, EXC_NP);
    raise_it(k, EXC_GP, 0);
    kit_exited(k, event_raised(k->cpu), VMEXIT_SHUTDOWN, 0, 0, 0);
}

WITH_KIT(triple_fault_in_a_guest_stops_the_machine_without_intercept)
{
    kit_guest(k);
    break_gate(k, EXC_GP, EXC_NP);
    break_gate(k, EXC_DF, EXC_NP);
    raise_it(k, EXC_GP, 0);
    ck_assert_int_eq(event_raised(k->cpu), STEP_STOP);
    ck_assert_ptr_nonnull(strstr(k->cpu->stop.text, "in a guest"));
}

/* rows: exit 5.9 */
WITH_KIT(soft_interrupt_in_delivery_has_type_4)
{
    kit_guest(k);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_NP);
    break_gate(k, 0x40, EXC_NP);
    kit_raised(k, EXEC(k, "\xcd\x40"), 0x40, NO_CODE);
    kit_exited(k, event_raised(k->cpu), VMEXIT_EXCP11, 0x40 * 8 + 2, 0, 0); /* EXT = 0 */
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINTINFO), INTINFO(0x40, EVENT_SOFT));
}

/* rows: vmcb 8.2, exit 1.4.1 */
WITH_KIT(npf_exits_with_its_info_and_bytes)
{
    const char code[] = "\x48\x8b\x00\x90\x91\x92\x93\x94\x95\x96\x97\x98\x99\x9a\x9b";
    memcpy(memory_ptr(k->memory, CODE_SPA, 15), code, 15);
    kit_guest(k);
    ck_assert_int_eq(cpu_raise_npf(k->cpu, 0, NPF_FINAL | PF_US, 0xfee00300), STEP_RAISED);
    kit_exited(k, event_raised(k->cpu), VMEXIT_NPF, NPF_FINAL | PF_US, 0xfee00300, 0);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, INSN_COUNT), 15);
    ck_assert_mem_eq(k->vmcb + VMCB_AT_INSN_BYTES, code, 15);
}

WITH_KIT(fetch_faults_have_no_bytes)
{
    kit_guest(k);
    ck_assert_int_eq(cpu_raise_npf(k->cpu, 0, NPF_FINAL | PF_US | PF_ID, 0x1000), STEP_RAISED);
    kit_exited(k, event_raised(k->cpu), VMEXIT_NPF, NPF_FINAL | PF_US | PF_ID, 0x1000, 0);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, INSN_COUNT), 0);
}

/* rows: vmcb 8.2 */
WITH_KIT(bytes_end_where_the_fetch_would_fault)
{
    k->cpu->r[REG_RIP] = PAGED_LA + 0xffa;
    memset(memory_ptr(k->memory, PAGED_LA + 0xff0, 16), 0x90, 16);
    kit_page(k, 1, 0);
    kit_guest(k);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_PF);
    raise_it(k, EXC_PF, 4);
    ck_assert_int_eq(event_raised(k->cpu), STEP_VMEXIT);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, INSN_COUNT), 6);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, CR2), 0);
}

WITH_KIT(bytes_are_fetched_without_setting_accessed)
{
    kit_guest(k);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_PF);
    k->cpu->r[REG_RIP] = PAGED_LA + 0x5000;
    kit_page(k, 5, (PAGED_LA + 0x5000) | 7);
    raise_it(k, EXC_PF, 4);
    ck_assert_int_eq(event_raised(k->cpu), STEP_VMEXIT);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, INSN_COUNT), 15);
    ck_assert_uint_eq(kit_get(k, PT_SPA + 8 * 5, 8) & 0x20, 0);
}

/* --- the boundary --- */

WITH_KIT(nothing_pending_is_next)
{
    ck_assert_int_eq(event_boundary(k->cpu), STEP_NEXT);
    ck_assert(!event_pending(k->cpu));
}

/* rows: events 6.1, svmop 8.6, 9.3, 10.1 */
WITH_KIT(intr_needs_if_gif_and_no_shadow)
{
    k->pending = 0x30;
    ck_assert(!event_pending(k->cpu)); /* IF = 0 */
    k->cpu->rflags |= FLAG_IF;
    k->cpu->svm->gif = false;
    ck_assert(!event_pending(k->cpu));
    k->cpu->svm->gif = true;
    k->cpu->regs.shadow = true;
    ck_assert(!event_pending(k->cpu));
    ck_assert_int_eq(event_boundary(k->cpu), STEP_NEXT);
    ck_assert_int_eq(k->pending, 0x30);
    k->cpu->regs.shadow = false;
    ck_assert(event_pending(k->cpu));
    ck_assert_int_eq(event_boundary(k->cpu), STEP_JUMP);
    ck_assert_uint_eq(k->delivered.a & 0xff, 0x30);
}

/* rows: pitfalls 10.8, events 1.3, 6.2, svmop 10.14, 12.3-12.4 */
WITH_KIT(nmi_comes_first_and_blocks_until_iret)
{
    k->cpu->rflags |= FLAG_IF;
    k->pending = 0x30;
    k->cpu->pins.nmi = true;
    ck_assert_int_eq(event_boundary(k->cpu), STEP_JUMP);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_NMI);
    ck_assert_uint_eq(k->delivered.a >> 8 & 7, EVENT_NMI);
    ck_assert(k->cpu->regs.nmi_masked);
    ck_assert(!k->cpu->pins.nmi);
    k->cpu->pins.nmi = true;                             /* a second one waits */
    ck_assert_int_eq(event_boundary(k->cpu), STEP_NEXT); /* IF was cleared by the gate */
    ck_assert_int_eq(EXEC(k, "\x48\xcf"), STEP_JUMP);
    ck_assert(!k->cpu->regs.nmi_masked);
    ck_assert_int_eq(event_boundary(k->cpu), STEP_JUMP);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_NMI);
}

/* rows: events 6.2, svmop 8.3, 9.3, 12.1 */
WITH_KIT(nmi_waits_for_shadow_and_gif)
{
    k->cpu->pins.nmi = true;
    k->cpu->regs.shadow = true;
    ck_assert(!event_pending(k->cpu));
    k->cpu->regs.shadow = false;
    k->cpu->svm->gif = false;
    ck_assert(!event_pending(k->cpu));
}

/* rows: events 6.9, svmop 9.2 */
WITH_KIT(delivery_ends_shadow_and_halt)
{
    k->cpu->regs.halted = true;
    k->cpu->rflags |= FLAG_IF;
    k->pending = 0x30;
    ck_assert_int_eq(event_boundary(k->cpu), STEP_JUMP);
    ck_assert(!k->cpu->regs.halted);
    raise_it(k, EXC_UD, NO_CODE);
    k->cpu->regs.shadow = true;
    ck_assert_int_eq(event_raised(k->cpu), STEP_JUMP);
    ck_assert(!k->cpu->regs.shadow);
}

/* What they do is shown by the tests of emu/cpu/smm.c and init.c. */
WITH_KIT(smi_and_init_are_taken)
{
    k->cpu->pins.smi = true;
    ck_assert_int_eq(event_boundary(k->cpu), STEP_JUMP);
    ck_assert(k->cpu->regs.smm && !k->cpu->pins.smi);
    k->cpu->pins.init = true;
    ck_assert_int_eq(event_boundary(k->cpu), STEP_NEXT);
    k->cpu->regs.smm = false;
    ck_assert_int_eq(event_boundary(k->cpu), STEP_JUMP);
    ck_assert(!k->cpu->pins.init);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], 0xfff0);
}

/* rows: events 1.23, 4.5, svmop 11.4 */
WITH_KIT(redirected_init_is_sx_1)
{
    k->cpu->msr.vm_cr = VM_CR_R_INIT;
    k->cpu->pins.init = true;
    ck_assert_int_eq(event_boundary(k->cpu), STEP_JUMP);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_SX);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP], 8), 1);
    ck_assert(!k->cpu->pins.init);
}

static void guest_with(struct kit *k, unsigned intercept)
{
    kit_mode(k, MODE_LONG64, 0);
    kit_guest(k);
    kit_intercept(k, intercept);
}

/* rows: svmop 12.2, exit 1.2.1-1.2.2 */
WITH_KIT(physical_intercepts_exit_and_stay_pending)
{
    guest_with(k, INTERCEPT_INIT);
    k->cpu->pins = (struct cpu_pins){ .smi = true, .init = true, .nmi = true };
    kit_exited(k, event_boundary(k->cpu), VMEXIT_INIT, 0, 0, 0);
    ck_assert(k->cpu->pins.init);
    k->cpu->pins.init = false;

    guest_with(k, INTERCEPT_SMI);
    kit_exited(k, event_boundary(k->cpu), VMEXIT_SMI, 1, 0, 0);
    ck_assert(k->cpu->pins.smi);
    k->cpu->pins.smi = false;

    guest_with(k, INTERCEPT_NMI);
    kit_exited(k, event_boundary(k->cpu), VMEXIT_NMI, 0, 0, 0);
    ck_assert(k->cpu->pins.nmi);
    ck_assert(!event_pending(k->cpu)); /* GIF = 0 after #VMEXIT */
    k->cpu->pins.nmi = false;

    guest_with(k, INTERCEPT_INTR);
    k->cpu->rflags |= FLAG_IF;
    k->pending = 0x30;
    kit_exited(k, event_boundary(k->cpu), VMEXIT_INTR, 0, 0, 0);
    ck_assert_int_eq(k->pending, 0x30); /* not acknowledged */
}

/* rows: svmop 9.6 */
WITH_KIT(intercepted_intr_ignores_the_guests_shadow)
{
    guest_with(k, INTERCEPT_INTR);
    k->cpu->rflags |= FLAG_IF;
    k->cpu->regs.shadow = true;
    k->pending = 0x30;
    ck_assert_int_eq(event_boundary(k->cpu), STEP_VMEXIT);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, INTERRUPT_SHADOW), 1);
}

/* rows: svmop 10.2 */
WITH_KIT(v_intr_masking_uses_the_hosts_if)
{
    guest_with(k, INTERCEPT_INTR);
    k->pending = 0x30;
    k->cpu->svm->v_intr_masking = true;
    k->cpu->svm->host_if = false;
    k->cpu->rflags |= FLAG_IF;
    ck_assert(!event_pending(k->cpu));
    k->cpu->rflags &= ~(uint64_t)FLAG_IF;
    k->cpu->svm->host_if = true;
    kit_exited(k, event_boundary(k->cpu), VMEXIT_INTR, 0, 0, 0);
}

static void arm_vintr(struct kit *k)
{
    kit_mode(k, MODE_LONG64, 0);
    kit_guest(k);
    k->cpu->svm->v_irq = true;
    k->cpu->svm->v_intr_vector = 0x44;
    k->cpu->svm->v_intr_prio = 4;
    k->cpu->svm->v_tpr = 3;
    k->cpu->rflags |= FLAG_IF;
}

/* rows: svmop 10.6 */
WITH_KIT(virtual_interrupt_is_delivered_once)
{
    arm_vintr(k);
    ck_assert_int_eq(event_boundary(k->cpu), STEP_JUMP);
    ck_assert_uint_eq(k->delivered.a & 0x7ff, 0x44); /* type INTR */
    ck_assert(!k->cpu->svm->v_irq);
    ck_assert_uint_eq(k->acks, 0);
}

/* rows: svmop 10.3-10.4 */
WITH_KIT(virtual_interrupt_is_masked_by_if_shadow_and_v_tpr)
{
    arm_vintr(k);
    k->cpu->rflags &= ~(uint64_t)FLAG_IF;
    ck_assert(!event_pending(k->cpu));
    arm_vintr(k);
    k->cpu->regs.shadow = true;
    ck_assert(!event_pending(k->cpu));
    arm_vintr(k);
    k->cpu->svm->v_tpr = 4; /* not above */
    ck_assert(!event_pending(k->cpu));
    k->cpu->svm->v_ign_tpr = true;
    ck_assert(event_pending(k->cpu));
}

/* rows: svmop 10.5, exit 1.2.5, 6.4 */
WITH_KIT(vintr_intercept_keeps_v_irq)
{
    arm_vintr(k);
    kit_intercept(k, INTERCEPT_VINTR);
    kit_exited(k, event_boundary(k->cpu), VMEXIT_VINTR, 0, 0, 0);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, VINTR_CONTROL) & VINTR_IRQ, VINTR_IRQ);
}

/* rows: svmop 10.7, 10.16-10.17 */
WITH_KIT(physical_interrupt_beats_virtual)
{
    arm_vintr(k);
    k->pending = 0x30;
    ck_assert_int_eq(event_boundary(k->cpu), STEP_JUMP);
    ck_assert_uint_eq(k->delivered.a & 0xff, 0x30);
    ck_assert(k->cpu->svm->v_irq);
}

/* --- injection --- */

static void inject(struct kit *k, struct event event, uint64_t next_rip)
{
    kit_mode(k, MODE_LONG64, 0);
    kit_guest(k);
    event.valid = true;
    k->cpu->svm->inject = event;
    k->cpu->svm->inject_next_rip = next_rip;
}

/* rows: svmop 6.1, 9.7, exit 2.6 */
WITH_KIT(injection_ignores_masks_and_intercepts)
{
    inject(k, (struct event){ .vector = 0x30, .type = EVENT_INTR }, 0);
    kit_intercept(k, INTERCEPT_INTR);
    k->cpu->regs.shadow = true;
    k->cpu->pins.nmi = true;
    ck_assert_int_eq(event_boundary(k->cpu), STEP_JUMP);
    ck_assert_uint_eq(k->delivered.a & 0xff, 0x30);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP], 8), CODE_SPA);
    ck_assert(!k->cpu->svm->inject.valid);
    ck_assert_uint_eq(k->acks, 0);

    inject(k,
           (struct event){ .vector = EXC_GP, .type = EVENT_EXCEPTION, .has_code = true, .code = 7 },
           0);
    k->cpu->pins.nmi = false;
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_GP);
    ck_assert_int_eq(event_boundary(k->cpu), STEP_JUMP);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP], 8), 7);
}

/* rows: svmop 6.2 */
WITH_KIT(injected_nmi_uses_vector_2_and_does_not_block)
{
    inject(k, (struct event){ .vector = 0x99, .type = EVENT_NMI }, 0);
    ck_assert_int_eq(event_boundary(k->cpu), STEP_JUMP);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_NMI);
    ck_assert(!k->cpu->regs.nmi_masked);
}

/* rows: svmop 6.4, 6.10 */
WITH_KIT(injected_int_n_and_int3_push_nrip)
{
    inject(k, (struct event){ .vector = 0x80, .type = EVENT_SOFT }, CODE_SPA + 2);
    ck_assert_int_eq(event_boundary(k->cpu), STEP_JUMP);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP], 8), CODE_SPA + 2);
    inject(k, (struct event){ .vector = EXC_BP, .type = EVENT_EXCEPTION }, CODE_SPA + 1);
    ck_assert_int_eq(event_boundary(k->cpu), STEP_JUMP);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP], 8), CODE_SPA + 1);
    inject(k, (struct event){ .vector = EXC_UD, .type = EVENT_EXCEPTION }, CODE_SPA + 2);
    ck_assert_int_eq(event_boundary(k->cpu), STEP_JUMP);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP], 8), CODE_SPA);
}

/* rows: svmop 6.14 */
WITH_KIT(injected_page_fault_takes_cr2_from_the_vmcb)
{
    inject(k,
           (struct event){ .vector = EXC_PF, .type = EVENT_EXCEPTION, .has_code = true, .code = 2 },
           0);
    k->cpu->regs.cr2 = 0xabc;
    ck_assert_int_eq(event_boundary(k->cpu), STEP_JUMP);
    ck_assert_uint_eq(k->cpu->regs.cr2, 0xabc);
}

/* rows: svmop 6.15, exit 2.6 */
WITH_KIT(exception_raised_by_injection_is_intercepted)
{
    inject(k, (struct event){ .vector = 0x30, .type = EVENT_INTR }, 0);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_NP);
    break_gate(k, 0x30, EXC_NP);
    kit_exited(k, event_boundary(k->cpu), VMEXIT_EXCP11, 0x30 * 8 + 3, 0, 0);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINTINFO), INTINFO(0x30, EVENT_INTR));
}

int main(void)
{
    Suite *suite = suite_create("event");
    TCase *combine = tcase_create("combining");
    tcase_add_test(combine, second_fault_follows_the_double_fault_table);
    tcase_add_test(combine, interrupts_are_benign);
    tcase_add_test(combine, fault_while_delivering_df_is_shutdown);
    tcase_add_test(combine, df_itself_delivers);
    suite_add_tcase(suite, combine);
    TCase *guest = tcase_create("guest");
    tcase_add_test(guest, every_exception_intercept_exits);
    tcase_add_test(guest, exception_without_intercept_is_delivered_in_the_guest);
    tcase_add_test(guest, db_intercept_sees_dr6_and_dr7_updated);
    tcase_add_test(guest, int3_exits_before_its_gate_with_nrip);
    tcase_add_test(guest, int_n_and_icebp_ignore_exception_intercepts);
    tcase_add_test(guest, intercept_during_delivery_reports_exitintinfo);
    tcase_add_test(guest, intercepted_second_fault_wins_over_combining);
    tcase_add_test(guest, df_intercept_reports_the_first_event);
    tcase_add_test(guest, shutdown_intercept_takes_the_triple_fault);
    tcase_add_test(guest, triple_fault_in_a_guest_stops_the_machine_without_intercept);
    tcase_add_test(guest, soft_interrupt_in_delivery_has_type_4);
    tcase_add_test(guest, npf_exits_with_its_info_and_bytes);
    tcase_add_test(guest, fetch_faults_have_no_bytes);
    tcase_add_test(guest, bytes_end_where_the_fetch_would_fault);
    tcase_add_test(guest, bytes_are_fetched_without_setting_accessed);
    suite_add_tcase(suite, guest);
    TCase *boundary = tcase_create("boundary");
    tcase_add_test(boundary, nothing_pending_is_next);
    tcase_add_test(boundary, intr_needs_if_gif_and_no_shadow);
    tcase_add_test(boundary, nmi_comes_first_and_blocks_until_iret);
    tcase_add_test(boundary, nmi_waits_for_shadow_and_gif);
    tcase_add_test(boundary, delivery_ends_shadow_and_halt);
    tcase_add_test(boundary, smi_and_init_are_taken);
    tcase_add_test(boundary, redirected_init_is_sx_1);
    tcase_add_test(boundary, physical_intercepts_exit_and_stay_pending);
    tcase_add_test(boundary, intercepted_intr_ignores_the_guests_shadow);
    tcase_add_test(boundary, v_intr_masking_uses_the_hosts_if);
    tcase_add_test(boundary, virtual_interrupt_is_delivered_once);
    tcase_add_test(boundary, virtual_interrupt_is_masked_by_if_shadow_and_v_tpr);
    tcase_add_test(boundary, vintr_intercept_keeps_v_irq);
    tcase_add_test(boundary, physical_interrupt_beats_virtual);
    suite_add_tcase(suite, boundary);
    TCase *injection = tcase_create("injection");
    tcase_add_test(injection, injection_ignores_masks_and_intercepts);
    tcase_add_test(injection, injected_nmi_uses_vector_2_and_does_not_block);
    tcase_add_test(injection, injected_int_n_and_int3_push_nrip);
    tcase_add_test(injection, injected_page_fault_takes_cr2_from_the_vmcb);
    tcase_add_test(injection, exception_raised_by_injection_is_intercepted);
    suite_add_tcase(suite, injection);
    return kit_run(suite);
}

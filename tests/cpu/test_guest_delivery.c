/* Events of guests that meet something else on their way: EXITINTINFO, faults in deliveries, machine checks, NMIs and IRET.
 * APM vol 2, 15.7.2 "Intercepts During IDT Interrupt Delivery", 15.12 "Exception Intercepts", 15.20 "Event Injection". */
#include "tests/cpu/kit.h"

#include "tests/check_main.h"

#define INTINFO(vector, type) (1ull << 31 | (uint64_t)(type) << 8 | (vector))
#define INTINFO_CODE(vector, code) (INTINFO(vector, 3) | 1u << 11 | (uint64_t)(code) << 32)

/* --- faults in deliveries --- */

static void gate_not_present(struct kit *k, unsigned vector)
{
    kit_idt(k, vector, 14, 0, 0);
    kit_put(k, IDT_SPA + 16 * vector + 5, 1, 0x0e);
}

/* Its stack, IST 3, is in no page: #PF with a write at MISSING. */
#define MISSING (PAGED_LA + 0x800 - 8)
static void stack_not_present(struct kit *k, unsigned vector)
{
    kit_idt(k, vector, 14, 0, 3);
    kit_put(k, TSS_SPA + 0x34, 8, PAGED_LA + 0x800);
    kit_page(k, 0, 0);
}

/* rows: exit 5.2, 5.3 */
WITH_KIT(fault_that_gives_way_is_the_next_event_in_delivery)
{
    kit_guest(k);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_PF);
    gate_not_present(k, EXC_UD);
    stack_not_present(k, EXC_NP);
    kit_raised(k, EXEC(k, "\x0f\x0b"), EXC_UD, NO_CODE);
    kit_exited(k, event_raised(k->cpu), VMEXIT_EXCP14, PF_RW, MISSING, 0);
    /* #UD is benign: #NP has taken its place, with EXT */
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINTINFO), INTINFO_CODE(EXC_NP, EXC_UD * 8 + 3));
}

/* rows: exit 5.2, 5.3 */
WITH_KIT(double_fault_is_the_next_event_in_delivery)
{
    kit_guest(k);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_PF);
    gate_not_present(k, EXC_DE);
    stack_not_present(k, EXC_DF);
    kit_raised(k, EXEC(k, "\xf7\xf1"), EXC_DE, NO_CODE); /* DIV ECX */
    kit_exited(k, event_raised(k->cpu), VMEXIT_EXCP14, PF_RW, MISSING, 0);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINTINFO), INTINFO_CODE(EXC_DF, 0));
}

/* rows: exit 5.4 */
WITH_KIT(what_was_delivered_is_no_longer_told)
{
    kit_guest(k);
    kit_intercept(k, INTERCEPT_CPUID);
    VMCB_SET(k->vmcb, EXITINTINFO, UINT64_MAX);
    kit_raised(k, EXEC(k, "\x0f\x0b"), EXC_UD, NO_CODE);
    ck_assert_int_eq(event_raised(k->cpu), STEP_JUMP);
    ck_assert_int_eq(EXEC(k, "\x0f\xa2"), STEP_VMEXIT);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINTINFO), 0);
}

static void inject(struct kit *k, uint64_t word)
{
    ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_VMMCALL, 0, 0), STEP_VMEXIT);
    VMCB_SET(k->vmcb, EVENTINJ, word);
    ck_assert_int_eq(svm_vmrun(k->cpu, VMCB_SPA, CODE_SPA + 0x100), STEP_JUMP);
}

/* What EVENTINJ brings combines with what it meets like an event of the guest's own.
 * rows: exit 5.10, svmop 6.15, 6.19 */
WITH_KIT(injected_events_combine_like_others)
{
    static const struct {
        uint64_t word;
        unsigned
            delivered; /* vector that arrives when the gate of the injected one is not present */
    } rows[] = {
        { INTINFO_CODE(EXC_GP, 0x10), EXC_DF },       { INTINFO_CODE(EXC_PF, PF_RW), EXC_DF },
        { INTINFO(EXC_DE, EVENT_EXCEPTION), EXC_DF }, { INTINFO(EXC_UD, EVENT_EXCEPTION), EXC_NP },
        { INTINFO(0x60, EVENT_INTR), EXC_NP },        { INTINFO(0x60, EVENT_SOFT), EXC_NP },
        { INTINFO(EXC_NMI, EVENT_NMI), EXC_NP },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        kit_mode(k, MODE_LONG64, 0);
        kit_tables(k);
        kit_guest(k);
        gate_not_present(k, (uint8_t)rows[i].word);
        inject(k, rows[i].word);
        ck_assert_int_eq(event_boundary(k->cpu), STEP_JUMP);
        ck_assert_msg((k->delivered.a & 0xff) == rows[i].delivered, "row %u", i);
        ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_VMMCALL, 0, 0), STEP_VMEXIT);
        ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINTINFO), 0);
        ck_assert_uint_eq(VMCB_GET(k->vmcb, EVENTINJ), rows[i].word & ~(1ull << 31));
    }
}

/* rows: exit 2.33, 5.2, svmop 5.5 */
WITH_KIT(injected_double_fault_that_faults_is_a_shutdown)
{
    kit_guest(k);
    gate_not_present(k, EXC_DF);
    VMCB_SET(k->vmcb, INTERCEPT_3, 1u << (INTERCEPT_SHUTDOWN & 31));
    inject(k, INTINFO_CODE(EXC_DF, 0));
    ck_assert_int_eq(event_boundary(k->cpu), STEP_VMEXIT);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_SHUTDOWN);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EVENTINJ) >> 31 & 1, 0);
}

/* --- exceptions --- */

/* rows: exit 4.1, 4.4, 6.1 */
WITH_KIT(faults_exit_at_their_instruction)
{
    static const struct {
        const char *bytes;
        unsigned len, vector, nrip; /* length for nRIP: of INT3, INTO and BOUND only */
    } rows[] = {
        { "\xf7\xf1", 2, EXC_DE, 0 }, /* DIV ECX */
        { "\xf7\xf9", 2, EXC_DE, 0 }, /* IDIV ECX */
        { "\xd4\x00", 2, EXC_DE, 0 }, /* AAM 0 */
        { "\x0f\x0b", 2, EXC_UD, 0 }, /* UD2 */
        { "\xcc", 1, EXC_BP, 1 },     /* INT3 */
        { "\xce", 1, EXC_OF, 1 },     /* INTO */
        { "\x66\xce", 2, EXC_OF, 2 },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        kit_mode(k, MODE_COMPAT32, 3); /* a gate with DPL 0 would be #GP for INT3 and INTO */
        k->cpu->r[REG_RCX] = 0;
        k->cpu->rflags |= FLAG_OF;
        kit_guest(k);
        kit_intercept(k, INTERCEPT_EXCP0 + rows[i].vector);
        kit_intercept(k, INTERCEPT_EXCP0 + EXC_GP);
        kit_raised(k, kit_exec(k, rows[i].bytes, rows[i].len), rows[i].vector, NO_CODE);
        kit_exited(k, event_raised(k->cpu), VMEXIT_EXCP0 + rows[i].vector, 0, 0,
                   rows[i].nrip ? CODE_SPA + rows[i].nrip : 0);
    }
}

/* MCG_STATUS is written, the rest of the guest is not. APM vol 2, 15.12.18 "#MC (Machine Check)".
 * rows: exit 4.13 */
WITH_KIT(machine_check_exits_after_its_registers_are_written)
{
    kit_guest(k);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_MC);
    k->cpu->regs.cr4 |= CR4_MCE;
    k->cpu->msr.mcg_status = 0;
    k->cpu->pins.mc = true;
    kit_exited(k, event_boundary(k->cpu), VMEXIT_EXCP0 + EXC_MC, 0, 0, 0);
    ck_assert_uint_eq(k->cpu->msr.mcg_status, MCG_STATUS_MCIP | MCG_STATUS_RIPV);
    ck_assert(!k->cpu->pins.mc);
}

/* A guest without CR4.MCE: shutdown, unless CPUID Fn8000_000A EDX[23] and the host's CR4.MCE say otherwise.
 * rows: exit 4.13 */
WITH_KIT(machine_check_of_a_guest_without_mce_may_be_the_hosts)
{
    for (unsigned i = 0; i < 8; i++) {
        bool feature = i & 1, host = i & 2, intercept = i & 4;
        struct cpu_model model = *k->cpu->model;
        model.features[CPU_FEATURE_HOST_MCE] = feature;
        const struct cpu_model *old = k->cpu->model;
        k->cpu->model = &model;
        kit_mode(k, MODE_LONG64, 0);
        kit_guest(k);
        VMCB_SET(k->vmcb, INTERCEPT_3, 1u << (INTERCEPT_SHUTDOWN & 31));
        VMCB_SET(k->vmcb, INTERCEPT_EXCP, intercept ? 1u << EXC_MC : 0);
        ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_VMMCALL, 0, 0), STEP_VMEXIT);
        k->cpu->regs.cr4 &= ~(uint64_t)CR4_MCE;
        k->cpu->regs.cr4 |= host ? CR4_MCE : 0;
        ck_assert_int_eq(svm_vmrun(k->cpu, VMCB_SPA, CODE_SPA + 0x100), STEP_JUMP);
        ck_assert_uint_eq(k->cpu->regs.cr4 & CR4_MCE, 0);
        k->cpu->msr.mcg_status = 0;
        k->cpu->pins.mc = true;
        ck_assert_int_eq(event_boundary(k->cpu), STEP_VMEXIT);
        ck_assert_msg(VMCB_GET(k->vmcb, EXITCODE) ==
                          (feature && host ? VMEXIT_EXCP0 + EXC_MC : VMEXIT_SHUTDOWN),
                      "row %u", i);
        ck_assert_uint_eq(k->cpu->msr.mcg_status != 0, feature && host);
        k->cpu->model = old;
    }
}

/* --- NMIs and IRET --- */

/* Hypervisors without virtual NMIs learn so when a handler of the guest ends: before, not after it.
 * rows: svmop 12.11, exit 1.2.15, 2.17 */
WITH_KIT(intercepted_iret_leaves_nmis_blocked)
{
    kit_guest(k);
    kit_intercept(k, INTERCEPT_IRET);
    k->cpu->regs.nmi_masked = true;
    k->cpu->r[REG_RSP] = NONCANON; /* before any exception */
    ck_assert_int_eq(EXEC(k, "\x48\xcf"), STEP_VMEXIT);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_IRET);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, NRIP), CODE_SPA + 2);
    ck_assert(k->cpu->regs.nmi_masked);
}

/* rows: svmop 12.3, 12.4 */
WITH_KIT(iret_of_a_guest_opens_nmis_when_it_completes)
{
    for (unsigned faults = 0; faults < 2; faults++) {
        kit_mode(k, MODE_LONG64, 0);
        kit_guest(k);
        k->cpu->regs.nmi_masked = true;
        const uint64_t frame[5] = { CODE_SPA + 2, CODE64, 2, STACK_TOP, faults ? CODE_NP : DATA0 };
        k->cpu->r[REG_RSP] = STACK_TOP - sizeof(frame);
        for (unsigned i = 0; i < 5; i++)
            kit_put(k, STACK_TOP - sizeof(frame) + 8 * i, 8, frame[i]);
        enum step step = EXEC(k, "\x48\xcf");
        ck_assert_int_eq(step == STEP_RAISED, faults);
        ck_assert_int_eq(k->cpu->regs.nmi_masked, faults);
        /* the state of the processor, not of the guest: an exit changes nothing */
        ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_VMMCALL, 0, 0), STEP_VMEXIT);
        ck_assert_int_eq(k->cpu->regs.nmi_masked, faults);
    }
}

/* rows: svmop 8.7, 11.1 */
WITH_KIT(redirected_init_is_held_by_gif)
{
    k->cpu->msr.vm_cr |= VM_CR_R_INIT;
    k->cpu->svm->gif = false;
    k->cpu->pins.init = true;
    ck_assert_int_eq(event_boundary(k->cpu), STEP_NEXT);
    ck_assert(k->cpu->pins.init);
    ck_assert_uint_eq(k->deliveries, 0);
    k->cpu->svm->gif = true;
    ck_assert_int_eq(event_boundary(k->cpu), STEP_JUMP);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_SX);
}

/* --- HLT --- */

/* rows: exit 6.2 */
WITH_KIT(hlt_intercept_is_tested_when_hlt_executes)
{
    kit_guest(k);
    kit_intercept(k, INTERCEPT_HLT);
    kit_exited(k, EXEC(k, "\xf4"), VMEXIT_HLT, 0, 0, CODE_SPA + 1);
    ck_assert(!k->cpu->regs.halted);

    kit_mode(k, MODE_LONG64, 0);
    kit_guest(k);
    ck_assert_int_ne(EXEC(k, "\xf4"), STEP_VMEXIT);
    ck_assert(k->cpu->regs.halted);
    kit_intercept(k, INTERCEPT_HLT); /* too late for this one */
    kit_intercept(k, INTERCEPT_NMI);
    k->cpu->pins.nmi = true;
    ck_assert_int_eq(event_boundary(k->cpu), STEP_VMEXIT);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_NMI);
}

/* --- instructions of SVM --- */

/* Also its exit code is that of VMMCALL, and without that intercept it is #UD.
 * rows: svmop 1.9, exit 1.4.4 */
WITH_KIT(vmgexit_is_vmmcall_where_nothing_is_encrypted)
{
    static const char *const bytes[] = { "\xf3\x0f\x01\xd9", "\xf2\x0f\x01\xd9" };
    for (unsigned i = 0; i < 4; i++) {
        kit_mode(k, MODE_LONG64, i & 2 ? 3 : 0);
        kit_guest(k);
        kit_raised(k, kit_exec(k, bytes[i & 1], 4), EXC_UD, NO_CODE);
        kit_intercept(k, INTERCEPT_VMMCALL);
        kit_exited(k, kit_exec(k, bytes[i & 1], 4), VMEXIT_VMMCALL, 0, 0, CODE_SPA + 4);
    }
}

/* Without virtual VMLOAD and VMSAVE their address is not translated, whoever executes them.
 * rows: svmop 7.11 */
WITH_KIT(vmload_of_a_guest_takes_a_system_physical_address)
{
    kit_guest(k);
    k->cpu->svm->nested_paging = true;
    k->cpu->svm->host_regime = (struct walk_regime){ .mode = WALK_4LEVEL,
                                                     .root = DATA_SPA + 0x1000, /* maps nothing */
                                                     .cpl = 3,
                                                     .asid = 1,
                                                     .maxphyaddr = CPU_MAXPHYADDR };
    cpu_update_mode(k->cpu);
    kit_put(k, DATA_SPA + VMCB_AT_STAR, 8, 0x123456789abcdef0);
    k->cpu->r[REG_RAX] = DATA_SPA;
    ck_assert_int_eq(EXEC(k, "\x0f\x01\xda"), STEP_NEXT);
    ck_assert_uint_eq(k->cpu->msr.star, 0x123456789abcdef0);
    k->cpu->msr.star = 5;
    ck_assert_int_eq(EXEC(k, "\x0f\x01\xdb"), STEP_NEXT);
    ck_assert_uint_eq(kit_get(k, DATA_SPA + VMCB_AT_STAR, 8), 5);
}

/* The processor clears RF when VMRUN, as one instruction of the host, has completed.
 * rows: svmop 3.37, events 5.22 */
WITH_KIT(rf_of_the_host_passes_a_breakpoint_on_vmrun_once)
{
    const struct run_limits limits = { .max_steps = UINT64_MAX };
    for (unsigned rf = 0; rf < 2; rf++) {
        const uint64_t host = CODE_SPA + 0x100;
        kit_mode(k, MODE_LONG64, 0);
        k->cpu->regs.halted = false;
        k->deliveries = 0;
        kit_put(k, CODE_SPA, 4, 0xf4d9010f); /* VMMCALL; HLT */
        kit_put(k, host, 4, 0xf4d8010f);     /* VMRUN; HLT */
        kit_put(k, HANDLER + 16 * EXC_DB, 1, 0xf4);
        kit_guest(k);
        VMCB_SET(k->vmcb, INTERCEPT_4, 3);
        ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_NMI, 0, 0), STEP_VMEXIT);
        VMCB_SET(k->vmcb, EXITCODE, 0);
        k->cpu->svm->gif = true; /* matches count */
        k->cpu->r[REG_RIP] = host;
        k->cpu->r[REG_RAX] = VMCB_SPA;
        k->cpu->regs.dr[0] = host;
        k->cpu->regs.dr[7] = 0x402;
        k->cpu->context_stale = true;
        cpu_set_rflags(k->cpu, 2 | (rf ? FLAG_RF : 0));
        ck_assert_int_eq(run_vcpu(k->cpu, &limits), PACIFICA_STOP_HALTED);
        ck_assert_uint_eq(k->deliveries, !rf);
        ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), rf ? VMEXIT_VMMCALL : 0);
        ck_assert_uint_eq(k->cpu->r[REG_RIP], rf ? host + 4 : HANDLER + 16 * EXC_DB + 1);
        ck_assert_uint_eq(cpu_rflags(k->cpu) & FLAG_RF, 0);
        k->cpu->regs.dr[7] = 0x400;
    }
}

CHECK_MAIN("guest_delivery", fault_that_gives_way_is_the_next_event_in_delivery,
           double_fault_is_the_next_event_in_delivery, what_was_delivered_is_no_longer_told,
           injected_events_combine_like_others, injected_double_fault_that_faults_is_a_shutdown,
           faults_exit_at_their_instruction, machine_check_exits_after_its_registers_are_written,
           machine_check_of_a_guest_without_mce_may_be_the_hosts,
           intercepted_iret_leaves_nmis_blocked, iret_of_a_guest_opens_nmis_when_it_completes,
           redirected_init_is_held_by_gif, hlt_intercept_is_tested_when_hlt_executes,
           vmgexit_is_vmmcall_where_nothing_is_encrypted,
           vmload_of_a_guest_takes_a_system_physical_address,
           rf_of_the_host_passes_a_breakpoint_on_vmrun_once)

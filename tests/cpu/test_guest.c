/* A guest and its host with the real run loop: what of a guest's single step, interrupt shadow and faults reaches the
 * VMCB, and what must not reach the host. APM vol 2, 15.5.1, 15.7.1, 15.8.4, 15.21. */
#include "tests/cpu/kit.h"

/* Handlers are HLT, and so is what stands behind the code. The host goes on at HOST_RIP: NOP, HLT. */
#define HOST_RIP (CODE_SPA + 0x100)

static void code(struct kit *k, uint64_t at, const void *bytes, unsigned len)
{
    for (unsigned v = 0; v < 256; v++)
        kit_put(k, HANDLER + 16 * v, 1, 0xf4);
    for (unsigned i = 0; i < 32; i++)
        kit_put(k, at + i, 1, i < len ? ((const uint8_t *)bytes)[i] : 0xf4);
}
#define CODE(k, bytes) code((k), CODE_SPA, (bytes), sizeof(bytes) - 1)

/* Enter the guest at CODE_SPA; the host has NOP, HLT behind its VMRUN. */
static void enter(struct kit *k)
{
    code(k, HOST_RIP, "\x90", 1);
    kit_guest(k);
}

static int run(struct kit *k, unsigned steps)
{
    const struct run_limits limits = { .max_steps = vcpu_steps(k->cpu) + steps };
    return run_vcpu(k->cpu, &limits);
}

/* --- single step --- */

/* As one instruction of the host VMRUN traps behind #VMEXIT; a trap that MOV SS held is no other one. */
WITH_KIT(trap_held_by_mov_ss_does_not_follow_vmrun_into_the_guest)
{
    CODE(k, "\x90\x0f\x01\xd9"); /* NOP; VMMCALL */
    enter(k);
    VMCB_SET(k->vmcb, INTERCEPT_4, 3);
    ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_VMMCALL, 0, 0), STEP_VMEXIT);
    code(k, HOST_RIP, "\x8e\xd1\x0f\x01\xd8\x90", 6); /* MOV SS, CX; VMRUN; NOP */
    k->cpu->r[REG_RCX] = DATA0;
    k->cpu->r[REG_RAX] = VMCB_SPA;
    k->cpu->r[REG_RIP] = HOST_RIP;
    k->cpu->rflags |= FLAG_TF;
    ck_assert_int_eq(run(k, 20), PACIFICA_STOP_HALTED);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_VMMCALL);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RIP), CODE_SPA + 1);
    ck_assert_uint_eq(k->deliveries, 1);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_DB);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP], 8), HOST_RIP + 5);
}

WITH_KIT(trap_held_by_mov_ss_in_the_guest_does_not_reach_the_host)
{
    CODE(k, "\x8e\xd1\x90\x90"); /* MOV SS, CX; NOP; NOP */
    enter(k);
    kit_intercept(k, INTERCEPT_NMI);
    k->cpu->r[REG_RCX] = DATA0;
    k->cpu->rflags |= FLAG_TF;
    ck_assert_int_eq(run(k, 1), PACIFICA_STOP_LIMIT_INSNS);
    ck_assert(svm_guest(k->cpu));
    k->cpu->pins.nmi = true;
    ck_assert_int_eq(run(k, 10), PACIFICA_STOP_HALTED);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_NMI);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RIP), CODE_SPA + 2);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, INTERRUPT_SHADOW), 1);
    ck_assert_uint_eq(k->deliveries, 0);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], HOST_RIP + 2);
}

/* Also when it was the fetch that left the guest. */
/* rows: svmop 3.34, 5.12 */
WITH_KIT(host_trap_flag_acts_after_an_exit_by_a_fetch)
{
    CODE(k, "\x90");
    enter(k);
    VMCB_SET(k->vmcb, INTERCEPT_EXCP, 1u << EXC_PF);
    ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_VMMCALL, 0, 0), STEP_VMEXIT);
    VMCB_SET(k->vmcb, RIP, PAGED_LA);
    kit_page(k, 0, 0);
    code(k, HOST_RIP, "\x0f\x01\xd8\x90", 4); /* VMRUN; NOP */
    k->cpu->r[REG_RAX] = VMCB_SPA;
    k->cpu->r[REG_RIP] = HOST_RIP;
    k->cpu->rflags |= FLAG_TF;
    ck_assert_int_eq(run(k, 20), PACIFICA_STOP_HALTED);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_EXCP14);
    ck_assert_uint_eq(k->deliveries, 1);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_DB);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP], 8), HOST_RIP + 3);
}

/* rows: svmop 3.35 */
WITH_KIT(guest_trap_flag_acts_after_its_first_instruction)
{
    CODE(k, "\x90\x90");
    enter(k);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_DB);
    k->cpu->rflags |= FLAG_TF;
    ck_assert_int_eq(run(k, 10), PACIFICA_STOP_HALTED);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_EXCP1);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RIP), CODE_SPA + 1); /* trap: the next instruction */
    ck_assert_uint_eq(VMCB_GET(k->vmcb, DR6), 0xffff0ff0 | DR6_BS);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, NRIP), 0);
    ck_assert_uint_eq(k->deliveries, 0);
}

/* rows: exit 2.3, 6.1 */
WITH_KIT(intercepted_instruction_does_not_trap)
{
    CODE(k, "\x0f\xa2"); /* CPUID */
    enter(k);
    kit_intercept(k, INTERCEPT_CPUID);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_DB);
    k->cpu->rflags |= FLAG_TF | FLAG_RF;
    ck_assert_int_eq(run(k, 10), PACIFICA_STOP_HALTED);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_CPUID);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RFLAGS), 2 | FLAG_TF | FLAG_RF);
    ck_assert_uint_eq(k->deliveries, 0);
}

/* With GIF = 0 the NMI waits until STGI has retired, and so does its trap. APM vol 2, 8.5 "Priorities". */
/* rows: svmop 10.13, exit 2.2 */
WITH_KIT(single_step_comes_before_an_nmi_exit)
{
    CODE(k, "\x0f\x01\xdc\x90"); /* STGI; NOP */
    enter(k);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_DB);
    kit_intercept(k, INTERCEPT_NMI);
    k->cpu->rflags |= FLAG_TF;
    k->cpu->svm->gif = false;
    k->cpu->pins.nmi = true;
    ck_assert_int_eq(run(k, 10), PACIFICA_STOP_HALTED);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_EXCP1);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RIP), CODE_SPA + 3);
    ck_assert(k->cpu->pins.nmi); /* held by GIF = 0 in the host */
}

/* --- HLT --- */

/* The exit saves the RIP behind HLT, and the host is not halted. */
/* rows: exit 6.3 */
WITH_KIT(interrupt_exit_wakes_a_halted_guest)
{
    CODE(k, "\xf4\x90");
    enter(k);
    kit_intercept(k, INTERCEPT_INTR);
    k->cpu->svm->v_intr_masking = true;
    k->cpu->svm->host_if = true; /* the guest's own IF is 0 */
    ck_assert_int_eq(run(k, 10), PACIFICA_STOP_HALTED);
    ck_assert(svm_guest(k->cpu));
    k->pending = 0x30;
    ck_assert_int_eq(run(k, 10), PACIFICA_STOP_HALTED);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_INTR);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RIP), CODE_SPA + 1);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, NRIP), 0);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], HOST_RIP + 2);
}

WITH_KIT(masked_interrupts_do_not_wake_a_halted_guest)
{
    CODE(k, "\xf4\x90");
    enter(k);
    kit_intercept(k, INTERCEPT_INTR);
    k->cpu->svm->v_intr_masking = true;
    k->cpu->svm->host_if = false;
    k->cpu->rflags |= FLAG_IF;
    k->cpu->svm->v_irq = true;
    k->cpu->svm->v_intr_prio = k->cpu->svm->v_tpr = 3;
    k->pending = 0x30;
    ck_assert_int_eq(run(k, 10), PACIFICA_STOP_HALTED);
    ck_assert(svm_guest(k->cpu));
    k->cpu->svm->v_ign_tpr = true;
    kit_intercept(k, INTERCEPT_VINTR);
    ck_assert_int_eq(run(k, 10), PACIFICA_STOP_HALTED);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_VINTR);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RIP), CODE_SPA + 1);
}

/* --- NMI --- */

/* rows: svmop 12.2 */
WITH_KIT(intercepted_nmi_exits_while_nmis_are_blocked)
{
    CODE(k, "\x90");
    enter(k);
    k->cpu->regs.nmi_masked = true;
    k->cpu->pins.nmi = true;
    ck_assert(!event_pending(k->cpu));
    kit_intercept(k, INTERCEPT_NMI);
    ck_assert_int_eq(run(k, 10), PACIFICA_STOP_HALTED);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_NMI);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, NRIP), 0);
}

/* --- the host's side --- */

/* APM vol 2, 15.6 "#VMEXIT". */
/* rows: svmop 5.11 */
WITH_KIT(host_rip_that_cannot_be_fetched_is_gp_in_the_host)
{
    static const uint64_t rips[] = { NONCANON, UINT64_MAX };
    for (unsigned i = 0; i < 2; i++) {
        kit_mode(k, MODE_LONG64, 0);
        k->cpu->regs.halted = false;
        k->deliveries = 0;
        CODE(k, "\x0f\xa2");
        enter(k);
        kit_intercept(k, INTERCEPT_CPUID);
        uint8_t *hsave = memory_ptr(k->memory, HSAVE_SPA, 4096);
        VMCB_SET(hsave, RIP, rips[i]);
        if (i == 1) { /* a 32-bit host, whose segment ends */
            VMCB_SET(hsave, RIP, 0x20000);
            VMCB_SET(hsave, CS_LIMIT, 0x1ffff);
            VMCB_SET(hsave, CS_ATTR, 0xc9b);
        }
        ck_assert_int_eq(run(k, 10), PACIFICA_STOP_HALTED);
        ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_CPUID);
        ck_assert_uint_eq(k->deliveries, 1);
        ck_assert_uint_eq(k->delivered.a & 0xff, EXC_GP);
    }
}

/* FS, GS, LDTR, TR and the MSRs of VMLOAD belong to whoever ran last, as do the other registers. */
WITH_KIT(exit_does_not_restore_what_vmload_moves)
{
    CODE(k, "\x0f\xa2");
    enter(k);
    kit_intercept(k, INTERCEPT_CPUID);
    k->cpu->regs.seg[SEG_FS].base = 0x1111;
    k->cpu->regs.seg[SEG_GS].base = 0x2222;
    k->cpu->regs.seg[SEG_LDTR].base = 0x3333;
    k->cpu->regs.seg[SEG_TR].limit = 0x2066;
    k->cpu->msr.kernel_gs_base = 0x4444;
    k->cpu->msr.lstar = 0x5555;
    k->cpu->msr.pat = 6;
    k->cpu->regs.dr[3] = 0x6666;
    ck_assert_int_eq(run(k, 10), PACIFICA_STOP_HALTED);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_FS].base, 0x1111);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_GS].base, 0x2222);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_LDTR].base, 0x3333);
    ck_assert_uint_eq(k->cpu->regs.seg[SEG_TR].limit, 0x2066);
    ck_assert_uint_eq(k->cpu->msr.kernel_gs_base, 0x4444);
    ck_assert_uint_eq(k->cpu->msr.lstar, 0x5555);
    ck_assert_uint_eq(k->cpu->msr.pat, 6);
    ck_assert_uint_eq(k->cpu->regs.dr[3], 0x6666);
}

/* --- injection --- */

static void inject(struct kit *k, uint64_t word, uint64_t rflags)
{
    kit_mode(k, MODE_LONG64, 0);
    k->cpu->regs.halted = false;
    CODE(k, "\x90");
    enter(k);
    VMCB_SET(k->vmcb, INTERCEPT_4, 1);
    ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_VMMCALL, 0, 0), STEP_VMEXIT);
    VMCB_SET(k->vmcb, EVENTINJ, word | EVENTINJ_V);
    VMCB_SET(k->vmcb, RFLAGS, rflags | 2);
    VMCB_SET(k->vmcb, NRIP, CODE_SPA + 1);
    ck_assert_int_eq(svm_vmrun(k->cpu, VMCB_SPA, HOST_RIP), STEP_JUMP);
    k->deliveries = 0;
    ck_assert_int_eq(run(k, 10), PACIFICA_STOP_HALTED); /* in the handler */
    ck_assert(svm_guest(k->cpu));
    ck_assert_uint_eq(k->deliveries, 1);
}

/* What the handler finds on its stack is what the real event pushes. */
/* rows: svmop 6.16 */
WITH_KIT(injected_event_pushes_rf_like_the_real_one)
{
    static const struct {
        uint64_t word, rflags, pushed;
    } rows[] = {
        { EVENT_EXCEPTION << 8 | EXC_UD, 0, FLAG_RF }, /* a fault */
        { EVENT_EXCEPTION << 8 | EXC_DB, FLAG_RF, 0 },
        { EVENT_EXCEPTION << 8 | EXC_BP, 0, 0 },
        { EVENT_SOFT << 8 | 0x40, 0, 0 },
        { EVENT_INTR << 8 | 0x40, 0, 0 },
        { EVENT_NMI << 8, 0, 0 },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        inject(k, rows[i].word, rows[i].rflags);
        ck_assert_msg(kit_get(k, k->cpu->r[REG_RSP] + 16, 8) == (rows[i].pushed | 2), "row %u", i);
    }
}

/* EV decides whether a code is pushed, not the vector. */
/* rows: svmop 6.8, vmcb 4.3 */
WITH_KIT(injected_error_code_is_pushed_if_ev_says_so)
{
    inject(k, EVENT_EXCEPTION << 8 | EXC_UD | EVENTINJ_EV | UINT64_C(0x77) << 32, 0);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP], 8), 0x77);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP] + 8, 8), CODE_SPA);
    inject(k, EVENT_EXCEPTION << 8 | EXC_GP, 0);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP], 8), CODE_SPA);
}

/* rows: svmop 6.12-6.13 */
WITH_KIT(injected_db_leaves_dr6_and_dr7)
{
    CODE(k, "\x90");
    enter(k);
    ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_VMMCALL, 0, 0), STEP_VMEXIT);
    VMCB_SET(k->vmcb, EVENTINJ, EVENTINJ_V | EVENT_EXCEPTION << 8 | EXC_DB);
    VMCB_SET(k->vmcb, DR6, 0xffff0ff0 | DR6_BD);
    VMCB_SET(k->vmcb, DR7, 0x400 | DR7_GD);
    ck_assert_int_eq(svm_vmrun(k->cpu, VMCB_SPA, HOST_RIP), STEP_JUMP);
    ck_assert_int_eq(run(k, 10), PACIFICA_STOP_HALTED);
    ck_assert_uint_eq(k->cpu->regs.dr[6], 0xffff0ff0 | DR6_BD);
    ck_assert_uint_eq(k->cpu->regs.dr[7], 0x400 | DR7_GD);
}

/* Vectors 3 and 4 behave like INT3 and INTO. APM vol 2, 15.20. */
/* rows: svmop 6.10 */
WITH_KIT(injected_int3_and_into_test_the_gate_dpl)
{
    static const struct {
        uint64_t word;
        unsigned vector, code;
    } rows[] = {
        { EVENT_EXCEPTION << 8 | EXC_BP, EXC_GP, EXC_BP * 8 + 2 },
        { EVENT_EXCEPTION << 8 | EXC_OF, EXC_GP, EXC_OF * 8 + 2 },
        { EVENT_SOFT << 8 | 0x40, EXC_GP, 0x40 * 8 + 2 },
        { EVENT_EXCEPTION << 8 | EXC_DB, EXC_DB, 0 },
        { EVENT_EXCEPTION << 8 | EXC_UD, EXC_UD, 0 },
        { EVENT_INTR << 8 | 0x40, 0x40, 0 },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        kit_mode(k, MODE_LONG64, 3);
        k->cpu->regs.halted = false;
        CODE(k, "\x90");
        enter(k);
        ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_VMMCALL, 0, 0), STEP_VMEXIT);
        VMCB_SET(k->vmcb, EVENTINJ, EVENTINJ_V | rows[i].word);
        ck_assert_int_eq(svm_vmrun(k->cpu, VMCB_SPA, HOST_RIP), STEP_JUMP);
        ck_assert_int_eq(run(k, 10), PACIFICA_STOP_HALTED);
        ck_assert_uint_eq(k->delivered.a & 0xff, rows[i].vector);
        if (rows[i].code)
            ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP], 8), rows[i].code);
    }
}

/* --- INTERRUPT_SHADOW --- */

/* What is written back is the state at the intercepted instruction. */
/* rows: svmop 9.5 */
WITH_KIT(exit_saves_the_shadow_of_the_intercepted_instruction)
{
    static const struct {
        const char *bytes;
        unsigned len;
        uint64_t before; /* INTERRUPT_SHADOW at VMRUN */
        uint64_t saved;
    } rows[] = {
        { "\xfb\x0f\xa2", 3, 0, 1 },         /* STI; CPUID */
        { "\xfb\x90\x0f\xa2", 4, 0, 0 },     /* STI; NOP; CPUID */
        { "\x8e\xd1\x0f\xa2", 4, 0, 1 },     /* MOV SS, CX; CPUID */
        { "\x8e\xd1\x90\x0f\xa2", 5, 0, 0 }, /* MOV SS, CX; NOP; CPUID */
        { "\x0f\xa2", 2, 1, 1 },
        { "\x90\x0f\xa2", 3, 1, 0 },
        { "\x0f\xa2", 2, 0, 0 },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        kit_mode(k, MODE_LONG64, 0);
        k->cpu->regs.halted = false;
        code(k, CODE_SPA, rows[i].bytes, rows[i].len);
        enter(k);
        kit_intercept(k, INTERCEPT_CPUID);
        k->cpu->r[REG_RCX] = DATA0;
        k->cpu->regs.shadow = rows[i].before;
        ck_assert_int_eq(run(k, 10), PACIFICA_STOP_HALTED);
        ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_CPUID);
        ck_assert_msg(VMCB_GET(k->vmcb, INTERRUPT_SHADOW) == rows[i].saved, "row %u", i);
    }
}

/* --- instruction bytes --- */

/* The page behind the code is missing for the walk itself: the fetch is reported like a data access would be. */
/* rows: vmcb 8.2 */
WITH_KIT(fetch_that_cannot_walk_has_no_bytes)
{
    k->cpu->r[REG_RIP] = PAGED_LA + 0xffe;
    kit_put(k, PAGED_LA + 0xffe, 2, 0x8b48); /* MOV of three bytes: the last is on page 1 */
    enter(k);
    k->cpu->svm->nested_paging = true;
    k->cpu->svm->host_regime = *mem_regime(k->cpu);
    k->cpu->svm->host_regime.nxe = false; /* the host reports no ID bit */
    k->cpu->svm->host_regime.asid = 1;
    k->cpu->svm->host_regime.cpl = 3;
    cpu_update_mode(k->cpu);
    kit_page(k, 1, 0x80000000 | 7); /* guest physical 2 GiB: not in the nested tables */
    ck_assert_int_eq(run(k, 10), PACIFICA_STOP_HALTED);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_NPF);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO1), NPF_FINAL | PF_US);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO2), 0x80000000);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, INSN_COUNT), 0);
}

/* rows: vmcb 8.2 */
WITH_KIT(bytes_end_at_the_cs_limit)
{
    kit_mode(k, MODE_COMPAT32, 0);
    k->cpu->regs.seg[SEG_CS].limit = CODE_SPA + 4;
    CODE(k, "\xa1\x00\x07\x70\x40"); /* MOV EAX, [40700700h]: not mapped; ends at the limit */
    enter(k);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_PF);
    ck_assert_int_eq(run(k, 10), PACIFICA_STOP_HALTED);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_EXCP14);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO2), 0x40700700);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, INSN_COUNT), 5);
}

/* --- nRIP --- */

/* Of the exceptions only INT3, INTO and BOUND have one. */
/* rows: exit 4.5 */
WITH_KIT(bound_exits_at_itself_with_nrip)
{
    kit_mode(k, MODE_COMPAT32, 0);
    CODE(k, "\x62\x01"); /* BOUND EAX, [ECX] */
    kit_put(k, DATA_SPA, 8, 0x0000000500000001);
    k->cpu->r[REG_RCX] = DATA_SPA;
    k->cpu->r[REG_RAX] = 9;
    enter(k);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_BR);
    ck_assert_int_eq(run(k, 10), PACIFICA_STOP_HALTED);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_EXCP5);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RIP), CODE_SPA);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, NRIP), CODE_SPA + 2);
}

WITH_KIT(bound_is_a_fault_when_it_is_delivered)
{
    kit_mode(k, MODE_COMPAT32, 0);
    CODE(k, "\x62\x01");
    kit_put(k, DATA_SPA, 8, 0x0000000500000001);
    k->cpu->r[REG_RCX] = DATA_SPA;
    k->cpu->r[REG_RAX] = 9;
    ck_assert_int_eq(run(k, 10), PACIFICA_STOP_HALTED);
    ck_assert_uint_eq(k->delivered.a & 0xff, EXC_BR);
    ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP], 8), CODE_SPA);
}

int main(void)
{
    Suite *suite = suite_create("guest");
    TCase *all = tcase_create("all");
    tcase_add_test(all, trap_held_by_mov_ss_does_not_follow_vmrun_into_the_guest);
    tcase_add_test(all, trap_held_by_mov_ss_in_the_guest_does_not_reach_the_host);
    tcase_add_test(all, host_trap_flag_acts_after_an_exit_by_a_fetch);
    tcase_add_test(all, guest_trap_flag_acts_after_its_first_instruction);
    tcase_add_test(all, intercepted_instruction_does_not_trap);
    tcase_add_test(all, single_step_comes_before_an_nmi_exit);
    tcase_add_test(all, interrupt_exit_wakes_a_halted_guest);
    tcase_add_test(all, masked_interrupts_do_not_wake_a_halted_guest);
    tcase_add_test(all, intercepted_nmi_exits_while_nmis_are_blocked);
    tcase_add_test(all, host_rip_that_cannot_be_fetched_is_gp_in_the_host);
    tcase_add_test(all, exit_does_not_restore_what_vmload_moves);
    tcase_add_test(all, injected_event_pushes_rf_like_the_real_one);
    tcase_add_test(all, injected_error_code_is_pushed_if_ev_says_so);
    tcase_add_test(all, injected_db_leaves_dr6_and_dr7);
    tcase_add_test(all, injected_int3_and_into_test_the_gate_dpl);
    tcase_add_test(all, exit_saves_the_shadow_of_the_intercepted_instruction);
    tcase_add_test(all, fetch_that_cannot_walk_has_no_bytes);
    tcase_add_test(all, bytes_end_at_the_cs_limit);
    tcase_add_test(all, bound_exits_at_itself_with_nrip);
    tcase_add_test(all, bound_is_a_fault_when_it_is_delivered);
    suite_add_tcase(suite, all);
    return kit_run(suite);
}

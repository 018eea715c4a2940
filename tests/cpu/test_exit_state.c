/* What stands in the VMCB when a guest meets several things at once: breakpoints and intercepts, injection, redirected INIT,
 * waiting instructions. APM vol 2, 15.7 "Intercept Operation", 15.12, 15.20, 15.21. */
#include "tests/check_main.h"
#include "tests/cpu/worlds.h"

#include "emu/cpu/debug.h"

#define HOST_RIP (CODE_SPA + 0x100)
#define INTINFO(vector, type) (1ull << 31 | (uint64_t)(type) << 8 | (vector))

/* --- a guest with the real run loop; the host is HLT, HLT, and so are handlers --- */

static void put_code(struct kit *k, const char *bytes, unsigned len)
{
    for (unsigned i = 0; i < 32; i++)
        kit_put(k, CODE_SPA + i, 1, i < len ? (uint8_t)bytes[i] : 0x90);
}

static void enter(struct kit *k, const char *bytes, unsigned len)
{
    put_code(k, bytes, len);
    for (unsigned v = 0; v < 256; v++)
        kit_put(k, HANDLER + 16 * v, 1, 0xf4);
    kit_put(k, HOST_RIP, 2, 0xf4f4);
    k->cpu->regs.halted = false;
    kit_guest(k);
}
#define ENTER(k, bytes) enter((k), (bytes), sizeof(bytes) - 1)

/* VMRUN again, as software would do it. */
static void reenter(struct kit *k)
{
    k->cpu->regs.halted = false;
    k->cpu->r[REG_RIP] = HOST_RIP;
    ck_assert_int_eq(svm_vmrun(k->cpu, VMCB_SPA, HOST_RIP), STEP_JUMP);
}

static void run(struct kit *k)
{
    const struct run_limits limits = { .max_steps = vcpu_steps(k->cpu) + 100 };
    ck_assert_int_eq(run_vcpu(k->cpu, &limits), PACIFICA_STOP_HALTED);
}

static void expect_exit(struct kit *k, uint64_t code, uint64_t rip)
{
    ck_assert(!svm_guest(k->cpu));
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), code);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RIP), rip);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINTINFO), 0);
}

static void set_breakpoint(struct kit *k, uint64_t la, unsigned type)
{
    k->cpu->regs.dr[0] = la;
    ck_assert_int_eq(debug_set_dr(k->cpu, 7, 2 | type << 16), STEP_LEAVE);
}

/* The fault comes before the intercept; RF of the VMCB passes it, and is still there in the intercept's exit.
 * rows: exit 2.2, 4.2, 6.1, svmop 3.36 */
WITH_KIT(breakpoint_on_an_intercepted_instruction_comes_first)
{
    ENTER(k, "\x0f\xa2"); /* CPUID */
    kit_intercept(k, INTERCEPT_CPUID);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_DB);
    set_breakpoint(k, CODE_SPA, 0);
    run(k);
    expect_exit(k, VMEXIT_EXCP0 + EXC_DB, CODE_SPA);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, DR6), DR6_FIXED | 1);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, DR7), DR7_FIXED | 2);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, NRIP), 0);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RFLAGS) & FLAG_RF, 0);
    ck_assert_uint_eq(k->cpu->regs.dr[7], DR7_FIXED); /* the host's are off */

    VMCB_SET(k->vmcb, RFLAGS, VMCB_GET(k->vmcb, RFLAGS) | FLAG_RF);
    VMCB_SET(k->vmcb, INTERCEPT_3, 1u << (INTERCEPT_CPUID & 31));
    VMCB_SET(k->vmcb, INTERCEPT_EXCP, 1u << EXC_DB);
    reenter(k);
    run(k);
    expect_exit(k, VMEXIT_CPUID, CODE_SPA);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, NRIP), CODE_SPA + 2);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RFLAGS) & FLAG_RF, FLAG_RF);
}

/* Traps of the instruction before: data breakpoint and single step make one #DB behind it, which comes before the intercept of
 * the next one; with rIP there, and DR6 telling both.
 * rows: exit 2.2, 4.2 */
WITH_KIT(traps_of_the_last_instruction_come_before_an_intercept)
{
    ENTER(k, "\x89\x03\x0f\xa2"); /* MOV [RBX], EAX; CPUID */
    kit_intercept(k, INTERCEPT_CPUID);
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_DB);
    set_breakpoint(k, DATA_SPA, 1);
    k->cpu->r[REG_RBX] = DATA_SPA;
    k->cpu->rflags |= FLAG_TF;
    run(k);
    expect_exit(k, VMEXIT_EXCP0 + EXC_DB, CODE_SPA + 2);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, DR6), DR6_FIXED | DR6_BS | 1);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RFLAGS) & FLAG_TF, FLAG_TF);
    ck_assert_uint_eq(k->deliveries, 0);
}

/* General detect: a fault at the MOV, DR7.GD is 0 in the VMCB, DR6.BD set; DR intercepts come after it.
 * rows: exit 2.10, 4.2 */
WITH_KIT(general_detect_comes_before_the_intercept_of_the_register)
{
    ENTER(k, "\x0f\x21\xf8"); /* MOV RAX, DR7 */
    kit_intercept(k, INTERCEPT_EXCP0 + EXC_DB);
    kit_intercept(k, INTERCEPT_DR0_READ + 7);
    k->cpu->regs.dr[7] |= DR7_GD;
    run(k);
    expect_exit(k, VMEXIT_EXCP0 + EXC_DB, CODE_SPA);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, DR6), DR6_FIXED | DR6_BD);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, DR7), DR7_FIXED);

    VMCB_SET(k->vmcb, INTERCEPT_DR, 1u << 7);
    reenter(k);
    run(k);
    expect_exit(k, VMEXIT_DR0_READ + 7, CODE_SPA);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO1), 0);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, DR6), DR6_FIXED | DR6_BD); /* sticky */
}

/* INT3, INTO: the exception intercept sees the instruction, not the vector: CD 03 goes by, as does the vector of an interrupt.
 * ICEBP has one of its own.
 * rows: exit 2.5, 3.9.1 */
WITH_KIT(what_dispatches_through_vectors_1_3_and_4_has_different_intercepts)
{
    static const struct {
        const char *bytes;
        unsigned len;
        uint64_t db_bp_of, intn, icebp; /* exit codes with each intercept; 0: delivered */
        unsigned vector;
    } rows[] = {
        { "\xcc", 1, VMEXIT_EXCP0 + EXC_BP, 0, 0, EXC_BP },
        { "\xcd\x03", 2, 0, VMEXIT_SWINT, 0, EXC_BP },
        { "\xce", 1, VMEXIT_EXCP0 + EXC_OF, 0, 0, EXC_OF },
        { "\xcd\x04", 2, 0, VMEXIT_SWINT, 0, EXC_OF },
        { "\xf1", 1, 0, 0, VMEXIT_ICEBP, EXC_DB },
        { "\xcd\x01", 2, 0, VMEXIT_SWINT, 0, EXC_DB },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (unsigned which = 0; which < 3; which++) {
            kit_mode(k, MODE_COMPAT32, 0);
            k->cpu->rflags |= FLAG_OF;
            enter(k, rows[i].bytes, rows[i].len);
            uint64_t want = which == 0   ? rows[i].db_bp_of
                            : which == 1 ? rows[i].intn
                                         : rows[i].icebp;
            if (which == 0) {
                kit_intercept(k, INTERCEPT_EXCP0 + EXC_DB);
                kit_intercept(k, INTERCEPT_EXCP0 + EXC_BP);
                kit_intercept(k, INTERCEPT_EXCP0 + EXC_OF);
            } else {
                kit_intercept(k, which == 1 ? INTERCEPT_INTN : INTERCEPT_ICEBP);
            }
            kit_intercept(k, INTERCEPT_HLT); /* of the handler */
            unsigned before = k->deliveries;
            run(k);
            uint64_t rip = want ? CODE_SPA : HANDLER + 16ull * rows[i].vector;
            expect_exit(k, want ? want : (uint64_t)VMEXIT_HLT, rip);
            ck_assert_uint_eq(VMCB_GET(k->vmcb, NRIP), rip + (want ? rows[i].len : 1));
            ck_assert_uint_eq(k->deliveries - before, !want);
            uint64_t info = want == VMEXIT_SWINT ? rows[i].vector : 0;
            ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO1), info);
            ck_assert_uint_eq(VMCB_GET(k->vmcb, DR6), DR6_FIXED);
        }
}

/* --- injection --- */

/* VMRUN with this word in EVENTINJ and nRIP beside it. */
static void inject(struct kit *k, uint64_t word, uint64_t nrip)
{
    const struct segment tr = k->cpu->regs.seg[SEG_TR];
    ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_VMMCALL, 0, 0), STEP_VMEXIT);
    VMCB_SET(k->vmcb, EVENTINJ, word);
    VMCB_SET(k->vmcb, NRIP, nrip);
    ck_assert_int_eq(svm_vmrun(k->cpu, VMCB_SPA, HOST_RIP), STEP_JUMP);
    k->cpu->regs.seg[SEG_TR] = tr;
}

static const uint64_t injectable[] = {
    INTINFO(0x21, 0),
    INTINFO(0x55, 2), /* NMI: the vector is ignored */
    INTINFO(0, 3),
    INTINFO(1, 3),
    INTINFO(3, 3),
    INTINFO(4, 3),
    INTINFO(6, 3),
    INTINFO(13, 3) | 1u << 11 | 0x123ull << 32,
    INTINFO(14, 3) | 1u << 11 | 2ull << 32,
    INTINFO(0x21, 4),
    INTINFO(13, 4),
    INTINFO(3, 4),
};
#define INJECTABLE (sizeof(injectable) / sizeof(injectable[0]))

/* What cannot be delivered, the table is empty, is in EXITINTINFO as it stood in EVENTINJ; the guest is as it was, no nRIP,
 * though the VMCB had one; EVENTINJ has lost V.
 * rows: exit 5.10, 6.6, svmop 6.19 */
WITH_KIT(injected_event_that_cannot_be_delivered_comes_back)
{
    for (unsigned w = 0; w < WORLDS; w++)
        for (unsigned i = 0; i < INJECTABLE; i++) {
            set_world(k, (enum world)w);
            k->cpu->regs.cr2 = 0x777;
            enter(k, "\xf4", 1);
            k->cpu->regs.seg[SEG_TR] = (struct segment){ .attr = 0x8b, .limit = 0x67 };
            VMCB_SET(k->vmcb, INTERCEPT_EXCP, 1u << EXC_GP);
            VMCB_SET(k->vmcb, INTERRUPT_SHADOW, 0);
            uint64_t rip = k->cpu->r[REG_RIP], rsp = k->cpu->r[REG_RSP];
            k->cpu->regs.idtr.limit = 0;
            k->cpu->regs.idtr.base = 0xf00000;
            k->cpu->regs.cr2 = 0x777;
            k->cpu->rflags |= FLAG_RF;
            uint64_t rflags = cpu_rflags(k->cpu);
            inject(k, injectable[i], rip + 5);
            k->cpu->regs.shadow = true;
            ck_assert_int_eq(event_boundary(k->cpu), STEP_VMEXIT);
            uint64_t code = VMCB_GET(k->vmcb, EXITCODE), word = VMCB_GET(k->vmcb, EXITINTINFO);
            ck_assert_msg(code == VMEXIT_EXCP0 + EXC_GP, "world %u, event %u: %llx", w, i,
                          (unsigned long long)code);
            uint64_t want = injectable[i];
            if ((want >> 8 & 7) == EVENT_NMI)
                want = INTINFO(EXC_NMI, 2);
            ck_assert_msg(word == want, "world %u, event %u: %llx", w, i, (unsigned long long)word);
            ck_assert_uint_eq(VMCB_GET(k->vmcb, EVENTINJ), injectable[i] & ~(1ull << 31));
            ck_assert_uint_eq(VMCB_GET(k->vmcb, NRIP), 0);
            ck_assert_uint_eq(VMCB_GET(k->vmcb, RIP), rip);
            ck_assert_uint_eq(VMCB_GET(k->vmcb, RSP), rsp);
            ck_assert_uint_eq(VMCB_GET(k->vmcb, RFLAGS), rflags);
            ck_assert_uint_eq(VMCB_GET(k->vmcb, CR2), 0x777);
            ck_assert_uint_eq(VMCB_GET(k->vmcb, INTERRUPT_SHADOW), 1);
        }
}

/* INT n, INT3 and INTO return behind the instruction, where nRIP leads; everything else to rIP.
 * rows: svmop 6.1-6.4, 6.10, 6.12 */
WITH_KIT(injected_events_return_to_rip_or_nrip)
{
    for (unsigned w = 0; w < WORLDS; w++)
        for (unsigned i = 0; i < INJECTABLE; i++) {
            unsigned type = injectable[i] >> 8 & 7, vector = injectable[i] & 0xff;
            bool soft =
                type == EVENT_SOFT || (type == EVENT_EXCEPTION && (vector == 3 || vector == 4));
            if (type == EVENT_NMI)
                vector = EXC_NMI;
            set_world(k, (enum world)w);
            enter(k, "\xf4", 1);
            if (w == COMPAT || w == LONG || w == LONG_3)
                kit_idt(k, vector, 14, soft ? 3 : 0, 0);
            else if (w != REAL)
                kit_gate32(k, vector, CODE32, HANDLER + 16 * vector, 14, soft ? 3 : 0);
            k->cpu->regs.seg[SEG_TR] =
                (struct segment){ .attr = 0x8b, .limit = 0x67, .base = TSS_SPA };
            uint64_t rip = k->cpu->r[REG_RIP];
            unsigned before = k->deliveries;
            inject(k, injectable[i], rip + 5);
            ck_assert_int_eq(event_boundary(k->cpu), STEP_JUMP);
            ck_assert_uint_eq(k->deliveries - before, 1);
            ck_assert_msg((k->delivered.a & 0xff) == vector, "world %u, event %u: %u code %x", w, i,
                          (unsigned)k->delivered.a & 0xff, (unsigned)k->delivered.b);
            unsigned bytes = cpu_long_mode(k->cpu) ? 8 : cpu_protected(k->cpu) ? 4 : 2;
            unsigned code = (injectable[i] >> 11 & 1) && w != REAL ? bytes : 0;
            uint64_t at = k->cpu->regs.seg[SEG_SS].base * (bytes < 8) + k->cpu->r[REG_RSP];
            if (code)
                ck_assert_uint_eq(kit_get(k, at, bytes), injectable[i] >> 32);
            ck_assert_msg(kit_get(k, at + code, bytes) == rip + (soft ? 5 : 0),
                          "world %u, event %u: %llx", w, i,
                          (unsigned long long)kit_get(k, at + code, bytes));
            ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_VMMCALL, 0, 0), STEP_VMEXIT);
        }
}

/* There is no way to inject ICEBP: type 3 with vector 1 is #DB, which asks no DPL and returns to rIP; type 4 is INT 1, which
 * asks it. Neither tests the intercept of ICEBP, and DR6 stays.
 * rows: svmop 6.12, 6.13 */
WITH_KIT(icebp_is_not_injected)
{
    for (unsigned soft = 0; soft < 2; soft++)
        for (unsigned dpl = 0; dpl <= 3; dpl += 3) {
            kit_mode(k, MODE_LONG64, 3);
            kit_idt(k, EXC_DB, 14, dpl, 0);
            enter(k, "\xf1", 1);
            kit_load_segment(k, SEG_TR, TSS);
            VMCB_SET(k->vmcb, INTERCEPT_3, 0);
            VMCB_SET(k->vmcb, INTERCEPT_4, 1 | 1u << (INTERCEPT_ICEBP & 31));
            VMCB_SET(k->vmcb, INTERCEPT_EXCP, 1u << EXC_DB | 1u << EXC_GP);
            inject(k, INTINFO(1, soft ? 4 : 3), CODE_SPA + 1);
            enum step step = event_boundary(k->cpu);
            if (soft && dpl == 0) {
                ck_assert_int_eq(step, STEP_VMEXIT);
                ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_EXCP0 + EXC_GP);
                ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO1), 1 * 8 + 2);
                continue;
            }
            ck_assert_int_eq(step, STEP_JUMP);
            ck_assert_uint_eq(k->delivered.a & 0xff, EXC_DB);
            ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP], 8), CODE_SPA + soft);
            ck_assert_uint_eq(k->cpu->regs.dr[6], DR6_FIXED);
            ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_VMMCALL, 0, 0), STEP_VMEXIT);
        }
    kit_idt(k, EXC_DB, 14, 0, 0);
}

/* --- INIT --- */

/* Redirected, it is #SX at the boundary, with error code 1 and without the INIT; the intercept of INIT comes before both.
 * rows: exit 4.17, svmop 11.2-11.4 */
WITH_KIT(redirected_init_in_a_guest_is_an_interceptable_sx)
{
    for (unsigned i = 0; i < 4; i++) {
        bool sx = i & 1, init = i & 2;
        kit_mode(k, MODE_LONG64, 0);
        k->cpu->msr.vm_cr = VM_CR_R_INIT;
        enter(k, "\x90", 1);
        if (sx)
            kit_intercept(k, INTERCEPT_EXCP0 + EXC_SX);
        if (init)
            kit_intercept(k, INTERCEPT_INIT);
        k->cpu->pins.init = true;
        enum step step = event_boundary(k->cpu);
        ck_assert_int_eq(k->cpu->pins.init, init);
        k->cpu->pins.init = false;
        if (init || sx) {
            kit_exited(k, step, init ? (uint64_t)VMEXIT_INIT : VMEXIT_EXCP0 + EXC_SX, !init, 0, 0);
            ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINTINFO), 0);
            continue;
        }
        ck_assert_int_eq(step, STEP_JUMP);
        ck_assert_uint_eq(k->delivered.a & 0xff, EXC_SX);
        ck_assert_uint_eq(k->delivered.b, 1);
        ck_assert_uint_eq(kit_get(k, k->cpu->r[REG_RSP] + 8, 8), CODE_SPA);
    }
}

/* --- waiting --- */

/* MWAIT's intercepts, too, are asked when it executes, and not again when something wakes it.
 * rows: exit 6.2, 6.3 */
WITH_KIT(mwait_intercepts_are_tested_when_mwait_executes)
{
    static const unsigned intercepts[] = { INTERCEPT_MWAIT, INTERCEPT_MWAIT_ARMED };
    for (unsigned i = 0; i < 2; i++) {
        kit_mode(k, MODE_LONG64, 0);
        enter(k, "\x0f\x01\xc8\x0f\x01\xc9\x90", 7); /* MONITOR; MWAIT; NOP */
        kit_intercept(k, intercepts[i]);
        k->cpu->r[REG_RAX] = DATA_SPA;
        k->cpu->r[REG_RCX] = k->cpu->r[REG_RDX] = 0;
        run(k);
        expect_exit(k, i ? VMEXIT_MWAIT_CONDITIONAL : VMEXIT_MWAIT, CODE_SPA + 3);
        ck_assert_uint_eq(VMCB_GET(k->vmcb, NRIP), CODE_SPA + 6);

        kit_mode(k, MODE_LONG64, 0);
        enter(k, "\x0f\x01\xc8\x0f\x01\xc9\x90", 7);
        kit_intercept(k, INTERCEPT_NMI);
        k->cpu->r[REG_RAX] = DATA_SPA;
        k->cpu->r[REG_RCX] = k->cpu->r[REG_RDX] = 0;
        run(k);
        ck_assert(svm_guest(k->cpu) && k->cpu->regs.halted && k->cpu->monitor.waiting);
        kit_intercept(k, intercepts[i]);
        k->cpu->pins.nmi = true;
        run(k);
        expect_exit(k, VMEXIT_NMI, CODE_SPA + 6);
        k->cpu->pins.nmi = false;
        k->cpu->svm->gif = true;
    }
}

/* SMI and INIT exit before the traps of the last instruction, which are not made up for: NMI and interrupts come behind them.
 * rows: svmop 10.12-10.14, 10.16 */
WITH_KIT(traps_come_behind_the_exits_of_smi_and_init)
{
    static const struct {
        unsigned intercept;
        uint64_t code;
        bool before;
    } rows[] = { { INTERCEPT_SMI, VMEXIT_SMI, true },
                 { INTERCEPT_INIT, VMEXIT_INIT, true },
                 { INTERCEPT_NMI, VMEXIT_NMI, false },
                 { INTERCEPT_INTR, VMEXIT_INTR, false } };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        kit_mode(k, MODE_LONG64, 0);
        enter(k, "\x90\x90\x90", 3);
        kit_idt(k, EXC_DB, 15, 0, 0); /* a trap gate: IF stays */
        kit_intercept(k, rows[i].intercept);
        k->cpu->rflags |= FLAG_TF | FLAG_IF;
        const struct run_limits one = { .max_steps = vcpu_steps(k->cpu) + 1 };
        ck_assert_int_eq(run_vcpu(k->cpu, &one), PACIFICA_STOP_LIMIT_INSNS);
        ck_assert_uint_eq(k->cpu->traps, DR6_BS);
        k->cpu->pins = (struct cpu_pins){ .smi = i == 0, .init = i == 1, .nmi = i == 2 };
        k->pending = i == 3 ? 0x30 : -1;
        unsigned before = k->deliveries;
        run(k);
        expect_exit(k, rows[i].code, rows[i].before ? CODE_SPA + 1 : HANDLER + 16 * EXC_DB);
        ck_assert_uint_eq(k->deliveries - before, !rows[i].before);
        k->cpu->pins = (struct cpu_pins){ 0 };
        k->pending = -1;
        reenter(k);
        kit_intercept(k, INTERCEPT_HLT);
        ck_assert(!event_pending(k->cpu)); /* no trap is left, whoever has it */
        ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_HLT, 0, 0), STEP_VMEXIT);
        k->cpu->svm->gif = true;
    }
    kit_idt(k, EXC_DB, 14, 0, 0);
}

CHECK_MAIN("exit_state", breakpoint_on_an_intercepted_instruction_comes_first,
           traps_of_the_last_instruction_come_before_an_intercept,
           general_detect_comes_before_the_intercept_of_the_register,
           what_dispatches_through_vectors_1_3_and_4_has_different_intercepts,
           injected_event_that_cannot_be_delivered_comes_back,
           injected_events_return_to_rip_or_nrip, icebp_is_not_injected,
           redirected_init_in_a_guest_is_an_interceptable_sx,
           mwait_intercepts_are_tested_when_mwait_executes,
           traps_come_behind_the_exits_of_smi_and_init)

/* Guests of legacy modes: every exception intercept, EXITINTINFO in deliveries through each kind of table, where nRIP
 * leads at the end of a segment, hosts of 32 bits. APM vol 2, 15.7.1, 15.7.2, 15.12. */
#include "tests/check_main.h"
#include "tests/cpu/modes.h"

enum world { REAL, V86, PROT16, PROT32, WORLDS };

static void make_world(struct kit *k, enum world world)
{
    switch (world) {
    case REAL: mode_real(k); break;
    case V86: mode_v86(k, 3, false); break;
    case PROT16: mode_prot16(k, 0); break;
    default: mode_prot32(k, 0); break;
    }
    kit_guest(k);
}

static enum step raise(struct kit *k, unsigned vector, bool code)
{
    struct vcpu *cpu = k->cpu;
    if (vector == EXC_PF)
        return cpu_raise_page_fault(cpu, 0x12345, PF_RW);
    return code ? cpu_raise_code(cpu, (enum exception)vector, 0x28)
                : cpu_raise(cpu, (enum exception)vector);
}

/* --- exception intercepts --- */

/* rows: exit 1.1.5, 2.4 */
WITH_KIT(each_exception_has_its_intercept_in_each_mode)
{
    const uint32_t with_code = 1u << EXC_DF | 1u << EXC_TS | 1u << EXC_NP | 1u << EXC_SS |
                               1u << EXC_GP | 1u << EXC_PF | 1u << EXC_AC | 1u << EXC_CP |
                               1u << EXC_VC | 1u << EXC_SX;
    for (unsigned w = 0; w < WORLDS; w++)
        for (unsigned v = 0; v < 32; v++) {
            bool code = with_code >> v & 1;
            if (v == EXC_NMI || v == EXC_MF9) /* not exceptions */
                continue;
            make_world(k, (enum world)w);
            uint64_t rip = k->cpu->r[REG_RIP], rsp = k->cpu->r[REG_RSP];
            k->cpu->regs.cr2 = 0x999;
            kit_intercept(k, INTERCEPT_EXCP0 + v);
            ck_assert_int_eq(raise(k, v, code), STEP_RAISED);
            ck_assert_int_eq(event_raised(k->cpu), STEP_VMEXIT);
            ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_EXCP0 + v);
            ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO1), v == EXC_PF ? PF_RW : code ? 0x28 : 0);
            ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO2), v == EXC_PF ? 0x12345 : 0);
            ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINTINFO), 0);
            ck_assert_uint_eq(VMCB_GET(k->vmcb, NRIP), 0);
            ck_assert_uint_eq(VMCB_GET(k->vmcb, RIP), rip);
            ck_assert_uint_eq(VMCB_GET(k->vmcb, RSP), rsp);
            ck_assert_uint_eq(VMCB_GET(k->vmcb, CR2), 0x999);
            ck_assert_uint_eq(k->deliveries, 0);
        }
}

/* External interrupts and INT n never ask the intercept of their vector. */
/* rows: exit 2.5 */
WITH_KIT(interrupts_do_not_ask_exception_intercepts)
{
    for (unsigned w = 0; w < WORLDS; w++)
        for (unsigned v = 0; v < 32; v++) {
            make_world(k, (enum world)w);
            if (w != REAL)
                kit_gate32(k, v, CODE32, HANDLER + 16 * v, 14, 3);
            kit_intercept(k, INTERCEPT_EXCP0 + v);
            ck_assert_int_eq(modes_intr(k, v), STEP_JUMP);
            ck_assert_uint_eq(k->delivered.a & 0xff, v);
            ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_HLT, 0, 0), STEP_VMEXIT);
            make_world(k, (enum world)w);
            if (w != REAL)
                kit_gate32(k, v, CODE32, HANDLER + 16 * v, 14, 3);
            kit_intercept(k, INTERCEPT_EXCP0 + v);
            ck_assert_int_eq(cpu_raise_soft(k->cpu, EVENT_SOFT, (uint8_t)v, 2), STEP_RAISED);
            ck_assert_int_eq(event_raised(k->cpu), STEP_JUMP);
            ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_HLT, 0, 0), STEP_VMEXIT);
        }
}

/* --- EXITINTINFO --- */

#define INTINFO(type, vector) (EVENTINJ_V | (uint64_t)(type) << 8 | (vector))

/* The table ends before the vector: #GP, which exits, in the delivery of each kind of event. */
/* rows: exit 5.6-5.9 */
WITH_KIT(exit_in_a_delivery_names_the_event)
{
    static const struct {
        enum event_type type;
        uint8_t vector, len;
        uint64_t info;
    } rows[] = {
        { EVENT_INTR, 0x40, 0, INTINFO(EVENT_INTR, 0x40) },
        { EVENT_NMI, EXC_NMI, 0, INTINFO(EVENT_NMI, EXC_NMI) },
        { EVENT_SOFT, 0x21, 2, INTINFO(EVENT_SOFT, 0x21) },
        { EVENT_SOFT, EXC_BP, 2, INTINFO(EVENT_SOFT, EXC_BP) },
        { EVENT_EXCEPTION, EXC_BP, 1, INTINFO(EVENT_EXCEPTION, EXC_BP) },
        { EVENT_EXCEPTION, EXC_OF, 1, INTINFO(EVENT_EXCEPTION, EXC_OF) },
        { EVENT_EXCEPTION, EXC_DB, 1, INTINFO(EVENT_EXCEPTION, EXC_DB) }, /* INT1 */
        { EVENT_EXCEPTION, EXC_DE, 0, INTINFO(EVENT_EXCEPTION, EXC_DE) },
        { EVENT_EXCEPTION, EXC_UD, 0, INTINFO(EVENT_EXCEPTION, EXC_UD) },
    };
    for (unsigned w = 0; w < WORLDS; w++)
        for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            make_world(k, (enum world)w);
            struct vcpu *cpu = k->cpu;
            uint64_t rip = cpu->r[REG_RIP], rsp = cpu->r[REG_RSP];
            uint8_t vector = rows[i].vector;
            cpu->regs.idtr.limit = 0;
            kit_intercept(k, INTERCEPT_EXCP0 + EXC_GP);
            enum step step;
            if (rows[i].type == EVENT_INTR) {
                step = modes_intr(k, vector);
            } else if (rows[i].type == EVENT_NMI) {
                cpu->pins.nmi = true;
                step = event_boundary(cpu);
            } else {
                step = rows[i].len ? cpu_raise_soft(cpu, rows[i].type, vector, rows[i].len)
                                   : cpu_raise(cpu, (enum exception)vector);
                ck_assert_int_eq(step, STEP_RAISED);
                step = event_raised(cpu);
            }
            ck_assert_int_eq(step, STEP_VMEXIT);
            ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_EXCP0 + EXC_GP);
            ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINTINFO), rows[i].info);
            bool software = rows[i].type == EVENT_SOFT || vector == EXC_BP || vector == EXC_OF;
            uint64_t error = w == REAL ? 0 : vector * 8u + 2 + (software ? 0 : 1);
            ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO1), error);
            ck_assert_uint_eq(VMCB_GET(k->vmcb, RIP), rip);
            ck_assert_uint_eq(VMCB_GET(k->vmcb, RSP), rsp);
            cpu->regs.nmi_masked = false;
        }
}

/* --- nRIP at the end of a segment --- */

/* What follows the last byte of 64 KiB is not its first one: CS.limit stops it, with the intercept as without. */
/* rows: vmcb 8.1 */
WITH_KIT(next_rip_does_not_wrap_in_16_bit_code)
{
    for (unsigned intercepted = 0; intercepted < 2; intercepted++) {
        mode_real(k);
        k->cpu->r[REG_RIP] = 0xfffe;
        kit_put(k, CODE_SPA + 0xfffe, 2, 0xa20f); /* CPUID */
        kit_guest(k);
        kit_intercept(k, INTERCEPT_EXCP0 + EXC_GP);
        if (intercepted) {
            kit_intercept(k, INTERCEPT_CPUID);
            ck_assert_int_eq(EXEC(k, "\x0f\xa2"), STEP_VMEXIT);
            ck_assert_uint_eq(VMCB_GET(k->vmcb, NRIP), 0x10000);
            VMCB_SET(k->vmcb, RIP, VMCB_GET(k->vmcb, NRIP));
            VMCB_SET(k->vmcb, INTERCEPT_EXCP, 1u << EXC_GP);
            ck_assert_int_eq(svm_vmrun(k->cpu, VMCB_SPA, CODE_SPA + 0x100), STEP_JUMP);
        }
        kit_put(k, CODE_SPA + 0x100, 1, 0xf4);
        const struct run_limits limits = { .max_steps = vcpu_steps(k->cpu) + 10 };
        ck_assert_int_eq(run_vcpu(k->cpu, &limits), PACIFICA_STOP_HALTED); /* in the host */
        ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_EXCP0 + EXC_GP);
        ck_assert_uint_eq(VMCB_GET(k->vmcb, RIP), 0x10000);
        k->cpu->regs.halted = false;
    }
}

/* --- hosts --- */

/* VMRUN is the last instruction of 4 GiB: the host goes on at 0. */
WITH_KIT(host_rip_wraps_at_4_gib)
{
    mode_prot32(k, 0);
    kit_guest(k);
    ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_HLT, 0, 0), STEP_VMEXIT);
    mode_prot32(k, 0);
    k->cpu->r[REG_RIP] = 0xfffffffd;
    k->cpu->r[REG_RAX] = 0x700000000 | VMCB_SPA; /* EAX alone counts */
    ck_assert_int_eq(EXEC(k, "\x0f\x01\xd8"), STEP_JUMP);
    ck_assert(svm_guest(k->cpu));
    ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_HLT, 0, 0), STEP_VMEXIT);
    ck_assert_uint_eq(k->cpu->r[REG_RIP], 0);
    ck_assert_int_eq(k->cpu->mode, MODE_PROT32);
}

/* Each host comes back in its mode, whatever the guest's was; its level is 0 by definition. */
/* rows: svmop 4.37, 5.7 */
WITH_KIT(hosts_come_back_in_their_mode)
{
    static const enum cpu_mode modes[WORLDS] = { MODE_REAL, MODE_V86, MODE_PROT16, MODE_PROT32 };
    for (unsigned w = 0; w < WORLDS; w++)
        for (unsigned h = PROT16; h < WORLDS; h++) {
            make_world(k, (enum world)w); /* the VMCB */
            ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_HLT, 0, 0), STEP_VMEXIT);
            if (h == PROT16)
                mode_prot16(k, 0);
            else
                mode_prot32(k, 0);
            uint64_t cr0 = k->cpu->regs.cr0, efer = k->cpu->regs.efer;
            struct segment cs = k->cpu->regs.seg[SEG_CS], ss = k->cpu->regs.seg[SEG_SS];
            k->cpu->r[REG_RAX] = VMCB_SPA;
            ck_assert_int_eq(EXEC(k, "\x67\x0f\x01\xd8") == STEP_JUMP, h == PROT16);
            if (h == PROT32) /* 67h makes it AX there, where no VMCB is */
                ck_assert_int_eq(svm_vmrun(k->cpu, VMCB_SPA, 0), STEP_JUMP);
            ck_assert_int_eq(k->cpu->mode, modes[w]);
            ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_HLT, 0, 0), STEP_VMEXIT);
            ck_assert_int_eq(k->cpu->mode, modes[h]);
            ck_assert_uint_eq(k->cpu->regs.cr0, cr0);
            ck_assert_uint_eq(k->cpu->regs.efer, efer);
            ck_assert_uint_eq(k->cpu->regs.cpl, 0);
            ck_assert_int_eq(memcmp(&cs, &k->cpu->regs.seg[SEG_CS], sizeof(cs)), 0);
            ck_assert_int_eq(memcmp(&ss, &k->cpu->regs.seg[SEG_SS], sizeof(ss)), 0);
        }
}

CHECK_MAIN("cpu/guest_modes", each_exception_has_its_intercept_in_each_mode,
           interrupts_do_not_ask_exception_intercepts, exit_in_a_delivery_names_the_event,
           next_rip_does_not_wrap_in_16_bit_code, host_rip_wraps_at_4_gib,
           hosts_come_back_in_their_mode)

/* The trap flag of a host that executes VMRUN: one #DB behind it, whatever way leads back, and nothing of the guest's. APM vol 2,
 * 15.5.1 "VMRUN and TF/RF Bits in EFLAGS". */
#include "tests/cpu/program.h"

#include "tests/check_main.h"

#define GUEST (CODE_SPA + 0x400)

enum way { REFUSED, INSTRUCTION, FAULT, FETCH, INJECTED, SIGNAL, TRAP, WAYS };

/* A VMCB at VMCB_SPA that leaves by this way at its first occasion. */
static uint64_t prepare(struct kit *k, enum way way)
{
    static const char code[WAYS][4] = {
        [INSTRUCTION] = "\x0f\xa2", [FAULT] = "\x0f\x0b", [SIGNAL] = "\x90", [TRAP] = "\x90"
    };
    uint64_t rip = k->cpu->r[REG_RIP];
    for (unsigned i = 0; i < 4; i++)
        kit_put(k, GUEST + i, 1, code[way][i] ? (uint8_t)code[way][i] : 0x90);
    k->cpu->r[REG_RIP] = GUEST;
    kit_guest(k);
    ck_assert_int_eq(svm_vmexit(k->cpu, VMEXIT_NMI, 0, 0), STEP_VMEXIT);
    k->cpu->svm->gif = true;
    k->cpu->r[REG_RIP] = rip;
    k->cpu->r[REG_RAX] = VMCB_SPA;
    k->cpu->r[REG_RSP] = STACK_TOP;
    switch (way) {
    case REFUSED: VMCB_SET(k->vmcb, GUEST_ASID, 0); return VMEXIT_INVALID;
    case INSTRUCTION:
        VMCB_SET(k->vmcb, INTERCEPT_3, 1u << (INTERCEPT_CPUID & 31));
        return VMEXIT_CPUID;
    case FAULT: VMCB_SET(k->vmcb, INTERCEPT_EXCP, 1u << EXC_UD); return VMEXIT_EXCP0 + EXC_UD;
    case FETCH:
        VMCB_SET(k->vmcb, INTERCEPT_EXCP, 1u << EXC_PF);
        VMCB_SET(k->vmcb, RIP, PAGED_LA);
        kit_page(k, 0, 0);
        return VMEXIT_EXCP0 + EXC_PF;
    case INJECTED:
        VMCB_SET(k->vmcb, INTERCEPT_EXCP, 1u << EXC_GP);
        VMCB_SET(k->vmcb, IDTR_LIMIT, 0);
        VMCB_SET(k->vmcb, EVENTINJ, 1ull << 31 | 0x20);
        return VMEXIT_EXCP0 + EXC_GP;
    case SIGNAL: /* it comes through IF and GIF of the guest, which the host has not */
        VMCB_SET(k->vmcb, INTERCEPT_3, 1u << (INTERCEPT_INTR & 31));
        VMCB_SET(k->vmcb, RFLAGS, 2 | FLAG_IF);
        k->pending = 0x30;
        return VMEXIT_INTR;
    default:
        VMCB_SET(k->vmcb, INTERCEPT_EXCP, 1u << EXC_DB);
        VMCB_SET(k->vmcb, RFLAGS, 2 | FLAG_TF);
        return VMEXIT_EXCP0 + EXC_DB;
    }
}

/* rows: svmop 3.34, 5.12 */
WITH_KIT(one_trap_behind_vmrun_whatever_leads_back)
{
    for (unsigned way = 0; way < WAYS; way++)
        for (unsigned tf = 0; tf < 2; tf++) {
            PROGRAM(k, "\x0f\x01\xd8\xf4"); /* VMRUN; HLT */
            uint64_t code = prepare(k, (enum way)way);
            k->cpu->rflags |= tf ? FLAG_TF : 0;
            k->deliveries = 0;
            k->cpu->regs.dr[6] = DR6_FIXED;
            program_run(k, 40);
            ck_assert_msg(VMCB_GET(k->vmcb, EXITCODE) == code, "way %u: %llx", way,
                          (unsigned long long)VMCB_GET(k->vmcb, EXITCODE));
            if (tf) {
                ck_assert_msg(k->deliveries == 1, "way %u: %u", way, k->deliveries);
                ck_assert_uint_eq(k->delivered.a & 0xff, EXC_DB);
                ck_assert_uint_eq(pushed_rip(k), CODE_SPA + 3);
                ck_assert_uint_eq(pushed_flags(k) & (FLAG_TF | FLAG_RF), FLAG_TF);
                ck_assert_uint_eq(k->cpu->regs.dr[6] & 0xf00f, DR6_BS);
                ck_assert_uint_eq(k->cpu->r[REG_RIP], HANDLER + 16 * EXC_DB + 1);
            } else {
                ck_assert_uint_eq(k->deliveries, 0);
                ck_assert_uint_eq(k->cpu->r[REG_RIP], CODE_SPA + 4);
            }
            ck_assert(!k->cpu->svm->gif); /* a trap of TF does not mind. 15.17 */
            k->pending = -1;
            kit_page(k, 0, PAGED_LA | 7);
        }
}

/* TF of the guest stays there, and that of the host does not reach it: the guest runs on unstepped.
 * rows: svmop 3.34 */
WITH_KIT(trap_flag_of_the_host_does_not_step_the_guest)
{
    PROGRAM(k, "\x0f\x01\xd8\xf4");
    (void)prepare(k, INSTRUCTION);
    for (unsigned i = 0; i < 4; i++)
        kit_put(k, GUEST + i, 1, (uint8_t) "\x90\x90\x0f\xa2"[i]);
    VMCB_SET(k->vmcb, INTERCEPT_EXCP, 1u << EXC_DB);
    k->cpu->rflags |= FLAG_TF;
    k->deliveries = 0;
    program_run(k, 40);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_CPUID);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RIP), GUEST + 2);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, RFLAGS) & FLAG_TF, 0);
    ck_assert_uint_eq(VMCB_GET(k->vmcb, DR6), DR6_FIXED);
    ck_assert_uint_eq(k->deliveries, 1);
}

CHECK_MAIN("host_trap", one_trap_behind_vmrun_whatever_leads_back,
           trap_flag_of_the_host_does_not_step_the_guest)
